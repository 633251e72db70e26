"""What a graph holds, and who holds a storage."""

import doctest
import gc
import inspect

import numpy as np
import pytest

import gradflow as gf


def test_each_storage_is_counted_once_for_the_line_that_saved_it():
    x = gf.ones(100, 10, requires_grad=True)
    e = x.exp()  # saves its result
    view = e[:, :5]
    loss = (view * view).sum() + (e * 2.0).sum()  # the view saves the whole storage, which exp holds already
    report = gf.memory.saved(loss)
    by_op = {row.op: row for row in report.rows}
    assert by_op["ExpBackward0"].bytes == 4000 and by_op["ExpBackward0"].again == 0
    assert by_op["MulBackward0"].bytes == 0 and by_op["MulBackward0"].again == 4000
    assert report.total == 4000
    line = inspect.getsourcelines(test_each_storage_is_counted_once_for_the_line_that_saved_it)[1] + 2
    assert by_op["ExpBackward0"].place.startswith(f"{__file__}:{line}, in ")
    table = str(report).splitlines()
    assert table[0].split() == ["bytes", "shared", "operation", "saved", "line"]
    assert table[-1].split() == ["4,000", "in", "all"] and f"{__file__}:{line}" in table[1]


def test_a_view_alone_keeps_its_whole_storage():
    loss = gf.ones(10, requires_grad=True).exp()[:1]
    big = gf.ones(1000)
    loss = loss * big[:1]
    report = gf.memory.saved(loss)
    assert [row.bytes for row in report.rows] == [40, 4000]


def test_backward_frees_what_was_saved():
    x = gf.ones(10, requires_grad=True)
    loss = x.exp().sum()
    assert gf.memory.saved(loss).total == 40
    loss.backward()
    assert gf.memory.saved(loss) == ((), 0)
    assert gf.memory.saved(gf.ones(3)) == ((), 0)


def test_custom_functions_indices_and_packed_values_are_seen():
    class Twice(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.note = gf.ones(7)
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = gf.ones(10, requires_grad=True)
    assert gf.memory.saved(Twice.apply(x)).total == 40 + 28
    assert gf.memory.saved(x[gf.tensor([1, 2, 3])].sum()).total == 24
    with gf.autograd.graph.saved_tensors_hooks(lambda t: t[:1].clone(), lambda t: t.expand(10)):
        loss = x.exp().sum()
    assert gf.memory.saved(loss).total == 4


def test_several_losses_share():
    e = gf.ones(10, requires_grad=True).exp()
    assert gf.memory.saved(e.sum(), (e * 3).sum()).total == 40


def test_why_a_tensor_is_alive():
    class Holder:
        pass

    x = gf.ones(50, requires_grad=True)
    y = x.exp()
    loss = y.sum()
    holder, kept = Holder(), [y.detach()]
    holder.here = y[:2]
    array = y.detach().numpy()
    found = gf.memory.why_alive(y)
    text = str(found)
    assert found.bytes == 200
    assert "float32[50]: y in test_why_a_tensor_is_alive" in text
    assert "float32[2]: attribute 'here' in a Holder" in text
    assert "float32[50]: in kept in test_why" in text
    assert "NumPy array float32[50]: array in test_why" in text
    (graph,) = [row for row in found.rows if row.kind == "graph"]
    assert graph.what.startswith("ExpBackward0 recorded in ") and "loss in test_why" in graph.where
    assert len(array) == 50 and kept and loss.requires_grad
    x.grad = None
    loss.backward()
    assert "the gradient: of x in test_why" in str(gf.memory.why_alive(x.grad))
    assert not [row for row in gf.memory.why_alive(y).rows if row.kind == "graph"]


def test_asking_keeps_nothing_alive():
    import weakref

    gc.disable()
    try:
        x = gf.ones(5, requires_grad=True)
        y = x.exp()
        ref = weakref.ref(y)
        gf.memory.why_alive(y)
        gf.memory.saved(y)
        del y
        assert ref() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("f", [gf.memory.saved, gf.memory.why_alive])
def test_only_tensors_are_asked_about(f):
    with pytest.raises(TypeError, match="expected a Tensor, not ndarray"):
        f(np.ones(3))


def test_examples():
    results = doctest.testmod(gf.memory, extraglobs={"gf": gf}, optionflags=doctest.ELLIPSIS)
    assert results.attempted and not results.failed
