"""Parameters computed from others: a parametrization is a module between what is learnt and what the layer reads.

>>> import gradflow as gf
>>> class Symmetric(gf.nn.Module):
...     def forward(self, x):
...         return x.triu() + x.triu(1).mT
>>> layer = gf.nn.Linear(3, 3)
>>> _ = gf.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
>>> bool((layer.weight == layer.weight.mT).all())
True
>>> [name for name, _ in layer.named_parameters()]
['bias', 'parametrizations.weight.original']
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from ...autograd import no_grad
from ...errors import ArgumentError, GradflowError
from ...tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]
__all__ += ["transfer_parametrizations_and_params"]

kept: dict[tuple[int, str], Tensor] = {}  # what was computed within `cached`
depth = 0


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Within it every parametrized tensor is computed once.

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 1))
    >>> with gf.nn.utils.parametrize.cached():
    ...     print(layer.weight is layer.weight)
    True
    """
    global depth
    depth += 1
    try:
        yield
    finally:
        depth -= 1
        if not depth:
            kept.clear()


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they are computed, and what they start from: `original`,
    or `original0`, `original1`, ... where the first takes several tensors.

    >>> class Doubled(gf.nn.Module):
    ...     def forward(self, w):
    ...         return 2 * w
    >>> layer = gf.nn.Linear(2, 1)
    >>> _ = gf.nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    >>> len(layer.parametrizations["weight"])
    1
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ArgumentError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        new: Any = self._inverse(original)
        self.is_tensor = isinstance(new, Tensor)
        if not self.is_tensor and not isinstance(new, Sequence):
            raise ArgumentError(f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {type(new).__name__}")
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new.dtype != dtype:
                raise ArgumentError(
                    f"When `right_inverse` outputs one tensor, it may not change the dtype: original {dtype}, right_inverse(original) {new.dtype}"
                )
            if new is not original:
                original.data = new.detach()  # the same tensor, which an optimizer may have
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if not isinstance(part, Tensor):
                    raise ArgumentError(
                        f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element {i} of the sequence "
                        f"with type {type(part).__name__}."
                    )
                whole = Parameter(part, original.requires_grad) if isinstance(original, Parameter) else part
                _register(self, f"original{i}", whole.requires_grad_(original.requires_grad))
        if not unsafe:
            self._check(self(), shape, dtype)

    @staticmethod
    def _check(value: Any, shape: Any, dtype: Any) -> None:
        if not isinstance(value, Tensor):
            raise ArgumentError(f"A parametrization must return a tensor. Got {type(value).__name__}.")
        for what, before, after in (("dtype", dtype, value.dtype), ("shape", shape, value.shape)):
            if before != after:
                raise ArgumentError(
                    f"Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag is enabled.\n"
                    f"unparametrized {what}: {before}\nparametrized {what}: {after}"
                )

    @no_grad()
    def _inverse(self, value: Any) -> Any:
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                with contextlib.suppress(NotImplementedError):
                    value = module.right_inverse(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Set what it starts from so that this value is computed."""
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Tensor):
                    raise ArgumentError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
                self.original.data = value.detach()
            else:
                if len(value) != self.ntensors:
                    raise ArgumentError(f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got {len(value)}.")
                for i, part in enumerate(value):
                    getattr(self, f"original{i}").data = part.detach()

    def forward(self) -> Tensor:
        first, *rest = self
        x = first(self.original) if self.is_tensor else first(*(getattr(self, f"original{i}") for i in range(self.ntensors)))
        for module in rest:
            x = module(x)
        return x


def _parametrized_class(cls: type[Module]) -> type[Module]:
    """A class of the module's own, where its tensors can be properties."""

    def deepcopied(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            copy = memo[id(self)] = self.__new__(_parametrized_class(cls))
            copy.__dict__.update(deepcopy(self.__dict__, memo))
            for name in copy.parametrizations:
                setattr(type(copy), name, _computed(name))
        return memo[id(self)]

    def refused(self: Any, protocol: Any = None) -> Any:
        raise GradflowError(
            "Serialization of parametrized modules is only supported through state_dict(); save that, and register the parametrization anew"
        )

    made = type(f"Parametrized{cls.__name__}", (cls,), {"__deepcopy__": deepcopied, "__reduce_ex__": refused})
    made._before_parametrizations = cls  # type: ignore[attr-defined]
    return made


def _computed(name: str) -> property:
    def get(self: Any) -> Tensor:
        if not depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in kept:
            kept[key] = self.parametrizations[name]()
        return kept[key]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Compute a parameter or buffer of the module by a parametrization from now on; returns the module.

    Several on one tensor are computed in the order in which they were registered. `right_inverse`, if the parametrization has
    it, says what to start from, also when the tensor is assigned to: ``module.weight = value``. Unless unsafe, shape and type
    must stay.

    >>> class Doubled(gf.nn.Module):
    ...     def forward(self, w):
    ...         return 2 * w
    >>> layer = gf.nn.Linear(2, 1)
    >>> _ = gf.nn.init.ones_(layer.weight)
    >>> _ = gf.nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    >>> layer.weight.detach()
    tensor([[2., 2.]])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            with no_grad():
                value = getattr(module, tensor_name)
                ParametrizationList._check(parametrization(value), value.shape, value.dtype)
                if hasattr(parametrization, "right_inverse"):
                    inverse: Any = parametrization.right_inverse(value)
                    if not isinstance(inverse, Tensor) or inverse.dtype != value.dtype or inverse.shape != value.shape:
                        raise ArgumentError("parametrization.right_inverse must return a tensor of the shape and type of its argument")
        parametrizations: Any = module.parametrizations
        parametrizations[tensor_name].append(parametrization)
        parametrizations[tensor_name].unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        original = getattr(module, tensor_name)
        made = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.__class__ = _parametrized_class(type(module))
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _computed(tensor_name))
        module.parametrizations[tensor_name] = made
    else:
        raise ArgumentError(f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'")
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Has the module parametrizations, of this tensor or of any?

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 1))
    >>> gf.nn.utils.parametrize.is_parametrized(layer, "weight")
    True
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor an ordinary one again: with the value computed now, or with what it started from.

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 1))
    >>> gf.nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=2, out_features=1, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations: Any = module.parametrizations
    made = parametrizations[tensor_name]
    with no_grad():
        value = getattr(module, tensor_name)
    if made.is_tensor:
        tensor = made.original
        if leave_parametrized:
            tensor.data = value.detach()
    elif leave_parametrized:
        wanted = made.original0.requires_grad
        tensor = Parameter(value, wanted) if isinstance(made.original0, Parameter) else value.requires_grad_(wanted)
    else:
        raise ArgumentError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del parametrizations[tensor_name]
    _register(module, tensor_name, tensor)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type_before_parametrizations(module)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module was made of.

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 1))
    >>> gf.nn.utils.parametrize.type_before_parametrizations(layer).__name__
    'Linear'
    """
    return getattr(type(module), "_before_parametrizations", type(module))


def transfer_parametrizations_and_params(from_module: Module, to_module: Module, tensor_name: str | None = None) -> Module:
    """Give a module another's parametrizations, of one tensor or of all, and what they start from.

    >>> layer = gf.nn.utils.parametrizations.weight_norm(gf.nn.Linear(2, 1))
    >>> other = gf.nn.utils.parametrize.transfer_parametrizations_and_params(layer, gf.nn.Linear(2, 1))
    >>> gf.nn.utils.parametrize.is_parametrized(other, "weight")
    True
    """
    if not is_parametrized(from_module):
        return to_module
    source: Any = from_module.parametrizations
    if tensor_name is not None and tensor_name not in source:
        raise ArgumentError(f"Module {from_module} does not have a parametrization on {tensor_name}")
    for name in [tensor_name] if tensor_name is not None else list(source):
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in source[name]:
            register_parametrization(to_module, name, parametrization, unsafe=source[name].unsafe)
        target: Any = to_module.parametrizations
        for part in ["original"] if source[name].is_tensor else [f"original{i}" for i in range(source[name].ntensors)]:
            setattr(target[name], part, getattr(source[name], part))
    return to_module
