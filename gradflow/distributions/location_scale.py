"""Distributions of a location and a scale, or of a rate, on the line."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily
from .utils import broadcast_all, draws, exponentials

EULER = 0.57721566490153286060


class LocationScale(Distribution):
    """loc + scale * (a number of the standard distribution)."""

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    def _standard(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (value - self.loc) / self.scale


class Normal(LocationScale, ExponentialFamily):
    """The normal distribution of this mean and standard deviation.

    >>> import gradflow as gf
    >>> gf.distributions.Normal(0.0, 1.0).log_prob(gf.tensor(0.0))
    tensor(-0.9189)
    """

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with gf.no_grad():
            return gf.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + draws(self.loc, self._extended_shape(sample_shape)) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + gf.erf(self._standard(value) / math.sqrt(2)))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * gf.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class Laplace(LocationScale):
    """Two exponential tails: exp(-|x - loc| / scale) / (2 scale).

    >>> gf.distributions.Laplace(0.0, 1.0).log_prob(gf.tensor(1.0)).exp()
    tensor(0.1839)
    """

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = gf.empty(tuple(self._extended_shape(sample_shape)), dtype=self.loc.dtype, device=self.loc.device)
        u.uniform_(gf.finfo(self.loc.dtype).eps - 1, 1)
        return self.loc - self.scale * u.sign() * gf.log1p(-u.abs())

    def log_prob(self, value: Tensor) -> Tensor:
        return -gf.log(2 * self.scale) - self._standard(value).abs()

    def cdf(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return 0.5 - 0.5 * z.sign() * gf.expm1(-z.abs())

    def icdf(self, value: Tensor) -> Tensor:
        u = value - 0.5
        return self.loc - self.scale * u.sign() * gf.log1p(-2 * u.abs())

    def entropy(self) -> Tensor:
        return 1 + gf.log(2 * self.scale)


class Cauchy(LocationScale):
    """The ratio of two normal numbers: tails so heavy that there is no mean.

    >>> gf.distributions.Cauchy(0.0, 1.0).log_prob(gf.tensor(1.0)).exp()
    tensor(0.1592)
    """

    @property
    def mean(self) -> Tensor:
        return gf.full_like(self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        return gf.full_like(self.loc, math.inf)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        eps = gf.empty(tuple(self._extended_shape(sample_shape)), dtype=self.loc.dtype, device=self.loc.device).cauchy_()
        return self.loc + eps * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        return -math.log(math.pi) - self.scale.log() - self._standard(value).square().log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return gf.atan(self._standard(value)) / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return gf.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(LocationScale):
    """The largest of many: exp(-(z + exp(-z))) / scale, z = (x - loc) / scale.

    >>> gf.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def stddev(self) -> Tensor:
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        info = gf.finfo(self.loc.dtype)
        u = draws(self.loc, self._extended_shape(sample_shape), gf.rand).clamp(info.tiny, 1 - info.eps)
        return self.loc - self.scale * gf.log(-gf.log(u))

    def log_prob(self, value: Tensor) -> Tensor:
        y = -self._standard(value)
        return y - y.exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        return gf.exp(-gf.exp(-self._standard(value)))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * gf.log(-gf.log(value))

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)


class Uniform(Distribution):
    """Equally likely everywhere in [low, high).

    >>> gf.distributions.Uniform(1.0, 3.0).mean
    tensor(2.)
    """

    has_rsample = True
    arg_constraints: ClassVar[dict[str, Any]] = {"low": constraints.dependent, "high": constraints.dependent}

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)
        if self._validate_args and not (self.low < self.high).all():
            raise ArgumentError(f"Uniform is not defined when low>= high; low={self.low}, high={self.high}")

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        return math.nan * self.high

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).pow(2) / 12

    @property
    def stddev(self) -> Tensor:
        return (self.high - self.low) / 12**0.5

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.low + draws(self.low, self._extended_shape(sample_shape), gf.rand) * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        inside = (self.low <= value) & (self.high > value)
        return gf.log(inside.to(self.low.dtype)) - gf.log(self.high - self.low)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return gf.log(self.high - self.low)


class Exponential(ExponentialFamily):
    """The wait for the next event, of which there are ``rate`` in a unit of time: rate * exp(-rate * x).

    >>> gf.distributions.Exponential(gf.tensor(2.0)).mean
    tensor(0.5000)
    """

    has_rsample = True
    arg_constraints: ClassVar[dict[str, Any]] = {"rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def mode(self) -> Tensor:
        return gf.zeros_like(self.rate)

    @property
    def stddev(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.rate.pow(-2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return exponentials(self.rate, self._extended_shape(sample_shape)) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 1 - gf.exp(-self.rate * value)

    def icdf(self, value: Tensor) -> Tensor:
        return -gf.log1p(-value) / self.rate

    def entropy(self) -> Tensor:
        return 1.0 - self.rate.log()


class VonMises(Distribution):
    """Angles in [-pi, pi) around ``loc``, of density exp(concentration cos(x - loc)) / (2 pi I0(concentration)).

    >>> gf.distributions.VonMises(0.0, 1.0).log_prob(gf.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean angle."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - I1(concentration) / I0(concentration)."""
        return 1 - gf.special.i1e(self.concentration) / gf.special.i0e(self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k = self.concentration
        return k * (gf.cos(value - self.loc) - 1) - math.log(2 * math.pi) - gf.special.i0e(k).log()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """By rejection from a wrapped Cauchy distribution (Best and Fisher, 1979), in float64."""
        shape = self._extended_shape(sample_shape)
        k = self.concentration.detach().double()
        tau = 1 + (1 + 4 * k * k).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        r = gf.where(k < 1e-5, 1 / k + k, (1 + rho * rho) / (2 * rho)).expand(shape)  # the first two terms, where the others cancel
        angle, waiting = gf.zeros_like(r), gf.ones_like(r, dtype=gf.bool)
        while waiting.any():
            turn, u, side = draws(r, (3, *shape), gf.rand).unbind()
            z = gf.cos(math.pi * turn)
            f = (1 + r * z) / (r + z)
            c = k * (r - f)
            accepted = waiting & ((c * (2 - c) > u) | ((c / u).log() + 1 - c >= 0))
            angle = gf.where(accepted, (side - 0.5).sign() * f.clamp(-1, 1).acos(), angle)
            waiting = waiting & ~accepted
        return ((angle + math.pi + self.loc.detach()) % (2 * math.pi) - math.pi).to(self.loc.dtype)
