"""Modules as functions of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError, DTypeError, GradError
from ..ops.joining import stack
from ..tensor import Tensor
from .transforms import kind


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with other parameters and buffers: tensors by the names of ``named_parameters`` and ``named_buffers``.

    ``parameter_and_buffer_dicts`` is a dictionary, or several without a common name. Names left out keep the module's tensors, and
    names that it does not have are passed over, unless ``strict``. With ``tie_weights`` a tensor that has several names is replaced under all of them. Gradients flow to the tensors given.

    >>> layer = gf.nn.Linear(2, 1)
    >>> gf.func.functional_call(layer, {"weight": gf.ones(1, 2), "bias": gf.zeros(1)}, gf.tensor([1.0, 2.0]))
    tensor([3.])
    """
    op = "functional_call"
    dicts = [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, dict) else parameter_and_buffer_dicts
    if not isinstance(dicts, list | tuple):
        raise ArgumentError(f"{op}: Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {kind(dicts)}")
    if not all(isinstance(d, dict) for d in dicts):
        raise ArgumentError(f"{op}: Expected all elements of parameter_and_buffer_dicts to be dictionaries; they are {[*map(kind, dicts)]}")
    names = [name for d in dicts for name in d]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ArgumentError(
            f"{op}: {repeated} appeared in multiple dictionaries; behavior of functional call is ambiguous; give each name once"
        )
    tensors = {name: t for d in dicts for name, t in d.items()}
    places = {**named(module.named_parameters), **named(module.named_buffers)}
    unknown = [name for name in tensors if name not in places]
    missing = [name for name in places if name not in tensors]
    if strict and (unknown or missing):
        raise GradError(f"{op}: Unexpected key(s): {unknown}; Missing key(s): {missing}; with strict=True the names must be the module's")
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise DTypeError(f"{op}: {t!r} given for {name!r} is not an instance of Tensor; it is a {kind(t)}")
    if tie_weights:
        tensors = tied(tensors, places)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    before: list[tuple[dict, str, Any]] = []
    try:
        for name, t in tensors.items():
            if name not in places:
                continue
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path).__dict__
            before.append((owner, last, owner[last]))
            owner[last] = t
        return module(*args, **(kwargs or {}))
    finally:
        for owner, last, value in reversed(before):
            owner[last] = value


def named(members: Callable) -> dict[str, Tensor]:
    return dict(members(remove_duplicate=False))


def tied(tensors: dict[str, Tensor], places: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under all names of each of the module's tensors."""
    groups: dict[int, list[str]] = {}
    for name, t in places.items():
        groups.setdefault(id(t), []).append(name)
    result = dict(tensors)
    for group in groups.values():
        given = [tensors[name] for name in group if name in tensors]
        if len({id(t) for t in given}) > 1:
            raise ArgumentError(
                f"functional_call: got multiple values for keys {sorted(group)}, which are tied. Consider using tie_weights=False"
            )
        result.update({name: given[0] for name in group if given})
    return result


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """``(parameters, buffers)`` of modules of one class, stacked by name: new leaves of shape (len(models), \\*shape).

    >>> params, buffers = gf.func.stack_module_state([gf.nn.Linear(3, 2) for _ in range(5)])
    >>> params["weight"].shape
    torch.Size([5, 2, 3])
    """
    models = list(models)
    op = "stack_module_state"
    if not models:
        raise GradError(f"{op}: Expected at least one model, got 0.")
    if len({m.training for m in models}) > 1:
        raise GradError(f"{op}: Expected all models to have the same training/eval mode; call train() or eval() on all")
    if len({type(m) for m in models}) > 1:
        raise GradError(f"{op}: Expected all models to be of the same class; they are {sorted({kind(m) for m in models})}")

    def stacked(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        result = {}
        for name in members[0]:
            tensors = [m[name] for m in members]
            if len({t.requires_grad for t in tensors}) > 1:
                raise GradError(f"{op}: Expected {name} from each model to have the same .requires_grad")
            result[name] = stack([t.detach() for t in tensors]).requires_grad_(tensors[0].requires_grad)
        return result

    return stacked([dict(m.named_parameters()) for m in models]), stacked([dict(m.named_buffers()) for m in models])
