"""Streams, events, pinned memory and copies that nobody waits for. On the emulated device and the real one."""

import gc
import weakref

import pytest

import gradflow as gf

# Streams and events


def test_streams(device):
    s = gf.cuda.Stream()
    main = gf.cuda.current_stream()
    assert main == gf.cuda.default_stream() != s and hash(main) == hash(gf.cuda.current_stream()) and s.device == gf.device("cuda:0")
    x = gf.randn(50, device="cuda")
    s.wait_stream(main)
    with gf.cuda.stream(s):
        assert gf.cuda.current_stream() == s
        y = x * 2
        with gf.cuda.stream(None), s:
            assert gf.cuda.current_stream() == s
    assert gf.cuda.current_stream() == main
    main.wait_stream(s)
    y.record_stream(main)
    assert (y + 0).tolist() == (x.cpu() * 2).tolist()
    s.synchronize()
    assert s.query()
    gf.cuda.set_stream(s)
    assert gf.cuda.current_stream() == s
    gf.cuda.set_stream(main)
    with pytest.raises(RuntimeError, match="only tensors on a cuda device"):
        gf.zeros(1).record_stream(s)
    with pytest.raises(TypeError, match="must be Stream"):
        x.record_stream(3)


def test_events(device):
    start, end = gf.cuda.Event(enable_timing=True), gf.cuda.Event(enable_timing=True)
    assert start.query()  # nothing to wait for
    start.synchronize()
    start.wait()
    with pytest.raises(ValueError, match="must be recorded"):
        start.elapsed_time(end)
    start.record()
    gf.zeros(1000, device="cuda") + 1
    end.record(gf.cuda.current_stream())
    end.synchronize()
    assert start.query() and end.query() and 0 <= start.elapsed_time(end) < 1e4
    with pytest.raises(ValueError, match="enable_timing=True"):
        start.elapsed_time(gf.cuda.Event())
    assert isinstance(gf.cuda.current_stream().record_event(), gf.cuda.Event)


def test_waiting_streams_wait(emulated):
    s = gf.cuda.Stream()
    emulated.log.clear()
    s.wait_stream(gf.cuda.current_stream())
    (_, recorded, e), (_, waits, f) = emulated.log
    assert (recorded, waits) == (0, s.cuda_stream) and e is f


def test_memory_is_kept_for_the_streams_that_use_it(emulated):
    s = gf.cuda.Stream()
    x = gf.zeros(100, device="cuda")
    x.record_stream(s)
    block = weakref.ref(x.array.memory.block)
    s._raw.todo.append(lambda: None)  # the stream is busy
    del x
    gc.collect()
    assert block() is not None
    s.synchronize()
    gf.zeros(1, device="cuda").record_stream(s)  # freed at once: what is done is let go
    gc.collect()
    assert block() is None


# Pinned memory, copies that nobody waits for


def test_pinned_memory(device):
    x = gf.arange(6.0).reshape(2, 3)
    y = x.pin_memory()
    assert y.is_pinned() and not x.is_pinned() and y.tolist() == x.tolist() and y.is_cpu
    assert y.pin_memory() is y and y[1:].is_pinned() and y.T.is_pinned() and not (y + 1).is_pinned()
    for made in (gf.zeros(3, pin_memory=True), gf.tensor([1.0], pin_memory=True), gf.empty(2, pin_memory=True)):
        assert made.is_pinned()
    assert y.to("cuda", non_blocking=True).tolist() == x.tolist() == y.T.to("cuda", non_blocking=True).T.tolist()
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        y.cuda().pin_memory()
    data = gf.utils.data.TensorDataset(gf.arange(4.0), gf.arange(4))
    for batch in gf.utils.data.DataLoader(data, 2, pin_memory=True):
        assert all(t.is_pinned() for t in batch)
    loader = gf.utils.data.DataLoader([{"a": 1.0, "b": ("text", 2)}], 1, pin_memory=True)
    (batch,) = loader
    assert batch["a"].is_pinned() and batch["b"][0] == ["text"] and batch["b"][1].is_pinned()


def test_copies_that_nobody_waits_for(device):
    x = gf.arange(1000.0).pin_memory()
    y = x.cuda(non_blocking=True) * 2
    z = y.to("cpu", non_blocking=True)
    gf.cuda.synchronize()
    assert z.is_pinned() and z.tolist() == [2.0 * i for i in range(1000)]
    model = gf.nn.Linear(2, 2).to("cuda", non_blocking=True)
    assert model.weight.is_cuda


def test_only_pinned_copies_are_late(emulated):
    pinned, plain = gf.ones(3).pin_memory(), gf.ones(3)
    late, done = pinned.to("cuda", non_blocking=True), plain.to("cuda", non_blocking=True)
    soon = pinned.to("cuda")
    pinned.fill_(5)
    plain.fill_(5)
    assert (late.tolist(), done.tolist(), soon.tolist()) == ([1, 1, 1], [1, 1, 1], [1, 1, 1])  # in order: later work found the copy done
    late = pinned.to("cuda", non_blocking=True)
    pinned.fill_(7)  # before the stream has come that far
    assert late.tolist() == [7, 7, 7]
    back = late.to("cpu", non_blocking=True)
    assert back.tolist() != [7, 7, 7]
    gf.cuda.current_stream().synchronize()
    assert back.tolist() == [7, 7, 7]
    kept = weakref.ref(pinned.array)
    later = pinned.to("cuda", non_blocking=True)
    del pinned
    gc.collect()
    assert kept() is not None  # the copy still reads it
    assert later.tolist() == [7, 7, 7]
