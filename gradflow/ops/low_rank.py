"""Singular values of matrices of low rank from random projections: Halko, Martinsson and Tropp, "Finding structure with randomness" (2009)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError
from ..tensor import Tensor, wrap
from .axes import flag, integer
from .factorizations import matrices, qr
from .spectra import svd


def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) with ``q`` columns so that ``U @ diag(S) @ V.mT`` is almost ``A`` (less ``M``, which broadcasts), if its rank is less than ``q``.

    ``niter`` are the rounds that make small singular values smaller still. The numbers drawn are gradflow's: ``manual_seed`` repeats them.

    >>> U, S, V = gf.svd_lowrank(gf.ones(4, 3), q=2)
    >>> U.shape, S.shape, V.shape
    (torch.Size([4, 2]), torch.Size([2]), torch.Size([3, 2]))
    """
    op = "svd_lowrank"
    matrices(op, A)
    q, niter = integer(op, "q", 6 if q is None else q), integer(op, "niter", 2 if niter is None else niter)
    if M is not None and not isinstance(M, Tensor):
        raise DTypeError(f"{op}: argument 'M' must be Tensor, not {type(M).__name__}")
    if q < 0:
        raise ArgumentError(f"{op}: q is {q}; it must not be negative")
    centred: Any = A if M is None else A - M.broadcast_to(A.shape)
    wide = A.array.shape[-2] < A.array.shape[-1]
    x = centred.mT if wide else centred
    directions: Any = wrap(backends.beside(np.empty((x.array.shape[-1], q), x.array.dtype), x.array))
    basis: Any = qr(x @ directions.normal_()).Q
    for _ in range(niter):
        basis = qr(x @ qr(x.mT @ basis).Q).Q
    u, s, vh = svd(basis.mT @ x, full_matrices=False)
    u, v = basis @ u, vh.mT
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`svd_lowrank` of ``A`` less the means of its columns (as it is, unless ``center``); ``q`` is ``min(6, m, n)`` if not given.

    Columns of V are the principal directions of the samples in the rows of ``A``.

    >>> U, S, V = gf.pca_lowrank(gf.arange(12.0).reshape(4, 3), q=1)
    >>> V.abs()
    tensor([[0.5774],
            [0.5774],
            [0.5774]])
    """
    op = "pca_lowrank"
    matrices(op, A)
    least = min(A.array.shape[-2:])
    q = min(6, least) if q is None else integer(op, "q", q)
    if not 0 <= q <= least:
        raise ArgumentError(f"{op}: q (={q}) must be non-negative and not greater than min(m, n)={least}")
    if integer(op, "niter", niter) < 0:
        raise ArgumentError(f"{op}: niter (={niter}) must be non-negative")
    return svd_lowrank(A - A.mean(-2, True) if flag(op, "center", center) else A, q, niter)
