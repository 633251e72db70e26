"""Views of a storage by sizes and strides."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backends
from ..backends.batched import BatchedArray, batches_of, everything, is_batched
from ..errors import DTypeError, ShapeError
from ..kinds import linear
from ..kinds.direct import direct
from ..tensor import Tensor
from .axes import integer, new_shape, shape_of
from .view_maps import reshape_to


@linear(view=True, grad_name="AsStridedBackward0")
def strided(a, size, stride, offset, origin):
    inside = everything(a)
    base, hidden = storage(inside), range(inside.ndim - a.ndim)  # every example of a vmap as the first
    size, stride = (*(inside.shape[d] for d in hidden), *size), (*(inside.strides[d] // a.itemsize for d in hidden), *stride)
    if isinstance(base, np.ndarray):
        view = backends.cpu.strided(base, size, tuple([s * a.itemsize for s in stride]), offset * a.itemsize)
        if not a.flags.writeable:
            view.flags.writeable = False
    else:
        view = base.strided(size, stride, offset, a.dtype)
    return functools.reduce(BatchedArray, batches_of(a), view)


def storage(a: Any) -> Any:
    """The array that owns the memory of ``a``, with elements of its type."""
    base = a
    while backends.is_array(base.base):
        base = base.base
    return base if base.dtype == a.dtype else base.reshape(-1).view(a.dtype)


@strided.adjoint
def strided_adjoint(g, shape, size, stride, offset, origin):
    """Each place of the storage gives to the element of the input that lies there, if one does."""
    from .indexing import put_zeros, take

    strides, start, places = origin  # of the input
    owner = np.full(places, -1)  # for each place of the storage the element of the input that lies there
    owner[storage_places(shape, strides, start)] = np.arange(int(np.prod(shape))).reshape(shape)
    index = owner[storage_places(size, stride, offset)]
    owned = index >= 0
    numel = int(np.prod(shape))
    return reshape_to(put_zeros(take(g, (owned,)), (numel,), (index[owned],)), shape)


def storage_places(size: Sequence[int], stride: Sequence[int], offset: int) -> Any:
    index = np.asarray(offset)
    for n, s in zip(size, stride, strict=True):
        index = index[..., None] + np.arange(n) * s
    return index


@direct("as_strided", strided.plan)
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage with these sizes, strides (in elements) and start. Inside of ``vmap`` it stays within the example.

    >>> gf.as_strided(gf.arange(5), (3, 2), (1, 2))
    tensor([[0, 2],
            [1, 3],
            [2, 4]])
    """
    size, stride = new_shape("as_strided", (size,)), shape_of("as_strided", (stride,))
    if len(size) != len(stride):
        raise ShapeError(f"as_strided: mismatch in length of strides and shape: {len(size)} sizes, {len(stride)} strides")
    if any(s < 0 for s in stride):
        raise ShapeError(f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}")
    offset = input.storage_offset() if storage_offset is None else integer("as_strided", "storage_offset", storage_offset)
    base = storage(everything(input.array))
    if max(max(size, default=0), max(stride, default=0), abs(offset)) >= 2**62:
        raise DTypeError(f"as_strided: sizes {list(size)}, strides {list(stride)} or the offset {offset} do not fit")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if 0 not in size else offset - 1
    if offset < 0 or (last >= base.size and 0 not in size):
        raise ShapeError(
            f"as_strided: setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset} require {last + 1} elements, out of bounds for storage of {base.size}"
        )
    if is_batched(input.array) and 0 not in size:
        end = input.storage_offset() + sum((n - 1) * s for n, s in zip(input.array.shape, input.stride(), strict=True))
        if offset < input.storage_offset() or last > end:
            raise ShapeError(
                f"as_strided: sizes {list(size)}, strides {list(stride)}, storage offset {offset} reach from element {offset} to {last}; inside of "
                f"vmap they may not leave the example, whose elements are {input.storage_offset()} to {end}"
            )
    if math.prod(n for n in size if n) >= 2**59:  # NumPy's sizes in bytes fit 63 bits
        raise ShapeError(f"as_strided: sizes {list(size)} multiply to more than an array can have")
    return strided(input, size, stride, offset, (input.stride(), input.storage_offset(), base.size))
