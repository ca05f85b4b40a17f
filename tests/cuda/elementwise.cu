// One thread, one element; grid-stride loops; functors; vector loads; strides; halves.
#include "check.h"

__global__ void vectorAdd(const float *A, const float *B, float *C, int numElements) {
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < numElements) {
        C[i] = A[i] + B[i] + 0.0f;
    }
}

__global__ void saxpy(int n, float a, const float *__restrict__ x, float *__restrict__ y) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
        y[i] = a * x[i] + y[i];
}

struct Relu {
    __device__ float operator()(float x) const { return x > 0.f ? x : 0.f; }
};
template <typename T, typename Op>
__global__ void __launch_bounds__(256) map(const T *in, T *out, size_t n, Op op) {
    const size_t tid = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (tid >= n) return;
    out[tid] = op(in[tid]);
}

__global__ void copy_float4(const float *in, float *out, int n) {
    int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx < n / 4) reinterpret_cast<float4 *>(out)[idx] = reinterpret_cast<const float4 *>(in)[idx];
}

__global__ void scale_float4(float4 *v, float a, int n4) {
    const int idx = blockIdx.x * blockDim.x + threadIdx.x;
    if (idx >= n4) return;
    float4 q = v[idx];
    q.x *= a; q.y *= a; q.z *= a; q.w *= a;
    v[idx] = q;
}

__global__ void strideCopy(const float *in, float *out, int stride) {
    int i = (blockIdx.x * blockDim.x + threadIdx.x) * stride;
    out[i] = in[i];
}

__global__ void offsetCopy(const float *in, float *out, int s) {
    int i = blockIdx.x * blockDim.x + threadIdx.x + s;
    out[i] = in[i];
}

__constant__ float coefficients[3];
__global__ void polynomial(const float *x, float *y, int n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = fmaf(fmaf(coefficients[2], __ldg(&x[i]), coefficients[1]), __ldg(x + i), coefficients[0]);
}

__global__ void hadd2_kernel(const half2 *a, const half2 *b, half2 *c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = __hadd2(a[i], b[i]);
}

__global__ void image_gray(const unsigned char *rgb, unsigned char *gray, int width, int height) {
    int col = threadIdx.x + blockIdx.x * blockDim.x, row = threadIdx.y + blockIdx.y * blockDim.y;
    if (col < width && row < height) {
        int at = row * width + col;
        gray[at] = (unsigned char)(0.21f * rgb[3 * at] + 0.71f * rgb[3 * at + 1] + 0.07f * rgb[3 * at + 2]);
    }
}

__global__ void stencil_1d(const int *in, int *out) {  // radius 3, as in NVIDIA's first course
    __shared__ int temp[128 + 2 * 3];
    int gindex = threadIdx.x + blockIdx.x * blockDim.x, lindex = threadIdx.x + 3;
    temp[lindex] = in[gindex];
    if (threadIdx.x < 3) {
        temp[lindex - 3] = in[gindex - 3];
        temp[lindex + 128] = in[gindex + 128];
    }
    __syncthreads();
    int result = 0;
    for (int offset = -3; offset <= 3; offset++) result += temp[lindex + offset];
    out[gindex] = result;
}

CASE(vectorAdd) {
    const int n = 1000;
    Floats a = numbers(n), b = numbers(n, 2), c(n);
    for (int i = 0; i < n; i++) c[i] = a[i] + b[i];
    float *dC = zeros<float>(n);
    LAUNCH(vectorAdd, (n + 255) / 256, 256)(to_device(a), to_device(b), dC, n);
    compare("vectorAdd", to_host(dC, n), c, 0);
}
CASE(saxpy) {
    const int n = 4096;
    Floats x = numbers(n), y = numbers(n, 2), z(n);
    for (int i = 0; i < n; i++) z[i] = 2 * x[i] + y[i];
    float *d = to_device(y);
    LAUNCH(saxpy, 3, 128)(n, 2.0f, to_device(x), d);
    compare("saxpy", to_host(d, n), z, 1e-6);
}
CASE(map) {
    const int n = 777;
    Floats x = numbers(n), y(n);
    for (int i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : 0;
    float *d = zeros<float>(n);
    LAUNCH((map<float, Relu>), dim3(4), dim3(256))(to_device(x), d, n, Relu());
    compare("map", to_host(d, n), y, 0);
}
CASE(copy_float4) {
    const int n = 1024;
    Floats x = numbers(n);
    float *d = zeros<float>(n);
    LAUNCH(copy_float4, 2, 128)(to_device(x), d, n);
    compare("copy_float4", to_host(d, n), x, 0);
}
CASE(scale_float4) {
    const int n = 512;
    Floats x = numbers(n), y(n);
    for (int i = 0; i < n; i++) y[i] = 3 * x[i];
    float *d = to_device(x);
    LAUNCH(scale_float4, 1, 128)((float4 *)d, 3.0f, n / 4);
    compare("scale_float4", to_host(d, n), y, 0);
}
CASE(strideCopy) {
    const int n = 256 * 8;
    Floats x = numbers(n), y(n);
    for (int i = 0; i < n; i += 8) y[i] = x[i];
    float *d = zeros<float>(n);
    LAUNCH(strideCopy, 2, 128)(to_device(x), d, 8);
    compare("strideCopy", to_host(d, n), y, 0);
}
CASE(offsetCopy) {
    const int n = 256;
    Floats x = numbers(n + 1), y = x;
    y[0] = 0;
    float *d = zeros<float>(n + 1);
    LAUNCH(offsetCopy, 2, 128)(to_device(x), d, 1);
    compare("offsetCopy", to_host(d, n + 1), y, 0);
}
CASE(polynomial) {
    const int n = 300;
    const float c[3] = {1, 2, 3};
    cudaMemcpyToSymbol(coefficients, c, sizeof c);
    Floats x = numbers(n), y(n);
    for (int i = 0; i < n; i++) y[i] = 1 + x[i] * (2 + x[i] * 3);
    float *d = zeros<float>(n);
    LAUNCH(polynomial, 3, 100)(to_device(x), d, n);
    compare("polynomial", to_host(d, n), y, 1e-6);
}
CASE(hadd2_kernel) {
    const int n = 256;
    std::vector<half> a(n), b(n);
    Floats c(n), got(n);
    for (int i = 0; i < n; i++) a[i] = __float2half(i * 0.25f), b[i] = __float2half(i * 0.5f), c[i] = i * 0.75f;
    half *d = zeros<half>(n);
    LAUNCH(hadd2_kernel, 1, 128)((half2 *)to_device(a), (half2 *)to_device(b), (half2 *)d, n / 2);
    std::vector<half> h = to_host(d, n);
    for (int i = 0; i < n; i++) got[i] = __half2float(h[i]);
    compare("hadd2_kernel", got, c, 0);
}
CASE(image_gray) {
    const int w = 37, h = 21;
    std::vector<unsigned char> rgb(3 * w * h), gray(w * h);
    for (size_t i = 0; i < rgb.size(); i++) rgb[i] = i * 7;
    for (int i = 0; i < w * h; i++) gray[i] = (unsigned char)(0.21f * rgb[3 * i] + 0.71f * rgb[3 * i + 1] + 0.07f * rgb[3 * i + 2]);
    unsigned char *d = zeros<unsigned char>(w * h);
    LAUNCH(image_gray, dim3(3, 2), dim3(16, 16))(to_device(rgb), d, w, h);
    compare("image_gray", to_host(d, w * h), gray, 1);
}
CASE(stencil_1d) {
    const int n = 512;
    std::vector<int> x(n + 6), y(n);
    for (int i = 0; i < n + 6; i++) x[i] = i * i % 17;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 7; j++) y[i] += x[i + j];
    int *d = zeros<int>(n);
    LAUNCH(stencil_1d, n / 128, 128)(to_device(x) + 3, d);
    compare("stencil_1d", to_host(d, n), y, 0);
}
