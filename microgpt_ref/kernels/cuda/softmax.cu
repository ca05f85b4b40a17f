// softmax.cu: each row of a matrix to numbers that are positive and add up to 1.
//
//     out[i][j] = exp(x[i][j] - max_i) / sum_k exp(x[i][k] - max_i)           N rows, C columns
//
// The arithmetic is next to nothing: a GPU waits for memory here, and the fastest kernel is the one
// that moves the fewest bytes. At least, each number is read once and written once: 8 bytes. So
// count before you time. The unit is a sector: 32 bytes that lie side by side, which memory hands
// over whole, whether a warp (32 threads that run in step) wants all of it or four bytes.
//
//     version  idea                                  sectors read       written   (C >= 8, per row)
//     1        one thread for each row               3 C                C
//     2        one block for each row: coalesced     3 C / 8            C / 8
//     3        shuffles in place of shared memory    3 C / 8            C / 8
//     4        maximum and sum in one pass           2 C / 8            C / 8
//     5        four numbers with one load            2 C / 8            C / 8      1/4 the requests
//     6        the row stays in registers            1 C / 8            C / 8
//
// Sources: the first five versions take the course of llm.c (Karpathy 2024, dev/cuda); version 4 is
// Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018); the tree in shared
// memory is Harris, "Optimizing parallel reduction in CUDA" (2007).
//
//     nvcc -O3 -arch=native softmax.cu -o softmax && ./softmax [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing softmax.cu -o softmax -ldl && ./softmax

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

void softmax_forward_cpu(float *out, const float *x, int N, int C) {
    for (size_t i = 0; i < size_t(N); i++, x += C, out += C) {
        float largest = -INFINITY;
        for (int j = 0; j < C; j++) largest = fmaxf(largest, x[j]);
        double sum = 0;
        for (int j = 0; j < C; j++) sum += exp(double(x[j]) - largest);
        for (int j = 0; j < C; j++) out[j] = float(exp(double(x[j]) - largest) / sum);
    }
}

// With y = softmax(x): dx[j] = y[j] (dy[j] - sum_k dy[k] y[k]).
void softmax_backward_cpu(float *dx, const float *dy, const float *y, int N, int C) {
    for (size_t i = 0; i < size_t(N); i++, dx += C, dy += C, y += C) {
        double dot = 0;
        for (int j = 0; j < C; j++) dot += double(dy[j]) * y[j];
        for (int j = 0; j < C; j++) dx[j] = float(y[j] * (dy[j] - dot));
    }
}

// ---- forward ---------------------------------------------------------------------------------

// Version 1: a thread does what the reference does, for one row. Threads side by side are C numbers
// apart, so that each load of a warp touches 32 sectors and uses four bytes of each.
__global__ void softmax_forward_1(float *out, const float *x, int N, int C) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    x += size_t(row) * C, out += size_t(row) * C;
    float largest = -INFINITY, sum = 0;
    for (int j = 0; j < C; j++) largest = fmaxf(largest, x[j]);
    for (int j = 0; j < C; j++) sum += expf(x[j] - largest);
    for (int j = 0; j < C; j++) out[j] = expf(x[j] - largest) / sum;
}

// Version 2: a block for each row. Thread t takes the columns t, t + 256, ...: a warp reads 32
// neighbours, four sectors, and uses every byte of them. That is coalescing. Each thread now knows
// a part of the maximum and of the sum; they meet in shared memory, in a tree of log2(256) steps.
constexpr int TREE = 256;  // threads of a block; a power of two, for the tree

__global__ void softmax_forward_2(float *out, const float *x, int C) {
    __shared__ float part[TREE];
    const int t = threadIdx.x;
    x += size_t(blockIdx.x) * C, out += size_t(blockIdx.x) * C;
    float largest = -INFINITY, sum = 0;
    for (int j = t; j < C; j += TREE) largest = fmaxf(largest, x[j]);
    part[t] = largest;
    for (int half = TREE / 2; half > 0; half /= 2) {
        __syncthreads();  // the step before has been written
        if (t < half) part[t] = fmaxf(part[t], part[t + half]);
    }
    __syncthreads();
    largest = part[0];
    __syncthreads();  // everyone has read it, before it is written again
    for (int j = t; j < C; j += TREE) sum += expf(x[j] - largest);
    part[t] = sum;
    for (int half = TREE / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) part[t] += part[t + half];
    }
    __syncthreads();
    sum = part[0];
    for (int j = t; j < C; j += TREE) out[j] = expf(x[j] - largest) / sum;
}

// Version 3: within a warp, lanes show each other their registers (a shuffle), without memory and
// without a barrier. Shared memory carries one number for each warp, and two barriers take the
// place of nine: block_max and block_sum in common.h.
__global__ void softmax_forward_3(float *out, const float *x, int C) {
    x += size_t(blockIdx.x) * C, out += size_t(blockIdx.x) * C;
    float largest = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < C; j += blockDim.x) largest = fmaxf(largest, x[j]);
    largest = block_max(largest);
    for (int j = threadIdx.x; j < C; j += blockDim.x) sum += expf(x[j] - largest);
    sum = block_sum(sum);
    for (int j = threadIdx.x; j < C; j += blockDim.x) out[j] = expf(x[j] - largest) / sum;
}

// Version 4: the sum need not wait for the maximum. A thread adds exp(x - the largest so far);
// when a larger x comes, the sum is brought to it: exp(x - old) = exp(x - new) exp(new - old). One
// pass less over the row.
__device__ void add_online(float &largest, float &sum, float x) {
    if (x > largest) sum *= expf(largest - x), largest = x;
    if (x != -INFINITY) sum += expf(x - largest);
}

// From a thread's part of the row to the maximum and the sum of the whole row.
__device__ void join_online(float &largest, float &sum) {
    const float mine = largest;
    largest = block_max(largest);
    sum = block_sum(mine > -INFINITY ? sum * expf(mine - largest) : 0);  // -inf: it has no columns
}

__global__ void softmax_forward_4(float *out, const float *x, int C) {
    x += size_t(blockIdx.x) * C, out += size_t(blockIdx.x) * C;
    float largest = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < C; j += blockDim.x) add_online(largest, sum, x[j]);
    join_online(largest, sum);
    for (int j = threadIdx.x; j < C; j += blockDim.x) out[j] = expf(x[j] - largest) / sum;
}

// Version 5: a float4 is four floats that one instruction moves, 512 bytes for a warp. As many
// sectors, a quarter of the requests, and more bytes under way at a time. Its address must be a
// multiple of 16, so C must be a multiple of 4.
__global__ void softmax_forward_5(float4 *out, const float4 *x, int C4) {
    x += size_t(blockIdx.x) * C4, out += size_t(blockIdx.x) * C4;
    float largest = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < C4; j += blockDim.x) {
        const float4 v = x[j];
        add_online(largest, sum, v.x), add_online(largest, sum, v.y);
        add_online(largest, sum, v.z), add_online(largest, sum, v.w);
    }
    join_online(largest, sum);
    for (int j = threadIdx.x; j < C4; j += blockDim.x) {
        const float4 v = x[j];
        out[j] = make_float4(expf(v.x - largest) / sum, expf(v.y - largest) / sum,
                             expf(v.z - largest) / sum, expf(v.w - largest) / sum);
    }
}

// Version 6: a block has 65,536 registers, 256 KB; a row has room there. It is read once, and
// nothing is computed twice. Registers have no addresses: loops over them must be unrolled, so the
// most that a thread may hold is fixed here.
constexpr int HELD = 8;  // float4 in registers: rows of up to 256 * 8 * 4 = 8,192 columns

__global__ void softmax_forward_6(float4 *out, const float4 *x, int C4) {
    x += size_t(blockIdx.x) * C4, out += size_t(blockIdx.x) * C4;
    float4 held[HELD];
    float largest = -INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = threadIdx.x + i * blockDim.x;
        if (j >= C4) continue;
        const float4 v = held[i] = x[j];
        largest = fmaxf(largest, fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
    }
    largest = block_max(largest);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = threadIdx.x + i * blockDim.x;
        if (j >= C4) continue;
        float4 &v = held[i];
        v = make_float4(expf(v.x - largest), expf(v.y - largest), expf(v.z - largest),
                        expf(v.w - largest));
        sum += v.x + v.y + v.z + v.w;
    }
    const float scale = 1 / block_sum(sum);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = threadIdx.x + i * blockDim.x;
        const float4 v = held[i];
        if (j < C4) out[j] = make_float4(v.x * scale, v.y * scale, v.z * scale, v.w * scale);
    }
}

extern "C" int softmax_forward(int version, float *out, const float *x, int N, int C) {
    if (N < 1 || C < 1) return 1;
    float4 *out4 = (float4 *)out;
    const float4 *x4 = (const float4 *)x;
    const int C4 = C / 4, threads = threads_for(C), threads4 = threads_for(C4);
    if (version >= 5 && !(in_fours(x, C) && in_fours(out, C))) return 1;
    switch (version) {
        case 1: LAUNCH(softmax_forward_1, ceil_div(N, 128), 128)(out, x, N, C); break;
        case 2: LAUNCH(softmax_forward_2, N, TREE)(out, x, C); break;
        case 3: LAUNCH(softmax_forward_3, N, threads)(out, x, C); break;
        case 4: LAUNCH(softmax_forward_4, N, threads)(out, x, C); break;
        case 5: LAUNCH(softmax_forward_5, N, threads4)(out4, x4, C4); break;
        case 6:
            if (C4 > HELD * threads4) return 1;
            LAUNCH(softmax_forward_6, N, threads4)(out4, x4, C4);
            break;
        default: return 1;
    }
    return launched();
}

// ---- backward --------------------------------------------------------------------------------

// Version 1: one thread for each row, as above; dy and y are read twice.
__global__ void softmax_backward_1(float *dx, const float *dy, const float *y, int N, int C) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    dx += size_t(row) * C, dy += size_t(row) * C, y += size_t(row) * C;
    float dot = 0;
    for (int j = 0; j < C; j++) dot += dy[j] * y[j];
    for (int j = 0; j < C; j++) dx[j] = y[j] * (dy[j] - dot);
}

// Version 2: one block for each row, coalesced, the sum by shuffles.
__global__ void softmax_backward_2(float *dx, const float *dy, const float *y, int C) {
    const size_t start = size_t(blockIdx.x) * C;
    dx += start, dy += start, y += start;
    float dot = 0;
    for (int j = threadIdx.x; j < C; j += blockDim.x) dot += dy[j] * y[j];
    dot = block_sum(dot);
    for (int j = threadIdx.x; j < C; j += blockDim.x) dx[j] = y[j] * (dy[j] - dot);
}

// Version 3: in fours, and both rows stay in registers.
__global__ void softmax_backward_3(float4 *dx, const float4 *dy, const float4 *y, int C4) {
    const size_t start = size_t(blockIdx.x) * C4;
    dx += start, dy += start, y += start;
    float4 d[HELD], p[HELD];
    float dot = 0;
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = threadIdx.x + i * blockDim.x;
        if (j >= C4) continue;
        d[i] = dy[j], p[i] = y[j];
        dot += d[i].x * p[i].x + d[i].y * p[i].y + d[i].z * p[i].z + d[i].w * p[i].w;
    }
    dot = block_sum(dot);
#pragma unroll
    for (int i = 0; i < HELD; i++) {
        const int j = threadIdx.x + i * blockDim.x;
        if (j < C4)
            dx[j] = make_float4(p[i].x * (d[i].x - dot), p[i].y * (d[i].y - dot),
                                p[i].z * (d[i].z - dot), p[i].w * (d[i].w - dot));
    }
}

extern "C" int softmax_backward(int version, float *dx, const float *dy, const float *y, int N,
                                int C) {
    if (N < 1 || C < 1) return 1;
    const int C4 = C / 4, threads4 = threads_for(C4);
    switch (version) {
        case 1: LAUNCH(softmax_backward_1, ceil_div(N, 128), 128)(dx, dy, y, N, C); break;
        case 2: LAUNCH(softmax_backward_2, N, threads_for(C))(dx, dy, y, C); break;
        case 3:
            if (!in_fours(dx, C) || !in_fours(dy, C) || !in_fours(y, C)) return 1;
            if (C4 > HELD * threads4) return 1;
            LAUNCH(softmax_backward_3, N, threads4)((float4 *)dx, (const float4 *)dy,
                                                    (const float4 *)y, C4);
            break;
        default: return 1;
    }
    return launched();
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int N = ON_GPU ? 16384 : 64, C = ON_GPU ? 4096 : 256;
    const size_t n = size_t(N) * C;
    const Floats x = random_floats(n, 1), dy = random_floats(n, 2);
    Floats y(n), dx(n);
    softmax_forward_cpu(y.data(), x.data(), N, C);
    softmax_backward_cpu(dx.data(), dy.data(), y.data(), N, C);
    const float *x_gpu = on_device(x), *dy_gpu = on_device(dy), *y_gpu = on_device(y);
    float *out = on_device(n);
    const auto forward = [&](int version) { return softmax_forward(version, out, x_gpu, N, C); };
    const auto backward = [&](int version) {
        return softmax_backward(version, out, dy_gpu, y_gpu, N, C);
    };
    return each_version("softmax_forward", only, forward, {{"y", out, &y}}, 1e-5, 8.0 * n) +
           each_version("softmax_backward", only, backward, {{"dx", out, &dx}}, 1e-5, 12.0 * n);
}
