"""Adam's kin: NAdam, with Nesterov's momentum, and RAdam, whose first steps are rectified."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ..backends import kernel
from ..errors import DTypeError
from ..scalar import sqrt, where
from ..tensor import Tensor
from .adaptive import Adaptive
from .optimizer import number


def moments(decay: str, maximize: bool) -> Any:
    """(p, g, m, v) after the decay and the step of the moving averages."""

    def step(p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any) -> Any:
        if maximize:
            g = -g
        if decay == "gradient":
            g = g + weight * p
        if decay == "decoupled":
            p = p * weight
        return p, g, m + w1 * (g - m), beta2 * v + w2 * g * g

    return step


@functools.cache
def nadam_kernel(decay: str, maximize: bool) -> Any:
    averaged = moments(decay, maximize)

    def nadam(p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any, by_g: Any, by_m: Any, scale: Any, eps: Any) -> Any:
        p, g, m, v = averaged(p, g, m, v, w1, beta2, w2, weight)
        return p - (by_g * g + by_m * m) / (sqrt(v) * scale + eps), m, v

    return kernel(nadam, outputs=3)


@functools.cache
def radam_kernel(decay: str, maximize: bool, rectified: bool | None) -> Any:
    """``None``: the device knows whether it is."""
    averaged = moments(decay, maximize)

    def radam(p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any, size: Any, eps: Any) -> Any:
        p, g, m, v = averaged(p, g, m, v, w1, beta2, w2, weight)
        return p - size * m / (sqrt(v) + eps) if rectified else p - size * m + eps * 0, m, v

    def either(
        p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any, size: Any, rectified: Any, trusted: Any, eps: Any
    ) -> Any:
        p, g, m, v = averaged(p, g, m, v, w1, beta2, w2, weight)
        return where(trusted, p - rectified * m / (sqrt(v) + eps), p - size * m), m, v

    return kernel(radam if rectified is not None else either, outputs=3)


class Averaging(Adaptive):
    """What they share: Adam's averages and its weight decay, added to g or, decoupled, multiplied into p."""

    def _set(self, params: Iterable[Any], betas: Any, differentiable: bool, numbers: dict[str, Any], options: dict[str, Any]) -> None:
        self._check(differentiable, **numbers)
        if not isinstance(betas, tuple | list) or len(betas) < 2:
            raise DTypeError(f"{type(self).__name__}: betas must be two numbers, not {betas!r}")
        for i in range(2):
            number(self, f"beta parameter at index {i}", betas[i], high=1.0)
        Adaptive.__init__(self, params, {**numbers, "betas": betas, "differentiable": differentiable, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    @staticmethod
    def _averages(group: dict[str, Any]) -> tuple[str, tuple[float, ...]]:
        """(kind of decay, the numbers of the averages)"""
        lr, weight = float(group["lr"]), float(group["weight_decay"])
        beta1, beta2 = (float(b) for b in group["betas"])
        decay = "none" if weight == 0 else "decoupled" if group["decoupled_weight_decay"] else "gradient"
        return decay, (1 - beta1, beta2, 1 - beta2, 1 - lr * weight if decay == "decoupled" else weight)


class NAdam(Averaging):
    """Adam that steps by a mix of g and its average, in shares that change with the step; Dozat 2016.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w < 1
    tensor([True])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        numbers = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        options = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach, "capturable": capturable}
        self._set(params, betas, differentiable, numbers, options)

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        return {"mu_product": 1.0}

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        decay, numbers = self._averages(group)
        lr, beta1, t = float(group["lr"]), float(group["betas"][0]), state["step"]
        now, following = (beta1 * (1.0 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        state["mu_product"].mul_(now)
        product = state["mu_product"] if isinstance(t, Tensor) else state["mu_product"].item()
        by_g, by_m = lr * (1 - now) / (1 - product), lr * following / (1 - product * following)
        scale = (1 - numbers[1] ** t) ** -0.5
        return nadam_kernel(decay, group["maximize"]), (*numbers, by_g, by_m, scale, float(group["eps"]))


class RAdam(Averaging):
    """Adam without the division by sqrt(v) until v is trusted, and then by a share that grows; Liu et al. 2019.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        numbers = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        options = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach, "capturable": capturable}
        self._set(params, betas, differentiable, numbers, options)

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        decay, numbers = self._averages(group)
        t, (beta1, beta2) = state["step"], (float(b) for b in group["betas"])
        correction = 1 - beta2**t
        size = float(group["lr"]) / (1 - beta1**t)
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * t * beta2**t / correction  # of the simple average that v is as good as

        def rectified() -> Any:
            return size * ((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length) * correction) ** 0.5

        if isinstance(t, Tensor):
            return radam_kernel(decay, group["maximize"], None), (*numbers, size, rectified(), length > 5.0, float(group["eps"]))
        if length > 5.0:
            size = rectified()
        return radam_kernel(decay, group["maximize"], length > 5.0), (*numbers, size, float(group["eps"]))
