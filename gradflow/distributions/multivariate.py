"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import draws, lazy_property


def mahalanobis(scale_tril: Tensor, difference: Tensor) -> Tensor:
    """|L^-1 x|^2 for vectors x along the last axis."""
    shape = gf.broadcast_shapes(scale_tril.shape[:-1], difference.shape)
    solved = gf.linalg.solve_triangular(
        scale_tril.expand((*shape[:-1], *scale_tril.shape[-2:])), difference.expand(shape).unsqueeze(-1), upper=False
    )
    return solved.pow(2).sum([-2, -1])


def precision_to_scale_tril(precision: Tensor) -> Tensor:
    """The lower triangular L with L L^T the inverse of a matrix, from its Cholesky factor read backwards."""
    factor = gf.linalg.cholesky(precision.flip(-2, -1)).flip(-2, -1).mT
    return gf.linalg.solve_triangular(factor, gf.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device), upper=False)


class MultivariateNormal(Distribution):
    """Normal vectors of mean ``loc`` and one of: a covariance matrix, its inverse, its lower Cholesky factor.

    >>> import gradflow as gf
    >>> gf.distributions.MultivariateNormal(gf.zeros(2), gf.eye(2)).log_prob(gf.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _unexpanded = ("_unbroadcasted_scale_tril",)

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ArgumentError("MultivariateNormal: loc must be at least one-dimensional.")
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        chosen = [(name, matrix) for name, matrix in given.items() if matrix is not None]
        if len(chosen) != 1:
            raise ArgumentError("MultivariateNormal: Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = chosen
        if matrix.ndim < 2:
            raise ArgumentError(f"MultivariateNormal: {name} must be at least two-dimensional, with optional leading batch dimensions")
        batch = gf.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch, *matrix.shape[-2:])))
        self.loc = loc.expand((*batch, loc.shape[-1]))
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        else:
            self._unbroadcasted_scale_tril = gf.linalg.cholesky(matrix) if name == "covariance_matrix" else precision_to_scale_tril(matrix)

    @lazy_property
    def scale_tril(self) -> Tensor:
        n = self.event_shape[0]
        return self._unbroadcasted_scale_tril.expand((*self.batch_shape, n, n))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        n, factor = self.event_shape[0], self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand((*self.batch_shape, n, n))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        n = self.event_shape[0]
        return gf.cholesky_inverse(self._unbroadcasted_scale_tril).expand((*self.batch_shape, n, n))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand((*self.batch_shape, *self.event_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        eps = draws(self.loc, self._extended_shape(sample_shape))
        return self.loc + (self._unbroadcasted_scale_tril @ eps.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Tensor:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def entropy(self) -> Tensor:
        return (0.5 * self.event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()).expand(self.batch_shape)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors whose covariance is cov_factor @ cov_factor.T + diag(cov_diag); no matrix of full size is made.

    >>> gf.distributions.LowRankMultivariateNormal(gf.zeros(2), gf.ones(2, 1), gf.ones(2)).covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.ndim < 1 or cov_factor.ndim < 2 or cov_diag.ndim < 1:
            raise ArgumentError("LowRankMultivariateNormal: loc and cov_diag must be at least one-dimensional, cov_factor two-dimensional")
        n = loc.shape[-1]
        if cov_factor.shape[-2] != n or cov_diag.shape[-1] != n:
            raise ArgumentError(
                f"LowRankMultivariateNormal: cov_factor and cov_diag must fit loc's {n} elements; got {cov_factor.shape}, {cov_diag.shape}"
            )
        batch = gf.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        self.loc, self.cov_diag = loc.expand((*batch, n)), cov_diag.expand((*batch, n))
        self.cov_factor = cov_factor.expand((*batch, n, cov_factor.shape[-1]))
        super().__init__(batch, (n,), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        return self.cov_factor.pow(2).sum(-1) + self.cov_diag

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self.cov_factor @ self.cov_factor.mT + gf.diag_embed(self.cov_diag)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return gf.linalg.cholesky(self.covariance_matrix)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        solved = gf.linalg.solve_triangular(self._capacitance_tril, scaled, upper=False)
        return gf.diag_embed(self.cov_diag.reciprocal()) - solved.mT @ solved

    @lazy_property
    def _capacitance_tril(self) -> Tensor:
        """The factor of I + W^T D^-1 W."""
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        return gf.linalg.cholesky(
            scaled @ self.cov_factor + gf.eye(self.cov_factor.shape[-1], dtype=self.loc.dtype, device=self.loc.device)
        )

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        in_factors = draws(self.loc, (*shape[:-1], self.cov_factor.shape[-1]))
        return self.loc + (self.cov_factor @ in_factors.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * draws(self.loc, shape)

    def _log_det(self) -> Tensor:
        return 2 * self._capacitance_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self.cov_diag.log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        difference = value - self.loc
        projected = ((self.cov_factor.mT / self.cov_diag.unsqueeze(-2)) @ difference.unsqueeze(-1)).squeeze(-1)
        distance = (difference.pow(2) / self.cov_diag).sum(-1) - mahalanobis(self._capacitance_tril, projected)
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self) -> Tensor:
        return 0.5 * (self.event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
