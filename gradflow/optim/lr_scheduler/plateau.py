"""A schedule that waits for a metric to stop improving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, one_per_group


class ReduceLROnPlateau(LRScheduler):
    """The rate times factor when the metric given to `step` has not improved for more than patience epochs.

    mode says whether "min" or "max" is better; threshold, relative ("rel") or absolute ("abs"), how much better counts;
    cooldown how many epochs to wait after a change; eps how small a change is left undone.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    >>> for loss in [3.0, 2.0, 2.0]:
    ...     schedule.step(loss)
    ...     print(optimizer.param_groups[0]["lr"])
    1.0
    1.0
    0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ArgumentError(f"Factor should be < 1.0; got {factor}")
        if mode not in ("min", "max"):
            raise ArgumentError(f"mode {mode} is unknown! use 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ArgumentError(f"threshold mode {threshold_mode} is unknown! use 'rel' or 'abs'")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.default_min_lr = None if isinstance(min_lr, Sequence) else min_lr
        self.min_lrs = one_per_group("min_lr", min_lr, optimizer)
        self.eps = eps
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._last_lr = self._rates()

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Note an epoch's metric, and lower the rates if it is time."""
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._rates()

    def _reduce(self) -> None:
        groups = len(self.optimizer.param_groups)
        if groups != len(self.min_lrs):
            if self.default_min_lr is None:
                raise ArgumentError(
                    f"ReduceLROnPlateau: the optimizer has {groups} param groups, but min_lr was given for {len(self.min_lrs)}; append to min_lrs"
                )
            self.min_lrs = [self.default_min_lr] * groups
        for group, old, low in zip(self.optimizer.param_groups, self._rates(), self.min_lrs, strict=True):
            new = max(old * self.factor, low)
            if old - new > self.eps:
                group["lr"] = new

    @property
    def in_cooldown(self) -> bool:
        """Is it too early to count bad epochs again?"""
        return self.cooldown_counter > 0

    def _is_better(self, current: float) -> bool:
        relative = self.threshold_mode == "rel"
        if self.mode == "min":
            return current < (self.best * (1.0 - self.threshold) if relative else self.best - self.threshold)
        return current > (self.best * (1.0 + self.threshold) if relative else self.best + self.threshold)
