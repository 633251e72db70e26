// One product of two matrices on one thread: OpenBLAS for float and double, plain loops for the rest.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common.h"

#ifndef GF_NO_BLAS
#include <cblas.h>
#endif

namespace gf {

// A matrix of which only the place of element (i, j) is known: data[i * rows + j * columns].
template <class T>
struct Matrix {
  T* data;
  int64_t rows, columns;  // strides in elements

  T& operator()(int64_t i, int64_t j) const { return data[i * rows + j * columns]; }
  Matrix transposed() const { return {data, columns, rows}; }
  Matrix from(int64_t i, int64_t j) const { return {data + i * rows + j * columns, rows, columns}; }
};

// c = a b, or c += a b, with a of m x k, b of k x n; c shares no memory with a and b.
template <class T>
struct Product {
  int64_t m, n, k;
  Matrix<const T> a, b;
  Matrix<T> c;
  bool accumulate;

  Product transposed() const { return {n, m, k, b.transposed(), a.transposed(), c.transposed(), accumulate}; }
};

// An unsigned integer, of which sums and products wrap, or a truth value, of which they are `or` and `and`.
struct Truth {
  uint8_t value;
  Truth() = default;
  explicit Truth(int v) : value(v != 0) {}
};
inline void multiply_add(Truth& sum, Truth x, Truth y) { sum.value |= (x.value != 0) & (y.value != 0); }
template <class T>
void multiply_add(T& sum, T x, T y) {
  sum = T(sum + x * y);
}
inline void multiply_add(uint16_t& sum, uint16_t x, uint16_t y) { sum = uint16_t(sum + uint32_t(x) * y); }

// Any strides. A panel of b is copied so that the inner loop runs over adjacent elements.
template <class T>
void plain_product(const Product<T>& p) {
  constexpr int64_t kDepth = 64, kWidth = 256;
  T* panel = reinterpret_cast<T*>(scratch(kDepth * kWidth * sizeof(T)));
  T sums[kWidth];
  for (int64_t j0 = 0; j0 < p.n; j0 += kWidth) {
    int64_t width = std::min(kWidth, p.n - j0);
    for (int64_t k0 = 0; k0 < p.k; k0 += kDepth) {
      int64_t depth = std::min(kDepth, p.k - k0);
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t j = 0; j < width; ++j) panel[k * kWidth + j] = p.b(k0 + k, j0 + j);
      bool add = p.accumulate || k0 > 0;
      for (int64_t i = 0; i < p.m; ++i) {
        for (int64_t j = 0; j < width; ++j) sums[j] = add ? p.c(i, j0 + j) : T(0);
        for (int64_t k = 0; k < depth; ++k) {
          T x = p.a(i, k0 + k);
          for (int64_t j = 0; j < width; ++j) multiply_add(sums[j], x, panel[k * kWidth + j]);
        }
        for (int64_t j = 0; j < width; ++j) p.c(i, j0 + j) = sums[j];
      }
    }
  }
}

template <class T>
void clear(const Product<T>& p) {
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) p.c(i, j) = T(0);
}

template <class T>
void product(const Product<T>& p) {
  if (p.k > 0)
    plain_product(p);
  else if (!p.accumulate)
    clear(p);
}

#ifndef GF_NO_BLAS

// The three routines under one name for float and double.
inline float blas_dot(int n, const float* x, int dx, const float* y, int dy) {
  return scipy_cblas_sdot(n, x, dx, y, dy);
}
inline double blas_dot(int n, const double* x, int dx, const double* y, int dy) {
  return scipy_cblas_ddot(n, x, dx, y, dy);
}
inline void blas_gemv(CBLAS_TRANSPOSE trans, int m, int n, const float* a, int lda, const float* x, int dx, float* y,
                      int dy) {
  scipy_cblas_sgemv(CblasRowMajor, trans, m, n, 1, a, lda, x, dx, 1, y, dy);
}
inline void blas_gemv(CBLAS_TRANSPOSE trans, int m, int n, const double* a, int lda, const double* x, int dx, double* y,
                      int dy) {
  scipy_cblas_dgemv(CblasRowMajor, trans, m, n, 1, a, lda, x, dx, 1, y, dy);
}
inline void blas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const float* a, int lda,
                      const float* b, int ldb, float beta, float* c, int ldc) {
  scipy_cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}
inline void blas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, const double* a, int lda,
                      const double* b, int ldb, double beta, double* c, int ldc) {
  scipy_cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

// How BLAS is told of a matrix of m x n: rows of adjacent elements, or its transpose so; lines `line` apart.
struct BlasLayout {
  CBLAS_TRANSPOSE trans;
  int line;
};
template <class T>
BlasLayout blas_layout(const Matrix<T>& a, int64_t m, int64_t n) {
  bool by_rows = (n <= 1 || a.columns == 1) && (m <= 1 || a.rows >= n);
  int64_t line = by_rows ? (m <= 1 ? n : a.rows) : (n <= 1 ? m : a.columns);
  return {by_rows ? CblasNoTrans : CblasTrans, int(std::max<int64_t>(line, 1))};
}

// Sums over short stretches go on in double: long float32 products lose no digits.
template <class T>
void vector_product(const Product<T>& p) {
  constexpr int64_t kStretch = 16384;
  int dx = p.k == 1 ? 1 : int(p.a.columns), dy = p.k == 1 ? 1 : int(p.b.rows);
  double sum = 0;
  for (int64_t k = 0; k < p.k; k += kStretch)
    sum += blas_dot(int(std::min(kStretch, p.k - k)), &p.a(0, k), dx, &p.b(k, 0), dy);
  *p.c.data = T(sum + (p.accumulate ? *p.c.data : T(0)));
}

// n == 1. BLAS gets beta 1 and a cleared result, since with beta 0 some of its kernels read what is there.
template <class T>
void matrix_vector_product(const Product<T>& p) {
  if (!p.accumulate) clear(p);
  BlasLayout a = blas_layout(p.a, p.m, p.k);
  bool as_it_is = a.trans == CblasNoTrans;
  blas_gemv(a.trans, int(as_it_is ? p.m : p.k), int(as_it_is ? p.k : p.m), p.a.data, a.line, p.b.data,
            p.k == 1 ? 1 : int(p.b.rows), p.c.data, int(p.c.rows));
}

template <class T>
void blas_product(const Product<T>& p) {
  constexpr int64_t kLimit = int64_t(1) << 30;  // BLAS counts in 32 bits
  if (p.k == 0) {
    if (!p.accumulate) clear(p);
  } else if (p.m > kLimit) {
    blas_product<T>({kLimit, p.n, p.k, p.a, p.b, p.c, p.accumulate});
    blas_product<T>({p.m - kLimit, p.n, p.k, p.a.from(kLimit, 0), p.b, p.c.from(kLimit, 0), p.accumulate});
  } else if (p.m == 1 && p.n == 1) {
    vector_product(p);
  } else if (p.n > kLimit || (p.n > 1 && (p.c.columns != 1 || p.m == 1))) {
    blas_product(p.transposed());
  } else if (p.k > kLimit) {
    blas_product<T>({p.m, p.n, kLimit, p.a, p.b, p.c, p.accumulate});
    blas_product<T>({p.m, p.n, p.k - kLimit, p.a.from(0, kLimit), p.b.from(kLimit, 0), p.c, true});
  } else if (p.n == 1) {
    matrix_vector_product(p);
  } else {
    BlasLayout a = blas_layout(p.a, p.m, p.k), b = blas_layout(p.b, p.k, p.n);
    blas_gemm(a.trans, b.trans, int(p.m), int(p.n), int(p.k), p.a.data, a.line, p.b.data, b.line, p.accumulate,
              p.c.data, int(p.c.rows));
  }
}

template <>
inline void product<float>(const Product<float>& p) {
  blas_product(p);
}
template <>
inline void product<double>(const Product<double>& p) {
  blas_product(p);
}

#endif  // GF_NO_BLAS

}  // namespace gf
