"""What filters and spectra are weighted with: ``signal.windows``."""

from . import windows

__all__ = ["windows"]
