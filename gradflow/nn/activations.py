"""Activations as modules: each is its function of `nn.functional` with the arguments kept."""

from __future__ import annotations

from typing import Any

import gradflow as gf

from ..errors import ArgumentError
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter


class Activation(Module):
    """An activation whose only choice is whether to work in place."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

    def _with_inplace(self, text: str) -> str:
        return text + ", inplace=True" if self.inplace else text


class ReLU(Activation):
    """max(x, 0); the gradient at 0 is 0.

    >>> gf.nn.ReLU()(gf.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class SiLU(Activation):
    """x * sigmoid(x).

    >>> gf.nn.SiLU()(gf.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class Mish(Activation):
    """x * tanh(softplus(x)).

    >>> gf.nn.Mish()(gf.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Hardsigmoid(Activation):
    """relu6(x + 3) / 6.

    >>> gf.nn.Hardsigmoid()(gf.tensor([-4.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(Activation):
    """x * relu6(x + 3) / 6.

    >>> gf.nn.Hardswish()(gf.tensor([-4.0, 1.0]))
    tensor([-0.0000, 0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class SELU(Activation):
    """scale * elu(x, alpha) with the two constants that keep mean 0 and variance 1 (Klambauer et al., 2017).

    >>> gf.nn.SELU()(gf.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class LeakyReLU(Activation):
    """x where it is positive, else negative_slope * x.

    >>> gf.nn.LeakyReLU(0.1)(gf.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return self._with_inplace(f"negative_slope={self.negative_slope}")


class ExponentialUnit(Activation):
    """Units with an alpha."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return self._with_inplace(f"alpha={self.alpha}")


class ELU(ExponentialUnit):
    """x where it is positive, else alpha * (exp(x) - 1).

    >>> gf.nn.ELU()(gf.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """


class CELU(ExponentialUnit):
    """x where it is positive, else alpha * (exp(x / alpha) - 1).

    >>> gf.nn.CELU()(gf.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class Threshold(Activation):
    """x where it is above threshold, else value.

    >>> gf.nn.Threshold(0.5, 9.0)(gf.tensor([-1.0, 2.0]))
    tensor([9., 2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return self._with_inplace(f"threshold={self.threshold}, value={self.value}")


class Hardtanh(Activation):
    """x cut to [min_val, max_val].

    >>> gf.nn.Hardtanh()(gf.tensor([-4.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        if max_val <= min_val:
            raise gf.errors.ArgumentError(f"Hardtanh: max_val must be larger than min_val; got {min_val}, {max_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return self._with_inplace(f"min_val={self.min_val}, max_val={self.max_val}")


class ReLU6(Hardtanh):
    """min(max(x, 0), 6).

    >>> gf.nn.ReLU6()(gf.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return Activation.extra_repr(self)


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> gf.nn.Sigmoid()(gf.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class LogSigmoid(Module):
    """log(sigmoid(x)), finite for every finite x.

    >>> gf.nn.LogSigmoid()(gf.tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent.

    >>> gf.nn.Tanh()(gf.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Tanhshrink(Module):
    """x - tanh(x).

    >>> gf.nn.Tanhshrink()(gf.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Softsign(Module):
    """x / (1 + abs(x)).

    >>> gf.nn.Softsign()(gf.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class GELU(Module):
    """x * Phi(x) with Phi the normal distribution function; approximate="tanh" takes its tanh formula.

    >>> gf.nn.GELU()(gf.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above threshold.

    >>> gf.nn.Softplus()(gf.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Shrink(Module):
    """Units with a lambd."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Shrink):
    """x, but 0 where abs(x) is at most lambd.

    >>> gf.nn.Hardshrink()(gf.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """


class Softshrink(Shrink):
    """x moved towards 0 by lambd, and 0 within.

    >>> gf.nn.Softshrink()(gf.tensor([-1.0, 0.3, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)


class PReLU(Module):
    """x where it is positive, else weight * x; weight, one number or one per channel (axis 1), is learnt.

    >>> gf.nn.PReLU()(gf.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(gf.full((num_parameters,), init, device=device, dtype=dtype or gf.get_default_dtype()))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class GLU(Module):
    """a * sigmoid(b), a and b the halves along dim.

    >>> gf.nn.GLU()(gf.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class AlongAxis(Module):
    """What is computed along an axis."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(AlongAxis):
    """exp(x) / sum(exp(x)) along dim.

    >>> gf.nn.Softmax(dim=0)(gf.tensor([1.0, 2.0, 3.0]))
    tensor([0.0900, 0.2447, 0.6652])
    """


class Softmin(AlongAxis):
    """softmax(-x) along dim.

    >>> gf.nn.Softmin(dim=0)(gf.tensor([1.0, 2.0, 3.0]))
    tensor([0.6652, 0.2447, 0.0900])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim)


class LogSoftmax(AlongAxis):
    """log(softmax(x)) along dim.

    >>> gf.nn.LogSoftmax(dim=0)(gf.tensor([1.0, 2.0, 3.0]))
    tensor([-2.4076, -1.4076, -0.4076])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)


class RReLU(Activation):
    """x where it is positive, else times a slope: uniform in [lower, upper] while training, else their mean.

    >>> gf.nn.RReLU(0.1, 0.3).eval()(gf.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return self._with_inplace(f"lower={self.lower}, upper={self.upper}")


class Softmax2d(Module):
    """softmax over the channels of (N, C, H, W) or (C, H, W).

    >>> gf.nn.Softmax2d()(gf.zeros(1, 2, 1, 2))
    tensor([[[[0.5000, 0.5000]],
    <BLANKLINE>
             [[0.5000, 0.5000]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ArgumentError(f"Softmax2d: expected input to be 3D or 4D (got {input.ndim}D)")
        return F.softmax(input, -3)
