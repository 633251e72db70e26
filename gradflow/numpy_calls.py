"""NumPy's functions of tensors: ours where there is one, so that gradients go through; else those of the arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .creation import as_tensor
from .errors import GradError
from .methods import ALONE, FUNCTIONS
from .ops.joining import cat, hstack, stack, vstack
from .tensor import Tensor, recording

UFUNCS = {
    "absolute": "abs",
    "multiply": "mul",
    "subtract": "sub",
    "divide": "div",
    "equal": "eq",  # gf.equal is one answer
    "not_equal": "ne",
    "power": "pow",
    "rint": "round",
    "invert": "bitwise_not",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "degrees": "rad2deg",
    "radians": "deg2rad",
}


def plain(x: Any) -> Any:
    """Tensors as the arrays they are."""
    if isinstance(x, Tensor):
        return x.numpy()
    if isinstance(x, tuple | list):
        return type(x)(map(plain, x))
    return {key: plain(value) for key, value in x.items()} if isinstance(x, dict) else x


def tensors_in(x: Any) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    return [t for part in x for t in tensors_in(part)] if isinstance(x, tuple | list) else []


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """``np.sin(t)`` is ``t.sin()``, with its gradient; ``ndarray * tensor`` is ``tensor * ndarray``."""
    function = FUNCTIONS.get(UFUNCS.get(ufunc.__name__, ufunc.__name__))
    if method == "__call__" and not kwargs and function is not None:
        function = function.op.call if hasattr(function, "op") else function  # which takes numbers everywhere, as NumPy does
        return function(*(as_tensor(x) if isinstance(x, np.ndarray) else x for x in inputs))
    if recording(*tensors_in(inputs)):
        return NotImplemented
    return getattr(ufunc, method)(*map(plain, inputs), **plain(kwargs))


def transpose(a: Tensor, axes: Any = None) -> Tensor:
    return a.T if axes is None else a.permute(*axes)


def moments(name: str) -> Callable:
    def call(a: Tensor, axis: Any = None, *, ddof: Any = 0, keepdims: bool = False) -> Tensor:
        return FUNCTIONS[name](a, axis, correction=ddof, keepdim=keepdims)

    return call


# NumPy's arguments are ours, but for axis and keepdims.
SAME = "sum mean prod max min amax amin cumsum cumprod clip where dot outer reshape ravel squeeze flip roll trace diagonal tril triu kron einsum".split()
CALLS: dict[str, Callable] = {name: (FUNCTIONS | ALONE)[name] for name in SAME}
CALLS |= {"concatenate": cat, "stack": stack, "vstack": vstack, "hstack": hstack, "expand_dims": FUNCTIONS["unsqueeze"]}
CALLS |= {"transpose": transpose, "std": moments("std"), "var": moments("var")}
WORDS = {"axis": "dim", "keepdims": "keepdim"}


def array_function(self: Tensor, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
    """``np.concatenate([t, u])``: an array, or a tensor with its gradient if one is recorded."""
    if not recording(*tensors_in(args)):
        return function(*plain(args), **plain(kwargs))
    name = function.__name__
    if name not in CALLS:
        raise GradError(f"numpy.{name}: no gradient goes through NumPy's function; use gradflow's, or detach() the tensor first")
    words = kwargs if name in ("std", "var") else {WORDS.get(key, key): value for key, value in kwargs.items() if value is not None}
    return CALLS[name](*args, **words)


for _name, _function in (("__array_ufunc__", array_ufunc), ("__array_function__", array_function)):
    setattr(Tensor, _name, _function)
