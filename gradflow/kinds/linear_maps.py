"""Linear operations: a forward over arrays and its adjoint over tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends
from ..backends.batched import per_example
from ..errors import BatchError, DTypeError
from ..tape.node import Node, mode
from ..tensor import Tensor, linked, wrap, wrap_view
from .formulas import REGISTRY, camel


class LinearPlan:
    """Back through a linear operation. The node's ``meta`` is (shape of the input, parameters)."""

    __slots__ = ("adjoint", "forward", "into", "light", "name", "view")

    def __init__(self, name: str, view: bool, forward: Callable):
        self.name, self.view, self.forward = name, view, forward
        self.adjoint: Any = None
        self.into: Any = None
        self.light: Any = None

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        parent = node.parents[0]
        shape, params = node.meta
        if self.light is not None:
            # A view of a gradient that only the walk holds is the walk's too, unless it is read-only because elements repeat.
            result = self.light(g, shape, *params)
            walk.add(parent, result, owned and result.flags.writeable)
            return
        if self.into is not None:
            out, accumulate = walk.destination(parent)
            result = self.into(g, out, accumulate, shape, *params)
            if result is not None:
                walk.arrive(parent, result)
                return
        was, mode.enabled = mode.enabled, False
        try:
            result = self.adjoint(wrap(g), shape, *params).array
        finally:
            mode.enabled = was
        walk.add(parent, result, owned if result is g else result.base is None)

    def derive(self, node: Node, g: Any) -> list[Any]:
        shape, params = node.meta
        return [self.adjoint(g, shape, *params)]


def linear(forward: Callable | None = None, *, view: bool = False, grad_name: str | None = None, moves: bool = False) -> Any:
    """Make a differentiable operation from a function that is linear in its first argument.

    The decorated function maps an array and parameters to an array (if ``view``, one that shares memory wherever NumPy's does). Give the
    adjoint next, over tensors: ``@op.adjoint def f(g, shape, *params)``, where ``shape`` is the input's. ``@op.into`` may give the same over
    arrays, written or added to a buffer: ``f(g, out, accumulate, shape, *params)``; it may return ``None`` to decline. ``@op.light`` may give it as
    a view of the array ``g``: ``f(g, shape, *params)``.
    """
    if forward is None:
        return lambda f: linear(f, view=view, grad_name=grad_name, moves=moves)
    name = forward.__name__
    plan = LinearPlan(grad_name or camel(name) + "Backward0", view, forward)

    def call(x: Tensor, *params: Any) -> Tensor:
        try:
            array, node = x.array, x.node
        except AttributeError:
            raise DTypeError(f"{name}: argument 'input' must be Tensor, not {type(x).__name__}") from None
        try:
            out = forward(array, *params)
        except BatchError:
            out = per_example(forward, array, *params)
        if type(out) is np.ndarray and type(array) is np.ndarray:  # a BatchedArray says that it is one
            return linked(plan, x, out, params, view)
        if out.__class__ is not array.__class__ and not moves:  # made by NumPy on its way
            out = backends.beside(out, array)
        meta = array.shape, params
        if node is not None:
            node = Node(plan, (node,), (), (), None, meta) if mode.enabled and out.dtype.kind in "fV" else None
        if view and out.base is not None and (out.base is array or out.base is array.base or np.may_share_memory(out, array)):
            return wrap_view(out, x, node, plan, meta)
        return wrap(out, node)

    def adjoint(f: Callable) -> Callable:
        plan.adjoint = f
        return f

    def into(f: Callable) -> Callable:
        plan.into = f
        return f

    def light(f: Callable) -> Callable:
        plan.light = f
        return f

    call.__name__ = call.__qualname__ = name
    call.__doc__, call.__module__ = forward.__doc__, forward.__module__
    call.adjoint, call.into, call.light, call.plan = adjoint, into, light, plan  # type: ignore[attr-defined]
    REGISTRY[name] = call
    return call
