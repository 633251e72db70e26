"""``jvp`` and ``vmap`` of an autograd.Function, rule by rule: the same programs with gradflow and with torch."""

import pytest
from side_by_side import agree

import gradflow as gf


def array(x):
    return x.detach().numpy()


CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def product(t, jvp=None, vmap=None, materialize=True):
    """x * y * k and x + y."""

    class Product(t.autograd.Function):
        @staticmethod
        def forward(x, y, k):
            return x * y * k, x + y

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, y, ctx.k = inputs
            ctx.save_for_backward(x, y)
            ctx.save_for_forward(x, y)
            ctx.set_materialize_grads(materialize)

        @staticmethod
        def backward(ctx, g, h):
            x, y = ctx.saved_tensors
            return g * y * ctx.k + h, g * x * ctx.k + h, None

    if jvp is not None:
        Product.jvp = staticmethod(jvp)
    if vmap is not None:
        Product.vmap = staticmethod(vmap)
    return Product


def with_tangents(t, function, *tangents):
    fw = t.autograd.forward_ad
    values = [t.tensor([1.0, 2.0]), t.tensor([3.0, 4.0])]
    with fw.dual_level():
        args = [x if v is None else fw.make_dual(x, v) for x, v in zip(values, tangents, strict=True)]
        return [tuple(fw.unpack_dual(y)) for y in function.apply(*args, 2)]


@case
def tangents_that_are_not_there_are_zeros(t):
    def jvp(ctx, x, y, k):
        a, b = ctx.saved_tensors
        return (x * b + a * y) * ctx.k, x + y

    return with_tangents(t, product(t, jvp), t.tensor([1.0, 0.5]), None), with_tangents(t, product(t, jvp), None, t.ones(2))


@case
def tangents_that_are_not_there_are_none(t):
    seen = []

    def jvp(ctx, x, y, k):
        seen.append((x is None, y is None, k))
        return x * ctx.saved_tensors[1] * ctx.k, x

    return with_tangents(t, product(t, jvp, materialize=False), t.tensor([1.0, 0.5]), None), seen[0]


def returned(name, result):
    CASES[f"jvp returns {name}"] = lambda t: with_tangents(t, product(t, lambda ctx, x, y, k: result(x)), t.ones(2), t.ones(2))


returned("one too few", lambda x: x)
returned("one too many", lambda x: (x, x, x))
returned("nothing", lambda x: ())
returned("a list", lambda x: [x, x])
returned("a number", lambda x: (3, x))
returned("None", lambda x: (x, None))
returned("another shape", lambda x: (x[:1], x))


@case
def without_a_jvp_or_a_backward(t):
    class Half(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

    return t.func.jvp(Half.apply, (t.ones(2),), (t.ones(2),))


@case
def without_a_jvp_and_a_backward_by_numpy(t):
    class Numpy(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return t.tensor(array(g) * 2)

    return t.func.jvp(Numpy.apply, (t.ones(2),), (t.ones(2),))


@case
def without_a_jvp_and_once_differentiable(t):
    class Once(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2

    return t.func.jvp(Once.apply, (t.ones(2),), (t.ones(2),))


@case
def saves_for_forward_what_is_no_tensor(t):
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_forward(x, 3)
            return x

    Wrong.apply(t.ones(2))


def mapped(name, vmap, *in_dims):
    def program(t):
        x, y = t.arange(6.0).reshape(2, 3), t.arange(3.0) + 1
        return t.func.vmap(lambda x, y: product(t, vmap=vmap).apply(x, y, 2), in_dims or (0, None))(x, y)

    CASES[f"vmap returns {name}"] = program


mapped("pairs of dims", lambda info, in_dims, x, y, k: ((x, y.expand(info.batch_size, 3)), (0, 0)))
mapped("one dim for all", lambda info, in_dims, x, y, k: ((x, x + y), 0))
mapped("another axis", lambda info, in_dims, x, y, k: ((x, x.T), (0, 1)))
mapped("the last axis", lambda info, in_dims, x, y, k: ((x, x.T), (0, -1)))
mapped("what all share", lambda info, in_dims, x, y, k: ((x + in_dims[0], y), (0, None)))
mapped("what it was told", lambda info, in_dims, x, y, k: ((x * info.batch_size, x * (in_dims[1:] == (None, None))), 0))
mapped("no dims", lambda info, in_dims, x, y, k: x)
mapped("a list", lambda info, in_dims, x, y, k: [x, 0])
mapped("three values", lambda info, in_dims, x, y, k: (x, x, 0))
mapped("too few dims", lambda info, in_dims, x, y, k: ((x, x), (0,)))
mapped("two axes", lambda info, in_dims, x, y, k: (info.batch_size * x, x), 1, 0)


@case
def both_a_vmap_and_a_generated_one(t):
    function = product(t, vmap=lambda info, in_dims, x, y, k: ((x, y), 0))
    function.generate_vmap_rule = True
    return t.func.vmap(lambda x: function.apply(x, x, 2))(t.ones(2, 3))


@case
def lists_of_tensors(t):
    class Sum(t.autograd.Function):
        @staticmethod
        def forward(parts, k):
            return sum(parts) * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def vmap(info, in_dims, parts, k):
            return sum(p if d is None else p.movedim(d, 0) for p, d in zip(parts, in_dims[0], strict=True)) * k, 0

    x = t.arange(6.0).reshape(2, 3)
    return t.func.vmap(lambda x: Sum.apply([x, t.ones(3)], 2))(x), t.func.vmap(lambda x: Sum.apply([t.ones(3)], 2) + x)(x)


@case
def changed_in_place(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(x):
            return x.mul_(2)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.mark_dirty(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def vmap(info, in_dims, x):
            return Double.apply(x), in_dims[0]

    def change(x):
        y = x * 1
        z = Double.apply(y)
        return z * (z is y), y

    x = t.arange(6.0).reshape(2, 3)
    grad = t.func.grad(lambda x: change(x)[1].sin().sum())
    return t.func.vmap(change)(x), t.func.vmap(grad)(x), t.func.grad(lambda x: t.func.vmap(change)(x)[1].sin().sum())(x)


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("name", CASES)
def test_as_torch(torch, name):
    agree(CASES[name], gf, torch)


def test_what_was_saved_for_forward_is_guarded():
    """``jvp`` runs when the tangent is asked for."""
    fw = gf.autograd.forward_ad

    def jvp(ctx, x, y, k):
        a, b = ctx.saved_tensors
        return (x * b + a * y) * ctx.k, x + y

    with fw.dual_level():
        x, y = fw.make_dual(gf.ones(2), gf.ones(2)), gf.ones(2)
        z, _ = product(gf, jvp).apply(x, y, 2)
        y.mul_(2)
        with pytest.raises(gf.errors.InPlaceError, match="modified by an inplace operation"):
            fw.unpack_dual(z)


def test_without_rules_of_its_own():
    """Where torch refuses: forward mode is the derivative of a backward that is recorded; forward runs on the examples of a vmap."""
    function = product(gf)
    x = gf.tensor([1.0, 2.0])
    y, tangent = gf.func.jvp(lambda x: function.apply(x, x + 1, 2)[0], (x,), (gf.ones(2),))
    assert y.tolist() == [4, 12] and tangent.tolist() == [6, 10]
    assert gf.func.vmap(lambda x: function.apply(x, gf.tensor(3.0), 2)[0])(x).tolist() == [6, 12]

    class Asks(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(RuntimeError, match="Asks: You tried to vmap over Asks, but it does not have vmap support"):
        gf.func.vmap(Asks.apply)(gf.tensor([[1.0], [-1.0]]))
