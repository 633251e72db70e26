"""Averages of a model's weights over training: stochastic weight averaging, exponential moving averages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import gradflow as gf

from ..autograd import no_grad
from ..errors import ArgumentError
from ..tensor import Tensor
from .lr_scheduler.base import LRScheduler, one_per_group
from .optimizer import Optimizer

__all__ = ["SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn"]


NORMS = gf.nn.BatchNorm1d, gf.nn.BatchNorm2d, gf.nn.BatchNorm3d, gf.nn.SyncBatchNorm


def _checked_decay(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ArgumentError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")
    return decay


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """decay * average + (1 - decay) * value, for `AveragedModel`.

    >>> gf.optim.swa_utils.get_ema_avg_fn(0.5)(gf.tensor(1.0), gf.tensor(3.0), 1)
    tensor(2.)
    """
    _checked_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The mean of all values so far, for `AveragedModel`.

    >>> gf.optim.swa_utils.get_swa_avg_fn()(gf.tensor(1.0), gf.tensor(3.0), 1)
    tensor(2.)
    """

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], None]:
    """`get_ema_avg_fn` in place, for lists of tensors.

    >>> average = [gf.tensor([1.0])]
    >>> gf.optim.swa_utils.get_ema_multi_avg_fn(0.5)(average, [gf.tensor([3.0])], 1)
    >>> average
    [tensor([2.])]
    """
    _checked_decay(decay)

    @no_grad()
    def ema_update(ema_param_list: Any, current_param_list: Any, _: Any) -> None:
        for average, value in zip(ema_param_list, current_param_list, strict=True):
            average.lerp_(value, 1 - decay)

    return ema_update


def get_swa_multi_avg_fn() -> Callable[[Any, Any, Any], None]:
    """`get_swa_avg_fn` in place, for lists of tensors.

    >>> average = [gf.tensor([1.0])]
    >>> gf.optim.swa_utils.get_swa_multi_avg_fn()(average, [gf.tensor([3.0])], 1)
    >>> average
    [tensor([2.])]
    """

    @no_grad()
    def swa_update(averaged_param_list: Any, current_param_list: Any, num_averaged: Any) -> None:
        for average, value in zip(averaged_param_list, current_param_list, strict=True):
            average.lerp_(value, 1 / (float(num_averaged) + 1))

    return swa_update


class AveragedModel(gf.nn.Module):
    """A copy of a model, `module`, whose parameters are the averages of those given to `update_parameters`.

    avg_fn(average, value, n_averaged) returns the new average of a tensor, multi_avg_fn changes lists of them in place;
    without either it is the mean. With use_buffers buffers are averaged, too; without they are copied.

    >>> net = gf.nn.Linear(1, 1)
    >>> average = gf.optim.swa_utils.AveragedModel(net)
    >>> for value in (1.0, 2.0):
    ...     _ = gf.nn.init.constant_(net.weight, value)
    ...     average.update_parameters(net)
    >>> average.module.weight.item()
    1.5
    """

    n_averaged: Tensor

    def __init__(
        self, model: gf.nn.Module, device: Any = None, avg_fn: Any = None, multi_avg_fn: Any = None, use_buffers: bool = False
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: Only one of avg_fn and multi_avg_fn should be provided")
        self.module: Any = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", gf.tensor(0, dtype=gf.long, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: gf.nn.Module) -> None:
        """Take the parameters of a model into the averages."""

        def values(m: gf.nn.Module) -> Iterable[Tensor]:
            return itertools.chain(m.parameters(), m.buffers() if self.use_buffers else ())

        pairs = [(a, v.detach().to(a.device)) for a, v in zip(values(self.module), values(model), strict=True)]
        if self.n_averaged == 0:
            for average, value in pairs:
                average.copy_(value)
        elif self.multi_avg_fn is not None or self.avg_fn is None:
            changed = [pair for pair in pairs if pair[0].is_floating_point()]
            average_all = self.multi_avg_fn or get_swa_multi_avg_fn()
            average_all([average for average, _ in changed], [value for _, value in changed], self.n_averaged)
            for average, value in pairs:
                if not average.is_floating_point():
                    average.copy_(value)
        else:
            for average, value in pairs:
                average.copy_(self.avg_fn(average.detach(), value, self.n_averaged))
        if not self.use_buffers:
            for average, value in zip(self.module.buffers(), model.buffers(), strict=True):
                average.copy_(value.detach())
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: gf.nn.Module, device: Any = None) -> None:
    """Compute the running statistics of the model's batch norms anew, as the means over the batches of a loader.

    >>> model = gf.nn.BatchNorm1d(1)
    >>> gf.optim.swa_utils.update_bn([gf.tensor([[1.0], [3.0]])], model)
    >>> model.running_mean
    tensor([2.])
    """
    momenta: dict[Any, Any] = {}
    for module in model.modules():
        if isinstance(module, NORMS):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        input = batch[0] if isinstance(batch, list | tuple) else batch
        model(input if device is None else input.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Goes from the rates that are set to swa_lr in anneal_epochs steps, along a cosine or a line, and stays there.

    >>> optimizer = gf.optim.SGD([gf.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = gf.optim.swa_utils.SWALR(optimizer, swa_lr=0.1, anneal_epochs=1)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ArgumentError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        for rate, group in zip(one_per_group("swa_lr", swa_lr, optimizer), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy, self.anneal_epochs = anneal_strategy, anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way is gone."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, target = float(group["lr"]), group["swa_lr"]
            start = target if before == 1 else (lr - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
