"""Arithmetic on several operands. Each operation is its formula."""

from __future__ import annotations

import math

from ..kinds import elementwise
from ..scalar import primitives as s


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
    """``x * y``, elementwise with broadcasting and type promotion.

    >>> gf.mul(gf.tensor([1, 2, 3]), 2.5)
    tensor([2.5000, 5.0000, 7.5000])
    """
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


@elementwise(grad_name="PowBackward0", domain=(0.2, 3.0))
def power_half(x):
    "x ** 0.5: nan below 0, also at -inf"
    return s.sqrt(x)


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


@elementwise(public=True, tensors=("x", "y"))
def atan2(x, y):
    """The angle of the point (y, x), in radians, from -pi to pi: ``atan(x / y)`` in the right quadrant.

    >>> gf.atan2(gf.tensor([1.0, -1.0]), gf.tensor([1.0, -1.0]))
    tensor([ 0.7854, -2.3562])
    """
    return s.atan2(x, y)


@elementwise(smooth=True, public=True, tensors=("x", "y"))
def maximum(x, y):
    """The larger of x and y; nan if one is. At a tie each gets half of the gradient.

    >>> gf.maximum(gf.tensor([1, 5]), gf.tensor([3, 2]))
    tensor([3, 5])
    """
    return s.maximum(x, y)


@elementwise(smooth=True, public=True, tensors=("x", "y"))
def minimum(x, y):
    """The smaller of x and y; nan if one is. At a tie each gets half of the gradient.

    >>> gf.minimum(gf.tensor([1, 5]), gf.tensor([3, 2]))
    tensor([1, 2])
    """
    return s.minimum(x, y)


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


@elementwise(public=True, tensors=("x", "y"))
def lerp(x, y, weight):
    """``x + weight * (y - x)``: from x (weight 0) to y (weight 1).

    >>> gf.lerp(gf.tensor([0.0, 10.0]), gf.tensor([1.0, 20.0]), 0.5)
    tensor([ 0.5000, 15.0000])
    """
    return x + weight * (y - x)


@elementwise(grad_name="AddcmulBackward0")
def addcmul_of(x, a, b, value):
    return x + value * a * b


@elementwise(grad_name="AddcdivBackward0", domain=(0.2, 3.0))
def addcdiv_of(x, a, b, value):
    return x + value * a / b


@elementwise(smooth=True, public=True, tensors=("x", "y"))
def hypot(x, y):
    """``sqrt(x * x + y * y)``, without overflow on the way; the gradient at (0, 0) is nan.

    >>> gf.hypot(gf.tensor([3.0, 1.0]), gf.tensor([4.0, 1.0]))
    tensor([5.0000, 1.4142])
    """
    a, b = s.abs(x), s.abs(y)
    high, low = s.maximum(a, b), s.minimum(a, b)
    ratio = s.where(s.eq(high, 0), 0, low / high)
    return s.where(s.eq(a, math.inf) | s.eq(b, math.inf), math.inf, high * s.sqrt(1 + ratio * ratio))


@hypot.partial
def hypot_partial(z, x, y):
    return x / z, y / z


@elementwise(public=True, tensors=("x", "y"))
def logaddexp(x, y):
    """``log(exp(x) + exp(y))``, finite for finite x and y.

    >>> gf.logaddexp(gf.tensor([0.0, 1000.0]), gf.tensor([0.0, 1000.0]))
    tensor([6.9315e-01, 1.0007e+03])
    """
    high = s.maximum(x, y)
    distance = s.where(s.eq(x, y), 0, s.abs(x - y))
    return high + s.log1p(s.exp(-distance))


@logaddexp.partial
def logaddexp_partial(z, x, y):
    return 1 / (1 + s.exp(y - x)), 1 / (1 + s.exp(x - y))


@elementwise(domain=(0.1, 3.0), public=True)
def xlogy(x, y):
    """``x * log(y)``, and 0 where x is 0 (unless y is nan).

    >>> gf.xlogy(gf.tensor([0.0, 2.0]), gf.tensor([0.0, 3.0]))
    tensor([0.0000, 2.1972])
    """
    return s.where(s.eq(x, 0) & s.eq(y, y), 0, x * s.log(y))


@xlogy.partial
def xlogy_partial(z, x, y):
    return s.where(s.eq(x, 0) & s.le(y, 0), 0, s.log(y)), x / y
