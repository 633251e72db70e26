"""Functions of numbers that are less often called: signs, parts, neighbours, divisors, the limits of a type."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from .. import dtypes
from ..backends import result_type
from ..backends.batched import asarray
from ..errors import DTypeError, ShapeError
from ..kinds import custom, elementwise
from ..scalar import primitives as s
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .hosted import hosted


@elementwise(public=True, tensors=("x",))
def copysign(x, y):
    """abs(x) with the sign of y, that of a zero too; the derivative at x = 0 is 0.

    >>> gf.copysign(gf.tensor([1.0, 2.0]), gf.tensor([-1.0, 0.0]))
    tensor([-1.,  2.])
    """
    return s.copysign(x, y)


@copysign.partial
def copysign_partial(z, x, y):
    return s.where(s.eq(x, 0), 0, s.copysign(1.0, x) * s.copysign(1.0, y)), None


@elementwise(public=True)
def signbit(x):
    """Is the sign negative? -0.0 has a negative one.

    >>> gf.signbit(gf.tensor([1.0, -1.0, -0.0]))
    tensor([False,  True,  True])
    """
    return s.lt(s.copysign(1.0, x), 0)


@elementwise(public=True)
def isposinf(x):
    """Is x inf?

    >>> gf.isposinf(gf.tensor([1.0, float("inf"), -float("inf")]))
    tensor([False,  True, False])
    """
    return s.eq(x, math.inf)


@elementwise(public=True)
def isneginf(x):
    """Is x -inf?

    >>> gf.isneginf(gf.tensor([1.0, float("inf"), -float("inf")]))
    tensor([False, False,  True])
    """
    return s.eq(x, -math.inf)


@elementwise(public=True)
def isreal(x):
    """Has x no imaginary part? Always, there are no complex numbers.

    >>> gf.isreal(gf.tensor([1.0, float("nan")]))
    tensor([True, True])
    """
    return s.eq(x, x) | s.ne(x, x)


@elementwise(public=True)
def angle(x):
    """pi where x is negative, else 0; nan at nan. Derivative 0.

    >>> gf.angle(gf.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """
    return s.where(s.ne(x, x), x, s.where(s.lt(x, 0), 1.0, 0.0)) * math.pi


@angle.partial
def angle_partial(y, x):
    return (None,)


@elementwise(public=True, tensors=("x", "y"))
def fmax(x, y):
    """The larger of x and y; a nan counts as missing. At a tie x gets the gradient.

    >>> gf.fmax(gf.tensor([1.0, float("nan")]), gf.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """
    return s.where(s.ge(x, y) | s.ne(y, y), x, y)


@fmax.partial
def fmax_partial(z, x, y):
    return s.where(s.ge(x, y) | s.ne(y, y), 1.0, 0.0), s.where(s.ge(x, y) | s.ne(y, y), 0.0, 1.0)


@elementwise(public=True, tensors=("x", "y"))
def fmin(x, y):
    """The smaller of x and y; a nan counts as missing. At a tie x gets the gradient.

    >>> gf.fmin(gf.tensor([1.0, float("nan")]), gf.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    return s.where(s.le(x, y) | s.ne(y, y), x, y)


@fmin.partial
def fmin_partial(z, x, y):
    return s.where(s.le(x, y) | s.ne(y, y), 1.0, 0.0), s.where(s.le(x, y) | s.ne(y, y), 0.0, 1.0)


@elementwise(public=True, tensors=("x", "y"))
def ldexp(x, y):
    """``x * 2 ** y``, in floating point.

    >>> gf.ldexp(gf.tensor([1.0, 3.0]), gf.tensor([4, -1]))
    tensor([16.0000,  1.5000])
    """
    return x * s.exp2(y)


@elementwise(public=True, tensors=("x", "y"))
def logaddexp2(x, y):
    """``log2(2 ** x + 2 ** y)``, finite for finite x and y.

    >>> gf.logaddexp2(gf.tensor([1.0, 1000.0]), gf.tensor([1.0, 1000.0]))
    tensor([   2., 1001.])
    """
    distance = s.where(s.eq(x, y), 0, s.abs(x - y))
    return s.maximum(x, y) + s.log1p(s.exp2(-distance)) * (1 / math.log(2))


@logaddexp2.partial
def logaddexp2_partial(z, x, y):
    return 1 / (1 + s.exp2(y - x)), 1 / (1 + s.exp2(x - y))


@elementwise(grad_name="NotImplemented")
def step_of(x, y):
    return s.where(s.eq(x, 0), y, s.where(s.gt(x, 0), 1, 0))


@step_of.partial
def step_partial(z, x, y):
    return None, None


@elementwise(grad_name="LogitBackward0", domain=(0.05, 0.95), ulp=16)
def log_odds(x):
    return s.log(x / (1 - x))


@log_odds.partial
def log_odds_partial(y, x):
    return (s.where(s.ge(x, 0) & s.le(x, 1), 1 / (x * (1 - x)), math.nan),)


@elementwise(grad_name="NanToNumBackward0", numbers=("missing", "above", "below"))
def finite_of(x, missing, above, below):
    return s.where(s.ne(x, x), missing, s.where(s.eq(x, math.inf), above, s.where(s.eq(x, -math.inf), below, x)))


@finite_of.partial
def finite_partial(y, x, missing, above, below):
    return s.where(s.lt(s.abs(x), math.inf), 1.0, 0.0), None, None, None


# torch's signatures


def sgn(input: Tensor) -> Tensor:
    """The sign: -1, 0 or 1; derivative 0.

    >>> gf.sgn(gf.tensor([-2.5, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    return named(p.sign(input), "SgnBackward0")


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, with ``x`` kept in ``[eps, 1 - eps]`` if ``eps`` is given; the gradient outside is nan, or 0 with ``eps``.

    >>> gf.logit(gf.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    >>> gf.logit(gf.tensor([0.0, 1.0]), eps=0.1)
    tensor([-2.1972,  2.1972])
    """
    return log_odds(input) if eps is None else named(log_odds(p.clamp(input, eps, 1 - eps)), "LogitBackward0")


def nan_to_num(input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """nan, inf and -inf replaced: by 0, the largest and the least number of the type, or by what is given; the gradient there is 0.

    >>> gf.nan_to_num(gf.tensor([1.0, float("nan"), float("inf")]), nan=0.0, posinf=9.0)
    tensor([1., 0., 9.])
    """
    if not isinstance(input, Tensor):
        raise DTypeError(f"nan_to_num: argument 'input' must be Tensor, not {type(input).__name__}")
    for name, x in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if not (x is None or isinstance(x, bool | int | float)):
            raise DTypeError(f"nan_to_num: argument '{name}' must be float, not {type(x).__name__}")
    if not input.dtype.is_floating_point:
        return input.clone()
    most = float(ml_dtypes.finfo(input.array.dtype).max)
    return finite_of(input, nan or 0.0, most if posinf is None else float(posinf), -most if neginf is None else float(neginf))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The step: 0 below 0, 1 above it, ``values`` at 0; both of one type. No gradient.

    >>> gf.heaviside(gf.tensor([-1.0, 0.0, 2.0]), gf.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not isinstance(values, Tensor):
        raise DTypeError(f"heaviside: argument 'values' must be Tensor, not {type(values).__name__}")
    if input.dtype is not values.dtype:
        raise DTypeError(
            f"heaviside: heaviside is not yet implemented for tensors with different dtypes: {input.dtype} and {values.dtype}; convert one"
        )
    return step_of(input.detach(), values.detach()).to(input.dtype)


def positive(input: Tensor) -> Tensor:
    """``+input``: the tensor itself; not for bool.

    >>> gf.positive(gf.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input.array.dtype.kind == "b":
        raise DTypeError("positive: The `+` operator, on a bool tensor is not supported.")
    return input


def real(input: Tensor) -> Tensor:
    """The real part of a real tensor: the tensor itself.

    >>> gf.real(gf.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    return input


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """``clamp(input, min)``: the larger of both, elementwise.

    >>> gf.clamp_min(gf.tensor([-1.0, 0.5]), 0)
    tensor([0.0000, 0.5000])
    """
    if min is None:
        raise DTypeError("clamp_min: argument 'min' must be Tensor or Number, not NoneType")
    return p.clamp(input, min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """``clamp(input, max=max)``: the smaller of both, elementwise.

    >>> gf.clamp_max(gf.tensor([-1.0, 2.5]), 1)
    tensor([-1.,  1.])
    """
    if max is None:
        raise DTypeError("clamp_max: argument 'max' must be Tensor or Number, not NoneType")
    return p.clamp(input, max=max)


def float_power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent`` in float64, whatever the operands' types; one of them may be a number.

    >>> gf.float_power(gf.tensor([1, 2, 3]), 2)
    tensor([1., 4., 9.], dtype=torch.float64)
    """
    if not isinstance(input, Tensor) and not isinstance(exponent, Tensor):
        raise DTypeError("float_power: one of the operands must be a Tensor")
    return p.pow(*(x.double() if isinstance(x, Tensor) else float(x) if isinstance(x, int | float) else x for x in (input, exponent)))


def promoted(op: str, kinds: str, what: str, *operands: Any) -> list[np.ndarray]:
    """The arrays of several operands in their common type, which must be of one of NumPy's ``kinds``."""
    for x in operands:
        if not isinstance(x, Tensor):
            raise DTypeError(f"{op}: an operand must be Tensor, not {type(x).__name__}")
    arrays = tuple(x.array for x in operands)
    dtype = dtypes.BY_CODE[result_type(arrays)]
    if np.dtype(dtype.numpy).kind not in kinds:
        raise DTypeError(f"{op}: defined for {what}, not for {dtype.name}; convert first")
    try:
        np.broadcast_shapes(*(np.shape(a) for a in arrays))
    except ValueError:
        raise ShapeError(f"{op}: The shapes {' and '.join(str(tuple(np.shape(a))) for a in arrays)} do not broadcast") from None
    return [asarray(a).astype(dtype.numpy) for a in arrays]


@hosted
def gcd(input: Any, other: Any) -> Tensor:
    """The greatest common divisor of integers, not negative; ``gcd(0, 0)`` is 0.

    >>> gf.gcd(gf.tensor([12, 0]), gf.tensor([-18, 5]))
    tensor([6, 5])
    """
    return wrap(asarray(np.gcd(*promoted("gcd", "iu", "integers", input, other))))


@hosted
def lcm(input: Any, other: Any) -> Tensor:
    """The least common multiple of integers, not negative; 0 if one is 0.

    >>> gf.lcm(gf.tensor([4, 0]), gf.tensor([6, 5]))
    tensor([12,  0])
    """
    return wrap(asarray(np.lcm(*promoted("lcm", "iu", "integers", input, other))))


@hosted
def nextafter(input: Any, other: Any) -> Tensor:
    """The number of the type that follows ``input`` in the direction of ``other``; not differentiable.

    >>> gf.nextafter(gf.tensor([1.0]), gf.tensor([2.0])) > 1
    tensor([True])
    """
    with np.errstate(all="ignore"):
        return wrap(asarray(np.nextafter(*promoted("nextafter", "fV", "floating point", input, other))))


class Frexp(NamedTuple):
    """``mantissa * 2 ** exponent``"""

    mantissa: Tensor
    exponent: Tensor


@custom(outputs=2, grad_name="FrexpBackward0")
def frexp_of(a):
    mantissa, exponent = np.frexp(a)
    exponent = asarray(exponent, np.int32)
    return (asarray(mantissa), exponent), (exponent,)


@frexp_of.vjp
def frexp_vjp(g, needs, exponent):
    return p.mul(g[0], p.exp2(p.neg(exponent))).to(g[0].dtype)


@hosted
def frexp(input: Tensor) -> Frexp:
    """(mantissa, exponent) of each element: the mantissa's size is in [0.5, 1), or 0; exponents are int32.

    >>> gf.frexp(gf.tensor([8.0, 0.75]))
    Frexp(mantissa=tensor([0.5000, 0.7500]), exponent=tensor([4, 0], dtype=torch.int32))
    """
    if input.array.dtype.kind not in "fV":
        raise DTypeError(f"frexp: torch.frexp() only supports floating-point dtypes, not {input.dtype}; convert with .float()")
    return Frexp(*frexp_of(input))


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Is each element among ``test_elements``? One of the two may be a number; ``invert`` asks the contrary.

    >>> gf.isin(gf.tensor([1, 2, 3]), gf.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise DTypeError("isin: one of elements and test_elements must be a Tensor")
    for x in (elements, test_elements):
        if not isinstance(x, Tensor | bool | int | float):
            raise DTypeError(f"isin: an operand is a {type(x).__name__}; expected a Tensor or a number")
    a, b = (
        x.array.astype(np.float32) if isinstance(x, Tensor) and x.array.dtype.kind == "V" else x.array if isinstance(x, Tensor) else x
        for x in (elements, test_elements)
    )
    return wrap(asarray(np.isin(a, b, assume_unique=assume_unique, invert=invert)))


def i0(input: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 0.

    >>> gf.i0(gf.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    from .bessel import i0 as function  # the tables are read when they are first needed

    return function(input)


# The gamma function's kin
