"""The gamma function's kin, and the sums that entropies are made of."""

from __future__ import annotations

import math

import numpy as np

from .. import backends, dtypes
from ..errors import ArgumentError, DeviceMemoryError, DTypeError
from ..kinds import elementwise
from ..scalar import primitives as s
from ..tape.node import named
from ..tensor import Tensor, wrap
from . import pointwise as p

MOST_TERMS = 2**28  # of mvlgamma, which has them in memory at once


@elementwise(grad_name="PolygammaBackward0", domain=(0.5, 9.0))
def trigamma(x):
    return s.trigamma(x)


@trigamma.partial
def trigamma_partial(y, x):
    return s.where(s.lt(x, 0.5) & s.eq(x, s.floor(x)), math.nan, -2.0 * s.zeta(3.0, x))


def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`: ``(-1)^(n + 1) n! zeta(n + 1, x)``.

    >>> gf.polygamma(1, gf.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise DTypeError(f"polygamma: argument 'n' must be int, not {type(n).__name__}")
    if n < 0:
        raise ArgumentError(f"polygamma: polygamma(n, x) does not support negative n: {n}")
    if n == 0:
        return named(p.digamma(input), "PolygammaBackward0")
    if n == 1:
        return trigamma(input)
    factor = (1.0 if n % 2 else -1.0) * (float(math.factorial(n)) if n < 171 else math.inf)
    return named(p.mul(zeta(float(n + 1), input), factor), "PolygammaBackward0")


def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension ``p``: ``sum of lgamma(x - j / 2) + p (p - 1) / 4 log(pi)``, j < p.

    >>> gf.mvlgamma(gf.tensor([2.0, 3.0]), 2)
    tensor([0.4516, 1.5502])
    """
    if isinstance(p, bool) or not isinstance(p, int):
        raise DTypeError(f"mvlgamma: argument 'p' must be int, not {type(p).__name__}")
    if p < 1:
        raise ArgumentError(f"mvlgamma: p has to be greater than or equal to 1, it is {p}")
    if p * max(1, input.array.size) > MOST_TERMS:
        raise DeviceMemoryError(
            f"mvlgamma: p = {p} for {input.array.size} elements: more than {MOST_TERMS} terms at once do not fit; split the tensor"
        )
    from .convert import convert
    from .pointwise import lgamma

    halves = wrap(backends.beside(np.arange(p) / 2, input.array))
    of = input.dtype if input.dtype.is_floating_point else dtypes.get_default_dtype()
    terms = lgamma(input.unsqueeze(-1) - convert(halves, of)).sum(-1)
    return named(terms + p * (p - 1) / 4 * math.log(math.pi), "MvlgammaBackward0")


@elementwise(numbers=("a",), domain=(0.5, 9.0), public=True, ulp=8, tensors=("a", "x"))
def igamma(a, x):
    """The lower incomplete gamma function of order a, regularized: from 0 at x = 0 to 1. No derivative in a.

    >>> gf.igamma(gf.tensor([1.0, 2.0]), gf.tensor([1.0, 1.0]))
    tensor([0.6321, 0.2642])
    """
    return s.igamma(a, x)


@elementwise(numbers=("a",), domain=(0.5, 9.0), public=True, ulp=8, tensors=("a", "x"))
def igammac(a, x):
    """The upper incomplete gamma function of order a, regularized: 1 - igamma(a, x), exact where that is small. No derivative in a.

    >>> gf.igammac(gf.tensor([1.0, 2.0]), gf.tensor([1.0, 1.0]))
    tensor([0.3679, 0.7358])
    """
    return s.igammac(a, x)


@elementwise(numbers=("x",), domain=(2.0, 9.0), ulp=8, grad_name="SpecialZetaBackward0")
def zeta(x, y):
    """The zeta function of Hurwitz, the sum of (y + k) ** -x over k = 0, 1, ...; no derivative in x.

    >>> gf.special.zeta(gf.tensor([2.0, 4.0]), gf.tensor([1.0, 1.0]))
    tensor([1.6449, 1.0823])
    """
    return s.zeta(x, y)


@elementwise(grad_name="SpecialXlog1PyBackward0", domain=(-0.5, 3.0))
def xlog1py(x, y):
    """``x * log1p(y)``, and 0 where x is 0.

    >>> gf.special.xlog1py(gf.tensor([0.0, 2.0]), gf.tensor([-1.0, 1.0]))
    tensor([0.0000, 1.3863])
    """
    return s.where(s.eq(x, 0) & s.eq(y, y), 0, x * s.log1p(y))


@xlog1py.partial
def xlog1py_partial(z, x, y):
    return s.where(s.eq(x, 0) & s.le(y, -1), 0, s.log1p(y)), x / (y + 1)


@elementwise(grad_name="SpecialEntrBackward0", domain=(0.1, 3.0))
def entr(x):
    """``-x * log(x)``, the share of x in an entropy; 0 at 0 and -inf below.

    >>> gf.special.entr(gf.tensor([0.0, 0.5, -1.0]))
    tensor([0.0000, 0.3466,   -inf])
    """
    return s.where(s.ne(x, x), x, s.where(s.gt(x, 0), -x * s.log(x), s.where(s.eq(x, 0), 0, -math.inf)))


@entr.partial
def entr_partial(y, x):
    return s.where(s.lt(x, 0), math.nan, -(1 + s.log(x)))
