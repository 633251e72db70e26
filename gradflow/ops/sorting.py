"""Sorting, selecting and counting: NumPy finds the places, the gradient goes to what was taken."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import backends, dtypes
from ..backends.batched import asarray
from ..errors import ArgumentError, AxisError, DTypeError, OutOfRangeError, ShapeError
from ..scalar import primitives as s
from ..scalar.types import INT64
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axis_of, flag, integer
from .convert import element
from .gathering import gather_at
from .reductions import float_only
from .scans import equals_before


class Sorted(NamedTuple):
    """Values and where they were."""

    values: Tensor
    indices: Tensor


def order_of(a: Any, axis: int, descending: bool) -> Any:
    """Stable places of the sorted elements; nan is the largest."""
    if a.dtype.kind == "V":
        a = a.astype(np.float32)
    if not descending:
        return np.argsort(a, axis, kind="stable")
    flipped = np.argsort(np.flip(a, axis), axis, kind="stable")  # reversed twice, so that equals keep their order
    return a.shape[axis] - 1 - np.flip(flipped, axis)


FEW, MANY = 64, 1024  # so many are sorted, of more the first are selected; by a heap if they are not more than the second number
HEAPED = {**dict.fromkeys("?bBh", np.int32), "e": np.float32}  # as what the others are compared


def first_places(a: Any, axis: int, k: int, descending: bool) -> Any:
    """Places of the ``k`` elements that come first in order, in order; which of equals is open."""
    n, ahead = a.shape[axis], (slice(None),) * axis
    if not 0 < 4 * k < n or n <= FEW or backends.place_of(a) is not None:
        return order_of(a, axis, descending)[(*ahead, slice(0, k))]
    a = a.astype(np.float32) if a.dtype.kind == "V" else a
    if k <= MANY and type(a) is np.ndarray:
        rows = np.ascontiguousarray(np.moveaxis(a, axis, -1), HEAPED.get(a.dtype.char))
        return np.moveaxis(backends.cpu.top(rows, k, descending), -1, axis)
    some = np.argpartition(a, n - k if descending else k - 1, axis)[(*ahead, slice(n - k, None) if descending else slice(0, k))]
    some = np.sort(some, axis)
    return np.take_along_axis(some, order_of(np.take_along_axis(a, some, axis), axis, descending), axis)


def chosen(op: str, grad_name: str, input: Tensor, axis: int, index: Any) -> Sorted:
    index = backends.dense(index, dtype=np.int64)
    return Sorted(named(gather_at(input, axis, index), grad_name), wrap(index))


def sort(input: Tensor, dim: Any = -1, descending: bool = False, stable: bool | None = False) -> Sorted:
    """(values, indices) in order along ``dim``; stable; nan is the largest.

    >>> values, indices = gf.sort(gf.tensor([3, 1, 2]))
    >>> values, indices
    (tensor([1, 2, 3]), tensor([1, 2, 0]))
    """
    descending = flag("sort", "descending", descending)
    if stable is not None:
        flag("sort", "stable", stable)
    if not input.array.ndim:
        axis_of("sort", dim, 0)
        return Sorted(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    axis = axis_of("sort", dim, input.array.ndim)
    return chosen("sort", "SortBackward0", input, axis, order_of(input.array, axis, descending))


def argsort(input: Tensor, dim: Any = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort along ``dim``.

    >>> gf.argsort(gf.tensor([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return sort(input.detach(), dim, descending, stable).indices


def msort(input: Tensor) -> Tensor:
    """Sorted along the first axis.

    >>> gf.msort(gf.tensor([[3, 1], [2, 4]]))
    tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: Any = -1, largest: bool = True, sorted: bool = True) -> Sorted:
    """(values, indices) of the ``k`` largest (or smallest) along ``dim``, in order.

    >>> values, indices = gf.topk(gf.tensor([3, 1, 4, 2]), 2)
    >>> values, indices
    (tensor([4, 3]), tensor([2, 0]))
    """
    a = input.array
    axis, k, largest = axis_of("topk", dim, a.ndim), integer("topk", "k", k), flag("topk", "largest", largest)
    n = a.shape[axis] if a.ndim else 1
    if not 0 <= k <= n:
        raise ArgumentError(f"topk: selected index k out of range: k is {k}, the axis has {n} elements")
    if not a.ndim:
        return Sorted(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    return chosen("topk", "TopkBackward0", input, axis, first_places(a, axis, k, largest))


def kept(values: Tensor, indices: Tensor, axis: int, keepdim: bool) -> Sorted:
    return Sorted(values, indices) if keepdim or not values.array.ndim else Sorted(values.squeeze(axis), indices.squeeze(axis))


def at_rank(op: str, grad_name: str, input: Tensor, rank: Any, axis: int, keepdim: bool) -> Sorted:
    """The element of a rank (an int, or one for each row) along ``axis``."""
    a = input.array.astype(np.float32) if input.array.dtype.kind == "V" else input.array
    if isinstance(rank, int):
        some = a.shape[axis] > FEW and backends.place_of(a) is None
        find = np.argpartition(a, rank, axis) if some else order_of(a, axis, False)
        index = find[(slice(None),) * axis + (slice(rank, rank + 1),)]
    else:
        index = np.take_along_axis(order_of(a, axis, False), rank, axis)
    values, indices = chosen(op, grad_name, input, axis, index)
    return kept(values, indices, axis, keepdim)


def kthvalue(input: Tensor, k: int, dim: Any = -1, keepdim: bool = False) -> Sorted:
    """(value, index) of the ``k``-th smallest along ``dim``, counted from 1.

    >>> value, index = gf.kthvalue(gf.tensor([30, 10, 20]), 2)
    >>> value, index
    (tensor(20), tensor(2))
    """
    axis, k = axis_of("kthvalue", dim, input.array.ndim), integer("kthvalue", "k", k)
    keepdim = flag("kthvalue", "keepdim", keepdim)
    n = input.array.shape[axis] if input.array.ndim else 1
    if not 1 <= k <= n:
        raise ArgumentError(f"kthvalue: selected number k out of range for dimension {axis}: k is {k}, the axis has {n} elements")
    if not input.array.ndim:
        return Sorted(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    return at_rank("kthvalue", "KthvalueBackward0", input, k - 1, axis, keepdim)


def middle(op: str, grad_name: str, input: Tensor, dim: Any, keepdim: bool, skip_nan: bool) -> Any:
    whole, keepdim = dim is None, flag(op, "keepdim", keepdim)
    if whole and keepdim:
        raise DTypeError(f"{op}: keepdim is for a dim; pass dim, or reshape the result")
    x = input.reshape(-1) if whole else input
    axis = 0 if whole else axis_of(op, dim, input.array.ndim)
    if not x.array.ndim:
        return Sorted(x.clone(), wrap(backends.zeros((), INT64, x.array)))
    n = x.array.shape[axis]
    if not n:
        if not whole:
            raise AxisError(f"{op}: Expected reduction dim {axis} to have non-zero size; the shape is {tuple(input.shape)}")
        kind = x.array.dtype.kind
        nothing = asarray(np.iinfo(x.array.dtype).min if kind in "iu" else kind != "b" and np.nan, x.array.dtype)
        return wrap(backends.beside(nothing, x.array))
    a = x.array.astype(np.float64) if x.array.dtype.kind == "V" else x.array
    rank: Any = (n - 1) // 2
    missing = np.isnan(a) if a.dtype.kind == "f" else None
    if missing is not None and missing.any():
        nans = missing.sum(axis, keepdims=True)
        rank = np.maximum(n - nans - 1, 0) // 2 if skip_nan else np.where(nans > 0, n - 1, (n - 1) // 2)
    elif whole and backends.place_of(a) is None:
        return named(gather_at(x, 0, asarray((a == np.partition(a, rank)[rank]).argmax())), grad_name)
    result = at_rank(op, grad_name, x, rank, axis, keepdim and not whole)
    return named(result.values.reshape(()), grad_name) if whole else result


def median(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The middle element (the lower of two); with ``dim``, (values, indices). nan if there is one.

    >>> gf.median(gf.tensor([3, 1, 4, 2]))
    tensor(2)
    """
    return middle("median", "MedianBackward0" if dim is None else "MedianBackward1", input, dim, keepdim, False)


def nanmedian(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """:func:`median` of what is not nan.

    >>> gf.nanmedian(gf.tensor([1.0, float("nan"), 3.0]))
    tensor(1.)
    """
    return middle("nanmedian", "NanmedianBackward0", input, dim, keepdim, True)


def mode(input: Tensor, dim: Any = -1, keepdim: bool = False) -> Sorted:
    """(the most frequent value, the smallest of equals; the index of its last occurrence) along ``dim``.

    >>> values, indices = gf.mode(gf.tensor([1, 2, 2, 3, 3]))
    >>> values, indices
    (tensor(2), tensor(2))
    """
    axis, keepdim = axis_of("mode", dim, input.array.ndim), flag("mode", "keepdim", keepdim)
    if not input.array.ndim:
        return Sorted(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    if not input.array.shape[axis]:
        raise AxisError(f"mode: Expected reduction dim {axis} to have non-zero size; the shape is {tuple(input.shape)}")
    rows = np.moveaxis(input.array, axis, -1)
    rows = rows.astype(np.float32) if rows.dtype.kind == "V" else rows
    if type(rows) is np.ndarray:
        index = backends.cpu.mode(np.ascontiguousarray(rows, HEAPED.get(rows.dtype.char)))
    else:
        order, before = equals_before(rows)
        last = before.argmax(-1)[..., None]  # the end of the first of the longest runs
        index = np.take_along_axis(order, last, -1)
    values, indices = chosen("mode", "ModeBackward0", input, axis, np.moveaxis(index, -1, axis))
    return kept(values, indices, axis, keepdim)


def quantile(input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """The values below which a share ``q`` of the elements lies, along ``dim``; several ``q`` give a first axis. nan where there is one.

    >>> gf.quantile(gf.tensor([1.0, 2.0, 3.0, 4.0]), gf.tensor([0.25, 0.5]))
    tensor([1.7500, 2.5000])
    """
    return quantiles("quantile", input, q, dim, keepdim, interpolation, False)


def nanquantile(input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Tensor:
    """:func:`quantile` of what is not nan.

    >>> gf.nanquantile(gf.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return quantiles("nanquantile", input, q, dim, keepdim, interpolation, True)


def quantiles(op: str, input: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, skip_nan: bool) -> Tensor:
    from .joining import stack

    float_only(op, input)
    keepdim = flag(op, "keepdim", keepdim)
    share = q if isinstance(q, Tensor) else wrap(asarray(element(op, q, input.dtype), input.array.dtype))
    if share.array.ndim > 1:
        raise ArgumentError(f"{op}: q must be a scalar or 1D tensor; it has the shape {tuple(share.shape)}")
    if share.dtype is not input.dtype:
        raise DTypeError(f"{op}: q tensor must be same dtype as the input tensor; they are {share.dtype} and {input.dtype}")
    if share.array.size and not (share.array.min() >= 0 and share.array.max() <= 1):
        raise ArgumentError(f"{op}: q must be in the range [0, 1] but got {share.tolist()}")
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise ArgumentError(f"{op}: interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}")
    if not input.array.size:
        raise ShapeError(f"{op}: input tensor must be non-empty; it has the shape {tuple(input.shape)}")
    axis = 0 if dim is None else axis_of(op, dim, input.array.ndim)
    ordered = sort(input.reshape(-1) if dim is None or not input.array.ndim else input, axis).values
    nans = p.isnan(ordered).array.sum(axis, keepdims=True)
    n = ordered.array.shape[axis]
    found, broken = np.maximum(n - 1 - nans, 0).astype(np.float64), (n - 1) * (nans > 0).astype(np.float64)
    results = []
    for u in np.atleast_1d(share.array.astype(np.float64)):  # the place of each row's quantile; nan come last
        place = u * found if skip_nan else np.maximum(broken, u * (n - 1))
        if interpolation == "nearest":
            place = np.rint(place)
        low = np.ceil(place) if interpolation == "higher" else np.floor(place)
        r = gather_at(ordered, axis, low.astype(np.int64))
        if interpolation in ("linear", "midpoint"):
            weight = place - low if interpolation == "linear" else np.full_like(place, 0.5)
            r = p.lerp(r, gather_at(ordered, axis, np.ceil(place).astype(np.int64)), wrap(weight.astype(input.array.dtype)))
        if not keepdim or not input.array.ndim:
            r = r.squeeze(axis)
        elif dim is None:
            r = r.reshape((1,) * input.array.ndim)
        results.append(r)
    if share.array.ndim:
        return stack(results, 0) if results else stack([ordered.sum(axis, keepdim=keepdim and dim is not None)], 0)[:0]
    return results[0]


def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None) -> Any:
    """The distinct elements in order (or slices along ``dim``), with where each went and how often it occurs if asked.

    >>> gf.unique(gf.tensor([3, 1, 3, 2]))
    tensor([1, 2, 3])
    """
    axis = None if dim is None else axis_of("unique", dim, input.array.ndim)
    half = input.array.dtype.kind == "V"  # NumPy does not know where nan belongs among bfloat16
    a = input.array.astype(np.float32) if half else input.array
    if not (return_inverse or return_counts):
        return wrap(np.unique(a, axis=axis, equal_nan=False).astype(input.array.dtype, copy=False))
    values, inverse, counts = np.unique(a, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    values = values.astype(input.array.dtype) if half else values
    inverse = inverse.reshape(input.array.shape) if axis is None else inverse.reshape(-1)
    result = [wrap(values)] + [wrap(inverse.astype(np.int64))] * return_inverse + [wrap(counts.astype(np.int64))] * return_counts
    return tuple(result) if len(result) > 1 else result[0]


def unique_consecutive(input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Any = None) -> Any:
    """The elements (or slices along ``dim``) that differ from the one before.

    >>> gf.unique_consecutive(gf.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    a = input.array.reshape(-1) if dim is None else np.moveaxis(input.array, axis_of("unique_consecutive", dim, input.array.ndim), 0)
    n = a.shape[0]
    differs = backends.beside(np.ones(n, bool), a)
    if n > 1:
        differs[1:] = (a[1:] != a[:-1]).reshape(n - 1, -1).any(1)
    values = a[differs] if dim is None else np.moveaxis(a[differs], 0, axis_of("unique_consecutive", dim, input.array.ndim))
    inverse = np.cumsum(differs) - 1
    inverse = inverse.reshape(input.array.shape) if dim is None else inverse
    counts = np.diff(np.append(np.flatnonzero(differs), n))
    result = (
        [wrap(backends.dense(values))] + [wrap(inverse.astype(np.int64))] * return_inverse + [wrap(counts.astype(np.int64))] * return_counts
    )
    return tuple(result) if len(result) > 1 else result[0]


def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Any = None
) -> Tensor:
    """Where elements would be inserted to keep the innermost axis sorted.

    >>> gf.searchsorted(gf.tensor([1, 3, 5]), gf.tensor([0, 3, 9])), gf.searchsorted(gf.tensor([1, 3, 5]), gf.tensor([3]), right=True)
    (tensor([0, 1, 3]), tensor([2]))
    """
    for name, t in (("sorted_sequence", sorted_sequence), ("sorter", sorter)):
        if not isinstance(t, Tensor) and (t is not None or name == "sorted_sequence"):
            raise DTypeError(f"searchsorted: argument '{name}' must be Tensor, not {type(t).__name__}")
    if side not in (None, "left", "right"):
        raise ArgumentError(f"searchsorted: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise ArgumentError(f"searchsorted: side and right can't be set to opposites, got side of {side} while right was {right}")
    if not sorted_sequence.array.ndim:
        raise ShapeError("searchsorted: boundaries tensor should have positive dimension, but got 0 dimension")
    if sorter is not None:
        if sorter.array.shape != sorted_sequence.array.shape:
            raise ShapeError(
                f"searchsorted: boundary and sorter must have the same size, but got {list(sorted_sequence.shape)} and {list(sorter.shape)}"
            )
        if sorter.array.dtype != np.int64:
            raise DTypeError(f"searchsorted: sorter must be a tensor of long dtype but got dtype {sorter.dtype}")
        if sorter.array.size and (sorter.array.min() < 0 or sorter.array.max() >= sorter.array.shape[-1]):
            raise OutOfRangeError(f"searchsorted: sorter index out of range for {sorter.array.shape[-1]} elements")
    return places_in("searchsorted", sorted_sequence, input, sorter, right or side == "right", out_int32)


def places_in(op: str, sequence: Tensor, input: Any, sorter: Tensor | None, right: bool, out_int32: bool) -> Tensor:
    values = input.array if isinstance(input, Tensor) else backends.beside(asarray(element(op, input, dtypes.float64)), sequence.array)
    edges = sequence.array if sorter is None else np.take_along_axis(sequence.array, sorter.array, -1)
    if edges.dtype.kind == "b" or values.dtype.kind == "b":
        raise DTypeError(f"{op}: not implemented for bool; convert with .byte()")
    edges, values = (a.astype(np.float32) if a.dtype.kind == "V" else a for a in (edges, values))
    where: Any = "right" if right else "left"
    if edges.ndim == 1 or (backends.place_of(edges) is not None and edges.shape[:-1] == values.shape[:-1]):
        result = np.searchsorted(edges, values, side=where)
    else:
        if edges.shape[:-1] != values.shape[:-1] or not values.ndim:
            raise ShapeError(
                f"{op}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries {list(edges.shape)} and input value {list(values.shape)} tensor must match"
            )
        result = np.zeros(values.shape, np.int64)
        if values.size:
            for row in np.ndindex(values.shape[:-1]):
                result[row] = np.searchsorted(edges[row], values[row], side=where)
    return wrap(asarray(result, np.int32 if out_int32 else np.int64))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the bucket between ``boundaries`` that each element falls into.

    >>> gf.bucketize(gf.tensor([0.5, 2.0, 9.0]), gf.tensor([1.0, 2.0, 3.0]))
    tensor([0, 1, 3])
    """
    if not isinstance(boundaries, Tensor):
        raise DTypeError(f"bucketize: argument 'boundaries' must be Tensor, not {type(boundaries).__name__}")
    if boundaries.array.ndim != 1:
        raise ShapeError(f"bucketize: boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return places_in("bucketize", boundaries, input, None, right, out_int32)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its ``weights``.

    >>> gf.bincount(gf.tensor([0, 2, 2, 3]))
    tensor([1, 0, 2, 1])
    """
    a = input.array
    if integer("bincount", "minlength", minlength) < 0:
        raise ArgumentError(f"bincount: minlength should be >= 0, it is {minlength}")
    if a.ndim != 1 or a.dtype.kind not in "iu":
        raise ArgumentError("bincount: only supports 1-d non-negative integral inputs.")
    if a.size and a.min() < 0:
        raise ArgumentError("bincount: only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(np.bincount(a, minlength=minlength).astype(np.int64, copy=False))
    if weights.array.shape != a.shape:
        raise ShapeError("bincount: weights should be 1-d and have the same length as input")
    counts = np.bincount(a, weights.array.astype(np.float64), minlength)
    return wrap(counts.astype(np.float32 if weights.dtype is dtypes.float32 else np.float64))


@backends.kernel
def bin_of(x, low, high, width, bins):
    """The interval of x, the last one with its upper end; ``bins`` for what is in none."""
    place = s.minimum(s.floor((x - low) / width * bins), bins - 1)
    return s.cast(s.where(s.ge(x, low) & s.le(x, high), place, bins), INT64)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of ``bins`` equal intervals between ``min`` and ``max`` (the data's if both are the same).

    >>> gf.histc(gf.tensor([1.0, 2.0, 1.5, 4.0]), bins=3, min=1, max=4)
    tensor([2., 1., 1.])
    """
    if not input.dtype.is_floating_point:
        raise DTypeError(f"histc: expected a floating point tensor, not {input.dtype}")
    if integer("histc", "bins", bins) <= 0:
        raise ArgumentError(f"histc: bins must be > 0, but got {bins}")
    low, high = (float(element("histc", value, dtypes.float64)) for value in (min, max))
    if high < low:
        raise ArgumentError(f"histc: max must be larger than min; they are {max} and {min}")
    if low == high and input.array.size:
        low, high = float(input.array.min()), float(input.array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ArgumentError(f"histc: range of [{low}, {high}] is not finite; give min and max")
    if low == high:
        low, high = low - 1, high + 1
    which = backends.elementwise(bin_of, (input.array, low, high, high - low, bins), backends.empty(input.array.shape, INT64, input.array))
    return wrap(np.bincount(which.reshape(-1), minlength=bins + 1)[:bins].astype(input.array.dtype))
