"""The scalar primitives of gradflow/include/gradflow, compiled here for every instruction set that this machine has."""

import ctypes
import math
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradflow as gf

INCLUDE = Path(__file__).parents[1] / "gradflow" / "include"

# Largest error of each float32 function, in units in the last place of the result.
ULP = {
    "exp": 1.5, "exp2": 1.5, "expm1": 2, "log": 1.5, "log2": 1, "log10": 1, "log1p": 2, "sqrt": 0.501, "rsqrt": 1.6, "reciprocal": 0.501,
    "sin": 2, "cos": 2, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "sinh": 1, "cosh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "tanh": 2,
    "erf": 2, "erfc": 1, "erfinv": 1, "lgamma": 0.501, "digamma": 0.501, "pow": 1, "atan2": 1, "zeta": 0.501, "igamma": 0.501, "igammac": 0.501,
    "neg": 0, "abs": 0, "floor": 0, "ceil": 0, "trunc": 0, "round": 0, "add": 0.501, "sub": 0.501, "mul": 0.501, "div": 0.501,
}  # fmt: skip

# float32 functions that are calls or loops of their own: not hot, not vectorised.
SCALAR = {"digamma", "fmod", "remainder", "floor_divide", "copysign", "zeta", "igamma", "igammac"}

HARNESS = (Path(__file__).parent / "scalar_harness.cpp").read_text()

ISAS = {"v2": "sse4_2", "v3": "avx2", "v4": "avx512vl"}
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{INCLUDE}"]
REGISTER = {"v2": "xmm", "v3": "ymm", "v4": "zmm"}


def supported(isa):
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and ISAS[isa] in cpuinfo.read_text().split()


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """Instruction set -> path of the compiled harness; "all" has every type, without instructions beyond the machine's base."""
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("scalar")
    source = folder / "harness.cpp"
    source.write_text("#include <algorithm>\n" + HARNESS)
    variants = {"all": ["-DALL_TYPES", "-O2"]}
    for isa in filter(supported, ISAS):
        variants[isa] = [f"-march=x86-64-{isa}", "-mprefer-vector-width=512" if isa == "v4" else "-mtune=generic"]
    running = {
        name: subprocess.Popen([compiler, *FLAGS, *flags, source, "-o", folder / f"{name}.so"], stderr=subprocess.PIPE, text=True)
        for name, flags in variants.items()
    }
    for process in running.values():
        _, messages = process.communicate()
        assert process.returncode == 0, messages
    return {name: folder / f"{name}.so" for name in variants}


class Harness:
    def __init__(self, path):
        self.path = path
        self.library = ctypes.CDLL(str(path))
        self.library.names.restype = ctypes.c_char_p
        self.library.worst_ulp.restype = ctypes.c_double
        self.domains = dict(entry.split() for entry in self.library.names().decode().strip(",").split(","))

    def call(self, function, *arguments):
        converted = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int64(a) for a in arguments]
        return getattr(self.library, function)(*converted)

    def apply(self, name, *arrays, out=None):
        """The primitive on equal arrays of one type (a `where` also takes booleans first)."""
        arrays = [np.ascontiguousarray(a) for a in arrays]
        kind = {"f4": "float", "f8": "double", "i4": "int32", "i8": "int64", "b1": "bool8", "u1": "bool8"}[arrays[-1].dtype.str[1:]]
        y = np.empty(arrays[0].shape, out or arrays[-1].dtype)
        self.call(f"{name}_{kind}", y, *arrays, y.size)
        return y

    def worst(self, y, truth):
        where = ctypes.c_int64()
        truth = np.ascontiguousarray(truth, np.float64)
        arguments = (ctypes.c_void_p(y.ctypes.data), ctypes.c_void_p(truth.ctypes.data), ctypes.c_int64(y.size), ctypes.byref(where))
        return self.library.worst_ulp(*arguments), where.value


@pytest.fixture(scope="session")
def everything(libraries):
    return Harness(libraries["all"])


@pytest.fixture(scope="session", params=list(ISAS))
def harness(request, libraries):
    if request.param not in libraries:
        pytest.skip(f"this machine has no x86-64-{request.param}")
    return Harness(libraries[request.param])


SPECIAL = np.array(
    [0.0, 1, 0.5, 2, 3, 1.5, 2.5, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, np.inf, np.nan, 0.99999994, 1.0000001, 4, 10, 88.72283,
     88.72284, 103.97207, 103.97208, 127.99999, 128, 149, 149.5, 150, 16777215, 16777216, 16777217, 1e-10, 6.1e-5, 0.6, 1e10, 1e20],
    np.float32,
)  # fmt: skip
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


@pytest.fixture(scope="session")
def sweep():
    """Every 997th bit pattern (all exponents, both signs, nan), denser where functions bend, and the special values."""
    rng = np.random.default_rng(0)
    patterns = np.arange(0, 2**32, 997, dtype=np.uint64).astype(np.uint32).view(np.float32)
    dense = np.concatenate([rng.normal(scale=s, size=100_000) for s in (0.3, 3, 30)] + [1 + rng.normal(scale=1e-3, size=50_000)])
    return np.concatenate([SPECIAL, patterns, dense.astype(np.float32)])


NUMPY = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "neg": "negative",
}
NUMPY |= {"round": "rint", "abs": "absolute"}


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
    register = REGISTER[harness.path.stem]
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", harness.path], capture_output=True, text=True, check=True).stdout
    arithmetic = re.compile(
        rf"\tv?(?:f?n?m?(?:add|sub|mul|div|sqrt|round|rndscale|cmp\w*|max|min|xor|and|or|blend\w*|ternlog)\w*|p(?:and|or|xor|blend)\w*) .*%{register}"
    )
    body = dict(re.findall(r"^[0-9a-f]+ <(\w+)>:\n((?:.+\n)*)", listing, re.M))
    names = [n for n, domain in harness.domains.items() if domain != "I" and n not in SCALAR]
    assert [n for n in names if not arithmetic.search(body[f"{n}_float"])] == []


# --- float32: exact functions ------------------------------------------------------------------------------------


def same(y, truth):
    return np.array_equal(y, truth, equal_nan=True) and np.array_equal(np.signbit(y[y == 0]), np.signbit(truth[y == 0]))


def pairs(values):
    return tuple(g.ravel().copy() for g in np.meshgrid(values, values))


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


# --- float64 bodies of our own --------------------------------------------------------------------------------------


# float64 functions: (where they are swept, the largest error allowed in units in the last place)
WIDE = {
    "exp": (-750, 715, 1), "exp2": (-1080, 1026, 1.1), "expm1": (-45, 712, 1.6), "log": (0, 50, 1), "log2": (0, 50, 1), "log10": (0, 50, 1),
    "log1p": (-1, 50, 1.5), "sin": (-40, 40, 1), "cos": (-40, 40, 1), "tan": (-40, 40, 1.7), "asin": (-1, 1, 1.2), "acos": (-1, 1, 1.2),
    "atan": (-20, 20, 1.5), "sinh": (-712, 712, 2), "cosh": (-712, 712, 1.5), "tanh": (-22, 22, 2.1), "asinh": (-1e3, 1e3, 2), "acosh": (1, 1e3, 2.5),
    "atanh": (-1, 1, 2), "erf": (-7, 7, 2), "erfc": (-7, 28, 3.5), "pow": (0, 10, 1.7), "atan2": (-10, 10, 1.7),
}  # fmt: skip
EXTENDED = np.finfo(np.longdouble).nmant > 60


def wide_sweep(low, high):
    rng = np.random.default_rng(3)
    special = np.concatenate(
        [SPECIAL.astype(np.float64), [5e-324, -5e-324, 2.3e-308, 1e300, -1e300, 1.7e308, -1.7e308, 1e15 + 1, 2.0**53, 1e6, 1e-300]]
    )
    small = rng.choice([-1, 1], 4000) * 10 ** rng.uniform(-310, 0, 4000)
    return np.concatenate(
        [special, rng.uniform(low, high, 20_000), rng.uniform(max(low, -2), min(high, 2), 10_000), small, 1 + small[:1000]]
    )


def wide_error(y, truth):
    """The largest error in units in the last place; infinite where nan, an infinity or the sign of a zero is wrong."""
    with np.errstate(over="ignore"):
        rounded = truth.astype(np.float64)
    exact = (y == rounded) & (np.signbit(y) == np.signbit(rounded)) | (np.isnan(y) & np.isnan(rounded))
    with np.errstate(all="ignore"):
        distance = (np.abs(y - truth) / np.spacing(np.abs(rounded) * (1 - 1e-16))).astype(np.float64)
    error = np.where(exact, 0, np.where(np.isfinite(y) & np.isfinite(rounded) & ~((y == 0) & (rounded == 0)), distance, np.inf))
    return error.max(), error.argmax()


@pytest.mark.skipif(not EXTENDED, reason="needs a long double that is wider than a double")
@pytest.mark.parametrize("name", WIDE)
def test_float64(name, everything):
    """As compiled here, and as the extension computes tiles."""
    low, high, limit = WIDE[name]
    a = wide_sweep(low, high)
    operands = (a, np.random.default_rng(4).permutation(wide_sweep(-200, 200))) if name in ("pow", "atan2") else (a,)
    if len(operands) == 2:
        operands = tuple(np.concatenate(parts) for parts in zip(operands, pairs(a[: 2 * SPECIAL.size])))
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            truth = np.array([getattr(math, name)(x) for x in a]).astype(np.longdouble)
        else:
            truth = getattr(np, {"pow": "power", "atan2": "arctan2"}.get(name, NUMPY.get(name, name)))(
                *(x.astype(np.longdouble) for x in operands)
            )
    own = {"erf": gf.special.erf, "erfc": gf.special.erfc}.get(name) or getattr(gf, name)
    for y in (everything.apply(name, *operands), own(*map(gf.tensor, operands)).numpy()):
        error, where = wide_error(y, truth)
        assert error <= limit, f"{name}{tuple(x[where] for x in operands)} gives {y[where]!r}, not {truth[where]!r}: {error:.3f} ulp"


def test_erfinv_float64(everything):
    x = np.concatenate([np.linspace(-1, 1, 2001)[1:-1], 1 - np.logspace(-15, -1, 50), np.logspace(-300, -1, 50)])
    y = everything.apply("erfinv", x)
    for value, root in zip(x, y):
        # one Newton step from the answer moves it by a few units in its last place at most, what x's own rounding allows
        slope = 2 / math.sqrt(math.pi) * math.exp(-root * root)
        error = math.erf(root) - value if abs(value) < 0.5 else math.copysign((1 - abs(value)) - math.erfc(abs(root)), value)
        assert abs(error) <= slope * abs(root) * 1e-15 + 3e-16 * (1 - abs(value) if abs(value) >= 0.5 else abs(value)), (value, root)
    edges = everything.apply("erfinv", np.array([1, -1, 1.5, -np.inf, np.nan, 0.0, -0.0]))
    assert same(edges, np.array([np.inf, -np.inf, np.nan, np.nan, np.nan, 0.0, -0.0]))


def test_digamma_float64(everything):
    euler = 0.57721566490153286
    x = np.array([1, 0.5, 0.25, 2, 10, 100, 1e10, -0.5, -1.5])
    known = [-euler, -euler - 2 * math.log(2), -euler - math.pi / 2 - 3 * math.log(2), 1 - euler, 2.2517525890667211, 4.6001618527380874,
             23.025850929890457, 2 - euler - 2 * math.log(2), 2 + 2 / 3 - euler - 2 * math.log(2)]  # fmt: skip
    assert np.allclose(everything.apply("digamma", x), known, rtol=4e-15, atol=2e-15)
    edges = everything.apply("digamma", np.array([0.0, -0.0, -1, -2, np.inf, -np.inf, np.nan]))
    assert same(edges, np.array([-np.inf, np.inf, np.nan, np.nan, np.inf, np.nan, np.nan]))
    step = np.linspace(0.1, 30, 500)
    assert np.allclose(everything.apply("digamma", step + 1) - everything.apply("digamma", step), 1 / step, rtol=1e-11)


def test_zeta_float64(everything):
    x = np.array([2, 4, 3, 2, 2, 1.5, 4, 2, 3, 60])
    q = np.array([1, 1, 1, 0.5, 2, 1, 100, -0.5, -1.5, 0.5])
    known = [math.pi**2 / 6, math.pi**4 / 90, 1.2020569031595942854, math.pi**2 / 2, math.pi**2 / 6 - 1, 2.6123753486854883433,
             3.38366665000222172e-07, math.pi**2 / 2 + 4, 7 * 1.2020569031595942854 - 8 - 8 / 27, 2.0**60]  # fmt: skip
    assert np.allclose(everything.apply("zeta", x, q), known, rtol=4e-15)
    edges = everything.apply("zeta", np.array([1, 0.5, 2, 2.5, 2, np.nan]), np.array([1.0, 1, -3, -3.5, np.inf, 1]))
    assert same(edges, np.array([np.inf, np.nan, np.inf, np.nan, 0, np.nan]))
    y = everything.apply("zeta", x.astype(np.float32), q.astype(np.float32))
    assert everything.worst(y, np.array(known))[0] <= ULP["zeta"]


def test_incomplete_gamma_float64(everything):
    """Closed forms for whole and half orders; the recurrence for the others; both sum to 1."""
    x = np.array([1e-6, 0.01, 0.3, 1, 1.1, 2, 5, 20, 100])
    for name, one, half in (
        ("igamma", -np.expm1(-x), [math.erf(math.sqrt(v)) for v in x]),
        ("igammac", np.exp(-x), [math.erfc(math.sqrt(v)) for v in x]),
    ):
        assert np.allclose(everything.apply(name, np.full(9, 1.0), x), one, rtol=1e-13, atol=0)
        assert np.allclose(everything.apply(name, np.full(9, 0.5), x), half, rtol=1e-13, atol=0)
    rng = np.random.default_rng(3)
    a = np.concatenate([rng.uniform(0.1, 30, 500), 10 ** rng.uniform(2, 5, 500)])
    x = a * np.concatenate([rng.uniform(0.01, 4, 500), 1 + rng.uniform(-3, 3, 500) / np.sqrt(a[500:])])
    below, above = everything.apply("igamma", a, x), everything.apply("igammac", a, x)
    assert np.abs(below + above - 1).max() < 1e-15
    step = np.array([math.exp(p * math.log(v) - v - math.lgamma(p + 1)) for p, v in zip(a, x)])
    assert np.allclose(above + step, everything.apply("igammac", a + 1, x), rtol=1e-9, atol=0)  # the step itself is no better
    edges = [(0, 1), (1, 0), (0, 0), (-1, 1), (1, -1), (np.inf, 1), (1, np.inf), (np.inf, np.inf), (np.nan, 1), (1, np.nan)]
    a, x = (np.array(v, np.float64) for v in zip(*edges))
    nan = np.nan
    assert same(everything.apply("igamma", a, x), np.array([1, 0, nan, nan, nan, 0, 1, nan, nan, nan]))
    assert same(everything.apply("igammac", a, x), np.array([0, 1, nan, nan, nan, 1, 0, nan, nan, nan]))


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
