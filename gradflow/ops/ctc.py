"""Connectionist temporal classification: the loss of label sequences whose alignment is not known. Graves et al. 2006."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends
from ..backends.batched import asarray
from ..errors import ArgumentError, DTypeError, RankError, ShapeError
from ..kinds import elementwise
from ..scalar import primitives as s
from ..tensor import Tensor, wrap
from .apart import each_example
from .axes import integer
from .gathering import gather_at
from .hosted import hosted
from .pointwise import add, div, exp, isinf, mul, neg, sub, where
from .rearranging import pad
from .reductions import float_only


@elementwise(domain=(-5.0, 5.0))
def log_add_three(x, y, z):
    "log(exp(x) + exp(y) + exp(z)); -inf where all are"
    high = s.maximum(s.maximum(x, y), z)
    m = s.where(s.eq(high, -math.inf), 0.0, high)
    return m + s.log(s.exp(x - m) + s.exp(y - m) + s.exp(z - m))


@log_add_three.partial
def log_add_three_partial(w, x, y, z):
    return tuple(s.where(s.eq(v, -math.inf), 0, s.exp(v - w)) for v in (x, y, z))


def lengths_of(name: str, lengths: Any, batch: int) -> np.ndarray:
    if not isinstance(lengths, Tensor | tuple | list):
        raise DTypeError(f"ctc_loss: argument '{name}' must be Tensor or tuple of ints, not {type(lengths).__name__}")
    values = lengths.array if isinstance(lengths, Tensor) else asarray(lengths)
    if values.dtype.kind not in "iu":
        raise DTypeError(f"ctc_loss: {name} must be integral")
    values = values.reshape(-1).astype(np.int64)
    if values.size != batch:
        raise ShapeError(f"ctc_loss: Expected {name} to have size {batch}, but got size {values.size}")
    if (values < 0).any():
        raise ArgumentError(f"ctc_loss: {name} must not be negative: {values.tolist()}")
    return values


def padded_targets(targets: Tensor, lengths: np.ndarray, classes: int) -> np.ndarray:
    """The labels of each sample in a row, zeros behind them."""
    labels = targets.array.astype(np.int64)
    rows = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    if labels.ndim == 1:
        if lengths.sum() > labels.size:
            raise ShapeError(f"ctc_loss: target_lengths sum to {lengths.sum()}, but targets have {labels.size} elements")
        starts = np.cumsum(lengths) - lengths
        pieces = [labels[a : a + n] for a, n in zip(starts, lengths, strict=True)]
    else:
        if labels.ndim != 2 or len(labels) != len(lengths) or rows.shape[1] > labels.shape[1]:
            raise ShapeError(
                f"ctc_loss: targets of shape {list(labels.shape)} do not hold {len(lengths)} samples of up to {rows.shape[1]} labels"
            )
        pieces = [row[:n] for row, n in zip(labels, lengths, strict=True)]
    for row, piece in zip(rows, pieces, strict=True):
        row[: len(piece)] = piece
    if rows.size and not (rows.min() >= 0 and rows.max() < classes):
        raise ArgumentError(f"ctc_loss: targets must be between 0 and {classes - 1}")
    return rows


@hosted
@each_example
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: Any = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of ``targets``, summed over all alignments with ``log_probs`` (T, N, C) or (T, C).

    ``targets`` are (N, S), or all labels one after the other; ``blank`` is the class of no label. "mean" divides each loss by the number of its
    labels first. The gradient is torch's, that of log-probabilities made by ``log_softmax``: each step's adds to 0.

    >>> log_probs = gf.full((5, 1, 3), 1 / 3).log()
    >>> gf.nn.functional.ctc_loss(log_probs, gf.tensor([[1, 2]]), (5,), (2,))
    tensor(0.9689)
    """
    reduction = ("none", "mean", "sum")[reduction] if isinstance(reduction, int) and 0 <= reduction < 3 else reduction
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"{reduction} is not a valid value for reduction")
    float_only("ctc_loss", log_probs)
    if not isinstance(targets, Tensor) or targets.array.dtype.kind not in "iu":
        raise DTypeError("ctc_loss: targets must be a Tensor of integers")
    if log_probs.array.ndim not in (2, 3):
        raise RankError(f"ctc_loss: log_probs must be (T, N, C) or (T, C), they are {list(log_probs.shape)}")
    alone = log_probs.array.ndim == 2
    lp = log_probs.unsqueeze(1) if alone else log_probs
    steps, batch, classes = lp.array.shape
    blank = integer("ctc_loss", "blank", blank)
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank must be in label range: {blank} of {classes} classes")
    times, counts = lengths_of("input_lengths", input_lengths, batch), lengths_of("target_lengths", target_lengths, batch)
    if times.max(initial=0) > steps:
        raise ArgumentError(f"ctc_loss: Expected input_lengths to have value at most {steps}, but got value {times.max()}")
    labels = padded_targets(targets if targets.array.ndim == 2 or not alone else targets.reshape(-1), counts, classes)
    loss = alignments(lp, labels, times, counts, blank)
    inside = wrap(backends.beside((np.arange(steps)[:, None, None] < times[:, None]).astype(lp.array.dtype), lp.array))
    total = mul(exp(lp), inside).sum((0, 2))
    loss = add(loss, sub(total, total.detach()))  # no change of the value
    if zero_infinity:
        loss = where(isinf(loss), 0.0, loss)
    if reduction == "mean":
        return div(loss, wrap(backends.beside(np.maximum(counts, 1), loss.array))).to(lp.dtype).mean()
    return loss.sum() if reduction == "sum" else loss.squeeze(0) if alone else loss


def alignments(lp: Tensor, labels: np.ndarray, times: np.ndarray, counts: np.ndarray, blank: int) -> Tensor:
    """The forward recursion over states blank, label, blank, label, ..., blank."""
    steps, batch, _ = lp.array.shape

    def constant(a: np.ndarray) -> Tensor:
        return wrap(backends.beside(a, lp.array))

    states = np.full((batch, 2 * labels.shape[1] + 1), blank, np.int64)
    states[:, 1::2] = labels
    jump = np.zeros(states.shape, bool)  # from one label to the next, unless they are equal
    jump[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    emitted = gather_at(lp, 2, backends.dense(np.broadcast_to(states, (steps, *states.shape))))
    first, can_jump = constant(np.broadcast_to(np.arange(states.shape[1]) < 2, states.shape).copy()), constant(jump)
    none = -math.inf
    alpha = where(first, emitted[0], none) if steps else constant(np.full(states.shape, none, lp.array.dtype))
    for t in range(1, int(times.max(initial=0))):
        skipped = where(can_jump, pad(alpha, (2, -2), value=none), none)
        after = add(log_add_three(alpha, pad(alpha, (1, -1), value=none), skipped), emitted[t])
        alpha = after if (times > t).all() else where(constant((times > t)[:, None]), after, alpha)
    last = gather_at(alpha, 1, (2 * counts)[:, None]).squeeze(1)
    before = gather_at(alpha, 1, np.maximum(2 * counts - 1, 0)[:, None]).squeeze(1)
    before = where(constant(counts > 0), before, none)
    loss = neg(log_add_three(last, before, none))
    if (times == 0).any():
        loss = where(constant(times == 0), constant(np.where(counts == 0, 0.0, math.inf).astype(lp.array.dtype)), loss)
    return loss
