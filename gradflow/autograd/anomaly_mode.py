"""Anomaly mode: the first operation that makes a nan or an inf, backward or forward, with its line and the statistics of its tensors."""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError
from ..tape.observe import anomaly, watch


class set_detect_anomaly:
    """Anomaly mode on or off, from the call on, or inside a ``with``: operations note the line that called them, and with ``check_nan``
    backward stops at the first one whose gradient has a nan, with ``check_inf`` at the first one that makes an inf.

    >>> with gf.autograd.set_detect_anomaly(True):
    ...     print(gf.autograd.is_anomaly_enabled())
    True
    """

    def __init__(self, mode: bool, check_nan: bool = True, check_inf: bool = False):
        if not isinstance(mode, bool):
            raise DTypeError(f"set_detect_anomaly: argument 'mode' must be bool, not {type(mode).__name__}")
        self.before = anomaly.enabled, anomaly.nan, anomaly.inf
        switch(mode, check_nan, check_inf)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        switch(*self.before)


class detect_anomaly:
    """Anomaly mode inside a ``with``.

    Backward stops at the first operation that gives a nan (``check_nan``) or makes an inf (``check_inf``); with ``forward`` so does every
    operation that makes one out of operands without. The error, an ``AnomalyError`` (a ``RuntimeError``), has the line of the program and the
    statistics of the tensors. Forward, only operations on tensors are looked at; a nan that is given stays unmentioned.

    >>> x = gf.zeros(1, requires_grad=True)
    >>> with gf.autograd.detect_anomaly():
    ...     y = (x.sqrt() * 0).sum()
    ...     y.backward()
    Traceback (most recent call last):
    ...
    gradflow.errors.AnomalyError: SqrtBackward0: Function 'SqrtBackward0' returned nan values in its 0th output; ...
    """

    def __init__(self, check_nan: bool = True, check_inf: bool = False, forward: bool = False):
        self.check_nan, self.check_inf, self.forward = check_nan, check_inf, forward
        self.looking: Any = None

    def __enter__(self) -> None:
        self.before = anomaly.enabled, anomaly.nan, anomaly.inf
        switch(True, self.check_nan, self.check_inf)
        if self.forward:
            from ..checking import ForwardAnomalies

            self.looking = ForwardAnomalies()
            self.looking.__enter__()

    def __exit__(self, *exc: object) -> None:
        if self.looking is not None:
            self.looking.__exit__(*exc)
        switch(*self.before)


def switch(enabled: bool, nan: bool, inf: bool) -> None:
    if enabled != anomaly.enabled:
        watch(1 if enabled else -1)
    anomaly.enabled, anomaly.nan, anomaly.inf = enabled, bool(nan), bool(inf)


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
