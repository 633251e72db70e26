"""Tensors from parts of tensors, and folds at indices: blocks, combinations, norms cut down, indices of every sort."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backends
from ..backends.batched import asarray
from ..errors import ArgumentError, AxisError, DTypeError, OutOfRangeError, ShapeError
from ..scalar.types import INT64
from ..tape.node import named
from ..tensor import Size, Tensor, wrap
from .axes import axis_of, integer, shape_of
from .convert import element
from .gathering import rows_at
from .indexing import masked_fill, nonzero
from .joining import cat, list_of
from .pointwise import div, gt, mul, where
from .rearranging import dense, diag
from .rearranging import pad as padded
from .reductions import sum_to_shape
from .scattering import FOLDS, KERNELS, index_vector, plain, recorded, scatter_reduce
from .stacking import tensor_split
from .views import narrow, require_tensor


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices along the diagonal of one matrix, zeros elsewhere; vectors are rows, numbers 1 x 1.

    >>> gf.block_diag(gf.ones(2, 2), gf.tensor([5.0]))
    tensor([[1., 1., 0.],
            [1., 1., 0.],
            [0., 0., 5.]])
    """
    blocks = list_of("block_diag", tensors or (wrap(backends.empty((1, 0), backends.cpu.default_float)),))
    for t in blocks:
        if t.array.ndim > 2:
            raise ShapeError(f"block_diag: Input tensors must have 2 or fewer dimensions. Input has {t.ndim} dimensions")
    blocks = [t.reshape(1, -1) if t.array.ndim < 2 else t for t in blocks]
    widths = [t.array.shape[1] for t in blocks]
    before = [0, *itertools.accumulate(widths)]
    return cat([padded(t, (before[k], before[-1] - before[k] - w)) for k, (t, w) in enumerate(zip(blocks, widths, strict=True))], 0)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, a row each, in its order.

    >>> gf.combinations(gf.tensor([1, 2, 3]), 2)
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    require_tensor("combinations", input)
    r = integer("combinations", "r", r)
    if input.array.ndim != 1:
        raise ShapeError(f"combinations: Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise ArgumentError(f"combinations: Expect a non-negative number, but got {r}")
    if not r:
        return wrap(backends.beside(np.empty(0, input.array.dtype), input.array))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.array.size), r)), np.int64).reshape(-1, r)
    return rows_at(input, 0, rows.reshape(-1)).reshape(rows.shape)


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes have together.

    >>> gf.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    for s in shapes:
        if not isinstance(s, int | tuple | list):
            raise ShapeError(f"broadcast_shapes: shapes must be ints or tuples of ints, not {type(s).__name__}")
    given = [tuple(integer("broadcast_shapes", "shapes", n) for n in ((s,) if isinstance(s, int) else s)) for s in shapes]
    if any(n < 0 for s in given for n in s):
        raise ArgumentError(f"broadcast_shapes: Trying to create tensor with negative dimension: {given}")
    try:
        return Size(np.broadcast_shapes(*given))
    except ValueError:
        raise ShapeError(f"broadcast_shapes: Shape mismatch: objects cannot be broadcast to a single shape: {given}") from None


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with the elements, flat, on a diagonal.

    >>> gf.diagflat(gf.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag(input.reshape(-1), offset)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along the third axis.

    >>> [part.shape for part in gf.dsplit(gf.ones(1, 1, 4), 2)]
    [torch.Size([1, 1, 2]), torch.Size([1, 1, 2])]
    """
    if input.array.ndim < 3:
        raise ShapeError(f"dsplit: requires a tensor with at least 3 dimensions, but got a tensor with {input.ndim} dimensions!")
    if isinstance(indices_or_sections, int) and (not indices_or_sections or input.array.shape[2] % indices_or_sections):
        raise ShapeError(
            f"dsplit: attempted to split along dimension 2, but the size of the dimension {input.shape[2]} is not divisible by the split_size {indices_or_sections}!"
        )
    return tensor_split(input, indices_or_sections, 2)


def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over what broadcasting from ``size`` to the tensor's shape would repeat.

    >>> gf.sum_to_size(gf.ones(2, 3), 1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = shape_of("sum_to_size", size)
    try:
        fits = np.broadcast_shapes(shape, input.array.shape) == input.array.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"sum_to_size: size {{{list(shape)}}} is not expandable to size {{{list(input.shape)}}}.")
    if not input.dtype.is_floating_point and (shape != input.array.shape or not shape):
        input = input.long()  # the type of a sum of integers
    return input if shape == input.array.shape else sum_to_shape(input, shape)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like ``input`` with every element ``value``; the gradient flows to ``value``.

    >>> gf.fill(gf.zeros(2), 3.0)
    tensor([3., 3.])
    """
    if not isinstance(value, Tensor) and input.node is None:
        return wrap(backends.copy(element("fill", value, input.dtype), backends.empty(input.array.shape, input.dtype.code, input.array)))
    return named(masked_fill(input, wrap(backends.beside(np.ones(input.array.shape, bool), input.array)), value), "FillBackward0")


def renorm(input: Tensor, p: float, dim: Any, maxnorm: float) -> Tensor:
    """The parts along ``dim`` scaled down to a norm of order ``p`` of at most ``maxnorm``.

    >>> gf.renorm(gf.tensor([[3.0, 4.0], [0.3, 0.4]]), p=2, dim=0, maxnorm=1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if not isinstance(p, int | float) or p <= 0:
        raise ArgumentError(f"renorm: non-positive-norm not supported: {p}")
    if input.array.ndim < 2:
        raise ShapeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    if maxnorm < 0:
        raise ArgumentError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    axis = axis_of("renorm", dim, input.array.ndim)
    norms = input.norm(p, tuple(i for i in range(input.array.ndim) if i != axis), keepdim=True)
    return named(mul(input, where(gt(norms, maxnorm), div(maxnorm, norms + 1e-7), 1.0)), "RenormBackward0")


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Flat positions as one tensor of indices for each axis of ``shape``.

    >>> gf.unravel_index(gf.tensor([0, 5]), (2, 3))
    (tensor([0, 1]), tensor([0, 2]))
    """
    if not isinstance(indices, Tensor):
        raise DTypeError(f"unravel_index: expected 'indices' to be an integer Tensor, but got {type(indices).__name__}")
    if indices.array.dtype.kind not in "iu":
        raise DTypeError(f"unravel_index: expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = (shape,) if isinstance(shape, int) else shape_of("unravel_index", (tuple(shape),))
    if any(n < 0 for n in sizes):
        raise ArgumentError(f"unravel_index: 'shape' cannot have negative values, but got {tuple(sizes)}")
    flat, total = indices.array.astype(np.int64), math.prod(sizes)
    flat = flat % total if total else flat
    found = []
    for n in reversed(sizes):
        found.append(wrap(asarray(flat % n if n else flat)))
        flat = flat // n if n else flat
    return tuple(reversed(found))


def index_reduce(input: Tensor, dim: Any, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """The parts of ``source`` folded into the places ``index`` along ``dim``: "prod", "mean", "amax" or "amin".

    >>> gf.index_reduce(gf.ones(2), 0, gf.tensor([0, 0]), gf.tensor([3.0, 4.0]), "prod")
    tensor([12.,  1.])
    """
    if reduce not in FOLDS or reduce == "sum":
        raise ArgumentError(f"index_reduce: reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    if not input.array.ndim:
        return index_reduce(input.reshape(1), dim, index, source.reshape(-1), reduce, include_self=include_self).reshape(())
    i, axis = index_vector("index_reduce", input, dim, index, source)
    simple = include_self and reduce in KERNELS and input.array.dtype.kind != "b" and not recorded(input, source)
    if simple and plain(input.array, i, source.array):
        return wrap(backends.cpu.fold_rows(dense(input.array), axis, i, source.array, KERNELS[reduce]))
    full = np.broadcast_to(i.reshape([-1 if d == axis else 1 for d in range(source.array.ndim)]), source.array.shape)
    result = scatter_reduce(input, axis, wrap(backends.dense(full)), source, reduce, include_self=include_self)
    return named(result, "IndexReduceBackward0")


def argwhere(input: Tensor) -> Tensor:
    """The places of the elements that differ from zero, a row each.

    >>> gf.argwhere(gf.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    return nonzero(input)


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """:func:`nonzero` with exactly ``size`` rows: cut off, or filled up with ``fill_value``.

    >>> gf.nonzero_static(gf.tensor([0, 5, 0, 7]), size=3)
    tensor([[ 1],
            [ 3],
            [-1]])
    """
    size = integer("nonzero_static", "size", size)
    if size < 0:
        raise ArgumentError(f"nonzero_static: 'size' must be an non-negative integer, it is {size}")
    found = nonzero(input).array[:size]
    out = backends.empty((size, input.array.ndim), INT64, found)
    out[...] = integer("nonzero_static", "fill_value", fill_value)
    out[: len(found)] = found
    return wrap(out)


def narrow_copy(input: Tensor, dim: Any, start: Any, length: int) -> Tensor:
    """A copy of :func:`narrow`: ``length`` elements along ``dim`` from ``start``.

    >>> gf.arange(5).narrow_copy(0, 1, 3)
    tensor([1, 2, 3])
    """
    try:
        return narrow(input, dim, start, length).clone()
    except AxisError as error:  # which torch does not tell from another failure here
        raise OutOfRangeError(str(error).replace("narrow", "narrow_copy", 1)) from None


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """:func:`pad` with a constant: ``pad`` is (left, right, top, bottom, ...), the last axis first.

    >>> gf.constant_pad_nd(gf.tensor([1, 2]), (1, 2), 9)
    tensor([9, 1, 2, 9, 9])
    """
    return padded(input, pad, "constant", value)


# Channels and space


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """``(*, C r r, H, W)`` as ``(*, C, H r, W r)``: channels become space. Shi et al. 2016.

    >>> gf.pixel_shuffle(gf.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = integer("pixel_shuffle", "upscale_factor", upscale_factor)
    *lead, c, h, w = space("pixel_shuffle", input)
    if r <= 0:
        raise ArgumentError(f"pixel_shuffle: expects a positive upscale_factor, but got {r}")
    if c % (r * r):
        raise ShapeError(
            f"pixel_shuffle: expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    cells = input.reshape(*lead, c // (r * r), r, r, h, w)
    cells = cells.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return named(cells.reshape(*lead, c // (r * r), h * r, w * r), "PixelShuffleBackward0")


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """``(*, C, H r, W r)`` as ``(*, C r r, H, W)``: the inverse of :func:`pixel_shuffle`.

    >>> gf.pixel_unshuffle(gf.arange(4).reshape(1, 2, 2), 2).shape
    torch.Size([4, 1, 1])
    """
    r = integer("pixel_unshuffle", "downscale_factor", downscale_factor)
    *lead, c, h, w = space("pixel_unshuffle", input)
    if r <= 0:
        raise ArgumentError(f"pixel_unshuffle: expects a positive downscale_factor, but got {r}")
    if h % r or w % r:
        raise ShapeError(f"pixel_unshuffle: expects height and width to be divisible by downscale_factor, but {h} and {w} are not by {r}")
    n = len(lead)
    cells = input.reshape(*lead, c, h // r, r, w // r, r)
    cells = cells.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return named(cells.reshape(*lead, c * r * r, h // r, w // r), "PixelUnshuffleBackward0")


def space(op: str, input: Tensor) -> tuple[int, ...]:
    require_tensor(op, input)
    if input.array.ndim < 3:
        raise ShapeError(f"{op}: expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")
    return input.array.shape


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of axis 1, in ``groups``, dealt out in turn. Zhang et al. 2018.

    >>> gf.channel_shuffle(gf.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    require_tensor("channel_shuffle", input)
    groups = integer("channel_shuffle", "groups", groups)
    if input.array.ndim < 3:
        raise ShapeError(f"channel_shuffle: expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    b, c, *rest = input.array.shape
    if groups <= 0 or c % groups:
        raise ShapeError(f"channel_shuffle: Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    return named(input.reshape(b, groups, c // groups, *rest).transpose(1, 2).reshape(b, c, *rest), "NativeChannelShuffleBackward0")
