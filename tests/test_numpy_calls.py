"""NumPy's functions of tensors keep gradients, and give arrays where there are none."""

import numpy as np
import pytest

import gradflow as gf

A = np.random.default_rng(0).uniform(0.2, 2, (3, 4))

CALLS = {
    "sin": lambda m, x: m.sin(x) if m is np else x.sin(),
    "ndarray times": lambda m, x: A * x,
    "ndarray minus": lambda m, x: A - x,
    "rint": lambda m, x: np.rint(x) * x if m is np else x.round() * x,
    "concatenate": lambda m, x: np.concatenate([x, 2 * x], axis=1) if m is np else gf.cat([x, 2 * x], 1),
    "stack": lambda m, x: np.stack([x, x * x]) if m is np else gf.stack([x, x * x]),
    "sum": lambda m, x: np.sum(x, axis=0) if m is np else x.sum(0),
    "mean": lambda m, x: np.mean(x, axis=1, keepdims=True) if m is np else x.mean(1, keepdim=True),
    "std": lambda m, x: np.std(x, axis=1) if m is np else x.std(1, correction=0),
    "var": lambda m, x: np.var(x, ddof=1) if m is np else x.var(),
    "where": lambda m, x: np.where(x > 1, x, 0.0) if m is np else gf.where(x > 1, x, 0.0),
    "transpose": lambda m, x: np.transpose(x, (1, 0)) if m is np else x.permute(1, 0),
    "reshape": lambda m, x: np.reshape(x, (4, 3)) if m is np else x.reshape(4, 3),
    "clip": lambda m, x: np.clip(x, 0.5, 1.5) if m is np else x.clamp(0.5, 1.5),
    "expand_dims": lambda m, x: np.expand_dims(x, 0) if m is np else x.unsqueeze(0),
    "max": lambda m, x: np.max(x) if m is np else x.max(),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients_go_through(name):
    results = []
    for m in (np, gf):
        x = gf.tensor(A, requires_grad=True)
        y = CALLS[name](m, x)
        assert isinstance(y, gf.Tensor)
        (y * y).sum().backward()
        results.append((y.detach().numpy(), x.grad.numpy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_a_gradient_the_arrays_are_taken():
    x = gf.tensor(A)
    assert isinstance(np.concatenate([x, x]), np.ndarray)
    assert np.sum(x) == A.sum() and np.allclose(x, A) and np.array_equal(np.sort(x), np.sort(A))
    total = A.copy()
    total += x
    assert np.array_equal(total, 2 * A) and np.add.reduce(x, axis=0).shape == (4,)
    assert np.array_equal(np.cbrt(x), np.cbrt(A))


def test_what_has_no_gradient_is_refused():
    x = gf.tensor(A, requires_grad=True)
    with pytest.raises(gf.errors.GradError, match=r"numpy\.sort: no gradient"):
        np.sort(x)
    with pytest.raises(TypeError):
        np.cbrt(x)
    with gf.no_grad():
        assert np.sin(x).grad_fn is None
