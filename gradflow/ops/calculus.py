"""Integrals and derivatives of sampled functions, and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import backends, dtypes
from ..errors import ArgumentError, AxisError, DTypeError, ShapeError
from ..tensor import Tensor, wrap
from .apart import each_example
from .axes import axis_of, integer
from .joining import cat
from .pointwise import mul
from .scans import cumsum


def panels(op: str, y: Tensor, x: Tensor | None, dx: Any, dim: Any) -> tuple[Tensor, int]:
    """Twice the area between every two neighbours along ``dim``."""
    axis = axis_of(op, dim, y.array.ndim)
    if not y.array.ndim:
        raise AxisError(f"{op}: Dimension specified as {dim} but tensor has no dimensions")
    if any(isinstance(t, Tensor) and t.array.dtype.kind == "b" for t in (y, x)):
        raise DTypeError(f"{op}: received a bool input, but bool is not supported; convert with .float()")
    n = y.array.shape[axis]
    both = y.narrow(axis, 0, max(n - 1, 0)) + y.narrow(axis, min(1, n), max(n - 1, 0))
    if x is None:
        if not isinstance(dx, bool | int | float):
            raise DTypeError(f"{op}: argument 'dx' must be Number, not {type(dx).__name__}")
        return mul(both, dx), axis
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument 'x' must be Tensor, not {type(x).__name__}")
    if x.array.ndim == 1 and y.array.ndim > 1:
        if x.array.size != n:
            raise ShapeError(f"{op}: There must be one `x` value for each sample point: {x.numel()} for {n}")
        step = x[1:] - x[:-1]
        return mul(both, step.reshape([-1 if i == axis else 1 for i in range(y.array.ndim)])), axis
    along = axis - y.array.ndim + x.array.ndim
    if along < 0:
        raise ShapeError(f"{op}: x has no axis for dim {dim} of y: their shapes are {tuple(x.shape)} and {tuple(y.shape)}")
    m = x.array.shape[along]
    return mul(both, x.narrow(along, min(1, m), max(m - 1, 0)) - x.narrow(along, 0, max(m - 1, 0))), axis


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: Any = -1) -> Tensor:
    """The integral along ``dim`` by the trapezoidal rule, of samples at ``x`` or ``dx`` apart.

    >>> gf.trapezoid(gf.tensor([1.0, 2.0, 3.0])), gf.trapezoid(gf.tensor([1.0, 2.0, 3.0]), dx=0.5)
    (tensor(4.), tensor(2.))
    """
    areas, axis = panels("trapezoid", y, x, dx, dim)
    return mul(areas.sum(axis), 0.5)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: Any = -1) -> Tensor:
    """The integral up to each sample but the first; see :func:`trapezoid`.

    >>> gf.cumulative_trapezoid(gf.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    areas, axis = panels("cumulative_trapezoid", y, x, dx, dim)
    return mul(cumsum(areas, axis), 0.5)


def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivative along each axis of ``dim`` by central differences, and by one-sided ones of ``edge_order`` 1 or 2 at the ends.

    ``spacing`` is a number, one for each axis, or a vector of coordinates for each axis.

    >>> gf.gradient(gf.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: torch.gradient only supports edge_order=1 and edge_order=2, not {edge_order}")
    named = range(input.array.ndim) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    axes = [axis_of("gradient", d, input.array.ndim) for d in named]
    if len(set(axes)) != len(axes):
        raise ArgumentError(f"gradient: dim appears multiple times in the list of dims {list(named)}")
    spacing = 1 if spacing is None else spacing
    steps: Sequence[Any] = spacing if isinstance(spacing, tuple | list) else [spacing] * len(axes)
    if len(steps) != len(axes):
        raise ArgumentError(
            f"gradient: expected spacing to be unspecified, a scalar or a list of length equal to 'self.dim() = {input.ndim}', but got a list of length {len(steps)}"
        )
    return tuple(derivative(input, axis, h, edge_order) for axis, h in zip(axes, steps, strict=True))


def derivative(f: Tensor, axis: int, h: Any, edge_order: int) -> Tensor:
    n = f.array.shape[axis]
    if n <= edge_order:
        raise ShapeError(f"gradient: expected each dimension size to be at least edge_order+1, axis {axis} has {n}")

    def at(start: int, length: int) -> Tensor:
        return f.narrow(axis, start, length)

    def shaped(v: Any) -> Any:
        return v.reshape([-1 if i == axis else 1 for i in range(f.array.ndim)]) if isinstance(v, Tensor) else v

    weights: Any
    ends: Any
    first: Any
    last: Any
    if isinstance(h, Tensor) and h.array.ndim:
        if h.array.shape != (n,):
            raise ShapeError(f"gradient: expected each element of spacing to have {n} elements, axis {axis}'s has shape {tuple(h.shape)}")
        step = h[1:] - h[:-1]
        a, b = step[:-1], step[1:]
        weights = -b / (a * (a + b)), (b - a) / (a * b), a / (b * (a + b))
        ends = step[0], step[n - 2]
        first, last = (step[0], step[1] if n > 2 else step[0]), (step[n - 3] if n > 2 else step[0], step[n - 2])
    else:
        h = h.item() if isinstance(h, Tensor) else h
        if not isinstance(h, bool | int | float):
            raise DTypeError(f"gradient: spacing must be numbers or tensors, not {type(h).__name__}")
        weights, ends, first, last = None, (h, h), (h, h), (h, h)
    inner = None
    if n > 2 and weights is None:
        inner = (at(2, n - 2) - at(0, n - 2)) / (2 * h)
    elif n > 2:
        inner = at(0, n - 2) * shaped(weights[0]) + at(1, n - 2) * shaped(weights[1]) + at(2, n - 2) * shaped(weights[2])
    if edge_order == 1:
        left, right = (at(1, 1) - at(0, 1)) / ends[0], (at(n - 1, 1) - at(n - 2, 1)) / ends[1]
    else:
        a, b = first
        left = at(0, 1) * (-(2 * a + b) / (a * (a + b))) + at(1, 1) * ((a + b) / (a * b)) + at(2, 1) * (-a / (b * (a + b)))
        a, b = last
        right = at(n - 3, 1) * (b / (a * (a + b))) + at(n - 2, 1) * (-(a + b) / (a * b)) + at(n - 1, 1) * ((a + 2 * b) / (b * (a + b)))
    return cat([left, right] if inner is None else [left, inner, right], axis)


class Histogram(NamedTuple):
    """How many elements are between every two edges."""

    hist: Tensor
    bin_edges: Tensor


@each_example
def histogram(input: Tensor, bins: Any = 100, *, range: Any = None, weight: Tensor | None = None, density: bool = False) -> Histogram:
    """The elements counted (or their weights added) in bins: ``bins`` of equal width from ``range``, or between given edges.

    >>> gf.histogram(gf.tensor([1.0, 2.0, 1.5, 4.0]), bins=3, range=(1.0, 4.0)).hist
    tensor([2., 1., 1.])
    """
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise DTypeError(f"histogram: not implemented for {input.dtype}; convert with .float()")
    if weight is not None and weight.dtype is not input.dtype:
        raise DTypeError(f"histogram: input and weight should have the same dtype, got {input.dtype} and {weight.dtype}; convert one")
    if weight is not None and weight.array.shape != input.array.shape:
        raise ShapeError(f"histogram: if weight tensor is provided it should have the same shape as the input: {tuple(weight.shape)}")
    if isinstance(bins, Tensor):
        edges = bins.array
        if edges.ndim != 1 or edges.dtype != input.array.dtype:
            raise DTypeError(
                f"histogram: bins tensor should be 1-D and of {input.dtype}, it is of {bins.dtype} and shape {tuple(bins.shape)}"
            )
    else:
        if integer("histogram", "bins", bins) <= 0:
            raise ArgumentError(f"histogram: bins must be > 0, but got {bins}")
        if range is not None and (not isinstance(range, tuple | list) or len(range) != 2):
            raise ArgumentError(f"histogram: range should have 2 elements, it is {range}")
        low, high = range if range is not None else (input.array.min(), input.array.max()) if input.array.size else (0.0, 1.0)
        if not (np.isfinite(low) and np.isfinite(high)) or low > high:
            raise ArgumentError(f"histogram: range of [{low}, {high}] is not finite, or min is larger than max")
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        edges = backends.beside(np.linspace(low, high, bins + 1).astype(input.array.dtype), input.array)
    flat = input.array.reshape(-1)
    keep = (flat >= edges[0]) & (flat <= edges[-1])
    place = np.minimum(np.searchsorted(edges, flat[keep], side="right") - 1, len(edges) - 2)
    counts = np.bincount(place, None if weight is None else weight.array.reshape(-1)[keep], len(edges) - 1).astype(input.array.dtype)
    if density:
        counts = counts / (counts.sum() * np.diff(edges))
    return Histogram(wrap(counts.astype(input.array.dtype)), wrap(edges.copy()))
