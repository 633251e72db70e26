"""Running folds along an axis. Long rows are cut into chunks: a reduction leaves each one's fold, and every chunk begins with those before it."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, AxisError
from ...scalar import cuda as cuda_text
from ...scalar import cuda_moves as text
from ...scalar.cuda import FOLD_BYTES, SCANNED
from ...scalar.types import INT64
from . import array
from .array import CODES, DTYPES, DeviceArray
from .folds import ENOUGH, ceil_div, double, kernel_of, nearer, product, truth
from .launch import BLOCKS, Launch, c_steps, int64, layout, merged, place, power_of_two, typed, uint32, walk_of
from .products import identity

LEAST = 256  # elements of a chunk for each lane
THREADS = 256
plans: dict[Any, Any] = {}


class Scan:
    """The launches of a call."""

    __slots__ = ("first", "partials", "second")

    first: Launch | None

    def __init__(self, kind: int, x: DeviceArray, axis: int):
        code, device = CODES[x.dtype], x.memory.device
        kept = [d for d in range(x.ndim) if d != axis]
        outputs, depth = product(x.shape[d] for d in kept), x.shape[axis]
        strides = [[s // x.itemsize for s in x.strides], c_steps(x.shape)]
        sizes, of_kept = merged("scan", [x.shape[d] for d in kept], [[s[d] for d in kept] for s in strides])
        along = [depth], [[s[axis]] for s in strides]
        walk = walk_of(max(outputs, depth), (sizes, of_kept), along)
        along_y = outputs > 1 and nearer((sizes, of_kept), along)
        lanes = 1 if along_y else min(32, power_of_two(depth))
        groups = min(32 if along_y else THREADS // lanes, power_of_two(outputs))
        blocks = min(ceil_div(outputs, groups), BLOCKS)
        chunks = max(min(ceil_div(depth, lanes * LEAST), ENOUGH // blocks), 1)
        chunk = ceil_div(depth, chunks)
        chunks = ceil_div(depth, chunk)
        block = (groups, lanes) if along_y else (lanes, groups)
        shared = FOLD_BYTES * lanes * groups
        self.first, self.partials = None, chunks * outputs * FOLD_BYTES if chunks > 1 else 0
        if chunks > 1:
            position = [0, 0]
            reduced = [depth], [[s[axis]] for s in (strides[0], position)]
            layouts = [layout(walk, sizes, [of_kept[0], [0] * len(sizes)]), layout(walk, *reduced)]
            end = [*int64(outputs, depth, chunk), double(1), truth(along_y)]
            folds = kernel_of(cuda_text.reduce, SCANNED[kind], typed(identity, [code], code), [code], INT64 if kind > 1 else code, walk)
            self.first = Launch(folds, device, "PPP", [*layouts, *end, uint32(0)], (blocks, chunks), block, shared)
            self.first.move(2, 2 + len(layouts) + len(end))
        rest = [layout(walk, sizes, of_kept), place(walk, [s[axis] for s in strides]), *int64(outputs, depth, chunk), truth(along_y)]
        self.second = Launch(kernel_of(text.scan, kind, code, walk), device, "PPP", rest, (blocks, chunks), block, shared)


def scan(kind: int, x: DeviceArray, axis: int) -> DeviceArray:
    """Running sums (0), products (1), the places of the last largest (2) or least (3) elements so far; see the CPU's."""
    if not 0 <= kind < len(SCANNED):
        raise ArgumentError(f"scan: unknown kind {kind}")
    if not 0 <= axis < x.ndim:
        raise AxisError(f"scan: axis {axis} is out of range for {x.ndim} dimensions")
    device = x.memory.device
    result = array.empty(x.shape, DTYPES[INT64] if kind > 1 else x.dtype, device)
    if not x.size:
        return result
    key = kind, x.dtype, x.shape, x.strides, axis, device
    plan = plans.get(key) or plans.setdefault(key, Scan(kind, x, axis))
    if plan.first is None:
        plan.second(x.pointer, result.pointer, 0)
    else:
        partials = array.allocate(plan.partials, device)
        plan.first(x.pointer, 0, partials.pointer)
        plan.second(x.pointer, result.pointer, partials.pointer)
    return result
