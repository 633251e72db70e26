// reduce(kind, program, inputs, axes, keepdims, out, accumulate, scale): planning and binding.
#include "reduce.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace gf {

const char* const kKindNames[kKinds] = {"sum", "prod", "max", "min", "any", "all", "argmax", "argmin"};

namespace {

constexpr int64_t kTileBytes = 4096;
constexpr int64_t kLongTile = 1 << 15;
constexpr int64_t kReleaseGilCost = 1 << 16;

// ---- the order of the dimensions -----------------------------------------------------------------------------------

// What a step along a dimension costs: the bytes each input moves by, a cache line at most.
int64_t step_cost(const Loop& loop, int inputs, int d) {
  int64_t cost = 0;
  for (int k = 0; k < inputs; ++k) cost += std::min<int64_t>(std::abs(loop.op[k].stride[d]), 64);
  return cost > 0 ? cost : INT64_MAX;
}

// Moves dimension `from` to position `to` < from, shifting those between.
void rotate(Loop* loop, int from, int to) {
  for (int d = from; d > to; --d) loop->swap_dims(d, d - 1);
}

// Orders the dimensions [inner kept | reduced | outer kept]. Arguments keep the reduced ones in C order, for
// their positions are the answer.
void order_dims(Reduction* r, const bool* reduced_axis, int ndim, const npy_intp* shape) {
  Loop& loop = r->loop;
  int place = 0, dim = 0;
  for (int axis = ndim - 1; axis >= 0; --axis) {
    if (shape[axis] == 1) continue;
    if (reduced_axis[axis]) rotate(&loop, dim, place++);
    ++dim;
  }
  int reduced = place;
  if (!r->is_arg()) loop.sort_dims(0, reduced, 0);
  reduced = loop.merge(0, reduced);
  loop.sort_dims(reduced, loop.ndim, 0);
  loop.merge(reduced, loop.ndim);
  int64_t nearest = INT64_MAX;
  for (int d = 0; d < reduced; ++d) nearest = std::min(nearest, step_cost(loop, r->typed.n_inputs, d));
  int inner = 0;
  while (reduced + inner < loop.ndim &&
         (reduced == 0 || step_cost(loop, r->typed.n_inputs, reduced + inner) < nearest)) {
    rotate(&loop, reduced + inner, inner);
    ++inner;
  }
  r->kept_inner = inner;
  r->reduced = reduced;
  for (int d = 0; d < inner; ++d) r->width *= loop.size[d];
  for (int d = inner; d < inner + reduced; ++d) r->depth *= loop.size[d];
}

// ---- the shape of the work -----------------------------------------------------------------------------------------

// `long_row`: rows of kept elements that are long enough to be tiles of their own.
void choose_box(Reduction* r, int64_t tile, int64_t long_row) {
  Loop& loop = r->loop;
  const int inner = r->kept_inner, reduced = r->reduced;
  if (r->width >= long_row || reduced == 0) {
    r->shape = Reduction::Vertical;
    Loop kept;  // only its sizes matter
    kept.ndim = inner;
    for (int d = 0; d < inner; ++d) kept.size[d] = loop.size[d];
    int dim = make_box(kept, tile).dim;
    // the reduced dimensions follow the box, so that they are next to run through
    for (int d = 0; d < reduced; ++d) rotate(&loop, inner + d, dim + 1 + d);
    r->box = make_box_at(loop, dim, tile);
    r->steps = r->depth;
    r->tasks = r->box.tiles() / r->depth;
    r->task_outputs = r->box.length();
  } else if (2 * r->width * r->depth <= tile && loop.ndim > inner + reduced) {
    r->shape = Reduction::Groups;
    r->box = make_box_at(loop, inner + reduced, tile);
    r->steps = 1;
    r->tasks = r->box.tiles();
    r->task_outputs = r->width * r->box.step;
  } else {
    r->shape = Reduction::Group;
    int dim = inner;
    int64_t elements = r->width;
    while (dim + 1 < inner + reduced && elements * loop.size[dim] < kLongRow) elements *= loop.size[dim++];
    r->box = make_box_at(loop, dim, tile);
    int64_t groups = 1;
    for (int d = inner + reduced; d < loop.ndim; ++d) groups *= loop.size[d];
    r->steps = r->box.tiles() / groups;
    r->tasks = groups;
    r->task_outputs = r->width;
  }
  r->step_elements = r->box.length();
}

// The output is written per task: its own dimensions only, the last one per unit of the box.
void plan_output(Reduction* r) {
  Operand& out = r->loop.op[r->typed.n_inputs];
  int end = r->shape == Reduction::Group ? r->kept_inner - 1 : r->box.dim;
  int first = r->shape == Reduction::Vertical ? end + 1 : r->kept_inner, last = first + r->reduced;
  out.mode = Mode::Load;
  out.moves = 0;
  for (int d = 0; d <= end; ++d) {
    if (d >= first && d < last) continue;  // reduced
    out.move_n[out.moves] = d < end ? r->loop.size[d] : 1;
    out.move_stride[out.moves++] = d < r->loop.ndim ? out.stride[d] : 0;
  }
  if (out.moves == 0) {
    out.move_n[0] = 1;
    out.move_stride[0] = 0;
    out.moves = 1;
  }
}

bool is_product(const Reduction& r) {
  const Typed& t = r.typed;
  if (r.kind != kSum || r.width != 1 || t.code.size() != 1 || t.out_slot[0] != t.output_slot(0)) return false;
  const Instr& in = t.code[0];
  auto is_input = [&](int slot) { return slot >= t.input_slot(0) && slot < t.const_slot(0); };
  return in.op == kOp_mul && kernels->sum_of_products[in.reg] && is_input(in.a) && is_input(in.b);
}

void plan_inputs(Reduction* r) {
  for (int k = 0; k < r->typed.n_inputs; ++k) plan_operand(&r->loop.op[k], r->loop, r->box, r->typed.input_reg[k]);
}

void plan_reduction(Reduction* r) {
  Loop& loop = r->loop;
  const Typed& t = r->typed;
  if (loop.ndim == 0) {  // one element: one kept dimension of size 1
    loop.ndim = r->kept_inner = 1;
    loop.size[0] = 1;
    for (int k = 0; k < loop.n; ++k) loop.op[k].stride[0] = item_size(loop.op[k].dtype);
  }
  int input;
  const bool maybe_plain = t.is_plain_input(&input) && register_of(t.out_dtype[0]) == r->reg;
  int64_t tile = kTileBytes / t.register_bytes;
  r->product = is_product(*r);
  bool long_runs = (maybe_plain || r->product) && r->width < kLongRow && r->width * r->depth >= kLongRow;
  // what must be computed first is computed for several rows at a time
  const int64_t long_row = maybe_plain ? kLongRow : tile / 2 + 1;
  choose_box(r, long_runs ? kLongTile : tile, long_row);
  plan_inputs(r);
  bool in_place = true;
  for (int k = 0; k < t.n_inputs; ++k) in_place &= loop.op[k].mode == Mode::InPlace;
  if (maybe_plain && loop.op[input].mode == Mode::InPlace) {
    r->plain = input;
  } else if (long_runs && !in_place) {
    choose_box(r, tile, long_row);
    plan_inputs(r);
  }
  plan_output(r);
}

// ---- arguments -----------------------------------------------------------------------------------------------------

Kind read_kind(PyObject* object) {
  if (PyLong_Check(object)) {
    long kind = PyLong_AsLong(object);
    if (kind >= 0 && kind < kKinds) return Kind(kind);
    PyErr_Clear();
  } else if (PyUnicode_Check(object)) {
    for (int kind = 0; kind < kKinds; ++kind)
      if (PyUnicode_CompareWithASCIIString(object, kKindNames[kind]) == 0) return Kind(kind);
  }
  raise(ErrorKind::Argument, "reduce: unknown kind; use sum, prod, max, min, any, all, argmax or argmin");
}

// Marks the reduced axes.
void read_axes(PyObject* axes, int ndim, Kind kind, bool* reduced) {
  const char* op = kKindNames[kind];
  for (int d = 0; d < ndim; ++d) reduced[d] = axes == Py_None;
  if (axes == Py_None) return;
  bool tuple = PyTuple_Check(axes);
  Py_ssize_t n = tuple ? PyTuple_GET_SIZE(axes) : 1;
  if (kind >= kArgMax && n != 1) raise(ErrorKind::Argument, "%s: takes one axis or None, got %d axes", op, int(n));
  for (Py_ssize_t i = 0; i < n; ++i) {
    int64_t axis = int_argument(tuple ? PyTuple_GET_ITEM(axes, i) : axes, op, "an axis");
    int64_t d = axis < 0 ? axis + ndim : axis;
    if (d == 0 && ndim == 0) continue;  // a 0-d array takes axis 0 and -1
    if (ndim == 0 && d == -1) continue;
    if (d < 0 || d >= ndim)
      raise(ErrorKind::Axis, "%s: axis %lld is out of range; the input has %d dimensions", op, (long long)axis, ndim);
    if (reduced[d]) raise(ErrorKind::Argument, "%s: axis %lld appears twice", op, (long long)axis);
    reduced[d] = true;
  }
}

void fill_identity(const Reduction& r, const View& out) {
  alignas(16) char acc[16], value[8];
  r.fold().init(acc, 1);
  r.fold().finish(value, acc, 1, r.scale);
  View src;
  src.data = value;
  src.dtype = r.reg;
  src.ndim = 0;
  src.aligned = true;
  copy_view(src, out, r.loop.op[0].accumulate);
}

}  // namespace

PyObject* reduce(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 4 || count > 8)
    raise(ErrorKind::Type,
          "reduce: takes (kind, program, inputs, axes, keepdims=False, out=None, accumulate=0, scale=1.0)");
  PyObject* given = count > 5 ? args[5] : Py_None;
  if (!is_program(args[1]) || (given != Py_None && !is_array(given))) return call_fallback("reduce", args, count);
  auto* program = reinterpret_cast<ProgramObject*>(args[1]);
  Kind kind = read_kind(args[0]);
  int keepdims = count > 4 ? PyObject_IsTrue(args[4]) : 0;
  if (keepdims < 0) throw PythonError{};
  int adds = count > 6 ? PyObject_IsTrue(args[6]) : 0;
  if (adds < 0) throw PythonError{};
  bool accumulate = adds;
  double scale = count > 7 ? PyFloat_AsDouble(args[7]) : 1.0;
  if (scale == -1 && PyErr_Occurred()) throw PythonError{};
  if (program->n_outputs != 1 || program->flags & kRowProgram)
    raise(ErrorKind::Argument, "reduce: takes an elementwise program with one output");
  Inputs in;
  if (!read_inputs(program, args[2], &in)) return call_fallback("reduce", args, count);
  const Typed& t = *in.typed;

  bool reduced[kMaxDims];
  read_axes(args[3], in.ndim, kind, reduced);
  npy_intp full[kMaxDims], shape[kMaxDims];  // of the result, with the reduced axes as 1 and as asked for
  int ndim = 0;
  int64_t outputs = 1, depth = 1;
  for (int d = 0; d < in.ndim; ++d) {
    full[d] = reduced[d] ? 1 : in.shape[d];
    (reduced[d] ? depth : outputs) *= in.shape[d];
    if (!reduced[d] || keepdims) shape[ndim++] = full[d];
  }
  if (depth == 0 && kind >= kMax && kind != kAny && kind != kAll)
    raise(ErrorKind::Shape,
          "%s: no elements to choose from; the input's shape is %s; reduce over axes of size 1 or more",
          kKindNames[kind], shape_text(in.ndim, in.shape).c_str());

  DType result = kind == kAny || kind == kAll ? kBool : kind >= kArgMax ? kInt64 : t.out_dtype[0];
  View out;
  Ref out_array(nullptr), temporary(nullptr);
  bool to_given = given_out_ok(given, ndim, shape, kKindNames[kind]);
  if (to_given) {
    Py_INCREF(given);
    out_array = Ref(given);
  } else {
    out_array = Ref(new_array(ndim, shape, result));
    accumulate = false;
  }
  read_view(reinterpret_cast<PyArrayObject*>(out_array.get()), kKindNames[kind], &out);
  for (int k = 0; to_given && !temporary && k < in.n; ++k) {
    if (in.is_scalar[k] || overlap(in.views[k], out) == Overlap::None) continue;
    temporary = Ref(new_array(ndim, shape, result));
    read_view(reinterpret_cast<PyArrayObject*>(temporary.get()), kKindNames[kind], &out);
  }

  Reduction r(t, kind, scale, result == kBool ? kBool : register_of(t.out_dtype[0]));
  if (outputs == 0) return out_array.release();
  if (depth == 0) {
    r.loop.op[0].accumulate = accumulate;
    fill_identity(r, out);
    return out_array.release();
  }
  // the output's view with the reduced axes in place, along which it does not move
  View wide = out;
  wide.ndim = in.ndim;
  for (int d = 0, k = 0; d < in.ndim; ++d) {
    bool present = !reduced[d] || keepdims;
    wide.shape[d] = full[d];
    wide.strides[d] = reduced[d] ? 0 : out.strides[k];
    k += present;
  }
  r.loop.set_shape(in.ndim, in.shape);
  for (int k = 0; k < in.n; ++k) r.loop.add(in.views[k], in.ndim, in.shape);
  r.loop.add(wide, in.ndim, in.shape).accumulate = accumulate && !temporary;
  order_dims(&r, reduced, in.ndim, in.shape);
  plan_reduction(&r);
  int64_t pieces = splits(r);
  Ref partials(nullptr);
  char* memory = nullptr;
  if (pieces > 1) {
    npy_intp bytes = npy_intp(r.accumulator_bytes()) * r.tasks * pieces;
    partials = Ref(new_array(1, &bytes, kUInt8));
    memory = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(partials.get()));
  }
  {
    NoGil free_gil(outputs * depth * (t.cost + 1) > kReleaseGilCost);
    run_reduction(r, memory);
  }
  if (temporary) {
    View target;
    read_view(reinterpret_cast<PyArrayObject*>(out_array.get()), kKindNames[kind], &target);
    copy_view(out, target, accumulate);
  }
  return out_array.release();
}

}  // namespace gf
