"""The tape under a tensor, read: what was computed from what, of which shapes, and how much of it is kept."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import DTypeError, GradError
from ..tape.node import Leaf, Node, Output, mode
from ..tape.place import text
from ..tape.walk import collect
from ..tensor import Tensor, wrap


class Vertex(NamedTuple):
    """A leaf, an operation or a result. ``lines`` is what is written on it; ``kind`` is "leaf", "operation" or "result"."""

    id: str
    kind: str
    lines: tuple[str, ...]
    title: str


class Graph(NamedTuple):
    """Vertices, each after those that it was computed from, and edges (from, to, label)."""

    vertices: tuple[Vertex, ...]
    edges: tuple[tuple[str, str, str], ...]


def given(op: str, y: Any) -> tuple[Tensor, ...]:
    tensors = tuple(y) if isinstance(y, tuple | list) else (y,)
    for t in tensors:
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected a Tensor or several, not {type(t).__name__}; pass a result such as the loss")
        if t.node is None:
            raise GradError(
                f"{op}: the tensor has no graph: nothing that it was computed from requires a gradient, or nothing was recorded"
            )
    return tensors


def names_of(op: str, names: Any) -> dict[Any, str]:
    """{leaf: its name} from a module, or a dictionary of names and tensors."""
    if names is None:
        return {}
    pairs = dict(names.named_parameters()) if hasattr(names, "named_parameters") else names
    if not isinstance(pairs, dict) or not all(isinstance(t, Tensor) for t in pairs.values()):
        raise DTypeError(f"{op}: names is a {type(names).__name__}; expected a Module, or a dict of names and tensors")
    return {t.node: str(name) for name, t in pairs.items() if t.node is not None}


def short(node: Any) -> str:
    """``MulBackward0`` as ``Mul``."""
    name = node.plan.name.rpartition(":")[2]
    head, found, _ = name.rpartition("Backward")
    return head if found else name


def described(a: Any) -> str:
    return f"{a.dtype.name if a.dtype.kind != 'V' else 'bfloat16'}{list(a.shape)}"


def size(n: int) -> str:
    return f"{n} B" if n < 1000 else f"{n / 1e3:.3g} kB" if n < 1e6 else f"{n / 1e6:.3g} MB" if n < 1e9 else f"{n / 1e9:.3g} GB"


def back(node: Any, g: Any) -> list[Any]:
    """What flows back from a node to its parents, over tensors."""
    extra = getattr(node, "extra", None) if node.__class__ is not Node else None
    packed = node.saved
    if extra is not None and extra.unpack is not None:
        node.saved = extra.unpack(packed)
    try:
        return list(node.plan.derive(node, g))
    finally:
        node.saved = packed


def cotangents(tensors: tuple[Tensor, ...], start: Any) -> tuple[list[Any], dict[Any, Any]]:
    """(the nodes, newest first; what arrives at each when ``start(t)`` is put in at every tensor): shaped as what each node computed.

    Nothing is accumulated or freed, and no hook is called. For nodes with several outputs what arrives is a dictionary.
    """
    nodes, _ = collect(dict.fromkeys(t.node for t in tensors), leaves=True)
    arrived: dict[Any, Any] = {}

    def arrive(node: Any, g: Any) -> None:
        arrived[node] = g if node not in arrived else arrived[node] + g

    was, mode.enabled = mode.enabled, False
    try:
        for t in tensors:
            arrive(t.node, start(t))
        for node in nodes:
            g = arrived.get(node)
            if g is None or node.__class__ is Leaf:
                continue
            if node.__class__ is Output:
                arrived.setdefault(node.parents[0], {})[node.meta] = g
                continue
            for parent, contribution in zip(node.parents, back(node, g), strict=True):
                if parent is not None and contribution is not None:
                    arrive(parent, contribution)
    finally:
        mode.enabled = was
    return nodes, arrived


def read(op: str, y: Any, names: Any = None) -> Graph:
    """The graph under one tensor or several."""
    tensors = given(op, y)
    known = names_of(op, names)
    from ..creation import ones_like

    nodes, arrived = cotangents(tensors, lambda t: ones_like(wrap(t.array)))
    ids: dict[Any, str] = {}
    vertices: list[Vertex] = []
    edges: list[tuple[str, str, str]] = []
    unnamed = 0
    for node in reversed(nodes):
        if node.__class__ is Output:
            ids[node] = ids[node.parents[0]] if node.parents[0] in ids else f"n{len(ids)}"
            continue
        ids[node] = f"n{len(vertices)}"
        if node.__class__ is Leaf:
            t = node.tensor()
            name = known.get(node)
            if name is None:
                name, unnamed = f"leaf {unnamed}", unnamed + 1
            a = t if t is not None else arrived.get(node)
            lines = (name, *((described(a.array), size(a.array.nbytes)) if a is not None else ("gone",)))
            vertices.append(Vertex(ids[node], "leaf", lines, ""))
            continue
        results = arrived.get(node)
        shapes = [] if results is None else [g.array for _, g in sorted(results.items())] if results.__class__ is dict else [results.array]
        held = {id(a): a.nbytes for a in node.saved or () if hasattr(a, "nbytes")}
        lines = (
            short(node),
            *(f"{described(a)}  {size(a.nbytes)}" for a in shapes),
            *((f"keeps {size(sum(held.values()))}",) if held else ()),
        )
        vertices.append(Vertex(ids[node], "operation", lines, text(node.place)))
        for parent in node.parents:
            if parent is not None:
                label = f"output {parent.meta}" if parent.__class__ is Output else ""
                edges.append((ids[parent.parents[0] if parent.__class__ is Output else parent], ids[node], label))
    for k, t in enumerate(tensors):
        place = t.node.parents[0] if t.node.__class__ is Output else t.node
        name = "result" if len(tensors) == 1 else f"result {k}"
        vertices.append(Vertex(f"r{k}", "result", (name, described(t.array)), ""))
        edges.append((ids[place], f"r{k}", f"output {t.node.meta}" if t.node.__class__ is Output else ""))
    return Graph(tuple(vertices), tuple(edges))


__all__ = ["Graph", "Vertex", "back", "cotangents", "given", "names_of", "read", "short"]
