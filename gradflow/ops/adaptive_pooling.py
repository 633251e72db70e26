"""Pooling in a given number of parts, by other norms, and its reverse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError, ShapeError
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import integer
from .convolutions import sizes
from .gathering import rows_at
from .pooling import (
    Windows,
    batched,
    given_back,
    grid,
    largest,
    means,
    on_device,
    pooled,
    read,
    share,
    sum_windows,
    windows_of,
    winners,
)
from .reductions import sum_over
from .scattering import scatter


def parts_of(n: int, out: int) -> tuple[Any, Any]:
    """An axis of ``n`` in ``out`` nearly equal parts, which may overlap: (start, end) of each."""
    parts = share(n, out)
    return parts[:, 0], parts[:, 0] + parts[:, 1]


def parts(space: tuple, out: tuple) -> Windows:
    return Windows(tuple([share(n, k) for n, k in zip(space, out, strict=True)]), (1,) * len(out))


def adaptive_sizes(op: str, space: int, input: Any, output_size: Any) -> tuple[Tensor, bool, tuple[int, ...]]:
    if space > 1 and isinstance(input, Tensor) and input.array.ndim <= space:
        raise ArgumentError(f"{op}: Input dimension should be at least {space + 1}, it is {input.array.ndim}")
    x, had = batched(op, space, input)
    if output_size is None:
        raise DTypeError(f"{op}: argument 'output_size' must be int or tuple of ints, not NoneType")
    wanted = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * space
    if len(wanted) == 1:
        wanted *= space
    if len(wanted) != space:
        raise ShapeError(f"{op}: output_size must be {space} numbers, but got {list(wanted)}")
    out = tuple(n if k is None else integer(op, "output_size", k) for k, n in zip(wanted, x.array.shape[2:], strict=True))
    if any(n < 0 for n in out):
        raise ShapeError(f"{op}: elements of output_size must be greater than or equal to 0, but got {list(out)}")
    return x, had, out


def adaptive_avg(op: str, space: int, input: Any, output_size: Any) -> Tensor:
    x, had, out = adaptive_sizes(op, space, input, output_size)
    if x.array.dtype.kind not in "fV":
        raise DTypeError(f"{op}: not implemented for {x.dtype}; convert with .float()")
    y = x.float() if x.array.itemsize == 2 else x
    shape = x.array.shape[2:]
    if set(out) == {1}:
        y = y.mean(tuple(range(2, space + 2)), keepdim=True)
    elif not on_device(y.array):
        y = means(y, parts(shape, out))
    elif all(k and n % k == 0 for n, k in zip(shape, out, strict=True)):
        kernel = tuple(n // k for n, k in zip(shape, out, strict=True))
        y = p.div(sum_windows(y, kernel, kernel, (0,) * space, out), math.prod(kernel))
    else:
        for axis, (n, k) in enumerate(zip(shape, out, strict=True), 2):
            y = mean_of_parts(y, axis, n, k)
    y = y.to(x.dtype)
    return named(y if had else y.squeeze(0), f"AdaptiveAvgPool{space}DBackward0")


def mean_of_parts(x: Tensor, axis: int, n: int, out: int) -> Tensor:
    start, end = parts_of(n, out)
    most = int((end - start).max(initial=1))
    index = start[:, None] + np.arange(most)
    inside = index < end[:, None]
    rows = rows_at(x, axis, np.minimum(index, n - 1).reshape(-1))
    shape, rest = rows.array.shape, (1,) * (x.array.ndim - axis - 1)
    rows = rows.reshape(*shape[:axis], out, most, *shape[axis + 1 :])
    kept = p.where(wrap(backends.beside(inside.reshape(out, most, *rest), rows.array)), rows, 0.0)
    return p.div(sum_over(kept, (axis + 1,), False), wrap(backends.beside((end - start).reshape(out, *rest), kept.array)))


def adaptive_max(op: str, space: int, input: Any, output_size: Any, indices: bool) -> Any:
    x, had, out = adaptive_sizes(op, space, input, output_size)
    shape = x.array.shape[2:]
    if not on_device(x.array):
        y, where = largest(x, parts(shape, out))
        return given_back(named(y, f"AdaptiveMaxPool{space}DBackward0"), where, had, indices)
    bounds = [parts_of(n, k) for n, k in zip(shape, out, strict=True)]
    everything = (slice(None),) * space

    def candidates() -> Iterator[tuple[Any, Any, tuple]]:
        for index in np.ndindex(*(int((end - start).max(initial=0)) for start, end in bounds)):
            # past the end of a shorter part its last element again: it changes nothing
            where = [np.minimum(start + k, end - 1) for k, (start, end) in zip(index, bounds, strict=True)]
            places = grid(where, shape)
            yield x.array.reshape(*x.array.shape[:2], math.prod(shape))[:, :, places], places, everything

    return read(op, x, winners(x.array, grid([start for start, _ in bounds], shape), out, candidates()), had, indices)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The means of ``output_size`` nearly equal parts of the last axis: part i is from floor(i L / n) to ceil((i + 1) L / n).

    >>> gf.nn.functional.adaptive_avg_pool1d(gf.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
    tensor([[[1.5000, 3.5000]]])
    """
    return adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """:func:`adaptive_avg_pool1d` over two axes of space; ``None`` keeps a size.

    >>> gf.nn.functional.adaptive_avg_pool2d(gf.ones(1, 3, 8, 7), (2, None)).shape
    torch.Size([1, 3, 2, 7])
    """
    return adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """:func:`adaptive_avg_pool1d` over three axes of space.

    >>> gf.nn.functional.adaptive_avg_pool3d(gf.ones(1, 3, 4, 5, 6), 2).shape
    torch.Size([1, 3, 2, 2, 2])
    """
    return adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` nearly equal parts, as in :func:`adaptive_avg_pool1d`.

    >>> gf.nn.functional.adaptive_max_pool1d(gf.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
    tensor([[[2., 4.]]])
    """
    return adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` over two axes of space.

    >>> gf.nn.functional.adaptive_max_pool2d(gf.arange(4.0).reshape(1, 1, 2, 2), 1)
    tensor([[[[3.]]]])
    """
    return adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` over three axes of space.

    >>> gf.nn.functional.adaptive_max_pool3d(gf.ones(1, 3, 4, 5, 6), 2).shape
    torch.Size([1, 3, 2, 2, 2])
    """
    return adaptive_max("adaptive_max_pool3d", 3, input, output_size, return_indices)


def lp_pool(op: str, space: int, input: Any, norm_type: float, kernel: Any, stride: Any, ceil: bool) -> Tensor:
    x, had = batched(op, space, input)
    kernel, stride, padding, _, out = pooled(op, x, kernel, stride, 0, 1, ceil)
    powers = p.pow(x, norm_type)
    if on_device(x.array):
        total = sum_windows(powers, kernel, stride, padding, out)
    else:
        wide = powers.float() if powers.array.itemsize == 2 else powers
        total = means(wide, windows_of(x.array.shape[2:], kernel, stride, padding, (1,) * space, out)).to(powers.dtype)
    y = p.pow(total, 1 / norm_type)
    return y if had else y.squeeze(0)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of x ** norm_type) ** (1 / norm_type) over each window.

    >>> gf.nn.functional.lp_pool1d(gf.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """:func:`lp_pool1d` over two axes of space.

    >>> gf.nn.functional.lp_pool2d(gf.arange(4.0).reshape(1, 1, 2, 2), 1, 2)
    tensor([[[[6.]]]])
    """
    return lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """:func:`lp_pool1d` over three axes of space.

    >>> gf.nn.functional.lp_pool3d(gf.ones(1, 1, 4, 4, 4), 2, 2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    return lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def max_unpool(op: str, space: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any) -> Tensor:
    x, had = batched(op, space, input)
    if not isinstance(indices, Tensor) or indices.array.dtype != np.int64:
        raise DTypeError(f"{op}: elements in indices should be type int64")
    if indices.array.shape != input.array.shape:
        raise ShapeError(
            f"{op}: Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got {list(indices.shape)}"
        )
    kernel = sizes(op, "kernel_size", kernel, space)
    stride, padding = kernel if stride is None else sizes(op, "stride", stride, space), sizes(op, "padding", padding, space)
    least = tuple((n - 1) * t - 2 * q + k for n, t, q, k in zip(x.array.shape[2:], stride, padding, kernel, strict=True))
    if not isinstance(output_size, tuple | list | None):
        raise DTypeError(f"{op}: argument 'output_size' must be tuple of ints, not {type(output_size).__name__}")
    out = least if output_size is None else tuple(integer(op, "output_size", n) for n in output_size)[-space:]
    if output_size is not None and len(output_size) not in (space, space + 2):
        raise ArgumentError(f"{op}: output_size should be a sequence of {space} or {space + 2} elements, but it has {len(output_size)}")
    if len(out) != space or any(abs(n - m) >= t for n, m, t in zip(out, least, stride, strict=True)):
        raise ArgumentError(f"{op}: invalid output_size {output_size}; sizes must be within the stride {list(stride)} of {list(least)}")
    places, n = indices.array.reshape(*x.array.shape[:2], math.prod(x.array.shape[2:])), math.prod(out)
    if places.size and not (places.min() >= 0 and places.max() < n):
        raise ShapeError(f"{op}: found an invalid max index: {places.max()} (output volumes are of size {list(out)})")
    empty = wrap(backends.zeros((*x.array.shape[:2], n), x.dtype.code, x.array))
    y = scatter(empty, 2, wrap(backends.beside(places, x.array)), x.reshape(places.shape)).reshape(*x.array.shape[:2], *out)
    return y if had else y.squeeze(0)


def max_unpool1d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """Zeros with the elements at the places that ``max_pool1d(..., return_indices=True)`` gave.

    >>> y, places = gf.nn.functional.max_pool1d(gf.tensor([[1.0, 3.0, 2.0, 4.0]]), 2, return_indices=True)
    >>> gf.nn.functional.max_unpool1d(y, places, 2)
    tensor([[0., 3., 0., 4.]])
    """
    return max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """:func:`max_unpool1d` over two axes of space.

    >>> y, places = gf.nn.functional.max_pool2d(gf.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True)
    >>> gf.nn.functional.max_unpool2d(y, places, 2)
    tensor([[[[0., 0.],
              [0., 3.]]]])
    """
    return max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Tensor:
    """:func:`max_unpool1d` over three axes of space.

    >>> y, places = gf.nn.functional.max_pool3d(gf.ones(1, 1, 4, 4, 4), 2, return_indices=True)
    >>> gf.nn.functional.max_unpool3d(y, places, 2).shape
    torch.Size([1, 1, 4, 4, 4])
    """
    return max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
