// Transposes (Harris, "An efficient matrix transpose") and matrix products, from naive to tiles in
// registers.
#include "check.h"

constexpr int TILE_DIM = 32, BLOCK_ROWS = 8;

__global__ void transposeNaive(float *odata, const float *idata) {
    int x = blockIdx.x * TILE_DIM + threadIdx.x, y = blockIdx.y * TILE_DIM + threadIdx.y;
    int width = gridDim.x * TILE_DIM;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS) odata[x * width + (y + j)] = idata[(y + j) * width + x];
}

template <int PAD> __global__ void transposeTile(float *odata, const float *idata) {
    __shared__ float tile[TILE_DIM][TILE_DIM + PAD];
    int x = blockIdx.x * TILE_DIM + threadIdx.x, y = blockIdx.y * TILE_DIM + threadIdx.y;
    int width = gridDim.x * TILE_DIM;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS) tile[threadIdx.y + j][threadIdx.x] = idata[(y + j) * width + x];
    __syncthreads();
    x = blockIdx.y * TILE_DIM + threadIdx.x;
    y = blockIdx.x * TILE_DIM + threadIdx.y;
    for (int j = 0; j < TILE_DIM; j += BLOCK_ROWS) odata[(y + j) * width + x] = tile[threadIdx.x][threadIdx.y + j];
}

__global__ void sgemm_naive(int M, int N, int K, const float *A, const float *B, float *C) {
    const uint x = blockIdx.x * blockDim.x + threadIdx.x;
    const uint y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < M && y < N) {
        float tmp = 0.0;
        for (int i = 0; i < K; ++i) tmp += A[x * K + i] * B[i * N + y];
        C[x * N + y] = tmp;
    }
}

template <const uint BLOCKSIZE>
__global__ void sgemm_coalesced(int M, int N, int K, const float *A, const float *B, float *C) {
    const int cRow = blockIdx.x * BLOCKSIZE + (threadIdx.x / BLOCKSIZE);
    const int cCol = blockIdx.y * BLOCKSIZE + (threadIdx.x % BLOCKSIZE);
    if (cRow < M && cCol < N) {
        float tmp = 0.0;
        for (int i = 0; i < K; ++i) tmp += A[cRow * K + i] * B[i * N + cCol];
        C[cRow * N + cCol] = tmp;
    }
}

#define TILE_WIDTH 16
__global__ void MatrixMulKernel(float *d_M, float *d_N, float *d_P, int Width) {
    __shared__ float Mds[TILE_WIDTH][TILE_WIDTH];
    __shared__ float Nds[TILE_WIDTH][TILE_WIDTH];
    int bx = blockIdx.x; int by = blockIdx.y;
    int tx = threadIdx.x; int ty = threadIdx.y;
    int Row = by * TILE_WIDTH + ty;
    int Col = bx * TILE_WIDTH + tx;
    float Pvalue = 0;
    for (int ph = 0; ph < Width / TILE_WIDTH; ++ph) {
        Mds[ty][tx] = d_M[Row * Width + ph * TILE_WIDTH + tx];
        Nds[ty][tx] = d_N[(ph * TILE_WIDTH + ty) * Width + Col];
        __syncthreads();
        for (int k = 0; k < TILE_WIDTH; ++k) Pvalue += Mds[ty][k] * Nds[k][tx];
        __syncthreads();
    }
    d_P[Row * Width + Col] = Pvalue;
}

__global__ void matmul_edges(const float *a, const float *b, float *c, int m, int n, int k, int tile) {
    extern __shared__ float shared_mem[];  // both tiles in one
    float *As = shared_mem, *Bs = &shared_mem[tile * tile];
    int row = blockIdx.y * tile + threadIdx.y, col = blockIdx.x * tile + threadIdx.x;
    float acc = 0.f;
    for (int t = 0; t < (k + tile - 1) / tile; t++) {
        As[threadIdx.y * tile + threadIdx.x] = row < m && t * tile + threadIdx.x < k ? a[row * k + t * tile + threadIdx.x] : 0.f;
        Bs[threadIdx.y * tile + threadIdx.x] = col < n && t * tile + threadIdx.y < k ? b[(t * tile + threadIdx.y) * n + col] : 0.f;
        __syncthreads();
        for (int i = 0; i < tile; i++) acc += As[threadIdx.y * tile + i] * Bs[i * tile + threadIdx.x];
        __syncthreads();
    }
    if (row < m && col < n) c[row * n + col] = acc;
}

// Two buffers: the next tile is loaded while this one is used, one barrier a tile.
__global__ void matmul_double_buffer(const float *A, const float *B, float *C, int N) {
    __shared__ float As[2][16][16], Bs[2][16][16];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 16 + ty, col = blockIdx.x * 16 + tx;
    As[0][ty][tx] = A[row * N + tx];
    Bs[0][ty][tx] = B[ty * N + col];
    float acc = 0;
    for (int t = 0, now = 0; t < N / 16; t++, now ^= 1) {
        __syncthreads();
        if (t + 1 < N / 16) {
            As[now ^ 1][ty][tx] = A[row * N + (t + 1) * 16 + tx];
            Bs[now ^ 1][ty][tx] = B[((t + 1) * 16 + ty) * N + col];
        }
        #pragma unroll
        for (int k = 0; k < 16; k++) acc = fmaf(As[now][ty][k], Bs[now][k][tx], acc);
    }
    C[row * N + col] = acc;
}

// float4 loads, A's tile turned, each thread 4 x 4 results in registers.
template <const int BM, const int BN, const int BK, const int TM, const int TN>
__global__ void __launch_bounds__((BM * BN) / (TM * TN), 1)
    sgemmVectorize(int M, int N, int K, float alpha, float *A, float *B, float beta, float *C) {
    const uint cRow = blockIdx.y, cCol = blockIdx.x;
    const int threadCol = threadIdx.x % (BN / TN), threadRow = threadIdx.x / (BN / TN);
    __shared__ float As[BM * BK];
    __shared__ float Bs[BK * BN];
    A += cRow * BM * K;
    B += cCol * BN;
    C += cRow * BM * N + cCol * BN;
    const uint innerRowA = threadIdx.x / (BK / 4), innerColA = threadIdx.x % (BK / 4);
    const uint innerRowB = threadIdx.x / (BN / 4), innerColB = threadIdx.x % (BN / 4);
    float threadResults[TM * TN] = {0.0};
    float regM[TM] = {0.0}, regN[TN] = {0.0};
    for (uint bkIdx = 0; bkIdx < K; bkIdx += BK) {
        float4 tmp = reinterpret_cast<float4 *>(&A[innerRowA * K + innerColA * 4])[0];
        As[(innerColA * 4 + 0) * BM + innerRowA] = tmp.x;
        As[(innerColA * 4 + 1) * BM + innerRowA] = tmp.y;
        As[(innerColA * 4 + 2) * BM + innerRowA] = tmp.z;
        As[(innerColA * 4 + 3) * BM + innerRowA] = tmp.w;
        reinterpret_cast<float4 *>(&Bs[innerRowB * BN + innerColB * 4])[0] =
            reinterpret_cast<float4 *>(&B[innerRowB * N + innerColB * 4])[0];
        __syncthreads();
        A += BK;
        B += BK * N;
        for (uint dotIdx = 0; dotIdx < BK; ++dotIdx) {
            for (uint i = 0; i < TM; ++i) regM[i] = As[dotIdx * BM + threadRow * TM + i];
            for (uint i = 0; i < TN; ++i) regN[i] = Bs[dotIdx * BN + threadCol * TN + i];
            for (uint m = 0; m < TM; ++m)
                for (uint n = 0; n < TN; ++n) threadResults[m * TN + n] += regM[m] * regN[n];
        }
        __syncthreads();
    }
    for (uint m = 0; m < TM; m += 1)
        for (uint n = 0; n < TN; n += 4) {
            float4 tmp = reinterpret_cast<float4 *>(&C[(threadRow * TM + m) * N + threadCol * TN + n])[0];
            tmp.x = alpha * threadResults[m * TN + n] + beta * tmp.x;
            tmp.y = alpha * threadResults[m * TN + n + 1] + beta * tmp.y;
            tmp.z = alpha * threadResults[m * TN + n + 2] + beta * tmp.z;
            tmp.w = alpha * threadResults[m * TN + n + 3] + beta * tmp.w;
            reinterpret_cast<float4 *>(&C[(threadRow * TM + m) * N + threadCol * TN + n])[0] = tmp;
        }
}

static Floats product(const Floats &a, const Floats &b, int m, int n, int k) {
    Floats c(m * n);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double s = 0;
            for (int l = 0; l < k; l++) s += double(a[i * k + l]) * b[l * n + j];
            c[i * n + j] = s;
        }
    return c;
}
static const int N = 64;
static Floats a = numbers(N * N), b = numbers(N * N, 2), c = product(a, b, N, N, N);
static Floats turned() {
    Floats t(N * N);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) t[j * N + i] = a[i * N + j];
    return t;
}
#define TRANSPOSE(name, kernel)                                                    \
    CASE(name) {                                                                   \
        float *d = zeros<float>(N * N);                                            \
        LAUNCH(kernel, dim3(2, 2), dim3(TILE_DIM, BLOCK_ROWS))(d, to_device(a));   \
        compare(#name, to_host(d, N * N), turned(), 0);                            \
    }
TRANSPOSE(transposeNaive, transposeNaive)
TRANSPOSE(transposeCoalesced, transposeTile<0>)
TRANSPOSE(transposeNoBankConflicts, transposeTile<1>)
#define MATMUL(name, kernel, grid, block, ...)                                     \
    CASE(name) {                                                                   \
        float *d = zeros<float>(N * N), *dA = to_device(a), *dB = to_device(b);    \
        LAUNCH((kernel), grid, block)(__VA_ARGS__);                                \
        compare(#name, to_host(d, N * N), c, 1e-4);                                \
    }
MATMUL(sgemm_naive, sgemm_naive, dim3(2, 2), dim3(32, 32), N, N, N, dA, dB, d)
MATMUL(sgemm_coalesced, sgemm_coalesced<32>, dim3(2, 2), 1024, N, N, N, dA, dB, d)
MATMUL(MatrixMulKernel, MatrixMulKernel, dim3(4, 4), dim3(16, 16), dA, dB, d, N)
MATMUL(matmul_double_buffer, matmul_double_buffer, dim3(4, 4), dim3(16, 16), dA, dB, d, N)
#define COMMAS sgemmVectorize<64, 64, 16, 4, 4>
MATMUL(sgemmVectorize, COMMAS, dim3(1, 1), 256, N, N, N, 1.f, dA, dB, 0.f, (cudaMemset(d, 0, 4 * N * N), d))
CASE(matmul_edges) {
    const int m = 13, n = 22, k = 35;
    Floats a = numbers(m * k), b = numbers(k * n, 5);
    float *d = zeros<float>(m * n);
    LAUNCH(matmul_edges, dim3((n + 7) / 8, (m + 7) / 8), dim3(8, 8), 2 * 8 * 8 * sizeof(float))(to_device(a), to_device(b), d, m, n, k, 8);
    compare("matmul_edges", to_host(d, m * n), product(a, b, m, n, k), 1e-4);
}
