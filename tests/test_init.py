"""Initialisations and the tools for parameters."""

import math

import numpy as np
import pytest

import gradflow as gf
from gradflow import nn


def test_default_initialisations():
    gf.manual_seed(0)
    layer = nn.Linear(400, 300)
    bound = 1 / math.sqrt(400)
    for parameter in layer.parameters():
        values = parameter.detach().numpy()
        assert np.abs(values).max() <= bound
        assert abs(values.std() - bound / math.sqrt(3)) < bound * 0.05
    table = nn.Embedding(300, 50).weight.detach().numpy()
    assert abs(table.std() - 1) < 0.02
    norm = nn.LayerNorm(5)
    assert norm.weight.tolist() == [1.0] * 5
    assert norm.bias.tolist() == [0.0] * 5


@pytest.mark.parametrize(
    ("fill", "mean", "std"),
    [
        (lambda w: nn.init.uniform_(w, -2, 4), 1, 6 / math.sqrt(12)),
        (lambda w: nn.init.normal_(w, 2, 0.5), 2, 0.5),
        (lambda w: nn.init.trunc_normal_(w), 0, 0.8796),
        (lambda w: nn.init.trunc_normal_(w, 1.0, 2.0, -1.0, 2.0), 0.5867, 0.8314),
        (lambda w: nn.init.xavier_uniform_(w, 2.0), 0, 2 * math.sqrt(2 / 500)),
        (lambda w: nn.init.xavier_normal_(w), 0, math.sqrt(2 / 500)),
        (lambda w: nn.init.kaiming_uniform_(w, a=1), 0, math.sqrt(1 / 300)),
        (lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), 0, math.sqrt(2 / 200)),
        (lambda w: nn.init.constant_(w, 3.5), 3.5, 0),
        (nn.init.ones_, 1, 0),
        (nn.init.zeros_, 0, 0),
    ],
)
def test_initialisations(fill, mean, std):
    gf.manual_seed(0)
    weight = nn.Parameter(gf.empty(200, 300))
    assert fill(weight) is weight
    assert weight.grad_fn is None
    values = weight.detach().numpy().astype(np.float64)
    assert abs(values.mean() - mean) < 0.02 * max(std, 1e-9)
    assert abs(values.std() - std) < 0.02 * max(std, 1e-9)


def test_structured_initialisations():
    gf.manual_seed(0)
    assert nn.init.eye_(gf.empty(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    for shape in ((4, 6), (6, 4), (4, 2, 3), (5, 5)):
        q = nn.init.orthogonal_(gf.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
        small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)
    sparse = nn.init.sparse_(gf.empty(10, 7), 0.25).numpy()
    assert ((sparse == 0).sum(axis=0) == 3).all()
    values = nn.init.trunc_normal_(gf.empty(5000), 0.0, 1.0, 0.5, 1.0).numpy()
    assert values.min() >= 0.5
    assert values.max() <= 1.0


def test_gains_as_torch(torch):
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_initialisations_refuse():
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_uniform_(gf.empty(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        nn.init.calculate_gain("swish")
    with pytest.raises(ValueError, match="Mode fan_up not supported"):
        nn.init.kaiming_uniform_(gf.empty(2, 2), mode="fan_up")
    with pytest.raises(ValueError, match="2 or more dimensions"):
        nn.init.orthogonal_(gf.empty(2))
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(gf.empty(0, 2))
    with pytest.warns(UserWarning, match="more than 2 std"):
        nn.init.trunc_normal_(gf.empty(2), mean=10.0)


# tools


def with_gradients(library):
    rng = np.random.default_rng(0)
    parameters = [library.zeros(3, 2), library.zeros(4), library.zeros(1)]
    for parameter in parameters[:2]:
        parameter.requires_grad_(True)
        parameter.grad = library.tensor(rng.standard_normal(tuple(parameter.shape)).astype(np.float32))
    return parameters


@pytest.mark.parametrize("order", [1.0, 2.0, 3, math.inf])
@pytest.mark.parametrize("bound", [0.5, 100.0])
def test_clip_grad_norm(torch, order, bound):
    ours, theirs = with_gradients(gf), with_gradients(torch)
    total = nn.utils.clip_grad_norm_(ours, bound, order)
    np.testing.assert_allclose(total.item(), torch.nn.utils.clip_grad_norm_(theirs, bound, order).item(), rtol=1e-5)
    for p, q in zip(ours[:2], theirs[:2], strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_clip_grad():
    parameters = with_gradients(gf)
    gradient = parameters[0].grad
    nn.utils.clip_grad_value_(parameters, 0.25)
    assert parameters[0].grad is gradient
    assert gradient.abs().max().item() == 0.25
    assert nn.utils.clip_grad_norm_([gf.ones(1)], 1.0).item() == 0.0
    parameters[0].grad[0, 0] = float("nan")
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    nn.utils.clip_grad_norm_(parameters, 1.0)
    assert parameters[1].grad.isnan().all()


def test_parameters_as_a_vector():
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert tuple(vector.shape) == (9,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(gf.arange(9.0), net.parameters())
    assert net.weight.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert net.bias.tolist() == [6.0, 7.0, 8.0]
    with pytest.raises(RuntimeError, match="has 8 elements, the parameters 9"):
        nn.utils.vector_to_parameters(gf.arange(8.0), net.parameters())
