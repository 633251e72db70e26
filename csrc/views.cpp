// expand(array, shape): axes of size 1 repeated by stride 0, a read-only view. NumPy has it in Python, at ten times the
// cost.
#include "common.h"

namespace gf {

PyObject* expand(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyTuple_Check(args[1])) raise(ErrorKind::Type, "expand: takes (array, shape tuple)");
  if (!is_array(args[0])) return call_fallback("expand", args, count);
  auto* array = reinterpret_cast<PyArrayObject*>(args[0]);
  const int ndim = int(PyTuple_GET_SIZE(args[1])), missing = ndim - PyArray_NDIM(array);
  if (ndim > kMaxDims || missing < 0)
    raise(ErrorKind::Shape, "expand: cannot go from %d to %d dimensions", PyArray_NDIM(array), ndim);
  npy_intp shape[kMaxDims], strides[kMaxDims];
  for (int d = 0; d < ndim; ++d) {
    shape[d] = PyLong_AsSsize_t(PyTuple_GET_ITEM(args[1], d));
    if (shape[d] < 0) {
      if (PyErr_Occurred()) throw PythonError{};
      raise(ErrorKind::Shape, "expand: a size is negative");
    }
    const npy_intp have = d < missing ? 1 : PyArray_DIM(array, d - missing);
    if (have != shape[d] && have != 1)
      raise(ErrorKind::Shape, "expand: an axis of size %lld cannot become %lld", (long long)have, (long long)shape[d]);
    strides[d] = have == shape[d] && d >= missing ? PyArray_STRIDE(array, d - missing) : 0;
  }
  PyArray_Descr* descr = PyArray_DESCR(array);
  Py_INCREF(descr);
  PyObject* view = PyArray_NewFromDescr(&PyArray_Type, descr, ndim, shape, strides, PyArray_DATA(array), 0, nullptr);
  if (!view) throw PythonError{};
  Py_INCREF(args[0]);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(view), args[0]) < 0) {
    Py_DECREF(view);
    throw PythonError{};
  }
  return view;
}

}  // namespace gf
