// The ten storage dtypes and the five register types in which kernels compute. No Python here.
#pragma once

#include <cstdint>

namespace gf {

enum DType : int {
  kBool = 0,
  kUInt8 = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kFloat16 = 6,
  kBFloat16 = 7,
  kFloat32 = 8,
  kFloat64 = 9,
};
constexpr int kDTypes = 10;

constexpr int kItemSize[kDTypes] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};
constexpr const char* kDTypeNames[kDTypes] = {"bool",  "uint8",   "int8",     "int16",   "int32",
                                              "int64", "float16", "bfloat16", "float32", "float64"};

// The type in which values of a storage dtype are computed.
constexpr DType kRegisterOf[kDTypes] = {kBool,  kInt32,   kInt32,   kInt32,   kInt32,
                                        kInt64, kFloat32, kFloat32, kFloat32, kFloat64};

constexpr int item_size(DType dtype) { return kItemSize[dtype]; }
constexpr DType register_of(DType dtype) { return kRegisterOf[dtype]; }
constexpr bool is_floating(DType dtype) { return dtype >= kFloat16; }
constexpr int category(DType dtype) { return dtype == kBool ? 0 : is_floating(dtype) ? 2 : 1; }

}  // namespace gf
