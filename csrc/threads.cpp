// One pool of threads for all kernels. Workers sleep between jobs; the calling thread takes part.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "common.h"

namespace gf {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kSpins = 1000;  // about 20 us: a training step posts its kernels closer than that

thread_local bool inside = false;  // a kernel called from a chunk runs alone

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Pool {
  std::mutex in_use;  // held by the thread whose job runs; others do their work alone

  std::mutex mutex;  // guards what follows, except the atomics' reads
  std::condition_variable wake, done;
  std::atomic<uint64_t> jobs{0};  // counts posted jobs, so that spinning workers see a new one
  bool open = false;              // workers may still join the job
  int helpers_wanted = 0;
  std::atomic<int> helping{0};
  int workers = 0;

  ChunkFunction function = nullptr;
  void* context = nullptr;
  int64_t chunks = 0;
  std::atomic<int64_t> next{0};
  std::exception_ptr error;

  void take_chunks() {
    try {
      for (int64_t i = next.fetch_add(1); i < chunks; i = next.fetch_add(1)) function(context, i);
    } catch (...) {  // memory that there is not; the thread whose job it is hears of it once nobody is at work
      next.store(chunks);
      std::lock_guard<std::mutex> guard(mutex);
      if (!error) error = std::current_exception();
    }
  }

  void work() {
    inside = true;
    uint64_t seen = 0;
    std::unique_lock<std::mutex> guard(mutex);
    for (;;) {
      if (!open || seen == jobs || helpers_wanted == 0) {
        uint64_t now = jobs;
        guard.unlock();
        for (int i = 0; i < kSpins && jobs.load(std::memory_order_relaxed) == now; ++i) pause();
        guard.lock();
        wake.wait(guard, [&] { return open && seen != jobs && helpers_wanted > 0; });
      }
      seen = jobs;
      --helpers_wanted;
      helping.fetch_add(1);
      guard.unlock();
      take_chunks();
      guard.lock();
      if (helping.fetch_sub(1) == 1) done.notify_one();
    }
  }

  // With `mutex` held. Fewer threads than asked for are no error.
  void start_workers(int wanted) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);  // signals belong to the interpreter's threads
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (workers < wanted) {
      pthread_t thread;
      auto main = [](void* pool) -> void* {
        static_cast<Pool*>(pool)->work();
        return nullptr;
      };
      if (pthread_create(&thread, &attributes, main, this) != 0) break;
      ++workers;
    }
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }

  std::exception_ptr run(int64_t count, int helpers, ChunkFunction f, void* c) {
    {
      std::lock_guard<std::mutex> guard(mutex);
      if (workers < helpers) start_workers(helpers);
      function = f;
      context = c;
      chunks = count;
      next.store(0);
      helpers_wanted = helpers;
      open = true;
      jobs.fetch_add(1);
    }
    if (helpers == 1)
      wake.notify_one();
    else
      wake.notify_all();
    take_chunks();
    {
      std::lock_guard<std::mutex> guard(mutex);
      open = false;  // who has not joined yet has nothing left to do
    }
    for (int i = 0; i < kSpins && helping.load() > 0; ++i) pause();
    std::unique_lock<std::mutex> guard(mutex);
    done.wait(guard, [&] { return helping.load() == 0; });
    return std::exchange(error, nullptr);
  }
};

// Never destroyed: workers may outlive static destructors. Replaced after a fork, where its threads are gone.
std::atomic<Pool*> pool{nullptr};
std::atomic<int> threads{0};

const int fork_safe = pthread_atfork(nullptr, nullptr, [] {
  pool.store(nullptr);
  inside = false;
});

Pool& the_pool() {
  Pool* p = pool.load();
  if (!p) {
    Pool* fresh = new Pool;
    if (pool.compare_exchange_strong(p, fresh))
      p = fresh;
    else
      delete fresh;
  }
  return *p;
}

int default_threads() {
  if (const char* text = getenv("GRADFLOW_NUM_THREADS")) {
    int n = atoi(text);
    if (n >= 1) return n < kMaxThreads ? n : kMaxThreads;
  }
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  unsigned n = std::thread::hardware_concurrency();
  return n ? int(n) : 1;
}

struct Scratch {
  char* memory = nullptr;
  size_t size = 0;
  ~Scratch() { free(memory); }
};
thread_local Scratch own_scratch;

}  // namespace

int num_threads() {
  int n = threads.load(std::memory_order_relaxed);
  if (n == 0) threads.store(n = default_threads());
  return n;
}

void set_num_threads(int n) { threads.store(n < 1 ? 1 : n < kMaxThreads ? n : kMaxThreads); }

void run_chunks(int64_t chunks, ChunkFunction function, void* context) {
  int64_t helpers = num_threads() - 1;
  if (helpers > chunks - 1) helpers = chunks - 1;
  if (helpers > 0 && !inside) {
    Pool& p = the_pool();
    std::unique_lock<std::mutex> mine(p.in_use, std::try_to_lock);
    if (mine.owns_lock()) {
      inside = true;
      const std::exception_ptr error = p.run(chunks, int(helpers), function, context);
      inside = false;
      if (error) std::rethrow_exception(error);
      return;
    }
  }
  for (int64_t i = 0; i < chunks; ++i) function(context, i);
}

char* scratch(size_t bytes) {
  Scratch& s = own_scratch;
  if (s.size < bytes) {
    free(s.memory);
    s.memory = nullptr;
    s.size = 0;
    size_t size = (bytes + bytes / 2 + 4095) & ~size_t(4095);
    if (posix_memalign(reinterpret_cast<void**>(&s.memory), 4096, size) != 0) abort();
    s.size = size;
  }
  return s.memory;
}

}  // namespace gf
