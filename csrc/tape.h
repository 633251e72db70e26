// What the tape's objects share: the time and the user's place of a recording or a change.
#pragma once

#include "common.h"

namespace gf {

extern PyObject* inference_cell;  // the version cell of all tensors that were made in inference mode

PyObject* tape_time();                                                 // the clock's next number, a new reference
PyObject* new_node(PyObject* plan, PyObject* parent, PyObject* meta);  // Node(plan, (parent,), (), (), None, meta)

// The innermost frame that is not the package's: its code, a new reference (null if there is none), and the offset.
PyObject* user_place(int* offset);

}  // namespace gf
