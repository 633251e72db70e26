"""Questions about a tensor's kind and place, DLPack, and changes of its storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backends
from ..errors import ArgumentError, DeviceError, DTypeError, GradError, ShapeError
from ..kinds.history import Overwrite, change_in_place
from ..tape.node import INFERENCE
from ..tensor import Tensor, leave, note, unrecorded, wrap
from .axes import Layout, new_shape
from .convert import element
from .views import require_tensor

NO = "is_sparse is_sparse_csr is_quantized is_mkldnn is_mps is_xpu is_xla is_meta is_ipu is_vulkan is_nested is_mtia is_maia".split()


LAYOUTS = {name: Layout(name) for name in ("strided", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d")}


def is_signed(input: Tensor) -> bool:
    """Can elements of its type be negative?

    >>> gf.is_signed(gf.ones(2)), gf.is_signed(gf.ones(2, dtype=gf.uint8))
    (True, False)
    """
    return input.dtype.is_signed


def is_inference(input: Tensor) -> bool:
    """Was the tensor made in :class:`inference_mode`? Then it cannot be saved for backward, or changed in place outside of it.

    >>> with gf.inference_mode():
    ...     x = gf.ones(2)
    >>> gf.is_inference(x)
    True
    """
    return require_tensor("is_inference", input).version is INFERENCE


def is_nonzero(input: Tensor) -> bool:
    """Does the one element differ from zero? A tensor of several elements raises.

    >>> gf.is_nonzero(gf.tensor([0.5]))
    True
    """
    if input.array.size != 1:
        raise ArgumentError(f"is_nonzero: Boolean value of Tensor with {'more than one' if input.array.size else 'no'} value is ambiguous")
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Have both the same shape?

    >>> gf.is_same_size(gf.ones(2, 3), gf.zeros(2, 3))
    True
    """
    return input.array.shape == require_tensor("is_same_size", other, "other").array.shape


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Do both point to the same memory, with the same shape and strides?

    >>> x = gf.ones(2)
    >>> x.is_set_to(x.detach())
    True
    """
    a, b = self.array, require_tensor("is_set_to", tensor, "tensor").array
    return a.ctypes.data == b.ctypes.data and a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype


def get_device(input: Tensor) -> int:
    """The number of the device: -1 on the CPU.

    >>> gf.get_device(gf.ones(2))
    -1
    """
    place = backends.place_of(input.array)
    return -1 if place is None else place.device


def itself(input: Tensor) -> Tensor:
    """The tensor itself: it is real.

    >>> gf.conj(gf.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return input


def false(input: Tensor) -> bool:
    """No: answers what only complex, sparse, shared or distributed tensors could be asked.

    >>> gf.is_conj(gf.ones(2))
    False
    """
    return False


def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy in pinned memory, from which a GPU copies by itself (``to("cuda", non_blocking=True)``); the tensor itself if it is there.

    >>> x = gf.ones(2).pin_memory() if gf.cuda.is_available() else gf.ones(2)
    """
    if backends.place_of(self.array) is not None:
        raise DeviceError(f"pin_memory: cannot pin '{self.device}' tensors; only dense CPU tensors can be pinned")
    try:
        array = backends.pin(self.array)
    except DeviceError as error:
        raise DeviceError(f"pin_memory: Cannot access accelerator device when none is available: {error}") from None
    return self if array is self.array else wrap(array)


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Is the tensor in pinned memory?

    >>> gf.ones(2).is_pinned()
    False
    """
    return backends.is_pinned(self.array)


def record_stream(self: Tensor, stream: Any) -> None:
    """Another stream uses the tensor too: its memory is not used again before that stream has come as far as when the tensor is freed.

    >>> if gf.cuda.is_available():
    ...     gf.ones(2, device="cuda").record_stream(gf.cuda.current_stream())
    """
    if backends.place_of(self.array) is None:
        raise DeviceError("record_stream: only tensors on a cuda device have streams; this one is on the cpu")
    raw = getattr(stream, "_raw", None)
    if raw is None:
        raise DTypeError(f"record_stream: argument 's' must be Stream, not {type(stream).__name__}")
    memory = self.array.memory
    memory.streams = (*(memory.streams or ()), raw)


def dlpack(self: Tensor, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
    if self.node is not None:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    array = self.array.copy() if copy else self.array
    if dl_device is not None and tuple(dl_device) != dlpack_device(self):
        raise BufferError(f"the tensor is on {self.device}; move it with .to() before it is lent to another device")
    if array.dtype.kind == "V" or backends.place_of(array) is not None:
        if not array.flags.writeable and max_version is None:
            array = array.copy()
        return backends.lend(array, stream, max_version is not None and max_version[0] >= 1)
    if not array.flags.writeable and max_version is None:
        array = array.copy()
    return array.__dlpack__(max_version=max_version) if max_version is not None else array.__dlpack__()


def dlpack_device(self: Tensor) -> tuple[int, int]:
    place = backends.place_of(self.array)
    return (1, 0) if place is None else (2, place.device)


def cuda_array_interface(self: Tensor) -> dict[str, Any]:
    """Shape, type and address for other libraries on the GPU; tensors on the CPU have none."""
    if backends.place_of(self.array) is None:
        raise AttributeError(f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()}; use Tensor.cuda() first")
    if self.node is not None:
        raise GradError("__cuda_array_interface__: Can't get it on a Variable that requires grad; use var.detach() first")
    return backends.cuda_interface(self.array)


def is_cpu(self: Tensor) -> bool:
    """Is the tensor in the CPU's memory?

    >>> gf.ones(2).is_cpu
    True
    """
    return backends.place_of(self.array) is None


def is_cuda(self: Tensor) -> bool:
    """Is the tensor in the memory of a CUDA device?

    >>> gf.ones(2).is_cuda
    False
    """
    return backends.place_of(self.array) is not None


def layout(self: Tensor) -> Layout:
    """How the elements lie in memory: always ``torch.strided``.

    >>> gf.ones(2).layout
    torch.strided
    """
    return LAYOUTS["strided"]


# Changes of the storage


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape, in place: the elements in C order as far as they reach, new ones are whatever the memory held.

    >>> gf.arange(4).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if self.node is not None:
        raise GradError("resize_: cannot resize variables that require grad")
    unrecorded(self)
    shape = new_shape("resize_", sizes)
    n = int(np.prod(shape, dtype=object))
    dense = self.array if self.array.flags.c_contiguous else backends.dense(self.array)
    flat = dense.reshape(-1)
    if n > flat.size:
        grown = backends.empty((n,), self.dtype.code, flat)
        grown[: flat.size] = flat
        flat = grown
    leave(self)
    self.array = flat[:n].reshape(shape)
    return note(self)


def resize_as_(self: Tensor, tensor: Tensor, memory_format: Any = None) -> Tensor:
    """``resize_(tensor.size())``: another shape, in place.

    >>> gf.resize_as_(gf.arange(4), gf.ones(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return resize_(self, require_tensor("resize_as_", tensor, "tensor").array.shape)


def set_(self: Tensor, source: Tensor | None = None) -> Tensor:
    """The memory, shape and type of ``source`` from now on.

    >>> gf.ones(2).set_(gf.zeros(3))
    tensor([0., 0., 0.])
    """
    if self.node is not None:
        raise GradError("set_: the tensor requires a gradient; detach() it first")
    unrecorded(self)
    if source is not None and require_tensor("set_", source, "source").dtype is not self.dtype:
        raise DTypeError(f"set_: expected a {self.dtype} source, got {source.dtype}")
    leave(self)
    self.array = np.empty(0, self.array.dtype) if source is None else source.array
    return note(self)


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """The main diagonal set to a number, in place; a tall matrix with ``wrap`` gets it again below.

    >>> gf.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    a = self.array
    if a.ndim < 2:
        raise ShapeError(f"fill_diagonal_: dimensions must larger than 1, the tensor has {a.ndim}")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ShapeError(f"fill_diagonal_: all dimensions of input must be of equal length, they are {list(a.shape)}")
    number = element("fill_diagonal_", fill_value, self.dtype)
    if not change_in_place(self, "fill_diagonal_"):
        fill_diagonal(a, number, wrap)
        return note(self)
    from .indexing import masked_fill
    from .inplace import old, replace

    mask = np.zeros(a.shape, bool)
    fill_diagonal(mask, True, wrap)
    return replace(self, masked_fill(old(self), wrapped(backends.beside(mask, a)), number))


def fill_diagonal(a: np.ndarray, number: Any, wrap: bool) -> None:
    for start in range(0, a.shape[0], a.shape[1] + 1) if wrap and a.ndim == 2 and a.shape[1] else (0,):
        part = a[start:]
        i = np.arange(min(part.shape))
        part[(i,) * a.ndim] = number


wrapped = wrap


PYTHON = Overwrite("ApplyBackward0")


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Each element replaced by what a Python function makes of it, in place; slow.

    >>> gf.tensor([1.0, 2.0]).apply_(lambda v: v * 10)
    tensor([10., 20.])
    """
    return mapped(self, "apply_", callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Each element replaced by what a Python function makes of it and of ``tensor``'s, in place; slow.

    >>> gf.tensor([1.0, 2.0]).map_(gf.tensor([3.0, 4.0]), lambda a, b: a * b)
    tensor([3., 8.])
    """
    return mapped(self, "map_", callable, tensor)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable) -> Tensor:
    """Each element replaced by what a Python function makes of it and of two other tensors', in place; slow.

    >>> gf.tensor([1.0]).map2_(gf.tensor([2.0]), gf.tensor([3.0]), lambda a, b, c: a + b * c)
    tensor([7.])
    """
    return mapped(self, "map2_", callable, x, y)


builtins_callable = callable


def mapped(self: Tensor, op: str, callable: Callable, *others: Tensor) -> Tensor:
    if not builtins_callable(callable):
        raise DTypeError(f"{op}: argument 'callable' must be a function, not {type(callable).__name__}")
    for t in others:
        require_tensor(op, t, "tensor")
    if change_in_place(self, op):
        self.node = None
    lists = [t.detach().expand(tuple(self.array.shape)).reshape(-1).tolist() for t in (self, *others)]
    flat = [callable(*elements) for elements in zip(*lists, strict=True)]
    self.array[...] = np.array(flat, self.array.dtype).reshape(self.array.shape)
    return note(self)


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The axes from the widest steps through memory to the narrowest.

    >>> gf.ones(2, 3).T.dim_order()
    (1, 0)
    """
    return tuple(int(i) for i in np.argsort([-s for s in self.array.strides], kind="stable"))


FUNCTIONS: dict[str, Callable] = {f.__name__: f for f in (is_signed, is_inference, is_nonzero, is_same_size, get_device, resize_as_)}
FUNCTIONS |= dict.fromkeys(("conj", "resolve_conj", "resolve_neg", "conj_physical"), itself) | dict.fromkeys(("is_conj", "is_neg"), false)
METHODS: dict[str, Any] = {
    f.__name__: f for f in (is_set_to, pin_memory, is_pinned, record_stream, resize_, set_, fill_diagonal_, apply_, map_, map2_, dim_order)
}
METHODS |= {"__dlpack__": dlpack, "__dlpack_device__": dlpack_device, "conj_physical_": itself, "share_memory_": itself}
METHODS |= dict.fromkeys(("is_shared", "is_distributed", "is_coalesced"), false)
METHODS |= {"__cuda_array_interface__": property(cuda_array_interface)}
METHODS |= {"is_cpu": property(is_cpu), "is_cuda": property(is_cuda), "layout": property(layout)} | {
    name: property(
        false,
        doc=f"""Is it {name[3:].replace("_", " ")}? No: a tensor is dense, and in the memory of the CPU or of a CUDA device.

    >>> gf.ones(2).{name}
    False
    """,
    )
    for name in NO
}
