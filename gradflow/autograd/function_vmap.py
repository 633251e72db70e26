"""Custom functions within vmap: the ``vmap`` that their author wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..backends.batched import Batch, batches_of, running, top, within
from ..errors import GradError
from ..kinds.crossing import LEAVE, enter, leave
from ..kinds.history import rebase
from ..tensor import Tensor, version_of
from .levels import differentiated_since


class VmapInfo(NamedTuple):
    """What a custom function's ``vmap`` is told: the number of examples, and what random numbers are to be for them."""

    batch_size: int
    randomness: str


def innermost(args: Any) -> Batch | None:
    """The innermost vmap that one of the tensors among ``args`` belongs to."""
    return top([x.array for x in args if isinstance(x, Tensor)])


def rule(cls: Any, args: tuple) -> tuple[Callable | None, bool]:
    """(``cls.vmap`` as a function of tensors that hide a batch axis, or ``None`` where none does; is it what backward goes through?).

    It is differentiated itself where the derivative is taken outside of the vmap. Inside of it, backward goes through ``cls.backward``.
    """
    from ..func.trees import flatten

    batch = innermost(flatten(args)[0])
    if batch is None:
        return None, False
    if cls.generate_vmap_rule:
        raise GradError(
            f"vmap: You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an overridden vmap staticmethod; "
            "set generate_vmap_rule=False or delete the vmap staticmethod"
        )
    return lambda *args: batched(cls, batch, args), not differentiated_since(batch.start, args)


def batched(cls: Any, batch: Batch, args: tuple) -> Any:
    from ..func.trees import flatten, spread, unflatten

    leaves, shape = flatten(args)
    ours = [isinstance(x, Tensor) and batch in batches_of(x.array) for x in leaves]
    given = [shown(x, batch) if there else x for x, there in zip(leaves, ours, strict=True)]
    info = VmapInfo(batch.size, batch.randomness)
    with within([b for b in running.stack if b is not batch]):
        result = cls.vmap(info, unflatten([0 if there else None for there in ours], shape), *unflatten(given, shape))
        if not isinstance(result, tuple) or len(result) != 2:
            got = f"{len(result)} returns" if isinstance(result, tuple) else f"a {type(result).__name__}"
            raise GradError(
                f"{cls.__name__}: Expected the vmap staticmethod to have two returns, an output and out_dims with pytree structure compatible "
                f"with the output. Got {got} instead"
            )
        output, out_dims = result
        outputs, output_shape = flatten(output)
        dims = spread(out_dims, output_shape)
        if dims is None:
            raise GradError(
                f"{cls.__name__}: The autograd.Function's vmap staticmethod returned an incompatible (output, out_dims) tuple. Expected "
                f"out_dims={out_dims} to be compatible with the structure of `output`, which is {output_shape}"
            )
        known = {id(x): old for x, old, there in zip(given, leaves, ours, strict=True) if there}
        moved = [placed(cls, y, d, batch) if id(y) not in known else y for y, d in zip(outputs, dims, strict=True)]
    done = [
        y if not isinstance(y, Tensor) or d is None else handed(y, known[id(y)], batch) if id(y) in known else enter(y, batch)
        for y, d in zip(moved, dims, strict=True)
    ]
    return unflatten(done, output_shape)


def shown(x: Tensor, batch: Batch) -> Tensor:
    t = leave(x, batch)
    t.version = version_of(x)
    return t


def placed(cls: Any, y: Any, d: Any, batch: Batch) -> Any:
    """An output with the examples' axis first."""
    if not isinstance(y, Tensor) or d is None:
        return y
    if not isinstance(d, int) or not -y.ndim <= d < y.ndim or y.shape[d] != batch.size:
        raise GradError(
            f"{cls.__name__}: the vmap staticmethod returned an output of shape {tuple(y.shape)} with out_dim {d!r}; name its axis of size "
            f"{batch.size}"
        )
    return y.movedim(d, 0) if d else y


def handed(y: Tensor, x: Tensor, batch: Batch) -> Tensor:
    """The rule returned an argument: that is returned, with what has happened to it."""
    if y.node is not None and (y.node.plan is not LEAVE or y.node.parents[0] is not x.node):
        rebase(x, enter(y, batch).node)
    return x
