"""``torch.backends.cudnn``: what is set here is kept. Kernels are our own, give the same bits every time, and need no search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Is cuDNN there? It is not used."""
    return False


def version() -> None:
    """Its version: none."""


@contextlib.contextmanager
def flags(**wanted: bool) -> Iterator[None]:
    """Other settings for a while."""
    before = {name: globals()[name] for name in wanted}
    globals().update(wanted)
    try:
        yield
    finally:
        globals().update(before)
