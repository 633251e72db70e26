"""Places as CUDA C++: of several indices, of a mask's elements, of values among sorted ones; and what is written there."""

from __future__ import annotations

from .cuda import ELEMENTWISE_THREADS, INDEX, STORED, Kernel, kernel, loop, register
from .cuda_moves import BITS
from .types import NAMES

EACH = "for (gf::int64 i = gf::thread(); i < n; i += gf::threads())"


def summed_up(count: int, to: str, *instead: str) -> list[str]:
    """Adds to ``to`` where ``count`` indices, of which some may count from the end, lie along their axes. Of one out of range ``error`` becomes
    (id of its axis, index, length)."""
    lines = []
    for k in range(count):
        lines += [
            f"gf::int64 j{k} = index{k}[at[{k}]];",
            *loop(
                f"if (j{k} < -length[{k}] || j{k} >= length[{k}])",
                f"error[0] = id + {k};",
                f"error[1] = j{k};",
                f"error[2] = length[{k}];",
                *instead,
                "continue;",
            ),
            f"{to} += (j{k} < 0 ? j{k} + length[{k}] : j{k}) * step[{k}];",
        ]
    return lines


def indexing(count: int, operands: int, walk: str) -> list[str]:
    """The parameters of ``count`` indices."""
    places = f"const gf::Place<gf::int64, {count}>"
    layout = f"const __grid_constant__ gf::Layout<{INDEX[walk]}, {operands}> layout"
    return ["gf::int64* error", "const gf::int64 id", layout, f"{places} step", f"{places} length", "const gf::int64 n"]


def pick(size: int, count: int, walk: str) -> Kernel:
    """``out[i] = table[i, with ``count`` axes at index0[i], index1[i], ...]``, for elements of ``size`` bytes.

    Parameters: the table, the indices (int64), the output, ``error`` and ``id``; the layout of indices, table (which does not move along those
    axes) and output; each axis's ``step`` and ``length``; ``n`` elements.
    """
    bits = BITS[size]
    parameters = [f"const {bits}* table", *(f"const gf::int64* index{k}" for k in range(count)), f"{bits}* out"]
    body = loop(
        EACH,
        "const auto at = layout.place(i);",
        f"gf::int64 from = at[{count}];",
        *summed_up(count, "from"),
        f"out[at[{count + 1}]] = table[from];",
    )
    return kernel(f"pick_{size}_bytes_{count}_{walk}", [*parameters, *indexing(count, count + 2, walk)], body, threads=ELEMENTWISE_THREADS)


def locate(count: int, walk: str) -> Kernel:
    """``out[i]``: how far from the beginning of a table element i of its indices is; -1 if one is out of range. Parameters as those of ``pick``,
    without the table, which their layout does not name."""
    parameters = [*(f"const gf::int64* index{k}" for k in range(count)), "gf::int64* out"]
    body = loop(
        EACH,
        "const auto at = layout.place(i);",
        "gf::int64 to = 0;",
        *summed_up(count, "to", "out[i] = -1;"),
        "out[i] = to;",
    )
    return kernel(f"locate_{count}_{walk}", [*parameters, *indexing(count, count, walk)], body, threads=ELEMENTWISE_THREADS)


def put(size: int, walk: str) -> Kernel:
    """Writes a source's rows to their places (-1: nowhere). Where several go to one place, ``order`` sorts them by it, and the last of each is
    written: the same every time.

    Parameters: the output, the source, ``order`` (null: all places differ, or all rows are the same), each row's place; the columns' layout; the
    source's step from row to row; how many ``rows`` and ``columns``.
    """
    bits = BITS[size]
    parameters = [f"{bits}* out", f"const {bits}* source", "const gf::int64* order", "const gf::int64* places"]
    parameters += [f"const __grid_constant__ gf::Layout<{INDEX[walk]}, 2> layout", "const gf::int64 source_step"]
    parameters += ["const gf::int64 rows", "const gf::int64 columns"]
    body = loop(
        "for (gf::int64 i = gf::thread(); i < rows * columns; i += gf::threads())",
        "const gf::int64 q = i / columns, row = order ? order[q] : q, place = places[row];",
        "if (place < 0 || (order && q + 1 < rows && places[order[q + 1]] == place)) continue;",
        "const auto at = layout.place(i - q * columns);",
        "out[at[0] + place] = source[at[1] + row * source_step];",
    )
    return kernel(f"put_{size}_bytes_{walk}", parameters, body, threads=ELEMENTWISE_THREADS)


def compact() -> Kernel:
    """The places where ``mask`` holds, in order. ``sums`` are its running sums."""
    parameters = ["const gf::bool8* mask", "const gf::int64* sums", "gf::int64* out", "const gf::int64 n"]
    return kernel("compact", parameters, loop(EACH, "if (gf::get<gf::bool8>(mask[i])) out[sums[i] - 1] = i;"), threads=ELEMENTWISE_THREADS)


def search(dtype: int) -> Kernel:
    """Where values belong among sorted ones: how many of them are less, or not greater if ``right``; nan is the largest.

    Parameters: rows of ``length`` sorted values, the values, the output; ``share``: so many values belong to each row (0: all to one); ``n``
    values.
    """
    stored, kind = STORED[dtype], register(dtype)
    parameters = [f"const {stored}* sorted", f"const {stored}* values", "gf::int64* out", "const gf::int64 length", "const gf::int64 share"]
    body = loop(
        EACH,
        f"const {kind} x = gf::get<{kind}>(values[i]);",
        f"const {stored}* row = sorted + (share ? i / share * length : 0);",
        "gf::int64 low = 0, high = length;",
        *loop(
            "while (low < high)",
            "const gf::int64 middle = low + (high - low) / 2;",
            f"const {kind} y = gf::get<{kind}>(row[middle]);",
            "const bool less = right ? !(x < y || (y != y && x == x)) : y < x || (x != x && y == y);",
            "low = less ? middle + 1 : low;",
            "high = less ? high : middle;",
        ),
        "out[i] = low;",
    )
    return kernel(f"search_{NAMES[dtype]}", [*parameters, "const gf::int64 n", "const bool right"], body, threads=ELEMENTWISE_THREADS)
