// What the views of direct_axes.cpp and direct_parts.cpp are made of. A kind's `tools` are the linear maps' plans;
// `params` are what their adjoints are called with, as ops/view_maps.py has them.
#pragma once

#include <algorithm>

#include "direct.h"

namespace gf {

// Holds what it was given, but not in copies, which live within its life.
struct Hold {
  PyObject* object = nullptr;
  Hold() = default;
  Hold(const Hold&) {}
  Hold& operator=(const Hold&) = delete;
  ~Hold() { Py_XDECREF(object); }
};

// What a view has; it starts as what the source has.
struct Source {
  Hold kept;  // the array: what is made on the way may run a collector, and that give the tensor another one
  PyObject* tensor = nullptr;
  PyArrayObject* array = nullptr;
  int ndim = 0;
  npy_intp item = 0;
  bool writeable = false;
  char* data = nullptr;
  npy_intp shape[kMaxDims], strides[kMaxDims];

  bool read(PyObject* object) {
    if (!object || !is_tensor(object)) return false;
    PyObject* a = reinterpret_cast<Tensor*>(object)->array;
    if (!a || !PyArray_CheckExact(a) || !reinterpret_cast<Tensor*>(object)->node ||
        !reinterpret_cast<Tensor*>(object)->version)
      return false;
    tensor = object;
    Py_INCREF(kept.object = a);
    array = reinterpret_cast<PyArrayObject*>(a);
    ndim = PyArray_NDIM(array);
    if (ndim >= kMaxDims) return false;
    item = PyArray_ITEMSIZE(array);
    writeable = PyArray_ISWRITEABLE(array);
    data = PyArray_BYTES(array);
    std::copy_n(PyArray_DIMS(array), ndim, shape);
    std::copy_n(PyArray_STRIDES(array), ndim, strides);
    return true;
  }

  npy_intp size() const { return PyArray_SIZE(array); }

  void insert(int axis, npy_intp n, npy_intp stride) {
    std::copy_backward(shape + axis, shape + ndim, shape + ndim + 1);
    std::copy_backward(strides + axis, strides + ndim, strides + ndim + 1);
    shape[axis] = n;
    strides[axis] = stride;
    ++ndim;
  }

  void erase(int axis) {
    std::copy(shape + axis + 1, shape + ndim, shape + axis);
    std::copy(strides + axis + 1, strides + ndim, strides + axis);
    --ndim;
  }

  Ref view() const {
    PyArray_Descr* descr = PyArray_DESCR(array);
    Py_INCREF(descr);
    Ref result(checked(PyArray_NewFromDescr(&PyArray_Type, descr, ndim, const_cast<npy_intp*>(shape),
                                            const_cast<npy_intp*>(strides), data, writeable ? NPY_ARRAY_WRITEABLE : 0,
                                            nullptr)));
    Py_INCREF(array);
    if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(result.get()), reinterpret_cast<PyObject*>(array)) < 0)
      throw PythonError{};
    return result;
  }

  // Are there as many bytes, not counting axes of size 0, as NumPy can count?
  bool countable() const {
    int64_t bytes = item;
    for (int d = 0; d < ndim; ++d)
      if (__builtin_mul_overflow(bytes, std::max<int64_t>(shape[d], 1), &bytes)) return false;
    return true;
  }

  PyObject* tensor_by(PyObject* plan, const Ref& params) const {
    if (!countable()) return nullptr;
    Ref result(view());
    return link(plan, tensor, result.get(), params.get(), true);
  }
};

inline Ref no_params() { return Ref(checked(PyTuple_New(0))); }
inline Ref int_params(int count, const npy_intp* values) { return Ref(int_tuple(count, values)); }
inline Ref tuple_param(int count, const npy_intp* values) {
  Ref inner(int_tuple(count, values));
  return Ref(checked(PyTuple_Pack(1, inner.get())));
}

}  // namespace gf
