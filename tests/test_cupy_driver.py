"""The narrow module over CuPy: it has what the emulated driver has, and CuPy has what it calls. CuPy's wheel imports without a driver.

Where NVIDIA's libraries are not, libraries of a few lines stand under their names: CuPy's bindings load with them, and show what they call.
"""

import ast
import ctypes
import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_driver import Driver
from cuda_kernels import FLAT, OPS, elementwise

from gradflow.backends import cupy_driver

FILE = Path(cupy_driver.__file__)
needs_cupy = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None and os.environ.get("GRADFLOW_REQUIRE_CUPY") != "1", reason="CuPy is not installed"
)

# What the extension modules of CuPy say of the functions that are called: their names and parameters, in order.
SIGNATURES = {
    "cupy_backends.cuda.api.driver.launchKernel": "f grid_dim_x grid_dim_y grid_dim_z block_dim_x block_dim_y block_dim_z shared_mem_bytes "
    "stream kernel_params extra",
    "cupy_backends.cuda.api.driver.funcSetAttribute": "f attribute value",
    "cupy_backends.cuda.api.runtime.deviceGetAttribute": "attrib device",
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
cupy_backends.cuda.api.driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
cupy_backends.cuda.api.runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin
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


def library(folder, name, text, version=""):
    """Made, and loaded under a name by which CuPy finds it."""
    source, versions, path = folder / f"{name}.c", folder / f"{name}.versions", folder / name
    source.write_text(text)
    versions.write_text(f"{version} {{ global: *; }};")
    flags = ["-shared", "-fPIC", "-w", f"-Wl,-soname,{name}", f"-Wl,--version-script={versions}"]
    subprocess.run(["g++", "-x", "c", *flags, str(source), "-o", str(path)], check=True)
    return ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


@pytest.fixture(scope="module")
def cublas(tmp_path_factory):
    """CuPy's binding of cuBLAS, which is a large library of its own: without it, over functions that do nothing."""
    try:
        return importlib.import_module("cupy_backends.cuda.libs.cublas")
    except ImportError:
        folder = tmp_path_factory.mktemp("cublas")
    (binding,) = (Path(importlib.util.find_spec("cupy_backends").origin).parent / "cuda" / "libs").glob("cublas.*.so")
    text = binding.read_bytes()
    functions = {name.decode() for name in re.findall(rb"\bcublas[A-Z]\w+", text)}
    version = re.search(rb"libcublas\.so\.\d+", text).group().decode()
    light = version.replace("cublas", "cublasLt")
    library(folder, light, "int cublasLtCreate() { return 15; }", light)
    library(folder, version, "".join(f"int {name}() {{ return 15; }}\n" for name in sorted(functions)), version)
    return importlib.import_module("cupy_backends.cuda.libs.cublas")


@needs_cupy
@pytest.mark.parametrize("path", SIGNATURES)
def test_cupy_has_what_is_called(path, request):
    module, name = path.rsplit(".", 1)
    if module.endswith("cublas"):
        request.getfixturevalue("cublas")
    if module.endswith("nvrtc"):
        pytest.importorskip("nvidia.cu13", reason="NVRTC is not installed")
    text = getattr(importlib.import_module(module), name).__doc__.split("\n")[0]
    parameters = re.search(r"\((.*?)\)", text).group(1)
    assert [p.split("=")[0].split()[-1] for p in parameters.split(", ") if p] == SIGNATURES[path].split()


@needs_cupy
def test_the_numbers_of_cublas_are_those_of_its_headers(cublas):
    """cublasOperation_t is given as 0 and 1; cudaDataType and cublasComputeType_t by CuPy's names."""
    runtime = cupy_driver.runtime()
    assert (cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T, cublas.CUBLAS_GEMM_DEFAULT, cublas.CUBLAS_POINTER_MODE_HOST) == (0, 1, -1, 0)
    assert (runtime.CUDA_R_32F, runtime.CUDA_R_64F, runtime.CUDA_R_16F, runtime.CUDA_R_16BF) == (0, 1, 2, 14)
    assert (cublas.CUBLAS_COMPUTE_32F, cublas.CUBLAS_COMPUTE_64F, cublas.CUBLAS_COMPUTE_32F_FAST_TF32) == (68, 70, 77)


SEEN = """
unsigned long long seen[11];
int cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* stream,
                   void** parameters, void** extra) {
  const unsigned long long all[] = {(unsigned long long)f, gx, gy, gz, bx, by, bz, shared, (unsigned long long)stream,
                                    (unsigned long long)parameters, (unsigned long long)extra};
  for (int i = 0; i < 11; ++i) seen[i] = all[i];
  return 0;
}
"""
LAUNCH = """
import ctypes, os, sys, types
library = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
from gradflow.backends import cupy_driver
cupy_driver.stream = lambda device: 7
cupy_driver.On.__enter__ = cupy_driver.On.__exit__ = lambda *args: None
cupy_driver.launch(types.SimpleNamespace(ptr=11), (2, 3), (4, 5), 6, 99, 0)
print(*(ctypes.c_ulonglong * 11).in_dll(library, "seen"), flush=True)
os._exit(0)  # CuPy's own end would ask a driver that does nothing
"""


@needs_cupy
def test_what_the_driver_gets_of_a_launch(tmp_path):
    """Through CuPy's own binding, in a process of its own, where a library stands in the driver's place."""
    library(tmp_path, "libcuda.so.1", SEEN)
    path = os.pathsep.join([str(FILE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", LAUNCH, str(tmp_path / "libcuda.so.1")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}).stdout
    assert said.split() == "11 2 3 1 4 5 1 6 7 99 0".split()


@needs_cupy
def test_kernels_are_compiled_and_kept(tmp_path, monkeypatch):
    """By NVRTC through CuPy's binding, for a device that need not be there; the second time they come from the disk."""
    pytest.importorskip("nvidia.cu13", reason="NVRTC is not installed")
    monkeypatch.setenv("GRADFLOW_CACHE", str(tmp_path))
    kernel = elementwise(OPS["mul"].program, FLAT)
    code = cupy_driver.compiled(kernel.text, "90")
    assert code.startswith(b"\x7fELF") and kernel.name.encode() in code
    monkeypatch.setattr(cupy_driver.nvrtc(), "createProgram", None)
    assert cupy_driver.compiled(kernel.text, "90") == code
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match=r"cuda: NVRTC does not compile a kernel: .*error"):
        cupy_driver.compiled("this is no kernel", "90")


@needs_cupy
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
