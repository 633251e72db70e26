"""Tools for parameters and their gradients."""

from . import rnn
from .clip_grad import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]
_LATER = {
    "hooked_norms": ("weight_norm", "remove_weight_norm", "spectral_norm", "remove_spectral_norm"),
    "fusion": ("fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights", "skip_init"),
}


def __getattr__(name: str) -> object:
    """What is made of modules, and read when it is first asked for."""
    import importlib

    if name in ("parametrize", "parametrizations", "prune", "stateless"):
        return importlib.import_module(f"{__name__}.{name}")
    for file, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{file}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
