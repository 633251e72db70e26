"""Values by index, and running sums. Indices may be on the host."""

from __future__ import annotations

from typing import Any

from .. import cpu
from .array import DeviceArray, assign, on_host, upload


def _read(function: Any, x: Any, axis: int, index: Any, out: Any) -> Any:
    result = upload(function(on_host(x), axis, on_host(index)), x.memory.device)
    if out is None:
        return result
    assign(out, result)
    return out


def gather(x: Any, axis: int, index: Any, out: Any = None) -> Any:
    return _read(cpu.gather, x, axis, index, out)


def take_rows(x: Any, axis: int, index: Any, out: Any = None) -> Any:
    return _read(cpu.take_rows, x, axis, index, out)


def scan(kind: int, x: DeviceArray, axis: int) -> Any:
    return upload(cpu.scan(kind, on_host(x), axis), x.memory.device)


def _add(function: Any, out: DeviceArray, axis: int, index: Any, src: Any) -> Any:
    assign(out, function(on_host(out), axis, on_host(index), on_host(src)))
    return out


def scatter_add(out: Any, axis: int, index: Any, src: Any) -> Any:
    return _add(cpu.scatter_add, out, axis, index, src)


def add_rows(out: Any, axis: int, index: Any, src: Any) -> Any:
    return _add(cpu.add_rows, out, axis, index, src)
