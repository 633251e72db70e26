"""Folds over axes: sum, mean, var, max and their kin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends import KINDS, elementwise, expand, kernel, reduce
from ..errors import DTypeError
from ..kinds import custom, linear, plan
from ..scalar import primitives as s
from ..scalar.types import FLOAT32, INT64
from ..tape.node import identity, mode, named
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axes_of, axis_of, flag
from .view_maps import expand_to, reshape_to

SUM, PROD, MAX, MIN, ANY, ALL, ARGMAX, ARGMIN = (KINDS[k] for k in ("sum", "prod", "max", "min", "any", "all", "argmax", "argmin"))

over = kernel(lambda x, n: x / n)
as_int64 = kernel(lambda x: s.cast(x, INT64))
as_bool = kernel(lambda x: s.ne(x, 0))
square_of = kernel(lambda x: x * x)
absolute = kernel(lambda x: s.abs(x))
powered = kernel(lambda x, p: s.pow(s.abs(x), p))
deviation = kernel(lambda x, m: (x - m) * (x - m))
is_nonzero = kernel(lambda x: s.cast(s.ne(x, 0), INT64))


def kept_shape(shape: tuple, axes: tuple[int, ...] | None) -> tuple:
    """The shape with the folded axes as 1."""
    return (1,) * len(shape) if axes is None else tuple(1 if i in axes else n for i, n in enumerate(shape))


def count(shape: tuple, axes: tuple[int, ...] | None) -> int:
    return math.prod(shape) if axes is None else math.prod(shape[i] for i in axes)


def spread(g: Tensor, shape: tuple, axes: tuple[int, ...] | None) -> Tensor:
    """The adjoint of a sum: every element that was added gets the cotangent."""
    if axes is not None and g.array.ndim != len(shape):
        g = reshape_to(g, kept_shape(shape, axes))
    elif g.array.ndim != len(shape):
        g = reshape_to(g, (1,) * len(shape))
    return expand_to(g, shape)


def sum_kernel(array: Any) -> Any:
    return identity if array.dtype.kind in "fV" else as_int64


@linear(grad_name="SumBackward0")
def sum_all(a):
    return reduce(SUM, sum_kernel(a), (a,), None, False)


@sum_all.light
def sum_all_light(g, shape):
    return expand(g, shape)


@sum_all.adjoint
def sum_all_adjoint(g, shape):
    return spread(g, shape, None)


@linear(grad_name="SumBackward1")
def sum_over(a, axes, keepdim):
    return reduce(SUM, sum_kernel(a), (a,), axes, keepdim)


@sum_over.light
def sum_over_light(g, shape, axes, keepdim):
    return expand(g.reshape(kept_shape(shape, axes)), shape)


@sum_over.adjoint
def sum_over_adjoint(g, shape, axes, keepdim):
    return spread(g, shape, axes)


@linear(grad_name="MeanBackward0")
def mean_all(a):
    return reduce(SUM, identity, (a,), None, False, None, 0, 1 / a.size if a.size else math.nan)


@mean_all.light
def mean_all_light(g, shape):
    return expand(elementwise(over, (g, count(shape, None))), shape)


@mean_all.adjoint
def mean_all_adjoint(g, shape):
    return spread(p.div(g, count(shape, None)), shape, None)


@linear(grad_name="MeanBackward1")
def mean_over(a, axes, keepdim):
    n = count(a.shape, axes)
    return reduce(SUM, identity, (a,), axes, keepdim, None, 0, 1 / n if n else math.nan)


@mean_over.light
def mean_over_light(g, shape, axes, keepdim):
    return expand(elementwise(over, (g.reshape(kept_shape(shape, axes)), count(shape, axes))), shape)


@mean_over.adjoint
def mean_over_adjoint(g, shape, axes, keepdim):
    return spread(p.div(g, count(shape, axes)), shape, axes)


@linear(grad_name="SumBackward1")
def sum_to_shape(a, shape):
    """The sum over what broadcasting repeated: the adjoint of expand."""
    from ..dtypes import of

    return plan.sum_to(identity, (a,), a.shape, shape, of(a).code, None, 0)


@sum_to_shape.adjoint
def sum_to_shape_adjoint(g, full, shape):
    return expand_to(g, full)


def sum_tensor_to(g: Tensor, shape: tuple, code: int) -> Tensor:
    """The gradient of an operand that was broadcast from ``shape`` and converted from type ``code``."""
    if g.array.shape != shape:
        g = sum_to_shape(g, shape)
    return g if g.dtype.code == code else g.to(dtypes.BY_CODE[code])


setattr(plan, "sum_tensor_to", sum_tensor_to)  # noqa: B010


def in_dtype(op: str, input: Any, dtype: Any) -> Tensor:
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    return input if dtype is None else input.to(dtypes.get(dtype, op))


def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over all elements or over ``dim`` (an axis or a tuple); integers and bools are summed in int64.

    >>> gf.sum(gf.tensor([[1, 2], [3, 4]]))
    tensor(10)
    >>> gf.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(dim=0, keepdim=True)
    tensor([[4., 6.]])
    """
    if dtype is not None or not isinstance(input, Tensor):
        input = in_dtype("sum", input, dtype)
    if dim is None and not keepdim:
        result = sum_all(input)
    else:
        result = sum_over(input, axes_of("sum", dim, input.array.ndim), flag("sum", "keepdim", keepdim))
    return result if dtype is None else result.to(input.dtype)


def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over all elements or over ``dim``; floating point only; nan for none.

    >>> gf.mean(gf.tensor([[1.0, 2.0], [3.0, 6.0]]), dim=1)
    tensor([1.5000, 4.5000])
    """
    input = in_dtype("mean", input, dtype)
    if input.array.dtype.kind not in "fV":
        raise DTypeError(
            f"mean: could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {input.dtype}; convert with .float()"
        )
    if dim is None and not keepdim:
        return mean_all(input)
    return mean_over(input, axes_of("mean", dim, input.array.ndim), flag("mean", "keepdim", keepdim))


def as_type(a: Any, code: int) -> Any:
    out = backends.empty(a.shape, code, a)
    backends.copy(a, out)
    return out


def in_float32(fold: Callable, a: Any, *args: Any) -> Any:
    """``fold(a, ...)``, which takes several steps: for half precision in float32, rounded once at the end."""
    if a.dtype.itemsize > 2:
        return fold(a, *args)
    return as_type(fold(as_type(a, FLOAT32), *args), dtypes.of(a).code)


def var_array(a: Any, axes: Any, correction: Any, keepdim: bool) -> Any:
    """Two passes: the mean, then the squared deviations. 0 / 0 is nan."""
    n = count(a.shape, axes)
    m = reduce(SUM, identity, (a,), axes, True, None, 0, 1 / n if n else math.nan)
    return reduce(SUM, deviation, (a, m), axes, keepdim, None, 0, 1 / (n - correction) if n > correction else math.nan)


@custom(grad_name="VarBackward0")
def var_of(a, axes, correction, keepdim):
    return in_float32(var_array, a, axes, correction, keepdim), (a,)


@var_of.vjp
def var_vjp(g, needs, x, axes, correction, keepdim):
    shape = x.array.shape
    n = count(shape, axes)
    wide = x.float() if x.array.itemsize == 2 else x
    centred = p.sub(wide, mean_over(wide, axes, True))
    scale = 2 / (n - correction) if n > correction else math.nan
    return p.mul(p.mul(spread(g, shape, axes), centred), scale).to(x.dtype)


def correction_of(op: str, unbiased: Any, correction: Any) -> Any:
    """What is taken from the number of elements."""
    if correction is None:
        return 1 if unbiased is None or unbiased else 0
    if not isinstance(correction, int | float):
        raise DTypeError(f"{op}: argument 'correction' must be Number, not {type(correction).__name__}")
    return correction


def float_only(op: str, x: Any) -> None:
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(x).__name__}")
    if x.array.dtype.kind not in "fV":
        raise DTypeError(f"{op}: only support floating point and complex dtypes, not {x.dtype}; convert with .float()")


def var(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """``sum((x - mean) ** 2) / (n - correction)``; ``correction`` is 1, or 0 with ``unbiased=False``.

    >>> gf.var(gf.tensor([1.0, 2.0, 3.0, 4.0])), gf.var(gf.tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    (tensor(1.6667), tensor(1.2500))
    """
    float_only("var", input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = correction_of("var", unbiased, correction)
    return var_of(input, axes_of("var", dim, input.array.ndim), correction, flag("var", "keepdim", keepdim))


@custom(grad_name="StdBackward0")
def std_of(a, axes, correction, keepdim):
    out = in_float32(lambda a: p.sqrt(wrap(var_array(a, axes, correction, keepdim))).array, a)
    return out, (a, out)


@std_of.vjp
def std_vjp(g, needs, x, y, axes, correction, keepdim):
    """0 where all elements are equal."""
    scaled = p.where(p.eq(y, 0), 0.0, p.div(g, p.mul(y, 2)))
    return var_vjp(scaled, needs, x, axes, correction, keepdim)


def std(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """The square root of :func:`var`; the gradient is 0 where all elements are equal.

    >>> gf.std(gf.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor(1.2910)
    """
    float_only("std", input)
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = correction_of("std", unbiased, correction)
    return std_of(input, axes_of("std", dim, input.array.ndim), correction, flag("std", "keepdim", keepdim))


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """(:func:`var`, :func:`mean`) with one reading of the elements.

    >>> gf.var_mean(gf.tensor([1.0, 2.0, 3.0, 4.0]))
    (tensor(1.6667), tensor(2.5000))
    """
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """(:func:`std`, :func:`mean`) with one reading of the elements.

    >>> gf.std_mean(gf.tensor([1.0, 2.0, 3.0, 4.0]))
    (tensor(1.2910), tensor(2.5000))
    """
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, None if isinstance(dim, bool) else dim, keepdim)


@custom(grad_name="ProdBackward0")
def prod_of(a, axes, keepdim):
    return reduce(PROD, sum_kernel(a), (a,), axes, keepdim), (a,)


@prod_of.vjp
def prod_vjp(g, needs, x, axes, keepdim):
    """The product of the others, by products from both ends, so that zeros are right."""
    shape = x.array.shape
    g = reshape_to(g, kept_shape(shape, axes))
    moved = x.reshape(-1) if axes is None else x
    axis = 0 if axes is None else axes[0]
    others = exclusive_product(moved, axis) if mode.enabled or type(moved.array) is not np.ndarray else products_of_others(moved, axis)
    return p.mul(g, reshape_to(others, shape))


def products_of_others(x: Tensor, axis: int) -> Tensor:
    """:func:`exclusive_product` from running products, for nobody to differentiate."""
    a = x.array if x.array.ndim else x.array.reshape(1)
    ahead = (slice(None),) * axis
    out = backends.dense(np.flip(backends.scan(1, np.flip(a, axis), axis), axis))
    out[(*ahead, slice(None, -1))] = out[(*ahead, slice(1, None))]
    out[(*ahead, slice(-1, None))] = 1
    out[(*ahead, slice(1, None))] *= backends.scan(1, a, axis)[(*ahead, slice(None, -1))]
    return wrap(out.reshape(x.array.shape))


def exclusive_product(x: Tensor, axis: int) -> Tensor:
    """For each element the product of all others along ``axis``, in log2(n) passes over both sides; differentiable."""
    from .joining import cat

    def shifted(y: Tensor, by: int, forward: bool) -> Tensor:
        n = y.array.shape[axis]
        ones = np.ones((*y.array.shape[:axis], by if by < n else n, *y.array.shape[axis + 1 :]), y.array.dtype)
        fill = wrap(backends.beside(ones, y.array))
        if by >= n:
            return fill
        return cat([fill, y.narrow(axis, 0, n - by)], axis) if forward else cat([y.narrow(axis, by, n - by), fill], axis)

    def scan(forward: bool) -> Tensor:
        y, by = shifted(x, 1, forward), 1
        while by < x.array.shape[axis]:
            y = p.mul(y, shifted(y, by, forward))
            by *= 2
        return y

    return p.mul(scan(True), scan(False))


def prod(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product over all elements or along ``dim``; the gradient is right where elements are zero.

    >>> gf.prod(gf.tensor([1.0, 2.0, 3.0]))
    tensor(6.)
    """
    input = in_dtype("prod", input, dtype)
    axes = None if dim is None else axes_of("prod", axis_of("prod", dim, input.array.ndim), input.array.ndim)
    result = prod_of(input, axes, flag("prod", "keepdim", keepdim))
    return result if dtype is None else result.to(input.dtype)


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Is some element different from zero? uint8 gives uint8, as in torch.

    >>> gf.any(gf.tensor([[0, 0], [2, 0]]), dim=1)
    tensor([False,  True])
    """
    return truth("any", ANY, input, dim, keepdim)


def truth(op: str, fold: int, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    alone = isinstance(dim, tuple) and not dim  # no axis to fold: every element for itself
    axes: Any = () if alone else axes_of(op, dim, input.array.ndim)
    result = wrap(reduce(fold, as_bool, (input.array,), axes, flag(op, "keepdim", keepdim)))
    return result.byte() if input.array.dtype == np.uint8 else result


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Are all elements different from zero? uint8 gives uint8, as in torch.

    >>> gf.all(gf.tensor([[1, 0], [2, 3]]), dim=1)
    tensor([False,  True])
    """
    return truth("all", ALL, input, dim, keepdim)


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements differ from zero; int64.

    >>> gf.count_nonzero(gf.tensor([[1, 0], [2, 3]]))
    tensor(3)
    """
    return wrap(reduce(SUM, is_nonzero, (input.array,), axes_of("count_nonzero", dim, input.array.ndim), False))


known = kernel(lambda x: s.where(s.ne(x, x), 0, x))


@custom(grad_name="NansumBackward0")
def nansum_of(a, axes, keepdim):
    return reduce(SUM, known, (a,), axes, keepdim), (a,)


@nansum_of.vjp
def nansum_vjp(g, needs, x, axes, keepdim):
    return p.where(p.isnan(x), 0.0, spread(g, x.array.shape, axes))


def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum with nan counted as 0.

    >>> gf.nansum(gf.tensor([1.0, float("nan"), 3.0]))
    tensor(4.)
    """
    axes = axes_of("nansum", dim, input.array.ndim)
    if dtype is None and input.dtype.is_floating_point:
        return nansum_of(input, axes, flag("nansum", "keepdim", keepdim))
    zeroed = p.where(p.isnan(input), 0, input) if input.dtype.is_floating_point else input
    return named(sum(zeroed, dim, keepdim, dtype=dtype), "NansumBackward0")


def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of what is not nan; nan if all are.

    >>> gf.nanmean(gf.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    float_only("nanmean", input)
    axes_of("nanmean", dim, input.array.ndim)
    return p.div(nansum(input, dim, keepdim, dtype=dtype), sum(p.logical_not(p.isnan(input)), dim, keepdim))
