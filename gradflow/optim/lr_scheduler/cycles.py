"""The one-cycle schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, one_per_group


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr, then far down, in total_steps steps; momentum the other way round.

    Call `step()` after every batch. total_steps may be given as epochs * steps_per_epoch. pct_start is the share of
    steps that go up; anneal_strategy is "cos" or "linear"; three_phase comes down as slowly as it went up before
    falling to the start / final_div_factor (Smith and Topin, 2018).

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> schedule = gf.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=4, pct_start=0.5)
    >>> for _ in range(2):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [0.040000000000000036]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("You must define either total_steps OR (epochs AND steps_per_epoch)")
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ArgumentError(f"Expected positive integer total_steps, but got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.phases = _phases(total_steps, pct_start, three_phase)
        self._set_groups(
            optimizer,
            last_epoch,
            one_per_group("max_lr", max_lr, optimizer),
            one_per_group("base_momentum", base_momentum, optimizer),
            one_per_group("max_momentum", max_momentum, optimizer),
            div_factor,
            final_div_factor,
        )
        super().__init__(optimizer, last_epoch)

    def _set_groups(
        self,
        optimizer: Optimizer,
        last_epoch: int,
        max_lrs: list[float],
        base_momenta: list[float],
        max_momenta: list[float],
        div_factor: float,
        final_div_factor: float,
    ) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ArgumentError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in optimizer.defaults
        if last_epoch != -1:
            return
        for group, max_lr, low, high in zip(optimizer.param_groups, max_lrs, base_momenta, max_momenta, strict=True):
            group["initial_lr"] = max_lr / div_factor
            group["max_lr"] = max_lr
            group["min_lr"] = group["initial_lr"] / final_div_factor
            if self.cycle_momentum:
                self._set_momentum(group, high)
                group["max_momentum"] = high
                group["base_momentum"] = low

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ArgumentError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        begin = 0.0
        for phase in self.phases[:-1]:
            if step <= phase[0]:
                break
            begin = phase[0]
        else:
            phase = self.phases[-1]
        end, lr_from, lr_to, momentum_from, momentum_to = phase
        share = (step - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._anneal(group[lr_from], group[lr_to], share))
            if self.cycle_momentum:
                self._set_momentum(group, self._anneal(group[momentum_from], group[momentum_to], share))
        return rates


def _phases(steps: int, pct_start: float, three_phase: bool) -> list[tuple[float, str, str, str, str]]:
    """(last step, rate from, rate to, momentum from, momentum to) of each phase."""
    up = (pct_start * steps - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [up, (steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    return [
        up,
        (2 * pct_start * steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        (steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]
