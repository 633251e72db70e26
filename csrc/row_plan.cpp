// Analysis of a row program: which values are per row, how many passes a long row takes, which tiles are shared.
#include <algorithm>

#include "rows.h"

namespace gf {
namespace {

class Planner {
 public:
  Planner(const Typed& t, uint32_t row_inputs) : t_(t), plan_(new RowPlan) {
    plan_->row_inputs = row_inputs;
    plan_->row_outputs = t.row_outputs;
    plan_->register_width = t.register_width;
    const size_t slots = size_t(t.n_slots);
    plan_->compact.assign(slots, false);
    for (int k = 0; k < t.n_inputs; ++k) plan_->compact[size_t(t.input_slot(k))] = (row_inputs >> k) & 1;
    level_.assign(slots, 0);
    producer_.assign(slots, -1);
    uses_.assign(slots, 0);
  }

  std::unique_ptr<RowPlan> plan() {
    for (const Instr& in : t_.code) {
      int slots[3], n = operands(in, slots);
      for (int i = 0; i < n; ++i) ++uses_[size_t(slots[i])];
    }
    for (int k = 0; k < t_.n_outputs; ++k) ++uses_[size_t(t_.out_slot[k])];
    for (const Instr& in : t_.code) add(in);
    for (int k = 0; k < t_.n_outputs; ++k)
      plan_->out_slot[k] = plan_->per_row(k) ? t_.out_slot[k] : full(t_.out_slot[k]);
    find_passes();
    for (uint8_t width : plan_->register_width) {
      plan_->own_place.push_back(plan_->own_width);
      plan_->own_width += width;
    }
    share_tiles();
    auto nothing = [](const RowStep& step) { return step.kind == RowStep::Nothing; };
    plan_->steps.erase(std::remove_if(plan_->steps.begin(), plan_->steps.end(), nothing), plan_->steps.end());
    return std::move(plan_);
  }

 private:
  const Typed& t_;
  std::unique_ptr<RowPlan> plan_;
  std::vector<int> level_, producer_, uses_;  // per slot

  bool is_const(int slot) const { return slot >= t_.const_slot(0) && slot < t_.output_slot(0); }
  bool is_input(int slot) const { return slot >= t_.input_slot(0) && slot < t_.const_slot(0); }
  bool is_compact(int slot) const { return plan_->compact[size_t(slot)]; }

  // The operands of an instruction, each once where an operation has fewer than three.
  static int operands(const Instr& in, int* slots) {
    slots[0] = in.a;
    slots[1] = in.b;
    slots[2] = in.c;
    if (in.op == kOpColumnIndex || in.op == kOpLinearIndex) return 0;
    if (in.op == kOpRandom) return 2;
    return in.op >= 0 && in.op < kOpPrimitives ? opcode_arity(in.op) : 1;  // casts, folds, spreading
  }
  static int operands(const RowStep& step, int* slots) {
    int n = operands(step.in, slots);
    return step.kind == RowStep::Product ? 2 : n;
  }

  int width(int slot) const {
    return is_input(slot) ? item_size(t_.input_reg[slot - t_.input_slot(0)]) : plan_->register_width[size_t(slot)];
  }

  RowStep& push(RowStep::Kind kind, const Instr& in, int level) {
    producer_[size_t(in.dst)] = int(plan_->steps.size());
    level_[size_t(in.dst)] = level;
    plan_->compact[size_t(in.dst)] = kind == RowStep::Compact || kind == RowStep::Reduce;
    plan_->steps.push_back({kind, in, nullptr, level, kind == RowStep::Reduce ? plan_->reductions++ : -1, 0});
    return plan_->steps.back();
  }

  // The slot where a value lies with one element per element of the row.
  int full(int slot) {
    if (!is_compact(slot)) return slot;
    // registers beyond the program's own are for this
    int spread = t_.row_registers + (is_input(slot) ? t_.row_registers + slot - t_.input_slot(0) : slot);
    if (producer_[size_t(spread)] >= 0) return spread;
    Instr in{nullptr, -1, int16_t(spread), int16_t(slot), int16_t(slot), int16_t(slot), kRegBool};
    plan_->register_width[size_t(spread)] = uint8_t(width(slot));
    push(RowStep::Spread, in, level_[size_t(slot)]);
    return spread;
  }

  void add(Instr in) {
    int slots[3], n = operands(in, slots), level = 0;
    bool compact = n > 0;
    for (int i = 0; i < n; ++i) {
      compact &= is_const(slots[i]) || is_compact(slots[i]);
      level = std::max(level, level_[size_t(slots[i])]);
    }
    if (in.op == kOpColumnIndex)
      push(RowStep::Column, in, level);
    else if (in.op == kOpLinearIndex)
      push(RowStep::Linear, in, level);
    else if (in.op == kOpRandom)
      push(RowStep::Random, in, level);
    else if (in.op == kOpRowSum || in.op == kOpRowMax)
      add_reduction(in, level);
    else if (compact)
      push(RowStep::Compact, in, level);
    else
      add_full(in, n, level);
  }

  void add_full(Instr in, int n, int level) {
    int16_t* operand[3] = {&in.a, &in.b, &in.c};
    int set = 0;
    for (int i = 0; i < n; ++i) set |= is_compact(*operand[i]) << i;
    RowFn row_fn = set && in.op < kOpPrimitives ? kernels->row_op[in.op][in.reg][set] : nullptr;
    for (int i = 0; i < n && !row_fn; ++i) *operand[i] = int16_t(full(*operand[i]));
    // what is no operand must be a tile all the same, for the loop steps through it
    for (int i = n; i < 3; ++i) *operand[i] = set & 1 && row_fn ? in.b : in.a;
    push(row_fn ? RowStep::Mixed : RowStep::Full, in, level).row_fn = row_fn;
  }

  void add_reduction(Instr in, int level) {
    in.a = int16_t(full(in.a));
    const int made_by = producer_[size_t(in.a)];
    RowStep& step = push(RowStep::Reduce, in, level + 1);
    if (in.op != kOpRowSum || made_by < 0 || !kernels->sum_of_products[in.reg] || uses_[size_t(in.a)] != 1) return;
    RowStep& product = plan_->steps[size_t(made_by)];
    if (product.kind != RowStep::Full || product.in.op != kOp_mul) return;
    step.kind = RowStep::Product;
    step.in.a = product.in.a;
    step.in.b = product.in.b;
    product.kind = RowStep::Nothing;
  }

  void need(int slot, int pass) {
    if (is_input(slot) && !is_compact(slot)) plan_->pass_inputs[size_t(pass)] |= 1u << (slot - t_.input_slot(0));
    int at = producer_[size_t(slot)];
    if (at < 0) return;
    RowStep& step = plan_->steps[size_t(at)];
    if (step.reduces() || step.of_rows() || ((step.passes >> pass) & 1)) return;
    step.passes |= 1u << pass;
    need_operands(step, pass);
  }

  void need_operands(const RowStep& step, int pass) {
    int slots[3], n = operands(step, slots);
    for (int i = 0; i < n; ++i) need(slots[i], pass);
  }

  void find_passes() {
    int deepest = 0;
    bool outputs_in_pass = false;
    for (const RowStep& step : plan_->steps) deepest = std::max(deepest, step.level);
    for (int k = 0; k < t_.n_outputs; ++k) outputs_in_pass |= !plan_->per_row(k) || plan_->first_only(k);
    plan_->passes = std::max(1, deepest + outputs_in_pass);
    if (plan_->passes > 31) raise(ErrorKind::Argument, "rows: more than 30 row reductions depend on each other");
    plan_->pass_inputs.assign(size_t(plan_->passes), 0);
    for (RowStep& step : plan_->steps) {
      if (!step.reduces()) continue;
      step.passes = 1u << (step.level - 1);
      need_operands(step, step.level - 1);
    }
    for (int k = 0; k < t_.n_outputs; ++k)
      if (!plan_->per_row(k) || plan_->first_only(k)) need(plan_->out_slot[k], plan_->passes - 1);
  }

  // Linear scan: a tile is free again after the last step that reads it. Column numbers are kept, for they
  // are the same in every tile of rows.
  void share_tiles() {
    const int n = int(plan_->steps.size());
    std::vector<int> last(size_t(t_.n_slots), -1);
    for (int i = 0; i < n; ++i) {
      const RowStep& step = plan_->steps[size_t(i)];
      if (step.kind == RowStep::Nothing) continue;
      int slots[3], count = operands(step, slots);
      for (int j = 0; j < count; ++j) last[size_t(slots[j])] = i;
      last[size_t(step.in.dst)] = std::max(last[size_t(step.in.dst)], step.kind == RowStep::Column ? n : i);
    }
    for (int k = 0; k < t_.n_outputs; ++k) last[size_t(plan_->out_slot[k])] = n;
    std::vector<int64_t>& place = plan_->shared_place;
    place.assign(size_t(t_.n_registers), 0);
    std::vector<int64_t> free_tiles[9];  // by width
    for (int i = 0; i < n; ++i) {
      const RowStep& step = plan_->steps[size_t(i)];
      if (step.kind == RowStep::Nothing) continue;
      const int dst = step.in.dst, wide = plan_->register_width[size_t(dst)];
      int slots[3], count = operands(step, slots);
      auto release = [&](auto&& wanted) {
        for (int j = 0; j < count; ++j) {
          const int slot = slots[j];
          if (slot >= t_.n_registers || last[size_t(slot)] != i || !wanted(slot)) continue;
          last[size_t(slot)] = -2;
          free_tiles[plan_->register_width[size_t(slot)]].push_back(place[size_t(slot)]);
        }
      };
      // an elementwise step may write over a tile that it is the last to read
      if (step.kind == RowStep::Full || step.kind == RowStep::Mixed)
        release([&](int slot) { return !is_compact(slot) && plan_->register_width[size_t(slot)] == wide; });
      std::vector<int64_t>& ready = free_tiles[wide];
      if (ready.empty() || step.kind == RowStep::Column) {
        place[size_t(dst)] = plan_->shared_width;
        plan_->shared_width += wide;
      } else {
        place[size_t(dst)] = ready.back();
        ready.pop_back();
      }
      release([](int) { return true; });
      if (last[size_t(dst)] == i) free_tiles[wide].push_back(place[size_t(dst)]);
    }
  }
};

}  // namespace

std::unique_ptr<RowPlan> plan_rows(const Typed& t, uint32_t row_inputs) { return Planner(t, row_inputs).plan(); }

}  // namespace gf
