"""Elements in another order or place: flips, rolls, repeats, diagonals, padding."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import ArgumentError, AxisError, DTypeError, OutOfRangeError, RankError, ShapeError
from ..kinds import linear
from ..kinds.direct import direct
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axis_of, integer, outside, shape_of
from .convert import element
from .gathering import rows_at
from .indexing import from_front
from .joining import repeated
from .view_maps import diagonal_embed, embed, part
from .views import diagonal


class Onto(threading.local):
    """The array that the result of a function replaces, for a method that changes its tensor: it need not be copied first."""

    array: Any = None


onto = Onto()


def dense(a: Any) -> Any:
    """A copy in C order, in the backend's memory."""
    place: Any = onto.array
    if place is not None and (a is place or (type(a) is np.ndarray and a.size == place.size and a.flags.c_contiguous and a.base is place)):
        onto.array = None
        return a
    out = backends.empty(a.shape, of(a).code, a)
    backends.copy(a, out)
    return out


@linear(grad_name="FlipBackward0")
def flip_over(a, axes):
    return dense(np.flip(a, axes))


@flip_over.adjoint
def flip_adjoint(g, shape, axes):
    return flip_over(g, axes)


@linear(grad_name="RollBackward0")
def roll_by(a, shifts, axes):
    return np.roll(a, shifts, axes)


@roll_by.adjoint
def roll_adjoint(g, shape, shifts, axes):
    return roll_by(g, tuple(-s for s in shifts), axes)


@linear(view=True, grad_name="UnfoldBackward0")
def windows(a, axis, size, step):
    return np.lib.stride_tricks.sliding_window_view(a, size, axis, writeable=a.flags.writeable)[
        (slice(None),) * axis + (slice(None, None, step),)
    ]


@windows.adjoint
def windows_adjoint(g, shape, axis, size, step):
    """Each window gives back to the elements it covers."""
    total: Any = None
    count = g.array.shape[axis]
    for i in range(size):
        key = (slice(None),) * axis + (slice(i, i + (count - 1) * step + 1, step), Ellipsis)
        piece = embed(g[..., i], shape, key)
        total = piece if total is None else p.add(total, piece)
    return wrap(backends.zeros(shape, of(g.array).code, g.array)) if total is None else total


# torch's signatures


def flip(input: Tensor, *axes_: Any, dims: Any = None) -> Tensor:
    """The order of elements reversed along ``dims``; a copy.

    >>> gf.flip(gf.tensor([[1, 2], [3, 4]]), [0, 1])
    tensor([[4, 3],
            [2, 1]])
    """
    axes = tuple(axis_of("flip", d, input.array.ndim) for d in shape_of("flip", axes_ if dims is None else (dims,)))
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"flip: dim {axes[0]} appears multiple times in the list of dims")
    return flip_over(input, axes) if input.array.ndim else input.clone()


def fliplr(input: Tensor) -> Tensor:
    """Columns in reverse order.

    >>> gf.fliplr(gf.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input.array.ndim < 2:
        raise ShapeError("fliplr: Input must be >= 2-d.")
    return flip_over(input, (1,))


def flipud(input: Tensor) -> Tensor:
    """Rows in reverse order.

    >>> gf.flipud(gf.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if input.array.ndim < 1:
        raise ShapeError("flipud: Input must be >= 1-d.")
    return flip_over(input, (0,))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved by ``shifts`` along ``dims`` (flat without), what falls off coming in at the other end.

    >>> gf.roll(gf.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
    shifts = tuple(integer("roll", "shifts", n) for n in (shifts if isinstance(shifts, tuple | list) else (shifts,)))
    if shifts and (dims is None or dims == ()):
        return roll_by(input.reshape(-1), shifts, (0,)).reshape(tuple(input.array.shape))
    dims = tuple(dims) if isinstance(dims, tuple | list) else (dims,)
    if len(dims) != len(shifts):
        raise ShapeError(f"roll: shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if not input.array.ndim:
        raise AxisError(f"roll: Dimension specified as {dims[0]} but tensor has no dimensions")
    return roll_by(input, shifts, tuple(axis_of("roll", d, input.array.ndim) for d in dims))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by ``k`` quarters from axis ``dims[0]`` towards ``dims[1]``.

    >>> gf.rot90(gf.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    k = integer("rot90", "k", k)
    if not isinstance(dims, tuple | list):
        raise DTypeError(f"rot90: argument 'dims' must be tuple of ints, not {type(dims).__name__}")
    if len(dims) != 2:
        raise ShapeError(f"rot90: expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.array.ndim < 2:
        raise ShapeError(f"rot90: expected total dims >= 2, but got total dims = {input.array.ndim}")
    i, j = (axis_of("rot90", d, input.array.ndim) for d in dims)
    if i == j:
        raise ShapeError(f"rot90: expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    k %= 4
    if k == 0:
        return input.clone()
    if k == 2:
        return flip_over(input, (i, j))
    return flip_over(input, (j,)).transpose(i, j) if k == 1 else flip_over(input.transpose(i, j), (j,))


def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """The tensor repeated ``dims`` times; missing counts in front are 1.

    >>> gf.tile(gf.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    times = shape_of("tile", times if dims is None else (dims,))
    return repeated("tile", input, (1,) * (input.array.ndim - len(times)) + times)


def repeat_interleave(input: Tensor, repeats: Any = None, dim: Any = None, *, output_size: int | None = None) -> Tensor:
    """Each element ``repeats`` times in a row, along ``dim`` (flat without). Given ``repeats`` alone, the places 0, 1, ... so often.

    >>> gf.repeat_interleave(gf.tensor([1, 2]), 2), gf.repeat_interleave(gf.tensor([1, 2]), gf.tensor([1, 3]))
    (tensor([1, 1, 2, 2]), tensor([1, 2, 2, 2]))
    """
    if repeats is None:
        if input.array.ndim != 1:
            raise ShapeError(f"repeat_interleave: only accepts a 1-D vector of repeats; it has {input.array.ndim} dimensions")
        input, repeats = wrap(np.arange(input.array.size).astype(input.array.dtype)), input
    if dim is None:
        input, dim = input.reshape(-1), 0
    axis = axis_of("repeat_interleave", dim, input.array.ndim)
    counts = repeats.array if isinstance(repeats, Tensor) else np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise DTypeError("repeat_interleave: repeats has to be Long or Int tensor")
    if counts.size and counts.min() < 0:
        raise ArgumentError("repeat_interleave: repeats can not be negative")
    n = input.array.shape[axis]
    if counts.size not in (1, n):
        raise ShapeError(
            f"repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and input.size({axis}) = {n}"
        )
    if counts.sum(dtype=float) * (n if counts.size == 1 else 1) >= 2**60:  # NumPy multiplies without a look at the result
        raise MemoryError(f"repeat_interleave: the result has too many elements: {counts.sum(dtype=float):.3g} repetitions of {n}")
    index = np.repeat(np.arange(n), counts.reshape(-1) if counts.size == n and counts.ndim else int(counts.reshape(-1)[0]))
    if output_size is not None and integer("repeat_interleave", "output_size", output_size) != index.size:
        raise ShapeError(f"repeat_interleave: output_size is {output_size}, but the repeats add up to {index.size}")
    return rows_at(input, axis, index)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with the vector on its diagonal, or the diagonal of a matrix (a copy).

    >>> gf.diag(gf.tensor([1, 2])), gf.diag(gf.tensor([[1, 2], [3, 4]]))
    (tensor([[1, 0],
            [0, 2]]), tensor([1, 4]))
    """
    if input.array.ndim == 1:
        return diag_embed(input, diagonal)
    if input.array.ndim != 2:
        raise ShapeError(f"diag: matrix or a vector expected; it has {input.ndim} dimensions")
    return diagonal_of(input, diagonal).clone()


diagonal_of = diagonal


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last axis as the diagonal of two new axes ``dim1`` and ``dim2``, zeros elsewhere.

    >>> gf.diag_embed(gf.tensor([[1, 2]]))
    tensor([[[1, 0],
             [0, 2]]])
    """
    if not input.array.ndim:
        raise RankError("diag_embed: the input must have at least one axis")
    ndim = input.array.ndim + 1
    i, j = axis_of("diag_embed", dim1, ndim), axis_of("diag_embed", dim2, ndim)
    if i == j:
        raise ShapeError(f"diag_embed: diagonal dimensions cannot be identical {dim1}, {dim2}")
    n = input.array.shape[-1] + builtin_abs(offset)
    lead = list(input.array.shape[:-1])
    shape = [0] * ndim
    rest = iter(lead)
    for k in range(ndim):
        shape[k] = n if k in (i, j) else next(rest)
    return diagonal_embed(input, tuple(shape), offset, i, j)


@functools.lru_cache(maxsize=32)
def triangle(keep: Any, m: int, n: int, diagonal: int) -> np.ndarray:
    return keep(np.arange(n, dtype=np.int32), np.arange(diagonal, m + diagonal, dtype=np.int32)[:, None])


@linear
def without_triangle(a, diagonal, upper):
    """Zeros above a diagonal (``upper``) or below it. (Its own adjoint.)"""
    return backends.clear_triangle(dense(a), diagonal, upper)


@without_triangle.adjoint
def without_triangle_adjoint(g, shape, diagonal, upper):
    keep = np.less_equal if upper else np.greater_equal
    return tri("tril" if upper else "triu", g, diagonal, keep)


def tri(op: str, input: Tensor, diagonal: int, keep: Any) -> Tensor:
    diagonal = integer(op, "diagonal", diagonal)
    if input.array.ndim < 2:
        raise ShapeError(f"{op}: input tensor must have at least 2 dimensions")
    m, n = input.array.shape[-2:]
    diagonal = builtin_min(builtin_max(diagonal, -m), n)  # further out nothing changes
    if type(input.array) is np.ndarray:
        return named(without_triangle(input, diagonal, op == "tril"), f"{op.capitalize()}Backward0")
    mask = (triangle if m * n <= 4096 else triangle.__wrapped__)(keep, m, n, diagonal)
    kept = p.where_of(wrap(backends.beside(mask, input.array)), input, False if input.array.dtype.kind == "b" else 0)
    return named(kept, f"{op.capitalize()}Backward0")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal, zeros elsewhere.

    >>> gf.tril(gf.ones(3, 3)), gf.tril(gf.ones(3, 3), -1)
    (tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]]), tensor([[0., 0., 0.],
            [1., 0., 0.],
            [1., 1., 0.]]))
    """
    return tri("tril", input, diagonal, np.less_equal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and above a diagonal, zeros elsewhere.

    >>> gf.triu(gf.ones(3, 3)), gf.triu(gf.ones(3, 3), 1)
    (tensor([[1., 1., 1.],
            [0., 1., 1.],
            [0., 0., 1.]]), tensor([[0., 1., 1.],
            [0., 0., 1.],
            [0., 0., 0.]]))
    """
    return tri("triu", input, diagonal, np.greater_equal)


def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    >>> gf.trace(gf.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input.array.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return named(diagonal(input).sum(), "TraceBackward0")


@direct("unfold", windows.plan)
def unfold(input: Tensor, dimension: Any, size: int, step: int) -> Tensor:
    """Windows of ``size`` every ``step`` along an axis, on a new last axis; a view.

    >>> gf.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    axis, size, step = axis_of("unfold", dimension, input.array.ndim), integer("unfold", "size", size), integer("unfold", "step", step)
    n = input.array.shape[axis] if input.array.ndim else 1
    if size < 0 or size > n:
        raise ShapeError(f"unfold: maximum size for tensor at dimension {axis} is {n} but size is {size}")
    if step <= 0:
        raise ShapeError(f"unfold: step is {step} but must be > 0")
    if not input.array.ndim:
        return part(input.reshape(1), (slice(0, size),))
    try:
        return windows(input, axis, size, step)
    except ValueError:  # from NumPy, whose sizes in bytes fit 63 bits
        raise ShapeError(f"unfold: {n} elements have more windows of {size} than an array can have elements") from None


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with elements added before and after the last axes: ``pad`` is (left, right, top, bottom, ...).

    ``mode``: "constant" with ``value``, "reflect", "replicate" or "circular". Negative pads cut off.

    >>> gf.nn.functional.pad(gf.tensor([[1, 2]]), (1, 1)), gf.nn.functional.pad(gf.tensor([[1.0, 2.0]]), (1, 0), mode="replicate")
    (tensor([[0, 1, 2, 0]]), tensor([[1., 1., 2.]]))
    """
    if not isinstance(pad, tuple | list):
        raise DTypeError(f"pad: argument 'pad' must be tuple of ints, not {type(pad).__name__}")
    pad = [integer("pad", "pad", n) for n in pad]
    if len(pad) % 2 or len(pad) // 2 > input.array.ndim:
        raise ShapeError(
            f"pad: Padding length must be divisible by two and at most twice the number of dimensions of the input; it is {len(pad)} for {input.ndim}"
        )
    shape = input.array.shape
    if mode == "constant":
        keep: list[slice] = [slice(None)] * len(shape)
        full, place = list(shape), [slice(None)] * len(shape)
        for k in range(len(pad) // 2):
            axis = len(shape) - 1 - k
            before, after = pad[2 * k], pad[2 * k + 1]
            full[axis] = shape[axis] + before + after
            if full[axis] < 0:
                raise ShapeError(
                    f"pad: The input size {shape[axis]}, plus negative padding {before} and {after}, resulted in a negative output size"
                )
            keep[axis] = slice(builtin_max(-before, 0), shape[axis] - builtin_max(-after, 0))
            place[axis] = slice(builtin_max(before, 0), full[axis] - builtin_max(after, 0))
        out = embed(part(input, (*keep, Ellipsis)), tuple(full), tuple(place))
        value = element("pad", 0 if value is None else value, input.dtype)
        if value:
            mask = np.ones(full, bool)
            mask[tuple(place)] = False
            out = p.where(wrap(backends.beside(mask, out.array)), value, out)
        return named(out, "ConstantPadNdBackward0")
    names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    if mode not in names:
        raise ArgumentError(f"pad: Unrecognised padding mode {mode}; use constant, reflect, replicate or circular")
    if value:
        raise ArgumentError(f'pad: Padding mode "{mode}" doesn\'t take in value argument; it is {value}')
    out = input
    for k in range(len(pad) // 2):
        axis = len(shape) - 1 - k
        before, after, n = pad[2 * k], pad[2 * k + 1], shape[axis]
        limit = n - 1 if mode == "reflect" else n if mode == "circular" else builtin_max(before, after, 0)
        if builtin_max(before, after) > limit or (not n and (before or after)) or n + before + after < 0:
            raise ShapeError(
                f"pad: Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) at dimension {axis} of input {list(shape)}"
            )
        cut, grown = (-builtin_min(before, 0), n + builtin_min(after, 0)), (builtin_max(before, 0), builtin_max(after, 0))
        if mode == "circular":  # goes round what is left after the cut
            index = np.pad(np.arange(*cut), grown, mode="wrap") if cut[0] < cut[1] else np.arange(n)[:0]
        else:
            index = np.pad(np.arange(n), grown, mode=names[mode])[cut[0] : grown[0] + cut[1] + grown[1]]  # type: ignore[call-overload]
        out = rows_at(out, axis, backends.dense(index, dtype=np.int64))
    return out


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions in the flat tensor; the result has the shape of ``index``.

    >>> gf.take(gf.tensor([[1, 2], [3, 4]]), gf.tensor([0, 3]))
    tensor([1, 4])
    """
    if index.array.dtype != np.int64:
        raise DTypeError(f"take: Expected a long tensor for index, but got {index.dtype}")
    i, n = index.array, input.array.size
    if outside(i, -n, n):
        raise OutOfRangeError(f"take: index out of range: tried to access an element outside of {n} elements")
    return rows_at(input.reshape(-1), 0, from_front(i.reshape(-1), n)).reshape(i.shape)


builtin_abs, builtin_max, builtin_min = abs, max, min
