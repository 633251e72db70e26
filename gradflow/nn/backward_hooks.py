"""Hooks on the gradients that go into a module and come out of it, going back.

A module with such hooks passes its tensors through two identities, one before `forward` and one after; the way back goes
through the second first. What arrives there is grad_output, what arrives at the other is grad_input.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..autograd import Function, is_grad_enabled
from ..errors import ArgumentError
from ..tensor import Tensor

# The hooks of all modules, which run before a module's own.
BACK: OrderedDict[int, Callable[..., Any]] = OrderedDict()
BACK_PRE: OrderedDict[int, Callable[..., Any]] = OrderedDict()


class Passing(Function):
    """Tensors as they are; `arrived` sees their gradients and may give others."""

    @staticmethod
    def forward(ctx: Any, arrived: Callable, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.arrived = arrived
        ctx.set_materialize_grads(False)
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return (None, *ctx.arrived(grads))


def through(values: Any, arrived: Callable) -> tuple[Any, bool]:
    """(the values, the tensors among them that require a gradient passed through, was there any)"""
    parts = values if isinstance(values, tuple) else (values,)
    places = [i for i, v in enumerate(parts) if isinstance(v, Tensor) and v.requires_grad]
    if not places or not is_grad_enabled():
        return values, False

    def spread(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        whole: list[Any] = [None] * len(parts)
        for i, g in zip(places, grads, strict=True):
            whole[i] = g
        back = arrived(tuple(whole))
        return tuple(back[i] for i in places)

    passed = Passing.apply(spread, *(parts[i] for i in places))
    new = list(parts)
    for i, t in zip(places, passed, strict=True):
        new[i] = t
    return (tuple(new) if isinstance(values, tuple) else new[0]), True


def replaced(result: Any, grads: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """What a hook returned, in place of the gradients, if it returned something."""
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise ArgumentError(f"{name}: Backward hook returned an invalid number of grad_input, got {len(result)}, but expected {len(grads)}")
    return result


class Around:
    """The hooks of one call of a module."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.output: tuple[Any, ...] = ()
        self.inputs = 0
        self.input_wanted = False

    def before(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, watched."""
        self.inputs = len(args)
        args, self.input_wanted = through(args, self.at_input)
        return args

    def after(self, result: Any) -> Any:
        """The result, watched."""
        if not isinstance(result, Tensor | tuple):
            return result
        return through(result, self.at_output)[0]

    def at_output(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in [*BACK_PRE.values(), *self.module._backward_pre_hooks.values()]:
            grads = replaced(hook(self.module, grads), grads, "register_full_backward_pre_hook")
        self.output = grads
        if not self.input_wanted:
            self.at_input((None,) * self.inputs)
        return grads

    def at_input(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in [*BACK.values(), *self.module._backward_hooks.values()]:
            grads = replaced(hook(self.module, grads, self.output), grads, "register_full_backward_hook")
        return grads
