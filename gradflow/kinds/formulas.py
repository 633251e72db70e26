"""Elementwise operations and operations on rows: a formula is the operation.

The formula is traced once into a program. The derivative is a program too: derived from the formula, or from the partial derivatives
that the operation brings. What it reads is what is saved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from .. import backends
from ..backends import elementwise as run_kernel
from ..backends import irregular, prepare
from ..dtypes import FROM_NUMPY
from ..errors import ArgumentError, DTypeError, GradError
from ..scalar import derive
from ..scalar.program import Program, trace
from ..scalar.trace import Primitive, Value, ordered
from ..tape.node import Node, Output, identity, mode, new_version
from ..tensor import Tensor, new, wrap

FLOATS = frozenset("fV")  # V: bfloat16


def operand(x: Any, op: str) -> Any:
    """A kernel's operand from something that is not a tensor."""
    if isinstance(x, bool | int | float | np.bool_ | np.number):
        return x
    raise DTypeError(f"{op}: an operand is a {type(x).__name__}; expected a Tensor or a number")


def as_tuple(x: Any) -> tuple:
    return x if isinstance(x, tuple) else (x,)


def only(i: int) -> Callable:
    return lambda values: (values[i],)


class Plan:
    """How gradients go back through an elementwise operation, for one choice of inputs that want them.

    The pullback's inputs are the cotangent and, of the operation's inputs and outputs, those that the derivative reads (``reads``, numbered
    inputs first). ``computed`` are the inputs whose gradients it computes, ``through`` those that get the cotangent as it is.
    """

    __slots__ = (
        "computed",
        "first",
        "kernel",
        "name",
        "op",
        "operation",
        "own",
        "pick",
        "program",
        "reads",
        "rows",
        "second",
        "through",
        "wanted",
        "zero",
    )

    def __init__(self, op: Elementwise, wanted: tuple[int, ...], tied: bool = False, present: tuple[int, ...] | None = None):
        self.op, self.name, self.wanted, self.rows = op, op.grad_name, wanted, op.program.rows
        present = tuple(range(len(op.program.outputs))) if present is None else present
        try:
            g, inputs, outputs, cotangents = op.pullback(wanted, present)
        except NotImplementedError as error:
            raise GradError(f"{op.name}: {error}; use an operation that has it") from None
        if tied:  # both operands are the same tensor: one gradient, the sum
            first, second = cotangents
            cotangents = [first if second is None else second if first is None else first + second, None]
        simple = op.single and not op.program.rows
        self.through = tuple(i for i, c in zip(wanted, cotangents, strict=True) if c is g[0] and simple)
        computed = [(i, c) for i, c in zip(wanted, cotangents, strict=True) if c is not None and i not in self.through]
        self.computed = tuple(i for i, _ in computed)
        self.zero = () if tied else tuple(i for i, c in zip(wanted, cotangents, strict=True) if c is None)
        program = Program(f"{op.name}_backward", len(g) + len(inputs) + len(outputs), [c for _, c in computed])
        used = {a for instr in program.code for a in instr.args if a < program.inputs} | {a for a in program.outputs if a < program.inputs}
        reads = [i for i in range(len(g), program.inputs) if i in used]
        self.reads = tuple(i - len(g) for i in reads)
        places = [*range(len(g)), *reads]
        values = [Value("input", data=places.index(i)) if i in places else None for i in range(program.inputs)]
        lifted = program.values(values)  # type: ignore[arg-type]
        raw = [places.index(i + len(g)) for i in op.program.raw if i + len(g) in places]
        row_inputs = [i for i, k in enumerate(present) if op.program.row_outputs[k]]
        row_inputs += [places.index(i + len(g)) for i in op.program.row_inputs if i + len(g) in places]
        row_inputs += [places.index(i) for i in reads if i - len(g) >= len(inputs) and op.program.row_outputs[i - len(g) - len(inputs)]]
        self.program = Program(program.name, len(places), [lifted[i] for i in program.outputs], raw, row_inputs, op.program.rows)
        self.kernel = prepare(self.program) if computed else None
        self.operation: Elementwise | None = None
        # Which of the values that the operation had at hand are kept; and, for one or two inputs, which they are.
        n = op.program.inputs
        self.pick = None if not self.reads else itemgetter(*self.reads) if len(self.reads) > 1 else only(self.reads[0])
        self.first, self.second, self.own = 0 in self.reads, 1 in self.reads and n > 1, n in self.reads

    def run(self, inputs: tuple, node: Node, out: Any, accumulate: int) -> Any:
        if self.program.rows:
            return backends.rows(self.kernel, inputs, node.meta, out, accumulate)
        return backends.elementwise(self.kernel, inputs, out, accumulate)

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        """Compute the gradients of the inputs where they belong."""
        if node.irregular is not None:
            self.pull_irregular(node, g, walk)
            return
        parents, computed = node.parents, self.computed
        if computed:
            if g.__class__ is dict:
                plan, inputs = self.for_outputs(node, g)
                if plan is not self:
                    for i, array in zip(plan.computed, as_tuple(plan.run(inputs, node, None, 0)), strict=True):
                        walk.add(parents[i], array, True)
                    return
            else:
                inputs = (g, *node.saved)
            if len(computed) == 1:
                parent = parents[computed[0]]
                out, accumulate = walk.destination(parent)
                if self.rows:
                    walk.arrive(parent, backends.rows(self.kernel, inputs, node.meta, out, accumulate))
                else:
                    walk.arrive(parent, run_kernel(self.kernel, inputs, out, accumulate))
            elif len(computed) == 2 and (first := parents[computed[0]]) is not (second := parents[computed[1]]) and not self.rows:
                out, accumulate = walk.destination(first)
                out2, add = walk.destination(second)
                array, array2 = run_kernel(self.kernel, inputs, (out, out2), accumulate | add << 1)
                walk.arrive(first, array)
                walk.arrive(second, array2)
            else:  # several may be one tensor, and cannot all be written to its one buffer
                for i, array in zip(computed, self.run(inputs, node, None, 0), strict=True):
                    walk.add(parents[i], array, True)
        through = self.through
        for i in through:
            walk.add(parents[i], g, owned and len(through) == 1)
        if self.zero:
            self.pull_zero(node, g, walk)

    def pull_zero(self, node: Node, g: Any, walk: Any) -> None:
        """A derivative that is 0 everywhere gives zeros, as in torch, not no gradient."""
        g = next(iter(g.values())) if g.__class__ is dict else g
        for i in self.zero:
            parent = node.parents[i]
            if walk.wants(parent):
                shape, code = (node.irregular and node.irregular[i]) or (g.shape, FROM_NUMPY[g.dtype].code)
                walk.add(parent, backends.zeros(shape, code), True)

    def pull_irregular(self, node: Node, g: Any, walk: Any) -> None:
        """Some operand was broadcast or converted: its gradient is summed to its shape and has its type."""
        op = self.op
        present = tuple(sorted(g)) if g.__class__ is dict else None
        seeds = (g,) if present is None else tuple(g[k] for k in present)
        have = dict(zip(self.reads, node.saved or (), strict=True))
        for i in (*self.computed, *self.through):
            parent = node.parents[i]
            if not walk.wants(parent):
                continue
            plan = op.plan(1 << i, False, present)
            if not plan.computed and not plan.through:
                continue
            inputs = (*seeds, *(have[r] for r in plan.reads))
            kernel = plan.kernel or identity
            if op.program.rows:
                kernel, inputs = identity, (backends.rows(kernel, inputs, node.meta),)
            out, accumulate = walk.destination(parent)
            entry = node.irregular[i]
            if entry is None:
                walk.arrive(parent, backends.elementwise(kernel, inputs, out, accumulate))
            else:
                full = np.broadcast_shapes(*(x.shape for x in inputs if isinstance(x, np.ndarray)))
                shape, code = entry
                walk.arrive(parent, sum_to(kernel, inputs, full, shape, code, out, accumulate))
        if self.zero:
            self.pull_zero(node, g, walk)

    def for_outputs(self, node: Node, g: dict[int, Any]) -> tuple[Plan, tuple]:
        """(the plan for those outputs whose cotangent has arrived, its inputs)."""
        present = tuple(sorted(g))
        seeds = tuple(g[k] for k in present)
        if len(present) == len(self.op.program.outputs):
            return self, (*seeds, *(node.saved or ()))
        plan = self.op.plan(sum(1 << i for i in self.wanted), False, present)
        have = dict(zip(self.reads, node.saved or (), strict=True))
        return plan, (*seeds, *(have[r] for r in plan.reads))

    def derive(self, node: Node, g: Any) -> list[Any]:
        """The same over tensors, recorded."""
        op, parents = self.op, node.parents
        result: list[Any] = [None] * len(parents)
        for i in self.through:
            result[i] = g
        for i in self.zero:
            like = g[min(g)] if g.__class__ is dict else g
            shape, code = (node.irregular and node.irregular[i]) or (like.array.shape, like.dtype.code)
            result[i] = wrap(backends.zeros(shape, code))
        if self.computed:
            plan: Plan = self
            seeds: tuple = (g,)
            if g.__class__ is dict:
                plan, _ = self.for_outputs(node, g)
                seeds = tuple(g[k] for k in sorted(g))
            if plan.operation is None:
                plan.operation = Elementwise(plan.program, plan.name)
            n = op.program.inputs
            saved = []
            have = dict(zip(self.reads, node.saved, strict=True))
            for r in plan.reads:
                value = have[r]
                if not isinstance(value, np.ndarray):
                    saved.append(value)
                    continue
                source = parents[r] if r < n else node if len(op.program.outputs) == 1 else Output(node, r - n)
                saved.append(wrap(value, source))
            outputs = plan.operation.call(*seeds, *saved, axis=node.meta)
            for i, out in zip(plan.computed, as_tuple(outputs), strict=True):
                result[i] = out
        if node.irregular is not None:
            for i, entry in enumerate(node.irregular):
                if entry is not None and result[i] is not None:
                    result[i] = sum_tensor_to(result[i], *entry)
        return result


sum_tensor_to: Any = None  # given by ops/reductions.py: a differentiable sum to a shape, and conversion


def sum_to(kernel: Any, inputs: tuple, full: tuple, shape: tuple, code: int, out: Any, accumulate: int) -> Any:
    """Fold ``kernel(*inputs)``, of shape ``full``, to ``shape`` (which broadcasts to it), into ``out`` of type ``code``."""
    lead = len(full) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and full[lead + i] != 1)
    if out is None:
        out, accumulate = backends.empty(shape, code), 0
    if not axes:
        return backends.elementwise(kernel, inputs, out, accumulate)
    kept = (1,) * lead + tuple(shape)
    view = out.reshape(kept) if out.flags.c_contiguous else out[(None,) * lead]
    backends.reduce(backends.KINDS["sum"], kernel, inputs, axes, True, view, accumulate)
    return out


class Elementwise:
    """An elementwise operation, or one on rows (then ``call`` takes an ``axis``)."""

    def __init__(self, program: Program, grad_name: str, partial: Callable | None = None, doc: str | None = None):
        self.program, self.name, self.grad_name, self.doc = program, program.name, grad_name, doc
        self.kernel = prepare(program)
        self.partial = partial
        self.vjp: Callable | None = None
        self.numbers: frozenset[int] = frozenset()
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

    def plan(self, wanted: int, tied: bool = False, present: tuple[int, ...] | None = None) -> Plan:
        """The pullback for the inputs whose bits are set in ``wanted``, when cotangents of the outputs ``present`` arrive."""
        if self.refused:
            raise GradError(
                f"{self.name}: the formula uses a primitive that is not differentiable everywhere; give its derivative with "
                f"@{self.name}.partial, or say smooth=True if the derived one is right"
            )
        key = (wanted, tied, present)
        plan = self.plans.get(key)
        if plan is None:
            plan = self.plans[key] = Plan(self, tuple(i for i in range(self.program.inputs) if wanted >> i & 1), tied, present)
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
        full = [a for i, a in enumerate(arrays) if i not in program.row_inputs and isinstance(a, np.ndarray)]
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

    def call(x: Any) -> Any:
        nonlocal plan
        try:
            node = x.node
            array = x.array
        except AttributeError:
            return op.call(x) if isinstance(x, Value) else needs_tensor(name, x)
        out = elementwise(kernel, (array,))
        t = new(Tensor)
        t.array = out
        t.version = t.leaf = t.node = None
        if node is not None and mode.enabled and out.dtype.kind in FLOATS:
            if plan is None:
                plan = op.plan(1)
            if plan.pick is None:
                t.node = Node(plan, (node,))
            else:
                if plan.first and x.version is None:
                    x.version = new_version()
                if plan.own:
                    t.version = new_version()
                t.node = Node(plan, (node,), plan.pick((array, out)), plan.pick((x.version, t.version)))
        return t

    return call


def needs_tensor(name: str, x: Any) -> Any:
    raise DTypeError(f"{name}: argument 'input' must be Tensor, not {type(x).__name__}")


def binary(op: Elementwise) -> Callable:
    elementwise, kernel, name = backends.elementwise, op.kernel, op.name
    plans: list[Any] = [None] * 4  # by which operands want a gradient: 0 says that both are one tensor
    constant = op.constant

    def call(x: Any, y: Any) -> Any:
        try:
            a = x.array
            p = x.node
        except AttributeError:
            if isinstance(x, Value) or isinstance(y, Value):
                return op.program(x, y)
            a, p = operand(x, name), None
        try:
            b = y.array
            q = y.node
        except AttributeError:
            if isinstance(y, Value):
                return op.program(x, y)
            b, q = operand(y, name), None
        out = elementwise(kernel, (a, b))
        t = new(Tensor)
        t.array = out
        t.version = t.leaf = t.node = None
        if (p is not None or q is not None) and mode.enabled and not constant:
            k = 0 if p is q else 1 if q is None else 2 if p is None else 3
            plan = plans[k]
            if plan is None:
                plan = plans[k] = op.plan(k or 3, k == 0)
            if plan.pick is None:
                t.node = Node(plan, (p, q), (), (), irregular(out, (a, b)))
            else:
                v = None if a is x or not plan.first else x.version or version(x)
                w = None if b is y or not plan.second else y.version or version(y)
                if plan.own:
                    t.version = new_version()
                t.node = Node(plan, (p, q), plan.pick((a, b, out)), plan.pick((v, w, t.version)), irregular(out, (a, b)))
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
    REGISTRY[op.name] = call
    return call


REGISTRY: dict[str, Any] = {}


def elementwise(
    formula: Callable | None = None,
    *,
    grad_name: str | None = None,
    raw: tuple[str, ...] = (),
    outputs: int | None = None,
    smooth: bool = False,
    public: bool = False,
    numbers: tuple[str, ...] = (),
    domain: tuple[float, float] = (-3.0, 3.0),
    ulp: int = 4,
) -> Any:
    """Make a differentiable operation from a formula over scalars.

    Broadcasting, type promotion, the fused kernel, its derivatives of every order: all follow from the formula. A formula that is not
    differentiable everywhere (it uses ``abs``, ``maximum``, ``where``, ...) must bring its partial derivatives, unless ``smooth`` says that the
    derived ones are right: the operation is refused when a gradient is asked of it. Parameters named in ``numbers`` have no derivative: a tensor
    that requires one is refused. With ``public`` it is also a function of the package, a method of tensors and, with an underscore, an
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
            f, grad_name=grad_name, raw=raw, outputs=outputs, smooth=smooth, public=public, numbers=numbers, domain=domain, ulp=ulp
        )
    op = register(formula, grad_name, raw, False, (), outputs, smooth)
    op.domain, op.ulp, op.public = domain, ulp, public
    op.numbers = frozenset(list(inspect.signature(formula).parameters).index(name) for name in numbers)
    n = op.program.inputs
    if op.single and n <= 2:
        return dress((unary if n == 1 else binary)(op), op, formula)

    def call(*args: Any) -> Any:
        if len(args) != n:
            raise DTypeError(f"{op.name}: takes {n} arguments, {len(args)} given")
        return op.call(*args)

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
