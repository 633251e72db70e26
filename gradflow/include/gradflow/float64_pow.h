// The rest of a division and powers in float64, of float64.h's kind.
#pragma once
#include "float64.h"

namespace gf::float64 {

GF_FN double product_rest(double a, double b, double product) {  // a b - product
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return fma(a, b, -product);
#else
  double ah = high_part(a), al = a - ah, bh = high_part(b), bl = b - bh;
  return ((ah * bh - product) + ah * bl + al * bh) + al * bl;
#endif
}

// fmod where |x| < 2^52 |y|: the rounded quotient is at most one too large.
GF_FN double fmod_near(double x, double y) {
  double m = fma(-__builtin_trunc(x / y), y, x);
  m = (m < 0) != (x < 0) && m != 0 ? m + copysign(y, x) : m;
  return m == 0 ? copysign(0.0, x) : m;
}
GF_FN bool is_near(double x, double y) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return abs(x) < abs(y) * 4503599627370496.0 && abs(y) < 1e300;
#else
  return x != x && y != y;
#endif
}

// The quotient of integers below 2^51: the rounded one of doubles lies on the right side of every integer.
GF_FN bool is_near(int64 a, int64 b) {
  constexpr uint64 limit = uint64(1) << 51;
  return ((uint64(a) + limit) | (uint64(b) + limit)) < 2 * limit;
}
GF_FN double moderate(int64 x) { return from_bits(uint64(x) + bits(SHIFTER)) - SHIFTER; }
GF_FN int64 quotient_near(int64 a, int64 b) {
  return int64(bits(__builtin_trunc(moderate(a) / moderate(b)) + SHIFTER) - bits(SHIFTER));
}

// e^(y log|x|) with the logarithm in two parts: 2 s + 2/3 s^3 + s^5 q, s = f / (2 + f).
GF_FN double pow(double x, double y) {
  double a = abs(x);
  Scaled scaled = scale_small(a);
  Log l = split_log(scaled.x);
  double k = whole(l.exponent) + scaled.shift, f = l.f;
  double d = 2 + f, s = f / d, sd = s * d;
  double s_low = (((f - sd) - product_rest(s, d, sd)) - s * (f - (d - 2))) / d;
  double z = s * s, z_low = product_rest(s, s, z), cube = z * s;
  double cube_low = product_rest(z, s, cube) + z_low * s + 3 * z * s_low;
  constexpr double THIRD = 0.6666666666666666, THIRD_LOW = 3.700743415417188e-17;
  double third = cube * THIRD, third_low = product_rest(cube, THIRD, third) + cube * THIRD_LOW + cube_low * THIRD;
  double q = z * cube *
             poly(z, 0.1291402279901737, 0.1328592464999957, 0.15385575783064118, 0.1818180823399923,
                  0.22222222271185343, 0.28571428571338325, 0.40000000000000024);
  double base = k * LN2_HIGH, sum = base + 2 * s, low = (base - sum) + 2 * s, more = sum + third;
  low += ((sum - more) + third) + (third_low + 2 * s_low + fma(k, LN2_LOW, q));
  double high = more + low;
  low = (more - high) + low;
  high = a < INF ? high : a;  // inf, nan
  high = a == 0 ? -INF : high;
  double c = copysign(abs(y) > 1e25 ? 1e25 : abs(y), y);  // any power beyond is 0, 1 or infinite
  c = y == y ? c : y;
  double p = c * high, p_low = fma(c, low, product_rest(c, high, p));
  p_low = abs(p) < 1e4 ? p_low : 0;
  Exp e = split_exp(p);
  double r = e.r + p_low;
  double r_low = abs(p) < 1e4 ? ((e.r - r) + p_low) + e.c : 0;
  double power = scale_by_pow2(1 + expm1_reduced(r, r_low), e.shifted);
  bool is_whole = __builtin_rint(y) == y, odd = is_whole & (__builtin_rint(0.5 * y) != 0.5 * y);
  power = odd ? copysign(power, x) : power;
  power = (x < 0) & (x > -INF) & !is_whole & (y == y) ? NaN : power;
  return (x == 1) | (y == 0) ? 1 : power;
}

}  // namespace gf::float64
