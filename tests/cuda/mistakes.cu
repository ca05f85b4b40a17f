// What goes wrong in kernels, one mistake a case. Each must be told in a sentence.
#include "check.h"

__global__ void barrier_in_branch(float *x) {
    if (threadIdx.x < 3) __syncthreads();
    x[threadIdx.x] = 1;
}
__global__ void two_barriers(float *x) {
    if (threadIdx.x % 2) {
        x[threadIdx.x] = 1;
        __syncthreads();
    } else {
        __syncthreads();
    }
}
__global__ void early_return(float *x, int n) {
    if (threadIdx.x >= n) return;
    x[threadIdx.x] = 1;
    __syncthreads();
}
__global__ void half_a_warp(float *x) {
    if (threadIdx.x < 16) x[threadIdx.x] = __shfl_down_sync(0xffffffff, x[threadIdx.x], 8);
}
__global__ void not_in_mask(float *x) {
    x[threadIdx.x] = __shfl_sync(0x0000ffff, x[threadIdx.x], 0);
}
__global__ void barrier_against_shuffle(float *x) {
    if (threadIdx.x == 0) __syncthreads();
    else x[threadIdx.x] += __shfl_xor_sync(~0u, x[threadIdx.x], 1);
}
__global__ void no_bound(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    x[i] = i;
}
__global__ void reads_before(const float *x, float *y) { y[threadIdx.x] = x[(int)threadIdx.x - 1]; }
__global__ void null_atomic(int *x) { atomicAdd(x, 1); }
__global__ void null_pointer(float *x) { *x = 1; }
__device__ int deep(int n) {
    volatile char room[1024];
    room[n % 1024] = n;
    return n ? deep(n - 1) + room[n % 1024] : 0;
}
__global__ void much_stack(int *x) { *x = deep(100000); }
__global__ void waits_for_later_block(int *flag) {
    if (blockIdx.x == 0) while (atomicAdd(flag, 0) == 0);
    else atomicExch(flag, 1);
}
__global__ void lock_in_a_barrier(int *mutex) {
    while (atomicCAS(mutex, 0, 1) != 0);
    __syncthreads();
    atomicExch(mutex, 0);
}
__global__ void waits_for_thread(int *flag, int *out) {  // this one is fine
    if (threadIdx.x == 0) while (atomicAdd(flag, 0) == 0);
    else if (threadIdx.x == 40) atomicExch(flag, 7);
    out[threadIdx.x] = 1;
}
__global__ void no_syncwarp(const float *x, float *sum) {
    __shared__ volatile float s[32];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    if (threadIdx.x < 16) s[threadIdx.x] += s[threadIdx.x + 16];
    if (threadIdx.x < 8) s[threadIdx.x] += s[threadIdx.x + 8];
    if (threadIdx.x == 0) *sum = s[0] + s[1];
}
__global__ void blocks_race(int *count) { *count += 1; }
__global__ void host_memory(float *x) { x[threadIdx.x] = 1; }
__global__ void uses_nothing(float *) {}
#ifndef __CUDACC__  // nvcc wants -rdc=true for this
__global__ void launch_from_kernel() { LAUNCH(uses_nothing, 1, 1)(nullptr); }
CASE(launch_from_kernel) { LAUNCH(launch_from_kernel, 1, 1)(); }
#endif
__global__ void reads_unwritten(const float *x, float *y) {
    extern __shared__ float smem[];
    y[threadIdx.x] = smem[threadIdx.x] + x[threadIdx.x];
}

__global__ void wmma_half_a_warp(const half *a) {
    nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, nvcuda::wmma::row_major> fa;
    if (threadIdx.x < 16) nvcuda::wmma::load_matrix_sync(fa, a, 16);
}
__global__ void wmma_few_threads(const half *a) {
    nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, nvcuda::wmma::row_major> few;
    nvcuda::wmma::load_matrix_sync(few, a, 16);
}
__global__ void wmma_misaligned(const half *a) {
    nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 16, half, nvcuda::wmma::row_major> fa;
    nvcuda::wmma::load_matrix_sync(fa, a + 1, 16);
}
__global__ void float4_at_1(float *x) { *(float4 *)(x + 1) = make_float4(1, 2, 3, 4); }

static float *room() { return zeros<float>(32); }
CASE(barrier_in_branch) { LAUNCH(barrier_in_branch, 2, 32)(room()); }
CASE(two_barriers) { LAUNCH(two_barriers, 1, 32)(room()); }
CASE(early_return) {
    float *d = room();
    LAUNCH(early_return, 1, 32)(d, 20);
    printf("ok early_return\n");
}
CASE(half_a_warp) { LAUNCH(half_a_warp, 1, 32)(room()); }
CASE(not_in_mask) { LAUNCH(not_in_mask, 1, 32)(room()); }
CASE(barrier_against_shuffle) { LAUNCH(barrier_against_shuffle, 1, 32)(room()); }
CASE(no_bound) { LAUNCH(no_bound, 2, 32)(zeros<float>(40), 40); }
CASE(reads_before) { LAUNCH(reads_before, 1, 32)(room(), room()); }
CASE(null_atomic) { LAUNCH(null_atomic, 1, 1)(nullptr); }
CASE(null_pointer) { LAUNCH(null_pointer, 1, 1)(nullptr); }
CASE(much_stack) { LAUNCH(much_stack, 1, 1)(zeros<int>(1)); }
CASE(waits_for_later_block) { LAUNCH(waits_for_later_block, 2, 1)(zeros<int>(1)); }
CASE(lock_in_a_barrier) { LAUNCH(lock_in_a_barrier, 1, 2)(zeros<int>(1)); }
CASE(waits_for_thread) {
    int *out = zeros<int>(64);
    LAUNCH(waits_for_thread, 1, 64)(zeros<int>(1), out);
    compare("waits_for_thread", to_host(out, 64), std::vector<int>(64, 1), 0);
}
CASE(no_syncwarp) { LAUNCH(no_syncwarp, 1, 32)(room(), room()); }
CASE(blocks_race) { LAUNCH(blocks_race, 4, 1)(zeros<int>(1)); }
CASE(host_memory) {
    static float x[32];
    float *y = (float *)malloc(sizeof x);
    LAUNCH(host_memory, 1, 32)(y);
}
CASE(block_of_2000) { LAUNCH(uses_nothing, 1, 2000)(nullptr); }
CASE(no_blocks) { LAUNCH(uses_nothing, 0, 32)(nullptr); }
CASE(much_shared) { LAUNCH(uses_nothing, 1, 32, 60000)(nullptr); }
CASE(much_shared_allowed) {
    cudaFuncSetAttribute(uses_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000);
    LAUNCH(uses_nothing, 1, 32, 60000)(nullptr);
    printf("ok much_shared_allowed\n");
}
CASE(reads_unwritten) {
    float *d = room();
    LAUNCH(reads_unwritten, 1, 32, 128)(room(), d);
    printf("%f\n", to_host(d, 1)[0]);
}
CASE(wmma_half_a_warp) { LAUNCH(wmma_half_a_warp, 1, 32)(zeros<half>(512)); }
CASE(wmma_few_threads) { LAUNCH(wmma_few_threads, 1, 16)(zeros<half>(512)); }
CASE(wmma_misaligned) { LAUNCH(wmma_misaligned, 1, 32)(zeros<half>(512)); }
CASE(float4_at_1) { LAUNCH(float4_at_1, 1, 1)(room()); }
