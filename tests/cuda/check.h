// What the test programs share: copies to and from the device, and named cases.
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

typedef std::vector<float> Floats;

template <class T> T *to_device(const std::vector<T> &v) {
    T *p;
    cudaMalloc(&p, v.size() * sizeof(T));
    cudaMemcpy(p, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice);
    return p;
}
template <class T> T *zeros(size_t n) { return to_device(std::vector<T>(n)); }
template <class T> std::vector<T> to_host(const T *p, size_t n) {
    std::vector<T> v(n);
    cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost);
    return v;
}
inline Floats numbers(size_t n, unsigned seed = 1) {  // in [-1, 1]
    Floats v(n);
    for (float &x : v) x = (int)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1;
    return v;
}

// Prints "ok" if no value is further from the reference than `bound`, nan included.
template <class T, class R>
void compare(const char *name, const std::vector<T> &got, const std::vector<R> &expected, double bound) {
    double worst = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        const double d = fabs(double(got[i]) - double(expected[i]));
        if (!(d <= worst)) worst = d == d ? d : INFINITY;
    }
    printf("%s %s %.2g\n", worst <= bound && got.size() == expected.size() ? "ok" : "WRONG", name, worst);
}

struct Case {
    const char *name;
    void (*run)();
    Case *next;
    static Case *&all() { static Case *first; return first; }
    Case(const char *name, void (*run)()) : name(name), run(run), next(all()) { all() = this; }
};
#define CASE(name)                     \
    static void name##_case();         \
    static Case name##_(#name, name##_case); \
    static void name##_case()

// Runs the cases named, or all of them.
int main(int count, char **names) {
    bool any = false;
    for (Case *c = Case::all(); c; c = c->next) {
        bool wanted = count < 2;
        for (int i = 1; i < count; i++) wanted |= !strcmp(names[i], c->name);
        if (wanted) c->run(), any = true;
    }
    return !any;
}
