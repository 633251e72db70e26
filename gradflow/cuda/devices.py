"""Which devices there are, and which one is in use."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import ArgumentError, DeviceError


def backend() -> Any:
    """What works the devices; refused, with what is missing, where there is none."""
    from ..backends import cuda_place, started_driver

    cuda_place(None)
    return started_driver()


def started() -> Any:
    """What works the devices if it has been asked to, else ``None``."""
    from ..backends import started_driver

    return started_driver()


def refuse_waiting(op: str) -> None:
    """While a graph is captured nobody waits for the device."""
    from ..backends import refuse_waiting as refuse

    refuse(op)


def is_available() -> bool:
    """Is there a device to compute on? False, quickly, without a driver, CuPy, NVRTC or CUDA's headers.

    >>> device = "cuda" if gf.cuda.is_available() else "cpu"
    >>> gf.ones(2, device=device).sum().item()
    2.0
    """
    from ..backends import why_no_cuda

    return why_no_cuda() is None


def device_count() -> int:
    """How many devices there are; 0 where none can be used.

    >>> gf.cuda.device_count() >= 0
    True
    """
    return backend().device_count() if is_available() else 0


def number(device: Any) -> int:
    """The number of a device; of the one in use for ``None``."""
    if device is None:
        return current_device()
    if isinstance(device, int) and not isinstance(device, bool):
        index = device
    else:
        from ..tensor import device as parse

        found = parse(device)
        if found.type != "cuda":
            raise ArgumentError(f"cuda: Expected a cuda device, but got: {found}")
        index = current_device() if found.index is None else found.index
    count = backend().device_count()
    if not 0 <= index < count:
        raise DeviceError(
            f"cuda: invalid device ordinal {index}; there {'is 1 device' if count == 1 else f'are {count} devices'}, from cuda:0"
        )
    return index


def current_device() -> int:
    """The number of the device in use.

    >>> if gf.cuda.is_available():
    ...     assert gf.device("cuda", gf.cuda.current_device()).type == "cuda"
    """
    return backend().current_device()


def set_device(device: Any) -> None:
    """Choose the device that ``"cuda"`` means; a negative number changes nothing.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.set_device(0)
    """
    if isinstance(device, int) and device < 0:
        return
    backend().set_device(number(device))


class device:
    """``with cuda.device(1):`` another device is in use; ``None`` changes nothing.

    >>> if gf.cuda.is_available():
    ...     with gf.cuda.device(0):
    ...         assert gf.ones(2, device="cuda").device == gf.device("cuda:0")
    """

    def __init__(self, device: Any):
        self.index = None if device is None or (isinstance(device, int) and device < 0) else number(device)

    def __enter__(self) -> None:
        if self.index is not None:
            self.before = current_device()
            set_device(self.index)

    def __exit__(self, *_: Any) -> None:
        if self.index is not None:
            set_device(self.before)


class device_of(device):
    """The device of a tensor is in use; nothing changes for one on the CPU.

    >>> with gf.cuda.device_of(gf.ones(2)):
    ...     pass
    """

    def __init__(self, obj: Any):
        super().__init__(obj.device if obj.is_cuda else None)


def get_device_name(device: Any = None) -> str:
    """The device's name.

    >>> if gf.cuda.is_available():
    ...     name = gf.cuda.get_device_name(0)
    """
    index = number(device)
    return backend().device_name(index)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability, major and minor.

    >>> if gf.cuda.is_available():
    ...     major, minor = gf.cuda.get_device_capability()
    """
    index = number(device)
    return backend().capability(index)


class DeviceProperties(NamedTuple):
    """What a device is; memory is in bytes."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    max_threads_per_multi_processor: int
    max_threads_per_block: int
    warp_size: int
    regs_per_multiprocessor: int
    shared_memory_per_block: int
    shared_memory_per_multiprocessor: int
    L2_cache_size: int
    is_integrated: int
    pci_bus_id: int


def get_device_properties(device: Any = None) -> DeviceProperties:
    """Name, capability, memory, processors of a device.

    >>> if gf.cuda.is_available():
    ...     assert gf.cuda.get_device_properties(0).total_memory > 0
    """
    index = number(device)
    p = backend().properties(index)
    return DeviceProperties(
        p["name"].decode(),
        p["major"],
        p["minor"],
        p["totalGlobalMem"],
        p["multiProcessorCount"],
        p["maxThreadsPerMultiProcessor"],
        p["maxThreadsPerBlock"],
        p["warpSize"],
        p["regsPerMultiprocessor"],
        p["sharedMemPerBlock"],
        p["sharedMemPerMultiprocessor"],
        p["l2CacheSize"],
        p["integrated"],
        p["pciBusID"],
    )


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Can the device compute in bfloat16? From compute capability 8.0 on by itself, below as float32 with conversions.

    >>> if gf.cuda.is_available():
    ...     dtype = gf.bfloat16 if gf.cuda.is_bf16_supported() else gf.float16
    """
    return is_available() and (including_emulation or get_device_capability() >= (8, 0))


def is_tf32_supported() -> bool:
    """Can the device multiply float32 in TF32? From compute capability 8.0 on.

    >>> if gf.cuda.is_available() and gf.cuda.is_tf32_supported():
    ...     gf.set_float32_matmul_precision("high")
    ...     gf.set_float32_matmul_precision("highest")
    """
    return is_available() and get_device_capability() >= (8, 0)


def is_initialized() -> bool:
    """Has a device been used?

    >>> gf.cuda.is_initialized() <= gf.cuda.is_available()
    True
    """
    return started() is not None


def init() -> None:
    """Get ready to use a device.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.init()
    """
    backend()


def synchronize(device: Any = None) -> None:
    """Wait until everything asked of the device is done. What kernels found wrong in the meantime is raised here.

    >>> if gf.cuda.is_available():
    ...     gf.cuda.synchronize()
    """
    index = number(device)
    refuse_waiting("synchronize")
    backend().synchronize(index)
    check(index, everything=True)


def check(index: int, everything: bool = False) -> None:
    """Raise what kernels of the device found wrong."""
    from ..backends.cuda import array

    array.check(index, everything)
