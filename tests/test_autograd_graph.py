"""The graph as users see it, hooks, threads: the same programs with gradflow and with torch."""

import sys
import threading

import pytest
from side_by_side import agree

import gradflow as gf

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def two_outputs(t):
    class Two(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, k):
            ctx.save_for_backward(x, y)
            ctx.k = k
            return x * y * k, x + y

        @staticmethod
        def backward(ctx, g1, g2):
            x, y = ctx.saved_tensors
            return g1 * y * ctx.k + g2, g1 * x * ctx.k + g2, None

    return Two


@case
def threads_hooks(t):
    w = t.ones(1000, requires_grad=True)
    w.register_hook(lambda g: g * 2)

    def work():
        for _ in range(20):
            (w * t.ones(1000)).sum().backward()

    T = [threading.Thread(target=work) for _ in range(4)]
    [a.start() for a in T]
    [a.join() for a in T]
    return w.grad[:2]


@case
def multi(t):
    L = []
    a = t.ones(2, requires_grad=True)
    b = t.ones(2, requires_grad=True)
    c = a * 2
    h = t.autograd.graph.register_multi_grad_hook((a, b, c), lambda gs: L.append([None if g is None else g.tolist() for g in gs]))
    c.sum().backward()
    (a * b * 2 + c * 0).sum().backward() if 0 else None
    ((a * b) + a * 2).sum().backward()
    h.remove()
    (a * b).sum().backward()
    h = t.autograd.graph.register_multi_grad_hook((a, b, c), lambda g: L.append(g.tolist()), mode="any")
    (a * b).sum().backward()
    return L


@case
def edge(t):
    x = t.ones(2, requires_grad=True)
    y = x * 2
    e = t.autograd.graph.get_gradient_edge(y)
    z = y.sum()
    ex = t.autograd.graph.get_gradient_edge(x)
    return (
        t.autograd.grad(z, [e, ex], retain_graph=True),
        t.autograd.grad(e, x, grad_outputs=t.ones(2)),
        isinstance(e.node, t.autograd.graph.Node),
        ex.node.variable is x,
        isinstance(ex.node, t.autograd.graph.Node),
    )


@case
def saved_hooks(t):
    L = []
    x = t.tensor([2.0, 3.0], requires_grad=True)
    with t.autograd.graph.saved_tensors_hooks(lambda x: (L.append(x.shape), x.tolist())[1], t.tensor):
        y = (x * x).exp()
        z = two_outputs(t).apply(x, y, 2)[0]
    z.sum().backward()
    return len(L) > 0, x.grad


@case
def disable(t):
    graph = t.autograd.graph
    with graph.disable_saved_tensors_hooks("no hooks"), graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        pass


@case
def increment_version(t):
    x = t.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    z = y * y
    t.autograd.graph.increment_version(y)
    z.sum().backward()


@case
def optimizer_in_backward(t):
    w = t.ones(2, requires_grad=True)

    def step(p):
        with t.no_grad():
            p -= 0.1 * p.grad
        p.grad = None

    w.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        (w * w).sum().backward()
    return w, w.grad


@case
def backward_in_hook(t):
    w = t.ones(2, requires_grad=True)
    v = t.ones(2, requires_grad=True)
    y = w * 2
    y.register_hook(lambda g: (v * 3).sum().backward())

    def h(g):
        with t.enable_grad():
            (v * 3).sum().backward()

    y = w * 2
    y.register_hook(h)
    y.sum().backward()
    return w.grad, v.grad


@case
def hook_in_create_graph(t):
    x = t.ones(2, requires_grad=True)
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


@case
def inputs_nonleaf(t):
    x = t.ones(2, requires_grad=True)
    y = x * 2
    z = (y * y).sum()
    z.backward(inputs=[y])
    return x.grad, y.grad


@case
def forms(t):
    r = []

    @t.no_grad
    def f():
        return t.is_grad_enabled()

    r.append(f())

    @t.set_grad_enabled(False)
    def g():
        return t.is_grad_enabled()

    r += [g(), t.is_grad_enabled()]
    t.set_grad_enabled(False)
    r.append(t.is_grad_enabled())
    t.set_grad_enabled(True)
    with t.inference_mode():
        r.append((t.is_inference_mode_enabled(), t.is_grad_enabled()))
    with t.inference_mode(False):
        r.append((t.is_inference_mode_enabled(), t.is_grad_enabled()))

    @t.inference_mode
    def k():
        return t.is_inference_mode_enabled()

    @t.inference_mode()
    def k2():
        return t.is_inference_mode_enabled()

    r += [k(), k2()]

    @t.no_grad()
    def gen():
        try:
            while True:
                got = yield t.is_grad_enabled()
                r.append(got)
        except ValueError:
            yield ("caught", t.is_grad_enabled())
        finally:
            r.append("closed")

    q = gen()
    r.append(next(q))
    r.append(q.send(3))
    r.append(q.throw(ValueError()))
    q.close()
    return r


@case
def capture_with_hook_needed(t):
    x = t.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    z = (y * 3).sum()
    return t.autograd.grad(z, [y, x])


@case
def capture_with_hook_not_needed(t):
    x = t.ones(1, requires_grad=True)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    z = (y * 3).sum()
    return t.autograd.grad(z, [y])


@case
def order(t):
    L = []
    w1 = t.ones(1, requires_grad=True)
    w2 = t.ones(1, requires_grad=True)
    w1.register_hook(lambda g: L.append("w1"))
    w2.register_hook(lambda g: L.append("w2"))
    w1.register_post_accumulate_grad_hook(lambda p: L.append("pa1"))
    h = w1 * 2
    h.register_hook(lambda g: L.append("h"))
    y = h * w2
    y.register_hook(lambda g: L.append("y"))
    h.grad_fn.register_hook(lambda gi, go: L.append(("hpost", gi, go)))
    h.grad_fn.register_prehook(lambda go: L.append(("hpre", go)))
    h.retain_grad()
    h.register_hook(lambda g: (L.append("h2"), g * 5)[1])
    y.backward()
    return L, h.grad


@case
def bad_size(t):
    x = t.ones(3, requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: g[:2])
    y.sum().backward()


@case
def bad_type(t):
    x = t.ones(3, requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: 3)
    y.sum().backward()


@case
def post_returns_tensor(t):
    x = t.ones(3, requires_grad=True)
    y = x * 1
    y.grad_fn.register_hook(lambda gi, go: gi[0] * 2)
    y.sum().backward()
    return x.grad


@case
def post_wrong_count(t):
    x = t.ones(3, requires_grad=True)
    y = x * x
    y.grad_fn.register_hook(lambda gi, go: (gi[0] * 2,))
    y.sum().backward()
    return x.grad


@pytest.mark.parametrize("name", CASES)
def test_as_torch(name, torch):
    agree(CASES[name], gf, torch)


def test_an_exception_in_a_hook_leaves_every_gradient_as_it_was():
    v, w = gf.ones(2, requires_grad=True), gf.ones(2, requires_grad=True)
    w.grad = before = gf.full((2,), 5.0)
    y = v * 2
    y.register_hook(lambda g: 1 / 0)
    loss = (y * w).sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert v.grad is None and w.grad is before and w.grad.tolist() == [5, 5] and gf.is_grad_enabled()
    (v * w).sum().backward()
    assert v.grad.tolist() == [1, 1] and w.grad.tolist() == [6, 6]


def test_a_hook_may_wait_for_another_threads_backward():
    w, v = gf.ones(2, requires_grad=True), gf.ones(2, requires_grad=True)

    def hook(g):
        thread = threading.Thread(target=lambda: (w * v * 3).sum().backward())
        thread.start()
        thread.join(timeout=30)
        assert not thread.is_alive()

    y = w * 2
    y.register_hook(hook)
    (y * v).sum().backward()
    assert w.grad.tolist() == [5, 5] and v.grad.tolist() == [5, 5]


def test_large_gradients_from_several_threads_add_up():
    w = gf.ones(200_000, requires_grad=True)  # the kernels give up the interpreter's lock

    def work():
        for _ in range(10):
            (w * 2.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (w.grad == 80).all()


def test_outputs_of_one_operation_accumulate_in_second_derivatives():
    x = gf.tensor([1.0, 2.0], requires_grad=True)
    a, b = (x * x).unbind()
    (g,) = gf.autograd.grad(a * b, x, create_graph=True)
    (h,) = gf.autograd.grad(g.sum() + a, x)
    assert h.tolist() == [8 + 8 + 2, 2 + 8]


def test_the_graph_is_made_of_nodes():
    x = gf.ones(2, requires_grad=True)
    y = x * 2
    leaf = y.grad_fn.next_functions[0][0]
    assert leaf.variable is x and isinstance(leaf, gf.autograd.graph.Node) and isinstance(y.grad_fn, gf.autograd.graph.Node)
    y.grad_fn.metadata["note"] = 1
    assert y.grad_fn.metadata == {"note": 1}
    with pytest.warns(UserWarning, match="not a leaf"):
        assert y.grad is None


def test_hooks_that_nobody_uses_cost_no_call():
    """Another tensor's hooks change nothing: the same functions are called, none of them a hook's."""

    def called():
        x = gf.ones(3, requires_grad=True)
        w = gf.ones(3, requires_grad=True)
        ((x * w).tanh() + x).sum().backward()
        names = []
        sys.setprofile(
            lambda frame, event, arg: names.append((frame.f_code.co_filename, frame.f_code.co_name)) if event == "call" else None
        )
        try:
            for _ in range(3):
                ((x * w).tanh() + x).sum().backward()
        finally:
            sys.setprofile(None)
        return names

    called()
    before = called()
    watched = gf.ones(2, requires_grad=True) * 2
    watched.register_hook(lambda g: None)
    watched.grad_fn.register_hook(lambda i, o: None)
    watched.sum().backward()
    assert called() == before
    assert not [name for file, name in before if file.endswith("hooks.py") or name in ("visit", "special", "pulled", "extra_of")]
    assert len(before) < 3 * 60


def test_many_threads_one_model():
    """Forwards, backwards, hooks and failures in eight threads at once: every gradient arrives, and nothing else."""
    model = gf.nn.Sequential(gf.nn.Linear(4, 8), gf.nn.Tanh(), gf.nn.Linear(8, 1)).double()
    shared = gf.ones(4, dtype=gf.float64, requires_grad=True)
    n, rounds, failures, errors = 8, 25, [], []

    class Nested(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with gf.enable_grad():
                own = x.detach().requires_grad_()
                (own * 2).sum().backward()  # a backward inside of one
            return g * own.grad

    def fail(g):
        raise ZeroDivisionError

    def work(k):
        try:
            for i in range(rounds):
                x = gf.full((4,), 1.0 + k, dtype=gf.float64, requires_grad=True)
                loss = model(Nested.apply(x) * shared).sum()
                if i % 5 == 4:
                    y = (x * 3).tanh()
                    y.register_hook(fail)
                    try:
                        (y.sum() + loss * 0).backward()
                    except ZeroDivisionError:
                        failures.append(k)
                    assert x.grad is None
                seen = []
                x.register_hook(lambda g, seen=seen: seen.append(g))
                loss = (x * 2 * shared.detach()).sum() + (shared * x.detach()).sum()
                loss.backward()
                assert x.grad.tolist() == [2.0] * 4 and len(seen) == 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert len(failures) == n * (rounds // 5)
    assert shared.grad.tolist() == [rounds * sum(1.0 + k for k in range(n))] * 4
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_saved_values_may_be_changed_where_that_is_allowed():
    x = gf.tensor([0.5, 2.0], requires_grad=True)
    with gf.autograd.graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        z = (y**2 + y.exp()).sum()
        y.sin_()
        with pytest.raises(RuntimeError, match="nested"), gf.autograd.graph.allow_mutation_on_saved_tensors():
            pass
        z.backward()
    assert gf.allclose(x.grad, 2 * x.detach() + x.detach().exp())
    y = x.clone()
    z = (y**2).sum()
    y.sin_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_threads_of_backward_are_a_setting():
    @gf.autograd.set_multithreading_enabled(False)
    def gradient(x):
        return gf.autograd.grad(x.exp().sum(), x)[0]

    assert gradient(gf.zeros(2, requires_grad=True)).tolist() == [1, 1]
    with pytest.raises(TypeError, match="set_multithreading_enabled"):
        gf.autograd.set_multithreading_enabled(1)
