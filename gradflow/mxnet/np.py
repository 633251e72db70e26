"""``mxnet.np``: NumPy's functions over arrays that have gradients."""

from __future__ import annotations

import math as _math
from collections.abc import Callable as _Callable
from functools import partial as _partial
from types import SimpleNamespace as _SimpleNamespace
from typing import Any as _Any

import numpy as _numpy

from .array import NDArray as _NDArray
from .array import gf as _gf
from .array import lifted as _lifted
from .array import named as _named
from .array import ndarray
from .array import run as _run
from .functions import METHODS as _METHODS
from .functions import NUMPY as _NUMPY
from .functions import reshape_like_numpy as _reshape
from .making import creators as _creators
from .making import randoms as _randoms

pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None
float16, float32, float64 = _numpy.float16, _numpy.float32, _numpy.float64
int8, int32, int64, uint8, bool_, bool = _numpy.int8, _numpy.int32, _numpy.int64, _numpy.uint8, _numpy.bool_, _numpy.bool_


def _function(name: str, function: _Callable) -> _Callable:
    def call(*args: _Any, **kwargs: _Any) -> _Any:
        return _run(_partial(_named, name, function), ndarray, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = function.__doc__
    return call


globals().update({name: _function(name, function) for name, function in _NUMPY.items()})
globals().update(_creators(ndarray))
random = _randoms(ndarray)
linalg = _SimpleNamespace(
    **{
        name: _function(name, getattr(_gf.linalg, name))
        for name in "norm inv det slogdet cholesky svd solve eigh eigvalsh qr pinv matrix_rank matrix_power lstsq tensorinv tensorsolve multi_dot".split()
    }
)


def asarray(a: _Any, dtype: _Any = None) -> _Any:
    """The array itself if it is one of this type, else a new one.

    >>> from gradflow.mxnet import np
    >>> x = np.ones(2)
    >>> np.asarray(x) is x
    True
    >>> np.asarray([1, 2])
    array([1., 2.])
    """
    return a if isinstance(a, ndarray) and dtype in (None, a.dtype) else array(a, dtype)  # type: ignore[name-defined]  # noqa: F821


def may_share_memory(a: _Any, b: _Any) -> _Any:
    """Whether the elements of two arrays may lie in the same memory.

    >>> from gradflow.mxnet import np
    >>> x = np.ones((2, 2))
    >>> np.may_share_memory(x, x[0])
    True
    >>> np.may_share_memory(x, x + 1)
    False
    """
    return _numpy.may_share_memory(a.tensor.array, b.tensor.array)


def shape(a: _Any) -> tuple:
    """The sizes of the axes, a tuple.

    >>> from gradflow.mxnet import np
    >>> np.shape(np.ones((2, 3)))
    (2, 3)
    """
    return a.shape


for _name in _METHODS:
    setattr(ndarray, _name, _lifted(_NUMPY[_name], _name))
ndarray.reshape = _lifted(_reshape, "reshape")  # type: ignore[attr-defined]
ndarray.flatten = _lifted(_NUMPY["ravel"], "flatten")  # type: ignore[attr-defined]
