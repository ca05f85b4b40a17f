// cuda_on_cpu_traffic.h: the memory traffic of a kernel, and its races. Part of cuda_on_cpu.h.
//
//     FLAGS="-x c++ -std=c++17 -O1 -g -fno-strict-aliasing -include cuda_on_cpu.h"
//     g++ $FLAGS -fsanitize=thread -c k.cu -o k.o
//     g++ k.o -o k -ldl              (without -fsanitize: what it would link is here)
//     clang++: the same, with -fno-vectorize -fno-slp-vectorize -fno-unroll-loops
//
// How it sees. -fsanitize=thread makes the compiler call __tsan_read4(address) before each load of
// 4 bytes, and so on for every size, for stores and for atomics. We are the ones called. Where the
// call returns to is the instruction; the k-th time that the lanes of a warp execute the same
// instruction between two barriers is one request, as on a GPU, where they execute it together.
//
// What it counts, for each kernel and for each line:
//     requests     a warp's loads, stores or atomics
//     sectors      global memory moves in sectors of 32 bytes: the different ones of each request
//     ideal        the fewest sectors that could hold the bytes that were asked for
//     wavefronts   shared memory has 32 banks, 4 bytes wide. A bank serves one word at a time (to
//                  as many lanes as want it); 8 bytes a lane go by half warps, 16 by quarters.
//                  An atomic is served once for each lane.
//     conflicts    the wavefronts beyond one for each (half, quarter of a) warp
//
// What it reports, once for each pair of lines: two threads that touch the same word of shared or
// global memory, one of them writing, with nothing between that orders them (__syncthreads; within
// a warp __syncwarp, not a shuffle); atomics do not race with atomics. Shared memory that is read
// before its block wrote it. Global memory beside what cudaMalloc or cudaHostRegister gave, and
// memory of the host.
//
// What it cannot see. Registers, locals, __constant__ and __device__ variables; loads that the
// compiler found superfluous (nvcc finds much the same ones); memcpy in a kernel; structs other
// than float2, int4 ... count as words of 4 bytes. Caches: a sector counts each time. Where lanes
// part ways, the k-th executions are taken together although a GPU may do them apart. Locks and
// flags: a kernel with a __threadfence() is believed about global memory, whatever it does.
//
// The result: a table on stderr when the program ends (CUDA_ON_CPU_REPORT=FILE: JSON there instead;
// =off: neither), and the same JSON from `const char *cuda_on_cpu_report(void)`. A library, built
// with -DCUDA_ON_CPU_NO_EXIT, prints no table.

#ifndef CUDA_ON_CPU_TRAFFIC_H
#define CUDA_ON_CPU_TRAFFIC_H

namespace cuda_on_cpu {

void illegal_address(const char *address, const void *pc, const char *verb);
void misaligned_address(const void *pc);

namespace traffic {

#define OWN __attribute__((no_sanitize("thread")))  // our own loads and stores, which nobody counts

enum Space { GLOBAL, SHARED, NEITHER };
enum Kind { READ, WRITE, ATOMIC };
constexpr const char *SPACES[] = {"global", "shared"};
constexpr const char *KINDS[] = {"read", "write", "atomic"};
constexpr const char *VERBS[] = {"reads", "writes", "changes by an atomic"};

struct Totals { unsigned long long requests, bytes, sectors, ideal, wavefronts, conflicts; };

struct Request {
    unsigned lanes;
    uintptr_t address[32];
};

// One instruction of one kernel, in one space.
struct Site {
    uintptr_t pc;
    int piece;  // of a struct that is copied word by word
    Space space;
    Kind kind;
    int size;
    Totals totals;
    Request *requests[32];               // of each warp since the last barrier
    int num_requests[32], room[32];
    int executed[MOST_THREADS];          // how often, by each thread
    bool pending, told_unwritten;
    Line line;
    Site *next;                          // in the order of their first execution
};

constexpr int SITES = 4096;  // a table by hash

struct Kernel {
    char name[200];
    long launches, threads;
    bool fenced, foreign;
    Site *table[SITES], *first, **last;
    Kernel *next;
};

// Who touched a word, and when: at which barrier, and which __syncwarp of its lane.
struct Touch {
    uint32_t block, barrier, warp_clock;
    int16_t thread;  // -1: nobody
    uint8_t bytes;   // which of the four
    Kind kind;
    Site *site;
};
struct Word {
    uintptr_t address;
    Touch writes[2], reads[2];  // the last ones by two different threads
};
struct Shadow {
    Word *words;
    size_t room, used;
};

// A load of what another thread changed by an atomic: a race, unless the loading thread goes on to
// an atomic on the same word. That is how a loop around atomicCAS begins.
struct Suspect {
    uintptr_t address;
    Touch before, now;
};

struct Race {
    char text[1200];
    Race *next;
};

struct Traffic {
    bool on, will_report;
    Kernel *kernels, *kernel;
    Shadow shadows[2];
    uint32_t block, barrier, clocks[MOST_THREADS][32];
    uintptr_t shared_begin, shared_end, module_begin, module_end;
    Race *races, **last_race;
    Site *told[256][2];  // pairs whose race is known
    int num_told;
    Suspect suspects[256];
    int num_suspects;
    char *json;
};
inline Traffic traffic;

OWN inline void go_on() { traffic.on = true; }
OWN inline void stop() { traffic.on = false; }
OWN inline void fence() { traffic.kernel->fenced = true; }

// ---- what a request costs --------------------------------------------------------------------

OWN inline void score(Site &site, const Request &request) {
    Totals &t = site.totals;
    const int lanes = __builtin_popcount(request.lanes);
    t.requests++, t.bytes += uint64_t(lanes) * site.size;
    if (site.space == GLOBAL) {
        uintptr_t sectors[64], addresses[32];
        int n = 0, different = 0;
        for (int lane = 0; lane < 32; lane++) {
            if (!(request.lanes >> lane & 1)) continue;
            const uintptr_t a = request.address[lane];
            int i = different;
            while (i > 0 && addresses[i - 1] != a) i--;
            if (i == 0) addresses[different++] = a;
            for (uintptr_t s = a / 32; s <= (a + site.size - 1) / 32; s++) {
                for (i = n; i > 0 && sectors[i - 1] != s;) i--;
                if (i == 0) sectors[n++] = s;
            }
        }
        t.sectors += n;
        const int ideal = (different * site.size + 31) / 32;
        t.ideal += ideal < n ? ideal : n;
        return;
    }
    const int words = site.size > 4 ? site.size / 4 : 1, group = 32 / words;
    for (int start = 0; start < 32; start += group) {
        uintptr_t served[32][32];  // the words of each bank
        int n[32] = {}, most = 0;
        for (int lane = start; lane < start + group; lane++) {
            if (!(request.lanes >> lane & 1)) continue;
            for (int w = 0; w < words; w++) {
                const uintptr_t word = request.address[lane] / 4 + w;
                const int bank = word % 32;
                int i = n[bank];
                while (i > 0 && (site.kind == ATOMIC || served[bank][i - 1] != word)) i--;
                if (i == 0) served[bank][n[bank]++] = word;
                if (n[bank] > most) most = n[bank];
            }
        }
        t.wavefronts += most, t.conflicts += most > 1 ? most - 1 : 0;
    }
}

OWN inline void convict();

// All threads are at a barrier, or have ended: what they executed between can be put together.
OWN inline void settle() {
    convict();
    for (Site *site = traffic.kernel->first; site; site = site->next) {
        if (!site->pending) continue;
        for (int warp = 0; warp < 32; warp++) {
            for (int i = 0; i < site->num_requests[warp]; i++) score(*site,
                site->requests[warp][i]);
            site->num_requests[warp] = 0;
        }
        memset(site->executed, 0, sizeof site->executed);
        site->pending = false;
    }
}

OWN inline void add_request(Site &site, uintptr_t address) {
    const int thread = gpu.current, warp = thread / 32, k = site.executed[thread]++;
    site.pending = true;
    if (k >= site.room[warp]) {
        const int room = site.room[warp] ? 2 * site.room[warp] : 4;
        site.requests[warp] = (Request *)realloc(site.requests[warp], room * sizeof(Request));
        if (!site.requests[warp]) abort();
        site.room[warp] = room;
    }
    while (k >= site.num_requests[warp]) site.requests[warp][site.num_requests[warp]++].lanes = 0;
    Request &request = site.requests[warp][k];
    request.lanes |= 1u << thread % 32;
    request.address[thread % 32] = address;
}

// ---- races -----------------------------------------------------------------------------------

OWN inline Word &word_at(Shadow &shadow, uintptr_t address) {
    if (2 * shadow.used >= shadow.room) {
        const Shadow old = shadow;
        shadow.room = old.room ? 2 * old.room : 1 << 12, shadow.used = 0;
        shadow.words = (Word *)calloc(shadow.room, sizeof(Word));
        if (!shadow.words) abort();
        for (size_t i = 0; i < old.room; i++)
            if (old.words[i].address) word_at(shadow, old.words[i].address) = old.words[i];
        free(old.words);
    }
    size_t i = (address * 0x9e3779b97f4a7c15u >> 20) & (shadow.room - 1);
    while (shadow.words[i].address
        && shadow.words[i].address != address) i = (i + 1) & (shadow.room - 1);
    Word &word = shadow.words[i];
    if (!word.address) {
        shadow.used++;
        word.address = address;
        word.writes[0].thread = word.writes[1].thread = -1;
        word.reads[0].thread = word.reads[1].thread = -1;
    }
    return word;
}

OWN inline void forget(Shadow &shadow) {
    memset(shadow.words, 0, shadow.room * sizeof(Word));
    shadow.used = 0;
}

// Whether something makes the earlier touch come before this one in every run.
OWN inline bool ordered(const Touch &before, const Touch &now) {
    if (before.thread < 0 || !(before.bytes & now.bytes)) return true;
    if (now.site->space == GLOBAL && traffic.kernel->fenced) return true;
    if (before.block != now.block) return false;
    if (before.thread == now.thread || before.barrier < now.barrier) return true;
    return before.thread / 32 == now.thread / 32 &&
           traffic.clocks[now.thread][before.thread % 32] > before.warp_clock;
}

OWN inline const char *line_of(Site &site) {
    if (!site.line[0]) {
        const void *pc = (const void *)site.pc;
        find_lines(&pc, &site.line, 1);
    }
    return site.line;
}

OWN inline void remember(const char *text) {
    for (Race *race = traffic.races; race; race = race->next)
        if (!strcmp(race->text, text)) return;
    Race *race = (Race *)calloc(1, sizeof(Race));
    snprintf(race->text, sizeof race->text, "%s", text);
    if (!traffic.last_race) traffic.last_race = &traffic.races;
    *traffic.last_race = race, traffic.last_race = &race->next;
#ifndef CUDA_ON_CPU_NO_EXIT  // who loads a library reads the report
    fprintf(stderr, "cuda_on_cpu: %s\n", text);
#endif
}

OWN inline void tell_race(const Touch &before, const Touch &now) {
    for (int i = 0; i < traffic.num_told; i++)
        if (traffic.told[i][0] == before.site && traffic.told[i][1] == now.site) return;
    if (traffic.num_told == 256) return;
    Site **pair = traffic.told[traffic.num_told++];
    pair[0] = before.site, pair[1] = now.site;
    char text[1200];
    snprintf(text, sizeof text,
             "race in %s on %s memory: %s %s at %s what %s %s at %s, and nothing orders the two.",
             traffic.kernel->name, SPACES[now.site->space],
             name_of(now.thread, coordinates(now.block, gridDim)), VERBS[now.kind],
                 line_of(*now.site),
             name_of(before.thread, coordinates(before.block, gridDim)), VERBS[before.kind],
             line_of(*before.site));
    remember(text);
}

OWN inline void acquit(uintptr_t address, int thread) {
    for (int i = traffic.num_suspects - 1; i >= 0; i--)
        if (traffic.suspects[i].address == address && traffic.suspects[i].now.thread == thread)
            traffic.suspects[i] = traffic.suspects[--traffic.num_suspects];
}

OWN inline void convict() {  // at a barrier: no atomic has followed
    for (int i = 0; i < traffic.num_suspects; i++) tell_race(traffic.suspects[i].before,
        traffic.suspects[i].now);
    traffic.num_suspects = 0;
}

OWN inline void touch(Site &site, uintptr_t address, uint8_t bytes) {
    Word &word = word_at(traffic.shadows[site.space], address);
    const int thread = gpu.current;
    const Touch now = {traffic.block, traffic.barrier, traffic.clocks[thread][thread % 32],
                       int16_t(thread), bytes, site.kind, &site};
    for (const Touch &write : word.writes) {
        if ((site.kind == ATOMIC && write.kind == ATOMIC) || ordered(write, now)) continue;
        if (site.kind != READ || write.kind != ATOMIC) tell_race(write, now);
        else if (traffic.num_suspects < 256)
            traffic.suspects[traffic.num_suspects++] = {address, write, now};
    }
    if (site.kind == ATOMIC) acquit(address, thread);
    for (Touch &read : word.reads) {
        const bool mine = read.thread == thread && read.block == now.block;
        if (site.kind == ATOMIC && mine) read.kind = ATOMIC;
        if (site.kind == WRITE || (site.kind == ATOMIC && read.kind == READ))
            if (!ordered(read, now)) tell_race(read, now);
    }
    const bool unwritten = site.space == SHARED && word.writes[0].thread < 0;
    if (unwritten && site.kind != WRITE && !site.told_unwritten) {
        char text[1200];
        site.told_unwritten = true;
        snprintf(text, sizeof text,
                 "%s reads at %s shared memory that its block has not written, in %s.",
                 name_of(thread, blockIdx), line_of(site), traffic.kernel->name);
        remember(text);
    }
    Touch *const last = site.kind == READ ? word.reads : word.writes;
    if (last[0].thread != now.thread || last[0].block != now.block) last[1] = last[0];
    last[0] = now;
}

// __syncwarp: what these lanes did before comes before what they do next.
OWN inline void warp_barrier(int start, unsigned mask) {
    uint32_t known[32] = {};
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        traffic.clocks[start + i][i]++;
        for (int j = 0; j < 32; j++)
            if (traffic.clocks[start + i][j] > known[j]) known[j] = traffic.clocks[start + i][j];
    }
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1) memcpy(traffic.clocks[start + i], known, sizeof known);
}

// ---- one load, store or atomic ---------------------------------------------------------------

OWN inline Space space_of(uintptr_t address, int size, const void *pc, Kind kind) {
    if (address >= traffic.shared_begin && address < traffic.shared_end) return SHARED;
    if (address >= traffic.module_begin && address < traffic.module_end) return NEITHER;
    const uintptr_t stacks = (uintptr_t)gpu.stacks;
    if (address >= stacks
        && address < stacks + MOST_THREADS * size_t(CUDA_ON_CPU_STACK)) return NEITHER;
    const uintptr_t arguments = (uintptr_t)gpu.arguments;
    if (address >= arguments && address < arguments + gpu.arguments_bytes) return NEITHER;
    const Allocation *beside = nullptr;
    for (const Allocation *a = gpu.allocations; a; a = a->next) {
        const uintptr_t data = (uintptr_t)a->data, around = (uintptr_t)a->around;
        if (address >= data && address + size <= data + a->bytes) return GLOBAL;
        if (address >= around && address < around + a->around_bytes) beside = a;
    }
    if (beside || address < 4096) illegal_address((const char *)address, pc, VERBS[kind]);
    if (!traffic.kernel->foreign) {
        char text[1200];
        Line line;
        traffic.kernel->foreign = true;
        find_lines(&pc, &line, 1);
        snprintf(text, sizeof text, "%s %s at %s memory of the host, which a GPU does not reach: "
                 "give it memory from cudaMalloc, or tell cuda_on_cpu_global of it. It is not "
                 "counted. Kernel %s",
                 name_of(gpu.current, blockIdx), VERBS[kind], line, traffic.kernel->name);
        remember(text);
    }
    return NEITHER;
}

OWN inline Site &site_at(uintptr_t pc, int piece, Space space, Kind kind, int size) {
    Kernel &kernel = *traffic.kernel;
    unsigned i = (pc * 0x9e3779b97f4a7c15u >> 32) + piece * 7 + space;
    for (int probes = 0; probes < SITES; probes++, i++) {
        Site *&site = kernel.table[i % SITES];
        if (!site) {
            site = (Site *)calloc(1, sizeof(Site));
            if (!site) abort();
            site->pc = pc, site->piece = piece, site->space = space, site->kind = kind,
                site->size = size;
            if (!kernel.last) kernel.last = &kernel.first;
            *kernel.last = site, kernel.last = &site->next;
        }
        const bool same_place = site->pc == pc && site->piece == piece;
        if (same_place && site->space == space && site->kind == kind) return *site;
    }
    abort();  // more than 4,096 loads and stores in one kernel
}

OWN inline void access(const void *at, int size, Kind kind, const void *pc, int piece = 0) {
    const uintptr_t address = (uintptr_t)at;
    const Space space = space_of(address, size, pc, kind);
    if (space == NEITHER) return;
    if (address % size) misaligned_address(pc);
    Site &site = site_at((uintptr_t)pc, piece, space, kind, size);
    add_request(site, address);
    const uintptr_t end = address + size;
    for (uintptr_t word = address & ~uintptr_t(3); word < end; word += 4) {
        uint8_t bytes = 0;
        for (int i = 0; i < 4; i++) bytes |= uint8_t(word + i >= address && word + i < end) << i;
        touch(site, word, bytes);
    }
}

OWN inline void count(const void *address, size_t size, Kind kind, const void *pc) {
    if (!traffic.on) return;
    traffic.on = false;
    if (size == 1 || size == 2 || size == 4 || size == 8 || size == 16) {
        access(address, int(size), kind, pc);
    } else {
        for (size_t i = 0; i < size; i += 4)
            access((const char *)address + i, size - i < 4 ? int(size - i) : 4, kind, pc,
                   int(i / 4));
    }
    traffic.on = true;
}

// ---- from launch to launch -------------------------------------------------------------------

// Where this program or library, and in it the variables of one host thread, lie: those are the
// __shared__ ones.
OWN inline int find_module(dl_phdr_info *info, size_t, void *) {
    bool mine = false;
    uintptr_t low = ~uintptr_t(0), high = 0, tls_bytes = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        const uintptr_t end = begin + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_TLS) tls_bytes = info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        if (begin < low) low = begin;
        if (end > high) high = end;
        if ((uintptr_t)&gpu >= begin && (uintptr_t)&gpu < end) mine = true;
    }
    if (!mine) return 0;
    traffic.module_begin = low, traffic.module_end = high;
    traffic.shared_begin = (uintptr_t)info->dlpi_tls_data;
    traffic.shared_end = traffic.shared_begin + tls_bytes;
    return 1;
}

OWN inline void barrier() {
    settle();
    traffic.barrier++;
}

OWN inline void block_begins() {
    if (traffic.barrier) settle();
    traffic.barrier++;
    traffic.block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    if (traffic.shadows[SHARED].used) forget(traffic.shadows[SHARED]);
    traffic.kernel->threads += gpu.num_threads;
}

inline void report_at_exit();

OWN inline void launch_begins(const char *name) {
    if (!traffic.will_report) atexit(report_at_exit);
    traffic.will_report = true;
    Kernel **k = &traffic.kernels;
    while (*k && strncmp((*k)->name, name, sizeof(*k)->name - 1)) k = &(*k)->next;
    if (!*k) {
        *k = (Kernel *)calloc(1, sizeof(Kernel));
        snprintf((*k)->name, sizeof(*k)->name, "%s", name);
    }
    traffic.kernel = *k;
    traffic.kernel->launches++, traffic.kernel->fenced = false;
    traffic.barrier = 0;
    arena[0] = 0;  // the first use by a host thread gives it its variables
    dl_iterate_phdr(find_module, nullptr);
    if (traffic.shadows[GLOBAL].used) forget(traffic.shadows[GLOBAL]);
}

OWN inline void launch_ends() { settle(); }

// ---- the report ------------------------------------------------------------------------------

inline void add(Totals &sum, const Totals &t) {
    sum.requests += t.requests, sum.bytes += t.bytes;
    sum.sectors += t.sectors, sum.ideal += t.ideal;
    sum.wavefronts += t.wavefronts, sum.conflicts += t.conflicts;
}

inline void write_text(FILE *out, const char *text) {  // as a string of JSON
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('"', out);
}

inline void write_totals(FILE *out, Space space, const Totals &t) {
    fprintf(out, "\"requests\": %llu, \"bytes\": %llu, ", t.requests, t.bytes);
    if (space == GLOBAL) fprintf(out, "\"sectors\": %llu, \"ideal\": %llu}", t.sectors, t.ideal);
    else fprintf(out, "\"wavefronts\": %llu, \"conflicts\": %llu}", t.wavefronts, t.conflicts);
}

// Looks up the lines of all sites of a kernel at once.
inline void find_lines_of(Kernel &kernel) {
    const void *pcs[SITES];
    Site *sites[SITES];
    int n = 0;
    for (Site *site = kernel.first; site; site = site->next)
        if (!site->line[0]) pcs[n] = (const void *)site->pc, sites[n++] = site;
    Line *lines = (Line *)calloc(n + 1, sizeof(Line));
    if (!lines) abort();
    find_lines(pcs, lines, n);
    for (int i = 0; i < n; i++) memcpy(sites[i]->line, lines[i], sizeof(Line));
    free(lines);
}

// The sum of all sites that stand on the same line and do the same; 0 requests if an earlier one
// has told it.
inline Totals of_line(Kernel &kernel, Site &site) {
    Totals sum = {};
    bool earlier = true;
    for (Site *other = kernel.first; other; other = other->next) {
        if (other == &site) earlier = false;
        if (other->space != site.space || other->kind != site.kind) continue;
        if (strcmp(line_of(*other), line_of(site))) continue;
        if (earlier) return Totals();
        add(sum, other->totals);
    }
    return sum;
}

inline void write_json(FILE *out) {
    fprintf(out, "{\"kernels\": [");
    for (Kernel *k = traffic.kernels; k; k = k->next) {
        find_lines_of(*k);
        fprintf(out, "%s{\"kernel\": ", k == traffic.kernels ? "" : ",\n");
        write_text(out, k->name);
        fprintf(out, ", \"launches\": %ld, \"threads\": %ld", k->launches, k->threads);
        for (int space = GLOBAL; space <= SHARED; space++)
            for (int kind = READ; kind <= ATOMIC; kind++) {
                Totals sum = {};
                for (Site *site = k->first; site; site = site->next)
                    if (site->space == space && site->kind == kind) add(sum, site->totals);
                fprintf(out, ",\n  \"%s_%s\": {", SPACES[space], KINDS[kind]);
                write_totals(out, Space(space), sum);
            }
        fprintf(out, ",\n  \"lines\": [");
        bool comma = false;
        for (Site *site = k->first; site; site = site->next) {
            const Totals sum = of_line(*k, *site);
            if (!sum.requests) continue;
            fprintf(out, "%s\n    {\"line\": ", comma ? "," : "");
            comma = true;
            write_text(out, line_of(*site));
            fprintf(out, ", \"what\": \"%s_%s\", ", SPACES[site->space], KINDS[site->kind]);
            write_totals(out, site->space, sum);
        }
        fprintf(out, "]}");
    }
    fprintf(out, "],\n\"findings\": [");
    for (Race *race = traffic.races; race; race = race->next) {
        fprintf(out, "%s", race == traffic.races ? "" : ",\n  ");
        write_text(out, race->text);
    }
    fprintf(out, "]}\n");
}

inline void write_table(FILE *out) {
    for (Kernel *k = traffic.kernels; k; k = k->next) {
        find_lines_of(*k);
        fprintf(out, "%s: %ld launches, %ld threads\n", k->name, k->launches, k->threads);
        fprintf(out, "  %-14s  requests   sectors     ideal     waves conflicts  line\n", "");
        for (Site *site = k->first; site; site = site->next) {
            const Totals t = of_line(*k, *site);
            if (!t.requests) continue;
            char what[32];
            snprintf(what, sizeof what, "%s %s", SPACES[site->space], KINDS[site->kind]);
            fprintf(out, "  %-14s %9llu", what, t.requests);
            if (site->space == GLOBAL) fprintf(out, " %9llu %9llu %19s", t.sectors, t.ideal, "");
            else fprintf(out, " %19s %9llu %9llu", "", t.wavefronts, t.conflicts);
            fprintf(out, "  %s\n", line_of(*site));
        }
    }
}

inline void report_at_exit() {
    const char *where = getenv("CUDA_ON_CPU_REPORT");
    stop();
    if (where && !strcmp(where, "off")) return;
#ifdef CUDA_ON_CPU_NO_EXIT  // a library: who wants its counts asks for them
    if (!where) return;
#endif
    fflush(stdout);  // what the program printed comes first, in a file too
    FILE *out = where && *where ? fopen(where, "w") : stderr;
    if (!out) fprintf(stderr, "cuda_on_cpu: the report cannot be written to %s.\n", where);
    else if (out == stderr) write_table(out);
    else write_json(out), fclose(out);
}

// ---- what others call ------------------------------------------------------------------------

// Names of C, which no namespace changes. Weak: each file of a program has them.
#define C_NAME extern "C" OWN __attribute__((noinline, weak))
#define PUBLIC __attribute__((visibility("default")))

C_NAME PUBLIC const char *cuda_on_cpu_report(void) {
    size_t size;
    free(traffic.json);
    traffic.json = nullptr;
    if (FILE *out = open_memstream(&traffic.json, &size)) {
        write_json(out);
        fclose(out);
    }
    return traffic.json;
}

// Forgets what was counted and found, so that the next report begins at 0.
C_NAME PUBLIC void cuda_on_cpu_reset(void) {
    traffic.kernels = nullptr;
    traffic.races = nullptr, traffic.last_race = nullptr;
    traffic.num_told = traffic.num_suspects = 0;
}

// From here on the compiler is the one who calls.
C_NAME void __tsan_init(void) {}
C_NAME void __tsan_func_entry(void *) {}
C_NAME void __tsan_func_exit(void) {}
C_NAME void __tsan_vptr_update(void **, void *) {}
C_NAME void __tsan_vptr_read(void **) {}
C_NAME void __tsan_read_range(void *p, size_t n) { count(p, n, READ, __builtin_return_address(0)); }
C_NAME void __tsan_write_range(void *p, size_t n) {
    count(p, n, WRITE, __builtin_return_address(0));
}

#define ACCESS(name, n, kind) \
    C_NAME void __tsan_##name##n(void *p) { count(p, n, kind, __builtin_return_address(0)); }
#define ACCESSES(n)                   \
    ACCESS(read, n, READ)             \
    ACCESS(write, n, WRITE)           \
    ACCESS(unaligned_read, n, READ)   \
    ACCESS(unaligned_write, n, WRITE) \
    ACCESS(volatile_read, n, READ)    \
    ACCESS(volatile_write, n, WRITE)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

// The atomics of C++, which the host's side may use too.
#define SEEN count((const void *)p, sizeof *p, ATOMIC, __builtin_return_address(0))
#define FETCH(bits, T, name, builtin)                                     \
    C_NAME T __tsan_atomic##bits##_##name(volatile T *p, T value, int) {  \
        SEEN;                                                             \
        return builtin(p, value, __ATOMIC_SEQ_CST);                       \
    }
#define EXCHANGE(bits, T, strength)                                                             \
    C_NAME int __tsan_atomic##bits##_compare_exchange_##strength(volatile T *p, T *expected,    \
                                                                 T value, int, int) {           \
        SEEN;                                                                                   \
        return __atomic_compare_exchange_n(p, expected, value, false, __ATOMIC_SEQ_CST,         \
                                           __ATOMIC_SEQ_CST);                                   \
    }
#define ATOMICS(bits, T)                                                                        \
    FETCH(bits, T, exchange, __atomic_exchange_n)                                               \
    FETCH(bits, T, fetch_add, __atomic_fetch_add)                                               \
    FETCH(bits, T, fetch_sub, __atomic_fetch_sub)                                               \
    FETCH(bits, T, fetch_and, __atomic_fetch_and)                                               \
    FETCH(bits, T, fetch_or, __atomic_fetch_or)                                                 \
    FETCH(bits, T, fetch_xor, __atomic_fetch_xor)                                               \
    EXCHANGE(bits, T, strong)                                                                   \
    EXCHANGE(bits, T, weak)                                                                     \
    C_NAME T __tsan_atomic##bits##_load(const volatile T *p, int) {                             \
        SEEN;                                                                                   \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                            \
    }                                                                                           \
    C_NAME void __tsan_atomic##bits##_store(volatile T *p, T value, int) {                      \
        SEEN;                                                                                   \
        __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                                           \
    }                                                                                           \
    C_NAME T __tsan_atomic##bits##_compare_exchange_val(volatile T *p, T old, T value, int, int) { \
        SEEN;                                                                                   \
        __atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return old;                                                                             \
    }
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
C_NAME void __tsan_atomic_thread_fence(int) {}
C_NAME void __tsan_atomic_signal_fence(int) {}

}  // namespace traffic
}  // namespace cuda_on_cpu

#undef OWN
#undef C_NAME
#undef PUBLIC
#undef ACCESS
#undef ACCESSES
#undef SEEN
#undef FETCH
#undef EXCHANGE
#undef ATOMICS
#endif  // CUDA_ON_CPU_TRAFFIC_H
