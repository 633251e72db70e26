"""Pruning: a parameter `name` becomes `name_orig` times a mask of ones and zeros, `name_mask`, before each forward.

>>> import gradflow as gf
>>> layer = gf.nn.Linear(4, 1)
>>> int(l1_unstructured(layer, "weight", amount=2).weight.count_nonzero())
2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gradflow as gf

from ...errors import ArgumentError, DTypeError, ShapeError
from ...tensor import Tensor
from ..module import Module

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured", "RandomUnstructured",
    "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip


class BasePruningMethod(ABC):
    """What chooses the elements that go: a subclass defines `compute_mask(t, default_mask)` and `PRUNING_TYPE`.

    `PRUNING_TYPE` is "unstructured" (elements), "structured" (whole slices) or "global" (the mask as it is given): what a second pruning
    of one parameter looks at.

    >>> issubclass(gf.nn.utils.prune.L1Unstructured, gf.nn.utils.prune.BasePruningMethod)
    True
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for the scores `t`, of which `default_mask` already takes some away."""

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """The parameter with its mask, part of the graph."""
        name = self._tensor_name
        if not hasattr(module, f"{name}_mask"):
            raise ArgumentError(f"prune: Module {module} has to be pruned first; {name!r} has no mask")
        original = getattr(module, f"{name}_orig")
        return getattr(module, f"{name}_mask").to(dtype=original.dtype) * original

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any) -> Any:
        """Prune the parameter `name`; a second time, what is left of it."""
        if not isinstance(getattr(module, name, None), Tensor):
            raise ArgumentError(f"prune: {type(module).__name__} has no parameter {name!r}")
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        former = _hook_of(module, name)
        original = getattr(module, name) if former is None else getattr(module, f"{name}_orig")
        scores = original if importance_scores is None else importance_scores
        if scores.shape != original.shape:
            raise ShapeError(
                f"prune: importance_scores should have the same shape as parameter {name!r}; {tuple(scores.shape)} and {tuple(original.shape)}"
            )
        if former is None:
            default = gf.ones_like(original)
        else:
            key, hook = former
            default = getattr(module, f"{name}_mask").detach().clone()
            del module._forward_pre_hooks[key]
            container = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            container.add_pruning_method(method)
            method = container
        try:
            mask = method.compute_mask(scores.detach(), default)
        except Exception:
            if former is not None:
                module._forward_pre_hooks[key] = (hook, False)  # as it was
                if method is hook:
                    hook._pruning_methods = hook._pruning_methods[:-1]
            raise
        if former is None:
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
        else:
            setattr(module, f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """The tensor with zeros where the method prunes it; no module is needed."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise ShapeError(f"prune: importance_scores should have the same shape as t; {tuple(scores.shape)} and {tuple(t.shape)}")
        return t * self.compute_mask(scores.detach(), gf.ones_like(t) if default_mask is None else default_mask).to(dtype=t.dtype)

    def remove(self, module: Module) -> None:
        """Make the pruned values the parameter, for good."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        original = module._parameters.pop(f"{name}_orig")
        assert original is not None
        with gf.no_grad():
            original.copy_(weight)
        delattr(module, f"{name}_mask")
        delattr(module, name)
        module.register_parameter(name, original)


def _hook_of(module: Module, name: str) -> tuple[int, Any] | None:
    """(key, method) of what prunes a parameter."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None


class PruningContainer(BasePruningMethod):
    """The methods that pruned one parameter, one after the other; the last looks only at what the others left.

    >>> len(gf.nn.utils.prune.PruningContainer())
    0
    """

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        self._tensor_name = args[0]._tensor_name if args else ""
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        if method is not None and not isinstance(method, BasePruningMethod):
            raise DTypeError(f"prune: {type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name and method._tensor_name != self._tensor_name:
            raise ArgumentError(
                f"prune: Can only add pruning methods acting on the parameter named {self._tensor_name!r}; this one acts on {method._tensor_name!r}"
            )
        if method is not None:
            self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        method = self._pruning_methods[-1]
        mask = default_mask.to(dtype=t.dtype)
        kind = method.PRUNING_TYPE
        if kind == "global":
            return mask * method.compute_mask(t, mask).to(dtype=t.dtype)
        if kind == "unstructured":
            left: Any = mask == 1
        elif kind == "structured":
            dim = _axis(t, method.dim)  # type: ignore[attr-defined]
            others = tuple(i for i in range(t.ndim) if i != dim)
            kept = mask.sum(others) != 0
            left = (*(slice(None) for _ in range(dim)), kept)
        else:
            raise ArgumentError(f"prune: Unrecognized PRUNING_TYPE {kind!r}; choose unstructured, structured or global")
        new = mask.clone()
        new[left] = method.compute_mask(t[left], mask[left]).to(dtype=t.dtype)
        return new


def _check_amount(amount: Any) -> None:
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise DTypeError(f"prune: Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ArgumentError(f"prune: amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _count(amount: float, size: int) -> int:
    """How many of `size` go."""
    if isinstance(amount, int):
        if amount > size:
            raise ArgumentError(f"prune: amount={amount} should be smaller than the number of parameters to prune={size}")
        return amount
    return round(amount * size)


def _axis(t: Tensor, dim: int) -> int:
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"prune: Invalid index {dim} for tensor of size {tuple(t.shape)}")
    return dim % t.ndim


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the names of a pruned parameter.

    >>> gf.nn.utils.prune.Identity().prune(gf.ones(2))
    tensor([1., 1.])
    """

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Unstructured(BasePruningMethod):
    """Elements: a number of them, or a part of all."""

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        mask = default_mask.clone()
        if count:
            mask.view(-1)[self._chosen(t, count)] = 0
        return mask


class RandomUnstructured(_Unstructured):
    """Elements by chance.

    >>> int(gf.nn.utils.prune.RandomUnstructured(amount=0.5).prune(gf.ones(10)).sum())
    5
    """

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return gf.rand(t.numel(), device=t.device).topk(count).indices


class L1Unstructured(_Unstructured):
    """The elements closest to zero.

    >>> gf.nn.utils.prune.L1Unstructured(amount=1).prune(gf.tensor([1.0, -0.5, 2.0]))
    tensor([1., -0., 2.])
    """

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return t.abs().view(-1).topk(count, largest=False).indices


class _Structured(BasePruningMethod):
    """Whole slices along an axis."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def _scores(self, t: Tensor, dim: int) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim <= 1:
            raise ArgumentError(f"prune: Structured pruning can only be applied to multidimensional tensors; it has shape {tuple(t.shape)}")
        dim = _axis(t, self.dim)
        size = t.shape[dim]
        keep = size - _count(self.amount, size)
        if keep == size:
            return default_mask
        mask = gf.zeros_like(t).index_fill(dim, self._scores(t, dim).topk(keep).indices, 1) if keep else gf.zeros_like(t)
        return mask * default_mask.to(dtype=mask.dtype)


class RandomStructured(_Structured):
    """Slices along `dim` by chance.

    >>> int(gf.nn.utils.prune.RandomStructured(amount=1, dim=0).prune(gf.ones(2, 3)).sum())
    3
    """

    def _scores(self, t: Tensor, dim: int) -> Tensor:
        return gf.rand(t.shape[dim], device=t.device)


class LnStructured(_Structured):
    """The slices along `dim` of the smallest norm of order `n`.

    >>> gf.nn.utils.prune.LnStructured(amount=1, n=2, dim=0).prune(gf.tensor([[1.0, 2.0], [0.0, 1.0]]))
    tensor([[1., 2.],
            [0., 0.]])
    """

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _scores(self, t: Tensor, dim: int) -> Tensor:
        return gf.norm(t, p=self.n, dim=tuple(i for i in range(t.ndim) if i != dim))


class CustomFromMask(BasePruningMethod):
    """What a mask says.

    >>> gf.nn.utils.prune.CustomFromMask(gf.tensor([1, 0])).prune(gf.ones(2))
    tensor([1., 0.])
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if self.mask.shape != default_mask.shape:
            raise ShapeError(f"prune: the mask has the shape {tuple(self.mask.shape)}, the parameter {tuple(default_mask.shape)}")
        return default_mask * self.mask.to(dtype=default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Give a parameter the names of a pruned one, and prune nothing; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> sorted(name for name, _ in prune.identity(gf.nn.Linear(2, 1), "bias").named_parameters())
    ['bias_orig', 'weight']
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements by chance: a number of them (int), or a part of all (float); returns the module.

    >>> prune = gf.nn.utils.prune
    >>> int(prune.random_unstructured(gf.nn.Linear(4, 1), "weight", 3).weight_mask.sum())
    1
    """
    RandomUnstructured.apply(module, name, amount=amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune the elements closest to zero, or those of the smallest scores; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> int(prune.l1_unstructured(gf.nn.Linear(4, 1), "weight", 0.25).weight_mask.sum())
    3
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune slices along `dim` by chance; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> int(prune.random_structured(gf.nn.Linear(4, 3), "weight", 1, dim=0).weight_mask.sum())
    8
    """
    RandomStructured.apply(module, name, amount=amount, dim=dim)
    return module


def ln_structured(module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None) -> Module:
    """Prune the slices along `dim` of the smallest norm of order `n`; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> int(prune.ln_structured(gf.nn.Linear(4, 3), "weight", 2, n=2, dim=1).weight_mask.sum())
    6
    """
    LnStructured.apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one: `amount` counts over all of them.

    >>> prune = gf.nn.utils.prune
    >>> net = gf.nn.Sequential(gf.nn.Linear(2, 2), gf.nn.Linear(2, 2))
    >>> prune.global_unstructured([(net[0], "weight"), (net[1], "weight")], prune.L1Unstructured, amount=6)
    >>> int(net[0].weight_mask.sum() + net[1].weight_mask.sum())
    2
    """
    if not isinstance(parameters, Iterable):
        raise DTypeError("global_unstructured(): parameters is not an Iterable")
    pairs: Sequence[tuple[Module, str]] = list(parameters)
    given = importance_scores or {}
    if not isinstance(given, dict):
        raise DTypeError("global_unstructured(): importance_scores must be of type dict")
    if not (isinstance(pruning_method, type) and pruning_method.PRUNING_TYPE == "unstructured"):
        raise DTypeError(
            f"global_unstructured(): Only 'unstructured' PRUNING_TYPE supported for the `pruning_method`; got {pruning_method}"
        )
    scores = [given.get((module, name), getattr(module, name)) for module, name in pairs]
    masks = [getattr(module, f"{name}_mask", gf.ones_like(getattr(module, name))) for module, name in pairs]
    container = PruningContainer()
    method: Any = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    joined = [gf.nn.utils.parameters_to_vector(tensors) for tensors in (scores, masks)]
    mask = container.compute_mask(joined[0].detach(), joined[1])
    for (module, name), part in zip(pairs, mask.split([s.numel() for s in scores]), strict=True):
        custom_from_mask(module, name, part.view_as(getattr(module, name)))


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune where the mask is 0; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> prune.custom_from_mask(gf.nn.Linear(2, 2), "bias", gf.tensor([0, 0])).bias.tolist() == [0, 0]
    True
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: Module, name: str) -> Module:
    """Make what pruning left the parameter, without a mask; returns the module.

    >>> prune = gf.nn.utils.prune
    >>> prune.is_pruned(prune.remove(prune.random_unstructured(gf.nn.Linear(4, 1), "weight", 3), "weight"))
    False
    """
    found = _hook_of(module, name)
    if found is None:
        raise ArgumentError(f"prune: Parameter {name!r} of module {module} has to be pruned before pruning can be removed")
    found[1].remove(module)
    del module._forward_pre_hooks[found[0]]
    return module


def is_pruned(module: Module) -> bool:
    """Has the module, or one in it, a pruned parameter?

    >>> gf.nn.utils.prune.is_pruned(gf.nn.Linear(2, 1))
    False
    """
    return any(isinstance(hook, BasePruningMethod) for m in module.modules() for hook, _ in m._forward_pre_hooks.values())
