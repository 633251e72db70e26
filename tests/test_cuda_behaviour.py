"""What programs ask of a GPU besides computing: devices, memory that runs out, indices out of range. On the emulated device and the real one."""

import sys
from pathlib import Path

import numpy as np
import pytest
from cuda_driver import SHIFT, Driver

import gradflow as gf

# Where tensors are


def test_ways_to_a_device(device):
    x = gf.arange(3.0)
    for y in (
        x.cuda(),
        x.cuda(0),
        x.cuda("cuda"),
        x.to("cuda:0"),
        x.to(gf.device("cuda")),
        x.to(0),
        x.to(device="cuda", non_blocking=True),
    ):
        assert y.is_cuda and not y.is_cpu and y.get_device() == 0 and y.device == gf.device("cuda:0") and y.tolist() == [0, 1, 2]
    assert x.get_device() == -1 and x.is_cpu and not x.is_cuda
    assert x.to("cuda", gf.float64).dtype is gf.float64 and x.to(y).is_cuda and y.to(x).is_cpu
    assert y.to("cuda") is y and y.to("cuda", copy=True) is not y
    with pytest.raises(RuntimeError, match="must be cuda device"):
        x.cuda("cpu")
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        gf.zeros(1, device="cuda:99")


def test_default_device(device):
    made = (
        lambda: gf.zeros(2),
        lambda: gf.tensor([1.0, 2.0]),
        lambda: gf.as_tensor([1.0, 2.0]),
        lambda: gf.arange(2),
        lambda: gf.randn(2),
        lambda: gf.eye(2)[0],
        lambda: gf.full((2,), 1.0),
        lambda: gf.hann_window(2),
        lambda: gf.tril_indices(2, 1)[0],
        lambda: gf.nn.Linear(1, 2).bias,
        lambda: gf.randperm(2),
        lambda: gf.as_tensor(gf.ones(2, device="cpu")),
    )
    with gf.device("cuda"):
        assert all(f().is_cuda for f in made)
        assert gf.zeros(2, device="cpu").is_cpu and gf.from_numpy(np.zeros(2)).is_cpu and gf.ones_like(gf.zeros(2, device="cpu")).is_cpu
        assert gf.get_default_device() == gf.device("cuda", gf.cuda.current_device())
        with gf.device("cpu"):
            assert gf.zeros(2).is_cpu
        assert gf.zeros(2).is_cuda
        for name in ("Linear", "GRU", "BatchNorm1d", "Embedding"):
            module = getattr(gf.nn, name)(3, 2) if name != "BatchNorm1d" else gf.nn.BatchNorm1d(3)
            assert all(t.is_cuda for t in module.state_dict().values())
        gf.nn.init.orthogonal_(gf.empty(3, 2))
        data = gf.utils.data.TensorDataset(gf.arange(4, device="cpu"))
        assert all(x.is_cpu for (x,) in gf.utils.data.DataLoader(data, 2, shuffle=True))
    assert gf.zeros(2).is_cpu
    gf.set_default_device("cuda")
    try:
        assert gf.zeros(2).is_cuda and gf.get_default_device().type == "cuda"
    finally:
        gf.set_default_device(None)
    assert gf.zeros(2).is_cpu and gf.get_default_device() == gf.device("cpu")

    @gf.device("cuda")
    def there():
        return gf.zeros(2)

    assert there().is_cuda and gf.zeros(2).is_cpu


def test_modules_make_their_own_tensors_on_the_device(device):
    """States, masks and counters that a module makes are where its input is."""
    x = gf.randn(2, 3, 4)
    modules = [
        (gf.nn.LSTM(4, 5, batch_first=True), lambda m, x: m(x)[0]),
        (gf.nn.GRUCell(4, 5), lambda m, x: m(x[0])),
        (gf.nn.MultiheadAttention(4, 2, batch_first=True, add_zero_attn=True), lambda m, x: m(x, x, x)[0]),
        (gf.nn.BatchNorm1d(3), lambda m, x: m(x)),
        (gf.nn.MultiMarginLoss(), lambda m, x: m(x[0], gf.tensor([1, 0, 3], device=x.device))),
        (gf.nn.MultiLabelMarginLoss(), lambda m, x: m(x[0], gf.tensor([[1, 0, -1, 2]] * 3, device=x.device))),
        (gf.nn.LazyLinear(3), lambda m, x: m(x)),
    ]
    for module, call in modules:
        want = call(module, x)
        got = call(module.cuda(), x.cuda())
        assert got.is_cuda
        np.testing.assert_allclose(got.detach().cpu(), want.detach(), rtol=1e-5, atol=1e-6)
    q = gf.randn(2, 3, 4)
    want = gf.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    got = gf.nn.functional.scaled_dot_product_attention(q.cuda(), q.cuda(), q.cuda(), is_causal=True)
    np.testing.assert_allclose(got.cpu(), want, rtol=1e-5, atol=1e-6)
    packed = gf.nn.utils.rnn.pack_padded_sequence(q.cuda(), [2, 1, 1][:3] if q.shape[1] == 3 else [2], enforce_sorted=False)
    assert packed.batch_sizes.is_cpu and packed.data.is_cuda
    padded, lengths = gf.nn.utils.rnn.pad_packed_sequence(packed)
    assert padded.is_cuda and lengths.is_cpu


def test_which_device_is_in_use(device):
    cuda = gf.cuda
    assert cuda.current_device() == 0 and cuda.is_available() and cuda.is_initialized() and cuda.device_count() >= 1
    p = cuda.get_device_properties()
    assert p.name == cuda.get_device_name() and (p.major, p.minor) == cuda.get_device_capability(0) and p.total_memory > 0
    with cuda.device(None), cuda.device(-1), cuda.device_of(gf.zeros(1)):
        assert cuda.current_device() == 0
    for wrong in ("cpu", gf.device("cpu")):
        with pytest.raises(ValueError, match="Expected a cuda device"):
            cuda.set_device(wrong)
    with pytest.raises(RuntimeError, match="invalid device ordinal 99"):
        cuda.set_device(99)
    with pytest.raises(RuntimeError, match="invalid device ordinal 99"):
        cuda.get_device_name("cuda:99")
    if cuda.device_count() > 1:
        with cuda.device(1):
            assert cuda.current_device() == 1 and gf.zeros(1, device="cuda").get_device() == 1
            with cuda.device_of(gf.zeros(1, device="cuda:0")):
                assert gf.zeros(1, device="cuda").get_device() == 0
        assert cuda.current_device() == 0
        with pytest.raises(RuntimeError, match="same device"):
            gf.zeros(1, device="cuda:1") @ gf.zeros(1, device="cuda:0")


# Memory


def test_memory_in_numbers(device):
    cuda = gf.cuda
    cuda.empty_cache()
    before = cuda.memory_allocated()
    x = gf.zeros(1 << 16, device="cuda")
    free, total = cuda.mem_get_info()
    assert 0 < free < total and cuda.memory_reserved() >= cuda.memory_allocated() >= before + (1 << 18)
    cuda.reset_peak_memory_stats()
    (x + 1) * 2
    assert cuda.max_memory_allocated() >= cuda.memory_allocated() + (1 << 18)
    assert cuda.max_memory_reserved() >= cuda.max_memory_allocated()
    stats = cuda.memory_stats()
    assert (
        stats["allocated_bytes.all.current"] == cuda.memory_allocated()
        and stats["reserved_bytes.all.peak"] >= stats["allocated_bytes.all.peak"]
    )
    assert "MiB" in cuda.memory_summary()
    del x
    assert cuda.memory_allocated() == before


def test_out_of_memory_leaves_everything_as_it_was(emulated):
    w = gf.ones(1000, device="cuda", requires_grad=True)
    optimizer = gf.optim.Adam([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.step()
    state = [w.tolist(), w.grad.tolist(), gf.cuda.get_rng_state().tolist()]
    gf.cuda.empty_cache()
    kept = gf.zeros(20_000, device="cuda")
    emulated.limit = emulated.reserved[0] + 10_000
    del kept  # 80 kB are free, but kept in the pool
    before, retries = emulated.emptied, gf.cuda.memory_stats()["num_alloc_retries"]
    try:
        y = gf.zeros(15_000, device="cuda")  # goes, once the cache is given back
        assert emulated.emptied == before + 1 and gf.cuda.memory_stats()["num_alloc_retries"] == retries + 1
        for attempt in (lambda: w * y[:1000] * gf.zeros(1 << 20, device="cuda"), lambda: (w.expand(5000, 1000) + 1).sum().backward()):
            with pytest.raises(gf.OutOfMemoryError, match=r"CUDA out of memory\. Tried to allocate .* in use by tensors") as caught:
                attempt()
            assert isinstance(caught.value, gf.cuda.OutOfMemoryError) and isinstance(caught.value, RuntimeError)
            del caught
        with pytest.raises(MemoryError):
            w.detach().repeat(1000)
    finally:
        emulated.limit = 1 << 34
    assert [w.tolist(), w.grad.tolist(), gf.cuda.get_rng_state().tolist()] == state
    optimizer.step()
    assert gf.cuda.memory_stats()["num_ooms"] >= 3


# Settings


def test_settings():
    assert gf.get_float32_matmul_precision() == "highest" and not gf.backends.cuda.matmul.allow_tf32
    gf.backends.cuda.matmul.allow_tf32 = True
    assert gf.get_float32_matmul_precision() == "high"
    gf.set_float32_matmul_precision("medium")
    assert gf.backends.cuda.matmul.allow_tf32
    gf.set_float32_matmul_precision("highest")
    assert not gf.backends.cuda.matmul.allow_tf32
    cudnn = gf.backends.cudnn
    with cudnn.flags(enabled=False, benchmark=True):
        assert cudnn.benchmark and not cudnn.enabled
    assert cudnn.enabled and not cudnn.benchmark and not cudnn.is_available() and cudnn.version() is None
    cudnn.benchmark, cudnn.deterministic = False, False
    assert not gf.backends.mps.is_available() and gf.backends.cuda.is_built()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gf.backends.nothing


# Mixed precision


def test_autocast(device):
    x, w = gf.randn(4, 8, device="cuda"), gf.randn(8, 8, device="cuda", requires_grad=True)
    with gf.autocast("cuda"):
        y = x @ w
        assert y.dtype is gf.float16 and y.sum().dtype is gf.float32 and y.exp().dtype is gf.float32 and (y + 1).dtype is gf.float16
        assert (x.cpu() @ w.detach().cpu()).dtype is gf.float32  # the CPU's is another switch
        loss = gf.nn.functional.mse_loss(y, gf.zeros_like(y))
        with gf.autocast("cuda", dtype=gf.bfloat16):
            assert gf.nn.functional.linear(x, w).dtype is gf.bfloat16
        with pytest.raises(RuntimeError, match="unsafe to autocast"):
            gf.nn.functional.binary_cross_entropy(y.sigmoid(), y.sigmoid())
    loss.backward()
    assert w.grad.dtype is gf.float32 and w.grad.is_cuda
    want = gf.autograd.grad((x.cpu() @ w.cpu()).square().mean(), w)[0]
    np.testing.assert_allclose(w.grad.cpu(), want.cpu(), rtol=0.05, atol=0.02)
    with gf.cuda.amp.autocast(dtype=gf.bfloat16):
        assert (x @ w).dtype is gf.bfloat16


def test_the_scaler(device):
    w = gf.ones(3, device="cuda", requires_grad=True)
    optimizer, scaler = gf.optim.SGD([w], lr=0.5), gf.cuda.amp.GradScaler(init_scale=4.0, growth_interval=1)
    for factor, scale, after in ((1.0, 8.0, 0.5), (float("inf"), 4.0, 0.5), (1.0, 8.0, 0.0)):
        optimizer.zero_grad()
        scaler.scale(w.sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == scale and w.tolist() == [after] * 3
    if isinstance(device, Driver):
        scaler.scale(w.sum()).backward()
        before = device.launches
        scaler.unscale_(optimizer)
        assert device.launches - before <= 8  # of one gradient: looked through, and scaled; the rest are single numbers


def test_the_benchmark_of_the_device(emulated, capsys):
    """Every line of it runs, on small sizes."""
    sys.path.append(str(Path(__file__).parents[1]))
    from benchmarks.device import TINY, main

    assert main(lambda name: "784" not in name, TINY) == 0
    table = capsys.readouterr().out
    assert "Emulated device; torch with CUDA is not installed" in table and "sum of all" in table and "the same in bfloat16" in table


def test_addresses_are_the_devices(emulated):
    assert gf.zeros(3, device="cuda").data_ptr() >= SHIFT


# Indices out of range


def test_wrong_indices_are_reported_with_their_line(device):
    """By the operation that waits, which says where the index was asked for."""
    x = gf.randn(4, 3, device="cuda")
    weights = x.clone()

    def indices(*values):
        return gf.tensor(values, device="cuda")

    calls = [
        ("take_rows", lambda: x[indices(0, 7)], "index 7 is out of bounds for axis 0 with size 4"),
        ("take_rows", lambda: x[indices(0, -5)], "index -1 is out of bounds for axis 0 with size 4"),
        ("take_rows", lambda: x.index_select(1, indices(3)), "index 3 is out of bounds for axis 1 with size 3"),
        ("take_rows", lambda: gf.nn.functional.embedding(indices(9, 0), weights), "index 9 is out of bounds for axis 0 with size 4"),
        ("gather", lambda: x.gather(1, indices(0, 5).reshape(1, 2)), "index 5 is out of bounds for axis 1 with size 3"),
        (
            "cross_entropy",
            lambda: gf.nn.functional.cross_entropy(x, indices(0, 1, 2, 3)),
            "index 3 is out of bounds for axis 1 with size 3",
        ),
        (
            "cross_entropy",
            lambda: gf.nn.functional.cross_entropy(x.half(), indices(0, 1, 3, 2)),
            "index 3 is out of bounds for axis 1 with size 3",
        ),
        ("gather", lambda: gf.nn.functional.nll_loss(x, indices(0, -1, 2, 2)), "index -1 is out of bounds for axis 1 with size 3"),
    ]
    for op, call, text in calls:
        result = call()  # nobody waits here
        line = call.__code__.co_firstlineno
        assert x.sum().is_cuda
        with pytest.raises(IndexError, match=rf"{op}: {text}; asked for in .*test_cuda_behaviour\.py:{line}, in <lambda>") as caught:
            gf.cuda.synchronize()
        assert isinstance(caught.value, RuntimeError)
        assert result.is_cuda and x.tolist() == weights.tolist()  # said once; nothing was written
    for wait in (lambda: x.sum().item(), lambda: x.cpu(), lambda: gf.cuda.current_stream().synchronize()):
        x[indices(4)]
        with pytest.raises(IndexError, match="index 4 is out of bounds"):
            wait()
    assert x[indices(-1, 3)].tolist() == [x[3].tolist()] * 2
    side = gf.cuda.Stream()
    side.wait_stream(gf.cuda.current_stream())
    with gf.cuda.stream(side):
        x[indices(4)]
    with pytest.raises(IndexError, match="index 4 is out of bounds"):
        gf.cuda.synchronize()


def test_targets_on_the_device(device):
    """Counted there: classes to ignore, and the mean of what is left."""
    for dtype in (gf.float32, gf.float64, gf.float16):
        for target in ([1, -100, 0, 2], [-100] * 4, [1, 1, 0, 2]):
            for reduction in ("mean", "sum", "none"):
                x = gf.linspace(-1, 2, 12).reshape(4, 3).to(dtype).detach()
                results = []
                for where in ("cpu", "cuda"):
                    y = x.detach().to(where).requires_grad_()
                    t = gf.tensor(target, device=where)
                    loss = gf.nn.functional.cross_entropy(y, t, reduction=reduction)
                    loss = loss + gf.nn.functional.nll_loss(y.log_softmax(1), t, reduction=reduction)
                    loss.sum().backward()
                    results.append([loss.dtype, loss.detach().cpu().float().numpy(), y.grad.cpu().float().numpy()])
                assert results[0][0] is results[1][0]
                for want, got in zip(results[0][1:], results[1][1:], strict=True):
                    np.testing.assert_allclose(
                        got, want, rtol=2e-3 if dtype is gf.float16 else 1e-5, atol=1e-3 if dtype is gf.float16 else 1e-6
                    )


def test_numbers_keep_the_digits_of_float64(device):
    wide = {"device": "cuda", "dtype": gf.float64}
    assert gf.full((2,), 0.1, **wide).tolist() == gf.zeros(2, **wide).fill_(0.1).tolist() == [0.1, 0.1]
    x = gf.zeros(2, **wide)
    x[:] = 0.1
    assert x.tolist() == [0.1, 0.1]


class TwoOutputs(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + h, g * x + h

    @staticmethod
    def jvp(ctx, s, t):
        x, y = ctx.saved_tensors
        return s * y + t * x, s + t


def test_functions_of_ones_own_get_zeros_of_the_device(device):
    x, y = (gf.tensor([a, 3.0], device="cuda", dtype=gf.float64, requires_grad=True) for a in (1.0, 2.0))
    product, _ = TwoOutputs.apply(x, y)
    assert gf.autograd.grad(product.sum(), x, create_graph=True)[0].tolist() == [2.0, 3.0]
    assert gf.func.jvp(lambda a: TwoOutputs.apply(a, y.detach())[0], (x.detach(),), (gf.ones_like(x),))[1].tolist() == [2.0, 3.0]
    assert gf.autograd.gradcheck(lambda a, b: TwoOutputs.apply(a, b)[0], (x, y), check_batched_grad=True, check_forward_ad=True)


def test_transforms_stay_on_the_device(device):
    x = gf.tensor([[1.0, 2.0], [3.0, 0.0]], device="cuda")
    assert gf.vmap(gf.zeros_like)(x).is_cuda
    product = gf.func.jacrev(lambda v: v.prod())
    assert gf.vmap(product)(x).tolist() == [[2.0, 1.0], [0.0, 3.0]]
    second = (gf.tensor([0, 1, 1], device="cuda"), gf.tensor([1, 0, 0], device="cuda"))
    rows = gf.ones(2, 3, device="cuda").requires_grad_()
    picked = gf.vmap(lambda v: gf.zeros(2, 2, device="cuda").index_put(second, v, accumulate=True))(rows)
    picked[0].sum().backward()
    assert picked.tolist() == [[[0, 1], [2, 0]]] * 2 and rows.grad.tolist() == [[1] * 3, [0] * 3]
    assert gf.vmap(gf.linalg.det)(gf.stack([gf.diag(x[0]), x])).tolist() == [2.0, -6.0]


def test_the_matrix_exponential_of_a_device(device):
    assert gf.linalg.matrix_exp(gf.zeros(2, 2, device="cuda")).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert gf.linalg.matrix_exp(gf.zeros(0, 0, device="cuda")).shape == (0, 0)


def test_eigenvalues_of_a_device(device):
    a = gf.tensor([[2.0, 1.0], [0.0, 3.0]], device="cuda", requires_grad=True)
    values, vectors = gf.linalg.eig(a)
    assert values.is_cuda and gf.allclose(a @ vectors, vectors * values)
    assert gf.allclose(gf.autograd.grad(gf.linalg.eigvals(a).sum(), a)[0], gf.eye(2, device="cuda"))
    with pytest.raises(TypeError, match="complex"):
        gf.linalg.eigvals(gf.tensor([[0.0, 1.0], [-1.0, 0.0]], device="cuda"))


def test_lazy_modules_are_made_where_they_were_moved(device):
    layer = gf.nn.LazyLinear(2).to("cuda")
    assert layer(gf.ones(1, 3, device="cuda")).is_cuda and layer.weight.is_cuda and layer.weight.shape == (2, 3)


def test_views_of_what_lies_apart(device):
    x = gf.arange(24.0, device="cuda").reshape(2, 12)
    heads = x[:, 4:].view(2, 2, 4)
    heads.mul_(2)
    assert heads.shape == (2, 2, 4) and x[1].tolist() == [*range(12, 16), *range(32, 48, 2)]
    with pytest.raises(RuntimeError, match="not compatible"):
        x.T.view(24)
