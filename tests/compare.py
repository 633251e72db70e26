"""One function in gradflow and in torch: the same values, types, gradients and second derivatives."""

import numpy as np

import gradflow as gf


def weights(shape, wave):
    """Fixed cotangents, different everywhere."""
    n = int(np.prod(shape))
    return wave(np.arange(n) + 0.5).reshape(shape)


def run(t, f, arrays):
    """[value, gradients, second derivatives, accumulated .grad] of f on fresh leaves, as arrays (None where there is none)."""
    xs = [t.tensor(a, requires_grad=np.asarray(a).dtype.kind == "f") for a in arrays]
    leaves = [x for x in xs if x.requires_grad]
    y = f(t, *xs)
    results = [y.detach().numpy()]
    if not y.requires_grad:
        return results
    loss = (y * t.tensor(weights(tuple(y.shape), np.cos), dtype=y.dtype)).sum()
    first = t.autograd.grad(loss, leaves, create_graph=True, retain_graph=True, allow_unused=True)
    results += [None if g is None else g.detach().numpy() for g in first]
    again = [(g * t.tensor(weights(tuple(g.shape), np.sin), dtype=g.dtype)).sum() for g in first if g is not None and g.requires_grad]
    again = [g for g in again if g.requires_grad]
    if again:
        second = t.autograd.grad(sum(again), leaves, retain_graph=True, allow_unused=True)
        results += [None if g is None else g.numpy(force=True) for g in second]  # torch has zeros without memory
    else:
        results += [None] * len(leaves)
    loss.backward(retain_graph=True)
    loss.backward()
    return results + [None if x.grad is None else x.grad.numpy() for x in leaves]


def same(torch, f, arrays, rtol=1e-7, atol=1e-9):
    """Compare; no gradient and a gradient of zeros count as equal."""
    for i, (want, got) in enumerate(zip(run(torch, f, arrays), run(gf, f, arrays), strict=True)):
        if want is None or got is None:
            rest = got if want is None else want
            assert rest is None or not np.any(rest), f"result {i}: one has no gradient, the other {rest}"
            continue
        assert got.shape == want.shape and got.dtype == want.dtype, f"result {i}: {got.shape} {got.dtype}, torch {want.shape} {want.dtype}"
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=f"result {i}")
