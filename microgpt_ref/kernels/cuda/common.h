// common.h: what the kernel files of this folder share. Small functions for kernels, and the part
// of each program that validates its versions and then times them.
//
// With nvcc the program times; with g++ and cuda_on_cpu.h it runs on the processor, and a build
// that counts traffic prints sectors and bank conflicts in place of milliseconds.

#ifndef COMMON_H
#define COMMON_H

#include "cuda_on_cpu.h"  // nvcc sees LAUNCH there and nothing else

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <vector>

// ---- for kernels -----------------------------------------------------------------------------

constexpr unsigned ALL_LANES = 0xffffffff;

__host__ __device__ inline int ceil_div(int a, int b) { return a / b + (a % b != 0); }

// The sum, the maximum of one number of each lane, in all 32 lanes. Each step halves the distance:
// after 16, 8, 4, 2, 1 every lane has met every other.
__device__ inline float warp_sum(float x) {
    for (int distance = 16; distance > 0; distance /= 2)
        x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}

__device__ inline float warp_max(float x) {
    for (int distance = 16; distance > 0; distance /= 2)
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, distance));
    return x;
}

// The maximum, the sum of one number of each thread of the block, in all threads: first within each
// warp, then over the warps. Two barriers; the block must be a multiple of 32 threads.
__device__ inline float block_max(float x) {
    __shared__ float part[32];
    x = warp_max(x);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    const unsigned warps = blockDim.x / 32;
    x = warp_max(threadIdx.x % 32 < warps ? part[threadIdx.x % 32] : -INFINITY);
    __syncthreads();  // part may be written again
    return x;
}

__device__ inline float block_sum(float x) {
    __shared__ float part[32];
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = x;
    __syncthreads();
    const unsigned warps = blockDim.x / 32;
    x = warp_sum(threadIdx.x % 32 < warps ? part[threadIdx.x % 32] : 0);
    __syncthreads();
    return x;
}

// ---- for launchers ---------------------------------------------------------------------------

// A multiple of 32 threads, at most 256, and no more than there is work for.
inline int threads_for(int items) { return std::min(256, ceil_div(items, 32) * 32); }

// Whether rows of C floats that begin at p can be read as float4: 16 bytes, at multiples of 16.
inline bool in_fours(const void *p, int C) { return C % 4 == 0 && uintptr_t(p) % 16 == 0; }

// What a launcher returns: 0, or 2 if the GPU refused the launch.
inline int launched() { return cudaPeekAtLastError() == cudaSuccess ? 0 : 2; }

// Memory on the device for what a kernel keeps between two launches; a larger wish takes its place.
// It is never given back.
inline float *scratch(size_t floats) {
    static float *room = nullptr;
    static size_t size = 0;
    if (floats > size) {
        cudaFree(room);
        size = cudaMalloc(&room, floats * sizeof(float)) == cudaSuccess ? floats : 0;
        if (size == 0) room = nullptr;
    }
    return room;
}

// ---- for programs ----------------------------------------------------------------------------

#ifdef __CUDACC__
constexpr bool ON_GPU = true;
#else
constexpr bool ON_GPU = false;
#endif

typedef std::vector<float> Floats;

inline void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return;
    fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
    exit(1);
}

// Numbers from -1 to 1, the same in every run (a linear congruence; Knuth's MMIX constants).
inline Floats random_floats(size_t n, uint64_t seed) {
    Floats x(n);
    for (float &value : x) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        value = float(int32_t(seed >> 32)) / 2147483648.0f;
    }
    return x;
}

// A copy on the device.
template <class T> T *on_device(const std::vector<T> &x) {
    T *copy = nullptr;
    check(cudaMalloc(&copy, x.size() * sizeof(T)), "cudaMalloc");
    check(cudaMemcpy(copy, x.data(), x.size() * sizeof(T), cudaMemcpyHostToDevice), "cudaMemcpy");
    return copy;
}

inline float *on_device(size_t floats) { return on_device(Floats(floats)); }

// One result of a kernel: where it will stand, and what it must be.
struct Result {
    const char *name;
    float *device;
    const Floats *expected;
};

// The largest |difference| / max(1, |expected|); infinite if a number is not one.
inline double error_of(const Result &result) {
    Floats got(result.expected->size());
    check(cudaMemcpy(got.data(), result.device, got.size() * sizeof(float),
                     cudaMemcpyDeviceToHost), "the kernel");
    double worst = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double right = (*result.expected)[i];
        const double error = fabs(got[i] - right) / fmax(1, fabs(right));
        worst = error <= worst ? worst : error == error ? error : INFINITY;
    }
    return worst;
}

#ifdef CUDA_ON_CPU_TRAFFIC
// Everything that was counted so far.
inline cuda_on_cpu::traffic::Totals counted() {
    cuda_on_cpu::traffic::Totals sum = {};
    for (auto *k = cuda_on_cpu::traffic::traffic.kernels; k; k = k->next)
        for (auto *site = k->first; site; site = site->next)
            cuda_on_cpu::traffic::add(sum, site->totals);
    return sum;
}
#endif

// Milliseconds of one call, the median of 11.
template <class Run> float milliseconds(Run run) {
    cudaEvent_t begin, end;
    cudaEventCreate(&begin), cudaEventCreate(&end);
    std::vector<float> times;
    for (int i = 0; i < 11; i++) {
        float ms;
        cudaEventRecord(begin), run(), cudaEventRecord(end);
        check(cudaEventSynchronize(end), "the kernel");
        cudaEventElapsedTime(&ms, begin, end);
        times.push_back(ms);
    }
    cudaEventDestroy(begin), cudaEventDestroy(end);
    std::sort(times.begin(), times.end());
    return times[5];
}

// Runs the versions 1, 2, ... of a launcher, or only one: launch(version) returns what the
// launcher does. Each must give `results` to within `tolerance`; then it is timed, or its traffic
// printed. bytes, flops: what the task needs at least. prepare: called before each version, for
// kernels that work in place. Returns how many versions were wrong.
inline void nothing() {}

template <class Launch, class Prepare = void (*)()>
int each_version(const char *name, int only, Launch launch, const std::vector<Result> &results,
                 double tolerance, double bytes, double flops = 0, Prepare prepare = nothing) {
    int wrong = 0;
    for (int version = only ? only : 1; !only || version == only; version++) {
        for (const Result &result : results)  // NaN: a number that is not written is found
            cudaMemset(result.device, 0xff, result.expected->size() * sizeof(float));
        prepare();
#ifdef CUDA_ON_CPU_TRAFFIC
        const auto before = counted();
#endif
        const int code = launch(version);
        if (code == 1 && !only) break;
        if (code == 1) printf("%s: there is no version %d.\n", name, version);
        if (code > 1) printf("%s, version %d: %s\n", name, version,
                             cudaGetErrorString(cudaGetLastError()));
        if (code) return wrong + 1;
        double worst = 0;
        for (const Result &result : results) worst = fmax(worst, error_of(result));
        const bool fine = worst <= tolerance;
        wrong += !fine;
        printf("%s, version %d: %s, error %.1e", name, version, fine ? "right" : "WRONG", worst);
#ifdef CUDA_ON_CPU_TRAFFIC
        const auto after = counted();
        printf(", %llu sectors, %.2f of the least, %llu bank conflicts",
               after.sectors - before.sectors, 32 * (after.sectors - before.sectors) / bytes,
               after.conflicts - before.conflicts);
#endif
        if (ON_GPU && fine) {
            const float ms = milliseconds([&] { launch(version); });
            printf(", %.3f ms", ms);
            if (flops > 0) printf(", %.0f GFLOP/s", flops / ms * 1e-6);
            else printf(", %.0f GB/s", bytes / ms * 1e-6);
        }
        printf("\n");
    }
    return wrong;
}

#endif  // COMMON_H
