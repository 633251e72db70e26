"""Losses and distances against PyTorch: values and gradients, every reduction, values at the edges."""

import itertools

import numpy as np
import pytest

import gradflow as gf
from gradflow import nn
from gradflow.nn import functional as F

REDUCTIONS = ["none", "mean", "sum"]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def log_softmax(x):
    z = x - x.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


X, Y = normal(4, 5), normal(4, 5, seed=1)
P, Q = uniform(4, 5), uniform(4, 5, seed=1)
CLASSES = np.array([1, 0, 4, 3])
WEIGHT = np.array([1.0, 2.0, 0.5, 3.0, 1.5], np.float32)
KINKS = np.array([[0.0, 1.0, -1.0, 0.5, 2.0]] * 4, np.float32)

# name, arguments that get gradients, other tensors, options
CASES = {
    "mse": ("mse_loss", (X, Y), {}, {}),
    "mse, weighted": ("mse_loss", (X, Y), {"weight": P}, {}),
    "l1": ("l1_loss", (X, Y), {}, {}),
    "l1 at its kink": ("l1_loss", (X, X), {}, {}),
    "l1, weighted": ("l1_loss", (X, Y), {"weight": P}, {}),
    "smooth l1": ("smooth_l1_loss", (X, Y), {}, {"beta": 0.7}),
    "smooth l1 at its kinks": ("smooth_l1_loss", (KINKS, 0 * KINKS), {}, {"beta": 1.0}),
    "smooth l1, no beta": ("smooth_l1_loss", (X, Y), {}, {"beta": 0.0}),
    "huber": ("huber_loss", (X, Y), {}, {"delta": 0.7}),
    "huber at its kinks": ("huber_loss", (KINKS, 0 * KINKS), {}, {"delta": 1.0}),
    "huber, weighted": ("huber_loss", (X, Y), {"weight": P}, {}),
    "bce": ("binary_cross_entropy", (P,), {"target": Q}, {}),
    "bce, weighted": ("binary_cross_entropy", (P,), {"target": Q, "weight": WEIGHT}, {}),
    "bce at the ends": ("binary_cross_entropy", (np.round(P),), {"target": np.round(Q)}, {}),
    "logits": ("binary_cross_entropy_with_logits", (X, Q), {}, {}),
    "logits, large": ("binary_cross_entropy_with_logits", (X * 1000, Q), {}, {}),
    "logits, weighted": ("binary_cross_entropy_with_logits", (X, Q), {"weight": P, "pos_weight": WEIGHT}, {}),
    "kl": ("kl_div", (log_softmax(X),), {"target": Q}, {}),
    "kl, zeros in the target": ("kl_div", (log_softmax(X),), {"target": np.round(Q)}, {}),
    "kl of logs": ("kl_div", (log_softmax(X), log_softmax(Y)), {}, {"log_target": True}),
    "nll": ("nll_loss", (log_softmax(X),), {"target": CLASSES}, {}),
    "nll, weighted": ("nll_loss", (log_softmax(X),), {"target": CLASSES, "weight": WEIGHT}, {"ignore_index": 4}),
    "nll, images": ("nll_loss", (normal(2, 5, 3, 2),), {"target": np.arange(12).reshape(2, 3, 2) % 5}, {}),
    "cross entropy": ("cross_entropy", (X,), {"target": CLASSES}, {}),
    "cross entropy, one sample": ("cross_entropy", (X[0],), {"target": np.array(2)}, {}),
    "cross entropy, weighted": ("cross_entropy", (X,), {"target": CLASSES, "weight": WEIGHT}, {"ignore_index": 0}),
    "cross entropy, smoothed": ("cross_entropy", (X,), {"target": CLASSES, "weight": WEIGHT}, {"label_smoothing": 0.2}),
    "cross entropy of probabilities": ("cross_entropy", (X, Q), {}, {"label_smoothing": 0.1}),
    "cross entropy, images": ("cross_entropy", (normal(2, 5, 3, 2),), {"target": np.arange(12).reshape(2, 3, 2) % 5}, {}),
}


def evaluate(library, case, reduction):
    """The loss and the gradients of its first arguments."""
    name, arguments, others, options = CASES[case]
    leaves = [library.tensor(a, requires_grad=True) for a in arguments]
    tensors = {key: library.tensor(value) for key, value in others.items()}
    loss = getattr(library.nn.functional, name)(*leaves, **tensors, **options, reduction=reduction)
    loss.backward(library.tensor(normal(*loss.shape, seed=9)))
    return [loss.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_as_torch(torch, case, reduction):
    for ours, theirs in zip(evaluate(gf, case, reduction), evaluate(torch, case, reduction), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_kl_divergence_of_a_batch(torch):
    ours = F.kl_div(gf.tensor(log_softmax(X)), gf.tensor(Q), reduction="batchmean")
    theirs = torch.nn.functional.kl_div(torch.tensor(log_softmax(X)), torch.tensor(Q), reduction="batchmean")
    np.testing.assert_allclose(ours.item(), theirs.item(), rtol=1e-5)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(gf.tensor(X), gf.tensor(Q))


def test_golden():
    x, y = gf.tensor([1.0, 2.0, 4.0]), gf.tensor([1.0, 0.0, 1.0])
    assert F.mse_loss(x, y, reduction="none").tolist() == [0.0, 4.0, 9.0]
    assert F.l1_loss(x, y, reduction="sum").item() == 5.0
    assert F.smooth_l1_loss(x, y, reduction="none").tolist() == [0.0, 1.5, 2.5]
    assert F.huber_loss(x, y, reduction="none", delta=2.0).tolist() == [0.0, 2.0, 4.0]


MODULES = [
    ("MSELoss", "mse_loss", (X, Y), {}, {}),
    ("L1Loss", "l1_loss", (X, Y), {}, {}),
    ("SmoothL1Loss", "smooth_l1_loss", (X, Y), {"beta": 0.3}, {}),
    ("HuberLoss", "huber_loss", (X, Y), {"delta": 0.3}, {}),
    ("CrossEntropyLoss", "cross_entropy", (X, CLASSES), {"ignore_index": 1, "label_smoothing": 0.1}, {"weight": WEIGHT}),
    ("NLLLoss", "nll_loss", (X, CLASSES), {"ignore_index": 1}, {"weight": WEIGHT}),
    ("BCELoss", "binary_cross_entropy", (P, Q), {}, {"weight": WEIGHT}),
    ("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", (X, Q), {}, {"weight": WEIGHT, "pos_weight": WEIGHT}),
    ("KLDivLoss", "kl_div", (X, Q), {"log_target": True}, {}),
]


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize(("module", "function", "inputs", "options", "tensors"), MODULES, ids=[row[0] for row in MODULES])
def test_modules_pass_everything_on(module, function, inputs, options, tensors, reduction):
    inputs = [gf.tensor(a) for a in inputs]
    options = {**options, **{name: gf.tensor(a) for name, a in tensors.items()}, "reduction": reduction}
    layer = getattr(nn, module)(**options)
    assert layer(*inputs).tolist() == getattr(F, function)(*inputs, **options).tolist()
    assert set(layer.state_dict()) == set(tensors)


def test_the_old_way_to_name_a_reduction():
    for (average, reduce), name in {(True, True): "mean", (False, True): "sum", (True, False): "none"}.items():
        with pytest.warns(UserWarning, match=f"reduction='{name}'"):
            assert nn.MSELoss(average, reduce).reduction == name
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert F.l1_loss(gf.zeros(2), gf.ones(2), size_average=False).item() == 2.0


def test_different_sizes_warn():
    with pytest.warns(UserWarning, match=r"target size \(torch.Size\(\[2, 1\]\)\) that is different to the input size"):
        loss = F.mse_loss(gf.zeros(2), gf.ones(2, 1), reduction="none")
    assert tuple(loss.shape) == (2, 2)


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: F.mse_loss(gf.ones(1), gf.ones(1), reduction="average"), ValueError, "average is not a valid value"),
        (lambda: F.mse_loss(gf.ones(2), gf.ones(2), weight=gf.ones(1)), ValueError, "must have the same size"),
        (lambda: F.smooth_l1_loss(gf.ones(1), gf.ones(1), beta=-1.0), RuntimeError, "negative values for beta; got -1.0"),
        (lambda: F.huber_loss(gf.ones(1), gf.ones(1), delta=0.0), RuntimeError, "non-positive values for delta"),
        (lambda: F.binary_cross_entropy(gf.ones(1) * 2, gf.ones(1)), RuntimeError, "should be between 0 and 1"),
        (lambda: F.binary_cross_entropy(gf.tensor([float("nan")]), gf.ones(1)), RuntimeError, "should be between 0 and 1"),
        (lambda: F.binary_cross_entropy(gf.ones(2), gf.ones(1)), ValueError, "is different to the input size"),
        (lambda: F.binary_cross_entropy_with_logits(gf.ones(2), gf.ones(1)), ValueError, "must be the same as input size"),
        (
            lambda: F.binary_cross_entropy_with_logits(gf.ones(2), gf.ones(2), pos_weight=gf.ones(3, 2)),
            RuntimeError,
            "pos_weight of shape",
        ),
        (lambda: F.cross_entropy(gf.ones(2, 3), gf.tensor([0, 3])), IndexError, "3 is out of bounds"),
        (lambda: F.cross_entropy(gf.ones(2, 3), gf.tensor([0, 1]), label_smoothing=1.5), RuntimeError, "label_smoothing"),
    ],
)
def test_refused(act, error, text):
    with pytest.raises(error, match=text):
        act()


def distances(library):
    a, b = library.tensor(X, requires_grad=True), library.tensor(Y, requires_grad=True)
    f = library.nn.functional
    return a, b, {
        "cosine": lambda: f.cosine_similarity(a, b),
        "cosine, axis 0": lambda: f.cosine_similarity(a, b, dim=0),
        "pairwise": lambda: f.pairwise_distance(a, b),
        "pairwise, order 1": lambda: f.pairwise_distance(a, b, p=1.0, keepdim=True),
        "normalize": lambda: f.normalize(a) * b,
        "normalize, order 1, axis 0": lambda: f.normalize(a, 1.0, dim=0) * b,
    }  # fmt: skip


@pytest.mark.parametrize("kind", distances(gf)[2])
def test_distances_as_torch(torch, kind):
    results = []
    for library in (gf, torch):
        a, b, functions = distances(library)
        y = functions[kind]()
        y.backward(library.tensor(normal(*y.shape, seed=9)))
        results.append([t.detach().numpy() for t in (y, a.grad, b.grad)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("name", "seed"), list(itertools.product(["mse_loss", "huber_loss", "cross_entropy"], range(2))))
def test_second_derivatives(torch, name, seed):
    """The gradient of the gradient's squared norm, as PyTorch has it."""
    results = []
    for library in (gf, torch):
        x = library.tensor(normal(4, 5, seed=seed), dtype=library.float64, requires_grad=True)
        target = library.tensor(CLASSES) if name == "cross_entropy" else library.tensor(Y, dtype=library.float64)
        loss = getattr(library.nn.functional, name)(x, target)
        (g,) = library.autograd.grad(loss, (x,), create_graph=True)
        (h,) = library.autograd.grad((g * g).sum(), (x,))
        results.append(h.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-14)
