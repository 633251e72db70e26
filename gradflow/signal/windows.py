"""Windows of M points; ``sym=False`` leaves out the last of M + 1, so that the window repeats.

>>> import gradflow as gf
>>> gf.signal.windows.hann(5)
tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import gradflow as gf

from ..errors import ArgumentError, DTypeError
from ..tensor import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(op: str, m: int, sym: bool, formula: Callable[[Tensor, int], Tensor], options: dict[str, Any], center: bool = False) -> Tensor:
    """``formula`` of the places 0, 1, ... and of how many there are, in float64, then in the type asked for.

    A window of one point is 1, whatever the formula, unless its ``center`` is given."""
    if not isinstance(m, int) or isinstance(m, bool):
        raise DTypeError(f"{op}: M must be an integer; got {m!r}")
    if m < 0:
        raise ArgumentError(f"{op}: requires non-negative window length, got M={m}")
    dtype = gf.get_default_dtype() if options.get("dtype") is None else options["dtype"]
    if dtype not in (gf.float32, gf.float64):
        raise ArgumentError(f"{op}: expects float32 or float64 dtypes, got: {dtype}")
    n = m if sym else m + 1
    values = formula(gf.arange(n, dtype=gf.float64), n)[:m] if m > 1 or center else gf.ones(m)
    made = values.to(dtype=dtype, device=options.get("device"))
    return made.requires_grad_(True) if options.get("requires_grad") else made


def general_cosine(M: int, *, a: Iterable[float], sym: bool = True, **options: Any) -> Tensor:
    """``a[0] - a[1] cos(x) + a[2] cos(2 x) - ...`` for x from 0 to 2 pi.

    >>> gf.signal.windows.general_cosine(5, a=[0.5, 0.5])
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    if not isinstance(a, Iterable):
        raise DTypeError(f"general_cosine: Coefficients must be a list/tuple; got {a!r}")
    weights = list(a)
    if not weights:
        raise ArgumentError("general_cosine: Coefficients cannot be empty; give one at least")
    return _cosines("general_cosine", M, weights, sym, options)


def _cosines(op: str, m: int, weights: list[float], sym: bool, options: dict[str, Any]) -> Tensor:
    def formula(k: Tensor, n: int) -> Tensor:
        x = k * (2 * math.pi / (n - 1))
        return gf.stack([(-1) ** i * w * (i * x).cos() for i, w in enumerate(weights)]).sum(0)

    return _window(op, m, sym, formula, options)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """``alpha - (1 - alpha) cos(x)`` for x from 0 to 2 pi.

    >>> gf.signal.windows.general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return _cosines("general_hamming", M, [alpha, 1 - alpha], sym, options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """``0.54 - 0.46 cos(x)`` for x from 0 to 2 pi.

    >>> gf.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _cosines("hamming", M, [0.54, 0.46], sym, options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """``0.5 - 0.5 cos(x)`` for x from 0 to 2 pi.

    >>> gf.signal.windows.hann(3)
    tensor([0., 1., 0.])
    """
    return _cosines("hann", M, [0.5, 0.5], sym, options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """``0.42 - 0.5 cos(x) + 0.08 cos(2 x)`` for x from 0 to 2 pi.

    >>> gf.signal.windows.blackman(3).round(decimals=2).abs()
    tensor([0., 1., 0.])
    """
    return _cosines("blackman", M, [0.42, 0.5, 0.08], sym, options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Nuttall's sum of four cosines, of the smallest side lobes.

    >>> gf.signal.windows.nuttall(3)
    tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])
    """
    return _cosines("nuttall", M, [0.3635819, 0.4891775, 0.1365995, 0.0106411], sym, options)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 to 1 and back.

    >>> gf.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("bartlett", M, sym, lambda k, n: 1 - (2 * k / (n - 1) - 1).abs(), options)


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Half a wave of the sine, from the middle of the first of M pieces to that of the last.

    >>> gf.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    return _window("cosine", M, sym, lambda k, n: (math.pi / n * (k + 0.5)).sin(), options)


def exponential(M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """``exp(-|k - center| / tau)``; the center is the middle, and can be given only if not ``sym``.

    >>> gf.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0:
        raise ArgumentError(f"exponential: Tau must be positive, got: {tau}")
    if sym and center is not None:
        raise ArgumentError("exponential: Center must be None for symmetric windows; leave it out, or say sym=False")

    def formula(k: Tensor, n: int) -> Tensor:
        middle = (n - 1 if sym else M) / 2 if center is None else center
        return (-(k - middle).abs() / tau).exp()

    return _window("exponential", M, sym, formula, options, center is not None)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """``exp(-((k - middle) / std)**2 / 2)``

    >>> gf.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ArgumentError(f"gaussian: Standard deviation must be positive, got: {std}")
    return _window("gaussian", M, sym, lambda k, n: (-0.5 * ((k - (n - 1) / 2) / std).square()).exp(), options)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """Kaiser's: ``i0(beta sqrt(1 - x^2)) / i0(beta)`` for x from -1 to 1.

    >>> gf.signal.windows.kaiser(3, beta=1.0)
    tensor([0.7898, 1.0000, 0.7898])
    """
    if beta < 0:
        raise ArgumentError(f"kaiser: beta must be non-negative, got: {beta}")

    def formula(k: Tensor, n: int) -> Tensor:
        inside = (1 - (2 * k / (n - 1) - 1).square()).clamp(min=0)
        return (beta * inside.sqrt()).i0() / gf.tensor(float(beta), dtype=gf.float64).i0()

    return _window("kaiser", M, sym, formula, options)
