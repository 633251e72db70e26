"""Weight and spectral normalisation computed by a hook before each call: PyTorch's older way, whose state dicts are about."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ...errors import ArgumentError
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from .norms import as_matrix, axis_of, by_length, largest, norm_except, power_method, unit


class WeightNorm:
    """The hook of `weight_norm`."""

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim

    def compute_weight(self, module: Module) -> Tensor:
        return by_length(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))

    def remove(self, module: Module) -> None:
        weight = self.compute_weight(module)
        for part in ("", "_g", "_v"):
            delattr(module, self.name + part)
        setattr(module, self.name, Parameter(weight))


class SpectralNorm:
    """The hook of `spectral_norm`."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ArgumentError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def compute_weight(self, module: Module, turn: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + part) for part in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        if turn:
            power_method(matrix, u, v, self.n_power_iterations, self.eps, left_first=False)
        return weight / largest(matrix, u, v)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def remove(self, module: Module) -> None:
        with gf.no_grad():
            weight = self.compute_weight(module, False)
        for part in ("", "_orig", "_u", "_v"):
            delattr(module, self.name + part)
        module.register_parameter(self.name, Parameter(weight.detach()))


def _find(module: Module, kind: type, name: str) -> tuple[int, Any] | None:
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            return key, hook
    return None


def _weight(module: Module, kind: type, name: str, op: str) -> Tensor:
    """The parameter, which is normalised once."""
    if _find(module, kind, name) is not None:
        raise ArgumentError(f"Cannot register two {op} hooks on the same parameter {name}")
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(f"{op}: the module has no parameter {name!r}")
    return weight


def _remove(module: Module, kind: type, name: str, op: str) -> Module:
    found = _find(module, kind, name)
    if found is None:
        raise ArgumentError(f"{op} of '{name}' not found in {module}")
    found[1].remove(module)
    del module._forward_pre_hooks[found[0]]
    return module


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as its direction, `weight_v`, and its length along an axis, `weight_g`; the weight is computed before each call.

    `nn.utils.parametrizations.weight_norm` is the newer way (Salimans and Kingma, 2016).

    >>> layer = gf.nn.utils.weight_norm(gf.nn.Linear(2, 3))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    weight = _weight(module, WeightNorm, name, "weight_norm")
    hook = WeightNorm(name, -1 if dim is None else dim)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again."""
    return _remove(module, WeightNorm, name, "weight_norm")


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value, computed by the power method before each call; `weight_orig` is learnt.

    `nn.utils.parametrizations.spectral_norm` is the newer way (Miyato et al., 2018).

    >>> layer = gf.nn.utils.spectral_norm(gf.nn.Linear(2, 3))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if dim is None:
        dim = int(isinstance(module, gf.nn.ConvTranspose1d | gf.nn.ConvTranspose2d | gf.nn.ConvTranspose3d))
    weight = _weight(module, SpectralNorm, name, "spectral_norm")
    hook = SpectralNorm(name, n_power_iterations, axis_of(weight, dim), eps)
    matrix = as_matrix(weight.detach(), hook.dim)
    u, v = (unit(gf.empty(size, dtype=weight.dtype, device=weight.device).normal_(), eps) for size in matrix.shape)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)  # type: ignore[arg-type]
    setattr(module, name, weight.data)
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again."""
    return _remove(module, SpectralNorm, name, "spectral_norm")
