"""Axes and shapes as users write them, checked and made canonical."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import backends
from ..backends import sizes
from ..errors import ArgumentError, AxisError, DTypeError, NumberError, ShapeError


def integer(op: str, name: str, value: Any) -> int:
    """An argument that must be an int: a bool in its place is a mistake."""
    try:
        if value is True or value is False:
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise DTypeError(f"{op}: argument '{name}' must be int, not {type(value).__name__}") from None
    if not -(2**63) <= number < 2**63:
        raise NumberError(f"{op}: argument '{name}' does not fit 64 bits; it is {number}")
    return number


def flag(op: str, name: str, value: Any) -> bool:
    """An argument that must be a bool: an int in its place is a mistake."""
    if value is True or value is False:
        return value
    raise DTypeError(f"{op}: argument '{name}' must be bool, not {type(value).__name__}")


def axis_of(op: str, dim: Any, ndim: int) -> int:
    """``dim`` counted from the front; 0-d tensors have an axis 0 to name, as in torch."""
    try:
        if dim is True or dim is False:
            raise TypeError
        i = operator.index(dim)
    except TypeError:
        raise DTypeError(f"{op}: argument 'dim' must be int, not {type(dim).__name__}") from None
    n = ndim or 1
    if not -n <= i < n:
        if not -(2**63) <= i < 2**63:
            raise NumberError(f"{op}: argument 'dim' does not fit 64 bits; it is {i}")
        raise AxisError(
            f"{op}: Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {i}); the tensor has {ndim} dimensions"
        )
    return i + n if i < 0 else i


def axes_of(op: str, dim: Any, ndim: int) -> tuple[int, ...] | None:
    """A tuple of distinct axes, ``None`` for all."""
    if dim is None:
        return None
    if isinstance(dim, tuple | list):
        if not dim:
            return None
        axes = tuple(axis_of(op, d, ndim) for d in dim)
        if len(set(axes)) != len(axes):
            raise ArgumentError(f"{op}: dim {axes[0]} appears multiple times in the list of dims {tuple(dim)}")
        return axes if ndim else None
    axis = axis_of(op, dim, ndim)
    return (axis,) if ndim else None


def shape_of(op: str, size: Sequence[Any]) -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(torch.Size)`` all mean (2, 3)."""
    if not size:
        raise DTypeError(f"{op}: missing the argument 'size'; pass sizes, or () for no axes")
    if len(size) == 1 and not hasattr(size[0], "__index__"):
        size = size[0]
        if not isinstance(size, tuple | list):
            raise DTypeError(f"{op}: argument 'size' must be tuple of ints, not {type(size).__name__}")
    try:
        if bool in map(type, size):
            raise TypeError
        return tuple(map(operator.index, size))
    except TypeError:
        raise DTypeError(f"{op}: argument 'size' must be tuple of ints, but found {list(size)}") from None


def new_shape(op: str, size: Sequence[Any]) -> tuple[int, ...]:
    """A shape for a new tensor: no negative sizes."""
    quick = sizes(tuple(size), -1)
    if quick:
        return quick
    shape = shape_of(op, size)
    if any(not 0 <= n < 2**31 for n in shape):
        if any(n >= 2**63 for n in shape):
            raise DTypeError(f"{op}: a size does not fit 64 bits: {list(shape)}")
        if any(n < 0 for n in shape):
            raise ShapeError(f"{op}: Trying to create tensor with negative dimension: {list(shape)}")
        if math.prod(n for n in shape if n) >= 2**63:
            raise ShapeError(f"{op}: the sizes multiply to more than 64 bits hold: {list(shape)}")
    return shape


def outside(indices: Any, low: int, high: int) -> bool:
    """Is one of the indices, an array of integers, not in ``low ... high - 1``?"""
    found = backends.outside(indices, low, high)
    return bool(indices.size and (indices.min() < low or indices.max() >= high)) if found is None else found


def shape_for(op: str, size: tuple[Any, ...], numel: int) -> tuple[int, ...]:
    """The shape that ``f(2, 3)`` or ``f((2, -1))`` asks for, for so many elements."""
    return sizes(size, numel) or fill_shape(op, shape_of(op, size), numel)


def fill_shape(op: str, shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """``shape`` with its -1 replaced by what the number of elements leaves."""
    known, hole = 1, None
    for i, n in enumerate(shape):
        if n == -1:
            if hole is not None:
                raise ShapeError(f"{op}: only one dimension can be inferred; shape is {list(shape)}")
            hole = i
        elif n < 0:
            raise ShapeError(f"{op}: invalid shape dimension {n} in {list(shape)}")
        else:
            known *= n
    if not numel and math.prod(n for n in shape if n > 0) >= 2**59:
        raise ShapeError(f"{op}: the sizes multiply to more than an array can have: {list(shape)}")
    if hole is None:
        if known != numel:
            raise ShapeError(f"{op}: shape '{list(shape)}' is invalid for input of size {numel}")
        return shape
    if not known:
        if numel:
            raise ShapeError(f"{op}: shape '{list(shape)}' is invalid for input of size {numel}")
        raise ShapeError(
            f"{op}: cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can be any value and is ambiguous"
        )
    if numel % known:
        raise ShapeError(f"{op}: shape '{list(shape)}' is invalid for input of size {numel}")
    return (*shape[:hole], numel // known, *shape[hole + 1 :])


class Layout:
    """How a tensor lies in memory: ``torch.strided``, ``torch.contiguous_format``.

    >>> gf.strided, gf.contiguous_format
    (torch.strided, torch.contiguous_format)
    """

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


def check_format(op: str, value: Any, name: str = "memory_format") -> None:
    if value is not None and not isinstance(value, Layout):
        raise DTypeError(f"{op}: argument '{name}' must be torch.{name}, not {type(value).__name__}")
