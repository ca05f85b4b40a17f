// native.h: what native.py calls in a library beside its own functions. It stands before the first
// line of the file, by the flag -include.

#ifndef NATIVE_H
#define NATIVE_H

#include "cuda_on_cpu.h"

#include <stdio.h>

#define FOR_PYTHON extern "C" __attribute__((visibility("default")))

// The sentence of the last error; "" if there is none. It is forgotten then.
FOR_PYTHON const char *native_error(void) {
    static char text[2048];
    const cudaError_t error = cudaGetLastError();
    snprintf(text, sizeof text, "%s", error == cudaSuccess ? "" : cudaGetErrorString(error));
    return text;
}

#undef FOR_PYTHON
#endif  // NATIVE_H
