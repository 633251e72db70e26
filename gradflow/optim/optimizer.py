"""What all optimizers share: groups of parameters, their state, saving and loading."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

import gradflow as gf

from ..autograd import enable_grad
from ..backends import recording
from ..errors import ArgumentError, DeviceError, DTypeError, GradflowError
from ..ops.convert import element
from ..tensor import Tensor
from ..utils.hooks import RemovableHandle, add_hook

required = object()
"""The default of an option that every group must give."""


class Optimizer:
    """The base of every optimizer.

    `params` is an iterable of tensors, of (name, tensor) pairs, or of dicts, each a group with its own options.
    A subclass defines `update(group)`, one step for one group, or `step` altogether; state that belongs to a parameter
    goes into `self.state[parameter]`, a dict.

    >>> class Descent(gf.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     @gf.no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p -= group["lr"] * p.grad
    >>> w = gf.ones(1, requires_grad=True)
    >>> optimizer = Descent([w], lr=0.1)
    >>> (w * w).backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise self._wrong(
                DTypeError, "params given to the optimizer should be an iterable of Tensors or dicts, but got Tensor; use a list"
            )
        if not hasattr(params, "__iter__"):
            raise self._wrong(
                DTypeError, f"params given to the optimizer should be an iterable of Tensors or dicts, but got {type(params).__name__}"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        groups = list(params)
        if not groups:
            raise self._wrong(ArgumentError, "optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _wrong(self, kind: type[GradflowError], text: str) -> GradflowError:
        return kind(f"{type(self).__name__}: {text}")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict with "params" and the options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise self._wrong(DTypeError, f"param_group must be a dict, but got {type(param_group).__name__}")
        names, params = self._named(param_group["params"])
        for param in params:
            if not isinstance(param, Tensor):
                raise self._wrong(DTypeError, f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not param.is_leaf:
                raise self._wrong(
                    ArgumentError, "can't optimize a non-leaf Tensor; give it the tensors that you made, not what was computed from them"
                )
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise self._wrong(ArgumentError, f"parameter group didn't specify a value of required optimization parameter {name}")
        if len(params) != len(set(params)):
            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        taken = set(chain.from_iterable(group["params"] for group in self.param_groups))
        if not taken.isdisjoint(params):
            raise self._wrong(ArgumentError, "some parameters appear in more than one parameter group")
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            raise self._wrong(ArgumentError, "all optimizer param groups should be with/without names; got some of each")

        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        self.param_groups.append(param_group)

    def _named(self, params: Any) -> tuple[list[str], list[Any]]:
        """Parameters of a group as a list, with their names if it has (name, tensor) pairs."""
        if isinstance(params, Tensor):
            return [], [params]
        if isinstance(params, set):
            text = "parameters need to be organized in ordered collections: the order of a set will change between runs; use a list instead"
            raise self._wrong(DTypeError, text)
        params = list(params)
        names = [param[0] for param in params if isinstance(param, tuple)]
        if names and len(names) != len(params):
            raise self._wrong(ArgumentError, "all optimizer params should be with/without names. Some param names are missing")
        return names, [param[1] if isinstance(param, tuple) else param for param in params]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of every parameter: to None, or to zeros."""
        for group in self.param_groups:
            for param in group["params"]:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad.detach_().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient, once.

        closure, if given, is called first, with recording on, to compute the loss anew; its result is returned.
        """
        for hook in self._step_pre_hooks.values():
            hook(self, (closure,), {})
        loss = self._step(closure)
        for hook in self._step_post_hooks.values():
            hook(self, (closure,), {})
        return loss

    def _step(self, closure: Callable[[], Any] | None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if recording.graph is not None:
            self._record()
            return loss
        for group in self.param_groups:
            self.update(group)
        return loss

    def _record(self) -> None:
        """A step that is a graph's: everything that changes from step to step must be on the device."""
        name = type(self).__name__
        if not all(group.get("capturable", True) for group in self.param_groups):
            raise self._wrong(
                DeviceError,
                f"Attempting CUDA graph capture of step() for an instance of {name} but param_groups' capturable is False; steps would be counted on "
                "the host, where a replay does nothing; make it with capturable=True",
            )
        if any(isinstance(state.get("step"), int) and "capturable" not in self.defaults for state in self.state.values()):
            raise self._wrong(DeviceError, "a step cannot be captured: steps are counted on the host, where a replay does nothing")
        before = {p for p, state in self.state.items() if state}
        for group in self.param_groups:
            self.update(group)
        made = [p for p, state in self.state.items() if state and p not in before]
        for p in made:
            del self.state[p]
        if made:
            raise self._wrong(DeviceError, "the first step cannot be captured: every replay would start its state anew; step once before")

    def update(self, group: dict[str, Any]) -> None:
        """One step for one group of parameters; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__}: define step or update(group)")

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step."""
        self._refuse_own_step("register_step_pre_hook")
        return add_hook(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        self._refuse_own_step("register_step_post_hook")
        return add_hook(self._step_post_hooks, hook)

    def _refuse_own_step(self, what: str) -> None:
        if type(self).step is not Optimizer.step:
            raise ArgumentError(f"{what}: {type(self).__name__} defines its own step, which calls no hooks; define update(group) instead")

    # saving and loading

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with numbers in place of parameters, in PyTorch's layout.

        Tensors of the state are the optimizer's own, except "step", which is a copy as a float32 tensor.
        """
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            for i, param in enumerate(group["params"], start):
                numbers.setdefault(id(param), i)
            packed = {name: value for name, value in group.items() if name != "params"}
            packed["params"] = [numbers[id(param)] for param in group["params"]]
            start += len(packed["params"])
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: _packed(value) for key, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take state and options from a `state_dict()` of an optimizer with groups of the same sizes.

        Tensors are cast to their parameter's dtype. A load that raises leaves the optimizer as it was.
        """
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise self._wrong(
                ArgumentError,
                "loaded state dict has a different number of parameter groups; "
                f"got {len(saved_groups)}, the optimizer has {len(self.param_groups)}",
            )
        params: dict[Any, Any] = {}
        on_device = set()  # those whose steps are counted there
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            if len(group["params"]) != len(saved["params"]):
                raise self._wrong(
                    ArgumentError,
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group; "
                    f"got {len(saved['params'])} parameters, the group has {len(group['params'])}",
                )
            params.update(zip(saved["params"], group["params"], strict=True))
            on_device |= set(saved["params"]) if saved.get("capturable") else set()
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            state[params.get(key, key)] = _unpacked(params[key], value, key in on_device) if key in params else value
        self.__setstate__({"state": state, "param_groups": saved_groups})

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_step_pre_hooks", OrderedDict())
        self.__dict__.setdefault("_step_post_hooks", OrderedDict())
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)

    def __repr__(self) -> str:
        lines = [type(self).__name__ + " ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join(lines) + "\n)"


def _packed(state: dict[str, Any]) -> dict[str, Any]:
    step = state.get("step")
    if isinstance(step, int):
        return {**state, "step": gf.tensor(float(step), dtype=gf.float32, device="cpu")}
    return {**state, "step": step.to(gf.float32)} if isinstance(step, Tensor) else state


def _unpacked(param: Tensor, state: dict[str, Any], counted: bool) -> dict[str, Any]:
    """A parameter's saved state as it is kept: counters as ints, or ``counted`` on the device, tensors in the parameter's dtype and not shared."""
    kept: dict[str, Any] = {}
    for name, value in state.items():
        if name == "step":
            kept[name] = gf.tensor(float(value), dtype=gf.float64, device=param.device) if counted and param.is_cuda else int(value)
        elif isinstance(value, Tensor):
            dtype = param.dtype if value.is_floating_point() else value.dtype
            kept[name] = value.detach().to(dtype=dtype, device=param.device, copy=True)
        else:
            kept[name] = deepcopy(value)
    return kept


def counted(state: dict[str, Any], p: Tensor, group: dict[str, Any]) -> Any:
    """The number of a parameter's next step: an int or, if ``capturable`` and on a device, a tensor there, which is still to be added to."""
    t = state["step"]
    if not (group.get("capturable") and p.is_cuda):
        t = state["step"] = int(t) + 1
    elif not isinstance(t, Tensor):
        t = state["step"] = gf.tensor(float(t), dtype=gf.float64, device=p.device)
    return t


def number(optimizer: Optimizer, name: str, value: Any, low: float = 0.0, high: float = math.inf) -> None:
    """Refuse an option that is not a number (or a tensor of one) in [low, high)."""
    op = type(optimizer).__name__
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ArgumentError(f"{op}: Tensor {name} must be 1-element; got shape {tuple(value.shape)}")
    if not low <= element(f"{op}: {name}", value.item() if isinstance(value, Tensor) else value, gf.float64) < high:
        raise ArgumentError(
            f"{op}: Invalid {name}: {value}; it must be at least {low}" + ("" if high == math.inf else f" and below {high}")
        )


def refuse_differentiable(name: str, differentiable: bool) -> None:
    if differentiable:
        raise ArgumentError(f"{name}: differentiable=True is not supported; steps are not recorded")
