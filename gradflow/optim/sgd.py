"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import gradflow as gf

from ..backends import elementwise, kernel
from ..errors import ArgumentError
from .optimizer import Optimizer, number, refuse_differentiable


@functools.cache
def sgd_kernel(momentum: bool, dampening: bool, nesterov: bool, decay: bool, maximize: bool) -> Any:
    """One step as one pass: the choices are made when the formula is traced, the numbers are arguments."""

    def direction(p: Any, g: Any, weight_decay: Any) -> Any:
        if maximize:
            g = -g
        return g + weight_decay * p if decay else g

    def sgd(p: Any, g: Any, lr: Any, weight_decay: Any) -> Any:
        return p - lr * direction(p, g, weight_decay)

    def sgd_momentum(p: Any, g: Any, buf: Any, lr: Any, weight_decay: Any, momentum: Any, weight: Any) -> Any:
        g = direction(p, g, weight_decay)
        buf = momentum * buf + (weight * g if dampening else g)
        return p - lr * (g + momentum * buf if nesterov else buf), buf

    return kernel(sgd_momentum, outputs=2) if momentum else kernel(sgd)


class SGD(Optimizer):
    """p = p - lr * g; with momentum p = p - lr * buf, buf = momentum * buf + (1 - dampening) * g.

    weight_decay adds weight_decay * p to g; nesterov steps by g + momentum * buf; maximize turns the sign of g. The
    first buf is g itself. foreach and fused are taken for PyTorch's sake: every step here is fused.

    >>> import gradflow as gf
    >>> w = gf.ones(2, requires_grad=True)
    >>> optimizer = gf.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000, 0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        number(self, "learning rate", lr)
        number(self, "momentum value", momentum)
        number(self, "weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError("SGD: Nesterov momentum requires a momentum and zero dampening")
        refuse_differentiable("SGD", differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def update(self, group: dict[str, Any]) -> None:
        lr, momentum, decay = float(group["lr"]), float(group["momentum"]), float(group["weight_decay"])
        weight = 1.0 - float(group["dampening"])
        program = sgd_kernel(momentum != 0, weight != 1.0, group["nesterov"], decay != 0, group["maximize"])
        if momentum == 0:
            for p in group["params"]:
                g = p.grad
                if g is not None:
                    elementwise(program, (p.array, g.array, lr, decay), p.array)
                    p._bump()
            return
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state = self.state[p]
            buf = state.get("momentum_buffer")
            if buf is None:  # of zeros and undampened, the first one comes out as g
                buf = state["momentum_buffer"] = gf.zeros_like(p, requires_grad=False)
                arguments = (p.array, g.array, buf.array, lr, decay, momentum, 1.0)
            else:
                arguments = (p.array, g.array, buf.array, lr, decay, momentum, weight)
            elementwise(program, arguments, (p.array, buf.array))
            p._bump()
