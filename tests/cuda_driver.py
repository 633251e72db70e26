"""A CUDA device for tests, made of the CPU: what gradflow/backends/cupy_driver.py does with CuPy, this does with NumPy and g++.

Its addresses are not the host's: who reads the device's memory without asking the driver crashes, as on a real device. Kernels are compiled by
g++ with CUDA's names; the threads of a block are fibers that change at ``__syncthreads``, in either order. Compiling takes most of the time, so
:meth:`Driver.collect` first runs a piece of program without computing, to know its kernels, and compiles all of them at once.
"""

import ctypes
import itertools
import mmap
import os
import re
import shutil
import sys
import threading
import time
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
from cuda_capture import CaptureError, Capturing, kept_parameters
from cuda_compiler import CACHE, Compiler

from gradflow.backends import cuda, cupy_driver
from gradflow.backends.cuda import array
from gradflow.backends.cuda.array import DTYPES

SHIFT = 1 << 62
NORESERVE = 0x4000  # of mmap on Linux, which Python names from 3.13 on


class Stream:
    """A queue. What is in it is done when somebody waits, or when the device computes: copies that nobody waits for come late here."""

    def __init__(self, driver, priority=None):
        self.driver, self.priority, self.todo = driver, priority, []
        self.ptr = next(driver.handles) if priority is not None else 0
        driver.every.add(self)

    @property
    def done(self):
        self.driver.unsafe(self)
        return not self.todo

    def synchronize(self):
        self.driver.unsafe(self)
        self.finish()

    def finish(self):
        while self.todo:
            self.todo.pop(0)()

    def wait_event(self, event):
        self.driver.log.append(("wait", self.ptr, event))
        c = self.driver.capture
        if event.capture is None:
            if self.driver.recording(self) is not None:
                raise CaptureError("cudaErrorStreamCaptureIsolation: dependency created on uncaptured work in another stream")
            event.finish()
        elif event.capture is not c:
            raise CaptureError("cudaErrorCapturedEvent: operation not permitted on an event last recorded in a capturing stream")
        elif self is not event.stream:
            c.asked.setdefault(self, 0)
            c.asked[self] += 1
            c.joined[event.stream] = event.mark


class Event:
    def __init__(self, timing):
        self.timing, self.capture = timing, None

    def record(self, stream):
        self.stream, self.todo, self.time = stream, list(stream.todo), time.perf_counter()
        self.capture = stream.driver.recording(stream)
        self.mark = self.capture.asked[stream] if self.capture is not None else 0
        stream.driver.log.append(("record", stream.ptr, self))

    @property
    def done(self):
        self.asked()
        return self.reached()

    def synchronize(self):
        self.asked()
        self.finish()

    def asked(self):
        if self.capture is not None:
            raise CaptureError("cudaErrorCapturedEvent: operation not permitted on an event last recorded in a capturing stream")
        self.stream.driver.unsafe()

    def reached(self):
        return not any(job in self.stream.todo for job in self.todo)

    def finish(self):
        while not self.reached():
            self.stream.todo.pop(0)()


class Pinned:
    def __init__(self, nbytes):
        self.bytes = np.full(nbytes, 0xA5, np.uint8)
        self.ptr = self.bytes.ctypes.data


libc = ctypes.CDLL(None)
libc.memalign.restype, libc.memalign.argtypes = ctypes.c_void_p, [ctypes.c_size_t, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


class Block:
    """Just so many bytes, after which AddressSanitizer keeps watch; they hold whatever the memory held."""

    def __init__(self, nbytes):
        self.nbytes = nbytes
        self.address = libc.memalign(256, nbytes)
        ctypes.memset(self.address, 0xA5, nbytes)

    def __del__(self):
        libc.free(self.address)


class Vast:
    """More bytes than there are: pages are there once somebody writes to them."""

    def __init__(self, nbytes):
        self.nbytes = nbytes
        self.map = mmap.mmap(-1, nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))


class Memory:
    """Bytes of the device."""

    def __init__(self, driver, nbytes, device):
        self.nbytes = 0
        self.driver, self.device, self.streams = driver, device, None
        mine = driver.capture is not None and driver.capture.thread == threading.get_ident()
        self.pool = driver.capture.pool if mine else None
        self.recorded = mine
        if driver.reserved[device] + nbytes > driver.limit:
            raise MemoryError
        self.nbytes = nbytes
        driver.reserved[device] += nbytes
        kind = Vast if nbytes > 1 << 30 else Block
        self.block = self.pool.take(nbytes, kind) if self.pool is not None else kind(nbytes)
        driver.blocks.add(self.block)
        self.pointer = self.block.address + SHIFT
        driver.living.add(self)
        driver.allocated[device] += nbytes
        driver.peak[device] = max(driver.peak[device], driver.allocated[device])
        driver.allocations += 1

    def __del__(self):
        self.driver.allocated[self.device] -= self.nbytes
        for stream in self.streams or ():
            self.driver.hold(self.block, stream, self.device)
        if self.pool is not None and self.nbytes and not self.streams:
            self.pool.give(self.block, self.nbytes)


class Driver(Capturing):
    """The narrow module that the backend knows, with ``devices`` devices."""

    def __init__(self, devices=2, compiler=None):
        self.devices, self.compiler = devices, compiler or Compiler()
        self.allocated, self.peak = [0] * devices, [0] * devices
        self.allocations = self.launches = 0
        self.backwards, self.allowed = False, {}
        self.collected = None
        self.current = 0
        self.limit, self.reserved, self.emptied = 1 << 34, [0] * devices, 0
        self.handles, self.log, self.held = itertools.count(1), [], []
        self.every, self.living, self.blocks = weakref.WeakSet(), weakref.WeakSet(), weakref.WeakSet()
        self.graphs, self.graph_launches, self.waiting = [], 0, []
        self.chosen = ()  # of large grids only the blocks at these parts of the whole are run
        self.counted = []  # (kernel, bytes read, bytes written, bytes accessed 16 at a time) of each launch, if the compiler counts
        self.streams = [Stream(self) for _ in range(devices)]
        self.currents = list(self.streams)

    # What is asked of the machine

    def why_not(self):
        return None

    def device_count(self):
        return self.devices

    def current_device(self):
        return self.current

    def set_device(self, device):
        self.current = device

    def device_name(self, device):
        return "Emulated device"

    def capability(self, device):
        return (9, 0)

    def properties(self, device):
        sizes = dict.fromkeys(
            "maxThreadsPerMultiProcessor regsPerMultiprocessor sharedMemPerMultiprocessor l2CacheSize pciBusID".split(), 0
        )
        numbers = {"multiProcessorCount": 2, "maxThreadsPerBlock": 1024, "warpSize": 32, "sharedMemPerBlock": 1 << 14, "integrated": 0}
        return {"name": b"Emulated device", "major": 9, "minor": 0, "totalGlobalMem": 1 << 34, **numbers, **sizes}

    def synchronize(self, device):
        self.unsafe()
        for stream in list(self.every):
            stream.synchronize()

    def memory(self, device):
        peak = self.peak[device]
        return {"allocated": self.allocated[device], "reserved": self.reserved[device], "peak": peak, "peak reserved": peak}

    def memory_info(self, device):
        return self.limit - self.reserved[device], self.limit

    def reset_peak(self, device):
        self.peak[device] = self.allocated[device]

    def empty_cache(self):
        self.emptied += 1
        self.reserved = list(self.allocated)

    # Streams and events

    def current_stream(self, device):
        return self.currents[device]

    def default_stream(self, device):
        return self.streams[device]

    def new_stream(self, device, priority):
        return Stream(self, priority)

    def set_stream(self, stream, device):
        self.currents[device] = stream

    def new_event(self, device, timing, blocking=False):
        return Event(timing)

    def elapsed_time(self, start, end):
        return 1e3 * (end.time - start.time)

    def join(self, handle, device):
        self.log.append(("join", handle))
        if handle != -1:
            self.currents[device].finish()

    def hold(self, memory, stream, device):
        self.waiting.append((memory, stream))
        if self.capture is not None:
            return
        for block, used in self.waiting:
            event = self.new_event(device, False)
            event.record(used)
            self.held.append((event, block))
        self.waiting, self.held = [], [(e, m) for e, m in self.held if not e.done]

    # Memory

    def alloc(self, nbytes, device):
        return Memory(self, nbytes, device)

    def pinned(self, nbytes):
        return Pinned(nbytes)

    def to_device(self, to, host, nbytes, device, owner=None):
        self.later(lambda: ctypes.memmove(to - SHIFT, host, nbytes), device, owner, [to])

    def to_host(self, host, source, nbytes, device, owner=None):
        self.later(lambda: ctypes.memmove(host, source - SHIFT, nbytes), device, owner, [source])
        if self.collected is not None and nbytes == 8:  # how many there are, if that were computed
            ctypes.memmove(host, (1).to_bytes(8, "little"), 8)

    def later(self, job, device, owner, addresses=()):
        stream = self.currents[device]
        if self.recording(stream) is not None and owner is not None:
            self.do("copy", job, device, addresses)
            return
        self.unsafe()
        stream.todo.append(job)
        if owner is None:
            stream.synchronize()
        else:
            self.hold(owner, stream, device)

    def copy(self, to, to_device, source, from_device, nbytes):
        self.later(lambda: ctypes.memmove(to - SHIFT, source - SHIFT, nbytes), from_device, None)

    def clear(self, pointer, nbytes, device):
        self.do("clear", lambda: ctypes.memset(pointer - SHIFT, 0, nbytes), device, [pointer])

    # Kernels

    @contextmanager
    def collect(self):
        """Nothing is computed inside; afterwards every kernel that was asked for is compiled."""
        self.collected = {}
        try:
            yield
        finally:
            kernels, self.collected = self.collected, None
            self.compiler.build(kernels)

    def function(self, name, text, device):
        if self.collected is not None:
            self.collected[name] = text
        return name, text

    def shared_memory(self, device):
        return 64 << 10

    def allow_shared(self, function, nbytes, device):
        self.allowed[function[0]] = nbytes

    def launch(self, function, grid, block, shared, parameters, device):
        name, text = function
        most = int(re.search(rf"__launch_bounds__\((\d+)\) {name}\(", text).group(1))
        assert (
            0 < grid[0] < 1 << 31
            and 0 < grid[1] <= 65535
            and shared <= self.allowed.get(name, 48 << 10)
            and 0 < block[0] * block[1] <= most
        )
        self.launches += 1
        if self.collected is not None:
            self.collected[name] = text
            return
        array, addresses, copies = kept_parameters(name, text, parameters) if self.capture is not None else (parameters, (), None)
        self.do(name, lambda: (self.run(name, text, grid, block, shared, array), copies), device, addresses)

    def run(self, name, text, grid, block, shared, parameters):
        if name not in self.compiler.functions:
            self.compiler.build({name: text})
        run = self.compiler.functions[name]
        library = self.compiler.libraries[os.readlink(CACHE / self.compiler.digest(text))]
        chosen = sorted(
            {min(max(int(part * grid[0]) + d, 0), grid[0] - 1) for part in self.chosen for d in (-1, 0, 1)} if grid[0] > 2048 else ()
        )
        library.gf_choose(len(chosen), (ctypes.c_uint * len(chosen))(*chosen))
        if self.compiler.counting:
            ranges = [n for m in self.living for n in (m.block.address, m.block.address + m.nbytes)]
            assert len(ranges) <= 128
            library.gf_watch(len(ranges) // 2, (ctypes.c_ulonglong * len(ranges))(*ranges))
        address = parameters if isinstance(parameters, int) else ctypes.addressof(parameters)
        assert run(ctypes.c_void_p(address), self.backwards, *grid, *block, shared) == 0, f"{name}: some threads left before a barrier"
        if self.compiler.counting:
            library.gf_counted(counts := (ctypes.c_ulonglong * 3)())
            self.counted.append((name, *counts))

    def argsort(self, order, keys, code, rows, columns, device):
        if self.collected is None:
            self.do("argsort", lambda: self.sort(order, keys, DTYPES[code], rows, columns), device, [order, keys])

    def sort(self, order, keys, dtype, rows, columns):
        memory = (ctypes.c_char * (rows * columns * dtype.itemsize)).from_address(keys - SHIFT)
        places = np.argsort(np.ndarray((rows, columns), dtype, memory), -1, kind="stable")
        ctypes.memmove(order - SHIFT, np.ascontiguousarray(places).ctypes.data, places.nbytes)

    def gemm(self, code, sizes, a, b, accumulate, c, count, device):
        if self.collected is None:
            self.launches += 1
            self.do("gemm", lambda: self.multiply(code, sizes, a, b, accumulate, c, count), device, [a[0], b[0], c[0]])

    def multiply(self, code, sizes, a, b, accumulate, c, count):
        """As BLAS: columns are dense, c = a b or c + a b."""
        m, n, k = sizes
        x = self.matrices(code, a[0], m, k, a[2], a[3], count, a[1])
        y = self.matrices(code, b[0], k, n, b[2], b[3], count, b[1])
        z = self.matrices(code, c[0], m, n, c[1], c[2], count, False)
        wide = np.float64 if z.dtype == np.float64 else np.float32
        with np.errstate(all="ignore"):
            result = x.astype(wide) @ y.astype(wide)
        z[...] = (z.astype(wide) + result if accumulate else result).astype(z.dtype)

    def matrices(self, code, pointer, rows, columns, leading, stride, count, turned):
        dtype = DTYPES[code]
        down, across = (leading, 1) if turned else (1, leading)
        last = (rows - 1) * down + (columns - 1) * across + (count - 1) * stride
        memory = (ctypes.c_char * ((last + 1) * dtype.itemsize)).from_address(pointer - SHIFT)
        strides = [s * dtype.itemsize for s in (stride, down, across)]
        return np.ndarray((count, rows, columns), dtype, memory, strides=strides)


def devices(kind, cases=()):
    """For a fixture: an emulated device, for which the kernels of the cases are compiled, its threads in order or ``backwards``; or the real
    one."""
    if kind == "real":
        cupy_driver.collected, cupy_driver.backwards = None, False
        cuda.use(cupy_driver)
        yield cupy_driver
    else:
        if shutil.which("g++") is None:
            pytest.skip("needs g++")
        driver = Driver()
        driver.backwards = kind == "backwards"
        cuda.use(driver)
        with driver.collect(), np.errstate(all="ignore"):
            for f in cases:
                try:
                    f(driver)
                except Exception as error:  # values are whatever the memory held
                    print(f"{f.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        yield driver
    array.driver = None
