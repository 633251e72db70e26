"""The arithmetic of weights by direction and length, and of weights divided by their largest singular value."""

from __future__ import annotations

import gradflow as gf

from ...autograd import no_grad
from ...errors import AxisError
from ...tensor import Tensor


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The norm over all axes but one, or over all for -1, which torch takes for none."""
    if dim == -1:
        return v.norm()
    return v.norm(2, [d for d in range(v.ndim) if d != dim], keepdim=True) if v.ndim > 1 else v.abs()


def by_length(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """The direction of v, of length g."""
    return v * (g / norm_except(v, dim))


def axis_of(weight: Tensor, dim: int) -> int:
    if not -weight.ndim <= dim < weight.ndim:
        raise AxisError(
            f"spectral_norm: Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
        )
    return dim % weight.ndim


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight with one axis in front and the others as one."""
    return (weight.movedim(dim, 0) if dim else weight).flatten(1)


def unit(x: Tensor, eps: float) -> Tensor:
    return gf.nn.functional.normalize(x, dim=0, eps=eps)


@no_grad()
def power_method(matrix: Tensor, u: Tensor, v: Tensor, steps: int, eps: float, left_first: bool) -> None:
    """Turn u and v, in place, towards the singular vectors of the largest singular value."""
    for _ in range(steps):
        for left in (left_first, not left_first):
            if left:
                u.copy_(unit(gf.mv(matrix, v), eps))
            else:
                v.copy_(unit(gf.mv(matrix.T, u), eps))


def largest(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The largest singular value, u and v taken as they are: copies, for they turn again before the way back."""
    return gf.dot(u.clone(), gf.mv(matrix, v.clone()))
