"""What a type checker sees of user code: the stub of attached names is fresh, and results have types."""

import os
import re
import subprocess
import sys

import make_types
import pytest

PROGRAM = """
import gradflow as gf
from gradflow import nn
import gradflow.nn.functional as F
x = gf.randn(3)
x.exp()  # Tensor
gf.exp(x)  # Tensor
2 ** (1 - x) @ x  # Tensor
x.max(0).values  # Tensor
x.item() + 1  # int | float
x.grad  # Tensor | None
x == x  # Tensor
x.shape[0]  # int
x.size()  # Size
x.size(0)  # int
x.device  # device
[row for row in x]  # list[Tensor]
gf.is_tensor(x)  # bool
gf.LongTensor([1])  # Tensor
gf.linalg.svd(x).S  # Tensor
gf.special.expit(x)  # Tensor
gf.autograd.grad(x.sum(), x)  # tuple[Tensor, ...]
F.relu(x)  # Tensor
F.cross_entropy(x, x)  # Tensor
nn.Linear(2, 3)(x)  # Tensor
nn.Conv2d(1, 2, 3)(x)  # Tensor
nn.CrossEntropyLoss()(x, x)  # Tensor
nn.MultiheadAttention(8, 2)(x, x, x)  # tuple[Tensor, Tensor | None]
nn.Sequential(nn.Linear(2, 3))[0]  # Module
nn.Linear(2, 3).weight  # Parameter
class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
    def forward(self, x: gf.Tensor, scale: float = 1.0) -> gf.Tensor:
        return scale * self.layer(x)
Net()(x, scale=2.0)  # Tensor
[p for p in Net().parameters()]  # list[Parameter]
gf.optim.SGD(Net().parameters(), lr=0.1).param_groups  # list[dict[str, Any]]
@gf.no_grad()
def count(n: int) -> int:
    return n
count(1)  # int
"""
MISTAKES = {"x.foo": 'has no attribute "foo"', "gf.bar": 'has no attribute "bar"', "Net()(x, sc=2.0)": 'Unexpected keyword argument "sc"'}


def test_the_stub_is_fresh():
    pytest.importorskip("ruff")  # formats it
    assert make_types.TARGET.read_text() == make_types.text(), "run: python tests/make_types.py"


def test_user_code_is_typed(tmp_path):
    """Each expression of the program, and its type behind it; then mistakes, and what is said of them."""
    pytest.importorskip("mypy")
    program = re.sub(r"^(.*)(  # .*)$", r"reveal_type(\1)\2", PROGRAM, flags=re.MULTILINE) + "\n".join(MISTAKES)
    (tmp_path / "user.py").write_text(program)
    # With the project's settings and cache: what the linter has read, mypy does not read again. It does not see editable installs.
    root = make_types.PACKAGE.parent
    command = [sys.executable, "-m", "mypy", str(tmp_path / "user.py")]
    out = subprocess.run(command, capture_output=True, text=True, cwd=root, env=os.environ | {"MYPYPATH": str(root)}, check=False).stdout
    found = dict(re.findall(r'user.py:(\d+): note: Revealed type is "(.*)"', out))
    lines = program.splitlines()
    types = {lines[int(n) - 1]: re.sub(r"\b[a-z_]+\.|builtins\.", "", kind) for n, kind in found.items()}
    assert len(types) == PROGRAM.count("  # ")
    assert not {line: kind for line, kind in types.items() if kind != line.rpartition("  # ")[2]}
    for (_, said), n in zip(MISTAKES.items(), range(len(lines) - len(MISTAKES) + 1, len(lines) + 1), strict=True):
        assert re.search(rf"user.py:{n}: error: .*{re.escape(said)}", out), out
    assert out.count("error:") == len(MISTAKES)
