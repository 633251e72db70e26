// Loops over the elements of several arrays: dimensions ordered, merged and cut into tiles.
#pragma once

#include "inputs.h"

namespace gf {

constexpr int kMaxOperands = kMaxInputs + kMaxOutputs;
constexpr int64_t kLongRow = 256;  // shorter rows share a tile

enum class Mode : uint8_t {
  InPlace,    // the tile is a piece of the array itself
  Fixed,      // one value for the whole loop
  TileFixed,  // one value per tile
  Load,       // copied into a tile (inputs), out of a tile (outputs)
  FromLoad,   // output that receives an input's load directly
  Streamed,   // output too large for any cache: out of a tile, past the caches
};

// An array in a loop. Strides in bytes, innermost dimension first.
struct Operand {
  char* data;
  DType dtype;
  bool aligned;
  bool accumulate;  // outputs: add to what is there
  Mode mode;
  int moves;                 // a load or store of one tile: dimensions left after merging,
  int64_t move_n[kMaxDims];  // their sizes, the last one per unit of the tile's count
  int64_t move_stride[kMaxDims];
  int64_t unit;  // elements of a load or store per unit of the tile's count
  int64_t stride[kMaxDims];
};

struct Loop {
  int ndim = 0;
  int n = 0;  // operands
  int64_t size[kMaxDims];
  Operand op[kMaxOperands];

  Loop() {}  // not to be filled with zeros: it is large and mostly unused

  // Starts a loop over `shape` (outermost first, as NumPy has it); dimensions of size 1 vanish.
  void set_shape(int n_dims, const npy_intp* shape);
  Operand& add(const View& view, int n_dims, const npy_intp* shape);  // broadcasts the view

  void swap_dims(int i, int j);
  // Sorts dimensions [from, to) so that strides grow; operands from `first` on have the first say.
  void sort_dims(int from, int to, int first);
  // Runs backwards through dimensions in which `primary` has a negative stride.
  void flip(int primary);
  // Merges neighbours among dimensions [from, to) that every operand allows; returns the new `to`.
  int merge(int from, int to);
  // Cuts dimension d in two: d of `size`, and the rest at position `at` > d.
  void split(int d, int64_t piece, int at);

  int64_t elements() const {
    int64_t total = 1;
    for (int d = 0; d < ndim; ++d) total *= size[d];
    return total;
  }
};

// How a loop is cut: a tile is all of dimensions < dim, and `step` of dimension `dim`.
struct Box {
  int dim;
  int64_t inner;     // elements in one unit of `dim`
  int64_t step;      // units of a full tile
  int64_t segments;  // tiles that cover `dim`
  int64_t outer;     // positions of the dimensions > dim
  int64_t tiles() const { return segments * outer; }
  int64_t length() const { return inner * step; }  // of the longest tile
};

Box make_box(const Loop& loop, int64_t max_length);
Box make_box_at(const Loop& loop, int dim, int64_t max_length);

// Whether the operand's elements of a tile lie one after the other.
bool dense_in(const Operand& op, const Loop& loop, const Box& box);

// Decides how an operand's tiles are read (or written); `reg` is the type that the program wants.
void plan_operand(Operand* op, const Loop& loop, const Box& box, DType reg);

}  // namespace gf
