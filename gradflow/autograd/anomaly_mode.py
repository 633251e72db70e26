"""Anomaly mode: backward's errors name the line of the forward call."""

from __future__ import annotations

from ..errors import DTypeError
from ..tape.observe import anomaly, watch


class set_detect_anomaly:
    """Anomaly mode on or off, from the call on, or inside a ``with``: operations note the line that called them, and with ``check_nan``
    backward stops at the first one whose gradient has a nan.

    >>> with gf.autograd.set_detect_anomaly(True):
    ...     print(gf.autograd.is_anomaly_enabled())
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        if not isinstance(mode, bool):
            raise DTypeError(f"set_detect_anomaly: argument 'mode' must be bool, not {type(mode).__name__}")
        self.before = anomaly.enabled, anomaly.nan
        switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        switch(*self.before)


class detect_anomaly:
    """Anomaly mode inside a ``with``.

    >>> x = gf.zeros(1, requires_grad=True)
    >>> with gf.autograd.detect_anomaly():
    ...     y = (x.sqrt() * 0).sum()
    ...     y.backward()
    Traceback (most recent call last):
    ...
    gradflow.errors.GradError: SqrtBackward0: Function 'SqrtBackward0' returned nan values in its 0th output; ...
    """

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan

    def __enter__(self) -> None:
        self.before = anomaly.enabled, anomaly.nan
        switch(True, self.check_nan)

    def __exit__(self, *exc: object) -> None:
        switch(*self.before)


def switch(enabled: bool, nan: bool) -> None:
    if enabled != anomaly.enabled:
        watch(1 if enabled else -1)
    anomaly.enabled, anomaly.nan = enabled, nan


def is_anomaly_enabled() -> bool:
    """Is anomaly mode on?

    >>> gf.autograd.is_anomaly_enabled()
    False
    """
    return anomaly.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Does anomaly mode look for nan?

    >>> with gf.autograd.detect_anomaly(check_nan=False):
    ...     print(gf.autograd.is_anomaly_check_nan_enabled())
    False
    """
    return anomaly.nan
