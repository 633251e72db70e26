// Folds of runs of elements with SIMD vectors: the operations, their accumulators, their lanes. For the kernels_*
// files, each of which has its own copy per instruction set.
#pragma once

#include <limits>
#include <type_traits>

#include "half.h"
#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// A SIMD register as a GCC vector; the second type may be loaded from any address.
template <class T>
struct Simd {
  typedef T type __attribute__((vector_size(kVectorBytes)));
  typedef T unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
  static constexpr int width = kVectorBytes / int(sizeof(T));
};

// ---- the operations ------------------------------------------------------------------------------
// `apply` is written once for scalars and SIMD vectors alike.

template <class T>
struct Unsigned {
  using type = T;
};
template <>
struct Unsigned<int32_t> {
  using type = uint32_t;
};
template <>
struct Unsigned<int64_t> {
  using type = uint64_t;
};

struct Sum {
  static constexpr bool extreme = false;
  template <class T>
  static constexpr T identity = T(0);
  template <class V>
  GF_INLINE V apply(V a, V b) {
    return a + b;
  }
};

struct Prod {
  static constexpr bool extreme = false;
  template <class T>
  static constexpr T identity = T(1);
  template <class V>
  GF_INLINE V apply(V a, V b) {
    return a * b;
  }
};

struct Max {
  static constexpr bool extreme = true;
  template <class T>
  static constexpr T identity =
      std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  template <class V>
  GF_INLINE V apply(V a, V b) {
    V larger = b > a ? b : a;    // keeps a nan in a ...
    return b != b ? b : larger;  // ... and takes one from b
  }
  template <class V>
  GF_INLINE V pick(V a, V b) {  // one instruction, for what happens to nan is left to it
    return a > b ? a : b;
  }
};

struct Min {
  static constexpr bool extreme = true;
  template <class T>
  static constexpr T identity =
      std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  template <class V>
  GF_INLINE V apply(V a, V b) {
    V smaller = b < a ? b : a;
    return b != b ? b : smaller;
  }
  template <class V>
  GF_INLINE V pick(V a, V b) {
    return a < b ? a : b;
  }
};

struct Any {
  static constexpr bool extreme = false;
  template <class T>
  static constexpr T identity = T(0);
  template <class V>
  GF_INLINE V apply(V a, V b) {
    return a | b;
  }
};

struct All {
  static constexpr bool extreme = false;
  template <class T>
  static constexpr T identity = T(1);
  template <class V>
  GF_INLINE V apply(V a, V b) {
    return a & b;
  }
};

// ---- accumulators --------------------------------------------------------------------------------

// A double sum with the rounding errors of its additions carried along (Neumaier).
struct Compensated {
  double sum, error;
};

GF_INLINE void add(Compensated& acc, double x) {
  double s = acc.sum + x;
  double from_x = s - acc.sum;
  acc.error += (acc.sum - (s - from_x)) + (x - from_x);
  acc.sum = s;
}

// Plain accumulator: its own type A, the operation itself.
template <class Op, class T, class A>
struct Accumulator {
  using Type = A;
  GF_INLINE A start() { return Op::template identity<A>; }
  GF_INLINE void take(A& acc, T x) { acc = Op::apply(acc, A(x)); }
  GF_INLINE void merge(A& acc, A other) { acc = Op::apply(acc, other); }
  GF_INLINE T finish(A acc, double) { return T(acc); }
};

template <>
struct Accumulator<Sum, float, double> {
  using Type = double;
  GF_INLINE double start() { return 0; }
  GF_INLINE void take(double& acc, double x) { acc += x; }
  GF_INLINE void merge(double& acc, double other) { acc += other; }
  GF_INLINE float finish(double acc, double scale) { return float(acc * scale); }
};

template <>
struct Accumulator<Sum, double, Compensated> {
  using Type = Compensated;
  GF_INLINE Compensated start() { return {0, 0}; }
  GF_INLINE void take(Compensated& acc, double x) { add(acc, x); }
  GF_INLINE void merge(Compensated& acc, Compensated other) {
    add(acc, other.sum);
    acc.error += other.error;
  }
  GF_INLINE double finish(Compensated acc, double scale) {
    // infinite or nan sums have a meaningless error term
    return scale * (acc.error == acc.error && __builtin_isfinite(acc.sum) ? acc.sum + acc.error : acc.sum);
  }
};

// ---- a run of elements to one value --------------------------------------------------------------

template <class T, int bytes>
struct Vector {
  typedef T type __attribute__((vector_size(bytes)));
};

// All lanes of a vector in one, by halves.
template <class Op, class T, int bytes>
GF_INLINE T across(typename Vector<T, bytes>::type v) {
  if constexpr (bytes > 16) {
    typename Vector<T, bytes / 2>::type low, high;
    __builtin_memcpy(&low, &v, bytes / 2);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + bytes / 2, bytes / 2);
    return across<Op, T, bytes / 2>(Op::apply(low, high));
  } else {
    constexpr int half = bytes / int(sizeof(T)) / 2;
    T lane[half];
    for (int i = 0; i < half; ++i) lane[i] = Op::apply(T(v[i]), T(v[i + half]));
    for (int n = half / 2; n > 0; n /= 2)
      for (int i = 0; i < n; ++i) lane[i] = Op::apply(lane[i], lane[i + n]);
    return lane[0];
  }
}

constexpr int64_t kUnroll = 4;  // vectors in flight, to cover the latency of the operation

// The n < width elements at x with the other lanes neutral; `before` and `readable` say how far memory around x
// may be read: from x - before, and `readable` elements from x.
template <class Op, class T>
GF_INLINE typename Simd<T>::type load_some(const T* x, int64_t n, int64_t before, int64_t readable) {
  using V = typename Simd<T>::type;
  using U = typename Simd<T>::unaligned;
  constexpr int64_t width = Simd<T>::width;
  V lane, neutral;
  for (int i = 0; i < width; ++i) lane[i] = T(i);
  for (int i = 0; i < width; ++i) neutral[i] = Op::template identity<T>;
  if (readable >= width) return lane < T(n) ? V(*reinterpret_cast<const U*>(x)) : neutral;
  if (before + n >= width) return lane >= T(width - n) ? V(*reinterpret_cast<const U*>(x + n - width)) : neutral;
  T some[width];
  for (int i = 0; i < width; ++i) some[i] = i < n ? x[i] : Op::template identity<T>;
  return *reinterpret_cast<const U*>(some);
}

// `pick` as an operation of its own.
template <class Op>
struct Picked {
  template <class V>
  GF_INLINE V apply(V a, V b) {
    return Op::pick(a, b);
  }
};

#define GF_MEMBER inline __attribute__((always_inline))

// What a run is folded into, lane by lane.
template <class Op, class T, class = void>
struct Lanes {
  using V = typename Simd<T>::type;
  V value;
  GF_INLINE Lanes of(V x) { return {x}; }
  GF_MEMBER void take(V x) { value = Op::apply(value, x); }
  GF_MEMBER void join(Lanes l) { value = Op::apply(value, l.value); }
  GF_MEMBER T total() const { return across<Op, T, kVectorBytes>(value); }
};

template <class T>
struct BitsOf;
template <>
struct BitsOf<float> {
  using type = uint32_t;
  static constexpr type inf = 0x7f800000u;
};
template <>
struct BitsOf<double> {
  using type = uint64_t;
  static constexpr type inf = 0x7ff0000000000000u;
};

// Extremes of floats: the hardware's instruction, which may lose a nan, and the largest magnitude as an integer,
// which tells of every nan.
template <class Op, class T>
struct Lanes<Op, T, std::enable_if_t<Op::extreme && std::is_floating_point<T>::value>> {
  using V = typename Simd<T>::type;
  using Bits = typename BitsOf<T>::type;
  using B = typename Simd<Bits>::type;
  V value;
  B magnitude;
  GF_INLINE B magnitude_of(V x) { return B(x) & (B{} + Bits(Bits(~Bits(0)) >> 1)); }
  GF_INLINE Lanes of(V x) { return {x, magnitude_of(x)}; }
  GF_MEMBER void take(V x) { join(of(x)); }
  GF_MEMBER void join(Lanes l) {
    value = Op::pick(value, l.value);
    magnitude = Max::pick(magnitude, l.magnitude);
  }
  GF_MEMBER T total() const {
    Bits largest = across<Picked<Max>, Bits, kVectorBytes>(magnitude);
    return largest > BitsOf<T>::inf ? T(__builtin_nan("")) : across<Picked<Op>, T, kVectorBytes>(value);
  }
};

// Every lane takes at most 9 elements before the lanes join the accumulator.
template <class Op, class T, class Acc>
GF_INLINE void fold_run(typename Acc::Type& acc, const T* x, int64_t n, int64_t readable) {
  using V = typename Simd<T>::type;
  using U = typename Simd<T>::unaligned;
  using L = Lanes<Op, T>;
  constexpr int64_t width = Simd<T>::width, step = kUnroll * width;
  const T* const begin = x;
  const T* const end = x + n;
  while (end - x >= step) {
    const U* p = reinterpret_cast<const U*>(x);
    L a = L::of(p[0]), b = L::of(p[1]), c = L::of(p[2]), d = L::of(p[3]);
    int64_t blocks = (end - x) / step;
    if (blocks > 8) blocks = 8;
    for (int64_t i = 1; i < blocks; ++i) {
      p += kUnroll;
      a.take(p[0]);
      b.take(p[1]);
      c.take(p[2]);
      d.take(p[3]);
    }
    x += blocks * step;
    if (end - x < step) {  // the rest goes along
      if (end - x >= 2 * width) {
        a.take(*reinterpret_cast<const U*>(x));
        b.take(*reinterpret_cast<const U*>(x + width));
        x += 2 * width;
      }
      if (end - x >= width) {
        c.take(*reinterpret_cast<const U*>(x));
        x += width;
      }
      if (end > x) d.take(load_some<Op, T>(x, end - x, x - begin, readable - (x - begin)));
      x = end;
    }
    a.join(b);
    c.join(d);
    a.join(c);
    Acc::take(acc, a.total());
  }
  if (x == end) return;
  if (end - x < 4) {
    T few = *x++;
    for (; x < end; ++x) few = Op::apply(few, *x);
    Acc::take(acc, few);
    return;
  }
  V a = n < width ? load_some<Op, T>(x, n, 0, readable) : V(*reinterpret_cast<const U*>(x));
  for (x += width; x < end; x += width)
    a = Op::apply(a, end - x >= width ? V(*reinterpret_cast<const U*>(x))
                                      : load_some<Op, T>(x, end - x, x - begin, readable - (x - begin)));
  Acc::take(acc, across<Op, T, kVectorBytes>(a));
}

// The sum of products, as fold_run.
template <class T, class Acc>
GF_INLINE void product_run(typename Acc::Type& acc, const T* x, const T* y, int64_t n, int64_t readable) {
  using V = typename Simd<T>::type;
  using U = typename Simd<T>::unaligned;
  constexpr int64_t width = Simd<T>::width, step = kUnroll * width;
  while (n > 0) {
    V a{}, b{}, c{}, d{};
    int64_t blocks = n / step < 8 ? n / step : 8;
    for (int64_t i = 0; i < blocks; ++i, x += step, y += step) {
      const U *p = reinterpret_cast<const U*>(x), *q = reinterpret_cast<const U*>(y);
      a += V(p[0]) * V(q[0]);
      b += V(p[1]) * V(q[1]);
      c += V(p[2]) * V(q[2]);
      d += V(p[3]) * V(q[3]);
    }
    n -= blocks * step;
    readable -= blocks * step;
    if (n < step) {
      for (; n >= width; n -= width, readable -= width, x += width, y += width)
        a += V(*reinterpret_cast<const U*>(x)) * V(*reinterpret_cast<const U*>(y));
      if (n > 0) b += load_some<Sum, T>(x, n, 0, readable) * load_some<Sum, T>(y, n, 0, readable);
      n = 0;
    }
    Acc::take(acc, across<Sum, T, kVectorBytes>((a + b) + (c + d)));
  }
}

template <class T, class Acc>
void sum_of_products(void* acc, const void* x, const void* y, int64_t n, int64_t rows) {
  auto* a = static_cast<typename Acc::Type*>(acc);
  const T *p = static_cast<const T*>(x), *q = static_cast<const T*>(y);
  for (int64_t row = 0; row < rows; ++row, p += n, q += n) product_run<T, Acc>(a[row], p, q, n, (rows - row) * n);
}

}  // namespace
}  // namespace GF_ISA
}  // namespace gf
