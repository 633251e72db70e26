"""The tape: what is recorded when an operation runs.

A tensor that needs a gradient holds a :class:`Node` (it was computed) or a :class:`Leaf` (the user made it). Nodes hold their parents,
never their outputs, and no closures, so a graph that nobody holds is gone at once, by reference counting.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

from ..backends import elementwise, kernel
from ..errors import GradError

next_number: Callable[[], int] = count(1).__next__  # one clock for recordings and for changes in place

identity = kernel(lambda x: x)
total = kernel(lambda x, y: x + y)


class GradMode(threading.local):
    """Is recording on? Each thread has its own answer, as in torch."""

    enabled = True


mode = GradMode()

# Version cells. Tensors that share memory share one list: when it last changed (on the tape's clock), how often, and weak
# references to the tensors that share it, once there are views. A list, because one is made for every saved tensor and costs 30 ns.
STAMP, COUNT, SHARED = range(3)

last_change = [0]  # the latest stamp of any cell: an older graph has nothing to check


def new_version() -> list[Any]:
    return [0, 0, None]


def changed(version: list[Any]) -> None:
    """Note a change in place."""
    version[STAMP] = last_change[0] = next_number()
    version[COUNT] += 1


class Node:
    """One operation on the tape.

    ``plan`` knows how to go back; ``parents`` are the nodes of its inputs (``None`` where no gradient is wanted); ``saved`` are the
    arrays that the derivative reads (``None`` once they are freed) and ``guards`` their version cells; ``meta`` is whatever else the
    plan needs (shapes, axes); ``irregular`` is ``None`` unless an operand was broadcast or converted. ``number`` is its time on the
    tape: parents have smaller ones.
    """

    __slots__ = ("__weakref__", "guards", "irregular", "meta", "number", "parents", "plan", "saved")

    saved: Any

    def __init__(self, plan: Any, parents: tuple, saved: tuple | None = (), guards: tuple = (), irregular: Any = None, meta: Any = None):
        self.plan = plan
        self.parents = parents
        self.saved = saved
        self.guards = guards
        self.irregular = irregular
        self.meta = meta
        self.number = next_number()

    def name(self) -> str:
        """The operation, in torch's words: ``MulBackward0``."""
        return self.plan.name

    @property
    def next_functions(self) -> tuple:
        """((node, output index), ...) of the inputs."""
        return tuple((None, 0) if p is None else (p.parents[0], p.meta) if p.__class__ is Output else (p, 0) for p in self.parents)

    def __repr__(self) -> str:
        return f"<{self.plan.name} object at {id(self):#x}>"


class Output(Node):
    """One output of a node that has several: passes its gradient into that node's list at position ``meta``."""

    __slots__ = ()

    def __init__(self, node: Node, index: int):
        super().__init__(node.plan, (node,), meta=index)


class Named:
    """A plan under another name: an operation made of others shows as itself."""

    __slots__ = ("name", "plan")
    known: ClassVar[dict[tuple[int, str], Named]] = {}

    def __init__(self, plan: Any, name: str):
        self.plan, self.name = plan, name

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        self.plan.pull(node, g, owned, walk)

    def derive(self, node: Node, g: Any) -> Any:
        return self.plan.derive(node, g)


def named(t: Any, name: str) -> Any:
    """``t``, whose last operation is shown as ``name``."""
    node = t.node
    if node is not None and node.__class__ is Node:
        key = id(node.plan), name
        node.plan = Named.known.get(key) or Named.known.setdefault(key, Named(node.plan, name))
    return t


class Leaf:
    """Where gradients of a tensor made by the user arrive.

    ``grad`` is the gradient the user sees. The buffer of a gradient that was set to ``None`` is kept in ``spare`` and used again,
    unless somebody else holds it by then.
    """

    __slots__ = ("__weakref__", "dtype", "grad", "hooks", "spare")

    plan = None
    parents = ()
    saved = ()
    guards = ()
    number = 0
    wrap: Callable[[Any], Any]  # array -> Tensor; given by tensor.py, which is a floor above

    def __init__(self) -> None:
        self.grad: Any = None
        self.spare: Any = None
        self.hooks: Any = None

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple:
        return ()

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"

    def clear(self) -> None:
        """``grad`` becomes ``None``; its buffer waits for the next backward."""
        if self.grad is not None:
            self.spare, self.grad = self.grad, None

    def destination(self) -> tuple[Any, int]:
        """(array to write to or ``None`` for a new one, 1 if to add to it)."""
        grad = self.grad
        if grad is not None:
            return (grad.array, 1) if grad.node is None else (None, 0)
        spare = self.spare
        if spare is not None:
            # 2: the local name and getrefcount's argument; the third is self.spare, and for the array its tensor
            if sys.getrefcount(spare) == 3 and sys.getrefcount(spare.array) == 2 and spare.node is None:
                return spare.array, 0
            self.spare = None
        return None, 0

    def arrive(self, array: Any) -> None:
        """A kernel has written ``array``, which came from :meth:`destination` or is new."""
        grad = self.grad
        if grad is None:
            spare, self.spare = self.spare, None
            if spare is not None and spare.array is array:
                self.grad = grad = spare
            else:
                self.grad = Leaf.wrap(array)
                return
        elif grad.array is not array:  # the old gradient is part of a graph, which must not change
            self.grad = Leaf.wrap(elementwise(total, (grad.array, array)))
            return
        if grad.version is not None:
            changed(grad.version)


def check(node: Node) -> None:
    """Raise if what ``node`` saved is gone or has changed since."""
    if node.saved is None:
        raise GradError(
            f"{node.plan.name}: Trying to backward through the graph a second time; the values this operation saved were freed by the "
            "first backward; call the first backward with retain_graph=True"
        )
    for array, version in zip(node.saved, node.guards, strict=False):
        if version is not None and version[STAMP] > node.number:
            shape = "x".join(map(str, array.shape)) or "scalar"
            raise GradError(
                f"{node.plan.name}: one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"a saved {array.dtype} tensor of shape [{shape}] is at version {version[COUNT]} and was saved before the last change; "
                "change a clone() instead, or change it after backward"
            )
