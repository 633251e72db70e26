"""The CUDA text of kernels: compared with golden files, compiled by NVRTC, and run on the CPU, a thread after another.

``GRADFLOW_UPDATE_GOLDEN=1 pytest tests/test_cuda_text.py -k golden`` writes the golden files anew; read the difference before committing it.
NVRTC comes from the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime; without them its tests are skipped, or fail if
``GRADFLOW_REQUIRE_NVRTC=1``. ``GRADFLOW_NVRTC_ALL=1`` compiles every kernel for every architecture to machine code, which takes many minutes.
"""

import ctypes
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import gradflow as gf
from gradflow import backends
from gradflow.kinds.formulas import REGISTRY
from gradflow.scalar import column_index, cuda, cuda_rows, eq, exp, log, row_max, row_sum, sqrt, trace, where
from gradflow.scalar.cuda import FLAT, NUMBER, STRIDED32, STRIDED64
from gradflow.scalar.evaluate import evaluate
from gradflow.scalar.types import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT8, INT16, INT32, INT64, NAMES, UINT8
from gradflow.tape.node import identity

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).with_name("golden")
OPS = {name: call.op for name, call in REGISTRY.items() if hasattr(call, "op")}
FLOATS = (FLOAT16, BFLOAT16, FLOAT32, FLOAT64)
KINDS = tuple(cuda.FOLDS)
WALKS = (FLAT, STRIDED32, STRIDED64)


def stored_types(program, common):
    """Raw inputs are conditions or seeds and targets, the others of one type."""
    raw = BOOL if program.name.startswith("where") else INT64
    return [raw if i in program.raw else common for i in range(program.inputs)]


def typed_for(program, common):
    return program.typed(stored_types(program, common), common, FLOAT32)


def result_types(typed):
    return [typed.types[i] for i in typed.outputs]


def elementwise(program, walk, common=FLOAT32, numbers=()):
    typed = typed_for(program, common)
    inputs = [NUMBER if i in numbers else t for i, t in enumerate(stored_types(program, common))]
    return cuda.elementwise(typed, inputs, result_types(typed), walk)


def rows(program, cached, common=FLOAT32, numbers=(), walk=STRIDED32):
    typed = typed_for(program, common)
    inputs = [NUMBER if i in numbers else t for i, t in enumerate(stored_types(program, common))]
    return cuda_rows.rows(typed, inputs, result_types(typed), walk, cached)


def reduce(kind, program, walk, common=FLOAT32, output=None):
    typed = typed_for(program, common)
    if output is None:
        output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else result_types(typed)[0]
    return cuda.reduce(kind, typed, stored_types(program, common), output, walk)


def pullbacks(op):
    """For every input alone and all together, and for x with itself; where there is a derivative."""
    n = op.program.inputs
    masks = {(1 << i, False) for i in range(n)} | {(2**n - 1, False)}
    for wanted, tied in sorted(masks | ({(3, True)} if n == 2 and op.single else set())):
        try:
            plan = op.plan(wanted, tied)
        except gf.errors.GradError:
            continue
        if plan.kernel is not None:
            yield plan.program


IDENTITY = trace(lambda x: x, name="identity")


def adam(p, g, m, v, beta1, beta2, rate, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return p - rate * m / (sqrt(v) + eps), m, v


ADAM = trace(adam)


def cross_entropy(x, target, weight):
    lse = log(row_sum(exp(x - row_max(x)))) + row_max(x)
    return weight * (lse - row_sum(where(eq(column_index(), target), x, 0))), lse


CROSS_ENTROPY = trace(cross_entropy, raw=("target",), row_inputs=("target", "weight"))


def held_programs():
    """Of the kernels that modules keep for themselves."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "gradflow"]
    held = {id(v): v for module in modules for v in vars(module).values() if type(v) is type(identity)}
    return [v.source for v in held.values()]


# Golden files


def golden_kernels():
    gelu, softmax, dropout = OPS["gelu_erf"], OPS["softmax_of"], OPS["dropout_of"]
    return {
        "mul": [elementwise(OPS["mul"].program, walk) for walk in (FLAT, STRIDED32, STRIDED64)],
        "mul_float16": [elementwise(OPS["mul"].program, FLAT, FLOAT16)],
        "gelu": [elementwise(gelu.program, FLAT), *(elementwise(p, FLAT) for p in pullbacks(gelu))],
        "adam": [elementwise(ADAM, FLAT, numbers=(4, 5, 6, 7))],
        "sum": [reduce("sum", IDENTITY, FLAT), reduce("sum", IDENTITY, STRIDED32), cuda.combine("sum", FLOAT32, FLOAT32)],
        "softmax": [rows(softmax.program, True), rows(softmax.program, False), *(rows(p, True) for p in pullbacks(softmax))],
        "dropout": [elementwise(dropout.program, walk, numbers=(1, 2, 3, 4)) for walk in (FLAT, STRIDED32)],
    }


@pytest.mark.parametrize("name", golden_kernels())
def test_golden_text(name):
    path = GOLDEN / f"{name}.cu"
    text = "\n".join(kernel.text for kernel in golden_kernels()[name])
    if os.environ.get("GRADFLOW_UPDATE_GOLDEN") == "1":
        path.write_text(text)
    assert text == path.read_text()


def test_names_are_deterministic_and_differ():
    kernels = [k for ks in golden_kernels().values() for k in ks]
    again = [k for ks in golden_kernels().values() for k in ks]
    assert kernels == again
    assert len({k.name for k in kernels}) == len(kernels)
    assert all(re.fullmatch(r"[a-z]\w*_[0-9a-f]{8}", k.name) and k.name in k.text for k in kernels)
    assert cuda.elementwise(typed_for(trace(lambda x: -x), FLOAT32), [FLOAT32], [FLOAT32], FLAT).name.startswith("lambda_flat_")


@pytest.mark.parametrize("name", OPS)
def test_text_holds_no_number_of_the_call(name):
    """Every number in a kernel is a constant of the formula, or of the way kernels are written."""
    program = OPS[name].program
    common = INT64 if name.startswith("bitwise") else FLOAT32
    typed = typed_for(program, common)
    numbers = range(1, program.inputs)
    kernels = [rows(program, c, common, numbers) for c in (True, False)] if program.rows else []
    kernels += [] if program.rows else [elementwise(program, w, common, numbers) for w in (FLAT, STRIDED32)]
    constants = {cuda.literal(c, typed.types[i]) for i, c in enumerate(typed.consts, program.inputs)}
    number = r"(?<![\w.])\d[\w.]*(?:[eE][+-]?\d+)?\w*"
    allowed = {n for c in constants for n in re.findall(number, c)}
    for kernel in kernels:
        operands = len(stored_types(program, common)) + len(typed.outputs) + 1
        structure = {"0", "1", "2", "4", "8", str(kernel.pack), "256", "512", *map(str, range(operands))}
        body = kernel.text.replace(kernel.name, "")
        assert set(re.findall(number, body)) <= allowed | structure


def test_literals():
    assert cuda.literal(0.1, FLOAT32) == "0.1f"
    assert cuda.literal(0.1, FLOAT64) == "0.1"
    assert cuda.literal(2**0.5, FLOAT16) == "1.4142135f"
    assert cuda.literal(1e300, FLOAT32) == "(1.0f / 0.0f)"
    assert cuda.literal(-np.inf, FLOAT64) == "(-1.0 / 0.0)"
    assert cuda.literal(np.nan, FLOAT32) == "(0.0f / 0.0f)"
    assert cuda.literal(True, BOOL) == "gf::bool8(1)"
    assert cuda.literal(-7, INT8) == "gf::int32(-7)"
    assert cuda.literal(-(2**31), INT32) == "gf::int32(-2147483647 - 1)"
    assert cuda.literal(-(2**63), INT64) == "gf::int64(-9223372036854775807 - 1)"


# NVRTC


@functools.cache
def nvrtc():
    """(the library, folders of CUDA's headers), or why there is none."""
    spec = importlib.util.find_spec("nvidia")
    places = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    libraries = [f for p in places for f in sorted(p.glob("*/lib/libnvrtc.so.*")) if "alt" not in f.name]
    headers = sorted({str(f.parent) for p in places for f in p.glob("*/include/cuda_fp16.h")})
    if not libraries or not headers:
        return "the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime are not installed"
    return ctypes.CDLL(str(libraries[-1])), headers


@pytest.fixture(scope="module")
def compiler():
    found = nvrtc()
    if isinstance(found, str):
        (pytest.fail if os.environ.get("GRADFLOW_REQUIRE_NVRTC") == "1" else pytest.skip)(found)
    return found


def compiled(compiler, source, arch, what):
    """The PTX or the machine code (what: "PTX" or "CUBIN")."""
    library, headers = compiler
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    virtual = "compute" if what == "PTX" else "sm"
    options = [f"--gpu-architecture={virtual}_{arch}", "-std=c++17", *(f"-I{p}" for p in [ROOT / "gradflow" / "include", *headers])]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options)))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    text = log.value.decode()
    assert not failed, f"NVRTC, {arch}: {text[:4000]}"
    assert not text.strip(), f"NVRTC warns, {arch}: {text[:4000]}"
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, code)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw


def compile_all(compiler, kernels, arch, what, batch=16):
    """Many kernels at a time: starting the compiler and reading headers takes longer than most kernels do. Returns their number."""
    kernels = list({k.name: k for k in kernels}.values())
    batches = [kernels[i :: -(-len(kernels) // batch)] for i in range(-(-len(kernels) // batch))]
    sources = ['#include "gradflow/device_half.h"\n' + "\n".join(k.text for k in b) for b in batches]
    with ThreadPoolExecutor(2) as pool:
        for code, kernels_of_code in zip(pool.map(lambda s: compiled(compiler, s, arch, what), sources), batches):
            assert all(k.name.encode() in code for k in kernels_of_code)
    return len(kernels)


def programs(common):
    """Of every operation and its derivatives (of which integers have none), and of every kernel that a module holds."""
    yield from held_programs()
    for op in OPS.values():
        yield op.program
        if common in FLOATS and not op.constant:
            yield from pullbacks(op)


def kernels(common, walks):
    for program in programs(common):
        try:
            typed_for(program, common)
        except TypeError:  # bitwise operations on floats
            continue
        if program.rows:
            yield from (rows(program, cached, common, walk=w) for w in walks if w != FLAT for cached in (True, False))
        else:
            numbers = OPS[program.name].numbers if program.name in OPS else ()
            yield from (elementwise(program, w, common, numbers) for w in walks)


def reductions(types, walks):
    for kind in KINDS:
        for common in types:
            yield from (reduce(kind, IDENTITY, walk, common) for walk in walks)
            output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else common
            yield cuda.combine(kind, common, output)


def sample():
    """One kernel of every sort."""
    yield from (k for ks in golden_kernels().values() for k in ks)
    yield from reductions([FLOAT32], [FLAT, STRIDED32])
    yield reduce("sum", OPS["gelu_erf"].program, STRIDED64, BFLOAT16)
    yield from (elementwise(OPS["mul"].program, FLAT, t) for t in (BOOL, UINT8, INT8, INT16, INT32, INT64, BFLOAT16, FLOAT64))
    for name in ("lgamma", "digamma", "erfinv", "pow", "power", "remainder_of", "floor_division", "bitwise_left_shift", "tan", "expm1"):
        if name in OPS:
            yield elementwise(OPS[name].program, STRIDED32, INT64 if name.startswith("bitwise") else FLOAT32)
    yield from (rows(p, True) for p in (CROSS_ENTROPY, OPS["affine_rows"].program, OPS["normalize_back"].program))


EVERYTHING = os.environ.get("GRADFLOW_NVRTC_ALL") == "1"


@pytest.mark.parametrize("walk", [FLAT, STRIDED32])
def test_nvrtc_compiles_every_operation_in_float32(compiler, walk):
    """To machine code for one architecture; the others compile a sample (below), as they see the same text."""
    assert compile_all(compiler, kernels(FLOAT32, [walk]), 90, "CUBIN") > 200


@pytest.mark.parametrize("common", [FLOAT64, FLOAT16, INT64], ids=lambda t: NAMES[t])
def test_nvrtc_compiles_every_operation_in_other_types(compiler, common):
    """To PTX, where all errors in the text are found."""
    assert compile_all(compiler, kernels(common, [STRIDED32]), 90, "PTX") > 80


def test_nvrtc_compiles_every_reduction(compiler):
    registers = [BOOL, INT8, INT32, INT64, FLOAT16, FLOAT32, FLOAT64]
    assert compile_all(compiler, reductions(registers, [FLAT, STRIDED32]), 90, "PTX") > 100


@pytest.mark.parametrize("arch", [75, 80, 90, 100, 120])
def test_nvrtc_compiles_for_every_architecture(compiler, arch):
    assert compile_all(compiler, sample(), arch, "CUBIN") > 50


@pytest.mark.skipif(not EVERYTHING, reason="takes many minutes; GRADFLOW_NVRTC_ALL=1 runs it")
@pytest.mark.parametrize("arch", [75, 80, 90, 100, 120])
@pytest.mark.parametrize("common", [FLOAT16, BFLOAT16, FLOAT32, FLOAT64, INT8, INT64], ids=lambda t: NAMES[t])
def test_nvrtc_compiles_everything(compiler, common, arch):
    assert compile_all(compiler, kernels(common, WALKS), arch, "CUBIN") > 100


def instructions(compiler, kernel):
    ptx = compiled(compiler, kernel.text, 80, "PTX").decode()
    assert ".local" not in ptx, "arrays of a thread belong in registers"
    return re.findall(r"^\s*(?:@\S+ )?([a-z]\S+)", ptx, re.MULTILINE)


def test_flat_kernels_access_16_bytes(compiler):
    wide = {k: instructions(compiler, elementwise(OPS["mul"].program, FLAT, k)) for k in (FLOAT16, FLOAT32, FLOAT64, INT8)}
    vectors = {FLOAT16: "v4.u32|v8.u16|v2.u64", FLOAT32: "v4.f32|v4.u32", FLOAT64: "v2.f64|v2.u64", INT8: "v4.u32|v2.u64|v16.u8"}
    for dtype, found in wide.items():
        loads = [i for i in found if re.fullmatch(rf"ld\.global\.(?:{vectors[dtype]})", i)]
        assert len(loads) >= 2, (NAMES[dtype], sorted(set(found)))


def test_a_cached_row_is_read_once_and_computed_once(compiler):
    found = instructions(compiler, rows(OPS["softmax_of"].program, True))
    items = cuda_rows.ROW_ITEMS
    assert sum(i.startswith("ld.global") for i in found) == 2 * items  # the row; and the output, if it is added to
    assert sum(i.startswith("ex2") for i in found) == items


# On the CPU: CUDA's names for one thread at a time. A block of one thread folds alone; a later test emulates whole blocks.

SHIM = r"""
#include <csrc/half.h>
#define __global__
#define __launch_bounds__(threads)
#define __grid_constant__
#define GF_SHARED(name) alignas(16) unsigned char name[1024]
struct Three { unsigned x, y; };
static Three threadIdx, blockIdx, blockDim, gridDim;
static inline void __syncthreads() {}
extern "C" void go_to(unsigned block_x, unsigned block_y, unsigned blocks_x, unsigned blocks_y, unsigned thread, unsigned threads) {
  blockIdx = {block_x, block_y};
  gridDim = {blocks_x, blocks_y};
  threadIdx = {thread, 0};
  blockDim = {threads, 1};
}
"""
FP16 = """
#pragma once
struct __half { unsigned short bits; };
static inline float __half2float(__half x) { return gf::half_to_float(x.bits); }
static inline __half __float2half_rn(float x) { return {gf::float_to_half(x)}; }
"""
BF16 = """
#pragma once
struct __nv_bfloat16 { unsigned short bits; };
static inline float __bfloat162float(__nv_bfloat16 x) { return gf::bfloat_to_float(x.bits); }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {gf::float_to_bfloat(x)}; }
"""

NUMPY = [np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name) for name in NAMES]
C_NUMBERS = {BOOL: ctypes.c_uint8, INT32: ctypes.c_int32, INT64: ctypes.c_int64, FLOAT32: ctypes.c_float, FLOAT64: ctypes.c_double}


class Emulator:
    """Kernels compiled by g++."""

    def __init__(self, kernels, folder):
        for name, text in (("shim.h", SHIM), ("cuda_fp16.h", FP16), ("cuda_bf16.h", BF16)):
            (folder / name).write_text(text)
        source = folder / "kernels.cpp"
        texts = "\n".join({k.name: k.text for k in kernels}.values())
        source.write_text(f'#include "shim.h"\n{texts}')
        flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-w", "-fno-math-errno", "-fno-trapping-math"]
        include = [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'gradflow' / 'include'}"]
        subprocess.run(["g++", *flags, *include, str(source), "-o", str(folder / "kernels.so")], check=True)
        self.library = ctypes.CDLL(str(folder / "kernels.so"))

    def launch(self, kernel, args, blocks=(3, 1), threads=1):
        """``args`` are arrays and ctypes values, in the order of the parameters."""
        function = getattr(self.library, kernel.name)
        values = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in args]
        for y in range(blocks[1]):
            for x in range(blocks[0]):
                for thread in range(threads):
                    self.library.go_to(x, y, *blocks, thread, threads)
                    function(*values)


def strides_of(array, shape):
    """In elements, of the array broadcast to a shape, innermost first."""
    view = np.broadcast_to(array, shape)
    return [s // array.itemsize for s in reversed(view.strides)]


def c_layout(walk, shape, *strides):
    """gf::Layout; ``strides`` as strides_of gives them, one list for each array."""
    index = ctypes.c_int32 if walk == STRIDED32 else ctypes.c_int64

    class Layout(ctypes.Structure):
        _fields_ = [("ndim", ctypes.c_int32), ("size", index * 8), ("stride", index * 8 * len(strides))]

    layout = Layout(max(len(shape), 1))
    layout.size[: max(len(shape), 1)] = list(reversed(shape)) or [1]
    for k, s in enumerate(strides):
        layout.stride[k][: max(len(shape), 1)] = s or [0]
    return layout


def c_place(walk, *steps):
    index = ctypes.c_int32 if walk == STRIDED32 else ctypes.c_int64

    class Place(ctypes.Structure):
        _fields_ = [("at", index * len(steps))]

    return Place((index * len(steps))(*steps))


def c_order(shape):
    return [int(np.prod(shape[d + 1 :])) for d in reversed(range(len(shape)))]


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
FOLDED = (BOOL, INT8, INT64, FLOAT16, FLOAT32, FLOAT64)


def emulated_kernels():
    yield from (elementwise(OPS[name].program, walk, common) for name, common in ELEMENTWISE for walk in WALKS)
    yield from (elementwise(ADAM, walk, numbers=(4, 5, 6, 7)) for walk in WALKS)
    yield from (elementwise(OPS["dropout_of"].program, walk, numbers=(1, 2, 3, 4)) for walk in WALKS)
    yield from reductions(FOLDED, WALKS)
    yield from (rows(p, cached, common) for p in ROW_PROGRAMS for cached in (True, False) for common in (FLOAT32, FLOAT64))


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
    emulator.launch(kernel, args, threads=2)


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


def run_reduce(emulator, kind, common, walk, x, axes, splits, scale=1.0, old=None):
    """Both stages. FLAT: the axes are the first or the last ones of a contiguous array."""
    kept = [d for d in range(x.ndim) if d not in axes]
    outputs, depth = (int(np.prod([x.shape[d] for d in some])) for some in (kept, axes))
    output = BOOL if kind in ("any", "all") else INT64 if kind.startswith("arg") else common
    out = np.zeros([x.shape[d] for d in kept], NUMPY[output]) if old is None else old
    chunk = -(-depth // splits)
    args = [x, out]
    along_y = ctypes.c_bool(bool(axes) and axes[0] == 0)
    if walk != FLAT:
        strides = [s // x.itemsize for s in x.strides]
        of_out = [s // out.itemsize for s in reversed(out.strides)]
        args.append(c_layout(walk, [x.shape[d] for d in kept], [strides[d] for d in reversed(kept)], of_out))
        args.append(c_layout(walk, [x.shape[d] for d in axes], [strides[d] for d in reversed(axes)], [0] * len(axes)))
    partials = np.zeros((splits, outputs, cuda.FOLD_BYTES), np.uint8) if splits > 1 else None
    accumulate = ctypes.c_uint32(old is not None)
    sizes = [ctypes.c_int64(n) for n in (outputs, depth, chunk)]
    pointer = ctypes.c_void_p(None) if partials is None else partials
    kernel = reduce(kind, IDENTITY, walk, common)
    assert walk != FLAT or along_y or chunk % kernel.pack == 0
    emulator.launch(kernel, [*args, *sizes, ctypes.c_double(scale), along_y, pointer, accumulate], blocks=(2, splits))
    if partials is not None:
        layout = c_layout(STRIDED64, out.shape, [s // out.itemsize for s in reversed(out.strides)])
        rest = [ctypes.c_int64(outputs), ctypes.c_int64(splits), ctypes.c_double(scale), ctypes.c_bool(False), accumulate]
        emulator.launch(cuda.combine(kind, common, output), [partials, out, layout, *rest])
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


@pytest.mark.parametrize("common", [FLOAT32, FLOAT64], ids=lambda t: NAMES[t])
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "passes"])
@pytest.mark.parametrize("program", ROW_PROGRAMS, ids=lambda p: p.name)
def test_rows_on_the_cpu(emulator, program, cached, common):
    rng = np.random.default_rng(5)
    for shape, axis in (((3, 2, 7), 2), ((8, 3, 2), 0), ((1,), 0)) + (() if cached else (((4, 60), 1),)):
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
        kept = [d for d in range(len(shape)) if d != axis]
        layout = c_layout(STRIDED32, [shape[d] for d in kept], *([s[d] for d in reversed(kept)] for s in strides))
        sizes = [ctypes.c_int64(int(np.prod([shape[d] for d in kept]))), ctypes.c_int64(shape[axis])]
        step = c_place(STRIDED32, *(s[axis] for s in strides))
        rest = [layout, step, *sizes, ctypes.c_bool(axis == 0), ctypes.c_uint32(0)]
        emulator.launch(rows(program, cached, common), [*arrays, *outs, *rest])
        for got, w, t in zip(outs, want, results):
            assert_close(got, w, t)
