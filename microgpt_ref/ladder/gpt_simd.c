// Rung 5 of the ladder: C with vectors and batches, in float32. One file, only the C library.
//
// What changed from the rung below, gpt.c. The numbers are the same. Their places in memory and the
// order of the work are chosen for the processor:
//
// 1. Vectors. A core adds and multiplies 8 floats (AVX2) as fast as one. gpt.c leaves it to the
//    compiler to find such groups, and a sum along a row is a bad group: float additions may not be
//    reordered. In the products here each lane is another result: there is nothing to reorder.
// 2. Tiles. Two loads for one multiply-add would leave the multipliers waiting. A tile of 6 rows by
//    2 vectors of the result stays in registers: 8 loads serve 12 multiply-adds. They do not
//    depend on each other, so none waits the 4 cycles that another takes.
// 3. One product for all. x times W transposed, dout times W, and dout transposed times x are the
//    same loop over different strides. Only the first wants W turned, which is done once a step.
// 4. Batches. The positions of all documents of a batch are rows of one matrix, without gaps. A
//    matrix product does not ask whose row it is; only attention works document by document. Adam
//    and the turning, a third of a step of one document, are shared by all of the batch.
// 5. Attention with all heads in one vector, without gathering: see there.
// 6. exp as a polynomial, for 8 numbers at once.
// 7. Sizes as macros: the compiler unrolls loops whose ends it knows.
//
// What it costs. A library for each size of model (-DN_EMBD=64 ...), half as many lines again as
// gpt.c, and float32: about 7 digits. At batch 16 the losses follow float64 to 1e-6 for some 400
// steps. Then a ReLU that is almost 0 falls on the other side, and they part by up to 0.01.
//
// How to compile: -O3 -march=native -ffp-contract=fast -fno-math-errno. -march=native gives AVX2
// and fused multiply-adds (without it: 4 lanes, 2.5 times slower). -ffp-contract=fast lets the
// compiler fuse them under -std=c11 too, -fno-math-errno makes sqrtf an instruction. The order of
// additions is written down here, so -ffast-math has nothing left to give, and it costs. It puts
// approximate roots and divisions, refined, in the place of exact ones: Adam took 1.8 us instead
// of 1.4. And with gcc before 13 a library linked with it turns off denormal numbers (below 1e-38
// in float32, 2e-308 in float64) in the whole process that loads it.
//
// The floor. A name of 7.1 positions takes 78,000 multiply-adds, and one core of the machine where
// this was measured (AMD EPYC, Zen 3, AVX2, 2026) does at most 51 in a nanosecond: 1.5 us a name.
// Measured, microseconds a name (best of 20; other programs ran beside it):
//
//     batch                1     2     4     8    16    32    64
//                        4.9   4.0   3.3   3.1   2.9   3.0   3.1
//
// Where 2.9 goes: matrix products 1.7 (at 86% of the peak: short sums of 16, the last tile's
// missing rows, 32 logits for 27 tokens), attention 0.35, softmax and loss 0.2, norms 0.1, Adam
// 0.1, ReLU 0.1; the rest was not measured apart: embeddings, packing, and that each part is slower
// among the others than alone. At batch 1 Adam takes 1.4: a root and a division a parameter.
// Wider models come closer to the floor (71% of the peak at N_EMBD 64), until a matrix is larger
// than the caches near the core (50% at 256): the large libraries then copy its pieces together
// before they use them, and this file does not. The code for 16 lanes (AVX-512) was tested for its
// results, not its speed: the machine has 8.

#if !defined(__GNUC__)
#error "gpt_simd.c needs the vector types of gcc or clang; on Windows, use MinGW-w64 or clang."
#endif

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef VOCAB_SIZE
#define VOCAB_SIZE 27
#endif
#ifndef BLOCK_SIZE
#define BLOCK_SIZE 16
#endif
#ifndef N_EMBD
#define N_EMBD 16
#endif
#ifndef N_LAYER
#define N_LAYER 1
#endif
#ifndef N_HEAD
#define N_HEAD 4
#endif

// How many floats one register holds. More lanes than that compile too, to far slower code.
#ifndef LANES
#if defined(__AVX512F__) && N_EMBD % 16 == 0
#define LANES 16
#elif defined(__AVX__) && N_EMBD % 8 == 0
#define LANES 8
#else
#define LANES 4  // SSE, NEON; where there are no vectors at all, the compiler writes them out
#endif
#endif

#define SIZE (N_EMBD / N_HEAD)  // of a head
#if N_EMBD % LANES || N_EMBD % N_HEAD || SIZE & (SIZE - 1)
#error "N_EMBD must be a multiple of LANES, and N_EMBD / N_HEAD must be 1, 2, 4, 8 ..."
#endif

enum {
    V = (VOCAB_SIZE + LANES - 1) / LANES * LANES,  // the vocabulary, filled up to whole vectors
    T = BLOCK_SIZE,
    C = N_EMBD,
    VECTORS = C / LANES,                   // of a row
    SUMMED = SIZE < LANES ? SIZE : LANES,  // lanes that belong to the same head
    PER_SCORE = SIZE / SUMMED,             // vectors that belong to the same head
    SCORES = VECTORS / PER_SCORE,          // vectors that hold the scores of all heads
    // Where each matrix begins among the parameters. wq, wk, wv are one matrix of 3 * C outputs.
    WTE = 0, WPE = WTE + V * C, LM_HEAD = WPE + T * C, LAYERS = LM_HEAD + V * C,
    WQKV = 0, WO = 3 * C * C, FC1 = 4 * C * C, FC2 = 8 * C * C, LAYER = 12 * C * C,
    NUM_PARAMS = LAYERS + N_LAYER * LAYER
};

// ---- vectors -------------------------------------------------------------------------------

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));
typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t ivec4 __attribute__((vector_size(16)));
#define INLINE static inline __attribute__((always_inline))

// The lanes of a and b with these numbers, a's first; gcc before 12 has its own name for it.
#if defined(__clang__) || __GNUC__ >= 12
#define PICK(indices, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(indices, a, b, ...) __builtin_shuffle(a, b, (indices){__VA_ARGS__})
#endif

// Each lane changes places with the one `d` away: 1, 2, 4 or 8.
#define FOUR(d, i) (i) ^ (d), (i + 1) ^ (d), (i + 2) ^ (d), (i + 3) ^ (d)
#if LANES == 4
#define SWAPPED(v, d) PICK(ivec, v, v, FOUR((d) % LANES, 0))
#elif LANES == 8
#define SWAPPED(v, d) PICK(ivec, v, v, FOUR((d) % LANES, 0), FOUR((d) % LANES, 4))
#elif LANES == 16
#define SWAPPED(v, d) PICK(ivec, v, v, FOUR(d, 0), FOUR(d, 4), FOUR(d, 8), FOUR(d, 12))
#else
#error "LANES must be 4, 8 or 16."
#endif

INLINE vec load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);  // one instruction
    return v;
}

INLINE void store(float *p, vec v) { memcpy(p, &v, sizeof v); }

INLINE vec maximum(vec a, vec b) {
    const ivec larger = a > b;  // all bits of a lane, or none
    return (vec)((larger & (ivec)a) | (~larger & (ivec)b));
}

// Each lane becomes the sum of its group of `lanes` lanes: of pairs, then of pairs of pairs ...
INLINE vec sum_groups(vec v, int lanes) {
    if (lanes > 1) v += SWAPPED(v, 1);
    if (lanes > 2) v += SWAPPED(v, 2);
    if (lanes > 4) v += SWAPPED(v, 4);
    if (lanes > 8) v += SWAPPED(v, 8);
    return v;
}

INLINE vec max_lanes(vec v) {
    v = maximum(v, SWAPPED(v, 1));
    v = maximum(v, SWAPPED(v, 2));
    if (LANES > 4) v = maximum(v, SWAPPED(v, 4));
    if (LANES > 8) v = maximum(v, SWAPPED(v, 8));
    return v;
}

// exp(x) for x <= 0, to a relative error of 2e-7 (0 below -87, where floats end). x = n ln 2 + f
// with n whole and |f| <= ln 2 / 2: a polynomial gives exp(f), and n is added to the exponent. ln 2
// comes in two parts, so that the larger one times n is exact.
INLINE vec exp_negative(vec x) {
    const ivec n = __builtin_convertvector(x * 1.44269504f - 0.5f, ivec);  // towards 0: rounded
    const vec whole = __builtin_convertvector(n, vec);
    const vec f = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    vec y = 0.0418979749f + f * 0.00829030667f;
    y = 1 + f * (0.999999702f + f * (0.499991506f + f * (0.166676372f + f * y)));
    return (vec)(((uvec)y + ((uvec)n << 23)) & (uvec)(x > -87.0f));
}

// ---- matrix products -----------------------------------------------------------------------

// A tile of `out`, m rows by nv vectors, stays in registers until it is finished. With 6 by 2, a
// step along n is 2 loads of b, 6 numbers of a copied to all lanes, and 12 multiply-adds. 12 sums,
// 2 vectors of b and 1 of a are 15 of AVX2's 16 registers. The pragmas unroll what must be, so that
// `sum` is registers and not an array.
INLINE void tile(int m, int nv, float *out, int out_row, const float *a, int a_row, int a_next,
                 const float *b, int n, const float *add) {
    vec sum[6][2];
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++)
            sum[i][j] = add ? load(add + i * out_row + j * LANES) : (vec){0};
#pragma GCC unroll 4
    for (int k = 0; k < n; k++) {
        const vec b0 = load(b), b1 = nv > 1 ? load(b + LANES) : b0;
#pragma GCC unroll 6
        for (int i = 0; i < m; i++) {
            sum[i][0] += a[i * a_row] * b0;
            if (nv > 1) sum[i][1] += a[i * a_row] * b1;
        }
        a += a_next, b += out_row;
    }
#pragma GCC unroll 6
    for (int i = 0; i < m; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) store(out + i * out_row + j * LANES, sum[i][j]);
}

// out (rows, cols) = a (rows, n) times b (n, cols), plus `add` where it is not NULL. a's number
// (i, k) stands at a[i * a_row + k * a_next], so a can be read as it stands or transposed. rows
// must be even, cols a multiple of LANES. 8 rows are two tiles of 4, which beats 6 and 2.
static void matmul(float *out, const float *a, int a_row, int a_next, const float *b, int rows,
                   int cols, int n, const float *add) {
    for (int c = 0, nv; c < cols; c += nv * LANES) {
        nv = c + 2 * LANES <= cols ? 2 : 1;
        for (int r = 0, m; r < rows; r += m) {
            const int left = rows - r, at = r * cols + c;
            m = left >= 6 && left != 8 ? 6 : left >= 4 ? 4 : 2;
#define TILE(m, nv) \
    tile(m, nv, out + at, cols, a + r * a_row, a_row, a_next, b + c, n, add ? add + at : NULL)
            if (m == 6 && nv == 2) TILE(6, 2);
            else if (m == 4 && nv == 2) TILE(4, 2);
            else if (m == 2 && nv == 2) TILE(2, 2);
            else if (m == 6) TILE(6, 1);
            else if (m == 4) TILE(4, 1);
            else TILE(2, 1);
#undef TILE
        }
    }
}

// out (rows, n_out) = x (rows, n_in) times the transposed weight (n_in, n_out), plus `add`.
static void linear_forward(float *out, const float *x, const float *transposed, const float *add,
                           int rows, int n_in, int n_out) {
    matmul(out, x, n_in, 1, transposed, rows, n_out, n_in, add);
}

// Unlike in gpt.c the gradients are not added to what was there: one product holds the batch.
static void linear_backward(float *dx, float *dweight, const float *dout, const float *x,
                            const float *weight, int rows, int n_in, int n_out) {
    matmul(dweight, dout, 1, n_out, x, n_out, n_in, rows, NULL);
    matmul(dx, dout, n_out, 1, weight, rows, n_in, n_out, NULL);
}

// w (n_out, n_in) to t (n_in, n_out), in registers, by squares of 4 by 4.
static void transpose(float *t, const float *w, int n_out, int n_in) {
    for (int i = 0; i < n_in; i += 4) {
        for (int o = 0; o < n_out; o += 4) {
            vec4 r[4], s[4];
            for (int j = 0; j < 4; j++) memcpy(&r[j], w + (o + j) * n_in + i, sizeof(vec4));
            s[0] = PICK(ivec4, r[0], r[1], 0, 4, 1, 5), s[1] = PICK(ivec4, r[0], r[1], 2, 6, 3, 7);
            s[2] = PICK(ivec4, r[2], r[3], 0, 4, 1, 5), s[3] = PICK(ivec4, r[2], r[3], 2, 6, 3, 7);
            r[0] = PICK(ivec4, s[0], s[2], 0, 1, 4, 5), r[1] = PICK(ivec4, s[0], s[2], 2, 3, 6, 7);
            r[2] = PICK(ivec4, s[1], s[3], 0, 1, 4, 5), r[3] = PICK(ivec4, s[1], s[3], 2, 3, 6, 7);
            for (int j = 0; j < 4; j++) memcpy(t + (i + j) * n_out + o, &r[j], sizeof(vec4));
        }
    }
}

// ---- the other layers ----------------------------------------------------------------------

static void rmsnorm_forward(float *out, float *scale, const float *x, int rows) {
    for (int r = 0; r < rows; r++, x += C, out += C) {
        vec sum = {0};
        for (int c = 0; c < C; c += LANES) sum += load(x + c) * load(x + c);
        const float s = scale[r] = 1 / sqrtf(sum_groups(sum, LANES)[0] / C + 1e-5f);
        for (int c = 0; c < C; c += LANES) store(out + c, load(x + c) * s);
    }
}

// dx = keep * dx + the gradient that comes through the norm.
INLINE void rmsnorm_backward(float *dx, const float *dout, const float *out, const float *scale,
                             int rows, int keep) {
    for (int r = 0; r < rows; r++, dx += C, dout += C, out += C) {
        vec sum = {0};
        for (int c = 0; c < C; c += LANES) sum += load(dout + c) * load(out + c);
        const vec along = sum_groups(sum, LANES) / C;
        for (int c = 0; c < C; c += LANES) {
            vec d = (load(dout + c) - along * load(out + c)) * scale[r];
            if (keep) d += load(dx + c);
            store(dx + c, d);
        }
    }
}

typedef struct {  // what a layer's forward leaves for its backward, a row for each position
    float *h1, *scale1;       // (C), (1)
    float *qkv;               // (3, C): query, key, value
    float *weights, *factor;  // (T, SCORES, LANES), (SCORES, LANES): softmax = weights * factor
    float *mixed;             // (C)
    float *h2, *scale2;       // (C), (1)
    float *hidden;            // (4 * C)
} Kept;

// One document: n positions, from row `first` on. A row of q times a row of k, lane by lane, holds
// the products of all heads. Summed over the lanes of a head, and the sum left in each of them,
// it is where it is needed next: over the values of that head. So nothing is ever gathered.
// The price: with heads of 4 each exp is computed in 4 lanes, with wide heads in all LANES.
static void attention_forward(const Kept *a, int first, int n) {
    const float shrink = 1 / sqrtf(SIZE);
    const float *qkv = a->qkv + first * 3 * C;
    for (int t = 0; t < n; t++) {
        float *weights = a->weights + (first + t) * T * SCORES * LANES;
        vec q[VECTORS], out[VECTORS], largest[SCORES], total[SCORES];
        for (int i = 0; i < VECTORS; i++) q[i] = load(qkv + t * 3 * C + i * LANES) * shrink;
        for (int i = 0; i < VECTORS; i++) out[i] = (vec){0};
        for (int h = 0; h < SCORES; h++) largest[h] = (vec){0} - 1e30f, total[h] = (vec){0};
        for (int s = 0; s <= t; s++) {
            const float *key = qkv + s * 3 * C + C;
            for (int h = 0; h < SCORES; h++) {
                vec score = {0};
                for (int i = h * PER_SCORE; i < (h + 1) * PER_SCORE; i++)
                    score += q[i] * load(key + i * LANES);
                score = sum_groups(score, SUMMED);
                largest[h] = maximum(largest[h], score);
                store(weights + (s * SCORES + h) * LANES, score);
            }
        }
        for (int s = 0; s <= t; s++) {
            const float *value = qkv + s * 3 * C + 2 * C;
            for (int h = 0; h < SCORES; h++) {
                float *weight = weights + (s * SCORES + h) * LANES;
                const vec w = exp_negative(load(weight) - largest[h]);
                store(weight, w);
                total[h] += w;
                for (int i = h * PER_SCORE; i < (h + 1) * PER_SCORE; i++)
                    out[i] += w * load(value + i * LANES);
            }
        }
        for (int h = 0; h < SCORES; h++) {
            const vec factor = 1 / total[h];
            store(a->factor + ((first + t) * SCORES + h) * LANES, factor);
            for (int i = h * PER_SCORE; i < (h + 1) * PER_SCORE; i++)
                store(a->mixed + (first + t) * C + i * LANES, out[i] * factor);
        }
    }
}

// The mean gradient of a row of the softmax is dmixed times mixed, so one pass over s is enough.
static void attention_backward(float *dqkv, const float *dmixed, const Kept *a, int first, int n) {
    const float shrink = 1 / sqrtf(SIZE);
    const float *qkv = a->qkv + first * 3 * C, *mixed = a->mixed + first * C;
    dqkv += first * 3 * C, dmixed += first * C;
    for (int t = 0; t < n; t++) {
        const float *weights = a->weights + (first + t) * T * SCORES * LANES;
        for (int c = C; c < 3 * C; c += LANES) store(dqkv + t * 3 * C + c, (vec){0});  // k and v
        for (int h = 0; h < SCORES; h++) {
            const int at = h * PER_SCORE * LANES;
            const vec factor = load(a->factor + ((first + t) * SCORES + h) * LANES);
            vec q[PER_SCORE], dq[PER_SCORE], d[PER_SCORE], mean = {0};
            for (int i = 0; i < PER_SCORE; i++) {
                q[i] = load(qkv + t * 3 * C + at + i * LANES), dq[i] = (vec){0};
                d[i] = load(dmixed + t * C + at + i * LANES);
                mean += d[i] * load(mixed + t * C + at + i * LANES);
            }
            mean = sum_groups(mean, SUMMED);
            for (int s = 0; s <= t; s++) {
                const float *key = qkv + s * 3 * C + C + at, *value = key + C;
                float *dkey = dqkv + s * 3 * C + C + at, *dvalue = dkey + C;
                const vec w = load(weights + (s * SCORES + h) * LANES) * factor;
                vec dw = {0};
                for (int i = 0; i < PER_SCORE; i++) dw += d[i] * load(value + i * LANES);
                const vec dscore = w * (sum_groups(dw, SUMMED) - mean) * shrink;
                for (int i = 0; i < PER_SCORE; i++) {
                    dq[i] += dscore * load(key + i * LANES);
                    store(dkey + i * LANES, load(dkey + i * LANES) + dscore * q[i]);
                    store(dvalue + i * LANES, load(dvalue + i * LANES) + w * d[i]);
                }
            }
            for (int i = 0; i < PER_SCORE; i++) store(dqkv + t * 3 * C + at + i * LANES, dq[i]);
        }
    }
}

typedef struct {  // a position of a document
    int token, position, target;
    float share;  // of this position's loss in that of the batch
} Row;

// The loss (nats) of all rows; their logits become its gradients.
static double softmax_loss(float *logits, const Row *row, int rows) {
    double loss = 0;
    vec padding = {0};
    for (int c = VOCAB_SIZE; c < V; c++) padding[c % LANES] = -1e9f;  // no token: probability 0
    for (int r = 0; r < rows; r++, logits += V) {
        vec x[V / LANES], largest = (vec){0} - 1e30f, total = {0};
        const float target = logits[row[r].target];
        for (int c = 0; c < V / LANES; c++) {
            x[c] = load(logits + c * LANES);
            if (c == V / LANES - 1) x[c] += padding;
            largest = maximum(largest, x[c]);
        }
        largest = max_lanes(largest);
        for (int c = 0; c < V / LANES; c++) total += x[c] = exp_negative(x[c] - largest);
        total = sum_groups(total, LANES);
        const vec factor = row[r].share / total;
        for (int c = 0; c < V / LANES; c++) store(logits + c * LANES, x[c] * factor);
        logits[row[r].target] -= row[r].share;
        loss += row[r].share * (logf(total[0]) + largest[0] - target);
    }
    return loss;
}

// ---- the model -----------------------------------------------------------------------------

typedef struct {
    float *w, *transposed, *dw, *m, *v;  // (NUM_PARAMS) each
    Row *row;
    int *first;  // the first row of each document, and the end
    float *x, *x0, *scale0, *logits, *dx, *dh, *dqkv, *dhidden;
    Kept kept[N_LAYER];
} Model;

// The next `count` numbers of the block, from a multiple of 64 bytes on; without a block it counts.
static void *cut(float *block, size_t *used, size_t count) {
    float *piece = block ? block + *used : NULL;
    *used += (count + 15) / 16 * 16;
    return piece;
}

// The whole memory plan. Returns how many numbers it takes.
static size_t place(Model *g, float *block, size_t rows, size_t docs) {
    size_t used = 0;
    float **params[] = {&g->w, &g->transposed, &g->dw, &g->m, &g->v};
    for (int i = 0; i < 5; i++) *params[i] = cut(block, &used, NUM_PARAMS);
    g->row = cut(block, &used, rows * sizeof(Row) / sizeof(float));
    g->first = cut(block, &used, docs + 1);
    g->x = cut(block, &used, rows * C), g->x0 = cut(block, &used, rows * C);
    g->scale0 = cut(block, &used, rows), g->logits = cut(block, &used, rows * V);
    g->dx = cut(block, &used, rows * C), g->dh = cut(block, &used, rows * C);
    g->dqkv = cut(block, &used, rows * 3 * C), g->dhidden = cut(block, &used, rows * 4 * C);
    for (int l = 0; l < N_LAYER; l++) {
        Kept *a = &g->kept[l];
        a->h1 = cut(block, &used, rows * C), a->scale1 = cut(block, &used, rows);
        a->qkv = cut(block, &used, rows * 3 * C), a->mixed = cut(block, &used, rows * C);
        a->weights = cut(block, &used, rows * T * SCORES * LANES);
        a->factor = cut(block, &used, rows * SCORES * LANES);
        a->h2 = cut(block, &used, rows * C), a->scale2 = cut(block, &used, rows);
        a->hidden = cut(block, &used, rows * 4 * C);
    }
    return used;
}

// The loss (nats) of the rows. Leaves the gradients of the logits.
static double forward(Model *g, int rows, int docs) {
    const float *w = g->w, *transposed = g->transposed;
    for (int r = 0; r < rows; r++) {
        const float *wte = w + WTE + g->row[r].token * C, *wpe = w + WPE + g->row[r].position * C;
        for (int c = 0; c < C; c += LANES) store(g->x + r * C + c, load(wte + c) + load(wpe + c));
    }
    rmsnorm_forward(g->x0, g->scale0, g->x, rows);
    memcpy(g->x, g->x0, sizeof(float) * rows * C);
    for (int l = 0; l < N_LAYER; l++) {
        const Kept *a = &g->kept[l];
        const float *t = transposed + LAYERS + l * LAYER;
        rmsnorm_forward(a->h1, a->scale1, g->x, rows);
        linear_forward(a->qkv, a->h1, t + WQKV, NULL, rows, C, 3 * C);
        for (int d = 0; d < docs; d++)
            attention_forward(a, g->first[d], g->first[d + 1] - g->first[d]);
        linear_forward(g->x, a->mixed, t + WO, g->x, rows, C, C);
        rmsnorm_forward(a->h2, a->scale2, g->x, rows);
        linear_forward(a->hidden, a->h2, t + FC1, NULL, rows, C, 4 * C);
        for (int i = 0; i < rows * 4 * C; i += LANES)
            store(a->hidden + i, maximum(load(a->hidden + i), (vec){0}));
        linear_forward(g->x, a->hidden, t + FC2, g->x, rows, 4 * C, C);
    }
    linear_forward(g->logits, g->x, transposed + LM_HEAD, NULL, rows, C, V);
    return softmax_loss(g->logits, g->row, rows);
}

// Fills dw, after forward().
static void backward(Model *g, int rows, int docs) {
    float *dx = g->dx, *dh = g->dh, *dhidden = g->dhidden;
    linear_backward(dx, g->dw + LM_HEAD, g->logits, g->x, g->w + LM_HEAD, rows, C, V);
    for (int l = N_LAYER - 1; l >= 0; l--) {
        const Kept *a = &g->kept[l];
        const float *w = g->w + LAYERS + l * LAYER;
        float *dw = g->dw + LAYERS + l * LAYER;
        linear_backward(dhidden, dw + FC2, dx, a->hidden, w + FC2, rows, 4 * C, C);
        for (int i = 0; i < rows * 4 * C; i += LANES)
            store(dhidden + i, (vec)((ivec)load(dhidden + i) & (load(a->hidden + i) > 0)));
        linear_backward(dh, dw + FC1, dhidden, a->h2, w + FC1, rows, C, 4 * C);
        rmsnorm_backward(dx, dh, a->h2, a->scale2, rows, 1);
        linear_backward(dh, dw + WO, dx, a->mixed, w + WO, rows, C, C);
        for (int d = 0; d < docs; d++)
            attention_backward(g->dqkv, dh, a, g->first[d], g->first[d + 1] - g->first[d]);
        linear_backward(dh, dw + WQKV, g->dqkv, a->h1, w + WQKV, rows, C, 3 * C);
        rmsnorm_backward(dx, dh, a->h1, a->scale1, rows, 1);
    }
    rmsnorm_backward(dx, dx, g->x0, g->scale0, rows, 0);
    memset(g->dw, 0, sizeof(float) * LM_HEAD);  // wte and wpe
    for (int r = 0; r < rows; r++, dx += C) {
        float *dwte = g->dw + WTE + g->row[r].token * C;
        float *dwpe = g->dw + WPE + g->row[r].position * C;
        for (int c = 0; c < C; c += LANES) store(dwte + c, load(dwte + c) + load(dx + c));
        for (int c = 0; c < C; c += LANES) store(dwpe + c, load(dwpe + c) + load(dx + c));
    }
}

// ---- training ------------------------------------------------------------------------------

// Adam (Kingma and Ba, 2014). A loop this plain the compiler vectorizes by itself. The division of
// v by its fill is moved into rate and epsilon: once a step, not once a number.
static void adam(float *restrict w, float *restrict m, float *restrict v, const float *restrict dw,
                 int step, double learning_rate) {
    const double fill = sqrt(1 - pow(0.99, step + 1));
    const float rate = (float)(learning_rate * fill / (1 - pow(0.85, step + 1)));
    const float epsilon = (float)(1e-8 * fill);
    for (int i = 0; i < NUM_PARAMS; i++) {
        m[i] = 0.85f * m[i] + 0.15f * dw[i];
        v[i] = 0.99f * v[i] + 0.01f * dw[i] * dw[i];
        w[i] -= rate * m[i] / (sqrtf(v[i]) + epsilon);
    }
}

static void transpose_all(float *t, const float *w) {
    transpose(t + LM_HEAD, w + LM_HEAD, V, C);
    for (int l = LAYERS; l < NUM_PARAMS; l += LAYER) {
        transpose(t + l + WQKV, w + l + WQKV, 3 * C, C);
        transpose(t + l + WO, w + l + WO, C, C);
        transpose(t + l + FC1, w + l + FC1, 4 * C, C);
        transpose(t + l + FC2, w + l + FC2, C, 4 * C);
    }
}

// Packs the positions of the batch's documents one after the other, without gaps. Where their
// number is odd, a document of one position follows that counts for nothing: tiles have even rows.
// Returns how many rows there are; *docs is how many documents.
static int pack(Model *g, const int *tokens, const int *starts, int num_docs, long long number,
                int batch_size, int *docs) {
    int rows = 0;
    for (int i = 0; i < batch_size; i++) {
        const int doc = (int)((number + i) % num_docs), length = starts[doc + 1] - starts[doc] - 1;
        const int n = length < T ? length : T, *token = tokens + starts[doc];
        g->first[i] = rows;
        for (int t = 0; t < n; t++)
            g->row[rows++] = (Row){token[t], t, token[t + 1], 1.0f / ((float)n * batch_size)};
    }
    *docs = batch_size;
    if (rows % 2) {
        g->first[(*docs)++] = rows;
        g->row[rows++] = (Row){0};
    }
    g->first[*docs] = rows;
    return rows;
}

// Between the caller's parameters, as they stand in the state_dict, and ours with its filled-up
// vocabulary.
static void copy_params(float *ours, float *callers, int bring_back) {
    const size_t from[] = {WTE, WPE, LM_HEAD, LAYERS};
    const size_t count[] = {VOCAB_SIZE * C, T * C, VOCAB_SIZE * C, N_LAYER * LAYER};
    for (int i = 0; i < 4; callers += count[i++]) {
        if (bring_back) memcpy(callers, ours + from[i], sizeof(float) * count[i]);
        else memcpy(ours + from[i], callers, sizeof(float) * count[i]);
    }
}

// Trains in place, as in gpt.c. sizes: vocab_size, block_size, n_embd, n_layer, n_head, which must
// be those that the file was compiled for. params: the matrices in the order of the state_dict.
// Document d is tokens[starts[d]] up to tokens[starts[d + 1] - 1]. Step s learns documents
// (s * batch_size + i) % num_docs; losses (num_steps) are in nats. Returns 0, or 1 where there is
// too little memory, or 2 for other sizes and for a batch that is too large to count.
int train(const int *sizes, float *params, const int *tokens, const int *starts, int num_docs,
          int num_steps, int batch_size, int total_steps, double *losses) {
    const int compiled[] = {VOCAB_SIZE, BLOCK_SIZE, N_EMBD, N_LAYER, N_HEAD};
    const size_t largest = T * SCORES * LANES + 4 * C + V;  // numbers of a row in any one piece
    if (memcmp(sizes, compiled, sizeof compiled) || num_docs < 1 || batch_size < 1) return 2;
    const size_t most_rows = (size_t)batch_size * T + 1;
    if (most_rows > INT_MAX / largest) return 2;
    Model g;
    char *memory = calloc(place(&g, NULL, most_rows, (size_t)batch_size + 1) + 16, sizeof(float));
    if (!memory) return 1;
    float *block = (float *)(memory + (64 - (uintptr_t)memory % 64));  // a whole line of the cache
    place(&g, block, most_rows, (size_t)batch_size + 1);
    copy_params(g.w, params, 0);
    for (int step = 0; step < num_steps; step++) {
        int docs;
        const int rows = pack(&g, tokens, starts, num_docs, (long long)step * batch_size,
                              batch_size, &docs);
        transpose_all(g.transposed, g.w);
        losses[step] = forward(&g, rows, docs);
        backward(&g, rows, docs);
        adam(g.w, g.m, g.v, g.dw, step, 0.01 * (1 - (double)step / total_steps));
    }
    copy_params(g.w, params, 1);
    free(memory);
    return 0;
}
