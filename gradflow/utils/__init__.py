"""Tools beside the tensors: checkpoints, data loading, hooks."""

from . import checkpoint, data, hooks

__all__ = ["checkpoint", "data", "hooks"]
