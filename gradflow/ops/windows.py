"""Windows for spectra: cosine sums, triangles, Kaiser's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..errors import ArgumentError, DTypeError
from ..tensor import Tensor, wrap
from .axes import integer
from .convert import on_device


def window(op: str, length: Any, periodic: bool, values: Callable, options: dict) -> Tensor:
    n = integer(op, "window_length", length)
    if n < 0:
        raise ArgumentError(f"{op}: requires non-negative window_length, got window_length={n}")
    dtype = dtypes.get_default_dtype() if options.get("dtype") is None else dtypes.get(options["dtype"], op)
    if not dtype.is_floating_point:
        raise DTypeError(f"{op}: expects floating point dtypes, got: {dtype.name}")
    place = on_device(op, options.get("device"))
    unknown = set(options) - {"dtype", "device", "layout", "pin_memory", "requires_grad"}
    if unknown:
        raise DTypeError(f"{op}: got unexpected keyword arguments {sorted(unknown)}")
    array = backends.empty((n,), dtype.code)
    array[...] = values(n + 1)[:-1] if periodic and n > 1 else values(n) if n > 1 else np.ones(n)
    t = wrap(array if place is None else backends.move(array, place))
    return t.requires_grad_(True) if options.get("requires_grad") else t


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A triangle from 0 to 1 and back.

    >>> gf.bartlett_window(5, periodic=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return window("bartlett_window", window_length, periodic, np.bartlett, options)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos + 0.08 cos of twice the angle.

    >>> gf.blackman_window(5, periodic=False).round(decimals=2).abs()
    tensor([0.0000, 0.3400, 1.0000, 0.3400, 0.0000])
    """
    return window("blackman_window", window_length, periodic, np.blackman, options)


def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any) -> Tensor:
    """``alpha - beta cos``

    >>> gf.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return window("hamming_window", window_length, periodic, lambda n: alpha - beta * np.cos(2 * np.pi * np.arange(n) / (n - 1)), options)


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """``0.5 - 0.5 cos``

    >>> gf.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return window("hann_window", window_length, periodic, np.hanning, options)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """Kaiser's, of shape ``beta``.

    >>> gf.kaiser_window(4)
    tensor([5.2773e-05, 2.1567e-01, 1.0000e+00, 2.1567e-01])
    """
    return window("kaiser_window", window_length, periodic, lambda n: np.kaiser(n, beta), options)
