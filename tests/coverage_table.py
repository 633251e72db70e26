"""Which derivatives every public operation has: reverse, double backward, forward mode, and vmap. Makes docs/coverage.md.

    python tests/coverage_table.py

An operation is called with the first of a few usual arguments that it takes, or with those that CALLS gives it. Every cell is computed:
reverse against differences, the second derivative likewise, forward mode against reverse, vmap against a loop.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradflow as gf
from gradflow.autograd import gradcheck, gradgradcheck

WIDE = {"reverse": "reverse", "double": "double backward", "forward": "forward mode", "vmap": "vmap"}
PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
F = gf.nn.functional
PLACES = {"": gf, "linalg": gf.linalg, "special": gf.special, "nn.functional": F}


def matrix(low: float = 0.2, n: int = 3, seed: int = 0) -> gf.Tensor:
    """A well-conditioned matrix of distinct values, away from kinks."""
    g = gf.Generator()
    g.manual_seed(seed)
    return (gf.rand(n, n, dtype=gf.float64, generator=g) * 0.5 + low) + gf.eye(n, dtype=gf.float64) * 0.4


X, Y, Z, V = matrix(), matrix(seed=1), matrix(seed=2), matrix(seed=3)[0]
IMAGE = gf.stack([matrix(n=4, seed=5), matrix(n=4, seed=6)])[None]
INDEX = gf.tensor([[0, 2, 1], [1, 0, 2], [2, 1, 0]])

USUAL: list[tuple] = [
    (X,), (X + 1,), (X, Y), (V,), (V, V * 2), (X, 0), (X, 1, 0), (IMAGE,), (IMAGE, 2), (X, 2), (X, Y, Z), ([X, Y],), (V, Y), (X, (3, 3)),
    (X, V), (V, X, V), (2, X), (X, INDEX), (X, 0, INDEX), (X, 0, INDEX[0]), (X, 0, INDEX, Y), (X, 0, INDEX[0], Y), (X[None], Y[None]), (X, Y[0], 0, 1),
    (X, [1, 2]), (X, X > 0.5, 0.5), (X, X > 0.5, Y), (X, X > 0.5), (X, 0, 1, 1), (Y[None], X[None], Z[None]), (X, INDEX, Y), (X, Y, INDEX[0]),
]  # fmt: skip

# What the usual arguments do not fit.
CALLS: dict[str, tuple] = {
    "nn.functional.affine_grid": (X[:2].reshape(1, 2, 3), (1, 1, 2, 2), True), "nn.functional.grid_sample": (IMAGE, IMAGE.reshape(1, 4, 4, 2) * 0.3, "bilinear", "zeros", True),
    "addmv": (V, X, V), "addbmm": (X, X[None], Y[None]), "baddbmm": (X[None], X[None], Y[None]), "addr": (X, V, V),
    "bilinear": (X, Y, gf.stack([X, Z]), V[:2]), "nn.functional.bilinear": (X, Y, gf.stack([X, Z]), V[:2]),
    "as_strided_scatter": (X, V, (3,), (1,)), "diagonal_scatter": (X, V), "ctc_loss": (X[:, None].log_softmax(-1), gf.tensor([[1, 2]]), (3,), (2,)),
    "nn.functional.ctc_loss": (X[:, None].log_softmax(-1), gf.tensor([[1, 2]]), (3,), (2,)),
    "cosine_embedding_loss": (X, Y, gf.tensor([1, -1, 1])), "nn.functional.cosine_embedding_loss": (X, Y, gf.tensor([1, -1, 1])),
    "embedding": (X, INDEX), "nn.functional.embedding": (INDEX, X), "nn.functional.embedding_bag": (INDEX, X),
    "index_fill": (X, 0, INDEX[0, :2], 0.5), "index_put": (X, (INDEX[0],), Y), "index_reduce": (X, 0, INDEX[0], Y, "mean"), "masked_scatter": (X, X > 0.5, Y),
    "gather": (X, 0, INDEX), "pixel_shuffle": (gf.cat([IMAGE, IMAGE * 2], 1), 2), "nn.functional.pixel_shuffle": (gf.cat([IMAGE, IMAGE * 2], 1), 2),
    "prelu": (X - 0.5, V[:1]), "nn.functional.prelu": (X - 0.5, V[:1]), "renorm": (X, 2, 0, 0.5), "scatter_reduce": (X, 0, INDEX, Y, "sum"),
    "polygamma": (1, X), "special.polygamma": (1, X), "put": (X, gf.tensor([[0, 2, 1], [3, 5, 4], [8, 6, 7]]), Y), "unflatten": (X, 0, (3, 1)), "unfold_copy": (X, 0, 2, 1),
    "lu_solve": (X, *gf.linalg.lu_factor(Y)), "linalg.lu_solve": (*gf.linalg.lu_factor(Y), X), "linalg.ldl_solve": (*gf.linalg.ldl_factor(Y + Y.T), X),
    "orgqr": (X, V), "linalg.householder_product": (X, V), "ormqr": (X, V, Y),
    "linalg.tensorinv": (X.reshape(3, 3, 1), 1), "linalg.tensorsolve": (X, V), "nn.functional.binary_cross_entropy": (X * 0.5, Y * 0.5),
    "native_dropout": (X, 0.5, True), "nn.functional.multi_margin_loss": (X, INDEX[0]), "nn.functional.multilabel_margin_loss": (X, INDEX), "nn.functional.nll_loss": (X, INDEX[0]),
    "split_with_sizes": (X, [1, 2]), "split_with_sizes_copy": (X, [1, 2]), "unsafe_split_with_sizes": (X, [1, 2]), "where": (X > 0.5, X, Y),
    "select_scatter": (X, V, 0, 1), "narrow": (X, 0, 1, 1), "narrow_copy": (X, 0, 1, 1), "take": (X, INDEX), "take_along_dim": (X, INDEX, 0),
    "linalg.eig": (X + X.T,), "linalg.eigvals": (X + X.T,), "linalg.cholesky": (X @ X.T,), "cholesky": (X @ X.T,),
    "nn.functional.batch_norm": (X, None, None, V, V, True), "batch_norm": (X, V, V, None, None, True, 0.1, 1e-5, False),
    "instance_norm": (IMAGE, V[:2], V[:2], None, None, True, 0.1, 1e-5, False), "conv2d": (IMAGE, IMAGE[:, :, :2, :2]), "conv3d": (IMAGE[None], IMAGE[None, :, :, :2, :2]),
    "conv_transpose1d": (X[None], X[:, :2, None]), "conv_transpose2d": (IMAGE, IMAGE[0, :, None, :2, :2]),
    "conv_transpose3d": (IMAGE[None], IMAGE[None, :, :, :2, :2]), "nn.functional.fold": (IMAGE[:, 0], (3, 3), (2, 2)),
    "nn.functional.lp_pool1d": (IMAGE[0], 2.0, 2), "nn.functional.lp_pool2d": (IMAGE, 2.0, 2), "nn.functional.lp_pool3d": (IMAGE[None], 2.0, 2),
    "nn.functional.max_unpool1d": (X[None, :1, :2], gf.tensor([[[0, 3]]]), 2),
    "nn.functional.max_unpool2d": (X[None, None, :2, :2], gf.tensor([[[[0, 3], [9, 15]]]]), 2),
    "nn.functional.max_unpool3d": (X[None, None, None, :2, :2], gf.tensor([[[[[0, 3], [9, 15]]]]]), 2),
    "nn.functional.multi_head_attention_forward": (
        X[:, None], Y[:, None], Z[:, None], 3, 1, gf.cat([X, Y, Z]), gf.cat([V, V, V]), None, None, False, 0.0, X, V,
    ),
    **dict.fromkeys(("alpha_dropout", "dropout", "feature_alpha_dropout"), (IMAGE, 0.5, False)),
    "adaptive_avg_pool1d": (IMAGE[0], 2), "adaptive_max_pool1d": (IMAGE[0], 2), "nn.functional.adaptive_max_pool1d": (IMAGE[0], 2),
    "tile": (X, (2,)), "repeat_interleave": (X, 2), "topk": (X, 2),
    **dict.fromkeys(("acos", "arcsin", "arctanh", "erfinv", "logit", "special.logit", "special.ndtri"), (X * 0.5,)),
}  # fmt: skip


def symmetric(f: Callable) -> Callable:
    return lambda x: f((x + x.T) / 2)


def probabilities(f: Callable) -> Callable:
    return lambda x, *args: f(x.log_softmax(-1), *args)


# Functions of matrices that are symmetric, of probabilities, and those with arguments that have no derivative.
AROUND: dict[str, Callable] = {
    **dict.fromkeys(("cholesky", "linalg.cholesky", "linalg.cholesky_ex", "linalg.eigh", "linalg.eigvalsh"), symmetric),
    **dict.fromkeys(("ctc_loss", "nn.functional.ctc_loss"), probabilities),
    **dict.fromkeys(("igamma", "igammac"), lambda f: lambda x: f(Y.detach(), x)),
    "linalg.solve_triangular": lambda f: lambda a, b: f(a, b, upper=True),
    "lu_unpack": lambda f: lambda x: f(*gf.linalg.lu_factor(x)),
}
POLYNOMIALS = (
    *(f"{shifted}chebyshev_polynomial_{kind}" for shifted in ("", "shifted_") for kind in "tuvw"),
    *("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p"),
)

# Not in the table, and why.
NONE = {
    "its result is bool or an integer": "all any argmax argmin argsort argwhere bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or "
    "bitwise_right_shift bitwise_xor bucketize count_nonzero eq gcd ge greater greater_equal gt isclose isfinite isin isinf isnan isneginf "
    "isposinf isreal lcm le less less_equal logical_and logical_not logical_or logical_xor lt multinomial ne nonzero nonzero_static not_equal "
    "searchsorted signbit unravel_index linalg.matrix_rank nn.functional.one_hot allclose equal",
    "differentiates, but draws, so that differences do not check it": "nn.functional.gumbel_softmax nn.functional.fractional_max_pool2d "
    "nn.functional.fractional_max_pool3d svd_lowrank pca_lowrank",
    "counts or draws": "histc histogram bernoulli binomial normal poisson unique unique_consecutive",
    "not differentiable in PyTorch either": "heaviside nextafter geqrf linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve "
    + " ".join(f"special.{name}" for name in POLYNOMIALS),
    "makes something new": "bartlett_window blackman_window hamming_window hann_window kaiser_window detach_copy",
    "asks or sets": "broadcast_shapes get_device get_rng_state set_rng_state initial_seed manual_seed seed is_conj is_inference is_neg is_nonzero is_same_size is_signed",
}
HELPERS = {
    "linalg.with_out",
    "nn.functional.axis_of",
    "nn.functional.float_only",
    "nn.functional.tensors_only",
    "nn.functional.checked",
    "nn.functional.element",
}
# The cells that are empty, and why.
HOLES: dict[tuple[str, str], str] = {}


def public() -> Iterator[tuple[str, Callable]]:
    """(name, function) of every public function, once."""
    seen: set[int] = set()
    for place, module in PLACES.items():
        for name in sorted(vars(module)):
            f = getattr(module, name)
            made_here = getattr(inspect.unwrap(f) if inspect.isroutine(f) else f, "__module__", "") or ""
            if name.startswith("_") or name.endswith("_") or not callable(f) or inspect.isclass(f) or id(f) in seen:
                continue
            if name in gf.nn.free.FUNCTIONS or made_here.startswith(
                ("gradflow.ops", "gradflow.nn", "gradflow.linalg", "gradflow.special", "gradflow.methods", "gradflow.free")
            ):
                full = f"{place}.{name}" if place else name
                if full not in HELPERS:
                    seen.add(id(f))
                    yield full, AROUND[full](f) if full in AROUND else f


def leaves(x: Any) -> Any:
    """The arguments, their floating-point tensors at fresh leaves."""
    if isinstance(x, gf.Tensor):
        return x.detach().clone().requires_grad_() if x.is_floating_point() else x
    return type(x)(map(leaves, x)) if isinstance(x, list | tuple) else x


def tensors(x: Any) -> list[gf.Tensor]:
    if isinstance(x, gf.Tensor):
        return [x]
    return [t for part in x for t in tensors(part)] if isinstance(x, list | tuple) else []


def filled(x: Any, values: Iterator[gf.Tensor]) -> Any:
    """The arguments with the next of ``values`` at each floating-point tensor."""
    if isinstance(x, gf.Tensor):
        return next(values) if x.is_floating_point() else x
    return type(x)([filled(part, values) for part in x]) if isinstance(x, list | tuple) else x


def differentiable(y: Any) -> list[gf.Tensor]:
    return [t for t in tensors(y) if t.requires_grad]


def sample(name: str, f: Callable) -> tuple | None:
    """Arguments that ``f`` takes, with a result that has a derivative."""
    for args in (CALLS[name],) if name in CALLS else USUAL:
        try:
            gf.manual_seed(0)
            if any(gf.isfinite(t).all() for t in differentiable(f(*leaves(args)))):
                return args
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError):
            continue  # not for these arguments
    return None


def row(f: Callable, args: tuple) -> dict[str, bool]:
    """Which derivatives are there and right."""
    inputs = [t for t in tensors(leaves(args)) if t.requires_grad]

    def call(*values: gf.Tensor) -> tuple:
        gf.manual_seed(0)
        return tuple(t for t in tensors(f(*filled(args, iter(values)))) if t.is_floating_point() and t.numel())

    def reverse() -> bool:
        return gradcheck(call, inputs, rtol=1e-4, atol=1e-5)

    def twice() -> bool:
        return gradgradcheck(call, inputs, rtol=1e-3, atol=1e-4)

    def forward() -> bool:
        given = tuple(t.detach() for t in inputs)
        tangents = tuple(gf.full_like(t, 0.5) + 0.1 * t for t in given)
        out, pushed = gf.func.jvp(call, given, tangents)
        weights = tuple(gf.full_like(t, 0.3) + 0.1 * gf.sin(t) for t in out)
        back = gf.func.vjp(call, *given)[1](weights)
        left = sum((a * w).sum() for a, w in zip(pushed, weights, strict=True))
        right = sum((a * t).sum() for a, t in zip(back, tangents, strict=True))
        return bool(gf.allclose(left, right, rtol=1e-6, atol=1e-9))

    def batched() -> bool:
        given = [t.detach() for t in inputs]
        stacked = [gf.stack([t, t * 1.01]) for t in given]

        def slopes(*values: gf.Tensor) -> tuple:
            return gf.func.grad(lambda *v: sum((y * y).sum() for y in call(*v)), tuple(range(len(values))))(*values)

        for function in (call, slopes):
            together = gf.func.vmap(function, randomness="same")(*stacked)
            apart = [function(*(t[i] for t in stacked)) for i in range(2)]
            for k, t in enumerate(together):
                if not all(gf.allclose(t[i], apart[i][k], rtol=1e-9, atol=1e-12, equal_nan=True) for i in range(2)):
                    return False
        return True

    checks = {"reverse": reverse, "double": twice, "forward": forward, "vmap": batched}
    result = {}
    for column, check in checks.items():
        try:
            result[column] = bool(check())
        except Exception:  # whatever it is, the cell is empty
            result[column] = False
    return result


def table() -> tuple[dict[str, dict[str, bool]], list[str]]:
    """(name: its cells, the names for which no arguments were found)"""
    none = {name for names in NONE.values() for name in names.split()}
    rows, unknown = {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, f in public():
            args = None if name in none else sample(name, f)
            if args is not None:
                rows[name] = row(f, args)
            elif name not in none:
                unknown.append(name)
    return rows, unknown


def page() -> str:
    """docs/coverage.md"""
    rows, unknown = table()
    columns = list(next(iter(rows.values())))
    lines = [
        "# Which operation has which derivatives",
        "",
        "Made by `python tests/coverage_table.py`, which computes every cell: the derivative is there and agrees (reverse and double backward with",
        "differences, forward mode with reverse, vmap of the operation and of its gradient with a loop). A function under several names stands once; methods, `out=` and in-place forms",
        "have their function's derivatives.",
        "",
        f"| operation | {' | '.join(WIDE[c] for c in columns)} |",
        "|---" * (len(columns) + 1) + "|",
        *(
            f"| `{name}` | {' | '.join('yes' if cells[c] else HOLES.get((name, c), '?') for c in columns)} |"
            for name, cells in rows.items()
        ),
        *(f"| `{name}` |{' ? |' * len(columns)}" for name in unknown),
        "",
        "## Not in the table",
        "",
        *(f"- {why}: {', '.join(f'`{name}`' for name in names.split())}" for why, names in NONE.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
