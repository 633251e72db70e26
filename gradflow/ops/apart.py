"""Functions that read values: inside of a vmap they are done for one example after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..backends.batched import Batch, batches_of, running, top, within
from ..errors import BatchError
from ..kinds.crossing import enter, leave
from ..tensor import Tensor
from .joining import stack


def each_example(function: Callable) -> Any:
    """``function``, which reads values, done for one example of a vmap after the other, as are its derivatives."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        batch = top(t.array for t in tensors_in([*args, *kwargs.values()]))
        if batch is None:
            return function(*args, **kwargs)
        with within([b for b in running.stack if b is not batch]):
            results = [call(*example(args, batch, i), **example(kwargs, batch, i)) for i in range(batch.size)]
            joined = together(results, function.__name__)
        return tuple_map(lambda t: enter(t, batch), joined)

    return call


def tensors_in(x: Any) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    return [t for v in x for t in tensors_in(v)] if isinstance(x, tuple | list) else []


def tuple_map(function: Callable, x: Any) -> Any:
    """``function`` of every tensor in tuples, lists and dictionaries."""
    if isinstance(x, Tensor):
        return function(x)
    if isinstance(x, tuple | list):
        parts = [tuple_map(function, v) for v in x]
        return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    return {k: tuple_map(function, v) for k, v in x.items()} if isinstance(x, dict) else x


def example(x: Any, batch: Batch, i: int) -> Any:
    return tuple_map(lambda t: leave(t, batch)[i] if batch in batches_of(t.array) else t, x)


def together(results: list[Any], op: str) -> Any:
    if not results:
        raise BatchError(f"{op}: there are no examples, and this operation is done for one after the other; give at least one")
    if isinstance(results[0], tuple):
        parts = [together(list(column), op) for column in zip(*results, strict=True)]
        return type(results[0])(*parts) if hasattr(results[0], "_fields") else tuple(parts)
    if len({t.array.shape for t in results}) > 1:
        raise BatchError(f"{op}: the result's shape depends on the values, and differs among the examples of vmap; do it outside of vmap")
    return stack(results)
