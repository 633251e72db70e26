"""Random numbers of other distributions, in place and as functions, by inversion of uniform ones; dropouts of whole channels and of SELU networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends
from ..errors import ArgumentError, ShapeError
from ..scalar.types import FLOAT64
from ..tensor import Tensor, wrap
from .activations import leaky_relu, put
from .convert import element
from .pointwise import add, le, mul, ne, where
from .random import FLOAT, Generator, drop_chance, dropout, fill_normal, fill_uniform, floating, redrawn, stream
from .reductions import float_only
from .views import require_tensor


def draw(self: Tensor, op: str, generator: Generator | None, inverse: Callable) -> Tensor:
    """``inverse`` of uniform numbers in (0, 1), in place."""

    def put_there(array: Any) -> None:
        u = fill_uniform(backends.empty(array.shape, FLOAT64, array), 0.0, 1.0, generator) + 2.0**-54
        with np.errstate(over="ignore"):
            array[...] = inverse(u)

    return redrawn(self, op, put_there)


def cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Cauchy numbers around ``median``, half of them within ``sigma``; in place.

    >>> gf.empty(3).cauchy_().shape
    torch.Size([3])
    """
    floating("cauchy_", self)
    median, sigma = element("cauchy_", median, FLOAT), element("cauchy_", sigma, FLOAT)
    if not sigma > 0:
        raise ArgumentError(f"cauchy_: expects sigma > 0.0, but found sigma={sigma}")
    return draw(self, "cauchy_", generator, lambda u: median + sigma * np.tan(math.pi * (u - 0.5)))


def exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Exponential numbers of rate ``lambd``, in place: density ``lambd * exp(-lambd * x)`` for x > 0.

    >>> bool((gf.empty(3).exponential_() > 0).all())
    True
    """
    floating("exponential_", self)
    lambd = element("exponential_", lambd, FLOAT)
    if not lambd > 0:
        raise ArgumentError(f"exponential_: expects lambda > 0.0, but found lambda={lambd}")
    return draw(self, "exponential_", generator, lambda u: -np.log(u) / lambd)


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """How many trials of probability ``p`` up to the first success: 1, 2, ...; in place.

    >>> bool((gf.empty(3).geometric_(0.5) >= 1).all())
    True
    """
    p = element("geometric_", p, FLOAT)
    if not 0 < p < 1:
        raise ArgumentError(f"geometric_: expects p to be in (0, 1), but got p={p}")
    return draw(self, "geometric_", generator, lambda u: np.ceil(np.log(u) / math.log1p(-p)))


def log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """e to the power of normal numbers, in place.

    >>> bool((gf.empty(3).log_normal_() > 0).all())
    True
    """
    floating("log_normal_", self)
    mean, std = element("log_normal_", mean, FLOAT), element("log_normal_", std, FLOAT)
    if not std > 0:
        raise ArgumentError(f"log_normal_: expects std > 0.0, but found std={std}")

    def put_there(array: Any) -> None:
        with np.errstate(over="ignore"):
            array[...] = np.exp(fill_normal(backends.empty(array.shape, FLOAT64, array), float(mean), float(std), generator))

    return redrawn(self, "log_normal_", put_there)


def numpys(generator: Generator | None) -> Any:
    """NumPy's generator, started from our stream."""
    seed, offset = stream(generator).take(4)
    return np.random.default_rng([seed % 2**64, offset])


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers, one for each rate in ``input``.

    >>> gf.poisson(gf.zeros(3))
    tensor([0., 0., 0.])
    """
    float_only("poisson", input)
    if (input.array < 0).any():
        raise ArgumentError("poisson: invalid Poisson rate, expected rate to be non-negative")
    drawn = np.asarray(numpys(generator).poisson(input.array.astype(np.float64))).astype(input.array.dtype)
    return wrap(backends.beside(drawn, input.array))


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials of probability ``prob`` succeed, for each element.

    >>> gf.binomial(gf.tensor([5.0, 5.0]), gf.tensor([0.0, 1.0]))
    tensor([0., 5.])
    """
    for x in (count, prob):
        float_only("binomial", x)
    if count.dtype is not prob.dtype:
        raise ArgumentError(f"binomial: expected count and prob to have the same dtype, got {count.dtype} and {prob.dtype}")
    n, p = count.array.astype(np.float64), prob.array.astype(np.float64)
    if (n < 0).any() or not ((p >= 0) & (p <= 1)).all():
        raise ArgumentError("binomial: count must not be negative and prob must be in [0, 1]")
    drawn = np.asarray(numpys(generator).binomial(n.astype(np.int64), p)).astype(count.array.dtype)
    return wrap(backends.beside(drawn, count.array))


# Dropouts


def chance(op: str, input: Any, p: Any) -> float:
    require_tensor(op, input)
    return drop_chance(op, p)


def noise(op: str, input: Tensor, p: float, by_channel: bool) -> Tensor:
    """Ones, and zeros with probability ``p``: for each element, or for each channel of each sample."""
    if by_channel and input.array.ndim < 2:
        raise ShapeError(f"{op}: Feature dropout requires at least 2 dimensions in the input, it has {input.ndim}")
    shape = (*input.array.shape[:2], *(1,) * (input.array.ndim - 2)) if by_channel else input.array.shape
    ones = backends.empty(shape, input.dtype.code, input.array)
    ones.fill(1)
    return ne(dropout(wrap(ones), p), 0).to(input.dtype)


def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Each channel (axis 1) of each sample 0 with probability ``p``, the others divided by ``1 - p``, while training. Tompson et al. 2015.

    >>> gf.feature_dropout(gf.ones(1, 2, 3), 0.5, False).shape
    torch.Size([1, 2, 3])
    """
    p = chance("feature_dropout", input, p)
    if not train or p == 0 or not input.array.size:
        return input
    return mul(input, mul(noise("feature_dropout", input, p, True), 1 / (1 - p) if p < 1 else 0.0))


SELU_LOW = 1.7580993408473766  # minus the limit of SELU at -inf


def selu_dropout(op: str, input: Tensor, p: float, train: bool, by_channel: bool) -> Tensor:
    p = chance(op, input, p)
    if not train or p == 0 or not input.array.size:
        return input
    kept = noise(op, input, p, by_channel)
    if p == 1:
        return mul(input, kept)
    a = 1 / math.sqrt((SELU_LOW**2 * p + 1) * (1 - p))
    return add(mul(input, mul(kept, a)), mul(add(mul(kept, 1.0), p - 1), SELU_LOW * a))


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Each element at the lower end of SELU with probability ``p``, all scaled and shifted to keep mean and variance. Klambauer et al. 2017.

    >>> gf.alpha_dropout(gf.ones(3), 0.5, False)
    tensor([1., 1., 1.])
    """
    return put("alpha_dropout", input, selu_dropout("alpha_dropout", input, p, training, False), inplace and training)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels.

    >>> gf.feature_alpha_dropout(gf.ones(1, 2, 3), 0.5, False).shape
    torch.Size([1, 2, 3])
    """
    return put("feature_alpha_dropout", input, selu_dropout("feature_alpha_dropout", input, p, training, True), inplace and training)


def of_channels(name: str, spatial: int, batched: tuple[int, ...], alone: tuple[int, ...]) -> Callable:
    """Dropout of whole channels of inputs with ``spatial`` axes of space; the batch axis may be missing."""

    def call(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        p = chance(name, input, p)
        ndim = input.array.ndim
        if name == "dropout1d" and ndim not in batched + alone:
            raise ShapeError(f"{name}: Expected 2D or 3D input, but received a {ndim}D input.")
        lead = ndim in alone
        result = feature_dropout(input.unsqueeze(0) if lead else input, p, training)
        return put(name, input, result.squeeze(0) if lead else result, inplace and training)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Each channel, of {spatial} axes of space, 0 with probability ``p``, the others divided by ``1 - p``, while training.

    >>> gf.nn.functional.{name}(gf.ones(1, 2{", 1" * spatial}), training=False).flatten()
    tensor([1., 1.])
    """
    return call


dropout1d = of_channels("dropout1d", 1, (3,), (2,))
dropout2d = of_channels("dropout2d", 2, (4, 3), ())  # three axes are a batch of one axis of space, as in torch
dropout3d = of_channels("dropout3d", 3, (5,), (4,))


def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """(:func:`dropout`, which elements were kept)

    >>> gf.native_dropout(gf.ones(3), 0.5, False)[0]
    tensor([1., 1., 1.])
    """
    p = chance("native_dropout", input, p)
    if train is False:
        return input, wrap(backends.beside(np.ones(input.array.shape, bool), input.array))
    kept = noise("native_dropout", input, p, False)
    return mul(input, mul(kept, 1 / (1 - p) if p < 1 else 0.0)), wrap(kept.array != 0)


def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """``x`` where it is positive, else times a slope: uniform in [lower, upper] while training, else their mean. Xu et al. 2015.

    >>> gf.rrelu(gf.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """
    require_tensor("rrelu", input)
    lower, upper = element("rrelu", lower, FLOAT), element("rrelu", upper, FLOAT)
    if lower > upper:
        raise ArgumentError(f"rrelu: Lower bound should be less than or equal to the upper bound: {lower}, {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    float_only("rrelu", input)
    slopes = wrap(fill_uniform(backends.empty(input.array.shape, input.dtype.code, input.array), float(lower), float(upper), None))
    return put("rrelu", input, mul(input, where(le(input.detach(), 0), slopes, 1.0)), inplace)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample of the categories of ``logits`` that has a gradient: softmax of them with Gumbel noise; with ``hard`` one-hot. Jang et al. 2017.

    >>> gf.nn.functional.gumbel_softmax(gf.zeros(2, 3), hard=True).sum(dim=1)
    tensor([1., 1.])
    """
    float_only("gumbel_softmax", logits)
    noisy = exponential_(wrap(backends.empty(logits.array.shape, logits.dtype.code, logits.array))).log()
    soft = ((logits - noisy) / tau).softmax(dim)
    if not hard:
        return soft
    one_hot = (soft * 0).detach().scatter(dim, soft.detach().argmax(dim, keepdim=True), 1.0)
    return one_hot - soft.detach() + soft
