"""Elementwise operations and operations on rows: a formula is the operation.

The formula is traced once into a program. The derivative is a program too: derived from the formula, or from the partial derivatives
that the operation brings. What it reads is what is saved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, overload

import numpy as np

from .. import backends
from ..backends import irregular, prepare
from ..errors import ArgumentError, DTypeError, GradError
from ..scalar import derive
from ..scalar.program import Program, trace
from ..scalar.trace import Primitive, Value, ordered
from ..tape.node import Node, Output, mode, new_version
from ..tensor import Tensor, wrap
from .direct import direct
from .out import into
from .plan import Plan

FLOATS = frozenset("fV")  # V: bfloat16


def operand(x: Any, op: str) -> Any:
    """A kernel's operand from something that is not a tensor."""
    if isinstance(x, bool | int | float | np.bool_ | np.number):
        return x
    raise DTypeError(f"{op}: an operand is a {type(x).__name__}; expected a Tensor or a number")


def tensor_expected(x: Any, op: str) -> Any:
    """Refuses what stands in the place of an operand that must be a tensor."""
    raise DTypeError(f"{op}: an operand must be Tensor, not {type(x).__name__}")


class Elementwise:
    """An elementwise operation, or one on rows (then ``call`` takes an ``axis``)."""

    def __init__(self, program: Program, grad_name: str, partial: Callable | None = None, doc: str | None = None):
        self.program, self.name, self.grad_name, self.doc = program, program.name, grad_name, doc
        self.kernel = prepare(program)
        self.partial = partial
        self.vjp: Callable | None = None
        self.numbers: frozenset[int] = frozenset()  # operands without a derivative
        self.tensors: frozenset[int] = frozenset()  # operands that must not be numbers
        self.public = False
        self.domain, self.ulp = (-3.0, 3.0), 4  # where and how exactly the tests hold it
        self.refused = False  # has a kink and no derivative of its own yet
        self.plans: dict[Any, Plan] = {}
        self.single = len(program.outputs) == 1
        last = [
            program.code[i - program.inputs - len(program.consts)].op if i >= program.inputs + len(program.consts) else ""
            for i in program.outputs
        ]
        self.constant = all(op in Primitive.table and Primitive.table[op].domain in "CI" for op in last)  # bool: nothing to differentiate

    def plan(self, wanted: int, tied: bool = False, present: tuple[int, ...] | None = None, safe: bool = False) -> Plan:
        """The pullback for the inputs whose bits are set in ``wanted``, when cotangents of the outputs ``present`` arrive.

        In a ``safe`` one, cotangents that are zero stay zero.
        """
        if self.refused:
            raise GradError(
                f"{self.name}: the formula uses a primitive that is not differentiable everywhere; give its derivative with "
                f"@{self.name}.partial, or say smooth=True if the derived one is right"
            )
        key = (wanted, tied, present, safe)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = Plan(self, tuple(i for i in range(self.program.inputs) if wanted >> i & 1), tied, present, safe)
        return plan

    def pullback(
        self, wanted: tuple[int, ...], present: tuple[int, ...]
    ) -> tuple[list[Value], list[Value], list[Value], list[Value | None]]:
        """(cotangents, inputs, outputs, gradients of the wanted inputs) as expressions over one another."""
        program = self.program
        m, n = len(present), program.inputs
        g = [Value("input", data=k) for k in range(m)]
        x = [Value("input", data=m + i) for i in range(n)]
        y = [Value("input", data=m + n + k) for k in range(len(program.outputs))]
        seeds = [g[present.index(k)] if k in present else None for k in range(len(program.outputs))]
        if self.vjp is not None:
            given = self.vjp(*seeds, *y, *x)
            given = given if isinstance(given, tuple) else (given,)
            return g, x, y, [given[i] for i in wanted]
        if self.partial is not None:
            partials = self.partial(*y, *x)
            partials = partials if isinstance(partials, tuple) else (partials,)
            if len(partials) != n:
                raise TypeError(f"{self.name}: the partial gives {len(partials)} derivatives for {n} inputs")
            return g, x, y, [derive.scaled(g[0], partials[i]) for i in wanted]
        values = program.values(x)
        results = [values[i] for i in program.outputs]
        per_row = [x[i] for i in program.row_inputs] + [g[i] for i, k in enumerate(present) if program.row_outputs[k]]
        found = derive.cotangents(
            results, seeds, [x[i] for i in wanted], derive.row_predicate(per_row) if program.rows else lambda _: False
        )
        # An output that the derivative reads is saved rather than computed again.
        swap = {id(r): y[k] for k, r in enumerate(results) if r.op not in ("input", "const")}
        return g, x, y, [None if c is None else substitute(c, swap) for c in found]

    def call(self, *args: Any, axis: Any = None) -> Any:
        """Any number of inputs and outputs; tensors, numbers, or scalars of another formula."""
        arrays = []
        wanted = 0
        nodes = []
        for i, x in enumerate(args):
            if isinstance(x, Tensor):
                arrays.append(x.array)
                nodes.append(x.node)
                if x.node is not None:
                    if i in self.numbers:
                        raise DTypeError(
                            f"{self.name}: argument {i} is a Tensor that requires a gradient, which is not defined for it; pass a number"
                        )
                    wanted |= 1 << i
            elif isinstance(x, Value):
                return self.program(*args)
            else:
                arrays.append(operand(x, self.name))
                nodes.append(None)
        inputs = tuple(arrays)
        result = backends.rows(self.kernel, inputs, axis) if self.program.rows else backends.elementwise(self.kernel, inputs)
        outs = (result,) if self.single else result
        tensors = tuple(wrap(out) for out in outs)
        if wanted and mode.enabled and not self.constant:
            self.record(args, arrays, nodes, wanted, tensors, axis)
        return tensors[0] if self.single else tensors

    def record(
        self, args: Sequence[Any], arrays: Sequence[Any], nodes: Sequence[Any], wanted: int, tensors: tuple[Tensor, ...], axis: Any
    ) -> None:
        plan = self.plan(wanted)
        saved: tuple = ()
        guards: tuple = ()
        if plan.pick is not None:
            everything = (*args, *tensors)
            saved = plan.pick((*arrays, *(t.array for t in tensors)))
            guards = tuple([version(everything[r]) for r in plan.reads])
        node = Node(plan, tuple(nodes), saved, guards, self.odd(arrays, tensors), axis)
        for k, t in enumerate(tensors):
            if t.array.dtype.kind in FLOATS:
                t.node = node if self.single else Output(node, k)

    def odd(self, arrays: Sequence[Any], tensors: tuple[Tensor, ...]) -> Any:
        """Which operands were broadcast or converted, and from what; ``None`` if none was."""
        program = self.program
        if not program.rows:
            return irregular(tensors[0].array, tuple(arrays))
        full = [a for i, a in enumerate(arrays) if i not in program.row_inputs and backends.is_array(a)]
        if len(full) == 1 and full[0].dtype == tensors[0].array.dtype:
            return None
        # operands with one value a row get theirs by folding rows, which the pullback does itself
        shape = np.broadcast_shapes(*(a.shape for a in full))
        like = np.broadcast_to(np.zeros((), tensors[0].array.dtype), shape)
        return irregular(like, tuple(0 if i in program.row_inputs else a for i, a in enumerate(arrays)))


def substitute(value: Value, swap: dict[int, Value]) -> Value:
    """``value`` with some of its sub-expressions replaced."""
    new_values: dict[int, Value] = dict(swap)
    for v in ordered((value,)):
        if id(v) not in new_values:
            args = tuple(new_values[id(a)] for a in v.args)
            same = all(a is b for a, b in zip(args, v.args, strict=True))
            new_values[id(v)] = v if same else Value(v.op, args, v.data)
    return new_values[id(value)]


def camel(name: str) -> str:
    """``leaky_relu`` -> ``LeakyRelu``, as torch names its nodes."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def unary(op: Elementwise) -> Callable:
    elementwise, kernel, name = backends.elementwise, op.kernel, op.name
    plan: Plan | None = None

    def call(input: Any, *, out: Any = None) -> Any:
        nonlocal plan
        if out is not None:
            return into(name, out, call, (input,), {})
        try:
            node = input.node
            array = input.array
        except AttributeError:
            return op.call(input) if isinstance(input, Value) else needs_tensor(name, input)
        result = elementwise(kernel, (array,))
        t = wrap(result)
        if node is not None and mode.enabled and result.dtype.kind in FLOATS:
            if plan is None:
                plan = op.plan(1)
            if plan.pick is None:
                t.node = Node(plan, (node,))
            else:
                if plan.first and input.version is None:
                    input.version = new_version()
                if plan.own:
                    t.version = new_version()
                t.node = Node(plan, (node,), plan.pick((array, result)), plan.pick((input.version, t.version)))
        return t

    return call


def needs_tensor(name: str, x: Any) -> Any:
    raise DTypeError(f"{name}: argument 'input' must be Tensor, not {type(x).__name__}")


def binary(op: Elementwise) -> Callable:
    elementwise, kernel, name = backends.elementwise, op.kernel, op.name
    plans: list[Any] = [None] * 4  # by which operands want a gradient: 0 says that both are one tensor
    constant = op.constant
    left, right = (tensor_expected if i in op.tensors else operand for i in range(2))

    def call(input: Any, other: Any, *, out: Any = None) -> Any:
        if out is not None:
            return into(name, out, call, (input, other), {})
        x, y = input, other
        try:
            a = x.array
            p = x.node
        except AttributeError:
            if isinstance(x, Value) or isinstance(y, Value):
                return op.program(x, y)
            a, p = left(x, name), None
        try:
            b = y.array
            q = y.node
        except AttributeError:
            if isinstance(y, Value):
                return op.program(x, y)
            b, q = right(y, name), None
            if (op.public or op.grad_name.startswith("Special")) and a is x:  # two numbers
                tensor_expected(x, name)
        result = elementwise(kernel, (a, b))
        t = wrap(result)
        if (p is not None or q is not None) and mode.enabled and not constant:
            k = 0 if p is q else 1 if q is None else 2 if p is None else 3
            plan = plans[k]
            if plan is None:
                plan = plans[k] = op.plan(k or 3, k == 0)
            if plan.pick is None:
                t.node = Node(plan, (p, q), (), (), irregular(result, (a, b)))
            else:
                v = None if a is x or not plan.first else x.version or version(x)
                w = None if b is y or not plan.second else y.version or version(y)
                if plan.own:
                    t.version = new_version()
                t.node = Node(plan, (p, q), plan.pick((a, b, result)), plan.pick((v, w, t.version)), irregular(result, (a, b)))
        return t

    return call


def version(x: Any) -> Any:
    """The version cell of an operand; numbers have none."""
    try:
        v = x.version
    except AttributeError:
        return None
    if v is None:
        v = x.version = new_version()
    return v


def register(
    formula: Callable,
    grad_name: str | None,
    raw: tuple[str, ...],
    row: bool,
    row_inputs: tuple[str, ...],
    outputs: int | None,
    smooth: bool,
) -> Elementwise:
    program = trace(formula, raw=raw, row_inputs=row_inputs, outputs=outputs)
    if row and not program.rows:
        raise ArgumentError(f"{formula.__name__}: the formula folds no row; use elementwise")
    op = Elementwise(program, grad_name or camel(formula.__name__) + "Backward0", doc=formula.__doc__)
    op.refused = derive.has_kink(program) and not smooth and not op.constant
    return op


def dress(call: Any, op: Elementwise, formula: Callable) -> Any:
    """The public function of an operation: its name and documentation, its ``op``, and the decorators that give it derivatives."""

    def partial(f: Callable) -> Callable:
        op.partial = f
        op.refused = False
        return f

    def vjp(f: Callable) -> Callable:
        op.vjp = f
        op.refused = False
        return f

    call.__name__ = call.__qualname__ = formula.__name__
    call.__doc__ = formula.__doc__
    call.__module__ = formula.__module__
    call.__signature__ = inspect.signature(formula)
    call.op, call.partial, call.vjp, call.formula = op, partial, vjp, formula
    if op.single and not op.program.rows and not op.numbers:
        call = direct("formula", op.kernel, tuple(op.tensors))(call)
    REGISTRY[op.name] = call
    return call


REGISTRY: dict[str, Any] = {}


class Operation(Protocol):
    """What :func:`elementwise` makes, for type checkers. (Within another formula a call gives no tensor, but a part of that formula.)"""

    op: Elementwise

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor: ...

    def partial(self, f: Callable) -> Callable: ...

    def vjp(self, f: Callable) -> Callable: ...


@overload
def elementwise(formula: Callable) -> Operation: ...


@overload
def elementwise(
    formula: None = None,
    *,
    grad_name: str | None = ...,
    raw: tuple[str, ...] = ...,
    outputs: int | None = ...,
    smooth: bool = ...,
    public: bool = ...,
    numbers: tuple[str, ...] = ...,
    domain: tuple[float, float] = ...,
    ulp: int = ...,
    tensors: tuple[str, ...] = ...,
) -> Callable[[Callable], Operation]: ...


def elementwise(
    formula: Callable | None = None,
    *,
    grad_name: str | None = None,
    raw: tuple[str, ...] = (),
    outputs: int | None = None,
    smooth: bool = False,
    public: bool = False,
    numbers: tuple[str, ...] = (),
    tensors: tuple[str, ...] = (),
    domain: tuple[float, float] = (-3.0, 3.0),
    ulp: int = 4,
) -> Any:
    """Make a differentiable operation from a formula over scalars.

    Broadcasting, type promotion, the fused kernel, its derivatives of every order: all follow from the formula. A formula that is not
    differentiable everywhere (it uses ``abs``, ``maximum``, ``where``, ...) must bring its partial derivatives, unless ``smooth`` says that the
    derived ones are right: the operation is refused when a gradient is asked of it. Parameters named in ``numbers`` have no derivative: a tensor
    that requires one is refused; those named in ``tensors`` must not be numbers. With ``public`` it is also a function of the package, a method of tensors and, with an underscore, an
    in-place method. The tests sweep every operation over its ``domain`` and
    hold its float32 result to ``ulp`` units in the last place of the largest value that it computes with.

    >>> @gf.elementwise
    ... def swish(x, beta):
    ...     return x / (1 + gf.scalar.exp(-beta * x))
    >>> x = gf.tensor([0.0, 1.0], requires_grad=True)
    >>> y = swish(x, 1.0)
    >>> y.sum().backward()
    >>> x.grad
    tensor([0.5000, 0.9277])
    """
    if formula is None:
        return lambda f: elementwise(
            f,
            grad_name=grad_name,
            raw=raw,
            outputs=outputs,
            smooth=smooth,
            public=public,
            numbers=numbers,
            tensors=tensors,
            domain=domain,
            ulp=ulp,
        )
    op = register(formula, grad_name, raw, False, (), outputs, smooth)
    op.domain, op.ulp, op.public = domain, ulp, public
    names = list(inspect.signature(formula).parameters)
    op.numbers, op.tensors = frozenset(map(names.index, numbers)), frozenset(map(names.index, tensors))
    n = op.program.inputs
    if op.single and n <= 2 and not op.numbers:
        return dress((unary if n == 1 else binary)(op), op, formula)

    special = op.grad_name.startswith("Special")

    def call(*args: Any, out: Any = None) -> Any:
        if len(args) != n:
            raise DTypeError(f"{op.name}: takes {n} arguments, {len(args)} given")
        for i in op.tensors:
            if not isinstance(args[i], Tensor | Value):
                tensor_expected(args[i], op.name)
        if special and not any(isinstance(x, Tensor | Value) for x in args):
            tensor_expected(args[0], op.name)
        return op.call(*args) if out is None else into(op.name, out, op.call, args, {})

    return dress(call, op, formula)


def rows(
    formula: Callable | None = None,
    *,
    grad_name: str | None = None,
    raw: tuple[str, ...] = (),
    row_inputs: tuple[str, ...] = (),
    outputs: int | None = None,
) -> Any:
    """Make a differentiable operation on rows from a formula that uses ``row_sum`` and ``row_max``; called with ``axis=``."""
    if formula is None:
        return lambda f: rows(f, grad_name=grad_name, raw=raw, row_inputs=row_inputs, outputs=outputs)
    op = register(formula, grad_name, raw, True, row_inputs, outputs, True)

    def call(*args: Any, axis: int) -> Any:
        return op.call(*args, axis=axis)

    return dress(call, op, formula)


__all__ = ["REGISTRY", "Elementwise", "GradError", "elementwise", "rows"]
