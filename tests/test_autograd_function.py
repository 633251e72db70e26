"""autograd.Function: the same programs with gradflow and with torch."""

import gc
import weakref

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
def two(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = t.tensor([3.0, 4.0], requires_grad=True)
    a, b = two_outputs(t).apply(x, y, 2)
    (g,) = t.autograd.grad(a.sum(), x, create_graph=True)
    r = t.autograd.grad((g * g).sum(), y)
    (a * b).sum().backward()
    return r, x.grad, y.grad, a.grad_fn.name(), b.output_nr, [n[0].name() if n[0] else None for n in a.grad_fn.next_functions]


@case
def reentrant(t):
    class R(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with t.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = ctx.x**2
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, g):
            with t.enable_grad():
                ctx.y.backward(g)
            return ctx.x.grad

    x = t.tensor([1.0, 2.0], requires_grad=True)
    R.apply(x * 3).sum().backward()
    return x.grad


@case
def dirty(t):
    class D(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    z = D.apply(y)
    z.sum().backward()
    return x.grad, z is y, y.grad_fn.name(), y._version


@case
def dirty_view(t):
    class D(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    D.apply(y[:1])
    y.sum().backward()
    return x.grad, y.grad_fn.name()


@case
def dirty_leaf(t):
    class D(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return D.apply(t.tensor([1.0, 2.0], requires_grad=True))


@case
def identity(t):
    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = Same.apply(x)
    y.sum().backward()
    r = [x.grad, y is x, y._is_view()]
    try:
        Same.apply(x * 1).mul_(2)
        r.append("ok")
    except RuntimeError as e:
        r.append(isinstance(e, RuntimeError))
    return r


@case
def nondiff(t):
    class N(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            m = (x > 1).float()
            i = x.argmax()
            ctx.mark_non_differentiable(m)
            return x * 2, m, i

        @staticmethod
        def backward(ctx, g, gm, gi):
            return g * 2 + gm.sum() + (0 if gi is None else float(gi.sum()))

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y, m, i = N.apply(x)
    y.sum().backward()
    return x.grad, m.requires_grad, i.requires_grad


@case
def materialize(t):
    L = []

    class N(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            L.append((a, b))
            return b * 3

    x = t.tensor([1.0, 2.0], requires_grad=True)
    _y, z = N.apply(x)
    z.sum().backward()
    return x.grad, L


@case
def setup(t):
    class S(t.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x**k

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, k = inputs
            ctx.save_for_backward(x, output)
            ctx.k = k

        @staticmethod
        def backward(ctx, g):
            x, o = ctx.saved_tensors
            return g * ctx.k * o / x, None

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = S.apply(x, 3)
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


@case
def once(t):
    class S(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = S.apply(x).sin()
    (g,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return g, t.autograd.grad(g.sum(), x)


@case
def saved_changed(t):
    class S(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    z = S.apply(y)
    y.add_(1)
    z.sum().backward()


@case
def save_non_tensor(t):
    class S(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, 3)
            return x**2

    S.apply(t.ones(2, requires_grad=True))


@case
def dirty_not_returned(t):
    class D(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    return D.apply(t.tensor([1.0, 2.0], requires_grad=True) * 1)


@case
def nograd(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    with t.no_grad():
        a, _b = two_outputs(t).apply(x, x, 2)
    return a.requires_grad


@case
def view_output(t):
    class V(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view(-1)

        @staticmethod
        def backward(ctx, g):
            return g.view(1, 2)

    x = t.ones(1, 2, requires_grad=True)
    y = V.apply(x * 1)
    r = y.grad_fn.name()
    try:
        y.mul_(2)
    except RuntimeError as e:
        r += f" {isinstance(e, RuntimeError)}"
    return r


@case
def non_tensor_outputs(t):
    class V(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, "hello", None

        @staticmethod
        def backward(ctx, g, a, b):
            return g * 2 + (a is None) + (b is None)

    x = t.ones(1, 2, requires_grad=True)
    y = V.apply(x * 1)
    y[0].sum().backward()
    return y, x.grad


@case
def inplace_on_multi_out(t):
    x = t.ones(2, requires_grad=True)
    a, _b = two_outputs(t).apply(x, x, 1)
    a.mul_(2)
    return a.grad_fn.name()


@case
def ctx_attrs(t):
    seen = []

    class V(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.name_ = "n"
            ctx.meta = 1
            ctx.number = 2
            ctx.plan = "p"
            ctx.parents = "q"
            ctx.saved = x
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen.append((ctx.meta, ctx.number, ctx.plan, ctx.parents, ctx.needs_input_grad))
            return g

    x = t.ones(1, requires_grad=True)
    V.apply(x).backward()
    return seen


def returning(name, f):
    """A function of a tensor and a number whose backward returns ``f(g)``."""

    def program(t):
        class Wrong(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, k):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return f(t, g)

        x = t.tensor([1.0, 2.0], requires_grad=True)
        Wrong.apply(x, 3).sum().backward()
        return x.grad

    CASES[f"returns {name}"] = program


returning("too few", lambda t, g: g)
returning("one for each", lambda t, g: (g, None))
returning("more, but None", lambda t, g: (g, None, None))
returning("one for a number", lambda t, g: (g, g))
returning("another size", lambda t, g: (g[:1].expand(3), None))
returning("a smaller one", lambda t, g: (g[:1], None))
returning("a number", lambda t, g: (3, None))
returning("nothing", lambda t, g: (None, None))
returning("one to be summed", lambda t, g: (t.ones(3, 2), None))
returning("another type", lambda t, g: (g.double(), None))


@case
def without_forward(t):
    class Empty(t.autograd.Function):
        pass

    Empty.apply(t.ones(2))


@case
def without_backward(t):
    class Half(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

    Half.apply(t.ones(2, requires_grad=True)).sum().backward()


@case
def called(t):
    two_outputs(t)()(t.ones(2))


@case
def keywords(t):
    return two_outputs(t).apply(t.ones(2), t.ones(2), k=2)


@pytest.mark.parametrize("name", CASES)
def test_as_torch(name, torch):
    agree(CASES[name], gf, torch)


def test_a_graph_with_a_function_dies_with_its_output():
    class Keep(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[1]

    gc.disable()
    try:
        y = Keep.apply(gf.ones(3, requires_grad=True) * 2)
        node = weakref.ref(y.grad_fn)
        y.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()
        del y
        assert node() is None
    finally:
        gc.enable()
