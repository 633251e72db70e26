"""Convolutions: windows as columns of a matrix, and one product.

A convolution is bilinear: with its result's cotangent there are three tensors, and each map from two of them to the third is one function here.
``correlate(x, w)`` is the result, ``spread(g, w)`` goes back to the input (it is also the transposed convolution), ``weigh(x, g)`` to the
weight. The derivatives of each are the other two, so that derivatives of every order are there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import ArgumentError, DTypeError, ShapeError, labelled
from ..kinds import custom
from ..tape.node import identity
from ..tensor import Tensor
from .axes import integer
from .reductions import sum_over

COLUMNS = 1 << 22  # bytes of columns made at a time: they stay in the cache
shifted = backends.kernel(lambda y, b: y + b)


def sizes(op: str, name: str, value: Any, space: int) -> tuple[int, ...]:
    """One number for all axes of space, or one for each."""
    if isinstance(value, tuple | list):
        numbers = tuple(integer(op, name, n) for n in value)
        if len(numbers) == 1:
            return numbers * space
        if len(numbers) != space:
            raise ShapeError(f"{op}: expected {name} to be a single integer value or a list of {space} values, but got {list(value)}")
        return numbers
    return (integer(op, name, value),) * space


def windows(a: Any, kernel: tuple, out: tuple, stride: tuple, dilation: tuple) -> Any:
    """A view of ``a`` (N, C, *space) as (N, C, *kernel, *out)."""
    lead, steps = a.strides[:2], a.strides[2:]
    strides = (*lead, *(s * d for s, d in zip(steps, dilation, strict=True)), *(s * n for s, n in zip(steps, stride, strict=True)))
    return backends.as_strided(a, (*a.shape[:2], *kernel, *out), strides)


def reach(n: int, tap: int, stride: int, before: int, out: int) -> tuple[slice, slice]:
    """Where the windows' element ``tap`` lies inside an axis of ``n`` elements: (there, the windows for which it does)."""
    first = max(0, -((tap - before) // stride))
    last = min(out, (n - 1 + before - tap) // stride + 1)
    if last <= first:
        return slice(0, 0), slice(0, 0)
    start = first * stride + tap - before
    return slice(start, start + (last - first - 1) * stride + 1, stride), slice(first, last)


def taps(space: tuple, kernel: tuple, out: tuple, stride: tuple, before: tuple, dilation: tuple) -> Iterator[tuple[tuple, tuple, tuple]]:
    """For each element of a window: (its index, where it lies in the input, the windows that have it there)."""
    reaches = [[reach(space[i], k * dilation[i], stride[i], before[i], out[i]) for k in range(kernel[i])] for i in range(len(kernel))]
    for index in itertools.product(*map(range, kernel)):
        pairs = [reaches[i][k] for i, k in enumerate(index)]
        if all(there.stop for there, _ in pairs):
            yield index, tuple(there for there, _ in pairs), tuple(those for _, those in pairs)


def at(space: tuple) -> tuple:
    """The index of a part of space, for all samples and channels."""
    return (slice(None), slice(None), *space)


def widened(a: Any, before: tuple, after: tuple) -> Any:
    """With zeros around the space; negative numbers cut off."""
    if not any(before) and not any(after):
        return a
    out = backends.zeros((*a.shape[:2], *(n + i + j for n, i, j in zip(a.shape[2:], before, after, strict=True))), of(a).code, a)
    there = tuple(slice(max(i, 0), n + i + min(j, 0)) for n, i, j in zip(a.shape[2:], before, after, strict=True))
    here = tuple(slice(max(-i, 0), n - max(-j, 0)) for n, i, j in zip(a.shape[2:], before, after, strict=True))
    backends.copy(a[at(here)], out[at(there)])
    return out


def chunks(n: int, each: int) -> list[slice]:
    """The batch in parts of about ``COLUMNS`` bytes, ``each`` of one sample."""
    step = max(1, COLUMNS // max(each, 1))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def columns(x: Any, kernel: tuple, out: tuple, stride: tuple, dilation: tuple, groups: int) -> Any:
    """The windows of ``x``, copied: (groups, channels and taps, samples and places)."""
    view = windows(x, kernel, out, stride, dilation)
    view = view.transpose(*range(1, view.ndim - len(out)), 0, *range(view.ndim - len(out), view.ndim))
    if not view.flags.c_contiguous:
        copy = backends.empty(view.shape, of(x).code, x)
        backends.copy(view, copy)
        view = copy
    return grouped(view, groups, x.shape[0] * math.prod(out))


def large(w: Any, out: tuple, groups: int) -> bool:
    """Is the product of one sample worth a call of its own? Then its result lies where it belongs."""
    return groups == 1 and math.prod(out) >= 64 and w.size >= 256 and w.__class__ is np.ndarray


def by_sample(x: Any, kernel: tuple, out: tuple, stride: tuple, dilation: tuple) -> Any:
    """The windows of ``x``, copied: (samples, channels and taps, places)."""
    view = windows(x, kernel, out, stride, dilation)
    if not view.flags.c_contiguous:
        copy = backends.empty(view.shape, of(x).code, x)
        backends.copy(view, copy)
        view = copy
    return view.reshape(x.shape[0], -1, math.prod(out))


def grouped(a: Any, groups: int, places: int) -> Any:
    return a.reshape(groups, a.size // (groups * places), places) if groups != 1 else a.reshape(a.size // places, places)


def rows_of(g: Any, groups: int) -> Any:
    """(N, C, *out) as (groups, channels, samples and places): a copy where there are several samples."""
    moved = g.swapaxes(0, 1)
    if not moved.flags.c_contiguous:
        copy = backends.empty(moved.shape, of(g).code, g)
        backends.copy(moved, copy)
        moved = copy
    return grouped(moved, groups, g.size // g.shape[1])


def matrix(w: Any, groups: int) -> Any:
    w = backends.dense(w)
    return w.reshape(groups, w.shape[0] // groups, -1) if groups != 1 else w.reshape(w.shape[0], -1)


def each_sample(w: Any, out: tuple, groups: int) -> int:
    """Bytes of the columns of one sample."""
    return math.prod(w.shape[1:]) * groups * math.prod(out) * w.dtype.itemsize


def by_channel(a: Any, b: Any, per_group: int, groups: int) -> bool:
    """Does each result belong to one channel of the input? Then the windows are read where they are."""
    return per_group == 1 < groups and type(a) is type(b) is np.ndarray and a.dtype == b.dtype and a.dtype.char in "fd"


@custom(inputs=3, grad_name="ConvolutionBackward0")
def correlate(x, w, bias, stride, before, after, dilation, groups):
    """y[n, o, p] = sum over c, k of w[o, c, k] x[n, c, p stride + k dilation - before], + bias[o]; channels in ``groups``"""
    kernel = w.shape[2:]
    numbers = zip(x.shape[2:], before, after, kernel, stride, dilation, strict=True)
    out = tuple((n + i + j - d * (k - 1) - 1) // s + 1 for n, i, j, k, s, d in numbers)
    if by_channel(x, w, w.shape[1], groups):
        y = backends.cpu.by_channel(0, x, w, out, stride, before, dilation, groups)
        return y if bias is None else backends.elementwise(shifted, (y, bias.reshape(-1, *(1,) * len(out))), y), (x, w)
    padded = widened(x, before, after)
    y = backends.empty((x.shape[0], w.shape[0], *out), of(x).code, x)
    if not w[0:1].size or not x.shape[1]:
        y[...] = 0
    elif y.size:
        left = matrix(w, groups)
        for part in chunks(x.shape[0], each_sample(w, out, groups)):
            if large(w, out, groups):
                backends.dot(left, by_sample(padded[part], kernel, out, stride, dilation), y[part].reshape(-1, w.shape[0], math.prod(out)))
                if bias is not None:
                    backends.elementwise(shifted, (y[part], bias.reshape(-1, *(1,) * len(out))), y[part])
                continue
            result = backends.dot(left, columns(padded[part], kernel, out, stride, dilation, groups))
            result = result.reshape(w.shape[0], part.stop - part.start, *out).swapaxes(0, 1)
            if bias is None:
                backends.copy(result, y[part])
            else:
                backends.elementwise(shifted, (result, bias.reshape(-1, *(1,) * len(out))), y[part])
        return y, (x, w)
    if bias is not None and y.size:
        backends.copy(backends.expand(bias.reshape(-1, *(1,) * len(out)), y.shape), y)
    return y, (x, w)


@correlate.vjp
def correlate_vjp(g, needs, x, w, stride, before, after, dilation, groups):
    args = stride, before, after, dilation, groups
    dx = spread(g, w, tuple(x.array.shape[2:]), *args) if needs[0] else None
    dw = weigh(x, g, tuple(w.array.shape[2:]), *args) if needs[1] else None
    return dx, dw, sum_over(g, (0, *range(2, g.array.ndim)), False) if needs[2] else None


@custom(inputs=2, grad_name="ConvolutionBackward0")
def spread(g, w, space, stride, before, after, dilation, groups):
    """Each place of ``g`` gives to the elements, ``space`` in all, that its window covers."""
    kernel, out = w.shape[2:], g.shape[2:]
    if by_channel(g, w, w.shape[1], groups):
        return backends.cpu.by_channel(1, g, w, space, stride, before, dilation, groups), (g, w)
    x = backends.zeros((g.shape[0], w.shape[1] * groups, *space), of(g).code, g)
    if x.size and g.size and w.size:
        left = matrix(w, groups).swapaxes(-1, -2)
        places = list(taps(space, kernel, out, stride, before, dilation))
        for part in chunks(g.shape[0], each_sample(w, out, groups)):
            if large(w, out, groups) and g.__class__ is np.ndarray:
                cover = backends.dot(left, backends.dense(g[part]).reshape(-1, g.shape[1], math.prod(out)))
                cover = np.moveaxis(cover.reshape(part.stop - part.start, x.shape[1], *kernel, *out), 0, 1 + len(kernel))
            else:
                cover = backends.dot(left, rows_of(g[part], groups))
                cover = cover.reshape(x.shape[1], *kernel, part.stop - part.start, *out)
            for index, there, those in places:
                piece = cover[(slice(None), *index)].swapaxes(0, 1)
                backends.elementwise(identity, (piece[at(those)],), x[part][at(there)], 1)
    return x, (g, w)


@spread.vjp
def spread_vjp(c, needs, g, w, space, *args):
    dg = correlate(c, w, None, *args) if needs[0] else None
    return dg, weigh(c, g, tuple(w.array.shape[2:]), *args) if needs[1] else None


@custom(inputs=2, grad_name="ConvolutionBackward0")
def weigh(x, g, kernel, stride, before, after, dilation, groups):
    """How much each element of a window of ``x`` goes with each output channel."""
    if by_channel(x, g, x.shape[1] // groups, groups):
        return backends.cpu.by_channel(2, x, g, kernel, stride, before, dilation, groups), (x, g)
    padded, out = widened(x, before, after), g.shape[2:]
    w = backends.zeros((g.shape[1], x.shape[1] // groups, *kernel), of(g).code, g)
    if w.size and g.size:
        total = matrix(w, groups)
        for k, part in enumerate(chunks(g.shape[0], each_sample(w, out, groups))):
            right = columns(padded[part], kernel, out, stride, dilation, groups).swapaxes(-1, -2)
            backends.dot(rows_of(g[part], groups), right, total, int(k > 0))
    return w, (x, g)


@weigh.vjp
def weigh_vjp(c, needs, x, g, kernel, *args):
    dx = spread(g, c, tuple(x.array.shape[2:]), *args) if needs[0] else None
    return dx, correlate(x, c, None, *args) if needs[1] else None


# torch's signatures


def operands(op: str, space: int, input: Any, weight: Any, bias: Any) -> tuple[Tensor, bool]:
    """(the input with a batch, whether it had one); all checked but for the channels."""
    for name, x in (("input", input), ("weight", weight), ("bias", bias)):
        if not isinstance(x, Tensor) and (x is not None or name != "bias"):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    shape, n = input.array.shape, space + 2
    if weight.array.ndim != n:
        raise ShapeError(f"{op}: expected {n}-dimensional weight, but got {list(weight.shape)} of {weight.ndim} dimensions")
    if len(shape) not in (n - 1, n):
        raise ShapeError(f"{op}: Expected {n - 1}D (unbatched) or {n}D (batched) input to {op}, but got input of size: {list(shape)}")
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.array.dtype != input.array.dtype:
            raise DTypeError(f"{op}: Input type ({input.dtype}) and {name} type ({x.dtype}) should be the same; convert one of them")
    if input.array.dtype.kind == "b":
        raise DTypeError(f"{op}: not implemented for bool; convert with .float()")
    return (input, True) if len(shape) == n else (input.unsqueeze(0), False)


def positive(op: str, groups: Any, **numbers: tuple[int, ...]) -> int:
    for name, values in numbers.items():
        if any(v <= 0 for v in values):
            raise ShapeError(f"{op}: {name} should be greater than zero; it is {list(values)}")
    if integer(op, "groups", groups) <= 0:
        raise ShapeError(f"{op}: non-positive groups is not supported; it is {groups}")
    return groups


def conv(op: str, space: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any) -> Tensor:
    x, batched = operands(op, space, input, weight, bias)
    stride, dilation = sizes(op, "stride", stride, space), sizes(op, "dilation", dilation, space)
    groups = positive(op, groups, stride=stride, dilation=dilation)
    (out, per_group, *kernel), channels = weight.array.shape, x.array.shape[1]
    if channels != per_group * groups:
        raise ShapeError(
            f"{op}: Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have {per_group * groups} channels, but got {channels} channels instead"
        )
    if out % groups:
        raise ShapeError(f"{op}: expected weight to be at least {groups} and divisible by it at dimension 0, but got {list(weight.shape)}")
    if bias is not None and bias.array.shape != (out,):
        raise ShapeError(f"{op}: expected bias to be 1-dimensional with {out} elements, but got bias of size {list(bias.shape)}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ArgumentError(f"{op}: Invalid padding string: {padding!r}; use 'same' or 'valid'")
        if padding == "same" and any(s != 1 for s in stride):
            raise ArgumentError(f"{op}: padding='same' is not supported for strided convolutions; the stride is {list(stride)}")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        before = tuple(n // 2 for n in total)
        after = tuple(n - n // 2 for n in total)
    else:
        before = after = sizes(op, "padding", padding, space)
        if any(n < 0 for n in before):
            raise ShapeError(f"{op}: negative padding is not supported; it is {list(before)}")
    room = [n + i + j for n, i, j in zip(x.array.shape[2:], before, after, strict=True)]
    span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if any(k == 0 for k in kernel) or any(n < k for n, k in zip(room, span, strict=True)):
        raise ShapeError(
            f"{op}: Calculated padded input size per channel: {room}. Kernel size: {span}. Kernel size can't be greater than actual input size"
        )
    y = labelled(op, correlate, x, weight, bias, stride, before, after, dilation, groups)
    return y if batched else y.squeeze(0)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Windows of (N, C, L) times ``weight`` (O, C / groups, K), summed, + ``bias`` (O): (N, O, L'); N may be missing.

    L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1. ``padding`` may be "same" (stride 1) or "valid".

    >>> x = gf.tensor([[[1.0, 2.0, 4.0]]])
    >>> gf.nn.functional.conv1d(x, gf.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])
    """
    return conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """:func:`conv1d` over two axes of space: (N, C, H, W) and (O, C / groups, K1, K2) give (N, O, H', W').

    >>> gf.nn.functional.conv2d(gf.ones(1, 1, 3, 3), gf.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """:func:`conv1d` over three axes of space: (N, C, D, H, W) and (O, C / groups, K1, K2, K3) give (N, O, D', H', W').

    >>> gf.nn.functional.conv3d(gf.ones(1, 2, 4, 4, 4), gf.ones(3, 2, 2, 2, 2)).shape
    torch.Size([1, 3, 3, 3, 3])
    """
    return conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose(
    op: str, space: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: Any, dilation: Any
) -> Tensor:
    x, batched = operands(op, space, input, weight, bias)
    stride, dilation = sizes(op, "stride", stride, space), sizes(op, "dilation", dilation, space)
    padding, extra = sizes(op, "padding", padding, space), sizes(op, "output_padding", output_padding, space)
    groups = positive(op, groups, stride=stride, dilation=dilation)
    (channels, per_group, *kernel), have = weight.array.shape, x.array.shape[1]
    if channels != have or channels % groups:
        raise ShapeError(
            f"{op}: Given transposed=1, weight of size {list(weight.shape)}, expected input{list(input.shape)} to have {channels} channels, a multiple of groups={groups}, but got {have} channels instead"
        )
    if bias is not None and bias.array.shape != (per_group * groups,):
        raise ShapeError(f"{op}: expected bias to be 1-dimensional with {per_group * groups} elements, but got {list(bias.shape)}")
    if any(n < 0 for n in (*padding, *extra)):
        raise ShapeError(f"{op}: negative padding is not supported; padding {list(padding)}, output_padding {list(extra)}")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ShapeError(
            f"{op}: output padding must be smaller than either stride or dilation, but got output_padding {list(extra)}, stride {list(stride)}, dilation {list(dilation)}"
        )
    numbers = zip(x.array.shape[2:], kernel, stride, padding, extra, dilation, strict=True)
    full = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, e, d in numbers)
    if any(n <= 0 for n in full):
        raise ShapeError(
            f"{op}: Given input size per channel: {list(x.shape[2:])}. Calculated output size per channel: {list(full)}. It is too small"
        )
    after = tuple(p - e for p, e in zip(padding, extra, strict=True))
    y = labelled(op, spread, x, weight, full, stride, padding, after, dilation, groups)
    y = y if bias is None else y + bias.reshape(-1, *(1,) * space)
    return y if batched else y.squeeze(0)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The adjoint of :func:`conv1d`, as a map of its own: (N, C, L) and ``weight`` (C, O / groups, K) give (N, O, L').

    L' = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    >>> gf.nn.functional.conv_transpose1d(gf.tensor([[[1.0, 2.0]]]), gf.ones(1, 1, 2), stride=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return conv_transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """:func:`conv_transpose1d` over two axes of space: (N, C, H, W) and (C, O / groups, K1, K2) give (N, O, H', W').

    >>> gf.nn.functional.conv_transpose2d(gf.ones(1, 2, 3, 3), gf.ones(2, 4, 2, 2), stride=2).shape
    torch.Size([1, 4, 6, 6])
    """
    return conv_transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """:func:`conv_transpose1d` over three axes of space: (N, C, D, H, W) and (C, O / groups, K1, K2, K3) give (N, O, D', H', W').

    >>> gf.nn.functional.conv_transpose3d(gf.ones(1, 2, 3, 3, 3), gf.ones(2, 1, 2, 2, 2)).shape
    torch.Size([1, 1, 4, 4, 4])
    """
    return conv_transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
