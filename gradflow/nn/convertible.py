"""A module's tensors on another device or in another dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import gradflow as gf

from ..autograd import no_grad
from ..errors import DTypeError
from ..tensor import Tensor

if TYPE_CHECKING:
    from .registry import Registry

Self = TypeVar("Self", bound="Convertible")


class Convertible:
    """The part of Module that moves and casts."""

    _parameters: Registry
    _buffer_names: dict[str, bool]
    children: Callable[[], Iterator[Any]]

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the values of every parameter, gradient and buffer; parameters stay the same objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                gradient = parameter.grad
                parameter.data = fn(parameter.data)
                if gradient is not None:
                    parameter.grad = fn(gradient)
            for name in self._buffer_names:
                if self.__dict__[name] is not None:
                    self.__dict__[name] = fn(self.__dict__[name])
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device and/or cast floating point parameters and buffers: `to(device)`, `to(dtype)`, `to(tensor)`."""
        device, dtype = kwargs.get("device"), kwargs.get("dtype")
        non_blocking = kwargs.get("non_blocking", any(isinstance(argument, bool) and argument for argument in args))
        for argument in (*args, kwargs.get("tensor")):
            if isinstance(argument, Tensor):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, gf.dtype):
                dtype = argument
            elif argument is not None and not isinstance(argument, bool):
                device = argument
        if dtype is not None and not dtype.is_floating_point:
            raise DTypeError(f"Module.to: only floating point dtypes are accepted; got {dtype}; cast single tensors instead")

        def convert(tensor: Tensor) -> Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None, non_blocking=non_blocking)

        return self._apply(convert)

    def _cast(self: Self, dtype: Any) -> Self:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def float(self: Self) -> Self:
        """Cast floating point parameters and buffers to float32."""
        return self._cast(gf.float32)

    def double(self: Self) -> Self:
        """Cast floating point parameters and buffers to float64."""
        return self._cast(gf.float64)

    def half(self: Self) -> Self:
        """Cast floating point parameters and buffers to float16."""
        return self._cast(gf.float16)

    def bfloat16(self: Self) -> Self:
        """Cast floating point parameters and buffers to bfloat16."""
        return self._cast(gf.bfloat16)

    def type(self: Self, dst_type: Any) -> Self:
        """Cast every parameter and buffer, integers too."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def cpu(self: Self) -> Self:
        """Move to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: Self, device: Any = None) -> Self:
        """Move to a GPU."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Move to a device without the values."""
        return self._apply(lambda tensor: gf.empty_like(tensor, device=device), recurse)
