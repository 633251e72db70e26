"""save and load: what goes in comes out, and bad files raise."""

import contextlib
import hashlib
import io
import json
import os
import stat
from collections import OrderedDict

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import gradflow as gf
from gradflow import nn, optim
from gradflow.serialization import SerializationError, load, save


def roundtrip(obj):
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return load(file)


def same(a, b):
    assert type(a) is type(b) or {type(a), type(b)} <= {gf.Tensor, nn.Parameter}
    if isinstance(a, gf.Tensor):
        assert (a.dtype, tuple(a.shape)) == (b.dtype, tuple(b.shape))
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (4, 3)])
@pytest.mark.parametrize("name", DTYPES)
def test_tensors(tmp_path, name, shape):
    dtype = gf.bool if name == "bool" else getattr(gf, name)
    tensor = gf.tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape)).to(dtype)
    same(roundtrip({"x": tensor}), {"x": tensor})
    save({"x": tensor}, tmp_path / "x.safetensors")
    same(load(tmp_path / "x.safetensors"), {"x": tensor})


def test_special_values_are_kept():
    same(roundtrip(gf.tensor([float("nan"), float("inf"), -0.0])), gf.tensor([float("nan"), float("inf"), -0.0]))


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::2], lambda x: x[:, 1], lambda x: x[:1].expand(3, 3)])
def test_strided_tensors(view):
    tensor = view(gf.arange(9.0).reshape(3, 3))
    same(roundtrip([tensor]), [tensor.contiguous()])


STRUCTURES = [
    {"a": {"b": gf.ones(2), "c": [1, 2.5, None, True, "x"]}},
    {0: gf.ones(1), 1: "x", None: 2, (1, 2): 3, 2.5: 4},
    OrderedDict([("z", gf.ones(1)), ("a", gf.zeros(1))]),
    ("a", (1, ()), []),
    {"$tensor": 1, "$": 2, "plain": 3},
    {"inf": float("inf"), "nan": float("nan"), "minus": -float("inf"), "big": 10**30, "tiny": 5e-324},
    {"a.b": gf.ones(1), "a": {"b": gf.zeros(1)}},
    {"__metadata__": gf.ones(1)},
    {"": gf.ones(1), "é\n\u2028": gf.ones(1)},
    gf.ones(2),
    3,
    [gf.float32, gf.bfloat16],
]


@pytest.mark.parametrize("obj", STRUCTURES, ids=range(len(STRUCTURES)))
def test_structures(obj):
    same(roundtrip(obj), obj)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(plain)
def test_any_plain_structure(obj):
    same(roundtrip(obj), obj)


def test_numpy_values():
    back = roundtrip({"a": np.arange(3, dtype=np.uint16), "n": np.float64(2.5), "i": np.int64(3), "b": np.bool_(True)})
    assert isinstance(back["a"], np.ndarray)
    assert back["a"].dtype == np.uint16
    assert (back["n"], back["i"], back["b"]) == (2.5, 3, True)


def test_parameters_and_requires_grad():
    back = roundtrip({"p": nn.Parameter(gf.ones(2)), "frozen": nn.Parameter(gf.ones(2), False), "t": gf.ones(1, requires_grad=True)})
    assert isinstance(back["p"], nn.Parameter)
    assert (back["p"].requires_grad, back["frozen"].requires_grad) == (True, False)
    assert back["t"].requires_grad
    assert not isinstance(back["t"], nn.Parameter)


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(50, 20)
            self.out = nn.Linear(20, 50, bias=False)
            self.out.weight = self.embed.weight

    path = tmp_path / "tied.safetensors"
    save(Tied().state_dict(), path)
    assert path.stat().st_size < 50 * 20 * 4 * 1.5
    state = load(path)
    assert state["embed.weight"].data_ptr() == state["out.weight"].data_ptr()
    state["embed.weight"].fill_(3.0)
    assert state["out.weight"][0, 0].item() == 3.0


def test_overlapping_views_are_stored_apart():
    base = gf.arange(4.0)
    back = roundtrip([base, base[1:], base[:2]])
    assert [t.tolist() for t in back] == [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 1.0]]


def test_a_training_run_is_resumed(tmp_path):
    def make():
        gf.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        return model, optimizer, optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])

    def train(model, optimizer, schedule):
        x = gf.arange(12.0).reshape(4, 3) / 10
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            schedule.step()

    parts = make()
    train(*parts)
    save({"epoch": 3, **{str(i): part.state_dict() for i, part in enumerate(parts)}}, tmp_path / "run.safetensors")
    train(*parts)

    resumed = make()
    saved = load(tmp_path / "run.safetensors")
    assert saved["epoch"] == 3
    for i, part in enumerate(resumed):
        part.load_state_dict(saved[str(i)])
    train(*resumed)
    for a, b in zip(parts[0].parameters(), resumed[0].parameters(), strict=True):
        assert a.tolist() == b.tolist()


def test_state_dicts_keep_their_versions():
    state = roundtrip(nn.Linear(2, 2).state_dict())
    assert isinstance(state, OrderedDict)
    assert state._metadata == OrderedDict([("", {"version": 1})])


# with other programs


def test_a_state_dict_is_an_ordinary_safetensors_file(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3))
    save(model.state_dict(), tmp_path / "m.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {"0.weight": (3, 2), "0.bias": (3,)}
    assert np.array_equal(arrays["0.weight"], model[0].weight.detach().numpy())


def test_other_programs_files_are_read(tmp_path):
    arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(3)}
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", {"format": "pt"})
    state = load(tmp_path / "x.safetensors")
    assert {name: tensor.tolist() for name, tensor in state.items()} == {name: a.tolist() for name, a in arrays.items()}


def test_with_torch(torch, tmp_path):
    theirs = torch.nn.Linear(3, 2)
    arrays = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    safetensors.numpy.save_file(arrays, tmp_path / "t.safetensors")
    ours = nn.Linear(3, 2)
    ours.load_state_dict(load(tmp_path / "t.safetensors"))
    assert ours.weight.tolist() == theirs.weight.tolist()
    torch.save(theirs.state_dict(), tmp_path / "t.pt")
    with pytest.raises(SerializationError, match=r"a pickle, as torch.save writes them; nothing is unpickled"):
        load(tmp_path / "t.pt")


# places


def test_paths(tmp_path):
    path = tmp_path / "a.safetensors"
    for name in (path, str(path), os.fsencode(path)):
        save({"x": gf.ones(1)}, name)
        assert load(name)["x"].item() == 1.0
    with open(path, "rb") as file:
        assert load(file)["x"].item() == 1.0
    with open(path, "wb") as file:
        save({"x": gf.zeros(1)}, file)
    assert load(path)["x"].item() == 0.0


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"x": gf.ones(1)}, path)
    path.chmod(0o640)
    with pytest.raises(SerializationError):
        save({"x": object()}, path)
    assert load(path)["x"].item() == 1.0
    link = tmp_path / "link"
    link.symlink_to(path)
    save({"x": gf.zeros(1)}, link)
    assert link.is_symlink()
    assert load(path)["x"].item() == 0.0
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.safetensors", "link"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save({"x": gf.ones(1)}, path)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save({"x": gf.zeros(1)}, path)
    monkeypatch.undo()
    assert load(path)["x"].item() == 1.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_places_that_do_not_work(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        save({}, tmp_path / "no" / "folder")
    with pytest.raises(IsADirectoryError):
        save({}, tmp_path)
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    save({}, os.devnull)


def test_map_location(tmp_path):
    path = tmp_path / "a.safetensors"
    save({"x": gf.ones(1)}, path)
    for where in (None, "cpu", gf.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert load(path, map_location=where, weights_only=True)["x"].item() == 1.0


# what is refused


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"a": [object()]}, r"cannot store a object; it is at obj\['a'\]\[0\]"),
        (nn.Linear(1, 1), r"cannot store a Linear; it is at obj; .* save its state_dict\(\)"),
        ({"a": {1, 2}}, "cannot store a set"),
        ({"a": b"bytes"}, "cannot store a bytes"),
        ({"a": 1j}, "cannot store a complex"),
        ({"a": np.array(["x"])}, "cannot store an array of dtype <U1"),
        ({"a": np.array([1j])}, "cannot store an array of dtype complex128"),
    ],
    ids=["object", "module", "set", "bytes", "complex", "array of text", "array of complex numbers"],
)
def test_unsavable(obj, text):
    with pytest.raises(SerializationError, match=text):
        save(obj, io.BytesIO())


def test_structures_within_themselves():
    knot = []
    knot.append(knot)
    with pytest.raises(SerializationError, match="too deep, or part of itself"):
        save(knot, io.BytesIO())
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(SerializationError, match="too deep"):
        save(deep, io.BytesIO())


def written(obj):
    file = io.BytesIO()
    save(obj, file)
    return file.getvalue()


def test_every_truncation_raises(tmp_path):
    data = written({"w": gf.ones(3), "b": {1: gf.ones(2)}})
    path = tmp_path / "cut"
    for end in range(len(data)):
        with pytest.raises(SerializationError, match="not a whole safetensors file"):
            load(io.BytesIO(data[:end]))
        if end % 10 == 0:
            path.write_bytes(data[:end])
            with pytest.raises(SerializationError, match="not a whole safetensors file"):
                load(path)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_raises_or_loads(position, change):
    data = bytearray(written({"w": gf.ones(3), "flag": gf.tensor([True]), "b": {1: gf.ones(2), "t": (1, 2.5)}}))
    data[position % len(data)] ^= change
    with contextlib.suppress(SerializationError):
        load(io.BytesIO(bytes(data)))


@given(st.binary(max_size=200))
def test_any_bytes_raise(data):
    with pytest.raises(SerializationError):
        load(io.BytesIO(data))


def with_structure(text):
    return safetensors.numpy.save({"w": np.ones(1, np.float32)}, {"gradflow": text})


@pytest.mark.parametrize(
    "structure",
    [
        "",
        "{",
        '{"$tensor": "other"}',
        '{"$tensor": ["w"]}',
        '{"$pickle": "x"}',
        '{"$dict": [1]}',
        '{"$dict": [[[1], 2]]}',
        '{"$float": "x"}',
        '{"$dtype": "os"}',
        '{"$ordered": [], "metadata": {"$x": 1}}',
        '{"$ndarray": {}}',
        "[" * 100_000,
        "[" * 300 + "]" * 300,
        "1" * 10_000,
    ],
    ids=lambda text: text[:20],
)
def test_broken_structures_raise(structure):
    with pytest.raises(SerializationError, match="structure is broken"):
        load(io.BytesIO(with_structure(structure)))


def test_bools_are_zero_or_one():
    header = json.dumps({"b": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\x00\x02\xff"
    tensor = load(io.BytesIO(data))["b"]
    assert tensor.tolist() == [False, True, True]
    assert tensor.numpy().tobytes() == b"\x00\x01\x01"


def test_types_we_do_not_have():
    header = json.dumps({"c": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}).encode()
    data = len(header).to_bytes(8, "little") + header + b"\x00"
    with pytest.raises(SerializationError, match="'c' has elements of type F8_E4M3"):
        load(io.BytesIO(data))


def test_where_downloads_are_kept(tmp_path, monkeypatch):
    from gradflow import hub

    monkeypatch.setattr(hub, "_directory", None)  # and back at the end
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert hub.get_dir() == str(tmp_path / "cache" / "gradflow" / "hub")
    monkeypatch.setenv("GRADFLOW_HOME", str(tmp_path / "home"))
    assert hub.get_dir() == str(tmp_path / "home" / "hub")
    hub.set_dir(tmp_path)
    assert hub.get_dir() == str(tmp_path)


def test_parameters_from_an_address(tmp_path):
    from gradflow import hub
    from gradflow.utils import model_zoo

    source = tmp_path / "there.safetensors"
    gf.save({"w": gf.arange(3.0)}, source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    named = tmp_path / f"net-{digest[:8]}.safetensors"
    source.rename(named)
    here = tmp_path / "here"
    for _ in range(2):  # the second time it is there
        assert hub.load_state_dict_from_url(named.as_uri(), here, check_hash=True)["w"].tolist() == [0, 1, 2]
        assert [path.name for path in here.iterdir()] == [named.name]
        named.unlink(missing_ok=True)
    wrong = tmp_path / "net-00000000.safetensors"
    wrong.write_bytes(b"others'")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        model_zoo.load_url(wrong.as_uri(), here, check_hash=True)
    with pytest.raises(OSError):
        model_zoo.load_url(named.as_uri(), here, file_name="new")
    assert [path.name for path in here.iterdir()] == [named.name]
    with pytest.raises(RuntimeError, match="no code of other repositories"):
        hub.load("pytorch/vision", "resnet18")
