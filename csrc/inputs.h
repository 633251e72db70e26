// The inputs of a program: ndarrays and Python scalars, their common dtype and shape.
#pragma once

#include "program.h"

namespace gf {

extern DType default_dtype;  // of Python floats

// A number that comes as a Python object.
struct Scalar {
  DType dtype;  // bool, int64 or the default dtype
  bool is_int;
  int64_t i;
  double d;
};

// False when the object is no bool, int, float or NumPy scalar of these kinds.
bool read_scalar(PyObject* object, Scalar* scalar, ProgramObject* program = nullptr);

// torch's result_type: array dimensions count most, then 0-d arrays, then Python numbers.
class Promotion {
 public:
  void array(DType dtype, int ndim) { merge(ndim > 0 ? dims_ : zero_, dtype); }
  void scalar(DType dtype) { merge(python_, dtype); }
  DType result() const;

 private:
  int dims_ = -1, zero_ = -1, python_ = -1;
  static void merge(int& into, DType dtype);
};

struct Inputs {
  int n;
  int64_t flat_size;     // elements, if all arrays are C-contiguous, aligned and of one shape, else -1
  PyArrayObject* first;  // the first array, or null
  PyArrayObject* arrays[kMaxInputs];
  int ndim;  // of the broadcast shape
  npy_intp shape[kMaxDims];
  const Typed* typed;
  bool all_flat;  // every array is C-contiguous, aligned and of the broadcast shape (or one element)
  bool is_scalar[kMaxInputs];
  Scalar scalars[kMaxInputs];
  uint64_t values[kMaxInputs];  // scalars in their register type
  View views[kMaxInputs];

  int64_t size() const {
    int64_t n_elements = 1;
    for (int d = 0; d < ndim; ++d) n_elements *= shape[d];
    return n_elements;
  }
};

// Reads the tuple `args`, picks the program's code for its dtypes and broadcasts the shapes.
// False: something is neither an ndarray nor a scalar, the call belongs to the fallback.
bool read_inputs(ProgramObject* program, PyObject* args, Inputs* in);

// The two halves of it. The first sets `n`, `arrays`, `first`, `flat_size`, `typed`, and scalars with their values;
// the second the views and the shape.
bool scan_inputs(ProgramObject* program, PyObject* args, Inputs* in);
void view_inputs(ProgramObject* program, Inputs* in);

// Strides of a view in a broadcast shape: 0 along the dimensions that it lacks or repeats.
void broadcast_strides(const View& view, int ndim, const npy_intp* shape, npy_intp* strides);

// array[index] for ints, slices with positive steps, None and at most one ...; null for anything else, or out of range.
PyObject* basic_view(PyObject* array, PyObject* index);

}  // namespace gf
