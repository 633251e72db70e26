"""Steps that do not follow the gradient's size: Rprop; and averaged gradient descent: ASGD."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ..backends import kernel
from ..errors import ArgumentError
from ..scalar import primitives as s
from ..tensor import Tensor
from .adaptive import Adaptive, direction


@functools.cache
def rprop_kernel(maximize: bool) -> Any:
    def rprop(p: Any, g: Any, before: Any, size: Any, less: Any, more: Any, low: Any, high: Any) -> Any:
        g = -g if maximize else g
        turn = g * before
        factor = s.where(s.gt(turn, 0.0), more, s.where(s.lt(turn, 0.0), less, 1.0))
        size = s.minimum(s.maximum(size * factor, low), high)
        g = s.where(s.eq(factor, less), 0.0, g)
        return p - s.sign(g) * size, g, size

    return kernel(rprop, outputs=3)


@functools.cache
def asgd_kernel(maximize: bool) -> Any:
    def asgd(p: Any, g: Any, mean: Any, eta: Any, shrink: Any, mu: Any, weight_decay: Any) -> Any:
        p = p * shrink - eta * direction(p, g, weight_decay, maximize)
        return p, mean + (p - mean) * mu

    return kernel(asgd, outputs=2)


class Rprop(Adaptive):
    """p = p - sign(g) * size, each size times etas[1] while the sign of g stays, and times etas[0] when it turns.

    A step after a turn is left out. Sizes start at lr and stay within step_sizes; Riedmiller and Braun 1993.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        self._check(differentiable, lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ArgumentError(f"Rprop: Invalid eta values: {etas[0]}, {etas[1]}; they must be below and above 1")
        options = {"foreach": foreach, "maximize": maximize, "differentiable": differentiable, "capturable": capturable}
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "prev", "step_size"

    def _first(self, group: dict[str, Any], name: str) -> float:
        return float(group["lr"]) if name == "step_size" else 0.0

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        return rprop_kernel(group["maximize"]), (*map(float, group["etas"]), *map(float, group["step_sizes"]))


class ASGD(Adaptive):
    """p = p * (1 - lambd * eta) - eta * g, eta = lr / (1 + lambd * lr * t) ** alpha; state "ax" is the mean of p from step t0 on.

    Polyak and Juditsky 1992.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.ASGD([w], lr=0.1, lambd=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        self._check(differentiable, lr=lr, weight_decay=weight_decay)
        numbers = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        options = {"foreach": foreach, "maximize": maximize, "differentiable": differentiable, "capturable": capturable}
        super().__init__(params, {**numbers, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("ax",)

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"eta": float(group["lr"]), "mu": 1.0}

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        lr, lambd, t = float(group["lr"]), float(group["lambd"]), state["step"]
        later = lr / (1 + lambd * lr * t) ** group["alpha"]
        if isinstance(t, Tensor):
            eta, mu = state["eta"].clone(), state["mu"].clone()
            state["eta"].copy_(later)
            state["mu"].copy_(1 / (t - group["t0"]).clamp(min=1))
        else:
            eta, mu = state["eta"].item(), state["mu"].item()
            state["eta"].fill_(later)
            state["mu"].fill_(1 / max(1, t - group["t0"]))
        return asgd_kernel(group["maximize"]), (eta, 1 - lambd * eta, mu, float(group["weight_decay"]))
