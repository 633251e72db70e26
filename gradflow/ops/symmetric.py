"""Symmetric matrices that need not be definite: ``L D L.T`` with pivots. No gradients, as in torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..errors import DTypeError, GradError, LinAlgError, ShapeError
from ..kinds import custom
from ..tensor import Tensor
from .axes import flag
from .factorizations import batch_element, matrices


class linalg_ldl_factor(NamedTuple):
    LD: Tensor
    pivots: Tensor


class linalg_ldl_factor_ex(NamedTuple):
    LD: Tensor
    pivots: Tensor
    info: Tensor


def columns(a: Any) -> Any:
    """A copy of matrices, column by column, as LAPACK has them."""
    return a.swapaxes(-1, -2).copy(order="C")


@custom(outputs=3, grad_name="LinalgLdlFactorExBackward0")
def ldl_of(a):
    work = columns(a)
    pivots, info = backends.ldl(work)
    return (np.tril(work.swapaxes(-1, -2)), pivots, info), ()


@ldl_of.vjp
def ldl_vjp(g, needs):
    raise GradError("linalg.ldl_factor: the derivative is not implemented; use linalg.solve, linalg.eigh or linalg.cholesky")


@custom(inputs=2, grad_name="LinalgLdlSolveBackward0")
def ldl_solve_of(ld, b, pivots):
    x = columns(b)
    backends.ldl_solve(columns(ld), pivots, x)
    return x.swapaxes(-1, -2), ()


@ldl_solve_of.vjp
def ldl_solve_vjp(g, needs, pivots):
    raise GradError("linalg.ldl_solve: the derivative is not implemented; use linalg.solve")


def ldl_factor_ex(input: Any, *, hermitian: bool = False, check_errors: bool = False) -> linalg_ldl_factor_ex:
    """:func:`ldl_factor` and ``info``: the number of the first zero on the diagonal of D, or 0.

    >>> LD, pivots, info = gf.linalg.ldl_factor_ex(gf.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> info
    tensor(0, dtype=torch.int32)
    """
    return ldl_checked("linalg.ldl_factor_ex", input, hermitian, flag("linalg.ldl_factor_ex", "check_errors", check_errors))


def ldl_checked(op: str, A: Any, hermitian: bool, check: bool) -> linalg_ldl_factor_ex:
    matrices(op, A, "input", square=True)
    flag(op, "hermitian", hermitian)  # real matrices are symmetric either way
    result = linalg_ldl_factor_ex(*ldl_of(A))
    if check and result.info.array.any():
        where, k = batch_element(result.info.array)
        raise LinAlgError(f"{op}:{where} D[{k},{k}] is zero: the matrix is singular; to have the factors anyway, use linalg.ldl_factor_ex")
    return result


def ldl_factor(input: Any, *, hermitian: bool = False) -> linalg_ldl_factor:
    """``L D L.T`` of symmetric matrices, packed as LAPACK's sytrf does, for :func:`ldl_solve`; the lower triangle is read. No gradient.

    >>> LD, pivots = gf.linalg.ldl_factor(gf.tensor([[4.0, 2.0], [2.0, 3.0]]))
    >>> LD
    tensor([[4.0000, 0.0000],
            [0.5000, 2.0000]])
    """
    return linalg_ldl_factor(*ldl_checked("linalg.ldl_factor", input, hermitian, True)[:2])


def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False) -> Tensor:
    """``X`` of ``A @ X = B`` from the :func:`ldl_factor` of A; leading axes broadcast. No gradient.

    >>> LD, pivots = gf.linalg.ldl_factor(gf.tensor([[4.0, 0.0], [0.0, 2.0]]))
    >>> gf.linalg.ldl_solve(LD, pivots, gf.tensor([[4.0], [6.0]]))
    tensor([[1.],
            [3.]])
    """
    from .solving import broadcast, same_type

    op = "linalg.ldl_solve"
    matrices(op, LD, "LD", square=True)
    flag(op, "hermitian", hermitian)
    same_type(op, LD, B)
    matrices(op, B, "B")
    if not isinstance(pivots, Tensor) or pivots.array.dtype.kind not in "iu":
        kind = pivots.dtype if isinstance(pivots, Tensor) else type(pivots).__name__
        raise DTypeError(f"{op}: pivots should be a Tensor of integers, not {kind}; pass what ldl_factor returns")
    if pivots.array.shape != LD.array.shape[:-1]:
        raise ShapeError(f"{op}: the pivots, {tuple(pivots.array.shape)}, do not fit LD, {tuple(LD.array.shape)}")
    ld, b = broadcast(op, LD, B)
    steps = np.broadcast_to(pivots.array, ld.array.shape[:-1]).astype(np.int32)
    return ldl_solve_of(ld, b, steps)
