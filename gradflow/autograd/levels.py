"""Levels of differentiation: what keeps a derivative inside a derivative apart from the one around it.

A transform gives its function *variables*: the values of the arguments at fresh places on the tape. The derivative is taken for these
places only, so two levels cannot be confused, whatever the function captures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..kinds import safe
from ..tape.node import INFERENCE, Leaf, Node, levels, mode, next_number
from ..tensor import Tensor, version_of, wrap
from .backward import run


class Alias:
    """The plan of a variable: what arrives goes on to the tensor that it stands for, if that one is on the tape."""

    name = "AliasBackward0"

    def pull(self, node: Node, g: Any, owned: bool, walk: Any) -> None:
        for parent in node.parents:
            walk.add(parent, g, owned)

    def derive(self, node: Node, g: Any) -> list[Any]:
        return [g for _ in node.parents]


ALIAS = Alias()


class Level:
    """One transform under way.

    Inside, everything is recorded; the function's own ``no_grad`` holds. Results keep their history if somebody outside can ask for it:
    they are ``recorded`` (by default if recording was on), and the history reaches a leaf or a variable of a level that is still open.
    """

    def __init__(self, recorded: bool | None = None) -> None:
        self.state = ["open"]  # shared by the places of its variables
        self.recorded = mode.enabled if recorded is None else recorded

    def __enter__(self) -> Level:
        self.before, mode.enabled = mode.enabled, True
        self.start = next_number()
        levels.starts.append(self.start)
        return self

    def __exit__(self, *exc: Any) -> None:
        mode.enabled = self.before
        self.state[0] = "closed"
        levels.starts.remove(self.start)

    def variable(self, x: Tensor) -> Tensor:
        """``x`` at a fresh place, with x's own history behind it if results are recorded. Raises what ``requires_grad_`` does for integers."""
        if x.node is None:
            wrap(x.array).requires_grad_()  # only floating-point tensors
        t = wrap(x.array, Node(ALIAS, (x.node,) if self.recorded and x.node is not None else (), meta=self.state))
        t.version = None if x.version is INFERENCE else version_of(x)
        return t

    def open(self, tensors: Iterable[Any]) -> bool:
        """Can somebody outside ask for a derivative of one of these?"""
        return self.recorded and any(
            n.__class__ is Leaf or (n.plan is ALIAS and n.meta is not self.state and n.meta[0] == "open")
            for n in ancestors(t.node for t in tensors if isinstance(t, Tensor) and t.node is not None)
        )

    def settle(self, t: Any) -> Any:
        """``t`` as it leaves the level."""
        return t if not isinstance(t, Tensor) or t.node is None or self.open((t,)) else t.detach()

    def grad(
        self,
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor],
        cotangents: Sequence[Any],
        retain: bool = True,
        create: bool = False,
        derive: Any = None,
    ) -> list[Any]:
        """The gradients, recorded if ``create`` or if somebody outside can ask for their derivatives; ``None`` for what was not used.

        ``derive`` goes through a node in its plan's place.
        """
        pairs = [(y, g) for y, g in zip(outputs, cotangents, strict=True) if y.node is not None]
        if not pairs:
            return [None] * len(inputs)
        create = create or self.open([t for pair in pairs for t in pair])
        found = run("grad", [y for y, _ in pairs], [g for _, g in pairs], retain or create, create, inputs, True, derive)
        return [g if g is None or isinstance(g, Tensor) else wrap(g) for g in found]

    def pushforward(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> Any:
        """The function from tangents of ``inputs`` to tangents of ``outputs`` (``None`` for what does not depend on them).

        The gradient of ``inputs`` is linear in the cotangents ``u`` of ``outputs``: x̄ = Jᵀu. The gradient of ⟨x̄, t⟩ for u is J t. So
        every operation that has a second derivative has a forward mode.
        """
        at = [k for k, y in enumerate(outputs) if y.node is not None]
        u = [self.variable(zeros(outputs[k])) for k in at]
        x = self.grad([outputs[k] for k in at], inputs, u, create=True, derive=transposed)

        def push(tangents: Sequence[Tensor]) -> list[Any]:
            tied = [(g, t) for g, t in zip(x, tangents, strict=True) if g is not None]
            found = self.grad([g for g, _ in tied], u, [t for _, t in tied]) if tied else [None] * len(at)
            result: list[Any] = [None] * len(outputs)
            for k, t in zip(at, found, strict=True):
                result[k] = t
            return result

        return push


def transposed(node: Any, g: Any) -> Any:
    """Through a node backward, where forward is meant: what the user wrote for forward is used there."""
    own = getattr(node.plan, "transposed", None)
    return own(node, g) if own is not None else (safe.derive if safe.safe.enabled else node.plan.derive)(node, g)


def differentiated_since(start: int, tensors: Iterable[Any]) -> bool:
    """Does a transform that began after ``start``, and is under way, differentiate for one of these?"""
    if not levels.starts or levels.starts[-1] < start:
        return False
    nodes = [t.node for t in tensors if isinstance(t, Tensor) and t.node is not None]
    return any(n.plan is ALIAS and n.meta[0] == "open" and n.number > start for n in ancestors(nodes))


def zeros(like: Tensor) -> Tensor:
    from ..creation import zeros_like

    return zeros_like(like.detach())


def ancestors(nodes: Iterable[Any]) -> Iterable[Any]:
    """``nodes`` and all that they were computed from."""
    stack = list(nodes)
    seen = set(stack)
    while stack:
        node = stack.pop()
        yield node
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
