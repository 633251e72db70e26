"""Norms of vectors: over all elements, or over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import reduce
from ..errors import ArgumentError
from ..kinds import custom
from ..tensor import Tensor, wrap
from . import pointwise as p
from .axes import axes_of, flag
from .reductions import MAX, MIN, SUM, absolute, float_only, in_dtype, in_float32, is_nonzero, powered, spread, square_of, sum_over


@custom(grad_name="LinalgVectorNormBackward0")
def norm_of(a, p_, axes, keepdim):
    return in_float32(norm_array, a, p_, axes, keepdim), (a,)


def norm_array(a: Any, p_: float, axes: Any, keepdim: bool) -> Any:
    if p_ == 2:
        out = reduce(SUM, square_of, (a,), axes, keepdim)
        return np.sqrt(out, out=out)
    if p_ == math.inf or p_ == -math.inf:
        return reduce(MAX if p_ > 0 else MIN, absolute, (a,), axes, keepdim)
    if p_ == 0:
        return reduce(SUM, is_nonzero, (a,), axes, keepdim).astype(a.dtype)
    if p_ == 1:
        return reduce(SUM, absolute, (a,), axes, keepdim)
    return p.pow(wrap(reduce(SUM, powered, (a, p_), axes, keepdim)), 1 / p_).array


@norm_of.vjp
def norm_vjp(g, needs, x, p_, axes, keepdim):
    """0 at a zero vector, torch's subgradient."""
    shape = x.array.shape
    g = spread(g, shape, axes)
    if p_ == 0:
        return p.mul(g, 0.0)
    y = spread(norm_of(x, p_, axes, True), shape, axes)
    if p_ == 1:
        return p.mul(g, p.sign(x))
    if p_ in (math.inf, -math.inf):
        hit = p.eq(p.abs(x), y).to(x.dtype)
        return p.mul(p.mul(g, p.sign(x)), p.div(hit, sum_over(hit, axes, True)))
    if p_ == 2:
        scaled = p.div(x, y)
    else:
        scaled = p.mul(p.sign(x), p.pow(p.div(p.abs(x), y), p_ - 1))
    return p.mul(g, p.where(p.eq(y, 0), 0.0, scaled))


def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """``sum(|x| ** p) ** (1 / p)`` over all elements or ``dim``; ``p`` may be any number, inf, -inf, "fro" (2), or "nuc": ``linalg.matrix_norm``. The gradient at 0 is 0.

    >>> gf.norm(gf.tensor([3.0, 4.0]))
    tensor(5.)
    >>> gf.norm(gf.tensor([[1.0, -2.0], [3.0, 0.0]]), p=1, dim=1)
    tensor([3., 3.])
    """
    input = in_dtype("norm", input, dtype)
    float_only("norm", input)
    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        from .matrix_functions import matrix_norm

        if p != "nuc":
            raise ArgumentError(f"norm: unknown norm {p!r}; use a number, inf, -inf, 'fro' or 'nuc'")
        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim)
    return norm_of(input, float(p), axes_of("norm", dim, input.array.ndim), flag("norm", "keepdim", keepdim))
