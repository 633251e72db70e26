"""Windows as columns and back, and resizing: each output is a sum of a few elements along each axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import ArgumentError, DTypeError, RankError, ShapeError
from ..kinds import linear
from ..tape.node import identity, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .adaptive_pooling import adaptive_avg
from .axes import integer
from .convolutions import at, sizes, taps, widened, windows
from .gathering import rows_at
from .products import matmul
from .reductions import float_only


class Unsupported(ArgumentError, NotImplementedError):
    """A mode that is not defined for so many axes."""


@linear(grad_name="Im2ColBackward0")
def to_columns(a, kernel, stride, padding, dilation, out):
    view = windows(widened(a, padding, padding), kernel, out, stride, dilation)
    columns = backends.empty(view.shape, of(a).code, a)
    backends.copy(view, columns)
    return columns.reshape(a.shape[0], a.shape[1] * math.prod(kernel), math.prod(out))


@to_columns.adjoint
def to_columns_adjoint(g, shape, kernel, stride, padding, dilation, out):
    return from_columns(g, tuple(shape), kernel, stride, padding, dilation, out)


@linear(grad_name="Col2ImBackward0")
def from_columns(g, shape, kernel, stride, padding, dilation, out):
    x = backends.zeros(shape, of(g).code, g)
    cover = g.reshape(*shape[:2], *kernel, *out)
    for index, there, those in taps(shape[2:], kernel, out, stride, padding, dilation):
        backends.elementwise(identity, (cover[(*at(index),)][at(those)],), x[at(there)], 1)
    return x


@from_columns.adjoint
def from_columns_adjoint(c, small, shape, *geometry):
    return to_columns(c, *geometry)


def geometry(op: str, space: tuple, kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[tuple[int, ...], ...]:
    kernel, dilation, padding, stride = (
        sizes(op, name, value, len(space))
        for name, value in (("kernel_size", kernel), ("dilation", dilation), ("padding", padding), ("stride", stride))
    )
    for name, values, least in (("kernel size", kernel, 1), ("dilation", dilation, 1), ("padding", padding, 0), ("stride", stride, 1)):
        if min(values) < least:
            raise ShapeError(f"{op}: {name} should be at least {least}, but got {list(values)}")
    out = tuple((n + 2 * q - d * (k - 1) - 1) // t + 1 for n, k, d, q, t in zip(space, kernel, dilation, padding, stride, strict=True))
    if any(n < 1 for n in out):
        raise ShapeError(
            f"{op}: Given spatial size {list(space)}, kernel_size={list(kernel)}, dilation={list(dilation)}, padding={list(padding)}, stride={list(stride)}, the shape of the array of windows is {list(out)}, too small"
        )
    return kernel, stride, padding, dilation, out


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of (N, C, H, W) as columns: (N, C K1 K2, number of windows); N may be missing.

    >>> gf.nn.functional.unfold(gf.ones(1, 2, 4, 4), 3).shape
    torch.Size([1, 18, 4])
    """
    op = "unfold"
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    shape = input.array.shape
    if len(shape) not in (3, 4) or not all(shape[-3:]):
        raise RankError(
            f"{op}: Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: {list(shape)}"
        )
    x = input if len(shape) == 4 else input.unsqueeze(0)
    y = to_columns(x, *geometry(op, shape[-2:], kernel_size, dilation, padding, stride))
    return y if len(shape) == 4 else y.squeeze(0)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Columns (N, C K1 K2, L) added up where their windows lie in (N, C, *output_size): the adjoint of :func:`unfold`.

    >>> gf.nn.functional.fold(gf.ones(1, 4, 4), (3, 3), (2, 2))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    op = "fold"
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    shape, space = input.array.shape, sizes(op, "output_size", output_size, 2)
    if len(shape) not in (2, 3) or not all(shape[-2:]):
        raise RankError(
            f"{op}: Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but got: {list(shape)}"
        )
    how = geometry(op, space, kernel_size, dilation, padding, stride)
    (kernel, *_, out), x = how, input if len(shape) == 3 else input.unsqueeze(0)
    n, rows, length = x.array.shape
    if rows % math.prod(kernel) or length != math.prod(out):
        raise ShapeError(
            f"{op}: Given output_size={list(space)} and kernel_size={list(kernel)}, expected an input of size (N, C * {math.prod(kernel)}, {math.prod(out)}), but got {list(shape)}"
        )
    y = from_columns(x, (n, rows // math.prod(kernel), *space), *how)
    return y if len(shape) == 3 else y.squeeze(0)


# Resizing

AXES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
NEAREST = ("nearest", "nearest-exact")


def positions(n: int, out: int, factor: float | None, corners: bool, real: Any) -> Any:
    """Where each output lies on the input's axis."""
    i = np.arange(out)
    if corners:
        return i * real((n - 1) / (out - 1) if out > 1 else 0)
    return (i + real(0.5)) * real(n / out if factor is None else 1 / factor) - real(0.5)


def nearest_rows(n: int, out: int, factor: float | None, exact: bool) -> Any:
    """In single precision, as torch does for every type."""
    scale = np.float32(n / out if factor is None else 1 / factor)
    i = np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum(np.floor(i * scale).astype(np.int64), n - 1)


def cubic(t: Any, a: float) -> Any:
    """Keys' kernel at the distance t."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return np.where(t <= 1, near, np.where(t < 2, ((t - 5) * t + 8) * a * t - 4 * a, 0.0))


def resized(x: Tensor, axis: int, out: int, factor: float | None, mode: str, corners: bool) -> Tensor:
    """One axis by sums of two neighbours, or of four for "bicubic"."""
    n, real = x.array.shape[axis], np.float64 if x.array.itemsize == 8 else np.float32
    where = positions(n, out, factor, corners, real)
    steps = (-1, 0, 1, 2) if mode == "bicubic" else (0, 1)
    where = where if mode == "bicubic" else np.maximum(where, 0)
    first = np.floor(where).astype(np.int64)
    t = where - first
    total: Any = None
    for step in steps:
        weight = cubic(t - step, -0.75) if mode == "bicubic" else t if step else 1 - t
        rows = rows_at(x, axis, np.clip(first + step, 0, n - 1))
        term = p.mul(rows, wrap(backends.beside(weight.astype(real).reshape(-1, *(1,) * (x.array.ndim - axis - 1)), x.array)))
        total = term if total is None else p.add(total, term)
    return total


def smoothed(x: Tensor, axis: int, out: int, factor: float | None, mode: str, corners: bool) -> Tensor:
    """One axis with the kernel as wide as the step, so that nothing between is lost (``antialias``): a product with a matrix."""
    n = x.array.shape[axis]
    scale = ((n - 1) / (out - 1) if out > 1 else 0.0) if corners else n / out if factor is None else 1 / factor
    wide, reach = max(scale, 1.0), 2 if mode == "bicubic" else 1
    centre = scale * (np.arange(out) + 0.5)[:, None]
    first = np.maximum((centre - reach * wide + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + reach * wide + 0.5).astype(np.int64), n)
    j = np.arange(n)
    t = (j - centre + 0.5) / wide
    weight = np.where((j >= first) & (j < last), cubic(t, -0.5) if mode == "bicubic" else np.maximum(1 - np.abs(t), 0), 0.0)
    weight /= weight.sum(1, keepdims=True)
    return matmul(x.movedim(axis, -1), wrap(backends.beside(np.ascontiguousarray(weight.T.astype(x.array.dtype)), x.array))).movedim(
        -1, axis
    )


def targets(input: Tensor, size: Any, scale_factor: Any, recompute: Any) -> tuple[tuple[int, ...], list[Any]]:
    """(the output's sizes, the factors that positions are computed with)"""
    op, space = "interpolate", input.array.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"{op}: either size or scale_factor should be defined, and only one of them; got {size} and {scale_factor}")
    given = size if scale_factor is None else scale_factor
    factors: list[Any] = [None] * len(space)
    listed = list(given) if isinstance(given, tuple | list) else [given] * len(space)
    if len(listed) != len(space):
        raise ArgumentError(
            f"{op}: Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of {list(space)} and {given}"
        )
    if scale_factor is None:
        if recompute:
            raise ArgumentError(f"{op}: recompute_scale_factor is not meaningful with an explicit size.")
        out = tuple(integer(op, "size", n) for n in listed)
    else:
        if not all(isinstance(f, int | float) for f in listed):
            raise DTypeError(f"{op}: argument 'scale_factor' must be float or tuple of floats, not {scale_factor!r}")
        out = tuple(math.floor(n * f) for n, f in zip(space, listed, strict=True))
        if not recompute:
            factors = [float(f) for f in listed]
    if any(n <= 0 for n in (*out, *space)):
        raise ShapeError(f"{op}: Input and output sizes should be greater than 0, but got input {list(space)} and output {list(out)}")
    return out, factors


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """(N, C, *space) resized to ``size`` or by ``scale_factor``.

    Pixels of uint8 are interpolated in float32 and rounded after each axis, the last one first. ``mode``: "nearest", "nearest-exact", "linear" (one axis of space), "bilinear", "bicubic" (two), "trilinear" (three), "area".

    >>> gf.nn.functional.interpolate(gf.tensor([[[1.0, 3.0]]]), 4, mode="linear")
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    op = "interpolate"
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if mode not in (*NEAREST, *AXES, "area"):
        raise Unsupported(f"{op}: Input Error: mode {mode!r} is none of {(*NEAREST, *AXES, 'area')}")
    if align_corners is not None and mode not in AXES:
        raise ArgumentError(
            f"{op}: align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    space = input.array.ndim - 2
    if not 1 <= space <= 3 or AXES.get(mode, space) != space:
        raise Unsupported(
            f"{op}: Got {input.ndim}D input, but mode {mode!r} needs {AXES.get(mode, '1 to 3')} axes of space after batch and channels"
        )
    out, factors = targets(input, size, scale_factor, recompute_scale_factor)
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ArgumentError(f"{op}: Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input")
    if mode == "area":
        return adaptive_avg(op, space, input, out)
    if mode in NEAREST:
        y = input
        for axis, (n, factor) in enumerate(zip(out, factors, strict=True), 2):
            y = rows_at(y, axis, nearest_rows(input.array.shape[axis], n, factor, mode != "nearest"))
        return named(y, f"UpsampleNearest{space}DBackward0")
    pixels = input.array.dtype == np.uint8 and space == 2
    if not pixels:
        float_only(op, input)
    y = input.float() if input.array.itemsize < 4 else input
    for axis, n, factor in list(zip(range(2, 2 + space), out, factors, strict=True))[:: -1 if pixels else 1]:
        y = (smoothed if antialias else resized)(y, axis, n, factor, mode, bool(align_corners))
        if pixels:
            y = p.clamp(p.floor(p.add(y, 0.5)), 0, 255)
    return named(y.to(input.dtype), f"Upsample{mode.capitalize()}{space}DBackward0")
