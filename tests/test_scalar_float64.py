"""The float64 bodies of the scalar primitives, against long double and known numbers."""

import math

import numpy as np
import pytest
from scalar_harness import NUMPY, SPECIAL, ULP, every_type, pairs, same

import gradflow as gf


@pytest.fixture(scope="session")
def everything():
    return every_type()


# float64 functions: (where they are swept, the largest error allowed in units in the last place)
WIDE = {
    "exp": (-750, 715, 1), "exp2": (-1080, 1026, 1.1), "expm1": (-45, 712, 1.6), "log": (0, 50, 1), "log2": (0, 50, 1), "log10": (0, 50, 1),
    "log1p": (-1, 50, 1.5), "sin": (-40, 40, 1), "cos": (-40, 40, 1), "tan": (-40, 40, 1.7), "asin": (-1, 1, 1.2), "acos": (-1, 1, 1.2),
    "atan": (-20, 20, 1.5), "sinh": (-712, 712, 2), "cosh": (-712, 712, 1.5), "tanh": (-22, 22, 2.1), "asinh": (-1e3, 1e3, 2), "acosh": (1, 1e3, 2.5),
    "atanh": (-1, 1, 2), "erf": (-7, 7, 2), "erfc": (-7, 28, 3.5), "pow": (0, 10, 1.7), "atan2": (-10, 10, 1.7),
}  # fmt: skip
EXTENDED = np.finfo(np.longdouble).nmant > 60


def wide_sweep(low, high):
    rng = np.random.default_rng(3)
    special = np.concatenate(
        [SPECIAL.astype(np.float64), [5e-324, -5e-324, 2.3e-308, 1e300, -1e300, 1.7e308, -1.7e308, 1e15 + 1, 2.0**53, 1e6, 1e-300]]
    )
    small = rng.choice([-1, 1], 4000) * 10 ** rng.uniform(-310, 0, 4000)
    return np.concatenate(
        [special, rng.uniform(low, high, 20_000), rng.uniform(max(low, -2), min(high, 2), 10_000), small, 1 + small[:1000]]
    )


def wide_error(y, truth):
    """The largest error in units in the last place; infinite where nan, an infinity or the sign of a zero is wrong."""
    with np.errstate(over="ignore"):
        rounded = truth.astype(np.float64)
    exact = (y == rounded) & (np.signbit(y) == np.signbit(rounded)) | (np.isnan(y) & np.isnan(rounded))
    with np.errstate(all="ignore"):
        distance = (np.abs(y - truth) / np.spacing(np.abs(rounded) * (1 - 1e-16))).astype(np.float64)
    error = np.where(exact, 0, np.where(np.isfinite(y) & np.isfinite(rounded) & ~((y == 0) & (rounded == 0)), distance, np.inf))
    return error.max(), error.argmax()


@pytest.mark.skipif(not EXTENDED, reason="needs a long double that is wider than a double")
@pytest.mark.parametrize("name", WIDE)
def test_float64(name, everything):
    """As compiled here, and as the extension computes tiles."""
    low, high, limit = WIDE[name]
    a = wide_sweep(low, high)
    operands = (a, np.random.default_rng(4).permutation(wide_sweep(-200, 200))) if name in ("pow", "atan2") else (a,)
    if len(operands) == 2:
        operands = tuple(np.concatenate(parts) for parts in zip(operands, pairs(a[: 2 * SPECIAL.size])))
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            truth = np.array([getattr(math, name)(x) for x in a]).astype(np.longdouble)
        else:
            truth = getattr(np, {"pow": "power", "atan2": "arctan2"}.get(name, NUMPY.get(name, name)))(
                *(x.astype(np.longdouble) for x in operands)
            )
    own = {"erf": gf.special.erf, "erfc": gf.special.erfc}.get(name) or getattr(gf, name)
    for y in (everything.apply(name, *operands), own(*map(gf.tensor, operands)).numpy()):
        error, where = wide_error(y, truth)
        assert error <= limit, f"{name}{tuple(x[where] for x in operands)} gives {y[where]!r}, not {truth[where]!r}: {error:.3f} ulp"


def test_erfinv_float64(everything):
    x = np.concatenate([np.linspace(-1, 1, 2001)[1:-1], 1 - np.logspace(-15, -1, 50), np.logspace(-300, -1, 50)])
    y = everything.apply("erfinv", x)
    for value, root in zip(x, y):
        # one Newton step from the answer moves it by a few units in its last place at most, what x's own rounding allows
        slope = 2 / math.sqrt(math.pi) * math.exp(-root * root)
        error = math.erf(root) - value if abs(value) < 0.5 else math.copysign((1 - abs(value)) - math.erfc(abs(root)), value)
        assert abs(error) <= slope * abs(root) * 1e-15 + 3e-16 * (1 - abs(value) if abs(value) >= 0.5 else abs(value)), (value, root)
    edges = everything.apply("erfinv", np.array([1, -1, 1.5, -np.inf, np.nan, 0.0, -0.0]))
    assert same(edges, np.array([np.inf, -np.inf, np.nan, np.nan, np.nan, 0.0, -0.0]))


def test_digamma_float64(everything):
    euler = 0.57721566490153286
    x = np.array([1, 0.5, 0.25, 2, 10, 100, 1e10, -0.5, -1.5])
    known = [-euler, -euler - 2 * math.log(2), -euler - math.pi / 2 - 3 * math.log(2), 1 - euler, 2.2517525890667211, 4.6001618527380874,
             23.025850929890457, 2 - euler - 2 * math.log(2), 2 + 2 / 3 - euler - 2 * math.log(2)]  # fmt: skip
    assert np.allclose(everything.apply("digamma", x), known, rtol=4e-15, atol=2e-15)
    edges = everything.apply("digamma", np.array([0.0, -0.0, -1, -2, np.inf, -np.inf, np.nan]))
    assert same(edges, np.array([-np.inf, np.inf, np.nan, np.nan, np.inf, np.nan, np.nan]))
    step = np.linspace(0.1, 30, 500)
    assert np.allclose(everything.apply("digamma", step + 1) - everything.apply("digamma", step), 1 / step, rtol=1e-11)


def test_zeta_float64(everything):
    x = np.array([2, 4, 3, 2, 2, 1.5, 4, 2, 3, 60])
    q = np.array([1, 1, 1, 0.5, 2, 1, 100, -0.5, -1.5, 0.5])
    known = [math.pi**2 / 6, math.pi**4 / 90, 1.2020569031595942854, math.pi**2 / 2, math.pi**2 / 6 - 1, 2.6123753486854883433,
             3.38366665000222172e-07, math.pi**2 / 2 + 4, 7 * 1.2020569031595942854 - 8 - 8 / 27, 2.0**60]  # fmt: skip
    assert np.allclose(everything.apply("zeta", x, q), known, rtol=4e-15)
    edges = everything.apply("zeta", np.array([1, 0.5, 2, 2.5, 2, np.nan]), np.array([1.0, 1, -3, -3.5, np.inf, 1]))
    assert same(edges, np.array([np.inf, np.nan, np.inf, np.nan, 0, np.nan]))
    y = everything.apply("zeta", x.astype(np.float32), q.astype(np.float32))
    assert everything.worst(y, np.array(known))[0] <= ULP["zeta"]


def test_incomplete_gamma_float64(everything):
    """Closed forms for whole and half orders; the recurrence for the others; both sum to 1."""
    x = np.array([1e-6, 0.01, 0.3, 1, 1.1, 2, 5, 20, 100])
    for name, one, half in (
        ("igamma", -np.expm1(-x), [math.erf(math.sqrt(v)) for v in x]),
        ("igammac", np.exp(-x), [math.erfc(math.sqrt(v)) for v in x]),
    ):
        assert np.allclose(everything.apply(name, np.full(9, 1.0), x), one, rtol=1e-13, atol=0)
        assert np.allclose(everything.apply(name, np.full(9, 0.5), x), half, rtol=1e-13, atol=0)
    rng = np.random.default_rng(3)
    a = np.concatenate([rng.uniform(0.1, 30, 500), 10 ** rng.uniform(2, 5, 500)])
    x = a * np.concatenate([rng.uniform(0.01, 4, 500), 1 + rng.uniform(-3, 3, 500) / np.sqrt(a[500:])])
    below, above = everything.apply("igamma", a, x), everything.apply("igammac", a, x)
    assert np.abs(below + above - 1).max() < 1e-15
    step = np.array([math.exp(p * math.log(v) - v - math.lgamma(p + 1)) for p, v in zip(a, x)])
    assert np.allclose(above + step, everything.apply("igammac", a + 1, x), rtol=1e-9, atol=0)  # the step itself is no better
    edges = [(0, 1), (1, 0), (0, 0), (-1, 1), (1, -1), (np.inf, 1), (1, np.inf), (np.inf, np.inf), (np.nan, 1), (1, np.nan)]
    a, x = (np.array(v, np.float64) for v in zip(*edges))
    nan = np.nan
    assert same(everything.apply("igamma", a, x), np.array([1, 0, nan, nan, nan, 0, 1, nan, nan, nan]))
    assert same(everything.apply("igammac", a, x), np.array([0, 1, nan, nan, nan, 1, 0, nan, nan, nan]))
