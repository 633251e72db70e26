// Direct: a callable in front of a Python function. It is a method where it is an attribute of a class, as functions
// are.
#include "direct.h"

#include <structmember.h>

#include <cstddef>
#include <cstring>

namespace gf {

PyTypeObject* direct_type = nullptr;

namespace {

struct Direct {
  PyObject_HEAD vectorcallfunc call;
  PyObject* dict;
  PyObject* weak;
  PyObject* function;  // takes every other call
  PyObject* kind;      // the name of the attempt
  PyObject* names;     // of the parameters
  PyObject* tools;
  Py_ssize_t placed;  // so many of the parameters may be given by place
  bool variadic;      // whether those that follow go to *parameter
  bool method;        // is the first argument always a tensor?
  Attempt attempt;
};

// Of which kinds are all functions methods? What `before` puts them in front of is none, and says itself what is wrong.
bool of_tensors(const char* name, Attempt attempt) {
  for (const DirectKind* table : {kDirectAxes, kDirectParts})
    for (; table->name; ++table)
      if (table->attempt == attempt) return true;
  return !strcmp(name, "update") || !strncmp(name, "new_", 4);
}

Attempt attempt_of(const char* name) {
  for (const DirectKind* table : {kDirectAxes, kDirectParts, kDirectMaking, kDirectFormulas})
    for (; table->name; ++table)
      if (!strcmp(table->name, name)) return table->attempt;
  return nullptr;
}

bool sort_arguments(const Direct* self, PyObject* const* args, Py_ssize_t count, PyObject* names, Call* c) {
  const Py_ssize_t n = PyTuple_GET_SIZE(self->names), placed = count < self->placed ? count : self->placed;
  if (count > placed && !self->variadic) return false;
  for (Py_ssize_t i = 0; i < n; ++i) c->arg[i] = i < placed ? args[i] : nullptr;
  c->placed = self->placed;
  c->rest = args + placed;
  c->rest_count = count - placed;
  c->tools = self->tools;
  for (Py_ssize_t k = 0; names && k < PyTuple_GET_SIZE(names); ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    Py_ssize_t i = 0;
    while (i < n && PyTuple_GET_ITEM(self->names, i) != name) ++i;  // names are interned
    if (i == n || c->arg[i]) return false;
    c->arg[i] = args[count + k];
  }
  return true;
}

// Tensor.view([1], 2)
[[noreturn]] void refuse(PyObject* object, PyObject* given) {
  Ref name(checked(PyObject_GetAttrString(object, "__name__")));
  const char* text = PyUnicode_AsUTF8(name.get());
  if (!text) throw PythonError{};
  raise(ErrorKind::DType, "%s: descriptor '%s' for 'Tensor' objects doesn't apply to a '%s' object", text, text,
        Py_TYPE(given)->tp_name);
}

PyObject* call(PyObject* object, PyObject* const* args, size_t flags, PyObject* names) {
  auto* self = reinterpret_cast<Direct*>(object);
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  try {
    Call c;
    if (sort_arguments(self, args, count, names, &c))
      if (PyObject* result = self->attempt(c)) return result;
    if (self->method && count && !is_tensor(args[0])) refuse(object, args[0]);
  } catch (...) {
    return report_current_exception();
  }
  return PyObject_Vectorcall(self->function, args, size_t(count), names);
}

// Direct(kind, function, names, placed, variadic, tools)
PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
  const char* name;
  PyObject *kind, *function, *names, *tools;
  Py_ssize_t placed;
  int variadic;
  if (!PyArg_ParseTuple(args, "UOO!npO!", &kind, &function, &PyTuple_Type, &names, &placed, &variadic, &PyTuple_Type,
                        &tools) ||
      !(name = PyUnicode_AsUTF8(kind)))
    return nullptr;
  const Attempt attempt = attempt_of(name);
  if (!attempt || PyTuple_GET_SIZE(names) > kMaxParameters || placed > PyTuple_GET_SIZE(names)) {
    PyErr_Format(PyExc_ValueError, "Direct: unknown kind or too many parameters: %s", name);
    return nullptr;
  }
  PyObject* object = type->tp_alloc(type, 0);
  if (!object) return nullptr;
  auto* self = reinterpret_cast<Direct*>(object);
  self->call = call;
  self->attempt = attempt;
  self->placed = placed;
  self->variadic = variadic;
  self->method = of_tensors(name, attempt);
  Py_INCREF(self->function = function);
  Py_INCREF(self->kind = kind);
  Py_INCREF(self->names = names);
  Py_INCREF(self->tools = tools);
  return object;
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<Direct*>(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->dict);
  Py_VISIT(self->function);
  Py_VISIT(self->tools);
  return 0;
}

int clear(PyObject* object) {
  auto* self = reinterpret_cast<Direct*>(object);
  Py_CLEAR(self->dict);
  Py_CLEAR(self->function);
  Py_CLEAR(self->kind);
  Py_CLEAR(self->names);
  Py_CLEAR(self->tools);
  return 0;
}

void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (reinterpret_cast<Direct*>(object)->weak) PyObject_ClearWeakRefs(object);
  clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* bind(PyObject* self, PyObject* object, PyObject*) {
  if (object && object != Py_None) return PyMethod_New(self, object);
  Py_INCREF(self);
  return self;
}

PyObject* represent(PyObject* object) {
  return PyUnicode_FromFormat("<direct %R>", reinterpret_cast<Direct*>(object)->function);
}

// Copied and pickled by name, as functions are.
PyObject* reduce(PyObject* object, PyObject*) { return PyObject_GetAttrString(object, "__qualname__"); }

// The same attempt in front of another function.
PyObject* before(PyObject* object, PyObject* function) {
  auto* self = reinterpret_cast<Direct*>(object);
  PyObject* result = PyObject_CallFunction(reinterpret_cast<PyObject*>(Py_TYPE(object)), "OOOniO", self->kind, function,
                                           self->names, self->placed, int(self->variadic), self->tools);
  if (result) reinterpret_cast<Direct*>(result)->method = false;
  return result;
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Direct, call), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Direct, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Direct, weak), READONLY, nullptr},
    {"function", T_OBJECT_EX, offsetof(Direct, function), READONLY, "takes the calls that are not plain"},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {"before", before, METH_O, "before(function): the same attempt in front of another function"},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(make)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_descr_get, reinterpret_cast<void*>(bind)},
    {Py_tp_repr, reinterpret_cast<void*>(represent)},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"gradflow._ext.Direct", sizeof(Direct), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
                    slots};

}  // namespace

void init_direct_type() {
  direct_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!direct_type) throw PythonError{};
}

bool plain_int(PyObject* object, int64_t* value) {
  if (!object || !PyLong_CheckExact(object)) return false;
  int overflow = 0;
  *value = PyLong_AsLongLongAndOverflow(object, &overflow);
  return !overflow;
}

bool plain_axis(PyObject* object, int ndim, int* axis) {
  int64_t value = 0;
  if (!plain_int(object, &value) || value < -ndim || value >= ndim) return false;
  *axis = int(value < 0 ? value + ndim : value);
  return true;
}

namespace {

int read_ints(PyObject* const* items, Py_ssize_t count, npy_intp* values) {
  if (count > kMaxDims) return -1;
  for (Py_ssize_t i = 0; i < count; ++i) {
    int64_t value = 0;
    if (!plain_int(items[i], &value)) return -1;
    values[i] = value;
  }
  return int(count);
}

}  // namespace

int plain_ints(PyObject* object, npy_intp* values) {
  if (!object || (!PyTuple_Check(object) && !PyList_CheckExact(object))) return -1;
  return read_ints(PySequence_Fast_ITEMS(object), PySequence_Fast_GET_SIZE(object), values);
}

int plain_ints(PyObject* const* given, Py_ssize_t count, npy_intp* values) {
  if (count == 0) return -1;
  return count == 1 && !PyLong_CheckExact(given[0]) ? plain_ints(given[0], values) : read_ints(given, count, values);
}

PyObject* int_tuple(int count, const npy_intp* values) {
  Ref tuple(checked(PyTuple_New(count)));
  for (int i = 0; i < count; ++i) PyTuple_SET_ITEM(tuple.get(), i, checked(PyLong_FromSsize_t(values[i])));
  return tuple.release();
}

}  // namespace gf
