"""Parametrizations, weight and spectral normalisation, fused norms, hooks going back, and wrappers of modules: against torch."""

import copy
import pickle

import numpy as np
import pytest

import gradflow as gf

RNG = np.random.default_rng(0)


def filled(t, module, seed=1):
    """The module with numbers that are the same for both libraries."""
    rng = np.random.default_rng(seed)
    with t.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.dtype.is_floating_point:
                tensor.copy_(t.tensor(rng.normal(size=tuple(tensor.shape)), dtype=tensor.dtype))
    return module


def trained(t, module, x, steps=3):
    """Results, gradients and state over steps of training."""
    optimizer = t.optim.SGD(module.parameters(), lr=0.1)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        y = module(x)
        y.square().mean().backward()
        found += [y, *(p.grad for p in module.parameters())]
        optimizer.step()
    module.eval()
    return [v.detach().numpy() for v in [*found, module(x), *module.state_dict().values()]], list(module.state_dict()), repr(module)


def unit_vectors(t, module):
    """The power method's vectors from the same start."""
    rng = np.random.default_rng(5)
    for name, buffer in module.named_buffers():
        if name.endswith(("_u", "_v")):
            values = rng.normal(size=tuple(buffer.shape))
            buffer.copy_(t.tensor(values / np.linalg.norm(values), dtype=buffer.dtype))
    return module


def same(found):
    (theirs, names, text), (ours, our_names, our_text) = found
    assert names == our_names
    assert text == our_text
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


LAYERS = {
    "linear": (lambda t: t.nn.Linear(3, 4), (2, 3)),
    "conv": (lambda t: t.nn.Conv2d(2, 3, 2), (2, 2, 4, 4)),
    "transposed": (lambda t: t.nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
}
WRAPS = {
    "weight_norm": lambda t, m: t.nn.utils.parametrizations.weight_norm(m),
    "weight_norm, no axis": lambda t, m: t.nn.utils.parametrizations.weight_norm(m, dim=None),
    "weight_norm, axis 1": lambda t, m: t.nn.utils.parametrizations.weight_norm(m, dim=1),
    "spectral_norm": lambda t, m: unit_vectors(t, t.nn.utils.parametrizations.spectral_norm(m, n_power_iterations=2)),
    "older weight_norm": lambda t, m: t.nn.utils.weight_norm(m),
    "older weight_norm, no axis": lambda t, m: t.nn.utils.weight_norm(m, dim=None),
    "older spectral_norm": lambda t, m: unit_vectors(t, t.nn.utils.spectral_norm(m)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_normalised_weights(torch, layer, wrap):
    make, shape = LAYERS[layer]
    x = RNG.normal(size=shape).astype(np.float32)
    same([trained(t, WRAPS[wrap](t, filled(t, make(t))), t.tensor(x)) for t in (torch, gf)])


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_orthogonal(torch, orthogonal_map, shape):
    found = []
    for t in (torch, gf):
        layer = filled(t, t.nn.Linear(*shape)).double()
        t.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=orthogonal_map, use_trivialization=False)
        found.append(trained(t, layer, t.tensor(RNG.normal(size=(1, shape[0])) * 0 + 1.0)))
        q = layer.weight if shape[1] <= shape[0] else layer.weight.T
        np.testing.assert_allclose((q @ q.T).detach().numpy(), np.eye(min(shape)), atol=1e-10)
    same(found)
    layer = gf.nn.utils.parametrizations.orthogonal(gf.nn.Linear(*shape).double(), orthogonal_map=orthogonal_map)
    layer.weight = gf.nn.init.orthogonal_(gf.empty(*layer.weight.shape, dtype=gf.float64)).clone()
    wanted = layer.weight.detach().numpy().copy()
    q, _ = np.linalg.qr(wanted if shape[1] >= shape[0] else wanted.T)
    assert np.abs(np.linalg.svd(wanted, compute_uv=False) - 1).max() < 1e-10


def parametrized(t):
    class Symmetric(t.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    class Doubled(t.nn.Module):
        def forward(self, x):
            return 2 * x

        def right_inverse(self, x):
            return x / 2

    return Symmetric(), Doubled()


def test_registered_and_removed(torch):
    found = []
    for t in (torch, gf):
        p = t.nn.utils.parametrize
        layer = filled(t, t.nn.Linear(3, 3))
        first = layer.weight
        symmetric, doubled = parametrized(t)
        assert p.register_parametrization(layer, "weight", symmetric) is layer
        p.register_parametrization(layer, "weight", doubled)
        p.register_parametrization(layer, "bias", doubled)
        assert p.is_parametrized(layer)
        assert p.is_parametrized(layer, "weight")
        assert not p.is_parametrized(layer, "other")
        assert isinstance(layer, t.nn.Linear)
        assert p.type_before_parametrizations(layer) is t.nn.Linear
        assert layer.parametrizations.weight.original is first
        values = [layer.weight, layer.bias]
        with p.cached():
            assert layer.weight is layer.weight
        assert layer.weight is not layer.weight
        layer.weight = t.tensor(np.eye(3, dtype=np.float32) * 4)
        values.append(layer.weight)
        copied = copy.deepcopy(layer)
        with t.no_grad():
            copied.parametrizations.weight.original.zero_()
        values += [copied.weight, layer.weight]
        with pytest.raises(Exception, match="state_dict"):
            pickle.dumps(layer)
        text = repr(layer)
        p.remove_parametrizations(layer, "weight")
        assert layer.weight is first
        values.append(layer.weight)
        p.remove_parametrizations(layer, "bias", leave_parametrized=False)
        values.append(layer.bias)
        assert type(layer) is t.nn.Linear
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        found.append(([v.detach().numpy() for v in values], [name for name, _ in copied.named_parameters()], text))
    same(found)


def test_state_of_the_older_weight_norm_is_taken(torch):
    older = gf.nn.utils.weight_norm(gf.nn.Linear(2, 3))
    newer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 3))
    newer.load_state_dict(older.state_dict())
    x = gf.randn(4, 2)
    assert gf.equal(newer(x), older(x))
    before = older(x)
    gf.nn.utils.remove_weight_norm(older)
    assert gf.allclose(older(x), before)
    assert list(older.state_dict()) == ["bias", "weight"]
    layer = gf.nn.utils.spectral_norm(gf.nn.Linear(2, 3)).eval()
    before = layer(x)
    gf.nn.utils.remove_spectral_norm(layer)
    assert gf.allclose(layer(x), before)


def wrongly_shaped(t):
    class Row(t.nn.Module):
        def forward(self, x):
            return x[:1]

    return Row()


MISTAKES = [
    lambda t: t.nn.utils.parametrize.register_parametrization(t.nn.Linear(2, 2), "other", t.nn.Identity()),
    lambda t: t.nn.utils.parametrize.register_parametrization(t.nn.Linear(2, 2), "weight", wrongly_shaped(t)),
    lambda t: t.nn.utils.parametrize.remove_parametrizations(t.nn.Linear(2, 2), "weight"),
    lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 2), n_power_iterations=0),
    lambda t: t.nn.utils.parametrizations.spectral_norm(t.nn.Linear(2, 2), dim=5),
    lambda t: t.nn.utils.parametrizations.orthogonal(t.nn.Linear(2, 2), "bias"),
    lambda t: t.nn.utils.parametrizations.orthogonal(t.nn.Linear(2, 2), orthogonal_map="other"),
    lambda t: t.nn.utils.parametrizations.orthogonal(t.nn.Linear(2, 2), "other"),
    lambda t: t.nn.utils.remove_weight_norm(t.nn.Linear(2, 2)),
    lambda t: t.nn.utils.weight_norm(t.nn.utils.weight_norm(t.nn.Linear(2, 2))),
]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(torch, mistake):
    with pytest.raises(Exception) as theirs:
        mistake(torch)
    with pytest.raises(theirs.type):
        mistake(gf)


def test_fused_norms(torch):
    found = []
    for t in (torch, gf):
        conv, norm = filled(t, t.nn.Conv2d(2, 3, 2, bias=False)).eval(), filled(t, t.nn.BatchNorm2d(3)).eval()
        back, linear, flat = (
            filled(t, t.nn.ConvTranspose2d(2, 3, 2)).eval(),
            filled(t, t.nn.Linear(2, 3)).eval(),
            filled(t, t.nn.BatchNorm1d(3)).eval(),
        )
        for layer in (norm, flat):
            layer.running_var.abs_()
        x = t.ones(1, 2, 3, 3)
        u = t.nn.utils
        results = [
            u.fuse_conv_bn_eval(conv, norm)(x),
            u.fuse_conv_bn_eval(back, norm, transpose=True)(x),
            u.fuse_linear_bn_eval(linear, flat)(x[0, :, :2, 0].T),
        ]
        found.append(([r.detach().numpy() for r in results], [], ""))
    same(found)


@pytest.mark.filterwarnings("ignore:Full backward hook:UserWarning")
def test_hooks_going_back(torch):
    found = []
    for t in (torch, gf):
        net = filled(t, t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh(), t.nn.Linear(3, 1)))
        seen = []

        def see(module, into, out, seen=seen):
            seen.extend([None if g is None else g.numpy().copy() for g in (*into, *out)])

        handles = [net[k].register_full_backward_hook(see) for k in (0, 1, 2)]
        handles.append(net[2].register_full_backward_pre_hook(lambda m, out: (out[0] * 2,)))
        handles.append(net[1].register_full_backward_hook(lambda m, into, out: (into[0] * 3,)))
        x = t.ones(4, 2, requires_grad=True)
        net(x).sum().backward()
        net(t.ones(4, 2)).sum().backward()
        grads = [x.grad.numpy().copy(), net[0].weight.grad.numpy().copy()]
        for handle in handles:
            handle.remove()
        count = len(seen)
        net(x).sum().backward()
        assert len(seen) == count
        found.append((seen, grads))
    (theirs, their_grads), (ours, our_grads) = found
    assert [v is None for v in ours] == [v is None for v in theirs]
    for a, b in zip([v for v in ours if v is not None] + our_grads, [v for v in theirs if v is not None] + their_grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_wrappers(torch):
    for t in (torch, gf):
        net = t.nn.DataParallel(t.nn.Linear(2, 3))
        assert list(net.state_dict()) == ["module.weight", "module.bias"]
        assert net(t.ones(1, 2)).shape == (1, 3)

        class Wrapper(t.nn.Module):
            def __init__(self, module, t=t):
                super().__init__()
                self.module = module

            def __getattr__(self, name):
                try:
                    return super().__getattr__(name)
                except AttributeError:
                    return getattr(super().__getattr__("module"), name)

        assert Wrapper(t.nn.Linear(2, 3)).in_features == 2
    assert gf.compile(net) is net
    assert gf.jit.script(net) is net
    with pytest.raises(ValueError, match="state_dict"):
        gf.jit.save(net, "never.pt")
    with pytest.raises(RuntimeError, match="distributed"):
        gf.nn.parallel.DistributedDataParallel(net)
    with pytest.raises(AttributeError, match="no complex numbers"):
        _ = gf.view_as_complex
    with pytest.raises(AttributeError, match="is_available"):
        _ = gf.distributed.init_process_group
    with gf.random.fork_rng():
        a = gf.rand(2)
    assert gf.equal(gf.rand(2), a)
