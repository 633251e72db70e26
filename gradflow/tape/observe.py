"""Those who watch operations being recorded: hooks that pack saved values away, and anomaly mode.

While nobody does, recording pays nothing: the extension calls :func:`recorded` only as long as somebody watches, in any thread.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ..backends import is_array, set_watcher
from ..errors import DTypeError, GradError
from .node import COUNT, Leaf, Node, extra_of, mode


class Watching(threading.local):
    """What this thread's recordings are watched by: the hooks (pack, unpack) of its contexts, or why there must be none."""

    def __init__(self) -> None:
        self.hooks: list[tuple[Callable, Callable]] = []
        self.disabled: list[str] = []


class Anomaly:
    """Anomaly mode, of all threads: is it on, and does it look for nan, for inf?"""

    enabled = False
    nan = True
    inf = False


anomaly = Anomaly()
watching = Watching()
lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
watchers = 0


def watch(more: int) -> None:
    """One context more, or less, that wants to see recordings."""
    global watchers
    with lock:
        watchers += more
        set_watcher(recorded if watchers else None)


def recorded(node: Node) -> None:
    if anomaly.enabled:
        extra_of(node).metadata["traceback_"] = traceback.format_stack()[:-1]
    if watching.hooks and node.saved:
        pack(node)


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
        node.saved = tuple(Packed(packed(hook, a)) if is_array(a) else a for a in node.saved)
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
