#pragma once

#include "loop.h"

namespace gf {

// Runs a program over a loop whose operands are its inputs and its outputs, all set up by the caller;
// no output may overlap an input other than exactly. `in_order`: keep C order.
void run_elementwise(const Typed& typed, Loop* loop, bool in_order);

// The quick way for a few elements of contiguous arrays; null if the call is of another kind.
PyObject* small_elementwise(const Inputs& in, PyObject* out, int64_t accumulate);

}  // namespace gf
