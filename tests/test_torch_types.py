"""Random comparisons with torch: element types and promotion, shapes, halves, views, printing, and graphs of many operations."""

import itertools
import warnings

import numpy as np
import pytest

import gradflow as gf

DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split()
TOLERANCE = {"float16": 2e-3, "bfloat16": 1.6e-2, "float32": 3e-6, "float64": 1e-12}
SHAPES = [(), (0,), (5,), (3, 4), (2, 0, 3), (2, 1, 3)]

pytestmark = pytest.mark.filterwarnings("ignore")


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def attempt(f, *args):
    """(result, None) or (None, exception)"""
    try:
        return f(*args), None
    except Exception as error:
        return None, error


# ---- promotion -----------------------------------------------------------------------------------------------------------

SIDES = [(kind, d) for kind in ("tensor", "0-d") for d in DTYPES] + [("number", n) for n in (True, 1, 1.0)]
BINARY = {
    "add": lambda t, a, b: a + b,
    "sub": lambda t, a, b: a - b,
    "mul": lambda t, a, b: a * b,
    "div": lambda t, a, b: a / b,
    "floor_divide": lambda t, a, b: a // b,
    "remainder": lambda t, a, b: a % b,
    "pow": lambda t, a, b: a**b,
    "lt": lambda t, a, b: a < b,
    "ne": lambda t, a, b: a != b,
    "where": lambda t, a, b: t.where(t.tensor([True, False]), a, b),
    "and": lambda t, a, b: a & b,
    "maximum": lambda t, a, b: t.maximum(a, b),
    "clamp": lambda t, a, b: t.clamp(a, min=b),
    "alpha": lambda t, a, b: t.add(a, b, alpha=2),
    "result_type": lambda t, a, b: t.result_type(a, b),
    "masked_fill": lambda t, a, b: a.masked_fill(t.tensor([True, False]), b),
    "add_": lambda t, a, b: a.add_(b),
    "div_": lambda t, a, b: a.div_(b),
    "copy_": lambda t, a, b: a.copy_(b),
    "cat": lambda t, a, b: t.cat([a, b]),
    "shift": lambda t, a, b: a << b,
}
MORE_THAN_TORCH = {"maximum", "where"}  # numbers as operands too


def side(t, kind, value):
    if kind == "number":
        return value
    return t.ones(2 if kind == "tensor" else (), dtype=getattr(t, value))


@pytest.mark.parametrize("op", BINARY)
def test_promotion_of_all_pairs(torch, op):
    f = BINARY[op]
    for left, right in itertools.product(SIDES, SIDES):
        if left[0] == right[0] == "number":
            continue
        (want, refused), (got, error) = (attempt(f, t, side(t, *left), side(t, *right)) for t in (torch, gf))
        if refused is None:
            assert error is None, (op, left, right, error)
            want, got = (getattr(x, "dtype", x) for x in (want, got))
            assert name_of(got) == name_of(want), (op, left, right)
        elif error is not None:
            assert isinstance(error, (RuntimeError, TypeError, AttributeError)), (op, left, right)
        else:
            lenient = op in MORE_THAN_TORCH or "bool" in (left[1], right[1]) or True in (left[1], right[1])
            assert lenient, (op, left, right, refused)


# ---- every function, type and shape --------------------------------------------------------------------------------------

UNARY = """exp expm1 exp2 log log1p log2 log10 sqrt rsqrt abs sign sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid erf erfc
    erfinv lgamma digamma floor ceil round trunc frac reciprocal square neg isnan isinf isfinite logical_not bitwise_not"""
FUNCTIONS = {name: lambda t, x, name=name: getattr(t, name)(x) for name in UNARY.split()}
for name in "relu leaky_relu elu selu celu silu softplus mish hardtanh relu6 hardswish softsign tanhshrink hardshrink logsigmoid".split():
    FUNCTIONS[f"F.{name}"] = lambda t, x, name=name: getattr(t.nn.functional, name)(x)
for name in "sum mean prod max min amax amin any all var std norm logsumexp count_nonzero nansum argmax argmin softmax log_softmax".split():
    for options in ({}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": (0, 1)}, {"dim": 1}):
        if name in ("softmax", "log_softmax"):
            options = {k: v for k, v in options.items() if k == "dim"} or {"dim": 0}
        FUNCTIONS[f"{name} {options}"] = lambda t, x, name=name, options=options: getattr(t, name)(x, **options)
FUNCTIONS |= {
    "x ** 2": lambda t, x: x**2,
    "x ** 0.5": lambda t, x: (x * x) ** 0.5,
    "x ** 0": lambda t, x: x**0,
    "2 ** x": lambda t, x: 2**x,
    "x // 2": lambda t, x: x // 2,
    "x % 3": lambda t, x: x % 3,
    "x / 2": lambda t, x: x / 2,
    "2 / x": lambda t, x: 2 / x,
    "fmod": lambda t, x: t.fmod(x, 2),
    "div, trunc": lambda t, x: t.div(x, 2, rounding_mode="trunc"),
    "1 - x": lambda t, x: 1 - x,
    "x << 1": lambda t, x: x << 1,
    "1 << x": lambda t, x: 1 << (x % 5),
    "x & 1": lambda t, x: x & 1,
    "x < 1": lambda t, x: x < 1,
    "clamp": lambda t, x: x.clamp(0, 1),
    "clamp to fractions": lambda t, x: x.clamp(0.25, 0.5),
    "round to tenths": lambda t, x: t.round(x, decimals=1),
    "where": lambda t, x: t.where(x > 0, x, 0),
    "masked_fill": lambda t, x: x.masked_fill(x > 0, 2),
    "tril": lambda t, x: t.tril(x),
    "nonzero": lambda t, x: t.nonzero(x),
    "x @ x.T": lambda t, x: x @ x.transpose(-1, -2),
    "unbind": lambda t, x: x.unbind(0),
    "split": lambda t, x: x.split(2),
    "chunk": lambda t, x: x.chunk(3),
    "cat": lambda t, x: t.cat([x, x]),
    "stack": lambda t, x: t.stack([x, x], -1),
    "repeat": lambda t, x: x.repeat(2, *[1] * x.ndim),
    "to int": lambda t, x: t.where(x == x, x, 0).clamp(0, 9).int(),
    "to half": lambda t, x: x.half(),
    "to bfloat16": lambda t, x: x.bfloat16(),
    "to bool": lambda t, x: x.bool(),
    "full_like": lambda t, x: t.full_like(x, 3.7),
    "add_": lambda t, x: x.clone().add_(1),
    "mul_ by a fraction": lambda t, x: x.clone().mul_(1.5),
    "fill_": lambda t, x: x.clone().fill_(2.5),
    "isclose": lambda t, x: t.isclose(x, x),
    "repr": lambda t, x: repr(x),
}


def data(shape, dtype, special):
    r = np.random.default_rng(len(shape) * 7 + 3)
    a = np.asarray(r.normal(0, 2, shape))
    if "float" not in dtype:
        return a > 0 if dtype == "bool" else np.abs(np.round(a * 2)).astype(int) if dtype == "uint8" else np.round(a * 2).astype(int)
    if special:
        a.reshape(-1)[:7] = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -1])[: a.size]
    return a.astype(np.float32)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_type_and_shape(torch, name):
    f = FUNCTIONS[name]
    for dtype, shape, special in itertools.product(DTYPES, SHAPES, (False, True)):
        if special and "float" not in dtype:
            continue
        a = data(shape, dtype, special)
        (want, refused), (got, error) = (attempt(f, t, t.tensor(a).to(getattr(t, dtype))) for t in (torch, gf))
        where = (name, dtype, shape, special)
        if refused is not None:
            unimplemented = isinstance(refused, NotImplementedError) or "not supported" in str(refused) or "not implemented" in str(refused)
            assert error is not None or unimplemented or "does not support" in str(refused), (*where, refused)
            continue
        if name == "repr":
            assert got == want, where
            continue
        assert error is None or "softmax" in name, (*where, error)
        if error is not None:
            continue
        many = isinstance(want, (tuple, list))
        for w, g in zip(want if many else [want], got if many else [got], strict=True):
            assert name_of(g.dtype) == name_of(w.dtype), where
            assert tuple(g.shape) == tuple(w.shape), where
            tolerance = TOLERANCE.get(name_of(w.dtype), 0)
            np.testing.assert_allclose(
                g.double().numpy(), w.double().numpy(), rtol=tolerance, atol=tolerance / 10, err_msg=str(where), equal_nan=True
            )


# ---- halves --------------------------------------------------------------------------------------------------------------

IN_HALVES = {
    **{f: lambda t, x, f=f: getattr(t, f)(x) for f in "exp log1p sqrt tanh sigmoid erf sin reciprocal square".split()},
    "mul": lambda t, x: x * x,
    "formula": lambda t, x: t.nn.functional.gelu(x),
    "round": lambda t, x: t.round(x, decimals=1),
    "sum": lambda t, x: x.sum(0),
    "mean": lambda t, x: x.mean(),
    "var": lambda t, x: x.var(0),
    "var far from 0": lambda t, x: x[:4].reshape(-1).sort()[0][-9:].var(),
    "std": lambda t, x: x.std(),
    "norm": lambda t, x: x.norm(),
    "norm of order 3": lambda t, x: x.norm(3, 0),
    "prod": lambda t, x: x.prod(0),
    "logsumexp": lambda t, x: x.logsumexp(0),
    "softmax": lambda t, x: t.softmax(x, 1),
    "layer_norm": lambda t, x: t.nn.functional.layer_norm(x, (4,)),
    "matmul": lambda t, x: x @ x.T,
    "cumulated": lambda t, x: t.cat([x, x]).sum(),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", IN_HALVES)
def test_halves_are_float32_rounded_once(name, dtype):
    half = getattr(gf, dtype)
    x = gf.tensor(np.abs(np.random.default_rng(5).normal(1, 1, (37, 4))), dtype=half)
    want = IN_HALVES[name](gf, x.float()).to(half)
    got = IN_HALVES[name](gf, x)
    assert got.dtype is half
    step = {"float16": 2**-10, "bfloat16": 2**-7}[dtype]
    np.testing.assert_allclose(got.double().numpy(), want.double().numpy(), rtol=step, atol=1e-7)
    exact = (got == want).double().mean().item()
    assert exact > 0.9, f"only {exact:.0%} are float32's result rounded"


def test_folds_of_halves_do_not_overflow_or_cancel_on_the_way():
    x = gf.full((100,), 1000.0, dtype=gf.float16)
    assert x.norm().item() == 10_000
    y = gf.tensor([100.0, 101.0] * 50, dtype=gf.bfloat16)
    assert abs(y.var().item() - 25 / 99) < 2e-3 and abs(y.std().item() - 0.5025) < 2e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_in_halves(torch, dtype):
    a = np.random.default_rng(6).normal(0, 1, (6, 4))
    for f in (
        lambda t, x: (x * x + t.tanh(x)).sum(),
        lambda t, x: x.var(0).sum(),
        lambda t, x: x.norm(),
        lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, 1, 2, 3, 0, 1])),
        lambda t, x: t.nn.functional.layer_norm(x, (4,)).pow(2).sum(),
        lambda t, x: (x @ x.T).sum(),
    ):
        grads = []
        for t, d in ((torch, dtype), (gf, dtype), (gf, "float64")):
            x = t.tensor(a, dtype=getattr(t, d)).requires_grad_()
            f(t, x).backward()
            assert name_of(x.grad.dtype) == d
            grads.append(x.grad.double().numpy())
        theirs, ours, exact = grads
        size = np.abs(exact).max()
        assert np.abs(ours - exact).max() <= max(1.5 * np.abs(theirs - exact).max(), 0.02 * size if dtype == "bfloat16" else 0.004 * size)


# ---- views ---------------------------------------------------------------------------------------------------------------


def random_view(r, shape):
    """(name, function) of a view that suits the shape, or ``None``."""
    n = len(shape)
    axis = int(r.integers(-n, n)) if n else 0
    size = shape[axis] if n else 0
    start = int(r.integers(0, size + 1))
    order = [int(i) for i in r.permutation(n)]
    choices = [
        ("unsqueeze", lambda x: x.unsqueeze(axis)),
        ("squeeze", lambda x: x.squeeze()),
        ("expand", lambda x: x.expand(2, *(3 if s == 1 else s for s in shape))),
        ("[None]", lambda x: x[None, ...]),
        ("reshape", lambda x: x.reshape(-1)),
    ]
    if n:
        choices += [
            ("permute", lambda x: x.permute(*order)),
            ("transpose", lambda x: x.transpose(axis, 0)),
            ("squeeze one", lambda x: x.squeeze(axis)),
            ("slice", lambda x: x[(slice(None),) * (axis % n) + (slice(start, None, 2),)]),
            ("narrow", lambda x: x.narrow(axis, start, size - start)),
            ("flatten", lambda x: x.flatten(axis % n, -1)),
            ("movedim", lambda x: x.movedim(axis, 0)),
            ("chunk", lambda x: x.chunk(2, axis)[-1]),
        ]
    if size:
        choices += [("select", lambda x: x.select(axis, start - size)), ("unbind", lambda x: x.unbind(axis)[0])] if start < size else []
    if n > 1:
        choices += [("mT", lambda x: x.mT), ("diagonal", lambda x: x.diagonal(1, order[0], order[1]))]
    return choices[r.integers(len(choices))]


def test_views_share_memory_and_have_torchs_strides(torch):
    for seed in range(800):
        r = np.random.default_rng(seed)
        shape = tuple(int(v) for v in r.choice([0, 1, 1, 2, 3, 4], r.integers(0, 5)))
        a = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
        x, y = torch.tensor(a), gf.tensor(a)
        x0, y0, steps = x.data_ptr(), y.data_ptr(), [shape]
        for _ in range(5):
            name, f = random_view(r, tuple(x.shape))
            steps.append(name)
            (x, refused), (y, error) = attempt(f, x), attempt(f, y)
            assert (refused is None) == (error is None), (seed, steps, refused, error)
            if error is not None:
                break
            assert tuple(x.shape) == tuple(y.shape) and np.array_equal(x.numpy(), y.numpy()), (seed, steps)
            assert x.is_contiguous() == y.is_contiguous(), (seed, steps)
            if not x.numel():
                continue
            assert [s for s, n in zip(x.stride(), x.shape) if n > 1] == [s for s, n in zip(y.stride(), y.shape) if n > 1], (seed, steps)
            shared = x.untyped_storage().data_ptr() == x0
            assert shared == (y0 <= y.data_ptr() < y0 + a.nbytes), (seed, steps)
            if not shared:
                break
            assert x.data_ptr() - x0 == y.data_ptr() - y0, (seed, steps)


# ---- printing ------------------------------------------------------------------------------------------------------------


def test_printing_of_results(torch):
    for seed in range(150):
        r = np.random.default_rng(seed)
        shape = tuple(int(v) for v in r.choice([0, 1, 2, 3, 7, 12], r.integers(0, 4)))
        a = np.asarray(r.normal(0, 10.0 ** r.integers(-6, 7), shape) if r.random() < 0.7 else r.integers(-1000, 1000, shape))
        if a.dtype.kind == "f" and a.size and r.random() < 0.2:
            a.reshape(-1)[r.integers(a.size)] = r.choice([np.nan, np.inf, -np.inf, 0.0])
        f = [
            lambda t, x: x,
            lambda t, x: x * 2,
            lambda t, x: x > 0,
            lambda t, x: x.double().sum(),
            lambda t, x: x.float().half(),
            lambda t, x: x.requires_grad_() if x.is_floating_point() else x,
            lambda t, x: x.requires_grad_().exp() if x.is_floating_point() else -x,
            lambda t, x: x.t() if x.ndim == 2 else x.reshape(-1),
        ][r.integers(8)]
        dtype = [None, "float32", "int32"][r.integers(3)]
        if dtype == "int32" and (not np.isfinite(a).all() or np.abs(a).max(initial=0) > 1e9):
            dtype = None
        want, got = (f(t, t.tensor(a if dtype is None else a.astype(dtype))) for t in (torch, gf))
        assert repr(got) == repr(want), seed


# ---- graphs --------------------------------------------------------------------------------------------------------------


def random_step(r, values):
    """A function of (module, tensors so far) that gives one more, chosen by shapes."""
    k = int(r.integers(len(values)))
    shape = values[k]
    n = len(shape)
    axis = int(r.integers(n)) if n else 0
    index = r.integers(0, shape[axis], 3).tolist() if n and shape[axis] else []
    same_shape = [j for j, s in enumerate(values) if s == shape]
    j = int(r.choice(same_shape))
    fitting = [i for i, s in enumerate(values) if len(s) <= n and all(p in (1, q) for p, q in zip(s[::-1], shape[::-1]))]
    i = int(r.choice(fitting))
    smooth = str(r.choice(["tanh", "sin", "sigmoid", "exp", "abs", "relu", "square"]))
    choices = [
        lambda t, v: getattr(t, smooth)(v[k] * 0.5),
        lambda t, v: v[k] * v[i],
        lambda t, v: v[k] + v[i] * 0.5,
        lambda t, v: v[k] / (v[i] * v[i] + 1),
        lambda t, v: v[i] - v[k],
        lambda t, v: t.maximum(v[k], v[j]),
        lambda t, v: t.where(v[k] > 0, v[k], v[i]),
        lambda t, v: v[k].reshape(-1)[:5],
        lambda t, v: v[k].clamp(-0.5, 0.7),
        lambda t, v: (v[k] * 1).mul_(v[i]).add_(1),
        lambda t, v: v[k].sum() * v[i],
        lambda t, v: v[k].mean() + v[k].detach(),
    ]
    if n:
        choices += [
            lambda t, v: v[k].sum(axis),
            lambda t, v: v[k].mean(axis, keepdim=True),
            lambda t, v: t.softmax(v[k], axis),
            lambda t, v: v[k].amax(axis),
            lambda t, v: v[k].max(axis, keepdim=True)[0],
            lambda t, v: v[k].logsumexp(axis, keepdim=True),
            lambda t, v: t.cat([v[k], v[j]], axis),
            lambda t, v: t.stack([v[k], v[j]], axis),
            lambda t, v: v[k].transpose(0, axis),
            lambda t, v: v[k].unsqueeze(axis).expand(*shape[:axis], 2, *shape[axis:]),
            lambda t, v: v[k].select(axis, 0),
            lambda t, v: v[k].narrow(axis, 0, 1),
            lambda t, v: v[k].split(1, axis)[-1] * v[k],
            lambda t, v: t.index_select(v[k], axis, t.tensor(index)),
            lambda t, v: v[k][v[k] > 0],
            lambda t, v: t.nn.functional.layer_norm(v[k], shape[-1:]),
            lambda t, v: v[k].var(axis, unbiased=False),
            lambda t, v: v[k] @ v[j].transpose(-1, -2) if n > 1 else v[k] @ v[j],
        ]
    return choices[r.integers(len(choices))]


def test_random_graphs_have_torchs_derivatives(torch):
    for seed in range(250):
        r = np.random.default_rng(seed)
        arrays = [r.normal(0, 1, s) for s in [(3, 4), (4,), (2, 3, 4), (3, 1), ()][: r.integers(2, 6)]]
        leaves = {t: [t.tensor(a, requires_grad=True) for a in arrays] for t in (torch, gf)}
        values = {t: list(leaves[t]) for t in leaves}
        for _ in range(int(r.integers(3, 14))):
            step = random_step(r, [tuple(v.shape) for v in values[torch]])
            new = step(torch, values[torch])
            if not 0 < new.numel() <= 500 or not torch.isfinite(new).all():
                continue
            values[torch].append(new)
            values[gf].append(step(gf, values[gf]))
            np.testing.assert_allclose(values[gf][-1].detach().numpy(), new.detach().numpy(), rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}")
        results = []
        for t in (torch, gf):
            loss = sum((v * t.tensor(np.cos(np.arange(v.numel())).reshape(tuple(v.shape)))).sum() for v in values[t][len(arrays) :])
            loss = loss + sum(x.sum() for x in leaves[t]) * 0.1
            first = t.autograd.grad(loss, leaves[t], create_graph=True)
            second = sum((g * g).sum() for g in first)
            again = t.autograd.grad(second, leaves[t], allow_unused=True, retain_graph=True) if second.requires_grad else []
            loss.backward()
            results.append([g.detach().numpy() for g in first] + [x.grad.numpy() for x in leaves[t]])
            results[-1] += [None if g is None else g.numpy(force=True) for g in again]
        for want, got in zip(*results):
            want, got = (np.zeros(()) if g is None else g for g in (want, got))
            size = max(np.abs(want).max(initial=0), 1)
            np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9 * size, err_msg=f"seed {seed}")


def test_warnings_are_torchs(torch):
    for call in (
        lambda t: t.nn.functional.softmax(t.ones(2, 3)),
        lambda t: t.nn.functional.mse_loss(t.ones(2, 3), t.ones(3)),
    ):
        for t in (torch, gf):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                call(t)
            assert any(issubclass(w.category, UserWarning) for w in caught)
