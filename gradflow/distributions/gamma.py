"""The gamma family: Gamma, Chi2, Beta, Dirichlet, StudentT and their kin, with samples that pass gradients."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

import gradflow as gf

from ..autograd import Function
from ..ops.distributions import numpys
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily
from .utils import broadcast_all, draws


def slope(a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """dz/da for gamma numbers z of shape a at the same place of the distribution: minus dP(a, z)/da over the density.

    P(a, z) = z^a e^-z / gamma(a + 1) * sum of t_k, t_k = t_(k-1) z / (a + k), differentiated term by term. Where the sum is
    long, from a = 10^4 on, by the cube root, which is nearly normal there (Wilson and Hilferty, 1931).
    """
    few = np.minimum(a, 1e4)
    x = np.where(a < 1e4, z, few)
    term, harmonic, k = np.ones_like(x), np.zeros_like(x), 0
    total, weighted = np.ones_like(x), np.zeros_like(x)
    while k < 20_000 and (term > 1e-18 * total).any():
        k += 1
        term = term * (x / (few + k))
        harmonic = harmonic + 1 / (few + k)
        total = total + term
        weighted = weighted + term * harmonic
    digamma = np.asarray(gf.digamma(gf.tensor(few + 1)).numpy())
    by_series = -x / few * ((np.log(x) - digamma) * total - weighted)
    c = 1 / (9 * a)
    root = np.cbrt(z / a)
    by_root = z / a + 3 * c * root**2 * (1 - (root - 1 + c) / (2 * c))
    return np.where(a < 1e4, by_series, by_root)


class StandardGamma(Function):
    """Gamma numbers of rate 1; the gradient for the shape is implicit (Figurnov et al., 2018)."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor) -> Tensor:
        a = concentration.detach().cpu().numpy().astype(np.float64)
        z = np.maximum(numpys(None).standard_gamma(a), np.finfo(np.float64).tiny)
        ctx.place = a, z
        drawn = gf.tensor(z, dtype=concentration.dtype, device=concentration.device)
        return drawn.clamp(min=gf.finfo(concentration.dtype).tiny)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * gf.tensor(slope(*ctx.place), dtype=g.dtype, device=g.device)


def standard_gamma(concentration: Tensor) -> Tensor:
    """A gamma number of rate 1 for each shape."""
    return StandardGamma.apply(concentration)


class Gamma(ExponentialFamily):
    """The density in proportion to x^(concentration - 1) exp(-rate * x), x > 0.

    >>> import gradflow as gf
    >>> gf.distributions.Gamma(2.0, 1.0).log_prob(gf.tensor(1.0))
    tensor(-1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.positive, "rate": constraints.positive}
    support: Any = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        value = standard_gamma(self.concentration.expand(shape)) / self.rate.expand(shape)
        return value.clamp(min=gf.finfo(value.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        value = gf.as_tensor(value, dtype=self.rate.dtype, device=self.rate.device)
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration, self.rate
        return gf.xlogy(a, b) + gf.xlogy(a - 1, value) - b * value - gf.lgamma(a)

    def cdf(self, value: Tensor) -> Tensor:
        """The incomplete gamma function, which has no gradient for its order: a concentration that requires one is refused."""
        if self._validate_args:
            self._validate_sample(value)
        return gf.special.gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + gf.lgamma(a) + (1.0 - a) * gf.digamma(a)


class Chi2(Gamma):
    """The sum of ``df`` squares of normal numbers.

    >>> gf.distributions.Chi2(gf.tensor(3.0)).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    @property
    def df(self) -> Tensor:
        return self.concentration * 2


class InverseGamma(Distribution):
    """One over a Gamma number.

    >>> gf.distributions.InverseGamma(gf.tensor(3.0), gf.tensor(2.0)).mean
    tensor(1.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return gf.where(self.concentration > 1, self.rate / (self.concentration - 1), gf.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return gf.where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), gf.inf)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return Gamma(self.concentration, self.rate, False).rsample(sample_shape).reciprocal()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration, self.rate
        return a * b.log() - (a + 1) * value.log() - b / value - gf.lgamma(a)

    def cdf(self, value: Tensor) -> Tensor:
        return 1 - Gamma(self.concentration, self.rate, False).cdf(value.reciprocal())

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + gf.lgamma(a) - (1 + a) * gf.digamma(a)


class Dirichlet(ExponentialFamily):
    """Probabilities that sum to 1 along the last axis: the density in proportion to the product of x_i^(concentration_i - 1).

    >>> gf.distributions.Dirichlet(gf.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("Dirichlet: `concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        excess = (self.concentration - 1).clamp(min=0.0)
        mode = excess / excess.sum(-1, True)
        corner = gf.nn.functional.one_hot(mode.argmax(-1), self.concentration.shape[-1]).to(mode.dtype)
        return gf.where((self.concentration < 1).all(-1, keepdim=True), corner, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        gammas = standard_gamma(self.concentration.expand(self._extended_shape(sample_shape)))
        return gammas / gammas.sum(-1, True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return gf.xlogy(a - 1.0, value).sum(-1) + gf.lgamma(a.sum(-1)) - gf.lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a, n = self.concentration, self.concentration.shape[-1]
        total = a.sum(-1)
        return gf.lgamma(a).sum(-1) - gf.lgamma(total) - (n - total) * gf.digamma(total) - ((a - 1.0) * gf.digamma(a)).sum(-1)


class Beta(ExponentialFamily):
    """Numbers in (0, 1), the density in proportion to x^(concentration1 - 1) (1 - x)^(concentration0 - 1).

    >>> gf.distributions.Beta(2.0, 3.0).mean
    tensor(0.4000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self._dirichlet = Dirichlet(gf.stack(broadcast_all(concentration1, concentration0), -1), validate_args=validate_args)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    @property
    def concentration1(self) -> Tensor:
        return self._dirichlet.concentration[..., 0]

    @property
    def concentration0(self) -> Tensor:
        return self._dirichlet.concentration[..., 1]

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return gf.xlogy(a - 1, value) + gf.special.xlog1py(b - 1, -value) + gf.lgamma(a + b) - gf.lgamma(a) - gf.lgamma(b)

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """Student's t of ``df`` degrees of freedom, shifted and scaled.

    >>> gf.distributions.StudentT(gf.tensor(3.0)).variance
    tensor(3.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return gf.where(self.df <= 1, gf.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        inner = gf.where(self.df > 2, self.scale.pow(2) * self.df / (self.df - 2), gf.inf)
        return gf.where(self.df <= 1, gf.nan, inner)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        x = draws(self.df, self._extended_shape(sample_shape))
        z = Chi2(self.df, False).rsample(sample_shape)
        return self.loc + self.scale * x * gf.rsqrt(z / self.df)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        norm = (
            self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + gf.lgamma(0.5 * self.df) - gf.lgamma(0.5 * (self.df + 1.0))
        )
        return -0.5 * (self.df + 1.0) * gf.log1p(y**2.0 / self.df) - norm

    def entropy(self) -> Tensor:
        d = self.df
        beta = gf.lgamma(0.5 * d) + math.lgamma(0.5) - gf.lgamma(0.5 * (d + 1))
        return self.scale.log() + 0.5 * (d + 1) * (gf.digamma(0.5 * (d + 1)) - gf.digamma(0.5 * d)) + 0.5 * d.log() + beta
