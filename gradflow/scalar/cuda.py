"""Programs as CUDA C++: the text of their kernels, around the parts in ``include/gradflow/device.h``.

What differs from call to call (sizes, strides, numbers) is an argument, so there are few texts: one for each program, the types of its
operands, and a way to walk over them: ``FLAT``, where all arrays are contiguous and aligned for accesses of 16 bytes, or ``STRIDED``, with
indices of 32 or 64 bits. 32 bits do if every offset and every size, with the threads of a block added, is below 2**31. The grid may have any
size: threads go on to further elements, blocks to further outputs, until none is left.

A kernel's parameters are, in this order: the inputs (arrays as pointers, numbers by value in their register type), the outputs as pointers,
what the function here names, and ``accumulate``, whose bit k says that output k is added to. It is an argument because all threads take the
same side of the branch, which costs nothing beside an access to memory, and because it halves the number of kernels to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2s
from typing import Any, NamedTuple

import numpy as np

from .primitives import ROW_FOLDS
from .program import Typed
from .types import BFLOAT16, BOOL, FLOAT16, INT64, REGISTER, SIZES, category

NUMBER = -1  # in place of an input's type: passed by value
FLAT, STRIDED32, STRIDED64 = "flat", "strided32", "strided64"
INDEX = {STRIDED32: "gf::int32", STRIDED64: "gf::int64"}
ELEMENTWISE_THREADS, FOLD_THREADS = 256, 512  # the most that a block may have
FOLD_BYTES = 16  # for each thread, in shared memory; for each partial result
ROW_ITEMS = 8  # elements of a row that a thread keeps in registers, where rows have at most lanes * ROW_ITEMS

STORED = ("gf::bool8", "unsigned char", "signed char", "short", "gf::int32", "gf::int64", "__half", "__nv_bfloat16", "float", "double")
FOLDS = {"sum": "Sum", "prod": "Prod", "max": "Max", "min": "Min", "any": "Sum", "all": "Prod", "argmax": "ArgMax", "argmin": "ArgMin"}


class Kernel(NamedTuple):
    """``pack`` neighbours are one access: sizes are multiples of it where the function says so, and arrays are aligned to it."""

    name: str
    text: str
    pack: int = 1


def register(dtype: int) -> str:
    """The C++ type in which values of an element type are computed."""
    return STORED[REGISTER[dtype]]


# Values


def literal(value: Any, dtype: int) -> str:
    """A constant of a program in the register type of ``dtype``."""
    kind = register(dtype)
    if category(dtype) < 2:
        least = value == -(2 ** (8 * SIZES[REGISTER[dtype]] - 1))  # C++ has no literal for it
        return f"{kind}({value + 1} - 1)" if least else f"{kind}({int(value)})"
    with np.errstate(over="ignore"):
        number = np.float32(value) if kind == "float" else np.float64(value)
    suffix = "f" if kind == "float" else ""
    if np.isfinite(number):
        return f"{number}{suffix}"
    return f"({'0.0' if np.isnan(number) else '-1.0' if number < 0 else '1.0'}{suffix} / 0.0{suffix})"


class Values:
    """What a typed program's values are called in the text, and the statements that compute them.

    ``position`` and ``column`` are expressions: the element's number in C order, and within its row.
    """

    def __init__(self, typed: Typed, position: str = "i", column: str = "c"):
        self.typed, self.position, self.column = typed, position, column
        self.inputs = typed.program.inputs
        self.base = self.inputs + len(typed.consts)
        self.names = [f"x{i}" for i in range(self.inputs)]
        self.names += [literal(c, typed.types[i]) for i, c in enumerate(typed.consts, self.inputs)]
        for k, instr in enumerate(typed.code):
            self.names.append(self.names[instr.args[0]] if self.is_name(k) else f"r{k}")

    def is_name(self, k: int) -> bool:
        """A cast between types that share a register is the value itself."""
        op, args, _ = self.typed.code[k]
        return op == "cast" and REGISTER[self.typed.types[args[0]]] == REGISTER[self.typed.types[self.base + k]]

    def register(self, value: int) -> str:
        return register(self.typed.types[value])

    def statements(self, instructions: Iterable[int]) -> list[str]:
        return [f"const {self.register(self.base + k)} r{k} = {self.expression(k)};" for k in instructions if not self.is_name(k)]

    def expression(self, k: int) -> str:
        op, args, _ = self.typed.code[k]
        operands = [self.names[a] for a in args]
        if op == "cast":
            return f"gf::prim::cast<{self.register(self.base + k)}>({operands[0]})"
        if op == "random":
            return f"gf::random_bits({operands[0]}, gf::prim::add({operands[1]}, {self.position}))"
        if op == "linear_index":
            return self.position
        if op == "column_index":
            return self.column
        return f"gf::prim::{op}({', '.join(operands)})"

    def result(self, k: int, stored: int) -> str:
        """Output ``k`` in the register of the type that it is stored in. Another type's array gets what has been rounded or wrapped."""
        value = self.typed.outputs[k]
        dtype, name = self.typed.types[value], self.names[value]
        if stored != dtype:
            name = wrapped(name, dtype)
        return name if REGISTER[stored] == REGISTER[dtype] else f"gf::prim::cast<{register(stored)}>({name})"


def wrapped(name: str, dtype: int) -> str:
    return name if REGISTER[dtype] == dtype else f"gf::through<{STORED[dtype]}>({name})"


# Parts of kernels


class Operands:
    """The arrays and numbers of a kernel."""

    def __init__(self, typed: Typed, inputs: Sequence[int], outputs: Sequence[int]):
        self.typed, self.inputs, self.outputs = typed, inputs, outputs
        self.stored = [*inputs, *outputs]
        self.arrays = [i for i, stored in enumerate(inputs) if stored != NUMBER]
        # The strides of a layout: inputs, outputs and, for a program that asks for its position, those of C order.
        self.strides = len(self.arrays) + len(outputs) + typed.program.index
        self.position = f"gf::int64(at[{self.strides - 1}])"

    def parameters(self) -> list[str]:
        pointers = [f"{STORED[stored]}* out{k}" for k, stored in enumerate(self.outputs)]
        return [
            f"const {register(self.typed.types[i])} x{i}" if stored == NUMBER else f"const {STORED[stored]}* in{i}"
            for i, stored in enumerate(self.inputs)
        ] + pointers

    def layout(self, walk: str, name: str) -> str:
        return f"const __grid_constant__ gf::Layout<{INDEX[walk]}, {self.strides}> {name}"

    def load(self, i: int, element: str) -> str:
        return f"gf::get<{register(self.typed.types[i])}>({element})"

    def at(self, i: int, place: str = "at") -> str:
        """Input ``i`` at a place of the layout."""
        return self.load(i, f"in{i}[{place}[{self.arrays.index(i)}]]")

    def out(self, k: int, place: str = "at") -> str:
        """The address of output ``k`` at a place of the layout."""
        return f"out{k} + {place}[{len(self.arrays) + k}]"

    def call(self, load: Callable[[int], str], position: str, results: Sequence[str]) -> list[str]:
        """The program's function, applied to one element."""
        args = [position] if self.typed.program.index else []
        args += [f"x{i}" if stored == NUMBER else load(i) for i, stored in enumerate(self.inputs)]
        args += [f"y{k}" for k in range(len(results))]
        return [*(f"{kind} y{k};" for k, kind in enumerate(results)), f"@_of({', '.join(args)});"]


def function(typed: Typed, results: Sequence[str], expressions: Sequence[str], values: Values) -> list[str]:
    """The program over registers; its outputs are its last parameters."""
    parameters = ["gf::int64 i"] if typed.program.index else []
    parameters += [f"{values.register(i)} x{i}" for i in range(values.inputs)]
    parameters += [f"{kind}& y{k}" for k, kind in enumerate(results)]
    body = [*values.statements(range(len(typed.code))), *(f"y{k} = {value};" for k, value in enumerate(expressions))]
    return [f"GF_FN void @_of({', '.join(parameters)}) {{", *indented(body), "}", ""]


def loop(header: str, *body: str) -> list[str]:
    return [f"{header} {{", *indented(body), "}"]


def indented(lines: Iterable[str]) -> list[str]:
    return [line if line.startswith("#") else f"  {line}" for line in lines]


def widest(stored: Iterable[int]) -> int:
    """How many elements of the widest of these types are 16 bytes; 1 if there is none."""
    return 16 // max((SIZES[s] for s in stored if s != NUMBER), default=16)


def kernel(
    stem: str,
    stored: Sequence[int],
    parameters: Sequence[str],
    body: Sequence[str],
    *,
    threads: int,
    before: Sequence[str] = (),
    pack: int = 1,
) -> Kernel:
    """The whole text. The name stands in it as @ until its digest is known: readable in a profile, and no two kernels share one."""
    half = FLOAT16 in stored or BFLOAT16 in stored
    signature = f'extern "C" __global__ void __launch_bounds__({threads}) @({", ".join(parameters)})'
    text = "\n".join([f'#include "gradflow/device{"_half" if half else ""}.h"', "", *before, *loop(signature, *body), ""])
    stem = "".join(c if c.isascii() and c.isalnum() else "_" for c in stem).strip("_")
    name = f"{stem}_{blake2s(text.encode(), digest_size=4).hexdigest()}"
    return Kernel(name, text.replace("@", name), pack)


# Elementwise


def elementwise(typed: Typed, inputs: Sequence[int], outputs: Sequence[int], walk: str) -> Kernel:
    """A program over elements; ``inputs`` and ``outputs`` are the types that they are stored in.

    Parameters: the layout of inputs and outputs (not FLAT), ``n`` elements. An output may be an input's very array.
    """
    operands, values = Operands(typed, inputs, outputs), Values(typed)
    results = [register(stored) for stored in outputs]
    before = function(typed, results, [values.result(k, stored) for k, stored in enumerate(outputs)], values)
    pack = widest(operands.stored) if walk == FLAT else 1
    body = flat_elements(operands, results, pack) if walk == FLAT else strided_elements(operands, results)
    layouts = [] if walk == FLAT else [operands.layout(walk, "layout")]
    parameters = [*operands.parameters(), *layouts, "const gf::int64 n", "const gf::uint32 accumulate"]
    stem = f"{typed.program.name}_{walk}"
    return kernel(stem, operands.stored, parameters, body, threads=ELEMENTWISE_THREADS, before=before, pack=pack)


def strided_elements(operands: Operands, results: Sequence[str]) -> list[str]:
    return loop(
        "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())",
        "const auto at = layout.place(i);",
        *operands.call(operands.at, operands.position, results),
        *(f"gf::put({operands.out(k)}, y{k}, accumulate & {1 << k});" for k in range(len(results))),
    )


def flat_elements(operands: Operands, results: Sequence[str], pack: int) -> list[str]:
    """Packs of neighbours, then the few elements that are left."""
    outputs = range(len(results))
    return [
        *loop(
            f"for (gf::int64 p = gf::thread(); p < n / {pack}; p += gf::threads())",
            *(f"const auto in{i}_pack = gf::packs<{pack}>(in{i})[p];" for i in operands.arrays),
            *(f"gf::Pack<{STORED[stored]}, {pack}> out{k}_pack;" for k, stored in enumerate(operands.outputs)),
            *(f"if (accumulate & {1 << k}) out{k}_pack = gf::packs<{pack}>(out{k})[p];" for k in outputs),
            "#pragma unroll",
            *loop(
                f"for (int k = 0; k < {pack}; ++k)",
                *operands.call(lambda i: operands.load(i, f"in{i}_pack.at[k]"), f"p * {pack} + k", results),
                *(f"gf::put(&out{k}_pack.at[k], y{k}, accumulate & {1 << k});" for k in outputs),
            ),
            *(f"gf::packs<{pack}>(out{k})[p] = out{k}_pack;" for k in outputs),
        ),
        *loop(
            f"for (gf::int64 i = n / {pack} * {pack} + gf::thread(); i < n; i += gf::threads())",
            *operands.call(lambda i: operands.load(i, f"in{i}[i]"), "i", results),
            *(f"gf::put(out{k} + i, y{k}, accumulate & {1 << k});" for k in outputs),
        ),
    ]


# Reductions: each output is folded by the lanes of one group of threads (device.h). Where the grid has several blocks in y, each folds
# ``chunk`` elements and leaves a partial result, and a second kernel combines these: no atomics, the same bits for the same split.


def folded(kind: str, dtype: int) -> int:
    """The register type that is folded."""
    return BOOL if kind in ("any", "all") else REGISTER[dtype]


def fold_type(kind: str, dtype: int) -> str:
    return f"gf::{FOLDS[kind]}<{register(folded(kind, dtype))}>"


def finish(kind: str, dtype: int, output: int, to: str) -> str:
    """Stores a fold's result."""
    result = INT64 if kind in ("argmax", "argmin") else folded(kind, dtype)
    value = "fold.finish(scale)" if result == REGISTER[output] else f"gf::prim::cast<{register(output)}>(fold.finish(scale))"
    return f"gf::put({to}, {value}, accumulate & 1);"


def reduce(kind: str, typed: Typed, inputs: Sequence[int], output: int, walk: str) -> Kernel:
    """The fold of a program with one output: ``outputs`` folds of ``depth`` elements each. FLAT: the reduced dimensions are the inner ones.

    Parameters: layouts of the kept and of the reduced dimensions (not FLAT), both of the inputs and the output; ``outputs``, ``depth``,
    ``chunk``, ``scale`` (of a sum), ``along_y`` (not FLAT; where the lanes lie), ``partials`` (null: there is no second stage). FLAT: depth and
    chunk are multiples of ``pack``. Float32 sums: at most 16 elements are added in float32, those sums in double; float64 sums are compensated.
    """
    operands, values = Operands(typed, inputs, [output]), Values(typed)
    dtype, value = typed.types[typed.outputs[0]], values.names[typed.outputs[0]]
    if category(dtype) < 2:
        value = wrapped(value, dtype)  # small integers are what they are before they are folded
    result = register(folded(kind, dtype))
    if result != register(dtype):
        value = f"gf::prim::cast<{result}>({value})"
    flat, pack = walk == FLAT, widest(inputs) if walk == FLAT else 1
    body = grouped(
        "outputs",
        "false" if flat else "along_y",
        f"{fold_type(kind, dtype)} fold;",
        *([] if flat else ["const auto start = kept.place(o < outputs ? o : 0);"]),
        *loop("if (o < outputs)", *(flat_fold(operands, result, pack) if flat else strided_fold(operands, result))),
        "fold = lanes.join(fold, shared);",
        "if (lanes.lane > 0 || o >= outputs) continue;",
        "if (partials)",
        "  partials[blockIdx.y * outputs + o] = fold;",
        "else",
        f"  {finish(kind, dtype, output, 'out0 + o' if flat else operands.out(0, 'start'))}",
    )
    begin = "const gf::int64 begin = blockIdx.y * chunk, end = depth - begin < chunk ? depth : begin + chunk;"
    layouts = [] if flat else [operands.layout(walk, "kept"), operands.layout(walk, "reduced")]
    sizes = ["const gf::int64 outputs", "const gf::int64 depth", "const gf::int64 chunk", "const double scale"]
    lanes = [*([] if flat else ["const bool along_y"]), f"{fold_type(kind, dtype)}* partials", "const gf::uint32 accumulate"]
    parameters = [*operands.parameters(), *layouts, *sizes, *lanes]
    stem = f"{kind}_of_{typed.program.name}_{walk}"
    before = function(typed, [result], [value], values)
    return kernel(stem, operands.stored, parameters, [begin, *body], threads=FOLD_THREADS, before=before, pack=pack)


def grouped(count: str, along_y: str, *body: str) -> list[str]:
    """A loop over the block's outputs, of which ``o`` is this thread's: no thread leaves it before the others."""
    return [
        "GF_SHARED(shared);",
        f"const gf::Lanes lanes({along_y});",
        *loop(
            f"for (gf::int64 first = lanes.first(); first < {count}; first += lanes.stride())",
            "const gf::int64 o = first + lanes.group;",
            *body,
        ),
    ]


def strided_fold(operands: Operands, result: str) -> list[str]:
    return [
        "#pragma unroll 4",
        *loop(
            "for (gf::int64 c = begin + lanes.lane; c < end; c += lanes.count)",
            "const auto at = reduced.place(c, start);",
            *operands.call(operands.at, operands.position, [result]),
            "fold.take(y0, c);",
        ),
    ]


def flat_fold(operands: Operands, result: str, pack: int) -> list[str]:
    return [
        "#pragma unroll 2",
        *loop(
            f"for (gf::int64 p = begin / {pack} + lanes.lane; p < end / {pack}; p += lanes.count)",
            *(f"const auto in{i}_pack = gf::packs<{pack}>(in{i} + o * depth)[p];" for i in operands.arrays),
            "#pragma unroll",
            *loop(
                f"for (int k = 0; k < {pack}; ++k)",
                *operands.call(lambda i: operands.load(i, f"in{i}_pack.at[k]"), f"o * depth + p * {pack} + k", [result]),
                f"fold.take(y0, p * {pack} + k);",
            ),
        ),
    ]


def combine(kind: str, dtype: int, output: int) -> Kernel:
    """The second stage of a reduction of values of an element type.

    Parameters: ``partials``, the output, its layout, ``outputs``, ``splits`` (partial results of each output), ``scale``, ``along_y``.
    """
    fold = fold_type(kind, dtype)
    parameters = [f"const {fold}* partials", f"{STORED[output]}* out0", "const __grid_constant__ gf::Layout<gf::int64, 1> kept"]
    parameters += [
        "const gf::int64 outputs",
        "const gf::int64 splits",
        "const double scale",
        "const bool along_y",
        "const gf::uint32 accumulate",
    ]
    body = grouped(
        "outputs",
        "along_y",
        f"{fold} fold;",
        "for (gf::int64 s = lanes.lane; o < outputs && s < splits; s += lanes.count) fold.merge(partials[s * outputs + o]);",
        "fold = lanes.join(fold, shared);",
        f"if (lanes.lane == 0 && o < outputs) {finish(kind, dtype, output, 'out0 + kept.place(o)[0]')}",
    )
    return kernel(f"combine_{kind}", [output], parameters, body, threads=FOLD_THREADS)


# Rows


class RowPlan:
    """The passes of a row program: pass p folds what p - 1 other folds come before; a last one stores.

    Values that are one for the row are computed once, the others again in each pass that reads them.
    """

    def __init__(self, typed: Typed, inputs: Sequence[int]):
        self.typed, self.base = typed, typed.program.inputs + len(typed.consts)
        per_row = [i in typed.program.row_inputs or stored == NUMBER for i, stored in enumerate(inputs)] + [True] * len(typed.consts)
        level = [0] * self.base
        for op, args, _ in typed.code:
            level.append(max((level[a] for a in args), default=0) + (op in ROW_FOLDS))
            per_row.append(op in ROW_FOLDS or (bool(args) and op != "random" and all(per_row[a] for a in args)))
        self.per_row, self.level = per_row, level
        self.levels = max((level[self.base + k] for k, instr in enumerate(typed.code) if instr.op in ROW_FOLDS), default=0)

    def at(self, level: int, folds: bool) -> list[int]:
        """The instructions that fold a row in pass ``level``, or that are computed once after it."""
        found = [k for k in range(len(self.typed.code)) if self.per_row[self.base + k] and self.level[self.base + k] == level]
        return [k for k in found if (self.typed.code[k].op in ROW_FOLDS) == folds]

    def needed(self, values: Iterable[int]) -> tuple[list[int], list[int]]:
        """(inputs, instructions) from which a pass has these values of an element."""
        found: set[int] = set()
        left = list(values)
        while left:
            v = left.pop()
            if v not in found and not self.per_row[v]:
                found.add(v)
                left += self.typed.code[v - self.base].args if v >= self.base else ()
        return sorted(v for v in found if v < self.base), sorted(v - self.base for v in found if v >= self.base)


class Rows:
    """The parts of a row program's kernel. ``cached``: the lanes hold a row in registers, else each pass reads it again."""

    def __init__(self, typed: Typed, inputs: Sequence[int], outputs: Sequence[int], cached: bool):
        self.typed, self.cached = typed, cached
        self.operands, self.plan = Operands(typed, inputs, outputs), RowPlan(typed, inputs)
        self.values = Values(typed, self.operands.position, "c")

    def along(self, *body: str, cached: bool) -> list[str]:
        """A loop over this lane's elements; ``c`` is the column."""
        if not cached:
            return loop("for (gf::int64 c = lanes.lane; c < size; c += lanes.count)", *body)
        column = "const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;"
        return ["#pragma unroll", *loop(f"for (int e = 0; e < {ROW_ITEMS}; ++e)", column, "if (c >= size) break;", *body)]

    def once(self, level: int) -> list[str]:
        return self.values.statements(self.plan.at(level, folds=False))

    def inputs(self) -> list[str]:
        """What is one for the row, and the row if it is to be kept."""
        values, operands, per_row = self.values, self.operands, self.plan.per_row
        lines = [f"const {values.register(i)} x{i} = {operands.at(i, 'start')};" for i in operands.arrays if per_row[i]]
        if not self.cached:
            return lines
        kept = [i for i in operands.arrays if not per_row[i]]
        loads = self.along(PLACE, *(f"in{i}_row[e] = {operands.at(i)};" for i in kept), cached=True)
        return [*lines, *(f"{values.register(i)} in{i}_row[{ROW_ITEMS}];" for i in kept), *(loads if kept else [])]

    def element(self, wanted: Iterable[int], use: Sequence[str], place: bool) -> list[str]:
        """A loop that computes values of each element and uses them."""
        values, operands = self.values, self.operands
        inputs, code = self.plan.needed(wanted)
        place |= bool(inputs) and not self.cached
        place |= any(self.typed.code[k].op in ("random", "linear_index") for k in code)
        loads = [f"const {values.register(i)} x{i} = {f'in{i}_row[e]' if self.cached else operands.at(i)};" for i in inputs]
        return self.along(*([PLACE] if place else []), *loads, *values.statements(code), *use, cached=self.cached)

    def folds(self, level: int) -> list[str]:
        """A pass that folds, and what follows from the results."""
        values, base = self.values, self.plan.base
        code = {k: self.typed.code[k] for k in self.plan.at(level, folds=True)}
        kinds = {k: f"gf::{'Sum' if instr.op == 'row_sum' else 'Max'}<{values.register(base + k)}>" for k, instr in code.items()}
        takes = [f"r{k}_fold.take({values.names[instr.args[0]]});" for k, instr in code.items()]
        return [
            *(f"{kind} r{k}_fold;" for k, kind in kinds.items()),
            *self.element([instr.args[0] for instr in code.values()], takes, place=False),
            *(f"const {values.register(base + k)} r{k} = lanes.join(r{k}_fold, shared).finish(1);" for k in code),
            *self.once(level),
        ]

    def stores(self) -> list[str]:
        """The outputs: those of the elements in a pass of their own."""
        row_outputs = self.typed.program.row_outputs

        def put(k: int, place: str) -> str:
            return f"gf::put({self.operands.out(k, place)}, {self.values.result(k, self.operands.outputs[k])}, accumulate & {1 << k});"

        full = [k for k, row in enumerate(row_outputs) if not row]
        lines = self.element([self.typed.outputs[k] for k in full], [put(k, "at") for k in full], place=True) if full else []
        return lines + (
            loop("if (lanes.lane == 0 && o < rows)", *(put(k, "start") for k, row in enumerate(row_outputs) if row))
            if any(row_outputs)
            else []
        )


PLACE = "const auto at = reduced.place(c, start);"


def rows(typed: Typed, inputs: Sequence[int], outputs: Sequence[int], walk: str, cached: bool) -> Kernel:
    """A row program, the lanes of a group a row. ``cached``: rows have at most ROW_ITEMS elements for each lane and are read once.

    Parameters: layouts of the kept dimensions and of those of a row, both of inputs and outputs; ``rows``, ``length``, ``along_y``. An output
    may be an input's very array.
    """
    parts = Rows(typed, inputs, outputs, cached)
    operands = parts.operands
    body = [
        "const gf::int64 size = o < rows ? length : 0;",
        "const auto start = kept.place(o < rows ? o : 0);",
        *parts.inputs(),
        *parts.once(0),
        *(line for level in range(1, parts.plan.levels + 1) for line in parts.folds(level)),
        *parts.stores(),
    ]
    parameters = [*operands.parameters(), operands.layout(walk, "kept"), operands.layout(walk, "reduced")]
    parameters += ["const gf::int64 rows", "const gf::int64 length", "const bool along_y", "const gf::uint32 accumulate"]
    stem = f"{typed.program.name}_{'cached' if cached else 'passes'}_{walk}"
    return kernel(stem, operands.stored, parameters, grouped("rows", "along_y", *body), threads=FOLD_THREADS)
