#include "inputs.h"

#include <numpy/arrayscalars.h>

#include <cstring>

namespace gf {

DType default_dtype = kFloat32;

namespace {

// torch.promote_types
DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);  // codes grow with the category, and with the size within one
  if (a == kBool) return b;
  if (is_floating(b)) {
    if (a == kFloat16 && b == kBFloat16) return kFloat32;
    return b;
  }
  if (a == kUInt8 && b == kInt8) return kInt16;
  return b;
}

// The higher class decides, unless the lower one is of a higher category.
int combine(int higher, int lower) {
  if (higher < 0) return lower;
  if (lower < 0) return higher;
  if (is_floating(DType(higher))) return higher;
  if (higher == kBool || is_floating(DType(lower))) return promote(DType(higher), DType(lower));
  return higher;
}

void store_scalar(const Scalar& s, DType reg, uint64_t* out) {
  *out = 0;
  switch (reg) {
    case kBool: {
      uint8_t x = s.is_int ? s.i != 0 : s.d != 0;
      memcpy(out, &x, 1);
      break;
    }
    case kInt32: {
      int32_t x = s.is_int ? int32_t(s.i) : prim::cast<int32_t>(s.d);
      memcpy(out, &x, 4);
      break;
    }
    case kInt64: {
      int64_t x = s.is_int ? s.i : prim::cast<int64_t>(s.d);
      memcpy(out, &x, 8);
      break;
    }
    case kFloat32: {
      float x = s.is_int ? float(s.i) : float(s.d);
      memcpy(out, &x, 4);
      break;
    }
    default: {
      double x = s.is_int ? double(s.i) : s.d;
      memcpy(out, &x, 8);
    }
  }
}

[[noreturn]] void refuse_shapes(ProgramObject* program, const Inputs& in) {
  std::string name = program_name(program), shapes;
  for (int k = 0; k < in.n; ++k) {
    if (in.is_scalar[k]) continue;
    if (!shapes.empty()) shapes += ", ";
    shapes += shape_text(in.views[k].ndim, in.views[k].shape);
  }
  raise(ErrorKind::Shape, "%s: shapes do not broadcast; they are %s; sizes must be equal or 1, counted from the last",
        name.c_str(), shapes.c_str());
}

void broadcast_shapes(ProgramObject* program, Inputs* in) {
  in->ndim = 0;
  for (int k = 0; k < in->n; ++k)
    if (!in->is_scalar[k] && in->views[k].ndim > in->ndim) in->ndim = in->views[k].ndim;
  for (int d = 0; d < in->ndim; ++d) in->shape[d] = 1;
  for (int k = 0; k < in->n; ++k) {
    if (in->is_scalar[k]) continue;
    const View& v = in->views[k];
    npy_intp* shape = in->shape + (in->ndim - v.ndim);
    for (int d = 0; d < v.ndim; ++d) {
      if (v.shape[d] == shape[d]) continue;
      if (shape[d] != 1 && v.shape[d] != 1) refuse_shapes(program, *in);
      if (shape[d] == 1) shape[d] = v.shape[d];
    }
  }
  int64_t size = 1;
  for (int d = 0; d < in->ndim; ++d)
    if (in->shape[d] == 0) return;
  for (int d = 0; d < in->ndim; ++d)
    if (__builtin_mul_overflow(size, int64_t(in->shape[d]), &size) || size > (int64_t(1) << 60)) {
      std::string name = program_name(program), text = shape_text(in->ndim, in->shape);
      raise(ErrorKind::Memory, "%s: the broadcast shape %s has too many elements", name.c_str(), text.c_str());
    }
}

bool contiguous(const View& v) {
  npy_intp expected = item_size(v.dtype);
  for (int d = v.ndim - 1; d >= 0; --d) {
    if (v.shape[d] != 1 && v.strides[d] != expected) return false;
    expected *= v.shape[d];
  }
  return true;
}

}  // namespace

void Promotion::merge(int& into, DType dtype) { into = into < 0 ? int(dtype) : int(promote(DType(into), dtype)); }

DType Promotion::result() const {
  int result = combine(dims_, combine(zero_, python_));
  return result < 0 ? default_dtype : DType(result);
}

bool read_scalar(PyObject* object, Scalar* s, ProgramObject* program) {
  if (PyFloat_CheckExact(object)) {
    *s = {default_dtype, false, 0, PyFloat_AS_DOUBLE(object)};
    return true;
  }
  if (PyBool_Check(object)) {
    *s = {kBool, true, object == Py_True, 0};
    return true;
  }
  if (PyLong_Check(object)) {
    int overflow;
    int64_t value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow) {
      std::string name = program ? program_name(program) : "number";
      raise(ErrorKind::Number, "%s: a Python integer does not fit int64; pass a float", name.c_str());
    }
    *s = {kInt64, true, value, 0};
    return true;
  }
  if (PyFloat_Check(object)) {  // also np.float64
    *s = {default_dtype, false, 0, PyFloat_AS_DOUBLE(object)};
    return true;
  }
  if (PyArray_IsScalar(object, Bool)) {
    *s = {kBool, true, PyArrayScalar_VAL(object, Bool) != 0, 0};
    return true;
  }
  if (PyArray_IsScalar(object, Integer)) {
    *s = {kInt64, true, int_argument(object, "number", "a scalar"), 0};
    return true;
  }
  if (PyArray_IsScalar(object, Generic)) {  // float16, bfloat16, ...
    double value = PyFloat_AsDouble(object);
    if (value == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    *s = {default_dtype, false, 0, value};
    return true;
  }
  return false;
}

bool read_inputs(ProgramObject* program, PyObject* args, Inputs* in) {
  if (!scan_inputs(program, args, in)) return false;
  view_inputs(program, in);
  return true;
}

bool scan_inputs(ProgramObject* program, PyObject* args, Inputs* in) {
  if (!PyTuple_Check(args)) raise(ErrorKind::Type, "elementwise: inputs must be a tuple");
  const int n = in->n = int(PyTuple_GET_SIZE(args));
  if (n != program->n_inputs) {
    std::string name = program_name(program);
    raise(ErrorKind::Type, "%s: takes %d inputs, got %d", name.c_str(), program->n_inputs, n);
  }
  Promotion promotion;
  DType dtypes[kMaxInputs] = {};
  bool flat = true;  // and of the first array's shape
  in->first = nullptr;
  for (int k = 0; k < n; ++k) {
    PyObject* object = PyTuple_GET_ITEM(args, k);
    bool raw = (program->raw_mask >> k) & 1;
    in->is_scalar[k] = !is_array(object);
    if (in->is_scalar[k]) {
      if (!read_scalar(object, &in->scalars[k], program)) return false;
      dtypes[k] = in->scalars[k].dtype;
      if (!raw) promotion.scalar(dtypes[k]);
      continue;
    }
    auto* array = in->arrays[k] = reinterpret_cast<PyArrayObject*>(object);
    int code = dtype_code(array);
    if (code < 0 || PyArray_ISBYTESWAPPED(array)) {
      std::string name = program_name(program);
      read_view(array, name.c_str(), &in->views[k]);  // refuses it
    }
    dtypes[k] = DType(code);
    const int ndim = PyArray_NDIM(array);
    if (!raw) promotion.array(dtypes[k], ndim);
    flat &= PyArray_CHKFLAGS(array, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED);
    if (!in->first) {
      in->first = array;
    } else {
      flat &= PyArray_NDIM(in->first) == ndim;
      const npy_intp *shape = PyArray_DIMS(array), *expected = PyArray_DIMS(in->first);
      for (int d = 0; flat && d < ndim; ++d) flat = shape[d] == expected[d];
    }
  }
  in->typed = typed_for(program, dtypes, promotion.result());
  in->flat_size = flat ? (in->first ? PyArray_SIZE(in->first) : 1) : -1;
  for (int k = 0; k < n; ++k)
    if (in->is_scalar[k]) store_scalar(in->scalars[k], in->typed->input_reg[k], &in->values[k]);
  return true;
}

void view_inputs(ProgramObject* program, Inputs* in) {
  for (int k = 0; k < in->n; ++k) {
    View& v = in->views[k];
    if (!in->is_scalar[k]) {
      read_view(in->arrays[k], "elementwise", &v);
      continue;
    }
    v.data = reinterpret_cast<char*>(&in->values[k]);
    v.dtype = in->typed->input_reg[k];
    v.ndim = 0;
    v.aligned = true;
  }
  in->all_flat = in->flat_size >= 0;
  if (in->all_flat) {
    in->ndim = in->first ? PyArray_NDIM(in->first) : 0;
    for (int d = 0; d < in->ndim; ++d) in->shape[d] = PyArray_DIM(in->first, d);
    return;
  }
  broadcast_shapes(program, in);
  in->all_flat = true;
  for (int k = 0; k < in->n && in->all_flat; ++k) {
    const View& v = in->views[k];
    if (in->is_scalar[k] || v.size() == 1) continue;
    bool full = v.ndim == in->ndim;
    for (int d = 0; full && d < v.ndim; ++d) full = v.shape[d] == in->shape[d];
    in->all_flat = full && v.aligned && contiguous(v);
  }
}

void broadcast_strides(const View& view, int ndim, const npy_intp* shape, npy_intp* strides) {
  int missing = ndim - view.ndim;
  for (int d = 0; d < ndim; ++d) {
    bool repeats = d < missing || (view.shape[d - missing] == 1 && shape[d] != 1);
    strides[d] = repeats ? 0 : view.strides[d - missing];
  }
}

}  // namespace gf
