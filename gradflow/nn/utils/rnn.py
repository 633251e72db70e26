"""Sequences of different lengths: padded to one tensor, or packed, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradflow as gf

from ...errors import ArgumentError, DTypeError, ShapeError
from ...tensor import Tensor

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """The elements of sequences, longest first: all first ones, then all second ones, ...; ``batch_sizes`` says how many of each.

    >>> packed = gf.nn.utils.rnn.pack_sequence([gf.tensor([1, 2, 3]), gf.tensor([4])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with other data."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        return self._replace(data=self.data.cuda(device))

    def double(self) -> PackedSequence:
        return self._replace(data=self.data.double())

    def float(self) -> PackedSequence:
        return self._replace(data=self.data.float())

    def half(self) -> PackedSequence:
        return self._replace(data=self.data.half())

    def long(self) -> PackedSequence:
        return self._replace(data=self.data.long())

    def int(self) -> PackedSequence:
        return self._replace(data=self.data.int())

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def pin_memory(self) -> PackedSequence:
        return self._replace(data=self.data.pin_memory())


def pad_sequence(sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Tensor:
    """Tensors (L_i, *) as one (max L, N, *), or (N, max L, *), filled up with ``padding_value``.

    >>> gf.nn.utils.rnn.pad_sequence([gf.ones(2), gf.ones(1)], batch_first=True)
    tensor([[1., 1.],
            [1., 0.]])
    """
    if padding_side not in ("left", "right"):
        raise ArgumentError(f"pad_sequence: padding_side should be 'left' or 'right', not {padding_side!r}")
    if isinstance(sequences, Tensor):
        sequences = sequences.unbind(0)
    if not isinstance(sequences, (tuple, list)) or not all(isinstance(s, Tensor) for s in sequences):
        raise DTypeError("pad_sequence: expected a list of tensors")
    if not sequences:
        raise ShapeError("pad_sequence: received an empty list of sequences")
    longest = max(s.shape[0] for s in sequences)
    padded = []
    for s in sequences:
        missing = longest - s.shape[0]
        sides = (0, missing) if padding_side == "right" else (missing, 0)
        padded.append(gf.nn.functional.pad(s, (0, 0) * (s.ndim - 1) + sides, value=padding_value))
    return gf.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences that :func:`pad_sequence` put together.

    >>> gf.nn.utils.rnn.unpad_sequence(gf.tensor([[1, 2], [3, 0]]), gf.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[:n] for row, n in zip(rows.unbind(0), [int(n) for n in lengths], strict=True)]


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """What of (L, N, *) lies within ``lengths``, packed. Without ``enforce_sorted`` they may come in any order.

    >>> padded = gf.tensor([[1, 4], [2, 0], [3, 0]])
    >>> gf.nn.utils.rnn.pack_padded_sequence(padded, [3, 1]).data
    tensor([1, 4, 2, 3])
    """
    op = "pack_padded_sequence"
    sizes = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
    steps = input.transpose(0, 1) if batch_first else input
    if len(sizes) != steps.shape[1]:
        raise ShapeError(f"{op}: Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={steps.shape[1]})")
    if not sizes or min(sizes) <= 0:
        raise ShapeError(f"{op}: Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0: {sizes}")
    if max(sizes) > steps.shape[0]:
        raise ShapeError(f"{op}: Expected lengths of at most {steps.shape[0]}, the length of the input; got {sizes}")
    order = unsorted = None
    if enforce_sorted:
        if any(a < b for a, b in itertools.pairwise(sizes)):
            raise ShapeError(
                f"{op}: `lengths` array must be sorted in decreasing order when `enforce_sorted` is True; they are {sizes}; pass enforce_sorted=False"
            )
    else:
        order = gf.tensor(sorted(range(len(sizes)), key=lambda k: -sizes[k]), device=input.device)
        unsorted = order.argsort()
        steps, sizes = steps.index_select(1, order), sorted(sizes, reverse=True)
    counts = [sum(n > t for n in sizes) for t in range(sizes[0])]
    return PackedSequence(gf.cat([steps[t, :n] for t, n in enumerate(counts)]), gf.tensor(counts, device="cpu"), order, unsorted)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Tensors (L_i, *), packed.

    >>> gf.nn.utils.rnn.pack_sequence([gf.tensor([1, 2, 3]), gf.tensor([4])]).data
    tensor([1, 4, 2, 3])
    """
    return pack_padded_sequence(pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """(the sequences padded to (L, N, *), their lengths)

    >>> packed = gf.nn.utils.rnn.pack_sequence([gf.tensor([1, 2, 3]), gf.tensor([4])])
    >>> gf.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))
    """
    counts = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(counts):
        raise ArgumentError(
            f"pad_packed_sequence: Expected total_length to be at least the length of the longest sequence in input, but got total_length={total_length} and max sequence length being {len(counts)}"
        )
    rest = (0, 0) * (sequence.data.ndim - 1)
    steps = [
        gf.nn.functional.pad(x, (*rest, 0, counts[0] - n), value=padding_value)
        for x, n in zip(sequence.data.split(counts), counts, strict=True)
    ]
    y = gf.stack(steps)
    if total_length is not None:
        y = gf.nn.functional.pad(y, (*rest, 0, 0, 0, total_length - len(counts)), value=padding_value)
    lengths = gf.tensor([sum(n > k for n in counts) for k in range(counts[0])], device="cpu")
    if sequence.unsorted_indices is not None:
        y, lengths = y.index_select(1, sequence.unsorted_indices), lengths[sequence.unsorted_indices.cpu()]
    return (y.transpose(0, 1) if batch_first else y), lengths


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed, in their order.

    >>> gf.nn.utils.rnn.unpack_sequence(gf.nn.utils.rnn.pack_sequence([gf.tensor([1, 2, 3]), gf.tensor([4])]))
    [tensor([1, 2, 3]), tensor([4])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
