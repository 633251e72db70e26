"""What a tensor's array says: shape, type, place, strides."""

from __future__ import annotations

from typing import Any, SupportsIndex, overload

import numpy as np

from . import dtypes
from .devices import CPU
from .devices import device as Device
from .errors import AxisError, DTypeError


def along(op: str, values: tuple, dim: Any) -> int:
    """The entry of a shape or of strides at ``dim``."""
    n = len(values)
    if not hasattr(dim, "__index__") or isinstance(dim, bool):
        raise DTypeError(f"{op}: argument 'dim' must be int, not {type(dim).__name__}")
    if not -n <= dim < n:
        why = f"expected to be in range of [{-n}, {n - 1}], but got {dim}" if n else "the tensor has no dimensions"
        raise AxisError(f"{op}: Dimension out of range ({why}); the tensor has {n} dimensions")
    return values[dim]


class Size(tuple[int, ...]):
    """A shape: a tuple of sizes that can count its elements; slices and sums of it are shapes.

    >>> gf.ones(2, 3).shape, gf.Size([2, 3]).numel()
    (torch.Size([2, 3]), 6)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements of this shape: the product of the sizes."""
        return int(np.prod(self, dtype=object)) if self else 1

    @overload
    def __getitem__(self, i: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, i: slice) -> Size: ...

    def __getitem__(self, i: Any) -> Any:
        item = tuple.__getitem__(self, i)
        return Size(item) if isinstance(i, slice) else item

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


class Attributes:
    """The part of Tensor that only asks its array."""

    __slots__ = ()

    array: Any

    @property
    def shape(self) -> Size:
        """The size of each axis.

        >>> gf.ones(2, 3).shape
        torch.Size([2, 3])
        """
        return Size(self.array.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements.

        >>> gf.ones(2).dtype
        torch.float32
        """
        return dtypes.FROM_NUMPY[self.array.dtype]

    @property
    def ndim(self) -> int:
        """The number of axes.

        >>> gf.ones(2, 3).ndim
        2
        """
        return self.array.ndim

    @property
    def device(self) -> Device:
        """The device that holds the elements.

        >>> gf.ones(2).device
        device(type='cpu')
        """
        where = self.array.device
        return CPU if where == "cpu" else Device(where)

    @overload
    def size(self, dim: None = None) -> Size: ...

    @overload
    def size(self, dim: int) -> int: ...

    @overload
    def size(self, *, axis: int) -> int: ...

    def size(self, dim: int | None = None, *, axis: int | None = None) -> Size | int:
        """The shape, or its entry ``dim``.

        >>> gf.ones(2, 3).size(), gf.ones(2, 3).size(-1)
        (torch.Size([2, 3]), 3)
        """
        dim = axis if dim is None else dim
        return Size(self.array.shape) if dim is None else along("size", self.array.shape, dim)

    def dim(self) -> int:
        """The number of axes.

        >>> gf.ones(2, 3).dim()
        2
        """
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements.

        >>> gf.ones(2, 3).numel()
        6
        """
        return self.array.size

    nelement = numel
    ndimension = dim

    def element_size(self) -> int:
        """Bytes of one element.

        >>> gf.ones(2).element_size()
        4
        """
        return self.array.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element.

        >>> gf.ones(2).itemsize
        4
        """
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements.

        >>> gf.ones(2).nbytes
        8
        """
        return self.array.nbytes

    @overload
    def stride(self, dim: None = None) -> tuple[int, ...]: ...

    @overload
    def stride(self, dim: int) -> int: ...

    @overload
    def stride(self, *, axis: int) -> int: ...

    def stride(self, dim: int | None = None, *, axis: int | None = None) -> tuple[int, ...] | int:
        """Steps between neighbours along each axis, in elements.

        >>> gf.ones(2, 3).stride(), gf.ones(2, 3).stride(0)
        ((3, 1), 3)
        """
        item = self.array.itemsize
        strides = tuple(s // item for s in self.array.strides)
        dim = axis if dim is None else dim
        return strides if dim is None else along("stride", strides, dim)

    def storage_offset(self) -> int:
        """Where the first element lies in the storage, in elements.

        >>> gf.arange(5)[2:].storage_offset()
        2
        """
        base = self.array
        while hasattr(base.base, "strides"):
            base = base.base
        return (self.array.ctypes.data - base.ctypes.data) // self.array.itemsize if self.array.size else 0

    def data_ptr(self) -> int:
        """The address of the first element; 0 without elements.

        >>> x = gf.ones(2)
        >>> x.data_ptr() == x.detach().data_ptr()
        True
        """
        return self.array.ctypes.data if self.array.size else 0

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Do the elements lie in C order without gaps? With ``channels_last``, in that order with the channels moved behind the places.

        >>> gf.ones(2, 3).is_contiguous(), gf.ones(2, 3).T.is_contiguous()
        (True, False)
        >>> gf.ones(1, 2, 2, 3).permute(0, 3, 1, 2).is_contiguous(memory_format=gf.channels_last)
        True
        """
        axes = {"torch.channels_last": 4, "torch.channels_last_3d": 5}.get(str(memory_format))
        if axes is None:
            if memory_format is not None and not str(memory_format).startswith("torch."):
                raise DTypeError(f"is_contiguous: argument 'memory_format' must be torch.memory_format, not {type(memory_format).__name__}")
            return self.array.flags.c_contiguous
        array = self.array
        return array.ndim == axes and array.transpose(0, *range(2, axes), 1).flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Is the type a floating-point type?

        >>> gf.ones(2).is_floating_point()
        True
        """
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Are the elements complex numbers? Never.

        >>> gf.ones(2).is_complex()
        False
        """
        return False

    def __len__(self) -> int:
        if not self.array.ndim:
            raise DTypeError("len: len() of a 0-d tensor")
        return self.array.shape[0]
