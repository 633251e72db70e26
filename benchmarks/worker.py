"""One process that runs cases on one module, told what to do by lines of JSON on its standard input.

`python -m benchmarks.worker MODULE THREADS` answers each line with one line:
    {"do": "open", "case": name}   -> {}: the others are about this case
    {"do": "check"}                -> {"results": [...]}: sums of the results after two steps
    {"do": "calibrate", "seconds"} -> {"steps": n}: how many steps take about that long
    {"do": "time", "steps"}        -> {"seconds": s}: per step
    {"do": "peak"}                 -> {"bytes": b}: the process's peak resident memory
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
import traceback
from typing import Any

import numpy as np

from .cases import CASES
from .operations import OPERATIONS

CHUNK = 65536
WEIGHTS = np.cos(np.arange(CHUNK))


def summary(tensor: Any) -> dict:
    """What stands for a tensor, or a number, in the comparison: sums, one of them with uneven weights so that the order counts.

    Taken in chunks, since a copy in float64 would show in the peak memory.
    """
    if isinstance(tensor, bool | int | float):
        return {"shape": [], "dtype": type(tensor).__name__, "size": abs(tensor), "sum": tensor, "weighted": tensor}
    values = tensor.detach()
    values = np.asarray((values.float() if str(values.dtype).endswith("bfloat16") else values).numpy()).ravel()
    size = total = weighted = 0.0
    for i in range(0, values.size, CHUNK):
        chunk = values[i : i + CHUNK].astype(np.float64)
        size += float(np.abs(chunk).sum())
        total += float(chunk.sum())
        weighted += float(chunk @ WEIGHTS[: chunk.size])
    shape, dtype = list(tensor.shape), str(tensor.dtype).rpartition(".")[2]
    return {"shape": shape, "dtype": dtype, "size": size, "sum": total, "weighted": weighted}


class Runner:
    def __init__(self, module: str, threads: int) -> None:
        self.torch = importlib.import_module(module)
        self.torch.set_num_threads(threads)

    def open(self, case: str) -> dict:
        self.step, self.results = (CASES.get(case) or OPERATIONS[case]).setup(self.torch)
        return {}

    def check(self) -> dict:
        for _ in range(2):
            self.step()
        return {"results": [summary(tensor) for tensor in self.results()]}

    def time(self, steps: int) -> dict:
        step = self.step
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return {"seconds": (time.perf_counter() - start) / steps}

    def calibrate(self, seconds: float) -> dict:
        steps = 1
        while (taken := self.time(steps)["seconds"] * steps) < seconds / 4:
            steps *= 2
        return {"steps": max(1, round(steps * seconds / taken))}

    def peak(self) -> dict:
        return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    # What a library prints must not end up among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    module, threads = sys.argv[1:]
    runner = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            runner = runner or Runner(module, int(threads))
            answer = getattr(runner, request.pop("do"))(**request)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
