"""Copies, scatters, blocks, shuffles, integrals and rarer constructors, against torch."""

import numpy as np
import pytest
from compare import same

import gradflow as gf

RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 5))
B = RNG.normal(size=(2, 3, 4))
V = RNG.normal(size=6)
X = np.sort(RNG.uniform(0, 3, 6))

BOTH = {
    "expand_copy": (lambda t, x: t.expand_copy(x[:, :1], (4, 3)), [A]),
    "view_copy": (lambda t, x: t.view_copy(x, (5, 4)), [A]),
    "t_copy": (lambda t, x: t.t_copy(x), [A]),
    "slice_copy": (lambda t, x: t.slice_copy(x, 1, 1, 4, 2), [A]),
    "unbind_copy": (lambda t, x: t.unbind_copy(x, 1)[2], [A]),
    "slice_scatter": (lambda t, x, y: t.slice_scatter(x, y[:2], 0, 1, 3), [A, A + 1]),
    "slice_scatter step": (lambda t, x, y: x.slice_scatter(y[:, :2], 1, start=1, step=2), [A, A + 1]),
    "select_scatter": (lambda t, x, y: t.select_scatter(x, y[0], 0, -1), [A, A + 1]),
    "diagonal_scatter": (lambda t, x, y: t.diagonal_scatter(x, y[:4, 0], 1), [A, A + 1]),
    "block_diag": (lambda t, x, y: t.block_diag(x, y, t.tensor(2.0, dtype=t.float64)), [A, V]),
    "combinations": (lambda t, x: t.combinations(x, 3), [V]),
    "combinations with": (lambda t, x: t.combinations(x, 2, with_replacement=True), [V]),
    "diagflat": (lambda t, x: t.diagflat(x, 1), [A]),
    "dsplit": (lambda t, x: x.dsplit(2)[1], [B]),
    "sum_to_size": (lambda t, x: x.sum_to_size(1, 5), [A]),
    "fill": (lambda t, x, y: t.fill(x, y[0]), [A, V]),
    "renorm": (lambda t, x: t.renorm(x, 2, 0, 1.5), [A]),
    "renorm 1": (lambda t, x: x.renorm(1, 1, 2.0), [B]),
    "index_reduce prod": (lambda t, x, y: x.index_reduce(0, t.tensor([0, 3, 0]), y[:3], "prod"), [A, A + 1]),
    "index_reduce mean": (lambda t, x, y: x.index_reduce(1, t.tensor([0, 3, 0]), y[:, :3], "mean", include_self=False), [A, A + 1]),
    "index_reduce amax": (lambda t, x, y: x.index_reduce(0, t.tensor([0, 3, 0]), y[:3], "amax"), [A, A + 1]),
    "pixel_shuffle": (lambda t, x: t.pixel_shuffle(x, 2), [RNG.normal(size=(2, 8, 2, 3))]),
    "pixel_unshuffle": (lambda t, x: t.pixel_unshuffle(x, 2), [RNG.normal(size=(3, 4, 6))]),
    "channel_shuffle": (lambda t, x: t.channel_shuffle(x, 3), [RNG.normal(size=(2, 6, 2, 2))]),
    "pad": (lambda t, x: t.constant_pad_nd(x, (1, 2), 3.0), [A]),
    "trapezoid": (lambda t, x: t.trapezoid(x, dx=0.5), [A]),
    "trapezoid x": (lambda t, y, x: t.trapezoid(y, x, dim=0), [V, X]),
    "cumulative_trapezoid": (lambda t, y, x: t.cumulative_trapezoid(y, x), [V, X]),
    "gradient": (lambda t, x: sum(g.sum() * (i + 1.0) for i, g in enumerate(t.gradient(x, spacing=0.5))), [A]),
    "gradient coordinates": (lambda t, x: t.gradient(x, spacing=(t.tensor(X, dtype=t.float64),), edge_order=2)[0], [V]),
    "gradient axis": (lambda t, x: t.gradient(x, dim=1, edge_order=2)[0], [A]),
    "transpose_": (lambda t, x: (x * 1).transpose_(0, 1) * t.arange(4.0, dtype=t.float64), [A]),
    "unsqueeze_": (lambda t, x: (x * 1).unsqueeze_(0).squeeze_().t_(), [A]),
    "fill_diagonal_": (lambda t, x: (x * x).fill_diagonal_(2.0), [A]),
}


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", BOTH)
def test_derivatives(torch, name):
    f, arrays = BOTH[name]
    same(torch, f, arrays)


def gradient_of(t, f, array):
    x = t.tensor(array, requires_grad=True)
    (f(x) * t.arange(1.0, f(x).numel() + 1, dtype=x.dtype).reshape(f(x).shape)).sum().backward()
    return x.grad


VALUES = {
    "as_strided_scatter": lambda t: t.as_strided_scatter(t.tensor(A), t.ones(2, 2, dtype=t.float64), (2, 2), (5, 2), 1),
    "pdist": lambda t: gradient_of(t, lambda x: t.nn.functional.pdist(x, 3.0), A),
    "vander": lambda t: t.vander(t.tensor(V), 3),
    "unravel_index": lambda t: t.stack(t.unravel_index(t.tensor([3, 17, 0]), (4, 5))),
    "argwhere": lambda t: t.argwhere(t.tensor([[0, 1], [2, 0]])),
    "nonzero_static": lambda t: t.nonzero_static(t.tensor([0, 1, 2]), size=4),
    "tril_indices": lambda t: t.tril_indices(3, 4, 1),
    "triu_indices": lambda t: t.triu_indices(3, 4, -1),
    "scalar_tensor": lambda t: t.scalar_tensor(3),
    "histogram": lambda t: t.histogram(t.tensor([0.1, 0.5, 2.0, 3.0]), 3)[0],
    "histogram edges": lambda t: t.histogram(t.tensor([0.1, 0.5, 2.0, 3.0]), t.tensor([0.0, 1.0, 3.0]), density=True)[0],
    "histogram weight": lambda t: t.histogram(t.tensor([0.1, 0.5]), 2, range=(0.0, 1.0), weight=t.tensor([2.0, 3.0]))[0],
    "LongTensor": lambda t: t.LongTensor([1, 2]),
    "FloatTensor": lambda t: t.FloatTensor([[1, 2], [3, 4]]),
    "FloatTensor size": lambda t: t.zeros_like(t.FloatTensor(2, 3)),
    "BoolTensor": lambda t: t.BoolTensor([1, 0]),
    "frombuffer": lambda t: t.frombuffer(bytearray(b"abcdefgh"), dtype=t.int16, offset=2),
    "asarray": lambda t: t.asarray([1, 2]),
    "resize_": lambda t: t.arange(6).resize_(2, 2),
    "apply_": lambda t: t.arange(3).apply_(lambda v: v * v),
    "map_": lambda t: t.arange(3).map_(t.tensor([5, 6, 7]), lambda a, b: a * b),
    "wrap": lambda t: t.zeros(7, 2).fill_diagonal_(1, wrap=True),
    "free": lambda t: t.sqrt_(t.ones(2) * 4),
    "new": lambda t: t.tensor([1]).new([1.5, 2.5]),
    "unsafe_split": lambda t: t.unsafe_split(t.arange(6), 4)[1],
    "polygamma_": lambda t: t.tensor([1.5, 2.5]).polygamma_(1),
    "hardshrink": lambda t: t.tensor([0.1, 2.5]).hardshrink(),
    "map2_": lambda t: t.arange(3).map2_(t.tensor([5, 6, 7]), t.tensor([1, 2, 3]), lambda a, b, c: a * b + c),
    "shapes": lambda t: t.tensor(t.broadcast_shapes((2, 1), (3,), 1)),
    "empty_strided": lambda t: t.tensor(t.empty_strided((2, 3), (1, 2)).stride()),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(torch, name):
    want, got = VALUES[name](torch), VALUES[name](gf)
    assert (str(want.dtype), tuple(want.shape)) == (str(got.dtype), tuple(got.shape))
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda t: t.slice_scatter(t.ones(3), t.ones(2), 0, 0, 3), RuntimeError),
        (lambda t: t.block_diag(t.ones(1, 1, 1)), RuntimeError),
        (lambda t: t.combinations(t.ones(2, 2)), RuntimeError),
        (lambda t: t.broadcast_shapes((2,), (3,)), RuntimeError),
        (lambda t: t.ones(3).dsplit(1), RuntimeError),
        (lambda t: t.ones(3).sum_to_size(2), RuntimeError),
        (lambda t: t.renorm(t.ones(3), 2, 0, 1.0), RuntimeError),
        (lambda t: t.ones(3).index_reduce(0, t.tensor([0]), t.ones(1), "sum"), RuntimeError),
        (lambda t: t.pixel_shuffle(t.ones(1, 3, 2, 2), 2), RuntimeError),
        (lambda t: t.gradient(t.ones(1)), RuntimeError),
        (lambda t: t.LongTensor(t.ones(2)), TypeError),
        (lambda t: t.ones(2, requires_grad=True).resize_(3), RuntimeError),
        (lambda t: t.ones(2).cauchy_(0, -1), RuntimeError),
        (lambda t: t.ones(2).exponential_(0.0), RuntimeError),
        (lambda t: t.ones(2).geometric_(2.0), RuntimeError),
        (lambda t: t.ones(2, dtype=t.int64).log_normal_(), RuntimeError),
        (lambda t: t.nn.functional.alpha_dropout(t.ones(2), 2.0), ValueError),
        (lambda t: t.nn.functional.rrelu(t.ones(2), 2.0, 1.0, True), RuntimeError),
        (lambda t: t.poisson(-t.ones(2)), RuntimeError),
        (lambda t: t.isin(t.ones(2), "x"), TypeError),
        (lambda t: t.trapezoid(t.tensor(3.0)), IndexError),
        (lambda t: t.histogram(t.ones(3), 3, range=(1,)), RuntimeError),
        (lambda t: t.empty_strided(2, 1), TypeError),
        (lambda t: t.frombuffer(3, dtype=t.int8), ValueError),
        (lambda t: t.ones(2).map_(3, 4), TypeError),
        (lambda t: t.clamp_max(t.ones(2), None), TypeError),
        (lambda t: t.nn.functional.ctc_loss(t.ones(3, 1, 2), t.tensor([[1]]), 3, 1), TypeError),
        (lambda t: t.nn.functional.gaussian_nll_loss(t.ones(2), t.ones(2), "a"), TypeError),
    ],
)
def test_refusals(torch, call, kind):
    for t in (torch, gf):
        with pytest.raises(kind):
            call(t)


def test_what_a_strided_part_replaces_gets_no_gradient():
    x, y = gf.ones(6, requires_grad=True), gf.ones(2, requires_grad=True)
    (gf.as_strided_scatter(x, y, (2,), (3,), 1) * gf.arange(6.0)).sum().backward()
    assert x.grad.tolist() == [0, 0, 2, 3, 0, 5] and y.grad.tolist() == [1, 4]


def test_memory_is_shared_with_other_libraries(torch):
    theirs = torch.arange(3.0)
    ours = gf.from_dlpack(theirs)
    ours[0] = 5
    assert theirs.tolist() == [5, 1, 2]
    back = torch.from_dlpack(ours)
    back[1] = 7
    assert ours.tolist() == [5, 7, 2] == np.from_dlpack(ours).tolist()
    assert gf.from_dlpack(gf.to_dlpack(ours)).tolist() == torch.utils.dlpack.from_dlpack(gf.to_dlpack(ours)).tolist() == [5, 7, 2]
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(gf.ones(2, requires_grad=True))
    with pytest.raises(TypeError, match="from_dlpack"):
        gf.from_dlpack([1, 2])


def test_types_of_tensors_ask_and_make():
    assert isinstance(gf.ones(2), gf.FloatTensor) and not isinstance(gf.ones(2), gf.LongTensor)
    assert gf.DoubleTensor().shape == (0,)


def test_distributions_have_their_moments():
    gf.manual_seed(0)
    x = gf.empty(100_000, dtype=gf.float64)
    assert abs(x.exponential_(2).mean() - 0.5) < 0.01
    assert abs(x.geometric_(0.25).mean() - 4) < 0.1 and x.min() == 1
    assert abs(x.log_normal_(0, 0.5).log().std() - 0.5) < 0.01
    assert abs(x.cauchy_(1, 2).median() - 1) < 0.05
    assert abs((x - 1).abs().median() - 2) < 0.1
    assert abs(gf.poisson(gf.full((100_000,), 3.0)).var() - 3) < 0.1
    assert abs(gf.binomial(gf.full((100_000,), 10.0), gf.full((100_000,), 0.3)).var() - 2.1) < 0.1


def test_dropouts_of_channels_and_of_selu_networks():
    gf.manual_seed(0)
    F = gf.nn.functional
    x = gf.ones(50, 20, 3, 3)
    y = F.dropout2d(x, 0.25)
    assert ((y == 0).all((2, 3)) | (y == 1 / 0.75).all((2, 3))).all()
    assert abs((y == 0).float().mean() - 0.25) < 0.05
    assert F.dropout1d(x[0, :, 0]).shape == (20, 3) and F.dropout3d(x).shape == x.shape
    z = gf.randn(200, 100)
    for f in (F.alpha_dropout, F.feature_alpha_dropout):
        assert f(z, 0.3) is z
        out = f(z, 0.3, True)
        assert abs(out.mean()) < 0.02 and abs(out.std() - 1) < 0.02
    for name in ("Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"):
        module = getattr(gf.nn, name)(0.5)
        given = gf.ones(3, 4, 2) if name == "Dropout1d" else gf.ones(3, 4, 2, 2)
        assert gf.equal(module.eval()(given), given) and repr(module) == f"{name}(p=0.5, inplace=False)"


def test_samples_of_categories_have_a_gradient():
    logits = gf.zeros(5, 3, requires_grad=True)
    y = gf.nn.functional.gumbel_softmax(logits, hard=True)
    assert y.sum(1).tolist() == pytest.approx([1] * 5) and set(y.detach().round(decimals=5).flatten().tolist()) == {0, 1}
    y[:, 0].sum().backward()
    assert logits.grad.abs().sum() > 0
    slopes = gf.nn.RReLU(0.2, 0.3)(-gf.ones(1000))
    assert slopes.min() >= -0.3 and slopes.max() <= -0.2 and slopes.std() > 0


PADDINGS = [f"{kind}Pad{n}d" for kind in ("Circular", "Reflection", "Replication", "Zero") for n in (1, 2, 3)]


@pytest.mark.parametrize("name", PADDINGS)
def test_paddings(torch, name):
    space = int(name[-2])
    x = RNG.normal(size=(2, 3, *range(4, 4 + space)))
    padding = (1, 2, 0, 3, 2, 1)[: 2 * space]
    same(torch, lambda t, x: getattr(t.nn, name)(padding)(x), [x])
    assert repr(getattr(gf.nn, name)(2)) == repr(getattr(torch.nn, name)(2))
    constant = f"ConstantPad{space}d"
    same(torch, lambda t, x: getattr(t.nn, constant)(1, 2.5)(x), [x[0]])
    assert repr(getattr(gf.nn, constant)(2, 3.5)) == repr(getattr(torch.nn, constant)(2, 3.5))
    with pytest.raises(ValueError, match="padding"):
        getattr(gf.nn, name)((1,) * 7)


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hann", "kaiser"])
def test_windows(torch, name):
    for n in (0, 1, 2, 7):
        for periodic in (True, False):
            want, got = (getattr(t, f"{name}_window")(n, periodic, dtype=t.float64) for t in (torch, gf))
            np.testing.assert_allclose(got.numpy(), want.numpy(), atol=1e-12)


FREE = {
    "selu": lambda t, x: t.selu(x),
    "in place": lambda t, x: t.threshold_(x * 1, -0.5, 2.0) * t.nn.functional.leaky_relu_(x * 2),
    "dropout": lambda t, x: t.feature_dropout(t.dropout(t.dropout_(x * 1, 0.5, False), 0.5, False), 0.5, False),
    "kl_div": lambda t, x: t.kl_div(x, x.detach().exp(), 2),
    "ranking": lambda t, x: t.margin_ranking_loss(x, -x, t.ones(4, 5, dtype=x.dtype), 0.3, 0),
    "with logits": lambda t, x: t.binary_cross_entropy_with_logits(x, x.detach().sigmoid(), reduction=1),
    "embedding": lambda t, x: t.embedding(x, t.tensor([1, 0, 1])),
    "cosine": lambda t, x: t.cosine_similarity(x, x * x, 1),
    "layer_norm": lambda t, x: t.layer_norm(x, (5,)),
}


@pytest.mark.parametrize("name", FREE)
def test_functions_of_networks_in_the_package(torch, name):
    same(torch, FREE[name], [A])


def test_settings():
    gf.set_float32_matmul_precision("high")
    assert gf.get_float32_matmul_precision() == "high"
    gf.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="precision"):
        gf.set_float32_matmul_precision("low")
    gf.set_warn_always(True)
    assert gf.is_warn_always_enabled()
    gf.set_warn_always(False)
    gf.set_default_device("cpu")
    assert gf.get_default_device() == gf.device("cpu") and not gf.set_flush_denormal(True) and not gf.is_storage(1)
    with pytest.raises(RuntimeError, match="cuda"):
        gf.set_default_device("cuda")
    gf.set_default_tensor_type("torch.DoubleTensor")
    assert gf.get_default_dtype() is gf.float64
    gf.set_default_tensor_type(gf.FloatTensor)
    assert gf.get_default_dtype() is gf.float32
    with pytest.raises(RuntimeError, match="floating"):
        gf.set_default_tensor_type(gf.LongTensor)
    assert gf.ones(2).layout is gf.strided and repr(gf.channels_last) == "torch.channels_last"


def test_dlpack_under_torchs_name():
    import gradflow.utils.dlpack as dlpack

    assert dlpack.from_dlpack(dlpack.to_dlpack(gf.ones(2))).tolist() == [1, 1]
