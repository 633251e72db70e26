"""What the extension does with the process it is in: the instruction set chosen at import, Python's lock given up for long kernels, and
what ``python -m gradflow info`` prints."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scalar_harness import supported

import gradflow as gf
from gradflow import _ext

LEVELS = ("v2", "v3", "v4")

PROGRAM = """
import numpy as np
import gradflow as gf
from gradflow import _ext
gf.manual_seed(0)
x, w = gf.randn(300, 257, requires_grad=True), gf.randn(257, 64, requires_grad=True)
y = gf.nn.functional.gelu(gf.nn.functional.layer_norm(x, (257,)) @ w)
z = (gf.log_softmax(y, 1).exp() + gf.erf(y) - gf.sin(y).cumsum(0) / 300).sum(0)
z.pow(2).mean().backward()
whole = gf.arange(1000).reshape(10, 100)
kept = [y, z, x.grad, w.grad, x.max(1).values, x.argmin(1), whole // 7 % 5, (whole * whole).sum(1), x.double().exp().sum()]
print(_ext.isa(), *(f"{k.double().abs().sum().item():.17g}" for k in kept))
"""


def run(code, **environment):
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment)
    return out.stdout.split()


@pytest.mark.skipif(_ext.isa() == "generic", reason="this build has one instruction set")
def test_the_instruction_set_is_chosen_at_import():
    """The best that the machine has, or the one that GRADFLOW_ISA names, if the machine has it; each computes the same."""
    best = [level for level in LEVELS if supported(level)][-1]
    name, *want = run(PROGRAM, GRADFLOW_ISA="")
    assert name == best
    for level in LEVELS:
        name, *got = run(PROGRAM, GRADFLOW_ISA=level)
        assert name == min(level, best)
        assert [float(g) for g in got] == pytest.approx([float(w) for w in want], rel=1e-5)


def long_calls():
    """Kernels, each on so much that it takes some milliseconds."""
    x, square, index = gf.randn(2_000_000), gf.randn(700, 700), gf.randint(0, 1000, (200_000,))
    rows, positive = gf.randn(4000, 300), square @ square.T + 700 * gf.eye(700)
    return {
        "elementwise": lambda: gf.tanh(x),
        "reduce": lambda: x.logsumexp(0),
        "rows": lambda: gf.softmax(rows, 1),
        "dot": lambda: square @ square,
        "scan": lambda: rows.cumsum(0),
        "top": lambda: x.topk(1000),
        "add_rows": lambda: gf.zeros(1000, 8).index_add(0, index, gf.ones(200_000, 8)),
        "cholesky": lambda: gf.linalg.cholesky(positive),
        "lu": lambda: gf.linalg.det(positive),
    }


@pytest.mark.parametrize("name", long_calls())
def test_long_kernels_let_other_threads_run(name):
    """The threads here change only where one gives Python's lock up: in sleep, or within the kernel."""
    call, inside, stop, seen = long_calls()[name], [], [], 0

    def work():
        while not stop:
            inside.append(1)
            try:
                call()
            finally:
                inside.clear()
            time.sleep(1e-3)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        other = threading.Thread(target=work)
        other.start()
        end = time.monotonic() + 20
        while not seen and time.monotonic() < end:
            seen += len(inside)
            time.sleep(1e-4)
        stop.append(1)
        other.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen, "no other thread ran within this kernel"


def test_info_says_what_a_report_needs():
    import numpy as np

    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in gf.runtime.info().splitlines())
    assert lines["gradflow"] == gf.__version__ and lines["numpy"] == np.__version__
    assert lines["python"].startswith(sys.version.split()[0])
    assert lines["instruction set"].split()[0] in (*LEVELS, "generic")
    assert "OpenBLAS" in lines["blas"] and "kernels " in lines["blas"]
    assert lines["threads"] == str(gf.get_num_threads())
    assert lines["devices"].startswith("cpu")
    assert {"allocated_bytes", "reserved_bytes", "hits"} <= set(lines["memory pool"].replace(",", "").split())
    out = subprocess.run(
        [sys.executable, "-m", "gradflow", "info"], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert [line.split()[0] for line in out.stdout.splitlines()] == [name.split()[0] for name in lines]
