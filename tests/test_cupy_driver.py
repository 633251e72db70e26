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

from gradflow.backends import cupy_driver, cupy_products

FILE = Path(cupy_driver.__file__)
FILES = sorted(FILE.parent.glob("cupy_*.py"))
needs_cupy = pytest.mark.skipif(
    importlib.util.find_spec("cupy") is None and os.environ.get("GRADFLOW_REQUIRE_CUPY") != "1", reason="CuPy is not installed"
)

# What the extension modules of CuPy say of the functions that are called: their names and parameters, in order.
SIGNATURES = {
    "cupy_backends.cuda.api.driver.launchKernel": "f grid_dim_x grid_dim_y grid_dim_z block_dim_x block_dim_y block_dim_z shared_mem_bytes "
    "stream kernel_params extra",
    "cupy_backends.cuda.api.driver.funcSetAttribute": "f attribute value",
    "cupy_backends.cuda.api.driver.funcGetAttribute": "attribute f",
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
    "cupy.cuda.MemoryPool.malloc": "self size",
    "cupy.cuda.Stream.begin_capture": "self mode",
    "cupy.cuda.Stream.end_capture": "self",
    "cupy.cuda.Stream.is_capturing": "self",
    "cupy.cuda.graph.Graph.launch": "self stream",
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
    "cupy.cuda.MemoryPool": "total_bytes free_all_blocks malloc",
    "cupy.cuda.PinnedMemoryPool": "free_all_blocks",
    "cupy.cuda.function.Module": "load get_function",
    "cupy.cuda.function.Function": "ptr",
}
OTHERS = """
cupy.cuda.using_allocator cupy.cuda.Memory cupy.cuda.MemoryPointer
cupy_backends.cuda.api.runtime.streamCaptureModeGlobal cupy_backends.cuda.api.runtime.streamCaptureModeThreadLocal
cupy_backends.cuda.api.runtime.streamCaptureModeRelaxed
cupy.get_default_memory_pool cupy.get_default_pinned_memory_pool cupy.cuda.memory.OutOfMemoryError
cupy_backends.cuda.api.runtime.getDevice cupy_backends.cuda.api.runtime.deviceSynchronize cupy_backends.cuda.api.runtime.memGetInfo
cupy_backends.cuda.api.driver.CU_FUNC_ATTRIBUTE_NUM_REGS
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
    functions = {name.decode() for name in re.findall(rb"\bcublas[A-Z]\w+", text)} | set(PROTOTYPES)
    version = re.search(rb"libcublas\.so\.\d+", text).group().decode()
    light = version.replace("cublas", "cublasLt")
    library(folder, light, "int cublasLtCreate() { return 15; }", light)
    library(folder, version, "".join(f"int {name}() {{ return 15; }}\n" for name in sorted(functions)), version)
    return importlib.import_module("cupy_backends.cuda.libs.cublas")


def found(path):
    """The object at a dotted path: of a module, or of a class in one."""
    module, name = path.rsplit(".", 1)
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return getattr(found(module), name)


@needs_cupy
@pytest.mark.parametrize("path", SIGNATURES)
def test_cupy_has_what_is_called(path):
    if ".nvrtc." in path:
        pytest.importorskip("nvidia.cu13", reason="NVRTC is not installed")
    text = found(path).__doc__.split("\n")[0]
    parameters = re.search(r"\((.*?)\)", text).group(1)
    assert [p.split("=")[0].split()[-1] for p in parameters.split(", ") if p] == SIGNATURES[path].split()


@needs_cupy
def test_the_numbers_of_cublas_are_those_of_its_headers(cublas):
    """cublasOperation_t is given as 0 and 1; cudaDataType and cublasComputeType_t by CuPy's names."""
    runtime = cupy_driver.runtime()
    assert (cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T, cublas.CUBLAS_GEMM_DEFAULT, cublas.CUBLAS_POINTER_MODE_HOST) == (0, 1, -1, 0)
    assert (runtime.CUDA_R_32F, runtime.CUDA_R_64F, runtime.CUDA_R_16F, runtime.CUDA_R_16BF) == (0, 1, 2, 14)
    assert (cublas.CUBLAS_COMPUTE_32F, cublas.CUBLAS_COMPUTE_64F, cublas.CUBLAS_COMPUTE_32F_FAST_TF32) == (68, 70, 77)


# What the driver calls of cuBLAS by itself, as its header says: cublasHandle_t and cudaStream_t are pointers, its enumerations are int.
PROTOTYPES = {
    "cublasSetStream_v2": "void* handle, void* streamId",
    "cublasSetWorkspace_v2": "void* handle, void* workspace, size_t workspaceSizeInBytes",
    "cublasGetStatusString": "int status",
    "cublasGemmStridedBatchedEx": "void* handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* A, int Atype, int lda, "
    "long long strideA, const void* B, int Btype, int ldb, long long strideB, const void* beta, void* C, int Ctype, int ldc, long long strideC, "
    "int batchCount, int computeType, int algo",
}
CTYPES = {"int": ctypes.c_int, "long long": ctypes.c_longlong, "size_t": ctypes.c_size_t}


def kinds(parameters):
    """The types of C parameters, as ctypes has them; pointers are all alike."""
    words = [p.replace("const ", "").rpartition(" ")[0] for p in parameters.split(", ")]
    return [ctypes.c_void_p if w.endswith("*") else CTYPES[w] for w in words]


@needs_cupy
def test_cublas_is_called_as_declared(cublas):
    """ctypes' types are those of the header; CuPy's binding, which writes addresses as integers, has them too."""
    functions = cupy_products.library()
    for name, parameters in PROTOTYPES.items():
        assert list(getattr(functions, name).argtypes) == kinds(parameters), name
    text = cublas.gemmStridedBatchedEx.__doc__.split("\n")[0]
    theirs = re.search(r"\((.*)\)", text).group(1).replace("intptr_t", "void*").replace("size_t", "void*")
    assert kinds(theirs) == kinds(PROTOTYPES["cublasGemmStridedBatchedEx"])
    names = [p.split()[-1] for p in theirs.split(", ")]
    assert names == [p.split()[-1] for p in PROTOTYPES["cublasGemmStridedBatchedEx"].split(", ")]


HEADERS = [h for p in sys.path for h in Path(p).glob("nvidia/*/include/cublas_api.h")]


@pytest.mark.skipif(not HEADERS, reason="cuBLAS is not installed")
def test_the_declarations_are_the_headers():
    text = HEADERS[0].read_text()
    for name, parameters in PROTOTYPES.items():
        given = re.search(rf"{name}\s*\((.*?)\)", text, re.S).group(1)
        given = re.sub(r"/\*.*?\*/", "", " ".join(given.split()))
        given = re.sub(r"cublasHandle_t|cudaStream_t", "void*", given)
        given = re.sub(r"cublasOperation_t|cudaDataType|cublasComputeType_t|cublasGemmAlgo_t|cublasStatus_t", "int", given).replace(
            "long long int", "long long"
        )
        plain = [" ".join(p.split()) for p in given.split(",")]
        assert kinds(", ".join(re.sub(r"\s*\*\s*", "* ", p) for p in plain)) == kinds(parameters), name


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


CUBLAS = """
unsigned long long stream[2], workspace[3], gemm[25];
int cublasSetStream_v2(void* h, void* s) { stream[0] = (unsigned long long)h; stream[1] = (unsigned long long)s; return 0; }
int cublasSetWorkspace_v2(void* h, void* w, unsigned long n) {
  workspace[0] = (unsigned long long)h; workspace[1] = (unsigned long long)w; workspace[2] = n; return 0;
}
const char* cublasGetStatusString(int status) { return "no such thing"; }
int cublasGemmStridedBatchedEx(PARAMETERS) {
  const long long all[] = {(long long)handle, transa, transb, m, n, k, (long long)A, Atype, lda, strideA, (long long)B, Btype, ldb, strideB,
                           (long long)C, Ctype, ldc, strideC, batchCount, computeType, algo, *(const float*)alpha, *(const float*)beta};
  for (int i = 0; i < 23; ++i) gemm[i] = all[i];
  return m == 1;
}
"""
MULTIPLY = """
import ctypes, importlib, os, sys
libraries = [ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL) for path in sys.argv[1:]]
import cupy.cuda
from cupy.cuda import device
from gradflow.backends import cupy_driver, cupy_graphs
from gradflow.scalar.types import FLOAT32
cupy_driver.stream = lambda device: 7 << 40
cupy_driver.capability = lambda device: (9, 0)
cupy_driver.On.__enter__ = cupy_driver.On.__exit__ = lambda *args: None
device.get_cublas_handle = lambda: 5 << 40
cupy.cuda.alloc = lambda size: type("", (), {"ptr": 6 << 40})
cupy_graphs.recording.workspaces = {}
def multiply(m):
    cupy_driver.gemm(FLOAT32, (m, 3, 4), (1 << 41, False, 12, 1 << 33), (2 << 41, True, 14, 1 << 34), 1, (3 << 41, 16, 1 << 35), 17, 0)
multiply(2)
for name, count in (("stream", 2), ("workspace", 3), ("gemm", 23)):
    print(*(ctypes.c_longlong * count).in_dll(libraries[-1], name), flush=True)
try:
    multiply(1)
except RuntimeError as error:
    print(error, flush=True)
os._exit(0)
"""


@needs_cupy
def test_what_cublas_gets_of_a_product(tmp_path):
    """By the functions that stand in cuBLAS's place, with the header's parameters: no address is cut, and none is another's."""
    binding = next((Path(importlib.util.find_spec("cupy_backends").origin).parent / "cuda" / "libs").glob("cublas.*.so")).read_bytes()
    version = re.search(rb"libcublas\.so\.\d+", binding).group().decode()
    light = version.replace("cublas", "cublasLt")
    others = {name.decode() for name in re.findall(rb"\bcublas[A-Z]\w+", binding)} - set(PROTOTYPES)
    text = CUBLAS.replace("PARAMETERS", PROTOTYPES["cublasGemmStridedBatchedEx"])
    library(tmp_path, light, "int cublasLtCreate() { return 15; }", light)
    library(tmp_path, version, text + "".join(f"int {name}() {{ return 15; }}\n" for name in sorted(others)), version)
    path = os.pathsep.join([str(FILE.parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", MULTIPLY, str(tmp_path / light), str(tmp_path / version)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}).stdout.splitlines()
    assert [int(n) for n in said[0].split()] == [5 << 40, 7 << 40]
    assert [int(n) for n in said[1].split()] == [5 << 40, 6 << 40, 32 << 20]
    a, b, c = [1 << 41, 0, 12, 1 << 33], [2 << 41, 0, 14, 1 << 34], [3 << 41, 0, 16, 1 << 35]
    assert [int(n) for n in said[2].split()] == [5 << 40, 0, 1, 2, 3, 4, *a, *b, *c, 17, 68, -1, 1, 1]
    assert said[3] == "dot: cuBLAS says no such thing"


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
        thing = found(path)
        for member in MEMBERS.get(path, "").split():
            assert hasattr(thing, member) or f".{member} (" in thing.__doc__, f"{path}.{member}"  # or an attribute of instances
    assert issubclass(importlib.import_module("cupy.cuda.memory").OutOfMemoryError, MemoryError)
    stream = importlib.import_module("cupy.cuda").Stream
    assert all(word in stream.__doc__ for word in ("non_blocking (bool)", "priority (int)"))
    event = importlib.import_module("cupy.cuda").Event
    assert all(word in event.__doc__ for word in ("block (bool)", "disable_timing (bool)"))


def test_the_signatures_are_of_what_the_driver_calls():
    """Every function of CuPy's low-level modules that the source names is in the table, with the number of arguments that it is given."""
    trees = [ast.parse(file.read_text()) for file in FILES]
    table = {path.rsplit(".", 1)[1]: parameters.split() for path, parameters in SIGNATURES.items()}
    counted = 0
    for call in (
        n
        for tree in trees
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in table
    ):
        given = sum(len(a.value.elts) if isinstance(a, ast.Starred) else 1 for a in call.args)
        optional = call.func.attr == "streamWaitEvent"  # its flags
        method = table[call.func.attr][:1] == ["self"]
        assert given + optional + method == len(table[call.func.attr]), ast.unparse(call)
        counted += 1
    assert counted >= 12
