"""The edges of operations, against torch: no axes, no elements, sizes of 1, integers and bools, arguments by name."""

import operator

import numpy as np
import pytest
from compare import same

import gradflow as gf

rng = np.random.default_rng(0)
ARRAYS = {
    "x": rng.standard_normal((2, 2)),
    "c": rng.standard_normal((1, 3, 4)),
    "s": np.array(1.5),
    "v": rng.standard_normal(3),
    "z": rng.standard_normal((2, 3, 0)),
    "w": rng.standard_normal((0, 4)),
    "i": np.arange(4).reshape(2, 2),
    "b": np.array([[True, False], [False, True]]),
}
# Each line: one value to compare, with its gradients where it has some.
CASES = """
t.arange(0, -8.000001, -4, dtype=t.int64)
t.arange(-0.9, 2.1, 2.0, dtype=t.int64)
t.arange(0, 5, 1.5, dtype=t.int32)
t.arange(300, dtype=t.uint8)
t.dropout(x, t.tensor(0), True)
t.nn.functional.dropout(x, t.tensor(1.0))
t.nn.functional.dropout2d(c, t.tensor(0.0))
t.nn.functional.embedding(i, c[0, 0, :, None].detach(), sparse=True)
t.nn.functional.batch_norm(c, t.ones(3, dtype=c.dtype), t.ones(3, dtype=c.dtype), eps=0.0)
x.to("cpu", t.float32, True, True)
x.to(i, True, copy=True)
x.to(None, t.float16)
t.linspace(-0.9, 10.9, 5, dtype=t.int64)
t.linspace(3, 9, 1)
t.block_diag()
t.repeat_interleave(t.tensor([1, 2]), output_size=3)
t.repeat_interleave(t.tensor([0, 2], dtype=t.int32))
t.histc(t.tensor([2.0, 1.0, 5.0]), bins=4, min=5, max=5)
t.ones(2) == np.ones(2)
t.logspace(-0.9, 3.9, 5, dtype=t.int64)
t.addmm(i, i, i, beta=2.6, alpha=1.7)
t.addmm(t.full_like(x, float("nan")), x, x, beta=0)
t.add(x, x, alpha=t.tensor(2.0))
t.addmv(i[0], i, i[1], beta=1.6, alpha=2.7)
t.addbmm(i.int(), i[None].int(), i[None].int())
t.baddbmm(i[None], i[None], i[None], beta=0.2, alpha=1.6)
t.addr(b, b[0], b[1], beta=3, alpha=2)
t.addr(i, b[0], b[1], beta=3, alpha=2)
t.cov(x[:1])
t.cov(x, aweights=t.tensor([0.5, 2.0]))
t.corrcoef(x[:1])
t.corrcoef(i)
t.diff(v, 0, prepend=v)
t.diff(v, prepend=v[:1], append=v[:2])
t.flip(x, dims=(0, 1))
t.permute(x, dims=(1, 0))
t.reshape(x, shape=(4,))
t.tile(s, ())
t.tile(v, dims=(2, 2))
x.repeat(repeats=(2, 1))
v.expand(size=(2, 3))
x.view(size=(4,))
z @ w
t.nn.functional.softmin(i, 0, dtype=t.float64)
t.nn.functional.cosine_similarity(c, v.reshape(3, 1) + c, dim=-2)
t.nn.functional.pad(i, (1, 0), value=1.5)
t.nn.functional.pad(b, (0, 2), value=1.0)
t.nn.functional.pad(c, (-1, 2), "circular")
t.nn.functional.pad(c, (2, -1), "circular")
t.nn.functional.pad(c, (-1, 2), "reflect")
t.nn.functional.prelu(s, v[:1])
t.nn.functional.embedding(t.tensor(1), x)
t.einsum(x, [0, 1], x, [1, 2], [0, 2])
t.einsum(x, [..., 1], x, [1, ...])
t.gather(s, 0, t.tensor([0, 0, 0]))
t.gather(v, 0, t.tensor(1))
t.gather(x, 0, t.zeros(0, 9, dtype=t.uint8))
t.gather(x, 0, t.zeros(0, dtype=t.float32))
t.index_select(s, 0, t.tensor([0]))
t.index_add(s, 0, t.tensor([0]), s * 2, alpha=3)
t.index_add(i, 0, t.tensor([0, 0]), i, alpha=1.5)
t.index_add(b, 0, t.tensor([0, 0]), b)
t.index_copy(s, 0, t.tensor(0), s * 2)
t.index_copy(v, 0, t.tensor(0), s * 2)
t.index_fill(v, 0, t.tensor([-1]), 3)
t.scatter(s, 0, t.tensor(0), s * 2)
t.scatter(v, 0, t.tensor(1), v.detach() * 2)
t.scatter(v, 0, t.zeros(0, dtype=t.uint8), v.detach())
t.scatter_add(s, 0, t.tensor(0), s * 2)
t.scatter_add(b, 0, t.zeros_like(i), b)
t.scatter_reduce(s, 0, t.tensor(0), s * 2, "prod", include_self=False)
t.scatter_reduce(b, 0, t.zeros_like(i), b, "sum", include_self=False)
t.scatter_reduce(b, 0, t.zeros_like(i), b, "prod", include_self=False)
t.scatter_reduce(b, 0, t.zeros_like(i), b, "amin")
t.take_along_dim(x, t.tensor([[-1]]), 1)
t.searchsorted(t.zeros(0, 0), t.zeros(0, 0), sorter=t.zeros(0, 0, dtype=t.int64))
t.searchsorted(t.ones(2, 0), t.ones(2, 1))
t.searchsorted(t.arange(3.0), 2)
t.bucketize(2.0, t.ones(3))
t.mode(t.ones(0, 3), 1).values
s.unfold(0, 1, 1)
s.unfold(0, 0, 1)
t.tensordot(c[:, :1], c.reshape(3, 1, 4), ([0, 1], [1, 0]))
t.as_strided(x[:, 1], (3,), (1,), 1)
t.as_strided(x.t(), (2, 2), (1, 1))
t.prod(i, dtype=t.int16)
t.sum(i, 0, dtype=t.int32)
t.nn.functional.rms_norm(t.tensor([300.0, 400.0]).half(), (2,))
t.dropout(x, p=0.0, train=True)
t.alpha_dropout(x, p=0.5, train=False)
t.feature_alpha_dropout(x, p=0.5, train=False)
t.batch_norm(x, v[:2], None, None, None, True, 0.1, 1e-5, False)
t.instance_norm(c, None, None, v.detach() * 0, v.detach() * 0 + 1, False, 0.1, 1e-5, False)
t.adaptive_max_pool1d(c, 2)[0]
t.adaptive_max_pool1d(c, 2)[1]
t.kl_div(x, x.detach().exp())
t.kl_div(x, x.detach().exp(), 1)
t.hinge_embedding_loss(x, t.ones_like(x), reduction=2)
t.margin_ranking_loss(x, x * 2, t.ones_like(x), 0.5)
t.triplet_margin_loss(x, x + 1, x * 2)
t.binary_cross_entropy_with_logits(x, t.ones_like(x))
t.asarray(x * 2)
t.asarray(x, copy=True, dtype=t.float32)
t.asarray(x * 2, requires_grad=False)
t.eq(w, w, out=t.empty(0, 4, dtype=t.int64))
t.nn.functional.embedding(i, t.cat([x, x * 9]), max_norm=1.5)
t.nn.functional.embedding(i % 3, t.cat([x, x * 9]), 0, scale_grad_by_freq=True)
t.nn.functional.embedding_bag(i, t.cat([x, x * 9]), max_norm=0.5, norm_type=1, mode="sum", scale_grad_by_freq=True)
t.nn.functional.embedding_bag(i % 2, x, scale_grad_by_freq=True)
t.cumsum(i, 1, out=t.empty(2, 2, dtype=t.float16))
t.cumprod(i, 1, out=t.empty(0, dtype=t.int8))
t.slice_scatter(i, i[:1] * 9, 0, 1, out=t.empty_like(i))
t.nn.functional.avg_pool2d(c.detach(), 2, out=t.empty(0, dtype=t.float64))
t.nn.functional.interpolate(t.arange(16, dtype=t.uint8).reshape(1, 1, 4, 4), (8, 6), mode="bilinear")
t.nn.functional.interpolate(t.arange(16, dtype=t.uint8).reshape(1, 1, 4, 4) * 15, (2, 8), mode="bicubic")
t.nn.functional.margin_ranking_loss(i.byte(), i.T.byte(), i.byte(), reduction="none")
t.special.laguerre_polynomial_l(v.detach(), t.tensor([float("inf"), float("nan"), 1e19]))
t.special.laguerre_polynomial_l(v.detach().abs(), 2e5)
t.special.legendre_polynomial_p(v.detach() / 4, t.tensor([-float("inf"), 3000.0, 9.5]))
t.exp(z.detach()[:1], out=t.empty(1, 3, 0, dtype=t.float16))
t.nn.functional.multi_margin_loss(v.detach(), t.tensor([1]), reduction="none")
t.nn.functional.multi_margin_loss(v.detach()[None], t.tensor(1), weight=v.detach(), reduction="none")
t.nn.functional.multi_margin_loss(s.detach(), t.tensor([0]), reduction="none")
t.stack(v.chunk(2**31 - 1)) + t.stack(v.unsafe_chunk(3, axis=0))
t.mvlgamma(c.abs() + 9, 12)
t.mvlgamma(i + 50, 9)
t.bernoulli(t.ones(2, 2), out=i + 5)
c.unsqueeze(axis=1)
t.stack(c.unbind(axis=2)) + c.select(axis=2, index=1)
t.cat(c.chunk(2, axis=1), 1) + t.cat(c.unsafe_split(2, axis=1), 1)
c.narrow(axis=2, start=1, length=2)
""".strip().splitlines()


def value(code):
    names = [name for name in ARRAYS if name in code]
    return lambda t, *tensors: eval(code, {"t": t, "np": np} | dict(zip(names, tensors, strict=True))), [ARRAYS[n] for n in names]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", CASES)
def test_the_same_as_torch(torch, code):
    same(torch, *value(code), rtol=1e-6)


LOSSES = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_named_as_in_torch(torch, name, reduction):
    def shown(t):
        x = t.tensor([0.25, 0.5], requires_grad=True)
        return repr(getattr(t.nn.functional, name)(x, t.tensor([0.5, 0.75]), reduction=reduction)).partition("grad_fn")[2]

    assert shown(gf) == shown(torch)


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like", "rand_like", "randn_like"])
def test_made_like_another_keeps_its_order_in_memory(torch, name):
    views = ["x", "x.T", "x[:, ::2]", "x.T[::2]", "c.permute(1, 2, 0)", "c[:, 0].T", "x.expand(2, 4, 6)", "x[:0].T"]
    for view in views:
        want, got = (eval(f"t.{name}({view})", {"t": t, "x": t.ones(4, 6), "c": t.ones(2, 3, 4)}) for t in (torch, gf))
        assert got.shape == want.shape and got.dtype is gf.float32
        assert want.numel() == 0 or got.stride() == want.stride(), view
    assert gf.full_like(gf.ones(4, 6).T, 3, memory_format=None).T.is_contiguous()


def test_an_operand_of_a_foreign_kind_is_asked(torch):
    class Foreign:
        __hash__ = None

    names = "add sub mul truediv floordiv mod pow matmul lshift rshift and or xor".split()
    for name in [*(f"__r{name}__" for name in names), "__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"]:
        setattr(Foreign, name, lambda self, other, name=name: (name, type(other).__name__))
    words = [*names, *(f"i{name}" for name in names), "lt", "le", "gt", "ge", "eq", "ne"]
    for word in words:
        apply = getattr(operator, word + "_" if word in ("and", "or") else word)
        assert apply(gf.tensor([1, 2]), Foreign()) == apply(torch.tensor([1, 2]), Foreign()), word
        for wrong in (None, "1", {}, object()):
            if word not in ("eq", "ne"):
                with pytest.raises(TypeError):
                    apply(gf.tensor([1, 2]), wrong)
    values: list = [1]
    values += gf.tensor([2, 3])
    assert values == [1, 2, 3]
    with pytest.raises(gf.errors.DTypeError, match="add: an operand is a NoneType"):
        gf.ones(2) + None


def test_range(torch):
    for args, options in [((0, 3), {}), ((0, 3, 0.7), {}), ((3, 1, -1), {}), ((2, 2), {}), ((1, 4, 2), {"dtype": "int64"})]:
        want, got = [], []
        for t, results in ((torch, want), (gf, got)):
            with pytest.warns(UserWarning, match="torch.range is deprecated"):
                results.append(t.range(*args, **{key: getattr(t, value) for key, value in options.items()}))
        assert repr(got[0]) == repr(want[0])
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="inconsistent with step sign"):
        gf.range(3, 1)
