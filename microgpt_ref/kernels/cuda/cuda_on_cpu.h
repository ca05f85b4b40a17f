// cuda_on_cpu.h: runs CUDA C++ kernels on a CPU, unchanged but for the launch. For learning and for
// tests: it models what a kernel computes and which memory it touches, not how long a GPU takes.
// C++17, Linux, g++ or clang++, x86-64 or aarch64. README.md beside it shows it at work.
//
// A launch is written so that nvcc can read it too (of this file, nvcc sees LAUNCH, DYNAMIC_SHARED
// and <mma.h>; <cooperative_groups.h>, which costs nvcc 5 seconds, is left to whoever uses it):
//
//     kernel<<<grid, block, shared_bytes>>>(x, y, n);       // before
//     LAUNCH(kernel, grid, block, shared_bytes)(x, y, n);   // after; LAUNCH((k<float, 4>), ...)
//
// To compile:
//
//     FLAGS="-x c++ -std=c++17 -O2 -g -fno-strict-aliasing -include cuda_on_cpu.h"
//     g++ $FLAGS k.cu -o k -ldl
//     g++ $FLAGS -fsanitize=address k.cu -o k -ldl              with AddressSanitizer
//     g++ $FLAGS -fsanitize=thread -c k.cu && g++ k.o -o k -ldl
//         counts traffic and finds races: cuda_on_cpu_traffic.h. Two steps, the second without the
//         flag, because the functions that it calls are ours.
//     ... -shared -fPIC -fno-gnu-unique -DCUDA_ON_CPU_NO_EXIT   a library, for Python's ctypes
//
// To run, in the environment of the program:
//
//     CUDA_ON_CPU_ORDER=forward | reverse | random:SEED   the order of threads and of blocks. A
//         right kernel gives the same in each, a kernel without its barrier rarely does.
//     CUDA_ON_CPU_EARLY_RETURN=allow   threads that have ended do not hold up the others, as on
//         GPUs from Volta on. Without it they do, which is what the programming guide says.
//     CUDA_ON_CPU_REPORT=FILE | off    where the counts go: cuda_on_cpu_traffic.h.
//
// What goes wrong is told in a sentence on stderr, and the program ends with exit code 86. With
// -DCUDA_ON_CPU_NO_EXIT the launch fails instead, and cudaGetErrorString has the sentence. Memory
// that nobody has written holds NaN (bytes 0xff): cudaMalloc's, and a block's dynamic shared memory.
//
// A library whose callers bring their own memory (numpy's, torch's) tells the counting build of it,
// before the launch: cuda_on_cpu_global(data, bytes), an extern "C" function of that library.
// It then counts as global memory; beside it, an access is an error. 0 bytes: no longer.
//
// `extern __shared__ float smem[];` needs its name: the usual ones are known (EXTERN_SHARED, in
// cuda_on_cpu_fibers.h). For another, the linker says "undefined reference to `others'";
// -DEXTERN_SHARED=others,more puts a list in their place. DYNAMIC_SHARED(float, others); in the
// kernel does it for any name, under nvcc too.
//
// The files, each included by this one:
//     cuda_on_cpu.h          the words of the language: __shared__, threadIdx, LAUNCH, barriers,
//                            shuffles, atomics
//     cuda_on_cpu_fibers.h   a stack and a switch for each thread; mistakes in words
//     cuda_on_cpu_machine.h  a launch, block by block; deadlocks
//     cuda_on_cpu_library.h  what CUDA's headers declare: arithmetic, cooperative groups, cudaMalloc
//     cuda_on_cpu_tensor.h   half, bfloat16, TF32, tensor cores by wmma
//     cuda_on_cpu_traffic.h  counts loads and stores, finds races (only in the counting build)

#ifndef CUDA_ON_CPU_H
#define CUDA_ON_CPU_H

#ifdef __CUDACC__
#include <mma.h>  // and by it cuda_fp16.h and cuda_bf16.h
#define LAUNCH(kernel, ...) kernel<<<__VA_ARGS__>>>
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#else

#if !defined(__linux__) || !(defined(__GNUC__) || defined(__clang__)) || !defined(__cplusplus)
#error "cuda_on_cpu.h needs Linux and g++ or clang++; on Windows use WSL, on macOS a container."
#endif
#if __cplusplus < 201703L
#error "cuda_on_cpu.h needs -std=c++17 or later."
#endif

#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <tuple>
#include <type_traits>
#include <utility>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CUDA_ON_CPU_TRAFFIC 1
#endif
#if __has_feature(address_sanitizer)
#define CUDA_ON_CPU_ASAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define CUDA_ON_CPU_TRAFFIC 1
#endif
#ifdef __SANITIZE_ADDRESS__
#define CUDA_ON_CPU_ASAN 1
#endif
#ifdef CUDA_ON_CPU_ASAN
extern "C" void __sanitizer_start_switch_fiber(void **, const void *, size_t);
extern "C" void __sanitizer_finish_switch_fiber(void *, const void **, size_t *);
#endif
#ifdef CUDA_ON_CPU_TRAFFIC
// Not the kernel's loads and stores: the function counts what it is to count.
#define CUDA_ON_CPU_UNSEEN __attribute__((noinline, no_sanitize("thread")))
#else
#define CUDA_ON_CPU_UNSEEN inline __attribute__((always_inline))  // stands in the kernel's line
#endif

#ifndef CUDA_ON_CPU_STACK
#define CUDA_ON_CPU_STACK (256 << 10)  // bytes for each thread; only what is touched is taken
#endif

#pragma GCC visibility push(hidden)  // two libraries in one process each have their own machine

// ---- words of the language -------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__  // nothing, because libstdc++ says __attribute__((__noinline__))
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __grid_constant__
// static at block scope, and yet allowed after extern. One variable serves all blocks: they run
// one after another. That each host thread has its own is no use here, and no harm. Aligned, because
// kernels load float4s from arrays of floats.
#define __shared__ thread_local __attribute__((aligned(16)))

// Where the caller stands, for messages.
#define CUDA_ON_CPU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// A vector is loaded and stored by one instruction, as on a GPU: it is copied as one piece, `all`.
// (It begins as 0, because g++ makes a __shared__ array of anything else ask whether it is new.)
#define CUDA_ON_CPU_VECTOR2(name, T)                                                  \
    union alignas(2 * sizeof(T)) name {                                               \
        struct { T x, y; };                                                           \
        typedef T All __attribute__((vector_size(2 * sizeof(T)), may_alias));         \
        All all;                                                                      \
        constexpr name() : all{} {}                                                   \
        constexpr name(T a, T b) : x(a), y(b) {}                                      \
        __forceinline__ name(const name &v) : all(v.all) {}                           \
        __forceinline__ name &operator=(const name &v) { all = v.all; return *this; } \
    };                                                                                \
    inline name make_##name(T x, T y) { return name(x, y); }
#define CUDA_ON_CPU_VECTOR4(name, T)                                                  \
    union alignas(sizeof(T) == 8 ? 16 : 4 * sizeof(T)) name {                         \
        struct { T x, y, z, w; };                                                     \
        typedef T All __attribute__((vector_size(4 * sizeof(T)), aligned(16), may_alias)); \
        All all;                                                                      \
        constexpr name() : all{} {}                                                   \
        constexpr name(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}                \
        __forceinline__ name(const name &v) : all(v.all) {}                           \
        __forceinline__ name &operator=(const name &v) { all = v.all; return *this; } \
    };                                                                                \
    inline name make_##name(T x, T y, T z, T w) { return name(x, y, z, w); }
#define CUDA_ON_CPU_VECTOR3(name, T)                                                  \
    struct name { T x, y, z; };                                                       \
    inline name make_##name(T x, T y, T z) { return name{x, y, z}; }

CUDA_ON_CPU_VECTOR2(float2, float)
CUDA_ON_CPU_VECTOR3(float3, float)
CUDA_ON_CPU_VECTOR4(float4, float)
CUDA_ON_CPU_VECTOR2(double2, double)
CUDA_ON_CPU_VECTOR2(int2, int)
CUDA_ON_CPU_VECTOR3(int3, int)
CUDA_ON_CPU_VECTOR4(int4, int)
CUDA_ON_CPU_VECTOR2(uint2, unsigned)
CUDA_ON_CPU_VECTOR3(uint3, unsigned)
CUDA_ON_CPU_VECTOR4(uint4, unsigned)
struct uchar4 { alignas(4) unsigned char x; unsigned char y, z, w; };

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    operator uint3() const { return {x, y, z}; }
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- errors ----------------------------------------------------------------------------------

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchTimeout = 702,
    cudaErrorMisalignedAddress = 716,
    cudaErrorLaunchFailure = 719
};

#include "cuda_on_cpu_fibers.h"
#include "cuda_on_cpu_machine.h"

#define LAUNCH(kernel, ...) cuda_on_cpu::launch(#kernel, kernel, __VA_ARGS__)

// ---- waiting for each other ------------------------------------------------------------------

inline void __syncthreads(CUDA_ON_CPU_HERE) {
    cuda_on_cpu::wait_block("__syncthreads", 0, file, line);
}
inline int __syncthreads_count(int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::wait_block("__syncthreads_count", vote != 0, file, line);
}
inline int __syncthreads_or(int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::wait_block("__syncthreads_or", vote != 0, file, line) > 0;
}
inline int __syncthreads_and(int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::wait_block("__syncthreads_and", vote == 0, file, line) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffff, CUDA_ON_CPU_HERE) {
    cuda_on_cpu::wait_warp("__syncwarp", mask, 0, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::ballot("__ballot_sync", mask, vote, file, line);
}
inline int __any_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::ballot("__any_sync", mask, vote, file, line) != 0;
}
inline int __all_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
    return cuda_on_cpu::ballot("__all_sync", mask, !vote, file, line) == 0;
}
inline unsigned __activemask() {
    const int start = cuda_on_cpu::gpu.current / 32 * 32;
    unsigned mask = 0;
    for (int i = 0; i < 32 && start + i < cuda_on_cpu::gpu.num_threads; i++)
        mask |= unsigned(cuda_on_cpu::gpu.threads[start + i].state != cuda_on_cpu::ENDED) << i;
    return mask;
}
template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDA_ON_CPU_HERE) {
    const int start = cuda_on_cpu::lane() & ~(width - 1);
    const int wanted = start | (source & (width - 1));
    return cuda_on_cpu::shuffle("__shfl_sync", mask, value, wanted, file, line);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_CPU_HERE) {
    const int lane = cuda_on_cpu::lane(), source = lane - int(delta), start = lane & ~(width - 1);
    const int wanted = source < start ? lane : source;
    return cuda_on_cpu::shuffle("__shfl_up_sync", mask, value, wanted, file, line);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                          CUDA_ON_CPU_HERE) {
    const int lane = cuda_on_cpu::lane(), source = lane + int(delta), last = lane | (width - 1);
    const int wanted = source > last ? lane : source;
    return cuda_on_cpu::shuffle("__shfl_down_sync", mask, value, wanted, file, line);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32, CUDA_ON_CPU_HERE) {
    const int lane = cuda_on_cpu::lane(), source = lane ^ with, last = lane | (width - 1);
    const int wanted = source > last ? lane : source;
    return cuda_on_cpu::shuffle("__shfl_xor_sync", mask, value, wanted, file, line);
}
template <class T>
inline unsigned __match_any_sync(unsigned mask, T value, CUDA_ON_CPU_HERE) {
    const uint64_t mine = cuda_on_cpu::to_bits(value);
    const uint64_t *shown = cuda_on_cpu::wait_warp("__match_any_sync", mask, mine, file, line);
    unsigned bits = 0;
    for (int i = 0; i < 32; i++) bits |= unsigned((mask >> i & 1) && shown[i] == mine) << i;
    return bits;
}
template <class T, class F>
inline T cuda_on_cpu_reduce(const char *what, unsigned mask, T value, F f, const char *file,
                            int line) {
    const uint64_t mine = cuda_on_cpu::to_bits(value);
    const uint64_t *shown = cuda_on_cpu::wait_warp(what, mask, mine, file, line);
    bool any = false;
    for (int i = 0; i < 32; i++) {
        if (!(mask >> i & 1)) continue;
        const T other = cuda_on_cpu::from_bits<T>(shown[i]);
        value = any ? T(f(value, other)) : other, any = true;
    }
    return value;
}
#define CUDA_ON_CPU_REDUCE(name, expression)                                         \
    template <class T> inline T name(unsigned mask, T value, CUDA_ON_CPU_HERE) {     \
        const auto f = [](T a, T b) { return expression; };                          \
        return cuda_on_cpu_reduce(#name, mask, value, f, file, line);                \
    }
CUDA_ON_CPU_REDUCE(__reduce_add_sync, a + b)
CUDA_ON_CPU_REDUCE(__reduce_min_sync, a < b ? a : b)
CUDA_ON_CPU_REDUCE(__reduce_max_sync, a < b ? b : a)
CUDA_ON_CPU_REDUCE(__reduce_and_sync, a & b)
CUDA_ON_CPU_REDUCE(__reduce_or_sync, a | b)
CUDA_ON_CPU_REDUCE(__reduce_xor_sync, a ^ b)

inline void __threadfence() { cuda_on_cpu::traffic::fence(); }
inline void __threadfence_system() { cuda_on_cpu::traffic::fence(); }
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {}
[[noreturn]] inline void __trap() { abort(); }
inline long long clock64() { return clock(); }

// ---- atomics ---------------------------------------------------------------------------------

namespace cuda_on_cpu {

// Counts atomics that changed nothing. A thread that keeps trying lets the others run; if that does
// not help, what it waits for will never come.
inline void tried(bool in_vain, const char *file, int line) {
    Thread &me = gpu.threads[gpu.current];
    me.in_vain = in_vain ? me.in_vain + 1 : 0;
    if (me.in_vain < 1000 || me.in_vain % 100) return;
    if (me.in_vain > 1000000)
        fail(cudaErrorLaunchTimeout, "%s has tried the atomic at %s:%d a million times in vain. It "
             "waits for a thread that waits itself, or for a block that has not begun: here, "
             "blocks run one after another. Kernel %s",
             name_of(gpu.current, blockIdx), base_name(file), line, gpu.kernel);
    gpu.queue[(gpu.first + gpu.waiting++) % MOST_THREADS] = gpu.current;
    pause();
}

template <class T> struct Same { typedef T type; };  // lets atomicAdd(&x, 1) take an unsigned x

}  // namespace cuda_on_cpu

#define CUDA_ON_CPU_ATOMIC(name, after, in_vain)                                        \
    template <class T>                                                                  \
    CUDA_ON_CPU_UNSEEN T name(T *address, typename cuda_on_cpu::Same<T>::type value,    \
                              CUDA_ON_CPU_HERE) {                                       \
        cuda_on_cpu::traffic::count(address, sizeof(T), cuda_on_cpu::traffic::ATOMIC,   \
                                    __builtin_return_address(0));                       \
        const T old = *address;                                                         \
        *address = after;                                                               \
        cuda_on_cpu::tried(in_vain, file, line);                                        \
        return old;                                                                     \
    }
CUDA_ON_CPU_ATOMIC(atomicAdd, T(old + value), value == T(0))
CUDA_ON_CPU_ATOMIC(atomicSub, T(old - value), false)
CUDA_ON_CPU_ATOMIC(atomicMin, old < value ? old : value, false)
CUDA_ON_CPU_ATOMIC(atomicMax, old < value ? value : old, false)
CUDA_ON_CPU_ATOMIC(atomicAnd, old & value, false)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value, false)
CUDA_ON_CPU_ATOMIC(atomicXor, old ^ value, false)
CUDA_ON_CPU_ATOMIC(atomicExch, value, old == value)
CUDA_ON_CPU_ATOMIC(atomicInc, old >= value ? 0 : old + 1, false)
CUDA_ON_CPU_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1, false)
template <class T>
CUDA_ON_CPU_UNSEEN T atomicCAS(T *address, typename cuda_on_cpu::Same<T>::type compare,
                                  typename cuda_on_cpu::Same<T>::type value, CUDA_ON_CPU_HERE) {
    cuda_on_cpu::traffic::count(address, sizeof(T), cuda_on_cpu::traffic::ATOMIC,
                                __builtin_return_address(0));
    const T old = *address;
    if (old == compare) *address = value;
    cuda_on_cpu::tried(old != compare, file, line);
    return old;
}

#include "cuda_on_cpu_library.h"
#include "cuda_on_cpu_tensor.h"

#pragma GCC visibility pop
// From here on, asm in a source is PTX: the compiler's message names what is missing.
#define asm cuda_on_cpu_has_no_inline_PTX
#endif  // not nvcc
#endif  // CUDA_ON_CPU_H

