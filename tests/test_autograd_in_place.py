"""Changes in place and views: what torch computes, or a refusal; never another gradient."""

import re
from pathlib import Path

import pytest
from side_by_side import agree

import gradflow as gf


def start(t):
    x = t.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=t.float64, requires_grad=True)
    return x, x * 2


def finish(t, x, *ys):
    loss = sum((y.exp() * 0.5 + y).sum() for y in ys)
    loss.backward()
    return [loss, x.grad, *ys]


CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def change(name, f):
    """A program that changes y = x * 2 in place."""

    def program(t):
        x, y = start(t)
        f(t, x, y)
        return finish(t, x, y)

    CASES[name] = program


change("mul_", lambda t, x, y: y.mul_(3))
change("add_ tensor alpha", lambda t, x, y: y.add_(x, alpha=2))
change("sub_ broadcast", lambda t, x, y: y.sub_(x[0], alpha=0.5))
change("mul_ tensor", lambda t, x, y: y.mul_(x))
change("div_ tensor", lambda t, x, y: y.div_(x))
change("div_ floor", lambda t, x, y: y.div_(x, rounding_mode="floor"))
change("chain", lambda t, x, y: y.mul_(x).add_(1).tanh_().neg_())
change("exp_ then changed", lambda t, x, y: y.exp_().add_(1))
change("tanh_ then changed", lambda t, x, y: y.tanh_().mul_(2))
change("pow_", lambda t, x, y: y.pow_(2))
change("itself", lambda t, x, y: y.add_(y))
change("zero_", lambda t, x, y: y.zero_())
change("fill_", lambda t, x, y: y.fill_(2))
change("fill_ tensor", lambda t, x, y: y.fill_(x[0, 0]))
change("copy_", lambda t, x, y: y.copy_(x * 3))
change("copy_ constant", lambda t, x, y: y.copy_(t.ones(3, dtype=t.float64)))
change("masked_fill_", lambda t, x, y: y.masked_fill_(y.detach() > 0, 0.5))
change("clamp_", lambda t, x, y: y.clamp_(-0.5, 1))
change("cumsum_", lambda t, x, y: y.cumsum_(0))
change("index_add_", lambda t, x, y: y.index_add_(0, t.tensor([0, 0]), x))
change("transposed view", lambda t, x, y: y.t().mul_(3))
change("row", lambda t, x, y: y[0].mul_(3))
change("row of column", lambda t, x, y: y[:, 1][0:1].mul_(x[0, 0]))
change("flat", lambda t, x, y: y.view(-1)[1:4].tanh_())
change("flat of transposed", lambda t, x, y: y.t().reshape(-1).mul_(3))
change("diagonal", lambda t, x, y: y.diagonal().copy_(x[0, :2] * 5))
change("number at an index", lambda t, x, y: y.__setitem__((0, 1), 7.0))
change("row assigned", lambda t, x, y: y.__setitem__(0, x[1] * x[0]))
change("column assigned a number's tensor", lambda t, x, y: y.__setitem__((slice(None), 1), x[0, 0]))
change("mask assigned", lambda t, x, y: y.__setitem__(y.detach() > 0, x[0, 0]))
change("integers assigned", lambda t, x, y: y.__setitem__((t.tensor([1, 0]), t.tensor([2, 2])), x[0, :2]))
change("leading ones", lambda t, x, y: y.__setitem__(0, x[1:2]))
change("unsqueezed", lambda t, x, y: y.unsqueeze(0).squeeze().mul_(2))
change("windows", lambda t, x, y: y.unfold(1, 2, 1)[:, 0].mul_(2))
change("split", lambda t, x, y: y.split(1)[0].mul_(2))
change("chunk", lambda t, x, y: y.chunk(2)[1].add_(x[0]))
change("unbind", lambda t, x, y: y.unbind()[0].mul_(2))
change("view of a part of a split", lambda t, x, y: y.split(1)[0][0].mul_(2))
change("expanded", lambda t, x, y: y[0].expand(4, 3).mul_(2))
change("leaf", lambda t, x, y: x.mul_(2))
change("leaf row", lambda t, x, y: x[0].mul_(2))
change("leaf assigned", lambda t, x, y: x.__setitem__(0, 1.0))
change("leaf through a view's view", lambda t, x, y: x.t()[0].zero_())
change("wrong shape", lambda t, x, y: y.add_(t.ones(4, dtype=t.float64)))
change("wrong type", lambda t, x, y: t.ones(2, dtype=t.int64).add_(x[0, :2]))
change("grows", lambda t, x, y: y[0].add_(y))
change("overlap", lambda t, x, y: y.view(-1)[1:].mul_(y.view(-1)[:-1]))


@case
def augmented(t):
    x, y = start(t)
    y += 1
    y *= x
    y[0] += 2
    y[:, 1] -= y[:, 0]
    y[y.detach() > 1] *= 0.5
    return finish(t, x, y)


@case
def rows_in_a_loop(t):
    x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = t.zeros(4)
    out[0] = 1
    for i in range(3):
        out[i + 1] = out[i] * x[i]
    return [*finish(t, x, out.clone()), out.requires_grad, out.grad_fn.name()]


@case
def views_follow_their_base(t):
    x, y = start(t)
    row, column, flat = y[1], y[:, 0], y.view(-1)
    y.mul_(x)
    flat[2:4].sin_()
    return finish(t, x, row, column, flat, y)


@case
def a_change_of_one_view_reaches_the_others(t):
    x, y = start(t)
    a, b = y[0], y[:, :2]
    a.mul_(3)
    return [*finish(t, x, a, b, y), y.grad_fn.name()]


@case
def constants_get_a_history_with_their_views(t):
    w = t.tensor([2.0, 3.0], requires_grad=True)
    z = t.zeros(2, 2)
    row = z[0]
    z.add_(w)
    return [*finish(t, w, row * w, z), row.requires_grad]


@case
def a_view_of_a_constant_is_given_a_history(t):
    w = t.tensor([2.0, 3.0], requires_grad=True)
    z = t.zeros(2, 2)
    z[1].copy_(w)
    z.t()[0].mul_(w)
    return finish(t, w, z)


@case
def unbound_views_after_the_base_changed(t):
    x, y = start(t)
    a = y.unbind()[0]
    y.mul_(2)
    return finish(t, x, a * 2)


@case
def detached_shares_memory_and_version(t):
    x, y = start(t)
    y.detach().mul_(3)
    return [*finish(t, x, y), y._version]


@case
def detached_saved(t):
    x, y = start(t)
    z = y * y
    y.detach().mul_(3)
    return finish(t, x, z)


@case
def detached_gets_its_own_history(t):
    x, y = start(t)
    d = y.detach()
    d.mul_(x[0, 0])
    return finish(t, x, d, y)


@case
def data_is_not_watched(t):
    x, y = start(t)
    z = y * y
    y.data.mul_(3)
    return [*finish(t, x, z), y._version]


@case
def saved_and_changed(t):
    x, y = start(t)
    z = y * y
    y.add_(1)
    return finish(t, x, z)


@case
def saved_result_changed(t):
    x, _ = start(t)
    y = x.exp()
    y[0] = 1
    return finish(t, x, y)


@case
def saved_and_a_view_changed(t):
    x, y = start(t)
    z = y.sin()
    y[0, 0] = 1
    return finish(t, x, z)


@case
def changed_while_not_recording(t):
    x, y = start(t)
    with t.no_grad():
        y.mul_(2)
        y[0] = 1
        x.mul_(3)
        x[0].add_(1)
    return finish(t, x, y)


@case
def a_leaf_written_to_before_it_asks_for_a_gradient(t):
    x = t.zeros(3)
    x[1] = 2
    x.add_(1).requires_grad_()
    return finish(t, x, x * x)


@case
def a_view_made_without_recording_is_not_changed(t):
    y = start(t)[1]
    with t.no_grad():
        v = y[0]
    v.mul_(2)


@case
def retained_gradients_move_along(t):
    x, y = start(t)
    y.retain_grad()
    z = y * 1
    y.mul_(3)
    (y.sum() + z.sum()).backward()
    return y.grad, x.grad, y.retains_grad


@case
def hooks_stay_where_they_were(t):
    x, y = start(t)
    seen = []
    y.register_hook(lambda g: seen.append(g) or g * 2)
    y.mul_(3)
    y.sum().backward()
    return seen, x.grad


@case
def axes_in_place(t):
    x, y = start(t)
    y.t_()
    y[0].mul_(2)
    y.unsqueeze_(0)
    y.mul_(x.t())
    return finish(t, x, y)


@case
def second_derivatives_through_copies(t):
    x, y = start(t)
    y[0] = x[1] * x[0]
    y[:, 1].mul_(y[:, 0].clone())
    (g,) = t.autograd.grad(y.sin().sum(), x, create_graph=True)
    return t.autograd.grad((g * g).sum(), x)


@case
def views_are_not_detached_in_place(t):
    start(t)[1][0].detach_()


@case
def detached_in_place(t):
    y = start(t)[1]
    y.detach_()
    return [y.requires_grad, y.is_leaf]


@case
def results_written_to_out(t):
    x, out = t.tensor([1.0, 2.0]), t.zeros(2)
    t.sum(x.view(1, 2), dim=0, out=out)
    return out


@pytest.mark.parametrize("name", CASES)
def test_as_torch(name, torch):
    agree(CASES[name], gf, torch)


def test_infinite_cotangents_pass_what_was_not_overwritten_only():
    x = gf.ones(3, requires_grad=True)
    y = x * 2
    y[1] = 5.0
    (g,) = gf.autograd.grad(y, x, gf.tensor([1.0, float("inf"), float("nan")]), create_graph=True)
    assert g.tolist()[:2] == [2.0, 0.0]


def test_where_torch_refuses_and_we_need_not():
    x = gf.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    y.mul_(y)
    row = y[:1]
    y.mul_(5)
    row.mul_(x[:1])
    y.sum().backward()
    assert x.grad.tolist() == [3 * 5 * 4, 2 * 5 * 3]


def test_the_error_names_the_operation_with_its_line_and_the_line_that_changed():
    w, x = gf.ones(3, requires_grad=True), gf.ones(3)
    y = w * x  # saved
    x[0] = 2.0  # changed
    with pytest.raises(RuntimeError, match=r"MulBackward0.*modified by an inplace operation") as caught:
        y.sum().backward()
    lines = Path(__file__).read_text().splitlines()
    recorded, changed = (lines[int(n) - 1] for n in re.findall(r"test_autograd_in_place.py:(\d+), in test_the_error", str(caught.value)))
    assert recorded.endswith("# saved") and changed.endswith("# changed")
    z = gf.nn.functional.softmax(w, 0)  # made of other operations of the package
    z.add_(1)
    with pytest.raises(RuntimeError, match=r"recorded in .*test_autograd_in_place.py.*changed in .*test_autograd_in_place.py"):
        z.sum().backward()


def test_in_place_sums_make_no_temporary():
    x, y = gf.ones(1000, 1000), gf.ones(1000, 1000)
    x.add_(y).sub_(y, alpha=2.0).div_(y)
    gf.empty_cache()
    before = gf.memory_stats()
    x.add_(y).sub_(y, alpha=2.0).div_(y)
    after = gf.memory_stats()
    assert after["misses"] == before["misses"] and after["system_allocs"] == before["system_allocs"]
    assert x.tolist()[0][0] == -1


def test_what_the_derivative_does_not_read_is_not_copied():
    x = gf.ones(3, requires_grad=True)
    y = x * 2
    y.exp_()
    assert y.grad_fn.saved[0] is y.array
    y.mul_(3.0)
    with pytest.raises(RuntimeError, match="ExpBackward0"):
        y.sum().backward()


def test_a_leaf_is_detached_in_place(torch):
    for t in (gf, torch):
        w = t.ones(2, requires_grad=True)
        assert w.detach_() is w and not w.requires_grad and w.is_leaf
