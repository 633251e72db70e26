"""Values by index. Indices may be on the host.

What is read by an index that is out of range is reported when the device is next waited for. What is added is sorted by destination first, on the
host: no atomics, the same bits every time.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from ...errors import AxisError, DTypeError, OutOfRangeError, ShapeError
from ...scalar import cuda_moves as text
from ...scalar.types import INT32, INT64
from .. import cpu, owners
from . import array
from .array import CODES, DeviceArray, assign, on_host, same_device, upload
from .elementwise import check_out
from .folds import kernel_of
from .launch import BLOCKS, Launch, c_steps, int64, layout, merged, overlaps, steps, walk_of

numbers = count(1)
ASKED = 10_000  # calls of which is known where they were


class Errors:
    """Where kernels of a device say that an index is out of range."""

    def __init__(self, device: int):
        self.memory = array.allocate(24, device)
        array.driver.clear(self.memory.pointer, 24, device)
        array.driver.synchronize(device)  # for kernels on every stream
        self.news = False  # was a kernel launched since somebody looked?
        self.asked: dict[int, tuple[int, str, int, Any]] = {}  # of the last calls: the id, the operation, its axis, and where it was called

    def ask(self, op: str, axis: int) -> int:
        """The id of a call, which its kernel leaves if an index is out of range."""
        number = next(numbers)
        self.asked[number % ASKED] = number, op, axis, owners.caller(4)
        self.news = True
        return number


errors: dict[tuple[int, int], Errors] = {}


def check(device: int, everything: bool = False) -> None:
    """Raise if an index of a kernel that is done was out of range. ``everything``: kernels of all streams are done, also those asked for long ago."""
    found = errors.get((id(array.driver), device))
    if found is None or not (found.news or everything):
        return
    found.news = False
    host = np.zeros(3, np.int64)
    array.driver.to_host(host.ctypes.data, found.memory.pointer, 24, device)
    if host[0]:
        array.driver.clear(found.memory.pointer, 24, device)
        number, op, axis, place = found.asked[int(host[0]) % ASKED]
        if number != host[0]:
            op, axis, place = "an operation long ago", 0, None
        raise OutOfRangeError(
            f"{op}: index {host[1]} is out of bounds for axis {axis} with size {host[2]}; asked for in {owners.words(place)}, noticed now that the "
            "device was waited for"
        )


array.check = check


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
    sizes, strides = merged(op, shape, [*operands, c_steps(shape) if out is None else steps(out, shape)])
    walk = walk_of(max(result.size, table.size), (sizes, strides))
    key = id(array.driver), device
    held = errors.get(key) or errors.setdefault(key, Errors(device))
    number = held.ask(op, axis)
    step = table.strides[axis] // table.itemsize
    rest = [layout(walk, sizes, strides), *int64(step, table.shape[axis], result.size, number)]
    kernel = kernel_of(text.take, table.itemsize, CODES[index.dtype], walk)
    blocks = min(-(-result.size // text.ELEMENTWISE_THREADS), BLOCKS)
    launch = Launch(kernel, device, "PPPP", rest, (blocks, 1), (min(text.ELEMENTWISE_THREADS, result.size), 1))
    launch.move(3, 3 + len(rest))
    launch(table.pointer, index.pointer, result.pointer, held.memory.pointer)
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


def scan(kind: int, x: DeviceArray, axis: int) -> Any:
    return upload(cpu.scan(kind, on_host(x), axis), x.memory.device)


def added(op: str, out: DeviceArray, axis: int, index: np.ndarray, src: DeviceArray, at: int) -> None:
    """``out``, along ``axis``, at ``index`` (on the host, one dimension) gets what ``src`` has along its dimension ``at``; both have the same others."""
    size = out.shape[axis]
    if index.size and (index.min() < 0 or index.max() >= size):
        wrong = index[(index < 0) | (index >= size)][0]
        raise OutOfRangeError(f"{op}: index {wrong} is out of bounds for axis {axis} with size {size}")
    if not src.size:
        return
    order = np.argsort(index, kind="stable")
    sorted_ = index[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_[1:] != sorted_[:-1]]))
    device = out.memory.device
    # one array, so that one copy goes over
    plan = upload(np.concatenate([order, starts, [index.size], sorted_[starts]]).astype(np.int64), device)
    others = [[s // a.itemsize for d, s in enumerate(a.strides) if d != k] for a, k in ((out, axis), (src, at))]
    shape = [n for d, n in enumerate(out.shape) if d != axis]
    sizes, strides = merged(op, shape, others)
    columns = 1
    for n in shape:
        columns *= n
    walk = walk_of(max(out.size, src.size), (sizes, strides))
    kernel = kernel_of(text.add_segments, CODES[out.dtype], walk)
    rest = [layout(walk, sizes, strides), *int64(out.strides[axis] // out.itemsize, src.strides[at] // src.itemsize, starts.size, columns)]
    blocks = min(-(-starts.size * columns // text.ELEMENTWISE_THREADS), BLOCKS)
    launch = Launch(kernel, device, "PPPPP", rest, (blocks, 1), (min(text.ELEMENTWISE_THREADS, starts.size * columns), 1))
    first = plan.pointer
    launch(out.pointer, src.pointer, first, first + 8 * order.size, first + 8 * (order.size + starts.size + 1))


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
    host = on_host(index)
    table = out if out.ndim else out.reshape(1)
    axis = axis_of("scatter_add", axis, table.ndim)
    if not host.ndim and src.ndim == 0:
        host, src = host.reshape((1,) * table.ndim), src.reshape((1,) * table.ndim)
    fits = host.ndim == src.ndim == table.ndim and all(
        n <= m and (d == axis or n <= k) for d, (n, m, k) in enumerate(zip(host.shape, src.shape, table.shape))
    )
    if not fits:
        raise ShapeError(
            f"scatter_add: the shapes do not fit: the table is {list(out.shape)}, index is {list(host.shape)}, the source is {list(src.shape)}; all "
            "need as many dimensions, and index is nowhere longer than the source, nor than the table but along the axis"
        )
    if host.size and (host.min() < 0 or host.max() >= table.shape[axis]):
        wrong = host[(host < 0) | (host >= table.shape[axis])][0]
        raise OutOfRangeError(f"scatter_add: index {wrong} is out of bounds for axis {axis} with size {table.shape[axis]}")
    where = sum(
        step * (host if d == axis else np.arange(n).reshape([-1 if k == d else 1 for k in range(host.ndim)]))
        for d, (n, step) in enumerate(zip(host.shape, c_steps(table.shape), strict=True))
    )
    part = src[tuple(slice(0, n) for n in host.shape)]
    dense = table if table.flags.c_contiguous else table.copy()
    added("scatter_add", dense.reshape(-1), 0, np.broadcast_to(where, host.shape).reshape(-1), part.reshape(-1), 0)
    if dense is not table:
        assign(table, dense)
    return out


def add_rows(out: Any, axis: int, index: Any, src: Any) -> Any:
    """out[..., index, ...] += src"""
    src = checked("add_rows", out, src)
    host = on_host(index)
    table = out if out.ndim else out.reshape(1)
    axis = axis_of("add_rows", axis, table.ndim)
    shape = (*table.shape[:axis], *host.shape, *table.shape[axis + 1 :])
    if src.shape != shape:
        raise ShapeError(
            f"add_rows: the shapes do not fit: the table is {list(out.shape)}, index is {list(host.shape)}, the source is {list(src.shape)}; the "
            "source needs the index's shape in place of the axis"
        )
    rows = src.reshape((*table.shape[:axis], host.size, *table.shape[axis + 1 :]))
    added("add_rows", table, axis, host.reshape(-1), rows, axis)
    return out
