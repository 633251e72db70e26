"""Distributions of matrices: Wishart's, and the Cholesky factors of correlations."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily
from .gamma import Beta, Chi2
from .multivariate import precision_to_scale_tril
from .utils import broadcast_all, draws, lazy_property


class Wishart(ExponentialFamily):
    """Sums of ``df`` products x x^T of normal vectors x around 0, whose covariance is given, or its inverse, or its lower Cholesky factor.

    >>> gf.distributions.Wishart(gf.tensor(3.0), gf.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
        "df": constraints.greater_than(0),
    }
    support = constraints.positive_definite
    has_rsample = True
    _unexpanded = ("_unbroadcasted_scale_tril",)

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        chosen = [(name, matrix) for name, matrix in given.items() if matrix is not None]
        if len(chosen) != 1:
            raise ArgumentError("Wishart: Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = chosen
        if matrix.ndim < 2:
            raise ArgumentError(f"Wishart: {name} must be at least two-dimensional, with optional leading batch dimensions")
        df = df if isinstance(df, Tensor) else gf.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch, n = gf.broadcast_shapes(matrix.shape[:-2], df.shape), matrix.shape[-1]
        if (df <= n - 1).any():
            raise ArgumentError(f"Wishart: Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        self.df = df.expand(batch)
        setattr(self, name, matrix.expand((*batch, n, n)))
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        else:
            self._unbroadcasted_scale_tril = gf.linalg.cholesky(matrix) if name == "covariance_matrix" else precision_to_scale_tril(matrix)
        self._chi2 = Chi2(self.df.unsqueeze(-1) - gf.arange(n, dtype=matrix.dtype, device=matrix.device).expand((*batch, n)))
        super().__init__(batch, (n, n), validate_args=validate_args)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._unbroadcasted_scale_tril.expand((*self.batch_shape, *self.event_shape))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        factor = self._unbroadcasted_scale_tril
        return (factor @ factor.mT).expand((*self.batch_shape, *self.event_shape))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return gf.cholesky_inverse(self._unbroadcasted_scale_tril).expand((*self.batch_shape, *self.event_shape))

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.event_shape[0] - 1
        return factor.masked_fill(factor <= 0, math.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self.df[..., None, None] * (v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """By Bartlett's decomposition."""
        below = draws(self.df, self._extended_shape(sample_shape)).tril(-1)
        factor = self._unbroadcasted_scale_tril @ (below + gf.diag_embed(self._chi2.rsample(sample_shape).sqrt()))
        return factor @ factor.mT

    def _half_log_det(self) -> Tensor:
        """That of 2 V."""
        diagonal = self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1)
        return self.event_shape[0] * math.log(2) / 2 + diagonal.log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, factor = self.event_shape[0], self._unbroadcasted_scale_tril
        shape = gf.broadcast_shapes(factor.shape, value.shape)
        trace = gf.cholesky_solve(value.expand(shape), factor.expand(shape)).diagonal(dim1=-2, dim2=-1).sum(-1)
        scale = self.df * self._half_log_det() + gf.mvlgamma(self.df / 2, n)
        return (self.df - n - 1) / 2 * gf.linalg.slogdet(value).logabsdet - trace / 2 - scale

    def entropy(self) -> Tensor:
        n, half = self.event_shape[0], self.df / 2
        digammas = gf.digamma(half.unsqueeze(-1) - gf.arange(n, dtype=half.dtype, device=half.device) / 2).sum(-1)
        return (n + 1) * self._half_log_det() + gf.mvlgamma(half, n) - (self.df - n - 1) / 2 * digammas + self.df * n / 2


class LKJCholesky(Distribution):
    """Lower Cholesky factors L of correlation matrices, of density proportional to det(L L^T)^(concentration - 1) over the matrices L L^T
    (Lewandowski, Kurowicka and Joe, 2009).

    >>> factor = gf.distributions.LKJCholesky(3).sample()
    >>> gf.allclose((factor @ factor.mT).diagonal(), gf.ones(3))
    True
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ArgumentError(f"LKJCholesky: Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        like = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        rows = gf.arange(dim - 1, **like)
        offset = gf.cat([gf.zeros(1, **like), rows])
        self._beta = Beta(offset + 0.5, (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """By the onion method: row after row a direction, and how far from the diagonal it reaches."""
        y = self._beta.sample(sample_shape).unsqueeze(-1)
        normal = draws(self.concentration, self._extended_shape(sample_shape)).tril(-1)
        direction = normal / normal.norm(dim=-1, keepdim=True)
        direction[..., 0, :] = 0
        below = y.sqrt() * direction
        tiny = gf.finfo(below.dtype).tiny
        return below + gf.diag_embed((1 - below.square().sum(-1)).clamp(min=tiny).sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        below, c = self.dim - 1, self.concentration
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        powers = 2 * (c - 1).unsqueeze(-1) + self.dim - gf.arange(2, self.dim + 1, device=c.device)
        alpha = c + 0.5 * below
        scale = 0.5 * below * math.log(math.pi) + gf.mvlgamma(alpha - 0.5, below) - below * alpha.lgamma()
        return (powers * diagonal.log()).sum(-1) - scale
