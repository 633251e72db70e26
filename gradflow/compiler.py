"""``torch.compile`` and ``torch.compiler``. Operations are fused kernels as they are; a call is run as it is written, so that the
result is the same with and without.

>>> import gradflow as gf
>>> @gf.compile(mode="reduce-overhead")
... def f(x):
...     return x.sin() * 2
>>> f(gf.zeros(2))
tensor([0., 0.])
"""

from __future__ import annotations

from typing import Any

from .errors import ArgumentError, DTypeError

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "reset",
    "set_stance",
]


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """The function or module itself; without one, a decorator that gives it back."""
    if mode is not None and options is not None:
        raise ArgumentError("compile: Either mode or options can be specified, but both can't be specified at the same time")
    if model is None:
        return lambda model: model
    if not callable(model):
        raise DTypeError(f"compile: expected a function or a module, not {type(model).__name__}")
    return model


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """A mark for the compiler, with or without arguments."""
    return fn if fn is not None else lambda fn: fn


def allow_in_graph(fn: Any) -> Any:
    """A mark for the compiler."""
    return fn


def assume_constant_result(fn: Any) -> Any:
    """A mark for the compiler."""
    return fn


def is_compiling() -> bool:
    """Is this code being compiled? Never."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def reset() -> None:
    """Forget what was compiled: nothing."""


def cudagraph_mark_step_begin() -> None:
    """Says nothing here."""


class set_stance:
    """How compiled code is to behave, as a call or within ``with``: nothing is compiled."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> None:
        pass
