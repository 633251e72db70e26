"""docs/coverage.md says which operation has which derivatives: it is as computed now, and has no hole without a reason."""

import coverage_table
import pytest


@pytest.fixture(scope="module")
def found():
    return coverage_table.table()


def of_the_page():
    """(its columns, its rows)"""
    page = coverage_table.PAGE.read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    columns = [next(c for c, wide in coverage_table.WIDE.items() if wide == title) for title in table[0][1:]]
    return columns, {cells[0].strip("`"): cells[1:] for cells in table[1:]}


def test_no_hole_is_unexplained(found):
    rows, unknown = found
    holes = [(name, column) for name, cells in rows.items() for column in of_the_page()[0] if not cells[column]]
    assert not [hole for hole in holes if hole not in coverage_table.HOLES], "give it a derivative, or a reason in HOLES"
    assert not unknown, "give these arguments in CALLS or AROUND, or a reason in NONE"


def test_the_page_is_as_computed(found):
    """The page may not know a column yet that has become possible; what it says must be so."""
    rows, _ = found
    columns, written = of_the_page()
    computed = {name: ["yes" if cells[c] else coverage_table.HOLES[name, c] for c in columns] for name, cells in rows.items()}
    assert written == computed, "run python tests/coverage_table.py"


def test_the_table_sees_a_wrong_derivative():
    import gradflow as gf

    class Wrong(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    assert coverage_table.row(Wrong.apply, (coverage_table.X,))["reverse"] is False
