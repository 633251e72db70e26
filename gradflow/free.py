"""Functions of the package as users call them: with ``out=``, and with anything in place of a tensor."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

from . import dtypes
from .backends import Direct
from .errors import DTypeError
from .kinds.direct import before
from .kinds.out import into
from .ops.arguments import at_fault, check_options, in_torchs_words
from .tensor import Tensor

Routine = types.FunctionType | Direct

# New tensors; with ``out=`` of its type.
CREATING = ("arange", "empty", "eye", "full", "linspace", "logspace", "ones", "rand", "randint", "randn", "randperm", "zeros")

# They compute in the type of ``out``.
RUNNING = ("cumsum", "cumprod")

# Functions that are views, or that torch gives no ``out=`` for another reason.
WITHOUT_OUT = frozenset(
    """
    as_strided broadcast_to chunk clone diagonal expand_as flatten fliplr flipud hsplit moveaxis movedim narrow permute ravel real reshape select
    split squeeze swapaxes swapdims t tensor_split tile transpose unbind unflatten unsqueeze vsplit
    allclose argsort atleast_1d atleast_2d atleast_3d bincount cartesian_prod cdist corrcoef count_nonzero cov diag_embed dist einsum equal flip
    index_fill index_put isclose masked_fill masked_scatter positive prelu put relu repeat_interleave roll rot90 rsub std_mean trace unique
    unique_consecutive var_mean
    alpha_dropout argwhere as_strided_scatter binomial block_diag broadcast_shapes channel_shuffle combinations constant_pad_nd cumulative_trapezoid
    diagflat diagonal_scatter dsplit feature_alpha_dropout feature_dropout fill gradient native_dropout pdist pixel_shuffle pixel_unshuffle poisson
    select_scatter split_with_sizes sum_to_size trapezoid trapz unravel_index adjoint det logdet matrix_exp pinverse vander
    """.split()
)


def free(name: str, function: Callable, on_tensor: bool) -> Callable:
    """The free function: it may be handed something that is no tensor, and ``out=``. Elementwise operations see to both themselves."""
    if hasattr(function, "op"):
        return function
    plain = inspect.unwrap(function)
    names = plain.__code__.co_varnames[: plain.__code__.co_argcount]
    first = names[0] if on_tensor else None
    flag = next((i for i, name in enumerate(names) if str(plain.__annotations__.get(name)).startswith("bool")), sys.maxsize)

    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = in_torchs_words(function, kwargs)
        if first is not None:
            x = args[0] if args else kwargs.get(first)
            if not isinstance(x, Tensor):
                raise DTypeError(f"{name}: argument '{first}' must be Tensor, not {type(x).__name__}")
        if kwargs:
            check_options(name, function, kwargs)
        if len(args) > flag:
            check_options(name, function, dict(zip(names, args)))
        if out is None:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                fault = at_fault(name, function, args, kwargs, error)
                if fault is None:
                    raise
            raise fault
        if name in WITHOUT_OUT or name.endswith("_"):
            raise DTypeError(f"{name}: got an unexpected keyword argument 'out'; use out.copy_(result)")
        if name in CREATING:
            kwargs = of_type(name, out, kwargs)
        if name in RUNNING and isinstance(out, Tensor):
            kwargs.setdefault("dtype", out.dtype)
        return into(name, out, function, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__, call.__module__ = function.__doc__, function.__module__
    call.__dict__["__wrapped__"] = function
    return before(function, call)


def of_type(name: str, out: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A new tensor that goes into ``out`` has its type."""
    if not isinstance(out, Tensor):
        raise DTypeError(f"{name}: argument 'out' must be Tensor, not {type(out).__name__}")
    dtype = dtypes.get(kwargs.get("dtype") or out.dtype, name)
    if dtype is not out.dtype:
        raise DTypeError(f"{name}: dtype {dtype} does not match dtype of out parameter ({out.dtype}); leave out one of them")
    return {**kwargs, "dtype": dtype}


def along(function: Callable) -> Callable:
    """A function that must be told its axis, which that of ``nn.functional`` may guess."""

    def call(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
        dim = axis if dim is None else dim
        if dim is None:
            raise DTypeError(f"{function.__name__}: missing the argument 'dim'; pass the axis")
        return function(input, dim, dtype=dtype)

    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__, call.__module__ = function.__doc__, function.__module__
    return call


def find(place: str, names: str) -> Any:
    """What pickle finds there, or None."""
    found: Any = sys.modules.get(place)
    for name in names.split("."):
        found = getattr(found, name, None)
    return found


def belong(place: str) -> None:
    """Functions of the module ``place`` that are not found under the name of their making, as most that are in front of others, are of this
    module from now on: functions are pickled by name, and layers hold some."""
    for name, f in vars(sys.modules[place]).items():
        if (
            name[0] != "_"
            and isinstance(f, Routine)
            and f.__module__.startswith("gradflow.")
            and find(f.__module__, f.__qualname__) is not f
        ):
            f.__module__, f.__qualname__ = place, name
