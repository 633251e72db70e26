"""Linear algebra, as ``torch.linalg``: stacks of matrices in the last two axes, float32 and float64, with derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .errors import LinAlgError
from .kinds.out import into
from .ops.determinants import det, slogdet
from .ops.factorizations import cholesky, cholesky_ex, lu, lu_factor, lu_factor_ex, qr
from .ops.matrix_functions import (
    cond,
    cross,
    diagonal,
    matrix_exp,
    matrix_norm,
    matrix_power,
    matrix_rank,
    multi_dot,
    norm,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
    vector_norm,
)
from .ops.older_linalg import householder_product
from .ops.solving import inv, inv_ex, lstsq, lu_solve, pinv, solve, solve_ex, solve_triangular
from .ops.spectra import eig, eigh, eigvals, eigvalsh, svd, svdvals
from .ops.symmetric import ldl_factor, ldl_factor_ex, ldl_solve

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]


def with_out(function: Callable) -> Callable:
    """The function, with ``out=``: a tensor, or a tuple of them for several results."""

    @wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if out is None else into(f"linalg.{function.__name__}", out, function, args, kwargs)

    return call


# Torch gives these no ``out=``.
globals().update({name: with_out(globals()[name]) for name in __all__ if name not in ("LinAlgError", "diagonal", "matrix_exp", "vander")})
