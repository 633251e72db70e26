"""The modes that switch recording: context managers, decorators, and thread-local."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import wraps
from typing import Any, TypeVar, cast

from ..backends import set_inference
from ..errors import DTypeError
from ..kinds.safe import safe
from ..tape.node import mode

F = TypeVar("F", bound=Callable[..., Any])


class SetMode:
    """Recording on or off: a context manager, a decorator, and thread-local."""

    def __init__(self, enabled: bool, inference: bool | None = None):
        self.enabled, self.inference = enabled, inference
        self.before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.before.append((mode.enabled, mode.inference))
        if self.inference is not None:
            mode.inference = self.inference
            set_inference(self.inference)
        mode.enabled = self.enabled and not mode.inference

    def __exit__(self, *exc: Any) -> None:
        mode.enabled, mode.inference = self.before.pop()
        if self.inference is not None:
            set_inference(mode.inference)

    def clone(self) -> SetMode:
        return SetMode(self.enabled, self.inference)

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return self.generator(function)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return cast(F, call)

    def generator(self, function: F) -> F:
        """The mode holds while the generator runs, not while its user does."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            advance: Callable = lambda: next(inner)  # noqa: E731
            while True:
                try:
                    with self.clone():
                        item = advance()
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield item
                except GeneratorExit:
                    with self.clone():
                        inner.close()
                    raise
                except BaseException as error:
                    advance = lambda error=error: inner.throw(error)  # noqa: E731
                else:
                    advance = lambda sent=sent: inner.send(sent)  # noqa: E731

        return cast(F, call)


class no_grad(SetMode):
    """Nothing is recorded inside: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable | None = None):
        super().__init__(False)


class enable_grad(SetMode):
    """Recording is on inside, also within ``no_grad``; within ``inference_mode`` it stays off.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.no_grad(), gf.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable | None = None):
        super().__init__(True)


class inference_mode(SetMode):
    """Nothing is recorded inside, whatever is switched on there; ``inference_mode(False)`` records.

    Tensors made inside are inference tensors: outside they cannot be saved for backward, or changed in place; a ``clone()`` can.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.inference_mode():
    ...     y = x * 2
    >>> y.requires_grad, y.is_inference(), y.clone().is_inference()
    (False, True, False)
    """

    def __new__(cls, mode: Any = True) -> Any:
        return cls()(mode) if callable(mode) else object.__new__(cls)

    def __init__(self, mode: bool = True):
        super().__init__(not mode, bool(mode))


class set_grad_enabled(SetMode):
    """Recording on or off, from the call on, or inside a ``with``.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode_: bool):
        if not isinstance(mode_, bool):
            raise DTypeError(f"set_grad_enabled: argument 'mode' must be bool, not {type(mode_).__name__}")
        super().__init__(mode_)
        SetMode.__enter__(self)

    def __enter__(self) -> None:
        mode.enabled = self.enabled and not mode.inference

    def __call__(self, function: F) -> F:
        self.__exit__()
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Is recording on in this thread?

    >>> with gf.no_grad():
    ...     print(gf.is_grad_enabled())
    False
    """
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    """Is :class:`inference_mode` on in this thread?

    >>> with gf.inference_mode():
    ...     print(gf.is_inference_mode_enabled())
    True
    """
    return mode.inference


class safe_grad(SetMode):
    """Backward runs inside keep zeros: where the cotangent is 0, a derivative that is inf or nan gives 0, not nan.

    So the branch that was not taken poisons nothing: ``where(x > 0, sqrt(x), 0)`` at 0, rows of a batch that are masked out, 0 * inf on the way
    back. It holds for backward, ``grad`` and the transforms that run inside, of every order; the values computed forward are as ever. Off by
    default, as in torch; inside, backward is slower. ``with safe_grad():``, ``@safe_grad()`` or ``@safe_grad``.

    >>> x = gf.tensor([0.0, 4.0], requires_grad=True)
    >>> with gf.safe_grad():
    ...     gf.where(x > 0, x.sqrt(), 0.0).sum().backward()
    >>> x.grad
    tensor([0.0000, 0.2500])
    """

    def __new__(cls, function: Callable | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable | None = None):
        self.was: list[bool] = []

    def __enter__(self) -> None:
        self.was.append(safe.enabled)
        safe.enabled = True

    def __exit__(self, *exc: Any) -> None:
        safe.enabled = self.was.pop()

    def clone(self) -> safe_grad:
        return safe_grad()


class set_multithreading_enabled(ContextDecorator):
    """May backward use several threads? Taken, as a call, for a block or a function, and changes nothing: backward walks in the thread that calls
    it, and its kernels' threads are those of ``set_num_threads``.

    >>> with gf.autograd.set_multithreading_enabled(False):
    ...     gf.ones(2, requires_grad=True).sum().backward()
    """

    def __init__(self, mode: bool):
        if not isinstance(mode, bool):
            raise DTypeError(f"set_multithreading_enabled: argument 'mode' must be bool, not {type(mode).__name__}")
        self.mode = mode

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...
