"""`save` and `load`: dicts of tensors as safetensors files, with everything else as JSON in the file's header.

A state dict becomes an ordinary .safetensors file, with its names, that other programs read. Nested dicts, lists and
plain values, as an optimizer's state has them, are kept in the header under the key "gradflow". No code is ever run by
loading: there is no pickle in it.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

import gradflow as gf

from .errors import GradflowError
from .nn.parameter import Parameter
from .tensor import Tensor

STRUCTURE = "gradflow"  # the header's entry that holds the structure
MAX_DEPTH = 100
STORED_DTYPES = {
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64",
}  # fmt: skip


class SerializationError(GradflowError, RuntimeError):
    """A value that cannot be saved, or a file that is not what `save` writes."""


def save(obj: Any, f: Any) -> None:
    """Write tensors and plain values to a path or a binary file, in the safetensors format.

    obj is a tensor, or any nesting of dicts, lists and tuples of tensors, NumPy arrays, strings, numbers, booleans, None
    and dtypes; keys may be numbers or tuples too. Other mappings than dict and OrderedDict come back as dicts. Tensors
    that are the same memory are stored once and loaded as tensors that share it; those that overlap otherwise are stored
    apart. A file is written beside its place and then moved there: whoever reads sees the old one or the new one.

    >>> import io
    >>> import gradflow as gf
    >>> file = io.BytesIO()
    >>> gf.save({"w": gf.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> gf.load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    packer = Packer()
    structure = packer.pack(obj, ())
    metadata = {STRUCTURE: json.dumps(structure, allow_nan=False)}
    if hasattr(f, "write"):
        f.write(safetensors.numpy.save(packer.arrays, metadata))
    else:
        _write_file(packer.arrays, metadata, os.fspath(f))


def load(f: Any, map_location: Any = None, *, weights_only: bool = True, mmap: bool | None = None) -> Any:
    """Read what `save` wrote from a path or a binary file; any other safetensors file gives a dict of its tensors.

    map_location is a device, or a dict from devices to devices, or a function (then tensors stay on the CPU). As nothing
    is ever unpickled, weights_only changes nothing; nor does mmap. Raises SerializationError for a file that is broken.

    >>> import io
    >>> file = io.BytesIO()
    >>> gf.save({"w": gf.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> gf.load(file)
    {'w': tensor([1., 1.])}
    """
    if hasattr(f, "read"):
        arrays, metadata = _parse(f.read())
    else:
        arrays, metadata = _read_file(os.fspath(f))
    if isinstance(map_location, Mapping):
        map_location = map_location.get("cpu")
    unpacker = Unpacker(arrays, None if callable(map_location) else map_location)
    if STRUCTURE not in metadata:
        return {name: unpacker.tensor(name) for name in arrays}
    try:
        return unpacker.unpack(json.loads(metadata[STRUCTURE]), 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SerializationError(f"load: the file's structure is broken; {error!r}; save it again") from error


class Packer:
    """Takes an object apart: arrays by name, and a JSON value that says how they go together.

    In that value an object with one key that begins with "$" stands for what JSON does not have.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._names: dict[tuple[Any, ...], str] = {}  # memory -> name
        self._inside: set[int] = set()  # containers on the way here

    def pack(self, value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, Tensor):
            return self._pack_tensor(value, path)
        if isinstance(value, np.ndarray):
            return {"$ndarray": self._store(value, path)}
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, (int, np.integer)):
            return int(value)
        if isinstance(value, (float, np.floating)):
            return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
        if isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, gf.dtype):
            return {"$dtype": str(value).removeprefix("torch.")}
        if isinstance(value, (Mapping, list, tuple)):
            return self._pack_container(value, path)
        advice = "; save its state_dict()" if hasattr(value, "state_dict") else ""
        raise SerializationError(
            f"save: cannot store a {type(value).__name__}; it is at {_spell(path)}; "
            f"tensors, arrays, dicts, lists, tuples, numbers and strings can be stored{advice}"
        )

    def _pack_container(self, value: Any, path: tuple[Any, ...]) -> Any:
        if id(value) in self._inside or len(path) >= MAX_DEPTH:
            raise SerializationError(f"save: too deep, or part of itself; at {_spell(path[:8])}...; make it flatter")
        self._inside.add(id(value))
        try:
            if isinstance(value, list):
                return [self.pack(item, (*path, i)) for i, item in enumerate(value)]
            if isinstance(value, tuple):
                return {"$tuple": [self.pack(item, (*path, i)) for i, item in enumerate(value)]}
            return self._pack_mapping(value, path)
        finally:
            self._inside.remove(id(value))

    def _pack_mapping(self, value: Mapping[Any, Any], path: tuple[Any, ...]) -> Any:
        ordered = isinstance(value, OrderedDict)
        if not ordered and all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: self.pack(item, (*path, key)) for key, item in value.items()}
        pairs = [[self._pack_key(key, path), self.pack(item, (*path, key))] for key, item in value.items()]
        packed: dict[str, Any] = {"$ordered" if ordered else "$dict": pairs}
        if hasattr(value, "_metadata"):  # of a module's state dict: the versions
            packed["metadata"] = self.pack(value._metadata, (*path, "_metadata"))
        return packed

    def _pack_key(self, key: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(key, (Tensor, np.ndarray)):
            raise SerializationError(f"save: a key is a {type(key).__name__}; in {_spell(path)}; use strings or numbers")
        return self.pack(key, path)

    def _pack_tensor(self, tensor: Tensor, path: tuple[Any, ...]) -> dict[str, Any]:
        packed: dict[str, Any] = {"$tensor": self._store(tensor.detach().cpu().numpy(), path)}
        if tensor.requires_grad:
            packed["requires_grad"] = True
        if isinstance(tensor, Parameter):
            packed["parameter"] = True
        return packed

    def _store(self, array: np.ndarray, path: tuple[Any, ...]) -> str:
        if array.dtype.name not in STORED_DTYPES:
            raise SerializationError(f"save: cannot store an array of dtype {array.dtype}; it is at {_spell(path)}")
        memory = (array.ctypes.data, array.shape, array.strides, array.dtype.name)
        if array.size and memory in self._names:
            return self._names[memory]
        name = ".".join(str(key) for key in path) or "tensor"
        while name in self.arrays or name == "__metadata__":
            name += "_"
        self.arrays[name] = array if array.flags.c_contiguous else array.copy(order="C")
        self._names[memory] = name
        return name


class Unpacker:
    """Puts together what Packer took apart. Trusts nothing: what is not as it must be raises."""

    def __init__(self, arrays: dict[str, np.ndarray], device: Any) -> None:
        self._arrays = arrays
        self._device = device
        self._tensors: dict[str, Tensor] = {}

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name; a second one of the same name shares its memory."""
        if name not in self._tensors:
            tensor = gf.from_numpy(self._arrays[name])
            self._tensors[name] = tensor if self._device is None else tensor.to(self._device)
            return self._tensors[name]
        return self._tensors[name].detach()

    def unpack(self, value: Any, depth: int) -> Any:
        if depth > 2 * MAX_DEPTH:
            raise ValueError("nested too deep")
        if isinstance(value, list):
            return [self.unpack(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        tag = next(iter(value), "")
        if not tag.startswith("$"):
            return {key: self.unpack(item, depth + 1) for key, item in value.items()}
        content = value[tag]
        if tag == "$tensor":
            return self._marked(self.tensor(content), value)
        if tag == "$ndarray":
            return self._arrays[content]
        if tag == "$float":
            return float(content)
        if tag == "$dtype" and content in STORED_DTYPES:
            return getattr(gf, content)
        if tag == "$tuple":
            return tuple(self.unpack(item, depth + 1) for item in content)
        if tag in ("$dict", "$ordered"):
            pairs = [(self.unpack(key, depth + 1), self.unpack(item, depth + 1)) for key, item in content]
            if tag == "$dict":
                return dict(pairs)
            mapping: Any = OrderedDict(pairs)
            if "metadata" in value:
                mapping._metadata = self.unpack(value["metadata"], depth + 1)
            return mapping
        raise ValueError(f"unknown mark {tag!r}")

    @staticmethod
    def _marked(tensor: Tensor, marks: dict[str, Any]) -> Tensor:
        requires_grad = marks.get("requires_grad") is True
        if marks.get("parameter") is True:
            return Parameter(tensor, requires_grad)
        return tensor.requires_grad_() if requires_grad else tensor


def _spell(path: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{key!r}]" for key in path)


def _write_file(arrays: dict[str, np.ndarray], metadata: dict[str, str], path: str | bytes) -> None:
    path = os.path.realpath(os.fsdecode(path))  # a link stays a link
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        with open(path, "wb") as file:  # a directory raises here, a device or a pipe is written to
            file.write(safetensors.numpy.save(arrays, metadata))
        return
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:64]}.{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb"):  # ours alone, and raises what Python raises where one may not write
            pass
        safetensors.numpy.save_file(arrays, temporary, metadata)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if os.path.exists(path):
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def _read_file(path: str | bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with open(path, "rb") as file:  # raises what Python raises for a file that is not there
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return _parse(file.read())
        try:
            with safetensors.safe_open(os.fsdecode(path), framework="numpy"):
                pass  # the library has checked the whole header against the file's size
        except (safetensors.SafetensorError, TypeError) as error:
            raise _broken(error, file.read(8)) from error
        size = int.from_bytes(file.read(8), "little")
        entries, metadata = _header(file.read(size))
        arrays = {}
        for name, entry in entries.items():
            array = np.empty(entry["shape"], _dtype(name, entry))
            file.seek(8 + size + entry["data_offsets"][0])
            if array.size and file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
                raise SerializationError("load: the file became shorter while it was read; try again")
            arrays[name] = _checked(array)
    return arrays, metadata


def _parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        entries = dict(safetensors.deserialize(data))
    except (safetensors.SafetensorError, TypeError) as error:
        raise _broken(error, data[:8]) from error
    metadata = _header(data[8 : 8 + int.from_bytes(data[:8], "little")])[1]
    arrays = {}
    for name, entry in entries.items():
        values = np.frombuffer(bytearray(entry["data"]), dtype=_dtype(name, entry))
        arrays[name] = _checked(values.reshape(entry["shape"]))
    return arrays, metadata


def _header(text: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """Where each tensor is, and the metadata, which the library does not hand out; it has checked both."""
    header = json.loads(text)
    metadata = header.pop("__metadata__", None) or {}
    return header, metadata


NUMPY_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def _dtype(name: str, entry: dict[str, Any]) -> np.dtype:
    kind = NUMPY_NAMES.get(entry["dtype"])
    if kind is None:
        raise SerializationError(f"load: {name!r} has elements of type {entry['dtype']}, which gradflow does not have")
    return gf.bfloat16.numpy if kind == "bfloat16" else np.dtype(kind)


def _checked(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.bool_:
        # any other byte than 0 and 1 would not be a bool
        return np.asarray(array.view(np.uint8) != 0)
    return array


def _broken(error: Exception, start: bytes) -> SerializationError:
    if start[:2] in (b"PK", b"\x80\x02", b"\x80\x04"):
        return SerializationError(
            "load: not a safetensors file but a pickle, as torch.save writes them; nothing is unpickled here; "
            "write it with safetensors.torch.save_file instead"
        )
    return SerializationError(f"load: not a whole safetensors file; {error}; save it again")
