#include "gradflow/device.h"

GF_FN void gelu_erf_flat_24804647_of(float x0, float& y0) {
  const float r0 = gf::prim::mul(0.5f, x0);
  const float r1 = gf::prim::mul(x0, 0.70710677f);
  const float r2 = gf::prim::erf(r1);
  const float r3 = gf::prim::add(1.0f, r2);
  const float r4 = gf::prim::mul(r0, r3);
  y0 = r4;
}

extern "C" __global__ void __launch_bounds__(256) gelu_erf_flat_24804647(
    const float* in0,
    float* out0,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 p = gf::thread(); p * 4 < n; p += gf::threads()) {
    const auto in0_pack = gf::read<4>(in0, p, n);
    gf::Pack<float, 4> out0_pack;
    if (accumulate & 1) out0_pack = gf::read<4>(out0, p, n);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float y0;
      gelu_erf_flat_24804647_of(gf::get<float>(in0_pack.at[k]), y0);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
    }
    gf::write(out0, p, out0_pack, n);
  }
}

#include "gradflow/device.h"

GF_FN void gelu_erf_backward_flat_39894301_of(float x0, float x1, float& y0) {
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
  y0 = r10;
}

extern "C" __global__ void __launch_bounds__(256) gelu_erf_backward_flat_39894301(
    const float* in0,
    const float* in1,
    float* out0,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 p = gf::thread(); p * 4 < n; p += gf::threads()) {
    const auto in0_pack = gf::read<4>(in0, p, n);
    const auto in1_pack = gf::read<4>(in1, p, n);
    gf::Pack<float, 4> out0_pack;
    if (accumulate & 1) out0_pack = gf::read<4>(out0, p, n);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      float y0;
      gelu_erf_backward_flat_39894301_of(gf::get<float>(in0_pack.at[k]), gf::get<float>(in1_pack.at[k]), y0);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
    }
    gf::write(out0, p, out0_pack, n);
  }
}
