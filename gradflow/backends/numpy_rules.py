"""vmap as a backend: for NumPy's functions and ways to index the rule that steps over the batch axis.

What is not here is done for one example after the other.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import cpu, owners
from .batched import FUNCTIONS, INDEXING, Batch, BatchedArray, everything, is_batched, one, owned_by, per_example, top, written_outside


def by_axis(name: str, default: Any = None) -> Callable:
    return lambda a, axis=default, **kwargs: getattr(a, name)(axis=axis, **kwargs)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    return a.like(np.moveaxis(a.physical, a.axes(source), a.axes(destination)))


def broadcast_to(a: Any, shape: Any, **kwargs: Any) -> Any:
    return cpu.expand(a, tuple(shape) if isinstance(shape, tuple | list) else (shape,))


def empty_like(fill: Any) -> Callable:
    def call(a: Any, dtype: Any = None, **kwargs: Any) -> Any:
        physical = np.empty_like(a.physical, dtype=dtype)
        if fill is not None:
            physical.fill(fill)
        return a.like(physical)

    return call


def may_share_memory(a: Any, b: Any, *args: Any) -> bool:
    return bool(np.may_share_memory(everything(a), everything(b)))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return a.like(np.diagonal(a.physical, offset, *a.axes((axis1, axis2))))


def innermost(*arrays: Any) -> Batch:
    """The vmap that began last, of those that one of ``arrays`` belongs to."""
    batch = top(arrays)
    assert batch is not None
    return batch


def stacked(function: Callable) -> Callable:
    """A function of matrices, which takes stacks of them."""

    def call(a: Any, *args: Any, **kwargs: Any) -> Any:
        if top([*args, *kwargs.values()]) is not None or a.ndim < 2:
            return per_example(lambda x, *rest: function(x, *rest, **kwargs), a, *args)
        found = function(a.physical, *args, **kwargs)
        if not isinstance(found, tuple):
            return a.like(found)
        parts = map(a.like, found)
        return type(found)(*parts) if hasattr(found, "_fields") else tuple(parts)

    return call


def solve(a: Any, b: Any) -> Any:
    batch = innermost(a, b)
    if b.ndim < 2:
        return per_example(np.linalg.solve, a, b)
    n = max(a.ndim, b.ndim)
    return BatchedArray(np.linalg.solve(*(x.aligned(n) if owned_by(x, batch) else x for x in (a, b))), batch)


def where(*args: Any) -> Any:
    if len(args) == 1:
        return BatchedArray.refuse(None)  # type: ignore[arg-type]
    batch = innermost(*args)
    n = max(np.ndim(x) if not isinstance(x, np.ndarray) else x.ndim for x in args)
    return BatchedArray(np.where(*(x.aligned(n) if owned_by(x, batch) else x for x in args)), batch)


def together(arrays: Any) -> tuple[Batch, list[Any]]:
    """(the innermost vmap, the arrays with its axis first)"""
    batch = innermost(*arrays)
    return batch, [x.physical if owned_by(x, batch) else cpu.expand(np.asarray(x), (batch.size, *np.shape(x))) for x in arrays]


def concatenate(arrays: Any, axis: int = 0, **kwargs: Any) -> Any:
    batch, parts = together(list(arrays))
    return BatchedArray(np.concatenate(parts, axis % (parts[0].ndim - 1) + 1, **kwargs), batch)


def stack(arrays: Any, axis: int = 0, **kwargs: Any) -> Any:
    batch, parts = together(list(arrays))
    return BatchedArray(np.stack(parts, axis % parts[0].ndim + 1, **kwargs), batch)


def expand_dims(a: Any, axis: Any) -> Any:
    n = a.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)
    return a.like(np.expand_dims(a.physical, tuple(d % n + 1 for d in axis) if isinstance(axis, tuple | list) else axis % n + 1))


def flip(a: Any, axis: Any = None) -> Any:
    return a.like(np.flip(a.physical, a.axes(axis))) if a.ndim else a


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return roll(a.reshape(-1), shift, 0).reshape(a.shape)
    return a.like(np.roll(a.physical, shift, a.axes(axis)))


def take_along_axis(a: Any, index: Any, axis: Any = -1) -> Any:
    if axis is None or not a.ndim:
        return per_example(np.take_along_axis, a, index, axis)
    batch, (x, i) = together((a, index))
    return BatchedArray(np.take_along_axis(x, i, axis % (x.ndim - 1) + 1), batch)


def take(a: Any, index: Any, axis: Any = None, **kwargs: Any) -> Any:
    batch = innermost(a, index)
    if owned_by(a, batch) and not owned_by(index, batch):
        flat = a.reshape(-1) if axis is None else a
        return a.like(np.take(flat.physical, index, flat.axes(axis or 0)[0], **kwargs))
    if axis is None and not owned_by(a, batch):
        return BatchedArray(np.take(a, index.physical, **kwargs), batch)
    return per_example(lambda x, i: np.take(x, i, axis, **kwargs), a, index)


def along_axis(function: Callable, default: int = -1) -> Callable:
    """A function of an array and something that is the same for all, along an axis."""

    def call(a: Any, other: Any, axis: Any = default, **kwargs: Any) -> Any:
        if top([other]) is not None or axis is None or not a.ndim:
            return per_example(lambda x, y: function(x, y, axis, **kwargs), a, other)
        return a.like(function(a.physical, other, a.axes(axis)[0], **kwargs))

    return call


def sort(a: Any, axis: int = -1, **kwargs: Any) -> Any:
    return a.like(np.sort(a.physical, a.axes(axis)[0], **kwargs))


def apply_along_axis(function: Callable, axis: int, a: Any, *args: Any, **kwargs: Any) -> Any:
    return a.like(np.apply_along_axis(function, a.axes(axis)[0], a.physical, *args, **kwargs))


def sliding_window_view(a: Any, size: Any, axis: Any = None, **kwargs: Any) -> Any:
    return a.like(np.lib.stride_tricks.sliding_window_view(a.physical, size, a.axes(axis), **kwargs))


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    if top((a, sorter)) is None:
        return v.like(np.searchsorted(a, v.physical, side, sorter))
    return per_example(lambda *x: np.searchsorted(x[0], x[1], side, x[2]), a, v, sorter)


def isin(a: Any, among: Any, **kwargs: Any) -> Any:
    return a.like(np.isin(a.physical, among, **kwargs)) if top([among]) is None else per_example(lambda *x: np.isin(*x, **kwargs), a, among)


def rarer(ufunc: Any, method: str, inputs: tuple, kwargs: dict) -> Any:
    """``ufunc.accumulate``, ``ufunc.at``, and ufuncs of matrices."""
    batch = innermost(*inputs)
    a = inputs[0]
    if ufunc is np.matmul and method == "__call__" and not kwargs and min(x.ndim for x in inputs) > 1:
        n = max(x.ndim for x in inputs)
        return BatchedArray(np.matmul(*(x.aligned(n) if owned_by(x, batch) else x for x in inputs)), batch)
    if method == "accumulate" and a.ndim and set(kwargs) <= {"axis"}:
        return a.like(ufunc.accumulate(a.physical, axis=a.axes(kwargs.get("axis", 0))[0]))
    if method == "at" and not owned_by(a, batch):
        written_outside(ufunc.__name__)
    return per_example(lambda *x: getattr(ufunc, method)(*x, **kwargs), *inputs)


def spelled(a: Any, key: tuple) -> tuple[list[Any], list[int]] | None:
    """(an index without ``...`` and masks, which of its parts are arrays or beside them numbers); ``None`` if it has rarer parts."""
    parts: list[Any] = []
    for k in key:
        if isinstance(k, list):
            k = np.asarray(k, np.int64) if not k else np.asarray(k)
        if isinstance(k, bool | np.bool_) or (isinstance(k, np.ndarray) and k.dtype.kind == "b"):
            if is_batched(k) or not isinstance(k, np.ndarray) or not k.ndim:
                return None
            parts += k.nonzero()
        else:
            parts.append(k)
    missing = a.ndim - sum(k is not None and k is not Ellipsis for k in parts)
    at = next((i for i, k in enumerate(parts) if k is Ellipsis), len(parts))
    parts[at : at + 1] = [slice(None)] * missing
    if missing < 0 or any(k is Ellipsis for k in parts):
        return None
    return parts, [i for i, k in enumerate(parts) if k is not None and not isinstance(k, slice)]


def lifted(a: Any, key: tuple) -> tuple[tuple, Any, int] | None:
    """(the index for the array with the batch axis, the axes of its result to move: from, to, one example's number of them).

    ``None`` if the index has rarer parts.
    """
    found = spelled(a, key)
    if found is None:
        return None
    parts, at = found
    n = max(parts[i].ndim if owners.is_array(parts[i]) else 0 for i in at)
    ndim = len(parts) - len(at) + n
    one_block = at == list(range(at[0], at[-1] + 1))
    before = at[0] if one_block else 0  # axes of the result before those of the arrays
    if not any(owned_by(parts[i], a.batch) for i in at):
        return (slice(None), *parts), None if one_block else ([n], [0]), ndim
    for i in at:
        if owned_by(parts[i], a.batch):
            parts[i] = parts[i].aligned(n)
    numbers = np.arange(a.batch.size).reshape(-1, *(1,) * n)
    axes = range(1, n + 1)
    return (numbers, *parts), ([*axes], [before + d for d in axes]) if before else None, ndim


def get(a: Any, key: tuple) -> Any:
    """``a[key]``, whichever of them is batched."""
    batch = top([a, *key])
    if batch is None:
        return a[key]
    if not owned_by(a, batch):
        a = BatchedArray(cpu.expand(a, (batch.size, *a.shape)), batch)
    if any(is_batched(k) and k.dtype.kind == "b" for k in key):
        a.refuse()
    found = lifted(a, key)
    if found is None:
        return per_example(lambda x, *k: x[k], a, *key)
    index, move, _ = found
    result = a.physical[index] if type(a.physical) is BatchedArray or top(index) is None else get(a.physical, index)
    return a.like(result if move is None else np.moveaxis(result, *move))


def put(a: Any, key: tuple, value: Any, write: Callable = operator.setitem) -> None:
    found = lifted(a, key)
    if found is not None and found[1] is None:
        write(a.physical, found[0], value.aligned(found[2]) if owned_by(value, a.batch) else value)
        return
    for i in range(a.batch.size):
        write(a.example(i), tuple(one(k, a.batch, i) for k in key), one(value, a.batch, i))


def add(a: Any, key: tuple, value: Any) -> None:
    put(a, key, value, lambda x, k, v: x.add_at(k, v))


def refused(a: Any, *args: Any, **kwargs: Any) -> Any:
    return BatchedArray.refuse(a)


FUNCTIONS |= {
    np.argwhere: refused,
    np.nonzero: refused,
    np.flatnonzero: refused,
    np.unique: refused,
    np.diagonal: diagonal,
    np.sum: by_axis("sum"),
    np.prod: by_axis("prod"),
    np.max: by_axis("max"),
    np.min: by_axis("min"),
    np.any: by_axis("any"),
    np.all: by_axis("all"),
    np.argmax: by_axis("argmax"),
    np.argmin: by_axis("argmin"),
    np.argsort: by_axis("argsort", -1),
    np.cumsum: by_axis("cumsum"),
    np.cumprod: by_axis("cumprod"),
    np.moveaxis: moveaxis,
    np.swapaxes: lambda a, i, j: a.swapaxes(i, j),
    np.transpose: lambda a, axes=None: a.transpose(axes) if axes is not None else a.transpose(),
    np.reshape: lambda a, shape, **kwargs: a.reshape(shape, **kwargs),
    np.ravel: lambda a: a.ravel(),
    np.squeeze: lambda a, axis=None: a.squeeze(axis),
    np.broadcast_to: broadcast_to,
    np.empty_like: empty_like(None),
    np.zeros_like: empty_like(0),
    np.ones_like: empty_like(1),
    np.copy: lambda a, **kwargs: a.copy(),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.size,
    np.may_share_memory: may_share_memory,
    np.shares_memory: may_share_memory,
    np.where: where,
    np.concatenate: concatenate,
    np.stack: stack,
    np.expand_dims: expand_dims,
    np.flip: flip,
    np.roll: roll,
    np.take_along_axis: take_along_axis,
    np.take: take,
    np.partition: along_axis(np.partition),
    np.sort: sort,
    np.apply_along_axis: apply_along_axis,
    np.lib.stride_tricks.sliding_window_view: sliding_window_view,
    np.searchsorted: searchsorted,
    np.isin: isin,
    np.linalg.solve: solve,
    **{f: stacked(f) for f in (np.tril, np.triu, np.linalg.svd, np.linalg.qr, np.linalg.inv, np.linalg.det, np.linalg.cholesky)},
    **{f: stacked(f) for f in (np.linalg.eig, np.linalg.eigvals, np.linalg.eigh, np.linalg.eigvalsh)},
}
INDEXING |= {"get": get, "set": put, "add": add, "ufunc": rarer}
