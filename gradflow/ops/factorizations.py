"""Factorizations of (stacks of) matrices by triangles: LU, Cholesky and QR, with their derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError, GradError, LinAlgError, ShapeError
from ..kinds import custom
from ..tensor import Tensor, wrap
from .axes import flag
from .gathering import gather_at
from .hosted import hosted
from .joining import cat


class linalg_lu(NamedTuple):
    P: Tensor
    L: Tensor
    U: Tensor


class linalg_lu_factor(NamedTuple):
    LU: Tensor
    pivots: Tensor


class linalg_lu_factor_ex(NamedTuple):
    LU: Tensor
    pivots: Tensor
    info: Tensor


class linalg_cholesky_ex(NamedTuple):
    L: Tensor
    info: Tensor


class linalg_qr(NamedTuple):
    Q: Tensor
    R: Tensor


# ---- what every function checks ----------------------------------------------------------------------------------------


def matrices(op: str, x: Any, name: str = "A", square: bool = False, narrow: bool = False) -> None:
    """``x`` must be matrices of float32 or float64 (of any float type if ``narrow``)."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    floats(op, x, narrow)
    if x.array.ndim < 2:
        raise ShapeError(f"{op}: The input tensor {name} must have at least 2 dimensions; its shape is {tuple(x.array.shape)}")
    m, n = x.array.shape[-2:]
    if square and m != n:
        raise ShapeError(f"{op}: {name} must be batches of square matrices, but they are {m} by {n} matrices")


def floats(op: str, x: Tensor, narrow: bool = False) -> None:
    if x.array.dtype.kind not in "fV":
        raise DTypeError(f"{op}: Expected a floating point tensor as input. Got {x.dtype}; convert with .float()")
    if x.array.itemsize == 2 and not narrow:
        raise DTypeError(f"{op}: Low precision dtypes not supported. Got {x.dtype}; convert with .float()")


def batch_element(info: Any) -> tuple[str, int]:
    """Where a stack of matrices failed first, in torch's words, and with what number."""
    flat = info.reshape(-1)
    k = int(flat.nonzero()[0][0])
    return (f" (Batch element {k})" if info.ndim else ""), int(flat[k])


def take_rows(x: Tensor, order: Any) -> Tensor:
    """Rows of each matrix in the order given for it."""
    index = np.broadcast_to(order[..., None], (*order.shape, x.array.shape[-1]))
    return gather_at(x, x.array.ndim - 2, backends.dense(index))


# ---- LU ----------------------------------------------------------------------------------------------------------------


def lu_arrays(a: Any) -> tuple[Any, Any, Any]:
    """(L below and U above the diagonal of one matrix, pivots, info) of ``a = P L U``."""
    work = a.swapaxes(-1, -2).copy(order="C")
    pivots, info = backends.lu(work)
    return work.swapaxes(-1, -2), pivots, info


@custom(outputs=3, grad_name="LinalgLuFactorExBackward0")
def lu_of(a):
    lu, pivots, info = lu_arrays(a)
    return (lu, pivots, info), (lu, pivots)


@lu_of.vjp
def lu_vjp(g, needs, lu, pivots):
    """With ``a = P L U``: what U and L get, solved by the other; the longer of the two carries its rest along."""
    from .solving import triangular_of

    m, n = lu.array.shape[-2:]
    k = min(m, n)
    lower, upper = unit_lower(lu, k), lu.narrow(-2, 0, k).triu()
    gl, gu = g[0].narrow(-1, 0, k).tril(-1), g[0].narrow(-2, 0, k).triu()
    if m <= n:
        square = upper.narrow(-1, 0, k)
        phi = (lower.mT @ gl - gu @ upper.mT).tril(-1)
        first = gu.narrow(-1, 0, k) + triangular_of(square.mT, phi, False, False, False)
        both = cat([first, gu.narrow(-1, k, n - k)], -1) if n > k else first
        ga = triangular_of(lower.mT, both, True, True, True)
    else:
        phi = (gu @ upper.mT - lower.mT @ gl).triu()
        first = gl.narrow(-2, 0, k) + triangular_of(lower.narrow(-2, 0, k).mT, phi, True, True, True)
        ga = triangular_of(upper.mT, cat([first, gl.narrow(-2, k, m - k)], -2), False, False, False)
    return take_rows(ga, np.argsort(backends.lu_permutation(pivots.array, m), -1))


def unit_lower(lu: Any, k: int) -> Tensor:
    lower = lu.narrow(-1, 0, k).tril(-1)
    return lower + wrap(backends.beside(np.eye(*lower.array.shape[-2:], dtype=lower.array.dtype), lower.array))


def pivoting(op: str, pivot: bool) -> None:
    if not flag(op, "pivot", pivot):
        raise ArgumentError(f"{op}: LU without pivoting is not implemented on the CPU; pivot must be True")


@hosted
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> linalg_lu_factor_ex:
    """:func:`lu_factor` and ``info``: the number of the first zero on the diagonal of U, or 0.

    >>> LU, pivots, info = gf.linalg.lu_factor_ex(gf.zeros(2, 2))
    >>> info
    tensor(1, dtype=torch.int32)
    """
    return lu_checked("linalg.lu_factor_ex", A, pivot, flag("linalg.lu_factor_ex", "check_errors", check_errors))


def lu_checked(op: str, A: Any, pivot: bool, check: bool) -> linalg_lu_factor_ex:
    matrices(op, A)
    pivoting(op, pivot)
    lu, pivots, info = lu_of(A)
    if check and info.array.any():
        where, k = batch_element(info.array)
        raise LinAlgError(
            f"{op}:{where} U[{k},{k}] is zero and using it on lu_solve would result in a division by zero; to have the factors anyway, use linalg.lu or linalg.lu_factor_ex"
        )
    return linalg_lu_factor_ex(lu, pivots, info)


@hosted
def lu_factor(A: Any, *, pivot: bool = True) -> linalg_lu_factor:
    """``A = P L U`` packed in one matrix, and the exchanges of rows as pivots (int32, from 1), for :func:`lu_solve`.

    A zero on the diagonal of U raises a ``LinAlgError``.

    >>> LU, pivots = gf.linalg.lu_factor(gf.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> LU, pivots
    (tensor([[4.0000, 4.0000],
            [0.2500, 1.0000]]), tensor([2, 2], dtype=torch.int32))
    """
    return linalg_lu_factor(*lu_checked("linalg.lu_factor", A, pivot, True)[:2])


@hosted
def lu(A: Any, *, pivot: bool = True) -> linalg_lu:
    """``A = P @ L @ U``: a permutation, a lower triangle with ones on its diagonal, an upper triangle.

    >>> P, L, U = gf.linalg.lu(gf.tensor([[0.0, 2], [1, 3]]))
    >>> (P @ L @ U).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    matrices("linalg.lu", A)
    pivoting("linalg.lu", pivot)
    packed, pivots, _ = lu_of(A)
    k = min(A.array.shape[-2:])
    return linalg_lu(permutation(pivots.array, A), unit_lower(packed, k), packed.narrow(-2, 0, k).triu())


def permutation(pivots: Any, like: Tensor) -> Tensor:
    """The matrix P of the pivots."""
    rows = like.array.shape[-2]
    order = backends.lu_permutation(pivots, rows)
    return wrap((np.arange(rows)[:, None] == order[..., None, :]).astype(like.array.dtype))


# ---- Cholesky ----------------------------------------------------------------------------------------------------------


@custom(outputs=2, grad_name="LinalgCholeskyExBackward0")
def cholesky_of(a):
    work = a.copy(order="C")
    info = backends.cholesky(work)
    lower = np.tril(work)
    return (lower, info), (lower,)


@cholesky_of.vjp
def cholesky_vjp(g, needs, lower):
    from .solving import triangular_of

    n = lower.array.shape[-1]
    phi = (lower.mT @ g[0]).tril() * wrap(1 - np.eye(n, dtype=lower.array.dtype) / 2)
    s = triangular_of(lower, triangular_of(lower.mT, phi, True, False, True), False, False, False)
    return (s + s.mT) / 2


@hosted
def cholesky_ex(input: Any, *, upper: bool = False, check_errors: bool = False) -> linalg_cholesky_ex:
    """:func:`cholesky` and ``info``: the order of the first leading minor that is not positive, or 0.

    >>> L, info = gf.linalg.cholesky_ex(gf.tensor([[4.0, 0.0], [0.0, -1.0]]))
    >>> info
    tensor(2, dtype=torch.int32)
    """
    return cholesky_checked("linalg.cholesky_ex", input, upper, flag("linalg.cholesky_ex", "check_errors", check_errors))


def cholesky_checked(op: str, A: Any, upper: bool, check: bool) -> linalg_cholesky_ex:
    matrices(op, A, square=True)
    upper = flag(op, "upper", upper)
    factor, info = cholesky_of(A.mT if upper else A)
    if check and info.array.any():
        where, k = batch_element(info.array)
        raise LinAlgError(
            f"{op}:{where} The factorization could not be completed because the input is not positive-definite (the leading minor of order {k} is not positive-definite)"
        )
    return linalg_cholesky_ex(factor.mT if upper else factor, info)


@hosted
def cholesky(input: Any, *, upper: bool = False) -> Tensor:
    """The lower triangle ``L`` of ``input = L @ L.mT`` (``upper``: its transpose); the other triangle of ``input`` is not read.

    Raises a ``LinAlgError`` where ``input`` is not positive-definite. The gradient is symmetric.

    >>> gf.linalg.cholesky(gf.tensor([[4.0, 2], [2, 5]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    return cholesky_checked("linalg.cholesky", input, upper, True).L


# ---- QR ----------------------------------------------------------------------------------------------------------------


@custom(outputs=2, grad_name="LinalgQrBackward0")
def qr_of(a, mode):
    out: Any = (np.empty(0, a.dtype), np.linalg.qr(a, "r")) if mode == "r" else tuple(np.linalg.qr(a, mode))
    return out, out


@qr_of.vjp
def qr_vjp(g, needs, q, r, mode):
    """Of the first columns, as many as there are rows; what stands to the right of them is Q times that of R."""
    if mode == "r":
        raise GradError("linalg.qr: The derivative depends on Q, which is not computed when mode='r'; use mode='reduced'")
    m, n, k = q.array.shape[-2], r.array.shape[-1], q.array.shape[-1]
    if k > n:
        raise GradError(f"linalg.qr: mode='complete' is not differentiable for more rows than columns ({m} by {n}); use mode='reduced'")
    gq, gr = g.get(0), g.get(1)
    if n == k:
        return tall_qr(gq, gr, q, r)
    left, right = r.narrow(-1, 0, k), r.narrow(-1, k, n - k)
    if gr is None:
        return cat([tall_qr(gq, None, q, left), (q @ right) * 0], -1)
    beside = gr.narrow(-1, k, n - k)
    from_right = q @ (right @ beside.mT)
    return cat([tall_qr(from_right if gq is None else gq + from_right, gr.narrow(-1, 0, k), q, left), q @ beside], -1)


def tall_qr(gq: Any, gr: Any, q: Any, r: Any) -> Tensor:
    """``(gq + Q S) R^-T``, where S is the lower triangle of ``R gr.T - gq.T Q``, mirrored."""
    from .solving import triangular_of

    parts = ([r @ gr.mT] if gr is not None else []) + ([-(gq.mT @ q)] if gq is not None else [])
    full = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    s = q @ (full.tril() + full.tril(-1).mT)
    return triangular_of(r.mT, s if gq is None else gq + s, False, False, False)


@hosted
def qr(A: Any, mode: str = "reduced") -> linalg_qr:
    """``A = Q @ R`` with orthonormal columns in Q and R upper triangular.

    ``mode`` is "reduced", "complete" (Q is square) or "r" (Q is empty, no gradient). The gradient needs the first ``min(m, n)`` columns of
    ``A`` to be independent; "complete" has none for more rows than columns.

    >>> Q, R = gf.linalg.qr(gf.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> gf.allclose(Q @ R, gf.tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-6)
    True
    """
    matrices("linalg.qr", A)
    if not isinstance(mode, str):
        raise DTypeError(f"linalg.qr: argument 'mode' must be str, not {type(mode).__name__}")
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"linalg.qr: unrecognized mode {mode!r}; expected one of 'reduced' (default), 'r', or 'complete'")
    return linalg_qr(*qr_of(A, mode))
