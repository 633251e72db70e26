"""Two workers on the same case, in alternating rounds, and what comes of it."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from .cases import Case

BLOCK_SECONDS = 0.05
# The other module's idle threads may spin for a moment after their last task.
PAUSE_SECONDS = 0.005
ROOT = Path(__file__).resolve().parent.parent


class WorkerError(RuntimeError):
    """A worker failed; the text is its traceback."""


class Worker:
    def __init__(self, module: str, threads: int, case: Case) -> None:
        # Set on some machines for old OpenBLAS builds; it would slow a current one.
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        command = [sys.executable, "-m", "benchmarks.worker", module, str(threads), case.name]
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
    seconds: tuple[float, float]  # medians per step: the subject's, torch's
    ratio: float  # the median of the rounds' ratios
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
        for key in ("size", "sum", "weighted"):
            # Written so that a nan in either is a difference.
            if not abs(a[key] - b[key]) <= tolerance * b["size"] + 1e-12:
                return f"result {i}: {key} {a[key]!r}, expected {b[key]!r}"
    return None


def race(case: Case, subject: str, threads: int, rounds: int) -> Outcome:
    """Run the case on the subject and on torch. Every case has fresh processes: nothing carries over between cases."""
    with Worker(subject, threads, case) as ours, Worker("torch", threads, case) as theirs:
        difference = disagreement(ours.ask("check")["results"], theirs.ask("check")["results"], case.tolerance)
        for worker in (ours, theirs):
            worker.steps = worker.ask("calibrate", seconds=BLOCK_SECONDS)["steps"]
        times: dict[Worker, list[float]] = {ours: [], theirs: []}
        for i in range(rounds):
            for worker in (ours, theirs) if i % 2 == 0 else (theirs, ours):
                time.sleep(PAUSE_SECONDS)
                times[worker].append(worker.ask("time", steps=worker.steps)["seconds"])
        peaks = ours.ask("peak")["bytes"], theirs.ask("peak")["bytes"]
    return Outcome(
        case=case.name,
        seconds=(statistics.median(times[ours]), statistics.median(times[theirs])),
        ratio=statistics.median(a / b for a, b in zip(times[ours], times[theirs])),
        target=case.target,
        peak_bytes=peaks,
        memory_ratio=peaks[0] / peaks[1],
        memory_target=case.memory,
        difference=difference,
    )
