// Whole arrays put in order: one after the other, as views of given strides, without a triangle, counted.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "common.h"
#include "half.h"

namespace gf {
namespace {

View view_of(PyObject* object, const char* op) {
  if (!is_array(object)) raise(ErrorKind::Type, "%s: expected an array, got %s", op, Py_TYPE(object)->tp_name);
  View v;
  read_view(reinterpret_cast<PyArrayObject*>(object), op, &v);
  return v;
}

void require_count(Py_ssize_t count, int least, int most, const char* op) {
  if (count < least || count > most)
    raise(ErrorKind::Type, "%s: takes %d to %d arguments, got %d", op, least, most, int(count));
}

DType dtype_of(PyObject* object, const char* op) {
  const int64_t code = int_argument(object, op, "dtype");
  if (code < 0 || code >= kDTypes) raise(ErrorKind::DType, "%s: unknown dtype code %lld", op, (long long)code);
  return DType(code);
}

}  // namespace

// join(arrays, axis, dtype code, new_axis): one array of them all along the axis, which is a new one in front of the
// given axis for `new_axis`. None if their shapes do not allow it, or one is not NumPy's.
PyObject* join(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "join";
  require_count(count, 4, 4, op);
  if (!PyTuple_Check(args[0])) raise(ErrorKind::Type, "%s: takes a tuple of arrays", op);
  const Py_ssize_t n = PyTuple_GET_SIZE(args[0]);
  const int64_t axis = int_argument(args[1], op, "axis");
  const DType dtype = dtype_of(args[2], op);
  const bool fresh = int_argument(args[3], op, "new_axis") != 0;
  if (n == 0) Py_RETURN_NONE;
  npy_intp shape[kMaxDims + 1];
  int ndim = -1;
  int64_t along = 0;
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject* object = PyTuple_GET_ITEM(args[0], k);
    if (Py_TYPE(object) != &PyArray_Type) Py_RETURN_NONE;
    auto* a = reinterpret_cast<PyArrayObject*>(object);
    const npy_intp* size = PyArray_DIMS(a);
    if (k == 0) {
      ndim = PyArray_NDIM(a);
      if (ndim + fresh > kMaxDims || axis < 0 || axis >= ndim + fresh) Py_RETURN_NONE;
      std::copy(size, size + ndim, shape);
    } else if (PyArray_NDIM(a) != ndim) {
      Py_RETURN_NONE;
    }
    for (int d = 0; d < ndim; ++d)
      if (size[d] != shape[d] && (fresh || d != axis)) Py_RETURN_NONE;
    if (dtype_code(a) < 0 || PyArray_ISBYTESWAPPED(a)) Py_RETURN_NONE;
    along += fresh ? 1 : size[axis];
  }
  if (fresh) {
    std::copy_backward(shape + axis, shape + ndim, shape + ndim + 1);
    ++ndim;
  }
  shape[axis] = along;
  Ref result(new_array(ndim, shape, dtype));
  const View whole = view_of(result.get(), op);
  int64_t start = 0;
  for (Py_ssize_t k = 0; k < n; ++k) {
    View part = view_of(PyTuple_GET_ITEM(args[0], k), op), place = whole;
    if (fresh) {
      std::copy_backward(part.shape + axis, part.shape + part.ndim, part.shape + part.ndim + 1);
      std::copy_backward(part.strides + axis, part.strides + part.ndim, part.strides + part.ndim + 1);
      part.shape[axis] = 1;
      part.strides[axis] = 0;
      ++part.ndim;
    }
    place.data += start * whole.strides[axis];
    place.shape[axis] = part.shape[axis];
    start += part.shape[axis];
    if (part.size()) copy_view(part, place);
  }
  return result.release();
}

// strided(array, shape, strides, offset): a view of its memory, writeable where the array is; strides and offset count
// bytes from its first element, and stay within what the array itself, or the array it is a view of, has.
PyObject* strided(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "strided";
  require_count(count, 4, 4, op);
  const View x = view_of(args[0], op);
  if (!PyTuple_Check(args[1]) || !PyTuple_Check(args[2]) || PyTuple_GET_SIZE(args[1]) != PyTuple_GET_SIZE(args[2]))
    raise(ErrorKind::Argument, "%s: needs as many strides as sizes", op);
  const int64_t offset = int_argument(args[3], op, "offset");
  const Py_ssize_t ndim = PyTuple_GET_SIZE(args[1]);
  if (ndim > kMaxDims) raise(ErrorKind::Shape, "%s: %d dimensions; at most %d are supported", op, int(ndim), kMaxDims);
  npy_intp shape[kMaxDims], strides[kMaxDims];
  bool empty = false;
  __int128 low = 0, high = item_size(x.dtype);
  for (int d = 0; d < ndim; ++d) {
    shape[d] = int_argument(PyTuple_GET_ITEM(args[1], d), op, "a size");
    strides[d] = int_argument(PyTuple_GET_ITEM(args[2], d), op, "a stride");
    if (shape[d] < 0) raise(ErrorKind::Shape, "%s: a size is negative", op);
    empty |= shape[d] == 0;
    const __int128 far = __int128(shape[d] - 1) * strides[d];
    (far < 0 ? low : high) += far;
  }
  // the memory that there is: of the array at the bottom
  auto* owner = reinterpret_cast<PyArrayObject*>(args[0]);
  while (PyArray_BASE(owner) && PyArray_Check(PyArray_BASE(owner)))
    owner = reinterpret_cast<PyArrayObject*>(PyArray_BASE(owner));
  View all = view_of(reinterpret_cast<PyObject*>(owner), op);
  __int128 first = 0, last = item_size(all.dtype);
  for (int d = 0; d < all.ndim; ++d) {
    const __int128 far = __int128(all.shape[d] - 1) * all.strides[d];
    (far < 0 ? first : last) += all.shape[d] ? far : 0;
  }
  if (all.size() == 0) last = first;
  const __int128 at = (x.data - all.data) + __int128(offset);
  if (!empty && (at + low < first || at + high > last))
    raise(ErrorKind::Argument, "%s: the view would reach beyond the array's memory", op);
  PyArray_Descr* descr = PyArray_DESCR(reinterpret_cast<PyArrayObject*>(args[0]));
  Py_INCREF(descr);
  PyObject* view = PyArray_NewFromDescr(&PyArray_Type, descr, int(ndim), shape, strides, x.data + (empty ? 0 : offset),
                                        x.writeable ? NPY_ARRAY_WRITEABLE : 0, nullptr);
  if (!view) throw PythonError{};
  Py_INCREF(args[0]);
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(view), args[0]) < 0) {
    Py_DECREF(view);
    throw PythonError{};
  }
  return view;
}

// clear_triangle(out, diagonal, upper): zeros above the diagonal of that number (`upper`), or below it; returns out.
PyObject* clear_triangle(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "clear_triangle";
  require_count(count, 3, 3, op);
  const View out = view_of(args[0], op);
  auto* array = reinterpret_cast<PyArrayObject*>(args[0]);
  given_out_ok(args[0], PyArray_NDIM(array), PyArray_DIMS(array), op);
  const int64_t diagonal = int_argument(args[1], op, "diagonal");
  const bool upper = int_argument(args[2], op, "upper") != 0;
  if (out.ndim < 2) raise(ErrorKind::Shape, "%s: needs at least 2 dimensions", op);
  const int64_t m = out.shape[out.ndim - 2], n = out.shape[out.ndim - 1], item = item_size(out.dtype);
  const npy_intp row = out.strides[out.ndim - 2], column = out.strides[out.ndim - 1];
  if (diagonal < -m || diagonal > n)
    raise(ErrorKind::Argument, "%s: diagonal %lld of a matrix of %lld x %lld", op, (long long)diagonal, (long long)m,
          (long long)n);
  if (out.size() == 0) {
    Py_INCREF(args[0]);
    return args[0];
  }
  int64_t matrices = 1;
  for (int d = 0; d < out.ndim - 2; ++d) matrices *= out.shape[d];
  auto clear = [&](int64_t number) {  // one row of one matrix
    const int64_t i = number % m;
    int64_t rest = number / m;
    char* at = out.data + i * row;
    for (int d = out.ndim - 3; d >= 0; --d) {
      at += rest % out.shape[d] * out.strides[d];
      rest /= out.shape[d];
    }
    const int64_t from = upper ? std::clamp<int64_t>(i + diagonal + 1, 0, n) : 0;
    const int64_t to = upper ? n : std::clamp<int64_t>(i + diagonal, 0, n);
    if (column == item)
      memset(at + from * item, 0, size_t((to - from) * item));
    else
      for (int64_t j = from; j < to; ++j) memset(at + j * column, 0, size_t(item));
  };
  const int64_t rows = matrices * m, some = std::max<int64_t>(1, (1 << 15) / n);
  {
    NoGil no_gil(rows * n > 1 << 13);
    parallel_for((rows + some - 1) / some, [&](int64_t chunk) {
      for (int64_t r = chunk * some, end = std::min(rows, r + some); r < end; ++r) clear(r);
    });
  }
  Py_INCREF(args[0]);
  return args[0];
}

}  // namespace gf
