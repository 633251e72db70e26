"""Random programs of views and changes in place, run in both: they agree, or gradflow refuses.

A step makes a view or a value, changes a tensor, or hangs a hook on one. At the end every tensor's value, gradients and second derivatives are
compared, and what the hooks saw.
"""

import random
from functools import partial

import numpy as np
import pytest

FIRST, LAST = slice(None, 1), slice(1, None)


def at(b, n):
    return int(b * n)


# (t, p, q, b) -> a tensor or several; q is another tensor of the program, b a number in [0, 1)
VIEWS = {
    "slice": lambda t, p, q, b: p[at(b, p.shape[0]) :],
    "step": lambda t, p, q, b: p[..., ::2],
    "select": lambda t, p, q, b: p[at(b, p.shape[0])],
    "last": lambda t, p, q, b: p[..., -1],
    "new axis": lambda t, p, q, b: p[None],
    "transpose": lambda t, p, q, b: p.transpose(0, -1),
    "movedim": lambda t, p, q, b: p.movedim(-1, 0),
    "permute": lambda t, p, q, b: p.permute(*reversed(range(p.ndim))),
    "flat": lambda t, p, q, b: p.view(-1),
    "reshape": lambda t, p, q, b: p.reshape(-1),
    "unflatten": lambda t, p, q, b: p.unflatten(-1, (1, -1)),
    "unsqueeze": lambda t, p, q, b: p.unsqueeze(0),
    "squeeze": lambda t, p, q, b: p.squeeze(),
    "narrow": lambda t, p, q, b: p.narrow(0, 0, at(b, p.shape[0]) + 1),
    "diagonal": lambda t, p, q, b: p.diagonal(),
    "unfold": lambda t, p, q, b: p.unfold(-1, 2, 2),
    "expand": lambda t, p, q, b: p.expand(2, *p.shape),
    "view_as": lambda t, p, q, b: p.view_as(p),
    "as_strided": lambda t, p, q, b: p.as_strided(p.shape[:1], p.stride()[:1]),
    "detach": lambda t, p, q, b: p.detach(),
    "chunk": lambda t, p, q, b: p.chunk(2),
    "split": lambda t, p, q, b: p.split(1, -1),
    "unbind": lambda t, p, q, b: p.unbind(0),
    "tensor_split": lambda t, p, q, b: t.tensor_split(p, 2),
}
CHANGES = {
    **{
        f"{name}_": lambda t, p, q, b, name=name: getattr(p, f"{name}_")()
        for name in ("tanh", "neg", "relu", "zero", "exp", "sigmoid", "square")
    },
    "mul": lambda t, p, q, b: p.mul_(0.75),
    "add": lambda t, p, q, b: p.add_(b),
    "fill": lambda t, p, q, b: p.fill_(b),
    "pow": lambda t, p, q, b: p.pow_(2),
    "mul_t": lambda t, p, q, b: p.mul_(q),
    "sub_t": lambda t, p, q, b: p.sub_(q),
    "div_t": lambda t, p, q, b: p.div_(q * q + 1),
    "lerp": lambda t, p, q, b: p.lerp_(q.expand_as(p), b),
    "addcmul": lambda t, p, q, b: p.addcmul_(q, q, value=b),
    "copy": lambda t, p, q, b: p.copy_(q),
    "clamp": lambda t, p, q, b: p.clamp_(b, 1.2),
    "cumsum": lambda t, p, q, b: p.cumsum_(0),
    "masked_fill": lambda t, p, q, b: p.masked_fill_(p.detach() > 0.9, b),
    "mask": lambda t, p, q, b: p.__setitem__(p.detach() > 0.9, b),
    "index": lambda t, p, q, b: p.__setitem__(t.tensor([0, p.shape[0] - 1]), b),
    "index_add": lambda t, p, q, b: p.index_add_(0, t.tensor([0, 0]), q.expand_as(p)[:2]),
    "index_fill": lambda t, p, q, b: p.index_fill_(-1, t.tensor([0]), b),
    "scatter": lambda t, p, q, b: p.scatter_(0, t.zeros(1, *p.shape[1:], dtype=t.int64), q.expand_as(p)),
    "set": lambda t, p, q, b: p.__setitem__(at(b, p.shape[0]), 0.5),
    "assign": lambda t, p, q, b: p.__setitem__(at(b, p.shape[0]), q.expand_as(p)[0]),
    "assign all": lambda t, p, q, b: p.__setitem__(..., q),
    "shift": lambda t, p, q, b: p.__setitem__(LAST, p[:-1].clone()),
    "slices": lambda t, p, q, b: [p.__setitem__(i, p[i] * (i + b)) for i in range(p.shape[0])],
    "+=": lambda t, p, q, b: p[at(b, p.shape[0])].add_(0.5),
    "*= rows": lambda t, p, q, b: p[FIRST].mul_(q.expand_as(p)[LAST]),
    "transpose_": lambda t, p, q, b: p.transpose_(0, -1),
    "squeeze_": lambda t, p, q, b: p.squeeze_(),
    "unsqueeze_": lambda t, p, q, b: p.unsqueeze_(0),
    "data": lambda t, p, q, b: p.data.mul_(1.1),
    "through detach": lambda t, p, q, b: p.detach().add_(0.1),
    "no_grad": lambda t, p, q, b: quietly(t, lambda: p.mul_(1.25)),
    "no_grad slice": lambda t, p, q, b: quietly(t, lambda: p[FIRST].copy_(q.expand_as(p)[FIRST])),
}
READS = {
    "mul": lambda t, p, q, b: p * q,
    "add": lambda t, p, q, b: p + 1,
    "sin": lambda t, p, q, b: p.sin(),
    "tanh": lambda t, p, q, b: p.tanh(),
    "sum": lambda t, p, q, b: p.sum(),
    "matmul": lambda t, p, q, b: p @ p.transpose(0, -1),
    "clone": lambda t, p, q, b: p.clone(),
    "softmax": lambda t, p, q, b: p.softmax(-1),
    "cat": lambda t, p, q, b: t.cat([p, q.expand_as(p)]),
    "stack of rows": lambda t, p, q, b: t.stack(list(p.unbind(0))),
}
KINDS = [
    *((VIEWS, name) for name in VIEWS),
    *(2 * [(CHANGES, name) for name in CHANGES]),
    *((READS, name) for name in READS),
    (None, "hook"),
]
MAY_REFUSE = ("expand", "transpose_", "squeeze_", "unsqueeze_")  # expanded memory is read-only; a view of a tensor that has other axes now
FAILURES = (RuntimeError, IndexError, ValueError, TypeError)


def quietly(t, f):
    with t.no_grad():
        return f()


def steps_of(seed):
    rng = random.Random(seed)
    return [(*rng.choice(KINDS), rng.random(), rng.random(), rng.random()) for _ in range(rng.randint(3, 8))]


def run(t, seed):
    """(for each step whether it was refused, for each tensor its value and derivatives or "refused", what hooks saw)"""
    rng = np.random.default_rng(seed)
    x, w, z = (t.tensor(rng.uniform(0.5, 1.5, shape), dtype=t.float64) for shape in ((2, 3), (3,), (2, 3)))
    x.requires_grad_()
    w.requires_grad_()
    pool, refused, results, seen = [x, w, z, x * 2, w.exp()], [], [], []

    def see(k, g):
        if g is not None:  # torch gives None at times
            seen.append(((k, len(results)), g.detach().numpy().copy()))

    for table, name, a, b, c in steps_of(seed):
        p = pool[int(a**0.6 * len(pool))]
        fitting = [q for q in pool if q.ndim == 0 or tuple(q.shape) in (tuple(p.shape), tuple(p.shape[-1:]))]
        q = fitting[at(c, len(fitting))] if fitting else z.sum()
        try:
            if table is None:
                p = pool[at(b, 5)]  # not a view: torch may crash
                p.register_hook(partial(see, len(refused)))
                made = None
            else:
                made = table[name](t, p, q, b)
        except FAILURES:
            refused.append(True)
        else:
            refused.append(False)
            if table is not CHANGES and made is not None:
                pool += list(made) if isinstance(made, tuple | list) else [made]
    for p in pool:
        results += [p.requires_grad, [p.detach().numpy().copy()]]
        if p.requires_grad:
            try:
                first = t.autograd.grad((p * p * 0.3 + p).sum(), (x, w), retain_graph=True, allow_unused=True, create_graph=True)
                more = sum((g * g).sum() for g in first if g is not None and g.requires_grad) + 0 * x.sum() + 0 * w.sum()
                second = t.autograd.grad(more, (x, w), retain_graph=True, allow_unused=True)
            except RuntimeError:
                results.append("refused")
            else:
                results.append(
                    [np.zeros(1) if g is None or not g.detach().numpy().any() else g.detach().numpy() for g in (*first, *second)]
                )
    return refused, results, seen


def compare(seed, gf, torch):
    """How many derivatives were compared; raises where ours are wrong."""
    refused, results, seen = run(gf, seed)
    expected_refused, expected, expected_seen = run(torch, seed)
    may_refuse = any(step[1] in MAY_REFUSE for step in steps_of(seed))
    if refused != expected_refused:  # torch refuses more where memory overlaps, and views whose history it has not yet asked for
        first = next(k for k, (ours, theirs) in enumerate(zip(refused, expected_refused, strict=True)) if ours != theirs)
        assert expected_refused[first] or may_refuse, f"{seed}: refused"
        return 0
    compared = 0
    whole = True
    assert [r for r in results if isinstance(r, bool)] == [r for r in expected if isinstance(r, bool)], f"{seed}: requires_grad"
    for k, (ours, theirs) in enumerate(zip(results, expected, strict=True)):
        if isinstance(theirs, bool):
            continue
        if isinstance(theirs, str) or isinstance(ours, str):
            whole = False
            assert isinstance(theirs, str) or may_refuse, f"{seed}: refused to differentiate {k}"
            continue
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape or not b.any(), f"{seed}: shape of {k}"
            assert np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True), f"{seed}: value of {k}"
        compared += 1
    if whole:
        assert [k for k, _ in seen] == [k for k, _ in expected_seen], f"{seed}: which hooks"
        for (k, a), (_, b) in zip(seen, expected_seen, strict=True):
            assert a.shape == b.shape and np.allclose(a, b, rtol=1e-6, atol=1e-9, equal_nan=True), f"{seed}: hook {k}"
    return compared


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", range(6))
def test_random_programs(block, torch):
    import gradflow as gf

    assert sum(compare(seed, gf, torch) for seed in range(60 * block, 60 * block + 60)) > 100
