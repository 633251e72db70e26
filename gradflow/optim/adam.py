"""Adam and AdamW."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import gradflow as gf

from ..backends import elementwise, kernel
from ..errors import DTypeError
from ..scalar import maximum, sqrt
from ..tensor import Tensor
from .optimizer import Optimizer, counted, number, refuse_differentiable


@functools.cache
def adam_kernel(amsgrad: bool, decay: str, maximize: bool) -> Any:
    """One step as one pass: the choices are made when the formula is traced, the numbers are arguments.

    decay is "none", "gradient" (weight is added to g) or "decoupled" (p is multiplied by weight). m and v are the moving
    averages of g and g^2, top is the largest v so far; w1 = 1 - beta1, w2 = 1 - beta2; size = lr / (1 - beta1^t) and
    scale = 1 / sqrt(1 - beta2^t) carry the bias corrections.
    """

    def moments(p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any) -> Any:
        if maximize:
            g = -g
        if decay == "gradient":
            g = g + weight * p
        if decay == "decoupled":
            p = p * weight
        return p, m + w1 * (g - m), beta2 * v + w2 * g * g

    def adam(p: Any, g: Any, m: Any, v: Any, w1: Any, beta2: Any, w2: Any, weight: Any, size: Any, scale: Any, eps: Any) -> Any:
        p, m, v = moments(p, g, m, v, w1, beta2, w2, weight)
        return p - size * (m / (sqrt(v) * scale + eps)), m, v

    def adam_amsgrad(
        p: Any, g: Any, m: Any, v: Any, top: Any, w1: Any, beta2: Any, w2: Any, weight: Any, size: Any, scale: Any, eps: Any
    ) -> Any:
        p, m, v = moments(p, g, m, v, w1, beta2, w2, weight)
        top = maximum(top, v)
        return p - size * (m / (sqrt(top) * scale + eps)), m, v, top

    return kernel(adam_amsgrad, outputs=4) if amsgrad else kernel(adam, outputs=3)


@functools.cache
def corrections() -> Any:
    """(t + 1, size, scale, 1 - lr * decay) of the next step, for a count that is on the device."""

    def corrected(t: Any, lr: Any, beta1: Any, beta2: Any, decay: Any) -> Any:
        t = t + 1.0
        return t, lr / (1.0 - beta1**t), 1.0 / sqrt(1.0 - beta2**t), 1.0 - lr * decay

    return kernel(corrected, outputs=4)


class Adam(Optimizer):
    """p = p - lr * m' / (sqrt(v') + eps), m and v moving averages of g and g^2, m' and v' corrected for their start.

    betas are their decays. weight_decay adds weight_decay * p to g or, with decoupled_weight_decay, multiplies p by
    1 - lr * weight_decay. amsgrad divides by the largest v so far; maximize turns the sign of g (Kingma and Ba, 2015;
    Reddi et al., 2018). With capturable, steps of parameters on a device are counted there, and lr may be a tensor there, so that a graph
    (cuda.graph) may have a step in it. foreach and fused are taken for PyTorch's sake: every step here is fused.

    >>> import gradflow as gf
    >>> w = gf.ones(2, requires_grad=True)
    >>> optimizer = gf.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000, 0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        number(self, "learning rate", lr)
        number(self, "epsilon value", eps)
        if not isinstance(betas, tuple | list) or len(betas) < 2:
            raise DTypeError(f"{type(self).__name__}: betas must be two numbers, not {betas!r}")
        number(self, "beta parameter at index 0", betas[0], high=1.0)
        number(self, "beta parameter at index 1", betas[1], high=1.0)
        number(self, "weight_decay value", weight_decay)
        refuse_differentiable(type(self).__name__, differentiable)
        defaults = {
            "lr": lr,
            "betas": (float(betas[0]), float(betas[1])),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def update(self, group: dict[str, Any]) -> None:
        lr, eps, decay_by = group["lr"], float(group["eps"]), float(group["weight_decay"])
        on_device = group["capturable"] and isinstance(lr, Tensor) and lr.is_cuda
        lr = lr.reshape(()).array if on_device else float(lr)
        beta1, beta2 = group["betas"]
        w1, w2 = 1.0 - beta1, 1.0 - beta2
        amsgrad = group["amsgrad"]
        decay = "none"
        if decay_by != 0:
            decay = "decoupled" if group["decoupled_weight_decay"] else "gradient"
        weight = 1.0 - lr * decay_by if decay == "decoupled" and not on_device else decay_by
        program = adam_kernel(amsgrad, decay, group["maximize"])
        corrected = 0
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state = self.state[p]
            if not state:
                self._start(state, p, amsgrad)
            t = state["step"]
            if group["capturable"] or t.__class__ is not int:
                t = counted(state, p, group)
            else:
                t = state["step"] = t + 1
            if t.__class__ is not int:
                outs = (t.array, None, None, None)
                _, size, scale, shrink = elementwise(corrections(), (t.array, lr, beta1, beta2, decay_by), outs)
                t._bump()
                weight = shrink if decay == "decoupled" else decay_by
            elif t != corrected:  # the parameters of a group are nearly always at the same step
                corrected, size, scale = t, lr / (1.0 - beta1**t), (1.0 - beta2**t) ** -0.5
            averages: tuple[Any, ...] = (state["exp_avg"].array, state["exp_avg_sq"].array)
            if amsgrad:
                averages = (*averages, state["max_exp_avg_sq"].array)
            numbers = (w1, beta2, w2, weight, size, scale, eps)
            elementwise(program, (p.array, g.array, *averages, *numbers), (p.array, *averages))
            p._bump()

    @staticmethod
    def _start(state: dict[str, Any], p: Any, amsgrad: bool) -> None:
        state["step"] = 0
        for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if amsgrad else 2]:
            state[name] = gf.zeros_like(p, requires_grad=False)


class AdamW(Adam):
    """Adam whose weight decay multiplies p by 1 - lr * weight_decay and leaves g alone (Loshchilov and Hutter, 2019).

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8500], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        if "decoupled_weight_decay" in options:
            raise DTypeError("AdamW: unexpected argument decoupled_weight_decay; it is always decoupled")
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, **options)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
