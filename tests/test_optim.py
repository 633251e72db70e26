"""Optimizers and schedules step as PyTorch's do."""

import copy
import itertools
import math
import pickle
import sys

import numpy as np
import pytest

import gradflow as gf
from gradflow import optim

SHAPES = [(7, 5), (1,), (), (130,)]


def values(seed, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]


def leaves(arrays, dtype=None):
    return [gf.tensor(array, dtype=dtype, requires_grad=True) for array in arrays]


def set_gradients(parameters, step):
    for parameter, gradient in zip(parameters, values(1000 + step), strict=True):
        parameter.grad = gf.tensor(gradient, dtype=parameter.dtype)


def run(optimizer, parameters, steps=20, schedule=None):
    for step in range(steps):
        set_gradients(parameters, step)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def run_torch(torch, optimizer, parameters, steps=20, schedule=None):
    for step in range(steps):
        for parameter, gradient in zip(parameters, values(1000 + step), strict=True):
            parameter.grad = torch.tensor(gradient, dtype=parameter.dtype)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def close(ours, theirs, rtol=2e-5, atol=2e-6):
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


SGD_OPTIONS = [
    {"momentum": momentum, "dampening": dampening, "nesterov": nesterov, "weight_decay": decay, "maximize": maximize}
    for momentum, dampening, nesterov, decay, maximize in itertools.product((0, 0.9), (0, 0.3), (False, True), (0, 0.1), (False, True))
    if not (nesterov and (dampening or not momentum))
]
ADAM_OPTIONS = [
    {"amsgrad": amsgrad, "weight_decay": decay, "maximize": maximize, "betas": betas, "eps": eps}
    for amsgrad, decay, maximize, (betas, eps) in itertools.product(
        (False, True), (0, 0.1), (False, True), (((0.9, 0.999), 1e-8), ((0.3, 0.5), 1e-3), ((0.0, 0.9), 1e-8))
    )
]


def spelled(options):
    return "-".join(f"{name}={value}" for name, value in options.items())


@pytest.mark.parametrize("options", SGD_OPTIONS, ids=spelled)
def test_sgd(torch, options):
    ours, theirs = leaves(values(0)), [torch.tensor(a, requires_grad=True) for a in values(0)]
    run(optim.SGD(ours, lr=0.05, **options), ours)
    run_torch(torch, torch.optim.SGD(theirs, lr=0.05, **options), theirs)
    close(ours, theirs)


@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=spelled)
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_adam(torch, name, options):
    ours, theirs = leaves(values(0)), [torch.tensor(a, requires_grad=True) for a in values(0)]
    run(getattr(optim, name)(ours, lr=0.05, **options), ours)
    run_torch(torch, getattr(torch.optim, name)(theirs, lr=0.05, **options), theirs)
    close(ours, theirs)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_float64(torch, name):
    ours = leaves(values(0), gf.float64)
    theirs = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in values(0)]
    options = {"momentum": 0.9} if name == "SGD" else {}
    run(getattr(optim, name)(ours, lr=0.05, **options), ours)
    run_torch(torch, getattr(torch.optim, name)(theirs, lr=0.05, **options), theirs)
    close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_the_first_adam_step_is_lr_in_the_gradients_direction():
    w = gf.tensor([1.0, 1.0], requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = gf.tensor([5.0, -1e-3])
    optimizer.step()
    np.testing.assert_allclose(w.detach().numpy(), [0.9, 1.1], rtol=1e-5)


def test_steps_are_in_place():
    w = gf.ones(3, requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = gf.ones(3)
    optimizer.step()
    state = optimizer.state[w]
    addresses = [t.data_ptr() for t in (w, state["exp_avg"], state["exp_avg_sq"])]
    view = w.detach()
    optimizer.step()
    assert [t.data_ptr() for t in (w, state["exp_avg"], state["exp_avg_sq"])] == addresses
    assert view.tolist() == w.tolist()


@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("Adam", {"amsgrad": True}), ("AdamW", {})])
def test_a_step_takes_no_memory(name, options):
    parameters = leaves(values(0))
    optimizer = getattr(optim, name)(parameters, lr=0.1, **options)
    set_gradients(parameters, 0)
    optimizer.step()
    before = gf.memory_stats()
    for _ in range(10):
        optimizer.step()
    assert gf.memory_stats() == before


@pytest.mark.parametrize(("name", "most"), [("SGD", 4), ("AdamW", 5)])
def test_a_step_costs_few_python_calls(name, most):
    parameters = [gf.ones(2, requires_grad=True) for _ in range(100)]
    for p in parameters:
        p.grad = gf.ones(2)
    optimizer = getattr(optim, name)(parameters, lr=0.1)
    optimizer.step()
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        optimizer.step()
    finally:
        sys.setprofile(None)
    assert calls <= most * len(parameters) + 10


def test_a_step_counts_as_a_change_in_place():
    w = gf.ones(2, requires_grad=True)
    x = gf.ones(2, requires_grad=True)
    y = (w * x).sum()
    w.grad = gf.ones(2)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_parameters_without_gradient_stay():
    a, b = gf.ones(2, requires_grad=True), gf.ones(2, requires_grad=True)
    optimizer = optim.AdamW([a, b], lr=0.1)
    a.grad = gf.ones(2)
    optimizer.step()
    assert b.tolist() == [1.0, 1.0]
    assert b not in optimizer.state
    b.grad = gf.ones(2)
    optimizer.step()
    assert (optimizer.state[a]["step"], optimizer.state[b]["step"]) == (2, 1)


def test_zero_grad():
    w = gf.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    (w * w).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert w.grad is None


def test_closure():
    w = gf.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with gf.no_grad():
        assert optimizer.step(closure).item() == 2.0
    np.testing.assert_allclose(w.detach().numpy(), [0.8, 0.8], rtol=1e-6)


def test_groups_and_defaults():
    a, b = gf.ones(2, requires_grad=True), gf.ones(2, requires_grad=True)
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": b}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.1]
    a.grad, b.grad = gf.ones(2), gf.ones(2)
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), [0.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(b.detach().numpy(), [0.9, 0.9], rtol=1e-6)
    optimizer.add_param_group({"params": [gf.ones(1, requires_grad=True)], "lr": 2.0})
    assert optimizer.param_groups[2]["momentum"] == 0


def test_named_parameters():
    w = gf.ones(1, requires_grad=True)
    optimizer = optim.SGD([("w", w)], lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["w"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["w"]
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [gf.ones(1, requires_grad=True)]})


def test_lr_may_be_a_tensor():
    w = gf.ones(1, requires_grad=True)
    optimizer = optim.SGD([w], lr=gf.tensor(0.5))
    w.grad = gf.ones(1)
    optimizer.step()
    assert w.item() == 0.5


def test_repr(torch):
    for name in ("SGD", "Adam", "AdamW"):
        ours = getattr(optim, name)([gf.ones(1, requires_grad=True)], lr=0.1)
        theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)], lr=0.1)
        assert repr(ours) == repr(theirs)


def test_repr_golden():
    assert repr(optim.SGD([gf.ones(1, requires_grad=True)], lr=0.1)).splitlines() == [
        "SGD (",
        "Parameter Group 0",
        "    dampening: 0",
        "    differentiable: False",
        "    foreach: None",
        "    fused: None",
        "    lr: 0.1",
        "    maximize: False",
        "    momentum: 0",
        "    nesterov: False",
        "    weight_decay: 0",
        ")",
    ]


# saving and loading

MAKERS = {
    "SGD": lambda parameters: optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda parameters: optim.Adam(parameters, lr=0.05, amsgrad=True),
    "AdamW": lambda parameters: optim.AdamW(parameters, lr=0.05),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_loaded_optimizer_goes_on_the_same_way(name):
    whole = leaves(values(0))
    optimizer = MAKERS[name](whole)
    run(optimizer, whole, 5)
    half = leaves([w.detach().numpy().copy() for w in whole])
    resumed = MAKERS[name](half)
    resumed.load_state_dict(optimizer.state_dict())
    run(optimizer, whole, 5)
    run(resumed, half, 5)
    for a, b in zip(whole, half, strict=True):
        assert np.array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("name", MAKERS)
def test_state_dict_has_torchs_layout(torch, name):
    ours, theirs = leaves(values(0)), [torch.tensor(a, requires_grad=True) for a in values(0)]
    options = {"SGD": {"momentum": 0.9}, "Adam": {"amsgrad": True}, "AdamW": {}}[name]
    optimizer = getattr(optim, name)(ours, lr=0.05, **options)
    reference = getattr(torch.optim, name)(theirs, lr=0.05, **options)
    run(optimizer, ours, 3)
    run_torch(torch, reference, theirs, 3)
    mine, its = optimizer.state_dict(), reference.state_dict()
    assert mine["param_groups"] == its["param_groups"]
    assert list(mine["state"]) == list(its["state"])
    for key in its["state"]:
        assert list(mine["state"][key]) == list(its["state"][key])
        for entry, tensor in its["state"][key].items():
            assert str(mine["state"][key][entry].dtype) == str(tensor.dtype)
            close([mine["state"][key][entry]], [tensor])
    # and torch's state, as our tensors, is loaded and goes on as torch does
    state = {key: {entry: gf.tensor(tensor.numpy()) for entry, tensor in slot.items()} for key, slot in its["state"].items()}
    optimizer.load_state_dict({"state": state, "param_groups": its["param_groups"]})
    with gf.no_grad():
        for a, b in zip(ours, theirs, strict=True):
            a.copy_(gf.tensor(b.detach().numpy()))
    run(optimizer, ours, 5)
    run_torch(torch, reference, theirs, 5)
    close(ours, theirs)


def test_load_copies():
    w = gf.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = gf.ones(2)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(saved)
    optimizer.step()
    assert saved["state"][0]["momentum_buffer"].tolist() == [1.0, 1.0]


def test_a_failed_load_changes_nothing():
    w = gf.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    before = repr(optimizer)
    other = optim.SGD([gf.ones(1, requires_grad=True), gf.ones(1, requires_grad=True)], lr=0.7)
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group; got 2 parameters, the group has 1"):
        optimizer.load_state_dict(other.state_dict())
    both = optim.SGD([{"params": [p]} for p in other.param_groups[0]["params"]], lr=0.7)
    with pytest.raises(ValueError, match="different number of parameter groups; got 2, the optimizer has 1"):
        optimizer.load_state_dict(both.state_dict())
    assert repr(optimizer) == before


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_are_whole_and_apart(duplicate):
    w = gf.ones(2, requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    w.grad = gf.ones(2)
    optimizer.step()
    twin = duplicate(optimizer)
    other = twin.param_groups[0]["params"][0]
    other.grad = gf.ones(2)
    before = w.tolist()
    twin.step()
    assert twin.state[other]["step"] == 2
    assert w.tolist() == before != other.tolist()


# what is refused


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda w: optim.SGD(w, lr=0.1), TypeError, "should be an iterable of Tensors or dicts, but got Tensor"),
        (lambda w: optim.SGD([], lr=0.1), ValueError, "empty parameter list"),
        (lambda w: optim.SGD([1.0], lr=0.1), TypeError, "can only optimize Tensors, but one of the params is float"),
        (lambda w: optim.SGD([w * 2], lr=0.1), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda w: optim.SGD([{"params": {w}}], lr=0.1), TypeError, "organized in ordered collections"),
        (lambda w: optim.SGD([{"params": [w]}, {"params": [w]}], lr=0.1), ValueError, "more than one parameter group"),
        (lambda w: optim.SGD([w], lr=-1.0), ValueError, "Invalid learning rate: -1.0"),
        (lambda w: optim.SGD([w], lr=math.nan), ValueError, "Invalid learning rate: nan"),
        (lambda w: optim.SGD([w], lr=gf.ones(2)), ValueError, "must be 1-element"),
        (lambda w: optim.SGD([w], momentum=-0.1), ValueError, "Invalid momentum value: -0.1"),
        (lambda w: optim.SGD([w], nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero dampening"),
        (lambda w: optim.SGD([w], differentiable=True), ValueError, "differentiable=True is not supported"),
        (lambda w: optim.Adam([w], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda w: optim.Adam([w], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda w: optim.AdamW([w], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda w: optim.Optimizer([w], {"lr": optim.optimizer.required}), ValueError, "required optimization parameter lr"),
    ],
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make(gf.ones(1, requires_grad=True))


def test_duplicates_warn():
    w = gf.ones(1, requires_grad=True)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([w, w], lr=0.1)


def test_hooks():
    w = gf.ones(1, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    calls = []
    handle = optimizer.register_step_pre_hook(lambda *args: calls.append("before"))
    optimizer.register_step_post_hook(lambda *args: calls.append("after"))
    optimizer.step()
    handle.remove()
    optimizer.step()
    assert calls == ["before", "after", "after"]


def test_own_optimizers():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr=optim.optimizer.required):
            super().__init__(params, {"lr": lr})

        @gf.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(p.grad.sign() * group["lr"])

    w = gf.ones(2, requires_grad=True)
    optimizer = Signs([w], lr=0.5)
    w.grad = gf.tensor([3.0, -4.0])
    optimizer.step()
    assert w.tolist() == [0.5, 1.5]
    with pytest.raises(ValueError, match="define update"):
        optimizer.register_step_pre_hook(print)
