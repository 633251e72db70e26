"""Matrix products on the device: cuBLAS as CuPy has loaded it, with CuPy's handles, but called by itself.

CuPy refuses the calls of its binding while a stream is recorded, and asks CUDA at each whether one is.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from ..errors import DeviceError
from ..scalar.types import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
from . import cupy_driver as base
from .cupy_graphs import recording
from .owners import products

Matrix = tuple[int, bool, int, int]  # address, is it read transposed, leading dimension, elements to the next matrix of the batch


@functools.cache
def number(value: int, wide: bool) -> Any:
    return (ctypes.c_double if wide else ctypes.c_float)(value)


@functools.cache
def library() -> Any:
    """cuBLAS: what CuPy's binding is linked with is found through the binding."""
    from cupy_backends.cuda.libs import cublas

    found = ctypes.CDLL(cublas.__file__)
    n, pointer, stride = ctypes.c_int, ctypes.c_void_p, ctypes.c_longlong
    matrix = (pointer, n, n, stride)  # address, type, leading dimension, distance to the next
    found.cublasSetStream_v2.argtypes = (pointer, pointer)
    found.cublasSetWorkspace_v2.argtypes = (pointer, pointer, ctypes.c_size_t)
    found.cublasGemmStridedBatchedEx.argtypes = (pointer, n, n, n, n, n, pointer, *matrix, *matrix, pointer, *matrix, n, n, n)
    found.cublasGetStatusString.argtypes, found.cublasGetStatusString.restype = (n,), ctypes.c_char_p
    return found


def checked(status: int) -> None:
    if status:
        raise DeviceError(f"dot: cuBLAS says {library().cublasGetStatusString(status).decode()}")


def gemm(
    code: int,
    sizes: tuple[int, int, int],
    a: Matrix,
    b: Matrix,
    accumulate: int,
    c: tuple[int, int, int],
    count: int,
    device: int,
) -> None:
    """As BLAS, which works by columns: c = a b, or c + a b, for ``count`` matrices; float16 and bfloat16 are summed in float32, float32 may be
    computed in TF32."""
    from cupy.cuda.device import get_cublas_handle
    from cupy_backends.cuda.libs import cublas

    r = base.runtime()
    kind = {FLOAT16: r.CUDA_R_16F, BFLOAT16: r.CUDA_R_16BF, FLOAT32: r.CUDA_R_32F, FLOAT64: r.CUDA_R_64F}[code]
    wide = code == FLOAT64
    fast = code == FLOAT32 and products.float32 != "highest"
    compute = cublas.CUBLAS_COMPUTE_64F if wide else cublas.CUBLAS_COMPUTE_32F_FAST_TF32 if fast else cublas.CUBLAS_COMPUTE_32F
    one, beta = (ctypes.addressof(number(v, wide)) for v in (1, int(bool(accumulate))))
    m, n, k = sizes
    with base.On(device):
        handle, stream = get_cublas_handle(), base.stream(device)
        checked(library().cublasSetStream_v2(handle, stream))  # and with cuBLAS's own workspace
        if recording.workspaces is not None:
            checked(library().cublasSetWorkspace_v2(handle, *workspace(stream, device)))
        checked(
            library().cublasGemmStridedBatchedEx(
                *(handle, int(a[1]), int(b[1]), m, n, k, one, a[0], kind, a[2], a[3], b[0], kind, b[2], b[3]),
                *(beta, c[0], kind, c[1], c[2], count, compute, cublas.CUBLAS_GEMM_DEFAULT),
            )
        )


def workspace(stream: int, device: int) -> tuple[int, int]:
    """(address, bytes) of memory for the products that a graph records on a stream, of the graph's pool. As large as cuBLAS's own, so that it
    chooses the same kernels."""
    from cupy.cuda import alloc

    found = recording.workspaces
    size = (32 if base.capability(device)[0] >= 9 else 4) << 20
    if stream not in found:
        found[stream] = alloc(size)
    return found[stream].ptr, size
