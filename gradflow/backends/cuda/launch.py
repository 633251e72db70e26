"""From a kernel's text to its launch: what a call passes, and what stays the same from call to call."""

from __future__ import annotations

import ctypes
import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, NumberError, ShapeError
from ...scalar.cuda import FLAT, NUMBER, STRIDED32, STRIDED64, Kernel
from ...scalar.program import Typed
from ...scalar.types import BOOL, FLOAT32, FLOAT64, INT32, INT64, REGISTER, promote
from .. import cpu
from . import array
from .array import CODES, DeviceArray, refuse_host

DIMS = 8  # kDims of device.h
BLOCKS = 1024  # blocks of a grid: enough for any device; threads go on to further elements
COMMON_SHARED = 48 << 10  # bytes of shared memory that every kernel may have; more is asked for
LETTERS = {BOOL: "?", INT32: "i", INT64: "q", FLOAT32: "f", FLOAT64: "d"}

functions: dict[tuple[int, str], Any] = {}
lock = threading.Lock()


def function_of(kernel: Kernel, device: int) -> Any:
    """The kernel, compiled and loaded."""
    key = device, kernel.name
    found = functions.get(key)
    if found is None:
        found = functions[key] = array.driver.function(kernel.name, kernel.text, device)
    return found


class Launch:
    """A kernel with everything but the pointers and numbers of a call.

    The parameters lie in one buffer of the launch's own; ``head`` are the letters (of :mod:`struct`) of those that a call gives, ``rest`` the
    bytes of the others.
    """

    __slots__ = ("address", "block", "buffer", "device", "function", "grid", "pack", "parameters", "shared")

    def __init__(
        self, kernel: Kernel, device: int, head: str, rest: Sequence[bytes], grid: tuple[int, int], block: tuple[int, int], shared: int = 0
    ):
        self.function = function_of(kernel, device)
        self.device, self.grid, self.block, self.shared = device, grid, block, shared
        if shared > COMMON_SHARED:
            array.driver.allow_shared(self.function, array.driver.shared_memory(device), device)
        offsets = [struct.calcsize(f"@{head[:i]}0{letter}") for i, letter in enumerate(head)]
        end = struct.calcsize(f"@{head}")
        places = []
        for part in rest:
            end = -(-end // 16) * 16
            places.append(end)
            end += len(part)
        self.buffer = ctypes.create_string_buffer(end + 16)
        start = -(-ctypes.addressof(self.buffer) // 16) * 16 - ctypes.addressof(self.buffer)
        for place, part in zip(places, rest, strict=True):
            ctypes.memmove(ctypes.addressof(self.buffer) + start + place, part, len(part))
        base = ctypes.addressof(self.buffer) + start
        self.parameters = np.array([base + o for o in (*offsets, *places)], np.uintp)
        self.address = self.parameters.ctypes.data
        pack_into = struct.Struct(f"@{head}").pack_into
        buffer = self.buffer
        self.pack: Callable = lambda *values: pack_into(buffer, start, *values)

    def move(self, given: int, to: int) -> None:
        """The parameter that is number ``given`` of those of a call is number ``to`` of the kernel's."""
        order = list(self.parameters)
        order.insert(to, order.pop(given))
        self.parameters[:] = order

    def __call__(self, *values: Any) -> None:
        with lock:  # the driver copies the parameters
            self.pack(*values)
            array.driver.launch(self.function, self.grid, self.block, self.shared, self.address, self.device)


# Operands


def code_of_scalar(x: Any) -> int:
    """The element type of a number, as the CPU's backend reads it."""
    if isinstance(x, bool | np.bool_):
        return BOOL
    if isinstance(x, int | np.integer):
        return INT64
    if isinstance(x, float | np.floating) or np.ndim(x) == 0:
        return cpu.default_float
    raise DTypeError(f"elementwise: an operand is a {type(x).__name__}; expected an array or a number")


class Inputs:
    """What a call's inputs are, apart from where they lie: the part of a plan's key that they make, their values, and their types."""

    __slots__ = ("arrays", "device", "key", "op", "values")

    def __init__(self, op: str, inputs: tuple):
        self.op = op
        self.arrays: list[DeviceArray] = []
        self.values: list[Any] = []  # pointers and numbers
        key: list[Any] = [cpu.default_float]
        for x in inputs:
            if x.__class__ is DeviceArray:
                g = x.ghost
                self.arrays.append(x)
                self.values.append(x.pointer)
                key.append((g.dtype, g.shape, g.strides, x.pointer & 15, x.memory.device))
            elif isinstance(x, np.ndarray):
                if x.ndim:
                    refuse_host(op)
                self.values.append(x.item() if x.dtype.kind != "V" else float(x))
                key.append(x.dtype)  # counts as an array without dimensions
            else:
                self.values.append(x)
                key.append(x.__class__)
        self.key = tuple(key)
        self.device = 0

    def types(self, inputs: tuple, raw: frozenset[int]) -> tuple[list[int], int, list[int]]:
        """(element types, the common one of those that are not raw, the types that they are stored in)."""
        codes, stored = [], []
        classes = [-1, -1, -1]  # of arrays, of those without dimensions, of numbers
        for i, x in enumerate(inputs):
            if isinstance(x, DeviceArray | np.ndarray):
                code, rank = CODES[x.dtype], 0 if x.ndim else 1
            else:
                code, rank = code_of_scalar(x), 2
            codes.append(code)
            stored.append(code if isinstance(x, DeviceArray) else NUMBER)
            if i not in raw:
                classes[rank] = code if classes[rank] < 0 else promote(classes[rank], code)
        common = combined(classes[0], combined(classes[1], classes[2]))
        return codes, cpu.default_float if common < 0 else common, stored


def combined(higher: int, lower: int) -> int:
    """The higher class decides, unless the lower one is of a higher category."""
    if higher < 0 or lower < 0:
        return max(higher, lower)
    if higher > INT64 or (higher != BOOL and lower <= INT64):
        return higher
    return promote(higher, lower)


def number(register: int) -> Callable[[Any], Any]:
    """How a number becomes a kernel's parameter."""
    if register == BOOL:
        return bool
    if register == FLOAT32:
        return as_float32
    if register == FLOAT64:
        return float
    bits = 32 if register == INT32 else 64

    def wrapped(x: Any) -> int:
        if isinstance(x, float | np.floating) and not math.isfinite(x):
            return 0 if x != x else (1 << (bits - 1)) - 1 if x > 0 else -(1 << (bits - 1))
        n = int(x)
        if not -(2**63) <= n < 2**63:
            raise NumberError("elementwise: a Python integer does not fit int64; pass a float")
        return (n + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))

    return wrapped


def as_float32(x: Any) -> float:
    x = float(x)
    return x if -3.4e38 < x < 3.4e38 else float(np.float32(x)) if x == x else x


def typed(program: Any, codes: Sequence[int], common: int) -> Typed:
    try:
        return program.source.typed(codes, common, cpu.default_float)
    except TypeError as error:  # as on the CPU
        raise DTypeError(str(error)) from None


def head_of(t: Typed, stored: Sequence[int], outputs: int) -> tuple[str, list[Callable | None]]:
    """The letters of inputs and outputs, and how the numbers among them are made."""
    letters, makers = "", []
    for i, s in enumerate(stored):
        register = REGISTER[t.types[i]]
        letters += LETTERS[register] if s == NUMBER else "P"
        makers.append(number(register) if s == NUMBER else None)
    return letters + "P" * outputs, makers


def broadcast(op: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = ", ".join(str(list(s)) for s in shapes)
        raise ShapeError(f"{op}: shapes do not broadcast; they are {text}; sizes must be equal or 1, counted from the last") from None


def steps(a: DeviceArray, shape: tuple[int, ...]) -> list[int]:
    """Strides of an array within a broadcast shape, in elements."""
    missing = len(shape) - a.ndim
    own = [0 if n == 1 and m != 1 else s // a.itemsize for s, n, m in zip(a.strides, a.shape, shape[missing:], strict=True)]
    return [0] * missing + own


def c_steps(shape: Sequence[int]) -> list[int]:
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return strides[::-1]


# Layouts


class TooManyDimensions(ShapeError):
    """More than a kernel walks."""


def merged(op: str, shape: Sequence[int], operands: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """The same walk in as few dimensions as possible."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in operands]
    for d, n in enumerate(shape):
        if n == 1:
            continue
        if sizes and all(s[-1] == o[d] * n for s, o in zip(strides, operands, strict=True)):
            sizes[-1] *= n
            for s, o in zip(strides, operands, strict=True):
                s[-1] = o[d]
        else:
            sizes.append(n)
            for s, o in zip(strides, operands, strict=True):
                s.append(o[d])
    if len(sizes) > DIMS:
        raise TooManyDimensions(
            f"{op}: on CUDA at most {DIMS} dimensions that do not lie one after the other in memory; the shape is {list(shape)}; make the "
            "operands contiguous"
        )
    return sizes, strides


def walk_of(count: int, *layouts: tuple[Sequence[int], Sequence[Sequence[int]]]) -> str:
    """32 bits do if every offset and every number of elements is below 2**31."""
    farthest = max(
        (sum((n - 1) * abs(s) for n, s in zip(sizes, strides, strict=True)) for sizes, all_ in layouts for strides in all_), default=0
    )
    total = sum(
        max((sum((n - 1) * abs(s) for n, s in zip(sizes, strides, strict=True)) for strides in all_), default=0) for sizes, all_ in layouts
    )
    return STRIDED32 if max(count, farthest, total) < 2**31 else STRIDED64


def layout(walk: str, sizes: Sequence[int], strides: Sequence[Sequence[int]]) -> bytes:
    """gf::Layout, whose dimension 0 runs fastest."""
    ndim = max(len(sizes), 1)
    letter = "i" if walk == STRIDED32 else "q"

    def entries(values: Sequence[int], other: int) -> list[int]:
        return [*reversed(values), *[other] * (DIMS - len(values))]

    numbers = [*entries(sizes, 1), *(x for s in strides for x in entries(s, 0))]
    return struct.pack(f"@i{len(numbers)}{letter}", ndim, *numbers)


def place(walk: str, values: Sequence[int]) -> bytes:
    """gf::Place"""
    return struct.pack(f"@{len(values)}{'i' if walk == STRIDED32 else 'q'}", *values)


def int64(*values: int) -> list[bytes]:
    return [struct.pack("@q", v) for v in values]


def uint32(value: int) -> bytes:
    return struct.pack("@I", value)


def flat(arrays: Sequence[DeviceArray], shape: tuple[int, ...]) -> bool:
    """Are all of this shape, dense and aligned for accesses of 16 bytes?"""
    return all(a.ghost.flags.c_contiguous and a.ghost.shape == shape and not a.pointer & 15 for a in arrays)


def overlaps(a: DeviceArray, b: DeviceArray) -> bool:
    """May the two share memory, other than element by element?"""
    if a.memory is not b.memory or not np.may_share_memory(a.ghost, b.ghost):
        return False
    return not (a.pointer == b.pointer and a.shape == b.shape and a.strides == b.strides and a.itemsize == b.itemsize)


def power_of_two(n: int) -> int:
    """The least that is not less."""
    return 1 << max(n - 1, 0).bit_length()


__all__ = ["FLAT", "STRIDED32", "STRIDED64"]
