"""What of ``torch.fft`` needs no complex numbers: frequencies and shifts. The transforms say at the call that they are not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .creation import done, options
from .errors import DTypeError
from .ops.axes import axis_of, integer, new_shape
from .ops.rearranging import roll
from .tensor import Tensor


def frequencies(op: str, n: Any, d: float, half: bool, kwargs: dict) -> Tensor:
    (n,) = new_shape(op, (integer(op, "n", n),))
    code, want = options(op, kwargs)
    dtype = dtypes.BY_CODE[code]
    if not dtype.is_floating_point:
        raise DTypeError(f"{op}: requires a floating point dtype, not {dtype}")
    steps = np.arange(n // 2 + 1) if half else np.arange(n) - n * (np.arange(n) >= (n + 1) // 2)
    with np.errstate(all="ignore"):
        return done((steps / np.float64(n * d)).astype(dtype.numpy), want)


def fftfreq(n: int, d: float = 1.0, **kwargs: Any) -> Tensor:
    """The frequencies of a transform of ``n`` samples ``d`` apart: 0, 1, ..., -2, -1, over ``n * d``.

    >>> gf.fft.fftfreq(4).tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    return frequencies("fft.fftfreq", n, d, False, kwargs)


def rfftfreq(n: int, d: float = 1.0, **kwargs: Any) -> Tensor:
    """Those of :func:`fftfreq` that a transform of real samples has: 0, 1, ..., n // 2, over ``n * d``.

    >>> gf.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return frequencies("fft.rfftfreq", n, d, True, kwargs)


def shifted(op: str, input: Any, dim: Any, back: bool) -> Tensor:
    if not isinstance(input, Tensor):
        raise DTypeError(f"{op}: argument 'input' must be Tensor, not {type(input).__name__}")
    shape = input.array.shape
    dims = range(len(shape)) if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    axes = [axis_of(op, d, len(shape)) for d in dims]
    return roll(input, [(n + 1) // 2 if back else n // 2 for n in (shape[a] for a in axes)], axes) if shape and axes else input.clone()


def fftshift(input: Any, dim: Any = None) -> Tensor:
    """The second half in front, along ``dim`` (all axes without): frequency 0 comes to the middle.

    >>> gf.fft.fftshift(gf.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return shifted("fft.fftshift", input, dim, False)


def ifftshift(input: Any, dim: Any = None) -> Tensor:
    """Takes :func:`fftshift` back.

    >>> gf.fft.ifftshift(gf.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return shifted("fft.ifftshift", input, dim, True)


def refusal(name: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise DTypeError(f"fft.{name}: Fourier transforms need complex tensors, which gradflow does not have; use numpy.fft on x.numpy()")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""Refused: a Fourier transform needs complex tensors, which there are none of.

    >>> gf.fft.{name}(gf.ones(4))
    Traceback (most recent call last):
    ...
    gradflow.errors.DTypeError: fft.{name}: Fourier transforms need complex tensors, ...
    """
    return call


TRANSFORMS = "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft hfft2 ihfft2 hfftn ihfftn".split()
globals().update({name: refusal(name) for name in TRANSFORMS})
__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq", *TRANSFORMS]  # noqa: PLE0604
