"""Reading and adding by index, as CUDA C++."""

from __future__ import annotations

from .cuda import ELEMENTWISE_THREADS, INDEX, STORED, Kernel, kernel, loop, register
from .types import NAMES

BITS = {1: "unsigned char", 2: "unsigned short", 4: "gf::uint32", 8: "gf::uint64"}  # what is only moved


def take(size: int, index: int, walk: str) -> Kernel:
    """``out[i] = table[i, with the axis at index[i]]``, for elements of ``size`` bytes and an ``index`` of an integer type.

    Parameters: the table, the index, the output; their layout, in which the table does not move along the axis; its ``step`` and ``length`` there;
    ``n`` elements; ``id`` and ``error``, which becomes (id, index, length) where an index is out of range, and nothing is read.
    """
    bits = BITS[size]
    parameters = [f"const {bits}* table", f"const {STORED[index]}* index", f"{bits}* out"]
    parameters += [f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 3> layout", "const gf::int64 step", "const gf::int64 length"]
    parameters += ["const gf::int64 n", "const gf::int64 id", "gf::int64* error"]
    body = loop(
        "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())",
        "const auto at = layout.place(i);",
        "const gf::int64 j = index[at[1]];",
        *loop("if (j < 0 || j >= length)", "error[0] = id;", "error[1] = j;", "error[2] = length;", "continue;"),
        "out[at[2]] = table[at[0] + j * step];",
    )
    return kernel(f"take_{size}_bytes_{walk}", parameters, body, threads=ELEMENTWISE_THREADS)


def add_segments(dtype: int, walk: str) -> Kernel:
    """Adds elements to their destinations, each of which has one thread: the same order every time.

    Parameters: the output, the source; ``order``, which sorts the source's rows by destination, ``starts`` of each destination's rows in it (and
    their end), and the ``rows`` of the output that they are; the columns' layout; the steps from row to row; how many destinations and columns.
    """
    stored, kind = STORED[dtype], register(dtype)
    parameters = [f"{stored}* out", f"const {stored}* source", "const gf::int64* order", "const gf::int64* starts", "const gf::int64* rows"]
    parameters += [
        f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 2> layout",
        "const gf::int64 out_step",
        "const gf::int64 source_step",
    ]
    parameters += ["const gf::int64 destinations", "const gf::int64 columns"]
    body = loop(
        "for (gf::int64 i = gf::thread(); i < destinations * columns; i += gf::threads())",
        "const gf::int64 d = i / columns;",
        "const auto at = layout.place(i - d * columns);",
        f"{stored}* to = out + at[0] + rows[d] * out_step;",
        f"{kind} total = gf::get<{kind}>(*to);",
        "for (gf::int64 q = starts[d]; q < starts[d + 1]; ++q)",
        f"  total = gf::prim::add(total, gf::get<{kind}>(source[at[1] + order[q] * source_step]));",
        "gf::put(to, total, false);",
    )
    return kernel(f"add_segments_{NAMES[dtype]}_{walk}", parameters, body, threads=ELEMENTWISE_THREADS)
