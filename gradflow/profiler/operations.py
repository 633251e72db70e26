"""The operations, and the functions that measure in their places, wherever a module or the class of tensors has them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import isroutine
from types import FunctionType
from typing import Any

import gradflow

from ..kinds import formulas
from ..tensor import Tensor

gf: Any = gradflow  # its functions come from tables, which type checkers do not read

# What a call reads and makes, and how much it computes


def tensors_in(x: Any) -> list[Tensor]:
    return [x] if isinstance(x, Tensor) else [t for part in x for t in tensors_in(part)] if isinstance(x, list | tuple) else []


PRODUCTS = {
    "mm": 0,
    "matmul": 0,
    "__matmul__": 0,
    "bmm": 0,
    "mv": 0,
    "dot": 0,
    "vdot": 0,
    "inner": 0,
    "linear": 0,
    "addmm": 1,
    "addmv": 1,
    "baddbmm": 1,
}


def of_forward(prof: Any, name: str, args: tuple, result: Any) -> tuple[int, int | None]:
    operands, results = tensors_in(args), tensors_in(result)
    size = sum(t.nbytes for t in operands) + sum(t.nbytes for t in results)
    flops = None
    if results:
        if name in PRODUCTS and len(operands) > PRODUCTS[name]:
            inner = operands[PRODUCTS[name]].shape
            flops = 2 * results[0].numel() * (inner[-1] if inner else 1)
        elif (op := getattr(formulas.REGISTRY.get(name.rstrip("_")), "op", None)) is not None:
            flops = len(op.program.code) * max(t.numel() for t in (*operands, *results))
        node = results[0].node
        way = getattr(node, "plan", None)
        if name in PRODUCTS and type(getattr(way, "plan", way)).__module__ == "gradflow.ops.products":
            prof.flops_of[node] = flops
    return size, flops


def of_backward(prof: Any, name: str, args: tuple, result: Any) -> tuple[int, int | None]:
    """What the node reads: its cotangents and what it saved. A product costs as much again for each of the two factors that wants a gradient."""
    way, node, g = args[:3]
    arrays: list[Any] = [getattr(a, "array", a) for a in (g.values() if g.__class__ is dict else (g,))]
    size = sum(a.nbytes for a in (*arrays, *(node.saved or ())) if hasattr(a, "nbytes"))
    forward = prof.flops_of.get(node)
    if forward is not None:
        return size, forward * sum(p is not None for p in node.parents[:2])
    program = getattr(getattr(way, "plan", way), "program", None)
    return size, len(program.code) * max(a.size for a in arrays) if program is not None else None


# Putting the functions that measure in place, wherever the operations are known


def operations() -> dict[int, tuple[str, Callable]]:
    """{id: (name, function)} of all that users call."""
    found: dict[int, tuple[str, Callable]] = {}

    def add(name: str, f: Any) -> None:
        if isroutine(f):
            found.setdefault(id(f), (NAMES.get(name, name), f))

    from .. import creation, drawing, methods
    from ..nn import functional

    for name, f in vars(Tensor).items():
        if getattr(f, "__module__", "").startswith(("gradflow.ops", "gradflow.kinds", "gradflow.methods", "gradflow.free")):
            add(name, f)
    for table in (methods.FUNCTIONS, methods.ALONE):
        for name, f in table.items():
            add(name, f)
    for module in (functional, gf.linalg):
        for name in module.__all__:
            add(name, getattr(module, name))
    for name, f in (vars(creation) | vars(drawing)).items():
        if vars(gf).get(name) is f:
            add(name, f)
    return found


NAMES = {f"__{p}{name}__": ours for name, ours in (
    ("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div"), ("floordiv", "floor_divide"), ("mod", "remainder"), ("pow", "pow"), ("matmul", "matmul")
) for p in ("", "r")}  # fmt: skip
NAMES |= {f"__i{name[2:-2]}__": f"{ours}_" for name, ours in list(NAMES.items()) if not name.startswith("__r")}
NAMES |= {f"__{name}__": name for name in ("neg", "abs", "eq", "ne", "lt", "le", "gt", "ge", "getitem", "setitem")}


def install(
    forward: Callable[[str, Callable], Callable], backward: Callable[[Callable], Callable] | None = None
) -> list[tuple[Any, str, Any]]:
    """Replace every operation by ``forward(name, operation)``, wherever a module or the class has it, and with ``backward`` every way back.

    Returns what :func:`restore` needs.
    """
    wrappers = {key: forward(name, f) for key, (name, f) in operations().items()}
    replaced = []
    owners = [Tensor, *(m for m in list(sys.modules.values()) if getattr(m, "__dict__", None) is not None)]
    for owner in owners:
        for name, value in list(vars(owner).items()):
            wrapper = wrappers.get(id(value))
            if wrapper is not None:
                replaced.append((owner, name, value))
                setattr(owner, name, wrapper)
    for cls in ways_back():
        for name in ("pull", "derive"):
            if backward is not None and name in vars(cls):
                replaced.append((cls, name, vars(cls)[name]))
                setattr(cls, name, backward(vars(cls)[name]))
    return replaced


def restore(replaced: list[tuple[Any, str, Any]]) -> None:
    for owner, name, original in reversed(replaced):
        setattr(owner, name, original)


def ways_back() -> set[type]:
    """The classes of plans: they have a ``derive``."""
    ours = [m for name, m in list(sys.modules.items()) if name.startswith("gradflow.")]
    return {c for m in ours for c in vars(m).values() if isinstance(c, type) and isinstance(vars(c).get("derive"), FunctionType)}


def measuring(prof: Any, name: str, function: Callable) -> Callable:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return prof.measure(name, "forward", function, args, kwargs, of_forward)

    return call


def going_back(prof: Any, function: Callable) -> Callable:
    def call(way: Any, node: Any, g: Any, *rest: Any) -> Any:
        if node.plan is not way:  # the inside of one that is measured under another name
            return function(way, node, g, *rest)
        return prof.measure(way.name, "backward", function, (way, node, g, *rest), {}, of_backward)

    return call
