"""What a type checker sees of user code: the stub of attached names is fresh, and results have types."""

import os
import subprocess
import sys

import make_types
import pytest

PROGRAM = """
import gradflow as gf
x = gf.randn(3)
reveal_type(x.exp())
reveal_type(gf.exp(x))
reveal_type(2 ** (1 - x) @ x)
reveal_type(x.max(0).values)
reveal_type(x.item())
reveal_type(x.grad)
reveal_type(x == x)
x.foo
gf.bar
"""


def test_the_stub_is_fresh():
    pytest.importorskip("ruff")  # formats it
    assert make_types.TARGET.read_text() == make_types.text(), "run: python tests/make_types.py"


def test_user_code_is_typed(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"), "user.py"]
    env = os.environ | {"MYPYPATH": str(make_types.PACKAGE.parent)}  # mypy does not see editable installs
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, check=False).stdout
    types = [line.split('"')[1].replace("gradflow.tensor.", "") for line in out.splitlines() if "Revealed" in line]
    assert types[:3] == ["Tensor"] * 3 and types[3] == "Tensor", out
    assert types[4] in ("bool | int | float", "int | float") and types[5] == "Tensor | None" and types[6] == "Tensor", out
    assert out.count('has no attribute "foo"') == 1 and out.count('has no attribute "bar"') == 1, out
