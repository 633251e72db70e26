"""What MXNet's notes on automatic differentiation say, line for line."""

import numpy as onp
import pytest

import gradflow.mxnet as mx
from gradflow.mxnet import autograd, nd, np, sym

# The notes


def attached(n=4):
    x = np.arange(n)
    x.attach_grad()
    return x


def test_b1_arange_is_float32_and_prints_so():
    x = np.arange(4)
    assert repr(x) == "array([0., 1., 2., 3.])"
    assert x.dtype == onp.float32


def test_b2_an_attached_gradient_is_zeros():
    assert repr(attached().grad) == "array([0., 0., 0., 0.])"
    assert np.arange(4).grad is None


def test_b3_backward_of_a_vector_is_that_of_its_sum():
    x = attached()
    with autograd.record():
        y = x * x
    y.backward()
    assert repr((y, x.grad)) == "(array([0., 1., 4., 9.]), array([0., 2., 4., 6.]))"


def test_b4_a_copy_and_its_sum():
    x = attached()
    with autograd.record():
        y = x * x
    y.backward()
    u = x.copy()
    u.attach_grad()
    with autograd.record():
        v = (u * u).sum()
    v.backward()
    assert (
        repr((v, u.grad, x.grad, x.grad == u.grad))
        == "(array(14.), array([0., 2., 4., 6.]), array([0., 2., 4., 6.]), array([1., 1., 1., 1.]))"
    )


def test_b5_a_product_of_three():
    x = attached()
    with autograd.record():
        y = x * x
        z = y * x
    z.backward()
    assert repr(x.grad) == "array([ 0.,  3., 12., 27.])"


def test_b6_detach_and_gradients_that_are_overwritten():
    x = attached()
    with autograd.record():
        z = x * x * x
    z.backward()
    with autograd.record():
        y = x * x
        u = y.detach()
        z = u * x
    z.backward()
    assert repr((x.grad, u)) == "(array([0., 1., 4., 9.]), array([0., 1., 4., 9.]))"


@pytest.mark.parametrize(("req", "expected"), [("write", [0, 2, 4, 6]), ("add", [0, 4, 8, 12]), ("null", [0, 0, 0, 0])])
def test_b7_grad_req(req, expected):
    x, other = np.arange(4), attached()
    x.attach_grad(req)
    for _ in range(2):
        with autograd.record():
            y = x * x + other
        y.backward()
    assert x.grad.tolist() == expected


def test_b7_the_gradient_stays_in_its_memory():
    x = attached()
    g = x.grad
    with autograd.record():
        y = 3 * x
    y.backward()
    assert g.tolist() == [3, 3, 3, 3]


def test_b7_scopes():
    seen = []

    def look():
        seen.append((autograd.is_recording(), autograd.is_training()))

    look()
    with autograd.record():
        look()
        with autograd.pause():
            look()
        with autograd.predict_mode():
            look()
        with autograd.pause(train_mode=True):
            look()
    with autograd.record(train_mode=False):
        look()
        with autograd.train_mode():
            look()
    look()
    assert seen == [(False, False), (True, True), (False, False), (True, False), (False, True), (True, False), (True, True), (False, False)]


def test_b7_setting_recording_returns_what_it_was():
    assert autograd.set_recording(True) is False
    assert autograd.set_training(True) is False
    assert autograd.set_recording(False) is True
    assert autograd.set_training(False) is True


def test_b7_nothing_is_recorded_outside():
    x = attached()
    y = x * x
    with pytest.raises(mx.MXNetError, match=r"backward: .*not in a computational graph.*record"):
        y.backward()
    with autograd.record(), autograd.pause():
        y = x * x
    with pytest.raises(mx.MXNetError, match="not in a computational graph"):
        y.backward()


def test_b7_mark_variables():
    x, g = np.array([1.0, 2.0]), np.zeros(2)
    autograd.mark_variables(x, g)
    with autograd.record():
        y = x * x
        total = y.sum()
    autograd.backward([y, total], [np.array([1.0, 10.0]), None], retain_graph=True)
    assert g.tolist() == [4, 44]
    y.backward(np.array([0.0, 1.0]))
    assert g.tolist() == [0, 4]


def test_b7_grad_returns_and_can_be_differentiated():
    x = attached()
    with autograd.record():
        y = x**3
        (first,) = autograd.grad(y, [x], create_graph=True)
        (second,) = autograd.grad(first, x, create_graph=True)
    second.backward()
    assert first.tolist() == [0, 3, 12, 27]
    assert second.tolist() == [0, 6, 12, 18]
    assert x.grad.tolist() == [6, 6, 6, 6]


def test_b7_grad_does_not_touch_the_attached_gradient():
    x = attached()
    with autograd.record():
        y = x * x
    autograd.grad(y, [x])
    assert x.grad.tolist() == [0, 0, 0, 0]


class Sigmoid(autograd.Function):
    def forward(self, x):
        assert not autograd.is_recording()
        y = 1 / (1 + nd.exp(-x))
        self.save_for_backward(y)
        return y

    def backward(self, dy):
        (y,) = self.saved_tensors
        return dy * y * (1 - y)


@pytest.mark.parametrize("namespace", [np, nd])
def test_b7_function(namespace):
    x = namespace.array([-1.0, 0.5])
    x.attach_grad()
    function = Sigmoid()
    with autograd.record():
        y = function(x)
    y.backward()
    s = 1 / (1 + onp.exp(-x.asnumpy()))
    onp.testing.assert_allclose(x.grad.asnumpy(), s * (1 - s), rtol=1e-6)
    assert type(y) is type(x)
    with pytest.raises(mx.MXNetError, match="only be called once"):
        function(x)


class Both(autograd.Function):
    def forward(self, x, y):
        return x + y, x * 2

    def backward(self, da, db):
        return da + 2 * db, da


def test_b7_function_of_several():
    x, y = attached(2), attached(2)
    with autograd.record():
        a, b = Both()(x, y)
        total = a + 3 * b
    total.backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([7, 7], [1, 1])


def test_b8_ones_inside_record():
    with autograd.record():
        a = nd.ones((2, 1))
        b = nd.ones((2, 1))
    assert repr(a + b) == "\n[[2.]\n [2.]]\n<NDArray 2x1 @cpu(0)>"


def test_c1_a_graph_without_data():
    a, b = sym.var(), sym.var()
    c = 2 * a + b
    assert c.list_arguments() == [a.name, b.name]
    assert len({a.name, b.name, c.name}) == 3
    named = 2 * sym.var("a") + sym.var("b")
    assert named.list_arguments() == ["a", "b"]
    with pytest.raises(mx.MXNetError, match="no value yet"):
        bool(c)


def test_c2_shapes_values_and_gradients():
    c = 2 * sym.var("a") + sym.var("b")
    ones = nd.ones((2, 1))
    assert c.infer_shape(a=(2, 1), b=(2, 1)) == ([(2, 1), (2, 1)], [(2, 1)], [])
    assert c.infer_shape() == (None, None, None)
    assert c.infer_type() == ([onp.float32, onp.float32], [onp.float32], [])
    assert c.eval(a=ones, b=ones)[0].tolist() == [[3], [3]]
    executor = c.bind(mx.cpu(), {"a": ones.copy(), "b": ones}, args_grad={"a": nd.zeros((2, 1)), "b": nd.zeros((2, 1))})
    assert executor.forward()[0].tolist() == [[3], [3]]
    executor.backward()
    assert executor.grad_dict["a"].tolist() == [[2], [2]]
    assert executor.grad_dict["b"].tolist() == [[1], [1]]
    executor.forward(a=nd.array([[5.0], [6.0]]))
    assert executor.outputs[0].tolist() == [[11], [13]]


def test_c3_symbolic_and_imperative_agree():
    def f(m, x, w):
        return m.sum(m.tanh(m.dot(x, w)) ** 2 / 2 - x.mean() * w[0], axis=0)

    x, w = nd.random.normal(shape=(3, 4)), nd.random.normal(shape=(4, 2))
    executor = f(sym, sym.var("x"), sym.var("w")).bind(mx.cpu(), [x, w])
    (symbolic,) = executor.forward(is_train=True)
    executor.backward()
    x.attach_grad()
    w.attach_grad()
    with autograd.record():
        y = f(nd, x, w)
    y.backward()
    assert symbolic.tolist() == y.tolist()
    assert executor.grad_dict["x"].tolist() == x.grad.tolist()
    assert executor.grad_dict["w"].tolist() == w.grad.tolist()
