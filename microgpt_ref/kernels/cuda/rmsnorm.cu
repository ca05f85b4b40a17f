// rmsnorm.cu: each row of a matrix brought to a root mean square of 1, then scaled by a gain.
//
//     rstd_i = 1 / sqrt(mean_j x[i][j]^2 + eps)                               N rows, C columns
//     out[i][j] = x[i][j] rstd_i weight[j]
//
// Backward, with w = weight, and the gradients dy of out:
//
//     dx[i][j] = rstd_i (w[j] dy[i][j] - x[i][j] rstd_i^2 mean_k(w[k] dy[i][k] x[i][k]))
//     dweight[j] = sum_i dy[i][j] x[i][j] rstd_i
//
// Forward and dx are sums along rows, as in softmax.cu. dweight is a sum along columns, over rows
// that many blocks hold: they must meet, and that is the new question of this file.
//
//     forward                                     sectors read      written       (per row)
//     1   one thread for each row                 2 C               C
//     2   one warp for each row, no barrier       2 C / 8           C / 8
//     3   four numbers with one load              2 C / 8           C / 8         1/4 the requests
//     4   the row waits in shared memory          C / 8             C / 8
//     backward                                                      atomics on dweight
//     1   one thread for each row                                   one for each number
//     2   one warp for each row, coalesced                          the same, side by side
//     3   blocks keep their own sum for dweight                     one for each column and block
//     4   four numbers with one load                                the same
//
// The rows of weight stand in the caches after the first block; the counts above leave them out.
// weight may be NULL: a gain of 1, as in the GPT of this course. Atomics come in any order, and
// float sums depend on it: the last digits of dweight differ from run to run on a GPU.
//
// Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019).
//
//     nvcc -O3 -arch=native rmsnorm.cu -o rmsnorm && ./rmsnorm [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing rmsnorm.cu -o rmsnorm -ldl && ./rmsnorm

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

void rmsnorm_forward_cpu(float *out, float *rstd, const float *x, const float *weight, int N, int C,
                         float eps) {
    for (size_t i = 0; i < size_t(N); i++, x += C, out += C) {
        double squares = 0;
        for (int j = 0; j < C; j++) squares += double(x[j]) * x[j];
        const double r = 1 / sqrt(squares / C + eps);
        for (int j = 0; j < C; j++) out[j] = float(x[j] * r * (weight ? weight[j] : 1));
        rstd[i] = float(r);
    }
}

void rmsnorm_backward_cpu(float *dx, float *dweight, const float *dy, const float *x,
                          const float *weight, const float *rstd, int N, int C) {
    std::vector<double> dw(C);
    for (size_t i = 0; i < size_t(N); i++, dx += C, dy += C, x += C) {
        const double r = rstd[i];
        double dot = 0;
        for (int j = 0; j < C; j++) dot += double(dy[j]) * (weight ? weight[j] : 1) * x[j];
        for (int j = 0; j < C; j++) {
            dx[j] = float(r * (double(dy[j]) * (weight ? weight[j] : 1) - x[j] * r * r * dot / C));
            dw[j] += dy[j] * x[j] * r;
        }
    }
    for (int j = 0; dweight && j < C; j++) dweight[j] = float(dw[j]);
}

// ---- forward ---------------------------------------------------------------------------------

constexpr int WARPS = 4;  // rows of a block, in the versions that give each row a warp

__device__ float gain(const float *weight, int j) { return weight ? weight[j] : 1; }

__device__ float4 gain4(const float4 *weight, int j) {
    return weight ? weight[j] : make_float4(1, 1, 1, 1);
}

__device__ float dot4(float4 a, float4 b) {
    return a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

__device__ float4 times4(float4 a, float4 b) {
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}

__device__ float4 scaled4(float4 a, float s) {
    return make_float4(a.x * s, a.y * s, a.z * s, a.w * s);
}

// Version 1: a thread does what the reference does, for one row.
__global__ void rmsnorm_forward_1(float *out, float *rstd, const float *x, const float *weight,
                                  int N, int C, float eps) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    x += size_t(row) * C, out += size_t(row) * C;
    float squares = 0;
    for (int j = 0; j < C; j++) squares += x[j] * x[j];
    const float r = rsqrtf(squares / C + eps);
    for (int j = 0; j < C; j++) out[j] = x[j] * r * gain(weight, j);
    rstd[row] = r;
}

// Version 2: a warp for each row. Lane l takes the columns l, l + 32, ...: four whole sectors at a
// time. The lanes' sums meet by shuffles, so there is no shared memory and no barrier, and the rows
// of a block do not wait for each other. (A row of very many columns would rather have a block.)
__global__ void rmsnorm_forward_2(float *out, float *rstd, const float *x, const float *weight,
                                  int N, int C, float eps) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= N) return;  // a whole warp
    x += size_t(row) * C, out += size_t(row) * C;
    float squares = 0;
    for (int j = lane; j < C; j += 32) squares += x[j] * x[j];
    const float r = rsqrtf(warp_sum(squares) / C + eps);
    for (int j = lane; j < C; j += 32) out[j] = x[j] * r * gain(weight, j);
    if (lane == 0) rstd[row] = r;
}

// Version 3: the same with float4, 512 bytes a request in place of 128.
__global__ void rmsnorm_forward_3(float4 *out, float *rstd, const float4 *x, const float4 *weight,
                                  int N, int C4, float eps) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= N) return;
    x += size_t(row) * C4, out += size_t(row) * C4;
    float squares = 0;
    for (int j = lane; j < C4; j += 32) squares += dot4(x[j], x[j]);
    const float r = rsqrtf(warp_sum(squares) / (4 * C4) + eps);
    for (int j = lane; j < C4; j += 32) out[j] = times4(scaled4(x[j], r), gain4(weight, j));
    if (lane == 0) rstd[row] = r;
}

// Version 4: the second pass reads the row again. Here each thread of a block puts what it read
// into shared memory, and takes it from there. Nobody else touches those words, so they need no
// barrier. A row may have 12,000 columns: a block has 48 KB, and block_sum needs a few bytes.
__global__ void rmsnorm_forward_4(float4 *out, float *rstd, const float4 *x, const float4 *weight,
                                  int C4, float eps) {
    DYNAMIC_SHARED(float4, held);
    x += size_t(blockIdx.x) * C4, out += size_t(blockIdx.x) * C4;
    float squares = 0;
    for (int j = threadIdx.x; j < C4; j += blockDim.x) {
        const float4 v = held[j] = x[j];
        squares += dot4(v, v);
    }
    const float r = rsqrtf(block_sum(squares) / (4 * C4) + eps);
    for (int j = threadIdx.x; j < C4; j += blockDim.x)
        out[j] = times4(scaled4(held[j], r), gain4(weight, j));
    if (threadIdx.x == 0) rstd[blockIdx.x] = r;
}

extern "C" int rmsnorm_forward(int version, float *out, float *rstd, const float *x,
                               const float *weight, int N, int C, float eps) {
    if (N < 1 || C < 1) return 1;
    float4 *out4 = (float4 *)out;
    const float4 *x4 = (const float4 *)x, *w4 = (const float4 *)weight;
    const int C4 = C / 4, grid = ceil_div(N, WARPS), block = 32 * WARPS;
    if (version >= 3 && !(in_fours(x, C) && in_fours(out, C) && in_fours(weight, C))) return 1;
    switch (version) {
        case 1:
            LAUNCH(rmsnorm_forward_1, ceil_div(N, 128), 128)(out, rstd, x, weight, N, C, eps);
            break;
        case 2: LAUNCH(rmsnorm_forward_2, grid, block)(out, rstd, x, weight, N, C, eps); break;
        case 3: LAUNCH(rmsnorm_forward_3, grid, block)(out4, rstd, x4, w4, N, C4, eps); break;
        case 4:
            if (C > 12000) return 1;
            LAUNCH(rmsnorm_forward_4, N, threads_for(C4), C * 4)(out4, rstd, x4, w4, C4, eps);
            break;
        default: return 1;
    }
    return launched();
}

// ---- backward --------------------------------------------------------------------------------

// Version 1: one thread for each row. dweight[j] is one number for all rows: whoever adds to it
// reads, adds and writes, and between the three another thread may have written. An atomic does
// the three as one, and threads that want the same number at the same time wait in line: here all
// the lanes of a warp do, for each column.
__global__ void rmsnorm_backward_1(float *dx, float *dweight, const float *dy, const float *x,
                                   const float *weight, const float *rstd, int N, int C) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    dx += size_t(row) * C, dy += size_t(row) * C, x += size_t(row) * C;
    const float r = rstd[row];
    float dot = 0;
    for (int j = 0; j < C; j++) dot += gain(weight, j) * dy[j] * x[j];
    for (int j = 0; j < C; j++) {
        const float d = dy[j], v = x[j];
        dx[j] = r * (gain(weight, j) * d - v * r * r * dot / C);
        if (dweight) atomicAdd(&dweight[j], d * v * r);
    }
}

// Version 2: one warp for each row. Loads are coalesced, and the lanes of a warp add to different
// columns; warps still meet at the same ones.
__global__ void rmsnorm_backward_2(float *dx, float *dweight, const float *dy, const float *x,
                                   const float *weight, const float *rstd, int N, int C) {
    const int row = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= N) return;
    dx += size_t(row) * C, dy += size_t(row) * C, x += size_t(row) * C;
    const float r = rstd[row];
    float dot = 0;
    for (int j = lane; j < C; j += 32) dot += gain(weight, j) * dy[j] * x[j];
    dot = warp_sum(dot);
    for (int j = lane; j < C; j += 32) {
        const float d = dy[j], v = x[j];
        dx[j] = r * (gain(weight, j) * d - v * r * r * dot / C);
        if (dweight) atomicAdd(&dweight[j], d * v * r);
    }
}

// Version 3: few blocks, each for many rows. Thread t keeps the columns t, t + blockDim, ... of its
// block's own sum in shared memory, where no other thread touches them: no atomic, no race. Only
// the finished sums are added to dweight: gridDim times C atomics in place of N times C.
__global__ void rmsnorm_backward_3(float *dx, float *dweight, const float *dy, const float *x,
                                   const float *weight, const float *rstd, int N, int C) {
    DYNAMIC_SHARED(float, sums);
    const int t = threadIdx.x;
    for (int j = t; j < C; j += blockDim.x) sums[j] = 0;
    for (int row = blockIdx.x; row < N; row += gridDim.x) {
        const size_t start = size_t(row) * C;
        const float r = rstd[row];
        float dot = 0;
        for (int j = t; j < C; j += blockDim.x)
            dot += gain(weight, j) * dy[start + j] * x[start + j];
        dot = block_sum(dot);
        for (int j = t; j < C; j += blockDim.x) {
            const float d = dy[start + j], v = x[start + j];
            dx[start + j] = r * (gain(weight, j) * d - v * r * r * dot / C);
            sums[j] += d * v * r;
        }
    }
    for (int j = t; dweight && j < C; j += blockDim.x) atomicAdd(&dweight[j], sums[j]);
}

// Version 4: in fours; the rows of dy and x stay in registers between the two passes, and so do
// the sums for dweight, one float4 for each that a thread holds.
constexpr int HELD = 4;  // rows of up to 256 * 4 * 4 = 4,096 columns

__global__ void rmsnorm_backward_4(float4 *dx, float *dweight, const float4 *dy, const float4 *x,
                                   const float4 *weight, const float *rstd, int N, int C4) {
    float4 sums[HELD] = {}, d[HELD], v[HELD];
    for (int row = blockIdx.x; row < N; row += gridDim.x) {
        const size_t start = size_t(row) * C4;
        const float r = rstd[row];
        float dot = 0;
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            const int j = threadIdx.x + i * blockDim.x;
            if (j >= C4) continue;
            d[i] = dy[start + j], v[i] = x[start + j];
            float4 &s = sums[i];
            s = make_float4(s.x + d[i].x * v[i].x * r, s.y + d[i].y * v[i].y * r,
                            s.z + d[i].z * v[i].z * r, s.w + d[i].w * v[i].w * r);
            d[i] = times4(d[i], gain4(weight, j));
            dot += dot4(d[i], v[i]);
        }
        const float back = r * r * block_sum(dot) / (4 * C4);
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            const int j = threadIdx.x + i * blockDim.x;
            if (j >= C4) continue;
            const float4 less = scaled4(v[i], back);
            dx[start + j] = make_float4(r * (d[i].x - less.x), r * (d[i].y - less.y),
                                        r * (d[i].z - less.z), r * (d[i].w - less.w));
        }
    }
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = 4 * (threadIdx.x + i * blockDim.x);
        if (!dweight || j >= 4 * C4) continue;
        atomicAdd(&dweight[j], sums[i].x), atomicAdd(&dweight[j + 1], sums[i].y);
        atomicAdd(&dweight[j + 2], sums[i].z), atomicAdd(&dweight[j + 3], sums[i].w);
    }
}

// dweight may be NULL. Versions 3 and 4 run as many blocks as a large GPU runs at a time.
constexpr int BLOCKS = ON_GPU ? 1056 : 8;  // 8 on each of the 132 multiprocessors of an H100

extern "C" int rmsnorm_backward(int version, float *dx, float *dweight, const float *dy,
                                const float *x, const float *weight, const float *rstd, int N,
                                int C) {
    if (N < 1 || C < 1) return 1;
    const int C4 = C / 4, threads4 = threads_for(C4), blocks = std::min(N, BLOCKS);
    const bool fours = in_fours(dx, C) && in_fours(dy, C) && in_fours(x, C) && in_fours(weight, C);
    if (version == 3 && C > 12000) return 1;
    if (version == 4 && (!fours || C4 > HELD * threads4)) return 1;
    if (dweight && version >= 1 && version <= 4) cudaMemsetAsync(dweight, 0, C * sizeof(float));
    switch (version) {
        case 1:
            LAUNCH(rmsnorm_backward_1, ceil_div(N, 128), 128)(dx, dweight, dy, x, weight, rstd, N,
                                                              C);
            break;
        case 2:
            LAUNCH(rmsnorm_backward_2, ceil_div(N, WARPS), 32 * WARPS)(dx, dweight, dy, x, weight,
                                                                       rstd, N, C);
            break;
        case 3:
            LAUNCH(rmsnorm_backward_3, blocks, threads_for(C), C * 4)(dx, dweight, dy, x, weight,
                                                                      rstd, N, C);
            break;
        case 4:
            LAUNCH(rmsnorm_backward_4, blocks, threads4)((float4 *)dx, dweight, (const float4 *)dy,
                                                         (const float4 *)x, (const float4 *)weight,
                                                         rstd, N, C4);
            break;
        default: return 1;
    }
    return launched();
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int N = ON_GPU ? 16384 : 64, C = ON_GPU ? 4096 : 256;
    const float eps = 1e-5f;
    const size_t n = size_t(N) * C;
    const Floats x = random_floats(n, 1), weight = random_floats(C, 2), dy = random_floats(n, 3);
    Floats y(n), rstd(N), dx(n), dw(C);
    rmsnorm_forward_cpu(y.data(), rstd.data(), x.data(), weight.data(), N, C, eps);
    rmsnorm_backward_cpu(dx.data(), dw.data(), dy.data(), x.data(), weight.data(), rstd.data(), N,
                         C);
    const float *x_gpu = on_device(x), *w_gpu = on_device(weight), *dy_gpu = on_device(dy);
    const float *rstd_gpu = on_device(rstd);
    float *out = on_device(n), *of_rows = on_device(N), *of_columns = on_device(C);
    const auto forward = [&](int version) {
        return rmsnorm_forward(version, out, of_rows, x_gpu, w_gpu, N, C, eps);
    };
    const auto backward = [&](int version) {
        return rmsnorm_backward(version, out, of_columns, dy_gpu, x_gpu, w_gpu, rstd_gpu, N, C);
    };
    return each_version("rmsnorm_forward", only, forward,
                        {{"y", out, &y}, {"rstd", of_rows, &rstd}}, 1e-5, 8.0 * n) +
           each_version("rmsnorm_backward", only, backward,
                        {{"dx", out, &dx}, {"dweight", of_columns, &dw}}, 1e-4, 12.0 * n);
}
