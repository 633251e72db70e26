// scan(kind, x, axis): running folds along an axis. Sums and products of elements; of extremes the places (the last of
// equals; nan is the largest and the least).
#include <algorithm>
#include <type_traits>

#include "common.h"
#include "half.h"

namespace gf {

namespace {

enum Fold { kSum, kProduct, kLargest, kLeast, kFolds };

// How elements are stored, and in what they are folded: floats in float64, the short ones in float32, ints wrap.
template <class T, class A>
struct Plain {
  using Stored = T;
  using Wide = A;
  static Wide load(T x) { return Wide(x); }
  static T store(Wide x) { return T(x); }
};
struct Half {
  using Stored = uint16_t;
  using Wide = float;
  static float load(uint16_t x) { return half_to_float(x); }
  static uint16_t store(float x) { return float_to_half(x); }
};
struct Brain {
  using Stored = uint16_t;
  using Wide = float;
  static float load(uint16_t x) { return bfloat_to_float(x); }
  static uint16_t store(float x) { return float_to_bfloat(x); }
};

template <Fold F, class A>
A combined(A a, A b) {
  if constexpr (std::is_same_v<A, int64_t>)
    return F == kSum ? int64_t(uint64_t(a) + uint64_t(b)) : int64_t(uint64_t(a) * uint64_t(b));
  else
    return F == kSum ? a + b : a * b;
}

// Lanes side by side, each `n` long in steps of `step`: their chains of operations overlap, or vectorise.
template <class Type, Fold F, int Lanes>
inline __attribute__((always_inline)) void fold_lanes(const typename Type::Stored* x, void* out, int64_t n,
                                                      int64_t step, int64_t lane) {
  typename Type::Wide total[Lanes];
  if constexpr (F == kSum || F == kProduct) {
    auto* y = static_cast<typename Type::Stored*>(out);
    for (int k = 0; k < Lanes; ++k) total[k] = F == kSum ? 0 : 1;
    for (int64_t i = 0; i < n; ++i, x += step, y += step)
      for (int k = 0; k < Lanes; ++k) {
        total[k] = combined<F>(total[k], Type::load(x[k * lane]));
        y[k * lane] = Type::store(total[k]);
      }
  } else {
    auto* y = static_cast<int64_t*>(out);
    int64_t place[Lanes] = {};
    for (int k = 0; k < Lanes; ++k) total[k] = n ? Type::load(x[k * lane]) : 0;
    for (int64_t i = 0; i < n; ++i, x += step, y += step)
      for (int k = 0; k < Lanes; ++k) {
        auto value = Type::load(x[k * lane]);
        bool further = F == kLargest ? value >= total[k] : value <= total[k];
        bool take = (value != value) | further;  // nothing is further than nan
        total[k] = take ? value : total[k];
        place[k] = take ? i : place[k];
        y[k * lane] = place[k];
      }
  }
}

template <class Type, Fold F>
void fold(const void* data, void* out, int64_t outer, int64_t n, int64_t inner) {
  using T = typename Type::Stored;
  constexpr int kColumns = 64, kRows = 4;
  constexpr int64_t item = F == kSum || F == kProduct ? sizeof(T) : 8;
  const T* x = static_cast<const T*>(data);
  char* y = static_cast<char*>(out);
  const bool rows = inner == 1;
  const int64_t width = rows ? kRows : kColumns, across = rows ? outer : inner;
  const int64_t groups = (across + width - 1) / width, tasks = rows ? groups : groups * outer;
  const int64_t parts = std::max<int64_t>(1, std::min(tasks, tasks * width * n >> 15));
  NoGil no_gil(parts > 1);
  parallel_for(parts, [&](int64_t part) {
    for (int64_t task = tasks * part / parts; task < tasks * (part + 1) / parts; ++task) {
      const int64_t first = task % groups * width, last = std::min(first + width, across);
      const int64_t base = rows ? 0 : task / groups * n * inner, lane = rows ? n : 1, step = rows ? 1 : inner;
      const T* from = x + base + first * lane;
      char* to = y + (base + first * lane) * item;
      if (last - first < width)
        for (int64_t k = 0; k < last - first; ++k)
          fold_lanes<Type, F, 1>(from + k * lane, to + k * lane * item, n, step, 1);
      else if (rows)
        fold_lanes<Type, F, kRows>(from, to, n, 1, n);
      else
        fold_lanes<Type, F, kColumns>(from, to, n, step, 1);
    }
  });
}

template <class Type>
void fold(Fold kind, const void* x, void* y, int64_t outer, int64_t n, int64_t inner) {
  if (kind == kSum) return fold<Type, kSum>(x, y, outer, n, inner);
  if (kind == kProduct) return fold<Type, kProduct>(x, y, outer, n, inner);
  if (kind == kLargest) return fold<Type, kLargest>(x, y, outer, n, inner);
  fold<Type, kLeast>(x, y, outer, n, inner);
}

}  // namespace

PyObject* scan(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "scan";
  if (count != 3) raise(ErrorKind::Type, "%s: takes 3 arguments, got %d", op, int(count));
  if (!is_array(args[1])) return call_fallback(op, args, count);
  const int64_t kind = int_argument(args[0], op, "kind"), axis = int_argument(args[2], op, "axis");
  if (kind < 0 || kind >= kFolds) raise(ErrorKind::Argument, "%s: unknown kind %lld", op, (long long)kind);
  View x;
  read_view(reinterpret_cast<PyArrayObject*>(args[1]), op, &x);
  if (axis < 0 || axis >= x.ndim)
    raise(ErrorKind::Axis, "%s: axis %lld is out of range for %d dimensions", op, (long long)axis, x.ndim);
  Ref copy;
  if (!PyArray_IS_C_CONTIGUOUS(reinterpret_cast<PyArrayObject*>(args[1])) || !x.aligned) {
    copy = Ref(new_array(x.ndim, x.shape, x.dtype));
    View fresh;
    read_view(reinterpret_cast<PyArrayObject*>(copy.get()), op, &fresh);
    copy_view(x, fresh);
    x = fresh;
  }
  Ref result(new_array(x.ndim, x.shape, kind < kLargest ? x.dtype : kInt64));
  if (x.size() == 0) return result.release();
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < axis; ++d) outer *= x.shape[d];
  for (int d = int(axis) + 1; d < x.ndim; ++d) inner *= x.shape[d];
  void* out = PyArray_DATA(reinterpret_cast<PyArrayObject*>(result.get()));
  const int64_t n = x.shape[axis];
  switch (x.dtype) {
#define GF_CASE(dtype, ...)                                           \
  case dtype:                                                         \
    fold<__VA_ARGS__>(Fold(kind), x.data, out, outer, n, inner); \
    break;
    GF_CASE(kBool, Plain<bool, bool>)
    GF_CASE(kUInt8, Plain<uint8_t, int64_t>)
    GF_CASE(kInt8, Plain<int8_t, int64_t>)
    GF_CASE(kInt16, Plain<int16_t, int64_t>)
    GF_CASE(kInt32, Plain<int32_t, int64_t>)
    GF_CASE(kInt64, Plain<int64_t, int64_t>)
    GF_CASE(kFloat16, Half)
    GF_CASE(kBFloat16, Brain)
    GF_CASE(kFloat32, Plain<float, double>)
    GF_CASE(kFloat64, Plain<double, double>)
#undef GF_CASE
  }
  return result.release();
}

}  // namespace gf
