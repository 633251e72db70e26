// The fields of a tensor, and how the extension makes tensors.
#pragma once

#include "common.h"

namespace gf {

struct Tensor {
  PyObject_HEAD PyObject* array;
  PyObject* node;
  PyObject* version;  // None or a list: when it last changed, how often, weak references to views, the place
  PyObject* leaf;
  PyObject* origin;  // only of a view: (base, steps, why a change of it cannot be recorded)
};

extern PyTypeObject* tensor_class;  // gradflow.Tensor

bool is_tensor(PyObject* object);
bool recording();                     // does this thread record?
PyObject* checked(PyObject* object);  // throws for null
PyObject* version_of(Tensor* t);      // the version cell, made when it is first needed; borrowed
void changed(Tensor* t);              // its array was written to
PyObject* new_tensor(PyObject* array, PyObject* node, PyObject* version);

// A tensor around a view of source's array: `plan` with `meta` leads there; `lost` says why a change of it cannot be
// recorded, or is null.
PyObject* tensor_view(PyObject* array, PyObject* source, PyObject* node, PyObject* plan, PyObject* meta,
                      PyObject* lost);

// The tensor of a linear operation's result on NumPy's arrays: on the tape if x is, a view if it looks at x's memory.
PyObject* link(PyObject* plan, PyObject* x, PyObject* result, PyObject* params, bool may_view);

// t becomes the program's result of the operands, tensors or numbers, which t may be one of; `converted` where the
// result has another type that t's can hold. False: nothing has happened, it is no plain case.
bool update_plain(PyObject* program, Tensor* t, PyObject* operands, bool numeric, bool converted);

PyObject* shape_tuple(PyArrayObject* array);
bool holds(PyArrayObject* array, PyObject* value);  // is it a number that an array of this type holds as it is?

}  // namespace gf
