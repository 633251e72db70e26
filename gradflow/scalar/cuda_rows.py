"""Row programs (softmax and its kin) as CUDA C++: one kernel each, in which the lanes of a group of threads take a row together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .cuda import FOLD_THREADS, INDEX, NUMBER, STORED, Kernel, Operands, Values, grouped, kernel, loop
from .primitives import ROW_FOLDS
from .program import Typed
from .types import SIZES

ROW_ITEMS = 8  # elements of a row that a lane keeps in registers
CACHED, SHARED, PASSES = "cached", "shared", "passes"  # the row stays in registers, in shared memory, or is read again by each pass
OWN = "c * lanes.groups + lanes.group"
PLACE = "const auto at = start.moved(c, step);"


class RowPlan:
    """The passes over a row: pass p folds what comes after p - 1 other folds, a last one stores.

    Values that are one for the row are computed once, the others again in each pass that reads them.
    """

    def __init__(self, typed: Typed, inputs: Sequence[int]):
        self.typed, self.base = typed, typed.program.inputs + len(typed.consts)
        once = [i in typed.program.row_inputs or stored == NUMBER for i, stored in enumerate(inputs)] + [True] * len(typed.consts)
        self.lookups = [k for k, instr in enumerate(typed.code) if instr.op == "row_at"]
        level = [0] * self.base  # how many folds come before a value
        for op, args, _ in typed.code:
            level.append(max((level[a] for a in args), default=0) + (op in ROW_FOLDS))
            once.append(op in ROW_FOLDS or op == "row_at" or (bool(args) and op != "random" and all(once[a] for a in args)))
        self.once, self.level, self.levels = once, level, max(level)

    def at(self, level: int, folds: bool) -> list[int]:
        """The instructions that fold a row in pass ``level``, or that are computed once after it."""
        found = [k for k in range(len(self.typed.code)) if self.once[self.base + k] and self.level[self.base + k] == level]
        return [k for k in found if (self.typed.code[k].op in ROW_FOLDS) == folds]

    def needed(self, values: Iterable[int]) -> tuple[list[int], list[int]]:
        """(inputs, instructions) by which a pass comes to these values of an element."""
        found: set[int] = set()
        left = list(values)
        while left:
            v = left.pop()
            if v not in found and not self.once[v]:
                found.add(v)
                left += self.typed.code[v - self.base].args if v >= self.base else ()
        return sorted(v for v in found if v < self.base), sorted(v - self.base for v in found if v >= self.base)


class Rows:
    """The parts of a row program's kernel. ``kept``: where lanes keep their elements of the row, each its own."""

    def __init__(self, typed: Typed, inputs: Sequence[int], outputs: Sequence[int], kept: str):
        self.typed, self.kept, self.cached = typed, kept, kept == CACHED
        self.operands, self.plan = Operands(typed, inputs, outputs), RowPlan(typed, inputs)
        self.values = Values(typed, self.operands.position, "c")

    def along(self, body: Sequence[str]) -> list[str]:
        """A loop over this lane's elements; ``c`` is the column."""
        if not self.cached:
            return loop("for (gf::int64 c = lanes.lane; c < size; c += lanes.count)", *body)
        column = "const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;"
        return ["#pragma unroll", *loop(f"for (int e = 0; e < {ROW_ITEMS}; ++e)", column, *body)]

    def inside(self, statement: str) -> str:
        """Where the row is cached, loops go beyond its end."""
        return f"if (c < size) {statement}" if self.cached else statement

    def of_row(self) -> list[int]:
        """The inputs whose elements differ within a row, and are read."""
        folded = [a for op, args, _ in self.typed.code if op in ROW_FOLDS for a in args]
        read, _ = self.plan.needed([*folded, *self.typed.outputs])
        return [i for i in self.operands.arrays if i in read]

    def rooms(self) -> list[str]:
        """Of each such input, in shared memory, after what folds use."""
        if self.kept != SHARED or not self.of_row():
            return []
        stored = self.operands.inputs
        rooms = [f"{STORED[stored[i]]}* in{i}_row = gf::room<{STORED[stored[i]]}>(free, length * lanes.groups);" for i in self.of_row()]
        return ["unsigned char* free = shared + gf::kFoldBytes * lanes.count * lanes.groups;", *rooms]

    def inputs(self) -> list[str]:
        """What is one for the row; and the row, if it is kept."""
        values, operands, once = self.values, self.operands, self.plan.once
        lines = [f"const {values.register(i)} x{i} = {operands.at(i, 'start')};" for i in operands.arrays if once[i]]
        row = self.of_row()
        if self.cached and row:
            lines += [f"{values.register(i)} in{i}_row[{ROW_ITEMS}] = {{}};" for i in row]
            lines += self.along([PLACE, *(self.inside(f"in{i}_row[e] = {operands.at(i)};") for i in row)])
        if self.kept == SHARED and row:
            lines += self.along([PLACE, *(f"in{i}_row[{OWN}] = in{i}[at[{operands.arrays.index(i)}]];" for i in row)])
        return lines + self.statements(self.plan.at(0, folds=False))

    def statements(self, instructions: Iterable[int]) -> list[str]:
        """Of values that are one for the row."""
        return [line for k in instructions for line in (self.lookup(k) if k in self.plan.lookups else self.values.statements([k]))]

    def lookup(self, k: int) -> list[str]:
        """One element of the row, read where it lies."""
        i, column = self.typed.code[k].args
        value = f"x{i}"
        if i in self.operands.arrays:
            value = self.operands.at(i, f"start.moved(gf::column({self.values.names[column]}, length, error, id), step)")
        return [f"const {self.values.register(self.plan.base + k)} r{k} = {value};"]

    def elements(self, wanted: Iterable[int], uses: Sequence[str], placed: bool) -> list[str]:
        """A pass that computes values of each element and uses them. ``placed``: the uses ask where the element is."""
        values, operands = self.values, self.operands
        inputs, code = self.plan.needed(wanted)
        placed |= bool(inputs) and self.kept == PASSES
        placed |= any(self.typed.code[k].op in ("random", "linear_index") for k in code)
        where = {CACHED: "in{i}_row[e]", SHARED: f"in{{i}}_row[{OWN}]"}
        loads = []
        for i in inputs:
            kept = where[self.kept].format(i=i) if self.kept != PASSES else operands.at(i)
            loads.append(f"const {values.register(i)} x{i} = {operands.load(i, kept) if self.kept == SHARED else kept};")
        return self.along([*([PLACE] if placed else []), *loads, *values.statements(code), *uses])

    def folds(self, level: int) -> list[str]:
        """A pass that folds, and what is computed from the results."""
        names, base = self.values.names, self.plan.base
        code = [(k, self.typed.code[k], self.values.register(base + k)) for k in self.plan.at(level, folds=True)]
        # No branch while values are computed: so the compiler finds in registers what earlier passes have computed.
        take = "r{k}_fold.take(c < size ? {x} : r{k}_fold.none());" if self.cached else "r{k}_fold.take({x});"
        takes = [take.format(k=k, x=names[instr.args[0]]) for k, instr, _ in code]
        return [
            *(f"gf::{'Sum' if instr.op == 'row_sum' else 'Max'}<{dtype}> r{k}_fold;" for k, instr, dtype in code),
            *self.elements([instr.args[0] for _, instr, _ in code], takes, placed=False),
            *(f"const {dtype} r{k} = lanes.join(r{k}_fold, shared).finish(1);" for k, _, dtype in code),
            *self.statements(self.plan.at(level, folds=False)),
        ]

    def stores(self) -> list[str]:
        """The outputs, those of the elements in a pass of their own."""

        def put(k: int, place: str) -> str:
            return f"gf::put({self.operands.out(k, place)}, {self.values.result(k, self.operands.outputs[k])}, accumulate & {1 << k});"

        elements = [k for k, row in enumerate(self.typed.program.row_outputs) if not row]
        rows = [k for k, row in enumerate(self.typed.program.row_outputs) if row]
        lines = (
            self.elements([self.typed.outputs[k] for k in elements], [self.inside(put(k, "at")) for k in elements], placed=True)
            if elements
            else []
        )
        return lines + (loop("if (lanes.lane == 0 && o < rows)", *(put(k, "start") for k in rows)) if rows else [])


def shared_bytes(typed: Typed, inputs: Sequence[int], outputs: Sequence[int], elements: int) -> int:
    """The shared memory that rows with so many elements take, besides what folds use."""
    return sum(-(-elements * SIZES[inputs[i]] // 16) * 16 for i in Rows(typed, inputs, outputs, SHARED).of_row())


def threads(strides: int) -> int:
    """The most that a block may have: the places of many operands take registers."""
    return FOLD_THREADS if strides <= 8 else FOLD_THREADS // 2


def rows(typed: Typed, inputs: Sequence[int], outputs: Sequence[int], walk: str, kept: str) -> Kernel:
    """A row program. ``kept``: CACHED, for rows of at most ROW_ITEMS elements for each lane; SHARED, for rows that shared memory has room for; both
    are read once; or PASSES.

    Parameters: the layout of the other dimensions and the ``step`` along a row, both of inputs and outputs; ``rows``, ``length``, ``along_y``
    (where the lanes lie). Of a program that looks up: ``error`` and ``id`` for a column that is out of range. An output may be an input's very array.
    """
    parts = Rows(typed, inputs, outputs, kept)
    operands = parts.operands
    along = [
        *parts.rooms(),
        *parts.inputs(),
        *(line for level in range(1, parts.plan.levels + 1) for line in parts.folds(level)),
        *parts.stores(),
    ]
    size = (
        ["const gf::int64 size = o < rows ? length : 0;"] if any("size" in line for line in along) else []
    )  # none, where columns are only looked up
    body = grouped("rows", *size, "const auto start = kept.place(o < rows ? o : 0);", *along)
    step = f"const gf::Place<{INDEX[walk]}, {operands.strides}> step"
    reports = ["gf::int64* error", "const gf::int64 id"] if parts.plan.lookups else []
    parameters = [*operands.parameters(), *reports, operands.layout(walk, "kept"), step, "const gf::int64 rows", "const gf::int64 length"]
    parameters += ["const bool along_y", "const gf::uint32 accumulate"]
    return kernel(f"{typed.program.name}_{kept}_{walk}", parameters, body, threads=threads(operands.strides))
