// Views of parts: of an axis, of a matrix, of the memory; and several parts at once.
#include "direct_views.h"
#include "tape.h"

namespace gf {
namespace {

// ---- parts of an axis

// As NumPy indexes it: (:, ..., start:stop, ...), or (:, ..., start, ...) for one place.
Ref key_of(int axis, npy_intp start, npy_intp stop, bool one) {
  static PyObject* whole = PySlice_New(nullptr, nullptr, nullptr);
  Ref key(checked(PyTuple_New(axis + 2)));
  for (int d = 0; d < axis; ++d) {
    Py_INCREF(whole);
    PyTuple_SET_ITEM(key.get(), d, whole);
  }
  Ref first(checked(PyLong_FromSsize_t(start)));
  if (!one) {
    Ref last(checked(PyLong_FromSsize_t(stop)));
    first = Ref(checked(PySlice_New(first.get(), last.get(), nullptr)));
  }
  PyTuple_SET_ITEM(key.get(), axis, first.release());
  Py_INCREF(Py_Ellipsis);
  PyTuple_SET_ITEM(key.get(), axis + 1, Py_Ellipsis);
  return key;
}

Source part_of(const Source& x, int axis, npy_intp start, npy_intp stop, bool one) {
  Source out = x;
  if (out.shape[axis] && start < x.shape[axis]) out.data += start * x.strides[axis];
  out.shape[axis] = stop - start;
  if (one) out.erase(axis);
  return out;
}

PyObject* select(const Call& c) {
  Source x;
  int axis, i;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &axis) || !plain_axis(c.arg[2], int(x.shape[axis]), &i) ||
      x.shape[axis] > INT32_MAX)
    return nullptr;
  const npy_intp params[] = {i, axis};
  return part_of(x, axis, i, i + 1, true).tensor_by(c.tool(0), int_params(2, params));
}

PyObject* narrow(const Call& c) {
  Source x;
  int axis;
  int64_t start, length;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &axis) || !plain_int(c.arg[2], &start) ||
      !plain_int(c.arg[3], &length))
    return nullptr;
  const npy_intp n = x.shape[axis];
  if (start < -n || start > n) return nullptr;
  if (start < 0) start += n;
  if (length < 0 || length > n - start) return nullptr;
  Ref key(key_of(axis, start, start + length, false));
  return part_of(x, axis, start, start + length, false).tensor_by(c.tool(0), Ref(checked(PyTuple_Pack(1, key.get()))));
}

PyObject* diagonal(const Call& c) {
  Source x;
  int64_t offset = 0;
  int i = 0, j = 1;
  if (!x.read(c.arg[0]) || x.ndim < 2 || (c.arg[1] && !plain_int(c.arg[1], &offset)) ||
      (c.arg[2] && !plain_axis(c.arg[2], x.ndim, &i)) || (c.arg[3] && !plain_axis(c.arg[3], x.ndim, &j)) || i == j ||
      offset <= INT32_MIN || offset > INT32_MAX)
    return nullptr;
  const npy_intp params[] = {npy_intp(offset), i, j};
  const npy_intp rows = x.shape[i] + std::min<npy_intp>(offset, 0),
                 columns = x.shape[j] - std::max<npy_intp>(offset, 0);
  const npy_intp length = std::max<npy_intp>(std::min(rows, columns), 0), step = x.strides[i] + x.strides[j];
  if (length) x.data += offset < 0 ? -offset * x.strides[i] : offset * x.strides[j];
  x.erase(std::max(i, j));
  x.erase(std::min(i, j));
  x.insert(x.ndim, length, step);
  return x.tensor_by(c.tool(0), int_params(3, params));
}

PyObject* unfold(const Call& c) {
  Source x;
  int axis;
  int64_t size, step;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &axis) || !plain_int(c.arg[2], &size) ||
      !plain_int(c.arg[3], &step) || size <= 0 || size > x.shape[axis] || step <= 0)
    return nullptr;
  const npy_intp params[] = {axis, npy_intp(size), npy_intp(step)}, stride = x.strides[axis];
  x.shape[axis] = (x.shape[axis] - size) / step + 1;
  if (x.shape[axis] > 1) x.strides[axis] = stride * step;
  x.insert(x.ndim, size, stride);
  return x.tensor_by(c.tool(0), int_params(3, params));
}

PyObject* as_strided(const Call& c) {
  Source x;
  if (!x.read(c.arg[0])) return nullptr;
  PyArrayObject* base = x.array;
  while (PyArray_BASE(base) && PyArray_CheckExact(PyArray_BASE(base)))
    base = reinterpret_cast<PyArrayObject*>(PyArray_BASE(base));
  if ((PyArray_BASE(base) && PyArray_Check(PyArray_BASE(base))) || PyArray_TYPE(base) != PyArray_TYPE(x.array) ||
      !PyArray_IS_C_CONTIGUOUS(base))
    return nullptr;
  npy_intp own[kMaxDims];
  const npy_intp start = x.size() ? (x.data - PyArray_BYTES(base)) / x.item : 0;
  for (int d = 0; d < x.ndim; ++d) own[d] = x.strides[d] / x.item;
  Ref from(int_tuple(x.ndim, own));
  npy_intp shape[kMaxDims], strides[kMaxDims];
  int64_t offset = start, last;
  const int n = plain_ints(c.arg[1], shape);
  if (n < 0 || n != plain_ints(c.arg[2], strides) || (c.arg[3] && c.arg[3] != Py_None && !plain_int(c.arg[3], &offset)))
    return nullptr;
  last = offset;
  bool empty = false;
  for (int d = 0; d < n; ++d) {
    int64_t far;
    empty |= !shape[d];
    if (shape[d] < 0 || strides[d] < 0 || shape[d] > INT32_MAX ||
        __builtin_mul_overflow(std::max<int64_t>(shape[d] - 1, 0), int64_t(strides[d]), &far) ||
        __builtin_add_overflow(last, far, &last))
      return nullptr;
  }
  if (offset < 0 || offset > PyArray_SIZE(base) || empty || last >= PyArray_SIZE(base)) return nullptr;
  Ref sizes(int_tuple(n, shape)), steps(int_tuple(n, strides));
  Ref origin(checked(Py_BuildValue("(Onn)", from.get(), start, Py_ssize_t(PyArray_SIZE(base)))));
  Ref params(checked(Py_BuildValue("(OOLO)", sizes.get(), steps.get(), (long long)offset, origin.get())));
  x.ndim = n;
  std::copy_n(shape, n, x.shape);
  for (int d = 0; d < n; ++d) x.strides[d] = strides[d] * x.item;
  x.data = PyArray_BYTES(base) + offset * x.item;
  return x.tensor_by(c.tool(0), params);
}

// ---- several parts at once: tools are the plan of a part and, where the parts are one node's outputs, that node's
// plan, the class of its outputs and why a part cannot be changed

PyObject* parts(const Call& c, const Source& x, int axis, npy_intp count, const npy_intp* bounds, bool one) {
  const bool together = PyTuple_GET_SIZE(c.tools) > 1;
  Ref result(checked(PyTuple_New(count))), keys(checked(PyList_New(count))), shape(shape_tuple(x.array)), node;
  for (npy_intp k = 0; k < count; ++k)
    PyList_SET_ITEM(keys.get(), k, key_of(axis, one ? k : bounds[k], one ? k + 1 : bounds[k + 1], one).release());
  PyObject* history = reinterpret_cast<Tensor*>(x.tensor)->node;
  if (together && history != Py_None && dtype_code(x.array) >= kFloat16 && recording()) {
    Ref meta(checked(PyTuple_Pack(2, shape.get(), keys.get())));
    node = Ref(checked(new_node(c.tool(1), history, meta.get())));
  }
  for (npy_intp k = 0; k < count; ++k) {
    const Source out = part_of(x, axis, one ? k : bounds[k], one ? k + 1 : bounds[k + 1], one);
    Ref params(checked(PyTuple_Pack(1, PyList_GET_ITEM(keys.get(), k))));
    PyObject* part;
    if (together) {
      Ref place, meta(checked(PyTuple_Pack(2, shape.get(), params.get()))), array(out.view());
      if (node) place = Ref(checked(PyObject_CallFunction(c.tool(2), "On", node.get(), Py_ssize_t(k))));
      part = tensor_view(array.get(), x.tensor, node ? place.get() : Py_None, c.tool(0), meta.get(), c.tool(3));
    } else {
      part = out.tensor_by(c.tool(0), params);
    }
    PyTuple_SET_ITEM(result.get(), k, part);
  }
  return result.release();
}

constexpr npy_intp kMaxParts = 4096;  // more are a loop that nobody waits for

struct Bounds {  // of one call: what it makes may run a collector, and that anything
  npy_intp at[kMaxParts + 1];
  Bounds() { at[0] = 0; }
};

bool axis_to_split(const Call& c, Source& x, int* axis) {
  *axis = 0;
  return x.read(c.arg[0]) && x.ndim && (!c.arg[2] || plain_axis(c.arg[2], x.ndim, axis));
}

PyObject* equal_parts(const Call& c, Source& x, int axis, npy_intp size) {
  const npy_intp n = x.shape[axis];
  if (!n || size <= 0 || (n - 1) / size + 1 > kMaxParts) return nullptr;
  const npy_intp count = (n - 1) / size + 1;
  Bounds bounds;
  npy_intp* at = bounds.at;
  for (npy_intp k = 0; k <= count; ++k) at[k] = std::min(k * size, n);
  return parts(c, x, axis, count, at, false);
}

PyObject* split(const Call& c) {
  Source x;
  int axis;
  int64_t size;
  if (!axis_to_split(c, x, &axis)) return nullptr;
  if (plain_int(c.arg[1], &size)) return equal_parts(c, x, axis, npy_intp(size));
  npy_intp sizes[kMaxDims];
  const int count = plain_ints(c.arg[1], sizes);
  if (count < 1) return nullptr;
  Bounds bounds;
  npy_intp* at = bounds.at;
  for (int k = 0; k < count; ++k) {
    if (sizes[k] < 0 || sizes[k] > x.shape[axis] - at[k]) return nullptr;
    at[k + 1] = at[k] + sizes[k];
  }
  return at[count] == x.shape[axis] ? parts(c, x, axis, count, at, false) : nullptr;
}

PyObject* chunk(const Call& c) {
  Source x;
  int axis;
  int64_t chunks;
  if (!axis_to_split(c, x, &axis) || !plain_int(c.arg[1], &chunks) || chunks <= 0 || chunks > INT32_MAX) return nullptr;
  return equal_parts(c, x, axis, npy_intp((x.shape[axis] + chunks - 1) / chunks));
}

PyObject* unbind(const Call& c) {
  Source x;
  int axis = 0;
  if (!x.read(c.arg[0]) || !x.ndim || (c.arg[1] && !plain_axis(c.arg[1], x.ndim, &axis))) return nullptr;
  return x.shape[axis] <= kMaxParts ? parts(c, x, axis, x.shape[axis], nullptr, true) : nullptr;
}

PyObject* tensor_split(const Call& c) {
  Source x;
  int axis;
  int64_t sections;
  if (!axis_to_split(c, x, &axis)) return nullptr;
  npy_intp given[kMaxDims];
  Bounds bounds;
  npy_intp* at = bounds.at;
  const npy_intp n = x.shape[axis];
  if (plain_int(c.arg[1], &sections)) {
    if (sections <= 0 || sections > kMaxParts) return nullptr;
    for (npy_intp k = 0; k < sections; ++k) at[k + 1] = at[k] + n / sections + (k < n % sections);
    return parts(c, x, axis, sections, at, false);
  }
  const int count = plain_ints(c.arg[1], given);
  if (count < 0) return nullptr;
  for (int k = 0; k < count; ++k) {
    if (given[k] < at[k] || given[k] > n) return nullptr;
    at[k + 1] = given[k];
  }
  at[count + 1] = n;
  return parts(c, x, axis, count + 1, at, false);
}

}  // namespace

const DirectKind kDirectParts[] = {
    {"select", select}, {"narrow", narrow},         {"diagonal", diagonal},
    {"unfold", unfold}, {"as_strided", as_strided}, {"split", split},
    {"chunk", chunk},   {"unbind", unbind},         {"tensor_split", tensor_split},
    {nullptr, nullptr},
};

}  // namespace gf
