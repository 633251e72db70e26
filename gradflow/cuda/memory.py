"""What the memory of a device holds. It comes from CuPy's pool, which keeps what arrays give back until :func:`empty_cache`."""

from __future__ import annotations

from typing import Any

from .devices import backend, number, started


def measured(what: str, device: Any) -> int:
    driver = started()
    return 0 if driver is None else driver.memory(number(device))[what]


def memory_allocated(device: Any = None) -> int:
    """Bytes of device memory that arrays hold.

    >>> gf.cuda.memory_allocated() >= 0
    True
    """
    return measured("allocated", device)


def memory_reserved(device: Any = None) -> int:
    """Bytes of device memory held, in use or kept for the next array.

    >>> gf.cuda.memory_reserved() >= gf.cuda.memory_allocated()
    True
    """
    return measured("reserved", device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of device memory that arrays held since :func:`reset_peak_memory_stats`.

    >>> gf.cuda.max_memory_allocated() >= gf.cuda.memory_allocated()
    True
    """
    return measured("peak", device)


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes of device memory that were held since :func:`reset_peak_memory_stats`.

    >>> gf.cuda.max_memory_reserved() >= gf.cuda.memory_reserved()
    True
    """
    return measured("peak reserved", device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Start measuring the peaks anew.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.reset_peak_memory_stats()
    """
    if started() is not None:
        started().reset_peak(number(device))


reset_max_memory_allocated = reset_peak_memory_stats


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free bytes, all bytes) of a device, as CUDA counts them.

    >>> if gf.cuda.is_available():
    ...     free, total = gf.cuda.mem_get_info()
    """
    index = number(device)
    return backend().memory_info(index)


def memory_stats(device: Any = None) -> dict[str, int]:
    """Current and most bytes, and how often memory was short and there was none, under torch's names; empty before a device is used.

    >>> stats = gf.cuda.memory_stats()
    """
    if started() is None:
        return {}
    from ..backends.cuda import array

    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
        **array.retries,
    }


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """What the memory of a device holds, in words.

    >>> if gf.cuda.is_available():
    ...     text = gf.cuda.memory_summary()
    """
    rows = (
        ("allocated", memory_allocated, max_memory_allocated),
        ("reserved", memory_reserved, max_memory_reserved),
    )
    head = f"{'':<10} {'now':>15} {'at most':>15}"
    lines = [f"{name:<10} {now(device) / 2**20:11.1f} MiB {most(device) / 2**20:11.1f} MiB" for name, now, most in rows]
    stats = memory_stats(device)
    return "\n".join([head, *lines, f"short of memory {stats.get('num_alloc_retries', 0)} times, in vain {stats.get('num_ooms', 0)} times"])


def empty_cache() -> None:
    """Give unused device memory back; nothing where no device was used.

    >>> gf.cuda.empty_cache()
    """
    if started() is not None:
        started().empty_cache()
