#include "runner.h"

namespace gf {
namespace {

constexpr int64_t kSecondLevelCache = 1 << 20;
constexpr int64_t kLastLevelCache = 24 << 20;  // what a core finds there; virtual machines tell many cores' as one

int64_t padded(int64_t length) { return (length + 63) & ~int64_t(63); }

}  // namespace

// A single instruction reads at the speed of memory anyway.
bool Run::streams() const {
  if (typed.code.size() < 2 && !drains) return false;
  int64_t bytes = 0;
  for (int k = 0; k < typed.n_inputs + (outputs ? typed.n_outputs : 0); ++k)
    if (loop.op[k].mode == Mode::InPlace) bytes += loop.elements() * item_size(loop.op[k].dtype);
  return bytes > kSecondLevelCache;
}

bool Run::has_streamed() const {
  bool found = false;
  for (int k = 0; outputs && k < typed.n_outputs; ++k) found |= loop.op[typed.n_inputs + k].mode == Mode::Streamed;
  return found;
}

void stream_large_outputs(const Typed& t, Loop* loop) {
  int64_t bytes = 0;
  int arrays = 0;
  for (int k = 0; k < t.n_inputs + t.n_outputs; ++k) {
    if (loop->op[k].mode != Mode::InPlace) continue;
    ++arrays;
    bytes += loop->elements() * item_size(loop->op[k].dtype);
  }
  if (bytes < kLastLevelCache || arrays < 3) return;  // fewer are computed while the cache writes back
  for (int k = 0; k < t.n_outputs; ++k) {
    Operand& out = loop->op[t.n_inputs + k];
    bool read = false;  // what is written over what has been read is in the cache
    for (int j = 0; j < t.n_inputs; ++j) read |= loop->op[j].data == out.data;
    if (out.mode == Mode::InPlace && !read) out.mode = Mode::Streamed;
  }
}

size_t scratch_bytes(const Run& run) {
  const Typed& t = run.typed;
  int64_t length = padded(run.box.length());
  size_t bytes = size_t(t.n_slots + 3 * kMaxOperands) * sizeof(void*) + 64 * 3;
  bytes += size_t(length * run.registers_width);
  for (int k = 0; k < t.n_inputs; ++k) bytes += size_t(length * item_size(t.input_reg[k]));
  for (int k = 0; k < t.n_outputs; ++k) bytes += size_t(length * item_size(register_of(t.out_dtype[k])));
  if (run.box.length() > kConstTile) bytes += size_t(length * 8) * size_t(t.n_consts);
  return bytes + size_t(length * 16);  // two spare tiles
}

Runner::Runner(const Run& run, char* memory) : run_(run) {
  const Typed& t = run.typed;
  const int64_t length = padded(run.box.length());
  slot_ = reinterpret_cast<void**>(memory);
  loaded_ = reinterpret_cast<char**>(slot_ + t.n_slots);
  tile_of_input_ = loaded_ + kMaxOperands;
  tile_of_output_ = tile_of_input_ + kMaxOperands;
  char* p = reinterpret_cast<char*>(tile_of_output_ + kMaxOperands);
  p = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(p) + 63) & ~uintptr_t(63));
  auto take = [&](int64_t width) {
    char* tile = p;
    p += length * width;
    return tile;
  };
  // Tiles are as wide as what they hold, so that a float32 program fills half of what a float64 one does.
  for (int r = 0; r < t.n_registers; ++r) slot_[r] = p + length * run.place[size_t(r)];
  p += length * run.registers_width;
  for (int k = 0; k < t.n_consts; ++k) {
    slot_[t.const_slot(k)] = const_cast<char*>(t.const_tile(k));
    if (run.box.length() <= kConstTile) continue;
    char* tile = take(item_size(t.const_dtype[k]));
    kernels->load[t.const_dtype[k]](tile, t.const_tile(k), run.box.length(), 0, 1, 0);
    slot_[t.const_slot(k)] = tile;
  }
  for (int k = 0; k < t.n_inputs; ++k) {
    const Operand& op = run.loop.op[k];
    if (op.mode == Mode::InPlace) continue;
    slot_[t.input_slot(k)] = tile_of_input_[k] = take(item_size(t.input_reg[k]));
    loaded_[k] = nullptr;
    if (op.mode == Mode::Fixed) fill(op, k, run.box.step * op.unit, op.data);
  }
  for (int k = 0; k < t.n_outputs; ++k) {
    if (run.outputs && run.loop.op[t.n_inputs + k].mode == Mode::InPlace) continue;
    if (run.out_slot[k] == t.output_slot(k))
      slot_[t.output_slot(k)] = tile_of_output_[k] = take(item_size(register_of(t.out_dtype[k])));
  }
  spare_ = p;
  for (int d = 0; d < run.loop.ndim; ++d) coordinate_[d] = 0;
  locate();
}

void Runner::fill(const Operand& op, int input, int64_t n, const char* from) {
  DType have = register_of(op.dtype), want = run_.typed.input_reg[input];
  char* tile = tile_of_input_[input];
  if (have == want) {
    kernels->load[op.dtype](tile, from, n, 0, 1, 0);
    return;
  }
  alignas(8) char natural[8], converted[8];
  kernels->load[op.dtype](natural, from, 1, 0, 1, 0);
  kernels->cast[want][reg_index(have)](converted, natural, natural, natural, 1);
  kernels->load[want](tile, converted, n, 0, 1, 0);
}

void Runner::seek(int64_t tile) {
  const Box& box = run_.box;
  tile_ = tile;
  segment_ = tile % box.segments;
  int64_t rest = tile / box.segments;
  for (int d = box.dim + 1; d < run_.loop.ndim; ++d) {
    coordinate_[d] = rest % run_.loop.size[d];
    rest /= run_.loop.size[d];
  }
  locate();
}

void Runner::carry() {
  for (int d = run_.box.dim + 1; d < run_.loop.ndim; ++d) {
    if (++coordinate_[d] < run_.loop.size[d]) return;
    coordinate_[d] = 0;
  }
}

void Runner::locate() {
  const Box& box = run_.box;
  int64_t n = run_.loop.ndim > 0 ? run_.loop.size[box.dim] : 1;
  first_ = segment_ * box.step;
  count_ = n - first_ < box.step ? n - first_ : box.step;
  length_ = count_ * box.inner;
  start_ = (tile_ / box.segments * n + first_) * box.inner;
}

void move_in(void* tile, const Operand& op, const char* from, int64_t count) {
  LoadFn fn = kernels->load[op.dtype];
  const int last = op.moves - 1;
  const int64_t size = item_size(register_of(op.dtype));
  int64_t n0 = last == 0 ? op.move_n[0] * count : op.move_n[0];
  if (last == 0) {
    fn(tile, from, n0, op.move_stride[0], 1, 0);
    return;
  }
  int64_t n1 = last == 1 ? op.move_n[1] * count : op.move_n[1];
  int64_t position[kMaxDims] = {0}, block = n0 * n1 * size;
  char* to = static_cast<char*>(tile);
  for (;;) {
    fn(to, from, n0, op.move_stride[0], n1, op.move_stride[1]);
    to += block;
    int d = 2;
    for (; d <= last; ++d) {
      int64_t n = d == last ? op.move_n[d] * count : op.move_n[d];
      from += op.move_stride[d];
      if (++position[d] < n) break;
      from -= n * op.move_stride[d];
      position[d] = 0;
    }
    if (d > last) return;
  }
}

void move_out(char* to, const Operand& op, const void* tile, int64_t count, bool accumulate) {
  StoreFn fn = accumulate ? kernels->accumulate[op.dtype] : kernels->store[op.dtype];
  const int last = op.moves - 1;
  const int64_t size = item_size(register_of(op.dtype));
  int64_t n0 = last == 0 ? op.move_n[0] * count : op.move_n[0];
  if (last == 0) {
    fn(to, tile, n0, op.move_stride[0], 1, 0);
    return;
  }
  int64_t n1 = last == 1 ? op.move_n[1] * count : op.move_n[1];
  int64_t position[kMaxDims] = {0}, block = n0 * n1 * size;
  const char* from = static_cast<const char*>(tile);
  for (;;) {
    fn(to, from, n0, op.move_stride[0], n1, op.move_stride[1]);
    from += block;
    int d = 2;
    for (; d <= last; ++d) {
      int64_t n = d == last ? op.move_n[d] * count : op.move_n[d];
      to += op.move_stride[d];
      if (++position[d] < n) break;
      to -= n * op.move_stride[d];
      position[d] = 0;
    }
    if (d > last) return;
  }
}

void Runner::load(uint32_t inputs) {
  const Typed& t = run_.typed;
  for (int k = 0; k < t.n_inputs; ++k) {
    const Operand& op = run_.loop.op[k];
    if (op.mode == Mode::Fixed || !((inputs >> k) & 1)) continue;
    char* from = address(op);
    if (op.mode == Mode::InPlace) {
      slot_[t.input_slot(k)] = from;
      continue;
    }
    if (op.mode == Mode::TileFixed) {
      // one value for the tile, and maybe for the next ones as well
      if (loaded_[k] != from) fill(op, k, run_.box.length(), from);
      loaded_[k] = from;
      continue;
    }
    char* tile = tile_of_input_[k];
    if (op.mode == Mode::FromLoad) {  // a copy: straight into the output
      tile = address(run_.loop.op[t.n_inputs]);
      slot_[t.input_slot(k)] = tile;
    } else if (loaded_[k] == from && count_ == run_.box.step) {
      continue;  // the same elements as in the last tile: an input that repeats along the outer dimensions
    }
    DType have = register_of(op.dtype), want = t.input_reg[k];
    const int64_t bytes = item_size(op.dtype), n = count_ * op.unit;
    if (have == want) {
      move_in(tile, op, from, count_);
    } else if (op.dtype == have && op.aligned && op.moves == 1 && op.move_stride[0] == bytes) {
      kernels->cast[want][reg_index(have)](tile, from, from, from, n);
    } else {
      move_in(spare_, op, from, count_);
      kernels->cast[want][reg_index(have)](tile, spare_, spare_, spare_, n);
    }
    loaded_[k] = count_ == run_.box.step ? from : nullptr;
  }
  if (!run_.outputs) return;
  for (int k = 0; k < t.n_outputs; ++k) {
    const Operand& op = run_.loop.op[t.n_inputs + k];
    if (op.mode == Mode::InPlace) slot_[run_.out_slot[k]] = address(op);
  }
}

// The hardware's prefetchers stop at the end of a page, which is where a tile ends. Spread over the steps, so that the
// loads are under way while these compute.
void Runner::start_prefetch(int64_t steps) {
  const Typed& t = run_.typed;
  for (int k = 0; run_.outputs && k < t.n_outputs; ++k) {
    const Operand& out = run_.loop.op[t.n_inputs + k];
    if (out.mode == Mode::Streamed) steps += length_ * item_size(out.dtype) / kStreamStep;
  }
  ahead_.n = 0;
  for (int k = 0; k < t.n_inputs + (run_.outputs ? t.n_outputs : 0); ++k) {
    const Operand& op = run_.loop.op[k];
    const bool write = k >= t.n_inputs;
    if (op.mode != Mode::InPlace || op.stride[run_.box.dim] == 0) continue;
    const int slot = write ? run_.out_slot[k - t.n_inputs] : t.input_slot(k);
    const int64_t bytes = length_ * item_size(op.dtype);
    const char* next = static_cast<const char*>(slot_[slot]) + bytes;
    ahead_.piece[ahead_.n++] = {next, next + bytes, (bytes / steps + 64) & ~int64_t(63), write};
  }
}

void Runner::execute() {
  const Typed& t = run_.typed;
  void** slot = slot_;
  const int64_t n = length_;
  if (t.compiled) {
    if (run_.prefetch) start_prefetch(t.compiled->steps);
    void* out[kMaxOutputs];
    for (int k = 0; k < t.n_outputs; ++k) out[k] = slot[t.out_slot[k]];
    t.compiled->fn(slot + t.input_slot(0), out, n, 1, nullptr, ahead_);
    return;
  }
  if (run_.prefetch) start_prefetch(int64_t(t.code.size()));
  for (const Instr& in : t.code) {
    prefetch();
    if (in.fn)
      in.fn(slot[in.dst], slot[in.a], slot[in.b], slot[in.c], n);
    else if (in.op == kOpRandom)
      kernels->random(static_cast<int64_t*>(slot[in.dst]), *static_cast<int64_t*>(slot[in.a]),
                      int64_t(uint64_t(*static_cast<int64_t*>(slot[in.b])) + uint64_t(start_)), n);
    else
      kernels->iota(static_cast<int64_t*>(slot[in.dst]), start_, 1, n);
  }
}

void Runner::store() {
  const Typed& t = run_.typed;
  for (int k = 0; k < t.n_outputs; ++k) {
    const Mode mode = run_.loop.op[t.n_inputs + k].mode;
    if (mode != Mode::InPlace && mode != Mode::FromLoad) store_output(k, slot_[run_.out_slot[k]], length_, count_);
  }
}

void Runner::store_output(int k, const void* tile, int64_t length, int64_t count) {
  const Operand& op = run_.loop.op[run_.typed.n_inputs + k];
  if (op.mode == Mode::Streamed) return kernels->stream(address(op), tile, length * item_size(op.dtype), ahead_);
  const DType out = run_.typed.out_dtype[k], have = register_of(out), want = register_of(op.dtype);
  if (out != have && out != op.dtype) {  // another type's array still gets values that were rounded or wrapped
    kernels->cast[out][reg_index(have)](spare_, tile, tile, tile, length);
    tile = spare_;
  }
  if (have != want && op.dtype == want && op.aligned && !op.accumulate && op.moves == 1 &&
      op.move_stride[0] == item_size(want)) {
    kernels->cast[want][reg_index(have)](address(op), tile, tile, tile, length);
    return;
  }
  if (have != want) {
    char* converted = spare_ + padded(run_.box.length()) * 8;
    kernels->cast[want][reg_index(have)](converted, tile, tile, tile, length);
    tile = converted;
  }
  move_out(address(op), op, tile, count, op.accumulate);
}

}  // namespace gf
