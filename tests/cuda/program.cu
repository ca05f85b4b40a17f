// A program of two files, with CUDA's own includes, standard library, namespaces opened wide, and
// shared memory declared in every place where it may stand.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_runtime.h>

#include <atomic>
#include <iostream>
#include <mutex>

using namespace std;
using namespace cooperative_groups;
#define N 4
#define CHECK(x)                                                                            \
    do {                                                                                    \
        cudaError_t err = (x);                                                              \
        if (err != cudaSuccess) fprintf(stderr, "%s at %d\n", cudaGetErrorString(err), __LINE__), exit(1); \
    } while (0)

extern __shared__ float sdata[];
__shared__ int counter;

struct Args {
    int a[3];
    float b;
};

template <typename T> __global__ void parameters(T *x, Args args) {
    extern __shared__ __align__(16) unsigned char smem[];
    T *s = reinterpret_cast<T *>(smem);
    thread_block b = this_thread_block();
    auto t = tiled_partition<8>(b);
    s[threadIdx.x] = args.b;
    sync(b);
    if (threadIdx.x == 0) counter = max(3, 4u) + min(1, 2) + (int)max(1.0f, 2.0);
    __syncthreads();
    x[threadIdx.x] = reduce(t, s[threadIdx.x], cooperative_groups::plus<T>()) + counter + max(args.a[0], args.a[1]);
}

__global__ void reverse_block(float *x) {
    sdata[threadIdx.x] = threadIdx.x;
    __syncthreads();
    x[blockIdx.x * blockDim.x + threadIdx.x] = sdata[blockDim.x - 1 - threadIdx.x];
    if (threadIdx.x == 0) printf("hello from %d\n", blockIdx.x);
}

void other_file();

int main() {
    float *x, h[64];
    mutex m;
    lock_guard<mutex> guard(m);
    atomic<int> used{0};
    CHECK(cudaMalloc((void **)&x, 512));
    LAUNCH(parameters<float>, 1, 64, 256)(x, Args{{1, 2, 3}, 0.5f});
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(h, x, 256, cudaMemcpyDeviceToHost));
    used++;
    cout << h[0] << " " << h[63] << endl;  // 8 * 0.5 + (4 + 1 + 2) + 2
    LAUNCH(reverse_block, dim3(2), dim3(64), 256, 0)(x);
    CHECK(cudaMemcpy(h, x, 256, cudaMemcpyDeviceToHost));
    cout << h[0] << " " << h[63] << endl;
    other_file();
    return used - 1;
}
