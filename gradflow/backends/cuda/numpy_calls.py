"""NumPy's functions of arrays on a device that have kernels there. What is not here, or returns ``None`` for its arguments, is NumPy's on the host."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...scalar import primitives as s
from ...scalar.types import INT64
from ..cpu import KINDS, kernel
from . import array, indexing, moves
from .array import CODES, DTYPES, DeviceArray, assign, download, on_device, on_host, upload
from .elementwise import elementwise
from .folds import reduce
from .products import identity
from .scans import scan

LONG = DTYPES[INT64]

# ufuncs, and for what kinds of element types: where their results and types are those of our formulas.
NUMBERS, BITS, ALL = "iufV", "iub", "iufVb"
UFUNCS: dict[Any, tuple[Any, str]] = {
    np.add: (kernel(lambda x, y: x + y), NUMBERS),
    np.subtract: (kernel(lambda x, y: x - y), NUMBERS),
    np.multiply: (kernel(lambda x, y: x * y), NUMBERS),
    np.negative: (kernel(lambda x: -x), NUMBERS),
    np.floor_divide: (kernel(lambda x, y: x // y), "i"),
    np.remainder: (kernel(lambda x, y: x % y), "i"),
    np.maximum: (kernel(lambda x, y: s.maximum(x, y)), ALL),
    np.minimum: (kernel(lambda x, y: s.minimum(x, y)), ALL),
    np.invert: (kernel(lambda x: ~x), BITS),
    np.logical_not: (kernel(lambda x: s.eq(x, 0)), "iu"),
    np.bitwise_and: (kernel(lambda x, y: x & y), BITS),
    np.bitwise_or: (kernel(lambda x, y: x | y), BITS),
    np.bitwise_xor: (kernel(lambda x, y: x ^ y), BITS),
    np.equal: (kernel(lambda x, y: s.eq(x, y)), ALL),
    np.not_equal: (kernel(lambda x, y: s.ne(x, y)), ALL),
    np.less: (kernel(lambda x, y: s.lt(x, y)), ALL),
    np.less_equal: (kernel(lambda x, y: s.le(x, y)), ALL),
    np.greater: (kernel(lambda x, y: s.gt(x, y)), ALL),
    np.greater_equal: (kernel(lambda x, y: s.ge(x, y)), ALL),
    np.isnan: (kernel(lambda x: s.ne(x, x)), "f"),
    np.isfinite: (kernel(lambda x: s.eq(x - x, 0)), "f"),
    np.absolute: (kernel(lambda x: s.abs(x)), "if"),
    np.divide: (kernel(lambda x, y: x / y), "f"),
    np.sqrt: (kernel(lambda x: s.sqrt(x)), "f"),
    np.exp: (kernel(lambda x: s.exp(x)), "f"),
    np.log: (kernel(lambda x: s.log(x)), "f"),
    np.log1p: (kernel(lambda x: s.log1p(x)), "f"),
    np.tan: (kernel(lambda x: s.tan(x)), "f"),
    np.floor: (kernel(lambda x: s.floor(x)), "f"),
    np.ceil: (kernel(lambda x: s.ceil(x)), "f"),
    np.rint: (kernel(lambda x: s.round(x)), "f"),
    np.logaddexp: (kernel(lambda x, y: s.where(s.eq(x, y), x + math.log(2), s.maximum(x, y) + s.log1p(s.exp(-s.abs(x - y))))), "f"),
}
AT = {np.add: "add", np.multiply: "mul", np.maximum: "maximum", np.minimum: "minimum"}
SCALARS: dict[str, Any] = {"b": bool, "i": int, "u": int, "f": (int, float), "V": (int, float)}


def alike(values: Any, kinds: str) -> bool:
    """Have the arrays among the values element types of one of these kinds, in which they meet as NumPy's and which numbers beside them keep?"""
    found = {x.dtype.kind for x in values if isinstance(x, DeviceArray)}
    kind = next(iter(found))
    if len(found) > 1 or kind not in kinds:
        return False
    others = [x for x in values if not isinstance(x, DeviceArray)]
    return all(isinstance(x, SCALARS[kind]) and isinstance(x, bool) == (kind == "b") for x in others)


def plain(x: Any) -> Any:
    """NumPy's numbers as Python's; they count as arrays' elements in NumPy, and are of the same kind here."""
    return x.item() if isinstance(x, np.generic) or (isinstance(x, np.ndarray) and not x.ndim and x.dtype.kind != "V") else x


def computed(ufunc: Any, inputs: tuple, out: Any = None) -> DeviceArray | None:
    """The ufunc of arrays on a device, and of NumPy's beside them; ``None`` if it has no kernel for them."""
    found = UFUNCS.get(ufunc)
    if found is None:
        return None
    device = next(x.memory.device for x in inputs if isinstance(x, DeviceArray))
    values = tuple(upload(x, device) if isinstance(x, np.ndarray) and x.ndim and x.dtype in CODES else plain(x) for x in inputs)
    return elementwise(found[0], values, out) if alike(values, found[1]) else None


def accumulated(ufunc: Any, a: DeviceArray, axis: int = 0) -> DeviceArray | None:
    """Running folds of a ufunc that has no scan: each place takes the one 1, 2, 4, ... before it, so that all are done after log2(n) launches."""
    if ufunc not in UFUNCS or a.dtype.kind not in "if":
        return None
    result, reach = axis_last(a, axis).copy(), 1
    while reach < result.shape[-1]:
        result[..., reach:] = computed(ufunc, (result[..., :-reach], result[..., reach:]))
        reach *= 2
    return axis_last(result, axis)


def where(*args: Any) -> Any:
    if len(args) == 1:
        return indexing.nonzero(args[0]) if args[0].ndim and args[0].dtype.kind == "b" else None
    condition, *values = (plain(x) for x in args)
    arrays = [x for x in values if isinstance(x, DeviceArray)]
    if not isinstance(condition, DeviceArray) or condition.dtype.kind != "b" or any(isinstance(x, np.ndarray) for x in values):
        return None
    if not (alike(values, ALL) if arrays else all(type(x) is int for x in values)):
        return None
    return elementwise(indexing.where_of, (condition, *values))


def axis_last(a: DeviceArray, axis: int) -> DeviceArray:
    return a if axis in (-1, a.ndim - 1) else a.swapaxes(axis, -1)


def argsort(a: DeviceArray, axis: Any = -1, kind: Any = None) -> Any:
    """Always stable."""
    if axis is None or not a.ndim or a.dtype.kind == "V":
        return None
    rows = axis_last(a, axis)
    rows = rows if rows.flags.c_contiguous else rows.copy()
    order = array.empty(rows.shape, LONG, a.memory.device)
    if order.size:
        keys = rows.view(np.uint8) if rows.dtype.kind == "b" else rows
        columns = rows.shape[-1]
        array.driver.argsort(order.pointer, keys.pointer, CODES[keys.dtype], rows.size // columns, columns, a.memory.device)
    return axis_last(order, axis)


def sort(a: DeviceArray, axis: Any = -1, kind: Any = None) -> Any:
    order = argsort(a, axis)
    return None if order is None else moves.gather(a, axis, order)


def take_along_axis(a: Any, index: Any, axis: Any = -1) -> DeviceArray | None:
    fits = isinstance(a, DeviceArray) and axis is not None and a.ndim == index.ndim > 0 and index.dtype.kind in "iu"
    if not fits or any(n != m for d, (n, m) in enumerate(zip(a.shape, index.shape)) if d != axis % a.ndim):
        return None
    index = index if isinstance(index, DeviceArray) else upload(index, a.memory.device)
    return moves.gather(a, axis, elementwise(from_front, (index, a.shape[axis])).astype(LONG, copy=False))


from_front = kernel(lambda i, n: s.where(s.lt(i, 0), i + n, i))


def take(a: Any, index: Any, axis: Any = None) -> DeviceArray | None:
    if not isinstance(a, DeviceArray) or not isinstance(index, DeviceArray | np.ndarray) or index.dtype.kind not in "iu":
        return None
    table, axis = (a.reshape(-1), 0) if axis is None else (a, axis % a.ndim)
    return indexing.get(table, (*[slice(None)] * axis, index))


def cumsum(a: DeviceArray, axis: Any = None, dtype: Any = None) -> DeviceArray | None:
    if dtype is not None or a.dtype.kind == "V":
        return None
    flat = a.reshape(-1) if axis is None else a
    return scan(indexing.RUNNING_SUM, flat.astype(LONG, copy=False) if a.dtype.kind in "ib" else flat, (axis or 0) % flat.ndim)


def nonzero(a: DeviceArray) -> tuple[DeviceArray, ...] | None:
    return None if not a.ndim else indexing.nonzero(truth(a))


def truth(a: DeviceArray) -> DeviceArray:
    return a if a.dtype.kind == "b" else elementwise(is_true, (a,))


is_true = kernel(lambda x: s.ne(x, 0))


def fold(kind: str) -> Callable:
    """A reduction; over everything it is a number, as NumPy's are. The host's with NumPy's rarer arguments."""

    def call(a: DeviceArray, axis: Any = None, keepdims: bool = False, **rarer: Any) -> Any:
        if rarer or a.dtype.kind == "V" or (kind[-3:] in ("max", "min") and not a.size) or (kind == "sum" and a.dtype.kind == "u"):
            return None
        source = a
        if kind in ("any", "all"):
            source = truth(a)
        elif kind == "sum" and a.dtype.kind in "ib":
            source = a.astype(LONG, copy=False)
        result = reduce(KINDS[kind], identity, (source,), axis, keepdims)
        return result if axis is not None or keepdims else download(result)[()]

    return call


def roll(a: DeviceArray, shift: Any, axis: Any = None) -> DeviceArray:
    """Along one axis after the other, in two parts."""
    if axis is None:
        return roll(a.reshape(-1), shift, 0).reshape(a.shape)
    for n, d in zip(*((x if isinstance(x, tuple) else (x,)) for x in (shift, axis)), strict=True):
        result, size = array.empty(a.shape, a.dtype, a.memory.device), max(a.shape[d], 1)
        before = (slice(None),) * (d % a.ndim)
        result[(*before, slice(n % size, None))] = a[(*before, slice(None, size - n % size))]
        result[(*before, slice(None, n % size))] = a[(*before, slice(size - n % size, None))]
        a = result
    return a


def append(a: Any, values: Any, axis: Any = None) -> Any:
    if axis is not None or not isinstance(a, DeviceArray) or not isinstance(values, int):
        return None
    result = array.empty((a.size + 1,), a.dtype, a.memory.device)
    result[:-1] = a.reshape(-1)
    result[-1:] = values
    return result


def diff(a: DeviceArray) -> DeviceArray:
    return a[..., 1:] - a[..., :-1]


def unique(
    a: DeviceArray,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    equal_nan: bool = True,
) -> Any:
    """Sorted; the first of each run of equals is kept."""
    if axis is not None or equal_nan or return_index or a.dtype.kind == "V":
        return None
    flat = a.reshape(-1)
    order = argsort(flat)
    ordered = indexing.get(flat, (order,))
    first = array.empty(flat.shape, np.dtype(bool), a.memory.device)
    if flat.size:
        first[:1] = True
        first[1:] = ordered[1:] != ordered[:-1]
    starts = indexing.true_places(first)
    result = [indexing.get(ordered, (starts,))]
    if return_inverse:
        inverse = array.empty(flat.shape, LONG, a.memory.device)
        if flat.size:
            indexing.put_at("unique", inverse, order, (), (), scan(indexing.RUNNING_SUM, first.astype(LONG), 0) - 1, 1, (), True)
        result.append(inverse.reshape(a.shape))
    if return_counts:
        result.append(diff(append(starts, flat.size)))
    return tuple(result) if len(result) > 1 else result[0]


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> DeviceArray | None:
    """``a`` may have rows, as many as ``v`` has."""
    if sorter is not None or not isinstance(a, DeviceArray):
        return None
    return indexing.search(a, v, side == "right")


def isin(a: Any, among: Any, assume_unique: bool = False, invert: bool = False) -> DeviceArray | None:
    """By two searches: how many are less, and how many are not greater."""
    if not (isinstance(a, DeviceArray) and isinstance(among, DeviceArray)) or a.dtype.kind not in "iufb" or among.dtype.kind not in "iufb":
        return None
    rows = sort(among.reshape(-1))
    found = indexing.search(rows, a, True) != indexing.search(rows, a, False)
    found = found & (a == a) if a.dtype.kind == "f" else found
    return ~found if invert else found


def bincount(a: Any, weights: Any = None, minlength: int = 0) -> DeviceArray | None:
    """By adding ones, or the weights, by index."""
    if not isinstance(a, DeviceArray) or (weights is not None and not isinstance(weights, DeviceArray)):
        return None
    device, size = a.memory.device, max(int(a.max()) + 1 if a.size else 0, minlength)
    counts = array.empty((size,), LONG if weights is None else np.dtype(np.float64), device)
    counts.fill(0)
    if a.size:
        index = a.astype(LONG, copy=False)
        ones = upload(np.ones((), LONG), device) if weights is None else weights.astype(np.float64, copy=False)
        moves.add_rows(counts, 0, index, ones.view_of(np.broadcast_to(ones.ghost, a.shape)))
    return counts


# What NumPy asks an array of another kind for


def method(a: DeviceArray, name: str) -> Callable:
    """A method of NumPy's arrays."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if name in METHODS:
            result = METHODS[name](a, *args, **kwargs)
            if result is not None:
                return result
        host = download(a)
        result = getattr(host, name)(*map(on_host, args), **{k: on_host(v) for k, v in kwargs.items()})
        if name in ("sort", "put", "partition"):
            assign(a, host)
        return on_device(result, a.memory.device)

    return call


def call_ufunc(ufunc: Any, method: str, inputs: tuple, out: Any = None, **kwargs: Any) -> Any:
    result = None
    if method == "__call__" and not kwargs:
        into = out[0] if out is not None and isinstance(out[0], DeviceArray) else None
        result = computed(ufunc, inputs, into)
        if result is not None and result is into:
            return result
    elif method == "accumulate" and out is None:
        result = accumulated(ufunc, *inputs, **kwargs)
    elif method == "at" and ufunc in AT and isinstance(inputs[0], DeviceArray):
        indexing.add_at(inputs[0], inputs[1] if isinstance(inputs[1], tuple) else (inputs[1],), inputs[2], AT[ufunc])
        return None
    if result is None:
        hosts = [on_host(x) for x in inputs]
        result = getattr(ufunc, method)(*hosts, **{k: on_host(v) for k, v in kwargs.items()})
        if method == "at":
            assign(inputs[0], hosts[0])
            return None
    if out is not None:
        results = result if isinstance(result, tuple) else (result,)
        for target, value in zip(out, results, strict=True):
            target[...] = value
        return out if len(out) > 1 else out[0]
    return on_device(result, next(x.memory.device for x in inputs if isinstance(x, DeviceArray)))


def call_function(a: DeviceArray, func: Callable, args: tuple, kwargs: dict) -> Any:
    """A function of NumPy's, among whose arguments ``a`` is."""
    if func in VIEWS and isinstance(args[0], DeviceArray):
        return args[0].view_of(func(args[0].ghost, *args[1:], **kwargs))
    if func in COMPARING:
        return func(*(x.ghost if isinstance(x, DeviceArray) else x for x in args), **kwargs)
    if func in ATTRIBUTES:
        return getattr(args[0], func.__name__)
    if func in LIKE and args[0] is a:
        dtype = kwargs.get("dtype") or (args[1] if len(args) > 1 and func is not np.full_like else None) or a.dtype
        like = a.astype(dtype, "K") if a.flags.c_contiguous is False else array.empty(a.shape, np.dtype(dtype), a.memory.device)
        if func is not np.empty_like:
            value = args[1] if len(args) > 1 else kwargs.get("fill_value")
            like.fill(0 if func is np.zeros_like else 1 if func is np.ones_like else value)
        return like
    if func in FUNCTIONS:
        result = FUNCTIONS[func](*args, **kwargs)
        if result is not None:
            return result
    hosts = [on_host(x) for x in args]
    out = kwargs.pop("out", None)
    result = func(*hosts, **{k: on_host(v) for k, v in kwargs.items()})
    if func in MUTATING:
        args[0][...] = hosts[0]
        return None
    if out is not None:
        out[...] = result
        return out
    return on_device(result, a.memory.device)


VIEWS = {np.broadcast_to, np.expand_dims, np.moveaxis, np.swapaxes, np.transpose, np.squeeze, np.diagonal, np.flip, np.rollaxis}
VIEWS |= {np.lib.stride_tricks.sliding_window_view, np.atleast_1d, np.atleast_2d}
COMPARING = {np.may_share_memory, np.shares_memory}  # by addresses
ATTRIBUTES = {np.ndim, np.shape, np.size}
LIKE = (np.empty_like, np.zeros_like, np.ones_like, np.full_like)
MUTATING = {np.copyto, np.put_along_axis, np.putmask, np.place, np.put, np.fill_diagonal}
HOST_METHODS = frozenset(
    "all any argmax argmin argsort clip conj cumprod cumsum diagonal max mean min nonzero partition prod put repeat round searchsorted sort "
    "std sum take tobytes trace var".split()
)

KINDS_OF_NUMPY = ("sum", "max", "min", "any", "all", "argmax", "argmin")

FUNCTIONS: dict[Any, Callable] = {
    np.where: where,
    np.argsort: argsort,
    np.sort: sort,
    np.take_along_axis: take_along_axis,
    np.take: take,
    np.cumsum: cumsum,
    np.nonzero: nonzero,
    np.flatnonzero: lambda a: indexing.true_places(truth(a)),
    np.count_nonzero: lambda a, axis=None: fold("sum")(truth(a), axis),
    np.append: append,
    np.roll: roll,
    np.diff: diff,
    np.unique: unique,
    np.searchsorted: searchsorted,
    np.isin: isin,
    np.bincount: bincount,
    **{getattr(np, kind): fold(kind) for kind in KINDS_OF_NUMPY},
}
METHODS: dict[str, Callable] = {
    "argsort": argsort,
    "cumsum": cumsum,
    "nonzero": nonzero,
    "take": take,
    "searchsorted": searchsorted,
    **{kind: fold(kind) for kind in KINDS_OF_NUMPY},
}
