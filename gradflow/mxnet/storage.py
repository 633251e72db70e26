"""``save`` and ``load``: arrays in a file, in NumPy's ``.npz`` format."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from typing import Any

import numpy as onp

from ..errors import ArgumentError, DTypeError
from .array import NDArray, ndarray, tensor_of


def save(file: Any, arr: Any) -> None:
    """Write an array, a list of arrays or a dictionary of them.

    >>> from gradflow.mxnet import np, npx
    >>> import os, tempfile
    >>> name = os.path.join(tempfile.mkdtemp(), "x.npz")
    >>> npx.save(name, {"x": np.ones(2)})
    >>> npx.load(name)
    {'x': array([1., 1.])}
    """
    if isinstance(arr, NDArray):
        arr = [arr]
    named = arr if isinstance(arr, dict) else {f"arr_{i}": a for i, a in enumerate(arr)}
    for a in named.values():
        if not isinstance(a, NDArray):
            raise DTypeError(f"save: expected arrays, not {type(a).__name__}")
    with open(file, "wb") as f:  # numpy would add an ending to a name
        onp.savez(f, **{k: a.asnumpy() for k, a in named.items()})


def savez(file: Any, *args: Any, **kwargs: Any) -> None:
    """Write arrays: those with a name under it, the others as ``arr_0``, ``arr_1``, ...

    >>> from gradflow.mxnet import np, npx
    >>> import os, tempfile
    >>> name = os.path.join(tempfile.mkdtemp(), "x.npz")
    >>> npx.savez(name, np.ones(2), y=np.zeros(1))
    >>> sorted(npx.load(name))
    ['arr_0', 'y']
    """
    save(file, {f"arr_{i}": a for i, a in enumerate(args)} | kwargs)


def loader(cls: type[NDArray]) -> Callable:
    def load(file: Any) -> Any:
        """What `save` wrote: a list if that was one (an array is a list of one), else a dictionary.

        >>> from gradflow.mxnet import np, npx
        >>> import os, tempfile
        >>> name = os.path.join(tempfile.mkdtemp(), "x.npz")
        >>> npx.save(name, np.ones(2))
        >>> npx.load(name)
        [array([1., 1.])]
        """
        try:
            with onp.load(file) as data:
                named = {k: cls(tensor_of(data[k], data[k].dtype)) for k in data.files}
        except (ValueError, zipfile.BadZipFile) as error:
            raise ArgumentError(f"load: {file} is not a file that save wrote ({error})") from None
        return list(named.values()) if all(k == f"arr_{i}" for i, k in enumerate(named)) else named

    return load


load = loader(ndarray)
