"""MXNet's arrays: a tensor behind MXNet's rules. Nothing is recorded outside ``record``, and gradients go to where ``attach_grad`` says."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as onp

import gradflow

from ..errors import ArgumentError, DeviceError, DTypeError, GradError, GradflowError
from ..tensor import Tensor

gf: Any = gradflow  # its functions come from tables, which type checkers do not read


class State(threading.local):
    """Are operations recorded, and do layers behave as in training? Each thread has its own answer."""

    recording = False
    training = False


state = State()


class Context:
    """A device: ``cpu()`` or ``gpu(0)``.

    >>> gf.mxnet.cpu() == gf.mxnet.Context("cpu", 0)
    True
    """

    def __init__(self, device_type: str, device_id: int = 0):
        self.device_type, self.device_id = device_type, device_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"


def cpu(device_id: int = 0) -> Context:
    """The CPU. (MXNet's numbers of CPUs all mean the one.)

    >>> gf.mxnet.cpu()
    cpu(0)
    """
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """The CUDA device with this number.

    >>> gf.mxnet.gpu(1)
    gpu(1)
    """
    return Context("gpu", device_id)


def num_gpus() -> int:
    """How many CUDA devices there are.

    >>> gf.mxnet.num_gpus() == gf.cuda.device_count()
    True
    """
    return gf.cuda.device_count()


def current_context() -> Context:
    """Where new arrays are: the CPU.

    >>> gf.mxnet.current_context()
    cpu(0)
    """
    return cpu()


def place(t: Tensor, ctx: Any) -> Tensor:
    if ctx is None:
        return t
    if not isinstance(ctx, Context):
        raise DeviceError(f"context: expected cpu() or gpu(i), not {ctx!r}")
    return t.to("cpu" if ctx.device_type == "cpu" else f"cuda:{ctx.device_id}")


def element_type(dtype: Any) -> Any:
    """gradflow's element type for one of NumPy's, or its name."""
    try:
        return gf.dtypes.FROM_NUMPY[onp.dtype(dtype)]
    except (TypeError, KeyError):
        raise DTypeError(f"dtype: there are no arrays of {dtype!r}; give one of NumPy's real types, such as 'float32'") from None


def tensor_of(data: Any, dtype: Any = None) -> Tensor:
    """A tensor of numbers, lists or NumPy arrays: float32 unless ``dtype`` says otherwise, as in MXNet."""
    if isinstance(data, NDArray | Tensor):
        t = bare(data).detach().clone()
        return t if dtype is None else t.to(element_type(dtype))
    wanted = element_type("float32" if dtype is None else dtype)
    return named("array", lambda numbers: gf.tensor(onp.asarray(bare_numpy(numbers)), dtype=wanted), data)


def bare_numpy(x: Any) -> Any:
    return type(x)(map(bare_numpy, x)) if isinstance(x, list | tuple) else x.asnumpy() if isinstance(x, NDArray) else x


def bare(x: Any) -> Any:
    """MXNet's arguments as ours: tensors for arrays, wherever they are nested."""
    if isinstance(x, NDArray):
        return x.tensor
    if isinstance(x, onp.ndarray):
        return gf.as_tensor(x)
    if isinstance(x, list | tuple):
        return type(x)(map(bare, x)) if type(x) in (list, tuple) else x
    return x


def dressed(x: Any, cls: type[NDArray]) -> Any:
    """Results as arrays of ``cls``. The older ``NDArray`` has no shape (): one number is an array of shape (1,)."""
    if isinstance(x, Tensor):
        return cls(x.reshape(1) if cls is NDArray and not x.ndim else x)
    return type(x)(dressed(v, cls) for v in x) if type(x) in (list, tuple) else x


def run(function: Callable, cls: type[NDArray], args: tuple, kwargs: dict) -> Any:
    """``function``, which is one of tensors, called with arrays: recorded if this is within ``record``."""
    with gf.set_grad_enabled(state.recording):
        return dressed(function(*map(bare, args), **{k: bare(v) for k, v in kwargs.items()}), cls)


def named(name: str, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``; arguments of kinds that it cannot take are an error in its name."""
    try:
        return function(*args, **kwargs)
    except GradflowError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        given = ", ".join([*(type(x).__name__ for x in args), *(f"{k}={type(v).__name__}" for k, v in kwargs.items())])
        raise DTypeError(
            f"{name}: cannot be called with ({given}): {error}; give arrays and numbers as NumPy's {name} takes them"
        ) from None


def lifted(function: Callable, name: str | None = None) -> Callable:
    """A function of tensors as a method of arrays."""

    @wraps(function)
    def call(self: NDArray, *args: Any, **kwargs: Any) -> Any:
        return run(function, type(self), (self, *args), kwargs)

    if name is not None:
        call.__name__ = call.__qualname__ = name
    return call


def comparison(compare: Callable) -> Callable:
    """1 and 0 in the operands' own type, as the notes print them."""

    def call(a: Tensor, b: Any) -> Any:
        if not isinstance(b, Tensor | bool | int | float | onp.number | onp.bool_):
            return NotImplemented
        return compare(a, b).to(gf.result_type(a, b))

    return call


def key(index: Any) -> Any:
    """An index of tensors, lists, slices and numbers; positions and masks must say which they are."""
    if isinstance(index, tuple):
        return tuple(map(key, index))
    index = bare(index)
    if isinstance(index, Tensor) and index.is_floating_point():
        raise DTypeError(
            "index: an array of floats could be positions or a mask; use .astype('int64') for positions, .astype(bool) for a mask"
        )
    return index


class NDArray:
    """An array of MXNet's ``nd``; ``np.ndarray`` is its younger sister. ``tensor`` is the gradflow tensor that it is."""

    __slots__ = ("__weakref__", "tensor")

    __array_priority__ = 1001.0  # numpy_array * array is ours
    stype = "default"

    def __init__(self, tensor: Tensor):
        self.tensor = tensor

    # Gradients

    def attach_grad(self, grad_req: str = "write", stype: Any = None) -> None:
        """Give the array a gradient, zeros at first. What it was computed from is forgotten.

        ``grad_req`` says what ``backward`` does with it: 'write' replaces it, 'add' adds to it, 'null' leaves it alone.
        """
        mark(self, gf.zeros_like(self.tensor.detach()), grad_req)

    @property
    def grad(self) -> Any:
        """The gradient, or ``None`` if none was attached."""
        leaf = self.tensor.leaf
        return None if leaf is None or leaf.grad is None else type(self)(leaf.grad)

    def drop_grad(self) -> None:
        """Take the gradient away again."""
        self.tensor = self.tensor.detach()

    def detach(self) -> Any:
        """The same values without a history: a constant for ``backward``."""
        return type(self)(self.tensor.detach())

    def backward(self, out_grad: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
        """Gradients of the sum of this array, or of its product with ``out_grad``, for the arrays with an attached gradient.

        >>> from gradflow.mxnet import autograd, np
        >>> x = np.arange(4)
        >>> x.attach_grad()
        >>> with autograd.record():
        ...     y = x * x
        >>> y.backward()
        >>> x.grad
        array([0., 2., 4., 6.])
        """
        from .autograd import backward

        backward(self, out_grad, retain_graph, train_mode)

    # What the array says

    @property
    def shape(self) -> tuple:
        """The sizes of the axes."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> Any:
        """The type of the elements, one of NumPy's."""
        dtype = self.tensor.array.dtype
        return dtype.type if type(self) is NDArray else dtype

    @property
    def size(self) -> int:
        """How many elements there are."""
        return self.tensor.numel()

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self.tensor.ndim

    @property
    def ctx(self) -> Context:
        """Where the array is: `cpu()` or `gpu(i)`."""
        device = self.tensor.device
        return Context("cpu" if device.type == "cpu" else "gpu", device.index or 0)

    context = device = ctx

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return run(lambda t: t.permute(*range(t.ndim)[::-1]), type(self), (self,), {})

    def __len__(self) -> int:
        return len(self.tensor)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        return bool(self.tensor)

    def __float__(self) -> float:
        return float(self.tensor)

    def __int__(self) -> int:
        return int(self.tensor)

    def __index__(self) -> int:
        return operator.index(self.tensor)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        return f"\n{self}\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self.ctx}>"

    def __str__(self) -> str:
        return str(self.asnumpy())

    def __reduce__(self) -> Any:
        return rebuilt, (type(self), self.asnumpy())

    def __deepcopy__(self, memo: dict) -> Any:
        return self.copy()

    # Leaving for Python and NumPy, and to other places and types

    def asnumpy(self) -> onp.ndarray:
        """The values as a NumPy array of their own."""
        return onp.array(self.tensor.detach().cpu().numpy())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> onp.ndarray:
        return self.asnumpy() if dtype is None else self.asnumpy().astype(dtype)

    def item(self) -> Any:
        """The one element as a Python number."""
        return self.tensor.item()

    asscalar = item

    def tolist(self) -> Any:
        """The elements in nested lists."""
        return self.tensor.tolist()

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The values in another type; the array itself if it has it and ``copy`` is False."""
        wanted = element_type(dtype)
        if wanted is self.tensor.dtype:
            return self.copy() if copy else self
        return run(lambda t: t.to(wanted), type(self), (self,), {})

    def copy(self) -> Any:
        """A new array of the same elements."""
        return run(gf.clone, type(self), (self,), {})

    def copyto(self, other: Any) -> Any:
        """Copy the values into an array of this shape, or to a context."""
        if isinstance(other, Context):
            return type(self)(place(self.tensor.detach().clone(), other))
        if not isinstance(other, NDArray):
            raise DTypeError(f"copyto: expected an array or a context, not {type(other).__name__}")
        other[...] = self
        return other

    def as_in_ctx(self, ctx: Context) -> Any:
        """The array on a device; itself if it is there."""
        return self if ctx == self.ctx else run(lambda t: place(t, ctx), type(self), (self,), {})

    as_in_context = to_device = as_in_ctx

    def as_np_ndarray(self) -> ndarray:
        """The same elements as an array of ``np``."""
        return ndarray(self.tensor)

    def as_nd_ndarray(self) -> NDArray:
        """The same elements as an array of ``nd``."""
        return NDArray(self.tensor)

    def tostype(self, stype: str) -> Any:
        """The array itself: 'default', dense, is the only storage type."""
        if stype != "default":
            raise ArgumentError(f"tostype: there are no {stype!r} arrays here; all are 'default', that is dense")
        return self

    def wait_to_read(self) -> None:
        """Return when the values are there. They are: nothing here runs behind your back."""

    wait_to_write = wait_to_read

    # Parts

    def __getitem__(self, index: Any) -> Any:
        return run(lambda t: t[key(index)], type(self), (self,), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(value, NDArray | Tensor | bool | int | float | onp.number):
            value = tensor_of(value, self.tensor.array.dtype)
        with gf.set_grad_enabled(state.recording):
            self.tensor[key(index)] = bare(value)

    def __contains__(self, element: Any) -> bool:
        return bare(element) in self.tensor


def rebuilt(cls: type[NDArray], values: onp.ndarray) -> Any:
    return cls(gf.tensor(values))


class ndarray(NDArray):
    """An array of MXNet's ``np``: it prints and behaves as NumPy's, with float32 as the type that goes without saying."""

    __slots__ = ()

    def __repr__(self) -> str:
        text, dtype = repr(self.asnumpy()), self.dtype
        if "dtype=" in text:
            text = text[: text.rindex(",")] + ")" if dtype == onp.float32 else text
        elif dtype not in (onp.float32, onp.bool_):
            text = f"{text[:-1]}, dtype={dtype})"
        return text if self.ctx.device_type == "cpu" else f"{text[:-1]}, ctx={self.ctx})"


def mark(array: NDArray, gradient: Tensor, grad_req: str) -> None:
    """``array`` is a variable from now on, its gradient arrives in ``gradient``."""
    if grad_req not in ("write", "add", "null"):
        raise ArgumentError(f"grad_req: expected 'write', 'add' or 'null', not {grad_req!r}")
    t: Any = array.tensor.detach()
    if not t.is_floating_point():
        raise GradError(
            f"attach_grad: only arrays of floats have gradients, this one is {t.dtype.name}; convert it with .astype('float32')"
        )
    t.requires_grad_(True)
    t.grad, t.grad_req = gradient, grad_req
    array.tensor = t


def methods_of_operators() -> dict[str, Callable]:
    table: dict[str, Callable] = {}
    for name in "add sub mul truediv floordiv mod pow matmul and or xor".split():
        function = getattr(operator, f"__{name}__")
        table[f"__{name}__"] = lifted(function)
        table[f"__r{name}__"] = lifted(lambda a, b, f=function: f(b, a))
    for name in "neg pos abs invert".split():
        table[f"__{name}__"] = lifted(getattr(operator, f"__{name}__"))
    for name in "eq ne lt le gt ge".split():
        table[f"__{name}__"] = lifted(comparison(getattr(operator, name)))
    return table


def in_place(function: Callable) -> Callable:
    def call(self: NDArray, other: Any) -> Any:
        with gf.set_grad_enabled(state.recording):
            self.tensor = function(self.tensor, bare(other))
        return self

    return call


for _name, _function in methods_of_operators().items():
    setattr(NDArray, _name, _function)
for _name in "add sub mul truediv floordiv mod pow".split():
    setattr(NDArray, f"__i{_name}__", in_place(getattr(operator, f"__i{_name}__")))
