"""nn.utils.prune agrees with torch's: masks, parameters' names, pruning twice, globally, for good."""

import numpy as np
import pytest

import gradflow as gf

prune = gf.nn.utils.prune


@pytest.fixture
def pair(torch):
    """A layer of each library with the same weights."""

    import torch.nn.utils.prune

    def make():
        theirs, ours = torch.nn.Conv2d(3, 4, 2), gf.nn.Conv2d(3, 4, 2)
        ours.load_state_dict({name: gf.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
        return (theirs, torch.nn.utils.prune), (ours, prune)

    torch.manual_seed(0)
    return make


STEPS = {
    "l1 twice": lambda m, p: [p.l1_unstructured(m, "weight", 0.3), p.l1_unstructured(m, "weight", 10)],
    "slices, then elements": lambda m, p: [p.ln_structured(m, "weight", 1, n=2, dim=0), p.l1_unstructured(m, "weight", 0.5)],
    "elements, then slices": lambda m, p: [p.l1_unstructured(m, "weight", 0.5), p.ln_structured(m, "weight", 0.5, n=1, dim=1)],
    "slices twice": lambda m, p: [p.ln_structured(m, "weight", 1, n=2, dim=1), p.ln_structured(m, "weight", 1, n=float("inf"), dim=-3)],
    "a mask": lambda m, p: [p.custom_from_mask(m, "bias", m.bias.detach() > 0), p.identity(m, "weight")],
    "removed": lambda m, p: [p.l1_unstructured(m, "weight", 7), p.remove(m, "weight")],
    "nothing": lambda m, p: [p.ln_structured(m, "weight", 0, n=2, dim=0)],
    "all": lambda m, p: [p.l1_unstructured(m, "bias", 1.0)],
    "of two": lambda m, p: [p.global_unstructured([(m, "weight"), (m, "bias")], p.L1Unstructured, amount=0.4)],
}


@pytest.mark.parametrize("name", STEPS)
def test_masks_agree(torch, pair, name):
    results = []
    for layer, library in pair():
        STEPS[name](layer, library)
        lib = torch if library is not prune else gf
        y = layer(lib.ones(1, 3, 4, 4))
        y.square().sum().backward()
        grads = {n: p.grad.numpy() for n, p in layer.named_parameters()}
        results.append(({k: v.numpy() for k, v in layer.state_dict().items()}, grads, y.detach().numpy(), library.is_pruned(layer)))
    theirs, ours = results
    assert set(theirs[0]) == set(ours[0]) and set(theirs[1]) == set(ours[1]) and theirs[3] == ours[3]
    for key, value in theirs[0].items():
        assert np.array_equal(value, ours[0][key]), key
    for key, value in theirs[1].items():
        assert np.allclose(value, ours[1][key], rtol=1e-4, atol=1e-5), key
    assert np.allclose(theirs[2], ours[2], rtol=1e-4, atol=1e-5)


def test_scores_decide(torch, pair):
    masks = []
    for layer, library in pair():
        scores = (layer.weight.detach() * 0 + (torch if library is not prune else gf).arange(2.0)).abs()
        library.l1_unstructured(layer, "weight", 0.5, importance_scores=scores)
        masks.append(layer.weight_mask.numpy())
    assert np.array_equal(*masks) and masks[0].sum() == 24


def test_chance_prunes_as_many():
    layer = prune.random_unstructured(gf.nn.Linear(10, 10), "weight", 0.3)
    assert layer.weight_mask.sum() == 70
    prune.random_structured(layer, "weight", 2, dim=1)
    assert (layer.weight_mask.sum(0) == 0).sum() == 2
    ((hook, _),) = layer._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and len(hook) == 2 and hook[0] is next(iter(hook))


def test_a_pruned_layer_is_saved_and_trains():
    layer = prune.l1_unstructured(gf.nn.Linear(4, 2), "weight", 4)
    optimizer = gf.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(gf.ones(1, 4)).sum().backward()
        optimizer.step()
    layer(gf.ones(1, 4))
    assert (layer.weight == 0).sum() == 4
    twin = prune.identity(gf.nn.Linear(4, 2), "weight")
    twin.load_state_dict(layer.state_dict())
    assert gf.equal(twin(gf.ones(1, 4)), layer(gf.ones(1, 4)))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda m: prune.l1_unstructured(m, "weight", "half"), TypeError, "Invalid type for amount"),
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError, "range"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "non-negative"),
        (lambda m: prune.l1_unstructured(m, "weight", 100), ValueError, "smaller than"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError, "multidimensional"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 3), IndexError, "Invalid index"),
        (lambda m: prune.l1_unstructured(m, "gone", 1), ValueError, "no parameter"),
        (lambda m: prune.l1_unstructured(m, "weight", 1, importance_scores=gf.ones(3)), RuntimeError, "same shape"),
        (lambda m: prune.custom_from_mask(m, "weight", gf.ones(3)), RuntimeError, "the mask has the shape"),
        (lambda m: prune.remove(m, "weight"), ValueError, "has to be pruned"),
        (lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1), TypeError, "unstructured"),
        (lambda m: prune.global_unstructured(3, prune.L1Unstructured, amount=1), TypeError, "Iterable"),
    ],
)
def test_wrong_arguments_leave_the_layer(call, kind, text):
    layer = gf.nn.Linear(3, 2)
    with pytest.raises(kind, match=text):
        call(layer)
    assert not prune.is_pruned(layer) and set(layer.state_dict()) == {"weight", "bias"}


def test_a_second_pruning_that_fails_leaves_the_first():
    layer = prune.l1_unstructured(gf.nn.Linear(3, 2), "weight", 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="smaller than"):
            prune.l1_unstructured(layer, "weight", 100)
    assert prune.is_pruned(layer) and layer.weight_mask.sum() == 5
    prune.remove(prune.l1_unstructured(layer, "weight", 1), "weight")
    assert (layer.weight == 0).sum() == 2
