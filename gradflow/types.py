"""``torch.types``: what annotations call numbers, sizes, types and devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from .attributes import Size
from .devices import device as _device
from .tensor import Tensor

_int, _float, _bool, _bytes, _str, _complex = int, float, bool, bytes, str, complex
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors: TypeAlias = Tensor | Sequence[Tensor | None]
Number: TypeAlias = int | float | bool
_Number = (int, float, bool)
Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]

__all__ = ["Device", "FileLike", "Number"]
