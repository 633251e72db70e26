"""Threads, memory, and what this build runs on."""

from __future__ import annotations

import os
import platform
import sys

from .backends.cpu import _ext


def set_num_threads(n: int) -> None:
    """How many threads the kernels may use, the calling one included."""
    if not isinstance(n, int) or n < 1:
        from .errors import ArgumentError

        raise ArgumentError(f"set_num_threads: expects a positive integer, got {n!r}")
    _ext.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads the kernels may use."""
    return _ext.get_num_threads()


def memory_stats() -> dict[str, int]:
    """What the pool of array memory holds and has done, in bytes and calls."""
    return dict(_ext.memory_stats())


def empty_cache() -> None:
    """Give the pool's unused memory back to the system."""
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
        "devices": "cpu",
        "memory pool": ", ".join(f"{k} {v}" for k, v in memory.items()),
    }
    width = max(map(len, lines))
    return "\n".join(f"{k:<{width}}  {v}" for k, v in lines.items())
