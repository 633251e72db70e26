"""Reading and adding by index, and running folds, as CUDA C++."""

from __future__ import annotations

from .cuda import ELEMENTWISE_THREADS, FOLD_THREADS, INDEX, SCANNED, STORED, Kernel, fold_type, grouped, kernel, loop, register, wrapped
from .types import FLOAT16, FLOAT32, FLOAT64, INT32, INT64, NAMES

BITS = {1: "unsigned char", 2: "unsigned short", 4: "gf::uint32", 8: "gf::uint64"}  # what is only moved


def out_of_range(value: str, *instead: str) -> list[str]:
    """Where ``value`` is no place of an axis of ``length``, ``error`` becomes (id, index, length), and the next element follows."""
    return loop(
        f"if ({value} < 0 || {value} >= length)", "error[0] = id;", f"error[1] = {value};", "error[2] = length;", *instead, "continue;"
    )


def take(size: int, index: int, walk: str) -> Kernel:
    """``out[i] = table[i, with the axis at index[i]]``, for elements of ``size`` bytes and an ``index`` of an integer type.

    Parameters: the table, the index, the output, ``error`` and ``id`` for what is out of range, of which nothing is read; their layout, in which
    the table does not move along the axis; its ``step`` and ``length`` there; ``n`` elements.
    """
    bits = BITS[size]
    parameters = [f"const {bits}* table", f"const {STORED[index]}* index", f"{bits}* out", "gf::int64* error", "const gf::int64 id"]
    parameters += [f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 3> layout", "const gf::int64 step", "const gf::int64 length"]
    body = loop(
        "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())",
        "const auto at = layout.place(i);",
        "const gf::int64 j = index[at[1]];",
        *out_of_range("j"),
        "out[at[2]] = table[at[0] + j * step];",
    )
    return kernel(f"take_{size}_bytes_{walk}", [*parameters, "const gf::int64 n"], body, threads=ELEMENTWISE_THREADS)


def places(index: int, walk: str) -> Kernel:
    """``out[i]``: where element i of an index along an axis lies in a contiguous table; -1 if it is out of range.

    Parameters as those of ``take``, without the table: the layout is of the table, which does not move along the axis, and the index.
    """
    parameters = [f"const {STORED[index]}* index", "gf::int64* out", "gf::int64* error", "const gf::int64 id"]
    parameters += [f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 2> layout", "const gf::int64 step", "const gf::int64 length"]
    body = loop(
        "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())",
        "const auto at = layout.place(i);",
        "const gf::int64 j = index[at[1]];",
        *out_of_range("j", "out[i] = -1;"),
        "out[i] = at[0] + j * step;",
    )
    return kernel(f"places_{walk}", [*parameters, "const gf::int64 n"], body, threads=ELEMENTWISE_THREADS)


AT = ("add", "mul", "maximum", "minimum")  # what rows do to their destinations


def fold_segments(fold: str, dtype: int, index: int, walk: str) -> Kernel:
    """Adds a source's rows to their destinations, or folds them otherwise. ``order`` sorts the rows by these; the first row of each destination
    has a thread for each column, which adds all of them: the same order every time.

    Parameters: the output, the source, ``order``, ``index`` with each row's destination, ``error`` and ``id`` for those out of range, to which
    nothing is added (those below 0 have been reported if ``id`` is 0); the columns' layout; the steps from row to row; ``length`` of the output,
    how many ``rows`` and ``columns``.
    """
    stored, kind = STORED[dtype], register(dtype)
    body = loop(
        "for (gf::int64 i = gf::thread(); i < rows * columns; i += gf::threads())",
        "gf::int64 q = i / columns;",
        "const auto at = layout.place(i - q * columns);",
        "const gf::int64 d = index[order[q]];",
        "if (q > 0 && index[order[q - 1]] == d) continue;",
        "if (d < 0 && id == 0) continue;",
        *out_of_range("d"),
        f"{stored}* to = out + at[0] + d * out_step;",
        f"{kind} total = gf::get<{kind}>(*to);",
        "for (; q < rows && index[order[q]] == d; ++q)",
        f"  total = gf::prim::{fold}(total, gf::get<{kind}>(source[at[1] + order[q] * source_step]));",
        "gf::put(to, total, false);",
    )
    return kernel(f"{fold}_segments_{NAMES[dtype]}_{walk}", adding(dtype, index, walk, True), body, threads=ELEMENTWISE_THREADS)


ATOMIC = (INT32, INT64, FLOAT16, FLOAT32, FLOAT64)  # what CUDA adds at an address in one step, on all devices


def add_atomically(dtype: int, index: int, walk: str) -> Kernel:
    """The same without an order, in any order."""
    value = "source[at[1] + q * source_step]"
    if dtype == INT64:
        add = f"atomicAdd(reinterpret_cast<gf::uint64*>(out + at[0] + d * out_step), gf::uint64({value}));"
    else:
        add = f"atomicAdd(out + at[0] + d * out_step, {value});"
    body = loop(
        "for (gf::int64 i = gf::thread(); i < rows * columns; i += gf::threads())",
        "const gf::int64 q = i / columns;",
        "const auto at = layout.place(i - q * columns);",
        "const gf::int64 d = index[q];",
        "if (d < 0 && id == 0) continue;",
        *out_of_range("d"),
        add,
    )
    return kernel(f"add_atomically_{NAMES[dtype]}_{walk}", adding(dtype, index, walk, False), body, threads=ELEMENTWISE_THREADS)


def adding(dtype: int, index: int, walk: str, ordered: bool) -> list[str]:
    order = ["const gf::int64* order"] if ordered else []
    return [
        *(f"{STORED[dtype]}* out", f"const {STORED[dtype]}* source", *order, f"const {STORED[index]}* index"),
        *("gf::int64* error", "const gf::int64 id", f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 2> layout"),
        *(
            "const gf::int64 out_step",
            "const gf::int64 source_step",
            "const gf::int64 length",
            "const gf::int64 rows",
            "const gf::int64 columns",
        ),
    ]


def scan(kind: int, dtype: int, walk: str) -> Kernel:
    """The running folds of rows: sums, products, or the places of the last largest or least elements.

    Parameters: the rows, the output; ``partials``, each chunk's fold as a reduction leaves them (null: there is one chunk); the layout of the
    rows in both, the ``step`` along them; ``outputs`` (rows), ``depth``, ``chunk``, ``along_y`` (then there is one lane).
    """
    fold, to = fold_type(SCANNED[kind], dtype), INT64 if kind > 1 else dtype
    result = register(INT64 if kind > 1 else dtype)
    parameters = [f"const {STORED[dtype]}* in0", f"{STORED[to]}* out0", f"const {fold}* partials"]
    parameters += [f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 2> kept", f"const gf::Place<{INDEX[walk]}, 2> step"]
    parameters += ["const gf::int64 outputs", "const gf::int64 depth", "const gf::int64 chunk", "const bool along_y"]
    body = grouped(
        "outputs",
        "const auto start = kept.place(o < outputs ? o : 0);",
        "const gf::int64 begin = blockIdx.y * chunk, end = depth - begin < chunk ? depth : begin + chunk;",
        f"{fold} before;",
        "for (gf::int64 s = lanes.lane; o < outputs && s < blockIdx.y; s += lanes.count) before.merge(partials[s * outputs + o]);",
        "before = lanes.join(before, shared);",
        *loop(
            "for (gf::int64 tile = begin; tile < end; tile += lanes.count)",
            "const gf::int64 c = tile + lanes.lane;",
            "const bool inside = o < outputs && c < end;",
            "const auto at = start.moved(inside ? c : 0, step);",
            f"{fold} fold;",
            f"if (inside) fold.take({wrapped(f'gf::get<{register(dtype)}>(in0[at[0]])', dtype)}, c);",
            "fold = lanes.scan(fold, before);",
            f"const {result} y = fold.finish(1);",
            "if (inside) gf::put(out0 + at[1], y, false);",
        ),
    )
    return kernel(f"scan_{SCANNED[kind]}_{NAMES[dtype]}_{walk}", parameters, body, threads=FOLD_THREADS)
