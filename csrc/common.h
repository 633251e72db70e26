// The vocabulary that every file of the CPU backend shares: dtypes, views of ndarrays, errors, threads.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL gradflow_array_api
#ifndef GF_IMPORT_ARRAY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "dtype.h"

namespace gf {

constexpr int kMaxDims = 32;

// ---- errors ----------------------------------------------------------------------------------
// C++ code throws; `guarded` (below) turns the exception into a Python one at the binding.

enum class ErrorKind { Shape, DType, Axis, Index, Argument, Number, ZeroDivision, Type, Memory };

struct Error {
  ErrorKind kind;
  std::string message;
};

struct PythonError {};  // a Python exception is already set

[[noreturn]] void raise(ErrorKind kind, const char* format, ...) __attribute__((format(printf, 2, 3)));

void set_python_error(const Error& error);  // the class comes from gradflow.errors, looked up once

std::string shape_text(int ndim, const npy_intp* shape);  // "(3, 4)"

// ---- bindings --------------------------------------------------------------------------------
// A .cpp file exposes functions of the type FastCall; module.cpp lists them as
// {"dot", guarded<dot>, METH_FASTCALL}. Reference counts: arguments are borrowed, the result is new.

using FastCall = PyObject* (*)(PyObject* module, PyObject* const* args, Py_ssize_t count);

PyObject* report_current_exception();  // for `guarded`: call inside a catch block

template <FastCall F>
PyObject* guarded(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  try {
    return F(module, args, count);
  } catch (...) {
    return report_current_exception();
  }
}

// What is not an ndarray (cupy arrays, for one) goes to the Python function registered under `name`.
PyObject* call_fallback(const char* name, PyObject* const* args, Py_ssize_t count);

// Owns one reference; released on every way out.
class Ref {
 public:
  explicit Ref(PyObject* object = nullptr) : object_(object) {}
  static Ref to(PyObject* borrowed) {
    Py_XINCREF(borrowed);
    return Ref(borrowed);
  }
  Ref(Ref&& other) noexcept : object_(other.release()) {}
  Ref& operator=(Ref&& other) noexcept {
    Py_XDECREF(object_);
    object_ = other.release();
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }
  PyObject* get() const { return object_; }
  PyObject* release() {
    PyObject* object = object_;
    object_ = nullptr;
    return object;
  }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_;
};

// Integer argument -> int64; raises TypeError/OverflowError. `what` names it in the message.
int64_t int_argument(PyObject* object, const char* op, const char* what);

// ---- arrays ----------------------------------------------------------------------------------

// What the kernels see of an ndarray. Strides are in bytes; they may be zero, negative or not
// multiples of the item size (then `aligned` is false: read and write through memcpy).
struct View {
  char* data;
  DType dtype;
  int ndim;
  bool aligned = true;
  bool writeable = true;
  npy_intp shape[kMaxDims], strides[kMaxDims];

  View() {}
  View(const View& v) { *this = v; }
  View& operator=(const View& v) {  // no more than it has
    data = v.data;
    dtype = v.dtype;
    ndim = v.ndim;
    aligned = v.aligned;
    writeable = v.writeable;
    for (int d = 0; d < ndim; ++d) {
      shape[d] = v.shape[d];
      strides[d] = v.strides[d];
    }
    return *this;
  }

  int64_t size() const {
    int64_t n = 1;
    for (int d = 0; d < ndim; ++d) n *= shape[d];
    return n;
  }
};

extern int bfloat16_typenum;  // -1 until register_bfloat16

// dtype code of an ndarray, or -1 when the dtype is not one of the ten.
int dtype_code(PyArrayObject* array);

// Raises DTypeError for other dtypes and byte-swapped arrays, ShapeError beyond 32 dimensions.
void read_view(PyArrayObject* array, const char* op, View* view);

inline bool is_array(PyObject* object) { return PyArray_Check(object); }

// Uninitialised C-order array in pool memory. Raises MemoryError (also for sizes that overflow).
PyObject* new_array(int ndim, const npy_intp* shape, DType dtype);
// The same with given strides (a dense permutation).
PyObject* new_array(int ndim, const npy_intp* shape, const npy_intp* strides, DType dtype);

PyObject* descr_of(DType dtype);  // borrowed

// Whether `out` was given (not nullptr or None). Raises unless it is then an ndarray of exactly this
// shape, of a supported dtype, writeable, and no two of its elements share memory (stride 0).
bool given_out_ok(PyObject* out, int ndim, const npy_intp* shape, const char* op);

enum class Overlap { None, Exact, Partial };
// Exact: same data, dtype, shape and strides, so that elementwise work in place is safe.
// Partial: the address ranges meet in any other way (may be a false alarm; then use a temporary).
Overlap overlap(const View& a, const View& b);

// out[...] = src with conversion and broadcasting; `accumulate` adds instead. Handles overlap.
// Needs the GIL; releases it for long work.
void copy_view(const View& src, const View& out, bool accumulate = false);

// ---- threads ---------------------------------------------------------------------------------

using ChunkFunction = void (*)(void* context, int64_t chunk);

// Calls function(context, i) for every i in [0, chunks), on the pool's threads and this one.
// Nested or concurrent calls run on the calling thread. The function must not throw or touch Python.
void run_chunks(int64_t chunks, ChunkFunction function, void* context);

template <class F>
void parallel_for(int64_t chunks, const F& body) {
  run_chunks(
      chunks, [](void* context, int64_t chunk) { (*static_cast<const F*>(context))(chunk); }, const_cast<F*>(&body));
}

int num_threads();
void set_num_threads(int n);

// Scratch memory of the calling thread, 64-byte aligned, kept between calls. Only one user at a
// time: a function that holds it must not call another that asks for it.
char* scratch(size_t bytes);

// Releases the GIL for its life if `work` (in elementary operations) is worth it.
class NoGil {
 public:
  explicit NoGil(bool release) : state_(release ? PyEval_SaveThread() : nullptr) {}
  ~NoGil() {
    if (state_) PyEval_RestoreThread(state_);
  }
  NoGil(const NoGil&) = delete;
  NoGil& operator=(const NoGil&) = delete;

 private:
  PyThreadState* state_;
};

// ---- instruction set -------------------------------------------------------------------------

struct Kernels;                 // kernels.h
extern const Kernels* kernels;  // of the instruction set chosen at import
const char* isa_name();         // "v4", "v3", "v2" or "generic"

}  // namespace gf
