"""Graphs: recorded steps replayed on new data are the steps, bit for bit. On the emulated device, which records as CUDA does, and the real one."""

import contextlib
import gc
import weakref

import numpy as np
import pytest

import gradflow as gf
from gradflow.backends import cupy_driver

nn, F = gf.nn, gf.nn.functional


@contextlib.contextmanager
def side_stream():
    """What comes before a capture runs on another stream than the default one."""
    s = gf.cuda.Stream()
    s.wait_stream(gf.cuda.current_stream())
    with gf.cuda.stream(s):
        yield
    gf.cuda.current_stream().wait_stream(s)


def captured(run, **options):
    """(the graph, what the function returned)"""
    g = gf.cuda.CUDAGraph()
    with gf.cuda.graph(g, **options):
        result = run()
    return g, result


def ptr(x):
    return x.data_ptr()


def values(x):
    return x.detach().cpu().numpy()


# Training steps


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(7, 8), nn.Embedding(4, 8)
        self.norm, self.attention = nn.LayerNorm(8), nn.Linear(8, 24)
        self.out, self.head = nn.Linear(8, 8), nn.Linear(8, 7)

    def forward(self, x):
        h = self.tokens(x) + self.places(gf.arange(4, device="cuda"))
        q, k, v = (t.reshape(3, 4, 2, 4).transpose(1, 2) for t in self.attention(self.norm(h)).chunk(3, -1))
        h = h + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(3, 4, 8))
        return self.head(F.dropout(h, 0.2)).reshape(12, 7)


def mlp():
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 3))
    return model, lambda rng: (rng.standard_normal((5, 4)).astype("f"), rng.integers(0, 3, 5))


def lenet():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    return model, lambda rng: (rng.standard_normal((2, 1, 8, 8)).astype("f"), rng.integers(0, 3, 2))


def gpt():
    return Block(), lambda rng: (rng.integers(0, 7, (3, 4)), rng.integers(0, 7, 12))


OPTIMIZERS = {
    "SGD": lambda ps: gf.optim.SGD(ps, lr=0.1, momentum=0.9),
    "AdamW": lambda ps: gf.optim.AdamW(ps, lr=0.01, capturable=True),
}
STEPS = [(mlp, "SGD"), (mlp, "AdamW"), (lenet, "SGD"), (gpt, "AdamW")]


def trained(make, optimizer, graph, steps=3):
    """Losses, and then parameters and buffers, after two steps and then some more, which are replays or not."""
    gf.manual_seed(0)
    model, batch = make()
    model.cuda()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    x, y = (gf.from_numpy(a).cuda() for a in batch(np.random.default_rng(0)))

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    with side_stream():
        for _ in range(2):
            step()
    g, loss = captured(step) if graph else (None, None)
    losses = []
    for i in range(steps):
        a, b = batch(np.random.default_rng(i))
        x.copy_(gf.from_numpy(a))
        y.copy_(gf.from_numpy(b))
        if graph:
            g.replay()
        else:
            loss = step()
        losses.append(loss.item())
    return np.array(losses), *map(values, [*model.parameters(), *model.buffers()])


def everything(driver):
    for make, optimizer in STEPS:
        for graph in (False, True):
            trained(make, optimizer, graph)


COLLECTED = [everything]


@pytest.mark.parametrize(("make", "optimizer"), STEPS, ids=lambda x: getattr(x, "__name__", x))
def test_steps_are_those_without_a_graph(device, make, optimizer):
    exact = device is not cupy_driver  # cuBLAS, with a graph's workspace in place of its own, may choose another kernel
    for got, want in zip(trained(make, optimizer, True), trained(make, optimizer, False), strict=True):
        np.testing.assert_allclose(got, want, rtol=0 if exact else 1e-4, atol=0 if exact else 1e-5)


@pytest.mark.parametrize("name", "Adam RMSprop Adadelta Adamax NAdam RAdam Rprop ASGD".split())
def test_optimizers_that_count_on_the_device(device, name):
    def stepped(graph, where="cuda", **options):
        w = gf.linspace(-1, 1, 6).to(where).requires_grad_()
        optimizer = getattr(gf.optim, name)([w], lr=0.05, **options)

        def step():
            optimizer.zero_grad()
            ((w - 0.3) ** 2).sum().backward()
            optimizer.step()

        step()
        run = captured(step)[0].replay if graph else step
        for _ in range(7):
            run()
        return values(w), optimizer

    replayed, optimizer = stepped(True, capturable=True)
    np.testing.assert_array_equal(replayed, stepped(False, capturable=True)[0])
    np.testing.assert_allclose(replayed, stepped(False, "cpu")[0], rtol=1e-6)
    saved = optimizer.state_dict()
    assert saved["state"][0]["step"].item() == 8 and saved["state"][0]["step"].dtype is gf.float32
    optimizer.load_state_dict(saved)
    (state,) = optimizer.state.values()
    assert state["step"].is_cuda and state["step"].item() == 8


def test_the_learning_rate_may_be_on_the_device(device):
    w, lr = gf.ones(3, device="cuda", requires_grad=True), gf.tensor(0.5, device="cuda")
    optimizer = gf.optim.AdamW([w], lr=lr, capturable=True, weight_decay=0.1)
    w.grad = gf.ones_like(w)
    optimizer.step()
    g, _ = captured(optimizer.step)
    lr.fill_(0.0)
    before = values(w)
    g.replay()
    np.testing.assert_array_equal(values(w), before)


def test_what_training_does_between_needs_no_host(device):
    """Gradients are clipped, rows of padding left out, masks added, classes spread, numbers drawn by other numbers."""
    embedding = nn.Embedding(5, 4, padding_idx=0).cuda()
    encoder = nn.TransformerEncoderLayer(4, 2, 8, 0.1, batch_first=True).cuda()
    parameters = [*embedding.parameters(), *encoder.parameters()]
    words = gf.tensor([[1, 0, 3], [2, 2, 0]]).cuda()

    def run():
        for p in parameters:
            p.grad = None
        mask = gf.full((3, 3), float("-inf"), device="cuda").triu(1)
        out = encoder(embedding(words), mask) * F.one_hot(words % 4, 4).float()
        F.binary_cross_entropy(out.sigmoid(), gf.bernoulli(gf.full_like(out, 0.5))).backward()
        return [nn.utils.clip_grad_norm_(parameters, 0.01), *(p.grad for p in parameters)]

    gf.manual_seed(4)
    want = [values(t) for t in run()]
    g, got = captured(run)
    gf.manual_seed(4)
    g.replay()
    for t, value in zip(got, want, strict=True):
        np.testing.assert_array_equal(values(t), value)
    assert not embedding.weight.grad[0].any()


# Random numbers


def test_random_numbers_are_new_in_each_replay(device):
    def draw():
        x = gf.ones(6, device="cuda")
        return (
            gf.rand(5, device="cuda"),
            gf.randn(3, device="cuda"),
            F.dropout(x, 0.5),
            gf.empty(4, device="cuda").bernoulli_(0.5),
            x.random_(0, 9),
        )

    gf.manual_seed(3)
    want = [[values(t) for t in draw()] for _ in range(3)]
    g, drawn = captured(draw)
    gf.manual_seed(3)
    for row in want:
        g.replay()
        for t, value in zip(drawn, row, strict=True):
            np.testing.assert_array_equal(values(t), value)
    after = gf.get_rng_state()
    gf.manual_seed(3)
    for _ in range(3):
        draw()
    assert gf.equal(after, gf.get_rng_state())  # the numbers that follow are the same, too


def test_each_generator_goes_on_from_where_it_is(device):
    own = gf.Generator().manual_seed(5)
    g, (a, b) = captured(lambda: (gf.rand(4, device="cuda", generator=own), gf.rand(4, device="cuda")))
    g.register_generator_state(own)
    own.manual_seed(5)
    g.replay()
    np.testing.assert_array_equal(values(a), gf.rand(4, generator=gf.Generator().manual_seed(5)).numpy())
    assert not gf.equal(a, b)


def test_checkpoints_draw_again_what_they_drew(device):
    def run():
        x = gf.ones(20, device="cuda", requires_grad=True)
        y = gf.utils.checkpoint.checkpoint(lambda x: F.dropout(x * 2, 0.5), x, use_reentrant=False)
        y.sum().backward()
        return y, x.grad, gf.rand(3, device="cuda")

    gf.manual_seed(2)
    want = [values(t) for t in run()]
    g, results = captured(run)
    gf.manual_seed(2)
    g.replay()
    for t, value in zip(results, want, strict=True):
        np.testing.assert_array_equal(values(t), value)


# Functions and modules as graphs


def test_graphed_modules_are_as_they_were(device):
    def train(graphed):
        gf.manual_seed(1)
        first, second = nn.Sequential(nn.Linear(4, 6), nn.Tanh()).cuda(), nn.Linear(6, 2).cuda()
        x = gf.zeros(3, 4, device="cuda", requires_grad=True)
        if graphed:
            samples = (x,), (gf.zeros(3, 6, device="cuda", requires_grad=True),)
            first, second = gf.cuda.make_graphed_callables((first, second), samples)
        parameters = [*first.parameters(), *second.parameters()]
        optimizer, results = gf.optim.SGD(parameters, lr=0.1), []
        for i in range(3):
            x = gf.full((3, 4), i + 0.5, device="cuda", requires_grad=True)
            optimizer.zero_grad()
            for scale in (1.0, 2.0):  # gradients add up
                y = second(first(x) * scale)
                (y * y).sum().backward()
            results += [values(y), values(x.grad), *(values(p.grad) for p in parameters)]
            optimizer.step()
        return results

    for got, want in zip(train(True), train(False), strict=True):
        np.testing.assert_array_equal(got, want)


def test_graphed_functions(device):
    def f(x, pair):
        return {"sum": x + pair[0], "product": x * pair[1]}

    x, a, b = (gf.ones(3, device="cuda", requires_grad=grad) for grad in (True, False, True))
    g = gf.cuda.make_graphed_callables(f, (x, (a, b)))
    x = gf.tensor([1.0, 2.0, 3.0], device="cuda", requires_grad=True)
    out = g(x, (x.detach(), x))
    assert out["sum"].tolist() == [2, 4, 6] and out["product"].tolist() == [1, 4, 9]
    (out["sum"] + out["product"]).sum().backward()
    assert x.grad.tolist() == [3, 5, 7]
    with pytest.raises(RuntimeError, match="captured for arguments"):
        g(x[:2], (x, x))
    with pytest.raises(RuntimeError, match="must be tensors on a cuda device"):
        gf.cuda.make_graphed_callables(f, (gf.ones(3), (a, b)))


def test_graphed_modules_in_the_other_mode(device):
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).cuda()
    graphed = gf.cuda.make_graphed_callables(module, (gf.ones(1, 2, device="cuda"),))
    assert graphed is module
    module.eval()
    x = gf.ones(4, 2, device="cuda")  # of another shape than the graph's
    np.testing.assert_array_equal(values(module(x)), values(module[0](x)))
    module.train()
    drawn = {tuple(values(module(x[:1])).ravel() == 0) for _ in range(20)}
    assert len(drawn) > 1  # dropout draws anew
    hooked = nn.Linear(2, 2).cuda()
    hooked.register_forward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="must not have hooks"):
        gf.cuda.make_graphed_callables(hooked, (x,))


# Memory


def test_graphs_that_share_a_pool(device):
    pool = gf.cuda.graph_pool_handle()
    x = gf.ones(1000, device="cuda")
    first, y = captured(lambda: (x * 2 + 1) * 3, pool=pool)
    second, z = captured(lambda: (y * 2 + 1) * 3, pool=first.pool())
    assert first.pool() == second.pool() == pool
    x.fill_(2.0)
    others = [gf.zeros(1000, device="cuda") for _ in range(20)]
    first.replay()
    second.replay()
    assert y[0].item() == 15 and z[0].item() == 93
    assert all(not t.any().item() for t in others)
    del first  # the other keeps the pool
    gc.collect()
    second.replay()
    assert z[0].item() == 93


def test_gradients_of_a_graph_are_its_own(device):
    w = gf.ones(50, device="cuda", requires_grad=True)
    x = gf.ones(50, device="cuda")
    (w * x).sum().backward()
    before = ptr(w.grad)
    w.grad = None  # kept for the next backward, but not for a graph's
    g, _ = captured(lambda: (w * x).sum().backward())
    inside = ptr(w.grad)
    assert inside != before
    x.fill_(3.0)
    g.replay()
    assert w.grad.tolist() == [3.0] * 50
    w.grad = None
    (w * x * 2).sum().backward()
    assert ptr(w.grad) != inside  # nor does a backward write to a graph's
    g.replay()
    assert w.grad.tolist() == [6.0] * 50


def test_gradients_add_up(device):
    w = gf.ones(5, device="cuda", requires_grad=True)
    (w * 2).sum().backward()

    def twice():
        for factor in (3, 4):
            (w * factor).sum().backward()

    g, _ = captured(twice)
    assert w.grad.tolist() == [2.0] * 5  # nothing is computed by capturing
    g.replay()
    g.replay()
    assert w.grad.tolist() == [16.0] * 5


def test_a_graph_is_one_launch_and_needs_no_memory(emulated):
    x = gf.ones(100, device="cuda")
    g, _ = captured(lambda: F.dropout(x * 2, 0.5).sum())
    g.replay()
    before = emulated.launches, emulated.allocations, emulated.graph_launches
    g.replay()
    after = emulated.launches, emulated.allocations, emulated.graph_launches
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 0, 1]  # and one for the random numbers' state


def test_memory_goes_when_the_graphs_are_gone(emulated):
    x = gf.ones(100, device="cuda")
    g, y = captured(lambda: x * 2)
    pool = weakref.ref(g._graph.pool)
    g.reset()
    with pytest.raises(RuntimeError, match=r"CUDAGraph::replay without a preceding successful capture"):
        g.replay()
    del y
    emulated.graphs.clear()
    gc.collect()
    assert pool() is None
    g, y = None, captured(lambda: x * 3)[1]
    emulated.graphs.clear()
    assert y.shape == (100,)


def test_the_emulated_device_finds_memory_that_was_given_back(emulated):
    inputs = [gf.ones(100, device="cuda")]
    g, _ = captured(lambda: inputs[0] * 2)
    g.replay()
    inputs.clear()
    with pytest.raises(AssertionError, match="memory that was given back"):
        g.replay()


def test_memory_that_other_streams_use(device):
    x = gf.ones(100, device="cuda")
    side = gf.cuda.Stream()

    def forked():
        y = x * 2
        side.wait_stream(gf.cuda.current_stream())
        with gf.cuda.stream(side):
            z = y + 1
        y.record_stream(side)
        del y
        w = x * 3  # in memory of its own
        gf.cuda.current_stream().wait_stream(side)
        return z + w

    g, z = captured(forked)
    x.fill_(2.0)
    g.replay()
    assert z.tolist() == [11.0] * 100
    gf.zeros(1, device="cuda").record_stream(side)


def test_copies_from_pinned_memory(device):
    host = gf.ones(4).pin_memory()
    g, (y, back) = captured(lambda: (y := host.to("cuda", non_blocking=True) * 2, y.to("cpu", non_blocking=True)))
    host.fill_(5.0)
    g.replay()
    gf.cuda.synchronize()
    assert y.tolist() == back.tolist() == [10.0] * 4


def test_constants_are_the_graphs(device):
    def made():
        return gf.tensor([1.0, 2.0], device="cuda"), gf.arange(3, device="cuda").add_(1), gf.eye(2, device="cuda")

    g, results = captured(made)
    for _ in range(2):
        g.replay()
    assert [t.tolist() for t in results] == [[1, 2], [1, 2, 3], [[1, 0], [0, 1]]]


# What is refused


def refused():
    x = gf.ones(3, device="cuda", requires_grad=True)
    x.grad = gf.ones(3, device="cuda")
    plain = gf.optim.Adam([x])
    plain.step()
    host = gf.ones(3)
    event, other = gf.cuda.Event(), gf.cuda.CUDAGraph()
    event.record()
    waits = "operation not permitted when stream is capturing"
    yield lambda: x.sum().item(), waits
    yield x.cpu, waits
    yield x.tolist, waits
    yield lambda: bool(x[0] > 0), waits
    yield x.nonzero, waits
    yield lambda: x[x > 0], waits
    yield lambda: gf.linalg.svd(x.reshape(1, 3)), waits
    yield host.cuda, waits
    yield lambda: x.detach().copy_(host), waits
    yield lambda: gf.randperm(4, device="cuda"), waits
    yield lambda: gf.manual_seed(12345), "a seed cannot be set while a graph is recorded"
    yield gf.cuda.synchronize, "synchronize: " + waits
    yield gf.cuda.current_stream().synchronize, waits
    yield gf.cuda.current_stream().query, waits
    yield event.synchronize, waits
    yield event.query, waits
    yield plain.step, "instance of Adam but param_groups' capturable is False"
    yield gf.optim.Adam([x], capturable=True).step, "first step cannot be captured"
    yield gf.optim.SGD([x], lr=0.1, momentum=0.9).step, "first step cannot be captured"
    yield other.capture_begin, "a graph is being captured"
    yield other.capture_end, "nothing is being captured"
    yield other.pool, "CUDAGraph::pool without a preceding successful capture"


def test_what_is_refused_leaves_the_capture_as_it_is(device):
    x = gf.ones(3, device="cuda")
    g = gf.cuda.CUDAGraph()
    cases = list(refused())
    with gf.cuda.graph(g):
        assert gf.cuda.is_current_stream_capturing()
        y = x * 2
        for call, message in cases:
            with pytest.raises(RuntimeError, match=message):
                call()
        z = y + 1
    assert not gf.cuda.is_current_stream_capturing()
    x.fill_(4.0)
    g.replay()
    assert z.tolist() == [9.0] * 3


def test_after_an_exception_everything_is_usable(device):
    x, w = gf.ones(3, device="cuda"), gf.ones(3, device="cuda", requires_grad=True)
    g, stream = gf.cuda.CUDAGraph(), gf.cuda.current_stream()
    with pytest.raises(ZeroDivisionError), gf.cuda.graph(g):
        (w * x).sum().backward()
        1 / 0  # noqa: B018
    assert gf.cuda.current_stream() == stream and not gf.cuda.is_current_stream_capturing()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        g.replay()
    w.grad = None
    (w * x).sum().backward()
    assert w.grad.tolist() == [1.0] * 3 and (x * 2).tolist() == [2.0] * 3
    with gf.cuda.graph(g):  # once more
        y = x * 5
    g.replay()
    assert y.tolist() == [5.0] * 3
    with pytest.raises(RuntimeError, match="already owns a captured graph"), gf.cuda.graph(g):
        pass
    assert gf.cuda.current_stream() == stream


def test_wrong_arguments(device):
    g = gf.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="must be captured on a non-default stream"):
        g.capture_begin()
    with pytest.raises(RuntimeError, match="Unknown capture error mode"), gf.cuda.graph(g, capture_error_mode="strict"):
        pass
    with pytest.raises(TypeError, match="pool must come from"), gf.cuda.graph(g, pool=3):
        pass
    with pytest.raises(TypeError, match="expected a CUDAGraph"):
        gf.cuda.graph(None)
    side = gf.cuda.Stream()
    with gf.cuda.stream(side):
        g.capture_begin(capture_error_mode="relaxed")
        with gf.cuda.stream(gf.cuda.Stream()), pytest.raises(RuntimeError, match="must end on the same stream"):
            g.capture_end()
        with pytest.raises(RuntimeError, match="nothing is being captured"):
            g.capture_end()
        g.capture_begin(capture_error_mode="thread_local")
        g.capture_end()
    g.replay()
    g.instantiate()


def test_work_on_another_stream_must_come_back(device):
    x, side, g = gf.ones(3, device="cuda"), gf.cuda.Stream(), gf.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match=r"(?i)unjoined"), gf.cuda.graph(g):
        side.wait_stream(gf.cuda.current_stream())
        with gf.cuda.stream(side):
            x * 2
    assert (x * 3).tolist() == [3.0] * 3


def test_indices_out_of_range_are_reported_after_a_replay(device):
    table, index = gf.arange(4.0, device="cuda"), gf.zeros(2, dtype=gf.int64, device="cuda")
    g, y = captured(lambda: table[index])
    gf.cuda.synchronize()
    index.fill_(3)
    g.replay()
    assert y.tolist() == [3.0, 3.0]
    index.fill_(4)
    g.replay()
    with pytest.raises(IndexError, match=r"index 4 is out of bounds for axis 0 with size 4; asked for in .*test_cuda_graphs\.py"):
        gf.cuda.synchronize()
