"""Layers that normalise over the batch, over each sample's channels, or over groups of them."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Normalization(Module):
    """What these layers have: weight, which starts at ones, bias at zeros, and running statistics."""

    _version = 2
    dims: tuple[int, ...] = (4,)
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(gf.empty(num_features, device=device, dtype=dtype)) if wanted else None)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, gf.zeros(num_features, device=device, dtype=dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", gf.tensor(0, dtype=gf.int64, device=device) if track_running_stats else None)
        self.reset_parameters()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *checks: Any) -> None:
        key = f"{prefix}num_batches_tracked"
        if (local_metadata.get("version") or 1) < 2 and self.num_batches_tracked is not None:
            state_dict.setdefault(key, self.num_batches_tracked)  # files of before the count, and plain dicts, need not have it
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *checks)

    def reset_running_stats(self) -> None:
        """Set the running mean to zeros and the running variance to ones."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weight to ones, bias to zeros, and the running statistics to their start."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.dims:
            raise ArgumentError(
                f"{type(self).__name__}: expected {' or '.join(f'{n}D' for n in self.dims)} input (got {input.ndim}D input)"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm(Normalization):
    """Norms over the batch, of any number of axes."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        own = self.training or self.running_mean is None
        tracked = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if tracked else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, own, momentum, self.eps)


class BatchNorm2d(BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of (N, C, H, W).

    While training, mean and var are the batch's, and the running ones move towards them by ``momentum`` (``None``: they are the
    means over all batches so far). In evaluation they are the running ones, or the batch's without ``track_running_stats``.

    >>> import gradflow as gf
    >>> gf.nn.BatchNorm2d(3)(gf.rand(8, 3, 5, 5)).shape
    torch.Size([8, 3, 5, 5])
    """


class BatchNorm1d(BatchNorm):
    """:class:`BatchNorm2d` for (N, C) or (N, C, L).

    >>> gf.nn.BatchNorm1d(1)(gf.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    dims = (2, 3)


class BatchNorm3d(BatchNorm):
    """:class:`BatchNorm2d` for (N, C, D, H, W).

    >>> gf.nn.BatchNorm3d(2)(gf.ones(3, 2, 4, 4, 4)).shape
    torch.Size([3, 2, 4, 4, 4])
    """

    dims = (5,)


class SyncBatchNorm(BatchNorm):
    """:class:`BatchNorm2d` for any number of axes: there is one process, so nothing to synchronise.

    >>> gf.nn.SyncBatchNorm(2).eval()(gf.ones(3, 2, 4)).shape
    torch.Size([3, 2, 4])
    """

    dims = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class InstanceNorm(Normalization):
    """Norms over each channel of each sample, of any number of axes."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        single = input.ndim == self.dims[0]
        x = input.unsqueeze(0) if single else input
        if self.affine and x.shape[1] != self.num_features:
            raise ArgumentError(
                f"{type(self).__name__}: expected input's size at dim=1 to match num_features ({self.num_features}), but got: {x.shape[1]}"
            )
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        y = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)
        return y.squeeze(0) if single else y


class InstanceNorm2d(InstanceNorm):
    """(x - mean) / sqrt(var + eps), mean and var of each sample's channel; (N, C, H, W) or (C, H, W).

    Without weight, bias and running statistics unless ``affine`` and ``track_running_stats``.

    >>> gf.nn.InstanceNorm2d(2)(gf.ones(3, 2, 4, 4)).shape
    torch.Size([3, 2, 4, 4])
    """

    dims = (3, 4)


class InstanceNorm1d(InstanceNorm):
    """:class:`InstanceNorm2d` for (N, C, L) or (C, L).

    >>> gf.nn.InstanceNorm1d(1)(gf.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dims = (2, 3)


class InstanceNorm3d(InstanceNorm):
    """:class:`InstanceNorm2d` for (N, C, D, H, W) or (C, D, H, W).

    >>> gf.nn.InstanceNorm3d(2)(gf.ones(3, 2, 4, 4, 4)).shape
    torch.Size([3, 2, 4, 4, 4])
    """

    dims = (4, 5)


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and var of each sample's groups of channels; (N, C, ...).

    >>> gf.nn.GroupNorm(2, 4)(gf.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ArgumentError(f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(gf.empty(num_channels, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to ones and bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """x / (k + alpha mean(x ** 2)) ** beta, the mean over ``size`` neighbouring channels.

    >>> gf.nn.LocalResponseNorm(2)(gf.ones(1, 3, 2)).shape
    torch.Size([1, 3, 2])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """x / (k + alpha mean(x ** 2)) ** beta, the mean over ``size`` neighbouring channels: `LocalResponseNorm` of images.

    An even size looks at one channel less, but still divides by ``size``.

    >>> gf.nn.CrossMapLRN2d(1, alpha=3.0, beta=0.5)(gf.ones(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4:
            raise ArgumentError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        side = (self.size - 1) // 2
        squares = F.pad(input.square(), (0, 0, 0, 0, side, side)).unfold(1, 2 * side + 1, 1).sum(-1)
        return input * (self.k + self.alpha / self.size * squares) ** -self.beta

    extra_repr = LocalResponseNorm.extra_repr
