"""The special functions: against mathematics' own relations in float64, against torch, and SciPy where it can be imported."""

import math

import numpy as np
import pytest
from compare import same

import gradflow as gf

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 3, 12), [0.3, -0.3, 7.5, -12.0]])
P = np.abs(X) + 0.05
U = RNG.uniform(0.01, 0.99, 16)
special = gf.special

TORCHS = {
    "i0": X, "i0e": X, "i1": X, "i1e": X, "erfcx": X / 3, "ndtr": X, "log_ndtr": X, "ndtri": U, "entr": P, "psi": P, "gammaln": P, "expit": X,
    "logit": U, "sinc": X, "erf": X, "erfc": X, "erfinv": U, "exp2": X, "expm1": X, "log1p": P, "digamma": P,
}  # fmt: skip


@pytest.mark.parametrize("name", TORCHS)
def test_derivatives(torch, name):
    same(torch, lambda t, x: getattr(t.special, name)(x), [TORCHS[name]], rtol=1e-6)


def test_functions_of_two(torch):
    same(torch, lambda t, x, y: t.special.xlog1py(x, y), [X, P])
    same(torch, lambda t, y: t.special.zeta(t.tensor(2.5, dtype=t.float64), y), [P])
    same(torch, lambda t, x: t.special.gammainc(t.tensor(1.5, dtype=t.float64), x), [P])
    same(torch, lambda t, x: t.special.polygamma(2, x), [P])
    same(torch, lambda t, x: t.special.multigammaln(x + 2, 2), [P])
    same(torch, lambda t, x: t.special.logsumexp(x, 0), [X])


VALUES = """airy_ai bessel_j1 bessel_y0 modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1
    scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 bessel_j0 bessel_y1""".split()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("name", VALUES)
def test_values(torch, name, dtype):
    edges = np.array([0.0, -0.0, np.nan, 1, 2, 3, 5, 8, 9, 40] + ([np.inf] if "_k" in name else []))
    edges = np.arange(1, 9) if dtype == "int64" else np.concatenate([edges, X if "k" not in name and "_y" not in name else P])
    want, got = (getattr(t.special, name)(t.tensor(edges, dtype=getattr(t, dtype))) for t in (torch, gf))
    assert str(want.dtype) == str(got.dtype)
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=5e-5, atol=5e-6)  # torch's own are good to five digits in places


SCIPYS = {
    "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e", "bessel_j0": "j0", "bessel_j1": "j1", "bessel_y0": "y0", "bessel_y1": "y1",
    "modified_bessel_k0": "k0", "modified_bessel_k1": "k1", "scaled_modified_bessel_k0": "k0e", "scaled_modified_bessel_k1": "k1e",
    "erfcx": "erfcx", "ndtr": "ndtr", "log_ndtr": "log_ndtr", "airy_ai": "airy", "ndtri": "ndtri",
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPYS)
def test_float64_is_exact(name):
    """To 2e-13 of the function's size, a decaying oscillation's being its envelope."""
    scipy_special = pytest.importorskip("scipy.special")
    x = np.concatenate([np.linspace(-25, 25, 3001), 10.0 ** np.linspace(-6, 2.5, 200)])
    x = np.linspace(1e-6, 1 - 1e-6, 999) if name == "ndtri" else np.abs(x) + 1e-9 if "_k" in name or "_y" in name else x
    want = getattr(scipy_special, SCIPYS[name])(x)
    want = want[0] if name == "airy_ai" else want
    got = getattr(special, name)(gf.tensor(x)).numpy()
    waves = "_j" in name or "_y" in name or name == "airy_ai"
    size = np.maximum(np.abs(want), np.where(np.abs(x) > 1, 1 / np.sqrt(np.abs(x) + 1), 0) if waves else 0)
    near = np.abs(got - want) <= 2e-13 * size
    assert (near | (np.isinf(want) & (got == want)) | (np.abs(want) < 1e-290)).all()


def test_relations():
    x = gf.linspace(0.1, 40, 500, dtype=gf.float64)
    wronskian = special.bessel_j1(x) * special.bessel_y0(x) - special.bessel_j0(x) * special.bessel_y1(x)
    assert gf.allclose(wronskian, 2 / (math.pi * x), rtol=1e-12)
    modified = special.i0e(x) * special.scaled_modified_bessel_k1(x) + special.i1e(x) * special.scaled_modified_bessel_k0(x)
    assert gf.allclose(modified, 1 / x, rtol=1e-13)
    p = gf.linspace(0.001, 0.999, 999, dtype=gf.float64)
    assert gf.allclose(special.ndtr(special.ndtri(p)), p, rtol=1e-13)
    y = gf.linspace(-20, 5, 500, dtype=gf.float64)
    assert gf.allclose(special.log_ndtr(y).exp(), special.ndtr(y), rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1"]
)
def test_differential_equations(name):
    """Each function solves its own, so both derivatives are right."""
    x = gf.tensor(np.linspace(0.2, 12, 60), requires_grad=True)
    y = getattr(special, name)(x)
    first = gf.autograd.grad(y.sum(), x, create_graph=True)[0]
    second = gf.autograd.grad(first.sum(), x)[0]
    n = int(name[-1]) if name[-1].isdigit() else 0
    if name == "airy_ai":
        residual = second - x * y
    else:
        residual = x * x * second + x * first + (-1 if "_k" in name else 1) * x * x * y - n * n * y
    assert residual.abs().max() < 1e-9 * (1 + (x * x * y).abs().max())


FAMILIES = [f"{p}chebyshev_polynomial_{k}" for p in ("", "shifted_") for k in "tuvw"]
FAMILIES += ["hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"]


@pytest.mark.parametrize("name", FAMILIES)
def test_polynomials(torch, name):
    x = np.array([-1.7, -1, -0.6, 0, 0.25, 0.999, 1, 1.2, np.nan])[:, None]
    n = np.array([-1, 0, 1, 2, 3, 6, 9, 12, 20])
    want, got = (getattr(t.special, name)(t.tensor(x), t.tensor(n)) for t in (torch, gf))
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9, atol=1e-9)
    want, got = (getattr(t.special, name)(t.tensor([1, 2]), 3) for t in (torch, gf))
    assert str(want.dtype) == str(got.dtype) and want.tolist() == got.tolist()
    with pytest.raises(gf.errors.GradError, match="no derivative"):
        getattr(special, name)(gf.ones(2, requires_grad=True), 3)


def test_all_of_torchs_names_are_there(torch):
    theirs = {n for n in dir(torch.special) if not n.startswith("_") and callable(getattr(torch.special, n)) and n not in ("Tensor",)}
    assert theirs <= {*special.__all__, "common_args", "multi_dim_common"}
