"""The functions between layers. Each brings the derivative that is cheap, or right at its kink."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from ..kinds import elementwise
from ..kinds.out import into
from ..scalar import primitives as s
from ..tape.node import named
from ..tensor import Tensor
from .convert import element
from .pointwise import sigmoid, tanh
from .reductions import float_only

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


@elementwise
def relu(x):
    """max(x, 0); the derivative at 0 is 0. Reads only the result going back.

    >>> gf.relu(gf.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return s.maximum(x, 0)


@relu.partial
def relu_partial(y, x):
    return s.where(s.gt(y, 0), 1, 0)


@elementwise(grad_name="LeakyReluBackward0")
def leaky_relu_of(x, slope):
    return s.where(s.gt(x, 0), x, slope * x)


@leaky_relu_of.partial
def leaky_relu_partial(y, x, slope):
    return s.where(s.gt(x, 0), 1, slope), s.where(s.gt(x, 0), 0, x)


@elementwise(grad_name="EluBackward0", numbers=("alpha", "scale", "input_scale"))
def elu_of(x, alpha, scale, input_scale):
    return scale * s.where(s.gt(x, 0), x, alpha * s.expm1(input_scale * x))


@elu_of.partial
def elu_partial(y, x, alpha, scale, input_scale):
    return scale * s.where(s.gt(x, 0), 1, alpha * input_scale * s.exp(input_scale * x)), None, None, None


@elementwise(grad_name="GeluBackward0")
def gelu_erf(x):
    return 0.5 * x * (1 + s.erf(x * SQRT_HALF))


@gelu_erf.partial
def gelu_partial(y, x):
    return 0.5 * (1 + s.erf(x * SQRT_HALF)) + x * s.exp(-0.5 * x * x) * INV_SQRT_2PI


@elementwise(grad_name="GeluBackward0")
def gelu_tanh(x):
    return 0.5 * x * (1 + s.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)))


@elementwise
def silu(x):
    """``x * sigmoid(x)``, also called swish. Hendrycks and Gimpel 2016.

    >>> gf.nn.functional.silu(gf.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return x / (1 + s.exp(-x))


@silu.partial
def silu_partial(y, x):
    sig = 1 / (1 + s.exp(-x))
    return sig * (1 + x * (1 - sig))


@elementwise(grad_name="SoftplusBackward0", numbers=("beta", "threshold"))
def softplus_of(x, beta, threshold):
    z = beta * x
    return s.where(s.gt(z, threshold), x, (s.maximum(z, 0) + s.log1p(s.exp(-s.abs(z)))) / beta)


@softplus_of.partial
def softplus_partial(y, x, beta, threshold):
    z = beta * x
    return s.where(s.gt(z, threshold), 1, 1 / (1 + s.exp(-z))), None, None


@elementwise(grad_name="LogSigmoidBackward0")
def logsigmoid(x):
    """``log(sigmoid(x))``, finite for every finite x.

    >>> gf.nn.functional.logsigmoid(gf.tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """
    return s.minimum(x, 0) - s.log1p(s.exp(-s.abs(x)))


@logsigmoid.partial
def logsigmoid_partial(y, x):
    return 1 / (1 + s.exp(x))


@elementwise(grad_name="HardtanhBackward0", numbers=("low", "high"))
def hardtanh_of(x, low, high):
    return s.minimum(s.maximum(x, low), high)


@hardtanh_of.partial
def hardtanh_partial(y, x, low, high):
    return s.where(s.gt(x, low) & s.lt(x, high), 1, 0), None, None


@elementwise
def hardsigmoid(x):
    """``min(max(x / 6 + 1 / 2, 0), 1)``; the derivative at both kinks is 0.

    >>> gf.nn.functional.hardsigmoid(gf.tensor([-4.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.6667])
    """
    return s.minimum(s.maximum(x + 3, 0), 6) / 6


@hardsigmoid.partial
def hardsigmoid_partial(y, x):
    return s.where(s.gt(x, -3) & s.lt(x, 3), 1 / 6, 0)


@elementwise
def hardswish(x):
    """``x * hardsigmoid(x)``. Howard et al. 2019.

    >>> gf.nn.functional.hardswish(gf.tensor([-4.0, 1.0]))
    tensor([-0.0000, 0.6667])
    """
    return x * s.minimum(s.maximum(x + 3, 0), 6) / 6


@hardswish.partial
def hardswish_partial(y, x):
    return s.where(s.le(x, -3), 0, s.where(s.lt(x, 3), x / 3 + 0.5, 1))


@elementwise
def mish(x):
    """``x * tanh(softplus(x))``. Misra 2019.

    >>> gf.nn.functional.mish(gf.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
    return x * s.tanh(s.maximum(x, 0) + s.log1p(s.exp(-s.abs(x))))


@mish.partial
def mish_partial(y, x):
    t = s.tanh(s.maximum(x, 0) + s.log1p(s.exp(-s.abs(x))))
    return t + x * (1 - t * t) / (1 + s.exp(-x))


@elementwise(grad_name="DivBackward0")
def softsign(x):
    """``x / (1 + |x|)``; the derivative at 0 is 1.

    >>> gf.nn.functional.softsign(gf.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return x / (1 + s.abs(x))


@softsign.partial
def softsign_partial(y, x):
    d = 1 + s.abs(x)
    return 1 / (d * d)


@elementwise(grad_name="SubBackward0")
def tanhshrink(x):
    """``x - tanh(x)``.

    >>> gf.nn.functional.tanhshrink(gf.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
    return x - s.tanh(x)


@elementwise(grad_name="SoftshrinkBackward0", numbers=("lambd",))
def softshrink_of(x, lambd):
    return s.where(s.gt(x, lambd), x - lambd, s.where(s.lt(x, -lambd), x + lambd, 0 * x))


@softshrink_of.partial
def softshrink_partial(y, x, lambd):
    return s.where(s.gt(s.abs(x), lambd), 1, 0), None


@elementwise(grad_name="HardshrinkBackward0", numbers=("lambd",))
def hardshrink_of(x, lambd):
    return s.where(s.le(s.abs(x), lambd), 0, x)


@hardshrink_of.partial
def hardshrink_partial(y, x, lambd):
    return s.where(s.le(s.abs(x), lambd), 0, 1), None


@elementwise(grad_name="ThresholdBackward0", numbers=("threshold", "value"))
def threshold_of(x, threshold, value):
    return s.where(s.le(x, threshold), value, x)


@threshold_of.partial
def threshold_partial(y, x, threshold, value):
    return s.where(s.le(x, threshold), 0, 1), None, None


@elementwise(grad_name="PreluKernelBackward0")
def prelu_of(x, weight):
    return s.where(s.gt(x, 0), x, weight * x)


@prelu_of.partial
def prelu_partial(y, x, weight):
    return s.where(s.gt(x, 0), 1, weight), s.where(s.gt(x, 0), 0, x)


# torch's signatures


def put(op: str, input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """The result, in the place of the input if asked for."""
    if not inplace:
        return result
    from .inplace import become

    return become(input, result, op)


def applied(op: str, function: Any, input: Tensor, *operands: Any, inplace: bool) -> Tensor:
    """``function(input, *operands)``, in the place of the input if asked for; formulas are computed there."""
    if not inplace:
        return function(input, *operands)
    from .inplace import in_place

    return in_place(function, f"{op}(inplace=True)")(input, *operands)


def needs_tensor(op: str, x: Any, name: str = "input") -> None:
    if not isinstance(x, Tensor):
        raise DTypeError(f"{op}: argument '{name}' must be Tensor, not {type(x).__name__}")


def numbers_only(op: str, **arguments: Any) -> None:
    """Arguments that are numbers: a tensor in their place would be broadcast."""
    for name, x in arguments.items():
        if not isinstance(x, bool | int | float | np.number):
            raise DTypeError(f"{op}: argument '{name}' must be Number, not {type(x).__name__}")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``; the derivative at 0 is ``negative_slope``.

    >>> gf.nn.functional.leaky_relu(gf.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    needs_tensor("leaky_relu", input)
    numbers_only("leaky_relu", negative_slope=negative_slope)
    return applied("leaky_relu", leaky_relu_of, input, negative_slope, inplace=inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``; the derivative at 0 is ``alpha``. Clevert et al. 2015.

    >>> gf.nn.functional.elu(gf.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    float_only("elu", input)
    numbers_only("elu", alpha=alpha)
    return applied("elu", elu_of, input, alpha, 1.0, 1.0, inplace=inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU scaled to keep mean 0 and variance 1; Klambauer et al. 2017.

    >>> gf.selu(gf.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    float_only("selu", input)
    return applied("selu", elu_of, input, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0, inplace=inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``; smooth at 0. Barron 2017.

    >>> gf.celu(gf.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    float_only("celu", input)
    numbers_only("celu", alpha=alpha)
    if alpha == 0:
        raise ArgumentError("celu: ZeroDivisionError; alpha cannot be 0 for CELU")
    return applied("celu", lambda x: named(elu_of(x, alpha, 1.0, 1 / alpha), "CeluBackward0"), input, inplace=inplace)


def gelu(input: Tensor, approximate: str = "none", *, out: Any = None) -> Tensor:
    """``x * Phi(x)``, Phi the normal distribution function; ``approximate="tanh"`` for the formula with tanh. Hendrycks and Gimpel 2016.

    >>> gf.nn.functional.gelu(gf.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    if out is not None:
        return into("gelu", out, gelu, (input, approximate), {})
    if not isinstance(approximate, str):
        raise DTypeError(f"gelu: argument 'approximate' must be str, not {type(approximate).__name__}")
    if approximate == "none":
        return gelu_erf(input)
    if approximate != "tanh":
        raise ArgumentError(f"gelu: approximate argument must be either none or tanh, it is {approximate!r}")
    return gelu_tanh(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0, *, out: Any = None) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``, and ``x`` itself where ``beta * x > threshold``.

    >>> gf.nn.functional.softplus(gf.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    float_only("softplus", input)
    numbers_only("softplus", beta=beta, threshold=threshold)
    return softplus_of(input, beta, threshold, out=out)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``min(max(x, min_val), max_val)``; the derivative at both kinks is 0.

    >>> gf.nn.functional.hardtanh(gf.tensor([-4.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    needs_tensor("hardtanh", input)
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val cannot be greater than max_val; got {min_val} and {max_val}")
    if not input.dtype.is_floating_point:  # integers stay integers
        if input.array.dtype.kind == "b" or (input.array.dtype.kind == "u" and min_val < 0):
            raise DTypeError(
                f"hardtanh: cannot do hardtanh on {input.dtype} with the limits {min_val} and {max_val}; convert with .float()"
            )
        min_val, max_val = element("hardtanh", min_val, input.dtype), element("hardtanh", max_val, input.dtype)
    return applied("hardtanh", hardtanh_of, input, min_val, max_val, inplace=inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(x, 0), 6)``; the derivative at both kinks is 0.

    >>> gf.nn.functional.relu6(gf.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def softshrink(input: Tensor, lambd: float = 0.5, *, out: Any = None) -> Tensor:
    """``x`` moved towards 0 by ``lambd``, and 0 where it is nearer than that.

    >>> gf.nn.functional.softshrink(gf.tensor([-1.0, 0.3, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    float_only("softshrink", input)
    numbers_only("softshrink", lambd=lambd)
    if lambd < 0:
        raise ArgumentError(f"softshrink: lambda must be greater or equal to 0, but found to be {lambd}")
    return softshrink_of(input, lambd, out=out)


def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Any = None) -> Tensor:
    """``x``, and 0 where ``|x| <= lambd``, with gradient 0 there.

    >>> gf.hardshrink(gf.tensor([-1.0, 0.3, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    float_only("hardshrink", input)
    numbers_only("hardshrink", lambd=lambd)
    return hardshrink_of(input, lambd, out=out)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where ``x > threshold``, else ``value``, with gradient 0 there.

    >>> gf.threshold(gf.tensor([-1.0, 2.0]), 0.5, 9.0)
    tensor([9., 2.])
    """
    needs_tensor("threshold", input)
    numbers_only("threshold", threshold=threshold, value=value)
    return applied("threshold", threshold_of, input, threshold, value, inplace=inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``leaky_relu`` whose slope is learned, one for all or one for each channel (axis 1); He et al. 2015.

    >>> gf.prelu(gf.tensor([-1.0, 2.0]), gf.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    needs_tensor("prelu", input)
    needs_tensor("prelu", weight, "weight")
    if weight.dtype is not input.dtype:
        raise DTypeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}; convert one")
    if weight.ndim > 1:
        raise ShapeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if weight.numel() == 1:
        weight = weight.reshape(())
    else:
        channels = input.array.shape[1] if input.ndim > 1 else 1
        if weight.ndim != 1 or weight.numel() != channels:
            raise ArgumentError(
                f"prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = {weight.numel()} and channel size = {channels}."
            )
        channel = 1 if input.ndim > 1 else 0
        weight = weight.reshape(tuple(-1 if axis == channel else 1 for axis in range(input.ndim)))
    return prelu_of(input, weight)


def act(name: str, function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """``function`` with torch's ``inplace`` argument."""

    def call(input: Tensor, inplace: bool = False) -> Tensor:
        return applied(name, function, input, inplace=inplace)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = function.__doc__
    return call


relu_, silu_, mish_ = act("relu", relu), act("silu", silu), act("mish", mish)
hardsigmoid_, hardswish_ = act("hardsigmoid", hardsigmoid), act("hardswish", hardswish)
__all__ = ["sigmoid", "tanh"]
