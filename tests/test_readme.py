"""The python blocks of the README and of the docs run as they stand, and print what they say they print."""

import doctest
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: pathlib.Path) -> list[tuple[str, int]]:
    """Each python block of a page with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [(match[1], text.count("\n", 0, match.start()) + 2) for match in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_the_page_runs(page, tmp_path, monkeypatch):
    """Blocks share their names, from top to bottom; one with `>>>` is checked against its outputs."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for code, line in blocks(page):
        if ">>>" not in code:
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), line - 1)
        report: list[str] = []
        runner.run(test, out=report.append, clear_globs=False)
        names = test.globs
        assert not report, "".join(report)


def test_the_readme_has_a_tour():
    assert blocks(ROOT / "README.md")
