"""A traced formula as a list: :class:`Program`, simplified, and its typed form that kernels are made from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import types
from .primitives import ROW_FOLDS, cast, column_index, eq, row_sum, where
from .trace import Primitive, Value, lift, ordered


class Instr(NamedTuple):
    """``args`` number the values: inputs first, then constants, then instructions."""

    op: str
    args: tuple[int, ...]
    data: Any = None


class Typed(NamedTuple):
    """A program for given input types: every instruction names the register type it computes in, casts are explicit.

    ``inputs`` are the element types that the inputs arrive in; ``types`` are the element types of all values, in the numbering of ``Instr.args``.
    """

    program: Program
    consts: tuple[Any, ...]
    code: tuple[Instr, ...]
    types: tuple[int, ...]
    outputs: tuple[int, ...]


class Program:
    """A short list of scalar operations in single-assignment form.

    ``raw`` inputs (seeds, targets) keep their own type, the others meet in one common type before the first operation, as torch
    promotes operands. A program with ``rows`` folds rows; its ``row_inputs`` are one value a row, and ``row_outputs`` tells which outputs are.
    """

    __slots__ = ("code", "consts", "index", "inputs", "name", "outputs", "raw", "row_inputs", "row_outputs", "rows")

    def __init__(
        self, name: str, inputs: int, outputs: Sequence[Value], raw: Sequence[int] = (), row_inputs: Sequence[int] = (), rows: bool = False
    ):
        values = ordered(tuple(outputs))
        self.name, self.inputs = name, inputs
        self.raw, self.row_inputs = frozenset(raw), frozenset(row_inputs)
        numbers: dict[Any, int] = {}
        place: dict[int, int] = {}
        consts = [v for v in values if v.op == "const"]
        self.consts: tuple[Any, ...] = ()
        for v in consts:  # 1, 1.0 and True are different constants
            constant = ("const", type(v.data), repr(v.data))
            if constant not in numbers:
                numbers[constant] = inputs + len(self.consts)
                self.consts += (v.data,)
            place[id(v)] = numbers[constant]
        code: list[Instr] = []
        base = inputs + len(self.consts)
        for v in values:
            if v.op == "input":
                place[id(v)] = v.data
            elif v.op != "const":
                key = (v.op, tuple(place[id(a)] for a in v.args), v.data)
                if key not in numbers:  # equal sub-expressions are computed once
                    numbers[key] = base + len(code)
                    code.append(Instr(*key))
                place[id(v)] = numbers[key]
        self.code = tuple(code)
        self.outputs = tuple(place[id(v)] for v in outputs)
        ops = {instr.op for instr in code}
        self.rows = rows or bool(ops & {*ROW_FOLDS, "row_at", "column_index"})
        self.index = bool(ops & {"random", "linear_index"})
        per_row = self.row_values()
        self.row_outputs = tuple(self.rows and per_row[i] for i in self.outputs)

    def row_values(self) -> list[bool]:
        """For every value: is it the same for the whole row, whatever the row holds?"""
        per_row = [i in self.row_inputs for i in range(self.inputs)] + [True] * len(self.consts)
        for instr in self.code:
            if instr.op in ROW_FOLDS or instr.op == "row_at":
                per_row.append(True)
            elif instr.op in ("column_index", "linear_index", "random"):
                per_row.append(False)
            else:
                per_row.append(all(per_row[a] for a in instr.args))
        return per_row

    def values(self, inputs: Sequence[Value]) -> list[Value]:
        """The program as expressions again, over other inputs."""
        values = list(inputs) + [Value("const", data=c) for c in self.consts]
        for instr in self.code:
            values.append(Value(instr.op, tuple(values[a] for a in instr.args), instr.data))
        return values

    def __call__(self, *inputs: Value) -> Value | tuple[Value, ...]:
        """Inline the program into a formula."""
        values = self.values([lift(x) for x in inputs])
        outputs = tuple(values[i] for i in self.outputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def __repr__(self) -> str:
        lines = [f"{self.name}({', '.join(f'x{i}' for i in range(self.inputs))}):"]
        names = [f"x{i}" for i in range(self.inputs)] + [repr(c) for c in self.consts]
        for instr in self.code:
            names.append(f"r{len(names) - self.inputs - len(self.consts)}")
            data = "" if instr.data is None else f", {instr.data}"
            lines.append(f"  {names[-1]} = {instr.op}({', '.join(names[a] for a in instr.args)}{data})")
        return "\n".join([*lines, f"  return {', '.join(names[i] for i in self.outputs)}"])

    def typed(self, dtypes: Sequence[int], common: int, default: int = types.FLOAT32) -> Typed:
        """The program for inputs of these element types; ``common`` is what the non-raw ones meet in, ``default`` the default float."""
        typed = Typer(self, dtypes, common, default).result()
        if types.category(common) < 2 and all(types.category(typed.types[i]) == 2 for i in typed.outputs):
            # a function with real values: integers become floats before it computes, not somewhere on its way
            typed = Typer(self, dtypes, common, default, types.promote(common, default)).result()
        return typed


def looked_up(program: Program) -> Program:
    """The program with sums in place of ``row_at``, for kernels that have a row only as a whole."""
    if not any(instr.op == "row_at" for instr in program.code):
        return program
    values = [Value("input", data=i) for i in range(program.inputs)] + [Value("const", data=c) for c in program.consts]
    for op, args, data in program.code:
        operands = tuple(values[a] for a in args)
        values.append(row_sum(where(eq(column_index(), operands[1]), operands[0], 0)) if op == "row_at" else Value(op, operands, data))
    return Program(program.name, program.inputs, [values[i] for i in program.outputs], tuple(program.raw), tuple(program.row_inputs), True)


def rows_of(typed: Typed) -> list[bool]:
    """For every value of a row program: is it one for the row?"""
    program = typed.program
    per_row = [i in program.row_inputs for i in range(program.inputs)] + [True] * len(typed.consts)
    for instr in typed.code:
        known = instr.op in ROW_FOLDS or instr.op == "row_at"
        per_row.append(known or (bool(instr.args) and instr.op != "random" and all(per_row[a] for a in instr.args)))
    return per_row


class Typer:
    """Gives every value of a program an element type and puts the casts in."""

    def __init__(self, program: Program, dtypes: Sequence[int], common: int, default: int, first: int | None = None):
        self.program, self.default, self.first = program, default, first
        self.inputs = [dtypes[i] if i in program.raw else common for i in range(program.inputs)]
        self.consts: list[Any] = list(program.consts)
        self.code: list[tuple[str, tuple[tuple[str, int], ...], Any]] = []
        self.kinds: list[int] = []  # of the instructions
        self.const_kinds: list[int | None] = [None] * len(program.consts)  # weak until used
        # During typing values are named ("input", i), ("const", i), ("code", i), because constants multiply as types are chosen.
        self.const_names: dict[tuple[int, int], int] = {}
        self.typed_consts: list[tuple[Any, int]] = []

    def result(self) -> Typed:
        program = self.program
        names: list[tuple[str, int]] = [("input", i) for i in range(program.inputs)]
        if self.first is not None:
            names = [name if name[1] in program.raw else self.to(name, self.first) for name in names]
        names += [("weak", i) for i in range(len(program.consts))]
        for instr in program.code:
            names.append(self.instruction(instr, [names[a] for a in instr.args]))
        outputs = [self.strong(names[i]) for i in program.outputs]
        base = program.inputs + len(self.typed_consts)
        number = {"input": 0, "const": program.inputs, "code": base}
        code = tuple(Instr(op, tuple(number[kind] + k for kind, k in args), data) for op, args, data in self.code)
        consts = tuple(_as(value, dtype) for value, dtype in self.typed_consts)
        kinds = (*self.inputs, *(dtype for _, dtype in self.typed_consts), *self.kinds)
        return Typed(program, consts, code, kinds, tuple(number[kind] + k for kind, k in outputs))

    def type_of(self, name: tuple[str, int]) -> int:
        kind, i = name
        return self.inputs[i] if kind == "input" else self.kinds[i] if kind == "code" else self.typed_consts[i][1]

    def strong(self, name: tuple[str, int]) -> tuple[str, int]:
        """A constant that nothing gave a type gets the one of a Python number."""
        if name[0] != "weak":
            return name
        value = self.program.consts[name[1]]
        dtype = types.BOOL if isinstance(value, bool) else types.INT64 if isinstance(value, int) else self.default
        return self.const(name[1], dtype)

    def const(self, i: int, dtype: int) -> tuple[str, int]:
        key = (i, dtype)
        if key not in self.const_names:
            self.const_names[key] = len(self.typed_consts)
            self.typed_consts.append((self.program.consts[i], dtype))
        return "const", self.const_names[key]

    def emit(self, op: str, args: Sequence[tuple[str, int]], dtype: int, data: Any = None) -> tuple[str, int]:
        self.code.append((op, tuple(args), data))
        self.kinds.append(dtype)
        return "code", len(self.code) - 1

    def to(self, name: tuple[str, int], dtype: int) -> tuple[str, int]:
        if name[0] == "weak":
            return self.const(name[1], dtype)
        return name if self.type_of(name) == dtype else self.emit("cast", [name], dtype, dtype)

    def common(self, names: Sequence[tuple[str, int]]) -> int:
        """Torch's result type: a weak constant counts only if its category is higher than the values'."""
        result: int | None = None
        for name in names:
            if name[0] != "weak":
                dtype = self.type_of(name)
                result = dtype if result is None else types.promote(result, dtype)
        for name in names:
            if name[0] == "weak":
                value = self.program.consts[name[1]]
                weak = types.BOOL if isinstance(value, bool) else types.INT64 if isinstance(value, int) else self.default
                if result is None or types.category(weak) > types.category(result):
                    result = weak
        assert result is not None
        return result

    def instruction(self, instr: Instr, args: list[tuple[str, int]]) -> tuple[str, int]:
        op = instr.op
        if op == "cast":
            return self.to(args[0], instr.data) if args[0][0] != "weak" else self.const(args[0][1], instr.data)
        if op in ("linear_index", "column_index"):
            return self.emit(op, [], types.INT64)
        if op == "random":
            return self.emit(op, [self.to(a, types.INT64) for a in args], types.INT64)
        if op in ROW_FOLDS:
            dtype = self.common(args)
            return self.emit(op, [self.to(args[0], dtype)], dtype)
        if op == "row_at":
            at, dtype = args[0], self.common(args[:1])
            while at[0] == "code" and self.code[at[1]][0] == "cast":  # it is read where it lies
                (at,) = self.code[at[1]][1]
            return self.to(self.emit(op, [self.strong(at), self.to(args[1], types.INT64)], self.type_of(self.strong(at))), dtype)
        primitive = Primitive.table[op]
        if primitive.domain == "W":
            dtype = self.common(args[1:])
            return self.emit(op, [self.to(args[0], types.BOOL), *(self.to(a, dtype) for a in args[1:])], dtype)
        dtype = self.common(args)
        if primitive.domain == "F" and types.category(dtype) < 2:
            dtype = self.default
        if primitive.domain == "C":
            return self.emit(op, [self.to(a, dtype) for a in args], types.BOOL)
        if primitive.domain == "I" and types.category(dtype) == 2:
            raise TypeError(f"{self.program.name}: {op} is defined for bool and integers, not for {types.NAMES[dtype]}; convert first")
        if primitive.domain == "N" and dtype == types.BOOL:  # numbers 0 and 1, and truth again
            return self.to(self.emit(op, [self.to(a, types.INT32) for a in args], types.INT32), types.BOOL)
        return self.emit(op, [self.to(a, dtype) for a in args], dtype)


def _as(value: Any, dtype: int) -> Any:
    return (bool, int, float)[types.category(dtype)](value)


def trace(
    formula: Callable,
    inputs: int | None = None,
    *,
    name: str | None = None,
    raw: Sequence[str] = (),
    row_inputs: Sequence[str] = (),
    outputs: int | None = None,
) -> Program:
    """Call ``formula`` once with scalar values and keep what it did.

    >>> print(trace(lambda x: 0.5 * x + 1, name="line"))
    line(x0):
      r0 = mul(0.5, x0)
      r1 = add(r0, 1)
      return r1
    """
    names = list(inspect.signature(formula).parameters)
    count = len(names) if inputs is None else inputs
    result = formula(*(Value("input", data=i) for i in range(count)))
    results = result if isinstance(result, tuple) else (result,)
    if outputs is not None and len(results) != outputs:
        raise TypeError(f"{name or formula.__name__}: the formula gives {len(results)} values, {outputs} declared")
    where = names.index
    return Program(name or formula.__name__, count, [lift(r) for r in results], [where(r) for r in raw], [where(r) for r in row_inputs])


__all__ = ["Instr", "Program", "Typed", "cast", "rows_of", "trace"]
