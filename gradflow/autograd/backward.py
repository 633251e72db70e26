"""``backward`` and ``grad``: what a user asks of the tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gradflow.tensor as tensor_module

from ..backends import empty
from ..backends.batched import running
from ..dtypes import FROM_NUMPY
from ..errors import ArgumentError, BatchError, DTypeError, GradError
from ..kinds.safe import derive, safe
from ..tape.further_walks import BatchedWalk, RecordedWalk
from ..tape.node import Boundary, Leaf, Output, keep, kept_by, mode
from ..tape.observe import anomaly
from ..tape.walk import Walk, arriving, collect, leading_to, leaves_early, walks
from ..tensor import Tensor, wrap


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: output ``output_nr`` of ``node``. `backward` and `grad` take it for a tensor."""

    node: Any
    output_nr: int


def place_of(x: Any) -> Any:
    """The walk's name for where the gradient of ``x`` arrives."""
    if isinstance(x, Tensor):
        return x.node
    node, index = x
    outputs = node.meta if hasattr(node, "ctx") else getattr(node.plan, "outputs", 1)
    return Output(node, index) if outputs != 1 else node


def retain_grad(self: Tensor) -> None:
    """Let backward put the gradient of this tensor, which was computed, into its ``grad``. Nothing to do for a leaf.

    >>> x = gf.ones(2, requires_grad=True)
    >>> y = x * 2
    >>> y.retain_grad()
    >>> y.sum().backward()
    >>> y.grad
    tensor([1., 1.])
    """
    if self.node is None:
        raise GradError("retain_grad: can't retain_grad on Tensor that has requires_grad=False; call requires_grad_() first")
    if self.is_leaf or kept_by(self.node, self):
        return
    if self.leaf is None:
        self.leaf = Leaf(self)
    keep(self)


def as_tuple(x: Any, op: str) -> tuple:
    if isinstance(x, Tensor) or x.__class__ is GradientEdge:
        return (x,)
    if not isinstance(x, tuple | list) and not hasattr(x, "__iter__"):
        raise DTypeError(f"{op}: expected a Tensor or a sequence of Tensors, not {type(x).__name__}")
    return tuple(x)


def seeds(tensors: Sequence[Tensor], gradients: Any, op: str) -> list[Tensor]:
    """One cotangent for each output: given, or one for a scalar."""
    given = [None] * len(tensors) if gradients is None else list(as_tuple(gradients, op))
    if len(given) != len(tensors):
        raise GradError(f"{op}: got {len(tensors)} tensors and {len(given)} gradients; give one for each")
    result = []
    for t, g in zip(tensors, given, strict=True):
        if isinstance(t, GradientEdge):
            if not isinstance(g, Tensor):
                raise GradError(f"{op}: a GradientEdge has no shape of its own; give its gradient")
            result.append(g)
            continue
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: Expected a Tensor to differentiate, not {type(t).__name__}")
        if t.node is None:
            raise GradError(
                f"{op}: element 0 of tensors does not require grad and does not have a grad_fn; set requires_grad=True on what it is computed from"
            )
        if g is None:
            if t.array.size != 1:
                raise GradError(
                    f"{op}: grad can be implicitly created only for scalar outputs; this one has shape {tuple(t.shape)}: pass gradient=, or sum it"
                )
            g = wrap(one(t.array))
        elif not isinstance(g, Tensor):
            raise DTypeError(f"{op}: gradients can be either Tensors or None, not {type(g).__name__}")
        elif g.array.shape != t.array.shape:
            raise GradError(
                f"{op}: Mismatch in shape: grad_output has a shape of {tuple(g.shape)} and output has a shape of {tuple(t.shape)}"
            )
        elif g.dtype is not t.dtype:
            g = g.to(t.dtype)
        result.append(g)
    return result


def one(like: Any) -> Any:
    array = empty(like.shape, FROM_NUMPY[like.dtype].code, like)
    array.fill(1)
    return array


def start(walk: Any, roots: Sequence[Any], gradients: Sequence[Tensor]) -> None:
    for node, g in zip(roots, gradients, strict=True):
        if walk.recorded:
            walk.give(node, g)
        else:
            walk.seed(node, g.array)


def run(
    op: str,
    tensors: Sequence[Any],
    gradients: Any,
    retain: bool,
    create: bool,
    inputs: Sequence[Any] | None,
    capture: bool,
    through: Any = None,
) -> list[Any]:
    if running.stack and not capture:
        raise BatchError(
            f"{op}: backward() called inside of vmap, where a leaf would get a gradient for each example; use func.grad, func.vjp or "
            "autograd.grad there"
        )
    cotangents = seeds(tensors, gradients, op)
    roots = [t.node if isinstance(t, Tensor) else place_of(t) for t in tensors]
    targets: list[Any] = []
    if inputs is not None:
        for x in inputs:
            if not isinstance(x, Tensor) and x.__class__ is not GradientEdge:
                raise DTypeError(f"{op}: inputs must be Tensors, not {type(x).__name__}")
            place = place_of(x)
            if place is None:
                raise GradError(f"{op}: One of the differentiated Tensors does not require grad; set requires_grad=True before using it")
            targets.append(place)
    careful = anomaly.enabled or safe.enabled
    direct = inputs is None and not create and not careful
    nodes, watched = collect([n for n in dict.fromkeys(roots) if n.__class__ is not Leaf or not direct], not direct)
    held = direct and not watched and arriving.acquire(blocking=False)
    if direct and not held:
        nodes, watched = collect(dict.fromkeys(roots), leaves=True)
    needed = None
    if inputs is not None:
        needed = leading_to(nodes, set(targets))
        if not capture:
            needed |= set(targets)
    over_tensors = create or (watched and any(n.__class__ is Boundary for n in nodes))
    walk: Any = (RecordedWalk if over_tensors else BatchedWalk if running.stack else Walk)(needed, targets if capture else (), held)
    watched = watched or careful
    if watched:
        walk.nodes = nodes = leaves_early(nodes)
        walk.undo, walk.nan = [], anomaly.enabled and (anomaly.nan or anomaly.inf)
        walk.derive = through or (derive if safe.enabled else None)
        walks.running.append(walk)
    was, mode.enabled = mode.enabled, create
    try:
        start(walk, roots, cotangents)
        walk.run(nodes, retain)
    except BaseException:
        walk.rewind()
        raise
    finally:
        mode.enabled = was
        if watched:
            walks.running.pop()
        if held:
            arriving.release()
    return [walk.captured[t] for t in targets] if capture else []


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Accumulate the gradients of ``tensors`` into the leaves they were computed from.

    ``grad_tensors`` are the vectors of the vector-Jacobian products, optional for scalars. With ``create_graph`` the gradients are
    themselves differentiable. Raises ``GradError`` (a ``RuntimeError``) if the graph was freed or a saved value has changed, before
    any gradient is touched.

    >>> x = gf.ones(2, requires_grad=True)
    >>> gf.autograd.backward([(x * 2).sum(), (x * 3).sum()])
    >>> x.grad
    tensor([5., 5.])
    """
    if inputs is not None:
        inputs = as_tuple(inputs, "backward")
        if not inputs:
            raise GradError("backward: `inputs` argument to `backward()` cannot be empty; leave it out for all leaves")
        for x in inputs:
            if isinstance(x, Tensor) and x.node is not None:
                retain_grad(x)
    run(
        "backward",
        as_tuple(tensors, "backward"),
        grad_tensors,
        create_graph if retain_graph is None else retain_graph,
        create_graph,
        inputs,
        False,
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned; nothing is accumulated.

    >>> x = gf.arange(4.0, requires_grad=True)
    >>> (g,) = gf.autograd.grad((x**3).sum(), x, create_graph=True)
    >>> gf.autograd.grad(g.sum(), x)
    (tensor([ 0.,  6., 12., 18.]),)
    """
    if not only_inputs:
        raise ArgumentError("grad: only_inputs=False is not supported; use backward()")
    if materialize_grads and allow_unused is False:
        raise ArgumentError("grad: Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False")
    inputs = as_tuple(inputs, "grad")
    if not inputs:
        raise ArgumentError("grad: `inputs` argument to `grad()` cannot be empty; name what to differentiate for")
    if is_grads_batched:
        from ..func.batching import batched_grad

        return batched_grad(as_tuple(outputs, "grad"), inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    results = run(
        "grad", as_tuple(outputs, "grad"), grad_outputs, create_graph if retain_graph is None else retain_graph, create_graph, inputs, True
    )
    tensors: list[Any] = []
    for x, g in zip(inputs, results, strict=True):
        if g is None:
            if materialize_grads:
                from ..creation import zeros_like

                g = zeros_like(x.detach())
            elif not allow_unused:
                raise GradError(
                    "grad: One of the differentiated Tensors appears to not have been used in the graph; Set allow_unused=True if this is the desired behavior"
                )
        tensors.append(g if g is None or isinstance(g, Tensor) else wrap(g))
    return tuple(tensors)


tensor_module.backward = backward
