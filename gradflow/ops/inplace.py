"""Changes in place: the result that torch gives, or a refusal; never a silently wrong gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends import irregular, result_type
from ..errors import DTypeError, GradflowError, InPlaceError, ShapeError, relabel
from ..kinds import formulas
from ..kinds.direct import direct
from ..kinds.history import Overwrite, change_in_place, overwrite, rebase
from ..kinds.out import FORMULAS, lies_across
from ..tape.node import Node, identity
from ..tape.observe import watching
from ..tensor import Tensor, note, unrecorded, update, version_of, wrap
from . import numbers, pointwise
from .convert import element
from .indexing import from_front
from .rearranging import onto
from .view_maps import part
from .writing import written


def fitting(t: Tensor, result: Tensor, op: str) -> Tensor:
    """``result``, which is to be written to ``t``, if its shape and type allow it."""
    if result.array.shape != t.array.shape:
        raise ShapeError(f"{op}: output with shape {list(t.shape)} doesn't match the broadcast shape {list(result.shape)}")
    if result.array.dtype is not t.array.dtype:
        can_hold(t, result.dtype, op)
    return result


def can_hold(t: Tensor, dtype: Any, op: str) -> None:
    if not dtypes.can_cast(dtype, t.dtype):
        raise DTypeError(
            f"{op}: result type {dtype.name} can't be cast to the desired output type {t.dtype.name}; convert the tensor first"
        )


def become(t: Tensor, result: Tensor, op: str) -> Tensor:
    """``t`` takes the value and the history of ``result``, which was computed from it."""
    if result is t:
        return t
    fitting(t, result, op)
    return replace(t, result) if change_in_place(t, op, result) else write(t, result)


def write(t: Tensor, result: Tensor) -> Tensor:
    source = result.array
    if source.base is not None and np.may_share_memory(source, t.array):
        source = backends.duplicate(source)
    backends.copy(source, t.array)
    return note(t)


def replace(t: Tensor, result: Tensor) -> Tensor:
    """``t``, whose change is recorded, becomes ``result``."""
    node = result.node
    if node is not None and node.saved and any(a is t.array for a in node.saved):  # the derivative reads what is overwritten
        before = backends.elementwise(identity, (t.array,))
        node.saved = tuple(before if a is t.array else a for a in node.saved)
        node.guards = tuple(None if v is t.version else v for v in node.guards)
    if node is not None and result.dtype is not t.dtype:
        node = result.to(t.dtype).node
    write(t, result)
    if node is None:
        overwrite(t, None, (), None)
    else:
        rebase(t, node)
    return t


def old(t: Tensor) -> Tensor:
    """The value before the change, for the tape to keep."""
    return wrap(backends.elementwise(identity, (t.array,)), t.node)


def result_of(op: Any, common: int) -> int:
    """The type of an operation's result where its operands meet in the type ``common``."""
    known = RESULTS.get((op, common, backends.cpu.default_float))
    if known is None:
        try:
            typed = op.program.typed([common] * op.program.inputs, common, backends.cpu.default_float)
        except TypeError as error:
            raise DTypeError(str(error)) from None
        known = RESULTS[op, common, backends.cpu.default_float] = typed.types[typed.outputs[0]]
    return known


RESULTS: dict[tuple[Any, int, int], int] = {}


def labelled(function: Callable, name: str, *args: Any, **kwargs: Any) -> Tensor:
    """The result of ``function``, or its error in the name of the in-place method."""
    try:
        return function(*args, **kwargs)
    except GradflowError as error:
        raise relabel(error, name) from None


# Functions that are a formula for some of their arguments: what is given besides the tensor -> (formula, its other operands), or None


def direct_add(sign: int) -> Callable:
    def direct(other: Any, *, alpha: Any = 1) -> Any:
        if any(isinstance(x, bool) or (isinstance(x, Tensor) and x.array.dtype.kind == "b") for x in (other, alpha)):
            return None
        if alpha == 1:
            return (pointwise.add if sign == 1 else pointwise.sub).op, (other,)
        return (pointwise.add_scaled.op, (other, sign * alpha)) if isinstance(alpha, int | float) else None

    return direct


def direct_div(other: Any, *, rounding_mode: str | None = None) -> Any:
    return (pointwise.div.op, (other,)) if rounding_mode is None else None


def direct_clamp(min: Any = None, max: Any = None) -> Any:
    if not all(x is None or isinstance(x, int | float) for x in (min, max)) or min is max is None:
        return None
    if max is None:
        return pointwise.clamp_below.op, (min,)
    return (pointwise.clamp_above.op, (max,)) if min is None else (pointwise.clamp_of.op, (min, max))


def direct_bound(op: Any) -> Callable:
    return lambda bound: (op, (bound,)) if isinstance(bound, int | float) else None


def direct_addcmul(tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    return pointwise.addcmul_of.op, (tensor1, tensor2, value)


def direct_addcdiv(tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    return None if pointwise.integers(tensor1, tensor2) else (pointwise.addcdiv_of.op, (tensor1, tensor2, value))


def direct_neg() -> Any:
    return pointwise.negative.op, ()


DIRECT: dict[Callable, Callable] = {
    pointwise.scaled_add: direct_add(1),
    pointwise.scaled_sub: direct_add(-1),
    pointwise.clamp: direct_clamp,
    pointwise.addcmul: direct_addcmul,
    pointwise.addcdiv: direct_addcdiv,
    pointwise.true_divide: direct_div,
    pointwise.neg: direct_neg,
    numbers.clamp_min: direct_bound(pointwise.clamp_below.op),
    numbers.clamp_max: direct_bound(pointwise.clamp_above.op),
}
for _name, _function in zip(
    "add sub clamp addcmul addcdiv div neg clamp_min clamp_max".split(), DIRECT, strict=True
):  # what Python says of wrong arguments
    DIRECT[_function].__qualname__ = f"{_name}_"


# Functions whose result is a copy of the tensor, changed in places that are all checked before
COPIED_FIRST = frozenset("tril_ triu_ scatter_ scatter_add_ index_add_ index_copy_ index_put_ masked_scatter_ put_".split())


def plain_memory(t: Tensor, args: tuple) -> bool:
    """Is the tensor alone in its memory, which is in C order, and does no argument share it?"""
    a = t.array
    if type(a) is not np.ndarray or not a.flags.c_contiguous or a.dtype.kind == "b" or not a.flags.writeable:
        return False
    for x in args:
        for y in x if x.__class__ in (tuple, list) else (x,):
            if isinstance(y, Tensor) and (
                y.array is a or ((y.array.base is not None or a.base is not None) and np.may_share_memory(y.array, a))
            ):
                return False
    return True


def in_place(function: Callable, name: str) -> Callable:
    """The method ``name`` that changes its tensor to ``function`` of it."""
    op = getattr(function, "op", None)
    chosen = DIRECT.get(function)
    plain = op or FORMULAS.get(function)
    numeric = op is None
    copied_first = name in COPIED_FIRST
    writer = getattr(function, "writer", None)

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if op is not None and op.tensors:
            for i, x in enumerate(args, 1):
                if i in op.tensors and not isinstance(x, Tensor):
                    formulas.tensor_expected(x, name)
        if writer is not None and written(writer, self, args, kwargs):
            return self
        formula, operands = op, args
        if chosen is not None and self.array.dtype.kind != "b":
            formula, operands = chosen(*args, **kwargs) or (None, args)
            if formula is not None and update(formula.kernel, self, (self, *operands), True):
                return self
        elif kwargs:
            formula = None
        recorded = change_in_place(self, name, *args, *kwargs.values()) if kwargs else change_in_place(self, name, *args)
        if formula is not None and len(operands) == formula.program.inputs - 1:
            done = (record if recorded else compute)(self, formula, operands, name)
            if done:
                return self
        if copied_first and not recorded and plain_memory(self, args):
            onto.array = self.array
            try:
                result = labelled(function, name, self, *args, **kwargs)
                if onto.array is None:  # the result stands there already
                    return note(self)
            finally:
                onto.array = None
        else:
            result = labelled(function, name, old(self) if recorded else self, *args, **kwargs)
        fitting(self, result, name)
        return replace(self, result) if recorded else write(self, result)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{name[:-1]}`` in place; returns the tensor.\n\n    {function.__doc__}"
    return call if plain is None else direct("update", plain.kernel, tuple(op.tensors) if op else (), numeric)(call)


def beside(x: Any, t: Tensor, name: str) -> Any:
    """The operand ``x`` of an operation that writes to ``t``: a copy where they overlap, so that nothing is read after it was written."""
    if not isinstance(x, Tensor):
        return formulas.operand(x, name)
    a, b = x.array, t.array
    if a is b or (a.base is None and b.base is None) or not np.may_share_memory(a, b):
        return a
    if a.shape == b.shape and a.strides == b.strides and a.ctypes.data == b.ctypes.data:
        return a
    if lies_across(a, b):
        raise InPlaceError(
            f"{name}: unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location; "
            "clone() the input first"
        )
    return backends.duplicate(a)


def compute(t: Tensor, op: Any, operands: tuple, name: str) -> bool:
    """The formula's kernel writes to the tensor itself; nothing is recorded."""
    inputs = (t.array, *[beside(x, t, name) for x in operands])
    code = result_of(op, result_type(inputs))
    if code != dtypes.FROM_NUMPY[t.array.dtype].code:
        can_hold(t, dtypes.BY_CODE[code], name)
    try:
        backends.elementwise(op.kernel, inputs, t.array)
    except GradflowError as error:
        raise relabel(error, name) from None
    note(t)
    return True


def record(t: Tensor, op: Any, operands: tuple, name: str) -> bool:
    """The same on the tape. What the derivative reads of the old value is copied, of the new value not; ``False`` where that will not do."""
    if watching.hooks:  # what they raise must come before the change
        return False
    nodes = (t.node, *(getattr(x, "node", None) for x in operands))
    wanted = sum(1 << i for i, node in enumerate(nodes) if node is not None)
    if not wanted or op.constant or any(wanted >> i & 1 for i in op.numbers):
        return False
    inputs = (t.array, *(x.array if isinstance(x, Tensor) else formulas.operand(x, name) for x in operands))
    if result_of(op, result_type(inputs)) != t.dtype.code:
        return False
    if any(isinstance(x, Tensor) and np.may_share_memory(x.array, t.array) for x in operands):
        return False
    plan = op.plan(wanted)
    before = backends.elementwise(identity, (t.array,)) if 0 in plan.reads else None
    compute(t, op, operands, name)
    saved: tuple = ()
    guards: tuple = ()
    if plan.pick is not None:
        saved = plan.pick((before, *inputs[1:], t.array))
        guards = plan.pick((None, *(version_of(x) if isinstance(x, Tensor) else None for x in operands), t.version))
    rebase(t, Node(plan, nodes, saved, guards, irregular(t.array, inputs)))
    return True


def zero_(self: Tensor) -> Tensor:
    """All elements 0, in place; returns the tensor.

    >>> gf.zero_(gf.ones(2))
    tensor([0., 0.])
    """
    return filled(self, 0, "zero_")


def fill_(self: Tensor, value: Any) -> Tensor:
    """All elements ``value``, in place; returns the tensor. The gradient flows to a ``value`` that is a 0-d tensor.

    >>> gf.fill_(gf.ones(2), 7)
    tensor([7., 7.])
    """
    if isinstance(value, Tensor):
        if value.array.ndim:
            raise ShapeError(f"fill_: only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
        return copy_(self, value.expand(tuple(self.array.shape)))
    return filled(self, value, "fill_")


def filled(self: Tensor, value: Any, op: str) -> Tensor:
    usual = value.__class__ is float and self.array.dtype.kind == "f" and -60000 < value < 60000
    number = value if usual or (value.__class__ is int and value == 0) else element(op, value, self.dtype)
    recorded = change_in_place(self, op)
    backends.copy(number, self.array)
    note(self)
    if recorded:
        overwrite(self, None, (), None, ZERO if op == "zero_" else FILL)
    return self


ZERO, FILL, COPY = Overwrite("ZeroBackward0"), Overwrite("FillBackward0"), Overwrite("torch::autograd::CopyBackwards")


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """The elements of ``src``, broadcast and converted, in place; the gradient flows to ``src``.

    >>> gf.zeros(2, 2).copy_(gf.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    if isinstance(src, bool | int | float):
        return filled(self, src, "copy_")
    if not isinstance(src, Tensor):
        raise DTypeError(f"copy_: argument 'src' must be Tensor, not {type(src).__name__}")
    a, b = self.array, src.array
    if self.is_cuda and not src.is_cuda:
        backends.refuse_waiting("copy_")
    if unrecorded(self, src) and a.base is None and b.base is None and a is not b and a.shape == b.shape:
        backends.copy(b, a)
        return note(self)
    recorded = change_in_place(self, "copy_", src)
    try:
        fits = src.array.shape == self.array.shape or np.broadcast_shapes(src.array.shape, self.array.shape) == self.array.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"copy_: The size of tensor a {list(self.shape)} must match the size of tensor b {list(src.shape)}, or b must broadcast to it"
        )
    if src is self:
        return self
    write(self, src)
    if recorded:
        overwrite(self, None, (), src, COPY)
    return self


def rows_of(place: Any, rest: tuple) -> bool:
    """Does the index name rows, by integers?"""
    return len(rest) == 1 and type(place) is type(rest[0]) is np.ndarray and rest[0].dtype.kind in "iu" and place.ndim > 0


def assign(t: Tensor, views: Any, rest: tuple, value: Any, given: tuple) -> None:
    """``t[views][rest] = value``; shapes have been checked."""
    number = None if isinstance(value, Tensor) else element("setitem", value, t.dtype)
    recorded = change_in_place(t, "setitem", value)
    place = t.array[views] if views is not None else t.array
    if isinstance(value, Tensor):
        array = value.array.reshape(given)
        if np.may_share_memory(array, place):
            array = backends.duplicate(array)
        if not rest:
            backends.copy(array, place)
        elif rows_of(place, rest) and array.dtype == place.dtype and array.shape == (*rest[0].shape, *place.shape[1:]):
            backends.put_rows(place, 0, from_front(rest[0], place.shape[0]), array)
        else:
            place[rest] = array
    elif rest and rows_of(place, rest):
        value_of = np.array(number, place.dtype)
        backends.put_rows(place, 0, from_front(rest[0], place.shape[0]), backends.expand(value_of, (*rest[0].shape, *place.shape[1:])))
    elif rest and len(rest) == 1 and type(place) is type(rest[0]) is np.ndarray and rest[0].shape == place.shape:
        backends.elementwise(pointwise.where_of.op.kernel, (rest[0], number, place), place)  # a mask of all of it
    else:
        place[rest if rest else ...] = number
    note(t)
    if recorded:
        steps = None if views is None else (None, part.plan, (t.array.shape, (views,)))
        overwrite(t, steps, rest, value if isinstance(value, Tensor) else None)
