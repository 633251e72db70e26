// Analysis of a row program: which values are per row, how many passes a long row takes, which tiles are shared.
#include <algorithm>

#include "rows.h"

namespace gf {
namespace {

class Planner {
 public:
  Planner(Typed& t, int row_outputs) : t_(t), plan_(new RowPlan), half_(t.n_registers / 2) {
    plan_->row_outputs = uint32_t(row_outputs);
    plan_->compact.assign(size_t(t.n_slots), false);
    level_.assign(size_t(t.n_slots), 0);
    producer_.assign(size_t(t.n_slots), -1);
  }

  std::unique_ptr<RowPlan> plan() {
    for (const Instr& in : t_.code) add(in);
    for (int k = 0; k < t_.n_outputs; ++k)
      if (!((plan_->row_outputs >> k) & 1)) t_.out_slot[k] = full(t_.out_slot[k]);
    find_passes();
    share_tiles();
    return std::move(plan_);
  }

 private:
  Typed& t_;
  std::unique_ptr<RowPlan> plan_;
  int half_;
  std::vector<int> level_, producer_;  // per slot

  bool is_const(int slot) const { return slot >= t_.const_slot(0) && slot < t_.output_slot(0); }
  bool is_input(int slot) const { return slot >= t_.input_slot(0) && slot < t_.const_slot(0); }

  static int operands(const Instr& in, int* slots) {
    if (in.op == kOpColumnIndex || in.op == kOpLinearIndex) return 0;
    slots[0] = in.a;
    if (in.op == kOpCast || in.op == kOpRowSum || in.op == kOpRowMax) return 1;
    slots[1] = in.b;
    if (in.op == kOpRandom) return 2;
    slots[2] = in.c;
    return 3;  // of unary and binary operations some are the same
  }

  void push(RowStep::Kind kind, const Instr& in, int level) {
    producer_[size_t(in.dst)] = int(plan_->steps.size());
    level_[size_t(in.dst)] = level;
    plan_->compact[size_t(in.dst)] = kind == RowStep::Compact || kind == RowStep::Reduce;
    plan_->steps.push_back({kind, in, level, kind == RowStep::Reduce ? plan_->reductions++ : -1, 0});
  }

  // The slot where a value lies with one element per element of the row.
  int full(int slot) {
    if (!plan_->compact[size_t(slot)]) return slot;
    int spread = slot + half_;
    if (producer_[size_t(spread)] >= 0) return spread;
    Instr in{nullptr, -1, int16_t(spread), int16_t(slot), int16_t(slot), int16_t(slot), kRegBool};
    t_.register_width[size_t(spread)] = t_.register_width[size_t(slot)];
    push(RowStep::Spread, in, level_[size_t(slot)]);
    return spread;
  }

  void add(Instr in) {
    int slots[3], n = operands(in, slots), level = 0;
    bool compact = n > 0;
    for (int i = 0; i < n; ++i) {
      compact &= is_const(slots[i]) || plan_->compact[size_t(slots[i])];
      level = std::max(level, level_[size_t(slots[i])]);
    }
    bool reduce = in.op == kOpRowSum || in.op == kOpRowMax;
    RowStep::Kind kind = reduce ? RowStep::Reduce
                         : in.op == kOpColumnIndex ? RowStep::Column
                         : in.op == kOpLinearIndex ? RowStep::Linear
                         : in.op == kOpRandom      ? RowStep::Random
                         : compact                 ? RowStep::Compact
                                                   : RowStep::Full;
    if (kind == RowStep::Full || kind == RowStep::Reduce) {
      in.a = int16_t(full(in.a));
      if (n > 1) in.b = int16_t(full(in.b));
      if (n > 2) in.c = int16_t(full(in.c));
    }
    push(kind, in, level + reduce);
  }

  static bool in_pass(const RowStep& step) { return step.kind != RowStep::Compact && step.kind != RowStep::Spread; }

  void need(int slot, int pass) {
    if (is_input(slot)) plan_->pass_inputs[size_t(pass)] |= 1u << (slot - t_.input_slot(0));
    int at = producer_[size_t(slot)];
    if (at < 0) return;
    RowStep& step = plan_->steps[size_t(at)];
    if (step.kind == RowStep::Reduce || !in_pass(step) || ((step.passes >> pass) & 1)) return;
    step.passes |= 1u << pass;
    need_operands(step, pass);
  }

  void need_operands(const RowStep& step, int pass) {
    int slots[3], n = operands(step.in, slots);
    for (int i = 0; i < n; ++i) need(slots[i], pass);
  }

  void find_passes() {
    int deepest = 0;
    bool outputs_in_pass = false;
    for (const RowStep& step : plan_->steps) deepest = std::max(deepest, step.level);
    for (int k = 0; k < t_.n_outputs; ++k)
      outputs_in_pass |= !((plan_->row_outputs >> k) & 1) || plan_->first_only(k, t_);
    plan_->passes = std::max(1, deepest + outputs_in_pass);
    if (plan_->passes > 31) raise(ErrorKind::Argument, "rows: more than 30 row reductions depend on each other");
    plan_->pass_inputs.assign(size_t(plan_->passes), 0);
    for (RowStep& step : plan_->steps) {
      if (step.kind != RowStep::Reduce) continue;
      step.passes = 1u << (step.level - 1);
      need_operands(step, step.level - 1);
    }
    for (int k = 0; k < t_.n_outputs; ++k)
      if (!((plan_->row_outputs >> k) & 1) || plan_->first_only(k, t_)) need(t_.out_slot[k], plan_->passes - 1);
  }

  // Linear scan: a tile is free again after the last step that reads it. Column numbers are kept, for they
  // are the same in every tile of rows.
  void share_tiles() {
    const int n = int(plan_->steps.size());
    std::vector<int> last(size_t(t_.n_slots), -1);
    for (int i = 0; i < n; ++i) {
      int slots[3], count = operands(plan_->steps[size_t(i)].in, slots);
      for (int j = 0; j < count; ++j) last[size_t(slots[j])] = i;
    }
    for (const RowStep& step : plan_->steps)
      if (step.kind == RowStep::Column) last[size_t(step.in.dst)] = n;
    for (int k = 0; k < t_.n_outputs; ++k) last[size_t(t_.out_slot[k])] = n;
    for (int i = 0; i < n; ++i) {  // whatever is never read lives for its own step
      int dst = plan_->steps[size_t(i)].in.dst;
      if (last[size_t(dst)] < i) last[size_t(dst)] = i;
    }
    plan_->place.assign(size_t(t_.n_registers), 0);
    std::vector<int64_t> free_tiles[9];  // by width
    for (int i = 0; i < n; ++i) {
      const RowStep& step = plan_->steps[size_t(i)];
      const int dst = step.in.dst, width = t_.register_width[size_t(dst)];
      int slots[3], count = operands(step.in, slots);
      // an elementwise step may write over an operand that it is the last to read
      const bool in_place = step.kind == RowStep::Full;
      auto release = [&](bool same_width) {
        for (int j = 0; j < count; ++j) {
          int slot = slots[j];
          if (slot >= t_.n_registers || last[size_t(slot)] != i) continue;
          int w = t_.register_width[size_t(slot)];
          if ((w == width) != same_width) continue;
          last[size_t(slot)] = -2;
          free_tiles[w].push_back(plan_->place[size_t(slot)]);
        }
      };
      if (in_place) release(true);
      std::vector<int64_t>& ready = free_tiles[width];
      if (ready.empty() || step.kind == RowStep::Column) {
        plan_->place[size_t(dst)] = plan_->width;
        plan_->width += width;
      } else {
        plan_->place[size_t(dst)] = ready.back();
        ready.pop_back();
      }
      release(false);
      release(true);
      if (last[size_t(dst)] == i) free_tiles[width].push_back(plan_->place[size_t(dst)]);
    }
  }
};

}  // namespace

std::unique_ptr<RowPlan> plan_rows(Typed& t, int row_outputs) {
  std::unique_ptr<RowPlan> plan = Planner(t, row_outputs).plan();
  t.registers_width = 0;  // the spread copies have a width by now
  for (size_t r = 0; r < t.register_width.size(); ++r) {
    t.register_place[r] = t.registers_width;
    t.registers_width += t.register_width[r];
  }
  return plan;
}

}  // namespace gf
