"""A module's state as a flat dict of tensors, and back, all or nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd import no_grad
from ..errors import ArgumentError
from ..tensor import Tensor
from ..utils.hooks import RemovableHandle, add_hook
from .parameter import Parameter

if TYPE_CHECKING:
    from .registry import Registry

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class StateDict(OrderedDict[str, Any]):
    """An ordered dict with the version of each module beside it."""

    _metadata: OrderedDict[str, Any]


class Stateful:
    """The part of Module that saves and loads."""

    _version = 1
    _parameters: Registry
    _modules: Registry
    _buffer_names: dict[str, bool]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., None]]
    _state_dict_post_hooks: OrderedDict[int, Callable[..., None]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., None]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., None]]

    def get_extra_state(self) -> Any:
        """State other than tensors; a subclass that defines it, with `set_extra_state`, has it in `state_dict()`."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: not defined; define it in the subclass")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: not defined; define it in the subclass")

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict()` reads this module."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after `state_dict()` has read this module."""
        return add_hook(self._state_dict_post_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` before a load."""
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)`, which may edit the two lists in place, after a load is checked."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., None], with_module: bool = False) -> RemovableHandle:
        """`register_load_state_dict_pre_hook`, for hooks that do not take the module."""
        return self.register_load_state_dict_pre_hook(hook if with_module else lambda module, *args: hook(*args))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """`register_state_dict_post_hook`, under its old name."""
        return self.register_state_dict_post_hook(hook)

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Every parameter and persistent buffer, by its dotted name, in an ordered dict.

        The tensors share the module's memory and are detached, unless keep_vars.
        """
        if destination is None:
            destination = StateDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_post_hooks.values():
            hook(self, destination, prefix, local_metadata)
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Put this module's own state, not its children's, into destination."""
        for name, tensor in self._own_state().items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor]:
        own = dict(self._parameters)
        own.update((name, self.__dict__[name]) for name, persistent in self._buffer_names.items() if persistent)
        return {name: tensor for name, tensor in own.items() if tensor is not None}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copy the values in state_dict into the parameters and buffers of these names.

        All names and shapes are checked before the first value is copied: a load that raises leaves the module as
        it was. With strict, missing and unexpected names raise; without, they are returned. With assign, the tensors
        themselves take the place of the module's.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None) or {}
        keys = IncompatibleKeys([], [])
        errors: list[str] = []
        pending: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

        def load(module: Stateful, state: dict[str, Any], prefix: str) -> None:
            local_metadata = dict(metadata.get(prefix[:-1], {}), pending=pending)
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(state, prefix, local_metadata, True, *keys, errors)
            for name, child in module._modules.items():
                if child is not None:
                    inner = prefix + name + "."
                    load(child, {k: v for k, v in state.items() if k.startswith(inner)}, inner)
            for hook in module._load_state_dict_post_hooks.values():
                hook(module, keys)

        load(self, dict(state_dict), "")
        if strict:
            for kind, names in (("Unexpected", keys.unexpected_keys), ("Missing", keys.missing_keys)):
                if names:
                    quoted = ", ".join(f'"{name}"' for name in names)
                    errors.insert(0, f"{kind} key(s) in state_dict: {quoted}. ")
        if errors:
            listed = "\n\t".join(errors)
            raise ArgumentError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        with no_grad():
            for change, arguments in pending:
                change(*arguments)
        return keys

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Check this module's own entries and put the copies to make into `local_metadata["pending"]`."""
        checks = (strict, missing_keys, unexpected_keys, error_msgs)
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, *checks)
        own = self._own_state()
        pending = local_metadata["pending"]
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, target in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
            elif error := _mismatch(key, target, state_dict[key]):
                error_msgs.append(error)
            elif assign:
                pending.append((setattr, (self, name, _like(target, state_dict[key]))))
            else:
                pending.append((_copy, (target, state_dict[key])))

        extra_key = prefix + EXTRA_STATE
        has_extra = type(self).set_extra_state is not Stateful.set_extra_state
        if has_extra and extra_key in state_dict:
            # first, for it is the one change that may still raise
            pending.insert(0, (self.set_extra_state, (state_dict[extra_key],)))
        elif has_extra:
            missing_keys.append(extra_key)
        for key in state_dict:
            if not key.startswith(prefix) or (has_extra and key == extra_key):
                continue
            name, dot, _ = key[len(prefix) :].partition(".")
            if name not in (self._modules if dot else own):
                unexpected_keys.append(key)


def _mismatch(key: str, target: Tensor, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return f'While copying the parameter named "{key}", expected a Tensor from checkpoint but received {type(value)}'
    if value.shape == target.shape or (target.ndim == 0 and value.shape == (1,)):
        return None
    return (
        f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current model is {target.shape}."
    )


def _copy(target: Tensor, value: Tensor) -> None:
    target.copy_(value.reshape(target.shape))


def _like(target: Tensor, value: Tensor) -> Tensor:
    """The loaded tensor as what the target is."""
    if not isinstance(target, Parameter):
        return value
    if not isinstance(value, Parameter):
        return Parameter(value, requires_grad=target.requires_grad)
    return value.requires_grad_(target.requires_grad)
