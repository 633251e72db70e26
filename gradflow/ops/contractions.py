"""Products over several axes, as matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..errors import ArgumentError, DTypeError, ShapeError, labelled
from ..kinds import elementwise
from ..tape.node import named
from ..tensor import Tensor
from . import pointwise as p
from .axes import axis_of
from .joining import stack
from .products import added, bmm, dot, matmul, mv, outer
from .reductions import sum_over
from .views import broadcast_tensors


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum over the last ``dims`` axes of ``a`` and the first of ``b``, or over two lists of axes.

    >>> gf.tensordot(gf.ones(2, 3, 4), gf.ones(3, 4, 5), dims=2).shape
    torch.Size([2, 5])
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0 or dims > min(a.array.ndim, b.array.ndim):
            raise ShapeError(f"tensordot: expects dims >= 0 and at most the number of axes, but got dims={dims}")
        da, db = list(range(a.array.ndim - dims, a.array.ndim)), list(range(dims))
    else:
        da, db = (list(d) if isinstance(d, tuple | list) else [d] for d in dims)
        da = [axis_of("tensordot", d, a.array.ndim) for d in da]
        db = [axis_of("tensordot", d, b.array.ndim) for d in db]
    if len(da) == len(db):  # an axis of size 1 meets every size: the other's is summed
        thin = [(a.array.shape[i] == 1, b.array.shape[j] == 1) for i, j in zip(da, db, strict=True)]
        a, b = (
            sum_over(t, gone, True).to(t.dtype)
            if (gone := tuple(d for d, one in zip(dims_, thin, strict=True) if one[other] and not one[1 - other]))
            else t
            for t, dims_, other in ((a, da, 1), (b, db, 0))
        )
    if len(da) != len(db) or any(a.array.shape[i] != b.array.shape[j] for i, j in zip(da, db, strict=True)):
        raise ShapeError(
            f"tensordot: contracted dimensions need to match, but first has {[a.array.shape[i] for i in da]} and second has {[b.array.shape[j] for j in db]}"
        )
    ra, rb = [i for i in range(a.array.ndim) if i not in da], [j for j in range(b.array.ndim) if j not in db]
    k = int(np.prod([a.array.shape[i] for i in da], dtype=np.int64))
    left = a.permute([*ra, *da]).reshape(int(np.prod([a.array.shape[i] for i in ra], dtype=np.int64)), k)
    right = b.permute([*db, *rb]).reshape(k, int(np.prod([b.array.shape[j] for j in rb], dtype=np.int64)))
    return matmul(left, right).reshape((*(a.array.shape[i] for i in ra), *(b.array.shape[j] for j in rb)))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of ``input`` times the whole of ``other``.

    >>> gf.kron(gf.eye(2), gf.tensor([[1.0, 2.0]]))
    tensor([[1., 2., 0., 0.],
            [0., 0., 1., 2.]])
    """
    if not isinstance(other, Tensor):
        raise DTypeError(f"kron: argument 'other' must be Tensor, not {type(other).__name__}")
    n = max(input.array.ndim, other.array.ndim)
    a = input.reshape((1,) * (n - input.array.ndim) + input.array.shape)
    b = other.reshape((1,) * (n - other.array.ndim) + other.array.shape)
    shape = tuple(x * y for x, y in zip(a.array.shape, b.array.shape, strict=True))
    spread_a = a.reshape(tuple(s for x in a.array.shape for s in (x, 1)))
    spread_b = b.reshape(tuple(s for y in b.array.shape for s in (1, y)))
    return p.mul(spread_a, spread_b).reshape(shape)


def cross(input: Tensor, other: Tensor, dim: Any = None) -> Tensor:
    """The vector product of axes of size 3 (the first such axis without ``dim``).

    >>> gf.cross(gf.tensor([1.0, 0.0, 0.0]), gf.tensor([0.0, 1.0, 0.0]), dim=0)
    tensor([0., 0., 1.])
    """
    if input.array.ndim != other.array.ndim:
        raise ShapeError(f"cross: inputs must have the same number of dimensions; they have {input.ndim} and {other.ndim}")
    if input.array.dtype != other.array.dtype or input.array.dtype.kind == "b":
        raise DTypeError(f"cross: expected two tensors of one type of numbers, got {input.dtype} and {other.dtype}; convert one")
    shape = tuple(labelled("cross", broadcast_tensors, input, other)[0].shape)
    if dim is None and 3 not in shape:
        raise ShapeError("cross: no dimension of size 3 in input")
    axis = axis_of("cross", shape.index(3) if dim is None else dim, len(shape))
    if shape[axis] != 3 or input.array.shape[axis - len(shape)] != 3 or other.array.shape[axis - len(shape)] != 3:
        raise ShapeError(f"cross: inputs dimension {axis} must have length 3. Got {list(input.shape)} and {list(other.shape)}")
    (a, b, c), (d, e, f) = input.expand(shape).unbind(axis), other.expand(shape).unbind(axis)
    return named(stack([minor(b, c, e, f), minor(c, a, f, d), minor(a, b, d, e)], axis), "LinalgCrossBackward0")


@elementwise
def minor(a, b, c, d):
    """The determinant of two rows."""
    return a * d - b * c


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sum over the last axes of both: (..., k) and (*, k) give (..., *).

    >>> gf.inner(gf.tensor([[1.0, 2.0], [3.0, 4.0]]), gf.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    if not other.array.ndim or not input.array.ndim:
        return p.mul(input, other)
    if input.array.ndim == other.array.ndim == 2 and input.array.shape[1] == other.array.shape[1]:
        return labelled("inner", matmul, input, other.t())
    return tensordot(input, other, ([input.array.ndim - 1], [other.array.ndim - 1]))


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors.

    >>> gf.vdot(gf.tensor([1.0, 2.0]), gf.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return dot(input, other)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``: (n, k) and (k,) give (n,).

    >>> gf.addmv(gf.ones(2), gf.tensor([[1.0, 2.0], [3.0, 4.0]]), gf.ones(2))
    tensor([4., 8.])
    """
    return named(added("addmv", input, labelled("addmv", mv, mat, vec), beta, alpha), "AddmvBackward0")


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``: (n,) and (m,) give (n, m).

    >>> gf.addr(gf.ones(2, 2), gf.tensor([1.0, 2.0]), gf.tensor([3.0, 4.0]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    y = labelled("addr", outer, vec1, vec2)
    if not isinstance(input, Tensor):
        raise DTypeError(f"addr: argument 'input' must be Tensor, not {type(input).__name__}")
    dtype = dtypes.promote_types(input.dtype, y.dtype)
    for name, number in (("beta", beta), ("alpha", alpha)):
        if isinstance(number, float) and not dtype.is_floating_point:
            raise ArgumentError(f"addr: For integral input tensors, argument {name} must not be a floating point number; it is {number}")
    result = added("addr", input.to(dtype), y.to(dtype), beta, alpha)
    return named(result, "AddrBackward0")


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * sum of batch1[i] @ batch2[i]``: (b, n, k) and (b, k, m) give (n, m).

    >>> gf.addbmm(gf.zeros(2, 2), gf.ones(3, 2, 4), gf.ones(3, 4, 2))
    tensor([[12., 12.],
            [12., 12.]])
    """
    y = sum_over(labelled("addbmm", bmm, batch1, batch2), (0,), False).to(batch1.dtype)
    return named(added("addbmm", input, y, beta, alpha), "AddbmmBackward0")


def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariance matrix of variables in rows, observations in columns.

    >>> gf.cov(gf.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.array.ndim > 2:
        raise ShapeError(f"cov: expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions")
    if input.array.dtype.kind == "b":
        raise DTypeError("cov: bool dtype is not supported for input; convert with .float()")
    x = input.reshape(1, -1) if input.array.ndim < 2 else input
    if not x.dtype.is_floating_point:
        x = x.to(p.div(x, 1).dtype)
    n = x.array.shape[1]
    for name, w, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "fV")):
        if w is None:
            continue
        if w.array.ndim > 1:
            raise ShapeError(f"cov: expected {name} to have one or fewer dimensions but got {w.ndim}")
        if w.array.dtype.kind not in kinds:
            raise DTypeError(f"cov: expected {name} to have {'integral' if kinds == 'iu' else 'floating point'} dtype but got {w.dtype}")
        if w.array.size != n:
            raise ShapeError(f"cov: expected {name} to have as many elements as there are observations, {n}, but got {w.numel()}")
        if n and p.somewhere(p.lt(w, 0)):
            raise ArgumentError(f"cov: {name} cannot be negative")
    weights = None
    for w in (fweights, aweights):
        if w is not None:
            weights = w if weights is None else p.mul(weights, w)
    if weights is None:
        total: Any = float(n)
        centred = p.sub(x, x.mean(1, True))
        scaled = centred
    else:
        total = weights.sum()
        centred = p.sub(x, p.div(p.mul(x, weights).sum(1, True), total))
        scaled = p.mul(centred, weights)
    if aweights is not None and correction:
        used = p.mul(weights, aweights).sum() if weights is not None else total
        norm = p.sub(total, p.div(p.mul(used, float(correction)), total))
    else:
        norm = p.sub(total, float(correction)) if isinstance(total, Tensor) else total - correction
    norm = p.clamp(norm, min=0) if isinstance(norm, Tensor) else max(norm, 0.0)
    c = p.div(matmul(scaled, centred.transpose(0, 1)), norm)
    return c.squeeze()


def corrcoef(input: Tensor) -> Tensor:
    """The correlation matrix of variables in rows: the covariance divided by both standard deviations, within [-1, 1].

    >>> gf.corrcoef(gf.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = labelled("corrcoef", cov, input)
    if not c.array.ndim:
        return p.div(c, c)
    d = p.sqrt(c.diagonal())
    return p.clamp(p.div(p.div(c, d.unsqueeze(1)), d.unsqueeze(0)), -1, 1)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, in the cheapest order.

    >>> gf.chain_matmul(gf.ones(2, 3), gf.ones(3, 4), gf.ones(4, 1))
    tensor([[12.],
            [12.]])
    """
    from .matrix_functions import multi_dot

    for t in matrices:
        if isinstance(t, Tensor) and t.array.ndim != 2:
            raise ShapeError(f"chain_matmul: expected matrices, but one tensor has {t.ndim} dimensions")
    if len(matrices) == 1:
        return matrices[0].clone()
    return labelled("chain_matmul", multi_dot, matrices)
