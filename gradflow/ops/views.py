"""Views and shapes: linear operations that move no data, with NumPy's strides."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, AxisError, DTypeError, GradError, OutOfRangeError, ShapeError
from ..kinds.direct import direct
from ..tensor import Tensor, wrap_view
from .axes import axes_of, axis_of, check_format, fill_shape, integer, shape_for, shape_of
from .view_maps import (
    copied,
    diagonal_of,
    expand_to,
    flip_matrix,
    part,
    permute_to,
    reshape_to,
    row,
    squeeze_all,
    squeeze_at,
    swap,
    unsqueeze_at,
)

# torch's signatures


@direct("reshape", reshape_to.plan)
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in C order under another shape; one size may be -1. A view when strides allow, else a copy.

    >>> gf.reshape(gf.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    target = shape_for("reshape", sizes if shape is None else (shape,), input.array.size)
    return reshape_to(input, target)


@direct("reshape", reshape_to.plan)
def view(input: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """The same memory under another shape; raises where that needs a copy. ``view(dtype)`` reads the same bytes as another type.

    >>> gf.arange(4).view(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    from ..dtypes import dtype

    if len(shape) == 1 and isinstance(shape[0], dtype):
        return view_dtype(input, shape[0])
    target = shape_for("view", shape if size is None else (size,), input.array.size)
    if not input.array.flags.c_contiguous:
        # NumPy refuses, without copying, a change of shape that the strides do not allow. The memory of other arrays is not looked at.
        a = input.array
        probe = a.view() if type(a) is np.ndarray else np.lib.stride_tricks.as_strided(np.empty(1, a.dtype), a.shape, a.strides)
        try:
            probe.shape = target
        except (AttributeError, ValueError):
            raise ShapeError(
                f"view: view size is not compatible with input tensor's size and stride (size {tuple(input.shape)}, stride {input.stride()}, asked for "
                f"{target}); use .reshape(...) instead"
            ) from None
    return reshape_to(input, target)


def view_dtype(input: Tensor, dtype: Any) -> Tensor:
    if input.node is not None:
        raise GradError("view: a change of dtype has no derivative; detach() first")
    try:
        array = input.array.view(dtype.numpy)
    except ValueError:
        raise ShapeError(
            f"view: the last axis, of {input.shape[-1] if input.ndim else 0} {input.dtype} elements, cannot be read as {dtype}"
        ) from None
    return wrap_view(array, input, None, None, None, "reads the memory as another type")


@direct("reshape_as", reshape_to.plan)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.view(other.size())``: the same memory.

    >>> gf.arange(4).view_as(gf.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view(input, require_tensor("view_as", other, "other").array.shape)


@direct("reshape_as", reshape_to.plan)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.reshape(other.size())``: a view where strides allow.

    >>> gf.arange(4).reshape_as(gf.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(input, require_tensor("reshape_as", other, "other").array.shape)


@direct("permute", permute_to.plan)
def permute(input: Tensor, *axes_: Any, dims: Any = None) -> Tensor:
    """Axes in the order ``dims``; a view.

    >>> gf.permute(gf.ones(2, 3, 4), (2, 0, 1)).shape
    torch.Size([4, 2, 3])
    """
    order = shape_of("permute", axes_ if dims is None else (dims,))
    if len(order) != input.array.ndim:
        raise ShapeError(
            f"permute: number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(order)}"
        )
    axes = tuple(axis_of("permute", d, input.array.ndim) for d in order)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"permute: duplicate dims are not allowed; dims are {order}")
    return permute_to(input, axes)


@direct("transpose", swap.plan)
def transpose(input: Tensor, dim0: Any, dim1: Any) -> Tensor:
    """Two axes exchanged; a view.

    >>> gf.transpose(gf.ones(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    n = input.array.ndim
    i, j = axis_of("transpose", dim0, n), axis_of("transpose", dim1, n)
    return swap(input, i, j) if n else permute_to(input, ())


def swapaxes(input: Tensor, axis0: Any, axis1: Any) -> Tensor:
    """:func:`transpose` under NumPy's name: two axes exchanged; a view.

    >>> gf.swapaxes(gf.ones(2, 3, 4), 0, 2).shape
    torch.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


@direct("t", flip_matrix.plan)
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars as they are.

    >>> gf.t(gf.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if input.array.ndim > 2:
        raise ShapeError(f"t: t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D; use .mT or permute")
    return flip_matrix(input)


@direct("transposed", permute_to.plan)
def transposed(input: Tensor) -> Tensor:
    """``x.T``: all axes reversed; a view.

    >>> gf.tensor([[1, 2], [3, 4]]).T
    tensor([[1, 3],
            [2, 4]])
    """
    return permute_to(input, tuple(range(input.array.ndim))[::-1])


@direct("matrix_transposed", swap.plan)
def matrix_transposed(input: Tensor) -> Tensor:
    """``x.mT``: the last two axes exchanged; a view.

    >>> gf.ones(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    if not input.array.ndim:
        return input
    if input.array.ndim < 2:
        raise ShapeError(f"mT: tensor.mT is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.")
    return swap(input, input.array.ndim - 2, input.array.ndim - 1)


@direct("movedim", permute_to.plan)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Axes ``source`` moved to the places ``destination``; the others keep their order. A view.

    >>> gf.movedim(gf.ones(2, 3, 4), 0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = input.array.ndim
    src = [source] if not isinstance(source, tuple | list) else list(source)
    dst = [destination] if not isinstance(destination, tuple | list) else list(destination)
    if len(src) != len(dst):
        raise ShapeError(
            f"movedim: Invalid source or destination dims: source ({src} dims) should contain the same number of dims as destination ({dst} dims)"
        )
    src = [axis_of("movedim", d, n) for d in src]
    dst = [axis_of("movedim", d, n) for d in dst]
    if len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ShapeError(f"movedim: repeated dim in source {src} or destination {dst}")
    rest = iter(i for i in range(n) if i not in src)
    place = dict(zip(dst, src, strict=True))
    return permute_to(input, tuple(place[i] if i in place else next(rest) for i in range(n)))


@direct("expand", expand_to.plan)
def expand(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """Axes of size 1 repeated to ``sizes`` without copying (-1 keeps a size); new axes may come in front. Read-only.

    >>> gf.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    target = list(shape_of("expand", sizes if size is None else (size,)))
    shape = input.array.shape
    lead = len(target) - len(shape)
    if lead < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(target)}) must be greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    for i, n in enumerate(target):
        have = shape[i - lead] if i >= lead else None
        if n == -1:
            if have is None:
                raise ShapeError("expand: The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension")
            target[i] = have
        elif n < 0 or (have is not None and have not in (1, n)):
            raise ShapeError(
                f"expand: The expanded size of the tensor ({n}) must match the existing size ({have}) at non-singleton dimension {i}. Target sizes: {target}. Tensor sizes: {list(shape)}"
            )
    try:
        return expand_to(input, tuple(target))
    except ValueError:  # from NumPy, whose sizes in bytes fit 63 bits
        raise ShapeError(f"expand: sizes {target} multiply to more than an array can have") from None


@direct("expand_as", expand_to.plan)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """``input.expand(other.size())``: a view that repeats axes of size 1.

    >>> gf.expand_as(gf.tensor([[1], [2]]), gf.ones(2, 2))
    tensor([[1, 1],
            [2, 2]])
    """
    return expand(input, require_tensor("expand_as", other, "other").array.shape)


@direct("broadcast_to", expand_to.plan)
def broadcast_to(input: Tensor, shape: Any) -> Tensor:
    """``input`` repeated, without copying, to ``shape``.

    >>> gf.broadcast_to(gf.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    if not isinstance(shape, tuple | list):
        raise DTypeError(f"broadcast_to: argument 'size' must be tuple of ints, not {type(shape).__name__}")
    return expand(input, tuple(shape))


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of all tensors with their common shape.

    >>> [x.shape for x in gf.broadcast_tensors(gf.ones(2, 1), gf.ones(3))]
    [torch.Size([2, 3]), torch.Size([2, 3])]
    """
    for x in tensors:
        require_tensor("broadcast_tensors", x, "tensors")
    try:
        shape = np.broadcast_shapes(*(x.array.shape for x in tensors))
    except ValueError:
        raise ShapeError(f"broadcast_tensors: shapes {[tuple(x.array.shape) for x in tensors]} cannot be broadcast together") from None
    return tuple(expand(x, shape) for x in tensors)


@direct("unsqueeze", unsqueeze_at.plan)
def unsqueeze(input: Tensor, dim: Any) -> Tensor:
    """A new axis of size 1 at ``dim``; a view.

    >>> gf.unsqueeze(gf.tensor([1, 2]), 0).shape
    torch.Size([1, 2])
    """
    return unsqueeze_at(input, axis_of("unsqueeze", dim, input.array.ndim + 1))


@direct("squeeze", squeeze_all.plan, squeeze_at.plan)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without its axes of size 1, or those of them named in ``dim``; a view.

    >>> gf.squeeze(gf.ones(1, 3, 1)).shape, gf.squeeze(gf.ones(1, 3, 1), 0).shape
    (torch.Size([3]), torch.Size([3, 1]))
    """
    if dim is None:
        return squeeze_all(input)
    axes = axes_of("squeeze", dim, input.array.ndim) or ()
    return squeeze_at(input, tuple(a for a in axes if input.array.shape[a] == 1))


@direct("flatten", reshape_to.plan)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from ``start_dim`` to ``end_dim`` as one.

    >>> gf.flatten(gf.ones(2, 3, 4), 1).shape
    torch.Size([2, 12])
    """
    shape = input.array.shape
    i, j = axis_of("flatten", start_dim, len(shape)), axis_of("flatten", end_dim, len(shape))
    if not shape:
        return reshape_to(input, (1,))
    if i > j:
        raise ShapeError(f"flatten: flatten() has invalid args: start_dim ({start_dim}) cannot come after end_dim ({end_dim})")
    if i == j:
        return input
    if j - i + 1 == len(shape):
        return reshape_to(input, (input.array.size,))
    merged = 1
    for n in shape[i : j + 1]:
        merged *= n
    return reshape_to(input, (*shape[:i], merged, *shape[j + 1 :]))


@direct("unflatten", reshape_to.plan)
def unflatten(input: Tensor, dim: Any, sizes: Any) -> Tensor:
    """Axis ``dim`` as several axes of ``sizes``.

    >>> gf.unflatten(gf.ones(2, 6), 1, (3, -1)).shape
    torch.Size([2, 3, 2])
    """
    shape = input.array.shape
    i = axis_of("unflatten", dim, len(shape))
    if not shape:
        raise ShapeError("unflatten: a 0-dim tensor has no axis to unflatten; use reshape()")
    if not isinstance(sizes, tuple | list) or not all(isinstance(n, int) for n in sizes):
        raise DTypeError(f"unflatten: argument 'sizes' must be tuple of ints, not {sizes!r}")
    sizes = fill_shape("unflatten", tuple(sizes), shape[i])
    return reshape_to(input, (*shape[:i], *sizes, *shape[i + 1 :]))


@direct("ravel", reshape_to.plan)
def ravel(input: Tensor) -> Tensor:
    """One axis, in C order: a view of a contiguous tensor, else a copy.

    >>> gf.ravel(gf.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return reshape_to(contiguous(input), (input.array.size,))


def contiguous(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """The tensor in C order: itself, or a copy.

    >>> gf.ones(2, 3).T.contiguous().stride()
    (2, 1)
    """
    if memory_format is not None:
        check_format("contiguous", memory_format)
    return input if input.array.flags.c_contiguous else copied(input, "C")


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy; the gradient flows through it.

    >>> gf.clone(gf.tensor([1, 2]))
    tensor([1, 2])
    """
    if memory_format is not None:
        check_format("clone", memory_format)
    return copied(input, "K")


@direct("diagonal", diagonal_of.plan)
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of axes ``dim1``, ``dim2`` as a last axis; a view.

    >>> gf.diagonal(gf.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    n = input.array.ndim
    i, j = axis_of("diagonal", dim1, n), axis_of("diagonal", dim2, n)
    if i == j or n < 2:
        raise ShapeError(f"diagonal: diagonal dimensions cannot be identical {dim1}, {dim2}")
    offset = integer("diagonal", "offset", offset)
    if not -(2**31) < offset < 2**31:
        raise ArgumentError(f"diagonal: the offset is out of range: {offset}")
    return diagonal_of(input, offset, i, j)


@direct("narrow", part.plan)
def narrow(input: Tensor, dim: Any, start: Any, length: int) -> Tensor:
    """``length`` elements along ``dim`` from ``start``; a view.

    >>> gf.narrow(gf.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    if not input.array.ndim:
        raise ShapeError("narrow: narrow() cannot be applied to a 0-dim tensor.")
    i = axis_of("narrow", dim, input.array.ndim)
    n = input.array.shape[i]
    if isinstance(start, Tensor) and (start.array.ndim or start.array.dtype.kind not in "iu"):
        raise ShapeError(f"narrow: start must be an 0-dim integral Tensor; its shape is {tuple(start.shape)}, its type {start.dtype}")
    start, length = integer("narrow", "start", start), integer("narrow", "length", length)
    first = start + n if start < 0 else start
    if not -n <= start <= n:
        raise AxisError(f"narrow: start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    if length < 0 or first + length > n:
        raise ArgumentError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return part(input, (slice(None),) * i + (slice(first, first + length), ...))


@direct("select", row.plan)
def select(input: Tensor, dim: Any, index: Any) -> Tensor:
    """The part at ``index`` along ``dim``; a view with one axis less.

    >>> gf.select(gf.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    if not input.array.ndim:
        raise AxisError("select: select() cannot be applied to a 0-dim tensor.")
    axis, i = axis_of("select", dim, input.array.ndim), integer("select", "index", index)
    if not -input.array.shape[axis] <= i < input.array.shape[axis]:
        raise OutOfRangeError(f"select: index {i} out of range for tensor of size {list(input.shape)} at dimension {axis}")
    return row(input, i % input.array.shape[axis], axis)


def require_tensor(op: str, x: Any, name: str = "input") -> Tensor:
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")
    return x
