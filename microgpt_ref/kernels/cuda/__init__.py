"""CUDA C++ kernels, one file each, versions from naive to fast; `native.py` calls them from Python.

Where there is no GPU, `cuda_on_cpu.h` runs them on the processor and counts what they read and
write. README.md says how, and lists the kernels.
"""
