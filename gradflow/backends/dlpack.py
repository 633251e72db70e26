"""Memory shared with other libraries on any device: DLPack's structures, read and written through ctypes, and CUDA's array interface.

NumPy's own DLPack is for the CPU and for NumPy's types; here it is any address and bfloat16 too. See https://dmlc.github.io/dlpack.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
KINDS = {"i": 0, "u": 1, "f": 2, "V": 4, "b": 6}  # DLDataTypeCode by NumPy's kind; V is bfloat16
NAMES = {False: (b"dltensor", b"used_dltensor"), True: (b"dltensor_versioned", b"used_dltensor_versioned")}
READ_ONLY = 1

Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


def python(name: str, result: Any, *arguments: Any) -> Callable:
    f = getattr(ctypes.pythonapi, name)
    f.restype, f.argtypes = result, list(arguments)
    return f


# A capsule in its destructor must not be counted again: there it is an address.
new_capsule = python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", ctypes.pythonapi))
pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
rename = python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)

lent: dict[int, tuple] = {}  # by address: a structure, and all that it needs


@Deleter
def forget(address: int) -> None:
    lent.pop(address, None)


@Deleter
def unused(capsule: int) -> None:
    """A capsule is gone that nobody took."""
    for name, _ in NAMES.values():
        if is_valid(capsule, name):
            lent.pop(pointer_in(capsule, name), None)


def export(array: Any, pointer: int, device: tuple[int, int], versioned: bool) -> Any:
    """A capsule for one use. ``array`` has NumPy's attributes, and is kept until the user lets it go."""
    ndim = array.ndim
    shape = (ctypes.c_int64 * max(ndim, 1))(*array.shape)
    strides = (ctypes.c_int64 * max(ndim, 1))(*(s // array.itemsize for s in array.strides))
    tensor = DLTensor(pointer, *device, ndim, KINDS[array.dtype.kind], 8 * array.itemsize, 1, shape, strides, 0)
    deleter = ctypes.cast(forget, ctypes.c_void_p)
    if versioned:
        whole: Any = Versioned(1, 0, None, deleter, 0 if array.flags.writeable else READ_ONLY, tensor)
    else:
        whole = Managed(tensor, None, deleter)
    address = ctypes.addressof(whole)
    lent[address] = whole, shape, strides, array
    return new_capsule(address, NAMES[versioned][0], ctypes.cast(unused, ctypes.c_void_p))


class Found(NamedTuple):
    """What somebody lends: ``strides`` count bytes; while ``owner`` is there, the memory is."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    device: tuple[int, int]
    writeable: bool
    owner: Any


class Borrowed:
    """Tells the lender when nobody needs the memory any more."""

    def __init__(self, address: int, deleter: int | None):
        self.address, self.deleter = address, deleter

    def __del__(self) -> None:
        if self.deleter:
            Deleter(self.deleter)(self.address)


def receive(capsule: Any) -> Found:
    """What a capsule holds, which is used up by this."""
    versioned = next((v for v in NAMES if is_valid(id(capsule), NAMES[v][0])), None)
    if versioned is None:
        raise BufferError("the capsule was used before, or is none of DLPack's")
    address = pointer_in(id(capsule), NAMES[versioned][0])
    whole: Any = (Versioned if versioned else Managed).from_address(address)
    t = whole.tensor
    rename(capsule, NAMES[versioned][1])
    owner = Borrowed(address, whole.deleter)
    kind = next((k for k, code in KINDS.items() if code == t.code), None)
    if kind is None or t.lanes != 1 or t.bits not in (8, 16, 32, 64) or (kind == "V" and t.bits != 16):
        raise BufferError(f"elements of DLPack's type code {t.code} with {t.bits} bits are not supported")
    dtype = np.dtype(ml_dtypes.bfloat16 if kind == "V" else f"{kind}{t.bits // 8}")
    shape = tuple(t.shape[: t.ndim])
    steps = tuple(t.strides[: t.ndim]) if t.strides and t.ndim else c_steps(shape)
    strides = tuple(s * dtype.itemsize for s in steps)
    writeable = not (versioned and whole.flags & READ_ONLY)
    return Found((t.data or 0) + t.byte_offset, shape, strides, dtype, (t.device_type, t.device_id), writeable, owner)


def c_steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step)
        step *= n
    return tuple(steps[::-1])


# CUDA's array interface


def interface(array: Any, pointer: int, stream: int) -> dict[str, Any]:
    """``__cuda_array_interface__``, version 3."""
    strides = None if array.flags.c_contiguous else array.strides
    data = pointer if array.size else 0, not array.flags.writeable
    return {"shape": array.shape, "typestr": array.dtype.str, "data": data, "strides": strides, "version": 3, "stream": stream or 1}


def by_interface(owner: Any) -> Found:
    """What an object with ``__cuda_array_interface__`` lends; the device is not said there, and is -1."""
    given = owner.__cuda_array_interface__
    dtype, shape = np.dtype(given["typestr"]), tuple(given["shape"])
    if dtype == np.dtype("V2"):
        dtype = np.dtype(ml_dtypes.bfloat16)
    strides = given.get("strides") or tuple(s * dtype.itemsize for s in c_steps(shape))
    pointer, read_only = given["data"]
    return Found(pointer, shape, tuple(strides), dtype, (CUDA, -1), not read_only, owner)


# Arrays over such memory


class Bytes:
    """Memory at an address, as NumPy takes it."""

    def __init__(self, found: Found, start: int, nbytes: int):
        self.owner = found.owner
        data = found.pointer + start, not found.writeable
        self.__array_interface__ = {"data": data, "shape": (nbytes,), "typestr": "|u1", "version": 3}


def view(found: Found) -> np.ndarray:
    """NumPy's array over the addresses."""
    reach = [(n - 1) * s for n, s in zip(found.shape, found.strides, strict=True)] if 0 not in found.shape else []
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach) + found.dtype.itemsize
    if 0 in found.shape:
        return np.empty(found.shape, found.dtype)
    return np.ndarray(found.shape, found.dtype, np.asarray(Bytes(found, low, high - low)), -low, found.strides)
