"""Picking by index tensors along an axis: gather, index_select, and the adjoints that add up."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import DTypeError, OutOfRangeError, ShapeError, labelled
from ..kinds import linear
from ..tape.node import named
from ..tensor import Tensor, wrap
from .axes import axis_of


@linear(grad_name="GatherBackward0")
def gather_at(a, axis, index):
    return backends.gather(a, axis, index)


@gather_at.adjoint
def gather_at_adjoint(g, shape, axis, index):
    return scatter_zeros(g, shape, axis, index)


@linear(grad_name="ScatterAddBackward0")
def scatter_zeros(a, shape, axis, index):
    """Zeros of ``shape`` with the array added at ``index`` along ``axis``."""
    out = backends.zeros(shape, of(a).code, a)
    backends.scatter_add(out, axis, index, a)
    return out


@scatter_zeros.adjoint
def scatter_zeros_adjoint(g, small, shape, axis, index):
    return gather_at(g, axis, index)


@linear(grad_name="IndexSelectBackward0")
def rows_at(a, axis, index):
    return backends.take_rows(a, axis, index)


@rows_at.into
def rows_into(g, out, accumulate, shape, axis, index):
    """Only the rows that were read are touched when there is a gradient already."""
    if out is None:
        out = backends.zeros(shape, of(g).code, g)
    elif not accumulate:
        out.fill(0)
    backends.add_rows(out, axis, index, g)
    return out


@rows_at.adjoint
def rows_adjoint(g, shape, axis, index):
    return rows_zeros(g, shape, axis, index)


@linear
def rows_zeros(a, shape, axis, index):
    out = backends.zeros(shape, of(a).code, a)
    backends.add_rows(out, axis, index, a)
    return out


@rows_zeros.adjoint
def rows_zeros_adjoint(g, small, shape, axis, index):
    return rows_at(g, axis, index)


def index_array(op: str, index: Any, empty: bool = False) -> Any:
    """The array of an index; where ``empty``, an index without elements may be of any type."""
    if not isinstance(index, Tensor):
        raise DTypeError(f"{op}: argument 'index' must be Tensor, not {type(index).__name__}")
    if empty and not index.array.size:
        return index.array.astype(np.int64)
    if index.array.dtype not in (np.int64, np.int32):
        raise DTypeError(f"{op}: Expected dtype int64 for index, got {index.dtype}; convert with .long()")
    return index.array


def gather(input: Tensor, dim: Any, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` for ``dim`` 0, and so on for the others. Out of range raises ``IndexError``.

    >>> gf.gather(gf.tensor([[1, 2], [3, 4]]), 1, gf.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    i = index_array("gather", index, True)
    axis = axis_of("gather", dim, input.array.ndim)
    if not i.size:
        return named(rows_at(input.reshape(-1), 0, i.reshape(-1)).reshape(i.shape), "GatherBackward0")
    if (i.ndim or 1) != (input.array.ndim or 1):
        raise ShapeError(f"gather: Index tensor must have the same number of dimensions as input tensor: {i.ndim} and {input.array.ndim}")
    if not i.ndim or not input.array.ndim:  # as vectors of one element
        return gather_at(input.reshape(-1), 0, i.reshape(-1)).reshape(i.shape)
    return gather_at(input, axis, i)


def index_select(input: Tensor, dim: Any, index: Tensor) -> Tensor:
    """The parts of ``input`` at ``index`` along ``dim``.

    >>> gf.index_select(gf.tensor([[1, 2, 3], [4, 5, 6]]), 1, gf.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    i = index_array("index_select", index)
    if i.ndim > 1:
        raise OutOfRangeError(f"index_select: Index is supposed to be a vector, it has {i.ndim} dimensions")
    axis = axis_of("index_select", dim, input.array.ndim)
    if input.array.ndim:
        return labelled("index_select", rows_at, input, axis, i.reshape(-1))
    if i.size != 1:
        raise ShapeError(f"index_select: Index to scalar can have only 1 value, got {i.size} value(s)")
    return labelled("index_select", rows_at, input.reshape(1), 0, i.reshape(1)).reshape(())


def take_along_dim(input: Tensor, indices: Tensor, dim: Any = None) -> Tensor:
    """:func:`gather` with broadcasting; flat without ``dim``.

    >>> x = gf.tensor([[3, 1, 2]])
    >>> gf.take_along_dim(x, x.argsort(dim=1), dim=1)
    tensor([[1, 2, 3]])
    """
    i = index_array("take_along_dim", indices)
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    if i.ndim != input.array.ndim:
        raise ShapeError(
            f"take_along_dim: input and indices should have the same number of dimensions, but got {input.ndim} dimensions for input, and {i.ndim} dimensions for indices"
        )
    axis = axis_of("take_along_dim", dim, input.array.ndim)
    try:
        shape = np.broadcast_shapes(*(tuple(1 if k == axis else n for k, n in enumerate(x.array.shape)) for x in (input, indices)))
    except ValueError:
        raise ShapeError(f"take_along_dim: the shapes {tuple(input.shape)} and {tuple(indices.shape)} do not broadcast") from None
    widen = [tuple(x.array.shape[axis] if k == axis else n for k, n in enumerate(shape)) for x in (input, indices)]
    n = widen[0][axis] if widen[0] else 1
    counted = wrap(np.where(i < 0, i + n, i))  # negative ones count from the end, where there is an axis
    return labelled("take_along_dim", gather, input.expand(widen[0]), axis, counted.expand(widen[1]).contiguous())
