// adamw.cu: one step of AdamW on all parameters, in place.
//
//     m = beta1 m + (1 - beta1) g             the mean of the gradients of late
//     v = beta2 v + (1 - beta2) g^2           the mean of their squares
//     p = p - lr weight_decay p - lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
//
// `step` counts from 1. Each parameter is on its own: no sums, no neighbours, no shared memory.
// 4 numbers are read and 3 written, 28 bytes for some 15 operations: memory decides alone, and all
// there is to gain is how those bytes are asked for. Why one kernel: written with one array
// operation after the other, each of them reads and writes whole arrays, and the same step moves
// several times as many bytes.
//
//     version  idea                                      sectors read, written (each 8 parameters)
//     1        each thread a stretch of 32 parameters    32, 24
//     2        neighbours for neighbours: coalesced      4, 3
//     3        four numbers with one load                4, 3      1/4 the requests
//
// Sources: Kingma and Ba, "Adam" (2014); Loshchilov and Hutter, "Decoupled Weight Decay
// Regularization" (2017).
//
//     nvcc -O3 -arch=native adamw.cu -o adamw && ./adamw [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing adamw.cu -o adamw -ldl && ./adamw

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

void adamw_step_cpu(float *p, const float *g, float *m, float *v, int n, int step, float lr,
                    float beta1, float beta2, float eps, float weight_decay) {
    const double correction1 = 1 - pow(beta1, step), correction2 = 1 - pow(beta2, step);
    for (int i = 0; i < n; i++) {
        const double mean = beta1 * double(m[i]) + (1 - double(beta1)) * g[i];
        const double square = beta2 * double(v[i]) + (1 - double(beta2)) * g[i] * g[i];
        const double down = mean / correction1 / (sqrt(square / correction2) + eps);
        p[i] = float(p[i] - lr * (double(weight_decay) * p[i] + down));
        m[i] = float(mean), v[i] = float(square);
    }
}

// ---- the kernels -----------------------------------------------------------------------------

// What stays the same for all parameters of a step. The host computes the powers once, in double:
// near 1, a difference such as 1 - 0.999^step keeps only the last few digits of a float.
struct Step {
    float lr, beta1, beta2, eps, weight_decay, correction1, correction2;
};

// The results wait in registers until all are known. After `m = ...; v = ...;` the compiler would
// have to load m again: for all it knows, v stands in the same place.
__device__ void update(float &p, float g, float &m, float &v, const Step &s) {
    const float mean = s.beta1 * m + (1 - s.beta1) * g;
    const float square = s.beta2 * v + (1 - s.beta2) * g * g;
    const float down = mean / s.correction1 / (sqrtf(square / s.correction2) + s.eps);
    p -= s.lr * (s.weight_decay * p + down);
    m = mean, v = square;
}

// Version 1: as one would share work among the cores of a CPU, a stretch for each. There it is
// right: each core walks through its own cache lines. Here the lanes of a warp stand 32 numbers
// apart at every step, so that each of their loads touches 32 sectors.
constexpr int STRETCH = 32;

__global__ void adamw_1(float *p, const float *g, float *m, float *v, int n, Step s) {
    const size_t start = (size_t(blockIdx.x) * blockDim.x + threadIdx.x) * STRETCH;
    for (size_t i = start; i < start + STRETCH && i < size_t(n); i++)
        update(p[i], g[i], m[i], v[i], s);
}

// Version 2: thread i takes parameter i. A warp asks for 32 neighbours, four sectors.
__global__ void adamw_2(float *p, const float *g, float *m, float *v, int n, Step s) {
    const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < size_t(n)) update(p[i], g[i], m[i], v[i], s);
}

// Version 3: thread i takes four neighbours, with one load for each array. The last numbers, fewer
// than four, go one by one.
__global__ void adamw_3(float *p, const float *g, float *m, float *v, int n, Step s) {
    const size_t i = (size_t(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
    if (i + 4 > size_t(n)) {
        for (size_t j = i; j < size_t(n); j++) update(p[j], g[j], m[j], v[j], s);
        return;
    }
    float4 p4 = *(float4 *)(p + i), m4 = *(float4 *)(m + i), v4 = *(float4 *)(v + i);
    const float4 g4 = *(const float4 *)(g + i);
    update(p4.x, g4.x, m4.x, v4.x, s), update(p4.y, g4.y, m4.y, v4.y, s);
    update(p4.z, g4.z, m4.z, v4.z, s), update(p4.w, g4.w, m4.w, v4.w, s);
    *(float4 *)(p + i) = p4, *(float4 *)(m + i) = m4, *(float4 *)(v + i) = v4;
}

extern "C" int adamw_step(int version, float *params, const float *grads, float *m, float *v, int n,
                          int step, float lr, float beta1, float beta2, float eps,
                          float weight_decay) {
    if (n < 1 || step < 1) return 1;
    const Step s = {lr, beta1, beta2, eps, weight_decay, float(1 - pow(double(beta1), step)),
                    float(1 - pow(double(beta2), step))};
    const bool fours =
        in_fours(params, 4) && in_fours(grads, 4) && in_fours(m, 4) && in_fours(v, 4);
    switch (version) {
        case 1: LAUNCH(adamw_1, ceil_div(n, 128 * STRETCH), 128)(params, grads, m, v, n, s); break;
        case 2: LAUNCH(adamw_2, ceil_div(n, 256), 256)(params, grads, m, v, n, s); break;
        case 3:
            if (!fours) return 1;
            LAUNCH(adamw_3, ceil_div(n, 1024), 256)(params, grads, m, v, n, s);
            break;
        default: return 1;
    }
    return launched();
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int n = ON_GPU ? 1 << 26 : 1 << 14, step = 3;
    const float lr = 0.01f, beta1 = 0.85f, beta2 = 0.99f, eps = 1e-8f, weight_decay = 0.1f;
    const Floats p = random_floats(n, 1), g = random_floats(n, 2), m = random_floats(n, 3);
    Floats v = random_floats(n, 4);
    for (float &x : v) x *= x;
    Floats p2 = p, m2 = m, v2 = v;
    adamw_step_cpu(p2.data(), g.data(), m2.data(), v2.data(), n, step, lr, beta1, beta2, eps,
                   weight_decay);
    const float *g_gpu = on_device(g);
    float *p_gpu = on_device(p), *m_gpu = on_device(m), *v_gpu = on_device(v);
    const auto restore = [&] {  // the step is in place: each version begins with the same numbers
        cudaMemcpy(p_gpu, p.data(), n * sizeof(float), cudaMemcpyHostToDevice);
        cudaMemcpy(m_gpu, m.data(), n * sizeof(float), cudaMemcpyHostToDevice);
        cudaMemcpy(v_gpu, v.data(), n * sizeof(float), cudaMemcpyHostToDevice);
    };
    const auto launch = [&](int version) {
        return adamw_step(version, p_gpu, g_gpu, m_gpu, v_gpu, n, step, lr, beta1, beta2, eps,
                          weight_decay);
    };
    return each_version("adamw_step", only, launch,
                        {{"params", p_gpu, &p2}, {"m", m_gpu, &m2}, {"v", v_gpu, &v2}}, 1e-5,
                        28.0 * n, 0, restore);
}
