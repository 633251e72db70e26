#include "gradflow/device.h"

extern "C" __global__ void __launch_bounds__(512) softmax_of_cached_strided32_52664a56(
    const float* in0,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 2> kept,
    const gf::Place<gf::int32, 2> step,
    const gf::int64 rows,
    const gf::int64 length,
    const bool along_y,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < rows; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    const gf::int64 size = o < rows ? length : 0;
    const auto start = kept.place(o < rows ? o : 0);
    float in0_row[8] = {};
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const auto at = start.moved(c, step);
      if (c < size) in0_row[e] = gf::get<float>(in0[at[0]]);
    }
    gf::Max<float> r0_fold;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const float x0 = in0_row[e];
      r0_fold.take(c < size ? x0 : r0_fold.none());
    }
    const float r0 = lanes.join(r0_fold, shared).finish(1);
    gf::Sum<float> r3_fold;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const float x0 = in0_row[e];
      const float r1 = gf::prim::sub(x0, r0);
      const float r2 = gf::prim::exp(r1);
      r3_fold.take(c < size ? r2 : r3_fold.none());
    }
    const float r3 = lanes.join(r3_fold, shared).finish(1);
    const float r4 = gf::prim::div(1.0f, r3);
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const auto at = start.moved(c, step);
      const float x0 = in0_row[e];
      const float r1 = gf::prim::sub(x0, r0);
      const float r2 = gf::prim::exp(r1);
      const float r5 = gf::prim::mul(r2, r4);
      if (c < size) gf::put(out0 + at[1], r5, accumulate & 1);
    }
  }
}

#include "gradflow/device.h"

extern "C" __global__ void __launch_bounds__(512) softmax_of_passes_strided32_06a5e006(
    const float* in0,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 2> kept,
    const gf::Place<gf::int32, 2> step,
    const gf::int64 rows,
    const gf::int64 length,
    const bool along_y,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < rows; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    const gf::int64 size = o < rows ? length : 0;
    const auto start = kept.place(o < rows ? o : 0);
    gf::Max<float> r0_fold;
    for (gf::int64 c = lanes.lane; c < size; c += lanes.count) {
      const auto at = start.moved(c, step);
      const float x0 = gf::get<float>(in0[at[0]]);
      r0_fold.take(x0);
    }
    const float r0 = lanes.join(r0_fold, shared).finish(1);
    gf::Sum<float> r3_fold;
    for (gf::int64 c = lanes.lane; c < size; c += lanes.count) {
      const auto at = start.moved(c, step);
      const float x0 = gf::get<float>(in0[at[0]]);
      const float r1 = gf::prim::sub(x0, r0);
      const float r2 = gf::prim::exp(r1);
      r3_fold.take(r2);
    }
    const float r3 = lanes.join(r3_fold, shared).finish(1);
    const float r4 = gf::prim::div(1.0f, r3);
    for (gf::int64 c = lanes.lane; c < size; c += lanes.count) {
      const auto at = start.moved(c, step);
      const float x0 = gf::get<float>(in0[at[0]]);
      const float r1 = gf::prim::sub(x0, r0);
      const float r2 = gf::prim::exp(r1);
      const float r5 = gf::prim::mul(r2, r4);
      gf::put(out0 + at[1], r5, accumulate & 1);
    }
  }
}

#include "gradflow/device.h"

extern "C" __global__ void __launch_bounds__(512) softmax_of_backward_cached_strided32_34215cbb(
    const float* in0,
    const float* in1,
    float* out0,
    const __grid_constant__ gf::Layout<gf::int32, 3> kept,
    const gf::Place<gf::int32, 3> step,
    const gf::int64 rows,
    const gf::int64 length,
    const bool along_y,
    const gf::uint32 accumulate) {
  GF_SHARED(shared);
  const gf::Lanes lanes(along_y);
  for (gf::int64 first = lanes.first(); first < rows; first += lanes.stride()) {
    const gf::int64 o = first + lanes.group;
    const gf::int64 size = o < rows ? length : 0;
    const auto start = kept.place(o < rows ? o : 0);
    float in0_row[8] = {};
    float in1_row[8] = {};
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const auto at = start.moved(c, step);
      if (c < size) in0_row[e] = gf::get<float>(in0[at[0]]);
      if (c < size) in1_row[e] = gf::get<float>(in1[at[1]]);
    }
    gf::Sum<float> r1_fold;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const float x0 = in0_row[e];
      const float x1 = in1_row[e];
      const float r0 = gf::prim::mul(x0, x1);
      r1_fold.take(c < size ? r0 : r1_fold.none());
    }
    const float r1 = lanes.join(r1_fold, shared).finish(1);
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const gf::int64 c = lanes.lane + gf::int64(e) * lanes.count;
      const auto at = start.moved(c, step);
      const float x0 = in0_row[e];
      const float x1 = in1_row[e];
      const float r2 = gf::prim::sub(x0, r1);
      const float r3 = gf::prim::mul(x1, r2);
      if (c < size) gf::put(out0 + at[2], r3, accumulate & 1);
    }
  }
}
