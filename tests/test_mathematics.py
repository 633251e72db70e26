"""The mathematics that the documents state (part D), rule by rule: values in float64 against the rule, written out."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import gradflow as gf
from gradflow.autograd import gradcheck, gradgradcheck
from gradflow.autograd.functional import jacobian, jvp, vjp

RNG = np.random.default_rng(0)
ROOT = Path(__file__).parents[1]


def normal(*shape):
    return gf.tensor(RNG.standard_normal(shape))


A, B, X, W = normal(3, 3), normal(2, 3), normal(3), normal(4, 2)


def gradient(f, x=X):
    x = x.clone().requires_grad_()
    return gf.autograd.grad(f(x), x)[0]


def close(a, b):
    assert a.shape == b.shape
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


def u(x):
    return gf.sin(x)


def v(x):
    return A @ x


# The rules of matrix calculus, in numerator layout: (m, n) for m outputs and n inputs.
RULES = {
    "d(Ax)/dx = A": (lambda x: A @ x, lambda x: A),
    "d(xᵀA)/dx = Aᵀ": (lambda x: x @ A, lambda x: A.T),
    "d(a)/dx = 0": (lambda x: x * 0 + gf.ones_like(x), lambda x: gf.zeros(3, 3, dtype=x.dtype)),
    "d(x)/dx = I": (lambda x: x * 1, lambda x: gf.eye(3, dtype=x.dtype)),
    "d(xᵀAx)/dx = xᵀ(A + Aᵀ)": (lambda x: x @ A @ x, lambda x: (A + A.T) @ x),
    "d‖x‖²/dx = 2xᵀ": (lambda x: x.norm() ** 2, lambda x: 2 * x),
    "d(xᵀx)/dx = 2xᵀ": (lambda x: x @ x, lambda x: 2 * x),
    "d(aᵀx)/dx = aᵀ": (lambda x: A[0] @ x, lambda x: A[0]),
    "d(sum x)/dx = 1": (lambda x: x.sum(), lambda x: gf.ones_like(x)),
    "d(au)/dx = a du/dx": (lambda x: 3 * u(x), lambda x: 3 * jacobian(u, x)),
    "d(Au)/dx = A du/dx": (lambda x: B @ u(x), lambda x: B @ jacobian(u, x)),
    "d(u+v)/dx = du/dx + dv/dx": (lambda x: u(x) + v(x), lambda x: jacobian(u, x) + jacobian(v, x)),
    "d(uv)/dx = v du/dx + u dv/dx": (
        lambda x: u(x) * v(x),
        lambda x: v(x)[:, None] * jacobian(u, x) + u(x)[:, None] * jacobian(v, x),
    ),
    "d⟨u,v⟩/dx = uᵀ dv/dx + vᵀ du/dx": (lambda x: gf.dot(u(x), v(x)), lambda x: u(x) @ jacobian(v, x) + v(x) @ jacobian(u, x)),
    "d(g(u))/dx = dg/du du/dx": (lambda x: gf.tanh(v(x)), lambda x: (1 - gf.tanh(v(x)) ** 2)[:, None] * A),
}  # fmt: skip


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("rule", RULES)
def test_rules_of_matrix_calculus(rule, strategy):
    f, expected = RULES[rule]
    close(jacobian(f, X, strategy=strategy), expected(X))


def test_rules_for_matrices():
    """d tr(AM)/dM = Aᵀ, d ‖M‖²/dM = 2M, d log det M/dM = M⁻ᵀ, d (aᵀMb)/dM = a bᵀ: in the shape of M, as gradients are."""
    m = A @ A.T + gf.eye(3, dtype=A.dtype)
    close(gradient(lambda m: (A @ m).trace(), m), A.T)
    close(gradient(lambda m: (m * m).sum(), m), 2 * m)
    close(gradient(lambda m: gf.linalg.slogdet(m)[1], m), gf.linalg.inv(m).T)
    close(gradient(lambda m: A[0] @ m @ A[1], m), gf.outer(A[0], A[1]))


def test_chain_rule_sums_over_all_paths():
    """∂y/∂x = Σ ∂y/∂uᵢ ∂uᵢ/∂x over the paths x -> uᵢ -> y."""
    x = gf.tensor(0.7, dtype=gf.float64, requires_grad=True)
    parts = [gf.sin(x), x**2, gf.exp(x), x]
    y = parts[0] * parts[1] + parts[2] / parts[3]
    (whole,) = gf.autograd.grad(y, x, retain_graph=True)
    outer = gf.autograd.grad(y, parts, retain_graph=True)  # partial for each: x itself also reaches y through the others
    inner = [gf.cos(x), 2 * x, gf.exp(x)]
    direct = -parts[2] / parts[3] ** 2
    close(sum((o * i for o, i in zip(outer[:3], inner, strict=True)), direct), whole)
    close(outer[3], whole)  # it is x, so all paths end there


def test_a_diamond_of_many_paths():
    x = gf.tensor(1.0, dtype=gf.float64, requires_grad=True)
    y = x
    for _ in range(20):  # 2**20 paths, each with the derivative 1
        y = y + y
    assert gf.autograd.grad(y, x)[0].item() == 2.0**20


def test_chain_rule_in_vector_form():
    """(1, n) = (1, k) (k, n) for a scalar, (m, n) = (m, k) (k, n) for a vector, k = 2 and n = 3."""
    inner = jacobian(lambda x: gf.tanh(B @ x), X)
    u = gf.tanh(B @ X)
    outer_scalar = jacobian(lambda u: (u**3).sum().reshape(1), u)
    outer_vector = jacobian(lambda u: gf.exp(W @ u), u)
    assert outer_scalar.shape == (1, 2) and outer_vector.shape == (4, 2) and inner.shape == (2, 3)
    close(outer_scalar @ inner, jacobian(lambda x: (gf.tanh(B @ x) ** 3).sum().reshape(1), X))
    close(outer_vector @ inner, jacobian(lambda x: gf.exp(W @ gf.tanh(B @ x)), X))


class TestLayouts:
    """Numerator layout by default; the denominator's is its transpose; ``.grad`` has x's shape in either."""

    def test_numerator_by_default(self):
        assert jacobian(lambda x: B @ x, X).shape == (2, 3)
        close(jacobian(lambda x: B @ x, X), B)
        close(jacobian(lambda x: B @ x, X, layout="numerator"), B)

    @pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
    def test_denominator_is_the_transpose(self, strategy):
        close(jacobian(lambda x: B @ x, X, layout="denominator", strategy=strategy), B.T)

    def test_more_axes_and_several_arguments(self):
        def f(m, x):
            return m @ x, (m * m).sum(0)

        m = normal(2, 3)
        numerator, denominator = jacobian(f, (m, X)), jacobian(f, (m, X), layout="denominator")
        outputs = f(m, X)
        for i, y in enumerate(outputs):
            for j, x in enumerate((m, X)):
                assert numerator[i][j].shape == (*y.shape, *x.shape)
                assert denominator[i][j].shape == (*x.shape, *y.shape)
                flat = numerator[i][j].reshape(y.numel(), x.numel())
                close(denominator[i][j].reshape(x.numel(), y.numel()), flat.T)

    def test_scalars_and_unknown_layouts(self):
        close(jacobian(lambda x: x @ x, X, layout="denominator"), 2 * X)
        with pytest.raises(ValueError, match="layout"):
            jacobian(lambda x: x, X, layout="mixed")

    @pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1), (2, 2), ()])
    def test_grad_has_the_shape_of_x(self, shape):
        assert gradient(lambda x: (x * x).sum(), gf.ones(shape)).shape == shape


class TestForwardAndReverse:
    def test_twice_the_dot_product(self):
        """f = 2xᵀx at [0, 1, 2, 3]: four forward passes with unit vectors, or one backward."""
        x = gf.arange(4.0)

        def f(x):
            return 2 * gf.dot(x, x)

        assert [jvp(f, x, e)[1].item() for e in gf.eye(4)] == [0, 4, 8, 12]
        assert vjp(f, x)[1].tolist() == [0, 4, 8, 12]
        assert [gf.func.jvp(f, (x,), (e,))[1].item() for e in gf.eye(4)] == [0, 4, 8, 12]

    def test_the_square(self):
        x = gf.arange(4.0)
        value, tangent = gf.func.jvp(lambda x: x * x, (x,), (gf.ones(4),))
        assert value.tolist() == [0, 1, 4, 9] and tangent.tolist() == [0, 2, 4, 6]
        forward, reverse = gf.func.jacfwd(lambda x: x * x)(x), gf.func.jacrev(lambda x: x * x)(x)
        assert forward.tolist() == reverse.tolist() == gf.diag(gf.tensor([0.0, 2.0, 4.0, 6.0])).tolist()

    @pytest.mark.parametrize(
        "f",
        [lambda x: gf.softmax(A @ x, 0), lambda x: gf.cumprod(x, 0), lambda x: gf.outer(x, u(x)), lambda x: gf.linalg.solve(A, x.exp())],
        ids=["softmax", "cumprod", "outer", "solve"],
    )
    def test_they_agree(self, f):
        close(gf.func.jacfwd(f)(X), gf.func.jacrev(f)(X))
        t, w = normal(3), gf.tensor(RNG.standard_normal(f(X).shape))
        _, forward = jvp(f, X, t)
        _, back = vjp(f, X, w)
        close((forward * w).sum(), (back * t).sum())  # ⟨J t, w⟩ = ⟨t, Jᵀ w⟩


class TestDifferences:
    """Automatic differentiation is exact; (f(x + h) - f(x)) / h is not, and gradcheck compares the two."""

    def test_gradcheck(self):
        x = X.clone().requires_grad_()
        assert gradcheck(lambda x: gf.tanh(A @ x) * x, (x,))
        assert gradgradcheck(lambda x: gf.tanh(A @ x) * x, (x,))

    def test_gradcheck_sees_a_wrong_derivative(self):
        class Wrong(gf.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * x

            @staticmethod
            def backward(ctx, g):
                return g * 3

        with pytest.raises(RuntimeError, match="acobian mismatch"):
            gradcheck(Wrong.apply, (X.clone().requires_grad_(),))

    def test_a_difference_has_an_error_and_the_derivative_has_none(self):
        x = gf.tensor(1.0, dtype=gf.float64)
        exact = float(np.exp(1.0))
        errors = [abs(((gf.exp(x + h) - gf.exp(x)) / h).item() - exact) for h in (1e-1, 1e-4, 1e-15)]
        assert errors[0] > 1e-2 and 1e-6 < errors[1] < 1e-3 and errors[2] > 1e-3  # truncation, then rounding
        assert abs(gradient(gf.exp, x).item() - exact) < 1e-15


class TestContours:
    names = runpy.run_path(str(ROOT / "examples" / "contours.py"), run_name="contours")

    def test_the_gradient_is_orthogonal_to_the_contour_and_points_uphill(self):
        """Along the contour, which turns the gradient by 90°, the height does not change in first order; along the gradient it grows."""
        x, y = (gf.tensor(a) for a in RNG.uniform(-1.5, 2.0, (2, 50)))
        dx, dy = self.names["slopes"](x, y)
        h, size = 1e-5, gf.sqrt(dx**2 + dy**2)
        here, height = self.names["height"](x, y), self.names["height"]
        along = height(x - h * dy / size, y + h * dx / size) - here
        uphill = height(x + h * dx / size, y + h * dy / size) - here
        assert (along.abs() < 1e-8).all() and (uphill > 0).all()
        np.testing.assert_allclose(uphill.numpy(), (h * size).numpy(), rtol=1e-2, atol=1e-9)  # and as fast as the gradient is long

    def test_the_picture_is_drawn_by_code(self, tmp_path):
        pytest.importorskip("matplotlib")
        self.names["draw"](tmp_path / "contours.svg")
        assert (tmp_path / "contours.svg").read_text().count("<path") > 20
        page = ROOT / "docs" / "mathematics.md"
        assert "images/contours.svg" in page.read_text() and (page.parent / "images" / "contours.svg").exists()


def at(f, *values):
    x = gf.tensor(values[0] if len(values) == 1 else list(values), dtype=gf.float64, requires_grad=True)
    f(x).sum().backward()
    return x.grad.tolist()


# At a kink any subgradient would do; we take torch's. name: (function, point, gradient, the set it must be in)
KINKS = {
    "abs": (gf.abs, 0.0, 0.0),
    "relu": (gf.relu, 0.0, 0.0),
    "maximum(x, 0)": (lambda x: gf.maximum(x, gf.zeros_like(x)), 0.0, 0.5),
    "minimum(x, 0)": (lambda x: gf.minimum(x, gf.zeros_like(x)), 0.0, 0.5),
    "clamp(min=0)": (lambda x: x.clamp(min=0), 0.0, 1.0),
    "clamp(max=0)": (lambda x: x.clamp(max=0), 0.0, 1.0),
    "amax": (lambda x: x.amax(), [2.0, 1.0, 2.0], [0.5, 0.0, 0.5]),
    "max()": (lambda x: x.max(), [2.0, 1.0, 2.0], [0.5, 0.0, 0.5]),
    "min()": (lambda x: x.min(), [2.0, 1.0, 1.0], [0.0, 0.5, 0.5]),
    "max(dim)": (lambda x: x.max(0).values, [2.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "min(dim)": (lambda x: x.min(0).values, [1.0, 1.0, 2.0], [1.0, 0.0, 0.0]),
    "norm of 0": (lambda x: x.norm(), [0.0, 0.0], [0.0, 0.0]),
    "sqrt": (gf.sqrt, 0.0, float("inf")),
    "x**0": (lambda x: x**0, 0.0, 0.0),
    "prod of [1, 1, 0]": (lambda x: x.prod(), [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]),
    "prod of [1, 0, 0]": (lambda x: x.prod(), [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "sign": (gf.sign, 0.0, 0.0),
    "floor": (gf.floor, 1.0, 0.0),
    "leaky_relu": (lambda x: gf.nn.functional.leaky_relu(x, 0.1), 0.0, 0.1),
    "hardtanh": (gf.nn.functional.hardtanh, [-1.0, 1.0], [0.0, 0.0]),
    "l1_loss": (lambda x: gf.nn.functional.l1_loss(x, gf.zeros_like(x)), 0.0, 0.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_subgradients_at_kinks(name):
    f, point, expected = KINKS[name]
    assert at(f, point) == expected


@pytest.mark.parametrize("name", KINKS)
def test_subgradients_are_torchs(name, torch):
    f, point, expected = KINKS[name]
    import types

    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    code = types.FunctionType(f.__code__, {"gf": torch}) if f.__name__ == "<lambda>" else getattr(torch, f.__name__, None)
    code = code or getattr(torch.nn.functional, f.__name__)
    code(x).sum().backward()
    assert x.grad.tolist() == expected


@pytest.mark.parametrize(("f", "low", "high"), [(gf.abs, -1, 1), (gf.relu, 0, 1), (lambda x: gf.maximum(x, x * 0.0), 0, 1)])
def test_subgradients_are_subgradients(f, low, high):
    """f(y) >= f(0) + g (y - 0) for all y: g lies between the slopes on either side."""
    assert low <= at(f, 0.0) <= high
