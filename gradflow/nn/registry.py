"""The mapping that `Module._parameters`, `_buffers` and `_modules` are: names in order, values among the attributes."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any


class Registry(MutableMapping[str, Any]):
    """A view of those attributes of a module whose names are registered.

    Values live in the module's `__dict__`, so that `module.weight` is an ordinary attribute read; what is kept beside
    them is only the names. Writing here writes there.
    """

    __slots__ = ("_attributes", "_names")

    def __init__(self, attributes: dict[str, Any], names: dict[str, Any]) -> None:
        self._attributes = attributes
        self._names = names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return self._attributes[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._names.setdefault(name, True)
        self._attributes[name] = value

    def __delitem__(self, name: str) -> None:
        del self._names[name]
        del self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)})"
