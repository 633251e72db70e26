// Chooses the instruction set's kernels at import.
#include <cstdlib>
#include <cstring>

#include "common.h"
#include "kernels.h"

namespace gf {

const Kernels* kernels = nullptr;

namespace {

Kernels table;
const char* chosen = "generic";

#define GF_FILL(isa)        \
  {                         \
    isa::fill_primitives(table); \
    isa::fill_moves(table); \
    isa::fill_folds(table); \
    isa::fill_args(table); \
    isa::fill_rows(table); \
    isa::fill_channels(table); \
    isa::fill_compiled(table); \
    chosen = #isa;          \
  }

#ifdef GF_X86_LEVELS
int supported_level() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return 4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2"))
    return 3;
  return 2;
}
#endif

}  // namespace

void choose_isa() {
#ifdef GF_X86_LEVELS
  int level = supported_level();
  const char* wanted = getenv("GRADFLOW_ISA");
  if (wanted && strcmp(wanted, "v3") == 0 && level > 3) level = 3;
  if (wanted && strcmp(wanted, "v2") == 0) level = 2;
  if (level == 4)
    GF_FILL(v4)
  else if (level == 3)
    GF_FILL(v3)
  else
    GF_FILL(v2)
#else
  GF_FILL(generic)
#endif
  kernels = &table;
}

const char* isa_name() { return chosen; }

}  // namespace gf
