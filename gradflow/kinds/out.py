"""``out=``: a result written into a tensor that the caller gives, by torch's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends, dtypes
from ..errors import ArgumentError, DeviceError, DTypeError, GradError, ShapeError
from ..tape.node import mode
from ..tensor import Tensor, changed, leave, note, unrecorded, update, version_of

# Their results are not converted: ``out`` must be of the result's type. (Those of no name here convert what can be cast.)
EXACT = frozenset(
    """
    addbmm addmm addmv aminmax avg_pool2d avg_pool3d baddbmm bmm bucketize cross cummax cummin cumprod cumsum diag dot float_power frexp gather heaviside histc histogram
    index_add index_copy index_reduce index_select isin isneginf isposinf kthvalue log_softmax logsigmoid lu_solve lu_unpack masked_select matmul mm mode msort multinomial mv nan_to_num narrow_copy qr renorm scatter scatter_add searchsorted signbit softmax sort svd take take_along_dim
    topk triangular_solve vdot
    """.split()
)
# Functions of the package that are a formula, when they get no further arguments and no bools.
FORMULAS: dict[Callable, Any] = {}


def into(op: str, out: Any, function: Callable, args: tuple, kwargs: dict) -> Any:
    """``function(*args, **kwargs)`` written into ``out``: a tensor, or a tuple for several results; returns them.

    An ``out`` without elements takes the result's shape; another shape is refused. The result is converted where its type can be cast. Nothing is
    recorded: refused where that would lose a gradient. ``out`` may be one of the inputs, but not lie across one.
    """
    if isinstance(out, Tensor) and not kwargs:
        formula = getattr(function, "op", None)
        if formula is None or formula.tensors:
            formula = FORMULAS.get(function)
        if formula is not None and update(formula.kernel, out, args, function in FORMULAS):
            return out
    several = isinstance(out, tuple | list)
    outs = tuple(out) if several else (out,)
    for t in outs:
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: argument 'out' must be Tensor, not {type(t).__name__}")
    result = function(*args, **kwargs)
    results = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(r, Tensor) for r in results):
        raise DTypeError(f"{op}: got an unexpected keyword argument 'out'; the result is no tensor")
    if several != isinstance(result, tuple) or len(outs) != len(results):
        raise DTypeError(
            f"{op}: argument 'out' must be " + (f"a tuple of {len(results)} Tensors" if isinstance(result, tuple) else "one Tensor")
        )
    if not several and plainly_fits(out, result, args):
        backends.copy(result.array, out.array)
        return note(out)
    exact = op in EXACT or op.endswith("_copy") or (several and op in ("max", "min"))
    for t, r in zip(outs, results, strict=True):
        check(op, exact, t, r, (*args, *kwargs.values()))
    fitting = [
        t.array if t.array.shape == r.array.shape else backends.empty(r.array.shape, t.dtype.code, r.array)
        for t, r in zip(outs, results, strict=True)
    ]  # all of them before the first is written: there may be no memory
    for t, r, array in zip(outs, results, fitting, strict=True):
        if t.array is not array:
            leave(t)
            t.array = array
        backends.copy(r.array, t.array)
        changed(version_of(t))
    if not several:
        return out
    return type(result)(*outs) if hasattr(result, "_fields") else outs


def plainly_fits(out: Tensor, result: Any, inputs: tuple) -> bool:
    """Is there nothing to :func:`check`: memory of its own, the result's shape and type, and nothing recorded?"""
    if not isinstance(result, Tensor) or not unrecorded(out, result):
        return False
    a, r = out.array, result.array
    if a.base is not None or a.dtype is not r.dtype or a.shape != r.shape or type(r) is not np.ndarray:
        return False
    return all(x.array.base is None if isinstance(x, Tensor) else isinstance(x, bool | int | float) or x is None for x in inputs)


def check(op: str, exact: bool, out: Tensor, result: Tensor, inputs: tuple) -> None:
    from .history import change_in_place  # which is made of operations

    if mode.enabled and (out.node is not None or result.node is not None):
        raise GradError(
            f"{op}: functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad; "
            "call it within no_grad(), or without out"
        )
    change_in_place(out, op)
    if exact and result.dtype is not out.dtype:
        raise DTypeError(
            f"{op}: Expected out tensor to have dtype {result.dtype}, but got {out.dtype} instead; give an out of {result.dtype}"
        )
    if not dtypes.can_cast(result.dtype, out.dtype) and op != "bernoulli":  # whose 0 and 1 every type holds
        raise DTypeError(
            f"{op}: result type {result.dtype.name} can't be cast to the desired output type {out.dtype.name}; give an out of {result.dtype}"
        )
    a = out.array
    if backends.place_of(a) != backends.place_of(result.array):
        raise DeviceError(
            f"{op}: Expected all tensors to be on the same device, but out is on {out.device} and the result on {result.device}; move one with .to()"
        )
    if a.shape != result.array.shape and a.size:
        raise ShapeError(
            f"{op}: out has the shape {tuple(a.shape)}, the result {tuple(result.shape)}; give one of that shape, or an empty one, which takes it"
        )
    if a.size and any(step == 0 and n > 1 for step, n in zip(a.strides, a.shape, strict=True)):
        raise ArgumentError(f"{op}: unsupported operation: more than one element of out refers to a single memory location; clone() it")
    for x in inputs:
        for t in x if isinstance(x, tuple | list) else (x,):
            if isinstance(t, Tensor) and lies_across(a, t.array):
                raise ArgumentError(
                    f"{op}: unsupported operation: some elements of an input and of out refer to a single memory location; clone() it"
                )


def lies_across(a: Any, b: Any) -> bool:
    """Do two arrays without gaps share memory, and are not one?"""
    if not (np.may_share_memory(a, b) and all(x.flags.c_contiguous or x.flags.f_contiguous for x in (a, b))):
        return False
    return a.ctypes.data != b.ctypes.data or a.nbytes != b.nbytes
