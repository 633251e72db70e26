"""Where tensors are: device objects, and where new tensors are made."""

from __future__ import annotations

import threading
from typing import Any

from .errors import DeviceError, DTypeError, NumberError


class Default(threading.local):
    """Where new tensors of this thread are made unless they say; ``None``: the CPU."""

    device: Any = None
    before: tuple = ()  # of the ``with`` blocks that this thread is in


default = Default()


class device:
    """Where a tensor lives: ``device("cpu")``, ``device("cuda:1")``. In a ``with`` block: where new tensors are made.

    >>> with gf.device("cpu"):
    ...     gf.zeros(2).device
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None):
        spec: Any = type
        if isinstance(type, device):
            spec, index = type.type, type.index
        elif isinstance(type, int) and not isinstance(type, bool):
            spec, index = "cuda", type
            if not -(2**63) <= type < 2**63:
                raise NumberError(f"device: the number does not fit 64 bits: {type}")
        if not isinstance(spec, str) or not (index is None or isinstance(index, int)):
            raise DTypeError(f"device: expected a name such as 'cpu' and perhaps a number, not {spec!r} and {index!r}")
        name, colon, number = spec.partition(":")
        if name not in ("cpu", "cuda") or (colon and not number.isdecimal()) or (index is not None and index < 0):
            raise DeviceError(f"device: invalid device string: {spec!r}; expected 'cpu', 'cuda' or 'cuda:N'")
        if colon and index is not None and not isinstance(type, device):
            raise DeviceError(f"device: type must not include an index because index was passed explicitly: {spec}")
        self.type = name
        self.index = int(number) if number else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return device, (self.type, self.index)

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __enter__(self) -> device:
        default.before = (*default.before, default.device)
        default.device = self
        return self

    def __exit__(self, *_: Any) -> None:
        *rest, default.device = default.before
        default.before = tuple(rest)

    def __call__(self, function: Any) -> Any:
        """As a decorator: new tensors of the function are made there."""
        from functools import wraps

        @wraps(function)
        def there(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return there


CPU = device("cpu")

__all__ = ["CPU", "default", "device"]
