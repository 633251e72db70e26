"""Speed by count, on the emulated device: launches of each operation, bytes that its kernels move over the least they must, and what a call that was
made before still does in Python."""

import shutil
import sys

import numpy as np
import pytest
from cuda_compiler import Compiler
from cuda_driver import Driver

import gradflow as gf
from gradflow.backends import cuda
from gradflow.backends.cuda import array
from gradflow.scalar import cuda as text

F = gf.nn.functional


def floats(*shape, dtype=np.float32):
    return gf.from_numpy(np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(dtype)).to("cuda")


def indices(high, *shape):
    return gf.from_numpy(np.random.default_rng(1).integers(0, high, shape)).to("cuda")


# (name, operation, operands, launches, bytes over the least: operands and results once each). What is one for a row is counted for each of its
# lanes, though a warp reads it in one access: so cross-entropy, whose lanes all read the target, comes to more than 1.
CASES = [
    ("mul", lambda x, y: x * y, lambda: (floats(100, 33), floats(100, 33)), 1, 1.0),
    ("mul of float16", lambda x, y: x * y, lambda: (floats(999, dtype=np.float16), floats(999, dtype=np.float16)), 1, 1.0),
    ("transposed", lambda x, y: x.T * y, lambda: (floats(33, 100), floats(100, 33)), 1, 1.0),
    ("part", lambda x: x[1:, ::2] + 1, lambda: (floats(9, 8),), 1, None),
    ("gelu", lambda x: F.gelu(x), lambda: (floats(1001),), 1, 1.0),
    ("conversion", lambda x: x.double(), lambda: (floats(1001),), 1, 1.0),
    ("where", lambda x, y: gf.where(x > y, x, y), lambda: (floats(64), floats(64)), 2, None),
    ("in place", lambda x, y: x.add_(y), lambda: (floats(500), floats(500)), 1, None),
    ("rows' sums", lambda x: x.sum(1), lambda: (floats(300, 64),), 1, 1.0),
    ("odd rows' sums", lambda x: x.sum(1), lambda: (floats(300, 37),), 1, 1.0),
    ("columns' sums", lambda x: x.sum(0), lambda: (floats(64, 200),), 1, 1.0),
    ("maxima", lambda x: x.amax(1), lambda: (floats(300, 64),), 1, 1.0),
    ("middle sums", lambda x: x.sum(1), lambda: (floats(8, 20, 30),), 1, 1.0),
    ("full sum", lambda x: x.sum(), lambda: (floats(100_003),), 2, 1.05),
    ("mean", lambda x: x.mean(), lambda: (floats(100_000),), 2, 1.05),
    ("softmax", lambda x: x.softmax(1), lambda: (floats(30, 100),), 1, 1.0),
    ("softmax of columns", lambda x: x.softmax(0), lambda: (floats(100, 30),), 1, 1.0),
    ("log_softmax", lambda x: x.log_softmax(1), lambda: (floats(30, 4096),), 1, 1.0),
    ("long softmax", lambda x: x.softmax(1), lambda: (floats(2, 5000),), 1, 1.0),
    ("longest softmax", lambda x: x.softmax(1), lambda: (floats(2, 20_000),), 1, 2.0),
    ("cross-entropy", lambda x, t: F.cross_entropy(x, t, reduction="none"), lambda: (floats(30, 1000), indices(1000, 30)), 1, 1.4),
    ("weighted cross-entropy", lambda x, t, w: F.cross_entropy(x, t, w), lambda: (floats(30, 1000), indices(1000, 30), floats(1000)), 2, 1.5),
    ("mean of cross-entropy", lambda x, t: F.cross_entropy(x, t), lambda: (floats(30, 1000), indices(1000, 30)), 2, 1.4),
    ("logsumexp", lambda x: x.logsumexp(1), lambda: (floats(30, 100),), 1, 1.0),
    ("gather", lambda x, i: x.gather(1, i), lambda: (floats(30, 5), indices(5, 30, 5)), 1, 1.0),
    ("rows by index", lambda x, i: x.index_select(0, i), lambda: (floats(30, 64), indices(30, 30)), 1, None),
    ("added by index", lambda x, i: x.index_add(0, i, x), lambda: (floats(30, 64), indices(30, 30)), 3, None),
    ("one for each row", lambda x, i, y: x.scatter_add(1, i, y), lambda: (floats(30, 64), indices(64, 30, 1), floats(30, 1)), 3, None),
    ("scattered", lambda x, i: x.scatter_add(0, i, x), lambda: (floats(30, 64), indices(30, 30, 64)), 3, None),
    ("several indices", lambda x, i, j: x[i, j], lambda: (floats(30, 20, 8), indices(30, 9), indices(20, 9)), 1, None),
    ("written by indices", lambda x, i, j: x.__setitem__((i, j), x[:9, 0]), lambda: (floats(30, 20, 8), indices(30, 9), indices(20, 9)), 3, None),
    ("a mask", lambda x: x[x > 1], lambda: (floats(600),), 5, None),
    ("a masked number", lambda x: x.__setitem__(x > 1, 0.0), lambda: (floats(60, 7),), 2, None),
    ("places among sorted", lambda x, y: gf.searchsorted(x, y), lambda: (floats(50), floats(30)), 1, None),
    ("product", lambda x, y: x @ y, lambda: (floats(8, 9), floats(9, 7)), 1, None),
    ("batches", lambda x, y: x @ y, lambda: (floats(4, 8, 9), floats(4, 9, 7)), 1, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def device():
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    driver = Driver(compiler=Compiler(counting=True))
    cuda.use(driver)
    with driver.collect():
        for _, call, operands, *_ in CASES:
            call(*operands())
    yield driver
    array.driver = None


@pytest.mark.parametrize(("name", "call", "operands", "launches", "factor"), CASES, ids=[c[0] for c in CASES])
def test_launches_and_bytes(device, name, call, operands, launches, factor):
    given = operands()
    device.launches, device.counted = 0, []
    result = call(*given)
    assert device.launches == launches
    if factor is not None:
        least = sum(x.nbytes for x in (*given, result))
        assert sum(read + written for _, read, written, _ in device.counted) <= factor * least


def test_rows_that_shared_memory_has_room_for_are_read_once(device):
    """Up to the limit of the device, which the launch keeps; one element more, and each pass reads the row again. The results are the CPU's."""
    room = device.shared_memory(0) - text.FOLD_BYTES * text.FOLD_THREADS
    for n, kept, reads in ((room // 4, "shared", 1), (room // 4 + 1, "passes", 3)):
        x = floats(1, n)
        device.counted = []
        y = x.softmax(1)
        ((name, read, _, _),) = device.counted
        assert f"_{kept}_" in name and read == reads * x.nbytes
        np.testing.assert_allclose(y.cpu().numpy(), x.cpu().softmax(1).numpy(), rtol=1e-6)


def test_the_backward_of_cross_entropy_is_one_kernel(device):
    """Which reads each row once and writes its gradient; nothing is sorted."""
    x = floats(30, 1000).requires_grad_()
    losses = F.cross_entropy(x, indices(1000, 30), reduction="none")
    g = gf.ones(30, device="cuda")
    device.launches, device.counted = 0, []
    losses.backward(g)
    assert device.launches == 1
    assert sum(read + written for _, read, written, _ in device.counted) <= 1.8 * 2 * x.nbytes


def test_a_step_of_training(device):
    """Forward: a product and an addition for each layer, and the loss. Backward adds nothing to what the formulas need."""
    model = gf.nn.Sequential(gf.nn.Linear(16, 32), gf.nn.ReLU(), gf.nn.Linear(32, 4)).to("cuda")
    x, y = floats(8, 16), floats(8, 4)
    for _ in range(2):
        model.zero_grad()
        device.launches = 0
        loss = F.mse_loss(model(x), y)
        forward = device.launches
        loss.backward()
    assert forward <= 2 + 1 + 2 + 2
    assert device.launches - forward <= 2 + 1 + 2 + 1 + 2 + 2  # of the loss, two weights, two biases, an input, relu


def calls_of(f):
    """(calls of Python functions, their names) that ``f`` makes."""
    names = []

    def watch(frame, event, arg):
        if event == "call":
            names.append(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        f()
    finally:
        sys.setprofile(None)
    return names[1:]


WARM = [
    ("mul", lambda x, y, w, i: x * y, 30),
    ("broadcast", lambda x, y, w, i: x + w, 30),
    ("sum", lambda x, y, w, i: x.sum(1), 40),
    ("softmax", lambda x, y, w, i: x.softmax(1), 40),
    ("rows by index", lambda x, y, w, i: x.index_select(0, i), 70),
    ("gelu", lambda x, y, w, i: F.gelu(x), 30),
    ("maxima", lambda x, y, w, i: x.amax(1), 45),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call", "most"), WARM, ids=[w[0] for w in WARM])
def test_a_call_that_comes_again(device, name, call, most, monkeypatch):
    """One allocation, one launch, few Python calls; no text is made, nothing is compiled or loaded, and no plan is made."""
    operands = floats(64, 32), floats(64, 32), floats(32), indices(64, 20)
    call(*operands)
    for made in ("elementwise", "reduce", "kernel"):
        monkeypatch.setattr(text, made, None)
    monkeypatch.setattr(Driver, "function", None)
    monkeypatch.setattr(cuda.launch.Launch, "__init__", None)
    monkeypatch.setattr(device, "collected", {})  # it computes nothing, so that only the backend's calls are counted
    before = device.allocations, device.launches
    names = calls_of(lambda: call(*operands))
    ours = [n for n in names if n not in ("alloc", "__del__", "launch", "synchronize", "add", "_remove")]  # the emulated device's
    assert (device.allocations, device.launches) == (before[0] + 1, before[1] + 1)
    assert len(ours) <= most, " ".join(ours)
