"""Custom functions in forward mode: the ``jvp`` that their author wrote.

Forward mode asks for the gradient u ↦ Jᵀu of a function, and for the gradient of that, t ↦ J t. A function with a ``jvp`` gives the second of
these itself: for the first it gives zeros, in whose history the ``jvp`` is the way back.
"""

from __future__ import annotations

from typing import Any

from ..errors import DTypeError, GradError, ShapeError
from ..kinds import plan
from ..tape.node import Node, Output, Refused, next_number
from ..tensor import Tensor, wrap

MISSING = "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."


def zeros(like: tuple, beside: Any) -> Tensor:
    """Of a shape and type, where the tensors ``beside`` are; some may be None."""
    shape, dtype = like
    return wrap(plan.backends.zeros(shape, dtype.code, next((t.array for t in beside if t is not None), None)))


class TangentNode(Node):
    """Stands for the gradients of a custom function's inputs. The cotangents' nodes are its parents, and what the function depends on."""

    __slots__ = ("function",)

    def __init__(self, function: Any, cotangents: dict[int, Tensor]):
        super().__init__(TANGENTS, (*(g.node for g in cotangents.values()), *function.parents), meta=tuple(cotangents))
        self.number = next_number()  # type: ignore[misc]  # the slot is the extension's
        self.function, self.extra = function, None  # type: ignore[assignment]

    @property
    def ctx(self) -> Any:
        return self.function.ctx


class TangentPlan:
    """Back through a :class:`TangentNode`: the tangents of the inputs arrive, those of the outputs go on."""

    name = "JvpBackward0"

    def derive(self, node: TangentNode, tangents: dict[int, Tensor]) -> list[Any]:
        function = node.function
        ctx, cls, outputs = function.ctx, function.plan.function, function.outputs
        given = [tangents.get(i) for i in range(len(function.irregular))]
        if ctx.materialize:
            given = [zeros(like, given) if t is None and like is not None else t for t, like in zip(given, function.irregular, strict=True)]
        with ctx.forward_mode():
            result = cls.jvp(ctx, *given)
        result = result if isinstance(result, tuple) else (result,)
        if len(result) != len(outputs):
            raise GradError(
                f"{cls.__name__}: Function's jvp returned an invalid number of forward gradients (expected {len(outputs)} but got {len(result)})"
            )
        return [checked(cls.__name__, k, result[k], *outputs[k]) for k in node.meta] + [None] * len(function.parents)


TANGENTS = TangentPlan()


def checked(name: str, k: int, t: Any, shape: tuple, dtype: Any) -> Tensor:
    if not isinstance(t, Tensor):
        raise DTypeError(f"{name}: expected Variable or None (got {type(t).__name__}) for grad output {k}; jvp returns a Tensor for it")
    if t.array.shape != shape:
        raise ShapeError(
            f"{name}: Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
            f"Output {k} is of size {list(shape)} while the given forward gradient is of size {list(t.shape)}"
        )
    return t if t.dtype is dtype else t.to(dtype)


def transposed(node: Any, g: Any) -> list[Any]:
    """What a custom function's node gives in the first of the two passes; without a ``jvp`` its ``backward`` must be one that can be differentiated."""
    cls = node.plan.function
    if node.plan.without("jvp"):
        if node.plan.without("backward") and node.plan.without("vjp"):
            raise NotImplementedError(f"{cls.__name__}: {MISSING}")
        found = node.plan.derive(node, g)
        if any(t is not None and (t.node is None or isinstance(t.node.plan, Refused)) for t in found):
            raise NotImplementedError(
                f"{cls.__name__}: {MISSING} Its backward is not made of recorded operations, so it does not serve instead."
            )
        return found
    cotangents = g if g.__class__ is dict else {node.first: g}
    stand_in = TangentNode(node, cotangents)
    return [
        None if parent is None else wrap(zeros(like, cotangents.values()).array, Output(stand_in, i))
        for i, (parent, like) in enumerate(zip(node.parents, node.irregular, strict=True))
    ]
