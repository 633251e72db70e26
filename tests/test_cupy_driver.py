"""The narrow module over CuPy: it has what the emulated driver has, and CuPy has what it calls. CuPy's wheel imports without a driver."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest
from cuda_driver import Driver

from gradflow.backends import cupy_driver

FILE = Path(cupy_driver.__file__)

# What the extension modules of CuPy say of the functions that are called: their names and parameters, in order.
SIGNATURES = {
    "cupy_backends.cuda.api.driver.launchKernel": "f grid_dim_x grid_dim_y grid_dim_z block_dim_x block_dim_y block_dim_z shared_mem_bytes "
    "stream kernel_params extra",
    "cupy_backends.cuda.api.runtime.memcpyAsync": "dst src size kind stream",
    "cupy_backends.cuda.api.runtime.memcpyPeerAsync": "dst dstDevice src srcDevice size stream",
    "cupy_backends.cuda.api.runtime.memsetAsync": "ptr value size stream",
    "cupy_backends.cuda.api.runtime.streamSynchronize": "stream",
    "cupy_backends.cuda.api.runtime.getDeviceProperties": "device",
    "cupy_backends.cuda.api.runtime.setDevice": "device",
    "cupy_backends.cuda.libs.nvrtc.createProgram": "src name headers include_names",
    "cupy_backends.cuda.libs.nvrtc.compileProgram": "prog options",
    "cupy_backends.cuda.libs.nvrtc.getCUBIN": "prog",
    "cupy_backends.cuda.libs.nvrtc.getProgramLog": "prog",
    "cupy_backends.cuda.libs.cublas.setStream": "handle stream",
    "cupy_backends.cuda.libs.cublas.gemmStridedBatchedEx": "handle transa transb m n k alpha A Atype lda strideA B Btype ldb strideB beta C Ctype "
    "ldc strideC batchCount computeType algo",
    "cupy.cuda.device.get_cublas_handle": "",
    "cupy_backends.cuda.api.runtime.streamWaitEvent": "stream event flags",
    "cupy.cuda.alloc": "size",
    "cupy.cuda.alloc_pinned_memory": "size",
    "cupy.cuda.get_current_stream": "device_id",
    "cupy.cuda.get_elapsed_time": "start_event end_event",
}


# What the objects of CuPy's classes have, which the driver and gf.cuda use.
MEMBERS = {
    "cupy.cuda.Stream": "ptr done use synchronize wait_event null",
    "cupy.cuda.Event": "ptr done record synchronize",
    "cupy.cuda.MemoryPointer": "ptr",
    "cupy.cuda.PinnedMemoryPointer": "ptr",
    "cupy.cuda.MemoryPool": "total_bytes free_all_blocks",
    "cupy.cuda.PinnedMemoryPool": "free_all_blocks",
    "cupy.cuda.function.Module": "load get_function",
    "cupy.cuda.function.Function": "ptr",
}
OTHERS = """
cupy.get_default_memory_pool cupy.get_default_pinned_memory_pool cupy.cuda.memory.OutOfMemoryError
cupy_backends.cuda.api.runtime.getDevice cupy_backends.cuda.api.runtime.deviceSynchronize cupy_backends.cuda.api.runtime.memGetInfo
cupy_backends.cuda.api.runtime.memcpyHostToDevice cupy_backends.cuda.api.runtime.memcpyDeviceToHost
"""


def called_functions():
    """Public functions of the driver that the backend and gf.cuda call."""
    package = FILE.parent
    for path in [*(package / "cuda").glob("*.py"), *(package.parent / "cuda").glob("*.py")]:
        yield from re.findall(r"(?:array\.driver|\bdriver|backend\(\)|started\(\))\.(\w+)", path.read_text())


def test_both_drivers_have_what_is_called():
    names = set(called_functions())
    assert {"alloc", "launch", "gemm", "function", "to_host", "synchronize"} <= names
    for name in names:
        ours, emulated = getattr(cupy_driver, name), getattr(Driver, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(emulated).parameters)[1:], name


def test_without_a_device_one_sentence_says_what_is_missing():
    missing = cupy_driver.why_not()
    if missing is None:
        pytest.skip("there is a device")
    assert missing.startswith("cuda: ") and ("pip" in missing or "driver" in missing) and "\n" not in missing


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
@pytest.mark.parametrize("path", SIGNATURES)
def test_cupy_has_what_is_called(path):
    module, name = path.rsplit(".", 1)
    try:
        function = getattr(importlib.import_module(module), name)
    except ImportError as error:  # cuBLAS and NVRTC are libraries of their own
        pytest.skip(str(error))
    text = function.__doc__.split("\n")[0]
    parameters = re.search(r"\((.*?)\)", text).group(1)
    assert [p.split("=")[0].split()[-1] for p in parameters.split(", ") if p] == SIGNATURES[path].split()


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_has_the_objects():
    for path in (*MEMBERS, *OTHERS.split()):
        module, name = path.rsplit(".", 1)
        thing = getattr(importlib.import_module(module), name)
        for member in MEMBERS.get(path, "").split():
            assert hasattr(thing, member) or f".{member} (" in thing.__doc__, f"{path}.{member}"  # or an attribute of instances
    assert issubclass(importlib.import_module("cupy.cuda.memory").OutOfMemoryError, MemoryError)
    stream = importlib.import_module("cupy.cuda").Stream
    assert all(word in stream.__doc__ for word in ("non_blocking (bool)", "priority (int)"))
    event = importlib.import_module("cupy.cuda").Event
    assert all(word in event.__doc__ for word in ("block (bool)", "disable_timing (bool)"))


def test_the_signatures_are_of_what_the_driver_calls():
    """Every function of CuPy's low-level modules that the source names is in the table, with the number of arguments that it is given."""
    tree = ast.parse(FILE.read_text())
    table = {path.rsplit(".", 1)[1]: parameters.split() for path, parameters in SIGNATURES.items()}
    counted = 0
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in table):
        given = sum(len(a.value.elts) if isinstance(a, ast.Starred) else 1 for a in call.args)
        optional = call.func.attr == "streamWaitEvent"  # its flags
        assert given + optional == len(table[call.func.attr]), ast.unparse(call)
        counted += 1
    assert counted >= 12
