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

// sizes(args, n): the shape that f(2, 3), f((2, 3)) or f(-1, 3) ask for, for n elements (n = -1: any number); None if
// it is wrong, or asked for by other numbers than ints.
PyObject* sizes(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyTuple_Check(args[0])) raise(ErrorKind::Type, "sizes: takes (a tuple, a number)");
  const int64_t n = int_argument(args[1], "sizes", "the number of elements");
  PyObject* given = args[0];
  if (PyTuple_GET_SIZE(given) == 1 && PyTuple_Check(PyTuple_GET_ITEM(given, 0))) given = PyTuple_GET_ITEM(given, 0);
  const Py_ssize_t ndim = PyTuple_GET_SIZE(given);
  if (ndim > kMaxDims) Py_RETURN_NONE;
  npy_intp shape[kMaxDims];
  int64_t known = 1;
  int hole = -1;
  for (int d = 0; d < ndim; ++d) {
    PyObject* size = PyTuple_GET_ITEM(given, d);
    if (!PyLong_CheckExact(size)) Py_RETURN_NONE;
    int overflow = 0;
    shape[d] = PyLong_AsLongLongAndOverflow(size, &overflow);
    if (overflow || shape[d] >= int64_t(1) << 31 || shape[d] < (n < 0 ? 0 : -1)) Py_RETURN_NONE;
    if (shape[d] == -1) {
      if (hole >= 0) Py_RETURN_NONE;
      hole = d;
    } else if (__builtin_mul_overflow(known, int64_t(shape[d]), &known)) {
      Py_RETURN_NONE;
    }
  }
  if (hole >= 0) {
    if (!known || n % known) Py_RETURN_NONE;
    shape[hole] = n / known;
  } else if (n >= 0 && known != n) {
    Py_RETURN_NONE;
  }
  if (hole < 0 && PyTuple_CheckExact(given)) {
    Py_INCREF(given);
    return given;
  }
  Ref result(PyTuple_New(ndim));
  if (!result) throw PythonError{};
  for (int d = 0; d < ndim; ++d) {
    PyObject* size = PyLong_FromSsize_t(shape[d]);
    if (!size) throw PythonError{};
    PyTuple_SET_ITEM(result.get(), d, size);
  }
  return result.release();
}

// outside(indices, low, high): is one of them not in low ... high - 1? None for what is not adjacent int64 of NumPy's.
PyObject* outside(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) raise(ErrorKind::Type, "outside: takes (indices, low, high)");
  if (!is_array(args[0])) Py_RETURN_NONE;
  auto* array = reinterpret_cast<PyArrayObject*>(args[0]);
  if (dtype_code(array) != kInt64 || !PyArray_ISCARRAY_RO(array)) Py_RETURN_NONE;
  const int64_t low = int_argument(args[1], "outside", "low"), high = int_argument(args[2], "outside", "high");
  const auto* values = static_cast<const int64_t*>(PyArray_DATA(array));
  bool wrong = false;
  for (npy_intp i = 0, n = PyArray_SIZE(array); i < n; ++i) wrong |= values[i] < low || values[i] >= high;
  return PyBool_FromLong(wrong);
}

}  // namespace gf
