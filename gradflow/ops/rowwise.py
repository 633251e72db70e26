"""Operations on rows: softmax and its kin, cross-entropy, layer normalisation. Each is one kernel over rows."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..errors import ArgumentError, DTypeError, OutOfRangeError, ShapeError, labelled
from ..kinds import custom
from ..kinds import rows as rowwise
from ..scalar import primitives as s
from ..scalar.types import FLOAT32
from ..tape.node import identity, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axes_of, axis_of, integer, shape_of
from .convert import element
from .indexing import scatter_zeros
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


@rowwise
def wide_logsumexp(x):
    "logsumexp in float32: the narrow types have too few digits for what is subtracted from it"
    m = stable_max(x)
    return s.cast(m + s.log(s.row_sum(s.exp(x - m))), FLOAT32)


loss_of_row = backends.kernel(lambda lse, picked, weight: (lse - picked) * weight)
gradient_of_row = backends.kernel(lambda g, x, lse: g * s.exp(x - lse))
times = backends.kernel(lambda x, y: x * y)
minus_times = backends.kernel(lambda x, y: -(x * y))


@custom(inputs=1, grad_name="NllLossBackward0")
def cross_entropy_of(x, index, weight, axis):
    """weight * (logsumexp(x) - x[index]) for each row; ``index`` and ``weight`` have size 1 along ``axis``."""
    narrow = x.dtype.itemsize == 2
    lse = backends.rows((wide_logsumexp if narrow else logsumexp_of).op.kernel, (x,), axis)
    loss = backends.elementwise(loss_of_row, (lse, backends.gather(x, axis, index), weight))
    if narrow:
        loss = backends.elementwise(identity, (loss,), backends.empty(loss.shape, dtypes.of(x).code))
    return loss, (x, lse)


@cross_entropy_of.pull
def cross_entropy_pull(node, g, walk):
    """The softmax times g, and g less at the target."""
    parent = node.parents[0]
    x, lse = node.saved
    index, weight, axis = node.meta[1]
    out, accumulate = walk.destination(parent)
    if out is None:
        out = backends.empty(x.shape, dtypes.of(x).code)
    scaled = g if isinstance(weight, float) and weight == 1 else backends.elementwise(times, (g, weight))
    backends.elementwise(gradient_of_row, (scaled, x, lse), out, accumulate)
    if index.size:
        less = backends.elementwise(minus_times, (scaled, 1.0), backends.empty(index.shape, dtypes.of(x).code))
        backends.scatter_add(out, axis, index, less)
    walk.arrive(parent, out)


@cross_entropy_of.vjp
def cross_entropy_vjp(g, needs, x, lse, index, weight, axis):
    scaled = g if isinstance(weight, float) else p.mul(g, wrap(weight))
    return p.sub(p.mul(softmax_of(x, axis=axis), scaled), scatter_zeros(scaled, x.array.shape, axis, index))


def moved(x: Tensor, dtype: Any) -> Tensor:
    return x if dtype is None or not isinstance(x, Tensor) else x.to(dtypes.get(dtype))


def softmax(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``dim``, computed after the maximum is subtracted."""
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
    """``log(softmax(x))``, computed without leaving the logarithm."""
    input = moved(input, dtype)
    float_only("log_softmax", input)
    axis = axis_of("log_softmax", implicit("log_softmax", input, _stacklevel) if dim is None else dim, input.array.ndim)
    return log_softmax_of(input, axis=axis) if input.array.ndim else log_softmax_of(input.reshape(1), axis=0).reshape(())


def softmin(input: Tensor, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``softmax(-x)``"""
    return labelled("softmin", softmax, labelled("softmin", p.neg, input), dim, _stacklevel + 2, dtype)


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over ``dim``, finite whenever the result is."""
    if not input.dtype.is_floating_point:
        input = input.to(dtypes.get_default_dtype())
    axes = axes_of("logsumexp", dim, input.array.ndim)
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


SUM, MIN, MAX = (backends.KINDS[k] for k in ("sum", "min", "max"))

# Losses over classes


def tensors_only(op: str, **arguments: Any) -> None:
    """Operands that must be tensors; weights and biases may be missing."""
    for name, x in arguments.items():
        if not isinstance(x, Tensor) and (x is not None or name in ("input", "target")):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")


def reduce_loss(op: str, loss: Tensor, reduction: str, divisor: Any = None, grad_name: str | None = "NllLossBackward0") -> Tensor:
    """none, sum or mean of losses, shown as ``grad_name``; the mean is over ``divisor`` if given."""
    result = folded(op, loss, reduction, divisor)
    return result if grad_name is None else named(result, grad_name)


def folded(op: str, loss: Tensor, reduction: str, divisor: Any) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() if divisor is None else p.div(loss.sum(), divisor)
    raise ArgumentError(f"{op}: {reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def class_targets(op: str, input: Tensor, target: Tensor, ignore_index: int) -> tuple[Any, int, int, int]:
    """(targets with the class axis as 1, that axis, number of classes, number of ignored targets), checked."""
    shape = input.array.shape
    ignore_index = integer(op, "ignore_index", ignore_index)
    if not shape:
        raise ArgumentError(f"{op}: Expected 1 or more dimensions (got 0): input must have a class axis")
    axis = 0 if len(shape) == 1 else 1
    expected = shape[:axis] + shape[axis + 1 :]
    t = target.array
    if t.shape != expected:
        raise ArgumentError(f"{op}: Expected target of shape {list(expected)} for input of shape {list(shape)}, got {list(t.shape)}")
    if t.dtype.kind not in "iu":
        raise DTypeError(f"{op}: expected scalar type Long for target but found {target.dtype}; convert with .long()")
    classes = shape[axis]
    ignored = 0
    if t.size:
        low = backends.reduce(MIN, identity, (t,), None, False).item()
        high = backends.reduce(MAX, identity, (t,), None, False).item()
        if low <= ignore_index <= high:
            ignored = int((t == ignore_index).sum())
        if low < 0 or high >= classes:
            bad = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
            if bad.size:
                raise OutOfRangeError(f"{op}: Target {int(bad.flat[0])} is out of bounds; there are {classes} classes")
    t = t if t.dtype == np.int64 else t.astype(np.int64)
    return t.reshape(*shape[:axis], 1, *shape[axis + 1 :]), axis, classes, ignored


def class_weights(op: str, weight: Tensor, target: Any, classes: int, ignore_index: int, like: Tensor) -> Tensor:
    """The weight of each row's class; 0 for ignored rows."""
    if weight.array.shape != (classes,):
        raise ShapeError(
            f"{op}: weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    ignored = target == ignore_index
    return wrap(np.where(ignored, 0, weight.array[np.where(ignored, 0, target)]).astype(like.array.dtype))


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative logarithm of the softmax of ``input`` (classes on axis 1) at ``target``: class numbers, or probabilities of ``input``'s shape.

    Rows whose target is ``ignore_index`` count nothing. The mean is over the weights of the rows.
    """
    tensors_only("cross_entropy", input=input, target=target, weight=weight)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    float_only("cross_entropy", input)
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"cross_entropy: {reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")
    if target.dtype.is_floating_point:
        return soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if label_smoothing:
        log_p = log_softmax(input, 0 if input.array.ndim == 1 else 1)
        return smooth_nll(log_p, target, weight, ignore_index, reduction, label_smoothing)
    index, axis, classes, ignored = class_targets("cross_entropy", input, target, ignore_index)
    w: Any = 1.0
    if weight is not None:
        w = class_weights("cross_entropy", weight, index, classes, ignore_index, input).array
    elif ignored:
        w = (index != ignore_index).astype(input.array.dtype)
    loss = cross_entropy_of(input, np.where(index == ignore_index, 0, index) if ignored else index, w, axis)
    loss = loss.squeeze(axis)
    if reduction != "mean":
        return reduce_loss("cross_entropy", loss, reduction)
    if weight is not None:
        return reduce_loss("cross_entropy", loss, reduction, float(w.sum()))
    return reduce_loss("cross_entropy", loss, reduction, index.size - ignored if ignored else None)


def soft_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float) -> Tensor:
    """Targets that are probabilities."""
    if target.array.shape != input.array.shape:
        raise ArgumentError(
            f"cross_entropy: Expected floating point target with class probabilities of shape {tuple(input.shape)}, got {tuple(target.shape)}"
        )
    axis = 0 if input.array.ndim == 1 else 1
    classes = input.array.shape[axis]
    if smoothing:
        target = p.add(p.mul(target, 1 - smoothing), smoothing / classes)
    terms = p.mul(log_softmax(input, axis), target)
    if weight is not None:
        terms = p.mul(terms, weight.reshape(tuple(-1 if i == axis else 1 for i in range(input.array.ndim))))
    loss = p.neg(sum_over(terms, (axis,), False))
    rows = max(loss.array.size, 1)
    return reduce_loss("cross_entropy", loss, reduction, rows if reduction == "mean" else None)


def smooth_nll(log_p: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float) -> Tensor:
    """Cross-entropy whose target is spread: (1 - e) at the class, e / classes everywhere."""
    index, axis, classes, _ = class_targets("cross_entropy", log_p, target, ignore_index)
    kept = wrap((index != ignore_index).squeeze(axis))
    nll = nll_loss(log_p, target, weight, ignore_index=ignore_index, reduction="none")
    terms = log_p
    if weight is not None:
        terms = p.mul(terms, weight.reshape(tuple(-1 if i == axis else 1 for i in range(log_p.array.ndim))))
    spread = p.where(kept, p.neg(sum_over(terms, (axis,), False)), 0.0)
    loss = p.add(p.mul(nll, 1 - smoothing), p.mul(spread, smoothing / classes))
    if reduction != "mean":
        return reduce_loss("cross_entropy", loss, reduction)
    divisor = (
        float(kept.array.sum())
        if weight is None
        else float(class_weights("cross_entropy", weight, index, classes, ignore_index, log_p).array.sum())
    )
    return named(p.div(loss.sum(), divisor), "AddBackward0")


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``-input[target]`` for log-probabilities with classes on axis 1."""
    from .indexing import gather_at

    tensors_only("nll_loss", input=input, target=target, weight=weight)
    index, axis, classes, count = class_targets("nll_loss", input, target, ignore_index)
    ignored = index == ignore_index
    picked = gather_at(input, axis, np.where(ignored, 0, index) if count else index)
    w = None if weight is None else class_weights("nll_loss", weight, index, classes, ignore_index, input)
    loss = p.neg(picked)
    if w is not None:
        loss = p.mul(loss, w)
    elif count:
        loss = p.where(wrap(~ignored), loss, 0.0)
    loss = loss.squeeze(axis)
    if reduction != "mean":
        return reduce_loss("nll_loss", loss, reduction)
    total = float(w.array.sum()) if w is not None else index.size - count
    if not total:
        return p.mul(loss.sum(), float("nan"))
    return reduce_loss("nll_loss", loss, reduction, total)


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


@rowwise(row_inputs=("mean", "rstd", "size"))
def normalize_back(g, x, mean, rstd, weight, size):
    """rstd * (gw - mean(gw) - xhat * mean(gw * xhat)), in few passes: the values of the row are multiplied first"""
    centred = x - mean
    gw = g * weight
    slope = s.row_sum(gw * centred) * rstd * rstd * rstd / size
    shift = s.row_sum(gw) * rstd / size
    return gw * rstd - (centred * slope + shift)


scale_gradient = backends.kernel(lambda g, x, mean, rstd: g * (x - mean) * rstd)


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
    px, pw, pb = node.parents
    x, weight, mean, rstd = node.saved
    size = node.meta[1][0]
    lead = tuple(range(x.ndim - 1))
    if walk.wants(px):
        out, accumulate = walk.destination(px)
        walk.arrive(
            px,
            backends.rows(
                normalize_back.op.kernel, (g, x, mean, rstd, 1.0 if weight is None else weight, size), x.ndim - 1, out, accumulate
            ),
        )
    if walk.wants(pw):
        out, accumulate = walk.destination(pw)
        walk.arrive(pw, backends.reduce(SUM, scale_gradient, (g, x, mean, rstd), lead, False, out, accumulate))
    if walk.wants(pb):
        out, accumulate = walk.destination(pb)
        walk.arrive(pb, backends.reduce(SUM, identity, (g,), lead, False, out, accumulate))


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
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes, which have ``normalized_shape``; Ba et al. 2016."""
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
