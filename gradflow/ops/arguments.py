"""Which argument is at fault: asked only after a call has failed, so that a good call pays nothing for it."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, GradflowError, NumberError, OutOfRangeError
from ..kinds.direct import before
from ..tensor import Tensor


def is_int(x: Any) -> bool:
    try:
        operator.index(x)
    except TypeError:
        return False
    return not isinstance(x, Tensor) or not x.array.ndim


def is_number(x: Any) -> bool:
    return isinstance(x, bool | int | float | np.number | np.bool_) or (isinstance(x, Tensor) and not x.array.ndim)


def is_axis(x: Any) -> bool:
    return x is None or is_int(x) or (isinstance(x, tuple | list) and all(map(is_int, x)))


# what an annotation promises: the test of an argument, and how torch calls it
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Tensor": (lambda x: isinstance(x, Tensor), "Tensor"),
    "int": (is_int, "int"),
    "float": (is_number, "float"),
    "bool": (lambda x: isinstance(x, bool | np.bool_), "bool"),
    "str": (lambda x: isinstance(x, str), "str"),
    "Sequence[int]": (lambda x: isinstance(x, tuple | list) and all(map(is_int, x)), "tuple of ints"),
    "Sequence[Tensor]": (lambda x: isinstance(x, tuple | list) and all(isinstance(t, Tensor) for t in x), "tuple of Tensors"),
}
AXES = {"dim", "dim0", "dim1", "dims"}


def at_fault(op: str, function: Callable, args: tuple, kwargs: dict[str, Any], error: Exception) -> Exception | None:
    """What to raise for a call that failed with ``error``: what is wrong with the kind of an argument, by the function's annotations, or the
    error in our form; ``None`` if that may go out as it is."""
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return None
    for name, value in given.items():
        parameter = signature.parameters[name]
        kind, _, optional = str(parameter.annotation).partition(" | ")
        test, word = KINDS.get(kind, (is_axis, "int or tuple of ints") if name in AXES else (None, ""))
        if (
            test is None
            or parameter.kind is parameter.VAR_KEYWORD
            or (optional not in ("", "None"))
            or (value is None and (optional or parameter.default is None))
        ):
            continue
        for x in value if parameter.kind is parameter.VAR_POSITIONAL else (value,):
            if name == "reduction" and not test(x):
                return ArgumentError(f"{op}: {x!r} is not a valid value for reduction; choose none, mean or sum")
            if not test(x):
                return DTypeError(f"{op}: argument '{name}' must be {word}, not {type(x).__name__}")
    return in_our_form(op, error)


OURS = (
    (AttributeError, DTypeError),
    (TypeError, DTypeError),
    (IndexError, OutOfRangeError),
    (OverflowError, NumberError),
    (KeyError, ArgumentError),
    (ValueError, ArgumentError),
)
TOO_LARGE = re.compile("array is too big|Maximum allowed size|negative dimensions|too many elements")
OF_ONE_NUMBER = re.compile("(item: a Tensor with|bool: Boolean value of Tensor)")
OF_THE_CALL = re.compile(r"\(\) (takes|missing|got) ")


def in_our_form(op: str, error: Exception) -> Exception | None:
    """What Python or NumPy say of an argument that no check has caught; ``None`` for our own errors and for a call with wrong names."""
    if isinstance(error, GradflowError) and OF_ONE_NUMBER.match(str(error)) and op not in ("item", "is_nonzero"):
        return DTypeError(f"{op}: an argument must be a number, but is a Tensor: {error}")
    if isinstance(error, GradflowError) or OF_THE_CALL.search(str(error)):
        return None
    for kind, ours in OURS:
        if isinstance(error, kind):
            found: Exception = (MemoryError if kind is ValueError and TOO_LARGE.search(str(error)) else ours)(
                f"{op}: an argument does not fit: {error}; see help({op})"
            )
            found.__cause__ = error
            return found
    return None


@functools.cache  # asked when a function is first called with options, not at import
def options_of(function: Callable) -> dict[str, tuple[Callable[[Any], bool], str, bool]]:
    """The parameters that are flags and numbers: the test of an argument, how torch calls it, and whether None will do."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind, _, optional = str(parameter.annotation).partition(" | ")
        if kind in ("bool", "int", "float") and optional in ("", "None") and parameter.kind is not parameter.VAR_POSITIONAL:
            found[name] = (*KINDS[kind], bool(optional) or parameter.default is None)
    return found


@functools.cache
def names_of(function: Callable) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


NUMPYS_WORDS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def in_torchs_words(function: Callable, kwargs: dict[str, Any]) -> dict[str, Any]:
    """NumPy's names of arguments, which torch takes beside its own, as its own."""
    if NUMPYS_WORDS.keys().isdisjoint(kwargs):
        return kwargs
    names = names_of(function)
    return {NUMPYS_WORDS[k] if k not in names and NUMPYS_WORDS.get(k) in names else k: value for k, value in kwargs.items()}


def check_options(op: str, function: Callable, kwargs: dict[str, Any]) -> None:
    """Refuses flags and numbers of a wrong kind, which would do something else than was meant."""
    options = options_of(function)
    for name, value in kwargs.items():
        if name in options:
            test, word, optional = options[name]
            if not (test(value) or (optional and value is None)):
                raise DTypeError(f"{op}: argument '{name}' must be {word}, not {type(value).__name__}")


def checked(op: str, function: Callable, like: Callable | None = None) -> Callable:
    """``function``, which blames an argument of a wrong kind before anything else, as torch does; annotated as ``like``."""
    form = like or function

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = in_torchs_words(form, kwargs)
            check_options(op, form, kwargs)
        if len(args) > 1:
            check_options(op, form, dict(zip(names_of(form), args)))
        try:
            return function(*args, **kwargs)
        except Exception as error:
            fault = at_fault(op, form, args, kwargs, error)
            if fault is None:
                raise
        raise fault

    call.__name__ = call.__qualname__ = op
    call.__doc__, call.__module__ = function.__doc__, function.__module__
    call.__dict__ |= {"__wrapped__": function, **function.__dict__}
    return before(function, call)
