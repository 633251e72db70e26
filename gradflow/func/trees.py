"""Trees of values: tuples, lists, named tuples and dictionaries, nested; everything else is a leaf, ``None`` too, as in torch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """What a tree looks like without its leaves. A leaf's ``kind`` is ``None``."""

    kind: Any
    keys: tuple
    children: tuple

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind in (dict, OrderedDict):
            return "{" + ", ".join(f"{k!r}: {c}" for k, c in zip(self.keys, self.children, strict=True)) + "}"
        inside = ", ".join(map(str, self.children))
        return f"[{inside}]" if self.kind is list else f"({inside})" if self.kind is tuple else f"{self.kind.__name__}({inside})"


LEAF = Shape(None, (), ())


def parts(tree: Any) -> tuple[Any, tuple, tuple] | None:
    """(kind, keys, children) of a tree, ``None`` for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict):
        return kind, tuple(tree), tuple(tree.values())
    if kind in (list, tuple) or (isinstance(tree, tuple) and hasattr(kind, "_fields")):
        return kind, tuple(range(len(tree))), tuple(tree)
    return None


def flatten(tree: Any) -> tuple[list[Any], Shape]:
    """(leaves, shape)."""
    found = parts(tree)
    if found is None:
        return [tree], LEAF
    kind, keys, values = found
    leaves: list[Any] = []
    children = []
    for value in values:
        inner, shape = flatten(value)
        leaves += inner
        children.append(shape)
    return leaves, Shape(kind, keys, tuple(children))


def unflatten(leaves: Any, shape: Shape) -> Any:
    """The tree of this shape with these leaves."""
    source = iter(leaves)

    def build(s: Shape) -> Any:
        if s.kind is None:
            return next(source)
        children = [build(c) for c in s.children]
        if s.kind in (dict, OrderedDict):
            return s.kind(zip(s.keys, children, strict=True))
        return s.kind(*children) if hasattr(s.kind, "_fields") else s.kind(children)

    return build(shape)


def flatten_as(tree: Any, shape: Shape) -> list[Any] | None:
    """The leaves of ``tree`` in the order of ``shape``; ``None`` if it has another shape. The order of a dictionary does not matter."""
    if shape.kind is None:
        return [tree] if parts(tree) is None else None
    found = parts(tree)
    if found is None or found[0] is not shape.kind or set(found[1]) != set(shape.keys):
        return None
    values = dict(zip(found[1], found[2], strict=True))
    leaves: list[Any] = []
    for key, child in zip(shape.keys, shape.children, strict=True):
        inner = flatten_as(values[key], child)
        if inner is None:
            return None
        leaves += inner
    return leaves


def spread(prefix: Any, shape: Shape) -> list[Any] | None:
    """One value for each leaf of ``shape``: a leaf of ``prefix`` stands for all of the tree below it. ``None`` if they do not fit."""
    found = parts(prefix)
    if found is None:
        return [prefix] * leaf_count(shape)
    if shape.kind is None or found[0] is not shape.kind or set(found[1]) != set(shape.keys):
        return None
    values = dict(zip(found[1], found[2], strict=True))
    inner = [spread(values[k], c) for k, c in zip(shape.keys, shape.children, strict=True)]
    return None if any(i is None for i in inner) else [v for i in inner for v in i or ()]


def leaf_count(shape: Shape) -> int:
    return 1 if shape.kind is None else sum(map(leaf_count, shape.children))


def tree_map(function: Callable, tree: Any) -> Any:
    """The tree with ``function`` applied to every leaf."""
    leaves, shape = flatten(tree)
    return unflatten([function(leaf) for leaf in leaves], shape)
