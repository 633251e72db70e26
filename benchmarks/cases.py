"""What is measured. A case is written once, in torch's API, and takes the module to run on.

It returns `step`, which is timed, and `results`, which gives the tensors that must come out equal after the same number
of steps. Inputs come from NumPy, so that both modules start from the same numbers.
"""

from __future__ import annotations

import functools
import itertools
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Module = Any
Step = Callable[[], Any]
Setup = Callable[[Module], tuple[Step, Callable[[], list]]]


class Case(NamedTuple):
    name: str
    setup: Setup
    target: float  # the ratio gradflow / torch that must not be exceeded
    tolerance: float = 1e-4  # of the results, relative to their sum of absolute values
    memory: float | None = None  # the same for the peak resident memory of the process


CASES: dict[str, Case] = {}
MEMORY_TARGETS = {"MLP 784-512-256-10, batch 128, SGD step": 0.6, "MLP 784-512-256-10, batch 128, AdamW step": 0.6}


def case(name: str, target: float) -> Callable[[Setup], Setup]:
    """Register a function of a module as the case called name."""

    def register(setup: Setup) -> Setup:
        CASES[name] = Case(name, setup, target, memory=MEMORY_TARGETS.get(name))
        return setup

    return register


def family(*members: tuple[str, float, dict[str, Any]]) -> Callable[[Callable], Callable]:
    """Register a function once per (name, target, its further arguments)."""

    def register(function: Callable) -> Callable:
        for name, target, arguments in members:
            case(name, target)(functools.partial(function, **arguments))
        return function

    return register


def cpu_is_amd_with_avx512() -> bool:
    """Whether OpenBLAS's AVX-512 kernels run against MKL's slower path; the targets of matmul differ there."""
    if platform.machine() != "x86_64" or not Path("/proc/cpuinfo").is_file():
        return False
    text = Path("/proc/cpuinfo").read_text()
    return "AuthenticAMD" in text and "avx512f" in text


def arrays(*shapes: tuple[int, ...], scale: float = 1.0) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for shape in shapes:
        yield (rng.standard_normal(shape) * scale).astype(np.float32)


def leaves(torch: Module, *shapes: tuple[int, ...], scale: float = 1.0) -> list:
    return [torch.tensor(array, requires_grad=True) for array in arrays(*shapes, scale=scale)]


# --- overhead: ten elements -------------------------------------------------------------------------------------------


@case("a * b, 10 elements, requires_grad", target=0.7)
def product(torch):
    a, b = leaves(torch, (10,), (10,))
    return lambda: a * b, lambda: [a * b]


@case("(a * b).sum().backward(), 10 elements", target=0.4)
def product_backward(torch):
    a, b = leaves(torch, (10,), (10,))
    return lambda: (a * b).sum().backward(), lambda: [a.grad, b.grad]


@case("chain of 100 products, forward + backward, 10 elements", target=0.5)
def chain(torch):
    a, b = leaves(torch, (10,), (10,), scale=0.01)
    b = (b.detach() + 1).requires_grad_()

    def step():
        y = a
        for _ in range(100):
            y = y * b
        y.sum().backward()

    return step, lambda: [a.grad, b.grad]


# --- elementwise ------------------------------------------------------------------------------------------------------


@family(*((f"{function}, 1e6 elements", 0.5, {"function": function}) for function in ("exp", "tanh", "erf", "log")))
def unary(torch, function):
    (array,) = arrays((1_000_000,))
    x = torch.tensor(np.abs(array) + 1e-3 if function == "log" else array)
    f = getattr(torch, function)
    return lambda: f(x), lambda: [f(x)]


@family(
    ("(tanh(a*b+c) * sigmoid(a)).sum(), forward + backward, 1e5", 0.5, {"size": 100_000}),
    ("(tanh(a*b+c) * sigmoid(a)).sum(), forward + backward, 1e6", 0.5, {"size": 1_000_000}),
    ("(tanh(a*b+c) * sigmoid(a)).sum(), forward + backward, 8e6", 0.35, {"size": 8_000_000}),
)
def gate(torch, size):
    a, b, c = leaves(torch, (size,), (size,), (size,))

    def step():
        a.grad = b.grad = c.grad = None
        loss = (torch.tanh(a * b + c) * torch.sigmoid(a)).sum()
        loss.backward()
        return loss

    return step, lambda: [step(), a.grad, b.grad, c.grad]


# --- reductions and rows ----------------------------------------------------------------------------------------------


@family(*((f"sum over axis {dim} of 1000x1000, forward + backward", 0.8, {"dim": dim}) for dim in (0, 1)))
def axis_sum(torch, dim):
    (x,) = leaves(torch, (1000, 1000))
    (g,) = map(torch.tensor, arrays((1000,)))

    def step():
        x.grad = None
        y = x.sum(dim)
        y.backward(g)
        return y

    return step, lambda: [step(), x.grad]


@case("softmax, 4096x256, forward + backward", target=0.8)
def softmax(torch):
    (x,) = leaves(torch, (4096, 256))
    (g,) = map(torch.tensor, arrays((4096, 256)))

    def step():
        x.grad = None
        y = torch.softmax(x, 1)
        y.backward(g)
        return y

    return step, lambda: [step(), x.grad]


@case("layer_norm, 4096x256, forward + backward", target=0.8)
def layer_norm(torch):
    x, weight, bias = leaves(torch, (4096, 256), (256,), (256,))
    (g,) = map(torch.tensor, arrays((4096, 256)))

    def step():
        x.grad = weight.grad = bias.grad = None
        y = torch.nn.functional.layer_norm(x, (256,), weight, bias)
        y.backward(g)
        return y

    return step, lambda: [step(), x.grad, weight.grad, bias.grad]


@case("cross_entropy, 4096x256, forward + backward", target=0.8)
def cross_entropy(torch):
    (x,) = leaves(torch, (4096, 256))
    target = torch.tensor(np.random.default_rng(1).integers(0, 256, 4096))

    def step():
        x.grad = None
        loss = torch.nn.functional.cross_entropy(x, target)
        loss.backward()
        return loss

    return step, lambda: [step(), x.grad]


# --- products of matrices ---------------------------------------------------------------------------------------------

STRONG_BLAS = cpu_is_amd_with_avx512()


@family(
    ("matmul 64, forward + backward", 0.8 if STRONG_BLAS else 1.0, {"n": 64}),
    ("matmul 256, forward + backward", 0.7 if STRONG_BLAS else 1.0, {"n": 256}),
    ("matmul 1024, forward + backward", 0.7 if STRONG_BLAS else 1.0, {"n": 1024}),
)
def matmul(torch, n):
    a, b = leaves(torch, (n, n), (n, n))
    (g,) = map(torch.tensor, arrays((n, n)))

    def step():
        a.grad = b.grad = None
        y = a @ b
        y.backward(g)
        return y

    return step, lambda: [step(), a.grad, b.grad]


# --- training steps ---------------------------------------------------------------------------------------------------


DIGITS = {"sizes": (784, 512, 256, 10), "batch": 128}
TOY = {"sizes": (2, 16, 16, 2), "batch": 32}


@family(
    ("MLP 784-512-256-10, batch 128, SGD step", 0.65, {**DIGITS, "optimizer": "SGD"}),
    ("MLP 784-512-256-10, batch 128, AdamW step", 0.5, {**DIGITS, "optimizer": "AdamW"}),
    ("MLP 2-16-16-2, batch 32, SGD step", 0.5, {**TOY, "optimizer": "SGD"}),
)
def mlp(torch, sizes, batch, optimizer):
    nn = torch.nn
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    with torch.no_grad():
        shapes = [tuple(parameter.shape) for parameter in model.parameters()]
        for parameter, value in zip(model.parameters(), arrays(*shapes, scale=0.05)):
            parameter.copy_(torch.tensor(value))
    x = torch.tensor(next(arrays((batch, sizes[0]))))
    y = torch.tensor(np.arange(batch) % sizes[-1])
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr=1e-3)

    def step():
        opt.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        return loss

    return step, lambda: [step(), *model.parameters()]


# --- derivatives of functions -----------------------------------------------------------------------------------------


def network(torch, *sizes):
    """(its weights and biases, the function of them and an input)"""
    pairs = list(itertools.pairwise(sizes))
    shapes = [shape for inputs, outputs in pairs for shape in ((outputs, inputs), (outputs,))]
    parameters = [torch.tensor(value) for value in arrays(*shapes, scale=0.2)]

    def forward(parameters, x):
        for k in range(0, len(parameters), 2):
            x = torch.nn.functional.linear(torch.tanh(x) if k else x, parameters[k], parameters[k + 1])
        return x

    return parameters, forward


@case("jacrev of MLP 64-64-64-64, batch 1", target=1.0)
def jacobian_reverse(torch):
    parameters, forward = network(torch, 64, 64, 64, 64)
    (x,) = map(torch.tensor, arrays((1, 64)))
    step = torch.func.jacrev(lambda x: forward(parameters, x))
    return lambda: step(x), lambda: [step(x)]


@case("vmap(vjp) of MLP 64-64-64-64, 64 cotangents", target=1.0)
def jacobian_by_vmap(torch):
    parameters, forward = network(torch, 64, 64, 64, 64)
    (x,) = map(torch.tensor, arrays((64,)))

    def step():
        _, pull = torch.func.vjp(lambda x: forward(parameters, x), x)
        return torch.func.vmap(pull)(torch.eye(64))[0]

    return step, lambda: [step()]


@case("vmap(grad) of MLP 8-16-4, batch 64", target=1.0)
def gradients_of_each(torch):
    parameters, forward = network(torch, 8, 16, 4)
    (x,) = map(torch.tensor, arrays((64, 8)))
    y = torch.tensor(np.arange(64) % 4)

    def loss(parameters, x, y):
        return torch.nn.functional.cross_entropy(forward(parameters, x)[None], y[None])

    step = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: step(parameters, x, y), lambda: step(parameters, x, y)
