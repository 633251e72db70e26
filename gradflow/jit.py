"""``torch.jit``'s names. Here everything runs as Python, so what was marked for the compiler is given back as it is.

>>> import gradflow as gf
>>> @gf.jit.script
... def double(x):
...     return 2 * x
>>> double(gf.ones(2))
tensor([2., 2.])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .errors import ArgumentError
from .nn import Module

__all__ = ["Attribute", "Final", "ScriptModule", "annotate", "export", "freeze", "ignore", "is_scripting", "is_tracing", "load"]
__all__ += ["optimize_for_inference", "save", "script", "script_method", "trace", "trace_module", "unused"]


class ScriptModule(Module):
    """A Module, under another name; what `script` returns is not one.

    >>> issubclass(gf.jit.ScriptModule, gf.nn.Module)
    True
    """


def script(obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> Any:
    """The function, class or module itself.

    >>> gf.jit.script(lambda x: 2 * x)(gf.ones(2))
    tensor([2., 2.])
    """
    return obj


def script_method(fn: Callable) -> Callable:
    """The method itself.

    >>> gf.jit.script_method(abs)(-1)
    1
    """
    return fn


def trace(func: Any, example_inputs: Any = None, *args: Any, **options: Any) -> Any:
    """The function or module itself: each call runs its Python, branches included, where torch repeats what the example did.

    >>> gf.jit.trace(lambda x: 2 * x, gf.ones(2))(gf.ones(3))
    tensor([2., 2., 2.])
    """
    return func


def trace_module(mod: Module, inputs: Any, *args: Any, **options: Any) -> Module:
    """The module itself.

    >>> gf.jit.trace_module(gf.nn.ReLU(), {"forward": gf.ones(2)})
    ReLU()
    """
    return mod


def freeze(mod: Module, *args: Any, **options: Any) -> Module:
    """The module itself.

    >>> gf.jit.freeze(gf.nn.ReLU())
    ReLU()
    """
    return mod


def optimize_for_inference(mod: Module, *args: Any, **options: Any) -> Module:
    """The module itself.

    >>> gf.jit.optimize_for_inference(gf.nn.ReLU())
    ReLU()
    """
    return mod


def ignore(drop: Any = False, **options: Any) -> Any:
    """A mark for the compiler, with or without arguments.

    >>> gf.jit.ignore(abs)(-1)
    1
    """
    return drop if callable(drop) else lambda fn: fn


def unused(fn: Callable) -> Callable:
    """A mark for the compiler.

    >>> gf.jit.unused(abs)(-1)
    1
    """
    return fn


def export(fn: Callable) -> Callable:
    """A mark for the compiler.

    >>> gf.jit.export(abs)(-1)
    1
    """
    return fn


_script_if_tracing = _overload = _overload_method = interface = script_method


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value.

    >>> gf.jit.annotate(int, 3)
    3
    """
    return the_value


def Attribute(value: Any, type: Any) -> Any:
    """The value.

    >>> gf.jit.Attribute(3, int)
    3
    """
    return value


def is_scripting() -> bool:
    """Is this code being compiled? Never.

    >>> gf.jit.is_scripting()
    False
    """
    return False


def is_tracing() -> bool:
    """Is this call being recorded? Never.

    >>> gf.jit.is_tracing()
    False
    """
    return False


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Refused: there are no programs to store apart from Python's.

    >>> gf.jit.save(gf.nn.ReLU(), 'model.pt')
    Traceback (most recent call last):
    ...
    gradflow.errors.ArgumentError: ...
    """
    raise ArgumentError("jit.save: there are no compiled programs here; save module.state_dict() with gradflow.save")


def load(f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False) -> Any:
    """Refused: there are no programs to store apart from Python's.

    >>> gf.jit.load('model.pt')
    Traceback (most recent call last):
    ...
    gradflow.errors.ArgumentError: ...
    """
    raise ArgumentError("jit.load: there are no compiled programs here; make the module and load its state_dict()")
