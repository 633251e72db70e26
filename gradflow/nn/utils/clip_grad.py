"""Gradients kept within bounds, in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradflow as gf

from ...autograd import no_grad
from ...errors import GradError
from ...tensor import Tensor


@no_grad()
def get_total_norm(tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of all tensors taken as one vector, as a 0-d tensor.

    >>> gf.nn.utils.get_total_norm([gf.tensor([3.0]), gf.tensor([4.0])])
    tensor(5.)
    """
    tensors = _listed(tensors)
    if not tensors:
        return gf.tensor(0.0)
    total = gf.stack([tensor.norm(float(norm_type)) for tensor in tensors]).norm(float(norm_type))
    if error_if_nonfinite and not total.isfinite():
        raise GradError(
            f"clip_grad_norm_: The total norm of order {norm_type} for gradients is non-finite, so it cannot be clipped; "
            "set error_if_nonfinite=False to scale the gradients by it all the same"
        )
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Scale all gradients by one factor, so that a norm that was total_norm is at most max_norm.

    >>> w = gf.zeros(1, requires_grad=True)
    >>> w.grad = gf.tensor([3.0])
    >>> gf.nn.utils.clip_grads_with_norm_([w], 1.5, gf.tensor(3.0))
    >>> w.grad
    tensor([1.5000])
    """
    if total_norm.is_cuda:  # which is not waited for
        scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    else:
        factor = float(max_norm) / (float(total_norm) + 1e-6)
        if factor >= 1.0:  # nan scales too
            return
    for parameter in _listed(parameters):
        if parameter.grad is not None:
            parameter.grad.mul_(scale.to(parameter.grad.device) if total_norm.is_cuda else factor)


@no_grad()
def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor so that their norm, taken as one vector, is at most max_norm; returns the norm before.

    >>> import gradflow as gf
    >>> w = gf.zeros(2, requires_grad=True)
    >>> w.grad = gf.tensor([3.0, 4.0])
    >>> gf.nn.utils.clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    parameters = _listed(parameters)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Cut every element of every gradient to [-clip_value, clip_value].

    >>> w = gf.zeros(2, requires_grad=True)
    >>> w.grad = gf.tensor([3.0, -0.5])
    >>> gf.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    bound = float(clip_value)
    for parameter in _listed(parameters):
        if parameter.grad is not None:
            parameter.grad.clamp_(-bound, bound)


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)
