"""What users hang on the tape: hooks, and the handles that take them away again."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..backends import elementwise, kernel
from ..errors import DTypeError, GradError

same = kernel(lambda x: x)


class RemovableHandle:
    """What `register_*_hook` returns: `remove()` takes the hook away; as a context manager it does so at the end.

    >>> x = gf.ones(1, requires_grad=True)
    >>> handle = x.register_hook(lambda g: g * 10)
    >>> handle.remove()
    >>> x.backward()
    >>> x.grad
    tensor([1.])
    """

    _ids = itertools.count()

    def __init__(self, hooks: OrderedDict[int, Any]) -> None:
        # weak, so that a kept handle does not keep a module or an optimizer alive
        self._hooks: weakref.ref[Any] | None = weakref.ref(hooks)
        self.id = next(RemovableHandle._ids)

    def remove(self) -> None:
        hooks = self._hooks() if self._hooks is not None else None
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()

    def __getstate__(self) -> dict[str, Any]:
        return {"id": self.id}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a copied handle belongs to no hooks: removing it does nothing
        self._hooks, self.id = None, state["id"]


def add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Put a hook, or a tuple of one and how to call it, last (or first) among others and return its handle.

    >>> from collections import OrderedDict
    >>> hooks = OrderedDict()
    >>> handle = gf.utils.hooks.add_hook(hooks, print)
    >>> len(hooks)
    1
    """
    function = hook[0] if isinstance(hook, tuple) else hook
    if not callable(function):
        raise DTypeError(f"hook: a hook must be callable, not {type(function).__name__}; pass a function")
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


class Extra:
    """What a node carries besides its operation; made when somebody asks for it, so that the others pay nothing.

    ``tensor`` are the hooks on the gradient of each output, ``kept`` weak references to the tensors that retain it; ``before`` and ``after``
    the hooks around the node; ``accumulated`` those that a leaf calls when its ``grad`` is complete; ``unpack`` gives a packed value back.
    """

    __slots__ = ("accumulated", "after", "before", "kept", "metadata", "tensor", "unpack")

    def __init__(self) -> None:
        self.tensor: dict[int, OrderedDict[int, Callable]] = {}
        self.kept: dict[int, weakref.ref] = {}
        self.before: OrderedDict[int, Callable] = OrderedDict()
        self.after: OrderedDict[int, Callable] = OrderedDict()
        self.accumulated: OrderedDict[int, Callable] = OrderedDict()
        self.metadata: dict[Any, Any] = {}
        self.unpack: Callable | None = None

    def see(self, index: int, g: Any) -> Any:
        """The gradient of output ``index``, a tensor, as the hooks on it leave it; those who retain it get it."""
        for hook in list(self.tensor.get(index, {}).values()):
            result = hook(g)
            if result is not None:
                check_same(hook, result, g)
                g = result
        kept = self.kept.get(index)
        tensor = kept() if kept is not None else None
        if tensor is not None:
            leaf = tensor.leaf
            if leaf.grad is not None:
                leaf.grad = leaf.grad + g
            else:
                leaf.grad = g if g.node is not None else leaf.wrap(elementwise(same, (g.array,)))
        return g

    def enter(self, gradients: tuple) -> tuple:
        """The gradients of the outputs, as the hooks before the node leave them."""
        for hook in list(self.before.values()):
            result = hook(gradients)
            if result is not None:
                gradients = checked(hook, result, gradients)
        return gradients

    def leave(self, contributions: tuple, gradients: tuple) -> tuple:
        """The gradients of the inputs, as the hooks after the node leave them."""
        for hook in list(self.after.values()):
            result = hook(contributions, gradients)
            if result is not None:
                contributions = checked(hook, result, contributions)
        return contributions


def name_of(hook: Any) -> str:
    return getattr(hook, "__name__", type(hook).__name__)


def check_same(hook: Callable, result: Any, g: Any) -> None:
    """A hook may replace a gradient by one of the same shape and type."""
    if type(result).__name__ != "Tensor" and not hasattr(result, "array"):
        raise DTypeError(f"hook: expected Variable, but hook returned {type(result).__name__!r}; return a Tensor or None ({name_of(hook)})")
    if g is None:
        return
    if result.array.shape != g.array.shape:
        raise GradError(
            f"hook: hook {name_of(hook)!r} has changed the size of value; the gradient is {tuple(g.array.shape)}, it returned {tuple(result.array.shape)}"
        )
    if result.array.dtype != g.array.dtype:
        raise GradError(
            f"hook: hook {name_of(hook)!r} has changed the type of value; the gradient is {g.dtype}, it returned {result.dtype}"
        )


def checked(hook: Callable, result: Any, values: tuple) -> tuple:
    if not isinstance(result, tuple):
        raise DTypeError(f"hook: expected tuple, but hook returned {type(result).__name__!r}; return a tuple of gradients or None")
    if len(result) != len(values):
        raise GradError(
            f"hook: hook {name_of(hook)!r} has returned an incorrect number of values (got {len(result)}, but expected {len(values)})"
        )
    for new, old in zip(result, values, strict=True):
        if new is not None:
            check_same(hook, new, old)
    return result
