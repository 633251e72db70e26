"""``out=``: the result in a tensor that the caller gives, by torch's rules."""

import numpy as np
import pytest

import gradflow as gf

# E() is an empty tensor, float32 unless a type is given. Everything here takes out= in torch, too.
CALLS = """
t.exp(x, out=E())
t.erfinv(x, out=E())
t.add(x, y, alpha=2, out=E())
t.mul(x, 3, out=E())
t.div(x, y, rounding_mode="floor", out=E())
t.lerp(x, y, 0.5, out=E())
t.addcmul(x, x, y, value=2, out=E())
t.clamp(x, 0.2, 0.7, out=E())
t.where(m, x, y, out=E())
t.eq(x, y, out=E(t.bool))
t.pow(2, x, out=E())
t.sum(x, 1, out=E())
t.mean(x, 1, keepdim=True, out=E())
t.prod(x, 0, out=E())
t.std(x, 1, out=E())
t.any(m, 1, out=E(t.bool))
t.amax(x, 1, out=E())
t.argmax(x, 1, out=E(t.int64))
t.norm(x, out=E())
t.logsumexp(x, 1, out=E())
t.softmax(x, 1, out=E())
t.max(x, 1, out=(E(), E(t.int64)))
t.max(x, y, out=E())
t.aminmax(x, dim=1, out=(E(), E()))
t.median(x, 1, out=(E(), E(t.int64)))
t.sort(x, 1, out=(E(), E(t.int64)))
t.topk(x, 2, out=(E(), E(t.int64)))
t.cummax(x, 1, out=(E(), E(t.int64)))
t.cumsum(x, 1, out=E())
t.diff(x, out=E())
t.matmul(x, y.t(), out=E())
t.mv(x, y[0], out=E())
t.addmm(x @ y.t(), x, y.t(), out=E())
t.outer(x[0], y[0], out=E())
t.tensordot(x, y.t(), 1, out=E())
t.gather(x, 1, i, out=E())
t.index_select(x, 1, i[0], out=E())
t.masked_select(x, m, out=E())
t.nonzero(m, out=E(t.int64))
t.scatter_add(x, 1, i, y, out=E())
t.take(x, i, out=E())
t.tril(x, out=E())
t.diag(x[0], out=E())
t.cat((x, y), out=E())
t.stack((x, y), 1, out=E())
t.hstack((x, y), out=E())
t.searchsorted(y[0], x[0], out=E(t.int64))
t.zeros(2, 3, out=E(t.int64))
t.full((2,), 1.5, out=E(t.float64))
t.arange(3, out=E())
t.linspace(0, 1, 3, out=E())
t.eye(2, out=E())
t.nn.functional.gelu(x, out=E())
t.nn.functional.softplus(x, out=E())
t.nn.functional.logsigmoid(x, out=E())
t.nn.functional.linear(x, y, out=E())
t.nn.functional.normalize(x, out=E())
""".strip().splitlines()


def world(t, **more):
    rng = np.random.default_rng(0)
    x, y = (t.tensor(rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32)) for _ in range(2))
    i = t.tensor(rng.integers(0, 3, (3, 4)))
    return {"t": t, "x": x, "y": y, "i": i, "m": x > 0.5, "E": lambda dtype=None: t.empty(0, dtype=dtype or t.float32)} | more


def listed(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("code", CALLS)
def test_written_where_asked(torch, code):
    want = listed(eval(code, world(torch)))
    given = []

    def kept(make):
        def call(*args, **kwargs):
            given.append(make(*args, **kwargs))
            return given[-1]

        return call

    space = world(gf)
    got = listed(eval(code, space | {"E": kept(space["E"])}))
    for w, g, t in zip(want, got, given, strict=True):
        assert g is t and g.dtype is getattr(gf, str(w.dtype)[6:]) and g.shape == w.shape
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-5, atol=1e-6)
        assert g._version == 1
    # once more, into tensors of the right shape: the memory stays
    places = [g.data_ptr() for g in got]
    again = iter(got)
    for g, place in zip(listed(eval(code, space | {"E": lambda *_: next(again)})), places, strict=True):
        assert g.data_ptr() == place


def test_views_and_inputs_may_be_out():
    base = gf.zeros(4, 6)
    x = gf.arange(6.0).reshape(2, 3)
    assert gf.mul(x, 2, out=base[1:3, ::2]).tolist() == base[1:3, ::2].tolist() == [[0, 2, 4], [6, 8, 10]]
    assert base.sum() == 30
    assert gf.matmul(s := gf.tensor([[1.0, 2], [3, 4]]), s, out=s).tolist() == [[7, 10], [15, 22]]
    assert gf.add(x.int(), 1, out=gf.zeros(2, 3)).dtype is gf.float32


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RuntimeError, "t.exp(x, out=t.empty(3, 4, dtype=t.int64))"),
        (RuntimeError, "t.exp(x.requires_grad_(), out=t.empty(3, 4))"),
        (RuntimeError, "t.exp(x, out=t.empty(3, 4).requires_grad_())"),
        (RuntimeError, "t.add(x[1:], 1, out=x[:2])"),
        (RuntimeError, "t.exp(x[0], out=t.zeros(1).expand(4))"),
        (RuntimeError, "t.zeros(3, dtype=t.float64, out=t.empty(0))"),
        (TypeError, "t.exp(x, out=3)"),
        (TypeError, "t.add(x, y, out=[1.0])"),
        (TypeError, "t.max(x, 1, out=t.empty(0))"),
        (TypeError, "t.max(x, 1, out=(t.empty(0),))"),
        (TypeError, "t.exp(x, out=(t.empty(0), t.empty(0)))"),
        (TypeError, "t.flip(x, (0,), out=t.empty(0))"),
        (TypeError, "t.reshape(x, (4, 3), out=t.empty(0))"),
    ],
)
def test_refused(torch, kind, code):
    for t in (torch, gf):
        with pytest.raises(kind):
            eval(code, world(t))


def test_another_shape_is_refused_where_torch_warns():
    with pytest.raises(gf.errors.ShapeError, match=r"exp: out has the shape \(4,\), the result \(2,\)"):
        gf.exp(gf.zeros(2), out=gf.zeros(4))
    with gf.no_grad():
        assert gf.exp(gf.zeros(2, requires_grad=True), out=gf.zeros(2)).tolist() == [1, 1]


def test_nothing_is_written_if_one_of_several_does_not_fit():
    values = gf.zeros(3)
    with pytest.raises(RuntimeError):
        gf.max(gf.ones(3, 4), 1, out=(values, gf.zeros(2, dtype=gf.int64)))
    assert values.tolist() == [0, 0, 0]
