"""Printed CUDA kernels, run on the CPU, against NumPy: elementwise, reductions in one stage and in two, rows."""

import ctypes
import shutil

import numpy as np
import pytest
from cuda_emulator import NUMPY, Emulator, c_layout, c_order, c_place, strides_of
from cuda_kernels import (
    ADAM,
    CROSS_ENTROPY,
    IDENTITY,
    KEPT,
    KINDS,
    OPS,
    WALKS,
    elementwise,
    pullbacks,
    reduce,
    reductions,
    result_types,
    rows,
    stored_types,
    typed_for,
)

from gradflow import backends
from gradflow.scalar import cuda, trace
from gradflow.scalar.cuda import FLAT, STRIDED32, STRIDED64
from gradflow.scalar.evaluate import evaluate
from gradflow.scalar.types import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT8, INT32, INT64, NAMES, UINT8


def values(rng, dtype, shape, low=-3.0, high=3.0):
    if dtype == BOOL:
        return rng.random(shape) < 0.5
    if dtype <= INT64:
        return rng.integers(0 if dtype == UINT8 else -9, 9, shape).astype(NUMPY[dtype])
    return rng.uniform(low, high, shape).astype(NUMPY[dtype])


def exactly(array):
    """For the reference: floats as float64, integers as they are."""
    return array.astype(np.float64) if array.dtype.kind in "fV" else array


def assert_close(got, want, dtype):
    assert got.shape == want.shape
    if dtype < FLOAT16:
        assert np.array_equal(got, want.astype(got.dtype))
    else:
        eps = {FLOAT16: 2e-3, BFLOAT16: 2e-2, FLOAT32: 3e-6, FLOAT64: 1e-13}[dtype]
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=eps, atol=eps)


ELEMENTWISE = [
    *(("mul", t) for t in range(10)),
    *((name, FLOAT32) for name in ("gelu_erf", "sigmoid", "power", "remainder_of", "where_of", "clamp_of", "softplus_of", "digamma")),
    *((name, INT64) for name in ("bitwise_xor", "floor_division", "maximum", "eq")),
    *((name, t) for name in ("addcmul_of", "silu") for t in (FLOAT16, FLOAT64)),
]  # fmt: skip
ROW_PROGRAMS = [op.program for op in OPS.values() if op.program.rows] + [CROSS_ENTROPY]
ROW_PROGRAMS += [p for op in OPS.values() if op.program.rows and op.program.inputs == 1 for p in pullbacks(op)]
STORES = [(FLOAT16, FLOAT32), (BFLOAT16, FLOAT64), (INT8, INT32), (INT8, FLOAT32), (FLOAT32, INT64), (FLOAT32, BOOL), (BOOL, FLOAT32)]
CODE = {dtype: code for code, dtype in enumerate(NUMPY)}
SQUARE = trace(lambda x: x * x, name="square")
DROPOUT = OPS["dropout_of"].program
FOLDED = (BOOL, INT8, INT64, FLOAT16, FLOAT32, FLOAT64)


def emulated_kernels():
    yield from (elementwise(OPS[name].program, walk, common) for name, common in ELEMENTWISE for walk in WALKS)
    yield from (elementwise(ADAM, walk, numbers=(4, 5, 6, 7)) for walk in WALKS)
    yield from (elementwise(OPS["dropout_of"].program, walk, numbers=(1, 2, 3, 4)) for walk in WALKS)
    yield from (elementwise(OPS["mul"].program, walk, common, outputs=[stored]) for common, stored in STORES for walk in WALKS)
    yield from reductions(FOLDED, WALKS)
    yield from (reduce("sum", IDENTITY, walk, FLOAT32, FLOAT16) for walk in WALKS)
    yield from (reduce("max", SQUARE, walk, INT8) for walk in WALKS)
    yield from (reduce("sum", DROPOUT, walk, FLOAT32, numbers=range(1, 5)) for walk in WALKS)
    yield cuda.combine("sum", FLOAT32, FLOAT16)
    yield from (rows(p, kept, common) for p in ROW_PROGRAMS for kept in KEPT for common in (FLOAT32, FLOAT64))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return Emulator(list(emulated_kernels()), tmp_path_factory.mktemp("cuda"))


def run_elementwise(emulator, program, kernel, walk, arrays, scalars, outputs, accumulate=0):
    """``scalars``: ctypes numbers by input; the others are arrays."""
    inputs = [scalars.get(i, a) for i, a in enumerate(arrays)]
    shape = outputs[0].shape
    args = [*inputs, *outputs]
    if walk != FLAT:
        strides = [strides_of(a, shape) for a in args if isinstance(a, np.ndarray)]
        args.append(c_layout(walk, shape, *strides, *([c_order(shape)] if program.index else [])))
    args += [ctypes.c_int64(outputs[0].size), ctypes.c_uint32(accumulate)]
    emulator.launch(kernel, args, threads=(2, 1))


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize(("name", "common"), ELEMENTWISE, ids=lambda x: x if isinstance(x, str) else NAMES[x])
def test_elementwise_on_the_cpu(emulator, name, common, walk):
    op, rng = OPS[name], np.random.default_rng(0)
    shape = (5, 7) if walk == FLAT else (3, 5, 7)
    types = stored_types(op.program, common)
    arrays = [values(rng, t, shape, *op.domain) for t in types]
    if walk != FLAT:  # transposed, a row, a column, the other way round
        odd = [
            lambda a: a.transpose(0, 2, 1).copy().transpose(0, 2, 1),
            lambda a: a[0, 0],
            lambda a: a[:, :1, :1],
            lambda a: a[::-1, :, ::-1],
        ]
        arrays = [odd[i % 4](a) for i, a in enumerate(arrays)]
    (result,) = result_types(typed_for(op.program, common))
    with np.errstate(all="ignore"):
        want = evaluate(op.program, [exactly(a) for a in arrays])[0]
    kernel = elementwise(op.program, walk, common)
    out = np.zeros(shape, NUMPY[result])
    run_elementwise(emulator, op.program, kernel, walk, arrays, {}, [out])
    assert_close(out, np.broadcast_to(want, shape), result)
    base = out.copy()
    run_elementwise(emulator, op.program, kernel, walk, arrays, {}, [out], accumulate=1)
    assert_close(out, base | base if result == BOOL else base + base, result)


@pytest.mark.parametrize("walk", WALKS)
def test_several_outputs_in_place(emulator, walk):
    rng = np.random.default_rng(1)
    p, g, m, v = (rng.random((4, 9), np.float32) for _ in range(4))
    numbers = [0.9, 0.99, 0.01, 1e-8]
    want = evaluate(ADAM, [*(a.astype(np.float64) for a in (p, g, m, v)), *numbers])
    scalars = {4 + i: ctypes.c_float(x) for i, x in enumerate(numbers)}
    kernel = elementwise(ADAM, walk, numbers=(4, 5, 6, 7))
    run_elementwise(emulator, ADAM, kernel, walk, [p, g, m, v, *numbers], scalars, [p, m, v])
    for got, w in zip((p, m, v), want):
        assert_close(got, w, FLOAT32)


@pytest.mark.parametrize("walk", WALKS)
def test_some_outputs_are_added_to(emulator, walk):
    arrays = [np.full((3, 5), x, np.float32) for x in (1, 2, 3, 4)]
    numbers = [0.5, 0.5, 0.5, 0.0]
    want = evaluate(ADAM, [*arrays, *numbers])
    outs = [np.full((3, 5), 100, np.float32) for _ in range(3)]
    scalars = {4 + i: ctypes.c_float(x) for i, x in enumerate(numbers)}
    kernel = elementwise(ADAM, walk, numbers=(4, 5, 6, 7))
    run_elementwise(emulator, ADAM, kernel, walk, [*arrays, *numbers], scalars, outs, accumulate=0b101)
    for got, w, base in zip(outs, want, (100, 0, 100)):
        assert_close(got, base + w, FLOAT32)


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize(("common", "stored"), STORES, ids=lambda t: NAMES[t])
def test_stores_in_another_type_as_the_cpu_backend(emulator, common, stored, walk):
    """What is stored has been rounded, or has wrapped, in the type of the result."""
    program, rng = OPS["mul"].program, np.random.default_rng(7)
    arrays = [
        values(rng, common, (4, 5), 0, 300) if common >= FLOAT16 else rng.integers(0, 100, (4, 5)).astype(NUMPY[common]) for _ in range(2)
    ]
    out = np.zeros((4, 5), NUMPY[stored])
    run_elementwise(emulator, program, elementwise(program, walk, common, outputs=[stored]), walk, arrays, {}, [out])
    want = backends.elementwise(OPS["mul"].kernel, tuple(arrays), np.zeros((4, 5), NUMPY[stored]))
    assert np.array_equal(out, want)


@pytest.mark.parametrize("walk", WALKS)
def test_random_bits_are_those_of_the_cpu_backend(emulator, walk):
    program = OPS["dropout_of"].program
    x = np.random.default_rng(2).random((6, 11), np.float32)
    call = (2**31, 2.0, 1234567890123, 2**40 + 3)
    want = backends.elementwise(OPS["dropout_of"].kernel, (x, *call))
    scalars = {i: kind(c) for i, kind, c in zip((1, 2, 3, 4), (ctypes.c_int64, ctypes.c_float, ctypes.c_int64, ctypes.c_int64), call)}
    out = np.zeros_like(x)
    run_elementwise(emulator, program, elementwise(program, walk, numbers=(1, 2, 3, 4)), walk, [x, *call], scalars, [out])
    assert np.array_equal(out, want) and 0 < np.count_nonzero(out) < out.size


def numpy_fold(kind, x, axes):
    """Over the last dimensions, kept dimensions first."""
    kept = [d for d in range(x.ndim) if d not in axes]
    flat = x.transpose(*kept, *axes).reshape(*(x.shape[d] for d in kept), -1)
    if kind in ("any", "all"):
        return getattr(np, kind)(flat, axis=-1)
    if kind in ("sum", "prod") and x.dtype == np.bool_:
        return (np.any if kind == "sum" else np.all)(flat, axis=-1)
    if kind in ("sum", "prod"):
        return getattr(np, kind)(flat, axis=-1, dtype=x.dtype if x.dtype.kind in "iu" else None)
    return getattr(np, kind)(flat, axis=-1)


def run_reduce(emulator, kind, common, walk, x, axes, splits, scale=1.0, old=None, program=IDENTITY, numbers=()):
    """Both stages. FLAT: the axes are the first or the last ones of a contiguous array."""
    kept = [d for d in range(x.ndim) if d not in axes]
    outputs, depth = (int(np.prod([x.shape[d] for d in some])) for some in (kept, axes))
    output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else common
    output = output if old is None else CODE[old.dtype]
    out = np.zeros([x.shape[d] for d in kept], NUMPY[output]) if old is None else old
    chunk = -(-depth // splits)
    args = [x, *numbers, out]
    along_y = ctypes.c_bool(bool(axes) and axes[0] == 0)
    if walk != FLAT:
        strides = [s // x.itemsize for s in x.strides]
        of_out = [s // out.itemsize for s in reversed(out.strides)]
        order = list(reversed(c_order(x.shape)))
        positions = [[order[d] for d in reversed(some)] for some in (kept, axes)] if program.index else [(), ()]
        for some, out_strides, position in ((kept, of_out, positions[0]), (axes, [0] * len(axes), positions[1])):
            operands = [[strides[d] for d in reversed(some)], out_strides, *([position] if program.index else [])]
            args.append(c_layout(walk, [x.shape[d] for d in some], *operands))
    partials = np.zeros((splits, outputs, cuda.FOLD_BYTES), np.uint8) if splits > 1 else None
    accumulate = ctypes.c_uint32(old is not None)
    sizes = [ctypes.c_int64(n) for n in (outputs, depth, chunk)]
    pointer = ctypes.c_void_p(None) if partials is None else partials
    kernel = reduce(kind, program, walk, common, output, numbers=range(1, 1 + len(numbers)))
    assert walk != FLAT or along_y or chunk % kernel.pack == 0
    threads = (2, 4) if along_y else (4, 2)
    emulator.launch(kernel, [*args, *sizes, ctypes.c_double(scale), along_y, pointer, accumulate], (2, splits), threads)
    if partials is not None:
        layout = c_layout(STRIDED64, out.shape, [s // out.itemsize for s in reversed(out.strides)])
        rest = [ctypes.c_int64(outputs), ctypes.c_int64(splits), ctypes.c_double(scale), ctypes.c_bool(False), accumulate]
        emulator.launch(cuda.combine(kind, common, output), [partials, out, layout, *rest], (1, 1), (2, 2))
    return out


@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("common", FOLDED, ids=lambda t: NAMES[t])
def test_reductions_on_the_cpu(emulator, common, kind, splits):
    rng = np.random.default_rng(3)
    low, high = (0.7, 1.3) if kind == "prod" else (-3.0, 3.0)
    result = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else common

    def check(walk, x, axes):
        if x.dtype.kind == "f" and kind in ("max", "min", "argmax", "argmin"):
            x.flat[5] = np.nan
        want = numpy_fold(kind, exactly(x), axes)
        got = run_reduce(emulator, kind, common, walk, x, axes, splits)
        assert_close(got, want, result)
        if kind == "sum" and result != BOOL:
            assert_close(run_reduce(emulator, kind, common, walk, x, axes, splits, old=got.copy()), got + got, result)

    check(FLAT, values(rng, common, (3, 96), low, high), (1,))
    check(FLAT, values(rng, common, (50, 6), low, high), (0,))
    check(FLAT, values(rng, common, (480,), low, high), (0,))
    for walk in (STRIDED32, STRIDED64):
        check(walk, values(rng, common, (4, 5, 6), low, high), (0, 2))
        check(walk, values(rng, common, (6, 5, 4), low, high).transpose(2, 0, 1), (1,))
        check(walk, values(rng, common, (40,), low, high), (0,))


def test_sums_are_exact_to_rounding(emulator):
    x = np.random.default_rng(4).uniform(0, 1, (1, 100_000)).astype(np.float32)
    want = np.sum(x, axis=1, dtype=np.float64)
    assert np.array_equal(run_reduce(emulator, "sum", FLOAT32, FLAT, x, (1,), 1), want.astype(np.float32))
    y = np.tile(np.array([1e16, 1.0, -1e16, 1.0]), (1, 100))
    assert run_reduce(emulator, "sum", FLOAT64, FLAT, y, (1,), 5) == 200
    y[0, 7] = np.inf
    assert run_reduce(emulator, "sum", FLOAT64, FLAT, y, (1,), 5) == np.inf


def test_scale_and_no_elements(emulator):
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    assert run_reduce(emulator, "sum", FLOAT32, FLAT, x, (1,), 1, scale=1 / 8).tolist() == [3.5, 11.5]
    for kind, want in (("sum", 0), ("prod", 1), ("any", False), ("all", True)):
        assert run_reduce(emulator, kind, FLOAT32, STRIDED32, np.zeros((2, 0), np.float32), (1,), 1).tolist() == [want, want]


@pytest.mark.parametrize("walk", WALKS)
def test_folds_of_programs(emulator, walk):
    rng = np.random.default_rng(6)
    x = rng.integers(-100, 100, (3, 96)).astype(np.int8)
    assert np.array_equal(run_reduce(emulator, "max", INT8, walk, x, (1,), 1, program=SQUARE), (x * x).max(axis=1))
    old = np.ones(3, np.float16)
    y = rng.random((3, 96)).astype(np.float32)
    assert_close(run_reduce(emulator, "sum", FLOAT32, walk, y, (1,), 2, old=old), 1 + y.sum(axis=1), FLOAT16)
    call = (2**31, 2.0, 99, 7)
    numbers = [kind(c) for kind, c in zip((ctypes.c_int64, ctypes.c_float, ctypes.c_int64, ctypes.c_int64), call)]
    want = backends.elementwise(OPS["dropout_of"].kernel, (y, *call))
    for axes in ((1,), (0,)):
        got = run_reduce(emulator, "sum", FLOAT32, walk, y, axes, 1, program=DROPOUT, numbers=numbers)
        assert_close(got, want.sum(axis=axes, dtype=np.float64), FLOAT32)


@pytest.mark.parametrize("common", [FLOAT32, FLOAT64], ids=lambda t: NAMES[t])
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("program", ROW_PROGRAMS, ids=lambda p: p.name)
def test_rows_on_the_cpu(emulator, program, kept, common):
    rng = np.random.default_rng(5)
    for shape, axis in (((3, 2, 7), 2), ((30, 3, 2), 0), ((1,), 0)) + (() if kept == "cached" else (((4, 60), 1),)):
        row_shape = tuple(1 if d == axis else n for d, n in enumerate(shape))
        types = stored_types(program, common)
        draw = [
            rng.integers(0, shape[axis], row_shape) if i in program.raw else values(rng, t, shape, 0.2, 1.5) for i, t in enumerate(types)
        ]
        arrays = [a[tuple(slice(0, n) for n in row_shape)] if i in program.row_inputs else a for i, a in enumerate(draw)]
        want = evaluate(program, [exactly(np.asarray(a)) for a in arrays], axis)
        results = result_types(typed_for(program, common))
        outs = [np.zeros(row_shape if row else shape, NUMPY[t]) for row, t in zip(program.row_outputs, results)]
        strides = [list(reversed(strides_of(a, shape))) for a in [*arrays, *outs]]
        others = [d for d in range(len(shape)) if d != axis]
        layout = c_layout(STRIDED32, [shape[d] for d in others], *([s[d] for d in reversed(others)] for s in strides))
        sizes = [ctypes.c_int64(int(np.prod([shape[d] for d in others]))), ctypes.c_int64(shape[axis])]
        step = c_place(STRIDED32, *(s[axis] for s in strides))
        rest = [layout, step, *sizes, ctypes.c_bool(axis == 0), ctypes.c_uint32(0)]
        threads = (2, 4) if axis == 0 else (4, 2)
        emulator.launch(rows(program, kept, common), [*arrays, *outs, *rest], (2, 1), threads)
        for got, w, t in zip(outs, want, results):
            assert_close(got, w, t)
