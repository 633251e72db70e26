"""New tensors: from data, constant, counted and random."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from . import backends, dtypes
from .errors import ArgumentError, DeviceError, DTypeError, ShapeError
from .ops import random as r
from .ops.axes import new_shape
from .scalar.types import FLOAT64, INT64
from .tape.node import named
from .tensor import Tensor, device, new, wrap


def on_device(op: str, where: Any) -> None:
    """Refuse a device that this backend is not."""
    if where is not None and device(where).type != "cpu":
        raise DeviceError(f"{op}: device {where} is not available: this build computes on the CPU; use device='cpu'")


def finish(op: str, array: Any, dev: Any, requires_grad: bool) -> Tensor:
    on_device(op, dev)
    t = wrap(array)
    return t.requires_grad_(True) if requires_grad else t


def code_of(op: str, dtype: Any) -> int:
    return backends.cpu.default_float if dtype is None else dtypes.get(dtype, op).code


def untensored(data: Any) -> Any:
    """Nested lists that hold tensors, as nested lists of numbers."""
    if isinstance(data, Tensor):
        return data.detach().numpy()
    if isinstance(data, list | tuple):
        return [untensored(x) for x in data]
    return data


def from_data(op: str, data: Any, dtype: Any, copy: bool) -> Any:
    if isinstance(data, Tensor):
        array = data.array
    elif isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
    else:
        try:
            array = np.array(untensored(data))
        except ValueError:
            raise ArgumentError(f"{op}: expected sequences of equal length at every level of nesting") from None
        copy = False
        if array.dtype.kind == "O":
            if all(isinstance(x, int) for x in array.flat):
                raise ArgumentError(f"{op}: an integer does not fit in int64")
            raise DTypeError(
                f"{op}: could not infer dtype of {next(type(x).__name__ for x in array.flat if not isinstance(x, int | float))}; expected numbers"
            )
        if (array.dtype.kind == "f" and not holds_numpy(data)) or (array.size == 0 and array.dtype == np.float64):
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
    return finish("tensor", from_data("tensor", data, dtype, True), device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor that shares memory with ``data`` if it is an array, or ``data`` itself if it is a tensor of that type."""
    if isinstance(data, Tensor):
        on_device("as_tensor", device)
        return data if dtype is None else data.to(dtypes.get(dtype))
    return finish("as_tensor", from_data("as_tensor", data, dtype, False), device, False)


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor that shares memory with a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise DTypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__})")
    return wrap(from_data("from_numpy", ndarray, None, False))


def legacy_tensor(cls: type, *args: Any, **kwargs: Any) -> Any:
    """``torch.Tensor(2, 3)`` and ``torch.Tensor([1.0])``: a tensor of the default type."""
    kwargs.pop("device", None)
    if kwargs:
        raise DTypeError(f"Tensor: unexpected arguments {sorted(kwargs)}; use gradflow.tensor(data, ...)")
    if len(args) == 1 and not isinstance(args[0], int):
        data = args[0]
        source = (
            wrap(backends.empty(tuple(data), backends.cpu.default_float))
            if type(data).__name__ == "Size"
            else tensor(data, dtype=dtypes.get_default_dtype())
        )
    elif args:
        source = empty(*args)
    else:
        source = empty(0)
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
    return new_shape(op, size) if size else ()


def options(op: str, kwargs: dict) -> tuple[int, bool]:
    """(type code, requires_grad) from the keyword arguments that all creation functions share."""
    code = code_of(op, kwargs.pop("dtype", None))
    on_device(op, kwargs.pop("device", None))
    requires_grad = bool(kwargs.pop("requires_grad", False))
    for ignored in ("layout", "pin_memory", "memory_format"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise DTypeError(f"{op}: got unexpected keyword arguments {sorted(kwargs)}")
    return code, requires_grad


def done(array: Any, requires_grad: bool) -> Tensor:
    t = wrap(array)
    return t.requires_grad_(True) if requires_grad else t


def empty(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor whose elements are whatever the memory held."""
    shape = sized("empty", size, kwargs)
    code, requires_grad = options("empty", kwargs)
    return done(backends.empty(shape, code), requires_grad)


def zeros(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of zeros. Keyword arguments: ``dtype``, ``device``, ``requires_grad``."""
    shape = sized("zeros", size, kwargs)
    code, requires_grad = options("zeros", kwargs)
    return done(backends.zeros(shape, code), requires_grad)


def filled(shape: tuple[int, ...], code: int, value: Any) -> Any:
    array = backends.empty(shape, code)
    array.fill(value)
    return array


def ones(*size: Any, **kwargs: Any) -> Tensor:
    """A tensor of ones. Keyword arguments: ``dtype``, ``device``, ``requires_grad``."""
    shape = sized("ones", size, kwargs)
    code, requires_grad = options("ones", kwargs)
    return done(filled(shape, code, 1), requires_grad)


def full(size: Any, fill_value: Any, **kwargs: Any) -> Tensor:
    """A tensor filled with ``fill_value``, whose type it has unless ``dtype`` is given."""
    shape = new_shape("full", (size,))
    if kwargs.get("dtype") is None and not isinstance(fill_value, float):
        kwargs["dtype"] = (
            dtypes.bool_ if isinstance(fill_value, bool) else dtypes.int64 if isinstance(fill_value, int) else dtypes.get_default_dtype()
        )
    code, requires_grad = options("full", kwargs)
    return done(filled(shape, code, fill_value), requires_grad)


def like(op: str, input: Tensor, kwargs: dict) -> tuple[tuple[int, ...], int, bool]:
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    if kwargs.get("dtype") is None:
        kwargs["dtype"] = input.dtype
    return (input.array.shape, *options(op, kwargs))


def empty_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`empty` with the shape and type of ``input``."""
    shape, code, requires_grad = like("empty_like", input, kwargs)
    return done(backends.empty(shape, code), requires_grad)


def zeros_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`zeros` with the shape and type of ``input``."""
    shape, code, requires_grad = like("zeros_like", input, kwargs)
    return done(backends.zeros(shape, code), requires_grad)


def ones_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`ones` with the shape and type of ``input``."""
    shape, code, requires_grad = like("ones_like", input, kwargs)
    return done(filled(shape, code, 1), requires_grad)


def full_like(input: Tensor, fill_value: Any, **kwargs: Any) -> Tensor:
    """:func:`full` with the shape and type of ``input``."""
    shape, code, requires_grad = like("full_like", input, kwargs)
    return done(filled(shape, code, fill_value), requires_grad)


def rand_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`rand` with the shape and type of ``input``."""
    generator = kwargs.pop("generator", None)
    shape, code, requires_grad = like("rand_like", input, kwargs)
    return done(r.fill_uniform(backends.empty(shape, code), 0.0, 1.0, generator), requires_grad)


def randn_like(input: Tensor, **kwargs: Any) -> Tensor:
    """:func:`randn` with the shape and type of ``input``."""
    generator = kwargs.pop("generator", None)
    shape, code, requires_grad = like("randn_like", input, kwargs)
    return done(r.fill_normal(backends.empty(shape, code), 0.0, 1.0, generator), requires_grad)


def arange(*args: Any, start: Any = None, end: Any = None, step: Any = None, **kwargs: Any) -> Tensor:
    """``start, start + step, ...`` below ``end``; int64 if all are ints, else the default type.

    >>> gf.arange(4.0)
    tensor([0., 1., 2., 3.])
    """
    values = list(args)
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
    if by == 0:
        raise ArgumentError("arange: step must be nonzero")
    if (last - first) * by < 0:
        raise ArgumentError(f"arange: upper bound and lower bound inconsistent with step sign: start {first}, end {last}, step {by}")
    if kwargs.get("dtype") is None and all(isinstance(v, int | np.integer) for v in values):
        kwargs["dtype"] = dtypes.int64
    code, requires_grad = options("arange", kwargs)
    n = math.ceil((last - first) / by)
    if not math.isfinite((last - first) / by):
        raise ArgumentError(f"arange: unsupported range: {first} -> {last}")
    array = backends.empty((n,), code)
    if n:
        array[...] = first + by * np.arange(n)
    return done(array, requires_grad)


def linspace(start: Any, end: Any, steps: int, **kwargs: Any) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included, at equal distances."""
    steps = operator.index(steps)
    if steps < 0:
        raise ArgumentError(f"linspace: number of steps must be non-negative, got {steps}")
    code, requires_grad = options("linspace", kwargs)
    array = backends.empty((steps,), code)
    array[...] = np.linspace(float(start), float(end), steps)
    return done(array, requires_grad)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, **kwargs: Any) -> Tensor:
    """``base`` to the powers :func:`linspace` gives."""
    code, requires_grad = options("logspace", kwargs)
    array = backends.empty((operator.index(steps),), code)
    array[...] = np.power(base, np.linspace(float(start), float(end), steps))
    return done(array, requires_grad)


def eye(n: int, m: int | None = None, **kwargs: Any) -> Tensor:
    """The identity matrix: ones on the diagonal, zeros elsewhere."""
    code, requires_grad = options("eye", kwargs)
    shape = new_shape("eye", (n, n if m is None else m))
    array = backends.zeros(shape, code)
    i = np.arange(min(shape))
    array[i, i] = 1
    return done(array, requires_grad)


def rand(*size: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Uniform random numbers in [0, 1)."""
    shape = sized("rand", size, kwargs)
    code, requires_grad = options("rand", kwargs)
    return done(r.fill_uniform(backends.empty(shape, code), 0.0, 1.0, generator), requires_grad)


def randn(*size: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Normal random numbers with mean 0 and standard deviation 1."""
    shape = sized("randn", size, kwargs)
    code, requires_grad = options("randn", kwargs)
    return done(r.fill_normal(backends.empty(shape, code), 0.0, 1.0, generator), requires_grad)


def randint(*args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Random integers: ``randint(high, size)`` in [0, high), ``randint(low, high, size)`` in [low, high)."""
    given = list(args)
    size = kwargs.pop("size", None)
    if size is None:
        if not given:
            raise DTypeError("randint: missing the size")
        size = given.pop()
    low, high = kwargs.pop("low", None), kwargs.pop("high", None)
    if given and high is None:
        high = given.pop()
    if given and low is None:
        low = given.pop()
    low, high = operator.index(0 if low is None else low), operator.index(high)
    if low >= high:
        raise ArgumentError(f"randint: random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    shape = new_shape("randint", (size,))
    kwargs.setdefault("dtype", dtypes.int64)
    code, requires_grad = options("randint", kwargs)
    return done(r.fill_integers(backends.empty(shape, code), low, high, generator), requires_grad)


def randperm(n: int, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """The numbers 0 to ``n - 1`` in random order."""
    if n < 0:
        raise ArgumentError(f"randperm: n must be non-negative, got {n}")
    kwargs.setdefault("dtype", dtypes.int64)
    code, requires_grad = options("randperm", kwargs)
    keys = r.fill_integers(backends.empty((n,), INT64), 0, 2**62, generator)
    order = np.argsort(keys, kind="stable")
    array = backends.empty((n,), code)
    array[...] = order
    return done(array, requires_grad)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """Normal random numbers; ``mean`` and ``std`` are numbers (then give ``size``) or tensors, one for each element."""
    if size is not None:
        shape = new_shape("normal", (size,))
        code, requires_grad = options("normal", kwargs)
        return done(r.fill_normal(backends.empty(shape, code), float(mean), float(std), generator), requires_grad)
    operands = [x.array if isinstance(x, Tensor) else x for x in (mean, std)]
    shape = np.broadcast_shapes(*(x.shape for x in operands if isinstance(x, np.ndarray)))
    code = next(x.dtype.code for x in (mean, std) if isinstance(x, Tensor))
    return wrap(r.fill_normal(backends.empty(shape, code), operands[0], operands[1], generator))


def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with probability ``input`` (or ``p``), else 0, for each element."""
    draws = r.fill_uniform(backends.empty(input.array.shape, FLOAT64), 0.0, 1.0, generator)
    chance = input.array if p is None else p
    if np.any(np.asarray(chance) < 0) or np.any(np.asarray(chance) > 1):
        raise ArgumentError("bernoulli: Expected p_in >= 0 && p_in <= 1")
    return wrap((draws < chance).astype(input.array.dtype))


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Indices drawn with probabilities proportional to ``input``, a row of them for each row."""
    weights = np.atleast_2d(input.array.astype(np.float64))
    if input.array.ndim not in (1, 2):
        raise ShapeError(f"multinomial: prob_dist must be 1 or 2 dim, it is {input.ndim}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ArgumentError("multinomial: probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(1) <= 0).any():
        raise ArgumentError("multinomial: invalid multinomial distribution (sum of probabilities <= 0)")
    if not replacement and num_samples > weights.shape[1]:
        raise ArgumentError("multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = (weights.shape[0], num_samples if replacement else weights.shape[1])
    u = r.fill_uniform(backends.empty(shape, FLOAT64), 0.0, 1.0, generator)
    if replacement:
        edges = np.cumsum(weights, 1)
        picks = np.stack([np.searchsorted(e, x * e[-1], side="right") for e, x in zip(edges, u, strict=True)])
        picks = np.minimum(picks, weights.shape[1] - 1)
    else:  # exponential races: the smallest of Exp(weight) come first (Efraimidis and Spirakis 2006)
        with np.errstate(divide="ignore"):
            picks = np.argsort(-np.log1p(-u) / weights, 1)[:, :num_samples]
    picks = np.ascontiguousarray(picks, dtype=np.int64)
    return wrap(picks if input.array.ndim == 2 else picks[0])


def tri(op: str, input: Tensor, diagonal: int, keep: Any) -> Tensor:
    if input.array.ndim < 2:
        raise ShapeError(f"{op}: input tensor must have at least 2 dimensions")
    mask = keep(np.ones(input.array.shape[-2:], bool), diagonal)
    from .ops.pointwise import where

    return named(where(wrap(mask), input, False if input.array.dtype.kind == "b" else 0), f"{op.capitalize()}Backward0")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal, zeros elsewhere."""
    return tri("tril", input, diagonal, np.tril)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The elements on and above a diagonal, zeros elsewhere."""
    return tri("triu", input, diagonal, np.triu)
