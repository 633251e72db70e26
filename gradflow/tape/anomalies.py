"""Values that are no numbers: who made them, and what the tensors around look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backends.batched import everything
from ..errors import AnomalyError
from .observe import anomaly
from .place import text


def values(array: Any) -> Any:
    """All values of a floating-point array, in NumPy; ``None`` for other types."""
    array = everything(array)
    if array.dtype.kind not in "fV":
        return None
    array = array if type(array) is np.ndarray else array.for_numpy(True)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def statistics(array: Any) -> str:
    """``float32[3]: min 0, max 2, mean 1, 1 nan, 0 inf``, of the finite values."""
    what = f"{everything(array).dtype}[{', '.join(map(str, array.shape))}]"
    a = values(array)
    if a is None or not a.size:
        return what
    finite = a[np.isfinite(a)].astype(np.float64)
    numbers = f"min {finite.min():.4g}, max {finite.max():.4g}, mean {finite.mean():.4g}, " if finite.size else ""
    return f"{what}: {numbers}{np.isnan(a).sum()} nan, {np.isinf(a).sum()} inf"


def kinds_in(arrays: Iterable[Any]) -> set[str]:
    """Which of those that anomaly mode looks for are there: "nan", "inf"."""
    found = set()
    for array in arrays:
        a = values(array)
        if a is None or np.isfinite(a).all():
            continue
        found |= {kind for kind, on, test in (("nan", anomaly.nan, np.isnan), ("inf", anomaly.inf, np.isinf)) if on and test(a).any()}
    return found


def listed(title: str, arrays: Iterable[Any]) -> str:
    return "".join(f"\n  {title} {i}: {statistics(a)}" for i, a in enumerate(arrays))


def look_back(node: Any, g: Any, contributions: Iterable[Any]) -> None:
    """Raise if going back through ``node`` made what anomaly mode looks for."""
    given = [t.array for t in (g.values() if g.__class__ is dict else (g,)) if t is not None]
    had = kinds_in(given)
    for i, t in enumerate(contributions):
        if t is None:
            continue
        found = kinds_in((t.array,))
        new = found if "nan" in found else found - had  # a nan is reported wherever it shows
        if new:
            kind = max(new)  # nan before inf
            raise AnomalyError(
                f"{node.name()}: Function '{node.name()}' returned {kind} values in its {i}th output; it was recorded in {text(node.place)}; "
                + ("look for 0/0, inf - inf or a root of 0 there" if kind == "nan" else "look for a division by 0 or an overflow there")
                + listed("its gradient", (t.array,))
                + listed("what arrived", given)
                + listed("what it saved", [a for a in node.saved or () if hasattr(a, "dtype")])
            )
