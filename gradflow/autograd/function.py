"""``autograd.Function``: an operation whose way back the user writes."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from ..backends.batched import running
from ..errors import BatchError, DTypeError, GradError, ShapeError
from ..kinds import plan
from ..kinds.history import rebase
from ..tape.node import INFERENCE, Leaf, Node, Output, check, levels, mode, next_number, refused, saves_inference
from ..tape.observe import pack, watching
from ..tensor import BASE, LOST, Tensor, note, version_of, wrap, wrap_view
from . import function_jvp
from .function_jvp import zeros
from .function_vmap import rule


class FunctionCtx:
    """What ``forward`` leaves for ``backward``: tensors by :meth:`save_for_backward`, anything else as an attribute."""

    def __init__(self, needs: tuple[bool, ...]):
        self.needs_input_grad = needs
        self.to_save: tuple = ()
        self.for_forward: Saved | None = None
        self.forward = False
        self.dirty: tuple = ()
        self.non_differentiable: tuple = ()
        self.materialize = True
        self._node: Any = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, inputs or outputs or others, for :attr:`saved_tensors`; changes of them in place are noticed."""
        self.to_save = savable("save_for_backward", tensors)

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``, where they are :attr:`saved_tensors`."""
        self.saved_for_forward = savable("save_for_forward", tensors)

    def mark_dirty(self, *args: Tensor) -> None:
        """These inputs were changed in place; they must be returned."""
        self.dirty = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """No gradient flows to these outputs."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (the default) or ``None`` for outputs to which no gradient flows."""
        self.materialize = value

    @property
    def saved_tensors(self) -> tuple:
        """The tensors given to :meth:`save_for_backward`, in ``jvp`` those given to :meth:`save_for_forward`, if they have not changed since."""
        node = self._node() if self._node is not None else None
        if self.forward and node is not None and self.for_forward is not None:
            check(self.for_forward)
            return node.tensors(*self.for_forward[:3])
        return self.to_save if node is None else node.unpacked()

    @contextmanager
    def forward_mode(self) -> Iterator[None]:
        """``jvp`` is running."""
        before, self.forward = self.forward, True
        try:
            yield
        finally:
            self.forward = before

    def __getattr__(self, name: str) -> Any:
        node = self.__dict__.get("_node")
        if node is not None and name in ("name", "next_functions", "metadata", "register_hook", "register_prehook"):
            return getattr(node(), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def savable(op: str, tensors: tuple) -> tuple:
    for i, t in enumerate(tensors):
        if t is not None and not isinstance(t, Tensor):
            raise DTypeError(
                f"{op}: can only save variables, but argument {i} is of type {type(t).__name__}; keep it as an attribute of ctx"
            )
    return tensors


class Saved(NamedTuple):
    """Tensors that were saved: themselves, or for an output its number, since it holds the node; their arrays and version cells, and since when."""

    kept: tuple
    saved: tuple
    guards: tuple
    number: float
    plan: Any
    place: Any


class FunctionNode(Node):
    """The place of a custom function on the tape; what its ``ctx`` has can be read from it."""

    ctx: FunctionCtx
    kept: Any = ()  # the tensors that were saved; for an output its number, since it holds this node

    def __init__(self, plan: Any, ctx: FunctionCtx):
        self.plan, self.ctx, self.extra = plan, ctx, None  # type: ignore[assignment]
        self.parents, self.saved, self.guards, self.irregular, self.meta = (), (), (), None, None
        self.note_place()

    @property
    def next_functions(self) -> tuple:
        """((node, output index), ...) of the inputs that are tensors."""
        return tuple(place for place, like in zip(Node.next_functions.fget(self), self.irregular, strict=True) if like is not None)  # type: ignore[attr-defined]

    def unpacked(self) -> tuple:
        if self.saved is None:
            self.kept = ()
        check(self)
        arrays = self.saved if self.extra is None or self.extra.unpack is None else self.extra.unpack(self.saved)
        return self.tensors(self.kept, arrays, self.guards or (None,) * len(arrays))

    def tensors(self, kept: tuple, arrays: tuple, guards: tuple) -> tuple:
        return tuple(map(self.restored, kept, arrays, guards))

    def restored(self, kept: Any, array: Any, version: Any) -> Any:
        if isinstance(kept, int):
            t = wrap(array, self if self.meta == 1 else Output(self, kept))
            t.version = version
            return t
        return wrap(array, kept.node) if kept is not None and array is not kept.array else kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["ctx"], name)


class Held:
    """Where a saved tensor was on the tape; its values are packed."""

    array = None

    def __init__(self, node: Any):
        self.node = node


class FunctionPlan:
    """Back through a custom function. The node's ``irregular`` has (shape, type) of each argument, its ``meta`` the number of outputs."""

    def __init__(self, function: type[Function]):
        self.function, self.name = function, f"{function.__name__}Backward"
        self.node = type(self.name, (FunctionNode,), {"__module__": function.__module__, "_forward_cls": function})

    def without(self, name: str) -> bool:
        """Has the user left out this function?"""
        return getattr(self.function, name) is getattr(Function, name)

    def transposed(self, node: FunctionNode, g: Any) -> list[Any]:
        return function_jvp.transposed(node, g)

    def derive(self, node: FunctionNode, g: Any) -> list[Any]:
        outputs, ctx, cls = node.outputs, node.ctx, self.function
        given = g if g.__class__ is dict else {node.first: g}
        grads = [given.get(k) for k in range(len(outputs))]
        if ctx.materialize:
            grads = [zeros(outputs[k], given.values()) if t is None and outputs[k] is not None else t for k, t in enumerate(grads)]
        backward = cls.vjp if self.without("backward") else cls.backward
        result = backward(ctx, *grads)
        result = result if isinstance(result, tuple) else (result,)
        n = len(node.parents)
        while len(result) > n and result[-1] is None:
            result = result[:-1]
        if len(result) != n:
            raise GradError(
                f"{self.name}: function {self.name} returned an incorrect number of gradients (expected {n}, got {len(result)})"
            )
        return [self.checked(i, t, node.irregular[i], node.parents[i]) for i, t in enumerate(result)]

    def checked(self, i: int, g: Any, like: Any, parent: Any) -> Any:
        if g is None:
            return None
        if not isinstance(g, Tensor):
            raise DTypeError(f"{self.name}: expected Variable or None as gradient {i} (got {type(g).__name__})")
        if like is None:
            raise GradError(
                f"{self.name}: function {self.name} returned a gradient different from None at position {i + 1}, but the corresponding forward "
                "input was not a Variable"
            )
        shape, dtype = like
        if parent is None or (g.array.shape == shape and g.dtype is dtype):
            return g
        try:
            fits = np.broadcast_shapes(shape, g.array.shape) == g.array.shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"{self.name}: Function {self.name} returned an invalid gradient at index {i} - got {list(g.shape)} but expected shape "
                f"compatible with {list(shape)}"
            )
        return plan.sum_tensor_to(g, shape, dtype.code)


def alias(t: Tensor, node: Any = None) -> Tensor:
    """Another tensor over the same memory, as a function returns for an input that it hands through."""
    twin = wrap(t.array, node)
    twin.version = version_of(t)
    return twin


class Function:
    """An operation with a derivative of its own: subclass it, with static ``forward`` and ``backward``, and call :meth:`apply`.

    ``forward(ctx, *args)`` computes, unrecorded; it may instead be ``forward(*args)`` beside ``setup_context(ctx, inputs, output)``.
    ``backward(ctx, *grad_outputs)`` returns a gradient, or ``None``, for every argument. It is recorded under ``create_graph=True``, so a
    derivative of it follows from the operations that it uses.

    ``jvp(ctx, *tangents)`` returns the tangent of every output, for forward mode: dual tensors, ``func.jvp`` and their kin. ``vmap(info, in_dims,
    *args)`` returns ``(outputs, out_dims)`` for arguments that hold ``info.batch_size`` examples along ``in_dims``. Without them forward mode is
    the derivative of ``backward``, and ``forward`` runs on the examples as the operations in it do.

    >>> class Cube(gf.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * g
    >>> x = gf.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    generate_vmap_rule = False
    _plan: FunctionPlan

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._plan = FunctionPlan(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise GradError(f"{type(self).__name__}: a Function is not called; use {type(self).__name__}.apply(...) with a static forward")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("Function: You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> Any:
        raise NotImplementedError("Function: setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "Function: You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        raise NotImplementedError(f"Function: {function_jvp.MISSING}")

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> Any:
        raise NotImplementedError("Function: to use autograd.Function with vmap, implement the vmap staticmethod.")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """The function's value at ``args``, recorded if one of them requires a gradient."""
        if kwargs:
            args = positional(cls, args, kwargs)
        forward: Callable = cls.forward
        if running.stack and cls.vmap is not Function.vmap:
            batched, alone = rule(cls, args)
            if batched is not None and (alone or cls.setup_context is Function.setup_context):
                return batched(*args)
            forward = batched or forward
        nodes = tuple(x.node if isinstance(x, Tensor) else None for x in args)
        ctx = FunctionCtx(tuple(node is not None for node in nodes))
        was, mode.enabled = mode.enabled, False
        try:
            if cls.setup_context is not Function.setup_context:
                result = forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = forward(ctx, *args)
        except BatchError as error:
            raise BatchError(
                f"{cls.__name__}: You tried to vmap over {cls.__name__}, but it does not have vmap support; override the vmap staticmethod, since "
                f"its forward does what differs among the examples: {error}"
            ) from None
        finally:
            mode.enabled = was
        outputs = result if isinstance(result, tuple) else (result,)
        check_dirty(cls, ctx, args, outputs, was)
        for t in ctx.dirty:
            note(t)
        node = None
        if was and any(ctx.needs_input_grad):
            node = cls._plan.node(cls._plan, ctx)
            node.parents = nodes
            node.irregular = [(x.array.shape, x.dtype) if isinstance(x, Tensor) else None for x in args]
            node.outputs = [(x.array.shape, x.dtype) if isinstance(x, Tensor) else None for x in outputs]
            node.number = next_number()
        returned = finish(ctx, node, args, outputs)
        if node is not None:
            save(ctx, node, outputs, returned)
        return returned if isinstance(result, tuple) else returned[0]


def positional(cls: type[Function], args: tuple, kwargs: dict) -> tuple:
    """All arguments of ``forward`` but ctx, in its order."""
    ctx = () if cls.setup_context is not Function.setup_context else (None,)
    try:
        bound = inspect.signature(cls.forward).bind(*ctx, *args, **kwargs)
    except TypeError as error:
        raise DTypeError(f"{cls.__name__}: {error}") from None
    bound.apply_defaults()
    return bound.args[len(ctx) :]


def among(t: Any, others: tuple) -> bool:
    return any(t is x for x in others)


def check_dirty(cls: type, ctx: FunctionCtx, args: tuple, outputs: tuple, recording: bool) -> None:
    for t in ctx.dirty:
        if not among(t, outputs):
            raise GradError(
                f"{cls.__name__}: Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
                "modified inplace must all be outputs of the Function."
            )
        if recording and isinstance(t.node, Leaf):
            raise GradError(f"{cls.__name__}: a leaf Variable that requires grad has been used in an in-place operation; pass a clone()")
        origin = getattr(t, "origin", None)
        if recording and origin is not None and any(ctx.needs_input_grad):
            if len(outputs) > 1:
                raise GradError(
                    f"{cls.__name__}: if your Function changes a view in place and has several outputs, its history cannot be rebuilt; pass a clone()"
                )
            if isinstance(origin[BASE].node, Leaf) or origin[LOST]:
                raise GradError(f"{cls.__name__}: a view of a leaf Variable that requires grad is being used in an in-place operation")


def finish(ctx: FunctionCtx, node: Any, args: tuple, outputs: tuple) -> tuple:
    """The outputs as the user gets them, with their places on the tape."""
    tensors = [k for k, t in enumerate(outputs) if isinstance(t, Tensor)]
    if node is not None:
        node.meta, node.first = len(tensors), tensors[0] if tensors else 0
    returned = list(outputs)
    for k in tensors:
        t = outputs[k]
        place = None
        if node is not None and not among(t, ctx.non_differentiable) and t.array.dtype.kind in "fV":
            place = node if node.meta == 1 else Output(node, k)
        if among(t, ctx.dirty):
            if node is not None:
                rebase(t, place)
        elif among(t, args):
            returned[k] = wrap_view(t.array, t, place, None, None, HANDED) if place is not None else alias(t)
        elif t.node is not None:
            returned[k] = alias(t, place)
        else:
            t.node = place
    return tuple(returned)


def saved(tensors: tuple, node: FunctionNode, outputs: tuple, returned: tuple) -> Saved:
    kept: list[Any] = []
    for t in tensors:
        k = next((k for k, out in enumerate(outputs) if out is t and returned[k] is t and t.node is not None), None)
        kept.append(t if k is None else k)
    arrays = tuple(None if t is None else t.array for t in tensors)
    guards = tuple(None if t is None else version_of(t) for t in tensors)
    if any(v is INFERENCE for v in guards):
        saves_inference(node.plan)
    return Saved(tuple(kept), arrays, guards, node.number, node.plan, node.place)


def save(ctx: FunctionCtx, node: FunctionNode, outputs: tuple, returned: tuple) -> None:
    """What ``save_for_backward`` was given moves to the node, where its versions are watched."""
    backward = saved(ctx.to_save, node, outputs, returned)
    node.kept, node.saved, node.guards, ctx.to_save = backward.kept, backward.saved, backward.guards, ()
    kept_for_forward = ctx.__dict__.pop("saved_for_forward", None)
    if kept_for_forward is not None and levels.starts:
        ctx.for_forward = saved(kept_for_forward, node, outputs, returned)
    ctx._node = weakref.ref(node)
    if watching.hooks:
        pack(node)
        node.kept = tuple(k if k is None or isinstance(k, int) else Held(k.node) for k in node.kept)


def once_differentiable(function: Callable) -> Callable:
    """For a ``backward`` that is not made of recorded operations: differentiating it again raises."""

    @wraps(function)
    def call(ctx: Any, *grads: Any) -> Any:
        was, mode.enabled = mode.enabled, False
        try:
            outputs = function(ctx, *grads)
        finally:
            mode.enabled = was
        if not was or not any(isinstance(g, Tensor) and g.node is not None for g in grads):
            return outputs
        error = refused("trying to differentiate twice a function that was marked with @once_differentiable")
        marked = [wrap(t.array, error) if isinstance(t, Tensor) else t for t in (outputs if isinstance(outputs, tuple) else (outputs,))]
        return tuple(marked) if isinstance(outputs, tuple) else marked[0]

    return call


HANDED = "was handed through a custom Function"
__all__ = ["Function", "FunctionCtx", "once_differentiable"]
