"""The CUDA text of kernels: compared with golden files, and compiled by NVRTC.

``GRADFLOW_UPDATE_GOLDEN=1 pytest tests/test_cuda_text.py -k golden`` writes the golden files anew; read the difference before committing it.
NVRTC comes from the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime; without them its tests are skipped, or fail if
``GRADFLOW_REQUIRE_NVRTC=1``. ``GRADFLOW_NVRTC_ALL=1`` compiles every kernel for every architecture, which takes many minutes.
"""

import ctypes
import functools
import hashlib
import importlib.util
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import (
    ADAM,
    CROSS_ENTROPY,
    IDENTITY,
    KEPT,
    OPS,
    WALKS,
    elementwise,
    kernels,
    pullbacks,
    reduce,
    reductions,
    rows,
    stored_types,
    typed_for,
)

import gradflow as gf
from gradflow.scalar import cuda, cuda_moves, cuda_places, cuda_rows, trace
from gradflow.scalar.cuda import FLAT, STRIDED32, STRIDED64
from gradflow.scalar.types import BFLOAT16, BOOL, FLOAT16, FLOAT32, FLOAT64, INT8, INT32, INT64, NAMES

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).with_name("golden")

# Golden files


def golden_kernels():
    gelu, softmax, dropout = OPS["gelu_erf"], OPS["softmax_of"], OPS["dropout_of"]
    return {
        "mul": [elementwise(OPS["mul"].program, walk) for walk in (FLAT, STRIDED32, STRIDED64)],
        "mul_float16": [elementwise(OPS["mul"].program, FLAT, FLOAT16)],
        "gelu": [elementwise(gelu.program, FLAT), *(elementwise(p, FLAT) for p in pullbacks(gelu))],
        "adam": [elementwise(ADAM, FLAT, numbers=(4, 5, 6, 7))],
        "sum": [reduce("sum", IDENTITY, FLAT), reduce("sum", IDENTITY, STRIDED32), cuda.combine("sum", FLOAT32, FLOAT32)],
        "softmax": [rows(softmax.program, "cached"), rows(softmax.program, "passes"), *(rows(p, "cached") for p in pullbacks(softmax))],
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
    kernels = [rows(program, kept, common, numbers) for kept in KEPT] if program.rows else []
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


QUICK = "--Ofast-compile=max"  # no optimizations: the text is read and translated, which takes a tenth of the time


def compiled(compiler, source, arch, what, *more):
    """(PTX or machine code, the assembler's words on registers), by ``what``: "PTX" or "CUBIN"."""
    library, headers = compiler
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None) == 0
    options = [f"--gpu-architecture={'compute' if what == 'PTX' else 'sm'}_{arch}", "-std=c++17", *more]
    options += [*(f"-I{p}" for p in [ROOT / "gradflow" / "include", *headers]), *(["--ptxas-options=-v"] if what == "CUBIN" else [])]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options)))
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    text = log.value.decode()
    assert not failed, f"NVRTC, {arch}: {text[:4000]}"
    assert "warning" not in text, f"NVRTC, {arch}: {text[:4000]}"
    getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{what}")(program, code)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw, text


@functools.cache
def surroundings():
    """What a compilation depends on besides the kernels."""
    library, headers = nvrtc()
    major, minor = ctypes.c_int(), ctypes.c_int()
    library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    ours = sorted((ROOT / "gradflow" / "include").rglob("*.h"))
    return "\0".join([f"{major.value}.{minor.value}", *headers, *(h.read_text() for h in ours)])


def compile_all(compiler, kernels, arch, what="CUBIN", *more):
    """Many kernels at a time: starting the compiler and reading headers takes longer than most kernels do. Gives the assembler's words,
    which are kept in ``build/nvrtc`` for the same kernels."""
    kernels = sorted({k.name: k for k in kernels}.values())
    key = "\0".join([surroundings(), str(arch), what, *more, *(k.text for k in kernels)])
    path = ROOT / "build" / "nvrtc" / hashlib.blake2s(key.encode(), digest_size=12).hexdigest()
    if path.exists():
        return path.read_text()
    size = 16 if QUICK not in more else 64
    count = -(-len(kernels) // size)
    batches = [kernels[i::count] for i in range(count)]
    sources = ['#include "gradflow/device_half.h"\n' + "\n".join(k.text for k in b) for b in batches]
    words = []
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda source: compiled(compiler, source, arch, what, *more), sources)
        for (code, text), batch in zip(results, batches):
            assert all(k.name.encode() in code for k in batch)
            words.append(text)
    print(f"sm_{arch}: {len(kernels)} kernels")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(f".{os.getpid()}").write_text("".join(words))
    path.with_suffix(f".{os.getpid()}").replace(path)
    return "".join(words)


def registers(words):
    """(kernel, bytes that it spills, registers) of each."""
    found = re.findall(r"entry function '(\S+)' for.*\n.*\n.* (\d+) bytes spill stores.*\n.*Used (\d+) registers", words)
    assert found
    return [(name, int(spilled), int(used)) for name, spilled, used in found]


def check_registers(compiler, kernels, arch):
    """No kernel runs out of registers, and a block's threads have as many as they need. The assembler is less careful with many kernels at a
    time than with one, as the backend gives it."""
    kernels = {k.name: k for k in kernels}
    for name, spilled, used in registers(compile_all(compiler, kernels.values(), arch)):
        threads = int(re.search(r"__launch_bounds__\((\d+)\)", kernels[name].text)[1])
        assert used <= 65536 // threads, (name, used)
        if spilled:
            assert registers(compile_all(compiler, [kernels[name]], arch))[0][1] == 0, (name, spilled)


def sample():
    """One kernel of every sort."""
    yield from (k for ks in golden_kernels().values() for k in ks)
    yield from (reduce(kind, IDENTITY, STRIDED32) for kind in ("max", "argmax", "prod", "any"))
    yield reduce("sum", OPS["gelu_erf"].program, STRIDED64, BFLOAT16)
    yield from (elementwise(OPS["mul"].program, FLAT, t) for t in (BOOL, INT8, INT64, BFLOAT16, FLOAT64))
    for name in ("lgamma", "digamma", "erfinv", "pow", "remainder_of", "bitwise_left_shift", "tan"):
        if name in OPS:
            yield elementwise(OPS[name].program, STRIDED32, INT64 if name.startswith("bitwise") else FLOAT32)
    yield elementwise(gf.special.bessel_y1.op.program, STRIDED32, FLOAT32)
    yield from (rows(p, "cached") for p in (CROSS_ENTROPY, OPS["affine_rows"].program, OPS["normalize_back"].program))


def is_row_program(kernel):
    return "lanes.join" in kernel.text


def test_nvrtc_compiles_every_program_in_float32(compiler):
    check_registers(compiler, kernels(FLOAT32, [FLAT]), 90)


def test_nvrtc_compiles_every_row_program_in_float32(compiler):
    check_registers(compiler, filter(is_row_program, kernels(FLOAT32, [STRIDED32])), 90)


@pytest.mark.parametrize("common", [FLOAT32, FLOAT64, FLOAT16, BFLOAT16, INT64], ids=lambda t: NAMES[t])
def test_nvrtc_compiles_every_program_in_other_types_and_layouts(compiler, common):
    """Unoptimized: the optimizer and the assembler would see little that is new."""
    walks = {FLOAT32: [STRIDED32, STRIDED64], BFLOAT16: [FLAT]}.get(common, [FLAT, STRIDED32])
    compile_all(compiler, kernels(common, walks), 90, "PTX", QUICK)


def test_nvrtc_compiles_every_reduction(compiler):
    registers = [BOOL, INT8, INT32, INT64, FLOAT16, FLOAT32, FLOAT64]
    check_registers(compiler, reductions(registers, [FLAT]), 90)
    compile_all(compiler, reductions(range(len(NAMES)), [STRIDED32, STRIDED64]), 90, "PTX", QUICK)


def test_nvrtc_compiles_what_moves_by_index(compiler):
    moves = [cuda_moves.take(size, index, w) for size in cuda_moves.BITS for index in (INT32, INT64) for w in (STRIDED32, STRIDED64)]
    moves += [cuda_moves.places(index, w) for index in (INT32, INT64) for w in (STRIDED32, STRIDED64)]
    moves += [cuda_moves.fold_segments(fold, dtype, INT64, STRIDED32) for fold in cuda_moves.AT for dtype in range(len(NAMES))]
    moves += [cuda_moves.scan(kind, dtype, STRIDED32) for kind in range(4) for dtype in (BOOL, INT8, INT64, FLOAT16, FLOAT32, FLOAT64)]
    moves += [cuda_moves.add_atomically(dtype, INT64, STRIDED32) for dtype in cuda_moves.ATOMIC]
    check_registers(compiler, moves, 90)


def test_nvrtc_compiles_places(compiler):
    walks = (STRIDED32, STRIDED64)
    kernels = [cuda_places.pick(size, count, w) for size, count in ((1, 2), (2, 1), (4, 3), (8, 6)) for w in walks]
    kernels += [cuda_places.locate(count, STRIDED32) for count in (1, 2, 6)] + [
        cuda_places.put(size, w) for size in cuda_moves.BITS for w in walks
    ]
    kernels += [cuda_places.search(dtype) for dtype in range(1, len(NAMES)) if dtype != BFLOAT16] + [cuda_places.compact()]
    check_registers(compiler, kernels, 90)


@pytest.mark.parametrize("arch", [75, 80, 90, 100, 120])
def test_nvrtc_compiles_for_every_architecture(compiler, arch):
    """A sample: the text is the same for all, and everything for all takes many minutes."""
    everything = os.environ.get("GRADFLOW_NVRTC_ALL") == "1"
    types = [FLOAT16, BFLOAT16, FLOAT32, FLOAT64, INT8, INT64]
    check_registers(compiler, (k for t in types for k in kernels(t, WALKS)) if everything else sample(), arch)


def instructions(compiler, kernel):
    ptx = compiled(compiler, kernel.text, 80, "PTX")[0].decode()
    assert ".local" not in ptx, "arrays of a thread belong in registers"
    return re.findall(r"^\s*(?:@\S+ )?([a-z]\S+)", ptx, re.MULTILINE)


def test_flat_kernels_access_16_bytes(compiler):
    wide = {k: instructions(compiler, elementwise(OPS["mul"].program, FLAT, k)) for k in (FLOAT16, FLOAT32, FLOAT64, INT8)}
    vectors = {FLOAT16: "v4.u32|v8.u16|v2.u64", FLOAT32: "v4.f32|v4.u32", FLOAT64: "v2.f64|v2.u64", INT8: "v4.u32|v2.u64|v16.u8"}
    for dtype, found in wide.items():
        loads = [i for i in found if re.fullmatch(rf"ld\.global\.(?:{vectors[dtype]})", i)]
        assert len(loads) >= 2, (NAMES[dtype], sorted(set(found)))


def test_a_cached_row_is_read_once_and_computed_once(compiler):
    found = instructions(compiler, rows(OPS["softmax_of"].program, "cached"))
    items = cuda_rows.ROW_ITEMS
    assert sum(i.startswith("ld.global") for i in found) == 2 * items  # the row; and the output, if it is added to
    assert sum(i.startswith("ex2") for i in found) == items
