"""Two workers on the same case, in alternating rounds, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .cases import Case

BLOCK_SECONDS = 0.05
OPERATION_SECONDS = 0.002  # where there are many cases: the best of short blocks, which nobody interrupts
# The other module's idle threads may spin for a moment after their last task.
PAUSE_SECONDS = 0.005
ROOT = Path(__file__).resolve().parent.parent


class WorkerError(RuntimeError):
    """A worker failed; the text is its traceback."""


class Worker:
    def __init__(self, module: str, threads: int) -> None:
        # Set on some machines for old OpenBLAS builds; it would slow a current one.
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        command = [sys.executable, "-m", "benchmarks.worker", module, str(threads)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.steps = 0

    def ask(self, do: str, **arguments: Any) -> dict:
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):  # that it has ended shows in the next line
            print(json.dumps({"do": do, **arguments}), file=self.process.stdin)
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the process ended with status {self.process.wait()}"}
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        with self.process:
            assert self.process.stdin
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


class Outcome(NamedTuple):
    case: str
    seconds: tuple[float, float]  # medians per step, or the best: the subject's, torch's
    ratio: float  # the median of the rounds' ratios, or that of the best
    target: float
    peak_bytes: tuple[int, int]
    memory_ratio: float
    memory_target: float | None
    difference: str | None  # what the results disagree on, if anything

    @property
    def ok(self) -> bool:
        return self.ratio <= self.target


def disagreement(ours: list[dict], theirs: list[dict], tolerance: float) -> str | None:
    """The first thing in which two lists of summaries differ."""
    if len(ours) != len(theirs):
        return f"{len(ours)} results, {len(theirs)} expected"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        for key in ("shape", "dtype"):
            if a[key] != b[key]:
                return f"result {i}: {key} {a[key]}, expected {b[key]}"
        for key in ("size", "sum", "weighted") if tolerance < math.inf else ():
            # Written so that a nan in either is a difference.
            if not abs(a[key] - b[key]) <= tolerance * b["size"] + 1e-12:
                return f"result {i}: {key} {a[key]!r}, expected {b[key]!r}"
    return None


def race(case: Case, subject: str, threads: int, rounds: int) -> Outcome | None:
    """Run the case on the subject and on torch. Fresh processes: nothing carries over between cases."""
    with Worker(subject, threads) as ours, Worker("torch", threads) as theirs:
        return compare(case, ours, theirs, rounds, BLOCK_SECONDS)


def compare(case: Case, ours: Worker, theirs: Worker, rounds: int, block: float, best: bool = False) -> Outcome | None:
    """The case in two workers, in alternating blocks of that many seconds. ``None`` if it has no results: nothing to differentiate."""
    for worker in (ours, theirs):
        worker.ask("open", case=case.name)
    results, expected = (worker.ask("check")["results"] for worker in (ours, theirs))
    if not results and not expected:
        return None
    for worker in (ours, theirs):
        worker.steps = worker.ask("calibrate", seconds=block)["steps"]
    times: dict[Worker, list[float]] = {ours: [], theirs: []}
    for i in range(rounds):
        for worker in (ours, theirs) if i % 2 == 0 else (theirs, ours):
            time.sleep(PAUSE_SECONDS)
            times[worker].append(worker.ask("time", steps=worker.steps)["seconds"])
    peaks = ours.ask("peak")["bytes"], theirs.ask("peak")["bytes"]
    typical = min if best else statistics.median
    seconds = typical(times[ours]), typical(times[theirs])
    return Outcome(
        case=case.name,
        seconds=seconds,
        ratio=seconds[0] / seconds[1] if best else statistics.median(a / b for a, b in zip(times[ours], times[theirs])),
        target=case.target,
        peak_bytes=peaks,
        memory_ratio=peaks[0] / peaks[1],
        memory_target=case.memory,
        difference=disagreement(results, expected, case.tolerance),
    )
