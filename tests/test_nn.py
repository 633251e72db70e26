"""Modules: registration, walking, saving, hooks, printing; layers, initialisations and containers."""

import copy
import math
import pickle
from collections import OrderedDict

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


NAMES = [
    "first.scale",
    "first.fc.weight",
    "first.fc.bias",
    "rest.0.weight",
    "rest.0.bias",
    "rest.2.weight",
    "rest.2.bias",
]


# registration and walking


def test_walking():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_buffers()] == ["first.steps", "first.scratch"]
    assert [name for name, _ in net.named_modules()] == [
        "", "first", "first.fc", "act", "rest", "rest.0", "rest.1", "rest.2",
    ]  # fmt: skip
    assert [name for name, _ in net.named_children()] == ["first", "act", "rest"]
    assert len(list(net.parameters(recurse=False))) == 0
    assert [name for name, _ in net.first.named_parameters("p", recurse=False)] == ["p.scale"]
    assert list(net.state_dict()) == [
        "first.scale", "first.steps", "first.fc.weight", "first.fc.bias", "rest.0.weight", "rest.0.bias",
        "rest.2.weight", "rest.2.bias",
    ]  # fmt: skip


def test_shared_parameters_and_modules_come_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    layer = nn.Linear(2, 2)
    twice = nn.Sequential(layer, layer)
    assert [name for name, _ in twice.named_modules()] == ["", "0"]
    assert len(list(twice.named_modules(remove_duplicate=False))) == 3
    assert len(list(twice.children())) == 1


def test_attributes():
    block = Block()
    weight = block.fc.weight
    assert isinstance(weight, nn.Parameter)
    assert isinstance(weight, gf.Tensor)
    block.fc.weight = None
    assert [name for name, _ in block.fc.named_parameters()] == ["bias"]
    block.fc.weight = weight
    assert [name for name, _ in block.fc.named_parameters()] == ["weight", "bias"]
    del block.scale
    assert "scale" not in dict(block.named_parameters())
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'scale'"):
        _ = block.scale
    block.steps = gf.tensor(5)
    assert block.state_dict()["steps"].item() == 5
    block.fc = nn.Identity()
    assert list(block.parameters()) == []
    block.steps = nn.Parameter(gf.ones(1))
    assert ([name for name, _ in block.named_buffers()], len(list(block.parameters()))) == (["scratch"], 1)
    block.plain = 3
    block.plain = nn.Tanh()
    assert dict(block.named_children())["plain"] is block.plain
    assert "fc" in dir(block)
    assert "0" not in dir(nn.Sequential(nn.Tanh()))


def test_registries_can_be_written():
    block = Block()
    block._parameters["scale"] = nn.Parameter(gf.zeros(1))
    assert block.scale.item() == 0.0
    del block._modules["fc"]
    assert not hasattr(block, "fc")
    assert (list(block._buffers), len(block._buffers), "steps" in block._buffers) == (["steps", "scratch"], 2, True)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda m: m.register_parameter("a.b", None), KeyError, "can.*t contain"),
        (lambda m: m.register_parameter("", None), KeyError, "empty string"),
        (lambda m: m.register_parameter("forward", None), KeyError, "attribute 'forward' already exists"),
        (lambda m: m.register_parameter("x", gf.ones(1)), TypeError, "cannot assign 'Tensor' object to parameter 'x'"),
        (lambda m: m.register_parameter(3, None), TypeError, "should be a string"),
        (lambda m: m.register_buffer("x", 3), TypeError, "cannot assign 'int' object to buffer 'x'"),
        (lambda m: m.register_buffer("fc", gf.ones(1)), KeyError, "attribute 'fc' already exists"),
        (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.add_module("a.b", nn.Tanh()), KeyError, "can.*t contain"),
        (lambda m: setattr(m, "scale", gf.ones(1)), TypeError, r"cannot assign 'Tensor' as parameter 'scale'"),
        (lambda m: setattr(m, "fc", 3), TypeError, "cannot assign 'int' as child module 'fc'"),
        (lambda m: setattr(m, "steps", 3), TypeError, "cannot assign 'int' object to buffer 'steps'"),
        (lambda m: m.train("yes"), ValueError, "expected to be boolean"),
        (lambda m: m.to(gf.int64), TypeError, "only floating point"),
        (lambda m: m.get_submodule("fc.nothing"), AttributeError, "Linear has no attribute `nothing`"),
        (lambda m: m.get_submodule("scale"), AttributeError, "`scale` is not an nn.Module"),
        (lambda m: m.get_parameter("fc"), AttributeError, "`fc` is not an nn.Parameter"),
        (lambda m: m.get_buffer("scale"), AttributeError, "`scale` is not a buffer"),
        (lambda m: m.set_submodule("", nn.Tanh()), ValueError, "without a target name"),
        (lambda m: m.set_submodule("new", nn.Tanh(), strict=True), AttributeError, "no attribute `new`"),
        (lambda m: nn.Module()(3), NotImplementedError, 'missing the required "forward"'),
        (lambda m: nn.Parameter([1.0]), TypeError, "data must be a Tensor; got list"),
    ],
)
def test_refused(act, error, text):
    block = Block()
    before = repr(block)
    with pytest.raises(error, match=text):
        act(block)
    assert repr(block) == before


def test_a_computed_parameter_is_refused():
    weight = gf.ones(1, requires_grad=True) * 2
    assert nn.Parameter(weight).is_leaf
    computed = weight + 0
    computed.__class__ = nn.Parameter
    with pytest.raises(ValueError, match="Cannot assign non-leaf Tensor to parameter 'x'"):
        nn.Module().register_parameter("x", computed)


def test_before_init():
    class Late(nn.Module):
        def __init__(self, value):
            self.value = value

    for value, what in ((nn.Parameter(gf.ones(1)), "parameter"), (nn.Tanh(), "module"), (nn.Buffer(gf.ones(1)), "buffer")):
        with pytest.raises(AttributeError, match=f"cannot assign {what} before Module.__init__"):
            Late(value)


def test_finding_by_name():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("rest.2") is net.rest[2]
    assert net.get_parameter("first.fc.weight") is net.first.fc.weight
    assert net.get_buffer("first.steps") is net.first.steps
    net.set_submodule("rest.1", nn.Identity())
    assert isinstance(net.rest[1], nn.Identity)


def test_buffers_by_assignment():
    module = nn.Module()
    module.kept = nn.Buffer(gf.ones(1))
    module.passing = nn.Buffer(gf.ones(1), persistent=False)
    assert [name for name, _ in module.named_buffers()] == ["kept", "passing"]
    assert list(module.state_dict()) == ["kept"]


# modes, gradients, conversion


def test_modes():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.rest.train()
    assert (net.training, net.rest[1].training) == (False, True)

    class Frozen(nn.Dropout):
        def train(self, mode=True):
            return super().train(False)

    assert not nn.Sequential(Frozen()).train()[0].training


def test_gradients():
    net = Net()
    net(gf.ones(2, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum().item() == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())


def test_conversion():
    net = Net()
    parameters = list(net.parameters())
    net.first.scale.grad = gf.ones(1)
    assert net.double() is net
    assert all(p is q for p, q in zip(parameters, net.parameters(), strict=True))
    assert {p.dtype for p in net.parameters()} == {gf.float64}
    assert net.first.scale.grad.dtype == gf.float64
    assert (net.first.steps.dtype, net.first.scratch.dtype) == (gf.int64, gf.float64)
    for convert, dtype in (
        (lambda: net.float(), gf.float32),
        (lambda: net.half(), gf.float16),
        (lambda: net.bfloat16(), gf.bfloat16),
        (lambda: net.to(gf.float64), gf.float64),
        (lambda: net.to("cpu", gf.float32), gf.float32),
        (lambda: net.to(gf.ones(1, dtype=gf.float64)), gf.float64),
        (lambda: net.to(dtype=gf.float32), gf.float32),
        (lambda: net.to(device=gf.device("cpu")), gf.float32),
        (lambda: net.cpu(), gf.float32),
    ):
        assert convert() is net
        assert {p.dtype for p in net.parameters()} == {dtype}
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())


def test_apply_goes_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "Block", "ReLU", "Linear", "Dropout", "Linear", "Sequential", "Net"]


# saving and loading


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
        '\tWhile copying the parameter named "rest.2.weight", expected a Tensor from checkpoint but received <class \'list\'>',
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
    import gc
    import weakref

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


# hooks


def test_hooks():
    net = nn.Identity()
    calls = []
    pre = net.register_forward_pre_hook(lambda module, args: calls.append("pre") or (args[0] + 1,))
    net.register_forward_pre_hook(lambda module, args: calls.append("first"), prepend=True)
    post = net.register_forward_hook(lambda module, args, output: calls.append("post") or output * 10)
    assert net(gf.tensor(1.0)).item() == 20.0
    assert calls == ["first", "pre", "post"]
    pre.remove()
    with post:
        assert net(gf.tensor(1.0)).item() == 10.0
    assert net(gf.tensor(1.0)).item() == 1.0


def test_hooks_with_kwargs_and_errors():
    class Scaled(nn.Module):
        def forward(self, x, scale=1):
            if scale == 0:
                raise ZeroDivisionError
            return x * scale

    net = Scaled()
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"scale": kwargs["scale"] + 1}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, kwargs, output: output + kwargs["scale"], with_kwargs=True)
    calls = []
    net.register_forward_hook(lambda module, args, output: calls.append(output), always_call=True)
    assert net(gf.tensor(2.0), scale=2).item() == 9.0
    with pytest.raises(ZeroDivisionError):
        net(gf.tensor(2.0), scale=-1)
    assert (len(calls), calls[1]) == (2, None)
    net.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        net(gf.tensor(2.0), scale=2)


# printing


def test_repr():
    assert repr(Net()).splitlines() == [
        "Net(",
        "  (first): Block(",
        "    (fc): Linear(in_features=3, out_features=3, bias=True)",
        "  )",
        "  (act): ReLU()",
        "  (rest): Sequential(",
        "    (0): Linear(in_features=3, out_features=4, bias=True)",
        "    (1): Dropout(p=0.5, inplace=False)",
        "    (2): Linear(in_features=4, out_features=2, bias=True)",
        "  )",
        ")",
    ]
    assert repr(nn.Parameter(gf.ones(2))) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"


REPRS = [
    "Linear(2, 3, bias=False)", "Bilinear(2, 3, 4)", "Identity(3, x=4)", "Flatten(0, 1)", "Unflatten(1, (2, 3))",
    "Embedding(5, 2, padding_idx=1)", "LayerNorm((2, 3))", "LayerNorm(3, elementwise_affine=False)", "LayerNorm(3, bias=False)",
    "RMSNorm(4)", "Dropout(0.25)", "ReLU()", "ReLU(inplace=True)", "ReLU6()", "LeakyReLU(0.2, True)", "ELU(2.0)", "CELU()",
    "SELU()", "GELU()", "GELU('tanh')", "SiLU()", "Mish()", "Sigmoid()", "LogSigmoid()", "Tanh()", "Tanhshrink()",
    "Softsign()", "Softplus(2.0)", "Softshrink(0.1)", "Hardshrink()", "Hardtanh(-2.0, 2.0)", "Hardsigmoid()", "Hardswish()",
    "Threshold(0.1, 20)", "PReLU(3)", "GLU(0)", "Softmax(1)", "Softmin(dim=0)", "LogSoftmax(-1)", "MSELoss()", "L1Loss()",
    "SmoothL1Loss()", "HuberLoss()", "CrossEntropyLoss()", "NLLLoss()", "BCELoss()", "BCEWithLogitsLoss()", "KLDivLoss()",
    "CosineSimilarity()", "ModuleList([])", "ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(1, 2), nn.Sequential(nn.Tanh())])",
    "ModuleDict({'a': nn.Tanh()})", "Sequential()", "Sequential(nn.Sequential(nn.Linear(2, 2), nn.Softmax(1)))",
]  # fmt: skip


@pytest.mark.parametrize("text", REPRS)
def test_repr_as_torch(torch, text):
    ours, theirs = eval("nn." + text, {"nn": nn}), eval("nn." + text, {"nn": torch.nn})
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


# containers


def test_sequential():
    net = nn.Sequential(OrderedDict(a=nn.Linear(1, 2), b=nn.Tanh()))
    assert list(net.state_dict()) == ["a.weight", "a.bias"]
    assert net.a is net[0] is net[-2]
    net = nn.Sequential(nn.Linear(1, 1), nn.Tanh(), nn.Linear(1, 1))
    assert len(net) == 3
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    net[1] = nn.ReLU()
    del net[0]
    assert [type(module).__name__ for module in net] == ["ReLU", "Linear"]
    assert list(net.state_dict()) == ["1.weight", "1.bias"]
    net.append(nn.Tanh()).extend([nn.ReLU()]).insert(0, nn.Sigmoid())
    assert [name for name, _ in net.named_children()] == ["0", "1", "2", "3", "4"]
    assert isinstance(net.pop(0), nn.Sigmoid)
    assert len(net + nn.Sequential(nn.Tanh())) == 5
    for index in (4, -5):
        with pytest.raises(IndexError, match="it holds 4 modules"):
            net[index]
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(3)


def test_module_list():
    modules = nn.ModuleList([nn.Linear(1, 1), nn.Tanh()])
    modules.append(nn.ReLU()).extend(nn.Sigmoid() for _ in range(2))
    modules.insert(1, nn.Softmax(0))
    assert [type(module).__name__ for module in modules] == ["Linear", "Softmax", "Tanh", "ReLU", "Sigmoid", "Sigmoid"]
    assert list(modules.state_dict()) == ["0.weight", "0.bias"]
    assert list(modules[0:1].state_dict()) == ["0.weight", "0.bias"]
    assert [name for name, _ in modules[2:4].named_children()] == ["0", "1"]
    del modules[1:3]
    assert len(modules + (nn.Tanh(),)) == 5
    assert isinstance(modules.pop(), nn.Sigmoid)
    modules += [nn.Tanh()]
    assert isinstance(modules[-1], nn.Tanh)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        modules.append(3)
    with pytest.raises(NotImplementedError):
        modules(1)


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Tanh()})
    modules["c"] = nn.ReLU()
    modules.update([("b", nn.Sigmoid())])
    assert (list(modules), len(modules), "a" in modules) == (["a", "b", "c"], 3, True)
    assert [type(module).__name__ for module in modules.values()] == ["Linear", "Sigmoid", "ReLU"]
    assert list(modules.state_dict()) == ["a.weight", "a.bias"]
    assert isinstance(modules.pop("a"), nn.Linear)
    assert list(modules.keys()) == ["b", "c"]
    modules.clear()
    assert list(modules.items()) == []
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        modules["keys"] = nn.Tanh()


def test_parameter_containers():
    values = nn.ParameterList([gf.ones(2), gf.zeros(3)])
    values.append(nn.Parameter(gf.ones(1)))
    values[0] = gf.zeros(2)
    assert [name for name, _ in values.named_parameters()] == ["0", "1", "2"]
    assert (len(values), values[-1].item(), values[0].tolist()) == (3, 1.0, [0.0, 0.0])
    assert len(values[1:]) == 2
    named = nn.ParameterDict({"a": gf.ones(2)})
    named["b"] = gf.zeros(1)
    assert [name for name, _ in named.named_parameters()] == ["a", "b"]
    del named["a"]
    assert (list(named), "a" in named, len(named)) == (["b"], False, 1)


# layers against torch: the same parameters, the same inputs, the same values and gradients

LAYERS = {
    "linear": ("Linear(4, 3)", (5, 4)),
    "linear, three axes": ("Linear(4, 3)", (2, 5, 4)),
    "linear, one axis": ("Linear(4, 3)", (4,)),
    "linear without bias": ("Linear(4, 3, bias=False)", (5, 4)),
    "flatten": ("Flatten()", (2, 3, 4)),
    "unflatten": ("Unflatten(1, (2, -1))", (3, 6)),
    "layer norm": ("LayerNorm(4)", (5, 4)),
    "layer norm, two axes": ("LayerNorm((3, 4))", (5, 3, 4)),
    "layer norm, plain": ("LayerNorm(4, elementwise_affine=False)", (5, 4)),
    "layer norm, no bias": ("LayerNorm(4, bias=False)", (5, 4)),
    "rms norm": ("RMSNorm(4)", (5, 4)),
    "sequential": ("Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))", (5, 4)),
    "dropout in eval": ("Dropout().eval()", (5, 4)),
    **{
        text: (text, (4, 6))
        for text in (
            "ReLU()", "ReLU6()", "LeakyReLU(0.2)", "ELU(1.5)", "CELU(1.5)", "SELU()", "GELU()", "GELU('tanh')", "SiLU()",
            "Mish()", "Sigmoid()", "LogSigmoid()", "Tanh()", "Tanhshrink()", "Softsign()", "Softplus(2.0, 1.0)",
            "Softshrink()", "Hardshrink()", "Hardtanh(-0.5, 0.7)", "Hardsigmoid()", "Hardswish()", "Threshold(0.1, 2.0)",
            "PReLU()", "PReLU(6)", "GLU()", "GLU(0)", "Softmax(1)", "Softmax(0)", "Softmin(1)", "LogSoftmax(1)", "Identity()",
        )
    },
}  # fmt: skip


def same_parameters(torch, ours, theirs, seed=0):
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for (name, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert name == other
            values = rng.standard_normal(tuple(p.shape)).astype(np.float32)
            p.data = gf.tensor(values)
            q.copy_(torch.tensor(values))


def compare(ours, theirs, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", LAYERS)
def test_layer_as_torch(torch, case):
    text, shape = LAYERS[case]
    ours, theirs = eval("nn." + text, {"nn": nn}), eval("nn." + text, {"nn": torch.nn})
    same_parameters(torch, ours, theirs)
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x, x_torch = gf.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, y_torch = ours(x), theirs(x_torch)
    compare(y, y_torch)
    seed = np.random.default_rng(2).standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(gf.tensor(seed))
    y_torch.backward(torch.tensor(seed))
    compare(x.grad, x_torch.grad, atol=1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        compare(p.grad, q.grad, atol=1e-5)


@pytest.mark.parametrize("text", ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardswish"])
def test_in_place_activations(text):
    x = gf.tensor([-2.0, -0.1, 0.0, 3.0])
    expected = getattr(nn, text)()(x)
    assert expected.data_ptr() != x.data_ptr()
    assert getattr(nn, text)(inplace=True)(x) is x
    assert x.tolist() == expected.tolist()


def test_bilinear(torch):
    for shape in ((2,), (5, 2), (3, 5, 2)):
        ours, theirs = nn.Bilinear(2, 3, 4), torch.nn.Bilinear(2, 3, 4)
        same_parameters(torch, ours, theirs)
        rng = np.random.default_rng(0)
        a = rng.standard_normal(shape).astype(np.float32)
        b = rng.standard_normal((*shape[:-1], 3)).astype(np.float32)
        ours(gf.tensor(a), gf.tensor(b)).sum().backward()
        theirs(torch.tensor(a), torch.tensor(b)).sum().backward()
        compare(ours(gf.tensor(a), gf.tensor(b)), theirs(torch.tensor(a), torch.tensor(b)))
        compare(ours.weight.grad, theirs.weight.grad, atol=1e-5)
        compare(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_embedding(torch, shape):
    ours, theirs = nn.Embedding(6, 3, padding_idx=-4), torch.nn.Embedding(6, 3, padding_idx=-4)
    assert ours.weight[2].tolist() == [0.0, 0.0, 0.0]
    same_parameters(torch, ours, theirs)
    index = np.random.default_rng(0).integers(0, 6, shape)
    y, y_torch = ours(gf.tensor(index)), theirs(torch.tensor(index))
    compare(y, y_torch)
    seed = np.random.default_rng(2).standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(gf.tensor(seed))
    y_torch.backward(torch.tensor(seed))
    compare(ours.weight.grad, theirs.weight.grad)


def test_embedding_from_pretrained():
    table = gf.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert (layer.num_embeddings, layer.embedding_dim, layer.weight.requires_grad) == (3, 2, False)
    assert layer(gf.tensor([2])).tolist() == [[4.0, 5.0]]
    with pytest.raises(ValueError, match="expected to be 2-dimensional; got 1"):
        nn.Embedding.from_pretrained(gf.ones(3))
    with pytest.raises(ValueError, match="Padding_idx must be within num_embeddings; got 3"):
        nn.Embedding(3, 2, padding_idx=3)


def test_dropout():
    gf.manual_seed(0)
    layer = nn.Dropout(0.25)
    x = gf.ones(10_000, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - 0.75) < 0.02
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.75, rtol=1e-6)
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())
    assert layer.eval()(x) is x
    assert nn.Dropout(1.0)(x).abs().sum().item() == 0
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        nn.Dropout(1.5)


def test_layers_of_other_dtypes():
    assert nn.Linear(2, 2, dtype=gf.float64)(gf.ones(1, 2, dtype=gf.float64)).dtype == gf.float64
    assert nn.LayerNorm(2, dtype=gf.float64).weight.dtype == gf.float64
    assert nn.Embedding(2, 2, dtype=gf.float64).weight.dtype == gf.float64


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: nn.Linear(2, 3)(gf.ones(4, 5)), RuntimeError, "shapes cannot be multiplied"),
        (lambda: nn.Unflatten(1, (2, 2))(gf.ones(2, 5)), RuntimeError, "don't multiply up to the size of dim 1"),
        (lambda: nn.Unflatten(1, 3), TypeError, "tuple of ints"),
        (lambda: nn.Bilinear(2, 3, 4)(gf.ones(2), gf.ones(2)), RuntimeError, "bilinear: sizes do not fit"),
        (lambda: nn.Bilinear(0, 3, 4), ValueError, "must be > 0"),
        (lambda: nn.RMSNorm(3)(gf.ones(2)), RuntimeError, r"normalized_shape=\[3\]"),
        (lambda: nn.LayerNorm(3)(gf.ones(2)), RuntimeError, r"normalized_shape=\[3\]"),
        (lambda: nn.GLU()(gf.ones(3)), RuntimeError, "must be even"),
        (lambda: nn.Hardtanh(1.0, 0.0), ValueError, "max_val must be larger"),
        (lambda: nn.Embedding(3, 2)(gf.tensor([3])), IndexError, "out of"),
        (lambda: nn.Embedding(3, 2, max_norm=1.0), NotImplementedError, "max_norm"),
    ],
)
def test_layers_refuse(act, error, text):
    with pytest.raises(error, match=text):
        act()


# initialisations


def test_default_initialisations():
    gf.manual_seed(0)
    layer = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for parameter in layer.parameters():
        values = parameter.detach().numpy()
        assert np.abs(values).max() <= bound
        assert abs(values.std() - bound / math.sqrt(3)) < bound * 0.05
    table = nn.Embedding(300, 50).weight.detach().numpy()
    assert abs(table.std() - 1) < 0.02
    norm = nn.LayerNorm(5)
    assert norm.weight.tolist() == [1.0] * 5
    assert norm.bias.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("fill", "mean", "std"),
    [
        (lambda w: nn.init.uniform_(w, -2, 4), 1, 6 / math.sqrt(12)),
        (lambda w: nn.init.normal_(w, 2, 0.5), 2, 0.5),
        (lambda w: nn.init.trunc_normal_(w), 0, 0.8796),
        (lambda w: nn.init.trunc_normal_(w, 1.0, 2.0, -1.0, 2.0), 0.5867, 0.8314),
        (lambda w: nn.init.xavier_uniform_(w, 2.0), 0, 2 * math.sqrt(2 / 500)),
        (lambda w: nn.init.xavier_normal_(w), 0, math.sqrt(2 / 500)),
        (lambda w: nn.init.kaiming_uniform_(w, a=1), 0, math.sqrt(1 / 300)),
        (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), 0, math.sqrt(2 / 200)),
        (lambda w: nn.init.constant_(w, 3.5), 3.5, 0),
        (nn.init.ones_, 1, 0),
        (nn.init.zeros_, 0, 0),
    ],
)
def test_initialisations(fill, mean, std):
    gf.manual_seed(0)
    weight = nn.Parameter(gf.empty(200, 300))
    assert fill(weight) is weight
    assert weight.grad_fn is None
    values = weight.detach().numpy().astype(np.float64)
    assert abs(values.mean() - mean) < 0.02 * max(std, 1e-9)
    assert abs(values.std() - std) < 0.02 * max(std, 1e-9)


def test_structured_initialisations():
    gf.manual_seed(0)
    assert nn.init.eye_(gf.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    for shape in ((4, 6), (6, 4), (4, 2, 3), (5, 5)):
        q = nn.init.orthogonal_(gf.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)
    sparse = nn.init.sparse_(gf.empty(10, 7), 0.25).numpy()
    assert ((sparse == 0).sum(axis=0) == 3).all()
    values = nn.init.trunc_normal_(gf.empty(5000), 0.0, 1.0, 0.5, 1.0).numpy()
    assert values.min() >= 0.5
    assert values.max() <= 1.0


def test_gains_as_torch(torch):
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_initialisations_refuse():
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_uniform_(gf.empty(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        nn.init.calculate_gain("swish")
    with pytest.raises(ValueError, match="Mode fan_up not supported"):
        nn.init.kaiming_uniform_(gf.empty(2, 2), mode="fan_up")
    with pytest.raises(ValueError, match="2 or more dimensions"):
        nn.init.orthogonal_(gf.empty(2))
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(gf.empty(0, 2))
    with pytest.warns(UserWarning, match="more than 2 std"):
        nn.init.trunc_normal_(gf.empty(2), mean=10.0)


# tools


def with_gradients(library):
    rng = np.random.default_rng(0)
    parameters = [library.zeros(3, 2), library.zeros(4), library.zeros(1)]
    for parameter in parameters[:2]:
        parameter.requires_grad_(True)
        parameter.grad = library.tensor(rng.standard_normal(tuple(parameter.shape)).astype(np.float32))
    return parameters


@pytest.mark.parametrize("order", [1.0, 2.0, 3, math.inf])
@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clip_grad_norm(torch, order, bound):
    ours, theirs = with_gradients(gf), with_gradients(torch)
    total = nn.utils.clip_grad_norm_(ours, bound, order)
    compare(total, torch.nn.utils.clip_grad_norm_(theirs, bound, order))
    for p, q in zip(ours[:2], theirs[:2], strict=True):
        compare(p.grad, q.grad)


def test_clip_grad():
    parameters = with_gradients(gf)
    gradient = parameters[0].grad
    nn.utils.clip_grad_value_(parameters, 0.25)
    assert parameters[0].grad is gradient
    assert gradient.abs().max().item() == 0.25
    assert nn.utils.clip_grad_norm_([gf.ones(1)], 1.0).item() == 0.0
    parameters[0].grad[0, 0] = float("nan")
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    assert parameters[1].grad.isnan().all()


def test_parameters_as_a_vector():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(gf.arange(9.0), net.parameters())
    assert net.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert net.bias.tolist() == [6.0, 7.0, 8.0]
    with pytest.raises(RuntimeError, match="has 8 elements, the parameters 9"):
        nn.utils.vector_to_parameters(gf.arange(8.0), net.parameters())
