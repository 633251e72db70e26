"""Modules, losses and optimizers on the device, against the CPU: results, gradients, and parameters after steps. Emulated, and on a real GPU."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import gradflow as gf

nn = gf.nn

MODULES = [
    ("Linear", lambda: nn.Linear(4, 3), (5, 4)),
    ("MLP", lambda: nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2), nn.Softmax(-1)), (5, 4)),
    ("Conv1d", lambda: nn.Conv1d(2, 3, 3, padding=1), (2, 2, 6)),
    ("Conv2d", lambda: nn.Conv2d(2, 4, 3, stride=2, groups=2), (2, 2, 7, 7)),
    ("ConvTranspose2d", lambda: nn.ConvTranspose2d(2, 3, 2, stride=2), (1, 2, 3, 3)),
    ("BatchNorm2d", lambda: nn.BatchNorm2d(3), (4, 3, 2, 2)),
    ("GroupNorm", lambda: nn.GroupNorm(2, 4), (3, 4, 5)),
    ("InstanceNorm1d", lambda: nn.InstanceNorm1d(3, affine=True), (2, 3, 5)),
    ("LayerNorm", lambda: nn.LayerNorm((3, 4)), (2, 3, 4)),
    ("RMSNorm", lambda: nn.RMSNorm(4), (2, 4)),
    ("PReLU", lambda: nn.PReLU(3), (2, 3)),
    ("Bilinear", lambda: Two(nn.Bilinear(4, 4, 2)), (3, 4)),
    ("LSTM", lambda: First(nn.LSTM(4, 3, num_layers=2, bidirectional=True)), (3, 2, 4)),
    ("GRU", lambda: First(nn.GRU(4, 3, batch_first=True)), (2, 3, 4)),
    ("RNN", lambda: First(nn.RNN(4, 3)), (3, 2, 4)),
    ("attention", lambda: Three(nn.MultiheadAttention(4, 2, batch_first=True)), (2, 3, 4)),
    ("transformer", lambda: nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), (2, 3, 4)),
    ("pools", lambda: nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (2, 2, 6, 6)),
    ("dropout", lambda: nn.Dropout(0.5), (4, 30)),
    ("upsampled", lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
]


class Called(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner


class First(Called):
    def forward(self, x):
        return self.inner(x)[0]


class Two(Called):
    def forward(self, x):
        return self.inner(x, x)


class Three(Called):
    def forward(self, x):
        return self.inner(x, x, x)[0]


LOSSES = [
    "MSELoss",
    "L1Loss",
    "SmoothL1Loss",
    "HuberLoss",
    "BCEWithLogitsLoss",
    "KLDivLoss",
    "SoftMarginLoss",
    "PoissonNLLLoss",
    "CrossEntropyLoss",
]
OPTIMIZERS = {
    **{name: {} for name in "SGD Adam AdamW Adagrad RMSprop Adadelta Adamax NAdam RAdam Rprop ASGD".split()},
    "SGD with momentum": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam with amsgrad": {"amsgrad": True, "weight_decay": 0.01},
    "RMSprop centered": {"centered": True, "momentum": 0.5},
}


def trained(make, shape, where):
    """Output, gradients, and buffers, on a device."""
    gf.manual_seed(0)
    module = make()
    x = gf.randn(*shape)
    module, x = module.to(where), x.to(where).detach().requires_grad_()
    y = module(x)
    (y * gf.linspace(0.5, 1.5, y.numel(), device=where).reshape(y.shape)).sum().backward()
    return [y, x.grad, *(p.grad for p in module.parameters()), *module.buffers()]


def losses(name, where):
    x = gf.linspace(-1, 1, 12).reshape(4, 3).to(where).requires_grad_()
    target = gf.tensor([0, 2, 1, 1], device=where) if name == "CrossEntropyLoss" else gf.linspace(0, 1, 12).reshape(4, 3).to(where)
    x = x.detach().requires_grad_()
    loss = getattr(nn, name)(**({"reduction": "batchmean"} if name == "KLDivLoss" else {}))(x, target)
    loss.backward()
    return [loss, x.grad]


def stepped(name, options, where):
    w = gf.linspace(-1, 1, 6).to(where).detach().requires_grad_()
    optimizer = getattr(gf.optim, name.split()[0])([w], lr=0.05, **options)
    for _ in range(3):
        optimizer.zero_grad()
        ((w - 0.3) ** 2).sum().backward()
        optimizer.step()
    return [w]


def transformed(where):
    """Derivatives and vmaps of functions that also read what the transform does not know."""
    v, f = gf.func.vmap, gf.func
    with gf.device(where):
        x, a = gf.tensor([0.5, 0.9, 1.2]), gf.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
        scales, pair = gf.tensor([0.5, 0.9, 1.0]), gf.stack([x, x * 0.5])

        def bent(s):
            return gf.where(x * s > 0.8, x * s * x * s, (x * s).exp())

        return [
            *(v(lambda s: x * s)(scales), v(bent)(scales), v(lambda s: (x * s) @ a)(scales), v(lambda y: y.sum())(pair)),
            *(
                v(f.grad(lambda y: (y @ a).sin().sum()))(pair),
                v(lambda s: a[gf.tensor([2, 0])] * s)(scales),
                v(lambda s: (x * s).softmax(0))(scales),
            ),
            *(f.jacrev(lambda y: (a @ y).tanh())(x), f.jacfwd(lambda y: y.cumsum(0) * x)(x), f.hessian(lambda y: (y * x).exp().sum())(x)),
            *f.jvp(lambda y: (y @ a).sin(), (x,), (x * 2,)),
        ]


def cases():
    yield "transforms", transformed
    for name, make, shape in MODULES:
        yield name, lambda where, make=make, shape=shape: trained(make, shape, where)
    for name in LOSSES:
        yield name, lambda where, name=name: losses(name, where)
    for name, options in OPTIMIZERS.items():
        yield name, lambda where, name=name, options=options: stepped(name, options, where)


def everything(driver):
    for name, run in cases():
        try:
            run("cuda")
        except Exception as error:  # values are whatever the memory held
            print(f"{name}: {type(error).__name__}: {error}")


COLLECTED = [everything]


@pytest.mark.parametrize("name", [name for name, _ in cases()])
def test_it_is_the_cpus(device, name):
    run = dict(cases())[name]
    for got, want in zip(run("cuda"), run("cpu"), strict=True):
        assert got.is_cuda and got.dtype is want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got.detach().cpu().numpy(), want.detach().numpy(), rtol=2e-5, atol=2e-5)


def test_the_demo_trains_on_the_device(device, monkeypatch, capsys):
    """As on the CPU, from the same weights on the same batches."""
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    monkeypatch.syspath_prepend(Path(__file__).resolve().parent.parent / "examples")
    digits = importlib.import_module("digits")
    data = digits.load()
    data = data._replace(train_x=data.train_x[:256], train_y=data.train_y[:256])
    threads = gf.get_num_threads()
    try:
        there = digits.train(gf, data, 2, 64)
        assert gf.cuda.get_device_name() in capsys.readouterr().out
        monkeypatch.setattr(gf.cuda, "is_available", lambda: False)
        here = digits.train(gf, data, 2, 64)
    finally:
        gf.set_num_threads(threads)
    np.testing.assert_allclose(there.losses, here.losses, rtol=1e-4)
    assert (there.predictions == here.predictions).mean() > 0.99
