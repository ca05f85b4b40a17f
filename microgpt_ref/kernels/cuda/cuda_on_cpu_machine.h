// cuda_on_cpu_machine.h: runs a launch block by block, lets threads wait for each other, and finds
// out when they wait for ever. Part of cuda_on_cpu.h.

#ifndef CUDA_ON_CPU_MACHINE_H
#define CUDA_ON_CPU_MACHINE_H

#ifdef CUDA_ON_CPU_TRAFFIC
#include "cuda_on_cpu_traffic.h"
#else
namespace cuda_on_cpu::traffic {  // nothing is counted
enum Kind { READ, WRITE, ATOMIC };
inline void launch_begins(const char *) {}
inline void launch_ends() {}
inline void block_begins() {}
inline void barrier() {}
inline void warp_barrier(int, unsigned) {}
inline void fence() {}
inline void count(const void *, size_t, Kind, const void *) {}
inline void go_on() {}
inline void stop() {}
}  // namespace cuda_on_cpu::traffic
#endif

namespace cuda_on_cpu {

// ---- one block -------------------------------------------------------------------------------

inline uint64_t next_random() {  // xorshift64
    gpu.random ^= gpu.random << 13, gpu.random ^= gpu.random >> 7, gpu.random ^= gpu.random << 17;
    return gpu.random;
}

// Puts what was in ascending order into the order that is asked for.
inline void arrange(int *list, long n) {
    for (long i = 0; gpu.order == Machine::REVERSE && i < n / 2; i++) {
        const int other = list[n - 1 - i];
        list[n - 1 - i] = list[i], list[i] = other;
    }
    for (long i = n - 1; gpu.order == Machine::RANDOM && i > 0; i--) {
        const long j = next_random() % (i + 1);
        const int other = list[j];
        list[j] = list[i], list[i] = other;
    }
}

inline void make_ready(int *list, int n) {
    arrange(list, n);
    for (int i = 0; i < n; i++) {
        gpu.threads[list[i]].state = READY;
        gpu.queue[(gpu.first + gpu.waiting++) % MOST_THREADS] = list[i];
    }
}

constexpr uint64_t ABSENT = ~uint64_t(0);  // what a lane shows that takes no part; NaN as a float

// Lets a warp go on if all lanes that this thread waits for are at the same operation as it is.
inline void try_warp(int thread) {
    const Thread &me = gpu.threads[thread];
    const int start = thread / 32 * 32;
    int list[32], n = 0;
    for (int lane = 0; lane < 32 && start + lane < gpu.num_threads; lane++) {
        const Thread &t = gpu.threads[start + lane];
        if (!(me.mask >> lane & 1) || (t.state == ENDED && gpu.early_return)) continue;
        if (t.state != AT_WARP || t.mask != me.mask || t.what != me.what) return;
        list[n++] = start + lane;
    }
    uint64_t shown[32];
    for (uint64_t &s : shown) s = ABSENT;
    for (int i = 0; i < n; i++) shown[list[i] - start] = gpu.threads[list[i]].given;
    for (int i = 0; i < n; i++) memcpy(gpu.threads[list[i]].taken, shown, sizeof shown);
    if (!strcmp(me.what, "__syncwarp")) traffic::warp_barrier(start, me.mask);
    make_ready(list, n);
}

// Who waits where, a line for each place, after the sentence that names one thread and the cause.
inline void fail_deadlock(const char *cause) {
    char text[1600];
    size_t used = 0;
    bool told[MOST_THREADS] = {};
    int first = -1;
    for (int i = 0; i < gpu.num_threads; i++) {
        const Thread &a = gpu.threads[i];
        if (told[i] || a.state == ENDED) continue;
        if (first < 0) first = i;
        int n = 0;
        for (int j = i; j < gpu.num_threads; j++) {
            const Thread &b = gpu.threads[j];
            const bool same = b.state == a.state && b.line == a.line && b.what == a.what &&
                              b.mask == a.mask && !strcmp(a.file, b.file);
            if (same) told[j] = true, n++;
        }
        char mask[40] = "";
        if (a.state == AT_WARP) snprintf(mask, sizeof mask, " with the mask %#x", a.mask);
        if (used < sizeof text - 200)
            used += snprintf(text + used, sizeof text - used,
                             "\n  %d at %s%s, %s:%d; the first is %s", n, a.what, mask,
                             base_name(a.file), a.line, name_of(i, blockIdx));
    }
    const Thread &t = gpu.threads[first];
    gpu.in_kernel = false;
    fail(cudaErrorLaunchTimeout,
         "deadlock: %s waits at %s:%d, %d threads have ended. %s Kernel %s%s",
         name_of(first, blockIdx), base_name(t.file), t.line, gpu.ended, cause, gpu.kernel, text);
}

// When nobody can run: is it the end, a barrier that all have reached, or neither?
inline bool next_phase() {
    if (gpu.ended == gpu.num_threads) return false;
    int list[MOST_THREADS], n = 0;
    const Thread *first = nullptr;
    gpu.votes = 0;
    for (int i = 0; i < gpu.num_threads; i++) {
        const Thread &t = gpu.threads[i];
        if (t.state == ENDED) continue;
        if (t.state == AT_WARP)
            return fail_deadlock("Each lane of the mask must reach the same warp operation."),
                false;
        if (!first) first = &t;
        if (t.line != first->line || t.what != first->what || strcmp(t.file, first->file))
            return fail_deadlock("All threads of a block must meet at the same barrier."), false;
        list[n++] = i;
        gpu.votes += t.given != 0;
    }
    if (gpu.ended && !gpu.early_return)
        return fail_deadlock("A barrier waits for every thread of the block."), false;
    traffic::barrier();
    make_ready(list, n);
    return true;
}

// Where each fiber begins.
inline void begin() {
#ifdef CUDA_ON_CPU_ASAN
    const void **bottom = &gpu.host_stack;
    __sanitizer_finish_switch_fiber(nullptr, bottom, &gpu.host_stack_size);
#endif
    gpu.body(gpu.arguments);
    gpu.threads[gpu.current].state = ENDED;
    gpu.ended++;
    pause(true);
}

inline void make_fiber(int i) {
    Fiber &fiber = gpu.threads[i].fiber;
    char *const bottom = stack_of(i);
#ifdef CUDA_ON_CPU_REGISTERS
    void **top = (void **)(bottom + CUDA_ON_CPU_STACK) - CUDA_ON_CPU_REGISTERS;
    top[CUDA_ON_CPU_BEGIN] = (void *)begin;
    fiber.stack = top;
#else
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = bottom;
    fiber.context.uc_stack.ss_size = CUDA_ON_CPU_STACK;
    makecontext(&fiber.context, begin, 0);
#endif
}

inline void run_block() {
    int list[MOST_THREADS];
    gpu.first = gpu.waiting = gpu.ended = 0;
    for (int i = 0; i < gpu.num_threads; i++) {
        Thread &t = gpu.threads[i];
        t.index = coordinates(i, blockDim);
        t.in_vain = 0;
        make_fiber(i);
        list[i] = i;
    }
    memset(arena, 0xff, gpu.shared_bytes);
    traffic::block_begins();
    make_ready(list, gpu.num_threads);
    do {
        while (gpu.waiting && !gpu.failed) {
            gpu.current = gpu.queue[gpu.first];
            gpu.first = (gpu.first + 1) % MOST_THREADS, gpu.waiting--;
            Thread &t = gpu.threads[gpu.current];
            threadIdx = t.index;
            gpu.in_kernel = true;
            traffic::go_on();
            switch_fiber(gpu.host, t.fiber, false);
            traffic::stop();
            gpu.in_kernel = false;
            if (t.state == AT_WARP) try_warp(gpu.current);
            if (t.state == ENDED && gpu.early_return) {  // perhaps its warp waited only for it
                const int start = gpu.current / 32 * 32;
                for (int i = start; i < start + 32 && i < gpu.num_threads; i++)
                    if (gpu.threads[i].state == AT_WARP) try_warp(i);
            }
        }
    } while (!gpu.failed && next_phase());
}

// ---- a launch --------------------------------------------------------------------------------

// "the end of its stack", "4 bytes after the end of the 128 bytes from cudaMalloc at k.cu:12".
inline void describe(const char *address, char *text, size_t size) {
    const char *const stack = stack_of(gpu.current);
    snprintf(text, size, "an address that is not the kernel's");
    if (address >= stack && address < stack + 4096)
        snprintf(text, size, "the end of its stack (%d KB; -DCUDA_ON_CPU_STACK=bytes gives more)",
                 CUDA_ON_CPU_STACK >> 10);
    if (address < (char *)4096) snprintf(text, size, "the null pointer");
    for (const Allocation *a = gpu.allocations; a; a = a->next) {
        if (address < a->around || address >= a->around + a->around_bytes) continue;
        const bool before = address < a->data;
        const long bytes = before ? a->data - address : address - a->data - a->bytes;
        char far[32] = "just";
        if (bytes > 0) snprintf(far, sizeof far, "%ld bytes", bytes);
        snprintf(text, size, "%s %s the %zu bytes from %s", far,
                 before ? "before" : "after the end of", a->bytes, a->where);
    }
}

// Which thread touched which address.
inline void illegal_address(const char *address, const void *pc, const char *verb) {
    Line line;
    char where[300];
    find_lines(&pc, &line, 1);
    describe(address, where, sizeof where);
    gpu.in_kernel = true;
    fail(cudaErrorIllegalAddress, "%s %s %s, at %s. Kernel %s",
         name_of(gpu.current, blockIdx), verb, where, line, gpu.kernel);
}

inline void misaligned_address(const void *pc) {
    Line line;
    find_lines(&pc, &line, 1);
    gpu.in_kernel = true;
    fail(cudaErrorMisalignedAddress, "%s touches at %s an address that is not a multiple of the "
         "bytes that it loads or stores at once (16 of a float4), where a GPU stops. Kernel %s",
         name_of(gpu.current, blockIdx), line, gpu.kernel);
}

inline void on_signal(int, siginfo_t *info, void *context) {
    const void *pc = nullptr;
    bool misaligned = info->si_code == BUS_ADRALN && info->si_signo == SIGBUS;
#if defined(__x86_64__)
    pc = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] + 1;
    misaligned |= info->si_code == SI_KERNEL;  // general protection: no address is told
#elif defined(__aarch64__)
    pc = (char *)((ucontext_t *)context)->uc_mcontext.pc + 1;
#endif
    if (!gpu.in_kernel) signal(SIGSEGV, SIG_DFL), raise(SIGSEGV);
    traffic::stop();
    if (misaligned) misaligned_address(pc);
    illegal_address((const char *)info->si_addr, pc, "touches");
}

// While it lives, a wrong address in a kernel is told in a sentence. AddressSanitizer has its own.
struct Watch {
    struct sigaction before[2];
    stack_t stack_before;
    Watch() {
#ifndef CUDA_ON_CPU_ASAN
        alignas(16) static char room[64 << 10];
        stack_t stack = {};
        stack.ss_sp = room, stack.ss_size = sizeof room;
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        sigaltstack(&stack, &stack_before);
        sigaction(SIGSEGV, &action, &before[0]), sigaction(SIGBUS, &action, &before[1]);
#endif
    }
    ~Watch() {
#ifndef CUDA_ON_CPU_ASAN
        sigaction(SIGSEGV, &before[0], nullptr), sigaction(SIGBUS, &before[1], nullptr);
        sigaltstack(&stack_before, nullptr);
#endif
    }
};

inline void make_stacks() {
    if (gpu.stacks) return;
    void *room = mmap(nullptr, MOST_THREADS * size_t(CUDA_ON_CPU_STACK), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) return;
    gpu.stacks = (char *)room;
    for (int i = 0; i < MOST_THREADS; i++)  // a page that nobody may touch ends each
        mprotect(stack_of(i), 4096, PROT_NONE);
}

inline void read_environment() {
    const char *order = getenv("CUDA_ON_CPU_ORDER"), *early = getenv("CUDA_ON_CPU_EARLY_RETURN");
    gpu.early_return = early && !strcmp(early, "allow");
    gpu.order = Machine::FORWARD;
    if (!order || !*order || !strcmp(order, "forward")) return;
    if (!strcmp(order, "reverse")) gpu.order = Machine::REVERSE;
    else if (!strncmp(order, "random:", 7) && order[7] >= '0' && order[7] <= '9') {
        gpu.order = Machine::RANDOM;
        gpu.random = strtoull(order + 7, nullptr, 10) * 0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d;
        if (!gpu.random) gpu.random = 1;
    } else
        fail(cudaErrorInvalidValue,
             "CUDA_ON_CPU_ORDER is \"%s\"; give forward, reverse or random:SEED.", order);
}

// True if the GPU would take these sizes.
inline bool right_sizes(dim3 grid, dim3 block, size_t shared_bytes, const void *function) {
    const uint64_t threads = uint64_t(block.x) * block.y * block.z;
    bool large = shared_bytes <= USUAL_SHARED;
    for (int i = 0; i < gpu.num_large_shared; i++) large |= gpu.large_shared[i] == function;
    if (threads < 1 || threads > MOST_THREADS || block.z > 64)
        fail(cudaErrorInvalidConfiguration, "%s: a block of (%u,%u,%u) threads; a block has 1 to "
             "1024 threads, at most 64 along z.", gpu.kernel, block.x, block.y, block.z);
    else if (!grid.x || !grid.y || !grid.z || grid.x > INT_MAX || grid.y > 65535 || grid.z > 65535)
        fail(cudaErrorInvalidConfiguration, "%s: a grid of (%u,%u,%u) blocks; give 1 to 2147483647 "
             "along x, 1 to 65535 along y and z.", gpu.kernel, grid.x, grid.y, grid.z);
    else if (shared_bytes > MOST_SHARED || !large)
        fail(cudaErrorInvalidValue, "%s: %zu bytes of dynamic shared memory; a block has 49152, "
             "and up to 232448 after cudaFuncSetAttribute(kernel, "
             "cudaFuncAttributeMaxDynamicSharedMemorySize, bytes).", gpu.kernel, shared_bytes);
    else if (!gpu.stacks)
        fail(cudaErrorMemoryAllocation, "there is no room for %d stacks of %d KB; "
             "-DCUDA_ON_CPU_STACK=bytes makes them smaller.",
             MOST_THREADS, CUDA_ON_CPU_STACK >> 10);
    return !gpu.failed;
}

inline void run(const char *kernel, const void *function, dim3 grid, dim3 block,
                size_t shared_bytes, void (*body)(void *), void *arguments,
                size_t arguments_bytes) {
    if (gpu.in_kernel)
        fail(cudaErrorLaunchFailure, "%s launches %s; cuda_on_cpu.h has no launches from kernels.",
             gpu.kernel, kernel);
    const bool wrapped = kernel[0] == '(';  // (k<float, 4>)
    const int length = int(strlen(kernel)) - 2 * wrapped;
    snprintf(gpu.kernel, sizeof gpu.kernel, "%.*s", length, kernel + wrapped);
    gpu.body = body, gpu.failed = false;
    gpu.arguments = arguments, gpu.arguments_bytes = arguments_bytes;
    make_stacks();
    read_environment();
    if (gpu.failed || !right_sizes(grid, block, shared_bytes, function)) return;
    gpu.num_threads = block.x * block.y * block.z;
    gpu.shared_bytes = shared_bytes;
    gridDim = grid, blockDim = block;
    const long blocks = long(grid.x) * grid.y * grid.z;
    int *list = gpu.order == Machine::RANDOM ? (int *)malloc(blocks * sizeof *list) : nullptr;
    for (long i = 0; list && i < blocks; i++) list[i] = int(i);
    if (list) arrange(list, blocks);
    traffic::launch_begins(gpu.kernel);
    {
        Watch watch;
        for (long i = 0; i < blocks && !gpu.failed; i++) {
            const long block = list ? list[i] : gpu.order == Machine::REVERSE ? blocks - 1 - i : i;
            blockIdx = coordinates(unsigned(block), grid);
            run_block();
        }
    }
    traffic::launch_ends();
    free(list);
}

template <class... P> struct Launch {
    const char *name;
    void (*kernel)(P...);
    dim3 grid, block;
    size_t shared_bytes;
    typedef std::pair<void (*)(P...), std::tuple<std::decay_t<P>...>> Call;
    static void body(void *call) {
        std::apply(((Call *)call)->first, ((Call *)call)->second);
    }
    template <class... A> void operator()(A &&...arguments) const {
        static_assert(sizeof...(A) == sizeof...(P), "A launch gives each parameter of the kernel.");
        Call call{kernel, {static_cast<std::decay_t<P>>(std::forward<A>(arguments))...}};
        run(name, (const void *)kernel, grid, block, shared_bytes, body, &call, sizeof call);
    }
};

template <class... P>
Launch<P...> launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                    size_t shared_bytes = 0, void * /* stream */ = nullptr) {
    return {name, kernel, grid, block, shared_bytes};
}

// ---- waiting for each other ------------------------------------------------------------------

inline int wait_block(const char *what, int vote, const char *file, int line) {
    Thread &me = gpu.threads[gpu.current];
    me.state = AT_BARRIER, me.what = what, me.file = file, me.line = line;
    me.given = vote, me.mask = 0;
    pause();
    return gpu.votes;
}

// Waits for the lanes of the mask, and shows them a value; theirs stand in the result.
inline const uint64_t *wait_warp(const char *what, unsigned mask, uint64_t value,
                                 const char *file, int line) {
    Thread &me = gpu.threads[gpu.current];
    if (!(mask >> gpu.current % 32 & 1))
        fail(cudaErrorLaunchFailure, "%s calls %s at %s:%d with the mask %#x, in which its own "
             "lane, %d, is missing. Kernel %s", name_of(gpu.current, blockIdx), what,
             base_name(file), line, mask, gpu.current % 32, gpu.kernel);
    me.state = AT_WARP, me.what = what, me.file = file, me.line = line;
    me.given = value, me.mask = mask;
    pause();
    return me.taken;
}

template <class T> inline uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_destructible_v<T>,
                  "A shuffle takes numbers and vectors of at most 8 bytes.");
    uint64_t bits = 0;
    memcpy(&bits, (const void *)&value, sizeof value);
    return bits;
}

template <class T> inline T from_bits(uint64_t bits) {
    T value;
    memcpy((void *)&value, &bits, sizeof value);
    return value;
}

// The value that the lane `source` shows.
template <class T>
inline T shuffle(const char *what, unsigned mask, T value, int source, const char *file, int line) {
    const uint64_t *shown = wait_warp(what, mask, to_bits(value), file, line);
    return from_bits<T>(shown[source & 31]);
}

inline int lane() { return gpu.current % 32; }

inline unsigned ballot(const char *what, unsigned mask, int vote, const char *file, int line) {
    const uint64_t *shown = wait_warp(what, mask, vote != 0, file, line);
    unsigned bits = 0;
    for (int i = 0; i < 32; i++) bits |= unsigned(shown[i] == 1) << i;
    return bits;
}

}  // namespace cuda_on_cpu

#endif  // CUDA_ON_CPU_MACHINE_H
