"""Arithmetic, comparisons and functions under torch's signatures, over the formulas of ``arithmetic``, ``logic`` and ``functions``."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .. import backends
from ..dtypes import float64
from ..errors import ArgumentError, DTypeError, labelled
from ..kinds.out import FORMULAS
from ..tape.node import named
from ..tensor import Tensor, wrap
from .arithmetic import *
from .axes import integer
from .convert import element
from .functions import *
from .logic import *


def integers(*xs: Any) -> bool:
    return all(isinstance(x, bool | int) or (isinstance(x, Tensor) and not x.dtype.is_floating_point) for x in xs)


def no_bool(op: str) -> Any:
    """Subtraction is refused for bool operands, as in torch."""
    raise DTypeError(
        f"{op}: Subtraction, the `-` operator, with a bool tensor is not supported; to invert a mask use the `~` or `logical_not()` "
        "operator, to tell two apart `^` or `logical_xor()`"
    )


def nonzero_divisor(op: str, x: Any, y: Any) -> None:
    if integers(x, y) and not np.all(y.array if isinstance(y, Tensor) else y):
        raise ArgumentError(f"{op}: ZeroDivisionError; an integer divisor is zero; convert to floating point for inf and nan")


BOOL = np.dtype(bool)


def minus(x: Any, y: Any) -> Tensor:
    if (x.array.dtype is BOOL if isinstance(x, Tensor) else x.__class__ is bool) or (
        y.array.dtype is BOOL if isinstance(y, Tensor) else y.__class__ is bool
    ):
        no_bool("sub")
    return sub(x, y)


def reverse_minus(x: Tensor, y: Any) -> Tensor:
    """y - x"""
    if (isinstance(x, Tensor) and x.array.dtype.kind == "b") or y.__class__ is bool:
        no_bool("rsub")
    return rsub(x, y)


def pow(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent``, elementwise.

    The derivative in ``input`` is ``exponent * input ** (exponent - 1)``, and 0 for exponent 0. Integers to a negative integer power raise.

    >>> gf.pow(gf.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    >>> gf.pow(2, gf.tensor([1, 2, 3]))
    tensor([2, 4, 8])
    """
    if isinstance(exponent, bool | int | float):
        if exponent == 2 and isinstance(input, Tensor) and input.array.dtype.kind in "fi":
            return squared(input)
        if exponent == 3 and isinstance(input, Tensor) and input.array.dtype.kind in "fi":
            return cubed(input)
        if exponent == 0 and isinstance(input, Tensor):
            return power_zero(input)
        if exponent == 0.5 and isinstance(input, Tensor):
            return power_half(input)
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
    """``floor(input / other)``, as Python's ``//``; integer division by zero raises. No gradient.

    >>> gf.floor_divide(gf.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    nonzero_divisor("floor_divide", input, other)
    return labelled("floor_divide", floor_division, input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """``input - other * floor(input / other)``: the sign is the divisor's. Integer division by zero raises.

    >>> gf.remainder(gf.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise DTypeError("remainder: one of the operands must be a Tensor")
    nonzero_divisor("remainder", input, other)
    result = remainder_of(input, other)
    return named(result, "RemainderBackward1") if isinstance(other, Tensor) else result


def fmod(input: Any, other: Any) -> Tensor:
    """``input - other * trunc(input / other)``: the sign is the dividend's. Integer division by zero raises.

    >>> gf.fmod(gf.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    if not isinstance(input, Tensor):
        raise DTypeError(f"fmod: argument 'input' must be Tensor, not {type(input).__name__}")
    nonzero_divisor("fmod", input, other)
    result = fmod_of(input, other)
    return named(result, "FmodBackward1") if isinstance(other, Tensor) else result


def true_divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other`` in floating point; rounded with ``rounding_mode`` "trunc" or "floor", where integers stay integers.

    >>> gf.div(gf.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    >>> gf.div(gf.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode is None:
        return div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ArgumentError(f"div: expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    if integers(input, other):
        nonzero_divisor("div", input, other)
        return floor_division(sub(input, fmod_of(input, other)), other)
    return trunc(div(input, other))


def scaled_add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``input + alpha * other``, elementwise with broadcasting and type promotion. For integers ``alpha`` must be an integer.

    >>> gf.add(gf.tensor([1, 2, 3]), 10)
    tensor([11, 12, 13])
    >>> gf.add(gf.tensor([1.0, 2.0]), gf.tensor([10.0, 20.0]), alpha=2)
    tensor([21., 42.])
    """
    return add(input, other) if alpha.__class__ is int and alpha == 1 else scaled("add", input, other, alpha, 1)


FORMULAS[true_divide], FORMULAS[scaled_add] = div.op, add.op


def scaled(op: str, input: Any, other: Any, alpha: Any, sign: int) -> Tensor:
    if isinstance(alpha, Tensor) and not alpha.array.ndim and not alpha.requires_grad:
        alpha = alpha.item()
    if not isinstance(alpha, bool | int | float):
        raise DTypeError(f"{op}: argument 'alpha' must be Number, not {type(alpha).__name__}")
    if isinstance(alpha, float) and integers(input, other):
        raise ArgumentError(f"{op}: For integral input tensors, argument alpha must not be a floating point number; it is {alpha}")
    if all(isinstance(x, bool) or (isinstance(x, Tensor) and x.array.dtype.kind == "b") for x in (input, other)):
        return add(input, other) if alpha else add(input, False)  # alpha has no part in the result's type
    if isinstance(alpha, bool):
        raise ArgumentError(f"{op}: Boolean alpha only supported for Boolean results; pass {int(alpha)}")
    return add_scaled(input, other, sign * alpha)


def scaled_sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``input - alpha * other``, elementwise with broadcasting and type promotion. Not for bool.

    >>> gf.sub(gf.tensor([1, 2, 3]), 10)
    tensor([-9, -8, -7])
    """
    return minus(input, other) if alpha.__class__ is int and alpha == 1 else scaled("sub", input, other, alpha, -1)


FORMULAS[scaled_sub] = sub.op


def scaled_rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``: :func:`sub` with its operands exchanged.

    >>> gf.rsub(gf.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    return scaled_sub(other, input, alpha=alpha)


def neg(input: Tensor) -> Tensor:
    """``-input``, elementwise; not for bool.

    >>> gf.neg(gf.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    if isinstance(input, Tensor) and input.array.dtype.kind == "b":
        raise DTypeError(
            "neg: Negation, the `-` operator, on a bool tensor is not supported; use the `~` or `logical_not()` operator instead"
        )
    return negative(input)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """``minimum(maximum(input, min), max)``.

    The gradient passes where ``min <= input <= max``, the bounds included; a bound that is a tensor gets the rest.

    >>> gf.clamp(gf.tensor([-2.0, 0.5, 3.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ArgumentError("clamp: At least one of 'min' or 'max' must not be None")
    if min is not None and max is not None and isinstance(min, Tensor) != isinstance(max, Tensor):
        raise DTypeError(f"clamp: min and max must both be Tensors or both numbers, not {type(min).__name__} and {type(max).__name__}")
    if max is None:
        result = clamp_below(input, min)
    else:
        result = clamp_above(input, max) if min is None else clamp_of(input, min, max)
    return named(result, "ClampBackward0") if isinstance(min, Tensor) or isinstance(max, Tensor) else result


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest integer (or multiple of ``10 ** -decimals``), halves to even; derivative 0.

    >>> gf.round(gf.tensor([0.5, 1.5, 2.7]))
    tensor([0., 2., 3.])
    >>> gf.round(gf.tensor([1.2345]), decimals=2)
    tensor([1.2300])
    """
    if decimals == 0:
        return rint(input)
    factor = 10.0 ** builtins.min(builtin_abs(integer("round", "decimals", decimals)), 308)
    return (round_fine if decimals > 0 else round_coarse)(input, factor)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``; with the condition alone, ``nonzero(as_tuple=True)``.

    The gradient flows to the value that was taken; the other gets 0.

    >>> x = gf.tensor([-1.0, 2.0])
    >>> gf.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if not isinstance(condition, Tensor):
        raise DTypeError(f"where: argument 'condition' must be Tensor, not {type(condition).__name__}")
    if input is None and other is None:
        return tuple(wrap(backends.dense(i)) for i in np.nonzero(np.atleast_1d(condition.array)))
    if condition.array.dtype.kind not in "b" and condition.array.dtype != np.uint8:
        raise DTypeError(f"where: expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}; compare first")
    return where_of(condition, input, other)


def two_tensors(op: str, tensor1: Any, tensor2: Any) -> None:
    for name, x in (("tensor1", tensor1), ("tensor2", tensor2)):
        if not isinstance(x, Tensor):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")


def addcmul(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``, elementwise with broadcasting.

    >>> gf.addcmul(gf.tensor([1.0]), gf.tensor([4.0]), gf.tensor([2.0]), value=0.5)
    tensor([5.])
    """
    two_tensors("addcmul", tensor1, tensor2)
    return addcmul_of(input, tensor1, tensor2, value)


def addcdiv(input: Tensor, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``, elementwise with broadcasting; not for integers only.

    >>> gf.addcdiv(gf.tensor([1.0]), gf.tensor([4.0]), gf.tensor([2.0]), value=0.5)
    tensor([2.])
    """
    two_tensors("addcdiv", tensor1, tensor2)
    if integers(tensor1, tensor2):
        raise DTypeError("addcdiv: Integer division with addcdiv is not supported; convert to floating point, or divide with rounding_mode")
    return addcdiv_of(input, tensor1, tensor2, value)


def square(input: Tensor) -> Tensor:
    """``input ** 2``, elementwise.

    >>> gf.square(gf.tensor([-3.0, 2.0]))
    tensor([9., 4.])
    """
    return pow(input, 2)


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """``|input - other| <= atol + rtol * |other|``, elementwise.

    >>> gf.isclose(gf.tensor([1.0, 2.0]), gf.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    return close("isclose", input, other, rtol, atol, equal_nan)


def close(op: str, input: Tensor, other: Tensor, rtol: float, atol: float, equal_nan: bool) -> Tensor:
    for name, x in (("input", input), ("other", other)):
        if not isinstance(x, Tensor):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    if input.array.dtype != other.array.dtype:
        raise DTypeError(f"{op}: {input.dtype} did not match {other.dtype}; convert one of them")
    rtol, atol = (element(op, value, float64) for value in (rtol, atol))
    if not (rtol >= 0 and atol >= 0):
        raise ArgumentError(f"{op}: rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    same = labelled(op, eq, input, other)
    near = le(abs(minus(input.double(), other.double())), add(mul(abs(other.double()), rtol), atol))
    result = logical_or(same, logical_and(near, isfinite(other.double())))
    return logical_or(result, logical_and(isnan(input), isnan(other))) if equal_nan else result


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Are all elements close, in the sense of :func:`isclose`?

    >>> gf.allclose(gf.tensor([1.0, 2.0]), gf.tensor([1.0, 2.0 + 1e-7]))
    True
    """
    return bool(close("allclose", input, other, rtol, atol, equal_nan).array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Same shape and same elements?

    >>> gf.equal(gf.tensor([1, 2]), gf.tensor([1, 2]))
    True
    """
    if not isinstance(other, Tensor):
        raise DTypeError(f"equal: argument 'other' must be Tensor, not {type(other).__name__}")
    a, b = input.array, other.array
    if a.shape != b.shape:
        return False
    if a.size > 1 << 14 and a.shape[0] > 1 and not same(a[:1], b[:1]):  # most that differ do so at once
        return False
    return same(a, b)


def same(a: Any, b: Any) -> bool:
    return bool(backends.reduce(backends.KINDS["all"], eq.op.kernel, (a, b), None, False))


builtin_abs = builtins.abs
for _name, _function in (
    ("add", scaled_add),
    ("sub", scaled_sub),
    ("rsub", scaled_rsub),
    ("div", true_divide),
):  # what Python says of missing arguments
    _function.__name__ = _function.__qualname__ = _name
