"""What looks at every operation of a program: anomaly detection forward and backward, and GRADFLOW_GRADCHECK=1."""

import os
import subprocess
import sys

import pytest

import gradflow as gf
from gradflow import elementwise
from gradflow.autograd import detect_anomaly
from gradflow.scalar import log

X = gf.tensor([0.0, 1.0, -1.0])


@elementwise(domain=(0.1, 3.0))
def surprise(x):
    return -log(x)


MADE = {
    "a formula": (lambda: X.log(), r"log: made nan and inf out of operands without, in .*test_checking.py:\d+"),
    "an operator": (lambda: 1 / (X * 2), r"reciprocal|div"),
    "a function": (lambda: gf.log(X.abs()), r"log: made inf"),
    "an operation in place": (lambda: gf.zeros(2).reciprocal_(), r"reciprocal_: made inf.*\n.*\n  operand 0: float32\[2\]: min 0, max 0"),
    "a fold": (lambda: gf.full((3,), 3e38).sum(), r"sum: made inf"),
    "a product": (lambda: gf.full((1, 2), 1e30) @ gf.full((2, 1), 1e30), r"matmul: made inf"),
    "0 / 0": (lambda: X / X, r"div: made nan"),
    "a layer": (lambda: gf.nn.functional.linear(gf.full((1, 2), 3e38), gf.ones(1, 2)), r"linear: made inf"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MADE)
def test_the_operation_that_makes_it_is_named(name):
    program, message = MADE[name]
    with detect_anomaly(check_inf=True, forward=True), pytest.raises(gf.errors.AnomalyError, match=message):
        program()
    program()


def test_the_tensors_are_described():
    with detect_anomaly(check_inf=True, forward=True), pytest.raises(RuntimeError) as error:
        X.log()
    assert "result 0: float32[3]: min 0, max 0, mean 0, 1 nan, 1 inf" in str(error.value)
    assert "operand 0: float32[3]: min -1, max 1, mean 0, 0 nan, 0 inf" in str(error.value)


def test_what_is_not_made_is_not_reported():
    with detect_anomaly(forward=True):
        gf.zeros(2).log()  # inf is not asked for
    with detect_anomaly(check_nan=False, check_inf=True, forward=True):
        X.sqrt()
    with detect_anomaly(check_inf=True, forward=True):
        gf.tensor([float("nan")]) * 2
        scores = gf.zeros(2).masked_fill(gf.tensor([True, False]), -float("inf"))
        assert scores.softmax(0).tolist() == [0, 1]
        assert gf.tensor([1, 2]).sum().item() == 3
    with detect_anomaly(check_inf=True, forward=True), pytest.raises(RuntimeError, match="sub: made nan"):
        gf.tensor([float("inf")]) - gf.tensor([float("inf")])


def test_an_inf_on_the_way_back():
    x = gf.tensor([0.0, 4.0], requires_grad=True)
    with detect_anomaly(), pytest.raises(gf.errors.AnomalyError, match="'PowBackward0' returned nan"):
        ((x * 0) ** 0.5 * 0).sum().backward()
    with detect_anomaly():
        x.sqrt().sum().backward()
    x.grad = None
    with detect_anomaly(check_inf=True), pytest.raises(RuntimeError) as error:
        x.sqrt().sum().backward()
    text = str(error.value)
    assert "Function 'SqrtBackward0' returned inf values in its 0th output; it was recorded in" in text
    assert "its gradient 0: float32[2]: min 0.25, max 0.25, mean 0.25, 0 nan, 1 inf" in text
    assert "what arrived 0: float32[2]: min 1, max 1" in text and "what it saved 0: float32[2]: min 0, max 2" in text
    assert x.grad is None


def test_nothing_is_left_behind():
    before = gf.Tensor.log, gf.log, gf.nn.functional.linear
    with pytest.raises(ZeroDivisionError), detect_anomaly(forward=True):
        raise ZeroDivisionError
    assert (gf.Tensor.log, gf.log, gf.nn.functional.linear) == before
    assert not gf.autograd.is_anomaly_enabled()


def run(program):
    return subprocess.run(
        [sys.executable, "-c", "import gradflow as gf\n" + program],
        env={**os.environ, "GRADFLOW_GRADCHECK": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


RIGHT = """
from gradflow import nn
from gradflow.scalar import exp

@gf.elementwise
def swish(x):
    return x / (1 + exp(-x))

class Square(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0]

gf.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 8), nn.Dropout(0.3), nn.LayerNorm(8))
optimizer = gf.optim.Adam(net.parameters(), lr=1e-2)
for step in range(2):
    optimizer.zero_grad()
    h = net(gf.randn(4, 1, 8, 8))
    h = swish(h) + Square.apply(h)
    h[:, 0] = h[:, 1] * 2
    h.clamp_(-5, 5)
    loss = nn.functional.cross_entropy(h, gf.tensor([0, 1, 2, 0])) + gf.cat([h, h.relu()]).norm() + h.sort()[0].cumsum(0).abs().sqrt().mean()
    loss = loss + h.double().sum() + h.max(1)[0].mean() + h.detach().sum()
    loss.backward()
    optimizer.step()
print(loss.item(), gf.rand(1).item())
"""


def test_a_program_whose_derivatives_are_right_runs_as_ever():
    checked = run(RIGHT)
    assert checked.returncode == 0, checked.stderr
    env = {k: v for k, v in os.environ.items() if k != "GRADFLOW_GRADCHECK"}
    plain = subprocess.run([sys.executable, "-c", "import gradflow as gf\n" + RIGHT], env=env, capture_output=True, text=True, timeout=120)
    assert checked.stdout == plain.stdout != ""


WRONG = {
    "a Function": """
class Wrong(gf.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * x

    @staticmethod
    def backward(ctx, g):
        return g

Wrong.apply(gf.ones(3, requires_grad=True).sin())""",
    "a formula": """
@gf.elementwise
def Wrong(x, y):
    return x * y

@Wrong.partial
def wrong_partial(z, x, y):
    return y, 2 * x

Wrong(gf.ones(3), gf.ones(2, 1, requires_grad=True))""",
    "a formula with options": """
@gf.elementwise(domain=(0, 1))
def Wrong(x):
    return x * x

@Wrong.partial
def wrong_partial(z, x):
    return x

Wrong(gf.ones(3, requires_grad=True))""",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_is_found_with_its_line(name):
    error = run(WRONG[name]).stderr
    assert "Wrong: Jacobian mismatch for output 0 with respect to input" in error, error
    assert "numerical" in error and "found by GRADFLOW_GRADCHECK in <string>:" in error


def test_a_wrong_derivative_of_an_operation_is_found():
    """An operation of the package, with another's way back."""
    error = run("""
from gradflow.ops import scans
scans.cumsum_along.plan.adjoint = lambda g, *rest: g
scans.cumsum_along.plan.into = scans.cumsum_along.plan.light = None
x = gf.arange(3.0, requires_grad=True)
print(x.cumsum(0))""").stderr
    assert "cumsum: Jacobian mismatch" in error, error
