"""Pooling as modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..errors import ArgumentError
from ..ops.convolutions import sizes
from ..tensor import Tensor
from . import functional as F
from .fractional import several
from .module import Module

Size: TypeAlias = "int | Sequence[int]"


class MaxPool(Module):
    """Largest elements of windows over any number of axes."""

    function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size: Any = kernel_size
        self.stride: Any = kernel_size if stride is None else stride
        self.padding: Any = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        sizes = (self.kernel_size, self.stride, self.padding, self.dilation)
        return self.function(input, *sizes, ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool2d(MaxPool):
    """The largest element of each window.

    >>> import gradflow as gf
    >>> gf.nn.MaxPool2d(2)(gf.ones(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """

    function = staticmethod(F.max_pool2d)


class MaxPool1d(MaxPool):
    """:class:`MaxPool2d` over one axis.

    >>> gf.nn.MaxPool1d(2)(gf.tensor([[1.0, 3.0, 2.0, 4.0]]))
    tensor([[3., 4.]])
    """

    function = staticmethod(F.max_pool1d)


class MaxPool3d(MaxPool):
    """:class:`MaxPool2d` over three axes.

    >>> gf.nn.MaxPool3d(2)(gf.ones(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 2, 2, 2])
    """

    function = staticmethod(F.max_pool3d)


class MaxUnpool(Module):
    """Elements back at their places, over any number of axes."""

    function: Callable[..., Tensor]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size: Any = kernel_size
        self.stride: Any = kernel_size if stride is None else stride
        self.padding: Any = padding

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        return self.function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool2d(MaxUnpool):
    """Zeros with the elements at the places that ``MaxPool2d(return_indices=True)`` gave.

    >>> y, places = gf.nn.MaxPool2d(2, return_indices=True)(gf.arange(4.0).reshape(1, 1, 2, 2))
    >>> gf.nn.MaxUnpool2d(2)(y, places)
    tensor([[[[0., 0.],
              [0., 3.]]]])
    """

    function = staticmethod(F.max_unpool2d)


class MaxUnpool1d(MaxUnpool):
    """:class:`MaxUnpool2d` over one axis.

    >>> y, places = gf.nn.MaxPool1d(2, return_indices=True)(gf.tensor([[1.0, 3.0, 2.0, 4.0]]))
    >>> gf.nn.MaxUnpool1d(2)(y, places)
    tensor([[0., 3., 0., 4.]])
    """

    function = staticmethod(F.max_unpool1d)


class MaxUnpool3d(MaxUnpool):
    """:class:`MaxUnpool2d` over three axes.

    >>> y, places = gf.nn.MaxPool3d(2, return_indices=True)(gf.ones(1, 1, 4, 4, 4))
    >>> gf.nn.MaxUnpool3d(2)(y, places).shape
    torch.Size([1, 1, 4, 4, 4])
    """

    function = staticmethod(F.max_unpool3d)


class AvgPool(Module):
    """Means of windows over any number of axes."""

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        super().__init__()
        self.kernel_size: Any = kernel_size
        self.stride: Any = kernel_size if stride is None else stride
        self.padding: Any = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        if type(self) is AvgPool1d:  # torch keeps these as tuples here alone
            self.kernel_size, self.stride, self.padding = (
                sizes("AvgPool1d", "sizes", n, 1) for n in (self.kernel_size, self.stride, padding)
            )

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(AvgPool):
    """The mean of each window: (N, C, L) to (N, C, L').

    >>> gf.nn.AvgPool1d(2)(gf.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[1.5000, 3.5000]])
    """


class DividedAvgPool(AvgPool):
    """Means of windows whose divisor may be given."""

    function: Callable[..., Tensor]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        options = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        return self.function(input, self.kernel_size, self.stride, self.padding, *options)


class AvgPool2d(DividedAvgPool):
    """The mean of each window; ``divisor_override`` divides in place of the number of elements.

    >>> gf.nn.AvgPool2d(2)(gf.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[1.5000]]]])
    """

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(DividedAvgPool):
    """:class:`AvgPool2d` over three axes.

    >>> gf.nn.AvgPool3d(2)(gf.ones(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 2, 2, 2])
    """

    function = staticmethod(F.avg_pool3d)


class LPPool(Module):
    """Norms of windows over any number of axes."""

    function: Callable[..., Tensor]

    def __init__(self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size: Any = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool2d(LPPool):
    """(sum of x ** norm_type) ** (1 / norm_type) over each window.

    >>> gf.nn.LPPool2d(1, 2)(gf.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[6.]]]])
    """

    function = staticmethod(F.lp_pool2d)


class LPPool1d(LPPool):
    """:class:`LPPool2d` over one axis.

    >>> gf.nn.LPPool1d(2, 2)(gf.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    function = staticmethod(F.lp_pool1d)


class LPPool3d(LPPool):
    """:class:`LPPool2d` over three axes.

    >>> gf.nn.LPPool3d(2, 2)(gf.ones(1, 1, 4, 4, 4)).shape
    torch.Size([1, 1, 2, 2, 2])
    """

    function = staticmethod(F.lp_pool3d)


class AdaptivePool(Module):
    """Pooling to a given size over any number of axes."""

    function: Callable[..., Any]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(AdaptivePool):
    """The means of output_size nearly equal parts; ``None`` keeps a size.

    >>> import gradflow as gf
    >>> gf.nn.AdaptiveAvgPool2d((3, None))(gf.ones(1, 2, 8, 7)).shape
    torch.Size([1, 2, 3, 7])
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool1d(AdaptivePool):
    """:class:`AdaptiveAvgPool2d` over one axis.

    >>> gf.nn.AdaptiveAvgPool1d(2)(gf.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[1.5000, 3.5000]])
    """

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool3d(AdaptivePool):
    """:class:`AdaptiveAvgPool2d` over three axes.

    >>> gf.nn.AdaptiveAvgPool3d(2)(gf.ones(1, 3, 4, 5, 6)).shape
    torch.Size([1, 3, 2, 2, 2])
    """

    function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool(AdaptivePool):
    """Largest elements of nearly equal parts over any number of axes."""

    function: Callable[..., Tensor]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return self.function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest elements of output_size nearly equal parts.

    >>> gf.nn.AdaptiveMaxPool2d(1)(gf.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[3.]]]])
    """

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """:class:`AdaptiveMaxPool2d` over one axis.

    >>> gf.nn.AdaptiveMaxPool1d(2)(gf.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[2., 4.]])
    """

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """:class:`AdaptiveMaxPool2d` over three axes.

    >>> gf.nn.AdaptiveMaxPool3d(2)(gf.ones(1, 3, 4, 5, 6)).shape
    torch.Size([1, 3, 2, 2, 2])
    """

    function = staticmethod(F.adaptive_max_pool3d)


class FractionalPooling(Module):
    """Windows of drawn places: either their number or its ratio to the size is given."""

    axes = 2

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self.axes
        if (output_size is None) == (output_ratio is None):
            raise ArgumentError(f"{name}: give either an output_size, or an output_ratio; got {output_size} and {output_ratio}")
        self.kernel_size = several(name, "kernel_size", kernel_size, n)
        self.output_size = None if output_size is None else several(name, "output_size", output_size, n)
        self.output_ratio = None if output_ratio is None else several(name, "output_ratio", output_ratio, n)
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ArgumentError(f"{name}: output_ratio must be between 0 and 1 (got {output_ratio})")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        function = F.fractional_max_pool2d if self.axes == 2 else F.fractional_max_pool3d
        return function(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self.__dict__["_random_samples"])


class FractionalMaxPool2d(FractionalPooling):
    """The largest elements of windows whose places are drawn, to a size that is given or to a part of the image's.

    >>> gf.nn.FractionalMaxPool2d(2, output_ratio=0.5)(gf.ones(1, 1, 6, 8)).shape
    torch.Size([1, 1, 3, 4])
    """


class FractionalMaxPool3d(FractionalPooling):
    """`FractionalMaxPool2d` of volumes.

    >>> gf.nn.FractionalMaxPool3d(2, output_size=(2, 3, 3))(gf.ones(1, 1, 4, 6, 6)).shape
    torch.Size([1, 1, 2, 3, 3])
    """

    axes = 3
