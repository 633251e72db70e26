"""Tensors that look at another's memory."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..tape.node import SHARED, mode
from ..tensor import BASE, LOST, STEPS, Tensor, new, version_of

NO_GRAD = "was created in no_grad mode"
MULTIPLE = "is the output of a function that returns multiple views"


def wrap_view(array: Any, source: Tensor, node: Any, plan: Any, meta: Any, lost: str = "") -> Tensor:
    """A tensor around a view of ``source``'s array: changes in place are counted together, and it knows where it comes from."""
    t = new(Tensor)
    t.array = array
    t.node = node
    t.version = version = version_of(source)
    t.leaf = None
    origin = getattr(source, "origin", None)
    if not lost and not mode.enabled:
        lost = NO_GRAD
    if origin is None:
        t.origin = source, (None, plan, meta), lost
    else:
        t.origin = origin[BASE], (origin[STEPS], plan, meta), origin[LOST] or lost
    sharers = version[SHARED]
    if sharers is None:
        version[SHARED] = [ref(t)]
    else:
        if len(sharers) > 32 and len(sharers) & (len(sharers) - 1) == 0:  # now and then forget the dead
            version[SHARED] = sharers = [r for r in sharers if r() is not None]
        sharers.append(ref(t))
    return t
