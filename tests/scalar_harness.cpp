// Every primitive as a loop that the tests call, and the error of float32 results. Compiled by test_scalar_math.py.
#include "gradflow/scalar.h"
using namespace gf;
using std::int64_t;

#define UNARY(T, name) void name##_##T(T* __restrict y, const T* __restrict a, int64_t n) \
    { for (int64_t i = 0; i < n; ++i) y[i] = prim::name(a[i]); }
#define BINARY(T, name) void name##_##T(T* __restrict y, const T* __restrict a, const T* __restrict b, int64_t n) \
    { for (int64_t i = 0; i < n; ++i) y[i] = prim::name(a[i], b[i]); }
#define COMPARE(T, name) void name##_##T(bool8* __restrict y, const T* __restrict a, const T* __restrict b, int64_t n) \
    { for (int64_t i = 0; i < n; ++i) y[i] = prim::name(a[i], b[i]); }
#define CHOOSE(T, name) void name##_##T(T* __restrict y, const bool8* c, const T* __restrict a, const T* __restrict b, int64_t n) \
    { for (int64_t i = 0; i < n; ++i) y[i] = prim::name(c[i], a[i], b[i]); }
#define CAST(To, From) void cast_##From##_to_##To(To* __restrict y, const From* __restrict a, int64_t n) \
    { for (int64_t i = 0; i < n; ++i) y[i] = prim::cast<To>(a[i]); }

#define FLOATS_F(M, name) M(float, name) DOUBLE(M, name)
#define FLOATS_N(M, name) FLOATS_F(M, name)
#define FLOATS_A(M, name) FLOATS_F(M, name)
#define FLOATS_I(M, name)
#ifdef ALL_TYPES
#define DOUBLE(M, name) M(double, name)
#define REST_F(M, name)
#define REST_N(M, name) M(int32, name) M(int64, name)
#define REST_I(M, name) M(bool8, name) REST_N(M, name)
#define REST_A(M, name) REST_I(M, name)
#else
#define DOUBLE(M, name)
#define REST_F(M, name)
#define REST_N(M, name)
#define REST_I(M, name)
#define REST_A(M, name)
#endif
#define U(name, domain) FLOATS_##domain(UNARY, name) REST_##domain(UNARY, name)
#define B(name, domain) FLOATS_##domain(BINARY, name) REST_##domain(BINARY, name)
#define C(name, domain) FLOATS_##domain(COMPARE, name) REST_##domain(COMPARE, name)
#define T(name, domain) FLOATS_##domain(CHOOSE, name) REST_##domain(CHOOSE, name)

extern "C" {
GF_PRIMITIVES(U, B, T, C)

#define NAME(name, domain) #name " " #domain ","
const char* names() { return GF_PRIMITIVES(NAME, NAME, NAME, NAME); }

#ifdef ALL_TYPES
#define CASTS(From) CAST(bool8, From) CAST(int32, From) CAST(int64, From) CAST(float, From) CAST(double, From)
CASTS(bool8)
CASTS(int32) CASTS(int64) CASTS(float) CASTS(double)
#endif

    void philox_words(uint32* y, const uint32* key, const uint32* counter) {
  PhiloxBlock block = philox4x32(key[0], key[1], counter[0], counter[1], counter[2], counter[3]);
  for (int i = 0; i < 4; ++i) y[i] = block.word[i];
}
void philox_tile(uint32* y, int64_t seed, int64_t first, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    PhiloxBlock block = philox(seed, first + i);
    for (int j = 0; j < 4; ++j) y[4 * i + j] = block.word[j];
  }
}
void random_elements(int64_t* y, int64_t seed, int64_t first, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = random_bits(seed, first + i);
}

// The largest error in ulp, and where; infinite where nan, an infinity or the sign of a zero is wrong.
double worst_ulp(const float* y, const double* truth, int64_t n, int64_t* where) {
  double worst = -1;
  for (int64_t i = 0; i < n; ++i) {
    double t = truth[i], v = y[i], largest = std::ldexp(1.0, 128);
    double error;
    if (std::isnan(t) || std::isnan(v))
      error = std::isnan(t) && std::isnan(v) ? 0 : INFINITY;
    else if (t == 0 && v == 0)
      error = std::signbit(t) == std::signbit(v) ? 0 : INFINITY;
    else if (std::isinf(t))
      error = t == v ? 0 : INFINITY;
    else {
      v = std::isinf(v) ? std::copysign(largest, v) : v;
      t = std::fabs(t) > largest ? std::copysign(largest, t) : t;
      int exponent = t == 0 ? -126 : std::max(std::min(std::ilogb(t), 127), -126);
      error = std::fabs(v - t) / std::ldexp(1.0, exponent - 23);
    }
    if (error > worst) {
      worst = error;
      *where = i;
    }
  }
  return worst;
}
}
