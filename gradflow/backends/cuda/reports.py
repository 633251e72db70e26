"""Indices out of range: kernels leave them on their device, and who waits for it next is told, with the line that called."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from ...errors import OutOfRangeError
from .. import owners
from . import array

numbers = count(1)
ASKED = 10_000  # calls of which is known where they were


class Errors:
    """Where kernels of a device say that an index is out of range."""

    def __init__(self, device: int):
        self.memory = array.allocate(24, device)
        array.driver.clear(self.memory.pointer, 24, device)
        array.driver.synchronize(device)  # for kernels on every stream
        self.news = False  # was a kernel launched since somebody looked?
        self.asked: dict[int, tuple[int, str, int, Any]] = {}  # of the last calls: the id, the operation, its axis, and where it was called
        self.recorded: dict[int, tuple[int, str, int, Any]] = {}  # those of graphs, which ask again whenever they are run

    def ask(self, op: str, axis: int) -> tuple[int, int]:
        """(the address for a kernel's error, the id that the kernel leaves there)"""
        number = next(numbers)
        call = self.asked[number % ASKED] = number, op, axis, owners.caller(4)
        self.news = True
        if owners.recording.graph is not None:
            self.recorded[number], owners.recording.graph.reports = call, True
        return self.memory.pointer, number


errors: dict[tuple[int, int], Errors] = {}


def errors_of(device: int) -> Errors:
    key = id(array.driver), device
    return errors.get(key) or errors.setdefault(key, Errors(device))


def check(device: int, everything: bool = False) -> None:
    """Raise if an index of a kernel that is done was out of range. ``everything``: kernels of all streams are done, also those asked for long ago."""
    found = errors.get((id(array.driver), device))
    if found is None or not (found.news or everything):
        return
    found.news = False
    host = np.zeros(3, np.int64)
    array.driver.to_host(host.ctypes.data, found.memory.pointer, 24, device)
    if host[0]:
        array.driver.clear(found.memory.pointer, 24, device)
        number, op, axis, place = found.recorded.get(int(host[0])) or found.asked[int(host[0]) % ASKED]
        if number != host[0]:
            op, axis, place = "an operation long ago", 0, None
        raise OutOfRangeError(
            f"{op}: index {host[1]} is out of bounds for axis {axis} with size {host[2]}; asked for in {owners.words(place)}, noticed now that the "
            "device was waited for"
        )


array.check = check
