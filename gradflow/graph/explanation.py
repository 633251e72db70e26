"""The chain rule of a recorded graph, in words and numbers."""

from __future__ import annotations

from typing import Any

from ..backends import elementwise as elementwise_kernel
from ..errors import ArgumentError
from ..kinds.plan import Plan
from ..tape.node import Leaf, Named, Output, mode
from ..tensor import Tensor, wrap
from .reading import back, cotangents, described, given, names_of, short

FEW = 12  # numbers that are written out


def explain(y: Tensor, names: Any = None, limit: int = 100) -> str:
    """How the derivative of ``y`` comes about: what was computed, the derivative of each step, and the chain rule from ``y`` to the leaves.

    A ``y`` of several elements is explained as its sum. Values are shown where the tape still has them. Graphs of more than ``limit``
    operations are refused: `graph.draw` is for those.

    >>> x = gf.tensor([1.0, 2.0], requires_grad=True)
    >>> print(gf.explain((x * x).sum(), {"x": x}))
    forward
      x = [1, 2]
      v1 = Mul(x, x) = [1, 4]                ∂v1/∂x = [2, 4]
      y = Sum(v1) = 5                        ∂y/∂v1 = [1, 1]
    backward
      dy/dv1 = ∂y/∂v1 = [1, 1]
      dy/dx = dy/dv1 · ∂v1/∂x = [2, 4]
    """
    (y,) = given("explain", y)
    known = names_of("explain", names)
    from ..creation import ones_like

    nodes, arrived = cotangents((y,), lambda t: ones_like(wrap(t.array)))
    places = [n for n in reversed(nodes) if n.__class__ is not Output]
    if len(places) > limit:
        raise ArgumentError(f"explain: the graph has {len(places)} nodes, more than limit={limit}; see graph.draw, or raise the limit")
    name: dict[Any, str] = {}
    leaves = steps = 0
    root = whole(y.node)
    for n in places:
        if n.__class__ is Leaf:
            name[n] = known.get(n) or f"x{(leaves := leaves + 1)}"
        else:
            name[n] = "y" if n is root else f"v{(steps := steps + 1)}"
    values = values_of(places, y)
    forward, local = [], {}
    for n in places:
        value = f" = {shown(values[n])}" if n in values else ""
        if n.__class__ is Leaf:
            forward.append((f"{name[n]}{value or ' is gone'}", ""))
            continue
        parents = [text for i, p in enumerate(n.parents) if (text := constant(n, i) if p is None else labelled(p, name))]
        derivatives = local_derivatives(n, arrived.get(n))
        for p in dict.fromkeys(p for p in n.parents if p is not None):
            local[n, p] = f"∂{name[n]}/∂{labelled(p, name)}"
        text = ", ".join(f"{local[n, p]} = {d}" for p, d in derivatives.items())
        forward.append((f"{name[n]} = {short(n)}({', '.join(parents)}){value}", text))
    width = max([len(a) for a, b in forward if b], default=0)
    lines = ["forward", *(f"  {a.ljust(max(width, 36)) + '   ' + b if b else a}" for a, b in forward), "backward"]
    users: dict[Any, list[Any]] = {}
    for n in nodes:
        if n.__class__ is not Output:
            for p in dict.fromkeys(p for p in n.parents if p is not None):
                users.setdefault(whole(p), []).append((n, p))
    for n in nodes:
        if n is root or n.__class__ is Output or n not in users:
            continue
        terms = [local[u, p] if u is root else f"dy/d{name[u]} · {local[u, p]}" for u, p in users[n]]
        g = arrived.get(n)
        result = "0" if g is None else "; ".join(shown(t) for _, t in sorted(g.items())) if g.__class__ is dict else shown(g)
        lines.append(f"  dy/d{name[n]} = {' + '.join(terms)} = {result}")
    return "\n".join(lines)


def whole(place: Any) -> Any:
    return place.parents[0] if place.__class__ is Output else place


def labelled(place: Any, name: dict[Any, str]) -> str:
    return f"{name[place.parents[0]]}[{place.meta}]" if place.__class__ is Output else name[place]


def constant(n: Any, i: int) -> str:
    """Input ``i`` of a step, which wants no gradient, if the step kept it."""
    plan = getattr(n.plan, "plan", n.plan)
    if not isinstance(plan, Plan) or i not in plan.reads or not n.saved:
        return ""
    value = n.saved[plan.reads.index(i)]
    return shown(wrap(value)) if hasattr(value, "shape") and value.shape else f"{float(value):.4g}"


def shown(t: Tensor) -> str:
    """Its numbers, if they are few, else its type and shape."""
    if t.array.size > FEW:
        return described(t.array)
    return nested(t.tolist())


def nested(x: Any) -> str:
    if isinstance(x, list):
        return f"[{', '.join(map(nested, x))}]"
    return f"{x:.4g}" if isinstance(x, float) else str(x)


def elementwise(n: Any) -> bool:
    plan = n.plan.plan if isinstance(n.plan, Named) else n.plan
    return isinstance(plan, Plan) and not plan.rows and n.irregular is None


def local_derivatives(n: Any, g: Any) -> dict[Any, str]:
    """{parent: the derivative of this step for it}: numbers for elementwise steps and those with one result, else what the map is between."""
    if g is None or g.__class__ is dict:
        return {p: "a map" for p in n.parents if p is not None}
    from ..creation import ones_like

    was, mode.enabled = mode.enabled, False
    try:
        found = back(n, ones_like(wrap(g.array)))
    finally:
        mode.enabled = was
    total: dict[Any, Any] = {}
    for p, d in zip(n.parents, found, strict=True):
        if p is not None and d is not None:
            total[p] = d if p not in total else total[p] + d
    if elementwise(n) or g.array.size == 1:
        return {p: shown(d) for p, d in total.items()}
    return {p: f"a map from {list(d.array.shape)} to {list(g.array.shape)}" for p, d in total.items()}


def values_of(places: list[Any], y: Tensor) -> dict[Any, Tensor]:
    """What each node computed, where the tape still knows: leaves, saved inputs and outputs, and elementwise and linear steps of these."""
    found: dict[Any, Tensor] = {}
    if y.node.__class__ is not Output:
        found[y.node] = y
    for n in places:
        t = n.tensor() if n.__class__ is Leaf else None
        if t is not None:
            found[n] = t
    for n in places:
        plan = getattr(n.plan, "plan", n.plan)
        if isinstance(plan, Plan):
            saved = dict(zip(plan.reads, n.saved or (), strict=False))
            for r, value in saved.items():
                place = n.parents[r] if r < len(n.parents) else n if len(plan.op.program.outputs) == 1 else None
                if place is not None and hasattr(value, "shape"):
                    found.setdefault(place, wrap(value))
            inputs = [found[p].array if p in found else saved.get(i) for i, p in enumerate(n.parents)]
            if not plan.rows and plan.op.single and len(inputs) == plan.op.program.inputs and all(x is not None for x in inputs):
                found.setdefault(n, wrap(elementwise_kernel(plan.op.kernel, tuple(inputs))))
        elif getattr(plan, "forward", None) is not None and n.parents[0] in found:
            found.setdefault(n, wrap(plan.forward(found[n.parents[0]].array, *n.meta[1])))
    return found
