"""PyTorch's place of the collating functions: ``utils.data._utils.collate``."""

import sys

from . import collate

__all__ = ["collate"]
sys.modules[f"{__name__}.collate"] = collate
