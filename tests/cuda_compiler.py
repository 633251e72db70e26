"""The compiler of the emulated device: kernels become functions of shared libraries, made by g++ with CUDA's names for what threads do."""

import ctypes
import hashlib
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from cuda_emulator import BF16, FP16, ROOT

BATCH = 24  # kernels in one compilation
CACHE = ROOT / "build" / "emulated"
FLAGS = ["-O1", "-std=c++17", "-fPIC", "-w", "-fno-math-errno", "-fno-trapping-math"]

SHIM = r"""
#include <ucontext.h>
#include <cstdlib>
#include <cstring>
#include <vector>
#include <csrc/half.h>
#define __global__ static
#define __launch_bounds__(threads)
#define __grid_constant__
#define GF_SHARED(name) unsigned char* name = gf_shared_memory
struct Three { unsigned x, y; };
static Three blockIdx, blockDim, gridDim, threadIdx;
static unsigned char* gf_shared_memory;

static void (*gf_kernel)(void**);
static void** gf_parameters;
static ucontext_t gf_scheduler;
struct Fiber { ucontext_t context; char* stack; bool done; };
static std::vector<Fiber> gf_fibers;
static unsigned gf_current;

static __attribute__((noinline)) void __syncthreads() { swapcontext(&gf_fibers[gf_current].context, &gf_scheduler); }
// A write that others have not read yet stays: two exchanges follow each other without a barrier.
static unsigned char gf_exchanged[2][1024][8], gf_turn[1024];
template <class T>
static __attribute__((noinline)) T gf_exchange(unsigned warp, T x, unsigned from) {
  const unsigned t = threadIdx.y * blockDim.x + threadIdx.x, turn = gf_turn[t] ^= 1;
  if (!(warp >> t % 32 & 1) || !(warp >> from % 32 & 1) || from / 32 != t / 32) abort();  // a thread that the mask does not name
  memcpy(gf_exchanged[turn][t], &x, sizeof x);
  __syncthreads();
  memcpy(&x, gf_exchanged[turn][from], sizeof x);
  return x;
}
static unsigned gf_thread() { return threadIdx.y * blockDim.x + threadIdx.x; }
template <class T>
static T __shfl_xor_sync(unsigned warp, T x, int bits) {
  return gf_exchange(warp, x, gf_thread() ^ bits);
}
template <class T>
static T __shfl_up_sync(unsigned warp, T x, int distance, int count) {
  return gf_exchange(warp, x, gf_thread() % count < distance ? gf_thread() : gf_thread() - distance);
}
template <class T>
static T __shfl_sync(unsigned warp, T x, int lane, int count) {
  return gf_exchange(warp, x, gf_thread() / count * count + lane);
}
template <class T>
static T atomicAdd(T* to, T x) {
  return *to += x;
}
static void gf_fiber() {
  gf_kernel(gf_parameters);
  gf_fibers[gf_current].done = true;
  swapcontext(&gf_fibers[gf_current].context, &gf_scheduler);
}
template <class T>
static T* gf_pointer(void* p) {
  const unsigned long long address = *static_cast<unsigned long long*>(p);
  return address ? reinterpret_cast<T*>(address - (1ull << 62)) : nullptr;
}
// Blocks that are run, if not all of them.
static unsigned gf_chosen[64], gf_count_chosen;
extern "C" void gf_choose(unsigned count, const unsigned* blocks) {
  gf_count_chosen = count;
  for (unsigned i = 0; i < count; ++i) gf_chosen[i] = blocks[i];
}
// 1: some threads of a block are done while others wait for them
static int gf_run(void (*kernel)(void**), void** parameters, bool waits, bool backwards, unsigned gx, unsigned gy, unsigned bx, unsigned by,
                  unsigned shared) {
  std::vector<unsigned char> memory(shared, 0xA5);
  gf_shared_memory = memory.data();
  gf_kernel = kernel;
  gf_parameters = parameters;
  gridDim = {gx, gy};
  blockDim = {bx, by};
  const unsigned n = bx * by;
  if (waits)
    while (gf_fibers.size() < n) gf_fibers.push_back({{}, static_cast<char*>(malloc(1 << 16)), false});
  const unsigned blocks = gf_count_chosen ? gf_count_chosen : gx * gy;
  for (unsigned i = 0; i < blocks; ++i) {
    const unsigned b = backwards ? blocks - 1 - i : i, block = gf_count_chosen ? gf_chosen[b] : b;
    blockIdx = {block % gx, block / gx};
    if (!waits) {
      for (unsigned i = 0; i < n; ++i) {
        const unsigned t = backwards ? n - 1 - i : i;
        threadIdx = {t % bx, t / bx};
        kernel(parameters);
      }
      continue;
    }
    for (unsigned t = 0; t < n; ++t) {
      Fiber& f = gf_fibers[t];
      f.done = false;
      gf_turn[t] = 0;
      getcontext(&f.context);
      f.context.uc_stack.ss_sp = f.stack;
      f.context.uc_stack.ss_size = 1 << 16;
      f.context.uc_link = nullptr;
      makecontext(&f.context, gf_fiber, 0);
    }
    for (unsigned done = 0; done < n;) {
      done = 0;
      for (unsigned i = 0; i < n; ++i) {
        const unsigned t = gf_current = backwards ? n - 1 - i : i;
        threadIdx = {t % bx, t / bx};
        swapcontext(&gf_scheduler, &gf_fibers[t].context);
        done += gf_fibers[t].done;
      }
      if (done && done < n) return 1;
    }
  }
  return 0;
}
"""


def entry(name, text):
    """A function that takes a kernel's parameters as the driver does: pointers to them."""
    lines = re.search(rf"{name}\((.*?)\) {{", text, re.S).group(1).split(",\n")
    arguments = []
    for i, line in enumerate(lines):
        kind = re.sub(r"__grid_constant__|\w+$", "", line.strip()).strip()
        if kind.endswith("*"):
            arguments.append(f"gf_pointer<{kind[:-1]}>(p[{i}])")
        else:
            arguments.append(f"*static_cast<{kind}*>(p[{i}])")
    waits = "true" if "lanes." in text else "false"  # what threads do together, the lanes of a group do
    return f"""
static void gf_call_{name}(void** p) {{ {name}({", ".join(arguments)}); }}
extern "C" int gf_launch_{name}(void** p, bool backwards, unsigned gx, unsigned gy, unsigned bx, unsigned by, unsigned shared) {{
  return gf_run(gf_call_{name}, p, {waits}, backwards, gx, gy, bx, by, shared);
}}
"""


# ThreadSanitizer's calls at every access to memory, without ThreadSanitizer: bytes of the device that are read and written.
COUNTING = r"""
static unsigned long long gf_first[64], gf_last[64], gf_bytes[3];  // the last: bytes that were accessed 16 at a time
static unsigned gf_ranges;
#define GF_PLAIN __attribute__((no_sanitize("thread")))
GF_PLAIN static void gf_count(const void* p, unsigned long long n, int kind) {
  const auto address = reinterpret_cast<unsigned long long>(p);
  for (unsigned r = 0; r < gf_ranges; ++r)
    if (address >= gf_first[r] && address < gf_last[r]) {
      gf_bytes[kind] += n;
      if (n == 16) gf_bytes[2] += n;
    }
}
extern "C" {
GF_PLAIN void gf_watch(unsigned count, const unsigned long long* ranges) {
  gf_ranges = count;
  for (unsigned r = 0; r < count; ++r) gf_first[r] = ranges[2 * r], gf_last[r] = ranges[2 * r + 1];
  for (auto& n : gf_bytes) n = 0;
}
GF_PLAIN void gf_counted(unsigned long long* bytes) {
  for (int k = 0; k < 3; ++k) bytes[k] = gf_bytes[k];
}
GF_PLAIN void __tsan_init() {}
GF_PLAIN void __tsan_func_entry(void*) {}
GF_PLAIN void __tsan_func_exit() {}
GF_PLAIN void __tsan_read_range(void* p, unsigned long n) { gf_count(p, n, 0); }
GF_PLAIN void __tsan_write_range(void* p, unsigned long n) { gf_count(p, n, 1); }
#define GF_ACCESS(n)                                                        \
  GF_PLAIN void __tsan_read##n(void* p) { gf_count(p, n, 0); }              \
  GF_PLAIN void __tsan_write##n(void* p) { gf_count(p, n, 1); }             \
  GF_PLAIN void __tsan_unaligned_read##n(void* p) { gf_count(p, n, 0); }    \
  GF_PLAIN void __tsan_unaligned_write##n(void* p) { gf_count(p, n, 1); }
GF_ACCESS(1) GF_ACCESS(2) GF_ACCESS(4) GF_ACCESS(8) GF_ACCESS(16)
}
"""
# Out of bounds, and unaligned. Its stacks are not the fibers'.
SANITIZED = ["-fsanitize=address,alignment", "-fno-sanitize-recover=all", "--param=asan-stack=0"]


class Compiler:
    """Kernels compiled by g++, kept on disk by their text and all that they include."""

    def __init__(self, counting=False):
        CACHE.mkdir(parents=True, exist_ok=True)
        self.counting, self.shim = counting, SHIM + COUNTING if counting else SHIM
        sanitized = os.environ.get("GRADFLOW_SANITIZED") == "1"
        self.flags = [*FLAGS, *(["-fsanitize=thread"] if counting else SANITIZED if sanitized else [])]
        headers = [*sorted((ROOT / "gradflow" / "include").rglob("*.h")), ROOT / "csrc" / "half.h"]
        self.base = hashlib.blake2s("".join([self.shim, FP16, BF16, *self.flags, *(h.read_text() for h in headers)]).encode())
        self.libraries = {}
        self.functions = {}

    def digest(self, text):
        h = self.base.copy()
        h.update(text.encode())
        return h.hexdigest()[:24]

    def build(self, kernels):
        """``kernels``: text by name."""
        todo = {n: t for n, t in kernels.items() if n not in self.functions and not (CACHE / self.digest(t)).exists()}
        names = list(todo)
        count = -(-len(names) // BATCH)
        count += count % 2
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.batch, [{n: todo[n] for n in names[i::count]} for i in range(count)]))
        for name, text in kernels.items():
            if name not in self.functions:
                library = os.readlink(CACHE / self.digest(text))
                if library not in self.libraries:
                    self.libraries[library] = ctypes.CDLL(str(CACHE / library))
                self.functions[name] = getattr(self.libraries[library], f"gf_launch_{name}")

    def batch(self, kernels):
        if not kernels:
            return
        key = self.digest("".join(kernels.values()))
        folder = CACHE / f"{key}.{os.getpid()}"
        folder.mkdir(exist_ok=True)
        for file, text in (("shim.h", self.shim), ("cuda_fp16.h", FP16), ("cuda_bf16.h", BF16)):
            (folder / file).write_text(text)
        body = "\n".join(t.replace('extern "C" ', "") + entry(n, t) for n, t in kernels.items())
        (folder / "kernels.cpp").write_text(f'#include "shim.h"\n{body}')
        include = [f"-I{folder}", f"-I{ROOT}", f"-I{ROOT / 'gradflow' / 'include'}"]
        unit, output = folder / "kernels.o", folder / f"{key}.so"
        subprocess.run(["g++", "-c", *self.flags, *include, str(folder / "kernels.cpp"), "-o", str(unit)], check=True)
        libraries = [] if self.counting else [f for f in self.flags if f.startswith("-fsanitize")]  # what counts is no ThreadSanitizer
        subprocess.run(["g++", "-shared", *libraries, str(unit), "-o", str(output)], check=True)
        os.replace(output, CACHE / f"{key}.so")
        for text in kernels.values():
            link = CACHE / self.digest(text)
            if not link.is_symlink():
                link.symlink_to(f"{key}.so")
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
