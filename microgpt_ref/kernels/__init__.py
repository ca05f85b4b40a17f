"""The GPU kernels of the model, one file a kernel: in Triton, and in CUDA C++."""
