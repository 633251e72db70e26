"""A picture of a graph as SVG: vertices in layers, each below what it was computed from."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from .reading import Graph

LETTER, LINE, GAP, BETWEEN = 7.2, 16, 26, 46  # widths and heights, in pixels
COLOURS = {"leaf": ("#e8f1fb", "#4a7fb5"), "operation": ("#ffffff", "#666666"), "result": ("#e9f6e9", "#4a9a4a")}


def layers_of(graph: Graph) -> tuple[list[list[str]], list[list[str]]]:
    """(the vertices of each layer, the chain of points of every edge): an edge over several layers gets a point in each between."""
    depth: dict[str, int] = {}
    above: dict[str, list[str]] = {v.id: [] for v in graph.vertices}
    for a, b, _ in graph.edges:
        above[b].append(a)
    for v in graph.vertices:
        depth[v.id] = max((depth[a] + 1 for a in above[v.id]), default=0)
    below: dict[str, int] = {}
    for a, b, _ in graph.edges:
        below[a] = min(below.get(a, depth[b]), depth[b])
    for v in graph.vertices:  # leaves come just above their first use
        if v.kind == "leaf" and v.id in below:
            depth[v.id] = below[v.id] - 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for v in graph.vertices:
        layers[depth[v.id]].append(v.id)
    chains = []
    for k, (a, b, _) in enumerate(graph.edges):
        points = [f"{k}:{d}" for d in range(depth[a] + 1, depth[b])]
        for d, p in zip(range(depth[a] + 1, depth[b]), points, strict=True):
            layers[d].append(p)
        chains.append([a, *points, b])
    return layers, chains


def ordered(layers: list[list[str]], chains: list[list[str]]) -> None:
    """Sort each layer by the middle of its neighbours' places, down and up a few times: fewer edges cross."""
    up: dict[str, list[str]] = {}
    down: dict[str, list[str]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            down.setdefault(a, []).append(b)
            up.setdefault(b, []).append(a)
    for _ in range(4):
        for neighbours, order in ((up, layers), (down, layers[::-1])):
            place: dict[str, float] = {}
            for layer in order:
                at = {v: i for i, v in enumerate(layer)}
                middle = {v: [place[n] for n in neighbours.get(v, ()) if n in place] for v in layer}
                layer.sort(key=lambda v: (sum(middle[v]) / len(middle[v])) if middle[v] else at[v])
                place |= {v: i / max(1, len(layer) - 1) * len(layer) for i, v in enumerate(layer)}


def merged(graph: Graph) -> Graph:
    """The graph with one edge where there are several: x * x has two from x."""
    labels: dict[tuple[str, str], list[str]] = {}
    for a, b, label in graph.edges:
        labels.setdefault((a, b), []).append(label)
    return Graph(
        graph.vertices, tuple((a, b, ", ".join(filter(None, v)) or (f"{len(v)} times" if v[1:] else "")) for (a, b), v in labels.items())
    )


def svg(graph: Graph) -> str:
    """The picture, as text."""
    graph = merged(graph)
    vertex = {v.id: v for v in graph.vertices}
    layers, chains = layers_of(graph)
    ordered(layers, chains)
    width = {v.id: max(map(len, v.lines)) * LETTER + 18 for v in graph.vertices}
    height = {v.id: len(v.lines) * LINE + 10 for v in graph.vertices}
    rows = [sum(width.get(v, 0) + GAP for v in layer) for layer in layers]
    whole = max(rows, default=0) + GAP
    x: dict[str, float] = {}
    y: dict[str, float] = {}
    half: dict[str, float] = {}  # of the layer's height, for edges that pass through it
    top = 12.0
    for layer, row in zip(layers, rows, strict=True):
        tall = max((height.get(v, 0) for v in layer), default=0)
        left = (whole - row) / 2 + GAP / 2
        for v in layer:
            w = width.get(v, 0)
            x[v], y[v] = left + w / 2, top + tall / 2
            half[v] = tall / 2
            left += w + GAP
        top += tall + BETWEEN
    parts = []
    for (_, _, label), chain in zip(graph.edges, chains, strict=True):
        a, *between, b = chain
        points = [(x[a], y[a] + height[a] / 2)]
        for p in between:
            points += [(x[p], y[p] - half[p]), (x[p], y[p] + half[p])]
        points.append((x[b], y[b] - height[b] / 2 - 5))
        path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        for (left, up), (right, down) in pairwise(points):
            middle = (up + down) / 2
            path += f" C{left:.1f},{middle:.1f} {right:.1f},{middle:.1f} {right:.1f},{down:.1f}"
        parts.append(f'<path d="{path}" fill="none" stroke="#888" marker-end="url(#arrow)"/>')
        if label:
            parts.append(
                f'<text x="{points[0][0] + 4:.1f}" y="{points[0][1] + 14:.1f}" font-size="10" text-anchor="start" fill="#666">{escape(label)}</text>'
            )
    for v, w in width.items():
        h = height[v]
        fill, line = COLOURS[vertex[v].kind]
        title = f"<title>{escape(vertex[v].title)}</title>" if vertex[v].title else ""
        radius = 4 if vertex[v].kind == "operation" else 12
        parts.append(
            f'<g>{title}<rect x="{x[v] - w / 2:.1f}" y="{y[v] - h / 2:.1f}" width="{w:.1f}" height="{h}" rx="{radius}" fill="{fill}" stroke="{line}"/>'
        )
        for i, text in enumerate(vertex[v].lines):
            bold = ' font-weight="bold"' if i == 0 else ""
            parts.append(f'<text x="{x[v]:.1f}" y="{y[v] - h / 2 + LINE * (i + 1):.1f}"{bold}>{escape(text)}</text>')
        parts.append("</g>")
    size = f'width="{whole:.0f}" height="{top:.0f}" viewBox="0 0 {whole:.0f} {top:.0f}"'
    marker = '<marker id="arrow" viewBox="0 0 8 8" refX="3" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0L8,4L0,8z" fill="#888"/></marker>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="monospace" font-size="12" text-anchor="middle"><defs>{marker}</defs>\n'
        + "\n".join(parts)
        + "\n</svg>"
    )
