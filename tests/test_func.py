"""gradflow.func, autograd.functional and forward_ad against torch's: values, structures, nesting, errors."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import gradflow as gf

rng = np.random.default_rng(0)
Pair = namedtuple("Pair", "left right")


def arrays(*shapes):
    return [rng.uniform(0.3, 2.0, shape) for shape in shapes]


def plain(tree):
    """A tree of tensors of either library as nested lists of arrays, its containers kept."""
    if isinstance(tree, dict):
        return {k: plain(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [type(tree).__name__, *(plain(v) for v in tree)]
    return tree.detach().numpy() if hasattr(tree, "detach") else tree


def same(got, want, where=""):
    if isinstance(want, np.ndarray):
        assert got.shape == want.shape, where
        assert got.dtype == want.dtype, where
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9, err_msg=where)
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for k in want:
            same(got[k], want[k], f"{where}.{k}")
    elif isinstance(want, list):
        assert len(got) == len(want), where
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            same(g, w, f"{where}[{i}]")
    else:
        assert got == want, where


def layer_norm(t, x):
    """torch's own is wrong from the third derivative on."""
    if t is gf:
        return gf.nn.functional.layer_norm(x, (3,))
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


# Functions of the library t and of tensors; all have derivatives of every order.
FUNCTIONS = {
    "sin": (lambda t: lambda x: x.sin(), [(3,)]),
    "softmax": (lambda t: lambda x: t.softmax(x, -1), [(2, 3)]),
    "matmul": (lambda t: lambda x, y: (x @ y).tanh(), [(2, 3), (3, 2)]),
    "norm": (lambda t: lambda x: x.norm(), [(4,)]),
    "index": (lambda t: lambda x: x[[0, 0, 2], 1:] * x[1, 0], [(3, 2)]),
    "where": (lambda t: lambda x, y: t.where(x > 1, x * y, y**3), [(4,), (4,)]),
    "cumsum": (lambda t: lambda x: t.cumsum(x * x, 0), [(4,)]),
    "cumprod": (lambda t: lambda x: t.cumprod(x, 0), [(4,)]),
    "sort": (lambda t: lambda x: t.sort(x**2, 0).values, [(5,)]),
    "broadcast": (lambda t: lambda x, y: x[:, None] / y + x.sum(), [(2,), (3,)]),
    "views": (lambda t: lambda x: (x.T.reshape(-1)[1:] ** 2).reshape(5, 1).expand(5, 2), [(2, 3)]),
    "inverse": (lambda t: lambda x: t.linalg.inv(x + 3 * t.eye(2, dtype=t.float64)), [(2, 2)]),
    "max": (lambda t: lambda x: x.max(0).values ** 2, [(3, 2)]),
    "cat": (lambda t: lambda x, y: t.cat([x, y, x]) ** 2, [(2,), (3,)]),
    "layer_norm": (lambda t: lambda x: layer_norm(t, x), [(2, 3)]),
    "conv": (lambda t: lambda x, y: t.einsum("ij,jk,k->ik", x, y, x.sum(0)[:2]), [(2, 3), (3, 2)]),
    "unused": (lambda t: lambda x, y: x * 2, [(2,), (2,)]),
    "constant": (lambda t: lambda x: t.ones(2, dtype=t.float64), [(2,)]),
}


def both(torch, name, use):
    """use(t, f, inputs) in both libraries."""
    make, shapes = FUNCTIONS[name]
    given = arrays(*shapes)
    same(plain(use(gf, make(gf), [gf.tensor(a) for a in given])), plain(use(torch, make(torch), [torch.tensor(a) for a in given])))


TRANSFORMS = {
    "grad": lambda t, f, x: t.func.grad(lambda *a: f(*a).sum(), argnums=tuple(range(len(x))))(*x),
    "grad_and_value": lambda t, f, x: t.func.grad_and_value(lambda *a: (f(*a).exp().sum(), a[0]), has_aux=True)(*x),
    "vjp": lambda t, f, x: t.func.vjp(f, *x)[1](f(*x).cos()),
    "jvp": lambda t, f, x: t.func.jvp(f, tuple(x), tuple(a.cos() for a in x)),
    "linearize": lambda t, f, x: t.func.linearize(f, *x)[1](*(a.cos() for a in x)),
    "jacrev": lambda t, f, x: t.func.jacrev(f, argnums=len(x) - 1)(*x),
    "jacfwd": lambda t, f, x: t.func.jacfwd(f, argnums=tuple(range(len(x))))(*x),
    "hessian": lambda t, f, x: t.func.hessian(lambda *a: f(*a).sin().sum(), argnums=tuple(range(len(x))))(*x),
    "third": lambda t, f, x: t.func.grad(lambda a: t.func.jacrev(t.func.grad(lambda b: f(b, *x[1:]).sin().sum()))(a).cos().sum())(x[0]),
    "forward twice": lambda t, f, x: t.func.jvp(lambda a: t.func.jvp(lambda b: f(b, *x[1:]).sin(), (a,), (a.cos(),))[1], (x[0],), (x[0],)),
    "reverse over forward": lambda t, f, x: t.func.grad(lambda a: t.func.jvp(lambda b: f(b, *x[1:]).sin(), (a,), (a,))[1].sum())(x[0]),
    "functional.vjp": lambda t, f, x: t.autograd.functional.vjp(f, tuple(x), f(*x).cos()),
    "functional.jvp": lambda t, f, x: t.autograd.functional.jvp(f, tuple(x), tuple(a.cos() for a in x)),
    "functional.jacobian": lambda t, f, x: t.autograd.functional.jacobian(f, tuple(x)),
    "functional.vectorize": lambda t, f, x: t.autograd.functional.jacobian(f, tuple(x), vectorize=True),
    "functional.forward": lambda t, f, x: tuple(t.autograd.functional.jacobian(f, tuple(x), vectorize=True, strategy="forward-mode")),
    "functional.hessian": lambda t, f, x: t.autograd.functional.hessian(lambda *a: f(*a).exp().sum(), tuple(x)),
    "functional.hvp": lambda t, f, x: t.autograd.functional.hvp(lambda *a: f(*a).exp().sum(), tuple(x), tuple(a.cos() for a in x)),
    "functional.vhp": lambda t, f, x: t.autograd.functional.vhp(lambda *a: f(*a).exp().sum(), tuple(x), tuple(a.cos() for a in x)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_as_torch(torch, name, transform):
    if transform == "linearize" and name in ("constant", "unused"):
        pytest.skip("torch cannot")
    both(torch, name, TRANSFORMS[transform])


def test_levels_are_kept_apart():
    """d/dx (x * d/dy (x + y) at y = 1) at x = 1 is 1: the inner derivative is for y only."""
    grad = gf.func.grad
    one = gf.tensor(1.0)
    assert grad(lambda x: x * grad(lambda y: x + y)(one))(one).item() == 1
    assert gf.func.jvp(lambda x: x * gf.func.jvp(lambda y: x + y, (one,), (one,))[1], (one,), (one,))[1].item() == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(gf.tensor(3.0)).item() == 6


@pytest.mark.parametrize("transform", ["grad", "jacrev", "jacfwd"])
def test_trees(torch, transform):
    given = arrays((2, 3), (3,), ())

    def use(t):
        a, b, c = map(t.tensor, given)

        def f(p, q):
            y = (p["w"] @ p["b"][0]).sum() * q.left + q.right[0].sum()
            return y if transform == "grad" else OrderedDict(y=y[None] * 2, z=[p["w"].sum(0), (y,)])

        g = getattr(t.func, transform)(f, argnums=(1, 0))
        return g({"w": a, "b": [b]}, Pair(c, (b * 2,)))

    same(plain(use(gf)), plain(use(torch)))


def test_aux_and_the_order_of_dictionaries(torch):
    x = arrays((3,))[0]

    def use(t):
        y, back, aux = t.func.vjp(lambda a: ({"p": a.sin(), "q": a.cos()}, (a * 2, [a])), t.tensor(x), has_aux=True)
        j, jaux = t.func.jacrev(lambda a: (a * a, a.sum()), has_aux=True)(t.tensor(x))
        k, kaux = t.func.jacfwd(lambda a: (a * a, a.sum()), has_aux=True)(t.tensor(x))
        out = t.func.jvp(lambda a: (a * a, a.sum()), (t.tensor(x),), (t.tensor(x),), has_aux=True)
        return [
            y,
            back({"p": y["p"], "q": y["q"]}),
            aux,
            j,
            jaux,
            k,
            kaux,
            out,
            t.func.grad(lambda a: (a.sum(), a), has_aux=True)(t.tensor(x)),
        ]

    same(plain(use(gf)), plain(use(torch)))
    _, back = gf.func.vjp(lambda a: {"p": a, "q": a * 2}, gf.tensor(x))
    same(plain(back({"q": gf.tensor(x), "p": gf.tensor(x)})), ["tuple", 3 * x])


def test_what_has_a_history():
    """A result is free of history, unless something from outside has one."""
    x, w = gf.tensor([1.0, 2.0]), gf.tensor([3.0, 4.0], requires_grad=True)
    grad = gf.func.grad(lambda x: (x**3).sum())
    assert not grad(x).requires_grad
    assert not any(t.requires_grad for t in gf.func.jvp(lambda x: x**2, (x,), (x,)))
    y, back = gf.func.vjp(lambda x: x**2, x)
    assert not y.requires_grad and not back(x)[0].requires_grad
    result = gf.func.grad(lambda x: (x**2 * w).sum())(x)
    assert result.requires_grad
    result.sum().backward()
    np.testing.assert_array_equal(w.grad, [2, 4])
    assert grad(w).requires_grad and not w.detach().requires_grad
    (second,) = gf.autograd.grad(grad(w).sum(), w)
    np.testing.assert_array_equal(second, [18, 24])
    with gf.no_grad():
        np.testing.assert_array_equal(grad(w), [27, 48])
        assert not grad(w).requires_grad
        assert gf.func.jvp(lambda x: x**2, (w,), (x,))[1].tolist() == [6, 16]
    assert w.grad.tolist() == [2, 4]
    assert gf.is_grad_enabled()
    assert gf.func.grad(lambda x: (x * gf.no_grad()(lambda: x * 2)()).sum())(x).tolist() == [2, 4]


def test_a_function_that_fails_leaves_the_mode(torch):
    with gf.no_grad(), pytest.raises(ZeroDivisionError):
        gf.func.grad(lambda x: 1 / 0)(gf.ones(()))
    assert gf.is_grad_enabled()
    assert not gf.autograd.forward_ad.current


def test_a_network_by_its_parameters(torch):
    def use(t):
        net = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 1)).double()
        given = np.random.default_rng(1)
        params = {k: t.tensor(given.standard_normal(tuple(p.shape))) for k, p in net.named_parameters()}
        x = t.tensor(given.standard_normal((5, 3)))
        before = [p.detach().numpy().copy() for p in net.parameters()]
        found = t.func.grad(lambda p: t.func.functional_call(net, p, (x,)).pow(2).mean())(params)
        assert all((a == b.detach().numpy()).all() for a, b in zip(before, net.parameters(), strict=True))
        assert all(isinstance(p, t.nn.Parameter) and p.grad is None for p in net.parameters())
        return found

    same(plain(use(gf)), plain(use(torch)))


def test_functional_call_ties_and_refuses():
    class Tied(gf.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = gf.nn.Parameter(gf.ones(2))
            self.b = self.a

        def forward(self, x):
            return self.a * x + self.b

    net, x = Tied(), gf.ones(2)
    call = gf.func.functional_call
    assert call(net, {"a": gf.zeros(2)}, x).tolist() == [0, 0]
    assert call(net, {"a": gf.zeros(2)}, x, tie_weights=False).tolist() == [1, 1]
    assert call(net, [{"a": gf.zeros(2)}, {"b": gf.ones(2)}], (x,), tie_weights=False).tolist() == [1, 1]
    assert call(net, {"a": gf.zeros(2)}, None, {"x": x}).tolist() == [0, 0]
    for wrong, error in (
        (lambda: call(net, {"a": gf.zeros(2), "b": gf.ones(2)}, x), ValueError),
        (lambda: call(net, ({"a": x}, {"a": x}), x), ValueError),
        (lambda: call(net, 3, x), ValueError),
        (lambda: call(net, [3], x), ValueError),
        (lambda: call(net, {"a": 3}, x), TypeError),
        (lambda: call(net, {"a": x}, x, strict=True), RuntimeError),
        (lambda: call(net, {"a": x, "b": x, "c": x}, x, strict=True), RuntimeError),
        (lambda: gf.func.stack_module_state([]), RuntimeError),
        (lambda: gf.func.stack_module_state([net, gf.nn.Linear(1, 1)]), RuntimeError),
        (lambda: gf.func.stack_module_state([net, Tied().eval()]), RuntimeError),
    ):
        with pytest.raises(error, match=r"functional_call: |stack_module_state: "):
            wrong()
    assert net.a is net.b and net.a.tolist() == [1, 1]
    params, buffers = gf.func.stack_module_state([gf.nn.Linear(1, 2) for _ in range(3)])
    assert params["weight"].shape == (3, 2, 1) and params["weight"].is_leaf and params["weight"].requires_grad
    assert buffers == {}


def test_forward_ad(torch):
    given, tangent, w = arrays((3,), (3,), (3,))

    def use(t):
        ad = t.autograd.forward_ad
        leaf = t.tensor(w, requires_grad=True)
        with ad.dual_level():
            x = ad.make_dual(t.tensor(given), t.tensor(tangent))
            y = ad.unpack_dual((x.sin() * leaf).cumsum(0))
            assert ad.unpack_dual(t.ones(2)).tangent is None
            again = ad.unpack_dual(x)
            y.tangent.sum().backward()
        assert ad.unpack_dual(x).tangent is None
        return [y.primal, y.tangent, again.primal, again.tangent, leaf.grad]

    same(plain(use(gf)), plain(use(torch)))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("vectorize", [False, True])
def test_layouts_of_a_jacobian(strategy, vectorize):
    x, y = (gf.tensor(a) for a in arrays((2,), (3, 2)))
    table = gf.autograd.functional.jacobian(lambda x, y: (y @ x, x * 2), (x, y), strategy=strategy, vectorize=vectorize)
    turned = gf.autograd.functional.jacobian(
        lambda x, y: (y @ x, x * 2), (x, y), strategy=strategy, vectorize=vectorize, layout="denominator"
    )
    assert [[tuple(b.shape) for b in row] for row in table] == [[(3, 2), (3, 3, 2)], [(2, 2), (2, 3, 2)]]
    for row, other in zip(table, turned, strict=True):
        for k, (a, b) in enumerate(zip(row, other, strict=True)):
            np.testing.assert_array_equal(a.movedim(0, -1) if a.ndim == b.ndim else b, b, err_msg=str(k))


@pytest.mark.parametrize("name", ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"])
def test_create_graph(torch, name):
    x = arrays((3,))[0]

    def use(t):
        leaf = t.tensor(x, requires_grad=True)
        v = [t.tensor(x[:1] * 0 + 2)[0]] if name == "vjp" else [] if name in ("jacobian", "hessian") else [t.tensor(x)]
        result = getattr(t.autograd.functional, name)(lambda a: (a**3).sum() * a.prod(), leaf, *v, create_graph=True)
        plainly = getattr(t.autograd.functional, name)(lambda a: (a**3).sum() * a.prod(), leaf, *v)
        for r in plainly if isinstance(plainly, tuple) else [plainly]:
            assert not r.requires_grad
        matrix = result[1] if isinstance(result, tuple) else result
        matrix.sin().sum().backward()
        return [plainly, matrix, leaf.grad]

    same(plain(use(gf)), plain(use(torch)))


STRICT = """
A.vjp(lambda x, y: x * 2, (v, v), v, strict=True)
A.vjp(lambda x: t.ones(3), v, v, strict=True)
A.jvp(lambda x: t.ones(3), v, v, strict=True)
A.jacobian(lambda x, y: x * 2, (v, v), strict=True)
A.jacobian(lambda x: x * 2, v, strict=True, create_graph=True)
A.jacobian(lambda x: x * 2, v, strict=True, vectorize=True)
A.hessian(lambda x: x.sum(), v, strict=True)
A.hvp(lambda x: x.sum(), v, v, strict=True)
A.vhp(lambda x: x.sum(), v, v, strict=True)
A.vjp(lambda x: x, v)
A.jvp(lambda x: x, v)
A.vhp(lambda x: x.sum(), v)
A.vjp(lambda x: x, v, v[:2])
A.vjp(lambda x: x, v, (v, v))
A.jvp(lambda x, y: x, (v, v), (v, v[:2]))
A.jvp(lambda x, y: x, (v, v), v)
A.vjp(lambda x: 3, v, v)
A.vjp(lambda x: x, [v], v)
A.vjp(lambda x: x, (v, 3), v)
A.hessian(lambda x: x, v)
A.hessian(lambda x: (x.sum(), x), v)
A.vhp(lambda x: x, v, v)
A.hvp(lambda x: (x.sum(),), v, v)
f.grad(lambda x: x)(v)
f.grad(lambda x: 3)(v)
f.grad(lambda x: x.sum())(3)
f.grad(lambda x: x.sum())(t.arange(3))
f.grad(lambda x: x.sum(), argnums=1)(v)
f.grad(lambda x: x.sum(), argnums=-2)(v)
f.grad(lambda x: x.sum(), argnums=())(v)
f.grad(lambda x, y: x.sum(), argnums=(0, -2))(v, v)
f.grad(lambda x: x.sum(), argnums="0")(v)
f.grad(lambda x: x.sum(), argnums=("0",))(v)
f.grad(lambda x: x.sum(), has_aux=True)(v)
f.grad_and_value(lambda x: (x.sum(), 1, 2), has_aux=True)(v)
f.vjp(lambda x: 3, v)
f.vjp(lambda x: None, v)
f.vjp(lambda x: (), v)
f.vjp(lambda x: x > 0, v)
f.vjp(lambda x: x, 3)
f.vjp(lambda x: x, v)[1]((v,))
f.vjp(lambda x: (x, x), v)[1]([v, v])
f.jvp(lambda x: x, v, (v,))
f.jvp(lambda x: x, (v,), (v, v))
f.jvp(lambda x: x, (v,), v)
f.jvp(lambda x: x, (v,), (v[:2],))
f.jvp(lambda x: x, (v,), (3,))
f.jvp(lambda x: x, (), ())
f.jvp(lambda x: 3, (v,), (v,))
f.jvp(lambda x: t.ones(2), (v,), (v,), strict=True)
f.jvp(lambda x: x, (v,), (v,), has_aux=True)
f.jacrev(lambda x: x, chunk_size=0)(v)
f.jacrev(lambda x: x, argnums=2)(v)
f.jacfwd(lambda x: x, argnums=2)(v)
ad.make_dual(v, v)
""".strip().splitlines()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", STRICT)
def test_refused_as_in_torch(torch, code):
    def failure(t):
        try:
            eval(code, {"t": t, "v": t.tensor([1.0, 2.0, 3.0]), "f": t.func, "A": t.autograd.functional, "ad": t.autograd.forward_ad})
        except Exception as error:
            return error
        return None

    want, got = failure(torch), failure(gf)
    assert isinstance(want, Exception), "torch takes it"
    assert isinstance(got, type(want)) or (isinstance(want, AssertionError) and isinstance(got, gf.errors.GradflowError)), repr(got)
    assert isinstance(got, gf.errors.GradflowError)
    assert ": " in str(got)


@pytest.mark.parametrize("name", ["gradflow", "torch"])
def test_dual_levels_are_refused_as_in_torch(torch, name):
    t = gf if name == "gradflow" else torch
    ad = t.autograd.forward_ad
    with ad.dual_level():
        for wrong, error in (
            (ad.enter_dual_level, RuntimeError),
            (lambda: ad.make_dual(t.ones(2), t.ones(3)), RuntimeError),
            (lambda: ad.make_dual(t.arange(2), t.ones(2)), ValueError),
            (lambda: ad.make_dual(t.ones(2), t.arange(2)), ValueError),
        ):
            with pytest.raises(error):
                wrong()
    with pytest.raises(RuntimeError):
        ad.exit_dual_level()


def test_a_cotangent_that_is_one_for_the_row_reaches_every_element():
    """Of a backward of log_softmax with two outputs: its gradient for an input that is only summed along the row."""
    x = gf.tensor([0.3, 1.2, 0.5], dtype=gf.float64)

    def inner(x):
        return gf.func.grad(lambda y: ((0.3 * y).exp().log_softmax(0) * (0.3 * y).exp() * x).sum())(x)

    def f(x):
        return gf.func.vjp(inner, x)[1](x.sin())[0].sum()

    slope = gf.func.grad(f)(x)
    step = 1e-6 * gf.eye(3, dtype=gf.float64)
    assert gf.allclose(slope, gf.stack([(f(x + d) - f(x - d)) / 2e-6 for d in step]), rtol=1e-5, atol=1e-6)


def test_debug_unwrap_shows_all_examples():
    x, seen = gf.arange(6).reshape(2, 3), []

    def inner(v):
        seen.append((gf.func.debug_unwrap(v), gf.func.debug_unwrap(v, recurse=False).shape))
        return v

    gf.func.vmap(gf.func.vmap(inner))(x)
    assert gf.equal(seen[0][0], x) and seen[0][1] == (3,)
    assert gf.func.debug_unwrap(x) is x
    with pytest.raises(TypeError, match="debug_unwrap"):
        gf.func.debug_unwrap(1)
