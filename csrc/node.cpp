// The base of a node of the tape: its fields, set without running Python, and the place in the user's program that it
// was recorded at. Subclasses in Python add what only some nodes have.
#include "tape.h"

#include <frameobject.h>
#include <structmember.h>

#include <cstddef>
#include <string>
#include <unordered_map>

namespace gf {

PyTypeObject* node_type = nullptr;

namespace {

struct Node {
  PyObject_HEAD PyObject* plan;
  PyObject* parents;
  PyObject* saved;
  PyObject* guards;
  PyObject* irregular;
  PyObject* meta;
  PyObject* number;
  PyObject* code;  // where: a code object and an offset into it, whose line is found when somebody asks
  int offset;
};

PyTypeObject* quick_class = nullptr;  // whose instances are made fast
PyObject* tape_clock = nullptr;       // an iterator: its next number is the time
PyObject* saves_inference = nullptr;  // called with the plan of an operation that saves a tensor made in inference mode
PyObject* watcher = nullptr;          // called with each node that has been recorded, while somebody watches
std::string package;                  // the folder whose files are not the user's

bool is_ours(PyObject* file) {
  // By the string object, which is kept so that no other takes its address; there are as many as there are files.
  static std::unordered_map<PyObject*, bool> known;
  auto found = known.find(file);
  if (found != known.end()) return found->second;
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(file, &size);
  if (!text) PyErr_Clear();
  const bool ours = text && std::string(text, size_t(size)).compare(0, package.size(), package) == 0;
  if (known.size() < 10000) {
    Py_INCREF(file);
    known.emplace(file, ours);
  }
  return ours;
}

int offset_in(PyFrameObject* frame) {
#if PY_VERSION_HEX >= 0x030B0000
  return PyFrame_GetLasti(frame);
#else
  PyObject* value = PyObject_GetAttrString(reinterpret_cast<PyObject*>(frame), "f_lasti");
  if (!value) {
    PyErr_Clear();
    return -1;
  }
  const int offset = int(PyLong_AsLong(value));
  Py_DECREF(value);
  return offset;
#endif
}

void find_place(Node* self) {
  int offset = 0;
  PyObject* code = user_place(&offset);
  if (!code) return;
  PyObject* old = self->code;
  self->code = code;
  self->offset = offset;
  Py_XDECREF(old);
}

PyObject* empty_tuple() {
  static PyObject* empty = PyTuple_New(0);
  return empty;
}

void set(PyObject*& field, PyObject* value) {
  PyObject* old = field;
  Py_INCREF(value);
  field = value;
  Py_XDECREF(old);
}

bool guards_inference(PyObject* guards) {
  if (!PyTuple_CheckExact(guards)) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(guards); ++i)
    if (PyTuple_GET_ITEM(guards, i) == inference_cell) return true;
  return false;
}

int record(PyObject* object, PyObject* const* value) {
  if (guards_inference(value[3])) {
    Ref result(PyObject_CallOneArg(saves_inference, value[0]));
    if (!result) return -1;
  }
  Node* self = reinterpret_cast<Node*>(object);
  set(self->plan, value[0]);
  set(self->parents, value[1]);
  set(self->saved, value[2]);
  set(self->guards, value[3]);
  set(self->irregular, value[4]);
  set(self->meta, value[5]);
  PyObject* now = PyIter_Next(tape_clock);
  if (!now) return -1;
  PyObject* old = self->number;
  self->number = now;
  Py_XDECREF(old);
  find_place(self);
  if (watcher) {
    PyObject* result = PyObject_CallOneArg(watcher, object);
    if (!result) return -1;
    Py_DECREF(result);
  }
  return 0;
}

int init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"plan", "parents", "saved", "guards", "irregular", "meta", nullptr};
  PyObject* value[] = {nullptr, nullptr, empty_tuple(), empty_tuple(), Py_None, Py_None};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|OOOO", const_cast<char**>(names), &value[0], &value[1], &value[2],
                                   &value[3], &value[4], &value[5]))
    return -1;
  return record(object, value);
}

// Node(...) without keywords, which is how operations call it: no tuple of arguments, no look-up of __init__.
PyObject* make(PyObject* type, PyObject* const* args, size_t flags, PyObject* names) {
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  PyTypeObject* cls = reinterpret_cast<PyTypeObject*>(type);
  if (names || count < 2 || count > 6) {
    Ref tuple(PyTuple_New(count)), keywords(names ? PyDict_New() : nullptr);
    if (!tuple.get() || (names && !keywords.get())) return nullptr;
    for (Py_ssize_t i = 0; i < count; ++i) {
      Py_INCREF(args[i]);
      PyTuple_SET_ITEM(tuple.get(), i, args[i]);
    }
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i)
      if (PyDict_SetItem(keywords.get(), PyTuple_GET_ITEM(names, i), args[count + i]) < 0) return nullptr;
    Ref node(cls->tp_alloc(cls, 0));
    if (!node.get() || init(node.get(), tuple.get(), keywords.get()) < 0) return nullptr;
    return node.release();
  }
  PyObject* value[] = {nullptr, nullptr, empty_tuple(), empty_tuple(), Py_None, Py_None};
  for (Py_ssize_t i = 0; i < count; ++i) value[i] = args[i];
  Ref node(cls->tp_alloc(cls, 0));
  if (!node.get() || record(node.get(), value) < 0) return nullptr;
  return node.release();
}

int traverse(PyObject* object, visitproc visit, void* arg) {
  Node* self = reinterpret_cast<Node*>(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->plan);
  Py_VISIT(self->parents);
  Py_VISIT(self->saved);
  Py_VISIT(self->guards);
  Py_VISIT(self->irregular);
  Py_VISIT(self->meta);
  return 0;
}

int clear(PyObject* object) {
  Node* self = reinterpret_cast<Node*>(object);
  Py_CLEAR(self->plan);
  Py_CLEAR(self->parents);
  Py_CLEAR(self->saved);
  Py_CLEAR(self->guards);
  Py_CLEAR(self->irregular);
  Py_CLEAR(self->meta);
  Py_CLEAR(self->number);
  Py_CLEAR(self->code);
  return 0;
}

void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* place(PyObject* object, void*) {
  Node* self = reinterpret_cast<Node*>(object);
  if (!self->code) Py_RETURN_NONE;
  return Py_BuildValue("(Oi)", self->code, self->offset);
}

PyObject* note_place(PyObject* object, PyObject*) {
  find_place(reinterpret_cast<Node*>(object));
  Py_RETURN_NONE;
}

PyMemberDef members[] = {
    {"plan", T_OBJECT_EX, offsetof(Node, plan), 0, nullptr},
    {"parents", T_OBJECT_EX, offsetof(Node, parents), 0, nullptr},
    {"saved", T_OBJECT_EX, offsetof(Node, saved), 0, nullptr},
    {"guards", T_OBJECT_EX, offsetof(Node, guards), 0, nullptr},
    {"irregular", T_OBJECT_EX, offsetof(Node, irregular), 0, nullptr},
    {"meta", T_OBJECT_EX, offsetof(Node, meta), 0, nullptr},
    {"number", T_OBJECT_EX, offsetof(Node, number), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef properties[] = {
    {"place", place, nullptr, "(code, offset) of the user's call, or None", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef methods[] = {
    {"note_place", note_place, METH_NOARGS, "This call is the place."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
    {Py_tp_init, reinterpret_cast<void*>(init)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"gradflow._ext.TapeNode", sizeof(Node), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

PyObject* user_place(int* offset) {
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(frame);
  while (frame) {
    PyCodeObject* code = PyFrame_GetCode(frame);
    if (!is_ours(code->co_filename)) {
      *offset = offset_in(frame);
      Py_DECREF(frame);
      return reinterpret_cast<PyObject*>(code);
    }
    Py_DECREF(code);
    PyFrameObject* back = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = back;
  }
  return nullptr;
}

PyObject* tape_time() { return PyIter_Next(tape_clock); }

PyObject* new_node(PyObject* plan, PyObject* parent, PyObject* meta) {
  Ref parents(PyTuple_Pack(1, parent));
  if (!parents) return nullptr;
  PyObject* args[] = {plan, parents.get(), empty_tuple(), empty_tuple(), Py_None, meta};
  return make(reinterpret_cast<PyObject*>(quick_class), args, 6, nullptr);
}

void init_node_type() {
  node_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!node_type) throw PythonError{};
}

// set_tape(clock, folder, class, f): where nodes get their number from; files in the folder are not the user's; the
// class whose instances are made fast; f(plan) is called where a node saves a tensor that was made in inference mode
PyObject* set_tape(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !PyIter_Check(args[0]) || !PyUnicode_Check(args[1]) || !PyType_Check(args[2]) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[2]), node_type))
    raise(ErrorKind::Type, "set_tape: expected an iterator, a folder, a class of nodes and a function");
  const char* folder = PyUnicode_AsUTF8(args[1]);
  if (!folder) throw PythonError{};
  package = folder;
  set(tape_clock, args[0]);
  set(saves_inference, args[3]);
  quick_class = reinterpret_cast<PyTypeObject*>(args[2]);
  quick_class->tp_vectorcall = make;
  Py_RETURN_NONE;
}

// set_watcher(f): f(node) is called for each node that is recorded; None for nobody
PyObject* set_watcher(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1) raise(ErrorKind::Type, "set_watcher: expected a function or None");
  if (args[0] == Py_None) {
    Py_CLEAR(watcher);
  } else {
    set(watcher, args[0]);
  }
  Py_RETURN_NONE;
}

}  // namespace gf
