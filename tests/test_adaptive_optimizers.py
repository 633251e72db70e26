"""Adagrad, RMSprop, Adadelta, Adamax, Adafactor, Muon and their kin, against torch."""

import numpy as np
import pytest

import gradflow as gf

RNG = np.random.default_rng(0)
START, TARGET = RNG.normal(size=(2, 3, 4))

OPTIONS = [
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.3, "lr_decay": 0.1, "weight_decay": 0.2, "initial_accumulator_value": 0.5, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "alpha": 0.8}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "eps": 1e-3}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.1}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"betas": (0.5, 0.7), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-8, 0.1), "d": 2.0, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 1.0, "etas": (0.3, 2.0), "step_sizes": (0.01, 3.0), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lambd": 0.1, "alpha": 0.5, "t0": 2, "weight_decay": 0.1, "maximize": True}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_steps(torch, name, options):
    found = []
    for t in (torch, gf):
        w = t.tensor(START, requires_grad=True)
        optimizer = getattr(t.optim, name)([w], **options)
        for k in range(6):
            optimizer.zero_grad()
            ((w - t.tensor(TARGET)) ** 2 * (k + 1)).sum().backward()
            optimizer.step()
            if k == 2:  # the state goes through a dictionary
                state = optimizer.state_dict()
                optimizer = getattr(t.optim, name)([w], **options)
                optimizer.load_state_dict(state)
        state = optimizer.state_dict()["state"][0]
        found.append((w.detach().numpy(), {k: v.numpy() for k, v in state.items()}, repr(optimizer)))
    (want, states, text), (got, ours, our_text) = found
    rtol = 1e-6 if name in ("NAdam", "ASGD") else 1e-10  # whose counters are float32
    np.testing.assert_allclose(got, want, rtol=rtol)
    assert text == our_text
    assert ours.keys() == states.keys()
    for key in states:
        np.testing.assert_allclose(ours[key], states[key], rtol=rtol)


@pytest.mark.parametrize("shape", [(5,), (4, 6), (6, 4), (2, 3, 4)], ids=str)
@pytest.mark.parametrize(
    ("name", "options"), [("Adafactor", {}), ("Muon", {}), ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"})]
)
def test_matrices(torch, name, options, shape):
    """Shapes of every kind; Muon computes in bfloat16, and takes matrices only."""
    rng, found = np.random.default_rng(1), []
    start, target = rng.normal(size=(2, *shape)).astype(np.float32)
    for t in (torch, gf):
        w = t.tensor(start, requires_grad=True)
        if name == "Muon" and len(shape) != 2:
            with pytest.raises(ValueError, match="only supports 2D parameters"):
                t.optim.Muon([w])
            continue
        optimizer = getattr(t.optim, name)([w], lr=0.1, **options)
        for _ in range(4):
            optimizer.zero_grad()
            ((w - t.tensor(target)) ** 2).sum().backward()
            optimizer.step()
        found.append(w.detach().numpy())
    if found:
        np.testing.assert_allclose(*found, atol=1e-5 if name == "Adafactor" else 0.02)


@pytest.mark.parametrize(
    "name", ["Adafactor", "Muon", "Adagrad", "RMSprop", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "LBFGS"]
)
def test_mistakes(name):
    for options in ({"lr": -1.0}, {"eps": -1.0}, {"weight_decay": -1.0}):
        if options.keys() & {"eps", "weight_decay"} and name in ("Rprop", "LBFGS", "ASGD", "Muon", "Adafactor"):
            continue
        with pytest.raises(ValueError, match=rf"{name}: Invalid"):
            getattr(gf.optim, name)([gf.ones(1, 1, requires_grad=True)], **options)


def rosenbrock(t, w):
    return ((1 - w[:-1]) ** 2).sum() + 100 * ((w[1:] - w[:-1] ** 2) ** 2).sum()


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 1.0, "line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7, "max_eval": 9},
        {"lr": 0.5, "max_iter": 3, "tolerance_change": 1e-3},
    ],
    ids=str,
)
def test_lbfgs(torch, options):
    found = []
    for t in (torch, gf):
        w = t.tensor([-1.2, 1.0, 0.5, 2.0], dtype=t.float64, requires_grad=True)
        unused = t.zeros(2, dtype=t.float64, requires_grad=True)
        optimizer = t.optim.LBFGS([w, unused], **options)
        losses = []

        def closure(t=t, w=w, optimizer=optimizer, losses=losses):
            optimizer.zero_grad()
            loss = rosenbrock(t, w)
            loss.backward()
            losses.append(loss.item())
            return loss

        returned = [optimizer.step(closure).item() for _ in range(4)]
        state = optimizer.state_dict()["state"][0]
        found.append((losses, returned, w.detach().numpy(), state["n_iter"], state["func_evals"], len(state["old_dirs"])))
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_lbfgs_mistakes(torch):
    for t in (torch, gf):
        w = t.ones(1, requires_grad=True)
        with pytest.raises(ValueError, match="per-parameter options"):
            t.optim.LBFGS([{"params": [w]}, {"params": [t.ones(1, requires_grad=True)]}])
        with pytest.raises(TypeError):
            t.optim.LBFGS([w]).step()


def test_averaged_models(torch):
    found = []
    for t in (torch, gf):
        for options in ({}, {"use_buffers": True}, {"avg": "ema"}, {"multi": "ema"}, {"avg": "swa"}):
            made = {k: v for k, v in options.items() if k == "use_buffers"}
            swa = t.optim.swa_utils
            if "avg" in options:
                made["avg_fn"] = swa.get_ema_avg_fn(0.7) if options["avg"] == "ema" else swa.get_swa_avg_fn()
            if "multi" in options:
                made["multi_avg_fn"] = swa.get_ema_multi_avg_fn(0.7)
            net = t.nn.Sequential(t.nn.Linear(4, 4), t.nn.BatchNorm1d(4))
            average = swa.AveragedModel(net, **made)
            for k in range(3):
                with t.no_grad():
                    net[0].weight.copy_(t.tensor(np.vstack([START, [[k] * 4]]) + k))
                    net[0].bias.fill_(k)
                net(t.tensor(START, dtype=t.float32))
                average.update_parameters(net)
            swa.update_bn([(t.tensor(TARGET, dtype=t.float32),), (t.tensor(START, dtype=t.float32),)], average)
            found.append({name: v.numpy() for name, v in average.state_dict().items()})
    half = len(found) // 2
    for theirs, ours in zip(found[:half], found[half:], strict=True):
        assert theirs.keys() == ours.keys()
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"anneal_strategy": "linear", "anneal_epochs": 3}, {"anneal_epochs": 0}], ids=str)
def test_swalr(torch, options):
    found = []
    for t in (torch, gf):
        optimizer = t.optim.SGD([t.ones(1, requires_grad=True)], lr=1.0)
        schedule = t.optim.swa_utils.SWALR(optimizer, swa_lr=0.05, **options)
        rates = []
        for _ in range(12):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr()[0])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "triangular2", "step_size_down": 5},
        {"mode": "exp_range", "gamma": 0.9, "cycle_momentum": False},
        {"scale_fn": lambda x: 1 / (5 ** (x * 0.0001)), "scale_mode": "iterations"},
    ],
    ids=lambda options: options.get("mode", "other"),
)
@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_cyclic(torch, options, name):
    found = []
    for t in (torch, gf):
        optimizer = getattr(t.optim, name)([t.ones(1, requires_grad=True)], lr=1.0, **({"momentum": 0.9} if name == "SGD" else {}))
        schedule = t.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, step_size_up=3, **options)
        rates = []
        for _ in range(20):
            group = optimizer.param_groups[0]
            rates.append((schedule.get_last_lr()[0], group["momentum"] if name == "SGD" else group["betas"][0]))
            optimizer.step()
            schedule.step()
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)
    with pytest.raises(ValueError, match="momentum"):
        gf.optim.lr_scheduler.CyclicLR(gf.optim.Adagrad([gf.ones(1, requires_grad=True)]), 0.1, 1.0)
