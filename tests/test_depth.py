"""Deep graphs need no recursion, and dead ones need no garbage collector: for every kind of node."""

import gc
import sys
import weakref

import pytest

import gradflow as gf
from gradflow.tape.node import Node, Output

DEEP = 200_000


class Double(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 + x * 0


class KeepsItsOutput(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


class Parts(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1, x * 2

    @staticmethod
    def backward(ctx, g, h):
        return g + h * 2


def in_place(x):
    y = x * 1
    y.mul_(2)
    y.exp_()
    return y


def through_a_view(x):
    y = x * 1
    part = y[0]
    part.mul_(3)
    return y + part.sum()


def put(x):
    y = x * 1
    y[0] = x[1] * 2
    return y


def hooked(x):
    y = x * 2
    y.register_hook(lambda g: g)
    y.retain_grad()
    y.grad_fn.register_hook(lambda a, b: None)
    return y * y


# kind of node: a graph of it, from a 3x3 matrix
GRAPHS = {
    "elementwise": lambda x: (x.tanh() * x).exp() + 1,
    "own_result": lambda x: x.sigmoid(),
    "broadcast": lambda x: x + x[0],
    "rows": lambda x: gf.softmax(x, -1),
    "reduction": lambda x: x.sum(0) * x.amax() + x.std(),
    "view": lambda x: x.t()[1:].reshape(-1).unsqueeze(0),
    "index": lambda x: x[gf.tensor([0, 2])] + x[x > 0].sum(),
    "join": lambda x: gf.cat([x, gf.stack([x[0], x[1]])]),
    "several_outputs": lambda x: sum(part.sum() for part in x.split(1)) + x.max(1).values.sum() + sum(x.unbind()).sum(),
    "custom": lambda x: x.prod(0) + x.cumprod(1) + x.norm(),
    "custom_several": lambda x: gf.linalg.svd(x + gf.eye(3))[1] + gf.linalg.eigh(x @ x.t() + gf.eye(3))[0],
    "product": lambda x: x @ x + gf.nn.functional.linear(x, x, x[0]),
    "in_place": in_place,
    "in_place_through_a_view": through_a_view,
    "assignment": put,
    "function": lambda x: Double.apply(x),
    "function_own_result": lambda x: KeepsItsOutput.apply(x),
    "function_several": lambda x: sum(Parts.apply(x)),
    "hooks": hooked,
    "convert": lambda x: x.double().float(),
    "loss": lambda x: gf.nn.functional.cross_entropy(x, gf.tensor([0, 1, 2])),
    "layer": lambda x: gf.nn.LayerNorm(3)(x),
}  # fmt: skip


def nodes_of(t):
    found, stack = set(), [t.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in found:
            found.add(node)
            stack.extend(parent for parent in node.parents if isinstance(parent, Node))
    return [weakref.ref(node) for node in found]


@pytest.mark.parametrize("end", ["dropped", "backward", "create_graph"])
@pytest.mark.parametrize("name", GRAPHS)
def test_dead_graphs_go_at_once(name, end):
    """No node, and no tensor, is part of a cycle: reference counts alone free a graph, used or not, and that of its derivative."""
    gc.collect()
    gc.disable()
    try:
        x = (gf.rand(3, 3) + 0.5).requires_grad_()
        y = GRAPHS[name](x)
        alive = [*nodes_of(y), weakref.ref(y)]
        if end == "backward":
            y.sum().backward()
        elif end == "create_graph":
            (g,) = gf.autograd.grad(y.sum(), x, create_graph=True)
            alive.append(weakref.ref(g))
            if g.grad_fn is not None:
                alive += nodes_of(g)
                g.sum().backward()
            del g
        assert len(alive) >= 2
        del y
        left = [ref() for ref in alive if ref() is not None]
        assert not left, f"{left} waits for the garbage collector"
    finally:
        gc.enable()


# one step of a chain, whose derivative is 1
CHAINS = {
    "elementwise": lambda x: x * 1.0,
    "view": lambda x: x.view(1),
    "in_place": lambda x: x.mul_(1.0),
    "custom": lambda x: x.cumprod(0),
    "several_outputs": lambda x: x.split(1)[0],
    "function": lambda x: Same.apply(x),
}


class Same(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return g


@pytest.mark.parametrize("end", ["dropped", "backward"])
@pytest.mark.parametrize("name", CHAINS)
def test_deep_chains_build_run_and_die(name, end):
    step, limit = CHAINS[name], sys.getrecursionlimit()
    depth = DEEP if name in ("elementwise", "view", "in_place") else 20_000  # 20 times the interpreter's limit
    x = gf.ones(1, requires_grad=True)
    y = x * 1
    for _ in range(depth):
        y = step(y)
    first = weakref.ref(y.grad_fn)
    if end == "backward":
        y.backward()
        assert x.grad.item() == 1.0
    del y
    assert first() is None and sys.getrecursionlimit() == limit


def test_deep_chains_are_derived_twice():
    x = gf.ones(1, requires_grad=True)
    y = x * x
    for _ in range(20_000):
        y = y * 1.0
    (g,) = gf.autograd.grad(y, x, create_graph=True)
    (h,) = gf.autograd.grad(g, x)
    assert h.item() == 2.0
    del y, g


def test_outputs_are_not_held_by_their_nodes():
    x = gf.ones(4, requires_grad=True)
    parts = x.split(2)
    node = parts[0].grad_fn
    refs = [weakref.ref(t) for t in parts]
    del parts
    assert [r() for r in refs] == [None, None] and isinstance(node, Node | Output)
