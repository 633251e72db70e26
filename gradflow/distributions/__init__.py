"""Probability distributions: samples, densities, entropies, divergences, with gradients for the parameters.

>>> import gradflow as gf
>>> mean = gf.zeros(2, requires_grad=True)
>>> gf.distributions.Normal(mean, 1.0).log_prob(gf.ones(2)).sum().backward()
>>> mean.grad
tensor([1., 1.])
"""

import sys as _sys

from . import (
    categorical,
    constraint_registry,
    constraints,
    derived,
    distribution,
    gamma,
    joined,
    kl,
    location_scale,
    matrices,
    multivariate,
    relaxed,
    transformed,
    transforms,
    trials,
    utils,
)
from .categorical import Categorical, Multinomial, OneHotCategorical, OneHotCategoricalStraightThrough
from .constraint_registry import biject_to, transform_to
from .derived import FisherSnedecor, HalfCauchy, HalfNormal, Kumaraswamy, LogisticNormal, LogNormal, Pareto, Weibull
from .distribution import Distribution, ExponentialFamily
from .gamma import Beta, Chi2, Dirichlet, Gamma, InverseGamma, StudentT
from .joined import CatTransform, CumulativeDistributionTransform, StackTransform
from .kl import kl_divergence, register_kl
from .location_scale import Cauchy, Exponential, Gumbel, Laplace, Normal, Uniform, VonMises
from .matrices import LKJCholesky, Wishart
from .multivariate import LowRankMultivariateNormal, MultivariateNormal
from .relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from .transform import ComposeTransform, IndependentTransform, Transform, identity_transform
from .transformed import Independent, MixtureSameFamily, TransformedDistribution
from .transforms import (
    AbsTransform,
    AffineTransform,
    CorrCholeskyTransform,
    ExpTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StickBreakingTransform,
    TanhTransform,
)
from .trials import Bernoulli, Binomial, ContinuousBernoulli, Geometric, NegativeBinomial, Poisson

# PyTorch has a file for each: `from gradflow.distributions.normal import Normal` finds it where it is
_FILES = {
    location_scale: "normal laplace cauchy gumbel uniform exponential von_mises",
    trials: "bernoulli binomial continuous_bernoulli geometric negative_binomial poisson",
    categorical: "multinomial one_hot_categorical",
    gamma: "beta chi2 dirichlet inverse_gamma studentT",
    matrices: "wishart lkj_cholesky",
    multivariate: "multivariate_normal lowrank_multivariate_normal",
    derived: "half_cauchy half_normal log_normal pareto weibull fishersnedecor kumaraswamy logistic_normal",
    relaxed: "relaxed_bernoulli relaxed_categorical",
    transformed: "independent mixture_same_family transformed_distribution",
    distribution: "exp_family",
}
for _name in ("CatTransform", "StackTransform", "CumulativeDistributionTransform"):
    setattr(transforms, _name, globals()[_name])
for _file, _names in _FILES.items():
    for _name in _names.split():
        globals()[_name] = _sys.modules[f"{__name__}.{_name}"] = _file

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform", "Categorical", "Cauchy", "Chi2", "ComposeTransform",
    "ContinuousBernoulli", "CorrCholeskyTransform", "CumulativeDistributionTransform", "Dirichlet", "Distribution", "ExpTransform", "Exponential", "ExponentialFamily", "FisherSnedecor", "Gamma", "Geometric", "Gumbel",
    "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform", "InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal", "LowRankMultivariateNormal",
    "LowerCholeskyTransform", "MixtureSameFamily", "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "PositiveDefiniteTransform", "PowerTransform", "RelaxedBernoulli", "RelaxedOneHotCategorical",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform", "StickBreakingTransform", "StudentT", "TanhTransform", "Transform",
    "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to", "constraint_registry", "constraints", "identity_transform", "joined", "kl", "kl_divergence", "register_kl", "transform_to", "transforms", "utils",
]  # fmt: skip
