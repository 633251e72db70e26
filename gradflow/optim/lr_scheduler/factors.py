"""Schedules that multiply the learning rate by a factor of the epoch."""

from __future__ import annotations

import math
import types
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, one_per_group


class LambdaLR(LRScheduler):
    """The initial rate times lr_lambda(epoch); one function, or one for each group.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> for _ in range(2):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.lr_lambdas: list[Callable[[int], float]] = one_per_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [base * fn(self.last_epoch) for fn, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and plain functions; of callable objects, their attributes."""
        state = super().state_dict()
        state["lr_lambdas"] = [None if isinstance(fn, types.FunctionType) else dict(vars(fn)) for fn in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what `state_dict()` gave; plain functions stay as they are."""
        self.__dict__.update({name: value for name, value in state_dict.items() if name != "lr_lambdas"})
        for fn, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                vars(fn).update(saved)


class MultiplicativeLR(LambdaLR):
    """The present rate times lr_lambda(epoch).

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [0.25]
    """

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._rates()
        return [lr * fn(self.last_epoch) for fn, lr in zip(self.lr_lambdas, self._rates(), strict=True)]


class FactorLR(LRScheduler):
    """A schedule that is the present rate times `factor(epoch)`, and `start` times the rate at the first epoch."""

    start = 1.0

    def factor(self, epoch: int) -> float:
        """What to multiply by on reaching epoch."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.start for lr in self._rates()]
        if self._is_initial:
            return self._rates()
        factor = self.factor(self.last_epoch)
        return [lr * factor for lr in self._rates()]

    def closed(self, epoch: int) -> float:
        """The product of all factors up to epoch."""
        raise NotImplementedError

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.closed(self.last_epoch) for base in self.base_lrs]


class StepLR(FactorLR):
    """The rate times gamma every step_size epochs.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [1.0]
    [0.1]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma if epoch % self.step_size == 0 else 1.0

    def closed(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(FactorLR):
    """The rate times gamma at each of the epochs in milestones.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 2], gamma=0.5)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma ** self.milestones[epoch] if epoch in self.milestones else 1.0

    def closed(self, epoch: int) -> float:
        return self.gamma ** sum(count for milestone, count in self.milestones.items() if milestone <= epoch)


class ExponentialLR(FactorLR):
    """The rate times gamma every epoch.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma

    def closed(self, epoch: int) -> float:
        return self.gamma**epoch


class ConstantLR(FactorLR):
    """The rate times factor for total_iters epochs, then the rate itself.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [0.5]
    [0.5]
    [1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1.0:
            raise ArgumentError(f"Constant multiplicative factor expected to be between 0 and 1; got {factor}")
        self.start = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return 1.0 / self.start if epoch == self.total_iters else 1.0

    def closed(self, epoch: int) -> float:
        return 1.0 if epoch >= self.total_iters else self.start


class LinearLR(FactorLR):
    """The rate times a factor that goes from start_factor to end_factor in total_iters epochs.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [0.5]
    [0.75]
    [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1.0:
            raise ArgumentError(f"Starting multiplicative factor expected to be greater than 0 and less or equal to 1; got {start_factor}")
        if not 0 <= end_factor <= 1.0:
            raise ArgumentError(f"Ending multiplicative factor expected to be between 0 and 1; got {end_factor}")
        self.start = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        if epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start
        return 1.0 + rise / (self.total_iters * self.start + (epoch - 1) * rise)

    def closed(self, epoch: int) -> float:
        return self.start + (self.end_factor - self.start) * min(self.total_iters, epoch) / self.total_iters


class PolynomialLR(FactorLR):
    """The rate times (1 - epoch / total_iters)^power, and zero from then on.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        if epoch > self.total_iters:
            return 1.0
        return ((1.0 - epoch / self.total_iters) / (1.0 - (epoch - 1) / self.total_iters)) ** self.power

    def closed(self, epoch: int) -> float:
        return (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the rate down to eta_min in T_max epochs, then up again (Loshchilov and Hutter, 2017).

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._rates()
        t, period = self.last_epoch, self.T_max
        if self._step_count == 1 and t > 0:
            return self._get_closed_form_lr()
        if (t - 1 - period) % (2 * period) == 0:  # leaving the bottom, where the ratio below would be 0 / 0
            rise = (1 - math.cos(math.pi / period)) / 2
            pairs = zip(self._rates(), self.base_lrs, strict=True)
            return [lr + (base - self.eta_min) * rise for lr, base in pairs]
        ratio = (1 + math.cos(math.pi * t / period)) / (1 + math.cos(math.pi * (t - 1) / period))
        return [ratio * (lr - self.eta_min) + self.eta_min for lr in self._rates()]

    def _get_closed_form_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the rate down to eta_min, begun anew after T_0, then T_0 * T_mult, ... epochs.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [1.0]
    [0.5]
    [1.0]
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ArgumentError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ArgumentError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to the one given, which may lie between two whole ones."""
        self._step_count += 1
        if epoch is None and self.last_epoch >= 0:
            whole = self.last_epoch + 1
            self.T_cur += 1
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise ArgumentError(f"Expected non-negative epoch, but got {epoch}")
            whole = math.floor(epoch)
            self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._update_lr(whole)
