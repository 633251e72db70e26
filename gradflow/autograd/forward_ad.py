"""Forward mode as ``torch.autograd.forward_ad`` has it: dual tensors, which carry a tangent through whatever is computed from them.

The tangent of a result is computed when it is asked for, by two reverse passes (see ``levels.py``), so every operation that has a second
derivative has it. Inside a level everything is recorded: what is computed from a dual tensor says that it requires a gradient.
"""

from __future__ import annotations

from functools import wraps
from typing import Any, NamedTuple

from ..errors import ArgumentError, DTypeError, GradError
from ..tensor import Tensor
from .levels import Level, ancestors

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """(primal, tangent); the tangent is ``None`` for a tensor that does not depend on a dual one.

    >>> with gf.autograd.forward_ad.dual_level():
    ...     dual = gf.autograd.forward_ad.make_dual(gf.ones(1), gf.ones(1))
    ...     print(gf.autograd.forward_ad.unpack_dual(dual * 3).tangent)
    tensor([3.])
    """

    primal: Tensor
    tangent: Tensor | None


class DualLevel(Level):
    def __init__(self) -> None:
        super().__init__()
        self.duals: list[tuple[Tensor, Tensor]] = []


current: list[DualLevel] = []


def enter_dual_level() -> int:
    """Open the level that :func:`make_dual` and :func:`unpack_dual` work in. One can be open at a time; ``func.jvp`` nests.

    >>> level = gf.autograd.forward_ad.enter_dual_level()
    >>> gf.autograd.forward_ad.exit_dual_level(level=level)
    """
    if current:
        raise GradError("enter_dual_level: Nested forward mode AD is not supported at the moment; use func.jvp, which nests")
    current.append(DualLevel())
    current[0].__enter__()
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: tangents of its tensors are gone.

    >>> level = gf.autograd.forward_ad.enter_dual_level()
    >>> gf.autograd.forward_ad.exit_dual_level(level=level)
    """
    at(level, "exit_dual_level")
    current.pop().__exit__()


def at(level: int | None, op: str) -> DualLevel:
    if not current:
        raise GradError(f"{op}: no level exists, make sure to enter_dual_level() first")
    if level not in (None, 0):
        raise GradError(f"{op}: level {level!r} is not open; only level 0 is")
    return current[0]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """``tensor`` with a tangent: shares its memory.

    >>> with gf.autograd.forward_ad.dual_level():
    ...     x = gf.autograd.forward_ad.make_dual(gf.tensor(3.0), gf.tensor(1.0))
    ...     gf.autograd.forward_ad.unpack_dual(x * x).tangent
    tensor(6.)
    """
    open_level = at(level, "make_dual")
    for name, t in (("primal", tensor), ("tangent", tangent)):
        if not isinstance(t, Tensor):
            raise DTypeError(f"make_dual: the {name} must be Tensor, not {type(t).__name__}")
        if not t.is_floating_point():
            raise ArgumentError(f"make_dual: Expected {name} to be floating point, but got: {t.dtype}; convert it")
    if tensor.shape != tangent.shape:
        raise GradError(
            f"make_dual: Trying to set a forward gradient that has a different size than that of the original Tensor: {tuple(tangent.shape)} "
            f"and {tuple(tensor.shape)}; they must be the same"
        )
    if tensor.dtype is not tangent.dtype:
        raise GradError(f"make_dual: the primal is {tensor.dtype.name} and the tangent {tangent.dtype.name}; convert the tangent")
    dual = open_level.variable(tensor)
    open_level.duals.append((dual, tangent))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(primal, tangent) of a tensor that was computed from dual ones. Outside of a level, and for other tensors, the tangent is ``None``.

    >>> with gf.autograd.forward_ad.dual_level():
    ...     dual = gf.autograd.forward_ad.make_dual(gf.ones(1), gf.ones(1))
    ...     primal, tangent = gf.autograd.forward_ad.unpack_dual(dual * 3)
    >>> primal, tangent
    (tensor([3.]), tensor([3.]))
    """
    if not isinstance(tensor, Tensor):
        raise DTypeError(f"unpack_dual: argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    if not current and level is None:
        return UnpackedDualTensor(tensor, None)
    open_level = at(level, "unpack_dual")
    used = set() if tensor.node is None else set(ancestors([tensor.node]))
    pairs = [(dual, tangent) for dual, tangent in open_level.duals if dual.node in used]
    tangent = open_level.pushforward([tensor], [dual for dual, _ in pairs])([t for _, t in pairs])[0] if pairs else None
    return UnpackedDualTensor(open_level.settle(tensor), open_level.settle(tangent))


class dual_level:
    """``with dual_level():`` opens a level and closes it. Also a decorator.

    >>> with gf.autograd.forward_ad.dual_level():
    ...     dual = gf.autograd.forward_ad.make_dual(gf.ones(1), gf.ones(1))
    ...     print(gf.autograd.forward_ad.unpack_dual(dual * dual).tangent)
    tensor([2.])
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: Any) -> None:
        exit_dual_level()

    def __call__(self, function: Any) -> Any:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with dual_level():
                return function(*args, **kwargs)

        return call
