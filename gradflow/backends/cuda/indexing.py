"""``a[key]`` with arrays and masks among the key, on the device: what is read, written and added there.

Of a mask only the number of its elements comes to the host. Where several values are written to one place the last one stays, as NumPy has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, OutOfRangeError, ShapeError
from ...scalar import cuda_places as text
from ...scalar import primitives as s
from ...scalar.types import BOOL, INT64
from ..cpu import kernel
from . import array, moves
from .array import CODES, DTYPES, DeviceArray, same_device, upload
from .elementwise import elementwise
from .folds import kernel_of, product
from .launch import STRIDED64, c_steps, int64, layout, merged, overlaps, place, steps, walk_of
from .products import identity
from .reports import errors_of
from .scans import scan

RUNNING_SUM = 0
where_of = kernel(lambda c, x, y: s.where(c, x, y))
quotient = kernel(lambda i, n: i // n)
rest = kernel(lambda i, n: i % n)


def is_mask(k: Any) -> bool:
    return k.dtype.kind == "b"


def true_places(mask: DeviceArray) -> DeviceArray:
    """The places, in C order, of the elements that hold."""
    device, flat = mask.memory.device, (mask if mask.flags.c_contiguous else mask.copy()).reshape(-1)
    if not flat.size:
        return array.empty((0,), DTYPES[INT64], device)
    sums = scan(RUNNING_SUM, flat.astype(DTYPES[INT64]), 0)
    found = array.empty((int(sums[-1:].item()),), DTYPES[INT64], device)
    if found.size:
        launch = moves.launched(("compact", device, flat.size), lambda: moves.over(flat.size, kernel_of(text.compact), device, "PPPq", []))
        launch(flat.pointer, sums.pointer, found.pointer, flat.size)
    return found


def nonzero(mask: DeviceArray) -> tuple[DeviceArray, ...]:
    """An index for each axis."""
    left, found = true_places(mask), []
    for n in mask.shape[:0:-1]:
        found.append(elementwise(rest, (left, n)))
        left = elementwise(quotient, (left, n))
    return (left, *reversed(found))


class Places:
    """Where a key with arrays leads: ``view`` is what slices and ``None`` leave of the array, ``axes`` are those of it that ``indices``, broadcast to
    ``shape``, pick from; ``full`` is the result's shape, in which ``shape`` begins at ``at``. ``distinct``: no element is named twice."""

    def __init__(self, a: DeviceArray, key: tuple):
        masks = [k for k in key if isinstance(k, DeviceArray | np.ndarray) and is_mask(k)]
        arrays = sum(isinstance(k, DeviceArray | np.ndarray) for k in key)
        self.distinct = len(masks) == arrays == 1
        spelled = spell(a, key)
        self.view = a[tuple(slice(None) if isinstance(k, DeviceArray) else k for k in spelled)]
        dims = [k for k in spelled if not isinstance(k, int)]
        self.axes = [d for d, k in enumerate(dims) if isinstance(k, DeviceArray)]
        indices = [k for k in dims if isinstance(k, DeviceArray)]
        try:
            self.shape = np.broadcast_shapes(*(i.shape for i in indices))
        except ValueError:
            text_ = ", ".join(str(i.shape) for i in indices)
            raise OutOfRangeError(f"index: shape mismatch: indexing tensors could not be broadcast together with shapes {text_}") from None
        self.indices = indices
        together = self.axes == list(range(self.axes[0], self.axes[-1] + 1))
        self.at = self.axes[0] if together else 0
        self.others = [d for d in range(self.view.ndim) if d not in self.axes]
        sizes = [self.view.shape[d] for d in self.others]
        self.full = (*sizes[: self.at], *self.shape, *sizes[self.at :])
        self.steps = [self.view.strides[d] // a.itemsize for d in self.axes]
        self.lengths = [self.view.shape[d] for d in self.axes]

    def among(self, own: Sequence[int]) -> list[int]:
        """Strides of the other axes, in the result's dimensions."""
        return [*own[: self.at], *[0] * len(self.shape), *own[self.at :]]

    def of_index(self, index: DeviceArray) -> list[int]:
        after = len(self.others) - self.at
        return [*[0] * self.at, *steps(index, self.shape), *[0] * after]

    def ask(self, op: str) -> tuple[int, int]:
        """Numbers one after the other, by which the axis is known."""
        errors = errors_of(self.view.memory.device)
        asked = [errors.ask(op, axis) for axis in self.axes]
        return asked[0]

    def rows(self, value: DeviceArray) -> tuple[DeviceArray, int, list[int]]:
        """The value in the result's shape as one row for each index: (the array, the step from row to row, strides of the columns)."""
        wide = value.view_of(np.broadcast_to(value.ghost, self.full))
        n = len(self.shape)
        turned = wide.transpose([*range(self.at, self.at + n), *range(self.at), *range(self.at + n, wide.ndim)])
        sizes, (own,) = merged("index", self.shape, [[x // wide.itemsize for x in turned.strides[:n]]])
        if len(sizes) > 1:
            turned = turned.copy()
            own = [product(turned.shape[n:])]
        return turned, own[0] if own else 0, [x // wide.itemsize for x in turned.strides[n:]]

    def places(self, op: str) -> DeviceArray:
        """How far each row is from the beginning of the view, in elements."""
        device, n = self.view.memory.device, product(self.shape)
        found = array.empty((n,), DTYPES[INT64], device)
        operands = [steps(i, self.shape) for i in self.indices]
        key = "locate", device, self.shape, *map(tuple, operands), *self.steps, *self.lengths

        def make() -> moves.Launch:
            sizes, strides = merged(op, self.shape, operands)
            walk, count = walk_of(n, (sizes, strides)), len(operands)
            last = [layout(walk, sizes, strides), place(STRIDED64, self.steps), place(STRIDED64, self.lengths), *int64(n)]
            return moves.over(n, kernel_of(text.locate, count, walk), device, "P" * count + "PPq", last)

        moves.launched(key, make)(*(i.pointer for i in self.indices), found.pointer, *self.ask(op))
        return found


def spell(a: DeviceArray, key: tuple) -> list[Any]:
    """The key with an entry for each axis (and ``None``); arrays as int64 on the device, masks as their places."""
    device = a.memory.device
    parts: list[Any] = []
    for k in key:
        if isinstance(k, list):
            k = np.asarray(k) if k else np.zeros(0, np.int64)
        if isinstance(k, np.ndarray) and k.dtype.kind == "b" and k.ndim:
            parts += [i.astype(np.int64) for i in np.nonzero(k)]
        elif isinstance(k, DeviceArray) and is_mask(k) and k.ndim:
            parts += nonzero(k)
        elif isinstance(k, int | np.integer) and not isinstance(k, bool | np.bool_):
            parts.append(np.asarray(k, np.int64))  # beside arrays, a number is one
        else:
            parts.append(k)
    used = sum(k is not None and k is not Ellipsis for k in parts)
    dots = next((i for i, k in enumerate(parts) if k is Ellipsis), len(parts))
    parts[dots : dots + 1] = [slice(None)] * (a.ndim - used)
    if used > a.ndim:
        raise OutOfRangeError(f"index: too many indices for an array of {a.ndim} dimensions; {used} given")
    axis = 0
    for i, k in enumerate(parts):
        if isinstance(k, np.ndarray | DeviceArray):
            parts[i] = on_axis(k, axis, a.shape[axis], device)
        axis += k is not None
    same_device("index", [a, *(k for k in parts if isinstance(k, DeviceArray))])
    return parts


def on_axis(k: Any, axis: int, n: int, device: int) -> DeviceArray:
    """An index as int64 on the device; one of the host's is checked."""
    if k.dtype.kind not in "iu":
        raise DTypeError(f"index: arrays used as indices must be of integers or truth values, not {k.dtype}")
    if isinstance(k, DeviceArray):
        return k.astype(DTYPES[INT64], copy=False)
    if k.size and (k.min() < -n or k.max() >= n):
        bad = k[(k < -n) | (k >= n)].flat[0]
        raise OutOfRangeError(f"index: index {bad} is out of bounds for dimension {axis} with size {n}")
    return upload(k.astype(np.int64), device)


def get(a: DeviceArray, key: tuple) -> DeviceArray:
    p = Places(a, key)
    device, count = a.memory.device, len(p.indices)
    result = array.empty(p.full, a.dtype, device)
    if not result.size:
        return result
    own = [p.view.strides[d] // a.itemsize for d in p.others]
    operands = [*(p.of_index(i) for i in p.indices), p.among(own), c_steps(p.full)]
    launch_key = "pick", device, a.itemsize, p.full, *map(tuple, operands), *p.steps, *p.lengths, a.size >> 31

    def make() -> moves.Launch:
        sizes, strides = merged("index", p.full, operands)
        walk = walk_of(max(result.size, a.size), (sizes, strides))
        last = [layout(walk, sizes, strides), place(STRIDED64, p.steps), place(STRIDED64, p.lengths), *int64(result.size)]
        return moves.over(result.size, kernel_of(text.pick, a.itemsize, count, walk), device, "P" * (count + 2) + "Pq", last)

    moves.launched(launch_key, make)(p.view.pointer, *(i.pointer for i in p.indices), result.pointer, *p.ask("index"))
    return result


def like_mask(a: DeviceArray, key: tuple) -> DeviceArray | None:
    """The one mask of a key that begins with it, on the device and broadcast over the axes after it."""
    if len(key) != 1 or not isinstance(key[0], DeviceArray | np.ndarray) or not is_mask(key[0]) or not key[0].ndim:
        return None
    mask = key[0] if isinstance(key[0], DeviceArray) else upload(key[0], a.memory.device)
    if mask.shape != a.shape[: mask.ndim]:
        return None
    return mask.reshape((*mask.shape, *[1] * (a.ndim - mask.ndim)))


def forwards(change: Any) -> Any:
    """A change of an array whose axes may run backwards in memory, where a place would be a negative number."""

    def call(a: DeviceArray, key: tuple, value: Any, *how: Any) -> None:
        dense = a if min(a.strides, default=0) >= 0 else a.copy()
        change(dense, key, value, *how)
        if dense is not a:
            array.assign(a, dense)

    return call


@forwards
def put(a: DeviceArray, key: tuple, value: Any) -> None:
    """``a[key] = value``"""
    if not a.flags.writeable:
        raise ValueError("assignment destination is read-only")
    mask = like_mask(a, key)
    if mask is not None and np.ndim(value) == 0:  # nobody needs to know how many
        value = value if isinstance(value, DeviceArray) else np.asarray(value).item()
        elementwise(where_of, (mask, value.astype(a.dtype, copy=False) if isinstance(value, DeviceArray) else value, a), a)
        return
    p = Places(a, key)
    value = placed(p, value)
    if not product(p.full):
        return
    turned, row, columns = p.rows(value)
    put_at("index", p.view, p.places("index"), [p.view.shape[d] for d in p.others], p.others, turned, row, columns, p.distinct)


def placed(p: Places, value: Any) -> DeviceArray:
    """A value for these places."""
    like = p.view
    if not isinstance(value, DeviceArray):
        value = upload(np.asarray(value).astype(like.dtype), like.memory.device)
    same_device("index", [like, value])
    while value.ndim > len(p.full) and value.shape[0] == 1:
        value = value[0]
    if value.ndim > len(p.full) or any(n not in (1, m) for n, m in zip(value.shape[::-1], p.full[::-1])):
        raise ShapeError(f"index: shape mismatch: a value of shape {list(value.shape)} cannot be broadcast to {list(p.full)}")
    return value.copy() if overlaps(value, like) or value.memory is like.memory else value.astype(like.dtype, copy=False)


def put_at(
    op: str,
    out: DeviceArray,
    places: DeviceArray,
    shape: Sequence[int],
    axes: Sequence[int],
    source: DeviceArray,
    row: int,
    columns: Sequence[int],
    distinct: bool,
) -> None:
    """The rows of ``source`` go to ``places`` of ``out``; columns, of ``shape``, lie along its ``axes``."""
    device = out.memory.device
    operands = [[out.strides[d] // out.itemsize for d in axes], list(columns)]
    key = "put", device, out.itemsize, tuple(shape), *map(tuple, operands), row, places.size, max(out.size, source.size) >> 31

    def make() -> moves.Launch:
        sizes, strides = merged(op, shape, operands)
        walk, count = walk_of(max(out.size, source.size), (sizes, strides)), product(shape)
        last = [layout(walk, sizes, strides), *int64(row, places.size, count)]
        return moves.over(places.size * count, kernel_of(text.put, out.itemsize, walk), device, "PPPP", last)

    order = None if distinct or (not row and places.size) else moves.order_of(places)
    moves.launched(key, make)(out.pointer, source.pointer, 0 if order is None else order.pointer, places.pointer)


@forwards
def add_at(a: DeviceArray, key: tuple, value: Any, fold: str = "add") -> None:
    """``a[key] += value``, where equal places add up, or are folded otherwise."""
    p = Places(a, key)
    if not product(p.full):
        return
    turned, row, columns = p.rows(placed(p, value))
    own = [p.view.strides[d] // a.itemsize for d in p.others]
    shape = tuple(p.view.shape[d] for d in p.others)
    moves.add_at("index", p.view, p.places("index"), shape, [tuple(own), tuple(columns)], (1, row), turned, 2**63 - 1, 0, True, fold)


def scatter(out: DeviceArray, axis: int, index: Any, value: Any) -> None:
    """out[index[i][j]][j] = value[i][j] for axis 0"""
    index = moves.indices("scatter", index, out.memory.device)
    others = [d for d in range(index.ndim) if d != axis]
    if all(index.strides[d] == 0 and index.shape[d] == out.shape[d] for d in others) and others:  # whole rows
        row = index[tuple(slice(None) if d == axis else 0 for d in range(index.ndim))]
        put(out, (*[slice(None)] * axis, row), value)
        return
    dense = out if out.flags.c_contiguous else out.copy()
    places = moves.places_of("scatter", index, axis, dense.shape)
    if not isinstance(value, DeviceArray):
        value = upload(np.asarray(value).astype(out.dtype), out.memory.device)
    wide = value.astype(out.dtype, copy=False)
    wide = wide.reshape(-1) if wide.ndim and wide.flags.c_contiguous else wide if not wide.ndim else wide.copy().reshape(-1)
    put_at("scatter", dense.reshape(-1), places, (), (), wide, 1 if wide.ndim else 0, (), index.shape[axis] == 1)
    if dense is not out:
        array.assign(out, dense)


def search(edges: DeviceArray, values: Any, right: bool) -> DeviceArray:
    """Where ``values`` belong in the sorted rows of ``edges``: of one row, or each in its own."""
    device = edges.memory.device
    values = values if isinstance(values, DeviceArray) else upload(np.asarray(values), device)
    dtype = np.result_type(edges.dtype, values.dtype)
    same_device("searchsorted", [edges, values])
    rows, given = (x if x.flags.c_contiguous else x.copy() for x in (y.astype(dtype, "C", copy=False) for y in (edges, values)))
    result = array.empty(values.shape, DTYPES[INT64], device)
    if result.size:
        share = 0 if edges.ndim == 1 else values.shape[-1]
        launch = moves.launched(
            ("search", device, dtype, result.size),
            lambda: moves.over(result.size, kernel_of(text.search, CODES[dtype]), device, "PPPqqq?", []),
        )
        launch(rows.pointer, given.pointer, result.pointer, edges.shape[-1], share, result.size, right)
    return result


__all__ = ["BOOL", "add_at", "get", "identity", "nonzero", "put", "scatter", "search", "true_places"]
