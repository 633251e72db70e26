"""Modules spread over devices: here over the one that they are on."""

from __future__ import annotations

from typing import Any

from ..errors import DeviceError
from .module import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """A module that calls another, `module`, with the whole batch; as in PyTorch where there is one device.

    >>> import gradflow as gf
    >>> net = gf.nn.DataParallel(gf.nn.Linear(2, 1))
    >>> list(net.state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise DeviceError(f"DataParallel: one device computes; got device_ids={device_ids}; leave them out")
        self.module = module
        self.device_ids = list(device_ids or [])
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Refused: one process computes here."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise DeviceError("DistributedDataParallel: there is no distributed training here; use the module itself")
