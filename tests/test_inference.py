"""Tensors made in inference mode: the same small programs with gradflow and with torch, and what the mode costs where it is off."""

import copy
import threading

import numpy as np
import pytest
from side_by_side import agree

import gradflow as gf

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


@case
def which_they_are(t):
    w, n = t.ones(3, requires_grad=True), t.ones(3)
    with t.inference_mode():
        made = t.ones(3)
        found = [made, made + 1, w * 2, w @ n, w[:2], w.detach(), made[:1], made.detach(), n[:2], n.add_(1), n.clone(), n.to(t.float32)]
        found += [n.data, t.nn.Parameter(t.ones(2)), t.nn.Linear(2, 2).weight, t.from_numpy(np.ones(2)), t.stack([n, n]), n.sort()[0]]
        with t.inference_mode(False):
            found += [made * 2, t.ones(2)]
    found += [made[:2], made * 2, made.clone(), made.to(t.float64), copy.deepcopy(made), t.from_numpy(made.numpy())]
    return [x.is_inference() for x in found], n, n._version, t.is_inference(made)


@case
def inside_everything_goes(t):
    w = t.ones(3, requires_grad=True)
    with t.inference_mode():
        x = t.ones(3)
        x.add_(1)
        x[0] = 5
        x[1:].mul_(3)
        w.add_(1)
        y = t.ones(2).requires_grad_()
        grads = t.func.grad(lambda x: (x * x).sum())(x), t.func.jvp(lambda x: x.exp(), (x,), (x,))
    return x, w, y.requires_grad, y.is_leaf, grads


@case
def a_parameter_made_inside_is_a_leaf(t):
    with t.inference_mode():
        p = t.nn.Parameter(t.ones(2))
    (p * 2).sum().backward()
    return p.grad


@case
def what_saves_no_value_goes(t):
    w = t.ones(3, requires_grad=True)
    with t.inference_mode():
        x = t.arange(3.0)
    y = (w + x) * 2
    y.sum().backward()
    n = t.ones(3)
    n.add_(x)
    (w * n).sum().backward(t.ones(()))
    z = w * 1
    z.copy_(x)
    (w * x.clone()).sum().backward()
    return y, w.grad, n, z


@case
def transforms_take_them(t):
    with t.inference_mode():
        x = t.arange(3.0)
    n = t.ones(3)
    return t.func.grad(lambda n: (n * x).sum())(n), t.func.grad(lambda x: (x * x).sum())(x)


def saved(name, f):
    def program(t):
        w = t.ones(2, 2, requires_grad=True)
        with t.inference_mode():
            x = t.ones(2, 2)
        return f(t, w, x)

    CASES[f"saved by {name}"] = program


class Doubled:
    """A custom function that saves its second argument."""

    def __new__(cls, t):
        class Twice(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                ctx.save_for_backward(y)
                return x * 2

        return Twice


saved("a product", lambda t, w, x: w * x)
saved("a matrix product", lambda t, w, x: x @ w)
saved("its other side", lambda t, w, x: w @ x)
saved("a formula", lambda t, w, x: t.addcmul(w, x, w))
saved("a layer", lambda t, w, x: t.nn.functional.linear(x, w))
saved("a convolution", lambda t, w, x: t.nn.functional.conv1d(x[None], w[None]))
saved("a custom function", lambda t, w, x: Doubled(t).apply(w, x))
saved("nothing, in no_grad", lambda t, w, x: t.no_grad()(lambda: w * x)())
saved("a gradient, twice", lambda t, w, x: (w * w).backward(x, create_graph=True))
saved("nothing, in backward", lambda t, w, x: ((w * 2).backward(x), w.grad)[1])


def changed(name, f):
    def program(t):
        with t.inference_mode():
            x = t.ones(3)
        return f(t, x)

    CASES[f"changed by {name}"] = program


changed("add_", lambda t, x: x.add_(1))
changed("+=", lambda t, x: x.__iadd__(1))
changed("add_ in no_grad", lambda t, x: t.no_grad()(lambda: x.add_(1))())
changed("zero_", lambda t, x: x.zero_())
changed("fill_", lambda t, x: x.fill_(2))
changed("copy_", lambda t, x: x.copy_(t.ones(3)))
changed("an index", lambda t, x: x.__setitem__(0, 1.0))
changed("a mask", lambda t, x: x.__setitem__(x > 0, 1.0))
changed("a view", lambda t, x: x[:1].add_(1))
changed("out=", lambda t, x: t.add(t.ones(3), 1, out=x))
changed("normal_", lambda t, x: x.normal_())
changed("relu_", lambda t, x: t.relu_(x))
changed("relu(inplace=True)", lambda t, x: t.nn.functional.relu(x, inplace=True))
changed("squeeze_", lambda t, x: x.squeeze_())
changed("resize_", lambda t, x: x.resize_(2))
changed("scatter_", lambda t, x: x.scatter_(0, t.tensor([0]), 1.0))
changed("index_add_", lambda t, x: x.index_add_(0, t.tensor([0]), t.ones(1)))
changed("requires_grad_", lambda t, x: x.requires_grad_())
changed("requires_grad_(False)", lambda t, x: x.requires_grad_(False))
changed("requires_grad", lambda t, x: setattr(x, "requires_grad", True))
changed("a Parameter of it", lambda t, x: t.nn.Parameter(x))
changed("data", lambda t, x: x.data.add_(1))
changed("nobody who asks for its version", lambda t, x: x._version)


@case
def a_view_made_inside_is_not_changed_outside(t):
    w = t.ones(3, requires_grad=True) * 1
    with t.inference_mode():
        v = w[:2]
    v.add_(1)


@case
def gradients_that_arrive_inside(t):
    w = t.ones(3, requires_grad=True)
    y = (w * w).sum()
    with t.inference_mode():
        y.backward()
    assert w.grad.is_inference()
    w.grad.zero_()


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("name", CASES)
def test_as_torch(torch, name):
    agree(CASES[name], gf, torch)


def test_the_errors_say_what_to_do():
    w = gf.ones(3, requires_grad=True)
    with gf.inference_mode():
        x = gf.ones(3)
    with pytest.raises(RuntimeError, match=r"MulBackward0: Inference tensors cannot be saved for backward.*use a clone"):
        w * x
    with pytest.raises(RuntimeError, match=r"Inplace update to inference tensor outside InferenceMode is not allowed; change a clone\(\)"):
        x += 1
    assert x.tolist() == [1, 1, 1]


def test_each_thread_has_its_own_mode():
    begun, done = threading.Event(), threading.Event()
    found = []

    def infer():
        with gf.inference_mode():
            begun.set()
            done.wait(5)
            found.append(gf.ones(1).is_inference())

    thread = threading.Thread(target=infer)
    thread.start()
    begun.wait(5)
    here = gf.ones(1).is_inference()
    done.set()
    thread.join()
    assert found == [True] and not here and not gf.ones(1).is_inference()


def test_many_views_are_not_remembered():
    """They share the cell of all inference tensors, which holds no list of them."""
    with gf.inference_mode():
        x = gf.ones(3)
        views = [x[:1] for _ in range(100)]
    assert x.version[2] is None and views[0]._base is x
