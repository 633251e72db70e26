"""``mxnet.npx``: what NumPy does not have, over ``np``'s arrays; devices; and the switches of MXNet's NumPy mode."""

from __future__ import annotations

from typing import Any as _Any

from .array import cpu, current_context, gpu, ndarray, num_gpus
from .layers import EXTENSION as _EXTENSION
from .making import seed
from .np import _function
from .storage import load, save, savez

globals().update({name: _function(name, function) for name, function in _EXTENSION.items()})
current_device = current_context


def set_np(shape: _Any = True, array: _Any = True, dtype: _Any = False) -> None:
    """MXNet's NumPy mode, which is always on here: ``np`` and ``nd`` are there side by side.

    >>> from gradflow.mxnet import npx
    >>> npx.set_np()
    >>> npx.is_np_array()
    True
    """


reset_np = set_np


def is_np_array() -> bool:
    """Whether MXNet's NumPy mode is on: always.

    >>> from gradflow.mxnet import npx
    >>> npx.is_np_array()
    True
    """
    return True


is_np_shape = is_np_array


def waitall() -> None:
    """Return when all is computed. It is: nothing here runs behind your back.

    >>> gf.mxnet.waitall()
    """
