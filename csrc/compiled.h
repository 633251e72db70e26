// What compiled programs are made of besides the primitives.
#pragma once

#include "kernels.h"

namespace gf {
namespace GF_ISA {
namespace {

constexpr int kPiece = 256;  // elements of a row whose sum is float32: at most 32 in each lane
constexpr int kVector = 16;

// A row is worked on in whole vectors, for what is left over would take longer than all of them. The last piece begins
// again within the one before it; sums must not take what lies before `fresh`.
struct Piece {
  int from = 0, to = 0, fresh = 0;
  explicit Piece(int n) { cut(n); }
  void next(int n) {
    from = fresh = to;
    cut(n);
  }

 private:
  void cut(int n) {
    const int left = n - from;
    if (left >= kPiece) {
      to = from + kPiece;
    } else if (left >= kVector) {
      to = from + left / kVector * kVector;
    } else {
      if (left > 0 && n >= kVector) from = n - kVector;
      to = n;
    }
  }
};

}  // namespace
}  // namespace GF_ISA
}  // namespace gf
