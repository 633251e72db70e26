"""Formulas become expressions: a formula is called with :class:`Value` objects and every primitive it uses is noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

Number = bool | int | float


class Value:
    """One scalar in an expression: an input, a constant, or a primitive applied to other values."""

    __slots__ = ("args", "data", "op")

    def __init__(self, op: str, args: tuple[Value, ...] = (), data: Any = None):
        self.op, self.args, self.data = op, args, data

    def __repr__(self) -> str:
        if self.op == "input":
            return f"x{self.data}"
        return repr(self.data) if self.op == "const" else f"{self.op}({', '.join(map(repr, self.args))})"

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError("a formula is traced once for all elements, so it cannot branch on one; use where(condition, a, b)")

    if TYPE_CHECKING:  # filled in by primitives.py, where the primitives are

        def _binary(self, other: Value | Number) -> Value: ...
        def _unary(self) -> Value: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _binary
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _binary
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary
        __neg__ = __abs__ = __invert__ = _unary


def lift(x: Value | Number) -> Value:
    """A number inside a formula is a constant of weak type."""
    if isinstance(x, Value):
        return x
    if isinstance(x, bool | int | float):
        return Value("const", data=x)
    raise TypeError(f"formula: operands are scalars of the formula or numbers, not {type(x).__name__}")


class Primitive:
    """A scalar operation: how it is typed, its value in NumPy, and its partial derivatives.

    ``domain`` says for which types the kernel exists: ``F`` floating point (integers are converted), ``N`` numbers, ``I`` bool and
    integers, ``C`` numbers with a bool result. ``partials(y, *args)`` gives one expression for each argument, ``None`` for zero.
    ``kink`` marks what is not differentiable everywhere; a formula that contains one brings its own derivative.
    """

    __slots__ = ("arity", "domain", "kink", "name", "partials", "reference")
    table: ClassVar[dict[str, Primitive]] = {}

    def __init__(self, name: str, arity: int, domain: str, reference: Callable, partials: Callable | None = None, kink: bool = False):
        self.name, self.arity, self.domain = name, arity, domain
        self.reference, self.partials, self.kink = reference, partials, kink
        Primitive.table[name] = self

    def __call__(self, *args: Value | Number) -> Value:
        if len(args) != self.arity:
            raise TypeError(f"{self.name}: takes {self.arity} arguments, {len(args)} given")
        return Value(self.name, tuple(map(lift, args)))

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def ordered(outputs: tuple[Value, ...]) -> list[Value]:
    """All values below ``outputs``, arguments before users, without recursion."""
    seen: set[int] = set()
    order: list[Value] = []
    stack = [(value, False) for value in reversed(outputs)]
    while stack:
        value, ready = stack.pop()
        if ready:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack.extend((arg, False) for arg in reversed(value.args) if id(arg) not in seen)
    return order
