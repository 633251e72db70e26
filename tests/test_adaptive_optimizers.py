"""Adagrad, RMSprop, Adadelta and Adamax, against torch."""

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
    np.testing.assert_allclose(got, want, rtol=1e-10)
    assert text == our_text
    for key in states:
        np.testing.assert_allclose(ours[key], states[key], rtol=1e-10)


@pytest.mark.parametrize("name", ["Adagrad", "RMSprop", "Adadelta", "Adamax"])
def test_mistakes(name):
    for options in ({"lr": -1.0}, {"eps": -1.0}, {"weight_decay": -1.0}):
        with pytest.raises(ValueError, match=rf"{name}: Invalid"):
            getattr(gf.optim, name)([gf.ones(1, requires_grad=True)], **options)
