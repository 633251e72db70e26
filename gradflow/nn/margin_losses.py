"""Losses of distances, margins and counts, as functions."""

from __future__ import annotations

import math
from collections.abc import Callable

import gradflow as gf

from ..errors import ArgumentError, DTypeError, ShapeError
from ..kinds import elementwise
from ..ops.class_losses import reduce_loss
from ..ops.logic import somewhere
from ..ops.pointwise import eq, minimum, ne, where
from ..ops.rowwise import tensors_only
from ..scalar import abs, exp, log1p, maximum
from ..tensor import Tensor
from .loss_functions import reduction_named


def reduced(op: str, loss: Tensor, reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> Tensor:
    return reduce_loss(op, loss, reduction_named(reduction, size_average, reduce), None, None)


@elementwise(grad_name="SoftMarginLossBackward0")
def soft_margin(x, y):
    "log(1 + exp(-x y)), finite for finite x and y"
    z = x * y
    return maximum(-z, 0) + log1p(exp(-abs(z)))


@soft_margin.partial
def soft_margin_partial(loss, x, y):
    slope = -1 / (1 + exp(x * y))
    return slope * y, slope * x


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target * input)) for targets 1 and -1.

    >>> gf.nn.functional.soft_margin_loss(gf.tensor([2.0, 0.0]), gf.tensor([1.0, -1.0]))
    tensor(0.4100)
    """
    tensors_only("soft_margin_loss", input=input, target=target)
    return reduced("soft_margin_loss", soft_margin(input, target), reduction, size_average, reduce)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -target * (input1 - input2) + margin): 1 asks that the first be larger, -1 that the second be.

    >>> gf.nn.functional.margin_ranking_loss(gf.tensor([1.0]), gf.tensor([2.0]), gf.tensor([1.0]))
    tensor(1.)
    """
    tensors_only("margin_ranking_loss", input=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            "margin_ranking_loss: All input tensors should have same dimension but got sizes: "
            f"input1: {tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: {tuple(target.shape)} "
        )
    loss = (-target * (input1 - input2) + float(margin)).clamp_min(0)
    return reduced("margin_ranking_loss", loss, reduction, size_average, reduce)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The distance input where target is 1, max(0, margin - input) where it is -1.

    >>> gf.nn.functional.hinge_embedding_loss(gf.tensor([0.3, 0.4]), gf.tensor([1, -1]))
    tensor(0.4500)
    """
    tensors_only("hinge_embedding_loss", input=input, target=target)
    near = where(ne(target, -1), input, 0.0)
    far = where(ne(target, 1), (margin - input).clamp_min(0), 0.0)
    return reduced("hinge_embedding_loss", near + far, reduction, size_average, reduce)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1; inputs (N, D) or (D).

    >>> gf.nn.functional.cosine_embedding_loss(gf.tensor([1.0, 0.0]), gf.tensor([0.0, 1.0]), gf.tensor(1))
    tensor(1.)
    """
    tensors_only("cosine_embedding_loss", input=input1, input2=input2, target=target)
    if target.ndim not in (0, 1):
        raise ShapeError(f"cosine_embedding_loss: 0D or 1D target tensor expected, multi-target not supported; it is {target.ndim}-D")
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise ShapeError(
            f"cosine_embedding_loss: {target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    lengths = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
    cos = (input1 * input2).sum(-1) / lengths.sqrt()
    loss = where(eq(target, 1), 1 - cos, 0.0) + where(eq(target, -1), (cos - margin).clamp_min(0), 0.0)
    return reduced("cosine_embedding_loss", loss, reduction, size_average, reduce)


def _rows_and_targets(name: str, input: Tensor, target: Tensor, target_ndim: int) -> tuple[Tensor, Tensor]:
    """input as (N, C), target as (N, ...)."""
    if input.ndim > 2 or (input.ndim and not input.shape[-1]):
        raise ShapeError(f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}")
    rows = input.reshape(1, -1) if input.ndim < 2 else input
    want = tuple(rows.shape) if target_ndim else (rows.shape[0],)
    if target.numel() != math.prod(want) or target.ndim > max(len(want), 1):
        raise ShapeError(f"{name}: inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    if target.dtype is not gf.int64:
        raise ArgumentError(f"{name}: expected target of int64, it is {target.dtype}; convert with .long()")
    return rows, target.reshape(want)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """sum over classes j but the target y of max(0, margin - input[y] + input[j])^p / C, times weight[y]; p is 1 or 2.

    >>> gf.nn.functional.multi_margin_loss(gf.tensor([[0.1, 0.2, 0.4]]), gf.tensor([2]))
    tensor(0.5000)
    """
    tensors_only("multi_margin_loss", input=input, target=target, weight=weight)
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: only p == 1 and p == 2 supported, not {p}")
    rows, y = _rows_and_targets("multi_margin_loss", input, target, 0)
    classes = rows.shape[1]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(f"multi_margin_loss: inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    of_target = rows.gather(1, y.unsqueeze(1))
    hinge = (margin - of_target + rows).clamp_min(0)
    others = ne(gf.arange(classes, device=y.device), y.unsqueeze(1))
    loss = where(others, hinge if p == 1 else hinge * hinge, 0.0).sum(1) / classes
    if weight is not None:
        loss = loss * weight[y]
    loss = loss.squeeze(0) if target.ndim == 0 else loss
    return reduced("multi_margin_loss", loss, reduction, size_average, reduce)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """sum over target classes y and all others j of max(0, 1 - input[y] + input[j]) / C; a row of targets ends at its first -1.

    >>> gf.nn.functional.multilabel_margin_loss(gf.tensor([[0.1, 0.2, 0.4]]), gf.tensor([[2, -1, 0]]))
    tensor(0.5000)
    """
    tensors_only("multilabel_margin_loss", input=input, target=target)
    rows, y = _rows_and_targets("multilabel_margin_loss", input, target, 1)
    classes = rows.shape[1]
    if somewhere((y < -1) | (y >= classes)):
        raise ArgumentError(f"multilabel_margin_loss: target is out of range; classes are 0 to {classes - 1}, and -1")
    given = eq(eq(y, -1).cumsum(1), 0)
    among = gf.zeros(rows.shape[0], classes + 1, dtype=gf.bool, device=y.device).scatter(1, where(given, y, classes), True)[:, :classes]
    of_targets = rows.gather(1, y.clamp_min(0))
    hinge = (1 - of_targets.unsqueeze(2) + rows.unsqueeze(1)).clamp_min(0)
    counted = given.unsqueeze(2) & ~among.unsqueeze(1)
    loss = where(counted, hinge, 0.0).sum((1, 2)) / classes
    loss = loss.squeeze(0) if input.ndim < 2 else loss
    return reduced("multilabel_margin_loss", loss, reduction, size_average, reduce)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of -(target * log(sigmoid(input)) + (1 - target) * log(sigmoid(-input))), times weight.

    >>> gf.nn.functional.multilabel_soft_margin_loss(gf.tensor([[1.0, -1.0]]), gf.tensor([[1.0, 0.0]]))
    tensor(0.3133)
    """
    tensors_only("multilabel_soft_margin_loss", input=input, target=target, weight=weight)
    logsigmoid = gf.nn.functional.logsigmoid
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced("multilabel_soft_margin_loss", loss.sum(-1) / input.shape[-1], reduction, size_average, reduce)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |anchor - positive| - |anchor - negative| + margin) with norms of order p.

    >>> gf.nn.functional.triplet_margin_loss(gf.tensor([[0.0]]), gf.tensor([[1.0]]), gf.tensor([[1.5]]))
    tensor(0.5000)
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return gf.nn.functional.pairwise_distance(x, y, p, eps)

    reduction = reduction_named(reduction, size_average, reduce)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin); with swap the nearer of anchor and positive counts. Balntas et al. 2016.

    >>> gf.nn.functional.triplet_margin_with_distance_loss(gf.tensor([[0.0]]), gf.tensor([[1.0]]), gf.tensor([[1.5]]))
    tensor(0.5000)
    """
    tensors_only("triplet_margin_with_distance_loss", anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ArgumentError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ShapeError(
            "triplet_margin_loss: The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    if not (distance_function is None or callable(distance_function)):
        raise DTypeError(
            f"triplet_margin_with_distance_loss: argument 'distance_function' must be a function, not {type(distance_function).__name__}"
        )
    d = gf.nn.functional.pairwise_distance if distance_function is None else distance_function
    near, far = d(anchor, positive), d(anchor, negative)
    if swap:
        far = minimum(far, d(positive, negative))
    return reduced("triplet_margin_with_distance_loss", (margin + near - far).clamp_min(0), reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(input) - target * input for logarithms of rates, input - target * log(input + eps) for rates; full adds Stirling's log(target!).

    >>> gf.nn.functional.poisson_nll_loss(gf.tensor([0.0]), gf.tensor([2.0]))
    tensor(1.)
    """
    tensors_only("poisson_nll_loss", input=input, target=target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + where(target > 1, stirling, 0.0)
    return reduced("poisson_nll_loss", loss, reduction, size_average, reduce)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log(var) + (input - target)^2 / var) / 2, with var not below eps, which has no part in the gradient; full adds log(2 pi) / 2.

    >>> gf.nn.functional.gaussian_nll_loss(gf.tensor([0.0]), gf.tensor([2.0]), gf.tensor([4.0]))
    tensor(1.1931)
    """
    tensors_only("gaussian_nll_loss", input=input, target=target)
    if not isinstance(var, Tensor | int | float):
        raise DTypeError(f"gaussian_nll_loss: argument 'var' must be Tensor or float, not {type(var).__name__}")
    spread = var if isinstance(var, Tensor) else gf.ones_like(input) * var
    if somewhere(spread < 0):
        raise ArgumentError("gaussian_nll_loss: var has negative entry/entries")
    if spread.shape != input.shape:
        if tuple(spread.shape) == tuple(input.shape[:-1]):
            spread = spread.unsqueeze(-1)
        elif spread.ndim != input.ndim or sum(m for n, m in zip(input.shape, spread.shape, strict=True) if n != m) != 1:
            raise ArgumentError(f"gaussian_nll_loss: var is of incorrect size: {tuple(spread.shape)} for an input of {tuple(input.shape)}")
    spread = spread + (spread.detach().clamp_min(eps) - spread.detach())
    loss = 0.5 * (spread.log() + (input - target) ** 2 / spread)
    return reduced("gaussian_nll_loss", loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
