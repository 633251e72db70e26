"""Modules saved, loaded, copied and freed."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import gradflow as gf
from gradflow import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.scale = nn.Parameter(gf.ones(1))
        self.register_buffer("steps", gf.tensor(0))
        self.register_buffer("scratch", gf.zeros(2), persistent=False)

    def forward(self, x):
        return self.fc(x) * self.scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Block()
        self.act = nn.ReLU()
        self.rest = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))

    def forward(self, x):
        return self.rest(self.act(self.first(x)))


def test_state_dict_shares_memory_and_is_detached():
    block = Block()
    state = block.state_dict(prefix="p.")
    assert state["p.scale"].data_ptr() == block.scale.data_ptr()
    assert not state["p.scale"].requires_grad
    assert block.state_dict(keep_vars=True)["scale"] is block.scale


def test_load():
    a, b = Net(), Net()
    weight = b.first.fc.weight
    result = b.load_state_dict(a.state_dict())
    assert repr(result) == "<All keys matched successfully>"
    assert b.first.fc.weight is weight
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert p.tolist() == q.tolist()
        assert p.data_ptr() != q.data_ptr()
    b.load_state_dict({key: value.double() for key, value in a.state_dict().items()})
    assert b.first.scale.dtype == gf.float32


def test_load_is_not_strict_if_told():
    net = Net()
    result = net.load_state_dict({"first.scale": gf.zeros(1), "other": gf.zeros(1), "act.x": gf.zeros(1)}, strict=False)
    assert net.first.scale.item() == 0.0
    assert result.missing_keys == [name for name in net.state_dict() if name != "first.scale"]
    assert result.unexpected_keys == ["other", "act.x"]


def test_a_failed_load_leaves_everything_and_names_all_reasons():
    net = Net()
    before = {name: tensor.tolist() for name, tensor in net.state_dict().items()}
    bad = {name: gf.ones_like(tensor) for name, tensor in net.state_dict().items()}
    bad["rest.2.bias"] = gf.ones(3)
    bad["rest.2.weight"] = [1.0]
    bad["extra"] = gf.ones(1)
    del bad["first.fc.bias"]
    with pytest.raises(RuntimeError) as raised:
        net.load_state_dict(bad)
    assert str(raised.value).splitlines() == [
        "Error(s) in loading state_dict for Net:",
        '\tMissing key(s) in state_dict: "first.fc.bias". ',
        '\tUnexpected key(s) in state_dict: "extra". ',
        "\tWhile copying the parameter named \"rest.2.weight\", expected a Tensor from checkpoint but received <class 'list'>",
        "\tsize mismatch for rest.2.bias: copying a param with shape torch.Size([3]) from checkpoint, "
        "the shape in current model is torch.Size([2]).",
    ]
    assert {name: tensor.tolist() for name, tensor in net.state_dict().items()} == before
    with pytest.raises(TypeError, match="dict-like, got <class 'list'>"):
        net.load_state_dict([])


def test_load_assign():
    net = nn.Linear(2, 2)
    state = {"weight": gf.ones(2, 2, dtype=gf.float64), "bias": nn.Parameter(gf.zeros(2))}
    net.load_state_dict(state, assign=True)
    assert (net.weight.dtype, net.weight.requires_grad, type(net.weight)) == (gf.float64, True, nn.Parameter)
    assert net.weight.data_ptr() == state["weight"].data_ptr()
    assert net.bias is state["bias"]


def test_extra_state():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(gf.ones(1))
            self.count = 0

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    module = Counting()
    module.count = 3
    state = nn.Sequential(module).state_dict()
    assert state["0._extra_state"] == {"count": 3}
    other = nn.Sequential(Counting())
    other.load_state_dict(state)
    assert other[0].count == 3
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match=r"Missing key.*0\._extra_state"):
        other.load_state_dict(state)
    broken = {"0.weight": gf.zeros(1), "0._extra_state": {}}
    with pytest.raises(KeyError):
        other.load_state_dict(broken)
    assert other[0].weight.item() == 1.0


def test_own_loading_and_its_hooks():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            if prefix + "kernel" in state_dict:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel")
            super()._load_from_state_dict(state_dict, prefix, *args)

    net = nn.Sequential(Renamed(1, 1))
    seen = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep_vars: seen.append("pre"))
    net.register_state_dict_post_hook(lambda module, state, prefix, metadata: seen.append(list(state)))
    net.state_dict()
    assert seen == ["pre", ["0.weight", "0.bias"]]
    net.register_load_state_dict_pre_hook(lambda module, state, *rest: state.setdefault("0.bias", gf.ones(1)))
    net.register_load_state_dict_post_hook(lambda module, keys: keys.unexpected_keys.clear())
    net.load_state_dict({"0.kernel": gf.zeros(1, 1), "else": gf.ones(1)})
    assert (net[0].weight.item(), net[0].bias.item()) == (0.0, 1.0)


def test_versions_are_given_to_loading():
    class Versioned(nn.Module):
        _version = 2

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            self.seen = local_metadata.get("version")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    net = nn.Sequential(Versioned())
    net.load_state_dict(net.state_dict())
    assert net[0].seen == 2
    net.load_state_dict(dict(net.state_dict()))
    assert net[0].seen is None


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies(duplicate):
    net = Net()
    net.first.fc.weight = nn.Parameter(net.rest[0].weight.detach()[:3].clone())
    net.rest[2].tied = net.rest[2].weight
    net.rest[2].weight.mark = "kept"
    net.eval()
    twin = duplicate(net)
    assert repr(twin) == repr(net)
    assert not twin.training
    assert list(twin.state_dict()) == list(net.state_dict())
    for name, parameter in net.named_parameters():
        other = twin.get_parameter(name)
        assert isinstance(other, nn.Parameter)
        assert other.tolist() == parameter.tolist()
        assert other.data_ptr() != parameter.data_ptr()
    assert twin.rest[2].tied is twin.rest[2].weight
    assert twin.rest[2].weight.mark == "kept"
    assert [name for name in twin.state_dict() if "scratch" in name] == []
    assert np.array_equal(twin(gf.ones(1, 3)).detach().numpy(), net(gf.ones(1, 3)).detach().numpy())


def test_a_dropped_module_is_gone_at_once():
    gc.disable()
    try:
        net = Net()
        handle = net.register_forward_hook(print)
        reference = weakref.ref(net)
        del net
        assert reference() is None
        handle.remove()
    finally:
        gc.enable()
