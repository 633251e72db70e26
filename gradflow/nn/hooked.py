"""Calling a module: `forward`, with the hooks around it when there are any."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

from ..utils.hooks import RemovableHandle, add_hook
from .backward_hooks import BACK, BACK_PRE, Around

NONE: OrderedDict[int, Any] = OrderedDict()  # a module's hooks going back, until one is registered
# The hooks of all modules, which run before a module's own.
PRE: OrderedDict[int, tuple[Callable[..., Any], bool]] = OrderedDict()
POST: OrderedDict[int, tuple[Callable[..., Any], bool, bool]] = OrderedDict()

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Forward(Protocol[P, R]):
    """For type checkers: a call takes and gives what `forward` does."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


class Hooked:
    """The part of Module that runs `forward`."""

    _forward_pre_hooks: OrderedDict[int, tuple[Callable[..., Any], bool]]
    _forward_hooks: OrderedDict[int, tuple[Callable[..., Any], bool, bool]]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]] = NONE
    _backward_hooks: OrderedDict[int, Callable[..., Any]] = NONE

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    if TYPE_CHECKING:

        def __call__(self: Forward[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    else:

        def __call__(self, *args, **kwargs):
            if self._forward_hooks or self._forward_pre_hooks or PRE or POST or BACK or BACK_PRE:
                return self._call_hooked(args, kwargs)
            return self.forward(*args, **kwargs)

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns, if not None, replaces the positional arguments.

        With with_kwargs, `hook(module, args, kwargs)`, which returns None or a pair of both.
        """
        return add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns, if not None, replaces the output.

        With with_kwargs, `hook(module, args, kwargs, output)`. With always_call the hook is also called, with output
        None, when the call raises.
        """
        return add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` going back; what it returns, if not None, replaces grad_input.

        Both are tuples, of the positional arguments of `forward` and of its results; None stands where no gradient flows.
        """
        return self._add_backward_hook("_backward_hooks", hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the way back through the module; what it returns, if not None, replaces it."""
        return self._add_backward_hook("_backward_pre_hooks", hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`register_full_backward_hook`, under its old name."""
        return self.register_full_backward_hook(hook)

    def _add_backward_hook(self, name: str, hook: Callable[..., Any], prepend: bool) -> RemovableHandle:
        hooks = self.__dict__.setdefault(name, OrderedDict())
        handle = add_hook(hooks, hook, prepend)
        # the call with hooks around it is taken where there are forward hooks: one that is there for this
        if _watched not in [h[0] for h in self._forward_pre_hooks.values()]:
            add_hook(self._forward_pre_hooks, (_watched, False), True)
        return handle

    def _call_hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        called = set()
        output = None
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            around = Around(self) if self._backward_hooks or self._backward_pre_hooks or BACK or BACK_PRE else None
            if around:
                args = around.before(args)
            output = self.forward(*args, **kwargs)
            for key, (hook, with_kwargs, _) in [*POST.items(), *self._forward_hooks.items()]:
                called.add(key)
                replaced = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
                if replaced is not None:
                    output = replaced
            return around.after(output) if around else output
        except Exception:
            for key, (hook, with_kwargs, always_call) in [*POST.items(), *self._forward_hooks.items()]:
                if always_call and key not in called:
                    hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
            raise

    def _run_pre_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook, with_kwargs in [*PRE.values(), *self._forward_pre_hooks.values()]:
            if not with_kwargs:
                replaced = hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
                continue
            replaced = hook(self, args, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(f"forward pre-hook: must return None or a tuple of (new_args, new_kwargs); got {replaced!r}")
            args, kwargs = replaced
        return args, kwargs


def _watched(module: Any, args: tuple[Any, ...]) -> None:
    """Stands among the hooks of a module that has hooks going back."""


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, args)`` before the ``forward`` of every module, as if registered with each.

    >>> from gradflow.nn.modules.module import register_module_forward_pre_hook
    >>> with register_module_forward_pre_hook(lambda module, args: print(module)):
    ...     y = gf.nn.ReLU()(gf.ones(1))
    ReLU()
    """
    return add_hook(PRE, (hook, False))


def register_module_forward_hook(hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after the ``forward`` of every module, as if registered with each.

    >>> from gradflow.nn.modules.module import register_module_forward_hook
    >>> with register_module_forward_hook(lambda module, args, output: output + 1):
    ...     gf.nn.ReLU()(gf.ones(1))
    tensor([2.])
    """
    return add_hook(POST, (hook, with_kwargs, always_call))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` going back through every module that is called from now on."""
    return add_hook(BACK, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` before the way back through every module that is called from now on."""
    return add_hook(BACK_PRE, hook)


register_module_backward_hook = register_module_full_backward_hook
