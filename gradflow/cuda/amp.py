"""The older names of :mod:`gradflow.amp`, for cuda."""

from __future__ import annotations

import functools
from typing import Any

from .. import amp


class autocast(amp.autocast):
    """``gradflow.autocast("cuda", dtype, enabled)``

    >>> if gf.cuda.is_available():
    ...     with gf.cuda.amp.autocast():
    ...         y = gf.ones(2, 2, device="cuda") @ gf.ones(2, 2, device="cuda")
    """

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True):
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``gradflow.amp.GradScaler("cuda", ...)``

    >>> scaler = gf.cuda.amp.GradScaler(enabled=gf.cuda.is_available())
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd = functools.partial(amp.custom_fwd, device_type="cuda")
custom_bwd = functools.partial(amp.custom_bwd, device_type="cuda")

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
