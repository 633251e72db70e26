"""Invertible functions, with the logarithm of how much they stretch: what `TransformedDistribution` is made with."""

from __future__ import annotations

import math
from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .transform import ComposeTransform, IndependentTransform, Transform, identity_transform
from .utils import sum_rightmost, tril_matrix_to_vec, vec_to_tril_matrix

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "ComposeTransform",
    "CorrCholeskyTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "Monotone",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StickBreakingTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]


class Monotone(Transform):
    """A transform of each number, that increases.

    >>> isinstance(gf.distributions.ExpTransform(), gf.distributions.transforms.Monotone)
    True
    """

    bijective = True
    sign = 1


class ExpTransform(Monotone):
    """exp(x).

    >>> gf.distributions.ExpTransform().inv(gf.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(Monotone):
    """1 / (1 + exp(-x)).

    >>> gf.distributions.SigmoidTransform()(gf.tensor([0.0]))
    tensor([0.5000])
    """

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        info = gf.finfo(x.dtype)
        return x.sigmoid().clamp(min=info.tiny, max=1.0 - info.eps)

    def _inverse(self, y: Tensor) -> Tensor:
        info = gf.finfo(y.dtype)
        y = y.clamp(min=info.tiny, max=1.0 - info.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -gf.nn.functional.softplus(-x) - gf.nn.functional.softplus(x)


class TanhTransform(Monotone):
    """tanh(x).

    >>> gf.distributions.TanhTransform()(gf.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2.0 * (math.log(2.0) - x - gf.nn.functional.softplus(-2.0 * x))


class SoftplusTransform(Monotone):
    """log(1 + exp(x)).

    >>> gf.distributions.SoftplusTransform()(gf.tensor([0.0]))
    tensor([0.6931])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return gf.nn.functional.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -gf.nn.functional.softplus(-x)


class PowerTransform(Monotone):
    """x^exponent, x > 0.

    >>> gf.distributions.PowerTransform(gf.tensor(2.0))(gf.tensor([3.0]))
    tensor([9.])
    """

    domain = codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = gf.as_tensor(exponent)

    @property
    def sign(self) -> Any:  # type: ignore[override]
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()


class AffineTransform(Transform):
    """loc + scale * x.

    >>> gf.distributions.AffineTransform(1.0, 2.0)(gf.tensor([0.0, 3.0]))
    tensor([1., 7.])
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim
        self.domain = self.codomain = constraints.independent(constraints.real, event_dim) if event_dim else constraints.real

    @property
    def sign(self) -> Any:
        return self.scale.sign() if isinstance(self.scale, Tensor) else (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        scale = self.scale
        each = scale.abs().log() if isinstance(scale, Tensor) else gf.full_like(x, math.log(abs(scale)))
        each = each.expand(gf.broadcast_shapes(each.shape, x.shape))
        return sum_rightmost(each, self._event_dim)


class AbsTransform(Transform):
    """|x|, not invertible: the inverse is the positive one.

    >>> gf.distributions.AbsTransform()(gf.tensor([-1.0, 2.0]))
    tensor([1., 2.])
    """

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class SoftmaxTransform(Transform):
    """The softmax along the last axis, whose inverse is one of many.

    >>> gf.distributions.SoftmaxTransform()(gf.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """Vectors of n numbers to probabilities of n + 1 outcomes, by breaking pieces off a stick.

    >>> gf.distributions.StickBreakingTransform()(gf.tensor([0.0])).sum()
    tensor(1.)
    """

    domain, codomain = constraints.real_vector, constraints.simplex
    bijective = True

    def _offset(self, x: Tensor) -> Tensor:
        n = x.shape[-1]
        return gf.arange(n, 0, -1, dtype=x.dtype, device=x.device)

    def _call(self, x: Tensor) -> Tensor:
        z = SigmoidTransform()._call(x - self._offset(x).log())
        rest = (1 - z).cumprod(-1)
        one = gf.ones_like(z[..., :1])
        return gf.cat([z, one], -1) * gf.cat([one, rest], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        cut = y[..., :-1]
        rest = (1 - cut.cumsum(-1)).clamp(min=gf.finfo(y.dtype).tiny)
        return cut.log() - rest.log() + self._offset(cut).log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._offset(x).log()
        return (-x + gf.nn.functional.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> Any:
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """Square matrices to lower triangular ones with a positive diagonal.

    >>> gf.distributions.LowerCholeskyTransform()(gf.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + gf.diag_embed(x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + gf.diag_embed(y.diagonal(dim1=-2, dim2=-1).log())


class PositiveDefiniteTransform(Transform):
    """Square matrices to positive definite ones: L L^T for the L of :class:`LowerCholeskyTransform`.

    >>> gf.distributions.PositiveDefiniteTransform()(gf.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        lower = LowerCholeskyTransform()._call(x)
        return lower @ lower.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform()._inverse(gf.linalg.cholesky(y))


class CorrCholeskyTransform(Transform):
    """Vectors of n (n - 1) / 2 numbers to the Cholesky factor of an n by n matrix of correlations.

    The numbers go through tanh and fill the lower triangle row by row; each takes its share of what is left of its row's length 1.

    >>> gf.distributions.CorrCholeskyTransform()(gf.tensor([0.0]))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain = constraints.real_vector, constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = gf.finfo(x.dtype).eps
        shares = vec_to_tril_matrix(x.tanh().clamp(eps - 1, 1 - eps), -1)
        left = (1 - shares.square()).sqrt().cumprod(-1)
        one = gf.ones_like(left[..., :1])
        return (shares + gf.eye(shares.shape[-1], dtype=x.dtype, device=x.device)) * gf.cat([one, left[..., :-1]], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = 1 - y.square().cumsum(-1)
        left = gf.cat([gf.ones_like(left[..., :1]), left[..., :-1]], -1)
        return (tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()).atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of x to the elements below the diagonal of y."""
        left = tril_matrix_to_vec(1 - y.square().cumsum(-1), -2)
        return 0.5 * left.log().sum(-1) - 2 * (x + gf.nn.functional.softplus(-2 * x) - math.log(2)).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if not shape:
            raise ArgumentError("CorrCholeskyTransform: Too few dimensions on input")
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ArgumentError(f"CorrCholeskyTransform: Input is not a flattened lower-diagonal number: {shape[-1]}")
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2 or shape[-2] != shape[-1]:
            raise ArgumentError(f"CorrCholeskyTransform: Input is not square: {tuple(shape)}")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)
