"""gradcheck, anomaly mode, and checkpoints."""

import pytest

import gradflow as gf
from gradflow.autograd import detect_anomaly, gradcheck, gradgradcheck
from gradflow.utils.checkpoint import checkpoint, checkpoint_sequential


class Wrong(gf.autograd.Function):
    """x squared, with a derivative that is wrong for the last element."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * gf.tensor([2.0, 2.0, 3.0], dtype=x.dtype)


def doubles(*values):
    return gf.tensor(values, dtype=gf.float64, requires_grad=True)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", [gf.float64, gf.float32])
def test_right_derivatives_pass(fast, dtype):
    x, y = gf.tensor([0.3, -1.2, 2.0], dtype=dtype, requires_grad=True), gf.tensor([[1.0], [0.5]], dtype=dtype, requires_grad=True)
    for f in (lambda x, y: (x * y).sin(), lambda x, y: (x.exp().sum(), y / 3, 5), lambda x, y: x.softmax(0) * y[0]):
        assert gradcheck(f, (x, y), fast_mode=fast)
        assert gradgradcheck(f, (x, y), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_the_error_says_which_element_and_what_to_try(fast):
    with pytest.raises(RuntimeError, match=r"Jacobian mismatch for output 0 with respect to input 0") as caught:
        gradcheck(Wrong.apply, doubles(1.0, 2.0, 3.0), fast_mode=fast)
    assert "output element (2,) and input element (2,): numerical 6, analytical 9, apart by 3" in str(caught.value)
    assert "try eps=1e-05 or atol=6" in str(caught.value) and type(caught.value).__name__ == "GradcheckError"
    assert not gradcheck(Wrong.apply, doubles(1.0, 2.0, 3.0), fast_mode=fast, raise_exception=False)
    once = gf.autograd.function.once_differentiable(Wrong.backward)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradgradcheck(type("Once", (Wrong,), {"backward": staticmethod(once)}).apply, doubles(1.0, 2.0, 3.0), fast_mode=fast)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fast", [False, True])
def test_forward_mode_and_vmap_are_checked(torch, fast):
    every = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True, "fast_mode": fast}
    for t in (gf, torch):
        x, y = (t.tensor(v, dtype=t.float64, requires_grad=True) for v in ([0.3, -1.2, 2.0], [[1.0], [0.5]]))
        for f in (lambda x, y: (x * y).sin(), lambda x, y: (x.exp().sum(), y / 3), lambda x, y: x.softmax(0) * y[0]):
            assert t.autograd.gradcheck(f, (x, y), **every)
            assert t.autograd.gradgradcheck(f, (x, y), check_fwd_over_rev=True, check_batched_grad=True, fast_mode=fast)
    with pytest.raises(RuntimeError, match=r"numerical 6, analytical 9.*\n(.*\n)*\(in forward mode\)"):
        gradcheck(Wrong.apply, doubles(1.0, 2.0, 3.0), check_forward_ad=True, check_backward_ad=False, fast_mode=fast)

    class Choosy(Wrong):
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x * (2 if g.sum() > 100 else 2.0)

    assert gradcheck(Choosy.apply, doubles(1.0, 2.0, 3.0), fast_mode=fast)
    with pytest.raises(RuntimeError, match="While computing batched gradients"):
        gradcheck(Choosy.apply, doubles(1.0, 2.0, 3.0), check_batched_grad=True, fast_mode=fast)


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(gf.sin, gf.ones(2))
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(gf.sin, gf.ones(1, requires_grad=True).expand(3))
    for options in (
        {"check_backward_ad": False},
        {"check_batched_forward_grad": True},
        {"check_backward_ad": False, "check_forward_ad": True, "check_batched_grad": True},
    ):
        with pytest.raises(ValueError, match="check_"):
            gradcheck(gf.sin, doubles(1.0), **options)
    with pytest.raises(ValueError, match="check_rev_over_rev"):
        gradgradcheck(gf.sin, doubles(1.0), check_rev_over_rev=False)
    with pytest.raises(RuntimeError, match="expected to be zero"):
        gradcheck(lambda x: x.detach() * 2, doubles(1.0))
    assert gradcheck(lambda x: (x > 0).double(), doubles(1.0))


def test_a_derivative_that_changes_its_mind_is_found():
    calls = []

    class Moody(gf.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * (2 + 1e-9 * len(calls))

    with pytest.raises(RuntimeError, match="not reentrant"):
        gradcheck(Moody.apply, doubles(1.0))
    assert gradcheck(Moody.apply, doubles(1.0), nondet_tol=1e-3)


def test_anomaly_mode_names_the_line():
    x = gf.zeros(2, requires_grad=True)
    with detect_anomaly():
        y = x.sqrt()  # this line
        with pytest.raises(
            RuntimeError, match=r"Function 'SqrtBackward0' returned nan values in its 0th output.*test_autograd_checks.py:(\d+)"
        ):
            (y * 0).sum().backward()
        assert "# this line" in "".join(y.grad_fn.metadata["traceback_"])
    assert x.grad is None and not gf.autograd.is_anomaly_enabled()
    with detect_anomaly(check_nan=False):
        (x.sqrt() * 0).sum().backward()
    assert x.grad.isnan().all()
    with detect_anomaly():
        w = gf.ones(2, requires_grad=True)
        y = w.exp()
    y.add_(1)
    with pytest.raises(
        RuntimeError, match=r"ExpBackward0 was recorded .*test_autograd_checks.py:\d+, in test_anomaly.*changed in .*test_auto"
    ):
        y.sum().backward()
    gf.autograd.set_detect_anomaly(True)
    assert gf.autograd.is_anomaly_enabled()
    gf.autograd.set_detect_anomaly(False)


def network():
    gf.manual_seed(0)
    return gf.nn.Sequential(
        gf.nn.Linear(4, 8), gf.nn.Tanh(), gf.nn.Dropout(0.5), gf.nn.Linear(8, 8), gf.nn.ReLU(), gf.nn.Dropout(0.3), gf.nn.Linear(8, 2)
    )


def gradients(run):
    net, x = network(), gf.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
    gf.manual_seed(1)
    loss = (run(net, x) ** 2).sum()
    loss.backward()
    return [loss.item(), x.grad.tolist(), *[p.grad.tolist() for p in net.parameters()], gf.rand(1).item()]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_change_no_gradient_and_no_random_number(reentrant):
    plain = gradients(lambda net, x: net(x))
    assert gradients(lambda net, x: checkpoint(net, x, use_reentrant=reentrant)) == plain
    assert gradients(lambda net, x: checkpoint_sequential(net, 3, x, use_reentrant=reentrant)) == plain
    nested = lambda net: lambda x: net[3:](checkpoint(net[:3], x, use_reentrant=False))  # noqa: E731
    if not reentrant:
        assert gradients(lambda net, x: checkpoint(nested(net), x)) == plain
        assert gradients(lambda net, x: checkpoint(net, x, early_stop=False)) == plain


def test_a_checkpoint_keeps_nothing_and_computes_twice():
    calls = []

    def f(x, scale):
        calls.append(1)
        return (x.sin() * scale).exp()

    x = gf.ones(3, requires_grad=True)
    y = checkpoint(f, x, scale=2.0)
    assert all(type(v).__name__ == "Packed" for v in y.grad_fn.saved) and len(calls) == 1
    y.sum().backward(retain_graph=True)
    first = x.grad.tolist()
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == first and len(calls) == 3
    (g,) = gf.autograd.grad(checkpoint(f, x, 2.0).sum(), x, create_graph=True)
    (h,) = gf.autograd.grad(f(x, 2.0).sum(), x, create_graph=True)
    assert gf.allclose(gf.autograd.grad(g.sum(), x)[0], gf.autograd.grad(h.sum(), x)[0])


def test_a_recomputation_that_goes_another_way_is_refused():
    sizes = iter([3, 2])

    def f(x):
        return x[: next(sizes)].exp()

    x = gf.ones(3, requires_grad=True)
    y = checkpoint(f, x)
    with pytest.raises(RuntimeError, match=r"different metadata.*\(3,\).*\(2,\)"):
        y.sum().backward()
    many = iter([1, 0])
    y = checkpoint(lambda x: x.exp().exp() if next(many) else x.exp(), x)
    with pytest.raises(RuntimeError, match="different number of tensors"):
        y.sum().backward()
    assert x.grad is None
    y = checkpoint(gf.exp, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        gf.autograd.grad(y.sum(), x)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(gf.exp, x, determinism_check="maybe")


def test_whether_checkpoints_stop_early_can_be_said_around_them():
    from gradflow.utils.checkpoint import checkpoint, set_checkpoint_early_stop

    runs = []

    def function(x):
        y = x.exp()
        runs.append("saved")
        y = y + 1
        runs.append("done")
        return y

    for enable in (True, False):
        runs.clear()
        with set_checkpoint_early_stop(enable):
            y = checkpoint(function, gf.ones(2, requires_grad=True), use_reentrant=False, early_stop=not enable)
        y.sum().backward()
        assert runs == ["saved", "done"] + ([] if enable else ["saved", "done"])
