"""Derivatives as torch offers them: ``backward``, ``grad``, custom functions, hooks, and the modes that switch recording."""

from . import function, grad_mode, graph, tensor_hooks
from .anomaly_mode import detect_anomaly, is_anomaly_check_nan_enabled, is_anomaly_enabled, set_detect_anomaly
from .backward import backward, grad
from .function import Function
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    safe_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .gradcheck import gradcheck, gradgradcheck
from .variable import Variable

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "safe_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
    "tensor_hooks",
]


def __getattr__(name: str) -> object:
    """``forward_ad`` and ``functional``, which are read when they are first asked for."""
    if name in ("forward_ad", "functional"):
        import importlib

        return importlib.import_module(f"gradflow.autograd.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
