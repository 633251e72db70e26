// Views of arrays, and copies into them.
#include <cstring>

#include "inputs.h"

namespace gf {
namespace {

bool is_int_or_none(PyObject* object) { return object == Py_None || PyLong_CheckExact(object); }

// Of memory that `owner` has.
PyObject* view_of(PyObject* owner, int ndim, npy_intp* shape, npy_intp* strides, void* data, int flags) {
  PyArray_Descr* descr = PyArray_DESCR(reinterpret_cast<PyArrayObject*>(owner));
  Py_INCREF(descr);
  PyObject* view = PyArray_NewFromDescr(&PyArray_Type, descr, ndim, shape, strides, data, flags, nullptr);
  if (!view) throw PythonError{};
  Py_INCREF(owner);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(view), owner) < 0) {
    Py_DECREF(view);
    throw PythonError{};
  }
  return view;
}

}  // namespace

PyObject* copy(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) raise(ErrorKind::Type, "copy: takes (source, out)");
  if (!is_array(args[1])) return call_fallback("copy", args, count);
  View src, out;
  Scalar scalar;
  alignas(8) char value[8];
  auto* out_array = reinterpret_cast<PyArrayObject*>(args[1]);
  given_out_ok(args[1], PyArray_NDIM(out_array), PyArray_DIMS(out_array), "copy");
  read_view(out_array, "copy", &out);
  if (is_array(args[0])) {
    read_view(reinterpret_cast<PyArrayObject*>(args[0]), "copy", &src);
  } else if (read_scalar(args[0], &scalar)) {
    src.ndim = 0;
    src.aligned = true;
    src.data = value;
    src.dtype = scalar.is_int ? kInt64 : kFloat64;
    scalar.is_int ? memcpy(value, &scalar.i, 8) : memcpy(value, &scalar.d, 8);
  } else {
    return call_fallback("copy", args, count);
  }
  // leading dimensions of size 1 may be missing in out
  int extra = src.ndim > out.ndim ? src.ndim - out.ndim : 0;
  bool fits = true;
  for (int d = 0; d < extra; ++d) fits &= src.shape[d] == 1;
  for (int d = extra; fits && d < src.ndim; ++d) {
    npy_intp size = out.shape[d - extra + (out.ndim - (src.ndim - extra))];
    fits = src.shape[d] == 1 || src.shape[d] == size;
  }
  if (!fits)
    raise(ErrorKind::Shape, "copy: the source does not broadcast to out; the source is %s, out is %s",
          shape_text(src.ndim, src.shape).c_str(), shape_text(out.ndim, out.shape).c_str());
  for (int d = extra; extra > 0 && d < src.ndim; ++d) {
    src.shape[d - extra] = src.shape[d];
    src.strides[d - extra] = src.strides[d];
  }
  src.ndim -= extra;
  copy_view(src, out);
  Py_INCREF(args[1]);
  return args[1];
}

PyObject* basic_view(PyObject* object, PyObject* index) {
  if (!PyArray_CheckExact(object)) return nullptr;
  auto* array = reinterpret_cast<PyArrayObject*>(object);
  const bool many = PyTuple_CheckExact(index);
  const Py_ssize_t n = many ? PyTuple_GET_SIZE(index) : 1;
  PyObject* const* items = many ? &PyTuple_GET_ITEM(index, 0) : &index;
  int used = 0, made = 0, dots = 0;
  for (Py_ssize_t i = 0; i < n; ++i) {
    const bool slice = PySlice_Check(items[i]);
    used += slice || PyLong_CheckExact(items[i]);
    made += slice || items[i] == Py_None;
    dots += items[i] == Py_Ellipsis;
  }
  const int rest = PyArray_NDIM(array) - used;
  if (rest < 0 || dots > 1 || made + rest > kMaxDims) return nullptr;
  npy_intp shape[kMaxDims], strides[kMaxDims];
  char* data = PyArray_BYTES(array);
  int axis = 0, ndim = 0;
  auto keep = [&](int count) {
    for (; count > 0; --count, ++axis, ++ndim) {
      shape[ndim] = PyArray_DIM(array, axis);
      strides[ndim] = PyArray_STRIDE(array, axis);
    }
  };
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = items[i];
    if (item == Py_None) {
      shape[ndim] = 1;
      strides[ndim++] = 0;
    } else if (item == Py_Ellipsis) {
      keep(rest);
    } else if (PyLong_CheckExact(item)) {
      int overflow = 0;
      const int64_t size = PyArray_DIM(array, axis);
      int64_t at = PyLong_AsLongLongAndOverflow(item, &overflow);
      if (overflow || at < -size || at >= size) return nullptr;
      data += (at < 0 ? at + size : at) * PyArray_STRIDE(array, axis++);
    } else if (PySlice_Check(item)) {
      auto* slice = reinterpret_cast<PySliceObject*>(item);
      Py_ssize_t start, stop, step;
      if (!is_int_or_none(slice->start) || !is_int_or_none(slice->stop) || !is_int_or_none(slice->step)) return nullptr;
      int overflow = 0;
      if (slice->step != Py_None && PyLong_AsLongLongAndOverflow(slice->step, &overflow) <= 0) return nullptr;
      if (PySlice_Unpack(item, &start, &stop, &step) < 0) throw PythonError{};
      shape[ndim] = PySlice_AdjustIndices(PyArray_DIM(array, axis), &start, &stop, step);
      const bool empty = shape[ndim] == 0;  // NumPy's stays at the start
      if (!empty) data += start * PyArray_STRIDE(array, axis);
      if (__builtin_mul_overflow(PyArray_STRIDE(array, axis++), empty ? 1 : step, &strides[ndim++])) return nullptr;
    } else {
      return nullptr;
    }
  }
  if (!dots) keep(rest);
  return view_of(object, ndim, shape, strides, data, PyArray_ISWRITEABLE(array) ? NPY_ARRAY_WRITEABLE : 0);
}

// expand(array, shape): axes of size 1 repeated by stride 0, a read-only view. NumPy has it in Python, at ten times the
// cost.
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
  return view_of(args[0], ndim, shape, strides, PyArray_DATA(array), 0);
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

// places(array, indices): where in the array's first axes, taken as one, int64 arrays of one shape point, negative ones
// counted from the end; None if they are not that, point outside, or the array is not in C order.
PyObject* places(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyTuple_Check(args[1])) raise(ErrorKind::Type, "places: takes (array, a tuple of arrays)");
  const Py_ssize_t n = PyTuple_GET_SIZE(args[1]);
  auto* array = reinterpret_cast<PyArrayObject*>(args[0]);
  if (!PyArray_CheckExact(args[0]) || !PyArray_IS_C_CONTIGUOUS(array) || n == 0 || n > PyArray_NDIM(array))
    Py_RETURN_NONE;
  auto* first = reinterpret_cast<PyArrayObject*>(PyTuple_GET_ITEM(args[1], 0));
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject* object = PyTuple_GET_ITEM(args[1], k);
    auto* index = reinterpret_cast<PyArrayObject*>(object);
    if (!PyArray_CheckExact(object) || dtype_code(index) != kInt64 || !PyArray_ISCARRAY_RO(index) ||
        !PyArray_NDIM(index) || !PyArray_SAMESHAPE(index, first))
      Py_RETURN_NONE;
  }
  Ref result(new_array(PyArray_NDIM(first), PyArray_DIMS(first), kInt64));
  auto* flat = static_cast<int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(result.get())));
  const npy_intp size = PyArray_SIZE(first);
  bool outside = false;
  for (Py_ssize_t k = 0; k < n; ++k) {
    const auto* index =
        static_cast<const int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(PyTuple_GET_ITEM(args[1], k))));
    const int64_t length = PyArray_DIM(array, int(k));
    for (npy_intp i = 0; i < size; ++i) {
      const int64_t at = index[i] < 0 ? index[i] + length : index[i];
      outside |= at < 0 || at >= length;
      flat[i] = (k ? flat[i] * length : 0) + (outside ? 0 : at);
    }
  }
  if (outside) Py_RETURN_NONE;
  return result.release();
}

}  // namespace gf
