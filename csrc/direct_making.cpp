// New tensors on the CPU. tools: the class of element types, the cell that says where new tensors are made, the CPU.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "direct.h"

namespace gf {

PyObject* copy(PyObject*, PyObject* const*, Py_ssize_t);
extern DType default_dtype;
extern bool batching;

namespace {

constexpr int64_t kMost = int64_t(1) << 16;  // elements; more are worth the kernels' threads

// The options dtype, device and requires_grad, from place `at` on. False for what is not usual: another device, a leaf.
bool options(const Call& c, int at, DType otherwise, DType* dtype) {
  PyObject *type = c.arg[at], *device = c.arg[at + 1], *grad = c.arg[at + 2];
  if (batching || (grad && grad != Py_False)) return false;
  *dtype = otherwise;
  if (type && type != Py_None) {
    if (Py_TYPE(type) != reinterpret_cast<PyTypeObject*>(c.tool(0))) return false;
    static PyObject* name = PyUnicode_InternFromString("code");
    Ref code(checked(PyObject_GetAttr(type, name)));
    *dtype = DType(PyLong_AsLong(code.get()));
  }
  if (device && device != Py_None)
    return device == c.tool(2) ||
           (PyUnicode_CheckExact(device) && PyUnicode_CompareWithASCIIString(device, "cpu") == 0);
  static PyObject* name = PyUnicode_InternFromString("device");
  Ref where(checked(PyObject_GetAttr(c.tool(1), name)));
  return where.get() == Py_None;
}

bool small(int ndim, const npy_intp* shape) {
  int64_t n = 1;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] < 0 || shape[d] > INT32_MAX || __builtin_mul_overflow(n, int64_t(shape[d]), &n)) return false;
    if (n > int64_t(1) << 40) return false;
  }
  return true;
}

PyArrayObject* as_array(const Ref& array) { return reinterpret_cast<PyArrayObject*>(array.get()); }

PyObject* tensor_of(const Ref& array) { return new_tensor(array.get(), Py_None, Py_None); }

// A tensor all of whose elements are `value`; null if the type cannot hold it as it is. Without a value: whatever the
// memory held.
PyObject* filled(int ndim, const npy_intp* shape, DType dtype, PyObject* value) {
  if (!small(ndim, shape)) return nullptr;
  Ref array(new_array(ndim, shape, dtype));
  if (value) {
    if (!holds(as_array(array), value)) return nullptr;
    PyObject* call[] = {value, array.get()};
    Ref done(copy(nullptr, call, 2));
  }
  return tensor_of(array);
}

PyObject* zeroed(int ndim, const npy_intp* shape, DType dtype) {
  if (!small(ndim, shape)) return nullptr;
  Ref array(new_array(ndim, shape, dtype));
  memset(PyArray_DATA(as_array(array)), 0, size_t(PyArray_NBYTES(as_array(array))));
  return tensor_of(array);
}

enum class Value { None, Zero, One };

PyObject* valued(int ndim, const npy_intp* shape, DType dtype, Value value) {
  static PyObject *one = PyLong_FromLong(1), *real = PyFloat_FromDouble(1), *yes = Py_True;
  if (value == Value::Zero) return zeroed(ndim, shape, dtype);
  if (value == Value::None) return filled(ndim, shape, dtype, nullptr);
  return filled(ndim, shape, dtype, dtype == kBool ? yes : is_floating(dtype) ? real : one);
}

// empty(*size), zeros(*size), ones(*size); and the methods new_empty, ... of a tensor, whose type is the usual one.
template <Value value>
PyObject* sized(const Call& c) {
  npy_intp shape[kMaxDims];
  DType dtype;
  const int ndim = plain_ints(c.rest, c.rest_count, shape);
  return ndim >= 0 && options(c, 0, default_dtype, &dtype) ? valued(ndim, shape, dtype, value) : nullptr;
}

// A tensor's array, if it is a plain one in C order.
PyArrayObject* plain_array(PyObject* object) {
  if (!object || Py_TYPE(object) != tensor_class) return nullptr;
  PyObject* array = reinterpret_cast<Tensor*>(object)->array;
  if (!array || !PyArray_CheckExact(array)) return nullptr;
  auto* a = reinterpret_cast<PyArrayObject*>(array);
  return PyArray_IS_C_CONTIGUOUS(a) && PyArray_NDIM(a) <= kMaxDims && dtype_code(a) >= 0 ? a : nullptr;
}

template <Value value>
PyObject* new_sized(const Call& c) {
  npy_intp shape[kMaxDims];
  DType dtype;
  PyArrayObject* like = plain_array(c.arg[0]);
  const int ndim = plain_ints(c.rest, c.rest_count, shape);
  return like && ndim >= 0 && options(c, 1, DType(dtype_code(like)), &dtype) ? valued(ndim, shape, dtype, value)
                                                                             : nullptr;
}

template <Value value>
PyObject* like(const Call& c) {
  DType dtype;
  PyArrayObject* a = plain_array(c.arg[0]);
  if (!a || !options(c, 1, DType(dtype_code(a)), &dtype)) return nullptr;
  return valued(PyArray_NDIM(a), PyArray_DIMS(a), dtype, value);
}

PyObject* full_like(const Call& c) {
  DType dtype;
  PyArrayObject* a = plain_array(c.arg[0]);
  if (!a || !c.arg[1] || !options(c, 2, DType(dtype_code(a)), &dtype)) return nullptr;
  return filled(PyArray_NDIM(a), PyArray_DIMS(a), dtype, c.arg[1]);
}

PyObject* full(const Call& c) {
  npy_intp shape[kMaxDims];
  DType dtype;
  PyObject* value = c.arg[1];
  const int ndim = plain_ints(c.arg[0], shape);
  if (ndim < 0 || !value) return nullptr;
  const DType usual = PyBool_Check(value) ? kBool : PyLong_CheckExact(value) ? kInt64 : default_dtype;
  return options(c, 2, usual, &dtype) ? filled(ndim, shape, dtype, value) : nullptr;
}

PyObject* new_full(const Call& c) {
  npy_intp shape[kMaxDims];
  DType dtype;
  PyArrayObject* a = plain_array(c.arg[0]);
  const int ndim = a && c.rest_count == 2 ? plain_ints(c.rest[0], shape) : -1;
  return ndim >= 0 && options(c, 1, DType(dtype_code(a)), &dtype) ? filled(ndim, shape, dtype, c.rest[1]) : nullptr;
}

PyObject* scalar_tensor(const Call& c) {
  DType dtype;
  return c.arg[0] && options(c, 1, default_dtype, &dtype) ? filled(0, nullptr, dtype, c.arg[0]) : nullptr;
}

// ---- counted ----

bool number(PyObject* object, double* value, bool* whole) {
  int64_t i = 0;
  *whole = plain_int(object, &i);
  if (*whole) *value = double(i);
  if (!*whole && (!object || !PyFloat_CheckExact(object))) return false;
  if (!*whole) *value = PyFloat_AS_DOUBLE(object);
  return std::fabs(*value) < double(int64_t(1) << 53);  // also: no nan, no inf
}

// values(i) for i = 0 ... n - 1; null for a type that is left to the kernels
template <class F>
PyObject* counted(npy_intp n, DType dtype, const F& values) {
  if (n < 0 || n > kMost || (dtype != kFloat32 && dtype != kFloat64 && dtype != kInt64)) return nullptr;
  Ref array(new_array(1, &n, dtype));
  void* data = PyArray_DATA(as_array(array));
  for (npy_intp i = 0; i < n; ++i) {
    const double value = values(double(i));
    if (dtype == kFloat32)
      static_cast<float*>(data)[i] = float(value);
    else if (dtype == kFloat64)
      static_cast<double*>(data)[i] = value;
    else
      static_cast<int64_t*>(data)[i] = int64_t(value);
  }
  return tensor_of(array);
}

PyObject* arange(const Call& c) {
  PyObject* given[] = {nullptr, nullptr, nullptr};
  if (c.rest_count < 1 || c.rest_count > 3 || c.arg[0] || c.arg[1] || c.arg[2]) return nullptr;
  for (Py_ssize_t i = 0; i < c.rest_count; ++i) given[c.rest_count == 1 ? 1 : i] = c.rest[i];
  double first = 0, last, step = 1;
  bool whole = true, all = true;
  if (given[0] && !number(given[0], &first, &whole)) return nullptr;
  all &= whole;
  if (!number(given[1], &last, &whole)) return nullptr;
  all &= whole;
  whole = true;
  if (given[2] && !number(given[2], &step, &whole)) return nullptr;
  all &= whole;
  DType dtype;
  if (!options(c, 3, all ? kInt64 : default_dtype, &dtype) || step == 0 || (last - first) * step < 0) return nullptr;
  if (!all && !is_floating(dtype)) return nullptr;
  const double n = std::ceil((last - first) / step);
  return n <= double(kMost) ? counted(npy_intp(n), dtype, [=](double i) { return first + step * i; }) : nullptr;
}

PyObject* linspace(const Call& c) {
  double first, last;
  bool whole;
  int64_t n;
  DType dtype;
  if (!number(c.arg[0], &first, &whole) || !number(c.arg[1], &last, &whole) || !plain_int(c.arg[2], &n) || n < 0 ||
      !options(c, 3, default_dtype, &dtype) || !is_floating(dtype))
    return nullptr;
  const double step = n > 1 ? (last - first) / double(n - 1) : 0;
  return counted(npy_intp(n), dtype, [=](double i) {  // from both ends
    return 2 * i < double(n) ? first + step * i : last - step * (double(n) - 1 - i);
  });
}

// ---- matrices ----

PyObject* eye(const Call& c) {
  int64_t rows, columns;
  DType dtype;
  if (!plain_int(c.arg[0], &rows)) return nullptr;
  columns = rows;
  if (c.arg[1] && c.arg[1] != Py_None && !plain_int(c.arg[1], &columns)) return nullptr;
  const npy_intp shape[] = {npy_intp(rows), npy_intp(columns)};
  if (!options(c, 2, default_dtype, &dtype) || (dtype != kFloat32 && dtype != kFloat64)) return nullptr;
  Ref result(zeroed(2, shape, dtype));
  if (!result) return nullptr;
  auto* array = reinterpret_cast<PyArrayObject*>(reinterpret_cast<Tensor*>(result.get())->array);
  for (npy_intp i = 0; i < std::min(shape[0], shape[1]); ++i) {
    if (dtype == kFloat32)
      static_cast<float*>(PyArray_DATA(array))[i * (columns + 1)] = 1;
    else
      static_cast<double*>(PyArray_DATA(array))[i * (columns + 1)] = 1;
  }
  return result.release();
}

// (2, n): the places on one side of a diagonal
template <bool below>
PyObject* triangle(const Call& c) {
  int64_t rows, columns, offset = 0;
  DType dtype;
  if (!plain_int(c.arg[0], &rows) || !plain_int(c.arg[1], &columns) || (c.arg[2] && !plain_int(c.arg[2], &offset)) ||
      rows < 0 || columns < 0 || rows > kMost || columns > kMost || offset < -kMost || offset > kMost ||
      !options(c, 3, kInt64, &dtype) || dtype != kInt64)
    return nullptr;
  auto first = [&](int64_t i) { return below ? 0 : std::clamp(i + offset, int64_t(0), columns); };
  auto last = [&](int64_t i) { return below ? std::clamp(i + offset + 1, int64_t(0), columns) : columns; };
  npy_intp shape[] = {2, 0};
  for (int64_t i = 0; i < rows; ++i) shape[1] += last(i) - first(i);
  Ref array(new_array(2, shape, kInt64));
  auto *row = static_cast<int64_t*>(PyArray_DATA(as_array(array))), *column = row + shape[1];
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = first(i); j < last(i); ++j) {
      *row++ = i;
      *column++ = j;
    }
  return tensor_of(array);
}

PyObject* empty_strided(const Call& c) {
  npy_intp shape[kMaxDims], strides[kMaxDims];
  DType dtype;
  const int ndim = plain_ints(c.arg[0], shape);
  if (ndim < 0 || ndim != plain_ints(c.arg[1], strides) || !small(ndim, shape) || !options(c, 2, default_dtype, &dtype))
    return nullptr;
  npy_intp room = 1;
  for (int d = ndim - 1; d >= 0; --d) {
    int64_t far;
    if (shape[d] <= 0 || strides[d] < 0 || __builtin_mul_overflow(int64_t(shape[d] - 1), int64_t(strides[d]), &far) ||
        far > int64_t(1) << 40)
      return nullptr;
    room += far;
  }
  Ref array(new_array(1, &room, dtype));
  for (int d = 0; d < ndim; ++d) strides[d] *= item_size(dtype);
  PyObject* descr = descr_of(dtype);
  Py_INCREF(descr);
  Ref view(checked(PyArray_NewFromDescr(&PyArray_Type, reinterpret_cast<PyArray_Descr*>(descr), ndim, shape, strides,
                                        PyArray_DATA(as_array(array)), NPY_ARRAY_WRITEABLE, nullptr)));
  if (PyArray_SetBaseObject(as_array(view), array.release()) < 0) throw PythonError{};
  return tensor_of(view);
}

}  // namespace

const DirectKind kDirectMaking[] = {
    {"empty", sized<Value::None>},
    {"zeros", sized<Value::Zero>},
    {"ones", sized<Value::One>},
    {"new_empty", new_sized<Value::None>},
    {"new_zeros", new_sized<Value::Zero>},
    {"new_ones", new_sized<Value::One>},
    {"empty_like", like<Value::None>},
    {"zeros_like", like<Value::Zero>},
    {"ones_like", like<Value::One>},
    {"full", full},
    {"full_like", full_like},
    {"new_full", new_full},
    {"scalar_tensor", scalar_tensor},
    {"arange", arange},
    {"linspace", linspace},
    {"eye", eye},
    {"tril_indices", triangle<true>},
    {"triu_indices", triangle<false>},
    {"empty_strided", empty_strided},
    {nullptr, nullptr},
};

}  // namespace gf
