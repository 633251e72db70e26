"""The scalar primitives in float32, on integers and booleans, their casts and random numbers; and that NVRTC takes the header."""

import ctypes
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scalar_harness import INCLUDE, ISAS, NUMPY, REGISTER, SPECIAL, ULP, Harness, every_type, pairs, same

# float32 functions that are calls or loops of their own: not hot, not vectorised.
SCALAR = {"digamma", "fmod", "remainder", "floor_divide", "copysign", "zeta", "igamma", "igammac"}


@pytest.fixture(scope="session")
def everything():
    return every_type()


@pytest.fixture(scope="session", params=list(ISAS))
def harness(request):
    return Harness(request.param)


@pytest.fixture(scope="session")
def sweep():
    """Every 997th bit pattern (all exponents, both signs, nan), denser where functions bend, and the special values."""
    rng = np.random.default_rng(0)
    patterns = np.arange(0, 2**32, 997, dtype=np.uint64).astype(np.uint32).view(np.float32)
    dense = np.concatenate([rng.normal(scale=s, size=100_000) for s in (0.3, 3, 30)] + [1 + rng.normal(scale=1e-3, size=50_000)])
    return np.concatenate([SPECIAL, patterns, dense.astype(np.float32)])


@pytest.fixture(scope="session")
def truth(everything, sweep):
    """Name -> the unary function in float64 over the sweep: NumPy's, or the header's float64 body, itself tested below."""
    known = {}
    with np.errstate(invalid="ignore"):  # signalling nans
        wide = sweep.astype(np.float64)

    def of(name):
        if name not in known:
            with np.errstate(all="ignore"):
                if name == "rsqrt":
                    known[name] = 1 / np.sqrt(wide)
                elif hasattr(np, NUMPY.get(name, name)):
                    known[name] = getattr(np, NUMPY.get(name, name))(wide)
                else:
                    known[name] = everything.apply(name, wide)
        return known[name]

    return of


UNARY = [name for name in ULP if name not in ("pow", "atan2", "add", "sub", "mul", "div", "zeta", "igamma", "igammac")]


@pytest.mark.parametrize("name", UNARY)
def test_unary_float32(name, harness, sweep, truth):
    y = harness.apply(name, sweep)
    error, where = harness.worst(y, truth(name))
    assert error <= ULP[name], f"{name}({sweep[where]!r}) gives {y[where]!r}, not {truth(name)[where]!r}: {error:.3f} ulp"


@pytest.mark.parametrize("name", ["pow", "atan2", "add", "sub", "mul", "div"])
def test_binary_float32(name, harness):
    rng = np.random.default_rng(1)
    special = [g.ravel() for g in np.meshgrid(SPECIAL, SPECIAL)]
    bits = [rng.integers(0, 2**32, 500_000, dtype=np.uint64).astype(np.uint32).view(np.float32) for _ in range(2)]
    usual = [np.abs(rng.normal(scale=5, size=500_000)), rng.normal(scale=10, size=500_000)]
    near_one = [1 + rng.normal(scale=1e-3, size=200_000), rng.normal(scale=1e4, size=200_000)]
    whole = [rng.integers(-20, 21, 100_000), rng.integers(-20, 21, 100_000)]
    with np.errstate(all="ignore"):
        a, b = (np.concatenate(parts).astype(np.float32) for parts in zip(special, bits, usual, near_one, whole))
        reference = {"pow": np.power, "atan2": np.arctan2, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name]
        truth = reference(a.astype(np.float64), b.astype(np.float64))
    y = harness.apply(name, a, b)
    error, where = harness.worst(y, truth)
    assert error <= ULP[name], f"{name}({a[where]!r}, {b[where]!r}) gives {y[where]!r}, not {truth[where]!r}: {error:.3f} ulp"


def test_every_float_function_is_bounded(everything):
    exact = {"sign", "maximum", "minimum", "fmod", "remainder", "floor_divide", "copysign"}  # compared bit by bit below
    comparisons = {"eq", "ne", "lt", "le", "gt", "ge", "where"}
    assert {name for name, domain in everything.domains.items() if domain != "I"} == ULP.keys() | exact | comparisons


@pytest.mark.skipif(not shutil.which("objdump"), reason="needs objdump")
def test_float32_loops_are_vectorised(harness):
    """Each loop computes in the widest registers of its instruction set."""
    register = REGISTER[harness.variant]
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", harness.path], capture_output=True, text=True, check=True).stdout
    arithmetic = re.compile(
        rf"\tv?(?:f?n?m?(?:add|sub|mul|div|sqrt|round|rndscale|cmp\w*|max|min|xor|and|or|blend\w*|ternlog)\w*|p(?:and|or|xor|blend)\w*) .*%{register}"
    )
    body = dict(re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)*)", listing, re.M))
    names = [n for n, domain in harness.domains.items() if domain != "I" and n not in SCALAR]
    assert [n for n in names if not arithmetic.search(body[f"{n}_float"])] == []


# --- float32: exact functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_division_with_remainder_of_floats(everything, dtype):
    rng = np.random.default_rng(2)
    a, b = pairs(np.concatenate([SPECIAL, rng.normal(size=40), rng.normal(scale=100, size=40), np.arange(-8, 9)]).astype(dtype))
    with np.errstate(all="ignore"):
        m = np.fmod(a, b)
        assert same(everything.apply("fmod", a, b), m)
        assert same(everything.apply("remainder", a, b), np.where((m != 0) & ((m < 0) != (b < 0)), m + b, m))
        assert same(everything.apply("floor_divide", a, b), np.floor_divide(a, b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_order_and_choice(everything, dtype):
    a, b = pairs(SPECIAL.astype(dtype))
    with np.errstate(all="ignore"):
        assert np.array_equal(everything.apply("maximum", a, b), np.maximum(a, b), equal_nan=True)
        assert np.array_equal(everything.apply("minimum", a, b), np.minimum(a, b), equal_nan=True)
        assert same(everything.apply("sign", a), np.nan_to_num(np.sign(a)))  # 0 at nan, as torch
        assert same(everything.apply("copysign", a, b), np.copysign(a, b))
    for name, reference in {
        "eq": "equal",
        "ne": "not_equal",
        "lt": "less",
        "le": "less_equal",
        "gt": "greater",
        "ge": "greater_equal",
    }.items():
        assert np.array_equal(everything.apply(name, a, b, out=np.uint8), getattr(np, reference)(a, b))
    c = np.arange(a.size) % 3 == 0
    assert same(everything.apply("where", c, a, b), np.where(c, a, b))


# --- integers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers(everything, dtype):
    info = np.iinfo(dtype)
    width, least = info.bits, int(info.min)
    edges = [0, 1, 2, 3, 5, 7, 31, 32, 33, 63, 64, 65, 1000, info.max, info.max - 1, info.max // 3]
    a, b = pairs(np.array(edges + [-e for e in edges] + [least, least + 1], dtype))

    def wrap(n):
        return (n - least) % 2**width + least

    def power(x, y):
        if y >= 0:
            return pow(x, y, 2**width)
        return 1 if x == 1 else (-1 if y % 2 else 1) if x == -1 else 0

    def shift_left(x, y):
        return x << y if 0 <= y < width else 0

    def shift_right(x, y):
        return x >> y if 0 <= y < width else -(x < 0)

    def fmod(x, y):
        return 0 if y == 0 else abs(x) % abs(y) * (-1 if x < 0 else 1)

    expected = {
        "add": lambda x, y: x + y, "sub": lambda x, y: x - y, "mul": lambda x, y: x * y, "maximum": max, "minimum": min,
        "floor_divide": lambda x, y: x // y if y else 0, "remainder": lambda x, y: x % y if y else 0, "fmod": fmod, "pow": power,
        "bit_and": lambda x, y: x & y, "bit_or": lambda x, y: x | y, "bit_xor": lambda x, y: x ^ y,
        "shift_left": shift_left, "shift_right": shift_right,
    }  # fmt: skip
    for name, function in expected.items():
        y = everything.apply(name, a, b)
        assert y.tolist() == [wrap(function(int(p), int(q))) for p, q in zip(a, b)], name
    unary = {"neg": lambda x: -x, "abs": abs, "sign": lambda x: (x > 0) - (x < 0), "bit_not": lambda x: ~x}
    unary |= dict.fromkeys(["floor", "ceil", "trunc", "round"], lambda x: x)
    for name, function in unary.items():
        assert everything.apply(name, a).tolist() == [wrap(function(int(p))) for p in a], name
    for name, reference in {
        "eq": "equal",
        "ne": "not_equal",
        "lt": "less",
        "le": "less_equal",
        "gt": "greater",
        "ge": "greater_equal",
    }.items():
        assert np.array_equal(everything.apply(name, a, b, out=np.uint8), getattr(np, reference)(a, b)), name


def test_booleans(everything):
    a, b = pairs(np.array([False, True]))
    tables = {"add": a | b, "mul": a & b, "maximum": a | b, "minimum": a & b, "bit_and": a & b, "bit_or": a | b, "bit_xor": a ^ b,
              "shift_left": a & ~b, "shift_right": a & ~b, "eq": a == b, "ne": a != b, "lt": ~a & b, "ge": a | ~b}  # fmt: skip
    for name, expected in tables.items():
        assert np.array_equal(everything.apply(name, a, b), expected), name
    assert np.array_equal(everything.apply("bit_not", a), ~a)


def test_casts(everything):
    def cast(x, to):
        names = {"bool": "bool8", "int32": "int32", "int64": "int64", "float32": "float", "float64": "double"}
        y = np.empty(x.shape, to)
        everything.call(f"cast_{names[x.dtype.name]}_to_{names[np.dtype(to).name]}", y, x, x.size)
        return y

    beyond = [np.inf, -np.inf, np.nan, 1e20, -1e20]
    for dtype in (np.float32, np.float64):
        x = np.array([0.0, -0.0, 0.9, -0.9, 1.5, -2.5, 2**30, -(2**31), *beyond, 2**31], dtype)
        least = np.iinfo(np.int32).min
        assert cast(x, np.int32).tolist() == [0, 0, 0, 0, 1, -2, 2**30, -(2**31)] + [least] * 6
        least = np.iinfo(np.int64).min
        assert cast(x, np.int64).tolist() == [0, 0, 0, 0, 1, -2, 2**30, -(2**31)] + [least] * 5 + [2**31]
        assert cast(x, np.bool_).tolist() == [False, False] + [True] * 12
    wide = np.array([0, 1, -1, 2**31 + 5, -(2**40) - 3, 2**53 + 1], np.int64)
    assert cast(wide, np.int32).tolist() == [0, 1, -1, 5 - 2**31, -3, 1]
    assert np.array_equal(cast(wide, np.float32), wide.astype(np.float32))
    assert np.array_equal(cast(wide, np.float64), wide.astype(np.float64))
    assert cast(np.array([1e-50, 1e39, np.nan]), np.float32).tolist()[:2] == [0, np.inf]
    assert cast(np.array([True, False]), np.float32).tolist() == [1, 0]


# --- random numbers ------------------------------------------------------------------------------------------------------

# Known answers of Random123 for philox4x32 with ten rounds: key, counter, result.
PHILOX = [
    ([0] * 2, [0] * 4, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 2, [0xFFFFFFFF] * 4, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0xA4093822, 0x299F31D0], [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]


@pytest.mark.parametrize(("key", "counter", "words"), PHILOX)
def test_philox_known_answers(harness, key, counter, words):
    y = np.empty(4, np.uint32)
    harness.call("philox_words", y, np.array(key, np.uint32), np.array(counter, np.uint32))
    assert y.tolist() == words


def test_philox_stream(harness):
    seed, first, n = 0x123456789ABCDEF, 2**33 - 5, 500
    tile = np.empty(4 * n, np.uint32)
    harness.call("philox_tile", tile, seed, first, n)
    single = np.empty(4 * n, np.int64)
    harness.call("random_elements", single, seed, 4 * first, 4 * n)
    assert np.array_equal(single, tile)


# --- CUDA ------------------------------------------------------------------------------------------------------------------

CUDA = r"""
#include "gradflow/scalar.h"
#define UNARY(T, name) if (k == n++) ((T*)y)[i] = gf::prim::name(((const T*)a)[i]);
#define BINARY(T, name) if (k == n++) ((T*)y)[i] = gf::prim::name(((const T*)a)[i], ((const T*)b)[i]);
#define COMPARE(T, name) if (k == n++) ((gf::bool8*)y)[i] = gf::prim::name(((const T*)a)[i], ((const T*)b)[i]);
#define CHOOSE(T, name) if (k == n++) ((T*)y)[i] = gf::prim::name(((const gf::bool8*)c)[i], ((const T*)a)[i], ((const T*)b)[i]);
#define CAST(To, From) if (k == n++) ((To*)y)[i] = gf::prim::cast<To>(((const From*)a)[i]);
#define U(name, domain) GF_DOMAIN_##domain(UNARY, name)
#define B(name, domain) GF_DOMAIN_##domain(BINARY, name)
#define C(name, domain) GF_DOMAIN_##domain(COMPARE, name)
#define T(name, domain) GF_DOMAIN_##domain(CHOOSE, name)
extern "C" __global__ void every_primitive(void* y, const void* a, const void* b, const void* c, int k) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, n = 0;
    GF_PRIMITIVES(U, B, T, C)
    GF_DOMAIN_A(CAST, gf::bool8) GF_DOMAIN_A(CAST, gf::int32) GF_DOMAIN_A(CAST, gf::int64) GF_DOMAIN_A(CAST, float)
    GF_DOMAIN_A(CAST, double)
    if (k == n++) ((gf::int64*)y)[i] = gf::random_bits(((const gf::int64*)a)[0], i);
}
"""


def find_nvrtc():
    for folder in {*site.getsitepackages(), site.getusersitepackages(), *sys.path}:
        for path in Path(folder).glob("nvidia/**/libnvrtc.so*"):
            return path
    return None


@pytest.mark.nvrtc
def test_header_compiles_for_cuda():
    path = find_nvrtc()
    if path is None:
        pytest.skip("needs NVRTC: the wheel nvidia-cuda-nvrtc is not installed")
    nvrtc = ctypes.CDLL(str(path))
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), CUDA.encode(), b"every_primitive.cu", 0, None, None) == 0
    options = [b"--gpu-architecture=sm_90", b"--std=c++17", f"-I{INCLUDE}".encode()]
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert (status, log.value.decode()) == (0, "")
