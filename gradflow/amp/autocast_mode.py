"""Operations in fewer bits where that does no harm, and in float32 where it would.

The functions that convert operands are put in the listed operations' places, wherever a module or the class of tensors has them, when the first
``autocast`` begins: programs without it pay nothing. A function that was kept elsewhere before (in a list, in an object) does not convert.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from inspect import isroutine
from typing import Any

import numpy as np

import gradflow

from ..errors import ArgumentError, DeviceError, DTypeError
from ..tensor import Tensor
from .lists import KEPT, REFUSED, WIDE, WIDEST, policies

gf: Any = gradflow


class State(threading.local):
    """Of a thread: whether any operation has to look, which kinds of device convert, and to what; how deep blocks are nested, and weights that
    they have converted: {(id, type): (weight, its array, its version, the result)}."""

    def __init__(self) -> None:
        self.on = False
        self.enabled = {"cpu": False, "cuda": False}
        self.dtypes = {"cpu": gf.bfloat16, "cuda": gf.float16}
        self.depth, self.caches = 0, True
        self.cache: dict[tuple[int, Any], tuple[Tensor, Any, int, Tensor]] = {}


state = State()


def known(op: str, where: Any) -> str:
    if not isinstance(where, str):
        raise ArgumentError(f"{op}: Expected `device_type` of type `str`, got: `{type(where)}`")
    if where not in state.enabled:
        raise DeviceError(f"{op}: User specified an unsupported autocast device_type '{where}'; choose 'cpu' or 'cuda'")
    return where


def is_autocast_available(device_type: str) -> bool:
    """Is there autocast for this kind of device?

    >>> gf.amp.is_autocast_available("cpu")
    True
    """
    return device_type in state.enabled


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Do operations on this kind of device convert their operands now? Without an argument: on cuda.

    >>> with gf.autocast("cpu"):
    ...     print(gf.amp.is_autocast_enabled("cpu"))
    True
    """
    return state.enabled[known("is_autocast_enabled", "cuda" if device_type is None else device_type)]


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Convert from now on, or not.

    >>> gf.amp.set_autocast_enabled("cpu", False)
    """
    state.enabled[known("set_autocast_enabled", device_type)] = bool(enabled)
    state.on = any(state.enabled.values())
    if state.on:
        install()


def get_autocast_dtype(device_type: str) -> Any:
    """The type that operations on this kind of device compute in.

    >>> gf.amp.get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return state.dtypes[known("get_autocast_dtype", device_type)]


def get_autocast_gpu_dtype() -> Any:
    """``get_autocast_dtype("cuda")``

    >>> gf.amp.get_autocast_gpu_dtype()
    torch.float16
    """
    return get_autocast_dtype("cuda")


def get_autocast_cpu_dtype() -> Any:
    """``get_autocast_dtype("cpu")``

    >>> gf.amp.get_autocast_cpu_dtype()
    torch.bfloat16
    """
    return get_autocast_dtype("cpu")


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """The type that operations on this kind of device compute in from now on.

    >>> gf.amp.set_autocast_dtype("cpu", gf.bfloat16)
    """
    state.dtypes[known("set_autocast_dtype", device_type)] = dtype


def is_autocast_cache_enabled() -> bool:
    """Is a weight converted once for all its uses in a block?

    >>> gf.amp.is_autocast_cache_enabled()
    True
    """
    return state.caches


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Convert a weight once for all its uses in a block from now on, or at each.

    >>> gf.amp.set_autocast_cache_enabled(True)
    """
    state.caches = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the converted weights.

    >>> gf.amp.clear_autocast_cache()
    """
    state.cache.clear()


def kept() -> Callable[[], AbstractContextManager]:
    """What converts now, to be so again later."""
    enabled, dtypes = dict(state.enabled), dict(state.dtypes)

    @contextmanager
    def again() -> Iterator[None]:
        before = state.on, state.enabled, state.dtypes, state.cache
        state.enabled, state.dtypes, state.on, state.cache = dict(enabled), dict(dtypes), any(enabled.values()), {}
        try:
            yield
        finally:
            state.on, state.enabled, state.dtypes, state.cache = before

    return again


class autocast:
    """In a ``with`` block, or as a decorator, operations on a kind of device compute in ``dtype`` where torch's do: products of matrices in it,
    what is delicate in float32, everything else in the type of its operands. Nothing is done to float64 and to integers.

    ``dtype`` is float16 on cuda and bfloat16 on the CPU unless given. Blocks nest; ``enabled=False`` is one without conversions. A weight (a
    float32 leaf that requires a gradient) is converted once for all its uses until the outermost block ends or it changes, unless
    ``cache_enabled=False``. Backward computes in the types that forward did.

    >>> with gf.autocast("cpu", dtype=gf.bfloat16):
    ...     y = gf.ones(2, 3) @ gf.ones(3, 2)
    >>> y.dtype
    torch.bfloat16
    """

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None):
        self.device = known("autocast", device_type)
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if not isinstance(self.fast_dtype, gf.dtype):
            raise DTypeError(f"autocast: argument 'dtype' must be a dtype, not {type(dtype).__name__}")
        if enabled and device_type == "cuda" and not gf.cuda.is_available():
            warnings.warn("autocast: CUDA is not available. Disabling autocast.", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (gf.bfloat16, gf.float16):
            warnings.warn(
                f"autocast: In {device_type.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{device_type.upper()} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self.enabled, self.caches = bool(enabled), cache_enabled
        self.before: list[tuple[bool, Any, bool]] = []

    def __enter__(self) -> autocast:
        self.before.append((is_autocast_enabled(self.device), get_autocast_dtype(self.device), state.caches))
        set_autocast_dtype(self.device, self.fast_dtype)
        set_autocast_enabled(self.device, self.enabled)
        state.caches = state.caches if self.caches is None else bool(self.caches)
        state.depth += 1
        return self

    def __exit__(self, *_: Any) -> None:
        enabled, dtype, state.caches = self.before.pop()
        state.depth -= 1
        if not state.depth:
            clear_autocast_cache()
        set_autocast_enabled(self.device, enabled)
        set_autocast_dtype(self.device, dtype)

    def __call__(self, function: Callable) -> Callable:
        if not callable(function):
            raise DTypeError(
                f"autocast: autocast()(func) requires a callable, but got {type(function).__name__}. Did you mean to use autocast as a context manager?"
            )

        @wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return within


# Converting operands


def cast(value: Any, where: str, dtype: Any) -> Any:
    """The same with every tensor of floats on this kind of device as ``dtype``, but for float64."""
    if isinstance(value, Tensor):
        return converted(value, dtype) if eligible(value, where) else value
    if isinstance(value, str | bytes | np.ndarray):
        return value
    if isinstance(value, Mapping):
        return {cast(k, where, dtype): cast(v, where, dtype) for k, v in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(cast(v, where, dtype) for v in value) if type(value) in (list, tuple) else value
    return value


def converted(x: Tensor, dtype: Any) -> Tensor:
    """``x.to(dtype)``, of a weight the same tensor again, so that its gradients meet there and are converted back once."""
    if not state.caches or dtype is gf.float32 or x.dtype is not gf.float32 or x.node is None or not x.is_leaf:
        return x.to(dtype)
    key = id(x), dtype
    weight, array, version, result = state.cache.get(key, (None, None, 0, x))
    if weight is not x or array is not x.array or version != x._version:
        result = x.to(dtype)
        if state.depth and result.requires_grad:  # within no_grad it has no history, which a later use may need
            state.cache[key] = x, x.array, x._version, result
    return result


def eligible(x: Tensor, where: str) -> bool:
    return x.array.dtype.kind in "fV" and x.array.dtype.itemsize < 8 and x.device.type == where


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    return [t for v in values for t in ([v] if isinstance(v, Tensor) else tensors_in(v) if isinstance(v, list | tuple) else ())]


def unconverted(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    state.on = False
    try:
        return function(*args, **kwargs)
    finally:
        state.on = True


def converting(name: str, function: Callable, policy: dict[str, str]) -> Callable:
    """``function`` with its operands converted by the policy of their device. What it calls converts nothing more."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not state.on:
            return function(*args, **kwargs)
        if kwargs.get("out") is not None:
            return unconverted(function, args, kwargs)
        operands = tensors_in((*args, *kwargs.values()))
        where = "cuda" if any(t.is_cuda for t in operands) else "cpu"
        how = policy.get(where)
        if how is None or not state.enabled[where]:
            return function(*args, **kwargs)
        if how is REFUSED:
            raise DTypeError(
                f"{name}: torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast; use "
                "binary_cross_entropy_with_logits or BCEWithLogitsLoss, which compute the sigmoid too"
            )
        dtype = state.dtypes[where]
        if how is WIDE or (how is WIDEST and any(t.dtype is gf.float32 for t in operands if eligible(t, where))):
            dtype = gf.float32
        if how is not KEPT:
            args, kwargs = cast(args, where, dtype), cast(kwargs, where, dtype)
        return unconverted(function, args, kwargs)

    call.__dict__["converts"] = True
    return call


def targets() -> dict[int, tuple[str, Callable, dict[str, str]]]:
    """{id: (name, function, policy)} of the listed operations, as functions, methods and underneath."""
    from ..nn import functional

    found: dict[int, tuple[str, Callable, dict[str, str]]] = {}
    for listed, policy in policies().items():
        place, _, name = listed.rpartition(".")
        owners = [gf.linalg] if place else [gf, Tensor, functional, *([gf.linalg] if name in ("multi_dot", "vecdot") else [])]
        for owner in owners:
            f = vars(owner).get(name)
            while isroutine(f) and not f.__dict__.get("converts"):
                found.setdefault(id(f), (name, f, policy))
                f = f.__dict__.get("__wrapped__")
    return found


def install() -> None:
    """Put the functions that convert in the operations' places, unless they are there. A profile may have taken them away."""
    if vars(Tensor)["matmul"].__dict__.get("converts"):
        return
    from .. import methods

    wrappers = {key: converting(*target) for key, target in targets().items()}
    owners = [Tensor, *(m for m in list(sys.modules.values()) if getattr(m, "__dict__", None) is not None)]
    for owner in owners:
        for name, value in list(vars(owner).items()):
            wrapper = wrappers.get(id(value))
            if wrapper is not None:
                setattr(owner, name, wrapper)
    for table in (methods.FUNCTIONS, methods.ALONE):
        for name, value in table.items():
            table[name] = wrappers.get(id(value), value)


# Functions of the user's


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """For ``forward`` of a custom ``autograd.Function``: within autocast its tensors come as ``cast_inputs`` and nothing in it converts; without
    ``cast_inputs`` it converts as what is around it does.

    >>> class Double(gf.autograd.Function):
    ...     @staticmethod
    ...     @gf.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...
    ...     @staticmethod
    ...     @gf.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> Double.apply(gf.ones(2))
    tensor([2., 2.])
    """
    known("custom_fwd", device_type)
    if fwd is None:
        return partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = get_autocast_dtype(device_type)
        ctx._fwd_used_autocast = is_autocast_enabled(device_type) and cast_inputs is None
        if cast_inputs is None or not is_autocast_enabled(device_type):
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return fwd(ctx, *cast(args, device_type, cast_inputs), **cast(kwargs, device_type, cast_inputs))

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """For ``backward`` of a custom ``autograd.Function``: converts as ``forward`` did.

    >>> class Double(gf.autograd.Function):
    ...     @staticmethod
    ...     @gf.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...
    ...     @staticmethod
    ...     @gf.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return 2 * g
    >>> x = gf.ones(2, requires_grad=True)
    >>> Double.apply(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """
    known("custom_bwd", device_type)
    if bwd is None:
        return partial(custom_bwd, device_type=device_type)

    @wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward
