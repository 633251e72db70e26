"""Reductions in one stage or two, and programs over rows. How the work is split depends on shapes alone: the same bits on every device."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError, AxisError, ShapeError
from ...scalar import cuda as text
from ...scalar import cuda_rows
from ...scalar.cuda import FLAT, FOLD_BYTES, FOLD_THREADS
from ...scalar.types import BOOL, INT64
from ..cpu import KINDS
from . import array
from .array import CODES, DTYPES, DeviceArray, same_device
from .elementwise import PLANS, check_out
from .launch import (
    BLOCKS,
    STRIDED64,
    Inputs,
    Launch,
    TooManyDimensions,
    broadcast,
    c_steps,
    flat,
    head_of,
    int64,
    layout,
    merged,
    overlaps,
    place,
    power_of_two,
    steps,
    typed,
    uint32,
    walk_of,
)
from .reports import errors_of

NAMES = {number: name for name, number in KINDS.items()}
ENOUGH = 256  # blocks that keep a device busy
LEAST = 8  # elements for each lane before a fold is split
NEAR = 8  # lanes that together read what memory gives at a time

plans: dict[Any, Any] = {}
kernels: dict[Any, text.Kernel] = {}


def kernel_of(make: Any, *key: Any) -> text.Kernel:
    key = make, *((tuple(k) if isinstance(k, list) else k) for k in key)
    found = kernels.get(key)
    if found is None:
        found = kernels[key] = make(*key[1:])
    return found


def product(values: Any) -> int:
    n = 1
    for v in values:
        n *= v
    return n


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def double(value: float) -> bytes:
    return np.float64(value).tobytes()


def truth(value: bool) -> bytes:
    return bytes([value])


def block_of(outputs: int, depth: int, along_y: bool) -> tuple[int, int]:
    """(lanes that fold an output together, outputs that a block works on at a time)."""
    if along_y:
        groups = min(32, power_of_two(outputs))
        return min(FOLD_THREADS // groups, power_of_two(-(-depth // LEAST))), groups
    near = min(NEAR, power_of_two(depth))
    lanes = min(FOLD_THREADS // 2, max(power_of_two(-(-depth // LEAST)), near))
    return lanes, min(FOLD_THREADS // 2 // lanes, power_of_two(outputs))


class Reduction:
    """A reduction's launches, and the array that it returns."""

    __slots__ = ("device", "dtype", "makers", "partials", "second", "shape", "stage")

    stage: Launch | None
    second: Launch | None

    def __init__(
        self, kind: str, program: Any, inputs: tuple, found: Inputs, axes: Any, keepdims: bool, out: Any, accumulate: int, scale: float
    ):
        source = program.source
        codes, common, stored = found.types(inputs, source.raw)
        t = typed(program, codes, common)
        arrays = found.arrays
        self.device = device = same_device(kind, [*arrays, *([out] if out is not None else [])])
        full = broadcast(source.name, [a.shape for a in arrays])
        reduced = axes_of(kind, axes, len(full))
        self.shape = tuple(1 if d in reduced else n for d, n in enumerate(full) if keepdims or d not in reduced)
        kept = [d for d in range(len(full)) if d not in reduced]
        outputs, depth = product(full[d] for d in kept), product(full[d] for d in reduced)
        if depth == 0 and kind in ("max", "min", "argmax", "argmin"):
            raise ShapeError(f"{kind}: no elements to choose from; the input's shape is {list(full)}; reduce over axes of size 1 or more")
        inner = t.types[t.outputs[0]]
        code = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else inner
        self.dtype = DTYPES[code]
        if out is not None:
            check_out(kind, out, self.shape)
            code = CODES[out.dtype]
        letters, makers = head_of(t, stored, 1)
        self.makers = [(i, make) for i, make in enumerate(makers) if make is not None]
        self.stage = self.second = None
        self.partials = 0
        if outputs == 0:
            return
        of_out = self.out_steps(full, reduced, keepdims, out)
        operands = [steps(a, full) for a in arrays]
        position = [c_steps(full)] if source.index else []
        outer = bool(kept) and reduced == list(range(len(reduced)))
        rows = reduced == list(range(len(kept), len(full)))
        pack = text.widest(stored)
        dense = out is None or (out.flags.c_contiguous and not out.pointer & 15)
        walk, along_y, rest = FLAT, outer, []
        if dense and flat(arrays, full) and (outer or rows):
            pack = 1 if outer or (outputs > 1 and depth % pack) else pack
        else:
            kept_layout = merged(kind, [full[d] for d in kept], [[s[d] for d in kept] for s in (*operands, of_out, *position)])
            reduced_layout = merged(
                kind, [full[d] for d in reduced], [[s[d] for d in reduced] for s in (*operands, [0] * len(full), *position)]
            )
            walk = walk_of(max(outputs, depth), kept_layout, reduced_layout)
            rest = [layout(walk, *kept_layout), layout(walk, *reduced_layout)]
            along_y = nearer(kept_layout, reduced_layout)
            pack = 1
        lanes, groups = block_of(outputs, -(-depth // pack), along_y)
        blocks = min(-(-outputs // groups), BLOCKS)
        splits = max(min(-(-depth // (lanes * LEAST * pack)), ENOUGH // blocks), 1)
        chunk = max(ceil_div(ceil_div(depth, splits), pack) * pack, pack)
        splits = max(-(-depth // chunk), 1)
        kernel = kernel_of(text.reduce, kind, t, stored, code, walk)
        block = (groups, lanes) if along_y else (lanes, groups)
        end = [*int64(outputs, depth, chunk), double(scale), truth(along_y)]
        adds = uint32(bool(accumulate) and out is not None)
        # the partial results' pointer stands after what is fixed, so it is one of the parameters of a launch by its place
        self.partials = splits * outputs * FOLD_BYTES if splits > 1 else 0
        self.stage = Launch(kernel, device, letters + "P", [*rest, *end, adds], (blocks, splits), block, FOLD_BYTES * lanes * groups)
        self.stage.move(len(letters), len(letters) + len(rest) + len(end))
        if splits > 1:
            combined = merged(kind, [full[d] for d in kept], [[of_out[d] for d in kept]])
            lanes, groups = block_of(outputs, splits, False)
            blocks = min(-(-outputs // groups), BLOCKS)
            kernel = kernel_of(text.combine, kind, inner, code)
            last = [layout(STRIDED64, *combined), *int64(outputs, splits), double(scale), truth(False), adds]
            self.second = Launch(kernel, device, "PP", last, (blocks, 1), (lanes, groups), FOLD_BYTES * lanes * groups)

    def out_steps(self, full: tuple[int, ...], reduced: list[int], keepdims: bool, out: Any) -> list[int]:
        """The output's strides, with the reduced dimensions in place, along which it does not move."""
        own = c_steps(self.shape) if out is None else [s // out.itemsize for s in out.strides]
        left = iter(own)
        return [(next(left) if keepdims else 0) * 0 if d in reduced else next(left) for d in range(len(full))]


def nearer(kept: Any, reduced: Any) -> bool:
    """Are neighbours of the kept dimensions nearer to each other in memory, in most inputs, than those of the reduced ones?"""
    votes = 0
    for k in range(len(kept[1])):
        a = abs(kept[1][k][-1]) if kept[1][k] else 0
        b = abs(reduced[1][k][-1]) if reduced[1][k] else 0
        votes += (0 < a < b) - (0 < b < a) if a and b else 0
    return votes > 0


def axes_of(kind: str, axes: Any, ndim: int) -> list[int]:
    if axes is None:
        return list(range(ndim))
    found = []
    for axis in axes if isinstance(axes, tuple | list) else (axes,):
        if not -ndim <= axis < ndim:
            raise AxisError(f"{kind}: axis {axis} is out of range; the input has {ndim} dimensions")
        found.append(axis % ndim)
    if len(set(found)) != len(found):
        raise ArgumentError(f"{kind}: an axis is named twice; axes are {axes}")
    return sorted(found)


def reduce(
    kind: Any, program: Any, inputs: tuple, axes: Any, keepdims: bool = False, out: Any = None, accumulate: int = 0, scale: float = 1.0
) -> Any:
    """The fold of a program over ``axes``; see the CPU's."""
    name = NAMES.get(kind, kind)
    found = Inputs(program.source.name, inputs)
    if out is not None and not isinstance(out, DeviceArray):
        array.refuse_host(name)
    if not found.arrays:
        raise ArgumentError(f"{name}: needs an array among the inputs")
    if out is not None and any(a.memory is out.memory and np.may_share_memory(a.ghost, out.ghost) for a in found.arrays):
        inputs = tuple(x.copy() if isinstance(x, DeviceArray) else x for x in inputs)
        found = Inputs(program.source.name, inputs)
    of_out = None if out is None else (out.ghost.dtype, out.ghost.shape, out.ghost.strides, out.pointer & 15, out.memory.device)
    key = name, program, found.key, axes, bool(keepdims), of_out, bool(accumulate), scale
    plan = plans.get(key)
    if plan is None:
        if len(plans) >= PLANS:
            plans.clear()
        try:
            plan = plans[key] = Reduction(name, program, inputs, found, axes, bool(keepdims), out, accumulate, scale)
        except TooManyDimensions:
            if all(a.flags.c_contiguous for a in found.arrays):
                raise
            return reduce(kind, program, dense(inputs), axes, keepdims, out, accumulate, scale)
    result = array.empty(plan.shape, plan.dtype, plan.device) if out is None else out
    if plan.stage is None:
        return result
    values = found.values
    for i, make in plan.makers:
        values[i] = make(values[i])
    if plan.second is None:
        plan.stage(*values, result.pointer, 0)
    else:
        partials = array.allocate(plan.partials, plan.device)
        plan.stage(*values, result.pointer, partials.pointer)
        plan.second(partials.pointer, result.pointer)
    return result


def dense(inputs: tuple) -> tuple:
    """The same one after the other in memory, where a kernel has fewer dimensions to walk."""
    return tuple(x.copy() if isinstance(x, DeviceArray) else x for x in inputs)


# Rows


class Rows:
    """A row program's launch, and the arrays that it returns."""

    __slots__ = ("axis", "device", "dtypes", "launch", "looks_up", "makers", "shapes")

    launch: Launch | None

    def __init__(self, program: Any, inputs: tuple, found: Inputs, axis: int, outs: tuple, accumulate: int):
        source, name = program.source, program.source.name
        codes, common, stored = found.types(inputs, source.raw)
        t = typed(program, codes, common)
        given = [o for o in outs if o is not None]
        self.device = device = same_device(name, [*found.arrays, *given])
        full = broadcast(name, [a.shape for a in found.arrays])
        if not -len(full) <= axis < len(full):
            raise AxisError(f"{name}: axis {axis} is out of range; the input has {len(full)} dimensions")
        axis %= len(full)
        self.axis, self.looks_up = axis, any(instr.op == "row_at" for instr in source.code)
        narrow = tuple(1 if d == axis else n for d, n in enumerate(full))
        self.shapes = [narrow if row else full for row in source.row_outputs]
        self.dtypes = [DTYPES[t.types[i]] for i in t.outputs]
        for o, shape in zip(outs, self.shapes, strict=True):
            if o is not None:
                check_out(name, o, shape)
        letters, makers = head_of(t, stored, len(outs))
        self.makers = [(i, make) for i, make in enumerate(makers) if make is not None]
        self.launch = None
        length, count = full[axis], product(narrow)
        if length == 0 and count and any(source.row_outputs):
            raise ShapeError(f"{name}: axis {axis} has size 0; rows must have elements")
        if length * count == 0:
            return
        fresh = [
            [0 if n == 1 and m != 1 else s for s, n, m in zip(c_steps(shape), shape, full, strict=True)] if o is None else steps(o, full)
            for o, shape in zip(outs, self.shapes, strict=True)
        ]
        operands = [*(steps(a, full) for a in found.arrays), *fresh, *([c_steps(full)] if source.index else [])]
        kept = [d for d in range(len(full)) if d != axis]
        kept_layout = merged(name, [full[d] for d in kept], [[s[d] for d in kept] for s in operands])
        step = [s[axis] for s in operands]
        walk = walk_of(max(length, count), kept_layout, ([length], [[s] for s in step]))
        along_y = nearer(kept_layout, ([length], [[s] for s in step]))
        items = cuda_rows.ROW_ITEMS
        groups = min(32, power_of_two(count)) if along_y else 1
        threads = cuda_rows.threads(len(operands))
        lanes = min(threads // groups, power_of_two(-(-length // items)))
        if not along_y:
            groups = max(min(threads // 2 // lanes, power_of_two(count)), 1)
        outputs = [CODES[d] if o is None else CODES[o.dtype] for d, o in zip(self.dtypes, outs, strict=True)]
        shared = FOLD_BYTES * lanes * groups
        row = cuda_rows.CACHED
        if length > items * lanes:
            room = shared + cuda_rows.shared_bytes(t, stored, outputs, length * groups)
            row, shared = (cuda_rows.SHARED, room) if room <= array.driver.shared_memory(device) else (cuda_rows.PASSES, shared)
        kernel = kernel_of(cuda_rows.rows, t, stored, outputs, walk, row)
        rest = [layout(walk, *kept_layout), place(walk, step), *int64(count, length), truth(along_y)]
        adds = accumulate & sum(1 << k for k, o in enumerate(outs) if o is not None)
        block = (groups, lanes) if along_y else (lanes, groups)
        blocks = min(-(-count // groups), BLOCKS)
        head = letters + "Pq" * self.looks_up
        self.launch = Launch(kernel, device, head, [*rest, uint32(adds)], (blocks, 1), block, shared)


def rows(program: Any, inputs: tuple, axis: int, out: Any = None, accumulate: int = 0, summed: int = 0) -> Any:
    """A row program along ``axis``. Bit k of ``summed``: output k is summed over the rows, by a reduction of its own."""
    source = program.source
    n = len(source.outputs)
    outs: tuple = out if isinstance(out, tuple) else (out,) if n == 1 else (None,) * n
    if summed:
        return rows_and_sums(program, inputs, axis, outs, accumulate, summed)
    found = Inputs(source.name, inputs)
    for o in outs:
        if o is not None and o.__class__ is not DeviceArray:
            array.refuse_host(source.name)
    if any(o is not None and any(overlaps(a, o) for a in found.arrays) for o in outs):
        inputs = tuple(x.copy() if isinstance(x, DeviceArray) else x for x in inputs)
        found = Inputs(source.name, inputs)
    of_outs = tuple([None if o is None else (o.ghost.dtype, o.ghost.shape, o.ghost.strides, o.memory.device) for o in outs])
    key = "rows", program, found.key, axis, of_outs, accumulate
    plan = plans.get(key)
    if plan is None:
        if len(plans) >= PLANS:
            plans.clear()
        try:
            plan = plans[key] = Rows(program, inputs, found, axis, outs, accumulate)
        except TooManyDimensions:
            if all(a.flags.c_contiguous for a in found.arrays):
                raise
            return rows(program, dense(inputs), axis, out, accumulate)
    results = tuple([array.empty(s, d, plan.device) if o is None else o for o, s, d in zip(outs, plan.shapes, plan.dtypes, strict=True)])
    if plan.launch is not None:
        values = found.values
        for i, make in plan.makers:
            values[i] = make(values[i])
        reports = errors_of(plan.device).ask(source.name, plan.axis) if plan.looks_up else ()
        plan.launch(*values, *[r.pointer for r in results], *reports)
    return results[0] if n == 1 else results


def rows_and_sums(program: Any, inputs: tuple, axis: int, outs: tuple, accumulate: int, summed: int) -> Any:
    from . import identity

    wanted = [summed >> k & 1 for k in range(len(outs))]
    plain = tuple(None if s else o for s, o in zip(wanted, outs, strict=True))
    results = rows(program, inputs, axis, plain if len(plain) > 1 else plain[0], accumulate & ~summed)
    results = list(results) if isinstance(results, tuple) else [results]
    for k, s in enumerate(wanted):
        if s:
            others = tuple(d for d in range(results[k].ndim) if d != axis % results[k].ndim)
            results[k] = reduce("sum", identity, (results[k],), others, False, outs[k], accumulate >> k & 1)
    return tuple(results) if len(results) > 1 else results[0]
