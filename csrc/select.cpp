// top: the places of the first few of every row; mode: that of the most frequent; shuffle: a permutation from random
// numbers.
#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

#include "common.h"

namespace gf {
namespace {

// Integers in the order of the values: nan is the largest, -0 and 0 are one.
template <class T>
struct Ordered {
  using Key = T;
  static Key key(T x) { return x; }
};
template <class T, class Bits>
struct OrderedFloat {
  using Key = Bits;
  static Key key(T x) {
    x += T(0);
    Bits b;
    memcpy(&b, &x, sizeof b);
    Bits top = b >> (8 * sizeof b - 1);  // all ones where negative
    b ^= std::make_unsigned_t<Bits>(top) >> 1;
    return x == x ? b : std::numeric_limits<Bits>::max();
  }
};
template <>
struct Ordered<float> : OrderedFloat<float, int32_t> {};
template <>
struct Ordered<double> : OrderedFloat<double, int64_t> {};

template <class T>
void first_of_row(const T* x, int64_t n, int64_t k, bool largest, int64_t* places) {
  using Key = typename Ordered<T>::Key;
  struct Found {
    Key key;
    int64_t place;
    bool operator<(const Found& other) const { return key != other.key ? key > other.key : place < other.place; }
  };
  std::vector<Found> heap;  // the last of those found is on top
  heap.reserve(size_t(k));
  const Key flip = largest ? 0 : Key(-1);
  for (int64_t i = 0; i < n; ++i) {
    const Key key = Ordered<T>::key(x[i]) ^ flip;
    if (int64_t(heap.size()) == k) {
      if (key <= heap.front().key) continue;
      std::pop_heap(heap.begin(), heap.end());
      heap.pop_back();
    }
    heap.push_back({key, i});
    std::push_heap(heap.begin(), heap.end());
  }
  std::sort_heap(heap.begin(), heap.end());
  for (int64_t i = 0; i < k; ++i) places[i] = heap[size_t(i)].place;
}

template <class T>
void first_of_rows(const char* data, int64_t rows, int64_t n, int64_t k, bool largest, int64_t* places) {
  const T* x = reinterpret_cast<const T*>(data);
  const int64_t some = std::max<int64_t>(1, (1 << 15) / n);  // rows worth a thread's while
  parallel_for((rows + some - 1) / some, [&](int64_t chunk) {
    for (int64_t row = chunk * some, end = std::min(rows, row + some); row < end; ++row)
      first_of_row(x + row * n, n, k, largest, places + row * k);
  });
}

// The last place of the value that a row has most often, of equals the least.
template <class T>
int64_t most_frequent(const T* x, int64_t n, std::vector<typename Ordered<T>::Key>& keys) {
  for (int64_t i = 0; i < n; ++i) keys[size_t(i)] = Ordered<T>::key(x[i]);
  std::sort(keys.begin(), keys.end());
  int64_t most = 0;
  auto best = keys[0];
  for (int64_t first = 0, i = 1; i <= n; ++i) {
    if (i < n && keys[size_t(i)] == keys[size_t(first)]) continue;
    if (i - first > most) most = i - first, best = keys[size_t(first)];
    first = i;
  }
  int64_t place = n - 1;
  while (Ordered<T>::key(x[place]) != best) --place;
  return place;
}

template <class T>
void modes_of_rows(const char* data, int64_t rows, int64_t n, int64_t* places) {
  const T* x = reinterpret_cast<const T*>(data);
  const int64_t some = std::max<int64_t>(1, (1 << 12) / n);
  parallel_for((rows + some - 1) / some, [&](int64_t chunk) {
    std::vector<typename Ordered<T>::Key> keys(static_cast<size_t>(n));
    for (int64_t row = chunk * some, end = std::min(rows, row + some); row < end; ++row)
      places[row] = most_frequent(x + row * n, n, keys);
  });
}

View dense_view(PyObject* object, const char* op) {
  if (!is_array(object)) raise(ErrorKind::Type, "%s: expected an array, got %s", op, Py_TYPE(object)->tp_name);
  View v;
  read_view(reinterpret_cast<PyArrayObject*>(object), op, &v);
  if (v.ndim == 0 || !v.aligned || !PyArray_IS_C_CONTIGUOUS(reinterpret_cast<PyArrayObject*>(object)))
    raise(ErrorKind::Argument, "%s: needs a contiguous array with at least one dimension", op);
  return v;
}

}  // namespace

// top(x, k, largest): along the last axis, in order, the first of equals first; x is int32, int64, float32 or float64.
PyObject* top(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "top";
  if (count != 3) raise(ErrorKind::Type, "%s: takes 3 arguments, got %d", op, int(count));
  View x = dense_view(args[0], op);
  const int64_t n = x.shape[x.ndim - 1], k = int_argument(args[1], op, "k");
  const bool largest = int_argument(args[2], op, "largest") != 0;
  if (k < 0 || k > n)
    raise(ErrorKind::Argument, "%s: k is %lld, the rows have %lld elements", op, (long long)k, (long long)n);
  npy_intp shape[kMaxDims];
  std::copy(x.shape, x.shape + x.ndim, shape);
  shape[x.ndim - 1] = k;
  Ref result(new_array(x.ndim, shape, kInt64));
  const int64_t rows = n > 0 ? x.size() / n : 0;
  if (rows == 0 || k == 0) return result.release();
  auto* places = static_cast<int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(result.get())));
  NoGil no_gil(x.size() > 1 << 12);
  switch (x.dtype) {
    case kInt32:
      first_of_rows<int32_t>(x.data, rows, n, k, largest, places);
      break;
    case kInt64:
      first_of_rows<int64_t>(x.data, rows, n, k, largest, places);
      break;
    case kFloat32:
      first_of_rows<float>(x.data, rows, n, k, largest, places);
      break;
    case kFloat64:
      first_of_rows<double>(x.data, rows, n, k, largest, places);
      break;
    default:
      raise(ErrorKind::DType, "%s: is not defined for %s", op, kDTypeNames[x.dtype]);
  }
  return result.release();
}

// mode(x): the last place of the most frequent value along the last axis, which has one element; types as in top.
PyObject* mode(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "mode";
  if (count != 1) raise(ErrorKind::Type, "%s: takes 1 argument, got %d", op, int(count));
  View x = dense_view(args[0], op);
  const int64_t n = x.shape[x.ndim - 1], rows = n > 0 ? x.size() / n : 0;
  if (n == 0) raise(ErrorKind::Shape, "%s: the rows are empty", op);
  npy_intp shape[kMaxDims];
  std::copy(x.shape, x.shape + x.ndim, shape);
  shape[x.ndim - 1] = 1;
  Ref result(new_array(x.ndim, shape, kInt64));
  auto* places = static_cast<int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(result.get())));
  NoGil no_gil(x.size() > 1 << 10);
  switch (x.dtype) {
    case kInt32:
      modes_of_rows<int32_t>(x.data, rows, n, places);
      break;
    case kInt64:
      modes_of_rows<int64_t>(x.data, rows, n, places);
      break;
    case kFloat32:
      modes_of_rows<float>(x.data, rows, n, places);
      break;
    case kFloat64:
      modes_of_rows<double>(x.data, rows, n, places);
      break;
    default:
      raise(ErrorKind::DType, "%s: is not defined for %s", op, kDTypeNames[x.dtype]);
  }
  return result.release();
}

// shuffle(draws): a permutation of 0 ... n - 1 by Fisher and Yates, from n random int64 of 62 bits.
PyObject* shuffle(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "shuffle";
  if (count != 1) raise(ErrorKind::Type, "%s: takes 1 argument, got %d", op, int(count));
  View draws = dense_view(args[0], op);
  if (draws.ndim != 1 || draws.dtype != kInt64) raise(ErrorKind::DType, "%s: needs a vector of int64", op);
  Ref result(new_array(1, draws.shape, kInt64));
  auto* order = static_cast<int64_t*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(result.get())));
  const auto* draw = reinterpret_cast<const uint64_t*>(draws.data);
  const int64_t n = draws.shape[0];
  NoGil no_gil(n > 1 << 12);
  std::iota(order, order + n, int64_t(0));
  for (int64_t i = 0; i + 1 < n; ++i) {
    const auto wide = static_cast<unsigned __int128>(draw[i] << 2) * uint64_t(n - i);
    std::swap(order[i], order[i + int64_t(wide >> 64)]);
  }
  return result.release();
}

}  // namespace gf
