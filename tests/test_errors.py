"""Wrong calls: each raises, at the call, the kind of exception that torch raises, names the operation, and changes nothing.

The calls stand in ``wrong_calls.txt``, one a line: ``kind  word of the message: code``. They run in a small world of tensors.
"""

import copy
import pathlib
import pickle
import warnings

import numpy as np
import pytest

import gradflow as gf

KINDS = {k.__name__: k for k in (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError, MemoryError)}
KINDS |= {name: kind for name, kind in vars(gf.errors).items() if isinstance(kind, type)}


def read_table():
    table, section = {}, ""
    for line in (pathlib.Path(__file__).parent / "wrong_calls.txt").read_text().splitlines():
        if line.startswith("#"):
            section = line[2:]
        elif line:
            kind, rest = line.split(maxsplit=1)
            word, code = rest.split(": ", 1)
            assert code not in table, f"twice in the table: {code}"
            table[code] = (section, KINDS[kind], word)
    return table


TABLE = read_table()
OURS = {code for code, (section, _, _) in TABLE.items() if section.startswith("differs")}


def world(t):
    """Tensors of all sorts, small, the same each time."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return t.tensor(rng.standard_normal(shape).astype(np.float32))

    x, a, w, q, z = (normal(3, 4) for _ in range(5))
    for leaf in (x, w, q):
        leaf.requires_grad_()
    x.grad = t.ones(3, 4)
    return {
        "x": x,  # a leaf with a gradient
        "w": w,  # leaves without
        "q": q,
        "y": x * 2,  # computed
        "a": a,  # plain
        "z": z,
        "v": normal(4),
        "c": normal(2, 3, 4),
        "s": normal(),
        "h": normal(3).half(),
        "d": a.double(),
        "e": t.zeros(0),
        "e3": t.zeros(0, 3),
        "k": t.tensor([0, 2, 1]),
        "i": t.tensor(rng.integers(0, 3, (3, 4))),
        "u8": t.tensor([1, 2, 3], dtype=t.uint8),
        "mask": a > 0,
        "r": t.ones(1, 4).expand(3, 4),  # elements that share memory
    }


def run(t, tensors, code):
    names = {"t": t, "F": t.nn.functional, "nn": t.nn, "optim": t.optim, "np": np, "copy": copy, "pickle": pickle}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some calls warn before they fail
        exec(code, names | {"inf": float("inf"), "nan": float("nan")} | tensors)


def state(tensors):
    """All that a failed call could have changed."""
    return {
        name: (
            id(x.array),
            x.array.tobytes(),
            x.array.strides,
            id(x.node),
            x._version,
            x.requires_grad,
            None if not x.is_leaf or x.grad is None else (id(x.grad), x.grad.array.tobytes()),
        )
        for name, x in tensors.items()
    }


@pytest.mark.parametrize("code", TABLE)
def test_raises_and_changes_nothing(code):
    _, kind, word = TABLE[code]
    tensors = world(gf)
    before, numbers = state(tensors), gf.get_rng_state().tolist()
    with pytest.raises(kind) as caught:
        run(gf, tensors, code)
    assert word.lower() in str(caught.value).lower(), "the message does not name the operation"
    assert len(str(caught.value)) > len(word) + 5 or isinstance(caught.value, KeyError)
    assert state(tensors) == before
    assert "nn." in code or gf.get_rng_state().tolist() == numbers, "random numbers were drawn"  # making a layer draws some
    assert gf.is_grad_enabled() and gf.get_default_dtype() is gf.float32


@pytest.mark.parametrize("code", [code for code in TABLE if code not in OURS])
def test_torch_raises_the_same_kind(torch, code):
    _, kind, _ = TABLE[code]
    with pytest.raises(kind):
        run(torch, world(torch), code)


def test_the_world_itself_is_sound(torch):
    """What the table calls a mistake would work with the right argument."""
    for t in (gf, torch):
        run(t, world(t), "(x @ a.t()).sum().backward(); z[0] = 1.0; t.cat([x, a]); F.cross_entropy(x, k); t.gather(x, 0, i); a.add_(1)")


@pytest.mark.parametrize("name", sorted(k for k, v in vars(gf.errors).items() if isinstance(v, type)))
def test_every_error_is_one_of_the_family_and_relabels(name):
    kind = KINDS[name]
    assert issubclass(kind, gf.errors.GradflowError)
    error = gf.errors.relabel(kind("matmul: sizes differ: 3 and 4"), "mm")
    assert type(error) is kind and str(error) == "mm: sizes differ: 3 and 4"


def test_a_value_changed_after_it_was_saved(torch):
    """The failed backward leaves the gradients alone."""
    for t in (gf, torch):
        x = t.ones(3, requires_grad=True)
        x.grad = t.full((3,), 7.0)
        y = x * 2
        loss = (y * y).sum()
        y.add_(1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
        assert x.grad.tolist() == [7, 7, 7]


def test_a_second_backward(torch):
    for t in (gf, torch):
        x = t.ones(3, requires_grad=True)
        loss = (x * x).sum()
        loss.backward()
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
        assert x.grad.tolist() == [2, 2, 2]


def test_memory_is_usable_after_it_ran_out():
    for _ in range(3):
        with pytest.raises(MemoryError):
            gf.empty(2**50)
    assert gf.ones(1000).sum().item() == 1000


def test_messages_say_what_and_what_to_do():
    """The form: operation, what is wrong, the values."""
    a, b = gf.ones(3, 4), gf.ones(5, 6)
    for call, parts in (
        (lambda: a @ b, ["matmul", "(3, 4)", "(5, 6)", "need"]),
        (lambda: a + b, ["add", "(3, 4)", "(5, 6)"]),
        (lambda: a.reshape(5), ["reshape", "[5]", "12"]),
        (lambda: a.sum(2), ["sum", "[-2, 1]", "2"]),
        (lambda: a[7], ["index", "7", "size 3"]),
        (lambda: gf.full((2,), 300, dtype=gf.uint8), ["full", "300", "uint8"]),
        (lambda: gf.nn.functional.cross_entropy(a, gf.tensor([0, 9, 1])), ["cross_entropy", "9", "4 classes"]),
    ):
        with pytest.raises(gf.errors.GradflowError) as caught:
            call()
        assert all(part in str(caught.value) for part in parts), str(caught.value)
