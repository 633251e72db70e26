"""Functions of numbers that are less often called, against torch: values, types, gradients of both orders."""

import numpy as np
import pytest
from compare import same

import gradflow as gf

RNG = np.random.default_rng(0)
X = RNG.normal(0, 2, (4, 5))
Y = RNG.normal(0, 2, (1, 5))
P = RNG.uniform(0.3, 6, (4, 5))
U = RNG.uniform(0.1, 0.9, (3, 4))
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0])

BOTH = {
    "copysign": (lambda t, x, y: t.copysign(x, y), [X, Y]),
    "copysign number": (lambda t, x: x.copysign(-2.0), [X]),
    "fmax": (lambda t, x, y: t.fmax(x, y), [X, Y]),
    "fmin": (lambda t, x, y: t.fmin(x, y), [X, Y]),
    "fmax nan": (lambda t, x: t.fmax(x, t.tensor(float("nan"), dtype=t.float64)), [X]),
    "fmax tie": (lambda t, x, y: t.fmax(x, y), [Y, Y]),
    "ldexp": (lambda t, x: t.ldexp(x, t.tensor([[0, 3, 2, 1, 7]])), [X]),
    "logaddexp2": (lambda t, x, y: t.logaddexp2(x, y), [X, Y]),
    "logit": (lambda t, x: t.logit(x), [U]),
    "logit eps": (lambda t, x: t.logit(x, 0.3), [U]),
    "nan_to_num": (lambda t, x: t.nan_to_num(x) * 1e-308, [EDGES]),
    "nan_to_num given": (lambda t, x: x.nan_to_num(1.0, posinf=2.0, neginf=3.0), [EDGES]),
    "angle": (lambda t, x: x * t.angle(x), [X]),
    "sgn": (lambda t, x: x * x.sgn(), [X]),
    "float_power": (lambda t, x: t.float_power(x, 3), [P]),
    "clamp_min": (lambda t, x: x.clamp_min(0.5), [X]),
    "clamp_max": (lambda t, x: t.clamp_max(x, 0.5), [X]),
    "frexp": (lambda t, x: t.frexp(x).mantissa * x, [P]),
    "positive": (lambda t, x: t.positive(x) * x, [X]),
    "digamma": (lambda t, x: x.digamma(), [P]),
    "digamma below 0": (lambda t, x: x.digamma(), [X]),
    "lgamma": (lambda t, x: x.lgamma(), [P]),
    "polygamma 1": (lambda t, x: t.polygamma(1, x), [P]),
    "polygamma 3": (lambda t, x: x.polygamma(3), [P]),
    "mvlgamma": (lambda t, x: t.mvlgamma(x + 2, 3), [P]),
    "igamma": (lambda t, x: t.igamma(t.tensor(2.5, dtype=t.float64), x), [P]),
    "igammac": (lambda t, x: t.igammac(t.tensor(2.5, dtype=t.float64), x), [P]),
}
VALUES = {
    "signbit": lambda t, x: t.signbit(x),
    "isposinf": lambda t, x: x.isposinf(),
    "isneginf": lambda t, x: t.isneginf(x),
    "isreal": lambda t, x: x.isreal(),
    "heaviside": lambda t, x: t.heaviside(x, t.tensor(0.5, dtype=x.dtype)),
    "nextafter": lambda t, x: t.nextafter(x, t.tensor(1.0, dtype=x.dtype)),
    "frexp": lambda t, x: t.frexp(x[:1])[1],
    "angle": lambda t, x: t.angle(x),
    "copysign": lambda t, x: t.copysign(1.0 + 0 * x, x),
    "isin": lambda t, x: t.isin(x, t.tensor([0.0, 1.5], dtype=x.dtype)),
    "isin number": lambda t, x: t.isin(x, 1.5, invert=True),
    "gcd": lambda t, x: t.gcd(t.tensor([12, -18, 0]), t.tensor([8, 12, 0])),
    "lcm": lambda t, x: t.lcm(t.tensor([12, -18, 0], dtype=t.int32), t.tensor(8, dtype=t.int16)),
    "in place": lambda t, x: x.clone().nan_to_num_().clamp_min_(-1.0).copysign_(x).absolute_().subtract_(0.5).arctan_(),
    "of integers": lambda t, x: t.copysign(t.tensor([1, 2]), -1) + t.logit(t.tensor([0, 1])) + t.angle(t.tensor([-1, 1])),
}


@pytest.mark.parametrize("name", BOTH)
def test_derivatives(torch, name):
    f, arrays = BOTH[name]
    same(torch, f, arrays)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VALUES)
def test_values(torch, name, dtype):
    want, got = (VALUES[name](t, t.tensor(EDGES, dtype=getattr(t, dtype))) for t in (torch, gf))
    assert str(want.dtype) == str(got.dtype)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)
    assert np.array_equal(np.signbit(got.numpy()), np.signbit(want.numpy())) or got.dtype is not getattr(gf, dtype)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda t: t.heaviside(t.ones(2), t.ones(2, dtype=t.float64)), RuntimeError),
        (lambda t: t.gcd(t.ones(2), t.ones(2)), RuntimeError),
        (lambda t: t.nextafter(t.ones(2, dtype=t.int64), t.ones(2, dtype=t.int64)), RuntimeError),
        (lambda t: t.positive(t.tensor([True])), RuntimeError),
        (lambda t: t.polygamma(-1, t.ones(2)), RuntimeError),
        (lambda t: t.mvlgamma(t.ones(2), 0), RuntimeError),
        (lambda t: t.frexp(t.ones(2, dtype=t.int64)), RuntimeError),
        (lambda t: t.isin(1, 2), TypeError),
        (lambda t: t.gcd(t.ones(2, dtype=t.int64), t.ones(3, dtype=t.int64)), RuntimeError),
    ],
)
def test_refusals(torch, call, kind):
    for t in (torch, gf):
        with pytest.raises(kind):
            call(t)


@pytest.mark.parametrize("zeros", [(), (0,), (3,), (1, 3), (0, 4)])
@pytest.mark.parametrize("op", ["cumprod", "prod"])
def test_gradients_of_products_with_zeros(torch, op, zeros):
    values = np.random.default_rng(3).standard_normal((2, 5, 3))
    values[0, list(zeros), 1] = 0
    seed = np.random.default_rng(4).standard_normal((2, 5, 3) if op == "cumprod" else (2, 3))

    def gradients(t):
        x = t.tensor(values, requires_grad=True)
        getattr(t, op)(x, 1).backward(t.tensor(seed))
        (again,) = t.autograd.grad(getattr(t, op)(x, 1), x, t.tensor(seed), create_graph=True)
        (second,) = t.autograd.grad(again.square().sum(), x)
        return x.grad.numpy(), again.detach().numpy(), second.numpy()

    for ours, theirs in zip(gradients(gf), gradients(torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
