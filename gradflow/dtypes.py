"""Element types under torch's names."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from .backends import cpu
from .errors import DTypeError
from .scalar import types

cpu._ext.register_bfloat16(np.dtype(ml_dtypes.bfloat16))


class dtype:
    """An element type: ``name``, ``itemsize``, ``is_floating_point``, ``is_signed``. There is one object of each, so ``is`` compares them.

    >>> gf.ones(2).dtype, gf.float64.itemsize
    (torch.float32, 8)
    """

    __slots__ = ("code", "name", "numpy")

    def __init__(self, name: str, code: int):
        self.name, self.code = name, code
        self.numpy = np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)

    @property
    def is_floating_point(self) -> bool:
        return types.category(self.code) == 2

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.code not in (types.BOOL, types.UINT8)

    @property
    def itemsize(self) -> int:
        return types.SIZES[self.code]

    def __repr__(self) -> str:
        return f"torch.{self.name}"  # as torch prints, so that output can be compared

    def __reduce__(self) -> str:
        return self.name


bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64 = BY_CODE = tuple(
    dtype(name, code) for code, name in enumerate(types.NAMES)
)
short, int_, long, half, float_, double = int16, int32, int64, float16, float32, float64

FROM_NUMPY: dict[Any, dtype] = {d.numpy: d for d in BY_CODE}


def of(array: Any) -> dtype:
    """The element type of an array."""
    return FROM_NUMPY[array.dtype]


def get(spec: Any, op: str = "dtype") -> dtype:
    """A :class:`dtype` from one, from a NumPy type, or from ``float``, ``int``, ``bool``."""
    if isinstance(spec, dtype):
        return spec
    try:
        if not isinstance(spec, type | str | np.dtype):  # NumPy would take None for float64, and an array for its type
            raise TypeError
        return FROM_NUMPY[np.dtype(spec)]
    except (TypeError, KeyError, ValueError):
        raise DTypeError(f"{op}: {spec!r} is not an element type; choose one of {', '.join(types.NAMES)}") from None


def get_default_dtype() -> dtype:
    """The type of tensors made from Python floats.

    >>> gf.get_default_dtype()
    torch.float32
    """
    return BY_CODE[cpu.default_float]


def set_default_dtype(d: Any) -> None:
    """Make ``d``, a floating-point type, the type of tensors made from Python floats.

    >>> gf.set_default_dtype(gf.float64)
    >>> gf.tensor([1.5]).dtype
    torch.float64
    >>> gf.set_default_dtype(gf.float32)
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise DTypeError(f"set_default_dtype: only floating-point types are supported as the default type, not {d!r}; e.g. gf.float64")
    cpu.set_default_float(d.code)


def promote_types(a: Any, b: Any) -> dtype:
    """The smallest type that both can be converted to without losing their category.

    >>> gf.promote_types(gf.int32, gf.float16), gf.promote_types(gf.uint8, gf.int8)
    (torch.float16, torch.int16)
    """
    return BY_CODE[types.promote(get(a, "promote_types").code, get(b, "promote_types").code)]


def can_cast(a: Any, b: Any) -> bool:
    """May a result of type ``a`` be written to a tensor of type ``b``? Not from floating point to integers, nor from numbers to bool.

    >>> gf.can_cast(gf.int64, gf.float32), gf.can_cast(gf.float32, gf.int64)
    (True, False)
    """
    return types.category(get(a, "can_cast").code) <= types.category(get(b, "can_cast").code)


class finfo:
    """The limits of a floating-point type: ``max``, ``min``, ``eps``, ``tiny``, ``smallest_normal``, ``resolution``, ``bits``.

    >>> gf.finfo(gf.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None):
        d = get_default_dtype() if type is None else get(type, "finfo")
        if not d.is_floating_point:
            raise DTypeError(f"finfo: {d} is not a floating-point type; use iinfo")
        limits = ml_dtypes.finfo(d.numpy)
        self.dtype, self.bits = d.name, limits.bits
        self.max, self.min, self.eps = float(limits.max), float(limits.min), float(limits.eps)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = float(limits.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of an integer type: ``max``, ``min``, ``bits``.

    >>> gf.iinfo(gf.int16).max
    32767
    """

    def __init__(self, type: Any):
        d = get(type, "iinfo")
        if types.category(d.code) != 1:
            raise DTypeError(f"iinfo: {d} is not an integer type; use finfo")
        limits = np.iinfo(d.numpy)
        self.dtype, self.bits, self.max, self.min = d.name, limits.bits, int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
