"""Programs that the extension has as compiled loops give what the interpreter gives, and are those of the formulas as they are now."""

import pickle
import subprocess
import sys

import make_kernels
import numpy as np
import pytest

from gradflow import backends as b
from gradflow.backends import cpu
from gradflow.scalar import loops
from gradflow.scalar.types import FLOAT32, INT64

RECORDED = subprocess.run([sys.executable, make_kernels.__file__, "--pickle"], capture_output=True, check=True).stdout
PROGRAMS = {f"{t.program.name}_{loops.digest(t)[:4]}": t for t in pickle.loads(RECORDED)}


def test_the_file_is_that_of_the_formulas():
    assert make_kernels.TARGET.read_text() == loops.source(PROGRAMS.values()), "run python tests/make_kernels.py and build again"


@pytest.fixture(params=PROGRAMS)
def kernels(request, monkeypatch):
    """(the typed program, compiled, interpreted)"""
    typed = PROGRAMS[request.param]
    assert cpu.compiled(typed) >= 0, "not in the extension: build it again"
    fast = cpu.prepare(typed.program)
    b_inputs = inputs(typed, (2, 3), np.random.default_rng(0))
    run(typed, fast, b_inputs)  # typed now
    monkeypatch.setattr(cpu, "compiled", lambda typed: -1)
    slow = cpu.prepare(typed.program)
    run(typed, slow, b_inputs)
    return typed, fast, slow


@pytest.fixture
def threads():
    before = b.cpu._ext.get_num_threads()
    yield b.cpu._ext.set_num_threads
    b.cpu._ext.set_num_threads(before)


def inputs(typed, shape, rng, special=False):
    result = []
    for i in range(typed.program.inputs):
        own = (*shape[:-1], 1) if i in typed.program.row_inputs else shape
        x = rng.standard_normal(own)
        if special and i not in typed.program.row_inputs:
            x.reshape(-1)[:: max(1, x.size // 5)] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, 1e-30])
        kind = {FLOAT32: np.float32, INT64: np.int64}.get(typed.types[i], np.bool_)
        result.append((np.abs(x) + 0.1 if i in typed.program.row_inputs else x * 2).astype(kind))
    return result


def run(typed, kernel, arrays, out=None, accumulate=0):
    if typed.program.rows:
        result = b.rows(kernel, tuple(arrays), arrays[0].ndim - 1, out, accumulate)
    else:
        result = b.elementwise(kernel, tuple(arrays), out, accumulate)
    return result if isinstance(result, tuple) else (result,)


def close(got, want, typed):
    for g, w in zip(got, want, strict=True):
        size = np.abs(w[np.isfinite(w)]).max(initial=0) if typed.program.rows else 0
        np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5 + 1e-6 * size)


# One element, less and more than a vector and a piece, several tiles, rows too long for a tile
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 16), (7, 33), (5, 255), (9, 256), (3, 700), (70, 130), (2, 70000)])
def test_they_agree(kernels, shape):
    typed, fast, slow = kernels
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        for special in (False, True):
            arrays = inputs(typed, shape, rng, special)
            close(run(typed, fast, arrays), run(typed, slow, arrays), typed)


def test_they_agree_in_place_and_over_strides(kernels, threads):
    typed, fast, slow = kernels
    rng = np.random.default_rng(2)
    arrays = inputs(typed, (40, 300), rng)
    want = run(typed, slow, arrays)
    bits = []
    for n in (1, 2):
        threads(n)
        bits.append([g.tobytes() for g in run(typed, fast, arrays)])
    assert bits[0] == bits[1]
    strided = [x if x.shape[-1] == 1 else np.repeat(x, 2, -1)[:, ::2] for x in arrays]
    close(run(typed, fast, strided), want, typed)
    backwards = [np.ascontiguousarray(x[::-1])[::-1] for x in arrays]
    close(run(typed, fast, backwards), want, typed)
    # one row for all: what an affine normalisation's weight is
    for k in range(len(arrays)):
        if arrays[k].shape[-1] > 1 and k:
            one = [x[:1] if j == k else x for j, x in enumerate(arrays)]
            close(run(typed, fast, one), run(typed, slow, one), typed)
    for k, w in enumerate(want):
        if w.shape != arrays[0].shape or w.dtype != arrays[0].dtype:
            continue
        copies = [x.copy() for x in arrays]
        outs = [None] * len(want)
        outs[k] = copies[0]
        close(run(typed, fast, copies, tuple(outs) if len(want) > 1 else outs[0]), want, typed)
        copies = [x.copy() for x in arrays]
        outs[k] = np.ones_like(w)
        got = run(typed, fast, copies, tuple(outs) if len(want) > 1 else outs[0], 1 << k)
        close([got[k]], [w + 1], typed)
