"""A call that fails changes nothing: tensors, gradients, versions, histories, random numbers and modes are as they were.

Every in-place method and every function with ``out=`` is called with arguments of every wrong sort, on tensors of every sort (a leaf, a plain
tensor, one with a history, a view of each), and with each kernel call on the way failing once, as it does when memory runs out.
"""

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
