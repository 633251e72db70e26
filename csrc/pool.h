// Caching allocator behind the arrays that the kernels return.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gf {

void* pool_allocate(size_t bytes);  // 64-byte aligned; nullptr when there is no memory
void pool_free(void* data);
size_t pool_capacity(void* data);  // bytes that may be used at data
void pool_empty_cache();
void pool_reset_peak();

struct PoolStats {
  int64_t allocated_bytes, peak_allocated_bytes;  // in use by arrays, rounded up to size classes
  int64_t reserved_bytes;                         // taken from the system
  int64_t system_allocs, system_frees;
  int64_t hits, misses;
};
PoolStats pool_stats();

}  // namespace gf
