"""The CUDA backend: the CPU's functions over arrays on a device. Programs are printed as CUDA C++ and launched; a call that was made before
with arrays of the same types and layout does nothing but allocate, pack its arguments and launch.

``use(driver)`` sets what works the device (:mod:`gradflow.backends.cupy_driver`) and registers the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DeviceError, ShapeError
from ...scalar.types import FLOAT16, promote
from .. import cpu, owners
from . import array, folds, launch, moves, scans
from . import elementwise as _elementwise
from .array import CODES, DTYPES, DeviceArray, download, upload
from .elementwise import elementwise
from .folds import reduce, rows
from .launch import code_of_scalar, combined
from .moves import add_rows, gather, scatter_add, take_rows
from .products import dot, identity
from .scans import scan


def use(driver: Any) -> None:
    """Compute with this driver from now on."""
    import sys

    array.driver = driver
    for cache in (_elementwise.plans, folds.plans, moves.launches, scans.plans, launch.functions):
        cache.clear()
    for kind in (DeviceArray, owners.Place):
        if kind not in [t for t, _ in owners.OWNERS]:
            owners.register(kind, sys.modules[__name__])


class Matmul:
    """``backends.cuda.matmul``: may products of float32 be computed in TF32, four to eight times as fast, with 10 bits in place of 23?"""

    @property
    def allow_tf32(self) -> bool:
        return owners.products.float32 != "highest"

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        owners.products.float32 = "high" if allowed else "highest"

    allow_fp16_reduced_precision_reduction = allow_bf16_reduced_precision_reduction = False  # they are summed in float32


matmul = Matmul()


def is_built() -> bool:
    """Is this package made for CUDA? It needs CuPy, not another build."""
    return True


def empty(shape: tuple, code: int, like: Any) -> DeviceArray:
    """An array beside ``like``, or at a place."""
    return array.empty(tuple(shape), DTYPES[code], like.device if isinstance(like, owners.Place) else like.memory.device)


def zeros(shape: tuple, code: int, like: Any) -> DeviceArray:
    a = empty(shape, code, like)
    if a.size:
        array.driver.clear(a.pointer, a.nbytes, a.memory.device)
    return a


def copy(src: Any, out: Any) -> Any:
    """``out[...] = src``, converted; leading axes of size 1 may be missing in ``out``."""
    if not isinstance(out, DeviceArray):
        return cpu.copy(download(src), out)
    extra = getattr(src, "ndim", 0) - out.ndim
    if extra > 0 and all(n == 1 for n in src.shape[:extra]):
        src = src[(0,) * extra]
    if src.__class__ is float and out.dtype == np.float64:
        src = np.asarray(src)  # a number by itself would be of the default type
    if isinstance(src, np.ndarray):
        if src.ndim == 0:
            src = src if src.dtype in CODES else src.item()
        elif src.dtype == out.dtype and src.shape == out.shape and out.flags.c_contiguous and owners.recording.graph is None:
            dense = np.ascontiguousarray(src)
            if src.size:
                array.driver.to_device(out.pointer, dense.ctypes.data, dense.nbytes, out.memory.device)
            return out
        else:
            src = upload(src, out.memory.device)
    if isinstance(src, DeviceArray):
        if src.memory.device != out.memory.device:
            src = moved(src, out.memory.device)
        if src.ndim > out.ndim or any(n not in (1, m) for n, m in zip(src.shape[::-1], out.shape[::-1])):
            raise ShapeError(f"copy: the source does not broadcast to out; the source is {list(src.shape)}, out is {list(out.shape)}")
    return elementwise(identity, (src,), out)


def moved(a: DeviceArray, device: int) -> DeviceArray:
    """A copy on another device."""
    dense = a if a.flags.c_contiguous else a.copy()
    result = array.empty(a.shape, a.dtype, device)
    if a.size:
        owners.refuse_waiting("to")
        array.driver.copy(result.pointer, device, dense.pointer, a.memory.device, dense.nbytes)
    return result


def expand(a: DeviceArray, shape: tuple) -> DeviceArray:
    """A view of a broadcast shape, read-only."""
    try:
        return a.view_of(np.broadcast_to(a.ghost, shape))
    except ValueError:
        raise ShapeError(f"expand: an axis of {list(a.shape)} cannot become that of {list(shape)}") from None


def irregular(out: Any, inputs: tuple) -> Any:
    """None if every floating array among the inputs has the shape and type of ``out``; else for each input what it has instead."""
    like = out[0] if isinstance(out, tuple) else out
    entries = tuple(
        [
            (x.shape, CODES[x.dtype])
            if isinstance(x, DeviceArray | np.ndarray) and CODES[x.dtype] >= FLOAT16 and (x.shape != like.shape or x.dtype != like.dtype)
            else None
            for x in inputs
        ]
    )
    return entries if any(e is not None for e in entries) else None


def result_type(inputs: tuple) -> int:
    """The element type that operands meet in."""
    classes = [-1, -1, -1]
    for x in inputs:
        is_array = isinstance(x, DeviceArray | np.ndarray)
        code = CODES[x.dtype] if is_array else code_of_scalar(x)
        rank = 2 if not is_array else 0 if x.ndim else 1
        classes[rank] = code if classes[rank] < 0 else promote(classes[rank], code)
    common = combined(classes[0], combined(classes[1], classes[2]))
    return cpu.default_float if common < 0 else common


def lu(work: DeviceArray) -> Any:
    """LAPACK's factorizations and solves are the CPU's: the matrices come over, and go back."""
    host = download(work)
    result = cpu.lu(host)
    array.assign(work, host)
    return array.on_device(result, work.memory.device)


def lu_permutation(pivots: DeviceArray, rows: int) -> Any:
    return upload(cpu.lu_permutation(download(pivots), rows), pivots.memory.device)


def cholesky(work: DeviceArray) -> Any:
    host = download(work)
    info = cpu.cholesky(host)
    array.assign(work, host)
    return array.on_device(info, work.memory.device)


def solve_triangular(a: Any, x: Any, *flags: Any) -> Any:
    host = array.on_host(x)
    cpu.solve_triangular(array.on_host(a), host, *flags)
    array.assign(x, host)
    return x


def ldl(work: DeviceArray) -> Any:
    host = download(work)
    result = cpu.ldl(host)
    array.assign(work, host)
    return array.on_device(result, work.memory.device)


def ldl_solve(factors: Any, pivots: Any, x: Any) -> Any:
    host = array.on_host(x)
    cpu.ldl_solve(array.on_host(factors), array.on_host(pivots), host)
    array.assign(x, host)
    return x


def start(index: int | None) -> int:
    """The number of a device that can be used: the one asked for, or the current one."""
    if array.driver is None:
        from .. import cupy_driver

        missing = cupy_driver.why_not()
        if missing:
            raise DeviceError(missing)
        use(cupy_driver)
    if index is None:
        return array.driver.current_device()
    if index >= array.driver.device_count():
        raise DeviceError(f"device cuda:{index}: invalid device ordinal; there are {array.driver.device_count()} devices, from cuda:0")
    return index


def move(a: Any, place: owners.Place | None, non_blocking: bool = False) -> Any:
    """A copy of an array at another place."""
    if place is None:
        return download(a, non_blocking)
    return moved(a, place.device) if isinstance(a, DeviceArray) else upload(a, place.device, non_blocking)


__all__ = [
    "DeviceArray",
    "add_rows",
    "copy",
    "dot",
    "download",
    "elementwise",
    "empty",
    "expand",
    "gather",
    "irregular",
    "matmul",
    "moved",
    "reduce",
    "result_type",
    "rows",
    "scan",
    "scatter_add",
    "take_rows",
    "upload",
    "use",
    "zeros",
]
