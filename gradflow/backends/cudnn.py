"""``torch.backends.cudnn``'s switches, so that programs that set them run: convolutions are gradflow's own, without cuDNN, and the same bits every
time whatever is set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True
benchmark_limit = 10


def is_available() -> bool:
    """Is cuDNN used? No."""
    return False


def version() -> None:
    """cuDNN's version: there is none."""


@contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False, allow_tf32: bool = True
) -> Iterator[None]:
    """The switches set in a ``with`` block."""
    given, names = dict(locals()), globals()
    before = {name: names[name] for name in given}
    names.update(given)
    try:
        yield
    finally:
        names.update(before)
