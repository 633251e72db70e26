"""The benchmarks compute the same under gradflow and torch, and the harness notices when they do not."""

import pathlib
import re
import sys

import coverage_table
import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from benchmarks.cases import CASES
from benchmarks.operations import OPERATIONS
from benchmarks.race import Worker, WorkerError, disagreement, race
from benchmarks.worker import Runner, summary

CASE = "a * b, 10 elements, requires_grad"
QUICK = [name for name in CASES if "8e6" not in name]


@pytest.mark.torch
@pytest.mark.parametrize("name", QUICK)
def test_results_are_equal(name):
    ours, theirs = (results(Runner(module, 2), name) for module in ("gradflow", "torch"))
    assert disagreement(ours, theirs, CASES[name].tolerance) is None


def results(runner, name):
    runner.open(name)
    return runner.check()["results"]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # torch's, of what is old or about to change
def test_operations_are_equal():
    ours, theirs = Runner("gradflow", 1), Runner("torch", 1)
    wrong = {}
    for name in OPERATIONS:
        if ", 1e3" in name:
            difference = disagreement(results(ours, name), results(theirs, name), OPERATIONS[name].tolerance)
            wrong |= {name: difference} if difference else {}
    assert not wrong


# These give complex numbers under torch.
COMPLEX = {"eig", "eigvals"}


def test_every_operation_is_among_them():
    page = coverage_table.PAGE.read_text(encoding="utf-8")
    public = {name.rpartition(".")[2] for name in re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)}
    public |= {name.rpartition(".")[2] for names in coverage_table.NONE.values() for name in names.split()}
    missing = public - set(re.findall(r"\w+", " ".join(OPERATIONS))) - COMPLEX
    assert not missing


def test_disagreement_sees_values_order_shape_and_nan():
    import gradflow as gf

    def sums(*values, **kwargs):
        return [summary(gf.tensor(list(values), **kwargs))]

    same = sums(1.0, 2.0)
    assert disagreement(sums(1.0, 2.0), same, 1e-4) is None
    assert "size" in disagreement(sums(1.0, 2.1), same, 1e-4)
    assert "sum" in disagreement(sums(1.0, -2.0), same, 1e-4)
    assert "weighted" in disagreement(sums(2.0, 1.0), same, 1e-4)
    assert "size" in disagreement(sums(1.0, float("nan")), same, 1e-4)
    assert "shape" in disagreement(sums(1.0, 2.0, 0.0), same, 1e-4)
    assert "dtype" in disagreement(sums(1.0, 2.0, dtype=gf.float64), same, 1e-4)
    assert "1 results, 0 expected" in disagreement(same, [], 1e-4)


def test_a_failing_worker_says_why():
    with Worker("no_such_module", 1) as worker, pytest.raises(WorkerError, match="no_such_module"):
        worker.ask("open", case=CASE)


@pytest.mark.torch
def test_race():
    outcome = race(CASES[CASE], "gradflow", threads=1, rounds=2)
    assert outcome.difference is None
    assert outcome.ratio > 0
    assert all(size > 1e6 for size in outcome.peak_bytes)
