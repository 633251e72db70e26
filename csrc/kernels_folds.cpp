// Folds of tiles: sums, products, extremes, any/all, argmax/argmin.
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
    V larger = b > a ? b : a;  // keeps a nan in a ...
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

// ---- the table's functions -----------------------------------------------------------------------

// R: register type; T: the type to compute in (unsigned for integers, so that overflow wraps).
template <class Op, class R, class T, class Acc>
struct FoldFunctions {
  using A = typename Acc::Type;

  static void init(void* acc, int64_t n) {
    A* a = static_cast<A*>(acc);
    for (int64_t i = 0; i < n; ++i) a[i] = Acc::start();
  }

  static void init_lanes(void* lanes, int64_t n) {
    T* l = static_cast<T*>(lanes);
    for (int64_t i = 0; i < n; ++i) l[i] = Op::template identity<R>;
  }

  static void rows(void* acc, const void* tile, int64_t n, int64_t count) {
    A* a = static_cast<A*>(acc);
    const T* x = static_cast<const T*>(tile);
    for (int64_t row = 0; row < count; ++row, x += n) fold_run<Op, T, Acc>(a[row], x, n, (count - row) * n);
  }

  static void vertical(void* lanes, const void* tile, int64_t w, int64_t count, int64_t stride) {
    T* l = static_cast<T*>(lanes);
    const char* p = static_cast<const char*>(tile);
    for (; count >= 4; count -= 4, p += 4 * stride) {
      const T* x0 = reinterpret_cast<const T*>(p);
      const T* x1 = reinterpret_cast<const T*>(p + stride);
      const T* x2 = reinterpret_cast<const T*>(p + 2 * stride);
      const T* x3 = reinterpret_cast<const T*>(p + 3 * stride);
#pragma GCC ivdep
      for (int64_t i = 0; i < w; ++i)
        l[i] = Op::apply(l[i], Op::apply(Op::apply(x0[i], x1[i]), Op::apply(x2[i], x3[i])));
    }
    for (; count > 0; --count, p += stride) {
      const T* x = reinterpret_cast<const T*>(p);
#pragma GCC ivdep
      for (int64_t i = 0; i < w; ++i) l[i] = Op::apply(l[i], x[i]);
    }
  }

  static void flush(void* acc, void* lanes, int64_t n) {
    A* a = static_cast<A*>(acc);
    T* l = static_cast<T*>(lanes);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) {
      Acc::take(a[i], l[i]);
      l[i] = Op::template identity<R>;
    }
  }

  static void combine(void* acc, const void* other, int64_t n) {
    A* a = static_cast<A*>(acc);
    const A* b = static_cast<const A*>(other);
    for (int64_t i = 0; i < n; ++i) Acc::merge(a[i], b[i]);
  }

  static void finish(void* out, const void* acc, int64_t n, double scale) {
    T* y = static_cast<T*>(out);
    const A* a = static_cast<const A*>(acc);
    for (int64_t i = 0; i < n; ++i) y[i] = Acc::finish(a[i], scale);
  }

  static Fold table() {
    int64_t lane_steps = sizeof(A) > sizeof(T) ? 32 : 1 << 20;
    return {sizeof(A), lane_steps, init, init_lanes, rows, vertical, flush, combine, finish};
  }
};

template <class Op, class R>
Fold fold_same() {
  return FoldFunctions<Op, R, R, Accumulator<Op, R, R>>::table();
}

template <class Op, class R>
Fold fold_wrapping() {
  using T = typename Unsigned<R>::type;
  return FoldFunctions<Op, R, T, Accumulator<Op, T, T>>::table();
}

// ---- argmax, argmin ------------------------------------------------------------------------------

template <class Op, class T>
struct ArgFunctions {
  // Whether x takes the place of best: better, or the first nan.
  GF_INLINE bool wins(T x, T best) {
    bool better = std::is_same<Op, Max>::value ? x > best : x < best;
    return better | ((x != x) & (best == best));
  }

  // Where best, or the first nan, stands.
  GF_INLINE int64_t find(const T* x, int64_t n, T best, int64_t readable) {
    using V = typename Simd<T>::type;
    constexpr int64_t width = Simd<T>::width, chunk = 8 * width;
    int64_t i = 0;
    for (; i + chunk <= n; i += chunk) {
      int found = 0;
      for (int64_t j = 0; j < chunk; ++j) found |= (x[i + j] == best) | (x[i + j] != x[i + j]);
      if (found) break;
    }
    V lane, none;
    for (int j = 0; j < width; ++j) lane[j] = T(j);
    for (int j = 0; j < width; ++j) none[j] = T(width);
    for (; i < n; i += width) {
      V v = n - i >= width ? V(*reinterpret_cast<const typename Simd<T>::unaligned*>(x + i))
                           : load_some<Op, T>(x + i, n - i, 0, readable - i);  // lane 0 is x[i]
      V places = v == best ? lane : none;
      places = v != v ? lane : places;
      T first = across<Min, T, kVectorBytes>(places);
      if (first < T(width)) return i + int64_t(first);
    }
    return n - 1;
  }

  static void rows(void* value, int64_t* index, const void* tile, int64_t n, int64_t count, int64_t base) {
    T* v = static_cast<T*>(value);
    const T* x = static_cast<const T*>(tile);
    for (int64_t row = 0; row < count; ++row, x += n) {
      T best = x[0];
      fold_run<Op, T, Accumulator<Op, T, T>>(best, x, n, (count - row) * n);
      if (index[row] >= 0 && !wins(best, v[row])) continue;
      v[row] = best;
      index[row] = base + find(x, n, best, (count - row) * n);
    }
  }

  static void vertical(void* value, int64_t* index, const void* tile, int64_t w, int64_t count, int64_t stride,
                       int64_t base) {
    T* v = static_cast<T*>(value);
    const char* p = static_cast<const char*>(tile);
    for (int64_t row = 0; row < count; ++row, p += stride) {
      const T* x = reinterpret_cast<const T*>(p);
      const int64_t here = base + row;
#pragma GCC ivdep
      for (int64_t i = 0; i < w; ++i) {
        bool take = (index[i] < 0) | wins(x[i], v[i]);
        v[i] = take ? x[i] : v[i];
        index[i] = take ? here : index[i];
      }
    }
  }

  static void combine(void* value, int64_t* index, const void* value2, const int64_t* index2, int64_t n) {
    T* v = static_cast<T*>(value);
    const T* x = static_cast<const T*>(value2);
    for (int64_t i = 0; i < n; ++i) {
      if (index2[i] < 0 || (index[i] >= 0 && !wins(x[i], v[i]))) continue;
      v[i] = x[i];
      index[i] = index2[i];
    }
  }

  static ArgFold table() { return {rows, vertical, combine}; }
};

template <class Op>
void set_arg(ArgFold* column) {
  column[kRegBool] = ArgFunctions<Op, uint8_t>::table();
  column[kRegInt32] = ArgFunctions<Op, int32_t>::table();
  column[kRegInt64] = ArgFunctions<Op, int64_t>::table();
  column[kRegFloat32] = ArgFunctions<Op, float>::table();
  column[kRegFloat64] = ArgFunctions<Op, double>::table();
}

template <class Op>
void set_extremes(Fold* column) {
  column[kRegBool] = fold_same<Op, uint8_t>();
  column[kRegInt32] = fold_same<Op, int32_t>();
  column[kRegInt64] = fold_same<Op, int64_t>();
  column[kRegFloat32] = fold_same<Op, float>();
  column[kRegFloat64] = fold_same<Op, double>();
}

}  // namespace

void fill_folds(Kernels& k) {
  // bool sums and products: or, and
  k.fold[kSum][kRegBool] = k.fold[kAny][kRegBool] = fold_same<Any, uint8_t>();
  k.fold[kProd][kRegBool] = k.fold[kAll][kRegBool] = fold_same<All, uint8_t>();
  k.fold[kSum][kRegInt32] = fold_wrapping<Sum, int32_t>();
  k.fold[kSum][kRegInt64] = fold_wrapping<Sum, int64_t>();
  k.fold[kProd][kRegInt32] = fold_wrapping<Prod, int32_t>();
  k.fold[kProd][kRegInt64] = fold_wrapping<Prod, int64_t>();
  k.fold[kSum][kRegFloat32] = FoldFunctions<Sum, float, float, Accumulator<Sum, float, double>>::table();
  k.fold[kSum][kRegFloat64] = FoldFunctions<Sum, double, double, Accumulator<Sum, double, Compensated>>::table();
  k.fold[kProd][kRegFloat32] = FoldFunctions<Prod, float, float, Accumulator<Prod, float, double>>::table();
  k.fold[kProd][kRegFloat64] = fold_same<Prod, double>();
  set_extremes<Max>(k.fold[kMax]);
  set_extremes<Min>(k.fold[kMin]);
  set_arg<Max>(k.arg[0]);
  set_arg<Min>(k.arg[1]);
}

}  // namespace GF_ISA
}  // namespace gf
