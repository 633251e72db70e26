"""Names for linear algebra that are older than ``linalg`` and differ from it in arguments or results, and Householder's reflections."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError, LinAlgError, RankError, ShapeError
from ..kinds import custom
from ..tensor import Tensor, wrap
from . import matrix_functions, pointwise
from .axes import flag, integer
from .determinants import det as linalg_det
from .determinants import linalg_slogdet
from .determinants import slogdet as linalg_sign_and_log
from .factorizations import cholesky_checked, linalg_qr, lu_checked, matrices, permutation, qr_of, unit_lower
from .hosted import hosted
from .low_rank import pca_lowrank, svd_lowrank
from .solving import broadcast, int32_pivots, inv_checked, pinv_checked, same_type, triangular_of
from .solving import lu_solve as linalg_lu_solve
from .spectra import svd_of, svdvals
from .views import matrix_transposed


class svd_result(NamedTuple):
    U: Tensor
    S: Tensor
    V: Tensor


class lu_with_info(NamedTuple):
    LU: Tensor
    pivots: Tensor
    info: Tensor


class lu_unpack_result(NamedTuple):
    P: Tensor
    L: Tensor
    U: Tensor


class triangular_solve_result(NamedTuple):
    solution: Tensor
    cloned_coefficient: Tensor


class geqrf_result(NamedTuple):
    a: Tensor
    tau: Tensor


def det(input: Any) -> Tensor:
    """:func:`linalg.det`: the determinant of each matrix.

    >>> gf.det(gf.tensor([[2.0, 1.0], [0.0, 3.0]]))
    tensor(6.)
    """
    return linalg_det(input)


def slogdet(input: Any) -> linalg_slogdet:
    """:func:`linalg.slogdet`: (the sign of the determinant, the logarithm of its absolute value).

    >>> sign, logabsdet = gf.slogdet(gf.tensor([[2.0, 1.0], [0.0, -3.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(1.7918))
    """
    return linalg_sign_and_log(input)


@hosted
def logdet(input: Any) -> Tensor:
    """The logarithm of the determinant: nan where it is negative, -inf where it is 0.

    >>> gf.logdet(gf.tensor([[2.0, 1.0], [0.0, 3.0]]))
    tensor(1.7918)
    """
    matrices("logdet", input, "input", square=True)
    sign, log = slogdet(input)
    return pointwise.where(wrap(sign.array < 0), float("nan"), log)


def inverse(input: Any) -> Tensor:
    """:func:`linalg.inv`: the inverse of each matrix; a singular one raises ``LinAlgError``.

    >>> gf.inverse(gf.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv_checked("inverse", input, True).inverse


def pinverse(input: Any, rcond: float = 1e-15) -> Tensor:
    """:func:`linalg.pinv` with ``rcond`` of 1e-15.

    >>> gf.pinverse(gf.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return pinv_checked("pinverse", input, None, rcond, False)


@hosted
def cholesky(input: Any, upper: bool = False) -> Tensor:
    """:func:`linalg.cholesky`: the triangle L of ``A = L @ L.mT``, or its transpose if ``upper``.

    >>> gf.cholesky(gf.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return cholesky_checked("cholesky", input, upper, True).L


@hosted
def cholesky_solve(input: Any, L: Any, upper: bool = False) -> Tensor:
    """``X`` of ``L @ L.mT @ X = input`` (``L.mT @ L @ X`` if ``upper``), from the triangle that :func:`cholesky` gives.

    >>> gf.cholesky_solve(gf.tensor([[4.0], [8.0]]), gf.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[1.0000],
            [0.5000]])
    """
    op = "cholesky_solve"
    matrices(op, input, "input")
    matrices(op, L, "L", square=True)
    same_type(op, L, input)
    upper = flag(op, "upper", upper)
    factor, b = broadcast(op, L, input)
    lower = factor.mT if upper else factor
    return triangular_of(lower.mT, triangular_of(lower, b, False, False, True), True, False, True)


@hosted
def cholesky_inverse(input: Any, upper: bool = False) -> Tensor:
    """The inverse of ``L @ L.mT`` (``L.mT @ L`` if ``upper``), from the triangle L that :func:`cholesky` gives.

    >>> gf.cholesky_inverse(gf.tensor([[1.0, 0.0], [2.0, 1.0]]))
    tensor([[ 5., -2.],
            [-2.,  1.]])
    """
    op = "cholesky_inverse"
    matrices(op, input, "input", square=True)
    zeros = (input.array.diagonal(0, -2, -1) == 0).reshape(math.prod(input.array.shape[:-2]), input.array.shape[-1])
    if zeros.any():
        element, k = (int(i) for i in np.argwhere(zeros)[0])
        where = f" (Batch element {element})" if input.array.ndim > 2 else ""
        raise LinAlgError(
            f"{op}:{where} The diagonal element {k + 1} is zero, the inversion could not be completed because the input matrix is singular"
        )
    one = np.broadcast_to(np.eye(input.array.shape[-1], dtype=input.array.dtype), input.array.shape)
    return cholesky_solve(wrap(one), input, upper)


@hosted
def qr(input: Any, some: bool = True) -> linalg_qr:
    """:func:`linalg.qr`, "reduced" if ``some``, else "complete".

    >>> gf.qr(gf.tensor([[2.0, 1.0], [0.0, 3.0]])).R.abs()
    tensor([[2., 1.],
            [0., 3.]])
    """
    matrices("qr", input, "input")
    return linalg_qr(*qr_of(input, "reduced" if flag("qr", "some", some) else "complete"))


@hosted
def svd(input: Any, some: bool = True, compute_uv: bool = True) -> svd_result:
    """``input = U @ diag(S) @ V.mT``: :func:`linalg.svd` with V for Vh, not ``full_matrices`` if ``some``; zeros for U and V without ``compute_uv``.

    >>> gf.svd(gf.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    matrices("svd", input, "input")
    some = flag("svd", "some", some)
    if flag("svd", "compute_uv", compute_uv):
        u, s, vh = svd_of(input, not some)
        return svd_result(u, s, vh.mT)
    *batch, m, n = input.array.shape
    zeros = (wrap(backends.beside(np.zeros((*batch, k, k), input.array.dtype), input.array)) for k in (m, n))
    return svd_result(next(zeros), svdvals(input), next(zeros))


@hosted
def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots), and infos if asked for: :func:`linalg.lu_factor`; without infos a zero on the diagonal of U raises a ``LinAlgError``.

    >>> gf.lu(gf.tensor([[4.0, 2.0], [2.0, 2.0]]))
    (tensor([[4.0000, 2.0000],
            [0.5000, 1.0000]]), tensor([1, 2], dtype=torch.int32))
    """
    get_infos = flag("lu", "get_infos", get_infos)
    result = lu_checked("lu", A, pivot, not get_infos)
    return lu_with_info(*result) if get_infos else tuple(result[:2])


@hosted
def lu_unpack(LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True) -> lu_unpack_result:
    """(P, L, U) of what ``lu_factor`` gives; what is not asked for is empty.

    >>> P, L, U = gf.lu_unpack(*gf.linalg.lu_factor(gf.tensor([[4.0, 2.0], [2.0, 2.0]])))
    >>> L, U
    (tensor([[1.0000, 0.0000],
            [0.5000, 1.0000]]), tensor([[4., 2.],
            [0., 1.]]))
    """
    op = "lu_unpack"
    matrices(op, LU_data, "LU_data")
    P = L = U = wrap(backends.beside(np.empty(0, LU_data.array.dtype), LU_data.array))
    if flag(op, "unpack_pivots", unpack_pivots):
        int32_pivots(op, LU_data, LU_pivots)
        P = permutation(LU_pivots.array, LU_data)
    if flag(op, "unpack_data", unpack_data):
        k = min(LU_data.array.shape[-2:])
        L, U = unit_lower(LU_data, k), LU_data.narrow(-2, 0, k).triu()
    return lu_unpack_result(P, L, U)


@hosted
def lu_solve(input: Any, LU_data: Any, LU_pivots: Any) -> Tensor:
    """:func:`linalg.lu_solve` with the right-hand side first: ``X`` of ``A @ X = b`` from the parts of A.

    >>> gf.lu_solve(gf.tensor([[4.0], [8.0]]), *gf.linalg.lu_factor(gf.tensor([[2.0, 0.0], [0.0, 4.0]])))
    tensor([[2.],
            [2.]])
    """
    return linalg_lu_solve(LU_data, LU_pivots, input)


@hosted
def triangular_solve(
    input: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> triangular_solve_result:
    """(``X`` of ``A @ X = input``, a copy of ``A``), where only one triangle of ``A`` is read: :func:`linalg.solve_triangular`.

    >>> gf.triangular_solve(gf.tensor([[4.0], [6.0]]), gf.tensor([[2.0, 1.0], [0.0, 3.0]])).solution
    tensor([[1.],
            [2.]])
    """
    op = "triangular_solve"
    matrices(op, input, "input")
    matrices(op, A, square=True)
    same_type(op, A, input)
    upper, transpose = flag(op, "upper", upper), flag(op, "transpose", transpose)
    a, b = broadcast(op, A, input)
    x = triangular_of(a.mT if transpose else a, b, upper != transpose, flag(op, "unitriangular", unitriangular), True)
    return triangular_solve_result(x, a.clone())


def vander(x: Any, N: Any = None, increasing: bool = False) -> Tensor:
    """Rows of the powers N - 1 ... 0 (0 ... N - 1 if ``increasing``) of the elements of a vector; N is its length if not given.

    >>> gf.vander(gf.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if not isinstance(x, Tensor) or x.array.ndim != 1:
        raise ShapeError(f"vander: x must be a one-dimensional tensor, not {x.array.ndim if isinstance(x, Tensor) else type(x).__name__}")
    n = x.array.shape[0] if N is None else integer("vander", "N", N)
    if n < 0:
        raise ArgumentError(f"vander: N must be non-negative, but it is {n}")
    increasing = flag("vander", "increasing", increasing)
    y = matrix_functions.powers(x, max(n, 1)).narrow(-1, 0, n)
    return y if increasing else y.flip(-1)


# ---- Householder's reflections -----------------------------------------------------------------------------------------


@custom(outputs=2, grad_name="GeqrfBackward0")
def geqrf_of(a):
    packed, tau = np.linalg.qr(a, "raw")
    return (packed.swapaxes(-1, -2), tau), ()


@geqrf_of.vjp
def geqrf_vjp(g, needs):
    from ..errors import GradError

    raise GradError("geqrf: the derivative is not implemented; use linalg.qr")


def geqrf(input: Any) -> geqrf_result:
    """QR packed: R above the diagonal, below it the vectors of the reflections whose factors are ``tau``; for :func:`ormqr`. No gradient.

    >>> gf.geqrf(gf.tensor([[3.0], [4.0]])).a
    tensor([[-5.0000],
            [ 0.5000]])
    """
    matrices("geqrf", input, "input")
    return geqrf_result(*geqrf_of(input))


def reflected(vectors: Any, tau: Any, other: Any, forward: bool) -> Any:
    """The reflections ``1 - tau[i] v[i] v[i].T`` of ``other``, the last one first unless ``forward``; v[i] has 0 above i, and 1 there."""
    m, k = vectors.array.shape[-2], tau.array.shape[-1]
    unit = vectors.narrow(-1, 0, k).tril(-1) + wrap(backends.beside(np.eye(m, k, dtype=vectors.array.dtype), vectors.array))
    for i in range(k) if forward else reversed(range(k)):
        v = unit.narrow(-1, i, 1)
        other = other - (tau.narrow(-1, i, 1).unsqueeze(-1) * v) @ (v.mT @ other)
    return other


def householder_product(input: Any, tau: Any) -> Tensor:
    """The first columns of Q, from the reflections that :func:`geqrf` gives.

    >>> gf.orgqr(*gf.geqrf(gf.tensor([[3.0], [4.0]])))
    tensor([[-0.6000],
            [-0.8000]])
    """
    op = "linalg.householder_product"
    reflections(op, input, tau)
    m, n = input.array.shape[-2:]
    if m < n:
        raise ShapeError(f"{op}: input.shape[-2] must be greater than or equal to input.shape[-1]; the shape is {tuple(input.array.shape)}")
    eyes = np.array(np.broadcast_to(np.eye(m, n, dtype=input.array.dtype), (*input.array.shape[:-2], m, n)))
    one = wrap(backends.beside(eyes, input.array))
    return reflected(input, tau, one, False)


def reflections(op: str, input: Any, tau: Any) -> None:
    matrices(op, input, "input")
    if not isinstance(tau, Tensor) or tau.array.dtype != input.array.dtype:
        kind = tau.dtype if isinstance(tau, Tensor) else type(tau).__name__
        raise DTypeError(f"{op}: tau must be a Tensor of the input's dtype {input.dtype}, not {kind}")
    a, t = input.array.shape, tau.array.shape
    if t[:-1] != a[:-2] or not t or t[-1] > a[-1]:
        raise RankError(f"{op}: tau, {tuple(t)}, does not fit the input, {tuple(a)}; need {(*a[:-2], min(a[-2:]))}")


def ormqr(input: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Tensor:
    """``Q @ other`` (``other @ Q`` unless ``left``; Q transposed if ``transpose``), from the reflections that :func:`geqrf` gives.

    >>> gf.ormqr(*gf.geqrf(gf.tensor([[3.0], [4.0]])), gf.tensor([[1.0], [0.0]]))
    tensor([[-0.6000],
            [-0.8000]])
    """
    op = "ormqr"
    reflections(op, input, tau)
    same_type(op, input, other)
    matrices(op, other, "other")
    left, transpose = flag(op, "left", left), flag(op, "transpose", transpose)
    target = other if left else other.mT
    if target.array.shape[-2] != input.array.shape[-2] or target.array.shape[:-2] != input.array.shape[:-2]:
        raise ShapeError(f"{op}: other, {tuple(other.shape)}, does not fit the input, {tuple(input.shape)}, for left={left}")
    # other @ Q is (Q.T @ other.T).T
    y = reflected(input, tau, target, transpose if left else not transpose)
    return y if left else y.mT


def adjoint(input: Tensor) -> Tensor:
    """The last two axes exchanged (of real tensors); a view.

    >>> gf.adjoint(gf.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    return checked_adjoint("adjoint", input)


def checked_adjoint(op: str, input: Tensor) -> Tensor:
    if op == "adjoint" and not input.array.ndim:
        return input.view(())
    if input.array.ndim < 2:
        raise ShapeError(f"{op}: only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.")
    return matrix_transposed(input)


def matrix_adjoint(input: Tensor) -> Tensor:
    """``x.mH``: the last two axes exchanged (of real tensors); a view.

    >>> gf.ones(5, 2, 3).mH.shape
    torch.Size([5, 3, 2])
    """
    return checked_adjoint("mH", input)


def hermitian(input: Tensor) -> Tensor:
    """``x.H``: a matrix transposed; a view.

    >>> gf.tensor([[1, 2], [3, 4]]).H
    tensor([[1, 3],
            [2, 4]])
    """
    if input.array.ndim not in (0, 2):
        raise ShapeError(
            f"H: tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor; use mH for batches of matrices"
        )
    return input if not input.array.ndim else matrix_transposed(input)


NO_METHODS = (lu, lu_unpack, vander, svd_lowrank, pca_lowrank)
