"""The exceptions gradflow raises: one family, each also of the kind PyTorch raises in the same place.

Every message has the form ``op: what is wrong; the values; what to do``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class GradflowError(Exception):
    """The root of the family: ``except gradflow.errors.GradflowError`` catches all of it."""


class ShapeError(GradflowError, RuntimeError):
    """Shapes that do not fit together."""


class RankError(ShapeError, IndexError):
    """A tensor with too few or too many axes. (Torch raises an IndexError where it asks for an axis that is not there.)"""


class DTypeError(GradflowError, TypeError, RuntimeError):
    """Element types that do not fit together or that an operation is not defined for."""


class AxisError(GradflowError, IndexError):
    """An axis that a tensor does not have."""


class OutOfRangeError(GradflowError, IndexError, RuntimeError):
    """An index outside its axis. (Torch's ``gather`` raises a RuntimeError, its other indices an IndexError.)"""


class ArgumentError(GradflowError, ValueError, RuntimeError):
    """An argument whose value makes no sense for the operation."""


class LinAlgError(GradflowError, RuntimeError):
    """A matrix that cannot be factored or inverted: ``linalg.LinAlgError``."""


class NumberError(GradflowError, ValueError, RuntimeError, OverflowError):
    """A number that an element type cannot hold."""


class DeviceError(GradflowError, RuntimeError):
    """A device that does not exist, or operands on different devices."""


class DeviceMemoryError(DeviceError, MemoryError):
    """The device's memory does not suffice: ``cuda.OutOfMemoryError``. Tensors stay as they are."""


class GradError(GradflowError, RuntimeError):
    """A derivative that cannot be computed, or would be wrong."""


class AnomalyError(GradError):
    """A nan or inf, where anomaly mode looks for them."""


class BatchError(GradflowError, RuntimeError):
    """What vmap cannot do for all examples: a value, a branch or a shape that depends on the example."""


class InPlaceError(GradError):
    """A change in place that would make a gradient wrong."""


def relabel(error: GradflowError, op: str) -> GradflowError:
    """The same error in the name of the operation that the user called.

    >>> gf.errors.relabel(gf.errors.ShapeError("inner: sizes differ"), "outer")
    ShapeError('outer: sizes differ')
    """
    return type(error)(f"{op}: {str(error).partition(': ')[2]}")


def labelled(op: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of ``function``, or its error in the name of the operation that the user called.

    >>> gf.errors.labelled("double", lambda x: 2 * x, 21)
    42
    """
    try:
        return function(*args, **kwargs)
    except GradflowError as error:
        raise relabel(error, op) from None
