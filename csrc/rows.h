// Row programs: scalar programs with sums and maxima over a row in between (softmax and its family).
#pragma once

#include <memory>
#include <vector>

#include "program.h"

namespace gf {

// A step of a row program. Values that are the same along the row are computed once per row ("compact": a
// tile holds one value per row) and spread over the row only for the steps that need them so.
struct RowStep {
  enum Kind : uint8_t { Full, Compact, Spread, Reduce, Column, Linear, Random };
  Kind kind;
  Instr in;
  int level;        // number of reductions before it, one after the other
  int reduction;    // Reduce: its number
  uint32_t passes;  // passes over a long row in which it is needed
};

struct RowPlan {
  std::vector<RowStep> steps;
  int reductions = 0;
  int passes = 1;                      // over rows too long for a tile
  std::vector<uint32_t> pass_inputs;   // inputs that each pass reads
  std::vector<bool> compact;           // per slot
  uint32_t row_outputs;                // outputs with one value per row
  std::vector<int64_t> place;          // of tiles when they are reused (rows that fit)
  int64_t width = 0;
  bool first_only(int k, const Typed& t) const {  // a full tile of which the first column is wanted
    return ((row_outputs >> k) & 1) && !compact[size_t(t.out_slot[k])];
  }
};

std::unique_ptr<RowPlan> plan_rows(Typed& t, int row_outputs);

}  // namespace gf
