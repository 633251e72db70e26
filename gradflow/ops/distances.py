"""Distances between the rows of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError, ShapeError, labelled
from ..tape.node import named
from ..tensor import Tensor
from .gathering import rows_at
from .pointwise import add, gt, isnan, mul, sqrt, sub, where
from .products import matmul
from .reductions import float_only, sum_over
from .vector_norms import norm_of
from .views import require_tensor

MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
MANY = 25  # so many rows, and their distances come from a product of matrices, as in torch


def distances(x1: Tensor, x2: Tensor) -> Tensor:
    """``sqrt(|x|^2 + |y|^2 - 2 x.y)`` of all pairs of rows; gradient 0 where they are equal."""
    a, b = (sum_over(mul(x, x), (x.array.ndim - 1,), True) for x in (x1, x2))
    square = sub(add(a, b.transpose(-1, -2)), mul(matmul(x1, x2.transpose(-1, -2)), 2))
    apart = gt(square, 0)
    return where(apart, sqrt(where(apart, square, 1.0)), where(isnan(square), square, 0.0))


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = MODES[0]) -> Tensor:
    """The distances, in the p-norm, between all pairs of rows of ``x1`` and ``x2``; leading axes are batches.

    ``compute_mode`` says whether Euclidean distances come from a product of matrices, which is faster and loses digits of small distances: by
    default for more than 25 rows.

    >>> gf.cdist(gf.tensor([[0.0, 0.0]]), gf.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    if not isinstance(p, int | float):
        raise DTypeError(f"cdist: argument 'p' must be float, not {type(p).__name__}")
    if compute_mode not in MODES:
        raise ArgumentError(f"cdist: {compute_mode!r} is not a valid value for compute_mode; choose one of {', '.join(MODES)}")
    for name, x in (("x1", x1), ("x2", x2)):
        if not isinstance(x, Tensor):
            raise DTypeError(f"cdist: argument '{name}' must be Tensor, not {type(x).__name__}")
        if not x.dtype.is_floating_point:
            raise DTypeError(f"cdist: only supports floating-point dtypes, {name} is {x.dtype}")
        if x.array.ndim < 2:
            raise ShapeError(f"cdist: only supports at least 2D tensors, {name} is {x.ndim}D")
    if x1.dtype is not x2.dtype:
        raise DTypeError(f"cdist: x1 and x2 must have the same dtype, but they have {x1.dtype} and {x2.dtype}; convert one of them")
    if x1.array.shape[-1] != x2.array.shape[-1]:
        raise ShapeError(f"cdist: X1 and X2 must have the same number of columns. X1: {x1.array.shape[-1]} X2: {x2.array.shape[-1]}")
    if not p >= 0:
        raise ArgumentError(f"cdist: only supports non-negative p values, it is {p}")
    many = max(x1.array.shape[-2], x2.array.shape[-2]) > MANY
    if p == 2 and (compute_mode == MODES[1] or (many and compute_mode == MODES[0])):
        return named(labelled("cdist", distances, x1, x2), "EuclideanDistBackward0")
    gap = labelled("cdist", sub, x1.unsqueeze(-2), x2.unsqueeze(-3))
    return named(norm_of(gap, float(p), (gap.array.ndim - 1,), False), "CdistBackward0")


def dist(input: Tensor, other: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm of ``input - other``; the gradient is 0 where the norm is 0.

    >>> gf.dist(gf.tensor([0.0, 0.0]), gf.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if not isinstance(other, Tensor):
        raise DTypeError(f"dist: argument 'other' must be Tensor, not {type(other).__name__}")
    gap = labelled("dist", sub, input, other)
    float_only("dist", gap)
    return named(norm_of(gap, float(p), None, False), "DistBackward0")


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances of order ``p`` between every two rows, each pair once.

    >>> gf.pdist(gf.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    require_tensor("pdist", input)
    if input.array.ndim != 2:
        raise ShapeError(f"pdist: only supports 2D tensors, got: {input.ndim}D")
    if not p >= 0:
        raise ArgumentError(f"pdist: only supports non-negative p values: {p}")
    i, j = np.triu_indices(input.array.shape[0], 1)
    difference = sub(rows_at(input, 0, backends.dense(i)), rows_at(input, 0, backends.dense(j)))
    return named(difference.norm(p, 1), "PdistBackward0")
