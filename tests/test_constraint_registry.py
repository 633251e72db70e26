"""Constraints and the transforms that lead into them agree with torch's."""

import numpy as np
import pytest

import gradflow as gf

NAMES = "real positive nonnegative unit_interval simplex corr_cholesky lower_cholesky positive_definite positive_semidefinite real_vector"
MADE = [
    "interval(1., 3.)", "greater_than(2.)", "less_than(1.)", "half_open_interval(0., 1.)", "independent(c.positive, 1)",
    "cat([c.positive, c.real], 0, [1, 2])", "stack([c.positive, c.real, c.unit_interval], 0)", "cat([c.positive, c.real], -1, [1, 2])",
]  # fmt: skip


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("expression", [f"{name}" for name in NAMES.split()] + MADE)
def test_transforms_agree(torch, expression, registry):
    theirs, ours = (eval(f"c.{expression}", {"c": lib.distributions.constraints}) for lib in (torch, gf))
    assert str(theirs) == str(ours)
    try:
        to = getattr(torch.distributions, registry)(theirs)
    except NotImplementedError as refused:
        with pytest.raises(NotImplementedError, match=str(refused)):
            getattr(gf.distributions, registry)(ours)
        return
    too = getattr(gf.distributions, registry)(ours)
    x = np.random.default_rng(0).normal(size=(3, 3))
    a, b = torch.tensor(x, requires_grad=True), gf.tensor(x, requires_grad=True)
    y, z = to(a), too(b)
    assert (to.domain.event_dim, to.codomain.event_dim) == (too.domain.event_dim, too.codomain.event_dim)
    assert np.allclose(y.detach(), z.detach().numpy(), rtol=1e-6)
    assert np.allclose(to.inv(y).detach(), too.inv(z).detach().numpy(), rtol=1e-5)
    assert np.array_equal(theirs.check(y.detach()), ours.check(z.detach()).numpy())
    if to.bijective:
        log, mine = to.log_abs_det_jacobian(a, y), too.log_abs_det_jacobian(b, z)
        assert np.allclose(log.detach(), mine.detach().numpy(), rtol=1e-5)
        if log.requires_grad:
            log.sum().backward()
            mine.sum().backward()
            assert np.allclose(a.grad, b.grad.numpy(), rtol=1e-4)


def test_registries_take_classes_and_refuse_the_rest():
    c, registry = gf.distributions.constraints, gf.distributions.constraint_registry.ConstraintRegistry()

    class Even(c.Constraint):
        pass

    registry.register(Even, lambda constraint: gf.distributions.ExpTransform())
    assert isinstance(registry(Even()), gf.distributions.ExpTransform)
    assert isinstance(c.positive, c.greater_than) and str(Even()) == "Even()"
    with pytest.raises(NotImplementedError, match="Cannot transform"):
        registry(c.positive)
    with pytest.raises(TypeError, match="Expected constraint"):
        registry.register(3, lambda constraint: None)
    with pytest.raises(ValueError, match="one length"):
        c.cat([c.real, c.real], lengths=[1])
    with pytest.raises(TypeError, match="expected constraints"):
        c.stack([1])
    with pytest.raises(ValueError, match="one length"):
        gf.distributions.CatTransform([gf.distributions.ExpTransform()], lengths=[1, 2])
    with pytest.raises(TypeError, match="expected transforms"):
        gf.distributions.StackTransform([3])


def test_the_shapes_of_correlations():
    t = gf.distributions.CorrCholeskyTransform()
    assert tuple(t.forward_shape((5, 3))) == (5, 3, 3) and tuple(t.inverse_shape((5, 3, 3))) == (5, 3)
    for shape, call in (((), t.forward_shape), ((4,), t.forward_shape), ((2, 3), t.inverse_shape)):
        with pytest.raises(ValueError, match="CorrCholeskyTransform"):
            call(shape)
    utils = gf.distributions.utils
    with pytest.raises(ValueError, match="outside"):
        utils.tril_matrix_to_vec(gf.ones(2, 2), 2)
    with pytest.raises(ValueError, match="lower triangular"):
        utils.vec_to_tril_matrix(gf.ones(4))


def test_a_copula_of_uniform_numbers(torch):
    x = np.random.default_rng(1).normal(size=4)
    t, g = (lib.distributions.CumulativeDistributionTransform(lib.distributions.Normal(lib.tensor(0.5), 2.0)) for lib in (torch, gf))
    y, z = t(torch.tensor(x)), g(gf.tensor(x))
    assert np.allclose(y, z.numpy()) and np.allclose(t.inv(y), g.inv(z).numpy())
    assert np.allclose(t.log_abs_det_jacobian(torch.tensor(x), y), g.log_abs_det_jacobian(gf.tensor(x), z).numpy())
    assert g.sign == 1 and g.domain is gf.distributions.constraints.real
