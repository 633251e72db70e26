"""Arrays that are not NumPy's, and the backends that own them.

The extension's functions are in front. Where an argument is no NumPy array they ask here, and the call goes to the same-named function of the
owner of the outermost array among the arguments.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import DeviceError
from .cpu import _ext

# Where in the user's program a call came from, and such a place in words; given by tape/node.py.
caller: Any = None
words: Any = None

OWNERS: list[tuple[type, Any]] = []  # outermost first


def register(array_type: type, backend: Any, outermost: bool = False) -> None:
    """Arrays of ``array_type`` belong to ``backend``, a module or object. ``outermost``: they may hold arrays of the others."""
    OWNERS.insert(0 if outermost else len(OWNERS), (array_type, backend))
    RANKS.clear()


RANKS: dict[type, int | None] = {}  # None: nobody's, or NumPy's


def rank(values: Iterable[Any]) -> int:
    """The place in OWNERS of the outermost array among the values and in their tuples."""
    best = len(OWNERS)
    for value in values:
        kind = type(value)  # a BatchedArray calls its class that of NumPy's
        if isinstance(value, tuple):
            best = min(best, rank(value))
            continue
        if kind not in RANKS:
            RANKS[kind] = next((k for k, (owned, _) in enumerate(OWNERS) if isinstance(value, owned)), None)
        if (own := RANKS[kind]) is not None:
            best = min(best, own)
        if not best:
            break
    return best


def dense(a: Any, dtype: Any = None) -> Any:
    """The array in C order, of one dimension at least: itself or a copy."""
    return a.dense(dtype) if hasattr(a, "dense") else np.ascontiguousarray(a, dtype)


class Products:
    """How products of float32 are computed on a device: "highest" in float32, else in TF32, with 10 bits in place of 23."""

    float32 = "highest"


products = Products()


class Recording(threading.local):
    """The graph of a device that this thread records."""

    graph: Any = None


recording = Recording()


def refuse_waiting(op: str) -> None:
    """While a graph is recorded nothing is computed, and nobody can wait for it."""
    if recording.graph is not None:
        raise DeviceError(
            f"{op}: operation not permitted when stream is capturing: the host would wait for values, and while a graph is recorded none are "
            "computed; do this before or after the capture"
        )


def unseen(array: Any) -> bool:
    """Are its values only there once a graph, which is recorded now, is run? Then nobody checks them."""
    return recording.graph is not None and place_of(array) is not None


def reusable(array: Any) -> bool:
    """May memory be written to again by whoever comes next? Not by a graph, which would go on writing to it, nor if it is a graph's."""
    memory = getattr(array, "memory", None)
    return memory is None or not (memory.recorded or recording.graph is not None)


class Place:
    """A CUDA device, where a new array may be wanted."""

    __slots__ = ("device",)

    def __init__(self, device: int):
        self.device = device

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.device == other.device

    def __hash__(self) -> int:
        return self.device


def place_of(array: Any) -> Place | None:
    """Where an array is: ``None`` for the CPU."""
    where = getattr(array, "device", "cpu")
    return None if where == "cpu" else Place(int(where.rpartition(":")[2]))


def cuda_place(index: int | None) -> Place:
    """The device of that number, or the one in use; the CUDA backend is started."""
    from .cuda import start

    return Place(start(index))


def started_driver() -> Any:
    """What works the CUDA devices, if they have been used."""
    module = sys.modules.get(f"{__package__}.cuda.array")
    return None if module is None else module.driver


def why_no_cuda() -> str | None:
    """What is missing to compute on a CUDA device, ``None`` if nothing is."""
    if started_driver() is not None:
        return None
    from .cupy_driver import why_not

    return why_not()


def move(array: Any, place: Place | None, non_blocking: bool = False) -> Any:
    """The array at a place: itself if it is there. ``non_blocking``: where memory is pinned, nobody waits for the copy."""
    if place_of(array) == place:
        return array
    if hasattr(array, "physical"):  # batched
        return array.like(move(array.physical, place, non_blocking))
    from .cuda import move as to_place

    return to_place(array, place, non_blocking)


def pin(array: np.ndarray) -> np.ndarray:
    """A copy of an array in memory that devices copy from by themselves; the array itself if it is in such memory."""
    from .cuda import array as on_device

    cuda_place(None)
    if on_device.is_pinned(array):
        return array
    result = on_device.pinned(array.shape, array.dtype)
    result[...] = array
    return result


def is_pinned(array: Any) -> bool:
    return started_driver() is not None and sys.modules[f"{__package__}.cuda.array"].is_pinned(array)


def lend(array: Any, stream: Any, versioned: bool) -> Any:
    """A DLPack capsule of an array on any device. ``stream``: whose work is to wait for what has been asked of the device; -1 for nobody's."""
    from . import dlpack

    place = place_of(array)
    if place is None:
        return dlpack.export(array, array.ctypes.data, (dlpack.CPU, 0), versioned)
    started_driver().join(-1 if stream == -1 else stream or 1, place.device)
    return dlpack.export(array, array.pointer, (dlpack.CUDA, place.device), versioned)


def cuda_interface(array: Any) -> dict[str, Any]:
    """``__cuda_array_interface__`` of an array on a device."""
    from . import dlpack

    return dlpack.interface(array, array.pointer, started_driver().current_stream(array.memory.device).ptr)


def borrow(source: Any) -> Any:
    """An array over the memory of another library's: something with ``__dlpack__`` or ``__cuda_array_interface__``, or a capsule."""
    from . import dlpack

    if hasattr(source, "__dlpack__"):
        kind, index = (int(n) for n in source.__dlpack_device__())
        on_cuda = kind in (dlpack.CUDA, dlpack.CUDA_MANAGED)
        stream = {"stream": cuda_place(index) and (started_driver().current_stream(index).ptr or 1)} if on_cuda else {}
        try:
            found = dlpack.receive(source.__dlpack__(**stream, max_version=(1, 0)))
        except TypeError:  # an older library
            found = dlpack.receive(source.__dlpack__(**stream))
    elif hasattr(source, "__cuda_array_interface__"):
        found = dlpack.by_interface(source)
    else:
        found = dlpack.receive(source)
    kind, index = found.device
    if kind in (dlpack.CPU, dlpack.CUDA_HOST):
        return dlpack.view(found)
    if kind not in (dlpack.CUDA, dlpack.CUDA_MANAGED):
        raise BufferError(f"memory of DLPack's device type {kind} is not supported; there are the CPU and CUDA")
    place = cuda_place(None if index < 0 else index)
    from .cuda import array as on_device

    return on_device.foreign(dlpack.view(found), found.owner, place.device)


def beside(array: Any, like: Any) -> Any:
    """The array where ``like`` is."""
    return move(array, place_of(like)) if isinstance(array, np.ndarray) else array


def as_strided(a: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """A view of the memory, read-only; strides count bytes."""
    if not isinstance(a, np.ndarray):
        return a.as_strided(shape, strides)
    if not issubclass(type(a), np.ndarray):  # batched
        return np.lib.stride_tricks.as_strided(a, shape, strides, writeable=False)
    view = _ext.strided(a, shape, strides, 0)
    view.flags.writeable = False
    return view


def duplicate(a: Any) -> Any:
    """A copy in C order."""
    if not issubclass(type(a), np.ndarray | np.generic):
        return a.copy()
    if a.nbytes < LARGE:
        return np.array(a, order="C")
    out = _ext.empty(a.shape, _ext.result_type((a,)), None, True)  # from the pool: its pages are there already
    _ext.copy(a, out)
    return out


LARGE = 1 << 18


def hand_over(name: str) -> Callable:
    def call(*args: Any) -> Any:
        at = rank(args)
        if at == len(OWNERS):
            raise TypeError(f"{name}: expected arrays or numbers; the arguments are ({', '.join(type(a).__name__ for a in args)})")
        return getattr(OWNERS[at][1], name)(*args)

    return call


def is_array(x: Any) -> bool:
    """Is ``x`` an array, NumPy's or a registered one?"""
    return isinstance(x, np.ndarray) or any(isinstance(x, t) for t, _ in OWNERS)


FUNCTIONS = (
    *("elementwise", "reduce", "rows", "dot", "gather", "scatter_add", "take_rows", "add_rows", "copy", "expand", "empty", "zeros"),
    *("scan", "irregular", "result_type", "lu", "lu_permutation", "cholesky", "ldl", "ldl_solve", "solve_triangular"),
    *("pool_max", "pool_mean", "pool_spread"),
)
for name in FUNCTIONS:
    _ext.set_fallback(name, hand_over(name))
