"""The CPU backend: the C++ extension's kernels, and programs prepared for them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from ..errors import DTypeError
from ..scalar.loops import digest
from ..scalar.program import Program, Typed, looked_up, trace
from .encode import encode, flags


def load() -> Any:
    """The extension, its BLAS on one thread: OpenBLAS starts threads of its own when it is loaded, and there is one pool here already."""
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        return importlib.import_module("gradflow._ext")
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before


_ext = load()

Direct = _ext.Direct
elementwise = _ext.elementwise
reduce = _ext.reduce
rows = _ext.rows
dot = _ext.dot
gather = _ext.gather
scatter = _ext.scatter
scatter_add = _ext.scatter_add
scatter_fold = _ext.scatter_fold
take_rows = _ext.take_rows
add_rows = _ext.add_rows
fold_rows = _ext.fold_rows
add_rows_of = _ext.add_rows_of
put_rows = _ext.put_rows
put_where = _ext.put_where
pool_max = _ext.pool_max
pool_mean = _ext.pool_mean
pool_spread = _ext.pool_spread
by_channel = _ext.by_channel
join = _ext.join
strided = _ext.strided
clear_triangle = _ext.clear_triangle
scan = _ext.scan
top = _ext.top
mode = _ext.mode
shuffle = _ext.shuffle
lu = _ext.lu
lu_permutation = _ext.lu_permutation
cholesky = _ext.cholesky
solve_triangular = _ext.solve_triangular
ldl = _ext.ldl
ldl_solve = _ext.ldl_solve
copy = _ext.copy
empty = _ext.empty
zeros = _ext.zeros
irregular = _ext.irregular
expand = _ext.expand
sizes = _ext.sizes
outside = _ext.outside
places = _ext.places
result_type = _ext.result_type
TapeNode = _ext.TapeNode
set_tape = _ext.set_tape
set_watcher = _ext.set_watcher
TensorBase = _ext.TensorBase
set_inference = _ext.set_inference
set_tensor = _ext.set_tensor
wrap = _ext.wrap
wrap_view = _ext.wrap_view
get_item, set_item = _ext.get_item, _ext.set_item
linked = _ext.linked
note = _ext.note
unrecorded = _ext.unrecorded
update = _ext.update
KINDS: dict[str, int] = _ext.kinds

default_float = 8


def set_default_float(code: int) -> None:
    """The type that Python floats and integer operands of floating-point functions get."""
    global default_float
    default_float = code
    _ext.set_default_dtype(code)


def prepare(program: Program) -> Any:
    """The extension's handle of a program: typed and encoded for each combination of input types when it is first seen."""

    def typer(dtypes: tuple[int, ...], common: int) -> tuple:
        try:
            typed = whole.typed(dtypes, common, default_float)
            return (*encode(typed, _ext.opcodes), compiled(typed))
        except TypeError as error:  # an operation that is not defined for the type; torch calls it a RuntimeError
            raise DTypeError(str(error)) from None

    whole = looked_up(program)
    raw = sum(1 << i for i in program.raw)
    return _ext.Program(typer, program.inputs, len(program.outputs), raw, flags(program), program)


def compiled(typed: Typed) -> int:
    """Which of the extension's compiled programs this is; -1 if none."""
    return _ext.compiled.get(digest(typed), -1) if len(typed.code) > 2 else -1


def kernel(
    formula: Callable | None = None,
    *,
    outputs: int | None = None,
    raw: tuple[str, ...] = (),
    row_inputs: tuple[str, ...] = (),
    name: str | None = None,
) -> Any:
    """A formula as a kernel for :func:`elementwise`: fused, any number of outputs, not differentiable. Its errors say ``name``.

    >>> import numpy as np
    >>> axpy = kernel(lambda a, x, y: a * x + y)
    >>> elementwise(axpy, (2.0, np.ones(3, np.float32), np.zeros(3, np.float32)))
    array([2., 2., 2.], dtype=float32)
    """
    if formula is None:
        return lambda f: kernel(f, outputs=outputs, raw=raw, row_inputs=row_inputs, name=name)
    return prepare(trace(formula, outputs=outputs, raw=raw, row_inputs=row_inputs, name=name))
