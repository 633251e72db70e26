// The scalar primitives of gradflow: the one place where a number's sine is taken, for g++ and NVRTC alike.
//
// GF_PRIMITIVES lists them; an opcode is a position in the list. Register types are bool8, int32, int64, float
// and double. A primitive has two bodies only where the hardware differs: float32.h and float64.h on the CPU, and
// CUDA's own.
#pragma once
#include "config.h"
#include "philox.h"
#ifndef __CUDACC_RTC__
#include "float32.h"
#endif

// U unary, B binary, C comparison (gives bool8), T ternary (bool8, a, b); with the types it is defined for:
// F float and double; N also int32 and int64; A also bool8; I bool8, int32 and int64.
// A new primitive goes to the end of its kind's group.
#define GF_PRIMITIVES(U, B, T, C)                                                                                      \
    U(neg, N) U(abs, N) U(sign, N) U(floor, N) U(ceil, N) U(trunc, N) U(round, N) U(bit_not, I)                        \
    U(exp, F) U(exp2, F) U(expm1, F) U(log, F) U(log2, F) U(log10, F) U(log1p, F)                                      \
    U(sqrt, F) U(rsqrt, F) U(reciprocal, F)                                                                            \
    U(sin, F) U(cos, F) U(tan, F) U(asin, F) U(acos, F) U(atan, F)                                                     \
    U(sinh, F) U(cosh, F) U(asinh, F) U(acosh, F) U(atanh, F) U(tanh, F)                                               \
    U(erf, F) U(erfc, F) U(erfinv, F) U(lgamma, F) U(digamma, F)                                                       \
    B(add, A) B(sub, N) B(mul, A) B(div, F) B(pow, N) B(maximum, A) B(minimum, A)                                      \
    B(fmod, N) B(remainder, N) B(floor_divide, N) B(atan2, F)                                                          \
    B(copysign, F) B(zeta, F) B(igamma, F) B(igammac, F)                                                               \
    B(bit_and, I) B(bit_or, I) B(bit_xor, I) B(shift_left, I) B(shift_right, I)                                        \
    C(eq, A) C(ne, A) C(lt, A) C(le, A) C(gt, A) C(ge, A)                                                              \
    T(where, A)

// M(type, ...) for each type of a domain: GF_DOMAIN_F(M, ...) and so on.
#define GF_DOMAIN_F(M, ...) M(float, __VA_ARGS__) M(double, __VA_ARGS__)
#define GF_DOMAIN_I(M, ...) M(::gf::bool8, __VA_ARGS__) M(::gf::int32, __VA_ARGS__) M(::gf::int64, __VA_ARGS__)
#define GF_DOMAIN_N(M, ...) M(::gf::int32, __VA_ARGS__) M(::gf::int64, __VA_ARGS__) GF_DOMAIN_F(M, __VA_ARGS__)
#define GF_DOMAIN_A(M, ...) M(::gf::bool8, __VA_ARGS__) GF_DOMAIN_N(M, __VA_ARGS__)

namespace gf::prim {

// --- functions that the hardware's library, or float32.h and float64.h give -----------------------------------------

#ifdef __CUDACC_RTC__
#define GF_LIBRARY_UNARY(name)                                                                                         \
    GF_FN float name(float x) { return ::name##f(x); }                                                                 \
    GF_FN double name(double x) { return ::name(x); }
#define GF_LIBRARY_BINARY(name)                                                                                        \
    GF_FN float name(float x, float y) { return ::name##f(x, y); }                                                     \
    GF_FN double name(double x, double y) { return ::name(x, y); }
#else
#define GF_LIBRARY_UNARY(name)                                                                                         \
    GF_FN float name(float x) { return float32::name(x); }                                                             \
    GF_FN double name(double x) { return float64::name(x); }
#define GF_LIBRARY_BINARY(name)                                                                                        \
    GF_FN float name(float x, float y) { return float32::name(x, y); }                                                 \
    GF_FN double name(double x, double y) { return float64::name(x, y); }
#endif

GF_LIBRARY_UNARY(exp)
GF_LIBRARY_UNARY(exp2)
GF_LIBRARY_UNARY(expm1)
GF_LIBRARY_UNARY(log)
GF_LIBRARY_UNARY(log2)
GF_LIBRARY_UNARY(log10)
GF_LIBRARY_UNARY(log1p)
GF_LIBRARY_UNARY(sin)
GF_LIBRARY_UNARY(cos)
GF_LIBRARY_UNARY(tan)
GF_LIBRARY_UNARY(asin)
GF_LIBRARY_UNARY(acos)
GF_LIBRARY_UNARY(atan)
GF_LIBRARY_UNARY(sinh)
GF_LIBRARY_UNARY(cosh)
GF_LIBRARY_UNARY(asinh)
GF_LIBRARY_UNARY(acosh)
GF_LIBRARY_UNARY(atanh)
GF_LIBRARY_UNARY(tanh)
GF_LIBRARY_UNARY(erf)
GF_LIBRARY_UNARY(erfc)
GF_LIBRARY_UNARY(erfinv)
GF_LIBRARY_UNARY(lgamma)
GF_LIBRARY_BINARY(atan2)
GF_LIBRARY_BINARY(pow)

#ifdef __CUDACC_RTC__
GF_LIBRARY_UNARY(sqrt)
GF_LIBRARY_UNARY(floor)
GF_LIBRARY_UNARY(ceil)
GF_LIBRARY_UNARY(trunc)
GF_FN float abs(float x) { return ::fabsf(x); }
GF_FN double abs(double x) { return ::fabs(x); }
GF_FN float round(float x) { return ::rintf(x); }
GF_FN double round(double x) { return ::rint(x); }
GF_FN float copysign(float x, float s) { return ::copysignf(x, s); }
GF_FN double copysign(double x, double s) { return ::copysign(x, s); }
GF_LIBRARY_BINARY(fmod)
GF_FN int32 quotient(int32 a, int32 b) { return a / b; }
#else
GF_FN float sqrt(float x) { return __builtin_sqrtf(x); }
GF_FN double sqrt(double x) { return __builtin_sqrt(x); }
GF_FN float floor(float x) { return __builtin_floorf(x); }
GF_FN double floor(double x) { return __builtin_floor(x); }
GF_FN float ceil(float x) { return __builtin_ceilf(x); }
GF_FN double ceil(double x) { return __builtin_ceil(x); }
GF_FN float trunc(float x) { return __builtin_truncf(x); }
GF_FN double trunc(double x) { return __builtin_trunc(x); }
GF_FN float abs(float x) { return __builtin_fabsf(x); }
GF_FN double abs(double x) { return __builtin_fabs(x); }
GF_FN float round(float x) { return __builtin_rintf(x); }
GF_FN double round(double x) { return __builtin_rint(x); }
GF_FN float copysign(float x, float s) { return __builtin_copysignf(x, s); }
GF_FN double copysign(double x, double s) { return __builtin_copysign(x, s); }
GF_FN float fmod(float x, float y) { return std::fmod(x, y); }
GF_FN double fmod(double x, double y) { return std::fmod(x, y); }
GF_FN int32 quotient(int32 a, int32 b) { return int32(double(a) / double(b)); }  // exact, and in vectors
#endif

// --- arithmetic ---------------------------------------------------------------------------------------------

// Integers wrap; bool8 adds as or, multiplies as and.
template <class T>
GF_FN T add(T a, T b) {
  if constexpr (is_float_v<T>)
    return a + b;
  else if constexpr (sizeof(T) == 1)
    return a | b;
  else
    return T(unsigned_t<T>(a) + unsigned_t<T>(b));
}
template <class T>
GF_FN T sub(T a, T b) {
  if constexpr (is_float_v<T>)
    return a - b;
  else
    return T(unsigned_t<T>(a) - unsigned_t<T>(b));
}
template <class T>
GF_FN T mul(T a, T b) {
  if constexpr (is_float_v<T>)
    return a * b;
  else if constexpr (sizeof(T) == 1)
    return a & b;
  else
    return T(unsigned_t<T>(a) * unsigned_t<T>(b));
}
template <class T>
GF_FN T div(T a, T b) {
  return a / b;
}
template <class T>
GF_FN T reciprocal(T x) {
  return 1 / x;
}
template <class T>
GF_FN T rsqrt(T x) {
  return 1 / sqrt(x);
}

template <class T>
GF_FN T neg(T x) {
  if constexpr (is_float_v<T>)
    return -x;
  else
    return T(-unsigned_t<T>(x));
}
GF_FN int32 abs(int32 x) { return x < 0 ? neg(x) : x; }
GF_FN int64 abs(int64 x) { return x < 0 ? neg(x) : x; }
template <class T>
GF_FN T sign(T x) {
  return T((x > 0) - (x < 0));  // 0 at nan, as torch
}
GF_FN int32 floor(int32 x) { return x; }
GF_FN int64 floor(int64 x) { return x; }
GF_FN int32 ceil(int32 x) { return x; }
GF_FN int64 ceil(int64 x) { return x; }
GF_FN int32 trunc(int32 x) { return x; }
GF_FN int64 trunc(int64 x) { return x; }
GF_FN int32 round(int32 x) { return x; }
GF_FN int64 round(int64 x) { return x; }

// nan wins; in two steps, of which the first is one instruction
template <class T>
GF_FN T maximum(T a, T b) {
  T larger = a > b ? a : b;
  return a != a ? a : larger;
}
template <class T>
GF_FN T minimum(T a, T b) {
  T smaller = a < b ? a : b;
  return a != a ? a : smaller;
}

// --- division: of integers by 0 it gives 0, and the least number by -1 wraps ------------------------------------

GF_FN int64 quotient(int64 a, int64 b) { return a / b; }  // towards zero
// A divisor that can be divided by.
template <class T>
GF_FN T safe_divisor(T b) {
  return b == 0 || b == -1 ? 1 : b;
}
// What is left when q, the quotient by the safe divisor, has been taken.
template <class T>
GF_FN T fmod_of(T q, T a, T b) {
  return a - q * safe_divisor(b);
}
GF_FN int32 fmod(int32 a, int32 b) { return fmod_of(quotient(a, safe_divisor(b)), a, b); }
GF_FN int64 fmod(int64 a, int64 b) { return fmod_of(quotient(a, safe_divisor(b)), a, b); }

// The sign of the divisor, as Python's %; m is a fmod b.
template <class T>
GF_FN T remainder_of(T m, T b) {
  return m != 0 && (m < 0) != (b < 0) ? add(m, b) : m;
}
template <class T>
GF_FN T remainder(T a, T b) {
  return remainder_of(fmod(a, b), b);
}

template <class T>
GF_FN T floor_divide_of(T m, T a, T b) {
  T q = (a - m) / b;  // exact up to rounding: a - m is a multiple of b
  q = m != 0 && (m < 0) != (b < 0) ? q - 1 : q;
  T whole = floor(q);
  whole = q - whole > T(0.5) ? whole + 1 : whole;
  T y = q != 0 ? whole : copysign(T(0), a / b);
  return b == 0 ? a / b : y;
}
template <class T>
GF_FN T floor_of(T q, T a, T b) {  // of integers; q as in fmod_of
  T m = fmod_of(q, a, b);
  q = m != 0 && (m < 0) != (b < 0) ? q - 1 : q;
  return b == 0 ? 0 : b == -1 ? neg(a) : q;
}
template <class T>
GF_FN T floor_divide(T a, T b) {
  if constexpr (is_float_v<T>) {
    return floor_divide_of(fmod(a, b), a, b);
  } else {
    return floor_of(quotient(a, safe_divisor(b)), a, b);
  }
}

template <class T>
GF_FN T integer_pow(T base, T exponent) {
  if (exponent < 0) {  // the truth rounded towards zero; 0 for base 0, as torch
    T sign = exponent & 1 ? -1 : 1;
    return base == 1 ? 1 : base == -1 ? sign : 0;
  }
  unsigned_t<T> y = 1, b = base;
  for (; exponent; exponent >>= 1, b *= b) y *= exponent & 1 ? b : 1;
  return T(y);
}
GF_FN int32 pow(int32 base, int32 exponent) { return integer_pow(base, exponent); }
GF_FN int64 pow(int64 base, int64 exponent) { return integer_pow(base, exponent); }

// --- bits -----------------------------------------------------------------------------------------------------

template <class T>
GF_FN T bit_not(T x) {
  if constexpr (sizeof(T) == 1)
    return x ^ 1;
  else
    return ~x;
}
template <class T>
GF_FN T bit_and(T a, T b) {
  return a & b;
}
template <class T>
GF_FN T bit_or(T a, T b) {
  return a | b;
}
template <class T>
GF_FN T bit_xor(T a, T b) {
  return a ^ b;
}

// A count that is negative or not below the width shifts every bit out.
template <class T>
GF_FN T shift_left(T a, T count) {
  if constexpr (sizeof(T) == 1)
    return count == 0 ? a : 0;
  else {
    constexpr T width = 8 * sizeof(T);
    bool within = count >= 0 && count < width;
    return within ? T(unsigned_t<T>(a) << (within ? count : 0)) : 0;
  }
}
template <class T>
GF_FN T shift_right(T a, T count) {
  if constexpr (sizeof(T) == 1)
    return count == 0 ? a : 0;
  else {
    constexpr T width = 8 * sizeof(T);
    return a >> (count >= 0 && count < width ? count : width - 1);
  }
}

// --- comparisons, choice ----------------------------------------------------------------------------------------

template <class T>
GF_FN bool8 eq(T a, T b) {
  return a == b;
}
template <class T>
GF_FN bool8 ne(T a, T b) {
  return a != b;
}
template <class T>
GF_FN bool8 lt(T a, T b) {
  return a < b;
}
template <class T>
GF_FN bool8 le(T a, T b) {
  return a <= b;
}
template <class T>
GF_FN bool8 gt(T a, T b) {
  return a > b;
}
template <class T>
GF_FN bool8 ge(T a, T b) {
  return a >= b;
}
template <class T>
GF_FN T where(bool8 c, T a, T b) {
  return c ? a : b;
}

// --- casts between register types -------------------------------------------------------------------------------

// A float outside the integer's range, or nan, gives the least integer, as the x86 instruction does.
template <class To, class From>
GF_FN To cast(From x) {
  if constexpr (sizeof(To) == 1)
    return x != 0;
  else if constexpr (is_float_v<From> && !is_float_v<To>) {
    constexpr From limit = sizeof(To) == 4 ? From(2147483648.0) : From(9223372036854775808.0);
    constexpr To least = To(unsigned_t<To>(1) << (8 * sizeof(To) - 1));
    return x >= -limit && x < limit ? To(x) : least;
  } else
    return To(x);
}

#undef GF_LIBRARY_UNARY
#undef GF_LIBRARY_BINARY

}  // namespace gf::prim

#include "gamma.h"
