"""Convolutions, and the transposed ones, as modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..ops.convolutions import sizes
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Convolution(Module):
    """What all of them have: weight and bias start from U(-k, k), k = 1 / sqrt(inputs of an output)."""

    space = 2
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _make(
        self,
        channels: tuple[int, int],
        kernel: tuple[Any, Any, Any, Any],
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        name, n = type(self).__name__, self.space
        self.in_channels, self.out_channels = channels
        kernel_size, stride, padding, dilation = kernel
        if groups <= 0:
            raise ArgumentError(f"{name}: groups must be a positive integer; it is {groups}")
        for what, count in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if count % groups:
                raise ArgumentError(f"{name}: {what} must be divisible by groups; they are {count} and {groups}")
        self.kernel_size, self.stride = sizes(name, "kernel_size", kernel_size, n), sizes(name, "stride", stride, n)
        self.dilation, self.output_padding = sizes(name, "dilation", dilation, n), sizes(name, "output_padding", output_padding, n)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ArgumentError(f"{name}: Invalid padding string {padding!r}, should be one of 'valid', 'same'")
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ArgumentError(f"{name}: padding='same' is not supported for strided convolutions; the stride is {self.stride}")
        self.padding: Any = padding if isinstance(padding, str) else sizes(name, "padding", padding, n)
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ArgumentError(f"{name}: padding_mode must be one of {modes}, but got padding_mode={padding_mode!r}")
        self.groups, self.padding_mode = groups, padding_mode
        first, second = reversed(channels) if not self.transposed else channels
        self.weight = Parameter(gf.empty((first, second // groups, *self.kernel_size), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(gf.empty(self.out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        if not self.weight.numel():
            return
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        neutral = (("padding", 0), ("dilation", 1), ("output_padding", 0))
        parts += [f"{name}={getattr(self, name)}" for name, n in neutral if getattr(self, name) != (n,) * self.space]
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


class PlainConvolution(Convolution):
    """Convolutions over any number of axes."""

    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels, kernel = (in_channels, out_channels), (kernel_size, stride, padding, dilation)
        self._make(channels, kernel, 0, groups, bias, padding_mode, device, dtype)

    def _sides(self) -> list[int]:
        """What is added before and after each axis, the last one first, as ``F.pad`` takes it."""
        pairs: list[tuple[int, int]] = []
        for axis in range(self.space):
            if isinstance(self.padding, str):
                total = self.dilation[axis] * (self.kernel_size[axis] - 1) if self.padding == "same" else 0
                pairs.append((total // 2, total - total // 2))
            else:
                pairs.append((self.padding[axis], self.padding[axis]))
        return [n for pair in reversed(pairs) for n in pair]

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._sides(), self.padding_mode), (0,) * self.space
        return self.function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(PlainConvolution):
    """y = windows of x times weight, summed, + bias: (N, in_channels, H, W) to (N, out_channels, H', W').

    ``padding_mode`` is "zeros", "reflect", "replicate" or "circular"; ``padding`` a number, a pair, "same" or "valid".

    >>> import gradflow as gf
    >>> gf.nn.Conv2d(3, 8, 5, padding=2)(gf.ones(1, 3, 16, 16)).shape
    torch.Size([1, 8, 16, 16])
    """

    function = staticmethod(F.conv2d)


class Conv1d(PlainConvolution):
    """:class:`Conv2d` over one axis: (N, in_channels, L) to (N, out_channels, L').

    >>> gf.nn.Conv1d(2, 4, 3)(gf.ones(5, 2, 10)).shape
    torch.Size([5, 4, 8])
    """

    space = 1
    function = staticmethod(F.conv1d)


class Conv3d(PlainConvolution):
    """:class:`Conv2d` over three axes: (N, in_channels, D, H, W) to (N, out_channels, D', H', W').

    >>> gf.nn.Conv3d(2, 4, 3)(gf.ones(1, 2, 5, 6, 7)).shape
    torch.Size([1, 4, 3, 4, 5])
    """

    space = 3
    function = staticmethod(F.conv3d)


class TransposedConvolution(Convolution):
    """Transposed convolutions over any number of axes."""

    transposed = True
    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        channels, kernel = (in_channels, out_channels), (kernel_size, stride, padding, dilation)
        self._make(channels, kernel, output_padding, groups, bias, padding_mode, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """``output_size`` chooses among the sizes that the stride leaves open."""
        extra = self.output_padding if output_size is None else self._extra(input, list(output_size)[-self.space :])
        return self.function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, wanted: list[int]) -> tuple[int, ...]:
        have = input.shape[-self.space :]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(have, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        ]
        extra = tuple(n - m for n, m in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            most = [m + s - 1 for m, s in zip(least, self.stride, strict=True)]
            raise ArgumentError(
                f"{type(self).__name__}: requested an output size of {wanted}, but valid sizes range from {least} to {most} (for an input of {list(have)})"
            )
        return extra


class ConvTranspose2d(TransposedConvolution):
    """The adjoint of :class:`Conv2d` as a map of its own, to sizes (H - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    >>> import gradflow as gf
    >>> gf.nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)(gf.ones(1, 8, 5, 5)).shape
    torch.Size([1, 3, 10, 10])
    """

    function = staticmethod(F.conv_transpose2d)


class ConvTranspose1d(TransposedConvolution):
    """:class:`ConvTranspose2d` over one axis: (N, in_channels, L) to (N, out_channels, L').

    >>> gf.nn.ConvTranspose1d(2, 4, 3)(gf.ones(5, 2, 10)).shape
    torch.Size([5, 4, 12])
    """

    space = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose3d(TransposedConvolution):
    """:class:`ConvTranspose2d` over three axes: (N, in_channels, D, H, W) to (N, out_channels, D', H', W').

    >>> gf.nn.ConvTranspose3d(2, 4, 3)(gf.ones(1, 2, 3, 4, 5)).shape
    torch.Size([1, 4, 5, 6, 7])
    """

    space = 3
    function = staticmethod(F.conv_transpose3d)
