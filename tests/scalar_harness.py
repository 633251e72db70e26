"""The scalar primitives of gradflow/include/gradflow, compiled here for every instruction set that this machine has."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
INCLUDE = ROOT / "gradflow" / "include"
HARNESS = "#include <algorithm>\n" + (Path(__file__).parent / "scalar_harness.cpp").read_text()

# Largest error of each float32 function, in units in the last place of the result.
ULP = {
    "exp": 1.5, "exp2": 1.5, "expm1": 2, "log": 1.5, "log2": 1, "log10": 1, "log1p": 2, "sqrt": 0.501, "rsqrt": 1.6, "reciprocal": 0.501,
    "sin": 2, "cos": 2, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "sinh": 1, "cosh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "tanh": 2,
    "erf": 2, "erfc": 1, "erfinv": 1, "lgamma": 0.501, "digamma": 0.501, "pow": 1, "atan2": 1, "zeta": 0.501, "igamma": 0.501, "igammac": 0.501,
    "neg": 0, "abs": 0, "floor": 0, "ceil": 0, "trunc": 0, "round": 0, "add": 0.501, "sub": 0.501, "mul": 0.501, "div": 0.501,
}  # fmt: skip

ISAS = {"v2": "sse4_2", "v3": "avx2", "v4": "avx512vl"}
FLAGS = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{INCLUDE}"]
REGISTER = {"v2": "xmm", "v3": "ymm", "v4": "zmm"}
VARIANTS = {"all": ["-DALL_TYPES", "-O2"]} | {
    isa: [f"-march=x86-64-{isa}", "-mprefer-vector-width=512" if isa == "v4" else "-mtune=generic"] for isa in ISAS
}


def supported(variant):
    cpuinfo = Path("/proc/cpuinfo")
    return variant == "all" or (cpuinfo.exists() and ISAS[variant] in cpuinfo.read_text().split())


def compiled(variant):
    """The library of a variant, kept by all that goes into it."""
    compiler = shutil.which("g++")
    if not compiler:
        pytest.skip("needs g++")
    flags = [*FLAGS, *VARIANTS[variant]]
    inputs = [HARNESS, *flags, *(h.read_text() for h in sorted(INCLUDE.rglob("*.h")))]
    folder = ROOT / "build" / "scalar"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"{hashlib.blake2s(chr(0).join(inputs).encode(), digest_size=12).hexdigest()}-{variant}.so"
    if not library.exists():
        fresh = library.with_suffix(f".{os.getpid()}")
        run = subprocess.run([compiler, *flags, "-x", "c++", "-", "-o", fresh], input=HARNESS, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        os.replace(fresh, library)
    return library


class Harness:
    def __init__(self, variant):
        if not supported(variant):
            pytest.skip(f"this machine has no x86-64-{variant}")
        self.variant, self.path = variant, compiled(variant)
        self.library = ctypes.CDLL(str(self.path))
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


@functools.cache
def every_type():
    """The harness with every register type, without instructions beyond the machine's base."""
    return Harness("all")


SPECIAL = np.array(
    [0.0, 1, 0.5, 2, 3, 1.5, 2.5, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, np.inf, np.nan, 0.99999994, 1.0000001, 4, 10, 88.72283,
     88.72284, 103.97207, 103.97208, 127.99999, 128, 149, 149.5, 150, 16777215, 16777216, 16777217, 1e-10, 6.1e-5, 0.6, 1e10, 1e20],
    np.float32,
)  # fmt: skip
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


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


def same(y, truth):
    return np.array_equal(y, truth, equal_nan=True) and np.array_equal(np.signbit(y[y == 0]), np.signbit(truth[y == 0]))


def pairs(values):
    return tuple(g.ravel().copy() for g in np.meshgrid(values, values))
