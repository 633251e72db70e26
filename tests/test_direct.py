"""Plain calls that the extension answers give what the functions behind them give: values, strides, memory, place on the tape."""

import copy
import gc
import inspect
import itertools
import math
import re

import numpy as np
import pytest

import gradflow as gf
from gradflow import constructors, creation
from gradflow.backends import Direct
from gradflow.ops import joining, rearranging, stacking, striding, views

SHAPES = [(), (0,), (1,), (5,), (2, 3), (1, 4), (4, 0), (3, 1, 4), (2, 3, 1, 2)]
AXES = range(-3, 3)
ONE = [(i,) for i in AXES]
TWO = list(itertools.product(AXES, AXES))
CALLS = {
    views.permute: [*itertools.permutations(range(3)), (1, 0), (-1, 0), (0, 0), ((1, 0),), ([2, 0, 1],), ((),), (0,)],
    views.transpose: TWO,
    views.transposed: [()],
    views.matrix_transposed: [()],
    views.t: [()],
    views.movedim: TWO,
    views.reshape: [(-1,), (1, -1), ((-1, 2),), (6,), (3, 2), (2, -1, 1), ((),), (0,), (0, -1), (-1, -1), (7, 1), ([1, 5],), (True,)],
    views.view: [(-1,), (1, -1), ((-1, 2),), (6,), (3, 2), (2, -1, 1), ((),), (0,), (0, -1), (7, 1)],
    views.reshape_as: [(gf.ones(6),), (gf.ones(3, 2),), (gf.ones(()),), (gf.ones(2, 1, 6),), (1,)],
    views.ravel: [()],
    views.flatten: [(), *ONE, *TWO],
    views.unflatten: [(i, s) for i in AXES for s in ((-1, 1), (1, -1), (2, -1), (1,), [3, 1], (1, -1, 1), ())],
    views.unsqueeze: [*ONE, (3,), (-4,), (None,), (1.0,)],
    views.squeeze: [(), *ONE, ((0, 1),), (None,)],
    views.expand: [(5,), (3, -1), (2, -1, -1), ((4, 1, 3),), (2, 3, 5, 2), (-1,), ((),), (-1, 3), (0,), (2**31, 2**40)],
    views.expand_as: [(gf.ones(5),), (gf.ones(2, 2, 3),), (gf.ones(()),)],
    views.broadcast_to: [((5,),), ((3, -1),), ([2, 4, 3],), (4,)],
    views.select: [(i, k) for i in AXES for k in (0, 1, -1, 4, -5)],
    views.narrow: [(i, a, n) for i in AXES for a in (0, 1, -1, 7) for n in (0, 1, 2, -1)],
    views.diagonal: [(), *itertools.product((-4, -1, 0, 1, 3), (0, 1, -1), (0, 1, -1))],
    rearranging.unfold: [(i, n, s) for i in AXES for n in (0, 1, 2) for s in (0, 1, 2)],
    striding.as_strided: [((2,), (1,)), ((2, 2), (1, 0)), ((1,), (3,), 1), ((), ()), ((0, 2), (1, 1), 2), ((9, 9), (9, 1)), ((1,), (-1,)), ((2,), (1, 1))],
    joining.split: [(n, *i) for n in (1, 2, 0, -1, [1, 1], (2, 3), [0, 3], [2]) for i in [(), *ONE]],
    joining.chunk: [(n, *i) for n in (1, 2, 3, 0) for i in [(), *ONE]],
    joining.unbind: [(), *ONE],
    stacking.tensor_split: [(n, *i) for n in (1, 2, 0, [1], (1, 2), [2, 1], [], [-1]) for i in [(), *ONE]],
}  # fmt: skip


def made(f, x, args):
    """All that can be told of a result, or what was raised."""
    try:
        results = f(x, *args)
    except Exception as error:
        return type(error), str(error)
    together = isinstance(results, tuple)
    found = []
    for y in results if together else (results,):
        a = y.array
        origin = y.origin[1][1:] + y.origin[2:] if a.size and hasattr(y, "origin") else None  # memory without elements is nobody's
        strides = [s for s, n in zip(a.strides, a.shape, strict=True) if n > 1]
        node = y.grad_fn and (y.grad_fn.name(), y.grad_fn.meta, y.node.meta)
        found.append((y is x, a.shape, strides, a.size and y.storage_offset(), a.flags.writeable, origin, node, y.tolist()))
    return together, found


@pytest.mark.parametrize("function", CALLS, ids=lambda f: f.__name__)
def test_as_the_function_behind(function):
    assert isinstance(function, Direct)
    for shape, args in itertools.product(SHAPES, CALLS[function]):
        base = gf.arange(float(np.prod(shape))).reshape(shape)
        wide = gf.arange(2.0 * np.prod(shape)).reshape((*shape[:-1], 2 * shape[-1]))[..., ::2] if shape else base
        for x in (
            base,
            wide,
            wide.detach().requires_grad_(),
            base.detach().requires_grad_() * 2,
            base.long().T if len(shape) < 3 else base.expand(shape),
        ):
            assert made(function, x, args) == made(function.function, x, args), (shape, args)


X = gf.arange(6.0).reshape(2, 3)
OPTIONS = [
    {},
    {"dtype": gf.float64},
    {"dtype": gf.int32, "device": "cpu"},
    {"dtype": gf.bool},
    {"dtype": gf.bfloat16, "requires_grad": True},
]
SIZES = [(2, 3), ((2, 3),), ([4],), ((),), (0,), (2, -1), (True,), (2**40, 2**40), ()]
TRIANGLES = [(3, 3), (2, 4, 1), (4, 2, -1), (0, 3), (3, 0, 2), (3, 3, 9), (3, 3, -9), (-1, 2), (2.0, 2)]
MAKING = {
    creation.zeros: SIZES,
    creation.ones: SIZES,
    creation.full: [((2, 3), v) for v in (1, 2.5, True, -1, 1e300, 2**40, math.inf, "1")] + [(2, 3)],
    creation.zeros_like: [(X,), (X.T,), (X.long(),), (X > 1,), (1,)],
    creation.ones_like: [(X,), (X.T,), (X.long(),), (X > 1,), (X[:, ::2],)],
    creation.full_like: [(x, v) for x in (X, X.T, X.long(), X > 1) for v in (1, 2.5, True, 1e300)],
    creation.arange: [
        (5,),
        (2, 5),
        (0, 1, 0.3),
        (5, 0, -2),
        (1.5,),
        (3, 3),
        (0,),
        (2, 5, 0),
        (5, 2),
        (-3,),
        (math.inf,),
        (1, 2, -1),
        (0, 7, 2),
        (),
    ],
    creation.linspace: [(0, 1, 5), (1, -1, 4), (2.5, 3, 1), (0, 1, 0), (0, 1, -1), (0, 1e39, 3), (-3, 8, 7), (0, 1, 2.0)],
    creation.eye: [(3,), (2, 4), (4, 2), (0,), (3, None), (-1,), (2.0,)],
    constructors.scalar_tensor: [(3,), (2.5,), (True,), ("1",)],
    constructors.tril_indices: TRIANGLES,
    constructors.triu_indices: TRIANGLES,
    gf.Tensor.new_zeros: [(X.long(), *size) for size in SIZES],
    gf.Tensor.new_ones: [(X, *size) for size in SIZES],
    gf.Tensor.new_full: [(x, (2,), v) for x in (X, X.long()) for v in (1, 2.5)] + [(X, 2, 3)],
}


@pytest.mark.parametrize("function", MAKING, ids=lambda f: f.__name__)
def test_made_as_by_the_function_behind(function):
    def found(f, args, options):
        try:
            t = f(*args, **options)
        except Exception as error:
            return type(error), str(error)
        return t.dtype, t.shape, t.stride(), t.requires_grad, t.is_inference(), t.tolist()

    for args, options in itertools.product(MAKING[function], OPTIONS):
        assert repr(found(function, args, options)) == repr(found(function.function, args, options)), (args, options)
        with gf.inference_mode():
            assert repr(found(function, args, options)) == repr(found(function.function, args, options)), (args, options)


def test_memory_for_any_elements():
    assert gf.empty(2, 3).shape == gf.empty_like(X).shape == X.new_empty((2, 3)).shape == (2, 3)
    assert gf.empty_strided((2, 3), (1, 2)).stride() == (1, 2)
    assert X.new_empty(2, dtype=gf.int8).dtype is gf.int8 and gf.empty_like(X.T).stride() == (1, 3)


def test_not_where_something_else_is_wanted():
    with gf.device("cpu"):
        assert gf.zeros(2).device == gf.device("cpu")
    gf.set_default_dtype(gf.float64)
    try:
        assert gf.zeros(2).dtype is gf.full((2,), 1.0).dtype is gf.arange(2.0).dtype is gf.float64
    finally:
        gf.set_default_dtype(gf.float32)
    assert gf.func.vmap(lambda x: x.new_zeros(2) + x)(gf.ones(3)).shape == (3, 2)


def test_formulas_directly_and_not():
    x, y = gf.tensor([1.0, -2.0, 3.0]), gf.tensor([2, 1, 0])
    for f, args in [
        (gf.add, (x, y)),
        (gf.mul, (x, 2)),
        (gf.atan2, (x, x)),
        (gf.eq, (x, 1)),
        (gf.where, (x > 0, x, y)),
        (gf.abs, (x,)),
        (gf.add, (x[:2], x)),
    ]:
        plain = getattr(f, "function", f)
        try:
            want = plain(*args)
        except RuntimeError as error:
            with pytest.raises(type(error), match=re.escape(str(error))):
                f(*args)
        else:
            assert f(*args).dtype is want.dtype and f(*args).tolist() == want.tolist()
    w = x.clone().requires_grad_()
    assert gf.abs(w).requires_grad and (w * w).requires_grad
    with gf.no_grad():
        assert not gf.abs(w).requires_grad and not (w * 2).requires_grad
    out = gf.empty(3)
    assert gf.add(x, y, out=out) is out and out.tolist() == [3, -1, 3]
    with pytest.raises(TypeError, match="argument 'input' must be Tensor"):
        gf.abs(1.0)


def test_in_place_directly_and_not():
    x = gf.tensor([1.0, -2.0, 3.0])
    assert x.add_(1) is x and x.tolist() == [2, -1, 4] and x._version == 1
    assert x.gt_(0).tolist() == [1, 0, 1] and x.dtype is gf.float32  # the result of another type is converted
    i = gf.tensor([1, 2])
    for wrong in (lambda: i.add_(0.5), lambda: i.add_(gf.ones(3, 2)), lambda: i.add_("1"), lambda: i.atan2_(1)):
        with pytest.raises((RuntimeError, TypeError)):
            wrong()
    assert i.tolist() == [1, 2] and i._version == 0
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        gf.ones(2, requires_grad=True).add_(1)
    w = gf.ones(2, requires_grad=True)
    v = w * 1
    v.mul_(3).sum().backward()
    assert w.grad.tolist() == [3, 3]


def test_keywords_and_what_is_not_plain():
    x = gf.arange(6.0).reshape(2, 3)
    assert x.transpose(dim0=0, dim1=1).tolist() == x.T.tolist() == x.permute(dims=(1, 0)).tolist()
    assert gf.flatten(x, start_dim=1).shape == (2, 3) and gf.unsqueeze(input=x, dim=0).shape == (1, 2, 3) == x.unsqueeze(axis=0).shape
    assert x.select(np.int64(0), 1).tolist() == [3, 4, 5] and x.squeeze(gf.tensor(0)).shape == (2, 3)
    for wrong in (lambda: x.unsqueeze(0, 1), lambda: x.transpose(0), lambda: x.flatten(start=1), lambda: x.select(0, 0, dim=0)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match="argument 'input' must be Tensor"):
        gf.permute([1, 2], (0,))


def test_it_is_like_a_function():
    assert repr(gf.permute).startswith("<direct <function permute")
    assert inspect.signature(gf.ones(1).select).parameters.keys() == {"dim", "index"}
    assert copy.deepcopy(gf.permute) is gf.permute and gf.Tensor.permute.__doc__ == gf.permute.__doc__
    assert next(map(gf.Tensor.t, [gf.ones(2)])).shape == (2,)


def test_sizes_that_no_array_has():
    x, wide = gf.zeros(0), gf.zeros(1).expand(2**40)
    for wrong in (
        lambda: x.view(0, 2**62),
        lambda: x.reshape(2**62, 2**62, 0),
        lambda: x.reshape(0, 1).unflatten(0, (2**62, 0)),
        lambda: gf.ones(3).as_strided((2**31 - 1,) * 3, (0, 0, 0)),
        lambda: wide.unfold(0, 2**39, 1),
        lambda: wide.expand(2**30, 2**40),
    ):
        with pytest.raises(gf.errors.ShapeError, match="than an array can have"):
            wrong()
    assert [len(p) for p in gf.ones(3).chunk(2**63 - 1)] == [1, 1, 1]
    assert gf.tril_indices(3, 3, -(2**63)).shape == gf.triu_indices(3, 3, 2**63 - 1).shape == (2, 0)


@pytest.mark.parametrize("field", ["array", "node", "version"])
def test_tensors_that_were_not_made_completely(field):
    x = gf.ones(4)
    delattr(x, field)
    for call in (lambda: x.view(2, 2), lambda: x.split(2), lambda: x.unbind(), lambda: x.t(), lambda: x.add_(1), lambda: x[0]):
        with pytest.raises((TypeError, AttributeError)):
            call()


def test_what_a_collector_runs_in_the_midst_of_a_call():
    """Some versions of Python collect wherever something is made, and what that runs may use the same functions and tensors."""
    x, y = gf.arange(24.0), gf.ones(2, requires_grad=True) * 1

    def meanwhile(phase, info):
        if phase == "start":
            gc.callbacks.remove(meanwhile)
            gf.ones(40).split(2)
            x.array, y.version = np.ones(24, np.float32), None
            gc.callbacks.append(meanwhile)

    before = gc.get_threshold()
    gc.callbacks.append(meanwhile)
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(2):
            assert [len(p) for p in x.split([3, 1, 20])] == [3, 1, 20] and [len(p) for p in x.chunk(5)] == [5, 5, 5, 5, 4]
            assert x.view(4, 6).permute(1, 0).shape == (6, 4) and y.view(2, 1).shape == (2, 1)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(meanwhile)


@pytest.mark.parametrize("wrong", [3, [1], None])
def test_methods_of_what_is_no_tensor(wrong):
    methods = [f for f in vars(gf.Tensor).values() if isinstance(f, Direct)]
    for f in methods:
        try:
            f(wrong)
        except TypeError:
            continue
        except Exception as error:
            raise AssertionError(f.__name__) from error
    with pytest.raises(TypeError, match="descriptor 'view' for 'Tensor' objects doesn't apply to a"):
        gf.Tensor.view(wrong, 2)
    with pytest.raises(TypeError, match="argument 'input' must be Tensor"):
        gf.flatten(wrong)
