// Numbers of 16 bits, and matrix products on tensor cores: a warp a tile, tiles in shared memory,
// every layout. The oracle is a loop over numbers that were rounded in double.
#include "check.h"
using namespace nvcuda;

// What a number becomes with `bits` bits after its leading one: nearest, ties to even (or away).
static float rounded(float x, int bits, bool away = false) {
    if (x == 0) return x;
    int e;
    const double unit = ldexp(1.0, (frexp(x, &e), e) - 1 - bits), q = fabs(x) / unit;
    double whole = floor(q);
    if (q - whole > 0.5 || (q - whole == 0.5 && (away || fmod(whole, 2) == 1))) whole += 1;
    return copysign(whole * unit, x);
}
static Floats rounded(Floats v, int bits, bool away = false) {
    for (float &x : v) x = rounded(x, bits, away);
    return v;
}
static Floats product(const Floats &a, const Floats &b, int M, int N, int K) {
    Floats c(M * N);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < K; k++) sum += double(a[i * K + k]) * b[k * N + j];
            c[i * N + j] = sum;
        }
    return c;
}
template <class T> static std::vector<T> as(const Floats &v) {
    return std::vector<T>(v.begin(), v.end());
}

// ---- 16 bits ----
template <class T> __global__ void squares(const T *x, T *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = __hfma(x[i], x[i], __hmul(x[i], T(0.5f)));
}
__global__ void axpy_bf162(const __nv_bfloat162 *x, __nv_bfloat162 *y, float a, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float2 u = __bfloat1622float2(x[i]), v = __bfloat1622float2(y[i]);
        y[i] = __floats2bfloat162_rn(a * u.x + v.x, a * u.y + v.y);
    }
}
template <class T> static void squares_of(const char *name, int bits) {
    const int n = 300;
    Floats x = rounded(numbers(n), bits), y(n);
    for (int i = 0; i < n; i++) y[i] = rounded(x[i] * x[i] + rounded(x[i] * 0.5f, bits), bits);
    T *d = zeros<T>(n);
    LAUNCH(squares<T>, 3, 128)(to_device(as<T>(x)), d, n);
    std::vector<T> got = to_host(d, n);
    compare(name, Floats(got.begin(), got.end()), y, 0);
}
CASE(squares_half) { squares_of<half>("squares_half", 10); }
CASE(squares_bf16) { squares_of<__nv_bfloat16>("squares_bf16", 7); }
CASE(axpy_bf162) {
    const int n = 256;
    Floats x = rounded(numbers(n), 7), y = rounded(numbers(n, 2), 7), z(n);
    for (int i = 0; i < n; i++) z[i] = rounded(3 * x[i] + y[i], 7);
    std::vector<__nv_bfloat16> v = as<__nv_bfloat16>(y);
    __nv_bfloat16 *d = to_device(v);
    LAUNCH(axpy_bf162, 1, 128)((__nv_bfloat162 *)to_device(as<__nv_bfloat16>(x)), (__nv_bfloat162 *)d, 3.0f, n / 2);
    v = to_host(d, n);
    compare("axpy_bf162", Floats(v.begin(), v.end()), z, 0);
}
CASE(every_half) {  // all 65,536: to float and back; and the middle between neighbours goes to the even one
    int wrong = 0;
    for (unsigned bits = 0; bits < 65536; bits++) {
        half h;
        memcpy(&h, &bits, 2);
        const float f = __half2float(h);
        const int e = bits >> 10 & 31;
        const double size = e ? ldexp(1024 + (bits & 1023), e - 25) : ldexp(bits & 1023, -24);
        if (e < 31) wrong += f != (bits >> 15 ? -size : size);
        else wrong += bits & 1023 ? f == f : !isinf(f);
        half back = __float2half(f), up;
        wrong += (bits & 0x7fff) <= 0x7c00 && memcmp(&back, &bits, 2);
        if ((bits & 0x7fff) >= 0x7bff) continue;
        const unsigned next = bits + 1, even = bits & 1 ? next : bits;
        memcpy(&up, &next, 2);
        half middle = __float2half((f + __half2float(up)) / 2);
        wrong += memcmp(&middle, &even, 2) != 0;
    }
    wrong += !isinf(__half2float(__float2half(65520.0f))) + (__half2float(__float2half(65519.0f)) != 65504);
    wrong += __half2float(__float2half(ldexpf(1, -26))) != 0;
    compare("every_half", std::vector<int>{wrong}, std::vector<int>{0}, 0);
}

// ---- tensor cores ----
// A warp a tile of 16 x 16 of C; K in steps, from global memory.
template <class T, class LA, class LB>
__global__ void wmma_simple(const T *a, const T *b, float *c, int M, int N, int K) {
    const int row = blockIdx.y * 16, col = blockIdx.x * 16;
    constexpr bool A_ROWS = std::is_same<LA, wmma::row_major>::value, B_ROWS = std::is_same<LB, wmma::row_major>::value;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, T, LA> a_frag;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, T, LB> b_frag;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc;
    wmma::fill_fragment(acc, 0.0f);
    for (int k = 0; k < K; k += 16) {
        wmma::load_matrix_sync(a_frag, A_ROWS ? a + row * K + k : a + k * M + row, A_ROWS ? K : M);
        wmma::load_matrix_sync(b_frag, B_ROWS ? b + k * N + col : b + col * K + k, B_ROWS ? N : K);
        wmma::mma_sync(acc, a_frag, b_frag, acc);
    }
    wmma::store_matrix_sync(c + row * N + col, acc, N, wmma::mem_row_major);
}

// Floats as TF32, four warps a block, tiles of 32 x 32 in padded shared memory; c = alpha a b + beta c.
__global__ void wmma_tf32(const float *a, const float *b, float *c, int M, int N, int K, float alpha, float beta) {
    __shared__ float As[32][16 + 4], Bs[16][32 + 8];
    const int warp = threadIdx.x / 32, wy = warp / 2 * 16, wx = warp % 2 * 16;
    const int row = blockIdx.y * 32, col = blockIdx.x * 32;
    wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 8, float> acc, old;
    wmma::fill_fragment(acc, 0.0f);
    for (int k0 = 0; k0 < K; k0 += 16) {
        for (int i = threadIdx.x; i < 32 * 16; i += blockDim.x) {
            As[i / 16][i % 16] = a[(row + i / 16) * K + k0 + i % 16];
            Bs[i / 32][i % 32] = b[(k0 + i / 32) * N + col + i % 32];
        }
        __syncthreads();
        for (int k = 0; k < 16; k += 8) {
            wmma::load_matrix_sync(fa, &As[wy][k], 20);
            wmma::load_matrix_sync(fb, &Bs[k][wx], 40);
            for (int t = 0; t < fa.num_elements; t++) fa.x[t] = wmma::__float_to_tf32(fa.x[t]);
            for (int t = 0; t < fb.num_elements; t++) fb.x[t] = wmma::__float_to_tf32(fb.x[t]);
            wmma::mma_sync(acc, fa, fb, acc);
        }
        __syncthreads();
    }
    float *tile = c + (row + wy) * N + col + wx;
    wmma::load_matrix_sync(old, tile, N, wmma::mem_row_major);
    for (int t = 0; t < acc.num_elements; t++) acc.x[t] = alpha * acc.x[t] + beta * old.x[t];
    wmma::store_matrix_sync(tile, acc, N, wmma::mem_row_major);
}

// Another shape, sums in half, and a result that is stored by columns.
__global__ void wmma_wide(const half *a, const half *b, half *c) {
    wmma::fragment<wmma::matrix_a, 32, 8, 16, half, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 32, 8, 16, half, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 32, 8, 16, half> acc;
    wmma::load_matrix_sync(acc, c, 32, wmma::mem_col_major);
    wmma::load_matrix_sync(fa, a, 16);
    wmma::load_matrix_sync(fb, b, 16);
    wmma::mma_sync(acc, fa, fb, acc);
    wmma::store_matrix_sync(c, acc, 32, wmma::mem_col_major);
}
static Floats turned(const Floats &v, int rows, int columns) {
    Floats t(v.size());
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) t[j * rows + i] = v[i * columns + j];
    return t;
}
static const int M = 32, N = 48, K = 64;
template <class T, class LA, class LB> static void simple(const char *name, int bits) {
    Floats a = rounded(numbers(M * K), bits), b = rounded(numbers(K * N, 2), bits);
    const Floats c = product(a, b, M, N, K);
    if (!std::is_same<LA, wmma::row_major>::value) a = turned(a, M, K);
    if (!std::is_same<LB, wmma::row_major>::value) b = turned(b, K, N);
    float *d = zeros<float>(M * N);
    LAUNCH((wmma_simple<T, LA, LB>), dim3(N / 16, M / 16), 32)(to_device(as<T>(a)), to_device(as<T>(b)), d, M, N, K);
    compare(name, to_host(d, M * N), c, 2e-5);
}
#define SIMPLE(name, T, bits, LA, LB) CASE(name) { simple<T, wmma::LA, wmma::LB>(#name, bits); }
SIMPLE(half_rows_rows, half, 10, row_major, row_major)
SIMPLE(half_rows_columns, half, 10, row_major, col_major)
SIMPLE(half_columns_rows, half, 10, col_major, row_major)
SIMPLE(bf16_columns_columns, __nv_bfloat16, 7, col_major, col_major)
CASE(wmma_tf32) {
    const int M = 32, N = 64, K = 48;
    Floats a = numbers(M * K), b = numbers(K * N, 2), c = numbers(M * N, 3), old = c;
    const Floats ab = product(rounded(a, 10, true), rounded(b, 10, true), M, N, K);
    for (int i = 0; i < M * N; i++) c[i] = 2 * ab[i] - c[i];
    float *d = to_device(old);
    LAUNCH(wmma_tf32, dim3(N / 32, M / 32), 128)(to_device(a), to_device(b), d, M, N, K, 2.0f, -1.0f);
    compare("wmma_tf32", to_host(d, M * N), c, 2e-5);
}
CASE(wmma_wide) {
    Floats a = rounded(numbers(32 * 16), 10), b = rounded(numbers(16 * 8, 2), 10), c = rounded(numbers(32 * 8, 3), 10);
    Floats sum = product(a, turned(b, 8, 16), 32, 8, 16), by_columns(32 * 8);
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 8; j++) by_columns[j * 32 + i] = rounded(sum[i * 8 + j] + c[j * 32 + i], 10);
    half *d = to_device(as<half>(c));
    LAUNCH(wmma_wide, 1, 32)(to_device(as<half>(a)), to_device(as<half>(b)), d);
    std::vector<half> got = to_host(d, 32 * 8);
    compare("wmma_wide", Floats(got.begin(), got.end()), by_columns, 4e-3);
}
