"""The methods of tensors that concern the graph."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..errors import GradError
from ..tape.hooks import RemovableHandle, add_hook
from ..tape.node import Output, extra_of, kept_by, output_of
from ..tensor import BASE, Tensor
from .backward import retain_grad


def register_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call ``hook(grad)`` when backward has the whole gradient of this tensor; a tensor that it returns replaces the gradient.

    >>> x = gf.ones(2, requires_grad=True)
    >>> handle = x.register_hook(lambda g: g * 10)
    >>> x.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    >>> handle.remove()
    """
    if self.node is None:
        raise GradError("register_hook: cannot register a hook on a tensor that doesn't require gradient; call requires_grad_() first")
    node, index = output_of(self.node)
    return add_hook(extra_of(node).tensor.setdefault(index, OrderedDict()), hook)


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call ``hook(tensor)`` when backward has added to the ``grad`` of this leaf.

    >>> x = gf.ones(2, requires_grad=True)
    >>> handle = x.register_post_accumulate_grad_hook(lambda t: print(t.grad))
    >>> (x * 3).sum().backward()
    tensor([3., 3.])
    """
    if self.node is None:
        raise GradError("register_post_accumulate_grad_hook: cannot register a hook on a tensor that doesn't require gradient")
    if not self.is_leaf:
        raise GradError("register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf tensors")
    return add_hook(extra_of(self.node).accumulated, hook)


def retains_grad(self: Tensor) -> bool:
    """Will backward put this computed tensor's gradient into its ``grad``?

    >>> x = gf.ones(2, requires_grad=True) * 2
    >>> x.retain_grad()
    >>> x.retains_grad
    True
    """
    return not self.is_leaf and kept_by(self.node, self)


def output_nr(self: Tensor) -> int:
    """Which of the outputs of its operation this tensor is.

    >>> x = gf.ones(2, 2, requires_grad=True)
    >>> x.unbind()[1].output_nr
    1
    """
    return self.node.meta if self.node.__class__ is Output else 0


def base(self: Tensor) -> Any:
    """The tensor that this one is a view of, or ``None``."""
    origin = getattr(self, "origin", None)
    return None if origin is None else origin[BASE]


METHODS: dict[str, Any] = {
    "register_hook": register_hook,
    "register_post_accumulate_grad_hook": register_post_accumulate_grad_hook,
    "retain_grad": retain_grad,
    "retains_grad": property(retains_grad, doc=retains_grad.__doc__),
    "output_nr": property(output_nr, doc=output_nr.__doc__),
    "_base": property(base, doc=base.__doc__),
    "_is_view": lambda self: base(self) is not None,
}
for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)
