"""What the tests of the kernels share: cases from fixed seeds, and comparisons. GRADFLOW_FUZZ multiplies the number of cases."""

import os

import numpy as np
from layouts import is_float, relaid

from gradflow import backends as b
from gradflow.errors import GradflowError

CLEAN = (GradflowError, TypeError, ValueError, IndexError, OverflowError, MemoryError)
TIMES = int(os.environ.get("GRADFLOW_FUZZ", "1"))
F4, F8, I8 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")

identity = b.kernel(lambda x: x)


def cases(n, seed):
    for i in range(n * TIMES):
        yield np.random.default_rng([seed, i])


def same(got, want, what=""):
    """Equal to the last bit but for the payload of nan."""
    assert got.shape == want.shape, (what, got.shape, want.shape)
    assert got.dtype == want.dtype, (what, got.dtype, want.dtype)
    if is_float(want.dtype):
        got, want = got.astype(F8), want.astype(F8)
        assert np.array_equal(got, want, equal_nan=True), (what, got, want)
    else:
        assert np.array_equal(got, want), (what, got, want)


def near(got, want, ulps=4, scale=None, what=""):
    """Close in units of the result's type."""
    assert got.shape == want.shape, (what, got.shape, want.shape)
    if not is_float(got.dtype):
        assert np.array_equal(got, want), (what, got, want)
        return
    eps = {2: 2**-10 if got.dtype.kind == "f" else 2**-7, 4: 2**-23, 8: 2**-52}[got.dtype.itemsize]
    got, want = got.astype(F8), want.astype(F8)
    size = np.abs(want) if scale is None else scale
    with np.errstate(invalid="ignore"):
        fine = (np.abs(got - want) <= ulps * eps * size + 1e-300) | (got == want) | (np.isnan(got) & np.isnan(want))
    assert fine.all(), (what, got[~fine], want[~fine])


def random_index(rng, shape, n):
    index = rng.integers(0, n, shape) if n else np.zeros(shape, I8)
    return relaid(rng, index.astype(I8 if rng.random() < 0.7 else np.dtype("i4")))
