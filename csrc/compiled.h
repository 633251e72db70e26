// What compiled programs are made of besides the primitives.
#pragma once

#include "folding.h"

namespace gf {
namespace GF_ISA {
namespace {

constexpr int kPiece = 1024;  // elements of a row whose sum is float32
constexpr int kVector = 16;   // of every instruction set, so that all of them add in one order
constexpr int kInFlight = 4;  // vectors side by side, to cover the latency of an operation
constexpr int kBlock = kInFlight * kVector;

using Vector16 = Vector<float, kVector * 4>::type;

template <int K>
using Parts = Vector16[K][kInFlight];

// Adds what at(i, value) gives for a block of elements, or the first few of one.
template <int K, class At>
GF_INLINE void add_block(Parts<K>& part, const At& at, int i, int count) {
  alignas(64) float values[K][kBlock];
  if (count < kBlock) __builtin_memset(values, 0, sizeof values);
#pragma GCC ivdep
  for (int lane = 0; lane < count; ++lane) {
    float value[K];
    at(i + lane, value);
    for (int k = 0; k < K; ++k) values[k][lane] = value[k];
  }
  for (int k = 0; k < K; ++k)
    for (int u = 0; u < kInFlight; ++u) {
      Vector16 v;
      __builtin_memcpy(&v, values[k] + u * kVector, sizeof v);
      part[k][u] += v;
    }
}

// The sums over a row of n elements of the K values that at(i, value) gives for element i: pieces of the row in
// float32, these in double.
template <int K, class At>
GF_INLINE void sum_row(int n, double (&sums)[K], const At& at) {
  for (double& sum : sums) sum = 0;
  for (int i = 0; i < n;) {
    Parts<K> part = {};
    const int end = n - i < kPiece ? n : i + kPiece;
    for (; i + kBlock <= end; i += kBlock) add_block<K>(part, at, i, kBlock);
    if (i < end) add_block<K>(part, at, i, end - i);
    i = end;
    for (int k = 0; k < K; ++k)
      sums[k] += across<Sum, float, sizeof(Vector16)>(part[k][0] + part[k][1] + (part[k][2] + part[k][3]));
  }
}

// A row is worked on in whole vectors, for what is left over would take longer than all of them: the last piece begins
// again within the one before it.
struct Piece {
  int from = 0, to = 0;
  explicit Piece(int n) { cut(n); }
  void next(int n) {
    from = to;
    cut(n);
  }

 private:
  void cut(int n) {
    const int left = n - from;
    to = left < kVector ? n : from + left / kVector * kVector;
    if (left > 0 && left < kVector && n >= kVector) from = n - kVector;
  }
};

}  // namespace
}  // namespace GF_ISA
}  // namespace gf
