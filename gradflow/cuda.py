"""The GPU as ``torch.cuda`` shows it. There is no CUDA backend in this version: nothing is available, and what needs a device says so."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import DeviceError


def is_available() -> bool:
    """Is there a device to compute on? No."""
    return False


def is_bf16_supported() -> bool:
    """Does the device compute in bfloat16? There is none."""
    return False


def device_count() -> int:
    """How many devices there are: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the device's random numbers; silently nothing without a device, as in torch."""


def manual_seed_all(seed: int) -> None:
    """Seed every device's random numbers; silently nothing without a device, as in torch."""


def empty_cache() -> None:
    """Give unused device memory back; nothing without a device."""


def memory_allocated(device: Any = None) -> int:
    """Bytes of device memory in use: 0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """Bytes of device memory held: 0."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of device memory that were in use: 0."""
    return 0


def refuse(name: str) -> NoReturn:
    raise DeviceError(f"cuda.{name}: there is no CUDA backend in this version; ask cuda.is_available() first")


def synchronize(device: Any = None) -> None:
    """Wait for the device."""
    refuse("synchronize")


def current_device() -> int:
    """The number of the device in use."""
    refuse("current_device")


def set_device(device: Any) -> None:
    """Choose the device to use."""
    refuse("set_device")
