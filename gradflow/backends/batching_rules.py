"""vmap as a backend: for each function of the backend the rule that steps over the batch axis."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import BatchError, OutOfRangeError
from . import cpu, owners
from .batched import Batch, BatchedArray, everything, one, owned_by, per_example, running, top, within, written_outside


def spread(x: Any, batch: Batch) -> Any:
    """The physical array of ``x`` with the batch axis, repeated if it had none."""
    return x.physical if owned_by(x, batch) else cpu.expand(x, (batch.size, *x.shape))


# Each rule takes the innermost batch off its arguments and calls the same function again.


def rule(function: Callable) -> Callable:
    again = getattr(cpu, function.__name__)
    return lambda *args: function(again, top(args), *args)


def promoted(program: Any, inputs: tuple, batch: Batch) -> tuple:
    """Operands without axes count less in promotion; with a batch axis they would not: they get the common type first."""
    if not any(owned_by(x, batch) and not x.ndim for x in inputs) or len({x.dtype for x in inputs if owners.is_array(x)}) < 2:
        return inputs
    counted = [i for i in range(len(inputs)) if i not in program.source.raw]
    dummies = [np.empty((0,) * x.ndim, x.dtype) if owners.is_array(x) else x for x in (inputs[i] for i in counted)]
    common = cpu.empty((), cpu.result_type(tuple(dummies)), None, True).dtype
    return tuple(
        x.astype(common) if i in counted and owned_by(x, batch) and not x.ndim and x.dtype != common else x for i, x in enumerate(inputs)
    )


def lowered(program: Any, inputs: tuple, batch: Batch) -> tuple[tuple, int]:
    """(physical operands that broadcast as the examples do, their number of dimensions without the batch's)."""
    inputs = promoted(program, inputs, batch)
    n = max((x.ndim for x in inputs if owners.is_array(x)), default=0)
    return tuple(x.aligned(n) if owned_by(x, batch) else x for x in inputs), n


def draws(program: Any, batch: Batch) -> str | None:
    """Does a program use the number of the element it computes? How then: "different" if every example has its own."""
    if not program.source.index:
        return None
    return "different" if batch.randomness == "different" and all(i.op != "linear_index" for i in program.source.code) else "same"


def written(outs: Any, results: Any, accumulate: int, batch: Batch, op: str) -> Any:
    """Results for outputs of which some were given: written there."""
    if not isinstance(outs, tuple):
        outs, results = (outs,), (results,)
    done = []
    for k, (out, result) in enumerate(zip(outs, results, strict=True)):
        if out is not None:
            if not owned_by(out, batch):
                written_outside(op)
            cpu.elementwise(IDENTITY, (result,), out.physical, accumulate >> k & 1)
        done.append(BatchedArray(result, batch) if out is None else out)
    return done[0] if len(done) == 1 else tuple(done)


IDENTITY = cpu.kernel(lambda x: x)


@rule
def elementwise(again: Any, batch: Batch, program: Any, inputs: tuple, out: Any = None, accumulate: int = 0) -> Any:
    single = not isinstance(out, tuple)
    if draws(program, batch) == "same":
        if accumulate or not single:
            raise BatchError("vmap: random numbers cannot be added to what is there; add them in a step of their own")
        if top(inputs) is batch:
            result = per_example(lambda *x: again(program, x), *inputs)
        else:
            with within([b for b in running.stack if b is not batch]):
                result = again(program, inputs, out.example(0))
        if out is None:
            return result
        out[...] = result
        return out
    physical, n = lowered(program, inputs, batch)
    if single and owned_by(out, batch) and n <= out.ndim:
        again(
            program,
            tuple(x if not owned_by(y, batch) else y.aligned(out.ndim) for x, y in zip(physical, inputs, strict=True)),
            out.physical,
            accumulate,
        )
        return out
    results = again(program, physical)
    if out is None or (not single and all(o is None for o in out)):
        return tuple(BatchedArray(r, batch) for r in results) if isinstance(results, tuple) else BatchedArray(results, batch)
    return written(out, results, accumulate, batch, "elementwise")


@rule
def reduce(
    again: Any,
    batch: Batch,
    kind: int,
    program: Any,
    inputs: tuple,
    axes: Any,
    keepdims: bool = False,
    out: Any = None,
    accumulate: int = 0,
    scale: float = 1.0,
) -> Any:
    physical, n = lowered(program, inputs, batch)
    if not n and axes != ():
        physical, keepdims = tuple(x[..., None] if owned_by(y, batch) else x for x, y in zip(physical, inputs, strict=True)), False
        axes, n = 0, 1
    if axes is None and kind >= cpu.KINDS["argmax"]:  # the number of an element among all
        full = np.broadcast_shapes(*(x.shape for x in inputs if owners.is_array(x)))
        flat = again(
            kind,
            program,
            tuple(np.broadcast_to(x, (batch.size, *full)).reshape(batch.size, -1) if owners.is_array(x) else x for x in physical),
            1,
        )
        return BatchedArray(flat.reshape((batch.size,) + (1,) * n) if keepdims else flat, batch)
    single = not isinstance(axes, tuple | type(None))
    lifted = tuple(a % n + 1 for a in (range(n) if axes is None else axes if isinstance(axes, tuple) else (axes,)))
    result = again(kind, program, physical, lifted[0] if single else lifted, keepdims, None, 0, scale)
    return BatchedArray(result, batch) if out is None else written(out, result, accumulate, batch, "reduce")


@rule
def rows(again: Any, batch: Batch, program: Any, inputs: tuple, axis: int, out: Any = None, accumulate: int = 0, summed: int = 0) -> Any:
    if draws(program, batch) == "same":
        return per_example(lambda *x: again(program, x, axis), *inputs)
    physical, n = lowered(program, inputs, batch)
    results = again(program, physical, axis % n + 1)
    several = isinstance(results, tuple)
    done = list(results) if several else [results]
    others = tuple(d + 1 for d in range(n) if d != axis % n)
    for k in range(len(done)):
        if summed >> k & 1:
            done[k] = cpu.reduce(cpu.KINDS["sum"], IDENTITY, (done[k],), others)
    results = tuple(done) if several else done[0]
    return written(out if out is not None else (None,) * len(done) if several else None, results, accumulate, batch, "rows")


@rule
def dot(again: Any, batch: Batch, a: Any, b: Any, out: Any = None, accumulate: int = 0) -> Any:
    if not owned_by(b, batch) and b.ndim <= 2 and owned_by(a, batch):
        result = again(a.physical, b)
    elif not owned_by(a, batch) and a.ndim <= 2 and b.ndim == 1 and owned_by(b, batch):
        result = again(b.physical, a.T)
    elif owned_by(a, batch) or owned_by(b, batch):
        left, right = (x[None, :] if x.ndim == 1 else x for x in (a, b))
        right = b[:, None] if b.ndim == 1 else right
        n = max(left.ndim, right.ndim)
        x, y = (m.aligned(n) if owned_by(m, batch) else m for m in (left, right))
        result = again(x, y)
        result = result[..., 0] if b.ndim == 1 else result
        result = result[..., 0, :] if a.ndim == 1 and b.ndim > 1 else result[..., 0] if a.ndim == 1 else result
    else:
        result = again(a, b)
    return BatchedArray(result, batch) if out is None else written(out, result, accumulate, batch, "dot")


@rule
def gather(again: Any, batch: Batch, x: Any, axis: int, index: Any, out: Any = None) -> Any:
    if not x.ndim or not index.ndim:
        x, index, shape = x.reshape(-1), index.reshape(-1), index.shape
        result = again(x, 0, index).reshape(shape)
    else:
        result = BatchedArray(again(spread(x, batch), axis % x.ndim + 1, spread(index, batch)), batch)
    return result if out is None else written(out, result.physical, 0, batch, "gather")


@rule
def scatter_add(again: Any, batch: Batch, out: Any, axis: int, index: Any, src: Any) -> Any:
    if not owned_by(out, batch):
        written_outside("scatter_add")
    if not out.ndim or not index.ndim:
        again(out.reshape(-1), 0, index.reshape(-1), src.reshape(-1))
    else:
        again(out.physical, axis % out.ndim + 1, spread(index, batch), spread(src, batch))
    return out


def places(index: Any, size: int) -> Any:
    """The rows of a table in which the examples' tables, of ``size`` rows, follow one another."""
    values, n = index.physical, index.batch.size
    known = everything(values)
    if ((known < -size) | (known >= size)).any():
        bad = known[(known < -size) | (known >= size)].flat[0]
        raise OutOfRangeError(f"index out of range: {bad} is not in [{-size}, {size}); every example has {size} rows")
    return np.where(values < 0, values + size, values) + (np.arange(n) * size).reshape(-1, *(1,) * index.ndim)


@rule
def take_rows(again: Any, batch: Batch, x: Any, axis: int, index: Any, out: Any = None) -> Any:
    axis = axis % x.ndim
    if not owned_by(index, batch):
        result = again(x.physical, axis + 1, index)
    elif not owned_by(x, batch):
        result = np.moveaxis(again(x, axis, index.physical), axis, 0)
    else:
        n, size, axes = batch.size, x.shape[axis], range(1, 1 + index.ndim)
        flat = np.moveaxis(x.physical, axis + 1, 1).reshape(n * size, *x.shape[:axis], *x.shape[axis + 1 :])
        result = np.moveaxis(again(flat, 0, places(index, size)), [*axes], [axis + d for d in axes])
    return BatchedArray(result, batch) if out is None else written(out, result, 0, batch, "take_rows")


@rule
def add_rows(again: Any, batch: Batch, out: Any, axis: int, index: Any, src: Any) -> Any:
    if not owned_by(out, batch):
        written_outside("add_rows")
    axis, table = axis % out.ndim, out.physical
    if not owned_by(index, batch):
        again(table, axis + 1, index, spread(src, batch))
        return out
    n, size, axes = batch.size, out.shape[axis], range(1, 1 + index.ndim)
    flat = np.moveaxis(table, axis + 1, 1).reshape(n * size, *out.shape[:axis], *out.shape[axis + 1 :])
    if np.may_share_memory(flat, table):
        again(flat, 0, places(index, size), np.moveaxis(spread(src, batch), [axis + d for d in axes], [*axes]))
    else:
        for i in range(n):
            again(table[i, ...], axis, index.example(i), one(src, batch, i))
    return out


@rule
def copy(again: Any, batch: Batch, src: Any, out: Any) -> Any:
    if not owned_by(out, batch):
        written_outside("copy")
    if owned_by(src, batch):
        while src.ndim > out.ndim and src.shape[0] == 1:
            src = src[0]
        src = src.aligned(out.ndim)
    again(src, out.physical)
    return out


@rule
def expand(again: Any, batch: Batch, array: Any, shape: tuple) -> Any:
    return BatchedArray(again(array.aligned(max(len(shape), array.ndim)), (batch.size, *shape)), batch)


@rule
def irregular(again: Any, batch: Batch, out: Any, inputs: tuple) -> Any:
    like = out[0] if isinstance(out, tuple) else out

    def dummy(x: Any) -> Any:
        return np.broadcast_to(np.empty((), x.dtype), x.shape) if owners.is_array(x) else x

    return again(dummy(like), tuple(dummy(x) for x in inputs))


@rule
def result_type(again: Any, batch: Batch, inputs: tuple) -> int:
    return again(tuple(np.empty((0,) * x.ndim, x.dtype) if owners.is_array(x) else x for x in inputs))


def new(name: str) -> None:
    """``empty`` or ``zeros`` inside of vmaps: one for every example."""
    plainly, elsewhere = getattr(cpu, name), owners.hand_over(name)

    def call(shape: tuple, code: int, like: Any = None, plain: bool = False) -> Any:
        like = everything(like)
        stack = [] if plain else running.stack
        full = (*(b.size for b in stack), *shape)
        array = elsewhere(full, code, like) if like is not None and type(like) is not np.ndarray else plainly(full, code, like, True)
        for batch in stack:
            array = BatchedArray(array, batch)
        return array

    cpu._ext.set_fallback(name, call)


new("empty")
new("zeros")


@rule
def scan(again: Any, batch: Batch, kind: int, array: Any, axis: int) -> Any:
    return BatchedArray(again(kind, array.physical, axis % array.ndim + 1), batch)


@rule
def pool_max(again: Any, batch: Batch, x: Any, *windows: Any) -> Any:
    return tuple(BatchedArray(r, batch) for r in again(x.physical, *windows))


@rule
def pool_mean(again: Any, batch: Batch, x: Any, *windows: Any) -> Any:
    return BatchedArray(again(x.physical, *windows), batch)


@rule
def pool_spread(again: Any, batch: Batch, g: Any, *windows: Any) -> Any:
    return BatchedArray(again(g.physical, *windows), batch)


# LAPACK's functions take stacks.


@rule
def lu(again: Any, batch: Batch, work: Any) -> Any:
    return tuple(BatchedArray(r, batch) for r in again(work.physical))


@rule
def cholesky(again: Any, batch: Batch, work: Any) -> Any:
    return BatchedArray(again(work.physical), batch)


@rule
def lu_permutation(again: Any, batch: Batch, pivots: Any, rows: int) -> Any:
    return BatchedArray(again(pivots.physical, rows), batch)


@rule
def ldl(again: Any, batch: Batch, work: Any) -> Any:
    return tuple(BatchedArray(r, batch) for r in again(work.physical))


@rule
def ldl_solve(again: Any, batch: Batch, factors: Any, pivots: Any, x: Any) -> Any:
    if not owned_by(x, batch):
        written_outside("ldl_solve")
    again(spread(factors, batch).copy(), spread(pivots, batch), x.physical)
    return x


@rule
def solve_triangular(again: Any, batch: Batch, a: Any, x: Any, *flags: int) -> Any:
    if not owned_by(x, batch):
        written_outside("solve_triangular")
    again(spread(a, batch), x.physical, *flags)
    return x


owners.register(BatchedArray, sys.modules[__name__], outermost=True)
