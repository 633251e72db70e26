"""Recurrent networks, and sequences of different lengths, against torch."""

import numpy as np
import pytest
from test_space import RNG, F, agree, data, pair

import gradflow as gf

X = data(7, 4, 3)
MODULES = {
    "one layer": (lambda n, kind: getattr(n, kind)(3, 5), X),
    "without a batch": (lambda n, kind: getattr(n, kind)(3, 5), X[:, 0]),
    "both directions": (lambda n, kind: getattr(n, kind)(3, 5, 2, batch_first=True, bidirectional=True), X),
    "without bias": (lambda n, kind: getattr(n, kind)(3, 5, num_layers=3, bias=False), X),
    "cell": (lambda n, kind: getattr(n, kind + "Cell")(3, 5), X[0]),
    "cell without a batch": (lambda n, kind: getattr(n, kind + "Cell")(3, 5, bias=False), X[0, 0]),
}


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("name", MODULES)
def test_modules(torch, name, kind):
    make, x = MODULES[name]
    agree(torch, lambda n: make(n, kind), x)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_other_kinds(torch):
    agree(torch, lambda n: n.LSTM(3, 5, 2, proj_size=2, bidirectional=True), X)
    agree(torch, lambda n: n.RNN(3, 5, 2, "relu"), X)
    agree(torch, lambda n: n.RNNCell(3, 5, nonlinearity="relu"), X[0])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("lengths", [[6, 4, 4, 1], [2, 6, 1, 5]])
def test_packed_sequences(torch, kind, lengths):
    x, start, results = data(4, 6, 3), data(4, 4, 5), []
    modules = pair(torch, lambda n: getattr(n, kind)(3, 5, 2, bidirectional=True, batch_first=True).double())
    for t, module in zip((torch, gf), modules, strict=True):
        tools, leaf = t.nn.utils.rnn, t.tensor(x, requires_grad=True)
        packed = tools.pack_padded_sequence(leaf, t.tensor(lengths), batch_first=True, enforce_sorted=lengths[0] == 6)
        state = t.tensor(start)
        y, end = module(packed, (state, state * 2) if kind == "LSTM" else state)
        y, sizes = tools.pad_packed_sequence(y, batch_first=True, total_length=8)
        ends = end if isinstance(end, tuple) else (end,)
        ((y**2).sum() + sum((v**3).sum() for v in ends)).backward()
        results.append([v.detach().numpy() for v in (y, sizes, *ends, leaf.grad, *(p.grad for p in module.parameters()))])
    for want, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_padding_sequences(torch):
    parts = [data(3, 2), data(1, 2), data(2, 2)]
    for options in ({}, {"batch_first": True, "padding_value": 7.0}, {"padding_side": "left"}):
        want, got = (t.nn.utils.rnn.pad_sequence([t.tensor(a) for a in parts], **options).numpy() for t in (torch, gf))
        np.testing.assert_array_equal(got, want)
    padded = gf.nn.utils.rnn.pad_sequence([gf.tensor(a) for a in parts])
    for a, b in zip(parts, gf.nn.utils.rnn.unpad_sequence(padded, gf.tensor([3, 1, 2])), strict=True):
        np.testing.assert_array_equal(b.numpy(), a)
    want, got = (t.nn.utils.rnn.pack_sequence([t.tensor(a) for a in parts], enforce_sorted=False) for t in (torch, gf))
    np.testing.assert_array_equal(got.data.numpy(), want.data.numpy())
    assert got.batch_sizes.tolist() == want.batch_sizes.tolist()


def characters(n):
    return n.ModuleDict({"table": n.Embedding(11, 8), "lstm": n.LSTM(8, 16, batch_first=True), "out": n.Linear(16, 11)})


def test_a_model_of_characters_learns_as_in_torch(torch):
    text, losses = RNG.integers(0, 11, (6, 13)), []
    for t, parts in zip((torch, gf), pair(torch, characters), strict=True):
        optimizer, symbols = t.optim.Adam(parts.parameters(), lr=0.02), t.tensor(text)
        for _ in range(10):
            optimizer.zero_grad()
            y, _ = parts["lstm"](parts["table"](symbols[:, :-1]))
            loss = F(t).cross_entropy(parts["out"](y).reshape(-1, 11), symbols[:, 1:].reshape(-1))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(losses[10:], losses[:10], rtol=1e-4)
    assert losses[-1] < losses[10] - 0.2


WRONG = {
    "input size": lambda t: t.nn.LSTM(3, 5)(t.ones(2, 2, 4)),
    "axes": lambda t: t.nn.GRU(3, 5)(t.ones(2, 2, 2, 3)),
    "state": lambda t: t.nn.GRU(3, 5)(t.ones(2, 2, 3), t.ones(1, 3, 5)),
    "nonlinearity": lambda t: t.nn.RNN(3, 5, nonlinearity="sin"),
    "hidden size": lambda t: t.nn.LSTM(3, 0),
    "dropout": lambda t: t.nn.LSTM(3, 5, dropout=2),
    "cell": lambda t: t.nn.LSTMCell(3, 5)(t.ones(2, 4)),
    "lengths": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), t.tensor([2, 3])),
    "length 0": lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), t.tensor([2, 0])),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_of_torchs_kind(torch, name):
    caught = []
    for t in (torch, gf):
        with pytest.raises(Exception) as error:
            WRONG[name](t)
        caught.append(error.value)
    assert isinstance(caught[1], type(caught[0])), f"{caught[0]!r} in torch, here {caught[1]!r}"
    assert ": " in str(caught[1])


@pytest.mark.parametrize("ends", ["outputs", "last cell", "both"])
def test_lstm_over_time_has_second_derivatives(torch, ends):
    """The layer is one operation: whichever of its results are used, in both directions, and again under its gradient."""
    x, h, c, results = data(4, 2, 3), data(2, 2, 5), data(2, 2, 5), []
    for t, module in zip((torch, gf), pair(torch, lambda n: n.LSTM(3, 5, bidirectional=True).double()), strict=True):
        leaves = [t.tensor(a, requires_grad=True) for a in (x, h, c)]
        y, (_, last) = module(leaves[0], tuple(leaves[1:]))
        leaves += list(module.parameters())
        loss = (ends != "last cell") * (y**2).sum() + (ends != "outputs") * (last**3).sum()
        first = t.autograd.grad(loss, leaves, create_graph=True)
        second = t.autograd.grad(sum((g**2).sum() for g in first), leaves)
        results.append([v.detach().numpy() for v in (y, last, *first, *second)])
    for want, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-10)


def test_lstm_over_examples():
    module, x = gf.nn.LSTM(3, 5), gf.tensor(data(4, 7, 2, 3), dtype=gf.float32)

    def gradient(v):
        return gf.func.grad(lambda v: (module(v)[0] ** 2).sum())(v)

    want = gf.stack([gradient(v) for v in x])
    np.testing.assert_allclose(gf.func.vmap(gradient)(x).detach(), want.detach(), rtol=1e-4, atol=1e-6)
    assert module(gf.zeros(7, 0, 3))[0].shape == (7, 0, 5)
    assert module.half()(gf.ones(7, 2, 3, dtype=gf.float16))[0].dtype is gf.float16
