// elementwise(program, inputs, out, accumulate): a program over the elements of broadcast arrays.
#include "elementwise.h"

#include <cstring>

#include "runner.h"

namespace gf {
namespace {

constexpr int64_t kTileBytes = 4096;     // a few tiles must fit the first-level cache
constexpr int64_t kLongTile = 1 << 15;   // when no tile memory is needed
constexpr int64_t kChunkCost = 1 << 17;  // work worth handing to another thread
constexpr int64_t kReleaseGilCost = 1 << 16;

// ---- outputs that share memory with inputs -------------------------------------------------------------------------

bool same_elements(const Operand& a, const Operand& b, int ndim) {
  if (a.data != b.data || a.dtype != b.dtype) return false;
  for (int d = 0; d < ndim; ++d)
    if (a.stride[d] != b.stride[d]) return false;
  return true;
}

// An output written in place must not change an input that is read in place later in the same tile.
void guard_aliases(const Typed& t, Loop* loop) {
  for (int k = 0; k < t.n_outputs; ++k) {
    Operand& out = loop->op[t.n_inputs + k];
    for (int j = 0; j < t.n_inputs; ++j) {
      Operand& in = loop->op[j];
      if (in.mode != Mode::InPlace || !((t.read_after[k] >> j) & 1) || !same_elements(in, out, loop->ndim)) continue;
      if (out.mode == Mode::InPlace) out.mode = Mode::Load;
      // copied by another output after this one has been stored: keep the old values
      for (int other = 0; other < t.n_outputs; ++other)
        if (other != k && t.out_slot[other] == t.input_slot(j)) in.mode = Mode::Load;
    }
  }
}

void plan(const Typed& t, Loop* loop, const Box& box) {
  for (int k = 0; k < t.n_inputs; ++k) plan_operand(&loop->op[k], *loop, box, t.input_reg[k]);
  for (int k = 0; k < t.n_outputs; ++k) {
    Operand& out = loop->op[t.n_inputs + k];
    plan_operand(&out, *loop, box, register_of(t.out_dtype[k]));
    // dense in the tile, but it adds, or converts, or no instruction of its own writes it
    if (out.mode != Mode::InPlace || out.accumulate || out.dtype != t.out_dtype[k] || t.out_slot[k] != t.output_slot(k))
      out.mode = Mode::Load;
  }
}

// A copy that is loaded straight into the output.
bool is_load(const Typed& t, const Loop& loop, const Box& box) {
  return t.code.empty() && t.n_inputs == 1 && t.n_outputs == 1 && loop.op[0].mode != Mode::InPlace &&
         loop.op[1].dtype == t.out_dtype[0] && loop.op[1].aligned && !loop.op[1].accumulate &&
         register_of(loop.op[1].dtype) == loop.op[1].dtype && dense_in(loop.op[1], loop, box);
}

bool needs_tiles(const Typed& t, const Loop& loop, const Box& box) {
  if (is_load(t, loop, box)) return false;
  if (t.code.size() > 1 || t.n_consts > 0) return true;
  for (int k = 0; k < t.n_inputs; ++k)
    if (loop.op[k].mode != Mode::InPlace) return true;
  for (int k = 0; k < t.n_outputs; ++k) {
    const Operand& out = loop.op[t.n_inputs + k];
    if (out.mode != Mode::InPlace && (t.out_slot[k] == t.output_slot(k) || out.dtype != t.out_dtype[k])) return true;
  }
  return false;
}

void run_box(const Typed& t, Loop* loop, const Box& box) {
  guard_aliases(t, loop);
  if (is_load(t, *loop, box)) loop->op[0].mode = loop->op[1].mode = Mode::FromLoad;
  Run run{t, *loop, box, true};
  const size_t bytes = scratch_bytes(run);
  const int64_t tiles = box.tiles();
  int64_t tile_cost = box.length() * (t.cost + 1);
  int64_t per_chunk = (kChunkCost + tile_cost - 1) / tile_cost;
  auto chunk = [&](int64_t i) {
    Runner runner(run, scratch(bytes));
    int64_t tile = i * per_chunk, end = tile + per_chunk < tiles ? tile + per_chunk : tiles;
    if (tile > 0) runner.seek(tile);
    for (;;) {
      runner.load();
      runner.execute();
      runner.store();
      if (++tile == end) return;
      runner.next();
    }
  };
  if (tiles <= per_chunk)
    chunk(0);
  else
    parallel_for((tiles + per_chunk - 1) / per_chunk, chunk);
}

// ---- transposed operands -------------------------------------------------------------------------------------------

constexpr int64_t kBlock = 32;

// A dimension along which some operand is contiguous that strides over whole cache lines in dimension 0.
int transposed_dim(const Loop& loop) {
  if (loop.ndim < 2 || loop.ndim > kMaxDims - 2 || loop.size[0] < kBlock) return 0;
  for (int k = 0; k < loop.n; ++k) {
    const Operand& op = loop.op[k];
    if (op.stride[0] > -64 && op.stride[0] < 64) continue;
    for (int d = 1; d < loop.ndim; ++d)
      if (op.stride[d] == item_size(op.dtype) && loop.size[d] >= kBlock) return d;
  }
  return 0;
}

void copy_loop(Loop* to, const Loop& from) {
  to->ndim = from.ndim;
  to->n = from.n;
  for (int d = 0; d < from.ndim; ++d) to->size[d] = from.size[d];
  for (int k = 0; k < from.n; ++k) to->op[k] = from.op[k];
}

// Square blocks of both dimensions are tiles, so that every cache line is used up while it is near.
void run_blocked(const Typed& t, const Loop& loop, int dim) {
  int64_t tile = kTileBytes / t.register_bytes;
  int64_t main0 = loop.size[0] / kBlock * kBlock, main1 = loop.size[dim] / kBlock * kBlock;
  for (int part = 0; part < 4; ++part) {
    bool rest0 = part & 1, rest1 = part & 2;
    int64_t n0 = rest0 ? loop.size[0] - main0 : main0, n1 = rest1 ? loop.size[dim] - main1 : main1;
    if (n0 == 0 || n1 == 0) continue;
    Loop sub;
    copy_loop(&sub, loop);
    sub.size[0] = n0;
    sub.size[dim] = n1;
    for (int k = 0; k < sub.n; ++k)
      sub.op[k].data += (rest0 ? main0 * sub.op[k].stride[0] : 0) + (rest1 ? main1 * sub.op[k].stride[dim] : 0);
    if (dim != 1) sub.swap_dims(1, dim);
    if (!rest1) sub.split(1, kBlock, sub.ndim);
    if (!rest0) sub.split(0, kBlock, 2);
    Box box = make_box_at(sub, 1, tile);
    plan(t, &sub, box);
    run_box(t, &sub, box);
  }
}

// Short types are copied without a detour through wider registers where both sides are dense, or the source is one
// value.
bool copy_short(const Typed& t, const Loop& loop) {
  const Operand &from = loop.op[0], &to = loop.op[1];
  const int64_t item = item_size(to.dtype);
  if (!t.code.empty() || t.n_inputs != 1 || t.n_outputs != 1 || from.dtype != to.dtype || to.dtype != t.out_dtype[0] ||
      to.accumulate || item > 2 || loop.ndim != 1 || to.stride[0] != item ||
      (from.stride[0] != item && from.stride[0] != 0))
    return false;
  const int64_t n = loop.size[0], chunks = n / kChunkCost + 1;
  parallel_for(chunks, [&](int64_t i) {
    const int64_t first = n * i / chunks, last = n * (i + 1) / chunks;
    char* start = to.data + first * item;
    if (from.stride[0] != 0)
      memmove(start, from.data + first * item, size_t((last - first) * item));
    else if (item == 1)
      memset(start, *reinterpret_cast<unsigned char*>(from.data), size_t(last - first));
    else
      for (int64_t k = 0; k < last - first; ++k) memcpy(start + 2 * k, from.data, 2);
  });
  return true;
}

}  // namespace

void run_elementwise(const Typed& t, Loop* loop, bool in_order) {
  if (copy_short(t, *loop)) return;
  int64_t tile = kTileBytes / t.register_bytes;
  if (!in_order) {
    if (int dim = transposed_dim(*loop)) return run_blocked(t, *loop, dim);
  }
  if (t.code.size() <= 1) {
    Box box = make_box(*loop, kLongTile);
    plan(t, loop, box);
    stream_large_outputs(t, loop);
    if (box.length() <= tile || !needs_tiles(t, *loop, box)) return run_box(t, loop, box);
  }
  Box box = make_box(*loop, tile);
  plan(t, loop, box);
  stream_large_outputs(t, loop);
  run_box(t, loop, box);
}

// ---- fresh outputs -------------------------------------------------------------------------------------------------

namespace {

bool full_size(const View& v, int ndim, const npy_intp* shape) {
  if (v.ndim != ndim) return false;
  for (int d = 0; d < ndim; ++d)
    if (v.shape[d] != shape[d]) return false;
  return true;
}

// Strides, in elements, of the dense permutation that all full-size inputs share; false: use C order.
bool shared_permutation(const Inputs& in, npy_intp* strides) {
  int order[kMaxDims], found = -1;
  for (int k = 0; k < in.n; ++k) {
    const View& v = in.views[k];
    if (in.is_scalar[k] || !full_size(v, in.ndim, in.shape)) continue;
    const npy_intp item = item_size(v.dtype);
    if (found >= 0) {
      for (int d = 0; d < in.ndim; ++d)
        if (in.shape[d] > 1 && v.strides[d] != strides[d] * item) return false;
      continue;
    }
    found = k;
    for (int d = 0; d < in.ndim; ++d) {  // dimensions from the largest stride to the smallest
      int at = d;
      for (; at > 0 && v.strides[d] > v.strides[order[at - 1]]; --at) order[at] = order[at - 1];
      order[at] = d;
    }
    npy_intp expected = 1;
    for (int i = in.ndim - 1; i >= 0; --i) {
      int d = order[i];
      if (in.shape[d] > 1 && v.strides[d] != expected * item) return false;
      strides[d] = expected;
      expected *= in.shape[d];
    }
  }
  return found >= 0;
}

PyObject* fresh_output(const Inputs& in, DType dtype, bool permute) {
  npy_intp strides[kMaxDims];
  if (permute && in.ndim > 1 && shared_permutation(in, strides)) {
    for (int d = 0; d < in.ndim; ++d) strides[d] *= item_size(dtype);
    return new_array(in.ndim, in.shape, strides, dtype);
  }
  return new_array(in.ndim, in.shape, dtype);
}

struct Outputs {
  int n = 0;
  Ref result[kMaxOutputs];     // what the caller gets
  Ref temporary[kMaxOutputs];  // where it is computed when the result overlaps something
  View views[kMaxOutputs];
};

bool flat(PyObject* array) {
  auto* a = reinterpret_cast<PyArrayObject*>(array);
  return PyArray_IS_C_CONTIGUOUS(a) && PyArray_ISALIGNED(a);
}

// The k-th of `out`, which is None, an array or a tuple.
PyObject* given(PyObject* out, int k, int n) {
  if (!out || out == Py_None) return nullptr;
  if (!PyTuple_Check(out)) return n == 1 ? out : nullptr;
  PyObject* item = PyTuple_GET_ITEM(out, k);
  return item == Py_None ? nullptr : item;
}

bool foreign_out(PyObject* out, int n) {
  if (!out || out == Py_None) return false;
  if (PyTuple_Check(out)) {
    if (PyTuple_GET_SIZE(out) != n)
      raise(ErrorKind::Type, "elementwise: out has %d entries for %d outputs", int(PyTuple_GET_SIZE(out)), n);
    for (int k = 0; k < n; ++k)
      if (given(out, k, n) && !is_array(given(out, k, n))) return true;
    return false;
  }
  if (!is_array(out)) return true;
  if (n != 1) raise(ErrorKind::Type, "elementwise: the program has %d outputs; out must be a tuple of as many", n);
  return false;
}

// The inputs are broadcast to the shape of a given out, so that a program without arrays can fill one.
void widen_to(PyObject* out, Inputs* in) {
  auto* array = reinterpret_cast<PyArrayObject*>(out);
  const int ndim = PyArray_NDIM(array), missing = ndim - in->ndim;
  if (missing < 0) return;
  bool same = missing == 0;
  for (int d = 0; d < in->ndim; ++d) {
    npy_intp want = PyArray_DIM(array, d + missing);
    if (in->shape[d] != want && in->shape[d] != 1) return;  // prepare_outputs says what is wrong
    same &= in->shape[d] == want;
  }
  if (same) return;
  in->ndim = ndim;
  for (int d = 0; d < ndim; ++d) in->shape[d] = PyArray_DIM(array, d);
  in->all_flat = true;
  for (int k = 0; k < in->n; ++k) in->all_flat &= in->is_scalar[k] || in->views[k].size() == 1;
}

// Sets up the outputs; returns whether all of them are contiguous.
bool prepare_outputs(ProgramObject* program, const Inputs& in, PyObject* out, Outputs* outputs) {
  const Typed& t = *in.typed;
  bool all_flat = true;
  for (int k = 0; k < t.n_outputs; ++k) {
    PyObject* wanted = given(out, k, t.n_outputs);
    ++outputs->n;
    if (!wanted) {
      outputs->result[k] = Ref(fresh_output(in, t.out_dtype[k], !in.all_flat && !(program->flags & kInOrder)));
      all_flat &= in.all_flat || flat(outputs->result[k].get());
      read_view(reinterpret_cast<PyArrayObject*>(outputs->result[k].get()), "elementwise", &outputs->views[k]);
      continue;
    }
    try {
      given_out_ok(wanted, in.ndim, in.shape, "elementwise");
    } catch (const Error&) {  // the program's own name costs a look-up: only for the message
      given_out_ok(wanted, in.ndim, in.shape, program_name(program).c_str());
    }
    Py_INCREF(wanted);
    outputs->result[k] = Ref(wanted);
    View& view = outputs->views[k];
    read_view(reinterpret_cast<PyArrayObject*>(wanted), "elementwise", &view);
    bool clash = false;
    for (int j = 0; !clash && j < in.n; ++j) clash = !in.is_scalar[j] && overlap(in.views[j], view) == Overlap::Partial;
    for (int j = 0; !clash && j < k; ++j) clash = overlap(outputs->views[j], view) != Overlap::None;
    if (clash) {
      outputs->temporary[k] = Ref(new_array(in.ndim, in.shape, t.out_dtype[k]));
      read_view(reinterpret_cast<PyArrayObject*>(outputs->temporary[k].get()), "elementwise", &view);
    } else {
      all_flat &= flat(wanted);
    }
  }
  return all_flat;
}

PyObject* hand_over(Outputs* outputs) {
  if (outputs->n == 1) return outputs->result[0].release();
  Ref tuple(PyTuple_New(outputs->n));
  if (!tuple) throw PythonError{};
  for (int k = 0; k < outputs->n; ++k) PyTuple_SET_ITEM(tuple.get(), k, outputs->result[k].release());
  return tuple.release();
}

void flat_operand(Operand* op, const View& v, int64_t n) {
  op->data = v.data;
  op->dtype = v.dtype;
  op->aligned = v.aligned;
  op->accumulate = false;
  op->stride[0] = v.ndim == 0 || (n > 1 && v.size() == 1) ? 0 : item_size(v.dtype);
}

}  // namespace

PyObject* elementwise(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 2 || count > 4) raise(ErrorKind::Type, "elementwise: takes (program, inputs, out=None, accumulate=0)");
  if (!is_program(args[0])) return call_fallback("elementwise", args, count);
  auto* program = reinterpret_cast<ProgramObject*>(args[0]);
  PyObject* out = count > 2 ? args[2] : nullptr;
  int64_t accumulate = count > 3 ? int_argument(args[3], "elementwise", "accumulate") : 0;
  if (program->flags & kRowProgram) raise(ErrorKind::Argument, "elementwise: a row program needs rows()");
  Inputs in;
  if (!scan_inputs(program, args[1], &in)) return call_fallback("elementwise", args, count);
  if (PyObject* result = small_elementwise(in, out, accumulate)) return result;
  if (foreign_out(out, program->n_outputs)) return call_fallback("elementwise", args, count);
  view_inputs(program, &in);
  const Typed& t = *in.typed;
  for (int k = 0; k < t.n_outputs; ++k)
    if (PyObject* wanted = given(out, k, t.n_outputs)) {
      widen_to(wanted, &in);
      break;
    }
  Outputs outputs;
  bool all_flat = prepare_outputs(program, in, out, &outputs) && in.all_flat;
  const int64_t n = in.size();
  if (n == 0) return hand_over(&outputs);
  Loop loop;
  if (all_flat) {
    loop.ndim = n > 1;
    loop.size[0] = n;
    for (int k = 0; k < in.n; ++k) flat_operand(&loop.op[k], in.views[k], n);
    for (int k = 0; k < t.n_outputs; ++k) flat_operand(&loop.op[in.n + k], outputs.views[k], n);
    loop.n = in.n + t.n_outputs;
  } else {
    loop.set_shape(in.ndim, in.shape);
    for (int k = 0; k < in.n; ++k) loop.add(in.views[k], in.ndim, in.shape);
    for (int k = 0; k < t.n_outputs; ++k) loop.add(outputs.views[k], in.ndim, in.shape);
    if (!(program->flags & kInOrder)) {
      loop.sort_dims(0, loop.ndim, in.n);
      loop.flip(in.n);
    }
    loop.merge(0, loop.ndim);
  }
  for (int k = 0; k < t.n_outputs; ++k)
    loop.op[in.n + k].accumulate = ((accumulate >> k) & 1) && !outputs.temporary[k] && given(out, k, t.n_outputs);
  {
    NoGil free_gil(n * (t.cost + 1) > kReleaseGilCost);
    run_elementwise(t, &loop, program->flags & kInOrder);
  }
  for (int k = 0; k < t.n_outputs; ++k) {
    if (!outputs.temporary[k]) continue;
    View target;
    read_view(reinterpret_cast<PyArrayObject*>(outputs.result[k].get()), "elementwise", &target);
    copy_view(outputs.views[k], target, (accumulate >> k) & 1);
  }
  return hand_over(&outputs);
}

void copy_view(const View& src, const View& out, bool accumulate) {
  const View* from = &src;
  View copied;
  Ref temporary;
  if (overlap(src, out) == Overlap::Partial) {
    temporary = Ref(new_array(src.ndim, src.shape, src.dtype));
    read_view(reinterpret_cast<PyArrayObject*>(temporary.get()), "copy", &copied);
    copy_view(src, copied);
    from = &copied;
  }
  if (out.size() == 0) return;
  alignas(8) char one[8];
  if (from->size() == 1 && from->dtype != out.dtype && out.size() > 1) {  // converted once
    View first = *from;
    first.ndim = copied.ndim = 0;
    copied.data = one;
    copied.dtype = out.dtype;
    copied.aligned = true;
    copy_view(first, copied);
    from = &copied;
  }
  const Typed& t = *copy_program(register_of(from->dtype));
  Loop loop;
  loop.set_shape(out.ndim, out.shape);
  loop.add(*from, out.ndim, out.shape);
  loop.add(out, out.ndim, out.shape).accumulate = accumulate;
  loop.sort_dims(0, loop.ndim, 1);
  loop.flip(1);
  loop.merge(0, loop.ndim);
  NoGil free_gil(loop.elements() > kReleaseGilCost);
  run_elementwise(t, &loop, false);
}

}  // namespace gf
