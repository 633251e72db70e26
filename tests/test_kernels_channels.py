"""Kernels of single channels and of bags: convolutions whose results belong to one channel each, folds into places, sums of rows, modes."""

import numpy as np
import pytest

import gradflow as gf
from gradflow.backends import cpu
from gradflow.errors import ArgumentError, OutOfRangeError, ShapeError

RNG = np.random.default_rng(5)

WINDOWS = {  # input channels, multiplier, the input's space, the kernel, stride, padding, dilation
    "rows": (3, 1, (9,), (3,), (1,), (1,), (1,)),
    "long steps": (2, 2, (17,), (4,), (3,), (2,), (2,)),
    "planes": (4, 1, (6, 37), (3, 3), (1, 1), (1, 1), (1, 1)),
    "uneven": (3, 2, (8, 11), (5, 3), (2, 1), (4, 0), (1, 2)),
    "steps": (2, 1, (9, 40), (3, 5), (2, 3), (1, 2), (1, 1)),
    "wider than the space": (2, 1, (2, 3), (5, 7), (1, 1), (3, 4), (1, 1)),
    "volumes": (2, 3, (4, 5, 6), (2, 3, 3), (1, 2, 1), (1, 0, 2), (2, 1, 1)),
}


def by_hand(x, w, stride, padding, dilation):
    """(the result, of each of its elements and each tap the input's element, as places in the padded input)"""
    space = w.ndim - 2
    padded = np.pad(x, [(0, 0), (0, 0), *((n, n) for n in padding)])
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, tuple(range(2, 2 + space)))
    view = view[(slice(None), slice(None), *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))]
    view = np.repeat(view, w.shape[0] // x.shape[1], 1)  # (N, O, *out, *kernel)
    return view, (view * w.reshape(1, w.shape[0], *(1,) * space, *w.shape[2:])).sum(tuple(range(2 + space, 2 + 2 * space)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", WINDOWS)
def test_convolutions_of_single_channels(name, dtype):
    channels, each, size, kernel, stride, padding, dilation = WINDOWS[name]
    x, w = RNG.standard_normal((2, channels, *size)), RNG.standard_normal((channels * each, 1, *kernel))
    view, want = by_hand(x, w, stride, padding, dilation)
    space, out = len(size), want.shape[2:]
    x, w, want, view = (a.astype(dtype) for a in (x, w, want, view))
    how = stride, padding, dilation, channels
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    turned = np.asfortranarray(x)  # in another order of memory
    for source in (x, turned, x[:, ::-1][:, ::-1]):
        np.testing.assert_allclose(cpu.by_channel(0, source, w, out, *how), want, **tolerance)
    g = RNG.standard_normal(want.shape).astype(dtype)
    dw = cpu.by_channel(2, x, g, kernel, *how)
    axes = (0, *range(2, 2 + space))
    np.testing.assert_allclose(dw[:, 0], (view * g.reshape(*g.shape, *(1,) * space)).sum(axes), **tolerance)
    dx = cpu.by_channel(1, g, w, size, *how)  # the adjoint of the first in x
    t = RNG.standard_normal(x.shape).astype(dtype)
    np.testing.assert_allclose((dx * t).sum(), (g * cpu.by_channel(0, t, w, out, *how)).sum(), rtol=1e-3, atol=1e-3)


def test_empty_planes_and_batches():
    how = (1,), (1,), (1,), 2
    assert cpu.by_channel(0, np.ones((0, 2, 5)), np.ones((2, 1, 3)), (5,), *how).shape == (0, 2, 5)
    assert cpu.by_channel(0, np.ones((3, 2, 0)), np.ones((2, 1, 3)), (0,), *how).shape == (3, 2, 0)
    assert not cpu.by_channel(2, np.ones((0, 2, 5)), np.ones((0, 2, 5)), (3,), *how).any()
    assert not cpu.by_channel(1, np.ones((3, 2, 0)), np.ones((2, 1, 3)), (4,), *how).any()


def test_what_lies_between_the_rows_does_not_count():
    x, w = np.zeros((1, 2, 4, 5), np.float32), np.ones((2, 1, 3, 3), np.float32)
    x[0, 0, 1, 0] = np.nan
    y = cpu.by_channel(0, x, w, (4, 5), (1, 1), (1, 1), (1, 1), 2)
    assert np.isnan(y).sum() == 6 and np.isnan(y[0, 0, :3, :2]).all()
    g = np.zeros((1, 2, 4, 5), np.float32)
    dw = cpu.by_channel(2, x, g, (3, 3), (1, 1), (1, 1), (1, 1), 2)
    assert np.isnan(dw[0, 0, :, :2]).all() and not np.isnan(dw[0, 0, :, 2]).any()


def test_the_same_bits_with_one_thread():
    x, w = RNG.standard_normal((8, 16, 40, 40)).astype(np.float32), RNG.standard_normal((16, 1, 3, 3)).astype(np.float32)
    how = (1, 1), (1, 1), (1, 1), 16

    def results():
        y = cpu.by_channel(0, x, w, (40, 40), *how)
        rows = cpu.add_rows_of(np.zeros((9, 1600), np.float32), np.arange(640) % 9, x.reshape(-1, 1600), np.arange(640) % 128)
        return y, cpu.by_channel(1, y, w, (40, 40), *how), cpu.by_channel(2, x, y, (3, 3), *how), rows

    before, several = gf.get_num_threads(), results()
    gf.set_num_threads(1)
    try:
        for a, b in zip(results(), several, strict=True):
            assert a.tobytes() == b.tobytes()
    finally:
        gf.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "int8", "uint8"])
def test_folds_into_places(dtype):
    table, source = RNG.integers(-4, 5, (5, 7)).astype(dtype), RNG.integers(-4, 5, (6, 7)).astype(dtype)
    index, rows = RNG.integers(0, 5, (6, 7)), RNG.integers(0, 5, 6)
    for kind, fold in enumerate((np.multiply, np.maximum, np.minimum)):
        for layout in (source, np.asfortranarray(source), source[::-1]):
            want = table.copy()
            fold.at(want, (index, np.arange(7)), layout)
            np.testing.assert_array_equal(cpu.scatter_fold(table.copy(), 0, index, layout, kind), want)
            want = table.copy()
            fold.at(want, rows, layout)
            np.testing.assert_array_equal(cpu.fold_rows(table.copy(), 0, rows, layout, kind), want)


def test_nan_wins_folds():
    table, source = np.array([1.0, np.nan, 2.0]), np.array([np.nan, 5.0, 3.0])
    assert np.isnan(cpu.scatter_fold(table.copy(), 0, np.arange(3), source, 1)).tolist() == [True, True, False]
    assert np.isnan(cpu.scatter_fold(table.copy(), 0, np.arange(3), source, 2)).tolist() == [True, True, False]


def test_sums_of_rows():
    for dtype in (np.float32, np.float64):
        table, to, source = RNG.standard_normal((5, 7)).astype(dtype), RNG.integers(0, 4, 30), RNG.integers(0, 5, 30)
        want = np.zeros((4, 7))
        np.add.at(want, to, table.astype(np.float64)[source])
        np.testing.assert_allclose(cpu.add_rows_of(np.zeros((4, 7), dtype), to, table, source), want, rtol=1e-5, atol=1e-6)
    assert cpu.add_rows_of(np.zeros((0, 7)), to[:0], np.zeros((0, 7)), to[:0]).shape == (0, 7)
    with pytest.raises(OutOfRangeError, match="index 4 is out of bounds"):
        cpu.add_rows_of(np.zeros((4, 7)), np.full(30, 4), np.zeros((5, 7)), source)
    with pytest.raises(ShapeError, match="rows of one length"):
        cpu.add_rows_of(np.zeros((4, 6)), to, np.zeros((5, 7)), source)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_modes(dtype):
    x = RNG.integers(-3, 4, (50, 13)).astype(dtype)
    for row, place in zip(x, cpu.mode(x)[:, 0], strict=True):
        values, counts = np.unique(row, return_counts=True)
        assert row[place] == values[counts.argmax()] and place == np.flatnonzero(row == row[place])[-1]
    assert cpu.mode(x[:0]).shape == (0, 1)
    if dtype.startswith("f"):
        assert cpu.mode(np.array([np.nan, 1, np.nan], dtype)).tolist() == [2]


WRONG = {
    "kind": (lambda x, w: cpu.by_channel(3, x, w, (3,), (1,), (1,), (1,), 2), ArgumentError),
    "channels": (lambda x, w: cpu.by_channel(0, x, w[:1], (3,), (1,), (1,), (1,), 2), ShapeError),
    "stride": (lambda x, w: cpu.by_channel(0, x, w, (3,), (0,), (1,), (1,), 2), ArgumentError),
    "sizes": (lambda x, w: cpu.by_channel(0, x, w, (3, 3), (1,), (1,), (1,), 2), ArgumentError),
    "types": (lambda x, w: cpu.by_channel(0, x, w.astype(np.float32), (3,), (1,), (1,), (1,), 2), ArgumentError),
    "samples": (lambda x, w: cpu.by_channel(2, x, x[:1], (3,), (1,), (1,), (1,), 2), ShapeError),
    "fold": (lambda x, w: cpu.scatter_fold(x, 0, np.zeros(x.shape, int), x, 7), ArgumentError),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, kind = WRONG[name]
    with pytest.raises(kind):
        call(np.ones((2, 2, 3)), np.ones((2, 1, 3)))


def test_windows_very_far_from_each_other():
    conv = gf.nn.functional.conv2d
    x, w = gf.arange(18.0).reshape(1, 2, 3, 3).requires_grad_(), gf.arange(8.0).reshape(2, 1, 2, 2).requires_grad_()
    y = conv(x, w, stride=2**62, groups=2)  # only the first windows are in the plane
    assert y.tolist() == conv(x[..., :2, :2], w, groups=2).tolist()
    y.sum().backward()
    assert w.grad.tolist() == x[..., :2, :2].reshape(2, 1, 2, 2).tolist()
    assert x.grad[..., :2, :2].reshape(2, 1, 2, 2).tolist() == w.tolist() and x.grad[..., 2:, :].sum() == 0
    assert gf.nn.functional.conv3d(gf.ones(1, 2, 3, 3, 3), gf.ones(2, 1, 2, 2, 2), stride=2**31, groups=2).tolist() == [[[[[8]]]] * 2]
    assert (conv(x, w[..., :1, :1], dilation=2**62, groups=2) == x * w[:, 0, :1, :1]).all()
    for far in (10**9, 2**32):
        with pytest.raises(MemoryError):
            conv(x, w, dilation=far, padding=far // 2, groups=2)
    assert conv(x, w, groups=2).shape == (1, 2, 2, 2)  # the threads are there as before
