"""Products: one kernel, ``dot``, with transposes as strides and the gradient added by BLAS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends
from ..backends import dot as product
from ..dtypes import FROM_NUMPY
from ..errors import DTypeError, RankError, ShapeError, labelled
from ..kinds import plan
from ..kinds.out import into
from ..tape.node import Node, identity, mode, named, new_version
from ..tensor import Tensor, wrap
from . import pointwise as p
from .convert import element


def transposed(a: Any) -> Any:
    return a.T if a.ndim == 2 else a.swapaxes(-1, -2)


class ProductPlan:
    """Back through a @ b: ``a`` gets g @ b.T, ``b`` gets a.T @ g, each straight into its buffer."""

    __slots__ = ("name",)
    products = True

    def __init__(self, name: str):
        self.name = name

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        first, second = node.parents
        a, b = node.saved
        vector_a, vector_b = a.ndim == 1, b.ndim == 1
        if vector_a and vector_b:
            if first is second:
                walk.add(first, backends.elementwise(formulas_twice, (g, a)), True)
                return
            for parent, other in ((first, b), (second, a)):
                if walk.wants(parent):
                    out, accumulate = walk.destination(parent)
                    walk.arrive(parent, backends.elementwise(times, (g, other), out, accumulate))
            return
        if vector_a or vector_b:  # a vector is a matrix with one row, or one column
            g = np.expand_dims(g, -2 if vector_a else -1)
            a = a[None] if vector_a else a
            b = b[:, None] if vector_b else b
        if walk.wants(first):
            self.give(first, g, transposed(b), node.saved[0].shape, vector_a, 0, walk)
        if walk.wants(second):
            self.give(second, transposed(a), g, node.saved[1].shape, vector_b, -1, walk)

    def give(self, parent: Any, a: Any, b: Any, shape: tuple, vector: bool, axis: int, walk: Any) -> None:
        out, accumulate = walk.destination(parent)
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if a.ndim > 2 or b.ndim > 2 else ()
        if not vector and len(shape) == 2 + len(batch) and shape[:-2] == batch:
            walk.arrive(parent, product(a, b, out, accumulate))
            return
        if not vector and len(shape) == 2 and axis == -1 and a.ndim == b.ndim and a.ndim > 2 and b.flags.c_contiguous:
            # one weight for a batch: the batch is part of the sum, so this is one product
            rows = math.prod(a.shape[:-2]) * a.shape[-1]
            left = np.moveaxis(a, -2, 0).reshape(a.shape[-2], rows)
            walk.arrive(parent, product(left, b.reshape(rows, b.shape[-1]), out, accumulate))
            return
        full = product(a, b)
        if vector:
            full = full.squeeze(-2 if axis == 0 else -1)
        code = CODE[full.dtype]
        walk.arrive(parent, plan.sum_to(identity, (full,), full.shape, shape, code, out, accumulate))

    def derive(self, node: Node, g: Tensor) -> list[Any]:
        from .reductions import sum_tensor_to

        a, b = (wrap(x, parent) for x, parent in zip(node.saved, node.parents, strict=True))
        code = g.dtype.code
        va, vb = a.array.ndim == 1, b.array.ndim == 1
        if va and vb:
            return [p.mul(g, b), p.mul(g, a)]
        shapes = a.array.shape, b.array.shape
        if va:
            a, g = a.unsqueeze(0), g.unsqueeze(-2)
        if vb:
            b, g = b.unsqueeze(-1), g.unsqueeze(-1)
        da = matmul(g, b.transpose(-1, -2)) if node.parents[0] is not None else None
        db = matmul(a.transpose(-1, -2), g) if node.parents[1] is not None else None
        if va and da is not None:
            da = da.squeeze(-2)
        if vb and db is not None:
            db = db.squeeze(-1)
        return [x if x is None else sum_tensor_to(x, s, code) for x, s in ((da, shapes[0]), (db, shapes[1]))]


times = backends.kernel(lambda g, x: g * x)
formulas_twice = backends.kernel(lambda g, x: g * x + g * x)


MM, MV, DOT, BMM, MATMUL = (ProductPlan(f"{name}Backward0") for name in ("Mm", "Mv", "Dot", "Bmm", "UnsafeView"))


def record(plan: ProductPlan, x: Tensor, y: Tensor, out: Any) -> Tensor:
    t = wrap(out)
    a, b = x.node, y.node
    if (a is not None or b is not None) and mode.enabled and out.dtype.kind in "fV":
        # the gradient of one operand reads the other
        v = w = None
        if b is not None:
            v = x.version
            if v is None:
                v = x.version = new_version()
        if a is not None:
            w = y.version
            if w is None:
                w = y.version = new_version()
        t.node = Node(plan, (a, b), (x.array, y.array), (v, w))
    return t


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, as ``@``: vectors are rows or columns, leading axes are batches and broadcast.

    ``(..., n, k) @ (..., k, m)`` is ``(..., n, m)``. Both operands have one type.

    >>> gf.matmul(gf.tensor([[1, 2], [3, 4]]), gf.tensor([1, 1]))
    tensor([3, 7])
    """
    try:
        a, b = input.array, other.array
    except AttributeError:
        wrong = other if isinstance(input, Tensor) else input
        raise DTypeError(f"matmul: an operand is a {type(wrong).__name__}; expected a Tensor") from None
    out = product(a, b)
    n, m = a.ndim, b.ndim
    plan = MM if n == 2 == m else DOT if n == 1 == m else MV if n + m == 3 and m == 1 else BMM if n == 3 == m else MATMUL
    return record(plan, input, other, out)


def two(op: str, x: Any, y: Any, n: int, m: int) -> None:
    for name, t, d in (("input", x, n), ("other", y, m)):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(t).__name__}")
        if t.array.ndim != d:
            raise RankError(f"{op}: {name} must be {d}-D, it has shape {tuple(t.shape)}" + ("; use matmul for batches" if d == 2 else ""))


def product_named(op: str, x: Tensor, y: Tensor) -> Tensor:
    """``x @ y``, whose errors are those of the operation that the user called."""
    return labelled(op, matmul, x, y)


def added(op: str, input: Tensor, y: Tensor, beta: float, alpha: float) -> Tensor:
    """``beta * input + alpha * y``, where ``input`` must broadcast to ``y``; for ``beta`` 0 it is not read."""
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if input.array.dtype != y.array.dtype:
        raise DTypeError(f"{op}: self and mat2 must have the same dtype, but got {input.dtype} and {y.dtype}")
    shape = input.array.shape
    lead = y.array.ndim - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, y.array.shape[lead:])):
        raise ShapeError(f"{op}: the input, {tuple(shape)}, does not broadcast to the product, {tuple(y.shape)}")
    alpha, beta = element(op, alpha, y.dtype), element(op, beta, y.dtype)
    y = y if alpha == 1 else p.mul(y, alpha)
    if beta == 0:
        return y
    return p.add(input if beta == 1 else p.mul(input, beta), y)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, k) and (k, m) give (n, m); no broadcasting.

    >>> gf.mm(gf.tensor([[1, 2], [3, 4]]), gf.tensor([[0, 1], [1, 0]]))
    tensor([[2, 1],
            [4, 3]])
    """
    two("mm", input, mat2, 2, 2)
    return product_named("mm", input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector: (n, k) and (k,) give (n,).

    >>> gf.mv(gf.tensor([[1, 2], [3, 4]]), gf.tensor([1, 10]))
    tensor([21, 43])
    """
    two("mv", input, vec, 2, 1)
    return product_named("mv", input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of one length.

    >>> gf.dot(gf.tensor([1, 2]), gf.tensor([3, 4]))
    tensor(11)
    """
    two("dot", input, tensor, 1, 1)
    if input.array.shape != tensor.array.shape:
        raise ShapeError(
            f"dot: inconsistent tensor size, expected tensor {list(input.shape)} and src {list(tensor.shape)} to have the same number of elements, but got {input.numel()} and {tensor.numel()} elements respectively"
        )
    return product_named("dot", input, tensor)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, pair by pair; no broadcasting.

    >>> gf.bmm(gf.ones(5, 2, 3), gf.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    two("bmm", input, mat2, 3, 3)
    if input.array.shape[0] != mat2.array.shape[0]:
        raise ShapeError(f"bmm: batch sizes differ: {tuple(input.shape)} and {tuple(mat2.shape)}; use matmul to broadcast")
    return product_named("bmm", input, mat2)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """``out[i, j] = input[i] * vec2[j]``

    >>> gf.outer(gf.tensor([1, 2]), gf.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    two("outer", input, vec2, 1, 1)
    return p.mul(input.unsqueeze(1), vec2)


class LinearPlan(ProductPlan):
    """Back through x @ w.T + b. ``meta`` tells whether there is a bias."""

    __slots__ = ()

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        x, w = node.saved[:2]
        px, pw, pb = node.parents
        rows = g.reshape(-1, g.shape[-1]) if g.ndim != 2 else g
        if walk.wants(pw):
            out, accumulate = walk.destination(pw)
            walk.arrive(pw, product(rows.T, x.reshape(-1, x.shape[-1]) if x.ndim != 2 else x, out, accumulate))
        if walk.wants(pb):
            out, accumulate = walk.destination(pb)
            walk.arrive(pb, backends.reduce(SUM, identity, (rows,), (0,), False, out, accumulate))
        if walk.wants(px):
            out, accumulate = walk.destination(px)
            if out is not None and g.ndim != 2:
                walk.arrive(px, backends.elementwise(identity, (product(g, w),), out, accumulate))
            else:
                walk.arrive(px, product(g, w, out, accumulate))

    def derive(self, node: Node, g: Tensor) -> list[Any]:
        px, pw, pb = node.parents
        x, w = (wrap(a, n) for a, n in zip(node.saved[:2], (px, pw), strict=True))
        rows = g.reshape(-1, g.array.shape[-1])
        dx = matmul(g, w) if px is not None else None
        dw = matmul(rows.t(), x.reshape(-1, x.array.shape[-1])) if pw is not None else None
        return [dx, dw, rows.sum(0) if pb is not None else None]


SUM: int = backends.KINDS["sum"]
ADDMM = LinearPlan("AddmmBackward0")


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None, *, out: Any = None) -> Tensor:
    """``input @ weight.T + bias``: (..., k), (m, k) and (m,) give (..., m). The bias is where the product is added to.

    >>> gf.nn.functional.linear(gf.tensor([[1.0, 2.0]]), gf.tensor([[3.0, 4.0]]), gf.tensor([0.5]))
    tensor([[11.5000]])
    """
    if out is not None:
        return into("linear", out, linear, (input, weight, bias), {})
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        raise DTypeError(f"linear: input and weight must be Tensors, not {type(input).__name__} and {type(weight).__name__}")
    if bias is not None and not isinstance(bias, Tensor):
        raise DTypeError(f"linear: argument 'bias' must be Tensor, not {type(bias).__name__}")
    x, w = input.array, weight.array
    if w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[1]:
        if w.ndim == 1 and bias is None and x.ndim and x.shape[-1] == w.shape[0]:
            return product_named("linear", input, weight)
        raise ShapeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied: input is {tuple(x.shape)}, weight is {tuple(w.shape)}; need input.shape[-1] == weight.shape[1]"
        )
    if bias is None:
        return product_named("linear", input, weight.t())
    b = bias.array
    if b.shape not in ((w.shape[0],), (), (1,)):
        raise ShapeError(f"linear: the bias has shape {tuple(b.shape)}, the weight {tuple(w.shape)}; need bias.shape == (weight.shape[0],)")
    if x.dtype != w.dtype or b.dtype != w.dtype:
        raise DTypeError(f"linear: mat1 and mat2 must have the same dtype, but got {input.dtype}, {weight.dtype} and bias {bias.dtype}")
    if b.shape != (w.shape[0],) or x.ndim == 1:
        return p.add(matmul(input, weight.t()), bias)
    result = backends.empty((*x.shape[:-1], w.shape[0]), CODE[w.dtype], x)
    rows = result if result.ndim == 2 else result.reshape(-1, w.shape[0])
    backends.copy(b, rows)
    product(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]), w.T, rows, 1)
    t = wrap(result)
    nodes = (input.node, weight.node, bias.node)
    if mode.enabled and nodes != (None, None, None) and result.dtype.kind in "fV":
        v = w_ = None
        if nodes[1] is not None:
            v = input.version
            if v is None:
                v = input.version = new_version()
        if nodes[0] is not None:
            w_ = weight.version
            if w_ is None:
                w_ = weight.version = new_version()
        t.node = Node(ADDMM, nodes, (x, w), (v, w_))
    return t


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``: (n, k) and (k, m) give (n, m); one product that adds to its result.

    >>> gf.addmm(gf.ones(2, 2), gf.tensor([[1.0, 2.0], [3.0, 4.0]]), gf.eye(2), beta=10)
    tensor([[11., 12.],
            [13., 14.]])
    """
    two("addmm", mat1, mat2, 2, 2)
    return named(added("addmm", input, product_named("addmm", mat1, mat2), beta, alpha), "AddmmBackward0")


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` for batches of matrices.

    >>> gf.baddbmm(gf.ones(1, 2, 2), gf.ones(1, 2, 3), gf.ones(1, 3, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    y = labelled("baddbmm", bmm, batch1, batch2)
    return named(added("baddbmm", input, y, beta, alpha), "BaddbmmBackward0")


CODE = {d: t.code for d, t in FROM_NUMPY.items()}
