"""The tensor: an array, and its place on the tape."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .attributes import Attributes, Size
from .backends import TensorBase, get_item, linked, note, set_item, set_tensor, unrecorded, update, wrap, wrap_view
from .devices import CPU, device
from .errors import ArgumentError, DTypeError, GradError, InPlaceError
from .tape.node import INFERENCE, SHARED, Leaf, Node, Output, changed, last_change, mode, new_version

new = object.__new__


def disabled(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The ``__torch_function__`` of classes whose operations give plain tensors: ``torch._C._disabled_torch_function_impl``."""
    return func(*args, **kwargs or {})


if TYPE_CHECKING:
    from .typed import Methods  # attached by methods.py
else:
    Methods = TensorBase


class Tensor(Attributes, Methods):
    """An n-dimensional array with a gradient. Made by :func:`gradflow.tensor` and its relatives, and by operations.

    ``array`` is the ``numpy.ndarray``; ``node`` its place on the tape (a ``Node``, a ``Leaf`` or ``None``); ``version`` the cell that
    counts changes in place, shared with all views, ``None`` while nobody needs it; ``leaf`` holds the gradient. Only a view has an ``origin``.
    The fields are the extension's, which makes views and notes changes in less time than Python would.

    >>> x = gf.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("__dict__", "__weakref__")

    __array_priority__ = 1000  # ndarray * tensor is ours

    array: Any
    node: Any
    version: Any
    leaf: Any
    origin: tuple[Tensor, Any, str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        from .creation import legacy_tensor

        return legacy_tensor(cls, *args, **kwargs)

    def __init_subclass__(cls, plain: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not plain and Tensor in cls.__bases__ and getattr(cls, "__torch_function__", None) is not disabled:
            from .overrides import Subclassed

            cls.__bases__ = tuple(Subclassed if base is Tensor else base for base in cls.__bases__)

    def as_subclass(self, cls: Any) -> Any:
        """This tensor as one of a subclass, with its memory and history.

        >>> class Image(gf.Tensor):
        ...     pass
        >>> gf.ones(2).as_subclass(Image) + 1
        Image([2., 2.])
        """
        if not (isinstance(cls, type) and issubclass(cls, Tensor)):
            raise DTypeError(f"as_subclass: cls must be a subclass of Tensor, not {cls!r}")
        t: Any = Tensor.view_as(self, self)
        t.__class__ = cls
        return t

    @staticmethod
    def _make_subclass(cls: type, data: Any, requires_grad: bool = False) -> Any:
        """A tensor of class ``cls`` that shares memory and version with ``data``."""
        t: Any = new(cls)
        t.array, t.node, t.leaf = data.array, None, None
        t.version = version_of(data)
        if requires_grad:
            t.requires_grad_(True)
        return t

    # The tape

    @property
    def requires_grad(self) -> bool:
        """Is a gradient recorded for this tensor? May be assigned, to leaves.

        >>> x = gf.ones(2, requires_grad=True)
        >>> x.requires_grad, (x * 2).requires_grad, x.detach().requires_grad
        (True, True, False)
        """
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for the gradient with respect to this tensor (in place; returns the tensor).

        >>> gf.ones(2).requires_grad_()
        tensor([1., 1.], requires_grad=True)
        """
        if not self.is_leaf:
            if not requires_grad:
                raise GradError(
                    "requires_grad_: you can only change requires_grad flags of leaf variables; this tensor was computed by "
                    f"{self.node.plan.name}; use detach() for a tensor without a gradient"
                )
        elif requires_grad:
            if self.node is None:
                if self.version is INFERENCE and not mode.inference:
                    raise GradError(
                        "requires_grad_: Setting requires_grad=True on inference tensor outside InferenceMode is not allowed; use a clone()"
                    )
                if self.array.dtype.kind not in "fV":
                    raise GradError(
                        f"requires_grad_: only Tensors of floating point dtype can require gradients, not {self.dtype.name}; convert with .float()"
                    )
                if self.leaf is None:
                    self.leaf = Leaf(self)
                self.node = self.leaf
        else:
            self.node = None
        return self

    @property
    def is_leaf(self) -> bool:
        """Was the tensor made by the user, not by a recorded operation? Backward fills the ``grad`` of leaves.

        >>> x = gf.ones(2, requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf
        (True, False)
        """
        return self.node is None or self.node.__class__ is Leaf

    @property
    def grad_fn(self) -> Any:
        """The node of the operation that made the tensor; ``None`` for leaves.

        >>> x = gf.ones(2, requires_grad=True)
        >>> (x * 2).grad_fn.name(), x.grad_fn
        ('MulBackward0', None)
        """
        node = self.node
        if node is None or node.__class__ is Leaf:
            return None
        return node.parents[0] if node.__class__ is Output else node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward has accumulated, of this tensor's shape and type, or ``None``.

        >>> x = gf.tensor([3.0], requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        tensor([6.])
        """
        leaf = self.leaf
        if leaf is not None:
            return leaf.grad
        if not self.is_leaf:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
                "autograd.backward(); call .retain_grad() on it before backward",
                stacklevel=2,
            )
        return None

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            if self.leaf is not None:
                self.leaf.clear()
            return
        if not isinstance(value, Tensor):
            raise DTypeError(f"grad: assigned grad is a {type(value).__name__}; expected a Tensor or None")
        if value is self:
            raise GradError("grad: can't assign a tensor as its own gradient; assign a copy")
        if value.array.shape != self.array.shape:
            raise GradError(
                f"grad: assigned grad has data of a different size: {tuple(value.array.shape)}, the tensor is {tuple(self.array.shape)}"
            )
        if value.array.dtype != self.array.dtype:
            raise GradError(f"grad: assigned grad has data of a different type: {value.dtype.name}, the tensor is {self.dtype.name}")
        if self.leaf is None:
            self.leaf = Leaf(self)
        self.leaf.grad = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
        """Accumulate the gradient of this tensor into the ``grad`` of the leaves it was computed from.

        For a tensor that is not a scalar, ``gradient`` is the vector v of the vector-Jacobian product: the result is the gradient of
        ``(self * v).sum()``. ``inputs`` restricts the leaves. The values saved for backward are freed unless ``retain_graph``.

        >>> x = gf.arange(4.0, requires_grad=True)
        >>> (x * x).backward(gf.ones(4))
        >>> x.grad
        tensor([0., 2., 4., 6.])
        """
        backward((self,), None if gradient is None else (gradient,), retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory without a history: no gradient flows through it.

        >>> x = gf.ones(2, requires_grad=True)
        >>> (x * 2).detach()
        tensor([2., 2.])
        """
        t = wrap(self.array)
        t.version = version_of(self)
        return t

    @property
    def data(self) -> Tensor:
        """The same memory; changes through it are not noticed by the tape.

        >>> x = gf.ones(2, requires_grad=True)
        >>> x.data.requires_grad
        False
        """
        t = wrap(self.array)
        t.version = None
        return t

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise DTypeError(f"data: assigned a {type(value).__name__}; expected a Tensor")
        if self.leaf is not None and (value.array.shape != self.array.shape or value.array.dtype != self.array.dtype):
            self.leaf.spare = None  # a buffer for another shape or type
        leave(self)
        self.array = value.array

    @property
    def _version(self) -> int:
        if self.version is INFERENCE:
            raise GradError("_version: Inference tensors do not track version counter; use a clone()")
        return 0 if self.version is None else self.version[1]

    def _bump(self) -> None:
        """Tell the tape that ``array`` was changed in place."""
        version = self.version
        if version is None:
            version = self.version = new_version()
        changed(version, 2)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        from .printing import format_tensor

        node = self.node
        leaf = node is None or node.__class__ is Leaf
        return format_tensor(
            self.array,
            device=None if self.array.device == "cpu" else str(self.device),
            prefix="tensor(" if type(self).__name__ in ("Tensor", "Parameter", "Buffer") else f"{type(self).__name__}(",
            requires_grad=node is not None and leaf,
            grad_fn_name=None if leaf else node.plan.name.rpartition(":")[2],
            default_dtype=dtypes.get_default_dtype().numpy,
        )

    # Leaving for Python and NumPy

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array itself: memory is shared. A tensor that requires a gradient must be detached first, or ``force=True``, unless recording is off.

        >>> gf.ones(2).numpy()
        array([1., 1.], dtype=float32)
        """
        if self.node is not None and mode.enabled and not force:
            raise GradError("numpy: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.array if self.array.device == "cpu" else self.array.for_numpy(force)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy) if copy is not None else np.asarray(array, dtype=dtype)

    def item(self) -> bool | int | float:
        """The one element as a Python number; several raise.

        >>> gf.tensor([2.5]).item()
        2.5
        """
        if self.array.size != 1:
            raise ArgumentError(f"item: a Tensor with {self.array.size} elements cannot be converted to Scalar; it must have exactly one")
        return self.array.item() if self.array.dtype.kind != "V" else float(self.array.reshape(()))

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a 0-d tensor.

        >>> gf.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self.array.tolist() if self.array.dtype.kind != "V" else self.array.astype(np.float32).tolist()

    def __bool__(self) -> bool:
        if self.array.size != 1:
            kind = "no values" if not self.array.size else "more than one value"
            raise ArgumentError(f"bool: Boolean value of Tensor with {kind} is ambiguous; use any() or all()")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise DTypeError("index: only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self.array.ndim and (spec or type(self) is Tensor) else object.__format__(self, spec)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.array.ndim:
            raise DTypeError("iter: iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __deepcopy__(self, memo: dict) -> Tensor:
        from copy import deepcopy

        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise GradError(
                "deepcopy: only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol; detach() first"
            )
        twin = new(type(self))
        twin.array, twin.node, twin.version, twin.leaf = self.array.copy(order="K"), None, None, None
        memo[id(self)] = twin
        if self.node is not None:
            twin.requires_grad_(True)
        if self.grad is not None:
            twin.grad = deepcopy(self.grad, memo)
        twin.__dict__.update(deepcopy(self.__dict__, memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.array, self.requires_grad)


def _rebuild(cls: type, array: Any, requires_grad: bool) -> Any:
    t: Any = new(cls)
    t.array, t.node, t.version, t.leaf = array, None, None, None
    return t.requires_grad_(requires_grad) if requires_grad else t


def version_of(t: Tensor) -> list[Any]:
    """The version cell of a tensor, made when it is first needed."""
    version = t.version
    if version is None:
        version = t.version = new_version()
    return version


# The origin of a view: (its base, the steps that lead from there, why a change of it in place cannot be recorded or ""). The steps are
# (steps before, plan of a linear operation, its ``meta``).
BASE, STEPS, LOST = range(3)


def leave(t: Tensor) -> None:
    """``t`` is about to get other memory, or other axes: it is no view any more, and its views are not its."""
    if hasattr(t, "origin"):
        del t.origin
    for r in (t.version[SHARED] if t.version is not None else None) or ():
        v = r()
        if v is not None and hasattr(v, "origin") and v.origin[BASE] is t:
            v.origin = t, None, "was a view of a tensor that has other memory or axes now"


def recording(*tensors: Tensor) -> bool:
    """Would an operation on these tensors be recorded?"""
    return mode.enabled and any(t.node is not None for t in tensors)


def change_refused() -> None:
    """What ``unrecorded`` and ``update`` call for an inference tensor outside of inference mode."""
    raise InPlaceError(
        "in-place operation: Inplace update to inference tensor outside InferenceMode is not allowed; change a clone(), which is an ordinary tensor"
    )


set_tensor(Tensor, mode, last_change, "was created in no_grad mode", INFERENCE, change_refused)
Leaf.wrap = wrap
backward: Any = None  # given by autograd/backward.py, which is a floor above

__all__ = ["CPU", "Node", "Size", "Tensor", "device", "get_item", "linked", "note", "set_item", "unrecorded", "update", "wrap", "wrap_view"]
