"""Rarer ways to make tensors: by strides, as lists of indices, by the name of a type (``torch.LongTensor``), from DLPack."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from . import backends, dtypes
from .creation import MADE, OPTIONS, Want, arange, done, empty, like, options, tensor
from .errors import ArgumentError, DeviceError, DTypeError, ShapeError, relabel
from .kinds.direct import direct
from .ops import random as r
from .ops.axes import integer, new_shape, shape_of
from .ops.convert import LEGACY, element
from .scalar.types import SIZES
from .tensor import Tensor, wrap


def randint_like(input: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Random integers in [0, high) or [low, high) with the shape and type of ``input``.

    >>> gf.randint_like(gf.ones(3), 2, 3)
    tensor([2., 2., 2.])
    """
    given = list(args)
    high = kwargs.pop("high") if "high" in kwargs else given.pop() if given else None
    low = kwargs.pop("low") if "low" in kwargs else given.pop() if given else 0
    if given:
        raise DTypeError(f"randint_like: takes low and high, got {list(args)}")
    low, high = (integer("randint_like", n, v.item() if isinstance(v, Tensor) else v) for n, v in (("low", low), ("high", high)))
    array, want = like("randint_like", input, kwargs)
    r.check_integers("randint_like", low, high, dtypes.of(array))
    return done(r.fill_integers(array, low, high, generator), want)


@direct("empty_strided", *MADE, options=OPTIONS)
def empty_strided(size: Any, stride: Any, **kwargs: Any) -> Tensor:
    """A tensor of this size whose elements lie ``stride`` apart in memory; they are whatever the memory held.

    >>> gf.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    for name, x in (("size", size), ("stride", stride)):
        if not isinstance(x, tuple | list):
            raise DTypeError(f"empty_strided: argument '{name}' must be tuple of ints, not {type(x).__name__}")
    shape, steps = new_shape("empty_strided", (size,)), shape_of("empty_strided", (stride,))
    if len(shape) != len(steps):
        raise ShapeError(f"empty_strided: mismatch in length of strides and shape: {len(shape)} sizes, {len(steps)} strides")
    if any(s < 0 for s in steps):
        raise ShapeError(f"empty_strided: Negative strides are not supported at the moment, got strides: {list(steps)}")
    code, want = options("empty_strided", kwargs)
    room = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else 0
    storage = backends.empty((max(room, 1),), code, want.place)
    if backends.place_of(storage) is not None:
        return done(storage.strided(shape, steps, 0, storage.dtype), want)
    return done(np.lib.stride_tricks.as_strided(storage, shape, tuple(s * SIZES[code] for s in steps)), want)


@direct("scalar_tensor", *MADE, options=OPTIONS)
def scalar_tensor(s: Any, **kwargs: Any) -> Tensor:
    """A 0-d tensor of the default type.

    >>> gf.scalar_tensor(5)
    tensor(5.)
    """
    code, want = options("scalar_tensor", kwargs)
    array = backends.empty((), code)
    array.fill(element("scalar_tensor", s, dtypes.BY_CODE[code]))
    return done(array, want)


def triangle(op: str, row: Any, col: Any, offset: Any, below: bool, kwargs: dict) -> Tensor:
    row, col, offset = (integer(op, name, v) for name, v in (("row", row), ("col", col), ("offset", offset)))
    if row < 0 or col < 0:
        raise ArgumentError(f"{op}: row and col must be non-negative, got {row} and {col}")
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = dtypes.int64
    code, want = options(op, kwargs)
    if code not in (dtypes.int32.code, dtypes.int64.code):
        raise DTypeError(f"{op}: not implemented for {dtypes.BY_CODE[code].name}; ask for int64 or int32")
    if row * col >= 2**60:
        raise MemoryError(f"{op}: a matrix of {row} by {col} has too many elements")
    offset = max(-row, min(offset, col))  # NumPy would count beyond 64 bits
    places = np.stack(np.tril_indices(row, offset, col) if below else np.triu_indices(row, offset, col))
    array = backends.empty(places.shape, code)
    array[...] = places
    return done(array, want)


@direct("tril_indices", *MADE, options=OPTIONS)
def tril_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Tensor:
    """(2, n): the rows and columns of the elements on and below a diagonal.

    >>> gf.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return triangle("tril_indices", row, col, offset, True, kwargs)


@direct("triu_indices", *MADE, options=OPTIONS)
def triu_indices(row: int, col: int, offset: int = 0, **kwargs: Any) -> Tensor:
    """(2, n): the rows and columns of the elements on and above a diagonal.

    >>> gf.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return triangle("triu_indices", row, col, offset, False, kwargs)


def range_(start: Any, end: Any, step: Any = 1, **kwargs: Any) -> Tensor:
    """``start, start + step, ...`` up to ``end``, which is the last element if it is reached; deprecated, use :func:`arange`.

    >>> import warnings
    >>> warnings.simplefilter("ignore")
    >>> gf.range(0, 1, 0.5)
    tensor([0.0000, 0.5000, 1.0000])
    """
    warnings.warn(
        "range: torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with Python's range builtin. "
        "Instead, use arange, which produces values in [start, end)",
        UserWarning,
        stacklevel=2,
    )
    first, last, by = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if not all(isinstance(v, int | float | np.number) for v in (first, last, by)):
        raise DTypeError(f"range: expected numbers, got {[first, last, by]}")
    if by == 0:
        raise ArgumentError("range: step must be nonzero")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ArgumentError(f"range: unsupported range: {first} -> {last}")
    if (last - first) * by < 0:
        raise ArgumentError(f"range: upper bound and lower bound inconsistent with step sign: start {first}, end {last}, step {by}")
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = dtypes.get_default_dtype()
    whole = all(isinstance(v, int | np.integer) for v in (first, by))
    return arange(first, first + (math.floor((last - first) / by) + (1 if whole else 0.5)) * by, by, **kwargs)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements, a row each, from the highest down unless ``increasing``."""
    if not isinstance(x, Tensor) or x.array.ndim != 1:
        raise ShapeError("vander: x must be a one-dimensional tensor.")
    n = x.array.size if N is None else integer("vander", "N", N)
    if n < 0:
        raise ArgumentError(f"vander: N must be non-negative, it is {n}")
    powers = wrap(backends.beside(np.arange(n) if increasing else np.arange(n)[::-1].copy(), x.array))
    x = x if x.dtype.is_floating_point else x.long()
    return x.unsqueeze(-1) ** powers


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None) -> Tensor:
    """A tensor of ``obj``, which shares its memory if it can, unless ``copy``; with ``copy=False`` what cannot share it is refused.

    A tensor keeps its history; ``requires_grad=False`` detaches it.

    >>> gf.asarray([1.0, 2.0])
    tensor([1., 2.])
    """
    if isinstance(obj, Tensor) and dtype is None and device is None and not copy and requires_grad is None:
        return obj
    from .creation import as_tensor

    if not isinstance(obj, Tensor | np.ndarray) and (hasattr(obj, "__dlpack__") or hasattr(obj, "__cuda_array_interface__")):
        obj = from_dlpack(obj)
    lent = isinstance(obj, Tensor | np.ndarray)
    if copy is False and not lent:
        raise ArgumentError("asarray: can't alias an arbitrary sequence into a tensor; leave copy=False out")
    if isinstance(obj, Tensor):
        t = obj.to(dtype=dtype, device=device, copy=bool(copy))
    else:
        t = as_tensor(obj, dtype, device) if lent and not copy else tensor(obj, dtype=dtype, device=device)
    if copy is False and t.array.dtype != getattr(obj, "array", obj).dtype:
        raise ArgumentError("asarray: can't alias an array of another type; leave copy=False out")
    if requires_grad is None:
        return t
    return t if requires_grad and t.requires_grad else t.requires_grad_(True) if requires_grad else t.detach()


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector that shares memory with a buffer of bytes.

    >>> gf.frombuffer(bytearray([1, 0, 2, 0]), dtype=gf.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    kind = dtypes.get(dtype, "frombuffer").numpy
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ArgumentError(f"frombuffer: object does not implement Python buffer protocol: {type(buffer).__name__}") from None
    if not 0 <= offset < size:
        raise ArgumentError(f"frombuffer: offset must be non-negative and no greater than buffer length ({size}) but got {offset}")
    n = (size - offset) // kind.itemsize if count < 0 else count
    if (count < 0 and (size - offset) % kind.itemsize) or n <= 0 or offset + n * kind.itemsize > size:
        raise ArgumentError(
            f"frombuffer: {size} bytes after offset {offset} do not hold {'whole' if count < 0 else count} elements of {dtype}"
        )
    return done(np.frombuffer(buffer, kind, n, offset), Want(requires_grad, None))


# By the name of a type


class TypeOfTensor(type):
    """What ``torch.LongTensor`` is: called, it makes tensors of its type; ``isinstance(t, torch.LongTensor)`` asks for it."""

    dtype: dtypes.dtype

    def __instancecheck__(cls, t: Any) -> bool:
        return isinstance(t, Tensor) and t.dtype is cls.dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        name = cls.__name__
        kwargs.pop("device", None)
        if kwargs:
            raise DTypeError(f"{name}: unexpected arguments {sorted(kwargs)}; use gradflow.tensor(data, ...)")
        if not args:
            return empty(0, dtype=cls.dtype)
        if all(isinstance(n, int) for n in args):
            return empty(*args, dtype=cls.dtype)
        if len(args) > 1 or isinstance(args[0], str | float) or args[0] is None:
            raise DTypeError(f"{name}: expected sizes or a sequence of numbers, not {args}")
        data = args[0]
        if isinstance(data, Tensor):
            if data.dtype is not cls.dtype:
                raise DTypeError(f"{name}: expected {cls.dtype} (got {data.dtype}); convert with .to()")
            return data.detach()
        try:
            return empty(data, dtype=cls.dtype) if type(data).__name__ == "Size" else tensor(data, dtype=cls.dtype)
        except (DTypeError, ArgumentError) as error:
            raise relabel(error, name) from None


def described(name: str, dtype: str) -> dict[str, Any]:
    doc = f"""Makes tensors of {dtype}, from data or of given sizes; ``isinstance`` asks whether a tensor is of that type.

    >>> isinstance(gf.{name}Tensor([0, 1]), gf.{name}Tensor), gf.{name}Tensor(2, 3).dtype
    (True, torch.{dtype})
    """
    return {"dtype": getattr(dtypes, dtype if dtype != "bool" else "bool_"), "__module__": "gradflow", "__doc__": doc}


TYPES: dict[str, Any] = {f"{name}Tensor": TypeOfTensor(f"{name}Tensor", (), described(name, dtype)) for dtype, name in LEGACY.items()}


# DLPack


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor, for one use.

    >>> gf.from_dlpack(gf.to_dlpack(gf.tensor([1.0, 2.0])))
    tensor([1., 2.])
    """
    return tensor.__dlpack__()


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares memory with another library's array: anything with ``__dlpack__``, or a capsule of :func:`to_dlpack`.

    >>> gf.from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    lends = hasattr(ext_tensor, "__dlpack__") or hasattr(ext_tensor, "__cuda_array_interface__")
    if not lends and type(ext_tensor).__name__ != "PyCapsule":
        raise DTypeError(f"from_dlpack: expected an object with __dlpack__ or a capsule, not {type(ext_tensor).__name__}")
    try:
        array = backends.borrow(ext_tensor)
    except DeviceError as error:
        raise relabel(error, "from_dlpack") from None
    except (BufferError, RuntimeError) as error:
        raise DTypeError(f"from_dlpack: {error}") from None
    if array.dtype not in dtypes.FROM_NUMPY:
        raise DTypeError(f"from_dlpack: elements of {array.dtype} are not supported")
    t = wrap(array.copy() if copy else array)
    return t if device is None else t.to(device)
