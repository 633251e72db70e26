"""Graphs: what is asked of a device while one is recorded is done whenever it is run, with the same memory.

Memory comes from a pool of graphs' own meanwhile, so that nobody else is given what a graph writes. Random numbers are counted from a seed and an
offset in the device's memory, which every run sets first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError, DeviceError
from ..cpu import kernel
from ..owners import recording
from . import array
from .elementwise import elementwise
from .reports import errors_of

INT64 = np.dtype(np.int64)
state_of = kernel(lambda seed, offset: (seed, offset), outputs=2)
further = kernel(lambda offset, n: offset + n)
GENERATORS = 32  # at most, that a graph draws from
MODES = ("global", "thread_local", "relaxed")


class Graph:
    """A graph that is recorded, or was.

    ``kept``: what it needs as long as it is there; ``generators``: of each, the state on the device and how many numbers a run draws;
    ``reports``: may it find indices out of range?
    """

    def __init__(self, pool: Any):
        self.pool, self.device, self.stream = pool, -1, 0
        self.kept: list[Any] = []
        self.generators: dict[Any, list[Any]] = {}
        self.states: Any = None
        self.reports = False
        self.raw: Any = None

    def begin(self, mode: str) -> None:
        """Record what this thread asks of the current stream."""
        if mode not in MODES:
            raise ArgumentError(f"capture_begin: Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got {mode}")
        if recording.graph is not None:
            raise DeviceError("capture_begin: a graph is being captured; end its capture first")
        self.device = array.driver.current_device()
        self.stream = array.driver.current_stream(self.device).ptr
        if not self.stream:
            raise DeviceError(
                "capture_begin: CUDA graphs must be captured on a non-default stream. (However, after capture, it's ok to replay them on the "
                "default stream.) Use cuda.graph(), or cuda.stream(cuda.Stream())"
            )
        errors_of(self.device)  # made now: who makes it waits for the device
        self.states = array.empty((GENERATORS, 2), INT64, self.device)  # in memory that no part of the graph writes to
        array.driver.begin_capture(self.pool, mode, self.device)
        recording.graph = self

    def end(self) -> None:
        """What has been asked is the graph."""
        if recording.graph is not self:
            raise DeviceError("capture_end: nothing is being captured by this thread for this graph; call capture_begin first")
        elsewhere = array.driver.current_stream(self.device).ptr != self.stream
        recording.graph = None
        self.raw = array.driver.end_capture(self.device)
        if elsewhere:
            raise DeviceError("capture_end: Capture must end on the same stream it began on. What was captured is forgotten")

    def run(self) -> None:
        """Once, on the current stream. The numbers of its generators go on from where they are."""
        if recording.graph is not None:
            raise DeviceError("replay: a graph cannot be part of another; end the capture first")
        for generator, (state, count) in self.generators.items():
            elementwise(state_of, (generator.seed_, generator.offset), (state[0], state[1]))
            generator.offset += count
        array.driver.launch_graph(self.raw, self.device)
        if self.reports:
            errors_of(self.device).news = True

    def take(self, generator: Any, n: int) -> tuple[Any, Any]:
        """(seed, offset) of ``n`` numbers of each run, in the device's memory. Nothing is drawn from the generator now."""
        count = self.drawn(generator)
        self.draw_from(generator, count + (n + 3) // 4 * 4)
        state = self.generators[generator][0]
        return state[0], elementwise(further, (state[1], count))

    def drawn(self, generator: Any) -> int:
        """How many numbers a run has drawn so far."""
        return self.generators[generator][1] if generator in self.generators else 0

    def draw_from(self, generator: Any, count: int) -> None:
        """So many have been drawn."""
        if generator not in self.generators:
            if len(self.generators) == GENERATORS:
                raise DeviceError(f"Generator: a graph draws from at most {GENERATORS} generators; use fewer")
            self.generators[generator] = [self.states[len(self.generators)], 0]
        self.generators[generator][1] = count
