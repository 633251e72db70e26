"""MXNet's dialect: its rules, and what a reader of the notes types next."""

import copy
import doctest
import pickle
import subprocess
import sys

import numpy as onp
import pytest

import gradflow as gf
import gradflow.mxnet as mx
from gradflow.mxnet import autograd, nd, np, npx, sym


def test_it_is_not_imported_with_gradflow():
    code = "import sys, gradflow; assert 'gradflow.mxnet' not in sys.modules; gradflow.mxnet.np.zeros(1)"
    subprocess.run([sys.executable, "-c", code], check=True)


def attached(n=4):
    x = np.arange(n)
    x.attach_grad()
    return x


# What comes next


def test_a_layer_of_symbols_infers_its_parameters():
    net = sym.FullyConnected(
        sym.Activation(sym.FullyConnected(sym.var("data"), num_hidden=3, name="fc1"), act_type="relu"), num_hidden=2, name="fc2"
    )
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    shapes, outputs, _ = net.infer_shape(data=(5, 7))
    assert shapes == [(5, 7), (3, 7), (3,), (2, 3), (2,)]
    assert outputs == [(5, 2)]
    executor = net.simple_bind(mx.cpu(), data=(5, 7))
    assert executor.forward()[0].shape == (5, 2)
    both = sym.Group([net, sym.var("data")])
    assert both.list_outputs() == ["fc2_output", "data"]


def test_errors_of_symbols_name_them():
    c = sym.dot(sym.var("a"), sym.var("b"), name="product")
    with pytest.raises(mx.MXNetError, match="a, b have no value"):
        c.eval()
    with pytest.raises(mx.MXNetError, match="no argument is called x; the arguments are a, b"):
        c.eval(x=nd.ones(1))
    with pytest.raises(mx.MXNetError, match="<Symbol product>"):
        c.eval(a=nd.ones((2, 3)), b=nd.ones((2, 3)))
    with pytest.raises(mx.MXNetError, match="two variables are called 'a'"):
        (sym.var("a") + sym.var("a")).list_arguments()


def test_linear_regression():
    npx.set_np()
    npx.seed(0)
    true_w, true_b = np.array([2, -3.4]), 4.2
    features = np.random.normal(0, 1, (200, 2))
    labels = np.dot(features, true_w) + true_b
    w, b = np.random.normal(0, 0.01, (2, 1)), np.zeros(1)
    for parameter in (w, b):
        parameter.attach_grad()
    for _ in range(150):
        with autograd.record():
            loss = (np.dot(features, w) + b - labels.reshape(-1, 1)) ** 2 / 2
        loss.backward()
        w[:] = w - 0.1 * w.grad / len(features)
        b -= 0.1 * b.grad / len(features)
    onp.testing.assert_allclose(w.asnumpy().ravel(), true_w.asnumpy(), atol=1e-4)
    onp.testing.assert_allclose(b.asnumpy(), true_b, atol=1e-4)


def test_softmax_regression():
    npx.seed(1)
    x = np.random.normal(0, 1, (60, 3))
    labels = np.argmax(x, axis=1)
    w = np.zeros((3, 3))
    w.attach_grad()
    for _ in range(100):
        with autograd.record():
            loss = -npx.pick(npx.log_softmax(np.dot(x, w)), labels).mean()
        loss.backward()
        w -= w.grad
    assert float((np.argmax(np.dot(x, w), axis=1) == labels).mean()) > 0.95


def test_npx_functions():
    x = np.array([[-1.0, 0.5, 2.0], [3.0, 1.0, -2.0]])
    assert npx.relu(x).tolist() == [[0, 0.5, 2], [3, 1, 0]]
    onp.testing.assert_allclose(npx.softmax(x).sum(axis=1).asnumpy(), [1, 1], rtol=1e-6)
    assert npx.one_hot(np.array([0, 2, 5]), 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert npx.pick(x, np.array([2, 0])).tolist() == [2, 3]
    assert npx.pick(x, np.array([9, 0]), keepdims=True).tolist() == [[2], [3]]
    assert npx.topk(x, k=2).tolist() == [[2, 1], [0, 1]]
    assert npx.topk(x, ret_typ="mask").tolist() == [[0, 0, 1], [1, 0, 0]]
    assert npx.fully_connected(x, np.ones((2, 3)), np.zeros(2), num_hidden=2).shape == (2, 2)
    assert npx.embedding(np.array([1, 0]), x).tolist() == [[3, 1, -2], [-1, 0.5, 2]]
    assert npx.sequence_mask(np.ones((3, 2)), np.array([1, 2]), True).tolist() == [[1, 1], [0, 1], [0, 0]]
    assert npx.gamma(np.array([0.5, 5.0, -0.5, -1.5])).tolist() == pytest.approx([1.7724539, 24, -3.5449077, 2.3632718], rel=1e-5)
    assert npx.activation(x, "softrelu").tolist() == npx.activation(x, act_type="softrelu").tolist()
    assert npx.batch_dot(np.ones((2, 3, 4)), np.ones((2, 5, 4)), transpose_b=True).shape == (2, 3, 5)
    with pytest.raises(mx.MXNetError, match="activation: act_type is 'swish'; expected one of relu"):
        npx.activation(x, "swish")


def test_images():
    x, w = np.random.normal(0, 1, (2, 3, 6, 6)), np.random.normal(0, 1, (4, 3, 3, 3))
    w.attach_grad()
    with autograd.record():
        y = npx.convolution(x, w, np.ones(4), kernel=(3, 3), num_filter=4, pad=(1, 1), stride=(2, 2))
    y.backward()
    expected = gf.nn.functional.conv2d(x.tensor, w.tensor.detach(), gf.ones(4), 2, 1)
    assert y.tolist() == expected.tolist()
    assert w.grad.shape == (4, 3, 3, 3)
    assert npx.pooling(x, kernel=(2, 2), stride=(2, 2)).shape == (2, 3, 3, 3)
    assert npx.pooling(x, kernel=(2, 2)).shape == (2, 3, 5, 5)
    assert npx.pooling(x, global_pool=True, pool_type="avg").shape == (2, 3, 1, 1)
    with pytest.raises(mx.MXNetError, match="pooling: pool_type='sum'"):
        npx.pooling(x, pool_type="sum")
    with pytest.raises(mx.MXNetError, match="convolution: num_filter is 5, but the weight has 4 filters"):
        npx.convolution(x, w, num_filter=5)


def test_batch_norm_follows_the_batches():
    x = np.random.normal(3, 2, (50, 4))
    mean, var = np.zeros(4), np.ones(4)
    with autograd.record():
        y = npx.batch_norm(x, np.ones(4), np.zeros(4), mean, var)
    a = x.asnumpy()
    onp.testing.assert_allclose(y.asnumpy(), (a - a.mean(0)) / onp.sqrt(a.var(0) + 1e-3), rtol=1e-4, atol=1e-5)
    onp.testing.assert_allclose(mean.asnumpy(), 0.1 * a.mean(0), rtol=1e-5)
    onp.testing.assert_allclose(var.asnumpy(), 0.9 + 0.1 * a.var(0), rtol=1e-5)
    y = npx.batch_norm(x, np.ones(4), np.zeros(4), mean, var)
    onp.testing.assert_allclose(y.asnumpy(), (a - mean.asnumpy()) / onp.sqrt(var.asnumpy() + 1e-3), rtol=1e-4, atol=1e-5)


def test_examples():
    for module in (sys.modules[mx.Context.__module__], autograd, sym):
        results = doctest.testmod(module)
        assert results.attempted and not results.failed


def test_dropout_is_for_training():
    x = np.ones((100,))
    assert npx.dropout(x).tolist() == x.tolist()
    with autograd.record():
        assert sorted(set(npx.dropout(x).tolist())) == [0, 2]
    with autograd.record(train_mode=False):
        assert npx.dropout(x).tolist() == x.tolist()


NUMPYS = [
    ("exp", ()), ("square", ()), ("sum", ()), ("sum", (0,)), ("mean", (1,)), ("max", ()), ("min", (0,)), ("std", ()), ("var", (1,)), ("argmax", ()),
    ("argmin", (0,)), ("cumsum", ()), ("cumsum", (0,)), ("transpose", ()), ("transpose", ((1, 0),)), ("flip", ()), ("flip", (0,)), ("roll", (1,)),
    ("repeat", (2,)), ("repeat", (2, 1)), ("tile", (2,)), ("reshape", ((3, 2),)), ("ravel", ()), ("expand_dims", (1,)), ("clip", (0.0, 1.0)),
    ("sort", ()), ("argsort", (0,)), ("median", ()), ("median", (1,)), ("rint", ()), ("dot", (onp.ones((3, 2), "f"),)), ("maximum", (0.5,)),
    ("power", (2,)), ("tril", ()), ("diagonal", ()), ("trace", ()), ("take", ([0, 2], 1)), ("any", (0,)), ("prod", (1,)), ("swapaxes", (0, 1)),
    ("average", (0,)), ("broadcast_to", ((2, 2, 3),)), ("tensordot", (onp.ones((3, 2), "f"), 1)), ("pad", (((1, 0), (0, 2)),)), ("pad", (1,)), ("rot90", ()),
    ("arctan2", (1.0,)), ("floor", ()), ("squeeze", ()), ("diff", ()), ("array_equal", (onp.ones((2, 3), "f"),)), ("outer", (onp.ones(2, "f"),)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), NUMPYS)
def test_functions_are_numpys(name, args):
    a = onp.array([[1.5, -2.0, 0.25], [3.0, 0.5, -1.0]], "f")
    expected = getattr(onp, name)(a, *args)
    result = getattr(np, name)(np.array(a), *(np.array(x) if isinstance(x, onp.ndarray) else x for x in args))
    onp.testing.assert_allclose(onp.asarray(result), expected, rtol=1e-5, atol=1e-6)
    assert onp.shape(result) == onp.shape(expected)


def test_several_arrays():
    a, b = np.ones((2, 3)), np.zeros((2, 3))
    assert np.concatenate([a, b], axis=1).shape == (2, 6)
    assert np.stack((a, b), axis=2).shape == (2, 3, 2)
    assert [p.shape for p in np.split(np.arange(6), 3)] == [(2,)] * 3
    assert [p.shape for p in np.array_split(np.arange(7), 3)] == [(3,), (2,), (2,)]
    assert [m.shape for m in np.meshgrid(np.arange(3), np.arange(2))] == [(2, 3), (2, 3)]
    assert np.where(np.array([1.0, -1.0]) > 0, np.ones(2), np.zeros(2)).tolist() == [1, 0]
    assert nd.concat(nd.ones((2, 3)), nd.ones((2, 1)), dim=1).shape == (2, 4)
    assert nd.stack(nd.ones(2), nd.ones(2), axis=1).shape == (2, 2)
    with pytest.raises(mx.MXNetError, match=r"split: 7 items do not divide into 3 equal parts; use array_split"):
        np.split(np.arange(7), 3)


def test_types_are_float32_unless_given():
    assert np.array([1, 2]).dtype == onp.float32
    assert np.array(onp.ones(2)).dtype == onp.float32
    assert np.ones(2, dtype="int32").dtype == onp.int32
    assert np.array(np.ones(2, dtype="float64")).dtype == onp.float64
    assert nd.ones(2).dtype is onp.float32
    assert np.random.randint(0, 5, size=3).dtype == onp.int64
    assert repr(np.array([1, 2], dtype="int32")) == "array([1, 2], dtype=int32)"
    assert repr(np.array([1.5], dtype=onp.float64)) == "array([1.5], dtype=float64)"
    assert repr(np.array([True, False], dtype=bool)) == "array([ True, False])"
    assert repr(np.array([1, 2]).astype("float16").astype(np.float32)) == "array([1., 2.])"
    with pytest.raises(mx.MXNetError, match="dtype: there are no arrays of 'complex64'"):
        np.ones(2, dtype="complex64")


def test_nd_has_no_zero_dimensional_arrays():
    assert nd.ones((2, 2)).sum().shape == (1,)
    assert nd.ones((2, 2)).sum().asscalar() == 4
    assert np.ones((2, 2)).sum().shape == ()
    assert nd.array([[1.0, 2.0]]).as_np_ndarray().sum().shape == ()


def test_nd_reshapes_by_codes():
    x = nd.zeros((2, 3, 4))
    for given, expected in [((0, -1), (2, 12)), ((-2,), (2, 3, 4)), ((-3, 4), (6, 4)), ((-4, 1, 2, -2), (1, 2, 3, 4)), ((4, 6), (4, 6))]:
        assert x.reshape(given).shape == expected
        assert x.reshape(*given).shape == expected
    assert nd.sum(x, axis=1, exclude=True).shape == (3,)
    with pytest.raises(mx.MXNetError, match="reshape"):
        x.reshape((0, 0, 0, 0))


def test_numpy_and_arrays():
    x, a = np.arange(3), onp.ones(3, "f")
    assert isinstance(a * x, np.ndarray)
    assert isinstance(x + a, np.ndarray)
    assert isinstance(x.asnumpy(), onp.ndarray)
    numbers = x.asnumpy()
    numbers[0] = 9
    assert x.tolist() == [0, 1, 2]
    assert onp.exp(x).tolist() == onp.exp(x.asnumpy()).tolist()
    assert np.array([x, x]).shape == (2, 3)


def test_indices_and_assignments():
    x = np.arange(12).reshape(3, 4)
    x[1, 2] = 100
    x[0, :] = 7
    x[2] = [1, 2, 3, 4]
    assert x.tolist() == [[7, 7, 7, 7], [4, 5, 100, 7], [1, 2, 3, 4]]
    part = x[1:, 1:3]
    part[:] = 0
    assert x[1].tolist() == [4, 0, 0, 7]
    assert x[np.array([0, 2], dtype="int64")].shape == (2, 4)
    assert x[(x > 6).astype(bool)].tolist() == [7, 7, 7, 7, 7]
    with pytest.raises(mx.MXNetError, match=r"index: an array of floats could be positions or a mask.*astype"):
        x[x > 6]
    assert [row.shape for row in x] == [(4,)] * 3
    assert 7 in x
    assert (x == None) is False  # noqa: E711


def test_places():
    x = np.ones(2)
    assert x.as_in_ctx(npx.cpu()) is x
    assert x.ctx == mx.cpu()
    assert str(x.ctx) == "cpu(0)"
    assert x.copyto(mx.cpu()).tolist() == [1, 1]
    x.wait_to_read()
    npx.waitall()
    if not npx.num_gpus():
        with pytest.raises(mx.MXNetError, match="cuda"):
            x.as_in_ctx(npx.gpu())
    with pytest.raises(mx.MXNetError, match="context: expected"):
        np.ones(2, ctx="cpu")


def test_attach_grad_forgets_the_history():
    x = attached()
    with autograd.record():
        y = x * x
        y.attach_grad()
        z = y * 2
    z.backward()
    assert y.grad.tolist() == [2, 2, 2, 2]
    assert x.grad.tolist() == [0, 0, 0, 0]
    with pytest.raises(mx.MXNetError, match=r"attach_grad: only arrays of floats"):
        np.ones(2, dtype="int32").attach_grad()
    with pytest.raises(mx.MXNetError, match=r"grad_req: expected 'write', 'add' or 'null', not 'overwrite'"):
        x.attach_grad("overwrite")
    x.drop_grad()
    assert x.grad is None


def test_a_second_backward_needs_the_graph():
    x = attached()
    with autograd.record():
        y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [0, 2, 4, 6]
    with pytest.raises(mx.MXNetError, match="second time"):
        y.backward()
    assert x.grad.tolist() == [0, 2, 4, 6]


def test_gradflow_is_not_disturbed():
    x = gf.ones(2, requires_grad=True)
    with autograd.record():
        assert (x * 2).requires_grad
    assert (x * 2).requires_grad
    assert gf.is_grad_enabled()


def test_copies_files_and_pickles(tmp_path):
    x = attached()
    assert copy.deepcopy(x).tolist() == pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    file = str(tmp_path / "arrays")
    npx.save(file, {"x": x, "y": np.ones((2, 2))})
    loaded = npx.load(file)
    assert loaded["x"].tolist() == x.tolist()
    nd.save(file, [nd.ones(2), nd.zeros(3)])
    assert [a.shape for a in nd.load(file)] == [(2,), (3,)]


def test_random():
    np.random.seed(3)
    a = np.random.uniform(-1, 1, size=(1000,))
    np.random.seed(3)
    assert np.random.uniform(-1, 1, size=(1000,)).tolist() == a.tolist()
    assert -1 <= float(a.min()) < -0.9 < 0.9 < float(a.max()) < 1
    assert np.random.normal(np.zeros(5), 1.0).shape == (5,)
    assert nd.random.normal(0, 1, shape=(2, 2)).shape == (2, 2)
    x = np.arange(10)
    np.random.shuffle(x)
    assert sorted(x.tolist()) == list(range(10))
    assert len(set(np.random.choice(10, size=5, replace=False).tolist())) == 5
    assert np.random.rand(2, 3).shape == (2, 3)


def test_gluon_is_out_of_scope():
    with pytest.raises(ImportError, match="gluon: MXNet's layers and trainers are out of scope"):
        from gradflow.mxnet import gluon  # noqa: F401
    with pytest.raises(ImportError, match="out of scope"):
        from gradflow.mxnet.gluon import nn  # noqa: F401
    with pytest.raises(ImportError, match="out of scope"):
        _ = mx.gluon


@pytest.mark.parametrize(
    "call",
    [
        lambda: np.ones("a"),
        lambda: np.array([[1], [1, 2]]),
        lambda: np.full((2,), "a"),
        lambda: np.where(3, np.ones(2), np.ones(2)),
        lambda: np.exp("a"),
        lambda: np.ones(2).copyto(3),
        lambda: np.concatenate([np.ones((2, 3)), np.ones((3, 4))]),
        lambda: autograd.backward(3),
        lambda: sym.dot(1, 2).eval(),
        lambda: np.ones(2) + np.ones(3),
    ],
)
def test_wrong_arguments_are_named(call):
    with pytest.raises(mx.MXNetError, match=r"^\w+: ."):
        call()
