"""What a transform of values is: its inverse, its volume, and transforms made of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import constraints
from .utils import sum_rightmost


class Transform:
    """``y = t(x)``; ``t.inv(y)``; ``t.log_abs_det_jacobian(x, y)``, log |dy/dx|.

    A subclass defines ``_call``, ``_inverse`` and ``log_abs_det_jacobian``, and has ``domain``, ``codomain``, ``bijective``
    and, where it is monotone, ``sign``. With cache_size 1 the last x and y are remembered, so that the inverse of what was
    just computed is exact.

    >>> transform = gf.distributions.ExpTransform()
    >>> x = gf.tensor([1.0, 2.0])
    >>> transform.inv(transform(x)), transform.log_abs_det_jacobian(x, transform(x))
    (tensor([1., 2.]), tensor([1., 2.]))
    """

    bijective = False
    domain: Any = constraints.real
    codomain: Any = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ArgumentError(f"Transform: cache_size must be 0 or 1; got {cache_size}")
        self._cache_size = cache_size
        self._cached: tuple[Any, Any] = (None, None)

    @property
    def event_dim(self) -> int:
        if self.domain.event_dim != self.codomain.event_dim:
            raise ArgumentError("Please use either .domain.event_dim or .codomain.event_dim")
        return self.domain.event_dim

    @property
    def inv(self) -> Transform:
        """The inverse, a transform."""
        return _Inverse(self)

    @property
    def sign(self) -> Any:
        """1 where it increases, -1 where it decreases."""
        raise NotImplementedError

    def with_cache(self, cache_size: int = 1) -> Transform:
        """The same transform, remembering or not."""
        if self._cache_size == cache_size:
            return self
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__, _cache_size=cache_size, _cached=(None, None))
        return new

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size == 0:
            return self._call(x)
        if x is not self._cached[0]:
            self._cached = x, self._call(x)
        return self._cached[1]

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size == 0:
            return self._inverse(y)
        if y is not self._cached[1]:
            self._cached = self._inverse(y), y
        return self._cached[0]

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx|."""
        raise NotImplementedError

    def forward_shape(self, shape: Any) -> Any:
        """The shape of y, from that of x."""
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of x, from that of y."""
        return shape

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and _same(self._state(), other._state()))

    __hash__ = None  # type: ignore[assignment]

    def _state(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_cached", "_cache_size")}

    def __repr__(self) -> str:
        return type(self).__name__ + "()"


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(
        bool(gf.as_tensor(a[k] == b[k]).all()) if isinstance(a[k], Tensor) or isinstance(b[k], Tensor) else a[k] == b[k] for k in a
    )


class _Inverse(Transform):
    """A transform turned around."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform
        self.bijective = transform.bijective
        self.domain, self.codomain = transform.codomain, transform.domain

    @property
    def inv(self) -> Transform:
        return self._inv

    @property
    def sign(self) -> Any:
        return self._inv.sign

    def __call__(self, x: Tensor) -> Tensor:
        return self._inv._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)

    def __repr__(self) -> str:
        return f"_InverseTransform({self._inv!r})"


class ComposeTransform(Transform):
    """Several, one after the other.

    >>> both = gf.distributions.ComposeTransform([gf.distributions.AffineTransform(1.0, 2.0), gf.distributions.AbsTransform()])
    >>> both(gf.tensor([-3.0]))
    tensor([5.])
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = [part.with_cache(cache_size) if cache_size else part for part in parts]
        self.bijective = all(part.bijective for part in self.parts)
        if self.parts:
            dim = self.parts[-1].codomain.event_dim
            for part in reversed(self.parts):
                dim = max(dim + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
            first = self.parts[0].domain
            self.domain = constraints.independent(first, dim - first.event_dim) if dim > first.event_dim else first
            dim = self.parts[0].domain.event_dim
            for part in self.parts:
                dim = max(dim + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
            last = self.parts[-1].codomain
            self.codomain = constraints.independent(last, dim - last.event_dim) if dim > last.event_dim else last

    @property
    def sign(self) -> Any:
        sign: Any = 1
        for part in self.parts:
            sign = sign * part.sign
        return sign

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part._inv_call(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return gf.zeros_like(x)
        total: Any = 0
        dim = self.domain.event_dim
        for part in self.parts:
            after = part(x)
            total = total + sum_rightmost(part.log_abs_det_jacobian(x, after), dim - part.domain.event_dim)
            dim += part.codomain.event_dim - part.domain.event_dim
            x = after
        return total

    def forward_shape(self, shape: Any) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts!r})"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform some of whose batch axes belong to one value.

    >>> transform = gf.distributions.IndependentTransform(gf.distributions.ExpTransform(), 1)
    >>> x = gf.tensor([1.0, 2.0])
    >>> transform.log_abs_det_jacobian(x, transform(x))
    tensor(3.)
    """

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.bijective = base_transform.bijective
        self.domain = constraints.independent(base_transform.domain, reinterpreted_batch_ndims)
        self.codomain = constraints.independent(base_transform.codomain, reinterpreted_batch_ndims)

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform._inv_call(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return sum_rightmost(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)
