"""Handles that take a registered hook away again."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from typing import Any


class RemovableHandle:
    """What `register_*_hook` returns: `remove()` takes the hook away; as a context manager it does so at the end."""

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
    """Put a hook last (or first) among others and return its handle."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
