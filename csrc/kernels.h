// The table of compiled loops. kernels_*.cpp are built once per instruction set, each filling one
// table; the interpreters (elementwise, reduce, rows) call through the table chosen at import.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "dtype.h"
#include "gradflow/scalar.h"

namespace gf {

// min(max(x, low), high) in which nan wins: each condition about a number of its own, so that g++ does not nest them.
template <class T>
inline __attribute__((always_inline)) T clamp(T x, T low, T high) {
  T y = x < low ? low : x;
  y = high < y ? high : y;
  y = low != low ? low : y;
  return high != high ? high : y;
}

// Pairs of operations in one loop, for float and double: half the trips of a tile through the cache.
#define GF_PAIRS(P)          \
  P(mul_add, x * y + z)      \
  P(mul_sub, x * y - z)      \
  P(minus_mul, z - x * y)    \
  P(add_mul, (x + y) * z)    \
  P(sub_mul, (x - y) * z)    \
  P(mul_mul, x * y * z)      \
  P(add_add, x + y + z)      \
  P(max_min, clamp(x, y, z))

// ---- opcodes: the primitives in the order of the X-macro, pairs, then those the interpreters know ------
enum Opcode : int {
#define GF_OPCODE(name, domain) kOp_##name,
  GF_PRIMITIVES(GF_OPCODE, GF_OPCODE, GF_OPCODE, GF_OPCODE) GF_PAIRS(GF_OPCODE)
#undef GF_OPCODE
      kOpPrimitives,
  kOpCast = kOpPrimitives,
  kOpRandom,
  kOpLinearIndex,
  kOpColumnIndex,
  kOpRowSum,
  kOpRowMax,
  kOpcodes,
};

// ---- register types as table columns ---------------------------------------------------------
enum Reg : int { kRegBool, kRegInt32, kRegInt64, kRegFloat32, kRegFloat64, kRegs };

constexpr Reg kRegIndex[kDTypes] = {kRegBool,  kRegInt32,   kRegInt32,   kRegInt32,   kRegInt32,
                                    kRegInt64, kRegFloat32, kRegFloat32, kRegFloat32, kRegFloat64};
constexpr Reg reg_index(DType dtype) { return kRegIndex[dtype]; }

template <class T>
struct RegOf;
template <>
struct RegOf<bool8> {
  static constexpr Reg value = kRegBool;
};
template <>
struct RegOf<int32_t> {
  static constexpr Reg value = kRegInt32;
};
template <>
struct RegOf<int64_t> {
  static constexpr Reg value = kRegInt64;
};
template <>
struct RegOf<float> {
  static constexpr Reg value = kRegFloat32;
};
template <>
struct RegOf<double> {
  static constexpr Reg value = kRegFloat64;
};

// ---- loops -----------------------------------------------------------------------------------

// dst[i] = f(a[i], b[i], c[i]) over contiguous, aligned tiles; dst may be one of the sources.
using TileFn = void (*)(void* dst, const void* a, const void* b, const void* c, int64_t n);

// The same over rows of n elements, where some operands have one value per row: RowFns are indexed by the set of
// those, a is 1, b 2, c 4.
using RowFn = void (*)(void* dst, const void* a, const void* b, const void* c, int64_t n, int64_t rows);

// n1 runs of n0 elements, strides in bytes on the array's side, dense on the tile's side.
using LoadFn = void (*)(void* tile, const char* src, int64_t n0, int64_t s0, int64_t n1, int64_t s1);
using StoreFn = void (*)(char* dst, const void* tile, int64_t n0, int64_t s0, int64_t n1, int64_t s1);

enum Kind : int { kSum, kProd, kMax, kMin, kAny, kAll, kArgMax, kArgMin, kKinds };
constexpr int kFolds = 6;  // the kinds without an index

// A fold keeps *lanes* (register type, where vertical sums of a few rows run) and *accumulators*
// (wider: double for float32, a compensated pair for float64).
struct Fold {
  size_t acc_size;
  int64_t lane_steps;  // flush lanes after so many additions; `vertical` makes one of four rows
  void (*init)(void* acc, int64_t n);
  void (*init_lanes)(void* lanes, int64_t n);
  // acc[r] op= fold of the n elements of row r; rows are dense
  void (*rows)(void* acc, const void* x, int64_t n, int64_t rows);
  // lanes[i] op= fold over rows of x[row][i]; rows are `stride` bytes apart
  void (*vertical)(void* lanes, const void* x, int64_t w, int64_t rows, int64_t stride);
  void (*flush)(void* acc, void* lanes, int64_t n);  // acc op= lanes; lanes = identity
  void (*combine)(void* acc, const void* other, int64_t n);
  void (*finish)(void* out, const void* acc, int64_t n, double scale);  // to the register type
};

// argmax / argmin: the best value so far and its index (-1: none yet). The first of equals wins.
struct ArgFold {
  void (*rows)(void* value, int64_t* index, const void* x, int64_t n, int64_t rows, int64_t base);
  void (*vertical)(void* value, int64_t* index, const void* x, int64_t w, int64_t rows, int64_t stride, int64_t base);
  void (*combine)(void* value, int64_t* index, const void* value2, const int64_t* index2, int64_t n);
};

// What is to be fetched of the next tile while this one is worked on, a piece of each array at every step.
struct Ahead {
  struct Piece {
    const char *at, *end;
    int64_t bytes;  // a step
    bool write;
  };
  Piece piece[48];
  int n = 0;

  void step() {
    asm volatile("");  // g++ takes a function that only prefetches for one without effect, and drops its calls
    for (int k = 0; k < n; ++k) {
      Piece& a = piece[k];
      const char* end = a.at + a.bytes < a.end ? a.at + a.bytes : a.end;
      if (a.write)
        for (; a.at < end; a.at += 64) __builtin_prefetch(a.at, 1, 2);
      else
        for (; a.at < end; a.at += 64) __builtin_prefetch(a.at, 0, 2);
    }
  }
};

constexpr int64_t kStreamStep = 512;
constexpr int64_t kCompiledRows = 1024;  // at most, in a tile

// A whole program over tiles, in few loops: scalar/loops.py says how the arguments lie.
struct Compiled {
  const char* digest;
  void (*fn)(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead);
  int steps;            // of `ahead`, for a row
  uint32_t row_inputs;  // those with one value for a row
};

// Windows over the planes of one channel, along at most three axes, and how a plane is laid out for them.
struct Windows {
  int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, kernel[3] = {1, 1, 1};
  int64_t stride[3] = {1, 1, 1}, before[3] = {0, 0, 0}, dilation[3] = {1, 1, 1}, spacing[3] = {1, 1, 1};
  int64_t pitch[3];       // the laid out plane of one phase
  int64_t laid, run;      // elements laid out, with slack; elements from the first window to the last
  int64_t taps;           // elements of a window
  const int64_t* offset;  // of each, from the window's place
};
constexpr int64_t kChannelSlack = 256;  // bytes
struct ChannelLoops {
  void (*correlate)(const Windows& w, const void* x, const void* weights, void* scratch, void* y, bool add);
  // adds to `weights`
  void (*weigh)(const Windows& w, const void* x, const void* y, const void* mask, void* scratch, double* weights);
};

struct Kernels {
  TileFn op[kOpPrimitives][kRegs];  // column: type of the operands; null where undefined
  RowFn row_op[kOpPrimitives][kRegs][8];
  TileFn cast[kDTypes][kRegs];  // to the register of [dtype], rounded through it, from [reg]
  LoadFn load[kDTypes];         // array of [dtype] to its register type
  StoreFn store[kDTypes];       // and back
  StoreFn accumulate[kDTypes];  // array += tile (bool: or)
  // A copy past the caches, seen by others after drain; a step ahead every kStreamStep bytes.
  void (*stream)(char* dst, const void* tile, int64_t bytes, Ahead& ahead);
  void (*drain)();
  Fold fold[kFolds][kRegs];
  ArgFold arg[2][kRegs];  // argmax, argmin
  // accumulators of sums: acc[r] += sum of x[r][i] * y[r][i]; float32 and float64
  void (*sum_of_products[kRegs])(void* acc, const void* x, const void* y, int64_t n, int64_t rows);
  void (*iota)(int64_t* dst, int64_t start, int64_t step, int64_t n);
  void (*random)(int64_t* dst, int64_t seed, int64_t start, int64_t n);  // consecutive counters
  void (*random_at)(int64_t* dst, const int64_t* index, int64_t seed, int64_t offset, int64_t n);
  ChannelLoops channels[2];  // float32, float64
  // out[to[i]] += table[from[i]], rows of `width` that are `pitch` elements apart; float32, float64
  void (*add_rows_of[2])(void* out, const void* table, const int64_t* to, const int64_t* from, int64_t n, int64_t pitch,
                         int64_t width);
  const Compiled* compiled;
  int n_compiled;
};

// One table per instruction set, filled by one function per kernels_*.cpp.
#define GF_DECLARE_KERNELS(isa)      \
  namespace isa {                    \
  void fill_primitives(Kernels& k);  \
  void fill_moves(Kernels& k);       \
  void fill_folds(Kernels& k);       \
  void fill_args(Kernels& k);        \
  void fill_rows(Kernels& k);        \
  void fill_channels(Kernels& k);    \
  void fill_compiled(Kernels& k);    \
  }
GF_DECLARE_KERNELS(v2)
GF_DECLARE_KERNELS(v3)
GF_DECLARE_KERNELS(v4)
GF_DECLARE_KERNELS(generic)
#undef GF_DECLARE_KERNELS

}  // namespace gf
