"""Distributions of trials with two outcomes, and of counts."""

from __future__ import annotations

from typing import Any, ClassVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily
from .utils import broadcast_all, clamp_probs, draws, lazy_property, logits_to_probs, probs_to_logits


def one_of(name: str, probs: Any, logits: Any) -> None:
    """Refuse both, and neither."""
    if (probs is None) == (logits is None):
        raise ArgumentError(f"{name}: Either `probs` or `logits` must be specified, but not both.")


class Binary(Distribution):
    """What is made of trials with two outcomes, by their probability or its logit."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}

    def _set(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        one_of(type(self).__name__, probs, logits)
        given = probs if logits is None else logits
        value, *rest = broadcast_all(given, *others)
        setattr(self, "probs" if logits is None else "logits", value)
        self._param = value
        return tuple(rest)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, True)

    @property
    def param_shape(self) -> Size:
        return self._param.size()


class Bernoulli(Binary, ExponentialFamily):
    """1 with probability ``probs``, else 0.

    >>> import gradflow as gf
    >>> gf.distributions.Bernoulli(probs=gf.tensor([0.25])).mean
    tensor([0.2500])
    """

    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._set(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return gf.where(self.probs == 0.5, gf.nan, (self.probs >= 0.5).to(self.probs.dtype))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with gf.no_grad():
            return gf.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -gf.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return gf.nn.functional.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = gf.arange(2, dtype=self._param.dtype, device=self._param.device).reshape(-1, *(1,) * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class Geometric(Binary):
    """How many failures before the first success.

    >>> gf.distributions.Geometric(gf.tensor(0.25)).mean
    tensor(3.)
    """

    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._set(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            raise ArgumentError(f"Expected parameter probs of distribution {self!r} to be positive but found invalid values:\n{self.probs}")

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return gf.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with gf.no_grad():
            u = draws(self.probs, self._extended_shape(sample_shape), gf.rand).clamp(min=gf.finfo(self.probs.dtype).tiny)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        return gf.where((probs == 1) & (value == 0), 0.0, value * (-probs).log1p() + probs.log())

    def entropy(self) -> Tensor:
        return gf.nn.functional.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(Binary):
    """How many of ``total_count`` trials succeed.

    >>> gf.distributions.Binomial(4, gf.tensor(0.5)).log_prob(gf.tensor(2.0)).exp()
    tensor(0.3750)
    """

    has_enumerate_support = True
    arg_constraints: ClassVar[dict[str, Any]] = {"total_count": constraints.nonnegative_integer, **Binary.arg_constraints}

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        (self.total_count,) = self._set(probs, logits, total_count)
        super().__init__(self._param.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with gf.no_grad():
            return gf.binomial(self.total_count.expand(shape).to(self.probs.dtype), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        ways = gf.lgamma(n + 1) - gf.lgamma(value + 1) - gf.lgamma(n - value + 1)
        # log p^k (1 - p)^(n - k) = k * logit + n * log(1 - p)
        return ways + value * self.logits - n * gf.nn.functional.softplus(self.logits)

    def entropy(self) -> Tensor:
        if not self.total_count.min() == self.total_count.max():
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        n = int(self.total_count.max())
        if not self.total_count.min() == n:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = gf.arange(1 + n, dtype=self._param.dtype, device=self._param.device).reshape(-1, *(1,) * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class NegativeBinomial(Binary):
    """How many successes before ``total_count`` failures.

    >>> gf.distributions.NegativeBinomial(2.0, gf.tensor(0.5)).mean
    tensor(2.)
    """

    support = constraints.nonnegative_integer
    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        (self.total_count,) = self._set(probs, logits, total_count)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * gf.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / gf.sigmoid(-self.logits)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        from .gamma import Gamma

        with gf.no_grad():
            return gf.poisson(Gamma(self.total_count, gf.exp(-self.logits), validate_args=False).sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        chance = n * gf.nn.functional.logsigmoid(-self.logits) + value * gf.nn.functional.logsigmoid(self.logits)
        ways = gf.lgamma(1.0 + value) + gf.lgamma(n) - gf.lgamma(n + value)
        return chance - gf.where(n + value == 0.0, 0.0, ways)


class Poisson(ExponentialFamily):
    """How many events there are, of ``rate`` on average.

    >>> gf.distributions.Poisson(gf.tensor(2.0)).log_prob(gf.tensor(0.0)).exp()
    tensor(0.1353)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with gf.no_grad():
            return gf.poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return gf.xlogy(value, rate) - rate - gf.lgamma(value + 1)


class ContinuousBernoulli(Binary):
    """Numbers in [0, 1] whose density is in proportion to p^x (1 - p)^(1 - x) (Loaiza-Ganem and Cunningham, 2019).

    >>> gf.distributions.ContinuousBernoulli(gf.tensor(0.3)).mean
    tensor(0.4302)
    """

    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501), validate_args: bool | None = None
    ) -> None:
        self._set(probs, logits)
        if probs is not None:
            self.probs = self._param = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)

    def _outside(self) -> Tensor:
        """Where the formulas do not divide nearly nothing by nearly nothing."""
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Tensor:
        return gf.where(self._outside(), self.probs, self._lims[0])

    def _log_norm(self) -> Tensor:
        p = self._cut()
        low, high = gf.where(p <= 0.5, p, 0.0), gf.where(p >= 0.5, p, 1.0)
        norm = gf.log((gf.log1p(-p) - p.log()).abs()) - gf.where(p <= 0.5, gf.log1p(-2.0 * low), gf.log(2.0 * high - 1.0))
        x = (self.probs - 0.5).pow(2)
        return gf.where(self._outside(), norm, 0.6931471805599453 + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> Tensor:
        p, x = self._cut(), self.probs - 0.5
        return gf.where(
            self._outside(), p / (2.0 * p - 1.0) + 1.0 / (gf.log1p(-p) - p.log()), 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x
        )

    @property
    def variance(self) -> Tensor:
        p, x = self._cut(), (self.probs - 0.5).pow(2)
        spread = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / (gf.log1p(-p) - p.log()).pow(2)
        return gf.where(self._outside(), spread, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        p = self._cut()
        inside = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        return gf.where(self._outside(), inside, value).clamp(0.0, 1.0)

    def entropy(self) -> Tensor:
        log0, log1 = (-self.probs).log1p(), self.probs.log()
        return self.mean * (log0 - log1) - self._log_norm() - log0

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(draws(self.probs, self._extended_shape(sample_shape), gf.rand))

    def icdf(self, value: Tensor) -> Tensor:
        p = self._cut()
        inside = (gf.log1p(-p + value * (2.0 * p - 1.0)) - gf.log1p(-p)) / (p.log() - gf.log1p(-p))
        return gf.where(self._outside(), inside, value)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -gf.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none") + self._log_norm()
