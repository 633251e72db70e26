"""Batches from samples."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import gradflow as gf

from ...errors import ArgumentError
from ...tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch from a list of samples: tensors, arrays and numbers stacked along a new first axis.

    Strings stay as they come; dicts, named tuples and lists are collated entry by entry and keep their type; tuples become
    lists. Python floats give float64, as in PyTorch.

    >>> import gradflow as gf
    >>> gf.utils.data.default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return gf.stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        _refuse_texts(first.dtype)
        return gf.stack([gf.as_tensor(array) for array in batch], 0)
    if isinstance(first, np.generic):
        _refuse_texts(first.dtype)
        return gf.as_tensor(np.array(batch))
    if isinstance(first, float):
        return gf.tensor(batch, dtype=gf.float64)
    if isinstance(first, int):
        return gf.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _rebuilt(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise ArgumentError("each element in list of batch should be of equal size")
        return _rebuilt(first, [default_collate(samples) for samples in zip(*batch, strict=True)])
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; "
        f"found {type(first)}; give the DataLoader a collate_fn"
    )


def pin_memory(data: Any) -> Any:
    """The same with every tensor, and all else that has a ``pin_memory``, in pinned memory."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: pin_memory(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt(data, [pin_memory(value) for value in data])
    return data


def default_convert(data: Any) -> Any:
    """NumPy arrays and numbers as tensors, inside dicts, tuples and lists too; all else as it is.

    >>> gf.utils.data.default_convert({"x": np.ones(2), "name": "a"})
    {'x': tensor([1., 1.], dtype=torch.float64), 'name': 'a'}
    """
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else gf.as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes, Tensor)):
        return _rebuilt(data, [default_convert(value) for value in data])
    return data


def _refuse_texts(dtype: np.dtype) -> None:
    if dtype.kind in "SUO":
        raise TypeError(f"default_collate: arrays of dtype {dtype} make no tensor; give the DataLoader a collate_fn")


def _rebuilt(like: Any, values: Any) -> Any:
    """The values in a container like the given one, where its type lets us; tuples become lists."""
    if isinstance(like, tuple):
        return type(like)(*values) if hasattr(like, "_fields") else values
    mutable: tuple[type, ...] = (MutableMapping, MutableSequence)
    try:
        if not isinstance(like, mutable):
            return type(like)(values)
        # a copy keeps whatever else the container has
        clone: Any = copy.copy(like)
        for key, value in values.items() if isinstance(values, dict) else enumerate(values):
            clone[key] = value
        return clone
    except TypeError:
        return values
