// argmax and argmin of tiles.
#include "folding.h"

namespace gf {
namespace GF_ISA {
namespace {

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

}  // namespace

void fill_args(Kernels& k) {
  set_arg<Max>(k.arg[0]);
  set_arg<Min>(k.arg[1]);
}

}  // namespace GF_ISA
}  // namespace gf
