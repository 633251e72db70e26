"""``gradcheck`` and ``gradgradcheck``: derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backends import beside
from ..errors import ArgumentError, BatchError, DTypeError, GradError
from ..tape.node import mode
from ..tensor import Tensor, wrap
from .backward import grad as gradients_of
from .levels import Level

# By element type: the step and the tolerances that central differences deserve.
SINGLE = 1e-2, 1e-3, 1e-2
DOUBLE = 1e-6, 1e-5, 1e-3


class GradcheckError(GradError):
    """A derivative differs from differences."""


def tensors_in(x: Any) -> tuple:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def twin(x: Tensor, array: Any) -> Tensor:
    return wrap(array).requires_grad_(x.requires_grad)


class Check:
    """One call of :func:`gradcheck`."""

    def __init__(self, function: Callable, inputs: tuple, eps: float | None, atol: float | None, rtol: float | None, name: str):
        self.function, self.inputs, self.name = function, inputs, name
        self.places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        if not self.places:
            raise ArgumentError(
                f"{name}: gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
            )
        for i in self.places:
            a = inputs[i].array
            if any(s == 0 and n > 1 for s, n in zip(a.strides, a.shape, strict=True)):
                raise GradError(
                    f"{name}: The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be able "
                    "to compute the numerical gradients correctly; call .contiguous() on it before"
                )
        single = any(inputs[i].array.dtype.itemsize < 8 for i in self.places)
        default = SINGLE if single else DOUBLE
        self.eps, self.atol, self.rtol = (d if given is None else given for d, given in zip(default, (eps, atol, rtol), strict=True))
        self.hint = "use float64 inputs, or " if single else ""
        self.random = np.random.default_rng(0)

    def values(self, i: int, array: Any) -> list[Any]:
        """The floating-point outputs, as float64 arrays, where input ``i`` has the value ``array``."""
        fresh = [
            x if not isinstance(x, Tensor) else twin(x, array if k == i else x.array.copy(order="K")) for k, x in enumerate(self.inputs)
        ]
        outputs = tensors_in(self.function(*fresh))
        return [t.array.astype(np.float64) for t in outputs if isinstance(t, Tensor) and t.array.dtype.kind in "fV"]

    def difference(self, i: int, direction: Any) -> list[Any]:
        """Central differences of all outputs along ``direction`` in input ``i``."""
        x = self.inputs[i].array
        step = self.eps * direction
        high, low = x.copy(), x.copy()
        high[...], low[...] = x + step, x - step
        return [(b - a) / (2 * self.eps) for a, b in zip(self.values(i, low), self.values(i, high), strict=True)]

    def outputs(self) -> list[Tensor]:
        return [t for t in tensors_in(self.function(*self.inputs)) if isinstance(t, Tensor) and t.array.dtype.kind in "fV"]

    def back(self, output: Tensor, g: Any) -> list[Any]:
        """The gradients of all inputs for the cotangent ``g``, zeros where there is none."""
        xs = [self.inputs[i] for i in self.places]
        if not output.requires_grad:
            return [np.zeros(x.array.shape) for x in xs]
        cotangent = wrap(beside(np.array(g, dtype=output.array.dtype), output.array))
        found = gradients_of(output, xs, cotangent, retain_graph=True, allow_unused=True)
        return [np.zeros(x.array.shape) if t is None else t.array.astype(np.float64) for x, t in zip(xs, found, strict=True)]

    def run_forward(self, fast: bool) -> None:
        """Forward mode against differences."""
        outputs, push = self.pushforward()
        for n, i in enumerate(self.places):
            x = self.inputs[i].array
            if fast:
                v = self.direction(x.shape)
                numerical = self.difference(i, v)
                for k, (found, t) in enumerate(zip(numerical, self.along(push, n, v, outputs), strict=True)):
                    u = self.direction(found.shape)
                    if not self.close(float((t * u).sum()), float((found * u).sum())):
                        self.run_forward(False)  # which says where
                        self.sums_differ(k, i, float((found * u).sum()), float((t * u).sum()))
                continue
            columns = [self.along(push, n, d, outputs) for d in np.eye(x.size).reshape(x.size, *x.shape)]
            for k, output in enumerate(outputs):
                analytical = np.array([c[k].reshape(-1) for c in columns]).reshape(x.size, output.array.size)
                numerical = self.jacobian(i, k, output.array.size)
                if not self.close(analytical, numerical):
                    raise GradcheckError(self.mismatch(k, i, numerical, analytical, output) + "\n(in forward mode)")

    def pushforward(self) -> tuple[list[Tensor], Callable]:
        """(the outputs on variables, the function from the inputs' tangents to theirs)."""
        level = Level()
        given = list(self.inputs)
        with level:
            for i in self.places:
                given[i] = level.variable(self.inputs[i])
            outputs = [t for t in tensors_in(self.function(*given)) if isinstance(t, Tensor) and t.array.dtype.kind in "fV"]
        return outputs, level.pushforward(outputs, [given[i] for i in self.places])

    def along(self, push: Callable, n: int, direction: Any, outputs: Sequence[Tensor]) -> list[Any]:
        xs = [self.inputs[i].array for i in self.places]
        tangents = [wrap(beside(np.asarray(direction, x.dtype) if k == n else np.zeros(x.shape, x.dtype), x)) for k, x in enumerate(xs)]
        return [np.zeros(y.array.shape) if t is None else t.array.astype(np.float64) for y, t in zip(outputs, push(tangents), strict=True)]

    def direction(self, shape: tuple) -> Any:
        """A random one, of length 1."""
        v = self.random.standard_normal(shape)
        return v / max(float(np.linalg.norm(v)), 1e-300)

    def close(self, analytical: Any, numerical: Any) -> bool:
        return np.allclose(analytical, numerical, rtol=self.rtol, atol=self.atol, equal_nan=True)

    def batched(self, forward: bool) -> None:
        """vmap over two cotangents, or tangents, against one after the other."""
        xs = [self.inputs[i] for i in self.places]
        outputs, push = self.pushforward() if forward else (self.outputs(), None)
        for k, output in enumerate(outputs):
            if not forward and not output.requires_grad:
                continue
            like = xs if forward else [output]
            given = [wrap(beside(self.random.standard_normal((2, *t.array.shape)).astype(t.array.dtype), t.array)) for t in like]

            def one(*vectors: Tensor, output: Tensor = output) -> list[Any]:
                if push is not None:
                    return push(vectors)
                return list(gradients_of(output, xs, vectors[0], retain_graph=True, allow_unused=True))

            apart = [one(*(v[i] for v in given)) for i in range(2)]
            there = [n for n, t in enumerate(apart[0]) if t is not None]
            try:
                together = vmap_of(lambda *vectors: tuple(one(*vectors)[n] for n in there))(*given) if there else ()  # noqa: B023
            except BatchError as error:
                raise GradcheckError(f"{self.name}: While computing batched gradients of output {k}, vmap refused: {error}") from None
            for n, found in zip(there, together, strict=True):
                for i in range(2):
                    if not self.close(found.array[i], apart[i][n].array):
                        raise GradcheckError(
                            f"{self.name}: While computing batched gradients, got: {found[i]!r} and expected: {apart[i][n]!r}, for output {k}"
                        )
            if forward:
                return

    def slow(self, k: int, output: Tensor) -> None:
        numerical = [self.jacobian(i, k, output.array.size) for i in self.places]
        analytical = [np.zeros((self.inputs[i].array.size, output.array.size)) for i in self.places]
        for j in range(output.array.size):
            g = np.zeros(output.array.size)
            g[j] = 1
            for matrix, found in zip(analytical, self.back(output, g.reshape(output.array.shape)), strict=True):
                matrix[:, j] = found.reshape(-1)
        for i, n, a in zip(self.places, numerical, analytical, strict=True):
            if not self.close(a, n):
                raise GradcheckError(self.mismatch(k, i, n, a, output))

    def jacobian(self, i: int, k: int, size: int) -> Any:
        x = self.inputs[i].array
        matrix = np.zeros((x.size, size))
        for e in range(x.size):
            direction = np.zeros(x.size)
            direction[e] = 1
            matrix[e] = self.difference(i, direction.reshape(x.shape))[k].reshape(-1)
        return matrix

    def fast(self, k: int, output: Tensor) -> None:
        """One random direction among the inputs against one among the outputs."""
        u = self.direction(output.array.shape)
        for i, found in zip(self.places, self.back(output, u), strict=True):
            v = self.direction(self.inputs[i].array.shape)
            n, a = float((self.difference(i, v)[k] * u).sum()), float((found * v).sum())
            if not self.close(a, n):
                try:
                    self.slow(k, output)  # which says where
                except GradcheckError as error:
                    raise GradcheckError(f"{error}\n(found in fast mode: numerical {n}, analytical {a})") from None
                self.sums_differ(k, i, n, a)

    def sums_differ(self, k: int, i: int, numerical: float, analytical: float) -> None:
        raise GradcheckError(
            f"{self.name}: Jacobian mismatch for output {k} with respect to input {i}, in fast mode: numerical {numerical}, analytical "
            f"{analytical}; every element agrees by itself, so their differences add up: try a larger atol, or fast_mode=False"
        )

    def mismatch(self, k: int, i: int, numerical: Any, analytical: Any, output: Tensor) -> str:
        excess = np.abs(analytical - numerical) - self.rtol * np.abs(numerical)
        e, j = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
        place = tuple(map(int, np.unravel_index(e, self.inputs[i].array.shape)))
        where = tuple(map(int, np.unravel_index(j, output.array.shape)))
        off = abs(analytical[e, j] - numerical[e, j])
        return (
            f"{self.name}: Jacobian mismatch for output {k} with respect to input {i},\n"
            f"most at output element {where} and input element {place}: numerical {numerical[e, j]:.6g}, analytical {analytical[e, j]:.6g}, "
            f"apart by {off:.3g}, allowed {self.atol + self.rtol * abs(numerical[e, j]):.3g} (eps={self.eps:g}, atol={self.atol:g}, "
            f"rtol={self.rtol:g}); if the derivative is right, {self.hint}try eps={self.eps * 10:g} or atol={off * 2:.1g}\n"
            f"numerical:{wrap(numerical)!r}\nanalytical:{wrap(analytical)!r}"
        )

    def run(self, fast: bool, nondet_tol: float, undefined: bool, dtypes: bool) -> None:
        outputs = self.outputs()
        for i in () if any(t.requires_grad for t in outputs) else self.places:
            for n in self.difference(i, np.ones(self.inputs[i].array.shape)):
                if n.any():
                    raise GradcheckError(f"{self.name}: Numerical gradient for function expected to be zero: no output requires a gradient")
        for k, output in enumerate(outputs):
            if output.requires_grad:
                (self.fast if fast else self.slow)(k, output)
                self.repeated(k, output, nondet_tol, dtypes)
                if undefined and any(g.any() for g in self.back(output, np.zeros(output.array.shape))):
                    raise GradcheckError(
                        f"{self.name}: Expected all input grads to be undefined or zero when all output grads are undefined or zero (output {k})"
                    )

    def repeated(self, k: int, output: Tensor, nondet_tol: float, dtypes: bool) -> None:
        """The same cotangent gives the same gradient, of the input's type."""
        u = np.ones(output.array.shape)
        for i, a, b in zip(self.places, self.back(output, u), self.back(output, u), strict=True):
            if not np.allclose(a, b, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"{self.name}: Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values, for output {k} and input {i}. The tolerance for nondeterminism was {nondet_tol}."
                )
        if dtypes:
            for i in self.places:
                (g,) = gradients_of(output.sum(), self.inputs[i], retain_graph=True, allow_unused=True)
                if g is not None and g.dtype is not self.inputs[i].dtype:
                    raise GradcheckError(f"{self.name}: Expected gradient to have dtype {self.inputs[i].dtype}, but got {g.dtype}")


def vmap_of(function: Callable) -> Callable:
    from ..func import vmap

    return vmap(function)


def gradcheck(
    func: Callable,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of ``func(*inputs)`` with central differences, element by element.

    Inputs that require a gradient are varied by ``eps``; step and tolerances default to what float64 (1e-6, 1e-5, 1e-3) or float32
    (1e-2, 1e-3, 1e-2) deserve. ``fast_mode`` compares one random direction. ``check_forward_ad`` compares forward mode likewise, ``check_batched_grad`` and
    ``check_batched_forward_grad`` compare vmap over two vectors with one after the other. Returns True, or raises ``GradcheckError`` with the element
    that differs most (False with ``raise_exception=False``).

    >>> x = gf.tensor([0.5, 1.0], dtype=gf.float64, requires_grad=True)
    >>> gf.autograd.gradcheck(gf.sin, x)
    True
    """
    if not check_backward_ad and not check_forward_ad:
        raise ArgumentError("gradcheck: Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise ArgumentError("gradcheck: Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise ArgumentError("gradcheck: Setting check_batched_forward_grad=True requires check_forward_ad to be True")

    def steps(check: Check) -> None:
        if check_backward_ad:
            check.run(fast_mode, nondet_tol, check_undefined_grad, check_grad_dtypes)
        if check_forward_ad:
            check.run_forward(fast_mode)
        if check_batched_grad:
            check.batched(False)
        if check_batched_forward_grad:
            check.batched(True)

    return checked("gradcheck", func, inputs, eps, atol, rtol, raise_exception, steps)


def checked(
    name: str, func: Callable, inputs: Any, eps: Any, atol: Any, rtol: Any, raise_exception: bool, steps: Callable[[Check], None]
) -> bool:
    if not callable(func):
        raise DTypeError(f"{name}: expected a function, not {type(func).__name__}")
    was, mode.enabled = mode.enabled, True
    try:
        steps(Check(func, tensors_in(inputs), eps, atol, rtol, name))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    finally:
        mode.enabled = was
    return True


def gradgradcheck(
    func: Callable,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """:func:`gradcheck` of the gradient of ``func``: its second derivatives, for the cotangents ``grad_outputs`` (default: random).

    >>> gf.autograd.gradgradcheck(gf.sin, gf.ones(2, dtype=gf.float64, requires_grad=True))
    True
    """
    if not check_fwd_over_rev and not check_rev_over_rev:
        raise ArgumentError("gradgradcheck: Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    given = tensors_in(inputs)
    with_gradient = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    outputs = [t for t in tensors_in(func(*given)) if isinstance(t, Tensor) and t.requires_grad]
    if grad_outputs is None:
        random = np.random.default_rng(0)
        cotangents = [wrap(beside(np.asarray(random.standard_normal(t.array.shape), t.array.dtype), t.array)) for t in outputs]
        if gen_non_contig_grad_outputs:
            cotangents = [wrap(np.repeat(t.array[..., None], 2, -1)[..., 0]) for t in cotangents]
        cotangents = [t.requires_grad_() for t in cotangents]
    else:
        cotangents = list(tensors_in(grad_outputs))

    def derivative(*args: Any) -> tuple:
        xs, gs = args[: len(given)], args[len(given) :]
        results = [t for t in tensors_in(func(*xs)) if isinstance(t, Tensor) and t.requires_grad]
        wanted = [xs[i] for i in with_gradient]
        return tuple(g for g in gradients_of(results, wanted, gs, create_graph=True, allow_unused=True) if g is not None)

    def steps(check: Check) -> None:
        if check_rev_over_rev:
            check.run(fast_mode, nondet_tol, check_undefined_grad, check_grad_dtypes)
        if check_fwd_over_rev:
            check.run_forward(fast_mode)
        if check_batched_grad:
            check.batched(False)

    return checked("gradgradcheck", derivative, (*given, *cotangents), eps, atol, rtol, raise_exception, steps)
