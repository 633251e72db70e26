// Folds over windows of space: the largest element and its place, the mean, and the mean's way back.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "common.h"
#include "half.h"

namespace gf {
namespace {

constexpr int kSpace = 3;

// Along one axis, for each window: its first element, how many it has, `step` apart, and its part of the divisor.
struct Axis {
  int64_t size = 1, windows = 1, step = 1;
  const int64_t* spans = nullptr;
  int64_t first(int64_t w) const { return spans ? spans[3 * w] : 0; }
  int64_t number(int64_t w) const { return spans ? spans[3 * w + 1] : 1; }
  int64_t divisor(int64_t w) const { return spans ? spans[3 * w + 2] : 1; }
};

struct Windows {
  Axis axis[kSpace];  // the last ones are in use
  int space;
  int64_t elements() const { return axis[0].size * axis[1].size * axis[2].size; }
  int64_t count() const { return axis[0].windows * axis[1].windows * axis[2].windows; }
};

int64_t item_of(PyObject* tuple, int i, const char* op, const char* what) {
  return int_argument(PyTuple_GET_ITEM(tuple, i), op, what);
}

// `spans`: for each axis of space an array (windows, 3) of int64; `steps`: as many numbers; `sizes` of the space.
Windows windows_of(PyObject* spans, PyObject* steps, int space, const npy_intp* sizes, const char* op) {
  if (!PyTuple_Check(spans) || !PyTuple_Check(steps) || PyTuple_GET_SIZE(spans) != space ||
      PyTuple_GET_SIZE(steps) != space)
    raise(ErrorKind::Argument, "%s: needs windows and a step for each of %d axes", op, space);
  Windows w;
  w.space = space;
  for (int d = 0; d < space; ++d) {
    PyObject* object = PyTuple_GET_ITEM(spans, d);
    auto* array = reinterpret_cast<PyArrayObject*>(object);
    if (!is_array(object) || dtype_code(array) != kInt64 || PyArray_NDIM(array) != 2 || PyArray_DIM(array, 1) != 3 ||
        !PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISALIGNED(array))
      raise(ErrorKind::Argument, "%s: windows are contiguous arrays (windows, 3) of int64", op);
    Axis& a = w.axis[kSpace - space + d];
    a.size = sizes[d];
    a.windows = PyArray_DIM(array, 0);
    a.step = item_of(steps, d, op, "a step");
    a.spans = static_cast<const int64_t*>(PyArray_DATA(array));
    for (int64_t i = 0; i < a.windows; ++i) {
      const int64_t first = a.first(i), number = a.number(i);
      if (a.step < 1 || number < 0 ||
          (number > 0 && (first < 0 || first >= a.size || number - 1 > (a.size - 1 - first) / a.step)))
        raise(ErrorKind::Argument, "%s: a window from %lld of %lld elements, %lld apart, is not within %lld", op,
              (long long)first, (long long)number, (long long)a.step, (long long)a.size);
      if (a.divisor(i) == 0) raise(ErrorKind::Argument, "%s: a divisor is zero", op);
    }
  }
  return w;
}

// The argument as a dense array: itself or a copy, which `copy` then holds.
View dense(PyObject* object, Ref* copy, const char* op) {
  if (!is_array(object)) raise(ErrorKind::Type, "%s: expected an array, got %s", op, Py_TYPE(object)->tp_name);
  View x;
  read_view(reinterpret_cast<PyArrayObject*>(object), op, &x);
  if (PyArray_IS_C_CONTIGUOUS(reinterpret_cast<PyArrayObject*>(object)) && x.aligned) return x;
  *copy = Ref(new_array(x.ndim, x.shape, x.dtype));
  View fresh;
  read_view(reinterpret_cast<PyArrayObject*>(copy->get()), op, &fresh);
  copy_view(x, fresh);
  return fresh;
}

int space_of(PyObject* spans, const View& x, const char* op) {
  const Py_ssize_t space = PyTuple_Check(spans) ? PyTuple_GET_SIZE(spans) : 0;
  if (space < 1 || space > kSpace || space > x.ndim)
    raise(ErrorKind::Argument, "%s: windows of %d axes in an array of %d", op, int(space), x.ndim);
  return int(space);
}

// body(plane) for all planes, on several threads where that is worth it.
template <class Body>
void for_planes(int64_t planes, int64_t work, const Body& body) {
  const int64_t some = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, work));
  NoGil no_gil(planes * work > 1 << 12);
  parallel_for((planes + some - 1) / some, [&](int64_t chunk) {
    for (int64_t p = chunk * some, end = std::min(planes, p + some); p < end; ++p) body(p);
  });
}

// body(window, its divisor, from, to of the last axis' elements) for the runs of every window of a plane; `runs` in a
// row.
template <class Window>
void for_windows(const Windows& w, const Window& window) {
  const Axis &a = w.axis[0], &b = w.axis[1], &c = w.axis[2];
  int64_t number = 0;
  for (int64_t i = 0; i < a.windows; ++i)
    for (int64_t j = 0; j < b.windows; ++j) {
      const int64_t before = (a.first(i) * b.size + b.first(j)) * c.size, by = a.divisor(i) * b.divisor(j);
      const int64_t deep = a.number(i), high = b.number(j);
      for (int64_t k = 0; k < c.windows; ++k, ++number)
        window(number, by * c.divisor(k), before + c.first(k), deep, high, c.number(k));
    }
}

template <class T>
struct Plain {
  using Stored = T;
  static T load(T x) { return x; }
};
struct Half {
  using Stored = uint16_t;
  static float load(uint16_t x) { return half_to_float(x); }
};
struct Brain {
  using Stored = uint16_t;
  static float load(uint16_t x) { return bfloat_to_float(x); }
};

template <class Type>
void largest(const Windows& w, const void* data, void* values, int64_t* places, int64_t planes, uint16_t lowest) {
  using T = typename Type::Stored;
  const int64_t n = w.elements(), m = w.count();
  const int64_t row = w.axis[2].size, plane_step = w.axis[0].step * w.axis[1].size * row,
                row_step = w.axis[1].step * row;
  const int64_t step = w.axis[2].step;
  for_planes(planes, n + m, [&](int64_t p) {
    const T* x = static_cast<const T*>(data) + p * n;
    T* y = static_cast<T*>(values) + p * m;
    int64_t* at = places + p * m;
    for_windows(w, [&](int64_t number, int64_t, int64_t start, int64_t deep, int64_t high, int64_t wide) {
      at[number] = start;
      if (deep * high * wide == 0) {  // dilation has stepped over everything there is
        if constexpr (std::is_same<Type, Half>::value || std::is_same<Type, Brain>::value)
          y[number] = lowest;
        else if constexpr (std::is_floating_point<T>::value)
          y[number] = -std::numeric_limits<T>::infinity();
        else
          y[number] = std::numeric_limits<T>::lowest();
        return;
      }
      int64_t best_at = start;
      auto best = Type::load(x[start]);
      for (int64_t i = 0; i < deep; ++i)
        for (int64_t j = 0; j < high; ++j) {
          const int64_t from = start + i * plane_step + j * row_step;
          for (int64_t k = 0; k < wide; ++k) {
            const auto value = Type::load(x[from + k * step]);
            const bool wins = (value > best) | (value != value);  // nan is larger than all
            best = wins ? value : best;
            best_at = wins ? from + k * step : best_at;
          }
        }
      y[number] = x[best_at];
      at[number] = best_at;
    });
  });
}

template <class T, class Sum>
void means(const Windows& w, const void* data, void* out, int64_t planes) {
  const int64_t n = w.elements(), m = w.count();
  const int64_t row = w.axis[2].size, plane_step = w.axis[0].step * w.axis[1].size * row,
                row_step = w.axis[1].step * row;
  const int64_t step = w.axis[2].step;
  for_planes(planes, n + m, [&](int64_t p) {
    const T* x = static_cast<const T*>(data) + p * n;
    T* y = static_cast<T*>(out) + p * m;
    for_windows(w, [&](int64_t number, int64_t by, int64_t start, int64_t deep, int64_t high, int64_t wide) {
      Sum total = 0;
      for (int64_t i = 0; i < deep; ++i)
        for (int64_t j = 0; j < high; ++j) {
          const int64_t from = start + i * plane_step + j * row_step;
          for (int64_t k = 0; k < wide; ++k) total += Sum(x[from + k * step]);
        }
      if constexpr (std::is_floating_point<T>::value)
        y[number] = total / T(by);
      else
        y[number] = T(by == -1 ? Sum(0) - total : Sum(int64_t(total) / by));
    });
  });
}

template <class T, class Part>
void spread(const Windows& w, const void* given, void* out, int64_t planes) {
  const int64_t n = w.elements(), m = w.count();
  const int64_t row = w.axis[2].size, plane_step = w.axis[0].step * w.axis[1].size * row,
                row_step = w.axis[1].step * row;
  const int64_t step = w.axis[2].step;
  for_planes(planes, n + m, [&](int64_t p) {
    const T* g = static_cast<const T*>(given) + p * m;
    T* x = static_cast<T*>(out) + p * n;
    std::fill(x, x + n, T(0));
    for_windows(w, [&](int64_t number, int64_t by, int64_t start, int64_t deep, int64_t high, int64_t wide) {
      Part part;
      if constexpr (std::is_floating_point<T>::value)
        part = g[number] / T(by);
      else
        part = by == -1 ? Part(0) - Part(g[number]) : Part(int64_t(g[number]) / by);
      for (int64_t i = 0; i < deep; ++i)
        for (int64_t j = 0; j < high; ++j) {
          const int64_t from = start + i * plane_step + j * row_step;
          for (int64_t k = 0; k < wide; ++k) x[from + k * step] = T(Part(x[from + k * step]) + part);
        }
    });
  });
}

int64_t planes_of(const View& x, int space) {
  int64_t planes = 1;
  for (int d = 0; d < x.ndim - space; ++d) planes *= x.shape[d];
  return planes;
}

void* data_of(const Ref& array) { return PyArray_DATA(reinterpret_cast<PyArrayObject*>(array.get())); }

void require_count(Py_ssize_t count, int n, const char* op) {
  if (count != n) raise(ErrorKind::Type, "%s: takes %d arguments, got %d", op, n, int(count));
}

}  // namespace

// pool_max(x, spans, steps) -> (values, places): of each window over the last axes the largest element, the first of
// equals, and where it is among the plane's.
PyObject* pool_max(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "pool_max";
  require_count(count, 3, op);
  if (!is_array(args[0])) return call_fallback(op, args, count);
  Ref copy;
  const View x = dense(args[0], &copy, op);
  const int space = space_of(args[1], x, op), lead = x.ndim - space;
  const Windows w = windows_of(args[1], args[2], space, x.shape + lead, op);
  npy_intp shape[kMaxDims];
  std::copy(x.shape, x.shape + lead, shape);
  for (int d = 0; d < space; ++d) shape[lead + d] = w.axis[kSpace - space + d].windows;
  Ref values(new_array(x.ndim, shape, x.dtype)), places(new_array(x.ndim, shape, kInt64));
  const int64_t planes = planes_of(x, space);
  auto* at = static_cast<int64_t*>(data_of(places));
  if (planes > 0) switch (x.dtype) {
#define GF_CASE(dtype, ...)                                                \
  case dtype:                                                              \
    largest<__VA_ARGS__>(w, x.data, data_of(values), at, planes,           \
                         dtype == kFloat16 ? uint16_t(0xfc00) : uint16_t(0xff80)); \
    break;
      GF_CASE(kUInt8, Plain<uint8_t>)
      GF_CASE(kInt8, Plain<int8_t>)
      GF_CASE(kInt16, Plain<int16_t>)
      GF_CASE(kInt32, Plain<int32_t>)
      GF_CASE(kInt64, Plain<int64_t>)
      GF_CASE(kFloat16, Half)
      GF_CASE(kBFloat16, Brain)
      GF_CASE(kFloat32, Plain<float>)
      GF_CASE(kFloat64, Plain<double>)
#undef GF_CASE
      default:
        raise(ErrorKind::DType, "%s: is not defined for %s", op, kDTypeNames[x.dtype]);
    }
  Ref both(PyTuple_New(2));
  if (!both) throw PythonError{};
  PyTuple_SET_ITEM(both.get(), 0, values.release());
  PyTuple_SET_ITEM(both.get(), 1, places.release());
  return both.release();
}

// pool_mean(x, spans, steps): the sum of each window over its divisor, which is rounded towards zero for integers.
PyObject* pool_mean(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "pool_mean";
  require_count(count, 3, op);
  if (!is_array(args[0])) return call_fallback(op, args, count);
  Ref copy;
  const View x = dense(args[0], &copy, op);
  const int space = space_of(args[1], x, op), lead = x.ndim - space;
  const Windows w = windows_of(args[1], args[2], space, x.shape + lead, op);
  npy_intp shape[kMaxDims];
  std::copy(x.shape, x.shape + lead, shape);
  for (int d = 0; d < space; ++d) shape[lead + d] = w.axis[kSpace - space + d].windows;
  Ref result(new_array(x.ndim, shape, x.dtype));
  const int64_t planes = planes_of(x, space);
  switch (x.dtype) {
#define GF_CASE(dtype, T, Sum)                                \
  case dtype:                                                 \
    means<T, Sum>(w, x.data, data_of(result), planes);        \
    break;
#define GF_SUMS(GF_CASE)              \
  GF_CASE(kUInt8, uint8_t, uint64_t)  \
  GF_CASE(kInt8, int8_t, uint64_t)    \
  GF_CASE(kInt16, int16_t, uint64_t)  \
  GF_CASE(kInt32, int32_t, uint64_t)  \
  GF_CASE(kInt64, int64_t, uint64_t)  \
  GF_CASE(kFloat32, float, float)     \
  GF_CASE(kFloat64, double, double)
    GF_SUMS(GF_CASE)
#undef GF_CASE
    default:
      raise(ErrorKind::DType, "%s: is not defined for %s", op, kDTypeNames[x.dtype]);
  }
  return result.release();
}

// pool_spread(g, shape, spans, steps): each window gives its share to the elements it covers.
PyObject* pool_spread(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "pool_spread";
  require_count(count, 4, op);
  if (!is_array(args[0])) return call_fallback(op, args, count);
  Ref copy;
  const View g = dense(args[0], &copy, op);
  const int space = space_of(args[2], g, op), lead = g.ndim - space;
  if (!PyTuple_Check(args[1]) || PyTuple_GET_SIZE(args[1]) != space)
    raise(ErrorKind::Argument, "%s: the shape is that of the space, %d sizes", op, space);
  npy_intp shape[kMaxDims];
  std::copy(g.shape, g.shape + lead, shape);
  for (int d = 0; d < space; ++d) {
    shape[lead + d] = item_of(args[1], d, op, "a size");
    if (shape[lead + d] < 0) raise(ErrorKind::Shape, "%s: a size is negative", op);
  }
  const Windows w = windows_of(args[2], args[3], space, shape + lead, op);
  for (int d = 0; d < space; ++d)
    if (g.shape[lead + d] != w.axis[kSpace - space + d].windows)
      raise(ErrorKind::Shape, "%s: %lld windows along axis %d, the source has %lld", op,
            (long long)w.axis[kSpace - space + d].windows, d, (long long)g.shape[lead + d]);
  Ref result(new_array(g.ndim, shape, g.dtype));
  const int64_t planes = planes_of(g, space);
  switch (g.dtype) {
#define GF_CASE(dtype, T, Part)                               \
  case dtype:                                                 \
    spread<T, Part>(w, g.data, data_of(result), planes);      \
    break;
    GF_SUMS(GF_CASE)
#undef GF_CASE
#undef GF_SUMS
    default:
      raise(ErrorKind::DType, "%s: is not defined for %s", op, kDTypeNames[g.dtype]);
  }
  return result.release();
}

}  // namespace gf
