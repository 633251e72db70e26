"""Writes csrc/kernels_compiled.cpp: the programs that the extension has as compiled loops.

    python tests/make_kernels.py

They are those that the calls below run in float32 and that have several instructions; everything else is interpreted. Add a call where an
operation's programs are worth it, and see that they got quicker: g++ does not make vectors of every loop.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import gradflow as gf
from gradflow.backends import cpu
from gradflow.nn import functional as F
from gradflow.scalar import loops

TARGET = Path(__file__).parent.parent / "csrc/kernels_compiled.cpp"


ACTIVATIONS = (
    F.gelu,
    lambda x: F.gelu(x, approximate="tanh"),
    F.silu,
    F.softplus,
    F.elu,
    F.selu,
    F.hardswish,
    F.hardsigmoid,
    F.leaky_relu,
    F.relu6,
    F.softsign,
    gf.sigmoid,
    gf.tanh,
    gf.nan_to_num,
)
OPTIMIZERS = (
    lambda p: gf.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    lambda p: gf.optim.SGD(p, lr=0.1, momentum=0.9),
    lambda p: gf.optim.SGD(p, lr=0.1),
    lambda p: gf.optim.Adam(p),
    lambda p: gf.optim.Adam(p, weight_decay=0.1),
    lambda p: gf.optim.AdamW(p),
)


def typical_calls() -> None:
    def leaf(*shape):
        return gf.rand(shape, requires_grad=True)

    x, y, weight, bias = leaf(3, 4), leaf(3, 4), leaf(4), leaf(4)
    for result in (
        F.layer_norm(x, (4,), weight, bias),
        F.layer_norm(x, (4,)),
        F.cross_entropy(x, gf.tensor([0, 1, 2])),
        F.mse_loss(x, y),
        F.smooth_l1_loss(x, y),
        F.binary_cross_entropy_with_logits(x, y.detach()),
        gf.lerp(x, y, 0.3),
        gf.addcmul(x, x, y),
        gf.addcdiv(x, x, y),
        *(activation(x) for activation in ACTIVATIONS),
        gf.nn.LSTM(4, 4)(x.unsqueeze(1))[0],
        F.group_norm(x.unsqueeze(2) * gf.ones(2), 2, weight, bias),
    ):
        result.backward(gf.rand_like(result))
    for optimizer in OPTIMIZERS:
        step = optimizer([x]).step
        step(), step()  # the first one may have no history yet


def programs() -> list:
    """The typed programs of those calls."""
    found = {}
    encode = cpu.encode

    def recording(typed, opcodes):
        if loops.can_compile(typed):
            found[loops.digest(typed)] = typed
        return encode(typed, opcodes)

    cpu.encode = recording
    try:
        typical_calls()
    finally:
        cpu.encode = encode
    return list(found.values())


if __name__ == "__main__":
    if "--pickle" in sys.argv:  # for the tests: a process in which nothing has run before sees every program
        sys.stdout.buffer.write(pickle.dumps(programs()))
    else:
        TARGET.write_text(loops.source(programs()))
