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

// Remainders of float32: in vectors where all quotients of the tile are moderate, else the library's, one by one.
#define GF_DIVISION_FN(near, exact)                                                         \
  [](void* dst, const void* a, const void* b, const void*, int64_t n) {                     \
    float* d = static_cast<float*>(dst);                                                    \
    const float* p = static_cast<const float*>(a);                                          \
    const float* q = static_cast<const float*>(b);                                          \
    int far = 0;                                                                            \
    for (int64_t i = 0; i < n; ++i) far += !float32::is_near(p[i], q[i]);                   \
    if (far == 0) {                                                                         \
      GF_LOOP {                                                                             \
        const float x = p[i], y = q[i], m = float32::fmod_near(x, y);                       \
        d[i] = near;                                                                        \
      }                                                                                     \
    } else {                                                                                \
      for (int64_t i = 0; i < n; ++i) d[i] = exact(p[i], q[i]);                             \
    }                                                                                       \
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
  k.op[kOp_fmod][kRegFloat32] = GF_DIVISION_FN(m, prim::fmod);
  k.op[kOp_remainder][kRegFloat32] = GF_DIVISION_FN(prim::remainder_of(m, y), prim::remainder);
  k.op[kOp_floor_divide][kRegFloat32] = GF_DIVISION_FN(prim::floor_divide_of(m, x, y), prim::floor_divide);
}

}  // namespace GF_ISA
}  // namespace gf
