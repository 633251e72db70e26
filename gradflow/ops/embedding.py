"""Rows of a table by their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..errors import ArgumentError, DTypeError, OutOfRangeError, ShapeError
from ..kinds import custom
from ..scalar import primitives as s
from ..tensor import Tensor, recording, wrap
from . import pointwise as p
from .axes import integer
from .gathering import index_array, rows_at, rows_zeros
from .indexing import setitem
from .sorting import unique
from .vector_norms import norm


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors that are 1 at the class and 0 elsewhere.

    >>> gf.nn.functional.one_hot(gf.tensor([2, 0]), 3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if not isinstance(tensor, Tensor):
        raise DTypeError(f"one_hot: argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    num_classes = integer("one_hot", "num_classes", num_classes)
    i = tensor.array
    if i.dtype != np.int64:
        raise DTypeError(f"one_hot: one_hot is only applicable to index tensor of type LongTensor; it is {tensor.dtype}")
    checked = i.size and not (num_classes > 0 and backends.unseen(i))
    if checked and i.min() < 0:
        raise ArgumentError("one_hot: Class values must be non-negative.")
    if num_classes == -1:
        if not i.size:
            raise ArgumentError("one_hot: Can not infer total number of classes from empty tensor.")
        num_classes = int(i.max()) + 1
    elif num_classes <= 0 or (checked and i.max() >= num_classes):
        raise ArgumentError(f"one_hot: Class values must be smaller than num_classes. num_classes is {num_classes}")
    return wrap((i[..., None] == np.arange(num_classes)).astype(np.int64))


where_kept = backends.kernel(lambda keep, g: s.where(keep, g, 0))


@custom(inputs=1, grad_name="EmbeddingBackward0")
def embedding_of(weight, index, padding, scale=None):
    return backends.take_rows(weight, 0, index), (weight.shape,)


@embedding_of.pull
def embedding_pull(node, g, walk):
    parent = node.parents[0]
    shape, (index, padding, scale) = node.saved[0], node.meta[1]
    if not walk.wants(parent):
        return
    out, accumulate = walk.destination(parent)
    if out is None:
        out = backends.zeros(shape, of(g).code, g)
    elif not accumulate:
        out.fill(0)
    if scale is not None:
        g = p.mul(wrap(g), wrap(scale)).array
    if not index.ndim:
        index, g = index.reshape(1), g.reshape(1, -1)
    if padding is not None:
        keep = index != padding
        if backends.place_of(index) is None:
            index, g = index[keep], g[keep]
        else:  # nobody waits to know how many there are
            g = backends.elementwise(where_kept, (keep[..., None], g))
    backends.add_rows(out, 0, backends.dense(index), backends.dense(g))
    walk.arrive(parent, out)


@embedding_of.vjp
def embedding_vjp(g, needs, shape, index, padding, scale):
    if scale is not None:
        g = p.mul(g, wrap(scale))
    if padding is not None:
        g = p.mul(g, wrap((index != padding).astype(g.array.dtype)[..., None]))
    return rows_zeros(g, shape, 0, index) if index.ndim else rows_zeros(g.unsqueeze(0), shape, 0, index.reshape(1))


def shorten(weight: Tensor, used: Tensor, max_norm: Any, norm_type: Any) -> None:
    """Scale the rows ``used`` of a table that are longer than ``max_norm`` to that length, in place; nothing is recorded."""
    table, used = weight.detach(), unique(used)
    rows = rows_at(table, 0, used.array)
    lengths = norm(rows, norm_type, 1, keepdim=True)
    setitem(table, used, p.where(p.gt(lengths, max_norm), p.mul(rows, p.div(max_norm, p.add(lengths, 1e-7))), rows))


def rarity(input: Tensor, like: Tensor) -> Any:
    """1 / how often the row that each index names is named, to multiply rows with."""
    _, place, counts = unique(input, return_inverse=True, return_counts=True)
    return p.div(1.0, rows_at(counts, 0, place.array.reshape(-1)).reshape(*input.array.shape, 1)).to(like.dtype).array


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: Any = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of ``weight`` at ``input``. The row ``padding_idx`` gets no gradient. Out of range raises ``IndexError``.

    With ``max_norm`` the rows that are taken and whose ``norm_type``-norm is larger are scaled down to it first, in ``weight`` itself.
    ``scale_grad_by_freq`` divides a row's gradient by how often the row was taken.

    >>> weight = gf.tensor([[0.0, 1.0], [2.0, 3.0]])
    >>> gf.nn.functional.embedding(gf.tensor([1, 1, 0]), weight)
    tensor([[2., 3.],
            [2., 3.],
            [0., 1.]])
    """
    index = index_array("embedding", input)
    if not isinstance(weight, Tensor):
        raise DTypeError(f"embedding: argument 'weight' must be Tensor, not {type(weight).__name__}")
    if weight.array.ndim != 2:
        raise ShapeError(f"embedding: 'weight' must be 2-D, it is {weight.ndim}-D")
    n = weight.array.shape[0]
    if padding_idx is not None:
        padding_idx = integer("embedding", "padding_idx", padding_idx)
        if not -n <= padding_idx < n:
            raise OutOfRangeError(f"embedding: Padding_idx must be within num_embeddings: {padding_idx} of {n}")
        padding_idx %= n
    if sparse and recording(weight):
        raise ArgumentError("embedding: there are no sparse gradients; leave sparse out")
    if index.size and backends.place_of(index) is None and not (index.min() >= 0 and index.max() < n):  # a device's kernel looks itself
        bad = index[(index < 0) | (index >= n)].flat[0]
        raise OutOfRangeError(f"embedding: index {bad} is out of range for a weight of {n} rows")
    if max_norm is not None and index.size:
        shorten(weight, input, max_norm, norm_type)
    return embedding_of(weight, index, padding_idx, rarity(input, weight) if scale_grad_by_freq and index.size else None)
