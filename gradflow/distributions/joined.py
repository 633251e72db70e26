"""Transforms that work side by side on parts of a value, and one by a distribution's cumulative function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError
from ..tensor import Tensor
from . import constraints
from .transform import Transform
from .utils import sum_rightmost


class _Joined(Transform):
    """Transforms along the axis ``dim``; a subclass says how values are taken apart and joined."""

    def __init__(self, tseq: Sequence[Transform], dim: int, cache_size: int) -> None:
        super().__init__(cache_size)
        if not all(isinstance(t, Transform) for t in tseq):
            raise DTypeError(f"{type(self).__name__}: expected transforms; got {list(tseq)}")
        self.transforms, self.dim = [t.with_cache(cache_size) if cache_size else t for t in tseq], dim

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)

    def _apart(self, x: Tensor) -> Sequence[Tensor]:
        raise NotImplementedError

    def _join(self, parts: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def _call(self, x: Tensor) -> Tensor:
        return self._join([t(part) for t, part in zip(self.transforms, self._apart(x), strict=True)])

    def _inverse(self, y: Tensor) -> Tensor:
        return self._join([t.inv(part) for t, part in zip(self.transforms, self._apart(y), strict=True)])


class CatTransform(_Joined):
    """Transforms of stretches of an axis, of the given ``lengths`` (1 each): as ``gf.cat`` joins values.

    >>> exp = gf.distributions.ExpTransform()
    >>> gf.distributions.CatTransform([exp, gf.distributions.identity_transform], lengths=[1, 2])(gf.tensor([0.0, 0.0, 3.0]))
    tensor([1., 0., 3.])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise ArgumentError(f"CatTransform: one length for each transform; got {len(self.lengths)} for {len(self.transforms)}")

    @property
    def length(self) -> int:
        """The size of the axis."""
        return sum(self.lengths)

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _apart(self, x: Tensor) -> Sequence[Tensor]:
        return x.split(self.lengths, self.dim)

    def _join(self, parts: list[Tensor]) -> Tensor:
        return gf.cat(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        n = self.event_dim
        logs = [
            sum_rightmost(t.log_abs_det_jacobian(a, b), n - t.event_dim)
            for t, a, b in zip(self.transforms, self._apart(x), self._apart(y), strict=True)
        ]
        dim = (self.dim - x.ndim if self.dim >= 0 else self.dim) + n
        return gf.cat(logs, dim) if dim < 0 else gf.stack(logs).sum(0)


class StackTransform(_Joined):
    """A transform for each place of an axis: as ``gf.stack`` joins values.

    >>> exp = gf.distributions.ExpTransform()
    >>> gf.distributions.StackTransform([exp, gf.distributions.identity_transform])(gf.tensor([0.0, 3.0]))
    tensor([1., 3.])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)

    @property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _apart(self, x: Tensor) -> Sequence[Tensor]:
        return x.unbind(self.dim)

    def _join(self, parts: list[Tensor]) -> Tensor:
        return gf.stack(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self._join([t.log_abs_det_jacobian(a, b) for t, a, b in zip(self.transforms, self._apart(x), self._apart(y), strict=True)])


class CumulativeDistributionTransform(Transform):
    """Samples of a distribution to uniform numbers, by its ``cdf``; back by its ``icdf``.

    >>> transform = gf.distributions.CumulativeDistributionTransform(gf.distributions.Normal(0.0, 1.0))
    >>> transform(gf.tensor([0.0]))
    tensor([0.5000])
    """

    bijective = True
    codomain = constraints.unit_interval

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    @property
    def sign(self) -> int:
        return 1

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)
