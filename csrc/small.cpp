// Elementwise programs over a few elements: what a call costs here is not computing but looking at its arguments.
// Contiguous arrays of one shape and of register types, and numbers; everything else goes the general way.
#include "elementwise.h"

namespace gf {
namespace {

constexpr int64_t kSmall = 512;  // elements
constexpr int kSlots = 64;
constexpr int kOutputs = 4;
constexpr size_t kTileMemory = 32 << 10;

alignas(64) char tile_memory[kTileMemory];  // the GIL is held throughout

bool fits(PyArrayObject* out, const Inputs& in, DType dtype) {
  if (dtype_code(out) != dtype || !PyArray_ISCARRAY(out)) return false;
  const int ndim = in.first ? PyArray_NDIM(in.first) : 0;
  if (PyArray_NDIM(out) != ndim) return false;
  for (int d = 0; d < ndim; ++d)
    if (PyArray_DIM(out, d) != PyArray_DIM(in.first, d)) return false;
  return true;
}

bool apart(const char* a, int64_t a_bytes, const char* b, int64_t b_bytes) {
  return a + a_bytes <= b || b + b_bytes <= a;
}

// Whether output k may be written in place: no input that is read later shares its memory, no output before it.
bool safe(int k, char* data, const Inputs& in, char* const* outputs) {
  const Typed& t = *in.typed;
  const int64_t n = in.flat_size, bytes = n * item_size(t.out_dtype[k]);
  for (int j = 0; j < in.n; ++j) {
    if (in.is_scalar[j]) continue;
    const char* input = PyArray_BYTES(in.arrays[j]);
    if (input == data && !((t.read_after[k] >> j) & 1) && t.input_reg[j] == t.out_dtype[k]) continue;
    if (!apart(input, n * item_size(t.input_reg[j]), data, bytes)) return false;
  }
  for (int j = 0; j < k; ++j)
    if (outputs[j] && !apart(outputs[j], n * item_size(t.out_dtype[j]), data, bytes)) return false;
  return true;
}

}  // namespace

PyObject* small_elementwise(const Inputs& in, PyObject* out, int64_t accumulate) {
  const Typed& t = *in.typed;
  const int64_t n = in.flat_size;
  if (n <= 0 || n > kSmall || !t.simple || t.n_slots > kSlots || t.n_outputs > kOutputs) return nullptr;
  const int64_t length = (n + 15) & ~int64_t(15);
  if (size_t(length * (t.registers_width + 8 * (t.n_inputs + t.n_outputs))) > kTileMemory) return nullptr;

  for (int k = 0; k < in.n; ++k)
    if (!in.is_scalar[k] && dtype_code(in.arrays[k]) != t.input_reg[k]) return nullptr;

  // given outputs first: who is refused here must leave nothing behind
  char* data[kOutputs] = {};
  const bool tuple = out && PyTuple_Check(out);
  if (tuple ? PyTuple_GET_SIZE(out) != t.n_outputs : t.n_outputs != 1 && out && out != Py_None) return nullptr;
  for (int k = 0; k < t.n_outputs; ++k) {
    PyObject* wanted = tuple ? PyTuple_GET_ITEM(out, k) : out;
    if (!wanted || wanted == Py_None) continue;
    if (!is_array(wanted) || !fits(reinterpret_cast<PyArrayObject*>(wanted), in, t.out_dtype[k])) return nullptr;
    data[k] = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(wanted));
    if (!safe(k, data[k], in, data)) return nullptr;
  }
  Ref result[kOutputs];
  for (int k = 0; k < t.n_outputs; ++k) {
    if (data[k]) {
      PyObject* given = tuple ? PyTuple_GET_ITEM(out, k) : out;
      Py_INCREF(given);
      result[k] = Ref(given);
    } else {
      accumulate &= ~(int64_t(1) << k);
      const int ndim = in.first ? PyArray_NDIM(in.first) : 0;
      result[k] = Ref(new_array(ndim, in.first ? PyArray_DIMS(in.first) : nullptr, t.out_dtype[k]));
      data[k] = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(result[k].get()));
    }
  }

  // from here on nothing can call Python, which might come back and use the same memory
  void* slot[kSlots];
  char* memory = tile_memory;
  for (int r = 0; r < t.n_registers; ++r) slot[r] = memory + length * t.register_place[size_t(r)];
  memory += length * t.registers_width;
  for (int k = 0; k < in.n; ++k) {
    const DType reg = t.input_reg[k];
    if (in.is_scalar[k]) {
      kernels->load[reg](memory, reinterpret_cast<const char*>(&in.values[k]), n, 0, 1, 0);
      slot[t.input_slot(k)] = memory;
      memory += length * item_size(reg);
    } else {
      slot[t.input_slot(k)] = PyArray_DATA(in.arrays[k]);
    }
  }
  for (int k = 0; k < t.n_consts; ++k) slot[t.const_slot(k)] = const_cast<char*>(t.const_tile(k));
  for (int k = 0; k < t.n_outputs; ++k) {
    slot[t.output_slot(k)] = data[k];
    if (!((accumulate >> k) & 1)) continue;
    slot[t.output_slot(k)] = memory;
    memory += length * item_size(t.out_dtype[k]);
  }
  Ahead nothing;
  if (t.compiled)
    t.compiled->fn(slot + t.input_slot(0), slot + t.output_slot(0), n, 1, nullptr, nothing);
  else
    for (const Instr& i : t.code) i.fn(slot[i.dst], slot[i.a], slot[i.b], slot[i.c], n);
  for (int k = 0; k < t.n_outputs; ++k)
    if ((accumulate >> k) & 1)
      kernels->accumulate[t.out_dtype[k]](data[k], slot[t.output_slot(k)], n, item_size(t.out_dtype[k]), 1, 0);

  if (t.n_outputs == 1) return result[0].release();
  Ref all(PyTuple_New(t.n_outputs));
  if (!all) throw PythonError{};
  for (int k = 0; k < t.n_outputs; ++k) PyTuple_SET_ITEM(all.get(), k, result[k].release());
  return all.release();
}

}  // namespace gf
