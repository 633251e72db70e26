"""Modules: registration, walking, saving, hooks, printing; layers, initialisations and containers."""

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


def test_gradients_after_conversion_have_the_new_dtype():
    layer = nn.Linear(2, 2)
    layer(gf.ones(1, 2)).sum().backward()
    layer.zero_grad()
    layer.double()
    layer(gf.ones(1, 2, dtype=gf.float64)).sum().backward()
    assert {p.grad.dtype for p in layer.parameters()} == {gf.float64}


def test_apply_goes_children_first():
    seen = []
    net = Net()
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "Block", "ReLU", "Linear", "Dropout", "Linear", "Sequential", "Net"]


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


def test_hooks_of_all_modules(torch):
    def run(t):
        calls = []
        module = t.nn.modules.module
        net = t.nn.Sequential(t.nn.Linear(2, 3), t.nn.Tanh())
        own = net.register_forward_hook(lambda m, args, output: calls.append("own"))
        handles = [
            module.register_module_forward_pre_hook(lambda m, args: calls.append(("pre", type(m).__name__))),
            module.register_module_forward_hook(lambda m, args, output: calls.append(("post", type(m).__name__, tuple(output.shape)))),
            module.register_module_full_backward_pre_hook(lambda m, grads: calls.append(("back pre", type(m).__name__))),
            module.register_module_full_backward_hook(
                lambda m, inputs, grads: calls.append(("back", type(m).__name__, tuple(grads[0].shape), inputs[0] is None))
            ),
        ]
        net(t.ones(4, 2, requires_grad=True)).sum().backward()
        for handle in handles:
            handle.remove()
        calls.append("removed")
        net(t.ones(4, 2, requires_grad=True)).sum().backward()
        own.remove()
        return calls

    assert run(gf) == run(torch)


# printing


def test_prints():
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
