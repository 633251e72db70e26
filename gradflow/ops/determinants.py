"""Determinants, and their signs and logarithms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends.batched import asarray
from ..kinds import custom
from ..tensor import Tensor, wrap
from . import pointwise
from .factorizations import lu_arrays, matrices
from .hosted import hosted
from .reductions import exclusive_product
from .solving import inverse_of
from .spectra import multiply_last, svd_of


class linalg_slogdet(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


def lu_diagonal(a: Any) -> tuple[Any, Any]:
    """(the diagonal of U, the sign of the permutation)"""
    lu, pivots, _ = lu_arrays(a)
    exchanged = (pivots != np.arange(1, a.shape[-1] + 1)).sum(-1)
    return lu.diagonal(0, -2, -1), (1 - 2 * (exchanged % 2)).astype(a.dtype)


def per_matrix(g: Any) -> Any:
    return g.unsqueeze(-1).unsqueeze(-1)


@custom(grad_name="LinalgDetBackward0")
def det_of(a):
    diagonal, sign = lu_diagonal(a)
    with np.errstate(all="ignore"):
        y = asarray(sign * diagonal.prod(-1), a.dtype)
    size = np.abs(diagonal)
    low, high = size.min(-1, initial=np.inf), size.max(-1, initial=0)
    singular = np.isfinite(high) & (low <= np.sqrt(np.finfo(a.dtype).eps) * high)
    return y, (a, y, asarray(singular))


@det_of.vjp
def det_vjp(g, needs, a, y, singular):
    """The cofactors: ``det(A) A^-T``, or from the singular values where ``A`` is (almost) singular."""
    if not singular.array.any():
        return per_matrix(g * y) * inverse_of(a)[0].mT
    n, dtype = a.array.shape[-1], a.array.dtype
    here = wrap(singular.array[..., None, None])
    one, other = (wrap(backends.beside(np.diag(d).astype(dtype), a.array)) for d in (np.ones(n), np.arange(1, n + 1)))
    regular = per_matrix(g * y) * inverse_of(pointwise.where(here, one, a))[0].mT
    u, s, vh = svd_of(pointwise.where(here, a, other), False)
    others = exclusive_product(s, s.array.ndim - 1) * (g * det_of(u) * det_of(vh)).unsqueeze(-1)
    return pointwise.where(here, multiply_last(u, others) @ vh, regular)


@hosted
def det(A: Any) -> Tensor:
    """The determinant of square matrices; its gradient is right for singular ones, too.

    >>> gf.linalg.det(gf.tensor([[1.0, 2], [3, 4]]))
    tensor(-2.0000)
    """
    matrices("linalg.det", A, square=True)
    return det_of(A)


@custom(outputs=2, grad_name="LinalgSlogdetBackward0")
def slogdet_of(a):
    diagonal, sign = lu_diagonal(a)
    with np.errstate(divide="ignore"):
        log = asarray(np.log(np.abs(diagonal)).sum(-1), a.dtype)
    return (asarray(sign * np.sign(diagonal).prod(-1), a.dtype), log), (a,)


@slogdet_of.vjp
def slogdet_vjp(g, needs, a):
    if 1 not in g:  # the sign is constant wherever it can be derived
        return a * 0
    return per_matrix(g[1]) * inverse_of(a)[0].mT


@hosted
def slogdet(A: Any) -> linalg_slogdet:
    """(the sign of the determinant, the logarithm of its absolute value), also where the determinant itself is out of range; (0, -inf) if singular.

    >>> sign, logabsdet = gf.linalg.slogdet(gf.tensor([[2.0, 1.0], [0.0, -3.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(1.7918))
    """
    matrices("linalg.slogdet", A, square=True)
    return linalg_slogdet(*slogdet_of(A))
