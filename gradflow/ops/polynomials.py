"""Orthogonal polynomials by their recurrences; the degree is a tensor like the argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..backends import result_type
from ..backends.batched import asarray, per_example
from ..errors import DTypeError, GradError, ShapeError
from ..kinds.out import into
from ..scalar.types import category, promote
from ..tensor import Tensor, recording, wrap
from .hosted import hosted

Recurrence = Callable[[int, Any, Any, Any], Any]  # (k, x, p[k], p[k - 1]) -> p[k + 1]
Closed = Callable[[Any, Any], Any]  # (x, n) -> the value


def evaluated(x: Any, n: Any, first: Callable, step: Recurrence, inside: Closed | None, ends: Callable | None, limit: float) -> Any:
    """The polynomials of degree n at x: 0 for negative n, nan beyond ``limit``. ``inside`` is for long ones within (-1, 1)."""
    x, n = np.broadcast_arrays(x, n)
    y = np.where(n < 0, 0, np.where(n == 0, 1, np.where(n > limit, np.nan, first(x)))).astype(x.dtype)
    rest = (n > 1) & (n <= limit)
    for known, formula in ((np.abs(x) == 1, ends), ((np.abs(x) < 1) & (n > 8), inside)):
        if formula is not None:
            here = rest & known
            y[here] = formula(x[here], n[here])
            rest &= ~known
    x, n = x[rest], n[rest]
    found = np.full(x.shape, np.nan, x.dtype)
    before, now = np.ones_like(x), first(x)
    for k in range(1, int(n.max(initial=0))):
        if np.isnan(now).all():
            break  # so are all that follow
        if k % 1024 == 0:
            left = np.flatnonzero((n > k) & (now == now))
            if left.size < 32:  # Python's numbers are quicker than arrays of so few
                for i in left:
                    found[i] = carried_on(k, int(n[i]), float(x[i]), float(now[i]), float(before[i]), step)
                break
        before, now = now, step(k, x, now, before)
        found = np.where(n == k + 1, now, found)
    y[rest] = found
    return y


def carried_on(k: int, n: int, x: float, now: float, before: float, step: Recurrence) -> float:
    for j in range(k, n):
        before, now = now, step(j, x, now, before)
        if now != now:
            break
    return now


# What is printed of the polynomials of degree 2 at 0, 1/2 and 1, for the docstrings
EXAMPLES = {
    "chebyshev_polynomial_t": "[-1.0000, -0.5000,  1.0000]",
    "chebyshev_polynomial_u": "[-1.,  0.,  3.]",
    "chebyshev_polynomial_v": "[-1., -1.,  1.]",
    "chebyshev_polynomial_w": "[-1.,  1.,  5.]",
    "shifted_chebyshev_polynomial_t": "[ 1., -1.,  1.]",
    "shifted_chebyshev_polynomial_u": "[ 3., -1.,  3.]",
    "shifted_chebyshev_polynomial_v": "[ 5., -1.,  1.]",
    "shifted_chebyshev_polynomial_w": "[ 1., -1.,  5.]",
    "hermite_polynomial_h": "[-2., -1.,  2.]",
    "hermite_polynomial_he": "[-1.0000, -0.7500,  0.0000]",
    "laguerre_polynomial_l": "[ 1.0000,  0.1250, -0.5000]",
    "legendre_polynomial_p": "[-0.5000, -0.1250,  1.0000]",
}


def family(
    name: str,
    text: str,
    first: Callable,
    step: Recurrence,
    inside: Closed | None = None,
    ends: Callable | None = None,
    *,
    shifted: bool = False,
    limit: bool = False,
) -> Callable:
    """A function of (x, n)."""

    @hosted
    def call(input: Any, n: Any, *, out: Any = None) -> Any:
        if out is not None:
            return into(name, out, call, (input, n), {})
        for x in (input, n):
            if not isinstance(x, Tensor | bool | int | float):
                raise DTypeError(f"{name}: an operand is a {type(x).__name__}; expected a Tensor or a number")
        if not isinstance(input, Tensor) and not isinstance(n, Tensor):
            raise DTypeError(f"{name}: one of the operands must be a Tensor")
        if recording(*(x for x in (input, n) if isinstance(x, Tensor))):
            raise GradError(f"{name}: has no derivative; detach() the argument first")
        arrays = [x.array if isinstance(x, Tensor) else x for x in (input, n)]
        code = result_type(tuple(arrays))
        code = code if category(code) == 2 else promote(code, backends.cpu.default_float)
        dtype = dtypes.BY_CODE[code].numpy
        wide = dtype if dtype.itemsize > 2 else np.dtype(np.float32)
        a, b = (asarray(v).astype(wide) for v in arrays)
        try:
            np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ShapeError(f"{name}: the shapes {a.shape} and {b.shape} do not broadcast") from None
        with np.errstate(all="ignore"):
            degree = np.where(np.abs(b) < 2.0**63, np.trunc(b), -1)  # torch converts to int64; what does not fit is negative there
            most = np.inf if not limit else 512 if wide.itemsize == 8 else 128
            y = per_example(evaluated, 2 * a - 1 if shifted else a, degree, first, step, inside, ends, most)
        return wrap(asarray(y.astype(dtype)))

    for function in (call, inspect.unwrap(call)):
        function.__name__ = function.__qualname__ = name
    call.__doc__ = (
        f"{text}, for a degree ``n`` that may be a tensor; 0 where it is negative. Has no derivative.\n\n"
        f">>> gf.special.{name}(gf.tensor([0.0, 0.5, 1.0]), 2)\ntensor({EXAMPLES[name]})\n"
    )
    return call


def turns(k: int, x: Any, now: Any, before: Any) -> Any:
    return 2 * x * now - before


def sign(x: Any, n: Any) -> Any:
    """x ** n for x = 1 and -1."""
    return np.where((x > 0) | (n % 2 == 0), 1, -1)


KINDS: dict[str, tuple] = {
    "t": (lambda x: x, turns, lambda x, n: np.cos(n * np.arccos(x)), sign),
    "u": (
        lambda x: 2 * x,
        turns,
        lambda x, n: np.sin((n + 1) * np.arccos(x)) / np.sin(np.arccos(x)),
        lambda x, n: (n + 1) * sign(x, n),
    ),
    "v": (
        lambda x: 2 * x - 1,
        turns,
        lambda x, n: np.cos((n + 0.5) * np.arccos(x)) / np.cos(np.arccos(x) / 2),
        lambda x, n: np.where(x > 0, 1, sign(x, n) * (2 * n + 1)),
    ),
    "w": (
        lambda x: 2 * x + 1,
        turns,
        lambda x, n: np.sin((n + 0.5) * np.arccos(x)) / np.sin(np.arccos(x) / 2),
        lambda x, n: np.where(x > 0, 2 * n + 1, sign(x, n)),
    ),
}
ORDER = {"t": "first", "u": "second", "v": "third", "w": "fourth"}
CHEBYSHEV = {
    f"{prefix}chebyshev_polynomial_{k}": family(
        f"{prefix}chebyshev_polynomial_{k}",
        f"The Chebyshev polynomials of the {ORDER[k]} kind{' at 2 x - 1' if prefix else ''}",
        *KINDS[k],
        shifted=bool(prefix),
    )
    for prefix in ("", "shifted_")
    for k in KINDS
}
hermite_polynomial_h = family(
    "hermite_polynomial_h",
    "The physicists' Hermite polynomials",
    lambda x: 2 * x,
    lambda k, x, now, before: 2 * x * now - 2 * k * before,
    limit=True,
)
hermite_polynomial_he = family(
    "hermite_polynomial_he",
    "The probabilists' Hermite polynomials",
    lambda x: x,
    lambda k, x, now, before: x * now - k * before,
    limit=True,
)
laguerre_polynomial_l = family(
    "laguerre_polynomial_l",
    "The Laguerre polynomials",
    lambda x: 1 - x,
    lambda k, x, now, before: ((2 * k + 1 - x) * now - k * before) / (k + 1),
)
legendre_polynomial_p = family(
    "legendre_polynomial_p",
    "The Legendre polynomials",
    lambda x: x,
    lambda k, x, now, before: ((2 * k + 1) * x * now - k * before) / (k + 1),
    None,
    sign,
)
