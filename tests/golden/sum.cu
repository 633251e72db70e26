#include "gradflow/device.h"

GF_FN void sum_of_identity_flat_3d271b5d_of(float x0, float& y0) {
  y0 = x0;
}

extern "C" __global__ void __launch_bounds__(512) sum_of_identity_flat_3d271b5d(
    const float* in0,
    float* out0,
    const gf::int64 outputs,
    const gf::int64 depth,
    const gf::int64 chunk,
    const double scale,
    const bool along_y,
    gf::Sum<float>* partials,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < outputs; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    const gf::int64 begin = blockIdx.y * chunk, end = o >= outputs ? 0 : depth - begin < chunk ? depth : begin + chunk;
    gf::Sum<float> fold;
    const gf::int64 start = along_y ? o : o * depth, step = along_y ? outputs : 1;
    const bool packed = !along_y && (outputs == 1 || depth % 4 == 0);
    const gf::int64 whole = packed ? end / 4 * 4 : 0;
#pragma unroll 2
    for (gf::int64 p = begin / 4 + lanes.lane; p * 4 < whole; p += lanes.count) {
      const auto in0_pack = gf::read<4>(in0 + start, p, whole);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        float y0;
        sum_of_identity_flat_3d271b5d_of(gf::get<float>(in0_pack.at[k]), y0);
        fold.take(y0, p * 4 + k);
      }
    }
#pragma unroll 4
    for (gf::int64 c = (packed ? whole : begin) + lanes.lane; c < end; c += lanes.count) {
      float y0;
      sum_of_identity_flat_3d271b5d_of(gf::get<float>(in0[start + c * step]), y0);
      fold.take(y0, c);
    }
    fold = lanes.join(fold, shared);
    if (lanes.lane > 0 || o >= outputs) continue;
    if (partials)
      partials[blockIdx.y * outputs + o] = fold;
    else
      gf::put(out0 + o, fold.finish(scale), accumulate & 1);
  }
}

#include "gradflow/device.h"

GF_FN void sum_of_identity_strided32_a3d0f839_of(float x0, float& y0) {
  y0 = x0;
}

extern "C" __global__ void __launch_bounds__(512) sum_of_identity_strided32_a3d0f839(
    const float* in0,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 2> kept,
    const __grid_constant__ gf::Layout<gf::int32, 2> reduced,
    const gf::int64 outputs,
    const gf::int64 depth,
    const gf::int64 chunk,
    const double scale,
    const bool along_y,
    gf::Sum<float>* partials,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < outputs; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    const auto start = kept.place(o < outputs ? o : 0);
    const gf::int64 begin = blockIdx.y * chunk, end = o >= outputs ? 0 : depth - begin < chunk ? depth : begin + chunk;
    gf::Sum<float> fold;
    for (gf::int64 c = begin + lanes.lane; c < end; c += lanes.count) {
      const auto at = reduced.place(c, start);
      float y0;
      sum_of_identity_strided32_a3d0f839_of(gf::get<float>(in0[at[0]]), y0);
      fold.take(y0, c);
    }
    fold = lanes.join(fold, shared);
    if (lanes.lane > 0 || o >= outputs) continue;
    if (partials)
      partials[blockIdx.y * outputs + o] = fold;
    else
      gf::put(out0 + start[1], fold.finish(scale), accumulate & 1);
  }
}

#include "gradflow/device.h"

extern "C" __global__ void __launch_bounds__(512) combine_sum_b7ed0e4f(
    const gf::Sum<float>* partials,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int64, 1> kept,
    const gf::int64 outputs,
    const gf::int64 splits,
    const double scale,
    const bool along_y,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < outputs; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    gf::Sum<float> fold;
    for (gf::int64 s = lanes.lane; o < outputs && s < splits; s += lanes.count) fold.merge(partials[s * outputs + o]);
    fold = lanes.join(fold, shared);
    if (lanes.lane == 0 && o < outputs) gf::put(out0 + kept.place(o)[0], fold.finish(scale), accumulate & 1);
  }
}
