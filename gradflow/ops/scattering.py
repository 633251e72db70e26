"""Writing to indexed places: scatter, index_add and their kin, out of place; the in-place methods come from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..backends.batched import everything, per_example
from ..errors import ArgumentError, DTypeError, OutOfRangeError, ShapeError
from ..kinds import custom
from ..scalar.types import BOOL, INT64
from ..tensor import Tensor, wrap
from . import pointwise as p
from . import writing
from .axes import axis_of, outside
from .convert import element
from .gathering import gather_at, index_array, rows_at
from .rearranging import dense
from .scans import equals_before
from .view_maps import embed

KERNELS = {"prod": 0, "amax": 1, "amin": 2}  # as scatter_fold numbers them
FOLDS = {"sum": np.add, "prod": np.multiply, "mean": np.add, "amax": np.maximum, "amin": np.minimum}


def same_dtype(op: str, input: Tensor, source: Any) -> Tensor:
    if not isinstance(source, Tensor):
        raise DTypeError(f"{op}: argument 'source' must be Tensor, not {type(source).__name__}")
    if source.dtype is not input.dtype:
        raise DTypeError(f"{op}: Expected self.dtype to be equal to src.dtype: {input.dtype} and {source.dtype}; convert one")
    return source


def check_scatter(op: str, input: Tensor, dim: Any, index: Tensor, src: Any) -> tuple[int, Tensor, Any, Any]:
    """(the axis, input, index as an array, source), checked; those without axes as vectors of one element."""
    src = same_dtype(op, input, src) if isinstance(src, Tensor) else element(op, src, input.dtype)
    i = index_array(op, index, True)
    i = i if i.ndim else i.reshape(1)
    axis = axis_of(op, dim, input.array.ndim)
    input, src = (x.reshape(1) if isinstance(x, Tensor) and not x.array.ndim else x for x in (input, src))
    a, given = input.array, src.array.shape if isinstance(src, Tensor) else i.shape
    if not i.size:
        return axis, input, i, src
    if i.ndim != a.ndim or len(given) != a.ndim:
        raise ShapeError(
            f"{op}: Index tensor must have the same number of dimensions as self tensor: {i.ndim} and {a.ndim}"
            + (f"; src has {len(given)}" if isinstance(src, Tensor) else "")
        )
    for d in range(a.ndim):
        if (d != axis and i.shape[d] > a.shape[d]) or i.shape[d] > given[d]:
            raise ShapeError(
                f"{op}: Expected index {list(i.shape)} to be no larger than self {list(a.shape)} apart from dimension {axis}"
                + (f" and to be no larger size than src {list(given)}" if isinstance(src, Tensor) else "")
            )
    n = a.shape[axis]
    later = backends.place_of(i) is not None  # the device says so itself, when it is waited for
    if not later and outside(i, 0, n):
        bad = i[(i < 0) | (i >= n)].flat[0]
        raise OutOfRangeError(f"{op}: index {bad} is out of bounds for dimension {axis} with size {n}")
    return axis, input, i, src


def places(index: Any, axis: int) -> tuple:
    """NumPy's index of the elements that a scatter writes."""
    sizes = list(enumerate(index.shape))
    return tuple([index if d == axis else np.arange(n).reshape([-1 if k == d else 1 for k, _ in sizes]) for d, n in sizes])


def overlap(src: Any, index: Any) -> Any:
    return src if src.shape == index.shape else src[tuple(slice(0, n) for n in index.shape)]


@custom(inputs=2, grad_name="ScatterBackward0")
def scatter_to(a, src, axis, index):
    out, shape = dense(a), getattr(src, "shape", None)
    values = src if shape is None else overlap(src, index)
    if type(out) is type(index) is np.ndarray and (shape is None or type(src) is np.ndarray):
        backends.cpu.scatter(out, axis, index, np.asarray(values, out.dtype))
    elif backends.place_of(out) is not None:
        out.scatter(axis, index, values)
    else:
        out[places(index, axis)] = values
    return out, (shape,)


@scatter_to.vjp
def scatter_vjp(g, needs, src_shape, axis, index):
    dx = scatter_to(g, 0, axis, index) if needs[0] else None
    ds = widened(gather_at(g, axis, index), src_shape) if needs[1] else None
    return dx, ds


def widened(g: Tensor, shape: tuple) -> Tensor:
    """The gradient of a source of which only the leading corner was used."""
    return g if g.array.shape == shape else embed(g, shape, tuple(slice(0, n) for n in g.array.shape))


@custom(inputs=2, grad_name="ScatterAddBackward0")
def scatter_add_to(a, src, axis, index):
    out = dense(a)
    if index.size:
        backends.scatter_add(out, axis, index, backends.dense(overlap(src, index)))
    return out, (src.shape,)


@scatter_add_to.vjp
def scatter_add_vjp(g, needs, src_shape, axis, index):
    return g if needs[0] else None, widened(gather_at(g, axis, index), src_shape) if needs[1] else None


def in_shape(result: Tensor, input: Tensor) -> Tensor:
    return result if input.array.ndim else result.reshape(())


@writing.by(writing.scatter)
def scatter(input: Tensor, dim: Any, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """``out[index[i][j]][j] = src[i][j]`` for ``dim`` 0, and so on; ``src`` is a tensor or a number.

    >>> gf.scatter(gf.zeros(2, 3), 1, gf.tensor([[2], [0]]), gf.tensor([[5.0], [6.0]]))
    tensor([[0., 0., 5.],
            [6., 0., 0.]])
    """
    src = value if src is None else src
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise ArgumentError(f"scatter: reduce argument must be either add or multiply, it is {reduce!r}")
        if not isinstance(src, Tensor):
            shape = index_array("scatter", index, True).shape
            src = wrap(backends.beside(np.full(shape, element("scatter", src, input.dtype), input.array.dtype), input.array))
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    axis, x, i, source = check_scatter("scatter", input, dim, index, src)
    return in_shape(scatter_to(x, source, axis, i), input) if i.size else input.clone()


@writing.by(writing.scatter_add)
def scatter_add(input: Tensor, dim: Any, index: Tensor, src: Tensor) -> Tensor:
    """``out[index[i][j]][j] += src[i][j]`` for ``dim`` 0, and so on; equal indices add up.

    >>> gf.scatter_add(gf.zeros(3), 0, gf.tensor([0, 0, 2]), gf.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    return reduced("scatter_add", input, dim, index, src, "sum", True)


def scatter_reduce(input: Tensor, dim: Any, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """Elements of ``src`` folded into indexed places by "sum", "prod", "mean", "amax" or "amin"; extremes share the gradient evenly.

    >>> gf.scatter_reduce(gf.zeros(2), 0, gf.tensor([0, 0, 1]), gf.tensor([1.0, 4.0, 2.0]), "amax")
    tensor([4., 2.])
    """
    if reduce not in FOLDS:
        raise ArgumentError(f"scatter_reduce: reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    return reduced("scatter_reduce", input, dim, index, src, reduce, include_self)


def reduced(op: str, input: Tensor, dim: Any, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    if not isinstance(src, Tensor):
        raise DTypeError(f"{op}: argument 'src' must be Tensor, not {type(src).__name__}")
    if input.array.dtype.kind == "b":  # sums and products of bools are or and and
        if reduce == "mean":
            raise DTypeError(f"{op}: the mean is not implemented for bool; convert with .float()")
        wide = src.byte() if src.dtype is input.dtype else src
        return reduced(op, input.byte(), dim, index, wide, "amax" if reduce == "sum" else reduce, include_self).bool()
    axis, x, i, src = check_scatter(op, input, dim, index, src)
    if not i.size:
        return input.clone()
    if reduce == "sum" and include_self:
        return in_shape(scatter_add_to(x, src, axis, i), input)
    return folded(x, axis, i, src, reduce, include_self).reshape(input.array.shape)


def folded(input: Tensor, axis: int, i: Any, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    used = src if src.array.shape == i.shape else src[tuple(slice(0, n) for n in i.shape)]
    fast = plain(input.array, used.array, i)
    if include_self:
        untouched = None
    else:
        touched = backends.zeros(input.array.shape, BOOL, input.array)
        if fast:
            backends.cpu.scatter(touched, axis, i, np.ones((), bool))
        else:
            touched[places(i, axis)] = True
        untouched = ~touched
    if input.dtype.is_floating_point:
        low, high = -np.inf, np.inf
    else:
        low, high = np.iinfo(input.array.dtype).min, np.iinfo(input.array.dtype).max
    neutral = {"sum": 0, "mean": 0, "prod": 1, "amax": low, "amin": high}[reduce]
    start = input if untouched is None else p.where(wrap(untouched), input, neutral)
    if reduce in ("sum", "mean"):
        total = scatter_add_to(start, used, axis, i)
        if reduce == "sum":
            return total
        counts = backends.zeros(input.array.shape, INT64, input.array)
        if fast:
            backends.scatter_add(counts, axis, i, np.ones((), np.int64))
        else:
            np.add.at(counts, places(i, axis), 1)
        counts = counts + 1 if untouched is None else np.maximum(counts, 1)
        return (
            p.div(total, wrap(counts)).to(input.dtype)
            if input.dtype.is_floating_point
            else p.floor_divide(total, wrap(counts)).to(input.dtype)
        )
    values: Any = backends.beside(backends.empty(start.array.shape, start.dtype.code), start.array)
    backends.copy(start.array, values)
    if fast:
        backends.cpu.scatter_fold(values, axis, i, used.array, KERNELS[reduce])
    else:
        FOLDS[reduce].at(values, places(i, axis), used.array)
    out = wrap(values)
    if reduce == "prod":
        return folded_product(start, used, axis, i) if recorded(start, used) else out
    return folded_extreme(start, used, out, axis, i) if recorded(start, used) else out


def recorded(*tensors: Tensor) -> bool:
    from ..tensor import recording

    return recording(*tensors)


def folded_extreme(start: Tensor, src: Tensor, out: Tensor, axis: int, index: Any) -> Tensor:
    """The extreme as a sum of the elements that equal it, each with an equal share."""
    mine, theirs = p.eq(start, out), p.eq(src, gather_at(out, axis, index))
    total = scatter_add_to(mine.to(out.dtype), theirs.to(out.dtype), axis, index)
    own = p.where(mine, p.div(start, total), 0.0)
    return scatter_add_to(own, p.where(theirs, p.div(src, gather_at(total, axis, index)), 0.0), axis, index)


def turns(index: Any, axis: int) -> Any:
    """How many indices before it name the same place."""
    order, before = equals_before(np.moveaxis(index, axis, -1))
    return np.moveaxis(np.take_along_axis(before, np.argsort(order, -1), -1), -1, axis)


def folded_product(start: Tensor, src: Tensor, axis: int, index: Any) -> Tensor:
    """The product, one factor after the other for equal indices, so that zeros are right."""
    rank = per_example(turns, index, axis)
    out = start
    ones = wrap(backends.beside(np.ones(start.array.shape, start.array.dtype), start.array))
    for r in range(int(everything(rank).max()) + 1):
        factors = scatter_add_to(ones, p.where(wrap(rank == r), p.sub(src, 1.0), 0.0), axis, index)
        out = p.mul(out, factors)
    return out


@writing.by(writing.index_add)
def index_add(input: Tensor, dim: Any, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """``out[..., index[i], ...] += alpha * source[..., i, ...]`` along ``dim``; equal indices add up.

    >>> gf.index_add(gf.zeros(3), 0, gf.tensor([0, 0, 2]), gf.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    i, axis = index_vector("index_add", input, dim, index, source)
    alpha = element("index_add", alpha, input.dtype)
    if input.array.dtype.kind == "b":
        return index_add(input.byte(), dim, index, p.mul(source, alpha).byte()).bool()
    source = source if alpha == 1 else p.mul(source, alpha)
    if input.array.ndim:
        return index_add_to(input, source, axis, i)
    return index_add_to(input.reshape(1), source.reshape(1), 0, i).reshape(())


@custom(inputs=2, grad_name="IndexAddBackward0")
def index_add_to(a, src, axis, index):
    out = dense(a)
    return backends.add_rows(out, axis, index, src), ()


@index_add_to.vjp
def index_add_vjp(g, needs, axis, index):
    return g if needs[0] else None, rows_at(g, axis, index) if needs[1] else None


def padded(input: Tensor) -> tuple[int, ...]:
    return input.array.shape or (1,)


def vector_shape(input: Tensor, axis: int, index: Any) -> tuple[int, ...]:
    """The shape of what a vector of indices picks along ``axis``; of one without axes as of a vector of one element."""
    shape = padded(input)
    return (*shape[:axis], index.size, *shape[axis + 1 :])


def index_vector(op: str, input: Tensor, dim: Any, index: Tensor, source: Tensor | None) -> tuple[Any, int]:
    i = index_array(op, index)
    if i.ndim > 1:
        raise OutOfRangeError(f"{op}: Index is supposed to be a vector, it has {i.ndim} dimensions")
    i = i.reshape(-1).astype(np.int64)
    axis = axis_of(op, dim, input.array.ndim)
    n = padded(input)[axis]
    low = -n if op == "index_fill" else 0
    if backends.place_of(i) is None and outside(i, low, n):  # a device says so itself, later
        raise OutOfRangeError(f"{op}: index out of range in self: {i[(i < low) | (i >= n)][0]} for dimension {axis} with size {n}")
    if op == "index_fill":
        return i, axis
    source = same_dtype(op, input, source)
    want = vector_shape(input, axis, i)
    single = want == (1,) and (op == "index_copy" or not input.array.ndim)
    if source.array.shape not in ((want, ()) if single and op == "index_copy" else ((),) if single else (want,)):
        raise ShapeError(
            f"{op}: source must have shape {list(want)} for self {list(input.shape)} and {i.size} indices, it has {list(source.shape)}"
        )
    return i, axis


def plain(*arrays: Any) -> bool:
    return all(type(a) is np.ndarray for a in arrays)


@custom(inputs=2, grad_name="IndexCopyBackward0")
def rows_to(a, src, axis, index):
    out = dense(a)
    if plain(out, src, index):
        backends.put_rows(out, axis, index, src)
    else:
        out[(*(slice(None),) * axis, index)] = src
    return out, ()


@rows_to.vjp
def rows_to_vjp(g, needs, axis, index):
    rows = rows_at(g, axis, index)
    return rows_to(g, wrap(backends.zeros(rows.array.shape, rows.dtype.code, g.array)), axis, index) if needs[0] else None, rows if needs[
        1
    ] else None


@writing.by(writing.index_copy)
def index_copy(input: Tensor, dim: Any, index: Tensor, source: Tensor) -> Tensor:
    """``out[..., index[i], ...] = source[..., i, ...]`` along ``dim``.

    >>> gf.index_copy(gf.zeros(3), 0, gf.tensor([2, 0]), gf.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    i, axis = index_vector("index_copy", input, dim, index, source)
    want = vector_shape(input, axis, i)
    if not i.size:
        return input.clone()
    source = source if source.array.shape == want else source.reshape(want)
    return rows_to(input, source, axis, i) if input.array.ndim else rows_to(input.reshape(1), source, 0, i).reshape(())


@writing.by(writing.index_fill)
def index_fill(input: Tensor, dim: Any, index: Tensor, value: Any) -> Tensor:
    """``value`` at the places ``index`` along ``dim``.

    >>> gf.index_fill(gf.zeros(3), 0, gf.tensor([2, 0]), 7.0)
    tensor([7., 0., 7.])
    """
    if isinstance(value, Tensor) and value.array.ndim:
        raise ShapeError(f"index_fill: only supports a 0-dimensional value tensor, but got one with {value.ndim} dimensions")
    value = value.to(input.dtype) if isinstance(value, Tensor) else element("index_fill", value, input.dtype)
    i, axis = index_vector("index_fill", input, dim, index, None)
    mask = backends.zeros((input.array.shape[axis] if input.array.ndim else 1,), BOOL, input.array)
    mask[i] = True
    mask = mask.reshape([-1 if d == axis else 1 for d in range(input.array.ndim)])
    return p.where(wrap(mask), value, input)
