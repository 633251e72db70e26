"""The kernels that multiply and move, and the memory of results, asked directly: NumPy's results for arrays in any memory."""

import os
import sys
import threading

import numpy as np
import pytest
from kernel_cases import F4, F8, I8, cases, identity, near, random_index, same
from layouts import DTYPES, array, is_float, numbers, overlapping, relaid, shape_of

import gradflow as gf
import gradflow._ext as ext
from gradflow import backends as b
from gradflow import scalar as s
from gradflow.tensor import wrap

# ---- dot -----------------------------------------------------------------------------------------------------------------


def test_dot_equals_matmul():
    for rng in cases(700, 30):
        dtype = DTYPES[rng.integers(10)]
        n, k, m = (int(v) for v in rng.choice([0, 1, 1, 2, 3, 4, 5, 8, 17, 40], 3))
        batch = shape_of(rng, 2, 12)
        left = tuple(1 if rng.random() < 0.2 else d for d in batch)[rng.integers(len(batch) + 1) :]
        right = tuple(1 if rng.random() < 0.2 else d for d in batch)[rng.integers(len(batch) + 1) :]
        x = array(rng, (*left, n, k) if rng.random() < 0.85 else (k,), dtype)
        y = array(rng, (*right, k, m) if rng.random() < 0.85 else (k,), dtype)
        wide = F8 if is_float(dtype) else I8
        want = np.matmul(x.astype(wide), y.astype(wide))
        size = np.matmul(np.abs(x.astype(wide)), np.abs(y.astype(wide))) if is_float(dtype) else None
        want = np.asarray(want if dtype.kind != "b" else want > 0)
        got = b.dot(x, y)
        assert got.dtype == dtype
        ulps = max(2, k) if dtype.itemsize > 2 else 2
        near(got, want if is_float(dtype) else want.astype(dtype), ulps, size, (x.shape, y.shape, dtype))
        out = relaid(rng, numbers(rng, got.shape, dtype))
        old = out.astype(wide)
        assert b.dot(x, y, out, 1) is out
        total = old + want if dtype.kind != "b" else out.astype(wide)
        near(out, total if is_float(dtype) else total.astype(dtype), ulps + 1, None if size is None else size + np.abs(old), "accumulate")
        if got.shape == x.shape:
            shared = np.array(x)
            near(b.dot(shared, y, shared), want if is_float(dtype) else want.astype(dtype), ulps, size, "into its operand")


def test_large_products_from_several_threads(threads):
    rng = np.random.default_rng(31)
    x, y = rng.standard_normal((301, 257)).astype(F4), rng.standard_normal((257, 403)).astype(F4)
    want = x.astype(F8) @ y.astype(F8)
    for n in (1, 2, 3):
        threads(n)
        for a, c in ((x, y), (np.asfortranarray(x), y), (x, np.asfortranarray(y)), (x[::-1][::-1], y)):
            assert np.abs(b.dot(a, c) - want).max() < 1e-3
    got, errors = [], []

    def work():
        try:
            for _ in range(20):
                got.append(np.abs(b.dot(x, y) - want).max() + abs(b.reduce("sum", identity, (x,), None, False) - x.sum(dtype=F8)))
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not errors and len(got) == 80 and max(got) < 1e-2


# ---- gather, scatter_add, take_rows, add_rows ----------------------------------------------------------------------------


def test_gather_and_scatter_add():
    for rng in cases(500, 40):
        dtype = DTYPES[rng.integers(10)]
        x = array(rng, shape_of(rng, least=1), dtype)
        axis = int(rng.integers(x.ndim))
        shape = tuple(int(rng.integers(0, 7)) if d == axis else int(rng.integers(0, n + 1)) for d, n in enumerate(x.shape))
        index = random_index(rng, shape, x.shape[axis])
        if index.size and not x.shape[axis]:
            with pytest.raises(IndexError):
                b.gather(x, axis, index)
            continue
        small = x[tuple(slice(0, x.shape[d] if d == axis else n) for d, n in enumerate(shape))]
        want = np.take_along_axis(small, index.astype(I8), axis)
        got = b.gather(x, axis - x.ndim * int(rng.integers(2)), index)
        same(got, want)
        out = relaid(rng, numbers(rng, want.shape, dtype))
        same(b.gather(x, axis, index, out), want)
        if dtype.kind == "b":
            continue
        src = array(rng, tuple(n + int(rng.integers(0, 2)) for n in shape), dtype)
        table = relaid(rng, numbers(rng, x.shape, dtype))
        wide = F8 if is_float(dtype) else I8
        want = table.astype(wide)
        places = list(np.indices(shape))
        places[axis] = index
        np.add.at(want, tuple(places), src[tuple(slice(0, n) for n in shape)].astype(wide))
        b.scatter_add(table, axis, index, src)
        if dtype.itemsize > 2 or not is_float(dtype):  # halves round at every step
            near(table, want if is_float(dtype) else want.astype(dtype), 8, np.abs(want) + 10)


def test_scan():
    for rng in cases(300, 43):
        dtype = DTYPES[rng.integers(10)]
        x = array(rng, shape_of(rng, 3, least=1), dtype)
        axis = int(rng.integers(x.ndim))
        wide = x.astype(np.float64) if is_float(dtype) else x
        with np.errstate(all="ignore"):
            total = np.add.accumulate(wide, axis, dtype=None if is_float(dtype) else dtype)
            scale = np.add.accumulate(np.abs(wide), axis) + 1 if is_float(dtype) else 1
        near(b.scan(0, x, axis), total, 4, scale)
        for kind, fold in ((2, np.maximum), (3, np.minimum)):
            best = fold.accumulate(wide, axis)
            count = np.arange(x.shape[axis]).reshape([-1 if d == axis else 1 for d in range(x.ndim)])
            hit = (wide == best) | (wide != wide)
            same(b.scan(kind, x, axis), np.maximum.accumulate(np.where(hit, count, 0), axis))
    ones = np.full((3, 200, 70), 3, np.int64)
    same(b.scan(1, ones, 1), np.multiply.accumulate(ones, 1))  # wraps
    halves = np.full(5000, 0.5, np.float16)
    same(b.scan(0, halves, 0)[[2, 1023, 4999]], np.array([1.5, 512, 2500], np.float16))  # kept in float32
    large = np.random.default_rng(1).standard_normal((600, 300)).astype(np.float32)
    for x in (large, large.T, large[::2, 5:]):
        for axis in (0, 1):
            near(b.scan(0, x, axis), np.cumsum(x.astype(np.float64), axis), 1, np.cumsum(np.abs(x.astype(np.float64)), axis))


def test_take_rows_and_add_rows():
    for rng in cases(400, 41):
        dtype = DTYPES[rng.integers(10)]
        x = array(rng, shape_of(rng, 3, least=1), dtype)
        axis = int(rng.integers(x.ndim))
        index = random_index(rng, shape_of(rng, 2, 60), x.shape[axis])
        if index.size and not x.shape[axis]:
            with pytest.raises(IndexError):
                b.take_rows(x, axis, index)
            continue
        want = np.take(x, index, axis)
        same(b.take_rows(x, axis, index), want)
        out = relaid(rng, numbers(rng, want.shape, dtype))
        same(b.take_rows(x, axis, index, out), want)
        if dtype.kind == "b" or dtype.itemsize == 2:
            continue
        src = array(rng, want.shape, dtype)
        table = relaid(rng, numbers(rng, x.shape, dtype))
        want = table.copy()
        np.add.at(want, (*(slice(None),) * axis, index), src)
        b.add_rows(table, axis, index, src)
        near(table, want, 8, np.abs(want.astype(F8)) + 10)


@pytest.mark.parametrize("bad", [-1, 5, 2**31, 2**40, -(2**63), 2**63 - 1])
def test_indices_out_of_range_change_nothing(bad):
    table, index = np.zeros((5, 3), F4), np.full((4, 3), 2)
    index[3, 1] = bad
    before = table.copy()
    for call in (
        lambda: b.gather(table, 0, index),
        lambda: b.scatter_add(table, 0, index, np.ones((4, 3), F4)),
        lambda: b.take_rows(table, 0, index),
        lambda: b.add_rows(table, 0, index, np.ones((4, 3, 3), F4)),
    ):
        with pytest.raises(IndexError, match=f"index {bad} is out of bounds for axis 0 with size 5"):
            call()
        same(table, before)


def test_tables_and_sources_that_share_memory():
    for rng in cases(100, 42):
        source, table = overlapping(rng, numbers(rng, (int(rng.integers(1, 9)), 3), F8))
        index = rng.integers(0, len(table), len(source))
        want = table.copy()
        np.add.at(want, index, source.copy())
        b.add_rows(table, 0, index, source)
        near(table, want, 8, np.abs(want) + 10)
        source, out = overlapping(rng, numbers(rng, (6, 3), F8))
        index = rng.integers(0, 6, 6)
        want = source[index]
        same(b.take_rows(source, 0, index, out), want)
    cells = np.array([2, 0, 1])
    b.scatter_add(cells, 0, cells, cells)  # index, source and table in one
    same(cells, np.array([2 + 0, 0 + 1, 1 + 2]))


# ---- copy, expand, memory ------------------------------------------------------------------------------------------------


def test_copy_broadcasts_and_survives_overlap():
    for rng in cases(300, 50):
        shape = shape_of(rng)
        own = tuple(1 if rng.random() < 0.3 else n for n in shape)[rng.integers(len(shape) + 1) :]
        dtype = DTYPES[rng.integers(10)]
        x, out = array(rng, own, dtype), relaid(rng, numbers(rng, shape, dtype))
        b.copy(x, out)
        same(out, np.broadcast_to(x, shape).copy())
        source, target = overlapping(rng, numbers(rng, shape, dtype))
        want = source.copy()
        b.copy(source, target)
        same(target, want)
    out = np.zeros((2, 3), F4)
    assert (b.copy(2.5, out) == 2.5).all() and (b.copy(True, out) == 1).all() and (b.copy(np.ones((1, 1, 3), F4), out) == 1).all()


def test_outputs_too_large_for_the_caches(threads):
    """They are stored past these: whole lines from a line's start on, and what lies before and after."""
    n = (25 << 20) // 12 + 7
    memory = np.zeros((5, n + 8), F4)
    x, y = np.arange(n, dtype=F4), np.arange(n, 0, -1, dtype=F4)
    kernel = b.kernel(lambda x, y: (x - y, x + y), outputs=2)
    for count, (first, second) in ((1, (0, 3)), (2, (5, 8)), (3, (2, 7))):
        threads(count)
        memory[:] = -1
        outs = memory[1, first : first + n], memory[3, second : second + n]
        b.elementwise(kernel, (x, y), outs)
        same(outs[0], x - y, first)
        same(outs[1], x + y, second)
        assert (memory[[0, 2, 4]] == -1).all() and (memory[1, :first] == -1).all() and (memory[1, first + n :] == -1).all()
        assert (memory[3, :second] == -1).all() and (memory[3, second + n :] == -1).all()
    np.testing.assert_array_equal(b.elementwise(b.kernel(lambda x, y: x * y), (x, y), x), np.arange(n, dtype=F4) * y)  # over an input
    rows = np.random.default_rng(52).standard_normal((4099, 801)).astype(F4)
    softmax_back = b.kernel(lambda g, y: y * (g - s.row_sum(g * y)))
    want = b.rows(softmax_back, (rows[:100], rows[:100]), 1)
    same(b.rows(softmax_back, (rows, rows.copy()), 1)[:100], want)


def test_expand_is_a_view():
    for rng in cases(100, 51):
        shape = shape_of(rng)
        own = tuple(1 if rng.random() < 0.4 else n for n in shape)[rng.integers(len(shape) + 1) :]
        x = array(rng, own, DTYPES[rng.integers(10)])
        got = b.expand(x, shape)
        want = np.broadcast_to(x, shape)
        assert got.strides == want.strides or not want.size or any(n == 1 for n in shape)
        same(got, want)
        assert got.base is not None and not got.flags.writeable and np.shares_memory(got, x) == bool(got.size)


def test_absurd_sizes_are_memory_errors_and_leave_the_pool_usable():
    x = np.ones(1, F4)
    tall, wide = np.broadcast_to(x, (2**30, 1)), np.broadcast_to(x, (2**30,))
    index = np.broadcast_to(np.zeros(1, I8), (2**45,))
    for call in (
        lambda: b.empty((2**50,), 8),
        lambda: b.empty((2**62, 2**62), 9),
        lambda: b.empty((2**31, 2**31, 2), 0),
        lambda: b.zeros((2**55,), 0),
        lambda: b.elementwise(identity, (np.broadcast_to(x, (2**45,)),)),
        lambda: b.elementwise(b.kernel(lambda p, q: p + q), (tall, wide)),
        lambda: b.reduce("sum", identity, (np.broadcast_to(x, (1, 2**45)),), (0,), False),
        lambda: b.dot(np.broadcast_to(x, (2**30, 1)), np.broadcast_to(x, (1, 2**30))),
        lambda: b.take_rows(x, 0, index),
        lambda: ext.philox(1, 0, 2**60),
    ):
        stats = ext.memory_stats()
        with pytest.raises(MemoryError):
            call()
        assert ext.memory_stats()["allocated_bytes"] == stats["allocated_bytes"]
    big = b.empty((1000, 1000), 8)
    b.copy(3.0, big)
    assert b.reduce("sum", identity, (big,), None, False) == 3e6
    assert b.elementwise(identity, (np.broadcast_to(np.ones((1, 1, 0), F4), (2**20, 2**20, 0)),)).shape == (2**20, 2**20, 0)
    assert (b.reduce("sum", identity, (np.broadcast_to(np.ones((1, 0), F4), (9, 0)),), (1,), False) == np.zeros(9)).all()


def test_pool_memory_behaves_as_numpys():
    x = b.zeros((100,), 8)
    assert x.ctypes.data % 64 == 0 and x.base is None and x.flags.owndata
    x[:] = np.arange(100)
    for n in (10, 1000, 100_000, 5, 0, 3):
        keep = min(n, x.size)
        want = x[:keep].copy()
        x.resize(n, refcheck=False)
        assert x.shape == (n,) and (x[:keep] == want).all()
    held = [b.empty((int(n),), 0) for n in np.random.default_rng(0).integers(0, 3_000_000, 60)]
    for i, h in enumerate(held):
        h.fill(i % 2)
    assert all((h == i % 2).all() for i, h in enumerate(held))  # no two share memory
    del held
    ext.empty_cache()
    assert b.zeros((0,), 8).size == 0 and b.zeros((), 9).shape == ()


def test_arrays_may_die_in_another_thread():
    made = [b.zeros((i * 1000 + 1,), 8) for i in range(50)]

    def drop():
        while made:
            made.pop()
            b.zeros((5000,), 8)

    workers = [threading.Thread(target=drop) for _ in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(20)
        assert not w.is_alive()
    assert (b.zeros((5000,), 8) == 0).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes(threads):
    threads(3)
    x = np.ones((900, 900), F4)
    b.reduce("sum", identity, (x,), None, False)  # the pool runs
    b.dot(x, x)
    sys.stdout.flush()
    for _ in range(3):
        child = os.fork()
        if not child:
            status = 1
            try:
                fine = b.reduce("sum", identity, (x,), None, False) == 810_000 and (b.dot(x, x) == 900).all()
                fine &= (b.elementwise(identity, (x,)) == 1).all() and ext.get_num_threads() == 3
                status = 0 if fine else 2
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        assert status == 0
    assert b.reduce("sum", identity, (x,), None, False) == 810_000


# ---- one item --------------------------------------------------------------------------------------------------------------


def random_key(rng, shape):
    """An index of ints, slices, None and ..., now and then out of range or too long."""
    bound = [n + (rng.random() < 0.02) for n in shape]
    key = [
        int(rng.integers(-n, n))
        if n and rng.random() < 0.5
        else slice(*(None if rng.random() < 0.4 else int(v) for v in rng.integers(-n - 2, n + 3, 2)))
        for n in bound[: rng.integers(len(shape) + 1)]
    ]
    key = [slice(k.start, k.stop, int(rng.integers(1, 4))) if isinstance(k, slice) and rng.random() < 0.5 else k for k in key]
    if rng.random() < 0.4:
        key.insert(rng.integers(len(key) + 1), Ellipsis)
    if rng.random() < 0.3:
        key.insert(rng.integers(len(key) + 1), None)
    return key[0] if len(key) == 1 and rng.random() < 0.7 else tuple(key)


def test_items_are_numpys_views():
    for rng in cases(1500, 80):
        a = array(rng, shape_of(rng), DTYPES[rng.integers(10)])
        x, key = gf.from_numpy(a) if a.flags.writeable else wrap(a), random_key(rng, a.shape)
        try:
            want = a[key if isinstance(key, tuple) else (key,)]
        except IndexError:
            with pytest.raises(IndexError):
                x[key]
            with pytest.raises((IndexError, RuntimeError)):
                x[key] = 0
            continue
        got = x[key]
        same(got.array, np.asarray(want), key)
        if isinstance(want, np.ndarray) and want.size:
            assert got.array.__array_interface__["data"] == want.__array_interface__["data"]
            assert all(s == t for n, s, t in zip(want.shape, got.array.strides, want.strides, strict=True) if n > 1)
        if not a.flags.writeable:
            with pytest.raises(RuntimeError, match="read-only"):
                x[key] = 0
            continue
        value = [1, 0.0, True, gf.zeros(got.shape, dtype=x.dtype), gf.ones(()), -np.inf][rng.integers(6)]
        before, count = a.copy(), x._version
        try:
            x[key] = value
        except (RuntimeError, ValueError, OverflowError):
            same(a, before, (key, value))
            continue
        assert x._version == count + 1
        before[key] = value.numpy() if isinstance(value, gf.Tensor) else value
        same(a, before, (key, value))


def test_what_an_item_became_is_written_where_it_is():
    x = gf.arange(6.0).reshape(2, 3)
    x[1] += 1
    x[0, 1:] *= 2
    x[:, 0] = x[:, 2]
    assert x.tolist() == [[4, 2, 4], [6, 5, 6]]
    x[0] = x[1]
    x[:, 1:] = x[:, :2]  # of what was there before
    assert x.tolist() == [[6, 6, 5], [6, 6, 5]]
    y = gf.ones(3, requires_grad=True)
    z = y * 1
    z[0] += 1
    z[1] = 5.0
    z.sum().backward()
    assert y.grad.tolist() == [1, 0, 1]


def test_an_index_of_too_many_dimensions():
    x = gf.zeros(2, 3)
    assert x[(None,) * 30].ndim == 32
    for index in ((None,) * 31, (None,) * 70):
        with pytest.raises(IndexError, match="at most 32 dimensions"):
            x[index]
        with pytest.raises(IndexError, match="at most 32 dimensions"):
            x[index] = 1.0
    x[(None,) * 30] = 3.0
    assert x.tolist() == [[3.0] * 3] * 2
