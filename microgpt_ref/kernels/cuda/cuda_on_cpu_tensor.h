// cuda_on_cpu_tensor.h: numbers of 16 bits (half, __nv_bfloat16 and their pairs), TF32, and the
// tensor cores by nvcuda::wmma: what cuda_fp16.h, cuda_bf16.h and mma.h declare.
// Part of cuda_on_cpu.h, which includes it.
//
// Arithmetic in 16 bits is done in float and rounded, which is what a GPU's result is. A fragment
// is spread over its warp as on a GPU: lane l holds num_elements numbers, and which ones, a program
// must not ask. Here it is the order that the PTX manual gives for mma.m16n8k8 and mma.m16n8k16: with
// lane = 4 g + t, words (a float, or two halves) t of rows g, so that a load of 4 bytes a lane
// touches 8 rows. The counts of traffic follow from it; nvcc may load in another way.
// mma_sync multiplies exactly and adds in float, one after another; a GPU adds in an order of its
// own, so compare with a tolerance.

#ifndef CUDA_ON_CPU_TENSOR_H
#define CUDA_ON_CPU_TENSOR_H

namespace cuda_on_cpu {

// ---- 16 bits ---------------------------------------------------------------------------------

// A sign, EXPONENT and MANTISSA bits. 5 and 10 are half, 8 and 7 bfloat16.
template <int EXPONENT, int MANTISSA> struct Float16 {
    uint16_t bits;
    static constexpr int BIAS = (1 << (EXPONENT - 1)) - 1;
    static constexpr unsigned INFINITE = ((1u << EXPONENT) - 1) << MANTISSA;

    Float16() = default;
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
    Float16(T value) : bits(rounded(float(value))) {}

    // To the nearest, ties to even.
    static uint16_t rounded(float value) {
        const uint32_t all = from_bits<uint32_t>(to_bits(value)), size = all & 0x7fffffff;
        const uint32_t sign = all >> 31 << 15, exponent = size >> 23;
        if (size > 0x7f800000) return uint16_t(sign | INFINITE | 1 << (MANTISSA - 1));  // NaN
        const uint32_t digits = (size & 0x7fffff) | uint32_t(exponent > 0) << 23;
        const int e = int(exponent > 0 ? exponent : 1) - 127 + BIAS;
        const int drop = min(23 - MANTISSA + (e < 1 ? 1 - e : 0), 31);
        const uint32_t rest = digits & ((1u << drop) - 1), middle = 1u << (drop - 1);
        uint32_t kept = digits >> drop;
        kept += rest > middle || (rest == middle && kept & 1);
        // kept has its leading 1 for normal numbers, and perhaps a carry: both belong to e.
        const uint32_t result = (e < 1 ? 0 : uint32_t(e - 1) << MANTISSA) + kept;
        return uint16_t(sign | min(result, INFINITE));
    }
    operator float() const {
        const uint32_t sign = uint32_t(bits >> 15) << 31, digits = bits & ((1u << MANTISSA) - 1);
        const int exponent = (bits & 0x7fff) >> MANTISSA;
        if (!exponent) {  // digits of 2 to the power of 1 - BIAS - MANTISSA
            const float tiny = ldexpf(float(digits), 1 - BIAS - MANTISSA);
            return sign ? -tiny : tiny;
        }
        const uint32_t e = exponent == (1 << EXPONENT) - 1 ? 255 : exponent - BIAS + 127;
        return from_bits<float>(sign | e << 23 | digits << (23 - MANTISSA));
    }
    Float16 operator-() const {
        Float16 result = *this;
        result.bits ^= 0x8000;
        return result;
    }
    Float16 &operator+=(Float16 b) { return *this = *this + b; }
    Float16 &operator-=(Float16 b) { return *this = *this - b; }
    Float16 &operator*=(Float16 b) { return *this = *this * b; }
    Float16 &operator/=(Float16 b) { return *this = *this / b; }
    friend Float16 operator+(Float16 a, Float16 b) { return float(a) + float(b); }
    friend Float16 operator-(Float16 a, Float16 b) { return float(a) - float(b); }
    friend Float16 operator*(Float16 a, Float16 b) { return float(a) * float(b); }
    friend Float16 operator/(Float16 a, Float16 b) { return float(a) / float(b); }
    friend bool operator==(Float16 a, Float16 b) { return float(a) == float(b); }
    friend bool operator!=(Float16 a, Float16 b) { return float(a) != float(b); }
    friend bool operator<(Float16 a, Float16 b) { return float(a) < float(b); }
    friend bool operator>(Float16 a, Float16 b) { return float(a) > float(b); }
    friend bool operator<=(Float16 a, Float16 b) { return float(a) <= float(b); }
    friend bool operator>=(Float16 a, Float16 b) { return float(a) >= float(b); }
};

// Two of them, loaded and stored by one instruction.
template <class T> struct alignas(4) Pair16 {
    T x, y;
    typedef uint32_t All __attribute__((may_alias));
    Pair16() = default;
    Pair16(T x, T y) : x(x), y(y) {}
    __forceinline__ Pair16(const Pair16 &v) { *(All *)this = *(const All *)&v; }
    __forceinline__ Pair16 &operator=(const Pair16 &v) {
        *(All *)this = *(const All *)&v;
        return *this;
    }
    friend Pair16 operator+(Pair16 a, Pair16 b) { return {a.x + b.x, a.y + b.y}; }
    friend Pair16 operator-(Pair16 a, Pair16 b) { return {a.x - b.x, a.y - b.y}; }
    friend Pair16 operator*(Pair16 a, Pair16 b) { return {a.x * b.x, a.y * b.y}; }
};

}  // namespace cuda_on_cpu

typedef cuda_on_cpu::Float16<5, 10> half, __half;
typedef cuda_on_cpu::Float16<8, 7> nv_bfloat16, __nv_bfloat16;
typedef cuda_on_cpu::Pair16<half> half2, __half2;
typedef cuda_on_cpu::Pair16<nv_bfloat16> nv_bfloat162, __nv_bfloat162;

inline half __float2half(float x) { return x; }
inline half __float2half_rn(float x) { return x; }
inline half __double2half(double x) { return x; }
inline half __int2half_rn(int x) { return x; }
inline float __half2float(half x) { return x; }
inline unsigned short __half_as_ushort(half x) { return x.bits; }
inline half2 make_half2(half x, half y) { return {x, y}; }
inline half2 __halves2half2(half x, half y) { return {x, y}; }
inline half2 __half2half2(half x) { return {x, x}; }
inline half2 __float2half2_rn(float x) { return {x, x}; }
inline half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline half2 __float22half2_rn(float2 v) { return {v.x, v.y}; }
inline float2 __half22float2(half2 v) { return {v.x, v.y}; }
inline half __low2half(half2 v) { return v.x; }
inline half __high2half(half2 v) { return v.y; }
inline nv_bfloat16 __float2bfloat16(float x) { return x; }
inline nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
inline float __bfloat162float(nv_bfloat16 x) { return x; }
inline nv_bfloat162 make_bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }
inline nv_bfloat162 __halves2bfloat162(nv_bfloat16 x, nv_bfloat16 y) { return {x, y}; }
inline nv_bfloat162 __bfloat162bfloat162(nv_bfloat16 x) { return {x, x}; }
inline nv_bfloat162 __float2bfloat162_rn(float x) { return {x, x}; }
inline nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline float2 __bfloat1622float2(nv_bfloat162 v) { return {v.x, v.y}; }
template <class T> float __low2float(cuda_on_cpu::Pair16<T> v) { return v.x; }
template <class T> float __high2float(cuda_on_cpu::Pair16<T> v) { return v.y; }

// The functions that both have.
#define CUDA_ON_CPU_BOTH(name, expression)                                  \
    template <int E, int M>                                                 \
    cuda_on_cpu::Float16<E, M> name(cuda_on_cpu::Float16<E, M> a,           \
                                    cuda_on_cpu::Float16<E, M> b) {         \
        return expression;                                                  \
    }
CUDA_ON_CPU_BOTH(__hadd, a + b)
CUDA_ON_CPU_BOTH(__hsub, a - b)
CUDA_ON_CPU_BOTH(__hmul, a * b)
CUDA_ON_CPU_BOTH(__hdiv, a / b)
CUDA_ON_CPU_BOTH(__hmax, fmaxf(a, b))
CUDA_ON_CPU_BOTH(__hmin, fminf(a, b))
#define CUDA_ON_CPU_BOTH_BOOL(name, operation)                                          \
    template <int E, int M>                                                             \
    bool name(cuda_on_cpu::Float16<E, M> a, cuda_on_cpu::Float16<E, M> b) {             \
        return a operation b;                                                           \
    }
CUDA_ON_CPU_BOTH_BOOL(__heq, ==)
CUDA_ON_CPU_BOTH_BOOL(__hgt, >)
CUDA_ON_CPU_BOTH_BOOL(__hge, >=)
CUDA_ON_CPU_BOTH_BOOL(__hlt, <)
CUDA_ON_CPU_BOTH_BOOL(__hle, <=)
#define CUDA_ON_CPU_BOTH_OF_ONE(name, function)                                         \
    template <int E, int M> cuda_on_cpu::Float16<E, M> name(cuda_on_cpu::Float16<E, M> a) { \
        return function(float(a));                                                      \
    }
CUDA_ON_CPU_BOTH_OF_ONE(hexp, expf)
CUDA_ON_CPU_BOTH_OF_ONE(hlog, logf)
CUDA_ON_CPU_BOTH_OF_ONE(hsqrt, sqrtf)
CUDA_ON_CPU_BOTH_OF_ONE(hrsqrt, rsqrtf)
CUDA_ON_CPU_BOTH_OF_ONE(hrcp, 1.0f /)
CUDA_ON_CPU_BOTH_OF_ONE(__hneg, -)
CUDA_ON_CPU_BOTH_OF_ONE(__habs, fabsf)
template <int E, int M>
cuda_on_cpu::Float16<E, M> __hfma(cuda_on_cpu::Float16<E, M> a, cuda_on_cpu::Float16<E, M> b,
                                  cuda_on_cpu::Float16<E, M> c) {
    return fmaf(a, b, c);
}
template <class T>
cuda_on_cpu::Pair16<T> __hadd2(cuda_on_cpu::Pair16<T> a, cuda_on_cpu::Pair16<T> b) { return a + b; }
template <class T>
cuda_on_cpu::Pair16<T> __hsub2(cuda_on_cpu::Pair16<T> a, cuda_on_cpu::Pair16<T> b) { return a - b; }
template <class T>
cuda_on_cpu::Pair16<T> __hmul2(cuda_on_cpu::Pair16<T> a, cuda_on_cpu::Pair16<T> b) { return a * b; }
template <class T>
cuda_on_cpu::Pair16<T> __hfma2(cuda_on_cpu::Pair16<T> a, cuda_on_cpu::Pair16<T> b,
                               cuda_on_cpu::Pair16<T> c) {
    return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}

// ---- tensor cores ----------------------------------------------------------------------------

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision { struct tf32 {}; }

// Rounds to the 10 bits of mantissa that a tensor core reads of a float; ties away from zero.
inline float __float_to_tf32(float x) {
    const uint32_t bits = cuda_on_cpu::from_bits<uint32_t>(cuda_on_cpu::to_bits(x));
    if (!isfinite(x)) return x;
    return cuda_on_cpu::from_bits<float>((bits + 0x1000) & ~0x1fffu);
}

template <class T> struct Stored { typedef T type; };
template <> struct Stored<precision::tf32> { typedef float type; };

template <class T> constexpr bool right_shape(int m, int n, int k) {
    if (std::is_same_v<T, float>) return true;  // an accumulator
    if (std::is_same_v<T, precision::tf32>) return m == 16 && n == 16 && k == 8;
    return k == 16 && ((m == 16 && n == 16) || (m == 32 && n == 8) || (m == 8 && n == 32));
}

template <class Use, int m, int n, int k, class T, class Layout = void> struct fragment {
    static constexpr bool IS_A = std::is_same_v<Use, matrix_a>, IS_B = std::is_same_v<Use, matrix_b>;
    static constexpr bool BY_COLUMNS = std::is_same_v<Layout, col_major>;
    static constexpr int ROWS = IS_B ? k : m, COLUMNS = IS_A ? k : n;
    typedef typename Stored<T>::type element_type;
    static constexpr int num_elements = ROWS * COLUMNS / 32;
    // Elements side by side in one lane: along k in a factor, along a row in an accumulator.
    static constexpr int SIDE_BY_SIDE = IS_A || IS_B ? 4 / int(sizeof(element_type)) : 2;
    element_type x[num_elements];

    static_assert(std::is_same_v<T, half> || std::is_same_v<T, nv_bfloat16> ||
                      std::is_same_v<T, float> || std::is_same_v<T, precision::tf32>,
                  "cuda_on_cpu.h has fragments of half, __nv_bfloat16, precision::tf32 and float.");
    static_assert(right_shape<T>(m, n, k), "A fragment is 16x16x16, 32x8x16 or 8x32x16; of "
                  "precision::tf32, 16x16x8.");
    static_assert(!std::is_same_v<T, float> || !(IS_A || IS_B),
                  "A factor in float is a fragment of precision::tf32.");
    static_assert((IS_A || IS_B) != std::is_void_v<Layout>,
                  "A factor's fragment has a layout, an accumulator's has none.");

    // Where element i of a lane lies.
    struct Place { int row, column; };
    static Place place(int lane, int i) {
        const int g = lane / 4, t = lane % 4, group = i / SIDE_BY_SIDE, one = i % SIDE_BY_SIDE;
        constexpr int rows = IS_B ? n / 8 : m / 8;  // groups along what is not k
        const int across = g + 8 * (group % rows);
        const int along = SIDE_BY_SIDE * (t + 4 * (group / rows)) + one;
        return IS_B ? Place{along, across} : Place{across, along};
    }
};

// Waits for the 32 lanes, which the hardware wants all, and gives what each shows.
inline const uint64_t *meet(const char *what, const char *file, int line,
                            const void *shown = nullptr) {
    using namespace cuda_on_cpu;
    const uint64_t *all = wait_warp(what, 0xffffffff, (uintptr_t)shown, file, line);
    for (int lane = 0; lane < 32; lane++)
        if (all[lane] == ABSENT)
            fail(cudaErrorLaunchFailure, "%s calls %s at %s:%d in a warp without a lane %d; tensor "
                 "cores need all 32. Kernel %s", name_of(gpu.current, blockIdx), what,
                 base_name(file), line, lane, gpu.kernel);
    return all;
}

inline void check_address(const char *what, const void *p, unsigned stride, size_t size,
                          const char *file, int line) {
    using namespace cuda_on_cpu;
    if ((uintptr_t)p % 16 == 0 && stride * size % 16 == 0) return;
    fail(cudaErrorMisalignedAddress, "%s calls %s at %s:%d with the address %p and a stride of %u "
         "elements; both must be multiples of 16 bytes. Kernel %s",
         name_of(gpu.current, blockIdx), what, base_name(file), line, p, stride, gpu.kernel);
}

// Copies this lane's elements between the fragment and the matrix at p, and counts the traffic:
// two at once where they are neighbours in memory too.
template <bool STORE, class F, class P>
CUDA_ON_CPU_UNSEEN void transfer(const char *what, F &f, P *p, unsigned stride, bool by_columns,
                                 const char *file, int line) {
    const int step = by_columns == F::IS_B ? F::SIDE_BY_SIDE : 1, lane = cuda_on_cpu::lane();
    meet(what, file, line);
    check_address(what, p, stride, sizeof *p, file, line);
    for (int i = 0; i < F::num_elements; i += step) {
        const typename F::Place at = F::place(lane, i);
        P *const from = p + (by_columns ? at.row + size_t(at.column) * stride
                                        : size_t(at.row) * stride + at.column);
        cuda_on_cpu::traffic::count(
            from, step * sizeof *p, STORE ? cuda_on_cpu::traffic::WRITE : cuda_on_cpu::traffic::READ,
            __builtin_return_address(0));
        for (int j = 0; j < step; j++) {
            if constexpr (STORE) from[j] = f.x[i + j];
            else f.x[i + j] = from[j];
        }
    }
}

template <class U, int m, int n, int k, class T, class L>
void load_matrix_sync(fragment<U, m, n, k, T, L> &a, const typename Stored<T>::type *p,
                      unsigned stride, CUDA_ON_CPU_HERE) {
    static_assert(!std::is_void_v<L>, "To load an accumulator, give mem_row_major or "
                  "mem_col_major as the last argument.");
    transfer<false>("load_matrix_sync", a, p, stride, a.BY_COLUMNS, file, line);
}
template <int m, int n, int k, class T>
void load_matrix_sync(fragment<accumulator, m, n, k, T> &c, const T *p, unsigned stride,
                      layout_t layout, CUDA_ON_CPU_HERE) {
    transfer<false>("load_matrix_sync", c, p, stride, layout == mem_col_major, file, line);
}
template <int m, int n, int k, class T>
void store_matrix_sync(T *p, const fragment<accumulator, m, n, k, T> &c, unsigned stride,
                       layout_t layout, CUDA_ON_CPU_HERE) {
    transfer<true>("store_matrix_sync", c, p, stride, layout == mem_col_major, file, line);
}
template <class U, int m, int n, int k, class T, class L, class V>
void fill_fragment(fragment<U, m, n, k, T, L> &f, const V &value) {
    for (auto &x : f.x) x = value;
}

// What a tensor core takes of a number, as a float.
inline float read_number(float x) {  // TF32: the last 13 bits are not looked at
    return cuda_on_cpu::from_bits<float>(cuda_on_cpu::to_bits(x) & ~uint64_t(0x1fff));
}
template <int E, int M> float read_number(cuda_on_cpu::Float16<E, M> x) { return x; }

// d = a @ b + c. The first lane does it for all, between two meetings.
template <int m, int n, int k, class T, class LA, class LB, class TD, class TC>
CUDA_ON_CPU_UNSEEN void mma_sync(fragment<accumulator, m, n, k, TD> &d,
                                 const fragment<matrix_a, m, n, k, T, LA> &a,
                                 const fragment<matrix_b, m, n, k, T, LB> &b,
                                 const fragment<accumulator, m, n, k, TC> &c, CUDA_ON_CPU_HERE) {
    typedef fragment<matrix_a, m, n, k, T, LA> A;
    typedef fragment<matrix_b, m, n, k, T, LB> B;
    typedef fragment<accumulator, m, n, k, TC> C;
    typedef fragment<accumulator, m, n, k, TD> D;
    struct Mine { const A *a; const B *b; const C *c; D *d; } mine = {&a, &b, &c, &d};
    const uint64_t *shown = meet("mma_sync", file, line, &mine);
    if (cuda_on_cpu::lane() == 0) {
        float as[m][k], bs[k][n], sums[m][n];
        for (int lane = 0; lane < 32; lane++) {
            const Mine &its = *(const Mine *)shown[lane];
            for (int i = 0; i < A::num_elements; i++)
                as[A::place(lane, i).row][A::place(lane, i).column] = read_number(its.a->x[i]);
            for (int i = 0; i < B::num_elements; i++)
                bs[B::place(lane, i).row][B::place(lane, i).column] = read_number(its.b->x[i]);
            for (int i = 0; i < C::num_elements; i++)
                sums[C::place(lane, i).row][C::place(lane, i).column] = float(its.c->x[i]);
        }
        for (int i = 0; i < m; i++)
            for (int l = 0; l < k; l++)
                for (int j = 0; j < n; j++) sums[i][j] += as[i][l] * bs[l][j];
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < D::num_elements; i++)
                ((const Mine *)shown[lane])->d->x[i] =
                    sums[D::place(lane, i).row][D::place(lane, i).column];
    }
    meet("mma_sync", file, line);
}

}  // namespace nvcuda::wmma

#endif  // CUDA_ON_CPU_TENSOR_H
