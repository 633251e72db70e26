"""Typed programs as C++ loops over a tile, for the programs that are compiled with the extension.

The interpreter goes over the tile once per instruction; here everything between two reductions is one loop, whose values stay in registers.
``tests/make_kernels.py`` writes ``csrc/kernels_compiled.cpp`` with this; the extension takes a compiled program in the
interpreter's place where it has one of the same :func:`digest`.

A function gets the tiles of the inputs and outputs, and ``rows`` rows of ``n`` elements; an elementwise program has one row. Inputs in
``row_inputs``, and outputs that are one value for the row, have an element per row; of the other inputs ``row_step`` tells how many elements
there are from one row to the next: none, where it is one row for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s
from typing import NamedTuple

from .cuda import STORED, Values, loop
from .primitives import ROW_FOLDS
from .program import Typed, rows_of
from .types import BOOL, FLOAT32, REGISTER

# A row's pieces are whole vectors: the last one may begin within the piece before it.
PIECES = "for (Piece piece{int(n)}; piece.from < n; piece.next(int(n)))"
BOUNDS = "const int end = piece.to;"  # which no store changes, as the compiler must see
PIECE = "for (int i = piece.from; i < end; ++i)"
ROWS = "for (int64_t row = 0; row < rows; ++row)"
STEP = "ahead.step();"

UNSUPPORTED = {"random", "linear_index", "column_index", "row_max"}


def digest(typed: Typed) -> str:
    """Names a typed program."""
    program = typed.program
    content = typed.consts, typed.code, typed.types, typed.outputs, program.inputs, program.rows, sorted(program.row_inputs)
    return blake2s(repr(content).encode(), digest_size=8).hexdigest()


class Compiled(NamedTuple):
    """``steps``: loops over a row; ``row_inputs``: as bits."""

    digest: str
    name: str
    text: str
    steps: int
    row_inputs: int


def can_compile(typed: Typed) -> bool:
    """Is this a float32 program of more than two instructions (of which the interpreter makes one), none of which needs the interpreter?"""
    base = len(typed.types) - len(typed.code)
    ops = [instr.op for instr in typed.code]
    folds = all(typed.types[base + k] == FLOAT32 for k, op in enumerate(ops) if op in ROW_FOLDS)
    stored = all(REGISTER[typed.types[v]] == typed.types[v] != BOOL for v in typed.outputs)
    return len(typed.code) > 2 and folds and stored and FLOAT32 in typed.types and not UNSUPPORTED & set(ops)


class Loops:
    """The text of one program."""

    def __init__(self, typed: Typed):
        self.typed = typed
        self.program = typed.program
        self.values = Values(typed, column="i")
        self.base = self.values.base
        self.per_row = rows_of(typed) if self.program.rows else [False] * len(typed.types)
        self.level = [0] * self.base
        for instr in typed.code:
            self.level.append(max((self.level[a] for a in instr.args), default=0) + (instr.op in ROW_FOLDS))
        self.depth = max(self.level, default=0)
        self.folds = [self.base + k for k, instr in enumerate(typed.code) if instr.op in ROW_FOLDS]

    # The loops: one for each level of reductions, and a last one for the outputs.

    def roots(self) -> list[list[int]]:
        """The elements' values that each loop is there for."""
        loops = [[self.typed.code[f - self.base].args[0] for f in self.folds if self.level[f] == at] for at in range(1, self.depth + 1)]
        return [*loops, [v for v in dict.fromkeys(self.typed.outputs) if v >= self.base and not self.per_row[v]]]

    def reached(self, roots: Iterable[int]) -> list[int]:
        """The elements' values that ``roots`` need, in order, from the inputs on."""
        found: set[int] = set()
        stack = list(roots)
        while stack:
            v = stack.pop()
            if v in found or self.per_row[v] or self.program.inputs <= v < self.base:
                continue
            found.add(v)
            if v >= self.base:
                stack += self.typed.code[v - self.base].args
        return sorted(found)

    def body(self, roots: list[int]) -> list[str]:
        """The statements of one element. Inputs are read first: an output may be written over one."""
        values = self.reached(roots)
        loads = [f"const {self.values.register(v)} x{v} = in{v}[i];" for v in values if v < self.program.inputs]
        return loads + self.values.statements([v - self.base for v in values if v >= self.base])

    def row_values(self, values: Iterable[int]) -> list[str]:
        """The statements for what ``values`` need of the row: from its inputs and the folds that are known."""
        found: set[int] = set()
        stack = list(values)
        while stack:
            v = stack.pop()
            if v in found or not self.per_row[v] or self.program.inputs <= v < self.base:
                continue
            found.add(v)
            if v >= self.base and v not in self.folds:
                stack += self.typed.code[v - self.base].args
        kinds = {v: self.values.register(v) for v in found}
        lines = [f"const {kinds[v]} x{v} = static_cast<const {kinds[v]}*>(in[{v}])[row];" for v in sorted(found) if v < self.base]
        lines += [f"const float {self.values.names[f]} = fold{f}[row];" for f in self.folds if f in found]
        return lines + self.values.statements([v - self.base for v in sorted(found) if v >= self.base and v not in self.folds])

    def pointers(self, values: Iterable[int]) -> list[str]:
        """Where the elements' inputs among ``values`` begin."""
        kinds = {i: self.values.register(i) for i in values if i < self.program.inputs}
        at = {i: f" + row * row_step[{i}]" if self.program.rows else "" for i in kinds}
        return [f"const {kind}* in{i} = static_cast<const {kind}*>(in[{i}]){at[i]};" for i, kind in kinds.items()]

    def needs(self, values: Iterable[int]) -> list[int]:
        """What the elements' ``values`` are made of, and themselves."""
        return [a for v in values for a in (v, *(self.typed.code[v - self.base].args if v >= self.base else ()))]

    def folding(self, at: int, roots: list[int]) -> list[str]:
        """The folds of level ``at`` + 1 in row number ``row``."""
        folds = [f for f in self.folds if self.level[f] == at + 1]
        reached = self.reached(roots)
        arguments = [self.values.names[self.typed.code[f - self.base].args[0]] for f in folds]
        element = [*self.body(roots), *(f"value[{k}] = {argument};" for k, argument in enumerate(arguments))]
        return [
            *self.pointers(reached),
            *self.row_values([*roots, *self.needs(reached)]),
            STEP,
            f"double sum[{len(folds)}];",
            *loop("sum_row(int(n), sum, [&](int i, float* value)", *element)[:-1],
            "});",
            *(f"fold{f}[row] = float(sum[{k}]);" for k, f in enumerate(folds)),
        ]

    def text(self) -> list[str]:
        """The statements: for each level of folds a loop over the rows, so that none waits for another's, and one for the outputs."""
        *folding, last = self.roots()
        rows = self.program.rows
        own = [(k, STORED[self.typed.types[v]], v) for k, v in enumerate(self.typed.outputs) if v >= self.base]  # others are inputs
        wide = [(k, kind, v) for k, kind, v in own if not self.per_row[v]]
        of_row = [(k, kind, v) for k, kind, v in own if self.per_row[v]]
        reached = self.reached(last)
        end = self.pointers(reached)
        end += [f"{kind}* out{k} = static_cast<{kind}*>(out[{k}]){' + row * n' if rows else ''};" for k, kind, _ in wide]
        end += self.row_values([*(v for _, _, v in of_row), *self.needs(reached)])
        elements = [*self.body(last), *(f"out{k}[i] = {self.values.names[v]};" for k, _, v in wide)]
        elements = ["#pragma GCC ivdep", *loop(PIECE if rows else "for (int64_t i = 0; i < n; ++i)", *elements)]
        if wide:
            end += [STEP, *(loop(PIECES, BOUNDS, *elements) if rows else elements)]
        end += [f"static_cast<{kind}*>(out[{k}])[row] = {self.values.names[v]};" for k, kind, v in of_row]
        if not rows:
            return end
        lines = [f"float {', '.join(f'fold{f}[kCompiledRows]' for f in self.folds)};"] if self.folds else []
        for at, roots in enumerate(folding):
            lines += loop(ROWS, *self.folding(at, roots))
        return lines + loop(ROWS, *end)


def compiled(typed: Typed) -> Compiled:
    """The program as a function."""
    loops = Loops(typed)
    stem = "".join(c for c in typed.program.name if c.isalnum() or c == "_") or "program"
    name = f"{stem}_{digest(typed)}"
    body = loops.text()
    steps = sum(STEP in line for line in body)
    parameters = "int64_t rows, const int64_t* row_step" if typed.program.rows else "int64_t, const int64_t*"
    header = f"void {name}(void* const* in, void* const* out, int64_t n, {parameters}, Ahead& ahead)"
    row_inputs = sum(1 << i for i in typed.program.row_inputs)
    return Compiled(digest(typed), name, "\n".join(loop(header, *body)), steps, row_inputs)


def source(programs: Iterable[Typed]) -> str:
    """The file with all of them."""
    found = {c.digest: c for c in map(compiled, programs)}
    functions = sorted(found.values(), key=lambda c: c.name)
    rows = [f'{{"{c.digest}", {c.name}, {c.steps}, {c.row_inputs}u}},' for c in functions]
    return "\n".join(
        [
            "// Written by tests/make_kernels.py. Programs as loops: the interpreter takes these where it has them.",
            "// clang-format off",
            '#include "compiled.h"',
            "",
            "namespace gf {",
            "namespace GF_ISA {",
            "namespace {",
            "",
            *(c.text + "\n" for c in functions),
            *loop("const Compiled table[] =", *rows)[:-1],
            "};",
            "",
            "}  // namespace",
            "",
            *loop("void fill_compiled(Kernels& k)", "k.compiled = table;", "k.n_compiled = sizeof table / sizeof *table;"),
            "",
            "}  // namespace GF_ISA",
            "}  // namespace gf",
            "",
        ]
    )


__all__ = ["can_compile", "compiled", "digest", "source"]
