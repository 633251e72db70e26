"""The tests of operations, autograd, modules and optimizers, on a device: what ``pytest -m gpu`` runs beside the tests of the backend itself.

The files named in ``SAME`` run as they are, with everything that they make on the device; where they compare with PyTorch, the CPU's backend
stands in its place. ``GRADFLOW_DEVICE=emulated`` takes the emulated device; ``GRADFLOW_DEVICE=collected`` computes nothing on it, but compiles all
kernels that are asked for at once, which is much quicker than one after the other.
"""

import contextlib
import functools
import os
import signal
import types

import numpy as np
import pytest

import gradflow as gf
from gradflow import devices
from gradflow.backends import cuda, cupy_driver
from gradflow.backends.cuda import array

CHOSEN = os.environ.get("GRADFLOW_DEVICE", "real")
SAME = frozenset(
    """
    test_acceptance test_adaptive_optimizers test_attention test_autograd_checks test_autograd_function test_autograd_graph
    test_autograd_in_place test_containers test_coverage test_depth test_distributions test_fft test_formulas test_func test_grids test_init
    test_layers test_lazy test_linalg test_losses test_mathematics test_module_state test_nn test_optim test_out test_parametrize
    test_programs test_random_programs test_random_transforms test_recurrent test_safe_grad test_schedules test_selection test_space
    test_special test_torch_arranging test_torch_edges test_torch_margin_losses test_torch_numbers test_torch_order test_torch_parity
    test_torch_types test_vmap
    """.split()
)
# What a device does otherwise, and why.
OTHERWISE = {
    "tensors print with their device": "test_printing test_A1_ test_A3_ test_A6_ test_A8_ test_A9_ test_A10_ test_A13_ test_A14_ test_prints test_program[texts]",
    "PyTorch prints, counts, lists or says so itself": "test_as_in_torch[Gamma] test_as_in_torch[Chi2] test_as_in_torch[InverseGamma] test_every_operation_of_torchs_database test_kinds_are_torchs test_modules[AvgPool-1] test_the_error_says_which_element",
    "NumPy's arrays are looked for": "test_after_a_failure_nothing_is_batched",
    "calls of Python functions are counted": "test_hooks_that_nobody_uses_cost_no_call test_a_step_costs_few_python_calls",
    "memory that is written while it is read, in another order": "test_as_torch[windows] test_random_programs",
    "indices out of range are reported later": "test_layers_refuse[<lambda>-IndexError test_refused[<lambda>-IndexError test_distances_as_torch[cosine]",
    "there is a device": "test_settings",
    "PyTorch's eigenvalues are complex": "[eig] [eigvals]",
}
SKIPPED = {name: why for why, names in OTHERWISE.items() for name in names.split()}
TOLERANCES = {2: 4e-3, 4: 2e-5}  # by the bytes of an element: a device rounds otherwise than the CPU, within the bounds of the primitives
LONGEST = 20  # seconds for a test while kernels are collected: what is computed means nothing, and may not end

driver = None


def start():
    """The device that is tested."""
    global driver
    if CHOSEN == "real":
        driver = cupy_driver
    else:
        from cuda_driver import Driver

        driver = Driver()
        driver.collected = {} if CHOSEN == "collected" else None
        use()


def use():
    """The tests of the backend take other drivers."""
    if array.driver is not driver:
        cuda.use(driver)


# The CPU's backend in PyTorch's place


def on_cpu(f):
    @functools.wraps(f)
    def call(*args, **kwargs):
        with gf.device("cpu"):
            return f(*args, **kwargs)

    return call


class Reference(types.ModuleType):
    """A module of gradflow, whose functions and classes make what they make on the CPU."""

    def __init__(self, module):
        super().__init__(module.__name__)
        self.original, self.found = module, {}  # `module` is a name in nn.modules

    def __getattr__(self, name):
        if name not in self.found:
            if not hasattr(self.original, name):
                pytest.skip(f"{self.original.__name__} has no {name}: a test of PyTorch's own")
            self.found[name] = reference(getattr(self.original, name))
        return self.found[name]


@functools.cache
def reference(thing):
    if isinstance(thing, types.ModuleType):
        return Reference(thing)
    if isinstance(thing, type):
        if not issubclass(thing, gf.nn.Module | gf.optim.Optimizer | gf.distributions.Distribution | gf.distributions.Transform):
            return thing
        names = {"__init__": on_cpu(thing.__init__), "__module__": thing.__module__, "__qualname__": thing.__qualname__}
        return type(thing)(thing.__name__, (thing,), names)
    return on_cpu(thing) if callable(thing) and not isinstance(thing, gf.dtype) else thing


# What the tests do with NumPy


def close(compare, got, want, rtol=1e-7, atol=0, **options):
    size = min([x.dtype.itemsize for x in map(np.asarray, (got, want)) if x.dtype.kind in "fV"], default=0)
    least = TOLERANCES.get(size, 0)
    compare(got, want, rtol=max(rtol, least), atol=max(atol, least), **options)


@contextlib.contextmanager
def entered():
    """Everything is made on the device, and is copied to the host where a test hands it to NumPy."""
    use()
    gf.set_default_device("cuda")
    shared = gf.from_numpy
    patch = pytest.MonkeyPatch()
    patch.setattr(type(devices.default), "device", gf.device("cuda"))  # of a test's own threads
    patch.setattr(array.DeviceArray, "for_numpy", lambda self, force: array.download(self))
    patch.setattr(gf, "from_numpy", lambda x: shared(x).to(gf.get_default_device()))
    patch.setattr(np.testing, "assert_allclose", functools.partial(close, np.testing.assert_allclose))
    try:
        yield
    finally:
        with contextlib.suppress(IndexError):  # reported here if nobody has waited since
            gf.cuda.synchronize()
        patch.undo()
        gf.set_default_device(None)


class Plugin:
    """Only the tests that a device concerns are collected, so that the others' libraries need not be there."""

    def pytest_ignore_collect(self, collection_path):
        name = collection_path.stem
        return name not in SAME and not name.startswith("test_cuda") if name.startswith("test_") else None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector):
        """What a module makes when it is imported is on the device, too."""
        if isinstance(collector, pytest.Module) and collector.path.stem in SAME:
            with entered():
                return (yield)
        return (yield)

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if item.path.stem in SAME:
                item.add_marker("gpu")
                for why in [why for name, why in SKIPPED.items() if name in item.name]:
                    item.add_marker(pytest.mark.skip(reason=why))
            elif CHOSEN != "real":
                item.add_marker(pytest.mark.skip(reason="the backend's own tests have an emulated device of their own"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if item.path.stem not in SAME:
            return (yield)
        with entered(), limited():
            return (yield)

    def pytest_sessionfinish(self):
        if CHOSEN == "collected":
            driver.compiler.build(driver.collected)


@contextlib.contextmanager
def limited():
    if CHOSEN != "collected":
        yield
        return

    def stop(*_):
        raise TimeoutError("collecting kernels")

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
