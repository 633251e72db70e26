// The Python type Program.
#include "program.h"

#include <structmember.h>

namespace gf {

PyTypeObject* program_type = nullptr;

namespace {

PyObject* program_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"typer", "n_inputs", "n_outputs", "raw_mask", "flags", "source", nullptr};
  PyObject *typer, *source = Py_None;
  int n_inputs, n_outputs, flags = 0;
  unsigned long long raw_mask = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oii|KiO", const_cast<char**>(names), &typer, &n_inputs, &n_outputs,
                                   &raw_mask, &flags, &source))
    return nullptr;
  if (n_inputs < 0 || n_inputs > kMaxInputs || n_outputs < 1 || n_outputs > kMaxOutputs) {
    set_python_error({ErrorKind::Argument, "Program: at most " + std::to_string(kMaxInputs) + " inputs and 1 to " +
                                               std::to_string(kMaxOutputs) + " outputs are supported; got " +
                                               std::to_string(n_inputs) + " and " + std::to_string(n_outputs)});
    return nullptr;
  }
  auto* self = reinterpret_cast<ProgramObject*>(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  Py_INCREF(typer);
  Py_INCREF(source);
  self->typer = typer;
  self->source = source;
  self->n_inputs = n_inputs;
  self->n_outputs = n_outputs;
  self->raw_mask = raw_mask;
  self->flags = flags;
  self->cache = new std::vector<std::unique_ptr<Typed>>;
  self->last = nullptr;
  return reinterpret_cast<PyObject*>(self);
}

int program_traverse(PyObject* object, visitproc visit, void* arg) {
  auto* self = reinterpret_cast<ProgramObject*>(object);
  Py_VISIT(self->typer);
  Py_VISIT(self->source);
  Py_VISIT(Py_TYPE(object));
  return 0;
}

int program_clear(PyObject* object) {
  auto* self = reinterpret_cast<ProgramObject*>(object);
  Py_CLEAR(self->typer);
  Py_CLEAR(self->source);
  return 0;
}

void program_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  program_clear(object);
  delete reinterpret_cast<ProgramObject*>(object)->cache;
  type->tp_free(object);
  Py_DECREF(type);
}

PyMemberDef program_members[] = {
    {"source", T_OBJECT, offsetof(ProgramObject, source), 0, "what the program was made from"},
    {"n_inputs", T_INT, offsetof(ProgramObject, n_inputs), READONLY, nullptr},
    {"n_outputs", T_INT, offsetof(ProgramObject, n_outputs), READONLY, nullptr},
    {"flags", T_INT, offsetof(ProgramObject, flags), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot program_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(program_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(program_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(program_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(program_clear)},
    {Py_tp_members, program_members},
    {Py_tp_doc, const_cast<char*>("A scalar program; its code is made by `typer` on the first use with each "
                                  "combination of dtypes.")},
    {0, nullptr},
};

PyType_Spec program_spec = {"gradflow._ext.Program", sizeof(ProgramObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                            program_slots};

}  // namespace

void init_program_type() {
  program_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&program_spec));
  if (!program_type) throw PythonError{};
}

std::string program_name(const ProgramObject* program) {
  std::string name = program->flags & kRowProgram ? "rows" : "elementwise";
  if (!program->source) return name;
  Ref attribute(PyObject_GetAttrString(program->source, "name"));
  const char* text = attribute && PyUnicode_Check(attribute.get()) ? PyUnicode_AsUTF8(attribute.get()) : nullptr;
  if (text) name = text;
  PyErr_Clear();
  return name;
}

}  // namespace gf
