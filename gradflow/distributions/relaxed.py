"""Discrete distributions made differentiable."""

from __future__ import annotations

from typing import Any, ClassVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .transformed import TransformedDistribution
from .transforms import ExpTransform, SigmoidTransform
from .utils import broadcast_all, clamp_probs, draws, logits_to_probs, probs_to_logits


class LogitRelaxedBernoulli(Distribution):
    """The logits of RelaxedBernoulli."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True
    _unexpanded = ("temperature",)

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if (probs is None) == (logits is None):
            raise ArgumentError("LogitRelaxedBernoulli: Either `probs` or `logits` must be specified, but not both.")
        self.temperature = temperature
        (given,) = broadcast_all(probs if logits is None else logits)
        self.probs = given if logits is None else logits_to_probs(given, True)
        self.logits = given if probs is None else probs_to_logits(given, True)
        super().__init__(given.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        p, u = clamp_probs(self.probs.expand(shape)), clamp_probs(draws(self.probs, shape, gf.rand))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        difference = logits - value.mul(self.temperature)
        return gf.as_tensor(self.temperature, dtype=value.dtype, device=value.device).log() + difference - 2 * difference.exp().log1p()


class Relaxed(TransformedDistribution):
    """What the two below share: the parameters are those of the logits' distribution."""

    @property
    def temperature(self) -> Any:
        return self.base_dist.temperature  # type: ignore[attr-defined]

    @property
    def logits(self) -> Tensor:
        return self.base_dist.logits  # type: ignore[attr-defined]

    @property
    def probs(self) -> Tensor:
        return self.base_dist.probs  # type: ignore[attr-defined]


class RelaxedBernoulli(Relaxed):
    """Bernoulli made differentiable: sigmoid((logits + logistic noise) / temperature) (Maddison et al., 2017).

    >>> gf.distributions.RelaxedBernoulli(gf.tensor(0.5), gf.tensor([0.3, 0.7])).rsample().shape
    torch.Size([2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)


class ExpRelaxedCategorical(Distribution):
    """The logarithms of RelaxedOneHotCategorical."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True
    _unexpanded = ("temperature",)

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    @property
    def probs(self) -> Tensor:
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        return self._categorical.logits

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        gumbels = -((-(clamp_probs(draws(self.logits, shape, gf.rand)).log())).log())
        return ((self.logits + gumbels) / self.temperature).log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, t = self.event_shape[0], gf.as_tensor(self.temperature, dtype=value.dtype, device=value.device)
        logits, value = broadcast_all(self.logits, value)
        score = (logits - value.mul(t)).log_softmax(-1).sum(-1)
        return score + gf.lgamma(gf.tensor(float(n), dtype=value.dtype, device=value.device)) + t.log() * (n - 1)


class RelaxedOneHotCategorical(Relaxed):
    """OneHotCategorical made differentiable: softmax((logits + Gumbel noise) / temperature) (Jang et al., 2017).

    >>> sample = gf.distributions.RelaxedOneHotCategorical(gf.tensor(0.5), gf.tensor([0.3, 0.7])).rsample()
    >>> gf.allclose(sample.sum(), gf.tensor(1.0))
    True
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)
