// Row programs: scalar programs with sums and maxima over a row in between (softmax and its family).
#pragma once

#include <memory>
#include <vector>

#include "program.h"

namespace gf {

// A step of a row program. Values that are the same along the row are computed once per row ("compact": a tile holds
// one value per row), joined to full tiles by operations that take both, and spread over the row for the others.
struct RowStep {
  enum Kind : uint8_t {
    Full,     // a tile, element by element
    Compact,  // values of rows
    Mixed,    // a tile from tiles and values of rows
    Spread,   // a tile from a value of rows
    Reduce,   // values of rows from a tile
    Product,  // the sum of the product of two tiles
    Column,   // a tile of column numbers
    Linear,   // ... of flat indices
    Random,   // ... of random numbers
    Nothing,  // taken over by another step
  };
  Kind kind;
  Instr in;
  RowFn row_fn;     // Mixed
  int level;        // number of reductions before it, one after the other
  int reduction;    // Reduce, Product: its number
  uint32_t passes;  // passes over a long row in which it is needed

  bool reduces() const { return kind == Reduce || kind == Product; }
  bool of_rows() const { return kind == Compact || kind == Spread; }  // once per row, not in a pass
};

// The steps of a program, given which inputs do not change along the row.
struct RowPlan {
  uint32_t row_inputs, row_outputs;
  std::vector<RowStep> steps;
  int reductions = 0;
  int passes = 1;                     // over rows too long for a tile
  std::vector<uint32_t> pass_inputs;  // inputs that each pass reads
  std::vector<bool> compact;          // per slot
  int out_slot[kMaxOutputs];
  std::vector<uint8_t> register_width;
  // Where the registers' tiles begin, in bytes per element: each its own, and shared by linear scan (rows that fit).
  std::vector<int64_t> own_place, shared_place;
  int64_t own_width = 0, shared_width = 0;

  bool per_row(int k) const { return (row_outputs >> k) & 1; }
  bool first_only(int k) const {  // a full tile of which the first column is wanted
    return per_row(k) && !compact[size_t(out_slot[k])];
  }
};

std::unique_ptr<RowPlan> plan_rows(const Typed& t, uint32_t row_inputs);

}  // namespace gf
