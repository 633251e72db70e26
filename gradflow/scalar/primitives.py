"""The scalar primitives: everything the kernels compute is made of these.

A primitive has two places: here (type, NumPy reference, derivative) and ``include/gradflow/scalar.h`` (what the kernels run).
Derivatives at kinks follow PyTorch: 0 for ``abs`` at 0, one half each for ``maximum`` at a tie.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .trace import Number, Primitive, Value, lift

SQRT_HALF = math.sqrt(0.5)
TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
LN2, LN10 = math.log(2), math.log(10)


def elementwise_libm(function: Any) -> Any:
    """A function of one Python float, as NumPy ufunc in float64 (nan where it is not defined)."""

    def guarded(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return math.nan if x != math.inf else math.inf

    vectorised = np.vectorize(guarded, otypes=[np.float64])
    return lambda x: vectorised(x)


def P(name: str, arity: int, domain: str, reference: Any, partials: Any = None, kink: bool = False) -> Any:
    return Primitive(name, arity, domain, reference, partials, kink)


# Arithmetic
add: Any = P("add", 2, "N", np.add, lambda y, a, b: (1, 1))
sub: Any = P("sub", 2, "N", np.subtract, lambda y, a, b: (1, -1))
mul: Any = P("mul", 2, "N", np.multiply, lambda y, a, b: (b, a))
div: Any = P("div", 2, "F", np.true_divide, lambda y, a, b: (reciprocal(b), -(a / b) / b))
neg: Any = P("neg", 1, "N", np.negative, lambda y, x: (-1,))
abs: Any = P("abs", 1, "N", np.abs, lambda y, x: (sign(x),), kink=True)
sign: Any = P("sign", 1, "N", np.sign, lambda y, x: (None,), kink=True)
# x ** 0 has derivative 0 everywhere and 0 ** b (b > 0) has derivative 0 in b: where() keeps 0 * inf and log(0) out.
pow: Any = P(
    "pow",
    2,
    "N",
    np.power,
    lambda y, a, b: (
        where(eq(b, 0), 0, b * pow(a, b - 1)),
        where(eq(a, 0), where(ge(b, 0), 0, y * log(a)), y * log(a)),
    ),
)
reciprocal: Any = P("reciprocal", 1, "F", np.reciprocal, lambda y, x: (-y * y,))
maximum: Any = P("maximum", 2, "N", np.maximum, lambda y, a, b: (_share(gt(a, b), eq(a, b)), _share(lt(a, b), eq(a, b))), kink=True)
minimum: Any = P("minimum", 2, "N", np.minimum, lambda y, a, b: (_share(lt(a, b), eq(a, b)), _share(gt(a, b), eq(a, b))), kink=True)
copysign: Any = P("copysign", 2, "F", np.copysign, lambda y, a, b: (where(eq(a, 0), 0, sign(a) * sign(y)), None), kink=True)
fmod: Any = P("fmod", 2, "N", np.fmod, lambda y, a, b: (1, -trunc(a / b)), kink=True)
remainder: Any = P("remainder", 2, "N", np.remainder, lambda y, a, b: (1, -floor(a / b)), kink=True)
floor_divide: Any = P("floor_divide", 2, "N", np.floor_divide, lambda y, a, b: (None, None), kink=True)

# Exponentials and logarithms
exp: Any = P("exp", 1, "F", np.exp, lambda y, x: (y,))
exp2: Any = P("exp2", 1, "F", np.exp2, lambda y, x: (y * LN2,))
expm1: Any = P("expm1", 1, "F", np.expm1, lambda y, x: (y + 1,))
log: Any = P("log", 1, "F", np.log, lambda y, x: (1 / x,))
log2: Any = P("log2", 1, "F", np.log2, lambda y, x: (1 / (x * LN2),))
log10: Any = P("log10", 1, "F", np.log10, lambda y, x: (1 / (x * LN10),))
log1p: Any = P("log1p", 1, "F", np.log1p, lambda y, x: (1 / (x + 1),))
sqrt: Any = P("sqrt", 1, "F", np.sqrt, lambda y, x: (0.5 / y,))
rsqrt: Any = P("rsqrt", 1, "F", lambda x: 1 / np.sqrt(x), lambda y, x: (-0.5 * y * y * y,))

# Trigonometry and hyperbolic functions
sin: Any = P("sin", 1, "F", np.sin, lambda y, x: (cos(x),))
cos: Any = P("cos", 1, "F", np.cos, lambda y, x: (-sin(x),))
tan: Any = P("tan", 1, "F", np.tan, lambda y, x: (1 + y * y,))
asin: Any = P("asin", 1, "F", np.arcsin, lambda y, x: (rsqrt(1 - x * x),))
acos: Any = P("acos", 1, "F", np.arccos, lambda y, x: (-rsqrt(1 - x * x),))
atan: Any = P("atan", 1, "F", np.arctan, lambda y, x: (1 / (1 + x * x),))
atan2: Any = P("atan2", 2, "F", np.arctan2, lambda y, a, b: (b / (a * a + b * b), -a / (a * a + b * b)))
sinh: Any = P("sinh", 1, "F", np.sinh, lambda y, x: (cosh(x),))
cosh: Any = P("cosh", 1, "F", np.cosh, lambda y, x: (sinh(x),))
tanh: Any = P("tanh", 1, "F", np.tanh, lambda y, x: (1 - y * y,))
asinh: Any = P("asinh", 1, "F", np.arcsinh, lambda y, x: (rsqrt(x * x + 1),))
acosh: Any = P("acosh", 1, "F", np.arccosh, lambda y, x: (rsqrt((x - 1) * (x + 1)),))
atanh: Any = P("atanh", 1, "F", np.arctanh, lambda y, x: (1 / (1 - x * x),))

# Special functions


def _lgamma(x: float) -> float:
    return math.inf if x == -math.inf or (x <= 0 and x == math.floor(x)) else math.lgamma(x)


erf: Any = P("erf", 1, "F", elementwise_libm(math.erf), lambda y, x: (TWO_OVER_SQRT_PI * exp(-x * x),))
erfc: Any = P("erfc", 1, "F", elementwise_libm(math.erfc), lambda y, x: (-TWO_OVER_SQRT_PI * exp(-x * x),))
lgamma: Any = P("lgamma", 1, "F", elementwise_libm(_lgamma), lambda y, x: (digamma(x),))


def _digamma(x: float) -> float:
    """Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.18)."""
    if x <= 0 and x == math.floor(x):
        return math.nan if x else -math.copysign(math.inf, x)
    if x < 0:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * x)
    shift = 0.0
    while x < 10:
        shift, x = shift - 1 / x, x + 1
    z = 1 / (x * x)
    tail = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132 - z * (691 / 32760 - z / 12))))))
    return shift + math.log(x) - 0.5 / x - tail


def _erfinv(x: float) -> float:
    """Newton's method on erf, from Winitzki's approximation; exact to rounding in three or four steps."""
    if not -1 < x < 1:
        return math.copysign(math.inf, x) if x in (-1, 1) else math.nan
    w = math.log1p(-x * x)
    t = 2 / (math.pi * 0.147) + w / 2
    y = math.copysign(math.sqrt(math.sqrt(t * t - w / 0.147) - t), x)
    for _ in range(6):
        y -= (math.erf(y) - x) / (TWO_OVER_SQRT_PI * math.exp(-y * y))
    return y


def _zeta(x: float, q: float) -> float:
    """Euler and Maclaurin's sum, from q + 20 on."""
    if x <= 1 or (q <= 0 and (q == math.floor(q) or x != math.floor(x))):
        return math.nan if x < 1 or not (x == 1 or q == math.floor(q)) else math.inf
    if not math.isfinite(q):
        return 0.0 if q > 0 else math.nan
    n = 20 + int(-q if q < 0 else 0)
    w = q + n
    total = math.fsum((q + k) ** -x for k in range(n)) + w ** (1 - x) / (x - 1) + 0.5 * w**-x
    factor = x
    for k, b in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), 1):
        total += b / math.factorial(2 * k) * factor * w ** (-x - 2 * k + 1)
        factor *= (x + 2 * k - 1) * (x + 2 * k)
    return total


def _igamma(a: float, x: float) -> float:
    return _incomplete_gamma(a, x)[0]


def _igammac(a: float, x: float) -> float:
    return _incomplete_gamma(a, x)[1]


def _incomplete_gamma(a: float, x: float) -> tuple[float, float]:
    """The lower and the upper regularized function: by power series below, by continued fraction above (Abramowitz and Stegun 6.5.29, 31)."""
    if not (x >= 0 and a >= 0) or a == x == 0 or a == x == math.inf:
        return math.nan, math.nan
    if x == 0 or a == math.inf:
        return 0.0, 1.0
    if a == 0 or x == math.inf:
        return 1.0, 0.0
    weight = math.exp(a * math.log(x) - x - math.lgamma(a + 1))
    if x < a + 1 or x < 1.1:
        term = total = 1.0
        k = 1
        while term > 1e-17 * total:
            term *= x / (a + k)
            total, k = total + term, k + 1
        return weight * total, 1 - weight * total
    y = 0.0
    for k in range(int(100 + 10 * math.sqrt(a)), 0, -1):
        y = -k * (k - a) / (x + 2 * k + 1 - a + y)
    above = weight * a / (x + 1 - a + y)
    return 1 - above, above


def elementwise_pair(function: Any) -> Any:
    def guarded(x: float, y: float) -> float:
        try:
            return function(x, y)
        except OverflowError:
            return math.inf

    vectorised = np.vectorize(guarded, otypes=[np.float64])
    return lambda x, y: vectorised(x, y)


# d/dx of the sum of (x + k)^-s is -s times that of (x + k)^-(s + 1); in s there is no derivative, nor in the a of igamma, as in torch
zeta: Any = P("zeta", 2, "F", elementwise_pair(_zeta), lambda y, x, q: (None, -x * zeta(x + 1, q)))
igamma: Any = P("igamma", 2, "F", elementwise_pair(_igamma), lambda y, a, x: (None, exp((a - 1) * log(x) - x - lgamma(a))))
igammac: Any = P("igammac", 2, "F", elementwise_pair(_igammac), lambda y, a, x: (None, -exp((a - 1) * log(x) - x - lgamma(a))))


def trigamma(x: Value) -> Value:
    """The derivative of digamma; below 1/2 by reflection."""
    below = lt(x, 0.5)
    reflected, direct = math.pi / sin(math.pi * (x - round(x))), zeta(2.0, where(below, 1 - x, x))
    return where(below, reflected * reflected - direct, direct)


digamma: Any = P("digamma", 1, "F", elementwise_libm(_digamma), lambda y, x: (trigamma(x),))
erfinv: Any = P("erfinv", 1, "F", elementwise_libm(_erfinv), lambda y, x: (exp(y * y) / TWO_OVER_SQRT_PI,))

# Rounding
floor: Any = P("floor", 1, "N", np.floor, lambda y, x: (None,))
ceil: Any = P("ceil", 1, "N", np.ceil, lambda y, x: (None,))
trunc: Any = P("trunc", 1, "N", np.trunc, lambda y, x: (None,))
round: Any = P("round", 1, "N", np.rint, lambda y, x: (None,))

# Bits; logical on bool
bit_not: Any = P("bit_not", 1, "I", np.invert)
bit_and: Any = P("bit_and", 2, "I", np.bitwise_and)
bit_or: Any = P("bit_or", 2, "I", np.bitwise_or)
bit_xor: Any = P("bit_xor", 2, "I", np.bitwise_xor)
shift_left: Any = P("shift_left", 2, "I", np.left_shift)
shift_right: Any = P("shift_right", 2, "I", np.right_shift)

# Comparisons
eq: Any = P("eq", 2, "C", np.equal)
ne: Any = P("ne", 2, "C", np.not_equal)
lt: Any = P("lt", 2, "C", np.less)
le: Any = P("le", 2, "C", np.less_equal)
gt: Any = P("gt", 2, "C", np.greater)
ge: Any = P("ge", 2, "C", np.greater_equal)

where: Any = P("where", 3, "W", np.where, lambda y, c, a, b: (None, _masked(c, 1, 0), _masked(c, 0, 1)), kink=True)


def _masked(c: Value, a: Number, b: Number) -> Value:
    return where(c, a, b)


def _share(first: Value, tie: Value) -> Value:
    """1 where ``first``, one half at a tie, else 0."""
    return where(tie, 0.5, where(first, 1.0, 0.0))


# What the kernels know besides: positions, random bits and, in row programs, folds of a row.


def cast(x: Value | Number, dtype: int) -> Value:
    """``x`` as element type ``dtype`` (a code of ``types``)."""
    return Value("cast", (lift(x),), dtype)


def random(seed: Value | Number, offset: Value | Number) -> Value:
    """32 random bits for this element: Philox4x32-10 of (seed, offset + position), as int64."""
    return Value("random", (lift(seed), lift(offset)))


def linear_index() -> Value:
    """The element's position in C order, int64."""
    return Value("linear_index")


def column_index() -> Value:
    """The element's position within its row, int64 (row programs only)."""
    return Value("column_index")


def row_sum(x: Value | Number) -> Value:
    """The sum of ``x`` over the row, seen by every element of it (row programs only)."""
    return Value("row_sum", (lift(x),))


def row_max(x: Value | Number) -> Value:
    """The maximum of ``x`` over the row, seen by every element of it (row programs only)."""
    return Value("row_max", (lift(x),))


def row_at(x: Value, column: Value | Number) -> Value:
    """The row's element of an input at ``column``, seen by every element of it (row programs only). A column outside of the row is reported by
    devices; elsewhere 0 stands for it."""
    return Value("row_at", (lift(x), lift(column)))


ROW_FOLDS = ("row_sum", "row_max")
SOURCES = ("input", "const", "linear_index", "column_index")


def _operators() -> None:
    def forward(primitive: Primitive) -> Any:
        return lambda self, other: primitive(self, other)

    def reflected(primitive: Primitive) -> Any:
        return lambda self, other: primitive(other, self)

    both = {"add": add, "sub": sub, "mul": mul, "truediv": div, "floordiv": floor_divide, "mod": remainder, "pow": pow}
    both |= {"and": bit_and, "or": bit_or, "xor": bit_xor, "lshift": shift_left, "rshift": shift_right}
    for name, primitive in both.items():
        setattr(Value, f"__{name}__", forward(primitive))
        setattr(Value, f"__r{name}__", reflected(primitive))
    for name, primitive in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
        setattr(Value, f"__{name}__", forward(primitive))
    Value.__neg__ = lambda self: neg(self)
    Value.__abs__ = lambda self: abs(self)
    Value.__invert__ = lambda self: bit_not(self)
    setattr(Value, "__hash__", object.__hash__)  # noqa: B010  (defining == took it away)


_operators()
