"""Threads, memory, and what this build runs on."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from .backends.cpu import _ext


def set_num_threads(n: int) -> None:
    """How many threads the kernels may use, the calling one included.

    >>> gf.set_num_threads(gf.get_num_threads())
    """
    if not isinstance(n, int) or n < 1:
        from .errors import ArgumentError

        raise ArgumentError(f"set_num_threads: expects a positive integer, got {n!r}")
    _ext.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads the kernels may use.

    >>> gf.get_num_threads() >= 1
    True
    """
    return _ext.get_num_threads()


def memory_stats() -> dict[str, int]:
    """What the pool of array memory holds and has done, in bytes and calls.

    >>> sorted(gf.memory_stats())[:2]
    ['allocated_bytes', 'hits']
    """
    return dict(_ext.memory_stats())


def empty_cache() -> None:
    """Give the pool's unused memory back to the system. The next arrays are slower to make.

    >>> gf.empty_cache()
    """
    _ext.empty_cache()


def info() -> str:
    """Versions, instruction set, BLAS, threads, devices, memory: what a bug report needs."""
    import numpy

    from ._version import __version__

    memory = memory_stats()
    lines = {
        "gradflow": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()}, {sys.platform})",
        "numpy": numpy.__version__,
        "instruction set": _ext.isa() + (" (GRADFLOW_ISA)" if os.environ.get("GRADFLOW_ISA") else ""),
        "blas": _ext.blas_info(),
        "threads": str(get_num_threads()),
        "devices": devices(),
        "memory pool": ", ".join(f"{k} {v}" for k, v in memory.items()),
    }
    width = max(map(len, lines))
    return "\n".join(f"{k:<{width}}  {v}" for k, v in lines.items())


def devices() -> str:
    """What there is to compute on."""
    from .backends import why_no_cuda

    missing = why_no_cuda()
    if missing is not None:
        return f"cpu ({missing})"
    from .backends import cupy_driver as driver

    return ", ".join(["cpu", *(f"cuda:{i} ({driver.device_name(i)})" for i in range(driver.device_count()))])


def doctor() -> tuple[str, bool]:
    """(what was tried on the CPU and on each CUDA device, and what is missing; did all that is there work?)"""
    import numpy as np

    from . import backends
    from .backends import cuda_place, move, why_no_cuda
    from .tape.node import total

    lines, healthy = [], True
    missing = why_no_cuda()
    places: list[Any] = [None]
    if missing is None:
        from .backends.cupy_driver import device_count

        places += [cuda_place(i) for i in range(device_count())]
    for place in places:
        name = "cpu" if place is None else f"cuda:{place.device}"
        try:
            x = move(np.arange(12, dtype=np.float32).reshape(3, 4), place)
            works = np.array_equal(np.asarray(backends.elementwise(total, (x, x))), 2 * np.asarray(x))
            works &= np.array_equal(np.asarray(backends.dot(x, x.T)), np.asarray(x) @ np.asarray(x).T)
            lines.append(f"{name}: " + ("a sum and a product of matrices are right" if works else "WRONG RESULTS"))
        except Exception as error:  # whatever a driver or a compiler raises is what is asked for
            works = False
            lines.append(f"{name}: {type(error).__name__}: {error}")
        healthy &= bool(works)
    return "\n".join([*lines, *([missing] if missing else [])]), healthy
