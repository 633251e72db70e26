"""The gradients of convolutions, as functions: what goes back to the input, and to the weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradflow as gf

from ..tensor import Tensor
from . import functional as F

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _back(conv: Callable, shape: Sequence[int], other: Tensor, grad_output: Tensor, to_weight: bool, settings: tuple[Any, ...]) -> Tensor:
    """A convolution is linear in each of its two: its gradient asks for the other, and of this one only for the shape."""
    with gf.enable_grad():
        wanted = grad_output.new_zeros(tuple(shape)).requires_grad_(True)
        result = conv(*((other, wanted) if to_weight else (wanted, other)), None, *settings)
    (back,) = gf.autograd.grad(result, wanted, grad_output, create_graph=gf.is_grad_enabled())
    return back


def conv1d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv1d` in its input, which has the shape ``input_size``.

    >>> gf.nn.grad.conv1d_input((1, 1, 3), gf.ones(1, 1, 2), gf.ones(1, 1, 2))
    tensor([[[1., 2., 1.]]])
    """
    return _back(F.conv1d, input_size, weight, grad_output, False, (stride, padding, dilation, groups))


def conv1d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv1d` in its weight, which has the shape ``weight_size``.

    >>> gf.nn.grad.conv1d_weight(gf.tensor([[[1.0, 2.0, 3.0]]]), (1, 1, 2), gf.ones(1, 1, 2))
    tensor([[[3., 5.]]])
    """
    return _back(F.conv1d, weight_size, input, grad_output, True, (stride, padding, dilation, groups))


def conv2d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv2d` in its input, which has the shape ``input_size``.

    >>> gf.nn.grad.conv2d_input((1, 1, 1, 3), gf.ones(1, 1, 1, 2), gf.ones(1, 1, 1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    return _back(F.conv2d, input_size, weight, grad_output, False, (stride, padding, dilation, groups))


def conv2d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv2d` in its weight, which has the shape ``weight_size``.

    >>> gf.nn.grad.conv2d_weight(gf.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 1, 1, 2), gf.ones(1, 1, 1, 2))
    tensor([[[[3., 5.]]]])
    """
    return _back(F.conv2d, weight_size, input, grad_output, True, (stride, padding, dilation, groups))


def conv3d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv3d` in its input, which has the shape ``input_size``.

    >>> gf.nn.grad.conv3d_input((1, 1, 1, 1, 3), gf.ones(1, 1, 1, 1, 2), gf.ones(1, 1, 1, 1, 2)).flatten()
    tensor([1., 2., 1.])
    """
    return _back(F.conv3d, input_size, weight, grad_output, False, (stride, padding, dilation, groups))


def conv3d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The gradient of :func:`conv3d` in its weight, which has the shape ``weight_size``.

    >>> gf.nn.grad.conv3d_weight(gf.ones(1, 1, 1, 1, 3), (1, 1, 1, 1, 2), gf.ones(1, 1, 1, 1, 2)).flatten()
    tensor([2., 2.])
    """
    return _back(F.conv3d, weight_size, input, grad_output, True, (stride, padding, dilation, groups))
