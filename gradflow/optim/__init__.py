"""Optimizers: each step is one fused kernel per parameter, in place."""

import sys as _sys

from . import adam, adaptive, lr_scheduler, nadam, rprop, swa_utils
from .adam import Adam, AdamW
from .adaptive import Adadelta, Adagrad, Adamax, RMSprop
from .lbfgs import LBFGS
from .matrices import Adafactor, Muon
from .nadam import NAdam, RAdam
from .optimizer import Optimizer
from .rprop import ASGD, Rprop
from .sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]

# the files that PyTorch has for single optimizers
_FILES = {"adamw": adam, "adadelta": adaptive, "adagrad": adaptive, "adamax": adaptive, "rmsprop": adaptive, "radam": nadam, "asgd": rprop}
for _name, _module in _FILES.items():
    globals()[_name] = _sys.modules[f"{__name__}.{_name}"] = _module


def __getattr__(name: str) -> object:
    if name == "SparseAdam":
        raise AttributeError("optim.SparseAdam: there are no sparse gradients; use Adam")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
