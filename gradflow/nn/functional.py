"""Functions of neural networks under PyTorch's names: gathered from `ops`, and a few composed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes

from ..errors import ShapeError
from ..ops.activations import (
    celu,
    elu,
    gelu,
    hardshrink,
    hardtanh,
    leaky_relu,
    logsigmoid,
    prelu,
    relu6,
    selu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)
from ..ops.activations import hardsigmoid_ as hardsigmoid
from ..ops.activations import hardswish_ as hardswish
from ..ops.activations import mish_ as mish
from ..ops.activations import relu_ as relu
from ..ops.activations import silu_ as silu
from ..ops.embedding import embedding, one_hot
from ..ops.joining import chunk
from ..ops.pointwise import sigmoid, tanh
from ..ops.products import linear
from ..ops.random import dropout
from ..ops.rearranging import pad
from ..ops.rowwise import layer_norm, log_softmax, softmax, softmin
from ..tensor import Tensor
from .loss_functions import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)

# fmt: off
__all__ = [
    # layers
    "bilinear", "dropout", "embedding", "layer_norm", "linear", "normalize", "one_hot", "pad", "rms_norm",
    # activations
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus",
    "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    # distances and losses
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_similarity", "cross_entropy", "huber_loss",
    "kl_div", "l1_loss", "mse_loss", "nll_loss", "pairwise_distance", "smooth_l1_loss",
]
# fmt: on


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of input along dim."""
    if input.ndim == 0:
        raise ShapeError("glu does not support 0-dimensional tensors")
    size = input.shape[dim]
    if size % 2:
        raise ShapeError(f"glu: Halving dimension must be even, but dimension {dim} is size {size}")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[..., k] = input1 @ weight[k] @ input2 + bias[k], weight of shape (out, in1, in2)."""
    out, in1, in2 = weight.shape
    if input1.shape[-1] != in1 or input2.shape[-1] != in2 or input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(
            f"bilinear: sizes do not fit; inputs are {tuple(input1.shape)} and {tuple(input2.shape)}, "
            f"weight is {tuple(weight.shape)}; need (..., {in1}) and (..., {in2})"
        )
    halfway = input1 @ weight.permute(1, 0, 2).reshape(in1, out * in2)
    halfway = halfway.reshape(*input1.shape[:-1], out, in2)
    y = (halfway @ input2.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else y + bias


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """input / max(norm of order p along dim, eps).

    >>> gf.nn.functional.normalize(gf.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along dim."""
    norms = x1.norm(2.0, dim).clamp(min=eps) * x2.norm(2.0, dim).clamp(min=eps)
    return (x1 * x2).sum(dim) / norms


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The norm of order p of x1 - x2 + eps along the last axis."""
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last axes, whose sizes are normalized_shape."""
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"rms_norm: Given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    eps = float(ml_dtypes.finfo(input.dtype.numpy).eps) if eps is None else eps
    y = input * (input * input).mean(tuple(range(-len(shape), 0)), keepdim=True).add(eps).rsqrt()
    return y if weight is None else y * weight
