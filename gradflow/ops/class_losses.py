"""Losses over classes: cross-entropy as one kernel over rows, and its kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends.batched import everything
from ..errors import ArgumentError, DTypeError, OutOfRangeError, ShapeError
from ..kinds import custom
from ..kinds import rows as rowwise
from ..scalar import primitives as s
from ..scalar.types import FLOAT32
from ..tape.node import identity, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import integer
from .gathering import gather_at, scatter_zeros
from .reductions import float_only, mean_all, sum_all, sum_over
from .rowwise import log_softmax, logsumexp_of, softmax_of, stable_max, tensors_only

MIN, MAX = backends.KINDS["min"], backends.KINDS["max"]


@rowwise
def wide_logsumexp(x):
    "logsumexp in float32: the narrow types have too few digits for what is subtracted from it"
    m = stable_max(x)
    return s.cast(m + s.log(s.row_sum(s.exp(x - m))), FLOAT32)


@rowwise
def weighted_mean(losses, weights):
    "the sum of losses over that of their weights"
    return s.row_sum(losses) / s.row_sum(weights)


ONE_BLOCK = 1 << 16  # losses that one block of a device adds up as quickly as several would


def cross_entropy_of_row(x, target, ignored, weight):
    """(the loss, logsumexp(x), the weight of the target), 0 for a target that is ignored"""
    kept = s.ne(target, ignored)
    place = s.where(kept, target, 0)
    m = stable_max(x)
    lse = m + s.log(s.row_sum(s.exp(x - m)))
    w = s.where(kept, s.row_at(weight, place), 0.0)
    return s.where(kept, (lse - s.row_at(x, place)) * w, 0.0), lse, w


def wide_cross_entropy_of_row(x, target, ignored, weight):
    """The same with float32 for what the narrow types have too few digits for."""
    loss, lse, w = cross_entropy_of_row(x, target, ignored, weight)
    return loss, s.cast(lse, FLOAT32), s.cast(w, FLOAT32)


cross_entropy_row, wide_cross_entropy_row = (
    backends.kernel(f, outputs=3, raw=("target", "ignored"), row_inputs=("target", "ignored"), name="cross_entropy")
    for f in (cross_entropy_of_row, wide_cross_entropy_of_row)
)


@backends.kernel(raw=("target",), row_inputs=("g", "target", "lse", "weight"))
def cross_entropy_back(g, x, target, lse, weight):
    scaled = g * weight
    return scaled * s.exp(x - lse) - s.where(s.eq(s.column_index(), target), scaled, 0)


@custom(inputs=1, outputs=2, grad_name="NllLossBackward0")
def cross_entropy_on_device(x, target, ignored, weight, axis):
    """(the losses of rows, the weights of their targets): one kernel, which looks up the class and its weight, and checks it."""
    narrow = x.dtype.itemsize == 2
    loss, lse, w = backends.rows(wide_cross_entropy_row if narrow else cross_entropy_row, (x, target, ignored, weight), axis)
    return (loss, w), (x, lse, w)


@cross_entropy_on_device.pull
def cross_entropy_on_device_pull(node, g, walk):
    if 0 not in g:  # weights do not depend on x
        return
    parent = node.parents[0]
    x, lse, w = node.saved
    target, _, _, axis = node.meta[1]
    out, accumulate = walk.destination(parent)
    if out is None:
        out = backends.empty(x.shape, dtypes.of(x).code, x)
    walk.arrive(parent, backends.rows(cross_entropy_back, (g[0], x, target, lse, w), axis, out, accumulate))


@cross_entropy_on_device.vjp
def cross_entropy_on_device_vjp(g, needs, x, lse, w, target, ignored, weight, axis):
    if 0 not in g:
        return None
    scaled = p.mul(g[0], w)
    index = backends.elementwise(or_zero, (target, ignored))
    return p.sub(p.mul(softmax_of(x, axis=axis), scaled), scatter_zeros(scaled, x.array.shape, axis, index))


or_zero = backends.kernel(lambda t, ignored: s.where(s.eq(t, ignored), 0, t))
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
        loss = backends.elementwise(identity, (loss,), backends.empty(loss.shape, dtypes.of(x).code, x))
    return loss, (x, lse)


@cross_entropy_of.pull
def cross_entropy_pull(node, g, walk):
    """The softmax times g, and g less at the target."""
    parent = node.parents[0]
    x, lse = node.saved
    index, weight, axis = node.meta[1]
    out, accumulate = walk.destination(parent)
    if out is None:
        out = backends.empty(x.shape, dtypes.of(x).code, x)
    scaled = g if isinstance(weight, float) and weight == 1 else backends.elementwise(times, (g, weight))
    backends.elementwise(gradient_of_row, (scaled, x, lse), out, accumulate)
    if index.size:
        less = backends.elementwise(minus_times, (scaled, 1.0), backends.empty(index.shape, dtypes.of(x).code, x))
        backends.scatter_add(out, axis, index, less)
    walk.arrive(parent, out)


@cross_entropy_of.vjp
def cross_entropy_vjp(g, needs, x, lse, index, weight, axis):
    scaled = g if isinstance(weight, float) else p.mul(g, wrap(weight))
    return p.sub(p.mul(softmax_of(x, axis=axis), scaled), scatter_zeros(scaled, x.array.shape, axis, index))


def reduce_loss(op: str, loss: Tensor, reduction: str, divisor: Any = None, grad_name: str | None = "NllLossBackward0") -> Tensor:
    """none, sum or mean of losses, shown as ``grad_name``; the mean is over ``divisor`` if given."""
    result = folded(op, loss, reduction, divisor)
    return result if grad_name is None else named(result, grad_name)


def folded(op: str, loss: Tensor, reduction: str, divisor: Any) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return sum_all(loss)
    if reduction == "mean":
        return mean_all(loss) if divisor is None else p.div(sum_all(loss), divisor)
    raise ArgumentError(f"{op}: {reduction} is not a valid value for reduction; use 'none', 'mean' or 'sum'")


def class_targets(op: str, input: Tensor, target: Tensor, ignore_index: int) -> tuple[Any, int, int, int | None]:
    """(targets with the class axis as 1, that axis, number of classes, number of ignored targets), checked. On a device, where the answer would have
    to be waited for, nothing is counted (``None``), and the kernel that reads by the targets checks them."""
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
    ignored: int | None = 0
    if backends.place_of(t) is not None:
        ignored = None
    elif t.size:
        low = backends.reduce(MIN, identity, (everything(t),), None, False).item()
        high = backends.reduce(MAX, identity, (everything(t),), None, False).item()
        if low <= ignore_index <= high:
            ignored = int((t == ignore_index).sum())
        if low < 0 or high >= classes:
            bad = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
            if bad.size:
                raise OutOfRangeError(f"{op}: Target {int(bad.flat[0])} is out of bounds; there are {classes} classes")
    t = t if t.dtype == np.int64 else t.astype(np.int64)
    return t.reshape(*shape[:axis], 1, *shape[axis + 1 :]), axis, classes, ignored


chosen = backends.kernel(lambda t, ignored: (s.where(s.eq(t, ignored), 0, t), s.where(s.eq(t, ignored), 0.0, 1.0)), outputs=2)


def kept_targets(index: Any, ignore_index: int, like: Tensor) -> tuple[Any, Any, Tensor]:
    """(targets with 0 for those to ignore, 1 or 0 for each of them, and how many count), without waiting for the device."""
    index, kept = backends.elementwise(chosen, (index, ignore_index))
    weights = wrap(kept)
    return index, weights.to(like.dtype).array, sum_all(weights)


def class_weights(op: str, weight: Tensor, target: Any, classes: int, ignore_index: int, like: Tensor) -> Tensor:
    """The weight of each row's class; 0 for ignored rows."""
    checked_weights(op, weight, classes, like)
    ignored = target == ignore_index
    return wrap(np.where(ignored, 0, np.take(weight.array, np.where(ignored, 0, target))).astype(like.array.dtype))


def checked_weights(op: str, weight: Tensor, classes: int, like: Tensor) -> None:
    if weight.dtype is not like.dtype:
        raise DTypeError(f"{op}: expected weight of scalar type {like.dtype} but found {weight.dtype}; convert it")
    if weight.array.shape != (classes,):
        raise ShapeError(
            f"{op}: weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: {list(weight.shape)}"
        )


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
    if ignored is None:
        return on_device(input, index, weight, classes, ignore_index, axis, reduction)
    w: Any = 1.0
    if weight is not None:
        w = class_weights("cross_entropy", weight, index, classes, ignore_index, input).array
    elif ignored:
        w = (index != ignore_index).astype(input.array.dtype)
    loss = cross_entropy_of(input, np.where(index == ignore_index, 0, index) if ignored != 0 else index, w, axis)
    if reduction != "mean":
        return reduce_loss("cross_entropy", loss.squeeze(axis) if reduction == "none" else loss, reduction)
    if weight is not None:
        return reduce_loss("cross_entropy", loss, reduction, float(w.sum()))
    return reduce_loss("cross_entropy", loss, reduction, index.size - ignored if ignored else None)


def on_device(input: Tensor, index: Any, weight: Tensor | None, classes: int, ignored: int, axis: int, reduction: str) -> Tensor:
    """Without waiting for the device."""
    given: Any = 1.0
    if weight is not None:
        checked_weights("cross_entropy", weight, classes, input)
        given = weight.array.reshape([classes if d == axis else 1 for d in range(input.array.ndim)])
    loss, weights = cross_entropy_on_device(input, index, ignored, given, axis)
    if reduction != "mean":
        return reduce_loss("cross_entropy", loss.squeeze(axis) if reduction == "none" else loss, reduction)
    counted = wrap(weights.array)
    if 0 < counted.array.size <= ONE_BLOCK:
        flat = weighted_mean(loss.reshape(-1), counted.reshape(-1), axis=0)
        mean = named(flat.reshape(()), "NllLossBackward0")
    else:
        mean = reduce_loss("cross_entropy", loss, reduction, sum_all(counted))
    return mean if mean.dtype is input.dtype else mean.to(input.dtype)


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
    tensors_only("nll_loss", input=input, target=target, weight=weight)
    index, axis, classes, count = class_targets("nll_loss", input, target, ignore_index)
    if count is None and weight is None:
        index, w, kept = kept_targets(index, ignore_index, input)
        loss = p.where(p.ne(wrap(w), 0), p.neg(gather_at(input, axis, index)), 0.0).squeeze(axis)
        return reduce_loss("nll_loss", loss, reduction, kept).to(input.dtype)
    ignored = index == ignore_index
    picked = gather_at(input, axis, np.where(ignored, 0, index) if count != 0 else index)
    w = None if weight is None else class_weights("nll_loss", weight, index, classes, ignore_index, input)
    loss = p.neg(picked)
    if w is not None:
        loss = p.mul(loss, w)
    elif count:
        loss = p.where(wrap(~ignored), loss, 0.0)
    loss = loss.squeeze(axis)
    if reduction != "mean":
        return reduce_loss("nll_loss", loss, reduction)
    total = float(w.array.sum()) if w is not None else index.size - (count or 0)
    if not total:
        return p.mul(loss.sum(), float("nan"))
    return reduce_loss("nll_loss", loss, reduction, total)
