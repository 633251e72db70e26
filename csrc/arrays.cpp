// ndarrays in and out: validated views, results in pool memory.
#include "common.h"
#include "pool.h"

#include <cstring>

namespace gf {

int bfloat16_typenum = -1;

namespace {

PyObject* descrs[kDTypes];  // numpy's descriptors, owned for ever
PyObject* handler_capsule;  // frees pool memory when an array dies

signed char code_of_typenum[NPY_HALF + 1];

// ---- NumPy's memory handler: an array with OWNDATA and this handler gives its data back to the pool -----------

void* handler_malloc(void*, size_t size) { return pool_allocate(size); }

void* handler_calloc(void*, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  void* data = pool_allocate(bytes);
  if (data) memset(data, 0, bytes);
  return data;
}

void* handler_realloc(void*, void* old, size_t size) {
  if (!old) return pool_allocate(size);
  size_t capacity = pool_capacity(old);
  if (size <= capacity && size > capacity / 2) return old;
  void* data = pool_allocate(size);
  if (!data) return nullptr;
  memcpy(data, old, size < capacity ? size : capacity);
  pool_free(old);
  return data;
}

void handler_free(void*, void* data, size_t) {
  if (data) pool_free(data);
}

PyDataMem_Handler handler = {
    "gradflow_pool", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};

}  // namespace

void init_arrays() {
  memset(code_of_typenum, -1, sizeof code_of_typenum);
  auto set = [](int typenum, DType dtype) {
    code_of_typenum[typenum] = static_cast<signed char>(dtype);
    if (!descrs[dtype]) descrs[dtype] = reinterpret_cast<PyObject*>(PyArray_DescrFromType(typenum));
  };
  set(NPY_BOOL, kBool);
  set(NPY_UINT8, kUInt8);
  set(NPY_INT8, kInt8);
  set(NPY_INT16, kInt16);
  set(NPY_INT32, kInt32);
  set(NPY_INT64, kInt64);
  set(NPY_FLOAT16, kFloat16);
  set(NPY_FLOAT32, kFloat32);
  set(NPY_FLOAT64, kFloat64);
  // C has two names for some sizes
  if (sizeof(long) == 4) set(NPY_LONG, kInt32);
  if (sizeof(long long) == 8) set(NPY_LONGLONG, kInt64);
  handler_capsule = PyCapsule_New(&handler, "mem_handler", nullptr);
  if (!handler_capsule) throw PythonError{};
}

void register_bfloat16(PyObject* descr) {
  if (!PyArray_DescrCheck(descr) || PyDataType_ELSIZE(reinterpret_cast<PyArray_Descr*>(descr)) != 2)
    raise(ErrorKind::Type, "register_bfloat16: expected a two-byte numpy dtype");
  bfloat16_typenum = reinterpret_cast<PyArray_Descr*>(descr)->type_num;
  Py_INCREF(descr);
  Py_XDECREF(descrs[kBFloat16]);
  descrs[kBFloat16] = descr;
}

PyObject* descr_of(DType dtype) {
  if (!descrs[dtype]) raise(ErrorKind::DType, "bfloat16: no numpy dtype is registered for it");
  return descrs[dtype];
}

int dtype_code(PyArrayObject* array) {
  int typenum = PyArray_TYPE(array);
  if (typenum >= 0 && typenum <= NPY_HALF) return code_of_typenum[typenum];
  return typenum == bfloat16_typenum && typenum >= 0 ? int(kBFloat16) : -1;
}

void refuse_dtype(PyArrayObject* array, const char* op) {
  Ref text(PyObject_Str(reinterpret_cast<PyObject*>(PyArray_DESCR(array))));
  const char* name = text ? PyUnicode_AsUTF8(text.get()) : nullptr;
  PyErr_Clear();
  raise(ErrorKind::DType,
        "%s: arrays of dtype %s are not supported; convert to one of bool, uint8, int8, int16, "
        "int32, int64, float16, bfloat16, float32, float64 in native byte order",
        op, name ? name : "?");
}

void read_view(PyArrayObject* array, const char* op, View* view) {
  int code = dtype_code(array);
  if (code < 0 || PyArray_ISBYTESWAPPED(array)) refuse_dtype(array, op);
  int ndim = PyArray_NDIM(array);
  if (ndim > kMaxDims)
    raise(ErrorKind::Shape, "%s: an array has %d dimensions; at most %d are supported", op, ndim, kMaxDims);
  view->data = PyArray_BYTES(array);
  view->dtype = DType(code);
  view->ndim = ndim;
  view->aligned = PyArray_ISALIGNED(array);
  view->writeable = PyArray_ISWRITEABLE(array);
  const npy_intp *shape = PyArray_DIMS(array), *strides = PyArray_STRIDES(array);
  for (int d = 0; d < ndim; ++d) {
    view->shape[d] = shape[d];
    view->strides[d] = strides[d];
  }
}

PyObject* new_array(int ndim, const npy_intp* shape, const npy_intp* strides, DType dtype) {
  size_t bytes = size_t(item_size(dtype));
  bool empty = false, overflow = false;
  for (int d = 0; d < ndim; ++d) {
    empty |= shape[d] == 0;
    overflow |= __builtin_mul_overflow(bytes, size_t(shape[d]), &bytes);
  }
  if (empty) bytes = 0;
  void* data = overflow && !empty ? nullptr : pool_allocate(bytes);
  if (!data) {
    std::string text = shape_text(ndim, shape);
    raise(ErrorKind::Memory, "empty: not enough memory for an array of shape %s and dtype %s", text.c_str(),
          kDTypeNames[dtype]);
  }
  PyObject* descr = descrs[dtype];
  if (!descr) {
    pool_free(data);
    descr_of(dtype);
  }
  Py_INCREF(descr);
  PyObject* array = PyArray_NewFromDescr(&PyArray_Type, reinterpret_cast<PyArray_Descr*>(descr), ndim, shape, strides,
                                         data, NPY_ARRAY_CARRAY, nullptr);
  if (!array) {
    pool_free(data);
    throw PythonError{};
  }
  // From here on the array owns its data as if NumPy had allocated it with our handler: `base` stays None.
  PyArray_ENABLEFLAGS(reinterpret_cast<PyArrayObject*>(array), NPY_ARRAY_OWNDATA);
  Py_INCREF(handler_capsule);
  reinterpret_cast<PyArrayObject_fields*>(array)->mem_handler = handler_capsule;
  return array;
}

PyObject* new_array(int ndim, const npy_intp* shape, DType dtype) { return new_array(ndim, shape, nullptr, dtype); }

bool given_out_ok(PyObject* out, int ndim, const npy_intp* shape, const char* op) {
  if (!out || out == Py_None) return false;
  if (!PyArray_Check(out)) raise(ErrorKind::Type, "%s: out must be an array, got %s", op, Py_TYPE(out)->tp_name);
  auto* array = reinterpret_cast<PyArrayObject*>(out);
  if (dtype_code(array) < 0 || PyArray_ISBYTESWAPPED(array)) refuse_dtype(array, op);
  bool same = PyArray_NDIM(array) == ndim;
  for (int d = 0; same && d < ndim; ++d) same = PyArray_DIM(array, d) == shape[d];
  if (!same) {
    std::string have = shape_text(PyArray_NDIM(array), PyArray_DIMS(array)), need = shape_text(ndim, shape);
    raise(ErrorKind::Shape,
          "%s: out has the wrong shape; out is %s, the result is %s; pass an out of the result's shape", op,
          have.c_str(), need.c_str());
  }
  if (!PyArray_ISWRITEABLE(array)) raise(ErrorKind::Argument, "%s: out is read-only; copy it first", op);
  for (int d = 0; d < ndim; ++d)
    if (PyArray_STRIDE(array, d) == 0 && shape[d] > 1 && PyArray_SIZE(array) > 0)
      raise(ErrorKind::Argument,
            "%s: several elements of out share one place in memory (an expanded array); copy it first", op);
  return true;
}

// ---- overlap -----------------------------------------------------------------------------------------------------

namespace {

// The bytes between the lowest and one past the highest address of a view; false when it is empty.
bool extent(const View& v, const char** low, const char** high) {
  *low = v.data;
  *high = v.data + item_size(v.dtype);
  for (int d = 0; d < v.ndim; ++d) {
    if (v.shape[d] == 0) return false;
    npy_intp reach = (v.shape[d] - 1) * v.strides[d];
    *(reach < 0 ? low : high) += reach;
  }
  return true;
}

}  // namespace

Overlap overlap(const View& a, const View& b) {
  const char *a_low, *a_high, *b_low, *b_high;
  if (!extent(a, &a_low, &a_high) || !extent(b, &b_low, &b_high)) return Overlap::None;
  if (a_high <= b_low || b_high <= a_low) return Overlap::None;
  bool same = a.data == b.data && a.dtype == b.dtype && a.ndim == b.ndim;
  for (int d = 0; same && d < a.ndim; ++d)
    same = a.shape[d] == b.shape[d] && (a.strides[d] == b.strides[d] || a.shape[d] == 1);
  return same ? Overlap::Exact : Overlap::Partial;
}

int64_t int_argument(PyObject* object, const char* op, const char* what) {
  int overflow = 0;
  long long value = PyLong_Check(object) ? PyLong_AsLongLongAndOverflow(object, &overflow) : 0;
  if (!PyLong_Check(object)) {
    Ref index(PyNumber_Index(object));
    if (!index) {
      PyErr_Clear();
      raise(ErrorKind::Type, "%s: %s must be an integer, got %s", op, what, Py_TYPE(object)->tp_name);
    }
    value = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  }
  if (overflow) raise(ErrorKind::Number, "%s: %s does not fit 64 bits", op, what);
  return value;
}

}  // namespace gf
