// Types and helpers shared by the scalar headers; compiled by g++ (CPU) and by NVRTC (CUDA).
#pragma once

#ifdef __CUDACC_RTC__
#define GF_FN static __device__ __forceinline__
#define GF_ONE(name) ::name
#define GF_CALL static __device__ __noinline__  // a long one: a copy in every kernel would cost more than the call
#else
#include <cmath>
#include <cstdint>
#define GF_FN static inline __attribute__((always_inline))
#define GF_ONE(name) std::name  // of one number: float64.h's take longer for one, and a fraction of that for eight
#define GF_CALL [[maybe_unused]] static __attribute__((noinline))
#endif

namespace gf {

#ifdef __CUDACC_RTC__
using uint32 = unsigned int;
using uint64 = unsigned long long;
using int32 = int;
using int64 = long long;
#else
using uint32 = std::uint32_t;
using uint64 = std::uint64_t;
using int32 = std::int32_t;
using int64 = std::int64_t;
#endif
using bool8 = unsigned char;  // a truth value in memory and in registers: 0 or 1

// The unsigned type in which an integer's arithmetic wraps and is never undefined.
template <class T>
struct unsigned_of;
template <>
struct unsigned_of<bool8> {
  using type = uint32;
};
template <>
struct unsigned_of<int32> {
  using type = uint32;
};
template <>
struct unsigned_of<int64> {
  using type = uint64;
};
template <class T>
using unsigned_t = typename unsigned_of<T>::type;

template <class T>
struct is_float {
  static constexpr bool value = false;
};
template <>
struct is_float<float> {
  static constexpr bool value = true;
};
template <>
struct is_float<double> {
  static constexpr bool value = true;
};
template <class T>
constexpr bool is_float_v = is_float<T>::value;

#ifndef __CUDACC_RTC__
GF_FN uint32 bits(float x) {
  uint32 b;
  __builtin_memcpy(&b, &x, sizeof b);
  return b;
}
GF_FN uint64 bits(double x) {
  uint64 b;
  __builtin_memcpy(&b, &x, sizeof b);
  return b;
}
GF_FN float from_bits(uint32 b) {
  float x;
  __builtin_memcpy(&x, &b, sizeof x);
  return x;
}
GF_FN double from_bits(uint64 b) {
  double x;
  __builtin_memcpy(&x, &b, sizeof x);
  return x;
}

// One rounding where the instruction set has it, two elsewhere; never a library call.
GF_FN float fma(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
GF_FN double fma(double a, double b, double c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

// Horner's rule, highest coefficient first.
template <class T, class... C>
GF_FN T poly(T x, T highest, C... rest) {
  T y = highest;
  ((y = fma(y, x, T(rest))), ...);
  return y;
}
#endif

}  // namespace gf
