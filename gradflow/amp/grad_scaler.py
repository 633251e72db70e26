"""Losses scaled up, so that small gradients are not lost in float16, and the scale found on the way."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import gradflow

from ..autograd import no_grad
from ..backends import KINDS, kernel, reduce
from ..errors import ArgumentError, GradError
from ..scalar import eq, where
from ..tensor import Tensor

gf: Any = gradflow

not_finite = kernel(lambda x: where(eq(x - x, 0), 0.0, 1.0))


class ScaleError(GradError, AssertionError):
    """What torch asserts: a scaler used in the wrong order, or with factors that cannot work."""


READY, UNSCALED, STEPPED = "ready", "unscaled", "stepped"


class GradScaler:
    """Scales losses so that gradients of float16 stay in its range, leaves out steps whose gradients are infinite or nan, and adapts the scale: times
    ``backoff_factor`` after such a step, times ``growth_factor`` after ``growth_interval`` good ones.

    ``scaler.scale(loss).backward()``, ``scaler.step(optimizer)``, ``scaler.update()``. Only ``step`` waits for the device: whether to step is a
    question to Python.

    >>> w = gf.ones(2, requires_grad=True)
    >>> optimizer, scaler = gf.optim.SGD([w], lr=0.1), gf.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale((w * w).sum()).backward()
    >>> w.grad
    tensor([8., 8.])
    >>> scaler.step(optimizer); scaler.update()
    >>> w
    tensor([0.8000, 0.8000], requires_grad=True)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and device == "cuda" and not gf.cuda.is_available():
            warnings.warn("GradScaler: GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise ScaleError("GradScaler: The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise ScaleError("GradScaler: The backoff factor must be < 1.0.")
        self._device, self._enabled = device, enabled
        self._init_scale, self._init_growth_tracker = init_scale, 0
        self._scale: Any = None  # 0-d tensors beside the first loss
        self._growth_tracker: Any = None
        self._growth_factor, self._backoff_factor, self._growth_interval = growth_factor, backoff_factor, growth_interval
        self._states: dict[int, dict[str, Any]] = {}  # by the optimizer's id: its stage, and found_inf by device

    def _of(self, optimizer: Any) -> dict[str, Any]:
        return self._states.setdefault(id(optimizer), {"stage": READY, "found_inf": {}})

    def _need_scale(self, op: str) -> None:
        if self._scale is None:
            raise ScaleError(
                f"{op}: Attempted {op} but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."
            )

    def scale(self, outputs: Any) -> Any:
        """A tensor, or every tensor of nested lists and tuples, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = gf.full((), float(self._init_scale), dtype=gf.float32, device=outputs.device)
                self._growth_tracker = gf.full((), self._init_growth_tracker, dtype=gf.int32, device=outputs.device)
            return outputs * self._scale.to(outputs.device)
        if not isinstance(outputs, Iterable):
            raise ArgumentError(f"scale: outputs must be a Tensor or an iterable of Tensors, not {type(outputs).__name__}")
        scaled = map(self.scale, outputs)
        return type(outputs)(scaled) if isinstance(outputs, list | tuple) else scaled

    @no_grad()
    def _unscale(self, optimizer: Any, factor: Any, allow_float16: bool) -> dict[Any, Any]:
        """Every gradient times a factor; by device a float32 that is 1 if one of them was infinite or nan."""
        found: dict[Any, Any] = {}
        factors: dict[Any, Any] = {}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is None:
                    continue
                if grad.dtype is gf.float16 and not allow_float16:
                    raise ArgumentError("unscale_: Attempting to unscale FP16 gradients; keep the parameters in float32 and use autocast")
                where = grad.device
                if where not in found:
                    found[where], factors[where] = gf.zeros((), dtype=gf.float32, device=where), factor.to(where)
                reduce(KINDS["sum"], not_finite, (grad.array,), None, False, found[where].array, 1)
                grad.mul_(factors[where])
        for inf in found.values():
            inf.clamp_(max=1.0)
        return found

    def unscale_(self, optimizer: Any) -> None:
        """Divide the optimizer's gradients by the scale, to look at them or clip them before :meth:`step`, which then leaves that out."""
        if not self._enabled:
            return
        self._need_scale("unscale_")
        state = self._of(optimizer)
        if state["stage"] is UNSCALED:
            raise GradError("unscale_: unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is STEPPED:
            raise GradError("unscale_: unscale_() is being called after step().")
        state["found_inf"] = self._unscale(optimizer, self._scale.double().reciprocal().float(), False)
        state["stage"] = UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """:meth:`unscale_`, and ``optimizer.step()`` if all gradients are finite. No closures."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise GradError("step: Closure use is not currently supported if GradScaler is enabled.")
        self._need_scale("step")
        state = self._of(optimizer)
        if state["stage"] is STEPPED:
            raise GradError("step: step() has already been called since the last update().")
        if state["stage"] is READY:
            self.unscale_(optimizer)
        if not state["found_inf"]:
            raise ScaleError("step: No inf checks were recorded for this optimizer: none of its parameters has a gradient")
        skip = any(inf.item() for inf in state["found_inf"].values())
        result = None if skip else optimizer.step(*args, **kwargs)
        state["stage"] = STEPPED
        return result

    @no_grad()
    def update(self, new_scale: Any = None) -> None:
        """Adapt the scale, at the end of an iteration; or set it."""
        if not self._enabled:
            return
        self._need_scale("update")
        if isinstance(new_scale, Tensor):
            if new_scale.device.type != self._device or new_scale.numel() != 1 or new_scale.requires_grad:
                raise ScaleError(
                    "update: new_scale should be a float or a 1-element FloatTensor on the scaler's device with requires_grad=False."
                )
            self._scale.copy_(new_scale.reshape(()))
        elif new_scale is not None:
            self._scale.fill_(float(new_scale))
        else:
            flags = [inf.to(self._scale.device) for state in self._states.values() for inf in state["found_inf"].values()]
            if not flags:
                raise ScaleError("update: No inf checks were recorded prior to update.")
            found = sum(flags) > 0
            good = self._growth_tracker + 1
            due = good == self._growth_interval
            larger = self._scale * self._growth_factor
            kept = gf.where(due & larger.isfinite(), larger, self._scale)
            self._scale.copy_(gf.where(found, self._scale * self._backoff_factor, kept))
            self._growth_tracker.copy_(gf.where(found | due, 0, good))
        self._states = {}

    def get_scale(self) -> float:
        """The scale; 1 where scaling is off."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def is_enabled(self) -> bool:
        """Is scaling on?"""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale, the factors, the interval and the good steps since the scale last changed; empty where scaling is off."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        if not self._enabled:
            return
        if not state_dict:
            raise GradError(
                "load_state_dict: The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale, self._init_growth_tracker = state_dict["scale"], state_dict["_growth_tracker"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
            self._growth_tracker.fill_(state_dict["_growth_tracker"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]

    def _check_inf_per_device(self, optimizer: Any) -> dict[Any, Any]:
        """By device: was a gradient infinite or nan? Gradients stay as they are."""
        self._need_scale("_check_inf_per_device")
        self._of(optimizer)["found_inf"] = self._unscale(optimizer, gf.ones((), device=self._scale.device), True)
        return self._of(optimizer)["found_inf"]

    def _found_inf_per_device(self, optimizer: Any) -> dict[Any, Any]:
        return self._of(optimizer)["found_inf"]

    def __getstate__(self) -> dict[str, Any]:
        if self._states:
            raise ScaleError(
                "GradScaler: A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after scaler.update()."
            )
        state = {**self.__dict__, "_scale": None, "_growth_tracker": None}
        return {**state, "_init_scale": self.get_scale(), "_init_growth_tracker": self._get_growth_tracker()}
