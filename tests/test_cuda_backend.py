"""The CUDA backend's own code, on an emulated device (cuda_driver.py), against the CPU's backend.

Compiling takes the time, so every case is run once without computing, to know its kernels, before they are compiled together.
"""

import numpy as np
import pytest
from cuda_driver import Driver, devices
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


@pytest.fixture(scope="module", params=["emulated", "backwards", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    """An emulated device, with its threads in either order: a missing barrier shows as a difference; and a real one, where there is one."""
    yield from devices(request.param, CASES)


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
    if not isinstance(device, Driver):
        pytest.skip("counted on the emulated device")
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
    if gf.cuda.device_count() > 1:
        with pytest.raises(gf.errors.DeviceError, match="cuda:0 and cuda:1"):
            x + gf.ones(3, device="cuda:1")
    assert (x + gf.tensor(1.0)).tolist() == [2, 2, 2]


def test_moves(device):
    x = gf.arange(6.0).reshape(2, 3)
    y = x.to("cuda")
    assert str(y.device) == "cuda:0" and y.cuda() is y and x.cpu() is x
    assert y.cpu().tolist() == x.tolist() == y.T.T.tolist()
    if gf.cuda.device_count() > 1:
        assert str(y.to("cuda:1").device) == "cuda:1" and y.to("cuda:1").tolist() == x.tolist()
    assert y.to("cpu", gf.int64).dtype is gf.int64
    assert repr(y).endswith("device='cuda:0')")
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu"):
        y.numpy()
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        x.to("cuda:99")
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
    assert before + 4000 <= gf.cuda.memory_allocated() <= gf.cuda.max_memory_allocated()
    del x
    assert gf.cuda.memory_allocated() == before
    assert gf.cuda.is_available() and gf.cuda.device_count() >= 1 and gf.cuda.current_device() == 0
    gf.cuda.synchronize()


def entropy(x, target, **kwargs):
    return gf.nn.functional.cross_entropy(x, gf.tensor(target, device=x.device), **kwargs)


# Public functions, forward and backward: (what it is called, the call, shapes of the operands).
CALLS = [
    ("slices", lambda x: x[1:, ::2] * 2, (4, 5)),
    ("reversed strides", lambda x: x.flip(0).T + 1, (4, 5)),
    ("an index", lambda x: x[gf.tensor([2, 0, 2], device=x.device)], (4, 5)),
    ("a mask", lambda x: x[x > 0.5], (4, 5)),
    ("assignment", lambda x: x.clone().__setitem__((slice(None), 1), 0.0) or x.clone(), (4, 5)),
    ("broadcast", lambda x, y: x * y - y / x, (4, 5), (5,)),
    ("broadcast columns", lambda x, y: (x - y).sum(0), (4, 5), (4, 1)),
    ("no elements", lambda x: (x * 2).sum(1), (3, 0)),
    ("no dimensions", lambda x, y: x * y + 1, (), ()),
    ("nine dimensions", lambda x: x.transpose(0, 8) + x.transpose(1, 2), (1, 2, 2, 1, 1, 2, 1, 1, 1)),
    ("sums", lambda x: (x.sum(0), x.sum(1, keepdim=True), x.sum(), x.mean((0, 2))), (3, 4, 5)),
    ("transposed sums", lambda x: (x.permute(2, 0, 1).sum(0), x.permute(2, 0, 1).sum((1, 2))), (3, 4, 5)),
    ("long sums", lambda x: (x.sum(0), x.sum(1)), (3, 3000)),
    ("extremes", lambda x: (x.max(1).values, x.min(0).values, x.amax(), x.argmax(1), x.max(1).indices), (4, 5)),
    ("norms", lambda x: (x.var(1), x.std(0), x.norm(), x.logsumexp(1)), (4, 5)),
    ("softmax", lambda x: (x.softmax(-1), x.log_softmax(0), x.T.softmax(0)), (4, 50)),
    ("long rows", lambda x: x.softmax(-1), (2, 5000)),
    ("layer norm", lambda x, w, b: gf.nn.functional.layer_norm(x, (6,), w, b), (4, 6), (6,), (6,)),
    ("matrices", lambda x, y: x @ y, (4, 5), (5, 6)),
    ("turned matrices", lambda x, y: x.T @ y.T, (5, 4), (6, 5)),
    ("strided matrices", lambda x, y: x[:, ::2] @ y[::2], (4, 6), (6, 3)),
    ("batches", lambda x, y: x @ y, (2, 1, 3, 4), (5, 4, 2)),
    ("vectors", lambda x, y: (x @ y, y @ x.T, y @ y), (4, 5), (5,)),
    ("linear", lambda x, w, b: gf.nn.functional.linear(x, w, b), (2, 3, 4), (5, 4), (5,)),
    ("einsum", lambda x, y: gf.einsum("bij,bkj->bik", x, y), (2, 3, 4), (2, 5, 4)),
    ("joined", lambda x, y: (gf.cat([x, y]), gf.stack([x, y], 1)), (2, 3), (2, 3)),
    ("chosen", lambda x, y: gf.where(x > y, x, y), (4, 5), (4, 5)),
    ("triangles", lambda x: (x.tril(), x.triu(1)), (4, 5)),
    ("padded", lambda x: gf.nn.functional.pad(x, (1, 2, 0, 1), value=3.0), (4, 5)),
    ("sorted", lambda x: (x.sort(1).values, x.topk(2).values), (4, 5)),
    ("running", lambda x: (x.cumsum(1), x.cumprod(0)), (4, 5)),
    ("gathered", lambda x: x.gather(1, gf.tensor([[0, 1], [1, 1], [2, 0]], device=x.device)), (3, 4)),
    ("embedded", lambda w: gf.nn.functional.embedding(gf.tensor([[0, 2], [2, 1]], device=w.device), w), (3, 4)),
    ("entropy", lambda x: gf.nn.functional.cross_entropy(x, gf.tensor([1, 0, 3], device=x.device), label_smoothing=0.1), (3, 4)),
    ("weighted entropy", lambda x, w: entropy(x, [1, -100, 3], weight=w.detach(), reduction="none") * w.sum(), (3, 4), (4,)),
    (
        "entropy of pixels",
        lambda x: entropy(x, [[1, 0], [-100, 2]]) + entropy(x, [[1, 7], [3, 2]], ignore_index=7, reduction="sum"),
        (2, 4, 2),
    ),
    ("entropies of halves", lambda x: entropy(x.half(), [1, 0, 3]).float() + entropy(x.double(), [1, -100, 3]), (3, 4)),
    ("long entropy", lambda x: entropy(x, [4999, 3]), (2, 5000)),
    ("entropy's slope", lambda x: gf.autograd.grad(entropy(x, [1, -100, 3]), x, create_graph=True)[0] ** 2, (3, 4)),
    ("expanded", lambda x: x.expand(4, 3, 5) * x, (3, 5)),
    ("solved", lambda x, y: gf.linalg.solve(x @ x.T + 3 * gf.eye(3, device=x.device), y), (3, 3), (3, 2)),
    ("in halves", lambda x, y: (x.half() @ y.half()).float() + x.bfloat16().sum().float(), (4, 5), (5, 6)),
    ("integers", lambda x: (x * 9).long().reshape(4, 5) @ (x * 9).long().T + 0 * (x.sum()).long(), (4, 5)),
    ("convolution", lambda x, w: gf.nn.functional.conv2d(x, w, padding=1).relu(), (2, 2, 5, 5), (3, 2, 3, 3)),
    ("pools", lambda x: (gf.nn.functional.max_pool2d(x, 2), gf.nn.functional.avg_pool2d(x, 2)), (1, 2, 4, 4)),
    ("conversions", lambda x: (x.double() * 2).float() + (x * 5).int(), (4, 5)),
    ("wide indices", lambda x: x.unsqueeze(1).expand(4, 3, 5).contiguous().view(12, 5), (4, 5)),
]


def outcome(call, operands, where):
    """Results and gradients."""
    leaves = [gf.from_numpy(x.copy()).to(where).requires_grad_() for x in operands]
    result = call(*leaves)
    results = list(result) if isinstance(result, tuple) else [result]
    wanted = [r for r in results if r.requires_grad]
    if wanted:
        gf.autograd.backward(wanted, [gf.ones_like(r) for r in wanted])
    return [*results, *(x.grad for x in leaves if wanted)]


@case
def test_functions_and_their_gradients_are_the_cpus(driver):
    rng, wrong = np.random.default_rng(1), []
    for name, call, *shapes in CALLS:
        operands = [rng.uniform(0.2, 1.5, shape).astype(np.float32) for shape in shapes]
        want = outcome(call, operands, "cpu")
        try:
            for g, w in zip(outcome(call, operands, "cuda"), want, strict=True):
                close(
                    driver, g, w, *([5e-4] * 2 if "of halves" in name else [2e-5] * 2)
                )  # gradients in float16 are rounded once more on the CPU
        except Exception as error:  # while kernels are collected values are whatever the memory held
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert not wrong or driver.collected is not None, "\n".join(wrong)


def test_threads_in_the_other_order(device):
    """The same bits."""
    x = gf.randn(7, 3000, device="cuda")
    want = [x.sum(0).cpu(), x.sum(1).cpu(), x.sum().cpu(), x.softmax(1).cpu(), x.argmax(0).cpu()]
    device.backwards = not device.backwards
    try:
        got = [x.sum(0).cpu(), x.sum(1).cpu(), x.sum().cpu(), x.softmax(1).cpu(), x.argmax(0).cpu()]
    finally:
        device.backwards = not device.backwards
    for g, w in zip(got, want, strict=True):
        assert g.tolist() == w.tolist()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_optimizers_do_what_they_do_on_the_cpu(device, name):
    after = []
    for where in ("cpu", "cuda"):
        w = gf.arange(6.0).to(where).requires_grad_()
        optimizer = getattr(gf.optim, name)([w], lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
        for _ in range(3):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        after.append(w.detach().cpu().tolist())
    np.testing.assert_allclose(after[1], after[0], rtol=1e-5)


def test_second_derivatives_and_modes(device):
    x = gf.tensor([0.5, 1.5], device="cuda", requires_grad=True)
    (g,) = gf.autograd.grad((x.tanh() * x).sum(), x, create_graph=True)
    g.sum().backward()
    y = gf.tensor([0.5, 1.5], requires_grad=True)
    (h,) = gf.autograd.grad((y.tanh() * y).sum(), y, create_graph=True)
    h.sum().backward()
    close(device, x.grad, y.grad)
    z = x.detach()
    z += 1
    z[0] = 5
    assert z.tolist() == [5.0, 2.5] and x.tolist() == [5.0, 2.5]


@case
def test_values_by_index(driver):
    """Tables and indices of any strides; equal indices add up in their order."""
    rng = np.random.default_rng(2)
    for dtype in (np.float32, np.float64, np.int64, np.float16, np.bool_):
        table = (rng.random((4, 5, 6)) * 9).astype(dtype)
        turned = table.transpose(2, 0, 1)
        for axis in (0, 1, -1):
            index = rng.integers(0, 4, (3, 2))
            source = (rng.random((*table.shape[: axis % 3], 3, 2, *table.shape[axis % 3 + 1 :])) * 9).astype(dtype)
            close(driver, backends.take_rows(up(table), axis, up(index)), backends.take_rows(table, axis, index))
            close(driver, backends.take_rows(up(table).transpose(2, 0, 1), axis, index), backends.take_rows(turned, axis, index))
            got, want = up(table), table.copy()
            backends.add_rows(got, axis, index, up(source))
            backends.add_rows(want, axis, index, source)
            close(driver, got, want, 2e-3)
            small = rng.integers(0, 4, (2, 3, 4))
            close(driver, backends.gather(up(table), axis, up(small)), backends.gather(table, axis, small))
            got, want = up(table).transpose(2, 0, 1), table.copy().transpose(2, 0, 1)
            part = (rng.random((3, 3, 5)) * 9).astype(dtype)
            backends.scatter_add(got, axis, rng.integers(0, 4, (2, 3, 4)) * 0 + 1, up(part))
            backends.scatter_add(want, axis, np.ones((2, 3, 4), np.int64), part)
            close(driver, got, want, 2e-3)


@case
def test_running_folds(driver):
    """Of rows and columns, short and in chunks, of any strides; of extremes the last of equals, and nan."""
    rng = np.random.default_rng(5)
    for dtype in (np.float32, np.float64, np.float16, np.int64, np.int8, np.bool_):
        for shape, axis in (((3, 40), 1), ((40, 3), 0), ((2, 5, 4), 1), ((1,), 0), ((2, 0), 1), ((9000,), 0)):
            x = (rng.random(shape) * 3).astype(dtype)
            for kind in range(4):
                if kind > 1 and dtype == np.float32 and x.size > 10:
                    x.flat[7] = np.nan
                want = backends.scan(kind, x * (dtype(0.5) if kind == 1 and x.dtype.kind == "f" else dtype(1)), axis)
                close(
                    driver, backends.scan(kind, up(x * (dtype(0.5) if kind == 1 and x.dtype.kind == "f" else dtype(1))), axis), want, 2e-3
                )
    x = rng.random((4, 5, 6)).astype(np.float32)
    close(driver, backends.scan(0, up(x).transpose(2, 0, 1), 1), backends.scan(0, x.transpose(2, 0, 1), 1))


@case
def test_values_are_added_by_atomics_if_one_says_so(driver):
    rng, index = np.random.default_rng(3), np.array([3, 0, 3, 3])
    array.deterministic_scatter = False
    try:
        for dtype in (np.float16, np.float32, np.float64, np.int32, np.int64, np.int8):
            source = (rng.random((4, 6)) * 9).astype(dtype)
            got, want = up(np.ones((5, 6), dtype)), np.ones((5, 6), dtype)
            backends.add_rows(got, 0, up(index), up(source))
            backends.add_rows(want, 0, index, source)
            close(driver, got, want, 2e-3)
    finally:
        array.deterministic_scatter = True


def test_indices_of_the_device_are_not_waited_for(device):
    """Adding by index copies nothing to the host; what is out of range is left out and told later."""
    if not isinstance(device, Driver):
        pytest.skip("counted on the emulated device")
    x, index = gf.zeros(3, 4, device="cuda"), gf.tensor([[0, 1, 7, 0]], device="cuda")
    x.requires_grad_()
    copied, device.to_host = device.to_host, None
    try:
        y = x.scatter_add(0, index, gf.ones(1, 4, device="cuda"))
        gf.nn.functional.embedding(index.clamp(max=2), x).sum().backward()
    finally:
        device.to_host = copied
    with pytest.raises(IndexError, match="scatter_add: index 7 is out of bounds for axis 0 with size 3"):
        y.tolist()
    assert y.tolist() == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert x.grad.tolist() == [[2] * 4, [1] * 4, [1] * 4]


def test_indices_out_of_range(device):
    x = gf.ones(3, 2, device="cuda")
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 3"):
        backends.take_rows(x.array, 0, up(np.array([0, 7]))).tolist()
    assert x.tolist() == [[1, 1], [1, 1], [1, 1]]
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        backends.add_rows(x.array, 0, np.array([3]), up(np.ones((1, 2), np.float32)))
