"""A module called with other parameters, under the old name of `func.functional_call`."""

from __future__ import annotations

from typing import Any

from ..module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module, parameters_and_buffers: Any, args: Any = None, kwargs: Any = None, *, tie_weights: bool = True, strict: bool = False
) -> Any:
    """Call a module with these tensors in the places of its own."""
    import gradflow as gf

    return gf.func.functional_call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
