"""The device beside the CPU, whatever its make, as ``torch.accelerator`` shows it."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Is there an accelerator?

    >>> gf.accelerator.is_available() == gf.cuda.is_available()
    True
    """
    from . import cuda

    return cuda.is_available()


def device_count() -> int:
    """How many accelerators there are.

    >>> gf.accelerator.device_count() >= 0
    True
    """
    from . import cuda

    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> Any:
    """The accelerator's device, ``None`` without one.

    >>> (gf.accelerator.current_accelerator() is None) != gf.cuda.is_available()
    True
    """
    from .tensor import device

    return device("cuda") if is_available() else None
