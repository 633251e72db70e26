"""Back through an operation so that a cotangent that is zero stays zero, whatever it meets: what ``safe_grad`` switches on.

A formula's backward program is made a second time with its products guarded. Rules over tensors are checked: only where a result is inf
or nan is it asked which cotangents reach it.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ..scalar import ne, where
from ..scalar.program import trace
from ..tape.node import Named, mode
from ..tensor import Tensor, wrap
from .custom_rules import CustomPlan
from .formulas import Elementwise
from .plan import Plan


class Safe(threading.local):
    """Do this thread's backwards keep zeros?"""

    enabled = False


safe = Safe()
either = Elementwise(trace(lambda c, x, y: where(ne(c, 0), x, y), name="either", raw=("c",)), "WhereBackward0")


class Like:
    """A node with other saved values."""

    def __init__(self, node: Any, saved: tuple):
        self.plan, self.parents, self.meta, self.irregular = node.plan, node.parents, node.meta, node.irregular
        self.saved = saved


def derive(node: Any, g: Any) -> list[Any]:
    """``node.plan.derive(node, g)``, with zeros kept."""
    plan = node.plan
    while plan.__class__ is Named:
        plan = plan.plan
    if plan.__class__ is Plan:
        return plan.kept().derive(node, g)
    found = list(plan.derive(node, g))
    if all(c is None or finite(c.array) for c in found):
        return found
    given = [t.array for t in (g.values() if g.__class__ is dict else (g,)) if t is not None]
    if not any(np.any(a) for a in given):
        return [kept(c, np.zeros(c.array.shape, bool), 0.0) for c in found]
    if getattr(plan, "products", False):
        return products(plan, node, g, found)
    if plan.__class__ is CustomPlan and all(finite(a) for a in given):
        reached = trial(plan, node, g)
        if reached is not None:
            return [kept(c, r, 0.0) for c, r in zip(found, reached, strict=True)]
    return found


def finite(array: Any) -> bool:
    return array.dtype.kind not in "fV" or bool(np.isfinite(array).all())


def kept(c: Any, reached: Any, other: Any) -> Any:
    """``c`` where it is finite or ``reached`` by a cotangent that is not zero; elsewhere ``other``."""
    if c is None or finite(c.array):
        return c
    return either.call(wrap(np.isfinite(c.array) | reached), c, other)


def products(plan: Any, node: Any, g: Tensor, found: list[Any]) -> list[Any]:
    """A rule made of products: terms 0 * inf and 0 * nan count 0."""
    clean = plan.derive(Like(node, tuple(np.where(np.isfinite(a), a, 0).astype(a.dtype) for a in node.saved)), g)
    was, mode.enabled = mode.enabled, False
    try:
        a = g.array
        bad = tuple((~np.isfinite(s)).astype(s.dtype) for s in node.saved)
        met = plan.derive(Like(node, bad), wrap((a != 0).astype(a.dtype)))
    finally:
        mode.enabled = was
    lost = not finite(g.array)
    return [kept(c, (m.array != 0) | lost, o) if c is not None else None for c, m, o in zip(found, met, clean, strict=True)]


def trial(plan: Any, node: Any, g: Any) -> list[Any] | None:
    """For each contribution the places that cotangents other than zero reach: the rule runs with nan for these, and harmless saved values."""
    rng = np.random.default_rng(0)
    harmless = tuple(
        np.asarray(1 + rng.random(a.shape), a.dtype) if isinstance(a, np.ndarray) and a.dtype.kind in "fV" else a for a in node.saved
    )

    def marked(t: Tensor) -> Tensor:
        return wrap(np.where(t.array != 0, np.nan, 0).astype(t.array.dtype))

    was, mode.enabled = mode.enabled, False
    try:
        with np.errstate(all="ignore"):
            given = {k: marked(t) for k, t in g.items()} if g.__class__ is dict else marked(g)
            found = plan.derive(Like(node, harmless), given)
    except (ArithmeticError, ValueError, RuntimeError):  # not harmless to this rule: nothing is known
        return None
    finally:
        mode.enabled = was
    return [None if c is None else np.isnan(c.array) for c in found]
