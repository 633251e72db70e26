"""New arrays: constants, ranges and random numbers, float32 unless a type is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as onp

from ..errors import ArgumentError
from ..tensor import Tensor
from .array import NDArray, bare, dressed, element_type, gf, named, place, tensor_of
from .texts import explain
from .texts_of_layers import MAKING


def creator(cls: type[NDArray], function: Callable) -> Callable:
    """A function that makes a tensor as one that makes an array, of a type and at a place."""

    def call(*args: Any, dtype: Any = None, ctx: Any = None, device: Any = None, **kwargs: Any) -> Any:
        t = named(function.__name__, function, *map(bare, args), dtype=element_type("float32" if dtype is None else dtype), **kwargs)
        return dressed(place(t, ctx if device is None else device), cls)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = function.__doc__
    return call


def size_of(shape: Any) -> tuple:
    return (int(shape),) if not isinstance(shape, list | tuple) else tuple(shape)


def zeros(shape: Any, dtype: Any) -> Tensor:
    return gf.zeros(size_of(shape), dtype=dtype)


def ones(shape: Any, dtype: Any) -> Tensor:
    return gf.ones(size_of(shape), dtype=dtype)


def empty(shape: Any, dtype: Any) -> Tensor:
    return gf.empty(size_of(shape), dtype=dtype)


def full(shape: Any, fill_value: Any = None, dtype: Any = None, val: Any = None) -> Tensor:
    return gf.full(size_of(shape), float(val if fill_value is None else fill_value), dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = 1, repeat: int = 1, dtype: Any = None) -> Tensor:
    line = gf.arange(0, start, step, dtype=dtype) if stop is None else gf.arange(start, stop, step, dtype=dtype)
    return line if repeat == 1 else gf.repeat_interleave(line, repeat)


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Tensor:
    return gf.linspace(start, stop, num, dtype=dtype) if endpoint else gf.linspace(start, stop, num + 1, dtype=dtype)[:-1]


def logspace(start: Any, stop: Any, num: int = 50, base: float = 10.0, dtype: Any = None) -> Tensor:
    return gf.logspace(start, stop, num, base, dtype=dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    return gf.from_numpy(onp.eye(N, M or None, k, dtype=onp.float32)).to(dtype)


def identity(n: int, dtype: Any) -> Tensor:
    return gf.eye(n, dtype=dtype)


def normal(loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> Tensor:
    return loc + scale * gf.randn(drawn(loc, scale, size), dtype=dtype)


def uniform(low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None) -> Tensor:
    return low + (high - low) * gf.rand(drawn(low, high, size), dtype=dtype)


def drawn(a: Any, b: Any, size: Any) -> tuple:
    """The shape of a sample: as given, or that of the parameters."""
    return size_of(size) if size is not None else tuple(onp.broadcast_shapes(*(getattr(bare(x), "shape", ()) for x in (a, b))))


def rand(*size: int, dtype: Any = None) -> Tensor:
    return gf.rand(size, dtype=dtype)


def randn(*size: int, dtype: Any = None) -> Tensor:
    return gf.randn(size, dtype=dtype)


def seed(seed: int) -> None:
    """Start the random numbers anew."""
    gf.manual_seed(seed)


def array_maker(cls: type[NDArray]) -> Callable:
    def array(object: Any, dtype: Any = None, ctx: Any = None, device: Any = None) -> Any:
        """An array of numbers, nested lists, NumPy's arrays or others: float32 unless ``dtype`` is given, or the other has one already."""
        return dressed(place(tensor_of(object, dtype), ctx if device is None else device), cls)

    return array


def likes(cls: type[NDArray]) -> dict[str, Callable]:
    def like(function: Callable) -> Callable:
        def call(a: Any, *args: Any, dtype: Any = None, **kwargs: Any) -> Any:
            return cls(function(bare(a).detach(), *args, dtype=None if dtype is None else element_type(dtype)))

        call.__name__ = function.__name__
        return call

    return {f.__name__: like(f) for f in (gf.zeros_like, gf.ones_like, gf.full_like, gf.empty_like)}


def creators(cls: type[NDArray]) -> dict[str, Callable]:
    functions = (zeros, ones, empty, full, arange, linspace, logspace, eye, identity)
    made = {"array": array_maker(cls)} | {f.__name__: creator(cls, f) for f in functions} | likes(cls)
    explain(made, MAKING)
    return made


def randoms(cls: type[NDArray]) -> SimpleNamespace:
    """``np.random``, and ``nd.random``, which says ``shape`` for ``size``."""

    def sized(function: Callable) -> Callable:
        made = creator(cls, function)

        def call(*args: Any, shape: Any = None, size: Any = None, **kwargs: Any) -> Any:
            size = shape if size is None else size
            return made(*args, **kwargs) if size is None else made(*args, size=size, **kwargs)

        call.__name__ = function.__name__
        return call

    def randint(low: int, high: int | None = None, size: Any = None, dtype: Any = "int64", shape: Any = None, **kwargs: Any) -> Any:
        low, high = (0, low) if high is None else (low, high)
        size = shape if size is None else size
        return dressed(gf.randint(low, high, () if size is None else size_of(size), dtype=element_type(dtype)), cls)

    def permutation(x: Any) -> Any:
        n = x if isinstance(x, int) else len(x)
        order = gf.randperm(n)
        return dressed(order if isinstance(x, int) else bare(x)[order], cls)

    def shuffle(x: NDArray) -> Any:
        """Exchange the rows of ``x``: in place in ``np``, as a new array in ``nd``."""
        mixed = bare(x).detach()[gf.randperm(len(x))]
        if cls is NDArray:
            return cls(mixed)
        x[...] = mixed
        return None

    def choice(a: Any, size: Any = None, replace: bool = True, p: Any = None) -> Any:
        n = a if isinstance(a, int) else len(a)
        count = 1 if size is None else math.prod(size_of(size))
        if not replace and count > n:
            raise ArgumentError(f"choice: cannot take {count} of {n} without replacement; use replace=True, or a smaller size")
        weights = gf.ones(n) if p is None else tensor_of(p)
        drawn = gf.multinomial(weights, count, replace)
        drawn = drawn.reshape(() if size is None else size_of(size))
        return dressed(drawn if isinstance(a, int) else bare(a)[drawn], cls)

    given: dict[str, Any] = {"seed": seed, "randint": randint, "permutation": permutation, "shuffle": shuffle, "choice": choice}
    given |= {"normal": sized(normal), "uniform": sized(uniform), "rand": creator(cls, rand), "randn": creator(cls, randn)}
    explain(given, MAKING)
    return SimpleNamespace(**given)
