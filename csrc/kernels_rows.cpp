// Operations between a tile of rows and values of which each row has one.
#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

// `set`: which of x, y, z are values of the row.
#define GF_ROW_FN(T, R, set, formula)                                                             \
  [](void* dst, const void* a, const void* b, const void* c, int64_t n, int64_t rows) {           \
    R* d = static_cast<R*>(dst);                                                                  \
    const T* p = static_cast<const T*>(a);                                                        \
    const T* q = static_cast<const T*>(b);                                                        \
    const T* r = static_cast<const T*>(c);                                                        \
    for (int64_t row = 0; row < rows; ++row) {                                                    \
      const T x_of_row = *p, y_of_row = *q, z_of_row = *r;                                        \
      _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) {                                      \
        const T x = (set)&1 ? x_of_row : p[i], y = (set)&2 ? y_of_row : q[i];                     \
        [[maybe_unused]] const T z = (set)&4 ? z_of_row : r[i];                                   \
        d[i] = formula;                                                                           \
      }                                                                                           \
      d += n;                                                                                     \
      p += (set)&1 ? 1 : n;                                                                       \
      q += (set)&2 ? 1 : n;                                                                       \
      r += (set)&4 ? 1 : n;                                                                       \
    }                                                                                             \
  }

#define GF_SET_ROW(name, T, R, set, formula) \
  k.row_op[kOp_##name][RegOf<T>::value][set] = GF_ROW_FN(T, R, set, formula);

#define GF_ROW_BINARY(name, T, R)                        \
  GF_SET_ROW(name, T, R, 1, (prim::name(x, y)))          \
  GF_SET_ROW(name, T, R, 2, (prim::name(x, y)))
#define GF_ROW_ARITHMETIC(name)       \
  GF_ROW_BINARY(name, float, float)   \
  GF_ROW_BINARY(name, double, double)
#define GF_ROW_COMPARISON(name)        \
  GF_ROW_BINARY(name, float, bool8)    \
  GF_ROW_BINARY(name, int64_t, bool8)

#define GF_ROW_PAIR_OF(name, T, formula)  \
  GF_SET_ROW(name, T, T, 1, formula)      \
  GF_SET_ROW(name, T, T, 2, formula)      \
  GF_SET_ROW(name, T, T, 3, formula)      \
  GF_SET_ROW(name, T, T, 4, formula)      \
  GF_SET_ROW(name, T, T, 5, formula)      \
  GF_SET_ROW(name, T, T, 6, formula)
#define GF_ROW_PAIR(name, formula)       \
  GF_ROW_PAIR_OF(name, float, formula)   \
  GF_ROW_PAIR_OF(name, double, formula)

}  // namespace

void fill_rows(Kernels& k) {
  GF_ROW_ARITHMETIC(add)
  GF_ROW_ARITHMETIC(sub)
  GF_ROW_ARITHMETIC(mul)
  GF_ROW_ARITHMETIC(div)
  GF_ROW_ARITHMETIC(maximum)
  GF_ROW_ARITHMETIC(minimum)
  GF_ROW_COMPARISON(eq)
  GF_ROW_COMPARISON(ne)
  GF_ROW_COMPARISON(lt)
  GF_ROW_COMPARISON(le)
  GF_PAIRS(GF_ROW_PAIR)
}

}  // namespace GF_ISA
}  // namespace gf
