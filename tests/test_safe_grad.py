"""``safe_grad``: a cotangent that is zero stays zero, whatever derivative it meets; first and recorded walks."""

import math

import numpy as np
import pytest

import gradflow as gf

NAN, INF = math.nan, math.inf


def of(values):
    return gf.tensor(values, dtype=gf.float64, requires_grad=True)


# name: (function, x, its gradient, the gradient of the sum of that)
CASES = {
    "where": (lambda x: gf.where(x > 0, x.sqrt(), 0.0), [0.0, 4.0], [0.0, 0.25], [0.0, -1 / 32]),
    "mask": (lambda x: x.log() * gf.tensor([0.0, 1.0], dtype=x.dtype), [0.0, 2.0], [0.0, 0.5], [0.0, -0.25]),
    "masked_fill": (lambda x: (1 / x).masked_fill(x == 0, 0.0), [0.0, 2.0], [0.0, -0.25], [0.0, 0.25]),
    "index": (lambda x: x.sqrt()[x > 0], [0.0, 4.0], [0.0, 0.25], [0.0, -1 / 32]),
    "clamp": (lambda x: (1 / x).clamp(max=10.0), [0.0, 2.0], [0.0, -0.25], [0.0, 0.25]),
    "squared": (lambda x: (x.sqrt() * gf.tensor([0.0, 1.0], dtype=x.dtype)) ** 2, [0.0, 4.0], [0.0, 1.0], [0.0, 0.0]),
    "power": (lambda x: gf.where(x > 0, x**0.5, x), [0.0, 4.0], [1.0, 0.25], [0.0, -1 / 32]),
    "two_operands": (lambda x: gf.where(x > 0, gf.atan2(x, x * 0), 0.0), [0.0, 2.0], [0.0, 0.0], [0.0, 0.0]),
    "broadcast": (lambda x: gf.where(x > 0, x / x.detach()[0], 0.0) * 0 + x, [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]),
    "softmax": (lambda x: gf.where(gf.tensor([[True], [False]]), gf.softmax(x, -1), 0.0)[:, 0],
                [[0.0, 0.0], [-INF, -INF]], [[0.25, -0.25], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
    "std": (lambda x: gf.where(gf.tensor([True, False]), x.std(1), 0.0),
            [[0.0, 2.0], [1.0, 1.0]], [[-math.sqrt(0.5), math.sqrt(0.5)], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
    "norm": (lambda x: gf.where(gf.tensor([True, False]), x.norm(p=0.5, dim=1), 0.0), [[1.0, 1.0], [0.0, 0.0]], [[2.0, 2.0], [0.0, 0.0]], None),
    "inverse": (lambda x: gf.where(gf.tensor([True, False])[:, None, None], gf.linalg.inv(x), 0.0),
                [[[1.0]], [[1e-200]]], [[[-1.0]], [[0.0]]], [[[2.0]], [[0.0]]]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*(divide|invalid|overflow)")
@pytest.mark.parametrize("name", CASES)
def test_what_was_not_taken_poisons_nothing(name):
    f, values, first, second = CASES[name]
    x = of(values)
    with gf.safe_grad():
        f(x).sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), first, rtol=1e-12, atol=1e-15)
        (g,) = gf.autograd.grad(f(x).sum(), x, create_graph=True)
        np.testing.assert_allclose(g.detach().numpy(), first, rtol=1e-12, atol=1e-15)
        if second is not None and g.requires_grad:
            (h,) = gf.autograd.grad(g.sum(), x, allow_unused=True, materialize_grads=True)
            np.testing.assert_allclose(h.numpy(), second, rtol=1e-12, atol=1e-15)


def test_a_formula_with_a_branch_inside():
    @gf.elementwise(smooth=True)
    def root_or_zero(x):
        return gf.scalar.where(gf.scalar.gt(x, 0), gf.scalar.sqrt(x), 0.0)

    @gf.elementwise(smooth=True)
    def masked_root(x, y):
        return gf.scalar.sqrt(x) * y

    x = of([0.0, 4.0])
    root_or_zero(x).sum().backward()  # a select within a formula needs no mode
    assert x.grad.tolist() == [0.0, 0.25]
    x.grad = None
    masked_root(x, gf.tensor([0.0, 1.0], dtype=gf.float64)).sum().backward()
    assert math.isnan(x.grad[0].item())
    x.grad = None
    with gf.safe_grad():
        masked_root(x, gf.tensor([0.0, 1.0], dtype=gf.float64)).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


@pytest.mark.parametrize("bias", [True, False])
def test_masked_rows_leave_the_weights_alone(bias):
    """A row that is nan, and that the loss leaves out, does not reach the gradient of the weights."""
    x = gf.tensor([[1.0, 2.0], [NAN, INF]])
    layer = gf.nn.Linear(2, 3, bias=bias)

    def loss():
        return gf.where(gf.tensor([[True], [False]]), layer(x), 0.0).sum()

    with gf.safe_grad():
        loss().backward()
        (again,) = gf.autograd.grad(loss(), layer.weight, create_graph=True)
    assert layer.weight.grad.tolist() == again.tolist() == [[1.0, 2.0]] * 3
    layer.weight.grad = None
    loss().backward()
    assert gf.isnan(layer.weight.grad).all()


def test_what_is_really_infinite_stays():
    x = of([0.0, 4.0])
    with gf.safe_grad():
        x.sqrt().sum().backward()
    assert x.grad.tolist() == [INF, 0.25]
    w = of([[1.0], [1.0]])
    with gf.safe_grad():
        (gf.tensor([[INF, 1.0]], dtype=gf.float64) @ w).sum().backward()
    assert w.grad.tolist() == [[INF], [1.0]]


def test_a_custom_function_with_nothing_coming_back():
    class Reciprocal(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 1 / x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return -g / (x * x)

    x = of([0.0])
    with gf.safe_grad():
        gf.where(x > 0, Reciprocal.apply(x), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0]


def test_forward_mode_agrees():
    def f(x):
        return gf.where(x > 0, x.sqrt(), 0.0)

    x, t = gf.tensor([0.0, 4.0]), gf.ones(2)
    with gf.safe_grad():
        _, tangent = gf.func.jvp(f, (x,), (t,))
    assert tangent.tolist() == [0.0, 0.25]


def test_second_derivatives_where_a_cotangent_happens_to_be_zero():
    """The derivative for the cotangent itself is not lost: forward mode and mixed derivatives go through it."""
    x = of([2.0, 3.0])
    with gf.safe_grad():
        _, tangent = gf.func.jvp(lambda x: x**3 * x.exp(), (x.detach(),), (gf.ones(2, dtype=gf.float64),))
        g = gf.zeros(2, dtype=gf.float64, requires_grad=True)
        (back,) = gf.autograd.grad(x**3, x, g, create_graph=True)
        (d,) = gf.autograd.grad(back.sum(), g)
    np.testing.assert_allclose(tangent.numpy(), [20 * math.exp(2), 54 * math.exp(3)], rtol=1e-12)
    assert d.tolist() == [12.0, 27.0]


def test_off_by_default_and_restored():
    def poisoned():
        x = of([0.0])
        gf.where(x > 0, x.sqrt(), 0.0).sum().backward()
        return math.isnan(x.grad.item())

    assert poisoned()
    for decorated in (gf.safe_grad(poisoned), gf.safe_grad()(poisoned)):
        assert not decorated() and poisoned()
    with pytest.raises(RuntimeError, match="inside"), gf.safe_grad():
        raise RuntimeError("inside")
    assert poisoned()


def test_the_same_gradients_where_nothing_is_singular():
    net = gf.nn.Sequential(gf.nn.Linear(4, 8), gf.nn.LayerNorm(8), gf.nn.GELU(), gf.nn.Linear(8, 3))
    x, target = gf.randn(5, 4), gf.tensor([0, 1, 2, 0, 1])

    def gradients():
        net.zero_grad()
        gf.nn.functional.cross_entropy(net(x), target).backward()
        return [p.grad.clone() for p in net.parameters()]

    plain = gradients()
    with gf.safe_grad():
        kept = gradients()
    for a, b in zip(plain, kept, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-5, atol=1e-7)
