"""Writes at once give what the operations' own rules give; where they decline, nothing has happened."""

import numpy as np
import pytest

import gradflow as gf
from gradflow.ops import indexing, placing, scattering

RNG = np.random.default_rng(5)
TYPES = [gf.float32, gf.float64, gf.int64, gf.uint8, gf.bfloat16, gf.bool]


def ints(low, high, *shape):
    return gf.tensor(RNG.integers(low, high, shape))


def calls(dtype):
    """(function, arguments after the tensor of shape (4, 3), options)"""
    y, m, flat = gf.tensor(RNG.integers(0, 9, (4, 3))).to(dtype), gf.tensor(RNG.random((4, 3)) < 0.5), ints(-12, 12, 5)
    wrong, other = ints(7, 9, 4), y.to(gf.float16)
    yield from (
        (f, args, {})
        for f in (scattering.index_copy, scattering.index_add)
        for args in [
            (0, ints(0, 4, 4), y),
            (1, ints(0, 3, 3), y),
            (-1, ints(0, 3, 2), y[:, :2]),
            (0, wrong, y),
            (0, ints(0, 4, 4), other),
            (2, ints(0, 1, 4), y),
        ]
    )
    yield from (
        (scattering.index_fill, args, {})
        for args in [(0, ints(0, 4, 2), 2), (1, ints(-3, 3, 2), 1.5), (0, wrong, 1), (0, ints(0, 4, 2), 1e300)]
    )
    yield from (
        (scattering.scatter, args, {})
        for args in [(1, ints(0, 3, 4, 3), y), (0, ints(0, 4, 4, 3), y), (1, ints(0, 3, 2, 5), 2), (0, ints(-2, 4, 4, 3), y), (1, wrong, y)]
    )
    yield from (
        (scattering.scatter_add, args, {}) for args in [(1, ints(0, 3, 4, 3), y), (0, ints(0, 4, 3, 2), y), (0, ints(0, 9, 4, 3), y)]
    )
    yield from (
        (placing.put, args, o)
        for args in [(flat, y.reshape(-1)[:5]), (ints(0, 40, 5), y.reshape(-1)[:5]), (flat, y)]
        for o in ({}, {"accumulate": True})
    )
    yield from ((placing.masked_scatter, args, {}) for args in [(m, y), (m, y[0]), (m[0], y), (m, other)])
    yield from ((indexing.masked_fill, args, {}) for args in [(m, 2), (m[0], 2), (m, 2.5), (m, gf.tensor(3)), (m, 1e300)])
    pairs = [(ints(-4, 4, 5), ints(-3, 3, 5)), (ints(0, 4, 2, 2),), (wrong,), (ints(0, 4, 2), ints(0, 3, 1)), (m,)]
    values = [y[0, 0], y.reshape(-1)[:5], y[:2, 0], gf.zeros(2, 2, 3, dtype=dtype), other[0]]
    yield from ((placing.index_put, (i, v), o) for i in pairs for v in values for o in ({}, {"accumulate": True}))


def told(f, *args, **options):
    try:
        t = f(*args, **options)
    except Exception as error:
        return type(error), str(error).split(":", 1)[1]
    return t.dtype, t.shape, t.tolist()


@pytest.mark.parametrize("dtype", TYPES, ids=lambda d: d.name)
def test_as_the_rules(dtype):
    for function, args, options in calls(dtype):
        x = gf.tensor(RNG.integers(0, 9, (4, 3))).to(dtype)
        for t in (x, x.repeat(1, 2)[:, ::2], x.T.contiguous().T):
            want = told(function.__wrapped__, t, *args, **options)
            before = t.clone()
            assert told(function, t, *args, **options) == want, (function.__name__, args, options)
            assert t.tolist() == before.tolist() and t._version == 0
            method = getattr(gf.Tensor, f"{function.__name__}_")
            if isinstance(want[0], type):
                with pytest.raises(want[0]):
                    method(t, *args, **options)
                assert t.tolist() == before.tolist()
            else:
                version = t._version
                assert method(t, *args, **options) is t and t.tolist() == want[2] and t._version > version


def test_items():
    for dtype in TYPES:
        a = RNG.integers(0, 9, (4, 3, 2))
        for index in [
            (ints(-4, 4, 5),),
            (ints(-4, 4, 5), ints(-3, 3, 5)),
            (ints(0, 4, 2, 2), ints(0, 3, 2, 2), ints(0, 2, 2, 2)),
            (slice(None), ints(-3, 3, 4)),
        ]:
            key = tuple(i if isinstance(i, slice) else i.numpy() for i in index)
            x, n = gf.tensor(a).to(dtype), gf.tensor(a).to(dtype).float().numpy()
            assert x[index].float().numpy().tolist() == n[key].tolist()
            for value in (1, x[index] * 1 if dtype is not gf.bool else True):
                x[index] = value
                n[key] = value.float().numpy() if isinstance(value, gf.Tensor) else value
                assert x.float().numpy().tolist() == n.tolist()
    x = gf.arange(6.0).reshape(2, 3)
    x[x > 2] = -1.0
    assert x.tolist() == [[0, 1, 2], [-1, -1, -1]] and x._version == 1
    for wrong, kind in [
        ((gf.tensor([2]), gf.tensor([0])), IndexError),
        (gf.tensor([-3]), IndexError),
        ((slice(None), gf.tensor([3])), IndexError),
    ]:
        with pytest.raises(kind):
            x[wrong]
        with pytest.raises(kind):
            x[wrong] = 1.0
    assert x._version == 1


def test_memory_that_is_shared():
    x = gf.arange(6.0)
    assert x[:4].index_copy_(0, gf.tensor([0, 1]), x[1:3]).tolist() == [1, 2, 2, 3]
    k = gf.tensor([1, 0, 2])
    k[k] = k.clone()
    assert k.tolist() == [0, 1, 2]
    k = gf.tensor([1, 2, 0])
    assert k.index_fill_(0, k, 7).tolist() == [7, 7, 7]


def test_a_history_is_kept():
    w = gf.ones(3, requires_grad=True)
    x, i = w * 2, gf.tensor([0, 0])
    x[i[:1]] = 5.0
    y = x.index_add(0, i, w[:2])
    y.sum().backward()
    assert y.tolist() == [7, 2, 2] and w.grad.tolist() == [1, 3, 2]
    with pytest.raises(RuntimeError, match="leaf Variable"):
        w[i] = 1.0
