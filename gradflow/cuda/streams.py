"""Queues of work on a device, and marks in them."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from .devices import backend, check, number, refuse_waiting, set_device


class Stream:
    """A queue of work on a device. Work on different streams may run at the same time, unless events or waits order it.

    ``cuda_stream`` is CUDA's handle. Memory that a tensor gave back is used again by the stream that was current when it was made; a tensor that another
    stream uses must say so: :meth:`Tensor.record_stream`.

    >>> def overlapped(x):
    ...     side = gf.cuda.Stream()
    ...     side.wait_stream(gf.cuda.current_stream())
    ...     with gf.cuda.stream(side):
    ...         y = x * 2
    ...     gf.cuda.current_stream().wait_stream(side)
    ...     y.record_stream(gf.cuda.current_stream())
    ...     return y
    """

    def __init__(self, device: Any = None, priority: int = 0):
        self._number = number(device)
        self._raw = backend().new_stream(self._number, priority)
        self.priority = priority

    @classmethod
    def _of(cls, raw: Any, index: int) -> Stream:
        stream = object.__new__(cls)
        stream._number, stream._raw, stream.priority = index, raw, 0
        return stream

    @property
    def cuda_stream(self) -> int:
        return self._raw.ptr

    @property
    def device(self) -> Any:
        from ..tensor import device

        return device("cuda", self._number)

    @property
    def device_index(self) -> int:
        return self._number

    def wait_event(self, event: Event) -> None:
        """What is asked of this stream from now on waits for the event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """What is asked of this stream from now on waits for what has been asked of the other."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """Mark where the stream is; returns the event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def query(self) -> bool:
        """Is everything done that was asked of the stream?"""
        refuse_waiting("Stream.query")
        return self._raw.done

    def synchronize(self) -> None:
        """Wait until everything is done that was asked of the stream."""
        refuse_waiting("Stream.synchronize")
        self._raw.synchronize()
        check(self._number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._number, self.cuda_stream) == (other._number, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self._number, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<gradflow.cuda.Stream device=cuda:{self._number} cuda_stream={self.cuda_stream:#x}>"

    def __enter__(self) -> Stream:
        self._within = [*getattr(self, "_within", ()), stream(self)]
        self._within[-1].__enter__()
        return self

    def __exit__(self, *_: Any) -> None:
        self._within.pop().__exit__()


class Event:
    """A mark in a stream: to wait for, to ask whether it was reached, and, with ``enable_timing``, to measure times between two.

    >>> if gf.cuda.is_available():
    ...     start, end = gf.cuda.Event(enable_timing=True), gf.cuda.Event(enable_timing=True)
    ...     start.record()
    ...     y = gf.ones(1000, device="cuda") * 2
    ...     end.record()
    ...     end.synchronize()
    ...     milliseconds = start.elapsed_time(end)
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        if interprocess:
            raise ArgumentError("Event: events of several processes are not supported; leave out interprocess")
        self.enable_timing, self.blocking = enable_timing, blocking
        self._raw: Any = None  # made when it is first recorded: it belongs to that device
        self._number = -1

    def record(self, stream: Stream | None = None) -> None:
        """Put the mark behind what has been asked of a stream, the current one for ``None``."""
        stream = current_stream() if stream is None else stream
        if self._raw is None:
            self._number = stream._number
            self._raw = backend().new_event(self._number, self.enable_timing, self.blocking)
        elif self._number != stream._number:
            raise ArgumentError(
                f"Event: the event's device cuda:{self._number} does not match the stream's, cuda:{stream._number}; use an event for each device"
            )
        self._raw.record(stream._raw)

    def wait(self, stream: Stream | None = None) -> None:
        """What is asked of the stream from now on waits for the mark; nothing if it was never recorded."""
        stream = current_stream() if stream is None else stream
        if self._raw is not None:
            stream._raw.wait_event(self._raw)

    def query(self) -> bool:
        """Has everything before the mark been done? True if it was never recorded."""
        refuse_waiting("Event.query")
        return self._raw is None or self._raw.done

    def synchronize(self) -> None:
        """Wait until everything before the mark is done."""
        refuse_waiting("Event.synchronize")
        if self._raw is not None:
            self._raw.synchronize()
            check(self._number)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this mark to another."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ArgumentError("elapsed_time: Both events must be created with argument 'enable_timing=True'.")
        if self._raw is None or end_event._raw is None:
            raise ArgumentError("elapsed_time: Both events must be recorded before calculating elapsed time.")
        if not (self.query() and end_event.query()):
            raise ArgumentError("elapsed_time: Both events must be completed before calculating elapsed time; synchronize() first.")
        return backend().elapsed_time(self._raw, end_event._raw)


def current_stream(device: Any = None) -> Stream:
    """The stream that operations on the device go to.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.current_stream().synchronize()
    """
    index = number(device)
    return Stream._of(backend().current_stream(index), index)


def default_stream(device: Any = None) -> Stream:
    """The stream that is there from the beginning.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.default_stream().synchronize()
    """
    index = number(device)
    return Stream._of(backend().default_stream(index), index)


def set_stream(stream: Stream) -> None:
    """Operations go to this stream, and to its device, from now on; nothing for ``None``.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.set_stream(gf.cuda.default_stream())
    """
    if stream is not None:
        set_device(stream._number)
        backend().set_stream(stream._raw, stream._number)


class stream:
    """``with cuda.stream(s):`` operations go to ``s``, and to its device; nothing for ``None``.

    >>> if gf.cuda.is_available():
    ...     with gf.cuda.stream(gf.cuda.Stream()):
    ...         y = gf.ones(2, device="cuda") * 2
    """

    def __init__(self, stream: Stream | None):
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            self.before = current_stream(), current_stream(self.stream.device)
            set_stream(self.stream)

    def __exit__(self, *_: Any) -> None:
        if self.stream is not None:
            outer, there = self.before
            backend().set_stream(there._raw, there._number)
            set_device(outer._number)
