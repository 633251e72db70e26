"""The behaviours that the documents gradflow was made from show, row by row (part A: PyTorch's dialect)."""

import numpy as np
import pytest

import gradflow as torch


def fresh():
    return torch.arange(4.0, requires_grad=True)


def test_A1_arange_prints():
    assert repr(torch.arange(4.0)) == "tensor([0., 1., 2., 3.])"


def test_A2_requires_grad_():
    x = torch.arange(4.0)
    assert x.requires_grad_(True) is x
    assert x.grad is None and x.requires_grad
    assert torch.arange(4.0, requires_grad=True).requires_grad


def test_A3_A4_the_gradient_of_twice_the_dot_product():
    x = fresh()
    y = 2 * torch.dot(x, x)
    assert repr(y) == "tensor(28., grad_fn=<MulBackward0>)"
    y.backward()
    assert repr(x.grad) == "tensor([ 0.,  4.,  8., 12.])"


def test_A5_T_of_a_vector():
    x = fresh()
    y = 2 * torch.dot(x.T, x)
    y.backward()
    assert x.grad.tolist() == [0, 4, 8, 12]


def test_A6_A7_comparison_has_no_history():
    x = fresh()
    (2 * torch.dot(x, x)).backward()
    assert repr(4 * x) == "tensor([ 0.,  4.,  8., 12.], grad_fn=<MulBackward0>)"
    same = x.grad == 4 * x
    assert repr(same) == "tensor([True, True, True, True])"
    assert same.dtype is torch.bool and same.grad_fn is None


def test_A8_zero_the_gradient():
    x = fresh()
    (2 * torch.dot(x, x)).backward()
    x.grad.zero_()
    x.sum().backward()
    assert repr(x.grad) == "tensor([1., 1., 1., 1.])"


def test_A9_gradients_add_up():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for _ in range(3):
        (x * x).sum().backward()
    assert repr(x.grad) == "tensor([ 6., 12., 18.])"


def test_A10_A11_vectors_go_back_with_a_vector():
    x = fresh()
    (x * x).sum().backward()
    assert repr(x.grad) == "tensor([0., 2., 4., 6.])"
    x.grad.zero_()
    (x * x).backward(torch.ones(len(x)))
    assert repr(x.grad) == "tensor([0., 2., 4., 6.])"
    v = torch.tensor([1.0, -2.0, 0.5, 3.0])
    (g,) = torch.autograd.grad(torch.dot(x * x, v), x)
    x.grad = None
    (x * x).backward(v)
    assert torch.equal(x.grad, g)


def test_A12_only_scalars_go_back_alone():
    x = fresh()
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (x * x).backward()
    assert x.grad is None


def test_A13_A17_a_product_of_three_and_its_second_backward():
    x = fresh()
    y = x * x
    z = y * x
    z.sum().backward()
    assert repr(x.grad) == "tensor([ 0.,  3., 12., 27.])"
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()
    assert x.grad.tolist() == [0, 3, 12, 27]


def test_A14_A15_A16_detached_values_are_constants():
    x = fresh()
    y = x * x
    u = y.detach()
    z = u * x
    z.sum().backward()
    assert repr(x.grad) == "tensor([0., 1., 4., 9.])"
    assert torch.all(x.grad == u)
    assert repr(x) == "tensor([0., 1., 2., 3.], requires_grad=True)"
    assert repr(y) == "tensor([0., 1., 4., 9.], grad_fn=<MulBackward0>)"
    x.grad.zero_()
    y.sum().backward()
    assert repr(x.grad) == "tensor([0., 2., 4., 6.])"


def test_A18_control_flow():
    def f(a):
        b = a * 2
        while b.norm() < 1000:
            b = b * 2
        return b if b.sum() > 0 else 100 * b

    for seed in range(20):
        torch.manual_seed(seed)
        a = torch.randn(size=(), requires_grad=True)
        d = f(a)
        d.backward()
        want = (d / a).item()
        if a.item() > 0:
            assert a.grad == d / a
        else:
            assert abs(a.grad.item() - want) <= np.spacing(np.float32(want))


def test_A19_gradient_memory_is_allocated_once():
    x = fresh()
    (x * x).sum().backward()
    g, address = x.grad, x.grad.data_ptr()
    (x * x).sum().backward()
    assert x.grad is g and x.grad.data_ptr() == address
    del g
    for _ in range(3):
        x.grad = None
        (x * x).sum().backward()
        assert x.grad.data_ptr() == address


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (2, 0)])
def test_A20_the_gradient_has_the_shape_of_x(shape):
    x = torch.ones(shape, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.shape == x.shape


def test_A21_losses_and_parts_of_a_batch_add_up():
    torch.manual_seed(1)
    w, data = torch.randn(5, requires_grad=True), torch.randn(8, 5)
    ((data @ w) ** 2).sum().backward()
    whole = w.grad.clone()
    w.grad = None
    for part in data.split(3):
        ((part @ w) ** 2).sum().backward()
    assert torch.allclose(w.grad, whole, rtol=1e-5)


def test_A22_no_gradient_before_backward():
    assert fresh().grad is None


def test_A23_higher_orders():
    x = fresh()
    y = (x**3).sum()
    for want in ([0, 3, 12, 27], [0, 6, 12, 18], [6, 6, 6, 6]):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        assert g.tolist() == want
        y = g.sum()


def test_A24_a_recurrent_net_is_a_loop_in_the_code_and_a_graph_on_the_tape():
    torch.manual_seed(2)
    w, h = torch.randn(4, 4, dtype=torch.float64, requires_grad=True), torch.zeros(4, dtype=torch.float64)
    steps = torch.randn(2000, 4, dtype=torch.float64)
    for x in steps:
        h = torch.tanh(w @ h * 0.3 + x)
    h.sum().backward()
    eps, numeric = 1e-6, np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            values = []
            for sign in (1, -1):
                v, state = w.detach().numpy().copy(), np.zeros(4)
                v[i, j] += sign * eps
                for x in steps.numpy():
                    state = np.tanh(v @ state * 0.3 + x)
                values.append(state.sum())
            numeric[i, j] = (values[0] - values[1]) / (2 * eps)
    assert np.allclose(w.grad.numpy(), numeric, rtol=1e-5, atol=1e-8)
