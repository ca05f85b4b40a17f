// Sums in the ways that they are published: atomics, trees in shared memory (the six steps of
// Harris's slides), warp shuffles, cooperative groups, the last block; ballots; prefix sums.
#ifdef __CUDACC__
#include <cooperative_groups/reduce.h>
#endif
#include "check.h"
namespace cg = cooperative_groups;

__global__ void sum_atomic(const float *x, float *sum, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(sum, x[i]);
}

__global__ void reduce0(const float *g_idata, float *g_odata) {  // every other thread works
    extern __shared__ float sdata[];
    unsigned int tid = threadIdx.x;
    unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
    sdata[tid] = g_idata[i];
    __syncthreads();
    for (unsigned int s = 1; s < blockDim.x; s *= 2) {
        if (tid % (2 * s) == 0) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce1(const float *g_idata, float *g_odata) {  // bank conflicts
    extern __shared__ float sdata[];
    unsigned int tid = threadIdx.x;
    sdata[tid] = g_idata[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (unsigned int s = 1; s < blockDim.x; s *= 2) {
        int index = 2 * s * tid;
        if (index < blockDim.x) sdata[index] += sdata[index + s];
        __syncthreads();
    }
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce2(const float *g_idata, float *g_odata) {  // no conflicts
    extern __shared__ float sdata[];
    unsigned int tid = threadIdx.x;
    sdata[tid] = g_idata[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
        __syncthreads();
    }
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__global__ void reduce2_no_barrier(const float *g_idata, float *g_odata) {
    extern __shared__ float sdata[];
    unsigned int tid = threadIdx.x;
    sdata[tid] = g_idata[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    for (unsigned int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (tid < s) sdata[tid] += sdata[tid + s];
    }
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

template <unsigned int blockSize> __device__ void warpReduce(volatile float *sdata, unsigned int tid) {
    if (blockSize >= 64) { float v = sdata[tid] + sdata[tid + 32]; __syncwarp(); sdata[tid] = v; __syncwarp(); }
    float v = sdata[tid];
    for (int s = 16; s > 0; s >>= 1) { v += sdata[(tid + s) % 32 + tid / 32 * 32]; __syncwarp(); sdata[tid] = v; __syncwarp(); }
}
template <unsigned int blockSize> __global__ void reduce6(const float *g_idata, float *g_odata, unsigned int n) {
    __shared__ float sdata[blockSize];
    unsigned int tid = threadIdx.x, i = blockIdx.x * (blockSize * 2) + tid, gridSize = blockSize * 2 * gridDim.x;
    sdata[tid] = 0;
    while (i < n) { sdata[tid] += g_idata[i] + g_idata[i + blockSize]; i += gridSize; }
    __syncthreads();
    if (blockSize >= 256) { if (tid < 128) { sdata[tid] += sdata[tid + 128]; } __syncthreads(); }
    if (blockSize >= 128) { if (tid < 64) { sdata[tid] += sdata[tid + 64]; } __syncthreads(); }
    if (tid < 32) warpReduce<blockSize>(sdata, tid);
    if (tid == 0) g_odata[blockIdx.x] = sdata[0];
}

__inline__ __device__ float warpReduceSum(float val) {
    for (int offset = warpSize / 2; offset > 0; offset /= 2) val += __shfl_down_sync(0xffffffff, val, offset);
    return val;
}
__inline__ __device__ float blockReduceSum(float val) {
    static __shared__ float shared[32];
    int lane = threadIdx.x % warpSize, wid = threadIdx.x / warpSize;
    val = warpReduceSum(val);
    if (lane == 0) shared[wid] = val;
    __syncthreads();
    val = (threadIdx.x < blockDim.x / warpSize) ? shared[lane] : 0;
    if (wid == 0) val = warpReduceSum(val);
    return val;
}
__global__ void deviceReduceKernel(const float *in, float *out, int N) {
    float sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < N; i += blockDim.x * gridDim.x) sum += in[i];
    sum = blockReduceSum(sum);
    if (threadIdx.x == 0) atomicAdd(out, sum);
}

__global__ void sum_groups(const int *input, int *sum, int n) {
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    int mine = 0;
    for (int i = block.group_index().x * block.size() + block.thread_rank(); i < n / 4; i += block.size() * gridDim.x) {
        int4 in = ((const int4 *)input)[i];
        mine += in.x + in.y + in.z + in.w;
    }
    mine = cg::reduce(warp, mine, cg::plus<int>{});
    if (warp.thread_rank() == 0) atomicAdd(sum, mine);
}

template <typename Group> __device__ int tree(Group g, int *temp, int val) {
    int lane = g.thread_rank();
    for (int i = g.size() / 2; i > 0; i /= 2) {
        temp[lane] = val;
        g.sync();
        if (lane < i) val += temp[lane + i];
        g.sync();
    }
    return val;
}
__global__ void sum_tiles(const int *in, int *out) {  // tiles of 16: four sums a block
    __shared__ int temp[64];
    auto tile = cg::tiled_partition<16>(cg::this_thread_block());
    int sum = tree(tile, &temp[tile.meta_group_rank() * 16], in[threadIdx.x]);
    if (tile.thread_rank() == 0) out[tile.meta_group_rank()] = sum;
}

__device__ unsigned int retirementCount = 0;
__global__ void reduceSinglePass(const float *in, volatile float *partial, float *out, int n) {
    __shared__ bool amLast;
    __shared__ float s[128];
    float v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += in[i];
    s[threadIdx.x] = v;
    for (int k = 64; k; k >>= 1) { __syncthreads(); if (threadIdx.x < k) s[threadIdx.x] += s[threadIdx.x + k]; }
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = s[0];
        __threadfence();
        unsigned int ticket = atomicInc(&retirementCount, gridDim.x);
        amLast = ticket == gridDim.x - 1;
    }
    __syncthreads();
    if (amLast && threadIdx.x == 0) {
        float sum = 0;
        for (int b = 0; b < gridDim.x; b++) sum += partial[b];
        *out = sum;
        retirementCount = 0;
    }
}

__global__ void count_positive(const float *x, int *count, int *any, int *votes) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned bits = __ballot_sync(0xffffffff, x[i] > 0);
    if (threadIdx.x % 32 == 0) atomicAdd(count, __popc(bits));
    if (__any_sync(~0u, x[i] > 2)) *any = 1;
    int n = __syncthreads_count(x[i] > 0);
    if (__syncthreads_or(x[i] > 2) || !__syncthreads_and(x[i] < 2)) n = -1;
    if (threadIdx.x == 0) votes[blockIdx.x] = n;
}

__device__ float atomicMaxFloat(float *address, float val) {
    int *address_as_i = (int *)address, old = *address_as_i, assumed;
    do {
        assumed = old;
        old = atomicCAS(address_as_i, assumed, __float_as_int(fmaxf(val, __int_as_float(assumed))));
    } while (assumed != old);
    return __int_as_float(old);
}
__global__ void max_cas(const float *x, float *m, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) atomicMaxFloat(m, x[i]);
}

// ---- prefix sums ----
__global__ void scan_naive(float *g_odata, const float *g_idata, int n) {  // Hillis and Steele, two buffers
    extern __shared__ float temp_[];
    int thid = threadIdx.x, pout = 0, pin = 1;
    temp_[pout * n + thid] = (thid > 0) ? g_idata[thid - 1] : 0;
    __syncthreads();
    for (int offset = 1; offset < n; offset *= 2) {
        pout = 1 - pout, pin = 1 - pout;
        if (thid >= offset) temp_[pout * n + thid] = temp_[pin * n + thid] + temp_[pin * n + thid - offset];
        else temp_[pout * n + thid] = temp_[pin * n + thid];
        __syncthreads();
    }
    g_odata[thid] = temp_[pout * n + thid];
}

__global__ void prescan(float *g_odata, const float *g_idata, int n) {  // Blelloch
    DYNAMIC_SHARED(float, temp);
    int thid = threadIdx.x, offset = 1;
    temp[2 * thid] = g_idata[2 * thid];
    temp[2 * thid + 1] = g_idata[2 * thid + 1];
    for (int d = n >> 1; d > 0; d >>= 1) {
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1, bi = offset * (2 * thid + 2) - 1;
            temp[bi] += temp[ai];
        }
        offset *= 2;
    }
    if (thid == 0) temp[n - 1] = 0;
    for (int d = 1; d < n; d *= 2) {
        offset >>= 1;
        __syncthreads();
        if (thid < d) {
            int ai = offset * (2 * thid + 1) - 1, bi = offset * (2 * thid + 2) - 1;
            float t = temp[ai];
            temp[ai] = temp[bi];
            temp[bi] += t;
        }
    }
    __syncthreads();
    g_odata[2 * thid] = temp[2 * thid];
    g_odata[2 * thid + 1] = temp[2 * thid + 1];
}

__global__ void warp_scan(const int *in, int *out) {  // inclusive, a warp at a time, then the warps
    __shared__ int sums[32];
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, v = in[threadIdx.x];
    #pragma unroll
    for (int d = 1; d < 32; d <<= 1) {
        int up = __shfl_up_sync(0xffffffffu, v, d);
        if (lane >= d) v += up;
    }
    if (lane == 31) sums[warp] = v;
    __syncthreads();
    if (warp == 0) {
        int s = lane < blockDim.x / 32 ? sums[lane] : 0;
        for (int d = 1; d < 32; d <<= 1) { int up = __shfl_up_sync(~0u, s, d); if (lane >= d) s += up; }
        sums[lane] = s;
    }
    __syncthreads();
    out[threadIdx.x] = v + (warp ? sums[warp - 1] : 0);
}

static const int N = 1024;
static Floats x = numbers(N);
static float sum(const Floats &v) { double s = 0; for (float f : v) s += f; return s; }
static Floats total() { return Floats{sum(x)}; }
#define BLOCKS(name, blocks, threads, bytes, ...)                         \
    CASE(name) {                                                          \
        float *d = zeros<float>(blocks);                                  \
        LAUNCH(name __VA_ARGS__, blocks, threads, bytes)                  \
        (to_device(x), d EXTRA);                                          \
        compare(#name, Floats{sum(to_host(d, blocks))}, total(), 1e-4);   \
    }
#define EXTRA
BLOCKS(reduce0, 8, 128, 512)
BLOCKS(reduce1, 8, 128, 512)
BLOCKS(reduce2, 8, 128, 512)
BLOCKS(reduce2_no_barrier, 8, 128, 512)
#undef EXTRA
#define EXTRA , N
BLOCKS(reduce6, 2, 256, 0, <256>)
CASE(sum_atomic) {
    float *d = zeros<float>(1);
    LAUNCH(sum_atomic, 5, 256)(to_device(x), d, N);
    compare("sum_atomic", to_host(d, 1), total(), 1e-3);
}
CASE(deviceReduceKernel) {
    float *d = zeros<float>(1);
    LAUNCH(deviceReduceKernel, 2, 256)(to_device(x), d, N);
    compare("deviceReduceKernel", to_host(d, 1), total(), 1e-4);
}
CASE(sum_groups) {
    std::vector<int> v(N);
    int s = 0;
    for (int i = 0; i < N; i++) s += v[i] = i * 7 % 31 - 9;
    int *d = zeros<int>(1);
    LAUNCH(sum_groups, 2, 64)(to_device(v), d, N);
    compare("sum_groups", to_host(d, 1), std::vector<int>{s}, 0);
}
CASE(sum_tiles) {
    std::vector<int> v(64), s(4);
    for (int i = 0; i < 64; i++) s[i / 16] += v[i] = i * i;
    int *d = zeros<int>(4);
    LAUNCH(sum_tiles, 1, 64)(to_device(v), d);
    compare("sum_tiles", to_host(d, 4), s, 0);
}
CASE(reduceSinglePass) {
    float *d = zeros<float>(1);
    LAUNCH(reduceSinglePass, 4, 128)(to_device(x), zeros<float>(4), d, N);
    compare("reduceSinglePass", to_host(d, 1), total(), 1e-4);
}
CASE(count_positive) {
    int positive = 0;
    for (float f : x) positive += f > 0;
    int *count = zeros<int>(1), *any = zeros<int>(1), *votes = zeros<int>(8);
    LAUNCH(count_positive, 8, 128)(to_device(x), count, any, votes);
    int s = 0;
    for (int v : to_host(votes, 8)) s += v;
    compare("count_positive", std::vector<int>{to_host(count, 1)[0], to_host(any, 1)[0], s}, std::vector<int>{positive, 0, positive}, 0);
}
CASE(max_cas) {
    float m = -9;
    for (float f : x) m = fmaxf(m, f);
    float *d = to_device(Floats{-9});
    LAUNCH(max_cas, 1, 96)(to_device(x), d, N);
    compare("max_cas", to_host(d, 1), Floats{m}, 0);
}
static Floats exclusive(int n) {
    Floats s(n);
    for (int i = 1; i < n; i++) s[i] = s[i - 1] + x[i - 1];
    return s;
}
CASE(scan_naive) {
    float *d = zeros<float>(256);
    LAUNCH(scan_naive, 1, 256, 2 * 256 * sizeof(float))(d, to_device(x), 256);
    compare("scan_naive", to_host(d, 256), exclusive(256), 1e-4);
}
CASE(prescan) {
    float *d = zeros<float>(512);
    LAUNCH(prescan, 1, 256, 512 * sizeof(float))(d, to_device(x), 512);
    compare("prescan", to_host(d, 512), exclusive(512), 1e-4);
}
CASE(warp_scan) {
    std::vector<int> v(256), s(256);
    for (int i = 0; i < 256; i++) v[i] = i % 13 - 4, s[i] = v[i] + (i ? s[i - 1] : 0);
    int *d = zeros<int>(256);
    LAUNCH(warp_scan, 1, 256)(to_device(v), d);
    compare("warp_scan", to_host(d, 256), s, 0);
}
