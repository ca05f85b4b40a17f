// Rung 8 of the ladder: CUDA C++. The whole training step is two kernels, which stand here whole.
//
// What changed from the rung below. In Triton a program is written for a block of numbers, and the
// compiler gives each thread its share. Here a function says what one thread does, and we deal the
// work out ourselves: which thread computes which number, where a number waits until it is needed
// again, and when threads wait for each other.
//
// What it does with the GPU. A document is the work of one block of 256 threads. Its rows, one for
// each position and none for padding, stay in the block's shared memory from the embedding to the
// last gradient: through the large, slow memory of the device go only parameters, tokens, gradients
// and losses. Documents know nothing of each other, so the blocks of a batch run at the same time,
// on as many processors as there are. Each leaves the gradient of its documents in a slice of its
// own. Then `update` has a thread or more for each parameter: they add up the slices, and make
// Adam's step. A launch costs some microseconds, and in so little time this model's arithmetic is
// done; so there are two of them a step, not one for each layer's forward and backward. The host
// does not wait for any: it puts launches into a queue, and fetches all losses after the last step.
//
// Every sum has one thread, or one warp, that adds in a fixed order, and nothing is atomic. So the
// same run gives the same bits, whichever thread comes first.
//
// What it costs. With one document, one processor of a hundred or more has something to do: this
// program needs batches of hundreds. A block whose rows are too many for shared memory keeps them
// in global memory, and is slower.
//
// To compile: nvcc -O3 gpt.cu -o gpt && ./gpt 512, for batches of 512 documents. Without a GPU, and
// far slower: g++ -x c++ -std=c++17 -O2 -fno-strict-aliasing gpt.cu -o gpt -ldl
//
// Every layer is a pair, X_forward and X_backward; gradients are named dX. Shapes: n rows of one
// document, C = n_embd, V = vocab_size, T = block_size, H = n_head. A weight has rows of outputs
// over columns of inputs. All numbers are float32.

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef __CUDACC__
#include "../kernels/cuda/cuda_on_cpu.h"
#elif !defined(LAUNCH)
#define LAUNCH(kernel, ...) kernel<<<__VA_ARGS__>>>
#endif

constexpr int THREADS = 256, WARPS = THREADS / 32;  // of the block of a document
constexpr int MOST_BLOCKS = 512;       // of them; in a larger batch, each takes several documents
constexpr int BLOCKS_A_PROCESSOR = 3;  // at least so many at a time: limits a thread's registers
constexpr int ADDERS = 8;              // threads that share the sum over the slices

// ---- what threads do together ----------------------------------------------------------------

// The sum, or the largest, of a number that each of the warp's 32 lanes has; all lanes get it.
__device__ float warp_sum(float x) {
    for (int other = 16; other > 0; other /= 2) x += __shfl_xor_sync(0xffffffff, x, other);
    return x;
}

__device__ float warp_max(float x) {
    for (int other = 16; other > 0; other /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, other));
    return x;
}

// By one thread: the dot product of two rows of n numbers, four in one load where they stand so.
__device__ float dot(const float *a, const float *b, int n) {
    float sum = 0;
    if (n % 4 == 0 && ((size_t)a | (size_t)b) % sizeof(float4) == 0) {
        for (int i = 0; i < n; i += 4) {
            const float4 x = *(const float4 *)(a + i), y = *(const float4 *)(b + i);
            sum += x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w;
        }
        return sum;
    }
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// By one thread: the dot product of two columns; a step down is `a_step` or `b_step` numbers.
__device__ float dot(const float *a, int a_step, const float *b, int b_step, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += a[i * a_step] * b[i * b_step];
    return sum;
}

// ---- layers ----------------------------------------------------------------------------------
// All threads of a block call these together, and each ends with a barrier: what it has written
// may be read from there on. `first` tells whether gradients are written, or added to what an
// earlier document has left.

__device__ void embedding_forward(float *x, const float *wte, const float *wpe, const int *tokens,
                                  int n, int C) {
    for (int i = threadIdx.x; i < n * C; i += THREADS)
        x[i] = wte[tokens[i / C] * C + i % C] + wpe[i];
    __syncthreads();
}

// The same token may stand in several rows. So a thread does not ask where its row's gradient
// goes: it takes a number of the table, and asks which rows have used it.
__device__ void embedding_backward(float *dwte, float *dwpe, const float *dx, const int *tokens,
                                   int n, int C, int V, int T, bool first) {
    for (int i = threadIdx.x; i < V * C; i += THREADS) {
        float sum = first ? 0 : dwte[i];
        for (int t = 0; t < n; t++)
            if (tokens[t] == i / C) sum += dx[t * C + i % C];
        dwte[i] = sum;
    }
    for (int i = threadIdx.x; i < T * C; i += THREADS)
        dwpe[i] = (first ? 0 : dwpe[i]) + (i < n * C ? dx[i] : 0);
    __syncthreads();
}

// A warp for each row of x (n, C): brought to a root mean square of 1; scale (n) are the factors.
__device__ void rmsnorm_forward(float *out, float *scale, const float *x, int n, int C) {
    const int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < n; t += WARPS) {
        float sum = 0;
        for (int i = t * C + lane; i < (t + 1) * C; i += 32) sum += x[i] * x[i];
        const float factor = 1 / sqrtf(warp_sum(sum) / C + 1e-5f);
        for (int i = t * C + lane; i < (t + 1) * C; i += 32) out[i] = x[i] * factor;
        if (lane == 0) scale[t] = factor;
    }
    __syncthreads();
}

// A change of x along out changes nothing but its length, which the norm takes away again. dx is
// stream (n, C) plus the gradient; stream may be dx itself, or null for 0.
__device__ void rmsnorm_backward(float *dx, const float *stream, const float *dout,
                                 const float *out, const float *scale, int n, int C) {
    const int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < n; t += WARPS) {
        float along = 0;
        for (int i = t * C + lane; i < (t + 1) * C; i += 32) along += dout[i] * out[i];
        along = warp_sum(along) / C;
        for (int i = t * C + lane; i < (t + 1) * C; i += 32)
            dx[i] = (stream ? stream[i] : 0) + scale[t] * (dout[i] - along * out[i]);
    }
    __syncthreads();
}

// A thread for each number of out (n, n_out) = x (n, n_in) times weight (n_out, n_in); then a ReLU,
// or a residual (n, n_out) added. Threads side by side share a row of x.
__device__ void linear_forward(float *out, const float *x, const float *weight, int n, int n_in,
                               int n_out, const float *residual = nullptr, bool relu = false) {
    for (int i = threadIdx.x; i < n * n_out; i += THREADS) {
        const float y = dot(x + i / n_out * n_in, weight + i % n_out * n_in, n_in);
        out[i] = relu ? fmaxf(y, 0) : residual ? residual[i] + y : y;
    }
    __syncthreads();
}

// A thread for each number of dx (n, n_in), then one for each of dweight (n_out, n_in): threads
// side by side read neighbours of weight, and of x. relu: x has come out of a ReLU.
__device__ void linear_backward(float *dx, float *dweight, const float *dout, const float *x,
                                const float *weight, int n, int n_in, int n_out, bool first,
                                bool relu = false) {
    for (int i = threadIdx.x; i < n * n_in; i += THREADS) {
        const float d = dot(dout + i / n_in * n_out, 1, weight + i % n_in, n_in, n_out);
        dx[i] = relu && x[i] <= 0 ? 0 : d;
    }
    for (int i = threadIdx.x; i < n_out * n_in; i += THREADS) {
        const float d = dot(dout + i / n_in, n_out, x + i % n_in, n_in, n);
        dweight[i] = first ? d : dweight[i] + d;
    }
    __syncthreads();
}

// qkv (n, 3C): a row holds a position's queries, keys and values, head after head. out (n, C).
// weights (H, T, T): row t holds t + 1 numbers, what position t asked for. A warp for each row,
// then a thread for each number of out.
__device__ void attention_forward(float *out, float *weights, const float *qkv, int n, int C, int T,
                                  int H) {
    const int size = C / H, lane = threadIdx.x % 32;
    const float scale = 1 / sqrtf(size);
    for (int i = threadIdx.x / 32; i < n * H; i += WARPS) {
        const int t = i / H, h = i % H;
        const float *q = qkv + t * 3 * C + h * size, *k = qkv + C + h * size;
        float *row = weights + (h * T + t) * T, largest = -INFINITY, sum = 0;
        for (int s = lane; s <= t; s += 32) {
            row[s] = dot(q, k + s * 3 * C, size) * scale;
            largest = fmaxf(largest, row[s]);
        }
        largest = warp_max(largest);  // subtracting it keeps exp from overflowing, and cancels out
        for (int s = lane; s <= t; s += 32) sum += row[s] = expf(row[s] - largest);
        sum = warp_sum(sum);
        for (int s = lane; s <= t; s += 32) row[s] /= sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n * C; i += THREADS) {
        const int t = i / C, c = i % C;
        const float *row = weights + (c / size * T + t) * T, *v = qkv + 2 * C + c;
        out[i] = dot(row, 1, v, 3 * C, t + 1);
    }
    __syncthreads();
}

// dscores (H, T, T) is room of the same form as weights.
__device__ void attention_backward(float *dqkv, float *dscores, const float *dout,
                                   const float *weights, const float *qkv, int n, int C, int T,
                                   int H) {
    const int size = C / H, lane = threadIdx.x % 32;
    const float scale = 1 / sqrtf(size);
    for (int i = threadIdx.x / 32; i < n * H; i += WARPS) {
        const int t = i / H, h = i % H, at = (h * T + t) * T;
        const float *d = dout + t * C + h * size, *v = qkv + 2 * C + h * size;
        float mean = 0;
        for (int s = lane; s <= t; s += 32) {
            dscores[at + s] = dot(d, v + s * 3 * C, size);
            mean += weights[at + s] * dscores[at + s];
        }
        mean = warp_sum(mean);  // a softmax feels differences only: so minus the mean
        for (int s = lane; s <= t; s += 32)
            dscores[at + s] = weights[at + s] * (dscores[at + s] - mean) * scale;
    }
    __syncthreads();
    // A query looks back, at rows 0 ... t; a key or a value is looked at by rows t ... n - 1.
    for (int i = threadIdx.x; i < n * 3 * C; i += THREADS) {
        const int t = i / (3 * C), part = i / C % 3, c = i % C, square = c / size * T * T;
        const float *q = qkv + c, *k = q + C, *d = dscores + square, *w = weights + square;
        if (part == 0) dqkv[i] = dot(d + t * T, 1, k, 3 * C, t + 1);
        if (part == 1) dqkv[i] = dot(d + t * T + t, T, q + t * 3 * C, 3 * C, n - t);
        if (part == 2) dqkv[i] = dot(w + t * T + t, T, dout + t * C + c, C, n - t);
    }
    __syncthreads();
}

// A warp for each row of logits (n, V), which becomes its gradient: what the model expected, minus
// what happened, times share. losses (n) in nats, times share.
__device__ void cross_entropy(float *losses, float *logits, const int *targets, float share, int n,
                              int V) {
    const int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < n; t += WARPS) {
        float *row = logits + t * V, largest = -INFINITY, sum = 0;
        for (int i = lane; i < V; i += 32) largest = fmaxf(largest, row[i]);
        largest = warp_max(largest);
        for (int i = lane; i < V; i += 32) sum += expf(row[i] - largest);
        sum = warp_sum(sum);
        if (lane == 0) losses[t] = (logf(sum) + largest - row[targets[t]]) * share;
        __syncwarp();  // lane 0 has read what another lane now overwrites
        for (int i = lane; i < V; i += 32)
            row[i] = (expf(row[i] - largest) / sum - (i == targets[t])) * share;
    }
    __syncthreads();
}

// ---- the model -------------------------------------------------------------------------------

struct Sizes {
    int V, T, C, L, H;  // vocab_size, block_size, n_embd, n_layer, n_head
    __host__ __device__ int num_params() const { return (2 * V + T) * C + 12 * C * C * L; }
    // Floats from one slice to the next: the gradients, the loss, and filled up to whole lines.
    __host__ __device__ size_t slice() const { return (num_params() / 32 + 1) * (size_t)32; }
};

// Where the matrices of layer l stand, in the order of the state_dict; or their gradients. wq, wk
// and wv follow each other, so they are used as one: wqkv (3C, C).
template <class Number> struct Matrices {
    Number *wte, *wpe, *lm_head, *wqkv, *wo, *fc1, *fc2;
    __device__ Matrices(const Sizes &g, Number *params, int l) {
        const int square = g.C * g.C;
        wte = params, wpe = wte + g.V * g.C, lm_head = wpe + g.T * g.C;
        wqkv = lm_head + g.V * g.C + 12 * square * l;
        wo = wqkv + 3 * square, fc1 = wo + square, fc2 = fc1 + 4 * square;
    }
};

// A block's memory plan: what layer l of one document leaves for its backward, and the gradients
// on their way back. With memory == nullptr it only counts.
struct Room {
    float *x, *x_next, *h1, *qkv, *weights, *mixed, *middle, *h2, *hidden;  // from x to x_next
    float *scale, *scale1, *scale2, *logits, *losses;
    float *dx, *dh, *dmixed, *dqkv, *dscores, *dhidden;
    size_t count = 0;  // in floats
    __host__ __device__ Room(const Sizes &g, float *memory, int l) {
        const int T = g.T, C = g.C;
        x = cut(memory, T * C, g.L + 1, l), x_next = x + T * C;  // x, middle: the stream
        h1 = cut(memory, T * C, g.L, l), h2 = cut(memory, T * C, g.L, l);
        qkv = cut(memory, 3 * T * C, g.L, l), weights = cut(memory, g.H * T * T, g.L, l);
        mixed = cut(memory, T * C, g.L, l), middle = cut(memory, T * C, g.L, l);
        hidden = cut(memory, 4 * T * C, g.L, l), scale = cut(memory, T);
        scale1 = cut(memory, T, g.L, l), scale2 = cut(memory, T, g.L, l);
        logits = cut(memory, T * g.V), losses = cut(memory, T);
        dx = cut(memory, T * C), dh = cut(memory, T * C), dmixed = cut(memory, T * C);
        dqkv = cut(memory, 3 * T * C), dscores = cut(memory, g.H * T * T);
        dhidden = cut(memory, 4 * T * C);
    }
    // Piece l of so many. A piece begins where a float4 may stand, if its size is a multiple of 4.
    __host__ __device__ float *cut(float *memory, int size, int pieces = 1, int l = 0) {
        const size_t at = count + (size_t)size * l;
        count += ((size_t)size * pieces + 3) / 4 * 4;
        return memory ? memory + at : nullptr;
    }
};

// Leaves logits (n, V) for n tokens.
__device__ void forward(const Sizes &g, float *memory, const float *params, const int *tokens,
                        int n) {
    const int C = g.C;
    const Room r(g, memory, 0);
    const Matrices<const float> p(g, params, 0);
    embedding_forward(r.x, p.wte, p.wpe, tokens, n, C);
    rmsnorm_forward(r.x, r.scale, r.x, n, C);
    for (int l = 0; l < g.L; l++) {
        const Room a(g, memory, l);
        const Matrices<const float> w(g, params, l);
        rmsnorm_forward(a.h1, a.scale1, a.x, n, C);
        linear_forward(a.qkv, a.h1, w.wqkv, n, C, 3 * C);
        attention_forward(a.mixed, a.weights, a.qkv, n, C, g.T, g.H);
        linear_forward(a.middle, a.mixed, w.wo, n, C, C, a.x);
        rmsnorm_forward(a.h2, a.scale2, a.middle, n, C);
        linear_forward(a.hidden, a.h2, w.fc1, n, C, 4 * C, nullptr, true);
        linear_forward(a.x_next, a.hidden, w.fc2, n, 4 * C, C, a.middle);
    }
    const Room last(g, memory, g.L - 1);
    linear_forward(r.logits, last.x_next, p.lm_head, n, C, g.V);
}

// From dlogits, in the place of logits, to the gradient of every parameter.
__device__ void backward(const Sizes &g, float *memory, const float *params, float *grads,
                         const int *tokens, int n, bool first) {
    const int C = g.C;
    const Room r(g, memory, 0), last(g, memory, g.L - 1);
    const Matrices<const float> p(g, params, 0);
    const Matrices<float> dp(g, grads, 0);
    // dx is the gradient of the stream: what passes the parts by, and what comes out of them.
    linear_backward(r.dx, dp.lm_head, r.logits, last.x_next, p.lm_head, n, C, g.V, first);
    for (int l = g.L - 1; l >= 0; l--) {
        const Room a(g, memory, l);
        const Matrices<const float> w(g, params, l);
        const Matrices<float> dw(g, grads, l);
        linear_backward(r.dhidden, dw.fc2, r.dx, a.hidden, w.fc2, n, 4 * C, C, first, true);
        linear_backward(r.dh, dw.fc1, r.dhidden, a.h2, w.fc1, n, C, 4 * C, first);
        rmsnorm_backward(r.dx, r.dx, r.dh, a.h2, a.scale2, n, C);
        linear_backward(r.dmixed, dw.wo, r.dx, a.mixed, w.wo, n, C, C, first);
        attention_backward(r.dqkv, r.dscores, r.dmixed, a.weights, a.qkv, n, C, g.T, g.H);
        linear_backward(r.dh, dw.wqkv, r.dqkv, a.h1, w.wqkv, n, C, 3 * C, first);
        rmsnorm_backward(r.dx, r.dx, r.dh, a.h1, a.scale1, n, C);
    }
    rmsnorm_backward(r.dx, nullptr, r.dx, r.x, r.scale, n, C);
    embedding_backward(dp.wte, dp.wpe, r.dx, tokens, n, C, g.V, g.T, first);
}

// ---- the two kernels -------------------------------------------------------------------------

// A block takes documents blockIdx.x, blockIdx.x + gridDim.x, ... of the batch, whose first is
// `first_doc`, and leaves the sum of their shares of gradient and loss in its slice. Their numbers
// stand in the block's part of `rooms`; where that is null, in shared memory. C and H: n_embd and
// n_head, if the compiler shall know them: it then unrolls the loops, and divides by shifting bits.
template <int C, int H>
__global__ void __launch_bounds__(THREADS, BLOCKS_A_PROCESSOR)
learn_documents(Sizes g, const float *params, float *slices, float *rooms, const int *tokens,
                const int *starts, int num_docs, int first_doc, int batch_size) {
    extern __shared__ float4 smem[];
    if (C) g.C = C, g.H = H;
    float *memory = (float *)smem;
    if (!C && rooms) memory = rooms + blockIdx.x * Room(g, nullptr, 0).count;
    float *slice = slices + blockIdx.x * g.slice();
    const Room r(g, memory, 0);
    for (int i = blockIdx.x; i < batch_size; i += gridDim.x) {
        const int doc = (int)(((unsigned)first_doc + i) % num_docs);
        const int *document = tokens + starts[doc];
        const int n = min(starts[doc + 1] - starts[doc] - 1, g.T);
        const bool first = i == (int)blockIdx.x;
        forward(g, memory, params, document, n);
        cross_entropy(r.losses, r.logits, document + 1, 1.0f / n / batch_size, n, g.V);
        if (threadIdx.x == 0) {
            float loss = first ? 0 : slice[g.num_params()];
            for (int t = 0; t < n; t++) loss += r.losses[t];
            slice[g.num_params()] = loss;
        }
        backward(g, memory, params, slice, document, n, first);
    }
}

// Adam (Kingma and Ba, 2014). Thread x of a block has a parameter, whose slices it shares with the
// other threads x along y. The loss is added up like one parameter more.
__global__ void update(int num_params, float *params, float *m, float *v, double *loss,
                       const float *slices, int num_slices, size_t slice, float rate, float fill) {
    __shared__ float sums[ADDERS][32];
    const int i = blockIdx.x * 32 + threadIdx.x;  // a slice is filled up, so each i has a place
    float grad = 0;
    for (int s = threadIdx.y; s < num_slices; s += blockDim.y) grad += slices[s * slice + i];
    sums[threadIdx.y][threadIdx.x] = grad;
    __syncthreads();
    if (threadIdx.y > 0 || i > num_params) return;
    for (unsigned y = 1; y < blockDim.y; y++) grad += sums[y][threadIdx.x];
    if (i == num_params) {
        *loss = grad;
        return;
    }
    const float mean = 0.85f * m[i] + 0.15f * grad, square = 0.99f * v[i] + 0.01f * grad * grad;
    m[i] = mean, v[i] = square;
    params[i] -= rate * mean / (sqrtf(square * fill) + 1e-8f);
}

// ---- training --------------------------------------------------------------------------------

static char sentence[4096];

// What went wrong when `train` returned 3.
extern "C" const char *launch_error() { return sentence; }

// Asks after each launch whether it has failed, without waiting for it, and says so in a sentence.
static bool failed(const char *what) {
    const cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) return false;
    snprintf(sentence, sizeof sentence, "gpt.cu, %s: %s.", what, cudaGetErrorString(error));
    fprintf(stderr, "%s\n", sentence);
    return true;
}

// Memory of the device, freed with its owner: room for n numbers (null for 0), or a copy of the
// host's.
template <class Number> struct Array {
    Number *data = nullptr;
    explicit Array(size_t n, const Number *host = nullptr) {
        const size_t bytes = n * sizeof(Number);
        if (n && cudaMalloc(&data, bytes) == cudaSuccess && host)
            cudaMemcpy(data, host, bytes, cudaMemcpyHostToDevice);
    }
    Array(const Array &) = delete;
    ~Array() { cudaFree(data); }
};

// Whether an int is enough to count the numbers in any one piece of memory, and the parameters.
static bool countable(const Sizes &g) {
    const double V = g.V, T = g.T, C = g.C, params = (2 * V + T) * C + 12 * C * C * g.L;
    return params < INT_MAX - 32 && T * T * g.H <= INT_MAX && T * V <= INT_MAX &&
           T * 4 * C <= INT_MAX;
}

// Trains in place; all pointers are the host's. sizes: vocab_size, block_size, n_embd, n_layer,
// n_head. params: the matrices in the order of the state_dict. Document d is tokens[starts[d]] up
// to tokens[starts[d + 1] - 1]. Step s learns documents (s * batch_size + i) % num_docs; losses
// (num_steps) are in nats. Returns 0, or 1 where there is too little memory, 2 for sizes that it
// cannot do, 3 where the GPU has failed.
extern "C" int train(const int *sizes, float *params, const int *tokens, const int *starts,
                     int num_docs, int num_steps, int batch_size, int total_steps,
                     double *losses) {
    const Sizes g = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
    if (g.V < 1 || g.T < 1 || g.C < 1 || g.L < 1 || g.H < 1 || g.C % g.H) return 2;
    if (num_docs < 1 || batch_size < 1 || !countable(g)) return 2;
    const int num_params = g.num_params();
    const int blocks = batch_size < MOST_BLOCKS ? batch_size : MOST_BLOCKS;
    const size_t room = Room(g, nullptr, 0).count, bytes = room * sizeof(float);
    auto learn = g.C == 16 && g.H == 4 ? learn_documents<16, 4> : learn_documents<0, 0>;
    const auto most_shared = cudaFuncAttributeMaxDynamicSharedMemorySize;
    const bool shared = bytes < INT_MAX && !cudaFuncSetAttribute(learn, most_shared, (int)bytes);
    if (!shared) learn = learn_documents<0, 0>;
    cudaGetLastError();  // that shared memory is too small is no error
    Array<float> w(num_params, params), m(num_params), v(num_params), slices(blocks * g.slice());
    Array<float> rooms(shared ? 0 : blocks * room);
    Array<int> all_tokens(starts[num_docs], tokens), all_starts(num_docs + 1, starts);
    Array<double> all_losses(num_steps);
    if (cudaPeekAtLastError() == cudaErrorMemoryAllocation) return cudaGetLastError(), 1;
    cudaMemset(m.data, 0, num_params * sizeof(float));
    cudaMemset(v.data, 0, num_params * sizeof(float));
    if (failed("before the first step")) return 3;
    const dim3 pairs(32, blocks < ADDERS ? blocks : ADDERS);
    for (int step = 0; step < num_steps; step++) {
        const int first_doc = (int)((long long)step * batch_size % num_docs);
        const double rate = 0.01 * (1 - (double)step / total_steps) / (1 - pow(0.85, step + 1));
        LAUNCH(learn, blocks, THREADS, shared ? bytes : 0)
        (g, w.data, slices.data, rooms.data, all_tokens.data, all_starts.data, num_docs, first_doc,
         batch_size);
        if (failed("learn")) return 3;
        LAUNCH(update, num_params / 32 + 1, pairs)
        (num_params, w.data, m.data, v.data, all_losses.data + step, slices.data, blocks, g.slice(),
         (float)rate, (float)(1 / (1 - pow(0.99, step + 1))));
        if (failed("update")) return 3;
    }
    cudaMemcpy(params, w.data, num_params * sizeof(float), cudaMemcpyDeviceToHost);
    cudaMemcpy(losses, all_losses.data, num_steps * sizeof(double), cudaMemcpyDeviceToHost);
    return failed("after the last step") ? 3 : 0;
}

// As a program, on the model of the course and made-up documents: ./gpt [batch_size [num_steps]]
int main(int argc, char **argv) {
    const int batch_size = argc > 1 ? atoi(argv[1]) : 1;
    const int num_steps = argc > 2 ? atoi(argv[2]) : 1000;
    const int sizes[] = {27, 16, 16, 1, 4}, num_docs = 5000, length = 9, bos = 26;
    static float params[4192];
    static int tokens[num_docs * length], starts[num_docs + 1];
    for (float &w : params) w = 0.28f * rand() / RAND_MAX - 0.14f;  // as wide as the course's
    for (int i = 0; i < num_docs * length; i++)  // between two BOS, letters that rise by 1 to 3
        tokens[i] = i % length % 8 == 0 ? bos : (tokens[i - 1] + 1 + rand() % 3) % bos;
    for (int d = 0; d <= num_docs; d++) starts[d] = d * length;
    double *losses = (double *)calloc(num_steps + 1, sizeof(double));
    timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const int code = train(sizes, params, tokens, starts, num_docs, num_steps, batch_size,
                           num_steps, losses);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds = end.tv_sec - begin.tv_sec + 1e-9 * (end.tv_nsec - begin.tv_nsec);
    if (code == 0 && num_steps > 0)
        printf("loss %.4f -> %.4f, %.1f microseconds a step of %d documents, start included\n",
               losses[0], losses[num_steps - 1], 1e6 * seconds / num_steps, batch_size);
    free(losses);
    return code;
}
