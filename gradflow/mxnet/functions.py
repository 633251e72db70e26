"""NumPy's functions of tensors, as MXNet has them: ours under NumPy's names, and the few whose arguments mean something else."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..errors import ArgumentError, AxisError, DTypeError
from ..tensor import Tensor
from . import texts
from .array import gf

WORDS = {"axis": "dim", "keepdims": "keepdim"}


def numpys(function: Callable, name: str) -> Callable:
    """One of ours that takes NumPy's words ``axis`` and ``keepdims``; a list of numbers is an array, as in NumPy."""
    only_tensors = hasattr(function, "op") and bool(function.op.tensors)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args = (
            tuple(gf.tensor(x, dtype=gf.float32) if isinstance(x, list) and x and isinstance(x[0], int | float) else x for x in args[:1])
            + args[1:]
        )
        if only_tensors:
            args = tuple(gf.tensor(x) if isinstance(x, int | float) else x for x in args)
        return function(*args, **{WORDS.get(k, k): v for k, v in kwargs.items()})

    call.__name__ = call.__qualname__ = name
    return call


# The same in NumPy's words: of one array, of two, and along axes.
SAME = """
    abs absolute exp expm1 exp2 log log2 log10 log1p sqrt square reciprocal negative sign floor ceil trunc fix
    sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg isnan isinf isfinite nan_to_num
    maximum minimum fmax fmin fmod hypot copysign arctan2 logaddexp remainder floor_divide power add subtract multiply divide true_divide
    logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
    isclose allclose matmul inner vdot kron cross einsum
    reshape ravel moveaxis swapaxes tril triu diag diagflat vstack hstack dstack column_stack concatenate stack
    broadcast_to tile atleast_1d atleast_2d atleast_3d amax amin sum prod all any count_nonzero nansum argmax argmin
    diff interp fliplr flipud ldexp gcd lcm bincount heaviside""".split()

OTHERS = {
    "mod": "remainder",
    "fabs": "abs",
    "rint": "round",
    "around": "round",
    "round": "round",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "pow": "pow",
    "power": "pow",
    "max": "amax",
    "min": "amin",
    "expand_dims": "unsqueeze",
    "invert": "bitwise_not",
    "bitwise_not": "bitwise_not",
    "row_stack": "vstack",
}

COMPARISONS = {"equal": "eq", "not_equal": "ne", "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le"}

NUMPY: dict[str, Callable] = {name: numpys(getattr(gf, name), name) for name in SAME if hasattr(gf, name)}
NUMPY |= {name: numpys(getattr(gf, ours), name) for name, ours in OTHERS.items()}


def known(function: Callable) -> Callable:
    NUMPY[function.__name__.rstrip("_")] = function
    return function


def floating(a: Tensor) -> Tensor:
    return a if a.is_floating_point() else a.to(gf.float32)


def compared(name: str) -> Callable:
    compare = getattr(gf, COMPARISONS[name])

    def call(a: Any, b: Any) -> Tensor:
        return compare(a, b).to(gf.result_type(a, b))

    call.__name__ = name
    return call


NUMPY |= {name: compared(name) for name in COMPARISONS}


def moments(name: str) -> Callable:
    ours = getattr(gf, name)

    def call(a: Tensor, axis: Any = None, dtype: Any = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
        words = {} if name == "mean" else {"correction": ddof}
        return ours(floating(a), axis, keepdim=keepdims, **words)

    call.__name__ = name
    return call


NUMPY |= {name: moments(name) for name in ("mean", "std", "var")}


@known
def cumsum(a: Tensor, axis: Any = None) -> Tensor:
    return gf.cumsum(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)


@known
def cumprod(a: Tensor, axis: Any = None) -> Tensor:
    return gf.cumprod(a.reshape(-1) if axis is None else a, 0 if axis is None else axis)


@known
def sort(a: Tensor, axis: Any = -1) -> Tensor:
    return gf.sort(a.reshape(-1) if axis is None else a, -1 if axis is None else axis)[0]


@known
def argsort(a: Tensor, axis: Any = -1) -> Tensor:
    return gf.argsort(a.reshape(-1) if axis is None else a, -1 if axis is None else axis)


@known
def outer(a: Tensor, b: Tensor) -> Tensor:
    return gf.outer(a.reshape(-1), b.reshape(-1))


@known
def median(a: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return gf.quantile(floating(a), 0.5, axis, keepdims)


@known
def average(a: Tensor, axis: Any = None, weights: Tensor | None = None) -> Tensor:
    if weights is None:
        return NUMPY["mean"](a, axis)
    if weights.ndim == 1 and a.ndim > 1 and axis is not None:
        weights = weights.reshape([-1 if i == axis % a.ndim else 1 for i in range(a.ndim)])
    return gf.sum(a * weights, axis) / gf.sum(weights * gf.ones_like(a), axis)


@known
def transpose(a: Tensor, axes: Any = None) -> Tensor:
    return a.permute(*(range(a.ndim)[::-1] if axes is None else axes))


@known
def flip(m: Tensor, axis: Any = None) -> Tensor:
    return gf.flip(m, tuple(range(m.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,))


@known
def roll(a: Tensor, shift: Any, axis: Any = None) -> Tensor:
    return gf.roll(a, shift, axis)


@known
def rot90(m: Tensor, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    return gf.rot90(m, k, axes)


@known
def repeat(a: Tensor, repeats: Any, axis: Any = None) -> Tensor:
    return gf.repeat_interleave(a, repeats, axis)


@known
def squeeze(a: Tensor, axis: Any = None) -> Tensor:
    if axis is None:
        return gf.squeeze(a)
    for i in axis if isinstance(axis, tuple) else (axis,):
        if -a.ndim <= i < a.ndim and a.shape[i] != 1:
            raise ArgumentError(f"squeeze: axis {i} has size {a.shape[i]}, not 1; leave it out")
    return gf.squeeze(a, axis)


@known
def append(arr: Tensor, values: Tensor, axis: Any = None) -> Tensor:
    return gf.cat((arr.reshape(-1), values.reshape(-1))) if axis is None else gf.cat((arr, values), axis)


@known
def dot(a: Any, b: Any) -> Tensor:
    """NumPy's: the last axis of ``a`` with the last but one of ``b``."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or not a.ndim or not b.ndim:
        return a * b
    return gf.matmul(a, b) if b.ndim <= 2 else gf.tensordot(a, b, ((a.ndim - 1,), (b.ndim - 2,)))


@known
def tensordot(a: Tensor, b: Tensor, axes: Any = 2) -> Tensor:
    return gf.tensordot(a, b, axes if isinstance(axes, int) else tuple(x if isinstance(x, list | tuple) else (x,) for x in axes))


@known
def clip(a: Tensor, a_min: Any, a_max: Any) -> Tensor:
    return gf.clamp(a, a_min, a_max)


@known
def where(condition: Any, x: Any, y: Any) -> Tensor:
    return gf.where(condition != 0 if condition.dtype is not gf.bool_ else condition, x, y)


@known
def array_equal(a1: Tensor, a2: Tensor) -> bool:
    return gf.equal(a1, a2)


@known
def take(a: Tensor, indices: Any, axis: Any = None, mode: str = "clip") -> Tensor:
    """Elements at ``indices`` along ``axis`` (or of all, flattened); ``mode`` says what becomes of indices outside."""
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    at = positions(indices, a.shape[axis], mode, "take")
    taken = gf.index_select(a, axis, at.reshape(-1))
    axis %= a.ndim
    return taken.reshape(*a.shape[:axis], *at.shape, *a.shape[axis + 1 :])


def positions(indices: Any, n: int, mode: str, op: str) -> Tensor:
    """Indices, perhaps written as floats, brought into range as ``mode`` says."""
    at = (indices if isinstance(indices, Tensor) else gf.tensor(indices)).to(gf.int64)
    if mode == "clip":
        return gf.clamp(at, 0, n - 1)
    if mode == "wrap":
        return gf.remainder(at, n)
    if mode != "raise":
        raise ArgumentError(f"{op}: mode is {mode!r}; expected 'clip', 'wrap' or 'raise'")
    return at


def sections(name: str, exact: bool) -> Callable:
    def call(ary: Tensor, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
        if not -ary.ndim <= axis < ary.ndim:
            raise AxisError(f"{name}: axis {axis} is out of range; the array has {ary.ndim} axes")
        if exact and isinstance(indices_or_sections, int) and (indices_or_sections < 1 or ary.shape[axis] % indices_or_sections):
            raise ArgumentError(f"{name}: {ary.shape[axis]} items do not divide into {indices_or_sections} equal parts; use array_split")
        given = indices_or_sections if isinstance(indices_or_sections, int) else tuple(indices_or_sections)
        return list(gf.tensor_split(ary, given, axis))

    call.__name__ = name
    return call


NUMPY |= {"split": sections("split", True), "array_split": sections("array_split", False)}


@known
def trace(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return gf.sum(gf.diagonal(a, offset, axis1, axis2), -1)


@known
def diagonal(a: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    return gf.diagonal(a, offset, axis1, axis2)


@known
def meshgrid(*xi: Tensor, indexing: str = "xy") -> list[Tensor]:
    return list(gf.meshgrid(*xi, indexing=indexing))


@known
def nonzero(a: Tensor) -> tuple:
    return gf.nonzero(a, as_tuple=True)


@known
def unique(ar: Tensor, return_inverse: bool = False, return_counts: bool = False) -> Any:
    return gf.unique(ar, True, return_inverse, return_counts)


@known
def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    pad_width = (pad_width, pad_width) if isinstance(pad_width, int) else pad_width
    pairs = [tuple(pad_width)] * x.ndim if isinstance(pad_width[0], int) else list(pad_width)
    flat = [n for pair in pairs[::-1] for n in pair]
    names = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
    if mode not in names:
        raise ArgumentError(f"pad: mode is {mode!r}; expected one of {', '.join(map(repr, names))}")
    return gf.nn.functional.pad(x, flat, names[mode], *((constant_values,) if mode == "constant" else ()))


texts.explain(NUMPY, texts.NUMPY)

# What arrays have as methods, beside their own.
METHODS = """
    sum mean prod max min std var argmax argmin cumsum all any abs exp expm1 log log2 log10 log1p sqrt square reciprocal sign floor ceil trunc
    sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh round rint fix dot transpose swapaxes squeeze ravel clip sort argsort
    repeat tile take split broadcast_to expand_dims flip diag trace diagonal nonzero degrees radians""".split()


def reshape_like_numpy(a: Tensor, *shape: Any) -> Tensor:
    """The elements in this shape, given as numbers or as one tuple; -1 is inferred."""
    return a.reshape(*(shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape))


def classic_shape(old: tuple, shape: tuple) -> tuple:
    """``nd``'s codes for a new shape: 0 keeps a size, -1 is inferred, -2 keeps all that are left, -3 joins two, -4 divides one into the next two."""
    new: list[int] = []
    rest, i = list(old), 0
    while i < len(shape):
        n, i = shape[i], i + 1
        if n > 0 or n == -1:
            new.append(n)
            rest = rest[1:]
        elif n == -2:
            new, rest = new + rest, []
        elif n in (0, -3, -4) and len(rest) >= (2 if n == -3 else 1):
            if n == 0:
                new.append(rest.pop(0))
            elif n == -3:
                new.append(rest.pop(0) * rest.pop(0))
            else:
                size, (a, b), i = rest.pop(0), shape[i : i + 2], i + 2
                new += [size // b if a == -1 else a, size // a if b == -1 else b]
        else:
            raise ArgumentError(f"reshape: {n} in {shape} has no size of {tuple(old)} left to stand for")
    return tuple(new)


def classic_reshape(a: Tensor, *shape: Any, **kwargs: Any) -> Tensor:
    """A new shape, with ``nd``'s codes."""
    given = kwargs.get("shape") or (shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape)
    return a.reshape(*classic_shape(tuple(a.shape), tuple(given)))


def flatten(a: Tensor) -> Tensor:
    """All axes but the first become one."""
    return a.reshape(a.shape[0], math.prod(a.shape[1:]))


def real_arrays(op: str, arrays: Any) -> tuple:
    arrays = arrays[0] if len(arrays) == 1 and isinstance(arrays[0], list | tuple) else arrays
    if not all(isinstance(a, Tensor) for a in arrays):
        raise DTypeError(f"{op}: expected arrays; got {', '.join(type(a).__name__ for a in arrays)}")
    return tuple(arrays)
