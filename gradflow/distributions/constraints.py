"""Which values a parameter may take, and a sample: ``constraint.check(value)`` says it for each.

>>> positive.check(gf.tensor([-1.0, 2.0])).tolist()
[False, True]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError
from ..tensor import Tensor


class Constraint:
    """A set of values, whose last ``event_dim`` axes belong to one value.

    >>> gf.distributions.constraints.positive.check(gf.tensor([1.0, -1.0]))
    tensor([ True, False])
    """

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """For each value, is it in the set?"""
        raise NotImplementedError

    def __repr__(self) -> str:
        name = type(self).__name__.lstrip("_")
        return name[:1].upper() + name[1:] + "()"


class _Dependent(Constraint):
    """A set that depends on the parameters of a distribution: asked of an instance.

    >>> gf.distributions.constraints.is_dependent(gf.distributions.constraints.dependent)
    True
    """

    def __init__(self, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete: bool = False, event_dim: int = 0) -> _Dependent:
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


class dependent_property(property, _Dependent):
    """A support that is computed from the parameters.

    >>> gf.distributions.constraints.is_dependent(gf.distributions.Uniform.support)
    True
    """

    def __init__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        super().__init__(fn)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, fn: Any) -> dependent_property:  # type: ignore[override]
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


def is_dependent(constraint: Any) -> bool:
    """Does the set depend on parameters?

    >>> gf.distributions.constraints.is_dependent(gf.distributions.constraints.positive)
    False
    """
    return isinstance(constraint, _Dependent)


class Bounded(Constraint):
    """Numbers between bounds, either of which may be missing.

    >>> gf.distributions.constraints.unit_interval.check(gf.tensor([0.5, 2.0]))
    tensor([ True, False])
    """

    kind = ""
    lower_bound: Any = None
    upper_bound: Any = None
    closed = (True, True)  # does a bound belong to the set?

    def check(self, value: Tensor) -> Tensor:
        ok = value % 1 == 0 if self.is_discrete else value == value
        if self.lower_bound is not None:
            ok = ok & (value >= self.lower_bound if self.closed[0] else value > self.lower_bound)
        if self.upper_bound is not None:
            ok = ok & (value <= self.upper_bound if self.closed[1] else value < self.upper_bound)
        return ok

    def __repr__(self) -> str:
        bounds = {"lower_bound": self.lower_bound, "upper_bound": self.upper_bound}
        return f"{self.kind}({', '.join(f'{k}={v}' for k, v in bounds.items() if v is not None)})"


class _Above(Bounded):
    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound


class _Below(Bounded):
    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound


class _Between(Bounded):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound


class greater_than(_Above):
    """Numbers above a bound.

    >>> gf.distributions.constraints.greater_than(1.0).check(gf.tensor([1.0, 2.0]))
    tensor([False,  True])
    """

    kind, closed = "GreaterThan", (False, True)


class greater_than_eq(_Above):
    """Numbers from a bound on.

    >>> gf.distributions.constraints.greater_than_eq(1.0).check(gf.tensor([1.0, 0.0]))
    tensor([ True, False])
    """

    kind = "GreaterThanEq"


class less_than(_Below):
    """Numbers below a bound.

    >>> gf.distributions.constraints.less_than(1.0).check(gf.tensor([1.0, 0.0]))
    tensor([False,  True])
    """

    kind, closed = "LessThan", (True, False)


class interval(_Between):
    """Numbers between two bounds, which belong to them.

    >>> gf.distributions.constraints.interval(0.0, 1.0).check(gf.tensor([0.5, 2.0]))
    tensor([ True, False])
    """

    kind = "Interval"


class half_open_interval(_Between):
    """Numbers between two bounds, the lower of which belongs to them.

    >>> gf.distributions.constraints.half_open_interval(0.0, 1.0).check(gf.tensor([0.0, 1.0]))
    tensor([ True, False])
    """

    kind, closed = "HalfOpenInterval", (True, False)


class integer_interval(_Between):
    """Whole numbers between two bounds, which belong to them.

    >>> gf.distributions.constraints.integer_interval(0, 3).check(gf.tensor([1.0, 1.5]))
    tensor([ True, False])
    """

    kind, is_discrete = "IntegerInterval", True


class _IntegerGreaterThan(_Above):
    kind, is_discrete = "IntegerGreaterThan", True


class _IntegerLessThan(_Below):
    kind, is_discrete = "IntegerLessThan", True


class independent(Constraint):
    """Values whose last ``reinterpreted_batch_ndims`` axes must all be in a set.

    >>> gf.distributions.constraints.independent(gf.distributions.constraints.positive, 1).check(gf.tensor([1.0, -1.0]))
    tensor(False)
    """

    def __init__(self, base_constraint: Any, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        ok = self.base_constraint.check(value)
        n = self.reinterpreted_batch_ndims
        return ok.reshape((*ok.shape[: ok.ndim - n], -1)).all(-1) if n else ok

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint}, {self.reinterpreted_batch_ndims})"


class _Several(Constraint):
    """Sets side by side along the axis ``dim``."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        self.cseq, self.dim = list(cseq), dim
        if not all(isinstance(c, Constraint) for c in self.cseq):
            raise DTypeError(f"{type(self).__name__}: expected constraints; got {self.cseq}")

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)


class cat(_Several):
    """Stretches of an axis, ``lengths`` of them (1 each), each in its set: as ``gf.cat`` joins values.

    >>> constraints = gf.distributions.constraints
    >>> constraints.cat([constraints.positive, constraints.real], lengths=[1, 2]).check(gf.tensor([-1.0, -1.0, 2.0]))
    tensor([False,  True,  True])
    """

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise ArgumentError(f"cat: one length for each constraint; got {len(self.lengths)} for {len(self.cseq)}")

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)

    def check(self, value: Tensor) -> Tensor:
        parts = value.split(self.lengths, self.dim)
        return gf.cat([c.check(v) for c, v in zip(self.cseq, parts, strict=True)], self.dim)


class stack(_Several):
    """The places of an axis, each in its set: as ``gf.stack`` joins values.

    >>> constraints = gf.distributions.constraints
    >>> constraints.stack([constraints.positive, constraints.real]).check(gf.tensor([-1.0, -1.0]))
    tensor([False,  True])
    """

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        inner = max(c.event_dim for c in self.cseq)
        return inner + 1 if self.dim + inner < 0 else inner

    def check(self, value: Tensor) -> Tensor:
        return gf.stack([c.check(v) for c, v in zip(self.cseq, value.unbind(self.dim), strict=True)], self.dim)


class multinomial(Constraint):
    """Counts that sum to at most a number.

    >>> gf.distributions.constraints.multinomial(3).check(gf.tensor([1.0, 2.0]))
    tensor(True)
    """

    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


def _is_triangular(value: Tensor) -> Tensor:
    return (value.tril() == value).reshape((*value.shape[:-2], -1)).all(-1)


def _is_positive_definite(value: Tensor) -> Tensor:
    symmetric = gf.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)
    return symmetric & (gf.linalg.cholesky_ex(value.detach()).info == 0)


def _is_semidefinite(value: Tensor) -> Tensor:
    return symmetric.check(value) & (gf.linalg.eigvalsh(value.detach()) >= 0).all(-1)


def _simple(name: str, test: Callable, event_dim: int = 0, is_discrete: bool = False) -> Constraint:
    """A set by its test, of a class of its own: registries ask for the class."""
    namespace = {"check": staticmethod(test), "event_dim": event_dim, "is_discrete": is_discrete, "__module__": __name__}
    return type(f"_{name}", (Constraint,), namespace)()


real = _simple("Real", lambda v: v == v)
real_vector = independent(real, 1)
boolean = _simple("Boolean", lambda v: (v == 0) | (v == 1), is_discrete=True)
one_hot = _simple("OneHot", lambda v: ((v == 0) | (v == 1)).all(-1) & (v.sum(-1) == 1), 1, True)
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
positive, nonnegative = greater_than(0.0), greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
simplex = _simple("Simplex", lambda v: (v >= 0).all(-1) & ((v.sum(-1) - 1).abs() < 1e-6), 1)
lower_triangular = _simple("LowerTriangular", _is_triangular, 2)
lower_cholesky = _simple("LowerCholesky", lambda v: _is_triangular(v) & (v.diagonal(dim1=-2, dim2=-1) > 0).all(-1), 2)
corr_cholesky = _simple(
    "CorrCholesky",
    lambda v: lower_cholesky.check(v) & ((v.square().sum(-1) - 1).abs() <= gf.finfo(v.dtype).eps * v.shape[-1] * 10).all(-1),
    2,
)
square = _simple("Square", lambda v: gf.full(v.shape[:-2], v.shape[-2] == v.shape[-1], device=v.device), 2)
symmetric = _simple("Symmetric", lambda v: gf.isclose(v, v.mT, atol=1e-6).all(-2).all(-1), 2)
positive_definite = _simple("PositiveDefinite", _is_positive_definite, 2)
positive_semidefinite = _simple("PositiveSemidefinite", _is_semidefinite, 2)
dependent = _Dependent()
