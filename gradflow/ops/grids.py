"""Images read at places that a grid says: spatial transformers. Jaderberg et al. 2015."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, RankError, ShapeError
from ..tensor import Tensor, wrap
from .pointwise import where
from .views import require_tensor


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that affine maps send those of an image to, for :func:`grid_sample`: (N, H, W, 2), or (N, D, H, W, 3).

    ``theta`` is (N, 2, 3), or (N, 3, 4), ``size`` that of the result of sampling: (N, C, H, W), or (N, C, D, H, W). -1 and 1 are the
    centres of the first and last elements with ``align_corners``, else their outer edges.

    >>> gf.nn.functional.affine_grid(gf.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    require_tensor("affine_grid", theta)
    if not theta.dtype.is_floating_point:
        raise ArgumentError(f"affine_grid: Expected theta to have floating point type, but got {theta.dtype}")
    sizes = tuple(int(n) for n in size)
    if len(sizes) not in (4, 5):
        raise NotImplementedError(f"affine_grid: only 4-D and 5-D sizes are supported, for 2D and 3D affine transforms; got size {sizes}")
    space = len(sizes) - 2
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (space, space + 1):
        raise ArgumentError(
            f"affine_grid: Expected a batch of {space}D affine matrices of shape Nx{space}x{space + 1} for size {sizes}. Got {theta.shape}."
        )
    if min(sizes) <= 0:
        raise ArgumentError(f"affine_grid: Expected non-zero, positive output size. Got {sizes}")
    if theta.shape[0] != sizes[0]:
        raise ShapeError(f"affine_grid: theta has {theta.shape[0]} maps and size {sizes[0]} samples; give as many")
    _told("affine_grid", align_corners)
    axes = []
    for n in sizes[2:]:
        line = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
        axes.append(line if align_corners else line * ((n - 1) / n))
    places = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(sizes[2:])], -1)  # (x, y, ..., 1)
    base = wrap(places.reshape(-1, space + 1).astype(theta.array.dtype)).to(theta.device)
    return (base @ theta.transpose(1, 2)).reshape(sizes[0], *sizes[2:], space)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """``input`` (N, C, H, W), or (N, C, D, H, W), read at the places of ``grid`` (N, *out, 2), or (N, *out, 3): (N, C, *out).

    A place is (x, y), or (x, y, z), from -1 to 1 over the image (:func:`affine_grid` says how). ``mode`` is "bilinear" (of three axes
    trilinear), "nearest" or, for two axes, "bicubic". What lies outside is 0 with ``padding_mode`` "zeros", the nearest element with
    "border", a mirror's image with "reflection". The gradient for a place that is cut to the border is 0, as that of "nearest".

    >>> x = gf.tensor([[[[1.0, 3.0]]]])
    >>> gf.nn.functional.grid_sample(x, gf.tensor([[[[0.0, 0.0]]]]), align_corners=True)
    tensor([[[[2.]]]])
    """
    op = "grid_sample"
    for name, chosen, choices in (
        ("mode", mode, ("bilinear", "nearest", "bicubic")),
        ("padding_mode", padding_mode, ("zeros", "border", "reflection")),
    ):
        if chosen not in choices:
            raise ArgumentError(f"{op}: {name} must be one of {choices}, but got: {chosen!r}")
    for x in (input, grid):
        require_tensor(op, x)
    if input.dtype is not grid.dtype or not input.dtype.is_floating_point:
        raise DTypeError(
            f"{op}: expected input and grid to have the same floating point dtype, but they have {input.dtype} and {grid.dtype}"
        )
    space = input.ndim - 2
    if space not in (2, 3) or grid.ndim != input.ndim:
        raise RankError(
            f"{op}: expected 4D or 5D input and grid with same number of dimensions, but got input with sizes {tuple(input.shape)} "
            f"and grid with sizes {tuple(grid.shape)}"
        )
    if grid.shape[-1] != space or input.shape[0] != grid.shape[0]:
        raise ShapeError(
            f"{op}: expected grid to have size {space} in last dimension and the batch size of input, but got input with sizes "
            f"{tuple(input.shape)} and grid with sizes {tuple(grid.shape)}"
        )
    if 0 in input.shape[2:]:
        raise ShapeError(f"{op}: expected input to have non-empty spatial dimensions, but input has sizes {tuple(input.shape)}")
    if mode == "bicubic" and space == 3:
        raise ShapeError(f"{op}: bicubic interpolation only supports 4D input; this has sizes {tuple(input.shape)}")
    _told(op, align_corners)
    aligned, sizes = bool(align_corners), tuple(input.shape[2:])
    # the axes' coordinates, in the order of the image's axes
    places = [((g + 1) * (n - 1) if aligned else (g + 1) * n - 1) / 2 for g, n in zip(reversed(grid.unbind(-1)), sizes, strict=True)]
    if mode != "bicubic":
        places = [_inside(x, n, padding_mode, aligned) for x, n in zip(places, sizes, strict=True)]
    neighbours = {"bilinear": _linear, "nearest": _nearest, "bicubic": _cubic}[mode]
    total: Any = None
    for corner in itertools.product(*(neighbours(x) for x in places)):
        index = [i if mode != "bicubic" else _inside(i, n, padding_mode, aligned) for (i, _), n in zip(corner, sizes, strict=True)]
        weights = [w for _, w in corner if w is not None]
        value = _at(input, index, sizes)
        for w in weights:
            value = value * w.unsqueeze(1)
        total = value if total is None else total + value
    return total


def _told(op: str, align_corners: bool | None) -> None:
    if align_corners is None:
        warnings.warn(f"{op}: align_corners is False by default; say which you mean", stacklevel=3)


def _inside(x: Tensor, n: int, padding_mode: str, aligned: bool) -> Tensor:
    """Coordinates brought into the image, as the padding says."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        low, span = (0.0, n - 1) if aligned else (-0.5, n)
        if span == 0:
            x = x * 0
        else:
            x = (x - low).abs()
            turns = (x.detach() / span).floor()
            rest = x - turns * span
            x = where(turns % 2 == 0, rest, span - rest) + low
    cut = x.detach().clamp(0, n - 1)
    return where((x.detach() > 0) & (x.detach() < n - 1), x, cut)


def _nearest(x: Tensor) -> list[tuple[Tensor, Any]]:
    return [(x.detach().round(), None)]


def _linear(x: Tensor) -> list[tuple[Tensor, Any]]:
    """(neighbour, its weight)"""
    low = x.detach().floor()
    share = x - low
    return [(low, 1 - share), (low + 1, share)]


def _cubic(x: Tensor) -> list[tuple[Tensor, Any]]:
    """(neighbour, its weight) of cubic convolution with a = -3/4. Keys 1981."""
    low, a = x.detach().floor(), -0.75
    t = x - low

    def near(t: Tensor) -> Tensor:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Tensor) -> Tensor:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return [(low - 1, far(t + 1)), (low, near(t)), (low + 1, near(1 - t)), (low + 2, far(2 - t))]


def _at(input: Tensor, index: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    """The elements at whole coordinates, 0 outside: (N, C, *out)."""
    batch, channels = input.shape[:2]
    flat: Any = 0
    seen: Any = True
    for i, n in zip(index, sizes, strict=True):
        seen = seen & (i >= 0) & (i < n)
        flat = flat * n + where(i == i, i, 0).clamp(0, n - 1)  # nan is nowhere
    out = tuple(flat.shape[1:])
    places = flat.long().reshape(batch, 1, -1).expand(batch, channels, math.prod(out))
    found = input.reshape(batch, channels, -1).gather(2, places).reshape(batch, channels, *out)
    return where(seen.unsqueeze(1), found, 0.0)
