"""Tensor's operators. An operand of a foreign kind is asked whether it knows the answer before it is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kinds.direct import before
from ..tensor import Tensor
from . import pointwise, products

OPERANDS = (Tensor, bool, int, float, np.number)


def equals(self: Tensor, other: Any) -> Any:
    """Elementwise; comparing with something that is no number is ``NotImplemented``, so that ``x == None`` is False."""
    if isinstance(other, Tensor | bool | int | float | np.number):
        return pointwise.eq(self, other)
    return NotImplemented


def differs(self: Tensor, other: Any) -> Any:
    if isinstance(other, Tensor | bool | int | float | np.number):
        return pointwise.ne(self, other)
    return NotImplemented


def asking(function: Callable, answer: str) -> Callable:
    """``function`` as an operator: ``NotImplemented`` instead of an error where the other operand's class has the method ``answer``."""
    default = getattr(object, answer, None)

    def call(self: Tensor, other: Any) -> Any:
        try:
            return function(self, other)
        except TypeError:
            built_in = type(other).__module__ == "builtins" and answer != "__iadd__"  # a list's * would say nothing of tensors
            if built_in or isinstance(other, OPERANDS) or getattr(type(other), answer, default) is default:
                raise
        return NotImplemented

    return before(function, functools.update_wrapper(call, function))


def reflected(function: Callable) -> Callable:
    return lambda self, other: function(other, self)


ALONE: dict[str, Callable] = {
    "neg": pointwise.neg,
    "pos": lambda self: self,
    "abs": pointwise.abs,
    "invert": lambda self: pointwise.bitwise_not(self),
    "eq": equals,
    "ne": differs,
}
COMPARISONS = {"lt": (pointwise.lt, "gt"), "le": (pointwise.le, "ge"), "gt": (pointwise.gt, "lt"), "ge": (pointwise.ge, "le")}
# The function, that for the operands' other order, and the method that works in place.
ARITHMETIC: dict[str, tuple[Callable, Callable | None, str | None]] = {
    "add": (pointwise.add, pointwise.add, "add_"),
    "sub": (pointwise.minus, pointwise.reverse_minus, "sub_"),
    "mul": (pointwise.mul, pointwise.mul, "mul_"),
    "truediv": (pointwise.div, pointwise.reciprocal_times, "div_"),
    "floordiv": (pointwise.floor_divide, None, "floor_divide_"),
    "mod": (pointwise.remainder, None, "remainder_"),
    "pow": (pointwise.pow, None, "pow_"),
    "matmul": (products.matmul, None, None),
    "and": (pointwise.bitwise_and, None, "bitwise_and_"),
    "or": (pointwise.bitwise_or, None, "bitwise_or_"),
    "xor": (pointwise.bitwise_xor, None, "bitwise_xor_"),
    "lshift": (pointwise.bitwise_left_shift, None, "bitwise_left_shift_"),
    "rshift": (pointwise.bitwise_right_shift, None, "bitwise_right_shift_"),
}


def operators(methods: dict[str, Callable]) -> dict[str, Callable]:
    """Tensor's operators by name; ``methods`` are those that work in place."""
    table = {f"__{name}__": function for name, function in ALONE.items()}
    table |= {f"__{name}__": asking(function, f"__{answer}__") for name, (function, answer) in COMPARISONS.items()}
    for name, (function, swapped, changing) in ARITHMETIC.items():
        table[f"__{name}__"] = asking(function, f"__r{name}__")
        # The other operand has declined by then; but ``list += tensor`` asks a list only after the tensor.
        table[f"__r{name}__"] = asking(swapped or reflected(function), f"__i{name}__")
        if changing:
            table[f"__i{name}__"] = asking(methods[changing], f"__r{name}__")
    return table
