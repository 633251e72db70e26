"""Layers that learn the size of their input: as torch's, from the same weights."""

import copy
import pickle

import numpy as np
import pytest

import gradflow as gf

CASES = [
    ("LazyLinear", (4,), {}, (2, 3, 5)),
    ("LazyLinear", (4,), {"bias": False}, (2, 5)),
    ("LazyConv1d", (4, 3), {}, (2, 6, 9)),
    ("LazyConv2d", (4, 3), {"groups": 2, "padding": 1}, (2, 6, 9, 8)),
    ("LazyConv2d", (4, 3), {}, (6, 9, 8)),
    ("LazyConv3d", (2, 2), {}, (2, 3, 4, 5, 6)),
    ("LazyConvTranspose2d", (4, 3), {"stride": 2}, (2, 6, 5, 4)),
    ("LazyBatchNorm1d", (), {}, (6, 3)),
    ("LazyBatchNorm2d", (), {"affine": False}, (6, 3, 2, 2)),
    ("LazyInstanceNorm2d", (), {"affine": True}, (6, 3, 4, 4)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES)
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_as_torch(torch, name, args, kwargs, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    theirs, ours = getattr(torch.nn, name)(*args, **kwargs), getattr(gf.nn, name)(*args, **kwargs)
    loaded = getattr(gf.nn, name)(*args, **kwargs)
    assert ours.has_uninitialized_params() and theirs.has_uninitialized_params()
    same = [id(p) for p in ours.parameters()]
    want = theirs(torch.tensor(x))
    ours(gf.tensor(x))
    assert type(ours).__name__ == type(theirs).__name__ and repr(ours) == repr(theirs)
    assert [id(p) for p in ours.parameters()] == same
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    values = {k: gf.tensor(v.numpy().copy()) for k, v in theirs.state_dict().items()}
    loaded.load_state_dict(values)
    if "Batch" not in name:  # their running statistics have moved
        np.testing.assert_allclose(loaded(gf.tensor(x)).detach().numpy(), want.detach().numpy(), rtol=1e-4, atol=1e-5)
        assert type(loaded) is type(ours)


def test_the_first_input_decides():
    gf.manual_seed(0)
    net = gf.nn.Sequential(gf.nn.LazyConv2d(4, 3), gf.nn.ReLU(), gf.nn.Flatten(), gf.nn.LazyLinear(2)).double()
    parameters = list(net.parameters())
    with pytest.raises(RuntimeError, match="uninitialized"):
        parameters[0].shape  # noqa: B018
    optimizer = gf.optim.SGD(parameters, lr=0.1)
    x = gf.randn(2, 3, 6, 6, dtype=gf.float64)
    before = net(x).sum()
    before.backward()
    optimizer.step()
    assert net(x).sum() < before and net[0].in_channels == 3 and net[3].weight.dtype is gf.float64
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert gf.equal(again(x), net(x))


def test_making_one_draws_nothing():
    gf.manual_seed(0)
    a = gf.nn.LazyLinear(3)
    a(gf.ones(2, 4))
    gf.manual_seed(0)
    assert gf.equal(a.weight, gf.nn.Linear(4, 3).weight)
    assert not gf.nn.Linear(2, 2).to_empty(device="cpu").weight.is_cuda
