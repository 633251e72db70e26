// Runs row programs: tiles of whole rows, or long rows in several passes.
#include "row_run.h"

#include <algorithm>
#include <cstdlib>

namespace gf {
namespace {

constexpr int64_t kTileElements = 1024;
constexpr int64_t kRowBytes = 1 << 18;  // tiles of a whole row must fit the second-level cache
constexpr int64_t kChunkCost = 1 << 17;
constexpr int64_t kCompiledTile = 2048;     // elements of whole rows that a compiled program gets at a time
constexpr int64_t kCompiledRow = 96;        // shorter rows the interpreter folds many at a time
constexpr int64_t kSumsElements = 1 << 17;  // of all pieces together

class RowWorker {
 public:
  RowWorker(const RowRun& r, const Run& run)
      : r_(r),
        memory_(scratch(own_bytes(r) + scratch_bytes(run))),
        runner_(run, memory_ + own_bytes(r)),
        prefetch_(run.prefetch) {}

  static size_t own_bytes(const RowRun& r) { return fold_bytes(r) + size_t(count_summed(r)) * lane_bytes(r); }

  // Sums of the rows of this piece of work begin.
  void start_sums(char* sums) {
    char* lanes = memory_ + fold_bytes(r_);
    for (int k = 0; k < r_.typed.n_outputs; ++k) {
      if (!r_.is_summed(k)) continue;
      lanes_[k] = lanes;
      lanes += lane_bytes(r_);
      sums_[k] = sums;
      sums += size_t(r_.row) * r_.fold(k).acc_size;
      r_.fold(k).init_lanes(lanes_[k], r_.row);
      r_.fold(k).init(sums_[k], r_.row);
      room_ = r_.fold(k).lane_steps;
    }
  }
  void finish_sums() {
    for (int k = 0; k < r_.typed.n_outputs; ++k)
      if (r_.is_summed(k)) r_.fold(k).flush(sums_[k], lanes_[k], r_.row);
  }

  // Rows that fit: tile after tile.
  void run_tiles(int64_t begin, int64_t end) {
    runner_.seek(begin);
    for (int64_t tile = begin;;) {
      rows_ = runner_.count();
      runner_.load();
      if (prefetch_) runner_.start_prefetch(r_.compiled ? rows_ * r_.compiled->steps : int64_t(r_.plan.steps.size()));
      r_.compiled ? compute() : interpret();
      for (int k = 0; k < r_.typed.n_outputs; ++k) r_.is_summed(k) ? add_up(k, 0, rows_) : store(k);
      if (r_.summed) make_room(rows_ / 4 + rows_ % 4);
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
      runner_.load(r_.plan.row_inputs);
      per_row(0);
      for (int pass = 0; pass < r_.plan.passes; ++pass) {
        for_reductions(pass, &RowWorker::start);
        for (int64_t segment = 0; segment < segments; ++segment) {
          runner_.seek(row * segments + segment);
          runner_.load(r_.plan.pass_inputs[size_t(pass)]);
          for (const RowStep& step : r_.plan.steps) {
            if (!((step.passes >> pass) & 1)) continue;
            step.reduces() ? take(step) : execute(step);
          }
          if (pass + 1 == r_.plan.passes) store_segment();
        }
        for_reductions(pass, &RowWorker::finish);
        per_row(pass + 1);
      }
      for (int k = 0; k < r_.typed.n_outputs; ++k)
        if (r_.plan.per_row(k) && !r_.plan.first_only(k)) store(k);
      if (r_.summed) make_room(1);
    }
  }

 private:
  const RowRun& r_;
  char* memory_;
  Runner runner_;
  bool prefetch_;
  int64_t rows_ = 0;
  int64_t columns_done_ = 0;  // rows for which the column numbers are in their tiles

  char* lanes_[kMaxOutputs];  // of the summed outputs: in their register's type, flushed to the sums in time
  char* sums_[kMaxOutputs];
  int64_t room_ = 0;

  static size_t fold_bytes(const RowRun& r) {
    return (size_t(r.plan.reductions) * size_t(rows_of(r)) * 16 + 63) & ~size_t(63);
  }
  static size_t lane_bytes(const RowRun& r) { return (size_t(r.row) * 8 + 63) & ~size_t(63); }
  static int count_summed(const RowRun& r) { return __builtin_popcount(r.summed); }

  void interpret() {
    for (const RowStep& step : r_.plan.steps) {
      runner_.prefetch();
      if (step.reduces()) {
        start(step);
        take(step);
        finish(step);
      } else {
        execute(step);
      }
    }
  }

  void compute() {
    const Typed& t = r_.typed;
    void* out[kMaxOutputs];
    for (int k = 0; k < t.n_outputs; ++k) out[k] = runner_.slot()[r_.plan.out_slot[k]];
    r_.compiled->fn(runner_.slot() + t.input_slot(0), out, runner_.length() / rows_, rows_, r_.row_step,
                    runner_.ahead());
  }

  void add_up(int k, int64_t first, int64_t rows) {
    const int64_t n = runner_.length() / rows, size = item_size(register_of(r_.typed.out_dtype[k]));
    r_.fold(k).vertical(lanes_[k] + first * size, runner_.slot()[r_.plan.out_slot[k]], n, rows, n * size);
  }
  void make_room(int64_t steps) {
    if ((room_ -= steps) > 0) return;
    finish_sums();
    for (int k = 0; k < r_.typed.n_outputs; ++k)
      if (r_.is_summed(k)) room_ = r_.fold(k).lane_steps;
  }

  static int64_t rows_of(const RowRun& r) { return r.whole ? r.box.step : 1; }
  const Fold& fold(const Instr& in) const { return kernels->fold[in.op == kOpRowSum ? kSum : kMax][in.reg]; }
  char* accumulator(const RowStep& step) { return memory_ + size_t(step.reduction) * size_t(rows_of(r_)) * 16; }

  void start(const RowStep& step) { fold(step.in).init(accumulator(step), rows_); }
  void take(const RowStep& step) {
    const Instr& in = step.in;
    if (step.kind == RowStep::Product)
      kernels->sum_of_products[in.reg](accumulator(step), runner_.slot()[in.a], runner_.slot()[in.b],
                                       runner_.length() / rows_, rows_);
    else
      fold(in).rows(accumulator(step), runner_.slot()[in.a], runner_.length() / rows_, rows_);
  }
  void finish(const RowStep& step) { fold(step.in).finish(runner_.slot()[step.in.dst], accumulator(step), rows_, 1.0); }

  void for_reductions(int pass, void (RowWorker::*action)(const RowStep&)) {
    for (const RowStep& step : r_.plan.steps)
      if (step.reduces() && step.level == pass + 1) (this->*action)(step);
  }

  // Values of the row itself that are known after `level` reductions.
  void per_row(int level) {
    for (const RowStep& step : r_.plan.steps)
      if (step.level == level && step.of_rows()) execute(step);
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
      case RowStep::Mixed:
        step.row_fn(slot[in.dst], slot[in.a], slot[in.b], slot[in.c], n / rows_, rows_);
        break;
      case RowStep::Spread: {
        const int width = r_.plan.register_width[size_t(in.dst)];
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
    const void* tile = runner_.slot()[r_.plan.out_slot[k]];
    if (!r_.plan.per_row(k)) {
      runner_.store_output(k, tile, runner_.length(), runner_.count());
      return;
    }
    alignas(64) char first[kTileElements * 8];
    if (r_.plan.first_only(k)) {  // the row's value stands in every column
      const DType reg = register_of(r_.typed.out_dtype[k]);
      kernels->load[reg](first, static_cast<const char*>(tile), rows_, runner_.length() / rows_ * item_size(reg), 1, 0);
      tile = first;
    }
    runner_.store_output(k, tile, rows_, rows_);
  }

  void store_segment() {
    for (int k = 0; k < r_.typed.n_outputs; ++k) {
      if (r_.is_summed(k))
        add_up(k, runner_.first(), 1);
      else if (!r_.plan.per_row(k) || (r_.plan.first_only(k) && runner_.first() == 0))
        store(k);
    }
  }
};

// The program in few loops, if what does not change along these rows is what it was compiled for.
const Compiled* compiled_for(const RowRun& r) {
  const Compiled* compiled = r.typed.compiled;
  bool fits = compiled && compiled->row_inputs == r.plan.row_inputs && r.row >= kCompiledRow;
  for (int k = 0; k < r.typed.n_outputs; ++k) fits &= !r.plan.first_only(k);
  return fits ? compiled : nullptr;
}

void choose_box(RowRun* r) {
  Loop& loop = r->loop;
  const int64_t widest = r->plan.shared_width + r->typed.register_bytes * (r->typed.n_inputs + 1);
  r->whole = r->row <= kTileElements || r->row * widest <= kRowBytes;
  if (!r->whole) {
    r->box = make_box_at(loop, 0, kTileElements);
    return;
  }
  r->compiled = compiled_for(*r);
  int64_t rows = (r->compiled ? kCompiledTile : kTileElements) / r->row;
  // where the row strides over cache lines, neighbouring rows use the rest of them
  for (int k = 0; k < r->typed.n_inputs + r->typed.n_outputs; ++k)
    if (std::abs(loop.op[k].stride[0]) > 32 && std::abs(loop.op[k].stride[1]) <= 8 && rows < 16) rows = 16;
  while (rows > 1 && rows * r->row * widest > 2 * kRowBytes) rows /= 2;
  rows = std::min(rows, std::min(kTileElements, kCompiledRows));
  r->box = make_box_at(loop, 1, rows > 1 ? rows * r->row : r->row);
}

// One value per row: only the dimension of the rows counts.
void plan_row_values(Operand* op, const RowRun& r, bool input) {
  const Mode wide = op->mode;
  const int64_t stride = r.whole ? op->stride[1] : 0;
  op->mode = Mode::Load;
  op->moves = 1;
  op->unit = 1;
  op->move_n[0] = 1;
  op->move_stride[0] = stride;
  if (!input) return;
  if (wide == Mode::Fixed)
    op->mode = wide;
  else if (register_of(op->dtype) == op->dtype && op->aligned &&
           (r.box.step == 1 || !r.whole || stride == item_size(op->dtype)))
    op->mode = Mode::InPlace;
}

void plan(RowRun* r) {
  const Typed& t = r->typed;
  Loop& loop = r->loop;
  for (int k = 0; k < t.n_inputs; ++k) {
    Operand& in = loop.op[k];
    plan_operand(&in, loop, r->box, t.input_reg[k]);
    r->row_step[k] = r->row;
    if (r->compiled && in.mode == Mode::Load && in.dtype == t.input_reg[k] && in.aligned && in.stride[1] == 0 &&
        in.stride[0] == item_size(in.dtype)) {  // one row for all of a tile
      in.mode = Mode::InPlace;
      r->row_step[k] = 0;
    }
    if (!((r->plan.row_inputs >> k) & 1)) continue;
    plan_row_values(&loop.op[k], *r, true);
    if (loop.op[k].mode == Mode::InPlace && loop.op[k].dtype != t.input_reg[k]) loop.op[k].mode = Mode::Load;
  }
  for (int k = 0; k < t.n_outputs; ++k) {
    Operand& out = loop.op[t.n_inputs + k];
    if (r->plan.per_row(k)) {
      plan_row_values(&out, *r, false);
      continue;
    }
    plan_operand(&out, loop, r->box, register_of(t.out_dtype[k]));
    const int slot = r->plan.out_slot[k];
    bool own = slot < t.n_registers && out.dtype == t.out_dtype[k];
    for (int j = 0; j < t.n_outputs; ++j) own &= j == k || r->plan.out_slot[j] != slot;
    for (int j = 0; j < t.n_inputs; ++j) own &= loop.op[j].data != out.data;  // in place: store at the end
    if (out.mode != Mode::InPlace || out.accumulate || !own || !r->whole || r->is_summed(k)) out.mode = Mode::Load;
  }
  stream_large_outputs(t, &loop);
}

// The sums' last row: joined piece after piece, and written.
void write_sums(RowRun* r) {
  const size_t piece = sums_bytes(*r) / size_t(r->chunks);
  size_t at = 0;
  for (int k = 0; k < r->typed.n_outputs; ++k) {
    if (!r->is_summed(k)) continue;
    const Fold& fold = r->fold(k);
    const Operand& out = r->loop.op[r->typed.n_inputs + k];
    for (int64_t i = 1; i < r->chunks; ++i) fold.combine(r->sums + at, r->sums + size_t(i) * piece + at, r->row);
    const DType have = register_of(r->typed.out_dtype[k]), want = register_of(out.dtype);
    alignas(64) char tile[kTileElements * 8], converted[kTileElements * 8];
    for (int64_t first = 0; first < r->row; first += kTileElements) {
      const int64_t n = std::min(kTileElements, r->row - first);
      fold.finish(tile, r->sums + at + size_t(first) * fold.acc_size, n, 1.0);
      if (have != want) kernels->cast[want][reg_index(have)](converted, tile, tile, tile, n);
      const StoreFn store = out.accumulate ? kernels->accumulate[out.dtype] : kernels->store[out.dtype];
      store(out.data + first * out.stride[0], have == want ? tile : converted, n, out.stride[0], 1, 0);
    }
    at += size_t(r->row) * fold.acc_size;
  }
}

}  // namespace

void plan_run(RowRun* r) {
  choose_box(r);
  plan(r);
  const int64_t units = r->whole ? r->box.tiles() : r->box.outer;
  const int64_t unit_cost = (r->whole ? r->box.length() : r->row) * (r->typed.cost + 1);
  r->per_chunk = (kChunkCost + unit_cost - 1) / unit_cost;
  if (r->summed) {  // each piece has sums of its own
    const int64_t most = std::max<int64_t>(4, std::min<int64_t>(64, kSumsElements / r->row));
    r->per_chunk = std::max(r->per_chunk, (units + most - 1) / most);
  }
  r->chunks = (units + r->per_chunk - 1) / r->per_chunk;
}

size_t sums_bytes(const RowRun& r) {
  size_t each = 0;
  for (int k = 0; k < r.typed.n_outputs; ++k)
    if (r.is_summed(k)) each += r.fold(k).acc_size;
  return each * size_t(r.row) * size_t(r.chunks);
}

void run_rows(RowRun* r) {
  const Typed& t = r->typed;
  const RowPlan& p = r->plan;
  const Run run = r->whole ? Run(t, r->loop, r->box, p.shared_place, p.shared_width, p.out_slot)
                           : Run(t, r->loop, r->box, p.own_place, p.own_width, p.out_slot);
  const int64_t units = r->whole ? r->box.tiles() : r->box.outer;
  const size_t piece = sums_bytes(*r) / size_t(r->chunks);
  auto chunk = [&](int64_t i) {
    RowWorker worker(*r, run);
    const int64_t begin = i * r->per_chunk, end = std::min(begin + r->per_chunk, units);
    worker.start_sums(r->sums + size_t(i) * piece);
    r->whole ? worker.run_tiles(begin, end) : worker.run_rows(begin, end);
    worker.finish_sums();
  };
  if (r->chunks == 1)
    chunk(0);
  else
    parallel_for(r->chunks, chunk);
  if (r->summed) write_sums(r);
}

}  // namespace gf
