// One call of a row program.
#pragma once

#include "rows.h"
#include "runner.h"

namespace gf {

// The loop's operands: inputs, outputs, and one that is no array: its address is the flat C-order index.
struct RowRun {
  const Typed& typed;
  const RowPlan& plan;
  Loop loop;
  Box box;
  bool whole;   // rows fit a tile: one pass, `count` rows per tile; else tiles are segments of a row
  int64_t row;  // its length

  RowRun(const Typed& t, const RowPlan& p, int64_t length) : typed(t), plan(p), row(length) {}
  const Operand& index() const { return loop.op[typed.n_inputs + typed.n_outputs]; }
};

// Runs it on all threads. The loop's dimension 0 is the row.
void run_rows(RowRun* r);

}  // namespace gf
