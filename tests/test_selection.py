"""What is selected from long axes, where no full sort is made, and distances of many rows, against NumPy."""

import numpy as np
import pytest

import gradflow as gf


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("axis", [0, 1])
def test_selections_from_long_axes(axis, dtype):
    a = np.random.default_rng(3).permutation(90 * 80).reshape(90, 80).astype(dtype)
    x, ordered, places = gf.tensor(a), np.sort(a, axis), np.argsort(a, axis)
    for k in (1, 7, 60):
        for largest in (True, False):
            values, indices = x.topk(k, axis, largest)
            want = (np.flip(places, axis) if largest else places).take(range(k), axis)
            assert np.array_equal(indices.numpy(), want)
            assert np.array_equal(values.numpy(), np.take_along_axis(a, want, axis))
        assert np.array_equal(x.kthvalue(k, axis).values.numpy(), ordered.take(k - 1, axis))
    n = a.shape[axis]
    assert np.array_equal(x.median(axis).indices.numpy(), places.take((n - 1) // 2, axis))
    assert x.median().item() == np.sort(a.reshape(-1))[(a.size - 1) // 2]


def test_nan_is_the_median_and_unique_keeps_each():
    x = gf.tensor([3.0, float("nan"), 1.0, float("nan")])
    assert x.median().isnan() and x.nanmedian().item() == 1
    assert len(x.unique()) == 4 and len(x.unique(return_counts=True)[1]) == 4


def test_distances_of_many_rows():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 40, 6)), rng.standard_normal((2, 9, 6))
    want = np.sqrt(((a[:, :, None] - b[:, None]) ** 2).sum(-1))
    x, y = gf.tensor(a, requires_grad=True), gf.tensor(b, requires_grad=True)
    assert np.allclose(gf.cdist(x, y).detach().numpy(), want)
    assert np.allclose(gf.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").detach().numpy(), want)
    assert gf.autograd.gradcheck(gf.cdist, (x, y))
    assert gf.cdist(x, x).sum().isfinite()
