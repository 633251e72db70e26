"""Reading and writing parts of tensors."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import backends
from ..backends import places
from ..dtypes import of
from ..errors import ArgumentError, AxisError, DTypeError, NumberError, OutOfRangeError, ShapeError, labelled
from ..kinds import linear
from ..scalar import primitives as s
from ..scalar.types import INT64
from ..tape.node import named
from ..tensor import Tensor, get_item, note, set_item, unrecorded, wrap
from . import pointwise as p
from .axes import outside
from .convert import element
from .gathering import rows_at
from .view_maps import part, reshape_to, row
from .writing import by
from .writing import index_put as index_put_at
from .writing import masked_fill as masked_fill_at
from .writing import written as written_at

NUMBERS = (Tensor, bool, int, float, np.number, np.bool_)
DIMS = 32  # as many as the kernels take
BASIC = (int, slice, type(None), type(Ellipsis), np.integer)


# Integer and mask indices: copies


counted = backends.kernel(lambda i, n: s.where(s.lt(i, 0), i + n, i))


def from_front(index: Any, n: int) -> Any:
    """Indices into an axis of size ``n``, negative ones counted from its end, as adjacent int64."""
    if backends.place_of(index) is not None:
        return backends.dense(backends.elementwise(counted, (index, n)), dtype=np.int64)
    return backends.dense(index % n if outside(index, 0, 2**63 - 1) else index, dtype=np.int64)


@linear(grad_name="IndexBackward0")
def take(a, key):
    if len(key) == 1 and key[0].dtype.kind in "iu" and a.ndim and a.shape[0]:
        return backends.take_rows(a, 0, from_front(key[0], a.shape[0]))
    return backends.batched.asarray(a[key], order="C")  # of a device: already so


@take.adjoint
def take_adjoint(g, shape, key):
    return put_zeros(g, shape, key)


@linear(grad_name="IndexPutBackward0")
def put_zeros(a, shape, key):
    """Zeros of ``shape`` with the array added at ``key``; equal indices add up."""
    out = backends.zeros(shape, of(a).code, a)
    if len(key) == 1 and key[0].dtype.kind != "b":
        rows_ = key[0].reshape(-1)
        if rows_.size:
            backends.add_rows(out, 0, from_front(rows_, shape[0]), a.reshape(rows_.size, *shape[1:]))
    elif len(key) == 1:
        out[key] = a  # a mask names every element once
    elif backends.place_of(out) is not None:
        out.add_at(key, a)
    else:
        positions = np.arange(out.size).reshape(shape)[key]
        backends.add_rows(out.reshape(-1), 0, backends.dense(positions.reshape(-1)), backends.dense(a).reshape(-1))
    return out


@put_zeros.adjoint
def put_zeros_adjoint(g, small, shape, key):
    return take(g, key)


def plain(i: Any) -> Any:
    """An index as NumPy takes it: tensors become arrays, nested lists integers or masks."""
    if isinstance(i, Tensor):
        if i.array.dtype.kind not in "iub":
            raise OutOfRangeError(
                f"index: tensors used as indices must be long, int, byte or bool tensors, not {i.dtype}; convert with .long()"
            )
        return i.array if i.array.dtype != np.uint8 else i.array.astype(bool)
    if isinstance(i, list | range):
        try:
            array = np.asarray([plain(k) if isinstance(k, Tensor) else k for k in i] if isinstance(i, list) else list(i))
        except ValueError:
            raise ArgumentError(f"index: the sequences in {i} are not of equal length") from None
        if array.size and array.dtype.kind not in "iub":
            kind = DTypeError if array.dtype.kind in "USO" else OutOfRangeError
            raise kind(f"index: a list used as index must hold integers or bools, not {i}")
        return array.astype(np.int64) if not array.size else array
    if isinstance(i, str):
        raise DTypeError(f"index: invalid index {i!r}; a tensor has no names")
    return i


def no_such(index: int, axis: int, n: int) -> Exception:
    if not -(2**63) <= index < 2**63:
        return NumberError(f"index: index {index} does not fit 64 bits; the size is {n}")
    return OutOfRangeError(f"index: index {index} is out of bounds for dimension {axis} with size {n}")


def check_index(a: Any, key: tuple) -> None:
    """Out of range is an IndexError that says index, axis and size."""
    used = sum(k.ndim if backends.is_array(k) and k.dtype.kind == "b" else 1 for k in key if k is not None and k is not Ellipsis)
    if sum(k is Ellipsis for k in key) > 1:
        raise OutOfRangeError("index: after one ellipsis ('...') there are no axes left for another, and nothing can follow it")
    if used > a.ndim:
        raise OutOfRangeError(f"index: too many indices for tensor of dimension {a.ndim}: {used} given, shape {tuple(a.shape)}")
    if a.ndim + sum(k is None for k in key) > DIMS:
        raise OutOfRangeError(f"index: {a.ndim} dimensions and {sum(k is None for k in key)} None; at most {DIMS} dimensions are supported")
    axis = 0
    for k in key:
        if k is Ellipsis:
            axis += a.ndim - used
        elif k is None:
            continue
        elif isinstance(k, slice):
            if k.step is not None and operator.index(k.step) <= 0:
                raise ArgumentError(f"index: step must be greater than zero; it is {k.step}: use flip() to reverse")
            axis += 1
        elif backends.is_array(k):
            if k.dtype.kind == "b":
                if k.shape != a.shape[axis : axis + k.ndim]:
                    raise OutOfRangeError(
                        f"index: The shape of the mask {list(k.shape)} at index 0 does not match the shape of the indexed tensor {list(a.shape)} at index {axis}"
                    )
                axis += k.ndim
                continue
            n = a.shape[axis]
            if backends.place_of(k) is None and outside(k, -n, n):  # a device says so itself, later
                bad = k[(k < -n) | (k >= n)].flat[0]
                raise OutOfRangeError(f"index: index {bad} is out of bounds for dimension {axis} with size {n}")
            axis += 1
        else:
            n = a.shape[axis]
            if not -n <= k < n:
                raise no_such(k, axis, n)
            axis += 1
    arrays = [k for k in key if backends.is_array(k)]
    if len(arrays) > 1:
        shapes = [k.shape if k.dtype.kind != "b" else (int(np.count_nonzero(k)),) for k in arrays]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            raise OutOfRangeError(
                f"index: shape mismatch: indexing tensors could not be broadcast together with shapes {', '.join(map(str, shapes))}"
            ) from None


def key_of(a: Any, index: Any) -> tuple[Any, bool]:
    """(the index as a tuple for NumPy, whether it is basic)."""
    key = index if isinstance(index, tuple) else (index,)
    basic = True
    result = []
    for k in key:
        if isinstance(k, BASIC) and not isinstance(k, bool):
            result.append(k)
            continue
        k = backends.batched.unmasked(plain(k))
        if backends.place_of(k) is not None and backends.place_of(a) is None:
            k = backends.move(k, None)
        if backends.is_array(k):
            if k.ndim == 0 and k.dtype.kind in "iu" and not backends.batched.is_batched(k):
                k = int(k)
            else:
                basic = False
        elif isinstance(k, bool | np.bool_):
            basic, k = False, np.asarray(bool(k))
        elif hasattr(k, "__index__"):
            k = operator.index(k)
        else:
            raise OutOfRangeError(
                f"index: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {type(k).__name__})"
            )
        result.append(k)
    while len(result) > 1 and result[-1] is Ellipsis and Ellipsis in result[:-1]:
        result.pop()  # x[..., ...]
    key = tuple(result)
    check_index(a, key)
    return key, basic


def last_step(key: tuple) -> str:
    """What torch, which takes an index one axis at a time, does last."""
    for k in reversed(key):
        if k is None:
            return "UnsqueezeBackward0"
        if isinstance(k, slice):
            if k != slice(None):
                return "SliceBackward0"
        elif k is not Ellipsis:
            return "SelectBackward0"
    return "SliceBackward0" if any(isinstance(k, slice) for k in key) else "AliasBackward0"


def viewing(a: Any, index: Any) -> tuple | None:
    """An index into the array ``a`` of ints, slices, ``None`` and ``...`` as NumPy takes it for a view; ``None`` if there is more to ask about it."""
    key = index if index.__class__ is tuple else (index,)
    dots = False
    for k in key:
        if k.__class__ is slice:
            if k.step is not None and not (k.step.__class__ is int and k.step > 0):
                return None
        elif k is Ellipsis:
            if dots:
                return None
            dots = True
        elif k.__class__ is not int and k is not None:
            return None
    if a.ndim + len(key) > DIMS:
        return None
    return key if dots else (*key, Ellipsis)


def getitem(input: Tensor, index: Any) -> Tensor:
    """``input[index]``: a view for ints, slices, ``None`` and ``...``; a copy for integer tensors and masks."""
    result = get_item(input, index, row.plan, part.plan)
    if result is not None:
        if result.node is None or index.__class__ is int:
            return result
        return named(result, last_step(index if index.__class__ is tuple else (index,)))
    a = input.array
    if index.__class__ is int and a.ndim:
        if not -a.shape[0] <= index < a.shape[0]:
            raise no_such(index, 0, a.shape[0])
        return row(input, index)
    if isinstance(index, Tensor) and index.array.ndim and a.ndim and index.array.dtype == np.int64:
        i = index.array if input.node is None else index.array.copy()
        try:
            return named(rows_at(input, 0, i if backends.place_of(a) is None else from_front(i, a.shape[0])), "IndexBackward0")
        except OutOfRangeError:  # or counted from the end
            pass
    picked = elements_at(input, index) if index.__class__ is tuple and index and a.ndim else None
    if picked is not None:
        return named(picked, "IndexBackward0")
    key = viewing(a, index)
    if key is not None:
        try:
            result = part(input, key)
        except (IndexError, TypeError):
            pass
        else:
            return result if result.node is None else named(result, last_step(index if isinstance(index, tuple) else (index,)))
    key, basic = key_of(a, index)
    if basic:
        result = part(input, (*key, Ellipsis) if Ellipsis not in key else key)
        return result if result.node is None else named(result, last_step(key))
    views, rest = split(a, key)
    return take(part(input, views) if views else input, rest)


def elements_at(x: Tensor, index: tuple) -> Tensor | None:
    """``x[index]`` for tensors of integers along the first axes, or for one such tensor after full slices; ``None`` for all else."""
    last = index[-1]
    if last.__class__ is not Tensor:
        return None
    if all(i.__class__ is Tensor for i in index):
        flat = places(x.array, tuple([i.array for i in index]))
        return (
            None
            if flat is None
            else rows_at(reshape_to(x, (math.prod(x.array.shape[: len(index)]), *x.array.shape[len(index) :])), 0, flat)
        )
    i = last.array
    if not all(k.__class__ is slice and k == WHOLE for k in index[:-1]) or len(index) > x.array.ndim or i.dtype != np.int64 or not i.ndim:
        return None
    if type(i) is not np.ndarray or type(x.array) is not np.ndarray:
        return None
    try:
        return rows_at(x, len(index) - 1, i if x.node is None else i.copy())
    except OutOfRangeError:  # or counted from the end
        return None


WHOLE = slice(None)


def split(a: Any, key: tuple) -> tuple[tuple | None, tuple]:
    """An index with arrays in two steps, as torch takes it: first the view that ints, slices and ``None`` make, then the arrays."""
    used = sum(k.ndim if backends.is_array(k) and k.dtype.kind == "b" else 1 for k in key if k is not None and k is not Ellipsis)
    views: list[Any] = []
    rest: list[Any] = []
    for k in key:
        if k is Ellipsis:
            views += [slice(None)] * (a.ndim - used)
            rest += [slice(None)] * (a.ndim - used)
        elif backends.is_array(k):
            views += [slice(None)] * (k.ndim if k.dtype.kind == "b" else 1)
            rest.append(k)
        else:
            views.append(k)
            if not isinstance(k, int | np.integer):
                rest.append(slice(None))
    while rest and isinstance(rest[-1], slice):
        rest.pop()
    trivial = all(isinstance(k, slice) and k == slice(None) for k in views)
    return None if trivial else (*views, Ellipsis), tuple(rest)


def written(t: Tensor, key: tuple, value: Any) -> bool:
    """``t[key] = value`` where nothing is recorded, if the shapes are the same and no memory is."""
    try:
        place = t.array[key]
    except (IndexError, TypeError):
        return False
    if isinstance(value, Tensor):
        source = value.array
        if source.shape != place.shape or source is t.array or source.base is not None or t.array.base is not None:
            return False
        backends.copy(source, place)
    else:
        backends.copy(element("setitem", value, t.dtype), place)
    note(t)
    return True


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """``input[index] = value``, in place; the gradient of what was overwritten is 0, ``value`` gets that of its place."""
    if set_item(input, index, value):
        return
    from .inplace import assign

    if not isinstance(value, NUMBERS):
        raise DTypeError(f"setitem: can't assign a {type(value).__name__} to a {input.dtype} tensor; assign a Tensor or a number")
    a = input.array
    if index.__class__ is Tensor:
        mask = index.array.dtype.kind == "b"
        if written_at(masked_fill_at, input, (index, value)) if mask else written_at(index_put_at, input, ((index,), value)):
            return
    elif (
        index.__class__ is tuple and index and all(i.__class__ is Tensor for i in index) and written_at(index_put_at, input, (index, value))
    ):
        return
    plain = viewing(a, index)
    if plain is not None and unrecorded(input, value) and written(input, plain, value):
        return
    key, basic = key_of(a, index)
    views, rest = ((*key, Ellipsis) if Ellipsis not in key else key, ()) if basic else split(a, key)
    place = a[views] if views is not None else a
    given: tuple[int, ...] = value.array.shape if isinstance(value, Tensor) else ()
    if rest and given:
        shape = place[rest].shape if backends.place_of(place) is None else place.picked_shape(rest)
    else:
        shape = place.shape if given else ()
    while len(given) > len(shape) and given[0] == 1:
        given = given[1:]
    try:
        fits = np.broadcast_shapes(given, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"setitem: shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing result of shape {list(shape)}"
        )
    assign(input, views, rest, value, given)


# gather and its adjoint


@by(masked_fill_at)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value`` where ``mask`` holds, else ``input``.

    >>> gf.masked_fill(gf.tensor([1.0, 2.0]), gf.tensor([True, False]), 9.0)
    tensor([9., 2.])
    """
    if not isinstance(mask, Tensor) or mask.array.dtype.kind != "b":
        raise DTypeError(f"masked_fill: only supports boolean masks, but got mask with dtype {getattr(mask, 'dtype', type(mask).__name__)}")
    if isinstance(value, Tensor) and value.array.ndim:
        raise ShapeError(f"masked_fill: only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s).")
    if not isinstance(value, Tensor):
        value = element("masked_fill", value, input.dtype)
    elif value.array.dtype != input.array.dtype:
        value = value.to(input.dtype)
    return named(labelled("masked_fill", p.where_of, mask, value, input), "MaskedFillBackward0")


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` holds, in one axis.

    >>> x = gf.tensor([[1, 2], [3, 4]])
    >>> gf.masked_select(x, x > 2)
    tensor([3, 4])
    """
    if not isinstance(mask, Tensor) or mask.array.dtype.kind != "b":
        raise DTypeError("masked_select: expected BoolTensor for mask")
    from .views import broadcast_tensors

    x, m = (input, mask) if input.array.shape == mask.array.shape else labelled("masked_select", broadcast_tensors, input, mask)
    return named(take(x, (backends.batched.unmasked(m.array),)), "MaskedSelectBackward0")


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The places of the elements that differ from zero, a row each; or a tuple of index tensors.

    >>> gf.nonzero(gf.tensor([[1, 0], [0, 2]]))
    tensor([[0, 0],
            [1, 1]])
    """
    if as_tuple:
        return tuple(wrap(backends.dense(i)) for i in np.nonzero(input.array if input.array.ndim else input.array.reshape(1)))
    if backends.place_of(input.array) is not None and input.array.ndim:
        found = np.nonzero(input.array)
        columns = backends.empty((found[0].size, len(found)), INT64, input.array)
        for axis, index in enumerate(found):
            columns[:, axis] = index
        return wrap(columns)
    flat = np.flatnonzero(backends.move(input.array, None))
    places = np.empty((flat.size, input.array.ndim), np.int64)
    for axis in range(input.array.ndim - 1, 0, -1):
        flat, places[:, axis] = np.divmod(flat, input.array.shape[axis])
    if input.array.ndim:
        places[:, 0] = flat
    return wrap(backends.beside(places, input.array))


__all__ = ["AxisError"]
