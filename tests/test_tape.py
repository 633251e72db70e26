"""The tape: gradients and their memory, version counters, modes, depth, and what a failed call leaves behind."""

import gc
import os
import signal
import sys
import threading
import weakref

import numpy as np
import pytest

import gradflow as gf
from gradflow.tape.node import Node
from gradflow.tape.walk import arriving


def test_no_objects_are_left_when_a_graph_dies():
    gc.collect()
    alive = sum(type(o) is Node for o in gc.get_objects())  # what other tests may hold
    gc.disable()
    try:
        x = gf.ones(3, requires_grad=True)
        y = (x.tanh() * x).exp().sum()
        nodes = [weakref.ref(y.grad_fn), weakref.ref(y.grad_fn.parents[0])]
        tensor = weakref.ref(y)
        del y
        assert tensor() is None and [n() for n in nodes] == [None, None]
        (x.tanh() * x).sum().backward()
        assert sum(type(o) is Node for o in gc.get_objects()) == alive
    finally:
        gc.enable()


def test_long_chains_build_run_and_die_without_recursion():
    n = 200_000
    x = gf.ones(1, requires_grad=True)
    limit = sys.getrecursionlimit()
    y = x
    for _ in range(n):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0 and sys.getrecursionlimit() == limit
    y = x
    for _ in range(n):
        y = y + 1
    del y


def test_shared_nodes_are_visited_once():
    x = gf.ones(1, requires_grad=True)
    y = x
    for _ in range(60):  # 2**60 paths
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_kept_gradient_is_never_overwritten():
    x = gf.ones(3, requires_grad=True)
    (x * 2).sum().backward()
    kept = x.grad
    x.grad = None
    (x * 3).sum().backward()
    assert kept.tolist() == [2, 2, 2] and x.grad.tolist() == [3, 3, 3]
    view = x.grad[1:]
    x.grad = None
    (x * 5).sum().backward()
    assert view.tolist() == [3, 3] and x.grad.tolist() == [5, 5, 5]
    array = x.grad.numpy()
    x.grad = None
    (x * 7).sum().backward()
    assert array.tolist() == [5, 5, 5] and x.grad.tolist() == [7, 7, 7]


@pytest.mark.pool
def test_a_training_step_asks_the_system_for_no_memory():
    gf.manual_seed(0)
    net = gf.nn.Sequential(gf.nn.Linear(64, 32), gf.nn.ReLU(), gf.nn.Linear(32, 10))
    optimizer = gf.optim.AdamW(net.parameters(), lr=1e-3)
    x, y = gf.randn(16, 64), gf.randint(0, 10, (16,))

    def step():
        optimizer.zero_grad()
        gf.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    for _ in range(5):
        step()
    pointers = [p.grad.data_ptr() for p in net.parameters()]
    before = gf.memory_stats()
    for _ in range(20):
        step()
    after = gf.memory_stats()
    assert after["system_allocs"] == before["system_allocs"]
    assert after["misses"] == before["misses"]
    assert after["allocated_bytes"] == before["allocated_bytes"]
    assert [p.grad.data_ptr() for p in net.parameters()] == pointers


def test_a_saved_value_changed_in_place_is_refused_before_anything_is_computed():
    w = gf.ones(3, requires_grad=True)
    x = gf.tensor([1.0, 2.0, 3.0])
    y = w * x
    x.add_(1)
    z = y.sum() + (w * 5).sum()
    with pytest.raises(RuntimeError, match=r"MulBackward0.*modified by an inplace operation.*shape \[3\].*version 1"):
        z.backward()
    assert w.grad is None
    y = w.exp()
    with gf.no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="ExpBackward0"):
        y.sum().backward()


@pytest.mark.parametrize(
    "change", [lambda t: t.view(-1).zero_(), lambda t: t[0:1].fill_(5), lambda t: t.detach().mul_(2), lambda t: t.T.add_(1)]
)
def test_views_share_their_version(change):
    w, x = gf.ones(2, 2, requires_grad=True), gf.ones(2, 2)
    y = (w * x).sum()
    change(x)
    assert x._version == 1
    with pytest.raises(RuntimeError, match="inplace"):
        y.backward()


def test_a_change_before_the_save_is_fine():
    w, x = gf.ones(2, requires_grad=True), gf.ones(2)
    x.add_(1)
    (w * x).sum().backward()
    assert w.grad.tolist() == [2, 2]


def test_leaves_refuse_changes_outside_no_grad():
    x = gf.ones(3, requires_grad=True)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 5.0), lambda: x.mul_(x)):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            change()
    assert x.tolist() == [1, 1, 1]
    with gf.no_grad():
        x -= 0.5
    assert x.tolist() == [0.5] * 3 and x.is_leaf and x.requires_grad


def test_in_place_results_have_the_gradient_of_the_operation():
    x = gf.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.mul_(x).add_(1).exp_()
    y.sum().backward()
    a = np.array([1.0, 2.0])
    assert np.allclose(x.grad.numpy(), np.exp(3 * a * a + 1) * 6 * a, rtol=1e-5)


def test_assignment_routes_the_gradient():
    x, v = gf.ones(4, requires_grad=True), gf.tensor(7.0, requires_grad=True)
    y = x * 2
    y[1:3] = v
    (y * gf.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert x.grad.tolist() == [2, 0, 0, 2000] and v.grad.item() == 110
    z = gf.zeros(3)
    z[1] = v
    assert z.requires_grad and z.grad_fn.name() == "torch::autograd::CopySlices"


def test_a_change_of_the_base_gives_its_views_their_history():
    x = gf.ones(3, requires_grad=True)
    y = x * 2
    head = y[:1]
    y.mul_(5)
    head.sum().backward()
    assert head.tolist() == [10] and x.grad.tolist() == [10, 0, 0]


def test_grad_returns_and_accumulates_nothing():
    x = gf.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    (g,) = gf.autograd.grad(y.sum(), x)
    assert g.tolist() == [2, 4] and x.grad is None
    (g,) = gf.autograd.grad((y := x * x).sum(), y)
    assert g.tolist() == [1, 1]
    a, b = gf.ones(1, requires_grad=True), gf.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        gf.autograd.grad(a * 2, (a, b))
    assert gf.autograd.grad(a * 2, (a, b), allow_unused=True)[1] is None
    assert gf.autograd.grad(a * 2, (a, b), materialize_grads=True)[1].tolist() == [0]


def test_backward_with_inputs_touches_only_them():
    a, b = gf.ones(1, requires_grad=True), gf.ones(1, requires_grad=True)
    (a * b).backward(inputs=[a])
    assert a.grad.item() == 1 and b.grad is None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (a * b).backward(inputs=[])


def test_retain_graph():
    x = gf.ones(1, requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 4
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    s = x.sum()  # nothing was saved, so nothing is missing
    s.backward()
    s.backward()


def test_modes_are_thread_local_and_nest():
    x = gf.ones(1, requires_grad=True)
    seen = []
    with gf.no_grad():
        assert not (x * 2).requires_grad
        with gf.enable_grad():
            assert (x * 2).requires_grad
        thread = threading.Thread(target=lambda: seen.append((x * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True] and gf.is_grad_enabled()

    @gf.no_grad()
    def f():
        return x * 2

    @gf.no_grad()
    def count():
        for _ in range(2):
            yield gf.is_grad_enabled()

    assert not f().requires_grad
    states = [(inside, gf.is_grad_enabled()) for inside in count()]
    assert states == [(False, True)] * 2
    with pytest.raises(ZeroDivisionError), gf.no_grad():
        1 / 0  # noqa: B018
    assert gf.is_grad_enabled()
    with gf.set_grad_enabled(False):
        assert not gf.is_grad_enabled()
    assert gf.is_grad_enabled()


def test_backward_from_several_threads():
    def work(out, i):
        x = gf.full((100,), float(i), requires_grad=True)
        for _ in range(50):
            x.grad = None
            (x * x).sum().backward()
        out[i] = x.grad[0].item()

    out = {}
    threads = [threading.Thread(target=work, args=(out, i)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == {i: 2.0 * i for i in range(4)}


def test_broadcast_and_converted_operands_get_their_own_shape_and_type():
    a = gf.ones(3, 1, requires_grad=True)
    b = gf.ones(4, dtype=gf.float64, requires_grad=True)
    c = gf.tensor(2.0, requires_grad=True)
    (a * b + c).sum().backward()
    assert a.grad.dtype is gf.float32 and a.grad.tolist() == [[4], [4], [4]]
    assert b.grad.dtype is gf.float64 and b.grad.tolist() == [3] * 4
    assert c.grad.dtype is gf.float32 and c.grad.item() == 12


def test_grad_setter_says_what_is_wrong():
    x = gf.ones(3, requires_grad=True)
    for value, kind in ((gf.ones(2), RuntimeError), (gf.ones(3, dtype=gf.float64), RuntimeError), (1.0, TypeError)):
        with pytest.raises(kind, match="assigned grad"):
            x.grad = value
    with pytest.raises(RuntimeError, match="own gradient"):
        x.grad = x


def test_integers_have_no_gradient():
    with pytest.raises(RuntimeError, match="floating point"):
        gf.arange(3).requires_grad_()
    x = gf.ones(3, requires_grad=True)
    assert not (x > 0).requires_grad and not x.argmax().requires_grad and not x.long().requires_grad


def test_the_hot_path_is_three_frames():
    """``a * b`` runs one Python function; forward, sum and backward stay within a fixed number of calls."""
    a, b = gf.ones(10, requires_grad=True), gf.ones(10, requires_grad=True)

    def calls(f):
        f()
        count = 0

        def profiler(frame, event, arg):
            nonlocal count
            count += event == "call"

        sys.setprofile(profiler)
        try:
            f()
        finally:
            sys.setprofile(None)
        return count - 1  # f itself

    # the operation, the two version cells of the saved operands, the node
    assert calls(lambda: a * b) <= 5
    assert calls(lambda: a.detach() * 2.0) <= 5

    def step():
        (a * b).sum().backward()

    step()
    assert calls(step) <= 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forks among threads
def test_a_child_forked_during_another_threads_backward_goes_backward():
    inside, done = threading.Event(), threading.Event()

    def busy():
        with arriving:  # as a backward is
            inside.set()
            done.wait(0.2)

    thread = threading.Thread(target=busy)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        x = gf.ones(3, requires_grad=True)
        (x * x).sum().backward()
        os._exit(0 if x.grad.tolist() == [2, 2, 2] else 1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
