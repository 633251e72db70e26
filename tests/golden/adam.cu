#include "gradflow/device.h"

GF_FN void adam_flat_b14dc87c_of(float x0, float x1, float x2, float x3, float x4, float x5, float x6, float x7, float& y0, float& y1, float& y2) {
  const float r0 = gf::prim::mul(x4, x2);
  const float r1 = gf::prim::sub(1.0f, x4);
  const float r2 = gf::prim::mul(r1, x1);
  const float r3 = gf::prim::add(r0, r2);
  const float r4 = gf::prim::mul(x6, r3);
  const float r5 = gf::prim::mul(x5, x3);
  const float r6 = gf::prim::sub(1.0f, x5);
  const float r7 = gf::prim::mul(r6, x1);
  const float r8 = gf::prim::mul(r7, x1);
  const float r9 = gf::prim::add(r5, r8);
  const float r10 = gf::prim::sqrt(r9);
  const float r11 = gf::prim::add(r10, x7);
  const float r12 = gf::prim::div(r4, r11);
  const float r13 = gf::prim::sub(x0, r12);
  y0 = r13;
  y1 = r3;
  y2 = r9;
}

extern "C" __global__ void __launch_bounds__(256) adam_flat_b14dc87c(
    const float* in0,
    const float* in1,
    const float* in2,
    const float* in3,
    const float x4,
    const float x5,
    const float x6,
    const float x7,
    float* out0,
    float* out1,
    float* out2,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 p = gf::thread(); p * 4 < n; p += gf::threads()) {
    const auto in0_pack = gf::read<4>(in0, p, n);
    const auto in1_pack = gf::read<4>(in1, p, n);
    const auto in2_pack = gf::read<4>(in2, p, n);
    const auto in3_pack = gf::read<4>(in3, p, n);
    gf::Pack<float, 4> out0_pack;
    gf::Pack<float, 4> out1_pack;
    gf::Pack<float, 4> out2_pack;
    if (accumulate & 1) out0_pack = gf::read<4>(out0, p, n);
    if (accumulate & 2) out1_pack = gf::read<4>(out1, p, n);
    if (accumulate & 4) out2_pack = gf::read<4>(out2, p, n);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float y0;
      float y1;
      float y2;
      adam_flat_b14dc87c_of(gf::get<float>(in0_pack.at[k]), gf::get<float>(in1_pack.at[k]), gf::get<float>(in2_pack.at[k]), gf::get<float>(in3_pack.at[k]), x4, x5, x6, x7, y0, y1, y2);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
      gf::put(&out1_pack.at[k], y1, accumulate & 2);
      gf::put(&out2_pack.at[k], y2, accumulate & 4);
    }
    gf::write(out0, p, out0_pack, n);
    gf::write(out1, p, out1_pack, n);
    gf::write(out2, p, out2_pack, n);
  }
}
