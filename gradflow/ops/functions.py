"""Functions of one number. Most are a primitive, whose derivative is the operation's."""

from __future__ import annotations

import math

from ..kinds import Operation, elementwise
from ..scalar import primitives as s


def _plain(name: str, text: str, example: str = "", grad_name: str | None = None, domain: tuple[float, float] = (-3.0, 3.0)) -> Operation:
    """The operation that is a primitive; ``example`` is "elements -> what is printed of the result"."""
    primitive = getattr(s, name)
    if example:
        x, _, y = example.partition(" -> ")
        kept = "Integers stay integers" if primitive.domain == "N" else "Integers and bool are computed in the default floating-point type"
        text += f"\n\n    Elementwise. {kept}.\n\n    >>> gf.{name}(gf.tensor({x}))\n    tensor({y})\n    "

    def formula(x):
        return primitive(x)

    formula.__name__, formula.__doc__, formula.__module__ = name, text, __name__
    return elementwise(grad_name=grad_name, domain=domain, public=True)(formula)


exp = _plain("exp", "``e ** x``: the exponential function.", "[0.0, 1.0] -> [1.0000, 2.7183]", domain=(-30.0, 30.0))
exp2 = _plain("exp2", "``2 ** x``.", "[0.0, 3.0] -> [1., 8.]")
expm1 = _plain("expm1", "``exp(x) - 1``, exact near 0.", "[0.0, 1e-6] -> [0.0000e+00, 1.0000e-06]")
log = _plain("log", "The natural logarithm: -inf at 0, nan below.", "[1.0, 2.0] -> [0.0000, 0.6931]", domain=(1e-3, 50.0))
log2 = _plain("log2", "The logarithm to base 2: -inf at 0, nan below.", "[1.0, 8.0] -> [0., 3.]", domain=(1e-3, 50.0))
log10 = _plain("log10", "The logarithm to base 10: -inf at 0, nan below.", "[1.0, 1000.0] -> [0., 3.]", domain=(1e-3, 50.0))
log1p = _plain(
    "log1p",
    "``log(1 + x)``, exact near 0: -inf at -1, nan below.",
    "[0.0, 1.0] -> [0.0000, 0.6931]",
    grad_name="Log1PBackward0",
    domain=(-0.9, 50.0),
)
sqrt = _plain("sqrt", "The square root, nan below 0; the derivative at 0 is inf.", "[4.0, 2.0] -> [2.0000, 1.4142]", domain=(1e-3, 50.0))
rsqrt = _plain("rsqrt", "``1 / sqrt(x)``: inf at 0, nan below.", "[4.0, 0.0] -> [0.5000,    inf]", domain=(1e-2, 50.0))
reciprocal = _plain("reciprocal", "``1 / x``: inf at 0.", "[4.0, 0.0] -> [0.2500,    inf]", domain=(0.1, 9.0))
sin = _plain("sin", "The sine of an angle in radians.", "[0.0, 1.0] -> [0.0000, 0.8415]", domain=(-30.0, 30.0))
cos = _plain("cos", "The cosine of an angle in radians.", "[0.0, 1.0] -> [1.0000, 0.5403]", domain=(-30.0, 30.0))
tan = _plain("tan", "The tangent of an angle in radians.", "[0.0, 1.0] -> [0.0000, 1.5574]", domain=(-1.4, 1.4))
asin = _plain("asin", "The angle in radians whose sine is x; nan outside [-1, 1].", "[0.0, 1.0] -> [0.0000, 1.5708]", domain=(-0.95, 0.95))
acos = _plain(
    "acos", "The angle in radians whose cosine is x; nan outside [-1, 1].", "[1.0, 0.0] -> [0.0000, 1.5708]", domain=(-0.95, 0.95)
)
atan = _plain("atan", "The angle in radians whose tangent is x.", "[0.0, 1.0] -> [0.0000, 0.7854]")
sinh = _plain("sinh", "The hyperbolic sine, ``(exp(x) - exp(-x)) / 2``.", "[0.0, 1.0] -> [0.0000, 1.1752]")
cosh = _plain("cosh", "The hyperbolic cosine, ``(exp(x) + exp(-x)) / 2``.", "[0.0, 1.0] -> [1.0000, 1.5431]")
tanh = _plain(
    "tanh",
    "The hyperbolic tangent; the derivative, ``1 - y * y``, reads only the result.",
    "[0.0, 1.0] -> [0.0000, 0.7616]",
    domain=(-8.0, 8.0),
)
asinh = _plain("asinh", "The inverse hyperbolic sine.", "[0.0, 1.0] -> [0.0000, 0.8814]")
acosh = _plain("acosh", "The inverse hyperbolic cosine; nan below 1.", "[1.0, 2.0] -> [0.0000, 1.3170]", domain=(1.1, 9.0))
atanh = _plain(
    "atanh", "The inverse hyperbolic tangent: infinite at -1 and 1, nan outside.", "[0.0, 0.5] -> [0.0000, 0.5493]", domain=(-0.95, 0.95)
)
erf = _plain("erf", "The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x.", "[0.0, 1.0] -> [0.0000, 0.8427]")
erfc = _plain("erfc", "``1 - erf(x)``, exact for large x.", "[0.0, 1.0] -> [1.0000, 0.1573]")
erfinv = _plain(
    "erfinv", "The inverse of erf on (-1, 1): infinite at the ends, nan outside.", "[0.0, 0.5] -> [0.0000, 0.4769]", domain=(-0.95, 0.95)
)
lgamma = _plain("lgamma", "The logarithm of the absolute value of the gamma function.", "[1.0, 5.0] -> [0.0000, 3.1781]", domain=(0.5, 9.0))
digamma = _plain("digamma", "The derivative of lgamma.", "[1.0, 2.0] -> [-0.5772,  0.4228]", domain=(0.5, 9.0))
negative = _plain("neg", "-x", grad_name="NegBackward0")
floor = _plain("floor", "The largest integer not above x; derivative 0.", "[1.5, -1.5] -> [ 1., -2.]")
ceil = _plain("ceil", "The smallest integer not below x; derivative 0.", "[1.5, -1.5] -> [ 2., -1.]")
trunc = _plain("trunc", "x without its fraction; derivative 0.", "[1.5, -1.5] -> [ 1., -1.]")
rint = _plain("round", "The nearest integer, halves to even; derivative 0.")


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
    """The absolute value; the derivative at 0 is 0.

    >>> gf.abs(gf.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """
    return s.abs(x)


@abs.partial
def abs_partial(y, x):
    return s.sign(x)


@elementwise(public=True)
def sign(x):
    """The sign: -1, 0 or 1; derivative 0.

    >>> gf.sign(gf.tensor([-1.5, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    return s.sign(x)


@sign.partial
def sign_partial(y, x):
    return (None,)


@elementwise(public=True)
def frac(x):
    """``x - trunc(x)``: the part behind the point, with the sign of x; derivative 1.

    >>> gf.frac(gf.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """
    return x - s.trunc(x)


@elementwise(domain=(-15.0, 15.0), public=True)
def sigmoid(x):
    """``1 / (1 + exp(-x))``; the derivative, ``y * (1 - y)``, reads only the result.

    >>> gf.sigmoid(gf.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return 1 / (1 + s.exp(0.0 - x))  # not -x, which of a bool would be a bool


@sigmoid.partial
def sigmoid_partial(y, x):
    return y * (1 - y)


@elementwise(public=True)
def deg2rad(x):
    """Degrees to radians: ``x * pi / 180``.

    >>> gf.deg2rad(gf.tensor([180.0, 90.0]))
    tensor([3.1416, 1.5708])
    """
    return x * (math.pi / 180)


@elementwise(public=True)
def rad2deg(x):
    """Radians to degrees: ``x * 180 / pi``.

    >>> gf.rad2deg(gf.tensor([gf.pi, 1.0]))
    tensor([180.0000,  57.2958])
    """
    return x * (180 / math.pi)


@elementwise(public=True)
def sinc(x):
    """``sin(pi x) / (pi x)``, and 1 at 0; the derivative at 0 is 0.

    >>> gf.sinc(gf.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    z = math.pi * x
    return s.where(s.eq(x, 0), 1, s.sin(z) / z)


@sinc.partial
def sinc_partial(y, x):
    z = math.pi * x
    return s.where(s.eq(x, 0), 0, (s.cos(z) - s.sin(z) / z) / x)
