"""Where tensors enter and leave a vmap, forwards and backwards."""

from __future__ import annotations

from typing import Any

from ..backends.batched import Batch, batches_of, hide, shown
from ..tape import further_walks
from ..tape.node import Boundary, mode
from ..tensor import Tensor, wrap


class EnterPlan:
    """Into a vmap: the first axis is hidden. Back, it is there again. The node's ``meta`` is the vmap."""

    name = "BatchBackward0"

    def derive(self, node: Any, g: Tensor) -> list[Any]:
        return [leave(g, node.meta)]


class LeavePlan:
    """Out of a vmap: the hidden axis is the first."""

    name = "UnbatchBackward0"

    def derive(self, node: Any, g: Tensor) -> list[Any]:
        return [enter(g, node.meta)]


ENTER, LEAVE = EnterPlan(), LeavePlan()


def boundary(plan: Any, x: Tensor, array: Any, batch: Batch) -> Tensor:
    node = x.node
    if node is not None:
        node = Boundary(plan, node, batch) if mode.enabled and array.dtype.kind in "fV" else None
    return wrap(array, node)


def enter(x: Tensor, batch: Batch) -> Tensor:
    """``x`` with its first axis hidden."""
    return boundary(ENTER, x, hide(x.array, batch), batch)


def leave(x: Tensor, batch: Batch) -> Tensor:
    """``x`` with the vmap's axis first, also if all examples share one."""
    array = shown(x.array, batch)
    return x.unsqueeze(0).expand(batch.size, *x.shape) if array is None else boundary(LEAVE, x, array, batch)


def leaving(parent: Any, g: Tensor) -> Tensor:
    """The gradient of something that was there before a vmap which is over: the sum over the examples."""
    for batch in batches_of(g.array):
        if not batch.open and parent.number < batch.start:
            g = leave(g, batch).sum(0)
    return g


further_walks.leaving = leaving
