// A shared library, called from Python: launches that fail, and launches after them that do not.
__global__ void fill(float *x, int n, float value) {
    __shared__ float s;
    if (threadIdx.x == 0) s = value;
    __syncthreads();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = s;
    if (value < 0 && i == 0) __syncthreads();
}
__global__ void one(float *x, int n) { x[threadIdx.x + n] = 1; }

extern "C" int fill_array(float *x, int n, float value) {
    float *d;
    cudaMalloc(&d, n * sizeof(float));
    LAUNCH(fill, (n + 63) / 64, 64)(d, n, value);
    cudaMemcpy(x, d, n * sizeof(float), cudaMemcpyDeviceToHost);
    cudaFree(d);
    return cudaGetLastError();
}
extern "C" int fill_here(float *x, int n) {  // in the caller's memory
    LAUNCH(fill, (n + 63) / 64, 64)(x, n, 1.5f);
    return cudaGetLastError();
}
extern "C" int write_beside(int n) {
    float *d;
    cudaMalloc(&d, 128);
    LAUNCH(one, 1, 32)(d, n);
    cudaFree(d);
    return cudaGetLastError();
}
extern "C" const char *message() { return cudaGetErrorString(cudaErrorLaunchFailure); }
