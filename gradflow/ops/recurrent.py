"""A layer of long short-term memory: two kernels for each step of time."""

from __future__ import annotations

from typing import Any

from .. import backends
from ..dtypes import of
from ..kinds import custom
from ..scalar import primitives as s
from ..tensor import wrap
from . import pointwise as p
from .joining import cat, stack
from .products import matmul


@backends.kernel(outputs=6)
def step(i, f, g, o, c):
    """The gates, open as they are, and the states (c, h) after the step."""
    i, f, g, o = p.sigmoid(i), p.sigmoid(f), s.tanh(g), p.sigmoid(o)
    c = f * c + i * g
    return i, f, g, o, c, o * s.tanh(c)


@backends.kernel(outputs=5)
def step_back(dh, given, dc, i, f, g, o, c, before):
    """Gradients of what the gates were made from, and of the state ``before``; ``given`` and ``dc`` are two parts of the state's."""
    t = s.tanh(c)
    dc = given + dc + dh * (o * (1 - t * t))
    return dc * (g * (i * (1 - i))), dc * (before * (f * (1 - f))), dc * (i * (1 - g * g)), dh * (t * (o * (1 - o))), dc * f


def quarters(a: Any) -> list[tuple[Any, ...]]:
    """For each time, the parts of the four gates."""
    n = a.shape[-1] // 4
    return list(zip(*[list(a[..., k * n : (k + 1) * n]) for k in range(4)], strict=True))


def order(count: int, reverse: bool) -> range:
    return range(count)[::-1] if reverse else range(count)


@custom(inputs=4, outputs=2, grad_name="LstmBackward0")
def lstm_of(x, w, h, c, reverse):
    """(h, c) at all times (T, N, H), from the input's part ``x`` (T, N, 4 H) of what opens the gates, ``w`` (4 H, H) and the states before."""
    gates, shape = backends.empty(x.shape, of(x).code, x), (*x.shape[:2], h.shape[-1])
    hs, cs = backends.empty(shape, of(x).code, x), backends.empty(shape, of(x).code, x)
    backends.copy(x, gates)
    turned, all_gates, all_hs, all_cs, parts = w.swapaxes(0, 1), list(gates), list(hs), list(cs), quarters(gates)
    before_h, before_c = h, c
    for t in order(len(x), reverse):
        backends.dot(before_h, turned, all_gates[t], 1)
        before_h, now_c = all_hs[t], all_cs[t]
        backends.elementwise(step, (*parts[t], before_c), (*parts[t], now_c, before_h))
        before_c = now_c
    return (hs, cs), (x, w, h, c, hs, cs, gates)


@lstm_of.pull
def lstm_pull(node, g, walk):
    x, w, h, c, hs, cs, gates = node.saved
    (reverse,) = node.meta[1]
    dgates, dhs = (backends.empty(like.shape, of(like).code, like) for like in (gates, hs))
    backends.copy(g[0], dhs) if 0 in g else dhs.fill(0)
    all_dgates, all_dhs, all_cs, parts, dparts = list(dgates), list(dhs), list(cs), quarters(gates), quarters(dgates)
    given = list(g[1]) if 1 in g else [0.0] * len(x)
    dc, backwards = 0.0, order(len(x), not reverse)
    for t, last in zip(backwards, [*backwards[1:], None], strict=True):
        operands = (all_dhs[t], given[t], dc, *parts[t], all_cs[t], c if last is None else all_cs[last])
        dc = backends.empty(c.shape, of(c).code, c)
        backends.elementwise(step_back, operands, (*dparts[t], dc))
        if last is not None:
            backends.dot(all_dgates[t], w, all_dhs[last], 1)
    px, pw, ph, pc = node.parents
    first, others = (dgates[-1], dgates[:-1]) if reverse else (dgates[0], dgates[1:])
    if walk.wants(pw):
        earlier = hs[1:] if reverse else hs[:-1]
        out, accumulate = walk.destination(pw)
        out = backends.dot(first.swapaxes(0, 1), h, out, accumulate)
        walk.arrive(pw, backends.dot(others.reshape(-1, len(w)).swapaxes(0, 1), earlier.reshape(-1, w.shape[1]), out, 1))
    if walk.wants(ph):
        walk.add(ph, backends.dot(first, w), True)
    if walk.wants(pc):
        walk.add(pc, dc, True)
    if walk.wants(px):
        walk.add(px, dgates, True)


@lstm_of.vjp
def lstm_vjp(g, needs, x, w, h, c, hs, cs, gates, reverse):
    """Recorded: what does not depend on later steps, for all times at once."""
    before_h, before_c = (cat((a[1:], b[None]) if reverse else (b[None], a[:-1])) for a, b in ((hs, h), (cs, c)))
    i, f, u, o = p.add(x, matmul(before_h, w.mT)).chunk(4, -1)
    i, f, u, o, t = p.sigmoid(i), p.sigmoid(f), p.tanh(u), p.sigmoid(o), p.tanh(cs)
    slopes = u * i * (1 - i), before_c * f * (1 - f), i * (1 - u * u), t * o * (1 - o)
    inner, zeros = o * (1 - t * t), wrap(backends.zeros(hs.array.shape, of(hs.array).code, hs.array))
    gh, gc = (g.get(k, zeros) for k in range(2))
    given: list[Any] = [None] * len(gh)
    dc: Any = 0.0
    later: Any = None
    for now in order(len(given), not reverse):
        dh = gh[now] if later is None else gh[now] + matmul(given[later], w)
        dc = gc[now] + dc + dh * inner[now]
        given[now] = cat([(dh if k == 3 else dc) * slope[now] for k, slope in enumerate(slopes)], -1)
        dc, later = dc * f[now], now
    dx = stack(given)
    dw = matmul(dx.flatten(0, 1).mT, before_h.flatten(0, 1)) if needs[1] else None
    return dx, dw, matmul(given[later], w) if needs[2] else None, dc
