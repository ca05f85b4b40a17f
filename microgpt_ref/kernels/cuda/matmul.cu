// matmul.cu: out (M, N) = a (M, K) times b (K, N), all by rows.
//
//     out[i][j] = sum_k a[i][k] b[k][j]                             2 M N K operations
//
// Most kernels of this folder do a few operations for each byte; this one has 2 M N K of them for
// 4 (M K + K N + M N) bytes, hundreds for each byte when the sizes are in the thousands. Whether
// a kernel is anywhere near that depends on how often it reads the same number. A thread that
// computes one result reads a row of a and a column of b: 4 bytes for each operation. A tile of BM
// by BN results needs BM + BN numbers for each k, and makes BM BN multiply-adds of them:
//
//     bytes for each operation = 4 (BM + BN) / (2 BM BN)
//
// So versions 3 to 5 make the tile larger, at one level of the memory after the other.
//
//     version  idea                                   sectors read (whole tiles)  bytes/operation
//     1        one thread for each result             33 M N K / 32                4 (16.5 moved)
//     2        coalesced: lanes along a row of b      5 M N K / 32                 4 (2.5 moved)
//     3        tiles of 32 x 32 in shared memory      M N K / 128                  1/8
//     4        8 results of a column in registers     M N K / 256, tile 64 x 64    1/16
//     5        8 x 8 results in registers             M N K / 512, tile 128 x 128  1/32
//     6        four numbers with one load             the same, 1/4 the requests
//     7        tensor cores (tf32)                    the same
//
// From 3 on the second limit is shared memory. Version 3 reads two words of it for each
// multiply-add, version 4 reads 9/8, version 5 reads 1/4.
//
// Version 7 rounds a and b to tf32: the exponent of a float, 10 bits of fraction in place of 23. A
// tensor core multiplies such tiles in one instruction of a warp and adds in float. The error grows
// from 1e-7 to some 1e-3 of the typical term.
//
// Sources: versions 1 to 6 follow Boehm, "How to optimize a CUDA matmul kernel" (2022); the tile in
// shared memory is in the CUDA programming guide (2007), the one in registers in Volkov and Demmel,
// "Benchmarking GPUs to tune dense linear algebra" (2008). What cuBLAS does beyond: loads that run
// while the tensor cores compute, and Hopper's instructions for four warps at once.
//
//     nvcc -O3 -arch=native matmul.cu -o matmul && ./matmul [version]
//     g++ -x c++ -std=c++17 -O2 -g -fno-strict-aliasing matmul.cu -o matmul -ldl && ./matmul

#include "common.h"

// ---- the reference ---------------------------------------------------------------------------

void matmul_forward_cpu(float *out, const float *a, const float *b, int M, int N, int K) {
    std::vector<double> row(N);
    for (size_t i = 0; i < size_t(M); i++) {
        std::fill(row.begin(), row.end(), 0);
        for (size_t k = 0; k < size_t(K); k++)
            for (int j = 0; j < N; j++) row[j] += double(a[i * K + k]) * b[k * N + j];
        for (int j = 0; j < N; j++) out[i * N + j] = float(row[j]);
    }
}

// ---- one result for each thread --------------------------------------------------------------

constexpr int SIDE = 32;  // blocks of 32 x 32 threads, tiles of 32 x 32 results

// Version 1: threadIdx.x walks down the rows. Lanes of a warp read a in 32 different rows: 32
// sectors for each k, and write 32 sectors at the end. All of them read the same number of b.
__global__ void matmul_1(float *out, const float *a, const float *b, int M, int N, int K) {
    const int row = blockIdx.y * SIDE + threadIdx.x, col = blockIdx.x * SIDE + threadIdx.y;
    if (row >= M || col >= N) return;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += a[size_t(row) * K + k] * b[size_t(k) * N + col];
    out[size_t(row) * N + col] = sum;
}

// Version 2: threadIdx.x walks along the columns. The only change is who computes what. Lanes read
// 32 neighbours of b, four sectors, the same number of a, and write 32 neighbours.
__global__ void matmul_2(float *out, const float *a, const float *b, int M, int N, int K) {
    const int row = blockIdx.y * SIDE + threadIdx.y, col = blockIdx.x * SIDE + threadIdx.x;
    if (row >= M || col >= N) return;
    float sum = 0;
    for (int k = 0; k < K; k++) sum += a[size_t(row) * K + k] * b[size_t(k) * N + col];
    out[size_t(row) * N + col] = sum;
}

// Version 3: the 1,024 threads of a block need only 32 rows of a and 32 columns of b. They fetch
// them together, 32 values of k at a time, into shared memory, and each number serves 32 threads.
// Beside the edge there are zeros, which add nothing; every thread stays until the end, because a
// barrier waits for all.
__global__ void matmul_3(float *out, const float *a, const float *b, int M, int N, int K) {
    __shared__ float as[SIDE][SIDE], bs[SIDE][SIDE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * SIDE + y, col = blockIdx.x * SIDE + x;
    float sum = 0;
    for (int start = 0; start < K; start += SIDE) {
        as[y][x] = row < M && start + x < K ? a[size_t(row) * K + start + x] : 0;
        bs[y][x] = start + y < K && col < N ? b[size_t(start + y) * N + col] : 0;
        __syncthreads();  // both tiles are complete
        for (int k = 0; k < SIDE; k++) sum += as[y][k] * bs[k][x];
        __syncthreads();  // nobody needs them any more
    }
    if (row < M && col < N) out[size_t(row) * N + col] = sum;
}

// ---- many results for each thread ------------------------------------------------------------

// Version 4: a thread computes 8 results of one column. It reads each number of bs once and uses it
// eight times, from a register. 512 threads for 64 x 64 results; 8 values of k at a time, so that
// each thread fetches one number of each tile.
constexpr int DEEP = 8, COLUMN = 8;

__global__ void matmul_4(float *out, const float *a, const float *b, int M, int N, int K) {
    __shared__ float as[64][DEEP], bs[DEEP][64];
    const int t = threadIdx.x, row0 = blockIdx.y * 64, col0 = blockIdx.x * 64;
    const int x = t % 64, y = t / 64 * COLUMN;  // this thread's results: rows y to y + 7, column x
    float sums[COLUMN] = {};
    for (int start = 0; start < K; start += DEEP) {
        const int i = row0 + t / DEEP, ka = start + t % DEEP;
        const int kb = start + t / 64, j = col0 + t % 64;
        as[t / DEEP][t % DEEP] = i < M && ka < K ? a[size_t(i) * K + ka] : 0;
        bs[t / 64][t % 64] = kb < K && j < N ? b[size_t(kb) * N + j] : 0;
        __syncthreads();
        for (int k = 0; k < DEEP; k++) {
            const float from_b = bs[k][x];
#pragma unroll
            for (int r = 0; r < COLUMN; r++) sums[r] += as[y + r][k] * from_b;
        }
        __syncthreads();
    }
    for (int r = 0; r < COLUMN; r++)
        if (row0 + y + r < M && col0 + x < N) out[size_t(row0 + y + r) * N + col0 + x] = sums[r];
}

// Version 5: a square of 8 x 8 results in registers: 16 reads of shared memory, 64 multiply-adds.
// 256 threads, 16 x 16, for a tile of 128 x 128. Two details decide whether shared memory keeps up:
// - a's tile lies on its side, as[k][row], so that all that is read for one k lies together. Its
//   rows are 4 words longer than they need be: without, the eight k of a row would be written to
//   one bank.
// - a thread's columns are x, x + 16, x + 32, ..., not 8 neighbours: at each step the lanes read 16
//   neighbours. With 8 neighbours each, lanes 0, 4, 8 and 12 would want the same bank.
constexpr int TILE = 128, PAD = 4, EACH = 8;

__global__ void __launch_bounds__(256)
matmul_5(float *out, const float *a, const float *b, int M, int N, int K) {
    __shared__ float as[DEEP][TILE + PAD], bs[DEEP][TILE];
    const int t = threadIdx.x, x = t % 16, y = t / 16;
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    float sums[EACH][EACH] = {};
    for (int start = 0; start < K; start += DEEP) {
        for (int i = t; i < TILE * DEEP; i += 256) {  // four numbers of each tile for each thread
            const int row = row0 + i / DEEP, ka = start + i % DEEP;
            const int kb = start + i / TILE, col = col0 + i % TILE;
            as[i % DEEP][i / DEEP] = row < M && ka < K ? a[size_t(row) * K + ka] : 0;
            bs[i / TILE][i % TILE] = kb < K && col < N ? b[size_t(kb) * N + col] : 0;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            float from_a[EACH], from_b[EACH];
            for (int r = 0; r < EACH; r++) from_a[r] = as[k][y + 16 * r];
            for (int c = 0; c < EACH; c++) from_b[c] = bs[k][x + 16 * c];
            for (int r = 0; r < EACH; r++)
                for (int c = 0; c < EACH; c++) sums[r][c] += from_a[r] * from_b[c];
        }
        __syncthreads();
    }
    for (int r = 0; r < EACH; r++)
        for (int c = 0; c < EACH; c++) {
            const int row = row0 + y + 16 * r, col = col0 + x + 16 * c;
            if (row < M && col < N) out[size_t(row) * N + col] = sums[r][c];
        }
}

// Version 6: float4, between global memory and shared memory, and from there to registers. Each
// tile has 256 of them, one for each thread. A thread's rows are now 4 y to 4 y + 3 and 64 more, so
// that four lie together; its columns likewise. K and N must be multiples of 4.
__device__ float4 four(const float *p, bool inside) {
    return inside ? *(const float4 *)p : make_float4(0, 0, 0, 0);
}

__device__ void two_fours(float (&numbers)[EACH], const float *first, const float *second) {
    const float4 u = *(const float4 *)first, v = *(const float4 *)second;
    numbers[0] = u.x, numbers[1] = u.y, numbers[2] = u.z, numbers[3] = u.w;
    numbers[4] = v.x, numbers[5] = v.y, numbers[6] = v.z, numbers[7] = v.w;
}

__global__ void __launch_bounds__(256)
matmul_6(float *out, const float *a, const float *b, int M, int N, int K) {
    __shared__ __align__(16) float as[DEEP][TILE + PAD], bs[DEEP][TILE];
    const int t = threadIdx.x, x = t % 16 * 4, y = t / 16 * 4;
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    const int row = row0 + t / 2, ka = t % 2 * 4, kb = t / 32, col = col0 + t % 32 * 4;
    float sums[EACH][EACH] = {};
    for (int start = 0; start < K; start += DEEP) {
        const float4 v = four(a + size_t(row) * K + start + ka, row < M && start + ka < K);
        as[ka][t / 2] = v.x, as[ka + 1][t / 2] = v.y, as[ka + 2][t / 2] = v.z;
        as[ka + 3][t / 2] = v.w;
        *(float4 *)&bs[kb][t % 32 * 4] = four(b + size_t(start + kb) * N + col,
                                              start + kb < K && col < N);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            float from_a[EACH], from_b[EACH];
            two_fours(from_a, &as[k][y], &as[k][y + 64]);
            two_fours(from_b, &bs[k][x], &bs[k][x + 64]);
            for (int r = 0; r < EACH; r++)
                for (int c = 0; c < EACH; c++) sums[r][c] += from_a[r] * from_b[c];
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < EACH; r++)
        for (int c = 0; c < EACH; c += 4) {
            const int i = row0 + y + r % 4 + r / 4 * 64, j = col0 + x + c / 4 * 64;
            const float *s = &sums[r][c];
            if (i < M && j < N)
                *(float4 *)(out + size_t(i) * N + j) = make_float4(s[0], s[1], s[2], s[3]);
        }
}

// ---- tensor cores ----------------------------------------------------------------------------

// Version 7: a warp as a whole holds a fragment of 16 x 16 results and multiplies 16 x 8 numbers of
// a with 8 x 16 of b; which lane holds what is the tensor core's business. 8 warps, each with 64 x
// 32 results of the tile in 4 x 2 fragments. A row of bs is 8 words longer than it need be, one of
// as 4, for the lanes' usual places in a fragment: lane l holds row l / 4, column l % 4 of a, and
// the reverse of b. (CUDA does not promise them; the manual of PTX describes them.)
using namespace nvcuda;
constexpr int SLAB = 32;  // values of k at a time

__device__ float4 rounded(float4 v) {  // to tf32, once, before shared memory
    return make_float4(wmma::__float_to_tf32(v.x), wmma::__float_to_tf32(v.y),
                       wmma::__float_to_tf32(v.z), wmma::__float_to_tf32(v.w));
}

__global__ void __launch_bounds__(256)
matmul_7(float *out, const float *a, const float *b, int M, int N, int K) {
    __shared__ __align__(32) float as[TILE][SLAB + 4], bs[SLAB][TILE + 8];
    const int t = threadIdx.x, warp = t / 32, y = warp / 4 * 64, x = warp % 4 * 32;
    const int row0 = blockIdx.y * TILE, col0 = blockIdx.x * TILE;
    wmma::fragment<wmma::accumulator, 16, 16, 8, float> sums[4][2];
#pragma unroll
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 2; c++) wmma::fill_fragment(sums[r][c], 0);
    for (int start = 0; start < K; start += SLAB) {
        for (int i = t; i < TILE * SLAB / 4; i += 256) {
            const int ya = i / (SLAB / 4), xa = i % (SLAB / 4) * 4;
            const int yb = i / (TILE / 4), xb = i % (TILE / 4) * 4;
            *(float4 *)&as[ya][xa] = rounded(four(a + size_t(row0 + ya) * K + start + xa,
                                                  row0 + ya < M && start + xa < K));
            *(float4 *)&bs[yb][xb] = rounded(four(b + size_t(start + yb) * N + col0 + xb,
                                                  start + yb < K && col0 + xb < N));
        }
        __syncthreads();
#pragma unroll 2
        for (int k = 0; k < SLAB; k += 8) {
            wmma::fragment<wmma::matrix_a, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fa[4];
            wmma::fragment<wmma::matrix_b, 16, 16, 8, wmma::precision::tf32, wmma::row_major> fb[2];
            for (int r = 0; r < 4; r++) wmma::load_matrix_sync(fa[r], &as[y + 16 * r][k], SLAB + 4);
            for (int c = 0; c < 2; c++) wmma::load_matrix_sync(fb[c], &bs[k][x + 16 * c], TILE + 8);
            for (int r = 0; r < 4; r++)
                for (int c = 0; c < 2; c++) wmma::mma_sync(sums[r][c], fa[r], fb[c], sums[r][c]);
        }
        __syncthreads();
    }
    float *const room = &as[0][0] + warp * 256;  // for fragments that cross the edge
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const int i = row0 + y + 16 * r, j = col0 + x + 16 * c;
            if (i + 16 <= M && j + 16 <= N) {
                float *const to = out + size_t(i) * N + j;
                wmma::store_matrix_sync(to, sums[r][c], N, wmma::mem_row_major);
                continue;
            }
            wmma::store_matrix_sync(room, sums[r][c], 16, wmma::mem_row_major);
            __syncwarp();
            for (int e = t % 32; e < 256; e += 32)
                if (i + e / 16 < M && j + e % 16 < N)
                    out[size_t(i + e / 16) * N + j + e % 16] = room[e];
            __syncwarp();
        }
}

extern "C" int matmul_forward(int version, float *out, const float *a, const float *b, int M, int N,
                              int K) {
    if (M < 1 || N < 1 || K < 1) return 1;
    const dim3 square(SIDE, SIDE), grid(ceil_div(N, SIDE), ceil_div(M, SIDE));
    const dim3 grid64(ceil_div(N, 64), ceil_div(M, 64));
    const dim3 grid128(ceil_div(N, TILE), ceil_div(M, TILE));
    if (version >= 6 && !(in_fours(a, K) && in_fours(b, N) && in_fours(out, N))) return 1;
    if (version == 7 && uintptr_t(out) % 32) return 1;  // what store_matrix_sync asks for
    switch (version) {
        case 1: LAUNCH(matmul_1, grid, square)(out, a, b, M, N, K); break;
        case 2: LAUNCH(matmul_2, grid, square)(out, a, b, M, N, K); break;
        case 3: LAUNCH(matmul_3, grid, square)(out, a, b, M, N, K); break;
        case 4: LAUNCH(matmul_4, grid64, 512)(out, a, b, M, N, K); break;
        case 5: LAUNCH(matmul_5, grid128, 256)(out, a, b, M, N, K); break;
        case 6: LAUNCH(matmul_6, grid128, 256)(out, a, b, M, N, K); break;
        case 7: LAUNCH(matmul_7, grid128, 256)(out, a, b, M, N, K); break;
        default: return 1;
    }
    return launched();
}

// ---- the program -----------------------------------------------------------------------------

int main(int argc, char **argv) {
    const int only = argc > 1 ? atoi(argv[1]) : 0;
    const int M = ON_GPU ? 2048 : 128, N = ON_GPU ? 2048 : 128, K = ON_GPU ? 2048 : 64;
    const Floats a = random_floats(size_t(M) * K, 1), b = random_floats(size_t(K) * N, 2);
    Floats c(size_t(M) * N);
    matmul_forward_cpu(c.data(), a.data(), b.data(), M, N, K);
    const float *a_gpu = on_device(a), *b_gpu = on_device(b);
    float *out = on_device(c.size());
    const auto launch = [&](int version) {
        return matmul_forward(version, out, a_gpu, b_gpu, M, N, K);
    };
    int wrong = 0;
    for (int version = only ? only : 1; version <= (only ? only : 7); version++) {
        // Rounding errors add up like a random walk; tf32 rounds each factor by up to 2^-11 of it.
        const double tolerance = (version < 7 ? 2e-6 : 1e-3) * sqrt(K);
        wrong += each_version("matmul_forward", version, launch, {{"out", out, &c}}, tolerance,
                              4.0 * (a.size() + b.size() + c.size()), 2.0 * M * N * K);
    }
    return wrong;
}
