"""The base of all distributions: shapes, checks, and what follows from the methods that a distribution defines."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, TypeVar

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Size, Tensor
from . import constraints
from .utils import as_size, lazy_property

Self = TypeVar("Self", bound="Distribution")


class Distribution:
    """A distribution over tensors of ``event_shape``; its parameters are of ``batch_shape``, one distribution for each place.

    A sample of ``sample_shape`` has shape sample_shape + batch_shape + event_shape. `rsample` passes gradients from the
    sample to the parameters, `sample` does not. Parameters and values are checked (ValueError) unless validate_args is False.

    >>> normal = gf.distributions.Normal(gf.zeros(3), 1.0)
    >>> normal.batch_shape, normal.sample((2,)).shape
    (torch.Size([3]), torch.Size([2, 3]))
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Any]] = {}
    _unexpanded: ClassVar[tuple[str, ...]] = ()  # attributes that `expand` leaves alone
    _validate_args = __debug__

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if not self._validate_args:
            return
        for name, constraint in self.arg_constraints.items():
            late = name not in self.__dict__ and isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or late:
                continue
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ArgumentError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked where a distribution does not say it."""
        if value not in (True, False):
            raise ArgumentError(f"set_default_validate_args: expected True or False, not {value!r}")
        Distribution._validate_args = value

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one value."""
        return self._event_shape

    @property
    def support(self) -> Any:
        """Where the values are, a constraint."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def expand(self: Self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same distribution with its batch shape expanded; parameters are views."""
        new = type(self).__new__(type(self))
        shape, own = as_size(batch_shape), len(self.batch_shape)
        for name, value in self.__dict__.items():
            if name in self._unexpanded:
                pass
            elif isinstance(value, Distribution):
                value = value.expand((*shape, *value.batch_shape[own:]))
            elif isinstance(value, Tensor):
                value = value.expand((*shape, *value.shape[own:]))
            new.__dict__[name] = value
        new._batch_shape = shape
        return new

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values, through which no gradient flows."""
        with gf.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values that are functions of the parameters, so that gradients flow."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample; use log_prob(sample) in a score function")

    def sample_n(self, n: int) -> Tensor:
        """`sample((n,))`, under its old name."""
        warnings.warn("sample_n(n) will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at a value."""
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of values up to this one."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The value below which this probability lies."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The mean of -log_prob."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """e to the entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along a new first axis."""
        raise NotImplementedError

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size((*as_size(sample_shape), *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        if not self._validate_args:
            return
        if not isinstance(value, Tensor):
            raise ArgumentError("The value argument to log_prob must be a Tensor")
        start = value.ndim - len(self._event_shape)
        if value.shape[start:] != self._event_shape:
            raise ArgumentError(f"The right-most size of value must match event_shape: {tuple(value.shape)} vs {tuple(self._event_shape)}.")
        expected = (*self._batch_shape, *self._event_shape)
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ArgumentError(f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(f"{type(self)} does not define `support` to enable sample validation.", stacklevel=2)
            return
        if not support.check(value).all():
            raise ArgumentError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__]
        shown = [f"{n}: {v.item() if v.numel() == 1 else v.size()}" for n in names for v in [self.__dict__[n]]]
        return f"{type(self).__name__}({', '.join(shown)})"


class ExponentialFamily(Distribution):
    """Those whose density is h(x) exp(eta . t(x) - A(eta)); a mark.

    >>> isinstance(gf.distributions.Normal(0.0, 1.0), gf.distributions.ExponentialFamily)
    True
    """
