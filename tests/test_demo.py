"""The demo runs as a user runs it, in short, and in full reaches what it promises."""

import importlib.util
import pathlib
import types
from collections.abc import Iterator

import numpy as np
import pytest

import gradflow

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples" / "digits.py"


@pytest.fixture(scope="module")
def digits() -> Iterator[types.ModuleType]:
    spec = importlib.util.spec_from_file_location("digits", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = gradflow.get_num_threads()
    yield module
    gradflow.set_num_threads(threads)


def test_short_run_learns_and_draws(digits, tmp_path, capsys):
    picture = tmp_path / "made" / "digits.png"
    result = digits.main(["--epochs", "2", "--batch-size", "128", "--no-torch", "--out", str(picture)])["gradflow"]
    assert result.losses[1] < result.losses[0]
    assert result.accuracy > 0.8
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "held-out accuracy" in printed
    assert "us per step" in printed


def test_same_training_under_torch(digits, torch):
    """From the same weights on the same batches the first epochs' losses agree to rounding."""
    data = digits.load()
    ours = digits.train(gradflow, data, epochs=2, batch_size=64)
    theirs = digits.train(torch, data, epochs=2, batch_size=64, initial=ours.initial)
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=0.02)


def test_held_out_images_are_not_trained_on(digits):
    data = digits.load()
    seen = {image.tobytes() for image in digits.with_shifts(data.train_x)}
    assert not any(image.tobytes() in seen for image in data.test_x)
