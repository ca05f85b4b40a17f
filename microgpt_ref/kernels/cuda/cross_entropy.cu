// cross_entropy.cu: the loss of each position, from its logits and the token that really came.
//
//     lse_i = log sum_j exp(x[i][j])                             N positions, V tokens
//     loss_i = lse_i - x[i][target_i]                            in nats; 0 where target_i is -1
//     dlogits[i][j] = (exp(x[i][j] - lse_i) - [j = target_i]) dloss_i
//
// Why one kernel. Softmax, then a logarithm, then picking one number would write N V probabilities
// and read them again. GPT-2 has 50,257 tokens: with 8,192 positions the logits alone are 1.6 GB,
// the largest thing in a training step, and each pass over them costs 0.4 ms on an H200. The loss
// needs one number for each row, so nothing as large as the logits has to be written. The gradient
// finds each probability again from x and lse, with one exponential, and may overwrite the logits.
//
//     forward                                     sectors read     (V >= 8, per row)
//     1   one thread for each row                 2 V
//     2   one block for each row: coalesced       2 V / 8
//     3   maximum and sum in one pass             V / 8
//     4   four numbers with one load              V / 8            1/4 the requests
//     backward                                    read and written
//     1   one thread for each row                 2 V
//     2   one block for each row: coalesced       2 V / 8
//     3   four numbers with one load              2 V / 8          1/4 the requests
//
// lse is computed as m + log sum_j exp(x[j] - m), with m the largest: no exponential overflows.
// Sources: the single pass is Milakov and Gimelshein, "Online normalizer calculation for softmax"
// (2018); the fused loss stands in llm.c (Karpathy 2024) and Liger Kernel (Hsu et al. 2024).
//
//     nvcc -O3 -arch=native cross_entropy.cu -o cross_entropy && ./cross_entropy [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing cross_entropy.cu -o cross_entropy -ldl

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

void cross_entropy_forward_cpu(float *losses, float *lse, const float *logits, const int *targets,
                               int N, int V) {
    for (size_t i = 0; i < size_t(N); i++, logits += V) {
        float largest = -INFINITY;
        for (int j = 0; j < V; j++) largest = fmaxf(largest, logits[j]);
        double sum = 0;
        for (int j = 0; j < V; j++) sum += exp(double(logits[j]) - largest);
        const double l = largest + log(sum);
        lse[i] = float(l);
        losses[i] = targets[i] < 0 ? 0 : float(l - logits[targets[i]]);
    }
}

void cross_entropy_backward_cpu(float *dlogits, const float *dlosses, const float *logits,
                                const int *targets, const float *lse, int N, int V) {
    for (size_t i = 0; i < size_t(N); i++, logits += V, dlogits += V)
        for (int j = 0; j < V; j++) {
            const double p = exp(double(logits[j]) - lse[i]) - (j == targets[i]);
            dlogits[j] = targets[i] < 0 ? 0 : float(p * dlosses[i]);
        }
}

// ---- forward ---------------------------------------------------------------------------------

// Version 1: one thread for each row, uncoalesced: 32 sectors a load, four bytes of each used.
__global__ void cross_entropy_forward_1(float *losses, float *lse, const float *logits,
                                        const int *targets, int N, int V) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    const float *x = logits + size_t(row) * V;
    float largest = -INFINITY, sum = 0;
    for (int j = 0; j < V; j++) largest = fmaxf(largest, x[j]);
    for (int j = 0; j < V; j++) sum += expf(x[j] - largest);
    const float l = largest + logf(sum);
    const int target = targets[row];
    lse[row] = l, losses[row] = target < 0 ? 0 : l - x[target];
}

// What one thread of the block writes, in every later version.
__device__ void write_loss(float *losses, float *lse, const float *x, const int *targets, float l) {
    if (threadIdx.x != 0) return;
    const int row = blockIdx.x, target = targets[row];
    lse[row] = l, losses[row] = target < 0 ? 0 : l - x[target];
}

// Version 2: one block for each row; neighbours read neighbours, and meet by shuffles.
__global__ void cross_entropy_forward_2(float *losses, float *lse, const float *logits,
                                        const int *targets, int V) {
    const float *x = logits + size_t(blockIdx.x) * V;
    float largest = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < V; j += blockDim.x) largest = fmaxf(largest, x[j]);
    largest = block_max(largest);
    for (int j = threadIdx.x; j < V; j += blockDim.x) sum += expf(x[j] - largest);
    write_loss(losses, lse, x, targets, largest + logf(block_sum(sum)));
}

// Version 3: maximum and sum in one pass, as softmax.cu explains. A row of 50,257 numbers is too
// long for registers, so each pass that is saved is one less over memory.
__device__ void add_online(float &largest, float &sum, float x) {
    if (x > largest) sum *= expf(largest - x), largest = x;
    if (x != -INFINITY) sum += expf(x - largest);
}

__device__ float join_online(float largest, float sum) {  // lse of the whole row
    const float mine = largest;
    largest = block_max(largest);
    return largest + logf(block_sum(mine > -INFINITY ? sum * expf(mine - largest) : 0));
}

__global__ void cross_entropy_forward_3(float *losses, float *lse, const float *logits,
                                        const int *targets, int V) {
    const float *x = logits + size_t(blockIdx.x) * V;
    float largest = -INFINITY, sum = 0;
    for (int j = threadIdx.x; j < V; j += blockDim.x) add_online(largest, sum, x[j]);
    write_loss(losses, lse, x, targets, join_online(largest, sum));
}

// Version 4: in fours. 50,257 is odd, so three rows in four begin at no multiple of 16 bytes: the
// columns before the first one, and those after the last whole float4, go one by one. (A table
// padded to 50,304 tokens avoids that.)
__device__ int before_fours(const float *x, int V) {
    const int columns = (4 - uintptr_t(x) / 4 % 4) % 4;
    return columns < V ? columns : V;
}

__global__ void cross_entropy_forward_4(float *losses, float *lse, const float *logits,
                                        const int *targets, int V) {
    const float *x = logits + size_t(blockIdx.x) * V;
    const int t = threadIdx.x, head = before_fours(x, V), fours = (V - head) / 4;
    const float4 *x4 = (const float4 *)(x + head);
    float largest = -INFINITY, sum = 0;
    if (t < head) add_online(largest, sum, x[t]);
    for (int j = t; j < fours; j += blockDim.x) {
        const float4 v = x4[j];
        add_online(largest, sum, v.x), add_online(largest, sum, v.y);
        add_online(largest, sum, v.z), add_online(largest, sum, v.w);
    }
    const int rest = head + 4 * fours + t;
    if (rest < V) add_online(largest, sum, x[rest]);
    write_loss(losses, lse, x, targets, join_online(largest, sum));
}

extern "C" int cross_entropy_forward(int version, float *losses, float *lse, const float *logits,
                                     const int *targets, int N, int V) {
    if (N < 1 || V < 1) return 1;
    const int block = threads_for(V);
    switch (version) {
        case 1:
            LAUNCH(cross_entropy_forward_1, ceil_div(N, 128), 128)(losses, lse, logits, targets, N,
                                                                   V);
            break;
        case 2: LAUNCH(cross_entropy_forward_2, N, block)(losses, lse, logits, targets, V); break;
        case 3: LAUNCH(cross_entropy_forward_3, N, block)(losses, lse, logits, targets, V); break;
        case 4: LAUNCH(cross_entropy_forward_4, N, block)(losses, lse, logits, targets, V); break;
        default: return 1;
    }
    return launched();
}

// ---- backward --------------------------------------------------------------------------------

// The gradient of one logit. dlogits may be the memory of the logits: each thread reads a number
// before it writes the same place, and no other thread reads it.
__device__ float dlogit(float x, int j, int target, float lse, float dloss) {
    return target < 0 ? 0 : (expf(x - lse) - (j == target)) * dloss;
}

// Version 1: one thread for each row.
__global__ void cross_entropy_backward_1(float *dlogits, const float *dlosses, const float *logits,
                                         const int *targets, const float *lse, int N, int V) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= N) return;
    const size_t start = size_t(row) * V;
    const int target = targets[row];
    const float l = lse[row], d = dlosses[row];
    for (int j = 0; j < V; j++) dlogits[start + j] = dlogit(logits[start + j], j, target, l, d);
}

// Version 2: one block for each row.
__global__ void cross_entropy_backward_2(float *dlogits, const float *dlosses, const float *logits,
                                         const int *targets, const float *lse, int V) {
    const int row = blockIdx.x, target = targets[row];
    const size_t start = size_t(row) * V;
    const float l = lse[row], d = dlosses[row];
    for (int j = threadIdx.x; j < V; j += blockDim.x)
        dlogits[start + j] = dlogit(logits[start + j], j, target, l, d);
}

// Version 3: in fours, with the columns before and after them as in version 4 above.
__global__ void cross_entropy_backward_3(float *dlogits, const float *dlosses, const float *logits,
                                         const int *targets, const float *lse, int V) {
    const int row = blockIdx.x, t = threadIdx.x, target = targets[row];
    const float l = lse[row], d = dlosses[row];
    const float *x = logits + size_t(row) * V;
    float *dx = dlogits + size_t(row) * V;
    const int head = before_fours(x, V), fours = (V - head) / 4, rest = head + 4 * fours + t;
    if (t < head) dx[t] = dlogit(x[t], t, target, l, d);
    for (int i = t; i < fours; i += blockDim.x) {
        const int j = head + 4 * i;
        const float4 v = ((const float4 *)(x + head))[i];
        ((float4 *)(dx + head))[i] =
            make_float4(dlogit(v.x, j, target, l, d), dlogit(v.y, j + 1, target, l, d),
                        dlogit(v.z, j + 2, target, l, d), dlogit(v.w, j + 3, target, l, d));
    }
    if (rest < V) dx[rest] = dlogit(x[rest], rest, target, l, d);
}

extern "C" int cross_entropy_backward(int version, float *dlogits, const float *dlosses,
                                      const float *logits, const int *targets, const float *lse,
                                      int N, int V) {
    if (N < 1 || V < 1) return 1;
    const int block = threads_for(V);
    switch (version) {
        case 1:
            LAUNCH(cross_entropy_backward_1, ceil_div(N, 128), 128)(dlogits, dlosses, logits,
                                                                    targets, lse, N, V);
            break;
        case 2:
            LAUNCH(cross_entropy_backward_2, N, block)(dlogits, dlosses, logits, targets, lse, V);
            break;
        case 3:
            if ((uintptr_t(dlogits) ^ uintptr_t(logits)) % 16) return 1;  // fours differ
            LAUNCH(cross_entropy_backward_3, N, block)(dlogits, dlosses, logits, targets, lse, V);
            break;
        default: return 1;
    }
    return launched();
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int N = ON_GPU ? 4096 : 64, V = ON_GPU ? 50257 : 251;
    const size_t n = size_t(N) * V;
    const Floats logits = random_floats(n, 1), dlosses = random_floats(N, 2);
    std::vector<int> targets(N);
    for (int i = 0; i < N; i++) targets[i] = i % 10 == 9 ? -1 : int(i * 7919LL % V);
    Floats losses(N), lse(N), dlogits(n);
    cross_entropy_forward_cpu(losses.data(), lse.data(), logits.data(), targets.data(), N, V);
    cross_entropy_backward_cpu(dlogits.data(), dlosses.data(), logits.data(), targets.data(),
                               lse.data(), N, V);
    const float *x = on_device(logits), *d = on_device(dlosses), *l = on_device(lse);
    const int *t = on_device(targets);
    float *of_rows = on_device(N), *of_lse = on_device(N), *out = on_device(n);
    const auto forward = [&](int version) {
        return cross_entropy_forward(version, of_rows, of_lse, x, t, N, V);
    };
    const auto backward = [&](int version) {
        return cross_entropy_backward(version, out, d, x, t, l, N, V);
    };
    return each_version("cross_entropy_forward", only, forward,
                        {{"losses", of_rows, &losses}, {"lse", of_lse, &lse}}, 1e-5, 4.0 * n) +
           each_version("cross_entropy_backward", only, backward, {{"dlogits", out, &dlogits}},
                        1e-5, 8.0 * n);
}
