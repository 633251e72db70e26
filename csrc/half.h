// float16 and bfloat16 <-> float32, without branches so that loops over them vectorise.
#pragma once

#include <cstdint>

namespace gf {

#define GF_INLINE static inline __attribute__((always_inline))

GF_INLINE uint32_t float_bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}

GF_INLINE float bits_float(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

GF_INLINE float half_to_float(uint16_t h) {
  uint32_t magnitude = h & 0x7fffu;
  // shifting puts the exponent 112 too low; the product with 2^112 corrects it, subnormals included
  uint32_t bits = float_bits(bits_float(magnitude << 13) * bits_float(0x77800000u));
  bits |= magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return bits_float(bits | (uint32_t(h & 0x8000u) << 16));
}

GF_INLINE uint16_t float_to_half(float f) {
  uint32_t x = float_bits(f);
  uint32_t sign = x & 0x80000000u;
  x ^= sign;
  uint32_t special = x > 0x7f800000u ? 0x7e00u : 0x7c00u;  // nan, or too large: inf
  // adding 0.5 lets the adder round a subnormal result to nearest even
  uint32_t subnormal = float_bits(bits_float(x) + 0.5f) - 0x3f000000u;
  uint32_t normal = (x + 0xc8000fffu + ((x >> 13) & 1u)) >> 13;
  uint32_t result = x < 0x38800000u ? subnormal : normal;
  result = x >= 0x47800000u ? special : result;
  return uint16_t(result | (sign >> 16));
}

GF_INLINE float bfloat_to_float(uint16_t b) { return bits_float(uint32_t(b) << 16); }

GF_INLINE uint16_t float_to_bfloat(float f) {
  uint32_t x = float_bits(f);
  uint32_t rounded = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
  uint32_t nan = (x >> 16) | 0x40u;
  return uint16_t((x & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

}  // namespace gf
