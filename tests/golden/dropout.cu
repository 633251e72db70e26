#include "gradflow/device.h"

GF_FN void dropout_of_flat_001a93d6_of(gf::int64 i, float x0, gf::int64 x1, float x2, gf::int64 x3, gf::int64 x4, float& y0) {
  const gf::int64 r0 = gf::random_bits(x3, gf::prim::add(x4, i));
  const gf::bool8 r1 = gf::prim::ge(r0, x1);
  const float r2 = gf::prim::mul(x0, x2);
  const float r3 = gf::prim::where(r1, r2, 0.0f);
  y0 = r3;
}

extern "C" __global__ void __launch_bounds__(256) dropout_of_flat_001a93d6(
    const float* in0,
    const gf::int64 x1,
    const float x2,
    const gf::int64 x3,
    const gf::int64 x4,
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
      dropout_of_flat_001a93d6_of(p * 4 + k, gf::get<float>(in0_pack.at[k]), x1, x2, x3, x4, y0);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
    }
    gf::write(out0, p, out0_pack, n);
  }
}

#include "gradflow/device.h"

GF_FN void dropout_of_strided32_edd9dffe_of(gf::int64 i, float x0, gf::int64 x1, float x2, gf::int64 x3, gf::int64 x4, float& y0) {
  const gf::int64 r0 = gf::random_bits(x3, gf::prim::add(x4, i));
  const gf::bool8 r1 = gf::prim::ge(r0, x1);
  const float r2 = gf::prim::mul(x0, x2);
  const float r3 = gf::prim::where(r1, r2, 0.0f);
  y0 = r3;
}

extern "C" __global__ void __launch_bounds__(256) dropout_of_strided32_edd9dffe(
    const float* in0,
    const gf::int64 x1,
    const float x2,
    const gf::int64 x3,
    const gf::int64 x4,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 3> layout,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 i = gf::thread(); i < n; i += gf::threads()) {
    const auto at = layout.place(i);
    float y0;
    dropout_of_strided32_edd9dffe_of(gf::int64(at[2]), gf::get<float>(in0[at[0]]), x1, x2, x3, x4, y0);
    gf::put(out0 + at[1], y0, accumulate & 1);
  }
}
