"""``python -m gradflow doctor``: what is missing for CUDA, in one sentence with the command that mends it, whichever piece it is."""

import importlib.util
import subprocess
import sys
import types
from importlib import metadata

import pytest

import gradflow as gf
from gradflow.backends import cupy_driver
from gradflow.runtime import doctor


@pytest.fixture
def machine(monkeypatch):
    """A machine that has everything, of which a test takes something away."""

    def distributions(*names):
        found = [types.SimpleNamespace(metadata={"Name": name}) for name in ("numpy", *names)]
        monkeypatch.setattr(metadata, "distributions", lambda: found)

    def spec(name):
        return object() if name == "cupy" else find_spec(name)

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(cupy_driver, "devices_of_driver", lambda: 1)
    monkeypatch.setattr(cupy_driver, "cuda_of_driver", lambda: 13)
    monkeypatch.setattr(importlib.util, "find_spec", spec)
    monkeypatch.setattr(cupy_driver, "nvrtc", lambda: types.SimpleNamespace(getVersion=lambda: (13, 0)))
    monkeypatch.setattr(cupy_driver, "headers", lambda: "/usr/include")
    distributions("cupy-cuda13x")
    return types.SimpleNamespace(distributions=distributions, set=monkeypatch.setattr)


def broken():
    raise ImportError("libnvrtc.so.13: cannot open shared object file\nand more")


MISSING = {
    "CuPy": (
        lambda m: m.set(importlib.util, "find_spec", lambda name: None),
        'cuda: CuPy is missing; pip install "cupy-cuda13x[ctk]"',
    ),
    "CuPy, on an older driver": (
        lambda m: (m.set(importlib.util, "find_spec", lambda name: None), m.set(cupy_driver, "cuda_of_driver", lambda: 12)),
        'cuda: CuPy is missing; pip install "cupy-cuda12x[ctk]"',
    ),
    "one CuPy too many": (
        lambda m: m.distributions("cupy-cuda12x", "cupy-cuda13x"),
        "cuda: two CuPy packages are installed, cupy-cuda12x and cupy-cuda13x; keep one: pip uninstall cupy-cuda13x",
    ),
    "a newer driver": (
        lambda m: m.set(cupy_driver, "cuda_of_driver", lambda: 12),
        "cuda: cupy-cuda13x needs a driver for CUDA 13, and this one is for CUDA 12; pip uninstall cupy-cuda13x, then "
        'pip install "cupy-cuda12x[ctk]"',
    ),
    "NVRTC": (
        lambda m: m.set(cupy_driver, "nvrtc", broken),
        'cuda: NVRTC cannot be loaded (libnvrtc.so.13: cannot open shared object file); pip install "cupy-cuda13x[ctk]"',
    ),
    "headers": (
        lambda m: m.set(cupy_driver, "headers", lambda: None),
        'cuda: CUDA\'s headers are missing (cuda_fp16.h); pip install "cupy-cuda13x[ctk]"',
    ),
    "a driver": (
        lambda m: m.set(cupy_driver, "devices_of_driver", lambda: "cuda: NVIDIA's driver is missing"),
        "cuda: NVIDIA's driver is missing",
    ),
}


def test_a_machine_that_has_everything(machine):
    assert cupy_driver.why_not() is None


@pytest.mark.parametrize("piece", MISSING)
def test_one_sentence_says_what_is_missing(machine, piece):
    take_away, sentence = MISSING[piece]
    take_away(machine)
    assert cupy_driver.why_not() == sentence
    text, healthy = doctor()
    assert healthy and text.splitlines() == ["cpu: a sum and a product of matrices are right", sentence]
    assert not gf.cuda.is_available()
    with pytest.raises(RuntimeError) as caught:
        gf.zeros(1, device="cuda")
    assert str(caught.value) == sentence.replace("cuda:", "zeros:", 1)


def test_the_driver_is_asked_first_and_quickly(monkeypatch):
    """Without one nothing of CuPy's is imported."""
    text = (
        "import sys, time, gradflow as gf\n"
        "start = time.perf_counter()\n"
        "known = gf.cuda.is_available(), gf.cuda.device_count()\n"
        "print(known[0] == (known[1] > 0) and ('cupy' in sys.modules) <= known[0] and (known[0] or time.perf_counter() - start < 0.5))"
    )
    assert subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout.strip() == "True"


def test_a_device_that_computes_wrongly_is_reported(monkeypatch):
    from gradflow import backends

    monkeypatch.setattr(backends, "dot", lambda a, b: a * 0)
    text, healthy = doctor()
    assert not healthy and text.splitlines()[0] == "cpu: WRONG RESULTS"
    monkeypatch.setattr(backends, "dot", lambda a, b: broken())
    text, healthy = doctor()
    assert not healthy and text.startswith("cpu: ImportError: libnvrtc")
    out = subprocess.run([sys.executable, "-m", "gradflow", "doctor"], check=True, capture_output=True, text=True).stdout
    assert out.startswith("cpu: a sum and a product of matrices are right\n")
