// Reductions: the fold of a program's values over some dimensions.
#pragma once

#include "runner.h"

namespace gf {

extern const char* const kKindNames[kKinds];

// The loop's dimensions are ordered [inner kept | reduced | outer kept]; its operands are the inputs, then
// the output with stride 0 along the reduced dimensions. Outputs come in tasks that are worked out one by one:
//   Vertical  at least 256 inner kept elements: a task is a tile of them; rows are added to it one by one.
//   Group     a task is one position of the outer kept dimensions: all inner kept elements, few or one.
//   Groups    the reduced part is short as well: a tile, and a task, is several whole groups.
struct Reduction {
  enum Shape { Vertical, Group, Groups };

  const Typed& typed;
  Kind kind;
  double scale;
  Loop loop;
  Box box;
  Shape shape;
  int kept_inner = 0, reduced = 0;  // numbers of dimensions
  int64_t width = 1;                // inner kept elements
  int64_t depth = 1;                // reduced elements per output
  int plain = -1;                   // the input, if the program is nothing else and tiles are pieces of it
  bool product = false;             // the sum of the product of two inputs, in one loop
  DType reg;                        // register type that is folded

  int64_t tasks, task_outputs;  // how many tasks, outputs in the largest one
  int64_t steps;                // tiles of one task
  int64_t step_elements;

  Reduction(const Typed& t, Kind k, double s, DType reg_) : typed(t), kind(k), scale(s), reg(reg_) {}

  bool is_arg() const { return kind >= kArgMax; }
  const Fold& fold() const { return kernels->fold[kind][reg_index(reg)]; }
  const ArgFold& arg() const { return kernels->arg[kind - kArgMax][reg_index(reg)]; }
  size_t accumulator_bytes() const {  // of one task
    size_t each = is_arg() ? 16 : fold().acc_size;
    return size_t(task_outputs) * each;
  }
};

// Runs it on all threads. The split into pieces depends on the shapes only, so the bits do, too.
// `partials` is memory for splits(r) * tasks * accumulator_bytes, if splits(r) > 1.
int64_t splits(const Reduction& r);
void run_reduction(const Reduction& r, char* partials);

}  // namespace gf
