"""``backward`` and ``grad``: what a user asks of the tape."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .. import tensor
from ..backends import empty
from ..dtypes import FROM_NUMPY
from ..errors import ArgumentError, DTypeError, GradError
from ..tape.node import Leaf, mode
from ..tape.walk import RecordedWalk, Walk, collect, leading_to
from ..tensor import Tensor, wrap


def as_tuple(x: Any, op: str) -> tuple:
    if isinstance(x, Tensor):
        return (x,)
    if not isinstance(x, tuple | list) and not hasattr(x, "__iter__"):
        raise DTypeError(f"{op}: expected a Tensor or a sequence of Tensors, not {type(x).__name__}")
    return tuple(x)


def seeds(tensors: Sequence[Tensor], gradients: Any, op: str) -> list[Tensor]:
    """One cotangent for each output: given, or one for a scalar."""
    given = [None] * len(tensors) if gradients is None else list(as_tuple(gradients, op))
    if len(given) != len(tensors):
        raise GradError(f"{op}: got {len(tensors)} tensors and {len(given)} gradients; give one for each")
    result = []
    for t, g in zip(tensors, given, strict=True):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: Expected a Tensor to differentiate, not {type(t).__name__}")
        if t.node is None:
            raise GradError(
                f"{op}: element 0 of tensors does not require grad and does not have a grad_fn; set requires_grad=True on what it is computed from"
            )
        if g is None:
            if t.array.size != 1:
                raise GradError(
                    f"{op}: grad can be implicitly created only for scalar outputs; this one has shape {tuple(t.shape)}: pass gradient=, or sum it"
                )
            g = wrap(one(t.array))
        elif not isinstance(g, Tensor):
            raise DTypeError(f"{op}: gradients can be either Tensors or None, not {type(g).__name__}")
        elif g.array.shape != t.array.shape:
            raise GradError(
                f"{op}: Mismatch in shape: grad_output has a shape of {tuple(g.shape)} and output has a shape of {tuple(t.shape)}"
            )
        elif g.dtype is not t.dtype:
            g = g.to(t.dtype)
        result.append(g)
    return result


def one(like: Any) -> Any:
    array = empty(like.shape, FROM_NUMPY[like.dtype].code)
    array.fill(1)
    return array


def start(walk: Any, tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
    recorded = isinstance(walk, RecordedWalk)
    for t, g in zip(tensors, gradients, strict=True):
        if not recorded:
            walk.add(t.node, g.array, False)
        else:
            held = walk.grads.get(t.node)
            walk.grads[t.node] = g if held is None else held + g


def run(
    op: str, tensors: Sequence[Tensor], gradients: Any, retain: bool, create: bool, inputs: Sequence[Tensor] | None, capture: bool
) -> list[Any]:
    cotangents = seeds(tensors, gradients, op)
    roots = {t.node: None for t in tensors}
    targets: list[Any] = []
    needed = None
    direct = inputs is None and not create
    if inputs is not None:
        for x in inputs:
            if not isinstance(x, Tensor):
                raise DTypeError(f"{op}: inputs must be Tensors, not {type(x).__name__}")
            if x.node is None:
                raise GradError(f"{op}: One of the differentiated Tensors does not require grad; set requires_grad=True before using it")
            targets.append(x.node)
    nodes = collect([n for n in roots if n.__class__ is not Leaf or not direct], leaves=not direct)
    if inputs is not None:
        needed = leading_to(nodes, set(targets))
    walk: Any = RecordedWalk(needed, targets if capture else ()) if create else Walk(needed, targets if capture else (), direct)
    was, mode.enabled = mode.enabled, create
    try:
        start(walk, tensors, cotangents)
        walk.run(nodes, retain)
    finally:
        mode.enabled = was
    return [walk.captured[t] for t in targets] if capture else []


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Accumulate the gradients of ``tensors`` into the leaves they were computed from.

    ``grad_tensors`` are the vectors of the vector-Jacobian products, optional for scalars. With ``create_graph`` the gradients are
    themselves differentiable. Raises ``GradError`` (a ``RuntimeError``) if the graph was freed or a saved value has changed, before
    any gradient is touched.
    """
    if inputs is not None:
        inputs = as_tuple(inputs, "backward")
        if not inputs:
            raise GradError("backward: `inputs` argument to `backward()` cannot be empty; leave it out for all leaves")
        for x in inputs:
            if isinstance(x, Tensor) and not x.is_leaf:
                raise GradError("backward: inputs must be leaves; use autograd.grad for the gradient of a computed tensor")
    run(
        "backward",
        as_tuple(tensors, "backward"),
        grad_tensors,
        create_graph if retain_graph is None else retain_graph,
        create_graph,
        inputs,
        False,
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of ``outputs`` with respect to ``inputs``, returned; nothing is accumulated.

    >>> x = gf.arange(4.0, requires_grad=True)
    >>> (g,) = gf.autograd.grad((x**3).sum(), x, create_graph=True)
    >>> gf.autograd.grad(g.sum(), x)
    (tensor([ 0.,  6., 12., 18.]),)
    """
    if not only_inputs:
        raise ArgumentError("grad: only_inputs=False is not supported; use backward()")
    if is_grads_batched:
        raise ArgumentError("grad: is_grads_batched=True is not supported; call grad once for each gradient")
    if materialize_grads and allow_unused is False:
        raise ArgumentError("grad: Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False")
    inputs = as_tuple(inputs, "grad")
    if not inputs:
        raise ArgumentError("grad: `inputs` argument to `grad()` cannot be empty; name what to differentiate for")
    results = run(
        "grad", as_tuple(outputs, "grad"), grad_outputs, create_graph if retain_graph is None else retain_graph, create_graph, inputs, True
    )
    tensors: list[Any] = []
    for x, g in zip(inputs, results, strict=True):
        if g is None:
            if materialize_grads:
                from ..creation import zeros_like

                g = zeros_like(x.detach())
            elif not allow_unused:
                raise GradError(
                    "grad: One of the differentiated Tensors appears to not have been used in the graph; Set allow_unused=True if this is the desired behavior"
                )
        tensors.append(g if g is None or isinstance(g, Tensor) else wrap(g))
    return tuple(tensors)


class _SetMode:
    """Recording on or off: a context manager, a decorator, and thread-local."""

    def __init__(self, enabled: bool):
        self.enabled = enabled
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.enabled)
        mode.enabled = self.enabled

    def __exit__(self, *exc: Any) -> None:
        mode.enabled = self.before.pop()

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return self.generator(function)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with _SetMode(self.enabled):
                return function(*args, **kwargs)

        return call

    def generator(self, function: Callable) -> Callable:
        """The mode holds while the generator runs, not while its user does."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            sent = None
            while True:
                with _SetMode(self.enabled):
                    try:
                        item = inner.send(sent)
                    except StopIteration as stop:
                        return stop.value
                sent = yield item

        return call


class no_grad(_SetMode):
    """Nothing is recorded inside: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable | None = None):
        super().__init__(False)


class enable_grad(_SetMode):
    """Recording is on inside, also within ``no_grad``."""

    def __new__(cls, function: Callable | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable | None = None):
        super().__init__(True)


class inference_mode(_SetMode):
    """Nothing is recorded inside; ``inference_mode(False)`` records."""

    def __new__(cls, mode: Any = True) -> Any:
        return cls()(mode) if callable(mode) else object.__new__(cls)

    def __init__(self, mode: bool = True):
        super().__init__(not mode)


class set_grad_enabled(_SetMode):
    """Recording on or off, from the call on, or inside a ``with``."""

    def __init__(self, mode_: bool):
        if not isinstance(mode_, bool):
            raise DTypeError(f"set_grad_enabled: argument 'mode' must be bool, not {type(mode_).__name__}")
        super().__init__(mode_)
        self.before.append(mode.enabled)
        mode.enabled = self.enabled

    def __enter__(self) -> None:
        mode.enabled = self.enabled

    def __call__(self, function: Callable) -> Callable:
        enabled = self.enabled
        mode.enabled = self.before.pop()

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with set_grad_enabled(enabled):
                return function(*args, **kwargs)

        return call


def is_grad_enabled() -> bool:
    """Is recording on in this thread?"""
    return mode.enabled


tensor.backward = backward
