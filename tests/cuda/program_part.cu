// The second file of program.cu.
#include <stdio.h>

__global__ void both_kinds(float *x) {
    __shared__ float s[64];
    extern __shared__ float sdata[];
    s[threadIdx.x] = 1;
    sdata[threadIdx.x] = 2;
    __syncthreads();
    x[threadIdx.x] = s[63 - threadIdx.x] + sdata[63 - threadIdx.x];
}

void other_file() {
    float *x, h[64];
    cudaMalloc(&x, sizeof h);
    LAUNCH(both_kinds, 1, 64, 256)(x);
    cudaMemcpy(h, x, sizeof h, cudaMemcpyDeviceToHost);
    printf("other file %g\n", h[5]);
    cudaFree(x);
}
