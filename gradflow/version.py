"""Which version this is, as ``torch.version`` says it. ``cuda``, ``hip`` and ``xpu`` are those that the package was built with: none."""

from ._version import __version__

cuda = hip = xpu = git_version = None
debug = False

__all__ = ["__version__", "cuda", "debug", "git_version", "hip", "xpu"]
