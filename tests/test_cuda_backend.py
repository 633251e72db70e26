"""The CUDA backend's own code, on an emulated device (cuda_driver.py), against the CPU's backend.

Compiling takes the time, so every case is run once without computing, to know its kernels, before they are compiled together.
"""

import shutil
import sys

import numpy as np
import pytest
from cuda_driver import Driver
from cuda_kernels import OPS, programs, stored_types

import gradflow as gf
from gradflow import backends
from gradflow.backends import cuda
from gradflow.backends.cuda import array
from gradflow.scalar.types import FLOAT32

CASES = []


def case(f):
    """A test of which the kernels are compiled beforehand."""
    CASES.append(f)

    def test(device):
        f(device)

    test.__name__, test.__doc__ = f.__name__, f.__doc__
    return test


@pytest.fixture(scope="module")
def device():
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    driver = Driver()
    cuda.use(driver)
    with driver.collect(), np.errstate(all="ignore"):
        for f in CASES:
            try:
                f(driver)
            except Exception as error:  # values are whatever the memory held
                print(f"{f.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
    yield driver
    array.driver = None


def up(x):
    return cuda.upload(x, 0) if isinstance(x, np.ndarray) else x


def close(driver, got, want, rtol=3e-6, atol=3e-6):
    """Nothing is compared while kernels are collected."""
    for g, w in zip(got, want, strict=True) if isinstance(got, tuple) else [(got, want)]:
        g, w = (x.array if isinstance(x, gf.Tensor) else x for x in (g, w))
        assert isinstance(g, cuda.DeviceArray)
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        if driver.collected is None:
            g, w = (x.astype(np.float64) if x.dtype.kind in "fV" else x for x in (np.asarray(g), np.asarray(w)))
            np.testing.assert_allclose(g, w, rtol=rtol, atol=atol, equal_nan=True)


def drawn(rng, program, shape, low, high):
    seeds = {a for instr in program.code if instr.op == "random" for a in instr.args}  # they are numbers
    raw = {i for i, t in enumerate(stored_types(program, FLOAT32)) if t != FLOAT32}
    values = []
    for i in range(program.inputs):
        if i in seeds:
            values.append(12345 + i)
        elif i in raw:
            values.append(rng.random(shape) < 0.5 if program.name.startswith("where") else rng.integers(0, 3, shape))
        else:
            values.append(rng.uniform(low, high, shape).astype(np.float32))
    return values


def every_program():
    """Of all operations and their derivatives, with where they are drawn from."""
    for program in programs(FLOAT32):
        try:
            program.typed(stored_types(program, FLOAT32), FLOAT32)
        except TypeError:  # bitwise operations on floats
            continue
        seeds = {a for instr in program.code if instr.op == "random" for a in instr.args}
        if len(seeds) < program.inputs:
            yield program, OPS[program.name].domain if program.name in OPS else (0.2, 0.9)


@case
def test_every_program_is_the_cpus(driver):
    """All operations, their derivatives, and the kernels that modules hold, over flat arrays."""
    rng, wrong = np.random.default_rng(0), []
    for program, domain in every_program():
        kernel = backends.prepare(program)
        shape = (3, 7)
        inputs = drawn(rng, program, shape, *domain)
        if program.rows:
            inputs = [x[:, :1] if i in program.row_inputs else x for i, x in enumerate(inputs)]
        with np.errstate(all="ignore"):
            run = (lambda xs, k=kernel: backends.rows(k, xs, 1)) if program.rows else (lambda xs, k=kernel: backends.elementwise(k, xs))
            want, got = run(tuple(inputs)), run(tuple(map(up, inputs)))
        try:
            close(driver, got, want, rtol=2e-5, atol=2e-5)
        except AssertionError as error:
            wrong.append(f"{program}\n{error}")
    assert not wrong, "\n".join(wrong)


@case
def test_a_training_step(driver):
    losses = []
    for where in ("cpu", "cuda"):
        gf.manual_seed(0)
        model = gf.nn.Sequential(gf.nn.Linear(5, 8), gf.nn.ReLU(), gf.nn.LayerNorm(8), gf.nn.Linear(8, 3)).to(where)
        x, target = gf.randn(6, 5).to(where), gf.tensor([0, 1, 2, 0, 1, 2], device=where)
        optimizer = gf.optim.AdamW(model.parameters(), lr=0.1)
        seen = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = gf.nn.functional.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        losses.append(seen)
        assert all(str(p.grad.device).startswith(where) for p in model.parameters())
    if driver.collected is None:
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
        assert losses[1][-1] < losses[1][0]


def test_nothing_is_compiled_when_a_call_comes_again(device):
    x, y = gf.randn(64, 32, device="cuda"), gf.randn(32, device="cuda")
    x * y
    before, texts = device.launches, len(cuda.launch.functions)
    allocations = device.allocations
    x * y
    assert device.launches == before + 1
    assert device.allocations == allocations + 1
    assert len(cuda.launch.functions) == texts


def test_mixed_devices_are_refused(device):
    x = gf.ones(3, device="cuda")
    for f in (lambda: x + gf.ones(3), lambda: gf.ones(3) * x, lambda: x @ gf.ones(3), lambda: gf.add(x, x, out=gf.empty(3))):
        with pytest.raises(gf.errors.DeviceError, match="Expected all tensors to be on the same device"):
            f()
    with pytest.raises(gf.errors.DeviceError, match="cuda:0 and cuda:1"):
        x + gf.ones(3, device="cuda:1")
    assert (x + gf.tensor(1.0)).tolist() == [2, 2, 2]


def test_moves(device):
    x = gf.arange(6.0).reshape(2, 3)
    y = x.to("cuda")
    assert str(y.device) == "cuda:0" and y.cuda() is y and x.cpu() is x
    assert y.cpu().tolist() == x.tolist() == y.T.T.tolist()
    assert str(y.to("cuda:1").device) == "cuda:1" and y.to("cuda:1").tolist() == x.tolist()
    assert y.to("cpu", gf.int64).dtype is gf.int64
    assert repr(y).endswith("device='cuda:0')")
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu"):
        y.numpy()
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        x.to("cuda:7")
    w = gf.ones(2, 3, requires_grad=True)
    (w.cuda() * y).sum().backward()
    assert w.grad.tolist() == x.tolist() and w.grad.device.type == "cpu"


def test_random_numbers_are_the_cpus(device):
    for draw in (gf.rand, gf.randn):
        gf.manual_seed(3)
        want = draw(1001)
        gf.manual_seed(3)
        close(device, draw(1001, device="cuda"), want)
    gf.manual_seed(3)
    want = gf.randint(0, 1000, (99,))
    gf.manual_seed(3)
    assert gf.randint(0, 1000, (99,), device="cuda").tolist() == want.tolist()


def test_what_is_known_of_the_memory(device):
    before = gf.cuda.memory_allocated()
    x = gf.zeros(1000, device="cuda")
    assert gf.cuda.memory_allocated() == before + 4000 <= gf.cuda.max_memory_allocated()
    del x
    assert gf.cuda.memory_allocated() == before
    assert gf.cuda.is_available() and gf.cuda.device_count() == 2 and gf.cuda.current_device() == 0
