"""Tensors side by side, and one in pieces: stacks and splits along an axis that is made if it is missing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError, labelled
from ..kinds.direct import direct
from ..tensor import Tensor
from .axes import axis_of
from .joining import cat, countable, joined, list_of
from .view_maps import part
from .views import expand


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors as columns, matrices side by side.

    >>> gf.column_stack([gf.tensor([1, 2]), gf.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return joined("column_stack", [t.reshape(-1, 1) if t.array.ndim < 2 else t for t in list_of("column_stack", tensors)], 1)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other along a third axis: (n, m) counts as (n, m, 1).

    >>> gf.dstack([gf.tensor([1, 2]), gf.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return joined("dstack", [atleast_3d(t) for t in list_of("dstack", tensors)], 2)


def atleast_1d(*tensors: Any) -> Any:
    """At least one axis.

    >>> gf.atleast_1d(gf.tensor(5))
    tensor([5])
    """
    return each("atleast_1d", tensors, lambda t: t if t.array.ndim else t.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """At least two axes, the new one in front.

    >>> gf.atleast_2d(gf.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return each("atleast_2d", tensors, lambda t: t if t.array.ndim > 1 else t.reshape(1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """At least three axes: (n,) becomes (1, n, 1), (n, m) becomes (n, m, 1).

    >>> gf.atleast_3d(gf.ones(2)).shape
    torch.Size([1, 2, 1])
    """
    return each("atleast_3d", tensors, lambda t: t if t.array.ndim > 2 else t.unsqueeze(-1) if t.array.ndim == 2 else t.reshape(1, -1, 1))


def each(op: str, tensors: tuple, f: Any) -> Any:
    listed = len(tensors) == 1 and isinstance(tensors[0], tuple | list)
    for i, t in enumerate(tensors[0] if listed else tensors):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    if listed:
        return tuple(f(t) for t in tensors[0])
    return f(tensors[0]) if len(tensors) == 1 else tuple(f(t) for t in tensors)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the elements of vectors, a row each.

    >>> gf.cartesian_prod(gf.tensor([1, 2]), gf.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in list_of("cartesian_prod", tensors):
        if t.array.ndim != 1:
            raise ShapeError(f"cartesian_prod: Expect a 1D vector, but got shape {tuple(t.shape)}")
        if t.dtype is not tensors[0].dtype:
            raise DTypeError(
                f"cartesian_prod: expects all tensors to have the same dtype, not {tensors[0].dtype} and {t.dtype}; convert one"
            )
    if len(tensors) == 1:
        return tensors[0]
    shape = tuple(t.array.size for t in tensors)
    grids = [t.reshape(tuple(-1 if k == i else 1 for k in range(len(tensors)))) for i, t in enumerate(tensors)]
    return cat([expand(g, shape).reshape(-1, 1) for g in grids], 1)


@direct("tensor_split", part.plan)
def tensor_split(input: Tensor, indices_or_sections: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Views split at indices, or into a number of nearly equal sections.

    >>> gf.tensor_split(gf.arange(5), 2), gf.tensor_split(gf.arange(5), [1, 3])
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))
    """
    if not input.array.ndim:
        raise ShapeError("tensor_split: expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    axis = axis_of("tensor_split", dim, input.array.ndim)
    n = input.array.shape[axis]
    spec = indices_or_sections
    if isinstance(spec, Tensor):
        if spec.array.ndim > 1 or spec.array.dtype != np.int64:
            raise ShapeError(
                f"tensor_split: a tensor of indices or sections must be of int64 and have at most one axis; it is {spec.dtype}, {spec.ndim}-D"
            )
        spec = spec.tolist()
    if not isinstance(spec, int | tuple | list) or not all(type(i) is int for i in (spec if not isinstance(spec, int) else (spec,))):
        raise DTypeError(f"tensor_split: argument 'indices_or_sections' must be int or tuple of ints, not {indices_or_sections!r}")
    if isinstance(spec, int):
        if not 0 < spec < 2**31:
            raise ArgumentError(f"tensor_split: number of sections must be larger than 0, got {spec}")
        size, extra = divmod(n, countable("tensor_split", spec))
        bounds = [0]
        for i in range(spec):
            bounds.append(bounds[-1] + size + (i < extra))
    else:
        bounds = [0, *(slice(None, i).indices(n)[1] for i in spec), n]
    keys: list[tuple] = [(slice(None),) * axis + (slice(a, b if b > a else a), Ellipsis) for a, b in itertools.pairwise(bounds)]
    return tuple(part(input, key) for key in keys)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along columns (the first axis of a vector).

    >>> gf.hsplit(gf.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    if not input.array.ndim:
        raise ShapeError("hsplit: requires a tensor with at least 1 dimension, but got a tensor with 0 dimensions")
    return split_evenly("hsplit", input, indices_or_sections, 0 if input.array.ndim == 1 else 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """:func:`tensor_split` along rows.

    >>> gf.vsplit(gf.tensor([[1, 2], [3, 4]]), 2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
    if input.array.ndim < 2:
        raise ShapeError(f"vsplit: requires a tensor with at least 2 dimensions, but got a tensor with {input.ndim} dimensions")
    return split_evenly("vsplit", input, indices_or_sections, 0)


def split_evenly(op: str, input: Tensor, spec: Any, axis: int) -> tuple[Tensor, ...]:
    if type(spec) is int and (spec <= 0 or input.array.shape[axis] % spec):
        raise ArgumentError(
            f"{op}: attempted to split along dimension {axis}, but the size of the dimension {input.array.shape[axis]} is not divisible by the split_size {spec}!"
        )
    if isinstance(spec, Tensor):
        raise DTypeError(f"{op}: argument 'indices_or_sections' must be int or tuple of ints, not Tensor")
    return labelled(op, tensor_split, input, spec, axis)
