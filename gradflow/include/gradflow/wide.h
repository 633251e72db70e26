// Functions in double that are exact enough for a float32 result (relative error below 2^-29) and that g++
// vectorises: no branches, tables or calls. Arguments are float32 values or simple expressions of them.
// Polynomials are minimax fits on the range named beside them.
#pragma once
#include "config.h"

namespace gf::wide {

constexpr double LN2 = 0.693147180559945309;
constexpr double PI = 3.14159265358979324;
constexpr double INF = __builtin_inf();
constexpr double NaN = __builtin_nan("");

GF_FN double copysign(double x, double s) { return __builtin_copysign(x, s); }
GF_FN double abs(double x) { return __builtin_fabs(x); }
GF_FN double sqrt(double x) { return __builtin_sqrt(x); }
GF_FN double rint(double x) { return __builtin_rint(x); }

// scale = 2^n and r of x = n ln2 + r. Where n is clamped, far beyond float32's range, r takes the rest: above,
// powers of it are large as the result should be; below, it stays at -1 and the scale makes the result small.
struct Exp {
  double scale, r;
};
GF_FN Exp split_exp(double x) {
  constexpr double SHIFTER = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are n
  constexpr int64 ZERO = 0x4338000000000000;      // the bits of SHIFTER
  int64 s = int64(bits(fma(x, 1 / LN2, SHIFTER)));
  s = s < ZERO - 900 ? ZERO - 900 : s;  // as integers: see float32.h
  s = s > ZERO + 900 ? ZERO + 900 : s;
  double n = from_bits(uint64(s)) - SHIFTER;
  double r = fma(n, -1.9082149292705877e-10, fma(n, -0.693147180369123816, x));
  return {from_bits((uint64(s) << 52) + bits(1.0)), r < -1 ? -1 : r};
}
GF_FN double expm1_reduced(double r) {  // |r| <= ln2 / 2
  double q = poly(r, 2.4882613391555302e-05, 0.00019904938186014531, 0.0013888809249215481, 0.0083332890008495728,
                  0.041666666953952068, 0.16666666754339299, 0.49999999999739292);
  return fma(r * r, q, r);
}
GF_FN double exp(double x) {
  Exp e = split_exp(x);
  return fma(e.scale, expm1_reduced(e.r), e.scale);
}
GF_FN double expm1(double x) {
  Exp e = split_exp(x);
  return fma(e.scale, expm1_reduced(e.r), e.scale - 1);
}

// x: not subnormal in double.
GF_FN double log(double x) {
  constexpr uint64 SQRT_HALF = 0x3fe6a09e667f3bcd, ONE = 0x3ff0000000000000;
  uint64 exponent = (bits(x) - SQRT_HALF + ONE) >> 52;  // biased, of x = m 2^k, sqrt(.5) <= m < sqrt(2)
  double k = from_bits(exponent | 0x4330000000000000) - (4503599627370496.0 + 1023);
  double f = from_bits(bits(x) - (exponent << 52) + ONE) - 1;
  double s = f / (2 + f), z = s * s;
  double p = poly(z, 0.23582140453935971, 0.28537310912257979, 0.40000335107709412, 0.66666665646168843);
  double y = fma(k, LN2, fma(s * z, p, 2 * s));
  y = x < INF ? y : x;                   // The three conditions are about unrelated numbers, so that g++ does
  y = int64(exponent) > 2047 ? NaN : y;  // not nest them: a negative x has its sign in the exponent.
  return bits(x) << 1 == 0 ? -INF : y;
}
GF_FN double log1p(double x) {
  // Below 2^-20 the sum 1 + x has lost too much of x and two terms of the series are exact enough.
  double series = x * fma(x, -0.5, 1), y = log(1 + x);
  return abs(x) < 9.5e-7 ? series : y;
}

// The angle of x in quarter turns: nearest whole number (as a double) and the rest in radians, |rest| <= pi/4.
// 1/(2 pi) is cut in pieces of 29 bits, so that each product with a float32 is exact, and whole turns are
// dropped from each product before they are added: right for every finite float32.
struct Angle {
  double quarter, rest;
};
GF_FN double turns(double x, double piece) { return fma(x, piece, -rint(x * piece)); }
GF_FN Angle reduce_angle(double x) {
  double t = turns(x, 0x1.45f306dp-3);
  t += turns(x, 0x1.9391054p-32);
  t += turns(x, 0x1.4fe13abp-61);
  t += turns(x, 0x1.d1f534dp-90);
  t += turns(x, 0x1.b81b6c5p-119);
  t = fma(x, 0x1.5993c439041fep-150, t);  // the rest is less than half a turn, and need not be exact
  t = 4 * (t - rint(t));
  double quarter = rint(t);
  return {quarter, (t - quarter) * (PI / 2)};
}
GF_FN double sin_reduced(double r) {  // |r| <= pi/4
  double z = r * r;
  double p = poly(z, 2.7183046940630427e-06, -0.00019839334199349724, 0.0083333293843042156, -0.16666666641618932);
  return fma(r * z, p, r);
}
GF_FN double cos_reduced(double r) {  // |r| <= pi/4
  double z = r * r;
  double p = poly(z, -2.7210172557687498e-07, 2.479951924455865e-05, -0.0013888883750625802, 0.041666666622797131);
  return fma(z * z, p, fma(z, -0.5, 1.0));
}

GF_FN double atan_reduced(double x) {  // 0 <= x <= 1
  double z = x * x;
  double p = poly(z, -0.0007113019104137636, 0.0049993023116520928, -0.016471424288956218, 0.034704614110282216,
                  -0.054704448129059752, 0.072693819030065665, -0.089887911092506254, 0.11095202198303125,
                  -0.14284250826461364, 0.19999932194395706, -0.33333332235233459);
  return fma(x * z, p, x);
}
// The choices that hang on one condition stand together: were there code between them, g++ would compute it twice,
// once for each outcome.
GF_FN double atan(double x) {
  double a = abs(x);
  bool steep = a > 1;
  double t = steep ? 1 / a : a, sign = steep ? -1 : 1, offset = steep ? PI / 2 : 0;
  return copysign(fma(sign, atan_reduced(t), offset), x);
}
GF_FN double atan2(double y, double x) {
  double ax = abs(x), ay = abs(y);
  bool steep = ay > ax;
  double high = steep ? ay : ax, low = steep ? ax : ay, sign = steep ? -1 : 1, offset = steep ? PI / 2 : 0;
  double ratio = low == high ? (high == 0 ? 0.0 : 1.0) : low / high;  // 0/0 and inf/inf are angles too
  double angle = fma(sign, atan_reduced(ratio), offset);
  angle = copysign(1.0, x) < 0 ? PI - angle : angle;
  return x != x || y != y ? NaN : copysign(angle, y);
}

GF_FN double asin_reduced(double x, double z) {  // 0 <= x <= 1/2, z = x^2
  double p = poly(z, 0.034687844072652657, 0.0074737951528100251, 0.024616717142600473, 0.03011053399281834,
                  0.044660139666476077, 0.074999482478410845, 0.1666666718865501);
  return fma(x * z, p, x);
}
// For |x| > 1/2 from the half angle of its complement: asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2)).
GF_FN double asin(double x) {
  double a = abs(x), half = (1 - a) * 0.5, root = sqrt(half), square = a * a;
  bool large = a > 0.5;
  double z = large ? half : square, t = large ? root : a, factor = large ? -2 : 1, offset = large ? PI / 2 : 0;
  return copysign(fma(factor, asin_reduced(t, z), offset), x);
}
GF_FN double acos(double x) {
  double a = abs(x), half = (1 - a) * 0.5, root = sqrt(half), square = a * a;
  bool large = a > 0.5;
  double z = large ? half : square, t = large ? root : a, factor = large ? 2 : -1, offset = large ? 0 : PI / 2;
  double y = fma(factor, asin_reduced(t, z), offset);  // acos(|x|)
  return x < 0 ? PI - y : y;
}

GF_FN double erfc(double x) {
  double a = abs(x);
  a = a > 14 ? 14 : a;  // exp(-196) is 0 in float32
  double t = (a - 2) / (a + 2);
  double scaled = poly(t, 1.8447212204634185e-06, 2.7305572142144216e-06, -1.1204503675777934e-05,
                       -2.8421895556312947e-05, 2.554163513667859e-05, 0.00017470039576879899, 4.4331976294305165e-05,
                       -0.00098207138772594244, -0.0008473063569206285, 0.0069974785865743912, 0.003732908980760868,
                       -0.078978582514832307, 0.24165819361800733, -0.42718584737409476, 0.25539567631416171);
  double y = scaled * exp(-a * a);
  return x < 0 ? 2 - y : y;
}

// From w = -log(1 - x^2), in which the two branches are smooth; |x| <= 1 - 2^-53.
GF_FN double erfinv(double x) {
  double w = -log((1 - x) * (1 + x));
  double t = w - 2.5, u = sqrt(w) - 4;
  double centre = poly(t, -1.9767905404590073e-11, 1.2359511252267329e-10, 8.0620678128975881e-10,
                       -1.0863836279939685e-08, 1.3874304276037903e-08, 4.7870164975442537e-07, -3.417694474180086e-06,
                       -4.9960297092919157e-06, 0.0002182514750184151, -0.001252707927819875, -0.004177318237777501,
                       0.24664027674029756, 1.5014093511463757);
  double tail = poly(u, 1.8267384909420617e-08, 5.0915698067687489e-08, -7.5376641204874369e-07, 1.053350584659913e-06,
                     3.8962102457968927e-06, -1.3279391782393494e-05, 1.8012267309947479e-05, -2.5887939982419952e-05,
                     5.571093582263555e-05, -0.00012297870817489201, 0.00032108538984721075, -0.0008672589114969197,
                     0.0012598255389314427, 1.0094930828282798, 3.8397837969340896);
  double y = x * (w < 5 ? centre : tail);
  return abs(x) == 1 ? copysign(INF, x) : y;
}

}  // namespace gf::wide
