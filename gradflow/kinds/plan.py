"""How gradients go back through a formula: the pullback of an operation, as a program of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backends
from ..backends import elementwise as run_kernel
from ..backends import prepare
from ..dtypes import FROM_NUMPY
from ..errors import GradError
from ..scalar import derive, eq, where
from ..scalar.program import Program
from ..scalar.trace import Value
from ..tape.node import Node, Output, identity
from ..tensor import wrap

if TYPE_CHECKING:
    from .formulas import Elementwise


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
        "present",
        "program",
        "reads",
        "rows",
        "safe",
        "second",
        "through",
        "tied",
        "wanted",
        "zero",
    )

    def __init__(
        self, op: Elementwise, wanted: tuple[int, ...], tied: bool = False, present: tuple[int, ...] | None = None, safe: bool = False
    ):
        self.op, self.name, self.wanted, self.rows = op, op.grad_name, wanted, op.program.rows
        self.tied, self.present, self.safe = tied, present, safe
        present = tuple(range(len(op.program.outputs))) if present is None else present
        try:
            g, inputs, outputs, cotangents = op.pullback(wanted, present)
        except NotImplementedError as error:
            raise GradError(f"{op.name}: {error}; use an operation that has it") from None
        if self.rows:
            cotangents = whole_rows(op.program, wanted, present, g, inputs, outputs, cotangents)
        if safe:
            cotangents = derive.zeros_kept(cotangents, g)
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

    @property
    def outputs(self) -> int:
        return len(self.op.program.outputs)

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
                    found = (
                        as_tuple(plan.run(inputs, node, None, 0)) if plan.computed else ()
                    )  # none: of these outputs none depends on them
                    for i, array in zip(plan.computed, found, strict=True):
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
                walk.add(parent, backends.zeros(shape, code, g), True)

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
                full = np.broadcast_shapes(*(x.shape for x in inputs if backends.is_array(x)))
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
        plan = self.op.plan(sum(1 << i for i in self.wanted), False, present, self.safe)
        have = dict(zip(self.reads, node.saved or (), strict=True))
        return plan, (*seeds, *(have[r] for r in plan.reads))

    def kept(self) -> Plan:
        """The same plan, in which a cotangent that is zero stays zero."""
        return self.op.plan(sum(1 << i for i in self.wanted), self.tied, self.present, True)

    def derive(self, node: Node, g: Any) -> list[Any]:
        """The same over tensors, recorded."""
        op, parents = self.op, node.parents
        result: list[Any] = [None] * len(parents)
        for i in self.through:
            result[i] = g
        for i in self.zero:
            like = g[min(g)] if g.__class__ is dict else g
            shape, code = (node.irregular and node.irregular[i]) or (like.array.shape, like.dtype.code)
            result[i] = wrap(backends.zeros(shape, code, like.array))
        if self.computed:
            plan: Plan = self
            seeds: tuple = (g,)
            if g.__class__ is dict:
                plan, _ = self.for_outputs(node, g)
                seeds = tuple(g[k] for k in sorted(g))
            if plan.operation is None and plan.computed:
                plan.operation = type(op)(plan.program, plan.name)
            n = op.program.inputs
            saved = []
            have = dict(zip(self.reads, node.saved, strict=True))
            for r in plan.reads:
                value = have[r]
                if not backends.is_array(value):
                    saved.append(value)
                    continue
                source = parents[r] if r < n else node if len(op.program.outputs) == 1 else Output(node, r - n)
                saved.append(wrap(value, source))
            outputs = () if plan.operation is None else plan.operation.call(*seeds, *saved, axis=node.meta)
            for i, out in zip(plan.computed, as_tuple(outputs), strict=True):
                result[i] = out
        if node.irregular is not None:
            for i, entry in enumerate(node.irregular):
                if entry is not None and result[i] is not None:
                    result[i] = sum_tensor_to(result[i], *entry)
        return result


def whole_rows(program: Program, wanted: Sequence[int], present: Sequence[int], g: list, inputs: list, outputs: list, found: list) -> list:
    """The cotangents; one that is the same along the row has still an element for each of its input's."""
    per_row = [inputs[i] for i in program.row_inputs]
    per_row += [y for y, one in zip(outputs, program.row_outputs, strict=True) if one]
    per_row += [g[i] for i, k in enumerate(present) if program.row_outputs[k]]
    is_one = derive.row_predicate(per_row)
    full = [g[i] for i, k in enumerate(present) if not program.row_outputs[k]]
    result = []
    for i, c in zip(wanted, found, strict=True):
        if c is not None and i not in program.row_inputs and is_one(c):
            like = (full or [inputs[i]])[0]
            c = where(eq(like, like), c, c)
        result.append(c)
    return result


sum_tensor_to: Any = None  # given by ops/reductions.py: a differentiable sum to a shape, and conversion


def sum_to(kernel: Any, inputs: tuple, full: tuple, shape: tuple, code: int, out: Any, accumulate: int) -> Any:
    """Fold ``kernel(*inputs)``, of shape ``full``, to ``shape`` (which broadcasts to it), into ``out`` of type ``code``."""
    lead = len(full) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and full[lead + i] != 1)
    if out is None:
        out, accumulate = backends.empty(shape, code, inputs[0]), 0
    if not axes:
        return backends.elementwise(kernel, inputs, out, accumulate)
    kept = (1,) * lead + tuple(shape)
    view = out.reshape(kept) if out.flags.c_contiguous else out[(None,) * lead]
    backends.reduce(backends.KINDS["sum"], kernel, inputs, axes, True, view, accumulate)
    return out
