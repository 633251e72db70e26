"""vmap as a backend: arrays that hide a batch axis.

A :class:`BatchedArray` stands where an operation expects an array; its shape, axes and indices are those of one example. The batch axis is
the first of ``physical``, an array or, where vmaps are nested, a BatchedArray of an outer one. The CPU's functions hand such arguments to the
rules in ``batching_rules.py``; NumPy's come here. What has no rule is done for one example after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import BatchError, DTypeError
from . import cpu
from .owners import is_array, place_of


class Batch:
    """One vmap: how deep it is nested, the number of examples, its ``randomness``, and the time on the tape when it began. ``open`` until it ends.

    Where an array belongs to several, the axis of the one that began last is hidden first: all arrays have them in one order.
    """

    __slots__ = ("depth", "open", "randomness", "size", "start")

    def __init__(self, size: int, randomness: str, start: int):
        self.size, self.randomness, self.start = size, randomness, start
        self.depth, self.open = len(running.stack), True


class Running(threading.local):
    """The vmaps of this thread, the outermost first: new arrays have their batch axes."""

    def __init__(self) -> None:
        self.stack: list[Batch] = []


running = Running()
entered = [0]  # how many of all threads


@contextmanager
def within(stack: list[Batch]) -> Iterator[None]:
    """New arrays belong to these vmaps."""
    before, running.stack = running.stack, stack
    entered[0] += bool(stack) - bool(before)
    cpu._ext.set_batching(entered[0] > 0)
    try:
        yield
    finally:
        running.stack = before
        entered[0] -= bool(stack) - bool(before)
        cpu._ext.set_batching(entered[0] > 0)


def batches_of(array: Any) -> list[Batch]:
    """The vmaps that an array belongs to, the outermost first."""
    found = []
    while type(array) is BatchedArray:
        found.append(array.batch)
        array = array.physical
    return found[::-1]


def all_batches(x: Any) -> set[Batch]:
    """The vmaps that an array, or one in a tuple or list, belongs to."""
    return {batch for v in x for batch in all_batches(v)} if type(x) in (tuple, list) else set(batches_of(x))


def copies() -> int:
    """How many examples draw random numbers of their own. Refuses to draw where a vmap says so."""
    n = 1
    for batch in running.stack:
        if batch.randomness == "error":
            raise BatchError(
                "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness flags on "
                "vmap or perform the randomness operation out of vmap"
            )
        if batch.randomness == "different":
            n *= batch.size
    return n


class BatchedArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array for each example of a vmap, seen as one."""

    __slots__ = ("batch", "physical")

    __array_priority__ = 100

    # isinstance(x, np.ndarray) holds: what asks for an array means "no number". type(x) tells them apart, which is what C++ asks.
    __class__ = property(lambda self: np.ndarray)

    def __init__(self, physical: Any, batch: Batch):
        self.physical, self.batch = physical, batch

    shape = property(lambda self: self.physical.shape[1:])
    strides = property(lambda self: self.physical.strides[1:])
    ndim = property(lambda self: self.physical.ndim - 1)
    size = property(lambda self: int(np.prod(self.physical.shape[1:], dtype=np.int64)))
    dtype = property(lambda self: self.physical.dtype)
    itemsize = property(lambda self: self.physical.itemsize)
    nbytes = property(lambda self: self.size * self.itemsize)
    device = property(lambda self: getattr(self.physical, "device", "cpu"))
    flags = property(lambda self: self.physical.flags)
    ctypes = property(lambda self: self.physical.ctypes)
    T = property(lambda self: self.transpose())

    @property
    def base(self) -> Any:
        """The array that owns the memory, never ``None``."""
        owner = everything(self)
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        return owner

    def like(self, physical: Any) -> BatchedArray:
        return BatchedArray(physical, self.batch)

    def example(self, i: int) -> Any:
        return self.physical[i, ...]

    def aligned(self, ndim: int) -> Any:
        """``physical`` with axes of size 1 after the first, for broadcasting among arrays of ``ndim`` dimensions."""
        return self.physical if self.ndim == ndim else self.physical[(slice(None),) + (None,) * (ndim - self.ndim)]

    # What has one value for each example is no value

    def refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise BatchError(
            "vmap: the value of a tensor that is different for every example was asked for: by item(), by data-dependent control flow such as "
            "`if`, or by an operation whose result's shape depends on values; use where(), or do it outside of vmap"
        )

    __array__ = __contains__ = item = tolist = tobytes = refuse

    def agreed(self) -> Any:
        """The one value of all examples: inside of an operation a branch is taken that all agree on."""
        values = np.asarray(everything(self))
        return values.flat[0] if self.size == 1 and values.size and (values == values.flat[0]).all() else self.refuse()

    def __bool__(self) -> bool:
        return bool(self.agreed())

    def __int__(self) -> int:
        return int(self.agreed())

    def __index__(self) -> int:
        return int(self.refuse() if self.ndim else self.agreed())

    def __float__(self) -> float:
        return float(self.agreed())

    def __len__(self) -> int:
        if not self.ndim:
            raise DTypeError("len: len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        key = key if isinstance(key, tuple) else (key,)
        if all(k is None or k is Ellipsis or (isinstance(k, int | slice | np.integer) and not isinstance(k, bool)) for k in key):
            return self.like(self.physical[(slice(None), *key, *(() if Ellipsis in key else (Ellipsis,)))])
        return INDEXING["get"](self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        key = key if isinstance(key, tuple) else (key,)
        above = top([value, *key])
        if above is not None and above.start > self.batch.start:
            written_outside("copy")
        examples = [self.batch] if any(type(k) is BatchedArray for k in key) else []
        if not examples and all(not isinstance(k, np.ndarray | list | bool) for k in key):
            target = self.physical[(slice(None), *key, *(() if Ellipsis in key else (Ellipsis,)))]
            target[...] = value.aligned(target.ndim - 1) if owned_by(value, self.batch) else value
            return
        INDEXING["set"](self, key, value)

    def add_at(self, key: tuple, value: Any) -> None:
        """``self[key] += value`` on a device, where equal places add up."""
        above = top([value, *key])
        if above is not None and above.start > self.batch.start:
            written_outside("index_put")
        INDEXING["add"](self, key, value)

    def picked_shape(self, key: tuple) -> tuple[int, ...]:
        return self[key].shape

    # Methods of arrays, by one example's axes

    def axes(self, axes: Any) -> tuple[int, ...]:
        n = self.ndim
        return (
            tuple(range(1, n + 1))
            if axes is None
            else tuple(a % n + 1 if n else 1 for a in (axes if isinstance(axes, tuple | list) else (axes,)))
        )

    def reshape(self, *sizes: Any, **kwargs: Any) -> Any:
        shape = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
        if -1 in shape:
            known = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
            shape = tuple(self.size // known if n == -1 and known else n for n in shape)
        return self.like(self.physical.reshape((self.batch.size, *shape), **kwargs))

    def transpose(self, *given: Any) -> Any:
        axes = given[0] if len(given) == 1 and (given[0] is None or isinstance(given[0], tuple | list | np.ndarray)) else given
        axes = axes if axes is None else tuple(axes)
        return self.like(self.physical.transpose((0, *(self.axes(axes) if axes else range(self.ndim, 0, -1)))))

    def swapaxes(self, a: int, b: int) -> Any:
        return self.like(self.physical.swapaxes(*self.axes((a, b))))

    def squeeze(self, axis: Any = None) -> Any:
        return self.like(self.physical.squeeze(self.axes([i for i, n in enumerate(self.shape) if n == 1] if axis is None else axis)))

    def ravel(self, order: str = "C") -> Any:
        return self.reshape(-1) if order == "C" else per_example(lambda a: a.ravel(order), self)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return self.like(self.physical.diagonal(offset, *self.axes((axis1, axis2))))

    def flatten(self) -> Any:
        return self.like(self.physical.copy()).reshape(-1)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        return self.like(self.physical.astype(*args, **kwargs))

    def copy(self, order: str = "C") -> Any:
        return self.like(self.physical.copy(order=order))

    def view(self, *args: Any) -> Any:
        return self.like(self.physical.view(*args))

    def dense(self, dtype: Any = None) -> Any:
        return asarray(self, dtype, "C")

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, **kwargs: Any) -> None:
        self.physical.sort(axis=self.axes(axis)[0], **kwargs)

    def along(self, name: str, axis: Any, kwargs: dict) -> Any:
        """A method of arrays that works along axes."""
        if name in FOLDS:
            return self.like(getattr(self.physical, name)(axis=self.axes(axis), **kwargs))
        if axis is None or not self.ndim:
            return self.reshape(-1).along(name, 0, kwargs)
        return self.like(getattr(self.physical, name)(axis=self.axes(axis)[0], **kwargs))

    def __getattr__(self, name: str) -> Any:
        """Every other method, for one example after the other."""
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(name)
        return lambda *args, **kwargs: per_example(lambda a, *rest: getattr(a, name)(*rest, **kwargs), self, *args)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        outs = kwargs.pop("out", ())
        batch = top([*inputs, *outs])
        if batch is None or method != "__call__" or ufunc.signature is not None or any(type(v) is BatchedArray for v in kwargs.values()):
            return INDEXING["ufunc"](ufunc, method, inputs, kwargs)
        if outs:
            if not all(owned_by(o, batch) for o in outs):
                written_outside(ufunc.__name__)
            kwargs["out"] = tuple(o.physical for o in outs)
        n = max(np.ndim(x) if not isinstance(x, np.ndarray) else x.ndim for x in (*inputs, *outs))
        result = ufunc(*(x.aligned(n) if owned_by(x, batch) else x for x in inputs), **kwargs)
        if outs:
            return outs[0] if len(outs) == 1 else outs
        return tuple(BatchedArray(r, batch) for r in result) if isinstance(result, tuple) else BatchedArray(result, batch)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        rule = FUNCTIONS.get(function)
        if rule is not None:
            return rule(*args, **kwargs)
        return per_example(lambda *a: function(*a[: len(args)], **dict(zip(kwargs, a[len(args) :], strict=True))), *args, *kwargs.values())


def method(name: str) -> Callable:
    default = -1 if name == "argsort" else None
    return lambda self, axis=default, **kwargs: self.along(name, axis, kwargs)


FOLDS = frozenset("sum prod max min any all mean".split())
for _name in (*FOLDS, "argmax", "argmin", "cumsum", "cumprod", "argsort"):
    setattr(BatchedArray, _name, method(_name))


def asarray(x: Any, dtype: Any = None, order: Any = None) -> Any:
    """``np.asarray``, which leaves a BatchedArray, or one on a device, what it is."""
    if type(x) is BatchedArray or place_of(x) is not None:
        return x.astype(x.dtype if dtype is None else dtype, order=order or "K", copy=False)
    return np.asarray(x, dtype, order)


def everything(x: Any) -> Any:
    """The array with the values of all examples, for what is checked before an operation."""
    while type(x) is BatchedArray:
        x = x.physical
    return x


def is_batched(x: Any) -> bool:
    return type(x) is BatchedArray


def unmasked(index: Any) -> Any:
    """An index, which may not be a mask that differs among examples: so would the result's shape."""
    return index.refuse() if type(index) is BatchedArray and index.dtype.kind == "b" else index


def owned_by(x: Any, batch: Batch) -> bool:
    return type(x) is BatchedArray and x.batch is batch


def top(arrays: Iterable[Any]) -> Batch | None:
    """The innermost vmap that one of ``arrays`` belongs to."""
    found: Batch | None = None
    for x in arrays:
        if type(x) is BatchedArray:
            if found is None or x.batch.start > found.start:
                found = x.batch
        elif isinstance(x, tuple | list):
            inner = top(x)
            if inner is not None and (found is None or inner.start > found.start):
                found = inner
    return found


def hide(array: Any, batch: Batch) -> BatchedArray:
    """``array`` whose first axis is ``batch``'s. The axes of vmaps that began later stay outside of it."""
    if type(array) is BatchedArray and array.batch.start > batch.start:
        return BatchedArray(hide(array.physical.swapaxes(0, 1), batch), array.batch)
    return BatchedArray(array, batch)


def shown(array: Any, batch: Batch) -> Any:
    """``array`` with the axis that ``batch`` hides as its first; ``None`` if it has none."""
    if type(array) is not BatchedArray or array.batch is batch:
        return getattr(array, "physical", None)
    inner = shown(array.physical, batch)
    return None if inner is None else BatchedArray(inner.swapaxes(0, 1), array.batch)


def one(x: Any, batch: Batch, i: int) -> Any:
    """The part of an argument that is example ``i``'s."""
    if type(x) is BatchedArray and x.batch is batch:
        return x.example(i)
    return type(x)([one(v, batch, i) for v in x]) if type(x) in (tuple, list) else x


def per_example(function: Callable, *args: Any) -> Any:
    """``function`` of every example, the results put together: arrays are stacked, everything else must be the same for all.

    An array that is returned as it was given, or twice, is one array afterwards, too.
    """
    batch = top(args)
    if batch is None:
        return function(*args)
    if not batch.size:
        raise BatchError("vmap: there are no examples, and this operation is done for one after the other; give at least one")
    before = running.stack
    firsts = [one(x, batch, 0) for x in args]
    known = {id(f): x for f, x in zip(firsts, args, strict=True) if is_array(f)}
    with within([b for b in before if b is not batch]):
        results = [function(*firsts)]
        results += [function(*(one(x, batch, i) for x in args)) for i in range(1, batch.size)]

        def joined(column: list[Any]) -> Any:
            first = column[0]
            if id(first) in known:
                return known[id(first)]
            if isinstance(first, np.generic) or is_array(first):
                if any(c.shape != first.shape for c in column):
                    raise BatchError(
                        "vmap: the result's shape depends on the values, and differs among the examples; do it outside of vmap"
                    )
                known[id(first)] = result = hide(np.stack([np.asarray(c) if isinstance(c, np.generic) else c for c in column]), batch)
                if any(is_array(f) and np.may_share_memory(first, f) for f in firsts):
                    everything(result).flags.writeable = False  # views were copied: what is written would be lost
                return result
            if isinstance(first, tuple | list):
                parts = [joined(list(c)) for c in zip(*column, strict=True)]
                return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
            return first if all(c is first or c == first for c in column) else BatchedArray.refuse(None)  # type: ignore[arg-type]

        return joined(results)


def written_outside(op: str) -> None:
    raise BatchError(
        f"{op}: vmap: inplace arithmetic is not possible: values that differ for every example would be written to a tensor that all share; "
        "make a new tensor instead, or map over the tensor, too"
    )


# Rules in numpy_rules.py: for NumPy's functions, and for indices and the rarer ways to call a ufunc.
FUNCTIONS: dict[Any, Callable] = {}
INDEXING: dict[str, Callable] = {}
