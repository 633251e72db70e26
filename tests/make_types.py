"""`python tests/make_types.py` writes gradflow/typed.pyi: what type checkers and editors see of the methods and functions that are attached when
the package is imported."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys

import gradflow as gf

PACKAGE = pathlib.Path(gf.__file__).parent
TARGET = PACKAGE / "typed.pyi"
BUILTINS = "bool int float str tuple list dict set type object slice bytes complex range".split()

# Results that depend on the arguments.
OVERLOADS = {
    "item": ["({self}) -> builtins.bool | builtins.int | builtins.float"],
    "where": ["({input}) -> builtins.tuple[Tensor, ...]", "({input}, input: Any, other: Any = ...) -> Tensor"],
    **{
        name: [
            "({input}) -> Tensor",
            "({input}, dim: builtins.int, keepdim: builtins.bool = ..., *, out: Any = ...) -> {kind}".replace("{kind}", kind),
        ]
        for name, kind in {"max": "Extreme", "min": "Extreme", "median": "Sorted", "nanmedian": "Sorted"}.items()
    },
}
for _name in ("max", "min"):
    OVERLOADS[_name] = [*OVERLOADS[_name], "({input}, other: Tensor, *, out: Any = ...) -> Tensor"]
ARITHMETIC = r"__[ri]?(add|sub|mul|truediv|floordiv|mod|pow|matmul|and|or|xor|lshift|rshift)__|__(neg|pos|abs|invert|getitem)__"


class Writer:
    """Collects what has to be imported while it spells types."""

    def __init__(self):
        self.imports = {}

    def spelled(self, annotation, function):
        """An annotation as it is valid in the stub; Any where it cannot be told."""
        if annotation is inspect.Parameter.empty:
            return "Any"
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        scope = getattr(inspect.unwrap(function), "__globals__", {})

        def name(match):
            word = match[0]
            if match.start() and text[match.start() - 1] == ".":
                return word
            word = {"bool_": "bool", "int_": "int", "float_": "float"}.get(word, word)
            if word in BUILTINS:
                return f"builtins.{word}"
            if word in ("None", "Any", "Tensor", "Callable", "Sequence", "Iterable", "Literal", "Iterator"):
                return word
            if word == "np":
                return "np"
            found = scope.get(word)
            if isinstance(found, type) and found.__module__.startswith("gradflow."):
                self.imports.setdefault(found.__module__.removeprefix("gradflow"), set()).add(found.__name__)
                return found.__name__
            return "Any"

        text = re.sub(r"\bdtypes\.dtype\b", "dtype", text)
        return re.sub(r"[A-Za-z_]\w*", name, text)

    def signature(self, function, method):
        """(parameters) -> result, the first parameter as self."""
        parts, star = [], False
        parameters = list(inspect.signature(function).parameters.values())
        result = inspect.signature(function).return_annotation
        elementwise = hasattr(function, "op")
        for k, p in enumerate(parameters):
            kind = self.spelled(p.annotation, function)
            if elementwise:
                kind = "Tensor" if k == 0 else "Any"
            if k == 0 and method:
                parts.append("self")
                continue
            if p.kind is p.VAR_POSITIONAL:
                parts.append(f"*{p.name}: {kind}")
                star = True
                continue
            if p.kind is p.VAR_KEYWORD:
                parts.append(f"**{p.name}: Any")
                continue
            if p.kind is p.KEYWORD_ONLY and not star:
                parts.append("*")
                star = True
            parts.append(f"{p.name}: {kind}" + (" = ..." if p.default is not p.empty else ""))
        if not method and not any(p.name == "out" or p.kind is p.VAR_KEYWORD for p in parameters):
            parts += [*([] if star else ["*"]), "out: Any = ..."]
        spelled = "Tensor" if elementwise else self.spelled(result, function)
        return f"({', '.join(parts)}) -> {spelled}"

    def function(self, name, function, method, indent):
        forms = OVERLOADS.get(name)
        if not forms:
            signature = self.signature(function, method)
            if re.fullmatch(ARITHMETIC, name):
                signature = signature.replace("-> Any", "-> Tensor")
            return [f"{indent}def {name}{signature}: ..."]
        first = {"self": "self", "input": "self" if method else "condition: Tensor" if name == "where" else "input: Tensor"}
        spelled = [f"{indent}def {name}{form.format(**first)}: ..." for form in forms]
        return spelled if len(forms) == 1 else [line for form in spelled for line in (f"{indent}@overload", form)]


def defined(path, in_class=None):
    """The names that a file, or a class in it, binds where a type checker sees it."""
    tree = ast.parse(path.read_text())
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == in_class).body if in_class else tree.body
    names = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names.update((alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Assign):
            names.update(n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    return names


def text() -> str:
    """The stub."""
    writer = Writer()
    methods, functions = [], []
    known = defined(PACKAGE / "tensor.py", "Tensor")
    for name in sorted(vars(gf.Tensor)):
        value = inspect.getattr_static(gf.Tensor, name)
        if name in known or (name.startswith("_") and not name.endswith("__")) or name in ("__module__", "__doc__", "__slots__"):
            continue
        if isinstance(value, property):
            methods += [
                "    @property",
                f"    def {name}(self) -> {writer.spelled(value.fget.__annotations__.get('return', 'Any'), value.fget)}: ...",
            ]
            if value.fset:
                methods += [f"    @{name}.setter", f"    def {name}(self, value: Any) -> None: ..."]
        elif name in ("__eq__", "__ne__"):
            methods.append(f"    def {name}(self, other: Any) -> Tensor: ...  # type: ignore[override]")
        elif callable(value) and not isinstance(value, type):
            methods += writer.function(name, value, True, "    ")
    known = defined(PACKAGE / "__init__.py") - {"bool", "float", "int"}
    for name, value in sorted(vars(gf).items()):
        if name.startswith("_") or name in known or inspect.ismodule(value):
            continue
        if isinstance(value, type):
            writer.imports.setdefault("", set())
            functions.append(
                f"{name}: Any"
                if value.__module__ == "builtins"
                else f"{name}: type[Tensor]"
                if issubclass(value, gf.Tensor) or isinstance(value, type(gf.LongTensor))
                else f"{name}: Any"
            )
        elif isinstance(value, gf.dtype):
            functions.append(f"{name}: dtype")
        elif callable(value):
            functions += writer.function(name, value, False, "")
    imports = [f"from {module or '.'} import {', '.join(sorted(names))}" for module, names in sorted(writer.imports.items()) if names]
    head = [
        "# Made by tests/make_types.py",
        "import builtins",
        "from collections.abc import Callable, Iterable, Iterator, Sequence",
        "from typing import Any, Literal, overload",
        "import numpy as np",
        "from .dtypes import dtype",
        "from .tensor import Tensor",
        *imports,
    ]
    source = "\n".join([*head, "", "class Methods:", *methods, "", *functions, ""])
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        ["check", "--fix", "-q", "--exit-zero", "--stdin-filename", str(TARGET), "-"],
        ["format", "--stdin-filename", str(TARGET), "-"],
    ):
        source = subprocess.run([*ruff, *command], input=source, capture_output=True, text=True, check=True).stdout
    return source


if __name__ == "__main__":
    TARGET.write_text(text())
