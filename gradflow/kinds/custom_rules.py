"""Everything else: a forward over arrays that says what it saves, and a rule over tensors that goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ..backends import beside, is_array
from ..backends.batched import per_example
from ..errors import BatchError
from ..tape.node import Node, Output, mode
from ..tensor import Tensor, version_of, wrap
from .formulas import REGISTRY, camel


class CustomPlan:
    """Back through a custom operation. ``saved`` are (kind, array): inputs and outputs of the operation come back as tensors of the graph."""

    __slots__ = ("name", "outputs", "pull_arrays", "vjp")

    def __init__(self, name: str):
        self.name = name
        self.vjp: Any = None
        self.pull_arrays: Any = None
        self.outputs = 1

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        if self.pull_arrays is not None:
            self.pull_arrays(node, g, walk)
            return
        was, mode.enabled = mode.enabled, False
        try:
            given = {k: wrap(v) for k, v in g.items()} if g.__class__ is dict else wrap(g)
            contributions = self.rule(node, given, [wrap(a) if is_array(a) else a for a in node.saved or ()])
        finally:
            mode.enabled = was
        for parent, c in zip(node.parents, contributions, strict=True):
            if c is not None and walk.wants(parent):
                walk.add(parent, c.array, c.array is not g and c.array.base is None)

    def rule(self, node: Node, g: Any, saved: list[Any]) -> list[Any]:
        needs = tuple(p is not None for p in node.parents)
        result = self.vjp(g, needs, *saved, *node.meta[1])
        return list(result) if isinstance(result, tuple) else [result]

    def derive(self, node: Node, g: Any) -> list[Any]:
        saved: list[Any] = []
        for source, array in zip(node.meta[0], node.saved or (), strict=True):
            if not is_array(array):
                saved.append(array)
            elif source is None:
                saved.append(wrap(array))
            elif source < len(node.parents):
                saved.append(wrap(array, node.parents[source]))
            else:
                k = source - len(node.parents)
                saved.append(wrap(array, node if self.outputs == 1 else output(node, k)))
        return self.rule(node, g, saved)


def together(result: Any, saved: tuple, like: Any) -> tuple[Any, tuple]:
    """Results and saved values that NumPy made on the way, where ``like`` is; what was one array still is."""
    known: dict[int, Any] = {}

    def placed(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(placed(v) for v in x)
        if isinstance(x, np.ndarray):
            return known.setdefault(id(x), beside(x, like))
        return x

    return placed(result), placed(saved)


def output(node: Node, k: int) -> Output:
    """The one that stands for output ``k``: gradients of two would not be added."""
    known = node.meta[2]
    found = known.get(k)
    if found is None:
        found = known[k] = Output(node, k)
    return found


def custom(forward: Callable | None = None, *, inputs: int = 1, outputs: int = 1, grad_name: str | None = None) -> Any:
    """Make a differentiable operation from a function over arrays.

    ``forward(*arrays, *params)`` returns ``(out, saved)``: the output array (or a tuple) and the tuple of arrays that its derivative reads.
    ``@op.vjp def f(g, needs, *saved, *params)`` gives the gradient of each input over tensors (``None`` where ``needs`` is false); with several
    outputs ``g`` is a dictionary from output number to cotangent. ``@op.pull`` may give the same over arrays: ``f(node, g, walk)``.
    """
    if forward is None:
        return lambda f: custom(f, inputs=inputs, outputs=outputs, grad_name=grad_name)
    name = forward.__name__
    plan = CustomPlan(grad_name or camel(name) + "Backward0")
    plan.outputs = outputs

    def call(*args: Any) -> Any:
        operands, params = args[:inputs], args[inputs:]
        arrays = [x.array if isinstance(x, Tensor) else x for x in operands]
        try:
            result, saved = forward(*arrays, *params)
        except BatchError:
            result, saved = per_example(forward, *arrays, *params)
        if arrays[0].__class__ is not np.ndarray and is_array(arrays[0]):
            result, saved = together(result, saved, arrays[0])
        outs = (result,) if outputs == 1 else result
        tensors = (wrap(result),) if outputs == 1 else tuple([wrap(out) for out in outs])
        if mode.enabled:
            parents = tuple([x.node if isinstance(x, Tensor) else None for x in operands])
            if parents.count(None) < inputs:
                everything = (*operands, *tensors)
                arrays_all = (*arrays, *outs)
                sources = tuple(next((i for i, a in enumerate(arrays_all) if a is s), None) for s in saved)
                guards = tuple(None if i is None or not isinstance(everything[i], Tensor) else version_of(everything[i]) for i in sources)
                node = Node(plan, parents, saved, guards, None, (sources, params, None if outputs == 1 else WeakValueDictionary()))
                for k, t in enumerate(tensors):
                    if t.array.dtype.kind in "fV":
                        t.node = node if outputs == 1 else output(node, k)
        return tensors[0] if outputs == 1 else tensors

    def vjp(f: Callable) -> Callable:
        plan.vjp = f
        return f

    def pull(f: Callable) -> Callable:
        plan.pull_arrays = f
        return f

    call.__name__ = call.__qualname__ = name
    call.__doc__, call.__module__ = forward.__doc__, forward.__module__
    call.vjp, call.pull, call.plan = vjp, pull, plan  # type: ignore[attr-defined]
    REGISTRY[name] = call
    return call
