"""Tensors as text, as PyTorch prints them: shared widths, summaries, and the suffixes after the numbers.

The rules are those of torch/_tensor_str.py; the numbers come from a NumPy array, so that nothing here runs a kernel.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .errors import ArgumentError


@dataclasses.dataclass
class PrintOptions:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}

options = PrintOptions()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is not given stays, except `sci_mode`, which falls back to None (automatic).

    precision: digits after the point (4). threshold: more elements than this are summarised (1000). edgeitems: items
    shown at each end of a summarised axis (3). linewidth: characters per line (80). profile: "default", "short" or
    "full", applied before the others. sci_mode: True or False force or forbid scientific notation.

    >>> import gradflow as gf
    >>> gf.set_printoptions(precision=2)
    >>> gf.tensor([1.12345])
    tensor([1.12])
    >>> gf.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in PROFILES:
            raise ArgumentError(f"set_printoptions: unknown profile; got {profile!r}; use one of {sorted(PROFILES)}")
        for name in ("precision", "threshold", "edgeitems", "linewidth"):
            setattr(options, name, getattr(PROFILES[profile], name))
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            setattr(options, name, value)
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, as a dict that `set_printoptions(**...)` takes."""
    return dataclasses.asdict(options)


@contextlib.contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """Print with other options inside a `with` block; the arguments are those of `set_printoptions`."""
    before = get_printoptions()
    try:
        set_printoptions(**changes)
        yield
    finally:
        set_printoptions(**before)


def format_tensor(
    array: np.ndarray,
    *,
    dtype_name: str | None = None,
    requires_grad: bool = False,
    grad_fn_name: str | None = None,
    prefix: str = "tensor(",
    default_dtype: str | np.dtype = "float32",
    device: str | None = None,
    tangent: str | None = None,
) -> str:
    """The text of a tensor with these values, character for character PyTorch's.

    dtype_name is the dtype's name without `torch.` (by default the array's own); it is shown when it is neither
    default_dtype nor int64 nor bool. device, when given, is shown first: pass it only when it is not the default one.
    """
    hidden: Any = array
    if hasattr(hidden, "physical"):  # inside of a vmap: all examples
        told: dict = {"dtype_name": dtype_name, "requires_grad": requires_grad, "grad_fn_name": grad_fn_name, "prefix": prefix}
        value = format_tensor(hidden.physical, **told, default_dtype=default_dtype, device=device, tangent=tangent).replace("\n", "\n    ")
        return f"BatchedTensor(lvl={hidden.batch.depth + 1}, bdim=0, value=\n    {value}\n)"
    array = np.asarray(array)
    dtype_name, default_dtype = dtype_name or array.dtype.name, str(default_dtype)
    suffixes = [f"device='{device}'"] if device else []
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={array.shape}")
        # no element tells an int64 from the default dtype, so only the default goes unnamed
        if dtype_name != default_dtype:
            suffixes.append(f"dtype=torch.{dtype_name}")
        body = "[]"
    else:
        if not options.edgeitems:
            suffixes.append(f"size={array.shape}")
        if dtype_name not in (default_dtype, "int64", "bool"):
            suffixes.append(f"dtype=torch.{dtype_name}")
        body = _format_values(array, len(prefix))
    if grad_fn_name is not None:
        suffixes.append(f"grad_fn=<{grad_fn_name}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    return _add_suffixes(prefix + body, suffixes, len(prefix))


def _add_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    parts = [text]
    column = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if column + len(suffix) + 2 > options.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            column = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            column += len(suffix) + 2
    return "".join(parts) + ")"


def _format_values(array: np.ndarray, indent: int) -> str:
    summarize = array.size > options.threshold
    shown = _edges(array) if summarize else array
    formatter, width = _formatter(shown)
    if array.ndim == 0:
        return formatter(_as_python(array))
    return _format_nested(array, indent, summarize, formatter, width)


def _as_python(array: np.ndarray) -> Any:
    """Python numbers, floats of any width as Python floats."""
    if array.dtype.kind not in "biu":
        array = array.astype(np.float64)
    return array.tolist()


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows: edgeitems at both ends of every axis."""
    edge = options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * edge:
            ends = [*range(edge), *range(size - edge, size)]
            array = array.take(ends, axis=axis)
    return array


def _formatter(array: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """How to print one element, and the width that the elements share (only finite non-zeros widen it)."""
    if array.dtype.kind in "biu":
        width = max((len(str(value)) for value in array.ravel().tolist()), default=1)
        return lambda value: str(value).rjust(width), width

    values = array.astype(np.float64).ravel()
    values = values[np.isfinite(values) & (values != 0)]
    if values.size == 0:
        return _integral, 1
    smallest, largest = float(np.abs(values).min()), float(np.abs(values).max())
    sci_mode = options.sci_mode
    if sci_mode is None:
        sci_mode = largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4
    if sci_mode:
        pattern = f".{options.precision}e"
    elif (values == np.ceil(values)).all():
        width = max(len(_integral(value)) for value in values.tolist())
        return lambda value: _integral(value).rjust(width), width
    else:
        pattern = f".{options.precision}f"
    width = max(len(format(value, pattern)) for value in values.tolist())
    return lambda value: format(value, pattern).rjust(width), width


def _integral(value: float) -> str:
    """A whole number with a bare point, as floats that are all whole are printed; nan and inf without."""
    return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"


def _format_nested(array: np.ndarray, indent: int, summarize: bool, formatter: Callable[[Any], str], width: int) -> str:
    edge = options.edgeitems
    cut = summarize and len(array) > 2 * edge
    if array.ndim == 1:
        return _format_row(array, indent, summarize, formatter, width)
    rows = [*range(edge), *range(len(array) - edge, len(array))] if cut else range(len(array))
    parts = [_format_nested(array[i], indent + 1, summarize, formatter, width) for i in rows]
    if cut:
        parts.insert(edge, "...")
    separator = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + separator.join(parts) + "]"


def _format_row(array: np.ndarray, indent: int, summarize: bool, formatter: Callable[[Any], str], width: int) -> str:
    edge = options.edgeitems
    if summarize and not edge:
        items = ["..."]
    elif summarize and len(array) > 2 * edge:
        head, tail = _as_python(array[:edge]), _as_python(array[-edge:])
        items = [formatter(value) for value in head] + [" ..."] + [formatter(value) for value in tail]
    else:
        items = [formatter(value) for value in _as_python(array)]
    per_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
