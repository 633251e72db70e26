// Written by tests/make_kernels.py. Programs as loops: the interpreter takes these where it has them.
// clang-format off
#include "compiled.h"

namespace gf {
namespace GF_ISA {
namespace {

void adam_32c1dd536ee8a82c(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  const float* in6 = static_cast<const float*>(in[6]);
  const float* in7 = static_cast<const float*>(in[7]);
  const float* in8 = static_cast<const float*>(in[8]);
  const float* in9 = static_cast<const float*>(in[9]);
  const float* in10 = static_cast<const float*>(in[10]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  float* out2 = static_cast<float*>(out[2]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float x6 = in6[i];
    const float x7 = in7[i];
    const float x8 = in8[i];
    const float x9 = in9[i];
    const float x10 = in10[i];
    const float r0 = gf::prim::mul(x0, x7);
    const float r1 = gf::prim::sub(x1, x2);
    const float r2 = gf::prim::mul(x4, r1);
    const float r3 = gf::prim::add(x2, r2);
    const float r4 = gf::prim::mul(x5, x3);
    const float r5 = gf::prim::mul(x6, x1);
    const float r6 = gf::prim::mul(r5, x1);
    const float r7 = gf::prim::add(r4, r6);
    const float r8 = gf::prim::sqrt(r7);
    const float r9 = gf::prim::mul(r8, x9);
    const float r10 = gf::prim::add(r9, x10);
    const float r11 = gf::prim::div(r3, r10);
    const float r12 = gf::prim::mul(x8, r11);
    const float r13 = gf::prim::sub(r0, r12);
    out0[i] = r13;
    out1[i] = r3;
    out2[i] = r7;
  }
}

void adam_6fc22144f3637746(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  const float* in6 = static_cast<const float*>(in[6]);
  const float* in7 = static_cast<const float*>(in[7]);
  const float* in8 = static_cast<const float*>(in[8]);
  const float* in9 = static_cast<const float*>(in[9]);
  const float* in10 = static_cast<const float*>(in[10]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  float* out2 = static_cast<float*>(out[2]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float x6 = in6[i];
    const float x7 = in7[i];
    const float x8 = in8[i];
    const float x9 = in9[i];
    const float x10 = in10[i];
    const float r0 = gf::prim::mul(x7, x0);
    const float r1 = gf::prim::add(x1, r0);
    const float r2 = gf::prim::sub(r1, x2);
    const float r3 = gf::prim::mul(x4, r2);
    const float r4 = gf::prim::add(x2, r3);
    const float r5 = gf::prim::mul(x5, x3);
    const float r6 = gf::prim::mul(x6, r1);
    const float r7 = gf::prim::mul(r6, r1);
    const float r8 = gf::prim::add(r5, r7);
    const float r9 = gf::prim::sqrt(r8);
    const float r10 = gf::prim::mul(r9, x9);
    const float r11 = gf::prim::add(r10, x10);
    const float r12 = gf::prim::div(r4, r11);
    const float r13 = gf::prim::mul(x8, r12);
    const float r14 = gf::prim::sub(x0, r13);
    out0[i] = r14;
    out1[i] = r4;
    out2[i] = r8;
  }
}

void adam_ab7126e48253d936(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  const float* in6 = static_cast<const float*>(in[6]);
  const float* in8 = static_cast<const float*>(in[8]);
  const float* in9 = static_cast<const float*>(in[9]);
  const float* in10 = static_cast<const float*>(in[10]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  float* out2 = static_cast<float*>(out[2]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float x6 = in6[i];
    const float x8 = in8[i];
    const float x9 = in9[i];
    const float x10 = in10[i];
    const float r0 = gf::prim::sub(x1, x2);
    const float r1 = gf::prim::mul(x4, r0);
    const float r2 = gf::prim::add(x2, r1);
    const float r3 = gf::prim::mul(x5, x3);
    const float r4 = gf::prim::mul(x6, x1);
    const float r5 = gf::prim::mul(r4, x1);
    const float r6 = gf::prim::add(r3, r5);
    const float r7 = gf::prim::sqrt(r6);
    const float r8 = gf::prim::mul(r7, x9);
    const float r9 = gf::prim::add(r8, x10);
    const float r10 = gf::prim::div(r2, r9);
    const float r11 = gf::prim::mul(x8, r10);
    const float r12 = gf::prim::sub(x0, r11);
    out0[i] = r12;
    out1[i] = r2;
    out2[i] = r6;
  }
}

void addcdiv_of_9c6e0efa27116111(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::mul(x3, x1);
    const float r1 = gf::prim::div(r0, x2);
    const float r2 = gf::prim::add(x0, r1);
    out0[i] = r2;
  }
}

void addcdiv_of_backward_49aa82141ef29506(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::div(x0, x2);
    const float r1 = gf::prim::mul(r0, x3);
    const float r2 = gf::prim::mul(x3, x1);
    const float r3 = gf::prim::div(r2, x2);
    const float r4 = gf::prim::neg(r3);
    const float r5 = gf::prim::div(r4, x2);
    const float r6 = gf::prim::mul(x0, r5);
    out0[i] = r1;
    out1[i] = r6;
  }
}

void addcmul_of_ad39ceea2b104e0b(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::mul(x3, x1);
    const float r1 = gf::prim::mul(r0, x2);
    const float r2 = gf::prim::add(x0, r1);
    out0[i] = r2;
  }
}

void addcmul_of_backward_c45945586ea643d4(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::mul(x0, x2);
    const float r1 = gf::prim::mul(r0, x3);
    const float r2 = gf::prim::mul(x3, x1);
    const float r3 = gf::prim::mul(x0, r2);
    out0[i] = r1;
    out1[i] = r3;
  }
}

void affine_rows_32c939f909a6097b(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold5[kCompiledRows], fold9[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      value[0] = x0;
    });
    fold5[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float x3 = static_cast<const float*>(in[3])[row];
    const float r0 = fold5[row];
    const float r1 = gf::prim::div(r0, x3);
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float r2 = gf::prim::sub(x0, r1);
      const float r3 = gf::prim::mul(r2, r2);
      value[0] = r3;
    });
    fold9[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    const float* in2 = static_cast<const float*>(in[2]) + row * row_step[2];
    float* out0 = static_cast<float*>(out[0]) + row * n;
    const float x3 = static_cast<const float*>(in[3])[row];
    const float x4 = static_cast<const float*>(in[4])[row];
    const float r0 = fold5[row];
    const float r4 = fold9[row];
    const float r1 = gf::prim::div(r0, x3);
    const float r5 = gf::prim::div(r4, x3);
    const float r6 = gf::prim::add(r5, x4);
    const float r7 = gf::prim::rsqrt(r6);
    ahead.step();
    for (Piece piece{int(n)}; piece.from < n; piece.next(int(n))) {
      const int end = piece.to;
#pragma GCC ivdep
      for (int i = piece.from; i < end; ++i) {
        const float x0 = in0[i];
        const float x1 = in1[i];
        const float x2 = in2[i];
        const float r2 = gf::prim::sub(x0, r1);
        const float r8 = gf::prim::mul(r2, r7);
        const float r9 = gf::prim::mul(r8, x1);
        const float r10 = gf::prim::add(r9, x2);
        out0[i] = r10;
      }
    }
    static_cast<float*>(out[1])[row] = r1;
    static_cast<float*>(out[2])[row] = r7;
  }
}

void cross_entropy_of_logit_180cccf2d168b01c(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::sub(1.0f, x1);
    const float r1 = gf::prim::mul(r0, x0);
    const float r2 = gf::prim::neg(x0);
    const float r3 = gf::prim::maximum(r2, 0.0f);
    const float r4 = gf::prim::add(r1, r3);
    const float r5 = gf::prim::abs(x0);
    const float r6 = gf::prim::neg(r5);
    const float r7 = gf::prim::exp(r6);
    const float r8 = gf::prim::log1p(r7);
    const float r9 = gf::prim::add(r4, r8);
    out0[i] = r9;
  }
}

void cross_entropy_of_logit_backward_06e96f64bb2a2ed4(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::neg(x1);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::div(1.0f, r2);
    const float r4 = gf::prim::sub(r3, x2);
    const float r5 = gf::prim::mul(x0, r4);
    out0[i] = r5;
  }
}

void elu_of_3cf89c09741da647(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const gf::bool8 r0 = gf::prim::gt(x0, 0.0f);
    const float r1 = gf::prim::mul(x3, x0);
    const float r2 = gf::prim::expm1(r1);
    const float r3 = gf::prim::mul(x1, r2);
    const float r4 = gf::prim::where(r0, x0, r3);
    const float r5 = gf::prim::mul(x2, r4);
    out0[i] = r5;
  }
}

void elu_of_backward_34c59f6cd0d55ade(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const gf::bool8 r0 = gf::prim::gt(x1, 0.0f);
    const float r1 = gf::prim::mul(x2, x4);
    const float r2 = gf::prim::mul(x4, x1);
    const float r3 = gf::prim::exp(r2);
    const float r4 = gf::prim::mul(r1, r3);
    const float r5 = gf::prim::where(r0, 1.0f, r4);
    const float r6 = gf::prim::mul(x3, r5);
    const float r7 = gf::prim::mul(x0, r6);
    out0[i] = r7;
  }
}

void finite_of_39765536044172d4(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const gf::bool8 r0 = gf::prim::ne(x0, x0);
    const gf::bool8 r1 = gf::prim::eq(x0, (1.0f / 0.0f));
    const gf::bool8 r2 = gf::prim::eq(x0, (-1.0f / 0.0f));
    const float r3 = gf::prim::where(r2, x3, x0);
    const float r4 = gf::prim::where(r1, x2, r3);
    const float r5 = gf::prim::where(r0, x1, r4);
    out0[i] = r5;
  }
}

void finite_of_backward_4d48edef0e0e6a46(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::abs(x1);
    const gf::bool8 r1 = gf::prim::lt(r0, (1.0f / 0.0f));
    const float r2 = gf::prim::where(r1, x0, 0.0f);
    out0[i] = r2;
  }
}

void gelu_erf_2300f653ba6c25cb(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::mul(0.5f, x0);
    const float r1 = gf::prim::mul(x0, 0.70710677f);
    const float r2 = gf::prim::erf(r1);
    const float r3 = gf::prim::add(1.0f, r2);
    const float r4 = gf::prim::mul(r0, r3);
    out0[i] = r4;
  }
}

void gelu_erf_backward_22468f71bd01090a(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::mul(x1, 0.70710677f);
    const float r1 = gf::prim::erf(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::mul(0.5f, r2);
    const float r4 = gf::prim::mul(-0.5f, x1);
    const float r5 = gf::prim::mul(r4, x1);
    const float r6 = gf::prim::exp(r5);
    const float r7 = gf::prim::mul(x1, r6);
    const float r8 = gf::prim::mul(r7, 0.3989423f);
    const float r9 = gf::prim::add(r3, r8);
    const float r10 = gf::prim::mul(x0, r9);
    out0[i] = r10;
  }
}

void gelu_tanh_backward_835c291da95a6f04(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::mul(0.5f, x1);
    const float r1 = gf::prim::mul(x0, r0);
    const float r2 = gf::prim::mul(0.044715f, x1);
    const float r3 = gf::prim::mul(r2, x1);
    const float r4 = gf::prim::mul(r3, x1);
    const float r5 = gf::prim::add(x1, r4);
    const float r6 = gf::prim::mul(0.7978846f, r5);
    const float r7 = gf::prim::tanh(r6);
    const float r8 = gf::prim::mul(r7, r7);
    const float r9 = gf::prim::sub(1.0f, r8);
    const float r10 = gf::prim::mul(r1, r9);
    const float r11 = gf::prim::mul(r10, 0.7978846f);
    const float r12 = gf::prim::mul(r11, r3);
    const float r13 = gf::prim::add(r11, r12);
    const float r14 = gf::prim::mul(r11, x1);
    const float r15 = gf::prim::mul(r14, r2);
    const float r16 = gf::prim::add(r13, r15);
    const float r17 = gf::prim::mul(r14, x1);
    const float r18 = gf::prim::mul(r17, 0.044715f);
    const float r19 = gf::prim::add(r16, r18);
    const float r20 = gf::prim::add(1.0f, r7);
    const float r21 = gf::prim::mul(x0, r20);
    const float r22 = gf::prim::mul(r21, 0.5f);
    const float r23 = gf::prim::add(r19, r22);
    out0[i] = r23;
  }
}

void gelu_tanh_ca5fbf911e683315(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::mul(0.5f, x0);
    const float r1 = gf::prim::mul(0.044715f, x0);
    const float r2 = gf::prim::mul(r1, x0);
    const float r3 = gf::prim::mul(r2, x0);
    const float r4 = gf::prim::add(x0, r3);
    const float r5 = gf::prim::mul(0.7978846f, r4);
    const float r6 = gf::prim::tanh(r5);
    const float r7 = gf::prim::add(1.0f, r6);
    const float r8 = gf::prim::mul(r0, r7);
    out0[i] = r8;
  }
}

void hardsigmoid_080d18ffe2d98054(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::add(x0, 3.0f);
    const float r1 = gf::prim::maximum(r0, 0.0f);
    const float r2 = gf::prim::minimum(r1, 6.0f);
    const float r3 = gf::prim::div(r2, 6.0f);
    out0[i] = r3;
  }
}

void hardsigmoid_backward_adb2b66fe5e10819(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const gf::bool8 r0 = gf::prim::gt(x1, -3.0f);
    const gf::bool8 r1 = gf::prim::lt(x1, 3.0f);
    const gf::bool8 r2 = gf::prim::bit_and(r0, r1);
    const float r3 = gf::prim::mul(x0, 0.16666667f);
    const float r4 = gf::prim::where(r2, r3, 0.0f);
    out0[i] = r4;
  }
}

void hardswish_9a65ee8f5b8455b8(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::add(x0, 3.0f);
    const float r1 = gf::prim::maximum(r0, 0.0f);
    const float r2 = gf::prim::minimum(r1, 6.0f);
    const float r3 = gf::prim::mul(x0, r2);
    const float r4 = gf::prim::div(r3, 6.0f);
    out0[i] = r4;
  }
}

void hardswish_backward_9857b80e1094f703(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const gf::bool8 r0 = gf::prim::le(x1, -3.0f);
    const gf::bool8 r1 = gf::prim::lt(x1, 3.0f);
    const float r2 = gf::prim::div(x1, 3.0f);
    const float r3 = gf::prim::add(r2, 0.5f);
    const float r4 = gf::prim::mul(x0, r3);
    const float r5 = gf::prim::where(r1, r4, x0);
    const float r6 = gf::prim::where(r0, 0.0f, r5);
    out0[i] = r6;
  }
}

void hardtanh_of_backward_4d7aaef866ee9b7f(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const gf::bool8 r0 = gf::prim::gt(x1, x2);
    const gf::bool8 r1 = gf::prim::lt(x1, x3);
    const gf::bool8 r2 = gf::prim::bit_and(r0, r1);
    const float r3 = gf::prim::where(r2, x0, 0.0f);
    out0[i] = r3;
  }
}

void lambda_124f64030cd30887(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::mul(x0, x0);
    const float r1 = gf::prim::mul(r0, x0);
    const float r2 = gf::prim::neg(r1);
    const float r3 = gf::prim::mul(r2, x2);
    const float r4 = gf::prim::div(r3, x3);
    const float r5 = gf::prim::neg(x0);
    const float r6 = gf::prim::mul(r5, x1);
    const float r7 = gf::prim::div(r6, x3);
    out0[i] = r4;
    out1[i] = r7;
  }
}

void lambda_2d67b09ea581c0b2(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float r0 = gf::prim::mul(x0, x3);
    const float r1 = gf::prim::sub(x1, x2);
    const float r2 = gf::prim::mul(r1, x4);
    const float r3 = gf::prim::add(r2, x5);
    const float r4 = gf::prim::add(r0, r3);
    out0[i] = r4;
  }
}

void lambda_3be6e8e9ebed5208(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::sub(x0, x1);
    const float r1 = gf::prim::mul(r0, x2);
    const float r2 = gf::prim::add(r1, x3);
    out0[i] = r2;
  }
}

void lambda_f1737f6b3169b291(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::sub(x1, x2);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::mul(x0, r1);
    out0[i] = r2;
  }
}

void leaky_relu_of_13923ba83841b89e(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const gf::bool8 r0 = gf::prim::gt(x0, 0.0f);
    const float r1 = gf::prim::mul(x1, x0);
    const float r2 = gf::prim::where(r0, x0, r1);
    out0[i] = r2;
  }
}

void leaky_relu_of_backward_03fbb3d872c70a98(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const gf::bool8 r0 = gf::prim::gt(x1, 0.0f);
    const float r1 = gf::prim::mul(x0, x2);
    const float r2 = gf::prim::where(r0, x0, r1);
    out0[i] = r2;
  }
}

void lerp_69355c5cd6fa373d(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::sub(x1, x0);
    const float r1 = gf::prim::mul(x2, r0);
    const float r2 = gf::prim::add(x0, r1);
    out0[i] = r2;
  }
}

void lerp_backward_de7c17b61479a91a(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::mul(x0, x1);
    const float r1 = gf::prim::neg(r0);
    const float r2 = gf::prim::add(x0, r1);
    out0[i] = r2;
    out1[i] = r0;
  }
}

void moments_of_5926e389701b5e65(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold3[kCompiledRows], fold7[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      value[0] = x0;
    });
    fold3[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float x1 = static_cast<const float*>(in[1])[row];
    const float r0 = fold3[row];
    const float r1 = gf::prim::div(r0, x1);
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float r2 = gf::prim::sub(x0, r1);
      const float r3 = gf::prim::mul(r2, r2);
      value[0] = r3;
    });
    fold7[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float x1 = static_cast<const float*>(in[1])[row];
    const float x2 = static_cast<const float*>(in[2])[row];
    const float r0 = fold3[row];
    const float r4 = fold7[row];
    const float r1 = gf::prim::div(r0, x1);
    const float r5 = gf::prim::div(r4, x1);
    const float r6 = gf::prim::add(r5, x2);
    const float r7 = gf::prim::rsqrt(r6);
    static_cast<float*>(out[0])[row] = r1;
    static_cast<float*>(out[1])[row] = r7;
  }
}

void normalize_back_7531f8242d7f01f1(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold9[kCompiledRows], fold14[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    const float* in4 = static_cast<const float*>(in[4]) + row * row_step[4];
    const float x2 = static_cast<const float*>(in[2])[row];
    ahead.step();
    double sum[2];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float x1 = in1[i];
      const float x4 = in4[i];
      const float r0 = gf::prim::mul(x0, x4);
      const float r1 = gf::prim::sub(x1, x2);
      const float r2 = gf::prim::mul(r0, r1);
      value[0] = r2;
      value[1] = r0;
    });
    fold9[row] = float(sum[0]);
    fold14[row] = float(sum[1]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    const float* in4 = static_cast<const float*>(in[4]) + row * row_step[4];
    float* out0 = static_cast<float*>(out[0]) + row * n;
    float* out1 = static_cast<float*>(out[1]) + row * n;
    const float x2 = static_cast<const float*>(in[2])[row];
    const float x3 = static_cast<const float*>(in[3])[row];
    const float x5 = static_cast<const float*>(in[5])[row];
    const float r3 = fold9[row];
    const float r8 = fold14[row];
    const float r4 = gf::prim::mul(r3, x3);
    const float r5 = gf::prim::mul(r4, x3);
    const float r6 = gf::prim::div(r5, x5);
    const float r9 = gf::prim::div(r8, x5);
    ahead.step();
    for (Piece piece{int(n)}; piece.from < n; piece.next(int(n))) {
      const int end = piece.to;
#pragma GCC ivdep
      for (int i = piece.from; i < end; ++i) {
        const float x0 = in0[i];
        const float x1 = in1[i];
        const float x4 = in4[i];
        const float r0 = gf::prim::mul(x0, x4);
        const float r1 = gf::prim::sub(x1, x2);
        const float r7 = gf::prim::mul(r1, r6);
        const float r10 = gf::prim::add(r7, r9);
        const float r11 = gf::prim::sub(r0, r10);
        const float r12 = gf::prim::mul(r11, x3);
        const float r13 = gf::prim::mul(x0, r1);
        const float r14 = gf::prim::mul(r13, x3);
        out0[i] = r12;
        out1[i] = r14;
      }
    }
  }
}

void normalize_rows_1f88e3c23df7b82c(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold3[kCompiledRows], fold7[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      value[0] = x0;
    });
    fold3[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float x1 = static_cast<const float*>(in[1])[row];
    const float r0 = fold3[row];
    const float r1 = gf::prim::div(r0, x1);
    ahead.step();
    double sum[1];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float r2 = gf::prim::sub(x0, r1);
      const float r3 = gf::prim::mul(r2, r2);
      value[0] = r3;
    });
    fold7[row] = float(sum[0]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    float* out0 = static_cast<float*>(out[0]) + row * n;
    const float x1 = static_cast<const float*>(in[1])[row];
    const float x2 = static_cast<const float*>(in[2])[row];
    const float r0 = fold3[row];
    const float r4 = fold7[row];
    const float r1 = gf::prim::div(r0, x1);
    const float r5 = gf::prim::div(r4, x1);
    const float r6 = gf::prim::add(r5, x2);
    const float r7 = gf::prim::rsqrt(r6);
    ahead.step();
    for (Piece piece{int(n)}; piece.from < n; piece.next(int(n))) {
      const int end = piece.to;
#pragma GCC ivdep
      for (int i = piece.from; i < end; ++i) {
        const float x0 = in0[i];
        const float r2 = gf::prim::sub(x0, r1);
        const float r8 = gf::prim::mul(r2, r7);
        out0[i] = r8;
      }
    }
    static_cast<float*>(out[1])[row] = r1;
    static_cast<float*>(out[2])[row] = r7;
  }
}

void plain_back_63df13f0363953aa(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold7[kCompiledRows], fold12[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    const float x2 = static_cast<const float*>(in[2])[row];
    ahead.step();
    double sum[2];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float x1 = in1[i];
      const float r0 = gf::prim::sub(x1, x2);
      const float r1 = gf::prim::mul(x0, r0);
      value[0] = r1;
      value[1] = x0;
    });
    fold7[row] = float(sum[0]);
    fold12[row] = float(sum[1]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    float* out0 = static_cast<float*>(out[0]) + row * n;
    const float x2 = static_cast<const float*>(in[2])[row];
    const float x3 = static_cast<const float*>(in[3])[row];
    const float x4 = static_cast<const float*>(in[4])[row];
    const float r2 = fold7[row];
    const float r7 = fold12[row];
    const float r3 = gf::prim::mul(r2, x3);
    const float r4 = gf::prim::mul(r3, x3);
    const float r5 = gf::prim::div(r4, x4);
    const float r8 = gf::prim::div(r7, x4);
    ahead.step();
    for (Piece piece{int(n)}; piece.from < n; piece.next(int(n))) {
      const int end = piece.to;
#pragma GCC ivdep
      for (int i = piece.from; i < end; ++i) {
        const float x0 = in0[i];
        const float x1 = in1[i];
        const float r0 = gf::prim::sub(x1, x2);
        const float r6 = gf::prim::mul(r0, r5);
        const float r9 = gf::prim::add(r6, r8);
        const float r10 = gf::prim::sub(x0, r9);
        const float r11 = gf::prim::mul(r10, x3);
        out0[i] = r11;
      }
    }
  }
}

void sgd_momentum_4fd073f26179038d(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in5 = static_cast<const float*>(in[5]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x5 = in5[i];
    const float r0 = gf::prim::mul(x5, x2);
    const float r1 = gf::prim::add(r0, x1);
    const float r2 = gf::prim::mul(x3, r1);
    const float r3 = gf::prim::sub(x0, r2);
    out0[i] = r3;
    out1[i] = r1;
  }
}

void sgd_momentum_5a740424b7e4a808(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float r0 = gf::prim::mul(x5, x2);
    const float r1 = gf::prim::mul(x4, x0);
    const float r2 = gf::prim::add(x1, r1);
    const float r3 = gf::prim::add(r0, r2);
    const float r4 = gf::prim::mul(x3, r3);
    const float r5 = gf::prim::sub(x0, r4);
    out0[i] = r5;
    out1[i] = r3;
  }
}

void sigmoid_backward_0ecd74f0b69add4d(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::sub(1.0f, x1);
    const float r1 = gf::prim::mul(x1, r0);
    const float r2 = gf::prim::mul(x0, r1);
    out0[i] = r2;
  }
}

void sigmoid_d5e341c269c353a5(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::sub(0.0f, x0);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::div(1.0f, r2);
    out0[i] = r3;
  }
}

void silu_837b9a555aff3399(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::neg(x0);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::div(x0, r2);
    out0[i] = r3;
  }
}

void silu_backward_412f4ca53f21aa99(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::neg(x1);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::div(1.0f, r2);
    const float r4 = gf::prim::sub(1.0f, r3);
    const float r5 = gf::prim::mul(x1, r4);
    const float r6 = gf::prim::add(1.0f, r5);
    const float r7 = gf::prim::mul(r3, r6);
    const float r8 = gf::prim::mul(x0, r7);
    out0[i] = r8;
  }
}

void slopes_of_67e514df677c279a(void* const* in, void* const* out, int64_t n, int64_t rows, const int64_t* row_step, Ahead& ahead) {
  float fold3[kCompiledRows], fold6[kCompiledRows];
  for (int64_t row = 0; row < rows; ++row) {
    const float* in0 = static_cast<const float*>(in[0]) + row * row_step[0];
    const float* in1 = static_cast<const float*>(in[1]) + row * row_step[1];
    const float x2 = static_cast<const float*>(in[2])[row];
    ahead.step();
    double sum[2];
    sum_row(int(n), sum, [&](int i, float* value) {
      const float x0 = in0[i];
      const float x1 = in1[i];
      const float r1 = gf::prim::sub(x1, x2);
      const float r2 = gf::prim::mul(x0, r1);
      value[0] = x0;
      value[1] = r2;
    });
    fold3[row] = float(sum[0]);
    fold6[row] = float(sum[1]);
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float r0 = fold3[row];
    const float r3 = fold6[row];
    static_cast<float*>(out[0])[row] = r0;
    static_cast<float*>(out[1])[row] = r3;
  }
}

void smooth_absolute_error_1ab09a69e2bb8de4(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::sub(x0, x1);
    const float r1 = gf::prim::abs(r0);
    const float r2 = gf::prim::minimum(r1, x2);
    const float r3 = gf::prim::div(r2, x2);
    const float r4 = gf::prim::mul(0.5f, r2);
    const float r5 = gf::prim::sub(r1, r4);
    const float r6 = gf::prim::mul(r3, r5);
    out0[i] = r6;
  }
}

void smooth_absolute_error_backward_935435f3447feb3f(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::sub(x1, x2);
    const float r1 = gf::prim::abs(r0);
    const gf::bool8 r2 = gf::prim::lt(r1, x3);
    const float r3 = gf::prim::div(r0, x3);
    const float r4 = gf::prim::mul(x0, r3);
    const float r5 = gf::prim::sign(r0);
    const float r6 = gf::prim::mul(x0, r5);
    const float r7 = gf::prim::where(r2, r4, r6);
    const float r8 = gf::prim::where(r2, r3, r5);
    const float r9 = gf::prim::neg(r8);
    const float r10 = gf::prim::mul(x0, r9);
    out0[i] = r7;
    out1[i] = r10;
  }
}

void softplus_of_40a3220455aee4fb(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::mul(x1, x0);
    const gf::bool8 r1 = gf::prim::gt(r0, x2);
    const float r2 = gf::prim::maximum(r0, 0.0f);
    const float r3 = gf::prim::abs(r0);
    const float r4 = gf::prim::neg(r3);
    const float r5 = gf::prim::exp(r4);
    const float r6 = gf::prim::log1p(r5);
    const float r7 = gf::prim::add(r2, r6);
    const float r8 = gf::prim::div(r7, x1);
    const float r9 = gf::prim::where(r1, x0, r8);
    out0[i] = r9;
  }
}

void softplus_of_backward_61442e141877c4a6(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float r0 = gf::prim::mul(x2, x1);
    const gf::bool8 r1 = gf::prim::gt(r0, x3);
    const float r2 = gf::prim::neg(r0);
    const float r3 = gf::prim::exp(r2);
    const float r4 = gf::prim::add(1.0f, r3);
    const float r5 = gf::prim::div(x0, r4);
    const float r6 = gf::prim::where(r1, x0, r5);
    out0[i] = r6;
  }
}

void softsign_backward_2ed38c2b0e7dace2(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::abs(x1);
    const float r1 = gf::prim::add(1.0f, r0);
    const float r2 = gf::prim::mul(r1, r1);
    const float r3 = gf::prim::div(x0, r2);
    out0[i] = r3;
  }
}

void softsign_e40ede65cf0ecabe(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float r0 = gf::prim::abs(x0);
    const float r1 = gf::prim::add(1.0f, r0);
    const float r2 = gf::prim::div(x0, r1);
    out0[i] = r2;
  }
}

void squared_error_backward_c55d46b0567cf54d(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float r0 = gf::prim::sub(x1, x2);
    const float r1 = gf::prim::mul(x0, r0);
    const float r2 = gf::prim::add(r1, r1);
    const float r3 = gf::prim::neg(r2);
    out0[i] = r2;
    out1[i] = r3;
  }
}

void step_22ee652513f71ad6(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  float* out2 = static_cast<float*>(out[2]);
  float* out3 = static_cast<float*>(out[3]);
  float* out4 = static_cast<float*>(out[4]);
  float* out5 = static_cast<float*>(out[5]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float r0 = gf::prim::sub(0.0f, x0);
    const float r1 = gf::prim::exp(r0);
    const float r2 = gf::prim::add(1.0f, r1);
    const float r3 = gf::prim::div(1.0f, r2);
    const float r4 = gf::prim::sub(0.0f, x1);
    const float r5 = gf::prim::exp(r4);
    const float r6 = gf::prim::add(1.0f, r5);
    const float r7 = gf::prim::div(1.0f, r6);
    const float r8 = gf::prim::tanh(x2);
    const float r9 = gf::prim::sub(0.0f, x3);
    const float r10 = gf::prim::exp(r9);
    const float r11 = gf::prim::add(1.0f, r10);
    const float r12 = gf::prim::div(1.0f, r11);
    const float r13 = gf::prim::mul(r7, x4);
    const float r14 = gf::prim::mul(r3, r8);
    const float r15 = gf::prim::add(r13, r14);
    const float r16 = gf::prim::tanh(r15);
    const float r17 = gf::prim::mul(r12, r16);
    out0[i] = r3;
    out1[i] = r7;
    out2[i] = r8;
    out3[i] = r12;
    out4[i] = r15;
    out5[i] = r17;
  }
}

void step_back_ea62f8f6c5dc352b(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  const float* in2 = static_cast<const float*>(in[2]);
  const float* in3 = static_cast<const float*>(in[3]);
  const float* in4 = static_cast<const float*>(in[4]);
  const float* in5 = static_cast<const float*>(in[5]);
  const float* in6 = static_cast<const float*>(in[6]);
  const float* in7 = static_cast<const float*>(in[7]);
  const float* in8 = static_cast<const float*>(in[8]);
  float* out0 = static_cast<float*>(out[0]);
  float* out1 = static_cast<float*>(out[1]);
  float* out2 = static_cast<float*>(out[2]);
  float* out3 = static_cast<float*>(out[3]);
  float* out4 = static_cast<float*>(out[4]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float x2 = in2[i];
    const float x3 = in3[i];
    const float x4 = in4[i];
    const float x5 = in5[i];
    const float x6 = in6[i];
    const float x7 = in7[i];
    const float x8 = in8[i];
    const float r0 = gf::prim::add(x1, x2);
    const float r1 = gf::prim::tanh(x7);
    const float r2 = gf::prim::mul(r1, r1);
    const float r3 = gf::prim::sub(1.0f, r2);
    const float r4 = gf::prim::mul(x6, r3);
    const float r5 = gf::prim::mul(x0, r4);
    const float r6 = gf::prim::add(r0, r5);
    const float r7 = gf::prim::sub(1.0f, x3);
    const float r8 = gf::prim::mul(x3, r7);
    const float r9 = gf::prim::mul(x5, r8);
    const float r10 = gf::prim::mul(r6, r9);
    const float r11 = gf::prim::sub(1.0f, x4);
    const float r12 = gf::prim::mul(x4, r11);
    const float r13 = gf::prim::mul(x8, r12);
    const float r14 = gf::prim::mul(r6, r13);
    const float r15 = gf::prim::mul(x5, x5);
    const float r16 = gf::prim::sub(1.0f, r15);
    const float r17 = gf::prim::mul(x3, r16);
    const float r18 = gf::prim::mul(r6, r17);
    const float r19 = gf::prim::sub(1.0f, x6);
    const float r20 = gf::prim::mul(x6, r19);
    const float r21 = gf::prim::mul(r1, r20);
    const float r22 = gf::prim::mul(x0, r21);
    const float r23 = gf::prim::mul(r6, x4);
    out0[i] = r10;
    out1[i] = r14;
    out2[i] = r18;
    out3[i] = r22;
    out4[i] = r23;
  }
}

void tanh_backward_0a71228ee40704cb(void* const* in, void* const* out, int64_t n, int64_t, const int64_t*, Ahead& ahead) {
  const float* in0 = static_cast<const float*>(in[0]);
  const float* in1 = static_cast<const float*>(in[1]);
  float* out0 = static_cast<float*>(out[0]);
  ahead.step();
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const float x0 = in0[i];
    const float x1 = in1[i];
    const float r0 = gf::prim::mul(x1, x1);
    const float r1 = gf::prim::sub(1.0f, r0);
    const float r2 = gf::prim::mul(x0, r1);
    out0[i] = r2;
  }
}

const Compiled table[] = {
  {"32c1dd536ee8a82c", adam_32c1dd536ee8a82c, 1, 0u},
  {"6fc22144f3637746", adam_6fc22144f3637746, 1, 0u},
  {"ab7126e48253d936", adam_ab7126e48253d936, 1, 0u},
  {"9c6e0efa27116111", addcdiv_of_9c6e0efa27116111, 1, 0u},
  {"49aa82141ef29506", addcdiv_of_backward_49aa82141ef29506, 1, 0u},
  {"ad39ceea2b104e0b", addcmul_of_ad39ceea2b104e0b, 1, 0u},
  {"c45945586ea643d4", addcmul_of_backward_c45945586ea643d4, 1, 0u},
  {"32c939f909a6097b", affine_rows_32c939f909a6097b, 3, 24u},
  {"180cccf2d168b01c", cross_entropy_of_logit_180cccf2d168b01c, 1, 0u},
  {"06e96f64bb2a2ed4", cross_entropy_of_logit_backward_06e96f64bb2a2ed4, 1, 0u},
  {"3cf89c09741da647", elu_of_3cf89c09741da647, 1, 0u},
  {"34c59f6cd0d55ade", elu_of_backward_34c59f6cd0d55ade, 1, 0u},
  {"39765536044172d4", finite_of_39765536044172d4, 1, 0u},
  {"4d48edef0e0e6a46", finite_of_backward_4d48edef0e0e6a46, 1, 0u},
  {"2300f653ba6c25cb", gelu_erf_2300f653ba6c25cb, 1, 0u},
  {"22468f71bd01090a", gelu_erf_backward_22468f71bd01090a, 1, 0u},
  {"835c291da95a6f04", gelu_tanh_backward_835c291da95a6f04, 1, 0u},
  {"ca5fbf911e683315", gelu_tanh_ca5fbf911e683315, 1, 0u},
  {"080d18ffe2d98054", hardsigmoid_080d18ffe2d98054, 1, 0u},
  {"adb2b66fe5e10819", hardsigmoid_backward_adb2b66fe5e10819, 1, 0u},
  {"9a65ee8f5b8455b8", hardswish_9a65ee8f5b8455b8, 1, 0u},
  {"9857b80e1094f703", hardswish_backward_9857b80e1094f703, 1, 0u},
  {"4d7aaef866ee9b7f", hardtanh_of_backward_4d7aaef866ee9b7f, 1, 0u},
  {"124f64030cd30887", lambda_124f64030cd30887, 1, 0u},
  {"2d67b09ea581c0b2", lambda_2d67b09ea581c0b2, 1, 0u},
  {"3be6e8e9ebed5208", lambda_3be6e8e9ebed5208, 1, 0u},
  {"f1737f6b3169b291", lambda_f1737f6b3169b291, 1, 0u},
  {"13923ba83841b89e", leaky_relu_of_13923ba83841b89e, 1, 0u},
  {"03fbb3d872c70a98", leaky_relu_of_backward_03fbb3d872c70a98, 1, 0u},
  {"69355c5cd6fa373d", lerp_69355c5cd6fa373d, 1, 0u},
  {"de7c17b61479a91a", lerp_backward_de7c17b61479a91a, 1, 0u},
  {"5926e389701b5e65", moments_of_5926e389701b5e65, 2, 6u},
  {"7531f8242d7f01f1", normalize_back_7531f8242d7f01f1, 2, 44u},
  {"1f88e3c23df7b82c", normalize_rows_1f88e3c23df7b82c, 3, 6u},
  {"63df13f0363953aa", plain_back_63df13f0363953aa, 2, 28u},
  {"4fd073f26179038d", sgd_momentum_4fd073f26179038d, 1, 0u},
  {"5a740424b7e4a808", sgd_momentum_5a740424b7e4a808, 1, 0u},
  {"0ecd74f0b69add4d", sigmoid_backward_0ecd74f0b69add4d, 1, 0u},
  {"d5e341c269c353a5", sigmoid_d5e341c269c353a5, 1, 0u},
  {"837b9a555aff3399", silu_837b9a555aff3399, 1, 0u},
  {"412f4ca53f21aa99", silu_backward_412f4ca53f21aa99, 1, 0u},
  {"67e514df677c279a", slopes_of_67e514df677c279a, 1, 4u},
  {"1ab09a69e2bb8de4", smooth_absolute_error_1ab09a69e2bb8de4, 1, 0u},
  {"935435f3447feb3f", smooth_absolute_error_backward_935435f3447feb3f, 1, 0u},
  {"40a3220455aee4fb", softplus_of_40a3220455aee4fb, 1, 0u},
  {"61442e141877c4a6", softplus_of_backward_61442e141877c4a6, 1, 0u},
  {"2ed38c2b0e7dace2", softsign_backward_2ed38c2b0e7dace2, 1, 0u},
  {"e40ede65cf0ecabe", softsign_e40ede65cf0ecabe, 1, 0u},
  {"c55d46b0567cf54d", squared_error_backward_c55d46b0567cf54d, 1, 0u},
  {"22ee652513f71ad6", step_22ee652513f71ad6, 1, 0u},
  {"ea62f8f6c5dc352b", step_back_ea62f8f6c5dc352b, 1, 0u},
  {"0a71228ee40704cb", tanh_backward_0a71228ee40704cb, 1, 0u},
};

}  // namespace

void fill_compiled(Kernels& k) {
  k.compiled = table;
  k.n_compiled = sizeof table / sizeof *table;
}

}  // namespace GF_ISA
}  // namespace gf
