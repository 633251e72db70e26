"""Seeing the tape: the graph under a tensor as a picture, for Graphviz or Mermaid, or explained in words.

Each takes a result, or several, and ``names`` for the leaves: a module, whose parameters have names, or a dictionary of tensors. The graph stays as it
is: nothing is freed or accumulated. To learn the shapes, the way back is gone once, so that custom Functions' backwards are called.
"""

from __future__ import annotations

from typing import Any

from .explanation import explain
from .reading import read

SHAPES = {"leaf": ("([", "])"), "operation": ("[", "]"), "result": ("([", "])")}
STYLES = {
    "leaf": 'shape=box, style="rounded,filled", fillcolor="#e8f1fb"',
    "operation": "shape=box",
    "result": 'shape=box, style="rounded,filled", fillcolor="#e9f6e9"',
}


class Picture:
    """A graph as SVG, which notebooks show; `save` writes it to a file.

    >>> picture = gf.graph.draw(gf.ones(2, requires_grad=True) * 2)
    >>> str(picture.svg)[:4]
    '<svg'
    """

    def __init__(self, svg: str):
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Any) -> None:
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.svg)

    def __repr__(self) -> str:
        return f"<Picture of {self.svg.count('<rect')} boxes; save(path) it, or show it in a notebook>"


def draw(y: Any, names: Any = None) -> Picture:
    """The graph under ``y`` as a picture: leaves on top, with what each operation made and keeps.

    >>> x = gf.arange(4.0, requires_grad=True)
    >>> gf.graph.draw((x * x).sum(), {"x": x})
    <Picture of 4 boxes; save(path) it, or show it in a notebook>
    """
    return Picture(svg(y, names))


def svg(y: Any, names: Any = None) -> str:
    """The picture of `draw` as text.

    >>> gf.graph.svg(gf.ones(2, requires_grad=True) * 2)[:4]
    '<svg'
    """
    from .layout import svg

    return svg(read("graph.svg", y, names))


def dot(y: Any, names: Any = None) -> str:
    """The graph under ``y`` in Graphviz's language.

    >>> print(gf.graph.dot(gf.ones(2, requires_grad=True) * 2)[:7])
    digraph
    """

    def quoted(s: str) -> str:
        return '"' + s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    graph = read("graph.dot", y, names)
    lines = ["digraph {", "  node [fontname=monospace, fontsize=10]"]
    for v in graph.vertices:
        tooltip = f", tooltip={quoted(v.title)}" if v.title else ""
        lines.append(f"  {v.id} [label={quoted(chr(10).join(v.lines))}, {STYLES[v.kind]}{tooltip}]")
    lines += [f"  {a} -> {b}" + (f" [label={quoted(label)}]" if label else "") for a, b, label in graph.edges]
    return "\n".join([*lines, "}"])


def mermaid(y: Any, names: Any = None) -> str:
    """The graph under ``y`` as a Mermaid flowchart, which GitHub shows in Markdown.

    >>> print(gf.graph.mermaid(gf.ones(2, requires_grad=True) * 2)[:9])
    flowchart
    """

    def quoted(lines: tuple[str, ...]) -> str:
        return (
            '"' + "<br>".join(s.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;") for s in lines) + '"'
        )

    graph = read("graph.mermaid", y, names)
    lines = ["flowchart TD"]
    for v in graph.vertices:
        left, right = SHAPES[v.kind]
        lines.append(f"  {v.id}{left}{quoted(v.lines)}{right}")
    lines += [f"  {a} -->|{label}| {b}" if label else f"  {a} --> {b}" for a, b, label in graph.edges]
    return "\n".join(lines)


__all__ = ["Picture", "dot", "draw", "explain", "mermaid", "svg"]
