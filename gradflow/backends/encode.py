"""Typed programs as the flat code that the CPU interpreter runs."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

from ..scalar.program import Program, Typed, rows_of
from ..scalar.types import FLOAT32, FLOAT64, REGISTER, SIZES

INPUT, CONST = -1, -1001  # operand k of a kind is written KIND - k; registers are numbers from 0


def encode(typed: Typed, opcodes: dict[str, int]) -> tuple[bytes, tuple[Any, ...], tuple[int, ...], tuple[int, ...], int]:
    """(code, constants, their register types, output types, number of tile registers).

    Each instruction is six int32: opcode, register type, destination, three operands. An output that nothing else reads is written
    directly; registers are given to values by linear scan, except in row programs, whose parts may run more than once.
    """
    program = typed.program
    n, c = program.inputs, len(typed.consts)
    where: list[int] = [INPUT - i for i in range(n)] + [CONST - i for i in range(c)]
    source = list(range(n + c))  # a cast between types that share a register is the value itself
    steps: dict[int, tuple[str, list[int]]] = {}
    for at, instr in enumerate(typed.code, n + c):
        args = [source[a] for a in instr.args]
        if instr.op == "cast" and REGISTER[typed.types[instr.args[0]]] == REGISTER[typed.types[at]]:
            source.append(args[0])
        else:
            source.append(at)
            steps[at] = instr.op, args
    outputs = [source[i] for i in typed.outputs]
    pair_up(typed, steps, outputs)
    last = {a: at for at, (_, args) in steps.items() for a in args}
    direct = {v: k for k, v in enumerate(outputs) if v >= n + c and v not in last and outputs.count(v) == 1 and not program.rows}
    for v in outputs:
        if v not in direct:
            last[v] = n + c + len(typed.code)
    free: list[int] = []
    registers = 0
    code = array("i")

    def operands(args: list[int]) -> list[int]:
        return ([where[a] for a in args] + [0, 0, 0])[:3]

    for at in range(n + c, n + c + len(typed.code)):
        if at not in steps:
            where.append(where[source[at]] if source[at] != at else 0)
            continue
        op, args = steps[at]
        reads = operands(args)
        size = SIZES[REGISTER[typed.types[at]]]
        dead = [] if program.rows else [a for a in set(args) if a >= n + c and last[a] == at]
        # a register may be overwritten while it is read only by elements of the same size
        free += [where[a] for a in dead if SIZES[REGISTER[typed.types[a]]] == size]
        later = [where[a] for a in dead if SIZES[REGISTER[typed.types[a]]] != size]
        if at in direct:
            dst = -1 - direct[at]
        elif at not in last:  # nobody reads it: possible only for a cast that became its source
            where.append(0)
            free += later
            continue
        elif free:
            dst = free.pop()
        else:
            dst, registers = registers, registers + 1
        where.append(dst)
        free += later
        # a comparison computes in the type of its operands
        kind = typed.types[args[0]] if op in ("eq", "ne", "lt", "le", "gt", "ge") else typed.types[at]
        if op == "cast":
            reads[1] = REGISTER[typed.types[args[0]]]
        code.extend([opcodes[op], REGISTER[kind], dst, *reads])
    for k, v in enumerate(outputs):
        if v not in direct:
            kind = REGISTER[typed.types[v]]
            code.extend([opcodes["cast"], kind, -1 - k, where[v], kind, 0])
    const_types = tuple(REGISTER[typed.types[n + i]] for i in range(c))
    return code.tobytes(), typed.consts, const_types, tuple(typed.types[i] for i in typed.outputs), registers


# (first operation, second operation, which operand of the second the first is) -> both in one instruction
PAIRS = {
    ("mul", "add", 0): "mul_add",
    ("mul", "add", 1): "mul_add",
    ("mul", "sub", 0): "mul_sub",
    ("mul", "sub", 1): "minus_mul",
    ("add", "mul", 0): "add_mul",
    ("add", "mul", 1): "add_mul",
    ("sub", "mul", 0): "sub_mul",
    ("sub", "mul", 1): "sub_mul",
    ("mul", "mul", 0): "mul_mul",
    ("add", "add", 0): "add_add",
    ("maximum", "minimum", 0): "max_min",
}


def pair_up(typed: Typed, steps: dict[int, tuple[str, list[int]]], outputs: list[int]) -> None:
    """Two operations become one instruction where the second is the only reader of the first. A value that is one for a row is not
    drawn into an operation on all of the row's elements."""
    uses = Counter(a for _, args in steps.values() for a in args)
    uses.update(outputs)
    per_row = rows_of(typed) if typed.program.rows else None
    for at in list(steps):
        op, args = steps[at]
        if REGISTER[typed.types[at]] not in (FLOAT32, FLOAT64):
            continue
        for k, a in enumerate(args):
            pair = PAIRS.get((steps[a][0], op, k)) if a in steps and uses[a] == 1 else None
            if pair and REGISTER[typed.types[a]] == REGISTER[typed.types[at]] and (per_row is None or per_row[a] == per_row[at]):
                steps[at] = pair, [*steps.pop(a)[1], args[1 - k]]
                break


def flags(program: Program) -> int:
    """What the interpreter must know of a program before it is typed."""
    rows = sum(1 << i for i, row in enumerate(program.row_outputs) if row)
    return (1 if program.index else 0) | (2 if program.rows else 0) | rows << 8
