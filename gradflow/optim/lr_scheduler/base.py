"""What all schedules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer


class LRScheduler:
    """Sets the learning rates of an optimizer's groups, once at the start and at each `step()`.

    Schedules are chainable as in PyTorch: each computes the next rate from the present one, so that several on one
    optimizer multiply. A subclass defines `get_lr()`, the rates for `self.last_epoch`, one a group.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> class Halved(gf.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2 ** self.last_epoch for base in self.base_lrs]
    >>> schedule = Halved(optimizer)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    "last_epoch >= 0; load the optimizer's state first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch, or to the one given, and set the rates."""
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = self._get_closed_form_lr()
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rates for `self.last_epoch`, from those of the epoch before."""
        raise NotImplementedError(f"{type(self).__name__}: define get_lr")

    def _get_closed_form_lr(self) -> list[float]:
        """The rates for `self.last_epoch`, from the initial ones; schedules that cannot jump use the present ones."""
        return self.get_lr()

    def get_last_lr(self) -> list[float]:
        """The rates that are set now."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict()` gave."""
        self.__dict__.update(state_dict)


def one_per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """A value for each group, from one for all or from a list of the right length."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, Sequence):
        return [value] * groups
    if len(value) != groups:
        raise ArgumentError(f"Expected {groups} values for {name}, one for each parameter group, but got {len(value)}")
    return list(value)
