"""L-BFGS: Newton's method with the curvature of the last steps in place of a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import gradflow as gf

from ..autograd import enable_grad, no_grad
from ..errors import ArgumentError
from ..tensor import Tensor
from .optimizer import Optimizer, number

Point = tuple[float, float, Tensor, float]  # step, loss, gradient, its component along the direction


class LBFGS(Optimizer):
    """Up to max_iter steps of L-BFGS a call; `step(closure)` calls the closure, which computes the loss and its gradient, as often as needed.

    The direction is -H g, H made from the last history_size pairs of steps and changes of the gradient (Nocedal, 1980). Its
    length is lr (at first lr / sum |g|), or with line_search_fn="strong_wolfe" found by a search. It ends when the largest
    |g| is at most tolerance_grad, when a step or a change of the loss is below tolerance_change, or after max_eval calls
    (max_iter * 5 / 4). There is one group of parameters. Returns the loss before the first step.

    >>> w = gf.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = gf.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w - gf.tensor([1.0, 2.0])).square().sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(20., grad_fn=<SumBackward0>)
    >>> gf.allclose(w, gf.tensor([1.0, 2.0]), atol=1e-4)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        number(self, "learning rate", lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None; got {line_search_fn!r}")
        defaults = {"lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        defaults.update(tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size)
        super().__init__(params, {**defaults, "line_search_fn": line_search_fn})
        if len(self.param_groups) != 1:
            raise ArgumentError("LBFGS: doesn't support per-parameter options (parameter groups)")

    def _flat_gradient(self) -> Tensor:
        params = self.param_groups[0]["params"]
        return gf.cat([gf.zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.reshape(-1) for p in params])

    def _move(self, size: float, direction: Tensor) -> None:
        at = 0
        for p in self.param_groups[0]["params"]:
            p.add_(direction[at : at + p.numel()].view_as(p), alpha=size)
            at += p.numel()

    @no_grad()
    def _step(self, closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        with enable_grad():
            first = closure()
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        state["func_evals"] += 1
        calls, loss, g = 1, float(first), self._flat_gradient()
        if g.abs().max() <= group["tolerance_grad"]:
            return first
        for n in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            before, state["prev_flat_grad"], state["prev_loss"] = loss, g.clone(), loss
            lr = float(group["lr"])
            size = min(1.0, 1.0 / float(g.abs().sum())) * lr if state["n_iter"] == 1 else lr
            slope = float(g.dot(d))
            state.update(d=d, t=size)
            if slope > -group["tolerance_change"]:
                break
            if group["line_search_fn"] is None:
                self._move(size, d)
                more = 0
                if n != group["max_iter"]:
                    with enable_grad():
                        loss = float(closure())
                    g, more = self._flat_gradient(), 1
            else:
                loss, g, size, more = self._search(closure, (size, loss, g, slope), d)
                self._move(size, d)
            state["t"] = size
            calls += more
            state["func_evals"] += more
            still = float((d * size).abs().max()) <= group["tolerance_change"] or abs(loss - before) < group["tolerance_change"]
            if n == group["max_iter"] or calls >= group["max_eval"] or g.abs().max() <= group["tolerance_grad"] or still:
                break
        return first

    @staticmethod
    def _direction(state: dict[str, Any], g: Tensor, history_size: int) -> Tensor:
        """-H g, after the last step has joined the history."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]
        ys = float(y.dot(s))
        if ys > 1e-10:  # else the curvature is not positive, and the pair is left out
            if len(changes) == history_size:
                for history in (changes, steps, inverses):
                    history.pop(0)
            changes.append(y)
            steps.append(s)
            inverses.append(1.0 / ys)
            state["H_diag"] = ys / float(y.dot(y))
        q, shares = -g, []
        for y, s, ro in zip(reversed(changes), reversed(steps), reversed(inverses), strict=True):
            share = float(s.dot(q)) * ro
            shares.append(share)
            q = q - share * y
        q = q * state["H_diag"]
        for y, s, ro, share in zip(changes, steps, inverses, reversed(shares), strict=True):
            q = q + s * (share - float(y.dot(q)) * ro)
        return q

    def _search(self, closure: Callable[[], Any], start: Point, d: Tensor) -> tuple[float, Tensor, float, int]:
        """(loss, gradient, size, calls of the closure) at a size of step that satisfies the strong Wolfe conditions."""
        params = self.param_groups[0]["params"]
        origin = [p.clone() for p in params]

        def at(size: float) -> Point:
            self._move(size, d)
            with enable_grad():
                loss = float(closure())
            g = self._flat_gradient()
            for p, value in zip(params, origin, strict=True):
                p.copy_(value)
            return size, loss, g, float(g.dot(d))

        (size, loss, g, calls) = strong_wolfe(at, start, float(d.abs().max()), self.param_groups[0]["tolerance_change"])
        return loss, g, size, calls


def strong_wolfe(
    at: Callable[[float], Point], start: Point, longest: float, tolerance: float, c1: float = 1e-4, c2: float = 0.9, most: int = 25
) -> tuple[float, float, Tensor, int]:
    """A size of step where the loss has fallen by c1 of what the slope promised, and the slope to c2 of what it was.

    First the size grows until it is beyond such a point, then the interval shrinks (Nocedal and Wright, algorithms 3.5, 3.6).
    """
    size, loss0, g0, slope0 = start

    def risen(p: Point) -> bool:
        return p[1] > loss0 + c1 * p[0] * slope0

    def flat(p: Point) -> bool:
        return abs(p[3]) <= -c2 * slope0

    last: Point = (0.0, loss0, g0, slope0)
    here, calls = at(size), 1
    done, n = False, 0
    while n < most:
        if risen(here) or (n >= 1 and here[1] >= last[1]):
            bracket = [last, here]
            break
        if flat(here):
            bracket, done = [here], True
            break
        if here[3] >= 0:
            bracket = [last, here]
            break
        low, high = here[0] + 0.01 * (here[0] - last[0]), here[0] * 10
        following = cubic_minimum(last, here, (low, high))
        last, here = here, at(following)
        calls += 1
        n += 1
    else:
        bracket = [(0.0, loss0, g0, slope0), here]

    stuck = False
    low_at, high_at = (0, 1) if bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and n < most:
        left, right = min(p[0] for p in bracket), max(p[0] for p in bracket)
        if abs(bracket[1][0] - bracket[0][0]) * longest < tolerance:
            break
        size = cubic_minimum(bracket[0], bracket[1], None)
        margin = 0.1 * (right - left)
        if min(right - size, size - left) < margin:  # near an end: once is forgiven, unless it is the end itself
            if stuck or size >= right or size <= left:
                size = right - margin if abs(size - right) < abs(size - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        here = at(size)
        calls += 1
        n += 1
        if risen(here) or here[1] >= bracket[low_at][1]:
            bracket[high_at] = here
            low_at, high_at = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if flat(here):
                done = True
            elif here[3] * (bracket[high_at][0] - bracket[low_at][0]) >= 0:
                bracket[high_at] = bracket[low_at]
            bracket[low_at] = here
    best = bracket[0] if len(bracket) == 1 else bracket[low_at]
    return best[0], best[1], best[2], calls


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None) -> float:
    """Where the cubic through two points, with their slopes, is least; within bounds, or between the points."""
    low, high = bounds or (min(a[0], b[0]), max(a[0], b[0]))
    d1 = a[3] + b[3] - 3 * (a[1] - b[1]) / (a[0] - b[0])
    square = d1**2 - a[3] * b[3]
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if a[0] <= b[0]:
        place = b[0] - (b[0] - a[0]) * ((b[3] + d2 - d1) / (b[3] - a[3] + 2 * d2))
    else:
        place = a[0] - (a[0] - b[0]) * ((a[3] + d2 - d1) / (a[3] - b[3] + 2 * d2))
    return min(max(place, low), high)
