// gather, scatter, scatter_add, scatter_fold, take_rows, add_rows: their arguments. What they do with them is in
// walk.h.
#include <algorithm>
#include <atomic>
#include <initializer_list>

#include "common.h"
#include "kernels.h"
#include "walk.h"

namespace gf {

using namespace walks;

namespace {

View view_of(PyObject* array, const char* op) {
  View v;
  read_view(reinterpret_cast<PyArrayObject*>(array), op, &v);
  return v;
}

// A table without dimensions is one of a single element.
View table_of(PyObject* array, const char* op) {
  View v = view_of(array, op);
  if (v.ndim == 0) {
    v.ndim = 1;
    v.shape[0] = 1;
    v.strides[0] = 0;
  }
  return v;
}

int axis_argument(PyObject* object, const View& table, const char* op) {
  int64_t axis = int_argument(object, op, "axis");
  if (axis < -table.ndim || axis >= table.ndim)
    raise(ErrorKind::Axis, "%s: axis %lld is out of range for %d dimensions; use %d to %d", op,
          static_cast<long long>(axis), table.ndim, -table.ndim, table.ndim - 1);
  return int(axis < 0 ? axis + table.ndim : axis);
}

bool is_contiguous(const View& v) {
  if (v.size() == 0) return true;
  npy_intp expected = item_size(v.dtype);
  for (int d = v.ndim - 1; d >= 0; --d) {
    if (v.shape[d] != 1 && v.strides[d] != expected) return false;
    expected *= v.shape[d];
  }
  return true;
}

// The indices as adjacent int64, all within [0, size); what a kernel may write must not be among them.
struct Indices {
  View view;
  Ref copy;
  const int64_t* data() const { return reinterpret_cast<const int64_t*>(view.data); }

  Indices(PyObject* array, const char* op, const View* written) : view(view_of(array, op)) {
    if (view.dtype != kInt64 && view.dtype != kInt32)
      raise(ErrorKind::DType, "%s: index must be int64 or int32, got %s; convert it", op, kDTypeNames[view.dtype]);
    bool as_it_is = view.dtype == kInt64 && view.aligned && is_contiguous(view);
    if (as_it_is && (!written || overlap(view, *written) == Overlap::None)) return;
    copy = Ref(new_array(view.ndim, view.shape, kInt64));
    View fresh = view_of(copy.get(), op);
    copy_view(view, fresh);
    view = fresh;
  }

  void check(int64_t size, int axis, const char* op) const {
    const int64_t* index = data();
    int64_t n = view.size(), chunks = n / kChunk + 1;
    std::atomic<bool> wrong{false};
    auto check_chunk = [&](int64_t chunk) {
      uint64_t signs = 0;  // negative where an index, or what is left above it, is: vectorises everywhere
      for (int64_t i = n * chunk / chunks, end = n * (chunk + 1) / chunks; i < end; ++i)
        signs |= uint64_t(index[i]) | (uint64_t(size - 1) - uint64_t(index[i]));
      if (signs >> 63) wrong = true;
    };
    if (chunks == 1) {
      check_chunk(0);
    } else {
      NoGil no_gil(true);
      parallel_for(chunks, check_chunk);
    }
    if (!wrong) return;
    int64_t i = 0;
    while (uint64_t(index[i]) < uint64_t(size)) ++i;
    raise(ErrorKind::Index, "%s: index %lld is out of bounds for axis %d with size %lld", op,
          static_cast<long long>(index[i]), axis, static_cast<long long>(size));
  }
};

void require(bool condition, const char* op, const char* rule, const View& table, const View& index,
             const View* dense) {
  if (condition) return;
  std::string text =
      "the table is " + shape_text(table.ndim, table.shape) + ", index is " + shape_text(index.ndim, index.shape);
  if (dense) text += ", the source is " + shape_text(dense->ndim, dense->shape);
  raise(ErrorKind::Shape, "%s: the shapes do not fit: %s; %s", op, text.c_str(), rule);
}

void require_same_dtype(const View& table, const View& dense, const char* op) {
  if (table.dtype != dense.dtype)
    raise(ErrorKind::DType, "%s: dtypes differ: out is %s, the source is %s; convert one of them", op,
          kDTypeNames[table.dtype], kDTypeNames[dense.dtype]);
}

void require_writeable(PyObject* array, const char* op) {
  auto* out = reinterpret_cast<PyArrayObject*>(array);
  given_out_ok(array, PyArray_NDIM(out), PyArray_DIMS(out), op);
}

// A source that shares memory with what is written is copied first.
Ref unshared(View* dense, const View& written, const char* op) {
  if (overlap(*dense, written) == Overlap::None) return Ref();
  Ref copy(new_array(dense->ndim, dense->shape, dense->dtype));
  View fresh = view_of(copy.get(), op);
  copy_view(*dense, fresh);
  *dense = fresh;
  return copy;
}

// One index per element: index and dense have the table's dimensions.
Walk element_walk(const View& table, int axis, const Indices& indices, const View& dense) {
  Walk w;
  const View& index = indices.view;
  for (int d = 0; d < index.ndim; ++d)
    w.add(index.shape[d], dense.strides[d], d == axis ? 0 : table.strides[d], index.strides[d] / 8);
  w.dense_data = dense.data;
  w.table_data = table.data;
  w.index_data = indices.data();
  w.axis_stride = table.strides[axis];
  return w;
}

// One index per row: dense has the index's dimensions in place of the table's axis.
Walk row_walk(const View& table, int axis, const Indices& indices, const View& dense) {
  Walk w;
  const View& index = indices.view;
  for (int d = 0; d < axis; ++d) w.add(table.shape[d], dense.strides[d], table.strides[d], 0);
  for (int d = 0; d < index.ndim; ++d) w.add(index.shape[d], dense.strides[axis + d], 0, index.strides[d] / 8);
  for (int d = axis + 1; d < table.ndim; ++d)
    w.add(table.shape[d], dense.strides[index.ndim + d - 1], table.strides[d], 0);
  w.dense_data = dense.data;
  w.table_data = table.data;
  w.index_data = indices.data();
  w.axis_stride = table.strides[axis];
  return w;
}

int row_shape(const View& table, int axis, const View& index, npy_intp* shape, const char* op) {
  int ndim = table.ndim - 1 + index.ndim;
  if (ndim > kMaxDims)
    raise(ErrorKind::Shape, "%s: the result would have %d dimensions; at most %d are supported", op, ndim, kMaxDims);
  std::copy(table.shape, table.shape + axis, shape);
  std::copy(index.shape, index.shape + index.ndim, shape + axis);
  std::copy(table.shape + axis + 1, table.shape + table.ndim, shape + axis + index.ndim);
  return ndim;
}

bool all_arrays(PyObject* const* args, std::initializer_list<int> which) {
  for (int i : which)
    if (!is_array(args[i])) return false;
  return true;
}

void require_count(Py_ssize_t count, int least, int most, const char* op) {
  if (count < least || count > most)
    raise(ErrorKind::Type, "%s: takes %d to %d arguments, got %d", op, least, most, int(count));
}

// `walk(view)` of the result, into `out` if given; through a temporary where out's dtype differs or memory is shared.
template <class MakeWalk>
PyObject* read_into(PyObject* out, int ndim, const npy_intp* shape, const View& table, const Indices& indices,
                    const char* op, const MakeWalk& make_walk) {
  bool given = given_out_ok(out, ndim, shape, op);
  if (given) {
    View target = view_of(out, op);
    if (target.dtype == table.dtype && overlap(target, table) == Overlap::None &&
        overlap(target, indices.view) == Overlap::None) {
      read_table(make_walk(target), table.dtype);
      Py_INCREF(out);
      return out;
    }
  }
  Ref result(new_array(ndim, shape, table.dtype));
  View fresh = view_of(result.get(), op);
  read_table(make_walk(fresh), table.dtype);
  if (!given) return result.release();
  copy_view(fresh, view_of(out, op));
  Py_INCREF(out);
  return out;
}

}  // namespace

// gather(x, axis, index, out=None): out[i][j] = x[index[i][j]][j] for axis 0
PyObject* gather(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "gather";
  require_count(count, 3, 4, op);
  PyObject* out = count > 3 && args[3] != Py_None ? args[3] : nullptr;
  if (!all_arrays(args, {0, 2}) || (out && !is_array(out))) return call_fallback(op, args, count);
  View table = table_of(args[0], op);
  int axis = axis_argument(args[1], table, op);
  Indices indices(args[2], op, nullptr);
  const View& index = indices.view;
  bool fits = index.ndim == table.ndim || (index.ndim == 0 && table.ndim == 1);
  for (int d = 0; fits && d < index.ndim; ++d) fits = d == axis || index.shape[d] <= table.shape[d];
  require(fits, op, "index needs as many dimensions, and is nowhere longer but along the axis", table, index, nullptr);
  indices.check(table.shape[axis], axis, op);
  return read_into(out, index.ndim, index.shape, table, indices, op,
                   [&](const View& dense) { return element_walk(table, axis, indices, dense); });
}

namespace {

using ToTable = void (*)(const Walk&, DType);

PyObject* write_elements(const char* op, ToTable write, PyObject* const* args, Py_ssize_t count) {
  require_count(count, 4, 4, op);
  if (!all_arrays(args, {0, 2, 3})) return call_fallback(op, args, count);
  View table = table_of(args[0], op), dense = view_of(args[3], op);
  int axis = axis_argument(args[1], table, op);
  Indices indices(args[2], op, &table);
  const View& index = indices.view;
  if (dense.ndim == 0 && index.ndim > 0) {  // one value for all
    dense.ndim = index.ndim;
    std::copy(index.shape, index.shape + index.ndim, dense.shape);
    std::fill(dense.strides, dense.strides + index.ndim, 0);
  }
  bool fits = index.ndim == dense.ndim && (index.ndim == table.ndim || (index.ndim == 0 && table.ndim == 1));
  for (int d = 0; fits && d < index.ndim; ++d)
    fits = index.shape[d] <= dense.shape[d] && (d == axis || index.shape[d] <= table.shape[d]);
  require(
      fits, op,
      "all need as many dimensions, and index is nowhere longer than the source, nor than the table but along the axis",
      table, index, &dense);
  require_same_dtype(table, dense, op);
  require_writeable(args[0], op);
  indices.check(table.shape[axis], axis, op);
  Ref copy = unshared(&dense, table, op);
  write(element_walk(table, axis, indices, dense), table.dtype);
  Py_INCREF(args[0]);
  return args[0];
}

}  // namespace

// scatter_add(out, axis, index, src): out[index[i][j]][j] += src[i][j] for axis 0; returns out
PyObject* scatter_add(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return write_elements("scatter_add", fold_to_table<Combine::Sum>, args, count);
}

namespace {

ToTable fold_argument(const char* op, PyObject* const* args, Py_ssize_t count) {
  constexpr ToTable kinds[] = {fold_to_table<Combine::Product>, fold_to_table<Combine::Largest>,
                               fold_to_table<Combine::Least>};
  require_count(count, 5, 5, op);
  const int64_t kind = int_argument(args[4], op, "kind");
  if (kind < 0 || kind > 2) raise(ErrorKind::Argument, "%s: unknown kind %lld", op, (long long)kind);
  return kinds[kind];
}

}  // namespace

// scatter_fold(out, axis, index, src, kind): as scatter_add, with the product (0), the largest (1) or the least (2)
PyObject* scatter_fold(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return write_elements("scatter_fold", fold_argument("scatter_fold", args, count), args, 4);
}

// scatter(out, axis, index, src): out[index[i][j]][j] = src[i][j] for axis 0, of equal indices the last; returns out
PyObject* scatter(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return write_elements("scatter", write_table, args, count);
}

// take_rows(x, axis, index, out=None): x.take(index, axis)
PyObject* take_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "take_rows";
  require_count(count, 3, 4, op);
  PyObject* out = count > 3 && args[3] != Py_None ? args[3] : nullptr;
  if (!all_arrays(args, {0, 2}) || (out && !is_array(out))) return call_fallback(op, args, count);
  View table = table_of(args[0], op);
  int axis = axis_argument(args[1], table, op);
  Indices indices(args[2], op, nullptr);
  indices.check(table.shape[axis], axis, op);
  npy_intp shape[kMaxDims];
  int ndim = row_shape(table, axis, indices.view, shape, op);
  return read_into(out, ndim, shape, table, indices, op,
                   [&](const View& dense) { return row_walk(table, axis, indices, dense); });
}

namespace {

// Rows of which each lies in one piece, on both sides.
void copy_rows(const Walk& w, int64_t item) {
  auto moves = [&w](int d) { return w.table[d] != 0; };
  share(w, w.table, moves, [item](const Walk& part) {
    walk_rows(part, [&part, item](int64_t n, const char* dense, char* table, const int64_t* index, npy_intp, npy_intp,
                                  npy_intp) { memcpy(table + *index * part.axis_stride, dense, size_t(n * item)); });
  });
}

void write_rows(const Walk& w, DType dtype) {
  const int last = w.ndim - 1;
  const int64_t item = item_size(dtype);
  if (last >= 0 && w.index[last] == 0 && w.dense[last] == item && w.table[last] == item) return copy_rows(w, item);
  write_table(w, dtype);
}

PyObject* change_rows(const char* op, ToTable write, PyObject* const* args, Py_ssize_t count) {
  require_count(count, 4, 4, op);
  if (!all_arrays(args, {0, 2, 3})) return call_fallback(op, args, count);
  View table = table_of(args[0], op), dense = view_of(args[3], op);
  int axis = axis_argument(args[1], table, op);
  Indices indices(args[2], op, &table);
  npy_intp shape[kMaxDims];
  int ndim = row_shape(table, axis, indices.view, shape, op);
  bool fits = dense.ndim == ndim && std::equal(shape, shape + ndim, dense.shape);
  require(fits, op, "the source needs the index's shape in place of the axis", table, indices.view, &dense);
  require_same_dtype(table, dense, op);
  require_writeable(args[0], op);
  indices.check(table.shape[axis], axis, op);
  Ref copy = unshared(&dense, table, op);
  write(row_walk(table, axis, indices, dense), table.dtype);
  Py_INCREF(args[0]);
  return args[0];
}

template <class T>
int64_t fill_where(const char* mask, int64_t n, const char* source, int64_t most, char* out) {
  int64_t used = 0;
  for (int64_t i = 0; i < n; ++i)
    if (mask[i]) {
      if (used == most) return -1;
      store(out + i * int64_t(sizeof(T)), load<T>(source + used++ * int64_t(sizeof(T))));
    }
  return used;
}

}  // namespace

// add_rows(out, axis, index, src): out[..., index, ...] += src; returns out
PyObject* add_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return change_rows("add_rows", fold_to_table<Combine::Sum>, args, count);
}

// fold_rows(out, axis, index, src, kind): as add_rows, with a fold as in scatter_fold; returns out
PyObject* fold_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return change_rows("fold_rows", fold_argument("fold_rows", args, count), args, 4);
}

// add_rows_of(out, to, table, from): out[to[i]] += table[from[i]] for rows of matrices of float32 or float64; returns
// out
PyObject* add_rows_of(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "add_rows_of";
  require_count(count, 4, 4, op);
  for (int i = 0; i < 4; ++i)
    if (!is_array(args[i])) raise(ErrorKind::Type, "%s: expected arrays, got %s", op, Py_TYPE(args[i])->tp_name);
  const View out = view_of(args[0], op);
  View table = view_of(args[2], op);
  require_same_dtype(out, table, op);
  require_writeable(args[0], op);
  const Indices to(args[1], op, &out), from(args[3], op, &out);
  if ((out.dtype != kFloat32 && out.dtype != kFloat64) || !is_contiguous(out) || !is_contiguous(table) ||
      !out.aligned || !table.aligned)
    raise(ErrorKind::Argument, "%s: needs contiguous matrices of float32 or float64", op);
  require(out.ndim == 2 && table.ndim == 2 && out.shape[1] == table.shape[1] && to.view.ndim == 1 &&
              from.view.ndim == 1 && to.view.shape[0] == from.view.shape[0],
          op, "needs two matrices with rows of one length, and as many indices of each", out, to.view, &table);
  to.check(out.shape[0], 0, op);
  from.check(table.shape[0], 0, op);
  const Ref copy = unshared(&table, out, op);
  const int64_t n = to.view.shape[0], width = out.shape[1], item = item_size(out.dtype), line = kLine / item;
  const auto add = kernels->add_rows_of[out.dtype == kFloat64];
  // Threads have columns of their own, so that the order of the sums is always the same.
  const int64_t parts = std::max<int64_t>(1, std::min({width / line, n * width / kChunk, int64_t(num_threads())}));
  NoGil no_gil(n * width > kChunk);
  parallel_for(parts, [&](int64_t part) {
    const int64_t first = width * part / parts / line * line;
    const int64_t last = part + 1 == parts ? width : width * (part + 1) / parts / line * line;
    add(out.data + first * item, table.data + first * item, to.data(), from.data(), n, width, last - first);
  });
  Py_INCREF(args[0]);
  return args[0];
}

// put_rows(out, axis, index, src): out[..., index, ...] = src, of equal indices the last; returns out
PyObject* put_rows(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return change_rows("put_rows", write_rows, args, count);
}

// put_where(out, mask, src): the first elements of src, in order, where the mask holds; how many they are. All
// contiguous.
PyObject* put_where(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* op = "put_where";
  require_count(count, 3, 3, op);
  for (int i = 0; i < 3; ++i)
    if (!is_array(args[i])) raise(ErrorKind::Type, "%s: expected arrays, got %s", op, Py_TYPE(args[i])->tp_name);
  const View out = view_of(args[0], op), mask = view_of(args[1], op);
  View source = view_of(args[2], op);
  for (const View* v : {&out, &mask, static_cast<const View*>(&source)})
    if (!is_contiguous(*v)) raise(ErrorKind::Argument, "%s: needs contiguous arrays", op);
  if (mask.dtype != kBool) raise(ErrorKind::DType, "%s: the mask is %s, not bool", op, kDTypeNames[mask.dtype]);
  require_same_dtype(out, source, op);
  require_writeable(args[0], op);
  if (mask.ndim != out.ndim || !std::equal(out.shape, out.shape + out.ndim, mask.shape))
    raise(ErrorKind::Shape, "%s: out is %s, the mask is %s", op, shape_text(out.ndim, out.shape).c_str(),
          shape_text(mask.ndim, mask.shape).c_str());
  if (overlap(mask, out) != Overlap::None) raise(ErrorKind::Argument, "%s: the mask shares memory with out", op);
  const int64_t n = out.size(), most = source.size();
  int64_t wanted = 0;
  for (int64_t i = 0; i < n; ++i) wanted += mask.data[i] != 0;
  if (wanted > most)
    raise(ErrorKind::Shape, "%s: the mask holds at %lld places, the source has %lld elements", op, (long long)wanted,
          (long long)most);
  Ref copy = unshared(&source, out, op);
  const auto fill = item_size(out.dtype) == 1   ? fill_where<uint8_t>
                    : item_size(out.dtype) == 2 ? fill_where<uint16_t>
                    : item_size(out.dtype) == 4 ? fill_where<uint32_t>
                                                : fill_where<uint64_t>;
  int64_t used;
  {
    NoGil no_gil(n > kChunk);
    used = fill(mask.data, n, source.data, most, out.data);
  }
  return PyLong_FromLongLong(used);
}

}  // namespace gf
