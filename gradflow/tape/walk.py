"""The reverse walk: cotangents from the outputs to the leaves, through every node once, in the order of the tape, newest first.

First the graph is collected and checked, then gradients flow: a graph that cannot be walked is refused before anything has changed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from ..backends import copy, elementwise
from ..backends.batched import BatchedArray, all_batches, per_example, running, within
from ..errors import BatchError
from .anomalies import look_back
from .hooks import Extra
from .node import Leaf, Node, Output, Watched, changed, check, identity, last_change, mode

by_number = attrgetter("number")

# Held while gradients arrive in leaves. A walk that calls no code of the user's holds it from its beginning to its end and adds to the
# leaves' arrays directly; the others take it for each leaf, so that a hook may wait for another thread's backward.
arriving = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child of a fork has no other thread that would release it
    os.register_at_fork(before=arriving.acquire, after_in_parent=arriving.release, after_in_child=arriving.release)


class Walks(threading.local):
    """The walks of this thread that call code of the user's, the innermost last."""

    def __init__(self) -> None:
        self.running: list[Any] = []


walks = Walks()


def collect(roots: Iterable[Any], leaves: bool) -> tuple[list[Any], bool]:
    """(all nodes below ``roots``, newest first, checked; whether one of them calls code of the user's).

    Leaves are among them only if ``leaves``, or if they are watched.
    """
    stack = list(roots)
    seen = set(stack)
    nodes = []
    recent = last_change[0]
    watched = False
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.saved is None or (node.number < recent and node.guards):
            check(node)
        if node.__class__ is not Node and node.__class__ is not Output and (node.__class__ is not Leaf or node.extra is not None):
            watched = True
        for parent in node.parents:
            if parent is not None and parent not in seen and (leaves or parent.__class__ is not Leaf or parent.extra is not None):
                seen.add(parent)
                stack.append(parent)
    nodes.sort(key=by_number, reverse=True)
    return nodes, watched


def leading_to(nodes: list[Any], targets: set[Any]) -> set[Any]:
    """Those of ``nodes`` (newest first) from whose parents one of ``targets`` can be reached."""
    needed: set[Any] = set()
    for node in reversed(nodes):
        if any(parent in needed or parent in targets for parent in node.parents):
            needed.add(node)
    return needed


def leaves_early(nodes: list[Any]) -> list[Any]:
    """The same nodes, each leaf as soon as its gradient is complete."""
    last: dict[Any, Any] = {}
    for node in nodes:
        for parent in node.parents:
            if parent.__class__ is Leaf:
                last[parent] = node
    ready: dict[Any, list[Any]] = {}
    for leaf, node in last.items():
        ready.setdefault(node, []).append(leaf)
    order = []
    for node in nodes:
        if node.__class__ is not Leaf or node not in last:
            order.append(node)
        order += ready.get(node, ())
    return order


class Careful:
    """What a walk over arrays and one over tensors have in common: the nodes that people watch, and a way back when their code fails.

    ``needed`` are the nodes to go through, ``None`` for all; ``captured`` those whose gradient is asked for.
    """

    __slots__ = ("__weakref__", "captured", "derive", "direct", "grads", "nan", "needed", "nodes", "undo")

    recorded = False

    nodes: list[Any]

    def __init__(self, needed: set[Any] | None, targets: Iterable[Any], direct: bool):
        self.grads: dict[Any, Any] = {}
        self.needed = needed
        self.captured: dict[Any, Any] = dict.fromkeys(targets) if targets else {}
        self.direct = direct  # add to the leaves' own arrays
        self.nan = False  # look for nan or inf in what every node gives
        self.derive: Any = None  # goes through a node in its plan's place
        self.undo: list[tuple[Leaf, Any, Any]] | None = None  # gradients as they were, where code of the user's may fail

    def wants(self, parent: Any) -> bool:
        return parent is not None and (self.needed is None or parent in self.needed or parent in self.captured)

    def visit(self, node: Any, g: Any, retain: bool) -> None:
        """Go through a node that is not just an operation. ``g`` is a tensor, for several outputs a dictionary of tensors."""
        cls = node.__class__
        if cls is Output:
            self.output(node, g)
            return
        extra: Extra | None = None if cls is Node else node.extra
        through = self.needed is None or node in self.needed
        if node in self.captured and through:
            self.captured[node] = g
        if extra is not None and g.__class__ is not dict:
            g = extra.see(0, g)
        if not through:
            self.captured[node] = g
            return
        if cls is Leaf:
            self.leaf(node, g, extra)
            return
        if extra is not None and extra.before:
            several = g.__class__ is dict
            given = tuple(g.get(k) for k in range(max(g) + 1)) if several else (g,)
            given = extra.enter(given)
            g = {k: v for k, v in enumerate(given) if v is not None} if several else given[0]
        if node.saved is None or node.guards:
            check(node)  # code of the user's has run since the first check
        packed, unpack = node.saved, None if extra is None else extra.unpack
        if unpack is not None:
            node.saved = unpack(packed)
        try:
            contributions = derived(self.derive or node.plan.derive, node, g)
        finally:
            if unpack is not None:
                node.saved = packed
        if self.nan:
            look_back(node, g, contributions)
        if extra is not None and extra.after:
            given = tuple(g.get(k) for k in range(max(g) + 1)) if g.__class__ is dict else (g,)
            contributions = extra.leave(tuple(contributions), given)
        for parent, contribution in zip(node.parents, contributions, strict=True):
            if contribution is not None and self.wants(parent):
                self.give(parent, contribution)
        if not retain and node.saved:
            node.saved = None

    def output(self, node: Output, g: Any) -> None:
        parent, index = node.parents[0], node.meta
        through = self.needed is None or node in self.needed
        if node in self.captured and through:
            self.captured[node] = g
        if parent.__class__ is not Node and parent.extra is not None:
            g = parent.extra.see(index, g)
        if through:
            self.grads.setdefault(parent, {})[index] = self.value(g)
        else:
            self.captured[node] = g

    def leaf(self, node: Leaf, g: Any, extra: Extra | None) -> None:
        if extra is not None:
            (g,) = extra.enter((g,))
        with arriving:
            self.remember(node)
            self.deposit(node, g)
        if extra is not None:
            variable = node.tensor()
            for hook in list(extra.accumulated.values()):
                if variable is not None:
                    hook(variable)
            extra.leave((), (g,))

    def remember(self, leaf: Leaf) -> None:
        if self.undo is not None:
            grad = leaf.grad
            self.undo.append((leaf, grad, None if grad is None or grad.node is not None else elementwise(identity, (grad.array,))))

    def rewind(self) -> None:
        """The gradients as they were before this walk."""
        with arriving:
            for leaf, grad, values in reversed(self.undo or ()):
                leaf.grad = grad
                if values is not None:
                    copy(values, grad.array)
                    if grad.version is not None:
                        changed(grad.version)

    def value(self, g: Any) -> Any:
        raise NotImplementedError

    def give(self, parent: Any, contribution: Any) -> None:
        raise NotImplementedError

    def deposit(self, leaf: Leaf, g: Any) -> None:
        raise NotImplementedError


class Walk(Careful):
    """One backward pass over arrays.

    ``grads`` holds what has arrived for each node: an array that the walk owns and may add to, or ``(array,)``, borrowed: somebody
    else reads it too, so the first addition makes a copy. Nodes with several outputs have a dictionary. A ``direct`` walk adds to the
    leaves' own arrays, which are their gradients once it has ended.
    """

    __slots__ = ()

    def run(self, nodes: list[Any], retain: bool) -> None:
        grads, needed, captured, special = self.grads, self.needed, self.captured, self.nan or self.derive is not None
        node: Any = None
        try:
            for node in nodes:
                g = grads.pop(node, None)
                if g is None:
                    continue
                owned = g.__class__ is not tuple
                if not owned:
                    g = g[0]
                if node.__class__ is not Node or special:
                    self.special(node, g, owned, retain)
                    continue
                if captured and node in captured:
                    captured[node] = g
                    owned = False
                if needed is None or node in needed:
                    node.plan.pull(node, g, owned, self)
                    if not retain and node.saved:
                        node.saved = None
            for node, g in grads.items() if self.direct else ():
                node.arrive(g)
        except (TypeError, ValueError):
            if node.saved is None:  # another backward, in a thread or a hook, has freed it meanwhile
                check(node)
            raise

    def special(self, node: Any, g: Any, owned: bool, retain: bool) -> None:
        cls = node.__class__
        if cls is Output and node.parents[0].__class__ is Node and not self.captured:
            self.grads.setdefault(node.parents[0], {})[node.meta] = g
        elif cls is Leaf and node.extra is None and not self.captured:
            with arriving:
                self.remember(node)
                out, accumulate = node.destination()
                if out is None and owned and g.flags.c_contiguous:
                    node.arrive(g)
                else:
                    node.arrive(elementwise(identity, (g,), out, accumulate))
        elif (
            cls is Watched and not node.extra.after and not node.extra.unpack and not self.captured and not self.nan and self.derive is None
        ):
            self.pulled(node, g, retain)
        else:
            self.visit(node, wrapped(g), retain)

    def pulled(self, node: Watched, g: Any, retain: bool) -> None:
        """Through a node with hooks on its outputs' gradients only."""
        extra = node.extra
        if g.__class__ is not dict and (extra.tensor or extra.kept):
            g = extra.see(0, Leaf.wrap(g)).array
        if extra.before:
            several = g.__class__ is dict
            given = tuple(g.get(k) for k in range(max(g) + 1)) if several else (g,)
            given = extra.enter(tuple(None if v is None else Leaf.wrap(v) for v in given))
            g = {k: v.array for k, v in enumerate(given) if v is not None} if several else given[0].array
        if node.saved is None or node.guards:
            check(node)
        if self.needed is None or node in self.needed:
            node.plan.pull(node, g, False, self)
        if not retain and node.saved:
            node.saved = None

    def seed(self, node: Any, array: Any) -> None:
        """The cotangent of an output, which the walk begins with."""
        if node.__class__ is not Leaf and node not in self.grads:
            self.grads[node] = (array,)
        else:
            self.add(node, array, False)

    def value(self, g: Any) -> Any:
        return g.array

    def give(self, parent: Any, contribution: Any) -> None:
        self.add(parent, contribution.array, False)

    def destination(self, parent: Any) -> tuple[Any, int]:
        """Where a kernel may write its contribution to ``parent``: (array or ``None`` for a new one, 1 if to add to it)."""
        held = self.grads.get(parent)
        if held is None:
            return parent.destination() if parent.__class__ is Leaf and self.direct else (None, 0)
        if held.__class__ is tuple:
            held = self.grads[parent] = elementwise(identity, held)
        return held, 1

    def arrive(self, parent: Any, array: Any) -> None:
        """The contribution that :meth:`destination` was asked for has been written to ``array``."""
        if self.needed is None or self.wants(parent):
            self.grads[parent] = array

    def add(self, parent: Any, array: Any, owned: bool) -> None:
        """A contribution that exists already; if it is not ``owned`` others read it too."""
        held = self.grads.get(parent)
        if held is None:
            if parent.__class__ is Leaf and self.direct:
                out, accumulate = parent.destination()
                if out is not None or not owned or not array.flags.c_contiguous:
                    array = elementwise(identity, (array,), out, accumulate)
                self.grads[parent] = array
            elif self.wants(parent):
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
        leaf.arrive(elementwise(identity, (g.array,), out, accumulate))


def wrapped(g: Any) -> Any:
    return {k: Leaf.wrap(v) for k, v in g.items()} if g.__class__ is dict else Leaf.wrap(g)


def derived(derive: Any, node: Any, g: Any) -> Any:
    """What a node's plan gives over tensors; inside of the vmaps that the gradient belongs to."""
    array = (next(iter(g.values())) if g.__class__ is dict else g).array
    if type(array) is not BatchedArray and not running.stack:
        return derive(node, g)
    own = [] if node.__class__ is Node else running.stack  # code of the user's may use whatever is there
    with within(sorted({*own, *all_batches((array, node.saved, node.meta))}, key=lambda batch: batch.start)):
        try:
            return derive(node, g)
        except BatchError:
            if mode.enabled or hasattr(node, "ctx"):  # code of the user's
                raise
        several = g.__class__ is dict
        keys = tuple(g) if several else ()

        def one(saved: Any, meta: Any, *arrays: Any) -> list[Any]:
            """The same for one example. Nothing is recorded."""
            twin = Node(node.plan, node.parents, saved, (), node.irregular, meta)
            given = {k: Leaf.wrap(a) for k, a in zip(keys, arrays, strict=True)} if several else Leaf.wrap(arrays[0])
            return [None if t is None else t.array for t in derive(twin, given)]

        arrays = [t.array for t in g.values()] if several else [g.array]
        return [None if a is None else Leaf.wrap(a) for a in per_example(one, node.saved, node.meta, *arrays)]
