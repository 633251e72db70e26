"""Functions of neural networks under PyTorch's names: gathered from `ops`, and a few composed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes

import gradflow as gf

from ..errors import AxisError, DTypeError, ShapeError, labelled
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
from ..ops.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from ..ops.arguments import checked
from ..ops.arranging import channel_shuffle, pixel_shuffle, pixel_unshuffle
from ..ops.axes import axis_of
from ..ops.bags import embedding_bag
from ..ops.convert import element
from ..ops.convolutions import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.ctc import ctc_loss
from ..ops.distances import pdist
from ..ops.distributions import (
    alpha_dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
    gumbel_softmax,
    rrelu,
)
from ..ops.embedding import embedding, one_hot
from ..ops.grids import affine_grid, grid_sample
from ..ops.interpolation import fold, interpolate, unfold
from ..ops.joining import chunk
from ..ops.norms import batch_norm, group_norm, instance_norm, local_response_norm
from ..ops.pointwise import div, sigmoid, sub, tanh
from ..ops.pooling import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from ..ops.products import linear
from ..ops.random import dropout
from ..ops.rearranging import pad
from ..ops.reductions import float_only
from ..ops.rowwise import layer_norm, log_softmax, softmax, softmin, tensors_only
from ..tensor import Tensor
from .attention import multi_head_attention_forward, scaled_dot_product_attention
from .fractional import fractional_max_pool2d, fractional_max_pool3d
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
from .margin_losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)

# fmt: off
__all__ = [
    # layers
    "batch_norm", "bilinear", "dropout", "group_norm", "instance_norm", "local_response_norm", "embedding", "layer_norm", "linear", "normalize", "one_hot", "pad", "rms_norm",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    # resizing
    "affine_grid", "grid_sample", "fold", "interpolate", "unfold", "upsample", "upsample_bilinear", "upsample_nearest",
    # attention
    "multi_head_attention_forward", "scaled_dot_product_attention",
    # pooling
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
    "fractional_max_pool2d", "fractional_max_pool3d",
    # activations
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus",
    "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
    # dropouts and shuffles
    "alpha_dropout", "channel_shuffle", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "gumbel_softmax", "pdist",
    "pixel_shuffle", "pixel_unshuffle", "rrelu",
    # distances and losses
    "cosine_embedding_loss", "ctc_loss", "embedding_bag", "gaussian_nll_loss", "hinge_embedding_loss", "margin_ranking_loss",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "poisson_nll_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_similarity", "cross_entropy", "huber_loss",
    "kl_div", "l1_loss", "mse_loss", "nll_loss", "pairwise_distance", "smooth_l1_loss",
]
# fmt: on


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a * sigmoid(b), a and b the halves of input along dim.

    >>> gf.nn.functional.glu(gf.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    tensors_only("glu", input=input)
    if input.ndim == 0:
        raise ShapeError("glu: does not support 0-dimensional tensors")
    float_only("glu", input)
    axis = axis_of("glu", dim, input.ndim)
    if input.shape[axis] % 2:
        raise ShapeError(f"glu: Halving dimension must be even, but dimension {dim} is size {input.shape[axis]}")
    a, b = chunk(input, 2, axis)
    return a * sigmoid(b)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[..., k] = input1 @ weight[k] @ input2 + bias[k], weight of shape (out, in1, in2).

    >>> gf.nn.functional.bilinear(gf.tensor([[1.0, 2.0]]), gf.tensor([[3.0, 4.0]]), gf.ones(1, 2, 2))
    tensor([[21.]])
    """
    for name, x in (("input1", input1), ("input2", input2), ("weight", weight), ("bias", bias)):
        if not isinstance(x, Tensor) and (x is not None or name != "bias"):
            raise DTypeError(f"bilinear: argument '{name}' must be Tensor, not {type(x).__name__}")
    of = [x.dtype for x in (input1, input2, weight, bias) if x is not None]
    if any(dtype is not of[0] for dtype in of):
        raise DTypeError(f"bilinear: All tensors must have the same dtype, got {', '.join(map(str, of))}; convert them")
    if weight.ndim != 3:
        raise AxisError(f"bilinear: the weight must have the shape (out, in1, in2); it has {tuple(weight.shape)}")
    out, in1, in2 = weight.shape
    ends = tuple(x.shape[-1] if x.ndim else None for x in (input1, input2))
    if ends != (in1, in2) or input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(
            f"bilinear: sizes do not fit; inputs are {tuple(input1.shape)} and {tuple(input2.shape)}, "
            f"weight is {tuple(weight.shape)}; need (..., {in1}) and (..., {in2})"
        )
    if bias is not None and bias.shape != (out,):
        raise ShapeError(f"bilinear: bias size does not match weight size: got {tuple(bias.shape)} but expected ({out},)")
    halfway = input1 @ weight.permute(1, 0, 2).reshape(in1, out * in2)
    halfway = halfway.reshape(*input1.shape[:-1], out, in2)
    y = (halfway @ input2.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else y + bias


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """input / max(norm of order p along dim, eps).

    >>> gf.nn.functional.normalize(gf.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    float_only("normalize", input)
    eps = element("normalize", eps, gf.float64)
    return div(input, input.norm(element("normalize", p, gf.float64), dim, keepdim=True).clamp(min=eps), out=out)


def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Tensor:
    """:func:`interpolate` under its former name.

    >>> gf.nn.functional.upsample(gf.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """:func:`interpolate` with mode "nearest".

    >>> gf.nn.functional.upsample_nearest(gf.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """:func:`interpolate` with mode "bilinear" and aligned corners.

    >>> gf.nn.functional.upsample_bilinear(gf.tensor([[[[1.0, 2.0]]]]), scale_factor=2)
    tensor([[[[1.0000, 1.3333, 1.6667, 2.0000],
              [1.0000, 1.3333, 1.6667, 2.0000]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along dim; x1 and x2 broadcast.

    >>> gf.nn.functional.cosine_similarity(gf.tensor([[1.0, 0.0]]), gf.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x1, x2 = labelled("cosine_similarity", gf.broadcast_tensors, x1, x2)
    dtype = gf.promote_types(x1.dtype, x2.dtype)
    if not dtype.is_floating_point:
        raise DTypeError(f"cosine_similarity: expected common dtype to be floating point, yet common dtype is {dtype}")
    eps, axis = element("cosine_similarity", eps, gf.float64), axis_of("cosine_similarity", dim, x1.ndim)
    x1, x2 = x1.to(dtype), x2.to(dtype)
    norms = x1.norm(2.0, axis).clamp(min=eps) * x2.norm(2.0, axis).clamp(min=eps)
    return (x1 * x2).sum(axis) / norms


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The norm of order p of x1 - x2 + eps along the last axis.

    >>> gf.nn.functional.pairwise_distance(gf.tensor([[0.0, 0.0]]), gf.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    for name, x in (("x1", x1), ("x2", x2)):
        if not isinstance(x, Tensor):
            raise DTypeError(f"pairwise_distance: argument '{name}' must be Tensor, not {type(x).__name__}")
    p, eps = (element("pairwise_distance", number, gf.float64) for number in (p, eps))
    return (labelled("pairwise_distance", sub, x1, x2) + eps).norm(p, -1, keepdim=keepdim)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last axes, whose sizes are normalized_shape.

    >>> gf.nn.functional.rms_norm(gf.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    tensors_only("rms_norm", input=input, weight=weight)
    float_only("rms_norm", input)
    if not isinstance(normalized_shape, tuple | list):
        raise DTypeError(f"rms_norm: argument 'normalized_shape' must be tuple of ints, not {type(normalized_shape).__name__}")
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"rms_norm: Given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size {list(input.shape)}"
        )
    if weight is not None and weight.shape != shape:
        raise ShapeError(f"rms_norm: Expected weight to be of same shape as normalized_shape: {tuple(weight.shape)} and {shape}")
    eps = float(ml_dtypes.finfo(input.dtype.numpy).eps) if eps is None else element("rms_norm", eps, gf.float64)
    x = input.float() if input.itemsize == 2 else input
    y = x * (x * x).mean(tuple(range(-len(shape), 0)), keepdim=True).add(eps).rsqrt()
    return (y if weight is None else y * weight).to(input.dtype)


# These say themselves what is wrong, or have nothing but tensors; the rest does enough work to be asked for its options first.
QUICK = """
    cross_entropy dropout embedding gelu hardsigmoid hardswish layer_norm linear log_softmax mish mse_loss nll_loss relu
    sigmoid silu softmax tanh""".split()
for _name in set(__all__) - set(QUICK):
    globals()[_name] = checked(_name, globals()[_name])
