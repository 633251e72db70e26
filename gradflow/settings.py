"""Settings that programs for PyTorch make: kept and answered, and refused where they ask for what is not here."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .backends import products
from .devices import CPU, default, device
from .errors import ArgumentError


def set_float32_matmul_precision(precision: str) -> None:
    """The precision of products of float32 on CUDA: "highest" is float32; "high" and "medium" allow TF32. On the CPU it is float32 whatever is set.

    >>> gf.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        raise ArgumentError(
            f"set_float32_matmul_precision: Invalid float32 matmul precision: {precision!r}; choose highest, high or medium"
        )
    products.float32 = precision


def get_float32_matmul_precision() -> str:
    """What :func:`set_float32_matmul_precision` was given.

    >>> gf.get_float32_matmul_precision()
    'highest'
    """
    return products.float32


def get_default_device() -> device:
    """Where new tensors of this thread are made.

    >>> gf.get_default_device()
    device(type='cpu')
    """
    found = default.device or CPU
    if found.type == "cuda" and found.index is None:
        from .cuda import current_device

        return device("cuda", current_device())
    return found


def set_default_device(where: Any) -> None:
    """Make new tensors of this thread on a device unless they say where; ``None``: on the CPU.

    >>> gf.set_default_device("cpu")
    """
    found = None if where is None else device(where)
    if found is not None and found.type == "cuda":
        from .cuda import number

        number(found)
    default.device = found


def set_default_tensor_type(t: Any) -> None:
    """``torch.FloatTensor``, ``torch.DoubleTensor`` or their names: sets the default floating-point type.

    >>> gf.set_default_tensor_type(gf.DoubleTensor)
    >>> gf.tensor([1.5]).dtype
    torch.float64
    >>> gf.set_default_tensor_type("torch.FloatTensor")
    """
    name = t.rsplit(".", 1)[-1] if isinstance(t, str) else getattr(t, "__name__", "")
    kinds = {"FloatTensor": dtypes.float32, "DoubleTensor": dtypes.float64, "HalfTensor": dtypes.float16, "BFloat16Tensor": dtypes.bfloat16}
    if name not in kinds:
        raise ArgumentError(f"set_default_tensor_type: only floating-point types are supported as the default type, not {t!r}")
    dtypes.set_default_dtype(kinds[name])


def set_flush_denormal(mode: bool) -> bool:
    """Denormal numbers are computed with; ``False`` says that this cannot be changed.

    >>> gf.set_flush_denormal(True)
    False
    """
    return False


def is_storage(obj: object) -> bool:
    """Is ``obj`` a storage? There are none: memory is NumPy's.

    >>> gf.is_storage(gf.ones(2))
    False
    """
    return False


deterministic = {"mode": False, "warn_only": False}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Whether results must be the same bits every time; here they are, whatever is set.

    >>> gf.use_deterministic_algorithms(False)
    """
    deterministic.update(mode=bool(mode), warn_only=bool(mode and warn_only))


def are_deterministic_algorithms_enabled() -> bool:
    """What was set.

    >>> gf.are_deterministic_algorithms_enabled()
    False
    """
    return deterministic["mode"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What was set.

    >>> gf.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return deterministic["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """:func:`use_deterministic_algorithms` by 0, 1, 2, or "default", "warn", "error".

    >>> gf.set_deterministic_debug_mode("default")
    """
    names = ("default", "warn", "error")
    if debug_mode not in (*names, 0, 1, 2):
        raise ArgumentError(
            f"set_deterministic_debug_mode: invalid value of debug_mode, expected 0, 1, 2 or one of {names}, but got {debug_mode!r}"
        )
    level = names.index(debug_mode) if isinstance(debug_mode, str) else int(debug_mode)
    use_deterministic_algorithms(level > 0, warn_only=level == 1)


def get_deterministic_debug_mode() -> int:
    """What was set: 0, 1 (warn) or 2 (error).

    >>> gf.get_deterministic_debug_mode()
    0
    """
    return 2 * deterministic["mode"] - deterministic["warn_only"]


warn_always = False


def set_warn_always(b: bool) -> None:
    """Whether each warning is given every time; Python's ``warnings`` decide here.

    >>> gf.set_warn_always(False)
    """
    global warn_always
    warn_always = bool(b)


def is_warn_always_enabled() -> bool:
    """What :func:`set_warn_always` was given.

    >>> gf.is_warn_always_enabled()
    False
    """
    return warn_always
