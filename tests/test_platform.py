"""Limits of types, comparisons for tests, and what is said of devices that are not there."""

import pytest

import gradflow as gf


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_finfo_as_torch(torch, name):
    ours, theirs = gf.finfo(getattr(gf, name)), torch.finfo(getattr(torch, name))
    for field in ("bits", "max", "min", "eps", "tiny", "smallest_normal", "dtype"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert gf.finfo().dtype == "float32"


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo_as_torch(torch, name):
    ours, theirs = gf.iinfo(getattr(gf, name)), torch.iinfo(getattr(torch, name))
    assert (ours.bits, ours.min, ours.max, ours.dtype) == (theirs.bits, theirs.min, theirs.max, theirs.dtype)


def test_limits_refuse_the_other_kind():
    with pytest.raises(TypeError, match="use iinfo"):
        gf.finfo(gf.int32)
    with pytest.raises(TypeError, match="use finfo"):
        gf.iinfo(gf.float32)


def test_assert_close():
    close = gf.testing.assert_close
    x = gf.tensor([1.0, 2.0])
    close(x, x + 1e-6)
    close([x, {"a": 1.0}], [x, {"a": 1.0}])
    close(gf.tensor([float("nan")]), gf.tensor([float("nan")]), equal_nan=True)
    for wrong, text in (
        (lambda: close(x, x + 1e-2), "Mismatched elements: 2 / 2"),
        (lambda: close(x, gf.tensor([1.0])), "shape"),
        (lambda: close(x, x.double()), "dtype"),
        (lambda: close(gf.tensor([2**60]), gf.tensor([2**60 + 1])), "Mismatched elements: 1 / 1"),
        (lambda: close({"a": x}, {"b": x}), "keys"),
        (lambda: close(gf.tensor([float("nan")]), gf.tensor([float("nan")])), "Mismatched"),
    ):
        with pytest.raises(AssertionError, match=text):
            wrong()
    with pytest.raises(ValueError, match="both"):
        close(x, x, rtol=1e-3)
    gf.testing.assert_allclose(x, x.double())


def test_devices_that_are_not_there():
    assert not gf.cuda.is_available() and gf.cuda.device_count() == 0
    assert not gf.accelerator.is_available() and gf.accelerator.current_accelerator() is None
    gf.cuda.manual_seed_all(0)
    device = gf.device("cuda" if gf.cuda.is_available() else "cpu")
    assert gf.ones(2).to(device).device == device
    with pytest.raises(RuntimeError, match="is missing"):
        gf.cuda.synchronize()
    with pytest.raises(RuntimeError, match="is missing"):
        gf.ones(2).to("cuda")


def test_inference_mode():
    x = gf.ones(2, requires_grad=True)
    with gf.inference_mode():
        assert not (x * 2).requires_grad
    with gf.inference_mode(False):
        assert (x * 2).requires_grad

    @gf.inference_mode()
    def f():
        return x * 2

    assert not f().requires_grad
