// float32 functions for the CPU: within 2 ulp for every argument, right for nan, inf, -0 and subnormals, and
// free of branches, so that g++ vectorises a plain loop over them at -O3 -fno-math-errno -fno-trapping-math.
// The hot ones are computed in float32, the others in double through wide.h.
#pragma once
#include "float64_pow.h"

namespace gf::float32 {

constexpr float INF = __builtin_inff();
constexpr float NaN = __builtin_nanf("");

GF_FN float copysign(float x, float s) { return __builtin_copysignf(x, s); }
GF_FN float abs(float x) { return __builtin_fabsf(x); }
GF_FN float sqrt(float x) { return __builtin_sqrtf(x); }
GF_FN float rint(float x) { return __builtin_rintf(x); }

// 1.5 * 2^23: a small number added to it is rounded to an integer, which stands in the sum's low bits.
constexpr float SHIFTER = 12582912.0f;
constexpr float LN2_HIGH = 0.693145752f, LN2_LOW = 1.42860677e-6f;  // the first has 16 bits: n LN2_HIGH is exact

// SHIFTER + bias + n with n kept in [low, 128]. Clamped as an integer: two ternaries on floats make g++ compute
// everything twice and blend.
GF_FN float clamp_shifted(float shifted, int32 bias, int32 low) {
  constexpr int32 ZERO = 0x4b400000;  // the bits of SHIFTER
  int32 s = int32(bits(shifted));
  s = s < ZERO + bias + low ? ZERO + bias + low : s;
  s = s > ZERO + bias + 128 ? ZERO + bias + 128 : s;
  return from_bits(uint32(s));
}
// x = n ln2 + r with |r| <= ln2 / 2; the low bits of `shifted` are n + bias. Where n was clamped, r takes the
// rest: above, powers of it turn infinite as the result should; below, it stays at -1 and the scale makes it 0.
struct Exp {
  float shifted, r;
};
GF_FN Exp split_exp(float x, int32 bias, int32 low) {
  float shifted = clamp_shifted(fma(x, 1.44269504f, SHIFTER + float(bias)), bias, low);
  float n = shifted - (SHIFTER + float(bias));
  float r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
  return {shifted, r < -1 ? -1 : r};
}
GF_FN float exponent_field(float shifted) { return from_bits(bits(shifted) << 23); }  // 2^(low bits - 127)

// y 2^n for n + 254 in the low bits of `shifted`, |n| <= 150: in two factors, as 2^n itself may be no float32.
GF_FN float scale_by_pow2(float y, float shifted) {
  uint32 half = (bits(shifted) << 22) & 0xff800000u;
  return y * from_bits(half) * from_bits((bits(shifted) << 23) - half);
}

GF_FN float exp_reduced(float r) {  // |r| <= ln2 / 2
  return poly(r, 1.381462673e-03f, 8.368716575e-03f, 4.166838899e-02f, 1.666652113e-01f, 4.999999404e-01f, 1.0f, 1.0f);
}
GF_FN float exp(float x) {
  Exp e = split_exp(x, 254, -150);
  return scale_by_pow2(exp_reduced(e.r), e.shifted);
}

GF_FN float exp2_reduced(float r) {  // |r| <= 1/2
  return poly(r, 1.547646680e-04f, 1.340029412e-03f, 9.618002921e-03f, 5.550327897e-02f, 2.402265072e-01f,
              6.931471825e-01f, 1.0f);
}
GF_FN float exp2(float x) {
  float shifted = clamp_shifted(x + (SHIFTER + 254), 254, -150);
  float r = x - (shifted - (SHIFTER + 254));
  return scale_by_pow2(exp2_reduced(r < -1 ? -1 : r), shifted);
}
// 2^x where neither x nor the result is special: the whole part is added to the exponent.
GF_FN float exp2_normal(float x) {
  float shifted = x + SHIFTER;
  return from_bits(bits(exp2_reduced(x - (shifted - SHIFTER))) + (bits(shifted) << 23));
}

GF_FN float expm1_reduced(float r) {  // |r| <= ln2 / 2
  float q = poly(r, 1.394615276e-03f, 8.366580121e-03f, 4.166628793e-02f, 1.666654348e-01f, 0.5f);
  return fma(r * r, q, r);
}
GF_FN float expm1(float x) {
  Exp e = split_exp(x, 126, -30);
  float half = exponent_field(e.shifted);  // of the scale, which itself may be 2^128
  float y = fma(half, expm1_reduced(e.r), half - 0.5f);
  return abs(x) < 1e-10f ? x : y + y;
}

// log(x) of x = m 2^k, f = m - 1, sqrt(1/2) <= m <= sqrt(2).
constexpr uint32 SQRT_HALF = 0x3f3504f3;
GF_FN float log_reduced(float f, float k) {
  float p = poly(f, -7.859615237e-02f, 1.288164705e-01f, -1.312874705e-01f, 1.418119222e-01f, -1.662455648e-01f,
                 2.000228614e-01f, -2.500081062e-01f, 3.333331645e-01f, -0.5f);
  return fma(k, LN2_HIGH, f + fma(f * f, p, k * LN2_LOW));
}

// y, or log(x) where x is zero, negative, infinite or nan.
GF_FN float log_edges(float y, float x) {
  float inf_or_nan = from_bits(bits(x) | uint32(int32(bits(x)) >> 31));
  y = bits(x) >= 0x7f800000u ? inf_or_nan : y;
  return x == 0 ? -INF : y;
}

GF_FN float log(float x) {
  bool small = x < 1e-30f;  // perhaps subnormal: scaled by 2^26 (the others by 1/2: g++ splits paths at a factor 1)
  float scale = small ? 67108864.0f : 0.5f, k_of_scale = small ? -26.0f : 1.0f;
  uint32 b = bits(x * scale);
  int32 k = int32(b - SQRT_HALF) >> 23;
  float f = from_bits(b - (uint32(k) << 23)) - 1;
  return log_edges(log_reduced(f, float(k) + k_of_scale), x);
}

GF_FN float log1p(float x) {
  float u = 1 + x, x_of_u = u - 1;
  float lost = (1 - (u - x_of_u)) + (x - x_of_u);  // what the sum rounded away
  int32 k = int32(bits(u) - SQRT_HALF) >> 23;
  float m = from_bits(bits(u) - (uint32(k) << 23));
  float scale = from_bits(uint32(127 - (k > 126 ? 126 : k)) << 23);  // 2^-k where `lost` counts at all
  float y = log_reduced(fma(lost, scale, m - 1), float(k));
  return copysign(log_edges(y, u), x);
}

// In tanh and erf, nan goes the way of the polynomial around 0. The exponents of both tails are small or their
// powers count little, so that one product with log2(e) is exact enough.
GF_FN float tanh(float x) {
  float a = abs(x), z = x * x;
  float e = exp2_normal((a > 10 ? 10 : a) * -2.88539008f);  // exp(-2 |x|)
  float tail = 1 - (e + e) / (1 + e);
  float p = poly(z, -5.905990954e-03f, 2.080557495e-02f, -5.378676951e-02f, 1.333196014e-01f, -3.333329856e-01f);
  return copysign(z > 0.36f ? tail : fma(p, z * a, a), x);
}

GF_FN float erf(float x) {
  constexpr float LOG2E = 1.44269504f;
  float a = abs(x), z = x * x;
  float t = a > 4.2f ? 4.2f : a;
  float high = fma(LOG2E * -1.72853470e-5f, t, LOG2E * 3.83197126e-4f);
  float low = fma(LOG2E * -3.88396438e-3f, t, LOG2E * 2.42546219e-2f);
  float p = poly(t, fma(high, t * t, low), LOG2E * -1.06777877e-1f, LOG2E * -6.34846687e-1f, LOG2E * -1.128717512f);
  float tail = copysign(1 - exp2_normal(p * t), x);  // log2(1 - erf(t)) = p t
  float q = poly(z, -5.96761703e-4f, 4.99119423e-3f, -2.67681349e-2f, 1.12819925e-1f, -3.76125336e-1f, 1.28379166e-1f);
  return z > 0.86f ? tail : fma(q, x, x);
}

GF_FN float sin_or_cos(float x, double quarter_shift) {
  wide::Angle a = wide::reduce_angle(x);
  float r = float(a.rest), quarter = float(a.quarter + quarter_shift), z = r * r;
  float s = fma(r * z, poly(z, 2.718304586e-06f, -1.983933471e-04f, 8.333329111e-03f, -1.666666716e-01f), r);
  float c = fma(z * z, poly(z, 2.443836820e-05f, -1.388736651e-03f, 4.166664556e-02f), fma(z, -0.5f, 1.0f));
  uint32 q = bits(quarter + SHIFTER);
  float y = q & 1 ? c : s;
  return from_bits(bits(y) ^ ((q & 2) << 30));
}
GF_FN float sin(float x) {
  float y = sin_or_cos(x, 0);
  return x == 0 ? x : y;
}
GF_FN float cos(float x) { return sin_or_cos(x, 1); }
GF_FN float tan(float x) {
  wide::Angle a = wide::reduce_angle(x);
  double s = wide::sin_reduced(a.rest), c = wide::cos_reduced(a.rest);
  bool odd = bits(float(a.quarter) + SHIFTER) & 1;
  double y = (odd ? -c : s) / (odd ? s : c);
  return x == 0 ? x : float(y);
}

// fmod where |x| < 2^27 |y|, y finite: then the rounded quotient of doubles lies on the right side of every integer.
GF_FN float fmod_near(float x, float y) {
  double a = x, b = y;
  float m = float(fma(-__builtin_trunc(a / b), b, a));
  return m == 0 ? copysign(0.0f, x) : m;
}
GF_FN bool is_near(float x, float y) { return abs(x) < abs(y) * 134217728.0f && abs(y) < 1e30f && abs(y) > 1e-30f; }

GF_FN float log2(float x) { return float(wide::log(x) * (1 / wide::LN2)); }
GF_FN float log10(float x) { return float(wide::log(x) * 0.434294481903251828); }
GF_FN float asin(float x) { return float(wide::asin(x)); }
GF_FN float acos(float x) { return float(wide::acos(x)); }
GF_FN float atan(float x) { return float(wide::atan(x)); }
GF_FN float atan2(float y, float x) { return float(wide::atan2(y, x)); }
GF_FN float erfc(float x) { return float(wide::erfc(x)); }
GF_FN float erfinv(float x) { return float(wide::erfinv(x)); }
GF_FN float lgamma(float x) { return float(float64::lgamma_near(x)); }

GF_FN float sinh(float x) {
  double a = abs(x), m = wide::expm1(a > 100 ? 100 : a);  // where it is infinite, m / (m + 1) must not be nan
  return copysign(float(0.5 * (m + m / (m + 1))), x);
}
GF_FN float cosh(float x) {
  double e = wide::exp(abs(x));
  return float(0.5 * (e + 1 / e));
}
GF_FN float asinh(float x) {
  double a = abs(x), z = a * a;
  float y = copysign(float(wide::log1p(a + z / (1 + wide::sqrt(z + 1)))), x);
  return abs(x) < INF ? y : x;
}
GF_FN float acosh(float x) {
  double t = double(x) - 1;
  double y = wide::log1p(t + wide::sqrt(t * (t + 2)));
  return x < 1 ? NaN : float(y);
}
GF_FN float atanh(float x) {
  double a = abs(x);
  return copysign(float(0.5 * wide::log1p(2 * a / (1 - a))), x);
}

GF_FN float pow(float x, float y) {
  // Any power beyond 2^31 is 0, 1 or infinite, and finite ones keep 0 log(1) from being nan.
  float c = copysign(abs(y) > 1e30f ? 1e30f : abs(y), y);
  float r = float(wide::exp(c * wide::log(abs(x))));
  bool whole = rint(y) == y, odd = whole && rint(0.5f * y) != 0.5f * y;
  r = odd ? copysign(r, x) : r;
  r = x < 0 && x > -INF && !whole ? NaN : r;
  return x == 1 || y == 0 ? 1 : r;
}

}  // namespace gf::float32
