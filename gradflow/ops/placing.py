"""Values put at places that masks and tensors of integers name, out of place; the in-place methods come from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backends
from ..backends.numpy_rules import get
from ..errors import ArgumentError, DTypeError, OutOfRangeError, ShapeError, labelled
from ..kinds import custom
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p
from . import writing
from .axes import flag, outside
from .gathering import index_array, rows_at, rows_zeros
from .indexing import from_front, key_of, put_zeros, take
from .rearranging import dense
from .scattering import index_add_to, plain, rows_to, same_dtype, scatter_to
from .view_maps import embed


@writing.by(writing.index_put)
def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """``out[indices] = values``, or ``+=`` with ``accumulate``, where equal indices add up.

    >>> gf.index_put(gf.zeros(2, 2), (gf.tensor([0, 1]), gf.tensor([1, 0])), gf.tensor([1.0, 2.0]))
    tensor([[0., 1.],
            [2., 0.]])
    """
    if not isinstance(indices, tuple | list) or not all(isinstance(i, Tensor) for i in indices):
        found = indices if not isinstance(indices, tuple | list) else next(i for i in indices if not isinstance(i, Tensor))
        raise DTypeError(f"index_put: argument 'indices' must be tuple of Tensors, not {type(found).__name__}")
    if not indices:
        raise ArgumentError("index_put: indices is empty; give a tensor for each of the first axes, or fill with copy_()")
    same_dtype("index_put", input, values)
    key = labelled("index_put", key_of, input.array, tuple(indices))[0]
    if key and plain(input.array, values.array, *key) and all(k.dtype.kind in "iu" for k in key):
        return put_at(input, key, values, accumulate)
    on_device = backends.place_of(input.array) is not None
    positions: Any = None if on_device else get(np.arange(input.array.size).reshape(input.array.shape), tuple(key))
    shape = input.array.picked_shape(key) if on_device else positions.shape
    try:
        fits = np.broadcast_shapes(values.array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"index_put: shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape {list(shape)}"
        )
    if not accumulate:
        out = input.clone()
        out[tuple(indices)] = values
        return out
    if on_device:
        return p.add(input, put_zeros(values.expand(shape), tuple(input.array.shape), key))
    spread = p.add(wrap(np.zeros(shape, input.array.dtype)), values)
    flat = rows_zeros(spread.reshape(-1), (input.array.size,), 0, backends.dense(positions.reshape(-1)))
    return p.add(input, flat.reshape(tuple(input.array.shape)))


def put_at(input: Tensor, key: tuple, values: Tensor, accumulate: bool) -> Tensor:
    """The same for integers along the first axes: rows of a table."""
    lead, rest = input.array.shape[: len(key)], input.array.shape[len(key) :]
    flat = from_front(key[0], lead[0])
    for k, n in zip(key[1:], lead[1:], strict=True):
        flat = flat * n + from_front(k, n)
    shape = (*flat.shape, *rest)
    if values.array.shape != shape:
        try:
            values = labelled("index_put", values.expand, shape)
        except ShapeError:
            raise ShapeError(
                f"index_put: shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape {list(shape)}"
            ) from None
    table = input if len(key) == 1 else input.reshape(math.prod(lead), *rest)
    rows = values if flat.ndim == 1 else values.reshape(flat.size, *rest)
    result = (index_add_to if accumulate else rows_to)(table, rows, 0, flat.reshape(-1))
    return named(result if len(key) == 1 else result.reshape(input.array.shape), "IndexPutBackward0")


@custom(inputs=2, grad_name="MaskedScatterBackward0")
def fill_where(a, source, mask, count):
    out = dense(a)
    backends.put_where(out, mask, source if source.flags.c_contiguous else dense(source))
    return out, (source.shape,)


@fill_where.vjp
def fill_where_vjp(g, needs, shape, mask, count):
    da = p.where_of(wrap(mask), 0, g) if needs[0] else None
    return da, embed(take(g, (mask,)), (math.prod(shape),), (slice(0, count),)).reshape(shape) if needs[1] else None


@writing.by(writing.masked_scatter)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of ``source``, in order, where ``mask`` holds.

    >>> gf.masked_scatter(gf.zeros(3), gf.tensor([True, False, True]), gf.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    if mask.array.dtype.kind != "b":
        raise DTypeError("masked_scatter: masked_scatter_ only supports boolean masks")
    same_dtype("masked_scatter", input, source)
    try:
        where = np.broadcast_to(mask.array, np.broadcast_shapes(mask.array.shape, input.array.shape))
    except ValueError:
        raise ShapeError(
            f"masked_scatter: the mask, {tuple(mask.shape)}, does not broadcast with the input, {tuple(input.shape)}"
        ) from None
    count = int(where.sum())
    if count > source.array.size:
        raise ShapeError(
            f"masked_scatter: expected self and source to have same dtypes and source to have at least {count} elements, it has {source.numel()}"
        )
    if plain(input.array, mask.array, source.array) and where.shape == input.array.shape:
        return fill_where(input, source, where if where.flags.c_contiguous else backends.dense(where), count)
    index = np.maximum(np.cumsum(where.reshape(-1)) - 1, 0).reshape(where.shape)
    if not count:
        return p.add(input, 0) if input.node is not None else input.clone()
    picked = rows_at(source.reshape(-1), 0, backends.dense(index.reshape(-1))).reshape(where.shape)
    return p.where(wrap(backends.dense(where)), picked, input)


@writing.by(writing.put)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``source`` at flat positions, or added there with ``accumulate``.

    >>> gf.put(gf.zeros(2, 2), gf.tensor([3, 0]), gf.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    accumulate, i = flag("put", "accumulate", accumulate), index_array("put", index)
    n = input.array.size
    if outside(i, -n, n):
        raise OutOfRangeError(f"put: out of range: tried to access an element outside of {n} elements")
    if source.array.size != i.size:
        raise OutOfRangeError(f"put: Expected source and index to have the same number of elements, but got {source.numel()} and {i.size}")
    flat = input.reshape(-1)
    key = from_front(i.reshape(-1), n)
    values = same_dtype("put", input, source).reshape(-1)
    out = p.add(flat, rows_zeros(values, (n,), 0, key)) if accumulate else scatter_to(flat, values, 0, key) if key.size else flat.clone()
    return out.reshape(tuple(input.array.shape))
