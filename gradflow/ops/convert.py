"""Conversions of type and device."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from .. import backends, dtypes
from ..devices import CPU, default, device
from ..errors import ArgumentError, DeviceError, DTypeError, NumberError, relabel
from ..kinds import linear
from ..scalar.types import BOOL, UINT8
from ..tensor import Tensor
from .axes import check_format, flag


@linear(grad_name="ToCopyBackward0")
def converted(a, code, source):
    out = backends.empty(a.shape, code, a)
    backends.copy(a, out)
    return out


@converted.adjoint
def converted_adjoint(g, shape, code, source):
    return convert(g, dtypes.BY_CODE[source])


def convert(input: Tensor, dtype: dtypes.dtype, copy: bool = False) -> Tensor:
    """``input`` as ``dtype``: itself if it is that already, unless ``copy``."""
    if input.dtype is dtype:
        return input.clone() if copy else input
    return converted(input, dtype.code, input.dtype.code)


LIMITS: dict[int, Any] = {d.code: np.iinfo(d.numpy).max for d in dtypes.BY_CODE[1:6]}
LIMITS |= {d.code: float(ml_dtypes.finfo(d.numpy).max) for d in dtypes.BY_CODE[6:]}


def element(op: str, value: Any, dtype: dtypes.dtype) -> Any:
    """A number (or a 0-d tensor) as an element of ``dtype``: without its fraction for integers; refused if it does not fit."""
    if isinstance(value, Tensor) and not value.array.ndim:
        value = value.item()
    if not isinstance(value, bool | int | float | np.number | np.bool_):
        raise DTypeError(f"{op}: the value is a {type(value).__name__}; expected a number")
    if dtype.code == BOOL:
        return bool(value)
    limit = LIMITS[dtype.code]
    if dtype.is_floating_point:
        fits = not limit < abs(value) or value in (math.inf, -math.inf)
    else:
        # as in torch, negative numbers wrap in unsigned types
        fits = math.isfinite(value) and -limit - (dtype.code != UINT8) <= int(value) <= limit
    if not fits:
        raise NumberError(f"{op}: value cannot be converted to type {dtype.name} without overflow: {value}")
    return value if dtype.is_floating_point else int(value) % 256 if dtype.code == UINT8 else int(value)


def to(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``: the tensor itself if nothing changes, else a copy.

    >>> gf.tensor([1, 2]).to(gf.float64)
    tensor([1., 2.], dtype=torch.float64)
    """
    check_format("to", memory_format)
    where: Any = device
    if args:
        first, *flags = args  # after what is converted to: non_blocking, then copy
        if isinstance(first, Tensor):
            if dtype is not None or device is not None:
                raise DTypeError("to: a tensor says dtype and device; leave these out beside it")
            dtype, where = first.dtype, first.device
        elif first is None or (isinstance(first, str | int | type(CPU)) and not isinstance(first, bool)):
            where, dtype = (device if first is None else first), (flags.pop(0) if flags else dtype)
        else:
            dtype = dtypes.get(first, "to")
        if len(flags) > 2:
            raise DTypeError(f"to: expected at most device, dtype, non_blocking and copy, but got {len(args)} arguments")
        non_blocking, copy = (*flags, non_blocking, copy)[:2] if len(flags) != 1 else (flags[0], copy)
    flag("to", "non_blocking", non_blocking)
    flag("to", "copy", copy)
    if dtype is not None:
        target = dtypes.get(dtype, "to")
        copy, input = copy and input.dtype is target, convert(input, target)
    if where is not None:
        to_place = on_device("to", where)
        if to_place != backends.place_of(input.array):
            return moved(input, to_place, backends.place_of(input.array), bool(non_blocking))
    return input.clone() if copy else input


@linear(grad_name="ToCopyBackward0", moves=True)
def moved(a, to_place, source, non_blocking):
    if source is None and not (non_blocking and backends.is_pinned(a)):
        backends.refuse_waiting("to")  # a graph would have the values of now for ever
    return backends.move(a, to_place, non_blocking)


@moved.adjoint
def moved_adjoint(g, shape, to_place, source, non_blocking):
    return moved(g, source, to_place, False)


def on_device(op: str, where: Any) -> Any:
    """The place of a device that tensors can be on: ``None`` for the CPU. Without one: where new tensors are made."""
    if where is None:
        where = default.device
        if where is None:
            return None
    try:
        found = device(where)
        return None if found.type == "cpu" else backends.cuda_place(found.index)
    except (DeviceError, DTypeError, NumberError) as error:
        raise relabel(error, op) from None


def method(name: str, dtype: dtypes.dtype) -> Any:
    def call(input: Tensor, *, memory_format: Any = None) -> Tensor:
        if memory_format is not None:
            check_format(name, memory_format)
        return convert(input, dtype)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = (
        f"The tensor as {dtype.name}: itself if it is that, else a copy.\n\n>>> gf.tensor([0, 1]).{name}().dtype\ntorch.{dtype.name}\n"
    )
    return call


def type_(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Without argument the type's name, as ``"torch.FloatTensor"``; else the tensor converted.

    >>> gf.ones(2).type()
    'torch.FloatTensor'
    >>> gf.ones(2).type(gf.int64)
    tensor([1, 1])
    """
    if dtype is None:
        return f"torch.{LEGACY[input.dtype.name]}Tensor"
    if isinstance(dtype, str):
        names = {f"torch.{v}Tensor": k for k, v in LEGACY.items()}
        if dtype not in names:
            raise ArgumentError(f"type: invalid type: {dtype!r}; choose one of {', '.join(names)}")
        return convert(input, dtypes.get(np.dtype(names[dtype]) if names[dtype] != "bfloat16" else dtypes.bfloat16))
    return convert(input, dtypes.get(dtype, "type"))


LEGACY = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "bool": "Bool",
}


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """``input`` with the type of ``other``.

    >>> gf.tensor([1, 2]).type_as(gf.ones(1))
    tensor([1., 2.])
    """
    if not isinstance(other, Tensor):
        raise DTypeError(f"type_as: argument 'other' must be Tensor, not {type(other).__name__}")
    return convert(input, other.dtype)


def cpu(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """The tensor on the CPU: itself if it is there.

    >>> gf.ones(2).cpu()
    tensor([1., 1.])
    """
    check_format("cpu", memory_format)
    return to(input, CPU)


Device = device


def cuda(input: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """The tensor on the GPU: itself if it is there; ``device`` is a device or its number.

    >>> x = gf.ones(2)
    >>> y = x.cuda() if gf.cuda.is_available() else x
    """
    check_format("cuda", memory_format)
    where = Device("cuda" if device is None else device)
    if where.type != "cuda":
        raise DeviceError(f"cuda: Invalid device, must be cuda device, not {where}; use to()")
    return to(input, where, non_blocking=non_blocking)
