"""Losses of margins, distances, counts and alignments, and bags of embeddings, against torch."""

import numpy as np
import pytest
from compare import same

import gradflow as gf

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, 4, 5))
SIGN = np.where(RNG.random((4, 5)) < 0.5, -1.0, 1.0)
LABELS = RNG.random((4, 5)) < 0.5
CLASSES = np.array([0, 4, 2, 2])
SETS = np.array([[0, 3, -1, 2, 1], [4, 3, 2, 1, 0], [-1, 0, 0, 0, 0], [2, -1, -1, -1, -1]])
W = RNG.uniform(0.5, 2, 5)
WEIGHT = RNG.normal(size=(6, 3))
BAGS = np.array([1, 2, 5, 1, 0, 2, 5])
ALL = ("mean", "sum", "none")


def F(t):
    return t.nn.functional


def once(torch, f, arrays):
    """Values and gradients: torch has no second derivative of these."""
    for t in (torch, gf):
        xs = [t.tensor(a, requires_grad=True) for a in arrays]
        y = f(t, *xs)
        grads = t.autograd.grad((y * y).sum(), xs)
        results = [v.detach().numpy() for v in (y, *grads)]
        if t is torch:
            wanted = results
    for want, got in zip(wanted, results, strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def how(name):
    return once if name.lower().replace("_", "").startswith(("multimargin", "multilabelmargin")) else same


LOSSES = {
    "soft_margin": (lambda t, r, x: F(t).soft_margin_loss(x * 9, t.tensor(SIGN), reduction=r), [X]),
    "margin_ranking": (lambda t, r, x, y: F(t).margin_ranking_loss(x, y, t.tensor(SIGN), 0.5, reduction=r), [X, Y]),
    "hinge_embedding": (lambda t, r, x: F(t).hinge_embedding_loss(x, t.tensor(SIGN), 1.5, reduction=r), [X]),
    "cosine_embedding": (lambda t, r, x, y: F(t).cosine_embedding_loss(x, y, t.tensor(SIGN[:, 0]), 0.1, reduction=r), [X, Y]),
    "multi_margin": (lambda t, r, x: F(t).multi_margin_loss(x, t.tensor(CLASSES), reduction=r), [X]),
    "multi_margin 2": (lambda t, r, x: F(t).multi_margin_loss(x, t.tensor(CLASSES), 2, 0.7, t.tensor(W), reduction=r), [X]),
    "multilabel_margin": (lambda t, r, x: F(t).multilabel_margin_loss(x, t.tensor(SETS), reduction=r), [X]),
    "multilabel_soft_margin": (
        lambda t, r, x: F(t).multilabel_soft_margin_loss(x, t.tensor(LABELS * 1.0), t.tensor(W), reduction=r),
        [X],
    ),
    "triplet": (lambda t, r, x, y, z: F(t).triplet_margin_loss(x, y, z, reduction=r), [X, Y, Z]),
    "triplet swap": (lambda t, r, x, y, z: F(t).triplet_margin_loss(x, y, z, 2.0, 3.0, swap=True, reduction=r), [X, Y, Z]),
    "triplet distance": (
        lambda t, r, x, y, z: F(t).triplet_margin_with_distance_loss(
            x, y, z, distance_function=lambda a, b: ((a - b) ** 2).sum(-1), reduction=r
        ),
        [X, Y, Z],
    ),
    "poisson": (lambda t, r, x: F(t).poisson_nll_loss(x, t.tensor(LABELS * 3.0), full=True, reduction=r), [X]),
    "poisson rate": (lambda t, r, x: F(t).poisson_nll_loss(x, t.tensor(LABELS * 3.0), log_input=False, reduction=r), [X**2 + 0.1]),
    "gaussian": (lambda t, r, x, y, v: F(t).gaussian_nll_loss(x, y, v, full=True, eps=0.5, reduction=r), [X, Y, Z**2]),
    "gaussian rows": (lambda t, r, x, y, v: F(t).gaussian_nll_loss(x, y, v[:, 0], reduction=r), [X, Y, Z**2]),
}


@pytest.mark.parametrize("reduction", ALL)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(torch, name, reduction):
    f, arrays = LOSSES[name]
    how(name)(torch, lambda t, *xs: f(t, reduction, *xs), arrays)


MODULES = {
    "SoftMarginLoss": ([X], [SIGN]),
    "MarginRankingLoss": ([X, Y], [SIGN]),
    "HingeEmbeddingLoss": ([X], [SIGN]),
    "CosineEmbeddingLoss": ([X, Y], [SIGN[:, 0]]),
    "MultiMarginLoss": ([X], [CLASSES]),
    "MultiLabelMarginLoss": ([X], [SETS]),
    "MultiLabelSoftMarginLoss": ([X], [LABELS * 1.0]),
    "TripletMarginLoss": ([X, Y, Z], []),
    "TripletMarginWithDistanceLoss": ([X, Y, Z], []),
    "PoissonNLLLoss": ([X], [LABELS * 1.0]),
    "GaussianNLLLoss": ([X, Y, Z**2], []),
    "PairwiseDistance": ([X, Y], []),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules(torch, name):
    inputs, targets = MODULES[name]
    how(name)(torch, lambda t, *xs: getattr(t.nn, name)()(*xs, *(t.tensor(v) for v in targets)), inputs)


@pytest.mark.parametrize("x", [np.float64(0.5), X[0]])
def test_one_sample(torch, x):
    target = np.array(0)
    once(torch, lambda t, x: F(t).multi_margin_loss(x, t.tensor(target), reduction="none"), [x])


LOG_PROBS = RNG.normal(size=(9, 3, 5))
TARGETS = np.array([[1, 2, 2, 4], [3, 3, 0, 0], [1, 4, 1, 2]])


def gradients(t, options, targets, input_lengths, target_lengths, scores=LOG_PROBS):
    x = t.tensor(scores, requires_grad=True)
    lp = x.log_softmax(-1)
    loss = F(t).ctc_loss(lp, t.tensor(targets), input_lengths, target_lengths, **options)
    direct = t.autograd.grad(loss.sum(), lp, retain_graph=True)[0]
    return [v.detach().numpy() for v in (loss, t.autograd.grad(loss.sum(), x)[0], direct)]


CTC = {
    "mean": ({}, TARGETS, (9, 9, 9), (4, 2, 3)),
    "none": ({"reduction": "none"}, TARGETS, (9, 7, 8), (4, 2, 3)),
    "sum": ({"reduction": "sum"}, TARGETS, (9, 7, 8), (4, 0, 3)),
    "blank": ({"blank": 4, "reduction": "none"}, TARGETS % 4, (9, 7, 8), (4, 2, 3)),
    "in a row": ({}, np.concatenate([TARGETS[0], TARGETS[1, :2], TARGETS[2, :3]]), (9, 7, 8), (4, 2, 3)),
    "impossible": ({"zero_infinity": True, "reduction": "none"}, TARGETS, (9, 2, 2), (4, 2, 3)),
}


@pytest.mark.parametrize("name", CTC)
def test_ctc(torch, name):
    for want, got in zip(gradients(torch, *CTC[name]), gradients(gf, *CTC[name]), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def test_ctc_of_one_sample(torch):
    for want, got in zip(*(gradients(t, {}, TARGETS[0], (9,), (4,), LOG_PROBS[:, 0]) for t in (torch, gf)), strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)
    lp = gf.tensor(LOG_PROBS).log_softmax(-1)
    loss = gf.nn.CTCLoss()(lp, gf.tensor(TARGETS), gf.tensor([9, 9, 9]), gf.tensor([4, 2, 3]))
    assert np.isclose(loss.item(), gradients(gf, *CTC["mean"])[0])


def test_ctc_is_the_sum_over_alignments():
    """All paths of three steps over two labels and the blank, one by one."""
    p = RNG.random((3, 3))
    p /= p.sum(1, keepdims=True)
    total = 0.0
    for path in np.ndindex(3, 3, 3):
        merged = [c for i, c in enumerate(path) if c and (not i or path[i - 1] != c)]
        total += np.prod([p[t, c] for t, c in enumerate(path)]) if merged == [1, 2] else 0
    loss = gf.nn.functional.ctc_loss(gf.tensor(np.log(p)), gf.tensor([1, 2]), [3], [2], reduction="sum")
    assert np.isclose(loss.item(), -np.log(total))


@pytest.mark.parametrize("options", [{}, {"include_last_offset": True}, {"padding_idx": 2}])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(torch, mode, options):
    def bags(t, w):
        return F(t).embedding_bag(t.tensor(BAGS), w, t.tensor(np.array([0, 3, 3, 7])), mode=mode, **options)

    def first(t):
        w = t.tensor(WEIGHT, requires_grad=True)
        y = bags(t, w)
        (y * t.arange(y.numel(), dtype=t.float64).reshape(y.shape)).sum().backward()
        return y.detach().numpy(), w.grad.numpy()

    for want, got in zip(first(torch), first(gf), strict=True):
        np.testing.assert_allclose(got, want)


def test_bags_in_rows_and_weighted(torch):
    index = np.array([[1, 2], [5, 5]])
    for mode in ("sum", "mean", "max"):
        want, got = (F(t).embedding_bag(t.tensor(index), t.tensor(WEIGHT), mode=mode).numpy() for t in (torch, gf))
        np.testing.assert_allclose(got, want)

    def weighted(t):
        w, s = t.tensor(WEIGHT, requires_grad=True), t.tensor(W[:4].reshape(2, 2), requires_grad=True)
        F(t).embedding_bag(t.tensor(index), w, mode="sum", per_sample_weights=s).pow(2).sum().backward()
        return w.grad.numpy(), s.grad.numpy()

    for want, got in zip(weighted(torch), weighted(gf), strict=True):
        np.testing.assert_allclose(got, want)
    bag = gf.nn.EmbeddingBag(6, 3, mode="sum", padding_idx=0)
    assert repr(bag) == "EmbeddingBag(6, 3, mode='sum', padding_idx=0)" and bag.weight[0].tolist() == [0, 0, 0]
    assert bag(gf.tensor([1, 2]), gf.tensor([0])).shape == (1, 3)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda t: F(t).margin_ranking_loss(t.ones(2), t.ones(2, 2), t.ones(2)), RuntimeError),
        (lambda t: F(t).cosine_embedding_loss(t.ones(2, 2), t.ones(2, 2), t.ones(2, 2)), RuntimeError),
        (lambda t: F(t).multi_margin_loss(t.ones(2, 3), t.tensor([0, 1]), 3), ValueError),
        (lambda t: F(t).multi_margin_loss(t.ones(2, 3), t.tensor([0, 1, 2])), RuntimeError),
        (lambda t: F(t).multilabel_margin_loss(t.ones(2, 3), t.tensor([[0, 1, 7], [0, 1, 2]])), RuntimeError),
        (lambda t: F(t).triplet_margin_loss(t.ones(2, 3), t.ones(2, 3), t.ones(2, 3), margin=0), ValueError),
        (lambda t: F(t).gaussian_nll_loss(t.ones(2), t.ones(2), -t.ones(2)), ValueError),
        (lambda t: F(t).gaussian_nll_loss(t.ones(2, 3), t.ones(2, 3), t.ones(4)), ValueError),
        (lambda t: F(t).soft_margin_loss(t.ones(2), t.ones(2), reduction="average"), ValueError),
        (lambda t: F(t).ctc_loss(t.ones(3, 1, 2), t.tensor([[1]]), (5,), (1,)), RuntimeError),
        (lambda t: F(t).ctc_loss(t.ones(3, 1, 2), t.tensor([[1]]), (3,), (1,), blank=2), RuntimeError),
        (lambda t: F(t).embedding_bag(t.tensor([1]), t.ones(2, 2)), ValueError),
        (lambda t: F(t).embedding_bag(t.tensor([1]), t.ones(2, 2), t.tensor([0]), mode="median"), ValueError),
        (lambda t: t.nn.MultiMarginLoss(p=3), ValueError),
    ],
)
def test_refusals(torch, call, kind):
    for t in (torch, gf):
        with pytest.raises(kind):
            call(t)
