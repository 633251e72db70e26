// Runs a typed program over the tiles of a loop: the interpreter's heart.
#pragma once

#include "loop.h"

namespace gf {

// What all threads that run one loop share. Operands: the program's inputs, then (if stored by the
// runner) its outputs.
struct Run {
  const Typed& typed;
  const Loop& loop;
  const Box& box;
  bool outputs;                       // the loop has operands for the outputs
  const std::vector<int64_t>& place;  // of the registers' tiles, as in Typed
  int64_t registers_width;
  const int* out_slot;
  bool drains = has_streamed();
  bool prefetch = streams();

  Run(const Typed& t, const Loop& l, const Box& b, bool o)
      : typed(t),
        loop(l),
        box(b),
        outputs(o),
        place(t.register_place),
        registers_width(t.registers_width),
        out_slot(t.out_slot) {}
  Run(const Typed& t, const Loop& l, const Box& b, const std::vector<int64_t>& p, int64_t width, const int* slots)
      : typed(t), loop(l), box(b), outputs(true), place(p), registers_width(width), out_slot(slots) {}

  bool streams() const;  // whether to fetch the next tile while this one is worked on
  bool has_streamed() const;
};

// Lets the outputs that would be written in place be streamed instead where the loop's arrays are too large for the
// caches.
void stream_large_outputs(const Typed& t, Loop* loop);

// Bytes of scratch memory that a Runner needs.
size_t scratch_bytes(const Run& run);

class Runner {
 public:
  Runner(const Run& run, char* memory);
  ~Runner() {
    if (run_.drains) kernels->drain();
  }

  void seek(int64_t tile);
  void next() {
    ++tile_;
    if (++segment_ == run_.box.segments) {
      segment_ = 0;
      carry();
    }
    locate();
  }

  // The same segment `rows` positions further along the dimensions beyond the box's, without carry into
  // others than the first two when rows > 1.
  void next_rows(int64_t rows) {
    tile_ += rows * run_.box.segments;
    coordinate_[run_.box.dim + 1] += rows - 1;
    carry();
    locate();
  }
  void next_row() { next_rows(1); }

  void load(uint32_t inputs = ~0u);  // inputs of the tile into slots; addresses of outputs
  void execute();                    // all instructions

  // Called before each of the steps of a tile, of which there are `steps`.
  void start_prefetch(int64_t steps);
  void prefetch() { ahead_.step(); }
  Ahead& ahead() { return ahead_; }
  void store();  // outputs that were not written in place
  void store_output(int k, const void* tile, int64_t length, int64_t count);

  // Where the current tile's elements of an operand begin.
  char* address(const Operand& op) const {
    char* p = op.data + first_ * op.stride[run_.box.dim];
    for (int d = run_.box.dim + 1; d < run_.loop.ndim; ++d) p += coordinate_[d] * op.stride[d];
    return p;
  }

  void** slot() { return slot_; }
  int64_t count() const { return count_; }    // units of the box's dimension in this tile
  int64_t length() const { return length_; }  // elements
  int64_t first() const { return first_; }    // position of the tile in the box's dimension
  int64_t start() const { return start_; }    // flat index, if the loop kept C order
  void* spare() { return spare_; }            // a tile for conversions

 private:
  const Run& run_;
  void** slot_;
  char* spare_;
  char** loaded_;         // address that a TileFixed input was last filled from
  char** tile_of_input_;  // own tile of an input that is not in place
  char** tile_of_output_;
  int64_t tile_ = 0, segment_ = 0, count_, length_, first_, start_;
  int64_t coordinate_[kMaxDims];
  Ahead ahead_;

  void carry();
  void locate();
  void fill(const Operand& op, int input, int64_t n, const char* from);
};

// Copies one tile between an array and dense memory in the array's register type.
void move_in(void* tile, const Operand& op, const char* from, int64_t count);
void move_out(char* to, const Operand& op, const void* tile, int64_t count, bool accumulate);

}  // namespace gf
