"""Random arrays in all sorts of memory, for the tests of the kernels."""

import ml_dtypes
import numpy as np

DTYPES = [np.dtype(d) for d in ("?", "u1", "i1", "i2", "i4", "i8", "f2", ml_dtypes.bfloat16, "f4", "f8")]  # in the order of their codes
CODE = {d: code for code, d in enumerate(DTYPES)}
REGISTER = dict(zip(DTYPES, map(np.dtype, ("?", "i4", "i4", "i4", "i4", "i8", "f4", "f4", "f4", "f8"))))  # what a kernel computes in
SIZES = [0, 1, 1, 2, 3, 4, 5, 8, 13, 33]


def is_float(dtype):
    return dtype.kind in "fV"


def shape_of(rng, most=4, limit=6000, least=0):
    """Few or many axes, zeros and ones among the sizes."""
    shape = [int(rng.choice(SIZES)) for _ in range(rng.integers(least, most + 1))]
    if rng.random() < 0.7:
        shape = [n or 2 for n in shape]
    while np.prod(shape, dtype=int) > limit:
        shape[int(np.argmax(shape))] //= 2
    return tuple(shape)


def numbers(rng, shape, dtype):
    """Small numbers, so that sums and products stay exact for integers and near 1 for floats."""
    if dtype.kind == "b":
        return np.asarray(rng.random(shape) < 0.5)
    if is_float(dtype):
        return np.asarray(rng.normal(0, 2, shape)).astype(dtype)
    return np.asarray(rng.integers(0 if dtype.kind == "u" else -9, 10, shape), dtype)


def relaid(rng, a):
    """The same values in other memory: permuted, reversed, spread out, off alignment, read-only."""
    order = rng.permutation(a.ndim)
    a = np.ascontiguousarray(a.transpose(order)) if a.ndim else a.copy()
    for axis in range(a.ndim):
        how = rng.random()
        at = (slice(None),) * axis
        if how < 0.15:
            a = np.flip(np.flip(a, axis).copy(order="A"), axis)
        elif how < 0.35 and a.size < 20_000:
            step, first = int(rng.integers(2, 4)), int(rng.integers(0, 3))
            room = list(a.shape)
            room[axis] = a.shape[axis] * step + first
            spread = np.zeros(room, a.dtype)
            part = spread[(*at, slice(first, None, step))][(*at, slice(0, a.shape[axis]))]
            part[...] = a
            a = part
    if rng.random() < 0.15 and a.flags.c_contiguous and a.dtype.itemsize > 1:
        raw = bytearray(a.nbytes + 16)
        odd = np.ndarray(a.shape, a.dtype, raw, int(rng.integers(1, a.dtype.itemsize)))
        odd[...] = a
        a = odd
    return a.transpose(np.argsort(order)) if a.ndim else a


def array(rng, shape, dtype, repeat=True):
    """A random array; some axes may be one element repeated, by stride 0."""
    small = tuple(1 if repeat and n > 1 and rng.random() < 0.1 else n for n in shape)
    a = relaid(rng, numbers(rng, small, dtype))
    if small != tuple(shape):
        return np.broadcast_to(a, shape)
    if repeat and rng.random() < 0.1:
        a.flags.writeable = False
    return a


def overlapping(rng, a):
    """(a copy of ``a`` and an array to write to, in one buffer, so that they share some memory)"""
    buffer = np.zeros(a.size * 2 + 8, a.dtype)
    first, second = (int(rng.integers(0, a.size + 4)) for _ in range(2))
    if rng.random() < 0.3:
        second = first
    source, target = (buffer[start : start + a.size].reshape(a.shape) for start in (first, second))
    if rng.random() < 0.3:
        target = target[::-1] if target.ndim else target
    source[...] = a
    return source, target
