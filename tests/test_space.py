"""Convolutions, pooling and the normalisations over space: against sums written out, and against torch."""

import itertools

import numpy as np
import pytest
from compare import same

import gradflow as gf
from gradflow import nn

RNG = np.random.default_rng(0)
SPACE = (9, 8, 7)


def data(*shape):
    return RNG.normal(size=shape)


def F(t):
    return t.nn.functional


def test_conv2d_is_the_sum_over_windows():
    x, w, b = data(2, 4, 7, 6), data(6, 2, 3, 2), data(6)
    y = gf.nn.functional.conv2d(*(gf.tensor(a) for a in (x, w, b)), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2).numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    want = np.zeros_like(y)
    for n, o, i, j in itertools.product(*map(range, y.shape)):
        first = o // 3 * 2
        want[n, o, i, j] = (padded[n, first : first + 2, 2 * i : 2 * i + 3, j : j + 3 : 2] * w[o]).sum() + b[o]
    np.testing.assert_allclose(y, want, rtol=1e-12)


def test_long_batches_go_through_in_parts(monkeypatch):
    x, w = gf.tensor(data(7, 3, 6, 6), requires_grad=True), gf.tensor(data(4, 3, 3, 3), requires_grad=True)
    results = []
    for size in (1 << 22, 1 << 10):
        monkeypatch.setattr("gradflow.ops.convolutions.COLUMNS", size)
        y = gf.nn.functional.conv2d(x, w, padding=1)
        results.append([a.detach().numpy() for a in (y, *gf.autograd.grad((y * y).sum(), (x, w)))])
    for whole, parts in zip(*results, strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-12)


def test_max_pool_gives_nan_and_the_first_of_equals():
    y, at = gf.nn.functional.max_pool1d(gf.tensor([[1.0, 1.0, np.nan, 0.0, -np.inf, -np.inf]]), 2, return_indices=True)
    np.testing.assert_array_equal(y.numpy(), [[1.0, np.nan, -np.inf]])
    assert at.tolist() == [[0, 2, 4]]


CONV = [{}, {"stride": 2, "padding": 1}, {"padding": "same", "dilation": 2}, {"groups": 2}]
TRANSPOSED = [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2, "dilation": 2}]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("options", CONV, ids=str)
def test_convolutions(torch, k, options):
    w = data(4, 4 // options.get("groups", 1), *(3, 2, 2)[:k])
    same(torch, lambda t, x, w, b: getattr(F(t), f"conv{k}d")(x, w, b, **options), [data(2, 4, *(6, 5, 4)[:k]), w, data(4)])


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("options", TRANSPOSED, ids=str)
def test_transposed_convolutions(torch, k, options):
    w = data(4, 6 // options.get("groups", 1), *(3, 2, 2)[:k])
    same(torch, lambda t, x, w, b: getattr(F(t), f"conv_transpose{k}d")(x, w, b, **options), [data(2, 4, *(4, 3, 3)[:k]), w, data(6)])


FUNCTIONS = {
    "max_pool1d": lambda t, x: F(t).max_pool1d(x[0], 3, 2, 1, ceil_mode=True),
    "max_pool2d": lambda t, x: F(t).max_pool2d(x, 2, dilation=2, stride=1),
    "avg_pool2d": lambda t, x: F(t).avg_pool2d(x, 3, 2, 1, True, False) ** 2,
    "avg_pool2d divisor": lambda t, x: F(t).avg_pool2d(x, 3, 2, 1, divisor_override=5) ** 2,
    "adaptive_avg_pool2d": lambda t, x: F(t).adaptive_avg_pool2d(x, (4, None)) ** 2,
    "adaptive_max_pool2d": lambda t, x: F(t).adaptive_max_pool2d(x, (4, 3)) ** 2,
    "lp_pool2d": lambda t, x: F(t).lp_pool2d(x.abs() + 0.1, 3, 2),
    "max_unpool2d": lambda t, x: F(t).max_unpool2d(*F(t).max_pool2d(x, 2, return_indices=True), 2) ** 2,
    "batch_norm": lambda t, x: F(t).batch_norm(x, None, None, training=True),
    "batch_norm evaluated": lambda t, x: F(t).batch_norm(x, x[0, :, 0, 0].detach(), x[0, :, 0, 1].detach() ** 2),
    "group_norm": lambda t, x: F(t).group_norm(x, 2),
    "instance_norm": lambda t, x: F(t).instance_norm(x),
    "local_response_norm": lambda t, x: F(t).local_response_norm(x, 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(torch, name):
    same(torch, FUNCTIONS[name], [data(2, 4, 7, 6)])


def test_batch_norm_with_weights(torch):
    same(torch, lambda t, x, w, b: F(t).batch_norm(x, None, None, w, b, True), [data(5, 3, 4), data(3), data(3)])


def pair(torch, make):
    """The same module in torch and in gradflow, with torch's weights."""
    theirs, ours = make(torch.nn), make(nn)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict({name: gf.tensor(v.numpy().copy()) for name, v in theirs.state_dict().items()})
    return theirs, ours


def agree(torch, make, *arrays):
    """Outputs, gradients and buffers, training and then in evaluation; and the text."""
    theirs, ours = pair(torch, make)
    assert repr(theirs) == repr(ours)
    for train in (True, False):
        found = []
        for t, module in ((torch, theirs), (gf, ours)):
            module.train(train)
            xs = [t.tensor(a, dtype=t.float32, requires_grad=True) for a in arrays]
            y = module(*xs)
            y = y[0] if isinstance(y, tuple) else y
            (y * t.tensor(np.cos(np.arange(y.numel())).reshape(tuple(y.shape)), dtype=t.float32)).sum().backward()
            found.append([y, *(x.grad for x in xs), *(p.grad for p in module.parameters()), *module.buffers()])
        for want, got in zip(*found, strict=True):
            scale = max(1.0, float(want.detach().abs().max()))
            np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5 * scale)


MODULES = {
    "Conv": [{}, {"stride": 2, "padding": 2, "padding_mode": "reflect"}, {"padding": "same", "padding_mode": "circular"}, {"bias": False}],
    "ConvTranspose": [{}, {"stride": 2, "padding": 1, "output_padding": 1}],
    "MaxPool": [{}, {"stride": 1, "padding": 1}, {"stride": 2, "ceil_mode": True}],
    "AvgPool": [{}, {"stride": 2, "padding": 1, "count_include_pad": False}],
    "AdaptiveAvgPool": [{}],
    "AdaptiveMaxPool": [{}],
    "BatchNorm": [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}, {"bias": False}],
    "InstanceNorm": [{}, {"affine": True, "track_running_stats": True}],
}
FIRST = {"Conv": (4, 6, 3), "ConvTranspose": (4, 6, 3), "BatchNorm": (4,), "InstanceNorm": (4,)}


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("family", MODULES)
def test_modules(torch, family, k):
    for options in MODULES[family]:
        agree(torch, lambda n, o=options: getattr(n, f"{family}{k}d")(*FIRST.get(family, (3,)), **o), data(2, 4, *SPACE[:k]))


@pytest.mark.parametrize("family", ["Conv", "ConvTranspose", "MaxPool", "AvgPool", "AdaptiveAvgPool", "InstanceNorm"])
def test_modules_without_a_batch(torch, family):
    agree(torch, lambda n: getattr(n, f"{family}2d")(*FIRST.get(family, (3,))), data(4, 8, 7))


def test_other_norms(torch):
    agree(torch, lambda n: n.GroupNorm(2, 4), data(3, 4, 5))
    agree(torch, lambda n: n.LocalResponseNorm(3), data(3, 4, 5, 5))
    agree(torch, lambda n: n.BatchNorm1d(4), data(6, 4))


def lenet(n):
    return n.Sequential(
        n.Conv2d(1, 6, 5, padding=2), n.BatchNorm2d(6), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 16, 5), n.Tanh(), n.AvgPool2d(2),
        n.Flatten(), n.Linear(16 * 9, 10),
    )  # fmt: skip


def test_a_network_learns_as_in_torch(torch):
    modules = pair(torch, lenet)
    x, labels = data(16, 1, 20, 20), RNG.integers(0, 10, 16)
    losses = []
    for t, module in zip((torch, gf), modules, strict=True):
        optimizer = t.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
        for _ in range(8):
            optimizer.zero_grad()
            loss = F(t).cross_entropy(module(t.tensor(x, dtype=t.float32)), t.tensor(labels))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(losses[8:], losses[:8], rtol=2e-3)
    assert losses[-1] < losses[8] - 0.3


X, W = (1, 4, 5, 5), (2, 4, 3, 3)
WRONG = {
    "channels": lambda t, z: F(t).conv2d(z(1, 3, 5, 5), z(*W)),
    "small": lambda t, z: F(t).conv2d(z(1, 4, 2, 2), z(*W)),
    "axes": lambda t, z: F(t).conv2d(z(5, 5), z(*W)),
    "weight": lambda t, z: F(t).conv2d(z(*X), z(2, 4, 3)),
    "bias": lambda t, z: F(t).conv2d(z(*X), z(*W), z(3)),
    "dtype": lambda t, z: F(t).conv2d(z(*X), z(*W).double()),
    "stride": lambda t, z: F(t).conv2d(z(*X), z(*W), stride=0),
    "strides": lambda t, z: F(t).conv2d(z(*X), z(*W), stride=(1, 1, 1)),
    "padding": lambda t, z: F(t).conv2d(z(*X), z(*W), padding=-1),
    "groups": lambda t, z: F(t).conv2d(z(*X), z(*W), groups=0),
    "same": lambda t, z: F(t).conv2d(z(*X), z(*W), stride=2, padding="same"),
    "words": lambda t, z: F(t).conv2d(z(*X), z(*W), padding="some"),
    "no tensor": lambda t, z: F(t).conv2d([1.0], z(*W)),
    "float stride": lambda t, z: F(t).conv2d(z(*X), z(*W), stride=1.5),
    "transposed channels": lambda t, z: F(t).conv_transpose2d(z(*X), z(3, 2, 3, 3)),
    "output padding": lambda t, z: F(t).conv_transpose2d(z(*X), z(4, 2, 3, 3), output_padding=1),
    "pool axes": lambda t, z: F(t).max_pool2d(z(5, 5), 2),
    "pool kernel": lambda t, z: F(t).max_pool2d(z(*X), 0),
    "pool padding": lambda t, z: F(t).max_pool2d(z(*X), 2, padding=2),
    "pool size": lambda t, z: F(t).avg_pool2d(z(*X), 7),
    "divisor": lambda t, z: F(t).avg_pool2d(z(*X), 2, divisor_override=0),
    "one value": lambda t, z: F(t).batch_norm(z(1, 4), None, None, training=True),
    "statistics": lambda t, z: F(t).batch_norm(z(*X), z(3), z(3)),
    "norm groups": lambda t, z: F(t).group_norm(z(*X), 3),
    "Conv2d groups": lambda t, z: t.nn.Conv2d(4, 6, 3, groups=5),
    "Conv2d mode": lambda t, z: t.nn.Conv2d(4, 6, 3, padding_mode="mirror"),
    "BatchNorm2d axes": lambda t, z: t.nn.BatchNorm2d(4)(z(2, 4)),
    "GroupNorm": lambda t, z: t.nn.GroupNorm(3, 4),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_of_torchs_kind(torch, name):
    kinds = []
    for t in (torch, gf):
        with pytest.raises(Exception) as caught:
            WRONG[name](t, lambda *shape, t=t: t.ones(*shape))
        kinds.append(caught.value)
    kind = type(kinds[0])
    assert isinstance(kinds[1], kind), f"{kind.__name__} in torch, here {kinds[1]!r}"
    assert isinstance(kinds[1], gf.errors.GradflowError)
    assert ": " in str(kinds[1])
