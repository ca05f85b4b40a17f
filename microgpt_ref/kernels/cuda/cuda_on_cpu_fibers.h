// cuda_on_cpu_fibers.h: threads as fibers, shared memory, and the words in which mistakes are told:
// what depends on the processor and on the operating system. Part of cuda_on_cpu.h.

#ifndef CUDA_ON_CPU_FIBERS_H
#define CUDA_ON_CPU_FIBERS_H

namespace cuda_on_cpu {

constexpr int EXIT_CODE = 86;
constexpr int MOST_THREADS = 1024;           // of a block
constexpr size_t MOST_SHARED = 227 << 10;    // bytes of a block, from Hopper on
constexpr size_t USUAL_SHARED = 48 << 10;    // without cudaFuncSetAttribute

// Dynamic shared memory: `extern __shared__ float smem[];` is another name of it. C++ asks a
// function _ZTH4smem for each such name, whether there is something to construct: there is not.
alignas(256) __attribute__((weak)) thread_local char arena[MOST_SHARED] asm("cuda_on_cpu_arena");
#ifndef EXTERN_SHARED
#define EXTERN_SHARED smem, s_mem, smem_raw, smem_, sdata, s_data, shared, shared_, shared_mem, \
    shared_memory, sharedMem, sharedMemory, shared_data, sharedData, shmem, sram, sh_mem, dyn_smem
#endif
#define CUDA_ON_CPU_TEXT(...) #__VA_ARGS__
#define CUDA_ON_CPU_NAMES(...) CUDA_ON_CPU_TEXT(__VA_ARGS__)
asm(".pushsection .text\n"
    ".weak cuda_on_cpu_nothing\n.hidden cuda_on_cpu_nothing\ncuda_on_cpu_nothing: ret\n"
    ".altmacro\n"
    ".macro cuda_on_cpu_name length, name\n"
    ".weak \\name\n.hidden \\name\n.type \\name, @tls_object\n.set \\name, cuda_on_cpu_arena\n"
    ".weak _ZTH\\length\\name\n.hidden _ZTH\\length\\name\n"
    ".set _ZTH\\length\\name, cuda_on_cpu_nothing\n"
    ".endm\n"
    ".irp name, " CUDA_ON_CPU_NAMES(EXTERN_SHARED) "\n"
    ".set cuda_on_cpu_length, 0\n"
    ".irpc letter, \\name\n.set cuda_on_cpu_length, cuda_on_cpu_length + 1\n.endr\n"
    "cuda_on_cpu_name %cuda_on_cpu_length, \\name\n"
    ".endr\n"
    ".noaltmacro\n.purgem cuda_on_cpu_name\n.popsection\n");
#define DYNAMIC_SHARED(type, name) type *const name = (type *)(void *)cuda_on_cpu::arena

// ---- fibers ----------------------------------------------------------------------------------

// cuda_on_cpu_switch(save, load) puts the registers that a function must preserve on the stack,
// remembers in *save where they are, and goes on with the stack that `load` remembers.
#if defined(CUDA_ON_CPU_UCONTEXT)  // the C library's way, several times slower
#elif defined(__x86_64__)
#define CUDA_ON_CPU_REGISTERS 8  // words of a new stack; the 7th is where it begins
#define CUDA_ON_CPU_BEGIN 6
asm(".pushsection .text\n"
    "cuda_on_cpu_switch:\n"
    "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
    "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
    "    ret\n"
    ".popsection\n");
#elif defined(__aarch64__)
#define CUDA_ON_CPU_REGISTERS 20
#define CUDA_ON_CPU_BEGIN 11  // x30, the return address
asm(".pushsection .text\n"
    "cuda_on_cpu_switch:\n"
    "    sub sp, sp, #160\n"
    "    stp x19, x20, [sp]\n        stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n   stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n     stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
    "    ldp x19, x20, [sp]\n        ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n   ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n     ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #160\n    ret\n"
    ".popsection\n");
#endif
#ifdef CUDA_ON_CPU_REGISTERS
void switch_stacks(void **save, void *load) asm("cuda_on_cpu_switch");
struct Fiber { void *stack; };
#else
struct Fiber { ucontext_t context; };
#endif

enum State { READY, AT_BARRIER, AT_WARP, ENDED };

struct Thread {
    Fiber fiber;
    State state;
    uint3 index;
    const char *what, *file;  // where it waits
    int line;
    unsigned mask;            // the lanes it waits for
    uint64_t given;           // what it shows them, or its vote
    uint64_t taken[32];       // what they showed
    long in_vain;             // atomics in a row that changed nothing
};

// Global memory: the kernel may touch `bytes` from `data` on, and nothing else within `around`.
struct Allocation {
    char *data, *around;
    size_t bytes, around_bytes;
    bool ours;  // from cudaMalloc
    char where[120];
    Allocation *next;
};

// The one GPU of this program.
struct Machine {
    Thread threads[MOST_THREADS];
    int num_threads, current, queue[MOST_THREADS], first, waiting, ended, at_barrier;
    bool in_kernel, failed, early_return;
    enum { FORWARD, REVERSE, RANDOM } order;
    uint64_t random;
    int votes;
    char *stacks;
    int num_stacks;
    Fiber host;
    char kernel[200];
    void (*body)(void *);
    void *arguments;
    size_t arguments_bytes;
    Allocation *allocations;
    cudaError_t error;
    char sentence[2048];
    const void *host_stack;
    size_t host_stack_size, shared_bytes;
    const void *large_shared[64];  // kernels that cudaFuncSetAttribute allows more than 48 KB
    int num_large_shared;
};
inline Machine gpu;

inline char *stack_of(int thread) { return gpu.stacks + thread * size_t(CUDA_ON_CPU_STACK); }

inline const char *base_name(const char *path) {
    const char *const name = strrchr(path, '/');
    return name ? name + 1 : path;
}

inline uint3 coordinates(unsigned i, dim3 size) {
    return {i % size.x, i / size.x % size.y, i / size.x / size.y};
}

// "thread (3,0,0) of block (1,0,0)" in one of four buffers that take turns.
inline const char *name_of(int thread, uint3 block) {
    static char text[4][96];
    static int turn = 0;
    char *t = text[turn++ % 4];
    const uint3 i = coordinates(thread, blockDim);
    snprintf(t, 96, "thread (%u,%u,%u) of block (%u,%u,%u)",
             i.x, i.y, i.z, block.x, block.y, block.z);
    return t;
}

// The first line of a program's source among the lines of addr2line, which tells the innermost
// function first. Ends where the next address begins ("0x...").
inline void read_place(FILE *tool, char *text, size_t size) {
    char line[PATH_MAX + 80];
    bool found = false;
    while (fgets(line, sizeof line, tool) && strncmp(line, "0x", 2)) {
        line[strcspn(line, " \n")] = 0;  // " (discriminator 2)"
        if (found || line[0] == '?') continue;
        found = strncmp(base_name(line), "cuda_on_cpu", 11) != 0;
        snprintf(text, size, "%.200s", base_name(line));
    }
}

typedef char Line[256];

// "file.cu:12" of n instructions, by addr2line where the build has -g and the machine the tool.
inline void find_lines(const void *const *pcs, Line *lines, int n) {
    constexpr int MOST = 256;  // in one call of the tool, which takes some 20 ms
    if (n > MOST) find_lines(pcs + MOST, lines + MOST, n - MOST);
    Dl_info at;
    char module[64 + PATH_MAX] = "", command[PATH_MAX + 128 + 24 * MOST];
    for (int i = 0; i < n; i++) snprintf(lines[i], sizeof(Line), "a place that is not known");
    if (n < 1 || !dladdr(pcs[0], &at) || !at.dli_fname) return;
    if (!realpath(at.dli_fname, module)) snprintf(module, sizeof module, "/proc/%d/exe", getpid());
    const uintptr_t base = (uintptr_t)at.dli_fbase;
    const bool fixed = ((const ElfW(Ehdr) *)base)->e_type == ET_EXEC;
    size_t used = snprintf(command, sizeof command, "addr2line -i -a -e '%s'", module);
    for (int i = 0; i < n && i < MOST; i++) {
        const uintptr_t offset = (uintptr_t)pcs[i] - 1 - (fixed ? 0 : base);
        snprintf(lines[i], sizeof(Line), "%.200s+%#lx", base_name(module), (long)offset);
        used += snprintf(command + used, sizeof command - used, " %#lx", (long)offset);
    }
    snprintf(command + used, sizeof command - used, " 2>/dev/null");
    if (FILE *tool = strchr(module, '\'') ? nullptr : popen(command, "r")) {
        Line nothing;  // before the first address
        read_place(tool, nothing, sizeof nothing);
        for (int i = 0; i < n && i < MOST; i++) read_place(tool, lines[i], sizeof(Line));
        pclose(tool);
    }
}

inline void switch_fiber(Fiber &from, Fiber &to, bool to_host, bool for_ever = false) {
#ifdef CUDA_ON_CPU_ASAN
    void *fake = nullptr;
    const void *bottom = to_host ? gpu.host_stack : stack_of(gpu.current);
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake, bottom,
                                   to_host ? gpu.host_stack_size : CUDA_ON_CPU_STACK);
#endif
    (void)to_host, (void)for_ever;
#ifdef CUDA_ON_CPU_REGISTERS
    switch_stacks(&from.stack, to.stack);
#else
    swapcontext(&from.context, &to.context);
#endif
#ifdef CUDA_ON_CPU_ASAN
    const void *bottom_of_other;
    size_t size_of_other;
    __sanitizer_finish_switch_fiber(fake, &bottom_of_other, &size_of_other);
#endif
}

// From a thread back to the host, until somebody makes the thread ready again.
inline void pause(bool for_ever = false) {
    switch_fiber(gpu.threads[gpu.current].fiber, gpu.host, true, for_ever);
}

// Says what went wrong and ends the program. With CUDA_ON_CPU_NO_EXIT the launch fails instead, and
// in a kernel this does not return: the block's fibers are left where they stand.
__attribute__((format(printf, 2, 3))) inline void fail(cudaError_t error, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(gpu.sentence, sizeof gpu.sentence, format, values);
    va_end(values);
#ifndef CUDA_ON_CPU_NO_EXIT
    fflush(stdout);
    fprintf(stderr, "cuda_on_cpu: %s\n", gpu.sentence);
    _Exit(EXIT_CODE);
#endif
    gpu.error = error;
    gpu.failed = true;
    if (gpu.in_kernel) pause(true);
}

}  // namespace cuda_on_cpu

#endif  // CUDA_ON_CPU_FIBERS_H
