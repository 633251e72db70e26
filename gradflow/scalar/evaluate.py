"""Programs evaluated in NumPy: the reference that the kernels are tested against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .program import Program
from .trace import Primitive
from .types import NAMES, PROMOTE

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)


def philox(seed: int, counter: np.ndarray) -> np.ndarray:
    """Philox4x32-10 of 64-bit counters: uint64 array of shape (4, *counter.shape), values below 2**32.

    Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (2011).
    """
    counter = np.asarray(counter, np.uint64)
    c0, c1 = counter & LOW, counter >> np.uint64(32)
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        p0, p1 = M0 * c0, M1 * c2
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def _random(seed: Any, offset: Any, shape: tuple[int, ...]) -> np.ndarray:
    index = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(int(offset))
    block = philox(int(seed), index >> np.uint64(2))
    return np.take_along_axis(block, (index & np.uint64(3)).astype(np.int64)[None], 0)[0].astype(np.int64).reshape(shape)


def evaluate(program: Program, inputs: Sequence[Any], axis: int = -1) -> tuple[np.ndarray, ...]:
    """The program's outputs, computed one primitive at a time in whatever type NumPy gives the inputs (float64 for a reference)."""
    values: list[Any] = [np.asarray(x) for x in inputs]
    shape = np.broadcast_shapes(*(v.shape for v in values)) if values else ()
    values += program.consts
    with np.errstate(all="ignore"):
        for op, args, data in program.code:
            operands = [values[a] for a in args]
            if op == "cast":
                result = np.asarray(operands[0]).astype(np.float64 if PROMOTE[data][6] == data else NAMES[data])
            elif op == "linear_index":
                result = np.arange(int(np.prod(shape))).reshape(shape)
            elif op == "column_index":
                along = [1] * len(shape)
                along[axis] = -1
                result = np.broadcast_to(np.arange(shape[axis]).reshape(along), shape)
            elif op == "random":
                result = _random(operands[0], operands[1], shape)
            elif op == "row_at":
                column = np.asarray(operands[1]).astype(np.int64)
                result = np.take_along_axis(np.broadcast_to(operands[0], shape), column, axis)
            elif op in ("row_sum", "row_max"):
                fold = np.sum if op == "row_sum" else np.max
                result = fold(np.broadcast_to(operands[0], shape), axis=axis, keepdims=True)
            else:
                result = Primitive.table[op].reference(*operands)
            values.append(result)
    outputs = []
    for i, row in zip(program.outputs, program.row_outputs, strict=True):
        full = list(shape)
        if row:
            full[axis] = 1
        outputs.append(np.broadcast_to(values[i], full))
    return tuple(outputs)
