"""Functions and modules whose passes are graphs."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, DeviceError
from .devices import synchronize
from .graphs import CUDAGraph, graph, graph_pool_handle
from .streams import Stream, stream

OP = "make_graphed_callables"


class Graphed:
    """One function: its static inputs (arguments, then parameters) and outputs, their gradients, and the two graphs."""

    def __init__(self, function: Any, args: Any):
        from .. import nn
        from ..func.trees import flatten

        self.function, self.args = function, args
        self.module = isinstance(function, nn.Module)
        if self.module:
            if any(getattr(function, name) for name in ("_backward_hooks", "_forward_hooks", "_forward_pre_hooks")):
                raise ArgumentError(f"{OP}: Modules must not have hooks registered at the time they are passed; register them afterwards")
            if any(b.requires_grad for b in function.buffers()):
                raise ArgumentError(f"{OP}: only parameters may be trainable; all buffers must have requires_grad=False")
        self.given = flatten(tuple(args))[0]
        check_tensors(self.given)
        self.inputs = [*self.given, *(function.parameters() if self.module else ())]
        self.wanted = [x for x in self.inputs if x.requires_grad]
        self.forward, self.backward = CUDAGraph(), CUDAGraph()

    def warm_up(self, times: int, unused: bool) -> None:
        for _ in range(times):
            outputs = self.called()
            self.gradients(outputs, unused, [o.new_empty(o.shape) for o in outputs if o.requires_grad])

    def called(self) -> list[Any]:
        from ..func.trees import flatten

        outputs, self.shape = flatten(self.function(*self.args))
        check_tensors(outputs)
        return outputs

    def gradients(self, outputs: list[Any], unused: bool, given: list[Any]) -> list[Any]:
        """Of the inputs that want one, where ``given`` are those of the outputs that have one."""
        from ..autograd import grad

        roots = [o for o in outputs if o.requires_grad]
        if not roots or not self.wanted:
            return [None] * len(self.wanted)
        return list(grad(roots, self.wanted, given, allow_unused=unused))

    def record_forward(self, pool: Any) -> None:
        with graph(self.forward, pool):
            self.outputs = self.called()

    def record_backward(self, pool: Any, unused: bool) -> None:
        self.arriving = [o.new_empty(o.shape) if o.requires_grad else None for o in self.outputs]
        found = [None] * len(self.wanted)
        if any(g is not None for g in self.arriving) and self.wanted:
            with graph(self.backward, pool):
                found = self.gradients(self.outputs, unused, [g for g in self.arriving if g is not None])
        left = iter(found)
        self.leaving = [next(left) if x.requires_grad else None for x in self.inputs]
        self.outputs = [o.detach() for o in self.outputs]

    def result(self) -> Any:
        """What is called in place of the function."""
        from ..autograd import Function
        from ..autograd.function import once_differentiable
        from ..func.trees import flatten, unflatten

        class Passes(Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Any) -> Any:
                for own, x in zip(self.given, inputs, strict=False):
                    if own.data_ptr() != x.data_ptr():
                        own.detach().copy_(x)
                self.forward.replay()
                return tuple(o.detach() for o in self.outputs)

            @staticmethod
            @once_differentiable
            def backward(ctx: Any, *gradients: Any) -> Any:
                for own, g in zip(self.arriving, gradients, strict=True):
                    if own is not None and own.data_ptr() != g.data_ptr():
                        own.copy_(g)
                self.backward.replay()
                return tuple(None if g is None else g.clone() for g in self.leaving)

        def call(*args: Any) -> Any:
            given = flatten(args)[0]
            if len(given) != len(self.given) or any(
                a.shape != b.shape or a.dtype != b.dtype for a, b in zip(given, self.given, strict=True)
            ):
                wants = ", ".join(f"{tuple(x.shape)} {x.dtype}" for x in self.given)
                raise ArgumentError(f"{OP}: the graph was captured for arguments ({wants}), of the same shapes and types; got others")
            return unflatten(Passes.apply(*given, *self.inputs[len(self.given) :]), self.shape)

        if not self.module:
            return call
        training, plain = self.function.training, self.function.forward
        self.function.forward = lambda *args, **kwargs: (
            call(*args, **kwargs) if self.function.training == training else plain(*args, **kwargs)
        )
        return self.function


def check_tensors(values: list[Any]) -> None:
    from ..tensor import Tensor

    for x in values:
        if not isinstance(x, Tensor) or not x.is_cuda:
            raise ArgumentError(f"{OP}: arguments and results must be tensors on a cuda device only; one is {type(x).__name__}")


def make(callables: Any, sample_args: Any, times: int, unused: bool, pool: Any) -> Any:
    from ..amp import is_autocast_cache_enabled, is_autocast_enabled

    if is_autocast_enabled() and is_autocast_cache_enabled():
        raise DeviceError(f"{OP} does not support the autocast caching. Please set `cache_enabled=False`.")
    several = isinstance(callables, tuple)
    pairs = zip(callables, sample_args, strict=True) if several else [(callables, sample_args)]
    all_ = [Graphed(function, args) for function, args in pairs]
    pool = graph_pool_handle() if pool is None else pool
    synchronize()
    with stream(Stream()):
        for one in all_:
            one.warm_up(times, unused)
    synchronize()
    # they share memory, so they are captured in the order in which they will run
    for one in all_:
        one.record_forward(pool)
    for one in reversed(all_):
        one.record_backward(pool, unused)
    results = tuple(one.result() for one in all_)
    return results if several else results[0]
