"""Recording of graphs on the device, through CuPy: what is asked of a stream is not done, but becomes a graph that can be run again and again."""

from __future__ import annotations

import ctypes
import functools
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import cupy_driver as base

RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED
underway: list[Any] = []  # the streams of all threads that are recorded


class Recording(threading.local):
    """What this thread records; ``workspaces``, of cuBLAS, by stream, are only there while it does."""

    workspaces: Any = None
    allocator: Any = None
    stream: Any = None


recording = Recording()


@functools.cache
def library() -> Any:
    found = ctypes.CDLL("libcuda.so.1")
    found.cuThreadExchangeStreamCaptureMode.argtypes = (ctypes.POINTER(ctypes.c_int),)
    return found


@contextmanager
def relaxed() -> Iterator[None]:
    """What the graph does not depend on may be done although it is recorded: memory is reserved, kernels are loaded."""
    mode = ctypes.c_int(RELAXED)
    library().cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))
    try:
        yield
    finally:
        library().cuThreadExchangeStreamCaptureMode(ctypes.byref(mode))


class Pool:
    """Memory for graphs alone: what is written when they are run is given to nobody else, and not given back before this is gone."""

    def __init__(self) -> None:
        from cupy.cuda import Memory, MemoryPointer, MemoryPool

        blocks = []

        def reserve(nbytes: int) -> Any:
            with relaxed():
                blocks.append(Memory(nbytes))
            return MemoryPointer(blocks[-1], 0)

        self.pool = MemoryPool(reserve)
        pools.add(self)


pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def new_pool() -> Pool:
    return Pool()


def begin_capture(pool: Pool, mode: str, device: int) -> None:
    """What this thread asks of the current stream is recorded from now on; memory comes from the pool."""
    from cupy.cuda import using_allocator
    from cupy.cuda.device import get_cublas_handle

    r = base.runtime()
    number = {"global": r.streamCaptureModeGlobal, "thread_local": r.streamCaptureModeThreadLocal, "relaxed": r.streamCaptureModeRelaxed}
    with base.On(device):
        get_cublas_handle()  # one that is made waits for the device
        stream = base.current_stream(device)
        stream.begin_capture(number[mode])
    underway.append(stream)
    recording.stream, recording.workspaces, recording.allocator = stream, {}, using_allocator(pool.pool.malloc)
    recording.allocator.__enter__()


def end_capture(device: int) -> Any:
    """The graph of what was recorded."""
    stream = recording.stream
    recording.allocator.__exit__(None, None, None)
    recording.stream = recording.workspaces = recording.allocator = None
    try:
        with base.On(device):
            return stream.end_capture()
    finally:
        underway.remove(stream)


def is_capturing(device: int) -> bool:
    """Is the current stream recorded?"""
    return base.current_stream(device).is_capturing()


def launch_graph(graph: Any, device: int) -> None:
    """Run a graph on the current stream."""
    with base.On(device):
        graph.launch(base.current_stream(device))
