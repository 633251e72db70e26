"""Fractional pooling, channels' normalisation, gradients of convolutions as functions and signal.windows agree with torch's."""

import numpy as np
import pytest

import gradflow as gf

F = gf.nn.functional


@pytest.mark.parametrize(
    ("n", "shape", "kernel", "out"),
    [
        (2, (2, 3, 9, 11), 2, (4, 5)), (2, (3, 9, 11), (3, 2), (3, 3)), (2, (2, 3, 7, 7), 2, (1, 1)), (2, (0, 3, 9, 11), 2, (4, 5)),
        (3, (2, 3, 7, 8, 9), 2, (3, 4, 5)), (3, (3, 7, 8, 9), (1, 2, 3), (3, 1, 5)),
    ],
)  # fmt: skip
def test_drawn_windows_agree(torch, n, shape, kernel, out):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype("f")
    samples = rng.random((shape[0] if len(shape) == n + 2 else 1, 3, n)).astype("f")
    results = []
    for lib in (torch, gf):
        a = lib.tensor(x, requires_grad=True)
        pool = getattr(lib.nn, f"FractionalMaxPool{n}d")(kernel, output_size=out, return_indices=True, _random_samples=lib.tensor(samples))
        y, places = pool(a)
        (y * y).sum().backward()
        results.append((y.detach().numpy(), places.numpy(), a.grad.numpy()))
    for theirs, ours in zip(*results, strict=True):
        assert np.array_equal(theirs, ours)


def test_windows_are_drawn_anew():
    gf.manual_seed(0)
    x = gf.rand(1, 1, 30, 30)
    pool = gf.nn.FractionalMaxPool2d(2, output_ratio=(0.4, 0.7))
    assert pool(x).shape == (1, 1, 12, 21) and not gf.equal(pool(x), pool(x))
    assert F.fractional_max_pool2d(x, 2, output_ratio=0.5).shape == (1, 1, 15, 15)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F.fractional_max_pool2d(gf.ones(1, 1, 4, 4), 2), ValueError, "output_size or an output_ratio"),
        (lambda: F.fractional_max_pool2d(gf.ones(1, 1, 4, 4), 3, output_size=3), RuntimeError, "do not fit"),
        (lambda: F.fractional_max_pool2d(gf.ones(4, 4), 2, output_size=2), RuntimeError, "Expected 3D or 4D"),
        (lambda: F.fractional_max_pool2d([1], 2, output_size=2), TypeError, "must be Tensor"),
        (
            lambda: F.fractional_max_pool2d(gf.ones(1, 4, 4), 2, 2, _random_samples=gf.ones(1, 1, 3)),
            RuntimeError,
            "_random_samples of shape",
        ),
        (lambda: F.fractional_max_pool2d(gf.ones(1, 4, 4), 2, 2, _random_samples=gf.ones(1, 1, 2).double()), TypeError, "same dtype"),
        (lambda: gf.nn.FractionalMaxPool2d(2), ValueError, "either an output_size"),
        (lambda: gf.nn.FractionalMaxPool3d(2, output_ratio=1.5), ValueError, "between 0 and 1"),
        (lambda: gf.nn.FractionalMaxPool3d((2, 2), output_size=2), ValueError, "a tuple of 3"),
        (lambda: gf.nn.CrossMapLRN2d(3)(gf.ones(2, 2)), ValueError, "4D"),
    ],
)
def test_wrong_arguments(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize("size", [1, 3, 5, 4])
def test_normalisation_over_channels(torch, size):
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype("f")
    theirs, ours = (lib.nn.CrossMapLRN2d(size, alpha=0.5, beta=0.6, k=2.0) for lib in (torch, gf))
    assert repr(theirs) == repr(ours)
    a, b = theirs(torch.tensor(x)).numpy(), ours(gf.tensor(x)).numpy()
    inner = (size - 1) // 2 + 1  # from there on torch counts channel 0 that has left the window
    assert np.allclose(a[:, :inner], b[:, :inner], rtol=1e-5)
    if size % 2:
        assert np.allclose(b, F.local_response_norm(gf.tensor(x), size, 0.5, 0.6, 2.0).numpy(), rtol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions(torch, n):
    rng = np.random.default_rng(n)
    x, w = rng.normal(size=(2, 4, *[7] * n)), rng.normal(size=(6, 2, *[3] * n))
    settings = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    g = rng.normal(size=getattr(F, f"conv{n}d")(gf.tensor(x), gf.tensor(w), **settings).shape)
    for name, arguments in ((f"conv{n}d_input", (x.shape, w, g)), (f"conv{n}d_weight", (x, w.shape, g))):
        theirs, ours = (
            getattr(lib.nn.grad, name)(*(a if isinstance(a, tuple) else lib.tensor(a) for a in arguments), **settings).numpy()
            for lib in (torch, gf)
        )
        assert np.allclose(theirs, ours)


@pytest.mark.parametrize("name", gf.signal.windows.__all__)
def test_windows_agree(torch, name):
    more = [{"a": [0.3, 0.4, 0.2]}] if name == "general_cosine" else [{}]
    more += {"gaussian": [{"std": 0.9}], "kaiser": [{"beta": 0.0}, {"beta": 3}], "exponential": [{"tau": 2.0}]}.get(name, [])
    more += [{"center": 0.7, "sym": False}] if name == "exponential" else []
    for settings in [s | t for s in more for t in ({}, {"sym": False})]:
        for m in (0, 1, 2, 7, 8):
            for dtype in ("float32", "float64"):
                theirs, ours = (getattr(lib.signal.windows, name)(m, **settings, dtype=getattr(lib, dtype)).numpy() for lib in (torch, gf))
                assert theirs.dtype == ours.dtype and theirs.shape == ours.shape
                assert np.allclose(theirs, ours, rtol=1e-5, atol=1e-6), (m, settings)


def test_windows_refuse():
    w = gf.signal.windows
    for call, kind, text in (
        (lambda: w.hann(-1), ValueError, "non-negative"),
        (lambda: w.hann(3, dtype=gf.int64), ValueError, "float32 or float64"),
        (lambda: w.hann(3.0), TypeError, "integer"),
        (lambda: w.gaussian(3, std=0.0), ValueError, "positive"),
        (lambda: w.exponential(3, tau=-1), ValueError, "positive"),
        (lambda: w.exponential(3, center=1.0), ValueError, "symmetric"),
        (lambda: w.kaiser(3, beta=-1.0), ValueError, "non-negative"),
        (lambda: w.general_cosine(3, a=[]), ValueError, "empty"),
        (lambda: w.general_cosine(3, a=1.0), TypeError, "list"),
    ):
        with pytest.raises(kind, match=text):
            call()
    assert w.hann(3, requires_grad=True).requires_grad
