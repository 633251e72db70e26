"""Images read at the places of a grid, against torch."""

import numpy as np
import pytest

import gradflow as gf


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic", "trilinear"])
def test_grid_sample(torch, mode, padding, aligned):
    rng = np.random.default_rng(0)
    shape, places = ((2, 3, 4, 5), (2, 3, 3, 2)) if mode != "trilinear" else ((2, 2, 3, 4, 5), (2, 2, 2, 3, 3))
    image, grid = rng.normal(size=shape), rng.uniform(-2.2, 2.2, size=places)
    found = []
    for t in (torch, gf):
        x, g = t.tensor(image, requires_grad=True), t.tensor(grid, requires_grad=True)
        y = t.nn.functional.grid_sample(x, g, mode.replace("trilinear", "bilinear"), padding, align_corners=aligned)
        y.square().sum().backward()
        found.append([v.detach().numpy() for v in (y, x.grad, g.grad if g.grad is not None else g * 0)])
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
    special = np.array([np.nan, np.inf, -np.inf, 1e30, 1.0, -1.0]).reshape(1, 1, 3, 2)
    if padding == "zeros" and mode != "trilinear":
        a, b = (
            t.nn.functional.grid_sample(t.tensor(image[:1]), t.tensor(special), mode, align_corners=aligned).numpy() for t in (torch, gf)
        )
        np.testing.assert_allclose(b, a, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0:UserWarning")
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 1, 4), (2, 1, 2, 3, 4)])
@pytest.mark.parametrize("aligned", [True, False])
def test_affine_grid(torch, size, aligned):
    n = len(size) - 2
    maps = np.random.default_rng(0).normal(size=(2, n, n + 1))
    found = []
    for t in (torch, gf):
        theta = t.tensor(maps, requires_grad=True)
        y = t.nn.functional.affine_grid(theta, size, align_corners=aligned)
        y.square().sum().backward()
        found.append((y.detach().numpy(), theta.grad.numpy()))
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 2), mode="other"),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 2), padding_mode="other"),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 3), align_corners=True),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2), t.ones(2, 1, 1, 2), align_corners=True),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 0), t.ones(1, 1, 1, 2), align_corners=True),
        lambda t, f: f.grid_sample(t.ones(1, 2, 2), t.ones(1, 1, 2), align_corners=True),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2), t.ones(1, 1, 1, 2, dtype=t.float64), align_corners=True),
        lambda t, f: f.grid_sample(t.ones(1, 1, 2, 2, 2), t.ones(1, 1, 1, 1, 3), mode="bicubic", align_corners=True),
        lambda t, f: f.affine_grid(t.ones(1, 2, 2), (1, 1, 2, 2), align_corners=True),
        lambda t, f: f.affine_grid(t.ones(1, 2, 3), (1, 1, 0, 2), align_corners=True),
        lambda t, f: f.affine_grid(t.ones(1, 2, 3), (1, 1, 2), align_corners=True),
        lambda t, f: f.affine_grid(t.ones(1, 2, 3, dtype=t.int64), (1, 1, 2, 2), align_corners=True),
    ],
)
def test_grid_mistakes(torch, call):
    with pytest.raises(Exception) as theirs:
        call(torch, torch.nn.functional)
    with pytest.raises(theirs.type):
        call(gf, gf.nn.functional)
