"""Copies of views (``expand_copy``), copies with a part replaced (``slice_scatter``), and axes changed in place (``transpose_``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import backends
from ..dtypes import of
from ..errors import GradflowError, RankError, ShapeError, relabel
from ..kinds import custom
from ..kinds.history import change_in_place, turn
from ..tape.node import named
from ..tensor import Tensor, note, wrap
from . import joining, rearranging, striding, view_maps, views
from .axes import axis_of, integer, shape_of
from .view_maps import part

# Copies of views


def copy_of(view: Callable) -> Callable:
    name = f"{view.__name__}_copy"

    def call(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        try:
            result = view(views.require_tensor(name, input), *args, **kwargs)
        except GradflowError as error:
            raise relabel(error, name) from None
        return tuple(view_maps.copied(x, "C") for x in result) if isinstance(result, tuple) else view_maps.copied(result, "C")

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"A copy of what ``{view.__name__}`` gives.\n\n    {view.__doc__}"
    return call


def alias(input: Tensor) -> Tensor:
    """The tensor itself.

    >>> gf.alias_copy(gf.tensor([1, 2]))
    tensor([1, 2])
    """
    return input


def detach(input: Tensor) -> Tensor:
    """The same memory without a history.

    >>> gf.detach_copy(gf.ones(2, requires_grad=True))
    tensor([1., 1.])
    """
    return input.detach()


def part_along(op: str, input: Tensor, dim: Any, start: Any, end: Any, step: Any) -> tuple:
    axis = axis_of(op, dim, input.array.ndim)
    if not input.array.ndim:
        raise RankError(f"{op}: slice() cannot be applied to a 0-dim tensor.")
    step = integer(op, "step", step)
    if step <= 0:
        raise ShapeError(f"{op}: slice step must be positive, it is {step}")
    bounds = [None if v is None else integer(op, "start or end", v) for v in (start, end)]
    first, last, _ = slice(*bounds).indices(input.array.shape[axis])
    return (slice(None),) * axis + (slice(first, max(first, last), step), Ellipsis)


def slice_of(input: Tensor, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Tensor:
    """Elements ``start`` to ``end`` along ``dim``, every ``step``-th; a view.

    >>> gf.slice_copy(gf.arange(6), 0, 1, 5, 2)
    tensor([1, 3])
    """
    return part(input, part_along("slice", input, dim, start, end, step))


slice_of.__name__ = "slice"


def split_with_sizes(input: Tensor, split_sizes: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Views of these sizes along ``dim``.

    >>> gf.split_with_sizes(gf.arange(5), [2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    return joining.split(input, list(shape_of("split_with_sizes", (split_sizes,))), dim)


COPIED: list[Any] = [alias, detach, slice_of, joining.split, split_with_sizes, joining.unbind, striding.as_strided, rearranging.unfold]
COPIED += [views.diagonal, views.expand, views.permute, views.select, views.squeeze, views.t, views.transpose]
COPIED += [views.unsqueeze, views.view]
COPIES: dict[str, Callable] = {f"{view.__name__}_copy": copy_of(view) for view in COPIED}


# Copies with a part replaced


@custom(inputs=2, grad_name="SliceScatterBackward0")
def overwritten(a, src, view):
    """A copy of ``a`` in which ``view`` of it holds ``src``."""
    out = backends.empty(a.shape, of(a).code, a)
    backends.copy(a, out)
    place = view(wrap(out)).array
    if place.size:
        place[...] = src
    return out, ()


@overwritten.vjp
def overwritten_vjp(g, needs, view):
    return overwritten(g, 0.0, view) if needs[0] else None, view(g) if needs[1] else None


def replaced(op: str, input: Tensor, src: Tensor, view: Callable) -> Tensor:
    views.require_tensor(op, src, "src")
    try:
        want = view(wrap(input.array)).array.shape
    except GradflowError as error:
        raise relabel(error, op) from None
    if src.array.shape != want:
        raise ShapeError(
            f"{op}: expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = {list(want)}"
        )
    backward = "".join(word.capitalize() for word in op.split("_")) + "Backward0"
    return named(overwritten(input, src.to(input.dtype), view), backward)


def slice_scatter(input: Tensor, src: Tensor, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Tensor:
    """A copy of ``input`` with ``src`` in place of the elements ``start`` to ``end`` along ``dim``, every ``step``-th.

    >>> gf.slice_scatter(gf.zeros(4), gf.tensor([1.0, 2.0]), 0, 1, 3)
    tensor([0., 1., 2., 0.])
    """
    key = part_along("slice_scatter", input, dim, start, end, step)
    return replaced("slice_scatter", input, src, lambda x: part(x, key))


def select_scatter(input: Tensor, src: Tensor, dim: Any, index: Any) -> Tensor:
    """A copy of ``input`` with ``src`` in place of the part at ``index`` along ``dim``.

    >>> gf.select_scatter(gf.zeros(2, 2), gf.tensor([1.0, 2.0]), 0, 1)
    tensor([[0., 0.],
            [1., 2.]])
    """
    return replaced("select_scatter", input, src, lambda x: views.select(x, dim, index))


def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of ``input`` with ``src`` in place of a diagonal.

    >>> gf.diagonal_scatter(gf.zeros(2, 2), gf.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return replaced("diagonal_scatter", input, src, lambda x: views.diagonal(x, offset, dim1, dim2))


def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of ``input``, in C order, with ``src`` in the elements that the sizes and strides name.

    >>> gf.as_strided_scatter(gf.zeros(4), gf.tensor([1.0, 2.0]), (2,), (2,))
    tensor([1., 0., 2., 0.])
    """
    size, stride = shape_of("as_strided_scatter", (size,)), shape_of("as_strided_scatter", (stride,))

    def view(x: Tensor) -> Tensor:
        own = (
            x if backends.batched.everything(x.array).base is None and x.array.flags.c_contiguous else view_maps.copied(x, "C")
        )  # not a part of another's storage
        return striding.as_strided(own, size, stride, storage_offset)

    return replaced("as_strided_scatter", input, src, view)


# Axes changed in place


def axes_in_place(view: Callable) -> Callable:
    name = f"{view.__name__}_"

    def call(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        change_in_place(self, name)
        try:
            result = view(wrap(self.array, self.node), *args, **kwargs)
        except GradflowError as error:
            raise relabel(error, name) from None
        turn(self, result)
        return note(self)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"``{view.__name__}`` of the tensor in place; returns the tensor.\n\n    {view.__doc__}"
    return call


IN_PLACE: dict[str, Any] = {"transpose": views.transpose, "swapaxes": views.swapaxes, "swapdims": views.transpose, "t": views.t}
IN_PLACE |= {"squeeze": views.squeeze, "unsqueeze": views.unsqueeze, "as_strided": striding.as_strided}
AXES_IN_PLACE: dict[str, Callable] = {f"{name}_": axes_in_place(view) for name, view in IN_PLACE.items()}
