"""``Variable``, which older programs make of tensors: since PyTorch 0.4 it is the tensor itself."""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError
from ..tensor import Tensor


class _AnyTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_AnyTensor):
    """``Variable(data, requires_grad=False)``: a tensor with the memory of ``data``, and no history.

    ``volatile``, which PyTorch dropped in 0.4, is accepted and changes nothing: use :func:`no_grad`. Raises TypeError for what is no Tensor.

    >>> x = gf.autograd.Variable(gf.ones(2), requires_grad=True)
    >>> x
    tensor([1., 1.], requires_grad=True)
    >>> isinstance(x, gf.autograd.Variable)
    True
    """

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if data is None:
            return Tensor()
        if not isinstance(data, Tensor):
            raise DTypeError(f"Variable: Variable data has to be a tensor, but got {type(data).__name__}; make one with tensor()")
        return data.detach().requires_grad_(requires_grad)


__all__ = ["Variable"]
