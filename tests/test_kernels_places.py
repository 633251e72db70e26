"""Kernels that pool windows, join arrays, write rows and masked places, clear triangles and view memory."""

import itertools
from functools import partial

import numpy as np
import pytest
from kernel_cases import CLEAN, F4, I8, cases, same
from layouts import DTYPES, is_float, numbers, relaid

import gradflow as gf
from gradflow import backends as b
from gradflow.backends.cpu import strided
from gradflow.ops.pooling import share, windows_of

NUMBERS = [d for d in DTYPES if d.kind != "b"]
WIDE = [d for d in NUMBERS if d.itemsize > 2 or d.kind not in "fV"]


def random_windows(rng, space):
    if rng.random() < 0.3:
        return tuple(share(n, int(rng.integers(1, 5))) for n in space), (1,) * len(space)
    kernel = tuple(int(rng.integers(1, min(3, n) + 1)) for n in space)
    stride = tuple(int(rng.integers(1, 4)) for _ in space)
    before = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    out = tuple((n + 2 * q - k) // t + 1 for n, k, t, q in zip(space, kernel, stride, before, strict=True))
    return tuple(windows_of(space, kernel, stride, before, (1,) * len(space), out, bool(rng.random() < 0.5)))


def parts(windows, space):
    """For each window its place, the flat places of its elements in order, and its divisor."""
    spans, steps = windows
    for at in np.ndindex(*(len(s) for s in spans)):
        along = [[int(s[i, 0]) + k * step for k in range(int(s[i, 1]))] for s, i, step in zip(spans, at, steps, strict=True)]
        flat = [int(np.ravel_multi_index(place, space)) for place in itertools.product(*along)]
        yield at, flat, int(np.prod([s[i, 2] for s, i in zip(spans, at, strict=True)]))


def test_windows_give_what_a_loop_gives():
    for rng in cases(60, 71):
        space = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))
        lead = tuple(int(n) for n in rng.integers(0 if rng.random() < 0.1 else 1, 4, rng.integers(0, 3)))
        windows = random_windows(rng, space)
        x = numbers(rng, (*lead, *space), NUMBERS[rng.integers(len(NUMBERS))])
        if is_float(x.dtype) and x.size and rng.random() < 0.4:
            x.reshape(-1)[rng.integers(x.size)] = rng.choice([np.nan, -np.inf])
        values, places = b.pool_max(relaid(rng, x), *windows)
        assert values.dtype == x.dtype and places.dtype == I8
        planes = x.reshape(-1, int(np.prod(space))).astype("f8")
        for at, flat, _ in parts(windows, space):
            got = places[(..., *at)].reshape(-1)
            for plane, place, value in zip(planes, got, values[(..., *at)].reshape(-1), strict=True):
                best = plane[flat]
                nans = np.flatnonzero(np.isnan(best))
                assert place == flat[nans[-1] if len(nans) else int(best.argmax())]
                np.testing.assert_equal(float(value), plane[place])


def test_means_of_windows_and_their_way_back():
    for rng in cases(60, 72):
        space = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))
        lead = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
        windows = random_windows(rng, space)
        dtype = WIDE[rng.integers(len(WIDE))]
        x = numbers(rng, (*lead, *space), dtype)
        got = b.pool_mean(relaid(rng, x), *windows)
        planes, want = x.reshape(-1, int(np.prod(space))), np.zeros(got.shape, "f8")
        g = numbers(rng, got.shape, dtype)
        back = np.zeros(planes.shape, "f8")
        for at, flat, by in parts(windows, space):
            total = planes[:, flat].astype("f8").sum(1)
            want[(..., *at)] = (total / by if is_float(dtype) else np.trunc(total / by)).reshape(lead)
            share_of = g[(..., *at)].astype("f8").reshape(-1, 1) / by
            np.add.at(back, (slice(None), flat), share_of if is_float(dtype) else np.trunc(share_of))
        spread = b.pool_spread(relaid(rng, g), space, *windows)
        assert got.dtype == spread.dtype == dtype and spread.shape == x.shape
        if is_float(dtype):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(spread.reshape(back.shape), back, rtol=1e-4, atol=1e-4)
        else:
            same(got, want.astype("i8").astype(dtype))
            same(spread.reshape(back.shape), back.astype("i8").astype(dtype))


def test_rows_and_masked_places_are_written():
    for rng in cases(80, 73):
        dtype = DTYPES[rng.integers(10)]
        shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 4)))
        axis = int(rng.integers(len(shape)))
        index = rng.integers(0, shape[axis], tuple(rng.integers(0, 4, rng.integers(1, 3))))
        x = numbers(rng, shape, dtype)
        src = numbers(rng, (*shape[:axis], *index.shape, *shape[axis + 1 :]), dtype)
        want, out = x.copy(), relaid(rng, x)
        if not out.flags.writeable or not out.flags.aligned:
            out = x.copy()
        for at in np.ndindex(*index.shape):  # of equal indices the last
            want[(slice(None),) * axis + (index[at],)] = src[(slice(None),) * axis + at]
        assert b.put_rows(out, axis, index.astype("i4") if rng.random() < 0.3 else index, relaid(rng, src)) is out
        same(out, want)
        mask = rng.random(shape) < 0.5
        given = numbers(rng, (int(mask.sum()) + int(rng.integers(0, 3)),), dtype)
        out, want = x.copy(), x.copy()
        want[mask] = given[: int(mask.sum())]
        assert b.put_where(out, mask, given) == mask.sum()
        same(out, want)


def test_rows_from_their_own_table():
    x = np.arange(12.0).reshape(4, 3)
    same(b.put_rows(x, 0, np.array([1, 0]), x[:2]), np.array([[3.0, 4, 5], [0, 1, 2], [6, 7, 8], [9, 10, 11]]))
    flat = np.arange(6)
    b.put_where(flat, np.array([0, 1, 1, 0, 1, 0], bool), flat[:4])
    same(flat, np.array([0, 0, 1, 3, 2, 5]))


def test_arrays_are_joined():
    for rng in cases(60, 74):
        shape = [int(n) for n in rng.integers(0, 5, rng.integers(1, 4))]
        axis, code = int(rng.integers(len(shape))), int(rng.integers(6, 10))
        arrays = [numbers(rng, (*shape[:axis], int(rng.integers(0, 4)), *shape[axis + 1 :]), DTYPES[rng.integers(8, 10)]) for _ in range(3)]
        got = b.join(tuple(relaid(rng, a) for a in arrays), axis, code, False)
        same(got, np.concatenate([a.astype(DTYPES[code]) for a in arrays], axis))
        alike = [numbers(rng, tuple(shape), DTYPES[code]) for _ in range(2)]
        new = int(rng.integers(len(shape) + 1))
        same(b.join(tuple(relaid(rng, a) for a in alike), new, code, True), np.stack(alike, new))
    assert b.join((np.ones(3), np.ones((1, 3))), 0, 9, False) is None
    assert b.join((), 0, 9, False) is None
    assert b.join((np.ones(3),), 1, 9, False) is None


def test_triangles_are_cleared():
    for rng in cases(60, 75):
        shape = tuple(int(n) for n in rng.integers(0, 6, rng.integers(2, 5)))
        x = numbers(rng, shape, DTYPES[rng.integers(10)])
        k = int(rng.integers(-shape[-2], shape[-1] + 1))
        out = relaid(rng, x)
        out = out if out.flags.writeable else x.copy()
        same(b.clear_triangle(out, k, True), np.tril(x, k))
        same(b.clear_triangle(x, k, False), np.triu(np.tril(x, x.shape[-1]), k))


def test_a_view_stays_within_its_memory():
    x = np.arange(12.0)
    same(strided(x, (3, 4), (8, 16), 8), np.lib.stride_tricks.as_strided(x[1:], (3, 4), (8, 16)))
    same(strided(x[4:], (2,), (-8,), 0), np.array([4.0, 3.0]))
    assert strided(x, (0, 5), (8, 8), 10**9).shape == (0, 5)
    view = strided(x, (2,), (8,), 0)
    view[0] = 7
    assert x[0] == 7 and view.base is x
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    assert not strided(frozen, (2,), (8,), 0).flags.writeable


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_same_bits_for_any_number_of_threads(threads):
    rng = np.random.default_rng(8)
    x, g = rng.standard_normal((40, 30, 30)).astype(F4), rng.standard_normal((40, 15, 15)).astype(F4)
    w = tuple(windows_of((30, 30), (3, 3), (2, 2), (1, 1), (1, 1), (15, 15), True))
    table, index = rng.standard_normal((500, 100)), rng.integers(0, 500, 2000)
    rows = rng.standard_normal((2000, 100))

    def results():
        return [*b.pool_max(x, *w), b.pool_mean(x, *w), b.pool_spread(g, (30, 30), *w), b.put_rows(table.copy(), 0, index, rows)]

    before = gf.get_num_threads()
    try:
        gf.set_num_threads(threads)
        got = results()
        gf.set_num_threads(1)
        for a, c in zip(got, results(), strict=True):
            same(a, c)
    finally:
        gf.set_num_threads(before)


def test_what_is_no_proper_call_is_refused():
    x, frozen = np.ones((2, 4, 4), F4), np.ones((4, 4), F4)
    frozen.flags.writeable = False
    w, s = tuple(windows_of((4, 4), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2), True))
    beyond, negative, zero = w[0].copy(), w[0].copy(), w[0].copy()
    beyond[1, 1], negative[0, 0], zero[0, 2] = 3, -1, 0
    i, mask, short = np.zeros(4, I8), np.ones((4, 4), bool), tuple(span.astype("i4") for span in w)
    for call in (
        *(partial(f, x, spans, s) for f in (b.pool_max, b.pool_mean) for spans in ((beyond, w[0]), (negative, w[0]), w[:1], 3, short)),
        *(partial(f, x, w, (0, 1)) for f in (b.pool_max, b.pool_mean)),
        lambda: b.pool_mean(x, (zero, w[0]), s),
        lambda: b.pool_mean(x.astype("f2"), w, s),
        lambda: b.pool_max(x > 0, w, s),
        lambda: b.pool_max(x[0, 0], w, s),
        lambda: b.pool_max(x, w),
        lambda: b.pool_max(3, w, s),
        lambda: b.pool_spread(x, (4, 4), w, s),
        lambda: b.pool_spread(np.ones((2, 2), F4), (-4, 4), w, s),
        lambda: b.pool_spread(np.ones((2, 2), F4), (2**62, 4), w, s),
        lambda: b.pool_spread(np.ones((2, 2), F4), 4, w, s),
        lambda: b.put_rows(frozen, 0, i, np.ones((4, 4), F4)),
        lambda: b.put_rows(x[0], 0, i, np.ones((3, 4), F4)),
        lambda: b.put_rows(x[0], 0, i + 4, np.ones((4, 4), F4)),
        lambda: b.put_rows(x[0], 0, i - 1, np.ones((4, 4), F4)),
        lambda: b.put_rows(x[0], 0, i, np.ones((4, 4))),
        lambda: b.put_rows(x[0], 0, i.astype(F4), np.ones((4, 4), F4)),
        lambda: b.put_where(frozen, mask, np.ones(16, F4)),
        lambda: b.put_where(x[0], mask, np.ones(15, F4)),
        lambda: b.put_where(x[0], mask[0], np.ones(16, F4)),
        lambda: b.put_where(x[0], mask.astype("u1"), np.ones(16, F4)),
        lambda: b.put_where(x[0], mask, np.ones(16)),
        lambda: b.put_where(x[0].T[:2], mask[:2], np.ones(16, F4)),
        lambda: b.put_where(x, 3, x),
        lambda: b.join([x], 0, 8, False),
        lambda: b.join((x,), 0, 99, False),
        lambda: b.join((x,), "0", 8, False),
        lambda: strided(x, (33,), (4,), 0),
        lambda: strided(x, (2,), (4,), -4),
        lambda: strided(x, (2**62,), (2**62,), 0),
        lambda: strided(x, (2,), (4, 4), 0),
        lambda: strided(x, (-1,), (4,), 0),
        lambda: strided(3, (1,), (4,), 0),
        lambda: b.clear_triangle(frozen, 0, True),
        lambda: b.clear_triangle(np.ones(3), 0, True),
        lambda: b.clear_triangle(np.ones((3, 3)), 2**40, True),
        lambda: b.clear_triangle(3, 0, True),
    ):
        with pytest.raises(CLEAN):
            call()
    assert (x == 1).all() and (frozen == 1).all()
