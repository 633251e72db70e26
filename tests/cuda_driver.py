"""A CUDA device for tests, made of the CPU: what gradflow/backends/cupy_driver.py does with CuPy, this does with NumPy and g++.

Its addresses are not the host's: who reads the device's memory without asking the driver crashes, as on a real device. Kernels are compiled by
g++ with CUDA's names; the threads of a block are fibers that change at ``__syncthreads``, in either order. Compiling takes most of the time, so
:meth:`Driver.collect` first runs a piece of program without computing, to know its kernels, and compiles all of them at once.
"""

import ctypes
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from cuda_emulator import BF16, FP16, ROOT

from gradflow.backends import cuda, cupy_driver
from gradflow.backends.cuda import array
from gradflow.backends.cuda.array import DTYPES

SHIFT = 1 << 62
BATCH = 24  # kernels in one compilation
CACHE = ROOT / "build" / "emulated"
FLAGS = ["-O1", "-std=c++17", "-shared", "-fPIC", "-w", "-fno-math-errno", "-fno-trapping-math"]

SHIM = r"""
#include <ucontext.h>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <csrc/half.h>
#define __global__ static
#define __launch_bounds__(threads)
#define __grid_constant__
#define GF_SHARED(name) unsigned char* name = gf_shared_memory
struct Three { unsigned x, y; };
static Three blockIdx, blockDim, gridDim, threadIdx;
alignas(16) static unsigned char gf_shared_memory[1 << 14];

static void (*gf_kernel)(void**);
static void** gf_parameters;
static ucontext_t gf_scheduler;
struct Fiber { ucontext_t context; char* stack; bool done; };
static std::vector<Fiber> gf_fibers;
static unsigned gf_current;

static __attribute__((noinline)) void __syncthreads() { swapcontext(&gf_fibers[gf_current].context, &gf_scheduler); }
// A write that others have not read yet stays: two exchanges follow each other without a barrier.
static unsigned char gf_exchanged[2][1024][8], gf_turn[1024];
template <class T>
static __attribute__((noinline)) T __shfl_xor_sync(unsigned warp, T x, int bits) {
  const unsigned t = threadIdx.y * blockDim.x + threadIdx.x, turn = gf_turn[t] ^= 1;
  if (!(warp >> t % 32 & 1) || !(warp >> (t ^ bits) % 32 & 1)) abort();  // a thread that the mask does not name
  memcpy(gf_exchanged[turn][t], &x, sizeof x);
  __syncthreads();
  memcpy(&x, gf_exchanged[turn][t ^ bits], sizeof x);
  return x;
}
static void gf_fiber() {
  gf_kernel(gf_parameters);
  gf_fibers[gf_current].done = true;
  swapcontext(&gf_fibers[gf_current].context, &gf_scheduler);
}
template <class T>
static T* gf_pointer(void* p) {
  const unsigned long long address = *static_cast<unsigned long long*>(p);
  return address ? reinterpret_cast<T*>(address - (1ull << 62)) : nullptr;
}
// 1: some threads of a block are done while others wait for them
static int gf_run(void (*kernel)(void**), void** parameters, bool waits, bool backwards, unsigned gx, unsigned gy, unsigned bx, unsigned by) {
  gf_kernel = kernel;
  gf_parameters = parameters;
  gridDim = {gx, gy};
  blockDim = {bx, by};
  const unsigned n = bx * by;
  if (waits)
    while (gf_fibers.size() < n) gf_fibers.push_back({{}, static_cast<char*>(malloc(1 << 16)), false});
  for (unsigned b = 0; b < gx * gy; ++b) {
    blockIdx = {b % gx, b / gx};
    if (!waits) {
      for (unsigned i = 0; i < n; ++i) {
        const unsigned t = backwards ? n - 1 - i : i;
        threadIdx = {t % bx, t / bx};
        kernel(parameters);
      }
      continue;
    }
    for (unsigned t = 0; t < n; ++t) {
      Fiber& f = gf_fibers[t];
      f.done = false;
      gf_turn[t] = 0;
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack;
      f.context.uc_stack.ss_size = 1 << 16;
      f.context.uc_link = nullptr;
      makecontext(&f.context, gf_fiber, 0);
    }
    for (unsigned done = 0; done < n;) {
      done = 0;
      for (unsigned i = 0; i < n; ++i) {
        const unsigned t = gf_current = backwards ? n - 1 - i : i;
        threadIdx = {t % bx, t / bx};
        swapcontext(&gf_scheduler, &gf_fibers[t].context);
        done += gf_fibers[t].done;
      }
      if (done && done < n) return 1;
    }
  }
  return 0;
}
"""


def entry(name, text):
    """A function that takes a kernel's parameters as the driver does: pointers to them."""
    lines = re.search(rf"{name}\((.*?)\) {{", text, re.S).group(1).split(",\n")
    arguments = []
    for i, line in enumerate(lines):
        kind = re.sub(r"__grid_constant__|\w+$", "", line.strip()).strip()
        if kind.endswith("*"):
            arguments.append(f"gf_pointer<{kind[:-1]}>(p[{i}])")
        else:
            arguments.append(f"*static_cast<{kind}*>(p[{i}])")
    waits = "true" if "lanes.join" in text or "__syncthreads" in text else "false"
    return f"""
static void gf_call_{name}(void** p) {{ {name}({", ".join(arguments)}); }}
extern "C" int gf_launch_{name}(void** p, bool backwards, unsigned gx, unsigned gy, unsigned bx, unsigned by) {{
  return gf_run(gf_call_{name}, p, {waits}, backwards, gx, gy, bx, by);
}}
"""


class Compiler:
    """Kernels compiled by g++, kept on disk by their text and all that they include."""

    def __init__(self, flags=()):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.flags = [*FLAGS, *flags]
        headers = [*sorted((ROOT / "gradflow" / "include").rglob("*.h")), ROOT / "csrc" / "half.h"]
        self.base = hashlib.blake2s("".join([SHIM, FP16, BF16, *self.flags, *(h.read_text() for h in headers)]).encode())
        self.libraries = {}
        self.functions = {}

    def digest(self, text):
        h = self.base.copy()
        h.update(text.encode())
        return h.hexdigest()[:24]

    def build(self, kernels):
        """``kernels``: text by name."""
        todo = {n: t for n, t in kernels.items() if n not in self.functions and not (CACHE / self.digest(t)).exists()}
        names = list(todo)
        count = -(-len(names) // BATCH)
        count += count % 2
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.batch, [{n: todo[n] for n in names[i::count]} for i in range(count)]))
        for name, text in kernels.items():
            if name not in self.functions:
                library = os.readlink(CACHE / self.digest(text))
                if library not in self.libraries:
                    self.libraries[library] = ctypes.CDLL(str(CACHE / library))
                self.functions[name] = getattr(self.libraries[library], f"gf_launch_{name}")

    def batch(self, kernels):
        if not kernels:
            return
        key = self.digest("".join(kernels.values()))
        folder = CACHE / f"{key}.{os.getpid()}"
        folder.mkdir(exist_ok=True)
        for file, text in (("shim.h", SHIM), ("cuda_fp16.h", FP16), ("cuda_bf16.h", BF16)):
            (folder / file).write_text(text)
        body = "\n".join(t.replace('extern "C" ', "") + entry(n, t) for n, t in kernels.items())
        (folder / "kernels.cpp").write_text(f'#include "shim.h"\n{body}')
        include = [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'gradflow' / 'include'}"]
        output = folder / f"{key}.so"
        subprocess.run(["g++", *self.flags, *include, str(folder / "kernels.cpp"), "-o", str(output)], check=True)
        os.replace(output, CACHE / f"{key}.so")
        for text in kernels.values():
            link = CACHE / self.digest(text)
            if not link.is_symlink():
                link.symlink_to(f"{key}.so")
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


class Stream:
    """A queue. What is in it is done when somebody waits, or when the device computes: copies that nobody waits for come late here."""

    def __init__(self, driver, priority=None):
        self.driver, self.priority, self.todo = driver, priority, []
        self.ptr = next(driver.handles) if priority is not None else 0
        driver.every.add(self)

    @property
    def done(self):
        return not self.todo

    def synchronize(self):
        while self.todo:
            self.todo.pop(0)()

    def wait_event(self, event):
        self.driver.log.append(("wait", self.ptr, event))
        event.synchronize()


class Event:
    def __init__(self, timing):
        self.timing, self.marks = timing, []

    def record(self, stream):
        self.stream, self.todo, self.time = stream, list(stream.todo), time.perf_counter()
        stream.driver.log.append(("record", stream.ptr, self))

    @property
    def done(self):
        return not any(job in self.stream.todo for job in self.todo)

    def synchronize(self):
        while not self.done:
            self.stream.todo.pop(0)()


class Pinned:
    def __init__(self, nbytes):
        self.bytes = np.full(nbytes, 0xA5, np.uint8)
        self.ptr = self.bytes.ctypes.data


class Memory:
    """Bytes of the device."""

    def __init__(self, driver, nbytes, device):
        self.nbytes = 0
        self.driver, self.device, self.streams = driver, device, None
        if driver.reserved[device] + nbytes > driver.limit:
            raise MemoryError
        self.nbytes = nbytes
        driver.reserved[device] += nbytes
        self.bytes = np.full(nbytes + 256, 0xA5, np.uint8)  # whatever the memory held
        self.pointer = -(-self.bytes.ctypes.data // 256) * 256 + SHIFT
        driver.allocated[device] += nbytes
        driver.peak[device] = max(driver.peak[device], driver.allocated[device])
        driver.allocations += 1

    def __del__(self):
        self.driver.allocated[self.device] -= self.nbytes
        for stream in self.streams or ():
            self.driver.hold(self.bytes, stream, self.device)


class Driver:
    """The narrow module that the backend knows, with ``devices`` devices."""

    def __init__(self, devices=2, compiler=None):
        self.devices, self.compiler = devices, compiler or Compiler()
        self.allocated, self.peak = [0] * devices, [0] * devices
        self.allocations = self.launches = 0
        self.backwards = False
        self.collected = None
        self.current = 0
        self.limit, self.reserved, self.emptied = 1 << 34, [0] * devices, 0
        self.handles, self.log, self.held = itertools.count(1), [], []
        self.every = weakref.WeakSet()
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
            self.currents[device].synchronize()

    def hold(self, memory, stream, device):
        event = self.new_event(device, False)
        event.record(stream)
        self.held = [(e, m) for e, m in self.held if not e.done] + [(event, memory)]

    # Memory

    def alloc(self, nbytes, device):
        return Memory(self, nbytes, device)

    def pinned(self, nbytes):
        return Pinned(nbytes)

    def to_device(self, to, host, nbytes, device, owner=None):
        self.later(lambda: ctypes.memmove(to - SHIFT, host, nbytes), device, owner)

    def to_host(self, host, source, nbytes, device, owner=None):
        self.later(lambda: ctypes.memmove(host, source - SHIFT, nbytes), device, owner)

    def later(self, job, device, owner):
        stream = self.currents[device]
        stream.todo.append(job)
        if owner is None:
            stream.synchronize()
        else:
            self.hold(owner, stream, device)

    def copy(self, to, to_device, source, from_device, nbytes):
        self.later(lambda: ctypes.memmove(to - SHIFT, source - SHIFT, nbytes), from_device, None)

    def clear(self, pointer, nbytes, device):
        self.later(lambda: ctypes.memset(pointer - SHIFT, 0, nbytes), device, None)

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

    def launch(self, function, grid, block, shared, parameters, device):
        assert shared <= 1 << 14 and block[0] * block[1] <= 1024
        name, text = function
        self.launches += 1
        self.currents[device].synchronize()
        if self.collected is not None:
            self.collected[name] = text
            return
        if name not in self.compiler.functions:
            self.compiler.build({name: text})
        run = self.compiler.functions[name]
        assert run(ctypes.c_void_p(parameters), self.backwards, *grid, *block) == 0, f"{name}: some threads left before a barrier"

    def gemm(self, code, sizes, a, b, accumulate, c, count, device):
        """As BLAS: columns are dense, c = a b or c + a b."""
        m, n, k = sizes
        if self.collected is not None:
            return
        self.launches += 1
        self.currents[device].synchronize()
        x = self.matrices(code, a[0], m, k, a[2], a[3], count, a[1])
        y = self.matrices(code, b[0], k, n, b[2], b[3], count, b[1])
        z = self.matrices(code, c[0], m, n, c[1], c[2], count, False)
        wide = np.float64 if z.dtype == np.float64 else np.float32
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
    """For a fixture: an emulated device, for which the kernels of the cases are compiled, or the real one."""
    if kind == "real":
        cupy_driver.collected, cupy_driver.backwards = None, False
        cuda.use(cupy_driver)
        yield cupy_driver
    else:
        if shutil.which("g++") is None:
            pytest.skip("needs g++")
        driver = Driver()
        cuda.use(driver)
        with driver.collect(), np.errstate(all="ignore"):
            for f in cases:
                try:
                    f(driver)
                except Exception as error:  # values are whatever the memory held
                    print(f"{f.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        yield driver
    array.driver = None
