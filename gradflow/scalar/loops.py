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

# Pieces of a row are whole vectors: the last one may begin within the piece before it, up to ``fresh``.
PIECES = "for (Piece piece{int(n)}; piece.from < n; piece.next(int(n)))"
BOUNDS = "[[maybe_unused]] const int end = piece.to, fresh = piece.fresh;"  # which no store changes, as the compiler must see
PIECE = "for (int i = piece.from; i < end; ++i)"
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

    def row_values(self, level: int) -> list[str]:
        """The statements for values of the row that are known after ``level`` reductions."""
        known = [v for v in range(self.base, len(self.level)) if self.per_row[v] and self.level[v] == level and v not in self.folds]
        return self.values.statements([v - self.base for v in known])

    def folding(self, at: int, roots: list[int]) -> list[str]:
        """The loop before level ``at`` + 1. Pieces of it are summed in float32, those sums in double."""
        sums = {f: self.values.names[self.typed.code[f - self.base].args[0]] for f in self.folds if self.level[f] == at + 1}
        return [
            *(f"double sum{f} = 0;" for f in sums),
            STEP,
            *loop(
                PIECES,
                BOUNDS,
                *(f"float part{f} = 0;" for f in sums),
                f"#pragma omp simd reduction(+ : {', '.join(f'part{f}' for f in sums)})",
                *loop(PIECE, *self.body(roots), *(f"part{f} += i >= fresh ? {arg} : 0;" for f, arg in sums.items())),
                *(f"sum{f} += part{f};" for f in sums),
            ),
            *(f"const float {self.values.names[f]} = float(sum{f});" for f in sums),
        ]

    def text(self) -> list[str]:
        """The statements for row number ``row``."""
        loops = self.roots()
        rows = self.program.rows
        used = set().union(*map(self.reached, loops))
        lines = []
        for i in range(self.program.inputs):
            kind = self.values.register(i)
            if self.per_row[i]:
                lines.append(f"const {kind} x{i} = static_cast<const {kind}*>(in[{i}])[row];")
            elif i in used:
                lines.append(f"const {kind}* in{i} = static_cast<const {kind}*>(in[{i}]){f' + row * row_step[{i}]' if rows else ''};")
        own = [(k, STORED[self.typed.types[v]], v) for k, v in enumerate(self.typed.outputs) if v >= self.base]  # others are inputs
        lines += [
            f"{kind}* out{k} = static_cast<{kind}*>(out[{k}]){' + row * n' if rows else ''};" for k, kind, v in own if not self.per_row[v]
        ]
        for at, roots in enumerate(loops[:-1]):
            lines += [*self.row_values(at), *self.folding(at, roots)]
        lines += self.row_values(self.depth)
        last = self.body(loops[-1]) + [f"out{k}[i] = {self.values.names[v]};" for k, _, v in own if not self.per_row[v]]
        elements = ["#pragma GCC ivdep", *loop(PIECE if rows else "for (int64_t i = 0; i < n; ++i)", *last)]
        if loops[-1]:
            lines += [STEP, *(loop(PIECES, BOUNDS, *elements) if rows else elements)]
        return lines + [f"static_cast<{kind}*>(out[{k}])[row] = {self.values.names[v]};" for k, kind, v in own if self.per_row[v]]


def compiled(typed: Typed) -> Compiled:
    """The program as a function."""
    loops = Loops(typed)
    stem = "".join(c for c in typed.program.name if c.isalnum() or c == "_") or "program"
    name = f"{stem}_{digest(typed)}"
    body = loops.text()
    steps = body.count(STEP)
    if typed.program.rows:
        parameters = "int64_t rows, const int64_t* row_step"
        body = loop("for (int64_t row = 0; row < rows; ++row)", *body)
    else:
        parameters = "int64_t, const int64_t*"
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
