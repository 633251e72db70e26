// The walk that gather, scatter, scatter_add, scatter_fold, take_rows and add_rows share: over "dense" elements that
// each have a place in a table, known from their position in the other dimensions and from an index along the table's
// axis.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "common.h"
#include "half.h"

namespace gf::walks {

constexpr int64_t kChunk = 1 << 15;  // elements worth a thread's while
constexpr int64_t kLine = 256;       // bytes that two threads should not share
constexpr int kMaxWalkDims = 2 * kMaxDims;

struct Walk {
  int ndim = 0;
  int64_t size[kMaxWalkDims];
  npy_intp dense[kMaxWalkDims];  // strides in bytes
  npy_intp table[kMaxWalkDims];  // 0 in the index's own dimensions
  npy_intp index[kMaxWalkDims];  // in elements
  char* dense_data;
  char* table_data;
  const int64_t* index_data;
  npy_intp axis_stride;

  int64_t elements() const {
    int64_t n = 1;
    for (int d = 0; d < ndim; ++d) n *= size[d];
    return n;
  }

  // Appends a dimension; it joins the last one where all three walk on evenly.
  void add(int64_t n, npy_intp dense_stride, npy_intp table_stride, npy_intp index_stride) {
    if (n == 1) return;
    int d = ndim - 1;
    if (d >= 0 && dense[d] == n * dense_stride && table[d] == n * table_stride && index[d] == n * index_stride) {
      size[d] *= n;
    } else {
      d = ndim++;
      size[d] = n;
    }
    dense[d] = dense_stride;
    table[d] = table_stride;
    index[d] = index_stride;
  }

  // The part of dimension d from `first`, `n` long.
  Walk part(int d, int64_t first, int64_t n) const {
    Walk w = *this;
    w.size[d] = n;
    w.dense_data += first * dense[d];
    w.table_data += first * table[d];
    w.index_data += first * index[d];
    return w;
  }
};

// Calls row(n, dense, table, index, strides...) for every run along the last dimension, in C order.
template <class Row>
void walk_rows(const Walk& w, const Row& row) {
  if (w.ndim == 0) return row(1, w.dense_data, w.table_data, w.index_data, 0, 0, 0);
  int inner = w.ndim - 1;
  int64_t position[kMaxWalkDims] = {};
  char *dense = w.dense_data, *table = w.table_data;
  const int64_t* index = w.index_data;
  for (;;) {
    row(w.size[inner], dense, table, index, w.dense[inner], w.table[inner], w.index[inner]);
    int d = inner - 1;
    for (; d >= 0; --d) {
      dense += w.dense[d];
      table += w.table[d];
      index += w.index[d];
      if (++position[d] < w.size[d]) break;
      position[d] = 0;
      dense -= w.size[d] * w.dense[d];
      table -= w.size[d] * w.table[d];
      index -= w.size[d] * w.index[d];
    }
    if (d < 0) return;
  }
}

// Runs `body` on parts of the walk, on several threads if it is long. Parts of the dimensions d with `splittable(d)`
// are independent; `written` has the strides of what the body writes.
template <class Splittable, class Body>
void share(const Walk& w, const npy_intp* written, const Splittable& splittable, const Body& body) {
  int64_t elements = w.elements();
  if (elements == 0) return;
  NoGil no_gil(elements > kChunk);
  int widest = -1;
  for (int d = 0; d < w.ndim; ++d)
    if (splittable(d) && (widest < 0 || w.size[d] > 2 * w.size[widest])) widest = d;  // outer ones first
  if (widest < 0) return body(w);
  int64_t line = std::max<int64_t>(1, kLine / std::max<int64_t>(1, std::abs(written[widest])));
  int64_t parts = std::min({w.size[widest] / line, elements / kChunk, int64_t(4) * num_threads()});
  if (parts <= 1) return body(w);
  int64_t n = w.size[widest];
  parallel_for(parts, [&](int64_t i) {
    int64_t first = n * i / parts;
    body(w.part(widest, first, n * (i + 1) / parts - first));
  });
}

// ---- the two directions ---------------------------------------------------------------------------

template <class T>
T load(const char* p) {
  T value;
  memcpy(&value, p, sizeof value);
  return value;
}
template <class T>
void store(char* p, T value) {
  memcpy(p, &value, sizeof value);
}

template <class T>  // of the item's size: values are only moved
void read_table(const Walk& w) {
  npy_intp along = w.axis_stride;
  walk_rows(w, [along](int64_t n, char* dense, const char* table, const int64_t* index, npy_intp dense_stride,
                       npy_intp table_stride, npy_intp index_stride) {
    if (index_stride == 0) {
      table += *index * along;
      if (dense_stride == sizeof(T) && table_stride == sizeof(T))
        memcpy(dense, table, size_t(n) * sizeof(T));
      else
        for (int64_t i = 0; i < n; ++i) store(dense + i * dense_stride, load<T>(table + i * table_stride));
    } else {
      for (int64_t i = 0; i < n; ++i)
        store(dense + i * dense_stride, load<T>(table + index[i * index_stride] * along + i * table_stride));
    }
  });
}

template <class T>
void write_table(const Walk& w) {
  npy_intp along = w.axis_stride;
  walk_rows(w, [along](int64_t n, const char* dense, char* table, const int64_t* index, npy_intp dense_stride,
                       npy_intp table_stride, npy_intp index_stride) {
    for (int64_t i = 0; i < n; ++i)
      store(table + index[i * index_stride] * along + i * table_stride, load<T>(dense + i * dense_stride));
  });
}

enum class Combine { Sum, Product, Largest, Least };

// Folds as the dtype has them: integers wrap, sums of booleans are or-ed, short floats are rounded after every step,
// nan is the largest and the least.
template <Combine F, class T>
T folded(T a, T b) {
  if constexpr (F == Combine::Largest) return (b > a) | (b != b) ? b : a;
  if constexpr (F == Combine::Least) return (b < a) | (b != b) ? b : a;
  if constexpr (std::is_integral_v<T>)
    return F == Combine::Sum ? T(uint64_t(a) + uint64_t(b)) : T(uint64_t(a) * uint64_t(b));
  else
    return F == Combine::Sum ? a + b : a * b;
}

template <class U>
struct Plain {
  using T = U;
  template <Combine F>
  static T fold(T a, T b) {
    return folded<F>(a, b);
  }
};
struct Truth {
  using T = uint8_t;
  template <Combine F>
  static T fold(T a, T b) {
    return F == Combine::Sum || F == Combine::Largest ? (a | b) != 0 : (a & b) != 0;
  }
};
struct Half {
  using T = uint16_t;
  template <Combine F>
  static T fold(T a, T b) {
    return float_to_half(folded<F>(half_to_float(a), half_to_float(b)));
  }
};
struct Brain {
  using T = uint16_t;
  template <Combine F>
  static T fold(T a, T b) {
    return float_to_bfloat(folded<F>(bfloat_to_float(a), bfloat_to_float(b)));
  }
};

template <class Item, Combine F>
void fold_to_table(const Walk& w) {
  using T = typename Item::T;
  npy_intp along = w.axis_stride;
  walk_rows(w, [along](int64_t n, const char* dense, char* table, const int64_t* index, npy_intp dense_stride,
                       npy_intp table_stride, npy_intp index_stride) {
    auto add = [](char* to, const char* from) { store(to, Item::template fold<F>(load<T>(to), load<T>(from))); };
    if (index_stride == 0) {
      table += *index * along;
      constexpr npy_intp item = sizeof(T);
      if (dense_stride == item && table_stride == item)
        for (int64_t i = 0; i < n; ++i) add(table + i * item, dense + i * item);
      else
        for (int64_t i = 0; i < n; ++i) add(table + i * table_stride, dense + i * dense_stride);
    } else {
      for (int64_t i = 0; i < n; ++i)
        add(table + index[i * index_stride] * along + i * table_stride, dense + i * dense_stride);
    }
  });
}

inline void read_table(const Walk& w, DType dtype) {
  auto any = [](int) { return true; };
  switch (item_size(dtype)) {
    case 1:
      return share(w, w.dense, any, read_table<uint8_t>);
    case 2:
      return share(w, w.dense, any, read_table<uint16_t>);
    case 4:
      return share(w, w.dense, any, read_table<uint32_t>);
    default:
      return share(w, w.dense, any, read_table<uint64_t>);
  }
}

// Where the table moves with the position, two positions never meet; along the index's dimensions the order of
// the sums, or of what is written, is kept. So the bits do not depend on the number of threads.
inline void write_table(const Walk& w, DType dtype) {
  auto moves = [&w](int d) { return w.table[d] != 0; };
  switch (item_size(dtype)) {
    case 1:
      return share(w, w.table, moves, write_table<uint8_t>);
    case 2:
      return share(w, w.table, moves, write_table<uint16_t>);
    case 4:
      return share(w, w.table, moves, write_table<uint32_t>);
    default:
      return share(w, w.table, moves, write_table<uint64_t>);
  }
}

template <Combine F>
void fold_to_table(const Walk& w, DType dtype) {
  auto moves = [&w](int d) { return w.table[d] != 0; };
  switch (dtype) {
    case kBool:
      return share(w, w.table, moves, fold_to_table<Truth, F>);
    case kUInt8:
      return share(w, w.table, moves, fold_to_table<Plain<uint8_t>, F>);
    case kInt8:
      return share(w, w.table, moves, fold_to_table<Plain<int8_t>, F>);
    case kInt16:
      return share(w, w.table, moves, fold_to_table<Plain<int16_t>, F>);
    case kInt32:
      return share(w, w.table, moves, fold_to_table<Plain<int32_t>, F>);
    case kInt64:
      return share(w, w.table, moves, fold_to_table<Plain<int64_t>, F>);
    case kFloat16:
      return share(w, w.table, moves, fold_to_table<Half, F>);
    case kBFloat16:
      return share(w, w.table, moves, fold_to_table<Brain, F>);
    case kFloat32:
      return share(w, w.table, moves, fold_to_table<Plain<float>, F>);
    case kFloat64:
      return share(w, w.table, moves, fold_to_table<Plain<double>, F>);
  }
}

}  // namespace gf::walks
