"""Singular values and eigenvalues of (stacks of) matrices, with their derivatives."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..errors import ArgumentError, DTypeError, LinAlgError
from ..kinds import custom
from ..tensor import Tensor, recording, wrap
from .axes import flag
from .factorizations import matrices
from .hosted import hosted


class linalg_svd(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


class linalg_eigh(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class linalg_eig(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


def finite(op: str, a: Any) -> None:
    if not np.isfinite(a).all():
        raise LinAlgError(
            f"{op}: The algorithm failed to converge because the input matrix contained non-finite values; look for nan and inf in it"
        )


def converging(op: str, factorize: Any, a: Any, *args: Any) -> Any:
    """NumPy's factorization of finite matrices; its failure is ours."""
    finite(op, a)
    try:
        return factorize(a, *args)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{op}: The algorithm failed to converge because the input matrix is ill-conditioned; scale it, or use float64"
        ) from None


def multiply_last(x: Any, v: Any) -> Any:
    """Columns of ``x`` times the entries of ``v``."""
    return x * v.unsqueeze(-2)


# ---- singular values ---------------------------------------------------------------------------------------------------


def gaps(values: Any) -> Tensor:
    """``values[j] - values[i]``, 1 on the diagonal: what the derivative of vectors divides by."""
    n = values.array.shape[-1]
    return values.unsqueeze(-2) - values.unsqueeze(-1) + wrap(backends.beside(np.eye(n, dtype=values.array.dtype), values.array))


def svd_arrays(op: str, a: Any, full: bool) -> Any:
    return converging(op, np.linalg.svd, a, full)


@custom(outputs=3, grad_name="LinalgSvdBackward0")
def svd_of(a, full):
    out = tuple(svd_arrays("linalg.svd", a, full))
    return out, out


@svd_of.vjp
def svd_vjp(g, needs, u, s, vh, full):
    m, n, k = u.array.shape[-2], vh.array.shape[-1], s.array.shape[-1]
    u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
    gu, gs, gvh = g.get(0), g.get(1), g.get(2)
    if gu is None and gvh is None:
        return multiply_last(u, gs) @ vh
    inner: Any = gs.diag_embed() if gs is not None else None
    scale = gaps(s * s)
    rest: Any = None
    if gu is not None:
        gu = gu.narrow(-1, 0, k)
        turn = u.mT @ gu
        part = multiply_last((turn - turn.mT) / scale, s)
        inner = part if inner is None else inner + part
        if m > k:
            outside = gu - u @ turn
            rest = multiply_last(outside, 1 / s) @ vh
    if gvh is not None:
        gv, v = gvh.narrow(-2, 0, k).mT, vh.mT
        turn = vh @ gv
        part = s.unsqueeze(-1) * ((turn - turn.mT) / scale)
        inner = part if inner is None else inner + part
        if n > k:
            outside = gv - v @ turn
            part = multiply_last(u, 1 / s) @ outside.mT
            rest = part if rest is None else rest + part
    ga = u @ inner @ vh
    return ga if rest is None else ga + rest


@hosted
def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> linalg_svd:
    """``A = U @ diag(S) @ Vh``: orthonormal columns in U, singular values descending, orthonormal rows in Vh.

    The gradients of U and Vh need distinct singular values (and are defined only for what does not depend on the vectors' signs); with
    ``full_matrices`` those of the vectors beyond ``min(m, n)`` are ignored. nan or inf in ``A`` raise a ``LinAlgError``.

    >>> gf.linalg.svd(gf.tensor([[3.0, 0], [0, 4]])).S.tolist()
    [4.0, 3.0]
    """
    matrices("linalg.svd", A)
    no_driver("linalg.svd", driver)
    return linalg_svd(*svd_of(A, flag("linalg.svd", "full_matrices", full_matrices)))


def no_driver(op: str, driver: Any) -> None:
    if driver is not None:
        raise ArgumentError(f"{op}: keyword argument `driver=` is only supported on CUDA; got {driver!r}, leave it out")


def svdvals(A: Any, *, driver: str | None = None) -> Tensor:
    """The singular values, descending; their gradient is always defined.

    >>> gf.linalg.svdvals(gf.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    matrices("linalg.svdvals", A)
    no_driver("linalg.svdvals", driver)
    return singular_values("linalg.svdvals", A)


def singular_values(op: str, A: Tensor) -> Tensor:
    if recording(A):
        finite(op, A.array)
        return svd_of(A, False)[1]
    return wrap(converging(op, lambda a: np.linalg.svd(a, compute_uv=False), A.array))


# ---- eigenvalues -------------------------------------------------------------------------------------------------------


@custom(outputs=2, grad_name="LinalgEighBackward0")
def eigh_of(a, uplo):
    out = tuple(converging("linalg.eigh", np.linalg.eigh, a, uplo))
    return out, out


@eigh_of.vjp
def eigh_vjp(g, needs, w, v, uplo):
    gw, gv = g.get(0), g.get(1)
    if gv is None:
        return multiply_last(v, gw) @ v.mT
    turn = v.mT @ gv
    inner = (turn - turn.diagonal(0, -2, -1).diag_embed()) / gaps(w)  # vectors keep their length
    return v @ (inner if gw is None else inner + gw.diag_embed()) @ v.mT


def triangle_read(op: str, UPLO: Any) -> str:
    if not isinstance(UPLO, str):
        raise DTypeError(f"{op}: argument 'UPLO' must be str, not {type(UPLO).__name__}")
    if UPLO not in ("L", "U", "l", "u"):
        raise ArgumentError(f"{op}: Expected UPLO argument to be 'L' or 'U', but got {UPLO!r}")
    return UPLO.upper()


@hosted
def eigh(input: Any, UPLO: str = "L") -> linalg_eigh:
    """Eigenvalues, ascending, and orthonormal eigenvectors (in columns) of symmetric matrices, of which one triangle is read.

    The gradient of the vectors needs distinct eigenvalues, and is defined only for what does not depend on the vectors' signs.

    >>> gf.linalg.eigh(gf.tensor([[2.0, 0], [0, 1]])).eigenvalues.tolist()
    [1.0, 2.0]
    """
    matrices("linalg.eigh", input, square=True)
    return linalg_eigh(*eigh_of(input, triangle_read("linalg.eigh", UPLO)))


def eigvalsh(input: Any, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending; their gradient is always defined.

    >>> gf.linalg.eigvalsh(gf.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    matrices("linalg.eigvalsh", input, square=True)
    uplo = triangle_read("linalg.eigvalsh", UPLO)
    if recording(input):
        return eigh_of(input, uplo)[0]
    return wrap(converging("linalg.eigvalsh", np.linalg.eigvalsh, input.array, uplo))


def real(op: str, array: Any) -> Any:
    if array.dtype.kind == "c":
        raise DTypeError(f"{op}: the eigenvalues are complex, and there are no complex tensors; for symmetric matrices use linalg.eigh")
    return array


@custom(outputs=2, grad_name="LinalgEigBackward0")
def eig_of(a):
    w, v = converging("linalg.eig", np.linalg.eig, a)
    out = real("linalg.eig", w), v
    return out, out


@eig_of.vjp
def eig_vjp(g, needs, w, v):
    """The vectors have length 1, so what would change their length is taken out."""
    from .solving import solve_of

    gw, gv = g.get(0), g.get(1)
    if gv is None:
        inner = gw.diag_embed()
    else:
        turn = v.mT @ gv
        inner = (turn - multiply_last(v.mT @ v, turn.diagonal(0, -2, -1))) / gaps(w)
        if gw is not None:
            inner = inner + gw.diag_embed()
    return solve_of(v.mT, inner @ v.mT)[0]


@hosted
def eig(input: Any) -> linalg_eig:
    """Real eigenvalues, in no particular order, and eigenvectors of length 1 (in columns); a complex spectrum is refused.

    The gradient of the vectors needs distinct eigenvalues.

    >>> gf.linalg.eig(gf.tensor([[2.0, 0.0], [0.0, 3.0]])).eigenvalues
    tensor([2., 3.])
    """
    matrices("linalg.eig", input, square=True)
    return linalg_eig(*eig_of(input))


def eigvals(input: Any) -> Tensor:
    """The eigenvalues, if they are real, in no particular order; a complex spectrum is refused.

    >>> gf.linalg.eigvals(gf.tensor([[2.0, 1.0], [0.0, 3.0]]))
    tensor([2., 3.])
    """
    matrices("linalg.eigvals", input, square=True)
    if recording(input):
        return eig_of(input)[0]
    return wrap(real("linalg.eigvals", converging("linalg.eigvals", np.linalg.eigvals, input.array)))
