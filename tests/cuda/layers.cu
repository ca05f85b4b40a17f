// The layers of a transformer, forward: softmax, LayerNorm, RMSNorm, GELU, cross-entropy,
// attention without and with the score matrix.
#ifdef __CUDACC__
#include <cooperative_groups/reduce.h>
#endif
#include "check.h"
namespace cg = cooperative_groups;

__global__ void softmax_forward_kernel1(float *out, const float *inp, int N, int C) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) {
        const float *inp_row = inp + i * C;
        float *out_row = out + i * C;
        float maxval = -INFINITY;
        for (int j = 0; j < C; j++) if (inp_row[j] > maxval) maxval = inp_row[j];
        double sum = 0.0;
        for (int j = 0; j < C; j++) {
            out_row[j] = expf(inp_row[j] - maxval);
            sum += out_row[j];
        }
        for (int j = 0; j < C; j++) out_row[j] /= (float)sum;
    }
}

__global__ void softmax_forward_kernel2(float *out, const float *inp, int N, int C) {  // a block a row
    extern __shared__ float shared[];
    int idx = blockIdx.x, tid = threadIdx.x, block_size = blockDim.x;
    const float *x = inp + idx * C;
    float maxval = -INFINITY;
    for (int i = tid; i < C; i += block_size) maxval = fmaxf(maxval, x[i]);
    shared[tid] = maxval;
    for (int stride = block_size / 2; stride >= 1; stride /= 2) {
        __syncthreads();
        if (tid < stride) shared[tid] = fmaxf(shared[tid], shared[tid + stride]);
    }
    __syncthreads();
    float offset = shared[0];
    for (int i = tid; i < C; i += block_size) out[idx * C + i] = expf(x[i] - offset);
    __syncthreads();
    x = out + idx * C;
    float sumval = 0.0f;
    for (int i = tid; i < C; i += block_size) sumval += x[i];
    shared[tid] = sumval;
    for (int stride = block_size / 2; stride >= 1; stride /= 2) {
        __syncthreads();
        if (tid < stride) shared[tid] += shared[tid + stride];
    }
    __syncthreads();
    float sum = shared[0];
    for (int i = tid; i < C; i += block_size) out[idx * C + i] = x[i] / sum;
}

__global__ void softmax_online(float *out, const float *inp, int N, int C) {  // a warp a row, one pass
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    if (row >= N) return;
    const float *x = inp + row * C;
    float maxval = -INFINITY, sumval = 0.0f;
    for (int i = warp.thread_rank(); i < C; i += warp.size()) {
        float bigger = fmaxf(maxval, x[i]);
        sumval = sumval * expf(maxval - bigger) + expf(x[i] - bigger);
        maxval = bigger;
    }
    for (int offset = warp.size() / 2; offset > 0; offset /= 2) {
        float m = warp.shfl_down(maxval, offset), s = warp.shfl_down(sumval, offset);
        float bigger = fmaxf(maxval, m);
        sumval = sumval * __expf(maxval - bigger) + s * __expf(m - bigger);
        maxval = bigger;
    }
    maxval = warp.shfl(maxval, 0), sumval = warp.shfl(sumval, 0);
    for (int i = warp.thread_rank(); i < C; i += warp.size()) out[row * C + i] = expf(x[i] - maxval) / sumval;
}

__global__ void layernorm_forward_kernel3(float *__restrict__ out, float *__restrict__ mean, float *__restrict__ rstd,
                                          const float *__restrict__ inp, const float *__restrict__ weight,
                                          const float *__restrict__ bias, int N, int C) {
    cg::thread_block block = cg::this_thread_block();
    cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
    int idx = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
    if (idx >= N) return;
    const float *x = inp + idx * C;
    float sum = 0.0f;
    for (int i = warp.thread_rank(); i < C; i += warp.size()) sum += x[i];
    sum = cg::reduce(warp, sum, cg::plus<float>{});
    float m = sum / C;
    if (warp.thread_rank() == 0 && mean != nullptr) __stcs(mean + idx, m);
    sum = 0.0f;
    for (int i = warp.thread_rank(); i < C; i += warp.size()) {
        float diff = x[i] - m;
        sum += diff * diff;
    }
    sum = cg::reduce(warp, sum, cg::plus<float>{});
    float s = rsqrtf(sum / C + 1e-5f);
    if (warp.thread_rank() == 0 && rstd != nullptr) __stcs(rstd + idx, s);
    float *o = out + idx * C;
    for (int c = warp.thread_rank(); c < C; c += warp.size()) {
        float n = s * (__ldcs(x + c) - m);
        __stcs(o + c, n * weight[c] + bias[c]);
    }
}

template <typename T, int BLOCK> __global__ void rmsnorm(T *o, const T *x, int size) {
    const float4 *x4 = (const float4 *)(x + blockIdx.x * size);
    float ss = 0.0f;
    for (int i = threadIdx.x; i < size / 4; i += BLOCK) {
        float4 v = x4[i];
        ss += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
    }
    for (int mask = 16; mask > 0; mask >>= 1) ss += __shfl_xor_sync(0xffffffff, ss, mask, 32);
    __shared__ float shared_ss[BLOCK / 32];
    if (threadIdx.x % 32 == 0) shared_ss[threadIdx.x / 32] = ss;
    __syncthreads();
    ss = 0;
    for (int w = 0; w < BLOCK / 32; w++) ss += shared_ss[w];
    ss = rsqrtf(ss / size + 1e-5f);
    for (int i = threadIdx.x; i < size / 4; i += BLOCK) {
        float4 v = x4[i];
        ((float4 *)(o + blockIdx.x * size))[i] = make_float4(v.x * ss, v.y * ss, v.z * ss, v.w * ss);
    }
}

__global__ void gelu(float *out, const float *inp, int N) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) {
        float xi = inp[i];
        float cube = 0.044715f * xi * xi * xi;
        out[i] = 0.5f * xi * (1.0f + tanhf(sqrtf(2.0f / M_PI) * (xi + cube)));
    }
}

__global__ void crossentropy(float *losses, const float *logits, const int *targets, int V) {
    typedef struct { float max, sum; } Pair;  // both in one shuffle of 8 bytes
    const float *row = logits + blockIdx.x * V;
    Pair p = {-INFINITY, 0};
    for (int i = threadIdx.x; i < V; i += 32) {
        float m = max(p.max, row[i]);
        p = {m, p.sum * expf(p.max - m) + expf(row[i] - m)};
    }
    for (int o = 16; o; o >>= 1) {
        union Bits { Pair pair; double number; } bits = {p};
        bits.number = __shfl_xor_sync(0xffffffff, bits.number, o);
        Pair q = bits.pair;
        float m = max(p.max, q.max);
        p = {m, p.sum * expf(p.max - m) + q.sum * expf(q.max - m)};
    }
    if (threadIdx.x == 0) losses[blockIdx.x] = logf(p.sum) + p.max - row[targets[blockIdx.x]];
}

__global__ void attention_query_key(float *preatt, const float *q, const float *k, int T, int d) {
    int t = blockIdx.x * blockDim.x + threadIdx.x, t2 = blockIdx.y;
    if (t >= T) return;
    if (t2 > t) { preatt[t * T + t2] = -INFINITY; return; }
    float val = 0.0f;
    for (int i = 0; i < d; i++) val += q[t * d + i] * k[t2 * d + i];
    preatt[t * T + t2] = val / sqrtf(d);
}

// The forward pass of FlashAttention (Dao et al., 2022), a thread a row, tiles of K and V in shared
// memory, in the manner of the minimal versions that are published.
__global__ void flash_forward(const float *Q, const float *K, const float *V, const int N, const int d, const int Tc,
                              const int Bc, const int Br, const float softmax_scale, float *O) {
    const int tx = threadIdx.x, row = blockIdx.x * Br + tx;
    extern __shared__ float sram[];
    float *Kj = sram, *Vj = &sram[Bc * d], *S = &sram[2 * Bc * d], *acc = &sram[2 * Bc * d + Bc * Br];
    float l = 0, m = -INFINITY;
    for (int x = 0; x < d; x++) acc[tx * d + x] = 0;
    for (int j = 0; j < Tc; j++) {
        for (int x = 0; x < d; x++) {
            Kj[tx * d + x] = K[(j * Bc + tx) * d + x];
            Vj[tx * d + x] = V[(j * Bc + tx) * d + x];
        }
        __syncthreads();
        float row_m = m;
        for (int y = 0; y < Bc; y++) {
            float sum = 0;
            for (int x = 0; x < d; x++) sum += Q[row * d + x] * Kj[y * d + x];
            sum *= softmax_scale;
            if (j * Bc + y > row) sum = -INFINITY;
            S[Bc * tx + y] = sum;
            if (sum > row_m) row_m = sum;
        }
        float row_l = 0;
        for (int y = 0; y < Bc; y++) row_l += S[Bc * tx + y] = __expf(S[Bc * tx + y] - row_m);
        const float scale = __expf(m - row_m);
        for (int x = 0; x < d; x++) {
            float pv = 0;
            for (int y = 0; y < Bc; y++) pv += S[Bc * tx + y] * Vj[y * d + x];
            acc[tx * d + x] = scale * acc[tx * d + x] + pv;
        }
        l = scale * l + row_l, m = row_m;
        __syncthreads();
    }
    for (int x = 0; x < d; x++) O[row * d + x] = acc[tx * d + x] / l;
}

static const int R = 10, C = 96;
static Floats x = numbers(R * C, 3);
static Floats softmax_reference() {
    Floats y(R * C);
    for (int r = 0; r < R; r++) {
        double s = 0;
        for (int j = 0; j < C; j++) s += exp(x[r * C + j]);
        for (int j = 0; j < C; j++) y[r * C + j] = exp(x[r * C + j]) / s;
    }
    return y;
}
#define SOFTMAX(name, grid, block, bytes)                      \
    CASE(name) {                                               \
        float *d = zeros<float>(R * C);                        \
        LAUNCH(name, grid, block, bytes)(d, to_device(x), R, C); \
        compare(#name, to_host(d, R * C), softmax_reference(), 1e-6); \
    }
SOFTMAX(softmax_forward_kernel1, 1, 32, 0)
SOFTMAX(softmax_forward_kernel2, R, 64, 64 * sizeof(float))
SOFTMAX(softmax_online, 3, 128, 0)
CASE(layernorm_forward_kernel3) {
    Floats w = numbers(C, 4), b = numbers(C, 5), y(R * C);
    for (int r = 0; r < R; r++) {
        double m = 0, v = 0;
        for (int j = 0; j < C; j++) m += x[r * C + j] / C;
        for (int j = 0; j < C; j++) v += (x[r * C + j] - m) * (x[r * C + j] - m) / C;
        for (int j = 0; j < C; j++) y[r * C + j] = (x[r * C + j] - m) / sqrt(v + 1e-5) * w[j] + b[j];
    }
    float *d = zeros<float>(R * C);
    LAUNCH(layernorm_forward_kernel3, 5, 64)(d, zeros<float>(R), nullptr, to_device(x), to_device(w), to_device(b), R, C);
    compare("layernorm_forward_kernel3", to_host(d, R * C), y, 1e-5);
}
CASE(rmsnorm) {
    Floats y(R * C);
    for (int r = 0; r < R; r++) {
        double v = 0;
        for (int j = 0; j < C; j++) v += double(x[r * C + j]) * x[r * C + j] / C;
        for (int j = 0; j < C; j++) y[r * C + j] = x[r * C + j] / sqrt(v + 1e-5);
    }
    float *d = zeros<float>(R * C);
    LAUNCH((rmsnorm<float, 64>), R, 64)(d, to_device(x), C);
    compare("rmsnorm", to_host(d, R * C), y, 1e-5);
}
CASE(gelu) {
    Floats y(R * C);
    for (int i = 0; i < R * C; i++) y[i] = 0.5 * x[i] * (1 + tanh(sqrt(2 / M_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i])));
    float *d = zeros<float>(R * C);
    LAUNCH(gelu, 8, 128)(d, to_device(x), R * C);
    compare("gelu", to_host(d, R * C), y, 1e-6);
}
CASE(crossentropy) {
    std::vector<int> targets(R);
    Floats losses(R);
    for (int r = 0; r < R; r++) {
        double s = 0;
        targets[r] = r * 5;
        for (int j = 0; j < C; j++) s += exp(x[r * C + j]);
        losses[r] = log(s) - x[r * C + targets[r]];
    }
    float *d = zeros<float>(R);
    LAUNCH(crossentropy, R, 32)(d, to_device(x), to_device(targets), C);
    compare("crossentropy", to_host(d, R), losses, 1e-5);
}
static const int T = 64, D = 16;
static Floats q = numbers(T * D, 6), k = numbers(T * D, 7), v = numbers(T * D, 8);
static Floats attention_reference(Floats *scores = nullptr) {
    Floats o(T * D);
    for (int t = 0; t < T; t++) {
        double p[T], s = 0;
        for (int u = 0; u < T; u++) {
            double dot = 0;
            for (int i = 0; i < D; i++) dot += double(q[t * D + i]) * k[u * D + i];
            if (scores) (*scores)[t * T + u] = dot / sqrt(D);
            s += p[u] = u <= t ? exp(dot / sqrt(D)) : 0;
        }
        for (int i = 0; i < D; i++) {
            double sum = 0;
            for (int u = 0; u <= t; u++) sum += p[u] / s * v[u * D + i];
            o[t * D + i] = sum;
        }
    }
    return o;
}
CASE(flash_forward) {
    const int B = 32;
    float *d = zeros<float>(T * D);
    LAUNCH(flash_forward, T / B, B, (3 * B * D + B * B) * sizeof(float))
    (to_device(q), to_device(k), to_device(v), T, D, T / B, B, B, 1 / sqrtf(D), d);
    compare("flash_forward", to_host(d, T * D), attention_reference(), 1e-5);
}
CASE(attention_query_key) {
    Floats scores(T * T);
    attention_reference(&scores);
    float *d = zeros<float>(T * T);
    LAUNCH(attention_query_key, dim3(2, T), 32)(d, to_device(q), to_device(k), T, D);
    Floats got = to_host(d, T * T);
    for (int t = 0; t < T; t++)
        for (int u = t + 1; u < T; u++) scores[t * T + u] = got[t * T + u] = got[t * T + u] == -INFINITY ? 0 : 9;
    compare("attention_query_key", got, scores, 1e-5);
}
