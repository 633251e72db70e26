"""Normalisation over a batch, over groups of channels, over the neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

from .. import backends, dtypes
from ..errors import ArgumentError, RankError, ShapeError
from ..kinds import custom
from ..kinds import rows as rowwise
from ..scalar import primitives as s
from ..tape.node import identity, mode, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import integer
from .convert import element
from .pooling import avg_pool2d
from .rearranging import pad
from .reductions import SUM, deviation, float_only, mean_over, sum_over
from .rowwise import layer_norm_of, of_one_type, tensors_only

apply = backends.kernel(lambda x, mean, scale, bias: (x - mean) * scale + bias)
rstd_of = backends.kernel(lambda var, eps: s.rsqrt(var + eps))
times = backends.kernel(lambda a, b: a * b)
along = backends.kernel(lambda g, x, mean, rstd: g * ((x - mean) * rstd))
back = backends.kernel(lambda g, x, mean, rstd, scale, sum_g, sum_gx, n: scale * (g - (sum_g + (x - mean) * rstd * sum_gx) / n))


def across(t: Any, ndim: int) -> Any:
    """A value for each channel, against a tensor of ``ndim`` axes with channels second."""
    return t.reshape(1, -1, *(1,) * (ndim - 2))


def others(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def statistics(x: Any) -> tuple[Any, Any]:
    """The mean and the mean squared deviation of each channel, with the axes kept."""
    axes, n = others(x.ndim), x.size // x.shape[1]
    mean = backends.reduce(SUM, identity, (x,), axes, True, None, 0, 1 / n)
    return mean, backends.reduce(SUM, deviation, (x, mean), axes, True, None, 0, 1 / n)


@custom(inputs=3, grad_name="NativeBatchNormBackward0")
def batch_norm_of(x, weight, bias, mean, var, eps):
    """With the batch's own ``mean`` and ``var``, which are functions of x."""
    rstd = backends.elementwise(rstd_of, (var, eps))
    scale = rstd if weight is None else backends.elementwise(times, (rstd, across(weight, x.ndim)))
    y = backends.elementwise(apply, (x, mean, scale, 0.0 if bias is None else across(bias, x.ndim)))
    return y, (x, weight, mean, rstd)


@batch_norm_of.pull
def batch_norm_pull(node, g, walk):
    x, weight, mean, rstd = node.saved
    px, pw, pb = node.parents
    axes, shape = others(x.ndim), (x.shape[1],)
    sum_g = backends.reduce(SUM, identity, (g,), axes, True)
    sum_gx = backends.reduce(SUM, along, (g, x, mean, rstd), axes, True)
    if walk.wants(px):
        scale = rstd if weight is None else backends.elementwise(times, (rstd, across(weight, x.ndim)))
        walk.add(px, backends.elementwise(back, (g, x, mean, rstd, scale, sum_g, sum_gx, x.size // x.shape[1])), True)
    if walk.wants(pw):
        walk.add(pw, sum_gx.reshape(shape), False)
    if walk.wants(pb):
        walk.add(pb, sum_g.reshape(shape), False)


@batch_norm_of.vjp
def batch_norm_vjp(g, needs, x, weight, mean, rstd, _mean, _var, eps):
    """Recorded: from differentiable pieces."""
    axes = others(x.array.ndim)
    centred = p.sub(x, mean_over(x, axes, True))
    scale = p.rsqrt(p.add(mean_over(p.mul(centred, centred), axes, True), eps))
    xhat = p.mul(centred, scale)
    gw = g if weight is None else p.mul(g, across(weight, x.array.ndim))
    inner = p.add(mean_over(gw, axes, True), p.mul(xhat, mean_over(p.mul(gw, xhat), axes, True)))
    dx = p.mul(scale, p.sub(gw, inner)) if needs[0] else None
    dw = sum_over(p.mul(g, xhat), axes, False) if needs[1] else None
    return dx, dw, sum_over(g, axes, False) if needs[2] else None


# Groups of channels: (samples, groups, channels of a group, places)


@rowwise(outputs=2, row_inputs=("size", "eps"))
def moments_of(x, size, eps):
    """(the mean, 1 / the standard deviation)"""
    mean = s.row_sum(x) / size
    centred = x - mean
    return mean, s.rsqrt(s.row_sum(centred * centred) / size + eps)


@rowwise(outputs=2, row_inputs=("mean",))
def slopes_of(g, x, mean):
    return s.row_sum(g), s.row_sum(g * (x - mean))


lines = backends.kernel(lambda r, sum_g, sum_gx, n: (-(r * r * r) * sum_gx / n, -r * sum_g / n), outputs=2)
back_groups = backends.kernel(lambda g, x, mean, scale, slope, shift: g * scale + ((x - mean) * slope + shift))


def of_groups(t: Any, shape: tuple) -> Any:
    """A value for each channel, against (samples, groups, channels of a group, places)."""
    return t.reshape(1, shape[1], shape[2], 1)


@custom(inputs=3, grad_name="NativeGroupNormBackward0")
def group_norm_of(x, weight, bias, shape, eps):
    parts = backends.dense(x).reshape(shape)
    rows = parts.reshape(shape[0] * shape[1], -1)
    mean, rstd = (v.reshape(*shape[:2], 1, 1) for v in backends.rows(moments_of.op.kernel, (rows, rows.shape[1], eps), 1))
    scale = backends.elementwise(times, (rstd, of_groups(weight, shape)))
    y = backends.elementwise(apply, (parts, mean, scale, of_groups(bias, shape)))
    return y.reshape(x.shape), (x, weight, mean, rstd, scale)


@group_norm_of.pull
def group_norm_pull(node, g, walk):
    x, weight, mean, rstd, scale = node.saved
    shape, (px, pw, pb) = node.meta[1][0], node.parents
    g, x = (backends.dense(a).reshape(shape) for a in (g, x))
    means = backends.dense(backends.expand(mean, scale.shape))
    sum_g, sum_gx = (v.reshape(scale.shape) for v in backends.rows(slopes_of.op.kernel, (g, x, means), 3))
    if walk.wants(px):
        w = of_groups(weight, shape)
        sums = (backends.reduce(SUM, times, (v, w), (2,), True) for v in (sum_g, sum_gx))
        slope, shift = backends.elementwise(lines, (rstd, *sums, x.size // mean.size))
        walk.add(px, backends.elementwise(back_groups, (g, x, mean, scale, slope, shift)).reshape(node.saved[0].shape), True)
    if walk.wants(pw):
        walk.add(pw, backends.reduce(SUM, times, (sum_gx, rstd), (0,), False).reshape(weight.shape), False)
    if walk.wants(pb):
        walk.add(pb, backends.reduce(SUM, identity, (sum_g,), (0,), False).reshape(weight.shape), False)


@group_norm_of.vjp
def group_norm_vjp(g, needs, x, weight, mean, rstd, scale, shape, eps):
    """Recorded: from differentiable pieces."""
    parts, given, w = x.reshape(shape), g.reshape(shape), of_groups(weight, shape)
    centred = p.sub(parts, mean_over(parts, (2, 3), True))
    r = p.rsqrt(p.add(mean_over(p.mul(centred, centred), (2, 3), True), eps))
    xhat, gw = p.mul(centred, r), p.mul(given, w)
    inner = p.add(mean_over(gw, (2, 3), True), p.mul(xhat, mean_over(p.mul(gw, xhat), (2, 3), True)))
    dx = p.mul(r, p.sub(gw, inner)).reshape(x.array.shape) if needs[0] else None
    dw = sum_over(p.mul(given, xhat), (0, 3), False).reshape(weight.array.shape) if needs[1] else None
    return dx, dw, sum_over(given, (0, 3), False).reshape(weight.array.shape) if needs[2] else None


def per_channel(op: str, channels: int, **values: Any) -> None:
    for name, t in values.items():
        if t is not None and t.array.size != channels:
            raise ShapeError(f"{op}: {name} should contain {channels} elements not {t.array.size}")


def affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """``x * weight + bias``, a value of each for a channel."""
    if weight is not None and bias is not None:
        return p.addcmul(across(bias, x.array.ndim), x, across(weight, x.array.ndim))
    if weight is not None:
        x = p.mul(x, across(weight, x.array.ndim))
    return x if bias is None else p.add(x, across(bias, x.array.ndim))


def move_towards(running: Tensor, value: Any, momentum: float) -> None:
    """``running`` moved by the part ``momentum`` of the way to ``value``, in place, not recorded."""
    was, mode.enabled = mode.enabled, False
    try:
        running.copy_(running * (1 - momentum) + wrap(value).to(running.dtype) * momentum)
    finally:
        mode.enabled = was


def both_or_none(op: str, running_mean: Tensor | None, running_var: Tensor | None) -> None:
    if (running_mean is None) != (running_var is None):
        raise ArgumentError(f"{op}: running_mean and running_var must either both be None or neither be None")


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel, axis 1; Ioffe and Szegedy 2015.

    While ``training``, mean and var are the batch's, and the running ones move towards them by ``momentum``; else they are the running ones.

    >>> gf.nn.functional.batch_norm(gf.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    op = "batch_norm"
    tensors_only(op, input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    float_only(op, input)
    shape, eps = input.array.shape, element(op, eps, dtypes.float64)
    if len(shape) < 2:
        if shape == (0,):
            return input.clone()
        raise RankError(f"{op}: expected an input of at least 2 axes (batch, channels, ...), but got {list(shape)}")
    per_channel(op, shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    of_one_type(op, input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if eps < 0 or (training and eps == 0):
        raise ArgumentError(f"{op}: eps must be {'positive during training' if training else 'non-negative'}, but got {eps}")
    if not training:
        if running_mean is None or running_var is None:
            raise ShapeError(f"{op}: running_mean and running_var must be defined in evaluation mode")
        wide = input.float() if input.array.itemsize == 2 else input
        mean, var = across(running_mean.detach(), len(shape)), across(running_var.detach(), len(shape))
        scale = p.rsqrt(p.add(var, eps))
        y = affine(p.mul(p.sub(wide, mean), scale), weight, bias)
        return named(y.to(input.dtype), "NativeBatchNormBackward0")
    both_or_none(op, running_mean, running_var)
    n = input.array.size // shape[1] if shape[1] else 0
    if n == 1:
        raise ArgumentError(f"{op}: Expected more than 1 value per channel when training, got input size {list(shape)}")
    if not input.array.size:
        return affine(input, weight, bias)
    narrow = input.array.itemsize == 2
    x = input.float() if narrow else input
    w, b = (t.float() if t is not None and narrow else t for t in (weight, bias))
    mean, var = statistics(x.array)
    if running_mean is not None:
        move_towards(running_mean, mean.reshape(-1), momentum)
    if running_var is not None:
        move_towards(running_var, var.reshape(-1) * (n / (n - 1)), momentum)
    y = batch_norm_of(x, w, b, mean, var, eps)
    return y.to(input.dtype) if narrow else y


def group_norm(input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and var of each sample's groups of channels; Wu and He 2018.

    >>> gf.nn.functional.group_norm(gf.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    op = "group_norm"
    tensors_only(op, input=input, weight=weight, bias=bias)
    float_only(op, input)
    shape, groups = input.array.shape, integer(op, "num_groups", num_groups)
    if len(shape) < 2:
        raise ShapeError(f"{op}: Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if groups <= 0 or shape[1] % groups:
        raise ShapeError(
            f"{op}: Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and num_groups={groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.array.shape != (shape[1],):
            raise ShapeError(
                f"{op}: Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape {list(t.shape)} and input of shape {list(shape)}"
            )
    of_one_type(op, input, weight=weight, bias=bias)
    return named(in_groups(input, shape[0] * groups, weight, bias, eps), "NativeGroupNormBackward0")


def in_groups(x: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalised in ``groups`` equal parts of the tensor, flat."""
    shape = x.array.shape
    if not x.array.size:
        return affine(x, weight, bias)
    size, eps = x.array.size // groups, element("group_norm", eps, dtypes.float64)
    narrow = x.array.itemsize == 2
    if weight is None or bias is None or narrow or len(shape) == 2:
        return affine(layer_norm_of(x.reshape(groups, size), None, None, size, eps).reshape(shape), weight, bias)
    return group_norm_of(x, weight, bias, (shape[0], groups // shape[0], shape[1] * shape[0] // groups, -1), eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and var of each sample's channel, or the running ones; Ulyanov et al. 2016.

    >>> gf.nn.functional.instance_norm(gf.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    op = "instance_norm"
    tensors_only(op, input=input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    float_only(op, input)
    shape = input.array.shape
    if len(shape) < 2:
        raise RankError(f"{op}: expected an input of at least 2 axes (batch, channels, ...), but got {list(shape)}")
    per_channel(op, shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    of_one_type(op, input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ShapeError(f"{op}: Expected running_mean and running_var to be defined when use_input_stats is false")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    both_or_none(op, running_mean, running_var)
    n = math.prod(shape[2:])
    if n == 1:
        raise ArgumentError(f"{op}: Expected more than 1 spatial element when training, got input size {list(shape)}")
    if input.array.size and (running_mean is not None or running_var is not None):
        mean, var = statistics(input.array.reshape(1, shape[0] * shape[1], n))
        for running, value, unbias in ((running_mean, mean, 1.0), (running_var, var, n / (n - 1))):
            if running is not None:
                move_towards(running, value.reshape(shape[:2]).mean(0) * unbias, momentum)
    return in_groups(input, shape[0] * shape[1], weight, bias, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha mean(x ** 2)) ** beta, the mean over ``size`` neighbouring channels; Krizhevsky et al. 2012.

    >>> gf.nn.functional.local_response_norm(gf.ones(1, 3, 2), 2).shape
    torch.Size([1, 3, 2])
    """
    op = "local_response_norm"
    tensors_only(op, input=input)
    float_only(op, input)
    if input.array.ndim < 3:
        raise ArgumentError(f"{op}: Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    size = integer(op, "size", size)
    if size <= 0:
        raise ArgumentError(f"{op}: size must be positive; it is {size}")
    square = p.mul(input, input).unsqueeze(1)
    padded = square.flatten(3) if input.array.ndim > 3 else square

    mean = avg_pool2d(pad(padded, (0, 0, size // 2, (size - 1) // 2)), (size, 1), 1).reshape(input.array.shape)
    return p.div(input, p.pow(p.add(p.mul(mean, alpha), k), beta))
