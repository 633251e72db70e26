"""Arithmetic, comparisons and the unary functions. Each is its formula."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, GradflowError, relabel
from ..kinds import elementwise
from ..scalar import primitives as s
from ..tensor import Tensor, wrap

# Binary arithmetic


@elementwise
def add(x, y):
    "x + y"
    return x + y


@elementwise
def sub(x, y):
    "x - y"
    return x - y


@elementwise(grad_name="RsubBackward1")
def rsub(x, y):
    "y - x"
    return y - x


@elementwise
def mul(x, y):
    "x * y"
    return x * y


@elementwise(domain=(0.2, 3.0))
def div(x, y):
    "x / y, in floating point"
    return x / y


@elementwise(grad_name="MulBackward0", domain=(0.2, 3.0))
def reciprocal_times(x, y):
    "y / x for a number y: torch's name for the node is that of reciprocal(x) * y"
    return y / x


@elementwise(grad_name="AddBackward0")
def add_scaled(x, y, alpha):
    "x + alpha * y"
    return x + alpha * y


@elementwise(grad_name="PowBackward1", domain=(0.2, 3.0))
def power(x, y):
    "x ** y; 0 ** 0 is 1, and the derivative of x ** 0 is 0"
    return s.pow(x, y)


@elementwise(grad_name="PowBackward2", domain=(0.2, 3.0))
def scalar_power(x, y):
    "y ** x for a number y"
    return s.pow(y, x)


@elementwise(grad_name="PowBackward0", domain=(0.2, 3.0))
def power_scalar(x, y):
    "x ** y for a number y"
    return s.pow(x, y)


@elementwise(grad_name="PowBackward0")
def squared(x):
    return x * x


@elementwise(grad_name="PowBackward0")
def cubed(x):
    return x * x * x


@elementwise(grad_name="PowBackward0")
def power_zero(x):
    "x ** 0: 1, with derivative 0"
    return s.pow(x, 0)


@power_zero.partial
def power_zero_partial(y, x):
    return (None,)


@elementwise(smooth=True, grad_name="NotImplemented", domain=(0.2, 3.0))
def floor_division(x, y):
    "floor(x / y)"
    return x // y


@elementwise(smooth=True, grad_name="RemainderBackward0", domain=(0.2, 3.0))
def remainder_of(x, y):
    "x - y * floor(x / y): the sign is y's"
    return x % y


@elementwise(smooth=True, grad_name="FmodBackward0", domain=(0.2, 3.0))
def fmod_of(x, y):
    "x - y * trunc(x / y): the sign is x's"
    return s.fmod(x, y)


@elementwise(public=True)
def atan2(x, y):
    "The angle of the point (y, x), in radians, from -pi to pi."
    return s.atan2(x, y)


@elementwise(smooth=True, public=True)
def maximum(x, y):
    "The larger of x and y; nan if one is. At a tie each gets half of the gradient."
    return s.maximum(x, y)


@elementwise(smooth=True, public=True)
def minimum(x, y):
    "The smaller of x and y; nan if one is. At a tie each gets half of the gradient."
    return s.minimum(x, y)


# Comparisons and logic: bool results, nothing to differentiate


@elementwise(public=True)
def eq(x, y):
    "x == y"
    return s.eq(x, y)


@elementwise(public=True)
def ne(x, y):
    "x != y"
    return s.ne(x, y)


@elementwise(public=True)
def lt(x, y):
    "x < y"
    return s.lt(x, y)


@elementwise(public=True)
def le(x, y):
    "x <= y"
    return s.le(x, y)


@elementwise(public=True)
def gt(x, y):
    "x > y"
    return s.gt(x, y)


@elementwise(public=True)
def ge(x, y):
    "x >= y"
    return s.ge(x, y)


@elementwise(public=True)
def logical_and(x, y):
    "Are both different from zero?"
    return s.ne(x, 0) & s.ne(y, 0)


@elementwise(public=True)
def logical_or(x, y):
    "Is one of them different from zero?"
    return s.ne(x, 0) | s.ne(y, 0)


@elementwise(public=True)
def logical_xor(x, y):
    "Is exactly one of them different from zero?"
    return s.ne(x, 0) ^ s.ne(y, 0)


@elementwise(public=True)
def logical_not(x):
    "Is x zero?"
    return s.eq(x, 0)


@elementwise(public=True)
def bitwise_and(x, y):
    "x & y for bool and integers"
    return x & y


@elementwise(public=True)
def bitwise_or(x, y):
    "x | y for bool and integers"
    return x | y


@elementwise(public=True)
def bitwise_xor(x, y):
    "x ^ y for bool and integers"
    return x ^ y


@elementwise(public=True)
def bitwise_not(x):
    "~x for bool and integers"
    return ~x


@elementwise(public=True)
def bitwise_left_shift(x, y):
    "x << y for integers"
    return x << y


@elementwise(public=True)
def bitwise_right_shift(x, y):
    "x >> y for integers"
    return x >> y


@elementwise(public=True)
def isnan(x):
    "Is x not a number?"
    return s.ne(x, x)


@elementwise(public=True)
def isinf(x):
    "Is x infinite, of either sign?"
    return s.eq(s.abs(x), math.inf)


@elementwise(public=True)
def isfinite(x):
    "Is x neither infinite nor nan?"
    return s.lt(s.abs(x), math.inf)


# Unary functions whose derivative follows from the primitive's


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
    return 1 / (1 + s.exp(-x))


@sigmoid.partial
def sigmoid_partial(y, x):
    return y * (1 - y)


@elementwise(raw=("condition",), grad_name="WhereBackward0")
def where_of(condition, x, y):
    "x where condition holds, else y"
    return s.where(condition, x, y)


@where_of.partial
def where_partial(out, condition, x, y):
    return None, s.where(condition, 1, 0), s.where(condition, 0, 1)


@elementwise(grad_name="ClampBackward1")
def clamp_of(x, low, high):
    "min(max(x, low), high)"
    return s.minimum(s.maximum(x, low), high)


@clamp_of.partial
def clamp_partial(y, x, low, high):
    inside = s.where(s.ge(x, low) & s.le(x, high), 1.0, 0.0)
    below = s.where(s.lt(x, low) & s.lt(low, high), 1.0, 0.0)
    above = s.where(s.gt(x, high) | s.lt(high, low), 1.0, 0.0)
    return inside, below, above


@elementwise(grad_name="ClampBackward1")
def clamp_below(x, low):
    return s.maximum(x, low)


@clamp_below.partial
def clamp_below_partial(y, x, low):
    return s.where(s.ge(x, low), 1.0, 0.0), s.where(s.lt(x, low), 1.0, 0.0)


@elementwise(grad_name="ClampBackward1")
def clamp_above(x, high):
    return s.minimum(x, high)


@clamp_above.partial
def clamp_above_partial(y, x, high):
    return s.where(s.le(x, high), 1.0, 0.0), s.where(s.gt(x, high), 1.0, 0.0)


@elementwise(public=True)
def lerp(x, y, weight):
    "x + weight * (y - x)"
    return x + weight * (y - x)


@elementwise(grad_name="AddcmulBackward0")
def addcmul_of(x, a, b, value):
    return x + value * a * b


@elementwise(grad_name="AddcdivBackward0", domain=(0.2, 3.0))
def addcdiv_of(x, a, b, value):
    return x + value * a / b


@elementwise(smooth=True, public=True)
def hypot(x, y):
    "sqrt(x * x + y * y), without overflow on the way; the gradient at (0, 0) is nan."
    a, b = s.abs(x), s.abs(y)
    high, low = s.maximum(a, b), s.minimum(a, b)
    ratio = s.where(s.eq(high, 0), 0, low / high)
    return s.where(s.eq(a, math.inf) | s.eq(b, math.inf), math.inf, high * s.sqrt(1 + ratio * ratio))


@hypot.partial
def hypot_partial(z, x, y):
    return x / z, y / z


@elementwise(public=True)
def logaddexp(x, y):
    "log(exp(x) + exp(y)), finite for finite x and y"
    high = s.maximum(x, y)
    distance = s.where(s.eq(x, y), 0, s.abs(x - y))
    return high + s.log1p(s.exp(-distance))


@logaddexp.partial
def logaddexp_partial(z, x, y):
    return 1 / (1 + s.exp(y - x)), 1 / (1 + s.exp(x - y))


@elementwise(domain=(0.1, 3.0), public=True)
def xlogy(x, y):
    "x * log(y), and 0 where x is 0"
    return s.where(s.eq(x, 0) & s.eq(y, y), 0, x * s.log(y))


@xlogy.partial
def xlogy_partial(z, x, y):
    return s.where(s.eq(x, 0) & s.le(y, 0), 0, s.log(y)), x / y


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


# What torch's signatures add


def integers(*xs: Any) -> bool:
    return all(isinstance(x, bool | int) or (isinstance(x, Tensor) and not x.dtype.is_floating_point) for x in xs)


def no_bool(op: str, *xs: Any) -> None:
    """Subtraction is refused for bool operands, as in torch."""
    if all(isinstance(x, bool) or (isinstance(x, Tensor) and x.array.dtype.kind == "b") for x in xs):
        raise DTypeError(
            f"{op}: Subtraction, the `-` operator, with two bool tensors is not supported; use the `^` or `logical_xor()` operator instead"
        )


def nonzero_divisor(op: str, x: Any, y: Any) -> None:
    if integers(x, y) and not np.all(y.array if isinstance(y, Tensor) else y):
        raise ArgumentError(f"{op}: ZeroDivisionError; an integer divisor is zero; convert to floating point for inf and nan")


def minus(x: Any, y: Any) -> Tensor:
    a = x.array.dtype.kind if isinstance(x, Tensor) else ""
    if a == "b":
        no_bool("sub", x, y)
    return sub(x, y)


def reverse_minus(x: Tensor, y: Any) -> Tensor:
    """y - x"""
    if isinstance(x, Tensor) and x.array.dtype.kind == "b":
        no_bool("rsub", x, y)
    return rsub(x, y)


def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``, elementwise.

    The derivative in ``input`` is ``exponent * input ** (exponent - 1)``, and 0 for exponent 0. Integers to a negative integer power raise.
    """
    if isinstance(exponent, bool | int | float):
        if exponent == 2 and isinstance(input, Tensor) and input.array.dtype.kind in "fi":
            return squared(input)
        if exponent == 3 and isinstance(input, Tensor) and input.array.dtype.kind in "fi":
            return cubed(input)
        if exponent == 0 and isinstance(input, Tensor):
            return power_zero(input)
        if isinstance(input, bool | int | float):
            raise DTypeError("pow: one of the operands must be a Tensor")
        if exponent < 0 and isinstance(exponent, int) and integers(input):
            raise ArgumentError(
                f"pow: Integers to negative integer powers are not allowed; the exponent is {exponent}; convert the base to floating point"
            )
        return power_scalar(input, exponent)
    if not isinstance(input, Tensor):
        return scalar_power(exponent, input)
    return power(input, exponent)


def floor_divide(input: Any, other: Any) -> Tensor:
    """``floor(input / other)``; integer division by zero raises."""
    nonzero_divisor("floor_divide", input, other)
    try:
        return floor_division(input, other)
    except GradflowError as error:
        raise relabel(error, "floor_divide") from None


def remainder(input: Any, other: Any) -> Tensor:
    """``input - other * floor(input / other)``: the sign is the divisor's. Integer division by zero raises."""
    nonzero_divisor("remainder", input, other)
    return remainder_of(input, other)


def fmod(input: Any, other: Any) -> Tensor:
    """``input - other * trunc(input / other)``: the sign is the dividend's. Integer division by zero raises."""
    nonzero_divisor("fmod", input, other)
    return fmod_of(input, other)


def true_divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other`` in floating point, or rounded: ``rounding_mode`` is ``"trunc"`` or ``"floor"``."""
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ArgumentError(f"div: expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    if integers(input, other):
        nonzero_divisor("div", input, other)
        return floor_division(minus(input, fmod_of(input, other)), other)
    return trunc(div(input, other))


def scaled_add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``input + alpha * other``"""
    return add(input, other) if alpha == 1 else scaled("add", input, other, alpha, 1)


def scaled(op: str, input: Any, other: Any, alpha: Any, sign: int) -> Tensor:
    if not isinstance(alpha, bool | int | float):
        raise DTypeError(f"{op}: argument 'alpha' must be Number, not {type(alpha).__name__}")
    if isinstance(alpha, float) and integers(input, other):
        raise ArgumentError(f"{op}: For integral input tensors, argument alpha must not be a floating point number; it is {alpha}")
    return add_scaled(input, other, sign * alpha)


def scaled_sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``input - alpha * other``"""
    return minus(input, other) if alpha == 1 else scaled("sub", input, other, alpha, -1)


def neg(input: Tensor) -> Tensor:
    """``-input``; not for bool."""
    if isinstance(input, Tensor) and input.array.dtype.kind == "b":
        raise DTypeError(
            "neg: Negation, the `-` operator, on a bool tensor is not supported; use the `~` or `logical_not()` operator instead"
        )
    return negative(input)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """``minimum(maximum(input, min), max)``.

    The gradient passes where ``min <= input <= max``, the bounds included; a bound that is a tensor gets the rest.
    """
    if min is None and max is None:
        raise ArgumentError("clamp: At least one of 'min' or 'max' must not be None")
    if max is None:
        return clamp_below(input, min)
    return clamp_above(input, max) if min is None else clamp_of(input, min, max)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer (or multiple of ``10 ** -decimals``), halves to even."""
    if decimals == 0:
        return rint(input)
    if not isinstance(decimals, int):
        raise DTypeError(f"round: argument 'decimals' must be int, not {type(decimals).__name__}")
    scale = 10.0 ** builtin_abs(decimals)
    return div(rint(mul(input, scale)), scale) if decimals > 0 else mul(rint(div(input, scale)), scale)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``; with the condition alone, ``nonzero(as_tuple=True)``.

    The gradient flows to the value that was taken; the other gets 0.
    """
    if not isinstance(condition, Tensor):
        raise DTypeError(f"where: argument 'condition' must be Tensor, not {type(condition).__name__}")
    if input is None and other is None:
        return tuple(wrap(np.ascontiguousarray(i)) for i in condition.array.nonzero())
    if condition.array.dtype.kind not in "b" and condition.array.dtype != np.uint8:
        raise DTypeError(f"where: expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}; compare first")
    return where_of(condition, input, other)


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``"""
    return addcmul_of(input, tensor1, tensor2, value)


def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``; not for integers only."""
    if integers(tensor1, tensor2):
        raise DTypeError("addcdiv: Integer division with addcdiv is not supported; convert to floating point, or divide with rounding_mode")
    return addcdiv_of(input, tensor1, tensor2, value)


def square(input: Tensor) -> Tensor:
    """``input ** 2``"""
    return pow(input, 2)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """``|input - other| <= atol + rtol * |other|``, elementwise."""
    return close("isclose", input, other, rtol, atol, equal_nan)


def close(op: str, input: Tensor, other: Tensor, rtol: float, atol: float, equal_nan: bool) -> Tensor:
    for name, x in (("input", input), ("other", other)):
        if not isinstance(x, Tensor):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    if input.array.dtype != other.array.dtype:
        raise DTypeError(f"{op}: {input.dtype} did not match {other.dtype}; convert one of them")
    if not (rtol >= 0 and atol >= 0):
        raise ArgumentError(f"{op}: rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    try:
        same = eq(input, other)
    except GradflowError as error:
        raise relabel(error, op) from None
    near = le(abs(minus(input.double(), other.double())), add(mul(abs(other.double()), rtol), atol))
    result = logical_or(same, logical_and(near, isfinite(other.double())))
    return logical_or(result, logical_and(isnan(input), isnan(other))) if equal_nan else result


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Are all elements close, in the sense of :func:`isclose`?"""
    return bool(close("allclose", input, other, rtol, atol, equal_nan).array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Same shape and same elements?"""
    if not isinstance(other, Tensor):
        raise DTypeError(f"equal: argument 'other' must be Tensor, not {type(other).__name__}")
    return input.array.shape == other.array.shape and bool(np.array_equal(input.array, other.array))


builtin_abs = builtins.abs
for _name, _function in (("add", scaled_add), ("sub", scaled_sub), ("div", true_divide)):  # what Python says of missing arguments
    _function.__name__ = _function.__qualname__ = _name
