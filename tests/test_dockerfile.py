"""The Dockerfile, read: what it says of its commands holds, and the README says the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
COMMANDS = [line[2:].strip() for line in TEXT.splitlines() if line.startswith("#     ")]
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", TEXT, re.MULTILINE)


def stage(name):
    """The instructions of a stage."""
    return re.search(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def test_the_readme_has_the_dockerfiles_commands():
    readme = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("docker ")]
    assert len(readme) >= 4
    assert [line for line in readme if line not in COMMANDS] == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("docker build")])
def test_commands_name_what_there_is(command):
    for target in re.findall(r"--target (\S+)", command):
        assert target in [name for _, name in STAGES]
    for argument in re.findall(r"--build-arg (\w+)=", command):
        assert f"ARG {argument}" in TEXT
    tag = re.search(r"-t (\S+)", command)[1]
    assert any(c.startswith("docker run") and c.split()[-1] == tag for c in COMMANDS)


def test_the_last_stage_is_small_and_not_root():
    last = STAGES[-1][1]
    assert last == "gradflow" and STAGES[-1][0] == "python"
    for name in ("python", last):
        assert "g++" not in stage(name) and "make" not in stage(name)
    for name in ("test", "bench", last):
        assert re.search(r"^USER \d+$", stage(name), re.MULTILINE), name
        assert re.search(r"^CMD \[", stage(name), re.MULTILINE), name


def test_what_stages_name_is_in_the_repository():
    makefile, extras = (ROOT / "Makefile").read_text(), (ROOT / "pyproject.toml").read_text()
    for target in re.findall(r'CMD \["make", "([\w-]+)"\]', TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for extra in re.search(r"^ARG EXTRAS=(\S+)$", TEXT, re.MULTILINE)[1].split(","):
        assert re.search(rf"^{extra} = ", extras, re.MULTILINE)
    for path in re.findall(r"python (\w[\w/]*\.py)", TEXT):
        assert (ROOT / path).exists()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "build"} <= set(ignored)
