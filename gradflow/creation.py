"""New tensors: from data, constant, counted and random."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import backends, dtypes
from .devices import CPU, default
from .errors import ArgumentError, DTypeError, NumberError
from .kinds.direct import direct
from .ops.axes import check_format, flag, integer, new_shape
from .ops.convert import LIMITS, element, on_device
from .scalar import primitives as s
from .scalar.types import FLOAT64, INT64, UINT8, category
from .tensor import Tensor, new, wrap

OPTIONS = ("dtype", "device", "requires_grad")
MADE = dtypes.dtype, default, CPU  # what the extension asks when it makes a tensor


class Want(NamedTuple):
    """What creation functions are asked for besides shape and type."""

    requires_grad: bool
    place: Any  # None: the CPU
    pinned: bool = False  # in memory that devices copy from


def finish(op: str, array: Any, dev: Any, requires_grad: bool) -> Tensor:
    """Without a device what is on one stays there."""
    t = wrap(array if dev is None and default.device is None else backends.move(array, on_device(op, dev)))
    return t if requires_grad is False else t.requires_grad_(flag(op, "requires_grad", requires_grad))


def code_of(op: str, dtype: Any) -> int:
    return backends.cpu.default_float if dtype is None else dtypes.get(dtype, op).code


def untensored(data: Any) -> Any:
    """Nested lists that hold tensors, as nested lists of numbers."""
    if isinstance(data, Tensor):
        return data.detach().numpy()
    if isinstance(data, list | tuple):
        return [untensored(x) for x in data]
    return data


class Interface:
    """Only the interface of another library's array on a GPU."""

    def __init__(self, source: Any):
        self.source, self.__cuda_array_interface__ = source, source.__cuda_array_interface__


def from_data(op: str, data: Any, dtype: Any, copy: bool) -> Any:
    if isinstance(data, Tensor):
        array = data.array
    elif isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
    elif hasattr(data, "__cuda_array_interface__"):
        array = backends.borrow(Interface(data))
    else:
        try:
            array = np.array(untensored(data))
        except ValueError:
            raise ArgumentError(f"{op}: expected sequences of equal length at every level of nesting") from None
        copy = False
        if array.dtype.kind == "O":
            if all(isinstance(x, int) for x in array.flat):
                raise NumberError(f"{op}: an integer does not fit in int64")
            raise DTypeError(
                f"{op}: could not infer dtype of {next(type(x).__name__ for x in array.flat if not isinstance(x, int | float))}; expected numbers"
            )
        if array.dtype.kind in "USM":
            kind = ArgumentError if isinstance(data, list | tuple) else DTypeError
            raise kind(f"{op}: could not infer dtype of {array.dtype.type.__name__}; expected numbers")
        if array.dtype == np.uint64:
            raise NumberError(f"{op}: an integer does not fit in int64")
        if dtype is not None:
            check_range(op, array, dtypes.get(dtype, op))
        elif (array.dtype.kind == "f" and not holds_numpy(data)) or (array.size == 0 and array.dtype == np.float64):
            array = array.astype(dtypes.get_default_dtype().numpy)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
        copy = False
    if dtype is not None:
        target = dtypes.get(dtype, op).numpy
        if array.dtype != target:
            return array.astype(target)
    elif array.dtype not in dtypes.FROM_NUMPY:
        raise DTypeError(
            f"{op}: can't convert np.ndarray of type {array.dtype}; the supported types are {', '.join(d.name for d in dtypes.BY_CODE)}"
        )
    return array.copy() if copy else array


def check_range(op: str, array: Any, dtype: dtypes.dtype) -> None:
    """Refuse Python numbers that an integer type cannot hold; negative ones wrap in unsigned types, as in torch."""
    if category(dtype.code) != 1 or array.dtype.kind not in "iuf" or not array.size:
        return
    limit = LIMITS[dtype.code]
    low, high = np.trunc(array.min()), np.trunc(array.max())
    if not (-limit - (dtype.code != UINT8) <= low and high <= limit):
        raise NumberError(f"{op}: value cannot be converted to type {dtype.name} without overflow: {array.min()} to {array.max()}")


def holds_numpy(data: Any) -> bool:
    """Does a nested list hold NumPy scalars or tensors, which keep their type?"""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return isinstance(data, np.generic | np.ndarray | Tensor)


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A tensor with a copy of ``data``: a number, nested sequences, an array or a tensor.

    Python floats become the default type, ints int64, bools bool; arrays keep their type.

    >>> gf.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if pin_memory:
        return finish("tensor", from_data("tensor", data, dtype, False), device, False).pin_memory().requires_grad_(requires_grad)
    return finish("tensor", from_data("tensor", data, dtype, True), device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor that shares memory with ``data`` if it is an array, or ``data`` itself if it is a tensor of that type.

    >>> gf.as_tensor([1, 2])
    tensor([1, 2])
    """
    if isinstance(data, Tensor):
        device = device if device is not None else default.device
        return data if dtype is None and device is None else data.to(device, dtype)
    return finish("as_tensor", from_data("as_tensor", data, dtype, False), device, False)


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor that shares memory with a NumPy array.

    >>> a = np.zeros(2)
    >>> t = gf.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise DTypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__})")
    return wrap(from_data("from_numpy", ndarray, None, False))


def legacy_tensor(cls: type, *args: Any, **kwargs: Any) -> Any:
    """``torch.Tensor(2, 3)`` and ``torch.Tensor([1.0])``: a tensor of the default type."""
    on_device("Tensor", kwargs.pop("device", None))
    if kwargs:
        raise DTypeError(f"Tensor: unexpected arguments {sorted(kwargs)}; use gradflow.tensor(data, ...)")
    if len(args) == 1 and not isinstance(args[0], int):
        data = args[0]
        if isinstance(data, str | float) or data is None:
            raise DTypeError(f"Tensor: data must be a sequence, not {type(data).__name__}; use gradflow.tensor(data)")
        source = (
            wrap(backends.empty(tuple(data), backends.cpu.default_float))
            if type(data).__name__ == "Size"
            else tensor(data, dtype=dtypes.get_default_dtype(), device="cpu")
        )
    elif args:
        source = empty(*args, device="cpu")
    else:
        source = empty(0, device="cpu")
    if cls is Tensor:
        return source
    t: Any = new(cls)
    t.array, t.node, t.version, t.leaf = source.array, None, None, None
    return t


def sized(op: str, size: tuple, kwargs: dict) -> tuple[int, ...]:
    """The shape, given as arguments, as a tuple, or as ``size=``."""
    if "size" in kwargs:
        if size:
            raise DTypeError(f"{op}: size was given twice")
        size = (kwargs.pop("size"),)
    return new_shape(op, size)


def options(op: str, kwargs: dict) -> tuple[int, Want]:
    """(type code, what else is wanted) from the keyword arguments that all creation functions share."""
    code = code_of(op, kwargs.pop("dtype", None))
    grad, pinned = (flag(op, name, kwargs.pop(name, None) or False) for name in ("requires_grad", "pin_memory"))
    want = Want(grad, on_device(op, kwargs.pop("device", None)), pinned)
    check_format(op, kwargs.pop("layout", None), "layout")
    check_format(op, kwargs.pop("memory_format", None) if op == "empty" or op.endswith("_like") else None)
    if kwargs:
        raise DTypeError(f"{op}: got unexpected keyword arguments {sorted(kwargs)}")
    return code, want


def float_options(op: str, kwargs: dict) -> tuple[int, Want]:
    """:func:`options` of a function that draws real numbers."""
    code, want = options(op, kwargs)
    need_float(op, code)
    return code, want


def need_float(op: str, code: int) -> None:
    if category(code) != 2:
        raise DTypeError(f"{op}: not implemented for {dtypes.BY_CODE[code].name}; draw a floating point dtype and convert")


def done(array: Any, want: Want) -> Tensor:
    t = wrap(array if want.place is None else backends.move(array, want.place))
    t = t.pin_memory() if want.pinned else t
    return t.requires_grad_(True) if want.requires_grad else t


@direct("empty", *MADE, options=OPTIONS)
def empty(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor whose elements are whatever the memory held.

    >>> gf.empty(2, 3).shape
    torch.Size([2, 3])
    """
    shape = sized("empty", size, kwargs)
    code, want = options("empty", kwargs)
    return done(backends.empty(shape, code, want.place), want)


@direct("zeros", *MADE, options=OPTIONS)
def zeros(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of zeros. Keyword arguments: ``dtype``, ``device``, ``requires_grad``.

    >>> gf.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    shape = sized("zeros", size, kwargs)
    code, want = options("zeros", kwargs)
    return done(backends.zeros(shape, code, want.place), want)


def filled(shape: tuple[int, ...], code: int, value: Any, want: Want) -> Any:
    array = backends.empty(shape, code, want.place)
    backends.copy(value, array)
    return array


@direct("ones", *MADE, options=OPTIONS)
def ones(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of ones. Keyword arguments: ``dtype``, ``device``, ``requires_grad``.

    >>> gf.ones(2, 2, dtype=gf.int64)
    tensor([[1, 1],
            [1, 1]])
    """
    shape = sized("ones", size, kwargs)
    code, want = options("ones", kwargs)
    return done(filled(shape, code, 1, want), want)


@direct("full", *MADE, options=OPTIONS)
def full(size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor filled with ``fill_value``, whose type it has unless ``dtype`` is given.

    >>> gf.full((2,), 3.5)
    tensor([3.5000, 3.5000])
    """
    if not isinstance(size, tuple | list):
        raise DTypeError(f"full: argument 'size' must be tuple of ints, not {type(size).__name__}")
    shape = new_shape("full", (size,))
    if isinstance(fill_value, Tensor) and not fill_value.array.ndim:
        fill_value = fill_value.item()
    if kwargs.get("dtype") is None and not isinstance(fill_value, float):
        kwargs["dtype"] = (
            dtypes.bool_ if isinstance(fill_value, bool) else dtypes.int64 if isinstance(fill_value, int) else dtypes.get_default_dtype()
        )
    code, want = options("full", kwargs)
    return done(filled(shape, code, element("full", fill_value, dtypes.BY_CODE[code]), want), want)


def like(op: str, input: Tensor, kwargs: dict) -> tuple[Any, Want]:
    """(an array of ``input``'s shape and, where its elements are all apart, of its order in memory; what else is wanted)."""
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = input.dtype
    if kwargs.get("device") is None:
        kwargs["device"] = input.device
    dense = str(kwargs.get("memory_format")).endswith("contiguous_format")
    code, want = options(op, kwargs)
    a = input.array
    if dense or a.flags.c_contiguous or 0 in a.strides:
        return backends.empty(a.shape, code, want.place), want
    order = sorted(range(a.ndim), key=lambda d: -abs(a.strides[d]))
    return backends.empty(tuple(a.shape[d] for d in order), code, want.place).transpose(np.argsort(order)), want


def filled_like(op: str, input: Tensor, value: Any, kwargs: dict) -> Tensor:
    array, want = like(op, input, kwargs)
    backends.copy(element(op, value, dtypes.of(array)), array)
    return done(array, want)


@direct("empty_like", *MADE, options=OPTIONS)
def empty_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`empty` with the shape, type and order in memory of ``input``.

    >>> gf.empty_like(gf.tensor([1, 2])).dtype
    torch.int64
    """
    return done(*like("empty_like", input, kwargs))


@direct("zeros_like", *MADE, options=OPTIONS)
def zeros_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`zeros` with the shape, type and order in memory of ``input``.

    >>> gf.zeros_like(gf.tensor([[1, 2]]))
    tensor([[0, 0]])
    """
    return filled_like("zeros_like", input, 0, kwargs)


@direct("ones_like", *MADE, options=OPTIONS)
def ones_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`ones` with the shape, type and order in memory of ``input``.

    >>> gf.ones_like(gf.tensor([[1, 2]]))
    tensor([[1, 1]])
    """
    return filled_like("ones_like", input, 1, kwargs)


@direct("full_like", *MADE, options=OPTIONS)
def full_like(input: Tensor, fill_value: Any, **kwargs: Any) -> Tensor:
    """:func:`full` with the shape, type and order in memory of ``input``.

    >>> gf.full_like(gf.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    return filled_like("full_like", input, fill_value, kwargs)


@direct("arange", *MADE, options=OPTIONS)
def arange(*args: Any, start: Any = None, end: Any = None, step: Any = None, **kwargs: Any) -> Tensor:
    """``start, start + step, ...`` below ``end``; int64 if all are ints, else the default type.

    >>> gf.arange(4.0)
    tensor([0., 1., 2., 3.])
    """
    values = list(args)
    if len(values) > 3:
        raise DTypeError(f"arange: takes start, end and step, got {values}")
    if len(values) == 1 and end is None:
        values = [0 if start is None else start, values[0], 1 if step is None else step]
    else:
        given = [start, end, step]
        for i, v in enumerate(values):
            given[i] = v
        values = [0 if given[0] is None else given[0], given[1], 1 if given[2] is None else given[2]]
    values = [v.item() if isinstance(v, Tensor) else v for v in values]
    first, last, by = values
    if last is None or not all(isinstance(v, int | float | np.number) for v in values):
        raise DTypeError(f"arange: expected numbers, got {values}")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ArgumentError(f"arange: unsupported range: {first} -> {last}")
    if kwargs.get("dtype") is None and all(isinstance(v, int | np.integer) for v in values):
        kwargs["dtype"] = dtypes.int64
    code, want = options("arange", kwargs)
    exact = category(code) == 1
    if exact:  # as torch: counted in int64, the number of elements from what was given unless the result is int64
        whole = [element("arange", v, dtypes.int64) for v in values]
        values = whole if code == INT64 else values
    if 0 in (by, values[2], whole[2] if exact else by):
        raise ArgumentError(f"arange: step must be nonzero; it is {by}" + (", without its fraction 0" if by else ""))
    first, last, by = values
    if (last - first) * by < 0:
        raise ArgumentError(f"arange: upper bound and lower bound inconsistent with step sign: start {first}, end {last}, step {by}")
    n = -((first - last) // by) if code == INT64 else math.ceil((last - first) / by)
    first, _, by = whole if exact else values
    ends = np.array((first, by), np.int64 if exact else np.float64)
    return done(backends.elementwise(counted, (ends[0:1], ends[1:2]), backends.empty((n,), code)), want)


@backends.kernel
def counted(first, step):
    return first + step * s.linear_index()


@backends.kernel
def between(first, last, step, n):
    i = s.linear_index()
    return s.where(s.lt(2 * i, n), first + step * i, last - step * (n - 1 - i))


@direct("linspace", *MADE, options=OPTIONS)
def linspace(start: Any, end: Any, steps: int, **kwargs: Any) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included, at equal distances.

    >>> gf.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    code, want = options("linspace", kwargs)
    return done(spaced("linspace", start, end, steps, code, code), want)


def spaced(op: str, start: Any, end: Any, steps: Any, code: int, wide: int) -> Any:
    """An array of type ``wide`` of numbers from start to end, which are elements of the type ``code`` first; counted from both ends."""
    n = integer(op, "steps", steps)
    if n < 0:
        raise ArgumentError(f"{op}: number of steps must be non-negative, got {n}")
    first, last = (float(element(op, v, dtypes.BY_CODE[code])) for v in (start, end))
    step = (last - first) / (n - 1) if n > 1 else 0.0
    try:
        array = backends.empty((n,), wide)
    except MemoryError as error:
        raise MemoryError(f"{op}: {error}") from None
    return backends.elementwise(between, (*np.array((first, last, step)).reshape(3, 1), n), array)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **kwargs: Any) -> Tensor:
    """``base`` to the powers :func:`linspace` gives.

    >>> gf.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    code, want = options("logspace", kwargs)
    array = spaced("logspace", start, end, steps, code, FLOAT64)
    return done(backends.copy(np.power(float(base), array), backends.empty(array.shape, code)), want)


@direct("eye", *MADE, options=OPTIONS)
def eye(n: int, m: int | None = None, **kwargs: Any) -> Tensor:
    """The identity matrix: ones on the diagonal, zeros elsewhere.

    >>> gf.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    code, want = options("eye", kwargs)
    shape = new_shape("eye", (n, n if m is None else m))
    array = backends.zeros(shape, code, want.place)
    array.reshape(-1)[: min(shape) * shape[1] : shape[1] + 1] = 1
    return done(array, want)
