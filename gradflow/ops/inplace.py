"""Changes in place: the result that torch gives, or a refusal; never a silently wrong gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends import result_type
from ..errors import DTypeError, GradflowError, ShapeError, relabel
from ..kinds import formulas, plan
from ..tape.node import Node, identity
from ..tensor import Tensor, change_in_place, changed, version_of, wrap
from .convert import element


def note(t: Tensor) -> Tensor:
    """The array of ``t`` was changed."""
    changed(version_of(t))
    return t


def become(t: Tensor, result: Tensor, op: str) -> Tensor:
    """``t`` takes the value and the history of ``result``."""
    if result.array.shape != t.array.shape:
        raise ShapeError(f"{op}: output with shape {list(t.shape)} doesn't match the broadcast shape {list(result.shape)}")
    if not dtypes.can_cast(result.dtype, t.dtype):
        raise DTypeError(
            f"{op}: result type {result.dtype.name} can't be cast to the desired output type {t.dtype.name}; convert the tensor first"
        )
    record = change_in_place(t, op, result)
    backends.copy(result.array, t.array)
    note(t)
    if record:
        t.node = (result if result.dtype is t.dtype else result.to(t.dtype)).node
    return t


def old(t: Tensor) -> Tensor:
    """The value before the change, for the tape to keep."""
    return wrap(backends.elementwise(identity, (t.array,)), t.node)


def result_of(op: Any, common: int) -> int:
    """The type of an operation's result where its operands meet in the type ``common``."""
    known = RESULTS.get((op, common, backends.cpu.default_float))
    if known is None:
        typed = op.program.typed([common] * op.program.inputs, common, backends.cpu.default_float)
        known = RESULTS[op, common, backends.cpu.default_float] = typed.types[typed.outputs[0]]
    return known


RESULTS: dict[tuple[Any, int, int], int] = {}


def labelled(function: Callable, name: str, *args: Any, **kwargs: Any) -> Tensor:
    """The result of ``function``, or its error in the name of the in-place method."""
    try:
        return function(*args, **kwargs)
    except GradflowError as error:
        raise relabel(error, name) from None


def in_place(function: Callable, name: str) -> Callable:
    """The method ``name`` that changes its tensor to ``function`` of it."""
    op = getattr(function, "op", None)

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if change_in_place(self, name, *args):
            return replace(self, labelled(function, name, old(self), *args, **kwargs), name)
        if op is not None and not kwargs and len(args) == op.program.inputs - 1:
            inputs = (self.array, *(x.array if isinstance(x, Tensor) else formulas.operand(x, name) for x in args))
            code = result_of(op, result_type(inputs))
            if not dtypes.can_cast(dtypes.BY_CODE[code], self.dtype):
                raise DTypeError(
                    f"{name}: result type {dtypes.BY_CODE[code].name} can't be cast to the desired output type {self.dtype.name}; convert the tensor first"
                )
            try:
                backends.elementwise(op.kernel, inputs, self.array)
            except GradflowError as error:
                raise relabel(error, name) from None
            return note(self)
        return become(self, labelled(function, name, self, *args, **kwargs), name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{name[:-1]}`` in place; returns the tensor."
    return call


def replace(t: Tensor, result: Tensor, name: str) -> Tensor:
    """``t``, which :func:`change_in_place` has passed, becomes ``result``."""
    if result.array.shape != t.array.shape:
        raise ShapeError(f"{name}: output with shape {list(t.shape)} doesn't match the broadcast shape {list(result.shape)}")
    if not dtypes.can_cast(result.dtype, t.dtype):
        raise DTypeError(
            f"{name}: result type {result.dtype.name} can't be cast to the desired output type {t.dtype.name}; convert the tensor first"
        )
    if result.dtype is not t.dtype:
        result = result.to(t.dtype)
    backends.copy(result.array, t.array)
    t.node = result.node
    return note(t)


def zero_(self: Tensor) -> Tensor:
    """All elements 0, in place."""
    return filled(self, 0, "zero_")


def fill_(self: Tensor, value: Any) -> Tensor:
    """All elements ``value``, in place."""
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise ShapeError(f"fill_: only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
        return copy_(self, value.expand(tuple(self.array.shape)))
    return filled(self, value, "fill_")


def filled(self: Tensor, value: Any, op: str) -> Tensor:
    number = element(op, value, self.dtype)
    if change_in_place(self, op):
        self.node = None  # a constant: nothing flows to what was there
    self.array.fill(number)
    return note(self)


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """The elements of ``src``, broadcast and converted, in place; the gradient flows to ``src``."""
    if isinstance(src, bool | int | float):
        return filled(self, src, "copy_")
    if not isinstance(src, Tensor):
        raise DTypeError(f"copy_: argument 'src' must be Tensor, not {type(src).__name__}")
    record = change_in_place(self, "copy_", src)
    try:
        fits = np.broadcast_shapes(src.array.shape, self.array.shape) == self.array.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"copy_: The size of tensor a {list(self.shape)} must match the size of tensor b {list(src.shape)}, or b must broadcast to it"
        )
    if record:
        value = src.to(self.dtype).expand(tuple(self.array.shape))
        node = value.node if value.node is not src.node else value.clone().node
        backends.copy(src.array, self.array)
        self.node = node
    else:
        backends.copy(src.array, self.array)
    return note(self)


class AssignPlan:
    """Back through ``x[key] = value``: zeros where x was overwritten; value gets what flows from its place."""

    name = "CopySlices"

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        x, value = node.parents
        views, rest, shape, code = node.meta
        if walk.wants(value):
            taken = g[views] if views is not None else g
            taken = np.asarray(taken[rest] if rest else taken, order="C")
            walk.add(value, plan.sum_to(identity, (taken,), taken.shape, shape, code, None, 0), True)
        if walk.wants(x):
            kept = g if owned else backends.elementwise(identity, (g,))
            place = kept[views] if views is not None else kept
            place[rest if rest else ...] = 0
            walk.add(x, kept, True)

    def derive(self, node: Node, g: Tensor) -> list[Any]:
        from .reductions import sum_tensor_to

        views, rest, shape, code = node.meta
        mask = np.ones(g.array.shape, bool)
        place = mask[views] if views is not None else mask
        place[rest if rest else ...] = False
        value = None
        if node.parents[1] is not None:
            value = g[views] if views is not None else g
            value = sum_tensor_to(value[rest] if rest else value, shape, code)
        return [g * wrap(mask.astype(g.array.dtype)), value]


ASSIGN = AssignPlan()


def assign(t: Tensor, views: Any, rest: tuple, value: Any, given: tuple) -> None:
    """``t[views][rest] = value``; shapes have been checked."""
    number = None if isinstance(value, Tensor) else element("setitem", value, t.dtype)
    record = change_in_place(t, "setitem", value)
    place = t.array[views] if views is not None else t.array
    if isinstance(value, Tensor):
        array = value.array.reshape(given)
        if rest:
            place[rest] = array
        else:
            backends.copy(array, place)
    else:
        place[rest if rest else ...] = number
    if record:
        node = value.node if isinstance(value, Tensor) else None
        meta = (views, rest, value.array.shape, value.dtype.code) if isinstance(value, Tensor) else (views, rest, (), 8)
        t.node = Node(ASSIGN, (t.node, node), (), (), None, meta)
    note(t)
