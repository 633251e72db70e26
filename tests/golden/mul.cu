#include "gradflow/device.h"

GF_FN void mul_flat_30233185_of(float x0, float x1, float& y0) {
  const float r0 = gf::prim::mul(x0, x1);
  y0 = r0;
}

extern "C" __global__ void __launch_bounds__(256) mul_flat_30233185(
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
      mul_flat_30233185_of(gf::get<float>(in0_pack.at[k]), gf::get<float>(in1_pack.at[k]), y0);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
    }
    gf::write(out0, p, out0_pack, n);
  }
}

#include "gradflow/device.h"

GF_FN void mul_strided32_c76a79b8_of(float x0, float x1, float& y0) {
  const float r0 = gf::prim::mul(x0, x1);
  y0 = r0;
}

extern "C" __global__ void __launch_bounds__(256) mul_strided32_c76a79b8(
    const float* in0,
    const float* in1,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 3> layout,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 i = gf::thread(); i < n; i += gf::threads()) {
    const auto at = layout.place(i);
    float y0;
    mul_strided32_c76a79b8_of(gf::get<float>(in0[at[0]]), gf::get<float>(in1[at[1]]), y0);
    gf::put(out0 + at[2], y0, accumulate & 1);
  }
}

#include "gradflow/device.h"

GF_FN void mul_strided64_7bf924ab_of(float x0, float x1, float& y0) {
  const float r0 = gf::prim::mul(x0, x1);
  y0 = r0;
}

extern "C" __global__ void __launch_bounds__(256) mul_strided64_7bf924ab(
    const float* in0,
    const float* in1,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int64, 3> layout,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 i = gf::thread(); i < n; i += gf::threads()) {
    const auto at = layout.place(i);
    float y0;
    mul_strided64_7bf924ab_of(gf::get<float>(in0[at[0]]), gf::get<float>(in1[at[1]]), y0);
    gf::put(out0 + at[2], y0, accumulate & 1);
  }
}
