"""Layers and activations against PyTorch, and what they refuse."""

import numpy as np
import pytest

import gradflow as gf
from gradflow import nn

# layers against torch: the same parameters, the same inputs, the same values and gradients

LAYERS = {
    "linear": ("Linear(4, 3)", (5, 4)),
    "linear, three axes": ("Linear(4, 3)", (2, 5, 4)),
    "linear, one axis": ("Linear(4, 3)", (4,)),
    "linear without bias": ("Linear(4, 3, bias=False)", (5, 4)),
    "flatten": ("Flatten()", (2, 3, 4)),
    "unflatten": ("Unflatten(1, (2, -1))", (3, 6)),
    "layer norm": ("LayerNorm(4)", (5, 4)),
    "layer norm, two axes": ("LayerNorm((3, 4))", (5, 3, 4)),
    "layer norm, plain": ("LayerNorm(4, elementwise_affine=False)", (5, 4)),
    "layer norm, no bias": ("LayerNorm(4, bias=False)", (5, 4)),
    "rms norm": ("RMSNorm(4)", (5, 4)),
    "sequential": ("Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))", (5, 4)),
    "dropout in eval": ("Dropout().eval()", (5, 4)),
    **{
        text: (text, (4, 6))
        for text in (
            "ReLU()", "ReLU6()", "LeakyReLU(0.2)", "ELU(1.5)", "CELU(1.5)", "SELU()", "GELU()", "GELU('tanh')", "SiLU()",
            "Mish()", "Sigmoid()", "LogSigmoid()", "Tanh()", "Tanhshrink()", "Softsign()", "Softplus(2.0, 1.0)",
            "Softshrink()", "Hardshrink()", "Hardtanh(-0.5, 0.7)", "Hardsigmoid()", "Hardswish()", "Threshold(0.1, 2.0)",
            "PReLU()", "PReLU(6)", "GLU()", "GLU(0)", "Softmax(1)", "Softmax(0)", "Softmin(1)", "LogSoftmax(1)", "Identity()",
        )
    },
}  # fmt: skip


def same_parameters(torch, ours, theirs, seed=0):
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for (name, p), (other, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
            assert name == other
            values = rng.standard_normal(tuple(p.shape)).astype(np.float32)
            p.data = gf.tensor(values)
            q.copy_(torch.tensor(values))


def compare(ours, theirs, rtol=1e-5, atol=1e-6):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", LAYERS)
def test_layer_as_torch(torch, case):
    text, shape = LAYERS[case]
    ours, theirs = eval("nn." + text, {"nn": nn}), eval("nn." + text, {"nn": torch.nn})
    same_parameters(torch, ours, theirs)
    values = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x, x_torch = gf.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, y_torch = ours(x), theirs(x_torch)
    compare(y, y_torch)
    seed = np.random.default_rng(2).standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(gf.tensor(seed))
    y_torch.backward(torch.tensor(seed))
    compare(x.grad, x_torch.grad, atol=1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        compare(p.grad, q.grad, atol=1e-5)


@pytest.mark.parametrize("text", ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Hardtanh", "Hardswish"])
def test_in_place_activations(text):
    x = gf.tensor([-2.0, -0.1, 0.0, 3.0])
    expected = getattr(nn, text)()(x)
    assert expected.data_ptr() != x.data_ptr()
    assert getattr(nn, text)(inplace=True)(x) is x
    assert x.tolist() == expected.tolist()


def test_bilinear(torch):
    for shape in ((2,), (5, 2), (3, 5, 2)):
        ours, theirs = nn.Bilinear(2, 3, 4), torch.nn.Bilinear(2, 3, 4)
        same_parameters(torch, ours, theirs)
        rng = np.random.default_rng(0)
        a = rng.standard_normal(shape).astype(np.float32)
        b = rng.standard_normal((*shape[:-1], 3)).astype(np.float32)
        ours(gf.tensor(a), gf.tensor(b)).sum().backward()
        theirs(torch.tensor(a), torch.tensor(b)).sum().backward()
        compare(ours(gf.tensor(a), gf.tensor(b)), theirs(torch.tensor(a), torch.tensor(b)))
        compare(ours.weight.grad, theirs.weight.grad, atol=1e-5)
        compare(ours.bias.grad, theirs.bias.grad)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_embedding(torch, shape):
    ours, theirs = nn.Embedding(6, 3, padding_idx=-4), torch.nn.Embedding(6, 3, padding_idx=-4)
    assert ours.weight[2].tolist() == [0.0, 0.0, 0.0]
    same_parameters(torch, ours, theirs)
    index = np.random.default_rng(0).integers(0, 6, shape)
    y, y_torch = ours(gf.tensor(index)), theirs(torch.tensor(index))
    compare(y, y_torch)
    seed = np.random.default_rng(2).standard_normal(tuple(y.shape)).astype(np.float32)
    y.backward(gf.tensor(seed))
    y_torch.backward(torch.tensor(seed))
    compare(ours.weight.grad, theirs.weight.grad)


def test_embedding_from_pretrained():
    table = gf.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert (layer.num_embeddings, layer.embedding_dim, layer.weight.requires_grad) == (3, 2, False)
    assert layer(gf.tensor([2])).tolist() == [[4.0, 5.0]]
    with pytest.raises(ValueError, match="expected to be 2-dimensional; got 1"):
        nn.Embedding.from_pretrained(gf.ones(3))
    with pytest.raises(ValueError, match="Padding_idx must be within num_embeddings; got 3"):
        nn.Embedding(3, 2, padding_idx=3)


def test_dropout():
    gf.manual_seed(0)
    layer = nn.Dropout(0.25)
    x = gf.ones(10_000, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - 0.75) < 0.02
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.75, rtol=1e-6)
    assert np.array_equal(x.grad.numpy(), y.detach().numpy())
    assert layer.eval()(x) is x
    assert nn.Dropout(1.0)(x).abs().sum().item() == 0
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        nn.Dropout(1.5)


def test_layers_of_other_dtypes():
    assert nn.Linear(2, 2, dtype=gf.float64)(gf.ones(1, 2, dtype=gf.float64)).dtype == gf.float64
    assert nn.LayerNorm(2, dtype=gf.float64).weight.dtype == gf.float64
    assert nn.Embedding(2, 2, dtype=gf.float64).weight.dtype == gf.float64


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: nn.Linear(2, 3)(gf.ones(4, 5)), RuntimeError, "shapes cannot be multiplied"),
        (lambda: nn.Unflatten(1, (2, 2))(gf.ones(2, 5)), RuntimeError, "don't multiply up to the size of dim 1"),
        (lambda: nn.Unflatten(1, 3), TypeError, "tuple of ints"),
        (lambda: nn.Bilinear(2, 3, 4)(gf.ones(2), gf.ones(2)), RuntimeError, "bilinear: sizes do not fit"),
        (lambda: nn.Bilinear(0, 3, 4), ValueError, "must be > 0"),
        (lambda: nn.RMSNorm(3)(gf.ones(2)), RuntimeError, r"normalized_shape=\[3\]"),
        (lambda: nn.LayerNorm(3)(gf.ones(2)), RuntimeError, r"normalized_shape=\[3\]"),
        (lambda: nn.GLU()(gf.ones(3)), RuntimeError, "must be even"),
        (lambda: nn.Hardtanh(1.0, 0.0), ValueError, "max_val must be larger"),
        (lambda: nn.Embedding(3, 2)(gf.tensor([3])), IndexError, "out of"),
        (lambda: nn.Embedding(3, 2, sparse=True)(gf.tensor([0])), NotImplementedError, "sparse"),
    ],
)
def test_layers_refuse(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_kinds_are_torchs(torch):
    """A module is an instance of what it is in torch, and of nothing else that is public."""

    def kinds(t):
        return {name: kind for name, kind in vars(t.nn).items() if isinstance(kind, type) and not name.startswith("_")}

    theirs, ours = kinds(torch), kinds(gf)
    common = sorted(name for name in theirs.keys() & ours.keys() if not name.startswith("Lazy"))
    assert len(common) > 130
    wrong = [(a, b) for a in common for b in common if issubclass(theirs[a], theirs[b]) != issubclass(ours[a], ours[b])]
    assert not wrong


def test_adaptive_softmax(torch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 8)).astype(np.float32), np.array([0, 3, 19, 7, 4, 11])
    found = []
    for t in (torch, gf):
        layer = t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10], div_value=2.0, head_bias=True)
        with t.no_grad():
            for k, p in enumerate(layer.parameters()):
                p.copy_(t.tensor(np.random.default_rng(k).normal(size=tuple(p.shape)), dtype=t.float32))
        output, loss = layer(t.tensor(x), t.tensor(y))
        loss.backward()
        one = layer(t.tensor(x[0]), t.tensor(y[0]))
        results = [
            output,
            loss,
            one.output,
            one.loss,
            layer.log_prob(t.tensor(x)),
            layer.predict(t.tensor(x)),
            *(p.grad for p in layer.parameters()),
        ]
        found.append(([r.detach().numpy() for r in results], repr(layer), list(layer.state_dict())))
        for target in ([20, 0, 0, 0, 0, 0], [0, 1]):
            with pytest.raises(RuntimeError):
                layer(t.tensor(x), t.tensor(target))
        with pytest.raises(ValueError, match="cutoffs"):
            t.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [10, 5])
    assert found[0][1:] == found[1][1:]
    for theirs, ours in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_dirac(torch):
    for shape, groups in (((4, 2, 3), 1), ((4, 2, 2, 3), 2), ((2, 4, 3, 1, 2), 1)):
        a, b = (t.nn.init.dirac_(t.empty(shape), groups).numpy() for t in (torch, gf))
        np.testing.assert_array_equal(a, b)
    for wrong in (lambda t: t.nn.init.dirac_(t.empty(3, 3)), lambda t: t.nn.init.dirac_(t.empty(3, 3, 3), 2)):
        for t in (torch, gf):
            with pytest.raises(ValueError):
                wrong(t)
