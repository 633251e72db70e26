"""Functions whose plain calls the extension answers: tensors on the CPU, ints and flags in range, as nearly all calls are.

``@direct("permute", plan)`` puts the attempt of that name (``csrc/direct_axes.cpp``, ``_parts``, ``_making``, ``_formulas``) in front of a function. It
returns the result, or passes the call on unseen. So the function is written for every call, and says what is wrong with one; the attempt
only has to be right where it does not decline.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..backends import Direct

F = TypeVar("F", bound=Callable[..., Any])


def direct(kind: str, *tools: Any, options: tuple[str, ...] = ()) -> Callable[[F], F]:
    """``tools``: what the attempt needs besides the arguments. ``options``: the keyword arguments that it knows, of a function that takes any."""

    def put(function: F) -> F:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] + options
        attempt: Any = Direct(kind, function, names, code.co_argcount, bool(code.co_flags & inspect.CO_VARARGS), tools)
        functools.update_wrapper(attempt, function)
        return attempt

    return put


def before(function: Any, call: Any) -> Any:
    """``call``, which calls ``function``, with the attempt in front that ``function`` has, if it has one."""
    if not isinstance(function, Direct):
        return call
    attempt = function.before(call)
    functools.update_wrapper(attempt, call)
    return attempt
