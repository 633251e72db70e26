"""What all tests share: the torch module to compare with, the markers, and hypothesis's settings."""

import importlib
import os
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

try:
    import hypothesis
except ImportError:  # the tests of a device, by themselves, do without it
    hypothesis = None
else:
    # The same examples on every run, on machines of any speed.
    hypothesis.settings.register_profile("gradflow", derandomize=True, deadline=None, max_examples=50, database=None)
    hypothesis.settings.load_profile("gradflow")

REQUIRE_TORCH = os.environ.get("GRADFLOW_REQUIRE_TORCH") == "1"


def why_missing(name: str) -> str | None:
    """Why a module cannot be imported, or None if it can."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return f"{name} is not importable: {error}"
    return None


def why_no_gpu() -> str | None:
    """Why there is no CUDA device to test on, or None if there is one."""
    emulated = os.environ.get("GRADFLOW_DEVICE", "real") != "real"
    return None if emulated else importlib.import_module("gradflow.backends.cupy_driver").why_not()


def why_no_pool() -> str | None:
    """Under the sanitizers every block comes from the system, so that its bounds and its end of life are watched."""
    return "the sanitizers' build keeps no blocks" if os.environ.get("GRADFLOW_SANITIZED") == "1" else None


def device_only(config: pytest.Config) -> bool:
    """Is it ``pytest -m gpu``?"""
    return config.option.markexpr == "gpu"


def pytest_configure(config: pytest.Config) -> None:
    if device_only(config) and why_no_gpu() is None:
        on_device = importlib.import_module("on_device")
        on_device.start()
        config.pluginmanager.register(on_device.Plugin())
    missing = why_missing("torch") if REQUIRE_TORCH else None
    if missing:
        raise pytest.UsageError(f"GRADFLOW_REQUIRE_TORCH=1, but {missing}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that take the fixtures `torch` or `compiler` (NVIDIA's); skip marked tests, with the reason, where they cannot run."""
    for item in items:
        for fixture, marker in (("torch", "torch"), ("compiler", "nvrtc")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
    if device_only(config) and why_no_gpu():  # one of the tests says why, the others are not there
        reached = [item for item in items if item.get_closest_marker("gpu")]
        config.hook.pytest_deselected(items=[item for item in items if item not in reached[:1]])
        items[:] = reached[:1]
    torch_missing = None if device_only(config) else why_missing("torch")
    conditions = (("torch", lambda: torch_missing), ("gpu", why_no_gpu), ("pool", why_no_pool))
    for marker, why in conditions:
        marked = [item for item in items if item.get_closest_marker(marker)]
        reason = why() if marked else None
        if reason:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def torch(request: pytest.FixtureRequest) -> types.ModuleType:
    """PyTorch, to compare with. Not imported by tests that do not ask for it. On a device the CPU's backend is what is compared with."""
    if device_only(request.config):
        return importlib.import_module("on_device").reference(importlib.import_module("gradflow"))
    return importlib.import_module("torch")


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads the kernels use; afterwards it is as it was."""
    extension = importlib.import_module("gradflow._ext")
    before = extension.get_num_threads()
    yield extension.set_num_threads
    extension.set_num_threads(before)


@pytest.fixture(scope="module", params=["emulated", pytest.param("real", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A CUDA device, emulated or real. Functions that a module names ``COLLECTED`` say beforehand which kernels it asks for."""
    yield from importlib.import_module("cuda_driver").devices(request.param, getattr(request.module, "COLLECTED", ()))


@pytest.fixture
def emulated(device: Any) -> Any:
    if device is importlib.import_module("gradflow.backends.cupy_driver"):
        pytest.skip("looks into the emulated device")
    return device
