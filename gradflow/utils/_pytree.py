"""``torch.utils._pytree``: trees of tuples, lists, named tuples and dictionaries as lists of their leaves.

>>> import gradflow as gf
>>> from gradflow.utils._pytree import tree_flatten, tree_map
>>> tree_flatten({"a": 1, "b": (2, 3)})[0]
[1, 2, 3]
>>> tree_map(lambda x: 2 * x, [1, (2, 3)])
[2, (4, 6)]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ..func.trees import LEAF, flatten_as, leaf_count, spread, unflatten
from ..func.trees import Shape as TreeSpec
from ..func.trees import flatten as tree_flatten

__all__ = ["TreeSpec", "tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_", "tree_map_only", "tree_structure"]
__all__ += ["LeafSpec", "tree_unflatten"]


def LeafSpec() -> TreeSpec:
    """The structure of a single leaf."""
    return LEAF


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """The tree of this structure with these leaves."""
    leaves = list(leaves)
    if len(leaves) != leaf_count(treespec):
        raise ArgumentError(f"tree_unflatten: {len(leaves)} leaves were given for a tree of {leaf_count(treespec)}")
    return unflatten(leaves, treespec)


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves, from left to right."""
    return tree_flatten(tree)[0]


def tree_structure(tree: Any) -> TreeSpec:
    """What the tree looks like without its leaves."""
    return tree_flatten(tree)[1]


def tree_map(func: Callable, tree: Any, *rests: Any) -> Any:
    """The tree of ``func(leaf, *leaves of the others at its place)``."""
    leaves, shape = tree_flatten(tree)
    others = [flatten_as(rest, shape) for rest in rests]
    for rest, found in zip(rests, others, strict=True):
        if found is None:
            raise ArgumentError(f"tree_map: the trees differ: {shape} and {tree_structure(rest)}")
    return unflatten([func(*together) for together in zip(leaves, *(o or () for o in others), strict=True)], shape)


def tree_map_(func: Callable, tree: Any, *rests: Any) -> Any:
    """``func`` called for every leaf; the tree as it is."""
    tree_map(func, tree, *rests)
    return tree


def tree_map_only(kind: Any, func: Callable, tree: Any) -> Any:
    """The tree with ``func`` applied to the leaves of one type, of one of several, or of which ``kind(leaf)`` is true."""
    chosen = (lambda x: isinstance(x, kind)) if isinstance(kind, type | tuple) else kind
    return tree_map(lambda x: func(x) if chosen(x) else x, tree)


def tree_all(pred: Callable, tree: Any) -> bool:
    """Is ``pred`` true of all leaves?"""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred: Callable, tree: Any) -> bool:
    """Is ``pred`` true of a leaf?"""
    return any(map(pred, tree_leaves(tree)))


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec) -> list[Any] | None:
    return spread(tree, treespec)
