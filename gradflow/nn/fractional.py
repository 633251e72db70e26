"""Fractional max pooling: windows whose steps are drawn, so that any smaller size can be reached (Graham, 2014)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import Tensor


def several(op: str, name: str, value: Any, n: int) -> tuple[Any, ...]:
    if isinstance(value, int | float):
        return (value,) * n
    if not (isinstance(value, Sequence) and len(value) == n):
        raise ArgumentError(f"{op}: {name} must either be a single number, or a tuple of {n}; got {value!r}")
    return tuple(value)


def _starts(sample: Tensor, size: int, out: int, kernel: int) -> Tensor:
    """Where the windows begin: steps of (size - kernel) / (out - 1) from a drawn place, rounded down; the last is at the end."""
    step = (size - kernel) / max(out - 1, 1)
    first = (sample * step).to(gf.int64)
    places = ((gf.arange(out - 1, device=sample.device).to(sample.dtype) + sample) * step).to(gf.int64) - first
    return gf.cat([places, gf.full_like(first, size - kernel)], -1)


def _pool(
    op: str, n: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Tensor | None
) -> tuple[Tensor, Tensor]:
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if input.ndim not in (n + 1, n + 2) or 0 in input.shape[input.ndim - n - 1 :]:
        raise ShapeError(
            f"{op}: Expected {n + 1}D or {n + 2}D tensor with optional 0 dim batch size for input, but got: {tuple(input.shape)}"
        )
    if output_size is None and output_ratio is None:
        raise ArgumentError(f"{op}: requires specifying either an output_size or an output_ratio")
    kernel = several(op, "kernel_size", kernel_size, n)
    sizes = input.shape[-n:]
    if output_size is None:
        out = tuple(int(size * ratio) for size, ratio in zip(sizes, several(op, "output_ratio", output_ratio, n), strict=True))
    else:
        out = several(op, "output_size", output_size, n)
    if any(not 0 < o + k - 1 <= s or o < 1 for o, k, s in zip(out, kernel, sizes, strict=True)):
        raise ShapeError(f"{op}: windows of {kernel} and {out} of them do not fit into {tuple(sizes)}")
    whole = input if input.ndim == n + 2 else input[None]
    if samples is None:
        samples = gf.rand(*whole.shape[:2], n, dtype=input.dtype, device=input.device)
    if not isinstance(samples, Tensor) or samples.dtype != input.dtype:
        raise DTypeError(f"{op}: Expect _random_samples to have the same dtype as input, {input.dtype}")
    if samples.ndim != 3 or samples.shape[0] < whole.shape[0] or samples.shape[1] != whole.shape[1] or samples.shape[2] != n:
        raise ShapeError(f"{op}: Expect _random_samples of shape {(*whole.shape[:2], n)}; got {tuple(samples.shape)}")
    samples = samples[: whole.shape[0]]
    # where every window's elements are in the flat image: one axis of places, one inside the window, for each axis of the image
    flat = gf.zeros(1, dtype=gf.int64, device=input.device)
    order = range(n) if n == 3 else range(n - 1, -1, -1)  # the samples of images are for the width first, those of volumes for the depth
    for axis, (size, o, k, i) in enumerate(zip(sizes, out, kernel, order, strict=True)):
        along = _starts(samples[..., i : i + 1], size, o, k)[..., None] + gf.arange(k, device=input.device)
        shape = [1] * (2 * n)
        shape[axis], shape[n + axis] = o, k
        flat = flat * size + along.reshape(*along.shape[:2], *shape)
    count, inside = math.prod(out), math.prod(kernel)
    flat = flat.reshape(*whole.shape[:2], count * inside)
    windows = whole.flatten(2).gather(-1, flat).reshape(*whole.shape[:2], *out, inside)
    values, which = windows.max(-1)
    indices = flat.reshape(windows.shape).gather(-1, which[..., None])[..., 0]
    return (values, indices) if whole is input else (values[0], indices[0])


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest elements of windows whose places are drawn, ``output_size`` of them or ``output_ratio`` times the image's size.

    ``(C, H, W)`` or ``(N, C, H, W)``. With ``return_indices`` also where they are in the flat image. The gradient goes to them.

    >>> gf.nn.functional.fractional_max_pool2d(gf.arange(16.0).reshape(1, 1, 4, 4), 2, output_size=1)
    tensor([[[[15.]]]])
    """
    found = _pool("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, _random_samples)
    return found if return_indices else found[0]


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """:func:`fractional_max_pool2d` of volumes, ``(C, D, H, W)`` or ``(N, C, D, H, W)``.

    >>> gf.nn.functional.fractional_max_pool3d(gf.arange(8.0).reshape(1, 1, 2, 2, 2), 1, output_size=2).shape
    torch.Size([1, 1, 2, 2, 2])
    """
    found = _pool("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, _random_samples)
    return found if return_indices else found[0]
