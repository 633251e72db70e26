"""Comparisons for tests, as ``torch.testing`` has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes
from .tensor import Tensor

__all__ = ["assert_allclose", "assert_close"]

# (rtol, atol) by type; exact for integers and bool
TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_dtype: bool = True,
    check_device: bool = True,
    check_stride: bool = False,
    msg: Any = None,
) -> None:
    """Raise ``AssertionError`` unless ``|actual - expected| <= atol + rtol * |expected|`` everywhere, with equal shapes and types.

    Works on tensors, numbers, arrays, and sequences and dictionaries of them.

    >>> gf.testing.assert_close(gf.tensor([1.0]), gf.tensor([1.0 + 1e-7]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: rtol and atol must both be specified or both be unspecified")
    if isinstance(expected, dict) and isinstance(actual, dict):
        if actual.keys() != expected.keys():
            raise AssertionError(f"The keys of the mappings do not match: {sorted(actual)} and {sorted(expected)}")
        pairs = [(actual[k], expected[k]) for k in expected]
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(actual) != len(expected):
            raise AssertionError(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
        pairs = list(zip(actual, expected, strict=True))
    else:
        pairs = []
        compare(actual, expected, rtol, atol, equal_nan, check_dtype, check_stride, msg)
    for a, e in pairs:
        assert_close(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype, check_stride=check_stride, msg=msg)


def compare(actual: Any, expected: Any, rtol: Any, atol: Any, equal_nan: bool, check_dtype: bool, check_stride: bool, msg: Any) -> None:
    both = [x.detach().array if isinstance(x, Tensor) else np.asarray(x) for x in (actual, expected)]
    a, e = both

    def fail(text: str) -> None:
        raise AssertionError(msg(text) if callable(msg) else msg or text)

    if a.shape != e.shape:
        fail(f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}.")
    if check_dtype and isinstance(actual, Tensor) and isinstance(expected, Tensor) and a.dtype != e.dtype:
        fail(f"The values for attribute 'dtype' do not match: {actual.dtype} != {expected.dtype}.")
    if check_stride and a.strides != e.strides:
        fail(f"The values for attribute 'stride()' do not match: {a.strides} != {e.strides}.")
    if rtol is None:
        kinds = [TOLERANCES.get(dtypes.FROM_NUMPY[x.dtype].name, (0.0, 0.0)) for x in both]
        rtol, atol = max(k[0] for k in kinds), max(k[1] for k in kinds)
    x, y = a.astype(np.float64), e.astype(np.float64)
    close = np.isclose(x, y, rtol, atol, equal_nan)
    if a.dtype.kind in "iub" and e.dtype.kind in "iub" and not rtol and not atol:
        close = np.asarray(a == e)
    if not close.all():
        with np.errstate(all="ignore"):
            gap = np.abs(x - y)
        fail(
            f"Tensor-likes are not close!\n\nMismatched elements: {int((~close).sum())} / {close.size}\n"
            f"Greatest absolute difference: {np.max(np.where(close, 0, gap))} (up to {atol} allowed)\nrtol: {rtol}"
        )


def assert_allclose(actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True) -> None:
    """:func:`assert_close` without the comparison of types; nan equals nan.

    >>> gf.testing.assert_allclose(gf.tensor([1.0]), np.array([1.0]))
    """
    assert_close(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False)
