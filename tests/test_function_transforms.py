"""autograd.Function with ``jvp`` and ``vmap`` of its own under towers of transforms: the same programs with gradflow and with torch."""

import numpy as np
import pytest
from side_by_side import agree, alike, plain

import gradflow as gf


def array(x):
    return x.detach().numpy()


def cube(t, log):
    """By NumPy, so that nothing but what is written here can be used."""

    class Cube(t.autograd.Function):
        @staticmethod
        def forward(x):
            log.append("forward")
            return t.tensor(array(x) ** 3), t.tensor(3 * array(x) ** 2)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0], output[1])
            ctx.save_for_forward(inputs[0], output[1])

        @staticmethod
        def backward(ctx, g, g_slope):
            log.append("backward")
            x, slope = ctx.saved_tensors
            return g * slope + g_slope * 6 * x

        @staticmethod
        def vmap(info, in_dims, x):
            log.append(("vmap", info.batch_size, info.randomness, len(in_dims)))
            return Cube.apply(x), (in_dims[0], in_dims[0])

        @staticmethod
        def jvp(ctx, tangent):
            log.append("jvp")
            x, slope = ctx.saved_tensors
            return tangent * slope, 6 * x * tangent

    return lambda x: Cube.apply(x)[0]


def mul(t, log):
    class Mul(t.autograd.Function):
        @staticmethod
        def forward(x, y):
            log.append("forward")
            return t.tensor(array(x) * array(y))

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return (
                Mul.apply(g, y) if ctx.needs_input_grad[0] else None,
                Mul.apply(g, x) if ctx.needs_input_grad[1] else None,
            )

        @staticmethod
        def vmap(info, in_dims, x, y):
            log.append(("vmap", info.batch_size, *(d is None for d in in_dims)))
            n = max(v.ndim - (d is not None) for v, d in zip((x, y), in_dims, strict=True))

            def first(v, d):
                return v if d is None else v.movedim(d, 0).reshape(-1, *(1,) * (n - v.ndim + 1), *v.movedim(d, 0).shape[1:])

            return Mul.apply(first(x, in_dims[0]), first(y, in_dims[1])), 0

        @staticmethod
        def jvp(ctx, x_tangent, y_tangent):
            x, y = ctx.saved_tensors
            return x_tangent * y + x * y_tangent

    return lambda x: Mul.apply(x, Mul.apply(x, x + 1))


def sort(t, log):
    """torch's example of a function over NumPy."""

    class Sort(t.autograd.Function):
        @staticmethod
        def forward(x, dim):
            order = np.argsort(array(x), axis=dim)
            back = np.argsort(order, axis=dim)
            return t.tensor(np.take_along_axis(array(x), order, axis=dim)), t.tensor(order), t.tensor(back)

        @staticmethod
        def setup_context(ctx, inputs, output):
            _, order, back = output
            ctx.mark_non_differentiable(order, back)
            ctx.save_for_backward(order, back)
            ctx.save_for_forward(order, back)
            ctx.dim = inputs[1]

        @staticmethod
        def backward(ctx, g, _0, _1):
            order, back = ctx.saved_tensors
            return Take.apply(g, back, order, ctx.dim), None

        @staticmethod
        def vmap(info, in_dims, x, dim):
            x = x.movedim(in_dims[0], 0)
            dim = dim if dim >= 0 else dim + x.dim() - 1
            return Sort.apply(x, dim + 1), (0, 0, 0)

        @staticmethod
        def jvp(ctx, tangent, _):
            order, back = ctx.saved_tensors
            return Take.apply(tangent, order, back, ctx.dim), None, None

    class Take(t.autograd.Function):
        @staticmethod
        def forward(x, order, back, dim):
            return t.tensor(np.take_along_axis(array(x), array(order), axis=dim))

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[1], inputs[2])
            ctx.save_for_forward(inputs[1], inputs[2])
            ctx.dim = inputs[3]

        @staticmethod
        def backward(ctx, g):
            order, back = ctx.saved_tensors
            return Take.apply(g, back, order, ctx.dim), None, None, None

        @staticmethod
        def vmap(info, in_dims, x, order, back, dim):
            log.append(("vmap", *(d is None for d in in_dims)))
            n = max(v.dim() - (d is not None) for v, d in zip((x, order), in_dims, strict=False))
            dim = dim if dim >= 0 else dim + n

            def first(v, d):
                return v.movedim(d, 0) if d is not None else v.expand(info.batch_size, *v.shape)

            return Take.apply(*(first(v, d) for v, d in zip((x, order, back), in_dims, strict=False)), dim + 1), 0

        @staticmethod
        def jvp(ctx, tangent, *_):
            order, back = ctx.saved_tensors
            return Take.apply(tangent, order, back, ctx.dim)

    return lambda x: Sort.apply(x.sin() * x, -1)[0] * x


def generated(t, log):
    class Generated(t.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k):
            return x**k, x.exp()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.save_for_backward(x, output[1])
            ctx.save_for_forward(x, output[1])
            ctx.set_materialize_grads(False)

        @staticmethod
        def backward(ctx, g, h):
            x, e = ctx.saved_tensors
            log.append(("backward", g is None, h is None, tuple(x.shape)))
            return (0 if g is None else g * ctx.k * x ** (ctx.k - 1)) + (0 if h is None else h * e), None

        @staticmethod
        def jvp(ctx, tangent, k):
            x, e = ctx.saved_tensors
            log.append(("jvp", k, tuple(tangent.shape)))
            return tangent * ctx.k * x ** (ctx.k - 1), tangent * e

    return lambda x: Generated.apply(x, 3)[0] * Generated.apply(x * x, 2)[1]


FUNCTIONS = {"cube": cube, "mul": mul, "sort": sort, "generated": generated}
PLAIN = {
    "cube": lambda x: x**3,
    "mul": lambda x: x * x * (x + 1),
    "sort": lambda x: (x.sin() * x).sort()[0] * x,
    "generated": lambda x: x**3 * (x * x).exp(),
}


def columns(t, x):
    return t.stack([x, x * 0.5, -x], 1)


# (t, f, x): transforms of a function of a vector of 2
TOWERS = {
    "plainly": lambda t, f, x: f(x),
    "vmap": lambda t, f, x: t.func.vmap(f)(columns(t, x)),
    "vmap of a column": lambda t, f, x: t.func.vmap(f, 1, 1)(columns(t, x)),
    "vmap of vmap": lambda t, f, x: t.func.vmap(t.func.vmap(f, 1), 2, 1)(t.stack([columns(t, x), columns(t, x + 1)])),
    "grad": lambda t, f, x: t.func.grad(lambda x: f(x).sum())(x),
    "grad of grad": lambda t, f, x: t.func.grad(lambda x: t.func.grad(lambda x: f(x).sum())(x).sin().sum())(x),
    "vjp": lambda t, f, x: t.func.vjp(f, x)[1](x.cos()),
    "grad of vmap": lambda t, f, x: t.func.grad(lambda x: t.func.vmap(f)(columns(t, x)).sin().sum())(x),
    "vmap of grad": lambda t, f, x: t.func.vmap(t.func.grad(lambda x: f(x).sin().sum()))(columns(t, x)),
    "vmap of grad of vmap": lambda t, f, x: t.func.vmap(t.func.grad(lambda x: t.func.vmap(f)(columns(t, x)).sum()))(columns(t, x)),
    "grad of vmap of grad": lambda t, f, x: t.func.grad(
        lambda x: t.func.vmap(t.func.grad(lambda x: f(x).sin().sum()))(columns(t, x)).sin().sum()
    )(x),
    "jvp": lambda t, f, x: t.func.jvp(f, (x,), (x.cos(),)),
    "jvp of jvp": lambda t, f, x: t.func.jvp(lambda x: t.func.jvp(f, (x,), (x.cos(),)), (x,), (x.sin(),)),
    "jvp of vmap": lambda t, f, x: t.func.jvp(lambda x: t.func.vmap(f)(columns(t, x)), (x,), (x.cos(),)),
    "vmap of jvp": lambda t, f, x: t.func.vmap(lambda x, v: t.func.jvp(f, (x,), (v,))[1], (1, 0))(columns(t, x), columns(t, x).T),
    "jvp of grad": lambda t, f, x: t.func.jvp(t.func.grad(lambda x: f(x).sum()), (x,), (x.cos(),)),
    "grad of jvp": lambda t, f, x: t.func.grad(lambda x: t.func.jvp(f, (x,), (x.cos(),))[1].sum())(x),
    "jacrev": lambda t, f, x: t.func.jacrev(f)(x),
    "jacfwd": lambda t, f, x: t.func.jacfwd(f)(x),
    "hessian": lambda t, f, x: t.func.hessian(lambda x: f(x).sum())(x),
    "jacrev of jacfwd": lambda t, f, x: t.func.jacrev(t.func.jacfwd(lambda x: f(x).sum()))(x),
    "vmap of jacrev": lambda t, f, x: t.func.vmap(t.func.jacrev(f))(columns(t, x)),
    "vmap of jacfwd": lambda t, f, x: t.func.vmap(t.func.jacfwd(f))(columns(t, x)),
    "linearize": lambda t, f, x: t.func.linearize(f, x)[1](x.cos()),
    "dual tensors": lambda t, f, x: dual(t, f, x),
    "backward": lambda t, f, x: backward(t, f, x),
    "backward of vmap": lambda t, f, x: backward(t, lambda x: t.func.vmap(f)(columns(t, x)), x),
}


def dual(t, f, x):
    fw = t.autograd.forward_ad
    with fw.dual_level():
        return tuple(fw.unpack_dual(f(fw.make_dual(x, x.cos()))))


def backward(t, f, x):
    x = x.clone().requires_grad_()
    f(x).sin().sum().backward()
    return x.grad


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("tower", TOWERS)
def test_towers(function, tower):
    """The derivatives that the author wrote are those of the same function made of operations."""
    x = gf.tensor([0.7, 1.2], dtype=gf.float64)
    expected = plain(TOWERS[tower](gf, PLAIN[function], x))
    assert alike(plain(TOWERS[tower](gf, FUNCTIONS[function](gf, []), x)), expected)


WRONG = {"jvp of jvp", "linearize"}  # torch's differ from the derivatives (2.13)


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("tower", sorted({*TOWERS} - WRONG))
def test_towers_as_torch(torch, function, tower):
    """The same results, by the same calls of what the author wrote."""

    def program(t):
        log = []
        result = TOWERS[tower](t, FUNCTIONS[function](t, log), t.tensor([0.7, 1.2], dtype=t.float64))
        calls = sorted({call if isinstance(call, str) else call[0] for call in log})
        return result, calls if tower != "hessian" else None  # one direction needs no vmap

    agree(program, gf, torch)
