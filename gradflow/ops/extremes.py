"""The largest and the smallest, and where they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import backends
from ..backends import KINDS, reduce
from ..errors import ArgumentError, AxisError, DTypeError, labelled
from ..kinds import custom
from ..scalar.types import INT64
from ..tape.node import identity
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axes_of, axis_of, flag
from .gathering import scatter_zeros
from .reductions import count, spread, sum_over
from .view_maps import reshape_to

MAX, MIN, ARGMAX, ARGMIN = (KINDS[k] for k in ("max", "min", "argmax", "argmin"))


def fold_extreme(name: str, grad_name: str) -> Any:
    def over(a, kind_, axes, keepdim):
        if not count(a.shape, axes):
            kind = ArgumentError if axes is None else AxisError  # as torch: a RuntimeError if no axis was named
            raise kind(f"{name}: Expected reduction dim to be specified for input.numel() == 0; the shape is {tuple(a.shape)}")
        return reduce(kind_, identity, (a,), axes, keepdim), (a,)

    over.__name__ = f"{name}_of_{grad_name}"
    op = custom(over, grad_name=grad_name)

    @op.vjp
    def over_vjp(g, needs, x, kind_, axes, keepdim):
        """Ties share the gradient evenly."""
        shape = x.array.shape
        hit = p.eq(x, wrap(reduce(kind_, identity, (x.array,), axes, True))).to(x.dtype)
        return p.mul(spread(g, shape, axes), p.div(hit, sum_over(hit, axes, True)))

    return op


max_all, min_all = fold_extreme("max", "MaxBackward1"), fold_extreme("min", "MinBackward1")
amax_of, amin_of = fold_extreme("amax", "AmaxBackward0"), fold_extreme("amin", "AminBackward0")


class Extreme(NamedTuple):
    """Values and their places along an axis."""

    values: Tensor
    indices: Tensor


def extreme_op(name: str, kind_: int, fold: int, grad_name: str) -> Any:
    def along(a, axis, keepdim):
        index = reduce(fold, identity, (a,), (axis,), True)
        values = backends.gather(a, axis, index)
        shape = values.shape if keepdim else a.shape[:axis] + a.shape[axis + 1 :]
        return (values.reshape(shape), index.reshape(shape)), (index, a.shape)

    along.__name__ = name
    op = custom(along, outputs=2, grad_name=grad_name)

    @op.vjp
    def along_vjp(g, needs, index, shape, axis, keepdim):
        return scatter_zeros(reshape_to(g[0], index.array.shape), shape, axis, index.array)

    return op


max_along = extreme_op("max_along", MAX, ARGMAX, "MaxBackward0")
min_along = extreme_op("min_along", MIN, ARGMIN, "MinBackward0")


def extreme(op: str, input: Tensor, dim: Any, keepdim: bool) -> Extreme:
    """(values, indices) along an axis, the first of equals; the gradient goes to that one."""
    axis = axis_of(op, dim, input.array.ndim)
    if not input.array.ndim:
        return Extreme(input.clone(), wrap(backends.zeros((), INT64, input.array)))
    if not input.array.shape[axis]:
        raise AxisError(f"{op}: Expected reduction dim {axis} to have non-zero size; the shape is {tuple(input.shape)}")
    return Extreme(*(max_along if op == "max" else min_along)(input, axis, flag(op, "keepdim", keepdim)))


def alone(op: str) -> Any:
    raise DTypeError(f"{op}: the argument 'keepdim' goes with an axis 'dim'; give one, or drop keepdim")


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element (ties share the gradient); with ``dim``, (values, indices) along it; with a tensor, :func:`maximum`.

    >>> gf.max(gf.tensor([3, 1, 2]))
    tensor(3)
    >>> gf.max(gf.tensor([[1, 5], [7, 2]]), dim=1)
    Extreme(values=tensor([5, 7]), indices=tensor([1, 0]))
    """
    if isinstance(dim, Tensor):
        return p.maximum(input, dim) if keepdim is False else alone("max")
    if dim is None:
        return max_all(input, MAX, None, False) if keepdim is False else alone("max")
    return extreme("max", input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element (ties share the gradient); with ``dim``, (values, indices) along it; with a tensor, :func:`minimum`.

    >>> gf.min(gf.tensor([3, 1, 2]))
    tensor(1)
    >>> gf.min(gf.tensor([[1, 5], [7, 2]]), dim=1)
    Extreme(values=tensor([1, 2]), indices=tensor([0, 1]))
    """
    if isinstance(dim, Tensor):
        return p.minimum(input, dim) if keepdim is False else alone("min")
    if dim is None:
        return min_all(input, MIN, None, False) if keepdim is False else alone("min")
    return extreme("min", input, dim, keepdim)


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element over the axes ``dim``; ties share the gradient evenly.

    >>> gf.amax(gf.tensor([[1, 5], [7, 2]]), dim=1)
    tensor([5, 7])
    """
    return amax_of(input, MAX, axes_of("amax", dim, input.array.ndim), flag("amax", "keepdim", keepdim))


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element over the axes ``dim``; ties share the gradient evenly.

    >>> gf.amin(gf.tensor([[1, 5], [7, 2]]), dim=1)
    tensor([1, 2])
    """
    return amin_of(input, MIN, axes_of("amin", dim, input.array.ndim), flag("amin", "keepdim", keepdim))


class Range(NamedTuple):
    """The smallest and the largest."""

    min: Tensor
    max: Tensor


def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Range:
    """(:func:`amin`, :func:`amax`) over all elements or along ``dim``.

    >>> gf.aminmax(gf.tensor([3, 1, 2]))
    Range(min=tensor(1), max=tensor(3))
    """
    axes, keepdim = axes_of("aminmax", dim, input.array.ndim), flag("aminmax", "keepdim", keepdim)
    return Range(labelled("aminmax", amin_of, input, MIN, axes, keepdim), labelled("aminmax", amax_of, input, MAX, axes, keepdim))


def arg(op: str, fold: int, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    a = input.array
    axes = None if dim is None else axes_of(op, axis_of(op, dim, a.ndim), a.ndim)
    if not count(a.shape, axes):
        raise AxisError(f"{op}: Expected reduction dim to have non-zero size; the shape is {tuple(a.shape)}")
    return wrap(reduce(fold, identity, (a,), axes, flag(op, "keepdim", keepdim)))


def argmax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The place of the largest element (the first of equals, or the first nan), flat or along ``dim``; int64.

    >>> gf.argmax(gf.tensor([[1, 5], [7, 2]])), gf.argmax(gf.tensor([[1, 5], [7, 2]]), dim=1)
    (tensor(2), tensor([1, 0]))
    """
    return arg("argmax", ARGMAX, input, dim, keepdim)


def argmin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The place of the smallest element (the first of equals, or the first nan), flat or along ``dim``; int64.

    >>> gf.argmin(gf.tensor([[1, 5], [7, 2]])), gf.argmin(gf.tensor([[1, 5], [7, 2]]), dim=1)
    (tensor(0), tensor([0, 1]))
    """
    return arg("argmin", ARGMIN, input, dim, keepdim)
