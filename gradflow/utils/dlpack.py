"""DLPack under the names of ``torch.utils.dlpack``."""

import gradflow as gf

from_dlpack, to_dlpack = gf.from_dlpack, gf.to_dlpack
__all__ = ["from_dlpack", "to_dlpack"]
