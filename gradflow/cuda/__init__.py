"""The GPU as ``torch.cuda`` shows it. Asking whether there is one is quick, and starts nothing."""

from __future__ import annotations

from typing import Any

from ..errors import DeviceMemoryError as OutOfMemoryError
from .devices import (
    current_device,
    device,
    device_count,
    device_of,
    get_device_capability,
    get_device_name,
    get_device_properties,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    number,
    set_device,
    synchronize,
)
from .graphs import CUDAGraph, graph, graph_pool_handle, is_current_stream_capturing, make_graphed_callables
from .memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_max_memory_allocated,
    reset_peak_memory_stats,
)
from .streams import Event, Stream, current_stream, default_stream, set_stream, stream

# Random numbers are one stream for all devices: the CPU's.


def manual_seed(seed: int) -> None:
    """Seed the random numbers, which are one stream for all devices; nothing without a device, as in torch.

    >>> gf.cuda.manual_seed(0)
    """
    if is_available():
        from ..ops.random import manual_seed as seed_all

        seed_all(seed)


manual_seed_all = manual_seed


def initial_seed() -> int:
    """The seed of the random numbers, which are one stream for all devices.

    >>> seed = gf.cuda.initial_seed()
    """
    from ..ops import random

    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the random numbers, which are one stream for all devices.

    >>> if gf.cuda.is_available():
    ...     state = gf.cuda.get_rng_state()
    """
    from ..ops import random

    number(device)
    return random.get_rng_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Continue the random numbers, which are one stream for all devices, from a state.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.set_rng_state(gf.cuda.get_rng_state())
    """
    from ..ops import random

    number(device)
    random.set_rng_state(new_state)


def get_rng_state_all() -> list[Any]:
    """The state of the random numbers, once for each device.

    >>> len(gf.cuda.get_rng_state_all()) == gf.cuda.device_count()
    True
    """
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Continue the random numbers from the states of :func:`get_rng_state_all`.

    >>> gf.cuda.set_rng_state_all(gf.cuda.get_rng_state_all())
    """
    for i, state in enumerate(new_states):
        set_rng_state(state, i)


def ipc_collect() -> None:
    """Nothing: no memory is shared between processes.

    >>> gf.cuda.ipc_collect()
    """


def __getattr__(name: str) -> Any:
    """``gradflow.cuda.amp``, which is read when it is first asked for."""
    if name == "amp":
        import importlib

        return importlib.import_module(f"{__name__}.amp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CUDAGraph",
    "graph",
    "graph_pool_handle",
    "make_graphed_callables",
    "Event",
    "OutOfMemoryError",
    "Stream",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "get_rng_state",
    "get_rng_state_all",
    "init",
    "initial_seed",
    "ipc_collect",
    "is_available",
    "is_bf16_supported",
    "is_current_stream_capturing",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "reset_max_memory_allocated",
    "reset_peak_memory_stats",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "synchronize",
]
