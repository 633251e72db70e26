// Plain calls of Python functions that the extension answers itself.
//
// A `Direct` stands where a function of the package stood. A call whose arguments are as nearly all are, tensors on the
// CPU and ints in range, is answered here, without running Python. For every other call the attempt returns null, and
// the function runs: it knows devices, batches and what to say about mistakes. So nothing here raises for a wrong call.
#pragma once

#include "tensor.h"

namespace gf {

constexpr int kMaxParameters = 8;

struct Call {
  PyObject* arg[kMaxParameters];  // by the function's parameters; null where not given
  Py_ssize_t placed;              // so many of them may be given by place
  PyObject* const* rest;          // what its *parameter takes
  Py_ssize_t rest_count;
  PyObject* tools;  // the tuple that the function was declared with
  PyObject* tool(int k) const { return PyTuple_GET_ITEM(tools, k); }
};

using Attempt = PyObject* (*)(const Call&);  // null, and no error: the function is to be called

struct DirectKind {
  const char* name;
  Attempt attempt;
};

extern const DirectKind kDirectAxes[], kDirectParts[], kDirectMaking[],
    kDirectFormulas[];  // each ends with a null name

// Arguments as plain calls have them. False for all others.
bool plain_int(PyObject* object, int64_t* value);
bool plain_axis(PyObject* object, int ndim, int* axis);  // counted from either end, within 0 ... ndim - 1

// f(2, 3), f((2, 3)) and f([2, 3]): how many ints there are, -1 for anything else.
int plain_ints(PyObject* const* given, Py_ssize_t count, npy_intp* values);
int plain_ints(PyObject* object, npy_intp* values);  // a tuple or a list

PyObject* int_tuple(int count, const npy_intp* values);

}  // namespace gf
