"""Running sums, products and maxima along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends.batched import asarray
from ..errors import ArgumentError, DTypeError, ShapeError
from ..kinds import custom, linear
from ..scalar.types import INT64, category
from ..tape.node import mode, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axis_of, integer
from .extremes import Extreme
from .gathering import gather_at
from .rearranging import flip_over
from .reductions import sum_over
from .view_maps import part


def running(kind: int, a: Any, axis: int) -> Any:
    return backends.scan(kind, a, axis) if a.ndim else a.copy()


SUM, PRODUCT, LARGEST, LEAST = range(4)


def equals_before(rows: Any) -> tuple[Any, Any]:
    """(the order of each row's elements, how many equal ones come before each in that order)"""
    order = np.argsort(rows, -1, kind="stable")
    ordered = np.take_along_axis(rows, order, -1)
    places = backends.beside(np.arange(rows.shape[-1]), rows)
    begins = np.where((ordered != np.roll(ordered, 1, -1)) | (places == 0), places + 1, 0)  # of each run of equals
    return order, places - backends.scan(LARGEST, begins, begins.ndim - 1)


@linear(grad_name="CumsumBackward0")
def cumsum_along(a, axis):
    return running(SUM, a, axis)


@cumsum_along.adjoint
def cumsum_adjoint(g, shape, axis):
    return reverse_sum(g, axis)


def reverse_sum(g: Tensor, axis: int) -> Tensor:
    """For each place the sum from there to the end."""
    return flip_over(cumsum_along(flip_over(g, (axis,)), axis), (axis,)) if g.array.ndim else g


@custom(grad_name="CumprodBackward0")
def cumprod_along(a, axis):
    y = running(PRODUCT, a, axis)
    return y, (a, y)


@cumprod_along.vjp
def cumprod_vjp(g, needs, x, y, axis):
    if not x.array.ndim:
        return g
    if (x.array != 0).all():
        return p.div(reverse_sum(p.mul(g, y), axis), x)
    if not mode.enabled:
        return cumprod_gradient(g, x, y, axis)
    # With zeros, to be differentiated again: the product of the others, from a square in which each row leaves its own element out.
    n = x.array.shape[axis]
    last = x.transpose(axis, -1).unsqueeze(-2)
    square = p.where(wrap(backends.beside(np.eye(n, dtype=bool), x.array)), 1.0, last)
    products = cumprod_along(square, square.array.ndim - 1)
    later = wrap(backends.beside(np.triu(np.ones((n, n), bool)), x.array))
    terms = p.where(later, p.mul(products, g.transpose(axis, -1).unsqueeze(-2)), 0.0)
    return sum_over(terms, (terms.array.ndim - 1,), False).transpose(axis, -1)


def cumprod_gradient(g: Tensor, x: Tensor, y: Tensor, axis: int) -> Tensor:
    """With zeros: before a row's first as without; at it what the products would be without it, up to the second; 0 behind it."""
    zero = p.eq(x, 0)
    seen = wrap(running(SUM, zero.array.astype(np.int64), axis))
    first = p.logical_and(zero, p.eq(seen, 1))
    before = p.div(reverse_sum(p.mul(g, y), axis), p.where(zero, 1.0, x))
    without = cumprod_along(p.where(first, 1.0, x), axis)
    there = sum_over(p.where(p.eq(seen, 0), 0.0, p.mul(g, without)), (axis,), True)
    return p.where(first, there, p.where(p.eq(seen, 0), before, 0.0))


@custom(grad_name="LogcumsumexpBackward0")
def logcumsumexp_along(a, axis):
    wide = a.astype(np.float32) if a.dtype.itemsize == 2 else a
    with np.errstate(all="ignore"):
        y = asarray(np.logaddexp.accumulate(wide, axis) if a.ndim else a.copy(), dtype=a.dtype)
    return y, (a, y)


@logcumsumexp_along.vjp
def logcumsumexp_vjp(g, needs, x, y, axis):
    return decayed_sum(g, x, y, axis) if x.array.ndim else g


@custom(inputs=3)
def decayed_sum(g, x, y, axis):
    """sum over j from i on of g[j] exp(x[i] - y[j]), the signs of g apart, without leaving the logarithm."""
    finite = np.isfinite(y)

    def flow(weights):
        kept = (weights > 0) & finite
        logs = np.where(kept, np.log(np.where(kept, weights, 1)) - np.where(finite, y, 0), -math.inf).astype(x.dtype)
        behind = logcumsumexp_along(wrap(np.flip(logs, axis)), axis).array
        return p.exp(p.add(wrap(np.flip(behind, axis)), wrap(x))).array

    out = flow(g) - flow(-g)
    return out, (g, x, y, out)


@decayed_sum.vjp
def decayed_sum_vjp(u, needs, g, x, y, out, axis):
    """Linear in g, and its transpose is of the same form, read from the other end."""

    def turned(t):
        return flip_over(t, (axis,))

    back = turned(decayed_sum(turned(u), turned(p.neg(y)), turned(p.neg(x)), axis))
    return back, p.mul(u, out), p.neg(p.mul(g, back))


def typed(op: str, input: Tensor, dtype: Any) -> Tensor:
    """Integers and bools are summed in int64."""
    if dtype is not None:
        return input.to(dtypes.get(dtype, op))
    return input.long() if category(input.dtype.code) < 2 else input


def cumsum(input: Tensor, dim: Any, *, dtype: Any = None) -> Tensor:
    """The sum of the elements up to each place along ``dim``.

    >>> gf.cumsum(gf.tensor([[1, 2], [3, 4]]), dim=1)
    tensor([[1, 3],
            [3, 7]])
    """
    axis = axis_of("cumsum", dim, input.array.ndim)
    return cumsum_along(typed("cumsum", input, dtype), axis)


def cumprod(input: Tensor, dim: Any, *, dtype: Any = None) -> Tensor:
    """The product of the elements up to each place along ``dim``; the gradient is right where elements are zero.

    >>> gf.cumprod(gf.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    axis = axis_of("cumprod", dim, input.array.ndim)
    return cumprod_along(typed("cumprod", input, dtype), axis)


def logcumsumexp(input: Tensor, dim: Any) -> Tensor:
    """``log(cumsum(exp(x)))``, finite whenever the result is.

    >>> gf.logcumsumexp(gf.tensor([0.0, 0.0, 1000.0]), dim=0)
    tensor([0.0000e+00, 6.9315e-01, 1.0000e+03])
    """
    if not input.dtype.is_floating_point:
        raise DTypeError(f"logcumsumexp: expected a floating point tensor, not {input.dtype}")
    return logcumsumexp_along(input, axis_of("logcumsumexp", dim, input.array.ndim))


def running_extreme(op: str, kind: int, input: Tensor, dim: Any) -> Extreme:
    a = input.array
    axis = axis_of(op, dim, a.ndim)
    if not a.ndim:
        return Extreme(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    index = backends.scan(kind, a, axis)
    return Extreme(named(gather_at(input, axis, index), f"C{op[1:]}Backward0"), wrap(index))


def cummax(input: Tensor, dim: Any) -> Extreme:
    """(the largest element so far, its place: the last of equals) along ``dim``.

    >>> gf.cummax(gf.tensor([1, 3, 2, 3]), dim=0)
    Extreme(values=tensor([1, 3, 3, 3]), indices=tensor([0, 1, 1, 3]))
    """
    return running_extreme("cummax", LARGEST, input, dim)


def cummin(input: Tensor, dim: Any) -> Extreme:
    """(the smallest element so far, its place: the last of equals) along ``dim``.

    >>> gf.cummin(gf.tensor([3, 1, 2, 1]), dim=0)
    Extreme(values=tensor([3, 1, 1, 1]), indices=tensor([0, 1, 1, 3]))
    """
    return running_extreme("cummin", LEAST, input, dim)


def diff(input: Tensor, n: int = 1, dim: Any = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """Differences of neighbours along ``dim``, ``n`` times.

    >>> gf.diff(gf.tensor([1, 4, 9, 16]))
    tensor([3, 5, 7])
    """
    from .joining import joined

    if not input.array.ndim:
        raise ShapeError("diff: expects input to be at least one-dimensional")
    axis = axis_of("diff", dim, input.array.ndim)
    if integer("diff", "n", n) < 0:
        raise ArgumentError(f"diff: order must be non-negative but got {n}")
    for name, t in (("prepend", prepend), ("append", append)):
        if t is not None and not isinstance(t, Tensor):
            raise DTypeError(f"diff: argument '{name}' must be Tensor, not {type(t).__name__}")
        if t is not None and t.array.ndim != input.array.ndim:
            raise ShapeError(f"diff: expects prepend or append to be the same dimension as input; {name} has {t.ndim}, input {input.ndim}")
    if n == 0:
        return input.clone()
    parts = [t for t in (prepend, input, append) if t is not None]
    x = joined("diff", parts, axis) if len(parts) > 1 else input
    for _ in range(min(n, x.array.shape[axis])):  # then nothing is left
        m = x.array.shape[axis]
        ahead = (slice(None),) * axis
        high, low = part(x, (*ahead, slice(1, None))), part(x, (*ahead, slice(0, max(m - 1, 0))))
        x = p.logical_xor(high, low) if x.array.dtype.kind == "b" else p.sub(high, low)
    return x
