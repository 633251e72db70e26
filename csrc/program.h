// Programs: the Python object, and its code for one combination of dtypes ("typed").
#pragma once

#include <memory>
#include <vector>

#include "common.h"
#include "kernels.h"

namespace gf {

constexpr int kMaxInputs = 32;
constexpr int kMaxOutputs = 16;
constexpr int kMaxSlots = 1024;
constexpr int64_t kConstTile = 1024;  // length to which constants are filled once and for all

struct RowPlan;  // rows.h

// One step over a tile. Operands are slots: registers, then inputs, constants, outputs.
struct Instr {
  TileFn fn;  // nullptr: one of the special opcodes
  int16_t op, dst, a, b, c;
  Reg reg;  // type of the operands
};

// A program whose instructions have been chosen for given dtypes of the inputs.
struct Typed {
  uint64_t key[2];
  DType common;
  int n_inputs, n_outputs, n_registers, n_consts, n_slots;
  std::vector<Instr> code;
  DType input_reg[kMaxInputs];   // register type in which input k is expected
  DType out_dtype[kMaxOutputs];  // as which output k is stored
  // Slot that holds output k's tile after the last instruction: its own, or the input or constant it copies.
  int out_slot[kMaxOutputs];
  uint32_t read_after[kMaxOutputs];  // inputs read after output k has been written
  bool simple;               // every output has a slot of its own and a register type's dtype; no special opcodes
  const Compiled* compiled;  // the same in a few loops, or null
  int64_t cost;              // work per element, in simple operations
  int64_t register_bytes;    // of the widest register type in use
  std::vector<uint8_t> register_width;  // bytes per element of each tile register
  std::vector<int64_t> register_place;  // where each begins, in bytes per element of a tile
  int64_t registers_width;              // of all of them
  // Row programs: registers of the program itself (the others hold values spread over rows), outputs with one value
  // per row, and a plan for each set of inputs that do not change along the row.
  int row_registers;
  uint32_t row_outputs;
  std::vector<std::unique_ptr<RowPlan>> row_plans;
  DType const_dtype[kMaxSlots / 4];
  std::unique_ptr<char, void (*)(void*)> const_tiles{nullptr, free};

  int input_slot(int k) const { return n_registers + k; }
  int const_slot(int k) const { return n_registers + n_inputs + k; }
  int output_slot(int k) const { return n_registers + n_inputs + n_consts + k; }
  const char* const_tile(int k) const { return const_tiles.get() + k * kConstTile * 8; }
  Typed();
  ~Typed();
  bool is_plain_input(int* input) const {  // the program is nothing but one input
    *input = out_slot[0] - n_registers;
    return code.empty() && n_outputs == 1 && *input >= 0 && *input < n_inputs;
  }
};

enum ProgramFlags { kInOrder = 1, kRowProgram = 2 };

struct ProgramObject {
  PyObject_HEAD PyObject* typer;
  PyObject* source;
  int n_inputs, n_outputs;
  uint64_t raw_mask;
  int flags;
  std::vector<std::unique_ptr<Typed>>* cache;
  Typed* last;

  bool row_output(int k) const { return (flags >> (8 + k)) & 1; }
};

extern PyTypeObject* program_type;
void init_program_type();

inline bool is_program(PyObject* object) { return Py_TYPE(object) == program_type; }

int opcode_arity(int op);  // of primitives and pairs

// What messages call the operation: program.source.name.
std::string program_name(const ProgramObject* program);

// The code for these dtypes; calls the typer when they are new.
const Typed* typed_for(ProgramObject* program, const DType* dtypes, DType common);

// The program that copies its input, of a register type.
const Typed* copy_program(DType dtype);

}  // namespace gf
