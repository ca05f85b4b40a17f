// Counting into bins, with and without what it takes; and known patterns of bank conflicts.
#include "check.h"

__global__ void histogram_global(const int *in, unsigned *bins, int n) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[in[i]], 1);
}

template <int BINS> __global__ void histogram_shared(const int *in, unsigned *bins, int n) {
    __shared__ unsigned local[BINS];
    for (int b = threadIdx.x; b < BINS; b += blockDim.x) local[b] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[in[i]], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < BINS; b += blockDim.x) atomicAdd(&bins[b], local[b]);
}

__global__ void histogram_race(const int *in, unsigned *bins, int n) {
    __shared__ unsigned local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    local[in[threadIdx.x]]++;
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

__global__ void histogram_no_zero(const int *in, unsigned *bins, int n) {
    __shared__ unsigned local[16];
    atomicAdd(&local[in[threadIdx.x]], 1);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

__global__ void histogram_no_last_barrier(const int *in, unsigned *bins, int n) {
    __shared__ unsigned local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    atomicAdd(&local[in[threadIdx.x]], 1);
    if (threadIdx.x < 16) atomicAdd(&bins[threadIdx.x], local[threadIdx.x]);
}

__device__ void lock(int *mutex) { while (atomicCAS(mutex, 0, 1) != 0); }
__device__ void unlock(int *mutex) { atomicExch(mutex, 0); }
__global__ void add_locked(int *mutex, volatile int *sum) {
    lock(mutex);
    *sum = *sum + 1;
    __threadfence();
    unlock(mutex);
}

// stride: lane i touches word i * stride
__global__ void stride_shared(float *out, int stride) {
    __shared__ float s[32 * 32];
    for (int i = threadIdx.x; i < 32 * 32; i += 32) s[i] = i;
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x * stride];
}
template <typename V> __global__ void vector_shared(V *out) {
    __shared__ V s[32];
    V v = out[threadIdx.x];
    s[threadIdx.x] = v;
    __syncthreads();
    out[threadIdx.x] = s[31 - threadIdx.x];
}

CASE(histograms) {
    const int n = 2000;
    std::vector<int> in(n);
    std::vector<unsigned> bins(64);
    for (int i = 0; i < n; i++) bins[in[i] = i * i % 64]++;
    unsigned *a = zeros<unsigned>(64), *b = zeros<unsigned>(64);
    LAUNCH(histogram_global, 2, 128)(to_device(in), a, n);
    compare("histogram_global", to_host(a, 64), bins, 0);
    LAUNCH(histogram_shared<64>, 3, 128)(to_device(in), b, n);
    compare("histogram_shared", to_host(b, 64), bins, 0);
}
#define MISTAKE(name, blocks)                                                  \
    CASE(name) {                                                               \
        std::vector<int> in(64);                                               \
        for (int i = 0; i < 64; i++) in[i] = i % 16;                           \
        LAUNCH(name, blocks, 64)(to_device(in), zeros<unsigned>(16), 64);      \
    }
MISTAKE(histogram_race, 1)
MISTAKE(histogram_no_zero, 2)
MISTAKE(histogram_no_last_barrier, 1)
CASE(add_locked) {
    int *mutex = zeros<int>(1), *sum = zeros<int>(1);
    LAUNCH(add_locked, 3, 64)(mutex, sum);
    compare("add_locked", to_host(sum, 1), std::vector<int>{192}, 0);
}
static void strides(int stride) {
    float *d = zeros<float>(32);
    Floats expected(32);
    for (int i = 0; i < 32; i++) expected[i] = i * stride;
    LAUNCH(stride_shared, 1, 32)(d, stride);
    compare("stride_shared", to_host(d, 32), expected, 0);
}
CASE(stride0) { strides(0); }
CASE(stride1) { strides(1); }
CASE(stride2) { strides(2); }
CASE(stride3) { strides(3); }
CASE(stride4) { strides(4); }
CASE(stride8) { strides(8); }
CASE(stride16) { strides(16); }
CASE(stride31) { strides(31); }
template <class V> static void vectors(const char *name) {
    const int n = 32 * sizeof(V) / 4, w = sizeof(V) / 4;
    Floats x = numbers(n), y(n);
    for (int i = 0; i < n; i++) y[i] = x[(31 - i / w) * w + i % w];
    float *d = to_device(x);
    LAUNCH(vector_shared<V>, 1, 32)((V *)d);
    compare(name, to_host(d, n), y, 0);
}
CASE(vector_float) { vectors<float>("vector_float"); }
CASE(vector_float2) { vectors<float2>("vector_float2"); }
CASE(vector_float4) { vectors<float4>("vector_float4"); }
