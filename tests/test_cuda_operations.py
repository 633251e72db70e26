"""Every operation at its expression (benchmarks/operations.py) on the device as on the CPU: values, types, errors and gradients, over types and layouts
of the operands. All of them on a real device, and with GRADFLOW_CUDA_ALL=1 on the emulated one; else a sample of them.
"""

import os
import re
import sys
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import gradflow as gf

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.operations import INPUTS, WRITTEN, expressions, flat, named

VARIANTS = [(dtype, layout) for dtype in ("float32", "float64", "float16", "bfloat16") for layout in ("dense", "shifted", "strided")]
TOLERANCES = {"float16": 0.02, "bfloat16": 0.15, "float32": 2e-4, "float64": 1e-8}
# Memory that nobody wrote, the host's own, and states of the generator: nothing to compare.
SKIPPED = re.compile(r"empty|numpy|resize_|rng_state|seed|get_device|x\.device")
TEXTS = [t for t in (marked.lstrip("~!") for marked in expressions()) if not SKIPPED.search(t)]
CASES = [(text, *VARIANTS[(zlib.crc32(text.encode()) + 5 * k) % len(VARIANTS)]) for k in range(3) for text in TEXTS]
CASES += [(text, "float32", "dense") for text in TEXTS]
CASES = list(dict.fromkeys(CASES))
SAMPLE = CASES if os.environ.get("GRADFLOW_CUDA_ALL") == "1" else [c for c in CASES if zlib.crc32(str(c).encode()) % 100 == 7]


def laid(x, layout):
    """The same values in other memory: one element off, so that no access of 16 bytes is aligned; transposed, with room between elements."""
    if layout == "dense" or not x.ndim:
        return x
    room = 2 if layout == "strided" else 1
    order = reversed(range(x.ndim)) if layout == "strided" else range(x.ndim)
    strides, step = [0] * x.ndim, room
    for d in reversed(list(order)):
        strides[d], step = step, step * x.shape[d]
    y = gf.zeros(room * x.numel() + 1, dtype=x.dtype, device=x.device).as_strided(x.shape, strides, 1)
    with gf.no_grad():
        y.copy_(x)
    return y


@cache
def array(name):
    return INPUTS[name](np.random.default_rng(zlib.crc32(name.encode())), 1000)


def outcome(text, dtype, layout, where):
    """[results, gradients], or the kind of the error."""
    place = {"torch": gf}
    for name in named(text):
        x = gf.tensor(array(name), device="cpu")
        if x.dtype is gf.float32:
            x = x.to(getattr(gf, dtype))
        place[name] = laid(x.to(where), layout)
    leaves = [] if WRITTEN & set(named(text)) else [x.requires_grad_() for x in place.values() if x is not gf and x.is_floating_point()]
    gf.manual_seed(0)
    try:
        with gf.device(where):
            try:
                result = eval(text, place)
            except SyntaxError:
                (changed,) = WRITTEN.intersection(named(text))
                exec(text, place)
                result = place[changed]
            results = flat(result)
            wanted = [y for y in results if getattr(y, "requires_grad", False) and y.is_floating_point()]
            if wanted:
                gf.autograd.backward(wanted, [gf.cos(y.detach()) for y in wanted])
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        return [type(error)]
    return [*results, *(x.grad for x in leaves if wanted)]


def collected(driver):
    for text, dtype, layout in SAMPLE:
        try:
            outcome(text, dtype, layout, "cuda")
        except Exception as error:  # values are whatever the memory held
            print(f"{text}: {type(error).__name__}: {error}", file=sys.stderr)


COLLECTED = [collected]


def check(text, dtype, layout):
    want = outcome(text, dtype, layout, "cpu")
    for got, expected in zip(outcome(text, dtype, layout, "cuda"), want, strict=True):
        if not isinstance(expected, gf.Tensor):
            assert got is expected or got == pytest.approx(expected, rel=TOLERANCES[dtype])
            continue
        assert got.dtype is expected.dtype and got.shape == expected.shape
        assert got.is_cuda or not expected.ndim
        g, e = (t.detach().cpu().to(gf.float64).numpy() if t.is_floating_point() else t.detach().cpu().numpy() for t in (got, expected))
        finite = np.abs(e[np.isfinite(e)]) if e.dtype.kind == "f" else e
        scale = max(1.0, float(finite.max(initial=0))) if e.dtype.kind == "f" else 1
        tolerance = TOLERANCES[str(expected.dtype).removeprefix("torch.")] if expected.is_floating_point() else 0
        np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance * scale if tolerance else 0)


def pytest_generate_tests(metafunc):
    metafunc.parametrize("case", CASES if metafunc.config.option.markexpr == "gpu" else SAMPLE, ids=" ".join)


@pytest.mark.filterwarnings("ignore")  # what is deprecated says so
def test_every_operation(device, case):
    check(*case)
