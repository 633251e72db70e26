"""Linear maps and changes of shape as modules."""

from __future__ import annotations

import math
from typing import Any

import gradflow as gf

from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """Gives its input back; takes, and ignores, any arguments.

    >>> gf.nn.Identity()(gf.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x @ weight.T + bias, from (..., in_features) to (..., out_features).

    weight (out_features, in_features) and bias (out_features) start from U(-k, k), k = 1 / sqrt(in_features).

    >>> import gradflow as gf
    >>> gf.nn.Linear(20, 30)(gf.ones(128, 20)).shape
    torch.Size([128, 30])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(gf.empty((out_features, in_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(gf.empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y[k] = x1 @ weight[k] @ x2 + bias[k], from (..., in1_features) and (..., in2_features) to (..., out_features).

    >>> gf.nn.Bilinear(2, 3, 4)(gf.ones(5, 2), gf.ones(5, 3)).shape
    torch.Size([5, 4])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(gf.empty((out_features, in1_features, in2_features), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(gf.empty(out_features, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Makes one axis of the axes start_dim..end_dim.

    >>> gf.nn.Flatten()(gf.ones(5, 2, 3)).shape
    torch.Size([5, 6])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Makes several axes, of the sizes unflattened_size, of the axis dim; one size may be -1.

    >>> gf.nn.Unflatten(1, (2, 3))(gf.ones(5, 6)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        sizes = tuple(unflattened_size) if isinstance(unflattened_size, (tuple, list)) else None
        if sizes is None or not all(isinstance(size, int) for size in sizes):
            raise TypeError(f"unflattened_size must be tuple of ints, but found {unflattened_size!r}")
        if not isinstance(dim, int):
            raise TypeError(f"Unflatten: dim must be an int; got {type(dim).__name__}")
        self.dim = dim
        self.unflattened_size = sizes

    def forward(self, input: Tensor) -> Tensor:
        axis = self.dim % input.ndim if input.ndim else 0
        return input.reshape(*input.shape[:axis], *self._sizes(input.shape[axis]), *input.shape[axis + 1 :])

    def _sizes(self, size: int) -> tuple[int, ...]:
        known = math.prod(n for n in self.unflattened_size if n != -1)
        sizes = tuple(size // known if n == -1 and known else n for n in self.unflattened_size)
        if math.prod(sizes) != size:
            raise gf.errors.ShapeError(
                f"unflatten: provided sizes {self.unflattened_size} don't multiply up to the size of dim {self.dim} ({size})"
            )
        return sizes

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
