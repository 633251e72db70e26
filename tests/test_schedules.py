"""Learning rate schedules against PyTorch."""

import copy

import numpy as np
import pytest

import gradflow as gf
from gradflow.optim import lr_scheduler

SCHEDULES = {
    "lambda": ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 + 0.001 * epoch}),
    "step": ("StepLR", {"step_size": 4, "gamma": 0.3}),
    "multistep": ("MultiStepLR", {"milestones": [3, 8, 8, 11], "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.8}),
    "constant": ("ConstantLR", {"factor": 0.25, "total_iters": 6}),
    "linear": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 9}),
    "polynomial": ("PolynomialLR", {"total_iters": 12, "power": 2.0}),
    "cosine": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.001}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    "one cycle": ("OneCycleLR", {"max_lr": 0.5, "total_steps": 40}),
    "one cycle, linear, three phases": (
        "OneCycleLR",
        {"max_lr": [0.5, 0.2], "epochs": 8, "steps_per_epoch": 5, "anneal_strategy": "linear", "three_phase": True},
    ),
}


def two_groups(library, name="SGD", **options):
    groups = [{"params": [library.ones(1, requires_grad=True)]}, {"params": [library.ones(1, requires_grad=True)], "lr": 0.02}]
    return getattr(library.optim, name)(groups, lr=0.1, **options)


def rates(optimizer, schedule, steps, *metrics):
    seen = []
    for step in range(steps):
        seen.append([float(group["lr"]) for group in optimizer.param_groups])
        seen.append([float(group.get("momentum", group.get("betas", (0,))[0])) for group in optimizer.param_groups])
        optimizer.step()
        schedule.step(*(metric[step] for metric in metrics))
        assert schedule.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    return seen


@pytest.mark.parametrize("case", SCHEDULES)
def test_schedule(torch, case):
    name, options = SCHEDULES[case]
    ours, theirs = two_groups(gf, momentum=0.9), two_groups(torch, momentum=0.9)
    mine = rates(ours, getattr(lr_scheduler, name)(ours, **options), 38)
    its = rates(theirs, getattr(torch.optim.lr_scheduler, name)(theirs, **options), 38)
    np.testing.assert_allclose(mine, its, rtol=1e-12)


def test_one_cycle_turns_adams_beta(torch):
    ours, theirs = two_groups(gf, "Adam"), two_groups(torch, "Adam")
    mine = rates(ours, lr_scheduler.OneCycleLR(ours, max_lr=0.5, total_steps=20), 19)
    its = rates(theirs, torch.optim.lr_scheduler.OneCycleLR(theirs, max_lr=0.5, total_steps=20), 19)
    np.testing.assert_allclose(mine, its, rtol=1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"mode": "max"}, {"threshold_mode": "abs", "threshold": 0.1}, {"cooldown": 3, "patience": 1, "min_lr": 0.01}],
    ids=str,
)
def test_plateau(torch, options):
    options = {"patience": 2, "factor": 0.5, **options}
    metrics = np.random.default_rng(0).random(40).tolist()
    ours, theirs = two_groups(gf), two_groups(torch)
    mine = rates(ours, lr_scheduler.ReduceLROnPlateau(ours, **options), 40, metrics)
    its = rates(theirs, torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options), 40, metrics)
    np.testing.assert_allclose(mine, its, rtol=1e-12)


def test_plateau_after_a_new_group():
    optimizer = two_groups(gf)
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
    listed = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, min_lr=[0.0, 0.0])
    optimizer.add_param_group({"params": [gf.ones(1, requires_grad=True)], "lr": 1.0})
    schedule.step(1.0)
    schedule.step(2.0)
    assert optimizer.param_groups[2]["lr"] == 0.5
    listed.step(1.0)
    with pytest.raises(RuntimeError, match="3 param groups, but min_lr was given for 2"):
        listed.step(2.0)


def combined(library, optimizer, kind):
    schedules = library.optim.lr_scheduler
    if kind == "sequential":
        parts = [
            schedules.LinearLR(optimizer, start_factor=0.1, total_iters=4),
            schedules.CosineAnnealingLR(optimizer, T_max=6),
            schedules.ExponentialLR(optimizer, gamma=0.9),
        ]
        return schedules.SequentialLR(optimizer, parts, milestones=[5, 12])
    parts = [schedules.ConstantLR(optimizer, factor=0.1, total_iters=3), schedules.ExponentialLR(optimizer, gamma=0.9)]
    return schedules.ChainedScheduler(parts)


@pytest.mark.parametrize("kind", ["sequential", "chained"])
def test_combined_schedules(torch, kind):
    ours, theirs = two_groups(gf), two_groups(torch)
    mine = rates(ours, combined(gf, ours, kind), 20)
    its = rates(theirs, combined(torch, theirs, kind), 20)
    np.testing.assert_allclose(mine, its, rtol=1e-12)


@pytest.mark.parametrize("case", ["step", "cosine", "restarts", "one cycle", "lambda"])
def test_a_loaded_schedule_goes_on_the_same_way(case):
    name, options = SCHEDULES[case]
    optimizer = two_groups(gf, momentum=0.9)
    schedule = getattr(lr_scheduler, name)(optimizer, **options)
    rates(optimizer, schedule, 6)
    resumed_optimizer = two_groups(gf, momentum=0.9)
    resumed = getattr(lr_scheduler, name)(resumed_optimizer, **options)
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(copy.deepcopy(schedule.state_dict()))
    assert rates(resumed_optimizer, resumed, 10) == rates(optimizer, schedule, 10)


def test_a_combined_schedule_is_saved():
    optimizer = two_groups(gf)
    schedule = combined(gf, optimizer, "sequential")
    rates(optimizer, schedule, 7)
    twin_optimizer = two_groups(gf)
    twin = combined(gf, twin_optimizer, "sequential")
    twin_optimizer.load_state_dict(optimizer.state_dict())
    twin.load_state_dict(copy.deepcopy(schedule.state_dict()))
    assert rates(twin_optimizer, twin, 10) == rates(optimizer, schedule, 10)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda o: lr_scheduler.StepLR([], 3), TypeError, "list is not an Optimizer"),
        (lambda o: lr_scheduler.StepLR(o, 3, last_epoch=4), KeyError, "initial_lr"),
        (lambda o: lr_scheduler.LambdaLR(o, [len]), ValueError, "Expected 2 values for lr_lambda"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1), ValueError, "total_steps OR"),
        (lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=3, pct_start=2), ValueError, "pct_start, but got 2"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.5), ValueError, "Factor should be < 1.0; got 1.5"),
        (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="up"), ValueError, "mode up is unknown"),
        (lambda o: lr_scheduler.LinearLR(o, start_factor=0), ValueError, "greater than 0"),
        (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0, but got 0"),
    ],
)
def test_schedules_refuse(make, error, text):
    with pytest.raises(error, match=text):
        make(two_groups(gf))
