"""MXNet's ``autograd``: recording is asked for, ``backward`` of an array is that of its sum, and gradients are written, not added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError, DTypeError, GradError
from ..tape.node import Leaf
from ..tape.walk import collect
from ..tensor import Tensor
from .array import NDArray, bare, gf, mark, run, state

__all__ = ["Function", "backward", "grad", "is_recording", "is_training", "mark_variables", "pause", "predict_mode", "record"]
__all__ += ["set_recording", "set_training", "train_mode"]


class Scope:
    """Recording and training as given, within a ``with`` block; ``None`` leaves one as it is."""

    def __init__(self, recording: bool | None, training: bool | None):
        self.wanted = recording, training
        self.before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.before.append((state.recording, state.training))
        recording, training = self.wanted
        state.recording = state.recording if recording is None else recording
        state.training = state.training if training is None else training

    def __exit__(self, *exc: object) -> None:
        state.recording, state.training = self.before.pop()


def record(train_mode: bool = True) -> Scope:
    """Record what is computed in the block; layers such as dropout behave as in training if ``train_mode``.

    >>> from gradflow.mxnet import autograd, np
    >>> x = np.array([1, 2])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    array([2., 4.])
    """
    return Scope(True, train_mode)


def pause(train_mode: bool = False) -> Scope:
    """Record nothing in the block.

    >>> from gradflow.mxnet import autograd
    >>> with autograd.record():
    ...     with autograd.pause():
    ...         autograd.is_recording()
    False
    """
    return Scope(False, train_mode)


def train_mode() -> Scope:
    """Layers behave as in training in the block; recording stays as it is.

    >>> from gradflow.mxnet import autograd
    >>> with autograd.train_mode():
    ...     autograd.is_training(), autograd.is_recording()
    (True, False)
    """
    return Scope(None, True)


def predict_mode() -> Scope:
    """Layers behave as in prediction in the block; recording stays as it is.

    >>> from gradflow.mxnet import autograd
    >>> with autograd.record():
    ...     with autograd.predict_mode():
    ...         autograd.is_training(), autograd.is_recording()
    (False, True)
    """
    return Scope(None, False)


def is_recording() -> bool:
    """Whether what is computed now is recorded, as within ``record()``.

    >>> from gradflow.mxnet import autograd
    >>> autograd.is_recording()
    False
    >>> with autograd.record():
    ...     autograd.is_recording()
    True
    """
    return state.recording


def is_training() -> bool:
    """Whether layers such as dropout behave as in training now.

    >>> from gradflow.mxnet import autograd
    >>> autograd.is_training()
    False
    >>> with autograd.record():
    ...     autograd.is_training()
    True
    """
    return state.training


def set_recording(is_recording: bool) -> bool:
    """Switch recording; returns what it was.

    >>> from gradflow.mxnet import autograd
    >>> autograd.set_recording(True)
    False
    >>> autograd.set_recording(False)
    True
    """
    was, state.recording = state.recording, bool(is_recording)
    return was


def set_training(train_mode: bool) -> bool:
    """Switch training; returns what it was.

    >>> from gradflow.mxnet import autograd
    >>> autograd.set_training(True)
    False
    >>> autograd.set_training(False)
    True
    """
    was, state.training = state.training, bool(train_mode)
    return was


def as_list(x: Any, op: str) -> list[NDArray]:
    arrays = list(x) if isinstance(x, list | tuple) else [x]
    for a in arrays:
        if not isinstance(a, NDArray):
            raise DTypeError(f"{op}: expected an array or a list of arrays, not {type(a).__name__}")
    return arrays


def mark_variables(variables: Any, gradients: Any, grad_reqs: Any = "write") -> None:
    """Let the gradients of ``variables`` arrive in ``gradients``, arrays of the same shapes, as ``grad_reqs`` says.

    >>> from gradflow.mxnet import autograd, np
    >>> x, g = np.array([1, 2]), np.zeros(2)
    >>> autograd.mark_variables(x, g)
    >>> with autograd.record():
    ...     y = x * x
    >>> y.backward()
    >>> g
    array([2., 4.])
    """
    variables, gradients = as_list(variables, "mark_variables"), as_list(gradients, "mark_variables")
    reqs = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else list(grad_reqs)
    if not len(variables) == len(gradients) == len(reqs):
        raise ArgumentError(
            f"mark_variables: {len(variables)} variables, {len(gradients)} gradients and {len(reqs)} grad_reqs; give one of each for each"
        )
    for x, g, req in zip(variables, gradients, reqs, strict=True):
        mark(x, bare(g), req)


def heads_of(heads: Any, head_grads: Any, op: str) -> tuple[list[Tensor], list[Tensor]]:
    """(the tensors to differentiate, their cotangents): ones where none is given."""
    outputs = [a.tensor for a in as_list(heads, op)]
    given = [None] * len(outputs) if head_grads is None else [head_grads] if isinstance(head_grads, NDArray) else list(head_grads)
    if len(given) != len(outputs):
        raise ArgumentError(f"{op}: {len(outputs)} heads and {len(given)} head gradients; give one for each")
    for t in outputs:
        if t.node is None:
            raise GradError(
                f"{op}: Cannot differentiate node because it is not in a computational graph; compute it within autograd.record() "
                "from arrays with attach_grad()"
            )
    return outputs, [gf.ones_like(t.detach()) if g is None else bare(g) for t, g in zip(outputs, given, strict=True)]


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """The gradients of the arrays ``heads``, each times its head gradient, for all arrays with an attached gradient that lead there.

    They are written over the old ones, or added to them, or left out, as each array's ``grad_req`` says.

    >>> from gradflow.mxnet import autograd, np
    >>> x = np.array([1, 2])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y, z = x * x, 3 * x
    >>> autograd.backward([y, z])
    >>> x.grad
    array([5., 7.])
    """
    outputs, cotangents = heads_of(heads, head_grads, "backward")
    nodes, _ = collect(dict.fromkeys(t.node for t in outputs), leaves=True)
    alive: list[Any] = [leaf.tensor() for leaf in nodes if leaf.__class__ is Leaf]
    leaves = [t for t in alive if t is not None and t.__dict__.get("grad_req", "add") != "null"]
    if not leaves:
        raise GradError(
            "backward: There are no inputs in computation graph that require gradients; call attach_grad() on one before record()"
        )
    with Scope(None, train_mode):
        found = gf.autograd.grad(outputs, leaves, cotangents, retain_graph=retain_graph)
    with gf.no_grad():
        for t, g in zip(leaves, found, strict=True):
            if t.grad is None:
                t.grad = g.clone()
            elif t.__dict__.get("grad_req") == "write":
                t.grad.copy_(g)
            else:
                t.grad.add_(g)


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list:
    """The gradients of ``heads`` for ``variables`` as new arrays, in a list; recorded themselves if ``create_graph``.

    >>> from gradflow.mxnet import autograd, np
    >>> x = np.array([1, 2])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y = x * x
    >>> autograd.grad(y, [x])
    [array([2., 4.])]
    """
    inputs = as_list(variables, "grad")
    if not inputs:
        raise ArgumentError("grad: variables cannot be an empty list; name what to differentiate for")
    outputs, cotangents = heads_of(heads, head_grads, "grad")
    with Scope(None, train_mode):
        found = gf.autograd.grad(outputs, [a.tensor for a in inputs], cotangents, retain_graph=retain_graph, create_graph=create_graph)
    return [type(a)(g) for a, g in zip(inputs, found, strict=True)]


class Function:
    """An operation with a derivative of its own: ``forward`` computes, ``backward`` takes a gradient for each output and gives one for each input.

    >>> from gradflow.mxnet import autograd, np
    >>> class Cube(autograd.Function):
    ...     def forward(self, x):
    ...         self.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     def backward(self, dy):
    ...         (x,) = self.saved_tensors
    ...         return 3 * x * x * dy
    >>> x = np.array([1.0, 2.0])
    >>> x.attach_grad()
    >>> with autograd.record():
    ...     y = Cube()(x)
    >>> y.backward()
    >>> x.grad
    array([ 3., 12.])
    """

    def __init__(self) -> None:
        self.used = False
        self.saved_tensors: Sequence[Any] = ()

    def save_for_backward(self, *args: Any) -> None:
        self.saved_tensors = args

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: define forward(self, *inputs)")

    def backward(self, *output_grads: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: define backward(self, *output_grads)")

    def __call__(self, *inputs: Any) -> Any:
        if self.used:
            raise GradError(f"{type(self).__name__}: each Function instance can only be called once; make another")
        self.used = True
        cls = type(as_list(inputs, type(self).__name__)[0])
        return run(lambda *tensors: Bridge.apply(self, cls, *tensors), cls, inputs, {})


class Bridge(gf.autograd.Function):
    """A :class:`Function` of arrays as one of tensors."""

    @staticmethod
    def forward(ctx: Any, function: Function, cls: type[NDArray], *tensors: Tensor) -> Any:
        ctx.function, ctx.cls = function, cls
        with pause():
            result = function.forward(*(cls(t.detach()) for t in tensors))
        outs = tuple(a.tensor for a in as_list(result, type(function).__name__))
        return outs[0] if isinstance(result, NDArray) else outs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        with Scope(gf.is_grad_enabled(), None):  # recorded where the gradient will be differentiated again
            given = as_list(ctx.function.backward(*map(ctx.cls, grads)), type(ctx.function).__name__)
        return (None, None, *(a.tensor for a in given))
