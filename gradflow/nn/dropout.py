"""Dropouts as modules."""

from __future__ import annotations

from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from .module import Module


class Dropping(Module):
    """What drops with probability p."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(Dropping):
    """In training, zeroes each element with probability p and multiplies the others by 1 / (1 - p); else nothing.

    >>> gf.nn.Dropout(0.5).eval()(gf.ones(3))
    tensor([1., 1., 1.])
    """


class Dropout1d(Dropping):
    """In training, zeroes each channel of inputs (N, C, L) or (C, L) with probability p and multiplies the others by 1 / (1 - p).

    >>> gf.nn.Dropout1d(0.5)(gf.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropping):
    """In training, zeroes each channel of inputs (N, C, H, W) with probability p and multiplies the others by 1 / (1 - p).

    >>> gf.nn.Dropout2d(0.5)(gf.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropping):
    """In training, zeroes each channel of inputs (N, C, D, H, W) or (C, D, H, W) with probability p and multiplies the others by 1 / (1 - p).

    >>> gf.nn.Dropout3d(0.5)(gf.ones(2, 3, 4, 4, 4)).shape
    torch.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropping):
    """In training, puts each element at the lower end of SELU with probability p, and keeps mean and variance.

    >>> gf.nn.AlphaDropout(0.5).eval()(gf.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropping):
    """AlphaDropout of whole channels.

    >>> gf.nn.FeatureAlphaDropout(0.5)(gf.ones(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
