// The module gradflow._ext: bindings of the kernels, arrays, memory and threads.
#define GF_IMPORT_ARRAY
#include "common.h"

#include <pybind11/pybind11.h>

#include "inputs.h"
#include "pool.h"
#include "program.h"

namespace py = pybind11;

namespace gf {

void choose_isa();
void init_arrays();
void init_node_type();
void init_tensor_type();
void init_direct_type();
void register_bfloat16(PyObject* descr);
extern PyTypeObject* node_type;
extern PyTypeObject* tensor_type;
extern PyTypeObject* direct_type;
extern const char* const kKindNames[kKinds];

#define GF_BOUND(name) PyObject* name(PyObject*, PyObject* const*, Py_ssize_t);
GF_BOUND(elementwise)
GF_BOUND(reduce)
GF_BOUND(rows)
GF_BOUND(dot)
GF_BOUND(blas_info)
GF_BOUND(gather)
GF_BOUND(scatter_add)
GF_BOUND(scatter_fold)
GF_BOUND(scatter)
GF_BOUND(take_rows)
GF_BOUND(add_rows)
GF_BOUND(fold_rows)
GF_BOUND(add_rows_of)
GF_BOUND(put_rows)
GF_BOUND(put_where)
GF_BOUND(scan)
GF_BOUND(pool_max)
GF_BOUND(pool_mean)
GF_BOUND(pool_spread)
GF_BOUND(by_channel)
GF_BOUND(join)
GF_BOUND(strided)
GF_BOUND(clear_triangle)
GF_BOUND(top)
GF_BOUND(shuffle)
GF_BOUND(mode)
GF_BOUND(copy)
GF_BOUND(expand)
GF_BOUND(sizes)
GF_BOUND(outside)
GF_BOUND(places)
GF_BOUND(set_tape)
GF_BOUND(set_watcher)
GF_BOUND(set_tensor)
GF_BOUND(set_inference)
GF_BOUND(wrap)
GF_BOUND(wrap_view)
GF_BOUND(linked)
GF_BOUND(note)
GF_BOUND(unrecorded)
GF_BOUND(get_item)
GF_BOUND(set_item)
GF_BOUND(update)
GF_BOUND(lu)
GF_BOUND(lu_permutation)
GF_BOUND(cholesky)
GF_BOUND(ldl)
GF_BOUND(ldl_solve)
GF_BOUND(solve_triangular)
#undef GF_BOUND

namespace {

PyObject* fallbacks = nullptr;  // dict: name -> callable

void need(Py_ssize_t count, Py_ssize_t least, Py_ssize_t most, const char* op) {
  if (count < least || count > most)
    raise(ErrorKind::Type, "%s: takes %d to %d arguments, got %d", op, int(least), int(most), int(count));
}

DType dtype_argument(PyObject* object, const char* op) {
  int64_t code = int_argument(object, op, "dtype");
  if (code < 0 || code >= kDTypes) raise(ErrorKind::DType, "%s: unknown dtype code %lld", op, (long long)code);
  return DType(code);
}

// ---- arrays --------------------------------------------------------------------------------------------------------

int shape_argument(PyObject* object, const char* op, npy_intp* shape) {
  if (!PyTuple_Check(object)) raise(ErrorKind::Type, "%s: shape must be a tuple, got %s", op, Py_TYPE(object)->tp_name);
  Py_ssize_t ndim = PyTuple_GET_SIZE(object);
  if (ndim > kMaxDims) raise(ErrorKind::Shape, "%s: %d dimensions; at most %d are supported", op, int(ndim), kMaxDims);
  for (Py_ssize_t d = 0; d < ndim; ++d) {
    shape[d] = int_argument(PyTuple_GET_ITEM(object, d), op, "a size");
    if (shape[d] < 0) raise(ErrorKind::Shape, "%s: negative size; shape[%d] is %lld", op, int(d), (long long)shape[d]);
  }
  return int(ndim);
}

}  // namespace

bool batching = false;  // new arrays are the fallback's, unless asked to be plain

namespace {

// The third argument is an array beside which the new one is to lie, the fourth asks for a plain one.
PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 2, 4, "empty");
  if (batching && count < 4) return call_fallback("empty", args, count);
  if (count > 2 && args[2] != Py_None && !is_array(args[2])) return call_fallback("empty", args, count);
  npy_intp shape[kMaxDims];
  int ndim = shape_argument(args[0], "empty", shape);
  return new_array(ndim, shape, dtype_argument(args[1], "empty"));
}

PyObject* zeros(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  if (batching && count < 4) return call_fallback("zeros", args, count);
  if (count > 2 && args[2] != Py_None && !is_array(args[2])) return call_fallback("zeros", args, count);
  Ref array(empty(module, args, count));
  auto* a = reinterpret_cast<PyArrayObject*>(array.get());
  memset(PyArray_DATA(a), 0, size_t(PyArray_NBYTES(a)));
  return array.release();
}

// None if every floating array among the inputs has out's shape and dtype; else per input what it has instead.
PyObject* irregular(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 2, 2, "irregular");
  if (!PyTuple_Check(args[1])) raise(ErrorKind::Type, "irregular: inputs must be a tuple");
  PyObject* out = PyTuple_Check(args[0]) && PyTuple_GET_SIZE(args[0]) > 0 ? PyTuple_GET_ITEM(args[0], 0) : args[0];
  if (!is_array(out)) return call_fallback("irregular", args, count);
  auto* o = reinterpret_cast<PyArrayObject*>(out);
  const int type = PyArray_TYPE(o), ndim = PyArray_NDIM(o);
  const Py_ssize_t n = PyTuple_GET_SIZE(args[1]);
  auto differs = [&](PyObject* object) {
    if (!is_array(object)) return false;
    auto* a = reinterpret_cast<PyArrayObject*>(object);
    int code = dtype_code(a);
    if (code < kFloat16) return false;
    if (PyArray_TYPE(a) != type || PyArray_NDIM(a) != ndim) return true;
    for (int d = 0; d < ndim; ++d)
      if (PyArray_DIM(a, d) != PyArray_DIM(o, d)) return true;
    return false;
  };
  bool any = false;
  for (Py_ssize_t k = 0; k < n && !any; ++k) any = differs(PyTuple_GET_ITEM(args[1], k));
  if (!any) Py_RETURN_NONE;
  Ref result(PyTuple_New(n));
  if (!result) throw PythonError{};
  for (Py_ssize_t k = 0; k < n; ++k) {
    PyObject* object = PyTuple_GET_ITEM(args[1], k);
    PyObject* entry = Py_None;
    Py_INCREF(Py_None);
    if (differs(object)) {
      auto* a = reinterpret_cast<PyArrayObject*>(object);
      Py_DECREF(Py_None);
      Ref shape(PyTuple_New(PyArray_NDIM(a)));
      if (!shape) throw PythonError{};
      for (int d = 0; d < PyArray_NDIM(a); ++d) PyTuple_SET_ITEM(shape.get(), d, PyLong_FromSsize_t(PyArray_DIM(a, d)));
      entry = Py_BuildValue("(Oi)", shape.get(), dtype_code(a));
      if (!entry) throw PythonError{};
    }
    PyTuple_SET_ITEM(result.get(), k, entry);
  }
  return result.release();
}

PyObject* result_type(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 1, 1, "result_type");
  if (!PyTuple_Check(args[0])) raise(ErrorKind::Type, "result_type: takes a tuple");
  Promotion promotion;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(args[0]); ++k) {
    PyObject* object = PyTuple_GET_ITEM(args[0], k);
    Scalar scalar;
    if (is_array(object)) {
      View view;
      read_view(reinterpret_cast<PyArrayObject*>(object), "result_type", &view);
      promotion.array(view.dtype, view.ndim);
    } else if (read_scalar(object, &scalar)) {
      promotion.scalar(scalar.dtype);
    } else {
      return call_fallback("result_type", args, count);
    }
  }
  return PyLong_FromLong(promotion.result());
}

PyObject* philox_numbers(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 3, 3, "philox");
  int64_t seed = int_argument(args[0], "philox", "seed"), offset = int_argument(args[1], "philox", "offset");
  npy_intp n = int_argument(args[2], "philox", "n");
  if (n < 0) raise(ErrorKind::Argument, "philox: n is %lld; it must not be negative", (long long)n);
  PyObject* array = new_array(1, &n, kInt64);
  kernels->random(static_cast<int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array))), seed, offset, n);
  return array;
}

// ---- settings ------------------------------------------------------------------------------------------------------

PyObject* set_default_dtype(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 1, 1, "set_default_dtype");
  DType dtype = dtype_argument(args[0], "set_default_dtype");
  if (!is_floating(dtype)) raise(ErrorKind::DType, "set_default_dtype: %s is not a floating type", kDTypeNames[dtype]);
  default_dtype = dtype;
  Py_RETURN_NONE;
}

PyObject* bind_bfloat16(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 1, 1, "register_bfloat16");
  register_bfloat16(args[0]);
  Py_RETURN_NONE;
}

PyObject* set_batching(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 1, 1, "set_batching");
  batching = PyObject_IsTrue(args[0]) == 1;
  Py_RETURN_NONE;
}

PyObject* set_fallback(PyObject*, PyObject* const* args, Py_ssize_t count) {
  need(count, 2, 2, "set_fallback");
  if (PyDict_SetItem(fallbacks, args[0], args[1]) < 0) throw PythonError{};
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
#define GF_METHOD(name, function, doc) \
  {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(guarded<function>)), METH_FASTCALL, doc}
    GF_METHOD("elementwise", elementwise, "elementwise(program, inputs, out=None, accumulate=0)"),
    GF_METHOD("reduce", reduce,
              "reduce(kind, program, inputs, axes, keepdims=False, out=None, accumulate=0, scale=1.0)"),
    GF_METHOD("rows", rows, "rows(program, inputs, axis, out=None, accumulate=0, summed=0)"),
    GF_METHOD("dot", dot, "dot(a, b, out=None, accumulate=0)"),
    GF_METHOD("blas_info", blas_info, "The BLAS in use."),
    GF_METHOD("gather", gather, "gather(x, axis, index, out=None)"),
    GF_METHOD("scatter_fold", scatter_fold, "scatter_fold(out, axis, index, src, kind)"),
    GF_METHOD("scatter_add", scatter_add, "scatter_add(out, axis, index, src)"),
    GF_METHOD("scatter", scatter, "scatter(out, axis, index, src)"),
    GF_METHOD("take_rows", take_rows, "take_rows(x, axis, index, out=None)"),
    GF_METHOD("add_rows", add_rows, "add_rows(out, axis, index, src)"),
    GF_METHOD("fold_rows", fold_rows, "fold_rows(out, axis, index, src, kind)"),
    GF_METHOD("add_rows_of", add_rows_of, "add_rows_of(out, to, table, from)"),
    GF_METHOD("put_rows", put_rows,
              "put_rows(out, axis, index, src): out[..., index, ...] = src, of equal indices the last"),
    GF_METHOD("put_where", put_where,
              "put_where(out, mask, src): the first elements of src where mask holds; how many"),
    GF_METHOD("pool_max", pool_max, "pool_max(x, spans, steps) -> (values, places): the largest of each window"),
    GF_METHOD("pool_mean", pool_mean, "pool_mean(x, spans, steps): sums of windows over their divisors"),
    GF_METHOD("pool_spread", pool_spread, "pool_spread(g, shape, spans, steps): each window gives to what it covers"),
    GF_METHOD("by_channel", by_channel, "by_channel(kind, a, b, sizes, stride, before, dilation, channels)"),
    GF_METHOD("join", join, "join(arrays, axis, dtype code, new_axis): one array of them all; None if they do not fit"),
    GF_METHOD("strided", strided, "strided(array, shape, strides, offset): a view of its memory; in bytes"),
    GF_METHOD("clear_triangle", clear_triangle,
              "clear_triangle(out, diagonal, upper): zeros above or below a diagonal"),
    GF_METHOD("scan", scan, "scan(kind, x, axis): running sums (0), products (1); places of maxima (2), minima (3)"),
    GF_METHOD("top", top, "top(x, k, largest): places of the first k along the last axis, in order"),
    GF_METHOD("mode", mode, "mode(x): places of the most frequent values along the last axis"),
    GF_METHOD("shuffle", shuffle, "shuffle(draws): a permutation from as many random numbers of 62 bits"),
    GF_METHOD("lu", lu, "lu(work) -> (pivots, info): factors stacks of transposed matrices in place"),
    GF_METHOD("lu_permutation", lu_permutation, "lu_permutation(pivots, rows) -> the rows' order"),
    GF_METHOD("cholesky", cholesky, "cholesky(work) -> info: factors stacks of matrices in place"),
    GF_METHOD("ldl", ldl, "ldl(work) -> (pivots, info): factors stacks of symmetric matrices in place"),
    GF_METHOD("ldl_solve", ldl_solve, "ldl_solve(ld, pivots, x), in x"),
    GF_METHOD("solve_triangular", solve_triangular, "solve_triangular(a, x, upper, transposed, unit, left), in x"),
    GF_METHOD("copy", copy, "copy(src, out): out[...] = src"),
    GF_METHOD("empty", empty, "empty(shape, dtype code, plain=False)"),
    GF_METHOD("zeros", zeros, "zeros(shape, dtype code, plain=False)"),
    GF_METHOD("expand", expand, "expand(array, shape): a read-only view with axes of size 1 repeated"),
    GF_METHOD("sizes", sizes, "sizes(args, n): the shape asked for, None if it is wrong"),
    GF_METHOD("outside", outside, "outside(indices, low, high): is one not in low ... high - 1?"),
    GF_METHOD("places", places, "places(array, indices): places in the first axes taken as one; None if not plain"),
    GF_METHOD("irregular", irregular, "irregular(out, inputs): (shape, dtype code) of floating inputs unlike out"),
    GF_METHOD("result_type", result_type, "result_type(inputs) -> dtype code"),
    GF_METHOD("philox", philox_numbers, "philox(seed, offset, n): random numbers 0 ... 2**32 - 1"),
    GF_METHOD("set_default_dtype", set_default_dtype, "set_default_dtype(code): the dtype of Python floats"),
    GF_METHOD("register_bfloat16", bind_bfloat16, "register_bfloat16(dtype): NumPy's dtype for it"),
    GF_METHOD("set_tape", set_tape, "set_tape(clock, folder, class): what nodes are made with"),
    GF_METHOD("set_watcher", set_watcher, "set_watcher(f): f(node) for each node recorded; None for nobody"),
    GF_METHOD("set_tensor", set_tensor, "set_tensor(class, mode, last_change, ...): what tensors are made with"),
    GF_METHOD("set_inference", set_inference, "set_inference(on): what this thread makes from now on is for inference"),
    GF_METHOD("wrap", wrap, "wrap(array, node=None): a tensor around an array that nobody else has"),
    GF_METHOD("wrap_view", wrap_view, "wrap_view(array, source, node, plan, meta, lost=''): a tensor around a view"),
    GF_METHOD("linked", linked, "linked(plan, x, out, params, view): the tensor of a linear operation's result"),
    GF_METHOD("note", note, "note(t): the array of t was changed"),
    GF_METHOD("unrecorded", unrecorded, "unrecorded(t, *sources): may t be changed, without the tape to know?"),
    GF_METHOD("get_item", get_item, "get_item(x, index, plan of one int, plan): the view, or None"),
    GF_METHOD("set_item", set_item, "set_item(x, index, value): False where it is no plain case"),
    GF_METHOD("update", update, "update(program, t, operands, numeric): t changed in place, if it is a plain case"),
    GF_METHOD("set_batching", set_batching, "set_batching(on): do empty and zeros belong to the fallback?"),
    GF_METHOD("set_fallback", set_fallback,
              "set_fallback(name, callable): takes calls with arrays that are not NumPy's"),
#undef GF_METHOD
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* call_fallback(const char* name, PyObject* const* args, Py_ssize_t count) {
  PyObject* function = fallbacks ? PyDict_GetItemString(fallbacks, name) : nullptr;
  if (!function) {
    std::string types;
    for (Py_ssize_t i = 0; i < count; ++i) types += (i ? ", " : "") + std::string(Py_TYPE(args[i])->tp_name);
    raise(ErrorKind::Type, "%s: expected numpy arrays or numbers; the arguments are (%s)", name, types.c_str());
  }
  return PyObject_Vectorcall(function, args, size_t(count), nullptr);
}

// The names of the opcodes, in order.
static const char* const kOpcodeNames[kOpcodes] = {
#define GF_NAME(name, domain) #name,
    GF_PRIMITIVES(GF_NAME, GF_NAME, GF_NAME, GF_NAME) GF_PAIRS(GF_NAME)
#undef GF_NAME
        "cast",
    "random",
    "linear_index",
    "column_index",
    "row_sum",
    "row_max",
};

}  // namespace gf

static int import_numpy() {
  import_array1(-1);
  return 0;
}

PYBIND11_MODULE(_ext, m) {
  using namespace gf;
  m.doc() = "gradflow's CPU kernels.";
  if (import_numpy() < 0) throw py::error_already_set();
  try {
    choose_isa();
    init_arrays();
    init_program_type();
    init_node_type();
    init_tensor_type();
    init_direct_type();
  } catch (const PythonError&) {
    throw py::error_already_set();
  }
  fallbacks = PyDict_New();
  if (!fallbacks || PyModule_AddFunctions(m.ptr(), functions) < 0) throw py::error_already_set();
  m.attr("TapeNode") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(node_type));
  m.attr("TensorBase") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(tensor_type));
  m.attr("Direct") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(direct_type));
  m.attr("Program") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(program_type));
  py::dict opcodes, kinds;
  for (int op = 0; op < kOpcodes; ++op) opcodes[kOpcodeNames[op]] = op;
  for (int kind = 0; kind < kKinds; ++kind) kinds[kKindNames[kind]] = kind;
  m.attr("opcodes") = opcodes;
  py::dict compiled;
  for (int k = 0; k < kernels->n_compiled; ++k) compiled[kernels->compiled[k].digest] = k;
  m.attr("compiled") = compiled;
  m.attr("kinds") = kinds;

  m.def("isa", [] { return isa_name(); });
  m.def("get_num_threads", [] { return num_threads(); });
  m.def("set_num_threads", [](int n) {
    if (n < 1)
      throw py::value_error("set_num_threads: the number of threads must be positive; got " + std::to_string(n));
    set_num_threads(n);
  });
  m.def("memory_stats", [] {
    PoolStats s = pool_stats();
    py::dict d;
    d["allocated_bytes"] = s.allocated_bytes;
    d["peak_allocated_bytes"] = s.peak_allocated_bytes;
    d["reserved_bytes"] = s.reserved_bytes;
    d["system_allocs"] = s.system_allocs;
    d["system_frees"] = s.system_frees;
    d["hits"] = s.hits;
    d["misses"] = s.misses;
    return d;
  });
  m.def("empty_cache", [] { pool_empty_cache(); });
  m.def("reset_peak", [] { pool_reset_peak(); });
}
