"""Programs over elements: one launch, whatever the strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from ...scalar import cuda as text
from ...scalar.cuda import FLAT
from . import array
from .array import CODES, DTYPES, DeviceArray, refuse_host, same_device
from .launch import (
    BLOCKS,
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
    steps,
    typed,
    uint32,
    walk_of,
)

PLANS = 4096  # kept at most; then all are forgotten
plans: dict[Any, Plan] = {}
kernels: dict[Any, text.Kernel] = {}


class Plan:
    """A call's launch, and what it returns."""

    __slots__ = ("device", "dtypes", "launch", "makers", "shape")

    launch: Launch | None
    makers: list[tuple[int, Callable]]  # of the numbers among the inputs

    def __init__(self, program: Any, inputs: tuple, found: Inputs, outs: tuple, accumulate: int):
        source = program.source
        codes, common, stored = found.types(inputs, source.raw)
        t = typed(program, codes, common)
        given = [o for o in outs if o is not None]
        self.device = device = same_device(source.name, [*found.arrays, *given])
        self.shape = shape = broadcast(source.name, [a.shape for a in (*found.arrays, *given)])
        for o in given:
            check_out(source.name, o, shape)
        self.dtypes = [DTYPES[t.types[i]] for i in t.outputs]
        results = tuple(array.empty((0,), d, device) if o is None else o for o, d in zip(outs, self.dtypes, strict=True))
        letters, makers = head_of(t, stored, len(outs))
        self.makers = [(i, make) for i, make in enumerate(makers) if make is not None]
        n = 1
        for size in shape:
            n *= size
        self.launch = None
        if n == 0:
            return
        fresh = [c_steps(shape) if o is None else steps(o, shape) for o in outs]
        operands = [*(steps(a, shape) for a in found.arrays), *fresh, *([c_steps(shape)] if source.index else [])]
        codes_out = [CODES[r.dtype] for r in results]
        walk = FLAT
        rest = []
        if not flat([*found.arrays, *given], shape):
            sizes, strides = merged(source.name, shape, operands)
            walk = walk_of(n, (sizes, strides))
            rest = [layout(walk, sizes, strides)]
        kernel = kernel_of(t, stored, codes_out, walk)
        per_block = text.ELEMENTWISE_THREADS
        blocks = min(-(-n // (kernel.pack * per_block)), BLOCKS)
        threads = per_block if blocks > 1 else min(per_block, -(-n // kernel.pack))
        accumulate &= sum(1 << k for k, o in enumerate(outs) if o is not None)
        self.launch = Launch(kernel, device, letters, [*rest, *int64(n), uint32(accumulate)], (blocks, 1), (threads, 1))


def kernel_of(t: Any, stored: list[int], outputs: list[int], walk: str) -> text.Kernel:
    key = (t, tuple(stored), tuple(outputs), walk)
    found = kernels.get(key)
    if found is None:
        found = kernels[key] = text.elementwise(t, stored, outputs, walk)
    return found


def check_out(op: str, out: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(out, DeviceArray):
        refuse_host(op)
    if not out.flags.writeable:
        raise DTypeError(f"{op}: out is read-only")
    if out.shape != shape:
        raise ShapeError(f"{op}: out has the wrong shape; it is {list(out.shape)}, the result is {list(shape)}")


def elementwise(program: Any, inputs: tuple, out: Any = None, accumulate: int = 0) -> Any:
    """``program`` over the broadcast inputs, into ``out`` or new arrays; bit k of ``accumulate``: output k is added to."""
    n = len(program.source.outputs)
    found = Inputs(program.source.name, inputs)
    if out is None:
        outs: tuple = (None,) * n
        key: tuple = (program, accumulate, found.key)
    else:
        outs = out if out.__class__ is tuple else (out,)
        for o in outs:
            if o is not None and o.__class__ is not DeviceArray:
                refuse_host(program.source.name)
        if any(o is not None and any(overlaps(a, o) for a in found.arrays) for o in outs):
            return through_copies(program, inputs, outs, accumulate)
        of_outs = [None if o is None else (o.ghost.dtype, o.ghost.shape, o.ghost.strides, o.pointer & 15, o.memory.device) for o in outs]
        key = (program, accumulate, found.key, *of_outs)
    plan = plans.get(key)
    if plan is None:
        if len(plans) >= PLANS:
            plans.clear()
        try:
            plan = plans[key] = Plan(program, inputs, found, outs, accumulate)
        except TooManyDimensions:
            if program.source.index:
                raise
            return in_parts(program, inputs, outs, accumulate)
    results = tuple([array.empty(plan.shape, d, plan.device) if o is None else o for o, d in zip(outs, plan.dtypes)])
    if plan.launch is not None:
        values = found.values
        for i, make in plan.makers:
            values[i] = make(values[i])
        plan.launch(*values, *[r.pointer for r in results])
    return results[0] if n == 1 else results


def in_parts(program: Any, inputs: tuple, outs: tuple, accumulate: int) -> Any:
    """One part after the other along the first dimension, of more than a kernel walks."""
    results = list(outs)
    accumulate &= sum(1 << k for k, o in enumerate(outs) if o is not None)
    shape = np.broadcast_shapes(*(a.shape for a in (*inputs, *outs) if isinstance(a, DeviceArray)))
    for i in range(shape[0]):
        given = tuple(x[min(i, len(x) - 1)] if isinstance(x, DeviceArray) and x.ndim == len(shape) else x for x in inputs)
        parts = elementwise(program, given, tuple(None if o is None else o[i] for o in results), accumulate)
        for k, part in enumerate(parts if len(results) > 1 else (parts,)):
            if results[k] is None:
                results[k] = array.empty(shape, part.dtype, part.memory.device)
                array.assign(results[k][0], part)
    return tuple(results) if len(results) > 1 else results[0]


def through_copies(program: Any, inputs: tuple, outs: tuple, accumulate: int) -> Any:
    """An output lies over an input in another way: the inputs are copied first."""
    given = [o for o in outs if o is not None]
    copies = tuple(x.copy() if isinstance(x, DeviceArray) and any(overlaps(x, o) for o in given) else x for x in inputs)
    return elementwise(program, copies, outs if len(program.source.outputs) > 1 else outs[0], accumulate)
