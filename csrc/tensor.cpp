// The base of Tensor: its fields, and what happens to every view and at every change in place, without running Python.
#include "tensor.h"
#include "inputs.h"
#include "tape.h"

#include <structmember.h>

#include <algorithm>
#include <cstddef>

namespace gf {

PyTypeObject* tensor_type = nullptr;
PyTypeObject* tensor_class = nullptr;
PyObject* inference_cell = nullptr;
PyObject* elementwise(PyObject*, PyObject* const*, Py_ssize_t);
PyObject* copy(PyObject*, PyObject* const*, Py_ssize_t);

namespace {

enum { kStamp, kCount, kShared, kPlace };

PyObject* mode = nullptr;         // mode.enabled: is recording on?
PyObject* last_change = nullptr;  // [the latest stamp of any version]
PyObject* no_grad = nullptr;      // why a view made without recording is no part of a history

// Inference mode. Tensors made in it share one version cell, which says so; there it is counted in no cell.
PyObject* refused = nullptr;  // refused(): raises, for a change of such a tensor outside of the mode
int threads_inferring = 0;
thread_local bool inferring = false;

bool in_inference() { return threads_inferring && inferring; }

Tensor* tensor_argument(PyObject* object, const char* op) {
  if (!is_tensor(object)) raise(ErrorKind::Type, "%s: expected a Tensor, got %s", op, Py_TYPE(object)->tp_name);
  auto* t = reinterpret_cast<Tensor*>(object);
  if (!t->array || !t->node || !t->version) raise(ErrorKind::Type, "%s: the Tensor was not made completely", op);
  return t;
}

}  // namespace

bool is_tensor(PyObject* object) { return PyObject_TypeCheck(object, tensor_type); }

bool recording() {
  static PyObject* name = PyUnicode_InternFromString("enabled");
  Ref enabled(PyObject_GetAttr(mode, name));
  if (!enabled) throw PythonError{};
  return PyObject_IsTrue(enabled.get()) == 1;
}

PyObject* checked(PyObject* object) {
  if (!object) throw PythonError{};
  return object;
}

PyObject* new_tensor(PyObject* array, PyObject* node, PyObject* version) {
  PyObject* object = checked(tensor_class->tp_alloc(tensor_class, 0));
  auto* t = reinterpret_cast<Tensor*>(object);
  Py_INCREF(array);
  t->array = array;
  Py_INCREF(node);
  t->node = node;
  if (version == Py_None && in_inference()) version = inference_cell;
  Py_INCREF(version);
  t->version = version;
  Py_INCREF(Py_None);
  t->leaf = Py_None;
  return object;
}

PyObject* version_of(Tensor* t) {
  if (PyList_Check(t->version)) return t->version;
  Ref cell(checked(Py_BuildValue("[iiOO]", 0, 0, Py_None, Py_None)));
  Py_DECREF(t->version);
  return t->version = cell.release();
}

PyObject* tensor_view(PyObject* array, PyObject* source_object, PyObject* node, PyObject* plan, PyObject* meta,
                      PyObject* lost) {
  auto* source = tensor_argument(source_object, "wrap_view");
  PyObject* version = version_of(source);
  const Ref kept = Ref::to(version);  // what is made here may run a collector, and that anything
  if ((!lost || !PyObject_IsTrue(lost)) && !recording()) lost = no_grad;
  static PyObject* nothing = PyUnicode_InternFromString("");
  if (!lost) lost = nothing;
  Ref result(new_tensor(array, node, version));
  Ref origin;
  if (source->origin) {
    PyObject* before = PyTuple_GET_ITEM(source->origin, 2);
    Ref steps(checked(PyTuple_Pack(3, PyTuple_GET_ITEM(source->origin, 1), plan, meta)));
    PyObject* why = PyObject_IsTrue(before) ? before : lost;
    origin = Ref(checked(PyTuple_Pack(3, PyTuple_GET_ITEM(source->origin, 0), steps.get(), why)));
  } else {
    Ref steps(checked(PyTuple_Pack(3, Py_None, plan, meta)));
    origin = Ref(checked(PyTuple_Pack(3, source_object, steps.get(), lost)));
  }
  reinterpret_cast<Tensor*>(result.get())->origin = origin.release();

  if (version == inference_cell) return result.release();
  PyObject* sharers = PyList_GET_ITEM(version, kShared);
  const Py_ssize_t n = PyList_Check(sharers) ? PyList_GET_SIZE(sharers) : 0;
  if (!PyList_Check(sharers) || (n > 32 && (n & (n - 1)) == 0)) {  // now and then forget the dead
    Ref alive(checked(PyList_New(0)));
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* reference = PyList_GET_ITEM(sharers, i);
      if (PyWeakref_GetObject(reference) != Py_None && PyList_Append(alive.get(), reference) < 0) throw PythonError{};
    }
    sharers = alive.get();
    if (PyList_SetItem(version, kShared, alive.release()) < 0) throw PythonError{};
  }
  Ref reference(checked(PyWeakref_NewRef(result.get(), nullptr)));
  if (PyList_Append(sharers, reference.get()) < 0) throw PythonError{};
  return result.release();
}

void changed(Tensor* t) {
  PyObject* version = version_of(t);
  if (version == inference_cell) return;
  const Ref kept = Ref::to(version);
  Ref now(checked(tape_time()));
  Py_INCREF(now.get());
  if (PyList_SetItem(last_change, 0, now.get()) < 0) throw PythonError{};
  const long long count = PyLong_AsLongLong(PyList_GET_ITEM(version, kCount));
  int offset = 0;
  Ref code(user_place(&offset));
  Ref place(code ? checked(Py_BuildValue("(Oi)", code.get(), offset)) : nullptr);
  if (!place) {
    Py_INCREF(Py_None);
    place = Ref(Py_None);
  }
  PyList_SetItem(version, kStamp, now.release());
  PyList_SetItem(version, kCount, checked(PyLong_FromLongLong(count + 1)));
  PyList_SetItem(version, kPlace, place.release());
}

namespace {

bool is_unrecorded(Tensor* t, PyObject* const* sources, Py_ssize_t count) {
  if (t->version == inference_cell && !in_inference()) Ref never(checked(PyObject_CallNoArgs(refused)));
  if (t->node != Py_None || !is_array(t->array)) return false;
  if (!PyArray_ISWRITEABLE(reinterpret_cast<PyArrayObject*>(t->array))) return false;
  if (t->origin) {
    PyObject* base = PyTuple_GET_ITEM(t->origin, 0);
    if (!is_tensor(base) || reinterpret_cast<Tensor*>(base)->node != Py_None) return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i)
    if (is_tensor(sources[i]) ? reinterpret_cast<Tensor*>(sources[i])->node != Py_None
                              : !(PyFloat_Check(sources[i]) || PyLong_Check(sources[i]) || sources[i] == Py_None))
      return false;
  return true;
}

bool shares(PyArrayObject* a, PyArrayObject* b) {
  View x, y;
  read_view(a, "linked", &x);
  read_view(b, "linked", &y);
  return overlap(x, y) != Overlap::None;
}

}  // namespace

PyObject* shape_tuple(PyArrayObject* array) {
  Ref shape(checked(PyTuple_New(PyArray_NDIM(array))));
  for (int d = 0; d < PyArray_NDIM(array); ++d)
    PyTuple_SET_ITEM(shape.get(), d, checked(PyLong_FromSsize_t(PyArray_DIM(array, d))));
  return shape.release();
}

PyObject* link(PyObject* plan, PyObject* x_object, PyObject* result, PyObject* params, bool may_view) {
  auto* x = reinterpret_cast<Tensor*>(x_object);
  auto *out = reinterpret_cast<PyArrayObject*>(result), *in = reinterpret_cast<PyArrayObject*>(x->array);
  const Ref kept = Ref::to(x->array);
  PyObject* base = PyArray_BASE(out);
  const bool view = may_view && base && (base == x->array || base == PyArray_BASE(in) || shares(out, in));
  const bool on_tape = x->node != Py_None && dtype_code(out) >= kFloat16 && recording();
  if (!view && !on_tape) return new_tensor(result, Py_None, Py_None);
  Ref shape(shape_tuple(in));
  Ref meta(checked(PyTuple_Pack(2, shape.get(), params)));
  Ref node;
  if (on_tape) node = Ref(checked(new_node(plan, x->node, meta.get())));
  PyObject* place = on_tape ? node.get() : Py_None;
  return view ? tensor_view(result, x_object, place, plan, meta.get(), nullptr) : new_tensor(result, place, Py_None);
}

bool holds(PyArrayObject* array, PyObject* value) {
  const int code = dtype_code(array);
  if (code == kBool || PyBool_Check(value)) return code == kBool && PyBool_Check(value);
  if (PyFloat_CheckExact(value)) {
    const double x = PyFloat_AS_DOUBLE(value);
    return code == kFloat64 || (code == kFloat32 && !(__builtin_isfinite(x) && __builtin_fabs(x) > __FLT_MAX__));
  }
  if (!PyLong_CheckExact(value)) return false;
  int overflow = 0;
  const int64_t i = PyLong_AsLongLongAndOverflow(value, &overflow);
  return !overflow && (code == kInt64 || code == kFloat64 || code == kFloat32 || (code == kInt32 && i == int32_t(i)));
}

namespace {

int traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<Tensor*>(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->array);
  Py_VISIT(self->node);
  Py_VISIT(self->version);
  Py_VISIT(self->leaf);
  Py_VISIT(self->origin);
  return 0;
}

int clear(PyObject* object) {
  auto* self = reinterpret_cast<Tensor*>(object);
  Py_CLEAR(self->array);
  Py_CLEAR(self->node);
  Py_CLEAR(self->version);
  Py_CLEAR(self->leaf);
  Py_CLEAR(self->origin);
  return 0;
}

void dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  clear(object);
  type->tp_free(object);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"array", T_OBJECT_EX, offsetof(Tensor, array), 0, nullptr},
    {"node", T_OBJECT_EX, offsetof(Tensor, node), 0, nullptr},
    {"version", T_OBJECT_EX, offsetof(Tensor, version), 0, nullptr},
    {"leaf", T_OBJECT_EX, offsetof(Tensor, leaf), 0, nullptr},
    {"origin", T_OBJECT_EX, offsetof(Tensor, origin), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {"gradflow._ext.TensorBase", sizeof(Tensor), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

void set(PyObject*& field, PyObject* value) {
  PyObject* old = field;
  Py_INCREF(value);
  field = value;
  Py_XDECREF(old);
}

}  // namespace

void init_tensor_type() {
  tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!tensor_type) throw PythonError{};
}

PyObject* set_tensor(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 6 || !PyType_Check(args[0]) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[0]), tensor_type) || !PyList_Check(args[2]) ||
      !PyUnicode_Check(args[3]) || !PyList_Check(args[4]))
    raise(ErrorKind::Type, "set_tensor: expected a class of tensors, the mode, a list, a text, a list and a function");
  Py_INCREF(args[0]);
  tensor_class = reinterpret_cast<PyTypeObject*>(args[0]);
  set(mode, args[1]);
  set(last_change, args[2]);
  set(no_grad, args[3]);
  set(inference_cell, args[4]);
  set(refused, args[5]);
  Py_RETURN_NONE;
}

// set_inference(on): what this thread makes from now on is for inference
PyObject* set_inference(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1 || !PyBool_Check(args[0])) raise(ErrorKind::Type, "set_inference: expected a bool");
  const bool on = args[0] == Py_True;
  threads_inferring += int(on) - int(inferring);
  inferring = on;
  Py_RETURN_NONE;
}

PyObject* wrap(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 1 || count > 2) raise(ErrorKind::Type, "wrap: takes (array, node=None)");
  return new_tensor(args[0], count > 1 ? args[1] : Py_None, Py_None);
}

PyObject* wrap_view(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 5 || count > 6) raise(ErrorKind::Type, "wrap_view: takes (array, source, node, plan, meta, lost='')");
  return tensor_view(args[0], args[1], args[2], args[3], args[4], count > 5 ? args[5] : nullptr);
}

PyObject* linked(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 5 || !is_array(args[2])) raise(ErrorKind::Type, "linked: takes (plan, x, out array, params, view)");
  auto* x = tensor_argument(args[1], "linked");
  if (!is_array(x->array)) raise(ErrorKind::Type, "linked: the array is not NumPy's");
  return link(args[0], args[1], args[2], args[3], args[4] == Py_True);
}

// x[index] by the plan for an int, or the one for all other basic indices; None if there is more to ask about it.
PyObject* get_item(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4) raise(ErrorKind::Type, "get_item: takes (x, index, plan of one int, plan)");
  auto* x = tensor_argument(args[0], "get_item");
  PyObject* index = args[1];
  Ref out(basic_view(x->array, index));
  if (!out) Py_RETURN_NONE;
  const bool one = PyLong_CheckExact(index);
  bool dots = false;
  const Py_ssize_t n = PyTuple_CheckExact(index) ? PyTuple_GET_SIZE(index) : -1;
  for (Py_ssize_t i = 0; i < n; ++i) dots |= PyTuple_GET_ITEM(index, i) == Py_Ellipsis;
  Ref key;
  if (one || dots) {
    Py_INCREF(index);
    key = Ref(index);
  } else {
    Ref end(checked(PyTuple_Pack(1, Py_Ellipsis))), start;
    if (n < 0) start = Ref(checked(PyTuple_Pack(1, index)));
    key = index == Py_Ellipsis ? Ref(end.release())
                               : Ref(checked(PySequence_Concat(n < 0 ? start.get() : index, end.get())));
  }
  Ref params(checked(PyTuple_Pack(1, key.get())));
  return link(args[one ? 2 : 3], args[0], out.get(), params.get(), true);
}

// x[index] = value, for what get_item takes where nothing is recorded: a number, or a tensor of the same shape and type
// that shares no memory, or is that very place. Else False, and nothing has happened.
PyObject* set_item(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) raise(ErrorKind::Type, "set_item: takes (x, index, value)");
  auto* x = tensor_argument(args[0], "set_item");
  PyObject* value = args[2];
  if (!is_unrecorded(x, &value, 1)) Py_RETURN_FALSE;
  if (!is_tensor(value) && !holds(reinterpret_cast<PyArrayObject*>(x->array), value)) Py_RETURN_FALSE;
  Ref place(basic_view(x->array, args[1]));
  if (!place) Py_RETURN_FALSE;
  if (is_tensor(value)) {
    auto *to = reinterpret_cast<PyArrayObject*>(place.get()), *own = reinterpret_cast<PyArrayObject*>(x->array);
    value = reinterpret_cast<Tensor*>(value)->array;
    if (!value || !PyArray_CheckExact(value)) Py_RETURN_FALSE;
    auto* from = reinterpret_cast<PyArrayObject*>(value);
    const int ndim = PyArray_NDIM(from);
    if (ndim != PyArray_NDIM(to) || dtype_code(from) != dtype_code(to) ||
        !std::equal(PyArray_DIMS(from), PyArray_DIMS(from) + ndim, PyArray_DIMS(to)))
      Py_RETURN_FALSE;
    if (PyArray_DATA(from) == PyArray_DATA(to) &&
        std::equal(PyArray_STRIDES(from), PyArray_STRIDES(from) + ndim, PyArray_STRIDES(to)))
      value = nullptr;  // x[i] += y has written there
    else if (from == own || PyArray_BASE(from) || PyArray_BASE(own))
      Py_RETURN_FALSE;
  }
  if (value) {
    PyObject* call[] = {value, place.get()};
    Ref done(copy(nullptr, call, 2));
  }
  changed(x);
  Py_RETURN_TRUE;
}

PyObject* note(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1) raise(ErrorKind::Type, "note: takes a Tensor");
  changed(tensor_argument(args[0], "note"));
  Py_INCREF(args[0]);
  return args[0];
}

PyObject* unrecorded(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 1) raise(ErrorKind::Type, "unrecorded: takes (t, *sources)");
  return PyBool_FromLong(is_unrecorded(tensor_argument(args[0], "unrecorded"), args + 1, count - 1));
}

// False, and nothing has happened, where it is no plain case: something is to be recorded, types or shapes do not fit,
// memory overlaps, an array is not NumPy's, the call is wrong.
bool update_plain(PyObject* kernel, Tensor* t, PyObject* operands, bool numeric, bool converted) {
  auto* program = reinterpret_cast<ProgramObject*>(kernel);
  const Py_ssize_t n = PyTuple_GET_SIZE(operands);
  if (n != program->n_inputs || program->n_outputs != 1 || program->flags & kRowProgram ||
      !is_unrecorded(t, &PyTuple_GET_ITEM(operands, 0), n))
    return false;
  auto* array = reinterpret_cast<PyArrayObject*>(t->array);
  const Ref kept = Ref::to(t->array);
  if (PyArray_NDIM(array) > kMaxDims || (numeric && dtype_code(array) == kBool)) return false;
  Ref inputs(checked(PyTuple_New(n)));
  uint32_t covered = 0;  // axes of t along which an operand has its size
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* operand = PyTuple_GET_ITEM(operands, i);
    if (is_tensor(operand)) {
      operand = reinterpret_cast<Tensor*>(operand)->array;
      if (!operand || !is_array(operand)) return false;
      auto* other = reinterpret_cast<PyArrayObject*>(operand);
      const int missing = PyArray_NDIM(array) - PyArray_NDIM(other), code = dtype_code(other);
      if (missing < 0 || code < 0 || (numeric && code == kBool)) return false;
      for (int d = 0; d < PyArray_NDIM(other); ++d) {
        if (PyArray_DIM(other, d) == PyArray_DIM(array, d + missing))
          covered |= uint32_t(1) << (d + missing);
        else if (PyArray_DIM(other, d) != 1)
          return false;
      }
      if (other != array && (PyArray_BASE(other) || PyArray_BASE(array)) && shares(other, array)) return false;
    } else if (numeric && PyBool_Check(operand)) {
      return false;
    }
    Py_INCREF(operand);
    PyTuple_SET_ITEM(inputs.get(), i, operand);
  }
  if (covered != (uint64_t(1) << PyArray_NDIM(array)) - 1) return false;
  try {
    Inputs in;
    if (!scan_inputs(program, inputs.get(), &in)) return false;
    const DType found = in.typed->out_dtype[0], own = DType(dtype_code(array));
    if (converted ? category(found) > category(own) : found != own) return false;
  } catch (const Error&) {
    return false;
  } catch (const PythonError&) {
    PyErr_Clear();
    return false;
  }
  PyObject* call[] = {kernel, inputs.get(), kept.get()};
  Ref result(elementwise(nullptr, call, 3));
  changed(t);
  return true;
}

PyObject* update(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !is_program(args[0]) || !PyTuple_Check(args[2]))
    raise(ErrorKind::Type, "update: takes (program, t, operands, numeric)");
  return PyBool_FromLong(update_plain(args[0], tensor_argument(args[1], "update"), args[2], args[3] == Py_True, false));
}

}  // namespace gf
