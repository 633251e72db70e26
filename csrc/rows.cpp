// rows(program, inputs, axis, out, accumulate, summed): a program with row reductions over one axis.
#include "row_run.h"

namespace gf {
namespace {

constexpr int64_t kReleaseGilCost = 1 << 16;

// Adds an array's strides to the loop, whose dimension 0 is the axis.
Operand& add_operand(Loop* loop, const View& view, const Inputs& in, const npy_intp* shape, int axis) {
  npy_intp strides[kMaxDims];
  broadcast_strides(view, in.ndim, shape, strides);
  Operand& op = loop->op[loop->n++];
  op.data = view.data;
  op.dtype = view.dtype;
  op.aligned = view.aligned;
  op.accumulate = false;
  op.stride[0] = in.shape[axis] == 1 ? item_size(view.dtype) : strides[axis];
  int k = 1;
  for (int d = in.ndim - 1; d >= 0; --d)
    if (d != axis && in.shape[d] != 1) op.stride[k++] = strides[d];
  return op;
}

// A view of one dimension as one of `ndim` that moves along the axis only.
View along(const View& line, int ndim, int axis) {
  View view = line;
  view.ndim = ndim;
  for (int d = 0; d < ndim; ++d) {
    view.shape[d] = d == axis ? line.shape[0] : 1;
    view.strides[d] = d == axis ? line.strides[0] : 0;
  }
  return view;
}

// The inputs that do not change along the axis.
uint32_t constant_along(const Inputs& in, int axis) {
  uint32_t set = 0;
  const int from_end = in.ndim - axis;
  for (int k = 0; k < in.n && in.shape[axis] > 1; ++k) {
    const View& v = in.views[k];
    const int d = v.ndim - from_end;
    if (d < 0 || v.shape[d] == 1 || v.strides[d] == 0) set |= 1u << k;
  }
  return set;
}

const RowPlan& plan_for(const Typed& t, uint32_t row_inputs) {
  for (const auto& plan : t.row_plans)
    if (plan->row_inputs == row_inputs) return *plan;
  auto& plans = const_cast<Typed&>(t).row_plans;  // a cache; the GIL is held
  plans.push_back(plan_rows(t, row_inputs));
  return *plans.back();
}

bool foreign(PyObject* out) {
  if (out == Py_None || is_array(out)) return false;
  if (!PyTuple_Check(out)) return true;
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(out); ++k)
    if (foreign(PyTuple_GET_ITEM(out, k))) return true;
  return false;
}

}  // namespace

PyObject* rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 3 || count > 6)
    raise(ErrorKind::Type, "rows: takes (program, inputs, axis, out=None, accumulate=0, summed=0)");
  PyObject* given = count > 3 ? args[3] : Py_None;
  if (!is_program(args[0]) || foreign(given)) return call_fallback("rows", args, count);
  auto* program = reinterpret_cast<ProgramObject*>(args[0]);
  if (!(program->flags & kRowProgram)) raise(ErrorKind::Argument, "rows: takes a row program");
  const int64_t accumulate = count > 4 ? int_argument(args[4], "rows", "accumulate") : 0;
  const int64_t summed = count > 5 ? int_argument(args[5], "rows", "summed") : 0;
  Inputs in;
  if (!read_inputs(program, args[1], &in)) return call_fallback("rows", args, count);
  const Typed& t = *in.typed;
  if (summed & (t.row_outputs | ~((int64_t(1) << t.n_outputs) - 1)))
    raise(ErrorKind::Argument, "rows: only outputs with one value per element can be summed over the rows");
  const int64_t asked = int_argument(args[2], "rows", "axis");
  const int64_t axis = asked < 0 ? asked + in.ndim : asked;
  const std::string name = axis < 0 || axis >= in.ndim ? program_name(program) : "";
  if (axis < 0 || axis >= in.ndim)
    raise(ErrorKind::Axis, "%s: axis %lld is out of range; the input has %d dimensions", name.c_str(), (long long)asked,
          in.ndim);
  if (given != Py_None && !PyTuple_Check(given) && t.n_outputs != 1)
    raise(ErrorKind::Type, "rows: the program has %d outputs; out must be a tuple of as many", t.n_outputs);
  if (PyTuple_Check(given) && PyTuple_GET_SIZE(given) != t.n_outputs)
    raise(ErrorKind::Type, "rows: out has %d entries for %d outputs", int(PyTuple_GET_SIZE(given)), t.n_outputs);

  npy_intp row_shape[kMaxDims];
  for (int d = 0; d < in.ndim; ++d) row_shape[d] = d == axis ? 1 : in.shape[d];
  Ref results[kMaxOutputs], temporaries[kMaxOutputs];
  View views[kMaxOutputs];
  bool is_given[kMaxOutputs];
  for (int k = 0; k < t.n_outputs; ++k) {
    const bool is_sum = (summed >> k) & 1;
    const npy_intp* shape = is_sum ? &in.shape[axis] : (t.row_outputs >> k) & 1 ? row_shape : in.shape;
    const int ndim = is_sum ? 1 : in.ndim;
    PyObject* wanted = PyTuple_Check(given) ? PyTuple_GET_ITEM(given, k) : given;
    is_given[k] = given_out_ok(wanted, ndim, shape, "rows");
    if (is_given[k]) {
      Py_INCREF(wanted);
      results[k] = Ref(wanted);
    } else {
      results[k] = Ref(new_array(ndim, shape, t.out_dtype[k]));
    }
    read_view(reinterpret_cast<PyArrayObject*>(results[k].get()), "rows", &views[k]);
    bool clash = false;
    for (int j = 0; is_given[k] && j < in.n; ++j) {
      const Overlap shared = in.is_scalar[j] ? Overlap::None : overlap(in.views[j], views[k]);
      clash |= shared == Overlap::Partial;
      for (int other = 0; other < t.n_outputs; ++other)  // another output is this very input
        clash |= shared != Overlap::None && other != k && t.out_slot[other] == t.input_slot(j);
    }
    for (int j = 0; is_given[k] && j < k; ++j) clash |= overlap(views[j], views[k]) != Overlap::None;
    if (!clash) continue;
    temporaries[k] = Ref(new_array(ndim, shape, t.out_dtype[k]));
    read_view(reinterpret_cast<PyArrayObject*>(temporaries[k].get()), "rows", &views[k]);
  }

  if (in.shape[axis] == 0 && t.row_outputs != 0) {
    int64_t outputs = 1;
    for (int d = 0; d < in.ndim; ++d) outputs *= row_shape[d];
    if (outputs > 0)
      raise(ErrorKind::Shape, "%s: axis %lld has size 0; rows must have elements", program_name(program).c_str(),
            (long long)asked);
  }
  if (in.size() > 0) {
    RowRun r(t, plan_for(t, constant_along(in, int(axis))), in.shape[axis]);
    Loop& loop = r.loop;
    loop.size[0] = in.shape[axis];
    loop.ndim = 1;
    for (int d = in.ndim - 1; d >= 0; --d)
      if (d != axis && in.shape[d] != 1) loop.size[loop.ndim++] = in.shape[d];
    for (int k = 0; k < in.n; ++k) add_operand(&loop, in.views[k], in, in.shape, int(axis));
    for (int k = 0; k < t.n_outputs; ++k)
      add_operand(&loop, (summed >> k) & 1 ? along(views[k], in.ndim, int(axis)) : views[k], in, in.shape, int(axis))
          .accumulate = is_given[k] && !temporaries[k] && ((accumulate >> k) & 1);
    View flat;
    flat.data = nullptr;
    flat.dtype = kUInt8;
    flat.ndim = in.ndim;
    flat.aligned = true;
    npy_intp step = 1;
    for (int d = in.ndim - 1; d >= 0; step *= in.shape[d--]) {
      flat.shape[d] = in.shape[d];
      flat.strides[d] = step;
    }
    add_operand(&loop, flat, in, in.shape, int(axis));
    if (loop.ndim == 1) {  // a single row
      loop.ndim = 2;
      loop.size[1] = 1;
      for (int k = 0; k < loop.n; ++k) loop.op[k].stride[1] = 0;
    }
    loop.sort_dims(1, loop.ndim, 0);
    loop.merge(1, loop.ndim);
    r.summed = uint32_t(summed);
    plan_run(&r);
    Ref sums;
    if (npy_intp bytes = npy_intp(sums_bytes(r))) {
      sums = Ref(new_array(1, &bytes, kUInt8));
      r.sums = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(sums.get()));
    }
    NoGil free_gil(in.size() * (t.cost + 1) > kReleaseGilCost);
    run_rows(&r);
  } else {
    for (int k = 0; k < t.n_outputs; ++k)  // sums of no rows
      if (((summed >> k) & 1) && !(is_given[k] && ((accumulate >> k) & 1)))
        PyArray_FILLWBYTE(reinterpret_cast<PyArrayObject*>(results[k].get()), 0);
  }
  for (int k = 0; k < t.n_outputs; ++k) {
    if (!temporaries[k]) continue;
    View target;
    read_view(reinterpret_cast<PyArrayObject*>(results[k].get()), "rows", &target);
    copy_view(views[k], target, (accumulate >> k) & 1);
  }
  if (t.n_outputs == 1) return results[0].release();
  Ref tuple(PyTuple_New(t.n_outputs));
  if (!tuple) throw PythonError{};
  for (int k = 0; k < t.n_outputs; ++k) PyTuple_SET_ITEM(tuple.get(), k, results[k].release());
  return tuple.release();
}

}  // namespace gf
