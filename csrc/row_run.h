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
  int64_t per_chunk, chunks;           // tiles, or long rows, in a piece of work; the number of these
  const Compiled* compiled = nullptr;  // the steps in few loops, if these rows are as it expects
  int64_t row_step[kMaxInputs];        // from one row of an input to the next, in elements; only where it is compiled
  bool whole;            // rows fit a tile: one pass, `count` rows per tile; else tiles are segments of a row
  int64_t row;           // its length
  uint32_t summed = 0;   // outputs whose rows are added up: one row is left of them
  char* sums = nullptr;  // accumulators of those, for each piece of the work

  RowRun(const Typed& t, const RowPlan& p, int64_t length) : typed(t), plan(p), row(length) {}
  bool is_summed(int k) const { return (summed >> k) & 1; }
  const Fold& fold(int k) const { return kernels->fold[kSum][reg_index(register_of(typed.out_dtype[k]))]; }
  const Operand& index() const { return loop.op[typed.n_inputs + typed.n_outputs]; }
};

// Chooses tiles and pieces of work. The loop's dimension 0 is the row.
void plan_run(RowRun* r);

// Bytes for `sums`.
size_t sums_bytes(const RowRun& r);

// Runs it on all threads. The pieces depend on the shapes only, so the bits of sums do, too.
void run_rows(RowRun* r);

}  // namespace gf
