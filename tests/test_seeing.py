"""Pictures and explanations of the tape, and the profiler."""

import doctest
import json
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import gradflow as gf
from gradflow import exp as exp_as_imported
from gradflow import nn
from gradflow.profiler import ProfilerAction, ProfilerActivity, profile, record_function, schedule

SVG = "{http://www.w3.org/2000/svg}"


def squares():
    x = gf.arange(4.0, requires_grad=True)
    return x, (x * x).sum()


def network():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    return model, nn.functional.cross_entropy(model(gf.randn(5, 4)), gf.zeros(5, dtype=gf.int64))


# Pictures


def test_dot():
    x, y = squares()
    text = gf.graph.dot(y, {"x": x})
    assert text.startswith("digraph {")
    assert '"x\\nfloat32[4]\\n16 B"' in text
    assert '"Mul\\nfloat32[4]  16 B\\nkeeps 16 B"' in text
    assert '"Sum\\nfloat32[]  4 B"' in text
    assert text.count("n0 -> n1") == 2  # x is both factors
    assert "test_seeing.py" in text


def test_mermaid():
    x, y = squares()
    lines = gf.graph.mermaid(y, {'a "name" <b>': x}).splitlines()
    assert lines[0] == "flowchart TD"
    assert lines[1] == '  n0(["a #quot;name#quot; #lt;b#gt;<br>float32[4]<br>16 B"])'
    assert lines[-1] == "  n2 --> r0"


def test_svg_is_a_picture_of_all_of_it():
    model, loss = network()
    picture = gf.graph.draw(loss, model)
    root = ElementTree.fromstring(picture._repr_svg_())
    texts = [t.text for t in root.iter(f"{SVG}text")]
    for name, p in model.named_parameters():
        assert name in texts
        assert f"float32{list(p.shape)}" in texts
    assert {"Addmm", "Tanh", "result"} <= set(texts)
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = [tuple(float(r.get(k)) for k in ("x", "y", "width", "height")) for r in root.iter(f"{SVG}rect")]
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_edges_between_the_same_boxes_are_one_line():
    x, y = squares()
    root = ElementTree.fromstring(gf.graph.svg(y))
    assert len(root.findall(f"{SVG}path")) == 3
    assert "2 times" in [t.text for t in root.iter(f"{SVG}text")]
    a, b = x.split(2)
    assert "output 0, output 1" in gf.graph.svg((a * b).sum())


def test_saving_a_picture(tmp_path):
    _, y = squares()
    picture = gf.graph.draw(y)
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == picture.svg
    assert repr(picture) == "<Picture of 4 boxes; save(path) it, or show it in a notebook>"


def test_several_results_outputs_and_shared_parts():
    x = gf.arange(4.0, requires_grad=True)
    a, b = (x * 2).split(2)
    text = gf.graph.mermaid([a.sum(), (a * b).sum(), b])
    assert "result 0" in text
    assert "|output 1|" in text
    assert text.count("Split") == 1
    assert text.count("leaf 0") == 1


def test_seeing_changes_nothing():
    calls = []
    x = gf.arange(4.0, requires_grad=True)
    y = x * x
    y.register_hook(calls.append)
    total = y.sum()
    gf.graph.dot(total)
    gf.explain(total)
    assert x.grad is None
    assert not calls
    total.backward()
    assert x.grad.tolist() == [0, 2, 4, 6]
    assert len(calls) == 1


def test_custom_functions_checkpoints_and_packed_values_are_seen():
    class Double(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = gf.ones(3, requires_grad=True)
    with gf.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(), gf.from_numpy):
        y = (Double.apply(x) * x).sum()
    assert "Double" in gf.graph.mermaid(y)
    assert "float32[3]" in gf.graph.mermaid(y)
    y.backward()
    assert x.grad.tolist() == [4, 4, 4]


def test_errors_of_seeing():
    x, y = squares()
    with pytest.raises(RuntimeError, match=r"graph\.dot: the tensor has no graph"):
        gf.graph.dot(gf.ones(2))
    with pytest.raises(TypeError, match=r"graph\.svg: expected a Tensor or several, not int"):
        gf.graph.svg(3)
    with pytest.raises(TypeError, match=r"graph\.mermaid: names is a list"):
        gf.graph.mermaid(y, [x])
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        gf.graph.dot(y)


def test_deep_graphs_are_read_without_recursion():
    y = gf.ones(1, requires_grad=True)
    for _ in range(3000):
        y = y * 2
    assert gf.graph.mermaid(y).count("Mul<br>") == 3000
    with pytest.raises(ValueError, match=r"explain: the graph has 3001 nodes, more than limit=100"):
        gf.explain(y)


# Explanations


def test_explanation_of_a_sum_of_paths():
    x = gf.tensor([1.0, 2.0], requires_grad=True)
    w = gf.tensor([3.0, 4.0], requires_grad=True)
    text = gf.explain((x * 2 * w + x * x).sum(), {"x": x, "w": w})
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "v1 = Mul(x, 2) = [2, 4] ∂v1/∂x = [2, 2]" in lines
    assert "v2 = Mul(v1, w) = [6, 16] ∂v2/∂v1 = [3, 4], ∂v2/∂w = [2, 4]" in lines
    assert "v3 = Mul(x, x) = [1, 4] ∂v3/∂x = [2, 4]" in lines
    assert "y = Sum(v4) = 27 ∂y/∂v4 = [1, 1]" in lines
    assert "dy/dx = dy/dv3 · ∂v3/∂x + dy/dv1 · ∂v1/∂x = [8, 12]" in lines
    assert "dy/dw = dy/dv2 · ∂v2/∂w = [2, 4]" in lines


def test_explained_gradients_are_those_of_backward():
    model, loss = network()
    text = gf.explain(loss, model)
    loss.backward()
    bias = model[2].bias
    (line,) = [line for line in text.splitlines() if line.startswith("  dy/d2.bias")]
    numbers = [float(v) for v in line.rpartition("[")[2].rstrip("]").split(",")]
    np.testing.assert_allclose(numbers, bias.grad.numpy(), rtol=1e-3, atol=1e-6)
    assert "a map from [5, 8] to [5, 3]" in text


# The profiler


def rows(prof):
    return {(a.key, a.kind): a for a in prof.key_averages()}


def test_forward_and_backward_apart():
    model, _ = network()
    x = gf.randn(5, 4)
    with profile() as prof:
        for _ in range(3):
            model(x).sum().backward()
    found = rows(prof)
    assert found["linear", "forward"].count == 6
    assert found["AddmmBackward0", "backward"].count == 6
    assert found["tanh", "forward"].count == found["TanhBackward0", "backward"].count == 3
    assert found["linear", "forward"].flops == 3 * 2 * 5 * (4 * 8 + 8 * 3)
    assert found["AddmmBackward0", "backward"].flops == 3 * 2 * 5 * (4 * 8 + 2 * 8 * 3)
    assert found["tanh", "forward"].bytes == 3 * 2 * 5 * 8 * 4
    for a in found.values():
        assert 0 < a.self_cpu_time_total <= a.cpu_time_total
    text = prof.key_averages().table(sort_by="cpu_time_total", row_limit=3)
    assert "linear" in text or "Addmm" in text
    assert "more" in text
    with pytest.raises(ValueError, match=r"table: sort_by is 'size'; expected one of self_cpu_time_total"):
        prof.table("size")


def test_nothing_is_left_behind():
    before = [gf.exp, gf.Tensor.__mul__, nn.functional.linear, gf.linalg.norm, exp_as_imported]
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True):
        assert gf.exp is not before[0]
        exp_as_imported(gf.ones(2))
    assert [gf.exp, gf.Tensor.__mul__, nn.functional.linear, gf.linalg.norm, exp_as_imported] == before
    with pytest.raises(ZeroDivisionError), profile() as prof:
        gf.ones(2).exp()
        _ = 1 / 0
    assert gf.exp is before[0]
    assert ("exp", "forward") in rows(prof)


def test_names_that_a_program_imported_are_measured():
    with profile() as prof:
        exp_as_imported(gf.ones(2))
    assert rows(prof)["exp", "forward"].count == 1


def test_operations_that_fail_are_calls_too():
    with profile() as prof, pytest.raises(RuntimeError):
        gf.ones(2, 3) @ gf.ones(2, 3)
    assert rows(prof)["matmul", "forward"].count == 1


def test_one_at_a_time():
    with profile(), pytest.raises(RuntimeError, match="another profile is on"):
        profile().start()


def test_parts_with_names():
    @record_function("decorated")
    def work():
        return gf.ones(2).exp()

    work()
    with profile() as prof, record_function("part"):
        work()
    found = rows(prof)
    assert found["part", "user"].count == found["decorated", "user"].count == 1
    assert found["part", "user"].cpu_time_total >= found["decorated", "user"].cpu_time_total >= found["exp", "forward"].cpu_time_total
    assert found["part", "user"].self_cpu_time_total < found["part", "user"].cpu_time_total


def test_chrome_trace(tmp_path):
    _, y = squares()
    with profile() as prof:
        y.backward()
    prof.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events] == ["SumBackward0", "MulBackward0"]
    assert all(e["ph"] == "X" and e["dur"] > 0 and e["cat"] == "backward" for e in events)


@pytest.mark.parametrize(
    "steps", [{"wait": 1, "warmup": 1, "active": 2}, {"wait": 0, "warmup": 1, "active": 1, "repeat": 2, "skip_first": 2}]
)
def test_schedule_is_torchs(torch, steps):
    ours, theirs = schedule(**steps), torch.profiler.schedule(**steps)
    assert [ours(i).name for i in range(12)] == [theirs(i).name for i in range(12)]


def test_steps_of_a_schedule():
    ready = []
    with profile(
        schedule=schedule(wait=1, warmup=1, active=2), on_trace_ready=lambda p: ready.append(rows(p)["exp", "forward"].count)
    ) as prof:
        for _ in range(8):
            gf.ones(2).exp()
            prof.step()
    assert ready == [2, 2]
    assert prof.action is ProfilerAction.NONE
    with pytest.raises(ValueError, match="schedule: wait=-1"):
        schedule(wait=-1, warmup=0, active=1)


def test_gradients_of_gradients_are_measured():
    x, y = squares()
    with profile() as prof:
        (g,) = gf.autograd.grad(y, x, create_graph=True)
        g.sum().backward()
    assert ("MulBackward0", "backward") in rows(prof)
    assert x.grad.tolist() == [2, 2, 2, 2]


def test_examples():
    for module in (gf.graph, sys.modules["gradflow.graph.explanation"], gf.profiler):
        results = doctest.testmod(module, extraglobs={"gf": gf})
        assert results.attempted and not results.failed
