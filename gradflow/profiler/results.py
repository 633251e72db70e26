"""The calls that a profile noted, and what they come to for each operation."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import ArgumentError


class Event(NamedTuple):
    """One call: ``kind`` is "forward", "backward" or "user"; times are in ns; ``flops`` is ``None`` where it is not known.

    >>> with gf.profiler.profile() as prof:
    ...     y = gf.ones(2) * 2
    >>> event = prof.events()[0]
    >>> event.name, event.kind
    ('ones', 'forward')
    """

    name: str
    kind: str
    start: int
    duration: int
    own: int
    thread: int
    bytes: int
    flops: int | None


class Average:
    """All calls of one operation. Times are in microseconds, as torch's are; ``self_`` is without the operations that it called.

    >>> with gf.profiler.profile() as prof:
    ...     y = gf.ones(2) * 2
    >>> average = prof.key_averages()[0]
    >>> average.key, average.count
    ('ones', 1)
    """

    def __init__(self, key: str, kind: str):
        self.key, self.kind = key, kind
        self.count = self.bytes = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.flops: int | None = None

    def add(self, e: Event) -> None:
        self.count += 1
        self.bytes += e.bytes
        self.cpu_time_total += e.duration / 1e3
        self.self_cpu_time_total += e.own / 1e3
        if e.flops is not None:
            self.flops = (self.flops or 0) + e.flops

    @property
    def cpu_time(self) -> float:
        return self.cpu_time_total / self.count


SORTS = ("self_cpu_time_total", "cpu_time_total", "cpu_time", "count", "bytes", "flops")


class Averages(list):
    """A row for each operation, the one with most time of its own first.

    >>> with gf.profiler.profile() as prof:
    ...     y = gf.ones(2) * 2
    >>> print(prof.key_averages().table().split()[0])
    operation
    """

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """The rows as text; ``sort_by`` is one of "self_cpu_time_total", "cpu_time_total", "cpu_time", "count", "bytes", "flops"."""
        if sort_by is not None and sort_by not in SORTS:
            raise ArgumentError(f"table: sort_by is {sort_by!r}; expected one of {', '.join(SORTS)}")
        rows = sorted(self, key=lambda a: getattr(a, sort_by or SORTS[0]) or 0, reverse=True)
        whole = sum(a.self_cpu_time_total for a in self) or 1.0
        lines = [("operation", "pass", "calls", "self", "self %", "total", "a call", "bytes", "flops")]
        for a in rows[:row_limit]:
            lines.append(
                (
                    a.key,
                    a.kind,
                    str(a.count),
                    seconds(a.self_cpu_time_total),
                    f"{100 * a.self_cpu_time_total / whole:.1f}",
                    seconds(a.cpu_time_total),
                    seconds(a.cpu_time),
                    scaled(a.bytes),
                    "" if a.flops is None else scaled(a.flops),
                )
            )
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(x.ljust(w) if i < 2 else x.rjust(w) for i, (x, w) in enumerate(zip(line, widths, strict=True))) for line in lines]
        text.insert(1, "  ".join("-" * w for w in widths))
        if len(rows) > row_limit:
            text.append(f"... and {len(rows) - row_limit} more")
        for kind in ("forward", "backward"):
            text.append(f"{kind}: {seconds(sum(a.self_cpu_time_total for a in self if a.kind == kind))}")
        return "\n".join(line.rstrip() for line in text)

    __str__ = table


def seconds(us: float) -> str:
    return f"{us:.1f} us" if us < 1e3 else f"{us / 1e3:.2f} ms" if us < 1e6 else f"{us / 1e6:.2f} s"


def scaled(n: float) -> str:
    for unit in ("", "k", "M", "G"):
        if n < 1000:
            return f"{n:.3g}{unit}"
        n /= 1000
    return f"{n:.3g}T"
