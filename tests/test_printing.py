"""Tensors print as PyTorch prints them."""

import itertools
import math
import random

import ml_dtypes
import numpy as np
import pytest

from gradflow import printing
from gradflow.printing import format_tensor

ARRAYS = {
    "scalar": (np.float32(28.0), {"grad_fn_name": "MulBackward0"}, "tensor(28., grad_fn=<MulBackward0>)"),
    "whole": (np.arange(4, dtype=np.float32), {}, "tensor([0., 1., 2., 3.])"),
    "one width": (np.arange(4, dtype=np.float32) * 4, {}, "tensor([ 0.,  4.,  8., 12.])"),
    "leaf": (np.arange(2, dtype=np.float32), {"requires_grad": True}, "tensor([0., 1.], requires_grad=True)"),
    "digits": (np.array([0.5, 1.25], np.float32), {}, "tensor([0.5000, 1.2500])"),
    "sci": (np.array([1e-5, 1.0], np.float32), {}, "tensor([1.0000e-05, 1.0000e+00])"),
    "bool": (np.array([True, False]), {}, "tensor([ True, False])"),
    "int": (np.array([[1, -20], [300, 4]]), {}, "tensor([[  1, -20],\n        [300,   4]])"),
    "double": (np.array([1.5]), {}, "tensor([1.5000], dtype=torch.float64)"),
    "int32": (np.array([1], np.int32), {}, "tensor([1], dtype=torch.int32)"),
    "bfloat16": (np.array([1.5], ml_dtypes.bfloat16), {}, "tensor([1.5000], dtype=torch.bfloat16)"),
    "not finite": (np.array([np.nan, np.inf, -1.0], np.float32), {}, "tensor([nan, inf, -1.])"),
    "empty": (np.zeros((0,), np.float32), {}, "tensor([])"),
    "empty matrix": (np.zeros((2, 0), np.float32), {}, "tensor([], size=(2, 0))"),
    "empty int": (np.zeros((0,), np.int64), {}, "tensor([], dtype=torch.int64)"),
    "deep": (np.zeros((2, 1, 2), np.float32), {}, "tensor([[[0., 0.]],\n\n        [[0., 0.]]])"),
    "long": (np.arange(1001), {}, "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    "other device": (np.array(1), {"device": "cuda:0"}, "tensor(1, device='cuda:0')"),
    "subclass": (np.array([1]), {"prefix": "Mine("}, "Mine([1])"),
}


@pytest.fixture(autouse=True)
def default_options():
    printing.set_printoptions(profile="default")
    yield
    printing.set_printoptions(profile="default")


@pytest.mark.parametrize("name", ARRAYS)
def test_golden(name):
    array, suffixes, text = ARRAYS[name]
    assert format_tensor(np.asarray(array), **suffixes) == text


def test_default_dtype_goes_unnamed():
    assert format_tensor(np.array([1.5]), default_dtype="float64") == "tensor([1.5000])"
    assert format_tensor(np.array([1.5]), default_dtype=np.dtype("float64")) == "tensor([1.5000])"
    assert format_tensor(np.array([1.5], np.float32), default_dtype="float64") == "tensor([1.5000], dtype=torch.float32)"


def test_suffixes_wrap_at_the_line_width():
    text = format_tensor(np.arange(20, dtype=np.float64), grad_fn_name="SomeQuiteLongNameBackward0")
    assert text.splitlines()[1:] == [
        "        14., 15., 16., 17., 18., 19.], dtype=torch.float64,",
        "       grad_fn=<SomeQuiteLongNameBackward0>)",
    ]


def test_options():
    with printing.printoptions(precision=2, sci_mode=True):
        assert format_tensor(np.array([1.0], np.float32)) == "tensor([1.00e+00])"
    assert printing.get_printoptions() == {
        "precision": 4,
        "threshold": 1000,
        "edgeitems": 3,
        "linewidth": 80,
        "sci_mode": None,
    }
    printing.set_printoptions(profile="full")
    assert "..." not in format_tensor(np.arange(2000))
    with pytest.raises(ValueError, match="set_printoptions: unknown profile; got 'fulll'"):
        printing.set_printoptions(profile="fulll")


OPTIONS = [
    {},
    {"precision": 2},
    {"edgeitems": 1, "threshold": 5},
    {"edgeitems": 0, "threshold": 5},
    {"sci_mode": True},
    {"sci_mode": False},
    {"linewidth": 40},
    {"threshold": 0, "edgeitems": 2},
    {"profile": "short"},
    {"profile": "full"},
]


def random_array(rng: np.random.Generator) -> np.ndarray:
    """Any shape, any dtype, values of all magnitudes, now and then nan, inf and zeros."""
    odds = [0.03, 0.15, 0.2, 0.2, 0.17, 0.1, 0.1, 0.05]
    shape = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 5, 7, 8, 40], size=rng.integers(0, 4), p=odds))
    kind = rng.integers(0, 6)
    if kind == 0:
        return np.asarray(rng.integers(0, 2, shape)).astype(bool)
    if kind == 1:
        return np.asarray(rng.integers(-(10 ** int(rng.integers(1, 10))), 10**9, shape))
    if kind == 2:
        return np.asarray(rng.integers(0, 127, shape)).astype(rng.choice([np.uint8, np.int8, np.int16, np.int32]))
    values = np.asarray(rng.standard_normal(shape) * 10.0 ** int(rng.integers(-7, 10)))
    if kind == 3:
        values = np.asarray(np.round(values))
    if kind == 4:
        values = np.asarray(values * 10.0 ** np.asarray(rng.integers(-3, 3, shape)))
    with np.errstate(all="ignore"):
        array = values.astype([np.float32, np.float64, np.float16, ml_dtypes.bfloat16][int(rng.integers(0, 4))])
    if array.size and rng.random() < 0.3:
        for value in (math.nan, math.inf, -math.inf, 0.0, -0.0):
            if rng.random() < 0.5:
                array.reshape(-1)[rng.integers(0, array.size)] = value
    return array


def as_torch(torch, array):
    if array.dtype.name != "bfloat16":
        return torch.from_numpy(array.copy())
    return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)


@pytest.mark.parametrize("seed", range(8))
def test_as_torch_prints(torch, seed):
    rng = np.random.default_rng(seed)
    choices = random.Random(seed)
    try:
        for _ in range(60):
            array, changes = random_array(rng), {"profile": "default", **choices.choice(OPTIONS)}
            tensor = as_torch(torch, array)
            suffixes = {}
            if tensor.is_floating_point() and choices.random() < 0.3:
                tensor.requires_grad_(True)
                suffixes = {"requires_grad": True}
                if choices.random() < 0.5:
                    tensor = tensor.clone()
                    suffixes["grad_fn_name"] = "CloneBackward0"
            torch.set_printoptions(**changes)
            printing.set_printoptions(**changes)
            assert format_tensor(array, **suffixes) == repr(tensor)
    finally:
        torch.set_printoptions(profile="default")


def test_every_small_shape_as_torch_prints(torch):
    for shape in itertools.product((1, 2, 4), repeat=4):
        array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape) / 3
        assert format_tensor(array) == repr(torch.from_numpy(array))
