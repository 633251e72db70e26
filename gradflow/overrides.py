"""Subclasses of Tensor: their methods and operators go through ``__torch_function__``, whose default gives the results the subclass.

>>> import gradflow as gf
>>> class Image(gf.Tensor):
...     def flip_it(self):
...         return self.flip(-1)
>>> x = gf.tensor([[1.0, 2.0]]).as_subclass(Image)
>>> type(x * 2 + 1).__name__, x[0].flip_it()
('Image', Image([2., 1.]))

Plain tensors and parameters take no part, and free functions, `gf.exp(x)`, give plain tensors.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any

from . import methods
from .errors import DTypeError
from .tensor import Tensor, disabled

__all__ = ["Subclassed", "handle_torch_function", "has_torch_function", "is_tensor_like"]


class State(threading.local):
    inside = False  # does a __torch_function__ run the function itself?


state = State()


def converted(result: Any, kind: type) -> Any:
    """The result with ``kind`` in place of plain tensors."""
    if type(result) is Tensor:
        result.__class__ = kind
    elif isinstance(result, tuple | list):
        parts = [converted(part, kind) for part in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    return result


def dispatching(function: Callable) -> Callable:
    """The method for subclasses: theirs to answer."""

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if state.inside:
            return function(self, *args, **kwargs)
        return type(self).__torch_function__(function, (type(self),), (self, *args), kwargs)

    return call


class Subclassed(Tensor, plain=True):
    """What stands between Tensor and the classes that are derived from it."""

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the function; its tensors become ``cls``. ``NotImplemented`` where one of the ``types`` is no base of it."""
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        before, state.inside = state.inside, True
        try:
            result = func(*args, **kwargs or {})
        finally:
            state.inside = before
        return converted(result, cls)


for _name in (*methods.NAMES, "data", "detach"):
    _function = vars(Tensor)[_name]
    if isinstance(_function, property):
        setattr(Subclassed, _name, property(dispatching(_function.fget), _function.fset))  # type: ignore[arg-type]
    elif _name not in ("__contains__", "__delitem__"):
        setattr(Subclassed, _name, dispatching(_function))


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Does one of the arguments have a ``__torch_function__`` of its own?"""
    return any(getattr(type(x), "__torch_function__", disabled) is not disabled and type(x) is not Tensor for x in relevant_args)


def is_tensor_like(inp: Any) -> bool:
    """Is it a tensor, or of a class with a ``__torch_function__``?"""
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


def handle_torch_function(public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """The answer of the first of the arguments that has one, subclasses before their bases; an error if nobody has."""
    asked: list[Any] = []
    for x in relevant_args:
        if has_torch_function((x,)) and type(x) not in map(type, asked):
            place = next((i for i, other in enumerate(asked) if issubclass(type(x), type(other))), len(asked))
            asked.insert(place, x)
    types = tuple(map(type, asked))
    for x in asked:
        result = type(x).__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    raise DTypeError(f"{public_api.__name__}: no implementation found for the types {[kind.__name__ for kind in types]}")
