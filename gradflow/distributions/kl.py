"""The Kullback-Leibler divergence of one distribution from another, a rule for each pair of kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from .categorical import Categorical, OneHotCategorical
from .derived import HalfNormal
from .distribution import Distribution
from .gamma import Beta, Dirichlet, Gamma
from .location_scale import Cauchy, Exponential, Laplace, Normal, Uniform
from .multivariate import MultivariateNormal, mahalanobis
from .transformed import Independent, TransformedDistribution
from .trials import Bernoulli, Binomial, Geometric, Poisson
from .utils import sum_rightmost

RULES: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Callable], Callable]:
    """A decorator: the function computes the divergence for these two kinds.

    >>> class Standard(gf.distributions.Normal):
    ...     pass
    >>> @gf.distributions.register_kl(Standard, Standard)
    ... def none(p, q):
    ...     return gf.tensor(0.0)
    >>> gf.distributions.kl_divergence(Standard(0.0, 1.0), Standard(0.0, 1.0))
    tensor(0.)
    """
    if not (
        isinstance(type_p, type) and issubclass(type_p, Distribution) and isinstance(type_q, type) and issubclass(type_q, Distribution)
    ):
        raise TypeError(f"register_kl: expected two Distribution subclasses but got {type_p} and {type_q}")

    def decorator(rule: Callable) -> Callable:
        RULES[type_p, type_q] = rule
        return rule

    return decorator


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The mean under p of log p - log q, for each place of the batch. NotImplementedError for kinds without a rule.

    >>> import gradflow as gf
    >>> normal = gf.distributions.Normal
    >>> gf.distributions.kl_divergence(normal(0.0, 1.0), normal(1.0, 1.0))
    tensor(0.5000)
    """
    for a in type(p).__mro__:
        for b in type(q).__mro__:
            if (a, b) in RULES:
                return RULES[a, b](p, q)
    raise NotImplementedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}")


@register_kl(Normal, Normal)
def normals(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def half_normals(p: HalfNormal, q: HalfNormal) -> Tensor:
    return normals(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def laplaces(p: Laplace, q: Laplace) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * gf.exp(-distance / p.scale) - 1


@register_kl(Cauchy, Cauchy)
def cauchys(p: Cauchy, q: Cauchy) -> Tensor:
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(Uniform, Uniform)
def uniforms(p: Uniform, q: Uniform) -> Tensor:
    inside = (q.low <= p.low) & (p.high <= q.high)
    return gf.where(inside, ((q.high - q.low) / (p.high - p.low)).log(), gf.inf)


@register_kl(Uniform, Normal)
def uniform_normal(p: Uniform, q: Normal) -> Tensor:
    length = p.high - p.low
    return (math.sqrt(2 * math.pi) * q.scale / length).log() + 0.5 * (length.pow(2) / 12 + (p.mean - q.loc).pow(2)) / q.scale.pow(2)


@register_kl(Exponential, Exponential)
def exponentials(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Bernoulli, Bernoulli)
def bernoullis(p: Bernoulli, q: Bernoulli) -> Tensor:
    softplus = gf.nn.functional.softplus
    yes = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    yes = gf.where(q.probs == 0, gf.inf, yes)
    no = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    no = gf.where(q.probs == 1, gf.inf, no)
    return gf.where(p.probs == 0, 0.0, yes) + gf.where(p.probs == 1, 0.0, no)


@register_kl(Binomial, Binomial)
def binomials(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return gf.where(p.total_count > q.total_count, gf.inf, kl)


@register_kl(Categorical, Categorical)
def categoricals(p: Categorical, q: Categorical) -> Tensor:
    each = p.probs * (p.logits - q.logits)
    each = gf.where((q.probs == 0).expand_as(each), gf.inf, each)
    return gf.where((p.probs == 0).expand_as(each), 0.0, each).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def one_hots(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return categoricals(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def geometrics(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def poissons(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Gamma, Gamma)
def gammas(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return b * (p.rate / q.rate).log() + gf.lgamma(b) - gf.lgamma(a) + (a - b) * gf.digamma(a) + (q.rate - p.rate) * (a / p.rate)


@register_kl(Beta, Beta)
def betas(p: Beta, q: Beta) -> Tensor:
    return dirichlets(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def dirichlets(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    means = gf.digamma(a) - gf.digamma(total).unsqueeze(-1)
    return gf.lgamma(total) - gf.lgamma(b.sum(-1)) - (gf.lgamma(a) - gf.lgamma(b)).sum(-1) + ((a - b) * means).sum(-1)


@register_kl(MultivariateNormal, MultivariateNormal)
def multivariate_normals(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ArgumentError("KL-divergence between two Multivariate Normals with different event shapes cannot be computed")
    n = p.event_shape[0]
    batch = gf.broadcast_shapes(p.batch_shape, q.batch_shape)
    own, other = (d._unbroadcasted_scale_tril.expand((*batch, n, n)) for d in (p, q))
    trace = gf.linalg.solve_triangular(other, own, upper=False).pow(2).sum([-2, -1])
    return q._half_log_det() - p._half_log_det() + 0.5 * (trace + mahalanobis(other, q.loc - p.loc) - n)


@register_kl(Independent, Independent)
def independents(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the two Independents take different numbers of axes as one value")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def transformed(p: TransformedDistribution, q: TransformedDistribution) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("kl_divergence: the two distributions are transformed differently")
    return kl_divergence(p.base_dist, q.base_dist)
