"""Values by index. Indices may be on the host.

What is read by an index that is out of range is reported when the device is next waited for. What is added is sorted by destination first: no
atomics, the same bits every time. With ``gradflow.backends.cuda.array.deterministic_scatter = False`` it is added by atomics, which is faster and
rounds differently from run to run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import AxisError, DTypeError, OutOfRangeError, ShapeError
from ...scalar import cuda_moves as text
from ...scalar.types import INT32, INT64
from . import array
from .array import CODES, DTYPES, DeviceArray, assign, same_device, upload
from .elementwise import PLANS, check_out
from .folds import kernel_of, product
from .launch import BLOCKS, Launch, c_steps, int64, layout, merged, overlaps, steps, walk_of
from .reports import errors_of

launches: dict[Any, Launch] = {}


def launched(key: Any, make: Any) -> Launch:
    """The launch for a call of this kind, made when it is first seen."""
    found = launches.get(key)
    if found is None:
        if len(launches) >= PLANS:
            launches.clear()
        found = launches[key] = make()
    return found


def over(n: int, kernel: Any, device: int, head: str, rest: list[bytes]) -> Launch:
    """A launch of a thread for each of ``n`` elements."""
    blocks = min(-(-n // text.ELEMENTWISE_THREADS), BLOCKS)
    return Launch(kernel, device, head, rest, (blocks, 1), (min(text.ELEMENTWISE_THREADS, n), 1))


def indices(op: str, index: Any, device: int) -> DeviceArray:
    if index.dtype not in CODES or CODES[index.dtype] not in (INT32, INT64):
        raise DTypeError(f"{op}: index must be int64 or int32, got {index.dtype}; convert it")
    return index if isinstance(index, DeviceArray) else upload(index, device)


def axis_of(op: str, axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise AxisError(f"{op}: axis {axis} is out of range for {ndim} dimensions; use {-ndim} to {ndim - 1}")
    return axis % ndim


def taken(
    op: str, table: DeviceArray, index: DeviceArray, axis: int, out: Any, shape: tuple[int, ...], operands: list[list[int]]
) -> DeviceArray:
    """``operands``: the steps of table and index in ``shape``."""
    device = table.memory.device
    if out is not None:
        check_out(op, out, shape)
        if out.dtype != table.dtype or overlaps(table, out) or overlaps(index, out) or out is table:
            assign(out, taken(op, table, index, axis, None, shape, operands))
            return out
    result = array.empty(shape, table.dtype, device) if out is None else out
    if not result.size:
        return result
    step, of_out = table.strides[axis] // table.itemsize, c_steps(shape) if out is None else steps(out, shape)
    key = "take", device, table.itemsize, index.dtype, shape, *map(tuple, (*operands, of_out)), step, table.shape[axis], table.size >> 31

    def make() -> Launch:
        sizes, strides = merged(op, shape, [*operands, of_out])
        walk = walk_of(max(result.size, table.size), (sizes, strides))
        rest = [layout(walk, sizes, strides), *int64(step, table.shape[axis], result.size)]
        return over(result.size, kernel_of(text.take, table.itemsize, CODES[index.dtype], walk), device, "PPPPq", rest)

    launched(key, make)(table.pointer, index.pointer, result.pointer, *errors_of(device).ask(op, axis))
    return result


def gather(x: Any, axis: int, index: Any, out: Any = None) -> Any:
    """out[i][j] = x[index[i][j]][j] for axis 0"""
    if not isinstance(x, DeviceArray):
        array.refuse_host("gather")
    index = indices("gather", index, x.memory.device)
    same_device("gather", [x, index, *([out] if out is not None else [])])
    table = x if x.ndim else x.reshape(1)
    axis = axis_of("gather", axis, table.ndim)
    shape = index.shape
    wide = index if index.ndim == table.ndim else index.reshape((1,) * table.ndim)
    if wide.ndim != table.ndim or any(n > m for d, (n, m) in enumerate(zip(wide.shape, table.shape)) if d != axis):
        raise ShapeError(
            f"gather: the shapes do not fit: the table is {list(x.shape)}, index is {list(index.shape)}; index needs as many dimensions, and is "
            "nowhere longer but along the axis"
        )
    if not index.ndim:
        return taken("gather", table, wide, axis, out, shape, [[], []])
    of_table = [0 if d == axis else s // table.itemsize for d, s in enumerate(table.strides)]
    return taken("gather", table, wide, axis, out, shape, [of_table, steps(wide, shape)])


def take_rows(x: Any, axis: int, index: Any, out: Any = None) -> Any:
    """``x.take(index, axis)``"""
    if not isinstance(x, DeviceArray):
        array.refuse_host("take_rows")
    index = indices("take_rows", index, x.memory.device)
    same_device("take_rows", [x, index, *([out] if out is not None else [])])
    table = x if x.ndim else x.reshape(1)
    axis = axis_of("take_rows", axis, table.ndim)
    shape = (*table.shape[:axis], *index.shape, *table.shape[axis + 1 :])
    own = [s // table.itemsize for s in table.strides]
    of_table = [*own[:axis], *[0] * index.ndim, *own[axis + 1 :]]
    of_index = [*[0] * axis, *(s // index.itemsize for s in index.strides), *[0] * (table.ndim - axis - 1)]
    return taken("take_rows", table, index, axis, out, shape, [of_table, of_index])


def order_of(index: DeviceArray) -> DeviceArray:
    """The places of an index's elements in order, equals as they came."""
    order = array.empty(index.shape, DTYPES[INT64], index.memory.device)
    array.driver.argsort(order.pointer, index.pointer, CODES[index.dtype], 1, index.size, index.memory.device)
    return order


def added(
    op: str, out: DeviceArray, axis: int, index: DeviceArray, src: DeviceArray, at: int, reported: bool = False, distinct: bool = False
) -> None:
    """``out``, along ``axis``, at ``index`` (contiguous, one dimension) gets what ``src`` has along its dimension ``at``; both have the same others.

    ``reported``: what was out of range is -1 in the index, and has been told. ``distinct``: no place is named twice.
    """
    others = [tuple(s // a.itemsize for d, s in enumerate(a.strides) if d != k) for a, k in ((out, axis), (src, at))]
    shape = tuple(n for d, n in enumerate(out.shape) if d != axis)
    row_to_row = out.strides[axis] // out.itemsize, src.strides[at] // src.itemsize
    add_at(op, out, index, shape, others, row_to_row, src, out.shape[axis], axis, reported, distinct=distinct)


def add_at(
    op: str,
    out: DeviceArray,
    index: DeviceArray,
    shape: tuple[int, ...],
    others: list[tuple[int, ...]],
    row_to_row: tuple[int, int],
    src: DeviceArray,
    length: int,
    axis: int,
    reported: bool,
    fold: str = "add",
    distinct: bool = False,
) -> None:
    """The rows of ``src`` are added to those of ``out`` that ``index`` names; ``others`` are the strides of both in ``shape``, the columns'."""
    if not src.size:
        return
    device, dtype = out.memory.device, CODES[out.dtype]
    sorts = (array.deterministic_scatter and not distinct) or dtype not in text.ATOMIC or fold != "add"
    wide = max(out.size, src.size) >> 31
    key = fold, sorts, device, dtype, index.dtype, shape, *others, *row_to_row, length, index.size, wide

    def make() -> Launch:
        sizes, strides = merged(op, shape, others)
        walk = walk_of(max(out.size, src.size), (sizes, strides))
        columns = product(shape)
        rest = [layout(walk, sizes, strides), *int64(*row_to_row, length, index.size, columns)]
        types = dtype, CODES[index.dtype], walk
        kernel = kernel_of(text.fold_segments, fold, *types) if sorts else kernel_of(text.add_atomically, *types)
        return over(index.size * columns, kernel, device, "PPPPPq" if sorts else "PPPPq", rest)

    launch = launched(key, make)
    order = order_of(index) if sorts else None
    error, number = errors_of(device).ask(op, axis)
    between = () if order is None else (order.pointer,)
    launch(out.pointer, src.pointer, *between, index.pointer, error, 0 if reported else number)


def on_device_checked(op: str, index: Any, size: int, axis: int, device: int) -> DeviceArray:
    """The index on the device; one of the host's is checked at once."""
    if isinstance(index, np.ndarray) and index.size and (index.min() < 0 or index.max() >= size):
        wrong = index[(index < 0) | (index >= size)].flat[0]
        raise OutOfRangeError(f"{op}: index {wrong} is out of bounds for axis {axis} with size {size}")
    return indices(op, index, device)


def checked(op: str, out: Any, src: Any) -> DeviceArray:
    if not isinstance(out, DeviceArray) or not isinstance(src, DeviceArray):
        array.refuse_host(op)
    same_device(op, [out, src])
    check_out(op, out, out.shape)
    if out.dtype != src.dtype:
        raise DTypeError(f"{op}: dtypes differ: out is {out.dtype}, the source is {src.dtype}; convert one of them")
    return src.copy() if src is out or src.memory is out.memory else src


def scatter_add(out: Any, axis: int, index: Any, src: Any) -> Any:
    """out[index[i][j]][j] += src[i][j] for axis 0"""
    src = checked("scatter_add", out, src)
    table = out if out.ndim else out.reshape(1)
    axis = axis_of("scatter_add", axis, table.ndim)
    if not index.ndim and src.ndim == 0:
        index, src = index.reshape((1,) * table.ndim), src.reshape((1,) * table.ndim)
    fits = index.ndim == src.ndim == table.ndim and all(
        n <= m and (d == axis or n <= k) for d, (n, m, k) in enumerate(zip(index.shape, src.shape, table.shape))
    )
    if not fits:
        raise ShapeError(
            f"scatter_add: the shapes do not fit: the table is {list(out.shape)}, index is {list(index.shape)}, the source is {list(src.shape)}; all "
            "need as many dimensions, and index is nowhere longer than the source, nor than the table but along the axis"
        )
    device = out.memory.device
    index = on_device_checked("scatter_add", index, table.shape[axis], axis, device)
    if not index.size:
        return out
    dense = table if table.flags.c_contiguous else table.copy()
    part = src[tuple(slice(0, n) for n in index.shape)]
    where = places_of("scatter_add", index, axis, dense.shape)
    added("scatter_add", dense.reshape(-1), 0, where, part.reshape(-1), 0, reported=True, distinct=index.shape[axis] == 1)
    if dense is not table:
        assign(table, dense)
    return out


def places_of(op: str, index: DeviceArray, axis: int, shape: tuple[int, ...]) -> DeviceArray:
    """Where the elements of an index along an axis lie in a contiguous table of ``shape``, which they do not leave otherwise."""
    device, table = index.memory.device, c_steps(shape)
    where = array.empty((index.size,), DTYPES[INT64], device)
    operands = [[0 if d == axis else s for d, s in enumerate(table)], [s // index.itemsize for s in index.strides]]
    key = "places", device, index.dtype, index.shape, shape, axis, tuple(operands[1])

    def make() -> Launch:
        sizes, strides = merged(op, index.shape, operands)
        walk = walk_of(max(index.size, product(shape)), (sizes, strides))
        rest = [layout(walk, sizes, strides), *int64(table[axis], shape[axis], index.size)]
        return over(index.size, kernel_of(text.places, CODES[index.dtype], walk), device, "PPPq", rest)

    launched(key, make)(index.pointer, where.pointer, *errors_of(device).ask(op, axis))
    return where


def add_rows(out: Any, axis: int, index: Any, src: Any) -> Any:
    """out[..., index, ...] += src"""
    src = checked("add_rows", out, src)
    table = out if out.ndim else out.reshape(1)
    axis = axis_of("add_rows", axis, table.ndim)
    shape = (*table.shape[:axis], *index.shape, *table.shape[axis + 1 :])
    if src.shape != shape:
        raise ShapeError(
            f"add_rows: the shapes do not fit: the table is {list(out.shape)}, index is {list(index.shape)}, the source is {list(src.shape)}; the "
            "source needs the index's shape in place of the axis"
        )
    index = on_device_checked("add_rows", index, table.shape[axis], axis, out.memory.device)
    rows = src.reshape((*table.shape[:axis], index.size, *table.shape[axis + 1 :]))
    flat = index if index.ndim == 1 and index.flags.c_contiguous else index.dense().reshape(-1)
    added("add_rows", table, axis, flat, rows, axis)
    return out
