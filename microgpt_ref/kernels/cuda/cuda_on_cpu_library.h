// cuda_on_cpu_library.h: what CUDA's own headers declare, as far as cuda_on_cpu.h has it:
// arithmetic, cooperative groups, and the functions that the host calls. Part of cuda_on_cpu.h.

#ifndef CUDA_ON_CPU_LIBRARY_H
#define CUDA_ON_CPU_LIBRARY_H

// ---- arithmetic ------------------------------------------------------------------------------

#define __expf expf
#define __exp10f exp10f
#define __logf logf
#define __log2f log2f
#define __log10f log10f
#define __sinf sinf
#define __cosf cosf
#define __tanf tanf
#define __powf powf
#define __fdividef(a, b) ((float)(a) / (float)(b))
#define __frcp_rn(a) (1.0f / (float)(a))
#define __fsqrt_rn sqrtf
#define __fmaf_rn fmaf
#define __saturatef(a) fminf(fmaxf(a, 0.0f), 1.0f)
#define __ldcs __ldg
#define __ldcg __ldg
inline float rsqrtf(float x) noexcept { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) noexcept { return 1.0 / sqrt(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline int __mul24(int a, int b) { return a * b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; i++) y |= (x >> i & 1) << (31 - i);
    return y;
}
inline int __float_as_int(float x) { return cuda_on_cpu::from_bits<int>(cuda_on_cpu::to_bits(x)); }
inline unsigned __float_as_uint(float x) {
    return cuda_on_cpu::from_bits<unsigned>(cuda_on_cpu::to_bits(x));
}
inline float __int_as_float(int x) {
    return cuda_on_cpu::from_bits<float>(cuda_on_cpu::to_bits(x));
}
inline float __uint_as_float(unsigned x) {
    return cuda_on_cpu::from_bits<float>(cuda_on_cpu::to_bits(x));
}
inline int __float2int_rn(float x) { return (int)nearbyintf(x); }
inline int __float2int_rd(float x) { return (int)floorf(x); }
inline float __int2float_rn(int x) { return (float)x; }
// Inlined, so that the load is the kernel's.
template <class T> __forceinline__ T __ldg(const T *address) { return *address; }
template <class T> __forceinline__ void __stcs(T *address, T value) { *address = value; }

// min and max of any two numbers, as CUDA has them outside of std.
#define CUDA_ON_CPU_IF_NUMBERS(A, B) \
    std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>
template <class A, class B, class = CUDA_ON_CPU_IF_NUMBERS(A, B)> constexpr
std::common_type_t<A, B> min(A a, B b) {
    typedef std::common_type_t<A, B> T;
    return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B, class = CUDA_ON_CPU_IF_NUMBERS(A, B)> constexpr
std::common_type_t<A, B> max(A a, B b) {
    typedef std::common_type_t<A, B> T;
    return T(a) < T(b) ? T(b) : T(a);
}

// ---- cooperative groups ----------------------------------------------------------------------

namespace cooperative_groups {

struct thread_block {
    static void sync(CUDA_ON_CPU_HERE) {
        cuda_on_cpu::wait_block("sync of a block", 0, file, line);
    }
    static unsigned size() { return cuda_on_cpu::gpu.num_threads; }
    static unsigned num_threads() { return size(); }
    static unsigned thread_rank() { return cuda_on_cpu::gpu.current; }
    static dim3 thread_index() { return threadIdx; }
    static dim3 group_index() { return blockIdx; }
    static dim3 group_dim() { return blockDim; }
    static dim3 dim_threads() { return blockDim; }
};
inline thread_block this_thread_block() { return {}; }
inline void sync(const thread_block &, CUDA_ON_CPU_HERE) { thread_block::sync(file, line); }

// N lanes side by side: 32, 16, 8, 4, 2 or 1.
template <unsigned N, class Parent = thread_block> struct thread_block_tile {
    static_assert(N <= 32 && (N & (N - 1)) == 0, "A tile has 1, 2, 4, 8, 16 or 32 threads.");
    static unsigned size() { return N; }
    static unsigned num_threads() { return N; }
    static unsigned thread_rank() { return cuda_on_cpu::lane() % N; }
    static unsigned meta_group_rank() { return cuda_on_cpu::gpu.current / N; }
    static unsigned meta_group_size() { return (cuda_on_cpu::gpu.num_threads + N - 1) / N; }
    static unsigned first() { return cuda_on_cpu::lane() / N * N; }
    static unsigned mask() { return (N == 32 ? ~0u : (1u << N % 32) - 1) << first(); }
    static void sync(CUDA_ON_CPU_HERE) { __syncwarp(mask(), file, line); }
    template <class T> static T shfl(T v, int source, CUDA_ON_CPU_HERE) {
        return __shfl_sync(mask(), v, source, N, file, line);
    }
    template <class T> static T shfl_up(T v, int d, CUDA_ON_CPU_HERE) {
        return __shfl_up_sync(mask(), v, d, N, file, line);
    }
    template <class T> static T shfl_down(T v, int d, CUDA_ON_CPU_HERE) {
        return __shfl_down_sync(mask(), v, d, N, file, line);
    }
    template <class T> static T shfl_xor(T v, int with, CUDA_ON_CPU_HERE) {
        return __shfl_xor_sync(mask(), v, with, N, file, line);
    }
    static unsigned ballot(int vote, CUDA_ON_CPU_HERE) {
        return __ballot_sync(mask(), vote, file, line) >> first();
    }
    static int any(int vote, CUDA_ON_CPU_HERE) { return __any_sync(mask(), vote, file, line); }
    static int all(int vote, CUDA_ON_CPU_HERE) { return __all_sync(mask(), vote, file, line); }
};
template <unsigned N, class Parent>
thread_block_tile<N, Parent> tiled_partition(const Parent &) {
    return {};
}
template <unsigned N, class Parent>
void sync(const thread_block_tile<N, Parent> &, CUDA_ON_CPU_HERE) {
    thread_block_tile<N>::sync(file, line);
}

template <class T> struct plus { T operator()(T a, T b) const { return a + b; } };
template <class T> struct less { T operator()(T a, T b) const { return b < a ? b : a; } };
template <class T> struct greater { T operator()(T a, T b) const { return a < b ? b : a; } };
template <class T> struct bit_and { T operator()(T a, T b) const { return a & b; } };
template <class T> struct bit_or { T operator()(T a, T b) const { return a | b; } };
template <class T> struct bit_xor { T operator()(T a, T b) const { return a ^ b; } };
template <unsigned N, class Parent, class T, class F>
T reduce(const thread_block_tile<N, Parent> &tile, T value, F f, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu_reduce("reduce of a tile", tile.mask(), value, f, file, line);
}

// What there is no running here says so when it is compiled.
#define CUDA_ON_CPU_LACKS(name, sentence)                                        \
    template <class T = int, class... A> [[noreturn]] T name(const A &...) {         \
        static_assert(sizeof(T) > 1000000, "cuda_on_cpu.h has no " sentence);      \
        abort();                                                                   \
    }
CUDA_ON_CPU_LACKS(this_grid, "barrier of the whole grid: it runs blocks one after another.")
CUDA_ON_CPU_LACKS(this_cluster, "clusters of blocks: it runs blocks one after another.")
CUDA_ON_CPU_LACKS(coalesced_threads, "coalesced_threads(): nobody can know which lanes would run "
                                     "together. Use tiled_partition.")
CUDA_ON_CPU_LACKS(memcpy_async, "asynchronous copies: copy by plain loads and stores.")

}  // namespace cooperative_groups

CUDA_ON_CPU_LACKS(__pipeline_memcpy_async, "asynchronous copies: copy by plain loads and stores.")
CUDA_ON_CPU_LACKS(tex1Dfetch, "textures.")
CUDA_ON_CPU_LACKS(tex1D, "textures.")
CUDA_ON_CPU_LACKS(tex2D, "textures.")
CUDA_ON_CPU_LACKS(tex3D, "textures.")
CUDA_ON_CPU_LACKS(cudaLaunchKernel, "cudaLaunchKernel: write LAUNCH(kernel, grid, block)(...).")
CUDA_ON_CPU_LACKS(cudaLaunchCooperativeKernel, "barrier of the whole grid: it runs blocks one "
                                               "after another.")
CUDA_ON_CPU_LACKS(cudaGraphLaunch, "graphs: launch each kernel.")
// ---- the host's side -------------------------------------------------------------------------

namespace cuda_on_cpu {

// Puts it on the list of what kernels may touch.
inline cudaError_t remember(char *data, size_t bytes, char *around, size_t around_bytes, bool ours,
                            const char *what, const char *file, int line) {
    Allocation *a = (Allocation *)calloc(1, sizeof *a);
    if (!a) return gpu.error = cudaErrorMemoryAllocation;
    a->data = data, a->bytes = bytes, a->around = around, a->around_bytes = around_bytes;
    a->ours = ours, a->next = gpu.allocations, gpu.allocations = a;
    if (file) snprintf(a->where, sizeof a->where, "%s at %s:%d", what, base_name(file), line);
    else snprintf(a->where, sizeof a->where, "%s", what);
    return cudaSuccess;
}

// Memory that ends where a page ends that nobody may touch. When traffic is counted, it begins at
// a multiple of 256 bytes as on a GPU, and each access is compared with its bounds.
inline cudaError_t allocate(void **result, size_t bytes, const char *file, int line) {
    *result = nullptr;
#if defined(CUDA_ON_CPU_ASAN)
    void *data = nullptr;
    if (posix_memalign(&data, 256, bytes ? bytes : 1)) return gpu.error = cudaErrorMemoryAllocation;
    char *const around = (char *)data;
    const size_t around_bytes = bytes;
#else
#ifdef CUDA_ON_CPU_TRAFFIC
    const size_t unit = 256;
#else
    const size_t unit = 16;
#endif
    const size_t room = (bytes + 4095) / 4096 * 4096, around_bytes = room + 2 * 4096;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *const around = (char *)mmap(nullptr, around_bytes, PROT_NONE, flags, -1, 0);
    if (around == MAP_FAILED) return gpu.error = cudaErrorMemoryAllocation;
    if (room && mprotect(around + 4096, room, PROT_READ | PROT_WRITE)) {
        munmap(around, around_bytes);
        return gpu.error = cudaErrorMemoryAllocation;
    }
    char *const data = around + 4096 + room - (bytes + unit - 1) / unit * unit;
#endif
    memset(data, 0xff, bytes);
    *result = data;
    return remember((char *)data, bytes, around, around_bytes, true, "cudaMalloc", file, line);
}

inline cudaError_t release(const void *data) {
    if (!data) return cudaSuccess;
    for (Allocation **a = &gpu.allocations; *a; a = &(*a)->next) {
        if ((*a)->data != data) continue;
        Allocation *const found = *a;
        *a = found->next;
#ifdef CUDA_ON_CPU_ASAN
        if (found->ours) free(found->data);
#else
        if (found->ours) munmap(found->around, found->around_bytes);
#endif
        free(found);
        return cudaSuccess;
    }
    return gpu.error = cudaErrorInvalidValue;
}

// Memory of the host that kernels may use: it counts as global. A page on each side is watched.
inline cudaError_t adopt(const void *data, size_t bytes, const char *what, const char *file,
                         int line) {
    char *const begin = (char *)data;
    return remember(begin, bytes, begin - 4096, bytes + 2 * 4096, false, what, file, line);
}

}  // namespace cuda_on_cpu

// For callers outside of C++: their memory counts as global from here on; 0 bytes: no longer.
// Let it begin at a multiple of 32 bytes (torch's does), or it lies in one sector more than a GPU's.
extern "C" __attribute__((visibility("default"), weak))
void cuda_on_cpu_global(const void *data, size_t bytes) {
    const cudaError_t before = cuda_on_cpu::gpu.error;
    cuda_on_cpu::release(data);  // what was said of it earlier
    cuda_on_cpu::gpu.error = before;
    if (bytes) cuda_on_cpu::adopt(data, bytes, "cuda_on_cpu_global", nullptr, 0);
}

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
enum cudaDeviceAttr {
    cudaDevAttrMaxThreadsPerBlock = 1,
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrWarpSize = 10,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
typedef void *cudaStream_t;
typedef timespec *cudaEvent_t;
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;
struct cudaDeviceProp {
    char name[256];
    int multiProcessorCount, warpSize, maxThreadsPerBlock, maxThreadsPerMultiProcessor;
    int major, minor;
    size_t sharedMemPerBlock, sharedMemPerBlockOptin, totalGlobalMem;
    int regsPerBlock, l2CacheSize, maxThreadsDim[3], maxGridSize[3];
};

template <class T> cudaError_t cudaMalloc(T **p, size_t bytes, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::allocate((void **)p, bytes, file, line);
}
template <class T> cudaError_t cudaMallocManaged(T **p, size_t bytes, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::allocate((void **)p, bytes, file, line);
}
template <class T> cudaError_t cudaMallocHost(T **p, size_t bytes, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::allocate((void **)p, bytes, file, line);
}
inline cudaError_t cudaFree(void *p) { return cuda_on_cpu::release(p); }
inline cudaError_t cudaFreeHost(void *p) { return cuda_on_cpu::release(p); }
inline cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned = 0, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::adopt(p, bytes, "cudaHostRegister", file, line);
}
inline cudaError_t cudaHostUnregister(void *p) { return cuda_on_cpu::release(p); }
inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind) {
    memmove(to, from, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t = nullptr) {
    return cudaMemcpy(to, from, bytes, kind);
}
inline cudaError_t cudaMemset(void *p, int byte, size_t bytes) {
    memset(p, byte, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void *p, int byte, size_t bytes, cudaStream_t = nullptr) {
    return cudaMemset(p, byte, bytes);
}
template <class T>
cudaError_t cudaMemcpyToSymbol(T &symbol, const void *from, size_t bytes, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
    memcpy((char *)&symbol + offset, from, bytes);
    return cudaSuccess;
}
template <class T>
cudaError_t cudaMemcpyFromSymbol(void *to, const T &symbol, size_t bytes, size_t offset = 0,
                                 cudaMemcpyKind = cudaMemcpyDeviceToHost) {
    memcpy(to, (const char *)&symbol + offset, bytes);
    return cudaSuccess;
}
template <class T> cudaError_t cudaGetSymbolAddress(void **p, T &symbol) {
    *p = (void *)&symbol;
    return cudaSuccess;
}

inline cudaError_t cudaPeekAtLastError() { return cuda_on_cpu::gpu.error; }
inline cudaError_t cudaGetLastError() { return std::exchange(cuda_on_cpu::gpu.error, cudaSuccess); }
inline cudaError_t cudaDeviceSynchronize() { return cuda_on_cpu::gpu.error; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cuda_on_cpu::gpu.error; }
inline cudaError_t cudaStreamCreate(cudaStream_t *stream) { *stream = nullptr; return cudaSuccess; }
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
    return cudaStreamCreate(stream);
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0) {
    return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaDeviceReset() { return cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int *device) { *device = 0; return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return cudaSuccess; }
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int) {
    using namespace cuda_on_cpu;
    *p = {"cuda_on_cpu.h", 1, 32, MOST_THREADS, MOST_THREADS, 9, 0, USUAL_SHARED, MOST_SHARED,
          size_t(1) << 32, 65536, 0, {MOST_THREADS, MOST_THREADS, 64}, {INT_MAX, 65535, 65535}};
    return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
    using namespace cuda_on_cpu;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *value = MOST_THREADS; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = USUAL_SHARED; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = MOST_SHARED; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMultiProcessorCount: *value = 1; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    }
    return cudaSuccess;
}
template <class F>
cudaError_t cudaFuncSetAttribute(F *kernel, cudaFuncAttribute attribute, int value) {
    auto &gpu = cuda_on_cpu::gpu;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
    if (value > int(cuda_on_cpu::MOST_SHARED)) return gpu.error = cudaErrorInvalidValue;
    gpu.large_shared[gpu.num_large_shared++ % 64] = (const void *)kernel;
    if (gpu.num_large_shared > 64) gpu.num_large_shared = 64;
    return cudaSuccess;
}
inline const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
        case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
        case cudaErrorLaunchTimeout: return "cudaErrorLaunchTimeout";
        case cudaErrorMisalignedAddress: return "cudaErrorMisalignedAddress";
        case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    }
    return "an unknown error";
}
// After a launch that failed, the whole sentence.
inline const char *cudaGetErrorString(cudaError_t error) {
    const char *const sentence = cuda_on_cpu::gpu.sentence;
    return error && sentence[0] ? sentence : cudaGetErrorName(error);
}
inline cudaError_t cudaEventCreate(cudaEvent_t *event) {
    *event = new timespec{};
    return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    return cudaEventCreate(event);
}
inline cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t = nullptr) {
    clock_gettime(CLOCK_MONOTONIC, event);
    return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
    *ms = (b->tv_sec - a->tv_sec) * 1e3f + (b->tv_nsec - a->tv_nsec) * 1e-6f;
    return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) { delete event; return cudaSuccess; }

#endif  // CUDA_ON_CPU_LIBRARY_H
