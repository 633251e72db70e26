"""Walks inside of vmaps, and over tensors for derivatives of derivatives."""

from __future__ import annotations

from typing import Any

from ..backends import elementwise
from ..backends.batched import BatchedArray
from ..errors import BatchError
from .node import Leaf, Node, Output, identity, total
from .walk import Careful, Walk, derived, wrapped

leaving: Any = None  # given by func/batching.py: what leaves a vmap, backwards, is summed over its examples


class BatchedWalk(Walk):
    """A walk inside of a vmap: of the arrays some hide a batch axis that others have not, so that nothing is written to what has arrived."""

    __slots__ = ("contributions",)

    def run(self, nodes: list[Any], retain: bool) -> None:
        grads, needed, captured, special = self.grads, self.needed, self.captured, self.nan or self.derive is not None
        for node in nodes:
            g = grads.pop(node, None)
            if g is None:
                continue
            if node.__class__ is not Node or special:
                self.special(node, g, False, retain)
                continue
            if node in captured:
                captured[node] = g
            if needed is None or node in needed:
                self.through(node, g)
                if not retain and node.saved:
                    node.saved = None

    def through(self, node: Node, g: Any) -> None:
        self.contributions: list[tuple[Any, Any]] = []
        try:
            node.plan.pull(node, g, False, self)
        except BatchError:
            contributions = derived(node.plan.derive, node, wrapped(g))
            self.contributions = [(parent, t.array) for parent, t in zip(node.parents, contributions, strict=True) if t is not None]
        self.deliver()

    def deliver(self) -> None:
        for parent, array in self.contributions:
            if self.wants(parent):
                self.seed(parent, array)

    def seed(self, node: Any, array: Any) -> None:
        held = self.grads.get(node)
        self.grads[node] = array if held is None else elementwise(total, (held, array))

    def special(self, node: Any, g: Any, owned: bool, retain: bool) -> None:
        if node.__class__ is Output and node.parents[0].__class__ is Node and not self.captured:
            self.grads.setdefault(node.parents[0], {})[node.meta] = g
        else:
            self.contributions = []
            self.visit(node, wrapped(g), retain)
            self.deliver()

    def destination(self, parent: Any) -> tuple[Any, int]:
        return None, 0

    def arrive(self, parent: Any, array: Any) -> None:
        self.contributions.append((parent, array))

    def add(self, parent: Any, array: Any, owned: bool) -> None:
        self.contributions.append((parent, array))


class RecordedWalk(Careful):
    """The same walk over tensors, recorded itself, for derivatives of derivatives."""

    __slots__ = ()

    recorded = True

    def run(self, nodes: list[Any], retain: bool) -> None:
        for node in nodes:
            g = self.grads.pop(node, None)
            if g is not None:
                self.visit(node, g, retain)

    def value(self, g: Any) -> Any:
        return g

    def give(self, parent: Any, contribution: Any) -> None:
        if type(contribution.array) is BatchedArray:
            contribution = leaving(parent, contribution)
        held = self.grads.get(parent)
        self.grads[parent] = contribution if held is None else held + contribution

    def deposit(self, leaf: Leaf, g: Any) -> None:
        own = Leaf.wrap(elementwise(identity, (g.array,)) if g.node is None else g.array)
        own.node = g.node
        leaf.grad = own if leaf.grad is None else leaf.grad + g
