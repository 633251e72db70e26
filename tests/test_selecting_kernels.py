"""Kernels that select and divide: the first few of a row, permutations, integer division, clamping, fills."""

import numpy as np
import pytest
from layouts import DTYPES, is_float, numbers, shape_of

from gradflow import backends as b
from gradflow import scalar as s

F4, F8, I8 = np.dtype("f4"), np.dtype("f8"), np.dtype("i8")


def cases(n, seed):
    return (np.random.default_rng([seed, i]) for i in range(n))


def same(got, want):
    assert got.shape == want.shape and got.dtype == want.dtype
    wide = F8 if is_float(want.dtype) else want.dtype
    assert np.array_equal(got.astype(wide), want.astype(wide), equal_nan=is_float(want.dtype))


def test_first_places():
    for rng in cases(300, 44):
        dtype = DTYPES[rng.integers(10)]
        x = np.ascontiguousarray(numbers(rng, shape_of(rng, 3, 2000, least=1), dtype))
        if is_float(dtype) and x.size:
            x.flat[rng.integers(0, x.size, 3)] = [np.nan, np.inf, -0.0]
        if dtype not in (np.dtype("i4"), I8, F4, F8):
            with pytest.raises(TypeError, match="top: is not defined for"):
                b.cpu.top(np.ones((1, 1), dtype), 1, 1)
            continue
        n = x.shape[-1]
        k, largest = int(rng.integers(0, n + 1)), int(rng.integers(2))
        rank = np.nan_to_num(x, nan=np.inf, posinf=1e30, neginf=-1e30) if is_float(dtype) else x
        want = np.argsort(-rank if largest else rank, -1, kind="stable")[..., :k]
        same(b.cpu.top(x, k, largest), want)


def test_a_shuffle_is_a_permutation():
    draws = np.random.default_rng(2).integers(0, 2**62, 10_000)
    order = b.cpu.shuffle(draws)
    assert np.array_equal(np.sort(order), np.arange(10_000)) and abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05
    assert np.array_equal(b.cpu.shuffle(np.zeros(3, I8)), np.arange(3)) and b.cpu.shuffle(np.zeros(0, I8)).size == 0
    counts = np.bincount([b.cpu.shuffle(d) @ (9, 3, 1) for d in np.random.default_rng(3).integers(0, 2**62, (6000, 3))])
    assert np.all(abs(counts[counts > 0] - 1000) < 150) and (counts > 0).sum() == 6


def test_the_same_bits_on_any_number_of_threads(threads):
    rng = np.random.default_rng(5)
    x, draws = rng.standard_normal((64, 3000)).astype(F4), rng.integers(0, 2**62, 200_000)
    x.flat[::97] = np.nan
    index = np.argsort(rng.random((64, 3000)), -1)
    whole = rng.integers(-(10**6), 10**6, 300_000)
    divide = b.kernel(lambda p, q: s.floor_divide(p, q))
    found = []
    for n in (1, 2, 3):
        threads(n)
        out = np.zeros_like(x)
        b.cpu.scatter(out, 1, index, x)
        found.append([out, b.cpu.top(x, 50, 1), b.cpu.top(x, 3000, 0), b.cpu.shuffle(draws), b.elementwise(divide, (whole, whole[::-1]))])
    for other in found[1:]:
        assert all(a.tobytes() == c.tobytes() for a, c in zip(found[0], other, strict=True))


def test_integers_are_divided_as_pythons():
    """Small ones in vectors, and a tile in which one is large one by one."""
    edges = [0, 1, -1, 2, 3, -3, 2**51 - 1, -(2**51), 10**15]
    far = [2**51, -(2**51) - 1, 2**53 + 1, 2**62 + 3, 2**63 - 1, -(2**63)]
    for some in (edges, edges + far):
        x, y = (v.ravel() for v in np.meshgrid(np.array(some), np.array(some)))
        x, y = np.tile(x, 40), np.tile(y, 40)
        for kernel, of in (
            (b.kernel(lambda p, q: s.floor_divide(p, q)), lambda p, q: (p // q + 2**63) % 2**64 - 2**63 if q else 0),
            (b.kernel(lambda p, q: s.remainder(p, q)), lambda p, q: p % q if q else 0),
        ):
            same(b.elementwise(kernel, (x, y)), np.array([of(p, q) for p, q in zip(x.tolist(), y.tolist())], I8))


@pytest.mark.parametrize("dtype", [F4, F8])
def test_clamping_in_one_instruction(dtype):
    values = np.array([0.0, -0.0, 1, -1, 2, np.inf, -np.inf, np.nan, 0.5], dtype)
    x, low, high = (v.ravel() for v in np.meshgrid(values, values, values))
    clamp = b.kernel(lambda p, q, r: s.minimum(s.maximum(p, q), r))
    same(b.elementwise(clamp, (x, low, high)), np.minimum(np.maximum(x, low), high))


def test_fills_and_copies_in_large_pieces():
    for dtype in DTYPES:
        for x in (np.empty(70_001, dtype), np.empty((300, 250), dtype).T, np.empty((40, 90), dtype)[:, ::2]):
            same(b.copy(True, x), np.ones(x.shape, dtype))
            given = numbers(np.random.default_rng(0), x.shape, dtype)
            same(b.copy(given, x), given)


def test_scatter_writes_the_last_of_equal_indices():
    for rng in cases(200, 45):
        dtype, shape = DTYPES[rng.integers(10)], shape_of(rng, 3, 500, least=1)
        axis = int(rng.integers(len(shape)))
        table, values = numbers(rng, shape, dtype).T.copy().T, numbers(rng, shape, dtype)
        index = rng.integers(0, max(shape[axis], 1), shape)
        want = table.copy()
        for place in np.ndindex(shape):
            want[(*place[:axis], index[place], *place[axis + 1 :])] = values[place]
        same(b.cpu.scatter(table, axis, index, values), want)
    with pytest.raises(IndexError, match="index 5 is out of bounds"):
        b.cpu.scatter(np.zeros(5, F4), 0, np.array([5]), np.ones(1, F4))
