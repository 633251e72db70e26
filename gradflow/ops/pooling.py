"""Pooling: folds over windows of space. Sums are linear maps; a maximum reads the input at the places that win."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import DTypeError, RankError, ShapeError
from ..kinds import custom, linear
from ..kinds.out import into
from ..scalar import primitives as s
from ..scalar.types import INT64
from ..tape.node import identity, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import integer
from .convolutions import at, sizes, taps
from .gathering import gather_at, scatter_zeros


class Windows(NamedTuple):
    """Along each axis of space: (windows, 3) numbers, which are each one's first element, how many it has, and its part of the divisor."""

    spans: tuple[np.ndarray, ...]
    steps: tuple[int, ...]  # from one element of a window to the next

    @property
    def out(self) -> tuple[int, ...]:
        return tuple(len(s) for s in self.spans)


@functools.lru_cache(maxsize=256)
def span(n: int, kernel: int, stride: int, before: int, dilation: int, out: int, pads: bool | None) -> np.ndarray:
    """Of an axis of ``n`` elements; ``pads``: do elements of the padding count? ``None`` for divisors of 1."""
    start = np.arange(out) * stride - before
    first = np.where(start < 0, start + -(start // dilation) * dilation, start)
    number = np.maximum(-(-(np.minimum(n, start + dilation * (kernel - 1) + 1) - first) // dilation), 0)
    count = np.minimum(start + kernel, n + before) - start if pads else number
    result = np.stack([first, number, np.ones(out, np.int64) if pads is None else np.maximum(count, 1)], 1)
    result.flags.writeable = False
    return result


@functools.lru_cache(maxsize=256)
def share(n: int, out: int) -> np.ndarray:
    """An axis of ``n`` elements in ``out`` nearly equal parts, which may overlap."""
    i = np.arange(out)
    start = i * n // max(out, 1)
    number = -(-(i + 1) * n // max(out, 1)) - start
    result = np.stack([start, number, np.maximum(number, 1)], 1)
    result.flags.writeable = False
    return result


def windows_of(space: tuple, kernel: tuple, stride: tuple, before: tuple, dilation: tuple, out: tuple, pads: bool | None = None) -> Windows:
    numbers = zip(space, kernel, stride, before, dilation, out, strict=True)
    return Windows(tuple([span(*axis, pads) for axis in numbers]), dilation)


def on_device(a: Any) -> bool:
    return type(a) is not np.ndarray and backends.place_of(a) is not None


@custom(outputs=2, grad_name="MaxPoolWithIndicesBackward0")
def largest(a, windows):
    """The largest elements and their places in the flat planes."""
    values, places = backends.pool_max(a, *windows)
    return (values, places), (places, a.shape)


@largest.vjp
def largest_vjp(g, needs, places, shape, windows):
    n, space = math.prod(shape[2:]), places.array.shape[2:]
    given = g[0].reshape(*shape[:2], math.prod(space))
    return scatter_zeros(given, (*shape[:2], n), 2, backends.dense(places.array).reshape(given.array.shape)).reshape(shape)


@linear(grad_name="AvgPoolBackward0")
def means(a, windows):
    return backends.pool_mean(a, *windows)


@means.adjoint
def means_adjoint(g, shape, windows):
    return shares(g, tuple(shape), windows)


@linear(grad_name="AvgPoolBackward0")
def shares(g, shape, windows):
    """Each window gives its part to the elements it covers."""
    return backends.pool_spread(g, shape[2:], *windows)


@shares.adjoint
def shares_adjoint(c, small, shape, windows):
    return means(c, windows)


# On a device: the windows' first elements all together, then their second ones, ...


@linear(grad_name="AvgPoolBackward0")
def sum_windows(a, kernel, stride, before, out):
    y = backends.zeros((*a.shape[:2], *out), of(a).code, a)
    for _, there, those in taps(a.shape[2:], kernel, out, stride, before, (1,) * len(out)):
        backends.elementwise(identity, (a[at(there)],), y[at(those)], 1)
    return y


@sum_windows.adjoint
def sum_windows_adjoint(g, shape, kernel, stride, before, out):
    return cover_windows(g, shape, kernel, stride, before, out)


@linear(grad_name="AvgPoolBackward0")
def cover_windows(g, shape, kernel, stride, before, out):
    """Each window gives to the elements it covers."""
    x = backends.zeros(shape, of(g).code, g)
    for _, there, those in taps(shape[2:], kernel, out, stride, before, (1,) * len(out)):
        backends.elementwise(identity, (g[at(those)],), x[at(there)], 1)
    return x


@cover_windows.adjoint
def cover_windows_adjoint(c, small, shape, kernel, stride, before, out):
    return sum_windows(c, kernel, stride, before, out)


def better(v, best, place, candidate):
    """The larger value and its place; nan is larger than all."""
    wins = s.gt(v, best) | s.ne(v, v)
    return s.where(wins, v, best), s.where(wins, candidate, place)


choose = backends.kernel(better, outputs=2, raw=("place", "candidate"))


def winners(a: Any, first: Any, out: tuple, candidates: Iterator[tuple[Any, Any, tuple]]) -> Any:
    """The place of the largest value of each window: of (values, their places, the windows they belong to), or ``first`` if all are -inf."""
    shape = (*a.shape[:2], *out)
    best = backends.empty(shape, of(a).code, a)
    best.fill(-np.inf if a.dtype.kind in "fV" else np.iinfo(a.dtype).min)
    place = backends.empty(shape, INT64, a)
    place[...] = first
    for values, places, those in candidates:
        key = at(those)
        backends.elementwise(choose, (values, best[key], place[key], backends.beside(places, a)), (best[key], place[key]))
    return place


def pitches(space: tuple) -> list[int]:
    return [math.prod(space[i + 1 :]) for i in range(len(space))]


def grid(starts: list[Any], space: tuple) -> Any:
    """Places in a flat plane from positions on each axis."""
    total: Any = np.zeros((), np.int64)
    for i, (start, pitch) in enumerate(zip(starts, pitches(space), strict=True)):
        total = total + (start * pitch).reshape(-1, *(1,) * (len(space) - 1 - i))
    return total


def read_at(x: Tensor, places: Any) -> Tensor:
    """The elements of each plane at flat places: the gradient goes there."""
    planes = x.reshape(*x.array.shape[:2], -1) if x.array.size else x.reshape(*x.array.shape[:2], math.prod(x.array.shape[2:]))
    y = gather_at(planes, 2, backends.dense(places.reshape(*places.shape[:2], math.prod(places.shape[2:]))))
    return y.reshape(places.shape)


# torch's signatures


def batched(op: str, space: int, input: Any) -> tuple[Tensor, bool]:
    """(the input with a batch, whether it had one)"""
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    shape = input.array.shape
    if len(shape) not in (space + 1, space + 2):
        raise RankError(f"{op}: Expected {space + 1}D or {space + 2}D (batch mode) tensor for input, but got: {list(shape)}")
    if not all(shape[-space - 1 :]):
        raise ShapeError(f"{op}: Expected input's non-batch dimensions to have positive length, but got {list(shape)}")
    if input.array.dtype.kind == "b":
        raise DTypeError(f"{op}: not implemented for bool; convert with .float()")
    return (input, True) if len(shape) == space + 2 else (input.unsqueeze(0), False)


def pooled(op: str, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: Any) -> tuple[tuple, ...]:
    """(kernel, stride, padding, dilation, output sizes), checked."""
    n = x.array.ndim - 2
    kernel = sizes(op, "kernel_size", kernel, n)
    stride = kernel if stride is None or stride == [] or stride == () else sizes(op, "stride", stride, n)
    padding, dilation = sizes(op, "padding", padding, n), sizes(op, "dilation", dilation, n)
    for name, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if any(v <= 0 for v in values):
            raise ShapeError(f"{op}: {name} should be greater than zero, but got {list(values)}")
    if any(not 0 <= q <= (d * (k - 1) + 1) // 2 for q, k, d in zip(padding, kernel, dilation, strict=True)):
        raise ShapeError(
            f"{op}: pad must be non-negative and at most half of effective kernel size, but got pad={list(padding)}, kernel_size={list(kernel)} and dilation={list(dilation)}"
        )
    out = []
    for size, k, t, q, d in zip(x.array.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = size + 2 * q - d * (k - 1) - 1
        count = (-(-room // t) if ceil else room // t) + 1
        out.append(count - 1 if ceil and (count - 1) * t >= size + q else count)  # no window starts in the padding at the end
    if any(count < 1 for count in out):
        raise ShapeError(f"{op}: Given input size: {list(x.shape[1:])}. Calculated output size: {out}. Output size is too small")
    return kernel, stride, padding, dilation, tuple(out)


def max_pool(op: str, space: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: Any, indices: Any) -> Any:
    x, had = batched(op, space, input)
    kernel, stride, padding, dilation, out = pooled(op, x, kernel, stride, padding, dilation, ceil)
    shape = x.array.shape[2:]
    if not on_device(x.array):
        y, where = largest(x, windows_of(shape, kernel, stride, padding, dilation, out))
        return given_back(named(y, f"MaxPool{space}DWithIndicesBackward0"), where, had, indices)
    starts = [np.arange(n) * t - q for n, t, q in zip(out, stride, padding, strict=True)]
    inside = [np.where(i < 0, i + -(i // d) * d, i) for i, d in zip(starts, dilation, strict=True)]
    corner = grid(starts, shape)

    def candidates() -> Iterator[tuple[Any, Any, tuple]]:
        for index, there, those in taps(shape, kernel, out, stride, padding, dilation):
            offset = sum(k * d * pitch for k, d, pitch in zip(index, dilation, pitches(shape), strict=True))
            yield x.array[at(there)], corner[those] + offset, those

    return read(op, x, winners(x.array, grid(inside, shape), out, candidates()), had, indices)


def read(op: str, x: Tensor, places: Any, had: bool, indices: bool) -> Any:
    return given_back(read_at(x, places), wrap(backends.beside(places, x.array)), had, indices)


def given_back(y: Tensor, where: Tensor, had: bool, indices: Any) -> Any:
    if not had:
        y, where = y.squeeze(0), where.squeeze(0)
    return (y, where) if indices else y


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, L); the first of equals gets the gradient. nan is larger than all.

    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, rounded up with ``ceil_mode``; ``stride`` is the window's size
    unless given. With ``return_indices`` also where they are.

    >>> gf.nn.functional.max_pool1d(gf.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool1d` over two axes of space; indices are places in a flat plane.

    >>> gf.nn.functional.max_pool2d(gf.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool1d` over three axes of space; indices are places in a flat volume.

    >>> gf.nn.functional.max_pool3d(gf.ones(1, 1, 4, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    return max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def mean_on_device(x: Tensor, kernel: tuple, stride: tuple, padding: tuple, out: tuple, pads: bool, divisor: int | None) -> Tensor:
    by: Any = divisor
    if divisor is None:
        counts = []
        for n, k, t, q, size in zip(out, kernel, stride, padding, x.array.shape[2:], strict=True):
            start = np.arange(n) * t - q
            end = np.minimum(start + k, size + q)
            counts.append(end - start if pads else np.minimum(end, size) - np.maximum(start, 0))
        number = np.ones((), np.int64)
        for i, c in enumerate(counts):
            number = number * c.reshape(-1, *(1,) * (len(counts) - 1 - i))
        same = number.size and (number == number.flat[0]).all()
        by = int(number.flat[0]) if same else wrap(backends.beside(number, x.array))
    if x.array.dtype.kind not in "fV":
        return sum_windows(x, kernel, stride, padding, out).div(by, rounding_mode="trunc")
    wide = x.float() if x.array.itemsize == 2 else x
    return p.div(sum_windows(wide, kernel, stride, padding, out), by).to(x.dtype)


def avg_pool(op: str, space: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil: Any, pads: bool, divisor: Any) -> Tensor:
    x, had = batched(op, space, input)
    kernel, stride, padding, _, out = pooled(op, x, kernel, stride, padding, 1, ceil)
    if divisor is not None:
        divisor = integer(op, "divisor_override", divisor)
        if not divisor:
            raise ShapeError(f"{op}: divisor must be not zero")
    if on_device(x.array):
        y = mean_on_device(x, kernel, stride, padding, out, bool(pads), divisor)
    else:
        windows = windows_of(x.array.shape[2:], kernel, stride, padding, (1,) * space, out, bool(pads) if divisor is None else None)
        short = x.array.itemsize == 2 and x.array.dtype.kind in "fV"
        y = means(x.float() if short else x, windows)
        if divisor is not None:
            y = p.div(y, divisor) if input.array.dtype.kind in "fV" else y.div(divisor, rounding_mode="trunc")
        y = y.to(x.dtype) if short else y
    y = y if had else y.squeeze(0)
    return named(y, f"AvgPool{space}DBackward0")


def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of (N, C, L); zeros around count as elements unless ``count_include_pad`` is false.

    >>> gf.nn.functional.avg_pool1d(gf.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Any = None,
) -> Tensor:
    """:func:`avg_pool1d` over two axes of space; ``divisor_override`` divides in place of the number of elements.

    >>> gf.nn.functional.avg_pool2d(gf.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[1.5000]]]])
    """
    if out is not None:
        given = (input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return into("avg_pool2d", out, avg_pool2d, given, {})
    return avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    out: Any = None,
) -> Tensor:
    """:func:`avg_pool2d` over three axes of space.

    >>> gf.nn.functional.avg_pool3d(gf.ones(1, 1, 4, 4, 4), 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    if out is not None:
        given = (input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        return into("avg_pool3d", out, avg_pool3d, given, {})
    return avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
