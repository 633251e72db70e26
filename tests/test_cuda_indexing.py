"""Indices, masks, sorting and searching on the device (cuda_driver.py), against NumPy and the CPU's backend; nothing but sizes comes to the host."""

import numpy as np
import pytest
from cuda_driver import Driver, devices

import gradflow as gf
from gradflow.backends import cuda
from gradflow.backends.cuda import reports
from gradflow.errors import ShapeError
from gradflow.tensor import wrap

CASES = []
LITTLE = 8  # bytes that may come to the host at a time: a number


def case(f):
    CASES.append(f)

    def test(device):
        f(device)

    test.__name__, test.__doc__ = f.__name__, f.__doc__
    return test


@pytest.fixture(scope="module", params=["emulated", "backwards", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    yield from devices(request.param, CASES)


def outcome(driver, f, operands):
    """What ``f`` gives of operands on the device, for which no data may come to the host."""
    given = [cuda.upload(x, 0) if isinstance(x, np.ndarray) else x for x in operands]
    if not isinstance(driver, Driver) or driver.collected is not None:
        return f(*given)
    copied, most = driver.to_host, [0]

    def to_host(host, source, nbytes, *rest):
        if source not in [errors.memory.pointer for errors in reports.errors.values()]:
            most[0] = max(most[0], nbytes)
        copied(host, source, nbytes, *rest)

    driver.to_host = to_host
    try:
        return f(*given)
    finally:
        driver.to_host = copied
        assert most[0] <= LITTLE, f"{most[0]} bytes came to the host"


def same(driver, name, f, *operands):
    """The same values of the same type as NumPy's."""
    want = f(*operands)
    try:
        got = outcome(driver, f, operands)
    except ShapeError:  # while kernels are collected, of how many there are
        assert driver.collected is not None
    if driver.collected is None:
        for g, w in zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]:
            g, w = np.asarray(g), np.asarray(w)
            assert (g.shape, g.dtype) == (w.shape, w.dtype), name
            assert np.array_equal(g, w, equal_nan=w.dtype.kind == "f"), f"{name}: {g} is not {w}"


def set_at(x, key, value):
    x = x.copy()
    x[key] = value
    return x


def numbers(rng, dtype, *shape):
    return (rng.random(shape) * 9 - 3).astype(dtype)


@case
def test_reading_and_writing_by_indices(driver):
    """Of every size of element; negative ones, several, beside slices, numbers and None, where NumPy puts their axes."""
    rng = np.random.default_rng(0)
    i, j, k = rng.integers(-6, 6, (3, 2)), rng.integers(0, 5, (2,)), rng.integers(0, 4, (3, 1), dtype=np.int32)
    for dtype in (np.float32, np.int64, np.bool_, np.float16):
        x = numbers(rng, dtype, 6, 5, 4)
        same(driver, "x[i, j]", lambda x, i, j: x[i, j], x, i, j)
        same(driver, "x[i, j, k]", lambda x, i, j, k: x[i, j, k], x, i, j, k)
        same(driver, "x[:, j, k]", lambda x, j, k: x[:, j, k], x, j, k)
        same(driver, "x[i, :, k]", lambda x, i, k: x[i, :, k], x, i, k)
        same(driver, "x[..., k]", lambda x, k: x[..., k], x, k)
        same(driver, "x.T[k]", lambda x, k: x.T[k], x, k)
        same(driver, "backwards", lambda x, j: x[::-1][1:3, j], x, j)
        same(driver, "None", lambda x, i: x[None, i], x, i)
        same(driver, "a number", lambda x, j: x[2, j], x, j)
        same(driver, "written", lambda x, i, j, v: set_at(x, (i, j), v), x, i, j, numbers(rng, dtype, 3, 2, 4))
        same(driver, "a row", lambda x, i, k, v: set_at(x, (i, slice(None), k), v), x, i, k, numbers(rng, dtype, 5))
        same(driver, "rows", lambda x, i, k, v: set_at(x, (i, slice(None), k), v), x, i, k, numbers(rng, dtype, 3, 2, 5))
        same(driver, "columns", lambda x, j, v: set_at(x, (slice(None), j), v), x, j, numbers(rng, dtype, 6, 2, 4))
        same(driver, "a number written", lambda x, i, j: set_at(x, (i, j), 1), x, i, j)
        same(driver, "to a view", lambda x, j, v: set_at(x[::-1], j, v), x, j, numbers(rng, dtype, 2, 5, 4))


@case
def test_masks(driver):
    rng = np.random.default_rng(1)
    for dtype in (np.float32, np.int64, np.bool_, np.float16):
        x, m = numbers(rng, dtype, 6, 5, 4), rng.random((6, 5)) < 0.4
        whole = rng.random(x.shape) < 0.5
        same(driver, "x[m]", lambda x, m: x[m], x, m)
        same(driver, "all axes", lambda x, m: x[m], x, whole)
        same(driver, "later axes", lambda x, m: x[:, m], x, rng.random((5, 4)) < 0.5)
        same(driver, "a slice", lambda x, m: x[m, 1:3], x, m)
        same(driver, "none holds", lambda x, m: x[m], x, m & False)
        same(driver, "a number", lambda x, m: set_at(x, m, 2), x, m)
        same(driver, "rows", lambda x, m, v: set_at(x, m, v), x, m, numbers(rng, dtype, int(m.sum()), 4))
        same(driver, "elements", lambda x, m, v: set_at(x, m, v), x, whole, numbers(rng, dtype, int(whole.sum())))
        same(driver, "nonzero", np.nonzero, x)
        same(driver, "flatnonzero", np.flatnonzero, x)
    same(driver, "long", np.flatnonzero, rng.random(20_000) < 0.3)


@case
def test_sorting_and_searching(driver):
    rng = np.random.default_rng(2)
    for dtype in (np.float32, np.int64, np.bool_, np.float16):
        x = numbers(rng, dtype, 6, 5, 4)
        if dtype == np.float32:
            x[1, 2, :3] = np.nan
        for axis in (0, 1, -1):
            same(driver, "argsort", lambda x, axis=axis: np.argsort(x, axis, kind="stable"), x)
            same(driver, "sort", lambda x, axis=axis: np.sort(x, axis, kind="stable"), x)
        same(driver, "unique", lambda x: np.unique(x, equal_nan=False), x)
        same(driver, "counts", lambda x: np.unique(x, return_inverse=True, return_counts=True, equal_nan=False), x[2:])
        same(driver, "isin", np.isin, x, x[0])
        if dtype != np.bool_:
            for side in ("left", "right"):
                same(driver, side, lambda x, e, side=side: np.searchsorted(e, x, side), x, np.sort(x[:, 2, 0]))
    same(driver, "bincount", np.bincount, rng.integers(0, 9, 30))
    same(driver, "weights", lambda i, w: np.bincount(i, w, 12), rng.integers(0, 9, 30), rng.random(30))


def at(x, *values):
    return tuple(gf.tensor(v, device=x.device) for v in values)


def changed(x, key, value):
    y = x.clone()
    y[key] = value
    return y


# (name, the call, shapes of its operands)
CALLS = [
    ("several indices", lambda x: x[at(x, [3, 0, -1], [1, 4, 0])], (4, 5)),
    ("in the middle", lambda x: x[:, at(x, [0, 2])[0], 1:], (3, 4, 5)),
    ("apart", lambda x: x[at(x, [1, 1])[0], :, at(x, [[2], [0]])[0]], (3, 4, 5)),
    ("a list beside an index", lambda x: x[[0, 2], at(x, [1, 1])[0]], (3, 4)),
    ("mask", lambda x: (x[x > 0.8], x.masked_select(x > 0.8), x[(x > 0.8).sum(1) > 1]), (4, 5)),
    ("masked number", lambda x: changed(x, x > 0.8, 2.0), (4, 5)),
    ("masked values", lambda x, v: changed(x, gf.arange(20, device=x.device).reshape(4, 5) % 3 == 0, v), (4, 5), (7,)),
    ("written", lambda x, v: changed(x, at(x, [3, 0], [1, 4]), v), (4, 5), (2,)),
    ("put", lambda x, v: x.index_put(at(x, [3, 0], [1, 4]), v), (4, 5), (2,)),
    ("put and added", lambda x, v: x.index_put(at(x, [3, 0, 3], [1, 4, 1]), v, accumulate=True), (4, 5), (3,)),
    ("copied", lambda x, v: (x.index_copy(1, at(x, [3, 0])[0], v), x.index_fill(0, at(x, [2, 0])[0], 7.0)), (4, 5), (4, 2)),
    ("scattered", lambda x, v: x.scatter(1, at(x, [[3, 0], [1, 2]])[0], v), (4, 5), (2, 2)),
    ("scattered number", lambda x: x.scatter(0, at(x, [[3, 0], [1, 1]])[0], 2.0), (4, 5)),
    ("from a source", lambda x, v: x.masked_scatter(gf.arange(20, device=x.device).reshape(4, 5) % 3 == 0, v), (4, 5), (7,)),
    ("top", lambda x: (*x.topk(3, 0), *x.topk(2, largest=False)), (6, 5)),
    ("middle", lambda x: (x.kthvalue(2, 1).values, x.median(0).values, x.median(), x.nanmedian(1).values), (6, 5)),
    ("sorted", lambda x: (*x.sort(0), *x.sort(1, descending=True), x.argsort(), x.half().sort(1).values, x.bfloat16().sort().values), (6, 5)),
    ("distinct", lambda x: ((x * 5).int().unique(return_inverse=True, return_counts=True)), (6, 5)),
    ("runs", lambda x: ((x * 2).int().unique_consecutive(return_inverse=True, return_counts=True)), (40,)),
    ("buckets", lambda x: gf.bucketize(x, gf.tensor([0.5, 0.8, 1.1], device=x.device), right=True), (6, 5)),
    ("rows' places", lambda x, y: gf.searchsorted(x.sort(1).values, y, out_int32=True), (6, 5), (6, 3)),
    ("counted", lambda x: ((x * 5).long().reshape(-1).bincount(), x.histc(4, 0.0, 2.0)), (6, 5)),
    ("found", lambda x: (gf.nonzero(x > 0.8), *gf.nonzero(x > 0.8, as_tuple=True), gf.isin(x, x[0])), (4, 5)),
    ("extremes so far", lambda x: (*x.cummax(0), *x.cummin(1)), (4, 5)),
    ("likelihood", lambda x: gf.nn.functional.nll_loss(x, gf.tensor([1, 0, -100, 3], device=x.device)), (4, 5)),
    ("smoothed", lambda x: gf.nn.functional.cross_entropy(x, at(x, [1, -100, 3])[0], label_smoothing=0.1, reduction="sum"), (3, 4)),
]  # fmt: skip


@case
def test_functions_and_their_gradients(driver):
    rng, wrong = np.random.default_rng(3), []
    for name, call, *shapes in CALLS:
        operands = [rng.uniform(0.2, 1.5, shape).astype(np.float32) for shape in shapes]

        def run(*arrays, call=call):
            leaves = [wrap(x).requires_grad_() for x in arrays]
            result = call(*leaves)
            results = list(result) if isinstance(result, tuple) else [result]
            wanted = [r for r in results if r.requires_grad]
            gf.autograd.backward(wanted, [gf.ones_like(r) for r in wanted]) if wanted else None
            return [*results, *(x.grad for x in leaves if wanted)]

        try:
            got, want = outcome(driver, run, operands), run(*operands)
            for g, w in zip(got, want, strict=True) if driver.collected is None else ():
                assert str(g.device) == "cuda:0"
                assert (g.shape, g.dtype) == (w.shape, w.dtype)
                np.testing.assert_allclose(g.cpu().float().detach().numpy(), w.float().detach().numpy(), rtol=2e-6, atol=2e-6)
        except Exception as error:  # while kernels are collected values are whatever the memory held
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert not wrong or driver.collected is not None, "\n".join(wrong)


@case
def test_out_of_range(driver):
    """Told when the device is next waited for, with the axis."""
    x, bad = gf.zeros(3, 4, device="cuda"), gf.tensor([0, 7], device="cuda")
    y = x[gf.tensor([0, 1], device="cuda"), bad]
    x[bad, 0] = 1
    if driver.collected is None:
        with pytest.raises(IndexError, match=r"index: index 7 is out of bounds for axis [01] with size [34]"):
            y.tolist()
        assert x[:, 0].tolist() == [1, 0, 0]
    with pytest.raises(IndexError, match="index 9 is out of bounds for dimension 1 with size 4"):
        x[[0, 1], [0, 9]]
    with pytest.raises(IndexError, match="could not be broadcast"):
        x[at(x, [0, 1], [0, 1, 2])]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        x[at(x, [0, 1])[0]] = gf.zeros(3, 4, device="cuda")


@case
def test_the_last_of_several_stays(driver):
    """As in NumPy, whatever the order of the threads."""
    index = np.zeros(300, np.int64)
    same(
        driver,
        "same place",
        lambda x, i, v: set_at(x, i, v),
        np.zeros((2, 3), np.float32),
        index,
        np.arange(900, dtype=np.float32).reshape(300, 3),
    )
