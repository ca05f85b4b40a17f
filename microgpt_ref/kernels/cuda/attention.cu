// attention.cu: causal attention. q, k, v and out are (B, nh, T, hs): B nh heads, each T positions
// of hs numbers. Position t looks at the positions s <= t.
//
//     score[t][s] = q[t] . k[s] / sqrt(hs)
//     lse[t] = log sum_s exp(score[t][s])          p[t][s] = exp(score[t][s] - lse[t])
//     out[t] = sum_s p[t][s] v[s]
//
// Backward, from dout, out and lse. D[t] = dout[t] . out[t] is what softmax subtracts:
//
//     dp[t][s] = dout[t] . v[s]                     ds[t][s] = p[t][s] (dp[t][s] - D[t]) / sqrt(hs)
//     dq[t] = sum_s ds[t][s] k[s]    dk[s] = sum_t ds[t][s] q[t]    dv[s] = sum_t p[t][s] dout[t]
//
// The trouble is p: T times T numbers for each head. At T = 1024 and hs = 64 they are 16 times as
// large as q. Written to memory and read again, they cost more time than all the arithmetic. But
// out[t] is a sum, and it can be kept while the maximum is still growing, as softmax.cu does with
// the sum of the exponentials: multiply what is there by exp(old maximum - new maximum). Then p
// never leaves the chip. That is flash attention. Backward computes p again, from lse.
//
//     forward                                          what global memory moves besides q, out
//     1   scores stored, one thread for each number    24 bytes for each (t, s), k and v for each t
//     2   one thread for each t, p never stored        k and v, for each 32 t, word by word
//     3   tiles of k and v in shared memory            k and v, for each 64 t
//     4   4 x 4 scores in registers                    the same; half as much of shared memory
//     backward
//     1   p and ds stored, one thread for each number  as 1 above, and more of it
//     2   one thread for each t, then for each s       k, v for each 32 t, q, dout for each 32 s
//     3   4 x 4 scores in registers                    the same, for each 64
//
// Tiles beyond the diagonal are skipped, so about half of all (t, s) is computed. Heads of up to
// 128 numbers: kernels exist for 32, 64 and 128, and smaller heads are filled up with zeros.
//
// Sources: Dao, Fu, Ermon, Rudra and Re, "FlashAttention" (2022); Rabe and Staats, "Self-attention
// does not need O(n^2) memory" (2021); the split into a kernel for dq and one for dk and dv is Dao,
// "FlashAttention-2" (2023). What the libraries do beyond: tensor cores, and loads that run while
// they compute.
//
//     nvcc -O3 -arch=native attention.cu -o attention && ./attention [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing attention.cu -o attention -ldl

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

static double dot_cpu(const float *a, const float *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += double(a[i]) * b[i];
    return sum;
}

void attention_forward_cpu(float *out, float *lse, const float *q, const float *k, const float *v,
                           int B, int nh, int T, int hs) {
    std::vector<double> p(T), sum(hs);
    for (size_t head = 0; head < size_t(B) * nh; head++)
        for (int t = 0; t < T; t++) {
            const size_t first = head * T, row = (first + t) * hs;
            double largest = -INFINITY, total = 0;
            for (int s = 0; s <= t; s++) {
                p[s] = dot_cpu(q + row, k + (first + s) * hs, hs) / sqrt(hs);
                largest = fmax(largest, p[s]);
            }
            std::fill(sum.begin(), sum.end(), 0);
            for (int s = 0; s <= t; s++) {
                const double e = exp(p[s] - largest);
                total += e;
                for (int d = 0; d < hs; d++) sum[d] += e * v[(first + s) * hs + d];
            }
            for (int d = 0; d < hs; d++) out[row + d] = float(sum[d] / total);
            lse[first + t] = float(largest + log(total));
        }
}

void attention_backward_cpu(float *dq, float *dk, float *dv, const float *dout, const float *q,
                            const float *k, const float *v, const float *out, const float *lse,
                            int B, int nh, int T, int hs) {
    std::vector<double> gq(size_t(T) * hs), gk(gq), gv(gq);
    for (size_t head = 0; head < size_t(B) * nh; head++) {
        const size_t start = head * T * hs;
        for (auto *g : {&gq, &gk, &gv}) std::fill(g->begin(), g->end(), 0);
        for (int t = 0; t < T; t++) {
            const size_t row = start + size_t(t) * hs;
            const float *const qt = q + row, *const dt = dout + row;
            const double D = dot_cpu(dt, out + row, hs), l = lse[head * T + t];
            for (int s = 0; s <= t; s++) {
                const float *const ks = k + start + size_t(s) * hs;
                const double p = exp(dot_cpu(qt, ks, hs) / sqrt(hs) - l);
                const double ds = p * (dot_cpu(dt, v + start + size_t(s) * hs, hs) - D) / sqrt(hs);
                for (int d = 0; d < hs; d++) {
                    gq[size_t(t) * hs + d] += ds * ks[d];
                    gk[size_t(s) * hs + d] += ds * qt[d];
                    gv[size_t(s) * hs + d] += p * dt[d];
                }
            }
        }
        std::copy(gq.begin(), gq.end(), dq + start);
        std::copy(gk.begin(), gk.end(), dk + start);
        std::copy(gv.begin(), gv.end(), dv + start);
    }
}

// ---- forward, scores stored ------------------------------------------------------------------

// Version 1 is three kernels. Scores: one thread for each (t, s); lanes differ in s, so that they
// read k hs numbers apart. blockIdx.z is the head, in all kernels of version 1.
__global__ void attention_scores_1(float *scores, const float *q, const float *k, int T, int hs,
                                   float scale) {
    const int s = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (s > t) return;  // scores of the future are neither written nor read
    const size_t first = size_t(blockIdx.z) * T;
    q += (first + t) * hs, k += (first + s) * hs;
    float sum = 0;
    for (int d = 0; d < hs; d++) sum += q[d] * k[d];
    scores[(first + t) * T + s] = sum * scale;
}

// One warp for each row: scores become p, in place.
__global__ void attention_softmax_1(float *scores, float *lse, int T) {
    const int t = blockIdx.y, lane = threadIdx.x;
    float *const row = scores + (size_t(blockIdx.z) * T + t) * T;
    float largest = -INFINITY, sum = 0;
    for (int s = lane; s <= t; s += 32) largest = fmaxf(largest, row[s]);
    largest = warp_max(largest);
    for (int s = lane; s <= t; s += 32) sum += expf(row[s] - largest);
    const float l = largest + logf(warp_sum(sum));
    for (int s = lane; s <= t; s += 32) row[s] = expf(row[s] - l);
    if (lane == 0) lse[size_t(blockIdx.z) * T + t] = l;
}

// One thread for each number of out; lanes differ in d, so that they read v side by side.
__global__ void attention_values_1(float *out, const float *p, const float *v, int T, int hs) {
    const int d = threadIdx.x, t = blockIdx.y;
    const size_t first = size_t(blockIdx.z) * T;
    float sum = 0;
    for (int s = 0; s <= t; s++) sum += p[(first + t) * T + s] * v[(first + s) * hs + d];
    out[(first + t) * hs + d] = sum;
}

// ---- forward, one thread for each position ---------------------------------------------------

// The maximum so far, the sum of exp(score - maximum), and the sum of these times v.
template <int HS> struct Online {
    float largest = -INFINITY, sum = 0, out[HS] = {};

    __device__ void raise(float score) {  // brings what is there to a new maximum
        const float factor = expf(largest - score);
        largest = score, sum *= factor;
#pragma unroll
        for (int d = 0; d < HS; d++) out[d] *= factor;
    }
};

// Version 2: a thread keeps q[t] and out[t] in registers and walks over s. All lanes of a warp read
// the same k[s] and v[s] at a time. No score is ever written.
template <int HS>
__global__ void __launch_bounds__(128)
attention_forward_2(float *out, float *lse, const float *q, const float *k, const float *v, int T,
                    int hs, float scale) {
    const int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= T) return;
    const size_t first = size_t(blockIdx.y) * T, row = (first + t) * hs;
    float mine[HS];
#pragma unroll
    for (int d = 0; d < HS; d++) mine[d] = d < hs ? q[row + d] * scale : 0;
    Online<HS> now;
    for (int s = 0; s <= t; s++) {
        const float *const ks = k + (first + s) * hs, *const vs = v + (first + s) * hs;
        float score = 0;
#pragma unroll
        for (int d = 0; d < HS; d++) score += d < hs ? mine[d] * ks[d] : 0;
        if (score > now.largest) now.raise(score);
        const float e = expf(score - now.largest);
        now.sum += e;
#pragma unroll
        for (int d = 0; d < HS; d++) now.out[d] += d < hs ? e * vs[d] : 0;
    }
#pragma unroll
    for (int d = 0; d < HS; d++)
        if (d < hs) out[row + d] = now.out[d] / now.sum;
    lse[first + t] = now.largest + logf(now.sum);
}

// Copies rows of a (T, hs) head into a tile of shared memory whose rows are `wide` long, coalesced;
// zeros where there is no number.
template <int HS>
__device__ void load_tile(float *tile, int wide, const float *head, int start, int rows, int T,
                          int hs) {
    for (int i = threadIdx.x; i < rows * HS; i += blockDim.x) {
        const int row = i / HS, d = i % HS;
        const bool inside = start + row < T && d < hs;
        tile[row * wide + d] = inside ? head[size_t(start + row) * hs + d] : 0;
    }
}

// Version 3: the 64 threads of a block want the same keys. They load 32 of them at a time into
// shared memory, coalesced, and each number serves 64 positions.
constexpr int KEYS = 32, QUERIES = 64;

template <int HS>
__global__ void __launch_bounds__(QUERIES)
attention_forward_3(float *out, float *lse, const float *q, const float *k, const float *v, int T,
                    int hs, float scale) {
    __shared__ float ks[KEYS][HS], vs[KEYS][HS];
    const int t = blockIdx.x * QUERIES + threadIdx.x, last = (blockIdx.x + 1) * QUERIES - 1;
    const size_t first = size_t(blockIdx.y) * T, row = (first + t) * hs;
    float mine[HS];
#pragma unroll
    for (int d = 0; d < HS; d++) mine[d] = t < T && d < hs ? q[row + d] * scale : 0;
    Online<HS> now;
    for (int start = 0; start <= last && start < T; start += KEYS) {
        load_tile<HS>(&ks[0][0], HS, k + first * hs, start, KEYS, T, hs);
        load_tile<HS>(&vs[0][0], HS, v + first * hs, start, KEYS, T, hs);
        __syncthreads();
        for (int i = 0; i < KEYS && start + i <= t; i++) {
            float score = 0;
#pragma unroll
            for (int d = 0; d < HS; d++) score += mine[d] * ks[i][d];
            if (score > now.largest) now.raise(score);
            const float e = expf(score - now.largest);
            now.sum += e;
#pragma unroll
            for (int d = 0; d < HS; d++) now.out[d] += e * vs[i][d];
        }
        __syncthreads();
    }
    if (t >= T) return;
#pragma unroll
    for (int d = 0; d < HS; d++)
        if (d < hs) out[row + d] = now.out[d] / now.sum;
    lse[first + t] = now.largest + logf(now.sum);
}

// ---- squares of 4 x 4 ------------------------------------------------------------------------

// Version 3 reads a word of shared memory for each multiply-add. As in matmul.cu, a thread that
// computes 4 x 4 scores reads 8 words for 16. A tile has R rows of T and R of s; its threads form a
// square of SIDE x SIDE, x = column, y = row, and a thread's rows are y, y + SIDE, y + 2 SIDE,
// y + 3 SIDE. WIDE and P_WIDE are the lengths of rows in shared memory, filled up so that no two
// lanes want different words of one bank.
template <int HS> struct Tile {
    static constexpr int R = HS <= 64 ? 64 : 32;  // heads of 128: half, to have room for the tiles
    static constexpr int SIDE = R / 4, THREADS = SIDE * SIDE, COLUMNS = HS / SIDE;
    static constexpr int WIDE = HS + 4, P_WIDE = R + SIDE;
    static constexpr int FORWARD = 4 * R * (3 * WIDE + P_WIDE);       // bytes of shared memory
    static constexpr int BACKWARD = 4 * R * (4 * WIDE + 2 * P_WIDE);
};

// sums[i][j] = row y + i SIDE of a . row x + j SIDE of b
template <int HS>
__device__ void rows_times_rows(float (&sums)[4][4], const float *a, const float *b, int y, int x) {
    typedef Tile<HS> Z;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) sums[i][j] = 0;
#pragma unroll 4
    for (int d = 0; d < HS; d += 4) {
        float4 u[4], w[4];
        for (int i = 0; i < 4; i++) u[i] = *(const float4 *)(a + (y + i * Z::SIDE) * Z::WIDE + d);
        for (int j = 0; j < 4; j++) w[j] = *(const float4 *)(b + (x + j * Z::SIDE) * Z::WIDE + d);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                sums[i][j] += u[i].x * w[j].x + u[i].y * w[j].y + u[i].z * w[j].z + u[i].w * w[j].w;
    }
}

// sums[i][c] += sum_r p[y + i SIDE][r] rows[r][x + c SIDE]
template <int HS>
__device__ void add_p_times_rows(float (&sums)[4][Tile<HS>::COLUMNS], const float *p,
                                 const float *rows, int y, int x) {
    typedef Tile<HS> Z;
#pragma unroll 4
    for (int r = 0; r < Z::R; r++)
        for (int i = 0; i < 4; i++) {
            const float weight = p[(y + i * Z::SIDE) * Z::P_WIDE + r];
            for (int c = 0; c < Z::COLUMNS; c++)
                sums[i][c] += weight * rows[r * Z::WIDE + x + c * Z::SIDE];
        }
}

template <int HS>
__device__ void store_tile(float *head, const float (&sums)[4][Tile<HS>::COLUMNS], int start, int T,
                           int hs, int y, int x) {
    typedef Tile<HS> Z;
#pragma unroll
    for (int i = 0; i < 4; i++)
        for (int c = 0; c < Z::COLUMNS; c++) {
            const int row = start + y + i * Z::SIDE, d = x + c * Z::SIDE;
            if (row < T && d < hs) head[size_t(row) * hs + d] = sums[i][c];
        }
}

// Version 4: the SIDE threads of a row of the square stand side by side in a warp. The maximum and
// the sum of a row of scores meet by shuffles among them; p goes through shared memory, because
// the second product wants it by rows. The longest rows of T begin first, so that no block that
// has much to do begins last.
template <int HS>
__global__ void __launch_bounds__(Tile<HS>::THREADS)
attention_forward_4(float *out, float *lse, const float *q, const float *k, const float *v, int T,
                    int hs, float scale) {
    typedef Tile<HS> Z;
    DYNAMIC_SHARED(float, qs);
    float *const ks = qs + Z::R * Z::WIDE, *const vs = ks + Z::R * Z::WIDE;
    float *const ps = vs + Z::R * Z::WIDE;
    const int x = threadIdx.x % Z::SIDE, y = threadIdx.x / Z::SIDE;
    const int t0 = (gridDim.x - 1 - blockIdx.x) * Z::R;
    const size_t head = size_t(blockIdx.y) * T * hs;
    float largest[4], sum[4] = {}, sums[4][Z::COLUMNS] = {}, p[4][4];
    for (float &l : largest) l = -INFINITY;
    load_tile<HS>(qs, Z::WIDE, q + head, t0, Z::R, T, hs);
    for (int s0 = 0; s0 <= t0; s0 += Z::R) {
        load_tile<HS>(ks, Z::WIDE, k + head, s0, Z::R, T, hs);
        load_tile<HS>(vs, Z::WIDE, v + head, s0, Z::R, T, hs);
        __syncthreads();
        rows_times_rows<HS>(p, qs, ks, y, x);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int t = t0 + y + i * Z::SIDE;
            float top = largest[i], part = 0;
            for (int j = 0; j < 4; j++) {
                p[i][j] = s0 + x + j * Z::SIDE <= t ? p[i][j] * scale : -INFINITY;
                top = fmaxf(top, p[i][j]);
            }
            for (int other = Z::SIDE / 2; other > 0; other /= 2)
                top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, other));
            const float factor = expf(largest[i] - top);  // 0 at first
            largest[i] = top;
            for (int j = 0; j < 4; j++) {
                const float e = expf(p[i][j] - top);
                ps[(y + i * Z::SIDE) * Z::P_WIDE + x + j * Z::SIDE] = e;
                part += e;
            }
            sum[i] = sum[i] * factor + part;  // of this thread's columns; they meet at the end
            for (int c = 0; c < Z::COLUMNS; c++) sums[i][c] *= factor;
        }
        __syncthreads();
        add_p_times_rows<HS>(sums, ps, vs, y, x);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        for (int other = Z::SIDE / 2; other > 0; other /= 2)
            sum[i] += __shfl_xor_sync(ALL_LANES, sum[i], other);
        for (int c = 0; c < Z::COLUMNS; c++) sums[i][c] /= sum[i];
        const int t = t0 + y + i * Z::SIDE;
        if (x == 0 && t < T) lse[size_t(blockIdx.y) * T + t] = largest[i] + logf(sum[i]);
    }
    store_tile<HS>(out + head, sums, t0, T, hs, y, x);
}

// More than 48 KB of shared memory for a block must be asked for.
template <class Kernel> Kernel *with_room(Kernel *kernel, int bytes) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    return kernel;
}

template <int HS>
static int forward_of(int version, float *out, float *lse, const float *q, const float *k,
                      const float *v, int heads, int T, int hs) {
    typedef Tile<HS> Z;
    const float scale = 1 / sqrtf(hs);
    const dim3 grid(ceil_div(T, 128), heads), squares(ceil_div(T, Z::R), heads), rows(1, T, heads);
    const dim3 rows64(ceil_div(T, QUERIES), heads);
    if (version == 1) {
        float *const scores = scratch(size_t(heads) * T * T);
        if (!scores) return 2;
        const dim3 all(ceil_div(T, 128), T, heads);
        LAUNCH(attention_scores_1, all, 128)(scores, q, k, T, hs, scale);
        LAUNCH(attention_softmax_1, rows, 32)(scores, lse, T);
        LAUNCH(attention_values_1, rows, hs)(out, scores, v, T, hs);
    } else if (version == 2) {
        LAUNCH(attention_forward_2<HS>, grid, 128)(out, lse, q, k, v, T, hs, scale);
    } else if (version == 3) {
        LAUNCH(attention_forward_3<HS>, rows64, QUERIES)(out, lse, q, k, v, T, hs, scale);
    } else {
        with_room(attention_forward_4<HS>, Z::FORWARD);
        LAUNCH(attention_forward_4<HS>, squares, Z::THREADS, Z::FORWARD)(out, lse, q, k, v, T, hs,
                                                                         scale);
    }
    return launched();
}

extern "C" int attention_forward(int version, float *out, float *lse, const float *q,
                                 const float *k, const float *v, int B, int nh, int T, int hs) {
    if (version < 1 || version > 4 || B < 1 || nh < 1 || T < 1 || hs < 1 || hs > 128) return 1;
    if (int64_t(B) * nh > 65535 || (version == 1 && T > 65535)) return 1;  // a grid's limit
    const auto of_size = hs <= 32 ? forward_of<32> : hs <= 64 ? forward_of<64> : forward_of<128>;
    return of_size(version, out, lse, q, k, v, B * nh, T, hs);
}

// ---- backward, p and ds stored ---------------------------------------------------------------

// D[t] = dout[t] . out[t], for every version: one warp for each position.
__global__ void attention_dot(float *D, const float *dout, const float *out, int rows, int hs) {
    const int row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    float sum = 0;
    dout += size_t(row) * hs, out += size_t(row) * hs;
    for (int d = lane; d < hs; d += 32) sum += dout[d] * out[d];
    sum = warp_sum(sum);
    if (lane == 0) D[row] = sum;
}

// Version 1: p and ds of every (t, s) ...
__global__ void attention_dscores_1(float *p, float *ds, const float *dout, const float *q,
                                    const float *k, const float *v, const float *lse,
                                    const float *D, int T, int hs, float scale) {
    const int s = blockIdx.x * blockDim.x + threadIdx.x, t = blockIdx.y;
    if (s > t) return;
    const size_t first = size_t(blockIdx.z) * T, a = (first + t) * hs, b = (first + s) * hs;
    float score = 0, dp = 0;
    for (int d = 0; d < hs; d++) score += q[a + d] * k[b + d], dp += dout[a + d] * v[b + d];
    const float e = expf(score * scale - lse[first + t]);
    p[(first + t) * T + s] = e;
    ds[(first + t) * T + s] = e * (dp - D[first + t]) * scale;
}

// ... then one thread for each number of dq, dk and dv.
__global__ void attention_gradients_1(float *dq, float *dk, float *dv, const float *dout,
                                      const float *q, const float *k, const float *p,
                                      const float *ds, int T, int hs) {
    const int d = threadIdx.x, row = blockIdx.y;
    const size_t first = size_t(blockIdx.z) * T;
    float for_q = 0, for_k = 0, for_v = 0;
    for (int s = 0; s <= row; s++) for_q += ds[(first + row) * T + s] * k[(first + s) * hs + d];
    for (int t = row; t < T; t++) {
        for_k += ds[(first + t) * T + row] * q[(first + t) * hs + d];
        for_v += p[(first + t) * T + row] * dout[(first + t) * hs + d];
    }
    const size_t at = (first + row) * hs + d;
    dq[at] = for_q, dk[at] = for_k, dv[at] = for_v;
}

// ---- backward, one thread for each position --------------------------------------------------

// Version 2: p is computed again, from lse. dq[t] is a sum over s, dk[s] and dv[s] are sums over t:
// two kernels, so that each sum has one owner and needs no atomics. A thread's own rows wait in
// shared memory and its sums in registers. The rows of `mine` and `others` are q and dout for dq,
// where the others are k and v; for dk and dv it is the other way round.
constexpr int ROWS = 32;  // positions of a block, one warp

template <int HS>
__global__ void __launch_bounds__(ROWS)
attention_dq_2(float *dq, const float *dout, const float *q, const float *k, const float *v,
               const float *lse, const float *D, int T, int hs, float scale) {
    DYNAMIC_SHARED(float, qs);  // rows of HS + 1: lanes read 32 rows at a time, each from its bank
    float *const dos = qs + ROWS * (HS + 1), *const ks = dos + ROWS * (HS + 1);
    float *const vs = ks + ROWS * HS;
    const int lane = threadIdx.x, t = blockIdx.x * ROWS + lane;
    const size_t first = size_t(blockIdx.y) * T, head = first * hs;
    load_tile<HS>(qs, HS + 1, q + head, blockIdx.x * ROWS, ROWS, T, hs);
    load_tile<HS>(dos, HS + 1, dout + head, blockIdx.x * ROWS, ROWS, T, hs);
    const float l = t < T ? lse[first + t] : 0, minus = t < T ? D[first + t] : 0;
    float sums[HS] = {};
    for (int start = 0; start <= int(blockIdx.x) * ROWS; start += ROWS) {
        load_tile<HS>(ks, HS, k + head, start, ROWS, T, hs);
        load_tile<HS>(vs, HS, v + head, start, ROWS, T, hs);
        __syncthreads();
        for (int i = 0; i < ROWS && start + i <= t; i++) {
            float score = 0, dp = 0;
#pragma unroll 8
            for (int d = 0; d < HS; d++) {
                score += qs[lane * (HS + 1) + d] * ks[i * HS + d];
                dp += dos[lane * (HS + 1) + d] * vs[i * HS + d];
            }
            const float ds = expf(score * scale - l) * (dp - minus) * scale;
#pragma unroll
            for (int d = 0; d < HS; d++) sums[d] += ds * ks[i * HS + d];
        }
        __syncthreads();
    }
#pragma unroll
    for (int d = 0; d < HS; d++)
        if (t < T && d < hs) dq[head + size_t(t) * hs + d] = sums[d];
}

template <int HS>
__global__ void __launch_bounds__(ROWS)
attention_dkv_2(float *dk, float *dv, const float *dout, const float *q, const float *k,
                const float *v, const float *lse, const float *D, int T, int hs, float scale) {
    DYNAMIC_SHARED(float, ks);
    float *const vs = ks + ROWS * (HS + 1), *const qs = vs + ROWS * (HS + 1);
    float *const dos = qs + ROWS * HS;
    const int lane = threadIdx.x, s = blockIdx.x * ROWS + lane;
    const size_t first = size_t(blockIdx.y) * T, head = first * hs;
    load_tile<HS>(ks, HS + 1, k + head, blockIdx.x * ROWS, ROWS, T, hs);
    load_tile<HS>(vs, HS + 1, v + head, blockIdx.x * ROWS, ROWS, T, hs);
    float for_k[HS] = {}, for_v[HS] = {};
    for (int start = blockIdx.x * ROWS; start < T; start += ROWS) {
        load_tile<HS>(qs, HS, q + head, start, ROWS, T, hs);
        load_tile<HS>(dos, HS, dout + head, start, ROWS, T, hs);
        __syncthreads();
        for (int i = 0; i < ROWS && start + i < T; i++) {
            float score = 0, dp = 0;
#pragma unroll 8
            for (int d = 0; d < HS; d++) {
                score += qs[i * HS + d] * ks[lane * (HS + 1) + d];
                dp += dos[i * HS + d] * vs[lane * (HS + 1) + d];
            }
            const bool sees = start + i >= s;  // other lanes go along, with a p of 0
            const float p = sees ? expf(score * scale - lse[first + start + i]) : 0;
            const float ds = p * (dp - D[first + start + i]) * scale;
#pragma unroll
            for (int d = 0; d < HS; d++)
                for_k[d] += ds * qs[i * HS + d], for_v[d] += p * dos[i * HS + d];
        }
        __syncthreads();
    }
#pragma unroll
    for (int d = 0; d < HS; d++)
        if (s < T && d < hs) {
            const size_t at = head + size_t(s) * hs + d;
            dk[at] = for_k[d], dv[at] = for_v[d];
        }
}

// ---- backward, squares of 4 x 4 --------------------------------------------------------------

// Version 3: both scores and dp are 4 x 4 for a thread; p and ds go through shared memory to the
// second products. dq: rows of the square are t, columns s.
template <int HS>
__global__ void __launch_bounds__(Tile<HS>::THREADS)
attention_dq_3(float *dq, const float *dout, const float *q, const float *k, const float *v,
               const float *lse, const float *D, int T, int hs, float scale) {
    typedef Tile<HS> Z;
    DYNAMIC_SHARED(float, qs);
    float *const dos = qs + Z::R * Z::WIDE, *const ks = dos + Z::R * Z::WIDE;
    float *const vs = ks + Z::R * Z::WIDE, *const dss = vs + Z::R * Z::WIDE;
    const int x = threadIdx.x % Z::SIDE, y = threadIdx.x / Z::SIDE;
    const int t0 = (gridDim.x - 1 - blockIdx.x) * Z::R;
    const size_t first = size_t(blockIdx.y) * T, head = first * hs;
    float sums[4][Z::COLUMNS] = {}, p[4][4], dp[4][4], l[4], minus[4];
    load_tile<HS>(qs, Z::WIDE, q + head, t0, Z::R, T, hs);
    load_tile<HS>(dos, Z::WIDE, dout + head, t0, Z::R, T, hs);
    for (int i = 0; i < 4; i++) {
        const int t = t0 + y + i * Z::SIDE;
        l[i] = t < T ? lse[first + t] : 0, minus[i] = t < T ? D[first + t] : 0;
    }
    for (int s0 = 0; s0 <= t0; s0 += Z::R) {
        load_tile<HS>(ks, Z::WIDE, k + head, s0, Z::R, T, hs);
        load_tile<HS>(vs, Z::WIDE, v + head, s0, Z::R, T, hs);
        __syncthreads();
        rows_times_rows<HS>(p, qs, ks, y, x);
        rows_times_rows<HS>(dp, dos, vs, y, x);
#pragma unroll
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int t = t0 + y + i * Z::SIDE, s = s0 + x + j * Z::SIDE;
                const float e = s <= t ? expf(p[i][j] * scale - l[i]) : 0;
                dss[(t - t0) * Z::P_WIDE + s - s0] = e * (dp[i][j] - minus[i]) * scale;
            }
        __syncthreads();
        add_p_times_rows<HS>(sums, dss, ks, y, x);
        __syncthreads();
    }
    store_tile<HS>(dq + head, sums, t0, T, hs, y, x);
}

// dk and dv: rows of the square are s, columns t.
template <int HS>
__global__ void __launch_bounds__(Tile<HS>::THREADS)
attention_dkv_3(float *dk, float *dv, const float *dout, const float *q, const float *k,
                const float *v, const float *lse, const float *D, int T, int hs, float scale) {
    typedef Tile<HS> Z;
    DYNAMIC_SHARED(float, ks);
    float *const vs = ks + Z::R * Z::WIDE, *const qs = vs + Z::R * Z::WIDE;
    float *const dos = qs + Z::R * Z::WIDE, *const ps = dos + Z::R * Z::WIDE;
    float *const dss = ps + Z::R * Z::P_WIDE;
    const int x = threadIdx.x % Z::SIDE, y = threadIdx.x / Z::SIDE, s0 = blockIdx.x * Z::R;
    const size_t first = size_t(blockIdx.y) * T, head = first * hs;
    float for_k[4][Z::COLUMNS] = {}, for_v[4][Z::COLUMNS] = {}, p[4][4], dp[4][4];
    load_tile<HS>(ks, Z::WIDE, k + head, s0, Z::R, T, hs);
    load_tile<HS>(vs, Z::WIDE, v + head, s0, Z::R, T, hs);
    for (int t0 = s0; t0 < T; t0 += Z::R) {
        load_tile<HS>(qs, Z::WIDE, q + head, t0, Z::R, T, hs);
        load_tile<HS>(dos, Z::WIDE, dout + head, t0, Z::R, T, hs);
        __syncthreads();
        rows_times_rows<HS>(p, ks, qs, y, x);
        rows_times_rows<HS>(dp, vs, dos, y, x);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int t = t0 + x + j * Z::SIDE;
            const float l = t < T ? lse[first + t] : 0, minus = t < T ? D[first + t] : 0;
            for (int i = 0; i < 4; i++) {
                const int s = s0 + y + i * Z::SIDE, at = (s - s0) * Z::P_WIDE + t - t0;
                const float e = s <= t && t < T ? expf(p[i][j] * scale - l) : 0;
                ps[at] = e, dss[at] = e * (dp[i][j] - minus) * scale;
            }
        }
        __syncthreads();
        add_p_times_rows<HS>(for_v, ps, dos, y, x);
        add_p_times_rows<HS>(for_k, dss, qs, y, x);
        __syncthreads();
    }
    store_tile<HS>(dk + head, for_k, s0, T, hs, y, x);
    store_tile<HS>(dv + head, for_v, s0, T, hs, y, x);
}

template <int HS>
static int backward_of(int version, float *dq, float *dk, float *dv, const float *dout,
                       const float *q, const float *k, const float *v, const float *out,
                       const float *lse, int heads, int T, int hs) {
    typedef Tile<HS> Z;
    const float scale = 1 / sqrtf(hs);
    const size_t rows = size_t(heads) * T;
    float *const D = scratch(version == 1 ? rows + 2 * rows * T : rows);
    if (!D) return 2;
    LAUNCH(attention_dot, ceil_div(heads * T, 4), 128)(D, dout, out, heads * T, hs);
    if (version == 1) {
        float *const p = D + rows, *const ds = p + rows * T;
        const dim3 all(ceil_div(T, 128), T, heads), each(1, T, heads);
        LAUNCH(attention_dscores_1, all, 128)(p, ds, dout, q, k, v, lse, D, T, hs, scale);
        LAUNCH(attention_gradients_1, each, hs)(dq, dk, dv, dout, q, k, p, ds, T, hs);
    } else if (version == 2) {
        const dim3 grid(ceil_div(T, ROWS), heads);
        const int bytes = 4 * ROWS * 2 * (HS + 1 + HS);
        with_room(attention_dq_2<HS>, bytes), with_room(attention_dkv_2<HS>, bytes);
        LAUNCH(attention_dq_2<HS>, grid, ROWS, bytes)(dq, dout, q, k, v, lse, D, T, hs, scale);
        LAUNCH(attention_dkv_2<HS>, grid, ROWS, bytes)(dk, dv, dout, q, k, v, lse, D, T, hs, scale);
    } else {
        const dim3 grid(ceil_div(T, Z::R), heads);
        with_room(attention_dq_3<HS>, Z::BACKWARD), with_room(attention_dkv_3<HS>, Z::BACKWARD);
        LAUNCH(attention_dq_3<HS>, grid, Z::THREADS, Z::BACKWARD)(dq, dout, q, k, v, lse, D, T, hs,
                                                                  scale);
        LAUNCH(attention_dkv_3<HS>, grid, Z::THREADS, Z::BACKWARD)(dk, dv, dout, q, k, v, lse, D, T,
                                                                   hs, scale);
    }
    return launched();
}

extern "C" int attention_backward(int version, float *dq, float *dk, float *dv, const float *dout,
                                  const float *q, const float *k, const float *v, const float *out,
                                  const float *lse, int B, int nh, int T, int hs) {
    if (version < 1 || version > 3 || B < 1 || nh < 1 || T < 1 || hs < 1 || hs > 128) return 1;
    if (int64_t(B) * nh > 65535 || (version == 1 && T > 65535)) return 1;
    const auto of_size = hs <= 32 ? backward_of<32> : hs <= 64 ? backward_of<64> : backward_of<128>;
    return of_size(version, dq, dk, dv, dout, q, k, v, out, lse, B * nh, T, hs);
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int B = ON_GPU ? 4 : 1, nh = ON_GPU ? 12 : 1, T = ON_GPU ? 1024 : 128;
    const int hs = ON_GPU ? 64 : 32;
    const size_t rows = size_t(B) * nh * T, n = rows * hs;
    const Floats q = random_floats(n, 1), k = random_floats(n, 2), v = random_floats(n, 3);
    const Floats dout = random_floats(n, 4);
    Floats out(n), lse(rows), dq(n), dk(n), dv(n);
    attention_forward_cpu(out.data(), lse.data(), q.data(), k.data(), v.data(), B, nh, T, hs);
    attention_backward_cpu(dq.data(), dk.data(), dv.data(), dout.data(), q.data(), k.data(),
                           v.data(), out.data(), lse.data(), B, nh, T, hs);
    const float *q_gpu = on_device(q), *k_gpu = on_device(k), *v_gpu = on_device(v);
    const float *dout_gpu = on_device(dout), *out_gpu = on_device(out), *lse_gpu = on_device(lse);
    float *a = on_device(n), *b = on_device(n), *c = on_device(n), *l = on_device(rows);
    const auto forward = [&](int version) {
        return attention_forward(version, a, l, q_gpu, k_gpu, v_gpu, B, nh, T, hs);
    };
    const auto backward = [&](int version) {
        return attention_backward(version, a, b, c, dout_gpu, q_gpu, k_gpu, v_gpu, out_gpu, lse_gpu,
                                  B, nh, T, hs);
    };
    const double products = 1.0 * rows * T * hs;  // one of the products over all (t, s), half of it
    return each_version("attention_forward", only, forward, {{"out", a, &out}, {"lse", l, &lse}},
                        1e-5, 16.0 * n, 2 * products) +
           each_version("attention_backward", only, backward,
                        {{"dq", a, &dq}, {"dk", b, &dk}, {"dv", c, &dv}}, 1e-4, 32.0 * n,
                        5 * products);
}
