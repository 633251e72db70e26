"""Norms, ranks, powers and exponentials of matrices, and products of many."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends.batched import asarray
from ..errors import ArgumentError, AxisError, DTypeError, ShapeError
from ..kinds import custom
from ..tensor import Tensor, wrap
from . import contractions, pointwise
from .axes import axes_of, axis_of, flag, integer
from .factorizations import floats, matrices
from .hosted import hosted
from .joining import cat
from .products import matmul
from .solving import inv_checked, inverse_of, number_or_tensor, solve_checked, threshold
from .spectra import eigvalsh, singular_values
from .vector_norms import norm_of
from .views import diagonal as diagonal_of
from .views import movedim

# ---- norms -------------------------------------------------------------------------------------------------------------


def norm_input(op: str, x: Any, dtype: Any, name: str = "x", narrow: bool = True) -> Tensor:
    """The tensor in the type that the norm is computed in."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    floats(op, x, narrow)
    if dtype is None:
        return x
    wanted = dtypes.get(dtype, op)
    if not wanted.is_floating_point:
        raise DTypeError(f"{op}: dtype should be floating point, but got {wanted}")
    if dtypes.promote_types(x.dtype, wanted) is not wanted:
        raise DTypeError(
            f"{op}: the dtype of the input ({x.dtype}) should be convertible without narrowing to the specified dtype ({wanted})"
        )
    return x.to(wanted)


def order_of(op: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DTypeError(f"{op}: argument 'ord' must be Number, not {type(value).__name__}")
    return float(value)


def vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """``sum(|x| ** ord) ** (1 / ord)`` over ``dim``, or all elements; ``ord`` may be inf, -inf, and 0 (how many are not 0). The gradient at 0 is 0.

    >>> gf.linalg.vector_norm(gf.tensor([3.0, 4]))
    tensor(5.)
    """
    op = "linalg.vector_norm"
    x = norm_input(op, x, dtype)
    order = order_of(op, ord)
    axes = axes_of(op, dim, x.array.ndim)
    empty = [i for i in (range(x.array.ndim) if axes is None else axes) if not x.array.shape[i]]
    if empty and (order < 0 or order == math.inf):
        raise ArgumentError(f"{op}: cannot compute the {ord} norm over dimension {empty[0]}, which is empty, since it has no identity")
    return norm_of(x, order, axes, flag(op, "keepdim", keepdim))


def two_axes(op: str, dim: Any, ndim: int) -> tuple[int, int]:
    if not isinstance(dim, tuple | list):
        raise DTypeError(f"{op}: argument 'dim' must be tuple of ints, not {type(dim).__name__}")
    if len(dim) != 2:
        raise ShapeError(f"{op}: dim must be a 2-tuple. Got {tuple(dim)}")
    i, j = (axis_of(op, d, ndim) for d in dim)
    if i == j:
        raise ArgumentError(f"{op}: dims must be different. Got {tuple(dim)}")
    return i, j


def matrix_norm(input: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """A norm of matrices in the two axes ``dim``.

    "fro": of all elements; "nuc": the sum of the singular values; 2, -2: the largest, the smallest of them; 1, -1: the largest, the smallest sum
    of absolute values of a column; inf, -inf: of a row.

    >>> gf.linalg.matrix_norm(gf.tensor([[3.0, 0], [0, 4]]), "nuc")
    tensor(7.)
    """
    op = "linalg.matrix_norm"
    words = isinstance(ord, str)
    order = ord if words else order_of(op, ord)
    if order not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ArgumentError(f"{op}: Order {ord} not supported; use 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    spectral = order in ("nuc", 2, -2)
    input = norm_input(op, input, dtype, "input", narrow=not spectral)
    if input.array.ndim < 2:
        raise ShapeError(f"{op}: input must have at least 2 dimensions; its shape is {tuple(input.array.shape)}")
    rows, columns = two_axes(op, dim, input.array.ndim)
    keepdim = flag(op, "keepdim", keepdim)
    if order == "fro":
        return norm_of(input, 2.0, (rows, columns), keepdim)
    if spectral:
        s: Any = singular_values(op, movedim(input, (rows, columns), (-2, -1)))
        y = s.sum(-1) if order == "nuc" else extreme(op, s, -1, order > 0)
        return y.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else y
    summed, left = (rows, columns) if abs(order) == 1 else (columns, rows)
    y = extreme(op, norm_of(input, 1.0, (summed,), True), left, order > 0)
    return y.unsqueeze(left) if keepdim else y.squeeze(summed - (summed > left))


def extreme(op: str, x: Any, axis: int, largest: bool) -> Any:
    if x.array.shape[axis]:
        return x.amax(axis) if largest else x.amin(axis)
    if not largest:
        raise AxisError(f"{op}: the smallest of no values; the dimension {axis} is empty")
    return x.sum(axis)


def norm(input: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """:func:`vector_norm` or :func:`matrix_norm`: by the number of axes in ``dim``, or by ``ord`` ("fro", "nuc"), or by the axes of ``input``.

    Without ``ord`` the 2-norm of all elements, or over ``dim``.

    >>> gf.linalg.norm(gf.tensor([3.0, 4.0])), gf.linalg.norm(gf.tensor([[1.0, 2.0], [3.0, 4.0]]), "nuc")
    (tensor(5.), tensor(5.8310))
    """
    op = "linalg.norm"
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if isinstance(ord, str):
        return matrix_norm(input, ord, (-2, -1) if dim is None else dim if isinstance(dim, tuple | list) else (dim,), keepdim, dtype=dtype)
    if ord is None:
        return vector_norm(input, 2, dim, keepdim, dtype=dtype)
    if dim is not None:
        axes = tuple(dim) if isinstance(dim, tuple | list) else (dim,)
        if len(axes) not in (1, 2):
            raise ShapeError(f"{op}: If dim is specified, it must be of length 1 or 2. Got {list(axes)}")
    elif input.array.ndim not in (1, 2):
        raise ShapeError(f"{op}: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.array.ndim}D.")
    else:
        axes = tuple(range(input.array.ndim))
    if len(axes) == 1:
        return vector_norm(input, ord, axes, keepdim, dtype=dtype)
    return matrix_norm(input, ord, axes, keepdim, dtype=dtype)


def cond(input: Any, p: Any = None) -> Tensor:
    """The condition number ``norm(input) * norm(inv(input))``; for ``p`` None or 2 the largest singular value over the smallest, for -2 the inverse of that.

    >>> gf.linalg.cond(gf.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    op = "linalg.cond"
    if not (p is None or p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)):
        raise ArgumentError(f"{op}: got an invalid norm type: {p}; use None, 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    matrices(op, input, square=p not in (None, 2, -2))
    if not input.array.shape[-1] or not input.array.shape[-2]:
        return wrap(backends.beside(np.zeros(input.array.shape[:-2], input.array.dtype), input.array))
    if p in (None, 2, -2):
        s: Any = singular_values(op, input)
        large, small = s.select(-1, 0), s.select(-1, -1)
        return small / large if p == -2 else large / small
    inverse, info = inverse_of(input)
    product: Any = matrix_norm(input, p) * matrix_norm(where_regular(inverse, info), p)
    return product if not info.array.any() else pointwise.where(wrap(info.array != 0), math.inf, product)


def where_regular(inverse: Any, info: Any) -> Any:
    return pointwise.where(wrap((info.array != 0)[..., None, None]), 0.0, inverse) if info.array.any() else inverse


@hosted
def matrix_rank(input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values are above ``max(atol, rtol * the largest)`` (``tol`` alone: above it); int64.

    ``rtol`` is ``max(m, n) * eps`` unless ``atol`` is given. Tolerances may be tensors, one for each matrix. ``hermitian`` says that ``input`` is symmetric.

    >>> gf.linalg.matrix_rank(gf.ones(3, 3))
    tensor(1)
    """
    op = "linalg.matrix_rank"
    hermitian = flag(op, "hermitian", hermitian)
    matrices(op, input, square=hermitian)
    plain = input.detach()
    s = np.abs(eigvalsh(plain).array) if hermitian else singular_values(op, plain).array
    limit = number_or_tensor(op, "tol", tol) if tol is not None else threshold(op, s, input.array.shape, atol, rtol)
    return wrap(asarray((s > limit).sum(-1)))


# ---- powers and exponentials -------------------------------------------------------------------------------------------


def matrix_power(input: Any, n: int) -> Tensor:
    """``input @ input @ ... @ input``, ``n`` times; the identity for 0, powers of the inverse for negative ``n``. Integers stay integers.

    >>> gf.linalg.matrix_power(gf.tensor([[1, 1], [0, 1]]), 3).tolist()
    [[1, 3], [0, 1]]
    """
    op = "linalg.matrix_power"
    n = integer(op, "n", n)
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    shape = input.array.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"{op}: input must be batches of square matrices, but its shape is {tuple(shape)}")
    input, n = (input, n) if n >= 0 else (inv_checked(op, input, True).inverse, -n)
    if n == 0:  # a constant, with a gradient of zeros
        never, one = (wrap(backends.beside(a, input.array)) for a in (np.zeros(shape, bool), np.eye(shape[-1], dtype=input.array.dtype)))
        return pointwise.where(never, input, one)
    result: Any = None
    while True:  # the binary digits of n, lowest first
        if n & 1:
            result = input if result is None else matmul(result, input)
        n >>= 1
        if not n:
            return result.clone() if result is input else result
        input = matmul(input, input)


# Coefficients of the diagonal Padé approximant of degree 13, and the norm up to which it is exact in float64 (Higham,
# "The scaling and squaring method for the matrix exponential revisited", 2005).
PADE: tuple[float, ...] = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
)
PADE += (670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0)
PADE_NORM = 5.371920351148152


def exponential(a: Any) -> Any:
    """By scaling, Padé's approximation and squaring, in float64."""
    x = a.astype(np.float64)
    size = np.abs(x).sum(-2).max(-1, initial=0)
    broken = ~np.isfinite(size)
    with np.errstate(all="ignore"):
        steps = np.where(broken | (size == 0), 0, np.maximum(np.ceil(np.log2(size / PADE_NORM)), 0)).astype(int)
        x = np.where(broken[..., None, None], 0, x) / np.exp2(steps)[..., None, None]
        one = np.eye(a.shape[-1])
        x2 = x @ x
        x4 = x2 @ x2
        x6 = x4 @ x2
        odd = x @ (x6 @ (PADE[13] * x6 + PADE[11] * x4 + PADE[9] * x2) + PADE[7] * x6 + PADE[5] * x4 + PADE[3] * x2 + PADE[1] * one)
        even = x6 @ (PADE[12] * x6 + PADE[10] * x4 + PADE[8] * x2) + PADE[6] * x6 + PADE[4] * x4 + PADE[2] * x2 + PADE[0] * one
        y = np.linalg.solve(even - odd, even + odd)
        for i in range(int(steps.max(initial=0))):
            y = np.where((steps > i)[..., None, None], y @ y, y)
        return np.where(broken[..., None, None], np.nan, y).astype(a.dtype)


@custom(grad_name="LinalgMatrixExpBackward0")
def exponential_of(a):
    return exponential(a), (a,)


@exponential_of.vjp
def exponential_vjp(g, needs, a):
    """The derivative of an analytic function is in the corner of its value at ``[[A', g], [0, A']]``."""
    n, at = a.array.shape[-1], a.mT
    block = cat([cat([at, g], -1), cat([at * 0, at], -1)], -2)
    return exponential_of(block).narrow(-2, 0, n).narrow(-1, n, n)


def matrix_exp(input: Any) -> Tensor:
    """``exp(input) = 1 + input + input @ input / 2 + ...`` of square matrices; computed in float64. Matrices with nan or inf give nan.

    >>> gf.linalg.matrix_exp(gf.zeros(2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    matrices("linalg.matrix_exp", input, square=True, narrow=True)
    return exponential_of(input)


# ---- products ----------------------------------------------------------------------------------------------------------


def multi_dot(tensors: Any) -> Tensor:
    """The product of two or more matrices, in the cheapest order; the first and the last may be vectors.

    >>> gf.linalg.multi_dot([gf.ones(2), gf.ones(2, 3), gf.ones(3)])
    tensor(6.)
    """
    op = "linalg.multi_dot"
    if not isinstance(tensors, tuple | list):
        raise DTypeError(f"{op}: argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected Tensors, but got {type(t).__name__}")
    last = len(tensors) - 1
    if last < 1:
        raise ArgumentError(f"{op}: expected at least 2 tensors but got {last + 1}")
    for i, t in enumerate(tensors):
        if t.array.ndim != 2 and not (t.array.ndim == 1 and i in (0, last)):
            raise ShapeError(f"{op}: tensor {i} must be 2D{' or 1D' if i in (0, last) else ''} but got {t.array.ndim}D")
        if t.array.dtype != tensors[0].array.dtype:
            raise DTypeError(f"{op}: all tensors must have the same dtype but tensor 0 is {tensors[0].dtype} and tensor {i} {t.dtype}")
    full = list(tensors)
    row, column = full[0].array.ndim == 1, full[-1].array.ndim == 1
    if row:
        full[0] = full[0].unsqueeze(0)
    if column:
        full[-1] = full[-1].unsqueeze(1)
    for i in range(last):
        if full[i].array.shape[1] != full[i + 1].array.shape[0]:
            shapes = list(tensors[i].array.shape), list(tensors[i + 1].array.shape)
            raise ShapeError(f"{op}: tensors {i} and {i + 1} with shapes {shapes[0]} and {shapes[1]} cannot be multiplied")
    y = chained(full)
    y = y.squeeze(1) if column else y
    return y.squeeze(0) if row else y


def chained(factors: list[Any]) -> Any:
    """The product in the order of least work (Cormen et al., "Introduction to Algorithms", on matrix-chain multiplication)."""
    n = len(factors)
    size = [f.array.shape[0] for f in factors] + [factors[-1].array.shape[1]]
    cost: dict[tuple[int, int], tuple[int, int]] = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min((cost[i, k][0] + cost[k + 1, j][0] + size[i] * size[k + 1] * size[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Any:
        k = cost[i, j][1]
        return factors[i] if i == j else matmul(product(i, k), product(k + 1, j))

    return product(0, n - 1)


def tensorinv(input: Any, ind: int = 2) -> Tensor:
    """The inverse of ``input`` as a map from its axes from ``ind`` on to its first ``ind`` axes: ``tensordot(tensorinv(input), input, ind)`` is the identity.

    >>> gf.linalg.tensorinv(gf.eye(6).reshape(2, 3, 6)).shape
    torch.Size([6, 2, 3])
    """
    op = "linalg.tensorinv"
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if integer(op, "ind", ind) <= 0:
        raise ArgumentError(f"{op}: Expected a strictly positive integer for 'ind', but got {ind}")
    shape = input.array.shape
    m, n = math.prod(shape[:ind]), math.prod(shape[ind:])
    if m != n:
        raise ShapeError(
            f"{op}: Expected prod(input.shape[ind:]) == prod(input.shape[:ind]), but got {n} != {m} for the shape {tuple(shape)}"
        )
    return inv_checked(op, input.reshape(m, n), True).inverse.reshape((*shape[ind:], *shape[:ind]))


def tensorsolve(input: Any, other: Any, dims: Any = None) -> Tensor:
    """``X`` of ``tensordot(input, X, X.ndim) = other``; the axes ``dims`` of ``input`` are moved to its end first.

    >>> gf.linalg.tensorsolve(gf.eye(6).reshape(2, 3, 6), gf.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    op = "linalg.tensorsolve"
    for name, t in (("input", input), ("other", other)):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(t).__name__}")
    if dims is not None:
        if not isinstance(dims, tuple | list):
            raise DTypeError(f"{op}: argument 'dims' must be tuple of ints, not {type(dims).__name__}")
        input = movedim(input, tuple(dims), tuple(range(-len(dims), 0)))
    rest = input.array.shape[other.array.ndim :]
    m, n = math.prod(input.array.shape[: other.array.ndim]), math.prod(rest)
    if m != n:
        raise ShapeError(f"{op}: Expected prod(input.shape[other.ndim:]) == prod(input.shape[:other.ndim]), but got {n} != {m}")
    if other.array.size != m:
        raise ShapeError(
            f"{op}: other, {tuple(other.array.shape)}, does not fit input, {tuple(input.array.shape)}; other needs {m} elements"
        )
    return solve_checked(op, input.reshape(m, n), other.reshape(m), True, True).result.reshape(rest)


def vander(x: Any, N: Any = None) -> Tensor:
    """Rows of the powers 0 ... N - 1 (as many as elements, without ``N``) of the elements along the last axis.

    >>> gf.linalg.vander(gf.tensor([2, 3]), N=3).tolist()
    [[1, 2, 4], [1, 3, 9]]
    """
    op = "linalg.vander"
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument 'x' must be Tensor, not {type(x).__name__}")
    x = x if x.array.ndim else x.reshape(1)
    n = x.array.shape[-1] if N is None else integer(op, "N", N)
    if n <= 1:
        raise ArgumentError(f"{op}: N must be greater than 1, but it is {n}")
    return powers(x, n)


def powers(x: Any, n: int) -> Any:
    ones = wrap(backends.beside(np.ones((*x.array.shape, 1), x.array.dtype), x.array))
    return cat([ones, x.unsqueeze(-1).expand((*x.array.shape, n - 1))], -1).cumprod(-1)


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Tensor:
    """``sum(x * y, dim)``; the shapes broadcast.

    >>> gf.linalg.vecdot(gf.tensor([1.0, 2]), gf.tensor([3.0, 4]))
    tensor(11.)
    """
    op = "linalg.vecdot"
    pair(op, x, y)
    for t in (x, y):
        floats(op, t, narrow=True)
    return (x * y).sum(dim)


def pair(op: str, x: Any, y: Any) -> None:
    for t in (x, y):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected Tensors, but got {type(t).__name__}")
    if x.array.dtype != y.array.dtype:
        raise DTypeError(f"{op}: Expected x and y to have the same dtype, but found x of type {x.dtype} and y of type {y.dtype} instead")


def cross(input: Any, other: Any, *, dim: int = -1) -> Tensor:
    """The vector product along ``dim``, which has size 3; the shapes broadcast.

    >>> gf.linalg.cross(gf.tensor([1.0, 0, 0]), gf.tensor([0.0, 1, 0])).tolist()
    [0.0, 0.0, 1.0]
    """
    op = "linalg.cross"
    pair(op, input, other)
    if input.array.ndim != other.array.ndim:
        raise ShapeError(f"{op}: inputs must have the same number of dimensions; they are {tuple(input.shape)} and {tuple(other.shape)}")
    axis = axis_of(op, dim, input.array.ndim)
    sizes = [t.array.shape[axis] if t.array.ndim else 1 for t in (input, other)]
    if sizes != [3, 3]:
        raise ShapeError(f"{op}: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}")
    try:
        return contractions.cross(input, other, axis)
    except ValueError:
        raise ShapeError(f"{op}: the shapes do not broadcast; they are {tuple(input.shape)} and {tuple(other.shape)}") from None


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices in the axes ``dim1`` and ``dim2``; a view.

    >>> gf.linalg.diagonal(gf.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if not isinstance(A, Tensor):
        raise DTypeError(f"linalg.diagonal: argument 'A' must be Tensor, not {type(A).__name__}")
    return diagonal_of(A, offset, dim1, dim2)
