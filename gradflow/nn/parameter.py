"""Tensors that a Module registers by being assigned to it."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ..tensor import Tensor, disabled


class Parameter(Tensor):
    """A tensor that is a module's parameter: assigned as an attribute of a Module, it joins `parameters()`.

    It shares memory with `data`, is a leaf, and requires gradients unless told not to. Unlike plain tensors it
    has room for attributes of the user's own.

    >>> import gradflow as gf
    >>> gf.nn.Parameter(gf.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __torch_function__ = staticmethod(disabled)

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = gf.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor; got {type(data).__name__}; wrap it with gradflow.tensor")
        return Tensor._make_subclass(cls, data.detach(), requires_grad)

    def __repr__(self, **kwargs: Any) -> str:
        return "Parameter containing:\n" + super().__repr__(**kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = _restore(type(self), self.detach().clone(), self.requires_grad, self._marks())
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _restore, (type(self), self.detach(), self.requires_grad, self._marks())

    def _marks(self) -> dict[str, Any]:
        """The attributes that the user hung on it."""
        return dict(getattr(self, "__dict__", None) or {})


class Buffer(Tensor):
    """A tensor that is a module's buffer: assigned as an attribute of a Module, it joins `buffers()`.

    persistent says whether it is part of `state_dict()`.

    >>> gf.nn.Buffer(gf.ones(2))
    tensor([1., 1.])
    """

    persistent: bool

    __torch_function__ = staticmethod(disabled)

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        data = gf.empty(0) if data is None else data
        buffer = Tensor._make_subclass(cls, data.detach(), data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return _restore, (type(self), self.detach(), self.requires_grad, dict(self.__dict__))


def _restore(cls: type, data: Tensor, requires_grad: bool, marks: dict[str, Any]) -> Any:
    tensor = Tensor._make_subclass(cls, data, requires_grad)
    for name, value in marks.items():
        setattr(tensor, name, value)
    return tensor
