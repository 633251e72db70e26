"""Samplers: in what order the samples of a data set are taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

import gradflow as gf

from ...errors import ArgumentError

T = TypeVar("T", covariant=True)

CHUNK = 1024  # numbers drawn at once by samplers that may be asked for very many


class Sampler(Generic[T]):
    """The base of samplers: define `__iter__`, which gives sample numbers, and `__len__` if there is an end.

    >>> class Backwards(gf.utils.data.Sampler):
    ...     def __iter__(self):
    ...         return iter([2, 1, 0])
    >>> list(gf.utils.data.DataLoader(["a", "b", "c"], sampler=Backwards()))
    [['c'], ['b'], ['a']]
    """

    def __init__(self, data_source: Sized | None = None) -> None:
        pass

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__}: define __iter__")


class SequentialSampler(Sampler[int]):
    """All samples, in order.

    >>> list(gf.utils.data.SequentialSampler(["a", "b", "c"]))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All samples in random order, or num_samples of them; with replacement each is drawn from all.

    >>> sorted(gf.utils.data.RandomSampler(["a", "b", "c"]))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        _check_positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many are drawn; by default as many as there are, which may change."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, left = len(self.data_source), self.num_samples
        while left > 0:
            if self.replacement:
                drawn = gf.randint(0, size, (min(left, CHUNK),), generator=self.generator)
            else:
                drawn = gf.randperm(size, generator=self.generator)[:left]
            left -= len(drawn)
            yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given sample numbers, in random order.

    >>> sorted(gf.utils.data.SubsetRandomSampler([4, 7]))
    [4, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in gf.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """num_samples sample numbers drawn with probabilities in proportion to weights.

    >>> list(gf.utils.data.WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Any = None) -> None:
        _check_positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ArgumentError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = gf.as_tensor(weights, dtype=gf.float64, device="cpu")
        values = self.weights.numpy()
        if values.ndim != 1:
            raise ArgumentError(f"weights should be a 1d sequence but given weights have shape {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
            raise ArgumentError("WeightedRandomSampler: weights must be finite and not negative, and not all zero")
        if not replacement and num_samples > np.count_nonzero(values):
            raise ArgumentError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples without replacement; "
                f"{np.count_nonzero(values)} weights are not zero"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        weights = self.weights.numpy()
        size = self.num_samples if self.replacement else len(weights)
        uniform = gf.rand(size, dtype=gf.float64, generator=self.generator, device="cpu").numpy()
        if self.replacement:
            # the last edge is an end, not a bound: rounding must not lead past it, nor to a weight of zero
            edges = np.cumsum(weights)
            drawn = np.searchsorted(edges, uniform * edges[-1], side="right")
            drawn = np.minimum(drawn, np.flatnonzero(weights)[-1])
        else:
            # the smallest of exponential waiting times with these rates (Efraimidis and Spirakis, 2006)
            with np.errstate(divide="ignore"):
                drawn = np.argsort(-np.log1p(-uniform) / weights, kind="stable")[: self.num_samples]
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of batch_size numbers from a sampler; the last one may be shorter, unless drop_last.

    >>> import gradflow as gf
    >>> list(gf.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ArgumentError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        numbers = iter(self.sampler)
        while batch := list(itertools.islice(numbers, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        length = len(self.sampler)  # type: ignore[arg-type]
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ArgumentError(f"{name} should be a positive integer value, but got {name}={value}")
