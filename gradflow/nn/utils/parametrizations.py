"""Parametrizations that are there: weights by direction and length, divided by their largest singular value, orthogonal."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ...autograd import no_grad
from ...errors import ArgumentError
from ...tensor import Tensor
from ..module import Module
from .norms import as_matrix, axis_of, by_length, largest, norm_except, power_method, unit
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return by_length(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.eps, self.n_power_iterations = axis_of(weight, dim), eps, n_power_iterations
        if n_power_iterations <= 0:
            raise ArgumentError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, unit(gf.empty(size, dtype=matrix.dtype, device=matrix.device).normal_(), eps))
            power_method(matrix, self._u, self._v, 15, eps, left_first=True)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_method(matrix, self._u, self._v, self.n_power_iterations, self.eps, left_first=True)
        return weight / largest(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


class _Orthogonal(Module):
    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        if orthogonal_map == "householder" and use_trivialization:
            use_trivialization = False
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            q = gf.linalg.householder_product(a, 2.0 / (1.0 + (a * a).sum(-2)))
            q = q * x.diagonal(dim1=-2, dim2=-1).detach().int().unsqueeze(-2)
        else:
            x = x.tril()
            if n != k:
                x = gf.cat([x, gf.zeros((*x.shape[:-1], n - k), dtype=x.dtype, device=x.device)], -1)
            a = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = gf.matrix_exp(a)
            else:
                eye = gf.eye(n, dtype=a.dtype, device=a.device)
                q = gf.linalg.solve(eye - 0.5 * a, eye + 0.5 * a)
            q = q[..., :k]
        if "base" in self._buffers:
            q = self.base @ q
        return q.mT if wide else q

    @no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ArgumentError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}.")
        wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if wide else q
        n, k = tall.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False."
                )
            a, tau = gf.geqrf(tall)
            a.diagonal(dim1=-2, dim2=-1).sign_()
            a.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
            return a.mT if wide else a
        if n == k:
            whole = _nearest(tall)
        else:  # columns that complete it
            whole = _nearest(gf.cat([tall, gf.randn((*tall.shape[:-1], n - k), dtype=tall.dtype)], -1))
        self.base = whole
        start = gf.zeros_like(tall)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
        return start.mT if wide else start


def _nearest(x: Tensor) -> Tensor:
    """An orthogonal matrix with the columns of x, if they are orthonormal."""
    q, r = gf.linalg.qr(x)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as its direction, `original1`, and its length along an axis, `original0` (Salimans and Kingma, 2016).

    With dim None one length for all. State dicts of `nn.utils.weight_norm` can be loaded.

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 3))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([3, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def older(module: Module, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        old = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module.register_load_state_dict_pre_hook(older)
    return module


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value, found by the power method, one step a call in training (Miyato et al., 2018).

    >>> layer = gf.nn.utils.parametrizations.spectral_norm(gf.nn.Linear(4, 4))
    >>> bool((gf.linalg.matrix_norm(layer.weight, 2) - 1).abs() < 0.1)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ArgumentError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = int(isinstance(module, gf.nn.ConvTranspose1d | gf.nn.ConvTranspose2d | gf.nn.ConvTranspose3d))
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True) -> Module:
    """Keep a weight orthogonal, or its columns or rows orthonormal, whichever are fewer.

    orthogonal_map is "matrix_exp" (of squares), "cayley" or "householder" (of others); with use_trivialization the first two
    start from the weight as it is, made orthogonal (Lezcano-Casado, 2019).

    >>> layer = gf.nn.utils.parametrizations.orthogonal(gf.nn.Linear(3, 3))
    >>> gf.allclose(layer.weight @ layer.weight.T, gf.eye(3), atol=1e-5)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ArgumentError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ArgumentError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ArgumentError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
