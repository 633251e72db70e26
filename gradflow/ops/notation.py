"""Einstein's notation: sums of products as chains of matrix products."""

from __future__ import annotations

import functools
import math
import string
from typing import Any

from ..errors import ArgumentError, DTypeError, ShapeError
from ..tensor import Tensor
from . import pointwise as p
from .axes import integer
from .products import bmm, matmul
from .reductions import sum_over


def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sums of products by Einstein's notation; the order of the products is chosen by the size of what is in between.

    ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, each operand before the list of its subscripts, means the same.

    >>> a, b = gf.ones(2, 3), gf.ones(3, 4)
    >>> gf.einsum("ij,jk->ik", a, b).shape
    torch.Size([2, 4])
    """
    if isinstance(equation, Tensor):
        equation, operands = subscripts((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = tuple(operands[0])
    if not isinstance(equation, str):
        raise DTypeError("einsum: the equation must be a string such as 'ij,jk->ik'")
    for t in operands:
        if not isinstance(t, Tensor):
            raise DTypeError(f"einsum: an operand is a {type(t).__name__}; expected Tensors")
    terms, output = parse(equation, tuple([t.array.ndim for t in operands]))
    tensors = [diagonalized(t, labels) for t, labels in zip(operands, terms, strict=True)]
    sizes: dict[str, int] = {}
    for t, labels in tensors:
        for label, n in zip(labels, t.array.shape, strict=True):
            if sizes.get(label, 1) not in (1, n) and n != 1:
                raise ShapeError(
                    f"einsum: operands do not broadcast with remapped shapes: subscript {label} has size {n} and {sizes[label]} in {equation!r}"
                )
            sizes[label] = max(sizes.get(label, 1), n) if n != 0 and sizes.get(label, 1) != 0 else 0
    while len(tensors) > 1:
        i, j = cheapest(tensors, output, sizes)
        second, first = tensors.pop(j), tensors.pop(i)
        keep = set(output).union(*(labels for _, labels in tensors))
        tensors.append(pair(first, second, keep))
    t, labels = tensors[0]
    gone = tuple(k for k, label in enumerate(labels) if label not in output)
    if gone:
        t, labels = sum_over(t, gone, False), "".join(label for label in labels if label in output)
    return t.permute([labels.index(label) for label in output]) if labels != output else t


def subscripts(args: tuple) -> tuple[str, tuple]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as an equation and its operands."""

    def term(labels: Any) -> str:
        if not isinstance(labels, list | tuple):
            raise DTypeError(f"einsum: a list of subscripts must follow each operand, not a {type(labels).__name__}")
        text = ""
        for k in labels:
            if k is not Ellipsis and not 0 <= integer("einsum", "subscript", k) < 52:
                raise ArgumentError(f"einsum: subscript {k} is not within the valid range [0, 52)")
            text += "..." if k is Ellipsis else LETTERS[k]
        return text

    pairs = len(args) // 2
    equation = ",".join(term(args[2 * k + 1]) for k in range(pairs))
    return equation + ("->" + term(args[-1]) if len(args) % 2 else ""), args[0 : 2 * pairs : 2]


LETTERS = string.ascii_uppercase + string.ascii_lowercase


@functools.lru_cache(maxsize=256)
def parse(equation: str, dims: tuple[int, ...]) -> tuple[list[str], str]:
    """Labels of each operand, of so many axes, and of the output; an ellipsis becomes upper-case labels of its own."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(dims):
        raise ShapeError(f"einsum: more operands were provided than specified in the equation, or fewer: {len(dims)} for {equation!r}")
    hidden = [chr(0x100 + k) for k in range(64)]
    widest = 0
    expanded = []
    for term, ndim in zip(terms, dims, strict=True):
        named_labels = term.replace("...", "")
        if not (named_labels.isalpha() or not named_labels) or term.count("...") > 1:
            raise ArgumentError(f"einsum: invalid subscript given in {equation!r}: letters, one '...' for each operand, ',' and '->' only")
        extra = ndim - len(named_labels)
        if extra < 0 or (extra and "..." not in term):
            raise ShapeError(
                f"einsum: the number of subscripts in the equation ({len(named_labels)}) does not match the number of dimensions ({ndim}) for an operand in {equation!r}"
            )
        widest = max(widest, extra)
        expanded.append((term, extra))
    labels = [term.replace("...", "".join(hidden[64 - extra :])) for term, extra in expanded]
    dots = "".join(hidden[64 - widest :])
    if arrow:
        output = right.replace("...", dots)
        if len(set(output)) != len(output) or not set(output) <= set("".join(labels)):
            raise ArgumentError(f"einsum: output subscripts must appear once, and in an input: {equation!r}")
    else:
        joined = "".join(labels)
        output = dots + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in dots))
    return labels, output


def diagonalized(t: Tensor, labels: str) -> tuple[Tensor, str]:
    """A label that occurs twice reads the diagonal."""
    while len(set(labels)) != len(labels):
        label = next(c for c in labels if labels.count(c) > 1)
        i = labels.index(label)
        j = labels.index(label, i + 1)
        if t.array.shape[i] != t.array.shape[j]:
            raise ShapeError(
                f"einsum: subscript {label} is repeated for an operand but the sizes don't match, {t.array.shape[j]} != {t.array.shape[i]}"
            )
        t = t.diagonal(0, i, j)
        labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    return t, labels


def cheapest(tensors: list, output: str, sizes: dict[str, int]) -> tuple[int, int]:
    """The pair whose product is smallest compared with what it replaces."""
    if len(tensors) == 2:
        return 0, 1

    def volume(labels: Any) -> int:
        return math.prod(sizes[c] for c in labels)

    best = None
    for j in range(len(tensors)):
        for i in range(j):
            a, b = tensors[i][1], tensors[j][1]
            others = set(output).union(*(tensors[k][1] for k in range(len(tensors)) if k not in (i, j)))
            cost = (volume(set(a + b) & others) - volume(a) - volume(b), volume(set(a + b)), i, j)
            best = cost if best is None or cost < best else best
    assert best is not None
    return best[2], best[3]


def pair(first: tuple[Tensor, str], second: tuple[Tensor, str], keep: set[str]) -> tuple[Tensor, str]:
    """Two operands as one: labels that nobody needs any more are summed, by one batched matrix product."""
    (a, la), (b, lb) = lonely(first, second[1], keep), lonely(second, first[1], keep)
    shared = [c for c in la if c in lb]
    batch = [c for c in shared if c in keep]
    inner = [c for c in shared if c not in keep]
    rows, columns = [c for c in la if c not in lb], [c for c in lb if c not in la]
    lead, m, n = sizes_of(a, la, batch), sizes_of(a, la, rows), sizes_of(b, lb, columns)
    if not inner:  # nothing to sum: an elementwise product
        a = arranged(a, la, batch + rows, (*lead, *m, *[1] * len(n)))
        b = arranged(b, lb, batch + columns, (*sizes_of(b, lb, batch), *[1] * len(m), *n))
        return p.mul(a, b), "".join(batch + rows + columns)
    a, b = matched(a, la, b, lb, shared)
    lead, k = sizes_of(a, la, batch), math.prod(sizes_of(a, la, inner))
    many = (math.prod(lead),) if batch else ()
    left = arranged(a, la, batch + rows + inner, (*many, math.prod(m), k))
    right = arranged(b, lb, batch + inner + columns, (*many, k, math.prod(n)))
    out, shape = (bmm if batch else matmul)(left, right), (*lead, *m, *n)
    return out if out.array.shape == shape else out.reshape(shape), "".join(batch + rows + columns)


def arranged(t: Tensor, labels: str, order: list[str], shape: tuple) -> Tensor:
    t = t if list(labels) == order else t.permute([labels.index(c) for c in order])
    return t if t.array.shape == shape else t.reshape(shape)


def sizes_of(t: Tensor, labels: str, wanted: list[str]) -> list[int]:
    return [t.array.shape[labels.index(c)] for c in wanted]


def lonely(operand: tuple[Tensor, str], other: str, keep: set[str]) -> tuple[Tensor, str]:
    """Labels that only this operand has and nobody needs are summed at once."""
    t, labels = operand
    gone = tuple(k for k, c in enumerate(labels) if c not in other and c not in keep)
    return (sum_over(t, gone, False), "".join(c for k, c in enumerate(labels) if k not in gone)) if gone else operand


def matched(a: Tensor, la: str, b: Tensor, lb: str, shared: list[str]) -> tuple[Tensor, Tensor]:
    """Shared labels of size 1 on one side are repeated to the other's size."""
    full = {c: max(a.array.shape[la.index(c)], b.array.shape[lb.index(c)]) for c in shared}
    sa = tuple(full.get(c, n) for c, n in zip(la, a.array.shape, strict=True))
    sb = tuple(full.get(c, n) for c, n in zip(lb, b.array.shape, strict=True))
    return (a if sa == a.array.shape else a.expand(sa)), (b if sb == b.array.shape else b.expand(sb))
