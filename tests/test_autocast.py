"""Mixed precision: which operation computes in which type, against torch; and the scaler of gradients."""

import pickle
import threading
import warnings

import numpy as np
import pytest
from test_torch_database import leaves, ours

import gradflow as gf

F32, BF16, F16 = gf.float32, gf.bfloat16, gf.float16


# Operands: matrices a, c, s (symmetric, positive), a batch q, vectors v, u, images i, volumes d, classes k.
CALLS = """
t.matmul(a, c); a @ c; a.mm(c); t.bmm(q, q); t.addmm(a, a, c); t.baddbmm(q, q, q); t.addbmm(a, q, q); t.mv(a, v); t.dot(v, u); t.vdot(v, u)
t.einsum("ij,jk->ik", a, c); t.tensordot(a, c, 1); t.chain_matmul(a, c, a); t.linalg.multi_dot([a, c, a]); t.linalg.vecdot(v, u); t.outer(v, u)
t.nn.functional.linear(a, c); t.nn.functional.linear(a, c, v); t.nn.functional.prelu(a, v); t.linalg.matrix_power(a, 3); t.cov(a); t.inner(a, c)
t.nn.functional.conv1d(q, q); t.nn.functional.conv2d(i, i); t.nn.functional.conv3d(d, d); t.nn.functional.conv_transpose1d(q, q)
t.nn.functional.conv_transpose2d(i, i); t.nn.functional.scaled_dot_product_attention(q, q, q)
a + c; a * c; a + c.float(); a - 1; a / 2; a ** 2; 1 / a; a.exp(); s.log(); a.tanh(); a.relu(); a.softmax(1); a.log_softmax(0); t.nn.functional.gelu(a); a.sum(); a.mean(0)
a.cumsum(0); a.prod(); a.prod(0); a.var(); a.norm(); a.logsumexp(1); a.max(); a.sort().values; a.trace(); t.cdist(a, c); t.quantile(v, 0.5); t.nanquantile(v, 0.5)
t.nn.functional.layer_norm(a, (3,)); t.nn.functional.layer_norm(a, (3,), v.float(), u.float()); t.nn.functional.batch_norm(a, u.float(), v.float() ** 2)
t.nn.functional.group_norm(q, 3); t.nn.functional.embedding(k, a); t.nn.functional.dropout(a, 0.0); t.nn.functional.max_pool2d(i, 2)
t.nn.functional.avg_pool2d(i, 2); t.nn.functional.avg_pool3d(d, 2); t.nn.functional.adaptive_avg_pool3d(d, 1)
t.nn.functional.mse_loss(a, c); t.nn.functional.l1_loss(a, c); t.nn.functional.huber_loss(a, c); t.nn.functional.smooth_l1_loss(a, c)
t.nn.functional.cross_entropy(a, k); t.nn.functional.nll_loss(a, k); t.nn.functional.kl_div(a, c, reduction="batchmean"); t.nn.functional.poisson_nll_loss(a, c)
t.nn.functional.binary_cross_entropy(a.sigmoid(), c.sigmoid()); t.nn.functional.binary_cross_entropy_with_logits(a, c.sigmoid())
t.nn.functional.soft_margin_loss(a, c.sign()); t.nn.functional.hinge_embedding_loss(a, c.sign()); t.nn.functional.multi_margin_loss(a, k)
t.nn.functional.triplet_margin_loss(a, c, a * 2); t.nn.functional.cosine_embedding_loss(a, c, v.sign()); t.nn.functional.margin_ranking_loss(v, u, v.sign())
t.nn.functional.cosine_similarity(a, c); t.nn.functional.normalize(a)
t.cat([a, c]); t.cat([a, c.float()]); t.stack([a, c.float()]); t.where(a > 0, a, c.float()); t.addcmul(a, a, c)
t.linalg.inv(s); t.linalg.solve(s, a); t.linalg.cholesky(s); t.linalg.qr(a).Q; t.linalg.svd(a).S; t.linalg.eigh(s).eigenvalues; t.linalg.matrix_rank(s); t.inverse(s)
t.linalg.lu_factor(s).LU; t.linalg.cond(s); t.linalg.tensorinv(s.reshape(3, 3), ind=1); t.cholesky(s)
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_results_have_torchs_types(torch, name):
    """On the CPU, for operands of each type."""
    rng, found = np.random.default_rng(0), []
    shapes = {"a": (3, 3), "c": (3, 3), "q": (3, 3, 3), "v": (3,), "u": (3,), "i": (3, 3, 4, 4), "d": (3, 3, 4, 4, 4)}
    arrays = {key: rng.uniform(-1, 1, shape).astype(np.float32) for key, shape in shapes.items()}
    arrays["s"] = arrays["a"] @ arrays["a"].T + 3 * np.eye(3, dtype=np.float32)
    target = torch.float16 if name == "float16" else torch.bfloat16
    for t in (torch, gf):
        operands = {key: t.tensor(x).to(getattr(t, name)) for key, x in arrays.items()} | {"k": t.tensor([1, 0, 2]), "t": t}
        types = {}
        for call in CALLS.replace("\n", ";").split(";"):
            try:
                with t.autocast("cpu", dtype=getattr(t, str(target).removeprefix("torch."))):
                    types[call.strip()] = str(eval(call.strip() or "a", operands).dtype)
            except (RuntimeError, NotImplementedError) as error:
                types[call.strip()] = f"{type(error).__name__}: {error}"
        found.append(types)
    wrong = {
        call: (got, want)
        for (call, got), want in zip(found[1].items(), found[0].values(), strict=True)
        if got != want and "rror" not in want
    }
    assert not wrong, "\n".join(f"{call}: {got}, torch {want}" for call, (got, want) in wrong.items())
    assert sum("rror" not in want for want in found[0].values()) > 95


def of_cuda(torch):
    """torch's own examples for its lists on cuda: (the function's name, its operands, the expected type)."""
    lists = __import__("torch.testing._internal.autocast_test_lists", fromlist=["x"]).AutocastTestLists(torch.device("cpu"))
    for name, dtype in (("fp16", F16), ("fp32", F32), ("need_autocast_promote", F32)):
        for place, module in (("torch", gf), ("nn", gf.nn.functional), ("linalg", gf.linalg), ("methods", gf.Tensor)):
            for entry in getattr(lists, f"{place}_{name}", ()):
                function = getattr(module, entry[0].removeprefix("linalg_"), None) or getattr(gf.nn.functional, entry[0], None)
                if function is not None and not isinstance(entry[1], str):
                    yield entry[0], function, entry[1], entry[2] if len(entry) == 3 and isinstance(entry[2], dict) else {}, dtype


@pytest.mark.filterwarnings("ignore:reduction", "ignore:.*deprecated")
def test_the_lists_for_cuda_are_torchs(torch, monkeypatch):
    """There is no GPU: on the CPU, with cuda's lists."""
    wrong, seen = [], set()
    with gf.autocast("cpu", dtype=F16):
        policies = {id(f.__dict__["__wrapped__"]): p for f, p in converters()}
    for policy in policies.values():
        monkeypatch.setitem(policy, "cpu", policy.get("cuda"))
    for name, function, operands, options, dtype in of_cuda(torch):
        if name in ("poisson_nll_loss", "grid_sampler", "nll_loss2d", "linear", "margin_ranking_loss"):  # arguments of torch's internals
            continue
        with gf.autocast("cpu", dtype=F16):
            try:
                got = function(*ours(torch, list(operands)), **options)
            except Exception as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
                continue
        seen.add(name)
        got = leaves(got)[0]
        if got.dtype is not dtype:
            wrong.append(f"{name}: {got.dtype}, torch {dtype}")
    assert not wrong, "\n".join(wrong)
    assert {"matmul", "conv2d", "exp", "softmax", "sum", "layer_norm", "mse_loss", "addcmul"} <= seen


def converters():
    """The functions that convert, with their policies."""
    for place in (gf.Tensor, gf, gf.nn.functional, gf.linalg):
        for f in vars(place).values():
            if getattr(f, "__dict__", {}).get("converts"):
                cells = dict(zip(f.__code__.co_freevars, f.__closure__, strict=True))
                yield f, cells["policy"].cell_contents


def test_blocks_nest_and_end():
    x, w = gf.randn(2, 3), gf.randn(3, 3, requires_grad=True)
    assert not gf.is_autocast_enabled("cpu") and gf.get_autocast_dtype("cpu") is BF16 and gf.get_autocast_dtype("cuda") is F16
    with gf.autocast("cpu") as block:
        assert gf.is_autocast_enabled("cpu") and not gf.is_autocast_enabled() and block.device == "cpu"
        assert (x @ w).dtype is BF16 and x.matmul(w).dtype is BF16 and gf.nn.functional.linear(x, w).dtype is BF16
        with gf.autocast("cpu", enabled=False):
            assert (x @ w).dtype is F32
        with gf.autocast("cpu", dtype=F16):
            assert (x @ w).dtype is F16 and gf.get_autocast_dtype("cpu") is F16
            with pytest.raises(ValueError, match="stop"), block:
                assert (x @ w).dtype is BF16
                raise ValueError("stop")
            assert (x @ w).dtype is F16
        assert (x.double() @ w.double()).dtype is gf.float64 and (x.long() @ w.long()).dtype is gf.int64
        out = gf.empty(2, 3)
        assert gf.mm(x, w.detach(), out=out) is out and out.dtype is F32
    assert (x @ w).dtype is F32 and not gf.is_autocast_enabled("cpu")


@pytest.mark.parametrize("cached", [True, False, None])
def test_gradients_of_a_weight_that_is_used_often(torch, cached):
    found = []
    for t in (torch, gf):
        w, x = t.linspace(-1, 1, 9).reshape(3, 3).requires_grad_(), t.linspace(0, 1, 6).reshape(2, 3)
        with t.autocast("cpu", cache_enabled=cached):
            y = (x @ w).exp() @ w + x @ w.T
            y.float().square().sum().backward()
            (x @ w).sum().backward()
        found.append((y.detach().float().numpy(), w.grad.numpy()))
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=0.02)


def test_a_weight_is_converted_once():
    """Until it changes or the outermost block ends."""
    w, v = gf.ones(3, 3, requires_grad=True), gf.ones(3, 3)
    convert = gf.amp.autocast_mode.converted
    with gf.autocast("cpu"):
        assert gf.is_autocast_cache_enabled()
        with gf.no_grad():
            assert not convert(w, BF16).requires_grad  # this one is not kept
        first = convert(w, BF16)
        assert first.requires_grad and convert(w, BF16) is first and convert(w, F16) is not first
        assert convert(v, BF16) is not convert(v, BF16)
        with gf.autocast("cpu", cache_enabled=False):
            assert not gf.is_autocast_cache_enabled() and convert(w, BF16) is not first
        assert convert(w, BF16) is first
        with gf.no_grad():
            w.mul_(2)
        assert float((v @ w)[0, 0]) == 6
        second = convert(w, BF16)
        gf.clear_autocast_cache()
        assert convert(w, BF16) is not second
        gf.set_autocast_cache_enabled(False)
    assert gf.is_autocast_cache_enabled() and not gf.amp.autocast_mode.state.cache


def test_a_decorator_and_threads():
    x = gf.randn(2, 2)

    @gf.autocast("cpu", dtype=BF16)
    def product(x):
        "its words"
        return x @ x

    assert product(x).dtype is BF16 and product.__doc__ == "its words" and (x @ x).dtype is F32
    seen = []
    with gf.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((x @ x).dtype))
        thread.start()
        thread.join()
    assert seen == [F32]
    with pytest.raises(TypeError, match="requires a callable"):
        gf.autocast("cpu")(3)


def test_a_training_step_is_torchs(torch):
    """Loss and gradients, with the types of gradients."""
    results = []
    data = np.random.default_rng(0).standard_normal((6, 5), np.float32)
    weights = [np.random.default_rng(k).standard_normal(s, np.float32) for k, s in enumerate([(8, 5), (8,), (3, 8), (3,)])]
    for t in (torch, gf):
        model = t.nn.Sequential(t.nn.Linear(5, 8), t.nn.LayerNorm(8), t.nn.GELU(), t.nn.Linear(8, 3))
        with t.no_grad():
            for p, w in zip([model[0].weight, model[0].bias, model[3].weight, model[3].bias], weights, strict=True):
                p.copy_(t.tensor(w))
        with t.autocast("cpu", dtype=t.bfloat16):
            y = model(t.tensor(data))
            loss = t.nn.functional.cross_entropy(y, t.tensor([0, 1, 2, 0, 1, 2]))
        loss.backward()
        assert str(y.dtype) == "torch.bfloat16" and str(loss.dtype) == "torch.float32"
        assert all(str(p.grad.dtype) == "torch.float32" for p in model.parameters())
        results.append([loss.item(), *(p.grad.numpy() for p in model.parameters())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02)


def test_wrong_arguments(monkeypatch):
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        gf.autocast(3)
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'tpu'"):
        gf.autocast("tpu")
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        assert not gf.autocast("cpu", dtype=F32).enabled
    if not gf.cuda.is_available():
        with pytest.warns(UserWarning, match="CUDA is not available"), gf.cuda.amp.autocast():
            assert (gf.ones(2, 2) @ gf.ones(2, 2)).dtype is F32


def test_functions_of_the_users():
    class Double(gf.autograd.Function):
        @staticmethod
        @gf.amp.custom_fwd(device_type="cpu", cast_inputs=gf.float32)
        def forward(ctx, x):
            ctx.inside = (x @ x).dtype
            seen.append((x.dtype, ctx.inside, gf.is_autocast_enabled("cpu")))
            return x * 2

        @staticmethod
        @gf.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            seen.append(gf.is_autocast_enabled("cpu"))
            return g * 2

    seen = []
    x = gf.ones(2, 2, dtype=BF16, requires_grad=True)
    with gf.autocast("cpu"):
        y = Double.apply(x)
    y.sum().backward()
    assert seen == [(F32, F32, False), False] and y.dtype is F32 and x.grad.dtype is BF16
    Double.apply(x)
    assert seen[2] == (BF16, BF16, False)


def test_what_is_computed_again_is_in_the_same_types():
    w = gf.randn(3, 3, requires_grad=True)
    for reentrant in (True, False):
        x = gf.randn(2, 3, requires_grad=True)
        with gf.autocast("cpu"):
            y = gf.utils.checkpoint.checkpoint(lambda x: (x @ w).relu(), x, use_reentrant=reentrant)
        assert y.dtype is BF16
        y.float().sum().backward()
        assert x.grad.dtype is F32


def test_a_profile_may_come_and_go():
    x = gf.randn(2, 2)
    with gf.profiler.profile() as prof, gf.autocast("cpu"):
        assert (x @ x).dtype is BF16
    assert any("matmul" in e.key or "mm" in e.key for e in prof.key_averages())
    with gf.autocast("cpu"):
        assert (x @ x).dtype is BF16 and gf.matmul(x, x).dtype is BF16
    assert (x @ x).dtype is F32


# The scaler


def steps(t, scaler_of, **options):
    """What a few steps do, one with infinite gradients among them."""
    w = t.tensor([1.0, -2.0, 3.0], requires_grad=True)
    v = t.tensor([0.5], requires_grad=True)
    optimizer = t.optim.SGD([w, v], lr=0.1, momentum=0.9)
    scaler = scaler_of("cpu", init_scale=8.0, growth_interval=2, **options)
    seen = []
    for k, factor in enumerate([1.0, 1.0, float("inf"), 1.0, float("nan"), 1.0, 1.0]):
        optimizer.zero_grad()
        scaler.scale((w * w).sum() * factor + v.sum()).backward()
        if k % 2:
            scaler.unscale_(optimizer)
            seen.append(v.grad.tolist())
        scaler.step(optimizer)
        scaler.update()
        seen += [w.tolist(), scaler.get_scale(), scaler.state_dict()]
    return seen


def test_the_scaler_is_torchs(torch):
    for options in ({}, {"growth_factor": 4.0, "backoff_factor": 0.25}, {"enabled": False}):
        for got, want in zip(steps(gf, gf.amp.GradScaler, **options), steps(torch, torch.amp.GradScaler, **options), strict=True):
            if isinstance(want, list):
                np.testing.assert_allclose(got, want, rtol=1e-6)
            else:
                assert got == want


def test_the_scaler_used_wrongly():
    w = gf.ones(2, requires_grad=True)
    optimizer = gf.optim.SGD([w], lr=0.1)
    scaler = gf.amp.GradScaler("cpu")
    for call in (scaler.update, lambda: scaler.step(optimizer), lambda: scaler.unscale_(optimizer)):
        with pytest.raises(AssertionError, match="_scale is None"):
            call()
    with pytest.raises(AssertionError, match="growth factor"):
        gf.amp.GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="backoff factor"):
        gf.amp.GradScaler("cpu", backoff_factor=1.0)
    with pytest.raises(ValueError, match="iterable of Tensors"):
        scaler.scale(3)
    assert [type(s) for s in (scaler.scale([w, (w,)]), scaler.scale((w,)))] == [list, tuple]
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.step(gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=0.1))
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    with pytest.raises(AssertionError, match="pickled"):
        pickle.dumps(scaler)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="Closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.update()
    again = pickle.loads(pickle.dumps(scaler))
    assert again.state_dict() == scaler.state_dict()
    scaler.update(new_scale=3.0)
    assert scaler.get_scale() == 3.0
    scaler.update(gf.tensor(5.0))
    assert scaler.get_scale() == 5.0
    again.load_state_dict(scaler.state_dict())
    assert again.get_scale() == 5.0
    with pytest.raises(RuntimeError, match="empty"):
        again.load_state_dict({})
    h = gf.ones(2, dtype=F16, requires_grad=True)
    scaler.scale(h.sum()).backward()
    with pytest.raises(ValueError, match="FP16"):
        scaler.unscale_(gf.optim.SGD([h], lr=0.1))
    if not gf.cuda.is_available():
        with pytest.warns(UserWarning, match="Disabling"):
            off = gf.cuda.amp.GradScaler()
        assert not off.is_enabled() and off.scale(w) is w and off.get_scale() == 1.0 and off.state_dict() == {}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gf.amp.GradScaler(enabled=False)
