"""gradflow: tensors, a tape, and three kernels. ``import gradflow as gf``, or ``as torch``: the names are torch's."""

from __future__ import annotations

import builtins as _builtins
import math as _math
import os as _os
import typing as _typing

from . import scalar
from ._version import __version__
from .dtypes import (
    bfloat16,
    bool_,
    can_cast,
    double,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    float_,
    get_default_dtype,
    half,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    int_,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
)
from .errors import DeviceMemoryError as OutOfMemoryError
from .tensor import Size, Tensor, device
from . import autograd, constructors, creation, errors, methods, numpy_calls
from .autograd import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, safe_grad, set_grad_enabled
from .constructors import (
    asarray,
    empty_strided,
    from_dlpack,
    frombuffer,
    randint_like,
    scalar_tensor,
    to_dlpack,
    tril_indices,
    triu_indices,
    range_,
    vander,
)
from .creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from .drawing import normal, rand, rand_like, randint, randn, randn_like, randperm
from .kinds import elementwise
from .ops.joining import cat, hstack, meshgrid, stack, vstack
from .ops.random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .ops.views import broadcast_tensors
from .runtime import empty_cache, get_num_threads, memory_stats, set_num_threads

globals().update(methods.FUNCTIONS | methods.ALONE | constructors.TYPES)
bool, float, int, range = bool_, float_, int_, range_
concat = concatenate = cat
pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan


def is_tensor(obj: object) -> _builtins.bool:
    """Is ``obj`` a Tensor?

    >>> gf.is_tensor(gf.ones(2)), gf.is_tensor([1, 2])
    (True, False)
    """
    return isinstance(obj, Tensor)


def _tensor_given(op: str, x: object) -> Tensor:
    if not isinstance(x, Tensor):
        raise errors.DTypeError(f"{op}: argument 'input' must be Tensor, not {type(x).__name__}")
    return x


def numel(input: Tensor) -> _builtins.int:
    """The number of elements.

    >>> gf.numel(gf.ones(2, 3))
    6
    """
    return _tensor_given("numel", input).numel()


def is_floating_point(input: Tensor) -> _builtins.bool:
    """Is the type a floating-point type?

    >>> gf.is_floating_point(gf.tensor([1.0])), gf.is_floating_point(gf.tensor([1]))
    (True, False)
    """
    return _tensor_given("is_floating_point", input).is_floating_point()


def is_complex(input: Tensor) -> bool_:  # type: ignore[valid-type]
    """Is the type a complex type? There are none.

    >>> gf.is_complex(gf.ones(2))
    False
    """
    return _tensor_given("is_complex", input).is_complex()


def result_type(a: object, b: object) -> dtype:
    """The type of the result of an operation on ``a`` and ``b``.

    >>> gf.result_type(gf.tensor([1, 2]), 1.5)
    torch.float32
    """
    from .backends import result_type as code
    from .dtypes import BY_CODE

    return BY_CODE[code(tuple(x.array if isinstance(x, Tensor) else x for x in (a, b)))]


from . import accelerator, cuda, fft, linalg, nn, optim, testing, utils
from .free import belong as _belong
from .nn.free import FUNCTIONS as _functions_of_nn
from .ops.distributions import feature_dropout
from .ops.sharing import LAYOUTS as _layouts
from .ops.axes import Layout
from .ops.windows import bartlett_window, blackman_window, hamming_window, hann_window, kaiser_window
from .printing import set_printoptions
from .serialization import load, save
from .settings import (
    are_deterministic_algorithms_enabled,
    get_default_device,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    is_deterministic_algorithms_warn_only_enabled,
    is_storage,
    is_warn_always_enabled,
    set_default_device,
    set_default_tensor_type,
    set_deterministic_debug_mode,
    set_flush_denormal,
    set_float32_matmul_precision,
    set_warn_always,
    use_deterministic_algorithms,
)

globals().update(_layouts)
for _name, _function in _functions_of_nn.items():
    globals().setdefault(_name, _function)
layout = memory_format = Layout
newaxis = None

# read when they are first asked for
_LATER = set(
    "amp compiler distributed distributions func graph hub jit memory mxnet overrides profiler random signal special types version".split()
)
_ABSENT = {
    "complex numbers": "cdouble cfloat chalf complex complex32 complex64 complex128 imag istft polar stft view_as_complex view_as_real",
    "sparse tensors": "smm sparse sparse_coo_tensor sparse_csr_tensor sparse_compressed_tensor spmm sspaddmm",
    "quantized tensors": "ao qint8 qint32 quantization quantize_per_channel quantize_per_tensor quint8",
    "exported programs": "_dynamo export fx library onnx package",
    "tensors shared by processes": "multiprocessing",
    "Apple's and Intel's GPUs": "mps xpu",
}

if _typing.TYPE_CHECKING:
    from . import (
        amp,
        compiler,
        distributed,
        distributions,
        func,
        hub,
        jit,
        memory,
        mxnet,
        overrides,
        random,
        signal,
        special,
        types,
        version,
    )
    from .amp import autocast
    from .compiler import compile
    from .func import vmap
    from .typed import *
else:
    _LATE = {"explain": "graph", "vmap": "func", "autocast": "amp", "compile": "compiler"}
    _LATE |= {f"is_autocast_{name}": "amp" for name in ("available", "enabled")}
    _LATE |= {f"{verb}_autocast_{what}": "amp" for verb, what in (("set", "enabled"), ("set", "dtype"), ("get", "dtype"))}
    _LATE |= dict.fromkeys(("is_autocast_cache_enabled", "set_autocast_cache_enabled", "clear_autocast_cache"), "amp")
    _LATE |= {f"get_autocast_{where}_dtype": "amp" for where in ("cpu", "gpu")}

    def __getattr__(name: str) -> object:
        """``gradflow.special``, ``gradflow.func`` and others, which are read when they are first asked for."""
        import importlib

        if name in _LATER:
            return importlib.import_module(f"gradflow.{name}")
        if name in _LATE:
            return getattr(importlib.import_module(f"gradflow.{_LATE[name]}"), name)
        for what, names in _ABSENT.items():
            if name in names.split():
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}: there are no {what} in gradflow")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


for _name in (nn.functional.__name__, linalg.__name__, __name__):
    _belong(_name)
if _os.environ.get("GRADFLOW_GRADCHECK") == "1":
    from .checking import check_program as _check_program

    _check_program()
