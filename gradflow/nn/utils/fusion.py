"""A convolution or a linear layer and the batch norm after it as one layer; a layer made without filling its parameters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gradflow as gf

from ...errors import ArgumentError
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Any, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the convolution that does what this one and the norm do in evaluation."""
    conv_b = gf.zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = gf.ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = gf.zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * gf.rsqrt(bn_rv + bn_eps)
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    weight, bias = conv_w * scale.reshape(shape), (conv_b - bn_rm) * scale + bn_b
    wanted = conv_w.requires_grad
    return Parameter(weight.detach().to(conv_w.dtype), wanted), Parameter(bias.detach().to(conv_b.dtype), conv_b.requires_grad)


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Any, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """(weight, bias) of the linear layer that does what this one and the norm do in evaluation."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """One convolution that does what this one and the norm after it do; both must be in evaluation.

    >>> conv, norm = gf.nn.Conv2d(1, 2, 3).eval(), gf.nn.BatchNorm2d(2).eval()
    >>> x = gf.randn(1, 1, 4, 4)
    >>> gf.allclose(gf.nn.utils.fuse_conv_bn_eval(conv, norm)(x), norm(conv(x)), atol=1e-6)
    True
    """
    if conv.training or bn.training:
        raise ArgumentError("fuse_conv_bn_eval: Fusion only for eval!")
    fused = deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """One linear layer that does what this one and the norm after it do; both must be in evaluation."""
    return fuse_conv_bn_eval(linear, bn)


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module of this class; its parameters are filled, and may be filled anew."""
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    return module_cls(*args, **kwargs)
