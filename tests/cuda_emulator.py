"""Printed kernels run on the CPU: compiled by g++ with CUDA's names, the threads of a block as threads that wait for each other."""

import ctypes
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np

from gradflow.scalar.cuda import STRIDED32
from gradflow.scalar.types import NAMES

ROOT = Path(__file__).parents[1]
SHIM = r"""
#include <pthread.h>
#include <csrc/half.h>
#define __global__
#define __launch_bounds__(threads)
#define __grid_constant__
#define GF_SHARED(name) unsigned char* name = shared_memory
struct Three { unsigned x, y; };
static Three blockIdx, blockDim, gridDim;
static thread_local Three threadIdx;
static pthread_barrier_t barrier;
alignas(16) static unsigned char shared_memory[1 << 14];
static inline void __syncthreads() { pthread_barrier_wait(&barrier); }
static unsigned char exchanged[1024][8];
template <class T>
static T __shfl_xor_sync(unsigned, T x, int bits) {
  const unsigned t = threadIdx.y * blockDim.x + threadIdx.x;
  __builtin_memcpy(exchanged[t], &x, sizeof x);
  __syncthreads();
  __builtin_memcpy(&x, exchanged[t ^ bits], sizeof x);
  __syncthreads();
  return x;
}
template <class T>
static T __shfl_up_sync(unsigned, T x, int, int);  // nothing here scans
template <class T>
static T __shfl_sync(unsigned, T x, int, int);

extern "C" void start(unsigned blocks_x, unsigned blocks_y, unsigned threads_x, unsigned threads_y) {
  gridDim = {blocks_x, blocks_y};
  blockDim = {threads_x, threads_y};
  pthread_barrier_init(&barrier, nullptr, threads_x * threads_y);
}
extern "C" void go_to_block(unsigned x, unsigned y) { blockIdx = {x, y}; }
extern "C" void go_to_thread(unsigned x, unsigned y) { threadIdx = {x, y}; }
"""
FP16 = """
#pragma once
struct __half { unsigned short bits; };
static inline float __half2float(__half x) { return gf::half_to_float(x.bits); }
static inline __half __float2half_rn(float x) { return {gf::float_to_half(x)}; }
static inline __half atomicAdd(__half* to, __half x) { return *to = __float2half_rn(__half2float(*to) + __half2float(x)); }
"""
BF16 = """
#pragma once
struct __nv_bfloat16 { unsigned short bits; };
static inline float __bfloat162float(__nv_bfloat16 x) { return gf::bfloat_to_float(x.bits); }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {gf::float_to_bfloat(x)}; }
"""

NUMPY = [np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name) for name in NAMES]


class Emulator:
    """Kernels compiled by g++."""

    def __init__(self, kernels, folder):
        for name, text in (("shim.h", SHIM), ("cuda_fp16.h", FP16), ("cuda_bf16.h", BF16)):
            (folder / name).write_text(text)
        source = folder / "kernels.cpp"
        texts = "\n".join({k.name: k.text for k in kernels}.values())
        source.write_text(f'#include "shim.h"\n{texts}')
        flags = ["-O1", "-std=c++17", "-shared", "-fPIC", "-w", "-fno-math-errno", "-fno-trapping-math"]
        include = [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'gradflow' / 'include'}"]
        subprocess.run(["g++", *flags, *include, str(source), "-o", str(folder / "kernels.so")], check=True)
        self.library = ctypes.CDLL(str(folder / "kernels.so"))

    def launch(self, kernel, args, blocks=(3, 1), threads=(1, 1)):
        """``args`` are arrays and ctypes values, in the order of the parameters."""
        function = getattr(self.library, kernel.name)
        values = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in args]

        def run(thread):
            self.library.go_to_thread(*thread)
            function(*values)

        places = [(x, y) for y in range(threads[1]) for x in range(threads[0])]
        self.library.start(*blocks, *threads)
        with ThreadPoolExecutor(len(places)) as pool:
            for y in range(blocks[1]):
                for x in range(blocks[0]):
                    self.library.go_to_block(x, y)
                    list(pool.map(run, places))


def strides_of(array, shape):
    """In elements, of the array broadcast to a shape, innermost first."""
    view = np.broadcast_to(array, shape)
    return [s // array.itemsize for s in reversed(view.strides)]


def c_layout(walk, shape, *strides):
    """gf::Layout; ``strides`` as strides_of gives them, one list for each array."""
    index = ctypes.c_int32 if walk == STRIDED32 else ctypes.c_int64

    class Layout(ctypes.Structure):
        _fields_ = [("ndim", ctypes.c_int32), ("size", index * 8), ("stride", index * 8 * len(strides))]

    layout = Layout(max(len(shape), 1))
    layout.size[: max(len(shape), 1)] = list(reversed(shape)) or [1]
    for k, s in enumerate(strides):
        layout.stride[k][: max(len(shape), 1)] = s or [0]
    return layout


def c_place(walk, *steps):
    index = ctypes.c_int32 if walk == STRIDED32 else ctypes.c_int64

    class Place(ctypes.Structure):
        _fields_ = [("at", index * len(steps))]

    return Place((index * len(steps))(*steps))


def c_order(shape):
    return [int(np.prod(shape[d + 1 :])) for d in reversed(range(len(shape)))]
