"""Those who watch operations being recorded: hooks that pack saved values away, and anomaly mode.

While nobody does, recording pays nothing: ``Node`` gets the constructor that looks for them only as long as there are some, in any thread.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DTypeError, GradError
from .node import COUNT, Leaf, Node, extra_of, mode
from .place import caller, text


class Watching(threading.local):
    """What this thread's recordings are watched by: the hooks (pack, unpack) of its contexts, or why there must be none."""

    def __init__(self) -> None:
        self.hooks: list[tuple[Callable, Callable]] = []
        self.disabled: list[str] = []


class Anomaly:
    """Anomaly mode, of all threads: is it on, and does it look for nan?"""

    enabled = False
    nan = True


anomaly = Anomaly()
watching = Watching()
plain_init = Node.__init__
lock = threading.Lock()
watchers = 0


def watch(more: int) -> None:
    """One context more, or less, that wants to see recordings."""
    global watchers
    with lock:
        watchers += more
        Node.__init__ = watched_init if watchers else plain_init  # type: ignore[method-assign]


def watched_init(
    self: Node, plan: Any, parents: tuple, saved: Any = (), guards: tuple = (), irregular: Any = None, meta: Any = None
) -> None:
    plain_init(self, plan, parents, saved, guards, irregular, meta)
    if anomaly.enabled:
        metadata = extra_of(self).metadata
        metadata["place"] = text(caller())
        metadata["traceback_"] = traceback.format_stack()[:-2]
    if watching.hooks and saved:
        pack(self)


class Packed:
    """A saved value in the form that the pack hook gave it."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


def pack(node: Any) -> None:
    """The saved values of a node go through the innermost hooks. What they keep is theirs: no version is checked any more."""
    hook, unhook = watching.hooks[-1]
    was, mode.enabled = mode.enabled, False
    try:
        node.saved = tuple(Packed(packed(hook, a)) if isinstance(a, np.ndarray) else a for a in node.saved)
    finally:
        mode.enabled = was
    node.guards = ()

    def unpack(saved: tuple) -> tuple:
        return tuple(unpacked(unhook, p.value) if isinstance(p, Packed) else p for p in saved)

    extra_of(node).unpack = unpack


def packed(hook: Callable, array: Any) -> Any:
    t = Leaf.wrap(array)
    result = hook(t)
    if t.version is not None and t.version[COUNT]:
        raise GradError("saved_tensors_hooks: A saved tensor pack hook is modifying its input in place; change a clone() instead")
    return result


def unpacked(hook: Callable, value: Any) -> Any:
    result = hook(value)
    if not hasattr(result, "array"):
        raise DTypeError(
            f"saved_tensors_hooks: Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(result).__name__}"
        )
    return result.array
