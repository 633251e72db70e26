"""``torch.distributed``, as it is where there is none of it: programs ask ``is_available()`` first."""

from __future__ import annotations


def is_available() -> bool:
    """Can processes work together? No.

    >>> import gradflow as gf
    >>> gf.distributed.is_available()
    False
    """
    return False


is_initialized = is_torchelastic_launched = is_nccl_available = is_gloo_available = is_mpi_available = is_available


def __getattr__(name: str) -> object:
    raise AttributeError(f"distributed: there is no {name}; one process computes here, on all its threads; ask is_available() first")
