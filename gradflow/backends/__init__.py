"""What computes: eight functions over arrays, the same on every device.

``elementwise(program, inputs, out, accumulate)``, ``reduce(kind, program, inputs, axes, keepdims, out, accumulate, scale)``,
``rows(program, inputs, axis, out, accumulate, summed)``, ``dot(a, b, out, accumulate)``, ``gather``, ``scatter_add``, ``take_rows``, ``add_rows``;
and ``copy``, ``empty``, ``zeros``, ``expand`` (a view). The CPU's are in front: they hand arrays that are not NumPy's to the backend that owns them.
"""

from .cpu import (
    KINDS,
    add_rows,
    copy,
    dot,
    elementwise,
    empty,
    expand,
    gather,
    irregular,
    kernel,
    prepare,
    reduce,
    result_type,
    rows,
    scatter_add,
    set_default_float,
    take_rows,
    zeros,
)

__all__ = [
    "KINDS",
    "add_rows",
    "copy",
    "dot",
    "elementwise",
    "empty",
    "expand",
    "gather",
    "irregular",
    "kernel",
    "prepare",
    "reduce",
    "result_type",
    "rows",
    "scatter_add",
    "set_default_float",
    "take_rows",
    "zeros",
]
