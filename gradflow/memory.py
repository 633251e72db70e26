"""Where memory went: what the graph under a tensor holds, and who holds a tensor's storage.

Both look only when they are asked; nothing is noted for them while a program runs.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .errors import DTypeError
from .tape.node import Leaf, Node, Output
from .tape.place import text
from .tensor import Tensor

__all__ = ["Alive", "Holder", "Saved", "SavedReport", "saved", "why_alive"]


class Saved(NamedTuple):
    """What one operation on the tape holds: ``bytes`` that no older one holds, ``again`` those of storages that one does.

    >>> y = gf.ones(2, requires_grad=True).exp()
    >>> row = gf.memory.saved(y).rows[0]
    >>> row.bytes
    8
    """

    op: str
    place: str
    bytes: int
    again: int
    values: tuple[str, ...]


class SavedReport(NamedTuple):
    """The rows, oldest operation first, and their sum.

    >>> y = gf.ones(2, requires_grad=True).exp()
    >>> gf.memory.saved(y).total
    8
    """

    rows: tuple[Saved, ...]
    total: int

    def __str__(self) -> str:
        lines = [("bytes", "shared", "operation", "saved", "line")]
        lines += [(f"{r.bytes:,}", f"{r.again:,}" if r.again else "", r.op, " ".join(r.values), r.place) for r in self.rows]
        lines.append((f"{self.total:,}", "", "in all", "", ""))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(x.rjust(w) if i < 2 else x.ljust(w) for i, (x, w) in enumerate(zip(line, widths, strict=True))).rstrip()
            for line in lines
        )


def saved(*tensors: Tensor) -> SavedReport:
    """What the graph under ``tensors`` (a loss) keeps for backward: for each operation the bytes of its saved values and its line.

    A storage is counted once, for the oldest operation that saved it, with all its bytes although only a view was saved; parameters and
    data that an operation reads are among them. Operations that saved nothing are left out. A graph that has been freed holds nothing.

    >>> x = gf.ones(1000, requires_grad=True)
    >>> loss = (x.exp() * x).sum()
    >>> report = gf.memory.saved(loss)
    >>> [(row.op, row.bytes, row.again, row.values) for row in report.rows]
    [('ExpBackward0', 4000, 0, ('float32[1000]',)), ('MulBackward0', 4000, 4000, ('float32[1000]', 'float32[1000]'))]
    >>> report.total
    8000
    """
    for t in tensors:
        given("memory.saved", t)
    counted: set[int] = set()
    rows = []
    for node in sorted(below(t.node for t in tensors), key=lambda n: n.number):
        if isinstance(node, Leaf | Output):
            continue
        arrays = list(kept_by(node))
        if not arrays:
            continue
        storages = {id(s): s for s in map(storage, arrays)}
        again = sum(s.nbytes for key, s in storages.items() if key in counted)
        new = sum(s.nbytes for key, s in storages.items() if key not in counted)
        counted |= storages.keys()
        rows.append(Saved(node.name(), text(node.place), new, again, tuple(map(described, arrays))))
    return SavedReport(tuple(rows), sum(r.bytes for r in rows))


def given(op: str, t: Any) -> None:
    if not isinstance(t, Tensor):
        raise DTypeError(f"{op}: expected a Tensor, not {type(t).__name__}; pass the tensor, as in {op}(loss)")


def storage(array: Any) -> Any:
    """The array that owns the memory of ``array``."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array


def described(array: Any) -> str:
    return f"{array.dtype}[{', '.join(map(str, array.shape))}]"


def below(nodes: Iterable[Any]) -> set[Any]:
    """``nodes`` and all that they were computed from."""
    seen = {n for n in nodes if n is not None}
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return seen


def kept_by(node: Any) -> Iterator[Any]:
    """The arrays that a node holds: saved values, packed ones, indices among its parameters, what a custom Function put on its ctx."""
    stack = [node.meta, node.saved]
    ctx = getattr(node, "ctx", None)
    if ctx is not None:
        stack[:0] = [v for k, v in vars(ctx).items() if not k.startswith("_")]
    while stack:
        x = stack.pop()
        if isinstance(x, tuple | list):
            stack.extend(reversed(x))
        elif isinstance(x, Tensor):
            yield x.array
        elif hasattr(x, "nbytes") and hasattr(x, "shape") and not isinstance(x, np.generic):
            yield x
        elif type(x).__name__ == "Packed":
            stack.append(x.value)


class Holder(NamedTuple):
    """Who holds a storage: its ``kind`` ("name", "tensor", "container", "gradient" or "graph"), which one, and where it is.

    >>> x = gf.ones(2)
    >>> gf.memory.why_alive(x).rows[0].kind
    'name'
    """

    kind: str
    what: str
    where: str


class Alive(NamedTuple):
    """Who holds the storage of a tensor, and how large it is.

    >>> x = gf.ones(2)
    >>> gf.memory.why_alive(x).bytes
    8
    """

    rows: tuple[Holder, ...]
    bytes: int

    def __str__(self) -> str:
        head = f"{self.bytes:,} bytes, held by"
        return (
            "\n".join([head, *(f"  {r.what}: {r.where}" for r in self.rows)]) if self.rows else f"{self.bytes:,} bytes, held by nobody else"
        )


def why_alive(t: Tensor) -> Alive:
    """Who keeps the memory of ``t`` alive: names in running functions and modules, attributes and containers, gradients, and graphs.

    Every tensor and array that shares the storage counts, so views do; for a graph, the operation that saved it and the names of the
    tensors whose graph that is. Looks through all objects of the process: slow, for finding a leak.

    >>> x = gf.ones(3, requires_grad=True)
    >>> y = x.exp()
    >>> z = y.sum()
    >>> print(gf.memory.why_alive(y))
    12 bytes, held by
      float32[3]: y in ...
      ExpBackward0 recorded in ..., in the graph of: y in ..., z in ...
    """
    given("memory.why_alive", t)
    owner = storage(t.array)
    objects = gc.get_objects()
    tensors = [o for o in objects if issubclass(type(o), Tensor)]  # isinstance would wake proxies of other packages
    nodes = [o for o in objects if issubclass(type(o), Node) and o.__class__ is not Output]
    leaves = [o for o in objects if issubclass(type(o), Leaf)]
    del objects
    names = Names()
    rows: list[Holder] = []
    inside = {id(x) for leaf in leaves for x in (leaf.grad, leaf.spare) if x is not None}
    for x in tensors:
        if storage(getattr(x, "array", None)) is owner:
            found = names.of(x, tensors)
            rows += [Holder("name" if known else "container", described(x.array), where) for known, where in found]
            if not found and id(x) not in inside and x is not t:
                rows.append(Holder("tensor", described(x.array), "a tensor that no name leads to directly"))
    rows += [Holder("name", f"NumPy array {described(a)}", where) for a, where in names.arrays if storage(a) is owner]
    for leaf in leaves:
        for x, what in ((leaf.grad, "the gradient"), (leaf.spare, "the spare gradient buffer")):
            if x is not None and storage(x.array) is owner:
                of = leaf.tensor()
                where = "a tensor that is gone" if of is None else ", ".join(w for _, w in names.of(of, tensors)) or described(of.array)
                rows.append(Holder("gradient", what, f"of {where}"))
    holding = [n for n in nodes if any(storage(a) is owner for a in kept_by(n))]
    if holding:
        graphs = [below([getattr(x, "node", None)]) for x in tensors]
        for n in holding:
            roots = dict.fromkeys(
                where for x, graph in zip(tensors, graphs, strict=True) if n in graph for where in names.known.get(id(x), ())
            )
            rows.append(
                Holder("graph", f"{n.name()} recorded in {text(n.place)}, in the graph of", ", ".join(roots) or "a tensor without a name")
            )
    return Alive(tuple(rows), owner.nbytes)


class Names:
    """The names in modules and running functions, by the object that they stand for."""

    def __init__(self) -> None:
        self.known: dict[int, list[str]] = {}
        self.arrays: list[tuple[Any, str]] = []
        self.spaces: set[int] = set()
        frames = [f for top in sys._current_frames().values() for f in stack_of(top) if f.f_globals is not globals()]
        for frame in frames:
            variables = frame.f_locals
            where = f"{frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
            if id(variables) not in self.spaces:
                self.note(variables, where)
            if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
                variables.clear()  # a copy, which the frame would keep: the tool must not hold what it asks about
            else:
                self.spaces.add(id(variables))
        for module in list(sys.modules.values()):
            variables = getattr(module, "__dict__", None)
            if isinstance(variables, dict) and id(variables) not in self.spaces and not module.__name__.startswith("gradflow"):
                self.spaces.add(id(variables))
                self.note(variables, f"module {module.__name__}")

    def note(self, variables: Any, where: str) -> None:
        for name, x in list(variables.items()):
            if issubclass(type(x), (Tensor, list, tuple, dict, set)):  # isinstance would wake other packages' proxies
                self.known.setdefault(id(x), []).append(f"{name} in {where}")
            elif type(x) is np.ndarray:
                self.arrays.append((x, f"{name} in {where}"))

    def of(self, x: Any, own: Any) -> list[tuple[bool, str]]:
        """(is it a name?, where) of all that refers to ``x``, but for the list ``own``."""
        found = [(True, where) for where in self.known.get(id(x), ())]
        for r in gc.get_referrers(x):
            if r is own or id(r) in self.spaces:
                continue
            if type(r) in (dict, list, tuple, set):
                owners = [type(o).__name__ for o in gc.get_referrers(r) if getattr(o, "__dict__", None) is r]
                place = (self.known.get(id(r)) or [f"a {owners[0]}" if owners else f"a {type(r).__name__}"])[0]
                found.append((False, f"{key_of(r, x, owners)}in {place}"))
            elif type(r).__name__ == "cell":
                found.append((False, "in a closure"))
            elif type(r) is not Leaf and isinstance(getattr(r, "__dict__", None), dict) and key_of(vars(r), x, True):
                found.append((False, f"{key_of(vars(r), x, True)}in a {type(r).__name__}"))
        return found


def key_of(space: Any, x: Any, attribute: Any) -> str:
    """Under which key ``x`` is in a dictionary. No inner function: its closure would be among the referrers."""
    for key, value in list(space.items()) if isinstance(space, dict) else ():
        if value is x:
            return f"{'attribute' if attribute else 'key'} {key!r} "
    return ""


def stack_of(frame: Any) -> Iterator[Any]:
    while frame is not None:
        yield frame
        frame = frame.f_back
