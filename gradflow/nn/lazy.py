"""Layers that learn the size of their input from the first one."""

from __future__ import annotations

import warnings
from typing import Any

import gradflow as gf

from ..errors import ShapeError
from ..tensor import Tensor
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .conv import Conv1d, Conv2d, Conv3d, Convolution, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .parameter import Parameter


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet.

    >>> gf.nn.LazyLinear(3).weight
    <UninitializedParameter>
    """

    @property
    def shape(self) -> Any:
        raise ShapeError("Can't access the shape of an uninitialized parameter; call the module first, or load_state_dict")

    def materialize(self, values: Tensor) -> None:
        """Become a :class:`Parameter` with these values, on the device and in the dtype that it had."""
        self.__class__ = Parameter  # type: ignore[assignment]
        self.data = values.detach().to(self.device, self.dtype)

    def __repr__(self, **kwargs: Any) -> str:
        return "<UninitializedParameter>"


def infer(module: Lazy, args: tuple[Any, ...]) -> None:
    """Before the first forward."""
    if module.has_uninitialized_params():
        module.initialize_parameters(*args)
    module._waiting.remove()
    del module._waiting, module._arguments
    module.__class__ = module.cls_to_become


class Lazy(Module):
    """What these have in common: the first call makes the parameters and turns the module into one of ``cls_to_become``.

    >>> import gradflow as gf
    >>> net = gf.nn.LazyLinear(3)
    >>> net(gf.ones(2, 5)).shape, net
    (torch.Size([2, 3]), Linear(in_features=5, out_features=3, bias=True))
    """

    cls_to_become: type[Any]
    size_name: str  # of the attribute that the input tells

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        state = gf.get_rng_state()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nothing to draw
            super().__init__(0, *args, **kwargs)  # type: ignore[call-arg]
        gf.set_rng_state(state)
        self._arguments = args, kwargs
        for name, parameter in list(self._parameters.items()):
            if parameter is not None:
                self.register_parameter(name, UninitializedParameter(gf.empty(0, dtype=parameter.dtype, device=parameter.device)))
        self._waiting = self.register_forward_pre_hook(infer)

    def has_uninitialized_params(self) -> bool:
        """Whether no input has been seen."""
        return getattr(self, self.size_name) == 0

    def initialize_parameters(self, input: Tensor) -> None:
        """Make the parameters for inputs like this one."""
        self._become(input.shape[self._axis(input)])

    def _axis(self, input: Tensor) -> int:
        return -1

    def _size_in(self, weight: Tensor) -> int:
        """The input's size, from a weight for it."""
        return weight.shape[1]

    def _become(self, size: int) -> None:
        args, kwargs = self._arguments
        made = self.cls_to_become(size, *args, **kwargs)
        for name, parameter in made._parameters.items():
            own = self._parameters[name]
            if own is not None:
                own.materialize(parameter)
        for name, buffer in made.named_buffers():
            own = getattr(self, name)
            setattr(self, name, buffer.to(own.device, own.dtype))
        setattr(self, self.size_name, size)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        known = state_dict.get(f"{prefix}weight", state_dict.get(f"{prefix}running_mean"))
        if known is not None and self.has_uninitialized_params():
            self._become(self._size_in(known))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LazyLinear(Lazy, Linear):
    """:class:`Linear` from inputs of any size, the first one's.

    >>> layer = gf.nn.LazyLinear(3)
    >>> layer(gf.ones(2, 5)).shape, layer
    (torch.Size([2, 3]), Linear(in_features=5, out_features=3, bias=True))
    """

    cls_to_become, size_name = Linear, "in_features"


class LazyConvolution(Lazy, Convolution):
    """What lazy convolutions share."""

    size_name = "in_channels"

    def _axis(self, input: Tensor) -> int:
        return -1 - self.space

    def _size_in(self, weight: Tensor) -> int:
        return weight.shape[0] if self.transposed else weight.shape[1] * self.groups


class LazyNormalization(Lazy):
    """What lazy normalisations share."""

    size_name = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, **kwargs)

    def _axis(self, input: Tensor) -> int:
        return 1

    def _size_in(self, weight: Tensor) -> int:
        return weight.shape[0]


def lazily(eager: type[Module], kind: type[Lazy]) -> type[Any]:
    name = f"Lazy{eager.__name__}"
    arguments, sizes = "4, 3" if kind is LazyConvolution else "", "3, 2" + ", 5" * int(name[-2])
    doc = f""":class:`{eager.__name__}` for inputs of any number of channels, the first one's.

    >>> layer = gf.nn.{name}({arguments})
    >>> y = layer(gf.ones({sizes}))
    >>> layer.{kind.size_name}
    2
    """
    return type(name, (kind, eager), {"cls_to_become": eager, "__doc__": doc, "__module__": __name__})


LazyConv1d, LazyConv2d, LazyConv3d = (lazily(c, LazyConvolution) for c in (Conv1d, Conv2d, Conv3d))
LazyConvTranspose1d, LazyConvTranspose2d, LazyConvTranspose3d = (
    lazily(c, LazyConvolution) for c in (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)
)
LazyBatchNorm1d, LazyBatchNorm2d, LazyBatchNorm3d = (lazily(c, LazyNormalization) for c in (BatchNorm1d, BatchNorm2d, BatchNorm3d))
LazyInstanceNorm1d, LazyInstanceNorm2d, LazyInstanceNorm3d = (
    lazily(c, LazyNormalization) for c in (InstanceNorm1d, InstanceNorm2d, InstanceNorm3d)
)
