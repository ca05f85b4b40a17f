// Rung 4 of the ladder: plain C. One file, nothing but the C library.
//
// What changed from the rung below. NumPy and torch are libraries of fast loops, and each call has
// a price: a microsecond or more, to find out what the arguments are and to make room for the
// result. One name takes some hundred calls on arrays so small that the work in them is over
// sooner. Here nobody calls a library. The loops stand in this file, the compiler sees them all,
// and it knows every type before the program runs.
//
// Why it is faster. No number is an object, no operation is looked up. The compiler keeps sums in
// registers and handles neighbours of an array together in one instruction (SIMD), where the order
// of additions allows it. Memory is planned once, before the first step: one block, cut into
// pieces whose places never change. Nothing is allocated in the loop, and all of it stays in the
// caches closest to the processor.
//
// What it costs. Nobody checks an index. A loop that runs one too far reads or writes its
// neighbour, and the program goes on with wrong numbers: run it under -fsanitize=address,undefined
// after each change. The file must be compiled, and for another machine again.
//
// With -DREAL=float the numbers have half the size and twice as many fit into an instruction. With
// -fassociative-math the compiler may add in any order, so that it can vectorize sums too. Losses
// then agree with float64 to some six digits. -fno-math-errno makes a root one instruction.
//
// Every layer is a pair, X_forward and X_backward. Gradients are named dX, and are ADDED to what
// is there, so that a value used twice gets both. Shapes: rows = T positions of one document, C =
// n_embd, V = vocab_size, H = n_head. A weight has rows of outputs over columns of inputs.

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>  // exp, log and sqrt of the type of their argument

#ifndef REAL
#define REAL double
#endif
typedef REAL real;

// ---- layers --------------------------------------------------------------------------------

// out (rows, n_out) = x (rows, n_in) times weight (n_out, n_in). Four outputs at once: four sums
// grow side by side, and the processor need not wait for one addition to begin the next.
static void linear_forward(real *restrict out, const real *restrict x, const real *restrict weight,
                           int rows, int n_in, int n_out) {
    for (int t = 0; t < rows; t++, x += n_in, out += n_out) {
        int o = 0;
        for (; o + 4 <= n_out; o += 4) {
            const real *w = weight + o * n_in;
            real a = 0, b = 0, c = 0, d = 0;
            for (int i = 0; i < n_in; i++) {
                a += x[i] * w[i];
                b += x[i] * w[n_in + i];
                c += x[i] * w[2 * n_in + i];
                d += x[i] * w[3 * n_in + i];
            }
            out[o] = a, out[o + 1] = b, out[o + 2] = c, out[o + 3] = d;
        }
        for (; o < n_out; o++) {
            real a = 0;
            for (int i = 0; i < n_in; i++) a += x[i] * weight[o * n_in + i];
            out[o] = a;
        }
    }
}

// The innermost loops run along a row, so neighbours in memory are handled together.
static void linear_backward(real *restrict dx, real *restrict dweight, const real *restrict dout,
                            const real *restrict x, const real *restrict weight,
                            int rows, int n_in, int n_out) {
    for (int t = 0; t < rows; t++, x += n_in, dx += n_in, dout += n_out) {
        for (int o = 0; o < n_out; o++) {
            const real d = dout[o];
            for (int i = 0; i < n_in; i++) {
                dx[i] += d * weight[o * n_in + i];
                dweight[o * n_in + i] += d * x[i];
            }
        }
    }
}

// Each row of x (rows, n) brought to a root mean square of 1; scale (rows) are the factors.
static void rmsnorm_forward(real *restrict out, real *restrict scale, const real *restrict x,
                            int rows, int n) {
    for (int t = 0; t < rows; t++, x += n, out += n) {
        real sum = 0;
        for (int i = 0; i < n; i++) sum += x[i] * x[i];
        scale[t] = 1 / sqrt(sum / n + (real)1e-5);
        for (int i = 0; i < n; i++) out[i] = x[i] * scale[t];
    }
}

// A change of x along out changes nothing but its length, which the norm takes away again.
static void rmsnorm_backward(real *restrict dx, const real *restrict dout,
                             const real *restrict out, const real *restrict scale,
                             int rows, int n) {
    for (int t = 0; t < rows; t++, dx += n, dout += n, out += n) {
        real along = 0;
        for (int i = 0; i < n; i++) along += dout[i] * out[i];
        along /= n;
        for (int i = 0; i < n; i++) dx[i] += scale[t] * (dout[i] - along * out[i]);
    }
}

// In place: n scores become probabilities.
static void softmax(real *x, int n) {
    real largest = x[0], sum = 0;  // subtracting it keeps exp from overflowing, and cancels out
    for (int i = 1; i < n; i++) largest = x[i] > largest ? x[i] : largest;
    for (int i = 0; i < n; i++) sum += x[i] = exp(x[i] - largest);
    for (int i = 0; i < n; i++) x[i] /= sum;
}

// q, k, v, out (T, C). weights (H, T, T): row t holds t + 1 numbers, what position t asked for.
static void attention_forward(real *restrict out, real *restrict weights, const real *restrict q,
                              const real *restrict k, const real *restrict v,
                              int T, int C, int H) {
    const int size = C / H;
    const real scale = 1 / sqrt((real)size);
    memset(out, 0, sizeof(real) * T * C);
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            real *row = weights + (h * T + t) * T, *o = out + t * C + h * size;
            const real *ask = q + t * C + h * size;
            for (int s = 0; s <= t; s++) {
                const real *key = k + s * C + h * size;
                real score = 0;
                for (int i = 0; i < size; i++) score += ask[i] * key[i];
                row[s] = score * scale;
            }
            softmax(row, t + 1);
            for (int s = 0; s <= t; s++) {
                const real *value = v + s * C + h * size;
                for (int i = 0; i < size; i++) o[i] += row[s] * value[i];
            }
        }
    }
}

static void attention_backward(real *restrict dq, real *restrict dk, real *restrict dv,
                               const real *restrict dout, const real *restrict weights,
                               const real *restrict q, const real *restrict k,
                               const real *restrict v, real *restrict dweights,
                               int T, int C, int H) {
    const int size = C / H;
    const real scale = 1 / sqrt((real)size);
    for (int h = 0; h < H; h++) {
        for (int t = 0; t < T; t++) {
            const int at = t * C + h * size;
            const real *row = weights + (h * T + t) * T, *d = dout + at;
            real mean = 0;
            for (int s = 0; s <= t; s++) {
                const int from = s * C + h * size;
                real sum = 0;
                for (int i = 0; i < size; i++) sum += d[i] * v[from + i];
                for (int i = 0; i < size; i++) dv[from + i] += row[s] * d[i];
                dweights[s] = sum;
                mean += row[s] * sum;
            }
            for (int s = 0; s <= t; s++) {  // a softmax feels differences only: so minus the mean
                const int from = s * C + h * size;
                const real dscore = row[s] * (dweights[s] - mean) * scale;
                for (int i = 0; i < size; i++) dq[at + i] += dscore * k[from + i];
                for (int i = 0; i < size; i++) dk[from + i] += dscore * q[at + i];
            }
        }
    }
}

// ---- the model -----------------------------------------------------------------------------

typedef struct {  // one layer's matrices, or their gradients
    real *wq, *wk, *wv, *wo, *fc1, *fc2;
} Weights;

typedef struct {  // what a layer's forward leaves for its backward
    real *h1, *scale1, *q, *k, *v, *weights, *mixed, *x_middle, *h2, *scale2, *hidden;
} Kept;

typedef struct {
    int V, T, C, L, H;  // vocab_size, block_size, n_embd, n_layer, n_head
    int num_params;
    real *wte, *wpe, *lm_head, *dwte, *dwpe, *dlm_head;
    Weights *w, *dw;
    Kept *kept;
    real *grads, *m, *v;                         // (num_params) each
    real *embedded, *scale, *x0, *x, *logits;    // x: (L, T, C), the stream after each layer
    real *dx, *dh, *da, *dq, *dk, *dv, *dhidden; // gradients on their way back
    real *row;                                   // (T), room for one row of weights
} Model;

// Whether an int is enough to count the numbers in any one piece of memory, and the parameters.
static int countable(const Model *g) {
    const double V = g->V, T = g->T, C = g->C, params = (2 * V + T) * C + 12 * C * C * g->L;
    return params <= INT_MAX && T * T * g->H <= INT_MAX && T * V <= INT_MAX && T * 4 * C <= INT_MAX;
}

// Cuts `count` numbers off the block at *next. With next == NULL it only counts, into *total.
static real *cut(real **next, size_t *total, size_t count) {
    real *piece = *next;
    *total += count;
    if (*next) *next += count;
    return piece;
}

// The order of the matrices is that of the state_dict.
static void place_params(const Model *g, real **next, size_t *total, real **wte, real **wpe,
                         real **lm_head, Weights *w) {
    const size_t C = g->C;
    *wte = cut(next, total, g->V * C);
    *wpe = cut(next, total, g->T * C);
    *lm_head = cut(next, total, g->V * C);
    for (int l = 0; l < g->L; l++) {
        w[l].wq = cut(next, total, C * C), w[l].wk = cut(next, total, C * C);
        w[l].wv = cut(next, total, C * C), w[l].wo = cut(next, total, C * C);
        w[l].fc1 = cut(next, total, 4 * C * C), w[l].fc2 = cut(next, total, 4 * C * C);
    }
}

// The whole memory plan: every piece of the block, in order. Returns how many numbers it takes.
static size_t place(Model *g, real *block) {
    const size_t T = g->T, C = g->C, H = g->H;
    size_t total = 0;
    real **next = &block;
    g->grads = block;
    place_params(g, next, &total, &g->dwte, &g->dwpe, &g->dlm_head, g->dw);
    g->num_params = (int)total;
    g->m = cut(next, &total, g->num_params), g->v = cut(next, &total, g->num_params);
    g->embedded = cut(next, &total, T * C), g->scale = cut(next, &total, T);
    g->x0 = cut(next, &total, T * C), g->x = cut(next, &total, g->L * T * C);
    for (int l = 0; l < g->L; l++) {
        Kept *a = &g->kept[l];
        a->h1 = cut(next, &total, T * C), a->scale1 = cut(next, &total, T);
        a->q = cut(next, &total, T * C), a->k = cut(next, &total, T * C);
        a->v = cut(next, &total, T * C), a->weights = cut(next, &total, H * T * T);
        a->mixed = cut(next, &total, T * C), a->x_middle = cut(next, &total, T * C);
        a->h2 = cut(next, &total, T * C), a->scale2 = cut(next, &total, T);
        a->hidden = cut(next, &total, 4 * T * C);
    }
    g->logits = cut(next, &total, T * g->V), g->dx = cut(next, &total, T * C);
    g->dh = cut(next, &total, T * C), g->da = cut(next, &total, T * C);
    g->dq = cut(next, &total, T * C), g->dk = cut(next, &total, T * C);
    g->dv = cut(next, &total, T * C), g->dhidden = cut(next, &total, 4 * T * C);
    g->row = cut(next, &total, T);
    return total;
}

static void add_to(real *restrict x, const real *restrict y, int n) {
    for (int i = 0; i < n; i++) x[i] += y[i];
}

// The loss (nats) of n tokens, each predicted from those before it. Leaves the probabilities in
// logits.
static double forward(Model *g, const int *tokens, int n) {
    const int C = g->C, V = g->V;
    memcpy(g->embedded, g->wpe, sizeof(real) * n * C);
    for (int t = 0; t < n; t++) add_to(g->embedded + t * C, g->wte + tokens[t] * C, C);
    rmsnorm_forward(g->x0, g->scale, g->embedded, n, C);
    const real *x = g->x0;
    for (int l = 0; l < g->L; l++) {
        const Weights w = g->w[l];
        const Kept a = g->kept[l];
        real *x_next = g->x + (size_t)l * g->T * C;
        rmsnorm_forward(a.h1, a.scale1, x, n, C);
        linear_forward(a.q, a.h1, w.wq, n, C, C);
        linear_forward(a.k, a.h1, w.wk, n, C, C);
        linear_forward(a.v, a.h1, w.wv, n, C, C);
        attention_forward(a.mixed, a.weights, a.q, a.k, a.v, n, C, g->H);
        linear_forward(a.x_middle, a.mixed, w.wo, n, C, C);
        add_to(a.x_middle, x, n * C);
        rmsnorm_forward(a.h2, a.scale2, a.x_middle, n, C);
        linear_forward(a.hidden, a.h2, w.fc1, n, C, 4 * C);
        for (int i = 0; i < 4 * n * C; i++) a.hidden[i] = a.hidden[i] > 0 ? a.hidden[i] : 0;
        linear_forward(x_next, a.hidden, w.fc2, n, 4 * C, C);
        add_to(x_next, a.x_middle, n * C);
        x = x_next;
    }
    linear_forward(g->logits, x, g->lm_head, n, C, V);
    double loss = 0;
    for (int t = 0; t < n; t++) {
        softmax(g->logits + t * V, V);
        loss -= log(g->logits[t * V + tokens[t + 1]]);
    }
    return loss / n;
}

// Adds the gradient of share * loss to the gradients. After forward(), with the same tokens.
static void backward(Model *g, const int *tokens, int n, double share) {
    const int C = g->C, V = g->V;
    const real scale = (real)(share / n);
    for (int t = 0; t < n; t++) {  // what the model expected, minus what happened
        for (int i = 0; i < V; i++) g->logits[t * V + i] *= scale;
        g->logits[t * V + tokens[t + 1]] -= scale;
    }
    memset(g->dx, 0, sizeof(real) * n * C);
    const real *last = g->x + (size_t)(g->L - 1) * g->T * C;
    linear_backward(g->dx, g->dlm_head, g->logits, last, g->lm_head, n, C, V);
    for (int l = g->L - 1; l >= 0; l--) {
        const Weights w = g->w[l], dw = g->dw[l];
        const Kept a = g->kept[l];
        // dx is the gradient of the stream: what passes the parts by, and what comes out of them.
        memset(g->dhidden, 0, sizeof(real) * 4 * n * C);
        linear_backward(g->dhidden, dw.fc2, g->dx, a.hidden, w.fc2, n, 4 * C, C);
        for (int i = 0; i < 4 * n * C; i++) g->dhidden[i] = a.hidden[i] > 0 ? g->dhidden[i] : 0;
        memset(g->dh, 0, sizeof(real) * n * C);
        linear_backward(g->dh, dw.fc1, g->dhidden, a.h2, w.fc1, n, C, 4 * C);
        rmsnorm_backward(g->dx, g->dh, a.h2, a.scale2, n, C);

        real *const zeroed[] = {g->da, g->dq, g->dk, g->dv, g->dh};
        for (int i = 0; i < 5; i++) memset(zeroed[i], 0, sizeof(real) * n * C);
        linear_backward(g->da, dw.wo, g->dx, a.mixed, w.wo, n, C, C);
        attention_backward(g->dq, g->dk, g->dv, g->da, a.weights, a.q, a.k, a.v, g->row, n, C,
                           g->H);
        linear_backward(g->dh, dw.wq, g->dq, a.h1, w.wq, n, C, C);
        linear_backward(g->dh, dw.wk, g->dk, a.h1, w.wk, n, C, C);
        linear_backward(g->dh, dw.wv, g->dv, a.h1, w.wv, n, C, C);
        rmsnorm_backward(g->dx, g->dh, a.h1, a.scale1, n, C);
    }
    memset(g->dh, 0, sizeof(real) * n * C);
    rmsnorm_backward(g->dh, g->dx, g->x0, g->scale, n, C);
    for (int t = 0; t < n; t++) {
        add_to(g->dwte + tokens[t] * C, g->dh + t * C, C);
        add_to(g->dwpe + t * C, g->dh + t * C, C);
    }
}

// ---- training ------------------------------------------------------------------------------

// Adam (Kingma and Ba, 2014), and the gradients back to 0. What all numbers share is computed once.
static void adam(real *restrict params, real *restrict grads, real *restrict m, real *restrict v,
                 int n, int step, double learning_rate) {
    const real rate = (real)(learning_rate / (1 - pow(0.85, step + 1)));
    const real fill = (real)(1 / (1 - pow(0.99, step + 1))), epsilon = (real)1e-8;
    for (int i = 0; i < n; i++) {
        m[i] = (real)0.85 * m[i] + (real)0.15 * grads[i];
        v[i] = (real)0.99 * v[i] + (real)0.01 * grads[i] * grads[i];
        params[i] -= rate * m[i] / (sqrt(v[i] * fill) + epsilon);
        grads[i] = 0;
    }
}

// Trains in place. sizes: vocab_size, block_size, n_embd, n_layer, n_head. params: the matrices in
// the order of the state_dict. Document d is tokens[starts[d]] up to tokens[starts[d + 1] - 1].
// Step s learns documents (s * batch_size + i) % num_docs; losses (num_steps) are in nats. Returns
// 0, or 1 where there is too little memory, or 2 for sizes that it cannot do.
int train(const int *sizes, real *params, const int *tokens, const int *starts, int num_docs,
          int num_steps, int batch_size, int total_steps, double *losses) {
    Model g = {.V = sizes[0], .T = sizes[1], .C = sizes[2], .L = sizes[3], .H = sizes[4]};
    if (g.V < 1 || g.T < 1 || g.C < 1 || g.L < 1 || g.H < 1 || g.C % g.H) return 2;
    if (num_docs < 1 || batch_size < 1 || !countable(&g)) return 2;
    g.w = malloc(sizeof(Weights) * g.L), g.dw = malloc(sizeof(Weights) * g.L);
    g.kept = malloc(sizeof(Kept) * g.L);
    real *block = NULL, *next = params;
    size_t total = 0;
    if (g.w && g.dw && g.kept) block = calloc(place(&g, NULL), sizeof(real));
    if (block) {
        place(&g, block);
        place_params(&g, &next, &total, &g.wte, &g.wpe, &g.lm_head, g.w);
        for (int step = 0; step < num_steps; step++) {
            losses[step] = 0;
            for (int i = 0; i < batch_size; i++) {
                const int doc = (int)(((long long)step * batch_size + i) % num_docs);
                const int *document = tokens + starts[doc];
                const int length = starts[doc + 1] - starts[doc] - 1;
                const int n = length < g.T ? length : g.T;
                losses[step] += forward(&g, document, n) / batch_size;
                backward(&g, document, n, 1.0 / batch_size);
            }
            const double rate = 0.01 * (1 - (double)step / total_steps);
            adam(params, g.grads, g.m, g.v, g.num_params, step, rate);
        }
    }
    free(block), free(g.kept), free(g.dw), free(g.w);
    return block ? 0 : 1;
}
