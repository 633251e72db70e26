"""Solving with matrices: triangles, linear equations, inverses, determinants, least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends.batched import asarray
from ..errors import ArgumentError, DTypeError, LinAlgError, ShapeError
from ..kinds import custom
from ..tensor import Tensor, wrap
from .axes import flag
from .factorizations import batch_element, lu_arrays, matrices, take_rows
from .hosted import hosted
from .spectra import converging, svd_arrays


class linalg_solve_ex(NamedTuple):
    result: Tensor
    info: Tensor


class linalg_inv_ex(NamedTuple):
    inverse: Tensor
    info: Tensor


class linalg_lstsq(NamedTuple):
    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# ---- triangles ---------------------------------------------------------------------------------------------------------


def dense(a: Any) -> Any:
    """Matrices whose rows or columns have adjacent elements, as BLAS wants them."""
    n, item = a.shape[-1], a.itemsize
    line, step = a.strides[-2:]
    fits = (step == item and line >= n * item) or (line == item and step >= n * item)
    return a if n <= 1 or (fits and line % item == 0 == step % item) else backends.dense(a)


@custom(inputs=2, grad_name="LinalgSolveTriangularBackward0")
def triangular_of(a, b, upper, unit, left):
    """Solves a x = b, or x a = b; the leading axes are equal."""
    x = b.copy(order="C")
    backends.solve_triangular(dense(a), x, upper, False, unit, left)
    return x, (a, x)


@triangular_of.vjp
def triangular_vjp(g, needs, a, x, upper, unit, left):
    gb = triangular_of(a.mT, g, not upper, unit, left)
    if not needs[0]:
        return None, gb
    full = -(gb @ x.mT) if left else -(x.mT @ gb)
    return full.triu(int(unit)) if upper else full.tril(-int(unit)), gb


def same_type(op: str, A: Tensor, B: Any) -> None:
    if not isinstance(B, Tensor):
        raise DTypeError(f"{op}: argument 'B' must be Tensor, not {type(B).__name__}")
    if A.array.dtype != B.array.dtype:
        raise DTypeError(f"{op}: Expected A and B to have the same dtype, but found A of type {A.dtype} and B of type {B.dtype} instead")


def broadcast(op: str, A: Any, B: Any, left: bool = True, names: str = "AX = B") -> tuple[Any, Any]:
    """A and B with equal leading axes, if they fit together."""
    a, b = A.array.shape, B.array.shape
    if a[-1] != b[-2 if left else -1]:
        raise ShapeError(
            f"{op}: Incompatible shapes of A and B for the equation {names if left else 'XA = B'} ({a[-2]}x{a[-1]} and {b[-2]}x{b[-1]})"
        )
    if a[:-2] == b[:-2]:
        return A, B
    try:
        batch = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ShapeError(f"{op}: the leading axes of A and B do not broadcast; A is {tuple(a)}, B is {tuple(b)}") from None
    return A.expand((*batch, *a[-2:])), B.expand((*batch, *b[-2:]))


@hosted
def solve_triangular(input: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """``X`` of ``input @ X = B`` (``X @ input = B`` unless ``left``), where only one triangle of ``input`` is read, its diagonal as ones if ``unitriangular``.

    Leading axes broadcast. A zero on the diagonal gives inf or nan.

    >>> gf.linalg.solve_triangular(gf.tensor([[2.0, 0], [1, 1]]), gf.tensor([[4.0], [3]]), upper=False).tolist()
    [[2.0], [1.0]]
    """
    op = "linalg.solve_triangular"
    matrices(op, input, square=True)
    same_type(op, input, B)
    matrices(op, B, "B")
    left = flag(op, "left", left)
    return triangular_of(*broadcast(op, input, B, left), flag(op, "upper", upper), flag(op, "unitriangular", unitriangular), left)


# ---- linear equations --------------------------------------------------------------------------------------------------


def lu_solved(lu: Any, pivots: Any, b: Any) -> Any:
    order = backends.lu_permutation(pivots, lu.shape[-1])
    x = backends.dense(np.take_along_axis(b, order[..., None], -2))
    backends.solve_triangular(lu, x, False, False, True, True)
    return backends.solve_triangular(lu, x, True, False, False, True)


@custom(inputs=2, outputs=2, grad_name="LinalgSolveExBackward0")
def solve_of(a, b):
    lu, pivots, info = lu_arrays(a)
    x = lu_solved(lu, pivots, b)
    return (x, info), (a, x)


@solve_of.vjp
def solve_vjp(g, needs, a, x):
    gb = solve_of(a.mT, g[0])[0]
    return (-(gb @ x.mT) if needs[0] else None), gb


@hosted
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> linalg_solve_ex:
    """:func:`solve` and ``info``: not 0 where ``A`` is singular, instead of an error.

    >>> X, info = gf.linalg.solve_ex(gf.tensor([[2.0, 0.0], [0.0, 4.0]]), gf.tensor([2.0, 8.0]))
    >>> X, info
    (tensor([1., 2.]), tensor(0, dtype=torch.int32))
    """
    return solve_checked("linalg.solve_ex", A, B, left, flag("linalg.solve_ex", "check_errors", check_errors))


def solve_checked(op: str, A: Any, B: Any, left: bool, check: bool) -> linalg_solve_ex:
    matrices(op, A, square=True)
    same_type(op, A, B)
    left = flag(op, "left", left)
    a, b = A.array.shape, B.array.shape
    vector = len(b) == 1 or (len(a) - 1 == len(b) and a[:-1] == b)
    if vector:
        B = B.unsqueeze(-1)
    matrices(op, B, "B")
    A, B = broadcast(op, A, B, left)
    x, info = solve_of(A, B) if left else solve_of(A.mT, B.mT)
    x = x if left else x.mT
    if check and info.array.any():
        raise LinAlgError(f"{op}:{batch_element(info.array)[0]} The solver failed because the input matrix is singular; try linalg.lstsq")
    return linalg_solve_ex(x.squeeze(-1) if vector else x, info)


def solve(A: Any, B: Any, *, left: bool = True) -> Tensor:
    """``X`` of ``A @ X = B`` (``X @ A = B`` unless ``left``); leading axes broadcast.

    ``B`` holds matrices, or vectors if it has one axis or the shape of ``A`` without its last. A singular ``A`` raises a ``LinAlgError``.

    >>> gf.linalg.solve(gf.tensor([[2.0, 0], [0, 4]]), gf.tensor([2.0, 2])).tolist()
    [1.0, 0.5]
    """
    return solve_checked("linalg.solve", A, B, left, True).result


@custom(outputs=2, grad_name="LinalgInvExBackward0")
def inverse_of(a):
    lu, pivots, info = lu_arrays(a)
    y = lu_solved(lu, pivots, np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape))
    return (y, info), (y,)


@inverse_of.vjp
def inverse_vjp(g, needs, y):
    return -(y.mT @ g[0] @ y.mT)


@hosted
def inv_ex(A: Any, *, check_errors: bool = False) -> linalg_inv_ex:
    """:func:`inv` and ``info``: not 0 where ``A`` is singular, instead of an error.

    >>> inverse, info = gf.linalg.inv_ex(gf.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> inverse, info
    (tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]]), tensor(0, dtype=torch.int32))
    """
    return inv_checked("linalg.inv_ex", A, flag("linalg.inv_ex", "check_errors", check_errors))


def inv_checked(op: str, A: Any, check: bool) -> linalg_inv_ex:
    matrices(op, A, square=True)
    y, info = inverse_of(A)
    if check and info.array.any():
        where, k = batch_element(info.array)
        raise LinAlgError(
            f"{op}:{where} The diagonal element {k} is zero, the inversion could not be completed because the input matrix is singular; try linalg.pinv"
        )
    return linalg_inv_ex(y, info)


@hosted
def inv(A: Any) -> Tensor:
    """The inverse of square matrices; a singular one raises a ``LinAlgError``. To solve equations, :func:`solve` is faster and more exact.

    >>> gf.linalg.inv(gf.tensor([[2.0, 0], [0, 4]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return inv_checked("linalg.inv", A, True).inverse


@hosted
def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """``X`` of ``A @ X = B`` (``X @ A = B`` unless ``left``; with ``A.mT`` if ``adjoint``) from the :func:`lu_factor` of A.

    >>> LU, pivots = gf.linalg.lu_factor(gf.tensor([[2.0, 0.0], [0.0, 4.0]]))
    >>> gf.linalg.lu_solve(LU, pivots, gf.tensor([[2.0], [8.0]]))
    tensor([[1.],
            [2.]])
    """
    op = "linalg.lu_solve"
    matrices(op, LU, "LU", square=True)
    int32_pivots(op, LU, pivots)
    same_type(op, LU, B)
    matrices(op, B, "B")
    left, adjoint = flag(op, "left", left), flag(op, "adjoint", adjoint)
    lu, b = broadcast(op, LU, B, left)
    steps = np.broadcast_to(pivots.array, lu.array.shape[:-1])
    if not left:
        return lu_solve_of(lu, steps, b.mT, not adjoint).mT
    return lu_solve_of(lu, steps, b, adjoint)


def lu_solve_of(lu: Any, pivots: Any, b: Tensor, adjoint: bool) -> Tensor:
    order = backends.lu_permutation(pivots, lu.array.shape[-1])
    if adjoint:
        y = triangular_of(lu.mT, b, False, False, True)
        return take_rows(triangular_of(lu.mT, y, True, True, True), np.argsort(order, -1))
    return triangular_of(lu, triangular_of(lu, take_rows(b, order), False, True, True), True, False, True)


def int32_pivots(op: str, LU: Tensor, pivots: Any) -> None:
    if not isinstance(pivots, Tensor) or pivots.array.dtype != np.int32:
        kind = pivots.dtype if isinstance(pivots, Tensor) else type(pivots).__name__
        raise DTypeError(f"{op}: pivots should be a Tensor of scalar type torch.int32, not {kind}; pass what lu_factor returns")
    a, p = LU.array.shape, pivots.array
    if p.shape != (*a[:-2], min(a[-2:])):
        raise ShapeError(f"{op}: the pivots, {tuple(p.shape)}, do not fit LU, {tuple(a)}; need {(*a[:-2], min(a[-2:]))}")
    if ((p < 1) | (p > a[-2])).any():
        raise ArgumentError(f"{op}: pivots must be between 1 and LU.size(-2), {a[-2]}, inclusive; pass what lu_factor returns")


# ---- determinants ------------------------------------------------------------------------------------------------------


# ---- least squares -----------------------------------------------------------------------------------------------------


def number_or_tensor(op: str, name: str, value: Any) -> Any:
    """A tolerance, with an axis for the singular values if it is one for each matrix."""
    if isinstance(value, Tensor):
        return value.array[..., None]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DTypeError(f"{op}: argument '{name}' must be float or Tensor, not {type(value).__name__}")
    return value


def threshold(op: str, s: Any, shape: tuple, atol: Any, rtol: Any) -> Any:
    """Singular values of matrices of ``shape`` up to this are zero: ``max(atol, rtol * largest)``."""
    if rtol is None:
        default = max(shape[-2:]) * float(np.finfo(s.dtype).eps)
        absolute = 0.0 if atol is None else number_or_tensor(op, "atol", atol)
        relative: Any = np.where(asarray(absolute) > 0, 0.0, default)
    else:
        absolute, relative = number_or_tensor(op, "atol", 0.0 if atol is None else atol), number_or_tensor(op, "rtol", rtol)
    return np.maximum(absolute, relative * s.max(-1, keepdims=True, initial=0)).astype(s.dtype)


@custom(grad_name="LinalgPinvBackward0")
def pinv_of(a, op, atol, rtol, hermitian):
    if hermitian:
        w, v = converging(op, np.linalg.eigh, a)
        size, left, right = np.abs(w), v, v.swapaxes(-1, -2)
    else:
        left, w, right = svd_arrays(op, a, False)
        size = w
    with np.errstate(divide="ignore"):
        inverse = np.where(size > threshold(op, size, a.shape, atol, rtol), 1 / w, 0).astype(a.dtype)
    out = backends.dot(right.swapaxes(-1, -2) * inverse[..., None, :], left.swapaxes(-1, -2))
    return out, (a, out)


@pinv_of.vjp
def pinv_vjp(g, needs, a, y, op, atol, rtol, hermitian):
    return pinv_adjoint(g, a, y)


def pinv_adjoint(g: Any, a: Any, y: Any) -> Any:
    """The adjoint of ``dY = -Y dA Y + Y Y' dA' (I - A Y) + (I - Y A) dA' Y' Y``, which holds where the rank stays."""
    yt, gt = y.mT, g.mT
    gyy, yyg = (gt @ y) @ yt, yt @ (y @ gt)
    return gyy - a @ (y @ gyy) + yyg - (yyg @ y) @ a - yt @ g @ yt


def pinv(input: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The Moore-Penrose inverse, from the singular values above ``max(atol, rtol * the largest)``.

    ``rtol`` (or ``rcond``) is ``max(m, n) * eps`` unless ``atol`` is given. Tolerances may be tensors, one for each matrix. ``hermitian`` says that
    ``input`` is symmetric. The gradient supposes that the rank stays as it is.

    >>> gf.linalg.pinv(gf.tensor([[2.0, 0], [0, 0]])).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    return pinv_checked("linalg.pinv", input, atol, rcond if rtol is None else rtol, hermitian)


def pinv_checked(op: str, A: Any, atol: Any, rtol: Any, hermitian: bool) -> Tensor:
    hermitian = flag(op, "hermitian", hermitian)
    matrices(op, A, square=hermitian)
    return pinv_of(A, op, atol, rtol, hermitian)


@custom(inputs=2, outputs=3, grad_name="LinalgLstsqBackward0")
def lstsq_of(a, b, rcond):
    u, s, vh = svd_arrays("linalg.lstsq", a, False)
    kept = s > threshold("linalg.lstsq", s, a.shape, None, rcond)
    with np.errstate(divide="ignore"):
        inverse = np.where(kept, 1 / s, 0).astype(a.dtype)
    x = backends.dot(vh.swapaxes(-1, -2), inverse[..., None] * backends.dot(u.swapaxes(-1, -2), b))
    return (x, asarray(kept.sum(-1)), s), (a, b)


@lstsq_of.vjp
def lstsq_vjp(g, needs, a, b, rcond):
    if 0 not in g:
        return None, None
    y = pinv_of(a, "linalg.lstsq", None, rcond, False)
    return (pinv_adjoint(g[0] @ b.mT, a, y) if needs[0] else None), (y.mT @ g[0] if needs[1] else None)


@hosted
def lstsq(input: Any, b: Any, rcond: float | None = None, *, driver: str | None = None) -> linalg_lstsq:
    """``X`` with the least ``|input @ X - b|``, and of these the shortest: (solution, residuals, rank, singular_values).

    Singular values up to ``rcond`` (``max(m, n) * eps``) times the largest are taken as zero. ``driver`` is "gels", "gelsy" (default), "gelsd" or
    "gelss"; it says only which results are filled: the sums of squared residuals (not for "gelsy"; only for more rows than columns and full
    rank), the rank (not for "gels"), the singular values ("gelsd" and "gelss"). The gradient supposes that the rank stays as it is.

    >>> gf.linalg.lstsq(gf.tensor([[1.0], [1]]), gf.tensor([[1.0], [3]])).solution
    tensor([[2.0000]])
    """
    op = "linalg.lstsq"
    matrices(op, input)
    same_type(op, input, b)
    if not isinstance(driver, str | None):
        raise DTypeError(f"{op}: argument 'driver' must be str, not {type(driver).__name__}")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ArgumentError(f"{op}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), not {driver!r}")
    m, n = input.array.shape[-2:]
    if not 0 <= input.array.ndim - b.array.ndim <= 1:
        raise ShapeError(f"{op}: input.dim() must be b.dim() or one more; they are {input.array.ndim} and {b.array.ndim}")
    vector = b.array.ndim == input.array.ndim - 1
    matrix = b.unsqueeze(-1) if vector else b
    matrices(op, matrix, "b")
    if matrix.array.shape[-2] != m:
        raise ShapeError(f"{op}: input.size(-2) should match b.size(-2); input is {tuple(input.array.shape)}, b is {tuple(b.array.shape)}")
    lhs, rhs = broadcast(op, input.mT, matrix.mT, False)
    lhs, rhs = lhs.mT, rhs.mT
    x, rank, s = lstsq_of(lhs, rhs, None if rcond is None else number_or_tensor(op, "rcond", rcond))
    residuals = x.flatten().narrow(0, 0, 0)  # none, and part of the graph as in torch
    if driver in ("gels", "gelsd", "gelss") and m > n and (rank.array == n).all():
        residuals = (lhs @ x - rhs).square().sum(-2)
    return linalg_lstsq(
        x.squeeze(-1) if vector else x,
        residuals,
        wrap(backends.beside(np.empty(0, np.int64), input.array)) if driver == "gels" else rank,
        s.detach() if driver in ("gelsd", "gelss") else wrap(backends.beside(np.empty(0, input.array.dtype), input.array)),
    )
