"""Arrays that are not NumPy's, and the backends that own them.

The extension's functions are in front. Where an argument is no NumPy array they ask here, and the call goes to the same-named function of the
owner of the outermost array among the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .cpu import _ext

OWNERS: list[tuple[type, Any]] = []  # outermost first


def register(array_type: type, backend: Any, outermost: bool = False) -> None:
    """Arrays of ``array_type`` belong to ``backend``, a module or object. ``outermost``: they may hold arrays of the others."""
    OWNERS.insert(0 if outermost else len(OWNERS), (array_type, backend))


def rank(values: Iterable[Any]) -> int:
    """The place in OWNERS of the outermost array among the values and in their tuples."""
    best = len(OWNERS)
    for value in values:
        if isinstance(value, tuple):
            best = min(best, rank(value))
        else:
            best = next((k for k in range(best) if isinstance(value, OWNERS[k][0])), best)
    return best


def hand_over(name: str) -> Callable:
    def call(*args: Any) -> Any:
        at = rank(args)
        if at == len(OWNERS):
            raise TypeError(f"{name}: expected arrays or numbers; the arguments are ({', '.join(type(a).__name__ for a in args)})")
        return getattr(OWNERS[at][1], name)(*args)

    return call


FUNCTIONS = ("elementwise", "reduce", "rows", "dot", "gather", "scatter_add", "take_rows", "add_rows", "copy", "irregular", "result_type")
for name in FUNCTIONS:
    _ext.set_fallback(name, hand_over(name))
