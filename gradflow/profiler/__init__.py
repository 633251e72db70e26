"""Where time goes: the operations of a program, forward and backward, timed while a ``profile()`` is on.

Nothing is measured at other times: the functions that measure are put in the operations' places when a profile starts, and taken away when it ends.
"""

from __future__ import annotations

import enum
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

from ..errors import ArgumentError
from .operations import going_back, install, measuring, restore
from .results import Average, Averages, Event

clock = time.perf_counter_ns


class ProfilerActivity(enum.Enum):
    """What to profile. The operations' own times are always there; CUDA's are those of the calls, not of the kernels.

    >>> gf.profiler.ProfilerActivity.CPU.name
    'CPU'
    """

    CPU = 0
    CUDA = 1


class ProfilerAction(enum.Enum):
    """What a schedule asks of a step.

    >>> gf.profiler.schedule(wait=1, warmup=1, active=1)(1).name
    'WARMUP'
    """

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(*, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0) -> Callable[[int], ProfilerAction]:
    """Which steps to profile: of each cycle the last ``active`` ones, after ``wait`` idle ones and ``warmup`` ones that are thrown away.

    >>> action = gf.profiler.schedule(wait=1, warmup=1, active=2)
    >>> [action(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if wait < 0 or warmup < 0 or active < 1 or repeat < 0 or skip_first < 0:
        raise ArgumentError(
            f"schedule: wait={wait}, warmup={warmup}, active={active}, repeat={repeat}, skip_first={skip_first}; active must be 1 or more, the others 0 or more"
        )

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        cycle, place = divmod(step, wait + warmup + active)
        if step < 0 or (repeat and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if place == wait + warmup + active - 1 else ProfilerAction.RECORD

    return action


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> Callable[[profile], None]:
    """For ``on_trace_ready``: writes each trace to a file in a directory.

    >>> handler = gf.profiler.tensorboard_trace_handler("traces")
    >>> prof = gf.profiler.profile(on_trace_ready=handler)
    """

    def handler(prof: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker_name or os.getpid()}.{time.time_ns()}.pt.trace.json"))

    return handler


running: profile | None = None


class Stack(threading.local):
    """The calls that this thread is in: [name, time spent in those it has made]."""

    def __init__(self) -> None:
        self.open: list[list[Any]] = []


class profile:
    """Time the operations that run within a ``with`` block, forward and backward.

    ``schedule`` and ``on_trace_ready`` work as in torch, with a call of `step` after every step; the other arguments are torch's, and change nothing: shapes, bytes and flops
    are always noted where they are known. One profile can be on at a time.

    >>> x = gf.ones(1000, requires_grad=True)
    >>> with gf.profiler.profile() as prof:
    ...     (x.exp() * x).sum().backward()
    >>> sorted(a.key for a in prof.key_averages() if a.kind == "backward")
    ['ExpBackward0', 'MulBackward0', 'SumBackward0']
    """

    def __init__(
        self,
        *,
        activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
    ):
        for a in activities or ():
            if not isinstance(a, ProfilerActivity):
                raise ArgumentError(f"profile: an activity is {a!r}; expected ProfilerActivity.CPU or .CUDA")
        self.schedule, self.on_trace_ready = schedule, on_trace_ready
        self.step_num = 0
        self.action = ProfilerAction.NONE
        self.calls: list[Event] = []
        self.stack = Stack()
        self.flops_of: Any = weakref.WeakKeyDictionary()  # node: flops of the forward call that made it
        self.replaced: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        global running
        if running is not None:
            raise ArgumentError("profile: another profile is on; end it first")
        running = self
        self.turn(ProfilerAction.RECORD if self.schedule is None else self.schedule(0))

    def stop(self) -> None:
        global running
        if running is not self:
            return
        recorded = self.action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        self.turn(ProfilerAction.NONE)
        running = None
        if recorded and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self) -> None:
        """A step of the program is done; the schedule says what becomes of the next one."""
        was = self.action
        self.step_num += 1
        if self.schedule is None:
            return
        self.turn(self.schedule(self.step_num))
        if was is ProfilerAction.RECORD_AND_SAVE and self.on_trace_ready is not None:
            self.on_trace_ready(self)
        if was is not ProfilerAction.RECORD and self.action is not ProfilerAction.NONE:
            self.calls = []  # of a cycle that is done, or of its warm-up

    def turn(self, action: ProfilerAction) -> None:
        was, self.action = self.action, action
        if was is ProfilerAction.NONE and action is not ProfilerAction.NONE:
            self.replaced = install(partial(measuring, self), partial(going_back, self))
        elif was is not ProfilerAction.NONE and action is ProfilerAction.NONE:
            restore(self.replaced)
            self.replaced = []

    def measure(self, name: str, kind: str, function: Callable, args: tuple, kwargs: dict, count: Callable) -> Any:
        """The function's result; an event is noted. An operation that calls one of its own name is one event."""
        if self.action is ProfilerAction.NONE:
            return function(*args, **kwargs)
        stack = self.stack.open
        if stack and stack[-1][0] == name:
            return function(*args, **kwargs)
        frame: list[Any] = [name, 0]
        stack.append(frame)
        begin = clock()
        done = False
        try:
            result = function(*args, **kwargs)
            done = True
            return result
        finally:
            duration = clock() - begin
            stack.pop()
            if stack:
                stack[-1][1] += duration
            size, flops = count(self, name, args, result) if done else (0, None)
            self.calls.append(Event(name, kind, begin, duration, duration - frame[1], threading.get_ident(), size, flops))

    def events(self) -> list[Event]:
        """Every call, in the order in which they ended."""
        return list(self.calls)

    def key_averages(self, group_by_input_shape: bool = False) -> Averages:
        """The calls of each operation together."""
        found: dict[tuple[str, str], Average] = {}
        for e in self.calls:
            key = e.name, e.kind
            if key not in found:
                found[key] = Average(*key)
            found[key].add(e)
        return Averages(sorted(found.values(), key=lambda a: -a.self_cpu_time_total))

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """The operations as text, as ``key_averages().table()``."""
        return self.key_averages().table(sort_by, row_limit)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the calls to a JSON file that chrome://tracing and Perfetto show."""
        events = [
            {
                "name": e.name,
                "cat": e.kind,
                "ph": "X",
                "ts": e.start / 1e3,
                "dur": e.duration / 1e3,
                "pid": os.getpid(),
                "tid": e.thread,
                "args": {"bytes": e.bytes} | ({} if e.flops is None else {"flops": e.flops}),
            }
            for e in sorted(self.calls, key=lambda e: e.start)
        ]
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, f)


class record_function:
    """Name a part of the program in a profile: a context manager, or a decorator. Does nothing while none is on.

    >>> with gf.profiler.profile() as prof:
    ...     with gf.profiler.record_function("doubling"):
    ...         y = gf.ones(2) * 2
    >>> [e.name for e in prof.events() if e.kind == "user"]
    ['doubling']
    """

    def __init__(self, name: str, args: str | None = None):
        self.name = name
        self.open: list[Any] = []

    def __enter__(self) -> record_function:
        prof = running
        if prof is not None and prof.action is not ProfilerAction.NONE:
            frame = [f"{self.name} ", 0]  # not the name of an operation
            prof.stack.open.append(frame)
            self.open.append((prof, frame, clock()))
        else:
            self.open.append(None)
        return self

    def __exit__(self, *exc: object) -> None:
        entry = self.open.pop()
        if entry is None:
            return
        prof, frame, begin = entry
        duration = clock() - begin
        stack = prof.stack.open
        stack.remove(frame)
        if stack:
            stack[-1][1] += duration
        prof.calls.append(Event(self.name, "user", begin, duration, duration - frame[1], threading.get_ident(), 0, None))

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return call


__all__ = [
    "Average",
    "Averages",
    "Event",
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "schedule",
    "tensorboard_trace_handler",
]
