"""Distributions against torch's: densities, entropies, moments, divergences with their derivatives; samples by their statistics."""

import math

import numpy as np
import pytest

import gradflow as gf

RNG = np.random.default_rng(0)
VECTOR = RNG.normal(size=(2, 3))
POSITIVE = RNG.uniform(0.5, 2.0, size=(2, 3))
CHANCE = RNG.uniform(0.2, 0.8, size=(2, 3))
SIMPLEX = CHANCE / CHANCE.sum(-1, keepdims=True)
MATRIX = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.0]])
COUNTS = np.array([[0.0, 1.0, 3.0], [2.0, 0.0, 4.0]])
ONE_HOT = np.eye(3)[[0, 2]]

# name: (parameters, a value)
CASES = {
    "Normal": ({"loc": VECTOR, "scale": POSITIVE}, VECTOR[::-1]),
    "Laplace": ({"loc": VECTOR, "scale": POSITIVE}, VECTOR[::-1]),
    "Cauchy": ({"loc": VECTOR, "scale": POSITIVE}, VECTOR[::-1]),
    "Gumbel": ({"loc": VECTOR, "scale": POSITIVE}, VECTOR[::-1]),
    "Uniform": ({"low": VECTOR, "high": VECTOR + POSITIVE}, VECTOR + 0.5 * POSITIVE),
    "Exponential": ({"rate": POSITIVE}, POSITIVE[::-1]),
    "Bernoulli": ({"probs": CHANCE}, np.round(CHANCE)),
    "Bernoulli/logits": ({"logits": VECTOR}, np.round(CHANCE)),
    "ContinuousBernoulli": ({"probs": CHANCE}, CHANCE[::-1]),
    "Geometric": ({"probs": CHANCE}, COUNTS),
    "Binomial": ({"total_count": np.full((2, 3), 5.0), "logits": VECTOR}, COUNTS),
    "NegativeBinomial": ({"total_count": POSITIVE * 3, "logits": VECTOR}, COUNTS),
    "Poisson": ({"rate": POSITIVE}, COUNTS),
    "Categorical": ({"probs": SIMPLEX}, np.array([0, 2])),
    "Categorical/logits": ({"logits": VECTOR}, np.array([[1, 0], [2, 2], [0, 1]])),
    "OneHotCategorical": ({"logits": VECTOR}, ONE_HOT),
    "Multinomial": ({"total_count": 6, "probs": SIMPLEX}, np.array([[1.0, 2.0, 3.0], [6.0, 0.0, 0.0]])),
    "Gamma": ({"concentration": POSITIVE, "rate": POSITIVE[::-1]}, POSITIVE),
    "Chi2": ({"df": POSITIVE * 3}, POSITIVE),
    "InverseGamma": ({"concentration": POSITIVE + 2, "rate": POSITIVE}, POSITIVE),
    "Beta": ({"concentration1": POSITIVE + 1, "concentration0": POSITIVE[::-1] + 1}, CHANCE),
    "Dirichlet": ({"concentration": POSITIVE}, SIMPLEX),
    "StudentT": ({"df": POSITIVE + 2, "loc": VECTOR, "scale": POSITIVE}, VECTOR[::-1]),
    "LogNormal": ({"loc": VECTOR, "scale": POSITIVE}, POSITIVE),
    "HalfNormal": ({"scale": POSITIVE}, POSITIVE[::-1]),
    "HalfCauchy": ({"scale": POSITIVE}, POSITIVE[::-1]),
    "Weibull": ({"scale": POSITIVE, "concentration": POSITIVE + 0.5}, POSITIVE[::-1]),
    "Pareto": ({"scale": POSITIVE, "alpha": POSITIVE + 2}, POSITIVE + 1),
    "MultivariateNormal": ({"loc": VECTOR, "covariance_matrix": MATRIX}, VECTOR[::-1]),
    "MultivariateNormal/tril": ({"loc": VECTOR, "scale_tril": np.linalg.cholesky(MATRIX)}, VECTOR[::-1]),
    "MultivariateNormal/precision": ({"loc": VECTOR[0], "precision_matrix": MATRIX}, VECTOR),
    "LowRankMultivariateNormal": ({"loc": VECTOR, "cov_factor": VECTOR.T, "cov_diag": POSITIVE[0]}, VECTOR[::-1]),
    "VonMises": ({"loc": VECTOR, "concentration": POSITIVE * 3}, VECTOR[::-1]),
    "Kumaraswamy": ({"concentration1": POSITIVE + 1, "concentration0": POSITIVE[::-1] + 1}, CHANCE),
    "FisherSnedecor": ({"df1": POSITIVE + 3, "df2": POSITIVE + 30}, POSITIVE),
    "LogisticNormal": ({"loc": VECTOR[:, :2], "scale": POSITIVE[:, :2]}, SIMPLEX),
    "Wishart": ({"df": np.array([4.5, 6.0]), "covariance_matrix": MATRIX}, MATRIX + np.eye(3)),
    "Wishart/precision": ({"df": np.array(7.0), "precision_matrix": MATRIX}, MATRIX + np.eye(3)),
    "LKJCholesky": (
        {"dim": 3, "concentration": POSITIVE[:, 0]},
        np.linalg.cholesky(np.array([[1, 0.3, 0.1], [0.3, 1, -0.2], [0.1, -0.2, 1]])),
    ),
    "RelaxedBernoulli": ({"temperature": np.array(0.7), "logits": VECTOR}, CHANCE),
    "RelaxedOneHotCategorical": ({"temperature": np.array(0.7), "logits": VECTOR}, SIMPLEX),
}
PAIRS = "Normal Laplace Cauchy Uniform Exponential Bernoulli Binomial Geometric Poisson Categorical OneHotCategorical Gamma Beta Dirichlet"
PAIRS += " MultivariateNormal HalfNormal LogNormal"


def make(t, name, shift=0.0):
    """(the distribution, its parameters, a value)"""
    parameters, value = CASES[name]
    given = {
        k: v if isinstance(v, int) else t.tensor(v + shift * (k not in ("total_count",)), dtype=t.float64, requires_grad=k != "total_count")
        for k, v in parameters.items()
    }
    whole = t.tensor(value.copy()) if value.dtype.kind == "i" else t.tensor(value.copy(), dtype=t.float64, requires_grad=True)
    return getattr(t.distributions, name.split("/")[0])(**given), [v for v in given.values() if not isinstance(v, int)], whole


def numbers(t, result, inputs):
    """A result and its gradients for these inputs."""
    if not isinstance(result, (t.Tensor,)):
        return [result]
    inputs = [x for x in inputs if x.requires_grad]
    grads = t.autograd.grad(result.sum(), inputs, allow_unused=True, retain_graph=True) if result.requires_grad else []
    return [result.detach().numpy(), *[None if g is None else g.numpy() for g in grads]]


def attempt(call):
    try:
        return call()
    except NotImplementedError:
        return NotImplementedError


def agree(found, wanted, what, rtol=2e-6):
    assert len(found) == len(wanted), what
    for a, b in zip(found, wanted, strict=True):
        if a is None or b is None:  # no gradient is a gradient of zeros
            assert not np.any(a if b is None else b), what
        elif a is NotImplementedError or b is NotImplementedError:
            assert a is b, what
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7, err_msg=what)


@pytest.mark.filterwarnings("ignore:Singular sample")
@pytest.mark.parametrize("name", CASES)
def test_as_in_torch(torch, name):
    (ours, mine, x), (theirs, given, y) = make(gf, name), make(torch, name)
    assert (tuple(ours.batch_shape), tuple(ours.event_shape)) == (tuple(theirs.batch_shape), tuple(theirs.event_shape))
    assert ours.has_rsample == theirs.has_rsample
    agree(numbers(gf, ours.log_prob(x), [*mine, x]), numbers(torch, theirs.log_prob(y), [*given, y]), "log_prob")
    for what in ("mean", "variance", "stddev", "mode", "entropy"):
        value = [attempt(lambda d=d, w=what: getattr(d, w)() if w == "entropy" else getattr(d, w)) for d in (ours, theirs)]
        if value[1] is not NotImplementedError and not (value[0] is NotImplementedError and what == "mode"):
            agree(
                numbers(gf, value[0], mine), numbers(torch, value[1], given), what, 1e-5 if name == "VonMises" else 2e-6
            )  # torch's I1 / I0
    distribution = attempt(lambda: theirs.cdf(y))
    if distribution is not NotImplementedError and name not in ("Gamma", "Chi2", "InverseGamma"):
        agree(numbers(gf, ours.cdf(x), mine), numbers(torch, distribution, given), "cdf")
    inverse = attempt(lambda: theirs.icdf(torch.tensor(CHANCE)))
    if inverse is not NotImplementedError:
        agree(numbers(gf, ours.icdf(gf.tensor(CHANCE)), mine), numbers(torch, inverse, given), "icdf")
    first = x.shape[0] if x.ndim > len(ours.batch_shape) + len(ours.event_shape) else 4
    wide, wider = (d.expand((first, *d.batch_shape)) for d in (ours, theirs))
    agree([wide.log_prob(x).detach().numpy()], [wider.log_prob(y).detach().numpy()], "expand")
    assert tuple(ours.sample((2,)).shape) == tuple(theirs.sample((2,)).shape)
    assert not ours.sample().requires_grad


@pytest.mark.parametrize("name", PAIRS.split())
def test_divergence(torch, name):
    found = []
    for t in (gf, torch):
        (p, a, _), (q, b, _) = make(t, name), make(t, name, 0.0 if name in ("Categorical", "MultivariateNormal") else 0.1)
        if name == "Uniform":
            q = t.distributions.Uniform(a[0].detach() - 0.1, a[1].detach() + 0.2)
        found.append(numbers(t, t.distributions.kl_divergence(p, q), [*a, *b] if name != "Uniform" else a))
    agree(*found, name)


@pytest.mark.parametrize("name", CASES)
def test_samples_follow_their_distribution(name):
    d, parameters, _ = make(gf, name)
    gf.manual_seed(0)
    many = d.sample((4_000,)).numpy().astype(float)
    mean = attempt(lambda: d.mean.detach().numpy())
    if (
        mean is NotImplementedError
        or not np.isfinite(mean).all()
        or name in ("Pareto", "StudentT", "InverseGamma", "LogNormal", "VonMises")
    ):
        return
    spread = d.stddev.detach().numpy() if attempt(lambda: d.variance) is not NotImplementedError else many.std(0)
    assert (np.abs(many.mean(0) - mean) < 6 * spread / math.sqrt(4_000) + 1e-12).all()
    assert np.abs(many.std(0) / spread - 1).max() < 0.1
    if d.has_rsample:
        drawn = d.rsample((1000,))
        wanted = gf.autograd.grad(d.mean.sum(), parameters, allow_unused=True, retain_graph=True)
        found = gf.autograd.grad(drawn.mean(0).sum(), parameters, allow_unused=True)
        for g, w in zip(found, wanted, strict=True):
            assert g is None or w is None or np.abs((g - w).numpy()).max() < 0.2 + 0.1 * np.abs(w.numpy()).max()


def test_angles_follow_their_distribution():
    d = gf.distributions.VonMises(gf.tensor(VECTOR), gf.tensor(POSITIVE * 3))
    gf.manual_seed(0)
    x = d.sample((4000,))
    assert x.dtype is gf.float64 and bool((x >= -math.pi).all()) and bool((x < math.pi).all())
    difference = (x - d.loc).numpy()
    np.testing.assert_allclose(np.cos(difference).mean(0), 1 - d.variance.numpy(), atol=0.04)
    np.testing.assert_allclose(np.sin(difference).mean(0), 0, atol=0.05)
    assert bool((gf.distributions.VonMises(0.0, 1e-9).sample((9,)).abs() <= math.pi).all())


def test_matrices_by_any_factor():
    """The same distribution by its covariance, its inverse and its factor; samples of factors have rows of length 1."""
    v, x = gf.tensor(MATRIX), gf.tensor(MATRIX + np.eye(3))
    by = [{"covariance_matrix": v}, {"precision_matrix": v.inverse()}, {"scale_tril": gf.linalg.cholesky(v)}]
    densities = [gf.distributions.Wishart(5.0, **given).log_prob(x).item() for given in by]
    np.testing.assert_allclose(densities, densities[0], rtol=1e-9)
    factors = gf.distributions.LKJCholesky(4, gf.tensor([0.5, 3.0])).sample((500,))
    np.testing.assert_allclose(factors.square().sum(-1).numpy(), 1, rtol=1e-5)
    correlation = (factors @ factors.mT)[..., 0, 1].var(0).numpy()  # marginally Beta(a, a) on (-1, 1) with a = concentration + dim / 2 - 1
    np.testing.assert_allclose(correlation, [1 / (2 * a + 1) for a in (1.5, 4.0)], rtol=0.2)


def test_gamma_slopes(torch):
    """The gradient of a sample at the same place of the distribution: by differences of the distribution function's inverse."""
    stats = pytest.importorskip("scipy.stats")
    from gradflow.distributions.gamma import slope

    for a in (0.01, 0.3, 1.0, 4.0, 50.0, 3000.0, 5e4):
        u = np.array([0.02, 0.3, 0.5, 0.9, 0.999])
        z, h = stats.gamma.ppf(u, a), 1e-4 * a
        wanted = (stats.gamma.ppf(u, a + h) - stats.gamma.ppf(u, a - h)) / (2 * h)
        np.testing.assert_allclose(slope(np.full(5, a), z), wanted, rtol=2e-4, atol=1e-30)


def test_distribution_function_of_gamma(torch):
    for name in ("Gamma", "Chi2", "InverseGamma"):
        found = []
        for t in (gf, torch):
            given = {k: t.tensor(v.copy()) for k, v in CASES[name][0].items()}
            found.append(getattr(t.distributions, name)(**given).cdf(t.tensor(POSITIVE)).numpy())
        np.testing.assert_allclose(*found, rtol=1e-9)


def test_transforms(torch):
    for build in (
        lambda t: t.AffineTransform(1.0, 2.0),
        lambda t: t.ComposeTransform([t.AffineTransform(0.5, -2.0), t.ExpTransform()]),
        lambda t: t.SigmoidTransform(),
        lambda t: t.TanhTransform(),
        lambda t: t.SoftplusTransform(),
        lambda t: t.StickBreakingTransform(),
        lambda t: t.SigmoidTransform().inv,
        lambda t: t.IndependentTransform(t.ExpTransform(), 1),
    ):
        found = []
        for lib in (gf, torch):
            transform = build(lib.distributions.transforms)
            x = lib.tensor(CHANCE, requires_grad=True)
            y = transform(x)
            found.append(
                [*numbers(lib, y, [x]), *numbers(lib, transform.log_abs_det_jacobian(x, y), [x]), transform.inv(y).detach().numpy()]
            )
        agree(*found, "transform")


def test_made_of_others(torch):
    found = []
    for t in (gf, torch):
        d = t.distributions
        loc = t.tensor(VECTOR, requires_grad=True)
        x = t.tensor(VECTOR[::-1].copy())
        squashed = d.TransformedDistribution(d.Independent(d.Normal(loc, 1.0), 1), [d.TanhTransform(cache_size=1)])
        mixture = d.MixtureSameFamily(d.Categorical(logits=loc), d.Normal(loc, 1.0))
        vectors = d.MixtureSameFamily(d.Categorical(logits=loc[0, :2]), d.Independent(d.Normal(loc, 1.0), 1))
        results = [
            squashed.log_prob(x.tanh()),
            mixture.log_prob(x[:, 0]),
            mixture.mean,
            mixture.variance,
            mixture.cdf(x[:, 0]),
            vectors.log_prob(x),
        ]
        assert tuple(squashed.batch_shape), tuple(vectors.event_shape) == ((2,), (3,))
        assert tuple(vectors.sample((4,)).shape) == (4, 3)
        found.append([n for r in results for n in numbers(t, r, [loc])])
    agree(*found, "made of others")


MISTAKES = [
    lambda d, t: d.Normal(0.0, -1.0),
    lambda d, t: d.Normal(t.zeros(2), t.tensor([1.0, float("nan")])),
    lambda d, t: d.Normal("a", 1.0),
    lambda d, t: d.Uniform(1.0, 0.0),
    lambda d, t: d.Bernoulli(probs=2.0),
    lambda d, t: d.Bernoulli(),
    lambda d, t: d.Bernoulli(probs=0.5, logits=0.0),
    lambda d, t: d.Categorical(probs=t.tensor(-1.0)),
    lambda d, t: d.Categorical(logits=t.tensor([float("nan"), 0.0])),
    lambda d, t: d.Categorical(logits=t.zeros(3)).log_prob(t.tensor(3)),
    lambda d, t: d.Normal(t.zeros(3), 1.0).log_prob(t.zeros(2)),
    lambda d, t: d.Exponential(1.0).log_prob(t.tensor(-1.0)),
    lambda d, t: d.Normal(0.0, 1.0).log_prob(1.0),
    lambda d, t: d.MultivariateNormal(t.zeros(2)),
    lambda d, t: d.MultivariateNormal(t.zeros(2), t.tensor([[1.0, 2.0], [2.0, 1.0]])),
    lambda d, t: d.Dirichlet(t.tensor([1.0, -1.0])),
    lambda d, t: d.Independent(d.Normal(0.0, 1.0), 1),
    lambda d, t: d.kl_divergence(d.Normal(0.0, 1.0), d.Categorical(logits=t.zeros(2))),
    lambda d, t: d.Bernoulli(0.5).rsample(),
    lambda d, t: d.Wishart(1.0, t.eye(3)),
    lambda d, t: d.LKJCholesky(1),
    lambda d, t: d.LKJCholesky(2).log_prob(t.ones(2, 2)),
    lambda d, t: d.VonMises(0.0, -1.0),
    lambda d, t: d.Kumaraswamy(1.0, -1.0),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(torch, mistake):
    with pytest.raises(Exception) as theirs:
        mistake(torch.distributions, torch)
    with pytest.raises(theirs.type):
        mistake(gf.distributions, gf)


def test_unchecked_and_printed(torch):
    for t in (torch, gf):
        d = t.distributions
        assert d.Normal(0.0, -1.0, validate_args=False).scale == -1
        assert repr(d.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
        assert repr(d.Normal(t.zeros(2), 1.0)) == "Normal(loc: torch.Size([2]), scale: torch.Size([2]))"
        assert repr(d.Categorical(logits=t.zeros(2))) == "Categorical(logits: torch.Size([2]))"
        with pytest.raises(ValueError, match=r"to satisfy the constraint GreaterThan\(lower_bound=0.0\), but found invalid values"):
            d.Normal(0.0, -1.0)


def test_names_of_pytorchs_files():
    from gradflow.distributions.normal import Normal

    from gradflow.distributions.categorical import Categorical
    from gradflow.distributions.kl import kl_divergence

    assert Categorical is gf.distributions.Categorical
    assert Normal is gf.distributions.Normal
    assert kl_divergence is gf.distributions.kl_divergence
