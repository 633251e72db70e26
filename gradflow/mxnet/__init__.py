"""MXNet's dialect over the same engine: ``from gradflow.mxnet import autograd, np, npx, nd, sym``.

MXNet's rules hold: float32 goes without saying, nothing is recorded outside ``autograd.record()``, ``backward`` of an array is that of its sum, and
writes the gradients that ``attach_grad`` asked for. ``gradflow.mxnet.gluon`` is out of scope.
"""

from ..errors import GradflowError as MXNetError
from . import autograd, nd, np, npx, sym
from .array import Context, cpu, current_context, gpu, num_gpus
from .nd import random
from .npx import waitall

context, ndarray, symbol = Context, nd, sym

__all__ = [
    "Context",
    "MXNetError",
    "autograd",
    "context",
    "cpu",
    "current_context",
    "gpu",
    "nd",
    "ndarray",
    "np",
    "npx",
    "num_gpus",
    "random",
    "sym",
]
__all__ += ["symbol", "waitall"]


def __getattr__(name: str) -> object:
    if name == "gluon":
        import importlib

        return importlib.import_module("gradflow.mxnet.gluon")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
