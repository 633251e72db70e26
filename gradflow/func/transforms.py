"""Derivatives as transforms: functions of functions.

Each transform runs its function on variables of its own (see ``autograd/levels.py``), so transforms nest in any order. Forward mode is
made of two reverse passes: every operation with a second derivative has it. It costs about three evaluations, and memory as reverse
mode does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ..autograd.levels import Level, zeros
from ..creation import eye
from ..creation import zeros as new_zeros
from ..errors import ArgumentError, BatchError, GradError
from ..ops.joining import cat, stack
from ..ops.views import movedim, reshape
from ..tensor import Tensor
from .batching import along_first, check_randomness
from .trees import flatten, flatten_as, tree_map, unflatten


def kind(x: Any) -> str:
    return type(x).__name__


def pick(op: str, args: tuple, argnums: Any) -> list[int]:
    """The positions that ``argnums`` names."""
    if isinstance(argnums, bool) or not isinstance(argnums, int | tuple):
        raise GradError(f"{op}: argnums must be int or Tuple[int, ...], got: {kind(argnums)}")
    given = argnums if isinstance(argnums, tuple) else (argnums,)
    if not given:
        raise GradError(f"{op}: argnums must be non-empty; name an argument to differentiate for")
    for n in given:
        if isinstance(n, bool) or not isinstance(n, int):
            raise GradError(f"{op}: argnum must be int, got: {kind(n)}")
        if not -len(args) <= n < len(args):
            raise GradError(f"{op}: Got argnum={n}, but only {len(args)} positional inputs; count from 0")
    places = [n % len(args) for n in given]
    if len(set(places)) != len(places):
        raise GradError(f"{op}: argnums elements must be unique, got {argnums}")
    return places


def variables(op: str, level: Level, tree: Any) -> Any:
    def variable(x: Any) -> Tensor:
        if not isinstance(x, Tensor):
            raise ArgumentError(
                f"{op}: Thing passed to transform API must be Tensor, got {kind(x)}; give only Tensors to differentiate for"
            )
        return level.variable(x)

    return tree_map(variable, tree)


def split_aux(op: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise GradError(f"{op}: output of function f should be a tuple: (output, aux) if has_aux is True; it is a {kind(result)}")
    return result


def tensors_of(op: str, result: Any, floating: bool = False) -> tuple[list[Tensor], Any]:
    """(leaves, shape) of what the function returned."""
    leaves, shape = flatten(result)
    if not leaves or (len(leaves) == 1 and leaves[0] is None):
        raise GradError(f"{op}: Expected f to be a function that has non-empty output (got output = {result!r}); return a Tensor")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise GradError(f"{op}: expected f(*primals) to return only tensors, got unsupported type {kind(leaf)}; return it with has_aux")
        if floating and not leaf.is_floating_point():
            raise GradError(f"{op}: All outputs of f must be floating-point Tensors, got Tensor with dtype {leaf.dtype.name}; convert it")
    return leaves, shape


def filled(found: Sequence[Any], like: Sequence[Tensor]) -> list[Tensor]:
    """A derivative for what was not used: zeros."""
    return [zeros(x) if g is None else g for g, x in zip(found, like, strict=True)]


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that computes the gradient of ``func``, which returns a scalar.

    ``argnums`` says for which arguments: for a tuple the result is a tuple. An argument may be a tree of tensors: so is its gradient. With
    ``has_aux``, ``func`` returns ``(scalar, aux)`` and the result is ``(gradient, aux)``. Raises ``GradError`` (a ``RuntimeError``) for a
    result that is no scalar.

    >>> x = gf.tensor(2.0)
    >>> gf.func.grad(gf.func.grad(lambda x: x**3))(x)
    tensor(12.)
    """

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        result, value = gradient("grad", func, argnums, has_aux, args, kwargs)
        return (result, value[1]) if has_aux else result

    return call


def grad_and_value(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """As :func:`grad`, with the value: ``(gradient, value)``, or ``(gradient, (value, aux))``.

    >>> gf.func.grad_and_value(lambda x: x * x)(gf.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return gradient("grad_and_value", func, argnums, has_aux, args, kwargs)

    return call


def value_and_grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """:func:`grad_and_value` in the other order: ``(value, gradient)``, or ``((value, aux), gradient)``.

    >>> gf.func.value_and_grad(lambda x: x**2)(gf.tensor(3.0))
    (tensor(9.), tensor(6.))
    """

    @wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        return gradient("value_and_grad", func, argnums, has_aux, args, kwargs)[::-1]

    return call


def gradient(op: str, func: Callable, argnums: Any, has_aux: bool, args: tuple, kwargs: dict) -> tuple[Any, Any]:
    places = pick(op, args, argnums)
    given = list(args)
    with Level() as level:
        for n in places:
            given[n] = variables(op, level, args[n])
        value, aux = split_aux(op, func(*given, **kwargs), has_aux)
        if not isinstance(value, Tensor):
            raise GradError(f"{op}: Expected f(*args) to return a Tensor, got {kind(value)}; return a scalar Tensor")
        if value.ndim:
            raise GradError(
                f"{op}: Expected f(*args) to return a scalar Tensor, got tensor with {value.ndim} dims. Maybe you wanted to use the vjp or "
                "jacrev APIs instead?"
            )
        inputs, shape = flatten([given[n] for n in places])
        found = filled(level.grad([value], inputs, [None], retain=False), inputs)
    grads = unflatten([level.settle(g) for g in found], shape)
    result = tuple(grads) if isinstance(argnums, tuple) else grads[0]
    value = level.settle(value)
    return result, (value, tree_map(level.settle, aux)) if has_aux else value


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> Any:
    """``(func(*primals), vjp_fn)``, or with ``has_aux`` ``(output, vjp_fn, aux)``: ``vjp_fn(cotangents)`` is the tuple of vᵀJ for each primal.

    Primals, output and cotangents are trees of tensors; the cotangents have the output's shape. ``vjp_fn`` may be called many times.

    >>> y, back = gf.func.vjp(lambda x: (x.sin(), x * 2), gf.zeros(2))
    >>> back((gf.ones(2), gf.ones(2)))
    (tensor([3., 3.]),)
    """
    output, pull, aux = pullback("vjp", func, primals, None, has_aux)
    return (output, pull, aux) if has_aux else (output, pull)


def pullback(op: str, func: Callable, args: tuple, argnums: Any, has_aux: bool) -> tuple[Any, Callable, Any]:
    places = list(range(len(args))) if argnums is None else pick(op, args, argnums)
    given = list(args)
    with Level() as level:
        for n in places:
            given[n] = variables(op, level, args[n])
        output, aux = split_aux(op, func(*given), has_aux)
        outputs, shape = tensors_of(op, output, floating=True)
    inputs, inputs_shape = flatten([given[n] for n in places])

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        seeds = flatten_as(cotangents, shape)
        if seeds is None:
            raise GradError(
                f"{op}: Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. cotangents: "
                f"{flatten(cotangents)[1]}, primal output: {shape}"
            )
        found = filled(level.grad(outputs, inputs, seeds, retain_graph, bool(create_graph)), inputs)
        grads = unflatten([level.settle(g) for g in found], inputs_shape)
        return tuple(grads) if argnums is None or isinstance(argnums, tuple) else grads[0]

    return unflatten([level.settle(y) for y in outputs], shape), pull, tree_map(level.settle, aux)


def jvp(func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False) -> Any:
    """``(func(*primals), J·tangents)``, or with ``has_aux`` ``(output, J·tangents, aux)``.

    ``primals`` and ``tangents`` are tuples of trees of the same shape. ``strict`` refuses an output that does not depend on the primals;
    else its tangent is 0. Computed by two reverse passes: every operation must have a second derivative.

    >>> gf.func.jvp(lambda x: x.exp(), (gf.zeros(2),), (gf.tensor([1.0, 2.0]),))
    (tensor([1., 1.]), tensor([1., 2.]))
    """
    output, result, aux = pushed("jvp", func, primals, tangents, None, strict, has_aux)
    return (output, result, aux) if has_aux else (output, result)


def pushed(op: str, func: Callable, primals: Any, tangents: Any, argnums: Any, strict: bool, has_aux: bool) -> tuple[Any, Any, Any]:
    """(output, its tangent, aux)."""
    output, push, aux = pushforward(op, func, primals, argnums, strict, has_aux)
    return output, push(tangents), aux


def pushforward(op: str, func: Callable, primals: Any, argnums: Any, strict: bool, has_aux: bool) -> tuple[Any, Callable, Any]:
    """(output, the function from tangents to the output's tangent, aux)."""
    if not isinstance(primals, tuple):
        raise GradError(f"{op}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals). It is a {kind(primals)}")
    places = list(range(len(primals))) if argnums is None else pick(op, primals, argnums)
    given = list(primals)
    with Level() as level:
        for n in places:
            given[n] = variables(op, level, primals[n])
        inputs, shape = flatten(tuple(given[n] for n in places))
        if not inputs:
            raise GradError(f"{op}: Expected primals to contain at least one Tensor.")
        output, aux = split_aux(op, func(*given), has_aux)
        outputs, output_shape = tensors_of(op, output)
        push = level.pushforward(outputs, inputs)

    def along(tangents: Any) -> Any:
        given = flatten_as(tangents, shape)
        if given is None:
            raise GradError(
                f"{op}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple of 3 tensors, "
                f"tangents also must be. Got primals with structure {shape} and tangents with structure {flatten(tangents)[1]}"
            )
        check_tangents(op, given, inputs)
        found = push(given)
        if strict and any(t is None for t in found):
            raise GradError(f"{op}: The output of f is independent of the inputs. This is not allowed with strict=True.")
        return unflatten([level.settle(t) for t in filled(found, outputs)], output_shape)

    return unflatten([level.settle(y) for y in outputs], output_shape), along, tree_map(level.settle, aux)


def check_tangents(op: str, tangents: Sequence[Any], inputs: Sequence[Tensor]) -> None:
    for t, x in zip(tangents, inputs, strict=True):
        if not isinstance(t, Tensor):
            raise GradError(f"{op}: Expected tangents to only contain Tensors, got {kind(t)}")
        if t.shape != x.shape:
            raise GradError(f"{op}: a tangent has shape {tuple(t.shape)} and its primal {tuple(x.shape)}; they must be the same")
        if not t.is_floating_point():
            raise ArgumentError(
                f"{op}: Expected tangent to be floating point; a tangent has dtype {t.dtype.name}; convert it to the primal's, {x.dtype.name}"
            )


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """``(func(*primals), jvp_fn)``: ``jvp_fn(*tangents)`` is J·tangents at ``primals``; the function is run once for all tangents.

    >>> y, push = gf.func.linearize(lambda x: x**2, gf.tensor([1.0, 3.0]))
    >>> push(gf.ones(2))
    tensor([2., 6.])
    """
    output, push, _ = pushforward("linearize", func, primals, None, False, False)
    return output, lambda *tangents: push(tangents)


def basis(tensors: Sequence[Tensor]) -> list[Tensor]:
    """For each tensor all its directions among those of all: (total, \\*shape), ones on a diagonal."""
    total = sum(t.numel() for t in tensors)
    result, at = [], 0
    for t in tensors:
        n = t.numel()
        result.append(reshape(eye(total, dtype=t.dtype, device=t.device)[:, at : at + n], (total, *t.shape)))
        at += n
    return result


def each(function: Callable, directions: Sequence[Tensor], like: Sequence[Tensor], chunk: int | None = None) -> list[Tensor]:
    """``function`` of every direction, its results stacked; ``like`` are tensors such as it returns.

    ``chunk`` directions go at once, by vmap, ``None`` for all. Code of the user's that vmap refuses sees one after the other.
    """
    total = directions[0].shape[0] if directions else 0
    if not total:
        return [new_zeros((0, *t.shape), dtype=t.dtype, device=t.device) for t in like]
    n = total if chunk is None else chunk
    if n > 1:
        try:
            parts = [along_first(function, [d[i : i + n] for d in directions] if n < total else directions) for i in range(0, total, n)]
            return [cat(column) if len(column) > 1 else column[0] for column in zip(*parts, strict=True)]
        except BatchError:
            pass
    found = [function([d[i] for d in directions]) for i in range(total)]
    return [stack(column) for column in zip(*found, strict=True)]


def blocks(stacked: Tensor, outer: Sequence[Tensor]) -> list[Tensor]:
    """The rows of ``stacked`` that belong to each of ``outer``, (\\*outer.shape, \\*rest)."""
    result, at = [], 0
    for t in outer:
        n = t.numel()
        result.append(reshape(stacked[at : at + n], (*t.shape, *stacked.shape[1:])))
        at += n
    return result


def chunked(op: str, chunk_size: Any) -> None:
    if chunk_size is not None and (isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size <= 0):
        raise ArgumentError(f"{op}: `chunk_size` should be greater than 0; it is {chunk_size!r}")


def jacrev(func: Callable, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, chunk_size: int | None = None) -> Callable:
    """The function that computes the Jacobian of ``func`` by reverse mode: a pass for each element of the output, ``chunk_size`` at once
    (default: all).

    For an output and an argument that are tensors it has shape (\\*output.shape, \\*argument.shape). For trees it is the output's tree, in it
    ``argnums``' tuple, in it the argument's tree. Wants floating-point outputs.

    >>> gf.func.jacrev(lambda x: x * x)(gf.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    chunked("jacrev", chunk_size)

    @wraps(func)
    def call(*args: Any) -> Any:
        output, pull, aux = pullback("jacrev", func, args, argnums, has_aux)
        outputs, shape = flatten(output)
        given = [args[n] for n in pick("jacrev", args, argnums)]
        inputs, inputs_shape = flatten(tuple(given) if isinstance(argnums, tuple) else given[0])
        rows = each(lambda seeds: flatten(pull(unflatten(seeds, shape)))[0], basis(outputs), inputs, chunk_size)
        columns = [blocks(row, outputs) for row in rows]
        result = unflatten([unflatten([column[k] for column in columns], inputs_shape) for k in range(len(outputs))], shape)
        return (result, aux) if has_aux else result

    return call


def jacfwd(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable:
    """As :func:`jacrev`, by forward mode: a pass for each element of the arguments, all at once. The function runs once, so ``randomness`` is
    no matter.

    >>> gf.func.jacfwd(lambda x: x.sum())(gf.ones(3))
    tensor([1., 1., 1.])
    """
    check_randomness("jacfwd", randomness)

    @wraps(func)
    def call(*args: Any) -> Any:
        output, push, aux = pushforward("jacfwd", func, args, argnums, False, has_aux)
        outputs, shape = flatten(output)
        given = tuple(args[n] for n in pick("jacfwd", args, argnums))
        inputs, inputs_shape = flatten(given)
        rows = each(lambda tangents: flatten(push(unflatten(tangents, inputs_shape)))[0], basis(inputs), outputs)
        found = []
        for row, y in zip(rows, outputs, strict=True):
            sides = [tuple(range(x.ndim)) for x in inputs]
            parts = [movedim(b, s, tuple(y.ndim + i for i in s)) if s else b for b, s in zip(blocks(row, inputs), sides, strict=True)]
            tree = unflatten(parts, inputs_shape)
            found.append(tree if isinstance(argnums, tuple) else tree[0])
        result = unflatten(found, shape)
        return (result, aux) if has_aux else result

    return call


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that computes the Hessian of ``func``: ``jacfwd(jacrev(func))``.

    >>> gf.func.hessian(lambda x: (x**3).sum())(gf.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
