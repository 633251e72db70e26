"""Writes to indexed places where nothing is recorded: the kernel at once, after the least that must be asked.

A writer changes its tensor and says so, or declines: then the operation's own rule takes the call, which knows histories, devices, other shapes and
types, and what to say of mistakes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends
from ..backends import places
from ..errors import GradflowError
from ..tensor import Tensor, note, unrecorded, wrap
from .convert import element
from .pointwise import where_of


def alone(t: Tensor, *others: Any) -> bool:
    """Is ``t`` NumPy's, and are the others NumPy's tensors that share no memory with it?"""
    a = t.array
    if type(a) is not np.ndarray:
        return False
    for x in others:
        if not isinstance(x, Tensor) or type(x.array) is not np.ndarray:
            return False
        b = x.array
        if b is a or ((a.base is not None or b.base is not None) and np.may_share_memory(a, b)):
            return False
    return True


def summed(accumulate: Any, a: Any) -> bool:
    """May values be added there by the kernel that adds rows?"""
    return accumulate is False or (accumulate is True and a.dtype.kind != "b")


def row_shape(t: Tensor, dim: Any, index: Tensor) -> tuple[int, tuple[int, ...]] | None:
    """(the axis, the shape of the rows that a vector of places along it names)."""
    shape, i = t.array.shape, index.array
    if dim.__class__ is not int or not -len(shape) <= dim < len(shape) or i.dtype != np.int64 or i.ndim != 1:
        return None
    axis = dim % len(shape)
    return axis, (*shape[:axis], i.size, *shape[axis + 1 :])


def rows(t: Tensor, dim: Any, index: Any, source: Any, accumulate: bool) -> bool:
    if not alone(t, index, source) or source.array.dtype != t.array.dtype or not summed(accumulate, t.array):
        return False
    found = row_shape(t, dim, index)
    if found is None or source.array.shape != found[1]:
        return False
    (backends.add_rows if accumulate else backends.put_rows)(t.array, found[0], index.array, source.array)
    return True


def index_copy(t: Tensor, dim: Any, index: Any, source: Any) -> bool:
    return rows(t, dim, index, source, False)


def index_add(t: Tensor, dim: Any, index: Any, source: Any) -> bool:
    return rows(t, dim, index, source, True)


def index_fill(t: Tensor, dim: Any, index: Any, value: Any) -> bool:
    if isinstance(value, Tensor) or not alone(t, index) or (found := row_shape(t, dim, index)) is None:
        return False
    number = np.array(element("index_fill_", value, t.dtype), t.array.dtype)
    backends.put_rows(t.array, found[0], index.array, backends.expand(number, found[1]))
    return True


def fits(t: Tensor, dim: Any, index: Tensor) -> bool:
    """Does each place of ``index`` name one element along the axis?"""
    a, i = t.array, index.array
    if dim.__class__ is not int or not -a.ndim <= dim < a.ndim or i.dtype != np.int64 or i.ndim != a.ndim or not i.size:
        return False
    return a.shape == i.shape or all(n <= m for d, (n, m) in enumerate(zip(i.shape, a.shape, strict=True)) if d != dim % a.ndim)


def scatter(t: Tensor, dim: Any, index: Any, src: Any) -> bool:
    a = t.array
    if not isinstance(src, Tensor):
        if not alone(t, index) or not fits(t, dim, index):
            return False
        backends.cpu.scatter(a, dim % a.ndim, index.array, np.asarray(element("scatter_", src, t.dtype), a.dtype))
        return True
    if not alone(t, index, src) or not fits(t, dim, index) or src.array.dtype != a.dtype or src.array.shape != index.array.shape:
        return False
    backends.cpu.scatter(a, dim % a.ndim, index.array, src.array)
    return True


def scatter_add(t: Tensor, dim: Any, index: Any, src: Any) -> bool:
    a = t.array
    if not alone(t, index, src) or not fits(t, dim, index) or src.array.dtype != a.dtype or not summed(True, a):
        return False
    if src.array.shape != index.array.shape or not src.array.flags.c_contiguous:
        return False
    backends.scatter_add(a, dim % a.ndim, index.array, src.array)
    return True


def put(t: Tensor, index: Any, source: Any, accumulate: Any = False) -> bool:
    a = t.array
    if not alone(t, index, source) or source.array.dtype != a.dtype or not summed(accumulate, a) or index.array.size != source.array.size:
        return False
    return rows_of(a, (index.array.reshape(-1),), source.array.reshape(-1), accumulate, a.reshape(-1)) if a.flags.c_contiguous else False


def masked_scatter(t: Tensor, mask: Any, source: Any) -> bool:
    if not alone(t, mask, source) or mask.array.dtype.kind != "b" or mask.array.shape != t.array.shape:
        return False
    if source.array.dtype != t.array.dtype or not all(x.array.flags.c_contiguous for x in (t, mask, source)):
        return False
    backends.put_where(t.array, mask.array, source.array)
    return True


def masked_fill(t: Tensor, mask: Any, value: Any) -> bool:
    if isinstance(value, Tensor) or not alone(t, mask) or mask.array.dtype.kind != "b" or mask.array.shape != t.array.shape:
        return False
    backends.elementwise(where_of.op.kernel, (mask.array, element("masked_fill_", value, t.dtype), t.array), t.array)
    return True


def index_put(t: Tensor, indices: Any, values: Any, accumulate: Any = False) -> bool:
    """Also ``t[indices] = values``, where ``values`` may be a number."""
    a, number = t.array, not isinstance(values, Tensor)
    if not (alone(t, *indices) if number else alone(t, *indices, values)) or not summed(accumulate, a):
        return False
    source = np.array(element("setitem", values, t.dtype), a.dtype) if number else values.array
    return source.dtype == a.dtype and rows_of(a, tuple([i.array for i in indices]), source, accumulate, a)


def rows_of(a: Any, indices: tuple, source: Any, accumulate: bool, table: Any) -> bool:
    """``table[indices] = source``, or added; ``table`` is ``a`` with its first axes as those of the indices."""
    flat = places(table, indices)
    if flat is None:
        return False
    rest = table.shape[len(indices) :]
    if not source.ndim:
        source = backends.expand(source, (flat.size, *rest))
    elif source.shape == (*flat.shape, *rest) and source.flags.c_contiguous:
        source = source.reshape(flat.size, *rest)
    else:
        return False
    (backends.add_rows if accumulate else backends.put_rows)(a.reshape(-1, *rest), 0, flat.reshape(-1), source)
    return True


def written(writer: Callable, t: Tensor, args: tuple, options: dict[str, Any] | None = None) -> bool:
    """Has the writer changed ``t``?"""
    for x in (*args, *options.values()) if options else args:
        if not (unrecorded(t, *x) if x.__class__ is tuple or x.__class__ is list else unrecorded(t, x)):
            return False
    try:
        done = writer(t, *args, **options) if options else writer(t, *args)
    except (GradflowError, TypeError):  # the kernels check before they write; the operation's rule says more
        return False
    if done:
        note(t)
    return done


def by(writer: Callable) -> Callable:
    """A function that gives a changed copy: the writer is asked first, here and by the method in place."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(input: Any, *args: Any, **options: Any) -> Any:
            if isinstance(input, Tensor) and input.node is None and type(input.array) is np.ndarray:
                out = wrap(backends.duplicate(input.array))
                if written(writer, out, args, options):
                    return out
            return function(input, *args, **options)

        call.__dict__["writer"] = writer
        return call

    return decorate
