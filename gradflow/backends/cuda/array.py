"""Arrays in the memory of a CUDA device.

A :class:`DeviceArray` keeps a *ghost*: a NumPy array over the device's addresses, which is never read. Shapes, strides and views are NumPy's
own work on the ghost; values are computed by kernels (``indexing.py``, ``numpy_calls.py``). What has no kernel is computed by NumPy on the host: the
values come over and go back, so every operation works, and those that do cost two copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ...errors import DeviceError, DeviceMemoryError, DTypeError
from ...scalar.types import NAMES
from ..owners import recording, refuse_waiting

DTYPES = tuple(np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name) for name in NAMES)
CODES = {dtype: code for code, dtype in enumerate(DTYPES)}

check: Any = None  # raises errors that kernels of a device left; given by moves.py
deterministic_scatter = True  # else values are added by index with atomics, which is faster, in any order
driver: Any = None  # cupy_driver, or what tests put in its place
new = object.__new__


class Address:
    """Bytes at an address, as NumPy takes them."""

    def __init__(self, pointer: int, nbytes: int):
        self.__array_interface__ = {"data": (pointer, False), "shape": (nbytes,), "typestr": "|u1", "version": 3}


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """``memory`` is the driver's; ``base`` the array that this one is a view of, as NumPy has it."""

    __slots__ = ("__weakref__", "base", "ghost", "memory", "pointer_")

    ghost: np.ndarray
    memory: Any
    base: Any
    pointer_: int | None

    __hash__ = object.__hash__

    def view_of(self, ghost: np.ndarray) -> DeviceArray:
        v = new(DeviceArray)
        v.ghost, v.memory, v.pointer_ = ghost, self.memory, None
        v.base = self if self.base is None else self.base
        return v

    @property
    def pointer(self) -> int:
        p = self.pointer_
        if p is None:
            p = self.pointer_ = self.ghost.ctypes.data
        return p

    # What the ghost knows

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ghost.shape

    @property
    def strides(self) -> tuple[int, ...]:
        return self.ghost.strides

    @property
    def dtype(self) -> np.dtype:
        return self.ghost.dtype

    @property
    def ndim(self) -> int:
        return self.ghost.ndim

    @property
    def size(self) -> int:
        return self.ghost.size

    @property
    def itemsize(self) -> int:
        return self.ghost.itemsize

    @property
    def nbytes(self) -> int:
        return self.ghost.nbytes

    @property
    def flags(self) -> Any:
        return self.ghost.flags

    @property
    def ctypes(self) -> Any:
        return self.ghost.ctypes

    @property
    def device(self) -> str:
        return f"cuda:{self.memory.device}"

    def __len__(self) -> int:
        return len(self.ghost)

    # Views

    @property
    def T(self) -> DeviceArray:
        return self.view_of(self.ghost.T)

    def transpose(self, *axes: Any) -> DeviceArray:
        return self.view_of(self.ghost.transpose(*axes))

    def swapaxes(self, i: int, j: int) -> DeviceArray:
        return self.view_of(self.ghost.swapaxes(i, j))

    def squeeze(self, axis: Any = None) -> DeviceArray:
        return self.view_of(self.ghost.squeeze(axis))

    def view(self, dtype: Any = None) -> DeviceArray:
        return self.view_of(self.ghost.view() if dtype is None else self.ghost.view(dtype))

    def reshape(self, *shape: Any) -> DeviceArray:
        """A view where strides allow it, else a copy, as NumPy's."""
        target = shape[0] if len(shape) == 1 else shape
        try:
            return self.view_of(np.reshape(self.ghost, target, copy=False) if NO_COPY else probed(self.ghost, target))
        except (ValueError, AttributeError):
            if not self.flags.c_contiguous:
                return self.copy().reshape(target)
            raise

    def ravel(self) -> DeviceArray:
        return self.reshape(-1)

    flatten = ravel

    def __getitem__(self, key: Any) -> DeviceArray:
        keys = key if isinstance(key, tuple) else (key,)
        if picks(keys):
            from . import indexing

            return indexing.get(self, keys) if picks(keys, True) else upload(np.asarray(download(self)[on_host(key)]), self.memory.device)
        if Ellipsis not in keys:
            keys = (*keys, Ellipsis)  # without it NumPy would read a single element
        return self.view_of(self.ghost[keys])

    def __setitem__(self, key: Any, value: Any) -> None:
        keys = key if isinstance(key, tuple) else (key,)
        if picks(keys):
            from . import indexing

            if picks(keys, True):
                indexing.put(self, keys, value)
            else:
                host = download(self)
                host[on_host(key)] = on_host(value)
                assign(self, host)
        else:
            assign(self[key], value)

    def as_strided(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> DeviceArray:
        return self.view_of(np.asarray(np.lib.stride_tricks.as_strided(self.ghost, shape, strides, writeable=False)))

    def strided(self, shape: tuple[int, ...], steps: tuple[int, ...], offset: int, dtype: np.dtype) -> DeviceArray:
        """``as_strided`` over the memory of this array, in elements."""
        flat = self.ghost.reshape(-1).view(dtype)[offset:]
        writeable = self.flags.writeable
        ghost = np.lib.stride_tricks.as_strided(flat, shape, tuple(s * dtype.itemsize for s in steps), writeable=writeable)
        return self.view_of(np.asarray(ghost))

    def add_at(self, key: tuple, value: DeviceArray) -> None:
        """``self[key] += value``, where equal places add up."""
        from . import indexing

        indexing.add_at(self, key, value)

    def scatter(self, axis: int, index: Any, value: Any) -> None:
        """self[index[i][j]][j] = value[i][j] for axis 0"""
        from . import indexing

        indexing.scatter(self, axis, index, value)

    def picked_shape(self, key: tuple) -> tuple[int, ...]:
        """The shape of ``self[key]``, for a key with arrays."""
        from . import indexing

        return indexing.Places(self, key).full

    # Copies

    def copy(self, order: str = "C") -> DeviceArray:
        return self.astype(self.dtype, order)

    def astype(self, dtype: Any, order: str = "K", copy: bool = True) -> DeviceArray:
        """Dense arrays keep the order of their axes in memory, if ``order`` is "K"."""
        if not copy and self.dtype == np.dtype(dtype):
            return self
        axes = sorted(range(self.ndim), key=lambda d: -abs(self.strides[d])) if order == "K" else list(range(self.ndim))
        out = empty(tuple(self.shape[d] for d in axes), np.dtype(dtype), self.memory.device).transpose(np.argsort(axes))
        out.base = None  # nobody else has what it is a view of
        assign(out, self)
        return out

    def dense(self, dtype: Any = None) -> DeviceArray:
        """As ``np.ascontiguousarray``."""
        a = self if dtype is None else self.astype(dtype, "C", copy=False)
        a = a if a.flags.c_contiguous else a.copy()
        return a if a.ndim else a.reshape(1)

    def fill(self, value: Any) -> None:
        assign(self, value)

    def item(self) -> Any:
        return download(self).item()

    def tolist(self) -> Any:
        return download(self).tolist()

    def for_numpy(self, force: bool) -> np.ndarray:
        if not force:
            raise DTypeError(
                f"numpy: can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
            )
        return download(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return download(self) if dtype is None else download(self).astype(dtype)

    def __bool__(self) -> bool:
        return bool(download(self))

    def __int__(self) -> int:
        return int(self.item())

    __index__ = __int__

    def __float__(self) -> float:
        return float(download(self).reshape(()))

    def __deepcopy__(self, memo: dict) -> DeviceArray:
        return self.copy("K")

    def __reduce__(self) -> Any:
        return rebuilt, (download(self), self.memory.device)

    def __getattr__(self, name: str) -> Any:
        """NumPy's other methods."""
        from .numpy_calls import HOST_METHODS, method

        if name not in HOST_METHODS:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return method(self, name)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .numpy_calls import call_ufunc

        return call_ufunc(ufunc, method, inputs, **kwargs)

    def __array_function__(self, func: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        from .numpy_calls import call_function

        return call_function(self, func, args, kwargs)


NO_COPY = tuple(int(n) for n in np.__version__.split(".")[:2]) >= (2, 1)


def picks(keys: tuple, only: bool = False) -> bool:
    """Are arrays among a key's parts? ``only``: and no truth value that is for no axis?"""
    if only:
        return not any(isinstance(k, bool | np.bool_) or (getattr(k, "ndim", 1) == 0 and k.dtype.kind == "b") for k in keys)
    return any(isinstance(k, DeviceArray | np.ndarray | list | np.bool_ | bool) for k in keys)


def probed(ghost: np.ndarray, shape: Any) -> np.ndarray:
    """Another shape without a copy, for NumPy 2.0."""
    view = ghost.view()
    sizes = shape if isinstance(shape, tuple | list) else (shape,)
    view.shape = tuple(sizes)
    return view


def on_host(x: Any) -> Any:
    """The same with NumPy's arrays in place of the device's."""
    if isinstance(x, DeviceArray):
        return download(x)
    if isinstance(x, tuple | list):
        return type(x)(on_host(v) for v in x) if type(x) in (tuple, list) else x
    return x


def on_device(x: Any, device: int) -> Any:
    """The same with the device's arrays in place of NumPy's."""
    if isinstance(x, np.ndarray) and x.dtype in CODES:
        return upload(x, device)
    if type(x) in (tuple, list):
        return type(x)(on_device(v, device) for v in x)
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(on_device(v, device) for v in x))
    return x


retries = {"num_alloc_retries": 0, "num_ooms": 0}


def allocate(nbytes: int, device: int) -> Any:
    """Memory of a device. Where it is short, what is kept for later is given back, once, before this fails."""
    try:
        return driver.alloc(nbytes, device)
    except MemoryError:
        retries["num_alloc_retries"] += 1
        driver.empty_cache()
    try:
        return driver.alloc(nbytes, device)
    except MemoryError:
        retries["num_ooms"] += 1
        free, total = driver.memory_info(device)
        raise DeviceMemoryError(
            f"CUDA out of memory. Tried to allocate {nbytes} bytes; device {device} has {total} in all, {free} free, and "
            f"{driver.memory(device)['allocated']} are in use by tensors; delete some, or use smaller batches"
        ) from None


def empty(shape: tuple[int, ...], dtype: np.dtype, device: int) -> DeviceArray:
    a = new(DeviceArray)
    nbytes = dtype.itemsize
    for n in shape:
        nbytes *= n
    a.memory = memory = allocate(nbytes, device)
    a.pointer_ = memory.pointer
    a.base = None
    a.ghost = np.ndarray(shape, dtype, np.asarray(Address(memory.pointer, nbytes)))
    return a


class Foreign:
    """Memory of another library's, which has it back when ``owner`` is let go."""

    __slots__ = ("device", "nbytes", "owner", "pointer", "streams")

    recorded = False

    def __init__(self, ghost: np.ndarray, owner: Any, device: int):
        self.device, self.nbytes, self.owner, self.pointer, self.streams = device, ghost.nbytes, owner, ghost.ctypes.data, None


def foreign(ghost: np.ndarray, owner: Any, device: int) -> DeviceArray:
    """An array over such memory."""
    if ghost.dtype not in CODES:
        raise DTypeError(f"from_dlpack: elements of {ghost.dtype} are not supported")
    a = new(DeviceArray)
    a.ghost, a.memory, a.base, a.pointer_ = ghost, Foreign(ghost, owner, device), None, None
    return a


def upload(host: np.ndarray, device: int, non_blocking: bool = False) -> DeviceArray:
    """A copy of a NumPy array on a device, in C order. Nobody waits for it if the array is pinned and ``non_blocking``."""
    if host.dtype not in CODES:
        raise DTypeError(f"to: arrays of {host.dtype} cannot be on a device; convert to one of {', '.join(NAMES)}")
    a = empty(host.shape, host.dtype, device)
    if host.size:
        dense = np.ascontiguousarray(host)
        owner = dense if non_blocking and is_pinned(dense) else None
        if recording.graph is not None:
            if owner is None:  # a constant, which the graph reads from here whenever it is run
                dense, constant = pinned(host.shape, host.dtype), dense
                dense[...] = constant
            owner = dense
            recording.graph.kept.append(owner)
        driver.to_device(a.pointer, dense.ctypes.data, dense.nbytes, device, owner)
    return a


def download(a: DeviceArray, non_blocking: bool = False) -> np.ndarray:
    """A copy of the values for NumPy; if ``non_blocking`` in pinned memory, and there only once the stream has come that far."""
    host = pinned(a.shape, a.dtype) if non_blocking else np.empty(a.shape, a.dtype)
    if a.size:
        if not non_blocking:
            refuse_waiting("cuda: a tensor's values were asked for")
        elif recording.graph is not None:
            recording.graph.kept.append(host)
        dense = a if a.flags.c_contiguous else a.copy()
        driver.to_host(host.ctypes.data, dense.pointer, host.nbytes, a.memory.device, host if non_blocking else None)
    if not non_blocking:
        check(a.memory.device)
    return host


class Pinned:
    """The host's memory that the driver has pinned, as NumPy takes it."""

    def __init__(self, nbytes: int):
        self.memory = driver.pinned(nbytes)
        self.__array_interface__ = {"data": (self.memory.ptr, False), "shape": (nbytes,), "typestr": "|u1", "version": 3}


def pinned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array in pinned memory."""
    nbytes = dtype.itemsize * math.prod(shape)
    return np.ndarray(shape, dtype, np.asarray(Pinned(max(nbytes, 1))))


def is_pinned(a: Any) -> bool:
    while isinstance(a, np.ndarray):
        a = a.base
    return isinstance(a, Pinned)


def assign(out: DeviceArray, value: Any) -> None:
    """``out[...] = value``"""
    from . import copy

    if not out.flags.writeable:
        raise ValueError("assignment destination is read-only")
    copy(value if isinstance(value, DeviceArray) else np.asarray(value), out)


def rebuilt(host: np.ndarray, device: int) -> DeviceArray:
    from . import start

    return upload(host, start(device))


def same_device(op: str, arrays: list[DeviceArray]) -> int:
    """The device of all arrays; refused if there are several."""
    device = arrays[0].memory.device
    for a in arrays:
        if a.memory.device != device:
            raise DeviceError(
                f"{op}: Expected all tensors to be on the same device, but found at least two devices, cuda:{device} and {a.device}; "
                "move one with .to()"
            )
    return device


def refuse_host(op: str) -> None:
    raise DeviceError(
        f"{op}: Expected all tensors to be on the same device, but found at least two devices, cuda and cpu; move one with .to()"
    )
