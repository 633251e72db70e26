"""Conversions of type and device."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backends, dtypes
from ..errors import DeviceError, DTypeError
from ..kinds import linear
from ..tensor import Tensor, device


@linear(grad_name="ToCopyBackward0")
def converted(a, code, source):
    out = backends.empty(a.shape, code)
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


def to(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``: the tensor itself if nothing changes, else a copy."""
    where: Any = device
    for arg in args:
        if isinstance(arg, Tensor):
            dtype, where = arg.dtype, arg.device
        elif isinstance(arg, str | type(CPU)):
            where = arg
        elif arg is not None and not isinstance(arg, bool):
            dtype = dtypes.get(arg, "to")
    if where is not None and type(CPU)(where).type != "cpu":
        raise DeviceError(f"to: device {where} is not available: this build computes on the CPU")
    if dtype is None:
        return input.clone() if copy else input
    return convert(input, dtypes.get(dtype, "to"), copy)


CPU = device("cpu")


def method(dtype: dtypes.dtype) -> Any:
    def call(input: Tensor, memory_format: Any = None) -> Tensor:
        return convert(input, dtype)

    call.__name__ = call.__qualname__ = dtype.name
    call.__doc__ = f"The tensor as {dtype.name}."
    return call


def type_(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Without argument the type's name, as ``"torch.FloatTensor"``; else the tensor converted."""
    if dtype is None:
        return f"torch.{LEGACY[input.dtype.name]}Tensor"
    if isinstance(dtype, str):
        names = {f"torch.{v}Tensor": k for k, v in LEGACY.items()}
        if dtype not in names:
            raise DTypeError(f"type: invalid type: {dtype!r}")
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
    """``input`` with the type of ``other``."""
    return convert(input, other.dtype)


def cpu(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor on the CPU: itself if it is there."""
    return input


def cuda(input: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """The tensor on the GPU."""
    raise DeviceError("cuda: Torch not compiled with CUDA enabled: this build computes on the CPU; leave out .cuda()")
