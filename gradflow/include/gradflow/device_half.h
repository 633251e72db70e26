// float16 and bfloat16 in memory: computed in float32, rounded to nearest even once, when they are stored.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "device.h"

namespace gf {

template <>
struct Stored<__half> {
  GF_FN float load(__half x) { return __half2float(x); }
  GF_FN __half store(float x) { return __float2half_rn(x); }
};

template <>
struct Stored<__nv_bfloat16> {
  GF_FN float load(__nv_bfloat16 x) { return __bfloat162float(x); }
  GF_FN __nv_bfloat16 store(float x) { return __float2bfloat16_rn(x); }
};

}  // namespace gf
