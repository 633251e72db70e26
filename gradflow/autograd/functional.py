"""Products with Jacobians and Hessians, and the matrices themselves, of functions from tensors to tensors: ``torch.autograd.functional``.

``inputs`` is a Tensor or a tuple of Tensors; results have the form of the inputs and outputs. Without ``create_graph`` the results have no
history. ``strict`` refuses outputs that do not depend on an input; else the derivative is 0. Forward mode is made of two reverse passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ArgumentError, DTypeError, GradError
from ..tensor import Tensor
from .levels import Level, zeros

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def as_tuple(op: str, what: str, given: Any) -> tuple[bool, tuple]:
    """(was it a tuple, the tuple)."""
    many = isinstance(given, tuple)
    tensors = given if many else (given,)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            where = f"value at index {i}" if many else f"given {what}"
            raise DTypeError(f"{op}: The {what} must be either a Tensor or a tuple of Tensors but the {where} has type {type(t).__name__}")
    return many, tensors


def back(one: bool, result: Sequence[Any]) -> Any:
    return tuple(result) if one else result[0]


class Call:
    """One call of a user's function on variables: inputs, outputs, and how results leave."""

    def __init__(self, op: str, func: Callable, inputs: Any, create_graph: bool, strict: bool):
        self.op, self.strict, self.create = op, strict, create_graph
        self.many_in, given = as_tuple(op, "inputs", inputs)
        self.level = Level(recorded=create_graph)
        with self.level:
            self.inputs = [self.level.variable(x) for x in given]
            self.many_out, outputs = as_tuple(op, "outputs of the user-provided function", func(*self.inputs))
            self.outputs = list(outputs)
            for i, y in enumerate(self.outputs):
                if strict and y.node is None:
                    self.refuse(f"Output {i} of the user-provided function does not require gradients")

    def refuse(self, what: str) -> None:
        raise GradError(f"{self.op}: {what}. This is not allowed in strict mode; use strict=False for a derivative of 0")

    def scalar(self) -> Tensor:
        """The output, for a Hessian."""
        if self.many_out:
            raise GradError(f"{self.op}: The function given to {self.op} should return a single Tensor; it returned a tuple")
        if self.outputs[0].numel() != 1:
            raise GradError(
                f"{self.op}: The Tensor returned by the function given to {self.op} should contain a single element; it has shape "
                f"{tuple(self.outputs[0].shape)}"
            )
        return self.outputs[0]

    def vector(self, v: Any, like: Sequence[Tensor], many: bool, what: str) -> list[Tensor]:
        """The vector of a product, checked against ``like``."""
        if v is None:
            if len(like) != 1 or like[0].numel() != 1:
                raise GradError(f"{self.op}: The vector v can only be None if {what} is a single Tensor with a single element; give v")
            from ..creation import ones_like

            return [ones_like(like[0].detach())]
        _, given = as_tuple(self.op, "v", v)
        if len(given) != len(like):
            raise GradError(
                f"{self.op}: v is a tuple of invalid length: should be {len(like)} but got {len(given)}."
                if many
                else f"{self.op}: The given v should contain a single Tensor; it is a tuple of {len(given)}"
            )
        for i, (g, x) in enumerate(zip(given, like, strict=True)):
            if g.shape != x.shape:
                entry = f"Entry {i} in " if many else ""
                raise GradError(f"{self.op}: {entry}v has invalid size: should be {tuple(x.shape)} but got {tuple(g.shape)}")
        return list(given) if self.create else [g.detach() for g in given]

    def gradients(self, outputs: Sequence[Tensor], cotangents: Sequence[Any], create: bool = False) -> list[Any]:
        return self.level.grad(outputs, self.inputs, cotangents, retain=True, create=create or self.create)

    def filled(self, found: Sequence[Any], like: Sequence[Tensor], what: str, entry: str = "input") -> list[Tensor]:
        """Zeros for ``None``, unless ``strict``."""
        result = []
        for i, (g, x) in enumerate(zip(found, like, strict=True)):
            if self.strict and (g is None or (self.create and g.node is None)):
                self.refuse(f"The {what} is independent of {entry} {i}" + ("" if g is None else " when create_graph=True"))
            result.append(zeros(x) if g is None else g)
        return result

    def leave(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        return [self.level.settle(t) for t in tensors]

    def results(self, found: Sequence[Tensor], many: bool) -> tuple[Any, Any]:
        return back(self.many_out, self.leave(self.outputs)), back(many, self.leave(found))


def vjp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """``(func(*inputs), vᵀJ)``. ``v`` has the form of the output, and may be left out for a single element.

    >>> gf.autograd.functional.vjp(lambda x: x.exp(), gf.zeros(2), gf.tensor([1.0, 2.0]))
    (tensor([1., 1.]), tensor([1., 2.]))
    """
    call = Call("vjp", func, inputs, create_graph, strict)
    seeds = call.vector(v, call.outputs, call.many_out, "the user-provided function's output")
    found = call.filled(call.gradients(call.outputs, seeds), call.inputs, "output of the user-provided function")
    return call.results(found, call.many_in)


def jvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """``(func(*inputs), J v)``. ``v`` has the form of the inputs, and may be left out for a single element.

    >>> gf.autograd.functional.jvp(lambda x: x.exp(), gf.zeros(2), gf.tensor([1.0, 2.0]))
    (tensor([1., 1.]), tensor([1., 2.]))
    """
    call = Call("jvp", func, inputs, create_graph, strict)
    tangents = call.vector(v, call.inputs, call.many_in, "the input to the user-provided function")
    push = call.level.pushforward(call.outputs, call.inputs)
    found = call.filled(push(tangents), call.outputs, "gradient with respect to the input", "entry")
    return call.results(found, call.many_out)


def vhp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """``(func(*inputs), vᵀH)`` for a function that returns one element. ``v`` has the form of the inputs.

    >>> gf.autograd.functional.vhp(lambda x: (x**3).sum(), gf.ones(2), gf.tensor([1.0, 2.0]))
    (tensor(2.), tensor([ 6., 12.]))
    """
    call = Call("vhp", func, inputs, create_graph, strict)
    v = call.vector(v, call.inputs, call.many_in, "the input to the user-provided function")
    jacobian = jacobian_of_scalar(call)
    found = call.filled(call.gradients(jacobian, v), call.inputs, "jacobian of the user-provided function")
    return call.results(found, call.many_in)


def hvp(func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple[Any, Any]:
    """``(func(*inputs), H v)`` for a function that returns one element. H is symmetric: this is :func:`vhp`, which costs less, the other way round.

    >>> gf.autograd.functional.hvp(lambda x: (x**3).sum(), gf.ones(2), gf.tensor([1.0, 2.0]))
    (tensor(2.), tensor([ 6., 12.]))
    """
    call = Call("hvp", func, inputs, create_graph, strict)
    v = call.vector(v, call.inputs, call.many_in, "the input to the user-provided function")
    push = call.level.pushforward(jacobian_of_scalar(call), call.inputs)
    found = call.filled(push(v), call.inputs, "hessian of the user-provided function", "entry")
    return call.results(found, call.many_in)


def jacobian_of_scalar(call: Call) -> list[Tensor]:
    found = call.gradients([call.scalar()], [None], create=True)
    for i, g in enumerate(found):
        if call.strict and (g is None or g.node is None):
            call.refuse(f"The jacobian of the user-provided function with respect to input {i} is independent of the input")
    return [zeros(x) if g is None else g for g, x in zip(found, call.inputs, strict=True)]


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
    layout: str = "numerator",
) -> Any:
    """The Jacobian of ``func``: for an output y and an input x a Tensor of shape (\\*y.shape, \\*x.shape); tuples of them in tuples.

    ``layout="denominator"`` gives (\\*x.shape, \\*y.shape). ``strategy`` is "reverse-mode", a pass for each element of the output, or
    "forward-mode", one for each element of the input. The passes are taken one by one, with ``vectorize`` at once, by vmap.

    >>> gf.autograd.functional.jacobian(lambda x: x * x, gf.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    for name, given, known in (
        ("strategy", strategy, ("forward-mode", "reverse-mode")),
        ("layout", layout, ("numerator", "denominator")),
    ):
        if given not in known:
            raise ArgumentError(f"jacobian: Expected {name} to be either {known[0]!r} or {known[1]!r}; it is {given!r}")
    if strict and (vectorize or strategy == "forward-mode"):
        other = "`vectorize=True`" if vectorize else '`strategy="forward-mode"`'
        raise GradError(f"jacobian: `strict=True` and {other} are not supported together; leave out one of them")
    from ..func.transforms import basis, blocks, each

    chunk = None if vectorize else 1
    call = Call("jacobian", func, inputs, create_graph, strict)
    x, y = call.inputs, call.outputs
    table: list[list[Tensor]] = []
    if strategy == "forward-mode":
        push = call.level.pushforward(y, x)
        rows = each(lambda tangents: call.filled(push(tangents), y, "output"), basis(x), y, chunk)
        table = [[turned(b, a.ndim) for b, a in zip(blocks(row, x), x, strict=True)] for row in rows]
    else:
        for k, out in enumerate(y):

            def pull(seeds: list[Tensor], out: Tensor = out, k: int = k) -> list[Tensor]:
                return call.filled(call.gradients([out], seeds), x, f"output {k} of the user-provided function")

            columns = each(pull, basis([out]), x, chunk)
            table.append([column.reshape((*out.shape, *a.shape)) for column, a in zip(columns, x, strict=True)])
    if layout == "denominator":
        table = [[turned(block, out.ndim) for block in row] for row, out in zip(table, y, strict=True)]
    return back(call.many_out, [back(call.many_in, call.leave(row)) for row in table])


def turned(t: Tensor, n: int) -> Tensor:
    """The first ``n`` axes moved behind the others."""
    return t.permute((*range(n, t.ndim), *range(n)))


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of ``func``, which returns one element: for inputs x and y a Tensor of shape (\\*x.shape, \\*y.shape).

    >>> gf.autograd.functional.hessian(lambda x: (x**3).sum(), gf.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many, _ = as_tuple("hessian", "inputs", inputs)

    def gradient(*given: Tensor) -> tuple:
        call = Call("hessian", func, given, True, strict)
        return tuple(call.leave(jacobian_of_scalar(call)))

    found = jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if many else found[0]
