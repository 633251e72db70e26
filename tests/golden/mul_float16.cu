#include "gradflow/device_half.h"

GF_FN void mul_flat_256344e4_of(float x0, float x1, float& y0) {
  const float r0 = gf::prim::mul(x0, x1);
  y0 = r0;
}

extern "C" __global__ void __launch_bounds__(256) mul_flat_256344e4(
    const __half* in0,
    const __half* in1,
    __half* out0,
    const gf::int64 n,
    const gf::uint32 accumulate) {
  for (gf::int64 p = gf::thread(); p * 8 < n; p += gf::threads()) {
    const auto in0_pack = gf::read<8>(in0, p, n);
    const auto in1_pack = gf::read<8>(in1, p, n);
    gf::Pack<__half, 8> out0_pack;
    if (accumulate & 1) out0_pack = gf::read<8>(out0, p, n);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      float y0;
      mul_flat_256344e4_of(gf::get<float>(in0_pack.at[k]), gf::get<float>(in1_pack.at[k]), y0);
      gf::put(&out0_pack.at[k], y0, accumulate & 1);
    }
    gf::write(out0, p, out0_pack, n);
  }
}
