"""Histories of memory that changes: who may be changed in place, and what the tensors that share the memory are afterwards.

A view knows its base and the linear steps that lead from it. A change of a view is a change of the base, which gets the history
"the old base, with this place overwritten"; then every view of that base gets its steps from the new history. So no tensor has a history
that is not its value's.
"""

from __future__ import annotations

from typing import Any

from .. import backends
from ..errors import InPlaceError
from ..tape.node import SHARED, Leaf, Node, identity, keep, kept_by, mode, refused
from ..tensor import BASE, LOST, STEPS, Tensor, leave, unrecorded, wrap
from . import plan
from .linear_maps import linear


def change_in_place(t: Tensor, op: str, *sources: Any) -> bool:
    """Will the change of ``t`` in place be recorded? Refuse it, before it happens, where a gradient would be wrong."""
    if unrecorded(t, *sources):
        return False
    if not t.array.flags.writeable:
        raise InPlaceError(f"{op}: the tensor is read-only (it wraps a read-only array, or is expanded); change a clone() instead")
    if not mode.enabled:
        return False
    origin = getattr(t, "origin", None)
    if t.node is None and (origin is None or origin[BASE].node is None):
        for s in sources:
            if getattr(s, "node", None) is not None:
                break
        else:
            return False
    if origin is not None:
        if origin[LOST]:
            raise InPlaceError(
                f"{op}: a view of shape {list(t.shape)} that {origin[LOST]} is being modified inplace while recording; "
                "change the base, or a clone() of the view"
            )
        if origin[BASE].node.__class__ is Leaf:
            raise InPlaceError(
                f"{op}: a view of a leaf Variable that requires grad is being used in an in-place operation; wrap the change in no_grad()"
            )
        if repeats(t.array) or relative(origin):
            raise InPlaceError(
                f"{op}: elements of the view of shape {list(t.shape)} share memory with one another; change a clone() instead"
            )
    if t.node.__class__ is Leaf:
        raise InPlaceError(f"{op}: a leaf Variable that requires grad is being used in an in-place operation; wrap the change in no_grad()")
    return True


def repeats(a: Any) -> bool:
    """May two elements be one place in memory?"""
    reach = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(a.strides, a.shape, strict=True) if n != 1):
        if stride <= reach or (not reach and stride < a.itemsize):
            return a.size > 1
        reach += stride * (n - 1)
    return False


def relative(origin: Any) -> bool:
    """Does a step count from the start of a storage that is not all the base's?"""
    if not backends.is_array(origin[BASE].array.base):
        return False
    steps = origin[STEPS]
    while steps is not None:
        if steps[1].name == "AsStridedBackward0":
            return True
        steps = steps[0]
    return False


def unrolled(steps: Any) -> list[tuple[Any, Any]]:
    chain = []
    while steps is not None:
        steps, step, meta = steps
        chain.append((step, meta))
    return chain[::-1]


def place_in(array: Any, steps: Any) -> Any:
    """The view that ``steps`` make of an array."""
    for step, (_, params) in unrolled(steps):
        array = step.forward(array, *params)
    return array


def order_of(a: Any) -> tuple[int, ...] | None:
    """The axes from the longest stride to the shortest; ``None`` if that is C order."""
    if a.flags.c_contiguous:
        return None
    return tuple(sorted(range(a.ndim), key=lambda i: -abs(a.strides[i])))


def copy_in(order: tuple[int, ...] | None, g: Any) -> Any:
    """A copy of ``g`` with its axes in memory as ``order`` says, so that the steps find views in it."""
    if order is None:
        out = backends.empty(g.shape, plan.FROM_NUMPY[g.dtype].code, g)
    else:
        inverse = [0] * len(order)
        for i, axis in enumerate(order):
            inverse[axis] = i
        out = backends.empty(tuple(g.shape[i] for i in order), plan.FROM_NUMPY[g.dtype].code, g).transpose(inverse)
    backends.copy(g, out)
    return out


@linear
def cleared(a, steps, rest, order):
    """The array with zeros at a place. (Its own adjoint.)"""
    out = copy_in(order, a)
    place_in(out, steps)[rest if rest else ...] = 0
    return out


@cleared.adjoint
def cleared_adjoint(g, shape, steps, rest, order):
    return cleared(g, steps, rest, order)


@linear
def taken(a, steps, rest, order):
    """The elements at a place."""
    place = place_in(copy_in(order, a), steps)
    return backends.duplicate(place[rest] if rest else place)


@taken.adjoint
def taken_adjoint(g, shape, steps, rest, order):
    return placed(g, shape, steps, rest, order)


@linear
def placed(a, shape, steps, rest, order):
    """Zeros, with the array at a place."""
    out = copy_in(order, backends.zeros(shape, plan.FROM_NUMPY[a.dtype].code, a))
    place_in(out, steps)[rest if rest else ...] = a
    return out


@placed.adjoint
def placed_adjoint(g, small, shape, steps, rest, order):
    return taken(g, steps, rest, order)


class Overwrite:
    """Back through ``x[place] = value``: zeros where x was overwritten; value gets what flows from its place.

    ``meta`` is (steps to the place, indices into it, shape of the value, its type, order of x's axes in memory).
    """

    def __init__(self, name: str):
        self.name = name

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        x, value = node.parents
        steps, rest, shape, code, order = node.meta
        if not (owned and order is None and g.flags.c_contiguous):
            g = copy_in(order, g)
        place = place_in(g, steps)
        if walk.wants(value):
            part = backends.duplicate(place[rest] if rest else place)
            part = part.reshape((1,) * (len(shape) - part.ndim) + part.shape)  # leading sizes of 1 may be assigned from
            walk.add(value, plan.sum_to(identity, (part,), part.shape, shape, code, None, 0), True)
        if walk.wants(x):
            place[rest if rest else ...] = 0
            walk.add(x, g, True)

    def derive(self, node: Node, g: Tensor) -> list[Any]:
        steps, rest, shape, code, order = node.meta
        x, value = node.parents
        kept = None if x is None else cleared(g, steps, rest, order)
        if value is None:
            return [kept, None]
        part = taken(g, steps, rest, order)
        part = part.reshape((1,) * (len(shape) - part.ndim) + tuple(part.shape))
        return [kept, plan.sum_tensor_to(part, shape, code)]


SLICES = Overwrite("torch::autograd::CopySlices")


def overwrite(t: Tensor, steps: Any, rest: tuple, value: Any, name: Any = SLICES, shape: Any = None) -> None:
    """The history of ``t`` after ``value``, a tensor or ``None`` for a constant, was written to a place in it; ``steps`` lead there from ``t``."""
    origin = getattr(t, "origin", None)
    base = t if origin is None else origin[BASE]
    if origin is not None:
        name, steps = SLICES, joined(origin[STEPS], steps)
    node = None if value is None else value.node
    if base.node is not None or node is not None:
        if value is None:
            code, shape = base.dtype.code, ()
        else:
            code, shape = value.dtype.code, value.array.shape if shape is None else shape
        become(base, Node(name, (base.node, node), (), (), None, (steps, rest, shape, code, order_of(base.array))))


def joined(first: Any, then: Any) -> Any:
    for step, meta in unrolled(then):
        first = first, step, meta
    return first


def rebase(t: Tensor, node: Any) -> None:
    """``t`` was changed in place: its value is now that of ``node``."""
    if getattr(t, "origin", None) is None:
        become(t, node)
    else:
        overwrite(t, None, (), wrap(t.array, node))


def become(base: Tensor, node: Any) -> None:
    """A tensor that is no view gets a new history, and with it its views."""
    renew(base, node)
    sharers = base.version[SHARED] if base.version is not None else None
    for r in sharers or ():
        v = r()
        if v is not None and hasattr(v, "origin") and v.origin[BASE] is base:
            renew(v, again(base.node, v.origin))


def again(node: Any, origin: Any) -> Any:
    """The history of a view of ``node``."""
    if node is None:
        return None
    if origin[LOST]:
        return refused(
            f"a view that {origin[LOST]} was used after its base or another view of its base was modified inplace; use a clone()"
        )
    for step, meta in unrolled(origin[STEPS]):
        node = Node(step, (node,), (), (), None, meta)
    return node


def turn(t: Tensor, result: Tensor) -> None:
    """``t`` gets the axes of ``result``, a view of it."""
    origin = getattr(t, "origin", None)
    leave(t)
    if origin is not None:
        t.origin = origin[BASE], joined(origin[STEPS], result.origin[STEPS] if hasattr(result, "origin") else None), origin[LOST]
    t.array = result.array
    renew(t, result.node)


def renew(t: Tensor, node: Any) -> None:
    """``t`` gets another node; if it retains its gradient, it does so there."""
    old, t.node = t.node, node
    if old is not None and old.__class__ is not Node and kept_by(old, t):
        keep(t, False, old)
        if node is not None:
            keep(t)
