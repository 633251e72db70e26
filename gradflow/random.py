"""The stream of random numbers, as ``torch.random`` shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .ops.random import default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed", "set_rng_state"]


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **torch_names: Any) -> Iterator[None]:
    """Within it random numbers are drawn as ever; after it the stream goes on from where it was before.

    >>> import gradflow as gf
    >>> _ = gf.manual_seed(0)
    >>> with gf.random.fork_rng():
    ...     a = gf.rand(2)
    >>> bool((gf.rand(2) == a).all())
    True
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)
