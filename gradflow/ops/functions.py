"""Functions of one number. Most are a primitive, whose derivative is the operation's."""

from __future__ import annotations

import math
from typing import Any

from ..kinds import elementwise
from ..scalar import primitives as s


def _plain(name: str, text: str, grad_name: str | None = None, domain: tuple[float, float] = (-3.0, 3.0)) -> Any:
    primitive = getattr(s, name)

    def formula(x):
        return primitive(x)

    formula.__name__, formula.__doc__, formula.__module__ = name, text, __name__
    return elementwise(formula, grad_name=grad_name, domain=domain, public=True)


exp: Any = _plain("exp", "e to the power x", domain=(-30.0, 30.0))
exp2: Any = _plain("exp2", "2 to the power x")
expm1: Any = _plain("expm1", "exp(x) - 1, exact near 0")
log: Any = _plain("log", "The natural logarithm: -inf at 0, nan below.", domain=(1e-3, 50.0))
log2: Any = _plain("log2", "The logarithm to base 2.", domain=(1e-3, 50.0))
log10: Any = _plain("log10", "The logarithm to base 10.", domain=(1e-3, 50.0))
log1p: Any = _plain("log1p", "log(1 + x), exact near 0", "Log1PBackward0", domain=(-0.9, 50.0))
sqrt: Any = _plain("sqrt", "The square root; the derivative at 0 is inf.", domain=(1e-3, 50.0))
rsqrt: Any = _plain("rsqrt", "1 / sqrt(x)", domain=(1e-2, 50.0))
reciprocal: Any = _plain("reciprocal", "1 / x", domain=(0.1, 9.0))
sin: Any = _plain("sin", "The sine of an angle in radians.", domain=(-30.0, 30.0))
cos: Any = _plain("cos", "The cosine of an angle in radians.", domain=(-30.0, 30.0))
tan: Any = _plain("tan", "The tangent of an angle in radians.", domain=(-1.4, 1.4))
asin: Any = _plain("asin", "The angle in radians whose sine is x; nan outside [-1, 1].", domain=(-0.95, 0.95))
acos: Any = _plain("acos", "The angle in radians whose cosine is x; nan outside [-1, 1].", domain=(-0.95, 0.95))
atan: Any = _plain("atan", "The angle in radians whose tangent is x.")
sinh: Any = _plain("sinh", "The hyperbolic sine.")
cosh: Any = _plain("cosh", "The hyperbolic cosine.")
tanh: Any = _plain("tanh", "The hyperbolic tangent; the derivative, 1 - y * y, reads only the result.", domain=(-8.0, 8.0))
asinh: Any = _plain("asinh", "The inverse hyperbolic sine.")
acosh: Any = _plain("acosh", "The inverse hyperbolic cosine; nan below 1.", domain=(1.1, 9.0))
atanh: Any = _plain("atanh", "The inverse hyperbolic tangent.", domain=(-0.95, 0.95))
erf: Any = _plain("erf", "The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x.")
erfc: Any = _plain("erfc", "1 - erf(x), exact for large x")
erfinv: Any = _plain("erfinv", "The inverse of erf on (-1, 1).", domain=(-0.95, 0.95))
lgamma: Any = _plain("lgamma", "The logarithm of the absolute value of the gamma function.", domain=(0.5, 9.0))
digamma: Any = _plain("digamma", "The derivative of lgamma.", domain=(0.5, 9.0))
negative: Any = _plain("neg", "-x", "NegBackward0")
floor: Any = _plain("floor", "The largest integer not above x; derivative 0.")
ceil: Any = _plain("ceil", "The smallest integer not below x; derivative 0.")
trunc: Any = _plain("trunc", "x without its fraction; derivative 0.")
rint: Any = _plain("round", "The nearest integer, halves to even; derivative 0.")


@elementwise(grad_name="RoundBackward1", numbers=("scale",))
def round_fine(x, scale):
    "The nearest multiple of 1 / scale, halves to even; derivative 0."
    return s.round(x * scale) / scale


@elementwise(grad_name="RoundBackward1", numbers=("scale",))
def round_coarse(x, scale):
    "The nearest multiple of scale, halves to even; derivative 0."
    return s.round(x / scale) * scale


@elementwise(public=True)
def abs(x):
    "The absolute value; the derivative at 0 is 0."
    return s.abs(x)


@abs.partial
def abs_partial(y, x):
    return s.sign(x)


@elementwise(public=True)
def sign(x):
    "-1, 0 or 1; derivative 0."
    return s.sign(x)


@sign.partial
def sign_partial(y, x):
    return (None,)


@elementwise(public=True)
def frac(x):
    "x - trunc(x)"
    return x - s.trunc(x)


@elementwise(domain=(-15.0, 15.0), public=True)
def sigmoid(x):
    "1 / (1 + exp(-x)); the derivative, y * (1 - y), reads only the result."
    return 1 / (1 + s.exp(0.0 - x))  # not -x, which of a bool would be a bool


@sigmoid.partial
def sigmoid_partial(y, x):
    return y * (1 - y)


@elementwise(public=True)
def deg2rad(x):
    "Degrees to radians."
    return x * (math.pi / 180)


@elementwise(public=True)
def rad2deg(x):
    "Radians to degrees."
    return x * (180 / math.pi)


@elementwise(public=True)
def sinc(x):
    "sin(pi x) / (pi x), and 1 at 0; the derivative at 0 is 0."
    z = math.pi * x
    return s.where(s.eq(x, 0), 1, s.sin(z) / z)


@sinc.partial
def sinc_partial(y, x):
    z = math.pi * x
    return s.where(s.eq(x, 0), 0, (s.cos(z) - s.sin(z) / z) / x)
