"""What works the device: with ``cupy_products`` and ``cupy_graphs`` the only module that imports CuPy, and all that is asked of it.

Kernels are compiled by NVRTC itself, not by CuPy's compiler, which would flush small numbers to zero (``-ftz=true``), and are launched with
parameters in memory, not with CuPy's, which passes every Python number in 8 bytes. The backend reaches this module by its functions; tests put
another in its place that has them too.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
from collections import deque
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from ..scalar.types import NAMES, SIZES
from .cupy_graphs import begin_capture, end_capture, is_capturing, launch_graph, new_pool, pools, recording, relaxed, underway
from .cupy_products import gemm

INCLUDE = Path(__file__).parents[1] / "include"
GRAIN = 512  # what CuPy's pool rounds sizes up to

allocated: dict[int, int] = {}
peak: dict[int, int] = {}
peak_reserved: dict[int, int] = {}


# Is there a device?


@functools.cache
def devices_of_driver() -> int | str:
    """How many devices NVIDIA's driver has, or why there is none. CuPy is not imported for it."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "cuda: NVIDIA's driver is missing (libcuda.so.1 cannot be loaded); install it on this machine, or use device='cpu'"
    count = ctypes.c_int()
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "cuda: NVIDIA's driver finds no device; see nvidia-smi, or use device='cpu'"
    return count.value


@functools.cache
def cuda_of_driver() -> int:
    """The newest major version of CUDA that NVIDIA's driver knows."""
    version = ctypes.c_int()
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000


def why_not() -> str | None:
    """What is missing to compute on a device, and how to get it; ``None`` if nothing is. Quick where there is no driver."""
    found = devices_of_driver()
    if isinstance(found, str):
        return found
    major = min(max(cuda_of_driver(), 12), 13)
    install = f'pip install "cupy-cuda{major}x[ctk]"'
    packages = sorted({d.metadata["Name"] for d in metadata.distributions() if str(d.metadata["Name"]).lower().startswith("cupy")})
    if len(packages) > 1:
        return f"cuda: two CuPy packages are installed, {' and '.join(packages)}; keep one: pip uninstall {' '.join(packages[1:])}"
    if importlib.util.find_spec("cupy") is None:
        return f"cuda: CuPy is missing; {install}"
    if packages == ["cupy-cuda13x"] and major == 12:
        return f"cuda: cupy-cuda13x needs a driver for CUDA 13, and this one is for CUDA 12; pip uninstall cupy-cuda13x, then {install}"
    try:
        nvrtc().getVersion()
    except Exception as error:  # whatever a library that does not load raises
        return f"cuda: NVRTC cannot be loaded ({str(error).splitlines()[0]}); {install}"
    if headers() is None:
        return f"cuda: CUDA's headers are missing (cuda_fp16.h); {install}"
    return None


@functools.cache
def runtime() -> Any:
    from cupy_backends.cuda.api import runtime

    return runtime


@functools.cache
def nvrtc() -> Any:
    from cupy_backends.cuda.libs import nvrtc

    return nvrtc


@functools.cache
def headers() -> Path | None:
    """The folder of CUDA's headers: of the wheels, of ``CUDA_PATH``, or of the system."""
    spec = importlib.util.find_spec("nvidia")
    places = [p for place in (spec.submodule_search_locations or []) for p in Path(place).glob("*/include")] if spec else []
    places += [Path(os.environ[name]) / "include" for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    return next((p for p in [*places, Path("/usr/local/cuda/include"), Path("/usr/include")] if (p / "cuda_fp16.h").exists()), None)


def device_count() -> int:
    found = devices_of_driver()
    return found if isinstance(found, int) else 0


def current_device() -> int:
    return runtime().getDevice()


def set_device(device: int) -> None:
    runtime().setDevice(device)


class On:
    """A device made current for a call."""

    __slots__ = ("before", "device")

    def __init__(self, device: int):
        self.device = device

    def __enter__(self) -> None:
        self.before = runtime().getDevice()
        if self.before != self.device:
            runtime().setDevice(self.device)

    def __exit__(self, *_: Any) -> None:
        if self.before != self.device:
            runtime().setDevice(self.before)


@functools.cache
def properties(device: int) -> dict[str, Any]:
    """What CUDA's ``cudaDeviceProp`` says."""
    return runtime().getDeviceProperties(device)


def device_name(device: int) -> str:
    return properties(device)["name"].decode()


def capability(device: int) -> tuple[int, int]:
    return properties(device)["major"], properties(device)["minor"]


def synchronize(device: int) -> None:
    with On(device):
        runtime().deviceSynchronize()
    release()


# Streams and events are CuPy's own, so that its pool, its programs and ours agree on which stream is in use.


def current_stream(device: int) -> Any:
    from cupy.cuda import get_current_stream

    return get_current_stream(device)


def stream(device: int) -> int:
    """The current stream's handle."""
    return current_stream(device).ptr


def default_stream(device: int) -> Any:
    from cupy.cuda import Stream

    return Stream.null


def new_stream(device: int, priority: int) -> Any:
    from cupy.cuda import Stream

    with On(device):
        return Stream(non_blocking=True, priority=priority)


def set_stream(stream: Any, device: int) -> None:
    with On(device):
        stream.use()


def new_event(device: int, timing: bool, blocking: bool = False) -> Any:
    from cupy.cuda import Event

    with On(device):
        return Event(block=blocking, disable_timing=not timing)


def elapsed_time(start: Any, end: Any) -> float:
    from cupy.cuda import get_elapsed_time

    return get_elapsed_time(start, end)


def join(handle: int, device: int) -> None:
    """Work on another stream, given by its handle (-1 for none), waits for what has been asked of the current one."""
    if handle not in (-1, stream(device)):
        event = new_event(device, timing=False)
        event.record(current_stream(device))
        with On(device):
            runtime().streamWaitEvent(handle, event.ptr)


asked: deque[tuple[Any, Any, int]] = deque()  # memory that streams need until they have come as far as they have been asked to
held: deque[tuple[Any, Any]] = deque()  # events that say how far that is, and the memory


def hold(memory: Any, stream: Any, device: int) -> None:
    """Keep memory until what has been asked of the stream is done."""
    asked.append((memory, stream, device))
    release()


def release() -> None:
    if underway:  # events that a graph records, or whose state is asked for, would spoil it
        return
    while asked:
        memory, stream, device = asked.popleft()
        event = new_event(device, timing=False)
        event.record(stream)
        held.append((event, memory))
    while held and held[0][0].done:
        held.popleft()


# Memory


class Memory:
    """A block of CuPy's pool, which gets it back when nobody holds this any more and ``streams``, which use it too, have come that far."""

    __slots__ = ("block", "device", "nbytes", "pointer", "recorded", "streams")

    streams: tuple | None

    def __init__(self, nbytes: int, device: int):
        from cupy.cuda import alloc

        self.device, self.nbytes, self.streams = device, 0, None
        self.recorded = recording.workspaces is not None  # of the pool of a graph, which writes to it whenever it is run
        self.block = alloc(nbytes)
        self.pointer = self.block.ptr
        self.nbytes = -(-nbytes // GRAIN) * GRAIN
        size = allocated[device] = allocated.get(device, 0) + self.nbytes
        if size > peak.get(device, 0):
            peak[device] = size

    def __del__(self) -> None:
        if self.nbytes:
            allocated[self.device] -= self.nbytes
        for stream in self.streams or ():
            hold(self.block, stream, self.device)


def alloc(nbytes: int, device: int) -> Memory:
    """Where memory is short, a ``MemoryError``."""
    if held or asked:
        release()
    with On(device):
        return Memory(nbytes, device)


def pinned(nbytes: int) -> Any:
    """Memory of the host that a device copies from and to by itself: an object with its address, ``ptr``."""
    from cupy.cuda import alloc_pinned_memory

    with relaxed():
        return alloc_pinned_memory(nbytes)


def to_device(to: int, host: int, nbytes: int, device: int, owner: Any = None) -> None:
    """``owner``: of pinned memory of the host; it is kept, and nobody waits."""
    with On(device):
        runtime().memcpyAsync(to, host, nbytes, runtime().memcpyHostToDevice, stream(device))
        after_copy(owner, device)


def to_host(host: int, source: int, nbytes: int, device: int, owner: Any = None) -> None:
    with On(device):
        runtime().memcpyAsync(host, source, nbytes, runtime().memcpyDeviceToHost, stream(device))
        after_copy(owner, device)


def after_copy(owner: Any, device: int) -> None:
    if owner is None:
        runtime().streamSynchronize(stream(device))  # the host's memory may be gone soon
    else:
        hold(owner, current_stream(device), device)


def copy(to: int, to_device: int, source: int, from_device: int, nbytes: int) -> None:
    with On(from_device):
        runtime().memcpyPeerAsync(to, to_device, source, from_device, nbytes, stream(from_device))
        runtime().streamSynchronize(stream(from_device))


def clear(pointer: int, nbytes: int, device: int) -> None:
    with On(device):
        runtime().memsetAsync(pointer, 0, nbytes, stream(device))


def memory(device: int) -> dict[str, int]:
    from cupy import get_default_memory_pool

    with On(device):
        reserved = sum(pool.total_bytes() for pool in (get_default_memory_pool(), *(p.pool for p in pools)))
    most = peak_reserved[device] = max(reserved, peak_reserved.get(device, 0))
    return {"allocated": allocated.get(device, 0), "reserved": reserved, "peak": peak.get(device, 0), "peak reserved": most}


def memory_info(device: int) -> tuple[int, int]:
    """(free, in all), as CUDA says."""
    with On(device):
        return runtime().memGetInfo()


def reset_peak(device: int) -> None:
    peak[device] = allocated.get(device, 0)
    peak_reserved[device] = 0


def empty_cache() -> None:
    from cupy import get_default_memory_pool, get_default_pinned_memory_pool

    if underway:  # memory cannot be given back while a graph is recorded
        return
    for device in list(allocated):
        memory(device)  # what is reserved only shrinks here
        with On(device):
            get_default_memory_pool().free_all_blocks()
    get_default_pinned_memory_pool().free_all_blocks()


# Kernels


def function(name: str, text: str, device: int) -> Any:
    """A kernel, compiled or found on disk, and loaded."""
    from cupy.cuda.function import Module
    from cupy_backends.cuda.api import driver

    with On(device), relaxed():
        module = Module()
        module.load(compiled(text, "".join(map(str, capability(device)))))
        found = module.get_function(name)
        driver.funcGetAttribute(
            driver.CU_FUNC_ATTRIBUTE_NUM_REGS, found.ptr
        )  # who asks has it loaded now, not at a launch that is recorded
        return found


def compiled(text: str, arch: str) -> bytes:
    """Machine code, kept in ``GRADFLOW_CACHE`` (else ``~/.cache/gradflow``) by all that it depends on."""
    parts = [text, arch, str(nvrtc().getVersion()), *(p.read_text() for p in sorted(INCLUDE.rglob("*.h")))]
    key = hashlib.blake2s("\0".join(parts).encode()).hexdigest()
    folder = Path(os.environ.get("GRADFLOW_CACHE") or Path.home() / ".cache" / "gradflow")
    path = folder / f"{key}.cubin"
    try:
        return path.read_bytes()
    except OSError:
        pass
    program = nvrtc().createProgram(text, "kernel.cu", (), ())
    options = [f"--gpu-architecture=sm_{arch}", "-std=c++17", f"-I{INCLUDE}", f"-I{headers()}"]
    try:
        nvrtc().compileProgram(program, tuple(options))
        code = nvrtc().getCUBIN(program)
    except nvrtc().NVRTCError:
        raise DeviceError(f"cuda: NVRTC does not compile a kernel: {nvrtc().getProgramLog(program)[:2000]}") from None
    finally:
        nvrtc().destroyProgram(program)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(code)
        new.replace(path)
    except OSError:  # a disk that is full or not ours: it is compiled again next time
        pass
    return code


@functools.cache
def shared_memory(device: int) -> int:
    """The most bytes of shared memory that a block may ask for."""
    return runtime().deviceGetAttribute(runtime().cudaDevAttrMaxSharedMemoryPerBlockOptin, device)


def allow_shared(function: Any, nbytes: int, device: int) -> None:
    """The kernel may be launched with so much shared memory."""
    from cupy_backends.cuda.api import driver

    with On(device):
        driver.funcSetAttribute(function.ptr, driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, nbytes)


@functools.cache
def launcher() -> Any:
    from cupy_backends.cuda.api.driver import launchKernel

    return launchKernel


def launch(function: Any, grid: tuple[int, int], block: tuple[int, int], shared: int, parameters: int, device: int) -> None:
    """``parameters``: the address of an array of pointers to the kernel's parameters."""
    with On(device):
        launcher()(function.ptr, grid[0], grid[1], 1, block[0], block[1], 1, shared, stream(device), parameters, 0)


# Sorting


def argsort(order: int, keys: int, code: int, rows: int, columns: int, device: int) -> None:
    """Into the int64 at ``order``: the places of each row's elements in order, equals as they came; nan is the largest. Not of bfloat16."""
    from cupy import argsort as sorting
    from cupy import ndarray
    from cupy.cuda import MemoryPointer, UnownedMemory

    dtype = NAMES[code]
    with On(device):
        memory = UnownedMemory(keys, rows * columns * SIZES[code], None, device)
        places = sorting(ndarray((rows, columns) if rows > 1 else (columns,), dtype, MemoryPointer(memory, 0)))
        runtime().memcpyAsync(order, places.data.ptr, 8 * rows * columns, runtime().memcpyDeviceToDevice, stream(device))


__all__ = ["begin_capture", "end_capture", "gemm", "is_capturing", "launch_graph", "new_pool"]
