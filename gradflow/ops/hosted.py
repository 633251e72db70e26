"""Functions that have no kernels for other devices: their tensors come to the CPU, and their results go back. Gradients take the same way."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from .. import backends
from ..kinds.out import into
from ..tensor import Tensor
from .convert import moved


def places(values: Iterable[Any]) -> Iterable[Any]:
    """Where the tensors among the values and in their sequences are."""
    for x in values:
        if isinstance(x, Tensor):
            yield backends.place_of(x.array)
        elif type(x) in (tuple, list):
            yield from places(x)


def sent(x: Any, place: Any) -> Any:
    """The same with every tensor at a place."""
    if isinstance(x, Tensor):
        here = backends.place_of(x.array)
        return x if here == place else moved(x, place, here, False)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(sent(v, place) for v in x))
    return type(x)(sent(v, place) for v in x) if type(x) in (tuple, list) else x


F = TypeVar("F", bound=Callable[..., Any])


def hosted(function: F) -> F:
    """``function`` for tensors of every device, computed on the CPU."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for place in places((*args, *kwargs.values())):
            if place is not None:
                break
        else:
            return function(*args, **kwargs)
        out = kwargs.pop("out", None)
        if out is not None:
            return into(function.__name__, out, call, args, kwargs)
        backends.refuse_waiting(function.__name__)  # it is computed on the host
        here = {k: sent(v, None) for k, v in kwargs.items()}
        return sent(function(*sent(args, None), **here), place)

    return cast(F, call)
