"""The part of a data set that one of several processes takes."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import gradflow as gf

from ...errors import ArgumentError
from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th sample from the `rank`-th on, of an order that all processes share.

    All processes take equally many: samples repeat for that, or the last ones are dropped with ``drop_last``. Call `set_epoch` before each
    epoch for another order. Raises RuntimeError without `num_replicas` and `rank`: there is no group of processes to ask.

    >>> list(gf.utils.data.DistributedSampler("abcde", num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise ArgumentError("DistributedSampler: Requires distributed package to be available; give num_replicas and rank")
        if not 0 <= rank < num_replicas:
            raise ArgumentError(f"DistributedSampler: Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else -(-n // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        order = list(range(n))
        if self.shuffle:
            order = gf.randperm(n, generator=gf.Generator().manual_seed(self.seed + self.epoch)).tolist()
        return iter([order[i % n] for i in range(self.rank, self.total_size, self.num_replicas)])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is of this epoch's order.

        >>> sampler = gf.utils.data.DistributedSampler("abc", num_replicas=1, rank=0)
        >>> sampler.set_epoch(1)
        >>> sorted(sampler)
        [0, 1, 2]
        """
        self.epoch = epoch
