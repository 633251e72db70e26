"""Matrix products by cuBLAS."""

from __future__ import annotations

from itertools import product as every
from typing import Any

from numpy import broadcast_shapes

from ...errors import DTypeError, ShapeError
from ...scalar import trace
from ...scalar.types import FLOAT16, NAMES
from ..cpu import KINDS, prepare
from . import array
from .array import CODES, DeviceArray, refuse_host, same_device
from .elementwise import check_out, elementwise
from .folds import reduce
from .launch import merged, overlaps

multiply = prepare(trace(lambda x, y: x * y, name="mul"))
identity = prepare(trace(lambda x: x, name="identity"))


def dot(a: Any, b: Any, out: Any = None, accumulate: int = 0) -> Any:
    """``a @ b`` with leading batch dimensions broadcast; one dimension is a vector. Into ``out``, or added to it."""
    for x in (a, b, *([out] if out is not None else [])):
        if not isinstance(x, DeviceArray):
            refuse_host("dot")
    device = same_device("dot", [a, b, *([out] if out is not None else [])])
    code = CODES[a.dtype]
    if b.dtype != a.dtype:
        raise DTypeError(f"dot: expected operands of one dtype, got {NAMES[code]} and {NAMES[CODES[b.dtype]]}; convert one with .to(dtype)")
    if not a.ndim or not b.ndim:
        raise ShapeError("dot: both arguments to matmul need to be at least 1D")
    wide_a, wide_b = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    m, k, n = wide_a.shape[-2], wide_a.shape[-1], wide_b.shape[-1]
    if wide_b.shape[-2] != k:
        raise ShapeError(f"dot: the shapes do not fit; a is {list(a.shape)}, b is {list(b.shape)}; a's last size must be b's last but one")
    batch = broadcast_shapes(wide_a.shape[:-2], wide_b.shape[:-2])
    shape = batch + ((m,) if a.ndim > 1 else ()) + ((n,) if b.ndim > 1 else ())
    if out is not None:
        check_out("dot", out, shape)
    if out is not None and (overlaps(a, out) or overlaps(b, out) or out is a or out is b or out.dtype != a.dtype):
        return elementwise(identity, (dot(a, b),), out, accumulate)
    result = array.empty(shape, a.dtype, device) if out is None else out
    accumulate = int(bool(accumulate) and out is not None)
    if not result.size or not k:
        if not accumulate:
            result.fill(0)
        return result
    c = result
    if a.ndim == 1:
        c = c.view_of(c.ghost[(..., None)] if b.ndim == 1 else c.ghost[..., None, :])
        c = c if b.ndim > 1 else c.view_of(c.ghost[..., None])
    elif b.ndim == 1:
        c = c.view_of(c.ghost[..., None])
    if code < FLOAT16:
        by_folds(wide_a, wide_b, c, accumulate)
        return result
    if usable(c):
        gemm(code, wide_a, wide_b, c, batch, accumulate, device)
    else:
        temporary = array.empty((*batch, m, n), a.dtype, device)
        gemm(code, wide_a, wide_b, temporary, batch, 0, device)
        elementwise(identity, (temporary,), c, accumulate)
    return result


def by_folds(a: DeviceArray, b: DeviceArray, c: DeviceArray, accumulate: int) -> None:
    """Integers, which cuBLAS does not multiply: a sum over the broadcast product."""
    left = a.view_of(a.ghost[..., None])
    right = b.view_of(b.ghost[..., None, :, :])
    reduce(KINDS["sum"], multiply, (left, right), (max(left.ndim, right.ndim) - 2,), False, c, accumulate)


def usable(x: DeviceArray) -> Any:
    """(whether the matrices lie by columns, their leading dimension) if BLAS can read them where they are, else False."""
    (rows, columns), (down, across) = x.shape[-2:], (s // x.itemsize for s in x.strides[-2:])
    if (across == 1 or columns == 1) and (down >= columns or rows == 1):
        return False, max(down if rows > 1 else columns, columns, 1)
    if (down == 1 or rows == 1) and (across >= rows or columns == 1):
        return True, max(across if columns > 1 else rows, rows, 1)
    return False


def gemm(code: int, a: DeviceArray, b: DeviceArray, c: DeviceArray, batch: tuple[int, ...], accumulate: int, device: int) -> None:
    """BLAS works by columns, where our matrices are their transposes: c.T = b.T @ a.T."""
    a, b = (x if usable(x) else x.copy() for x in (a, b))
    by_columns, ldc = usable(c)
    if by_columns:  # the transpose lies by rows
        gemm(code, b.swapaxes(-1, -2), a.swapaxes(-1, -2), c.swapaxes(-1, -2), batch, accumulate, device)
        return
    (m, k), n = a.shape[-2:], b.shape[-1]
    (a_turned, lda), (b_turned, ldb) = usable(a), usable(b)
    operands = [
        [0] * (len(batch) - x.ndim + 2)
        + [
            0 if size == 1 and want != 1 else s // x.itemsize
            for s, size, want in zip(x.strides, x.shape[:-2], batch[len(batch) - x.ndim + 2 :])
        ]
        for x in (a, b, c)
    ]
    sizes, strides = merged("dot", batch, operands)
    count = sizes[-1] if sizes else 1
    inner = [s[-1] if sizes else 0 for s in strides]
    for where in every(*(range(size) for size in sizes[:-1])):
        at = [x.pointer + x.itemsize * sum(i * s for i, s in zip(where, st)) for x, st in zip((a, b, c), strides, strict=True)]
        array.driver.gemm(
            code,
            (n, m, k),
            (at[1], b_turned, ldb, inner[1]),
            (at[0], a_turned, lda, inner[0]),
            accumulate,
            (at[2], ldc, inner[2]),
            count,
            device,
        )
