"""The modules under the names of PyTorch's files: ``nn.modules.conv`` is where the convolutions are, whatever file that is here.

>>> from gradflow.nn.modules.batchnorm import BatchNorm2d
>>> BatchNorm2d is gf.nn.BatchNorm2d
True
"""

import sys as _sys
import types as _types
import typing as _typing

from .. import (
    activations,
    adaptive,
    batchnorm,
    containers,
    conv,
    dropout,
    embedding,
    hooked,
    lazy,
    linear,
    losses,
    margin_modules,
    module,
    normalization,
    padding,
    pooling,
    recurrent,
    shuffles,
    transformer,
    upsampling,
)
from . import utils as utils

_PLACES = {
    "activation": (activations, transformer), "adaptive": (adaptive,), "batchnorm": (batchnorm,), "channelshuffle": (shuffles,), "container": (containers,), "conv": (conv,),
    "distance": (losses, margin_modules), "dropout": (dropout,), "flatten": (linear,), "fold": (upsampling,), "instancenorm": (batchnorm,),
    "lazy": (lazy,), "linear": (linear, transformer), "loss": (losses, margin_modules), "module": (module,), "normalization": (normalization, batchnorm),
    "padding": (padding,), "pixelshuffle": (shuffles,), "pooling": (pooling,), "rnn": (recurrent,), "sparse": (embedding,),
    "transformer": (transformer,), "upsampling": (upsampling,),
}  # fmt: skip
# the bases that programs derive from or ask for
_BASES: dict[str, dict[str, _typing.Any]] = {
    "batchnorm": {"_BatchNorm": batchnorm.BatchNorm, "_NormBase": batchnorm.Normalization},
    "conv": {"_ConvNd": conv.Convolution},
    "dropout": {"_DropoutNd": dropout.Dropping},
    "instancenorm": {"_InstanceNorm": batchnorm.InstanceNorm},
    "module": {key: value for key, value in vars(hooked).items() if key.startswith("register_module_")},
    "loss": {"_Loss": losses.Loss, "_WeightedLoss": losses.WeightedLoss},
}


def _make() -> None:
    for name, sources in _PLACES.items():
        place = _types.ModuleType(f"{__name__}.{name}", f"The modules of torch.nn.modules.{name}.")
        globals().update({key: value for source in sources for key, value in vars(source).items() if isinstance(value, type)})
        for source in reversed(sources):
            place.__dict__.update({key: value for key, value in vars(source).items() if not key.startswith("__")})
        place.__dict__.update(_BASES.get(name, {}))
        globals()[name] = _sys.modules[place.__name__] = place


_make()
