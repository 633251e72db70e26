// Works out a planned reduction, task by task.
#include <cstring>

#include "reduce.h"

namespace gf {
namespace {

constexpr int64_t kPiece = 1 << 16;   // elements of a piece of work
constexpr int64_t kEnoughTasks = 16;  // then tasks need not be split
constexpr int64_t kLanes = 512;       // narrow columns are added up to this many side by side

class Worker {
 public:
  Worker(const Reduction& r, const Run& run)
      : r_(r), memory_(scratch(bytes(r, run))), runner_(run, memory_ + own_bytes(r)) {
    size_t n = size_t(lane_count(r));
    char* p = memory_;
    lanes_ = p;
    p += n * 8;
    wide_ = p;
    p += n * 16;
    result_ = p;
    p += size_t(r.task_outputs) * 8;
    converted_ = p;
    p += size_t(r.task_outputs) * 8;
    accumulator_ = p;
  }

  char* accumulator() { return accumulator_; }

  void start(char* acc) {
    if (r_.is_arg())
      for (int64_t i = 0; i < r_.task_outputs; ++i) indices(acc)[i] = -1;
    else
      r_.fold().init(acc, r_.task_outputs);
  }

  // Folds tiles [begin, end) of a task into its accumulators.
  void take(int64_t task, int64_t begin, int64_t end, char* acc) {
    if (r_.shape == Reduction::Vertical)
      vertical(task, begin, end, acc);
    else if (r_.shape == Reduction::Groups)
      groups(task, acc);
    else if (r_.is_arg())
      group_arg(task, begin, end, acc);
    else if (r_.width == 1)
      group_run(task, begin, end, acc);
    else
      group_columns(task, begin, end, acc);
  }

  void join(char* acc, const char* other) {
    if (r_.is_arg())
      r_.arg().combine(acc, indices(acc), other, indices(const_cast<char*>(other)), r_.task_outputs);
    else
      r_.fold().combine(acc, other, r_.task_outputs);
  }

  void finish(int64_t task, char* acc) {
    const Operand& out = r_.loop.op[r_.typed.n_inputs];
    runner_.seek(r_.shape == Reduction::Vertical
                     ? task / r_.box.segments * r_.depth * r_.box.segments + task % r_.box.segments
                     : task * r_.steps);
    int64_t count = runner_.count(), n = r_.width * (r_.shape == Reduction::Groups ? count : 1);
    if (r_.shape == Reduction::Vertical) n = runner_.length();
    if (r_.shape == Reduction::Group) count = r_.kept_inner > 0 ? r_.loop.size[r_.kept_inner - 1] : 1;
    const void* result = result_;
    DType have = r_.reg, want = register_of(out.dtype);
    if (r_.is_arg()) {
      result = indices(acc);
      have = kInt64;
    } else {
      r_.fold().finish(result_, acc, n, r_.scale);
    }
    if (have != want) {
      kernels->cast[want][reg_index(have)](converted_, result, result, result, n);
      result = converted_;
    }
    move_out(output_address(out), out, result, count, out.accumulate);
  }

  static size_t bytes(const Reduction& r, const Run& run) { return own_bytes(r) + scratch_bytes(run); }

 private:
  const Reduction& r_;
  char* memory_;
  Runner runner_;
  char *lanes_, *wide_, *result_, *converted_, *accumulator_;

  static int64_t lane_count(const Reduction& r) {
    int64_t n = r.task_outputs > kLanes ? r.task_outputs : kLanes;
    return (n + 7) & ~int64_t(7);
  }
  static size_t own_bytes(const Reduction& r) {
    size_t bytes = size_t(lane_count(r)) * 24 + size_t(r.task_outputs) * 32;
    return (bytes + 63) & ~size_t(63);
  }

  int64_t* indices(char* acc) const { return reinterpret_cast<int64_t*>(acc + r_.task_outputs * 8); }

  // A task's tiles begin at the origin of the reduced dimensions, where the output's stride is 0 anyway.
  char* output_address(const Operand& out) { return runner_.address(out); }

  // The values of the current tile in the type that is folded.
  const void* values() {
    runner_.load();
    runner_.execute();
    const void* tile = runner_.slot()[r_.typed.out_slot[0]];
    const DType out = r_.typed.out_dtype[0];
    DType have = register_of(out);
    if (out != have && !is_floating(out)) {  // small integers wrap before they are folded
      kernels->cast[out][reg_index(have)](runner_.spare(), tile, tile, tile, runner_.length());
      tile = runner_.spare();
    }
    if (have != r_.reg) {  // to bool: never wider than what it overwrites
      kernels->cast[r_.reg][reg_index(have)](runner_.spare(), tile, tile, tile, runner_.length());
      tile = runner_.spare();
    }
    return tile;
  }

  // Folds `rows` rows of n elements of the current tile.
  void fold_rows(char* acc, int64_t n, int64_t rows) {
    if (!r_.product) return r_.fold().rows(acc, values(), n, rows);
    runner_.load();
    const Instr& mul = r_.typed.code[0];
    kernels->sum_of_products[mul.reg](acc, runner_.slot()[mul.a], runner_.slot()[mul.b], n, rows);
  }

  void vertical(int64_t task, int64_t begin, int64_t end, char* acc) {
    const int64_t segments = r_.box.segments, rest = task / segments;
    runner_.seek((rest * r_.depth + begin) * segments + task % segments);
    const int64_t n = runner_.length();
    if (r_.is_arg()) {
      for (int64_t row = begin; row < end; ++row, row < end ? runner_.next_row() : void())
        r_.arg().vertical(acc, indices(acc), values(), n, 1, 0, row);
      return;
    }
    const Fold& fold = r_.fold();
    int64_t room = fold.lane_steps;
    fold.init_lanes(lanes_, n);
    for (int64_t row = begin; row < end;) {
      int64_t rows = 1, steps = 1;
      if (r_.plain >= 0 && r_.reduced > 0) {  // several rows straight from the array
        const Operand& op = r_.loop.op[r_.plain];
        int d = r_.box.dim + 1;
        rows = r_.loop.size[d] - row % r_.loop.size[d];
        if (rows > end - row) rows = end - row;
        if (rows > 4 * room) rows = 4 * room;
        steps = rows / 4 + rows % 4;
        fold.vertical(lanes_, runner_.address(op), n, rows, op.stride[d]);
      } else {
        fold.vertical(lanes_, values(), n, 1, 0);
      }
      row += rows;
      room -= steps;
      if (room <= 0 || row == end) {
        fold.flush(acc, lanes_, n);
        room = fold.lane_steps;
      }
      if (row < end) runner_.next_rows(rows);
    }
  }

  void group_run(int64_t task, int64_t begin, int64_t end, char* acc) {
    runner_.seek(task * r_.steps + begin);
    for (int64_t step = begin;;) {
      fold_rows(acc, runner_.length(), 1);
      if (++step == end) return;
      runner_.next();
    }
  }

  void group_arg(int64_t task, int64_t begin, int64_t end, char* acc) {
    const int64_t width = r_.width;
    runner_.seek(task * r_.steps + begin);
    for (int64_t step = begin;;) {
      int64_t base = runner_.start() / width - task * r_.depth;
      const void* x = values();
      if (width == 1)
        r_.arg().rows(acc, indices(acc), x, runner_.length(), 1, base);
      else
        r_.arg().vertical(acc, indices(acc), x, width, runner_.length() / width, width * item_size(r_.reg), base);
      if (++step == end) return;
      runner_.next();
    }
  }

  // Narrow columns: `side` rows side by side make lanes long enough for vectors.
  void group_columns(int64_t task, int64_t begin, int64_t end, char* acc) {
    const Fold& fold = r_.fold();
    const int64_t width = r_.width, item = item_size(r_.reg);
    int64_t side = kLanes / width;
    if (side > (r_.depth + 3) / 4) side = (r_.depth + 3) / 4;  // little data: little to set up
    if (side > 16) side &= ~int64_t(15);                       // lanes of whole cache lines
    const int64_t lanes = side * width;
    int64_t room = fold.lane_steps;
    fold.init_lanes(lanes_, lanes);
    fold.init(wide_, lanes);
    runner_.seek(task * r_.steps + begin);
    for (int64_t step = begin;;) {
      const char* x = static_cast<const char*>(values());
      for (int64_t rows = runner_.length() / width; rows > 0;) {
        int64_t wide_rows = rows / side, taken;
        if (wide_rows > 0) {
          if (wide_rows > 4 * room) wide_rows = 4 * room;
          fold.vertical(lanes_, x, lanes, wide_rows, lanes * item);
          taken = wide_rows * side;
        } else {
          wide_rows = 1;
          taken = rows;
          fold.vertical(lanes_, x, rows * width, 1, 0);
        }
        x += taken * width * item;
        rows -= taken;
        room -= wide_rows / 4 + wide_rows % 4;
        if (room <= 0) {
          fold.flush(wide_, lanes_, lanes);
          room = fold.lane_steps;
        }
      }
      if (++step == end) break;
      runner_.next();
    }
    fold.flush(wide_, lanes_, lanes);
    for (int64_t i = 0; i < side; ++i) fold.combine(acc, wide_ + size_t(i * width) * fold.acc_size, width);
  }

  void groups(int64_t task, char* acc) {
    runner_.seek(task);
    if (r_.width == 1 && !r_.is_arg()) return fold_rows(acc, r_.depth, runner_.count());
    const char* x = static_cast<const char*>(values());
    const int64_t width = r_.width, depth = r_.depth, item = item_size(r_.reg), count = runner_.count();
    if (r_.is_arg()) {
      if (width == 1) {
        r_.arg().rows(acc, indices(acc), x, depth, count, 0);
        return;
      }
      for (int64_t g = 0; g < count; ++g, x += depth * width * item)
        r_.arg().vertical(acc + g * width * item, indices(acc) + g * width, x, width, depth, width * item, 0);
      return;
    }
    const Fold& fold = r_.fold();
    const int64_t limit = 4 * fold.lane_steps;  // rows between flushes
    fold.init_lanes(lanes_, width);
    for (int64_t g = 0; g < count; ++g, acc += size_t(width) * fold.acc_size) {
      for (int64_t row = 0; row < depth; row += limit) {
        int64_t rows = depth - row < limit ? depth - row : limit;
        fold.vertical(lanes_, x, width, rows, width * item);
        fold.flush(acc, lanes_, width);
        x += rows * width * item;
      }
    }
  }
};

}  // namespace

int64_t splits(const Reduction& r) {
  if (r.tasks >= kEnoughTasks || r.steps < 2) return 1;
  int64_t n = r.steps * r.step_elements / kPiece, most = 4 * kEnoughTasks;
  if (n > most) n = most;
  if (n > r.steps) n = r.steps;
  return n < 1 ? 1 : n;
}

void run_reduction(const Reduction& r, char* partials) {
  const Run run{r.typed, r.loop, r.box, false};
  const int64_t pieces = splits(r);
  if (pieces == 1) {
    int64_t each = r.steps * r.step_elements, per_chunk = each >= kPiece ? 1 : kPiece / each;
    auto chunk = [&](int64_t i) {
      Worker worker(r, run);
      int64_t end = (i + 1) * per_chunk < r.tasks ? (i + 1) * per_chunk : r.tasks;
      for (int64_t task = i * per_chunk; task < end; ++task) {
        worker.start(worker.accumulator());
        worker.take(task, 0, r.steps, worker.accumulator());
        worker.finish(task, worker.accumulator());
      }
    };
    int64_t chunks = (r.tasks + per_chunk - 1) / per_chunk;
    if (chunks == 1)
      chunk(0);
    else
      parallel_for(chunks, chunk);
    return;
  }
  const size_t bytes = r.accumulator_bytes();
  parallel_for(r.tasks * pieces, [&](int64_t i) {
    Worker worker(r, run);
    int64_t piece = i % pieces;
    char* acc = partials + size_t(i) * bytes;
    worker.start(acc);
    worker.take(i / pieces, r.steps * piece / pieces, r.steps * (piece + 1) / pieces, acc);
  });
  Worker worker(r, run);
  for (int64_t task = 0; task < r.tasks; ++task) {
    char* acc = partials + size_t(task * pieces) * bytes;
    for (int64_t piece = 1; piece < pieces; ++piece) worker.join(acc, acc + size_t(piece) * bytes);
    worker.finish(task, acc);
  }
}

}  // namespace gf
