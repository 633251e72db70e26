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


def current_device_index() -> int:
    """The number of the device in use.

    >>> if gf.accelerator.is_available():
    ...     index = gf.accelerator.current_device_index()
    """
    from . import cuda

    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Choose the device in use.

    >>> if gf.accelerator.is_available():
    ...     gf.accelerator.set_device_index(0)
    """
    from . import cuda

    cuda.set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait until everything asked of the device is done.

    >>> if gf.accelerator.is_available():
    ...     gf.accelerator.synchronize()
    """
    from . import cuda

    cuda.synchronize(device)


def current_stream(device: Any = None) -> Any:
    """The stream that operations on the device go to.

    >>> if gf.accelerator.is_available():
    ...     stream = gf.accelerator.current_stream()
    """
    from . import cuda

    return cuda.current_stream(device)


def set_stream(stream: Any) -> None:
    """Operations go to this stream from now on.

    >>> if gf.accelerator.is_available():
    ...     gf.accelerator.set_stream(gf.accelerator.current_stream())
    """
    from . import cuda

    cuda.set_stream(stream)
