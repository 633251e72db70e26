"""The device beside the CPU, whatever its make, as ``torch.accelerator`` shows it: none in this version."""

from __future__ import annotations


def is_available() -> bool:
    """Is there an accelerator? No."""
    return False


def device_count() -> int:
    """How many accelerators there are: none."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator's device, ``None`` without one."""
    return
