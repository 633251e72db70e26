"""Fillers of parameters: each fills a tensor in place, unrecorded, and returns it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

import gradflow as gf

from ..autograd import no_grad
from ..errors import ArgumentError
from ..tensor import Tensor

LINEAR_GAINS = {"linear", "sigmoid", *(f"conv{k}d" for k in (1, 2, 3)), *(f"conv_transpose{k}d" for k in (1, 2, 3))}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of values through a nonlinearity; param is leaky_relu's slope (0.01).

    >>> gf.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in LINEAR_GAINS:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 0.75
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ArgumentError(f"calculate_gain: negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ArgumentError(f"calculate_gain: Unsupported nonlinearity {nonlinearity}")


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the uniform distribution on [a, b).

    >>> w = gf.nn.init.uniform_(gf.empty(5), -1.0, 1.0)
    >>> bool((w.abs() <= 1).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from the normal distribution of this mean and standard deviation.

    >>> gf.nn.init.normal_(gf.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None) -> Tensor:
    """Fill from the normal distribution cut to [a, b], by the inverse of its distribution function in float64.

    >>> w = gf.nn.init.trunc_normal_(gf.empty(5), a=-1.0, b=1.0)
    >>> bool((w.abs() <= 1).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = (math.erf((bound - mean) / (std * math.sqrt(2.0))) for bound in (a, b))
    values = gf.empty(tensor.shape, dtype=gf.float64, device=tensor.device).uniform_(low, high, generator=generator)
    return tensor.copy_((values.erfinv() * (std * math.sqrt(2.0)) + mean).clamp(a, b))


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    >>> gf.nn.init.constant_(gf.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    >>> gf.nn.init.ones_(gf.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    >>> gf.nn.init.zeros_(gf.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity, as much of it as fits.

    >>> gf.nn.init.eye_(gf.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ArgumentError(f"eye_: Only tensors with 2 dimensions are supported; got {tensor.ndim}")
    return tensor.copy_(gf.eye(*tensor.shape))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution so that it gives its input back, as many channels of it as there are, for each group.

    >>> gf.nn.init.dirac_(gf.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ArgumentError("dirac_: Only tensors with 3, 4, or 5 dimensions are supported")
    outputs, inputs, *kernel = tensor.shape
    if outputs % groups:
        raise ArgumentError(f"dirac_: dim 0 must be divisible by groups; it is {outputs}, groups {groups}")
    each = outputs // groups
    tensor.zero_()
    centre = tuple(n // 2 for n in kernel)
    for group in range(groups):
        for channel in range(min(each, inputs)):
            tensor[(group * each + channel, channel, *centre)] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input."""
    if tensor.ndim < 2:
        raise ArgumentError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    >>> w = gf.nn.init.xavier_uniform_(gf.empty(2, 4))
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    >>> gf.nn.init.xavier_normal_(gf.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Tensor:
    """Fill from U(-b, b) with b = gain * sqrt(3 / fan) (He et al., 2015); a is the slope that the gain is for.

    >>> w = gf.nn.init.kaiming_uniform_(gf.empty(4, 6), nonlinearity="relu")
    >>> bool((w.abs() <= 1).all())
    True
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Tensor:
    """Fill from N(0, std^2) with std = gain / sqrt(fan) (He et al., 2015); a is the slope that the gain is for.

    >>> gf.nn.init.kaiming_normal_(gf.empty(2, 3)).shape
    torch.Size([2, 3])
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill with orthonormal rows or columns, whichever are fewer, times gain (Saxe et al., 2013).

    A tensor of more axes is taken as the matrix (shape[0], the rest).

    >>> w = gf.nn.init.orthogonal_(gf.empty(2, 4))
    >>> gf.allclose(w @ w.T, gf.eye(2), atol=1e-5)
    True
    """
    if tensor.ndim < 2:
        raise ArgumentError("orthogonal_: Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    normal = gf.empty(rows, columns, dtype=gf.float64, device="cpu").normal_(0, 1, generator=generator).numpy()
    q, r = np.linalg.qr(normal.T if rows < columns else normal)
    q = q * np.sign(np.diag(r))  # makes the distribution uniform: Mezzadri, arXiv math-ph/0609050
    q = gain * (q.T if rows < columns else q)
    return tensor.copy_(gf.from_numpy(q).reshape(tensor.shape))


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix from N(0, std^2), then set this fraction of each column to zero.

    >>> w = gf.nn.init.sparse_(gf.empty(4, 3), 0.5)
    >>> (w == 0).sum(dim=0)
    tensor([2, 2, 2])
    """
    if tensor.ndim != 2:
        raise ArgumentError(f"sparse_: Only tensors with 2 dimensions are supported; got {tensor.ndim}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    tensor.normal_(0, std, generator=generator)
    for column in range(columns):
        tensor[gf.randperm(rows, generator=generator)[:zeros], column] = 0
    return tensor
