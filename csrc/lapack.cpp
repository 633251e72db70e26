// Stacks of matrices factored in place, and solved by their factors: getrf, potrf and trsm of the LAPACK in OpenBLAS,
// or plain loops where the extension is built without it. Arrays are in C order; the matrices are the last two
// dimensions.
#include <algorithm>
#include <cmath>

#include "common.h"
#include "gemm.h"

#ifndef GF_NO_BLAS
extern "C" {
void scipy_sgetrf_(const int* m, const int* n, float* a, const int* lda, int* pivots, int* info);
void scipy_dgetrf_(const int* m, const int* n, double* a, const int* lda, int* pivots, int* info);
void scipy_spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info);
void scipy_dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
// Fortran's own routines get the lengths of their strings at the end.
void scipy_ssytrf_(const char* uplo, const int* n, float* a, const int* lda, int* pivots, float* work, const int* size,
                   int* info, size_t);
void scipy_dsytrf_(const char* uplo, const int* n, double* a, const int* lda, int* pivots, double* work,
                   const int* size, int* info, size_t);
void scipy_ssytrs_(const char* uplo, const int* n, const int* columns, const float* a, const int* lda,
                   const int* pivots, float* b, const int* ldb, int* info, size_t);
void scipy_dsytrs_(const char* uplo, const int* n, const int* columns, const double* a, const int* lda,
                   const int* pivots, double* b, const int* ldb, int* info, size_t);
}
#endif

namespace gf {
namespace {

constexpr double kWorkPerChunk = 2e5;  // multiply-adds worth waking a thread for, and worth releasing the GIL for

struct Triangle {
  bool upper, transposed, unit, left;
};

#ifdef GF_NO_BLAS

template <class T>
void getrf(int m, int n, T* data, int* pivots, int* info) {
  Matrix<T> a{data, 1, m};
  *info = 0;
  for (int k = 0; k < std::min(m, n); ++k) {
    int p = k;
    for (int i = k + 1; i < m; ++i)
      if (std::abs(a(i, k)) > std::abs(a(p, k))) p = i;
    pivots[k] = p + 1;
    for (int j = 0; p != k && j < n; ++j) std::swap(a(k, j), a(p, j));
    if (a(k, k) == T(0)) {
      if (*info == 0) *info = k + 1;
      continue;
    }
    for (int i = k + 1; i < m; ++i) a(i, k) /= a(k, k);
    for (int j = k + 1; j < n; ++j)
      for (int i = k + 1; i < m; ++i) a(i, j) -= a(i, k) * a(k, j);
  }
}

template <class T>
void potrf(int n, T* data, int* info) {
  Matrix<T> a{data, n, 1};
  *info = 0;
  for (int j = 0; j < n; ++j) {
    for (int k = 0; k < j; ++k) a(j, j) -= a(j, k) * a(j, k);
    if (!(a(j, j) > T(0))) {
      *info = j + 1;
      return;
    }
    a(j, j) = std::sqrt(a(j, j));
    for (int i = j + 1; i < n; ++i) {
      for (int k = 0; k < j; ++k) a(i, j) -= a(i, k) * a(j, k);
      a(i, j) /= a(j, j);
    }
  }
}

template <class T>
void trsm(int m, int n, Matrix<const T> a, Matrix<T> x, Triangle t) {
  if (!t.left) {  // x a = b is a.T x.T = b.T
    x = x.transposed();
    std::swap(m, n);
    t.transposed = !t.transposed;
  }
  if (t.transposed) a = a.transposed();
  bool upper = t.upper != t.transposed;
  for (int step = 0; step < m; ++step) {
    int i = upper ? m - 1 - step : step;
    for (int j = 0; !t.unit && j < n; ++j) x(i, j) /= a(i, i);
    for (int r = upper ? 0 : i + 1; r < (upper ? i : m); ++r)
      for (int j = 0; j < n; ++j) x(r, j) -= a(r, i) * x(i, j);
  }
}

constexpr bool kLapack = false;
constexpr int kBlock = 1;
template <class T>
void sytrf(int, T*, int*, T*, int*) {}
template <class T>
void sytrs(int, int, const T*, const int*, T*) {}

#else

constexpr bool kLapack = true;
constexpr int kBlock = 64;  // columns of working memory

void sytrf(int n, float* a, int* pivots, float* work, int* info) {
  int size = n * kBlock;
  scipy_ssytrf_("L", &n, a, &n, pivots, work, &size, info, 1);
}
void sytrf(int n, double* a, int* pivots, double* work, int* info) {
  int size = n * kBlock;
  scipy_dsytrf_("L", &n, a, &n, pivots, work, &size, info, 1);
}
void sytrs(int n, int columns, const float* a, const int* pivots, float* b) {
  int info;
  scipy_ssytrs_("L", &n, &columns, a, &n, pivots, b, &n, &info, 1);
}
void sytrs(int n, int columns, const double* a, const int* pivots, double* b) {
  int info;
  scipy_dsytrs_("L", &n, &columns, a, &n, pivots, b, &n, &info, 1);
}

void getrf(int m, int n, float* a, int* pivots, int* info) { scipy_sgetrf_(&m, &n, a, &m, pivots, info); }
void getrf(int m, int n, double* a, int* pivots, int* info) { scipy_dgetrf_(&m, &n, a, &m, pivots, info); }

// The lower triangle by rows is LAPACK's upper one by columns.
void potrf(int n, float* a, int* info) { scipy_spotrf_("U", &n, a, &n, info); }
void potrf(int n, double* a, int* info) { scipy_dpotrf_("U", &n, a, &n, info); }

void blas_trsm(CBLAS_SIDE side, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, CBLAS_DIAG diag, int m, int n, const float* a,
               int lda, float* x, int ldx) {
  scipy_cblas_strsm(CblasRowMajor, side, uplo, trans, diag, m, n, 1, a, lda, x, ldx);
}
void blas_trsm(CBLAS_SIDE side, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, CBLAS_DIAG diag, int m, int n, const double* a,
               int lda, double* x, int ldx) {
  scipy_cblas_dtrsm(CblasRowMajor, side, uplo, trans, diag, m, n, 1, a, lda, x, ldx);
}

template <class T>
void trsm(int m, int n, Matrix<const T> a, Matrix<T> x, Triangle t) {
  int64_t size = t.left ? m : n;
  BlasLayout layout = blas_layout(a, size, size);
  bool by_columns = layout.trans == CblasTrans;
  blas_trsm(t.left ? CblasLeft : CblasRight, t.upper != by_columns ? CblasUpper : CblasLower,
            t.transposed != by_columns ? CblasTrans : CblasNoTrans, t.unit ? CblasUnit : CblasNonUnit, m, n, a.data,
            layout.line, x.data, int(x.rows));
}

#endif

// ---- stacks
// ------------------------------------------------------------------------------------------------------------

View read_stack(PyObject* object, const char* op) {
  if (!is_array(object)) raise(ErrorKind::Type, "%s: expected a numpy array, got %s", op, Py_TYPE(object)->tp_name);
  View v;
  read_view(reinterpret_cast<PyArrayObject*>(object), op, &v);
  if (v.ndim < 2) raise(ErrorKind::Shape, "%s: %d dimensions; expected matrices", op, v.ndim);
  for (int d = v.ndim - 2; d < v.ndim; ++d)
    if (v.shape[d] > INT32_MAX) raise(ErrorKind::Shape, "%s: LAPACK counts in 32 bits; a size is larger", op);
  return v;
}

View read_writeable_stack(PyObject* object, const char* op) {
  View v = read_stack(object, op);
  auto* array = reinterpret_cast<PyArrayObject*>(object);
  if ((v.dtype != kFloat32 && v.dtype != kFloat64) || !PyArray_ISCARRAY(array))
    raise(ErrorKind::Argument, "%s: expected float32 or float64 in C order, writeable; got %s", op,
          kDTypeNames[v.dtype]);
  return v;
}

int64_t matrices(const View& v) {
  int64_t count = 1;
  for (int d = 0; d < v.ndim - 2; ++d) count *= v.shape[d];
  return count;
}

template <class T>
T* data_of(const Ref& array) {
  return static_cast<T*>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array.get())));
}

template <class F>
void for_each_matrix(int64_t count, double work, const F& body) {
  int64_t chunks = std::min(count, std::max<int64_t>(1, int64_t(work * double(count) / kWorkPerChunk)));
  NoGil no_gil(work * double(count) > kWorkPerChunk);
  if (chunks == 1)
    for (int64_t i = 0; i < count; ++i) body(i);
  else
    parallel_for(chunks, [&](int64_t chunk) {
      for (int64_t i = count * chunk / chunks; i < count * (chunk + 1) / chunks; ++i) body(i);
    });
}

template <class T>
void factor_all(const View& v, int* pivots, int* info) {
  int m = int(v.shape[v.ndim - 1]), n = int(v.shape[v.ndim - 2]), least = std::min(m, n);
  T* data = reinterpret_cast<T*>(v.data);
  for_each_matrix(matrices(v), double(m) * n * least / 2, [&](int64_t i) {
    info[i] = 0;
    if (least > 0) getrf(m, n, data + i * m * n, pivots + i * least, info + i);
  });
}

template <class T>
void cholesky_all(const View& v, int* info) {
  int n = int(v.shape[v.ndim - 1]);
  T* data = reinterpret_cast<T*>(v.data);
  for_each_matrix(matrices(v), double(n) * n * n / 6, [&](int64_t i) {
    T* a = data + i * n * n;
    info[i] = 0;
    if (n > 0) potrf(n, a, info + i);
    for (int64_t j = 0; j < n && info[i] == 0; ++j)  // OpenBLAS does not notice nan
      if (std::isnan(a[j * (n + 1)])) info[i] = int(j + 1);
  });
}

template <class T>
void ldl_all(const View& v, int* pivots, int* info) {
  int n = int(v.shape[v.ndim - 1]);
  T* data = reinterpret_cast<T*>(v.data);
  for_each_matrix(matrices(v), double(n) * n * n / 6, [&](int64_t i) {
    info[i] = 0;
    T* work = reinterpret_cast<T*>(scratch(size_t(n) * kBlock * sizeof(T)));
    if (n > 0) sytrf(n, data + i * n * n, pivots + i * n, work, info + i);
  });
}

template <class T>
void ldl_solve_all(const View& a, const int* pivots, const View& x) {
  int n = int(x.shape[x.ndim - 1]), columns = int(x.shape[x.ndim - 2]);
  if (x.size() == 0) return;
  const T* factors = reinterpret_cast<const T*>(a.data);
  T* data = reinterpret_cast<T*>(x.data);
  for_each_matrix(matrices(x), double(n) * n * columns,
                  [&](int64_t i) { sytrs(n, columns, factors + i * n * n, pivots + i * n, data + i * n * columns); });
}

// A positive number exchanges rows; two equal negative ones stand for a block of two. LAPACK trusts them.
bool is_ldl_pivots(const int* pivots, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    int p = std::abs(pivots[k]);
    if (p < 1 || p > n) return false;
    if (pivots[k] < 0 && (k + 1 == n || pivots[k + 1] != pivots[k])) return false;
    if (pivots[k] < 0) ++k;
  }
  return true;
}

void need_lapack(const char* op) {
  if (!kLapack)
    raise(ErrorKind::Argument, "%s: this build of gradflow has no LAPACK; install scipy-openblas32 and build it again",
          op);
}

template <class T>
void solve_all(const View& a, const View& x, Triangle t) {
  int m = int(x.shape[x.ndim - 2]), n = int(x.shape[x.ndim - 1]);
  if (x.size() == 0) return;
  double work = double(m) * n * (t.left ? m : n) / 2;
  for_each_matrix(matrices(x), work, [&](int64_t i) {
    const char* triangle = a.data;
    for (int64_t d = a.ndim - 3, rest = i; d >= 0; --d) {
      triangle += rest % a.shape[d] * a.strides[d];
      rest /= a.shape[d];
    }
    npy_intp item = sizeof(T);
    Matrix<const T> matrix{reinterpret_cast<const T*>(triangle), a.strides[a.ndim - 2] / item,
                           a.strides[a.ndim - 1] / item};
    trsm<T>(m, n, matrix, Matrix<T>{reinterpret_cast<T*>(x.data) + i * m * n, n, 1}, t);
  });
}

void keep_blas_on_one_thread() {
#ifndef GF_NO_BLAS
  static const bool done = (scipy_openblas_set_num_threads(1), true);
  (void)done;
#endif
}

}  // namespace

// lu(work) -> (pivots, info): a = P L U in place, where work holds each a by columns, that is, transposed. Pivots count
// from 1, as LAPACK's; info is the number of the first zero on U's diagonal, or 0.
PyObject* lu(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1) raise(ErrorKind::Type, "lu: takes 1 argument, got %d", int(count));
  if (!is_array(args[0])) return call_fallback("lu", args, count);
  View v = read_writeable_stack(args[0], "lu");
  keep_blas_on_one_thread();
  npy_intp shape[kMaxDims];
  std::copy(v.shape, v.shape + v.ndim, shape);
  shape[v.ndim - 2] = std::min(v.shape[v.ndim - 2], v.shape[v.ndim - 1]);
  Ref pivots(new_array(v.ndim - 1, shape, kInt32)), info(new_array(v.ndim - 2, shape, kInt32));
  (v.dtype == kFloat32 ? factor_all<float> : factor_all<double>)(v, data_of<int>(pivots), data_of<int>(info));
  return Py_BuildValue("(NN)", pivots.release(), info.release());
}

// lu_permutation(pivots, rows) -> the rows of a in the order that the exchanges give: row i of P.T a is row p[i] of a.
PyObject* lu_permutation(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) raise(ErrorKind::Type, "lu_permutation: takes 2 arguments, got %d", int(count));
  if (!is_array(args[0])) return call_fallback("lu_permutation", args, count);
  Ref pivots(PyArray_FROM_OTF(args[0], NPY_INT32, NPY_ARRAY_IN_ARRAY));
  if (!pivots) throw PythonError{};
  auto* array = reinterpret_cast<PyArrayObject*>(pivots.get());
  int64_t rows = int_argument(args[1], "lu_permutation", "rows");
  if (rows < 0) raise(ErrorKind::Argument, "lu_permutation: the number of rows is %lld", (long long)rows);
  int ndim = PyArray_NDIM(array);
  if (ndim < 1) raise(ErrorKind::Shape, "lu_permutation: the pivots need a dimension");
  npy_intp shape[kMaxDims];
  std::copy(PyArray_DIMS(array), PyArray_DIMS(array) + ndim, shape);
  int64_t steps = shape[ndim - 1], size = PyArray_SIZE(array);
  shape[ndim - 1] = rows;
  Ref result(new_array(ndim, shape, kInt64));
  const int* given = data_of<int>(pivots);
  int64_t* order = data_of<int64_t>(result);
  if (steps > rows || std::any_of(given, given + size, [&](int p) { return p < 1 || p > rows; }))
    raise(ErrorKind::Argument, "lu_permutation: the pivots must be between 1 and %lld", (long long)rows);
  int64_t stacks = PyArray_SIZE(reinterpret_cast<PyArrayObject*>(result.get())) / std::max<int64_t>(rows, 1);
  for (int64_t i = 0; i < stacks; ++i, given += steps, order += rows) {
    for (int64_t r = 0; r < rows; ++r) order[r] = r;
    for (int64_t k = 0; k < steps; ++k) std::swap(order[k], order[given[k] - 1]);
  }
  return result.release();
}

// cholesky(work) -> info: the lower triangle becomes L of a = L L.T; what is above it stays. info is the order of the
// first leading minor that is not positive, or 0.
PyObject* cholesky(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1) raise(ErrorKind::Type, "cholesky: takes 1 argument, got %d", int(count));
  if (!is_array(args[0])) return call_fallback("cholesky", args, count);
  View v = read_writeable_stack(args[0], "cholesky");
  if (v.shape[v.ndim - 1] != v.shape[v.ndim - 2]) raise(ErrorKind::Shape, "cholesky: the matrices are not square");
  keep_blas_on_one_thread();
  Ref info(new_array(v.ndim - 2, v.shape, kInt32));
  (v.dtype == kFloat32 ? cholesky_all<float> : cholesky_all<double>)(v, data_of<int>(info));
  return info.release();
}

// ldl(work) -> (pivots, info): the lower triangles of symmetric a, by columns, become L and D of P L D L.T P.T as sytrf
// packs them, with its pivots.
PyObject* ldl(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 1) raise(ErrorKind::Type, "ldl: takes 1 argument, got %d", int(count));
  if (!is_array(args[0])) return call_fallback("ldl", args, count);
  need_lapack("ldl");
  View v = read_writeable_stack(args[0], "ldl");
  if (v.shape[v.ndim - 1] != v.shape[v.ndim - 2]) raise(ErrorKind::Shape, "ldl: the matrices are not square");
  keep_blas_on_one_thread();
  Ref pivots(new_array(v.ndim - 1, v.shape, kInt32)), info(new_array(v.ndim - 2, v.shape, kInt32));
  (v.dtype == kFloat32 ? ldl_all<float> : ldl_all<double>)(v, data_of<int>(pivots), data_of<int>(info));
  return Py_BuildValue("(NN)", pivots.release(), info.release());
}

// ldl_solve(ld, pivots, x): x becomes the solution; ld and x hold matrices by columns, as many of each.
PyObject* ldl_solve(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* kOp = "ldl_solve";
  if (count != 3) raise(ErrorKind::Type, "%s: takes 3 arguments, got %d", kOp, int(count));
  if (!is_array(args[0]) || !is_array(args[1]) || !is_array(args[2])) return call_fallback(kOp, args, count);
  need_lapack(kOp);
  View a = read_writeable_stack(args[0], kOp), x = read_writeable_stack(args[2], kOp);
  Ref pivots(PyArray_FROM_OTF(args[1], NPY_INT32, NPY_ARRAY_IN_ARRAY));
  if (!pivots) throw PythonError{};
  int64_t n = a.shape[a.ndim - 1], stacks = matrices(a);
  const int* given = data_of<int>(pivots);
  if (a.dtype != x.dtype || a.shape[a.ndim - 2] != n || x.shape[x.ndim - 1] != n || matrices(x) != stacks ||
      PyArray_SIZE(reinterpret_cast<PyArrayObject*>(pivots.get())) != stacks * n)
    raise(ErrorKind::Argument, "%s: the operands do not fit; ld is %s, x is %s", kOp,
          shape_text(a.ndim, a.shape).c_str(), shape_text(x.ndim, x.shape).c_str());
  for (int64_t i = 0; i < stacks; ++i)
    if (!is_ldl_pivots(given + i * n, n)) raise(ErrorKind::Argument, "%s: these are no pivots of ldl_factor", kOp);
  keep_blas_on_one_thread();
  (x.dtype == kFloat32 ? ldl_solve_all<float> : ldl_solve_all<double>)(a, given, x);
  Py_INCREF(args[2]);
  return args[2];
}

// solve_triangular(a, x, upper, transposed, unit, left): x becomes the solution of a y = x, or y a = x. The matrices of
// a lie in C or Fortran order, and there are as many as in x (strides of 0 repeat them).
PyObject* solve_triangular(PyObject*, PyObject* const* args, Py_ssize_t count) {
  constexpr const char* kOp = "solve_triangular";
  if (count != 6) raise(ErrorKind::Type, "%s: takes 6 arguments, got %d", kOp, int(count));
  if (!is_array(args[0]) || !is_array(args[1])) return call_fallback(kOp, args, count);
  View a = read_stack(args[0], kOp), x = read_writeable_stack(args[1], kOp);
  auto flag = [&](int k) { return int_argument(args[k], kOp, "a flag") != 0; };
  Triangle t{flag(2), flag(3), flag(4), flag(5)};
  int64_t n = a.shape[a.ndim - 1];
  bool fits = a.ndim == x.ndim && a.dtype == x.dtype && a.aligned && a.shape[a.ndim - 2] == n &&
              n == x.shape[t.left ? x.ndim - 2 : x.ndim - 1] && std::equal(a.shape, a.shape + a.ndim - 2, x.shape);
  npy_intp item = item_size(a.dtype), step = a.strides[a.ndim - 1], line = a.strides[a.ndim - 2];
  bool dense = x.size() == 0 || n <= 1 || (step == item && line >= n * item) || (line == item && step >= n * item);
  dense = dense && std::max(step, line) / item <= INT32_MAX;
  if (!fits || !dense || line % item != 0 || step % item != 0)
    raise(ErrorKind::Argument, "%s: a does not fit x, or is not dense; a is %s, x is %s", kOp,
          shape_text(a.ndim, a.shape).c_str(), shape_text(x.ndim, x.shape).c_str());
  keep_blas_on_one_thread();
  (x.dtype == kFloat32 ? solve_all<float> : solve_all<double>)(a, x, t);
  Py_INCREF(args[1]);
  return args[1];
}

}  // namespace gf
