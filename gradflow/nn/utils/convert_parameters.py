"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import gradflow as gf

from ...errors import ShapeError
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other; differentiable.

    >>> gf.nn.utils.parameters_to_vector([gf.ones(2, 1), gf.zeros(1)])
    tensor([1., 1., 0.])
    """
    return gf.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Make each parameter its part of the vector, whose memory it then shares.

    >>> w = gf.nn.Parameter(gf.zeros(2))
    >>> gf.nn.utils.vector_to_parameters(gf.tensor([1.0, 2.0]), [w])
    >>> w.detach()
    tensor([1., 2.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    parameters = list(parameters)
    needed = sum(parameter.numel() for parameter in parameters)
    if needed > vec.numel():
        raise ShapeError(f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {needed}")
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = vec[start:end].reshape(parameter.shape).data
        start = end
