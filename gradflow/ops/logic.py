"""Comparisons and logic: bool results, nothing to differentiate."""

from __future__ import annotations

import math

from ..backends import unseen
from ..backends.batched import everything
from ..kinds import elementwise
from ..scalar import primitives as s
from ..tensor import Tensor


@elementwise(public=True, tensors=("x",))
def eq(x, y):
    """``x == y``, elementwise: bool, with broadcasting; no number equals nan.

    >>> gf.eq(gf.tensor([1, 2, 3]), gf.tensor([1, 0, 3]))
    tensor([ True, False,  True])
    """
    return s.eq(x, y)


@elementwise(public=True, tensors=("x",))
def ne(x, y):
    """``x != y``, elementwise: bool, with broadcasting; nan differs from every number.

    >>> gf.ne(gf.tensor([1, 2, 3]), 2)
    tensor([ True, False,  True])
    """
    return s.ne(x, y)


@elementwise(public=True, tensors=("x",))
def lt(x, y):
    """``x < y``, elementwise: bool, with broadcasting; False for nan.

    >>> gf.lt(gf.tensor([1, 2, 3]), 2)
    tensor([ True, False, False])
    """
    return s.lt(x, y)


@elementwise(public=True, tensors=("x",))
def le(x, y):
    """``x <= y``, elementwise: bool, with broadcasting; False for nan.

    >>> gf.le(gf.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """
    return s.le(x, y)


@elementwise(public=True, tensors=("x",))
def gt(x, y):
    """``x > y``, elementwise: bool, with broadcasting; False for nan.

    >>> gf.gt(gf.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """
    return s.gt(x, y)


@elementwise(public=True, tensors=("x",))
def ge(x, y):
    """``x >= y``, elementwise: bool, with broadcasting; False for nan.

    >>> gf.ge(gf.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """
    return s.ge(x, y)


@elementwise(public=True, tensors=("x", "y"))
def logical_and(x, y):
    """Are both different from zero? Bool, for operands of any type.

    >>> gf.logical_and(gf.tensor([0, 1, 2]), gf.tensor([1.0, 1.0, 0.0]))
    tensor([False,  True, False])
    """
    return s.ne(x, False) & s.ne(y, False)


@elementwise(public=True, tensors=("x", "y"))
def logical_or(x, y):
    """Is one of them different from zero? Bool, for operands of any type.

    >>> gf.logical_or(gf.tensor([0, 1, 0]), gf.tensor([1.0, 1.0, 0.0]))
    tensor([ True,  True, False])
    """
    return s.ne(x, False) | s.ne(y, False)


@elementwise(public=True, tensors=("x", "y"))
def logical_xor(x, y):
    """Is exactly one of them different from zero? Bool, for operands of any type.

    >>> gf.logical_xor(gf.tensor([0, 1, 0]), gf.tensor([1.0, 1.0, 0.0]))
    tensor([ True, False, False])
    """
    return s.ne(x, False) ^ s.ne(y, False)


@elementwise(public=True)
def logical_not(x):
    """Is x zero? Bool, for an operand of any type.

    >>> gf.logical_not(gf.tensor([0, 1, 2]))
    tensor([ True, False, False])
    """
    return s.eq(x, False)


@elementwise(public=True)
def bitwise_and(x, y):
    """``x & y`` for bool and integers; a floating-point operand raises.

    >>> gf.bitwise_and(gf.tensor([6, 7]), 3)
    tensor([2, 3])
    """
    return x & y


@elementwise(public=True)
def bitwise_or(x, y):
    """``x | y`` for bool and integers; a floating-point operand raises.

    >>> gf.bitwise_or(gf.tensor([4, 5]), 3)
    tensor([7, 7])
    """
    return x | y


@elementwise(public=True)
def bitwise_xor(x, y):
    """``x ^ y`` for bool and integers; a floating-point operand raises.

    >>> gf.bitwise_xor(gf.tensor([6, 7]), 3)
    tensor([5, 4])
    """
    return x ^ y


@elementwise(public=True)
def bitwise_not(x):
    """``~x`` for bool and integers; a floating-point operand raises.

    >>> gf.bitwise_not(gf.tensor([0, 5]))
    tensor([-1, -6])
    >>> ~gf.tensor([True, False])
    tensor([False,  True])
    """
    return ~x


@elementwise(public=True)
def bitwise_left_shift(x, y):
    """``x << y`` for integers: ``x * 2 ** y``, and 0 once all bits have left.

    >>> gf.bitwise_left_shift(gf.tensor([1, 3]), 2)
    tensor([ 4, 12])
    """
    return x << y


@elementwise(public=True)
def bitwise_right_shift(x, y):
    """``x >> y`` for integers: ``floor(x / 2 ** y)``.

    >>> gf.bitwise_right_shift(gf.tensor([8, -3]), 1)
    tensor([ 4, -2])
    """
    return x >> y


@elementwise(public=True)
def isnan(x):
    """Is x not a number?

    >>> gf.isnan(gf.tensor([1.0, float("nan"), float("inf")]))
    tensor([False,  True, False])
    """
    return s.ne(x, x)


@elementwise(public=True)
def isinf(x):
    """Is x infinite, of either sign?

    >>> gf.isinf(gf.tensor([1.0, float("nan"), -float("inf")]))
    tensor([False, False,  True])
    """
    return s.eq(s.abs(x), math.inf)


@elementwise(public=True)
def isfinite(x):
    """Is x neither infinite nor nan?

    >>> gf.isfinite(gf.tensor([1.0, float("nan"), float("inf")]))
    tensor([ True, False, False])
    """
    return s.lt(s.abs(x), math.inf)


def somewhere(condition: Tensor) -> bool:
    """Does it hold for one of the elements? For what is checked before an operation, within vmap for all examples at once. Nobody knows, and nothing
    is checked, while a graph of a device is recorded."""
    return not unseen(condition.array) and bool(everything(condition.array).any())
