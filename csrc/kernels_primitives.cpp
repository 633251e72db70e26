// One loop per primitive and register type, all made from the X-macro in scalar.h.
#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

// ivdep and not __restrict: a destination may be one of the sources, element by element.
#define GF_LOOP _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)

#define GF_UNARY_FN(name, T)                                                                \
  [](void* dst, const void* a, const void*, const void*, int64_t n) {                       \
    T* d = static_cast<T*>(dst);                                                            \
    const T* x = static_cast<const T*>(a);                                                  \
    GF_LOOP d[i] = prim::name(x[i]);                                                        \
  }

#define GF_BINARY_FN(name, T, R)                                                            \
  [](void* dst, const void* a, const void* b, const void*, int64_t n) {                     \
    R* d = static_cast<R*>(dst);                                                            \
    const T* x = static_cast<const T*>(a);                                                  \
    const T* y = static_cast<const T*>(b);                                                  \
    GF_LOOP d[i] = prim::name(x[i], y[i]);                                                  \
  }

#define GF_WHERE_FN(name, T)                                                                \
  [](void* dst, const void* a, const void* b, const void* c, int64_t n) {                   \
    T* d = static_cast<T*>(dst);                                                            \
    const bool8* p = static_cast<const bool8*>(a);                                      \
    const T* x = static_cast<const T*>(b);                                                  \
    const T* y = static_cast<const T*>(c);                                                  \
    GF_LOOP d[i] = prim::name(p[i], x[i], y[i]);                                       \
  }

#define GF_PAIR_FN(T, formula)                                                              \
  [](void* dst, const void* a, const void* b, const void* c, int64_t n) {                   \
    T* d = static_cast<T*>(dst);                                                            \
    const T* p = static_cast<const T*>(a);                                                  \
    const T* q = static_cast<const T*>(b);                                                  \
    const T* r = static_cast<const T*>(c);                                                  \
    GF_LOOP {                                                                               \
      const T x = p[i], y = q[i], z = r[i];                                                 \
      d[i] = formula;                                                                       \
    }                                                                                       \
  }

// In vectors where all of the tile is moderate, else the library's, one by one: remainders, and sines of float64.
#define GF_NEAR_FN(T, is_near, near, exact)                                                 \
  [](void* dst, const void* a, const void* b, const void*, int64_t n) {                     \
    T* d = static_cast<T*>(dst);                                                            \
    const T *p = static_cast<const T*>(a), *q = static_cast<const T*>(b);                   \
    int64_t far = 0;                                                                        \
    for (int64_t i = 0; i < n; ++i) {                                                       \
      const T x = p[i], y = q[i];                                                           \
      (void)y;                                                                              \
      far += !(is_near);                                                                    \
    }                                                                                       \
    if (far == 0) {                                                                         \
      GF_LOOP {                                                                             \
        const T x = p[i], y = q[i];                                                         \
        (void)y;                                                                            \
        d[i] = near;                                                                        \
      }                                                                                     \
    } else {                                                                                \
      for (int64_t i = 0; i < n; ++i) {                                                     \
        const T x = p[i], y = q[i];                                                         \
        (void)y;                                                                            \
        d[i] = exact;                                                                       \
      }                                                                                     \
    }                                                                                       \
  }

inline __attribute__((always_inline)) int64 integer_remainder_of(int64 q, int64 a, int64 b) {
  return prim::remainder_of(prim::fmod_of(q, a, b), b);
}

// M(type, name) for each register type of the primitive's domain sets one entry of the table.
#define GF_SET_UNARY(T, name) k.op[kOp_##name][RegOf<T>::value] = GF_UNARY_FN(name, T);
#define GF_SET_BINARY(T, name) k.op[kOp_##name][RegOf<T>::value] = GF_BINARY_FN(name, T, T);
#define GF_SET_COMPARE(T, name) k.op[kOp_##name][RegOf<T>::value] = GF_BINARY_FN(name, T, bool8);
#define GF_SET_WHERE(T, name) k.op[kOp_##name][RegOf<T>::value] = GF_WHERE_FN(name, T);

#define GF_UNARY(name, domain) GF_DOMAIN_##domain(GF_SET_UNARY, name)
#define GF_BINARY(name, domain) GF_DOMAIN_##domain(GF_SET_BINARY, name)
#define GF_COMPARE(name, domain) GF_DOMAIN_##domain(GF_SET_COMPARE, name)
#define GF_TERNARY(name, domain) GF_DOMAIN_##domain(GF_SET_WHERE, name)

}  // namespace

void fill_primitives(Kernels& k) {
  GF_PRIMITIVES(GF_UNARY, GF_BINARY, GF_TERNARY, GF_COMPARE)
#define GF_SET_PAIR(name, formula)                            \
  k.op[kOp_##name][kRegFloat32] = GF_PAIR_FN(float, formula); \
  k.op[kOp_##name][kRegFloat64] = GF_PAIR_FN(double, formula);
  GF_PAIRS(GF_SET_PAIR)
#define GF_SET_DIVISIONS(T, library)                                                                               \
  k.op[kOp_fmod][RegOf<T>::value] =                                                                                \
      GF_NEAR_FN(T, library::is_near(x, y), library::fmod_near(x, y), prim::fmod(x, y));                           \
  k.op[kOp_remainder][RegOf<T>::value] = GF_NEAR_FN(                                                               \
      T, library::is_near(x, y), prim::remainder_of(library::fmod_near(x, y), y), prim::remainder(x, y));          \
  k.op[kOp_floor_divide][RegOf<T>::value] = GF_NEAR_FN(                                                            \
      T, library::is_near(x, y), prim::floor_divide_of(library::fmod_near(x, y), x, y), prim::floor_divide(x, y));
  GF_SET_DIVISIONS(float, float32)
  GF_SET_DIVISIONS(double, float64)
#define GF_SET_QUOTIENT(name, of)                                                                                  \
  k.op[kOp_##name][kRegInt64] =                                                                                    \
      GF_NEAR_FN(int64, float64::is_near(x, y), of(float64::quotient_near(x, prim::safe_divisor(y)), x, y),        \
                 prim::name(x, y));
  GF_SET_QUOTIENT(fmod, prim::fmod_of)
  GF_SET_QUOTIENT(floor_divide, prim::floor_of)
  GF_SET_QUOTIENT(remainder, integer_remainder_of)
#define GF_SET_ANGLE(name) \
  k.op[kOp_##name][kRegFloat64] = GF_NEAR_FN(double, float64::is_near(x), float64::name##_near(x), prim::name(x));
  GF_SET_ANGLE(sin)
  GF_SET_ANGLE(cos)
  GF_SET_ANGLE(tan)
}

}  // namespace GF_ISA
}  // namespace gf
