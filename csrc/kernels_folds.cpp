// Folds of tiles: sums, products, extremes, any, all.
#include "folding.h"

namespace gf {
namespace GF_ISA {
namespace {

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
  k.sum_of_products[kRegFloat32] = sum_of_products<float, Accumulator<Sum, float, double>>;
  k.sum_of_products[kRegFloat64] = sum_of_products<double, Accumulator<Sum, double, Compensated>>;
  set_extremes<Max>(k.fold[kMax]);
  set_extremes<Min>(k.fold[kMin]);
}

}  // namespace GF_ISA
}  // namespace gf
