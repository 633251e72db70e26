"""Steps divided by the size of past gradients: Adagrad, RMSprop, Adadelta, Adamax."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import gradflow as gf

from ..backends import elementwise, kernel
from ..errors import DTypeError
from ..scalar import primitives as s
from ..tensor import Tensor
from .optimizer import Optimizer, counted, number, refuse_differentiable


def direction(p: Any, g: Any, weight_decay: Any, maximize: bool) -> Any:
    return (-g if maximize else g) + weight_decay * p


@functools.cache
def adagrad_kernel(maximize: bool) -> Any:
    def adagrad(p: Any, g: Any, total: Any, lr: Any, eps: Any, weight_decay: Any) -> Any:
        g = direction(p, g, weight_decay, maximize)
        total = total + g * g
        return p - lr * g / (s.sqrt(total) + eps), total

    return kernel(adagrad, outputs=2)


@functools.cache
def rmsprop_kernel(momentum: bool, centered: bool, maximize: bool) -> Any:
    """The state comes in the order: mean square, mean (if centered), momentum (if any)."""

    def step(p: Any, g: Any, square: Any, mean: Any, buf: Any, numbers: tuple) -> Any:
        lr, alpha, eps, weight_decay, mu = numbers
        g = direction(p, g, weight_decay, maximize)
        square = alpha * square + (1 - alpha) * g * g
        if centered:
            mean = mean + (1 - alpha) * (g - mean)
        by = g / (s.sqrt(square - mean * mean if centered else square) + eps)
        if momentum:
            buf = mu * buf + by
        state = (square, *[mean] * centered, *[buf] * momentum)
        return p - lr * (buf if momentum else by), *state

    def plain(p: Any, g: Any, square: Any, lr: Any, alpha: Any, eps: Any, weight_decay: Any, mu: Any) -> Any:
        return step(p, g, square, None, None, (lr, alpha, eps, weight_decay, mu))

    def one_more(p: Any, g: Any, square: Any, more: Any, lr: Any, alpha: Any, eps: Any, weight_decay: Any, mu: Any) -> Any:
        return step(p, g, square, more, more, (lr, alpha, eps, weight_decay, mu))

    def both(p: Any, g: Any, square: Any, mean: Any, buf: Any, lr: Any, alpha: Any, eps: Any, weight_decay: Any, mu: Any) -> Any:
        return step(p, g, square, mean, buf, (lr, alpha, eps, weight_decay, mu))

    return kernel((plain, one_more, both)[centered + momentum], outputs=2 + centered + momentum)


@functools.cache
def adadelta_kernel(maximize: bool) -> Any:
    def adadelta(p: Any, g: Any, square: Any, deltas: Any, lr: Any, rho: Any, eps: Any, weight_decay: Any) -> Any:
        g = direction(p, g, weight_decay, maximize)
        square = rho * square + (1 - rho) * g * g
        delta = s.sqrt(deltas + eps) / s.sqrt(square + eps) * g
        return p - lr * delta, square, rho * deltas + (1 - rho) * delta * delta

    return kernel(adadelta, outputs=3)


@functools.cache
def adamax_kernel(maximize: bool) -> Any:
    def adamax(p: Any, g: Any, mean: Any, norm: Any, size: Any, beta1: Any, beta2: Any, eps: Any, weight_decay: Any) -> Any:
        g = direction(p, g, weight_decay, maximize)
        mean = mean + (1 - beta1) * (g - mean)
        norm = s.maximum(beta2 * norm, s.abs(g) + eps)
        return p - size * mean / norm, mean, norm

    return kernel(adamax, outputs=3)


class Adaptive(Optimizer):
    """What they share: state tensors like the parameter, and one kernel for all."""

    def _check(self, differentiable: bool, **numbers: Any) -> None:
        for name, value in numbers.items():
            number(self, "learning rate" if name == "lr" else f"{name} value", value)
        refuse_differentiable(type(self).__name__, differentiable)

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The names of the state tensors."""
        raise NotImplementedError

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        """(the kernel, its numbers); where steps are counted on the device, ``state["step"]`` is a tensor, and so may these be."""
        raise NotImplementedError

    def _first(self, group: dict[str, Any], name: str) -> float:
        """What a state tensor is filled with at its start."""
        return 0.0

    def _scalars(self, group: dict[str, Any]) -> dict[str, float]:
        """Numbers that are state, at their start."""
        return {}

    def update(self, group: dict[str, Any]) -> None:
        names = self._names(group)
        for p in group["params"]:
            g = p.grad
            if g is None:
                continue
            state = self.state[p]
            if not state:
                state["step"] = 0
                on_device = group.get("capturable") and p.is_cuda
                for name in names:
                    state[name] = gf.full_like(p, self._first(group, name), requires_grad=False)
                for name, value in self._scalars(group).items():
                    state[name] = gf.tensor(value, dtype=gf.float64, device=p.device) if on_device else gf.tensor(value)
            t = counted(state, p, group)
            if isinstance(t, Tensor):
                t.add_(1)
            program, numbers = self._program(group, state)
            if isinstance(t, Tensor):
                numbers = tuple(n.array if isinstance(n, Tensor) else n for n in numbers)
            arrays = tuple(state[name].array for name in names)
            elementwise(program, (p.array, g.array, *arrays, *numbers), (p.array, *arrays))
            p._bump()


class Adagrad(Adaptive):
    """p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(sum of g ** 2) + eps); Duchi et al. 2011.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        self._check(
            differentiable,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )
        options = {"foreach": foreach, "maximize": maximize, "differentiable": differentiable, "fused": fused}
        numbers = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**numbers, "initial_accumulator_value": initial_accumulator_value, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def _first(self, group: dict[str, Any], name: str) -> float:
        return group["initial_accumulator_value"]

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        lr = float(group["lr"]) / (1 + (state["step"] - 1) * group["lr_decay"])
        return adagrad_kernel(group["maximize"]), (lr, group["eps"], float(group["weight_decay"]))


class RMSprop(Adaptive):
    """p = p - lr * g / (sqrt(v) + eps), v the running mean of g ** 2; less the square of g's if ``centered``. Hinton 2012.

    With ``momentum`` p = p - lr * buf, buf = momentum * buf + g / (sqrt(v) + eps).

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        self._check(differentiable, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        options = {"capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable}
        numbers = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**numbers, "centered": centered, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("square_avg", *["grad_avg"] * group["centered"], *["momentum_buffer"] * (group["momentum"] > 0))

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        names = ("lr", "alpha", "eps", "weight_decay", "momentum")
        program = rmsprop_kernel(group["momentum"] > 0, bool(group["centered"]), group["maximize"])
        return program, tuple(float(group[name]) for name in names)


class Adadelta(Adaptive):
    """p = p - lr * d, d = sqrt(u + eps) / sqrt(v + eps) * g; v and u are running means of g ** 2 and d ** 2. Zeiler 2012.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.Adadelta([w], lr=1.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w < 1
    tensor([True])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        self._check(differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        number(self, "rho value", rho, high=1.0 + 1e-15)
        options = {"capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable}
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        return adadelta_kernel(group["maximize"]), tuple(float(group[name]) for name in ("lr", "rho", "eps", "weight_decay"))


class Adamax(Adaptive):
    """Adam with the largest |g|, forgotten at the rate beta2, in place of the root of the mean square; Kingma and Ba 2014.

    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = gf.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        self._check(differentiable, lr=lr, eps=eps, weight_decay=weight_decay)
        if not isinstance(betas, tuple | list) or len(betas) < 2:
            raise DTypeError(f"Adamax: betas must be two numbers, not {betas!r}")
        for k in (0, 1):
            number(self, f"beta parameter at index {k}", betas[k], high=1.0)
        options = {"foreach": foreach, "maximize": maximize, "differentiable": differentiable, "capturable": capturable}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **options})

    def _names(self, group: dict[str, Any]) -> tuple[str, ...]:
        return "exp_avg", "exp_inf"

    def _program(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, tuple[float, ...]]:
        beta1, beta2 = (float(b) for b in group["betas"])
        numbers = (float(group["lr"]) / (1 - beta1 ** state["step"]), beta1, beta2, float(group["eps"]), float(group["weight_decay"]))
        return adamax_kernel(group["maximize"]), numbers
