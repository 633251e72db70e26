"""The loader: batches of a data set, in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

import gradflow as gf

from ...errors import ArgumentError
from .collate import default_collate, default_convert, pin_memory
from .dataset import IterableDataset, Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler

FIXED = {"batch_size", "batch_sampler", "sampler", "drop_last", "dataset"}


class DataLoader:
    """Batches of a data set: `for batch in loader`, each time anew.

    shuffle takes the samples in random order; sampler or batch_sampler say which ones instead; collate_fn makes a batch
    of a list of samples (`default_collate`); batch_size None turns batching off; generator is where shuffling draws from.

    pin_memory puts batches in memory from which a GPU copies by itself, where there is one. Samples are loaded in this
    process, whatever num_workers is; it, worker_init_fn, timeout, prefetch_factor, persistent_workers and
    multiprocessing_context are taken so that programs run unchanged, and the batches are the same. A TensorDataset (or a Subset of one) with the default collate_fn is indexed a whole batch at a
    time.

    >>> import gradflow as gf
    >>> data = gf.utils.data.TensorDataset(gf.arange(4.0))
    >>> [x for (x,) in gf.utils.data.DataLoader(data, batch_size=3)]
    [tensor([0., 1., 2.]), tensor([3.])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ArgumentError(f"num_workers option should be non-negative; got {num_workers}")
        if timeout < 0:
            raise ArgumentError(f"timeout option should be non-negative; got {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ArgumentError("prefetch_factor option could only be specified in multiprocessing; leave it None")
        if num_workers == 0 and persistent_workers:
            raise ArgumentError("persistent_workers option needs num_workers > 0")
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None and value is not False:
                    raise ArgumentError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")
        if sampler is not None and shuffle:
            raise ArgumentError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ArgumentError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ArgumentError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")

        if sampler is None and not self._iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(() if sampler is None else sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "_complete" in self.__dict__:
            raise ArgumentError(f"{name} attribute should not be set after DataLoader is initialized; make a new one")
        object.__setattr__(self, name, value)

    def __iter__(self) -> Iterator[Any]:
        if self.pin_memory and gf.cuda.is_available():
            return map(pin_memory, self._batches())
        return self._batches()

    def _batches(self) -> Iterator[Any]:
        if self._iterable:
            return self._stream()
        whole = _batch_getter(self.dataset) if self.collate_fn is default_collate else None
        if self.batch_sampler is None:
            return (self.collate_fn(self.dataset[i]) for i in self.sampler or ())
        if whole is not None:
            return (whole(np.asarray(batch, dtype=np.int64)) for batch in self.batch_sampler)
        return (self.collate_fn(self._samples(batch)) for batch in self.batch_sampler)

    def _samples(self, batch: list[Any]) -> list[Any]:
        many = getattr(self.dataset, "__getitems__", None)
        return many(batch) if many else [self.dataset[i] for i in batch]

    def _stream(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, samples)
            return
        while batch := list(itertools.islice(samples, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        """How many batches there are."""
        if not self._iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        length = len(self.dataset)
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


def _batch_getter(dataset: Any) -> Callable[[np.ndarray], list[Any]] | None:
    """What gives the batch of these samples in one go, if the data set's own code need not run for each of them."""
    if type(dataset) is TensorDataset:
        return lambda numbers: [tensor[gf.from_numpy(numbers)] for tensor in dataset.tensors]
    if type(dataset) is Subset and (inner := _batch_getter(dataset.dataset)):
        chosen = np.asarray(dataset.indices, dtype=np.int64)
        return lambda numbers: inner(chosen[numbers])
    return None


def get_worker_info() -> None:
    """None: there are no worker processes.

    >>> gf.utils.data.get_worker_info() is None
    True
    """
