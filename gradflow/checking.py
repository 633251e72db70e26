"""Looking at every operation of a running program: for nan and inf that it makes, and whether its derivative is right.

The functions that look are put in the operations' places (see ``profiler/operations.py``), so that nothing is paid while nobody looks.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import wraps
from math import isfinite
from typing import Any

import numpy as np

import gradflow

from .autograd.function import Function
from .autograd.gradcheck import Check, GradcheckError
from .backends.batched import running
from .errors import AnomalyError
from .func.trees import flatten, unflatten
from .profiler.operations import install, restore
from .tape.anomalies import kinds_in, listed
from .tape.node import mode
from .tape.place import caller, text
from .tensor import Tensor, wrap


class Inside(threading.local):
    """Is an operation under way? What it calls is a part of it."""

    operation = False


inside = Inside()


def outermost(look: Callable) -> Callable:
    """``look(name, function, args, kwargs)`` in the place of an operation that the user calls."""

    def place(name: str, function: Callable) -> Callable:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if inside.operation:
                return function(*args, **kwargs)
            inside.operation = True
            try:
                return look(name, function, args, kwargs)
            finally:
                inside.operation = False

        return call

    return place


def tensors(tree: Any) -> list[Tensor]:
    return [x for x in flatten(tree)[0] if isinstance(x, Tensor)]


def look_for_anomalies(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    leaves = flatten((args, kwargs))[0]
    given = [x.array for x in leaves if isinstance(x, Tensor)]
    had = kinds_in(given) | {"inf" if x == x else "nan" for x in leaves if isinstance(x, float) and not isfinite(x)}
    before = listed("operand", given) if name.endswith("_") else None  # which is about to change
    result = function(*args, **kwargs)
    made = [t.array for t in tensors(result)]
    new = kinds_in(made) - had if given else set()
    if new:
        raise AnomalyError(
            f"{name}: made {' and '.join(sorted(new, reverse=True))} out of operands without, in {text(caller())}"
            + listed("result", made)
            + (before if before is not None else listed("operand", given))
        )
    return result


class ForwardAnomalies:
    """While it is on, operations that make nan or inf raise."""

    def __enter__(self) -> None:
        self.replaced = install(outermost(look_for_anomalies))

    def __exit__(self, *exc: object) -> None:
        restore(self.replaced)


# Whole-program gradcheck


def check_derivative(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    leaves, shape = flatten((args, kwargs))
    at = [i for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.dtype.is_floating_point]
    wanted = {i for i in at if leaves[i].requires_grad}
    plain = all(type(leaves[i].array) is np.ndarray for i in at)
    if not wanted or not mode.enabled or not plain or running.stack or kwargs.get("out") is not None:
        return function(*args, **kwargs)
    copies = {i: np.array(leaves[i].array, np.float64) for i in at}
    state = gradflow.get_rng_state()
    result = function(*args, **kwargs)
    if not any(t.requires_grad and t.dtype.is_floating_point for t in tensors(result)):
        return result
    after = gradflow.get_rng_state()

    def again(*xs: Tensor) -> Any:
        gradflow.set_rng_state(state)  # the same random numbers each time
        given = list(leaves)
        for i, x in zip(at, xs, strict=True):
            given[i] = x.clone()  # an operation in place changes no leaf
        first, second = unflatten(given, shape)
        found = function(*first, **second)
        return tuple(t for t in tensors(first[0] if found is None else found) if t.dtype.is_floating_point)

    def check(beside: float) -> None:
        noise = np.random.default_rng(0)
        xs = [wrap(np.asarray(copies[i] + beside * (0.5 + noise.random(copies[i].shape)))) for i in at]
        outputs = again(*xs)
        if not all(np.isfinite(y.numpy(force=True)).all() for y in outputs):
            return
        fine = all(y.dtype is gradflow.float64 for y in outputs)
        given = [x.requires_grad_() if i in wanted else x for i, x in zip(at, xs, strict=True)]
        step = None if fine else 1e-2  # None: what float64 deserves
        Check(again, tuple(given), step, step, step, name).run(True, 0.0, False, False)

    try:
        try:
            check(0.0)
        except GradcheckError:
            check(1e-3)  # at a kink differences are no derivative; beside it they are
    except GradcheckError as error:
        raise GradcheckError(f"{error}\n(found by GRADFLOW_GRADCHECK in {text(caller())}; the inputs are the program's own)") from None
    finally:
        gradflow.set_rng_state(after)
    return result


def check_program() -> None:
    """Check the derivative of every operation that runs from now on, user's Functions and formulas included."""
    place = outermost(check_derivative)
    install(place)
    apply = Function.apply.__func__  # type: ignore[attr-defined]

    def checked_apply(cls: type[Function], *args: Any, **kwargs: Any) -> Any:
        return place(cls.__name__, lambda *a, **k: apply(cls, *a, **k))(*args, **kwargs)

    Function.apply = classmethod(checked_apply)  # type: ignore[assignment,method-assign]
    elementwise: Any = gradflow.elementwise

    @wraps(elementwise)
    def checked_elementwise(*args: Any, **kwargs: Any) -> Any:
        made = elementwise(*args, **kwargs)
        return place(made.__name__, made) if hasattr(made, "op") else lambda formula: checked_elementwise(formula, **kwargs)

    for module in list(sys.modules.values()):
        if getattr(module, "elementwise", None) is elementwise and not module.__name__.startswith("gradflow."):
            module.elementwise = checked_elementwise  # type: ignore[attr-defined]
