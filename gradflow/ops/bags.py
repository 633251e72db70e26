"""Rows of a table, added up or otherwise folded in bags."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import ArgumentError, OutOfRangeError, ShapeError
from ..kinds import linear
from ..tensor import Tensor, recording, wrap
from .axes import integer
from .embedding import embedding_of, rarity, shorten
from .gathering import index_array, rows_at, rows_zeros
from .pointwise import div, mul, where
from .views import require_tensor


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: Any = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The "sum", "mean" or "max" of the rows of ``weight`` in each bag: a row of ``input``, or what starts at each of ``offsets``.

    Rows ``padding_idx`` do not count; an empty bag gives 0. ``per_sample_weights`` multiply the rows of a sum. ``max_norm`` and
    ``scale_grad_by_freq`` are those of :func:`embedding`.

    >>> weight = gf.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> gf.nn.functional.embedding_bag(gf.tensor([[0, 1], [1, 1]]), weight, mode="sum")
    tensor([[2., 4.],
            [4., 6.]])
    """
    if isinstance(weight, Tensor) and weight.array.dtype.kind in "iu":
        input, weight = weight, input  # the arguments in their former order
    index = index_array("embedding_bag", input)
    require_tensor("embedding_bag", weight, "weight")
    if weight.array.ndim != 2:
        raise ArgumentError(f"embedding_bag: weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f"embedding_bag: mode has to be one of sum, mean or max, not {mode!r}")
    if sparse and recording(weight):
        raise ArgumentError("embedding_bag: there are no sparse gradients; leave sparse out")
    if scale_grad_by_freq and mode == "max":
        raise ArgumentError("embedding_bag: max mode does not support scaling the gradient by the frequency; leave scale_grad_by_freq out")
    if per_sample_weights is not None:
        if mode != "sum":
            raise ArgumentError(
                f"embedding_bag: per_sample_weights was not None, but mode is {mode!r}; they are only supported for mode='sum'"
            )
        if per_sample_weights.array.shape != index.shape:
            raise ShapeError(
                f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.shape)}) is not None, then it must have the same shape as the input ({index.shape})"
            )
    bag, bags = bags_of(index, offsets, include_last_offset)
    flat, n = index.reshape(-1)[: bag.size].astype(np.int64), weight.array.shape[0]
    if backends.place_of(flat) is None and flat.size and not (flat.min() >= 0 and flat.max() < n):
        raise OutOfRangeError(f"embedding_bag: index {flat[(flat < 0) | (flat >= n)][0]} is out of range for a weight of {n} rows")
    keep: Any = None
    if padding_idx is not None:
        padding_idx = integer("embedding_bag", "padding_idx", padding_idx)
        if not -n <= padding_idx < n:
            raise OutOfRangeError(f"embedding_bag: padding_idx must be within the number of embeddings: {padding_idx} of {n}")
        keep = np.flatnonzero(flat != padding_idx % n)
        flat, bag = flat[keep], bag[keep]
    if max_norm is not None and flat.size:
        shorten(weight, wrap(flat), max_norm, norm_type)
    if mode != "max" and per_sample_weights is None and not scale_grad_by_freq and summable(weight.array, flat, bag):
        return averaged(bag_sums(weight, flat, bag, bags), bag, mode)
    rows = embedding_of(weight, flat, None, rarity(wrap(flat), weight)) if scale_grad_by_freq and flat.size else rows_at(weight, 0, flat)
    if mode == "max":
        return largest(rows, bag, bags)
    if per_sample_weights is not None:
        weights = per_sample_weights.reshape(-1)[: flat.size] if keep is None else rows_at(per_sample_weights.reshape(-1), 0, keep)
        rows = mul(rows, weights.unsqueeze(1))
    total = rows_zeros(rows, (bags, weight.array.shape[1]), 0, backends.dense(bag))
    return averaged(total, bag, mode)


def averaged(total: Tensor, bag: Any, mode: str) -> Tensor:
    if mode == "sum":
        return total
    counts = np.maximum(np.bincount(bag, minlength=len(total)), 1)[:, None]
    return div(total, wrap(counts.astype(total.array.dtype)))


def summable(table: Any, *indices: Any) -> bool:
    return all(type(a) is np.ndarray for a in (table, *indices)) and table.dtype.char in "fd"


@linear(grad_name="EmbeddingBagBackward0")
def bag_sums(table, source, target, bags):
    """``out[target[i]] += table[source[i]]`` for ``bags`` rows, without the rows in between."""
    out = backends.zeros((bags, table.shape[1]), of(table).code)
    return backends.cpu.add_rows_of(out, target, backends.dense(table), source)


@bag_sums.adjoint
def bag_sums_adjoint(g, shape, source, target, bags):
    if summable(g.array):
        return bag_sums(g, target, source, shape[0])
    return rows_zeros(rows_at(g, 0, target), tuple(shape), 0, source)


def bags_of(index: np.ndarray, offsets: Tensor | None, include_last_offset: bool) -> tuple[np.ndarray, int]:
    """(the bag of each position, how many bags)"""
    if index.ndim == 2:
        if offsets is not None:
            raise ArgumentError(
                "embedding_bag: if input is 2D, then offsets has to be None, as input is treated as a mini-batch of fixed length sequences"
            )
        return backends.beside(np.repeat(np.arange(len(index)), index.shape[1]), index), len(index)
    if index.ndim != 1:
        raise ArgumentError(f"embedding_bag: input has to be 1D or 2D Tensor, but got Tensor of dimension {index.ndim}")
    if offsets is None:
        raise ArgumentError("embedding_bag: offsets has to be a 1D Tensor but got None")
    starts = index_array("embedding_bag", offsets).astype(np.int64)
    if starts.ndim != 1:
        raise ArgumentError(f"embedding_bag: offsets has to be a 1D Tensor, it has {starts.ndim} dimensions")
    if starts.size and (starts[0] != 0 or starts[-1] > index.size or (np.diff(starts) < 0).any()):
        raise ArgumentError(
            f"embedding_bag: offsets[0] has to be 0 and the others rise up to the length of input ({index.size}): {starts.tolist()}"
        )
    if include_last_offset:
        if not starts.size:
            raise ArgumentError("embedding_bag: include_last_offset: number of offsets should be at least 1")
        index, starts = index[: int(starts[-1])], starts[:-1]
    if not starts.size:
        return starts, 0
    return np.searchsorted(starts, np.arange(index.size), side="right") - 1, starts.size


def largest(rows: Tensor, bag: np.ndarray, bags: int) -> Tensor:
    """The largest of each column in each bag; the first of equals gets the gradient."""
    sizes = np.bincount(bag, minlength=bags)
    most = int(sizes.max(initial=0))
    if not most:
        return wrap(backends.beside(np.zeros((bags, rows.array.shape[1]), rows.array.dtype), rows.array))
    place = np.arange(bag.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    grid: np.ndarray = np.zeros((bags, most), np.int64)
    grid[bag, place] = np.arange(bag.size)
    inside = np.arange(most) < sizes[:, None]
    spread = rows_at(rows, 0, grid.reshape(-1)).reshape(bags, most, rows.array.shape[1])
    best = where(wrap(inside[:, :, None]), spread, -math.inf).max(1)[0]
    return where(wrap((sizes > 0)[:, None]), best, 0.0)
