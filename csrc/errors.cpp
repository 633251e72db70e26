#include <cstdarg>
#include <cstdio>
#include <new>

#include "common.h"

namespace gf {

void raise(ErrorKind kind, const char* format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  throw Error{kind, text};
}

std::string shape_text(int ndim, const npy_intp* shape) {
  std::string text = "(";
  for (int d = 0; d < ndim; ++d) {
    text += std::to_string(shape[d]);
    if (d + 1 < ndim)
      text += ", ";
    else if (ndim == 1)
      text += ",";
  }
  return text + ")";
}

namespace {

PyObject* gradflow_error(const char* name) {
  Ref module(PyImport_ImportModule("gradflow.errors"));
  return module ? PyObject_GetAttrString(module.get(), name) : nullptr;
}

PyObject* python_class(ErrorKind kind) {
  static PyObject* classes[6];
  static const char* const names[6] = {"ShapeError",      "DTypeError",    "AxisError",
                                       "OutOfRangeError", "ArgumentError", "NumberError"};
  switch (kind) {
    case ErrorKind::ZeroDivision:
      return PyExc_ZeroDivisionError;
    case ErrorKind::Type:
      return PyExc_TypeError;
    case ErrorKind::Memory:
      return PyExc_MemoryError;
    default: {
      PyObject*& found = classes[int(kind)];
      if (!found) found = gradflow_error(names[int(kind)]);
      return found;
    }
  }
}

}  // namespace

void set_python_error(const Error& error) {
  PyObject* type = python_class(error.kind);
  if (type) PyErr_SetString(type, error.message.c_str());  // otherwise the failed import is the error
}

PyObject* report_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    set_python_error(error);
  } catch (const PythonError&) {
  } catch (const std::exception&) {  // the standard library's are all about sizes
    PyErr_NoMemory();
  }
  return nullptr;
}

}  // namespace gf
