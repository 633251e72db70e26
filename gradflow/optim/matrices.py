"""Optimizers that see a parameter as a matrix: Adafactor and Muon. Their steps are a few products, not one fused pass."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import gradflow as gf

from ..autograd import no_grad
from ..errors import ArgumentError
from ..tensor import Tensor
from .optimizer import Optimizer, number


class Adafactor(Optimizer):
    """p = p - size * g / sqrt(v), where a matrix's v, the average of g^2, is kept as its rows' and its columns' averages only.

    v = r c / mean(r); the weight of a new g^2 is t ** beta2_decay at step t. The step g / sqrt(v) is scaled down to a root mean square of
    at most d; size is min(lr, 1 / sqrt(t)) times the root mean square of p, which counts as at least eps[1] (Shazeer and Stern, 2018).
    More than two axes are matrices along the last two; vectors keep all of v. foreach is taken for PyTorch's sake.

    >>> import gradflow as gf
    >>> w = gf.ones(2, 3, requires_grad=True)
    >>> optimizer = gf.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w[0]
    tensor([0.9000, 0.9000, 0.9000], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        number(self, "learning rate", lr)
        number(self, "-beta2_decay", -beta2_decay)
        number(self, "epsilon value", 0.0 if eps[0] is None else eps[0])
        number(self, "epsilon value", eps[1])
        number(self, "clipping threshold d", d, low=1.0)
        number(self, "weight_decay value", weight_decay)
        defaults = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "foreach": foreach, "maximize": maximize})

    @no_grad()
    def update(self, group: dict[str, Any]) -> None:
        lr, decay, (eps1, eps2) = float(group["lr"]), float(group["weight_decay"]), group["eps"]
        for p in group["params"]:
            if p.grad is None:
                continue
            g = -p.grad if group["maximize"] else p.grad
            least = gf.finfo(p.dtype).eps if eps1 is None else eps1
            state = self.state[p]
            if not state:
                state["step"] = 0
                if g.ndim > 1:
                    state["row_var"], state["col_var"] = gf.zeros_like(g[..., :1]), gf.zeros_like(g[..., :1, :])
                else:
                    state["variance"] = gf.zeros_like(g)
            t = state["step"] = state["step"] + 1
            fresh = t ** group["beta2_decay"]
            size = max(eps2, p.norm().item() / math.sqrt(p.numel())) * min(lr, 1 / math.sqrt(t))
            if decay != 0:
                p.mul_(1 - lr * decay)
            if g.ndim > 1:
                rows, columns = state["row_var"], state["col_var"]
                rows.lerp_(g.square().mean(-1, keepdim=True), fresh)
                columns.lerp_(g.square().mean(-2, keepdim=True), fresh)
                v = rows @ columns / rows.mean(-2, keepdim=True).clamp(min=least)
            else:
                v = state["variance"].lerp_(g.square(), fresh)
            step = g * v.clamp(min=least * least).rsqrt()
            p.add_(step, alpha=-size / max(1.0, step.norm().item() / (math.sqrt(step.numel()) * group["d"])))


def orthogonal(g: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """About U V^T for g = U S V^T, by Newton and Schulz's iteration in bfloat16: x <- a x + (b x x^T + c (x x^T)^2) x."""
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = g.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = gf.addmm(x, gf.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(Optimizer):
    """p = p - lr * ratio * U V^T of the momentum U S V^T of g, for parameters that are matrices (Jordan, 2024).

    The momentum is an average of decay ``momentum``, with nesterov averaged with g once more. ratio is sqrt(max(1, rows / columns)), or
    0.2 sqrt(max(rows, columns)) with adjust_lr_fn "match_rms_adamw"; weight_decay multiplies p by 1 - lr * weight_decay.

    >>> w = gf.eye(2, requires_grad=True)
    >>> optimizer = gf.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> bool(w.trace() < 2)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        number(self, "learning rate", lr)
        number(self, "momentum value", momentum)
        number(self, "weight_decay value", weight_decay)
        number(self, "number of steps", ns_steps, high=100)
        if len(ns_coefficients) != 3:
            raise ArgumentError(f"Muon: ns_coefficients must be three numbers, not {ns_coefficients!r}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ArgumentError(f"Muon: Adjust learning rate function {adjust_lr_fn} is not supported; use 'original' or 'match_rms_adamw'")
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov, "ns_coefficients": ns_coefficients}
        super().__init__(params, {**defaults, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                raise self._wrong(
                    ArgumentError, f"only supports 2D parameters; got one of shape {tuple(p.shape)}; give it to another optimizer"
                )

    @no_grad()
    def update(self, group: dict[str, Any]) -> None:
        lr, momentum = float(group["lr"]), float(group["momentum"])
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state["momentum_buffer"] = gf.zeros_like(p.grad)
            average = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
            direction = p.grad.lerp(average, momentum) if group["nesterov"] else average
            direction = orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
            rows, columns = p.shape
            ratio = math.sqrt(max(1, rows / columns))
            if group["adjust_lr_fn"] == "match_rms_adamw":
                ratio = 0.2 * math.sqrt(max(rows, columns))
            p.mul_(1 - lr * float(group["weight_decay"]))
            p.add_(direction.to(p.dtype), alpha=-lr * ratio)
