"""Derivatives of programs, as programs: reverse accumulation over the expressions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .primitives import ROW_FOLDS, column_index, eq, ne, row_sum, where
from .program import Program
from .trace import Primitive, Value, ordered


def scaled(g: Value, partial: Value | int | float | None) -> Value | None:
    """``g * partial`` where 0, 1 and -1 cost nothing."""
    if partial is None:
        return None
    number = partial.data if isinstance(partial, Value) and partial.op == "const" else partial
    if not isinstance(number, Value):
        if number == 0:
            return None
        if number == 1:
            return g
        if number == -1:
            return Primitive.table["neg"](g)
    if g.op == "where" and not (isinstance(number, int | float) and math.isfinite(number)):
        condition, a, b = g.args  # what was not taken gets 0, whatever its derivative is
        if any(branch.op == "const" and branch.data == 0 for branch in (a, b)):
            first, second = (0 if branch.op == "const" and branch.data == 0 else scaled(branch, partial) for branch in (a, b))
            return Primitive.table["where"](condition, 0 if first is None else first, 0 if second is None else second)
    if isinstance(partial, Value) and partial.op == "where":  # a select stays one: 0 * inf would be nan
        condition, a, b = partial.args
        first, second = scaled(g, a), scaled(g, b)
        return Primitive.table["where"](condition, 0 if first is None else first, 0 if second is None else second)
    if isinstance(partial, Value) and partial.op == "reciprocal":
        return Primitive.table["div"](g, partial.args[0])
    if isinstance(partial, Value) and partial.op == "div" and partial.args[0].op == "const" and partial.args[0].data == 1:
        return Primitive.table["div"](g, partial.args[1])
    return Primitive.table["mul"](g, partial)


LINEAR = frozenset(("add", "sub", "neg", "where", "cast", "row_sum"))


def zeros_kept(results: Sequence[Value | None], cotangents: Sequence[Value]) -> list[Value | None]:
    """``results``, linear in ``cotangents``, so that a product of 0 and inf or nan on the way is 0: nothing flowed there."""
    flows = {id(g) for g in cotangents}
    new: dict[int, Value] = {}
    for v in ordered(tuple(r for r in results if r is not None)):
        args = tuple(new[id(a)] for a in v.args)
        new[id(v)] = value = v if all(a is b for a, b in zip(args, v.args, strict=True)) else Value(v.op, args, v.data)
        carriers = [a for a, old in zip(args, v.args, strict=True) if id(old) in flows]
        if carriers:
            flows.add(id(v))
            if v.op not in LINEAR:
                lost = ne(value - value, 0)  # inf or nan
                for a in carriers:
                    lost = lost & eq(a, 0)
                new[id(v)] = where(lost, 0, value)
    return [None if r is None else new[id(r)] for r in results]


def has_kink(program: Program) -> bool:
    """Does the formula use a primitive that is not differentiable everywhere?"""
    return any(instr.op in Primitive.table and Primitive.table[instr.op].kink for instr in program.code)


def cotangents(
    outputs: Sequence[Value], seeds: Sequence[Value | None], inputs: Sequence[Value], per_row: Callable[[Value], bool]
) -> list[Value | None]:
    """For each input, d(sum of seeds * outputs) / d(input) as an expression, ``None`` where nothing flows.

    ``per_row`` tells which values are one for a row: what reaches them from the row's elements is summed over the row.
    """
    order = ordered(tuple(outputs))
    bar: dict[int, Value] = {}

    def arrive(value: Value, contribution: Value | None) -> None:
        if contribution is None or value.op == "const":
            return
        if per_row(value) and not per_row(contribution):
            contribution = row_sum(contribution)
        bar[id(value)] = contribution if id(value) not in bar else bar[id(value)] + contribution

    for output, seed in zip(outputs, seeds, strict=True):
        if seed is not None:
            arrive(output, seed)
    for value in reversed(order):
        g = bar.get(id(value))
        if g is None or not value.args:
            continue
        if value.op == "row_sum":
            arrive(value.args[0], g)
        elif value.op == "row_at":
            arrive(value.args[0], where(eq(column_index(), value.args[1]), g, 0))
        elif value.op == "row_max":  # ties share
            hit = where(eq(value.args[0], value), 1.0, 0.0)
            arrive(value.args[0], hit * (g / row_sum(hit)))
        elif value.op == "where":  # a select, not a product: what was not taken gets 0, whatever g is
            condition, a, b = value.args
            if a.op != "const":
                arrive(a, where(condition, g, 0))
            if b.op != "const":
                arrive(b, where(condition, 0, g))
        elif value.op == "cast":
            arrive(value.args[0], g)
        elif value.op in Primitive.table:
            primitive = Primitive.table[value.op]
            partials = primitive.partials
            if partials is None and primitive.domain == "F":
                raise NotImplementedError(f"the derivative of {value.op} is not implemented")
            if partials is not None:
                for arg, partial in zip(value.args, partials(value, *value.args), strict=True):
                    if arg.op != "const":
                        arrive(arg, scaled(g, partial))
    return [bar.get(id(x)) for x in inputs]


def row_predicate(row_inputs: Sequence[Value]) -> Callable[[Value], bool]:
    """Is this value one for the whole row? Inputs in ``row_inputs`` are."""
    known: dict[int, bool] = {id(x): True for x in row_inputs}
    keep: list[Value] = []  # ids stay valid while the values live

    def per_row(value: Value) -> bool:
        for v in ordered((value,)):
            if id(v) not in known:
                keep.append(v)
                if v.op in (*ROW_FOLDS, "row_at", "const"):
                    known[id(v)] = True
                elif not v.args:
                    known[id(v)] = False
                else:
                    known[id(v)] = all(known[id(a)] for a in v.args)
        return known[id(value)]

    return per_row
