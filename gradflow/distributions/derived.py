"""Distributions that are transforms of simpler ones."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gradflow as gf

from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .location_scale import Cauchy, Exponential, Normal
from .transformed import TransformedDistribution
from .transforms import AffineTransform, ExpTransform, PowerTransform
from .utils import broadcast_all


class LogNormal(TransformedDistribution):
    """exp of a Normal.

    >>> gf.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args=validate_args), ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        return self.base_dist.loc  # type: ignore[attr-defined]

    @property
    def scale(self) -> Tensor:
        return self.base_dist.scale  # type: ignore[attr-defined]

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale.pow(2) / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale.pow(2)
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class Half(Distribution):
    """The absolute value of a symmetric distribution around 0."""

    arg_constraints: ClassVar[dict[str, Any]] = {"scale": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    base: ClassVar[Any]

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        self.base_dist = self.base(0, scale, validate_args=False)
        super().__init__(self.base_dist.batch_shape, validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return gf.zeros_like(self.scale)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape).abs()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return gf.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -gf.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """The absolute value of a Normal around 0.

    >>> gf.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    base = Normal

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(Half):
    """The absolute value of a Cauchy around 0.

    >>> gf.distributions.HalfCauchy(1.0).log_prob(gf.tensor(1.0)).exp()
    tensor(0.3183)
    """

    base = Cauchy

    @property
    def mean(self) -> Tensor:
        return gf.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance


class Weibull(TransformedDistribution):
    """scale times a power 1 / concentration of an exponential number.

    >>> gf.distributions.Weibull(gf.tensor(1.0), gf.tensor(1.0)).mean
    tensor(1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(gf.ones_like(self.scale), validate_args=validate_args)
        steps = [PowerTransform(exponent=self.concentration.reciprocal()), AffineTransform(0, self.scale)]
        super().__init__(base, steps, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.scale * gf.exp(gf.lgamma(1 + self.concentration.reciprocal()))

    @property
    def variance(self) -> Tensor:
        inverse = self.concentration.reciprocal()
        return self.scale.pow(2) * (gf.exp(gf.lgamma(1 + 2 * inverse)) - gf.exp(2 * gf.lgamma(1 + inverse)))

    def entropy(self) -> Tensor:
        euler = 0.57721566490153286060
        return euler * (1 - self.concentration.reciprocal()) + gf.log(self.scale * self.concentration.reciprocal()) + 1


class Pareto(TransformedDistribution):
    """scale times e to the power of an exponential number of rate alpha.

    >>> gf.distributions.Pareto(gf.tensor(1.0), gf.tensor(3.0)).mean
    tensor(1.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, [ExpTransform(), AffineTransform(0, self.scale)], validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())
