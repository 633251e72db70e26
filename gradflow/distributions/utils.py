"""What distributions share: numbers to tensors, probabilities to logits and back, values computed when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Size, Tensor


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape; numbers take the type of the first tensor.

    >>> [t.shape for t in broadcast_all(1.0, gf.zeros(3))]
    [torch.Size([3]), torch.Size([3])]
    """
    if not all(isinstance(v, Tensor | Number) for v in values):
        raise ArgumentError(f"distributions: parameters must be numbers or tensors; got {[type(v).__name__ for v in values]}")
    first = next((v for v in values if isinstance(v, Tensor)), None)
    options = {"dtype": gf.get_default_dtype()} if first is None else {"dtype": first.dtype, "device": first.device}
    return tuple(gf.broadcast_tensors(*(v if isinstance(v, Tensor) else gf.tensor(v, **options) for v in values)))


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept away from 0 and 1 by the type's epsilon."""
    eps = gf.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log p, or log(p / (1 - p)) for two outcomes."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """The softmax, or the sigmoid for two outcomes."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the last ``dim`` axes."""
    return value if dim == 0 else value.reshape((*value.shape[:-dim], -1)).sum(-1)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements on and below a diagonal, row by row.

    >>> tril_matrix_to_vec(gf.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 3., 4.])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ArgumentError(f"tril_matrix_to_vec: diag ({diag}) provided is outside [{-n}, {n - 1}]")
    rows, columns = gf.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """A square matrix with these elements on and below a diagonal, row by row, and 0 above: the inverse of ``tril_matrix_to_vec``.

    >>> vec_to_tril_matrix(gf.tensor([1.0, 3.0, 4.0]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    b = 1 + 2 * diag
    n = round((((b * b + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5) - b) / 2)
    rows, columns = gf.tril_indices(n, n, diag, device=vec.device)
    if rows.numel() != vec.shape[-1]:
        raise ArgumentError(
            f"vec_to_tril_matrix: The size of last dimension is {vec.shape[-1]} which cannot be expressed as the lower triangular part of a square D x D matrix"
        )
    flat = vec.new_zeros((*vec.shape[:-1], n * n)).index_copy(-1, rows * n + columns, vec)
    return flat.unflatten(-1, (n, n))


def draws(like: Tensor, shape: Any, kind: Callable = gf.randn) -> Tensor:
    """New random numbers of a shape, in the type and on the device of a tensor."""
    return kind(tuple(shape), dtype=like.dtype, device=like.device)


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Tensor:
    return gf.randn(tuple(shape), dtype=dtype, device=device)


def exponentials(like: Tensor, shape: Any) -> Tensor:
    """New exponential numbers of rate 1."""
    return gf.empty(tuple(shape), dtype=like.dtype, device=like.device).exponential_()


def as_size(shape: Any) -> Size:
    """A shape given as a number or as many."""
    return Size((shape,) if isinstance(shape, int) else shape)


class lazy_property:
    """A method whose value is computed once, as an attribute."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with gf.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
