"""The GPU as ``torch.cuda`` shows it. Asking whether there is one is quick, and starts nothing."""

from __future__ import annotations

from typing import Any

from .errors import ArgumentError, DeviceError
from .errors import DeviceMemoryError as OutOfMemoryError


def backend() -> Any:
    """What works the devices; refused, with what is missing, where there is none."""
    from .backends import cuda_place
    from .backends.cuda import array

    cuda_place(None)
    return array.driver


def started() -> Any:
    """What works the devices if it has been asked to, else ``None``."""
    from .backends import started_driver

    return started_driver()


def is_available() -> bool:
    """Is there a device to compute on? False, quickly, without a driver, CuPy, NVRTC or CUDA's headers."""
    from .backends import why_no_cuda

    return why_no_cuda() is None


def device_count() -> int:
    """How many devices there are; 0 where none can be used."""
    return backend().device_count() if is_available() else 0


def number(device: Any) -> int:
    """The number of a device; of the one in use for ``None``."""
    if device is None:
        return current_device()
    if isinstance(device, int):
        index = device
    else:
        from .tensor import device as parse

        found = parse(device)
        if found.type != "cuda":
            raise ArgumentError(f"cuda: expected a cuda device, but got {found}")
        index = current_device() if found.index is None else found.index
    if not 0 <= index < backend().device_count():
        raise DeviceError(f"cuda: invalid device ordinal {index}; there are {backend().device_count()} devices")
    return index


def current_device() -> int:
    """The number of the device in use."""
    return backend().current_device()


def set_device(device: Any) -> None:
    """Choose the device that ``"cuda"`` means."""
    backend().set_device(number(device))


class device:
    """``with cuda.device(1):`` another device is in use."""

    def __init__(self, device: Any):
        self.index = number(device)

    def __enter__(self) -> None:
        self.before = current_device()
        set_device(self.index)

    def __exit__(self, *_: Any) -> None:
        set_device(self.before)


def get_device_name(device: Any = None) -> str:
    """The device's name."""
    index = number(device)
    return backend().device_name(index)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability, major and minor."""
    index = number(device)
    return backend().capability(index)


def is_bf16_supported() -> bool:
    """Does the device multiply matrices of bfloat16? From compute capability 8.0 on."""
    return is_available() and get_device_capability() >= (8, 0)


def is_initialized() -> bool:
    """Has a device been used?"""
    return started() is not None


def init() -> None:
    """Get ready to use a device."""
    backend()


def synchronize(device: Any = None) -> None:
    """Wait until everything asked of the device is done."""
    index = number(device)
    backend().synchronize(index)
    from .backends.cuda import array

    array.check(index)


# Random numbers are one stream for all devices: the CPU's.


def manual_seed(seed: int) -> None:
    """Seed the random numbers, which are one stream for all devices; nothing without a device, as in torch."""
    if is_available():
        from .ops.random import manual_seed as seed_all

        seed_all(seed)


manual_seed_all = manual_seed


# Memory


def measured(what: str, device: Any) -> int:
    driver = started()
    return 0 if driver is None else driver.memory(number(device))[what]


def memory_allocated(device: Any = None) -> int:
    """Bytes of device memory that arrays hold."""
    return measured("allocated", device)


def memory_reserved(device: Any = None) -> int:
    """Bytes of device memory held, in use or kept for the next array."""
    return measured("reserved", device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of device memory that were in use since :func:`reset_peak_memory_stats`."""
    return measured("peak", device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Start measuring the peak anew."""
    if started() is not None:
        started().reset_peak(number(device))


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """What the memory of a device holds, in words."""
    rows = (("allocated", memory_allocated), ("peak", max_memory_allocated), ("reserved", memory_reserved))
    return "\n".join(f"{name:<10} {f(device) / 2**20:12.1f} MiB" for name, f in rows)


def empty_cache() -> None:
    """Give unused device memory back; nothing where no device was used."""
    if started() is not None:
        started().empty_cache()


__all__ = [
    "OutOfMemoryError",
    "current_device",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "init",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "memory_summary",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
]
