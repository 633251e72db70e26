"""Random towers of transforms over random functions: gradflow.func and torch.func agree."""

import random

import numpy as np
import pytest

import gradflow as gf


def written(t, x):
    y = x * 1.5
    y.mul_(x)
    return y


def partly(t, x):
    y = t.zeros_like(x)
    y[1:] = x[:-1]
    return y + x.sin()


FUNCTIONS = {
    "sin": lambda t, x, a: x.sin(),
    "exp": lambda t, x, a: (0.3 * x).exp(),
    "square": lambda t, x, a: x * x,
    "matrix": lambda t, x, a: a @ x,
    "from the left": lambda t, x, a: x @ a,
    "softmax": lambda t, x, a: x.softmax(0) * x,
    "cumsum": lambda t, x, a: x.cumsum(0).tanh(),
    "flip": lambda t, x, a: x.flip(0) * x,
    "index": lambda t, x, a: x[t.tensor([2, 0, 0])] * x,
    "gather": lambda t, x, a: t.gather(a, 1, t.tensor([[1], [0], [2]]))[:, 0] * x,
    "where": lambda t, x, a: t.where(x > 0.8, x * x, x.exp()),
    "norm": lambda t, x, a: x / x.norm(),
    "logsumexp": lambda t, x, a: x + x.logsumexp(0),
    "cat": lambda t, x, a: t.cat([x[:1], x[1:].sin()]),
    "outer": lambda t, x, a: (x[:, None] * x.cos()).sum(0),
    "inverse": lambda t, x, a: t.linalg.inv(a) @ x,
    "log_softmax": lambda t, x, a: t.nn.functional.log_softmax(x, 0) * x,
    "written": lambda t, x, a: written(t, x),
    "written in part": lambda t, x, a: partly(t, x),
    "product": lambda t, x, a: x.prod() * x,
    "max": lambda t, x, a: x.max() * x,
}

# (t, f) -> a function of a vector of 3, too
TRANSFORMS = {
    "grad": lambda t, f: t.func.grad(lambda x: f(x).sum()),
    "grad and value": lambda t, f: lambda x: sum(t.func.grad_and_value(lambda y: f(y).sin().sum())(x)),
    "jacrev": lambda t, f: lambda x: t.func.jacrev(f)(x).sum(0),
    "jacrev in chunks": lambda t, f: lambda x: t.func.jacrev(f, chunk_size=2)(x) @ x,
    "jacfwd": lambda t, f: lambda x: t.func.jacfwd(f)(x).sum(0),
    "hessian": lambda t, f: lambda x: t.func.hessian(lambda y: f(y).sum())(x)[0],
    "jvp": lambda t, f: lambda x: t.func.jvp(f, (x,), (x.cos(),))[1],
    "vjp": lambda t, f: lambda x: t.func.vjp(f, x)[1](x.sin())[0],
    "vmap": lambda t, f: lambda x: t.func.vmap(f)(t.stack([x, x * 0.5])).sum(0),
    "vmap of a column": lambda t, f: lambda x: t.func.vmap(f, 1, 1)(t.stack([x, x * 0.5], 1)) @ t.ones(2, dtype=t.float64),
    "vmap over a scale": lambda t, f: lambda x: t.func.vmap(lambda s: f(x * s))(t.tensor([0.5, 0.9, 1.0], dtype=t.float64)).sum(0),
    "vmap of pairs": lambda t, f: (
        lambda x: t.func.vmap(lambda p: f(p["a"]) * p["b"][0], ({"a": None, "b": (0,)},))({"a": x, "b": (t.stack([x, x]),)}).sum(0)
    ),
    "vmap of jacrev": lambda t, f: lambda x: t.func.vmap(t.func.jacrev(f))(t.stack([x, x * 0.5])).sum((0, 1)),
    "outside": lambda t, f: lambda x: f(x) * x.sum(),
    "aux": lambda t, f: lambda x: t.func.grad(lambda y: ((f(y) * x).sum(), y * 2), has_aux=True)(x)[0],
}
OUTERMOST = {"linearize": lambda t, f: lambda x: t.func.linearize(f, x)[1](x)}


def tower(t, seed):
    rng = random.Random(seed)
    fixed = np.random.default_rng(seed)
    a = t.tensor(fixed.uniform(-1, 1, (3, 3)) + 2 * np.eye(3))
    x = t.tensor(fixed.uniform(0.5, 1.5, 3))
    parts = rng.sample(list(FUNCTIONS), 2)

    def f(x):
        for name in parts:
            x = FUNCTIONS[name](t, x, a)
        return x

    above = [rng.choice(list(TRANSFORMS)) for _ in range(rng.randint(1, 3))]
    above[-1] = "linearize" if seed % 20 == 0 else above[-1]  # outermost, as torch wants it
    for name in above:
        f = (TRANSFORMS | OUTERMOST)[name](t, f)
    return f, x, (parts, above)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", range(3))
def test_random_towers(torch, block):
    for seed in range(30 * block, 30 * block + 30):
        f, x, names = tower(gf, seed)
        g, y, _ = tower(torch, seed)
        try:
            want = g(y).numpy()
        except (RuntimeError, NotImplementedError):
            continue
        np.testing.assert_allclose(f(x).numpy(), want, rtol=1e-6, atol=1e-8, err_msg=f"{seed}: {names}")
