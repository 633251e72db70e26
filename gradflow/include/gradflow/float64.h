// float64 functions for the CPU: within 2.1 ulp (acosh, erfinv 3, erfc 3.5), right for nan, inf, -0 and subnormals, and
// free of branches, so that g++ vectorises a plain loop over them. The ways are those of fdlibm; polynomials are fits
// near minimax on the range named beside them. Where one number is not enough, a second holds what it rounded away.
#pragma once
#include "wide.h"

namespace gf::float64 {

constexpr double INF = __builtin_inf();
constexpr double NaN = __builtin_nan("");
constexpr double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;  // n LN2_HIGH is exact
constexpr double PI_HALF = 0x1.921fb54442d18p+0, PI_HALF_LOW = 0x1.1a62633145c07p-54;

GF_FN double copysign(double x, double s) { return __builtin_copysign(x, s); }
GF_FN double abs(double x) { return __builtin_fabs(x); }
GF_FN double sqrt(double x) { return __builtin_sqrt(x); }
GF_FN double high_part(double x) { return from_bits(bits(x) & 0xffffffff00000000); }  // its square is exact

// --- exponentials -----------------------------------------------------------------------------------------------

// 1.5 * 2^52: a small number added to it is rounded to an integer, which stands in the sum's low bits.
constexpr double SHIFTER = 6755399441055744.0;

// SHIFTER + bias + n with n kept in [low, high]; clamped as an integer, see float32.h.
GF_FN double clamp_shifted(double shifted, int64 bias, int64 low, int64 high) {
  constexpr int64 ZERO = 0x4338000000000000;  // the bits of SHIFTER
  int64 s = int64(bits(shifted));
  s = s < ZERO + bias + low ? ZERO + bias + low : s;
  s = s > ZERO + bias + high ? ZERO + bias + high : s;
  return from_bits(uint64(s));
}
// x = n ln2 + r + c with |r| <= ln2 / 2 and c what r rounded away; the low bits of `shifted` are n + bias. Where n
// was clamped, r takes the rest: above, powers of it turn infinite; below, it stays at -1 and the scale makes it 0.
struct Exp {
  double shifted, r, c;
};
GF_FN Exp split_exp(double x, int64 bias = 2046, int64 low = -1080, int64 high = 1026) {
  double shifted = clamp_shifted(fma(x, 1.4426950408889634, SHIFTER + double(bias)), bias, low, high);
  double n = shifted - (SHIFTER + double(bias));
  double most = fma(n, -LN2_HIGH, x), rest = n * LN2_LOW, r = most - rest;
  return {shifted, r < -1 ? -1 : r, abs(r) < 1 ? (most - r) - rest : 0};
}
GF_FN double exponent_field(double shifted) { return from_bits(bits(shifted) << 52); }  // 2^(low bits - 1023)

// y 2^n for n + 2046 in the low bits of `shifted`: in two factors, as 2^n itself may be no float64.
GF_FN double scale_by_pow2(double y, double shifted) {
  uint64 half = (bits(shifted) << 51) & 0xfff0000000000000;
  return y * from_bits(half) * from_bits((bits(shifted) << 52) - half);
}

GF_FN double expm1_reduced(double r, double c) {  // |r| <= ln2 / 2
  double q = poly(r, 2.0914679595617734e-09, 2.510520668068106e-08, 2.7557273660822466e-07, 2.7557255425009614e-06,
                  2.480158732553378e-05, 0.00019841269874801073, 0.0013888888888883752, 0.008333333333326141,
                  0.04166666666666667, 0.1666666666666667, 0.5);
  return r + fma(r * r, q, c);
}
GF_FN double exp(double x) {
  Exp e = split_exp(x);
  return scale_by_pow2(1 + expm1_reduced(e.r, e.c), e.shifted);
}
GF_FN double exp2(double x) {
  double shifted = clamp_shifted(x + (SHIFTER + 2046), 2046, -1080, 1026);
  double r = x - (shifted - (SHIFTER + 2046));
  r = r < -1 ? -1 : r;
  double q = poly(r, 2.5729324177362305e-11, 4.4558179083360645e-10, 7.0548973041554995e-09, 1.0178057087733941e-07,
                  1.3215486808705563e-06, 1.5252733841556773e-05, 0.00015403530393370734, 0.001333355814640647,
                  0.00961812910762848, 0.055504108664821625, 0.24022650695910072, 0.6931471805599453);  // |r| <= 1/2
  return scale_by_pow2(fma(r, q, 1.0), shifted);
}
GF_FN double expm1(double x) {
  Exp e = split_exp(x, 1022, -60, 1024);
  double half = exponent_field(e.shifted);  // of the scale, which itself may be 2^1024
  double y = fma(half, expm1_reduced(e.r, e.c), half - 0.5);
  return abs(x) < 1e-17 ? x : y + y;
}

// sinh and cosh: y = e^|x| / 2, which is finite where they are.
GF_FN double half_exp(double a) {
  Exp e = split_exp(a);
  return scale_by_pow2(1 + expm1_reduced(e.r, e.c), e.shifted - 1);
}
GF_FN double cosh(double x) {
  double y = half_exp(abs(x));
  return y + 0.25 / y;
}
GF_FN double sinh(double x) {
  double a = abs(x), m = expm1(a), y = half_exp(a);
  return copysign(a < 1 ? 0.5 * (m + m / (m + 1)) : y - 0.25 / y, x);
}
GF_FN double tanh(double x) {
  double a = abs(x);
  bool large = a > 1;
  double m = expm1(large ? 2 * a : -2 * a), ratio = (large ? 2 : -m) / (m + 2);
  return copysign(large ? 1 - ratio : ratio, x);
}

// --- logarithms -------------------------------------------------------------------------------------------------

// x = m 2^k with sqrt(1/2) <= m < sqrt(2); f = m - 1; exponent: k + 1023, more than 2047 for negative x.
struct Log {
  uint64 exponent;
  double f;
};
GF_FN Log split_log(double x) {
  constexpr uint64 SQRT_HALF = 0x3fe6a09e667f3bcd, ONE = 0x3ff0000000000000;
  uint64 exponent = (bits(x) - SQRT_HALF + ONE) >> 52;
  return {exponent, from_bits(bits(x) - (exponent << 52) + ONE) - 1};
}
GF_FN double whole(uint64 exponent) { return from_bits(exponent | 0x4330000000000000) - (4503599627370496.0 + 1023); }

// log(1 + f) = f - f^2/2 + this
GF_FN double log_rest(double f, double half_square) {
  double s = f / (2 + f), z = s * s;
  double p =
      z * poly(z, 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
               2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01);
  return s * (half_square + p);
}

// y, or log(x) where x is zero, negative, infinite or nan.
GF_FN double log_edges(double y, double x) {
  y = x < INF ? y : x;
  y = (int64(bits(x)) < 0) & (x == x) ? NaN : y;
  return x == 0 ? -INF : y;
}

// A subnormal is scaled by 2^54 (the others by 1/2: g++ splits paths at a factor 1); `shift`: the logarithm of that.
struct Scaled {
  double x, shift;
};
GF_FN Scaled scale_small(double x) {
  bool small = x < 1e-300;
  return {x * (small ? 18014398509481984.0 : 0.5), small ? -54.0 : 1.0};
}

GF_FN double log_sum(double f, double k, double half_square) {
  return fma(k, LN2_HIGH, f - (half_square - (log_rest(f, half_square) + k * LN2_LOW)));
}
GF_FN double log(double x) {
  Scaled s = scale_small(x);
  Log l = split_log(s.x);
  return log_edges(log_sum(l.f, whole(l.exponent) + s.shift, 0.5 * l.f * l.f), x);
}
GF_FN double log1p(double x) {
  double u = 1 + x, x_of_u = u - 1;
  double lost = (1 - (u - x_of_u)) + (x - x_of_u);  // what the sum rounded away
  Log l = split_log(u);
  double scale = from_bits((2046 - (l.exponent > 2045 ? 2045 : l.exponent)) << 52);  // 2^-k where `lost` counts at all
  double f = fma(lost, scale, l.f), y = log_sum(f, whole(l.exponent), 0.5 * f * f);
  return copysign(log_edges(y, u), x);
}

// Logarithms to another base: log(m) in two parts times 1/log(base) in two parts.
struct Two {
  double high, low;
};
GF_FN Two log_in_two(double f) {
  double half_square = 0.5 * f * f, high = high_part(f - half_square);
  return {high, (f - high) - half_square + log_rest(f, half_square)};
}
GF_FN double log2(double x) {
  constexpr double HIGH = 1.44269504072144627571, LOW = 1.67517131648865118353e-10;
  Scaled s = scale_small(x);
  Log l = split_log(s.x);
  Two y = log_in_two(l.f);
  double k = whole(l.exponent) + s.shift, product = y.high * HIGH, sum = k + product;
  return log_edges(fma(y.high + y.low, LOW, y.low * HIGH) + ((k - sum) + product) + sum, x);
}
GF_FN double log10(double x) {
  constexpr double HIGH = 4.34294481878168880939e-01, LOW = 2.50829467116452752298e-11;
  constexpr double LOG2_HIGH = 3.01029995663611771306e-01, LOG2_LOW = 3.69423907715893078616e-13;
  Scaled s = scale_small(x);
  Log l = split_log(s.x);
  Two y = log_in_two(l.f);
  double k = whole(l.exponent) + s.shift, base = k * LOG2_HIGH, product = y.high * HIGH, sum = base + product;
  double low = fma(k, LOG2_LOW, fma(y.high + y.low, LOW, y.low * HIGH));
  return log_edges(low + ((base - sum) + product) + sum, x);
}

GF_FN double asinh(double x) {
  double a = abs(x), z = a * a;
  bool large = a > 1e17;  // where the sum would overflow, and 1 is nothing
  double t = a + z / (1 + sqrt(z + 1));
  double y = log1p(large ? a : t) + (large ? 0.6931471805599453 : 0.0);
  return copysign(y, x);
}
GF_FN double acosh(double x) {
  double t = x - 1;
  bool large = x > 1e17;
  double y = log1p(large ? x : t + sqrt(t * (t + 2))) + (large ? 0.6931471805599453 : 0.0);
  return x < 1 ? NaN : y;
}
GF_FN double atanh(double x) {
  double a = abs(x);
  return copysign(0.5 * log1p(2 * a / (1 - a)), x);
}

// --- angles -----------------------------------------------------------------------------------------------------

// Up to here pi/2 in pieces of 33 bits reduces x exactly enough; beyond, the library takes its time.
GF_FN bool is_near(double x) { return !(abs(x) > 1e6); }

// x = (whole quarter turns) + r + c; the low bits of `quarter` count them.
struct Angle {
  double r, c;
  uint64 quarter;
};
GF_FN Angle reduce_angle(double x) {
  double shifted = fma(x, 0.6366197723675814, SHIFTER), n = shifted - SHIFTER;
  double t = fma(n, -1.57079632673412561417e+00, x);
  double w = n * 6.07710050630396597660e-11, u = t - w, lost = (t - u) - w;
  double v = n * 2.02226624871116645580e-21, r = u - v;
  return {r, ((u - r) - v) + fma(n, -8.47842766036889956997e-32, lost), bits(shifted)};
}
GF_FN double sin_reduced(Angle a) {  // |r| <= pi/4
  double z = a.r * a.r, v = z * a.r;
  double p = poly(z, 1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
                  -1.98412698298579493134e-04, 8.33333333332248946124e-03);
  return a.r - ((z * (0.5 * a.c - v * p) - a.c) - v * -1.66666666666666324348e-01);
}
GF_FN double cos_reduced(Angle a) {
  double z = a.r * a.r, half = 0.5 * z, w = 1 - half;
  double p = z * poly(z, -1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
                      2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02);
  return w + (((1 - w) - half) + (z * p - a.r * a.c));
}
GF_FN double sin_or_cos(Angle a, uint64 quarter) {
  double s = sin_reduced(a), c = cos_reduced(a);
  double y = quarter & 1 ? c : s;
  return from_bits(bits(y) ^ ((quarter & 2) << 62));
}
GF_FN double sin_near(double x) {
  Angle a = reduce_angle(x);
  double y = sin_or_cos(a, a.quarter);
  return x == 0 ? x : y;
}
GF_FN double cos_near(double x) {
  Angle a = reduce_angle(x);
  return sin_or_cos(a, a.quarter + 1);
}
GF_FN double sin(double x) { return is_near(x) ? sin_near(x) : std::sin(x); }
GF_FN double cos(double x) { return is_near(x) ? cos_near(x) : std::cos(x); }

GF_FN double tan_near(double x) {
  Angle a = reduce_angle(x);
  double z = a.r * a.r;
  double p = poly(z, 3.950571044952917e-06, -9.749592871689477e-06, 1.9545627331217013e-05, -1.0207686890432195e-05,
                  2.7116774398170046e-05, 3.392443635062479e-05, 9.877048561105386e-05, 0.00023866111232275354,
                  0.000590112829749071, 0.001455823320259715, 0.0035921290237988742, 0.00886323547227688,
                  0.021869488538183754, 0.053968253968216556, 0.1333333333333336, 0.3333333333333333);
  double y = a.r + fma(z * a.r, p, fma(z, a.c, a.c));
  y = a.quarter & 1 ? -1 / y : y;
  return x == 0 ? x : y;
}
GF_FN double tan(double x) { return is_near(x) ? tan_near(x) : std::tan(x); }

GF_FN double atan_rest(double t) {  // atan(t) - t, |t| <= 1/2
  double z = t * t;
  double p =
      poly(z, -0.009215792047089858, 0.025006503566489507, -0.03806653672057366, 0.04628024868570153,
           -0.05240099507994713, 0.05879578429582425, -0.06666435677235948, 0.07692294712540285, -0.09090908620322523,
           0.11111111100917376, -0.14285714285599188, 0.19999999999999488, -0.3333333333333333);
  return z * t * p;
}
// The angle of (x, y), both >= 0: from whichever of y/x, (y - x)/(y + x) and -x/y is small.
GF_FN double atan_of_ratio(double y, double x) {
  bool flat = 2 * y < x, steep = y > 2 * x;
  double base = flat ? 0 : steep ? PI_HALF : 0.5 * PI_HALF, low = flat ? 0 : steep ? PI_HALF_LOW : 0.5 * PI_HALF_LOW;
  double numerator = flat ? y : steep ? -x : y - x, denominator = flat ? x : steep ? y : y + x;
  double t = numerator / denominator;
  return base + (t + (atan_rest(t) + low));
}
GF_FN double atan(double x) {
  double a = abs(x);
  return copysign(atan_of_ratio(a > 1e300 ? 1e300 : a, 1), x);
}
GF_FN double atan2(double y, double x) {
  double b = abs(y), a = abs(x);
  double high = a > b ? a : b, scale = high > 1e300 ? 0x1p-60 : 1.0;
  bool infinite = high == INF;
  a = infinite ? (a == INF ? 1.0 : 0.0) : high == 0 ? 1.0 : a * scale;
  b = infinite ? (b == INF ? 1.0 : 0.0) : b * scale;
  double t = atan_of_ratio(b, a);
  t = copysign(1.0, x) < 0 ? 2 * PI_HALF - (t - 2 * PI_HALF_LOW) : t;
  return x != x || y != y ? NaN : copysign(t, y);
}

GF_FN double asin_rest(double x, double z) {  // asin(x) - x, |x| <= 1/2, z = x^2
  double p =
      poly(z, 0.028757851367421566, -0.014851887071247204, 0.01740087944269402, 0.005457506718640358,
           0.01032281435018578, 0.011479177415184906, 0.013971212973552933, 0.017352392720869973, 0.02237217294214989,
           0.030381944138531247, 0.04464285714635543, 0.07499999999998433, 0.16666666666666669);
  return z * x * p;
}
// For |x| > 1/2 from the half angle of its complement: asin(a) = pi/2 - 2 asin(s), s = sqrt((1 - a) / 2) = high + low.
struct Half {
  double z, t, high, low;
};
GF_FN Half half_angle(double a) {
  double z = (1 - a) * 0.5, s = sqrt(z), high = high_part(s), sum = s + high;
  return {z, s, high, sum == 0 ? 0 : fma(-high, high, z) / sum};
}
GF_FN double asin(double x) {
  double a = abs(x);
  Half h = half_angle(a);
  bool large = a > 0.5;
  double z = large ? h.z : a * a, t = large ? h.t : a, rest = asin_rest(t, z);
  double far = 0.5 * PI_HALF - ((2 * rest - (PI_HALF_LOW - 2 * h.low)) - (0.5 * PI_HALF - 2 * h.high));
  return copysign(large ? far : a + rest, x);
}
GF_FN double acos(double x) {
  double a = abs(x);
  Half h = half_angle(a);
  bool large = a > 0.5;
  double z = large ? h.z : a * a, t = large ? h.t : x, rest = asin_rest(t, z);
  double angle = 2 * (h.high + (h.low + rest));  // acos(|x|)
  double far = x < 0 ? 2 * PI_HALF - (angle - 2 * PI_HALF_LOW) : angle;
  return large ? far : PI_HALF - (x - (PI_HALF_LOW - rest));
}

// --- the error function -----------------------------------------------------------------------------------------

GF_FN double erf_near(double x) {  // |x| <= 1
  double z = x * x;
  double p = poly(z, -4.230945824295338e-12, 8.709045129053106e-11, -1.216456005728345e-09, 1.4792401209404813e-08,
                  -1.6364642158167616e-07, 1.6462045441468418e-06, -1.4925647567519332e-05, 0.00012055332902888736,
                  -0.000854832702193483, 0.0052239776254232985, -0.02686617064512984, 0.1128379167095512,
                  -0.37612638903183754, 0.1283791670955126);
  return fma(x, p, x);
}
GF_FN double erfc_far(double a) {  // a >= 1/4: e^(-a^2) p / (1 + 2 a)
  a = a > 27.5 ? 27.5 : a;         // where it is 0
  double t = (a - 3) / (a + 3);
  double p = poly(t, -5.640949906992056e-09, -9.773137378720256e-09, 3.8097207729882034e-08, 9.63581983778071e-08,
                  -1.3927814567399058e-07, -6.11824329727144e-07, 3.563301110465678e-07, 3.469798276168954e-06,
                  -7.317372072315881e-07, -2.0099660788309377e-05, 4.94967958327578e-06, 0.00012509915198001062,
                  -0.0001051598604721823, -0.000779832244914709, 0.0018886903690041833, 0.002529391813974168,
                  -0.02377051491947823, 0.06830802734405558, -0.11927366341527496, 0.12964515870275975,
                  -0.047562294353451266, -0.13562110612458117, 0.25300805826972966);
  double high = high_part(a), square = high * high, low = (a - high) * (a + high);
  Exp e = split_exp(-square);
  double r = e.r - low, y = 1 + expm1_reduced(r, ((e.r - r) - low) + e.c);
  return scale_by_pow2(fma(p, y, y) / fma(2.0, a, 1.0), e.shifted);
}
GF_FN double erf(double x) {
  double a = abs(x), near = erf_near(x), far = 1 - erfc_far(a);
  return a < 1 ? near : copysign(far, x);
}
GF_FN double erfc(double x) {
  double a = abs(x), near = 1 - erf_near(x), far = erfc_far(a);
  far = x < 0 ? 2 - far : far;
  return a < 0.25 ? near : far;
}

// Newton's step, with Halley's correction, from nine digits.
GF_FN double erfinv(double x) {
  double a = abs(x), y = wide::erfinv(a < 1 ? a : 0);
  double near = erf_near(y) - a, far = (1 - a) - erfc_far(y);
  double step = (a < 0.5 ? near : far) / (1.1283791670955126 * exp(-y * y));
  y -= step / fma(y, step, 1.0);
  y = a == 1 ? INF : y;
  return a <= 1 ? copysign(y, x) : NaN;
}

// --- the gamma function -----------------------------------------------------------------------------------------

// log|gamma(x)| up to 1e-14: exact enough for a float32 result. By Stirling's series beyond 8, to which a product
// leads, and a polynomial where zeros are near; from 1 - x where x < 1/2.
GF_FN double lgamma_near(double x) {
  bool mirrored = x < 0.5;
  double z = mirrored ? 1 - x : x;
  bool middle = abs(z - 1.5) <= 0.75, shifted = z < 8;
  double product = (z * (z + 1)) * ((z + 2) * (z + 3)) * (((z + 4) * (z + 5)) * ((z + 6) * (z + 7)));
  double y = shifted ? z + 8 : z, v = 1 / (y * y);
  product = shifted ? product : 1;
  product = middle ? 1 : product;
  double series = poly(v, 1.0 / 156, -691.0 / 360360, 1.0 / 1188, -1.0 / 1680, 1.0 / 1260, -1.0 / 360, 1.0 / 12) / y;
  double above = (fma(y - 0.5, log(y), -y) + 0.91893853320467274178) + series;
  double u = z - 1.5;
  double centre =
      poly(u, 0.00012026345663843277, -0.00018975517988016315, 1.2732965687560347e-05, -2.2905622356454564e-05,
           0.000324314275744138, -0.0005213203501362432, 0.0006949105675981777, -0.001138321563784508,
           0.0019258107757808608, -0.0032166202708521813, 0.005446193542476531, -0.009425207379497407,
           0.01679710937495467, -0.031308504372617084, 0.0629114009480566, -0.14595989571564588, 0.4831289505409809);
  above = middle ? (z - 1) * (z - 2) * centre : above;
  double rest = abs(x - __builtin_rint(x));  // the sine of pi rest, by that or by the cosine of the complement
  Angle small = {2 * PI_HALF * rest, 0, 0}, large = {2 * PI_HALF * (0.5 - rest), 0, 0};
  double s = sin_reduced(small), c = cos_reduced(large), sine = rest <= 0.25 ? s : c;
  double logarithm = log(mirrored ? 2 * PI_HALF * product / sine : product);
  y = mirrored ? logarithm - above : above - logarithm;
  return abs(x) == INF ? INF : y + 0.0;  // 0, not -0, at 1
}

GF_FN double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);  // std::lgamma writes a global
}

}  // namespace gf::float64
