"""vmap against a loop over examples, and against torch's: every operation, nesting, derivatives inside and outside, random numbers, errors."""

import random
import warnings
from collections import namedtuple

import numpy as np
import pytest

import gradflow as gf
from gradflow.func.trees import flatten, unflatten

rng = np.random.default_rng(0)
vmap, grad = gf.func.vmap, gf.func.grad
Pair = namedtuple("Pair", "left right")


def close(got, want, **kw):
    assert tuple(got.shape) == tuple(want.shape)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), **{"rtol": 1e-7, "atol": 1e-9} | kw)


# Each: shapes of the arguments, or arrays; in_dims; a function of the library and the arguments.
INDEX = np.array([[0, 2], [1, 1]])
CASES = {
    "matrix times vector": ([(4, 2, 3), (4, 3)], 0, lambda t, a, b: a @ b),
    "shared matrix times vector": ([(2, 3), (4, 3)], (None, 0), lambda t, a, b: a @ b),
    "matrix times shared vector": ([(4, 2, 3), (3,)], (0, None), lambda t, a, b: a @ b),
    "vector times shared matrix": ([(4, 3), (3, 2)], (0, None), lambda t, a, b: a @ b),
    "vector times matrix": ([(4, 3), (4, 3, 2)], 0, lambda t, a, b: a @ b),
    "stacks": ([(4, 5, 2, 3), (3, 2)], (0, None), lambda t, a, b: a @ b),
    "stack times shared stack": ([(4, 2, 3), (5, 3, 2)], (0, None), lambda t, a, b: a @ b),
    "dot": ([(4, 3), (4, 3)], 0, lambda t, a, b: a @ b),
    "ranks differ": ([(4,), (4, 2, 3)], 0, lambda t, a, b: a * b + t.ones(3, dtype=t.float64)),
    "other axes": ([(3, 4, 5), (2, 5)], (2, 1), lambda t, a, b: a.sum(0)[:2] * b),
    "negative axis": ([(3, 4)], -1, lambda t, a: a.cumsum(0)),
    "index": ([(2, 3, 2), INDEX], 0, lambda t, x, i: x[i]),
    "index of a later axis": ([(2, 2, 3, 2), INDEX], 0, lambda t, x, i: x[:, i]),
    "two indices": ([(2, 3, 4, 3), INDEX], 0, lambda t, x, i: x[i, :, i]),
    "index into what is shared": ([(3, 2), INDEX], (None, 0), lambda t, x, i: x[i]),
    "number as an index": ([(2, 3), np.array([0, 2])], 0, lambda t, x, i: t.index_select(x, 0, i[None])[0]),
    "embedding": ([(5, 2), INDEX], (None, 0), lambda t, x, i: t.nn.functional.embedding(i, x)),
    "gather": ([(2, 3), INDEX], 0, lambda t, x, i: t.gather(x, 0, i)),
    "scatter_add": ([(2, 3), INDEX, (2, 2)], 0, lambda t, x, i, s: t.scatter_add(x, 0, i, s)),
    "index_put": ([(2, 3, 2), INDEX, (2, 2, 2)], 0, lambda t, x, i, s: t.index_put(x, (i,), s, accumulate=True)),
    "sort": ([(4, 5)], 0, lambda t, x: t.sort(x, 0).values),
    "softmax": ([(4, 2, 3)], 0, lambda t, x: t.softmax(x, 0)),
    "layer_norm": ([(4, 2, 3), (3,)], (0, None), lambda t, x, w: t.nn.functional.layer_norm(x, (3,), w)),
    "cross_entropy": ([(2, 3, 3), INDEX.repeat(2, 1)[:, :3]], 0, lambda t, x, i: t.nn.functional.cross_entropy(x, i)),
    "cat and stack": ([(4, 3), (3,)], (0, None), lambda t, a, b: t.stack([t.cat([a, b]), t.cat([b, a])])),
    "diagonal": ([(4, 3, 3)], 0, lambda t, x: x.diagonal() + t.diag(x[0]).sum(0)),
    "inverse": ([(4, 3, 3)], 0, lambda t, x: t.linalg.inv(x + 4 * t.eye(3, dtype=t.float64))),
    "solve": ([(3, 3), (4, 3)], (None, 0), lambda t, x, b: t.linalg.solve(x + 4 * t.eye(3, dtype=t.float64), b)),
    "det": ([(4, 3, 3)], 0, lambda t, x: t.linalg.det(x)),
    "where": ([(4, 3), (3,)], (0, None), lambda t, x, y: t.where(x > y, x * y, y)),
    "written to": ([(4, 3)], 0, lambda t, x: written(t, x)),
    "written in part": ([(4, 3)], 0, lambda t, x: written_in_part(t, x)),
    "argmax": ([(4, 2, 3)], 0, lambda t, x: x * (x.argmax() + x.argmax(1, keepdim=True))),
    "a view of heads": ([(4, 2, 6)], 0, lambda t, x: x[:, 2:].view(2, 2, 2).transpose(0, 1)),
    "einsum": ([(4, 2, 3), (3, 3)], (0, None), lambda t, a, b: t.einsum("ij,jk->ki", a, b)),
}


def written(t, x):
    y = x * 1
    y.mul_(2).add_(x)
    return y


def written_in_part(t, x):
    y = t.zeros_like(x)
    y[1:] = x[:-1]
    return y * 3


def arguments(t, given):
    fixed = np.random.default_rng(1)
    return [t.tensor(fixed.standard_normal(a) if isinstance(a, tuple) else a) for a in given]


@pytest.mark.parametrize("name", CASES)
def test_the_same_as_torch(torch, name):
    given, in_dims, f = CASES[name]
    for derive in (False, True):
        results = []
        for t in (gf, torch):

            def g(*args, t=t, derive=derive):
                y = f(t, *args)
                return (y.sin() * y).sum() if derive else y

            results.append(t.func.vmap(t.func.grad(g) if derive else g, in_dims=in_dims)(*arguments(t, given)))
        close(*results)


@pytest.mark.parametrize("name", CASES)
def test_differentiated_from_outside(torch, name):
    """The gradient of what all examples share is a sum over them; of the second order, too."""
    given, in_dims, f = CASES[name]
    results = []
    for t in (gf, torch):
        args = [a.requires_grad_() if a.is_floating_point() else a for a in arguments(t, given)]
        leaves = [a for a in args if a.requires_grad]
        y = t.func.vmap(lambda *a, t=t: f(t, *a), in_dims=in_dims)(*args)
        first = t.autograd.grad((y.sin() * y).sum(), leaves, create_graph=True)
        second = t.autograd.grad(sum((g * g).sum() for g in first), leaves, allow_unused=True)
        results.append([y, *first, *(t.zeros(1) if g is None else g for g in second)])
    for got, want in zip(*results, strict=True):
        close(got, want, rtol=1e-6)


def test_nested():
    x, y = gf.tensor(rng.standard_normal((4, 2, 3))), gf.tensor(rng.standard_normal((5, 3)))
    table = vmap(vmap(lambda a, b: (a * b).sum(1).sin(), (None, 0)), (0, None))(x, y)
    close(table, (x[:, None] * y[:, None]).sum(-1).sin())
    close(vmap(vmap(vmap(lambda a: a * 2 + 1)))(x), x * 2 + 1)
    w = y.clone().requires_grad_()
    inner = vmap(lambda a: vmap(lambda b: a * b.sum() + w.sum())(w))
    inner(x).sin().sum().backward()
    v = y.clone().requires_grad_()
    (x[:, None] * v.sum(1)[:, None, None] + v.sum()).sin().sum().backward()
    close(w.grad, v.grad)


def test_gradients_of_each_example():
    gf.manual_seed(0)
    net = gf.nn.Sequential(gf.nn.Linear(3, 4), gf.nn.Tanh(), gf.nn.LayerNorm(4), gf.nn.Linear(4, 2)).double()
    params = dict(net.named_parameters())
    x, y = gf.tensor(rng.standard_normal((6, 3))), gf.arange(6) % 2

    def loss(p, x, y):
        return gf.nn.functional.cross_entropy(gf.func.functional_call(net, p, (x[None],)), y[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
    for i in range(6):
        net.zero_grad()
        gf.nn.functional.cross_entropy(net(x[i : i + 1]), y[i : i + 1]).backward()
        for name, p in net.named_parameters():
            close(found[name][i], p.grad)
    assert not found["0.weight"].requires_grad or params["0.weight"].requires_grad


def test_an_ensemble():
    models = [gf.nn.Linear(3, 2) for _ in range(4)]
    params, buffers = gf.func.stack_module_state(models)
    x = gf.randn(5, 3)
    y = vmap(lambda p, b: gf.func.functional_call(models[0], (p, b), (x,)))(params, buffers)
    close(y, gf.stack([m(x) for m in models]), rtol=1e-5)
    y.sum().backward()
    close(params["bias"].grad, gf.full((4, 2), 5.0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("transform", ["jvp", "vjp", "jacrev", "jacfwd", "hessian"])
def test_derivatives_inside(torch, transform):
    a = rng.standard_normal((4, 3))
    results = []
    for t in (gf, torch):
        f = {
            "jvp": lambda x, t=t: t.func.jvp(lambda v: v.sin() * v.prod(), (x,), (x * 2,))[1],
            "vjp": lambda x, t=t: t.func.vjp(lambda v: v.sin() * v.prod(), x)[1](x * 2)[0],
            "jacrev": lambda x, t=t: t.func.jacrev(lambda v: v.sin() * v.prod())(x),
            "jacfwd": lambda x, t=t: t.func.jacfwd(lambda v: v.sin() * v.prod())(x),
            "hessian": lambda x, t=t: t.func.hessian(lambda v: v.sin().prod())(x),
        }[transform]
        results.append(t.func.vmap(f)(t.tensor(a)))
    close(*results)


def test_trees_and_places(torch):
    results = []
    for t in (gf, torch):
        x, y = t.arange(12.0).reshape(2, 3, 2), t.arange(3.0)

        def f(d, pair, n, t=t):
            return {"a": d["x"] * pair.left, "b": [d["x"].sum(), pair.right * n]}

        out = t.func.vmap(f, in_dims=({"x": 1}, Pair(0, None), None), out_dims={"a": -1, "b": 0})({"x": x}, Pair(y, y), 2)
        results.append([out["a"], *out["b"]])
        results[-1] += t.func.vmap(lambda a: (a, 3), out_dims=(1, None))(x)[:1]
        results[-1] += t.func.vmap(lambda a, b: (a * b, b), in_dims=(0, None), chunk_size=2)(y, x)
    for got, want in zip(*results, strict=True):
        close(got, want)


def test_many_cotangents_at_once(torch):
    results = []
    for t in (gf, torch):
        x = t.arange(1.0, 4.0, requires_grad=True)
        w = t.ones(2, requires_grad=True)
        y = (x**3).cumsum(0)
        results.append(t.autograd.grad(y, (x, w), t.eye(3), is_grads_batched=True, allow_unused=True, create_graph=True))
        results[-1] = [results[-1][0], t.autograd.grad(results[-1][0].sin().sum(), x)[0]]
        assert len(results[-1]) == 2
    for got, want in zip(*results, strict=True):
        close(got, want, rtol=1e-5)


def test_randomness():
    x = gf.zeros(3, 4)
    for draw in (
        lambda a: gf.rand(4),
        lambda a: gf.randn_like(a),
        lambda a: gf.nn.functional.dropout(a + 1, 0.5),
        lambda a: gf.randperm(40),
    ):
        with pytest.raises(RuntimeError, match="randomness"):
            vmap(draw)(x)
        same = vmap(draw, randomness="same")(x)
        assert (same == same[0]).all()
        different = vmap(draw, randomness="different")(x.repeat(1, 8) if draw(x).ndim == 2 else x)
        assert not (different == different[0]).all()
    gf.manual_seed(0)
    a = vmap(lambda _: gf.rand(3), randomness="different")(x), gf.rand(5)
    assert len(set(np.concatenate([t.numpy().ravel() for t in a]).tolist())) == 14
    shared = vmap(lambda _: gf.nn.functional.dropout(gf.ones(64), 0.5), randomness="different")(x)
    assert not (shared == shared[0]).all()
    g = vmap(grad(lambda a: gf.nn.functional.dropout(a, 0.5).sum()), randomness="different")(gf.ones(4, 8))
    assert set(g.numpy().ravel()) == {0, 2}


REFUSED = """
f(lambda x: x if x.sum() > 0 else -x)(x)
f(lambda x: x * x.sum().item())(x)
f(lambda x: x * float(x[0]))(x)
f(lambda x: t.arange(int(x[0])))(x)
f(lambda x: x[x > 0])(x)
f(lambda x: x.nonzero())(x)
f(lambda x: t.masked_select(x, x > 0))(x)
f(lambda x: t.rand(2))(x)
f(lambda x: shared.add_(x))(x)
f(lambda x: x, randomness="any")(x)
f(lambda x: x, chunk_size=0)(x)
f(lambda x: x, in_dims=None)(x)
f(lambda x: x, in_dims="0")(x)
f(lambda x: x, in_dims=(None,))(x)
f(lambda x: x, in_dims=(0, 0))(x)
f(lambda x: x, in_dims=2)(x)
f(lambda x: x, in_dims=("a",))(x)
f(lambda x: x, in_dims=-3)(x)
f(lambda x, y: x, in_dims=0)(x, 3)
f(lambda x, y: x, in_dims=0)(x, x[:1])
f(lambda: x)()
f(lambda x: 3)(x)
f(lambda x: None)(x)
f(lambda x: x, out_dims=None)(x)
f(lambda x: x, out_dims="0")(x)
f(lambda x: x, out_dims=(0, 0))(x)
f(lambda x: (x, x), out_dims=(0,))(x)
f(lambda x: x, out_dims=3)(x)
""".strip().splitlines()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", REFUSED)
def test_refused_as_in_torch(torch, code):
    def failure(t):
        try:
            eval(code, {"t": t, "f": t.func.vmap, "x": t.tensor([[1.0, 2], [3, 4]]), "shared": t.zeros(2)})
        except Exception as error:
            return error
        return None

    want, got = failure(torch), failure(gf)
    assert isinstance(want, Exception), "torch takes it"
    assert isinstance(got, type(want)), repr(got)
    assert isinstance(got, gf.errors.GradflowError) and ": " in str(got)


def test_after_a_failure_nothing_is_batched():
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: 1 / 0)(gf.ones(2))
    assert type(gf.zeros(3).array) is np.ndarray and gf.rand(2).shape == (2,)


def test_printing():
    shown = []
    vmap(vmap(lambda x: shown.append(repr(x)) or x))(gf.ones(1, 2))
    assert shown == ["BatchedTensor(lvl=2, bdim=0, value=\n    BatchedTensor(lvl=1, bdim=0, value=\n        tensor([[1., 1.]])\n    )\n)"]


# Every operation of torch's own database, against a loop over two examples.

NOT_THERE = "as_strided|histogram|ctc_loss|space.tensor_overload|nonzero|multinomial|bernoulli|^normal|rrelu|dropout|fractional|rand|empty|repeat_interleave|tensor_split|narrow$|unique|argwhere|masked_select|index_put|batch_norm|instance_norm|multi_head"
PARTS = 8


def convert(x, torch):
    if isinstance(x, torch.Tensor):
        return gf.from_numpy(x.detach().numpy().copy())
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(convert(v, torch) for v in x))
    if isinstance(x, list | tuple):
        return type(x)(convert(v, torch) for v in x)
    if isinstance(x, dict):
        return {k: convert(v, torch) for k, v in x.items()}
    if isinstance(x, torch.dtype | torch.layout | torch.memory_format | torch.device):
        raise TypeError("torch's own words")
    return x


def other(x):
    """A second example: the same elements in another order, so that they stay in the domain."""
    return x if x.dtype is gf.bool else x.reshape(-1).flip(0).reshape(tuple(x.shape)).clone()


def function_of(name):
    found = gf
    for part in name.split("."):
        found = getattr(found, part, None)
    return found if callable(found) else None


def tensors_of(result):
    return [y for y in flatten(result)[0] if isinstance(y, gf.Tensor)]


def check_sample(f, sample, torch):
    """Compare one sample; returns whether there was something to compare."""
    leaves, shape = flatten(convert(([sample.input, *sample.args], dict(sample.kwargs)), torch))
    at = [i for i, leaf in enumerate(leaves) if isinstance(leaf, gf.Tensor)]
    first = [leaves[i] for i in at]
    second = [other(x) for x in first]

    def call(*tensors):
        given = dict(zip(at, tensors, strict=True))
        args, kwargs = unflatten([given.get(i, leaf) for i, leaf in enumerate(leaves)], shape)
        return tuple(tensors_of(f(*args, **kwargs)))

    masks = [[True] * len(at), [k == 0 for k in range(len(at))], [k != 0 for k in range(len(at))]]
    for mask in [m for k, m in enumerate(masks) if any(m) and m not in masks[:k]]:
        try:
            one, two = call(*first), call(*(y if m else x for x, y, m in zip(first, second, mask, strict=True)))
        except gf.errors.GradflowError:
            continue  # elements in another order are no argument for it
        if not one or [y.shape for y in one] != [y.shape for y in two]:
            continue
        dims = tuple(0 if m else None for m in mask)
        stacked = [gf.stack([x, y]) if m else x for x, y, m in zip(first, second, mask, strict=True)]
        got = vmap(call, in_dims=dims)(*stacked)
        for y, a, b in zip(got, one, two, strict=True):
            assert y.dtype is a.dtype
            close(y, gf.stack([a, b]), rtol=1e-6, atol=1e-8)
        wanted = tuple(k for k, x in enumerate(first) if x.dtype is gf.float64)
        if not wanted or not any(y.is_floating_point() for y in one):
            continue

        def loss(*tensors):
            return sum((y * y.detach().cos()).sum() for y in call(*tensors) if y.is_floating_point())

        try:
            slope = grad(loss, argnums=wanted)
            one, two = slope(*first), slope(*(y if m else x for x, y, m in zip(first, second, mask, strict=True)))
        except gf.errors.GradflowError:
            continue  # has no derivative
        for y, a, b in zip(vmap(slope, in_dims=dims)(*stacked), one, two, strict=True):
            close(y, gf.stack([a, b]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_operation_of_torchs_database(torch, part):
    import re

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db

        wrong, done = [], 0
        for op in op_db[part::PARTS]:
            f = function_of(op.name)
            if (
                f is None
                or torch.float64 not in op.supported_dtypes("cpu")
                or re.search(NOT_THERE, f"{op.name}.{op.variant_test_name}".strip("."))
            ):
                continue
            random.seed(0), torch.manual_seed(0)
            try:
                samples = list(op.sample_inputs("cpu", torch.float64, requires_grad=False))[:2]
            except (ImportError, RuntimeError, NotImplementedError):
                continue
            for sample in samples:
                try:
                    check_sample(f, sample, torch)
                    done += 1
                except TypeError:
                    continue  # torch's own words among the arguments, or what we do not have
                except (AssertionError, RuntimeError) as error:
                    wrong.append(f"{op.name} {op.variant_test_name}: {type(error).__name__} {str(error)[:200]}")
        assert not wrong, "\n".join(wrong)
        assert done > 50
