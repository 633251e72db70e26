// Typed programs: the typer's code for a combination of dtypes, checked once and kept.
#include <cstring>

#include "program.h"
#include "rows.h"

namespace gf {
namespace {

[[noreturn]] void bad_code(const char* why, int at) {
  raise(ErrorKind::Argument, "Program: the typer's code is wrong at instruction %d: %s", at, why);
}

// Reads one answer of the typer. Every operand and type is checked here, once, so that running needs no checks.
class Reader {
 public:
  Reader(const ProgramObject* program, Typed* t) : program_(program), t_(t) {}

  void read(PyObject* answer) {
    PyObject *code, *consts, *const_dtypes, *out_dtypes;
    int n_registers, compiled = -1;
    if (!PyTuple_Check(answer) ||
        !PyArg_ParseTuple(answer, "SO!O!O!i|i", &code, &PyTuple_Type, &consts, &PyTuple_Type, &const_dtypes,
                          &PyTuple_Type, &out_dtypes, &n_registers, &compiled)) {
      PyErr_Clear();
      raise(ErrorKind::Argument,
            "Program: the typer must return (code, consts, const_dtypes, out_dtypes, n_registers, compiled=-1)");
    }
    t_->compiled = compiled >= 0 && compiled < kernels->n_compiled ? &kernels->compiled[compiled] : nullptr;
    t_->row_registers = n_registers;
    t_->row_outputs = uint32_t(program_->flags >> 8);
    // for each value of a row, one more to spread it in
    if (row_program() && n_registers > 0 && n_registers <= kMaxSlots) n_registers += n_registers + t_->n_inputs;
    t_->n_registers = n_registers;
    t_->n_consts = int(PyTuple_GET_SIZE(consts));
    t_->n_slots = n_registers + t_->n_inputs + t_->n_consts + t_->n_outputs;
    if (n_registers < 0 || n_registers > kMaxSlots || t_->n_slots > kMaxSlots || t_->n_consts > kMaxSlots / 4)
      raise(ErrorKind::Argument, "Program: too many registers or constants; split the formula");
    types_.assign(size_t(t_->n_slots), -1);
    t_->register_width.assign(size_t(n_registers), 0);
    for (int k = 0; k < t_->n_inputs; ++k) types_[size_t(t_->input_slot(k))] = t_->input_reg[k];
    read_constants(consts, const_dtypes);
    read_outputs(out_dtypes);
    read_instructions(code);
    finish();
  }

 private:
  const ProgramObject* program_;
  Typed* t_;
  std::vector<int> types_;  // register type now in each slot, -1: none
  int widest_ = 1;

  DType dtype_item(PyObject* tuple, Py_ssize_t k) {
    long code = PyLong_AsLong(PyTuple_GET_ITEM(tuple, k));
    if (PyErr_Occurred() || code < 0 || code >= kDTypes) {
      PyErr_Clear();
      raise(ErrorKind::Argument, "Program: the typer returned an unknown dtype code");
    }
    return DType(code);
  }

  void use(DType reg) { widest_ = item_size(reg) > widest_ ? item_size(reg) : widest_; }

  void read_constants(PyObject* consts, PyObject* dtypes) {
    int n = t_->n_consts;
    if (PyTuple_GET_SIZE(dtypes) != n) raise(ErrorKind::Argument, "Program: consts and const_dtypes differ in length");
    void* memory = nullptr;
    if (n > 0 && posix_memalign(&memory, 64, size_t(n) * kConstTile * 8) != 0) throw std::bad_alloc();
    t_->const_tiles.reset(static_cast<char*>(memory));
    for (int k = 0; k < n; ++k) {
      DType reg = register_of(dtype_item(dtypes, k));
      PyObject* value = PyTuple_GET_ITEM(consts, k);
      uint64_t raw = 0;
      if (is_floating(reg)) {
        double x = PyFloat_AsDouble(value);
        float f = float(x);
        reg == kFloat32 ? memcpy(&raw, &f, 4) : memcpy(&raw, &x, 8);
      } else {
        Ref index(PyNumber_Long(value));
        if (!index) throw PythonError{};
        int64_t x = PyLong_AsLongLong(index.get());
        if (reg == kBool) x = x != 0;
        memcpy(&raw, &x, 8);  // little end first: the low bytes are the narrower integer
      }
      if (PyErr_Occurred()) throw PythonError{};
      t_->const_dtype[k] = reg;
      types_[size_t(t_->const_slot(k))] = reg;
      kernels->load[reg](static_cast<char*>(memory) + k * kConstTile * 8, reinterpret_cast<char*>(&raw), kConstTile, 0,
                         1, 0);
    }
  }

  void read_outputs(PyObject* dtypes) {
    if (PyTuple_GET_SIZE(dtypes) != t_->n_outputs)
      raise(ErrorKind::Argument, "Program: the typer returned %d out_dtypes for %d outputs",
            int(PyTuple_GET_SIZE(dtypes)), t_->n_outputs);
    for (int k = 0; k < t_->n_outputs; ++k) {
      t_->out_dtype[k] = dtype_item(dtypes, k);
      t_->out_slot[k] = -1;
      t_->read_after[k] = 0;
    }
  }

  int source(int operand, int at, DType want) {
    int slot;
    if (operand >= 0)
      slot = operand < t_->n_registers ? operand : -1;
    else if (operand > -1001)
      slot = -1 - operand < t_->n_inputs ? t_->input_slot(-1 - operand) : -1;
    else
      slot = -1001 - operand < t_->n_consts ? t_->const_slot(-1001 - operand) : -1;
    if (slot < 0) bad_code("an operand does not exist", at);
    if (types_[size_t(slot)] < 0) bad_code("a register is read before it is written", at);
    if (types_[size_t(slot)] != want) {
      std::string why =
          std::string("an operand is ") + kDTypeNames[types_[size_t(slot)]] + ", not " + kDTypeNames[want];
      bad_code(why.c_str(), at);
    }
    for (int k = 0; k < t_->n_outputs; ++k)
      if (t_->out_slot[k] >= 0 && slot >= t_->input_slot(0) && slot < t_->const_slot(0))
        t_->read_after[k] |= 1u << (slot - t_->input_slot(0));
    return slot;
  }

  bool row_program() const { return program_->flags & kRowProgram; }

  bool comparison(int op) { return op >= kOp_eq && op <= kOp_ge; }

  void read_instructions(PyObject* bytes) {
    Py_ssize_t length = PyBytes_GET_SIZE(bytes);
    if (length % 24 != 0) raise(ErrorKind::Argument, "Program: code must be six int32 per instruction");
    const char* p = PyBytes_AS_STRING(bytes);
    t_->cost = 0;
    for (int at = 0; at < int(length / 24); ++at, p += 24) {
      int32_t word[6];
      memcpy(word, p, sizeof word);
      read_instruction(word, at);
    }
  }

  void read_instruction(const int32_t* word, int at) {
    int op = word[0];
    if (op < 0 || op >= kOpcodes) bad_code("unknown opcode", at);
    if (word[1] < 0 || word[1] >= kDTypes) bad_code("unknown dtype", at);
    DType dtype = DType(word[1]), reg = register_of(dtype), result = reg;
    Instr in{nullptr, int16_t(op), 0, 0, 0, 0, reg_index(reg)};
    if (op < kOpPrimitives) {
      in.fn = kernels->op[op][reg_index(reg)];
      if (!in.fn) bad_code("the operation is not defined for the dtype", at);
      int n = opcode_arity(op);
      in.a = int16_t(source(word[3], at, op == kOp_where ? kBool : reg));
      in.b = n > 1 ? int16_t(source(word[4], at, reg)) : in.a;
      in.c = n > 2 ? int16_t(source(word[5], at, reg)) : in.a;
      if (comparison(op)) result = kBool;
      t_->cost += n == 1 && is_floating(reg) ? 4 : 1;
    } else {
      read_special(word, at, dtype, &in);
      t_->cost += op == kOpRandom ? 8 : 1;
    }
    use(reg);
    use(result);
    if (word[2] >= 0) {
      if (word[2] >= t_->row_registers) bad_code("the destination does not exist", at);
      in.dst = int16_t(word[2]);
      if (row_program() && types_[size_t(in.dst)] >= 0) bad_code("a row program writes a register twice", at);
      types_[size_t(in.dst)] = result;
      uint8_t& width = t_->register_width[size_t(in.dst)];
      if (item_size(result) > width) width = uint8_t(item_size(result));
    } else {
      int k = -1 - word[2];
      if (k >= t_->n_outputs || t_->out_slot[k] >= 0) bad_code("an output does not exist or is written twice", at);
      if (result != register_of(t_->out_dtype[k])) bad_code("an output is written in another type than declared", at);
      // A plain copy of an input or constant needs no instruction: the output is read from there.
      bool copy = op == kOpCast && dtype == result && word[4] == dtype && (in.a >= t_->n_registers || row_program());
      t_->out_slot[k] = copy ? in.a : t_->output_slot(k);
      if (copy) return;
      if (row_program()) bad_code("a row program's outputs must be copies", at);
      in.dst = int16_t(t_->output_slot(k));
    }
    t_->code.push_back(in);
  }

  void read_special(const int32_t* word, int at, DType dtype, Instr* in) {
    switch (in->op) {
      case kOpCast: {
        if (word[4] < 0 || word[4] >= kDTypes) bad_code("unknown source dtype", at);
        DType from = register_of(DType(word[4]));
        in->reg = reg_index(from);
        in->fn = kernels->cast[dtype][in->reg];
        in->a = in->b = in->c = int16_t(source(word[3], at, from));
        use(from);
        break;
      }
      case kOpRandom:
        if (dtype != kInt64) bad_code("random gives int64", at);
        in->a = int16_t(source(word[3], at, kInt64));
        in->b = int16_t(source(word[4], at, kInt64));
        if (!(program_->flags & kInOrder)) bad_code("random needs flag 1", at);
        break;
      case kOpLinearIndex:
        if (dtype != kInt64) bad_code("linear_index gives int64", at);
        if (!(program_->flags & kInOrder)) bad_code("linear_index needs flag 1", at);
        break;
      case kOpColumnIndex:
        if (dtype != kInt64) bad_code("column_index gives int64", at);
        if (!(program_->flags & kRowProgram)) bad_code("column_index needs a row program", at);
        break;
      default:  // row_sum, row_max
        if (!(program_->flags & kRowProgram)) bad_code("row reductions need a row program", at);
        in->a = int16_t(source(word[3], at, dtype));
        if (word[2] < 0) bad_code("a row reduction must write a register", at);
    }
  }

  void finish() {
    t_->simple = !row_program();
    for (const Instr& in : t_->code) t_->simple &= in.fn != nullptr;
    for (int k = 0; k < t_->n_outputs; ++k) {
      t_->simple &= t_->out_slot[k] == t_->output_slot(k) && register_of(t_->out_dtype[k]) == t_->out_dtype[k];
      if (t_->out_slot[k] < 0) raise(ErrorKind::Argument, "Program: output %d is never written", k);
      use(register_of(t_->out_dtype[k]));
      // outputs that copy an input read it last of all
      int input = t_->out_slot[k] - t_->input_slot(0);
      if (input >= 0 && input < t_->n_inputs)
        for (int j = 0; j < t_->n_outputs; ++j) t_->read_after[j] |= 1u << input;
    }
    for (int k = 0; k < t_->n_inputs; ++k) use(t_->input_reg[k]);
    t_->register_bytes = widest_;
    t_->registers_width = 0;
    for (uint8_t width : t_->register_width) {
      t_->register_place.push_back(t_->registers_width);
      t_->registers_width += width;
    }
  }
};

std::unique_ptr<Typed> ask_typer(ProgramObject* program, const DType* dtypes, DType common) {
  if (!program->typer) raise(ErrorKind::Argument, "Program: the typer is gone");
  Ref tuple(PyTuple_New(program->n_inputs));
  if (!tuple) throw PythonError{};
  for (int k = 0; k < program->n_inputs; ++k) PyTuple_SET_ITEM(tuple.get(), k, PyLong_FromLong(dtypes[k]));
  Ref answer(PyObject_CallFunction(program->typer, "Oi", tuple.get(), int(common)));
  if (!answer) throw PythonError{};
  std::unique_ptr<Typed> t(new Typed);
  t->common = common;
  t->n_inputs = program->n_inputs;
  t->n_outputs = program->n_outputs;
  for (int k = 0; k < program->n_inputs; ++k)
    t->input_reg[k] = register_of((program->raw_mask >> k) & 1 ? dtypes[k] : common);
  Reader(program, t.get()).read(answer.get());
  return t;
}

}  // namespace

int opcode_arity(int op) {
  switch (op) {
#define GF_ARITY1(name, domain) case kOp_##name: return 1;
#define GF_ARITY2(name, domain) case kOp_##name: return 2;
#define GF_ARITY3(name, domain) case kOp_##name: return 3;
    GF_PRIMITIVES(GF_ARITY1, GF_ARITY2, GF_ARITY3, GF_ARITY2)
    GF_PAIRS(GF_ARITY3)
#undef GF_ARITY1
#undef GF_ARITY2
#undef GF_ARITY3
    default:
      return 0;
  }
}

Typed::Typed() = default;
Typed::~Typed() = default;

const Typed* typed_for(ProgramObject* program, const DType* dtypes, DType common) {
  uint64_t key[2] = {0, 0};  // four bits per input
  int n = program->n_inputs;
  for (int k = 0; k < n && k < 16; ++k) key[0] |= uint64_t(dtypes[k]) << (4 * k);
  for (int k = 16; k < n; ++k) key[1] |= uint64_t(dtypes[k]) << (4 * (k - 16));
  auto matches = [&](const Typed* t) { return t->key[0] == key[0] && t->key[1] == key[1] && t->common == common; };
  if (program->last && matches(program->last)) return program->last;
  for (const auto& t : *program->cache)
    if (matches(t.get())) return program->last = t.get();
  std::unique_ptr<Typed> t = ask_typer(program, dtypes, common);
  t->key[0] = key[0];
  t->key[1] = key[1];
  program->cache->push_back(std::move(t));
  return program->last = program->cache->back().get();
}

const Typed* copy_program(DType dtype) {
  static Typed* programs[kDTypes];
  Typed*& t = programs[dtype];
  if (!t) {
    t = new Typed;
    t->n_inputs = t->n_outputs = 1;
    t->n_registers = t->n_consts = 0;
    t->n_slots = 2;
    t->simple = false;
    t->compiled = nullptr;
    t->input_reg[0] = t->out_dtype[0] = dtype;
    t->out_slot[0] = 0;
    t->read_after[0] = 1;
    t->cost = 1;
    t->register_bytes = item_size(dtype);
    t->registers_width = 0;
  }
  return t;
}

}  // namespace gf
