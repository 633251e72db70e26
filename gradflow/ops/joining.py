"""Tensors put together and taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backends, dtypes
from ..errors import ArgumentError, AxisError, DeviceMemoryError, DTypeError, NumberError, ShapeError
from ..kinds.direct import direct
from ..scalar.types import promote
from ..tape.node import Node, Output, mode, named
from ..tensor import Tensor, wrap, wrap_view
from .axes import axis_of, integer, shape_of
from .view_maps import embed, part, part_into

MULTIPLE = "is the output of a function that returns multiple views"


class CatPlan:
    """Back through cat: each input gets its part. ``meta`` is (axis, sizes along it, types)."""

    name = "CatBackward0"

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        axis, sizes, codes = node.meta
        start = 0
        for parent, size, code in zip(node.parents, sizes, codes, strict=True):
            if walk.wants(parent):
                piece = g[(slice(None),) * axis + (slice(start, start + size),)]
                if dtypes.FROM_NUMPY[g.dtype].code != code:
                    piece = wrap(piece).to(dtypes.BY_CODE[code]).array
                walk.add(parent, piece, False)
            start += size

    def derive(self, node: Node, g: Tensor) -> list[Any]:
        axis, sizes, codes = node.meta
        result, start = [], 0
        for size, code in zip(sizes, codes, strict=True):
            result.append(g.narrow(axis, start, size).to(dtypes.BY_CODE[code]))
            start += size
        return result


CAT = CatPlan()


def list_of(op: str, tensors: Any) -> list[Tensor]:
    """The tensors that were given to join, checked."""
    if isinstance(tensors, Tensor | str | dict | set) or not hasattr(tensors, "__iter__"):
        raise DTypeError(f"{op}: argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
    tensors = list(tensors)
    if not tensors:
        raise ArgumentError(f"{op}: expected a non-empty list of Tensors")
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    return tensors


def together(tensors: Any, dim: Any) -> Any:
    """:func:`cat` of tensors of one type on the CPU without a history; ``None`` for all others."""
    if (tensors.__class__ is not list and tensors.__class__ is not tuple) or dim.__class__ is not int:
        return None
    arrays, dtype = [], None
    for t in tensors:
        if t.__class__ is not Tensor or t.node is not None:
            return None
        a = t.array
        if a.dtype is not dtype and dtype is not None:
            return None
        dtype = a.dtype
        arrays.append(a)
    if dtype is None:
        return None
    out = backends.join(tuple(arrays), dim + arrays[0].ndim if dim < 0 else dim, dtypes.FROM_NUMPY[dtype].code, False)
    return None if out is None else wrap(out)


def cat(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    """The tensors one after the other along ``dim``; other sizes must agree; types are promoted.

    >>> gf.cat([gf.tensor([1, 2]), gf.tensor([3])])
    tensor([1, 2, 3])
    """
    plain = together(tensors, dim)
    return joined("cat", list_of("cat", tensors), dim) if plain is None else plain


def common_code(tensors: list[Tensor]) -> int:
    """The type in which the tensors meet."""
    known = {t.array.dtype for t in tensors}
    if len(known) == 1:
        return dtypes.FROM_NUMPY[known.pop()].code
    codes = {t.dtype.code for t in tensors}
    code = codes.pop()
    for other in codes:
        code = promote(code, other)
    return code


def joined(op: str, tensors: list[Tensor], dim: Any) -> Tensor:
    full = [t for t in tensors if t.array.shape != (0,)] or tensors  # torch lets legacy empty vectors pass
    ndim = full[0].array.ndim
    if any(not t.array.ndim for t in full):
        raise ShapeError(f"{op}: zero-dimensional tensor cannot be concatenated; use stack")
    axis = axis_of(op, dim, ndim)
    code = common_code(tensors)
    shape = full[0].array.shape
    ahead, after = shape[:axis], shape[axis + 1 :]
    sizes = []
    for t in tensors:
        s = t.array.shape
        if s == (0,) and ndim != 1:
            sizes.append(0)
            continue
        if len(s) != ndim or s[:axis] != ahead or s[axis + 1 :] != after:
            raise ShapeError(f"{op}: Sizes of tensors must match except in dimension {axis}: {[tuple(t.shape) for t in tensors]}")
        sizes.append(s[axis])
    out = backends.join(tuple([t.array for t in tensors]), axis, code, False)
    if out is None:  # on a device, or with old-fashioned empty vectors
        out = backends.empty((*ahead, sum(sizes), *after), code, tensors[0].array)
        start, whole = 0, (slice(None),) * axis
        for t, size in zip(tensors, sizes, strict=True):
            if size:
                backends.copy(t.array, out[(*whole, slice(start, start + size))])
            start += size
    node = None
    if mode.enabled and any(t.node is not None for t in tensors) and out.dtype.kind in "fV":
        used = [(t, n) for t, n in zip(tensors, sizes, strict=True) if t.array.ndim == ndim]
        node = Node(CAT, tuple(t.node for t, _ in used), (), (), None, (axis, [n for _, n in used], [t.dtype.code for t, _ in used]))
    return wrap(out, node)


def stack(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    """The tensors, of one shape, along a new axis ``dim``.

    >>> gf.stack([gf.tensor([1, 2]), gf.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = list_of("stack", tensors)
    shape = tensors[0].array.shape
    for t in tensors:
        if t.array.shape != shape:
            raise ShapeError(
                f"stack: expects each tensor to be equal size, but got {list(shape)} at entry 0 and {list(t.array.shape)} at another"
            )
    axis = axis_of("stack", dim, len(shape) + 1)
    if not all(t.node is None for t in tensors):
        return named(joined("stack", [t.unsqueeze(axis) for t in tensors], axis), "StackBackward0")
    code = common_code(tensors)
    out = backends.join(tuple([t.array for t in tensors]), axis, code, True)
    if out is not None:
        return wrap(out)
    out = backends.empty((*shape[:axis], len(tensors), *shape[axis:]), code, tensors[0].array)
    ahead = (slice(None),) * axis
    for i, t in enumerate(tensors):
        backends.copy(t.array, out[(*ahead, i, ...)])
    return wrap(out)


class PartsPlan:
    """Back through a split into views. ``meta`` is (shape, keys)."""

    outputs = 0  # as many as there are parts

    def __init__(self, name: str):
        self.name = name

    def pull(self, node: Node, g: dict[int, Any], owned: bool, walk: Any) -> None:
        shape, keys = node.meta
        parent = node.parents[0]
        out, accumulate = walk.destination(parent)
        for k, piece in g.items():
            out = part_into(piece, out, accumulate, shape, keys[k])
            accumulate = 1
        walk.arrive(parent, out)

    def derive(self, node: Node, g: dict[int, Any]) -> list[Any]:
        shape, keys = node.meta
        total: Any = None
        for k, piece in g.items():
            whole = embed(piece, shape, keys[k])
            total = whole if total is None else total + whole
        return [total]


SPLIT, UNBIND = PartsPlan("SplitBackward0"), PartsPlan("UnbindBackward0")


def parts(input: Tensor, keys: list[tuple], plan: PartsPlan) -> tuple[Tensor, ...]:
    a = input.array
    node = None
    if input.node is not None and mode.enabled:
        node = Node(plan, (input.node,), (), (), None, (a.shape, keys))
    return tuple(
        wrap_view(a[key], input, None if node is None else Output(node, k), part.plan, (a.shape, (key,)), MULTIPLE)
        for k, key in enumerate(keys)
    )


@direct("split", part.plan, SPLIT, Output, MULTIPLE)
def split(tensor: Tensor, split_size_or_sections: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Views of ``tensor`` along ``dim``: of one size (the last may be smaller), or of the sizes in a list.

    >>> gf.split(gf.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if not tensor.array.ndim:
        raise ShapeError("split: split expects at least a 1-dimensional tensor")
    axis = axis_of("split", dim, tensor.array.ndim)
    n = tensor.array.shape[axis]
    if isinstance(split_size_or_sections, tuple | list):
        sizes = [integer("split", "split_sizes", s) for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise ShapeError(
                f"split: split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {axis}), but got split_sizes={sizes}"
            )
    else:
        size = integer("split", "split_size", split_size_or_sections)
        if size < 0 or (size == 0 and n):
            raise ShapeError(f"split: split_size must be positive, it is {size}")
        sizes = [min(size, n - i) for i in range(0, n, size)] if n else [0]
    keys, start = [], 0
    for s in sizes:
        keys.append((slice(None),) * axis + (slice(start, start + s), Ellipsis))
        start += s
    return parts(tensor, keys, SPLIT)


def countable(op: str, parts: int) -> int:
    """``parts``, unless so many tensors fill the memory of a machine."""
    if parts > 2**26:
        raise DeviceMemoryError(f"{op}: {parts} parts do not fit in memory; ask for at most {2**26}")
    return parts


@direct("chunk", part.plan, SPLIT, Output, MULTIPLE)
def chunk(input: Tensor, chunks: int, dim: Any = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of equal size along ``dim``; the last may be smaller.

    >>> gf.chunk(gf.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    chunks = integer("chunk", "chunks", chunks)
    if chunks <= 0:
        raise ArgumentError(f"chunk: `chunks` must be greater than 0, got: {chunks}")
    if not input.array.ndim:
        raise ShapeError("chunk: expects at least a 1-dimensional tensor")
    n = input.array.shape[axis_of("chunk", dim, input.array.ndim)]
    if not n:
        return split(input, [0] * countable("chunk", chunks), dim)
    return split(input, -(-n // chunks), dim)


@direct("unbind", part.plan, UNBIND, Output, MULTIPLE)
def unbind(input: Tensor, dim: Any = 0) -> tuple[Tensor, ...]:
    """The parts along ``dim``, as views without that axis.

    >>> gf.unbind(gf.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    if not input.array.ndim:
        raise AxisError("unbind: Dimension specified as 0 but tensor has no dimensions")
    axis = axis_of("unbind", dim, input.array.ndim)
    return parts(input, [(slice(None),) * axis + (i, Ellipsis) for i in range(input.array.shape[axis])], UNBIND)


def atleast_1d(x: Tensor) -> Tensor:
    return x if x.array.ndim else x.reshape(1)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors end to end, matrices side by side.

    >>> gf.hstack([gf.tensor([1, 2]), gf.tensor([3])])
    tensor([1, 2, 3])
    """
    tensors = [atleast_1d(t) for t in list_of("hstack", tensors)]
    return joined("hstack", tensors, 0 if tensors[0].array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Rows on top of one another: :func:`cat` along the first axis; vectors are rows.

    >>> gf.vstack([gf.tensor([1, 2]), gf.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return joined("vstack", [t.reshape(1, -1) if t.array.ndim < 2 else t for t in list_of("vstack", tensors)], 0)


def repeat(input: Tensor, *sizes: Any, repeats: Any = None) -> Tensor:
    """The tensor ``sizes`` times along each axis; new axes may come in front.

    >>> gf.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    return repeated("repeat", input, shape_of("repeat", sizes if repeats is None else (repeats,)))


def repeated(op: str, input: Tensor, times: tuple[int, ...]) -> Tensor:
    shape = input.array.shape
    if len(times) < len(shape):
        raise ShapeError(
            f"{op}: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: {len(times)} < {len(shape)}"
        )
    if any(t < 0 for t in times):
        raise ShapeError(f"{op}: Trying to create tensor with negative dimension: {list(times)}")
    if any(t >= 2**63 for t in times):
        raise NumberError(f"{op}: a number of repetitions does not fit 64 bits: {list(times)}")
    shape = (1,) * (len(times) - len(shape)) + shape
    mixed = tuple(n for pair in zip(times, shape, strict=True) for n in pair)
    spaced = tuple(n for s in shape for n in (1, s))
    return named(input.reshape(spaced).expand(mixed).reshape(tuple(t * s for t, s in zip(times, shape, strict=True))), "RepeatBackward0")


def meshgrid(*tensors: Any, indexing: str | None = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids from coordinate vectors.

    >>> x, y = gf.meshgrid(gf.tensor([1, 2]), gf.tensor([3, 4]), indexing="ij")
    >>> x, y
    (tensor([[1, 1],
            [2, 2]]), tensor([[3, 4],
            [3, 4]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        tensors = tuple(tensors[0])
    indexing = "ij" if indexing is None else indexing
    if not isinstance(indexing, str):
        raise DTypeError(f"meshgrid: argument 'indexing' must be str, not {type(indexing).__name__}")
    if indexing not in ("ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing!r}")
    tensors = tuple(list_of("meshgrid", tensors))
    for t in tensors:
        if t.array.ndim > 1:
            raise ShapeError(f"meshgrid: Expected 0D or 1D tensor in the tensor list but got the shape {tuple(t.shape)}")
        if t.array.dtype != tensors[0].array.dtype:
            raise DTypeError(f"meshgrid: expects all tensors to have the same dtype, got {t.dtype} and {tensors[0].dtype}")
    shape = tuple(t.array.size for t in tensors)
    grids = [t.reshape(tuple(-1 if k == i else 1 for k in range(len(tensors)))).expand(shape) for i, t in enumerate(tensors)]
    return tuple(g.transpose(0, 1) for g in grids) if indexing == "xy" and len(grids) > 1 else tuple(grids)
