// rows(program, inputs, axis, out, accumulate): a program with row reductions over one axis.
#include "rows.h"

#include "runner.h"

namespace gf {
namespace {

constexpr int64_t kTileElements = 1024;
constexpr int64_t kRowBytes = 1 << 18;  // tiles of a whole row must fit the second-level cache
constexpr int64_t kChunkCost = 1 << 17;
constexpr int64_t kReleaseGilCost = 1 << 16;

// The loop's operands: inputs, outputs, and one that is no array: its address is the flat C-order index.
struct RowRun {
  const Typed& typed;
  const RowPlan& plan;
  Loop loop;
  Box box;
  bool whole;  // rows fit a tile: one pass, `count` rows per tile; else tiles are segments of a row
  int64_t row;  // its length

  RowRun(const Typed& t, int64_t length) : typed(t), plan(*t.rows), row(length) {}
  const Operand& index() const { return loop.op[typed.n_inputs + typed.n_outputs]; }
};

class RowWorker {
 public:
  RowWorker(const RowRun& r, const Run& run)
      : r_(r), memory_(scratch(own_bytes(r) + scratch_bytes(run))), runner_(run, memory_ + own_bytes(r)) {}

  static size_t own_bytes(const RowRun& r) {
    return (size_t(r.plan.reductions) * size_t(rows_of(r)) * 16 + 63) & ~size_t(63);
  }

  // Rows that fit: tile after tile.
  void run_tiles(int64_t begin, int64_t end) {
    runner_.seek(begin);
    for (int64_t tile = begin;;) {
      rows_ = runner_.count();
      runner_.load();
      for (const RowStep& step : r_.plan.steps) {
        if (step.kind == RowStep::Reduce) {
          start(step);
          take(step);
          finish(step);
        } else {
          execute(step);
        }
      }
      for (int k = 0; k < r_.typed.n_outputs; ++k) store(k);
      if (++tile == end) return;
      runner_.next();
    }
  }

  // Long rows: pass after pass over the segments of each, recomputing from the inputs.
  void run_rows(int64_t begin, int64_t end) {
    rows_ = 1;
    const int64_t segments = r_.box.segments;
    for (int64_t row = begin; row < end; ++row) {
      runner_.seek(row * segments);
      per_row(0);
      for (int pass = 0; pass < r_.plan.passes; ++pass) {
        for_reductions(pass, &RowWorker::start);
        for (int64_t segment = 0; segment < segments; ++segment) {
          runner_.seek(row * segments + segment);
          runner_.load(r_.plan.pass_inputs[size_t(pass)]);
          for (const RowStep& step : r_.plan.steps) {
            if (!((step.passes >> pass) & 1)) continue;
            step.kind == RowStep::Reduce ? take(step) : execute(step);
          }
          if (pass + 1 == r_.plan.passes) store_segment();
        }
        for_reductions(pass, &RowWorker::finish);
        per_row(pass + 1);
      }
      for (int k = 0; k < r_.typed.n_outputs; ++k)
        if ((r_.plan.row_outputs >> k) & 1 && !r_.plan.first_only(k, r_.typed)) store(k);
    }
  }

 private:
  const RowRun& r_;
  char* memory_;
  Runner runner_;
  int64_t rows_ = 0;
  int64_t columns_done_ = 0;  // rows for which the column numbers are in their tiles

  static int64_t rows_of(const RowRun& r) { return r.whole ? r.box.step : 1; }
  const Fold& fold(const Instr& in) const { return kernels->fold[in.op == kOpRowSum ? kSum : kMax][in.reg]; }
  char* accumulator(const RowStep& step) { return memory_ + size_t(step.reduction) * size_t(rows_of(r_)) * 16; }

  void start(const RowStep& step) { fold(step.in).init(accumulator(step), rows_); }
  void take(const RowStep& step) {
    fold(step.in).rows(accumulator(step), runner_.slot()[step.in.a], runner_.length() / rows_, rows_);
  }
  void finish(const RowStep& step) { fold(step.in).finish(runner_.slot()[step.in.dst], accumulator(step), rows_, 1.0); }

  void for_reductions(int pass, void (RowWorker::*action)(const RowStep&)) {
    for (const RowStep& step : r_.plan.steps)
      if (step.kind == RowStep::Reduce && step.level == pass + 1) (this->*action)(step);
  }

  // Values of the row itself that are known after `level` reductions.
  void per_row(int level) {
    for (const RowStep& step : r_.plan.steps)
      if (step.level == level && (step.kind == RowStep::Compact || step.kind == RowStep::Spread)) execute(step);
  }

  void execute(const RowStep& step) {
    const Instr& in = step.in;
    void** slot = runner_.slot();
    const int64_t n = runner_.length();
    switch (step.kind) {
      case RowStep::Full:
        in.fn(slot[in.dst], slot[in.a], slot[in.b], slot[in.c], n);
        break;
      case RowStep::Compact:
        in.fn(slot[in.dst], slot[in.a], slot[in.b], slot[in.c], rows_);
        break;
      case RowStep::Spread: {
        const int width = r_.typed.register_width[size_t(in.a)];
        const DType as = width == 1 ? kBool : width == 4 ? kInt32 : kInt64;
        const int64_t row = r_.whole ? n / rows_ : r_.box.step;
        kernels->load[as](slot[in.dst], static_cast<char*>(slot[in.a]), row, 0, rows_, width);
        break;
      }
      case RowStep::Column:
        columns(static_cast<int64_t*>(slot[in.dst]));
        break;
      default:
        indices(step);
    }
  }

  void columns(int64_t* dst) {
    if (!r_.whole) {
      kernels->iota(dst, runner_.first(), 1, runner_.length());
      return;
    }
    if (columns_done_ >= rows_ * r_.row) return;
    for (int64_t i = 0; i < rows_; ++i) kernels->iota(dst + i * r_.row, 0, 1, r_.row);
    columns_done_ = rows_ * r_.row;
  }

  void indices(const RowStep& step) {
    const Operand& index = r_.index();
    int64_t base = int64_t(runner_.address(index)), length = runner_.length() / rows_;
    int64_t* dst = static_cast<int64_t*>(runner_.slot()[step.in.dst]);
    const int64_t row_stride = r_.loop.ndim > 1 ? index.stride[1] : 0;
    for (int64_t i = 0; i < rows_; ++i) kernels->iota(dst + i * length, base + i * row_stride, index.stride[0], length);
    if (step.kind == RowStep::Linear) return;
    kernels->random_at(dst, dst, *static_cast<int64_t*>(runner_.slot()[step.in.a]),
                       *static_cast<int64_t*>(runner_.slot()[step.in.b]), runner_.length());
  }

  void store(int k) {
    if (r_.loop.op[r_.typed.n_inputs + k].mode == Mode::InPlace) return;
    const void* tile = runner_.slot()[r_.typed.out_slot[k]];
    if (!((r_.plan.row_outputs >> k) & 1)) {
      runner_.store_output(k, tile, runner_.length(), runner_.count());
      return;
    }
    alignas(64) char first[kTileElements * 8];
    if (r_.plan.first_only(k, r_.typed)) {  // the row's value stands in every column
      const DType reg = register_of(r_.typed.out_dtype[k]);
      kernels->load[reg](first, static_cast<const char*>(tile), rows_, runner_.length() / rows_ * item_size(reg), 1, 0);
      tile = first;
    }
    runner_.store_output(k, tile, rows_, rows_);
  }

  void store_segment() {
    for (int k = 0; k < r_.typed.n_outputs; ++k) {
      bool per_row = (r_.plan.row_outputs >> k) & 1;
      if (!per_row || (r_.plan.first_only(k, r_.typed) && runner_.first() == 0)) store(k);
    }
  }
};

// ---- planning ------------------------------------------------------------------------------------------------------

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

void choose_box(RowRun* r) {
  Loop& loop = r->loop;
  const int64_t widest = r->plan.width + r->typed.register_bytes * (r->typed.n_inputs + 1);
  r->whole = r->row <= kTileElements || r->row * widest <= kRowBytes;
  if (!r->whole) {
    r->box = make_box_at(loop, 0, kTileElements);
    return;
  }
  int64_t rows = kTileElements / r->row;
  // where the row strides over cache lines, neighbouring rows use the rest of them
  for (int k = 0; k < r->typed.n_inputs + r->typed.n_outputs; ++k)
    if (std::abs(loop.op[k].stride[0]) > 32 && std::abs(loop.op[k].stride[1]) <= 8 && rows < 16) rows = 16;
  while (rows > 1 && rows * r->row * widest > 2 * kRowBytes) rows /= 2;
  if (rows > kTileElements) rows = kTileElements;
  r->box = make_box_at(loop, 1, rows > 1 ? rows * r->row : r->row);
}

void plan(RowRun* r) {
  const Typed& t = r->typed;
  Loop& loop = r->loop;
  for (int k = 0; k < t.n_inputs; ++k) plan_operand(&loop.op[k], loop, r->box, t.input_reg[k]);
  for (int k = 0; k < t.n_outputs; ++k) {
    Operand& out = loop.op[t.n_inputs + k];
    if ((r->plan.row_outputs >> k) & 1) {
      out.mode = Mode::Load;
      out.moves = 1;
      out.move_n[0] = 1;
      out.move_stride[0] = r->whole ? out.stride[1] : 0;
      continue;
    }
    plan_operand(&out, loop, r->box, register_of(t.out_dtype[k]));
    bool own = t.out_slot[k] < t.n_registers && out.dtype == t.out_dtype[k];
    for (int j = 0; j < t.n_outputs; ++j) own &= j == k || t.out_slot[j] != t.out_slot[k];
    for (int j = 0; j < t.n_inputs; ++j) own &= loop.op[j].data != out.data;  // in place: store at the end
    if (out.mode != Mode::InPlace || out.accumulate || !own || !r->whole) out.mode = Mode::Load;
  }
}

void run_rows(RowRun* r) {
  choose_box(r);
  plan(r);
  const Typed& t = r->typed;
  const Run run = r->whole ? Run(t, r->loop, r->box, r->plan.place, r->plan.width)
                           : Run(t, r->loop, r->box, t.register_place, t.registers_width);
  const int64_t units = r->whole ? r->box.tiles() : r->box.outer;
  const int64_t unit_cost = (r->whole ? r->box.length() : r->row) * (t.cost + 1);
  const int64_t per_chunk = (kChunkCost + unit_cost - 1) / unit_cost;
  auto chunk = [&](int64_t i) {
    RowWorker worker(*r, run);
    int64_t begin = i * per_chunk, end = begin + per_chunk < units ? begin + per_chunk : units;
    r->whole ? worker.run_tiles(begin, end) : worker.run_rows(begin, end);
  };
  int64_t chunks = (units + per_chunk - 1) / per_chunk;
  if (chunks == 1)
    chunk(0);
  else
    parallel_for(chunks, chunk);
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
  if (count < 3 || count > 5) raise(ErrorKind::Type, "rows: takes (program, inputs, axis, out=None, accumulate=0)");
  PyObject* given = count > 3 ? args[3] : Py_None;
  if (!is_program(args[0]) || foreign(given)) return call_fallback("rows", args, count);
  auto* program = reinterpret_cast<ProgramObject*>(args[0]);
  if (!(program->flags & kRowProgram)) raise(ErrorKind::Argument, "rows: takes a row program");
  const int64_t accumulate = count > 4 ? int_argument(args[4], "rows", "accumulate") : 0;
  Inputs in;
  if (!read_inputs(program, args[1], &in)) return call_fallback("rows", args, count);
  const Typed& t = *in.typed;
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
    const npy_intp* shape = (t.rows->row_outputs >> k) & 1 ? row_shape : in.shape;
    PyObject* wanted = PyTuple_Check(given) ? PyTuple_GET_ITEM(given, k) : given;
    is_given[k] = given_out_ok(wanted, in.ndim, shape, "rows");
    if (is_given[k]) {
      Py_INCREF(wanted);
      results[k] = Ref(wanted);
    } else {
      results[k] = Ref(new_array(in.ndim, shape, t.out_dtype[k]));
    }
    read_view(reinterpret_cast<PyArrayObject*>(results[k].get()), "rows", &views[k]);
    bool clash = false;
    for (int j = 0; is_given[k] && j < in.n; ++j)
      clash |= !in.is_scalar[j] && overlap(in.views[j], views[k]) == Overlap::Partial;
    for (int j = 0; is_given[k] && j < k; ++j) clash |= overlap(views[j], views[k]) != Overlap::None;
    if (!clash) continue;
    temporaries[k] = Ref(new_array(in.ndim, shape, t.out_dtype[k]));
    read_view(reinterpret_cast<PyArrayObject*>(temporaries[k].get()), "rows", &views[k]);
  }

  if (in.shape[axis] == 0 && t.rows->row_outputs != 0) {
    int64_t outputs = 1;
    for (int d = 0; d < in.ndim; ++d) outputs *= row_shape[d];
    if (outputs > 0)
      raise(ErrorKind::Shape, "%s: axis %lld has size 0; rows must have elements", program_name(program).c_str(),
            (long long)asked);
  }
  if (in.size() > 0) {
    RowRun r(t, in.shape[axis]);
    Loop& loop = r.loop;
    loop.size[0] = in.shape[axis];
    loop.ndim = 1;
    for (int d = in.ndim - 1; d >= 0; --d)
      if (d != axis && in.shape[d] != 1) loop.size[loop.ndim++] = in.shape[d];
    for (int k = 0; k < in.n; ++k) add_operand(&loop, in.views[k], in, in.shape, int(axis));
    for (int k = 0; k < t.n_outputs; ++k)
      add_operand(&loop, views[k], in, in.shape, int(axis)).accumulate =
          is_given[k] && !temporaries[k] && ((accumulate >> k) & 1);
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
    NoGil free_gil(in.size() * (t.cost + 1) > kReleaseGilCost);
    run_rows(&r);
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
