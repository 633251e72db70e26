"""Module: a tree of parameters, buffers and modules with a `forward`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..tensor import Tensor
from .convertible import Convertible
from .hooked import Hooked
from .parameter import Buffer, Parameter
from .registry import Registry
from .stateful import Stateful

Self = TypeVar("Self", bound="Module")


class Module(Stateful, Convertible, Hooked):
    """The base of every neural network module, as in PyTorch.

    Parameters, buffers and modules assigned as attributes are registered under their names; everything that works on
    the whole tree (`parameters()`, `to()`, `state_dict()`, `train()`, ...) finds them there.

    >>> import gradflow as gf
    >>> class Net(gf.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = gf.nn.Linear(4, 8)
    ...         self.out = gf.nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         return self.out(self.hidden(x).relu())
    >>> Net()
    Net(
      (hidden): Linear(in_features=4, out_features=8, bias=True)
      (out): Linear(in_features=8, out_features=1, bias=True)
    )
    """

    training: bool
    _parameter_names: dict[str, bool]
    _buffer_names: dict[str, bool]
    _module_names: dict[str, bool]

    def __init__(self) -> None:
        # Values are plain attributes; only the names of those that are registered are kept, in order.
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_parameter_names"] = {}
        attributes["_buffer_names"] = {}  # name -> persistent
        attributes["_module_names"] = {}
        attributes["_forward_pre_hooks"] = OrderedDict()
        attributes["_forward_hooks"] = OrderedDict()
        attributes["_state_dict_pre_hooks"] = OrderedDict()
        attributes["_state_dict_post_hooks"] = OrderedDict()
        attributes["_load_state_dict_pre_hooks"] = OrderedDict()
        attributes["_load_state_dict_post_hooks"] = OrderedDict()

    @property
    def _parameters(self) -> Registry:  # type: ignore[override]
        return Registry(self.__dict__, self._parameter_names)

    @property
    def _buffers(self) -> Registry:
        return Registry(self.__dict__, self._buffer_names)

    @property
    def _modules(self) -> Registry:  # type: ignore[override]
        return Registry(self.__dict__, self._module_names)

    # registration

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        if isinstance(value, Parameter):
            self._drop(name, "parameter", keep="_parameter_names")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._drop(name, "module", keep="_module_names")
            self._modules[name] = value
        elif isinstance(value, Buffer):
            self._drop(name, "buffer", keep="_buffer_names")
            self.register_buffer(name, value, value.persistent)
        elif name in attributes.get("_parameter_names", ()):
            self._refuse_unless_none(value, name, "parameter", "Parameter")
            attributes[name] = None
        elif name in attributes.get("_module_names", ()):
            self._refuse_unless_none(value, name, "child module", "Module")
            attributes[name] = None
        elif name in attributes.get("_buffer_names", ()):
            self.register_buffer(name, value, self._buffer_names[name])
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        """What is no attribute; classes that look further call this first, also for what is one."""
        if name in self.__dict__:
            return self.__dict__[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for names in (self._parameter_names, self._buffer_names, self._module_names):
            names.pop(name, None)
        object.__delattr__(self, name)

    def _drop(self, name: str, what: str, keep: str) -> None:
        """Make way for a value of another kind under this name."""
        attributes = self.__dict__
        if keep not in attributes:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if name not in attributes[keep]:
            for kind in ("_parameter_names", "_buffer_names", "_module_names"):
                attributes[kind].pop(name, None)
            attributes.pop(name, None)

    @staticmethod
    def _refuse_unless_none(value: Any, name: str, what: str, wanted: str) -> None:
        if value is not None:
            raise TypeError(f"cannot assign '{type(value).__name__}' as {what} '{name}' (nn.{wanted} or None expected)")

    def _check_name(self, name: str, what: str, registered: str) -> None:
        if registered not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in self.__dict__[registered] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or None to reserve its name."""
        self._check_name(name, "parameter", "_parameter_names")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign '{type(param).__name__}' object to parameter '{name}' (nn.Parameter or None required)")
        if param is not None and param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but no parameter; persistent says whether it is part of `state_dict()`."""
        self._check_name(name, "buffer", "_buffer_names")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        self._buffer_names[name] = persistent

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module, or None to reserve its name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name(name, "module", "_module_names")
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    # finding by name

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is the module itself. AttributeError if there is none."""
        module = self
        for name in target.split(".") if target else ():
            found = module._find(name)
            if not isinstance(found, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted path; with strict only where there is one already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if (strict or hasattr(parent, name)) and not isinstance(parent._find(name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._find(name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. AttributeError if there is none."""
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module._find(name)
        if name not in module._buffer_names:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _find(self, name: str) -> Any:
        if not hasattr(self, name):
            raise AttributeError(f"{self._get_name()} has no attribute `{name}`")
        return getattr(self, name)

    # walking the tree

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Every module of the tree with its dotted name, this one first under prefix, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Every module of the tree, this one first, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        seen = set()
        for path, module in modules:
            attributes = module.__dict__
            for name in attributes[kind]:
                tensor = attributes[name]
                if tensor is None or id(tensor) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(tensor))
                yield (f"{path}.{name}" if path else name), tensor

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted name, each once."""
        return self._named_members("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter of the tree, or with recurse=False of this module only, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name, each once."""
        return self._named_members("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer of the tree, or with recurse=False of this module only, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call fn on every module, children before parents; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # modes and gradients

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode, which Dropout and the like look at, on the whole tree."""
        if not isinstance(mode, bool):
            raise ValueError(f"Module.train: training mode is expected to be boolean; got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Have every parameter record gradients, or stop."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is compiled; the module runs as it is."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of every parameter: to None, or to zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.detach_().zero_()

    # printing

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the module prints between its brackets; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        lines = [*(extra.split("\n") if extra else ()), *children]
        if not lines or (not children and len(lines) == 1):
            return f"{self._get_name()}({''.join(lines)})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def __dir__(self) -> list[str]:
        return sorted(name for name in object.__dir__(self) if not name[:1].isdigit())


def indented(text: str) -> str:
    """Every line after the first moved in by two."""
    return text.replace("\n", "\n  ")
