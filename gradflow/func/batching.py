"""vmap: a function of one example becomes a function of many.

The arguments' arrays hide their batch axis (``backends/batched.py``), so the function runs once, on what looks like one example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from ..autograd.backward import grad
from ..backends import batching_rules as batching_rules
from ..backends import numpy_rules as numpy_rules
from ..backends.batched import Batch, BatchedArray, batches_of, running, within
from ..errors import ArgumentError, DTypeError
from ..kinds.crossing import enter, leave
from ..ops.joining import cat
from ..ops.views import movedim, require_tensor
from ..tape.node import next_number
from ..tensor import Tensor, wrap
from .trees import flatten, spread, tree_map, unflatten

RANDOMNESS = ("error", "different", "same")


def name_of(function: Any) -> str:
    if isinstance(function, partial):
        return f"functools.partial({name_of(function.func)}, ...)"
    return getattr(function, "__name__", None) or repr(function)


def vmap(func: Callable, in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None) -> Callable:
    """``func``, which takes one example, as a function of many: it runs once, and every operation steps over a hidden axis.

    ``in_dims`` says which axis of each argument numbers the examples: an int, ``None`` for what all share, or a tree of them like the
    arguments. ``out_dims`` says where it is in the results. Inside, ``randomness`` is "error", or each example draws "different" or the
    "same" numbers. ``chunk_size`` examples are done at a time. It nests, inside and outside of derivatives. Raises ``ValueError``
    for arguments that do not fit, and ``BatchError`` (a ``RuntimeError``) for what depends on values: item(), if, a mask as an index.

    >>> x = gf.arange(6.0).reshape(2, 3)
    >>> gf.func.vmap(lambda row: row @ row)(x)
    tensor([ 5., 50.])
    >>> gf.func.vmap(gf.func.grad(lambda w, row: (w * row).sin().sum()), in_dims=(None, 0))(gf.zeros(3), x)
    tensor([[0., 1., 2.],
            [3., 4., 5.]])
    """
    check_randomness("vmap", randomness)
    if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size <= 0):
        raise ArgumentError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        check_out_dims(out_dims)
        size, dims, leaves, shape = mapped(func, in_dims, args)
        if chunk_size is None or size <= chunk_size:
            return run(func, size, dims, leaves, shape, out_dims, randomness, kwargs)
        results = []
        for start in range(0, size, chunk_size):
            n = min(chunk_size, size - start)
            part = [x if d is None else x.narrow(d, start, n) for x, d in zip(leaves, dims, strict=True)]
            results.append(run(func, n, dims, part, shape, out_dims, randomness, kwargs))
        flat = [flatten(r) for r in results]
        places = spread(out_dims, flat[0][1]) or []
        joined = [
            column[0] if d is None else cat(column, d) for column, d in zip(zip(*(f[0] for f in flat), strict=True), places, strict=True)
        ]
        return unflatten(joined, flat[0][1])

    return call


def check_randomness(op: str, randomness: Any) -> None:
    if randomness not in RANDOMNESS:
        raise ArgumentError(f"{op}: Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")


def check_out_dims(out_dims: Any) -> None:
    def check(d: Any) -> None:
        if d is not None and (isinstance(d, bool) or not isinstance(d, int)):
            raise ArgumentError(
                f"vmap: `out_dims` must be an int, None or a python collection of ints representing where in the outputs the vmapped "
                f"dimension should appear; it is {out_dims!r}"
            )

    tree_map(check, out_dims)


def mapped(func: Callable, in_dims: Any, args: tuple) -> tuple[int, list[Any], list[Any], Any]:
    """(number of examples, the axis of each leaf of the arguments, the leaves, the arguments' shape)."""
    where = f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if isinstance(in_dims, bool) or not isinstance(in_dims, int | tuple):
        kind = type(in_dims).__name__
        raise ArgumentError(f"{where}: expected `in_dims` to be int or a (potentially nested) tuple matching the inputs, got: {kind}")
    if not args:
        raise ArgumentError(f"{where}: got no inputs. Maybe you forgot to add inputs, or the function has none, which is unsupported")
    leaves, shape = flatten(args)
    dims = spread(in_dims, shape)
    if dims is None:
        raise ArgumentError(
            f"{where}: in_dims is not compatible with the structure of `inputs`. in_dims has structure {flatten(in_dims)[1]} but inputs has "
            f"structure {shape}"
        )
    sizes = []
    for i, (x, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is None:
            continue
        if isinstance(d, bool) or not isinstance(d, int):
            raise ArgumentError(f"{where}: Got in_dim={d} for an input but in_dim must be either an integer dimension or None")
        if not isinstance(x, Tensor):
            raise ArgumentError(
                f"{where}: Got in_dim={d} for an input but the input is of type {type(x).__name__}. We cannot vmap over non-Tensor arguments, "
                "please use None as the respective in_dim"
            )
        if not -x.ndim <= d < x.ndim:
            raise ArgumentError(
                f"{where}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {x.ndim} so expected in_dim to satisfy "
                f"-{x.ndim} <= in_dim < {x.ndim}"
            )
        dims[i] = d % x.ndim
        sizes.append(x.shape[d])
    if not sizes:
        raise ArgumentError("vmap: Expected at least one Tensor to vmap over; all in_dims are None")
    if len(set(sizes)) > 1:
        raise ArgumentError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes}")
    return sizes[0], dims, leaves, shape


def run(func: Callable, size: int, dims: list[Any], leaves: Sequence[Any], shape: Any, out_dims: Any, randomness: str, kwargs: dict) -> Any:
    batch = Batch(size, randomness, next_number())
    given = [x if d is None else enter(movedim(x, d, 0) if d else x, batch) for x, d in zip(leaves, dims, strict=True)]
    try:
        with within([*running.stack, batch]):
            result = func(*unflatten(given, shape), **kwargs)
    finally:
        batch.open = False
    return results(func, result, out_dims, batch)


def along_first(function: Callable, tensors: Sequence[Tensor]) -> list[Tensor]:
    """``function`` of every row of ``tensors`` at once: a vmap without trees. What was drawn before, every row draws again the same."""
    batch = Batch(tensors[0].shape[0], "same", next_number())
    try:
        with within([*running.stack, batch]):
            found = function([enter(t, batch) for t in tensors])
    finally:
        batch.open = False
    return [leave(t, batch) for t in found]


def results(func: Callable, result: Any, out_dims: Any, batch: Batch) -> Any:
    name = name_of(func)
    leaves, shape = flatten(result)
    alone = isinstance(result, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1
    places = spread(out_dims[0] if alone else out_dims, shape)
    if places is None:
        raise ArgumentError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`. out_dims has "
            f"structure {flatten(out_dims)[1]} but outputs has structure {shape}"
        )
    done = []
    for y, d in zip(leaves, places, strict=True):
        ours = isinstance(y, Tensor) and batch in batches_of(y.array)
        if d is None:
            if ours:
                raise ArgumentError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None; name the axis")
            done.append(y)
            continue
        if not isinstance(y, Tensor):
            raise ArgumentError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(y).__name__}. Did you mean to set out_dims= to None for "
                "output?"
            )
        done.append(movedim(leave(y, batch), 0, d) if d else leave(y, batch))
    return unflatten(done, shape)


def batched_grad(
    outputs: tuple, inputs: tuple, grad_outputs: Any, retain: Any, create: bool, allow_unused: Any, materialize: bool
) -> tuple:
    """``autograd.grad`` for many cotangents at once: the first axis of each of ``grad_outputs`` numbers them."""
    given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs or ())
    if not given or not all(isinstance(g, Tensor) for g in given):
        raise DTypeError("grad: is_grads_batched=True needs a Tensor with the batch as its first axis for every output in grad_outputs")
    used: list[bool] = []

    def one(*cotangents: Tensor) -> tuple:
        found = grad(outputs, inputs, cotangents, retain, create, allow_unused=allow_unused, materialize_grads=materialize)
        used[:] = [g is not None for g in found]
        return tuple(g for g in found if g is not None)

    found = iter(vmap(one)(*given))
    return tuple(next(found) if there else None for there in used)


def debug_unwrap(tensor: Tensor, *, recurse: bool = True) -> Tensor:
    """All examples of a tensor within :func:`vmap`, to be looked at in a debugger: the innermost's, or with ``recurse`` those of all around it.

    Another tensor is given back as it is. What is computed from the result does not belong to the transformed function.

    >>> y = gf.func.vmap(lambda x: print(gf.func.debug_unwrap(x)) or x)(gf.arange(3))
    tensor([0, 1, 2])
    """
    require_tensor("debug_unwrap", tensor)
    array = tensor.array
    while type(array) is BatchedArray:
        array = array.physical
        if not recurse:
            break
    return tensor if array is tensor.array else wrap(array)


__all__ = ["debug_unwrap", "vmap"]
