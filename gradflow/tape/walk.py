"""The reverse walk: cotangents from the outputs to the leaves, through every node once, in the order of the tape, newest first.

First the graph is collected and checked, then gradients flow: a graph that cannot be walked is refused before anything has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from ..backends import elementwise
from .node import Leaf, Output, check, identity, last_change

by_number = attrgetter("number")


def collect(roots: Iterable[Any], leaves: bool) -> list[Any]:
    """All nodes below ``roots``, newest first, checked. Leaves are among them only if ``leaves``."""
    stack = list(roots)
    seen = set(stack)
    nodes = []
    recent = last_change[0]
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.saved is None or (node.number < recent and node.guards):
            check(node)
        for parent in node.parents:
            if parent is not None and parent not in seen and (leaves or parent.__class__ is not Leaf or parent.hooks is not None):
                seen.add(parent)
                stack.append(parent)
    nodes.sort(key=by_number, reverse=True)
    return nodes


def leading_to(nodes: list[Any], targets: set[Any]) -> set[Any]:
    """Those of ``nodes`` (newest first) from which one of ``targets`` can be reached."""
    needed = set(targets)
    for node in reversed(nodes):
        if any(parent in needed for parent in node.parents):
            needed.add(node)
    return needed


class Walk:
    """One backward pass over arrays.

    ``grads`` holds what has arrived for each node: an array that the walk owns and may add to, or ``(array,)``, borrowed: somebody
    else reads it too, so the first addition makes a copy. Nodes with several outputs have a list.
    """

    __slots__ = ("captured", "direct", "grads", "needed")

    def __init__(self, needed: set[Any] | None = None, targets: Iterable[Any] = (), direct: bool = True):
        self.grads: dict[Any, Any] = {}
        self.needed = needed
        self.captured: dict[Any, Any] = dict.fromkeys(targets)
        self.direct = direct

    def run(self, nodes: list[Any], retain: bool) -> None:
        grads, needed, captured = self.grads, self.needed, self.captured
        for node in nodes:
            g = grads.pop(node, None)
            if g is None or (needed is not None and node not in needed):
                continue
            owned = g.__class__ is not tuple
            if not owned:
                g = g[0]
            if node in captured:
                captured[node] = g
                owned = False
            if node.__class__ is Leaf:
                if not captured:
                    self.deposit(node, g)
                continue
            if node.__class__ is Output:
                self.grads.setdefault(node.parents[0], {})[node.meta] = g
                continue
            node.plan.pull(node, g, owned, self)
            if not retain and node.saved:
                node.saved = None

    def wants(self, parent: Any) -> bool:
        return parent is not None and (self.needed is None or parent in self.needed)

    def destination(self, parent: Any) -> tuple[Any, int]:
        """Where a kernel may write its contribution to ``parent``: (array or ``None`` for a new one, 1 if to add to it)."""
        if parent.__class__ is Leaf and self.direct and parent.hooks is None:
            return parent.destination()
        held = self.grads.get(parent)
        if held is None:
            return None, 0
        if held.__class__ is tuple:
            held = self.grads[parent] = elementwise(identity, held)
        return held, 1

    def arrive(self, parent: Any, array: Any) -> None:
        """The contribution that :meth:`destination` was asked for has been written to ``array``."""
        if parent.__class__ is Leaf and self.direct and parent.hooks is None:
            parent.arrive(array)
        elif self.needed is None or parent in self.needed:
            self.grads[parent] = array

    def add(self, parent: Any, array: Any, owned: bool) -> None:
        """A contribution that exists already; if it is not ``owned`` others read it too."""
        if parent.__class__ is Leaf and self.direct and parent.hooks is None:
            out, accumulate = parent.destination()
            if out is None and owned and array.flags.c_contiguous:
                parent.arrive(array)
            else:
                parent.arrive(elementwise(identity, (array,), out, accumulate))
            return
        held = self.grads.get(parent)
        if held is None:
            if self.needed is None or parent in self.needed:
                self.grads[parent] = array if owned else (array,)
        elif held.__class__ is tuple:
            if owned:
                self.grads[parent] = elementwise(identity, held, array, 1)
            else:
                self.grads[parent] = elementwise(identity, (array,), elementwise(identity, held), 1)
        else:
            elementwise(identity, (array,), held, 1)

    def deposit(self, leaf: Leaf, g: Any) -> None:
        """The whole gradient of a leaf, collected because somebody wanted to see it first."""
        out, accumulate = leaf.destination()
        leaf.arrive(elementwise(identity, (g,), out, accumulate))


class RecordedWalk:
    """The same walk over tensors, recorded itself, for derivatives of derivatives."""

    __slots__ = ("captured", "grads", "needed")

    def __init__(self, needed: set[Any] | None = None, targets: Iterable[Any] = ()):
        self.grads: dict[Any, Any] = {}
        self.needed = needed
        self.captured: dict[Any, Any] = dict.fromkeys(targets)

    def run(self, nodes: list[Any], retain: bool) -> None:
        for node in nodes:
            g = self.grads.pop(node, None)
            if g is None or (self.needed is not None and node not in self.needed):
                continue
            if node in self.captured:
                self.captured[node] = g
            if node.__class__ is Leaf:
                if not self.captured:
                    node.grad = g if node.grad is None else node.grad + g
                continue
            if node.__class__ is Output:
                self.grads.setdefault(node.parents[0], {})[node.meta] = g
                continue
            for parent, contribution in zip(node.parents, node.plan.derive(node, g), strict=True):
                if parent is not None and contribution is not None and (self.needed is None or parent in self.needed):
                    held = self.grads.get(parent)
                    self.grads[parent] = contribution if held is None else held + contribution
            if not retain and node.saved:
                node.saved = None
