"""Comparisons and logic: bool results, nothing to differentiate."""

from __future__ import annotations

import math

from ..backends.batched import everything
from ..kinds import elementwise
from ..scalar import primitives as s
from ..tensor import Tensor


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
    return s.ne(x, False) & s.ne(y, False)


@elementwise(public=True)
def logical_or(x, y):
    "Is one of them different from zero?"
    return s.ne(x, False) | s.ne(y, False)


@elementwise(public=True)
def logical_xor(x, y):
    "Is exactly one of them different from zero?"
    return s.ne(x, False) ^ s.ne(y, False)


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


def somewhere(condition: Tensor) -> bool:
    """Does it hold for one of the elements? For what is checked before an operation, within vmap for all examples at once."""
    return bool(everything(condition.array).any())
