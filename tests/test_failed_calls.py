"""A call that fails changes nothing: tensors, gradients, versions, histories, random numbers and modes are as they were.

Every in-place method and every function with ``out=`` is called with arguments of every wrong sort, on tensors of every sort (a leaf, a plain
tensor, one with a history, a view of each), and with each kernel call on the way failing once, as it does when memory runs out.
"""

import inspect
import itertools
from contextlib import contextmanager

import numpy as np
import pytest

import gradflow as gf
from gradflow import backends

MODES = {
    "recording": gf.is_grad_enabled,
    "inference": gf.is_inference_mode_enabled,
    "default dtype": gf.get_default_dtype,
    "default device": gf.get_default_device,
    "autocast": gf.is_autocast_enabled,
    "transforms": lambda: len(backends.batched.running.stack),
    "random numbers": lambda: gf.get_rng_state().numpy().tobytes(),
}


def world():
    """Tensors of all sorts, some that share memory."""
    values = np.random.default_rng(0).uniform(0.1, 0.9, (3, 4)).astype(np.float32)
    leaf = gf.tensor(values, requires_grad=True)
    leaf.grad = gf.ones(3, 4)
    plain, computed = gf.tensor(values * 2), gf.tensor(values, requires_grad=True) * 2
    return {
        "plain": plain,
        "leaf": leaf,
        "computed": computed,
        "view": plain[1:],
        "view with a history": computed[:, 1:],
        "integers": gf.arange(12).reshape(3, 4),
        "mask": gf.tensor(values > 0.5),
    }


def state(tensors):
    found = {
        name: (
            id(t.array),
            t.array.tobytes(),
            (t.array.shape, t.array.strides),
            id(t.node),
            t._version,
            t.requires_grad,
            t.grad is not None and (id(t.grad), t.grad.tolist()) if t.is_leaf else None,
            hasattr(t, "origin") and id(t.origin[0]),
        )
        for name, t in tensors.items()
    }
    return found | {name: ask() for name, ask in MODES.items()}


WRONG = [
    (), ("a",), (None,), (object(),), ([],), (1.5, "a"), (gf.ones(5, 7),), (gf.ones(5, 7), gf.ones(2)), (gf.ones(3, 4), "a"), (0, None),
    (0, gf.tensor([0, 9]), gf.ones(2, 4)), (0, gf.tensor([0, 1]), gf.ones(7)), (gf.tensor([True, False]), 1.0), ((gf.tensor([9]),), gf.ones(1)),
    (gf.ones(3, 4) > 0, gf.ones(2)), (0, gf.tensor([[0, 9]]), gf.ones(1, 2)), (0, gf.tensor([[0, 1]]), gf.ones(1, 2), "x"), (float("nan"), -1.0),
    (7,), (-9, 2), (gf.ones(2, 2), gf.ones(2, 2)), (gf.ones(3, 4).double() > 2,), (1j,), (2**70,), (gf.ones(3, 4), 1, 1, 1, 1),
]  # fmt: skip


def in_place_methods():
    return sorted(
        name
        for name in dir(gf.Tensor)
        if name.endswith("_")
        and not name.endswith("__")
        and callable(getattr(gf.Tensor, name))
        and name not in ("requires_grad_", "share_memory_", "detach_", "resize_", "resize_as_", "set_", "swap_", "conj_physical_")
    )


@pytest.mark.parametrize("name", in_place_methods())
def test_in_place(name):
    tensors = world()
    for which in list(tensors):
        for args in WRONG:
            before = state(tensors)
            try:
                getattr(tensors[which], name)(*args)
            except Exception:
                assert state(tensors) == before, (which, args)
            else:
                tensors = world()


@contextmanager
def failing(which):
    """The kernel call number ``which`` fails, as it does when memory runs out."""
    names = [n for n in backends.__all__ if inspect.isroutine(getattr(backends, n, None)) and n not in ASKING and not n.startswith("is_")]
    calls = itertools.count(1)

    def fails(function):
        def call(*args, **kwargs):
            if next(calls) == which:
                raise MemoryError
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(backends, name, fails(getattr(backends, name)))
        yield


ASKING = frozenset("place_of sizes outside owner_of dense copy".split())  # a copy between arrays that are there takes no memory


def each_failure(make, call, limit=12):
    """``call(*make())`` with its first kernel call failing, its second ..., until none is left: each leaves all that was made as it was."""
    for which in range(1, limit):
        made = make()
        before = state(made)
        try:
            with failing(which):
                call(made)
        except MemoryError:
            assert state(made) == before, which
        else:
            return


OUT = """
t.exp(x, out=o)
t.add(x, y, alpha=2, out=o)
t.addcmul(x, x, y, value=2, out=o)
t.clamp(x, 0.2, 0.7, out=o)
t.cumsum(x, 1, out=o)
t.softmax(x, 1, out=o)
t.matmul(x, y.t(), out=s)
t.addmm(x @ y.t(), x, y.t(), out=s)
t.sum(x, 1, out=v)
t.std(x, 1, out=v)
t.norm(x, dim=1, out=v)
t.logsumexp(x, 1, out=v)
t.max(x, 1, out=(v, k))
t.sort(x, 1, out=(o, i))
t.cat([x[:1], y[1:]], out=o)
t.stack([x[0], y[1], y[2]], out=o)
t.linalg.inv(x @ x.t() + t.eye(3), out=s)
t.gather(x, 1, i % 4, out=o)
t.where(x > 0.5, x, y, out=o)
t.nn.functional.gelu(x, out=o)
""".strip().splitlines()


def outs():
    """Inputs and tensors to write to, whose values can be told from any result."""
    rng = np.random.default_rng(0)
    x, y = (gf.tensor(rng.uniform(0.1, 0.9, (3, 4)).astype(np.float32)) for _ in range(2))
    o, s, v = (gf.full(shape, 7.0) for shape in ((3, 4), (3, 3), (3,)))
    return {"x": x, "y": y, "o": o, "s": s, "v": v, "k": gf.full((3,), 9), "i": gf.full((3, 4), 9)}


@pytest.mark.parametrize("code", OUT)
def test_out_is_as_it_was(code):
    each_failure(outs, lambda made: eval(code, {"t": gf, **made}))
    for wrong in (gf.full((7, 7), 7.0), gf.full((3, 4), 7).bool(), "a", gf.full((3, 4), 7.0, requires_grad=True)):
        made = outs()
        for name in "osvki":
            made[name] = wrong
        tensors = {n: t for n, t in made.items() if isinstance(t, gf.Tensor)}
        before = state(tensors)
        try:
            eval(code, {"t": gf, **made})
        except (RuntimeError, TypeError):
            assert state(tensors) == before
        else:
            assert "cumsum" in code and wrong.dtype is gf.bool  # it converts


DRAWS = """
t.rand(3); t.randn(3); t.randint(0, 9, (3,)); t.randint(0, 2**40, (3,)); t.randperm(5); t.normal(0.0, 1.0, (3,)); x.uniform_(); x.normal_()
x.exponential_(); x.bernoulli_(0.5); x.random_(); t.dropout(x, 0.5, True); t.bernoulli(x); t.multinomial(x[0], 2); t.rand_like(x)
""".replace("\n", ";")


@pytest.mark.parametrize("code", [c.strip() for c in DRAWS.split(";") if c.strip()])
def test_a_draw_that_fails_takes_no_numbers(code):
    each_failure(outs, lambda made: eval(code, {"t": gf, **made}))


def test_hooks_that_raise_halfway():
    def fail(*args):
        raise KeyError("hook")

    tensors = world()
    leaf, computed = tensors["leaf"], tensors["computed"]
    other = gf.ones(3, 4, requires_grad=True)
    tensors["other"] = other
    handles = [leaf.register_hook(fail)]
    before = state(tensors)
    with pytest.raises(KeyError):
        (leaf * other).sum().backward()
    assert state(tensors) == before and other.grad is None
    handles[0].remove()
    for call in (lambda: leaf.exp(), lambda: computed.mul_(other), lambda: gf.cat([leaf.exp(), other]), lambda: computed.exp_()):
        before = state(tensors)
        with pytest.raises(KeyError), gf.autograd.graph.saved_tensors_hooks(fail, fail):
            call()
        assert state(tensors) == before


def test_iterators_that_raise_halfway():
    def broken(*items):
        yield from items
        raise KeyError("iterator")

    w, v = gf.nn.Parameter(gf.ones(2)), gf.nn.Parameter(gf.ones(3))
    for p in (w, v):
        p.grad = gf.full_like(p, 5.0)
    tensors = {"w": w, "v": v, "a": gf.ones(2)}
    optimizer = gf.optim.SGD([w], 0.1)
    layers, parameters = gf.nn.Sequential(gf.nn.ReLU()), gf.nn.ParameterList([w])
    calls = [
        lambda: gf.optim.Adam(broken(w, v)),
        lambda: optimizer.add_param_group({"params": broken(v)}),
        lambda: gf.nn.utils.clip_grad_norm_(broken(w, v), 1.0),
        lambda: gf.nn.utils.clip_grad_value_(broken(w, v), 1.0),
        lambda: gf.nn.utils.parameters_to_vector(broken(w, v)),
        lambda: gf.nn.utils.vector_to_parameters(gf.zeros(5), broken(w)),
        lambda: layers.extend(broken(gf.nn.ReLU())),
        lambda: parameters.extend(broken(v)),
        lambda: gf.autograd.graph.increment_version(broken(w)),
    ]
    for i, call in enumerate(calls):
        before = state(tensors)
        with pytest.raises(KeyError):
            call()
        assert state(tensors) == before, i
        assert len(optimizer.param_groups) == len(layers) == len(parameters) == 1, i
