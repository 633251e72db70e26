"""The rooms of the package: what each may import, how long a file may be, what an import costs. Lower floors know nothing of higher ones."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradflow"
FILES = sorted(PACKAGE.rglob("*.py"))

TENSORS = {"devices", "dtypes", "errors", "tape", "tensor"}
OPS = {*TENSORS, "backends", "scalar", "kinds", "ops"}
PEOPLE = {"errors", "tensor", "autograd", "ops", "scalar", "utils", "gradflow"}  # what nn, optim and utils are made of: public functions

# floor: (what it imports when it is imported, what its functions import besides). A new file or folder takes its place here.
FLOORS = {
    "_version": (set(), set()),
    "errors": (set(), set()),
    "devices": ({"errors"}, set()),
    "scalar": (set(), set()),
    "backends": ({"scalar", "errors", "_ext"}, set()),
    "dtypes": ({"scalar", "errors", "backends"}, set()),
    "tape": ({"errors", "backends"}, set()),
    "printing": ({"errors"}, set()),
    "attributes": ({"errors", "dtypes", "devices"}, set()),
    "tensor": ({"attributes", "backends", "devices", "errors", "dtypes", "tape"}, {"creation", "overrides", "printing"}),
    "overrides": ({"errors", "methods", "tensor"}, set()),
    "kinds": (OPS - {"ops", "kinds"}, set()),
    "ops": (OPS, set()),
    "fft": ({*TENSORS, "creation", "ops"}, set()),
    "linalg": ({"errors", "kinds", "ops"}, set()),
    "autograd": ({*TENSORS, "backends", "kinds"}, {"checking", "creation", "func"}),
    "checking": ({"errors", "tape", "tensor", "backends", "autograd", "func", "profiler", "gradflow"}, set()),
    "func": ({*TENSORS, "backends", "kinds", "ops", "creation", "autograd"}, set()),
    "creation": (OPS, set()),
    "drawing": ({*OPS, "creation"} - {"kinds"}, set()),
    "constructors": ({*OPS, "creation"}, set()),
    "free": (OPS, set()),
    "methods": ({*OPS, "drawing", "free", "creation", "constructors"}, set()),
    "numpy_calls": ({*TENSORS, "ops", "creation", "methods"}, set()),
    "special": ({"free", "methods", "ops"}, set()),
    "settings": ({"backends", "devices", "errors", "dtypes"}, {"cuda"}),
    "version": ({"_version"}, set()),
    "random": ({"ops"}, set()),
    "hub": ({"serialization"}, set()),
    "types": ({"attributes", "devices", "dtypes", "tensor"}, set()),
    "jit": ({"errors", "nn"}, set()),
    "compiler": ({"errors"}, set()),
    "distributed": (set(), set()),
    "distributions": ({"errors", "tensor", "autograd", "ops", "gradflow"}, set()),
    "signal": ({"errors", "tensor", "gradflow"}, set()),
    "nn": ({*PEOPLE, "kinds"}, set()),
    "optim": ({*PEOPLE, "backends"}, set()),
    "utils": ({"errors", "func", "hub", "tensor", "tape", "autograd", "gradflow"}, set()),
    "serialization": ({"errors", "tensor", "nn", "gradflow"}, set()),
    "testing": (TENSORS, set()),
    "memory": ({"errors", "tape", "tensor"}, set()),
    "runtime": ({"backends"}, {"errors", "_version", "tape"}),
    "amp": ({"errors", "tensor", "scalar", "autograd", "backends", "gradflow"}, {"methods", "nn"}),
    "cuda": ({"errors", "amp"}, {"backends", "ops", "tensor", "autograd", "func", "nn"}),
    "accelerator": (set(), {"cuda", "tensor"}),
    "__main__": ({"runtime"}, {"backends"}),
    "graph": ({"errors", "tape", "tensor", "kinds", "backends"}, {"creation"}),
    "profiler": ({"errors", "kinds", "tensor", "gradflow"}, {"creation", "drawing", "methods", "nn"}),
    "mxnet": ({"errors", "tensor", "tape", "nn", "gradflow"}, set()),
}
# Floors that may be entered by some names only.
DOORS = {
    ("nn", "kinds"): {"elementwise"},  # gf.elementwise: the losses are formulas
    ("distributions", "ops"): {"distributions"},  # NumPy's generator, for gamma numbers
    ("optim", "backends"): {"elementwise", "kernel", "recording"},  # a step is one fused program over arrays
    ("amp", "backends"): {"KINDS", "kernel", "reduce"},  # gradients are looked through by one fold
    ("creation", "kinds"): {"direct"},
    ("constructors", "kinds"): {"direct"},
    ("creation", "tape"): {"node"},
    # a tensor's base
    ("tensor", "backends"): set("TensorBase get_item linked note set_item set_tensor unrecorded update wrap wrap_view".split()),
    ("mxnet", "tape"): {"node", "walk"},  # which leaves lead to an array
    ("utils", "func"): {"trees"},
    ("utils", "tape"): {"hooks", "walk"},  # the handles, which users' tools share; which backward is running
}
DEPENDENCIES = {"numpy", "ml_dtypes", "safetensors", "cupy", "cupy_backends"}
FILE_LINES = 450
# Longer than a file should be; not to grow beyond this, and to be divided.
LONG_FILES: dict[str, int] = {}


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def floor_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(absolute name, whether a function imports it, line) of everything that a file imports, but for type checkers."""
    package = ("gradflow", *path.relative_to(PACKAGE).parts[:-1])

    def visit(node, lazy):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, lazy, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else ()
                module = [*base, *([child.module] if child.module else [])]
                yield from ((".".join([*module, alias.name]), lazy, child.lineno) for alias in child.names)
            elif (
                isinstance(child, ast.Call)
                and ast.unparse(child.func).endswith("import_module")
                and isinstance(child.args[0], ast.Constant)
            ):
                yield child.args[0].value, lazy, child.lineno
            yield from visit(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    return visit(ast.parse(path.read_text()), False)


@pytest.mark.parametrize("path", [f for f in FILES if name_of(f) != "__init__.py"], ids=name_of)
def test_imports_go_down(path):
    floor = floor_of(path)
    assert floor in FLOORS, f"{floor} is new: give it a floor in this test"
    eager, lazily = FLOORS[floor]
    wrong = []
    for name, lazy, line in imports(path):
        top, *rest = name.split(".")
        target = rest[0] if rest else top
        if top != "gradflow" or target == floor:
            continue
        door = DOORS.get((floor, target))
        if target not in eager | (lazily if lazy else set()) or (door and rest[1] not in door):
            wrong.append(f"line {line}: {name}")
    assert not wrong, f"{floor} may import {sorted(eager)}, and in functions {sorted(lazily)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_from_outside(path):
    outside = {name.partition(".")[0] for name, _, _ in imports(path)} - {"gradflow"} - set(sys.stdlib_module_names)
    assert outside <= DEPENDENCIES
    assert not outside & {"cupy", "cupy_backends"} or name_of(path).startswith("backends/cupy_")


def test_these_rules_see_something():
    """The reader of imports finds those that we know."""
    found = {name for name, _, _ in imports(PACKAGE / "backends" / "cpu.py")}
    assert {"gradflow.scalar.program.Program", "gradflow.backends.encode.encode", "gradflow._ext", "os"} <= found
    assert ("gradflow.printing.format_tensor", True) in {(name, lazy) for name, lazy, _ in imports(PACKAGE / "tensor.py")}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_fit_on_a_few_screens(path):
    lines = len(path.read_text().splitlines())
    assert lines <= LONG_FILES.get(name_of(path), FILE_LINES)
    assert name_of(path) not in LONG_FILES or lines > FILE_LINES, "shorter now: take it off the list"


# nn works on tensors; the arrays in them are the operations' business. (file: how often it still touches them, to be mended)
ARRAYS_IN_NN = {"nn/loss_functions.py": 2}


@pytest.mark.parametrize("path", [f for f in FILES if floor_of(f) == "nn"], ids=name_of)
def test_nn_leaves_arrays_alone(path):
    touched = sum(isinstance(n, ast.Attribute) and n.attr == "array" for n in ast.walk(ast.parse(path.read_text())))
    assert touched <= ARRAYS_IN_NN.get(name_of(path), 0)


# Scalar math is written once. These have two bodies because the hardware's libraries differ; a new one must belong here.
TWO_BODIES = set(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma "
    "sqrt floor ceil trunc round abs copysign fmod pow quotient".split()
)


def bodies(text):
    """(functions in branches for CUDA, functions in branches for the CPU) of a header; what the GF_LIBRARY macros make is in both."""
    found = {True: set(), False: set()}
    branch = []  # for each open condition: is this CUDA's side, the CPU's (False), or another condition (None)
    in_macro = False
    for line in text.splitlines():
        continued, in_macro = in_macro, line.endswith("\\") and (in_macro or line.lstrip().startswith("#define"))
        if line.startswith("#if"):
            cuda = "__CUDACC_RTC__" in line
            branch.append(not line.startswith("#ifndef") if cuda else None)
        elif line.startswith("#else") and branch[-1] is not None:
            branch[-1] = not branch[-1]
        elif line.startswith("#endif"):
            branch.pop()
        elif not continued and not line.startswith("#define"):
            sides = [b for b in branch if b is not None]
            for library, name in re.findall(r"^(?:(GF_LIBRARY_)\w+\(|GF_FN \w+ )(\w+)", line):
                for side in (True, False):
                    if side in sides or (library and not sides):
                        found[side].add(name)
    return found[True], found[False]


def test_two_bodies_only_where_the_hardware_differs():
    cuda, cpu = bodies((PACKAGE / "include" / "gradflow" / "scalar.h").read_text())
    assert cuda == TWO_BODIES
    assert cpu == TWO_BODIES
    assert len(TWO_BODIES) == 34


def test_only_these_headers_know_the_compiler():
    """The primitives elsewhere are one text for g++ and NVRTC."""
    headers = {h.name: h.read_text().count("__CUDACC_RTC__") for h in (PACKAGE / "include" / "gradflow").glob("*.h")}
    assert {name for name, count in headers.items() if count} == {"config.h", "scalar.h", "device.h"}
    assert headers["scalar.h"] == 3


# The price of an import

MEASURE = """
import re, sys, time
start = time.process_time()
import {module}
seconds = time.process_time() - start
resident = int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
heavy = [m for m in ("torch", "scipy", "matplotlib", "sklearn", "cupy", "pandas", "jax") if m in sys.modules]
print(seconds, resident, *heavy)
"""


def measure(module, cache):
    """(best seconds of five imports in processes of their own, MB resident, heavy modules that came along)"""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache)}  # from the second one on it is read compiled, as users' is
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = []
    for _ in range(5):
        run = subprocess.run(
            [sys.executable, "-c", MEASURE.format(module=module)], capture_output=True, text=True, check=True, cwd=ROOT, env=env
        )
        runs.append(run.stdout.split())
    return min(float(r[0]) for r in runs), min(float(r[1]) for r in runs), runs[0][2:]


@pytest.mark.skipif(os.environ.get("GRADFLOW_SANITIZED") == "1", reason="the sanitizers' build is heavy and slow by design")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_import_is_light(tmp_path):
    numpy_seconds, _, _ = measure("numpy", tmp_path)
    seconds, resident, heavy = measure("gradflow", tmp_path)
    assert not heavy
    assert resident < 60
    # 0.25 s where numpy takes 0.08; twice that, since machines are noisy, and more where even numpy takes longer.
    assert seconds < 2 * 0.25 * max(1, numpy_seconds / 0.08)
