"""`python -m benchmarks`: a table of gradflow's times against PyTorch's. With `--ops`, of every operation by itself; with `--device cuda`,
what a GPU does."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .cases import CASES, Case
from .operations import OPERATIONS, SIZES
from .race import OPERATION_SECONDS, Outcome, Worker, WorkerError, compare, race


def duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= 0.9995 * scale:  # which three digits would show as 1000 of the next unit
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB"


def rows(outcome: Outcome) -> list[list[str]]:
    """The table's lines for a case: its time and, where it has a target, its memory."""
    verdict = "DIFFERS" if outcome.difference else "ok" if outcome.ok else "MISS"
    ours, theirs = map(duration, outcome.seconds)
    lines = [[outcome.case, ours, theirs, f"{outcome.ratio:.2f}", f"{outcome.target:.2f}", verdict]]
    if outcome.memory_target is not None:
        ours, theirs = map(megabytes, outcome.peak_bytes)
        verdict = "ok" if outcome.memory_ratio <= outcome.memory_target else "MISS"
        name = "  its peak resident memory"
        lines.append([name, ours, theirs, f"{outcome.memory_ratio:.2f}", f"{outcome.memory_target:.2f}", verdict])
    return lines


def show(cells: list[str], markdown: bool, width: int) -> None:
    if markdown:
        print("| " + " | ".join(cells) + " |", flush=True)
    else:
        print(cells[0].ljust(width) + "".join(cell.rjust(10) for cell in cells[1:]), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--ops", action="store_true", help="every operation, at two sizes, forward and backward")
    parser.add_argument("--size", type=int, choices=SIZES, help="with --ops: only this size")
    parser.add_argument("--threads", type=int, metavar="N", help="threads in each process (default 1; 2 with --ops)")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose name matches")
    parser.add_argument("--rounds", type=int, metavar="N", help="alternating rounds per case (default 15; 5 with --ops)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to a file")
    parser.add_argument("--markdown", action="store_true", help="print the table as the README has it")
    parser.add_argument("--subject", default="gradflow", metavar="MODULE", help="`torch` shows the noise of the machine")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: what the GPU does, see benchmarks/device.py")
    parser.add_argument("--list", action="store_true", help="print the cases' names and targets and stop")
    args = parser.parse_args()

    if args.device == "cuda":
        from .device import main as on_device

        return on_device(lambda name: re.search(args.only, name), subject=args.subject)
    threads, rounds = args.threads or (2 if args.ops else 1), args.rounds or (5 if args.ops else 15)
    known = OPERATIONS if args.ops else CASES
    ending = f", {SIZES[args.size]}" if args.size else ""
    cases = [case for case in known.values() if re.search(args.only, case.name) and ending in case.name]
    width = max((len(case.name) for case in cases), default=0)
    if args.list:
        for case in cases:
            print(f"{case.name.ljust(width)}  {case.target:.2f}")
        return 0

    show(["case", args.subject, "torch", "ratio", "target", ""], args.markdown, width)
    if args.markdown:
        print("|---|--:|--:|--:|--:|---|")
    outcomes, failed = [], False
    with contextlib.ExitStack() as stack:
        run: Callable[[Case], Outcome | None] = lambda case: race(case, args.subject, threads, rounds)  # noqa: E731
        if args.ops:
            ours, theirs = (stack.enter_context(Worker(module, threads)) for module in (args.subject, "torch"))
            run = lambda case: compare(case, ours, theirs, rounds, OPERATION_SECONDS, best=True)  # noqa: E731
        for case in cases:
            try:
                outcome = run(case)
            except WorkerError as error:
                # A broken module fails everywhere: the whole traceback only where one case was asked for.
                print(f"{case.name}: {error if len(cases) == 1 else str(error).splitlines()[-1]}", file=sys.stderr)
                failed = True
                continue
            if outcome is None:
                continue
            outcomes.append(outcome)
            for cells in rows(outcome):
                show(cells, args.markdown, width)
            if outcome.difference:
                print(f"{case.name}: {outcome.difference}", file=sys.stderr)
                failed = True
    if args.ops and outcomes:
        middle = math.exp(sum(math.log(o.ratio) for o in outcomes) / len(outcomes))
        print(f"\n{len(outcomes)} cases, {sum(not o.ok for o in outcomes)} above their target; geometric mean of the ratios {middle:.2f}")
    if args.json:
        report = {"threads": threads, "rounds": rounds, "outcomes": [o._asdict() for o in outcomes]}
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
