"""The gradient is orthogonal to the contour lines and points uphill: draws docs/images/contours.svg.

python examples/contours.py [path]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import gradflow as gf


def height(x: gf.Tensor, y: gf.Tensor) -> gf.Tensor:
    """Two hills and a hollow."""
    return gf.exp(-(x**2) - y**2) + 0.7 * gf.exp(-((x - 1.5) ** 2) - (y - 0.8) ** 2) - 0.5 * gf.exp(-((x + 1) ** 2) - (y - 1) ** 2)


def slopes(x: gf.Tensor, y: gf.Tensor) -> tuple[gf.Tensor, gf.Tensor]:
    """The gradient of the height at every point: the points do not touch one another, so that of the sum."""
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    dx, dy = gf.autograd.grad(height(x, y).sum(), (x, y))
    return dx, dy


def draw(path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "gradflow"  # the same file every time
    fine = np.linspace(-2.5, 3, 200)
    X, Y = np.meshgrid(fine, fine)
    figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
    axes.contour(X, Y, height(gf.from_numpy(X), gf.from_numpy(Y)).numpy(), levels=16, cmap="viridis", linewidths=0.8)
    coarse = np.linspace(-2.2, 2.7, 14)
    x, y = np.meshgrid(coarse, coarse)
    dx, dy = slopes(gf.from_numpy(x), gf.from_numpy(y))
    axes.quiver(x, y, dx.numpy(), dy.numpy(), color="#c0392b", width=0.003)
    axes.set(aspect="equal", title="The gradient is orthogonal to the contour lines and points uphill", xlabel="x", ylabel="y")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images" / "contours.svg")
