"""Handles that take a registered hook away again."""

from ..tape.hooks import RemovableHandle, add_hook

__all__ = ["RemovableHandle", "add_hook"]
