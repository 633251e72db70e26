"""``mxnet.nd``: MXNet's older functions and arrays, without arrays of shape ()."""

from __future__ import annotations

from collections.abc import Callable as _Callable
from functools import partial as _partial
from typing import Any as _Any

from .array import NDArray, cpu, gpu
from .array import lifted as _lifted
from .array import named as _named
from .array import run as _run
from .layers import CLASSIC as _CLASSIC
from .making import creators as _creators
from .making import randoms as _randoms
from .npx import waitall
from .storage import loader as _loader
from .storage import save


def _function(name: str, function: _Callable) -> _Callable:
    def call(*args: _Any, **kwargs: _Any) -> _Any:
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, NDArray)]
        return _run(_partial(_named, name, function), type(arrays[0]) if arrays else NDArray, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = function.__doc__
    return call


globals().update({name: _function(name, function) for name, function in _CLASSIC.items()})
globals().update(_creators(NDArray))
random = _randoms(NDArray)
random_normal, random_uniform = random.normal, random.uniform
load = _loader(NDArray)

for _name, _call in _CLASSIC.items():
    if _name == "broadcast_to" or (_name[0].islower() and not _name.startswith(("broadcast_", "elemwise_"))):
        setattr(NDArray, _name, _lifted(_call, _name))
