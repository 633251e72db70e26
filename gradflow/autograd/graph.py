"""The graph as users see it: nodes, edges, hooks on several tensors, and what happens to saved values."""

from __future__ import annotations

import threading
import weakref
from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import ArgumentError, DTypeError, GradError
from ..tape import node as tape
from ..tape.hooks import RemovableHandle
from ..tape.observe import watch, watching
from ..tape.walk import walks
from ..tensor import Tensor
from .backward import GradientEdge, place_of


class Node(ABC):  # noqa: B024
    """What ``grad_fn`` and ``next_functions`` are made of: ``name()``, ``next_functions``, ``metadata``, ``register_hook``, ``register_prehook``.

    >>> y = gf.ones(2, requires_grad=True).exp()
    >>> y.grad_fn.name(), y.grad_fn.next_functions[0][0].name()
    ('ExpBackward0', 'torch::autograd::AccumulateGrad')
    """


Node.register(tape.Node)
Node.register(tape.Leaf)


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of a tensor arrives; `backward` and `grad` take it in the place of the tensor.

    >>> x = gf.ones(2, requires_grad=True)
    >>> y = x * 2
    >>> gf.autograd.grad((y * y).sum(), gf.autograd.graph.get_gradient_edge(y))
    (tensor([4., 4.]),)
    """
    if not isinstance(tensor, Tensor) or tensor.node is None:
        raise GradError("get_gradient_edge: It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(*tape.output_of(tensor.node))


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Note that the memory of these tensors was changed where gradflow could not see it.

    >>> x = gf.ones(2)
    >>> gf.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tuple(tensor):
        t._bump()


class saved_tensors_hooks:
    """Inside, ``pack_hook(tensor)`` is called for each value that is saved for backward, and what it returns is kept instead;
    ``unpack_hook`` of that must give the tensor back when backward needs it.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), gf.tensor):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if watching.disabled:
            raise GradError(watching.disabled[-1])
        watching.hooks.append((self.pack_hook, self.unpack_hook))
        watch(1)

    def __exit__(self, *exc: object) -> None:
        watching.hooks.pop()
        watch(-1)


class save_on_cpu(saved_tensors_hooks):
    """Inside, values saved for backward wait in the CPU's memory (a copy of their own).

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.autograd.graph.save_on_cpu():
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda t: t.clone(), lambda t: t)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """Inside, values saved for backward may be changed in place: backward reads them as they were. Each is copied when it is saved.

    >>> x = gf.ones(2, requires_grad=True)
    >>> with gf.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x * 3
    ...     z = y * y
    ...     y = y.zero_()
    >>> z.sum().backward()
    >>> x.grad
    tensor([18., 18.])
    """

    def __init__(self) -> None:
        super().__init__(Tensor.clone, Tensor.detach)

    def __enter__(self) -> None:
        if any(pack is Tensor.clone for pack, _ in watching.hooks):
            raise GradError("allow_mutation_on_saved_tensors contexts cannot be nested; one is enough")
        super().__enter__()


class disable_saved_tensors_hooks:
    """Inside, :class:`saved_tensors_hooks` raises with this message.

    >>> with gf.autograd.graph.disable_saved_tensors_hooks("not here"):
    ...     y = gf.ones(2, requires_grad=True).exp()
    >>> y.requires_grad
    True
    """

    def __init__(self, error_message: str):
        self.error_message = error_message

    def __enter__(self) -> None:
        if watching.hooks:
            raise GradError(self.error_message)
        watching.disabled.append(self.error_message)

    def __exit__(self, *exc: object) -> None:
        watching.disabled.pop()


class MultiHandle(RemovableHandle):
    """Takes several hooks away at once.

    >>> x = gf.ones(2, requires_grad=True)
    >>> handle = gf.autograd.graph.register_multi_grad_hook([x], print)
    >>> handle.remove()
    >>> x.sum().backward()
    >>> x.grad
    tensor([1., 1.])
    """

    def __init__(self, handles: tuple[RemovableHandle, ...]):
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable, *, mode: str = "all") -> RemovableHandle:
    """Call ``fn`` when gradients of ``tensors`` have been computed in a backward.

    ``"all"``: once all of those that this backward reaches are there, ``fn([grad or None, ...])``; ``"any"``: ``fn(grad)`` for the first.

    >>> x, y = gf.ones(1, requires_grad=True), gf.ones(1, requires_grad=True)
    >>> handle = gf.autograd.graph.register_multi_grad_hook([x, y], print)
    >>> (2 * x + 3 * y).backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ArgumentError(f"register_multi_grad_hook: Expects mode to be one of ('all', 'any') but got {mode}")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise DTypeError(f"register_multi_grad_hook: expected Tensors, got a {type(t).__name__}")
    lock = threading.Lock()
    states: Any = weakref.WeakKeyDictionary()  # by backward: [how many are to arrive, how many have, their gradients]
    places = [place_of(t) for t in tensors]

    def hook_for(i: int) -> Callable:
        def hook(g: Any) -> None:
            walk = walks.running[-1]
            with lock:
                if walk not in states:
                    nodes = set(walk.nodes)
                    states[walk] = [sum(place in nodes for place in places), 0, [None] * len(tensors)]
                state = states[walk]
                state[1] += 1
                state[2][i] = g
                ready = state[1] == (state[0] if mode == "all" else 1)
            if ready:
                fn(state[2]) if mode == "all" else fn(g)

        return hook

    return MultiHandle(tuple(t.register_hook(hook_for(i)) for i, t in enumerate(tensors)))
