// What one core can do at most, measured: the roof and the walls of the roofline. Two loops, each
// of one kind of work and nothing else, so that no real program is faster.
//
// A multiply-add takes some four cycles, and a core can begin two in every cycle: so it is busy only
// with eight or more under way that do not wait for each other. Here there are twelve, each of as
// many numbers as fit into a vector register.

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float lanes __attribute__((vector_size(4 * LANES)));

// Does 12 * LANES * rounds multiply-adds in float32. Returns LANES. What it computes tends to 2;
// result (1) is written so that the compiler may not leave the work out.
int multiply_add(long long rounds, float *result) {
    lanes a[12], half, one;
    for (int i = 0; i < LANES; i++) half[i] = 0.5f, one[i] = 1.0f;
    for (int j = 0; j < 12; j++) a[j] = half * (float)j;
    for (long long r = 0; r < rounds; r++)
        for (int j = 0; j < 12; j++) a[j] = a[j] * half + one;
    lanes sum = a[0];
    for (int j = 1; j < 12; j++) sum += a[j];
    *result = sum[0];
    return LANES;
}

// Reads count numbers from x, rounds times, with eight sums side by side. x lies on a multiple of
// 64 bytes, and count is a multiple of 8 * LANES.
void read_all(const float *x, long long count, long long rounds, float *result) {
    const lanes *v = (const lanes *)x;
    lanes a[8] = {0};
    for (long long r = 0; r < rounds; r++) {
        for (long long i = 0; i < count / LANES; i += 8)
            for (int j = 0; j < 8; j++) a[j] += v[i + j];
        __asm__ volatile("" ::: "memory");  // or the compiler would read once and multiply
    }
    lanes sum = a[0];
    for (int j = 1; j < 8; j++) sum += a[j];
    *result = sum[0];
}
