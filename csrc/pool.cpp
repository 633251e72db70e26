#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace gf {
namespace {

constexpr size_t kHeader = 64;               // keeps the data on a cache line of its own
constexpr size_t kMapped = size_t(1) << 20;  // from here on blocks come from mmap
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kSlack = size_t(64) << 20;  // cached bytes that are always tolerated
constexpr int kSmall = 16;                   // classes of 64, 128, ... 1024 bytes
constexpr int kSteps = 8;                    // then eight classes per power of two
constexpr int kClasses = kSmall + kSteps * 38;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kExact = true;  // no rounding, no reuse: every access beyond an array is seen
#else
constexpr bool kExact = false;
#endif

struct Block {
  size_t capacity;  // of the data
  Block* next;      // in the free list of its class
  int size_class;
};
static_assert(sizeof(Block) <= kHeader, "the header must fit before the data");

class SpinLock {
 public:
  void lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) sched_yield();
  }
  void unlock() { flag_.clear(std::memory_order_release); }

 private:
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

// Almost always uncontended: arrays are made and freed under the GIL.
SpinLock lock;
Block* free_blocks[kClasses];
PoolStats stats;

struct Locked {
  Locked() { lock.lock(); }
  ~Locked() { lock.unlock(); }
};

// A fork while another thread holds the lock would leave it held for ever in the child.
const int fork_safe = pthread_atfork([] { lock.lock(); }, [] { lock.unlock(); }, [] { lock.unlock(); });

int class_of(size_t bytes) {
  if (bytes <= 1024) return bytes == 0 ? 0 : int((bytes - 1) / 64);
  int exponent = 63 - __builtin_clzll(bytes - 1);  // 2^exponent < bytes <= 2^(exponent + 1)
  int step = int(((bytes - 1) >> (exponent - 3)) & (kSteps - 1));
  return kSmall + (exponent - 10) * kSteps + step;
}

size_t class_capacity(int size_class) {
  if (size_class < kSmall) return size_t(size_class + 1) * 64;
  int exponent = 10 + (size_class - kSmall) / kSteps, step = (size_class - kSmall) % kSteps;
  return (size_t(kSteps) + step + 1) << (exponent - 3);
}

size_t mapped_size(size_t capacity) { return (capacity + kHeader + 4095) & ~size_t(4095); }

void* map(size_t bytes) {
  bool huge = bytes >= kHugePage;
  size_t asked = huge ? bytes + kHugePage : bytes;
  void* start = mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  if (!huge) return start;
  // give back what lies outside of a range that starts on a huge page
  uintptr_t begin = uintptr_t(start), aligned = (begin + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > begin) munmap(start, aligned - begin);
  if (aligned + bytes < begin + asked)
    munmap(reinterpret_cast<void*>(aligned + bytes), begin + asked - aligned - bytes);
#ifdef MADV_HUGEPAGE
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
#endif
  return reinterpret_cast<void*>(aligned);
}

Block* system_allocate(size_t bytes, int size_class) {
  static const size_t physical = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  size_t capacity = kExact ? bytes : class_capacity(size_class);
  if (capacity > physical) return nullptr;  // overcommitting systems would kill the process later
  void* memory = nullptr;
  if (capacity >= kMapped && !kExact)
    memory = map(mapped_size(capacity));
  else if (posix_memalign(&memory, 64, capacity + kHeader) != 0)
    memory = nullptr;
  if (!memory) return nullptr;
  Block* block = static_cast<Block*>(memory);
  block->capacity = capacity;
  block->size_class = size_class;
  stats.reserved_bytes += int64_t(capacity);
  ++stats.system_allocs;
  return block;
}

void system_free(Block* block) {
  stats.reserved_bytes -= int64_t(block->capacity);
  ++stats.system_frees;
  if (block->capacity >= kMapped && !kExact)
    munmap(block, mapped_size(block->capacity));
  else
    free(block);
}

void free_cached(size_t until_reserved) {
  for (int c = kClasses - 1; c >= 0; --c) {
    while (free_blocks[c] && size_t(stats.reserved_bytes) > until_reserved) {
      Block* block = free_blocks[c];
      free_blocks[c] = block->next;
      system_free(block);
    }
  }
}

Block* take_cached(int size_class) {
  // a large block may serve a request up to three classes (37%) smaller
  int last = class_capacity(size_class) >= (size_t(64) << 10) ? size_class + 3 : size_class;
  for (int c = size_class; c <= last && c < kClasses; ++c) {
    if (Block* block = free_blocks[c]) {
      free_blocks[c] = block->next;
      return block;
    }
  }
  return nullptr;
}

}  // namespace

void* pool_allocate(size_t bytes) {
  if (bytes > (size_t(1) << 47)) return nullptr;
  int size_class = class_of(bytes);
  Locked guard;
  Block* block = take_cached(size_class);
  if (block) {
    ++stats.hits;
  } else {
    ++stats.misses;
    // Sizes that are not asked for any more must not pile up: cached memory stays near a quarter of the peak.
    size_t capacity = class_capacity(size_class);
    size_t wanted = size_t(stats.allocated_bytes) + capacity, peak = size_t(stats.peak_allocated_bytes);
    if (wanted > peak) peak = wanted;
    size_t limit = peak + peak / 4 + kSlack;
    if (size_t(stats.reserved_bytes) + capacity > limit) free_cached(limit > capacity ? limit - capacity : 0);
    block = system_allocate(bytes, size_class);
    if (!block) {
      free_cached(0);
      block = system_allocate(bytes, size_class);
    }
    if (!block) return nullptr;
  }
  stats.allocated_bytes += int64_t(block->capacity);
  if (stats.allocated_bytes > stats.peak_allocated_bytes) stats.peak_allocated_bytes = stats.allocated_bytes;
  return reinterpret_cast<char*>(block) + kHeader;
}

void pool_free(void* data) {
  Block* block = reinterpret_cast<Block*>(static_cast<char*>(data) - kHeader);
  Locked guard;
  stats.allocated_bytes -= int64_t(block->capacity);
  if (kExact) return system_free(block);
  block->next = free_blocks[block->size_class];
  free_blocks[block->size_class] = block;
}

size_t pool_capacity(void* data) { return reinterpret_cast<Block*>(static_cast<char*>(data) - kHeader)->capacity; }

void pool_empty_cache() {
  Locked guard;
  free_cached(0);
}

void pool_reset_peak() {
  Locked guard;
  stats.peak_allocated_bytes = stats.allocated_bytes;
}

PoolStats pool_stats() {
  Locked guard;
  return stats;
}

}  // namespace gf
