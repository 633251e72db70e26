"""What computes: eight functions over arrays, the same on every device.

``elementwise(program, inputs, out, accumulate)``, ``reduce(kind, program, inputs, axes, keepdims, out, accumulate, scale)``,
``rows(program, inputs, axis, out, accumulate, summed)``, ``dot(a, b, out, accumulate)``, ``gather``, ``scatter_add``, ``take_rows``, ``add_rows``;
and ``copy``, ``empty``, ``zeros``, ``expand`` (a view). Of LAPACK ``lu``, ``lu_permutation``, ``cholesky``, ``solve_triangular``, ``ldl``, ``ldl_solve``. The CPU's are in front: they hand arrays that are not NumPy's to the backend that owns them.
"""

from .cpu import (
    KINDS,
    add_rows,
    cholesky,
    copy,
    dot,
    elementwise,
    empty,
    expand,
    gather,
    irregular,
    kernel,
    ldl,
    ldl_solve,
    lu,
    lu_permutation,
    prepare,
    reduce,
    result_type,
    rows,
    scatter_add,
    set_default_float,
    solve_triangular,
    take_rows,
    zeros,
)
from .owners import register

__all__ = [
    "KINDS",
    "add_rows",
    "cholesky",
    "copy",
    "dot",
    "elementwise",
    "empty",
    "expand",
    "gather",
    "irregular",
    "kernel",
    "ldl",
    "ldl_solve",
    "lu",
    "lu_permutation",
    "prepare",
    "reduce",
    "register",
    "result_type",
    "rows",
    "scatter_add",
    "set_default_float",
    "solve_triangular",
    "take_rows",
    "zeros",
]
