"""The linear maps that views are: each with its adjoint, most of them views themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends
from ..dtypes import of
from ..kinds import linear, plan
from ..tape.node import identity


def dense(array: Any) -> Any:
    """The array in C order: itself, or a copy in the backend's memory."""
    return array if array.flags.c_contiguous else backends.elementwise(identity, (backends.dense(array),))


@linear(view=True, grad_name="ViewBackward0")
def reshape_to(a, shape):
    return a.reshape(shape)


@reshape_to.light
def reshape_light(g, shape, _):
    return g.reshape(shape)


@reshape_to.adjoint
def reshape_adjoint(g, shape, _):
    return reshape_to(g, shape)


def inverse_of(axes: tuple[int, ...]) -> tuple[int, ...]:
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return tuple(inverse)


@linear(view=True, grad_name="PermuteBackward0")
def permute_to(a, axes):
    return a.transpose(axes)


@permute_to.light
def permute_light(g, shape, axes):
    return g.transpose(inverse_of(axes))


@permute_to.adjoint
def permute_adjoint(g, shape, axes):
    return permute_to(g, inverse_of(axes))


@linear(view=True, grad_name="TransposeBackward0")
def swap(a, i, j):
    return a.swapaxes(i, j)


@swap.light
def swap_light(g, shape, i, j):
    return g.swapaxes(i, j)


@swap.adjoint
def swap_adjoint(g, shape, i, j):
    return swap(g, i, j)


@linear(view=True, grad_name="TBackward0")
def flip_matrix(a):
    return a.T


@flip_matrix.light
def flip_matrix_light(g, shape):
    return g.T


@flip_matrix.adjoint
def flip_matrix_adjoint(g, shape):
    return flip_matrix(g)


@linear(view=True, grad_name="ExpandBackward0")
def expand_to(a, shape):
    return backends.expand(a, shape)


@expand_to.into
def expand_into(g, out, accumulate, shape, _):
    return plan.sum_to(identity, (g,), g.shape, shape, of(g).code, out, accumulate)


@expand_to.adjoint
def expand_adjoint(g, shape, _):
    from .reductions import sum_to_shape

    return sum_to_shape(g, shape)


@linear(view=True, grad_name="UnsqueezeBackward0")
def unsqueeze_at(a, axis):
    return np.expand_dims(a, axis)


@unsqueeze_at.light
def unsqueeze_light(g, shape, axis):
    return g.reshape(shape)


@unsqueeze_at.adjoint
def unsqueeze_adjoint(g, shape, axis):
    return reshape_to(g, shape)


@linear(view=True, grad_name="SqueezeBackward0")
def squeeze_all(a):
    return a.reshape(tuple(n for n in a.shape if n != 1)) if a.flags.c_contiguous else a.squeeze()


@squeeze_all.light
def squeeze_light(g, shape):
    return g.reshape(shape)


@squeeze_all.adjoint
def squeeze_adjoint(g, shape):
    return reshape_to(g, shape)


@linear(view=True, grad_name="SqueezeBackward1")
def squeeze_at(a, axes):
    return a.squeeze(axes) if axes else a[...]


@squeeze_at.light
def squeeze_at_light(g, shape, axes):
    return g.reshape(shape)


@squeeze_at.adjoint
def squeeze_at_adjoint(g, shape, axes):
    return reshape_to(g, shape)


@linear(grad_name="CloneBackward0")
def copied(a, order):
    return backends.elementwise(identity, (a if order == "K" else dense(a),)) if a.flags.c_contiguous or order == "K" else dense(a)


@copied.adjoint
def copied_adjoint(g, shape, order):
    return g


def diagonal_view(a: Any, offset: int, i: int, j: int) -> Any:
    """NumPy's diagonal, writeable."""
    d = np.diagonal(a, offset, i, j)
    if a.flags.writeable:
        d.flags.writeable = True
    return d


@linear(view=True, grad_name="DiagonalBackward0")
def diagonal_of(a, offset, i, j):
    return diagonal_view(a, offset, i, j)


@diagonal_of.adjoint
def diagonal_adjoint(g, shape, offset, i, j):
    return diagonal_embed(g, shape, offset, i, j)


@linear(grad_name="DiagEmbedBackward0")
def diagonal_embed(a, shape, offset, i, j):
    out = backends.zeros(shape, of(a).code, a)
    diagonal_view(out, offset, i, j)[...] = a
    return out


@diagonal_embed.adjoint
def diagonal_embed_adjoint(g, shape, full, offset, i, j):
    return diagonal_of(g, offset, i, j)


# Basic indices


@linear(view=True, grad_name="SliceBackward0")
def part(a, key):
    return a[key]


@part.into
def part_into(g, out, accumulate, shape, key):
    """Only the part that was read is touched when there is a gradient already."""
    if out is None or not accumulate:
        if out is None:
            out = backends.zeros(shape, of(g).code, g)
        else:
            out.fill(0)
        backends.copy(g, out[key])
    else:
        view = out[key]
        if view.size:
            backends.elementwise(identity, (g,), view, 1)
    return out


@part.adjoint
def part_adjoint(g, shape, key):
    return embed(g, shape, key)


@linear(view=True, grad_name="SelectBackward0")
def row(a, i, axis=0):
    return a[(slice(None),) * axis + (i, ...)]


@row.into
def row_into(g, out, accumulate, shape, i, axis=0):
    return part_into(g, out, accumulate, shape, (slice(None),) * axis + (i, ...))


@row.adjoint
def row_adjoint(g, shape, i, axis=0):
    return embed(g, shape, (slice(None),) * axis + (i, ...))


@linear
def embed(a, shape, key):
    """Zeros of ``shape`` with the array at ``key``: the adjoint of reading there."""
    out = backends.zeros(shape, of(a).code, a)
    backends.copy(a, out[key])
    return out


@embed.adjoint
def embed_adjoint(g, small, shape, key):
    return part(g, key)
