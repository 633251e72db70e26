// dot: numpy.matmul on ndarrays. OpenBLAS stays on one thread; large products are cut into blocks of the result
// that our own threads share.
#include <algorithm>
#include <cstring>

#include "common.h"
#include "gemm.h"

namespace gf {
namespace {

constexpr const char* kOp = "matmul";
constexpr double kWorkPerThread = 1e6;  // multiply-adds worth waking a thread for
constexpr double kWorkWithoutGil = 2e5;

#ifdef GF_NO_BLAS
constexpr bool kBlas = false;
#else
constexpr bool kBlas = true;
#endif

// Two pools of threads on the same cores would slow each other down.
void keep_blas_on_one_thread() {
#ifndef GF_NO_BLAS
  static bool done = false;
  if (done) return;
  scipy_openblas_set_num_threads(1);
  done = true;
#endif
}

bool uses_blas(DType dtype) { return kBlas && (dtype == kFloat32 || dtype == kFloat64); }

// ---- operands ------------------------------------------------------------------------------------

// Every view below has at least two dimensions: the matrix's are the last two.
npy_intp& rows(View& v) { return v.shape[v.ndim - 2]; }
npy_intp& columns(View& v) { return v.shape[v.ndim - 1]; }

void insert_dim(View* v, int at) {
  for (int d = v->ndim++; d > at; --d) {
    v->shape[d] = v->shape[d - 1];
    v->strides[d] = v->strides[d - 1];
  }
  v->shape[at] = 1;
  v->strides[at] = 0;
}

void expand_batch(View* v, int batches, const npy_intp* shape) {
  while (v->ndim - 2 < batches) insert_dim(v, 0);
  for (int d = 0; d < batches; ++d)
    if (v->shape[d] != shape[d]) {
      v->shape[d] = shape[d];
      v->strides[d] = 0;
    }
}

// Whether BLAS can take an m x n matrix where it is: adjacent elements along one dimension, and lines that do not
// run into each other along the other.
bool blas_can_take(npy_intp row_stride, npy_intp column_stride, int64_t m, int64_t n, npy_intp item) {
  auto fits = [item](npy_intp line, int64_t lines, npy_intp step, int64_t length) {
    return (length <= 1 || step == item) && (lines <= 1 || (line >= length * item && line / item <= INT32_MAX));
  };
  return fits(row_stride, m, column_stride, n) || fits(column_stride, n, row_stride, m);
}

bool usable_in_place(const View& v, int64_t m, int64_t n, DType dtype) {
  if (v.dtype != dtype || !v.aligned) return false;
  return !uses_blas(dtype) || blas_can_take(v.strides[v.ndim - 2], v.strides[v.ndim - 1], m, n, item_size(dtype));
}

// A C-order copy in `dtype`; dimensions that are merely expanded stay so.
Ref pack(View* v, DType dtype) {
  View source = *v;
  for (int d = 0; d < v->ndim - 2; ++d)
    if (v->strides[d] == 0) source.shape[d] = 1;
  Ref array(new_array(source.ndim, source.shape, dtype));
  View copy;
  read_view(reinterpret_cast<PyArrayObject*>(array.get()), kOp, &copy);
  copy_view(source, copy);
  for (int d = 0; d < v->ndim; ++d)
    if (source.shape[d] != v->shape[d]) {
      copy.shape[d] = v->shape[d];
      copy.strides[d] = 0;
    }
  *v = copy;
  return array;
}

// ---- the product of two stacks of matrices -----------------------------------------------------------

// Batch dimensions that b does not have, and along which the rows of a and c go on evenly, are rows: one large
// product instead of many.
void merge_batches_into_rows(View* a, View* b, View* c) {
  while (c->ndim > 2) {
    int d = c->ndim - 3;
    npy_intp count = c->shape[d], m = rows(*c), item = item_size(c->dtype);
    npy_intp a_stride = m == 1 ? a->strides[d] : a->strides[d + 1],
             c_stride = m == 1 ? c->strides[d] : c->strides[d + 1];
    bool even = b->strides[d] == 0 && (m == 1 || (a->strides[d] == m * a_stride && c->strides[d] == m * c_stride));
    bool fits = !uses_blas(c->dtype) || (blas_can_take(a_stride, a->strides[d + 2], count * m, columns(*a), item) &&
                                         blas_can_take(c_stride, c->strides[d + 2], count * m, columns(*c), item));
    if (count > 1 && !(even && fits)) return;
    for (View* v : {a, b, c}) {
      if (count > 1 && v != b) {
        v->shape[d + 1] = count * m;
        v->strides[d + 1] = v == a ? a_stride : c_stride;
      }
      for (int i = d; i < 2 + d; ++i) {
        v->shape[i] = v->shape[i + 1];
        v->strides[i] = v->strides[i + 1];
      }
      --v->ndim;
    }
  }
}

int64_t batch_count(const View& v) {
  int64_t count = 1;
  for (int d = 0; d < v.ndim - 2; ++d) count *= v.shape[d];
  return count;
}

const char* batch_data(const View& v, int64_t index) {
  const char* data = v.data;
  for (int d = v.ndim - 3; d >= 0; --d) {
    data += index % v.shape[d] * v.strides[d];
    index /= v.shape[d];
  }
  return data;
}

template <class T>
Matrix<T> matrix(const View& v, int64_t batch) {
  npy_intp item = sizeof(T);
  return {reinterpret_cast<T*>(const_cast<char*>(batch_data(v, batch))), v.strides[v.ndim - 2] / item,
          v.strides[v.ndim - 1] / item};
}

// In how many blocks the rows and columns of one result are cut, so that all threads have work.
struct Grid {
  int64_t rows = 1, columns = 1;
};

Grid cut(int64_t m, int64_t n, int64_t batches, double work) {
  constexpr int64_t kShortest = 32;
  Grid grid;
  int64_t threads = std::max<int64_t>(1, std::min<int64_t>(num_threads(), int64_t(work / kWorkPerThread)));
  auto uneven = [&](int64_t blocks) { return blocks < threads || (blocks < 4 * threads && blocks % threads != 0); };
  while (uneven(batches * grid.rows * grid.columns)) {
    int64_t height = m / (grid.rows + 1), width = n / (grid.columns + 1);
    if (std::max(height, width) < kShortest) break;
    ++(height >= width ? grid.rows : grid.columns);
  }
  return grid;
}

template <class T>
void multiply_stacks(View a, View b, View c, bool accumulate) {
  merge_batches_into_rows(&a, &b, &c);
  int64_t m = rows(c), n = columns(c), k = columns(a), batches = batch_count(c);
  double work = double(m) * double(n) * double(std::max<int64_t>(k, 1)) * double(batches);
  Grid grid = cut(m, n, batches, work);
  auto whole_lines = [](int64_t size, int64_t parts) {  // OpenBLAS works in multiples of 16
    return parts == 1 ? size : ((size + parts - 1) / parts + 15) / 16 * 16;
  };
  int64_t height = whole_lines(m, grid.rows), width = whole_lines(n, grid.columns);
  auto block = [&](int64_t index) {
    int64_t j = index % grid.columns * width, i = index / grid.columns % grid.rows * height;
    int64_t batch = index / (grid.columns * grid.rows);
    if (i >= m || j >= n) return;
    product<T>({std::min(height, m - i), std::min(width, n - j), k, matrix<const T>(a, batch).from(i, 0),
                matrix<const T>(b, batch).from(0, j), matrix<T>(c, batch).from(i, j), accumulate});
  };
  int64_t blocks = batches * grid.rows * grid.columns;
  int64_t chunks = std::min(blocks, std::max<int64_t>(1, int64_t(work / (kWorkPerThread / 2))));
  NoGil no_gil(work > kWorkWithoutGil);
  if (chunks == 1)
    for (int64_t i = 0; i < blocks; ++i) block(i);
  else
    parallel_for(chunks, [&](int64_t chunk) {
      for (int64_t i = blocks * chunk / chunks; i < blocks * (chunk + 1) / chunks; ++i) block(i);
    });
}

void multiply_stacks(const View& a, const View& b, const View& c, bool accumulate) {
  if (c.size() == 0) return;
  switch (c.dtype) {
    case kBool:
      return multiply_stacks<Truth>(a, b, c, accumulate);
    case kUInt8:
    case kInt8:
      return multiply_stacks<uint8_t>(a, b, c, accumulate);
    case kInt16:
      return multiply_stacks<uint16_t>(a, b, c, accumulate);
    case kInt32:
      return multiply_stacks<uint32_t>(a, b, c, accumulate);
    case kInt64:
      return multiply_stacks<uint64_t>(a, b, c, accumulate);
    case kFloat64:
      return multiply_stacks<double>(a, b, c, accumulate);
    default:
      return multiply_stacks<float>(a, b, c, accumulate);
  }
}

// ---- shapes ------------------------------------------------------------------------------------------

std::string shapes_text(const View& a, const View& b) {
  return "a is " + shape_text(a.ndim, a.shape) + ", b is " + shape_text(b.ndim, b.shape);
}

void check_operands(const View& a, const View& b) {
  if (a.ndim == 0 || b.ndim == 0)
    raise(ErrorKind::Shape, "%s: both operands need at least one dimension; %s; use * for scalars", kOp,
          shapes_text(a, b).c_str());
  if (a.ndim == kMaxDims || b.ndim == kMaxDims)
    raise(ErrorKind::Shape, "%s: at most %d dimensions are supported; %s", kOp, kMaxDims - 1,
          shapes_text(a, b).c_str());
  npy_intp inner = b.shape[b.ndim == 1 ? 0 : b.ndim - 2];
  if (a.shape[a.ndim - 1] != inner)
    raise(ErrorKind::Shape, "%s: inner sizes differ: %s; need a.shape[-1] == b.shape[%d], got %lld and %lld", kOp,
          shapes_text(a, b).c_str(), b.ndim == 1 ? -1 : -2, static_cast<long long>(a.shape[a.ndim - 1]),
          static_cast<long long>(inner));
  if (a.dtype != b.dtype)
    raise(ErrorKind::DType, "%s: dtypes differ: a is %s, b is %s; convert one of them", kOp, kDTypeNames[a.dtype],
          kDTypeNames[b.dtype]);
}

// The broadcast of the dimensions before the matrices'.
int batch_shape(const View& a, const View& b, const View& original_a, const View& original_b, npy_intp* shape) {
  int a_batches = a.ndim - 2, b_batches = b.ndim - 2, batches = std::max(a_batches, b_batches);
  for (int d = 0; d < batches; ++d) {
    int i = d - (batches - a_batches), j = d - (batches - b_batches);
    npy_intp of_a = i < 0 ? 1 : a.shape[i], of_b = j < 0 ? 1 : b.shape[j];
    if (of_a != of_b && of_a != 1 && of_b != 1)
      raise(ErrorKind::Shape,
            "%s: batch dimensions do not broadcast: %s; need sizes before the last two that are equal or 1", kOp,
            shapes_text(original_a, original_b).c_str());
    shape[d] = of_a == 1 ? of_b : of_a;
  }
  return batches;
}

}  // namespace

// dot(a, b, out=None, accumulate=0)
PyObject* dot(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 2 || count > 4)
    raise(ErrorKind::Type, "%s: takes two to four arguments (a, b, out, accumulate), got %d", kOp, int(count));
  PyObject* out = count > 2 && args[2] != Py_None ? args[2] : nullptr;
  if (!is_array(args[0]) || !is_array(args[1]) || (out && !is_array(out))) return call_fallback("dot", args, count);
  bool accumulate = out && count > 3 && int_argument(args[3], kOp, "accumulate") != 0;
  keep_blas_on_one_thread();

  View a, b;
  read_view(reinterpret_cast<PyArrayObject*>(args[0]), kOp, &a);
  read_view(reinterpret_cast<PyArrayObject*>(args[1]), kOp, &b);
  check_operands(a, b);
  const View original_a = a, original_b = b;
  bool a_is_vector = a.ndim == 1, b_is_vector = b.ndim == 1;
  if (a_is_vector) insert_dim(&a, 0);
  if (b_is_vector) insert_dim(&b, 1);

  npy_intp shape[kMaxDims];
  int batches = batch_shape(a, b, original_a, original_b, shape), ndim = batches;
  npy_intp m = rows(a), n = columns(b), k = columns(a);
  if (!a_is_vector) shape[ndim++] = m;
  if (!b_is_vector) shape[ndim++] = n;
  bool given = given_out_ok(out, ndim, shape, kOp);

  DType dtype = a.dtype, computed = dtype == kFloat16 || dtype == kBFloat16 ? kFloat32 : dtype;
  auto view_of_result = [&](PyObject* array) {
    View c;
    read_view(reinterpret_cast<PyArrayObject*>(array), kOp, &c);
    if (a_is_vector) insert_dim(&c, batches);
    if (b_is_vector) insert_dim(&c, c.ndim);
    return c;
  };
  Ref result;
  if (given) {
    Py_INCREF(out);
    result = Ref(out);
  } else {
    result = Ref(new_array(ndim, shape, dtype));
  }
  View c = view_of_result(result.get());
  bool direct = usable_in_place(c, m, n, computed) &&
                (!given || (overlap(c, original_a) == Overlap::None && overlap(c, original_b) == Overlap::None));
  Ref temporary(direct ? nullptr : new_array(ndim, shape, computed));
  View target = direct ? c : view_of_result(temporary.get());

  Ref packed_a, packed_b;
  expand_batch(&a, batches, shape);
  expand_batch(&b, batches, shape);
  if (c.size() > 0 && !usable_in_place(a, m, k, computed)) packed_a = pack(&a, computed);
  if (c.size() > 0 && !usable_in_place(b, k, n, computed)) packed_b = pack(&b, computed);
  multiply_stacks(a, b, target, accumulate && direct);
  if (!direct) copy_view(target, c, accumulate);
  return result.release();
}

// blas_info() -> str
PyObject* blas_info(PyObject*, PyObject* const*, Py_ssize_t) {
#ifdef GF_NO_BLAS
  return PyUnicode_FromString("none (built without BLAS)");
#else
  return PyUnicode_FromFormat("%s; kernels %s", scipy_openblas_get_config(), scipy_openblas_get_corename());
#endif
}

}  // namespace gf
