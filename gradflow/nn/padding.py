"""Padding as modules: of one, two or three axes of space, by a constant, a mirror image, the edge, or the other end."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor
from . import functional as F
from .module import Module


class Pad(Module):
    """Adds padding (left, right, top, bottom, ...), or one number on all sides, to the last axes."""

    space = 1
    mode = "constant"
    value: float = 0.0

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        sides = 2 * self.space
        self.padding = (padding,) * sides if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != sides:
            raise ArgumentError(f"{type(self).__name__}: expected a number or {sides} of them as padding, got {padding}")

    def forward(self, input: Tensor) -> Tensor:
        if self.mode != "constant" and input.ndim not in (self.space + 1, self.space + 2):
            raise ShapeError(f"{type(self).__name__}: expected {self.space + 1}D or {self.space + 2}D input, got {input.ndim}D")
        return F.pad(input, self.padding, self.mode, self.value if self.mode == "constant" else None)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad(Pad):
    """Padding with a value."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad):
    """Pads the last axis with a value.

    >>> gf.nn.ConstantPad1d((1, 2), 9.0)(gf.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9., 9.]])
    """


class ConstantPad2d(ConstantPad):
    """Pads the last two axes with a value.

    >>> gf.nn.ConstantPad2d(1, 9.0)(gf.ones(1, 1, 2))
    tensor([[[9., 9., 9., 9.],
             [9., 1., 1., 9.],
             [9., 9., 9., 9.]]])
    """

    space = 2


class ConstantPad3d(ConstantPad):
    """Pads the last three axes with a value.

    >>> gf.nn.ConstantPad3d(1, 9.0)(gf.ones(1, 3, 4, 5)).shape
    torch.Size([1, 5, 6, 7])
    """

    space = 3


class ZeroPad(Pad):
    """Padding with zeros."""

    value = 0.0

    def __init__(self, padding: int | Sequence[int]) -> None:
        Pad.__init__(self, padding)

    def extra_repr(self) -> str:
        return Pad.extra_repr(self)


class ZeroPad1d(ZeroPad, ConstantPad1d):
    """Pads the last axis with zeros.

    >>> gf.nn.ZeroPad1d((1, 2))(gf.tensor([[1.0, 2.0]]))
    tensor([[0., 1., 2., 0., 0.]])
    """


class ZeroPad2d(ZeroPad, ConstantPad2d):
    """Pads the last two axes with zeros.

    >>> gf.nn.ZeroPad2d((0, 1, 1, 0))(gf.ones(1, 1, 2))
    tensor([[[0., 0., 0.],
             [1., 1., 0.]]])
    """


class ZeroPad3d(ZeroPad, ConstantPad3d):
    """Pads the last three axes with zeros.

    >>> gf.nn.ZeroPad3d(1)(gf.ones(1, 3, 4, 5)).shape
    torch.Size([1, 5, 6, 7])
    """


class ReflectionPad(Pad):
    """Padding with a mirror's image."""

    mode = "reflect"


class ReflectionPad1d(ReflectionPad):
    """Pads the last axis with its mirror image, the edge not repeated.

    >>> gf.nn.ReflectionPad1d(2)(gf.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """


class ReflectionPad2d(ReflectionPad):
    """Pads the last two axes with their mirror images.

    >>> gf.nn.ReflectionPad2d((1, 0, 0, 1))(gf.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[2., 1., 2.],
             [4., 3., 4.],
             [2., 1., 2.]]])
    """

    space = 2


class ReflectionPad3d(ReflectionPad):
    """Pads the last three axes with their mirror images.

    >>> gf.nn.ReflectionPad3d(1)(gf.ones(1, 3, 4, 5)).shape
    torch.Size([1, 5, 6, 7])
    """

    space = 3


class ReplicationPad(Pad):
    """Padding with the last elements."""

    mode = "replicate"


class ReplicationPad1d(ReplicationPad):
    """Pads the last axis with its edges.

    >>> gf.nn.ReplicationPad1d(2)(gf.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 1., 2., 3., 3., 3.]])
    """


class ReplicationPad2d(ReplicationPad):
    """Pads the last two axes with their edges.

    >>> gf.nn.ReplicationPad2d((1, 0, 0, 1))(gf.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    tensor([[[1., 1., 2.],
             [3., 3., 4.],
             [3., 3., 4.]]])
    """

    space = 2


class ReplicationPad3d(ReplicationPad):
    """Pads the last three axes with their edges.

    >>> gf.nn.ReplicationPad3d(1)(gf.ones(1, 3, 4, 5)).shape
    torch.Size([1, 5, 6, 7])
    """

    space = 3


class CircularPad(Pad):
    """Padding with the other ends."""

    mode = "circular"


class CircularPad1d(CircularPad):
    """Pads the last axis with its other end.

    >>> gf.nn.CircularPad1d(1)(gf.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """


class CircularPad2d(CircularPad):
    """Pads the last two axes with their other ends.

    >>> gf.nn.CircularPad2d(1)(gf.ones(1, 3, 4)).shape
    torch.Size([1, 5, 6])
    """

    space = 2


class CircularPad3d(CircularPad):
    """Pads the last three axes with their other ends.

    >>> gf.nn.CircularPad3d(1)(gf.ones(1, 3, 4, 5)).shape
    torch.Size([1, 5, 6, 7])
    """

    space = 3
