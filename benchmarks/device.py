"""`python -m benchmarks --device cuda`: what a GPU does, against what it could do, and against PyTorch on it where that is installed.

Launches per second, bandwidth as a fraction of a copy within the device, products as a fraction of PyTorch's (cuBLAS), training steps, memory. Both
modules run in this process, one after the other, on the same device; every time is the best of several blocks, between two synchronisations.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from .cases import CASES

Module = Any
Step = Callable[[], Any]


class Sizes(NamedTuple):
    """How large things are; tests take small ones."""

    elements: int = 1 << 26
    columns: int = 4096
    products: tuple[int, ...] = (512, 1024, 2048, 4096, 8192)
    model: int = 768
    layers: int = 6
    context: int = 1024
    batch: int = 8
    images: int = 512
    seconds: float = 0.2


TINY = Sizes(1 << 10, 32, (16,), 16, 1, 8, 2, 2, 0.0)


class Line(NamedTuple):
    name: str
    unit: str  # larger is better, but for times and memory
    value: Callable[[float], float]  # of seconds per step
    setup: Callable[[Module], Step]
    share_of_copy: bool = False


def timed(t: Module, step: Step, seconds: float) -> float:
    """Seconds per step: the best of five blocks."""

    def block(count: int) -> float:
        t.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            step()
        t.cuda.synchronize()
        return (time.perf_counter() - start) / count

    block(2)  # kernels are compiled, and memory is taken
    count = max(1, round(seconds / 5 / max(block(2), 1e-9)))
    return min(block(count) for _ in range(5))


# What is measured


def bandwidth(name: str, size: Sizes, moved: float, setup: Callable[[Module, Any], Step]) -> Line:
    """``moved``: floats read and written, per element of a matrix of ``size.columns`` columns."""
    nbytes = 4 * moved * size.elements
    return Line(name, "GB/s", lambda s: nbytes / s / 1e9, lambda t: setup(t, t.randn(size.elements // size.columns, size.columns)), True)


def copying(t: Module, x: Any) -> Step:
    y = t.empty_like(x)
    return lambda: y.copy_(x)


def of_two(f: Callable[[Module, Any, Any], Any]) -> Callable[[Module, Any], Step]:
    def setup(t: Module, x: Any) -> Step:
        y = t.randn(*x.shape)
        return lambda: f(t, x, y)

    return setup


def overhead(name: str, f: Callable[[Module, Any, Any], Any]) -> Line:
    """Of a call on ten elements: forward, without a gradient."""

    def setup(t: Module) -> Step:
        x, y = t.randn(10), t.randn(10)
        return lambda: f(t, x, y)

    return Line(f"{name}, 10 elements", "us", lambda s: 1e6 * s, setup)


def product(n: int, dtype: str) -> Line:
    def setup(t: Module) -> Step:
        a, b = (t.randn(n, n).to(getattr(t, dtype)) for _ in range(2))
        return lambda: a @ b

    return Line(f"product of {n}x{n}, {dtype}", "TFLOP/s", lambda s: 2 * n**3 / s / 1e12, setup)


def lenet(t: Module, size: Sizes) -> Step:
    nn = t.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    x, y = t.randn(size.images, 1, 28, 28), t.randint(0, 10, (size.images,))
    return training(t, model, lambda: t.nn.functional.cross_entropy(model(x), y))


def gpt(t: Module, size: Sizes, dtype: Any = None) -> Step:
    nn, words = t.nn, 64 * size.model // 4
    block = nn.TransformerEncoderLayer(size.model, max(1, size.model // 64), 4 * size.model, 0.0, "gelu", batch_first=True, norm_first=True)
    model = nn.ModuleDict(
        {"words": nn.Embedding(words, size.model), "blocks": nn.TransformerEncoder(block, size.layers, enable_nested_tensor=False)}
    )
    mask = t.full((size.context, size.context), float("-inf")).triu(1)
    text = t.randint(0, words, (size.batch, size.context + 1))

    def loss() -> Any:
        with t.autocast("cuda", dtype=dtype, enabled=dtype is not None):
            hidden = model["blocks"](model["words"](text[:, :-1]), mask=mask)
            logits = hidden @ model["words"].weight.T
            return t.nn.functional.cross_entropy(logits.reshape(-1, words).float(), text[:, 1:].reshape(-1))

    return training(t, model, loss)


def training(t: Module, model: Any, loss: Step) -> Step:
    optimizer = t.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def of_case(name: str) -> Callable[[Module], Step]:
    return lambda t: CASES[name].setup(t)[0]


def captured(setup: Callable[[Module], Step]) -> Callable[[Module], Step]:
    """The step as a graph: one call of the driver, whatever the number of its kernels."""

    def replayed(t: Module) -> Step:
        step, side = setup(t), t.cuda.Stream()
        side.wait_stream(t.cuda.current_stream())
        with t.cuda.stream(side):
            for _ in range(3):
                step()
        t.cuda.current_stream().wait_stream(side)
        graph = t.cuda.CUDAGraph()
        with t.cuda.graph(graph):
            step()

        def replay() -> Step:
            graph.replay()
            return step  # whose tensors the graph reads

        return replay

    return replayed


def lines(size: Sizes) -> list[Line]:
    milliseconds: Callable[[float], float] = lambda s: 1e3 * s  # noqa: E731
    return [
        bandwidth("copy within the device", size, 2, copying),
        bandwidth("x * y + x", size, 5, of_two(lambda t, x, y: x * y + x)),
        bandwidth("exp(x)", size, 2, lambda t, x: lambda: t.exp(x)),
        bandwidth("gelu(x)", size, 2, lambda t, x: lambda: t.nn.functional.gelu(x)),
        bandwidth("x + column", size, 2, lambda t, x: lambda: x + x[:, :1]),
        bandwidth("x.T + x.T", size, 3, of_two(lambda t, x, y: x.T + y.T)),
        bandwidth("sum of all", size, 1, lambda t, x: lambda: x.sum()),
        bandwidth("sums of rows", size, 1, lambda t, x: lambda: x.sum(1)),
        bandwidth("sums of columns", size, 1, lambda t, x: lambda: x.sum(0)),
        bandwidth("argmax of rows", size, 1, lambda t, x: lambda: x.argmax(1)),
        bandwidth("softmax of rows", size, 2, lambda t, x: lambda: x.softmax(1)),
        bandwidth("layer_norm of rows", size, 2, lambda t, x: lambda: t.nn.functional.layer_norm(x, x.shape[1:])),
        overhead("x * y", lambda t, x, y: x * y),
        overhead("exp(x)", lambda t, x, y: x.exp()),
        overhead("x.sum()", lambda t, x, y: x.sum()),
        overhead("softmax", lambda t, x, y: x.softmax(0)),
        overhead("x @ y", lambda t, x, y: x @ y),
        *(product(n, dtype) for n in size.products for dtype in ("float32", "bfloat16", "float16")),
        *(Line(name, "ms", milliseconds, of_case(name)) for name in CASES if name.startswith("MLP")),
        *(
            Line(f"{name}, captured", "ms", milliseconds, captured(of_case(name)))
            for name in CASES
            if name.startswith("MLP") and name.endswith("SGD step")
        ),
        Line(f"LeNet, batch {size.images}, AdamW step", "ms", milliseconds, lambda t: lenet(t, size)),
        Line(f"GPT of {size.layers} layers, AdamW step", "ms", milliseconds, lambda t: gpt(t, size)),
        Line("the same in bfloat16", "ms", milliseconds, lambda t: gpt(t, size, t.bfloat16)),
    ]


# The table


def measured(t: Module, line: Line, seconds: float) -> tuple[float, int] | str:
    """(the value, the most bytes that arrays held), or what went wrong."""
    try:
        with t.device("cuda"):
            t.manual_seed(0)
            t.cuda.empty_cache()
            t.cuda.reset_peak_memory_stats()
            value = line.value(timed(t, line.setup(t), seconds))
            return value, t.cuda.max_memory_allocated()
    except Exception as error:  # the others are measured all the same
        return f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"


def main(only: Callable[[str], object], size: Sizes | None = None, subject: str = "gradflow") -> int:
    size = size or Sizes()
    ours = importlib.import_module(subject)
    if not ours.cuda.is_available():
        from gradflow.backends import why_no_cuda

        print(f"there is no device to measure: {why_no_cuda()}")
        return 1
    try:
        theirs: Module | None = importlib.import_module("torch")
        theirs = theirs if theirs and theirs.cuda.is_available() else None
    except ImportError:
        theirs = None
    print(
        f"{ours.cuda.get_device_name()}; {'against torch ' + theirs.__version__ if theirs else 'torch with CUDA is not installed: alone'}"
    )
    chosen = [line for line in lines(size) if only(line.name) or line.name.startswith("copy within")]
    width = max(len(line.name) for line in chosen)
    print(f"{'':{width}} {'unit':>8} {subject:>10} {'of a copy':>10} {'MB':>8} {'torch':>10} {'MB':>8} {'to torch':>9}")
    copy, failed = None, False
    for line in chosen:
        cells = []
        got = measured(ours, line, size.seconds)
        if isinstance(got, str):
            print(f"{line.name:{width}} {got}", flush=True)
            failed = True
            continue
        copy = copy or got[0]
        cells += [
            f"{line.unit:>8}",
            f"{got[0]:10.4g}",
            f"{got[0] / copy:10.2f}" if line.share_of_copy else " " * 10,
            f"{got[1] / 1e6:8.0f}",
        ]
        want = measured(theirs, line, size.seconds) if theirs else ""
        if isinstance(want, tuple):
            cells += [f"{want[0]:10.4g}", f"{want[1] / 1e6:8.0f}", f"{got[0] / want[0]:9.2f}"]
        print(f"{line.name:{width}}", *cells, want if isinstance(want, str) else "", flush=True)
    return int(failed)
