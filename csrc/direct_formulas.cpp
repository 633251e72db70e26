// Elementwise operations by their formula: of tensors that nothing is recorded of, and in place.
#include "direct.h"
#include "program.h"

namespace gf {

PyObject* elementwise(PyObject*, PyObject* const*, Py_ssize_t);

namespace {

bool is_number(PyObject* object) {
  return PyFloat_CheckExact(object) || PyLong_CheckExact(object) || PyBool_Check(object);
}

// The tensors and numbers of a call, in order; null where there are not as many as the program reads.
Ref operands(const Call& c, PyObject* program) {
  const Py_ssize_t n = reinterpret_cast<ProgramObject*>(program)->n_inputs;
  if (c.placed + c.rest_count != n) return Ref();
  Ref found(checked(PyTuple_New(n)));
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* x = i < c.placed ? c.arg[i] : c.rest[i - c.placed];
    if (!x || (!is_tensor(x) && !is_number(x))) return Ref();
    Py_INCREF(x);
    PyTuple_SET_ITEM(found.get(), i, x);
  }
  return found;
}

bool all_tensors(PyObject* given, PyObject* places) {
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(places); ++k)
    if (!is_tensor(PyTuple_GET_ITEM(given, PyLong_AsLong(PyTuple_GET_ITEM(places, k))))) return false;
  return true;
}

// tools: the program, the places of operands that must be tensors. `out` is the last parameter.
PyObject* formula(const Call& c) {
  PyObject* program = c.tool(0);
  if (c.arg[c.placed]) return nullptr;
  Ref inputs(operands(c, program));
  if (!inputs || !all_tensors(inputs.get(), c.tool(1))) return nullptr;
  bool any = false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs.get()); ++i) {
    PyObject* x = PyTuple_GET_ITEM(inputs.get(), i);
    if (!is_tensor(x)) continue;
    auto* t = reinterpret_cast<Tensor*>(x);
    if (!t->array || !PyArray_CheckExact(t->array) || !t->node || (t->node != Py_None && recording())) return nullptr;
    Py_INCREF(t->array);
    PyTuple_SetItem(inputs.get(), i, t->array);
    any = true;
  }
  if (!any) return nullptr;
  PyObject* call[] = {program, inputs.get()};
  Ref result;
  try {
    result = Ref(checked(elementwise(nullptr, call, 2)));
  } catch (const Error&) {
    return nullptr;
  }
  return new_tensor(result.get(), Py_None, Py_None);
}

// tools: the program, the places of operands that must be tensors, whether bools are left to others
PyObject* update(const Call& c) {
  if (!c.arg[0] || !is_tensor(c.arg[0])) return nullptr;
  auto* t = reinterpret_cast<Tensor*>(c.arg[0]);
  if (!t->array || !PyArray_CheckExact(t->array) || !t->node || !t->version) return nullptr;
  Ref given(operands(c, c.tool(0)));
  if (!given || !all_tensors(given.get(), c.tool(1))) return nullptr;
  if (!update_plain(c.tool(0), t, given.get(), c.tool(2) == Py_True, true)) return nullptr;
  Py_INCREF(c.arg[0]);
  return c.arg[0];
}

}  // namespace

const DirectKind kDirectFormulas[] = {
    {"formula", formula},
    {"update", update},
    {nullptr, nullptr},
};

}  // namespace gf
