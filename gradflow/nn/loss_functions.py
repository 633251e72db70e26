"""The losses of `nn.functional`. Each is a formula of an element of the input and one of the target, then a reduction."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError, ShapeError, labelled
from ..kinds import elementwise
from ..ops import class_losses
from ..ops.class_losses import reduce_loss
from ..ops.convert import element
from ..ops.logic import somewhere
from ..ops.pointwise import mul
from ..ops.rowwise import tensors_only
from ..scalar import abs, eq, exp, ge, le, log, log1p, lt, maximum, minimum, sign, where
from ..tensor import Tensor

# formulas


@elementwise(grad_name="MseLossBackward0")
def squared_error(x, y):
    "(x - y)^2"
    d = x - y
    return d * d


@elementwise(grad_name="AbsBackward0", smooth=True)
def absolute_error(x, y):
    "abs(x - y); the derivative where they are equal is 0"
    return abs(x - y)


@elementwise(grad_name="SmoothL1LossBackward0", numbers=("beta",))
def smooth_absolute_error(x, y, beta):
    "d^2 / (2 beta) where abs(d) < beta, else abs(d) - beta / 2, for d = x - y"
    d = abs(x - y)
    m = minimum(d, beta)
    return m / beta * (d - 0.5 * m)


@smooth_absolute_error.partial
def smooth_absolute_error_partial(z, x, y, beta):
    d = x - y
    slope = where(lt(abs(d), beta), d / beta, sign(d))
    return slope, -slope, None


@elementwise(grad_name="HuberLossBackward0", numbers=("delta",))
def huber_error(x, y, delta):
    "d^2 / 2 where abs(d) <= delta, else delta * (abs(d) - delta / 2), for d = x - y"
    d = abs(x - y)
    return where(le(d, delta), 0.5 * d * d, delta * (d - 0.5 * delta))


@huber_error.partial
def huber_error_partial(z, x, y, delta):
    slope = minimum(maximum(x - y, -delta), delta)
    return slope, -slope, None


@elementwise(grad_name="BinaryCrossEntropyBackward0", domain=(0.05, 0.95))
def cross_entropy_of_probability(x, t):
    "-(t * log(x) + (1 - t) * log(1 - x)); the logs are not below -100"
    return (t - 1) * maximum(log1p(-x), -100) - t * maximum(log(x), -100)


@cross_entropy_of_probability.partial
def cross_entropy_of_probability_partial(z, x, t):
    return (x - t) / maximum((1 - x) * x, 1e-12), maximum(log1p(-x), -100) - maximum(log(x), -100)


@elementwise(grad_name="BinaryCrossEntropyWithLogitsBackward0")
def cross_entropy_of_logit(x, t):
    "cross_entropy_of_probability(sigmoid(x), t), finite for every finite x"
    return (1 - t) * x + maximum(-x, 0) + log1p(exp(-abs(x)))


@cross_entropy_of_logit.partial
def cross_entropy_of_logit_partial(z, x, t):
    return 1 / (1 + exp(-x)) - t, -x


@elementwise(grad_name="BinaryCrossEntropyWithLogitsBackward0", ulp=12)
def weighted_cross_entropy_of_logit(x, t, weight):
    "cross_entropy_of_logit with the positive term times weight"
    softplus = maximum(-x, 0) + log1p(exp(-abs(x)))
    return (1 - t) * x + (1 + (weight - 1) * t) * softplus


@weighted_cross_entropy_of_logit.partial
def weighted_cross_entropy_of_logit_partial(z, x, t, weight):
    softplus = maximum(-x, 0) + log1p(exp(-abs(x)))
    return (1 - t) - (1 + (weight - 1) * t) / (1 + exp(x)), (weight - 1) * softplus - x, t * softplus


@elementwise(grad_name="SubBackward0", domain=(0.05, 3.0))
def divergence(x, t):
    "t * (log(t) - x), and 0 where t is 0"
    return where(eq(t, 0), 0, t * log(t)) - t * x


@divergence.partial
def divergence_partial(z, x, t):
    return -t, log(t) + 1 - x


@elementwise(grad_name="MulBackward0")
def divergence_of_log(x, t):
    "exp(t) * (t - x)"
    return exp(t) * (t - x)


@elementwise
def is_no_probability(x):
    "Is x outside of [0, 1], or nan?"
    return eq(ge(x, 0) & le(x, 1), False)


# reductions


def reduction_named(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """The reduction's name, also from PyTorch's old way to say it."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        name = "none"
    else:
        name = "sum" if size_average is False else "mean"
    warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.", stacklevel=3)
    return name


def element_loss(op: str, formula: Callable[..., Tensor], input: Tensor, target: Tensor, *more: Any) -> Tensor:
    """The loss of each element; what is wrong with the operands is said in the name of ``op``."""
    loss = labelled(op, formula, input, target, *more)
    if not (input.is_floating_point() or target.is_floating_point()):
        raise DTypeError(f"{op}: not implemented for {input.dtype} and {target.dtype}; convert with .float()")
    return loss


def weighted(op: str, loss: Tensor, input: Tensor, weight: Tensor | None) -> Tensor:
    """The loss times ``weight``, which must broadcast to the input."""
    if weight is None:
        return loss
    loss = labelled(op, mul, loss, weight)
    if loss.shape != input.shape:
        raise ShapeError(f"{op}: weight of shape {tuple(weight.shape)} does not broadcast to the input's, {tuple(input.shape)}")
    return loss


def _warn_if_broadcast(input: Tensor, target: Tensor) -> None:
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely "
            "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def _check_weight(op: str, input: Tensor, weight: Tensor) -> None:
    if weight.shape != input.shape:
        raise ArgumentError(f"{op}: Weights and input must have the same size; got {tuple(weight.shape)} and {tuple(input.shape)}")


# the functions


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(input - target)^2; with weight the weighted mean.

    >>> gf.nn.functional.mse_loss(gf.tensor([1.0, 2.0]), gf.tensor([1.0, 4.0]))
    tensor(2.)
    """
    tensors_only("mse_loss", input=input, target=target, weight=weight)
    _warn_if_broadcast(input, target)
    loss = element_loss("mse_loss", squared_error, input, target)
    return _weighted_mean("mse_loss", loss, input, weight, reduction_named(reduction, size_average, reduce), "MseLossBackward0")


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """abs(input - target), whose derivative where they are equal is 0; with weight the weighted mean.

    >>> gf.nn.functional.l1_loss(gf.tensor([1.0, 2.0]), gf.tensor([2.0, 4.0]))
    tensor(1.5000)
    """
    tensors_only("l1_loss", input=input, target=target, weight=weight)
    _warn_if_broadcast(input, target)
    loss = labelled("l1_loss", absolute_error, input, target)
    return _weighted_mean("l1_loss", loss, input, weight, reduction_named(reduction, size_average, reduce), None)


def _weighted_mean(op: str, loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str, grad_name: str | None) -> Tensor:
    if weight is None:
        return reduce_loss(op, loss, reduction, grad_name=grad_name)
    _check_weight(op, input, weight)
    return reduce_loss(op, loss * weight, reduction, weight.sum(), None)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """d^2 / (2 beta) where abs(d) < beta, else abs(d) - beta / 2, for d = input - target.

    >>> gf.nn.functional.smooth_l1_loss(gf.tensor([0.0, 0.0]), gf.tensor([0.5, 3.0]))
    tensor(1.3125)
    """
    tensors_only("smooth_l1_loss", input=input, target=target)
    _warn_if_broadcast(input, target)
    beta = element("smooth_l1_loss", beta, gf.float64)
    if beta < 0:
        raise ArgumentError(f"smooth_l1_loss: does not support negative values for beta; got {beta}")
    formula, more = (smooth_absolute_error, (beta,)) if beta else (absolute_error, ())
    loss = element_loss("smooth_l1_loss", formula, input, target, *more)
    reduction = reduction_named(reduction, size_average, reduce)
    return reduce_loss("smooth_l1_loss", loss, reduction, grad_name="SmoothL1LossBackward0")


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """d^2 / 2 where abs(d) <= delta, else delta * (abs(d) - delta / 2), for d = input - target.

    >>> gf.nn.functional.huber_loss(gf.tensor([0.0, 0.0]), gf.tensor([0.5, 3.0]))
    tensor(1.3125)
    """
    tensors_only("huber_loss", input=input, target=target, weight=weight)
    _warn_if_broadcast(input, target)
    delta = element("huber_loss", delta, gf.float64)
    if delta <= 0:
        raise ArgumentError(f"huber_loss: does not support non-positive values for delta; got {delta}")
    loss = element_loss("huber_loss", huber_error, input, target, delta)
    if weight is None:
        return reduce_loss("huber_loss", loss, reduction, grad_name="HuberLossBackward0")
    _check_weight("huber_loss", input, weight)
    return reduce_loss("huber_loss", loss * weight, reduction, grad_name=None)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)), with logs not below -100, times weight.

    >>> gf.nn.functional.binary_cross_entropy(gf.tensor([0.5, 0.9]), gf.tensor([1.0, 1.0]))
    tensor(0.3993)
    """
    tensors_only("binary_cross_entropy", input=input, target=target, weight=weight)
    if target.shape != input.shape:
        raise ArgumentError(
            f"binary_cross_entropy: Using a target size ({tuple(target.shape)}) that is different to the input size "
            f"({tuple(input.shape)}) is deprecated. Please ensure they have the same size."
        )
    if target.dtype is not input.dtype:
        raise DTypeError(f"binary_cross_entropy: Found dtype {target.dtype} but expected {input.dtype}; convert one of them")
    if somewhere(is_no_probability(input)):
        raise ArgumentError("binary_cross_entropy: all elements of input should be between 0 and 1; use sigmoid")
    loss = weighted(
        "binary_cross_entropy", element_loss("binary_cross_entropy", cross_entropy_of_probability, input, target), input, weight
    )
    reduction = reduction_named(reduction, size_average, reduce)
    return reduce_loss("binary_cross_entropy", loss, reduction, grad_name="BinaryCrossEntropyBackward0")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), finite for every finite input; pos_weight multiplies its positive term.

    >>> gf.nn.functional.binary_cross_entropy_with_logits(gf.tensor([0.0, 100.0]), gf.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    op = "binary_cross_entropy_with_logits"
    tensors_only(op, input=input, target=target, weight=weight, pos_weight=pos_weight)
    if target.shape != input.shape:
        raise ArgumentError(f"{op}: Target size ({tuple(target.shape)}) must be the same as input size ({tuple(input.shape)})")
    if not target.is_floating_point():
        raise DTypeError(f"{op}: result type {input.dtype} can't be cast to the target's {target.dtype}; convert it with .float()")
    if pos_weight is None:
        loss = element_loss(op, cross_entropy_of_logit, input, target)
    else:
        loss = element_loss(op, weighted_cross_entropy_of_logit, input, target, pos_weight)
    if loss.shape != input.shape:
        raise ShapeError(
            f"{op}: pos_weight of shape {tuple(pos_weight.shape)} does not broadcast to "  # type: ignore[union-attr]
            f"the input's, {tuple(input.shape)}"
        )
    reduction = reduction_named(reduction, size_average, reduce)
    return reduce_loss(op, weighted(op, loss, input, weight), reduction, grad_name="BinaryCrossEntropyWithLogitsBackward0")


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target * (log(target) - input) for log-probabilities input; with log_target the target is one too.

    reduction "batchmean" divides the sum by the length of the first axis, as the mathematical divergence needs;
    "mean" divides by the number of elements and warns, as in PyTorch.

    >>> p = gf.tensor([0.5, 0.5])
    >>> gf.nn.functional.kl_div(gf.tensor([0.9, 0.1]).log(), p, reduction="sum")
    tensor(0.5108)
    """
    tensors_only("kl_div", input=input, target=target)
    for x in (input, target):
        if not x.is_floating_point():
            raise DTypeError(f"kl_div: Integral inputs not supported; one is {x.dtype}, convert it with .float()")
    reduction = reduction_named(reduction, size_average, reduce)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    loss = element_loss("kl_div", divergence_of_log if log_target else divergence, input, target)
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.ndim else loss
    return reduce_loss("kl_div", loss, reduction, grad_name=None)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-input[target] over the classes on axis 1 (the only axis of a single sample), weighted; see NLLLoss.

    >>> gf.nn.functional.nll_loss(gf.tensor([[0.1, 0.9]]).log(), gf.tensor([1]))
    tensor(0.1054)
    """
    reduction = reduction_named(reduction, size_average, reduce)
    return class_losses.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """nll_loss of log_softmax(input), in one pass; targets are class numbers or probabilities; see CrossEntropyLoss.

    >>> gf.nn.functional.cross_entropy(gf.tensor([[0.0, 0.0], [0.0, 9.0]]), gf.tensor([0, 1]))
    tensor(0.3466)
    """
    reduction = reduction_named(reduction, size_average, reduce)
    return class_losses.cross_entropy(
        input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )
