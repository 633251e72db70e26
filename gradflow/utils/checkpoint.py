"""Less memory for more time: what a part of a model saves for backward is computed again when backward needs it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import gradflow as gf

from ..autograd import Function, backward, enable_grad
from ..autograd.graph import saved_tensors_hooks
from ..errors import ArgumentError, GradError
from ..tape.walk import walks
from ..tensor import Tensor

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential", "noop_context_fn", "set_checkpoint_early_stop"]


class CheckpointError(GradError):
    """The recomputation of a checkpoint went another way than the first time."""


class Enough(Exception):
    """All that backward needs has been computed again."""


def noop_context_fn() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Two contexts that do nothing: what a checkpoint's forward and its recomputation run in if no others are given.

    >>> forward, recomputation = gf.utils.checkpoint.noop_context_fn()
    >>> with forward:
    ...     print(gf.ones(1))
    tensor([1.])
    """
    return nullcontext(), nullcontext()


class Early:
    """May recomputations stop as soon as they have what backward needs? ``None``: as each checkpoint says."""

    stop: bool | None = None


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Checkpoints made inside stop their recomputation as soon as backward has what it needs, or never do, whatever their ``early_stop`` says.

    >>> x = gf.ones(3, requires_grad=True)
    >>> with gf.utils.checkpoint.set_checkpoint_early_stop(False):
    ...     y = gf.utils.checkpoint.checkpoint(gf.exp, x, use_reentrant=False)
    >>> y.sum().backward()
    """
    before, Early.stop = Early.stop, enable
    try:
        yield
    finally:
        Early.stop = before


class Frame:
    """One checkpointed call: its arguments, what it saved, and what of that has been computed again."""

    def __init__(self, call: Callable[[], Any], preserve: bool, check: bool, again: AbstractContextManager, early: bool):
        self.call, self.check, self.again, self.early = call, check, again, early
        self.state = gf.get_rng_state() if preserve else None
        self.saved: list[tuple] = []  # shape and type of each value that was saved
        self.values: dict[int, Tensor] = {}  # computed again and not yet used

    def pack(self, t: Tensor) -> int:
        self.saved.append((tuple(t.shape), t.dtype))
        return len(self.saved) - 1

    def unpack(self, index: int) -> Tensor:
        if index not in self.values:
            self.recompute()
        return self.values.pop(index)

    def recompute(self) -> None:
        found: list[Tensor] = []

        def keep(t: Tensor) -> Tensor:
            found.append(t.detach())
            if self.early and len(found) == len(self.saved):
                raise Enough
            return t

        now = gf.get_rng_state()
        try:
            if self.state is not None:
                gf.set_rng_state(self.state)
            with enable_grad(), self.again, saved_tensors_hooks(keep, lambda t: t):
                self.call()
        except Enough:
            pass
        finally:
            if self.state is not None:
                gf.set_rng_state(now)
        if len(found) != len(self.saved):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation: "
                f"{len(self.saved)} and {len(found)}; the function must do the same both times"
            )
        for i, (t, (shape, dtype)) in enumerate(zip(found, self.saved, strict=True)):
            if self.check and (tuple(t.shape) != shape or t.dtype is not dtype):
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during the forward pass: "
                    f"tensor {i} was {shape}, {dtype}, and is {tuple(t.shape)}, {t.dtype} now; the function must do the same both times"
                )
        self.values = dict(enumerate(found))


def as_now(function: Callable) -> Callable:
    """``function`` under the autocast that is on now."""
    kept = gf.amp.autocast_mode.kept()

    def call(*args: Any, **kwargs: Any) -> Any:
        with kept():
            return function(*args, **kwargs)

    return call


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[AbstractContextManager, AbstractContextManager]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, of which nothing but the arguments is kept for backward: that computes it again.

    Random numbers are drawn again as they were, unless ``preserve_rng_state=False``, and autocast is as it was. What is saved the second time must have the same
    shapes and types (``determinism_check="none"`` does not look). ``use_reentrant=True`` runs a backward within the backward instead, as
    older programs do; gradients then flow only to tensors among ``args``, and only in ``backward()`` without ``inputs``.

    >>> x = gf.ones(3, requires_grad=True)
    >>> gf.utils.checkpoint.checkpoint(lambda x: x.sin().exp(), x, use_reentrant=False).sum().backward()
    """
    function = as_now(function)
    if use_reentrant:
        if kwargs:
            raise ArgumentError(f"checkpoint: Unexpected keyword arguments: {', '.join(kwargs)}; use_reentrant=False takes them")
        if context_fn is not noop_context_fn:
            raise ArgumentError("checkpoint: Passing context_fn or debug is only supported when use_reentrant=False.")
        return Reentrant.apply(function, preserve_rng_state, *args)
    if determinism_check not in ("default", "none"):
        raise ArgumentError(f"checkpoint: determinism_check should be one of ['default', 'none'], but got {determinism_check!r}")
    forward, again = context_fn()
    early_stop = early_stop if Early.stop is None else Early.stop
    frame = Frame(lambda: function(*args, **kwargs), preserve_rng_state, determinism_check == "default", again, early_stop)
    if not gf.is_grad_enabled():
        return function(*args, **kwargs)
    with forward, saved_tensors_hooks(frame.pack, frame.unpack):
        return function(*args, **kwargs)


class Reentrant(Function):
    """The checkpoint that runs a backward of its own."""

    @staticmethod
    def forward(ctx: Any, function: Callable, preserve: bool, *args: Any) -> Any:
        if not any(isinstance(x, Tensor) and x.requires_grad for x in args):
            warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=3)
        ctx.function, ctx.state = function, gf.get_rng_state() if preserve else None
        ctx.places = [i for i, x in enumerate(args) if isinstance(x, Tensor)]
        ctx.args = [None if isinstance(x, Tensor) else x for x in args]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if walks.running[-1].needed is not None:
            raise GradError(
                "checkpoint: When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` parameter to "
                ".backward(). To resolve this error, you can either set use_reentrant=False, or call .backward() without passing the `inputs` argument."
            )
        args = list(ctx.args)
        for i, t in zip(ctx.places, ctx.saved_tensors, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad)
        now = gf.get_rng_state()
        try:
            if ctx.state is not None:
                gf.set_rng_state(ctx.state)
            with enable_grad():
                outputs = ctx.function(*args)
        finally:
            if ctx.state is not None:
                gf.set_rng_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [(t, g) for t, g in zip(outputs, grads, strict=True) if isinstance(t, Tensor) and t.requires_grad]
        if not pairs:
            raise GradError("checkpoint: none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([t for t, _ in pairs], [g for _, g in pairs])
        return (None, None, *(x.grad if isinstance(x, Tensor) and x.is_leaf else None for x in args))


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """The functions (or a Sequential's modules) one after the other, in ``segments`` parts that are checkpointed, but for the last.

    >>> model = gf.nn.Sequential(gf.nn.Linear(2, 2), gf.nn.ReLU(), gf.nn.Linear(2, 1))
    >>> gf.utils.checkpoint.checkpoint_sequential(model, 2, gf.ones(3, 2)).shape
    torch.Size([3, 1])
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ArgumentError(f"checkpoint_sequential: Unexpected keyword arguments: {', '.join(kwargs)}")
    parts: Sequence[Callable] = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not segments >= 1:
        raise ArgumentError(f"checkpoint_sequential: segments must be positive, it is {segments}")
    size = max(1, len(parts) // segments)

    def run(start: int, end: int) -> Callable:
        def call(x: Any) -> Any:
            for part in parts[start:end]:
                x = part(x)
            return x

        return call

    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(run(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(end, len(parts))(input)
