"""Timing of statements: ``Timer``, the ``Measurement`` that it gives, and ``Compare``, a table of several.

>>> import gradflow as gf
>>> from gradflow.utils.benchmark import Timer
>>> timer = Timer("x + x", globals={"x": gf.ones(3)}, label="addition")
>>> timer.timeit(100).median > 0
True
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable, Iterable
from typing import Any

import gradflow as gf

from ..errors import ArgumentError

__all__ = ["Compare", "Measurement", "Timer", "timer"]


def timer() -> float:
    """The time in seconds, when the device has done its work."""
    if gf.cuda.is_available():
        gf.cuda.synchronize()
    return timeit.default_timer()


def shown(seconds: float) -> str:
    """A time in the unit that fits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.2f} ns"


class Measurement:
    """Times of a statement: ``times``, for one run each, in seconds; ``raw_times`` of ``number_per_run`` runs together."""

    def __init__(self, number_per_run: int, raw_times: list[float], title: str = "", **about: Any) -> None:
        self.number_per_run, self.raw_times, self.title = number_per_run, raw_times, title
        self.label, self.sub_label, self.description, self.env = (about.get(k) for k in ("label", "sub_label", "description", "env"))
        self.num_threads = about.get("num_threads", 1)

    @property
    def times(self) -> list[float]:
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance of the quartiles."""
        return float(gf.tensor(self.times, dtype=gf.float64).quantile(gf.tensor([0.25, 0.75], dtype=gf.float64)).diff().item())

    @property
    def has_warnings(self) -> bool:
        """Do the times vary so much, or are they so few, that they say little?"""
        return len(self.times) < 2 or self.iqr > 0.1 * self.median

    def __repr__(self) -> str:
        lines = [f"<{type(self).__module__}.{type(self).__name__}>", self.title]
        if len(self.times) > 1:
            lines += [f"  Median: {shown(self.median)}", f"  IQR:    {shown(self.iqr)}"]
        else:
            lines += [f"  {shown(self.median)}"]
        runs = f"{len(self.times)} measurement{'s' if len(self.times) > 1 else ''}, {self.number_per_run} runs per measurement"
        return "\n".join([*lines, f"  {runs}, {self.num_threads} thread{'s' if self.num_threads > 1 else ''}"])


class Timer:
    """Measures ``stmt``, after ``setup``, with the names in ``globals`` and on ``num_threads`` threads."""

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if not isinstance(stmt, str) or language not in ("py", "python"):
            raise ArgumentError("Timer: only statements of Python, given as text, can be timed")
        names = {"torch": gf, "gradflow": gf, **(globals or {})}
        self._timer = timeit.Timer(stmt, setup, timer=timer, globals=names)
        self.num_threads = num_threads
        self.about = {"label": label, "sub_label": sub_label, "description": description, "env": env, "num_threads": num_threads}
        self.title = ": ".join(filter(None, [label or stmt, sub_label])) + (f"\n  {description}" if description else "")

    def _times(self, number: int, enough: Callable[[list[float]], bool]) -> Measurement:
        threads = gf.get_num_threads()
        gf.set_num_threads(self.num_threads)
        try:
            times: list[float] = []
            while not times or not enough(times):
                times.append(self._timer.timeit(number))
        finally:
            gf.set_num_threads(threads)
        return Measurement(number, times, self.title, **self.about)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One measurement of ``number`` runs, after a few that do not count."""
        self._times(max(number // 100, 2), lambda times: True)
        return self._times(number, lambda times: True)

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """Measurements until ``min_run_time`` seconds are full, each of so many runs that reading the clock costs little."""
        number = 1
        while number < 10**9 and self._times(number, lambda times: True).raw_times[0] < min_run_time / 1000:
            number *= 10
        result = self._times(number, lambda times: sum(times) >= min_run_time)
        for time in result.raw_times if callback is not None else ():
            callback(number, time)
        return result

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:
        """Measurements until their quartiles are closer than ``threshold`` times the median, or ``max_run_time`` is over."""
        number = self.blocked_autorange(min_run_time=min_run_time).number_per_run

        def enough(times: list[float]) -> bool:
            spread = Measurement(number, times)
            calm = len(times) > 3 and spread.iqr < threshold * spread.median
            return (sum(times) >= min_run_time and calm) or sum(times) >= max_run_time

        return self._times(number, enough)


class Compare:
    """A table of measurements: a row for each ``sub_label``, a column for each ``description``."""

    def __init__(self, results: Iterable[Measurement]) -> None:
        self.results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        self.results += results

    def trim_significant_figures(self) -> None:
        """The table shows few digits as it is."""

    def colorize(self, rowwise: bool = False) -> None:
        """The table has no colours."""

    highlight_warnings = trim_significant_figures

    def __str__(self) -> str:
        tables = []
        for label in dict.fromkeys(m.label for m in self.results):
            chosen = [m for m in self.results if m.label == label]
            columns = list(dict.fromkeys(m.description for m in chosen))
            rows = [[label or "", *(c or "" for c in columns)]]
            for key in dict.fromkeys((m.sub_label, m.env, m.num_threads) for m in chosen):
                found = {m.description: m for m in chosen if (m.sub_label, m.env, m.num_threads) == key}
                name = " ".join(filter(None, [key[1], key[0], f"({key[2]} threads)" if key[2] > 1 else ""]))
                rows.append([name, *(shown(found[c].median) if c in found else "" for c in columns)])
            widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
            tables.append(
                "\n".join(" | ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))) for row in rows)
            )
        return "\n\n".join(tables)

    def print(self) -> None:
        print(self)
