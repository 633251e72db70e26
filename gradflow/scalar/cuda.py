"""Programs as CUDA C++: the text of their kernels, around the parts in ``include/gradflow/device.h``.

What differs from call to call (sizes, strides, numbers) is an argument, so there are few texts: one for each program, the types of its
operands, and a way to walk over them: ``FLAT``, where all arrays are contiguous and aligned for accesses of 16 bytes, or ``STRIDED``, with
indices of 32 or 64 bits. 32 bits do if every offset and every number of elements is below 2**31. The grid may have any
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

from .program import Typed
from .types import BOOL, INT64, REGISTER, SIZES, category

NUMBER = -1  # in place of an input's type: passed by value
FLAT, STRIDED32, STRIDED64 = "flat", "strided32", "strided64"
INDEX = {STRIDED32: "gf::int32", STRIDED64: "gf::int64"}
ELEMENTWISE_THREADS, FOLD_THREADS = 256, 512  # the most that a block may have
FOLD_BYTES = 16  # for each thread, in shared memory; for each partial result

# In memory, by element type; and what folds (device.h), by the kind of reduction.
STORED = ("gf::bool8", "unsigned char", "signed char", "short", "gf::int32", "gf::int64", "__half", "__nv_bfloat16", "float", "double")
FOLDS = {"sum": "Sum", "prod": "Prod", "max": "Max", "min": "Min", "any": "Sum", "all": "Prod", "argmax": "ArgMax", "argmin": "ArgMin"}
SCANNED = ("sum", "prod", "argmax last", "argmin last")  # what scans fold, by the number of their kind


class Kernel(NamedTuple):
    """``pack`` neighbours are one access, and arrays are aligned to it."""

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
        return f"{number!s}{suffix}"
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

    def packs(self, pack: int, length: str, offset: str = "") -> list[str]:
        """Pack ``p`` of each array."""
        return [f"const auto in{i}_pack = gf::read<{pack}>(in{i}{offset}, p, {length});" for i in self.arrays]

    def in_pack(self, i: int) -> str:
        return self.load(i, f"in{i}_pack.at[k]")

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


def kernel(stem: str, parameters: Sequence[str], body: Sequence[str], *, threads: int, before: Sequence[str] = (), pack: int = 1) -> Kernel:
    """The whole text. The name stands in it as @ until its digest is known: readable in a profile, and no two kernels share one."""
    signature = f'extern "C" __global__ void __launch_bounds__({threads}) @(\n    ' + ",\n    ".join(parameters) + ")"
    text = "\n".join([*before, *loop(signature, *body), ""])
    half = "__half" in text or "__nv_bfloat16" in text
    text = f'#include "gradflow/device{"_half" if half else ""}.h"\n\n{text}'
    stem = "".join(c for c in stem if c.isascii() and (c.isalnum() or c == "_"))
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
    pack = widest([*inputs, *outputs]) if walk == FLAT else 1
    body = flat_elements(operands, results, pack) if walk == FLAT else strided_elements(operands, results)
    layouts = [] if walk == FLAT else [operands.layout(walk, "layout")]
    parameters = [*operands.parameters(), *layouts, "const gf::int64 n", "const gf::uint32 accumulate"]
    return kernel(f"{typed.program.name}_{walk}", parameters, body, threads=ELEMENTWISE_THREADS, before=before, pack=pack)


def strided_elements(operands: Operands, results: Sequence[str]) -> list[str]:
    return loop(
        "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())",
        "const auto at = layout.place(i);",
        *operands.call(operands.at, operands.position, results),
        *(f"gf::put({operands.out(k)}, y{k}, accumulate & {1 << k});" for k in range(len(results))),
    )


def flat_elements(operands: Operands, results: Sequence[str], pack: int) -> list[str]:
    """Packs of neighbours."""
    outputs = range(len(results))
    return loop(
        f"for (gf::int64 p = gf::thread(); p * {pack} < n; p += gf::threads())",
        *operands.packs(pack, "n"),
        *(f"gf::Pack<{STORED[stored]}, {pack}> out{k}_pack;" for k, stored in enumerate(operands.outputs)),
        *(f"if (accumulate & {1 << k}) out{k}_pack = gf::read<{pack}>(out{k}, p, n);" for k in outputs),
        "#pragma unroll",
        *loop(
            f"for (int k = 0; k < {pack}; ++k)",
            *operands.call(operands.in_pack, f"p * {pack} + k", results),
            *(f"gf::put(&out{k}_pack.at[k], y{k}, accumulate & {1 << k});" for k in outputs),
        ),
        *(f"gf::write(out{k}, p, out{k}_pack, n);" for k in outputs),
    )


# Reductions: each output is folded by the lanes of one group of threads (device.h). Where the grid has several blocks in y, each folds
# ``chunk`` elements and leaves a partial result, and a second kernel combines these: no atomics, the same bits for the same split.


def folded(kind: str, dtype: int) -> int:
    """The register type that is folded."""
    return BOOL if kind in ("any", "all") else REGISTER[dtype]


def fold_type(kind: str, dtype: int) -> str:
    name = f"Last{kind[3:6].title()}" if kind.endswith(" last") else FOLDS[kind]
    return f"gf::{name}<{register(folded(kind, dtype))}>"


def grouped(count: str, *body: str) -> list[str]:
    """A loop over the block's outputs, of which ``o`` is this thread's: no thread leaves it before the others."""
    return [
        "GF_SHARED(shared);",
        "const gf::Lanes lanes(along_y);",
        *loop(
            f"for (gf::int64 first = lanes.first(); first < {count}; first += lanes.stride())",
            "const gf::int64 o = first + lanes.group;",
            *body,
        ),
    ]


def finish(kind: str, dtype: int, output: int, to: str) -> str:
    """Stores a fold's result."""
    result = INT64 if kind.startswith("arg") else folded(kind, dtype)
    value = "fold.finish(scale)" if result == REGISTER[output] else f"gf::prim::cast<{register(output)}>(fold.finish(scale))"
    return f"gf::put({to}, {value}, accumulate & 1);"


def reduce(kind: str, typed: Typed, inputs: Sequence[int], output: int, walk: str) -> Kernel:
    """The fold of a program with one output: ``outputs`` folds of ``depth`` elements each.

    Parameters: layouts of the kept and of the reduced dimensions (not FLAT), both of the inputs and the output; ``outputs``, ``depth``,
    ``chunk``, ``scale`` (of a sum), ``along_y`` (where the lanes lie), ``partials`` (null: there is no second stage). FLAT: the reduced
    dimensions are the outer ones if ``along_y``, else the inner ones, and then chunk is a multiple of ``pack``.
    Float32 sums: at most 16 elements are added in float32, those sums in double; float64 sums are compensated.
    """
    operands, values = Operands(typed, inputs, [output]), Values(typed)
    dtype, value = typed.types[typed.outputs[0]], values.names[typed.outputs[0]]
    fold, result = fold_type(kind, dtype), register(folded(kind, dtype))
    if category(dtype) < 2:
        value = wrapped(value, dtype)  # small integers are what they are before they are folded
    if result != register(dtype):
        value = f"gf::prim::cast<{result}>({value})"
    pack = widest(inputs) if walk == FLAT else 1
    start = [] if walk == FLAT else ["const auto start = kept.place(o < outputs ? o : 0);"]
    layouts = [] if walk == FLAT else [operands.layout(walk, "kept"), operands.layout(walk, "reduced")]
    parameters = [*operands.parameters(), *layouts, "const gf::int64 outputs", "const gf::int64 depth", "const gf::int64 chunk"]
    parameters += ["const double scale", "const bool along_y", f"{fold}* partials", "const gf::uint32 accumulate"]
    body = grouped(
        "outputs",
        *start,
        "const gf::int64 begin = blockIdx.y * chunk, end = o >= outputs ? 0 : depth - begin < chunk ? depth : begin + chunk;",
        f"{fold} fold;",
        *(flat_fold(operands, result, pack) if walk == FLAT else strided_fold(operands, result)),
        "fold = lanes.join(fold, shared);",
        "if (lanes.lane > 0 || o >= outputs) continue;",
        "if (partials)",
        "  partials[blockIdx.y * outputs + o] = fold;",
        "else",
        f"  {finish(kind, dtype, output, 'out0 + o' if walk == FLAT else operands.out(0, 'start'))}",
    )
    before = function(typed, [result], [value], values)
    return kernel(f"{kind}_of_{typed.program.name}_{walk}", parameters, body, threads=FOLD_THREADS, before=before, pack=pack)


def strided_fold(operands: Operands, result: str) -> list[str]:
    return loop(
        "for (gf::int64 c = begin + lanes.lane; c < end; c += lanes.count)",
        "const auto at = reduced.place(c, start);",
        *operands.call(operands.at, operands.position, [result]),
        "fold.take(y0, c);",
    )


def flat_fold(operands: Operands, result: str, pack: int) -> list[str]:
    """Rows in packs, if each of them begins where a pack may; then what is left of them, other rows, and columns, whose neighbours are other
    threads'."""
    packs = loop(
        f"for (gf::int64 p = begin / {pack} + lanes.lane; p * {pack} < whole; p += lanes.count)",
        *operands.packs(pack, "whole", " + start"),
        "#pragma unroll",
        *loop(
            f"for (int k = 0; k < {pack}; ++k)",
            *operands.call(operands.in_pack, f"start + p * {pack} + k", [result]),
            f"fold.take(y0, p * {pack} + k);",
        ),
    )
    elements = loop(
        "for (gf::int64 c = (packed ? whole : begin) + lanes.lane; c < end; c += lanes.count)",
        *operands.call(lambda i: operands.load(i, f"in{i}[start + c * step]"), "start + c * step", [result]),
        "fold.take(y0, c);",
    )
    return [
        "const gf::int64 start = along_y ? o : o * depth, step = along_y ? outputs : 1;",
        f"const bool packed = !along_y && (outputs == 1 || depth % {pack} == 0);",
        f"const gf::int64 whole = packed ? end / {pack} * {pack} : 0;",
        "#pragma unroll 2",
        *packs,
        "#pragma unroll 4",
        *elements,
    ]


def combine(kind: str, dtype: int, output: int) -> Kernel:
    """The second stage of a reduction of values of an element type.

    Parameters: ``partials``, the output, its layout, ``outputs``, ``splits`` (partial results of each output), ``scale``, ``along_y``.
    """
    fold = fold_type(kind, dtype)
    parameters = [f"const {fold}* partials", f"{STORED[output]}* out0", "const __grid_constant__ gf::Layout<gf::int64, 1> kept"]
    parameters += ["const gf::int64 outputs", "const gf::int64 splits"]
    parameters += ["const double scale", "const bool along_y", "const gf::uint32 accumulate"]
    body = grouped(
        "outputs",
        f"{fold} fold;",
        "for (gf::int64 s = lanes.lane; o < outputs && s < splits; s += lanes.count) fold.merge(partials[s * outputs + o]);",
        "fold = lanes.join(fold, shared);",
        f"if (lanes.lane == 0 && o < outputs) {finish(kind, dtype, output, 'out0 + kept.place(o)[0]')}",
    )
    return kernel(f"combine_{kind}", parameters, body, threads=FOLD_THREADS)
