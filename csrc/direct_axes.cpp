// Views with other axes: their order, their sizes, those of size 1.
#include "direct_views.h"

namespace gf {
namespace {

// ---- the order of axes: tools are the plans of permute, or of an exchange of two

PyObject* permuted(Source& x, PyObject* plan, const npy_intp* axes) {
  Source out = x;
  for (int d = 0; d < x.ndim; ++d) {
    out.shape[d] = x.shape[axes[d]];
    out.strides[d] = x.strides[axes[d]];
  }
  return out.tensor_by(plan, tuple_param(x.ndim, axes));
}

PyObject* swapped(Source& x, PyObject* plan, int i, int j) {
  std::swap(x.shape[i], x.shape[j]);
  std::swap(x.strides[i], x.strides[j]);
  const npy_intp axes[] = {i, j};
  return x.tensor_by(plan, int_params(2, axes));
}

PyObject* permute(const Call& c) {
  Source x;
  npy_intp axes[kMaxDims];
  if (!x.read(c.arg[0]) || (c.arg[1] && c.rest_count)) return nullptr;
  const int n = c.arg[1] ? plain_ints(c.arg[1], axes) : plain_ints(c.rest, c.rest_count, axes);
  if (n != x.ndim) return nullptr;
  uint64_t seen = 0;
  for (int d = 0; d < n; ++d) {
    if (axes[d] < -n || axes[d] >= n) return nullptr;
    if (axes[d] < 0) axes[d] += n;
    seen |= uint64_t(1) << axes[d];
  }
  return seen == (uint64_t(1) << n) - 1 ? permuted(x, c.tool(0), axes) : nullptr;
}

PyObject* transpose(const Call& c) {
  Source x;
  int i, j;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &i) || !plain_axis(c.arg[2], x.ndim, &j)) return nullptr;
  return swapped(x, c.tool(0), i, j);
}

PyObject* matrix_transposed(const Call& c) {
  Source x;
  return x.read(c.arg[0]) && x.ndim >= 2 ? swapped(x, c.tool(0), x.ndim - 2, x.ndim - 1) : nullptr;
}

PyObject* transposed(const Call& c) {
  Source x;
  if (!x.read(c.arg[0])) return nullptr;
  npy_intp axes[kMaxDims];
  for (int d = 0; d < x.ndim; ++d) axes[d] = x.ndim - 1 - d;
  return permuted(x, c.tool(0), axes);
}

PyObject* t(const Call& c) {
  Source x;
  if (!x.read(c.arg[0]) || x.ndim > 2) return nullptr;
  if (x.ndim == 2) {
    std::swap(x.shape[0], x.shape[1]);
    std::swap(x.strides[0], x.strides[1]);
  }
  return x.tensor_by(c.tool(0), no_params());
}

PyObject* movedim(const Call& c) {
  Source x;
  int from, to;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &from) || !plain_axis(c.arg[2], x.ndim, &to)) return nullptr;
  npy_intp axes[kMaxDims];
  for (int d = 0, next = 0; d < x.ndim; ++d) {
    if (next == from) ++next;
    axes[d] = d == to ? from : next++;
  }
  return permuted(x, c.tool(0), axes);
}

// ---- other sizes of the same elements

// The strides of `shape` in x's memory; false if some element has none, or the numbers of elements differ.
bool strides_for(const Source& x, int ndim, const npy_intp* shape, npy_intp* strides) {
  if (PyArray_IS_C_CONTIGUOUS(x.array)) {
    npy_intp step = x.item;
    for (int d = ndim - 1; d >= 0; --d) {
      strides[d] = step;
      if (__builtin_mul_overflow(step, std::max<npy_intp>(shape[d], 1), &step)) return false;
    }
    return true;
  }
  if (!x.size()) return false;
  int at = ndim - 1;  // runs of x's axes that lie one within the other, each to be divided among axes of the view
  npy_intp step = x.strides[x.ndim - 1], run = 1, filled = 1;
  for (int d = x.ndim - 1; d >= 0; --d) {
    run *= x.shape[d];
    if (d && (x.shape[d - 1] == 1 || x.strides[d - 1] == run * step)) continue;
    for (; at >= 0 && (filled < run || shape[at] == 1); --at) {
      strides[at] = filled * step;
      filled *= shape[at];
    }
    if (filled != run) return false;
    if (d) step = x.strides[d - 1];
    run = filled = 1;
  }
  return at < 0;
}

PyObject* reshaped(Source& x, PyObject* plan, int ndim, const npy_intp* shape) {
  Source out = x;
  if (!strides_for(x, ndim, shape, out.strides)) return nullptr;
  out.ndim = ndim;
  std::copy_n(shape, ndim, out.shape);
  return out.tensor_by(plan, tuple_param(ndim, shape));
}

// One size may be -1: what the others leave of `total`.
bool fill(npy_intp total, int ndim, npy_intp* shape) {
  int64_t known = 1;
  int hole = -1;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] == -1 && hole < 0)
      hole = d;
    else if (shape[d] < 0 || __builtin_mul_overflow(known, int64_t(shape[d]), &known))
      return false;
  }
  if (hole < 0) return known == total;
  if (!known || total % known) return false;
  shape[hole] = total / known;
  return true;
}

PyObject* reshape(const Call& c) {  // and view
  Source x;
  npy_intp shape[kMaxDims];
  if (!x.read(c.arg[0]) || (c.arg[1] && c.rest_count)) return nullptr;
  const int n = c.arg[1] ? plain_ints(c.arg[1], shape) : plain_ints(c.rest, c.rest_count, shape);
  return n >= 0 && fill(x.size(), n, shape) ? reshaped(x, c.tool(0), n, shape) : nullptr;
}

PyObject* reshape_as(const Call& c) {  // and view_as
  Source x, y;
  if (!x.read(c.arg[0]) || !y.read(c.arg[1]) || x.size() != y.size()) return nullptr;
  return reshaped(x, c.tool(0), y.ndim, y.shape);
}

PyObject* ravel(const Call& c) {
  Source x;
  if (!x.read(c.arg[0]) || !PyArray_IS_C_CONTIGUOUS(x.array)) return nullptr;
  const npy_intp n = x.size();
  return reshaped(x, c.tool(0), 1, &n);
}

PyObject* flatten(const Call& c) {
  Source x;
  if (!x.read(c.arg[0]) || !x.ndim) return nullptr;
  int i = 0, j = x.ndim - 1;
  if ((c.arg[1] && !plain_axis(c.arg[1], x.ndim, &i)) || (c.arg[2] && !plain_axis(c.arg[2], x.ndim, &j)) || i > j)
    return nullptr;
  if (i == j) {
    Py_INCREF(c.arg[0]);
    return c.arg[0];
  }
  npy_intp shape[kMaxDims], merged = 1;
  for (int d = i; d <= j; ++d) merged *= x.shape[d];
  std::copy_n(x.shape, i, shape);
  shape[i] = merged;
  std::copy(x.shape + j + 1, x.shape + x.ndim, shape + i + 1);
  return reshaped(x, c.tool(0), x.ndim - (j - i), shape);
}

PyObject* unflatten(const Call& c) {
  Source x;
  int axis;
  npy_intp sizes[kMaxDims], shape[kMaxDims];
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim, &axis)) return nullptr;
  const int n = plain_ints(c.arg[2], sizes);
  if (n < 1 || x.ndim - 1 + n > kMaxDims || !fill(x.shape[axis], n, sizes)) return nullptr;
  std::copy_n(x.shape, axis, shape);
  std::copy_n(sizes, n, shape + axis);
  std::copy(x.shape + axis + 1, x.shape + x.ndim, shape + axis + n);
  return reshaped(x, c.tool(0), x.ndim - 1 + n, shape);
}

// ---- axes of size 1

PyObject* unsqueeze(const Call& c) {
  Source x;
  int axis;
  if (!x.read(c.arg[0]) || !plain_axis(c.arg[1], x.ndim + 1, &axis)) return nullptr;
  x.insert(axis, 1, axis < x.ndim ? x.shape[axis] * x.strides[axis] : x.item);
  const npy_intp at = axis;
  return x.tensor_by(c.tool(0), int_params(1, &at));
}

PyObject* squeeze(const Call& c) {  // tools: the plans without axes and with them
  Source x;
  if (!x.read(c.arg[0])) return nullptr;
  npy_intp axes[kMaxDims];
  int n = 0;
  if (!c.arg[1] || c.arg[1] == Py_None) {
    for (int d = x.ndim - 1; d >= 0; --d)
      if (x.shape[d] == 1) x.erase(d);
    return x.tensor_by(c.tool(0), no_params());
  }
  int axis;
  if (!plain_axis(c.arg[1], std::max(x.ndim, 1), &axis)) return nullptr;
  if (x.ndim && x.shape[axis] == 1) {
    axes[n++] = axis;
    x.erase(axis);
  }
  return x.tensor_by(c.tool(1), tuple_param(n, axes));
}

PyObject* expanded(Source& x, PyObject* plan, int n, npy_intp* shape) {
  const int lead = n - x.ndim;
  if (lead < 0) return nullptr;
  Source out = x;
  out.ndim = n;
  out.writeable = false;
  for (int d = 0; d < n; ++d) {
    const npy_intp have = d < lead ? 1 : x.shape[d - lead];
    if (shape[d] == -1 && d >= lead) shape[d] = have;
    if (shape[d] < 0 || (have != 1 && have != shape[d])) return nullptr;
    out.shape[d] = shape[d];
    out.strides[d] = d >= lead && have == shape[d] ? x.strides[d - lead] : 0;
  }
  return out.tensor_by(plan, tuple_param(n, shape));
}

PyObject* expand(const Call& c) {
  Source x;
  npy_intp shape[kMaxDims];
  if (!x.read(c.arg[0]) || (c.arg[1] && c.rest_count)) return nullptr;
  const int n = c.arg[1] ? plain_ints(c.arg[1], shape) : plain_ints(c.rest, c.rest_count, shape);
  return expanded(x, c.tool(0), n, shape);
}

PyObject* broadcast_to(const Call& c) {
  Source x;
  npy_intp shape[kMaxDims];
  return x.read(c.arg[0]) ? expanded(x, c.tool(0), plain_ints(c.arg[1], shape), shape) : nullptr;
}

PyObject* expand_as(const Call& c) {
  Source x, y;
  return x.read(c.arg[0]) && y.read(c.arg[1]) ? expanded(x, c.tool(0), y.ndim, y.shape) : nullptr;
}

PyObject* detach(const Call& c) {
  Source x;
  if (!x.read(c.arg[0])) return nullptr;
  auto* tensor = reinterpret_cast<Tensor*>(x.tensor);
  return new_tensor(x.kept.object, Py_None, version_of(tensor));
}

}  // namespace

const DirectKind kDirectAxes[] = {
    {"permute", permute},
    {"transpose", transpose},
    {"transposed", transposed},
    {"matrix_transposed", matrix_transposed},
    {"t", t},
    {"movedim", movedim},
    {"reshape", reshape},
    {"reshape_as", reshape_as},
    {"ravel", ravel},
    {"flatten", flatten},
    {"unflatten", unflatten},
    {"unsqueeze", unsqueeze},
    {"squeeze", squeeze},
    {"expand", expand},
    {"expand_as", expand_as},
    {"broadcast_to", broadcast_to},
    {"detach", detach},
    {nullptr, nullptr},
};

}  // namespace gf
