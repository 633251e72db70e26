"""Operations on rows: softmax and its kin, layer normalisation. Each is one kernel over rows."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import backends, dtypes
from ..errors import DTypeError, ShapeError, labelled
from ..kinds import custom
from ..kinds import rows as rowwise
from ..scalar import primitives as s
from ..tape.node import named
from ..tensor import Tensor
from . import pointwise as p
from .axes import axes_of, axis_of, flag, shape_of
from .convert import convert, element
from .reductions import float_only, sum_over


@rowwise(grad_name="SoftmaxBackward0")
def softmax_of(x):
    e = s.exp(x - s.row_max(x))
    return e * (1 / s.row_sum(e))


@softmax_of.vjp
def softmax_vjp(g, y, x):
    return y * (g - s.row_sum(g * y))


@rowwise(grad_name="LogSoftmaxBackward0")
def log_softmax_of(x):
    z = x - s.row_max(x)
    return z - s.log(s.row_sum(s.exp(z)))


@log_softmax_of.vjp
def log_softmax_vjp(g, y, x):
    return g - s.exp(y) * s.row_sum(g)


def stable_max(x):
    """The maximum of the row, and 0 where it is infinite: inf - inf would be nan."""
    m = s.row_max(x)
    return s.where(s.eq(s.abs(m), float("inf")), 0.0, m)


@rowwise(grad_name="LogsumexpBackward0")
def logsumexp_of(x):
    m = stable_max(x)
    return m + s.log(s.row_sum(s.exp(x - m)))


@logsumexp_of.vjp
def logsumexp_vjp(g, y, x):
    shift = s.where(s.eq(s.abs(y), float("inf")), 0.0, y)
    return g * s.exp(x - shift)


def moved(x: Tensor, dtype: Any) -> Tensor:
    return x if dtype is None or not isinstance(x, Tensor) else x.to(dtypes.get(dtype))


def softmax(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``, computed after the maximum is subtracted.

    >>> gf.softmax(gf.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([0.0900, 0.2447, 0.6652])
    """
    input = moved(input, dtype)
    float_only("softmax", input)
    axis = axis_of("softmax", implicit("softmax", input, _stacklevel) if dim is None else dim, input.array.ndim)
    return softmax_of(input, axis=axis) if input.array.ndim else softmax_of(input.reshape(1), axis=0).reshape(())


def implicit(op: str, input: Tensor, stacklevel: int) -> int:
    """The axis torch takes when none is given; it warns, too."""
    warnings.warn(
        f"Implicit dimension choice for {op} has been deprecated. Change the call to include dim=X as an argument.", stacklevel=stacklevel
    )
    return 0 if input.array.ndim in (0, 1, 3) else 1


def log_softmax(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``log(softmax(x))``, computed without leaving the logarithm.

    >>> gf.log_softmax(gf.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([-2.4076, -1.4076, -0.4076])
    """
    input = moved(input, dtype)
    float_only("log_softmax", input)
    axis = axis_of("log_softmax", implicit("log_softmax", input, _stacklevel) if dim is None else dim, input.array.ndim)
    return log_softmax_of(input, axis=axis) if input.array.ndim else log_softmax_of(input.reshape(1), axis=0).reshape(())


def softmin(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``softmax(-x)`` along ``dim``.

    >>> gf.nn.functional.softmin(gf.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([0.6652, 0.2447, 0.0900])
    """
    return labelled("softmin", softmax, labelled("softmin", p.neg, input), dim, _stacklevel + 2, dtype)


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim``, finite whenever the result is.

    >>> gf.logsumexp(gf.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    if not input.dtype.is_floating_point:
        input = input.to(dtypes.get_default_dtype())
    axes, keepdim = axes_of("logsumexp", dim, input.array.ndim), flag("logsumexp", "keepdim", keepdim)
    if not input.array.ndim:
        return input.clone()
    if axes is None:
        axes = tuple(range(input.array.ndim))
    shape = input.array.shape
    if not all(shape[i] for i in axes):  # the logarithm of an empty sum
        return p.log(sum_over(input, axes, bool(keepdim)))
    if len(axes) == 1:
        y = logsumexp_of(input, axis=axes[0])
    else:
        kept = [i for i in range(len(shape)) if i not in axes]
        flat = input.permute(*kept, *axes).reshape(*(shape[i] for i in kept), math.prod(shape[i] for i in axes))
        y = logsumexp_of(flat, axis=flat.array.ndim - 1).reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return y if keepdim else named(y.squeeze(axes), "LogsumexpBackward0")


SUM = backends.KINDS["sum"]


def tensors_only(op: str, **arguments: Any) -> None:
    """Operands that must be tensors; weights and biases may be missing."""
    for name, x in arguments.items():
        if not isinstance(x, Tensor) and (x is not None or name in ("input", "target")):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")


def of_one_type(op: str, input: Tensor, **parameters: Tensor | None) -> None:
    """The parameters of a normalisation have the input's type, or float32 beside one of 16 bits."""
    for name, t in parameters.items():
        if t is not None and t.dtype is not input.dtype and not (input.array.itemsize == 2 and t.dtype is dtypes.float32):
            raise DTypeError(f"{op}: mixed dtypes: the input is {input.dtype}, {name} is {t.dtype}; convert one of them")


# Layer normalisation


@rowwise(outputs=3, row_inputs=("size", "eps"))
def normalize_rows(x, size, eps):
    """((x - mean) / std, mean, 1 / std)"""
    mean = s.row_sum(x) / size
    centred = x - mean
    rstd = s.rsqrt(s.row_sum(centred * centred) / size + eps)
    return centred * rstd, mean, rstd


@rowwise(outputs=3, row_inputs=("size", "eps"))
def affine_rows(x, weight, bias, size, eps):
    mean = s.row_sum(x) / size
    centred = x - mean
    rstd = s.rsqrt(s.row_sum(centred * centred) / size + eps)
    return centred * rstd * weight + bias, mean, rstd


@rowwise(outputs=3, row_inputs=("mean", "rstd", "size"))
def normalize_back(g, x, mean, rstd, weight, size):
    """(rstd * (gw - mean(gw) - xhat * mean(gw * xhat)), g * xhat, g), in few passes: the values of the row are multiplied first"""
    centred = x - mean
    gw = g * weight
    slope = s.row_sum(gw * centred) * rstd * rstd / size
    return (gw - (centred * slope + s.row_sum(gw) / size)) * rstd, g * centred * rstd, g


@rowwise(row_inputs=("mean", "rstd", "size"))
def plain_back(g, x, mean, rstd, size):
    """rstd * (g - mean(g) - xhat * mean(g * xhat))"""
    centred = x - mean
    slope = s.row_sum(g * centred) * rstd * rstd / size
    return (g - (centred * slope + s.row_sum(g) / size)) * rstd


SUMMED = 0b110  # the outputs of normalize_back for weight and bias


@custom(inputs=3, grad_name="NativeLayerNormBackward0")
def layer_norm_of(x, weight, bias, size, eps):
    """Over the last axis, of ``size`` elements."""
    if weight is None:
        y, mean, rstd = backends.rows(normalize_rows.op.kernel, (x, size, eps), x.ndim - 1)
    else:
        y, mean, rstd = backends.rows(affine_rows.op.kernel, (x, weight, 0.0 if bias is None else bias, size, eps), x.ndim - 1)
    return y, (x, weight, mean, rstd)


@layer_norm_of.pull
def layer_norm_pull(node, g, walk):
    """One kernel: the gradients of weight and bias are sums of its other outputs over the rows."""
    x, weight, mean, rstd = node.saved
    if weight is None:
        if walk.wants(node.parents[0]):
            out, accumulate = walk.destination(node.parents[0])
            gradient = backends.rows(plain_back.op.kernel, (g, x, mean, rstd, node.meta[1][0]), x.ndim - 1, out, accumulate)
            walk.arrive(node.parents[0], gradient)
        return
    wanted = [parent if walk.wants(parent) else None for parent in node.parents]
    given = [parent for parent in wanted if parent is not None]
    once = len(set(given)) == len(given)  # no tensor stands for two
    places = [walk.destination(parent) if parent is not None and once else (None, 0) for parent in wanted]
    outs, accumulated = tuple(out for out, _ in places), sum(bool(add) << k for k, (_, add) in enumerate(places))
    inputs = (g, x, mean, rstd, weight, node.meta[1][0])
    gradients = backends.rows(normalize_back.op.kernel, inputs, x.ndim - 1, outs, accumulated, SUMMED)
    for parent, gradient in zip(wanted, gradients, strict=True):
        if parent is not None:
            walk.arrive(parent, gradient) if once else walk.add(parent, gradient, True)


@layer_norm_of.vjp
def layer_norm_vjp(g, needs, x, weight, mean, rstd, size, eps):
    """Recorded: from differentiable pieces."""
    n = x.array.ndim
    lead = tuple(range(n - 1))
    centred = p.sub(x, p.div(sum_over(x, (n - 1,), True), size))
    scale = p.rsqrt(p.add(p.div(sum_over(p.mul(centred, centred), (n - 1,), True), size), eps))
    xhat = p.mul(centred, scale)
    gw = g if weight is None else p.mul(g, weight)
    mean_g = p.div(sum_over(gw, (n - 1,), True), size)
    mean_gx = p.div(sum_over(p.mul(gw, xhat), (n - 1,), True), size)
    dx = p.mul(scale, p.sub(p.sub(gw, mean_g), p.mul(xhat, mean_gx)))
    dw = sum_over(p.mul(g, xhat), lead, False) if needs[1] else None
    db = sum_over(g, lead, False) if needs[2] else None
    return dx if needs[0] else None, dw, db


def layer_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes, which have ``normalized_shape``; Ba et al. 2016.

    >>> gf.layer_norm(gf.tensor([[1.0, 2.0, 3.0]]), (3,))
    tensor([[-1.2247,  0.0000,  1.2247]])
    """
    tensors_only("layer_norm", input=input, weight=weight, bias=bias)
    shape = shape_of("layer_norm", (normalized_shape,))
    eps = element("layer_norm", eps, dtypes.float64)
    have = input.array.shape
    if not shape or have[len(have) - len(shape) :] != shape:
        raise ShapeError(
            f"layer_norm: Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but got input of size{list(have)}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.array.shape != shape:
            raise ShapeError(
                f"layer_norm: Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t.shape)} and normalized_shape = {list(shape)}"
            )
    float_only("layer_norm", input)
    given = [t.dtype for t in (weight, bias) if t is not None]
    if input.dtype in (dtypes.float16, dtypes.bfloat16) and any(dtype is dtypes.float32 for dtype in given):
        # as torch: parameters may have more bits than the input, whose type the result has
        wide: list[Any] = [None if t is None else convert(t, dtypes.float32) for t in (input, weight, bias)]
        return convert(layer_norm(wide[0], shape, wide[1], wide[2], eps), input.dtype)
    of_one_type("layer_norm", input, weight=weight, bias=bias)
    size = 1
    for n in shape:
        size *= n
    x = input
    if len(shape) > 1:
        x = input.reshape(*have[: len(have) - len(shape)], size)
        weight = None if weight is None else weight.reshape(size)
        bias = None if bias is None else bias.reshape(size)
    if weight is None and bias is not None:
        y = p.add(layer_norm_of(x, None, None, size, eps), bias)
    else:
        y = layer_norm_of(x, weight, bias, size, eps)
    return y if len(shape) == 1 else named(y.reshape(have), "NativeLayerNormBackward0")
