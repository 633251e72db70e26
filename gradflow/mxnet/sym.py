"""``mxnet.sym``: graphs that are built first and computed later, by the same functions as ``nd``'s."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..errors import ArgumentError, DTypeError, GradflowError
from .array import NDArray, comparison, dressed, element_type, gf, named, ndarray, state
from .autograd import Scope, backward, mark_variables
from .layers import CLASSIC
from .making import size_of

numbers: Counter[str] = Counter()


def automatic(hint: str) -> str:
    numbers[hint] += 1
    return f"{hint}{numbers[hint] - 1}"


def symbols_in(x: Any) -> Iterator[Symbol]:
    if isinstance(x, Symbol):
        yield x
    elif isinstance(x, list | tuple):
        for part in x:
            yield from symbols_in(part)


class Symbol:
    """A place in a graph: a variable, or ``function`` of other symbols. Made by `var` and by the functions of this module.

    >>> from gradflow.mxnet import nd, sym
    >>> a = sym.var("a")
    >>> (a + 1).eval(a=nd.ones((2,)))[0].asnumpy().tolist()
    [2.0, 2.0]
    """

    def __init__(self, function: Callable | None, args: tuple = (), kwargs: dict | None = None, name: str = "", kind: str = ""):
        self.function, self.args, self.kwargs, self.name, self.kind = function, args, kwargs or {}, name, kind
        self.shape: tuple | None = None

    def __repr__(self) -> str:
        return f"<Symbol {self.name}>"

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise DTypeError(f"bool: {self!r} has no value yet; eval() it")

    def __iter__(self) -> Any:
        raise DTypeError(f"iter: {self!r} is one symbol; index it if its function has several results")

    def __getitem__(self, index: Any) -> Symbol:
        return Symbol(operator.getitem, (self, index), name=automatic(f"{self.name}_item"), kind="item")

    def inputs(self) -> list[Symbol]:
        return list(symbols_in((*self.args, *self.kwargs.values())))

    get_children = inputs

    def ordered(self) -> list[Symbol]:
        """The symbols that this one is made of, each after its inputs, as the user wrote them."""
        order, done = [], set()
        stack: list[tuple[Symbol, bool]] = [(self, False)]
        while stack:
            s, ready = stack.pop()
            if ready:
                order.append(s)
            elif id(s) not in done:
                done.add(id(s))
                stack.append((s, True))
                stack += [(i, False) for i in reversed(s.inputs())]
        return order

    def variables(self) -> dict[str, Symbol]:
        found: dict[str, Symbol] = {}
        for s in self.ordered():
            if s.function is None and found.setdefault(s.name, s) is not s:
                raise ArgumentError(f"list_arguments: two variables are called {s.name!r}; give each a name of its own")
        return found

    def list_arguments(self) -> list[str]:
        """The names of the variables, in the order of the expression.

        >>> from gradflow.mxnet import sym
        >>> (2 * sym.var("a") + sym.var("b")).list_arguments()
        ['a', 'b']
        """
        return list(self.variables())

    def list_outputs(self) -> list[str]:
        return [self.name if self.function is None else f"{self.name}_output"]

    def named(self, op: str, args: tuple, kwargs: dict) -> dict[str, Any]:
        names = self.list_arguments()
        given = dict(zip(names, args, strict=False)) | {k: v for k, v in kwargs.items() if v is not None}
        unknown = [name for name in given if name not in names]
        if unknown or len(args) > len(names):
            raise ArgumentError(
                f"{op}: no argument is called {', '.join(unknown) or args[len(names)]}; the arguments are {', '.join(names)}"
            )
        return given

    def infer_shape(self, *args: Any, **kwargs: Any) -> tuple:
        """(shapes of the arguments, of the outputs, and of the auxiliary states, of which there are none) from those of some arguments.

        Three times ``None`` if they do not say enough.
        """
        shapes = {s.name: s.shape for s in self.variables().values() if s.shape is not None}
        shapes |= {k: tuple(v) for k, v in self.named("infer_shape", args, kwargs).items()}
        values: dict[int, Any] = {}
        with gf.no_grad():
            for s in self.ordered():
                if s.function is not None:
                    for i in guessed(s, values):
                        shapes[i.name] = values[id(i)].shape
                    known = all(values[id(i)] is not None for i in s.inputs())
                    values[id(s)] = s.function(*filled(s.args, values), **filled(s.kwargs, values)) if known else None
                else:
                    values[id(s)] = gf.zeros(()).expand(shapes[s.name]) if s.name in shapes else None
        out = values[id(self)]
        if out is None or any(name not in shapes for name in self.list_arguments()):
            return None, None, None
        outs = out if isinstance(out, list | tuple) else (out,)
        return [tuple(shapes[n]) for n in self.list_arguments()], [tuple(o.shape) for o in outs], []

    def infer_type(self, *args: Any, **kwargs: Any) -> tuple:
        """(types of the arguments, of the outputs, of the auxiliary states): float32 unless given."""
        given = self.named("infer_type", args, kwargs)
        types = [element_type(given.get(name, "float32")) for name in self.list_arguments()]
        common = types[0] if types else gf.float32
        for t in types[1:]:
            common = gf.promote_types(common, t)
        return [t.numpy.type for t in types], [common.numpy.type for _ in self.list_outputs()], []

    def compute(self, arrays: dict[str, NDArray]) -> list[NDArray]:
        """The outputs, computed by the functions that ``nd`` and ``np`` use, recorded where they would be."""
        missing = [name for name in self.list_arguments() if name not in arrays]
        if missing:
            raise ArgumentError(f"eval: the arguments {', '.join(missing)} have no value; give an array for each")
        for name, a in arrays.items():
            if not isinstance(a, NDArray):
                raise DTypeError(f"eval: argument {name} is a {type(a).__name__}; give an array of nd or np")
        cls = ndarray if any(isinstance(a, ndarray) for a in arrays.values()) else NDArray
        values: dict[int, Any] = {}
        with gf.set_grad_enabled(state.recording):
            for s in self.ordered():
                if s.function is None:
                    values[id(s)] = arrays[s.name].tensor
                else:
                    values[id(s)] = named_error(s, filled(s.args, values), filled(s.kwargs, values))
        out = values[id(self)]
        return dressed(list(out) if isinstance(out, list | tuple) else [out], cls)

    def eval(self, ctx: Any = None, **kwargs: Any) -> list[NDArray]:
        """The outputs for these arrays, in a list.

        >>> from gradflow.mxnet import nd, sym
        >>> a, b = sym.var("a"), sym.var("b")
        >>> (2 * a + b).eval(a=nd.ones((2,)), b=nd.ones((2,)))[0].asnumpy().tolist()
        [3.0, 3.0]
        """
        return self.compute(self.named("eval", (), kwargs))

    def bind(self, ctx: Any = None, args: Any = None, args_grad: Any = None, grad_req: Any = "write", aux_states: Any = None) -> Executor:
        """The graph with arrays for its arguments, ready to compute: a list in their order, or a dictionary."""
        return Executor(self, self.of_arguments("bind", args), self.of_arguments("bind", args_grad), grad_req)

    def simple_bind(self, ctx: Any = None, grad_req: Any = "write", **kwargs: Any) -> Executor:
        """As `bind`, with new arrays of zeros, of the shapes given here or inferred."""
        shapes, _, _ = self.infer_shape(**kwargs)
        if shapes is None:
            raise ArgumentError(f"simple_bind: the shapes given do not say those of all arguments: {', '.join(self.list_arguments())}")
        return Executor(self, {n: NDArray(gf.zeros(s)) for n, s in zip(self.list_arguments(), shapes, strict=True)}, {}, grad_req)

    def of_arguments(self, op: str, arrays: Any) -> dict[str, Any]:
        if arrays is None or isinstance(arrays, dict):
            return self.named(op, (), arrays or {})
        return self.named(op, tuple(arrays), {})


def named_error(s: Symbol, args: Any, kwargs: Any) -> Any:
    """The value of a symbol, or an error that says which one."""
    assert s.function is not None
    try:
        return named(s.kind, s.function, *args, **kwargs)
    except GradflowError as error:
        raise type(error)(f"{error} (in {s!r})") from None


def filled(x: Any, values: dict[int, Any]) -> Any:
    """Arguments with values for symbols."""
    if isinstance(x, Symbol):
        return values[id(x)]
    if isinstance(x, dict):
        return {k: filled(v, values) for k, v in x.items()}
    return type(x)(filled(v, values) for v in x) if isinstance(x, list | tuple) else x


ELEMENTWISE = frozenset(("_plus", "_minus", "_mul", "_div", *(n for n in CLASSIC if n.startswith("elemwise_"))))


def guessed(s: Symbol, values: dict[int, Any]) -> list[Symbol]:
    """Variables among the inputs of ``s`` whose shapes follow from the others: they get values."""
    inputs = s.inputs()
    open_ = [i for i in inputs if values[id(i)] is None and i.function is None]
    known = [i for i in inputs if values[id(i)] is not None]
    if not open_ or not known:
        return []
    x = values[id(known[0])]
    if s.kind in ELEMENTWISE:
        for i in open_:
            values[id(i)] = gf.zeros(()).expand(x.shape)
        return open_
    if s.kind == "FullyConnected" and known[0] is inputs[0]:
        n = s.kwargs["num_hidden"]
        columns = x.numel() // x.shape[0] if s.kwargs.get("flatten", True) else x.shape[-1]
        for i, shape in zip(inputs[1:], ((n, columns), (n,)), strict=False):
            if values[id(i)] is None:
                values[id(i)] = gf.zeros(()).expand(shape)
        return open_
    return []


class Executor:
    """A graph bound to arrays. ``arg_dict`` and ``grad_dict`` have them by name, ``outputs`` the latest results.

    >>> from gradflow.mxnet import nd, sym
    >>> run = (2 * sym.var("a")).bind(args=[nd.ones((2,))])
    >>> run.forward(is_train=True)[0].asnumpy().tolist()
    [2.0, 2.0]
    >>> run.backward()
    >>> run.grad_dict["a"].asnumpy().tolist()
    [2.0, 2.0]
    """

    def __init__(self, symbol: Symbol, args: dict[str, NDArray], grads: dict[str, NDArray], grad_req: Any):
        names = symbol.list_arguments()
        missing = [n for n in names if n not in args]
        if missing:
            raise ArgumentError(f"bind: the arguments {', '.join(missing)} have no array; give one for each")
        reqs = (
            grad_req if isinstance(grad_req, dict) else dict(zip(names, [grad_req] * len(names) if isinstance(grad_req, str) else grad_req))
        )
        self.symbol, self.reqs = symbol, {n: reqs.get(n, "null") for n in names}
        self.arg_dict = {n: args[n] for n in names}
        self.grad_dict: dict[str, Any] = {
            n: grads.get(n, type(args[n])(gf.zeros_like(args[n].tensor.detach()))) if self.reqs[n] != "null" else None for n in names
        }
        self.outputs: list[NDArray] = []

    @property
    def arg_arrays(self) -> list:
        return list(self.arg_dict.values())

    @property
    def grad_arrays(self) -> list:
        return list(self.grad_dict.values())

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs; arrays given by name are copied into the arguments first."""
        for name, value in self.symbol.named("forward", (), kwargs).items():
            self.arg_dict[name][...] = value
        arrays = {}
        for name, a in self.arg_dict.items():
            arrays[name] = type(a)(a.tensor.detach())
            if self.reqs[name] != "null":
                mark_variables(arrays[name], self.grad_dict[name], self.reqs[name])
        self.variables = arrays  # their gradients arrive while they live
        with Scope(True, is_train):
            self.outputs = self.symbol.compute(arrays)
        return self.outputs

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """The gradients of the outputs, times ``out_grads``, in the arrays of ``grad_dict``."""
        if not self.outputs:
            raise ArgumentError("backward: nothing has been computed; call forward() first")
        backward(self.outputs, out_grads, train_mode=is_train)


def var(name: str | None = None, shape: Any = None, **kwargs: Any) -> Symbol:
    """A variable: an argument of the graphs that it is used in. Its name is made up if it is not given.

    >>> from gradflow.mxnet import sym
    >>> sym.var("a")
    <Symbol a>
    >>> sym.var("b", shape=(2, 3)).shape
    (2, 3)
    """
    if name is not None and not isinstance(name, str):
        raise DTypeError(f"var: the name is a {type(name).__name__}; expected a str")
    s = Symbol(None, name=name or automatic("var"))
    s.shape = None if shape is None else size_of(shape)
    return s


Variable = var


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """One symbol with the outputs of several.

    >>> from gradflow.mxnet import nd, sym
    >>> a = sym.var("a")
    >>> [y.asnumpy().tolist() for y in sym.Group([a + 1, a * 2]).eval(a=nd.ones((2,)))]
    [[2.0, 2.0], [2.0, 2.0]]
    """
    parts = tuple(symbols)
    group = Symbol(lambda *values: list(values), parts, name="group", kind="group")
    group.list_outputs = lambda: [name for s in parts for name in s.list_outputs()]  # type: ignore[method-assign]
    return group


def completed(name: str, args: tuple, kwargs: dict) -> tuple:
    """The arguments of a layer, with variables for the parameters that are not given."""
    for word in ("weight",) if kwargs.get("no_bias") else ("weight", "bias"):
        if len(args) == ("weight", "bias").index(word) + 1:
            args = (*args, kwargs.pop(word) if word in kwargs else var(f"{name}_{word}"))
    return args


def maker(kind: str, function: Callable) -> Callable:
    """A function of arrays as one of symbols."""

    def call(*args: Any, name: str | None = None, **kwargs: Any) -> Symbol:
        name = name or automatic(kind.lower())
        if "data" in kwargs:
            args = (kwargs.pop("data"), *args)
        if kind == "FullyConnected":
            args = completed(name, args, kwargs)
        return Symbol(function, args, kwargs, name, kind)

    call.__name__ = call.__qualname__ = kind
    call.__doc__ = function.__doc__
    return call


globals().update({name: maker(name, function) for name, function in CLASSIC.items()})
__all__ = ["Executor", "Group", "Symbol", "Variable", "var"]
__all__ += list(CLASSIC)


def binary(kind: str, function: Callable, reverse: bool = False) -> Callable:
    def call(self: Symbol, other: Any) -> Symbol:
        args = (other, self) if reverse else (self, other)
        scalar = "" if isinstance(other, Symbol) else "scalar"
        return Symbol(function, args, name=automatic(kind + scalar), kind=kind + scalar)

    return call


KINDS = {"add": "_plus", "sub": "_minus", "mul": "_mul", "truediv": "_div", "mod": "_mod", "pow": "_power", "matmul": "_matmul"}
for _name, _kind in KINDS.items():
    _function = getattr(operator, _name)
    setattr(Symbol, f"__{_name}__", binary(_kind, _function))
    setattr(Symbol, f"__r{_name}__", binary("_r" + _kind[1:] if _name in ("sub", "truediv", "mod", "pow") else _kind, _function, True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Symbol, f"__{_name}__", binary(f"_{_name}", comparison(getattr(operator, _name))))
for _name in ("neg", "abs"):
    setattr(Symbol, f"__{_name}__", maker(_name, getattr(operator, _name)))
for _name in CLASSIC:
    if _name[0].islower() and _name not in ("split", "concat", "stack", "add_n"):
        setattr(Symbol, _name, globals()[_name])
