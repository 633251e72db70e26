"""The kernels over elements, asked directly: NumPy's results for arrays in any memory. No input may crash.

The sanitizers run this file too, so it imports nothing big.
"""

import itertools

import numpy as np
import pytest
from kernel_cases import CLEAN, F4, F8, I8, cases, identity, near, same
from layouts import DTYPES, REGISTER, array, is_float, numbers, overlapping, relaid, shape_of

from gradflow import backends as b
from gradflow import scalar as s
from gradflow.errors import GradflowError
from gradflow.scalar.evaluate import evaluate
from gradflow.scalar.program import trace

# ---- elementwise: random programs in every layout ------------------------------------------------------------------------

NUMBER_OPS = [s.maximum, s.minimum, s.neg, s.abs]
# A product that goes into a sum may be rounded once, not twice: programs over floats have one or the other.
SUMS = [s.add, s.sub, s.floor, s.ceil, s.trunc, s.round]
PRODUCTS = [s.mul, s.div, s.sqrt, s.trunc]
WHOLE_OPS = [s.add, s.sub, s.mul, s.bit_and, s.bit_or, s.bit_xor, s.bit_not, s.floor_divide, s.remainder, s.shift_left, s.shift_right]
COMPARISONS = [s.eq, s.ne, s.lt, s.le, s.gt, s.ge]


def random_formula(rng, inputs, outputs, category):
    """A formula over exact operations; as a function of scalar values, traced by the caller."""
    size = int(rng.integers(1, 25))
    choices = rng.random((size + outputs, 8))
    floats = SUMS if rng.random() < 0.5 else PRODUCTS

    def formula(*xs):
        values, truths = list(xs), []
        if category == 0:  # bools: only logic
            for c in choices[:size]:
                pick = [values[int(u * len(values))] for u in c[1:3]]
                op = [s.bit_and, s.bit_or, s.bit_xor, s.bit_not, s.eq, s.ne][int(c[0] * 6)]
                values.append(op(*pick[: op.arity]))
            return tuple(values[int(c[0] * len(values))] for c in choices[size:])
        for c in choices[:size]:
            pick = [values[int(u * len(values))] for u in c[1:4]]
            if c[4] < 0.15:
                pick[0] = [2, -1, 3][int(c[5] * 3)] if category == 1 else [0.5, -1.25, 3, 1e-3][int(c[5] * 4)]
            if c[0] < 0.2:
                truths.append(COMPARISONS[int(c[6] * 6)](*pick[:2]))
            elif c[0] < 0.3 and truths:
                values.append(s.where(truths[int(c[6] * len(truths))], pick[1], pick[2]))
            else:
                ops = NUMBER_OPS + (WHOLE_OPS if category == 1 else floats)
                op = ops[int(c[6] * len(ops))]
                values.append(op(*(pick[-op.arity :] if op.arity == 1 else pick[: op.arity])))
        everything = values + truths
        return tuple(everything[int(c[0] * len(everything))] for c in choices[size:])

    formula.__name__ = "random_program"
    return trace(formula, inputs, name="random_program")


def expected(program, inputs, common):
    """What the outputs must be, before they are rounded to their types."""
    register = REGISTER[DTYPES[common]]
    with np.errstate(all="ignore"):
        return evaluate(program, [np.asarray(x).astype(register) for x in inputs])


def random_inputs(rng, shape, n):
    """Arrays of several types that broadcast to ``shape``, and numbers."""
    category = int(rng.choice([0, 1, 2, 2, 2, 2]))
    kinds = [d for d in DTYPES if (0 if d.kind == "b" else 2 if is_float(d) else 1) <= category]
    top = [d for d in kinds if (0 if d.kind == "b" else 2 if is_float(d) else 1) == category]
    one = kinds[rng.integers(len(kinds))] if rng.random() < 0.5 else None
    inputs = []
    for k in range(n):
        if k and rng.random() < 0.2:
            inputs.append([True, -3, 2.5][category] if rng.random() < 0.7 else [np.bool_(1), np.int32(7), np.float32(0.75)][category])
            continue
        dtype = top[rng.integers(len(top))] if k == 0 else one or kinds[rng.integers(len(kinds))]
        own = tuple(1 if k and rng.random() < 0.15 else size for size in shape)
        own = own[rng.integers(len(own) + 1) :] if k and rng.random() < 0.2 else own
        inputs.append(array(rng, own, dtype))
    return tuple(inputs), category


def test_random_programs_equal_their_numpy_evaluation():
    for rng in cases(500, 1):
        n = int(rng.integers(1, 5))
        shape = shape_of(rng)
        inputs, category = random_inputs(rng, shape, n)
        program = random_formula(rng, n, int(rng.integers(1, 4)), category)
        kernel = b.prepare(program)
        before = [np.array(x) for x in inputs]
        want = expected(program, inputs, b.result_type(inputs))
        got = b.elementwise(kernel, inputs)
        got = got if isinstance(got, tuple) else (got,)
        for g, w in zip(got, want, strict=True):
            with np.errstate(all="ignore"):
                same(g, w.astype(g.dtype), program)
            assert g.base is None and g.flags.writeable
        for x, y in zip(inputs, before, strict=True):
            assert np.asarray(x).tobytes() == y.tobytes()
        # into given arrays, some of which hold something already
        outs = tuple(None if rng.random() < 0.2 else relaid(rng, numbers(rng, g.shape, g.dtype)) for g in got)
        add = sum(1 << k for k, out in enumerate(outs) if out is not None and rng.random() < 0.4 and is_float(out.dtype))
        old = [None if out is None else out.astype(REGISTER[out.dtype]) for out in outs]
        again = b.elementwise(kernel, inputs, outs if len(outs) > 1 or rng.random() < 0.5 else outs[0], add)
        again = again if isinstance(again, tuple) else (again,)
        for k, (out, result, g) in enumerate(zip(outs, again, got, strict=True)):
            assert out is None or result is out
            if add >> k & 1:
                with np.errstate(all="ignore"):
                    near(result, old[k] + want[k], 1, np.abs(old[k].astype(F8)) + np.abs(want[k].astype(F8)), program)
            else:
                same(result, g, program)


def test_outputs_that_share_memory_with_inputs():
    """As if every input had been read before anything was written."""
    for rng in cases(400, 2):
        shape = shape_of(rng, limit=3000 if rng.random() < 0.2 else 300)
        dtype = DTYPES[rng.integers(4, 10)]
        category = 2 if is_float(dtype) else 1
        program = random_formula(rng, 2, 1, category)
        kernel = b.prepare(program)
        source, out = overlapping(rng, numbers(rng, shape, dtype))
        other = source if rng.random() < 0.3 else array(rng, shape, dtype)
        want = b.elementwise(kernel, (source.copy(), other.copy()))
        if want.dtype != dtype:
            continue
        old = out.copy()
        if category == 2 and rng.random() < 0.3:
            with np.errstate(all="ignore"):
                near(
                    b.elementwise(kernel, (source, other), out, 1), old.astype(F8) + want.astype(F8), 1, np.abs(old) + np.abs(want), program
                )
        else:
            same(b.elementwise(kernel, (source, other), out), want, program)


def test_two_outputs_over_both_inputs():
    swap = b.kernel(lambda x, y: (y, x))
    turn = b.kernel(lambda x, y: (x + y, x - y))
    for rng in cases(60, 3):
        shape = shape_of(rng)
        for kernel, formula in ((swap, lambda x, y: (y, x)), (turn, lambda x, y: (x + y, x - y))):
            x, y = (relaid(rng, numbers(rng, shape, F8)) for _ in range(2))
            want = formula(x.copy(), y.copy())
            for g, w in zip(b.elementwise(kernel, (x, y), (x, y)), want, strict=True):
                same(g, w)
            x, y = overlapping(rng, numbers(rng, shape, F8))
            want = formula(x.copy(), y.copy())
            b.elementwise(kernel, (x, y), (x, None))
            same(x, want[0])


def test_positions_and_random_bits_follow_c_order_in_any_memory():
    place = b.kernel(lambda x: x * 0 + s.linear_index())
    bits = b.kernel(lambda x, seed, offset: s.random(seed, offset), raw=("seed", "offset"))
    for rng in cases(60, 4):
        x = array(rng, shape_of(rng), I8)
        same(b.elementwise(place, (x,)), np.arange(x.size).reshape(x.shape))
        seed, offset = int(rng.integers(-(2**62), 2**62)), int(rng.integers(0, 1000))
        (want,) = evaluate(bits.source, (x, seed % 2**64, offset))
        same(b.elementwise(bits, (x, seed, offset)), want)
        out = relaid(rng, numbers(rng, x.shape, I8))
        same(b.elementwise(bits, (x, seed, offset), out), want)


def test_conversions_between_all_types():
    for rng in cases(6, 5):
        for source, target in itertools.product(DTYPES, DTYPES):
            x = numbers(rng, shape_of(rng, 3), source)
            x = relaid(rng, np.asarray(np.abs(x), source))  # what is below 0 does not fit unsigned types
            with np.errstate(all="ignore"):
                want = x.astype(target)
            out = relaid(rng, np.zeros(x.shape, target))
            assert b.copy(x, out) is out
            same(out, want, (source, target))
            same(b.elementwise(identity, (x,), relaid(rng, np.zeros(x.shape, target))), want, (source, target))


@pytest.mark.parametrize("name", sorted(s.Primitive.table))
def test_every_primitive_stays_in_its_own_result(name):
    """Lengths around the vector and tile sizes: nothing behind the result is touched."""
    primitive = s.Primitive.table[name]
    kernel = (
        b.kernel(lambda *xs: primitive(*xs))
        if primitive.arity == 0
        else b.prepare(trace(lambda *xs: primitive(*xs), primitive.arity, name=name))
    )
    whole = primitive.domain == "I"
    rng = np.random.default_rng(6)
    for n in (1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 511, 513, 1025, 4097):
        xs = [numbers(rng, n, np.dtype("i4") if whole else F4) for _ in range(primitive.arity)]
        if name == "where":
            xs[0] = xs[0] > 0
        out = b.elementwise(kernel, tuple(xs))
        guarded = np.full(n + 64, 77, out.dtype)
        b.elementwise(kernel, tuple(xs), guarded[32 : 32 + n])
        assert guarded[32 : 32 + n].tobytes() == out.tobytes()
        assert (np.delete(guarded, slice(32, 32 + n)) == np.full((), 77, out.dtype)).all()


# ---- reduce --------------------------------------------------------------------------------------------------------------

FOLDS = {
    "sum": np.sum,
    "prod": np.prod,
    "max": np.max,
    "min": np.min,
    "any": np.any,
    "all": np.all,
    "argmax": np.argmax,
    "argmin": np.argmin,
}


def random_axes(rng, ndim, one):
    if rng.random() < 0.3 or not ndim:
        return None
    if one:
        return (int(rng.integers(-ndim, ndim)),)
    return tuple(int(i) - ndim * (rng.random() < 0.3) for i in rng.permutation(ndim)[: rng.integers(0, ndim + 1)])


def folded(name, x, axes, keepdims):
    """NumPy's fold, wide enough not to round."""
    axis = axes[0] if name.startswith("arg") and axes is not None else axes
    if name in ("sum", "prod"):
        wide = F8 if is_float(x.dtype) else I8
        return FOLDS[name](x, axis=axis, keepdims=keepdims, dtype=wide)
    return FOLDS[name](x.astype(F4) if x.dtype.kind == "V" else x, axis=axis, keepdims=keepdims)


def test_reduce_equals_numpys():
    for rng in cases(1200, 10):
        name = list(FOLDS)[rng.integers(8)]
        dtype = DTYPES[rng.integers(10)]
        if name in ("sum", "prod") and dtype.kind == "b":
            dtype = I8  # who sums bools converts them first
        x = array(rng, shape_of(rng), dtype)
        if is_float(dtype) and name.startswith(("max", "min", "arg")) and x.flags.writeable and x.size and rng.random() < 0.2:
            x[tuple(rng.integers(0, n) for n in x.shape)] = np.nan
        if name == "prod" and is_float(dtype):
            x = relaid(rng, np.asarray(np.where(x.astype(F4) > 5, 2, np.sign(x.astype(F4))), dtype))  # exact in any order
        arg = name.startswith("arg")
        axes, keepdims = random_axes(rng, x.ndim, arg), bool(rng.random() < 0.5)
        depth = x.size if axes is None else int(np.prod([x.shape[a] for a in axes]))
        if not depth and name in ("max", "min", "argmax", "argmin"):
            with pytest.raises(GradflowError):
                b.reduce(b.KINDS[name], identity, (x,), axes, keepdims)
            continue
        got = b.reduce(b.KINDS[name] if rng.random() < 0.5 else name, identity, (x,), axes, keepdims)
        want = np.asarray(folded(name, x, axes, keepdims))
        with np.errstate(over="ignore"):
            rounded = want if name == "sum" and is_float(dtype) else want.astype(got.dtype)
        assert got.dtype == (np.dtype("?") if name in ("any", "all") else I8 if arg else dtype)
        scale = folded("sum", np.abs(x.astype(F8)), axes, keepdims) if name == "sum" and is_float(dtype) else None
        ulps = 0 if name != "sum" else 2 if dtype != F8 else 24  # NumPy's own sum rounds too
        near(got, rounded, ulps, scale, (name, x.shape, axes))
        # into an array, perhaps onto what it holds, perhaps over the input itself
        out = relaid(rng, numbers(rng, got.shape, got.dtype))
        if name == "sum" and is_float(dtype):
            old = out.astype(F8)
            assert b.reduce("sum", identity, (x,), axes, keepdims, out, 1) is out
            near(out, old + want, ulps, np.abs(old) + scale, "accumulate")
        else:
            same(b.reduce(name, identity, (x,), axes, keepdims, out, 0), got)
        if got.dtype == dtype and x.size >= got.size and x.size:
            shared = np.array(x, order="C")
            out = shared.reshape(-1)[: got.size].reshape(got.shape)
            want = b.reduce(name, identity, (shared.copy(),), axes, keepdims)
            same(b.reduce(name, identity, (shared,), axes, keepdims, out), want, "over its own input")


def test_reduce_folds_programs_and_scales():
    products = b.kernel(lambda x, y: x * y)
    for rng in cases(150, 11):
        shape = shape_of(rng)
        x, y = array(rng, shape, F8), array(rng, shape[-1:], F8)
        axes = random_axes(rng, len(shape), False)
        got = b.reduce("sum", products, (x, y), axes, False, None, 0, 0.25)
        want = np.asarray((x * y).sum(axes) * 0.25)
        near(got, want, 24, np.asarray(np.abs(x * y).sum(axes)))
        got = b.reduce("argmax", b.kernel(lambda x: -x), (x,), (0,), True) if shape and shape[0] and x.size else None
        if got is not None:
            same(got, np.argmin(x, 0, keepdims=True).astype(I8))


def test_long_float32_sums_are_exact_to_rounding():
    rng = np.random.default_rng(12)
    for n in (1, 31, 1000, 100_003, 3_000_017):
        x = (rng.random(n) + 0.5).astype(F4)
        near(b.reduce("sum", identity, (x,), None, False), np.asarray(x.sum(dtype=F8)), 0.51)
    ones = np.ones(2**25, F4)  # a plain float32 loop stops at 2 ** 24
    assert b.reduce("sum", identity, (ones,), None, False) == 2**25


def test_the_same_bits_for_any_number_of_threads(threads):
    rng = np.random.default_rng(13)
    softmax = b.kernel(lambda x: s.exp(x - s.row_max(x)) / s.row_sum(s.exp(x - s.row_max(x))))
    work = []
    for dtype in (F4, F8, np.dtype("f2")):
        for x in (
            rng.standard_normal(700_001),
            rng.standard_normal((1300, 701)),
            rng.standard_normal((40, 50, 333)),
            rng.standard_normal((3, 200_003)),
        ):
            x = x.astype(dtype)
            for name in ("sum", "prod", "max", "argmin"):
                for axes in (None, (0,), (x.ndim - 1,)):
                    work.append(lambda name=name, x=x, axes=axes: b.reduce(name, identity, (x,), axes, False))
            work.append(lambda x=x: b.reduce("sum", identity, (x.T,), (0,), False))
            work.append(lambda x=x: b.rows(softmax, (x,), x.ndim - 1))
            work.append(lambda x=x: b.rows(softmax, (x,), 0))
            work.append(lambda x=x: b.rows(softmax, (x,), x.ndim - 1, None, 0, 1))
    index = rng.integers(0, 50, 300_000)
    values = rng.standard_normal((300_000, 3)).astype(F4)
    work.append(lambda: b.add_rows(np.zeros((50, 3), F4), 0, index, values))
    work.append(lambda: b.scatter_add(np.zeros((50, 3), F4), 0, np.repeat(index[:, None], 3, 1), values))
    threads(1)
    want = [f().tobytes() for f in work]
    for n in (2, 3):
        threads(n)
        for f, w in zip(work, want, strict=True):
            assert f().tobytes() == w


# ---- rows ----------------------------------------------------------------------------------------------------------------


def test_rows_equal_numpys():
    both = b.kernel(
        lambda x, w: (s.exp(x - s.row_max(x)) / s.row_sum(s.exp(x - s.row_max(x))) * w, s.row_sum(x * w), s.row_max(x)), outputs=3
    )
    for rng in cases(200, 20):
        shape = shape_of(rng, least=1)
        if rng.random() < 0.1:
            shape = (int(rng.integers(1, 4)), int(rng.integers(1000, 6000)))
        dtype = [F4, F8][rng.integers(2)]
        axis = int(rng.integers(len(shape)))
        x = array(rng, shape, dtype)
        w = (
            array(rng, tuple(1 if k == axis or rng.random() < 0.3 else n for k, n in enumerate(shape)), dtype)
            if rng.random() < 0.6
            else 1.5
        )
        at = axis if rng.random() < 0.5 else axis - len(shape)
        if not shape[axis]:
            try:
                b.rows(both, (x, w), at)
            except CLEAN:
                continue
            continue
        y, total, top = b.rows(both, (x, w), at)
        wide = x.astype(F8)
        e = np.exp(wide - wide.max(axis, keepdims=True)) if x.size else wide
        near(y, (e / e.sum(axis, keepdims=True) if x.size else e) * w, 12 if dtype == F4 else 60)
        terms = wide * np.asarray(w, F8)
        near(total, terms.sum(axis, keepdims=True), 2 if dtype == F4 else 24, np.abs(terms).sum(axis, keepdims=True))
        same(top, x.max(axis, keepdims=True))
        out = relaid(rng, numbers(rng, y.shape, dtype))
        old = out.astype(F8)
        b.rows(both, (x, w), at, (out, None, None), 1)
        near(out, old + y.astype(F8), 2, np.abs(old) + np.abs(y.astype(F8)))
        writable = np.array(x)
        want, _, _ = b.rows(both, (writable, w), at)
        b.rows(both, (writable, w), at, (writable, None, None))  # in place
        same(writable, want)


def test_outputs_of_rows_are_summed_over_the_rows():
    program = b.kernel(lambda x, y: (x - s.row_sum(x), x * y, y, s.row_max(x)), outputs=4)
    for rng in cases(120, 21):
        shape = shape_of(rng, least=1)
        if rng.random() < 0.3:
            shape = [(300, 40), (3, 5000), (2, 70_000), (70, 3, 257)][rng.integers(4)]
        dtype = [F4, F8, np.dtype("f2")][rng.integers(3)]
        axis = int(rng.integers(len(shape)))
        if not shape[axis]:
            continue
        x, y = array(rng, shape, dtype), array(rng, shape, dtype)
        others = tuple(k for k in range(len(shape)) if k != axis)
        terms = [x.astype(F8) * y.astype(F8), y.astype(F8)]
        want, size = [t.sum(others) for t in terms], [np.abs(t).sum(others) for t in terms]
        few = 8 if dtype.itemsize < 8 else 24
        _, products, sums, _ = b.rows(program, (x, y), axis, None, 0, 0b110)
        near(products, want[0], few, size[0])
        near(sums, want[1], few, size[1])
        outs = [relaid(rng, numbers(rng, (shape[axis],), dtype)) for _ in range(2)]
        old = [o.astype(F8) for o in outs]
        b.rows(program, (x, y), axis, (None, *outs, None), 0b100, 0b110)
        near(outs[0], want[0], few, size[0])
        near(outs[1], old[1] + want[1], 2 + few, np.abs(old[1]) + size[1])
    with pytest.raises(ValueError, match="one value per element"):
        b.rows(program, (x, y), axis, None, 0, 0b1000)


def test_foreign_arrays_go_to_their_owners(monkeypatch):
    class Foreign:
        pass

    class Outer(Foreign):
        pass

    class Backend:
        def __init__(self, name):
            self.name = name

        def elementwise(self, program, inputs, *rest):
            return self.name, inputs

    monkeypatch.setattr(b.owners, "OWNERS", [])
    monkeypatch.setattr(b.owners, "RANKS", {})
    b.register(Foreign, Backend("inner"))
    b.register(Outer, Backend("outer"), outermost=True)
    ones, add = np.ones(3), b.kernel(lambda p, q: p + q)
    x, y = Foreign(), Outer()
    assert b.elementwise(add, (x, ones))[0] == "inner"
    assert b.elementwise(add, (x, y)) == ("outer", (x, y))
    assert b.elementwise(identity, (ones,), y)[0] == "outer"
    with pytest.raises(TypeError, match="expected arrays or numbers"):
        b.elementwise(identity, (object(),))
