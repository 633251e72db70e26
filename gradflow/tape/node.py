"""The tape: what is recorded when an operation runs.

A tensor that needs a gradient holds a :class:`Node` (it was computed) or a :class:`Leaf` (the user made it). Nodes hold their parents,
never their outputs, and no closures, so a graph that nobody holds is gone at once, by reference counting.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

from ..backends import TapeNode, elementwise, kernel, owners, set_tape
from ..errors import GradError, InPlaceError
from .hooks import Extra, RemovableHandle, add_hook
from .place import ROOT, caller, text

owners.caller, owners.words = caller, text

clock = count(1)  # one for recordings and for changes in place
next_number: Callable[[], int] = clock.__next__

identity = kernel(lambda x: x)
total = kernel(lambda x, y: x + y)


class GradMode(threading.local):
    """Is recording on? Each thread has its own answer, as in torch."""

    enabled = True
    inference = False


mode = GradMode()

# Version cells. Tensors that share memory share one list: when it last changed (on the tape's clock), how often, and weak
# references to the views that share it, once there are some, and the line that changed it last. A list, because one is made for every saved
# tensor and costs 30 ns.
STAMP, COUNT, SHARED, PLACE = range(4)

last_change = [0]  # the latest stamp of any cell: an older graph has nothing to check


# The cell of all tensors that were made in inference mode. Their changes are not counted.
INFERENCE: list[Any] = [0, 0, None, None]


class Levels(threading.local):
    """When each of the transforms began that this thread is inside of."""

    def __init__(self) -> None:
        self.starts: list[int] = []


levels = Levels()


def new_version() -> list[Any]:
    return [0, 0, None, None]


def changed(version: list[Any], depth: int = 1) -> None:
    """Note a change in place, which somebody at least ``depth`` calls away asked for."""
    if version is INFERENCE:
        return
    version[STAMP] = last_change[0] = next_number()
    version[COUNT] += 1
    version[PLACE] = caller(depth + 1)


class Node(TapeNode):
    """One operation on the tape.

    ``plan`` knows how to go back; ``parents`` are the nodes of its inputs (``None`` where no gradient is wanted); ``saved`` are the
    arrays that the derivative reads (``None`` once they are freed) and ``guards`` their version cells; ``meta`` is whatever else the
    plan needs (shapes, axes); ``irregular`` is ``None`` unless an operand was broadcast or converted. ``number`` is its time on the
    tape: parents have smaller ones; ``place`` is where in the user's program it was recorded. ``extra`` is only there once the node is
    :class:`Watched`. The fields are the extension's, which sets them faster than Python would.
    """

    __slots__ = ("__weakref__", "extra")

    plan: Any
    parents: Any
    saved: Any
    guards: Any
    irregular: Any
    meta: Any
    number: float
    place: Any
    extra: Extra

    def name(self) -> str:
        """The operation, in torch's words: ``MulBackward0``."""
        return self.plan.name

    def _sequence_nr(self) -> float:
        """When the node was recorded: later ones have greater numbers."""
        return self.number

    @property
    def next_functions(self) -> tuple:
        """((node, output index), ...) of the inputs."""
        return tuple((None, 0) if p is None else (p.parents[0], p.meta) if p.__class__ is Output else (p, 0) for p in self.parents)

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's notes; ``detect_anomaly`` puts the forward call here."""
        return extra_of(self).metadata

    def register_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` when backward has passed this node; a tuple that it returns replaces ``grad_inputs``."""
        return add_hook(extra_of(self).after, hook)

    def register_prehook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before backward passes this node; a tuple that it returns replaces them."""
        return add_hook(extra_of(self).before, hook)

    def __repr__(self) -> str:
        return f"<{self.plan.name.rpartition(':')[2]} object at {id(self):#x}>"


def saves_inference(plan: Any) -> None:
    """A tensor made in inference mode is about to be saved: only a transform may, whose tape does not outlive it."""
    if not levels.starts:
        raise GradError(
            f"{plan.name}: Inference tensors cannot be saved for backward, and one of the operands was made in inference_mode; use a clone() of "
            "it, or no_grad() in place of inference_mode()"
        )


set_tape(clock, ROOT, Node, saves_inference)


class Output(Node):
    """One output of a node that has several: passes its gradient into that node's list at position ``meta``.

    Two for the same output are equal: a tensor has one, and the derivative of the node makes others. Its time is just after its node's.
    """

    __slots__ = ()

    def __init__(self, node: Node, index: int):
        self.plan, self.parents, self.meta = node.plan, (node,), index
        self.saved, self.guards, self.irregular = (), (), None
        self.number = node.number + 0.5  # type: ignore[misc]  # the slot is the extension's

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Output and self.parents[0] is other.parents[0] and self.meta == other.meta

    def __hash__(self) -> int:
        return hash((id(self.parents[0]), self.meta))


class Watched(Node):
    """A node somebody has hung something on."""

    __slots__ = ()


class Boundary(Node):
    """Where arrays enter or leave a vmap: a walk through it goes over tensors."""

    __slots__ = ()

    def __init__(self, plan: Any, parent: Any, batch: Any):
        super().__init__(plan, (parent,), meta=batch)
        self.extra = None  # type: ignore[assignment]


def extra_of(node: Any) -> Extra:
    """What hangs on a node; it is watched from now on."""
    if node.__class__ is Node:
        node.extra = Extra()
        node.__class__ = Watched
    elif node.extra is None:
        node.extra = Extra()
    return node.extra


def output_of(node: Any) -> tuple[Any, int]:
    """(node, number of the output) that a tensor's place on the tape stands for."""
    return (node.parents[0], node.meta) if node.__class__ is Output else (node, 0)


def keep(tensor: Any, yes: bool = True, node: Any = None) -> None:
    """Let the gradient of ``tensor`` arrive in its ``grad``, although it was computed; or no longer."""
    node, index = output_of(tensor.node if node is None else node)
    if yes:
        extra_of(node).kept[index] = weakref.ref(tensor)
    else:
        node.extra.kept.pop(index, None)


def kept_by(node: Any, tensor: Any) -> bool:
    """Does the gradient that arrives at ``node`` go to ``tensor.grad``?"""
    node, index = output_of(node)
    found = None if node.__class__ is Node or node.extra is None else node.extra.kept.get(index)
    return found is not None and found() is tensor


class Refused:
    """The plan of a history that cannot be gone back, for a reason that the node has as its ``meta``."""

    def __init__(self, name: str):
        self.name = name


def refused(reason: str, name: str = "Error") -> Node:
    """A node that backward refuses, before anything is computed."""
    return Node(Refused(name), (), None, meta=reason)


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
    if node is not None and (node.__class__ is Node or node.__class__ is Watched):
        key = id(node.plan), name
        node.plan = Named.known.get(key) or Named.known.setdefault(key, Named(node.plan, name))
    return t


class Leaf:
    """Where gradients of a tensor made by the user arrive.

    ``grad`` is the gradient the user sees. The buffer of a gradient that was set to ``None`` is kept in ``spare`` and used again,
    unless somebody else holds it by then.
    """

    __slots__ = ("__weakref__", "extra", "grad", "spare", "tensor")

    plan = None
    parents = ()
    saved = ()
    guards = ()
    number = 0
    wrap: Callable[[Any], Any]  # array -> Tensor; given by tensor.py, which is a floor above

    def __init__(self, tensor: Any) -> None:
        self.grad: Any = None
        self.spare: Any = None
        self.extra: Any = None
        self.tensor = weakref.ref(tensor)

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple:
        return ()

    @property
    def variable(self) -> Any:
        """The tensor whose gradient arrives here; ``None`` if it is gone."""
        return self.tensor()

    metadata = Node.metadata
    register_hook = Node.register_hook
    register_prehook = Node.register_prehook

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
            if sys.getrefcount(spare) == 3 and sys.getrefcount(spare.array) == 2 and spare.node is None and owners.reusable(spare.array):
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


def check(node: Any) -> None:
    """Raise if what ``node`` saved is gone or has changed since."""
    if node.saved is None:
        if isinstance(node.plan, Refused):
            raise InPlaceError(f"backward: {node.meta}")
        raise GradError(
            f"{node.plan.name}: Trying to backward through the graph a second time; the values this operation saved were freed by the "
            "first backward; call the first backward with retain_graph=True"
        )
    for array, version in zip(node.saved, node.guards, strict=False):
        if version is not None and version[STAMP] > node.number:
            shape = "x".join(map(str, array.shape)) or "scalar"
            raise InPlaceError(
                f"{node.plan.name}: one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"a saved {array.dtype} tensor of shape [{shape}] is at version {version[COUNT]} and was saved before the last change; "
                f"{node.plan.name} was recorded in {text(node.place)}, the tensor was changed in {text(version[PLACE])}; "
                "change a clone() instead, or change it after backward"
            )
