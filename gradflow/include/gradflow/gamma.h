// Primitives about the gamma function that neither the CPU's nor CUDA's library has: digamma, Hurwitz's zeta, the
// incomplete gamma functions. One body in float64 each, for g++ and NVRTC alike. Part of scalar.h, which includes it
// last.
#pragma once

namespace gf::prim {

// --- digamma ------------------------------------------------------------------------------------------------------

GF_FN double digamma(double x) {
  constexpr double pi = 3.14159265358979324;
  if (x == 0) return copysign(1 / double(0), -x);
  double reflected = 0;
  if (x < 0) {
    if (x == floor(x)) return (x - x) / (x - x);  // a pole, or -inf
    reflected = pi / GF_ONE(tan)(pi * (x - round(x)));
    x = 1 - x;
  }
  double y = 0;
  for (; x < 10; x += 1) y -= 1 / x;  // psi(x) = psi(x + 1) - 1/x, up to where the asymptotic series holds
  double z = 1 / (x * x), series = 1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12));
  series = z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * series)));
  return y + GF_ONE(log)(x) - 0.5 / x - series - reflected;
}
GF_FN float digamma(float x) { return float(digamma(double(x))); }

// --- the zeta function of Hurwitz ---------------------------------------------------------------------------------

// The sum of (q + k)^-x over k = 0, 1, ... by Euler and Maclaurin, as in Cephes (Moshier 1989).
GF_CALL double zeta(double x, double q) {
  constexpr double epsilon = 1.11022302462515654042e-16;
  const double infinite = 1 / double(0);
  constexpr double bernoulli[] = {12,
                                  -720,
                                  30240,
                                  -1209600,
                                  47900160,
                                  -1.8924375803183791606e9,
                                  7.47242496e10,
                                  -2.950130727918164224e12,
                                  1.1646782814350067249e14,
                                  -4.5979787224074726105e15,
                                  1.8152105401943546773e17,
                                  -7.1661652561756670113e18};  // (2k)! / B2k
  if (x == 1) return infinite;
  if (x < 1) return infinite - infinite;
  if (q <= 0) {
    if (q == floor(q)) return infinite;
    if (x != floor(x)) return infinite - infinite;
  }
  double a = q, b = GF_ONE(pow)(q, -x), s = b;
  for (int i = 0; i < 9 || a <= 9; ++i) {
    a += 1;
    b = GF_ONE(pow)(a, -x);
    s += b;
    if (abs(b) <= epsilon * abs(s)) return s;
  }
  double w = a, factor = 1;
  s += b * w / (x - 1) - 0.5 * b;
  for (int i = 0; i < 12; ++i) {
    factor *= x + 2 * i;
    b /= w;
    double term = factor * b / bernoulli[i];
    s += term;
    if (abs(term) <= epsilon * abs(s)) return s;
    factor *= x + 2 * i + 1;
    b /= w;
  }
  return s;
}
GF_FN float zeta(float x, float q) { return float(zeta(double(x), double(q))); }

// --- the incomplete gamma functions -------------------------------------------------------------------------------

constexpr int kGammaSteps = 200000;  // about 6 sqrt(a) are needed where x is near a

// x^a e^-x / gamma(a + 1). From 10 on by Stirling's series, in which nothing large cancels.
GF_CALL double gamma_weight(double a, double x) {
  if (a < 10) return GF_ONE(exp)(a * GF_ONE(log)(x) - x - lgamma(a + 1));
  double u = (x - a) / a, r = u / (2 + u), exponent;
  if (abs(u) < 0.5) {  // log(1 + u) - u
    double power = r * r * r, sum = 0;
    for (int k = 3; k < 40; k += 2, power *= r * r) sum += power / k;
    exponent = 2 * sum - u * r;
  } else
    exponent = GF_ONE(log)(x / a) - u;
  double z = 1 / (a * a), tail = 1.0 / 1188 - z * (691.0 / 360360 - z / 156);
  tail = (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z * (1.0 / 1680 - z * tail)))) / a;
  return GF_ONE(exp)(a * exponent - tail) / sqrt(6.28318530717958648 * a);
}

// The lower function by its power series.
GF_CALL double gamma_below(double a, double x) {
  double term = 1, sum = 1;
  for (int k = 1; k < kGammaSteps && term > 1e-17 * sum; ++k) sum += term *= x / (a + k);
  return gamma_weight(a, x) * sum;
}

// The upper one for small x, where its continued fraction is slow: what the power series leaves of 1.
GF_CALL double gamma_above_small(double a, double x) {
  double factor = 1, sum = 0, l = GF_ONE(log)(x);
  for (int k = 1; k < 200; ++k) {
    factor *= -x / k;
    sum += factor / (a + k);
    if (abs(factor) < 1e-18) break;
  }
  double b = 1 + a, log_gamma = lgamma(b) + digamma(b) * (a - (b - 1));  // with what the sum rounded away
  return -GF_ONE(expm1)(a * l - log_gamma) - GF_ONE(exp)(a * l - log_gamma) * a * sum;
}

// The upper one by Legendre's continued fraction, evaluated as Lentz does.
GF_CALL double gamma_above_large(double a, double x) {
  double b = x + 1 - a, c = 1e300, d = 1 / b, y = d;
  for (int k = 1; k < kGammaSteps; ++k) {
    double step = -k * (k - a);
    b += 2;
    d = 1 / (step * d + b);
    c = b + step / c;
    double ratio = c * d;
    y *= ratio;
    if (abs(ratio - 1) < 1e-16) break;
  }
  return gamma_weight(a, x) * a * y;
}

// Where both are defined: the edges first. `above` says which end a = inf, x = inf and a = 0 take.
GF_FN double gamma_edge(double a, double x, double at_zero, double at_infinity) {
  const double infinite = 1 / double(0);
  if (!(x >= 0 && a >= 0) || (a == 0 && x == 0) || (a == infinite && x == infinite)) return infinite - infinite;
  return x == 0 || a == infinite ? at_zero : at_infinity;
}
GF_FN bool gamma_inside(double a, double x) { return a > 0 && x > 0 && a - a == 0 && x - x == 0; }

GF_CALL double igammac(double a, double x) {
  if (!gamma_inside(a, x)) return gamma_edge(a, x, 1, 0);
  if (x > 1.1) return x < a ? 1 - gamma_below(a, x) : gamma_above_large(a, x);
  bool mostly_above = x <= 0.5 ? -0.4 / GF_ONE(log)(x) < a : x * 1.1 < a;
  return mostly_above ? 1 - gamma_below(a, x) : gamma_above_small(a, x);
}
GF_FN double igamma(double a, double x) {
  if (!gamma_inside(a, x)) return gamma_edge(a, x, 0, 1);
  return x > 1 && x > a ? 1 - igammac(a, x) : gamma_below(a, x);
}
GF_FN float igamma(float a, float x) { return float(igamma(double(a), double(x))); }
GF_FN float igammac(float a, float x) { return float(igammac(double(a), double(x))); }

}  // namespace gf::prim
