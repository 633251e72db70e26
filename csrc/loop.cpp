#include "loop.h"

#include <cstdlib>
#include <utility>

namespace gf {

void Loop::set_shape(int n_dims, const npy_intp* shape) {
  ndim = 0;
  for (int d = n_dims - 1; d >= 0; --d)
    if (shape[d] != 1) size[ndim++] = shape[d];
}

Operand& Loop::add(const View& view, int n_dims, const npy_intp* shape) {
  Operand& o = op[n++];
  o.data = view.data;
  o.dtype = view.dtype;
  o.aligned = view.aligned;
  o.accumulate = false;
  int missing = n_dims - view.ndim, k = 0;
  for (int d = n_dims - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    bool repeats = d < missing || view.shape[d - missing] == 1;
    o.stride[k++] = repeats ? 0 : view.strides[d - missing];
  }
  return o;
}

void Loop::swap_dims(int i, int j) {
  std::swap(size[i], size[j]);
  for (int k = 0; k < n; ++k) std::swap(op[k].stride[i], op[k].stride[j]);
}

namespace {

// Whether dimension j should be inside of dimension i.
bool inside(const Loop& loop, int j, int i, int first) {
  for (int step = 0; step < loop.n; ++step) {
    const Operand& o = loop.op[(first + step) % loop.n];
    int64_t si = std::llabs(o.stride[i]), sj = std::llabs(o.stride[j]);
    if (si == 0 || sj == 0 || si == sj) continue;
    return sj < si;
  }
  return false;
}

}  // namespace

void Loop::sort_dims(int from, int to, int first) {
  for (int i = from + 1; i < to; ++i)
    for (int j = i; j > from && inside(*this, j, j - 1, first); --j) swap_dims(j, j - 1);
}

void Loop::flip(int primary) {
  for (int d = 0; d < ndim; ++d) {
    if (op[primary].stride[d] >= 0) continue;
    for (int k = 0; k < n; ++k) {
      op[k].data += (size[d] - 1) * op[k].stride[d];
      op[k].stride[d] = -op[k].stride[d];
    }
  }
}

int Loop::merge(int from, int to) {
  int last = from;
  for (int d = from + 1; d < to; ++d) {
    bool together = true;
    for (int k = 0; together && k < n; ++k) together = op[k].stride[d] == op[k].stride[last] * size[last];
    if (together) {
      size[last] *= size[d];
    } else if (++last != d) {
      size[last] = size[d];
      for (int k = 0; k < n; ++k) op[k].stride[last] = op[k].stride[d];
    }
  }
  int removed = to > from ? to - (last + 1) : 0;
  if (removed > 0) {
    for (int d = to; d < ndim; ++d) {
      size[d - removed] = size[d];
      for (int k = 0; k < n; ++k) op[k].stride[d - removed] = op[k].stride[d];
    }
    ndim -= removed;
  }
  return to - removed;
}

void Loop::split(int d, int64_t piece, int at) {
  for (int e = ndim; e > at; --e) {
    size[e] = size[e - 1];
    for (int k = 0; k < n; ++k) op[k].stride[e] = op[k].stride[e - 1];
  }
  ++ndim;
  size[at] = size[d] / piece;
  size[d] = piece;
  for (int k = 0; k < n; ++k) op[k].stride[at] = op[k].stride[d] * piece;
}

Box make_box_at(const Loop& loop, int dim, int64_t max_length) {
  Box box;
  box.dim = dim;
  box.inner = 1;
  for (int d = 0; d < dim; ++d) box.inner *= loop.size[d];
  int64_t n = dim < loop.ndim ? loop.size[dim] : 1;
  int64_t units = max_length / box.inner;
  if (units < 1) units = 1;
  box.segments = (n + units - 1) / units;
  if (box.segments < 1) box.segments = 1;
  box.step = (n + box.segments - 1) / box.segments;
  if (dim == 0 && box.segments > 1) box.step = (box.step + 63) & ~int64_t(63);  // even tiles, whole vectors
  box.segments = box.step > 0 ? (n + box.step - 1) / box.step : 1;
  box.outer = 1;
  for (int d = dim + 1; d < loop.ndim; ++d) box.outer *= loop.size[d];
  return box;
}

Box make_box(const Loop& loop, int64_t max_length) {
  int dim = 0;
  int64_t inner = 1;
  while (dim + 1 < loop.ndim && inner * loop.size[dim] < kLongRow) inner *= loop.size[dim++];
  return make_box_at(loop, dim, max_length);
}

bool dense_in(const Operand& op, const Loop& loop, const Box& box) {
  int64_t expected = item_size(op.dtype);
  for (int d = 0; d <= box.dim && d < loop.ndim; ++d) {
    if (d > 0 && d == box.dim && box.step == 1) break;  // one row
    if (op.stride[d] != expected) return false;
    expected *= loop.size[d];
  }
  return true;
}

void plan_operand(Operand* op, const Loop& loop, const Box& box, DType reg) {
  bool fixed = true, tile_fixed = true;
  for (int d = 0; d < loop.ndim; ++d) {
    fixed &= op->stride[d] == 0;
    tile_fixed &= d > box.dim || op->stride[d] == 0;
  }
  if (op->dtype == reg && op->aligned && dense_in(*op, loop, box))
    op->mode = Mode::InPlace;
  else
    op->mode = fixed ? Mode::Fixed : tile_fixed ? Mode::TileFixed : Mode::Load;
  // merge the tile's dimensions as far as this operand alone allows
  op->moves = 0;
  op->unit = box.inner;
  for (int d = 0; d <= box.dim; ++d) {
    int64_t stride = d < loop.ndim ? op->stride[d] : 0, n = d < box.dim ? loop.size[d] : 1;
    int last = op->moves - 1;
    if (last >= 0 && stride == op->move_stride[last] * op->move_n[last]) {
      op->move_n[last] *= n;
    } else {
      op->move_n[op->moves] = n;
      op->move_stride[op->moves++] = stride;
    }
  }
}

}  // namespace gf
